/* The cpu lane: layers that the processor computes. Weights, activations and KV cache of these layers lie in main
 * memory, and the decoder that devices have runs on them, with a struct sto_ops that sends operations to runtime/cpu.
 *
 *   without a device   all layers, embedding and logits: the lane lends the engine its step block and its logits, as
 *                      e->step_host.mapped and e->readback.mapped
 *   beside a device    the layers placed so, in segments between those of the device (pass.c); what layers hand on
 *                      crosses through e->crossing_out and e->crossing_in
 *
 * engine.c creates it, session.c and pass.c run passes on it. */
#ifndef STO_CPU_LANE_H
#define STO_CPU_LANE_H

#include "runtime/engine.h"

struct sto_cpu_lane;

/* Lowers e's context, where it was not asked for, until the lane's n_layers with their KV cache and other_bytes fit in
 * e->info.ram_bytes. STO_ERR_NO_FIT: the one that was asked for does not, or not even a token. */
enum sto_status sto_cpu_lane_fit(struct sto_engine *e, uint32_t n_layers, uint64_t other_bytes,
                                 struct sto_error *err);
/* Ordinary host memory of the lane, once the context is chosen: with the KV cache of e->params.n_sequences sessions. */
uint64_t sto_cpu_lane_bytes(struct sto_engine *e);
/* Makes memory; e->cpu_lane afterwards. Without a device it chooses the context, too. */
enum sto_status sto_cpu_lane_create(struct sto_engine *e, struct sto_error *err);
void sto_cpu_lane_destroy(struct sto_engine *e); /* accepts an engine without */

/* Where its weights lie, which load.c reads there but for matrices of phased layers; address 0: not here. */
const struct sto_device_weights *sto_cpu_lane_weights(const struct sto_cpu_lane *lane);

/* The KV pages of one sequence; those of phased layers are there: kv [n_layers], in host memory. NULL: none are. */
enum sto_status sto_cpu_lane_open_sequence(struct sto_cpu_lane *lane, uint32_t sequence, const struct sto_buffer *kv,
                                           struct sto_error *err);
void sto_cpu_lane_close_sequence(struct sto_cpu_lane *lane, uint32_t sequence);
/* Random keys and values for its first n tokens. */
void sto_cpu_lane_randomise(struct sto_cpu_lane *lane, uint32_t sequence, uint32_t n_tokens, uint64_t seed);

/* The lane's own step block: what a pass works on is written there before it. */
uint8_t *sto_cpu_lane_step(struct sto_cpu_lane *lane);
/* All layers for the columns of the step block; then logits [n_rows, n_vocab] of columns from first_col, or of
 * work->logit_cols where it has those. */
void sto_cpu_lane_run(struct sto_cpu_lane *lane, const struct sto_work *work);
void sto_cpu_lane_logits(struct sto_cpu_lane *lane, const struct sto_work *work, uint32_t first_col, uint32_t n_rows);
/* Likewise n_layers layers from first_layer, from what the device left in e->crossing_out to e->crossing_in. */
void sto_cpu_lane_cross(struct sto_cpu_lane *lane, uint32_t first_layer, uint32_t n_layers,
                        const struct sto_work *work);

#endif

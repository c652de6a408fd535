/* An engine whose layers all run on the processor: weights where they lie in the mapped file, activations, KV cache
 * and logits in main memory, and the decoder that devices have, with a struct sto_ops that sends its operations to
 * runtime/cpu.
 *
 * engine.c creates it in place of a device's buffers; session.c runs passes on it. It lends the engine its step block
 * and its logits, as e->step_host.mapped and e->readback.mapped. */
#ifndef STO_CPU_LANE_H
#define STO_CPU_LANE_H

#include "runtime/engine.h"

struct sto_cpu_lane;

bool sto_cpu_lane_wanted(const struct sto_engine *e); /* no device, or all layers placed so */
/* Chooses the context, makes memory, finds or makes the weights; e->cpu_lane afterwards. */
enum sto_status sto_cpu_lane_create(struct sto_engine *e, const struct sto_callbacks *callbacks,
                                    struct sto_error *err);
void sto_cpu_lane_destroy(struct sto_engine *e); /* accepts an engine without */

/* The KV pages of one sequence. */
enum sto_status sto_cpu_lane_open_sequence(struct sto_cpu_lane *lane, uint32_t sequence, struct sto_error *err);
void sto_cpu_lane_close_sequence(struct sto_cpu_lane *lane, uint32_t sequence);
/* Random keys and values for its first n tokens. */
void sto_cpu_lane_randomise(struct sto_cpu_lane *lane, uint32_t sequence, uint32_t n_tokens, uint64_t seed);

/* All layers for the n_cols columns of the step block; then logits [n_rows, n_vocab] of columns from first_col. */
void sto_cpu_lane_run(struct sto_cpu_lane *lane, uint32_t n_cols);
void sto_cpu_lane_logits(struct sto_cpu_lane *lane, uint32_t n_cols, uint32_t first_col, uint32_t n_rows);
/* The same for columns of several sequences: runs as in struct sto_forward, and logits of n_rows columns by number. */
void sto_cpu_lane_run_together(struct sto_cpu_lane *lane, uint32_t n_cols, const struct sto_column_run *runs,
                               uint32_t n_runs, const uint32_t *logit_cols, uint32_t n_rows);

#endif

/* The inside of an engine: weights on the device, scratch, step blocks, recordings. Shared by engine.c (building it),
 * weights.c (loading) and session.c (running it). */
#ifndef STO_ENGINE_H
#define STO_ENGINE_H

#include "runtime/model.h"
#include "shaders/shared/step.h"

enum { STO_MAX_SEQUENCES = 16 };

struct sto_engine {
    struct sto_device *device;
    const struct sto_model *model;
    struct sto_engine_params params;
    struct sto_engine_info info;

    /* weights: one buffer per piece; piece 0 holds all vectors and never moves */
    struct sto_buffer *pieces; /* [n_pieces] */
    uint32_t n_pieces;
    struct sto_buffer piece_table; /* uint64 [n_pieces] */
    struct sto_device_weights weights;
    uint64_t rope_freqs; /* address in piece 0 */

    /* one step */
    struct sto_buffer scratch, step_host, step, groups;
    struct sto_buffer logits, readback; /* f32 [logit_rows, n_vocab], rows logit_stride apart */
    uint32_t logit_rows, logit_stride;

    /* KV: every session has pages of its own; the table finds them */
    struct sto_buffer kv_table;    /* uint64 [n_layers, STO_MAX_SEQUENCES, kv_pages] */
    struct sto_kv_layer *kv;       /* [n_layers] */
    enum sto_type kv_type;         /* how the cache is stored: IQ4_NL where Q4_0 was asked for */
    uint32_t kv_pages;             /* per sequence */
    uint64_t kv_page_bytes;        /* one layer */
    bool sequence_used[STO_MAX_SEQUENCES];

    struct sto_uploader *uploader;
    struct sto_recording *decode; /* one column with logits: recorded once, replayed */
    bool decode_recorded;
    struct sto_recording *batch;  /* everything else, recorded each time */
};

/* weights.c: where each weight goes, then reading them all. */
enum sto_status sto_weights_plan(struct sto_engine *e, uint64_t *piece_bytes, struct sto_error *err);
enum sto_status sto_weights_load(struct sto_engine *e, const struct sto_callbacks *callbacks, struct sto_error *err);
uint32_t sto_weights_count_pieces(const struct sto_model *model);

/* session.c: makes the sequence n_tokens long without evaluating any: its keys and values are random, of deviation 1.
 * For measuring at a depth. STO_ERR_USAGE: more than the context. */
enum sto_status sto_session_make_synthetic(struct sto_session *session, uint32_t n_tokens, uint64_t seed,
                                           struct sto_error *err);

/* session.c: true when sto_session_cancel was called and no eval has taken notice; takes notice. */
bool sto_session_take_cancel(struct sto_session *session);

#endif

/* The inside of an engine and its sessions: weights on the device, scratch, step blocks, recordings. Shared by engine.c
 * (building it), weights.c, residency.c and streamed.c (where they lie), load.c and slab.c (reading them), pass.c
 * (passes, in segments), phases.c (layers that go elsewhere for prompts), session.c (groups of tokens) and chain.c
 * (steps in a queue). */
#ifndef STO_ENGINE_H
#define STO_ENGINE_H

#include <stdatomic.h>

#include "runtime/copy.h"
#include "runtime/model.h"
#include "runtime/placement.h"
#include "runtime/sources.h"
#include "shaders/shared/sample.h"
#include "shaders/shared/step.h"

enum { STO_MAX_SEQUENCES = 256, STO_FEWEST_SEQUENCES = 16, STO_MAX_DEPTH = 8 };

/* A run of layers in one place: what is handed over, or computed, at once. A pass begins and ends on the device. */
struct sto_pass_segment {
    bool on_cpu;
    uint32_t first_layer, n_layers; /* n_layers 0: the embedding or the logits alone */
    uint32_t first_streamed;        /* of the copy engine's list                     */
};

/* How a pass is cut. */
struct sto_pass_cut {
    struct sto_pass_segment *segments; /* [n] in order: the device's, and between them the processor's */
    uint32_t n;
};

/* A pass as it is recorded: at[i] is of segment i, NULL where that is on the processor. */
struct sto_parts {
    enum sto_phase phase;
    uint32_t n;
    struct sto_recording *at[];
};

struct sto_engine {
    struct sto_device *device; /* NULL: everything is on the processor */
    const struct sto_model *model;
    struct sto_engine_params params;
    struct sto_engine_info info;

    /* weights: one buffer per piece; piece 0 holds all vectors and never moves. A streamed layer's piece lies in host
     * memory (sources.h; in ordinary memory it has no device address, on disk no map either), and kernels find it in a
     * slot of the ring, where the copy engine brings it */
    struct sto_buffer *pieces; /* [n_pieces] */
    struct sto_sources sources; /* [info.streamed_layers] */
    struct sto_reader *reader; /* of what is on disk; NULL: nothing is */
    uint64_t load_bytes;       /* host memory that loading may use for a moment */
    uint64_t embedding_host_bytes; /* the token embedding, where it stays in host memory */
    struct sto_buffer *slots;  /* [info.ring_slots] of slot_bytes */
    uint64_t slot_bytes;
    enum sto_lane *lanes;      /* [n_layers] */
    struct sto_buffer **slot_of; /* [n_layers] in the first pass; NULL: never streamed */
    struct sto_copy *copies[STO_PHASES]; /* NULL: nothing is streamed then. Without phased layers all passes are of
                                            STO_PHASE_DECODE                                                     */
    enum sto_phase copying;    /* whose copies come; the others rest */
    struct sto_trace *trace;   /* NULL: none */
    uint32_t traced_batches;
    uint32_t n_pieces;
    struct sto_buffer piece_table; /* uint64 [n_pieces] */
    struct sto_device_weights weights;
    uint64_t rope_freqs; /* address in piece 0 */

    /* one step */
    struct sto_buffer scratch, step_host, step, groups;
    struct sto_buffer counters; /* uint32 [STO_OP_COUNTERS]: sto_ops */
    struct sto_buffer logits, readback; /* f32 [logit_rows, n_vocab], rows logit_stride apart */
    uint32_t logit_rows, logit_stride;

    /* KV: every session has pages of its own; the table finds them */
    struct sto_buffer kv_table;    /* uint64 [n_layers, n_sequences, kv_pages] */
    struct sto_kv_layer *kv;       /* [n_layers] */
    uint32_t n_sequences;          /* sessions that there can be at a time */
    enum sto_type kv_type;         /* how the cache is stored: IQ4_NL where Q4_0 was asked for */
    uint32_t kv_pages;             /* per sequence */
    uint64_t kv_page_bytes;        /* one layer */
    bool sequence_used[STO_MAX_SEQUENCES];

    struct sto_cpu_lane *cpu_lane;     /* NULL: all layers are on the device */
    struct sto_pass_cut cuts[STO_PHASES]; /* [STO_PHASE_PROMPT] is empty without phased layers */
    struct sto_buffer crossing_out, crossing_in; /* f32 [ubatch_tokens, n_embd] in host memory: there, back */

    struct sto_uploader *uploader;
    struct sto_parts *decode; /* one column with logits: recorded once, replayed */
    bool decode_recorded;
    struct sto_parts *other[STO_PHASES]; /* every other pass, recorded each time; NULL: there is no such phase */
    struct sto_recording *batch; /* what is no pass: fills, and more rows of logits than fit at once */
    struct sto_parts *together; /* one column each of several sequences, with logits; NULL: not yet made */
    uint32_t together_cols, together_tokens; /* what it was recorded for: columns, and KV that none sees more of */

    /* chains of steps that draw their tokens on the device */
    struct sto_buffer sample_host; /* SampleBlock, as a chain begins                                   */
    struct sto_buffer sample;      /* SampleBlock at 0, then at SAMPLE_SCRATCH_OFFSET its scratch      */
    struct sto_buffer ring;        /* uint32 [SAMPLE_RING]                                             */
    struct sto_recording *chain_start;           /* step block and sampling block to the device        */
    struct sto_parts *chain[STO_MAX_DEPTH];      /* one step each, all alike; NULL: not yet recorded   */
    uint64_t chain_ticket;         /* of the last step handed over: it may still run                   */
};

enum { STO_SAMPLE_SCRATCH_OFFSET = 256 };     /* bytes, behind the SampleBlock */
enum { STO_SMALL_BUFFERS_BYTES = 4 << 20 };   /* a block of small buffers      */

struct sto_session {
    struct sto_engine *engine;
    uint32_t sequence;     /* row of the KV page table */
    uint32_t length;       /* tokens                   */
    struct sto_buffer *kv; /* [n_layers] pages: of phased layers in host memory, of others of the processor's none */
    struct sto_buffer kv_visit; /* pages on the device for one phased layer at a time */
    _Atomic bool cancelled;
};

/* weights.c: where each weight goes. Vectors (norms, biases) are kept as f32, together. */
enum sto_status sto_weights_plan(struct sto_engine *e, uint64_t *piece_bytes, struct sto_error *err);
uint32_t sto_weights_count_pieces(const struct sto_model *model);
uint32_t sto_weights_layer_piece(uint32_t layer);
/* Where kernels find a piece. */
uint64_t sto_weights_piece_address(const struct sto_engine *e, uint32_t piece);
bool sto_weight_is_vector(const struct sto_model_weight *w);

/* residency.c: chooses the context and where each layer goes, within the budget; makes the weights' memory. */
enum sto_status sto_residency_choose(struct sto_engine *e, const uint64_t *piece_bytes, struct sto_error *err);
enum sto_status sto_residency_create(struct sto_engine *e, const uint64_t *piece_bytes, struct sto_error *err);
void sto_residency_destroy(struct sto_engine *e);
struct sto_fit_input;
/* What the device holds beside the layers, and how that grows with the context; available_bytes is left to the caller.
 * Of the engine only what sto_engine_size and sto_weights_plan fill in is read. */
struct sto_fit_input sto_residency_fit(const struct sto_engine *e, const uint64_t *piece_bytes);

/* streamed.c: host memory that devices read beside streamed layers; crosses: some layers are the processor's. */
uint64_t sto_streamed_host_bytes(const struct sto_engine *e, bool crosses);
/* Where streamed layers wait, within e->info.ram_bytes, once lanes and context are chosen. */
enum sto_status sto_streamed_choose(struct sto_engine *e, const uint64_t *piece_bytes, struct sto_error *err);
/* Makes a streamed layer's memory, if it has any; later ones in ascending order. Once all are made: adds them up. */
enum sto_status sto_streamed_create(struct sto_engine *e, uint32_t layer, uint64_t bytes, struct sto_error *err);
void sto_streamed_add_up(struct sto_engine *e);
bool sto_is_streamed(const struct sto_engine *e, uint32_t layer); /* in some phase */
/* Begins to bring streamed layers to the device: once weights are loaded. Where the body that was chosen cannot be made
 * and none was asked for, copies go among the kernels, with a warning. */
enum sto_status sto_streamed_start(struct sto_engine *e, struct sto_error *err);
void sto_streamed_stop(struct sto_engine *e); /* after the copy engine; accepts an engine without */

/* engine.c: checks the parameters, and fills in the sizes of passes. Needs no device. */
enum sto_status sto_engine_size(struct sto_engine *e, struct sto_error *err);
/* engine.c: the pages of a sequence, once the context is chosen. */
void sto_engine_size_kv(struct sto_engine *e);
/* engine.c: bytes of a step block for so many columns. */
uint64_t sto_engine_step_bytes(uint32_t cols);
/* engine.c: bytes of what layers hand on, for the columns of a pass. */
uint64_t sto_engine_crossing_bytes(const struct sto_engine *e);

/* slab.c: whether a piece has no memory, but is read from the file in every pass. */
bool sto_piece_is_on_disk(const struct sto_buffer *piece);
/* slab.c: reads part of a layer's piece, as it lies in memory; for struct sto_reader_params. Any thread. */
enum sto_status sto_slab_read(void *engine, const struct sto_read_chunk *chunk, uint8_t *dst, struct sto_error *err);

/* load.c: reads them all, the cpu lane's too, on several threads. Callbacks come from the calling thread. Meanwhile
 * another thread may make pipelines. */
enum sto_status sto_weights_load(struct sto_engine *e, const struct sto_callbacks *callbacks, struct sto_error *err);

/* session.c: makes the sequence n_tokens long without evaluating any: its keys and values are random, of deviation 1.
 * For measuring at a depth. STO_ERR_USAGE: more than the context. */
enum sto_status sto_session_make_synthetic(struct sto_session *session, uint32_t n_tokens, uint64_t seed,
                                           struct sto_error *err);

/* pass.c: cuts the layers into segments, for each phase, once it is known where each goes. */
enum sto_status sto_engine_cut(struct sto_engine *e, struct sto_error *err);

/* What a pass adds to a sequence. */
struct sto_growth {
    const struct sto_session *session; /* as long as before the pass */
    uint32_t n_tokens;
};

/* What a pass is to do. */
struct sto_work {
    uint32_t n_cols, max_tokens;  /* as in struct sto_forward                                               */
    uint32_t first_col, n_rows;   /* logits of n_rows columns from first_col, read back; 0: none            */
    bool chained;                 /* a step of a chain: the step block is on the device, a token is drawn there */
    const struct sto_column_run *runs; /* [n_runs] as in struct sto_forward: of several sequences; NULL: one */
    uint32_t n_runs;
    const uint32_t *logit_cols;   /* [n_rows] likewise */
    const struct sto_growth *grown; /* [n_grown] what all columns are of; passes of STO_PHASE_DECODE need none */
    uint32_t n_grown;
};

/* Room for the recordings of a pass; recording it, when it is not running. */
enum sto_status sto_parts_create(struct sto_engine *e, enum sto_phase phase, struct sto_parts **out,
                                 struct sto_error *err);
void sto_parts_destroy(struct sto_parts *parts); /* accepts NULL */
enum sto_status sto_parts_record(struct sto_engine *e, struct sto_parts *parts, const struct sto_work *work,
                                 struct sto_error *err);
/* Runs all segments but the last, which is handed over: sto_parts_wait waits for its ticket. Columns are those of the
 * step block, which the processor's segments read too. After an error nothing of the pass runs any more. */
enum sto_status sto_parts_submit(struct sto_engine *e, struct sto_parts *parts, const struct sto_work *work,
                                 uint64_t *ticket, struct sto_error *err);
enum sto_status sto_parts_wait(struct sto_engine *e, struct sto_parts *parts, uint32_t n_cols, uint64_t ticket,
                               struct sto_error *err);

/* phases.c: what a pass of so many columns is, where it is recorded each time. */
enum sto_phase sto_phase_of(const struct sto_engine *e, uint32_t n_cols);
/* phases.c: before a pass is handed over. */
void sto_phase_begin(struct sto_engine *e, enum sto_phase phase);
/* phases.c: records how the KV cache of a phased layer comes to the device before its kernels; and how what is new goes
 * back after them. */
void sto_phase_record_kv(struct sto_engine *e, struct sto_recording *rec, uint32_t layer, const struct sto_work *work,
                         bool back);

/* What a recording works on; max_tokens as in struct sto_forward. */
struct sto_forward sto_engine_forward(struct sto_engine *e, struct sto_recording *rec, uint32_t n_cols,
                                      uint32_t max_tokens);
/* Waits for work that was handed over. An error too where weights for it could not be read. */
enum sto_status sto_engine_wait(struct sto_engine *e, uint64_t ticket, struct sto_error *err);
/* Records the logits [n_rows, n_vocab] of columns from first_col, and how they are read back. */
void sto_engine_record_rows(struct sto_engine *e, struct sto_forward *f, uint32_t first_col, uint32_t n_rows);
/* chain.c: records how a token is drawn from the logits of one column. */
void sto_chain_record_draw(struct sto_engine *e, struct sto_forward *f);

/* session.c: the host's step block for n tokens behind the sequence, and the processor's. */
void sto_session_write_step(struct sto_session *s, const uint32_t *tokens, uint32_t n);

/* chain.c: whether sto_session_generate can draw in every way that its parameters describe. */
bool sto_engine_can_draw(const struct sto_engine *e);

/* chain.c: waits for steps that are still queued behind the end of a chain. */
enum sto_status sto_chain_wait(struct sto_engine *e, struct sto_error *err);

/* session.c: true when sto_session_cancel was called and no eval has taken notice; takes notice. */
bool sto_session_take_cancel(struct sto_session *session);

#endif

/* libstrato, the engine: tokens in, logits or tokens out.
 *
 *   sto_device_open -> sto_model_open -> sto_engine_create -> sto_session_create -> sto_session_eval -> logits
 *                                                                               -> sto_session_generate -> tokens
 *
 * A device is one Vulkan device. A model is an opened GGUF file: hyperparameters, weights (mapped, not read) and
 * vocabulary. An engine is a model placed on a device. A session is one sequence of tokens with its KV cache.
 * host/generate.h sits on top and speaks text.
 *
 * Errors: every call that can fail returns enum sto_status (0 is success) and fills a struct sto_error with one
 * line of text. Nothing here prints, exits, or installs a signal handler.
 * Threads: different devices, models and engines may be used from different threads at once. One engine and its
 * sessions must be used by one thread at a time, except for calls marked "any thread".
 * Ownership: create/open/destroy/close own; get borrows. Destroy and close accept NULL. Destroy in the order
 * session, engine, model, device. */
#ifndef STRATO_H
#define STRATO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---------------------------------------------------------------------------------------------- */

enum sto_status {
    STO_OK = 0,
    STO_ERR_FAILED = 1,     /* failed while running: I/O, a driver's error                        */
    STO_ERR_USAGE = 2,      /* the caller's arguments are wrong                                   */
    STO_ERR_MODEL = 3,      /* the model file is damaged or not supported                         */
    STO_ERR_NO_DEVICE = 4,  /* no usable Vulkan device                                            */
    STO_ERR_NO_FIT = 5,     /* it does not fit in memory and cannot be made to                    */
    STO_ERR_CANCELLED = 6,  /* a callback asked to stop                                           */
    STO_ERR_DEVICE_LOST = 7 /* the device was lost; close it, open it again                       */
};

struct sto_error {
    enum sto_status status;
    char message[1024]; /* one line of UTF-8, no newline at the end, NUL-terminated */
};

/* "strato 0.1.0", and the short names "ok", "failed", ... Static storage. Any thread. */
const char *sto_version(void);
const char *sto_status_name(enum sto_status status);

/* ---- callbacks ------------------------------------------------------------------------------------------- */

enum sto_log_level { STO_LOG_ERROR, STO_LOG_WARNING, STO_LOG_INFO, STO_LOG_DEBUG };

struct sto_callbacks {
    void *user;
    /* One line, no newline. May come from any thread of ours. NULL: silent. */
    void (*log)(void *user, enum sto_log_level level, const char *line);
    /* what: "weights", "kernels"; done of total in bytes or pieces. Return true to cancel. NULL: none. */
    bool (*progress)(void *user, const char *what, uint64_t done, uint64_t total);
};

/* ---- weight formats --------------------------------------------------------------------------------------- */

/* How the elements of a tensor are stored. Block formats pack sto_type_info.block_elems elements into
 * block_bytes bytes. The layouts are those of GGUF files; runtime/formats/formats.h describes each. */
enum sto_type {
    STO_TYPE_F32,
    STO_TYPE_F16,
    STO_TYPE_BF16,
    STO_TYPE_Q4_0,
    STO_TYPE_Q4_1,
    STO_TYPE_Q5_0,
    STO_TYPE_Q5_1,
    STO_TYPE_Q8_0,
    STO_TYPE_Q2_K,
    STO_TYPE_Q3_K,
    STO_TYPE_Q4_K,
    STO_TYPE_Q5_K,
    STO_TYPE_Q6_K,
    STO_TYPE_IQ4_NL,
    STO_TYPE_IQ4_XS,
    STO_TYPE_MXFP4,
    STO_TYPE_COUNT
};

/* "F32", "Q4_K"; "?" for a value out of range. Static storage. Any thread. */
const char *sto_type_name(enum sto_type type);

/* ---- devices ---------------------------------------------------------------------------------------------- */

enum sto_math {
    STO_MATH_AUTO,  /* per weight format, the fastest path that this device has and measured faster */
    STO_MATH_EXACT, /* float products, sums in f32                                               */
    STO_MATH_F16,  /* f16 operands wherever there is a kernel for it; for tests                  */
    STO_MATH_INT8  /* activations in 8 bits wherever there is a kernel for it; for tests          */
};

struct sto_simulation;
struct sto_device_params {
    const char *name;       /* NULL, "best"; "0", "1": index; else part of the device's name, any case */
    bool validation;        /* Vulkan validation layers with synchronisation checks; errors reach the log  */
    const char *cache_dir;  /* where pipelines and what was found out about kernels are kept; NULL: the user's
                               cache folder; "": nowhere, and then kernels are not tested either            */
    uint32_t subgroup_size; /* 0: what the device plan chooses; for tests                                  */
    bool no_f16;            /* plan as if the device had no f16 arithmetic; for tests                      */
    bool no_int_dot;        /* plan as if the device had no integer dot product; for tests                 */
    bool no_mapping;        /* plan as if the host could not write to device memory; for tests             */
    bool no_self_test;      /* use kernels untested, and as planned, whatever was found out about them     */
    const struct sto_simulation *simulation; /* runtime/simulation.h: times are those of such a card with a queue
                               for copies, whatever the device takes; nothing is learned or tested. NULL: none */
    bool simulate_only;     /* of that, times alone: nothing is run, and what kernels would give is undefined */
};

struct sto_device;

enum sto_status sto_device_open(const struct sto_device_params *params, const struct sto_callbacks *callbacks,
                                struct sto_device **out, struct sto_error *err);
void sto_device_close(struct sto_device *device);

/* The driver's name for the device. Lives as long as the device. Any thread. */
const char *sto_device_name(const struct sto_device *device);
/* Bytes that this library holds of the driver right now, host memory that the device reads among them, and the most it
 * ever held. Any thread. */
uint64_t sto_device_bytes(const struct sto_device *device);
uint64_t sto_device_peak_bytes(const struct sto_device *device);
/* Likewise, of the device's own memory alone: what sto_engine_params.vram_bytes bounds. */
uint64_t sto_device_local_bytes(const struct sto_device *device);
uint64_t sto_device_local_peak_bytes(const struct sto_device *device);

/* Bytes of host memory that this library holds for weights, read-ahead, staging and all else that devices read, in this
 * process, and the most that it ever held: what sto_engine_params.ram_bytes bounds for an engine. Any thread. */
uint64_t sto_host_bytes(void);
uint64_t sto_host_peak_bytes(void);

/* ---- models ----------------------------------------------------------------------------------------------- */

struct sto_model;

/* Opens a GGUF file (the first shard of a split one). Reads the header, maps the weights, checks both.
 * header_only: accept a file without (all of) its tensor data, for printing and planning. */
struct sto_model_params {
    bool header_only;
};

enum sto_status sto_model_open(const char *path, const struct sto_model_params *params,
                               const struct sto_callbacks *callbacks, struct sto_model **out, struct sto_error *err);
void sto_model_close(struct sto_model *model);

const char *sto_model_arch(const struct sto_model *model); /* "llama", "qwen3"; lives as long as the model */
const char *sto_model_name(const struct sto_model *model); /* general.name, or the file's name            */
uint32_t sto_model_n_vocab(const struct sto_model *model);
uint32_t sto_model_n_ctx_train(const struct sto_model *model); /* tokens the model was trained for, >= 1 */
uint32_t sto_model_n_layers(const struct sto_model *model);

/* ---- engines ---------------------------------------------------------------------------------------------- */

/* Where the weights of a layer live; any mix of these in one engine. */
enum sto_lane {
    STO_LANE_RESIDENT, /* in device memory                                                                        */
    STO_LANE_STREAM,   /* in host memory or on disk, copied to the device before each use                         */
    STO_LANE_CPU,      /* in host memory, and the processor computes the layer; its KV cache is there, too        */
    STO_LANE_PHASED,   /* likewise while tokens are generated; while prompts are read it is streamed, which is faster
                          then, and the KV cache goes along. The weights lie once, in memory that both read        */
    STO_LANE_COUNT
};
/* "resident", "stream", "cpu", "phased"; "?" out of range. Static storage. */
const char *sto_lane_name(enum sto_lane lane);

/* How streamed layers get to the device. */
enum sto_copy_body {
    STO_COPY_AUTO,     /* transfer where the device has such a queue, else host where it can, else queue          */
    STO_COPY_TRANSFER, /* by a queue of its own, while kernels run; on a device with one queue in turn with them  */
    STO_COPY_HOST,     /* by a thread that writes to device memory, while kernels run; where that is mapped       */
    STO_COPY_QUEUE,    /* among the kernels, one after the other                                                  */
    STO_COPY_COUNT
};
const char *sto_copy_name(enum sto_copy_body body); /* "auto", "transfer", "host", "queue"; "?" out of range. Static. */

struct sto_engine_params {
    uint32_t ctx_tokens;    /* 0: fitted, see DESIGN "Context"; else 1 to the trained length                  */
    uint32_t ubatch_tokens; /* prompt tokens that go through the layers at once; 0: 512                       */
    enum sto_type kv_type;  /* STO_TYPE_F32, F16, Q8_0 or Q4_0; kv_type_set false: F16. Q4_0 stands for 4.5
                               bits per value; they are IQ4_NL blocks, which lose less in as many bytes          */
    bool kv_type_set;
    enum sto_math math;
    bool deterministic;   /* with STO_MATH_EXACT: a token's logits do not depend on what shares its batch      */
    uint64_t vram_bytes;  /* budget for everything on the device; 0: what the driver says is free, less a margin */
    uint64_t ram_bytes;   /* budget for host memory: streamed layers, read-ahead, staging, logits, the processor's
                             layers with their KV cache; 0: what the system could give, less a margin. Streamed layers
                             that do not fit are read from the model's file in every pass                        */
    uint64_t pinned_bytes; /* of ram_bytes, what devices may read (such memory cannot be swapped); 0: half, or what
                             there is no doing without. Layers beyond it lie in ordinary memory, and are copied
                             through staging                                                                     */
    const enum sto_lane *lanes; /* [n_layers] where each layer goes; read during the call. NULL: all to the device;
                                   where they do not fit beside a context of 4,096 tokens (or ctx_tokens), as many as
                                   do, and the others are streamed                                              */
    uint32_t n_sequences; /* sessions that have room in memory at once, each with a full context, up to 256; 0: 1.
                             So many can be made, and 16 in any case as long as memory lasts                  */
    uint32_t prompt_tokens; /* passes of so many tokens or more stream phased layers, unless each is another sequence's;
                             in shorter ones the processor computes them. 0: 32                                  */
    uint32_t ring_slots;  /* device memory for so many streamed layers at a time; 0: 2; fewer where they do not fit */
    bool host_embedding;  /* the token embedding stays in host memory, where kernels read a row per token; where it is
                             the output matrix too it stays on the device whatever is said here              */
    uint32_t n_threads;   /* of the cpu lane; 0: one per core                                                   */
    const char *cpu_level; /* instructions that the cpu lane may use: "plain", "avx2", "avx512", "neon", "neon-dot";
                              NULL: the best that there are; for tests                                          */
    enum sto_copy_body copy; /* one that the device does not have is STO_ERR_USAGE                              */
    const char *trace;    /* file that gets a timeline of copies and computation: runtime/trace.h; NULL: none. Steps are
                             then handed to the device one at a time. Without a device: STO_ERR_USAGE            */
};

struct sto_engine;

/* Places the model's weights on the device and, for layers of other lanes, in host memory; nothing is read from the
 * file afterwards. The model and the device must outlive the engine. Embedding and logits are the device's, whatever
 * the lanes; device NULL: everything is on the processor, params->lanes do not count. The first time that a device
 * (with this driver, and this build) gets an engine, its kernels are tested, which takes up to two seconds; one that
 * answers wrongly is set aside with a warning. STO_ERR_NO_DEVICE: nothing can take the place of such a kernel. */
enum sto_status sto_engine_create(struct sto_device *device, const struct sto_model *model,
                                  const struct sto_engine_params *params, const struct sto_callbacks *callbacks,
                                  struct sto_engine **out, struct sto_error *err);
void sto_engine_destroy(struct sto_engine *engine);

struct sto_engine_info {
    uint32_t ctx_tokens;           /* the context that was chosen                                        */
    uint32_t ubatch_tokens;
    uint32_t logit_rows;           /* items of one sto_engine_eval that may want logits                  */
    uint64_t weight_bytes;         /* weights on the device, the ring of streamed layers included        */
    uint64_t streamed_bytes;       /* weights that are copied to the device in every pass                */
    uint64_t disk_bytes;           /* of these, what is read from the model's file in every pass         */
    uint64_t disk_read_bytes;      /* read so far, for passes                                            */
    uint64_t ram_bytes, pinned_limit_bytes; /* the budgets that were kept                                */
    uint64_t host_bytes;           /* host memory of this engine: layers, read-ahead, staging, buffers   */
    uint64_t pinned_bytes;         /* of that, what the device reads                                     */
    uint32_t streamed_layers, ring_slots;
    uint64_t cpu_bytes;            /* weights that the processor reads, in host memory                      */
    uint32_t cpu_layers, cpu_threads;
    uint64_t phased_bytes;         /* of these, what is streamed while prompts are read                     */
    uint32_t phased_layers, prompt_tokens; /* and in passes of how many tokens, or more                     */
    const char *cpu_level;         /* instructions that the cpu lane uses: "avx2"; NULL: there is none. Static */
    enum sto_copy_body copy;       /* how they get there; STO_COPY_AUTO without streamed layers          */
    uint64_t kv_bytes_per_token;   /* KV cache, all layers                                               */
    uint64_t read_bytes_per_token; /* weights that one decoded token reads: for GB/s                     */
    uint64_t scratch_bytes;        /* activations                                                        */
    uint64_t load_ns;              /* time that sto_engine_create took                                   */
    /* The recorded decode step: commands and barriers in all, and of all layers together; 0 until one was recorded. */
    uint32_t step_dispatches, step_barriers, layer_dispatches, layer_barriers;
};
void sto_engine_get_info(const struct sto_engine *engine, struct sto_engine_info *out);

/* ---- sessions --------------------------------------------------------------------------------------------- */

struct sto_session;

enum sto_status sto_session_create(struct sto_engine *engine, struct sto_session **out, struct sto_error *err);
void sto_session_destroy(struct sto_session *session);

/* Which rows of logits an eval gives. */
enum sto_logits { STO_LOGITS_NONE, STO_LOGITS_LAST, STO_LOGITS_ALL };

/* Appends n_tokens >= 1 ids to the sequence. Tokens go through the layers in groups of at most the engine's
 * ubatch. logits receives [rows, n_vocab] f32, rows = 0, 1 or n_tokens by `want`; may be NULL for NONE, and for LAST,
 * where sto_session_logits then has them without a copy.
 * STO_ERR_USAGE: an id is out of range, or the context would overflow (nothing is appended then).
 * After another failure the session's length is what sto_session_length says. */
enum sto_status sto_session_eval(struct sto_session *session, const uint32_t *tokens, size_t n_tokens,
                                 enum sto_logits want, float *logits, struct sto_error *err);

/* The logits [n_vocab] of the last token that an eval with STO_LOGITS_LAST evaluated, where the device put them: valid
 * until the next call for any session of the engine. Read them once: that memory need not be cached. */
const float *sto_session_logits(const struct sto_session *session);

/* What one sequence has in a pass of several. */
struct sto_eval_item {
    struct sto_session *session; /* of this engine; in no other item of the call                                */
    const uint32_t *tokens;      /* [n_tokens] appended to the sequence                                         */
    uint32_t n_tokens;           /* >= 1                                                                        */
    bool want_logits;            /* of the last one                                                             */
    /* what came of it */
    enum sto_status status;      /* STO_ERR_USAGE: an id is out of range, or the context has no room for them;
                                    STO_ERR_CANCELLED: sto_session_cancel; the item was then left out           */
    const float *logits;         /* [n_vocab] where the device put them, valid until the next call for any session
                                    of the engine; NULL: not wanted, or left out. Read once: need not be cached */
};

/* Evaluates several sequences in one pass: weights are read (and streamed) once for all of them. A decoding sequence
 * has one token, one that reads its prompt as many as there is room for; both go together. Each item's logits are those
 * that sto_session_eval would give for it alone: bit for bit with STO_MATH_EXACT and deterministic, else within the
 * bound of its arithmetic, since other kernels are right for more columns; so too with phased layers, where a pass as
 * a whole is a prompt or not.
 * An item that cannot be evaluated is left out, with its status, and the others go on.
 * All n_tokens together are at most info.ubatch_tokens, items that want logits at most info.logit_rows; both are
 * STO_ERR_USAGE, as is a session that comes twice, or an item without tokens: then nothing was evaluated, and nothing
 * in items was changed. After another failure no sequence has grown, but the call cannot be repeated on a lost device.
 * Passes of one token each, with logits, of as many sequences as the last time are replayed, others recorded. */
enum sto_status sto_engine_eval(struct sto_engine *engine, struct sto_eval_item *items, size_t n_items,
                                struct sto_error *err);

/* How sto_session_generate draws: top-k, top-p, min-p, temperature, in this order, then a draw; what each does is said
 * in host/sampler.h, whose sampler gives the same tokens for the same logits, seed and number of the draw.
 * Zero-initialised: always the token with the largest logit, the lowest id among equals. */
struct sto_generation_params {
    float temperature;   /* >= 0; 0: the largest logit, and the four that follow do not matter             */
    uint32_t top_k;      /* 0: off                                                                         */
    float top_p;         /* (0, 1]; 1: off                                                                 */
    float min_p;         /* [0, 1); 0: off                                                                 */
    uint64_t seed;
    uint64_t first_draw; /* number of the first draw; each token takes one                                 */
    const uint32_t *end_tokens; /* [n_end_tokens] a token of these is the last one                         */
    size_t n_end_tokens;
    uint32_t depth;      /* steps handed to the device ahead of the one waited for, 1 to 8; 0: 2            */
    void *user;
    /* Called with each token in order. Return true to stop after this one. NULL: none. */
    bool (*on_token)(void *user, uint32_t token);
};

/* Evaluates `token`, draws the token that follows, evaluates that one, and so on, all on the device: the host hands
 * over the next steps while one runs, and reads ids, never logits. Ends after n_steps tokens, after an end token, or
 * when on_token stops it. tokens [n_steps] (or NULL) receives what was drawn, *n_tokens how many (both also after an
 * error). The last one has not been evaluated: it is the `token` of the next call. So the sequence grows by *n_tokens:
 * `token`, and all drawn ones but the last. Steps that were already queued behind the end are forgotten.
 * Allocates nothing once an engine has made `depth` recordings; one vkQueueSubmit2 call per step, and one more.
 * With layers on the processor steps run one at a time, whatever the depth. An engine without a device draws at
 * temperature 0 alone (STO_ERR_USAGE).
 * STO_ERR_USAGE: a parameter or id is out of range, the vocabulary has more than 2^19 tokens, or n_steps more do not
 * fit in the context (nothing is evaluated then). STO_ERR_FAILED: no token can follow, because all logits are NaN or
 * -infinity; or the device draws wrongly, as its self-test has shown. STO_ERR_CANCELLED: see sto_session_cancel. */
enum sto_status sto_session_generate(struct sto_session *session, uint32_t token,
                                     const struct sto_generation_params *params, uint32_t n_steps, uint32_t *tokens,
                                     uint32_t *n_tokens, struct sto_error *err);

/* Tokens in the sequence. */
uint32_t sto_session_length(const struct sto_session *session);
/* Forgets all but the first n_tokens; n_tokens <= length. */
void sto_session_truncate(struct sto_session *session, uint32_t n_tokens);

/* Makes the eval or generate that is running, or the next one, return STO_ERR_CANCELLED at the next group of tokens or
 * the next token. Any thread; safe in a signal handler. */
void sto_session_cancel(struct sto_session *session);

#ifdef __cplusplus
}
#endif
#endif

/* The seam between the engine and model files: what models/ fills in and the engine reads.
 *
 * runtime/ knows no file format and no model's name: it sees hyperparameters for sizing, a flat list of weights, and
 * functions that record the forward pass. A model is read-only once opened; engines borrow it. */
#ifndef STO_MODEL_H
#define STO_MODEL_H

#include "runtime/base/cursor.h"
#include "runtime/ops/ops.h"
#include "runtime/random_fill.h"

/* What a weight is to the decoder. Roles from STO_W_ATTN_NORM on occur once per layer. */
enum sto_weight_role {
    STO_W_TOKEN_EMBD,  /* [n_vocab, n_embd]                                */
    STO_W_OUTPUT_NORM, /* [n_embd]                                         */
    STO_W_OUTPUT,      /* [n_vocab, n_embd]; absent: tied to TOKEN_EMBD    */
    STO_W_ROPE_FREQS,  /* [rope_dims / 2] frequency divisors; read on the host */
    STO_W_ATTN_NORM,   /* [n_embd]                                         */
    STO_W_Q,           /* [n_heads * head_dim, n_embd]                     */
    STO_W_K,           /* [n_kv_heads * head_dim, n_embd]                  */
    STO_W_V,           /* likewise                                         */
    STO_W_Q_BIAS,      /* [n_heads * head_dim]                             */
    STO_W_K_BIAS,      /* [n_kv_heads * head_dim]                          */
    STO_W_V_BIAS,
    STO_W_Q_NORM,      /* [head_dim]                                       */
    STO_W_K_NORM,      /* [head_dim]                                       */
    STO_W_O,           /* [n_embd, n_heads * head_dim]                     */
    STO_W_O_BIAS,      /* [n_embd]                                         */
    STO_W_FFN_NORM,    /* [n_embd]                                         */
    STO_W_GATE,        /* [n_ff, n_embd]                                   */
    STO_W_UP,          /* [n_ff, n_embd]                                   */
    STO_W_DOWN,        /* [n_embd, n_ff]                                   */
    STO_W_COUNT,
    STO_W_FIRST_OF_LAYER = STO_W_ATTN_NORM
};

/* One weight in the file. Vectors (norms, biases) have rows 1 and become f32 on the device. */
struct sto_model_weight {
    enum sto_weight_role role;
    uint32_t layer;        /* 0 for weights outside layers */
    enum sto_type type;
    uint32_t rows, cols;
    uint64_t bytes;        /* in the file                  */
    const void *source;    /* the model's own handle, for sto_model_vtable.read_weight */
    char name[64];         /* the file's name for it, for errors */
};

/* Sizes and switches of one decoder; the same fields serve every family. */
struct sto_hparams {
    uint32_t n_vocab, n_ctx_train, n_layers, n_embd, n_ff;
    uint32_t n_heads, n_kv_heads, head_dim;
    uint32_t rope_dims, rope_kind; /* ROPE_* of shaders/shared/args.h                  */
    float rope_scale;              /* YaRN's attention factor, else 1                  */
    float norm_eps;
    float attn_scale;              /* of q . k, usually 1 / sqrt(head_dim)              */
    float embd_scale;              /* 1: none                                          */
    uint32_t act;                  /* ACT_*                                            */
};

/* One temporary of a step and the part of the step in which it lives; offsets are planned so that temporaries that do
 * not live at the same time share memory. */
struct sto_scratch_item {
    uint64_t bytes;
    uint32_t first, last; /* phases, inclusive; any numbering that increases through a step */
    uint64_t offset;      /* result                                                         */
};
/* Fills in offsets (256-byte aligned) and returns the bytes that all items need together. n <= 64. */
uint64_t sto_scratch_plan(struct sto_scratch_item *items, uint32_t n);

/* The weights as they lie on the device, at sto_device_weight_index(role, layer). Vectors are F32 with rows 1, lie in a
 * piece that never moves, and may be pushed by address; matrices go through the piece table. */
struct sto_device_weights {
    struct sto_weight *weights; /* [STO_W_FIRST_OF_LAYER + n_layers * (STO_W_COUNT - STO_W_FIRST_OF_LAYER)] */
};
uint32_t sto_device_weight_index(enum sto_weight_role role, uint32_t layer);
/* address 0: the model has no such weight. */
struct sto_weight sto_device_weight(const struct sto_device_weights *w, enum sto_weight_role role, uint32_t layer);

/* A pass being recorded. */
struct sto_forward {
    struct sto_ops ops;
    const struct sto_device_weights *weights;
    uint64_t rope_freqs;             /* f32 [rope_dims / 2]                                        */
    uint64_t scratch;                /* device address of the scratch buffer                        */
    uint64_t step_host, step;        /* the two step blocks; step_host 0: the device's is filled in     */
    const struct sto_buffer *groups; /* indirect group counts                                       */
    const struct sto_kv_layer *kv;   /* [n_layers]                                                  */
    uint32_t n_cols, max_cols;       /* columns of this pass, and what scratch was planned for      */
    uint32_t ctx_tokens;
    uint32_t max_tokens;             /* no column sees more KV than this; 0: not known when recording */
    const struct sto_column_run *runs; /* [n_runs] which columns belong together; NULL: all are of one sequence */
    uint32_t n_runs;
    const uint32_t *logit_cols;      /* [n_rows] ascending: columns whose logits are wanted; NULL: from first_col on */
};

struct sto_model;

struct sto_model_vtable {
    /* Scratch bytes for max_cols columns at a context of ctx_tokens. */
    uint64_t (*scratch_bytes)(const struct sto_model *model, uint32_t max_cols, uint32_t ctx_tokens);
    /* Step block to embedded columns; one layer; and the logits [n_rows, n_vocab] of n_rows columns from first_col. */
    void (*record_begin)(const struct sto_model *model, struct sto_forward *f);
    void (*record_layer)(const struct sto_model *model, struct sto_forward *f, uint32_t layer);
    /* What layers hand on, f32 [n_cols, n_embd] in the scratch: all that must cross to go on elsewhere. */
    struct sto_tensor (*residual)(const struct sto_model *model, const struct sto_forward *f);
    /* Goes on at `layer` (n_layers: at the logits) from a residual that was put there: makes what the layer before it
     * would have left beside it. */
    void (*record_resume)(const struct sto_model *model, struct sto_forward *f, uint32_t layer);
    void (*record_logits)(const struct sto_model *model, struct sto_forward *f, uint32_t first_col, uint32_t n_rows,
                          struct sto_tensor logits);
    /* Reads bytes of a weight from the file: any thread. A file that has shrunk is an error, not a signal. */
    enum sto_status (*read_weight)(const struct sto_model *model, const struct sto_model_weight *weight,
                                   uint64_t offset, void *dst, size_t size, struct sto_error *err);
    /* Bytes that read_weight gave will not be wanted again soon: the system's cache may drop them. NULL: nothing to do.
     * Any thread. */
    void (*forget_weight)(const struct sto_model *model, const struct sto_model_weight *weight, uint64_t offset,
                          size_t size);
    void (*close)(struct sto_model *model);
};

/* A matrix that is made on the device instead of being read. */
struct sto_random_weight {
    struct sto_random_block block;
    uint64_t seed;
};

struct sto_model {
    char arch[32], name[128], path[1024];
    struct sto_hparams h;
    float *rope_freqs;               /* [rope_dims / 2] radians per position and pair, all scaling applied */
    struct sto_model_weight *weights;
    uint32_t n_weights;
    struct sto_random_weight *random; /* [n_weights] of matrices without a file; NULL: weights are read         */
    bool has_data;                   /* false: header only                                                 */
    const struct sto_model_vtable *vtable;
    void *impl;                      /* models/' own                                                       */
};

#endif

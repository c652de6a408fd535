/* Operations: typed, shape-checked, each records one or a few dispatches. Never allocate, never wait.
 *
 * Shapes are [rows, cols], fastest last. A column of a step (one token) is a row of an activation tensor. Impossible
 * shapes are our own bugs: they are asserted, and fail the recording in release builds. */
#ifndef STO_OPS_H
#define STO_OPS_H

#include "runtime/vk/recorder.h"

/* f32 activations on the device. */
struct sto_tensor {
    uint64_t address;      /* 16-byte aligned                             */
    uint32_t rows, cols;
    uint32_t stride;       /* elements from row to row, a multiple of 4, >= cols */
};

/* A weight matrix [rows, cols] somewhere in a piece, below 4 GiB. Kernels read whole words: a piece is readable up to
 * the next multiple of 4 bytes after its end. */
struct sto_weight {
    enum sto_type type;
    uint32_t piece;        /* index in the piece table                     */
    uint32_t rows, cols;   /* rows outputs, cols inputs; cols a multiple of the block and of 4 */
    uint64_t offset;       /* bytes in the piece, a multiple of 16         */
    uint64_t address;      /* where the piece is now, plus offset: for hazards only, never pushed; 0: absent weight */
};

/* What every operation needs. */
enum { STO_OP_COUNTERS = 32768 };
struct sto_cpu;
struct sto_ops {
    struct sto_cpu *cpu;   /* not NULL: operations are done at once, on the processor: runtime/cpu/cpu.h. Then of the
                              following only math and deterministic count */
    struct sto_recording *rec;
    const struct sto_device_plan *plan;
    uint64_t pieces;       /* device address of the piece table, uint64 per piece */
    uint64_t counters;     /* device address of uint32 [STO_OP_COUNTERS], which are zero between dispatches: workgroups
                              count themselves there, so that the last one can go on (shaders/lib/last.glsl) */
    enum sto_math math;    /* EXACT: float products only; INT8: 8-bit activations wherever there is a kernel */
    bool deterministic; /* a column's result does not depend on its neighbours: only kernels that treat columns alone */
};

/* What a norm makes: g * x / sqrt(mean(x^2) + eps) of every row. */
struct sto_op_norm_args {
    struct sto_tensor y;   /* [n, x.cols] in f32; address 0: not wanted */
    uint64_t yq;           /* in the 8-bit form that sto_op_quantize would make of it; 0: not wanted */
    uint64_t g;            /* f32 [x.cols], or 0: ones */
    float eps;
};

struct sto_op_matmul_args {
    struct sto_tensor y;   /* [n, w.rows]    */
    struct sto_weight w;
    struct sto_tensor x;   /* [n, w.cols]    */
    uint64_t xq;           /* 8-bit form of x as sto_op_quantize made it, or 0: not made, float products are used */
    uint64_t bias;         /* f32 [w.rows] or 0 */
    bool accumulate;       /* y += instead of y = */
    /* glu: the first half of w's rows makes gate, the second up, and then act(gate) * up goes to the first half of y's
     * columns, or to glu_q8 in 8 bits if that is not 0; the rest of y may be overwritten. No bias, no accumulate. */
    bool glu;
    uint32_t act;          /* ACT_* */
    uint64_t glu_q8;
    const struct sto_op_norm_args *norm; /* and then the norm of y; NULL: none */
};

/* y = x W^T. Picks matrix-vector (n <= 8, or always when deterministic) or matrix-matrix, float or 8-bit, from the
 * plan. What follows the product is part of its dispatch where it can be, for few columns, else recorded after it; the
 * bits are the same. */
void sto_op_matmul(struct sto_ops *ops, const struct sto_op_matmul_args *a);

/* The kernel that it records for n columns, with 8-bit activations or without; STO_KERNEL_COUNT: the plan has none. */
enum sto_kernel sto_op_matmul_kernel(const struct sto_ops *ops, enum sto_type type, uint32_t n, bool q8);

/* From the plan's constants of a matrix-vector kernel to those of a dispatch over cols columns, 1 to 8: what
 * sto_op_matmul specialises the kernel for. */
void sto_op_matvec_tuning(struct sto_tuning *tuning, uint32_t cols);
/* Likewise of a kernel whose invocations own whole rows, for a product of w with any number of columns. */
void sto_op_matrows_tuning(struct sto_tuning *tuning, const struct sto_weight *w, uint32_t cols);
/* Likewise of a kernel of cooperative matrices, for a product of w with any number of columns. */
void sto_op_coopmat_tuning(const struct sto_device_plan *plan, enum sto_kernel kernel, const struct sto_weight *w,
                           uint32_t cols, struct sto_tuning *tuning);
/* True when sto_op_matmul would use the 8-bit path for this weight and n columns: then the caller quantises x first. */
bool sto_op_wants_q8(const struct sto_ops *ops, const struct sto_weight *w, uint32_t n);
/* xq: 8-bit form of x, STO_Q8_BYTES(x.cols) per row. */
void sto_op_quantize(struct sto_ops *ops, uint64_t xq, struct sto_tensor x);
uint64_t sto_op_q8_bytes(uint32_t rows, uint32_t cols);

/* y[c] = scale * w[token of column c]. step: device address of the step block. */
void sto_op_embed(struct sto_ops *ops, struct sto_tensor y, struct sto_weight w, uint64_t step, float scale);
/* In one form or both. */
void sto_op_norm(struct sto_ops *ops, struct sto_tensor x, const struct sto_op_norm_args *a);
/* g: f32 [cols], 16-byte aligned, or 0. y may be x. */
void sto_op_rmsnorm(struct sto_ops *ops, struct sto_tensor y, struct sto_tensor x, uint64_t g, float eps);
/* The same, in the 8-bit form that sto_op_quantize would make of the result; x.cols a multiple of 32. */
void sto_op_rmsnorm_q8(struct sto_ops *ops, uint64_t yq, struct sto_tensor x, uint64_t g, float eps);
/* y = act(gate) * up, act: ACT_SILU or ACT_GELU of shaders/shared/args.h. y may be gate. */
void sto_op_glu(struct sto_ops *ops, struct sto_tensor y, struct sto_tensor gate, struct sto_tensor up, uint32_t act);
/* The same, in the 8-bit form that sto_op_quantize would make of the result; gate.cols a multiple of 32. */
void sto_op_glu_q8(struct sto_ops *ops, uint64_t yq, struct sto_tensor gate, struct sto_tensor up, uint32_t act);

struct sto_op_step_args {
    uint64_t host;                    /* step block in upload memory                        */
    uint64_t step;                    /* step block in device memory                        */
    const struct sto_buffer *groups;  /* device buffer of 3 uint32 at offset 0, for indirect dispatch */
    uint32_t max_cols, n_kv_heads;
};
void sto_op_step_begin(struct sto_ops *ops, const struct sto_op_step_args *a);

/* One layer's KV cache as kernels see it. */
struct sto_kv_layer {
    enum sto_type type;     /* F32, F16, Q8_0, IQ4_NL                                      */
    uint64_t table;         /* device address: uint64 [sequences, pages] of page addresses */
    uint32_t pages;         /* per sequence                                                */
    uint32_t n_kv_heads, head_dim;
    uint64_t base, bytes;   /* the range that all pages of this layer lie in: for hazards  */
};
/* Bytes of one page (K and V of KV_PAGE tokens, one layer), and of its K part. */
uint64_t sto_kv_page_bytes(enum sto_type type, uint32_t n_kv_heads, uint32_t head_dim);
uint32_t sto_kv_v_offset(enum sto_type type, uint32_t n_kv_heads, uint32_t head_dim);

struct sto_op_rope_kv_args {
    uint64_t step;
    struct sto_tensor qkv;       /* [n, (n_heads + 2 n_kv_heads) * head_dim]; q and k parts change in place */
    struct sto_kv_layer kv;
    uint64_t freqs;              /* f32 [rope_dims / 2] */
    uint64_t q_norm, k_norm;     /* f32 [head_dim] or 0 */
    uint32_t n_heads, rope_dims, rope_kind; /* ROPE_* */
    float eps, rope_scale;
};
void sto_op_rope_kv(struct sto_ops *ops, const struct sto_op_rope_kv_args *a);

/* Columns of a step that attention takes together. */
struct sto_column_run {
    uint32_t n_cols;
    uint32_t max_tokens; /* no column of them sees more KV than this, > 0                                    */
    bool one_sequence;   /* consecutive positions of one sequence; else any columns, each on its own         */
};

struct sto_op_attention_args {
    uint64_t step;
    const struct sto_buffer *groups; /* as in sto_op_step_begin                                     */
    struct sto_tensor o;             /* [n, n_heads * head_dim]                                     */
    uint64_t oq;                     /* not 0: the result goes there in 8 bits, as sto_op_quantize would make it, and o
                                        holds anything; then o.cols is a multiple of 32             */
    struct sto_tensor q;             /* [n, >= n_heads * head_dim], head h at columns h * head_dim  */
    struct sto_kv_layer kv;
    uint64_t partial;                /* scratch, sto_op_attention_scratch bytes                     */
    uint32_t n_heads;
    uint32_t window;                 /* 0: none */
    uint32_t max_tokens;             /* no column sees more KV than this; 0: not known when recording (replayed) */
    const struct sto_column_run *runs; /* [n_runs] in order, n columns together; NULL: one run, of one sequence */
    uint32_t n_runs;
    float scale, softcap;            /* softcap 0: none */
};
/* A run of n <= 8 or of several sequences, or deterministic: decode kernels (8 columns at a time when there are more).
 * Else prefill, where the driver stands its length. Without runs, columns may still belong to different sequences where
 * decode kernels do the work. */
void sto_op_attention(struct sto_ops *ops, const struct sto_op_attention_args *a);
/* Scratch bytes at a context of ctx tokens, however many columns there are. */
uint64_t sto_op_attention_scratch(uint32_t n_heads, uint32_t head_dim, uint32_t ctx_tokens);

/* Draws the next token of a step of one column. shaders/shared/sample.h describes the block and the results. */
enum { STO_SAMPLE_MAX_VOCAB = 1 << 19 };
struct sto_op_sample_args {
    struct sto_tensor logits;        /* [1, n_vocab], n_vocab <= STO_SAMPLE_MAX_VOCAB                        */
    uint64_t scratch;                /* sto_op_sample_scratch bytes, 4-byte aligned                          */
    uint64_t block;                  /* struct SampleBlock in device memory; read, and its counters advanced */
    uint64_t ring;                   /* uint32 [SAMPLE_RING]; element block.step % SAMPLE_RING is written    */
    uint64_t step;                   /* step block in device memory: its column becomes the token drawn, one
                                        position later, unless the chain has ended                          */
    const struct sto_buffer *groups; /* as in sto_op_step_begin; made to fit the next step                   */
    uint32_t n_kv_heads;
};
/* False where the device draws wrongly: then the host has to. */
static inline bool sto_op_can_sample(const struct sto_device_plan *plan)
{
    return !plan->set_aside[STO_KERNEL_sample_max] && !plan->set_aside[STO_KERNEL_sample_pick];
}
void sto_op_sample(struct sto_ops *ops, const struct sto_op_sample_args *a);
uint64_t sto_op_sample_scratch(uint32_t n_vocab);

/* The kernels that steps of a model will use whose matrices have the marked types [STO_TYPE_COUNT], for making their
 * pipelines ahead. kernels has room for STO_KERNEL_COUNT; returns how many. Only ops' plan, math and deterministic
 * count. */
uint32_t sto_op_list_kernels(const struct sto_ops *ops, const bool *types, enum sto_type embd, enum sto_type kv_type,
                             enum sto_kernel *kernels);

#endif

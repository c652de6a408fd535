/* Argument structs of the kernels: pushed as push constants, read by C and by GLSL (std430 and C agree: 8-byte members
 * first, then 4-byte ones; at most 128 bytes; sizes are asserted in runtime/ops/).
 *
 * Addresses are device addresses of what the name says. Weights are found through the piece table (one uint64 address
 * per piece): address = pieces[piece] + 16 * offset16, so that a recording survives when a piece moves. */
#ifndef STO_SHARED_ARGS_H
#define STO_SHARED_ARGS_H

#include "sample.h"
#include "step.h"

#define FLAG_BIAS 1u       /* add bias[row]                       */
#define FLAG_ACCUMULATE 2u /* add to y instead of overwriting it  */
/* What matvec and matrows kernels do besides, in a single dispatch (row0 is 0, rows are all outputs):            */
#define FLAG_GLU 4u    /* y[c, r] = act(row r) * row (n_out / 2 + r), for rows = n_out / 2; no bias, no accumulate */
#define FLAG_GELU 8u   /* act is GELU, not SiLU                                                                    */
#define FLAG_NORM 16u  /* and then h[c, r] = g[r] * y[c, r] / sqrt(mean(y[c, :]^2) + eps)                           */
#define FLAG_OUT_Q8 32u /* 8-bit kernels: h is 8-bit activations, with FLAG_GLU those of y                          */

/* y[c, r] = sum_k w[r, k] x[c, k] (+ bias[r]) (+ y[c, r])   for columns c in [0, n_cols) and rows r in [0, n_out) */
struct MatArgs {
    uint64_t pieces;     /* piece table                                                            */
    uint64_t x;          /* f32 [n_cols, n_in], rows x_stride elements apart; _q8 kernels: see below */
    uint64_t y;          /* f32 [n_cols, n_out], rows y_stride elements apart                      */
    uint64_t bias;       /* f32 [n_out], or 0                                                      */
    uint32_t piece;      /* of w                                                                   */
    uint32_t offset16;   /* of w in its piece, in units of 16 bytes                                */
    uint32_t n_in;       /* a multiple of the weight format's block and of 4                       */
    uint32_t n_out;
    uint32_t n_cols;
    uint32_t x_stride;
    uint32_t y_stride;
    uint32_t flags;      /* FLAG_*                                                                 */
    uint32_t row0;       /* first row this dispatch works on (large matrices are split by rows)    */
    uint32_t rows;       /* rows this dispatch works on                                            */
    uint64_t done;       /* uint32 [n_out / 32 and at least 1], zero before and after, for what the flags ask */
    uint64_t g;          /* f32 [n_out], or 0 for ones                                             */
    uint64_t h;          /* f32 [n_cols, n_out], rows h_stride apart, or 8-bit activations         */
    uint32_t h_stride;
    float eps;
};
/* _q8 kernels: x is what quantize_q8 wrote: for each column n_in int8, then (16-byte aligned) for each block of 32 a
 * struct of two f32: scale d = amax/127, and d * (sum of the 32 int8). Columns are q8_col_bytes(n_in) apart. */
#define Q8_COL_BYTES(n_in) (((n_in) + ((n_in) / 32u) * 8u + 15u) & ~15u)

/* xq = 8-bit activations of x, as above; n_in a multiple of 32 */
struct QuantizeArgs {
    uint64_t x;  /* f32 [n_cols, n_in], rows x_stride apart */
    uint64_t xq;
    uint32_t n_in;
    uint32_t n_cols;
    uint32_t x_stride;
    uint32_t reserved;
};

/* y[c, :] = scale * w[token(c), :] */
struct EmbedArgs {
    uint64_t pieces;
    uint64_t step;     /* step block          */
    uint64_t y;        /* f32 [n_cols, n_in]  */
    uint32_t piece;
    uint32_t offset16;
    uint32_t n_in;     /* a multiple of the weight format's block and of 4 */
    uint32_t n_cols;
    uint32_t n_vocab;  /* ids are clamped to this, so that a bad id reads nothing foreign */
    float scale;
};

/* y[r, i] = g[i] * x[r, i] / sqrt(mean_i(x[r, i]^2) + eps) */
struct NormArgs {
    uint64_t x; /* f32 [rows, n], rows x_stride apart */
    uint64_t y; /* f32 [rows, n], rows y_stride apart; may alias x. rmsnorm_q8: 8-bit activations */
    uint64_t g; /* f32 [n], or 0 for ones */
    uint32_t n;
    uint32_t rows;
    uint32_t x_stride;
    uint32_t y_stride;
    float eps;
    uint32_t reserved;
};

/* QK-norm, RoPE and KV write for one layer, in place on q; one workgroup per (head, column).
 *   qkv  f32 [n_cols, (n_heads + 2 n_kv_heads) * head_dim]: q heads, then k heads, then v heads */
#define ROPE_NONE 0u
#define ROPE_NORM 1u /* pairs (2i, 2i+1)            */
#define ROPE_NEOX 2u /* pairs (i, i + rope_dims/2)  */
struct RopeKvArgs {
    uint64_t step;
    uint64_t qkv;
    uint64_t freqs;     /* f32 [rope_dims/2]: radians per position of each pair, all scaling applied by the host */
    uint64_t q_norm;    /* f32 [head_dim] or 0 */
    uint64_t k_norm;    /* f32 [head_dim] or 0 */
    uint64_t kv_table;  /* uint64 [n_sequences, kv_pages]: device address of each page of this layer */
    uint32_t n_cols;
    uint32_t n_heads;
    uint32_t n_kv_heads;
    uint32_t head_dim;  /* a multiple of 8, of 32 with a quantised cache; <= 512 */
    uint32_t rope_dims; /* even, <= head_dim */
    uint32_t rope_kind;
    uint32_t kv_pages;  /* pages per sequence in kv_table */
    uint32_t v_offset;  /* bytes from a page's beginning to its V part */
    float eps;
    float rope_scale;   /* multiplies cos and sin (YaRN's attention factor) */
};
/* A KV page of one layer: K [n_kv_heads, KV_PAGE, head_dim], then at v_offset V likewise, in the cache's format;
 * quantised formats pack each row of head_dim as blocks of 32. */

/* o[c, h, :] = sum_t softmax_t(scale * q[c, h, :] . k[t, kv(h), :]) v[t, kv(h), :]  over t <= position(c)
 * attn_decode makes partial results per KV piece, and merges them in order; attn_prefill does all at once. */
#define ATTN_PARTIAL(head_dim) ((head_dim) + 4u) /* f32 of a partial result: o unnormalised, m, l, two unused */
struct AttnArgs {
    uint64_t step;
    uint64_t q;         /* f32, column c at q + 4 * c * q_stride, heads head_dim apart       */
    uint64_t o;         /* f32 [n_cols, n_heads * head_dim]; with out_q8 8-bit activations    */
    uint64_t kv_table;
    uint64_t partial;   /* f32 [n_cols, n_heads, max_pieces, ATTN_PARTIAL(head_dim)]          */
    uint64_t done;      /* uint32 [n_cols, n_kv_heads]: pieces that are done; zero before and after */
    uint32_t n_cols;    /* columns of this dispatch                                           */
    uint32_t col0;      /* first column                                                       */
    uint32_t n_heads;
    uint32_t n_kv_heads;
    uint32_t head_dim;
    uint32_t q_stride;
    uint32_t kv_pages;
    uint32_t v_offset;
    uint32_t max_pieces;
    uint32_t window;    /* sliding window in tokens; 0: none */
    float scale;
    float softcap;      /* 0: none */
    uint32_t out_q8;    /* attn_decode only; then head_dim is a multiple of 32 */
    uint32_t reserved;
};

/* y[r, i] = act(gate[r, i]) * up[r, i] */
#define ACT_SILU 0u
#define ACT_GELU 1u
struct GluArgs {
    uint64_t gate; /* f32 [rows, n], rows stride apart */
    uint64_t up;   /* likewise                         */
    uint64_t y;    /* f32 [rows, n]; glu_q8: 8-bit activations */
    uint32_t n;
    uint32_t rows;
    uint32_t stride;
    uint32_t act;
};

/* Copies the host's step block to the device and fills the indirect group counts of the attention kernels. */
struct StepBeginArgs {
    uint64_t host;     /* step block in upload memory              */
    uint64_t step;     /* step block in device memory              */
    uint64_t groups;   /* uint32 [3]: n_pieces, n_kv_heads, n_cols */
    uint32_t max_cols;
    uint32_t n_kv_heads;
};

/* sample_max: the largest key of each block of SAMPLE_BLOCK logits (lib/sample.glsl says what a key is). sample_pick:
 * draws a token as the sampling block says, keeps it in the ring, and makes it the step block's next column. */
struct SampleArgs {
    uint64_t logits;     /* f32 [n_vocab]                                        */
    uint64_t maxima;     /* uint32 [ceil(n_vocab / SAMPLE_BLOCK)]                */
    uint64_t block;      /* struct SampleBlock                                   */
    uint64_t ring;       /* uint32 [SAMPLE_RING]                                 */
    uint64_t step;       /* step block of one column                             */
    uint64_t groups;     /* uint32 [3]: as step_begin fills them                 */
    uint32_t n_vocab;
    uint32_t n_kv_heads;
};

/* y[i] = factor * x[i] + addend */
struct ProbeArgs {
    uint64_t x; /* uint32 [n], 16-byte aligned */
    uint64_t y; /* uint32 [n]; may be x        */
    uint32_t n; /* a multiple of 4             */
    uint32_t factor;
    uint32_t addend;
    uint32_t reserved;
};

/* Random bits in blocks of block_bytes, in which a field is masked; see random_fill.comp. */
struct RandomFillArgs {
    uint64_t dst;         /* 16-byte aligned                                        */
    uint32_t units;       /* of 16 bytes                                            */
    uint32_t tail_bytes;  /* after these, 0 to 15                                   */
    uint32_t first;       /* units between the beginning of the first block and dst */
    uint32_t block_bytes; /* 1 to 4096                                              */
    uint32_t field_at;    /* byte of the block where the field begins               */
    uint32_t field_bytes; /* 0 to 4                                                 */
    uint32_t keep;        /* bits of the field that stay random                     */
    uint32_t set;         /* bits of the field that are set                         */
    uint32_t seed_low;
    uint32_t seed_high;
};

/* y[g, i] = sum of the words that invocation i of workgroup g reads */
struct ReadSumArgs {
    uint64_t x;     /* 16-byte aligned                 */
    uint64_t y;     /* uint32 [workgroups, their size] */
    uint32_t units; /* of 16 bytes, below 2^28         */
    uint32_t reserved;
};

#endif

/* The inner loops of the cpu lane, one table per level of instructions that a processor may have.
 *
 * A level is one source file, kernels_LEVEL.c: it defines a dozen primitives on its vectors and includes
 * kernels_impl.h, which holds the loops, and unpack_impl.h, which holds the weight formats. CMake compiles each with
 * the flags of its level; which one runs is decided when the program runs.
 *
 * Weights meet activations in panels of 256 along n_in, whatever the format's block: a panel is 8-bit integers with a
 * scale and a minimum for each 16, so that formats differ in how a panel is unpacked and in nothing else. Sums are
 * made in an order that depends on n_in and the level alone: a column's result has the same bits whatever shares its
 * product. Thread-safe: there is no state. */
#ifndef STO_CPU_KERNELS_H
#define STO_CPU_KERNELS_H

#include "runtime/strato.h"

enum sto_cpu_level {
    STO_CPU_PLAIN,    /* C alone                                             */
    STO_CPU_NEON,     /* aarch64                                             */
    STO_CPU_NEON_DOT, /* and its integer dot product                         */
    STO_CPU_AVX2,     /* with FMA and F16C                                   */
    STO_CPU_AVX512,   /* F, BW, DQ, VL and VNNI                              */
    STO_CPU_LEVEL_COUNT
};

enum {
    STO_CPU_PANEL = 256,           /* elements of n_in                                          */
    STO_CPU_BLOCK_PANELS = 8,      /* sums are added up at every so many panels                 */
    STO_CPU_BLOCK_ROWS = 16,       /* rows that are unpacked at a time for several columns      */
    STO_CPU_ROOM_BYTES = STO_CPU_BLOCK_ROWS * STO_CPU_BLOCK_PANELS * STO_CPU_PANEL * 4
};

/* A panel of activations in 8 bits: x[i] = d[i / 16] * q[i], d the same for each 32, |q| <= 127. Behind the end of a
 * column everything is 0. */
struct sto_cpu_q8 {
    _Alignas(64) int8_t q[STO_CPU_PANEL];
    float d[STO_CPU_PANEL / 16];
    float sum[STO_CPU_PANEL / 16]; /* d times the sum of 16 q */
};

/* y[c, r] = w[r, :] . x[c, :] + bias[r] (+ y[c, r]) */
struct sto_cpu_product {
    const uint8_t *w;       /* [n_rows, n_in], rows row_bytes apart, any alignment                             */
    uint64_t row_bytes;
    uint32_t n_in, n_rows, n_cols; /* n_in a multiple of the format's block                                    */
    const void *x;          /* [n_cols] of struct sto_cpu_q8 [ceil(n_in / 256)], or of float [n_in]            */
    size_t x_stride;        /* from column to column, in panels or in floats                                   */
    float *y;               /* column c begins y_stride floats after column c - 1                              */
    size_t y_stride;
    const float *bias;      /* [n_rows], or NULL                                                               */
    bool accumulate;
    void *room;             /* STO_CPU_ROOM_BYTES, 64-byte aligned; of this thread alone                       */
};

/* Attention of some rows of queries to some keys, block by block: softmax(q . k) v with a running maximum. */
struct sto_cpu_attention {
    const float *q;         /* [n_rows, head_dim], scale applied                              */
    const float *k, *v;     /* [n_keys, head_dim]                                             */
    float *o;               /* [n_rows, head_dim], to be divided by sum in the end            */
    float *max, *sum;       /* [n_rows]; -infinity and 0 in the beginning                     */
    const uint32_t *n_seen; /* [n_rows] the keys that a row sees: the first so many of n_keys */
    uint32_t n_rows, n_keys, head_dim; /* at most STO_CPU_ATTENTION_ROWS and STO_CPU_KEYS     */
};
enum { STO_CPU_KEYS = 32, STO_CPU_ATTENTION_ROWS = 32 };

struct sto_cpu_kernels {
    const char *name; /* "avx2" */
    void (*quantize)(struct sto_cpu_q8 *xq, const float *x, uint32_t n);
    void (*product_q8[STO_TYPE_COUNT])(const struct sto_cpu_product *p); /* NULL: F32, F16, BF16 */
    void (*product_f32[STO_TYPE_COUNT])(const struct sto_cpu_product *p);
    /* y[i] = g[i] x[i] / sqrt(mean(x^2) + eps); g NULL: ones; y may be x */
    void (*norm)(float *y, const float *x, const float *g, uint32_t n, float eps);
    /* dst [n] from n elements, a multiple of the block; F32, F16, Q8_0, IQ4_NL: what KV caches hold */
    void (*decode)(enum sto_type type, float *dst, const uint8_t *src, uint32_t n);
    void (*attention)(const struct sto_cpu_attention *a);
};

/* The level's kernels; NULL where they were not built, or the processor or its system lacks the instructions. */
const struct sto_cpu_kernels *sto_cpu_kernels_of(enum sto_cpu_level level);

extern const struct sto_cpu_kernels sto_cpu_kernels_plain;
extern const struct sto_cpu_kernels sto_cpu_kernels_neon, sto_cpu_kernels_neon_dot;  /* aarch64 only */
extern const struct sto_cpu_kernels sto_cpu_kernels_avx2, sto_cpu_kernels_avx512;    /* x86-64 only  */

#endif

/* The loops of one level, over the primitives that the including file defines:
 *
 *   LANES                  floats of a vector vf; an integer dot product takes 4 LANES bytes
 *   vf_zero vf_one vf_load vf_store vf_add vf_mul vf_fma vf_fnma vf_sum    as named: fma a b + c, fnma c - a b
 *   vf_dot(q, x)           [LANES] sums of 4 products of a weight byte and an activation byte, as floats
 *   vf_spread(s, j)        from s [16], one factor per 16 elements, those of step j: each for 4 lanes
 *   f16_load, f16_load_n   one f16; n of them
 *   pairs_of_f16(y, bits)  y [16] from 8 f16, each twice
 *   pairs_of_u8(y, words, f)    y [16] from the 8 bytes of two words, each twice, times f
 *   floats_of_u8, _s8(y, bytes, f)   y [16] from 16 bytes, times f
 *   vb                     64 bytes: vb_load, vb_store, vb_or, and
 *   vb_halves(a, b)        32 bytes from each; vb_twice(a): the same 32 twice
 *   vb_bits(v, i, j, mask) bits of each byte from i on in the first 32, from j on in the others, under the mask
 *   vb_nibbles(a, b)       low nibbles of the 16 bytes at a, their high ones, likewise b
 *   vb_fifth(a, b)         16 where a bit is set, of the 32 bits at a, then of those at b
 *   vb_look_up(table, v)   table [16] at each byte below 16
 *   vb_up(v, n), vb_add(v, x)    v << n, which stays in 8 bits; v + x modulo 256
 *   WIDE_BIAS              see unpack_impl.h
 *   TILE_ROWS, TILE_COLS   sums that fit in registers
 *   KERNELS, LEVEL_NAME    the table to define, and its name
 */
#include <math.h>
#include <string.h>

#include "runtime/base/exact_math.h"

#define INLINE static inline __attribute__((always_inline))
#define STEPS (STO_CPU_PANEL / (4 * LANES))

#include "runtime/cpu/unpack_impl.h"

/* ---- 8-bit products ---- */

/* sums [R, C] += panels w [R] . panels x [C]; R and C are constants where this is inlined. */
INLINE void dot_panels(vf *sums, const struct panel *const *w, const struct sto_cpu_q8 *const *x, int R, int C)
{
    for (int i = 0; i < 16 / LANES; i++) {
        for (int r = 0; r < R; r++) {
            const vf min = vf_load(w[r]->min + LANES * i);
            for (int c = 0; c < C; c++)
                sums[r * C + c] = vf_fnma(min, vf_load(x[c]->sum + LANES * i), sums[r * C + c]);
        }
    }
#pragma GCC unroll 16
    for (int j = 0; j < STEPS; j++) {
        vf scale[TILE_ROWS];
        for (int r = 0; r < R; r++)
            scale[r] = vf_spread(w[r]->scale, j);
        for (int c = 0; c < C; c++) {
            const vf d = vf_spread(x[c]->d, j);
            for (int r = 0; r < R; r++) {
                const vf dot = vf_dot(w[r]->q + 4 * LANES * j, x[c]->q + 4 * LANES * j);
                sums[r * C + c] = vf_fma(dot, vf_mul(scale[r], d), sums[r * C + c]);
            }
        }
    }
}

INLINE float first_value(const struct sto_cpu_product *p, uint32_t r, uint32_t c)
{
    const float bias = p->bias != NULL ? p->bias[r] : 0.0f;
    return p->accumulate ? bias + p->y[c * p->y_stride + r] : bias;
}

/* Rows [r, r + R) and columns [c, c + C), of a block of n panels that starts at panel `at`. */
INLINE void tile_q8(const struct sto_cpu_product *p, const struct panel *w, uint32_t at, uint32_t n, uint32_t r,
                    uint32_t c, int R, int C)
{
    const struct sto_cpu_q8 *x = p->x;
    vf sums[TILE_ROWS * TILE_COLS];
    for (int i = 0; i < R * C; i++)
        sums[i] = vf_zero();
    for (uint32_t k = 0; k < n; k++) {
        const struct panel *ws[TILE_ROWS];
        const struct sto_cpu_q8 *xs[TILE_COLS];
        for (int i = 0; i < R; i++)
            ws[i] = w + (uint32_t)i * STO_CPU_BLOCK_PANELS + k;
        for (int i = 0; i < C; i++)
            xs[i] = x + (c + (uint32_t)i) * p->x_stride + at + k;
        dot_panels(sums, ws, xs, R, C);
    }
    for (int i = 0; i < R; i++) {
        for (int k = 0; k < C; k++) {
            const uint32_t row = r + (uint32_t)i, col = c + (uint32_t)k;
            float *y = p->y + col * p->y_stride + row;
            *y = (at == 0 ? first_value(p, row, col) : *y) + vf_sum(sums[i * C + k]);
        }
    }
}

/* TILE(i, c, ROWS, COLS) for rows i of n_rows and all columns c of p: whole tiles, then what is left of either. */
#define OVER_TILES(p, n_rows, TILE)                                                                              \
    do {                                                                                                         \
        uint32_t c = 0;                                                                                          \
        for (; c + TILE_COLS <= (p)->n_cols; c += TILE_COLS) {                                                   \
            uint32_t i = 0;                                                                                      \
            for (; i + TILE_ROWS <= (n_rows); i += TILE_ROWS)                                                    \
                TILE(i, c, TILE_ROWS, TILE_COLS);                                                                \
            for (; i < (n_rows); i++)                                                                            \
                TILE(i, c, 1, TILE_COLS);                                                                        \
        }                                                                                                        \
        for (; c < (p)->n_cols; c++) {                                                                           \
            for (uint32_t i = 0; i < (n_rows); i++)                                                              \
                TILE(i, c, 1, 1);                                                                                \
        }                                                                                                        \
    } while (0)

/* All columns for n_rows rows from r, whose panels lie in w. */
static void block_q8(const struct sto_cpu_product *p, const struct panel *w, uint32_t at, uint32_t n, uint32_t r,
                     uint32_t n_rows)
{
#define TILE(i, c, ROWS, COLS) tile_q8(p, w + (i) * STO_CPU_BLOCK_PANELS, at, n, r + (i), c, ROWS, COLS)
    OVER_TILES(p, n_rows, TILE);
#undef TILE
}

INLINE uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* One column: a panel is used where it was unpacked. Several: some rows are unpacked for all columns. */
#define PRODUCT_Q8(format, block_elems, block_bytes)                                                                   \
    static void product_q8_##format(const struct sto_cpu_product *p)                                                   \
    {                                                                                                                  \
        const size_t panel_bytes = STO_CPU_PANEL / (block_elems) * (block_bytes);                                      \
        const uint32_t n_panels = (p->n_in + STO_CPU_PANEL - 1) / STO_CPU_PANEL;                                       \
        struct panel *w = p->room;                                                                                     \
        for (uint32_t r = 0; p->n_cols == 1 && r < p->n_rows; r++) {                                                   \
            const uint8_t *row = p->w + r * p->row_bytes;                                                              \
            float y = first_value(p, r, 0);                                                                            \
            for (uint32_t at = 0; at < n_panels; at += STO_CPU_BLOCK_PANELS) {                                         \
                vf sum = vf_zero();                                                                                    \
                for (uint32_t k = at; k < least(n_panels, at + STO_CPU_BLOCK_PANELS); k++) {                           \
                    const struct sto_cpu_q8 *x = (const struct sto_cpu_q8 *)p->x + k;                                  \
                    struct panel here;                                                                                 \
                    const struct panel *one = &here;                                                                   \
                    prefetch(row + k * panel_bytes, panel_bytes);                                                      \
                    unpack_##format(&here, row + k * panel_bytes, least(STO_CPU_PANEL, p->n_in - k * STO_CPU_PANEL));  \
                    dot_panels(&sum, &one, &x, 1, 1);                                                                  \
                }                                                                                                      \
                y += vf_sum(sum);                                                                                      \
            }                                                                                                          \
            p->y[r] = y;                                                                                               \
        }                                                                                                              \
        for (uint32_t r = 0; p->n_cols > 1 && r < p->n_rows; r += STO_CPU_BLOCK_ROWS) {                                \
            const uint32_t n_rows = least(STO_CPU_BLOCK_ROWS, p->n_rows - r);                                          \
            for (uint32_t at = 0; at < n_panels; at += STO_CPU_BLOCK_PANELS) {                                         \
                const uint32_t n = least(STO_CPU_BLOCK_PANELS, n_panels - at);                                         \
                for (uint32_t i = 0; i < n_rows; i++) {                                                                \
                    for (uint32_t k = 0; k < n; k++)                                                                   \
                        unpack_##format(&w[i * STO_CPU_BLOCK_PANELS + k],                                              \
                                        p->w + (r + i) * p->row_bytes + (at + k) * panel_bytes,                        \
                                        least(STO_CPU_PANEL, p->n_in - (at + k) * STO_CPU_PANEL));                     \
                }                                                                                                      \
                block_q8(p, w, at, n, r, n_rows);                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

/* Asks for memory some way ahead: what fetches on its own stops at the end of a page. */
INLINE void prefetch(const uint8_t *at, size_t bytes)
{
    enum { AHEAD = 4096 };
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(at + AHEAD + i);
}

PRODUCT_Q8(q4_0, 32, 18)
PRODUCT_Q8(q4_1, 32, 20)
PRODUCT_Q8(q5_0, 32, 22)
PRODUCT_Q8(q5_1, 32, 24)
PRODUCT_Q8(q8_0, 32, 34)
PRODUCT_Q8(q2_k, 256, 84)
PRODUCT_Q8(q3_k, 256, 110)
PRODUCT_Q8(q4_k, 256, 144)
PRODUCT_Q8(q5_k, 256, 176)
PRODUCT_Q8(q6_k, 256, 210)
PRODUCT_Q8(iq4_nl, 32, 18)
PRODUCT_Q8(iq4_xs, 256, 136)
PRODUCT_Q8(mxfp4, 32, 17)

/* A block of 32 with all of |x| below 1e-30 is 0. */
static void quantize(struct sto_cpu_q8 *xq, const float *x, uint32_t n)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, to nearest even */
    for (uint32_t at = 0; at < n; at += 32) {
        struct sto_cpu_q8 *p = &xq[at / STO_CPU_PANEL];
        const uint32_t first = at % STO_CPU_PANEL;
        float top[8] = {0};
        int sums[2] = {0, 0};
        for (int i = 0; i < 32; i++)
            top[i % 8] = fabsf(x[at + (uint32_t)i]) > top[i % 8] ? fabsf(x[at + (uint32_t)i]) : top[i % 8];
        for (int i = 1; i < 8; i++)
            top[0] = top[i] > top[0] ? top[i] : top[0];
        const float d = top[0] >= 1e-30f ? top[0] / 127.0f : 0.0f, id = d > 0.0f ? 1.0f / d : 0.0f;
        for (int i = 0; i < 32; i++) {
            const float rounded = x[at + (uint32_t)i] * id + magic;
            int32_t bits;
            memcpy(&bits, &rounded, sizeof bits);
            p->q[first + (uint32_t)i] = (int8_t)(bits & 0xff);
        }
        for (int i = 0; i < 16; i++) {
            sums[0] += p->q[first + (uint32_t)i];
            sums[1] += p->q[first + 16 + (uint32_t)i];
        }
        for (uint32_t i = 0; i < 2; i++) {
            p->d[first / 16 + i] = d;
            p->sum[first / 16 + i] = d * (float)sums[i];
        }
    }
    for (uint32_t at = n; at % STO_CPU_PANEL != 0; at += 32) {
        struct sto_cpu_q8 *p = &xq[at / STO_CPU_PANEL];
        const uint32_t first = at % STO_CPU_PANEL;
        memset(p->q + first, 0, 32);
        p->d[first / 16] = p->d[first / 16 + 1] = p->sum[first / 16] = p->sum[first / 16 + 1] = 0.0f;
    }
}

/* ---- float products ---- */

/* sums [R, C] += w [R, n] . x [C, n], n a multiple of LANES. */
INLINE void dot_floats(vf *sums, const float *w, size_t w_stride, const float *x, size_t x_stride, uint32_t n, int R,
                       int C)
{
    for (uint32_t k = 0; k < n; k += LANES) {
        vf a[TILE_ROWS];
        for (int r = 0; r < R; r++)
            a[r] = vf_load(w + (size_t)r * w_stride + k);
        for (int c = 0; c < C; c++) {
            const vf b = vf_load(x + (size_t)c * x_stride + k);
            for (int r = 0; r < R; r++)
                sums[r * C + c] = vf_fma(a[r], b, sums[r * C + c]);
        }
    }
}

/* y [R, C] = w [R, n] . x [C, n] */
INLINE void dot_tile(float *y, const float *w, size_t w_stride, const float *x, size_t x_stride, uint32_t n, int R,
                     int C)
{
    const uint32_t whole = n - n % LANES;
    vf sums[TILE_ROWS * TILE_COLS];
    for (int i = 0; i < R * C; i++)
        sums[i] = vf_zero();
    dot_floats(sums, w, w_stride, x, x_stride, whole, R, C);
    for (int r = 0; r < R; r++) {
        for (int c = 0; c < C; c++) {
            float sum = vf_sum(sums[r * C + c]);
            for (uint32_t k = whole; k < n; k++)
                sum += w[(size_t)r * w_stride + k] * x[(size_t)c * x_stride + k];
            y[r * C + c] = sum;
        }
    }
}

INLINE void tile_f32(const struct sto_cpu_product *p, const float *w, uint32_t at, uint32_t n, uint32_t r, uint32_t c,
                     int R, int C)
{
    const float *x = (const float *)p->x + c * p->x_stride + at;
    float sums[TILE_ROWS * TILE_COLS];
    dot_tile(sums, w, STO_CPU_BLOCK_PANELS * STO_CPU_PANEL, x, p->x_stride, n, R, C);
    for (int i = 0; i < R; i++) {
        for (int k = 0; k < C; k++) {
            const uint32_t row = r + (uint32_t)i, col = c + (uint32_t)k;
            float *y = p->y + col * p->y_stride + row;
            *y = (at == 0 ? first_value(p, row, col) : *y) + sums[i * C + k];
        }
    }
}

/* n elements of n_rows rows, as floats in w; their products with all columns. */
static void block_f32(const struct sto_cpu_product *p, const float *w, uint32_t at, uint32_t n, uint32_t r,
                      uint32_t n_rows)
{
    const size_t stride = STO_CPU_BLOCK_PANELS * STO_CPU_PANEL;
#define TILE(i, c, ROWS, COLS) tile_f32(p, w + (i) * stride, at, n, r + (i), c, ROWS, COLS)
    OVER_TILES(p, n_rows, TILE);
#undef TILE
}

INLINE void floats_of_panel(float *dst, const struct panel *p, uint32_t n)
{
    for (uint32_t s = 0; s < n / 16; s++) {
        for (uint32_t i = 16 * s; i < 16 * s + 16; i++)
            dst[i] = p->scale[s] * (float)(WIDE_BIAS == 0 ? (int8_t)p->q[i] : p->q[i]) - p->min[s];
    }
}

#define FLOATS_Q(format, block_elems, block_bytes)                                                                     \
    static void floats_##format(float *dst, const uint8_t *src, uint32_t n)                                            \
    {                                                                                                                  \
        struct panel p;                                                                                                \
        for (uint32_t at = 0; at < n; at += STO_CPU_PANEL) {                                                           \
            const uint32_t here = least(STO_CPU_PANEL, n - at);                                                        \
            unpack_##format(&p, src + at / (block_elems) * (block_bytes), here);                                       \
            floats_of_panel(dst + at, &p, here);                                                                       \
        }                                                                                                              \
    }

static void floats_f32(float *dst, const uint8_t *src, uint32_t n)
{
    memcpy(dst, src, (size_t)n * sizeof *dst);
}

static void floats_f16(float *dst, const uint8_t *src, uint32_t n)
{
    f16_load_n(dst, src, n);
}

static void floats_bf16(float *dst, const uint8_t *src, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)src[2 * i] << 16 | (uint32_t)src[2 * i + 1] << 24;
        memcpy(&dst[i], &bits, sizeof bits);
    }
}

#define PRODUCT_F32(format, block_elems, block_bytes)                                                                  \
    static void product_f32_##format(const struct sto_cpu_product *p)                                                  \
    {                                                                                                                  \
        const uint32_t most = STO_CPU_BLOCK_PANELS * STO_CPU_PANEL;                                                    \
        const uint32_t group = p->n_cols == 1 ? 1 : STO_CPU_BLOCK_ROWS;                                                \
        float *w = p->room;                                                                                            \
        for (uint32_t r = 0; r < p->n_rows; r += group) {                                                              \
            const uint32_t n_rows = least(group, p->n_rows - r);                                                       \
            for (uint32_t at = 0; at < p->n_in; at += most) {                                                          \
                const uint32_t n = least(most, p->n_in - at);                                                          \
                for (uint32_t i = 0; i < n_rows; i++)                                                                  \
                    floats_##format(w + (size_t)i * most,                                                              \
                                    p->w + (r + i) * p->row_bytes + (size_t)(at / (block_elems)) * (block_bytes), n);  \
                block_f32(p, w, at, n, r, n_rows);                                                                     \
            }                                                                                                          \
        }                                                                                                              \
    }

#define FLOAT_FORMAT(format, block_elems, block_bytes)                                                                 \
    FLOATS_Q(format, block_elems, block_bytes)                                                                         \
    PRODUCT_F32(format, block_elems, block_bytes)

PRODUCT_F32(f32, 1, 4)
PRODUCT_F32(f16, 1, 2)
PRODUCT_F32(bf16, 1, 2)
FLOAT_FORMAT(q4_0, 32, 18)
FLOAT_FORMAT(q4_1, 32, 20)
FLOAT_FORMAT(q5_0, 32, 22)
FLOAT_FORMAT(q5_1, 32, 24)
FLOAT_FORMAT(q8_0, 32, 34)
FLOAT_FORMAT(q2_k, 256, 84)
FLOAT_FORMAT(q3_k, 256, 110)
FLOAT_FORMAT(q4_k, 256, 144)
FLOAT_FORMAT(q5_k, 256, 176)
FLOAT_FORMAT(q6_k, 256, 210)
FLOAT_FORMAT(iq4_nl, 32, 18)
FLOAT_FORMAT(iq4_xs, 256, 136)
FLOAT_FORMAT(mxfp4, 32, 17)

static void decode(enum sto_type type, float *dst, const uint8_t *src, uint32_t n)
{
    switch (type) {
    case STO_TYPE_F32: floats_f32(dst, src, n); break;
    case STO_TYPE_F16: floats_f16(dst, src, n); break;
    case STO_TYPE_Q8_0: floats_q8_0(dst, src, n); break;
    case STO_TYPE_IQ4_NL: floats_iq4_nl(dst, src, n); break;
    default: break;
    }
}

/* ---- norm ---- */

static void norm(float *y, const float *x, const float *g, uint32_t n, float eps)
{
    const uint32_t whole = n - n % LANES;
    vf squares = vf_zero();
    for (uint32_t i = 0; i < whole; i += LANES)
        squares = vf_fma(vf_load(x + i), vf_load(x + i), squares);
    float sum = vf_sum(squares);
    for (uint32_t i = whole; i < n; i++)
        sum += x[i] * x[i];
    const float scale = 1.0f / sqrtf(sum / (float)n + eps);
    for (uint32_t i = 0; i < n; i++)
        y[i] = g != NULL ? x[i] * scale * g[i] : x[i] * scale;
}

/* ---- attention ---- */

/* scores [n_rows, STO_CPU_KEYS] */
static void score(float *scores, const struct sto_cpu_attention *a)
{
    const uint32_t d = a->head_dim;
    for (uint32_t r = 0; r < a->n_rows; r++) {
        const float *q = a->q + (size_t)r * d;
        uint32_t k = 0;
        for (; k + TILE_COLS <= a->n_keys; k += TILE_COLS)
            dot_tile(scores + r * STO_CPU_KEYS + k, q, d, a->k + (size_t)k * d, d, d, 1, TILE_COLS);
        for (; k < a->n_keys; k++)
            dot_tile(scores + r * STO_CPU_KEYS + k, q, d, a->k + (size_t)k * d, d, d, 1, 1);
    }
}

/* o [n] = factor * o + weights [n_keys] . v [n_keys, n] */
INLINE void add_values(float *o, float factor, const float *weights, const float *v, uint32_t n_keys, uint32_t n)
{
    enum { WIDE = 4 };
    uint32_t i = 0;
    for (; i + WIDE * LANES <= n; i += WIDE * LANES) {
        vf sums[WIDE];
        for (uint32_t j = 0; j < WIDE; j++)
            sums[j] = vf_mul(vf_one(factor), vf_load(o + i + j * LANES));
        for (uint32_t k = 0; k < n_keys; k++) {
            const vf weight = vf_one(weights[k]);
            for (uint32_t j = 0; j < WIDE; j++)
                sums[j] = vf_fma(weight, vf_load(v + (size_t)k * n + i + j * LANES), sums[j]);
        }
        for (uint32_t j = 0; j < WIDE; j++)
            vf_store(o + i + j * LANES, sums[j]);
    }
    for (; i < n; i++) {
        float sum = factor * o[i];
        for (uint32_t k = 0; k < n_keys; k++)
            sum += weights[k] * v[(size_t)k * n + i];
        o[i] = sum;
    }
}

static void attention(const struct sto_cpu_attention *a)
{
    float scores[STO_CPU_ATTENTION_ROWS * STO_CPU_KEYS];
    score(scores, a);
    for (uint32_t r = 0; r < a->n_rows; r++) {
        float *s = scores + r * STO_CPU_KEYS, top = a->max[r], sum = 0.0f;
        const uint32_t n = a->n_seen[r];
        for (uint32_t k = 0; k < n; k++)
            top = s[k] > top ? s[k] : top;
        if (n == 0)
            continue;
        const float factor = a->sum[r] > 0.0f ? sto_exact_exp(a->max[r] - top) : 0.0f;
        sto_exact_exp_n(s, s, n, top, 1.0f);
        for (uint32_t k = 0; k < n; k++)
            sum += s[k];
        a->max[r] = top;
        a->sum[r] = a->sum[r] * factor + sum;
        add_values(a->o + (size_t)r * a->head_dim, factor, s, a->v, n, a->head_dim);
    }
}


const struct sto_cpu_kernels KERNELS = {
    .name = LEVEL_NAME,
    .quantize = quantize,
    .product_q8 = {[STO_TYPE_Q4_0] = product_q8_q4_0, [STO_TYPE_Q4_1] = product_q8_q4_1,
                   [STO_TYPE_Q5_0] = product_q8_q5_0, [STO_TYPE_Q5_1] = product_q8_q5_1,
                   [STO_TYPE_Q8_0] = product_q8_q8_0, [STO_TYPE_Q2_K] = product_q8_q2_k,
                   [STO_TYPE_Q3_K] = product_q8_q3_k, [STO_TYPE_Q4_K] = product_q8_q4_k,
                   [STO_TYPE_Q5_K] = product_q8_q5_k, [STO_TYPE_Q6_K] = product_q8_q6_k,
                   [STO_TYPE_IQ4_NL] = product_q8_iq4_nl, [STO_TYPE_IQ4_XS] = product_q8_iq4_xs,
                   [STO_TYPE_MXFP4] = product_q8_mxfp4},
    .product_f32 = {[STO_TYPE_F32] = product_f32_f32, [STO_TYPE_F16] = product_f32_f16,
                    [STO_TYPE_BF16] = product_f32_bf16, [STO_TYPE_Q4_0] = product_f32_q4_0,
                    [STO_TYPE_Q4_1] = product_f32_q4_1, [STO_TYPE_Q5_0] = product_f32_q5_0,
                    [STO_TYPE_Q5_1] = product_f32_q5_1, [STO_TYPE_Q8_0] = product_f32_q8_0,
                    [STO_TYPE_Q2_K] = product_f32_q2_k, [STO_TYPE_Q3_K] = product_f32_q3_k,
                    [STO_TYPE_Q4_K] = product_f32_q4_k, [STO_TYPE_Q5_K] = product_f32_q5_k,
                    [STO_TYPE_Q6_K] = product_f32_q6_k, [STO_TYPE_IQ4_NL] = product_f32_iq4_nl,
                    [STO_TYPE_IQ4_XS] = product_f32_iq4_xs, [STO_TYPE_MXFP4] = product_f32_mxfp4},
    .norm = norm,
    .decode = decode,
    .attention = attention,
};

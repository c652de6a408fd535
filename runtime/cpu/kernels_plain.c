/* Plain C, for any machine: vectors of 4 floats that the compiler makes of what there is. */
#include "runtime/cpu/kernels.h"

#include <string.h>

#include "runtime/formats/formats.h"

#define LANES 4
#define TILE_ROWS 2
#define TILE_COLS 4
#define WIDE_BIAS 0
#define KERNELS sto_cpu_kernels_plain
#define LEVEL_NAME "plain"
#define vf float4
#define vf_mul(a, b) ((a) * (b))
#define vf_fma(a, b, c) ((a) * (b) + (c))
#define vf_fnma(a, b, c) ((c) - (a) * (b))

typedef float float4 __attribute__((vector_size(16)));

static inline float4 vf_zero(void)
{
    return (float4){0.0f, 0.0f, 0.0f, 0.0f};
}

static inline float4 vf_one(float x)
{
    return (float4){x, x, x, x};
}

static inline float4 vf_load(const float *p)
{
    return (float4){p[0], p[1], p[2], p[3]};
}

static inline void vf_store(float *p, float4 v)
{
    for (int i = 0; i < 4; i++)
        p[i] = v[i];
}

static inline float vf_sum(float4 v)
{
    return (v[0] + v[2]) + (v[1] + v[3]);
}

static inline float4 vf_dot(const uint8_t *q, const int8_t *x)
{
    float4 sums;
    for (int i = 0; i < 4; i++) {
        int sum = 0;
        for (int k = 4 * i; k < 4 * i + 4; k++)
            sum += (int8_t)q[k] * x[k];
        sums[i] = (float)sum;
    }
    return sums;
}

static inline float4 vf_spread(const float *s, int j)
{
    return vf_one(s[j]);
}

static inline float f16_load(const uint8_t *p)
{
    return sto_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

static inline void f16_load_n(float *dst, const uint8_t *src, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        dst[i] = f16_load(src + 2 * i);
}

static inline void pairs_of_f16(float *y, const uint16_t *bits)
{
    for (int i = 0; i < 16; i++)
        y[i] = sto_f16_to_f32(bits[i / 2]);
}

static inline void pairs_of_u8(float *y, const uint32_t *words, float factor)
{
    for (int i = 0; i < 16; i++)
        y[i] = factor * (float)(words[i / 8] >> 8 * (i / 2 % 4) & 255);
}

static inline void floats_of_u8(float *y, const uint8_t *bytes, float factor)
{
    for (int i = 0; i < 16; i++)
        y[i] = factor * (float)bytes[i];
}

static inline void floats_of_s8(float *y, const void *bytes, float factor)
{
    for (int i = 0; i < 16; i++)
        y[i] = factor * (float)((const int8_t *)bytes)[i];
}

/* ---- 64 bytes ---- */

#define vb struct bytes

struct bytes {
    uint8_t b[64];
};

static inline vb vb_halves(const uint8_t *a, const uint8_t *b)
{
    vb v;
    memcpy(v.b, a, 32);
    memcpy(v.b + 32, b, 32);
    return v;
}

static inline vb vb_load(const uint8_t *src)
{
    return vb_halves(src, src + 32);
}

static inline void vb_store(uint8_t *q, vb v)
{
    memcpy(q, v.b, sizeof v.b);
}

static inline vb vb_twice(const uint8_t *src)
{
    return vb_halves(src, src);
}

static inline vb vb_bits(vb v, int first, int second, int mask)
{
    for (int i = 0; i < 32; i++) {
        v.b[i] = (uint8_t)(v.b[i] >> first & mask);
        v.b[32 + i] = (uint8_t)(v.b[32 + i] >> second & mask);
    }
    return v;
}

static inline vb vb_nibbles(const uint8_t *a, const uint8_t *b)
{
    vb v;
    for (int i = 0; i < 16; i++) {
        v.b[i] = a[i] & 15;
        v.b[16 + i] = (uint8_t)(a[i] >> 4);
        v.b[32 + i] = b[i] & 15;
        v.b[48 + i] = (uint8_t)(b[i] >> 4);
    }
    return v;
}

static inline vb vb_fifth(const uint8_t *a, const uint8_t *b)
{
    vb v;
    for (int i = 0; i < 32; i++) {
        v.b[i] = (uint8_t)((a[i / 8] >> i % 8 & 1) << 4);
        v.b[32 + i] = (uint8_t)((b[i / 8] >> i % 8 & 1) << 4);
    }
    return v;
}

static inline vb vb_look_up(const uint8_t *table, vb v)
{
    for (int i = 0; i < 64; i++)
        v.b[i] = table[v.b[i]];
    return v;
}

static inline vb vb_or(vb v, vb w)
{
    for (int i = 0; i < 64; i++)
        v.b[i] |= w.b[i];
    return v;
}

static inline vb vb_up(vb v, int bits)
{
    for (int i = 0; i < 64; i++)
        v.b[i] = (uint8_t)(v.b[i] << bits);
    return v;
}

static inline vb vb_add(vb v, int x)
{
    for (int i = 0; i < 64; i++)
        v.b[i] = (uint8_t)(v.b[i] + x);
    return v;
}

#include "runtime/cpu/kernels_impl.h"

/* NEON: vectors of 4 floats; bytes are multiplied signed by signed. kernels_neon_dot.c is this file with the integer
 * dot product of later processors. */
#include "runtime/cpu/kernels.h"

#if defined(__ARM_NEON) && defined(__aarch64__)

#include <arm_neon.h>

#define LANES 4
#define TILE_ROWS 4
#define TILE_COLS 4
#define WIDE_BIAS 0
#if defined(__ARM_FEATURE_DOTPROD)
#define KERNELS sto_cpu_kernels_neon_dot
#define LEVEL_NAME "neon-dot"
#else
#define KERNELS sto_cpu_kernels_neon
#define LEVEL_NAME "neon"
#endif
#define vf float32x4_t
#define vf_zero() vdupq_n_f32(0.0f)
#define vf_one vdupq_n_f32
#define vf_load vld1q_f32
#define vf_store vst1q_f32
#define vf_mul vmulq_f32
#define vf_fma(a, b, c) vfmaq_f32(c, a, b)
#define vf_fnma(a, b, c) vfmsq_f32(c, a, b)
#define vf_sum vaddvq_f32

static inline float32x4_t vf_dot(const uint8_t *q, const int8_t *x)
{
    const int8x16_t w = vreinterpretq_s8_u8(vld1q_u8(q)), a = vld1q_s8(x);
#if defined(__ARM_FEATURE_DOTPROD)
    return vcvtq_f32_s32(vdotq_s32(vdupq_n_s32(0), w, a));
#else
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(a)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(w, a));
    return vcvtq_f32_s32(vpaddq_s32(low, high));
#endif
}

static inline float32x4_t vf_spread(const float *s, int j)
{
    return vld1q_dup_f32(s + j);
}

static inline float f16_load(const uint8_t *p)
{
    const uint16x4_t bits = vdup_n_u16((uint16_t)(p[0] | p[1] << 8));
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(bits)), 0);
}

static inline void f16_load_n(float *dst, const uint8_t *src, uint32_t n)
{
    uint32_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(dst + i, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(src + 2 * i))));
    for (; i < n; i++)
        dst[i] = f16_load(src + 2 * i);
}

static inline void pairs_of_f16(float *y, const uint16_t *bits)
{
    const uint16x8_t b = vld1q_u16(bits);
    const float16x8_t low = vreinterpretq_f16_u16(vzip1q_u16(b, b)), high = vreinterpretq_f16_u16(vzip2q_u16(b, b));
    vst1q_f32(y, vcvt_f32_f16(vget_low_f16(low)));
    vst1q_f32(y + 4, vcvt_high_f32_f16(low));
    vst1q_f32(y + 8, vcvt_f32_f16(vget_low_f16(high)));
    vst1q_f32(y + 12, vcvt_high_f32_f16(high));
}

static inline void floats_of_u16(float *y, uint16x8_t x, float factor)
{
    vst1q_f32(y, vmulq_n_f32(vcvtq_f32_u32(vmovl_u16(vget_low_u16(x))), factor));
    vst1q_f32(y + 4, vmulq_n_f32(vcvtq_f32_u32(vmovl_high_u16(x)), factor));
}

static inline void floats_of_u8(float *y, const uint8_t *bytes, float factor)
{
    const uint8x16_t b = vld1q_u8(bytes);
    floats_of_u16(y, vmovl_u8(vget_low_u8(b)), factor);
    floats_of_u16(y + 8, vmovl_high_u8(b), factor);
}

static inline void pairs_of_u8(float *y, const uint32_t *words, float factor)
{
    const uint8x8_t b = vreinterpret_u8_u32(vld1_u32(words));
    const uint8x8x2_t twice = vzip_u8(b, b);
    floats_of_u16(y, vmovl_u8(twice.val[0]), factor);
    floats_of_u16(y + 8, vmovl_u8(twice.val[1]), factor);
}

static inline void floats_of_s8(float *y, const void *bytes, float factor)
{
    const int8x16_t b = vld1q_s8((const int8_t *)bytes);
    for (int i = 0; i < 2; i++) {
        const int16x8_t x = i == 0 ? vmovl_s8(vget_low_s8(b)) : vmovl_high_s8(b);
        vst1q_f32(y + 8 * i, vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(x))), factor));
        vst1q_f32(y + 8 * i + 4, vmulq_n_f32(vcvtq_f32_s32(vmovl_high_s16(x)), factor));
    }
}

/* ---- 64 bytes ---- */

#define vb struct four

struct four {
    uint8x16_t v[4];
};

static inline vb vb_halves(const uint8_t *a, const uint8_t *b)
{
    return (vb){{vld1q_u8(a), vld1q_u8(a + 16), vld1q_u8(b), vld1q_u8(b + 16)}};
}

static inline vb vb_load(const uint8_t *src)
{
    return vb_halves(src, src + 32);
}

static inline void vb_store(uint8_t *q, vb v)
{
    for (int i = 0; i < 4; i++)
        vst1q_u8(q + 16 * i, v.v[i]);
}

static inline vb vb_twice(const uint8_t *src)
{
    return vb_halves(src, src);
}

static inline vb vb_bits(vb v, int first, int second, int mask)
{
    for (int i = 0; i < 4; i++) {
        const int8x16_t down = vdupq_n_s8((int8_t)(i < 2 ? -first : -second));
        v.v[i] = vandq_u8(vshlq_u8(v.v[i], down), vdupq_n_u8((uint8_t)mask));
    }
    return v;
}

static inline vb vb_nibbles(const uint8_t *a, const uint8_t *b)
{
    const uint8x16_t x = vld1q_u8(a), y = vld1q_u8(b), mask = vdupq_n_u8(15);
    return (vb){{vandq_u8(x, mask), vshrq_n_u8(x, 4), vandq_u8(y, mask), vshrq_n_u8(y, 4)}};
}

static inline vb vb_fifth(const uint8_t *a, const uint8_t *b)
{
    static const uint8_t own[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    vb v;
    for (int i = 0; i < 4; i++) {
        const uint8_t *bits = i < 2 ? a + 2 * i : b + 2 * (i - 2);
        const uint8x16_t seen = vcombine_u8(vdup_n_u8(bits[0]), vdup_n_u8(bits[1]));
        v.v[i] = vandq_u8(vtstq_u8(seen, vld1q_u8(own)), vdupq_n_u8(16));
    }
    return v;
}

static inline vb vb_look_up(const uint8_t *table, vb v)
{
    for (int i = 0; i < 4; i++)
        v.v[i] = vqtbl1q_u8(vld1q_u8(table), v.v[i]);
    return v;
}

static inline vb vb_or(vb v, vb w)
{
    for (int i = 0; i < 4; i++)
        v.v[i] = vorrq_u8(v.v[i], w.v[i]);
    return v;
}

static inline vb vb_up(vb v, int bits)
{
    for (int i = 0; i < 4; i++)
        v.v[i] = vshlq_u8(v.v[i], vdupq_n_s8((int8_t)bits));
    return v;
}

static inline vb vb_add(vb v, int x)
{
    for (int i = 0; i < 4; i++)
        v.v[i] = vaddq_u8(v.v[i], vdupq_n_u8((uint8_t)x));
    return v;
}

#include "runtime/cpu/kernels_impl.h"

#else
typedef int sto_cpu_no_neon; /* not built for this machine */
#endif

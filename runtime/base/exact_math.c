/* exp: x = k ln2 + r with |r| <= ln2 / 2, Taylor's polynomial of degree 7 for e^r (its remainder is below 6e-9), and
 * k added to the exponent. log: x = 2^k m with m in [sqrt(1/2), sqrt(2)), f = m - 1, and
 * log(1 + f) = f - f^2/2 + f^3 P(f), where P is a least-maximum fit that tests/vectors/sampler_fit_log.py makes. */
#include "runtime/base/exact_math.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

_Static_assert(FLT_EVAL_METHOD == 0, "float expressions must be rounded to float after every operation");
#ifdef __FAST_MATH__
#error "-ffast-math would change results from build to build"
#endif

static const float LOG2_E = 0x1.715476p+0f;
static const float LN2_HI = 0x1.62e4p-1f; /* 15 bits: k * LN2_HI is exact for every exponent k */
static const float LN2_LO = 0x1.7f7d1cp-20f;
static const float EXP_MIN = -87.3f;
static const float EXP_MAX = 88.72283f;

/* a where `yes`, else b, without a branch, so that the loop below becomes SIMD. */
static inline float select_f32(bool yes, float a, float b)
{
    const uint32_t mask = 0u - (uint32_t)yes;
    return sto_f32_from_bits((sto_f32_bits(a) & mask) | (sto_f32_bits(b) & ~mask));
}

static inline float exp_any(float x)
{
    /* NaN compares false and becomes EXP_MIN. */
    const float low = select_f32(x >= EXP_MIN, x, EXP_MIN);
    const float in = select_f32(low <= EXP_MAX, low, EXP_MAX);
    const float t = in * LOG2_E;
    const float half_like_t = sto_f32_from_bits((sto_f32_bits(t) & 0x80000000u) | 0x3f000000u);
    const int32_t k = (int32_t)(t + half_like_t); /* towards zero: t rounded to nearest */
    const float kf = (float)k;
    const float r = (in - kf * LN2_HI) - kf * LN2_LO;
    float p = 0x1.a01a02p-13f; /* 1/7!, and so on down to 1/0! */
    p = p * r + 0x1.6c16c2p-10f;
    p = p * r + 0x1.111112p-7f;
    p = p * r + 0x1.555556p-5f;
    p = p * r + 0x1.555556p-3f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    /* Two factors, because 2^128 alone is no float. */
    const int32_t k1 = k / 2;
    p = p * sto_f32_from_bits((uint32_t)(k1 + 127) << 23) * sto_f32_from_bits((uint32_t)(k - k1 + 127) << 23);
    return select_f32(x > EXP_MAX, INFINITY, select_f32(x >= EXP_MIN, p, 0.0f));
}

float sto_exact_exp(float x)
{
    return exp_any(x);
}

void sto_exact_exp_n(float *y, const float *x, size_t n, float shift, float scale)
{
    for (size_t i = 0; i < n; i++)
        y[i] = exp_any((x[i] - shift) * scale);
}

float sto_exact_log(float x)
{
    if (!(x >= FLT_MIN))
        return -INFINITY;
    if (x > FLT_MAX)
        return x;
    const uint32_t bits = sto_f32_bits(x);
    /* Subtracting the bits of sqrt(1/2) before the exponent is taken puts m into [sqrt(1/2), sqrt(2)). */
    const int32_t k = (int32_t)(bits - 0x3f3504f3u) >> 23;
    const float f = sto_f32_from_bits(bits - ((uint32_t)k << 23)) - 1.0f;
    float p = -0x1.38b4ccp-4f;
    p = p * f + 0x1.055b46p-3f;
    p = p * f + -0x1.0d8552p-3f;
    p = p * f + 0x1.22da22p-3f;
    p = p * f + -0x1.547244p-3f;
    p = p * f + 0x1.99a008p-3f;
    p = p * f + -0x1.000228p-2f;
    p = p * f + 0x1.555554p-2f;
    const float kf = (float)k;
    const float ff = f * f;
    const float tail = (ff * f) * p + kf * LN2_LO;
    return kf * LN2_HI + (f + (tail - 0.5f * ff));
}

/* Encoders of Q8_0, Q4_0 and IQ4_NL; KV caches are written in the first and the last.
 *
 * A shader must give the same bytes, so these use only what Vulkan rounds correctly: f32 add and multiply (`precise`
 * in GLSL, so that nothing is fused), compare, roundEven, and integer arithmetic. Division is not among them; the
 * reciprocal below is Newton's iteration from an integer guess. f32 subnormals never decide a result, so a device
 * that flushes them agrees.
 *
 * For any finite input the bytes are defined: a scale too large for f16 is cut to 65504 and elements saturate; a block
 * whose scale rounds to zero in f16 is all zeros. */
#include "runtime/formats/codec.h"

#include <math.h>
#include <string.h>

/* 1 / x for 2^-25 <= |x| <= 65504, within 1.5 units in the last place. The guess negates the exponent and is within
 * 5.1 %; each step squares the error: 2.6e-3, 6.7e-6, then rounding alone, which the last step evens out. */
static float reciprocal(float x)
{
    uint32_t bits;
    float r;

    memcpy(&bits, &x, sizeof bits);
    bits = 0x7ef311c7u - (bits & 0x7fffffffu);
    memcpy(&r, &bits, sizeof r);
    const float a = fabsf(x);
    for (int i = 0; i < 4; i++)
        r = r * (2.0f - a * r);
    return x < 0 ? -r : r;
}

/* Keeps a rounded quotient in range; also makes a NaN a number, which a cast of one would not. */
static int clamp_int(float v, int low, int high)
{
    return v > (float)low ? v < (float)high ? (int)v : high : low;
}

/* Q8_0: d = amax / 127, q = x / d to nearest even. The quotient uses d before it is rounded to f16. */
void sto_encode_q8_0(const float *src, uint8_t *dst)
{
    float amax = 0;

    for (int i = 0; i < 32; i++)
        amax = fabsf(src[i]) > amax ? fabsf(src[i]) : amax;
    const float scale = amax * (1.0f / 127.0f), d = scale < 65504.0f ? scale : 65504.0f;
    const uint16_t stored = sto_f32_to_f16(d);
    const float id = stored != 0 ? reciprocal(d) : 0;
    sto_store_u16(dst, stored);
    for (int i = 0; i < 32; i++)
        dst[2 + i] = (uint8_t)(int8_t)clamp_int(rintf(src[i] * id), -127, 127);
}

/* Q4_0: the element of largest magnitude (the first of equals) becomes exactly -8: d = that / -8, q = x / d + 8 to
 * nearest, at most 15. */
void sto_encode_q4_0(const float *src, uint8_t *dst)
{
    float extreme = 0;
    int q[32];

    for (int i = 0; i < 32; i++)
        extreme = fabsf(src[i]) > fabsf(extreme) ? src[i] : extreme;
    const float scale = extreme * -0.125f;
    const float d = scale > 65504.0f ? 65504.0f : scale < -65504.0f ? -65504.0f : scale;
    const uint16_t stored = sto_f32_to_f16(d);
    const float id = (stored & 0x7fff) != 0 ? reciprocal(d) : 0;
    sto_store_u16(dst, stored);
    for (int i = 0; i < 32; i++) {
        const float scaled = src[i] * id;
        q[i] = clamp_int(scaled + 8.5f, 0, 15);
    }
    for (int i = 0; i < 16; i++)
        dst[2 + i] = (uint8_t)(q[i] | q[16 + i] << 4);
}

/* Index of the nearest entry of the table: how many of the middles between neighbours v has reached. */
static unsigned nearest_iq4(float v)
{
    static const float middles[15] = {-115.5f, -93.5f, -74.0f, -57.0f, -42.0f, -28.5f, -16.0f, -4.5f,
                                      7.0f,    19.0f,  31.5f,  45.5f,  61.0f,  79.0f,  101.0f};
    unsigned n = 0;
    for (int i = 0; i < 15; i++)
        n += v >= middles[i] ? 1 : 0;
    return n;
}

static float saturate_f16(float d)
{
    return d > 65504.0f ? 65504.0f : d < -65504.0f ? -65504.0f : d;
}

/* IQ4_NL: the element of largest magnitude (the first of equals) becomes the table's -127, every other the nearest
 * entry, then the scale is the one of least squares for these entries: sum(x t) / sum(t^2), summed in order. */
void sto_encode_iq4_nl(const float *src, uint8_t *dst)
{
    float extreme = 0, num = 0, den = 0;
    unsigned q[32];

    for (int i = 0; i < 32; i++)
        extreme = fabsf(src[i]) > fabsf(extreme) ? src[i] : extreme;
    const float start = saturate_f16(extreme * (-1.0f / 127.0f));
    const bool zero = (sto_f32_to_f16(start) & 0x7fff) == 0;
    const float id = zero ? 0 : reciprocal(start);
    for (int i = 0; i < 32; i++) {
        q[i] = nearest_iq4(src[i] * id);
        const float value = (float)sto_iq4_values[q[i]];
        num += src[i] * value;
        den += value * value; /* exact: at most 32 * 127^2 */
    }
    const float best = num * reciprocal(den * (1.0f / 1024.0f)) * (1.0f / 1024.0f);
    sto_store_u16(dst, zero ? 0 : sto_f32_to_f16(saturate_f16(best)));
    for (int i = 0; i < 16; i++)
        dst[2 + i] = (uint8_t)(q[i] | q[16 + i] << 4);
}

/* 16-bit floats to and from f32, in integer arithmetic so that every compiler and every shader gives the same bits.
 *
 *   f16   IEEE 754 binary16: sign, 5 bits of exponent (bias 15), 10 of fraction
 *   bf16  the upper half of an f32: sign, 8 bits of exponent (bias 127), 7 of fraction */
#include "runtime/formats/formats.h"

#include <string.h>

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

float sto_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;

    if (exponent == 31) /* infinity and NaN */
        return float_of(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) { /* zero and subnormals: fraction * 2^-24, exact in f32 */
        const float magnitude = (float)fraction * 0x1p-24f;
        return float_of(sign | bits_of(magnitude));
    }
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

/* v / 2^shift to nearest, ties to even; shift 1 to 31. */
static uint32_t shift_round_even(uint32_t v, uint32_t shift)
{
    const uint32_t kept = v >> shift, rest = v & ((1u << shift) - 1), half = 1u << (shift - 1);

    return kept + (rest > half || (rest == half && (kept & 1) != 0));
}

uint16_t sto_f32_to_f16(float f)
{
    const uint32_t bits = bits_of(f), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;

    if (magnitude > 0x7f800000) /* NaN: the top of its payload, made quiet */
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
    if (magnitude >= 0x477ff000) /* 65520 and up round past the largest f16, 65504 */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude >= 0x38800000) /* 2^-14 and up: normal; a carry out of the fraction raises the exponent */
        return (uint16_t)(sign | shift_round_even(magnitude - (112u << 23), 13));
    if (magnitude <= 0x33000000) /* 2^-25 and below: half of the least subnormal ties to zero */
        return (uint16_t)sign;
    /* Subnormal: significand * 2^(exponent - 150) as a multiple of 2^-24. */
    const uint32_t significand = (magnitude & 0x7fffff) | 0x800000, exponent = magnitude >> 23;
    return (uint16_t)(sign | shift_round_even(significand, 126 - exponent));
}

float sto_bf16_to_f32(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

uint16_t sto_f32_to_bf16(float f)
{
    const uint32_t bits = bits_of(f);

    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)shift_round_even(bits, 16);
}

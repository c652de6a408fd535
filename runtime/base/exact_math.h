/* exp and log that give the same bits on every machine, and in a shader that follows the same steps.
 *
 * Each is a polynomial of single f32 adds, subtractions and multiplications, which IEEE 754 and Vulkan both round
 * correctly, in a written order and without fused multiply-add, plus integer work on the exponent. A shader that
 * mirrors them marks its results `precise`. There is no division and no library call. Any thread. */
#ifndef STO_EXACT_MATH_H
#define STO_EXACT_MATH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* e^x, within 1.5 units in the last place for -87.3 <= x <= 88.7. Below: 0, because results that would be subnormal
 * differ between devices. Above: +infinity. NaN gives 0. exp(0) is 1. */
float sto_exact_exp(float x);
/* y[i] = e^((x[i] - shift) * scale), [n]; y may be x. The bits of sto_exact_exp. */
void sto_exact_exp_n(float *y, const float *x, size_t n, float shift, float scale);
/* Natural logarithm, within 1.5 units in the last place. Zero, subnormal and negative x and NaN give -infinity. */
float sto_exact_log(float x);

static inline uint32_t sto_f32_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float sto_f32_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif

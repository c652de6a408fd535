// sample.glsl: the arithmetic of the sampler, bit for bit that of runtime/base/exact_math.c, philox.c and
// host/sampler_filters.c.
//
// A key orders logits in unsigned integers: a < b exactly when key(a) < key(b). 0 stands for what cannot be drawn
// (-infinity and NaN); +infinity counts as the largest number, and both zeros are equal.
// A weight is exp(logit - largest) in units of 2^-40, rounded towards zero: sums are exact in any order.
#ifndef LIB_SAMPLE_GLSL
#define LIB_SAMPLE_GLSL

#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

uint sample_key(uint bits)
{
    const uint magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u || bits == 0xff800000u)
        return 0u;
    if (magnitude == 0u)
        return 0x80000000u;
    const uint finite = bits == 0x7f800000u ? 0x7f7fffffu : bits;
    return (finite & 0x80000000u) != 0u ? ~finite : finite | 0x80000000u;
}

// The logit of a key above 0.
float sample_logit(uint key)
{
    return uintBitsToFloat((key & 0x80000000u) != 0u ? key & 0x7fffffffu : ~key);
}

// e^((x - shift) * scale) for x <= shift: steps and constants of sto_exact_exp, none of them contracted.
float sample_exp(float x, float shift, float scale)
{
    precise float below = x - shift;
    precise float v = below * scale;
    const bool counts = v >= uintBitsToFloat(0xc2ae999au); // -87.3
    precise float a = counts ? v : uintBitsToFloat(0xc2ae999au);
    precise float t = a * uintBitsToFloat(0x3fb8aa3bu);
    precise float nearest = t + (t < 0.0 ? -0.5 : 0.5);
    const int k = int(nearest);
    precise float kf = float(k);
    precise float high = kf * uintBitsToFloat(0x3f317200u);
    precise float low = kf * uintBitsToFloat(0x35bfbe8eu);
    precise float r = a - high;
    r = r - low;
    precise float p = uintBitsToFloat(0x39500d01u);
    p = p * r;
    p = p + uintBitsToFloat(0x3ab60b61u);
    p = p * r;
    p = p + uintBitsToFloat(0x3c088889u);
    p = p * r;
    p = p + uintBitsToFloat(0x3d2aaaabu);
    p = p * r;
    p = p + uintBitsToFloat(0x3e2aaaabu);
    p = p * r;
    p = p + 0.5;
    p = p * r;
    p = p + 1.0;
    p = p * r;
    p = p + 1.0;
    p = p * uintBitsToFloat(uint(k + 127) << 23); // k >= -126, so this is no subnormal
    return counts ? p : 0.0;
}

// What C's (uint64_t)(e * 2^40) is, for 0 <= e <= 1 and no subnormals.
uint64_t sample_weight(float e)
{
    const uint bits = floatBitsToUint(e), exponent = bits >> 23;
    const uint64_t mantissa = uint64_t((bits & 0x7fffffu) | 0x800000u);
    if (exponent >= 110u)
        return mantissa << (exponent - 110u);
    return exponent >= 87u ? mantissa >> (110u - exponent) : 0ul;
}

// total * fraction, the fraction in units of 2^-32, rounded up; at least 1.
uint64_t sample_share(uint64_t total, uint fraction)
{
    const uint64_t f = uint64_t(fraction), low = (total & 0xfffffffful) * f;
    const uint64_t share = (total >> 32) * f + (low >> 32) + ((low & 0xfffffffful) != 0ul ? 1ul : 0ul);
    return max(share, 1ul);
}

// The upper half of a 128-bit product.
uint64_t sample_multiply_high(uint64_t a, uint64_t b)
{
    const uint64_t a0 = a & 0xfffffffful, a1 = a >> 32, b0 = b & 0xfffffffful, b1 = b >> 32;
    const uint64_t mid = a1 * b0 + ((a0 * b0) >> 32), cross = a0 * b1 + (mid & 0xfffffffful);
    return a1 * b1 + (mid >> 32) + (cross >> 32);
}

// The first two words of philox4x32-10 for (counter, key).
uint64_t sample_random(uvec2 counter, uvec2 key)
{
    uvec4 c = uvec4(counter, 0u, 0u);
    for (int round = 0; round < 10; round++) {
        uint a_high, a_low, b_high, b_low;
        umulExtended(0xd2511f53u, c.x, a_high, a_low);
        umulExtended(0xcd9e8d57u, c.z, b_high, b_low);
        c = uvec4(b_high ^ c.y ^ key.x, b_low, a_high ^ c.w ^ key.y, a_low);
        key += uvec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return uint64_t(c.y) << 32 | uint64_t(c.x);
}

#endif

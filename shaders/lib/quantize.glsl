// quantize.glsl: 8-bit activations (shared/args.h, Q8_COL_BYTES); an invocation makes one block of 32.
//
// The bytes are those of the Q8_0 encoder in runtime/formats, except that d stays f32: q = x / d to nearest even, the
// quotient through Newton's reciprocal from exactly rounded adds and multiplies, so that every device agrees.
#ifndef LIB_QUANTIZE_GLSL
#define LIB_QUANTIZE_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "shared/args.h"

layout(buffer_reference, std430, buffer_reference_align = 16) writeonly buffer Out128 {
    uvec4 v;
};
layout(buffer_reference, std430, buffer_reference_align = 8) writeonly buffer OutVec2 {
    vec2 v;
};

// Below this, activations are zero: 1 / d would leave the range of f32.
const float LEAST_D = 1e-30;

// 1 / x for normal positive x whose reciprocal is normal; see runtime/formats/encode.c.
float reciprocal(float x)
{
    precise float r = uintBitsToFloat(0x7ef311c7u - floatBitsToUint(x));
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        precise float product = x * r;
        precise float rest = 2.0 - product;
        r = r * rest;
    }
    return r;
}

// Block b of a column of n_in.
void store_q8_block(uint64_t xq, uint col, uint n_in, uint b, vec4 x[8])
{
    float amax = 0.0;
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        const vec4 m = abs(x[i]);
        amax = max(amax, max(max(m.x, m.y), max(m.z, m.w)));
    }
    precise float d = amax * (1.0 / 127.0);
    d = d >= LEAST_D ? d : 0.0;
    const float id = d > 0.0 ? reciprocal(d) : 0.0;

    uint words[8];
    int sum = 0;
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        precise vec4 scaled = x[i] * id;
        const ivec4 q = clamp(ivec4(roundEven(scaled)), -127, 127);
        sum += q.x + q.y + q.z + q.w;
        words[i] = uint(q.x & 255) | uint(q.y & 255) << 8u | uint(q.z & 255) << 16u | uint(q.w & 255) << 24u;
    }
    const uint column = col * Q8_COL_BYTES(n_in);
    [[unroll]] for (uint i = 0u; i < 2u; i++)
        Out128(xq + uint64_t(column + 32u * b + 16u * i)).v =
            uvec4(words[4u * i], words[4u * i + 1u], words[4u * i + 2u], words[4u * i + 3u]);
    precise float d_sum = d * float(sum);
    OutVec2(xq + uint64_t(column + n_in + 8u * b)).v = vec2(d, d_sum);
}

#endif

// rms.glsl: y = g * x / sqrt(mean(x^2) + eps) of one row, by all invocations of a workgroup.
//
// The squares are summed in four chains of vectors per lane of a subgroup, whoever takes them: one subgroup takes all
// four, several share them. So the result is the same bits for every workgroup of whole subgroups, and depends on the
// subgroup size alone. Rows may have just been written by other workgroups (lib/last.glsl). Needs WORKGROUP.
// As a tail a row is one subgroup's, and nothing else runs: it waits for memory as often as loads depend on each other,
// so a lane has several in flight wherever all lanes have as many quads.
#ifndef LIB_RMS_GLSL
#define LIB_RMS_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

#include "lib/global.glsl"
#include "lib/last.glsl"

const uint CHAINS = 4u;
const uint FLIGHT = 8u; // quads that a lane loads at once: a multiple of CHAINS
#if !ONE_SUBGROUP
shared float chain_sums[CHAINS];
#endif

// Elements 4 j .. 4 j + 3 of a row of n; zero from n on.
vec4 row_quad(uint64_t row, uint j, uint n)
{
    const uint64_t at = row + uint64_t(16u * j);
    if (4u * j + 4u <= n)
        return SharedVec4(at).v;
    vec4 v = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < 3u; i++) {
        if (4u * j + i < n)
            v[i] = SharedF32(at + uint64_t(4u * i)).v;
    }
    return v;
}

// 1 / sqrt(mean(x^2) + eps)
float rms_scale(uint64_t x, uint n, float eps)
{
    const uint lanes = min(gl_SubgroupSize, WORKGROUP), takers = WORKGROUP / lanes, quads = (n + 3u) / 4u;
    precise vec4 chain[CHAINS];
    precise float sum[CHAINS];
    [[unroll]] for (uint s = 0u; s < CHAINS; s++)
        chain[s] = vec4(0.0);
    uint j0 = gl_SubgroupInvocationID;
    if (takers == 1u) {
        for (uint end = FLIGHT * lanes; end <= n / 4u; end += FLIGHT * lanes) {
            vec4 v[FLIGHT];
            [[unroll]] for (uint i = 0u; i < FLIGHT; i++)
                v[i] = SharedVec4(x + uint64_t(16u * (j0 + i * lanes))).v;
            [[unroll]] for (uint i = 0u; i < FLIGHT; i++)
                chain[i % CHAINS] = fma(v[i], v[i], chain[i % CHAINS]);
            j0 += FLIGHT * lanes;
        }
    }
    for (; j0 < quads; j0 += CHAINS * lanes) {
        [[unroll]] for (uint s = 0u; s < CHAINS; s++) {
            const uint j = j0 + s * lanes;
            if (s % takers == gl_SubgroupID && j < quads) {
                const vec4 v = row_quad(x, j, n);
                chain[s] = fma(v, v, chain[s]);
            }
        }
    }
    [[unroll]] for (uint s = 0u; s < CHAINS; s++)
        sum[s] = subgroupAdd((chain[s].x + chain[s].y) + (chain[s].z + chain[s].w));
#if !ONE_SUBGROUP
    if (gl_NumSubgroups > 1u) {
        barrier(); // the last row's sums have been read
        [[unroll]] for (uint s = 0u; s < CHAINS; s++) {
            if (s % takers == gl_SubgroupID && subgroupElect())
                chain_sums[s] = sum[s];
        }
        barrier();
        [[unroll]] for (uint s = 0u; s < CHAINS; s++)
            sum[s] = chain_sums[s];
    }
#endif
    precise float mean = ((sum[0] + sum[1]) + (sum[2] + sum[3])) / float(n);
    precise float above = mean + eps;
    return inversesqrt(above);
}

vec4 weight_quad(uint64_t g, uint j, uint n)
{
    if (g == 0ul)
        return vec4(1.0);
    if (4u * j + 4u <= n)
        return ReadVec4(g + uint64_t(16u * j)).v;
    vec4 v = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < 3u; i++) {
        if (4u * j + i < n)
            v[i] = read_f32(g, 4u * j + i);
    }
    return v;
}

vec4 norm_quad(uint64_t x, uint64_t g, uint j, uint n, float scale)
{
    precise vec4 y = row_quad(x, j, n) * scale * weight_quad(g, j, n);
    return y;
}

// y may be x: an invocation overwrites only what it alone has read.
void store_norm(uint64_t y, uint64_t x, uint64_t g, uint n, float scale)
{
    const uint HALF = FLIGHT / 2u; // g takes as many registers
    uint j = gl_LocalInvocationIndex;
    for (uint end = HALF * WORKGROUP; end <= n / 4u; end += HALF * WORKGROUP) {
        precise vec4 v[HALF];
        vec4 w[HALF];
        [[unroll]] for (uint i = 0u; i < HALF; i++)
            v[i] = SharedVec4(x + uint64_t(16u * (j + i * WORKGROUP))).v;
        [[unroll]] for (uint i = 0u; i < HALF; i++)
            w[i] = vec4(1.0);
        if (g != 0ul) {
            [[unroll]] for (uint i = 0u; i < HALF; i++)
                w[i] = ReadVec4(g + uint64_t(16u * (j + i * WORKGROUP))).v;
        }
        [[unroll]] for (uint i = 0u; i < HALF; i++) {
            v[i] = v[i] * scale * w[i];
            SharedVec4(y + uint64_t(16u * (j + i * WORKGROUP))).v = v[i];
        }
        j += HALF * WORKGROUP;
    }
    for (; j < (n + 3u) / 4u; j += WORKGROUP) {
        const vec4 v = norm_quad(x, g, j, n, scale);
        if (4u * j + 4u <= n) {
            SharedVec4(y + uint64_t(16u * j)).v = v;
        } else {
            [[unroll]] for (uint i = 0u; i < 3u; i++) {
                if (4u * j + i < n)
                    store_f32(y, 4u * j + i, v[i]);
            }
        }
    }
}

#ifdef LIB_QUANTIZE_GLSL
// Row `row` of 8-bit activations; n is a multiple of 32.
void store_norm_q8(uint64_t y, uint row, uint64_t x, uint64_t g, uint n, float scale)
{
    for (uint b = gl_LocalInvocationIndex; b < n / 32u; b += WORKGROUP) {
        vec4 block[8];
        [[unroll]] for (uint i = 0u; i < 8u; i++)
            block[i] = norm_quad(x, g, 8u * b + i, n, scale);
        store_q8_block(y, row, n, b, block);
    }
}
#endif

#endif

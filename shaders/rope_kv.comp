// rope_kv.comp: QK-norm, RoPE and the KV write of one layer; one workgroup per (head, column).
//   qkv  f32 [n_cols, n_heads + 2 n_kv_heads, head_dim]: q heads and k heads change in place, v heads only go to the
//        cache
//   groups: x heads (q, then k, then v), y columns
// The angle position * freq is reduced in 64-bit integers, exactly, and sine and cosine are polynomials of our own:
// Vulkan promises little about the built-in ones, and nothing outside [-pi, pi].
// Tuning: WORKGROUP.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(local_size_x_id = 0) in;

#define KV_WRITE
#include "lib/kv.glsl"
#include "lib/reduce.glsl"
#include "lib/step.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { RopeKvArgs args; };

shared float head[512]; // this head's vector

float kv_element(uint i)
{
    return head[i];
}

// The fraction of position * freq / (2 pi), in units of 2^-64 turns, for a finite freq >= 0 of less than 2^23.
// freq is an integer of 24 bits times 2^-shift; the product of that, the position and 2^64 / (2 pi) has 120 bits.
uint64_t turns(uint position, float freq)
{
    const uint bits = floatBitsToUint(freq);
    const uint64_t p = uint64_t(position) * uint64_t((bits & 0x7fffffu) | 0x800000u);
    const uint shift = 150u - (bits >> 23 & 255u);
    const uint64_t i0 = 0x9391054aul, i1 = 0x28be60dbul; // 2^64 / (2 pi), low and high half
    const uint64_t p0 = p & 0xfffffffful, p1 = p >> 32;
    const uint64_t low = p0 * i0, middle = p1 * i0 + (low >> 32), middle2 = p0 * i1 + (middle & 0xfffffffful);
    const uint64_t product_low = middle2 << 32 | (low & 0xfffffffful);
    const uint64_t product_high = p1 * i1 + (middle >> 32) + (middle2 >> 32);
    if (shift < 64u)
        return product_high << (64u - shift) | product_low >> shift;
    return shift < 128u ? product_high >> (shift - 64u) : 0ul;
}

// cos and sin of position * freq, within 1e-7.
vec2 rotation(uint position, float freq)
{
    const uint64_t t = turns(position, freq);
    const uint quarter = uint((t + (1ul << 61)) >> 62); // nearest quarter turn
    const float x = float(int64_t(t - (uint64_t(quarter) << 62))) * 3.4061215800865545e-19; // [-pi/4, pi/4]
    const float z = x * x;
    const float s = x + x * z * (-0.16666655242 + z * (0.0083321779966 + z * -0.00019517267356));
    const float c = 1.0 - 0.5 * z + z * z * (0.041666645557 + z * (-0.0013887367678 + z * 2.4438415494e-5));
    const vec2 cs = (quarter & 1u) == 0u ? vec2(c, s) : vec2(-s, c);
    return (quarter & 2u) == 0u ? cs : -cs;
}

void normalise(uint64_t weight)
{
    float squares = 0.0;
    for (uint i = gl_LocalInvocationIndex; i < args.head_dim; i += WORKGROUP)
        squares += head[i] * head[i];
    const float scale = inversesqrt(workgroup_sum(squares) / float(args.head_dim) + args.eps);
    for (uint i = gl_LocalInvocationIndex; i < args.head_dim; i += WORKGROUP)
        head[i] = head[i] * scale * read_f32(weight, i);
    barrier();
}

void rotate(uint position)
{
    const uint pairs = args.rope_dims / 2u;
    const bool neox = args.rope_kind == ROPE_NEOX;
    for (uint i = gl_LocalInvocationIndex; i < pairs; i += WORKGROUP) {
        const uint a = neox ? i : 2u * i, b = neox ? i + pairs : 2u * i + 1u;
        const vec2 cs = rotation(position, read_f32(args.freqs, i)) * args.rope_scale;
        const float x = head[a], y = head[b];
        head[a] = x * cs.x - y * cs.y;
        head[b] = x * cs.y + y * cs.x;
    }
    barrier();
}

void main()
{
    const uint h = gl_WorkGroupID.x, c = gl_WorkGroupID.y, n_heads = args.n_heads, n_kv = args.n_kv_heads;
    if (c >= min(args.n_cols, step_header(args.step).n_cols) || h >= n_heads + 2u * n_kv)
        return;
    const StepColumn column = step_column(args.step, c);
    const uint64_t x = args.qkv + uint64_t(c * (n_heads + 2u * n_kv) + h) * uint64_t(args.head_dim * 4u);
    const bool is_q = h < n_heads, is_v = h >= n_heads + n_kv;

    for (uint i = gl_LocalInvocationIndex; i < args.head_dim; i += WORKGROUP)
        head[i] = load_f32(x, i);
    barrier();
    if (!is_v) {
        const uint64_t weight = is_q ? args.q_norm : args.k_norm;
        if (weight != 0ul)
            normalise(weight);
        if (args.rope_kind != ROPE_NONE)
            rotate(column.position);
        for (uint i = gl_LocalInvocationIndex; i < args.head_dim; i += WORKGROUP)
            store_f32(x, i, head[i]);
    }
    if (is_q || column.position >= args.kv_pages * uint(KV_PAGE))
        return;
    const uint64_t page = kv_page(args.kv_table, args.kv_pages, column.sequence, column.position);
    const uint row = kv_row(is_v ? h - n_heads - n_kv : h - n_heads, column.position, args.head_dim);
    for (uint e = gl_LocalInvocationIndex * 32u; e < args.head_dim; e += WORKGROUP * 32u)
        kv_write(page + uint64_t(is_v ? args.v_offset : 0u), row, e, min(args.head_dim - e, 32u));
}

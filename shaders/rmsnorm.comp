// rmsnorm.comp: y = g * x / sqrt(mean(x^2) + eps); one workgroup per row, rows counted over groups x and y.
//   x [rows, n] f32    g [n] f32, or none: ones    y [rows, n] f32, may be x
// OUTPUT_Q8: y is written in 8 bits, as quantize_q8 would make it of the f32 result; n is a multiple of 32, x not y.
// Tuning: WORKGROUP (invocations per row).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_control_flow_attributes : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(local_size_x_id = 0) in;

#include "lib/global.glsl"
#include "lib/reduce.glsl"
#include "shared/args.h"
#ifdef OUTPUT_Q8
#include "lib/load.glsl"
#include "lib/quantize.glsl"
#endif

layout(push_constant) uniform Push { NormArgs args; };

void main()
{
    const uint row = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x, n = args.n;
    if (row >= args.rows)
        return;
    const uint64_t x = args.x + uint64_t(row) * uint64_t(args.x_stride * 4u);

    float squares = 0.0;
    for (uint i = gl_LocalInvocationIndex; i < n; i += WORKGROUP) {
        const float v = load_f32(x, i);
        squares += v * v;
    }
    const float scale = inversesqrt(workgroup_sum(squares) / float(n) + args.eps);

#ifdef OUTPUT_Q8
    for (uint b = gl_LocalInvocationIndex; b < n / 32u; b += WORKGROUP) {
        vec4 block[8];
        [[unroll]] for (uint i = 0u; i < 8u; i++) {
            const uint at = (32u * b + 4u * i) * 4u;
            const vec4 g = args.g != 0ul ? load_vec4(args.g, at) : vec4(1.0);
            block[i] = load_vec4(x, at) * scale * g;
        }
        store_q8_block(args.y, row, n, b, block);
    }
#else
    // An invocation overwrites only what it alone has read.
    const uint64_t y = args.y + uint64_t(row) * uint64_t(args.y_stride * 4u);
    for (uint i = gl_LocalInvocationIndex; i < n; i += WORKGROUP) {
        const float g = args.g != 0ul ? read_f32(args.g, i) : 1.0;
        store_f32(y, i, load_f32(x, i) * scale * g);
    }
#endif
}

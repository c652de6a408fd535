// rmsnorm.comp: y = g * x / sqrt(mean(x^2) + eps); one workgroup per row, rows counted over groups x and y.
//   x [rows, n] f32    g [n] f32, or none: ones    y [rows, n] f32, may be x
// Tuning: WORKGROUP (invocations per row).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(local_size_x_id = 0) in;

#include "lib/global.glsl"
#include "lib/reduce.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { NormArgs args; };

void main()
{
    const uint row = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x, n = args.n;
    if (row >= args.rows)
        return;
    const uint64_t x = args.x + uint64_t(row) * uint64_t(args.x_stride * 4u);
    const uint64_t y = args.y + uint64_t(row) * uint64_t(args.y_stride * 4u);

    float squares = 0.0;
    for (uint i = gl_LocalInvocationIndex; i < n; i += WORKGROUP) {
        const float v = load_f32(x, i);
        squares += v * v;
    }
    const float scale = inversesqrt(workgroup_sum(squares) / float(n) + args.eps);

    // An invocation overwrites only what it alone has read.
    for (uint i = gl_LocalInvocationIndex; i < n; i += WORKGROUP) {
        const float g = args.g != 0ul ? read_f32(args.g, i) : 1.0;
        store_f32(y, i, load_f32(x, i) * scale * g);
    }
}

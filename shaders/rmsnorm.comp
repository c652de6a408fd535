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
#include "shared/args.h"
#ifdef OUTPUT_Q8
#include "lib/quantize.glsl"
#endif
#include "lib/rms.glsl"

layout(push_constant) uniform Push { NormArgs args; };

void main()
{
    const uint row = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x, n = args.n;
    if (row >= args.rows)
        return;
    const uint64_t x = args.x + uint64_t(row) * uint64_t(args.x_stride * 4u);
    const float scale = rms_scale(x, n, args.eps);
#ifdef OUTPUT_Q8
    store_norm_q8(args.y, row, x, args.g, n, scale);
#else
    store_norm(args.y + uint64_t(row) * uint64_t(args.y_stride * 4u), x, args.g, n, scale);
#endif
}

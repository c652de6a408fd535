// quantize_q8.comp: 8-bit activations; an invocation makes one block of 32.
//   x [n_cols, n_in] f32    xq: per column n_in int8, then per block d = amax / 127 and d * sum of its int8, f32
// Groups: x over blocks of a column, y over columns. Tuning: 0 WORKGROUP.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
layout(local_size_x_id = 0) in;
#include "lib/global.glsl"
#include "shared/args.h"
#include "lib/load.glsl"
#include "lib/quantize.glsl"

layout(push_constant, std430) uniform Push {
    QuantizeArgs args;
};
void main()
{
    const uint b = gl_GlobalInvocationID.x, col = gl_WorkGroupID.y;
    if (b >= args.n_in / 32u)
        return;

    vec4 x[8];
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        x[i] = load_vec4(args.x, (col * args.x_stride + 32u * b + 4u * i) * 4u);
    store_q8_block(args.xq, col, args.n_in, b, x);
}

// embed.comp: y[c, :] = scale * W[token of column c, :]; an invocation makes one block of 32 elements.
//   W [n_vocab, n_in] any format    y [n_cols, n_in] f32, dense; n_in a multiple of 4
// Groups: x over blocks of a row, y over columns. Tuning: 0 WORKGROUP.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require

layout(local_size_x_id = 0) in;
#include "lib/global.glsl"
#include "lib/step.glsl"
#include "shared/args.h"
#include "lib/weights.glsl"

layout(push_constant, std430) uniform Push {
    EmbedArgs args;
};
layout(buffer_reference, std430, buffer_reference_align = 16) writeonly buffer OutVec4 {
    vec4 v;
};

void main()
{
    const uint b = gl_GlobalInvocationID.x, col = gl_WorkGroupID.y;
    if (b >= (args.n_in + 31u) / 32u)
        return;

    const uint token = min(step_column(args.step, col).token, args.n_vocab - 1u);
    const uint64_t base = read_u64(args.pieces, args.piece) + uint64_t(args.offset16) * 16ul;
    Block k;
    block_load(base, token * row_bytes(args.n_in), b, args.n_in, k);
    BLOCK_UNROLL for (uint i = 0u; i < 8u; i++) {
        const vec4 v = block_values(k, i) * args.scale;
        const uint e = 32u * b + 4u * i;
        if (e < args.n_in)
            OutVec4(args.y + uint64_t((col * args.n_in + e) * 4u)).v = v;
    }
}

// glu.comp: y = act(gate) * up, act SiLU or GELU (tanh form). Groups: x over the elements of a row, y over rows.
//   gate, up, y [rows, n] f32, rows stride apart; y may be gate or up
// OUTPUT_Q8: y is written in 8 bits, as quantize_q8 would make it of the f32 result; n is a multiple of 32, y is apart.
// Groups: x over blocks of 32.
// Tuning: WORKGROUP.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_control_flow_attributes : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(local_size_x_id = 0) in;

#include "lib/activation.glsl"
#include "lib/global.glsl"
#include "shared/args.h"
#ifdef OUTPUT_Q8
#include "lib/load.glsl"
#include "lib/quantize.glsl"
#endif

layout(push_constant) uniform Push { GluArgs args; };

float glu_of(float x, float up)
{
    return glu(args.act == ACT_GELU, x, up);
}

void main()
{
    const uint64_t row = uint64_t(gl_WorkGroupID.y) * uint64_t(args.stride * 4u);
#ifdef OUTPUT_Q8
    const uint b = gl_WorkGroupID.x * WORKGROUP + gl_LocalInvocationIndex;
    if (b >= args.n / 32u)
        return;
    vec4 block[8];
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        const uint at = (32u * b + 4u * i) * 4u;
        const vec4 x = load_vec4(args.gate + row, at), up = load_vec4(args.up + row, at);
        block[i] = vec4(glu_of(x.x, up.x), glu_of(x.y, up.y), glu_of(x.z, up.z), glu_of(x.w, up.w));
    }
    store_q8_block(args.y, gl_WorkGroupID.y, args.n, b, block);
#else
    const uint step = WORKGROUP * gl_NumWorkGroups.x;
    for (uint i = gl_WorkGroupID.x * WORKGROUP + gl_LocalInvocationIndex; i < args.n; i += step)
        store_f32(args.y + row, i, glu_of(load_f32(args.gate + row, i), load_f32(args.up + row, i)));
#endif
}

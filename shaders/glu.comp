// glu.comp: y = act(gate) * up, act SiLU or GELU (tanh form). Groups: x over the elements of a row, y over rows.
//   gate, up, y [rows, n] f32, rows stride apart; y may be gate or up
// Both activations are written with one exponential of a bounded argument: x / (1 + exp(-x)), and, as tanh is a scaled
// logistic function, GELU likewise. The built-in tanh is too inaccurate on some drivers.
// Tuning: WORKGROUP.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(local_size_x_id = 0) in;

#include "lib/global.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { GluArgs args; };

// x * logistic(z); exp stays finite, and its quotient is then too small to matter.
float gated(float x, float z)
{
    return x / (1.0 + exp(min(-z, 80.0)));
}

void main()
{
    const uint64_t row = uint64_t(gl_WorkGroupID.y) * uint64_t(args.stride * 4u);
    const uint step = WORKGROUP * gl_NumWorkGroups.x;

    for (uint i = gl_WorkGroupID.x * WORKGROUP + gl_LocalInvocationIndex; i < args.n; i += step) {
        const float x = load_f32(args.gate + row, i), up = load_f32(args.up + row, i);
        const float z = args.act == ACT_SILU ? x : 1.5957691216 * (x + 0.044715 * x * x * x); // 2 sqrt(2 / pi)
        store_f32(args.y + row, i, gated(x, z) * up);
    }
}

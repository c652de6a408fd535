// probe.comp: y[i] = factor * x[i] + addend; four uint32 per invocation.
//   x, y [n] uint32, n a multiple of 4; y may be x
// Measures memory bandwidth and the cost of a dispatch, and shows in tests that what the recorder orders stays in
// order.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#include "args.h"

layout(local_size_x_id = 0) in;
layout(push_constant, std430) uniform Push {
    ProbeArgs a;
};
layout(buffer_reference, std430, buffer_reference_align = 16) buffer U32x4 {
    uvec4 v;
};

void main()
{
    const uint i = gl_GlobalInvocationID.x + gl_GlobalInvocationID.y * gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    if (i >= a.n / 4u)
        return;
    const uint64_t at = uint64_t(i) * 16ul;
    U32x4(a.y + at).v = a.factor * U32x4(a.x + at).v + a.addend;
}

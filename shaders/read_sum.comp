// read_sum.comp: y[g, i] = the sum of the words that invocation i of workgroup g reads: LOADS units of 16 bytes,
// WORKGROUP units apart; workgroups read one range after the other. Measures how fast memory can be read: nothing else
// is done with what is read, and nothing is shared, so that no driver has to make invocations wait for each other.
//   x  uint32 [units, 4]    y  uint32 [workgroups, WORKGROUP]
// Tuning: WORKGROUP, 2 LOADS.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_control_flow_attributes : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(constant_id = 2) const uint LOADS = 16;
layout(local_size_x_id = 0) in;

#include "lib/load.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { ReadSumArgs args; };

void main()
{
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint first = group * WORKGROUP * LOADS;
    if (first >= args.units)
        return;
    const uint64_t x = args.x + uint64_t(first) * 16ul;
    const uint left = args.units - first;
    uvec4 sums = uvec4(0u);
    if (left >= WORKGROUP * LOADS) {
        [[unroll]] for (uint i = 0u; i < LOADS; i++)
            sums += load128(x, (i * WORKGROUP + gl_LocalInvocationIndex) * 16u);
    } else {
        for (uint i = gl_LocalInvocationIndex; i < left; i += WORKGROUP)
            sums += load128(x, i * 16u);
    }
    const uint64_t y = args.y + uint64_t(group) * uint64_t(WORKGROUP * 4u);
    store_u32(y, gl_LocalInvocationIndex * 4u, sums.x + sums.y + sums.z + sums.w);
}

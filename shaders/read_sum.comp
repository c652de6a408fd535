// read_sum.comp: y[g] = the sum of the words that workgroup g reads: WORKGROUP * LOADS units of 16 bytes, one range
// after the other. Measures how fast memory can be read: nothing else is done with what is read.
//   x  uint32 [units, 4]    y  uint32 [workgroups]
// Tuning: WORKGROUP, 2 LOADS (units that an invocation reads).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_control_flow_attributes : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(constant_id = 2) const uint LOADS = 16;
layout(local_size_x_id = 0) in;

#include "lib/load.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { ReadSumArgs args; };

shared uint parts[(WORKGROUP + 3) / 4]; // one per subgroup

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
    uint sum = subgroupAdd(sums.x + sums.y + sums.z + sums.w);
    if (subgroupElect())
        parts[gl_SubgroupID] = sum;
    barrier();
    if (gl_LocalInvocationIndex != 0u)
        return;
    sum = 0u;
    for (uint i = 0u; i < gl_NumSubgroups; i++)
        sum += parts[i];
    store_u32(args.y, group * 4u, sum);
}

// sample_max.comp: the largest key (lib/sample.glsl) of each block of SAMPLE_BLOCK logits; one workgroup per block.
//   logits [n_vocab] f32    maxima [blocks] uint32
// Tuning: WORKGROUP.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(local_size_x_id = 0) in;

#include "lib/global.glsl"
#include "lib/reduce_int.glsl"
#include "lib/sample.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { SampleArgs args; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer ReadU32 { uint v; };

void main()
{
    const uint block = gl_WorkGroupID.x, first = block * SAMPLE_BLOCK;
    const uint end = min(first + SAMPLE_BLOCK, args.n_vocab);
    uint highest = 0u;
    for (uint i = first + gl_LocalInvocationIndex; i < end; i += WORKGROUP)
        highest = max(highest, sample_key(ReadU32(args.logits + uint64_t(i * 4u)).v));
    highest = workgroup_max_uint(highest);
    if (gl_LocalInvocationIndex == 0)
        store_u32(args.maxima, block * 4u, highest);
}

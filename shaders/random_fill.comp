// random_fill.comp: random bits, with one field of every block masked: weights and KV without a file.
//   dst  bytes, 16-byte aligned: units of 16 bytes, then tail_bytes more
// The blocks begin `first` units before dst, so that a long range can be filled piece by piece. In the field's bytes
// only the bits of `keep` stay random, and the bits of `set` are set: a scale, say. An invocation writes a unit.
// The bits are a hash of the place: lowbias32, C. Wellons, https://github.com/skeeto/hash-prospector.
// Tuning: WORKGROUP.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_control_flow_attributes : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(local_size_x_id = 0) in;

#include "lib/global.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { RandomFillArgs args; };
layout(buffer_reference, std430, buffer_reference_align = 16) writeonly buffer WriteUvec4 { uvec4 v; };
layout(buffer_reference, std430, buffer_reference_align = 1) writeonly buffer WriteU8 { uint8_t v; };

uint hash(uint x)
{
    x ^= args.seed_low;
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return (x ^ x >> 16) ^ args.seed_high;
}

void main()
{
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint unit = group * WORKGROUP + gl_LocalInvocationIndex;
    if (unit > args.units || (unit == args.units && args.tail_bytes == 0u))
        return;
    const uint place = args.first + unit;
    uint at = place % args.block_bytes * 16u % args.block_bytes; // of the next byte in its block
    uvec4 words;
    [[unroll]] for (uint w = 0u; w < 4u; w++) {
        uint bits = hash(4u * place + w);
        [[unroll]] for (uint b = 0u; b < 32u; b += 8u) {
            const uint in_field = at - args.field_at;
            if (in_field < args.field_bytes) {
                const uint keep = args.keep >> (8u * in_field) & 255u, set = args.set >> (8u * in_field) & 255u;
                bits = (bits & ~(255u << b)) | ((bits >> b & keep | set) << b);
            }
            at = at + 1u == args.block_bytes ? 0u : at + 1u;
        }
        words[w] = bits;
    }
    const uint64_t to = args.dst + uint64_t(unit) * 16ul;
    if (unit < args.units) {
        WriteUvec4(to).v = words;
        return;
    }
    for (uint i = 0u; i < args.tail_bytes; i++)
        WriteU8(to + uint64_t(i)).v = uint8_t(words[i / 4u] >> (8u * (i % 4u)) & 255u);
}

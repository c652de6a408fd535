// global.glsl: memory by device address.
//
// A base is 64 bits, what is added to it 32: written so, compilers keep the base in scalar registers and add the offset
// in the load instruction. Offsets are bytes below 4 GiB; indices count elements, so an array is below 4 GiB too.
// Read* promise that nobody writes there during the dispatch.
#ifndef LIB_GLOBAL_GLSL
#define LIB_GLOBAL_GLSL

#extension GL_EXT_buffer_reference : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

layout(buffer_reference, std430, buffer_reference_align = 4) buffer F32At { float v; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer U32At { uint v; };
layout(buffer_reference, std430, buffer_reference_align = 2) buffer U16At { uint16_t v; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer ReadF32 { float v; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer ReadVec4 { vec4 v; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer ReadUvec2 { uvec2 v; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer ReadUvec4 { uvec4 v; };
layout(buffer_reference, std430, buffer_reference_align = 2) readonly buffer ReadU16 { uint16_t v; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer ReadU64 { uint64_t v; };

// What other workgroups of the same dispatch write, or go on with (lib/last.glsl).
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer SharedU32 { uint v; };
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer SharedF32 { float v; };
layout(buffer_reference, std430, buffer_reference_align = 16) coherent buffer SharedVec4 { vec4 v; };

float load_f32(uint64_t base, uint i)
{
    return F32At(base + uint64_t(i * 4u)).v;
}
void store_f32(uint64_t base, uint i, float x)
{
    F32At(base + uint64_t(i * 4u)).v = x;
}
float read_f32(uint64_t base, uint i)
{
    return ReadF32(base + uint64_t(i * 4u)).v;
}
uint read_u16(uint64_t base, uint offset_bytes)
{
    return uint(ReadU16(base + uint64_t(offset_bytes)).v);
}
void store_u16(uint64_t base, uint offset_bytes, uint x)
{
    U16At(base + uint64_t(offset_bytes)).v = uint16_t(x);
}
void store_u32(uint64_t base, uint offset_bytes, uint x)
{
    U32At(base + uint64_t(offset_bytes)).v = x;
}
uint64_t read_u64(uint64_t base, uint i)
{
    return ReadU64(base + uint64_t(i * 8u)).v;
}

#endif

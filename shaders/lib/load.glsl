// load.glsl: reading words of packed weights. A place is a 64-bit base and a 32-bit byte offset, as in global.glsl.
//
// Formats whose blocks have an odd size are read through aligned 32-bit words that are shifted together: half as many
// loads as 16-bit pieces. The last word may reach past the end of the data, never past the next multiple of 4 bytes.
#ifndef LIB_LOAD_GLSL
#define LIB_LOAD_GLSL

#include "lib/global.glsl"

layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer ReadU32 { uint v; };

#if LOAD_BY_LANE
#include "lib/load_lanes.glsl"
#else

// offset a multiple of 2
uint load16(uint64_t base, uint offset)
{
    return read_u16(base, offset);
}

// offset a multiple of 4
uint load32(uint64_t base, uint offset)
{
    return ReadU32(base + uint64_t(offset)).v;
}

// offset a multiple of 8
uvec2 load64(uint64_t base, uint offset)
{
    return ReadUvec2(base + uint64_t(offset)).v;
}

// offset a multiple of 16
uvec4 load128(uint64_t base, uint offset)
{
    return ReadUvec4(base + uint64_t(offset)).v;
}

// offset a multiple of 16
vec4 load_vec4(uint64_t base, uint offset)
{
    return ReadVec4(base + uint64_t(offset)).v;
}

#endif

// 32 bits out of two words, from bit 0..31 on.
uint joined(uint low, uint high, uint bit)
{
    return low >> bit | high << 1u << (31u - bit);
}

// 32 bits out of two words, from bit 1..32 on.
uint joined_after(uint low, uint high, uint bit)
{
    return low >> (bit - 1u) >> 1u | high << (32u - bit);
}

// 8 words at any byte offset; the 4 bytes after them must be readable, so they are for the inside of a block.
void load_words8(uint64_t base, uint offset, out uint w[8])
{
    const uint at = offset & ~3u, bit = (offset & 3u) * 8u;
    uint low = load32(base, at);
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        const uint high = load32(base, at + 4u * i + 4u);
        w[i] = joined(low, high, bit);
        low = high;
    }
}

// 4 words at any byte offset that has at least one byte of the same block before it. Returns the aligned word that
// holds this byte; bit is where in it the words begin, 8 to 32.
uint load_words4_after(uint64_t base, uint offset, out uint w[4], out uint bit)
{
    const uint at = (offset - 1u) & ~3u;
    const uint first = load32(base, at);
    uint low = first;
    bit = (offset - at) * 8u;
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        const uint high = load32(base, at + 4u * i + 4u);
        w[i] = joined_after(low, high, bit);
        low = high;
    }
    return first;
}

// f32 of the f16 in the low 16 bits.
float f16_low(uint v)
{
    return unpackHalf2x16(v).x;
}

#endif

// Q4_1: 32 elements in 20 bytes, 4-byte aligned: d f16, m f16, 16 bytes of nibbles; d * q + m
#define BLOCK_BYTES 20u
#define BLOCK_ELEMS 32u
#define BLOCK_PLAIN 0
#define BLOCK_SCALES 1
#define BLOCK_MIN 1
#define BLOCK_BITS 4
#include "lib/block.glsl"

void block_part(uint64_t base, uint at, uint s, out Block k)
{
    uint n[4];
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        n[i] = load32(base, at + 4u + 4u * i);
    unpack_nibbles(n, k.q);
    const vec2 dm = unpackHalf2x16(load32(base, at));
    k.d = vec2(dm.x);
    k.m = vec2(dm.y);
}

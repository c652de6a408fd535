// Q5_1: 32 elements in 24 bytes, 8-byte aligned: d f16, m f16, fifth bits u32, 16 bytes of nibbles; d * q + m
#define BLOCK_BYTES 24u
#define BLOCK_ELEMS 32u
#define BLOCK_PLAIN 0
#define BLOCK_SCALES 1
#define BLOCK_MIN 1
#define BLOCK_BITS 5
#include "lib/block.glsl"

void block_part(uint64_t base, uint at, uint s, out Block k)
{
    const uvec2 head = load64(base, at), low = load64(base, at + 8u), high = load64(base, at + 16u);
    const uint n[4] = {low.x, low.y, high.x, high.y};
    unpack_nibbles(n, k.q);
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        k.q[i] |= spread_bits(head.y, i) << 4u;
    const vec2 dm = unpackHalf2x16(head.x);
    k.d = vec2(dm.x);
    k.m = vec2(dm.y);
}

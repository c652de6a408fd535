// Q4_0: 32 elements in 18 bytes, 2-byte aligned: d f16, 16 bytes of nibbles; d * (q - 8)
#define BLOCK_BYTES 18u
#define BLOCK_ELEMS 32u
#define BLOCK_PLAIN 0
#define BLOCK_SCALES 1
#define BLOCK_MIN 0
#define BLOCK_BITS 4
#define BLOCK_OFFSET 8
#include "lib/block.glsl"

void block_part(uint64_t base, uint at, uint s, out Block k)
{
    uint n[4], bit;
    const uint first = load_words4_after(base, at + 2u, n, bit);
    unpack_nibbles(n, k.q);
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        k.q[i] = less_offset(k.q[i]);
    k.d = vec2(f16_low(first >> (bit - 16u)));
    k.m = vec2(0.0);
}

// Q5_0: 32 elements in 22 bytes, 2-byte aligned: d f16, fifth bits u32, 16 bytes of nibbles; d * (q - 16)
#define BLOCK_BYTES 22u
#define BLOCK_ELEMS 32u
#define BLOCK_PLAIN 0
#define BLOCK_SCALES 1
#define BLOCK_MIN 0
#define BLOCK_BITS 5
#define BLOCK_OFFSET 16
#include "lib/block.glsl"

void block_part(uint64_t base, uint at, uint s, out Block k)
{
    uint n[4], bit;
    const uint third = load_words4_after(base, at + 6u, n, bit); // bytes 2 and 3 of the fifth bits end at `bit`
    const uint fifth = load16(base, at + 2u) | third >> (bit - 16u) << 16u;
    unpack_nibbles(n, k.q);
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        k.q[i] = less_offset(k.q[i] | spread_bits(fifth, i) << 4u);
    k.d = vec2(f16_low(load16(base, at)));
    k.m = vec2(0.0);
}

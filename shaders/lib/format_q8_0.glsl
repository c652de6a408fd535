// Q8_0: 32 elements in 34 bytes, 2-byte aligned: d f16, 32 int8; d * q
#define BLOCK_BYTES 34u
#define BLOCK_ELEMS 32u
#define BLOCK_PLAIN 0
#define BLOCK_SCALES 1
#define BLOCK_MIN 0
#include "lib/block.glsl"

void block_part(uint64_t base, uint at, uint s, out Block k)
{
    uint low[4], high[4], bit;
    const uint first = load_words4_after(base, at + 2u, low, bit);
    load_words4_after(base, at + 18u, high, bit);
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        k.q[i] = low[i];
        k.q[4u + i] = high[i];
    }
    k.d = vec2(f16_low(first >> (bit - 16u)));
    k.m = vec2(0.0);
}

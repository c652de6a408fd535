// Q3_K: 256 elements in 110 bytes, 2-byte aligned: 16 sub-blocks with signed 6-bit scales.
//   0 third bits[32] | 32 q[64] | 96 scales[12] | 108 d f16
//   element 128 h + 32 j + l is bits 2j..2j+1 of q[32 h + l] and bit 4 h + j of byte l; d * scale * (q - 4)
#define BLOCK_BYTES 110u
#define BLOCK_ELEMS 256u
#define BLOCK_PLAIN 0
#define BLOCK_SCALES 2
#define BLOCK_MIN 0
#define BLOCK_BITS 3
#define BLOCK_OFFSET 4
#include "lib/block.glsl"

void block_part(uint64_t base, uint at, uint s, out Block k)
{
    uint third[8], q[8];
    load_words8(base, at, third);
    load_words8(base, at + 32u + 32u * (s / 4u), q);
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        k.q[i] = less_offset((q[i] >> 2u * (s % 4u) & 0x03030303u) | (third[i] >> s & 0x01010101u) << 2u);
    // Sub-blocks 2 s and 2 s + 1: low nibbles in byte 2 s % 8 and the next, high bits in byte 8 + 2 s % 4 and the next.
    const uint low = load16(base, at + 96u + 2u * s % 8u) >> 4u * (s / 4u);
    const uint high = load16(base, at + 104u + 2u * s % 4u) >> 2u * (s / 2u);
    const ivec2 scale = ivec2((low & 15u) | (high & 3u) << 4u, (low >> 8u & 15u) | (high >> 8u & 3u) << 4u) - 32;
    k.d = f16_low(load16(base, at + 108u)) * vec2(scale);
    k.m = vec2(0.0);
}

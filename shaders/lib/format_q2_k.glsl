// Q2_K: 256 elements in 84 bytes, 4-byte aligned: 16 sub-blocks with 4-bit scale and minimum.
//   0 scale and minimum of each sub-block[16] | 16 q[64] | 80 d f16 | 82 dmin f16
//   element 128 h + 32 j + l is bits 2j..2j+1 of q[32 h + l]; d * scale * q - dmin * minimum
#define BLOCK_BYTES 84u
#define BLOCK_ELEMS 256u
#define BLOCK_PLAIN 0
#define BLOCK_SCALES 2
#define BLOCK_MIN 1
#define BLOCK_BITS 2
#include "lib/block.glsl"

void block_part(uint64_t base, uint at, uint s, out Block k)
{
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        k.q[i] = load32(base, at + 16u + 32u * (s / 4u) + 4u * i) >> 2u * (s % 4u) & 0x03030303u;
    const uint scales = load16(base, at + 2u * s);
    const vec2 d = unpackHalf2x16(load32(base, at + 80u));
    k.d = d.x * vec2(scales & 15u, scales >> 8u & 15u);
    k.m = -d.y * vec2(scales >> 4u & 15u, scales >> 12u & 15u);
}

// Q6_K: 256 elements in 210 bytes, 2-byte aligned: 16 sub-blocks with signed 8-bit scales.
//   0 low[128] | 128 high[64] | 192 scales i8[16] | 208 d f16
//   element 128 h + 32 j + l: nibble j / 2 of low[64 h + 32 (j % 2) + l], bits 2j..2j+1 of high[32 h + l];
//   d * scale * (q - 32)
#define BLOCK_BYTES 210u
#define BLOCK_ELEMS 256u
#define BLOCK_PLAIN 0
#define BLOCK_SCALES 2
#define BLOCK_MIN 0
#define BLOCK_BITS 6
#define BLOCK_OFFSET 32
#include "lib/block.glsl"

void block_part(uint64_t base, uint at, uint s, out Block k)
{
    const uint h = s / 4u, j = s % 4u;
    uint low[8], high[8];
    load_words8(base, at + 64u * h + 32u * (j % 2u), low);
    load_words8(base, at + 128u + 32u * h, high);
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        const uint q = (low[i] >> 4u * (j / 2u) & 0x0f0f0f0fu) | (high[i] >> 2u * j & 0x03030303u) << 4u;
        k.q[i] = less_offset(q);
    }
    const int scales = int(load16(base, at + 192u + 2u * s));
    k.d = f16_low(load16(base, at + 208u)) * vec2(bitfieldExtract(scales, 0, 8), bitfieldExtract(scales, 8, 8));
    k.m = vec2(0.0);
}

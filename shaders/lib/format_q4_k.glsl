// Q4_K: 256 elements in 144 bytes, 16-byte aligned: 8 sub-blocks with 6-bit scale and minimum.
//   0 d f16 | 2 dmin f16 | 4 scales[12] | 16 nibbles[128]: run r of 32 bytes has sub-block 2r in its low halves, 2r + 1
//   above
//   d * scale * q - dmin * minimum
#define BLOCK_BYTES 144u
#define BLOCK_ELEMS 256u
#define BLOCK_PLAIN 0
#define BLOCK_SCALES 1
#define BLOCK_MIN 1
#define BLOCK_BITS 4
#include "lib/block.glsl"
#include "lib/k_scales.glsl"

void block_part(uint64_t base, uint at, uint s, out Block k)
{
    const uvec4 head = load128(base, at);
    [[unroll]] for (uint i = 0u; i < 2u; i++) {
        const uvec4 n = load128(base, at + 16u + 32u * (s / 2u) + 16u * i) >> 4u * (s % 2u) & 0x0f0f0f0fu;
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            k.q[4u * i + j] = n[j];
    }
    const vec2 d = unpackHalf2x16(head.x), sm = k_scale_and_minimum(head.yzw, s);
    k.d = vec2(d.x * sm.x);
    k.m = vec2(-d.y * sm.y);
}

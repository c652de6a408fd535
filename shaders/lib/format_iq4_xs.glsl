// IQ4_XS: 256 elements in 136 bytes, 8-byte aligned: 6-bit scales and nibbles that index a table.
//   0 d f16 | 2 two high bits of 8 scales u16 | 4 their low nibbles | 8 nibbles[128], 16 bytes for 32 elements
#define BLOCK_BYTES 136u
#define BLOCK_ELEMS 256u
#define BLOCK_PLAIN 0
#define BLOCK_SCALES 1
#define BLOCK_MIN 0
#include "lib/block.glsl"
#include "lib/iq4_table.glsl"

void block_part(uint64_t base, uint at, uint s, out Block k)
{
    const uvec2 head = load64(base, at), low = load64(base, at + 8u + 16u * s), high = load64(base, at + 16u + 16u * s);
    const uint n[4] = {low.x, low.y, high.x, high.y};
    unpack_nibbles(n, k.q);
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        k.q[i] = look_up(k.q[i], IQ4_TABLE);
    const uint scale = (head.y >> 4u * s & 15u) | (head.x >> 16u + 2u * s & 3u) << 4u;
    k.d = vec2(f16_low(head.x) * float(int(scale) - 32));
    k.m = vec2(0.0);
}

// MXFP4: 32 elements in 17 bytes, any alignment: E8M0 exponent, 16 bytes of nibbles that are E2M1 floats
#define BLOCK_BYTES 17u
#define BLOCK_ELEMS 32u
#define BLOCK_PLAIN 0
#define BLOCK_SCALES 1
#define BLOCK_MIN 0
#include "lib/block.glsl"

// Twice 0 .5 1 1.5 2 3 4 6 and their negatives, as int8: OCP Microscaling Formats 1.0.
const uvec4 E2M1_DOUBLED = uvec4(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);

void block_part(uint64_t base, uint at, uint s, out Block k)
{
    uint n[4], bit;
    const uint first = load_words4_after(base, at + 1u, n, bit);
    unpack_nibbles(n, k.q);
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        k.q[i] = look_up(k.q[i], E2M1_DOUBLED);
    // 2^(exponent - 128), because the table is doubled: a normal float from exponent 2 on, subnormal below.
    const uint exponent = first >> (bit - 8u) & 255u;
    const uint bits = exponent >= 2u ? exponent - 1u << 23u : 0x00200000u << exponent;
    k.d = vec2(uintBitsToFloat(bits));
    k.m = vec2(0.0);
}

// BF16: the upper half of an f32. Rows are 16-byte aligned when n_in is a multiple of 8, else 2-byte aligned.
#define BLOCK_BYTES 2u
#define BLOCK_ELEMS 1u
#define BLOCK_PLAIN 1
#define BLOCK_SCALES 1
#define BLOCK_MIN 0
#include "lib/block.glsl"

vec2 two_floats(uint w)
{
    return vec2(uintBitsToFloat(w << 16u), uintBitsToFloat(w & 0xffff0000u));
}

void block_load(uint64_t base, uint row, uint b, uint n_in, out Block k)
{
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        const uint e = 32u * b + 8u * i;
        uvec4 w = uvec4(0u);
        if ((n_in & 7u) == 0u) {
            if (e < n_in)
                w = load128(base, row + 2u * e);
        } else {
            [[unroll]] for (uint j = 0u; j < 8u; j++) {
                if (e + j < n_in)
                    w[j / 2u] |= read_u16(base, row + 2u * (e + j)) << 16u * (j & 1u);
            }
        }
        k.v[2u * i] = vec4(two_floats(w.x), two_floats(w.y));
        k.v[2u * i + 1u] = vec4(two_floats(w.z), two_floats(w.w));
    }
}

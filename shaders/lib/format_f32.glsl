// F32: plain floats. Rows are 16-byte aligned when n_in is a multiple of 4, else 4-byte aligned.
#define BLOCK_BYTES 4u
#define BLOCK_ELEMS 1u
#define BLOCK_PLAIN 1
#define BLOCK_SCALES 1
#define BLOCK_MIN 0
#include "lib/block.glsl"

void block_load(uint64_t base, uint row, uint b, uint n_in, out Block k)
{
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        const uint e = 32u * b + 4u * i;
        vec4 v = vec4(0.0);
        if ((n_in & 3u) == 0u) {
            if (e < n_in)
                v = load_vec4(base, row + 4u * e);
        } else {
            [[unroll]] for (uint j = 0u; j < 4u; j++) {
                if (e + j < n_in)
                    v[j] = uintBitsToFloat(load32(base, row + 4u * (e + j)));
            }
        }
        k.v[i] = v;
    }
}

// F16: IEEE 754 binary16. n_in is a multiple of 4, so four elements are 8-byte aligned.
#define BLOCK_BYTES 2u
#define BLOCK_ELEMS 1u
#define BLOCK_PLAIN 1
#define BLOCK_SCALES 1
#define BLOCK_MIN 0
#include "lib/block.glsl"

vec4 plain_load(uint64_t base, uint row, uint e)
{
    const uvec2 w = load64(base, row + 2u * e);
    return vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y));
}

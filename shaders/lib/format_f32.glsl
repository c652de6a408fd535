// F32. n_in is a multiple of 4, so four elements are 16-byte aligned.
#define BLOCK_BYTES 4u
#define BLOCK_ELEMS 1u
#define BLOCK_PLAIN 1
#define BLOCK_SCALES 1
#define BLOCK_MIN 0
#include "lib/block.glsl"

vec4 plain_load(uint64_t base, uint row, uint e)
{
    return load_vec4(base, row + 4u * e);
}

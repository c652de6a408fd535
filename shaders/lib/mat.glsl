// mat.glsl: what the matrix kernels share: their arguments, their weight format, columns of x, the store of a result.
#ifndef LIB_MAT_GLSL
#define LIB_MAT_GLSL

#include "lib/global.glsl"
#include "shared/args.h"
#include "lib/activation.glsl"
#include "lib/weights.glsl"

layout(push_constant, std430) uniform Push {
    MatArgs args;
};

// Address of the matrix: pieces move, so their addresses lie in memory.
uint64_t weights_base()
{
    return read_u64(args.pieces, args.piece) + uint64_t(args.offset16) * 16ul;
}

// Blocks of 32 in a row; only a plain format's last block may be short.
uint blocks_per_row()
{
    return (args.n_in + 31u) / 32u;
}

// x[col, e..e+3], e a multiple of 4; zero from n_in on, whatever lies there.
vec4 load_x(uint col, uint e)
{
#if BLOCK_PLAIN
    if (e >= args.n_in)
        return vec4(0.0);
#endif
    return load_vec4(args.x, (col * args.x_stride + e) * 4u);
}

bool is_glu()
{
    return (args.flags & FLAG_GLU) != 0u;
}

// Row of the matrix that is row r of a workgroup or invocation which makes the outputs from `first` on, `outputs` of
// them; those of `up` follow the ones of `gate`. Beyond the last it is the last again.
uint matrix_row(uint first, uint r, uint outputs)
{
    const uint second = r >= outputs ? 1u : 0u;
    return min(args.row0 + first + r - second * outputs, args.row0 + args.rows - 1u) + second * (args.n_out / 2u);
}

// y[col, row] of a kernel that has an epilogue.
void store_output(uint col, uint row, float x)
{
    SharedF32(args.y + uint64_t((col * args.y_stride + row) * 4u)).v = x;
}

// y[col, row] = sum, as the flags say. row counts from row0.
void store_y(uint col, uint row, float sum)
{
    if (col >= args.n_cols || row >= args.rows)
        return;
    const uint r = args.row0 + row;
    const uint at = col * args.y_stride + r;
    if ((args.flags & FLAG_BIAS) != 0u)
        sum += read_f32(args.bias, r);
    if ((args.flags & FLAG_ACCUMULATE) != 0u)
        sum += load_f32(args.y, at);
    store_output(col, r, sum);
}

#endif

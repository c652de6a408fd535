// matmul_coopmat.comp: y = W x for many columns on matrix units (VK_KHR_cooperative_matrix), f16 products, sums in f32.
//   W [n_out, n_in] any format    x [n_cols, n_in] f32    y [n_cols, n_out] f32
// A workgroup makes a tile of ROWS rows and COLS columns, 32 elements of n_in at a time (lib/coopmat_tile.glsl): it
// decodes the weights and rounds x to f16 in shared memory (what is beyond f16 is cut to 65504), then each subgroup
// multiplies TM by TN matrices.
// Groups: x over columns, y over rows, so that neighbours share weights. Any n_out, n_cols. K divides 32.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "lib/coopmat_tile.glsl"

const uint PITCH = DEPTH / 4u + 2u; // of a row in shared memory, in units of four: rows then lie in different banks
const uint X_LOADS = SHARES * COLS * DEPTH / 4u;
const uint AT_ONCE = SUBGROUP < 16u ? 4u : 8u; // loads of x under way: more, and 8 lanes (Intel) run out of registers

shared f16vec4 w_tile[SHARES * ROWS * PITCH]; // [SHARES, ROWS, DEPTH]
shared f16vec4 x_tile[SHARES * COLS * PITCH]; // [SHARES, COLS, DEPTH]

f16vec4 to_tile(vec4 v)
{
    return f16vec4(clamp(v, -65504.0, 65504.0));
}

// Element u of x_tile, four wide.
void put_x(uint u, uint b0, uint last, uint col0)
{
    const uint c = u / (DEPTH / 4u), e = u % (DEPTH / 4u), b = b0 + c / COLS;
    const uint col = min(col0 + c % COLS, args.n_cols - 1u);
    x_tile[c * PITCH + e] = SHARES == 1u || b <= last ? to_tile(load_x(col, b * DEPTH + 4u * e)) : f16vec4(0.0);
}

// Blocks [b0, b0 + SHARES); those beyond the last are the last one times zeros.
void load_tiles(uint64_t base, uint b0, uint row0, uint col0)
{
    const uint last = blocks_per_row() - 1u;
    for (uint r = gl_LocalInvocationIndex; r < SHARES * ROWS; r += WORKGROUP) {
        const uint b = SHARES == 1u ? b0 : min(b0 + r / ROWS, last), row = row0 + r % ROWS;
        Block k;
        block_load(base, (args.row0 + min(row, args.rows - 1u)) * row_bytes(args.n_in), b, args.n_in, k);
        BLOCK_UNROLL for (uint i = 0u; i < DEPTH / 4u; i++)
            w_tile[r * PITCH + i] = to_tile(block_values(k, i));
    }
    if (X_LOADS % (AT_ONCE * WORKGROUP) == 0u) {
        [[dont_unroll]] for (uint u = gl_LocalInvocationIndex; u < X_LOADS; u += AT_ONCE * WORKGROUP) {
            [[unroll]] for (uint i = 0u; i < AT_ONCE; i++)
                put_x(u + i * WORKGROUP, b0, last, col0);
        }
    } else {
        for (uint u = gl_LocalInvocationIndex; u < X_LOADS; u += WORKGROUP)
            put_x(u, b0, last, col0);
    }
}

void main()
{
    const uint row0 = gl_WorkGroupID.y * ROWS, col0 = gl_WorkGroupID.x * COLS;
    const Part part = subgroup_part();
    const uint w_first = part.share * ROWS + part.row, x_first = part.share * COLS + part.col;
    const uint64_t base = weights_base();
    coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> acc[SUMS];
    [[unroll]] for (uint i = 0u; i < SUMS; i++)
        acc[i] = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0.0);

    for (uint b = 0u; b < blocks_per_row(); b += SHARES) {
        barrier();
        load_tiles(base, b, row0, col0);
        barrier();
        [[unroll]] for (uint e = 0u; e < DEPTH / 4u; e += K / 4u) {
            coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> w[TM];
            [[unroll]] for (uint i = 0u; i < TM; i++)
                coopMatLoad(w[i], w_tile, (w_first + i * M) * PITCH + e, PITCH, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0u; j < TN; j++) {
                coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> x;
                coopMatLoad(x, x_tile, (x_first + j * N) * PITCH + e, PITCH, gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0u; i < TM; i++)
                    acc[i * TN + j] = coopMatMulAdd(w[i], x, acc[i * TN + j]);
            }
        }
    }
    [[unroll]] for (uint i = 0u; i < TM; i++) {
        [[unroll]] for (uint j = 0u; j < TN; j++) {
            barrier();
            coopMatStore(acc[i * TN + j], y_tile, gl_SubgroupID * M * N, M, gl_CooperativeMatrixLayoutColumnMajor);
            barrier();
            store_matrix(row0 + part.row + i * M, col0 + part.col + j * N);
        }
    }
}

// matmul_coopmat.comp: y = W x for many columns on matrix units (VK_KHR_cooperative_matrix), f16 products, sums in f32.
//   W [n_out, n_in] any format    x [n_cols, n_in] f32    y [n_cols, n_out] f32
// A workgroup makes a tile of ROWS rows and COLS columns, 32 elements of n_in at a time: it decodes the weights and
// rounds x to f16 in shared memory (what is beyond f16 is cut to 65504), then each subgroup multiplies TM by TN
// matrices of M rows and N columns. Sums go through shared memory, matrix by matrix, so that any edge may be ragged.
// Where there are few tiles, subgroups share n_in instead (ACROSS 0): each takes every SHARES-th block of the one tile
// that all work on, and their sums are added in order.
// Groups: x over columns, y over rows, so that neighbours share weights. Any n_out, n_cols.
// Tuning: 0 WORKGROUP, 1 SUBGROUP, 2 M, 3 N, 4 K (sizes that the device has; K divides 32), 5 TM, 6 TN, 7 ACROSS:
// subgroups side by side over columns, or 0.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 128u;
layout(constant_id = 1) const uint SUBGROUP = 32u;
layout(constant_id = 2) const uint M = 16u;
layout(constant_id = 3) const uint N = 16u;
layout(constant_id = 4) const uint K = 16u;
layout(constant_id = 5) const uint TM = 4u;
layout(constant_id = 6) const uint TN = 4u;
layout(constant_id = 7) const uint ACROSS = 2u;
const uint SUBGROUPS = WORKGROUP / SUBGROUP;
const uint SHARES = ACROSS == 0u ? SUBGROUPS : 1u;
const uint SIDE = ACROSS == 0u ? 1u : ACROSS;
const uint ROWS = SUBGROUPS / SHARES / SIDE * TM * M;
const uint COLS = SIDE * TN * N;
const uint SUMS = TM * TN;
const uint DEPTH = 32u;
const uint PITCH = DEPTH / 4u + 2u; // of a row in shared memory, in units of four: rows then lie in different banks
const uint X_LOADS = SHARES * COLS * DEPTH / 4u;
const uint AT_ONCE = SUBGROUP < 16u ? 4u : 8u; // loads of x under way: more, and 8 lanes (Intel) run out of registers
#include "lib/mat.glsl"

shared f16vec4 w_tile[SHARES * ROWS * PITCH]; // [SHARES, ROWS, DEPTH]
shared f16vec4 x_tile[SHARES * COLS * PITCH]; // [SHARES, COLS, DEPTH]
shared float y_tile[SUBGROUPS * M * N];      // [SUBGROUPS, N, M]

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

// Puts out a matrix of sums, whose first element is y[col, row]: the subgroup's own, or what all have made of it.
void store_matrix(uint row, uint col)
{
    if (SHARES == 1u) {
        for (uint u = gl_SubgroupInvocationID; u < M * N; u += SUBGROUP)
            store_y(col + u / M, row + u % M, y_tile[gl_SubgroupID * M * N + u]);
        return;
    }
    for (uint u = gl_LocalInvocationIndex; u < M * N; u += WORKGROUP) {
        float sum = y_tile[u];
        for (uint s = 1u; s < SHARES; s++)
            sum += y_tile[s * M * N + u];
        store_y(col + u / M, row + u % M, sum);
    }
}

void main()
{
    const uint row0 = gl_WorkGroupID.y * ROWS, col0 = gl_WorkGroupID.x * COLS;
    const uint place = SHARES == 1u ? gl_SubgroupID : 0u, share = SHARES == 1u ? 0u : gl_SubgroupID;
    const uint row = place / SIDE * TM * M, col = place % SIDE * TN * N; // in the tile
    const uint w_first = share * ROWS + row, x_first = share * COLS + col;
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
    const uint stage = gl_SubgroupID * M * N;
    [[unroll]] for (uint i = 0u; i < TM; i++) {
        [[unroll]] for (uint j = 0u; j < TN; j++) {
            barrier();
            coopMatStore(acc[i * TN + j], y_tile, stage, M, gl_CooperativeMatrixLayoutColumnMajor);
            barrier();
            store_matrix(row0 + row + i * M, col0 + col + j * N);
        }
    }
}

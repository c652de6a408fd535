// matmul_coopmat_q8.comp: y = W x for many columns, x in 8 bits, matrix units of integers (VK_KHR_cooperative_matrix).
//   W [n_out, n_in] a packed format    x as quantize_q8 wrote it    y [n_cols, n_out] f32
// A workgroup makes a tile of ROWS rows and COLS columns, a block of 32 elements at a time (lib/coopmat_tile.glsl):
// both sides go to shared memory as int8, with their scales; each subgroup multiplies TM by TN matrices, exactly, and
// adds each to sums in f32, times a matrix of the weights' scales and one of x's. Nobody says which element of a matrix
// an invocation holds, so these matrices are loaded as well: with a stride of 0, which repeats a row or a column.
// Groups: x over columns, y over rows, so that neighbours share weights. Any n_out, n_cols.
// K divides 32, or 16 where a block has two scales.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#include "lib/coopmat_tile.glsl"
#include "lib/dot.glsl"

#define SUM_MATRIX(type) coopmat<type, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>

const uint WORDS = DEPTH / 8u;         // of eight int8
const uint PITCH = WORDS + 2u;         // of a row in shared memory: rows then lie in different banks
const uint RUN = DEPTH / BLOCK_SCALES; // elements that a scale holds for
const uint STEPS = RUN / K;

shared uvec2 w_tile[SHARES * ROWS * PITCH]; // [SHARES, ROWS, DEPTH] int8
shared uvec2 x_tile[SHARES * COLS * PITCH]; // [SHARES, COLS, DEPTH]
shared float w_scale[SHARES * BLOCK_SCALES * ROWS]; // [SHARES, BLOCK_SCALES, ROWS]
shared float x_scale[SHARES * COLS];
#if BLOCK_MIN
shared float w_min[SHARES * BLOCK_SCALES * ROWS];
shared float x_sum[SHARES * BLOCK_SCALES * COLS]; // scale times sum
#endif

// Row r of w_tile, with its scales.
void put_w(uint64_t base, uint r, uint b, uint row)
{
    Block k;
    block_load(base, (args.row0 + min(row, args.rows - 1u)) * row_bytes(args.n_in), b, args.n_in, k);
    [[unroll]] for (uint i = 0u; i < WORDS; i++)
        w_tile[r * PITCH + i] = uvec2(k.q[2u * i], k.q[2u * i + 1u]);
    [[unroll]] for (uint h = 0u; h < BLOCK_SCALES; h++) {
        const uint at = (r / ROWS * BLOCK_SCALES + h) * ROWS + r % ROWS;
        w_scale[at] = k.d[h];
#if BLOCK_MIN
        w_min[at] = k.m[h];
#endif
    }
}

// Column c of x_tile: block b of a column of x, or zeros.
void put_x(uint c, uint b, uint col, bool there)
{
    const uint column = q8_column(min(col, args.n_cols - 1u));
    const vec2 scale = there ? load_q8_scale(column, b) : vec2(0.0);
    [[unroll]] for (uint h = 0u; h < 2u; h++) {
        const uvec4 x = load_q8(column, b, h);
        x_tile[c * PITCH + 2u * h] = x.xy;
        x_tile[c * PITCH + 2u * h + 1u] = x.zw;
#if BLOCK_MIN
        if (BLOCK_SCALES == 2) {
            int sum = 0;
            [[unroll]] for (uint i = 0u; i < 4u; i++)
                sum += sdot(0x01010101u, x[i]);
            x_sum[(c / COLS * BLOCK_SCALES + h) * COLS + c % COLS] = scale.x * float(sum);
        }
#endif
    }
    x_scale[c] = scale.x;
#if BLOCK_MIN
    if (BLOCK_SCALES == 1)
        x_sum[c] = scale.y;
#endif
}

// Blocks [b0, b0 + SHARES); those beyond the last are the last one times zeros.
void load_tiles(uint64_t base, uint b0, uint row0, uint col0)
{
    const uint last = blocks_per_row() - 1u;
    for (uint r = gl_LocalInvocationIndex; r < SHARES * ROWS; r += WORKGROUP)
        put_w(base, r, min(b0 + r / ROWS, last), row0 + r % ROWS);
    for (uint c = gl_LocalInvocationIndex; c < SHARES * COLS; c += WORKGROUP)
        put_x(c, min(b0 + c / COLS, last), col0 + c % COLS, b0 + c / COLS <= last);
}

void main()
{
    const uint row0 = gl_WorkGroupID.y * ROWS, col0 = gl_WorkGroupID.x * COLS;
    const Part part = subgroup_part();
    const uint w_first = (part.share * ROWS + part.row) * PITCH, x_first = (part.share * COLS + part.col) * PITCH;
    const uint64_t base = weights_base();
    SUM_MATRIX(float) acc[SUMS];
    [[unroll]] for (uint i = 0u; i < SUMS; i++)
        acc[i] = SUM_MATRIX(float)(0.0);

    for (uint b = 0u; b < blocks_per_row(); b += SHARES) {
        barrier();
        load_tiles(base, b, row0, col0);
        barrier();
        [[unroll]] for (uint h = 0u; h < BLOCK_SCALES; h++) {
            const uint w_scales = (part.share * BLOCK_SCALES + h) * ROWS + part.row;
            coopmat<int8_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> w[TM * STEPS];
            SUM_MATRIX(float) scales[TM];
            [[unroll]] for (uint i = 0u; i < TM; i++) {
                [[unroll]] for (uint e = 0u; e < STEPS; e++)
                    coopMatLoad(w[i * STEPS + e], w_tile, w_first + i * M * PITCH + (h * RUN + e * K) / 8u, PITCH,
                                gl_CooperativeMatrixLayoutRowMajor);
                coopMatLoad(scales[i], w_scale, w_scales + i * M, 0u, gl_CooperativeMatrixLayoutColumnMajor);
            }
            [[unroll]] for (uint j = 0u; j < TN; j++) {
                coopmat<int8_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> x[STEPS];
                SUM_MATRIX(float) x_scales;
                [[unroll]] for (uint e = 0u; e < STEPS; e++)
                    coopMatLoad(x[e], x_tile, x_first + j * N * PITCH + (h * RUN + e * K) / 8u, PITCH,
                                gl_CooperativeMatrixLayoutColumnMajor);
                coopMatLoad(x_scales, x_scale, part.share * COLS + part.col + j * N, 0u,
                            gl_CooperativeMatrixLayoutRowMajor);
#if BLOCK_MIN
                SUM_MATRIX(float) sums;
                coopMatLoad(sums, x_sum, (part.share * BLOCK_SCALES + h) * COLS + part.col + j * N, 0u,
                            gl_CooperativeMatrixLayoutRowMajor);
#endif
                [[unroll]] for (uint i = 0u; i < TM; i++) {
                    SUM_MATRIX(int32_t) dots = SUM_MATRIX(int32_t)(0);
                    [[unroll]] for (uint e = 0u; e < STEPS; e++)
                        dots = coopMatMulAdd(w[i * STEPS + e], x[e], dots);
                    acc[i * TN + j] += SUM_MATRIX(float)(dots) * scales[i] * x_scales;
#if BLOCK_MIN
                    SUM_MATRIX(float) minima;
                    coopMatLoad(minima, w_min, w_scales + i * M, 0u, gl_CooperativeMatrixLayoutColumnMajor);
                    acc[i * TN + j] += minima * sums;
#endif
                }
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

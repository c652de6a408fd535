// matvec.comp: y = W x for up to COLS columns at once (decode, small batches), float products, sums in f32.
//   W [n_out, n_in] any format, read once    x [n_cols, n_in] f32    y [n_cols, n_out] f32
// A workgroup makes ROWS rows; its invocations take every WORKGROUP-th block of 32 elements. `precise`, fma and one
// order of sums per column: the result of a column is the same bits whatever COLS, ROWS and n_cols are.
// Tuning: 0 WORKGROUP, 2 ROWS per workgroup, 3 COLS >= n_cols. Correct for every subgroup size.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 32u;
layout(constant_id = 2) const uint ROWS = 4u;
layout(constant_id = 3) const uint COLS = 8u;
const uint SUMS = ROWS * COLS;
#include "lib/mat.glsl"
#include "lib/reduce_columns.glsl"
#include "lib/epilogue.glsl"

void main()
{
    const uint outputs = is_glu() ? ROWS / 2u : ROWS;
    const uint first = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * outputs;
    if (first >= args.rows)
        return;

    const uint64_t base = weights_base();
    precise float acc[SUMS];
    [[unroll]] for (uint i = 0u; i < SUMS; i++)
        acc[i] = 0.0;

    for (uint b = gl_LocalInvocationIndex; b < blocks_per_row(); b += WORKGROUP) {
        Block k[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            block_load(base, matrix_row(first, r, outputs) * row_bytes(args.n_in), b, args.n_in, k[r]);

        // Products of whole numbers first, the scale once per block or half block.
        [[unroll]] for (uint h = 0u; h < BLOCK_SCALES; h++) {
            precise float part[SUMS], sum_x[COLS];
            [[unroll]] for (uint i = 0u; i < SUMS; i++)
                part[i] = 0.0;
            [[unroll]] for (uint c = 0u; c < COLS; c++)
                sum_x[c] = 0.0;
            BLOCK_UNROLL for (uint i = 0u; i < 8u / BLOCK_SCALES; i++) {
                const uint word = h * 4u + i;
                vec4 x[COLS];
                [[unroll]] for (uint c = 0u; c < COLS; c++) {
                    x[c] = load_x(min(c, args.n_cols - 1u), 32u * b + 4u * word);
#if BLOCK_MIN
                    sum_x[c] += (x[c].x + x[c].y) + (x[c].z + x[c].w);
#endif
                }
                [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                    const vec4 w = block_raw(k[r], word);
                    [[unroll]] for (uint c = 0u; c < COLS; c++) {
                        [[unroll]] for (uint e = 0u; e < 4u; e++)
                            part[r * COLS + c] = fma(w[e], x[c][e], part[r * COLS + c]);
                    }
                }
            }
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                [[unroll]] for (uint c = 0u; c < COLS; c++) {
                    acc[r * COLS + c] = fma(block_d(k[r], h), part[r * COLS + c], acc[r * COLS + c]);
#if BLOCK_MIN
                    acc[r * COLS + c] = fma(block_m(k[r], h), sum_x[c], acc[r * COLS + c]);
#endif
                }
            }
        }
    }
    store_sums(acc, first);
    epilogue(first, outputs);
}

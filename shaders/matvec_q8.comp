// matvec_q8.comp: y = W x for up to COLS columns at once, x in 8 bits, integer dot products, sums of blocks in f32.
//   W [n_out, n_in] a packed format, read once    x as quantize_q8 wrote it    y [n_cols, n_out] f32
// A workgroup makes ROWS rows; its invocations take every WORKGROUP-th block of 32 elements. As in matvec.comp, the
// result of a column is the same bits whatever COLS, ROWS and n_cols are.
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
#include "lib/dot.glsl"
#include "lib/reduce_columns.glsl"
#define EPILOGUE_Q8 1
#include "lib/epilogue.glsl"

const uint ONES = 0x01010101u;

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

    for (uint b = gl_LocalInvocationIndex; b < args.n_in / 32u; b += WORKGROUP) {
        Block k[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            block_load(base, matrix_row(first, r, outputs) * row_bytes(args.n_in), b, args.n_in, k[r]);

        [[unroll]] for (uint c = 0u; c < COLS; c++) {
            const uint column = q8_column(min(c, args.n_cols - 1u));
            const uvec4 x0 = load_q8(column, b, 0u), x1 = load_q8(column, b, 1u);
            const vec2 scale = load_q8_scale(column, b);
#if BLOCK_SCALES == 2 && BLOCK_MIN
            int sum0 = 0, sum1 = 0;
            [[unroll]] for (uint i = 0u; i < 4u; i++) {
                sum0 += sdot(ONES, x0[i]);
                sum1 += sdot(ONES, x1[i]);
            }
#endif
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                int dot0 = 0, dot1 = 0;
                [[unroll]] for (uint i = 0u; i < 4u; i++) {
                    dot0 += sdot(k[r].q[i], x0[i]);
                    dot1 += sdot(k[r].q[4u + i], x1[i]);
                }
                precise float sum = acc[r * COLS + c];
#if BLOCK_SCALES == 2
                precise float part = k[r].d.x * float(dot0);
                part = fma(k[r].d.y, float(dot1), part);
#if BLOCK_MIN
                part = fma(k[r].m.x, float(sum0), part);
                part = fma(k[r].m.y, float(sum1), part);
#endif
                sum = fma(part, scale.x, sum);
#else
                precise float part = k[r].d.x * float(dot0 + dot1);
                sum = fma(part, scale.x, sum);
#if BLOCK_MIN
                sum = fma(k[r].m.x, scale.y, sum);
#endif
#endif
                acc[r * COLS + c] = sum;
            }
        }
    }
    store_sums(acc, first);
    epilogue(first, outputs);
}

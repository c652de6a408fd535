// matmul.comp: y = W x for many columns, products of floats, sums in f32.
//   W [n_out, n_in] any format    x [n_cols, n_in] f32    y [n_cols, n_out] f32
// A workgroup makes a tile of ROWS rows and COLS columns, 32 elements of n_in at a time: it decodes the weights and
// copies x into shared memory, then each invocation adds up TM rows by TN columns in registers.
// matmul_f16_*: the tiles are f16, half the shared memory and traffic; products of f16 are exact in f32, where they are
// added, so the only loss is the rounding of weights and x to f16 (x beyond its range is cut to 65504).
// Groups: x over columns, y over rows, so that neighbours share weights. Any n_out, n_cols.
// Tuning: 0 WORKGROUP (a multiple of TX), 2 TM, 3 TN, 4 TX invocations side by side over columns.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 64u;
layout(constant_id = 2) const uint TM = 8u;
layout(constant_id = 3) const uint TN = 8u;
layout(constant_id = 4) const uint TX = 8u;
const uint ROWS = WORKGROUP / TX * TM;
const uint COLS = TX * TN;
const uint SUMS = TM * TN;
const uint DEPTH = 32u;
#include "lib/mat.glsl"

#if NEEDS_F16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define TILE_FLOAT float16_t
#define TO_TILE(v) float16_t(clamp(v, -65504.0, 65504.0))
#else
#define TILE_FLOAT float
#define TO_TILE(v) (v)
#endif
shared TILE_FLOAT w_tile[DEPTH * ROWS]; // [DEPTH, ROWS]
shared TILE_FLOAT x_tile[DEPTH * COLS]; // [DEPTH, COLS]

void load_tiles(uint64_t base, uint b, uint row0, uint col0)
{
    for (uint r = gl_LocalInvocationIndex; r < ROWS; r += WORKGROUP) {
        Block k;
        block_load(base, (args.row0 + min(row0 + r, args.rows - 1u)) * row_bytes(args.n_in), b, args.n_in, k);
        BLOCK_UNROLL for (uint i = 0u; i < 8u; i++) {
            const vec4 w = block_values(k, i);
            [[unroll]] for (uint j = 0u; j < 4u; j++)
                w_tile[(4u * i + j) * ROWS + r] = TO_TILE(w[j]);
        }
    }
    for (uint u = gl_LocalInvocationIndex; u < COLS * DEPTH / 4u; u += WORKGROUP) {
        const uint c = u % COLS, e = u / COLS * 4u;
        const vec4 x = load_x(min(col0 + c, args.n_cols - 1u), b * DEPTH + e);
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            x_tile[(e + j) * COLS + c] = TO_TILE(x[j]);
    }
}

void main()
{
    const uint row0 = gl_WorkGroupID.y * ROWS, col0 = gl_WorkGroupID.x * COLS;
    const uint row = gl_LocalInvocationIndex / TX * TM, col = gl_LocalInvocationIndex % TX * TN; // in the tile
    const uint64_t base = weights_base();
    float acc[SUMS];
    [[unroll]] for (uint i = 0u; i < SUMS; i++)
        acc[i] = 0.0;

    for (uint b = 0u; b < blocks_per_row(); b++) {
        barrier();
        load_tiles(base, b, row0, col0);
        barrier();
        for (uint e = 0u; e < DEPTH; e++) {
            float w[TM], x[TN];
            [[unroll]] for (uint i = 0u; i < TM; i++)
                w[i] = float(w_tile[e * ROWS + row + i]);
            [[unroll]] for (uint j = 0u; j < TN; j++)
                x[j] = float(x_tile[e * COLS + col + j]);
            [[unroll]] for (uint i = 0u; i < TM; i++) {
                [[unroll]] for (uint j = 0u; j < TN; j++)
                    acc[i * TN + j] = fma(w[i], x[j], acc[i * TN + j]);
            }
        }
    }
    [[unroll]] for (uint i = 0u; i < TM; i++) {
        [[unroll]] for (uint j = 0u; j < TN; j++)
            store_y(col0 + col + j, row0 + row + i, acc[i * TN + j]);
    }
}

// matmul_q8.comp: y = W x for many columns, x in 8 bits, integer dot products, sums of blocks in f32.
//   W [n_out, n_in] a packed format    x as quantize_q8 wrote it    y [n_cols, n_out] f32
// A workgroup makes a tile of ROWS rows and COLS columns, one block of 32 elements at a time: both sides go to shared
// memory as packed int8, then each invocation adds up TM rows by TN columns in registers.
// Groups: x over columns, y over rows, so that neighbours share weights. Any n_out, n_cols.
// Tuning: 0 WORKGROUP (a multiple of TX), 2 TM, 3 TN, 4 TX invocations side by side over columns.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 64u;
layout(constant_id = 2) const uint TM = 4u;
layout(constant_id = 3) const uint TN = 4u;
layout(constant_id = 4) const uint TX = 8u;
const uint ROWS = WORKGROUP / TX * TM;
const uint COLS = TX * TN;
const uint SUMS = TM * TN;
#include "lib/mat.glsl"
#include "lib/dot.glsl"

shared uint w_tile[8u * ROWS];  // [8, ROWS] words of four int8
shared uint x_tile[8u * COLS];  // [8, COLS]
shared vec2 w_scale[ROWS];      // scales of both halves
shared float x_scale[COLS];
#if BLOCK_MIN
shared vec2 w_min[ROWS];        // minima of both halves
shared vec2 x_sum[COLS];        // scale times sum: of the block, or of both halves where there are two minima
#endif

void load_tiles(uint64_t base, uint b, uint row0, uint col0)
{
    for (uint r = gl_LocalInvocationIndex; r < ROWS; r += WORKGROUP) {
        Block k;
        block_load(base, (args.row0 + min(row0 + r, args.rows - 1u)) * row_bytes(args.n_in), b, args.n_in, k);
        [[unroll]] for (uint i = 0u; i < 8u; i++)
            w_tile[i * ROWS + r] = k.q[i];
        w_scale[r] = k.d;
#if BLOCK_MIN
        w_min[r] = k.m;
#endif
    }
    for (uint c = gl_LocalInvocationIndex; c < COLS; c += WORKGROUP) {
        const uint column = q8_column(min(col0 + c, args.n_cols - 1u));
        const vec2 scale = load_q8_scale(column, b);
        vec2 sums = vec2(0.0);
        [[unroll]] for (uint h = 0u; h < 2u; h++) {
            const uvec4 x = load_q8(column, b, h);
            int sum = 0;
            [[unroll]] for (uint i = 0u; i < 4u; i++) {
                x_tile[(4u * h + i) * COLS + c] = x[i];
                sum += sdot(0x01010101u, x[i]);
            }
            sums[h] = scale.x * float(sum);
        }
        x_scale[c] = scale.x;
#if BLOCK_MIN
        x_sum[c] = BLOCK_SCALES == 2 ? sums : vec2(scale.y, 0.0);
#endif
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

    for (uint b = 0u; b < args.n_in / 32u; b++) {
        barrier();
        load_tiles(base, b, row0, col0);
        barrier();
        [[unroll]] for (uint h = 0u; h < BLOCK_SCALES; h++) {
            int dots[SUMS];
            [[unroll]] for (uint i = 0u; i < SUMS; i++)
                dots[i] = 0;
            for (uint word = h * 4u; word < h * 4u + 8u / BLOCK_SCALES; word++) {
                uint w[TM], x[TN];
                [[unroll]] for (uint i = 0u; i < TM; i++)
                    w[i] = w_tile[word * ROWS + row + i];
                [[unroll]] for (uint j = 0u; j < TN; j++)
                    x[j] = x_tile[word * COLS + col + j];
                [[unroll]] for (uint i = 0u; i < TM; i++) {
                    [[unroll]] for (uint j = 0u; j < TN; j++)
                        dots[i * TN + j] += sdot(w[i], x[j]);
                }
            }
            [[unroll]] for (uint i = 0u; i < TM; i++) {
                const float d = w_scale[row + i][h];
                [[unroll]] for (uint j = 0u; j < TN; j++) {
                    acc[i * TN + j] = fma(d * float(dots[i * TN + j]), x_scale[col + j], acc[i * TN + j]);
#if BLOCK_MIN
                    acc[i * TN + j] = fma(w_min[row + i][h], x_sum[col + j][h], acc[i * TN + j]);
#endif
                }
            }
        }
    }
    [[unroll]] for (uint i = 0u; i < TM; i++) {
        [[unroll]] for (uint j = 0u; j < TN; j++)
            store_y(col0 + col + j, row0 + row + i, acc[i * TN + j]);
    }
}

// matrows_q8.comp: y = W x for any number of columns, x in 8 bits, integer dot products, sums of blocks in f32: where
// an invocation is a lane of a CPU's vector.
//   W [n_out, n_in] a packed format    x as quantize_q8 wrote it    y [n_cols, n_out] f32
// As matrows.comp in all but the products, in what is said there and in its tuning.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_shuffle : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 32u;
layout(constant_id = 1) const uint SUBGROUP = 32u;
layout(constant_id = 2) const uint ROWS = 1u;
layout(constant_id = 3) const uint COLS = 32u;
layout(constant_id = 4) const uint X_FROM = 0u;
layout(constant_id = 5) const bool LOAD_BY_ROWS = false;
const uint X_UNIFORM = 0u, X_SHUFFLE = 1u, X_BROADCAST = 2u;
const uint SUMS = ROWS * COLS;
#define LOAD_BY_LANE 1
#define ONE_SUBGROUP 1
#define EPILOGUE_Q8 1
#define BLOCK_UNSIGNED 1
#include "lib/mat.glsl"
#include "lib/dot.glsl"
#include "lib/epilogue.glsl"

// Parts of a packed block in one round of the loop: all where there are few sums, so that they share loads.
const uint PARTS = SUMS <= 8u ? BLOCK_PARTS : 1u;
// Lanes that hold x, and how many of a block's eight words each has.
const uint HOLDERS = SUBGROUP < 8u ? SUBGROUP : 8u;
const uint HELD = 8u / HOLDERS;

// The eight words of block b in the column that begins at byte `column` of x.
void get_x(uint column, uint b, out uint x[8])
{
    const uint64_t address = args.x + uint64_t(column + 32u * b);
    if (X_FROM == X_UNIFORM) {
        const uvec4 x0 = ReadUvec4(address).v, x1 = ReadUvec4(address + 16ul).v;
        [[unroll]] for (uint i = 0u; i < 4u; i++) {
            x[i] = x0[i];
            x[4u + i] = x1[i];
        }
        return;
    }
    uint held[HELD];
    [[unroll]] for (uint i = 0u; i < HELD; i++)
        held[i] = ReadU32(address + uint64_t(4u * (gl_SubgroupInvocationID % HOLDERS + i * HOLDERS))).v;
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        x[i] = X_FROM == X_SHUFFLE ? subgroupShuffle(held[i / HOLDERS], i % HOLDERS)
                                   : subgroupBroadcast(held[i / HOLDERS], i % HOLDERS);
}

#if BLOCK_BITS
// Products in pairs, since these compilers make four multiplications of a dot product: with elements a0, a2 of the row
// 16 bits apart in one word and x2, x0 likewise in another, their product modulo 2^32 is a0 x2 + 2^16 (a0 x0 + a2 x2).
// Sums of PAIRS of them keep both halves within 16 bits, sign included. Exact, as sdot is.
const uint PAIRS = BLOCK_BITS <= 4 ? 8u : BLOCK_BITS == 5 ? 4u : 2u;

void pair_x(uint x[8], out int pairs[16])
{
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        const int w = int(x[i]);
        pairs[2u * i] = (bitfieldExtract(w, 0, 8) << 16) + bitfieldExtract(w, 16, 8);
        pairs[2u * i + 1u] = (bitfieldExtract(w, 8, 8) << 16) + bitfieldExtract(w, 24, 8);
    }
}

// Half h of a block: words 4 h .. 4 h + 3.
int dot_half(uint q[8], int pairs[16], uint h)
{
    int sum = 0, part = 0;
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        const uint even = q[4u * h + i / 2u] >> 8u * (i % 2u) & 0x00ff00ffu;
        part += int(even) * pairs[8u * h + i];
        if (i % PAIRS == PAIRS - 1u) {
            sum += (part + 0x8000) >> 16;
            part = 0;
        }
    }
    return sum;
}

int sum_half(int pairs[16], uint h)
{
    int sum = 0;
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        sum += pairs[8u * h + i];
    return ((sum + 0x8000) >> 16) + bitfieldExtract(sum, 0, 16);
}
#else
int dot_half(uint q[8], uint x[8], uint h)
{
    int sum = 0;
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        sum += sdot(q[4u * h + i], x[4u * h + i]);
    return sum;
}
#endif

// A block of every row and one column into the sums.
void add_column(Block k[ROWS], uint column, uint b, uint c, precise inout float acc[SUMS])
{
    uint words[8];
    get_x(column, b, words);
#if BLOCK_BITS
    int x[16];
    pair_x(words, x);
    const int sum0 = sum_half(x, 0u), sum1 = sum_half(x, 1u);
#else
    const uint x[8] = words;
#endif
    const uint64_t scale_at = args.x + uint64_t(column + args.n_in + 8u * b);
    const vec2 scale = uintBitsToFloat(unpackUint2x32(ReadU64(scale_at).v));
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        int dot0 = dot_half(k[r].q, x, 0u), dot1 = dot_half(k[r].q, x, 1u);
#if BLOCK_OFFSET
        dot0 -= BLOCK_OFFSET * sum0;
        dot1 -= BLOCK_OFFSET * sum1;
#endif
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

// Part s of the packed block that b0 is the first part of, in the row that begins at byte `row` of the matrix.
void load_block(uint64_t base, uint row, uint b0, uint s, out Block k)
{
    const uint64_t place = LOAD_BY_ROWS ? base + uint64_t(row) : base;
    const uint offset = LOAD_BY_ROWS ? 0u : row;
    const uint part = PARTS == BLOCK_PARTS ? s : b0 % BLOCK_PARTS;
    block_part(place, offset + b0 / BLOCK_PARTS * BLOCK_BYTES, part, k);
}

// A column beyond the last is the last again: its sums are the same, and so is what is stored twice.
void store(uint row, uint cols[COLS], float acc[COLS])
{
    const float bias = (args.flags & FLAG_BIAS) != 0u ? read_f32(args.bias, row) : 0.0;
    precise float sum[COLS];
    [[unroll]] for (uint c = 0u; c < COLS; c++)
        sum[c] = acc[c] + bias;
    if ((args.flags & FLAG_ACCUMULATE) != 0u) {
        [[unroll]] for (uint c = 0u; c < COLS; c++)
            sum[c] += load_f32(args.y, cols[c] * args.y_stride + row);
    }
    [[unroll]] for (uint c = 0u; c < COLS; c++)
        store_output(cols[c], row, sum[c]);
}

void store_pairs(uint row, uint cols[COLS], float gate[COLS], float up[COLS])
{
    [[unroll]] for (uint c = 0u; c < COLS; c++)
        store_output(cols[c], row, glu((args.flags & FLAG_GELU) != 0u, gate[c], up[c]));
}

void main()
{
    // Where less than a group's rows are left, it goes over some of the group's before it again, and leaves them alone.
    const uint own_rows = is_glu() ? ROWS / 2u : ROWS, tile = WORKGROUP * own_rows;
    const uint n_out = is_glu() ? args.n_out / 2u : args.n_out;
    const uint own = args.row0 + gl_WorkGroupID.y * tile, end = args.row0 + args.rows;
    const uint first = n_out < tile ? 0u : min(own, n_out - tile);
    const uint lane_row = LOAD_BY_ROWS ? 0u : gl_SubgroupInvocationID, bytes = row_bytes(args.n_in);
    const uint64_t base = weights_base();
    uint rows[ROWS], cols[COLS], columns[COLS];
    [[unroll]] for (uint l = 0u; l < SUBGROUP; l++)
        row_offset[l] = min(l, args.n_out - 1u) * bytes;
    [[unroll]] for (uint r = 0u; r < ROWS; r++)
        rows[r] = r < own_rows ? min(first + r * WORKGROUP + lane_row, n_out - 1u) * bytes
                               : (n_out + min(first + (r - own_rows) * WORKGROUP + lane_row, n_out - 1u)) * bytes;
    [[unroll]] for (uint c = 0u; c < COLS; c++) {
        cols[c] = min(gl_WorkGroupID.x * COLS + c, args.n_cols - 1u);
        columns[c] = q8_column(cols[c]);
    }
    precise float acc[SUMS];
    [[unroll]] for (uint i = 0u; i < SUMS; i++)
        acc[i] = 0.0;

    for (uint b0 = 0u; b0 < args.n_in / 32u; b0 += PARTS) {
        [[unroll]] for (uint s = 0u; s < PARTS; s++) {
            Block k[ROWS];
            [[unroll]] for (uint r = 0u; r < ROWS; r++)
                load_block(base, rows[r], b0, s, k[r]);
            [[unroll]] for (uint c = 0u; c < COLS; c++)
                add_column(k, columns[c], b0 + s, c, acc);
        }
    }
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        const uint row = first + r * WORKGROUP + gl_SubgroupInvocationID;
        if (r >= own_rows || row < own || row >= end)
            continue;
        float sums[COLS], ups[COLS];
        [[unroll]] for (uint c = 0u; c < COLS; c++) {
            sums[c] = acc[r * COLS + c];
            ups[c] = acc[(r + ROWS / 2u) % ROWS * COLS + c];
        }
        if (is_glu())
            store_pairs(row, cols, sums, ups);
        else
            store(row, cols, sums);
    }
    if (COLS <= 8u) // wider forms have none: the operation sees to that
        epilogue(own, tile);
}

// matrows.comp: y = W x for any number of columns, float products, sums in f32: where an invocation is a lane of a
// CPU's vector.
//   W [n_out, n_in] any format    x [n_cols, n_in] f32    y [n_cols, n_out] f32
// An invocation makes ROWS rows by COLS columns from the first element to the last. Nothing is shared and no sum
// crosses lanes, which is dear there. Every lane works on the same elements of x.
//   X_UNIFORM   each element is loaded by its own, from an address that is the same for all lanes: one scalar load,
//               if the driver's compiler sees that
//   X_SHUFFLE   each lane loads a part of 32 elements, and all get them by shuffles (X_BROADCAST: by broadcasts)
// Weights come by gathers, or row by row from addresses that are the same for all lanes (lib/load_lanes.glsl).
// A half block's products go into two sums, which is as many as keep a CPU's multipliers busy and its registers free.
// `precise`, fma and one order of sums per column: its result is the same bits whatever ROWS, COLS and n_cols are.
// Groups: x over columns, y over rows. Any n_out, n_cols.
// Tuning: 0 WORKGROUP, one subgroup, 2 ROWS and 3 COLS of an invocation, 4 where x comes from, 5 LOAD_BY_ROWS: it asks
// for rows of a multiple of 4 bytes, and for WORKGROUP * ROWS of them unless ROWS is 1.
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
#include "lib/epilogue.glsl"

// Parts of a packed block in one round of the loop: all where there are few sums, so that they share loads.
const uint PARTS = SUMS <= 8u ? BLOCK_PARTS : 1u;
// Lanes that hold x, and how many quarters of 16 bytes each has of a block's eight.
const uint HOLDERS = SUBGROUP < 8u ? SUBGROUP : 8u;
const uint HELD = 8u / HOLDERS;

// Address of elements 4 i .. 4 i + 3 of block b in the column that begins at byte `column` of x; inside the column also
// where they are beyond its end. A sum of 64 bits: what columns or elements have in common is added once.
uint64_t x_address(uint column, uint b, uint i)
{
#if BLOCK_PLAIN
    return args.x + uint64_t(column) + uint64_t(4u * min(32u * b + 4u * i, args.n_in - 4u));
#else
    return args.x + uint64_t(column + 128u * b) + uint64_t(16u * i);
#endif
}

vec4 load_held(uint64_t address)
{
    const u64vec2 v = ReadU64Vec2(address).v;
    return uintBitsToFloat(uvec4(unpackUint2x32(v.x), unpackUint2x32(v.y)));
}

vec4 get_x(uint column, uint b, uint i, vec4 held[HELD])
{
    if (X_FROM == X_UNIFORM)
        return ReadVec4(x_address(column, b, i)).v;
    const vec4 mine = held[i / HOLDERS];
    const uint lane = i % HOLDERS;
    if (X_FROM == X_SHUFFLE)
        return vec4(subgroupShuffle(mine.x, lane), subgroupShuffle(mine.y, lane), subgroupShuffle(mine.z, lane),
                    subgroupShuffle(mine.w, lane));
    return vec4(subgroupBroadcast(mine.x, lane), subgroupBroadcast(mine.y, lane), subgroupBroadcast(mine.z, lane),
                subgroupBroadcast(mine.w, lane));
}

// Part s of the packed block that b0 is the first part of, in the row that begins at byte `row` of the matrix.
void load_block(uint64_t base, uint row, uint b0, uint s, out Block k)
{
    const uint64_t place = LOAD_BY_ROWS ? base + uint64_t(row) : base;
    const uint offset = LOAD_BY_ROWS ? 0u : row;
#if BLOCK_PLAIN
    block_load(place, offset, b0 + s, args.n_in, k);
#else
    const uint part = PARTS == BLOCK_PARTS ? s : b0 % BLOCK_PARTS;
    block_part(place, offset + b0 / BLOCK_PARTS * BLOCK_BYTES, part, k);
#endif
}

// Elements 4 i .. 4 i + 3, before the scale where there is no minimum; zero from n_in on.
vec4 get_w(Block k, uint i)
{
#if BLOCK_PLAIN
    const uint e = k.first + 4u * i;
    const vec4 w = plain_load(k.base, k.row, min(e, k.n_in - 4u));
    return mix(vec4(0.0), w, bvec4(e < k.n_in));
#elif BLOCK_MIN
    return fma(block_raw(k, i), vec4(block_d(k, i / 4u)), vec4(block_m(k, i / 4u)));
#else
    return block_raw(k, i);
#endif
}

// A half block of every row and column into the sums.
void add_half(Block k[ROWS], uint b, uint h, uint columns[COLS], vec4 held[COLS][HELD],
              precise inout float acc[SUMS])
{
    vec4 w[4u * ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        [[unroll]] for (uint i = 0u; i < 4u; i++)
            w[4u * r + i] = get_w(k[r], 4u * h + i);
    }
    [[unroll]] for (uint c = 0u; c < COLS; c++) {
        precise vec2 part[ROWS];
        [[unroll]] for (uint i = 0u; i < 4u; i++) {
            const vec4 x = get_x(columns[c], b, 4u * h + i, held[c]);
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                part[r] = i == 0u ? w[4u * r].xy * x.xy : fma(w[4u * r + i].xy, x.xy, part[r]);
                part[r] = fma(w[4u * r + i].zw, x.zw, part[r]);
            }
        }
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            const uint a = r * COLS + c;
            precise float sum = part[r].x + part[r].y;
#if BLOCK_PLAIN || BLOCK_MIN
            acc[a] += sum;
#else
            acc[a] = fma(block_d(k[r], h), sum, acc[a]);
#endif
        }
    }
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
        columns[c] = cols[c] * args.x_stride * 4u;
    }
    precise float acc[SUMS];
    [[unroll]] for (uint i = 0u; i < SUMS; i++)
        acc[i] = 0.0;

    const uint holder = gl_SubgroupInvocationID % HOLDERS;
    for (uint b0 = 0u; b0 < blocks_per_row(); b0 += PARTS) {
        [[unroll]] for (uint s = 0u; s < PARTS; s++) {
            Block k[ROWS];
            vec4 held[COLS][HELD];
            [[unroll]] for (uint r = 0u; r < ROWS; r++)
                load_block(base, rows[r], b0, s, k[r]);
            if (X_FROM != X_UNIFORM) {
                [[unroll]] for (uint c = 0u; c < COLS; c++) {
                    [[unroll]] for (uint i = 0u; i < HELD; i++)
                        held[c][i] = load_held(x_address(columns[c], b0 + s, holder + i * HOLDERS));
                }
            }
            [[unroll]] for (uint h = 0u; h < 2u; h++)
                add_half(k, b0 + s, h, columns, held, acc);
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

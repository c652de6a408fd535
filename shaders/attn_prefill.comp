// attn_prefill.comp: attention of many consecutive columns of one sequence, with an online softmax over blocks of
// tokens.
//   groups: x tiles of rows (each takes every gl_NumWorkGroups.x-th), y KV heads
//   q  f32, column c at q + 4 * c * q_stride      o  f32 [n_cols, n_heads * head_dim]
// A row is one column and one of the query heads that share the KV head: row r is column r / group, head r % group. A
// tile of rows shares what it reads of K and V.
//
//   scores   a block of K goes through shared memory 32 dimensions at a time; an invocation has one token and up to
//            ROWS rows
//   softmax  an invocation per row finds the new maximum; all rescale what they have
//   values   an invocation has ROWS vec4 of the output: one position of 4 elements in ROWS rows
//
// Sizes follow from WORKGROUP and the vec4 per row, n4 = head_dim / 4, so that registers and shared memory are bounded:
//   rows of a tile = WORKGROUP / n4 * ROWS;   tokens of a block = min(n4, TOKENS, WORKGROUP)
// A workgroup smaller than n4 does its rows once for each slice of WORKGROUP vec4: correct, but not fast.
// Tuning: WORKGROUP.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_control_flow_attributes : require

layout(constant_id = 0) const uint WORKGROUP = 128;
layout(local_size_x_id = 0) in;

#include "lib/kv.glsl"
#include "lib/softcap.glsl"
#include "lib/step.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { AttnArgs args; };

const uint ROWS = 8;         // of an invocation
const uint TOKENS = 32;      // of a block, at most
const uint K_STRIDE = 9;     // vec4 of a token's 32 dimensions, and one more: no two tokens in the same banks
const uint Q_VECTORS = WORKGROUP * ROWS > 128u ? WORKGROUP * ROWS : 128u; // a row of 512 fits in any case
const float LOWEST = -3.4e38;

shared vec4 q_tile[Q_VECTORS];                // [rows, n4], scaled
shared vec4 k_tile[TOKENS * K_STRIDE];       // [tokens, 32 dimensions]
shared float weights[WORKGROUP * ROWS];       // [rows, tokens]: scores, then exp(score - maximum)
shared float maxima[WORKGROUP * 4];          // [rows]
shared float factors[WORKGROUP * 4];         // [rows]: what the last block's sums are worth now

// The tile.
StepColumn origin; // the first column
uint n4, group, kv_head, n_rows; // n_rows: of all tiles
uint row0, rows;                 // of this tile
uint tokens;                     // of a block

uint position_of(uint row)
{
    return origin.position + (row0 + row) / group;
}
uint begin_of(uint position)
{
    return args.window != 0u && position >= args.window ? position - args.window + 1u : 0u;
}
// The page of a token; all columns are of one sequence.
uint64_t page_of(uint token)
{
    return kv_page(args.kv_table, args.kv_pages, origin.sequence, token);
}

void load_q()
{
    for (uint i = gl_LocalInvocationIndex; i < rows * n4; i += WORKGROUP) {
        const uint row = row0 + i / n4, c = args.col0 + row / group, h = kv_head * group + row % group;
        const uint64_t q = args.q + uint64_t(c) * uint64_t(args.q_stride * 4u);
        q_tile[i] = ReadVec4(q + uint64_t((h * n4 + i % n4) * 16u)).v * args.scale;
    }
}

// weights[row, token] = q[row] . k[token] for the tokens [t0, t0 + n) of a page; masked ones are LOWEST.
void score(uint t0, uint n)
{
    const uint token = gl_LocalInvocationIndex % tokens, first = gl_LocalInvocationIndex / tokens;
    const uint step = WORKGROUP / tokens; // invocation: rows first, first + step, ...: at most ROWS
    const uint64_t page = page_of(t0);
    float s[ROWS];

    [[unroll]] for (uint j = 0; j < ROWS; j++)
        s[j] = 0.0;
    for (uint d0 = 0; d0 < n4; d0 += 8u) { // in vec4
        const uint width = min(n4 - d0, 8u);
        barrier();
        for (uint i = gl_LocalInvocationIndex; i < n * width; i += WORKGROUP) {
            const uint t = i / width, d = i % width;
            k_tile[t * K_STRIDE + d] = kv_read4(page, kv_row(kv_head, t0 + t, args.head_dim), (d0 + d) * 4u);
        }
        barrier();
        if (token < n) {
            [[dont_unroll]] for (uint d = 0; d < width; d += 2u) { // n4 is even
                const vec4 k0 = k_tile[token * K_STRIDE + d], k1 = k_tile[token * K_STRIDE + d + 1u];
                [[unroll]] for (uint j = 0; j < ROWS; j++) {
                    const uint q = min(first + j * step, rows - 1u) * n4 + d0 + d;
                    s[j] += dot(q_tile[q], k0) + dot(q_tile[q + 1u], k1);
                }
            }
        }
    }
    if (first >= step)
        return; // beyond whole rows of invocations
    [[unroll]] for (uint j = 0; j < ROWS; j++) {
        const uint row = first + j * step;
        if (row < rows) {
            const uint position = position_of(row), t = t0 + token;
            const bool seen = token < n && t <= position && t >= begin_of(position);
            weights[row * tokens + token] = !seen ? LOWEST : args.softcap > 0.0 ? softcap(s[j], args.softcap) : s[j];
        }
    }
}

// New maxima, and the factors that they bring.
void raise_maxima()
{
    for (uint row = gl_LocalInvocationIndex; row < rows; row += WORKGROUP) {
        float m = maxima[row];
        for (uint t = 0; t < tokens; t++)
            m = max(m, weights[row * tokens + t]);
        factors[row] = exp(maxima[row] - m); // of LOWEST - LOWEST: 1, times sums that are 0
        maxima[row] = m;
    }
}

void exponentials()
{
    for (uint i = gl_LocalInvocationIndex; i < rows * tokens; i += WORKGROUP) {
        const float s = weights[i];
        weights[i] = s == LOWEST ? 0.0 : exp(s - maxima[i / tokens]);
    }
}

// o, l: the sums of one position in rows first .. first + ROWS of the tile, and those of the weights.
void add_values(uint t0, uint n, uint part, uint first, inout vec4 o[ROWS], inout float l[ROWS])
{
    const uint64_t page = page_of(t0) + uint64_t(args.v_offset);
    uint row[ROWS];

    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        row[i] = min(first + i, rows - 1u);
        o[i] *= factors[row[i]];
        l[i] *= factors[row[i]];
    }
    [[dont_unroll]] for (uint t = 0; t < n; t++) {
        const vec4 v = kv_read4(page, kv_row(kv_head, t0 + t, args.head_dim), part * 4u);
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            const float w = weights[row[i] * tokens + t];
            o[i] += w * v;
            l[i] += w;
        }
    }
}

void store(uint part, uint first, vec4 o[ROWS], float l[ROWS])
{
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        if (first + i < rows) {
            const uint row = row0 + first + i, c = args.col0 + row / group, h = kv_head * group + row % group;
            const uint64_t at = args.o + uint64_t(c * args.n_heads + h) * uint64_t(args.head_dim * 4u);
            const vec4 x = o[i] / l[i];
            [[unroll]] for (uint e = 0; e < 4; e++)
                store_f32(at, part * 4u + e, x[e]);
        }
    }
}

// The tile's output at vec4 positions [slice, slice + WORKGROUP) of every row.
void attend(uint slice)
{
    const uint last = min(position_of(rows - 1u), args.kv_pages * uint(KV_PAGE) - 1u);
    const uint across = min(n4, WORKGROUP);
    const uint part = slice + gl_LocalInvocationIndex % across, first = gl_LocalInvocationIndex / across * ROWS;
    vec4 o[ROWS];
    float l[ROWS];

    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        o[i] = vec4(0.0);
        l[i] = 0.0;
    }
    for (uint row = gl_LocalInvocationIndex; row < rows; row += WORKGROUP)
        maxima[row] = LOWEST;
    load_q();
    for (uint t0 = begin_of(position_of(0)); t0 <= last;) {
        const uint n = min(min(tokens, last + 1u - t0), uint(KV_PAGE) - t0 % uint(KV_PAGE)); // within a page
        score(t0, n); // begins with a barrier: the last block's weights have been used
        barrier();
        raise_maxima();
        barrier();
        exponentials();
        barrier();
        add_values(t0, n, min(part, n4 - 1u), first, o, l);
        t0 += n;
    }
    if (part < n4)
        store(part, first, o, l);
}

void main()
{
    n4 = args.head_dim / 4u;
    group = args.n_heads / args.n_kv_heads;
    kv_head = gl_WorkGroupID.y;
    const uint live = step_header(args.step).n_cols;
    if (kv_head >= args.n_kv_heads || live <= args.col0)
        return;
    n_rows = min(args.n_cols, live - args.col0) * group;
    origin = step_column(args.step, args.col0);
    tokens = min(min(n4, TOKENS), WORKGROUP);

    const uint tile_rows = WORKGROUP >= n4 ? WORKGROUP / n4 * ROWS : min(ROWS, Q_VECTORS / n4);
    for (row0 = gl_WorkGroupID.x * tile_rows; row0 < n_rows; row0 += gl_NumWorkGroups.x * tile_rows) {
        rows = min(tile_rows, n_rows - row0);
        for (uint slice = 0; slice < n4; slice += WORKGROUP) { // once, unless a row is wider
            barrier(); // the last tile's queries have been used
            attend(slice);
        }
    }
}

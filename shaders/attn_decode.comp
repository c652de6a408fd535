// attn_decode.comp: attention of one column over one KV piece, for all query heads that share a KV head; the workgroup
// that is done last merges the pieces, in their order.
//   groups: x pieces of KV_PAGE tokens, y KV heads, z columns; a piece without a token for its column does nothing
//   q  f32, column c at q + 4 * c * q_stride      o  f32 [columns, n_heads * head_dim], or as quantize_q8 would make it
//   partial  f32 [n_cols, n_heads, max_pieces, ATTN_PARTIAL(head_dim)]
// A partial result is sum_t exp(s_t - m) v_t, m = max_t s_t, l = sum_t exp(s_t - m). A single piece goes to o at once.
// Query heads go in rounds of at most 8, so that their scores and sums stay in registers; K and V are read once a
// round.
//
//   scores    4 invocations per token, 8 elements each at a time: a subgroup reads whole 64-byte runs of K
//   weights   a subgroup per head
//   values    an invocation per 4 elements of a row; invocations beyond one row's split the tokens
//
// A column's result depends on its own position alone. Tuning: WORKGROUP, a multiple of 4.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(local_size_x_id = 0) in;

#include "lib/kv.glsl"
#include "lib/last.glsl"
#include "lib/quantize.glsl"
#include "lib/softcap.glsl"
#include "lib/step.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { AttnArgs args; };

const uint HEADS = 8;      // query heads in a round, at most
const uint FLIGHT = 2;     // loads of V on their way at a time
const uint VECTORS = 256;  // vec4 of all heads in a round: 8 heads of 128, 4 of 256, 2 of 512

shared vec4 vectors[VECTORS];                  // q [heads, head_dim], later the sums of v likewise
shared float weights[uint(KV_PAGE) * HEADS];   // scores, then exp(score - m): [token in piece, HEADS]
shared float maxima[HEADS], sums[HEADS];

// This workgroup's work.
uint64_t k_base, v_base;
uint kv_head, first, end; // tokens [first, end) of the piece

void load_q(uint column, uint head0, uint heads)
{
    const uint64_t q = args.q + uint64_t(column) * uint64_t(args.q_stride * 4u) + uint64_t(head0 * args.head_dim * 4u);
    for (uint i = gl_LocalInvocationIndex; i < heads * args.head_dim / 4u; i += WORKGROUP)
        vectors[i] = ReadVec4(q + uint64_t(i * 16u)).v * args.scale;
}

// Adds elements [e, e + 8) of q[h] . k.
void add_scores(uint N, uint heads, uint e, KvEight k, inout float s[HEADS])
{
    [[unroll]] for (uint h = 0; h < N; h++) {
        const uint i = (min(h, heads - 1u) * args.head_dim + e) / 4u;
        s[h] += dot(vectors[i], k.low) + dot(vectors[i + 1u], k.high);
    }
}

// weights[t, h] = scale * q[h] . k[t]. N >= heads is a literal: the sums are registers.
void score(uint N, uint heads)
{
    const uint lane = gl_LocalInvocationIndex % 4u, D = args.head_dim, tokens = WORKGROUP / 4u;

    // Whole rounds, so that all invocations of a subgroup shuffle; those without a token read the last one's row.
    for (uint t0 = first; t0 < end; t0 += tokens) {
        const uint mine = t0 + gl_LocalInvocationIndex / 4u, row = kv_row(kv_head, min(mine, end - 1u), D);
        float s[HEADS];
        [[unroll]] for (uint h = 0; h < N; h++)
            s[h] = 0.0;
        uint e = lane * 8u;
        for (; e + 32u < D; e += 64u) { // two loads on their way at a time
            const KvEight k0 = kv_read8(k_base, row, e), k1 = kv_read8(k_base, row, e + 32u);
            add_scores(N, heads, e, k0, s);
            add_scores(N, heads, e + 32u, k1, s);
        }
        for (; e < D; e += 32u)
            add_scores(N, heads, e, kv_read8(k_base, row, e), s);
        [[unroll]] for (uint h = 0; h < N; h++) {
            s[h] += subgroupShuffleXor(s[h], 1u);
            s[h] += subgroupShuffleXor(s[h], 2u);
        }
        if (lane == 0u && mine < end) {
            [[unroll]] for (uint h = 0; h < N; h++)
                weights[mine * HEADS + h] = args.softcap > 0.0 ? softcap(s[h], args.softcap) : s[h];
        }
    }
}

// Turns scores into weights and finds maxima and sums: subgroup i takes heads i, i + number of subgroups, ...
void exponentials(uint heads)
{
    const uint lane = subgroupExclusiveAdd(1u), lanes = subgroupAdd(1u); // the last subgroup may not be full
    for (uint h = gl_SubgroupID; h < heads; h += gl_NumSubgroups) {
        float m = -3.4e38, l = 0.0;
        for (uint t = first + lane; t < end; t += lanes)
            m = max(m, weights[t * HEADS + h]);
        m = subgroupMax(m);
        for (uint t = first + lane; t < end; t += lanes) {
            const float w = exp(weights[t * HEADS + h] - m);
            weights[t * HEADS + h] = w;
            l += w;
        }
        l = subgroupAdd(l);
        if (subgroupElect()) {
            maxima[h] = m;
            sums[h] = l;
        }
    }
}

// vectors[h] = sum_t weights[t, h] v[t]
void values(uint N, uint heads)
{
    const uint row_parts = args.head_dim / 4u;                 // invocations per row
    const uint shares = max(WORKGROUP / row_parts, 1u);        // of the tokens
    const uint share = gl_LocalInvocationIndex / row_parts;

    // More than one round of this loop only where a workgroup is smaller than a row.
    for (uint part0 = 0; part0 < row_parts; part0 += WORKGROUP) {
        const uint part = part0 + gl_LocalInvocationIndex % row_parts;
        const bool takes_part = share < shares && part < row_parts;
        vec4 o[HEADS];
        [[unroll]] for (uint h = 0; h < N; h++)
            o[h] = vec4(0.0);
        if (takes_part) {
            uint t = first + share;
            for (; t + (FLIGHT - 1u) * shares < end; t += FLIGHT * shares) {
                vec4 v[FLIGHT];
                [[unroll]] for (uint i = 0; i < FLIGHT; i++)
                    v[i] = kv_read4(v_base, kv_row(kv_head, t + i * shares, args.head_dim), part * 4u);
                [[unroll]] for (uint i = 0; i < FLIGHT; i++) {
                    [[unroll]] for (uint h = 0; h < N; h++)
                        o[h] += weights[(t + i * shares) * HEADS + h] * v[i];
                }
            }
            for (; t < end; t += shares) {
                const vec4 v = kv_read4(v_base, kv_row(kv_head, t, args.head_dim), part * 4u);
                [[unroll]] for (uint h = 0; h < N; h++)
                    o[h] += weights[t * HEADS + h] * v;
            }
        }
        for (uint s = 0; s < shares; s++) { // in order
            if (takes_part && s == share) {
                [[unroll]] for (uint h = 0; h < N; h++) {
                    if (h < heads)
                        vectors[h * row_parts + part] = s == 0u ? o[h] : vectors[h * row_parts + part] + o[h];
                }
            }
            barrier();
        }
    }
}

// Address of the partial result of head h and a piece.
uint64_t partial_at(uint c, uint h, uint piece)
{
    const uint row = (c * args.n_heads + h) * args.max_pieces + piece;
    return args.partial + uint64_t(row) * uint64_t(ATTN_PARTIAL(args.head_dim) * 4u);
}

void write_partial(uint c, uint head0, uint heads, uint piece)
{
    const uint row_parts = args.head_dim / 4u, parts = row_parts + 1u;
    for (uint i = gl_LocalInvocationIndex; i < heads * parts; i += WORKGROUP) {
        const uint h = i / parts, e = i % parts;
        const vec4 x = e < row_parts ? vectors[h * row_parts + e] : vec4(maxima[h], sums[h], 0.0, 0.0);
        SharedVec4(partial_at(c, head0 + h, piece) + uint64_t(16u * e)).v = x;
    }
}

// o = vectors / sums
void write_result(uint column, uint head0, uint heads)
{
    const uint row_parts = args.head_dim / 4u, first_part = (column * args.n_heads + head0) * row_parts;
    if (args.out_q8 != 0u) {
        for (uint b = gl_LocalInvocationIndex; b < heads * row_parts / 8u; b += WORKGROUP) {
            const float scale = 1.0 / sums[8u * b / row_parts];
            vec4 x[8];
            [[unroll]] for (uint i = 0u; i < 8u; i++)
                x[i] = vectors[8u * b + i] * scale;
            store_q8_block(args.o, column, args.n_heads * args.head_dim, head0 * args.head_dim / 32u + b, x);
        }
        return;
    }
    for (uint i = gl_LocalInvocationIndex; i < heads * row_parts; i += WORKGROUP) {
        const float scale = 1.0 / sums[i / row_parts];
        SharedVec4(args.o + uint64_t(first_part + i) * 16ul).v = vectors[i] * scale;
    }
}

// The largest maximum of the pieces [piece0, piece1) and the sum that goes with it: a subgroup per head, as above.
void merge_sums(uint c, uint head0, uint heads, uint piece0, uint piece1)
{
    const uint lane = subgroupExclusiveAdd(1u), lanes = subgroupAdd(1u);
    const uint64_t m_at = uint64_t(args.head_dim * 4u);
    for (uint h = gl_SubgroupID; h < heads; h += gl_NumSubgroups) {
        float m = -3.4e38, l = 0.0;
        for (uint p = piece0 + lane; p < piece1; p += lanes)
            m = max(m, SharedF32(partial_at(c, head0 + h, p) + m_at).v);
        m = subgroupMax(m);
        for (uint p = piece0 + lane; p < piece1; p += lanes) {
            const vec4 ml = SharedVec4(partial_at(c, head0 + h, p) + m_at).v;
            l += exp(ml.x - m) * ml.y;
        }
        l = subgroupAdd(l);
        if (subgroupElect()) {
            maxima[h] = m;
            sums[h] = l;
        }
    }
}

// Adds what pieces [p0, p0 + n) have for a round of heads to vectors, n <= KV_PAGE.
void merge_vectors(uint c, uint head0, uint heads, uint p0, uint n, bool begin)
{
    const uint row_parts = args.head_dim / 4u;
    const uint64_t m_at = uint64_t(args.head_dim * 4u), stride = uint64_t(ATTN_PARTIAL(args.head_dim) * 4u);
    for (uint i = gl_LocalInvocationIndex; i < n * heads; i += WORKGROUP) {
        const uint p = i / heads, h = i % heads;
        weights[p * HEADS + h] = exp(SharedF32(partial_at(c, head0 + h, p0 + p) + m_at).v - maxima[h]);
    }
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < heads * row_parts; i += WORKGROUP) {
        const uint h = i / row_parts;
        const uint64_t at = partial_at(c, head0 + h, p0) + uint64_t(i % row_parts * 16u);
        vec4 sum = begin ? vec4(0.0) : vectors[i];
        for (uint p = 0u; p < n; p += 4u) { // four loads on their way at a time
            vec4 o[4];
            [[unroll]] for (uint j = 0u; j < 4u; j++)
                o[j] = SharedVec4(at + uint64_t(min(p + j, n - 1u)) * stride).v;
            [[unroll]] for (uint j = 0u; j < 4u; j++)
                sum += p + j < n ? weights[(p + j) * HEADS + h] * o[j] : vec4(0.0);
        }
        vectors[i] = sum;
    }
    barrier();
}

// Puts the pieces [piece0, piece1) of a column together.
void merge(uint c, uint piece0, uint piece1, uint round)
{
    const uint group = args.n_heads / args.n_kv_heads;
    for (uint h0 = 0; h0 < group; h0 += round) {
        const uint heads = min(round, group - h0), head0 = kv_head * group + h0;
        barrier(); // the last round's vectors have been written out
        merge_sums(c, head0, heads, piece0, piece1);
        barrier();
        for (uint p = piece0; p < piece1; p += uint(KV_PAGE))
            merge_vectors(c, head0, heads, p, min(piece1 - p, uint(KV_PAGE)), p == piece0);
        write_result(args.col0 + c, head0, heads);
    }
}

void main()
{
    const uint piece = gl_WorkGroupID.x, c = gl_WorkGroupID.z;
    kv_head = gl_WorkGroupID.y;
    if (c >= args.n_cols || args.col0 + c >= step_header(args.step).n_cols)
        return;
    const StepColumn column = step_column(args.step, args.col0 + c);
    const uint begin = args.window != 0u && column.position >= args.window ? column.position - args.window + 1u : 0u;
    const uint piece_first = begin / uint(KV_PAGE);
    const uint piece_end = min(column.position / uint(KV_PAGE) + 1u, min(args.kv_pages, gl_NumWorkGroups.x));
    if (piece < piece_first || piece >= piece_end)
        return;
    const uint piece0 = piece * uint(KV_PAGE);
    first = max(begin, piece0) - piece0;
    end = min(column.position + 1u - piece0, uint(KV_PAGE));
    k_base = kv_page(args.kv_table, args.kv_pages, column.sequence, piece0);
    v_base = k_base + uint64_t(args.v_offset);

    const uint group = args.n_heads / args.n_kv_heads, round = min(VECTORS * 4u / args.head_dim, HEADS);
    const bool alone = piece_end - piece_first == 1u;
    for (uint h0 = 0; h0 < group; h0 += round) {
        const uint heads = min(round, group - h0), head0 = kv_head * group + h0;
        barrier(); // the last round's vectors have been written out
        load_q(args.col0 + c, head0, heads);
        barrier();
        if (heads > 4u)
            score(8, heads);
        else if (heads > 2u)
            score(4, heads);
        else if (heads == 2u)
            score(2, heads);
        else
            score(1, heads);
        barrier();
        exponentials(heads);
        barrier();
        if (heads > 4u)
            values(8, heads);
        else if (heads > 2u)
            values(4, heads);
        else if (heads == 2u)
            values(2, heads);
        else
            values(1, heads);
        if (alone)
            write_result(args.col0 + c, head0, heads);
        else
            write_partial(c, head0, heads, piece);
    }
    if (!alone && last_of(args.done + uint64_t((c * args.n_kv_heads + kv_head) * 4u), piece_end - piece_first))
        merge(c, piece_first, piece_end, round);
}

// attn_decode.comp: attention of one column over one KV piece, for all query heads that share a KV head.
//   groups: x pieces of KV_PAGE tokens, y KV heads, z columns; a piece without a token for its column writes nothing
//   q        f32, column c at q + 4 * c * q_stride      partial  f32 [n_cols, n_heads, max_pieces, head_dim + 2]
// A partial result is sum_t exp(s_t - m) v_t, m = max_t s_t, l = sum_t exp(s_t - m); attn_merge puts them together.
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
#include "lib/softcap.glsl"
#include "lib/step.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { AttnArgs args; };

const uint HEADS = 8;      // query heads in a round, at most
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
        for (uint e = lane * 8u; e < D; e += 32u) {
            const KvEight k = kv_read8(k_base, row, e);
            [[unroll]] for (uint h = 0; h < N; h++) {
                const uint i = (min(h, heads - 1u) * D + e) / 4u;
                s[h] += dot(vectors[i], k.low) + dot(vectors[i + 1u], k.high);
            }
        }
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
            for (uint t = first + share; t < end; t += shares) {
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

void write_partial(uint column, uint head0, uint heads, uint piece)
{
    const uint stride = args.head_dim + 2u;
    for (uint i = gl_LocalInvocationIndex; i < heads * stride; i += WORKGROUP) {
        const uint h = i / stride, e = i % stride;
        const uint64_t row = uint64_t((column * args.n_heads + head0 + h) * args.max_pieces + piece);
        const float x = e < args.head_dim    ? vectors[h * args.head_dim / 4u + e / 4u][e % 4u]
                        : e == args.head_dim ? maxima[h]
                                             : sums[h];
        store_f32(args.partial + row * uint64_t(stride * 4u), e, x);
    }
}

void main()
{
    const uint piece = gl_WorkGroupID.x, c = gl_WorkGroupID.z;
    kv_head = gl_WorkGroupID.y;
    if (c >= args.n_cols || args.col0 + c >= step_header(args.step).n_cols || piece >= args.kv_pages)
        return;
    const StepColumn column = step_column(args.step, args.col0 + c);
    const uint begin = args.window != 0u && column.position >= args.window ? column.position - args.window + 1u : 0u;
    const uint piece0 = piece * uint(KV_PAGE);
    if (piece0 > column.position || piece0 + uint(KV_PAGE) <= begin)
        return;
    first = max(begin, piece0) - piece0;
    end = min(column.position + 1u - piece0, uint(KV_PAGE));
    k_base = kv_page(args.kv_table, args.kv_pages, column.sequence, piece0);
    v_base = k_base + uint64_t(args.v_offset);

    const uint group = args.n_heads / args.n_kv_heads, round = min(VECTORS * 4u / args.head_dim, HEADS);
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
        write_partial(c, head0, heads, piece);
    }
}

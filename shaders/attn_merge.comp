// attn_merge.comp: merges what attn_decode left for each piece, in the order of pieces; one workgroup per (head,
// column).
//   partial  f32 [n_cols, n_heads, max_pieces, head_dim + 2]: sum of weighted v, m, l
//   o        f32 [columns, n_heads * head_dim], column col0 + c
//   groups: x heads, y columns
// Reads only the pieces that hold a token for the column, which are those that attn_decode wrote.
// Tuning: WORKGROUP.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(local_size_x_id = 0) in;

#include "lib/global.glsl"
#include "lib/reduce.glsl"
#include "lib/step.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { AttnArgs args; };

shared float factors[WORKGROUP]; // of the pieces at hand

void main()
{
    const uint h = gl_WorkGroupID.x, c = gl_WorkGroupID.y, D = args.head_dim, me = gl_LocalInvocationIndex;
    if (c >= args.n_cols || args.col0 + c >= step_header(args.step).n_cols)
        return;
    const uint position = step_column(args.step, args.col0 + c).position;
    const uint begin = args.window != 0u && position >= args.window ? position - args.window + 1u : 0u;
    const uint first = begin / uint(KV_PAGE), end = min(position / uint(KV_PAGE) + 1u, args.kv_pages);
    const uint64_t partial = args.partial +
        uint64_t((c * args.n_heads + h) * args.max_pieces) * uint64_t((D + 2u) * 4u);
    const uint64_t o = args.o + uint64_t((args.col0 + c) * args.n_heads + h) * uint64_t(D * 4u);

    float m = -3.4e38, l = 0.0;
    for (uint p = first + me; p < end; p += WORKGROUP)
        m = max(m, read_f32(partial, p * (D + 2u) + D));
    m = workgroup_max(m);
    for (uint p = first + me; p < end; p += WORKGROUP)
        l += exp(read_f32(partial, p * (D + 2u) + D) - m) * read_f32(partial, p * (D + 2u) + D + 1u);
    const float scale = 1.0 / workgroup_sum(l);

    for (uint e0 = 0; e0 < D; e0 += WORKGROUP) {
        const uint e = e0 + me;
        float sum = 0.0;
        for (uint p0 = first; p0 < end; p0 += WORKGROUP) {
            barrier();
            if (p0 + me < end)
                factors[me] = exp(read_f32(partial, (p0 + me) * (D + 2u) + D) - m);
            barrier();
            if (e < D) {
                const uint n = min(end - p0, WORKGROUP);
                for (uint i = 0; i < n; i++)
                    sum += factors[i] * read_f32(partial, (p0 + i) * (D + 2u) + e);
            }
        }
        if (e < D)
            store_f32(o, e, sum * scale);
    }
}

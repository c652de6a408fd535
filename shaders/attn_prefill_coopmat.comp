// attn_prefill_coopmat.comp: attn_prefill on matrix units (VK_KHR_cooperative_matrix), f16 operands, sums in f32.
//   groups: x tiles of rows (each takes every gl_NumWorkGroups.x-th), y KV heads
//   q  f32, column c at q + 4 * c * q_stride      o  f32 [n_cols, n_heads * head_dim]
// A row is one column and one of the query heads that share the KV head: row r is column r / group, head r % group. A
// team of SPLIT subgroups owns M rows of the tile: their scores, maxima and outputs never leave it. Member i makes
// every SPLIT-th matrix of scores and of outputs, from i on, so that outputs fit where registers are few. All share
// what is read of K and V.
//
//   stage    a block of K and V as f16 in shared memory; tokens that no row of the tile may use are zeros, unread
//   scores   q k^T: M x N matrices over head_dim, put into the team's part of shared memory
//   softmax  LANES invocations per row; where a maximum rises, what has been summed is scaled by a matrix of factors
//   values   p v: head_dim / N / SPLIT matrices of sums in registers
//
// All subgroups meet the same barriers, also those of a subgroup: Mesa's CPU driver makes them one for the workgroup.
// Tuning: 0 WORKGROUP, 1 SUBGROUP (M, 2 M or 4 M), 2 M, 3 N, 4 K (sizes that the device has; N and K
// divide TOKENS and HEAD_DIM), 5 HEAD_DIM, 6 TOKENS of a block (16 or 32), 7 HOLD: queries stay in registers, else in
// shared memory; 8 SPLIT (divides the number of subgroups, HEAD_DIM / N and TOKENS / N).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 128u;
layout(constant_id = 1) const uint SUBGROUP = 32u;
layout(constant_id = 2) const uint M = 16u;
layout(constant_id = 3) const uint N = 16u;
layout(constant_id = 4) const uint K = 16u;
layout(constant_id = 5) const uint HEAD_DIM = 128u;
layout(constant_id = 6) const uint TOKENS = 32u;
layout(constant_id = 7) const uint HOLD = 1u;
layout(constant_id = 8) const uint SPLIT = 1u;

#include "lib/kv.glsl"
#include "lib/softcap.glsl"
#include "lib/step.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { AttnArgs args; };

const uint TEAMS = WORKGROUP / SUBGROUP / SPLIT;
const uint ROWS = TEAMS * M;             // of a tile
const uint LANES = SUBGROUP * SPLIT / M; // invocations per row
const uint SHARE = TOKENS / 4u / LANES;  // vec4 of a row's scores that an invocation has
const uint DEPTH = HEAD_DIM / K;         // matrices along head_dim, as it is summed over
const uint WIDTH = HEAD_DIM / N / SPLIT; // and as a member puts it out
const uint BLOCKS = TOKENS / N / SPLIT;  // matrices of scores that a member makes
// Pitches of rows in shared memory, in units of four: rows then lie in different banks.
const uint PITCH = HEAD_DIM / 4u + 2u, S_PITCH = TOKENS / 4u + 1u, P_PITCH = TOKENS / 4u + 2u;
const uint KV_ROWS = 2u * TOKENS;
const uint Q_ROWS = HOLD != 0u ? 1u : ROWS;
const float LOWEST = -3.4e38;

shared f16vec4 kv_tile[(HOLD != 0u && ROWS > KV_ROWS ? ROWS : KV_ROWS) * PITCH]; // K, then V: [TOKENS, HEAD_DIM]
shared f16vec4 q_tile[Q_ROWS * PITCH];     // [ROWS, HEAD_DIM], unless held
shared vec4 s_tile[ROWS * S_PITCH];        // [ROWS, TOKENS]: scores; then factors; at the end outputs, N at a time
shared f16vec4 p_tile[ROWS * P_PITCH];     // [ROWS, TOKENS]: exp(score - maximum)

#define SUMS coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>
#define LEFT coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA>
#define RIGHT coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB>

// The tile.
StepColumn origin; // the first column
uint group, kv_head, n_rows; // n_rows: of all tiles
uint row0, rows;   // of this tile
uint own;          // the team's first row in the tile
uint member;       // of the team that this subgroup is
uint mine, lane;   // the row in the tile that this invocation works on, and which of that row's it is

uint position_of(uint row)
{
    return origin.position + (row0 + min(row, rows - 1u)) / group;
}
uint begin_of(uint position)
{
    return args.window != 0u && position >= args.window ? position - args.window + 1u : 0u;
}

f16vec4 to_tile(vec4 v)
{
    return f16vec4(clamp(v, -65504.0, 65504.0));
}

// Rows beyond the last are copies of it: their results go nowhere.
void put_q(uint i, uint at)
{
    const uint row = min(i / (HEAD_DIM / 4u), rows - 1u), e = i % (HEAD_DIM / 4u);
    const uint c = args.col0 + (row0 + row) / group, h = kv_head * group + (row0 + row) % group;
    const uint64_t q = args.q + uint64_t(c) * uint64_t(args.q_stride * 4u);
    const f16vec4 v = to_tile(ReadVec4(q + uint64_t((h * HEAD_DIM / 4u + e) * 16u)).v);
    if (HOLD != 0u)
        kv_tile[at + e] = v;
    else
        q_tile[at + e] = v;
}

void load_q()
{
    [[dont_unroll]] for (uint i = gl_LocalInvocationIndex; i < ROWS * HEAD_DIM / 4u; i += WORKGROUP)
        put_q(i, i / (HEAD_DIM / 4u) * PITCH);
}

// Vector i of the tokens [t0, t0 + TOKENS), which lie in one page: K, then V. Tokens outside [first, last] are zeros.
void stage_eight(uint i, uint64_t page, uint t0, uint first, uint last)
{
    const uint r = i / (HEAD_DIM / 8u), e = i % (HEAD_DIM / 8u), at = r * PITCH + 2u * e, t = t0 + r % TOKENS;
    const uint64_t base = r < TOKENS ? page : page + uint64_t(args.v_offset);
    f16vec4 low = f16vec4(0.0), high = f16vec4(0.0);
    if (t >= first && t <= last) {
#if defined(WEIGHT_F16)
        const uvec4 v = ReadUvec4(base + uint64_t(kv_row(kv_head, t, HEAD_DIM) + e * 16u)).v;
        low = f16vec4(unpackFloat2x16(v.x), unpackFloat2x16(v.y));
        high = f16vec4(unpackFloat2x16(v.z), unpackFloat2x16(v.w));
#else
        const KvEight v = kv_read8(base, kv_row(kv_head, t, HEAD_DIM), e * 8u);
        low = to_tile(v.low);
        high = to_tile(v.high);
#endif
    }
    kv_tile[at] = low;
    kv_tile[at + 1u] = high;
}

// Compilers unroll this loop of few rounds: the loads are then on their way together, if there are registers for them.
void stage(uint t0, uint first, uint last)
{
    const uint64_t page = kv_page(args.kv_table, args.kv_pages, origin.sequence, t0);
    const uint n = KV_ROWS * HEAD_DIM / 8u;
    if (SPLIT > 1u) {
        [[dont_unroll]] for (uint i = gl_LocalInvocationIndex; i < n; i += WORKGROUP)
            stage_eight(i, page, t0, first, last);
    } else {
        for (uint i = gl_LocalInvocationIndex; i < n; i += WORKGROUP)
            stage_eight(i, page, t0, first, last);
    }
}

// Between what members of a team write and what they read.
void team_barrier()
{
    if (SPLIT > 1u)
        barrier();
    else
        subgroupBarrier();
}

// Adds the products of matrix d along head_dim to the member's scores.
void add_scores(LEFT q, uint d, inout SUMS s[BLOCKS])
{
    [[unroll]] for (uint j = 0u; j < BLOCKS; j++) {
        RIGHT k;
        coopMatLoad(k, kv_tile, (j * SPLIT + member) * N * PITCH + d * K / 4u, PITCH,
                    gl_CooperativeMatrixLayoutColumnMajor);
        s[j] = coopMatMulAdd(q, k, s[j]);
    }
}

// This invocation's part of its row: scores become weights in p_tile. Returns what the row's sums so far are worth now.
float softmax(uint t0, inout float maximum, inout float sum)
{
    const uint row = mine, position = position_of(row), begin = begin_of(position);
    vec4 s[SHARE];
    float top = maximum, added = 0.0;

    [[unroll]] for (uint i = 0u; i < SHARE; i++) {
        s[i] = s_tile[row * S_PITCH + lane + i * LANES] * args.scale;
        [[unroll]] for (uint e = 0u; e < 4u; e++) {
            const uint t = t0 + (lane + i * LANES) * 4u + e;
            if (args.softcap > 0.0)
                s[i][e] = softcap(s[i][e], args.softcap);
            s[i][e] = t >= begin && t <= position ? s[i][e] : LOWEST;
            top = max(top, s[i][e]);
        }
    }
    [[unroll]] for (uint d = 1u; d < LANES; d *= 2u)
        top = max(top, subgroupShuffleXor(top, d));
    [[unroll]] for (uint i = 0u; i < SHARE; i++) {
        f16vec4 p;
        [[unroll]] for (uint e = 0u; e < 4u; e++) {
            p[e] = float16_t(s[i][e] == LOWEST ? 0.0 : exp(s[i][e] - top));
            added += float(p[e]);
        }
        p_tile[row * P_PITCH + lane + i * LANES] = p;
    }
    const float factor = exp(maximum - top); // of LOWEST - LOWEST: 1, times sums that are 0
    maximum = top;
    sum = sum * factor + added;
    return factor;
}

// A number per row into s_tile, the same in N columns: factors is then the matrix of them.
void spread(float f)
{
    for (uint i = lane; i < N / 4u; i += LANES)
        s_tile[mine * S_PITCH + i] = vec4(f);
}
SUMS factors()
{
    SUMS f;
    coopMatLoad(f, s_tile, own * S_PITCH, S_PITCH, gl_CooperativeMatrixLayoutRowMajor);
    return f;
}

// Matrix j of the outputs, which is in the member's columns of s_tile.
void store(uint j)
{
    for (uint u = gl_SubgroupInvocationID; u < M * N; u += SUBGROUP) {
        const uint row = own + u / N, e = u % N;
        if (row < rows) {
            const uint c = args.col0 + (row0 + row) / group, h = kv_head * group + (row0 + row) % group;
            const uint64_t o = args.o + uint64_t(c * args.n_heads + h) * uint64_t(HEAD_DIM * 4u);
            store_f32(o, j * N + e, s_tile[row * S_PITCH + member * N / 4u + e / 4u][e % 4u]);
        }
    }
}

void attend()
{
    const uint end = min(position_of(rows - 1u), args.kv_pages * uint(KV_PAGE) - 1u), begin = begin_of(position_of(0u));
    float maximum = LOWEST, sum = 0.0;
    LEFT q[DEPTH];
    SUMS o[WIDTH];

    [[unroll]] for (uint j = 0u; j < WIDTH; j++)
        o[j] = SUMS(0.0);
    load_q();
    if (HOLD != 0u) {
        barrier();
        [[unroll]] for (uint d = 0u; d < DEPTH; d++)
            coopMatLoad(q[d], kv_tile, own * PITCH + d * K / 4u, PITCH, gl_CooperativeMatrixLayoutRowMajor);
    }
    for (uint t0 = begin / TOKENS * TOKENS; t0 <= end; t0 += TOKENS) {
        barrier();
        stage(t0, begin, end);
        barrier();
        SUMS s[BLOCKS];
        [[unroll]] for (uint j = 0u; j < BLOCKS; j++)
            s[j] = SUMS(0.0);
        if (HOLD != 0u) {
            [[unroll]] for (uint d = 0u; d < DEPTH; d++)
                add_scores(q[d], d, s);
        } else {
            [[dont_unroll]] for (uint d = 0u; d < DEPTH; d++) {
                LEFT part;
                coopMatLoad(part, q_tile, own * PITCH + d * K / 4u, PITCH, gl_CooperativeMatrixLayoutRowMajor);
                add_scores(part, d, s);
            }
        }
        [[unroll]] for (uint j = 0u; j < BLOCKS; j++)
            coopMatStore(s[j], s_tile, own * S_PITCH + (j * SPLIT + member) * N / 4u, S_PITCH,
                         gl_CooperativeMatrixLayoutRowMajor);
        team_barrier();
        const float factor = softmax(t0, maximum, sum);
        // The rows of a team have no vote in common. Besides, a branch keeps outputs twice in registers.
        const bool raised = SPLIT > 1u || subgroupMin(factor) < 1.0;
        team_barrier();
        if (raised)
            spread(factor);
        team_barrier();
        if (raised) {
            const SUMS f = factors();
            [[unroll]] for (uint j = 0u; j < WIDTH; j++)
                o[j] = o[j] * f;
        }
        [[dont_unroll]] for (uint t = 0u; t < TOKENS; t += K) {
            LEFT p;
            coopMatLoad(p, p_tile, own * P_PITCH + t / 4u, P_PITCH, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0u; j < WIDTH; j++) {
                RIGHT v;
                coopMatLoad(v, kv_tile, (TOKENS + t) * PITCH + (j * SPLIT + member) * N / 4u, PITCH,
                            gl_CooperativeMatrixLayoutRowMajor);
                o[j] = coopMatMulAdd(p, v, o[j]);
            }
        }
        team_barrier(); // factors and weights have been read
    }
    [[unroll]] for (uint d = 1u; d < LANES; d *= 2u)
        sum += subgroupShuffleXor(sum, d);
    spread(1.0 / sum);
    team_barrier();
    const SUMS f = factors();
    team_barrier();
    [[unroll]] for (uint j = 0u; j < WIDTH; j++) {
        subgroupBarrier();
        coopMatStore(o[j] * f, s_tile, own * S_PITCH + member * N / 4u, S_PITCH, gl_CooperativeMatrixLayoutRowMajor);
        subgroupBarrier();
        store(j * SPLIT + member);
    }
}

void main()
{
    group = args.n_heads / args.n_kv_heads;
    kv_head = gl_WorkGroupID.y;
    const uint live = step_header(args.step).n_cols;
    if (kv_head >= args.n_kv_heads || live <= args.col0)
        return;
    n_rows = min(args.n_cols, live - args.col0) * group;
    origin = step_column(args.step, args.col0);
    own = gl_SubgroupID / SPLIT * M;
    member = gl_SubgroupID % SPLIT;
    const uint in_team = member * SUBGROUP + gl_SubgroupInvocationID;
    mine = own + in_team / LANES;
    lane = in_team % LANES;
    for (row0 = gl_WorkGroupID.x * ROWS; row0 < n_rows; row0 += gl_NumWorkGroups.x * ROWS) {
        rows = min(ROWS, n_rows - row0);
        barrier(); // the last tile's keys, values and queries have been used
        attend();
    }
}

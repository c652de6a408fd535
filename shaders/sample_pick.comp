// sample_pick.comp: draws the next token as host/sampler.h describes, and makes it the step's next column.
// One workgroup.
//
//   maxima -> largest key -> nothing can follow, or top_k is 1: the best token
//          -> a threshold above which everything lies that top-k or top-p keeps
//               few candidates   into shared memory, where each is compared with all others
//               many             passes over all logits, which narrow down the last key that is kept
//   -> token -> ring, step block, group counts; an end token ends the chain
//
//   logits [n_vocab] f32, 1 <= n_vocab <= 2^19    maxima [blocks] as sample_max wrote them    block SampleBlock
//   ring uint32 [SAMPLE_RING]    step one column    groups uint32 [3]
// Tuning: WORKGROUP; Mesa's CPU driver ends loops that go round 65,535 times, so it should be large.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_KHR_memory_scope_semantics : require

layout(constant_id = 0) const uint WORKGROUP = 64;
layout(local_size_x_id = 0) in;

#include "lib/global.glsl"
#include "lib/reduce_int.glsl"
#include "lib/sample.glsl"
#include "lib/step.glsl"
#include "shared/args.h"

layout(push_constant) uniform Push { SampleArgs args; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer ReadU32 { uint v; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer SampleBlockAt { SampleBlock v; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer StepHeaderAt { StepHeader v; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer StepColumnAt { StepColumn v; };

// A block of logits belongs to TEAM invocations that lie side by side.
const uint TEAM = WORKGROUP < 32 ? WORKGROUP : 32;
const uint TEAMS = WORKGROUP / TEAM;

shared uint keys[SAMPLE_CANDIDATES], ids[SAMPLE_CANDIDATES];
shared bool dropped[SAMPLE_CANDIDATES];
shared uint64_t sums[WORKGROUP > SAMPLE_CANDIDATES ? WORKGROUP : SAMPLE_CANDIDATES]; // of candidates, or of shares
shared uint n_found, found;

// What draws, read once.
uint top_k, top_p;
float min_p, scale, best_logit;

uint key_at(uint id)
{
    return sample_key(ReadU32(args.logits + uint64_t(id * 4u)).v);
}
uint max_of(uint block)
{
    return ReadU32(args.maxima + uint64_t(block * 4u)).v;
}
uint n_blocks()
{
    return (args.n_vocab + (SAMPLE_BLOCK - 1u)) / SAMPLE_BLOCK;
}
// ---- sets of tokens: those with keys above `key`, and those with just that key and an id up to last_id ----

struct Kept {
    uint key, last_id;
};

bool keeps(Kept kept, uint key, uint id)
{
    return key > kept.key || (key == kept.key && id <= kept.last_id);
}

// What is summed up over tokens: how many there are, the weights that top-p goes by, or those of the draw, which are 0
// for what min-p drops.
const uint TERM_COUNT = 0u, TERM_WEIGHT = 1u, TERM_DRAW = 2u;

uint64_t term(uint kind, uint key)
{
    if (kind == TERM_COUNT)
        return 1ul;
    const float logit = sample_logit(key);
    float e = sample_exp(logit, best_logit, 1.0);
    if (kind == TERM_DRAW)
        e = e < min_p ? 0.0 : sample_exp(logit, best_logit, scale);
    return sample_weight(e);
}

// The sum over kept tokens, and how many there are. Blocks without any are passed over.
uint64_t sum_of(uint kind, Kept kept, out uint n)
{
    uint64_t sum = 0ul, count = 0ul;
    const uint team = gl_LocalInvocationIndex / TEAM, lane = gl_LocalInvocationIndex % TEAM;
    for (uint block = team; team < TEAMS && block < n_blocks(); block += TEAMS) {
        if (max_of(block) < kept.key)
            continue;
        const uint end = min((block + 1u) * SAMPLE_BLOCK, args.n_vocab);
        for (uint id = block * SAMPLE_BLOCK + lane; id < end; id += TEAM) {
            const uint key = key_at(id);
            if (keeps(kept, key, id)) {
                count++;
                sum += term(kind, key);
            }
        }
    }
    const Sums both = workgroup_sum64_2(Sums(sum, count));
    n = uint(both.b);
    return both.a;
}

// The lowest id at which the sum over kept tokens up to and with it exceeds `point`, which must be below the sum of
// all. only_equal: only tokens with just kept.key count.
uint locate(uint kind, Kept kept, bool only_equal, uint64_t point)
{
    uint first = 0u, length = args.n_vocab;
    while (length > 1u) {
        const uint share = (length + WORKGROUP - 1u) / WORKGROUP;
        const uint begin = min(gl_LocalInvocationIndex * share, length), end = min(begin + share, length);
        uint64_t sum = 0ul;
        for (uint i = begin; i < end; i++) {
            const uint id = first + i, key = key_at(id);
            if (keeps(kept, key, id) && (!only_equal || key == kept.key))
                sum += term(kind, key);
        }
        barrier(); // the last round's sums have been read
        sums[gl_LocalInvocationIndex] = sum;
        barrier();
        uint at = 0u;
        while (at + 1u < WORKGROUP && sums[at] <= point)
            point -= sums[at++];
        first += at * share;
        length = min(share, length - at * share);
    }
    return first;
}

// ---- thresholds ----

// The key of a finite number.
uint key_of(float x)
{
    return sample_key(floatBitsToUint(x));
}

struct Last {
    uint key;                 // the largest one such that tokens with it or a larger one reach the target
    uint64_t above, reaching; // sums: of larger keys, and with this key too
    uint n;                   // tokens that are summed in `reaching`
};

// Searches the last key that is needed for terms of `within` to reach `target`: downwards from the largest with growing
// steps, then by halves. few: any key is good that reaches it with no more tokens than there is room for in shared
// memory; a few more rounds are spent on bringing them near to what top-k keeps, since each will be compared with all
// others. When all of `within` does not reach the target, that is the result.
Last narrow(uint kind, Kept within, uint largest, uint64_t target, bool few)
{
    Last last = Last(within.key, 0ul, 0ul, 0xffffffffu);
    uint high = largest + 1u;
    float below = 3.0;
    bool measured = false; // last.key has been
    const uint enough = max(96u, top_k + top_k / 2u);
    uint more_rounds = 4u;
    while (!measured || high - last.key > 1u) {
        if (few && last.n <= SAMPLE_CANDIDATES && (last.n <= enough || more_rounds-- == 0u))
            break;
        uint middle = last.key + (high - last.key) / 2u;
        if (!measured && below < 1000.0) {
            const uint guess = key_of(best_logit - below);
            middle = guess > last.key && guess < high ? guess : middle;
            below *= 2.0;
        }
        uint n;
        const uint64_t sum =
            sum_of(kind, Kept(middle, middle == within.key ? within.last_id : 0xffffffffu), n);
        if (sum >= target || middle == within.key) {
            last = Last(middle, last.above, sum, n);
            measured = true;
        } else {
            high = middle;
            last.above = sum;
        }
    }
    return last;
}

// ---- few candidates ----

void gather(uint threshold)
{
    if (gl_LocalInvocationIndex == 0)
        n_found = 0u;
    barrier();
    const uint team = gl_LocalInvocationIndex / TEAM, lane = gl_LocalInvocationIndex % TEAM;
    for (uint block = team; team < TEAMS && block < n_blocks(); block += TEAMS) {
        if (max_of(block) < threshold)
            continue;
        const uint end = min((block + 1u) * SAMPLE_BLOCK, args.n_vocab);
        for (uint id = block * SAMPLE_BLOCK + lane; id < end; id += TEAM) {
            const uint key = key_at(id);
            if (key < threshold)
                continue;
            const uint at = atomicAdd(n_found, 1u, gl_ScopeWorkgroup, gl_StorageSemanticsNone, gl_SemanticsRelaxed);
            keys[at] = key;
            ids[at] = id;
        }
    }
    barrier();
}

// True when candidate a comes before b in the order of filters.
bool comes_before(uint a, uint b)
{
    return keys[a] > keys[b] || (keys[a] == keys[b] && ids[a] < ids[b]);
}

void keep_top_k(uint n)
{
    for (uint me = gl_LocalInvocationIndex; me < n; me += WORKGROUP) {
        uint before = 0u;
        for (uint i = 0; i < n; i++)
            before += comes_before(i, me) ? 1u : 0u;
        dropped[me] = top_k != 0u && before >= top_k;
    }
}

// total: of all tokens' weights; 0: of these candidates'.
void keep_top_p(uint n, uint64_t total)
{
    uint64_t sum = 0ul;
    for (uint me = gl_LocalInvocationIndex; me < n; me += WORKGROUP) {
        sums[me] = dropped[me] ? 0ul : term(TERM_WEIGHT, keys[me]);
        sum += sums[me];
    }
    sum = workgroup_sum64(sum);
    const uint64_t target = sample_share(total != 0ul ? total : sum, top_p);
    barrier();
    for (uint me = gl_LocalInvocationIndex; me < n; me += WORKGROUP) {
        uint64_t before = 0ul;
        for (uint i = 0; i < n; i++)
            before += comes_before(i, me) ? sums[i] : 0ul;
        dropped[me] = dropped[me] || before >= target;
    }
    barrier();
}

uint draw_few(uint threshold, uint64_t total, uint64_t random)
{
    gather(threshold);
    const uint n = n_found;
    keep_top_k(n);
    if (top_p != 0u)
        keep_top_p(n, total);
    uint64_t sum = 0ul;
    for (uint me = gl_LocalInvocationIndex; me < n; me += WORKGROUP) {
        sums[me] = dropped[me] ? 0ul : term(TERM_DRAW, keys[me]);
        sum += sums[me];
    }
    const uint64_t point = sample_multiply_high(random, workgroup_sum64(sum));
    barrier();
    for (uint me = gl_LocalInvocationIndex; me < n; me += WORKGROUP) {
        uint64_t before = 0ul;
        for (uint i = 0; i < n; i++)
            before += ids[i] < ids[me] ? sums[i] : 0ul;
        if (before <= point && point < before + sums[me])
            found = ids[me];
    }
    barrier();
    return found;
}

// ---- the draw ----

// The first filter may find few enough candidates for the rest to happen in shared memory.
uint draw(uint largest, uint64_t random)
{
    Kept kept = Kept(1u, 0xffffffffu);
    bool few = true;
    uint threshold = args.n_vocab <= SAMPLE_CANDIDATES ? 1u : 0u, n;
    uint64_t total = 0ul;
    for (uint kind = TERM_COUNT; kind <= TERM_WEIGHT && threshold == 0u; kind++) {
        if ((kind == TERM_COUNT ? top_k : top_p) == 0u)
            continue;
        uint64_t target = uint64_t(top_k);
        if (kind == TERM_WEIGHT) {
            total = sum_of(kind, kept, n);
            target = sample_share(total, top_p);
        }
        const Last last = narrow(kind, kept, largest, target, few);
        const uint last_id = last.key == kept.key ? kept.last_id : 0xffffffffu;
        if (few && last.n <= SAMPLE_CANDIDATES)
            threshold = last.key;
        else if (last.reaching <= target)
            kept = Kept(last.key, last_id);
        else
            kept = Kept(last.key, locate(kind, Kept(last.key, last_id), true, target - last.above - 1ul));
        few = false;
    }
    if (threshold != 0u)
        return draw_few(threshold, total, random);
    const uint64_t point = sample_multiply_high(random, sum_of(TERM_DRAW, kept, n));
    return locate(TERM_DRAW, kept, false, point);
}

// The lowest id with the largest key, in the first subgroup.
uint best_token(uint largest)
{
    uint first = 0xffffffffu, id = 0xffffffffu;
    for (uint block = gl_LocalInvocationIndex; block < n_blocks() && first == 0xffffffffu; block += WORKGROUP)
        first = max_of(block) == largest ? block : first;
    first = workgroup_min_uint(first) * SAMPLE_BLOCK;
    if (gl_SubgroupID != 0)
        return id;
    const uint end = min(first + SAMPLE_BLOCK, args.n_vocab);
    for (uint i = first + gl_SubgroupInvocationID; i < end && id == 0xffffffffu; i += gl_SubgroupSize)
        id = key_at(i) == largest ? i : id;
    return subgroupMin(id);
}

// ---- the step ----

// One invocation: the token is the next step's column.
void advance(uint token)
{
    const StepHeader header = step_header(args.step);
    StepColumn column = step_column(args.step, 0);
    column.token = token;
    column.position++;
    const uint n_pieces = column.position / KV_PAGE + 1u;
    StepColumnAt(args.step + 16ul).v = column;
    StepHeaderAt(args.step).v = StepHeader(1u, n_pieces, header.reserved0, header.reserved1);
    store_u32(args.groups, 0, n_pieces);
    store_u32(args.groups, 4, args.n_kv_heads);
    store_u32(args.groups, 8, 1u);
}

// One invocation: what the step has come to.
void finish(uint result)
{
    SampleBlockAt block = SampleBlockAt(args.block);
    const uint step = block.v.step;
    store_u32(args.ring, (step % SAMPLE_RING) * 4u, result);
    block.v.step = step + 1u;
    if (result == SAMPLE_DONE)
        return;
    if (result == SAMPLE_NONE) {
        block.v.done = 1u;
        return;
    }
    bool done = false;
    for (uint i = 0; i < min(block.v.n_end, uint(SAMPLE_MAX_END)); i++)
        done = done || block.v.end[i] == result;
    block.v.done = done ? 1u : 0u;
    const uint low = block.v.counter[0] + 1u;
    block.v.counter[0] = low;
    if (low == 0u)
        block.v.counter[1]++;
    if (!done)
        advance(result);
}

void main()
{
    SampleBlockAt block = SampleBlockAt(args.block);
    const bool done = block.v.done != 0u;
    const uvec2 counter = uvec2(block.v.counter[0], block.v.counter[1]), seed = uvec2(block.v.seed[0], block.v.seed[1]);
    top_k = block.v.top_k;
    top_p = block.v.top_p;
    min_p = block.v.min_p;
    scale = block.v.scale;

    uint result = SAMPLE_DONE;
    if (!done) {
        uint largest = 0u;
        for (uint b = gl_LocalInvocationIndex; b < n_blocks(); b += WORKGROUP)
            largest = max(largest, max_of(b));
        largest = workgroup_max_uint(largest);
        best_logit = sample_logit(largest);
        if (largest == 0u)
            result = SAMPLE_NONE;
        else if (top_k == 1u)
            result = best_token(largest);
        else
            result = draw(largest, sample_random(counter, seed));
    }
    if (gl_SubgroupID == 0 && subgroupElect())
        finish(result);
}

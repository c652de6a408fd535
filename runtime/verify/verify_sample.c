/* Cases of drawing a token: sample_max, sample_pick.
 *
 * The reference sorts: candidates in order of logits, then ids; top-k is a prefix, top-p the shortest prefix that
 * reaches its share, min-p a comparison, and the draw goes over ids. Weights are integers, so everything is exact.
 * Of the arithmetic only exp is taken from runtime/base/exact_math.h, which has tests of its own. */
#include "runtime/verify/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/exact_math.h"
#include "runtime/base/philox.h"
#include "shaders/shared/args.h"

/* ---- the reference ---- */

struct candidate {
    uint32_t id;
    float logit;
};

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int compare_ids(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static uint64_t weight(float logit, float best, float scale)
{
    return (uint64_t)ldexp((double)sto_exact_exp((logit - best) * scale), 40);
}

static uint64_t total_weight(const struct candidate *c, size_t n, float best, float scale)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += weight(c[i].logit, best, scale);
    return sum;
}

/* Candidates in order of logits: how many top-k and top-p keep. */
static size_t count_kept(const struct candidate *c, size_t n, const struct SampleBlock *b)
{
    if (b->top_k != 0 && b->top_k < n)
        n = b->top_k;
    if (b->top_p == 0)
        return n;
    /* ceil(total * top_p / 2^32) by halves: the product may need more than 64 bits */
    const uint64_t total = total_weight(c, n, c[0].logit, 1.0f);
    const uint64_t low = (total & UINT32_MAX) * b->top_p, high = (total >> 32) * b->top_p;
    const uint64_t share = high + (low >> 32) + ((low & UINT32_MAX) != 0);
    uint64_t sum = 0;
    size_t kept = 0;
    while (kept < n && (kept == 0 || sum < share))
        sum += weight(c[kept++].logit, c[0].logit, 1.0f);
    return kept;
}

/* floor(random * total / 2^64) by schoolbook multiplication, bit by bit. */
static uint64_t scaled(uint64_t random, uint64_t total)
{
    uint64_t high = 0, low = 0;
    for (int bit = 63; bit >= 0; bit--) {
        high = high << 1 | low >> 63;
        low <<= 1;
        if ((random >> bit & 1) != 0) {
            low += total;
            high += low < total;
        }
    }
    return high;
}

static uint32_t pick(struct sto_verifier *v, const float *logits, uint32_t n_vocab, const struct SampleBlock *b)
{
    struct candidate *c = sto_verify_alloc(v, n_vocab, sizeof *c);
    size_t n = 0;
    for (uint32_t i = 0; i < n_vocab; i++) {
        if (isnan(logits[i]) || logits[i] == -INFINITY)
            continue;
        c[n++] = (struct candidate){.id = i, .logit = fminf(logits[i], 0x1.fffffep127f) + 0.0f};
    }
    if (n == 0)
        return SAMPLE_NONE;
    qsort(c, n, sizeof *c, compare_candidates);
    n = count_kept(c, n, b);
    const float best = c[0].logit;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (b->min_p == 0.0f || sto_exact_exp(c[i].logit - best) >= b->min_p)
            c[kept++] = c[i];
    }
    qsort(c, kept, sizeof *c, compare_ids);
    const uint32_t counter[4] = {b->counter[0], b->counter[1], 0, 0};
    uint32_t words[4];
    sto_philox4x32(counter, b->seed, words);
    const uint64_t point = scaled((uint64_t)words[1] << 32 | words[0], total_weight(c, kept, best, b->scale));
    uint64_t sum = 0;
    for (size_t i = 0; i < kept; i++) {
        sum += weight(c[i].logit, best, b->scale);
        if (sum > point)
            return c[i].id;
    }
    return SAMPLE_NONE;
}

/* ---- logits ---- */

enum kind { KIND_NORMAL, KIND_FLAT, KIND_EQUAL, KIND_TIES, KIND_HOLES, KIND_STEEP, KIND_EDGES, KIND_NOTHING };

static float one_logit(struct sto_verifier *v, enum kind kind)
{
    static const float edges[] = {INFINITY, -INFINITY, NAN, -0.0f, 0.0f, 1e-42f, -3e38f, 3e38f};
    const float u = sto_verify_uniform(v, -1, 1);
    switch (kind) {
    case KIND_NORMAL: return 12 * u * u * u;
    case KIND_FLAT: return u / 16;
    case KIND_EQUAL: return -7.25f;
    case KIND_TIES: return floorf(4 * u);
    case KIND_HOLES: return sto_verify_random(v) % 4 != 0 ? -INFINITY : 3 * u;
    case KIND_STEEP: return 200 * u;
    case KIND_EDGES: return edges[sto_verify_random(v) % 8];
    case KIND_NOTHING: break;
    }
    return sto_verify_random(v) % 2 != 0 ? -INFINITY : NAN;
}

struct sample_case {
    uint32_t n_vocab;
    enum kind kind;
    uint32_t top_k;
    float top_p, min_p, scale;
};

static uint32_t key_of(float x)
{
    uint32_t bits;
    if (isnan(x) || x == -INFINITY)
        return 0;
    x = fminf(x, 0x1.fffffep127f) + 0.0f;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/* What the kernels work on, and what they should leave. */
struct state {
    struct SampleBlock block;
    uint32_t ring[SAMPLE_RING], groups[3];
    struct {
        struct StepHeader header;
        struct StepColumn column;
    } step;
};

/* One step of the reference. */
static void step_on(struct sto_verifier *v, struct state *s, const float *logits, uint32_t n_vocab)
{
    const uint32_t slot = s->block.step++ % SAMPLE_RING;
    s->ring[slot] = s->block.done != 0 ? SAMPLE_DONE : pick(v, logits, n_vocab, &s->block);
    s->block.done = s->block.done != 0 || s->ring[slot] == SAMPLE_NONE;
    if (s->block.done != 0)
        return;
    s->block.counter[1] += ++s->block.counter[0] == 0;
    for (uint32_t i = 0; i < s->block.n_end; i++)
        s->block.done = s->block.done != 0 || s->block.end[i] == s->ring[slot];
    if (s->block.done != 0)
        return;
    s->step.column.token = s->ring[slot];
    s->step.column.position++;
    s->step.header.n_cols = 1;
    s->step.header.n_pieces = s->step.column.position / KV_PAGE + 1;
    memcpy(s->groups, (const uint32_t[3]){s->step.header.n_pieces, 3, 1}, sizeof s->groups);
}

/* Three steps in a row: the second goes on where the first has left off, and a token that it draws ends the chain when
 * the first has not drawn it too. */
static void run_steps(struct sto_verifier *v, const struct sample_case *c, const float *logits, const uint32_t *maxima)
{
    const uint32_t n_blocks = (c->n_vocab + SAMPLE_BLOCK - 1) / SAMPLE_BLOCK;
    struct state s = {.block = {.seed = {sto_verify_random(v), sto_verify_random(v)}, .counter = {UINT32_MAX, 5},
                                .step = SAMPLE_RING - 1, .top_k = c->top_k, .min_p = c->min_p, .scale = c->scale,
                                .top_p = c->top_p < 1.0f ? (uint32_t)(c->top_p * 0x1p32f) : 0},
                      .step = {.column = {.position = 126, .sequence = 7}}};
    struct state want = s;
    const struct sto_buffer *groups;
    step_on(v, &want, logits, c->n_vocab);
    step_on(v, &want, logits, c->n_vocab);
    s.block.end[1] = want.ring[0] == want.ring[SAMPLE_RING - 1] ? UINT32_MAX : want.ring[0];
    s.block.n_end = 2;
    want = s;
    for (int i = 0; i < 3; i++)
        step_on(v, &want, logits, c->n_vocab);

    const struct sto_verify_range logit_range = sto_verify_input(v, "logits", logits, c->n_vocab * sizeof *logits);
    const struct sto_verify_range max_range = sto_verify_output(v, "maxima", n_blocks * sizeof *maxima);
    const struct sto_verify_range block = sto_verify_inout(v, "block", &s.block, sizeof s.block);
    const struct sto_verify_range ring = sto_verify_inout(v, "ring", s.ring, sizeof s.ring);
    const struct sto_verify_range step = sto_verify_inout(v, "step", &s.step, sizeof s.step);
    const struct sto_verify_range group_range = sto_verify_groups(v, &groups);
    const struct sto_op_sample_args args = {
        .logits = sto_verify_tensor(logit_range, 1, c->n_vocab, (c->n_vocab + 3) & ~3u), .scratch = max_range.address,
        .block = block.address, .ring = ring.address, .step = step.address, .groups = groups, .n_kv_heads = 3};
    for (int i = 0; i < 3; i++)
        sto_op_sample(sto_verify_ops(v), &args);
    sto_verify_run(v);
    sto_verify_compare_bytes(v, max_range, 0, maxima, n_blocks * sizeof *maxima);
    sto_verify_compare_bytes(v, ring, 0, want.ring, sizeof want.ring);
    sto_verify_compare_bytes(v, block, 0, &want.block, sizeof want.block);
    sto_verify_compare_bytes(v, step, 0, &want.step, sizeof want.step);
    if (want.groups[0] != 0) /* else no step has gone on, and nothing was written */
        sto_verify_compare_bytes(v, group_range, 0, want.groups, sizeof want.groups);
}

static void sample_case(struct sto_verifier *v, const struct sample_case *c)
{
    sto_verify_begin(v, "%u tokens, kind %d, top-k %u, top-p %g, min-p %g, scale %g", c->n_vocab, (int)c->kind,
                     c->top_k, (double)c->top_p, (double)c->min_p, (double)c->scale);
    float *logits = sto_verify_alloc(v, c->n_vocab, sizeof *logits);
    uint32_t *maxima = sto_verify_alloc(v, (c->n_vocab + SAMPLE_BLOCK - 1) / SAMPLE_BLOCK, sizeof *maxima);
    for (uint32_t i = 0; i < c->n_vocab; i++) {
        logits[i] = one_logit(v, c->kind);
        uint32_t *max = &maxima[i / SAMPLE_BLOCK];
        *max = *max > key_of(logits[i]) ? *max : key_of(logits[i]);
    }
    run_steps(v, c, logits, maxima);
    sto_verify_end(v);
}

static void run_sample(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t sizes[] = {1, 2, 255, 257, 513, 4100, 32003, 151936};
    static const struct sample_case settings[] = {
        {.top_k = 1, .top_p = 1, .scale = 1},
        {.top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .scale = 1.25f},
        {.top_k = 40, .top_p = 1, .scale = 0.5f},
        {.top_k = 700, .top_p = 0.5f, .scale = 2},
        {.top_p = 0.9f, .scale = 1},
        {.top_p = 1, .min_p = 0.1f, .scale = 0.7f},
        {.top_p = 1, .scale = 1},
        {.top_k = 3, .top_p = 0.3f, .min_p = 0.9f, .scale = 1e30f},
    };
    const size_t n_settings = kernel == STO_KERNEL_sample_max ? 1 : sizeof settings / sizeof *settings;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (size_t i = 0; i < n_settings; i++) {
            for (int kind = KIND_NORMAL; kind <= KIND_NOTHING; kind++) {
                struct sample_case c = settings[i];
                c.n_vocab = sizes[s];
                c.kind = (enum kind)kind;
                if (c.n_vocab < 100000 || (i + (size_t)kind) % 3 == 0)
                    sample_case(v, &c);
            }
        }
    }
}

static void quick_sample(struct sto_verifier *v, enum sto_kernel kernel)
{
    (void)kernel;
    sample_case(v, &(struct sample_case){.n_vocab = 32003, .kind = KIND_NORMAL, .top_k = 1, .top_p = 1, .scale = 1});
    sample_case(v, &(struct sample_case){.n_vocab = 4100, .kind = KIND_NORMAL, .top_k = 40, .top_p = 0.95f,
                                         .min_p = 0.05f, .scale = 1.25f});
}

/* Both kernels run in every case: the second reads what the first has written. */
const struct sto_verify_source sto_verify_sample[] = {
    {"sample_max.comp", true, run_sample, quick_sample},
    {"sample_pick.comp", false, run_sample, quick_sample},
    {NULL, false, NULL, NULL},
};

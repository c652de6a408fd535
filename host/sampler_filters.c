/* Filters by radix selection over integer weights; see the header for what each keeps. */
#include "host/sampler_filters.h"
#include "runtime/base/exact_math.h"
#include "runtime/base/mem.h"

#include <math.h>
#include <string.h>

static const float WEIGHT_ONE = 0x1p40f;
static const float LOG2_E = 0x1.715476p+0f;

bool sto_candidates_create(struct sto_candidates *c, uint32_t n_vocab)
{
    *c = (struct sto_candidates){.capacity = n_vocab};
    c->id = sto_calloc(n_vocab, sizeof *c->id);
    c->logit = sto_calloc(n_vocab, sizeof *c->logit);
    c->weight = sto_calloc(n_vocab, sizeof *c->weight);
    c->scratch = sto_calloc(n_vocab, sizeof *c->scratch);
    c->key = sto_calloc(n_vocab, sizeof *c->key);
    return c->id != NULL && c->logit != NULL && c->weight != NULL && c->scratch != NULL && c->key != NULL;
}

void sto_candidates_destroy(struct sto_candidates *c)
{
    sto_free(c->id);
    sto_free(c->logit);
    sto_free(c->weight);
    sto_free(c->scratch);
    sto_free(c->key);
    *c = (struct sto_candidates){0};
}

void sto_candidates_weigh(struct sto_candidates *c, float scale)
{
    float max = c->logit[0];
    for (size_t i = 1; i < c->n; i++)
        max = c->logit[i] > max ? c->logit[i] : max;
    c->max = max;
    sto_exact_exp_n(c->scratch, c->logit, c->n, max, scale);
    uint64_t total = 0;
    for (size_t i = 0; i < c->n; i++) {
        c->weight[i] = (uint64_t)(int64_t)(c->scratch[i] * WEIGHT_ONE); /* towards zero */
        total += c->weight[i];
    }
    c->total = total;
}

/* ---- selection -------------------------------------------------------------------------------------------- */

/* An order of floats in unsigned integers: a < b exactly when key(a) < key(b). Both zeros are equal. */
static uint32_t key_of(float x)
{
    const uint32_t bits = sto_f32_bits(x + 0.0f); /* -0 + 0 is 0 */
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/* Keeps the candidates with the largest keys, lower ids first among equals, until their weights (1 each when `weight`
 * is NULL) reach `target`, which is at least 1 and at most the sum of all. Three passes find the last key that is
 * needed, eleven, eleven and ten bits at a time, and how much of the target falls to candidates with just that key. */
static void keep_largest(struct sto_candidates *c, const uint64_t *weight, uint64_t target)
{
    enum { DIGITS = 2048 };
    static const struct {
        unsigned shift, bits;
    } passes[3] = {{21, 11}, {10, 11}, {0, 10}};
    uint64_t sum[DIGITS];
    uint32_t last = 0; /* the digits found so far */
    uint64_t left = target;
    for (size_t p = 0; p < 3; p++) {
        const unsigned shift = passes[p].shift, above = shift + passes[p].bits;
        const uint32_t mask = (1u << passes[p].bits) - 1;
        memset(sum, 0, sizeof sum);
        for (size_t i = 0; i < c->n; i++) {
            if (p == 0 || (c->key[i] ^ last) >> above == 0)
                sum[(c->key[i] >> shift) & mask] += weight == NULL ? 1 : weight[i];
        }
        uint32_t digit = mask;
        while (digit > 0 && sum[digit] < left)
            left -= sum[digit--];
        last |= digit << shift;
    }
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->key[i] < last || (c->key[i] == last && left == 0))
            continue;
        if (c->key[i] == last) {
            const uint64_t w = weight == NULL ? 1 : weight[i];
            left -= w < left ? w : left;
        }
        c->id[kept] = c->id[i];
        c->logit[kept++] = c->logit[i];
    }
    c->n = kept;
}

/* total * fraction, rounded up; the fraction in units of 2^-32. At least 1. */
static uint64_t share_of(uint64_t total, float fraction)
{
    const uint64_t f = (uint64_t)(fraction * 0x1p32f);
    const uint64_t low = (total & UINT32_MAX) * f;
    const uint64_t share = (total >> 32) * f + (low >> 32) + ((low & UINT32_MAX) != 0);
    return share > 0 ? share : 1;
}

/* ---- filters ---------------------------------------------------------------------------------------------- */

/* Index of the largest logit, the lowest id among equals. */
static size_t best_of(const struct sto_candidates *c)
{
    size_t best = 0;
    for (size_t i = 1; i < c->n; i++)
        best = c->logit[i] > c->logit[best] ? i : best;
    return best;
}

void sto_filter_top_k(struct sto_candidates *c, uint32_t k)
{
    if (k >= c->n)
        return;
    if (k == 1) { /* greedy: no selection needed */
        const size_t best = best_of(c);
        c->id[0] = c->id[best];
        c->logit[0] = c->logit[best];
        c->n = 1;
        return;
    }
    for (size_t i = 0; i < c->n; i++)
        c->key[i] = key_of(c->logit[i]);
    keep_largest(c, NULL, k);
}

void sto_filter_top_p(struct sto_candidates *c, float p)
{
    sto_candidates_weigh(c, 1.0f);
    for (size_t i = 0; i < c->n; i++)
        c->key[i] = key_of(c->logit[i]);
    keep_largest(c, c->weight, share_of(c->total, p));
}

void sto_filter_min_p(struct sto_candidates *c, float min_p)
{
    sto_candidates_weigh(c, 1.0f);
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->scratch[i] >= min_p) {
            c->id[kept] = c->id[i];
            c->logit[kept++] = c->logit[i];
        }
    }
    c->n = kept;
}

/* ln of the sum of weights, in units of the largest weight. */
static float log_of_total(const struct sto_candidates *c)
{
    return sto_exact_log((float)c->total * 0x1p-40f);
}

void sto_filter_typical(struct sto_candidates *c, float p)
{
    sto_candidates_weigh(c, 1.0f);
    const float log_total = log_of_total(c);
    /* entropy = sum over tokens of p * surprise. Terms in units of 2^-32: n ln(n) of them stay below 2^58. */
    uint64_t sum = 0;
    for (size_t i = 0; i < c->n; i++) {
        const float surprise = log_total - (c->logit[i] - c->max);
        const float term = c->scratch[i] > 0.0f ? c->scratch[i] * surprise : 0.0f;
        sum += term > 0.0f ? (uint64_t)(term * 0x1p32f) : 0;
    }
    const float entropy = ((float)sum * 0x1p8f) / (float)c->total;
    for (size_t i = 0; i < c->n; i++) {
        const float distance = fabsf((log_total - (c->logit[i] - c->max)) - entropy);
        c->key[i] = ~sto_f32_bits(distance);
    }
    keep_largest(c, c->weight, share_of(c->total, p));
}

void sto_filter_xtc(struct sto_candidates *c, float threshold)
{
    sto_candidates_weigh(c, 1.0f);
    const uint64_t least = share_of(c->total, threshold);
    size_t n_top = 0, spared = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->weight[i] < least)
            continue;
        if (n_top++ == 0 || c->logit[i] <= c->logit[spared]) /* among equals the higher id is the last in order */
            spared = i;
    }
    if (n_top < 2)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->weight[i] < least || i == spared) {
            c->id[kept] = c->id[i];
            c->logit[kept++] = c->logit[i];
        }
    }
    c->n = kept;
}

float sto_surprise_bits(float logit, float max, float scale, float log_total)
{
    return (log_total - (logit - max) * scale) * LOG2_E;
}

void sto_filter_surprise(struct sto_candidates *c, float scale, float max_bits, float *log_total)
{
    *log_total = log_of_total(c);
    const size_t best = best_of(c);
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (i == best || sto_surprise_bits(c->logit[i], c->max, scale, *log_total) <= max_bits) {
            c->id[kept] = c->id[i];
            c->logit[kept++] = c->logit[i];
        }
    }
    c->n = kept;
}

/* ---- the draw --------------------------------------------------------------------------------------------- */

/* The upper half of a 128-bit product. */
static uint64_t multiply_high(uint64_t a, uint64_t b)
{
    const uint64_t a0 = a & UINT32_MAX, a1 = a >> 32, b0 = b & UINT32_MAX, b1 = b >> 32;
    const uint64_t mid = a1 * b0 + ((a0 * b0) >> 32);
    const uint64_t cross = a0 * b1 + (mid & UINT32_MAX);
    return a1 * b1 + (mid >> 32) + (cross >> 32);
}

size_t sto_candidates_draw(const struct sto_candidates *c, uint64_t random)
{
    const uint64_t point = multiply_high(random, c->total); /* in [0, total) */
    uint64_t sum = 0;
    size_t i = 0;
    while (i + 1 < c->n && (sum += c->weight[i]) <= point)
        i++;
    return i;
}

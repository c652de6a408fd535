/* Token ring, counts, and the penalties made from them. */
#include "host/sampler_history.h"
#include "runtime/base/mem.h"

#include <float.h>
#include <string.h>

enum { FIRST_CAPACITY = 4096 };

static bool penalties_on(const struct sto_sampler_params *p)
{
    const bool any = p->repeat_penalty != 1.0f || p->frequency_penalty != 0.0f || p->presence_penalty != 0.0f;
    return any && p->penalty_last_n > 0;
}

bool sto_history_create(struct sto_history *h, const struct sto_sampler_params *params, uint32_t n_vocab)
{
    const bool counts = penalties_on(params);
    const bool dry = params->dry_multiplier > 0.0f && params->dry_last_n > 0;
    *h = (struct sto_history){
        .n_vocab = n_vocab,
        .penalty_last_n = params->penalty_last_n,
        .repeat_penalty = params->repeat_penalty,
        .frequency_penalty = params->frequency_penalty,
        .presence_penalty = params->presence_penalty,
        .dry_last_n = params->dry_last_n,
        .dry_allowed_length = params->dry_allowed_length,
        .dry_multiplier = params->dry_multiplier,
        .dry_base = params->dry_base,
    };
    /* A window over everything needs counts that only grow, and no ring. */
    if (counts && params->penalty_last_n != UINT32_MAX)
        h->max_capacity = params->penalty_last_n;
    if (dry && params->dry_last_n > h->max_capacity)
        h->max_capacity = params->dry_last_n;
    h->capacity = h->max_capacity < FIRST_CAPACITY ? h->max_capacity : FIRST_CAPACITY;
    if (h->capacity > 0 && (h->ring = sto_calloc(h->capacity, sizeof *h->ring)) == NULL)
        return false;
    if (counts && (h->count = sto_calloc(n_vocab, sizeof *h->count)) == NULL)
        return false;
    if (!dry)
        return true;
    h->match = sto_calloc(h->capacity, sizeof *h->match);
    h->longest = sto_calloc(n_vocab, sizeof *h->longest);
    h->breakers = sto_calloc(((size_t)n_vocab + 31) / 32, sizeof *h->breakers);
    if (h->match == NULL || h->longest == NULL || h->breakers == NULL)
        return false;
    for (size_t i = 0; i < params->n_dry_breakers; i++)
        h->breakers[params->dry_breakers[i] / 32] |= 1u << (params->dry_breakers[i] % 32);
    return true;
}

void sto_history_destroy(struct sto_history *h)
{
    sto_free(h->ring);
    sto_free(h->match);
    sto_free(h->count);
    sto_free(h->longest);
    sto_free(h->breakers);
    *h = (struct sto_history){0};
}

void sto_history_reset(struct sto_history *h)
{
    h->n_tokens = 0;
    if (h->count != NULL)
        memset(h->count, 0, h->n_vocab * sizeof *h->count);
}

/* Doubles the ring and puts its tokens where the new capacity wants them. */
static bool grow(struct sto_history *h)
{
    const size_t capacity = h->capacity > h->max_capacity / 2 ? h->max_capacity : 2 * h->capacity;
    uint32_t *ring = sto_calloc(capacity, sizeof *ring);
    uint32_t *match = h->match != NULL ? sto_calloc(capacity, sizeof *match) : NULL;
    if (ring == NULL || (h->match != NULL && match == NULL)) {
        sto_free(ring);
        sto_free(match);
        return false;
    }
    for (uint64_t p = h->n_tokens - h->capacity; p < h->n_tokens; p++)
        ring[p % capacity] = h->ring[p % h->capacity];
    sto_free(h->ring);
    sto_free(h->match);
    h->ring = ring;
    h->match = match;
    h->capacity = capacity;
    return true;
}

bool sto_history_accept(struct sto_history *h, uint32_t token)
{
    if (h->capacity < h->max_capacity && h->n_tokens >= h->capacity && !grow(h))
        return false;
    if (h->count != NULL) {
        if (h->penalty_last_n != UINT32_MAX && h->n_tokens >= h->penalty_last_n)
            h->count[h->ring[(h->n_tokens - h->penalty_last_n) % h->capacity]]--;
        h->count[token]++;
    }
    if (h->capacity > 0)
        h->ring[h->n_tokens % h->capacity] = token;
    h->n_tokens++;
    return true;
}

/* The token j places before the end of the sequence; 0 is the last one. */
static uint32_t token_back(const struct sto_history *h, uint64_t j)
{
    return h->ring[(h->n_tokens - 1 - j) % h->capacity];
}

/* ---- penalties -------------------------------------------------------------------------------------------- */

static void penalise(const struct sto_history *h, float inverse, uint32_t token, float *logits)
{
    const float l = logits[token] > 0.0f ? logits[token] * inverse : logits[token] * h->repeat_penalty;
    logits[token] = (l - (float)h->count[token] * h->frequency_penalty) - h->presence_penalty;
}

/* A short window is walked, twice: a token's count is marked when it has been penalised, and put back. One without an
 * end is not in the ring. */
void sto_history_penalise(struct sto_history *h, float *logits)
{
    const uint32_t mark = 1u << 31;
    if (h->count == NULL)
        return;
    const float inverse = 1.0f / h->repeat_penalty;
    const uint64_t window = h->n_tokens < h->penalty_last_n ? h->n_tokens : h->penalty_last_n;
    if (h->penalty_last_n == UINT32_MAX || window > h->n_vocab / 8) {
        for (uint32_t t = 0; t < h->n_vocab; t++) {
            if (h->count[t] != 0)
                penalise(h, inverse, t, logits);
        }
        return;
    }
    for (uint64_t j = 0; j < window; j++) {
        const uint32_t t = token_back(h, j);
        if ((h->count[t] & mark) == 0) {
            penalise(h, inverse, t, logits);
            h->count[t] |= mark;
        }
    }
    for (uint64_t j = 0; j < window; j++)
        h->count[token_back(h, j)] &= ~mark;
}

/* ---- DRY -------------------------------------------------------------------------------------------------- */

static bool is_breaker(const struct sto_history *h, uint32_t token)
{
    return (h->breakers[token / 32] >> (token % 32) & 1) != 0;
}

/* multiplier * base^exponent by squaring, at most FLT_MAX: what is penalised is not forbidden. */
static float dry_penalty(float multiplier, float base, uint32_t exponent)
{
    float result = multiplier;
    for (; exponent > 0; exponent >>= 1) {
        if ((exponent & 1) != 0)
            result *= base;
        base *= base;
    }
    return result < FLT_MAX ? result : FLT_MAX;
}

/* match[j] for j in [1, n): how many of the tokens that end j places back are those that end the sequence. This is
 * the Z function of the sequence read backwards: each token is compared at most twice. */
static void fill_matches(const struct sto_history *h, size_t n)
{
    size_t left = 0, right = 0; /* [left, right) is the match found so far that reaches furthest */
    for (size_t j = 1; j < n; j++) {
        size_t len = 0;
        if (j < right)
            len = h->match[j - left] < right - j ? h->match[j - left] : right - j;
        while (j + len < n && token_back(h, len) == token_back(h, j + len))
            len++;
        h->match[j] = (uint32_t)len;
        if (j + len > right) {
            left = j;
            right = j + len;
        }
    }
}

void sto_history_dry(const struct sto_history *h, float *logits)
{
    if (h->match == NULL)
        return;
    const size_t n = h->n_tokens < h->dry_last_n ? (size_t)h->n_tokens : h->dry_last_n;
    size_t limit = 0; /* tokens after the last breaker: no repetition is longer */
    while (limit < n && !is_breaker(h, token_back(h, limit)))
        limit++;
    if (limit == 0)
        return;
    fill_matches(h, n);
    for (size_t j = 1; j < n; j++) {
        const uint32_t len = (uint32_t)(h->match[j] < limit ? h->match[j] : limit);
        const uint32_t next = token_back(h, j - 1);
        if (len > h->longest[next] && len >= h->dry_allowed_length && !is_breaker(h, next))
            h->longest[next] = len;
    }
    for (size_t j = 1; j < n; j++) {
        const uint32_t next = token_back(h, j - 1);
        if (h->longest[next] == 0)
            continue;
        logits[next] -= dry_penalty(h->dry_multiplier, h->dry_base, h->longest[next] - h->dry_allowed_length);
        h->longest[next] = 0;
    }
}

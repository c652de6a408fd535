/* The sampler: checks its parameters, then runs the steps of sampler.h in order on every call.
 *
 *   logits -> load (NaN) -> bias -> penalties -> DRY -> arg-max                               temperature 0
 *                                                    -> top-k .. XTC -> temperature -> draw
 *                                                    -> temperature -> mirostat     -> draw   mirostat 2 */
#include "host/sampler.h"
#include "runtime/base/philox.h"
#include "host/sampler_filters.h"
#include "host/sampler_history.h"
#include "runtime/base/mem.h"
#include "runtime/base/status.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct sto_sampler {
    struct sto_sampler_params params; /* biases point to our copy; dry_breakers is NULL */
    struct sto_candidates candidates;
    struct sto_history history;
    uint32_t n_vocab;
    float scale;        /* 1 / temperature, finite */
    uint64_t n_samples; /* counter of the generator */
    float mu;           /* mirostat's bound, in bits */
};

/* The random words of one sample call. */
struct draw_words {
    uint64_t token;
    uint32_t xtc;
};

void sto_sampler_defaults(struct sto_sampler_params *params)
{
    *params = (struct sto_sampler_params){
        .temperature = 0.8f,
        .top_k = 40,
        .top_p = 0.95f,
        .min_p = 0.05f,
        .typical_p = 1.0f,
        .repeat_penalty = 1.0f,
        .penalty_last_n = 64,
        .dry_base = 1.75f,
        .dry_allowed_length = 2,
        .dry_last_n = UINT32_MAX,
        .xtc_threshold = 0.1f,
        .mirostat_tau = 5.0f,
        .mirostat_eta = 0.1f,
    };
}

/* ---- parameters ------------------------------------------------------------------------------------------- */

/* A range of a parameter; an open end does not belong to it. */
struct range {
    const char *name;
    float value, low, high;
    bool open_low, open_high;
    const char *text;
};

static enum sto_status check_ranges(const struct sto_sampler_params *p, struct sto_error *err)
{
    const struct range ranges[] = {
        {"temperature", p->temperature, 0, FLT_MAX, false, false, "0 or more"},
        {"top_p", p->top_p, 0, 1, true, false, "above 0, at most 1"},
        {"min_p", p->min_p, 0, 1, false, true, "0 or more, below 1"},
        {"typical_p", p->typical_p, 0, 1, true, false, "above 0, at most 1"},
        {"repeat_penalty", p->repeat_penalty, 0, FLT_MAX, true, false, "above 0"},
        {"frequency_penalty", p->frequency_penalty, -FLT_MAX, FLT_MAX, false, false, "a finite number"},
        {"presence_penalty", p->presence_penalty, -FLT_MAX, FLT_MAX, false, false, "a finite number"},
        {"dry_multiplier", p->dry_multiplier, 0, FLT_MAX, false, false, "0 or more"},
        {"dry_base", p->dry_base, 1, FLT_MAX, false, false, "1 or more"},
        {"xtc_probability", p->xtc_probability, 0, 1, false, false, "0 to 1"},
        {"xtc_threshold", p->xtc_threshold, 0, 0.5f, true, false, "above 0, at most 0.5"},
        {"mirostat_tau", p->mirostat_tau, 0, FLT_MAX, false, false, "0 or more"},
        {"mirostat_eta", p->mirostat_eta, 0, FLT_MAX, false, false, "0 or more"},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const struct range *r = &ranges[i];
        const bool above = r->open_low ? r->value > r->low : r->value >= r->low;
        const bool below = r->open_high ? r->value < r->high : r->value <= r->high;
        if (!above || !below) /* NaN fails both */
            return sto_fail(err, STO_ERR_USAGE, "%s is %g, but its range is: %s", r->name, (double)r->value, r->text);
    }
    if (p->mirostat != 0 && p->mirostat != 2)
        return sto_fail(err, STO_ERR_USAGE, "mirostat is %u, but its range is: 0 (off) or 2", (unsigned)p->mirostat);
    return STO_OK;
}

static enum sto_status check_lists(const struct sto_sampler_params *p, uint32_t n_vocab, struct sto_error *err)
{
    if ((p->biases == NULL && p->n_biases > 0) || (p->dry_breakers == NULL && p->n_dry_breakers > 0))
        return sto_fail(err, STO_ERR_USAGE, "%s is NULL, but its count is not 0",
                        p->biases == NULL && p->n_biases > 0 ? "biases" : "dry_breakers");
    for (size_t i = 0; i < p->n_biases; i++) {
        const struct sto_logit_bias *b = &p->biases[i];
        if (b->token >= n_vocab)
            return sto_fail(err, STO_ERR_USAGE, "biases[%zu].token is %u, but its range is: 0 to %u", i,
                            (unsigned)b->token, (unsigned)(n_vocab - 1));
        if (!(b->bias <= FLT_MAX))
            return sto_fail(err, STO_ERR_USAGE, "biases[%zu].bias is %g, but its range is: a finite number or -inf", i,
                            (double)b->bias);
    }
    for (size_t i = 0; i < p->n_dry_breakers; i++) {
        if (p->dry_breakers[i] >= n_vocab)
            return sto_fail(err, STO_ERR_USAGE, "dry_breakers[%zu] is %u, but its range is: 0 to %u", i,
                            (unsigned)p->dry_breakers[i], (unsigned)(n_vocab - 1));
    }
    return STO_OK;
}

/* ---- life ------------------------------------------------------------------------------------------------- */

enum sto_status sto_sampler_create(const struct sto_sampler_params *params, uint32_t n_vocab, struct sto_sampler **out,
                                   struct sto_error *err)
{
    *out = NULL;
    if (n_vocab < 1 || n_vocab > STO_SAMPLER_MAX_VOCAB)
        return sto_fail(err, STO_ERR_USAGE, "n_vocab is %u, but its range is: 1 to %d", (unsigned)n_vocab,
                        STO_SAMPLER_MAX_VOCAB);
    enum sto_status status = check_ranges(params, err);
    if (status == STO_OK)
        status = check_lists(params, n_vocab, err);
    if (status != STO_OK)
        return status;

    struct sto_logit_bias *biases = NULL;
    struct sto_sampler *s = sto_calloc(1, sizeof *s);
    if (s == NULL)
        goto fail;
    s->params = *params;
    s->params.biases = NULL;
    s->params.dry_breakers = NULL;
    s->n_vocab = n_vocab;
    /* A temperature so low that its inverse overflows still draws the best token. */
    s->scale = params->temperature > 0.0f ? fminf(1.0f / params->temperature, FLT_MAX) : 1.0f;
    if (params->n_biases > 0) {
        biases = sto_calloc(params->n_biases, sizeof *biases);
        if (biases == NULL)
            goto fail;
        memcpy(biases, params->biases, params->n_biases * sizeof *biases);
        s->params.biases = biases;
    }
    if (!sto_candidates_create(&s->candidates, n_vocab) || !sto_history_create(&s->history, params, n_vocab))
        goto fail;
    sto_sampler_reset(s);
    *out = s;
    return STO_OK;

fail:
    sto_sampler_destroy(s);
    return sto_fail(err, STO_ERR_FAILED, "no memory for a sampler of %u tokens", (unsigned)n_vocab);
}

void sto_sampler_destroy(struct sto_sampler *sampler)
{
    if (sampler == NULL)
        return;
    sto_free((void *)sampler->params.biases);
    sto_candidates_destroy(&sampler->candidates);
    sto_history_destroy(&sampler->history);
    sto_free(sampler);
}

void sto_sampler_reset(struct sto_sampler *sampler)
{
    sto_history_reset(&sampler->history);
    sampler->n_samples = 0;
    sampler->mu = 2.0f * sampler->params.mirostat_tau;
}

enum sto_status sto_sampler_accept(struct sto_sampler *sampler, uint32_t token, struct sto_error *err)
{
    if (token >= sampler->n_vocab)
        return sto_fail(err, STO_ERR_USAGE, "token is %u, but its range is: 0 to %u", (unsigned)token,
                        (unsigned)(sampler->n_vocab - 1));
    if (!sto_history_accept(&sampler->history, token))
        return sto_fail(err, STO_ERR_FAILED, "no memory for the sampler's history");
    return STO_OK;
}

/* ---- steps ------------------------------------------------------------------------------------------------ */

static float finite_or_forbidden(float logit)
{
    const float l = logit < FLT_MAX ? logit : FLT_MAX; /* +infinity is the largest number */
    return logit >= -FLT_MAX ? l : -INFINITY;          /* NaN compares false */
}

static bool penalises(const struct sto_sampler_params *p)
{
    return p->penalty_last_n > 0 &&
           (p->repeat_penalty != 1.0f || p->frequency_penalty != 0.0f || p->presence_penalty != 0.0f);
}

/* Steps 2 and 3 do something. */
static bool changes_logits(const struct sto_sampler_params *p)
{
    return p->n_biases > 0 || penalises(p) || p->dry_multiplier > 0.0f;
}

/* Steps 1 to 3 on a copy of the logits. */
static void copy_and_change(struct sto_sampler *s, const float *logits)
{
    float *copy = s->candidates.logit;
    for (uint32_t i = 0; i < s->n_vocab; i++)
        copy[i] = finite_or_forbidden(logits[i]);
    for (size_t i = 0; i < s->params.n_biases; i++)
        copy[s->params.biases[i].token] += s->params.biases[i].bias;
    sto_history_penalise(&s->history, copy);
    sto_history_dry(&s->history, copy);
}

static enum sto_status no_token(const struct sto_sampler *s, struct sto_error *err)
{
    return sto_fail(err, STO_ERR_FAILED, "no token can follow: all %u logits are -infinity or NaN",
                    (unsigned)s->n_vocab);
}

/* The candidates that steps 1 to 3 leave. */
static enum sto_status load(struct sto_sampler *s, const float *logits, struct sto_error *err)
{
    struct sto_candidates *c = &s->candidates;
    copy_and_change(s, logits);
    size_t n = 0;
    for (uint32_t i = 0; i < s->n_vocab; i++) {
        const float l = finite_or_forbidden(c->logit[i]);
        c->id[n] = i;
        c->logit[n] = l;
        n += l >= -FLT_MAX;
    }
    c->n = n;
    return n > 0 ? STO_OK : no_token(s, err);
}

/* The largest of x, -infinity when all are NaN. Several maxima, so that compilers make vectors of them. */
static float largest_of(const float *x, size_t n)
{
    enum { LANES = 16 };
    float m[LANES], best = -INFINITY;
    size_t i = 0;
    for (size_t j = 0; j < LANES; j++)
        m[j] = -INFINITY;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++)
            m[j] = x[i + j] > m[j] ? x[i + j] : m[j];
    }
    for (; i < n; i++)
        best = x[i] > best ? x[i] : best;
    for (size_t j = 0; j < LANES; j++)
        best = m[j] > best ? m[j] : best;
    return best;
}

/* The best token alone. Logits that nothing changes are read where they lie, once but for a part of them. */
static enum sto_status load_best(struct sto_sampler *s, const float *logits, struct sto_error *err)
{
    enum { PART = 1024 };
    struct sto_candidates *c = &s->candidates;
    const float *x = logits;
    float best = -INFINITY;
    uint32_t at = 0;
    if (changes_logits(&s->params)) {
        copy_and_change(s, logits);
        x = c->logit;
    }
    for (uint32_t part = 0; part < s->n_vocab; part += PART) {
        const uint32_t left = s->n_vocab - part;
        const float largest = finite_or_forbidden(largest_of(x + part, left < PART ? left : PART));
        if (largest > best) {
            best = largest;
            at = part;
        }
    }
    if (best < -FLT_MAX)
        return no_token(s, err);
    while (finite_or_forbidden(x[at]) < best)
        at++;
    c->n = 1;
    c->id[0] = at;
    c->logit[0] = best;
    return STO_OK;
}

static struct draw_words words_of(const struct sto_sampler *s)
{
    const uint32_t counter[4] = {(uint32_t)s->n_samples, (uint32_t)(s->n_samples >> 32), 0, 0};
    const uint32_t key[2] = {(uint32_t)s->params.seed, (uint32_t)(s->params.seed >> 32)};
    uint32_t w[4];
    sto_philox4x32(counter, key, w);
    return (struct draw_words){.token = (uint64_t)w[1] << 32 | w[0], .xtc = w[2]};
}

/* Steps 4 to 8. */
static void filter(struct sto_sampler *s, uint32_t xtc_word)
{
    const struct sto_sampler_params *p = &s->params;
    struct sto_candidates *c = &s->candidates;
    if (p->top_k > 0)
        sto_filter_top_k(c, p->top_k);
    if (p->typical_p < 1.0f)
        sto_filter_typical(c, p->typical_p);
    if (p->top_p < 1.0f)
        sto_filter_top_p(c, p->top_p);
    if (p->min_p > 0.0f)
        sto_filter_min_p(c, p->min_p);
    if (p->xtc_probability > 0.0f && xtc_word < (uint64_t)(p->xtc_probability * 0x1p32f))
        sto_filter_xtc(c, p->xtc_threshold);
}

/* Everything but the draw: candidates with the weights that the draw uses. *log_total: for mirostat's surprise. */
static enum sto_status prepare(struct sto_sampler *s, const float *logits, struct draw_words words, float *log_total,
                               struct sto_error *err)
{
    struct sto_candidates *c = &s->candidates;
    *log_total = 0.0f;
    const bool greedy = s->params.temperature == 0.0f;
    const enum sto_status status = greedy ? load_best(s, logits, err) : load(s, logits, err);
    if (status != STO_OK)
        return status;
    if (!greedy && s->params.mirostat == 2) {
        sto_candidates_weigh(c, s->scale);
        sto_filter_surprise(c, s->scale, s->mu, log_total);
    } else if (!greedy) {
        filter(s, words.xtc);
    }
    sto_candidates_weigh(c, s->scale);
    return STO_OK;
}

enum sto_status sto_sampler_sample(struct sto_sampler *sampler, const float *logits, uint32_t *token,
                                   struct sto_error *err)
{
    const struct sto_candidates *c = &sampler->candidates;
    const struct draw_words words = words_of(sampler);
    float log_total;
    const enum sto_status status = prepare(sampler, logits, words, &log_total, err);
    if (status != STO_OK)
        return status;
    const size_t i = sto_candidates_draw(c, words.token);
    if (sampler->params.mirostat == 2 && sampler->params.temperature > 0.0f) {
        const float surprise = sto_surprise_bits(c->logit[i], c->max, sampler->scale, log_total);
        sampler->mu -= sampler->params.mirostat_eta * (surprise - sampler->params.mirostat_tau);
    }
    sampler->n_samples++;
    *token = c->id[i];
    return STO_OK;
}

enum sto_status sto_sampler_probs(struct sto_sampler *sampler, const float *logits, float *probs, struct sto_error *err)
{
    float log_total;
    const enum sto_status status = prepare(sampler, logits, words_of(sampler), &log_total, err);
    if (status != STO_OK)
        return status;
    const struct sto_candidates *c = &sampler->candidates;
    memset(probs, 0, sampler->n_vocab * sizeof *probs);
    for (size_t i = 0; i < c->n; i++)
        probs[c->id[i]] = (float)c->weight[i] / (float)c->total;
    return STO_OK;
}

bool sto_sampler_on_device(const struct sto_sampler *sampler, struct sto_generation_params *params)
{
    const struct sto_sampler_params *p = &sampler->params;
    const bool other_filters = p->typical_p < 1.0f || p->xtc_probability > 0.0f || p->mirostat != 0;
    if (changes_logits(p) || (p->temperature > 0.0f && other_filters))
        return false;
    params->temperature = p->temperature;
    params->top_k = p->top_k;
    params->top_p = p->top_p;
    params->min_p = p->min_p;
    params->seed = p->seed;
    params->first_draw = sampler->n_samples;
    return true;
}

void sto_sampler_skip(struct sto_sampler *sampler, uint64_t n)
{
    sampler->n_samples += n;
}

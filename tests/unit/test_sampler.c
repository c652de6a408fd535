/* The sampler as its callers see it: probabilities against vectors from an independent float64 implementation
 * (tests/vectors/make_sampler_vectors.py), draws, reproducibility, bad logits and bad parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/sampler.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

enum { MAX_VOCAB = 64 };

/* Everything off, temperature 1. */
static struct sto_sampler_params plain(void)
{
    struct sto_sampler_params p;
    sto_sampler_defaults(&p);
    p.temperature = 1;
    p.top_k = 0;
    p.top_p = 1;
    p.min_p = 0;
    return p;
}

static struct sto_sampler *make(const struct sto_sampler_params *params, uint32_t n_vocab)
{
    struct sto_sampler *s;
    struct sto_error err = {0};
    if (sto_sampler_create(params, n_vocab, &s, &err) != STO_OK)
        fail_msg("%s", err.message);
    return s;
}

static uint32_t draw(struct sto_sampler *s, const float *logits)
{
    uint32_t token = UINT32_MAX;
    assert_int_equal(sto_sampler_sample(s, logits, &token, NULL), STO_OK);
    return token;
}

/* A small generator of its own, so that tests do not lean on the one under test. */
static uint32_t rng_state = 1;
static uint32_t rng(void)
{
    rng_state = rng_state * 1664525u + 1013904223u;
    return rng_state >> 8;
}

static void fill_random(float *logits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        logits[i] = (float)(rng() % 100000) * 1e-4f - 5.0f;
}

/* ---- vectors ---------------------------------------------------------------------------------------------- */

/* What a case's params object names, put into p. Lists go to the arrays of the caller. */
static void read_params(const cJSON *object, struct sto_sampler_params *p, struct sto_logit_bias *biases,
                        uint32_t *breakers)
{
    const struct {
        const char *name;
        float *f;
        uint32_t *u;
    } fields[] = {
        {"temperature", &p->temperature, NULL},
        {"top_k", NULL, &p->top_k},
        {"top_p", &p->top_p, NULL},
        {"min_p", &p->min_p, NULL},
        {"typical_p", &p->typical_p, NULL},
        {"repeat_penalty", &p->repeat_penalty, NULL},
        {"frequency_penalty", &p->frequency_penalty, NULL},
        {"presence_penalty", &p->presence_penalty, NULL},
        {"penalty_last_n", NULL, &p->penalty_last_n},
        {"dry_multiplier", &p->dry_multiplier, NULL},
        {"dry_base", &p->dry_base, NULL},
        {"dry_allowed_length", NULL, &p->dry_allowed_length},
        {"dry_last_n", NULL, &p->dry_last_n},
        {"xtc_probability", &p->xtc_probability, NULL},
        {"xtc_threshold", &p->xtc_threshold, NULL},
    };
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        const cJSON *e;
        size_t n = 0;
        if (strcmp(item->string, "biases") == 0) {
            cJSON_ArrayForEach(e, item)
            {
                const cJSON *bias = cJSON_GetArrayItem(e, 1);
                biases[n].token = (uint32_t)cJSON_GetArrayItem(e, 0)->valuedouble;
                biases[n++].bias = cJSON_IsNull(bias) ? -INFINITY : (float)bias->valuedouble;
            }
            p->biases = biases;
            p->n_biases = n;
            continue;
        }
        if (strcmp(item->string, "dry_breakers") == 0) {
            cJSON_ArrayForEach(e, item) breakers[n++] = (uint32_t)e->valuedouble;
            p->dry_breakers = breakers;
            p->n_dry_breakers = n;
            continue;
        }
        size_t f = 0;
        while (f < sizeof fields / sizeof *fields && strcmp(fields[f].name, item->string) != 0)
            f++;
        assert_in_range(f, 0, sizeof fields / sizeof *fields - 1);
        if (fields[f].f != NULL)
            *fields[f].f = (float)item->valuedouble;
        else
            *fields[f].u = (uint32_t)item->valuedouble;
    }
}

/* The kept tokens are the same ones; probabilities agree to 2e-5 of themselves: logits near 10 carry an f32 rounding
 * of 5e-7, penalties and temperature add a few, and DRY's powers as many again. Weights end at 2^-40 of the largest. */
static void check_case(const cJSON *c)
{
    struct sto_sampler_params p = plain();
    struct sto_logit_bias biases[4];
    uint32_t breakers[4];
    float logits[MAX_VOCAB], probs[MAX_VOCAB], want[MAX_VOCAB] = {0};
    uint32_t n_vocab = 0;
    const char *name = cJSON_GetObjectItem(c, "name")->valuestring;
    const cJSON *e;
    read_params(cJSON_GetObjectItem(c, "params"), &p, biases, breakers);
    cJSON_ArrayForEach(e, cJSON_GetObjectItem(c, "logits")) logits[n_vocab++] = (float)e->valuedouble;
    cJSON_ArrayForEach(e, cJSON_GetObjectItem(c, "probs"))
    {
        want[cJSON_GetArrayItem(e, 0)->valueint] = (float)cJSON_GetArrayItem(e, 1)->valuedouble;
    }
    struct sto_sampler *s = make(&p, n_vocab);
    cJSON_ArrayForEach(e, cJSON_GetObjectItem(c, "history"))
    {
        assert_int_equal(sto_sampler_accept(s, (uint32_t)e->valuedouble, NULL), STO_OK);
    }
    assert_int_equal(sto_sampler_probs(s, logits, probs, NULL), STO_OK);
    for (uint32_t i = 0; i < n_vocab; i++) {
        const float bound = want[i] > 0.0f ? 2e-5f * want[i] + 0x1p-40f : 0.0f;
        if (fabsf(probs[i] - want[i]) > bound)
            fail_msg("%s: token %u has probability %.9g, expected %.9g", name, i, (double)probs[i], (double)want[i]);
    }
    for (int i = 0; i < 200; i++)
        assert_true(want[draw(s, logits)] > 0.0f);
    sto_sampler_destroy(s);
}

static void probabilities_equal_the_vectors(void **state)
{
    (void)state;
    char *text;
    size_t size;
    assert_int_equal(sto_file_read(STRATO_SOURCE_DIR "/tests/vectors/sampler.json", 1 << 20, &text, &size, NULL),
                     STO_OK);
    cJSON *cases = cJSON_ParseWithLength(text, size);
    assert_true(cJSON_GetArraySize(cases) >= 69);
    const cJSON *c;
    cJSON_ArrayForEach(c, cases) check_case(c);
    cJSON_Delete(cases);
    sto_free(text);
}

/* ---- draws ------------------------------------------------------------------------------------------------ */

/* Pearson's test on 200,000 draws: 7 degrees of freedom exceed 35 with a probability of 1.1e-5. */
static void draws_follow_the_distribution(void **state)
{
    (void)state;
    enum { N = 8, DRAWS = 200000 };
    const float logits[N] = {2.0f, 1.0f, 0.0f, -1.0f, 3.0f, 0.5f, -2.5f, 1.5f};
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct sto_sampler_params p = plain();
        p.seed = seed;
        p.temperature = 1.5f;
        struct sto_sampler *s = make(&p, N);
        double want[N], sum = 0, chi2 = 0;
        int count[N] = {0};
        for (int i = 0; i < DRAWS; i++)
            count[draw(s, logits)]++;
        for (int i = 0; i < N; i++)
            sum += want[i] = exp((double)logits[i] / 1.5);
        for (int i = 0; i < N; i++) {
            const double expected = DRAWS * want[i] / sum;
            chi2 += (count[i] - expected) * (count[i] - expected) / expected;
        }
        assert_true(chi2 < 35.0);
        assert_true(chi2 > 0.2); /* as unlikely on the other side: not a counter in disguise */
        sto_sampler_destroy(s);
    }
}

/* XTC falls with its probability: 20,000 throws of p = 0.3 lie within 5 standard deviations (324) of 6,000. */
static void xtc_falls_with_its_probability(void **state)
{
    (void)state;
    const float logits[3] = {5.0f, 5.0f, -20.0f}; /* XTC leaves only the second of the two */
    struct sto_sampler_params p = plain();
    p.xtc_probability = 0.3f;
    struct sto_sampler *s = make(&p, 3);
    int n = 0;
    for (int i = 0; i < 20000; i++) {
        float probs[3];
        assert_int_equal(sto_sampler_probs(s, logits, probs, NULL), STO_OK);
        const bool excluded = probs[0] == 0.0f;
        n += excluded;
        const uint32_t token = draw(s, logits);
        assert_false(excluded && token == 0); /* probs tells of the very next draw */
    }
    assert_in_range(n, 6000 - 324, 6000 + 324);
    sto_sampler_destroy(s);
}

static void a_seed_gives_its_draws_again(void **state)
{
    (void)state;
    enum { N = 50, DRAWS = 300 };
    float logits[N];
    fill_random(logits, N);
    struct sto_sampler_params p = plain();
    p.temperature = 2;
    p.seed = UINT64_C(0x123456789abcdef0);
    struct sto_sampler *a = make(&p, N), *b = make(&p, N);
    p.seed ^= UINT64_C(1) << 63;
    struct sto_sampler *c = make(&p, N);
    uint32_t first[DRAWS];
    int differ = 0;
    for (int i = 0; i < DRAWS; i++) {
        first[i] = draw(a, logits);
        assert_int_equal(draw(b, logits), first[i]);
        differ += draw(c, logits) != first[i];
    }
    assert_true(differ > DRAWS / 2); /* the seed's upper half counts */
    sto_sampler_reset(a);
    for (int i = 0; i < DRAWS; i++)
        assert_int_equal(draw(a, logits), first[i]);
    sto_sampler_destroy(a);
    sto_sampler_destroy(b);
    sto_sampler_destroy(c);
}

/* Draw i is the same whatever was drawn from, accepted or refused before. */
static void draw_i_depends_on_i_alone(void **state)
{
    (void)state;
    enum { N = 50 };
    float logits[N], others[N], bad[N];
    fill_random(logits, N);
    fill_random(others, N);
    for (int i = 0; i < N; i++)
        bad[i] = NAN;
    struct sto_sampler_params p = plain();
    p.temperature = 3;
    struct sto_sampler *a = make(&p, N), *b = make(&p, N);
    for (uint32_t i = 0; i < 100; i++) {
        const bool compare = i % 3 == 2;
        assert_int_equal(sto_sampler_accept(b, rng() % N, NULL), STO_OK);
        assert_int_equal(sto_sampler_sample(b, bad, &(uint32_t){0}, NULL), STO_ERR_FAILED);
        const uint32_t from_a = draw(a, logits), from_b = draw(b, compare ? logits : others);
        if (compare)
            assert_int_equal(from_a, from_b);
    }
    sto_sampler_destroy(a);
    sto_sampler_destroy(b);
}

/* ---- properties ------------------------------------------------------------------------------------------- */

static struct sto_sampler_params with_many_filters(void)
{
    struct sto_sampler_params p = plain();
    p.temperature = 0.9f;
    p.top_k = 30;
    p.typical_p = 0.95f;
    p.top_p = 0.9f;
    p.min_p = 0.02f;
    p.xtc_probability = 1;
    p.xtc_threshold = 0.2f;
    return p;
}

/* Sums are exact, so renaming the tokens renames the probabilities, to the last bit. */
static void order_of_ids_does_not_matter(void **state)
{
    (void)state;
    enum { N = 60 };
    for (int round = 0; round < 50; round++) {
        float logits[N], permuted[N], probs[N], got[N];
        uint32_t to[N];
        fill_random(logits, N);
        for (uint32_t i = 0; i < N; i++) {
            logits[i] += (float)i * 1e-6f; /* no equals: those are told apart by id */
            const uint32_t j = rng() % (i + 1);
            to[i] = to[j];
            to[j] = i;
        }
        for (uint32_t i = 0; i < N; i++)
            permuted[to[i]] = logits[i];
        const struct sto_sampler_params p = with_many_filters();
        struct sto_sampler *s = make(&p, N);
        assert_int_equal(sto_sampler_probs(s, logits, probs, NULL), STO_OK);
        assert_int_equal(sto_sampler_probs(s, permuted, got, NULL), STO_OK);
        for (uint32_t i = 0; i < N; i++)
            assert_true(probs[i] == got[to[i]]);
        sto_sampler_destroy(s);
    }
}

/* What a stricter top-k or top-p keeps, a looser one keeps too. */
static void filters_nest(void **state)
{
    (void)state;
    enum { N = 40 };
    float logits[N], probs[N];
    fill_random(logits, N);
    for (int top_p = 0; top_p <= 1; top_p++) {
        bool before[N] = {false};
        size_t n_before = 0;
        for (uint32_t step = 1; step <= N; step++) {
            struct sto_sampler_params p = plain();
            if (top_p)
                p.top_p = (float)step / N;
            else
                p.top_k = step;
            struct sto_sampler *s = make(&p, N);
            assert_int_equal(sto_sampler_probs(s, logits, probs, NULL), STO_OK);
            size_t n = 0;
            for (int i = 0; i < N; i++) {
                assert_false(before[i] && probs[i] == 0.0f);
                before[i] = probs[i] > 0.0f;
                n += before[i];
            }
            assert_true(top_p ? n >= n_before : n == step);
            n_before = n;
            sto_sampler_destroy(s);
        }
        assert_int_equal(n_before, N);
    }
}

/* ---- bad logits ------------------------------------------------------------------------------------------- */

/* Greedy takes the largest logit, the lowest id among equals, wherever it is and whatever is around it. */
static void greedy_finds_the_first_of_the_largest(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 15, 16, 17, 1023, 1024, 1025, 5000};
    static float logits[5000];
    struct sto_sampler_params p = plain();
    p.temperature = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const uint32_t n = sizes[i];
        const struct sto_logit_bias bias = {.token = n - 1, .bias = 3};
        p.n_biases = 0;
        struct sto_sampler *s = make(&p, n);
        p.biases = &bias;
        p.n_biases = 1;
        struct sto_sampler *biased = make(&p, n);
        for (uint32_t round = 0; round < 40; round++) {
            const uint32_t first = rng() % n, again = first + rng() % (n - first), nan_at = rng() % n;
            fill_random(logits, n); /* below 5 */
            logits[nan_at] = NAN;
            logits[rng() % n] = -INFINITY;
            logits[again] = round % 2 != 0 ? INFINITY : 7.0f; /* an infinity counts as the largest number */
            logits[first] = round % 2 != 0 ? FLT_MAX : 7.0f;
            assert_int_equal(draw(s, logits), first);
            logits[n - 1] = 4.5f;
            assert_int_equal(draw(biased, logits), round % 2 != 0 && first != n - 1 ? first : n - 1);
        }
        sto_sampler_destroy(s);
        sto_sampler_destroy(biased);
    }
}

/* Each token of the window once, however often it is there, and the same at the next call. */
static void a_short_window_is_penalised_once(void **state)
{
    (void)state;
    enum { N = 800, WINDOW = 20 };
    static float logits[N], changed[N], want[N], got[N];
    struct sto_sampler_params p = plain();
    struct sto_sampler *bare = make(&p, N);
    p.repeat_penalty = 1.5f;
    p.frequency_penalty = 0.25f;
    p.presence_penalty = 0.5f;
    p.penalty_last_n = WINDOW;
    struct sto_sampler *s = make(&p, N);
    uint32_t tokens[60];
    for (size_t i = 0; i < 60; i++) {
        uint32_t count[N] = {0};
        tokens[i] = i % 3 == 0 ? 7 : rng() % N;
        assert_int_equal(sto_sampler_accept(s, tokens[i], NULL), STO_OK);
        for (size_t j = i + 1 > WINDOW ? i + 1 - WINDOW : 0; j <= i; j++)
            count[tokens[j]]++;
        fill_random(logits, N);
        for (size_t t = 0; t < N; t++) {
            const float l = logits[t] > 0 ? logits[t] * (1.0f / 1.5f) : logits[t] * 1.5f;
            changed[t] = count[t] == 0 ? logits[t] : (l - (float)count[t] * 0.25f) - 0.5f;
        }
        assert_int_equal(sto_sampler_probs(bare, changed, want, NULL), STO_OK);
        assert_int_equal(sto_sampler_probs(s, logits, got, NULL), STO_OK);
        assert_memory_equal(got, want, sizeof want);
    }
    sto_sampler_destroy(bare);
    sto_sampler_destroy(s);
}

static void bad_logits_are_survived(void **state)
{
    (void)state;
    const float some[5] = {NAN, 1.0f, -INFINITY, 1.0f, NAN};
    const float huge[5] = {INFINITY, -FLT_MAX, FLT_MAX, -INFINITY, NAN};
    const float none[5] = {NAN, -INFINITY, NAN, -INFINITY, -NAN};
    float probs[5];
    for (int t = 0; t < 3; t++) {
        struct sto_sampler_params p = with_many_filters();
        p.temperature = t == 2 ? FLT_MIN / 4 : (float)t; /* greedy, 1, and one whose inverse overflows */
        p.xtc_probability = 0;
        struct sto_sampler *s = make(&p, 5);
        assert_int_equal(sto_sampler_probs(s, some, probs, NULL), STO_OK);
        assert_true(probs[0] == 0.0f && probs[2] == 0.0f && probs[4] == 0.0f);
        assert_true(probs[1] == (t == 0 ? 1.0f : 0.5f));
        for (int i = 0; i < 20; i++) {
            const uint32_t token = draw(s, some);
            assert_true(token == 1 || (token == 3 && t > 0));
            assert_true(draw(s, huge) == 0 || t > 0); /* infinity and the largest number are equals */
        }
        assert_int_equal(sto_sampler_probs(s, huge, probs, NULL), STO_OK);
        assert_true(probs[1] == 0.0f && probs[3] == 0.0f && probs[4] == 0.0f);
        struct sto_error err = {0};
        uint32_t token = 77;
        assert_int_equal(sto_sampler_sample(s, none, &token, &err), STO_ERR_FAILED);
        assert_int_equal(token, 77);
        assert_non_null(strstr(err.message, "5 logits"));
        sto_sampler_destroy(s);
    }
}

static void logits_are_not_changed(void **state)
{
    (void)state;
    float logits[30], copy[30];
    fill_random(logits, 30);
    memcpy(copy, logits, sizeof copy);
    struct sto_sampler_params p = with_many_filters();
    p.repeat_penalty = 2;
    struct sto_sampler *s = make(&p, 30);
    assert_int_equal(sto_sampler_accept(s, 3, NULL), STO_OK);
    (void)draw(s, logits);
    assert_memory_equal(logits, copy, sizeof copy);
    sto_sampler_destroy(s);
}

/* ---- bad parameters --------------------------------------------------------------------------------------- */

static void expect_refused(const struct sto_sampler_params *p, uint32_t n_vocab, const char *name, const char *value)
{
    struct sto_sampler *s = (struct sto_sampler *)&n_vocab;
    struct sto_error err = {0};
    assert_int_equal(sto_sampler_create(p, n_vocab, &s, &err), STO_ERR_USAGE);
    assert_null(s);
    if (strstr(err.message, name) != err.message || strstr(err.message, value) == NULL ||
        strstr(err.message, "range is: ") == NULL)
        fail_msg("'%s' names not %s, %s and a range", err.message, name, value);
}

static void errors_name_parameter_value_and_range(void **state)
{
    (void)state;
    struct sto_sampler_params p = plain();
    const struct {
        const char *name;
        float *field, bad[3], good[2]; /* NaN is added to the bad ones */
    } fields[] = {
        {"temperature", &p.temperature, {-0.5f, INFINITY, -INFINITY}, {0, 100}},
        {"top_p", &p.top_p, {0, 1.5f, -1}, {1e-6f, 1}},
        {"min_p", &p.min_p, {-0.25f, 1, INFINITY}, {0, 0.99f}},
        {"typical_p", &p.typical_p, {0, 1.5f, -1}, {1e-6f, 1}},
        {"repeat_penalty", &p.repeat_penalty, {0, -1, INFINITY}, {0.5f, 2}},
        {"frequency_penalty", &p.frequency_penalty, {INFINITY, -INFINITY, NAN}, {-2, 2}},
        {"presence_penalty", &p.presence_penalty, {INFINITY, -INFINITY, NAN}, {-2, 2}},
        {"dry_multiplier", &p.dry_multiplier, {-1, INFINITY, -0.5f}, {0, 3}},
        {"dry_base", &p.dry_base, {0.75f, INFINITY, -1}, {1, 4}},
        {"xtc_probability", &p.xtc_probability, {-0.5f, 1.5f, 2}, {0, 1}},
        {"xtc_threshold", &p.xtc_threshold, {0, 0.75f, -1}, {0.01f, 0.5f}},
        {"mirostat_tau", &p.mirostat_tau, {-1, INFINITY, -0.5f}, {0, 9}},
        {"mirostat_eta", &p.mirostat_eta, {-1, INFINITY, -0.5f}, {0, 1}},
    };
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
        const float keep = *fields[f].field;
        for (int i = 0; i < 4; i++) {
            char value[32];
            *fields[f].field = i < 3 ? fields[f].bad[i] : NAN;
            (void)snprintf(value, sizeof value, "%g", (double)*fields[f].field);
            expect_refused(&p, 8, fields[f].name, value);
        }
        for (int i = 0; i < 2; i++) {
            *fields[f].field = fields[f].good[i];
            sto_sampler_destroy(make(&p, 8));
        }
        *fields[f].field = keep;
    }
    p.mirostat = 1;
    expect_refused(&p, 8, "mirostat", "1");
    p.mirostat = 0;
    p.biases = (const struct sto_logit_bias[]){{7, 1}, {8, 1}};
    p.n_biases = 2;
    expect_refused(&p, 8, "biases[1].token", "8");
    p.biases = (const struct sto_logit_bias[]){{7, INFINITY}, {6, 1}};
    expect_refused(&p, 8, "biases[0].bias", "inf");
    p.biases = (const struct sto_logit_bias[]){{7, -INFINITY}, {6, NAN}};
    expect_refused(&p, 8, "biases[1].bias", "nan");
    p.n_biases = 0;
    p.dry_breakers = (const uint32_t[]){9};
    p.n_dry_breakers = 1;
    expect_refused(&p, 8, "dry_breakers[0]", "9");
    p.n_dry_breakers = 0;
    expect_refused(&p, 0, "n_vocab", "0");
    expect_refused(&p, (1u << 22) + 1, "n_vocab", "4194305");

    struct sto_sampler *s = make(&p, 8);
    struct sto_error err = {0};
    assert_int_equal(sto_sampler_accept(s, 8, &err), STO_ERR_USAGE);
    assert_string_equal(err.message, "token is 8, but its range is: 0 to 7");
    sto_sampler_destroy(s);
}

/* ---- memory ----------------------------------------------------------------------------------------------- */

static void steps_do_not_allocate(void **state)
{
    (void)state;
    float logits[60];
    fill_random(logits, 60);
    struct sto_sampler_params p = with_many_filters();
    p.repeat_penalty = 1.1f;
    p.dry_multiplier = 1;
    p.dry_last_n = 200;
    for (uint32_t mirostat = 0; mirostat <= 2; mirostat += 2) {
        p.mirostat = mirostat;
        struct sto_sampler *s = make(&p, 60);
        const uint64_t before = sto_alloc_count();
        for (int i = 0; i < 1000; i++)
            assert_int_equal(sto_sampler_accept(s, draw(s, logits), NULL), STO_OK);
        assert_int_equal(sto_alloc_count(), before);
        sto_sampler_destroy(s);
    }
}

/* Each allocation of create fails in turn; then the one with which an unbounded history grows. */
static void failed_allocations_are_reported(void **state)
{
    (void)state;
    struct sto_sampler_params p = plain();
    p.repeat_penalty = 1.1f;
    p.dry_multiplier = 1;
    p.dry_breakers = (const uint32_t[]){1};
    p.n_dry_breakers = 1;
    p.biases = (const struct sto_logit_bias[]){{7, 1}};
    p.n_biases = 1;
    struct sto_sampler *s = NULL;
    uint64_t n = 1;
    for (;; n++) {
        struct sto_error err = {0};
        sto_alloc_fail_after(n);
        const enum sto_status status = sto_sampler_create(&p, 8, &s, &err);
        sto_alloc_fail_after(0);
        if (status == STO_OK)
            break;
        assert_int_equal(status, STO_ERR_FAILED);
        assert_non_null(strstr(err.message, "no memory"));
        assert_null(s);
    }
    assert_true(n > 8);
    const float logits[8] = {0};
    float before[8], after[8];
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; status == STO_OK; i++) {
        assert_true(i < 100000);
        assert_int_equal(sto_sampler_probs(s, logits, before, NULL), STO_OK);
        sto_alloc_fail_after(1);
        status = sto_sampler_accept(s, i * i % 7, NULL);
        sto_alloc_fail_after(0);
    }
    assert_int_equal(status, STO_ERR_FAILED);
    assert_int_equal(sto_sampler_probs(s, logits, after, NULL), STO_OK);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(sto_sampler_accept(s, 1, NULL), STO_OK);
    sto_sampler_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probabilities_equal_the_vectors),
        cmocka_unit_test(draws_follow_the_distribution),
        cmocka_unit_test(xtc_falls_with_its_probability),
        cmocka_unit_test(a_seed_gives_its_draws_again),
        cmocka_unit_test(draw_i_depends_on_i_alone),
        cmocka_unit_test(order_of_ids_does_not_matter),
        cmocka_unit_test(filters_nest),
        cmocka_unit_test(greedy_finds_the_first_of_the_largest),
        cmocka_unit_test(a_short_window_is_penalised_once),
        cmocka_unit_test(bad_logits_are_survived),
        cmocka_unit_test(logits_are_not_changed),
        cmocka_unit_test(errors_name_parameter_value_and_range),
        cmocka_unit_test(steps_do_not_allocate),
        cmocka_unit_test(failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

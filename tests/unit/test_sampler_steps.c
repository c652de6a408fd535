/* Steps of the sampler against references written the slow and obvious way: filters against sorting a vocabulary of
 * real size, DRY against walking back from every place, penalties against recounting, mirostat against its paper. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/sampler.h"
#include "host/sampler_filters.h"
#include "host/sampler_history.h"

static uint32_t rng_state = 7;
static uint32_t rng(void)
{
    rng_state = rng_state * 1664525u + 1013904223u;
    return rng_state >> 8;
}

/* ---- filters at 151,936 tokens ---------------------------------------------------------------------------- */

enum { BIG = 151936 };

static struct {
    float logit[BIG];
    double p[BIG];         /* of softmax(logit) */
    uint32_t order[BIG];   /* ids, most probable first */
    uint32_t typical[BIG]; /* ids, surprise nearest to the entropy first */
    double distance[BIG];
} big;

static int by_logit(const void *a, const void *b)
{
    const uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (big.logit[i] != big.logit[j])
        return big.logit[i] > big.logit[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

static int by_distance(const void *a, const void *b)
{
    const uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (big.distance[i] != big.distance[j])
        return big.distance[i] < big.distance[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

/* Logits like a model's: a broad bell and some that stand out; one in eight is rounded, so that equals occur. */
static int setup_big(void **state)
{
    (void)state;
    double max = -INFINITY, sum = 0, entropy = 0;
    for (uint32_t i = 0; i < BIG; i++) {
        float l = 0;
        for (int k = 0; k < 6; k++)
            l += (float)(rng() % 4096) / 1024.0f - 2.0f;
        if (i % 1000 == 0)
            l += 6.0f;
        big.logit[i] = i % 8 == 0 ? roundf(l * 4) / 4 : l;
        max = fmax(max, (double)big.logit[i]);
    }
    for (uint32_t i = 0; i < BIG; i++)
        sum += big.p[i] = exp((double)big.logit[i] - max);
    for (uint32_t i = 0; i < BIG; i++) {
        big.p[i] /= sum;
        entropy -= big.p[i] * log(big.p[i]);
        big.order[i] = big.typical[i] = i;
    }
    for (uint32_t i = 0; i < BIG; i++)
        big.distance[i] = fabs(-log(big.p[i]) - entropy);
    qsort(big.order, BIG, sizeof *big.order, by_logit);
    qsort(big.typical, BIG, sizeof *big.typical, by_distance);
    return 0;
}

static void fill_big(struct sto_candidates *c)
{
    c->n = BIG;
    for (uint32_t i = 0; i < BIG; i++) {
        c->id[i] = i;
        c->logit[i] = big.logit[i];
    }
}

/* The candidates are order[0..n) where sums of p, added in double, may put the end up to `slack` of p sooner or later:
 * everything surely inside is there, everything surely outside is not. */
static void expect_prefix(const struct sto_candidates *c, const uint32_t *order, double target, double slack)
{
    static bool kept[BIG];
    memset(kept, 0, sizeof kept);
    for (size_t i = 0; i < c->n; i++) {
        assert_true(i == 0 || c->id[i - 1] < c->id[i]);
        assert_true(c->logit[i] == big.logit[c->id[i]]);
        kept[c->id[i]] = true;
    }
    double before = 0;
    for (uint32_t i = 0; i < BIG; i++) {
        if (before < target - slack)
            assert_true(kept[order[i]]);
        if (before >= target + slack)
            assert_false(kept[order[i]]);
        before += big.p[order[i]];
    }
}

static void top_k_equals_sorting(void **state)
{
    (void)state;
    static const uint32_t ks[] = {1, 2, 40, 1000, 77777, BIG - 1, BIG, UINT32_MAX};
    struct sto_candidates c;
    assert_true(sto_candidates_create(&c, BIG));
    for (size_t t = 0; t < sizeof ks / sizeof *ks; t++) {
        fill_big(&c);
        sto_filter_top_k(&c, ks[t]);
        const size_t n = ks[t] < BIG ? ks[t] : BIG;
        assert_int_equal(c.n, n);
        static bool kept[BIG];
        memset(kept, 0, sizeof kept);
        for (size_t i = 0; i < n; i++)
            kept[c.id[i]] = true;
        for (size_t i = 0; i < n; i++)
            assert_true(kept[big.order[i]]);
    }
    sto_candidates_destroy(&c);
}

/* Slack: exp is right to 1.5 units of 2^-24 per token, so a share of the sum is right to about 2e-7. For typical the
 * order itself rests on f32 distances near 10, which are right to 1e-6: tokens within that of the last may trade
 * places, and at this vocabulary's density they hold 2e-5 of the sum. */
static void top_p_and_typical_equal_sorting(void **state)
{
    (void)state;
    static const float ps[] = {0.001f, 0.1f, 0.5f, 0.9f, 0.999f};
    struct sto_candidates c;
    assert_true(sto_candidates_create(&c, BIG));
    for (size_t t = 0; t < sizeof ps / sizeof *ps; t++) {
        fill_big(&c);
        sto_filter_top_p(&c, ps[t]);
        expect_prefix(&c, big.order, (double)ps[t], 3e-7);
        fill_big(&c);
        sto_filter_typical(&c, ps[t]);
        expect_prefix(&c, big.typical, (double)ps[t], 2e-5);
    }
    sto_candidates_destroy(&c);
}

static void min_p_equals_comparing(void **state)
{
    (void)state;
    struct sto_candidates c;
    assert_true(sto_candidates_create(&c, BIG));
    for (float min_p = 1e-6f; min_p < 1.0f; min_p *= 7) {
        fill_big(&c);
        sto_filter_min_p(&c, min_p);
        size_t at = 0;
        for (uint32_t i = 0; i < BIG; i++) {
            const double ratio = big.p[i] / big.p[big.order[0]] / (double)min_p;
            const bool kept = at < c.n && c.id[at] == i;
            at += kept;
            if (fabs(ratio - 1) > 1e-6)
                assert_int_equal(kept, ratio > 1);
        }
        assert_int_equal(at, c.n);
    }
    sto_candidates_destroy(&c);
}

/* Every point of [0, total) belongs to the token whose weights cover it; the draw at both ends of a token's range. */
static void draw_covers_exactly_the_weights(void **state)
{
    (void)state;
    uint64_t weight[4] = {UINT64_C(1) << 40, 0, 3, UINT64_C(1) << 39};
    struct sto_candidates c = {.weight = weight, .n = 4};
    c.total = weight[0] + weight[1] + weight[2] + weight[3];
    /* The least random number r with floor(r * total / 2^64) >= x, found by halving. */
    const uint64_t edges[2] = {weight[0], weight[0] + weight[2]};
    const size_t tokens[3] = {0, 2, 3};
    for (int e = 0; e < 2; e++) {
        long double r = ceill((long double)edges[e] * 0x1p64L / (long double)c.total);
        assert_int_equal(sto_candidates_draw(&c, (uint64_t)r + 4), tokens[e + 1]);
        assert_int_equal(sto_candidates_draw(&c, (uint64_t)r - 4), tokens[e]);
    }
    assert_int_equal(sto_candidates_draw(&c, 0), 0);
    assert_int_equal(sto_candidates_draw(&c, UINT64_MAX), 3);
}

/* ---- history ---------------------------------------------------------------------------------------------- */

enum { SAID = 9000, WORDS = 6 };

/* What each token loses by DRY, by walking back from every place in the window. */
static void dry_slowly(const uint32_t *said, size_t n, const struct sto_sampler_params *p, double loss[WORDS])
{
    uint32_t best[WORDS] = {0};
    bool breaker[WORDS] = {false};
    for (size_t i = 0; i < p->n_dry_breakers; i++)
        breaker[p->dry_breakers[i]] = true;
    const size_t begin = n > p->dry_last_n ? n - p->dry_last_n : 0;
    for (size_t end = begin; end + 1 < n; end++) {
        uint32_t len = 0;
        while (len + begin <= end && said[end - len] == said[n - 1 - len] && !breaker[said[end - len]])
            len++;
        if (!breaker[said[end + 1]] && len > best[said[end + 1]])
            best[said[end + 1]] = len;
    }
    for (int t = 0; t < WORDS; t++)
        loss[t] = best[t] > 0 && best[t] >= p->dry_allowed_length
                      ? (double)p->dry_multiplier * pow((double)p->dry_base, best[t] - p->dry_allowed_length)
                      : 0;
}

/* One random text per window; compared every few hundred tokens, so also while the ring grows and after it is full.
 * A random text repeats itself for about 15 tokens, and now and then a longer piece is copied. */
static void dry_equals_walking_back(void **state)
{
    (void)state;
    static const uint32_t windows[] = {1, 2, 50, 4096, 5000, UINT32_MAX};
    static const uint32_t breakers[] = {4, 0};
    static uint32_t said[SAID];
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        struct sto_sampler_params p;
        sto_sampler_defaults(&p);
        p.dry_multiplier = 0.8f;
        p.dry_base = 1.05f;
        p.dry_allowed_length = (uint32_t)w % 4;
        p.dry_last_n = windows[w];
        p.dry_breakers = breakers;
        p.n_dry_breakers = w % 3;
        struct sto_history h;
        assert_true(sto_history_create(&h, &p, WORDS));
        bool any = false;
        for (size_t n = 0; n < SAID; n++) {
            const bool copy = n > 200 && n % 500 > 400;
            said[n] = copy ? said[n - 190] : rng() % 16 == 0 ? 4 : rng() % 4;
            assert_true(sto_history_accept(&h, said[n]));
            if (n % 97 != 0 && n > 60)
                continue;
            float got[WORDS] = {0};
            double loss[WORDS];
            sto_history_dry(&h, got);
            dry_slowly(said, n + 1, &p, loss);
            for (int t = 0; t < WORDS; t++) {
                assert_true(fabs((double)got[t] + loss[t]) <= 1e-5 * loss[t]);
                any = any || loss[t] > 0;
            }
        }
        assert_int_equal(any, windows[w] > 1);
        sto_history_destroy(&h);
    }
}

/* A penalty that would overflow ends at the largest float instead of forbidding the token. */
static void dry_penalty_stays_finite(void **state)
{
    (void)state;
    struct sto_sampler_params p;
    sto_sampler_defaults(&p);
    p.dry_multiplier = 100;
    p.dry_base = 10;
    struct sto_history h;
    assert_true(sto_history_create(&h, &p, WORDS));
    for (int i = 0; i < 500; i++)
        assert_true(sto_history_accept(&h, 1));
    float logits[WORDS] = {0};
    sto_history_dry(&h, logits);
    assert_true(logits[1] < -1e38f && isfinite(logits[1]));
    assert_true(logits[0] == 0.0f);
    sto_history_destroy(&h);
}

static void penalties_equal_counting_again(void **state)
{
    (void)state;
    static const uint32_t windows[] = {1, 64, 4096, 6000, UINT32_MAX};
    static uint32_t said[SAID];
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        struct sto_sampler_params p;
        sto_sampler_defaults(&p);
        p.frequency_penalty = 0.125f; /* exact in f32, like its multiples */
        p.penalty_last_n = windows[w];
        struct sto_history h;
        assert_true(sto_history_create(&h, &p, WORDS));
        for (int round = 0; round < 2; round++) {
            for (size_t n = 0; n < SAID; n++) {
                said[n] = rng() % (1 + rng() % WORDS);
                assert_true(sto_history_accept(&h, said[n]));
                if (n % 301 != 0)
                    continue;
                float got[WORDS] = {0};
                int count[WORDS] = {0};
                sto_history_penalise(&h, got);
                for (size_t i = n + 1 > windows[w] ? n + 1 - windows[w] : 0; i <= n; i++)
                    count[said[i]]++;
                for (int t = 0; t < WORDS; t++)
                    assert_true(got[t] == -0.125f * (float)count[t]);
            }
            sto_history_reset(&h);
        }
        sto_history_destroy(&h);
    }
}

/* ---- mirostat --------------------------------------------------------------------------------------------- */

enum { N_MIRO = 200 };

/* Surprise of each token in bits at a temperature, in double. */
static void surprises(const float *logits, double temperature, double bits[N_MIRO])
{
    double sum = 0;
    for (int i = 0; i < N_MIRO; i++)
        sum += exp((double)logits[i] / temperature);
    for (int i = 0; i < N_MIRO; i++)
        bits[i] = log2(sum) - (double)logits[i] / temperature * log2(exp(1));
}

/* Follows the paper's loop: truncate at mu, draw, and correct mu by the surprise of what was drawn. Each step asks
 * which tokens may be drawn (except where one lies within 1e-3 of mu: f32 and double may differ there), and what the
 * mean surprise comes to. */
static void mirostat_follows_its_paper(void **state)
{
    (void)state;
    static const float temperatures[] = {1.0f, 0.7f};
    for (int t = 0; t < 2; t++) {
        struct sto_sampler_params p;
        sto_sampler_defaults(&p);
        p.mirostat = 2;
        p.mirostat_tau = 3;
        p.temperature = temperatures[t];
        p.seed = 5;
        struct sto_sampler *s;
        assert_int_equal(sto_sampler_create(&p, N_MIRO, &s, NULL), STO_OK);
        double mu = 6, sum = 0;
        int cut = 0;
        for (int step = 0; step < 2000; step++) {
            float logits[N_MIRO], probs[N_MIRO];
            double bits[N_MIRO], mass = 0;
            int best = 0;
            for (int i = 0; i < N_MIRO; i++)
                logits[i] = (float)(rng() % 40000) / 1000.0f;
            surprises(logits, (double)p.temperature, bits);
            for (int i = 0; i < N_MIRO; i++)
                best = logits[i] > logits[best] ? i : best;
            for (int i = 0; i < N_MIRO; i++)
                mass += bits[i] <= mu || i == best ? exp2(-bits[i]) : 0;
            assert_int_equal(sto_sampler_probs(s, logits, probs, NULL), STO_OK);
            bool near = false;
            for (int i = 0; i < N_MIRO; i++)
                near = near || fabs(bits[i] - mu) < 1e-3;
            for (int i = 0; i < N_MIRO && !near; i++) {
                const bool kept = bits[i] <= mu || i == best;
                assert_true(fabs((double)probs[i] - (kept ? exp2(-bits[i]) / mass : 0)) < 1e-5);
                cut += !kept;
            }
            uint32_t token;
            assert_int_equal(sto_sampler_sample(s, logits, &token, NULL), STO_OK);
            mu -= 0.1 * (bits[token] - 3);
            sum += bits[token];
        }
        assert_true(cut > 2000);
        /* mu moves by 0.1 of what is missing, so the sum of errors is (2 tau - mu) / 0.1: a few tens in 2,000 steps. */
        assert_true(fabs(sum / 2000 - 3) < 0.05);
        sto_sampler_reset(s);
        float flat[N_MIRO] = {0}, probs[N_MIRO]; /* 7.6 bits each, above the bound of 6: one token is left */
        assert_int_equal(sto_sampler_probs(s, flat, probs, NULL), STO_OK);
        assert_true(probs[0] == 1.0f);
        sto_sampler_destroy(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_k_equals_sorting),           cmocka_unit_test(top_p_and_typical_equal_sorting),
        cmocka_unit_test(min_p_equals_comparing),         cmocka_unit_test(draw_covers_exactly_the_weights),
        cmocka_unit_test(dry_equals_walking_back),        cmocka_unit_test(dry_penalty_stays_finite),
        cmocka_unit_test(penalties_equal_counting_again), cmocka_unit_test(mirostat_follows_its_paper),
    };
    return cmocka_run_group_tests(tests, setup_big, NULL);
}

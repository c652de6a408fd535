/* The same answer however work is cut: batches of any size, sessions alone or interleaved, truncated or fresh.
 *
 * With exact arithmetic and `deterministic` bit for bit, in every KV format; otherwise within the bound of the
 * precision path (../shared/reference/README.md). The demo model is always there; small models of the reference data
 * add other shapes (heads of 8, quantised mixtures) where they lie. Long prompts only with the driver's own
 * subgroups. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "tests/engine/support.h"
#include "tests/reference/ref_compare.h"
#include "tests/support/expected.h"

enum { SHORT_PROMPT = 40, LONG_PROMPT = 300 };

static struct sto_test_device device;

/* An engine on a model, and what tests ask of it. */
struct rig {
    struct sto_model *model;
    struct sto_engine *engine;
    uint32_t n_vocab;
};

static bool model_path(char *path, size_t size, const char *folder, const char *name)
{
    if (strcmp(folder, "demo") != 0)
        return sto_reference_path(path, size, folder, name, ".gguf");
    (void)snprintf(path, size, "%s/models/demo/%s.gguf", STRATO_SOURCE_DIR, name);
    return true;
}

static void rig_open(struct rig *r, const char *path, const struct sto_engine_params *params)
{
    struct sto_error err = {0};
    *r = (struct rig){0};
    if (sto_model_open(path, NULL, NULL, &r->model, &err) != STO_OK ||
        sto_engine_create(device.device, r->model, params, NULL, &r->engine, &err) != STO_OK)
        fail_msg("%s", err.message);
    r->n_vocab = sto_model_n_vocab(r->model);
}

static void rig_close(struct rig *r)
{
    sto_engine_destroy(r->engine);
    sto_model_close(r->model);
}

static struct sto_session *new_session(struct rig *r)
{
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    if (sto_session_create(r->engine, &session, &err) != STO_OK)
        fail_msg("%s", err.message);
    return session;
}

static void eval(struct sto_session *session, const uint32_t *tokens, size_t n, float *logits)
{
    struct sto_error err = {0};
    if (sto_session_eval(session, tokens, n, logits != NULL ? STO_LOGITS_ALL : STO_LOGITS_NONE, logits, &err) != STO_OK)
        fail_msg("%s", err.message);
}

/* Ids that differ from place to place, the same in every run. */
static void make_tokens(uint32_t *tokens, size_t n, uint32_t n_vocab)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        tokens[i] = (state >> 8) % n_vocab;
    }
}

static bool own_subgroups(void)
{
    const char *bits = getenv("LP_NATIVE_VECTOR_WIDTH");
    return bits == NULL || strcmp(bits, "256") == 0;
}

/* All logits [n, n_vocab] of a prompt that goes through in groups of `batch` (free with free). */
static float *logits_in_batches(const char *path, struct sto_engine_params params, uint32_t batch,
                                const uint32_t *tokens, size_t n)
{
    struct rig r;
    params.ubatch_tokens = batch;
    rig_open(&r, path, &params);
    struct sto_session *session = new_session(&r);
    float *logits = malloc(n * r.n_vocab * sizeof *logits);
    assert_non_null(logits);
    eval(session, tokens, n, logits);
    sto_session_destroy(session);
    rig_close(&r);
    return logits;
}

/* ---- batches ---- */

struct batch_case {
    const char *folder, *model;
    enum sto_math math;
    bool deterministic;
    enum sto_type kv;
    double bound;   /* 0: bit for bit                             */
    bool is_long;   /* LONG_PROMPT; with the driver's own subgroups only */
    char name[96];
};

static struct batch_case batch_cases[] = {
    {"demo", "demo", STO_MATH_EXACT, true, STO_TYPE_F32, 0, false, ""},
    {"demo", "demo", STO_MATH_EXACT, true, STO_TYPE_F16, 0, true, ""},
    {"demo", "demo", STO_MATH_EXACT, true, STO_TYPE_Q8_0, 0, false, ""},
    {"demo", "demo", STO_MATH_EXACT, true, STO_TYPE_Q4_0, 0, false, ""},
    {"demo", "draft", STO_MATH_EXACT, true, STO_TYPE_F16, 0, false, ""},
    {"demo", "demo", STO_MATH_EXACT, false, STO_TYPE_F16, 1e-3, false, ""},
    {"demo", "demo", STO_MATH_F16, false, STO_TYPE_F16, 6e-3, false, ""},
    {"demo", "demo", STO_MATH_INT8, false, STO_TYPE_F16, 3e-2, false, ""},
    {"demo", "demo", STO_MATH_AUTO, false, STO_TYPE_F16, 3e-2, true, ""},
    {"models", "stories260K-f32", STO_MATH_EXACT, true, STO_TYPE_F16, 0, false, ""},
    {"models", "stories3M-q4km", STO_MATH_EXACT, true, STO_TYPE_F32, 0, false, ""},
    {"formats", "qwen3-q4_k_m", STO_MATH_EXACT, true, STO_TYPE_F16, 0, false, ""},
    {"formats", "llama-pure-q6_k", STO_MATH_EXACT, true, STO_TYPE_F16, 0, false, ""},
    {"formats", "llama-mxfp4", STO_MATH_EXACT, true, STO_TYPE_F16, 0, false, ""},
    {"formats", "qwen3-q4_k_m", STO_MATH_INT8, false, STO_TYPE_F16, 3e-2, false, ""},
};

static void compare(const struct batch_case *c, uint32_t batch, const float *whole, const float *got, size_t n)
{
    if (c->bound == 0.0) {
        for (size_t i = 0; i < n; i++) {
            if (memcmp(&whole[i], &got[i], sizeof *got) != 0)
                fail_msg("batch %u: logit %zu of %zu is %.9g, in one batch it was %.9g", batch, i, n, (double)got[i],
                         (double)whole[i]);
        }
        return;
    }
    const double rel = sto_ref_rel_error_f32(whole, got, n);
    if (!(rel <= c->bound))
        fail_msg("batch %u: relative error %.3e, bound %.1e", batch, rel, c->bound);
}

static void any_batch_size_gives_the_same(void **state)
{
    static const uint32_t batches[] = {1, 7, 32};
    const struct batch_case *c = *state;
    const struct sto_engine_params params = {.kv_type = c->kv, .kv_type_set = true, .math = c->math,
                                             .deterministic = c->deterministic};
    const bool is_long = c->is_long && own_subgroups();
    const size_t n = is_long ? LONG_PROMPT : SHORT_PROMPT;
    uint32_t tokens[LONG_PROMPT], n_vocab;
    char path[1024];
    struct rig r;
    if (!model_path(path, sizeof path, c->folder, c->model))
        skip();
    rig_open(&r, path, &params);
    n_vocab = r.n_vocab;
    rig_close(&r);
    make_tokens(tokens, n, n_vocab);
    float *whole = logits_in_batches(path, params, 512, tokens, n);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        float *got = logits_in_batches(path, params, batches[i], tokens, n);
        compare(c, batches[i], whole, got, n * n_vocab);
        free(got);
    }
    free(whole);
}

/* ---- sessions ---- */

static const struct sto_engine_params exact = {.math = STO_MATH_EXACT, .deterministic = true};

static void demo_rig(struct rig *r)
{
    char path[1024];
    (void)model_path(path, sizeof path, "demo", "demo");
    rig_open(r, path, &exact);
}

static void interleaved_sessions_do_not_see_each_other(void **state)
{
    enum { PROMPT = 21, STEPS = 6 };
    uint32_t a[PROMPT + STEPS], b[PROMPT + STEPS];
    struct rig r;
    (void)state;
    demo_rig(&r);
    make_tokens(a, PROMPT + STEPS, r.n_vocab);
    for (size_t i = 0; i < PROMPT + STEPS; i++)
        b[i] = (a[i] * 7 + 3) % r.n_vocab;
    const size_t row = r.n_vocab;
    float *alone = malloc((PROMPT + STEPS) * row * sizeof *alone);
    float *together = malloc((PROMPT + STEPS) * row * sizeof *together);
    float *other = malloc(PROMPT * row * sizeof *other);
    assert_true(alone != NULL && together != NULL && other != NULL);

    struct sto_session *session = new_session(&r);
    eval(session, a, PROMPT + STEPS, alone);
    sto_session_destroy(session);

    struct sto_session *first = new_session(&r), *second = new_session(&r);
    eval(second, b, 5, other);
    eval(first, a, PROMPT, together);
    eval(second, b + 5, PROMPT - 5, other);
    for (size_t i = PROMPT; i < PROMPT + STEPS; i++) {
        eval(first, a + i, 1, together + i * row);
        eval(second, b + i, 1, other);
    }
    assert_memory_equal(alone, together, (PROMPT + STEPS) * row * sizeof *alone);
    sto_session_destroy(first);
    sto_session_destroy(second);
    free(alone);
    free(together);
    free(other);
    rig_close(&r);
}

static void a_truncated_session_continues_as_a_fresh_one(void **state)
{
    enum { KEPT = 17, DROPPED = 30, AFTER = 9 };
    uint32_t tokens[KEPT + DROPPED], after[AFTER];
    struct rig r;
    (void)state;
    demo_rig(&r);
    make_tokens(tokens, KEPT + DROPPED, r.n_vocab);
    for (size_t i = 0; i < AFTER; i++)
        after[i] = (tokens[i] * 5 + 11) % r.n_vocab;
    float *fresh = malloc(AFTER * r.n_vocab * sizeof *fresh), *got = malloc(AFTER * r.n_vocab * sizeof *got);
    assert_true(fresh != NULL && got != NULL);

    struct sto_session *session = new_session(&r);
    eval(session, tokens, KEPT, NULL);
    eval(session, after, AFTER, fresh);
    sto_session_destroy(session);

    session = new_session(&r);
    eval(session, tokens, KEPT + DROPPED, NULL);
    sto_session_truncate(session, KEPT + DROPPED + 1); /* more than there is: nothing happens */
    assert_int_equal(sto_session_length(session), KEPT + DROPPED);
    sto_session_truncate(session, KEPT);
    assert_int_equal(sto_session_length(session), KEPT);
    eval(session, after, AFTER, got);
    assert_memory_equal(fresh, got, AFTER * r.n_vocab * sizeof *got);
    sto_session_destroy(session);
    free(fresh);
    free(got);
    rig_close(&r);
}

static void the_last_row_alone_is_the_last_of_all(void **state)
{
    enum { N = 23 };
    uint32_t tokens[N];
    struct sto_error err = {0};
    struct rig r;
    (void)state;
    demo_rig(&r);
    make_tokens(tokens, N, r.n_vocab);
    float *all = malloc(N * r.n_vocab * sizeof *all), *last = malloc(r.n_vocab * sizeof *last);
    assert_true(all != NULL && last != NULL);
    struct sto_session *session = new_session(&r);
    eval(session, tokens, N, all);
    sto_session_truncate(session, 0);
    assert_int_equal(sto_session_eval(session, tokens, N, STO_LOGITS_LAST, last, &err), STO_OK);
    assert_memory_equal(all + (N - 1) * (size_t)r.n_vocab, last, r.n_vocab * sizeof *last);
    sto_session_destroy(session);
    free(all);
    free(last);
    rig_close(&r);
}

static int open_device(void **state)
{
    (void)state;
    sto_test_device_open(&device, NULL);
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    sto_test_device_close(&device);
    return 0;
}

int main(void)
{
    static const char *const maths[] = {[STO_MATH_AUTO] = "auto", [STO_MATH_EXACT] = "exact", [STO_MATH_F16] = "f16",
                                         [STO_MATH_INT8] = "int8"};
    enum { N_CASES = sizeof batch_cases / sizeof batch_cases[0] };
    struct CMUnitTest tests[N_CASES + 3] = {
        cmocka_unit_test(interleaved_sessions_do_not_see_each_other),
        cmocka_unit_test(a_truncated_session_continues_as_a_fresh_one),
        cmocka_unit_test(the_last_row_alone_is_the_last_of_all),
    };
    for (size_t i = 0; i < N_CASES; i++) {
        struct batch_case *c = &batch_cases[i];
        (void)snprintf(c->name, sizeof c->name, "batches of %s %s%s, KV %s", c->model, maths[c->math],
                       c->deterministic ? " deterministic" : "", sto_type_name(c->kv));
        tests[3 + i] = (struct CMUnitTest){.name = c->name, .test_func = any_batch_size_gives_the_same,
                                           .initial_state = c};
    }
    return _cmocka_run_group_tests("invariance", tests, N_CASES + 3, open_device, close_device);
}

/* Several sequences in one pass: the logits of each are those that it has alone, whatever shares the pass with it,
 * resident, streamed and on the processor; with exact arithmetic and `deterministic` bit for bit, else within the bound
 * of the precision path (../shared/reference/README.md). And what cannot be evaluated stops nobody else. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "runtime/engine.h"
#include "runtime/sizes.h"
#include "tests/engine/support.h"
#include "tests/reference/ref_compare.h"

enum { N_SEQUENCES = 5, MAX_TOKENS = 140, UBATCH = 48, CONTEXT = 256 };

static struct sto_test_device device;
static struct sto_model *model;
static uint32_t n_vocab;
static const uint32_t lengths[N_SEQUENCES] = {140, 31, 1, 24, 12};
static uint32_t tokens[N_SEQUENCES][MAX_TOKENS];

static uint32_t draw(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

static struct sto_engine *new_engine(bool on_device, struct sto_engine_params params)
{
    struct sto_engine *engine = NULL;
    struct sto_error err = {0};
    params.ctx_tokens = params.ctx_tokens != 0 ? params.ctx_tokens : CONTEXT;
    if (sto_engine_create(on_device ? device.device : NULL, model, &params, NULL, &engine, &err) != STO_OK)
        fail_msg("%s", err.message);
    return engine;
}

static struct sto_session *new_session(struct sto_engine *engine)
{
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    if (sto_session_create(engine, &session, &err) != STO_OK)
        fail_msg("%s", err.message);
    return session;
}

static void eval(struct sto_engine *engine, struct sto_eval_item *items, size_t n)
{
    struct sto_error err = {0};
    if (sto_engine_eval(engine, items, n, &err) != STO_OK)
        fail_msg("%s", err.message);
}

/* ---- together as alone ---- */

struct together_case {
    const char *name;
    bool on_device;
    const char *lanes; /* of layers in turn: r(esident), s(tream), c(pu) */
    enum sto_math math;
    bool deterministic;
    enum sto_type kv;
    double bound; /* 0: bit for bit */
};

static struct together_case cases[] = {
    {"resident, exact, deterministic", true, "r", STO_MATH_EXACT, true, STO_TYPE_F16, 0},
    {"resident, exact, deterministic, q8_0", true, "r", STO_MATH_EXACT, true, STO_TYPE_Q8_0, 0},
    {"streamed, exact, deterministic", true, "rss", STO_MATH_EXACT, true, STO_TYPE_F16, 0},
    {"all lanes, exact, deterministic", true, "rcs", STO_MATH_EXACT, true, STO_TYPE_F16, 0},
    {"resident, exact", true, "r", STO_MATH_EXACT, false, STO_TYPE_F16, 1e-3},
    {"resident, auto", true, "r", STO_MATH_AUTO, false, STO_TYPE_F16, 3e-2},
    {"streamed, int8", true, "rss", STO_MATH_INT8, false, STO_TYPE_F16, 3e-2},
    {"on the processor, exact", false, "c", STO_MATH_EXACT, false, STO_TYPE_F16, 0},
    {"on the processor, auto", false, "c", STO_MATH_AUTO, false, STO_TYPE_F16, 0},
};

static float *alone(struct sto_engine *engine, uint32_t sequence)
{
    struct sto_session *session = new_session(engine);
    struct sto_error err = {0};
    float *logits = malloc((size_t)lengths[sequence] * n_vocab * sizeof *logits);
    assert_non_null(logits);
    if (sto_session_eval(session, tokens[sequence], lengths[sequence], STO_LOGITS_ALL, logits, &err) != STO_OK)
        fail_msg("%s", err.message);
    sto_session_destroy(session);
    return logits;
}

static void compare(const struct together_case *c, uint32_t sequence, uint32_t position, const float *want,
                    const float *got)
{
    if (c->bound == 0.0) {
        if (memcmp(want, got, n_vocab * sizeof *want) != 0)
            fail_msg("%s: sequence %u has other bits at %u than alone", c->name, sequence, position);
        return;
    }
    const double rel = sto_ref_rel_error_f32(want, got, n_vocab);
    if (!(rel <= c->bound))
        fail_msg("%s: sequence %u at %u, relative error %.3e, bound %.1e", c->name, sequence, position, rel, c->bound);
}

/* Sequences come and go at different times; a pass has single tokens, pieces of prompts, and now and then nothing of
 * one of them. Long stretches of single tokens, so that recordings are replayed, also into a new page. */
static enum sto_lane lane_of(char letter)
{
    return letter == 'r' ? STO_LANE_RESIDENT : letter == 's' ? STO_LANE_STREAM : STO_LANE_CPU;
}

static void together_as_alone(void **state)
{
    static const uint32_t sizes[] = {1, 1, 1, 1, 1, 1, 2, 9, 20, 33};
    const struct together_case *c = *state;
    enum sto_lane lanes[64];
    uint32_t at[N_SEQUENCES] = {0}, random = 7, n_left = N_SEQUENCES;
    struct sto_session *sessions[N_SEQUENCES];
    float *want[N_SEQUENCES];
    for (uint32_t l = 0; l < sto_model_n_layers(model); l++)
        lanes[l] = lane_of(c->lanes[l % strlen(c->lanes)]);
    struct sto_engine *engine = new_engine(c->on_device, (struct sto_engine_params){
        .ubatch_tokens = UBATCH, .math = c->math, .deterministic = c->deterministic, .kv_type = c->kv,
        .kv_type_set = true, .lanes = c->on_device ? lanes : NULL});
    for (uint32_t s = 0; s < N_SEQUENCES; s++) {
        want[s] = alone(engine, s);
        sessions[s] = new_session(engine);
    }
    for (uint32_t pass = 0; n_left > 0; pass++) {
        struct sto_eval_item items[N_SEQUENCES];
        uint32_t who[N_SEQUENCES], n = 0, room = UBATCH;
        for (uint32_t s = 0; s < N_SEQUENCES; s++) {
            const uint32_t wanted = pass % 16 < 6 ? 1 : sizes[draw(&random, 10)];
            uint32_t size = wanted < lengths[s] - at[s] ? wanted : lengths[s] - at[s];
            size = size < room ? size : room;
            if (size == 0 || draw(&random, 16) == 0)
                continue;
            items[n] = (struct sto_eval_item){.session = sessions[s], .tokens = tokens[s] + at[s], .n_tokens = size,
                                              .want_logits = size == 1 || draw(&random, 3) > 0};
            who[n++] = s;
            room -= size;
        }
        eval(engine, items, n);
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t s = who[i];
            at[s] += items[i].n_tokens;
            assert_int_equal(items[i].status, STO_OK);
            assert_int_equal(sto_session_length(sessions[s]), at[s]);
            assert_true((items[i].logits != NULL) == items[i].want_logits);
            if (items[i].logits != NULL)
                compare(c, s, at[s] - 1, want[s] + (size_t)(at[s] - 1) * n_vocab, items[i].logits);
            if (at[s] == lengths[s]) {
                sto_session_destroy(sessions[s]);
                sessions[s] = NULL;
                n_left--;
            }
        }
    }
    for (uint32_t s = 0; s < N_SEQUENCES; s++)
        free(want[s]);
    sto_engine_destroy(engine);
}

/* ---- what cannot be done ---- */

static void a_full_or_cancelled_sequence_stops_nobody(void **state)
{
    enum { SMALL = 32 };
    struct sto_engine *engine = new_engine(true, (struct sto_engine_params){.ctx_tokens = SMALL});
    struct sto_session *full = new_session(engine), *wrong = new_session(engine), *cancelled = new_session(engine),
                       *good = new_session(engine);
    const uint32_t beyond = n_vocab;
    (void)state;
    eval(engine, &(struct sto_eval_item){.session = full, .tokens = tokens[0], .n_tokens = SMALL}, 1);
    sto_session_cancel(cancelled);
    struct sto_eval_item items[] = {
        {.session = full, .tokens = tokens[0], .n_tokens = 1, .want_logits = true},
        {.session = wrong, .tokens = &beyond, .n_tokens = 1, .want_logits = true},
        {.session = cancelled, .tokens = tokens[0], .n_tokens = 3, .want_logits = true},
        {.session = good, .tokens = tokens[0], .n_tokens = 5, .want_logits = true},
    };
    eval(engine, items, 4);
    assert_int_equal(items[0].status, STO_ERR_USAGE);
    assert_int_equal(items[1].status, STO_ERR_USAGE);
    assert_int_equal(items[2].status, STO_ERR_CANCELLED);
    assert_int_equal(items[3].status, STO_OK);
    for (size_t i = 0; i < 3; i++)
        assert_null(items[i].logits);
    assert_non_null(items[3].logits);
    assert_int_equal(sto_session_length(full), SMALL);
    assert_int_equal(sto_session_length(wrong), 0);
    assert_int_equal(sto_session_length(cancelled), 0);
    assert_int_equal(sto_session_length(good), 5);
    eval(engine, items, 3); /* the cancelled one goes on; the others still cannot */
    assert_int_equal(items[0].status, STO_ERR_USAGE);
    assert_int_equal(items[2].status, STO_OK);
    assert_int_equal(sto_session_length(cancelled), 3);
    sto_session_destroy(full);
    sto_session_destroy(wrong);
    sto_session_destroy(cancelled);
    sto_session_destroy(good);
    sto_engine_destroy(engine);
}

static void refuse(struct sto_engine *engine, struct sto_eval_item *items, size_t n, const char *why)
{
    struct sto_error err = {0};
    assert_int_equal(sto_engine_eval(engine, items, n, &err), STO_ERR_USAGE);
    if (strstr(err.message, why) == NULL)
        fail_msg("'%s' does not say '%s'", err.message, why);
}

static void calls_that_make_no_sense_change_nothing(void **state)
{
    struct sto_engine *engine = new_engine(true, (struct sto_engine_params){.ubatch_tokens = UBATCH});
    struct sto_engine *other = new_engine(false, (struct sto_engine_params){.ubatch_tokens = UBATCH});
    struct sto_session *a = new_session(engine), *b = new_session(engine), *foreign = new_session(other);
    (void)state;
    struct sto_eval_item items[2] = {{.session = a, .tokens = tokens[0], .n_tokens = 2, .want_logits = true},
                                     {.session = a, .tokens = tokens[1], .n_tokens = 2, .want_logits = true}};
    refuse(engine, items, 2, "comes twice");
    items[1].session = foreign;
    refuse(engine, items, 2, "no session of this engine");
    items[1].session = b;
    items[1].n_tokens = 0;
    refuse(engine, items, 2, "no tokens");
    items[1].n_tokens = UBATCH - 1;
    refuse(engine, items, 2, "at once: 48");
    assert_int_equal(sto_session_length(a), 0);
    items[1].n_tokens = UBATCH - 2;
    eval(engine, items, 2);
    assert_int_equal(sto_session_length(a), 2);
    assert_int_equal(sto_session_length(b), UBATCH - 2);
    eval(engine, NULL, 0);
    sto_session_destroy(a);
    sto_session_destroy(b);
    sto_session_destroy(foreign);
    sto_engine_destroy(engine);
    sto_engine_destroy(other);
}

/* ---- how many ---- */

static void as_many_sessions_as_were_asked_for(void **state)
{
    enum { MANY = 20 };
    const bool *on_device = *state;
    struct sto_session *sessions[MANY], *one_more = NULL;
    struct sto_eval_item items[MANY];
    struct sto_error err = {0};
    struct sto_engine *engine = new_engine(*on_device, (struct sto_engine_params){.ubatch_tokens = UBATCH,
                                                                                  .n_sequences = MANY});
    for (uint32_t i = 0; i < MANY; i++) {
        sessions[i] = new_session(engine);
        items[i] = (struct sto_eval_item){.session = sessions[i], .tokens = tokens[0] + i, .n_tokens = 1,
                                          .want_logits = true};
    }
    assert_int_equal(sto_session_create(engine, &one_more, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "at most 20"));
    eval(engine, items, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        float *want = malloc(n_vocab * sizeof *want), *got = malloc(n_vocab * sizeof *got);
        assert_true(want != NULL && got != NULL);
        eval(engine, items, MANY);
        memcpy(got, items[i].logits, n_vocab * sizeof *got);
        sto_session_truncate(sessions[i], sto_session_length(sessions[i]) - 1);
        if (sto_session_eval(sessions[i], items[i].tokens, 1, STO_LOGITS_LAST, want, &err) != STO_OK)
            fail_msg("%s", err.message);
        assert_true(sto_ref_rel_error_f32(want, got, n_vocab) <= 3e-2);
        free(want);
        free(got);
    }
    for (uint32_t i = 0; i < MANY; i++)
        sto_session_destroy(sessions[i]);
    sto_engine_destroy(engine);
}

static void memory_is_planned_for_all_of_them(void **state)
{
    struct sto_engine_params params = {.ctx_tokens = CONTEXT, .ubatch_tokens = UBATCH};
    struct sto_engine *engine = NULL;
    struct sto_sizes one, many;
    struct sto_error err = {0};
    (void)state;
    assert_int_equal(sto_sizes_of(model, &params, &one, &err), STO_OK);
    params.n_sequences = 40;
    assert_int_equal(sto_sizes_of(model, &params, &many, &err), STO_OK);
    const uint64_t kv = one.kv_bytes_per_token * CONTEXT;
    const uint64_t grown = sto_fit_bytes(&many.fit, CONTEXT) - sto_fit_bytes(&one.fit, CONTEXT);
    assert_true(grown >= 39 * kv && grown < 39 * kv + kv);
    sto_sizes_free(&one);
    sto_sizes_free(&many);
    params.n_sequences = STO_MAX_SEQUENCES + 1;
    assert_int_equal(sto_engine_create(device.device, model, &params, NULL, &engine, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "257 sequences"));
}

static int open_all(void **state)
{
    char path[1024];
    struct sto_error err = {0};
    uint32_t random = 12345;
    (void)state;
    sto_test_device_open(&device, NULL);
    (void)snprintf(path, sizeof path, "%s/models/demo/demo.gguf", STRATO_SOURCE_DIR);
    if (sto_model_open(path, NULL, NULL, &model, &err) != STO_OK)
        fail_msg("%s", err.message);
    n_vocab = sto_model_n_vocab(model);
    for (uint32_t s = 0; s < N_SEQUENCES; s++) {
        for (uint32_t i = 0; i < MAX_TOKENS; i++)
            tokens[s][i] = draw(&random, n_vocab);
    }
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    sto_model_close(model);
    sto_test_device_close(&device);
    return 0;
}

int main(void)
{
    enum { N_CASES = sizeof cases / sizeof *cases };
    static bool yes = true, no = false;
    struct CMUnitTest tests[N_CASES + 5] = {
        cmocka_unit_test(a_full_or_cancelled_sequence_stops_nobody),
        cmocka_unit_test(calls_that_make_no_sense_change_nothing),
        cmocka_unit_test(memory_is_planned_for_all_of_them),
        cmocka_unit_test_prestate(as_many_sessions_as_were_asked_for, &yes),
        cmocka_unit_test_prestate(as_many_sessions_as_were_asked_for, &no),
    };
    for (size_t i = 0; i < N_CASES; i++)
        tests[5 + i] = (struct CMUnitTest){.name = cases[i].name, .test_func = together_as_alone,
                                           .initial_state = &cases[i]};
    return _cmocka_run_group_tests("together", tests, N_CASES + 5, open_all, close_all);
}

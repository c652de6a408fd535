/* Tokens drawn on the device, in chains of queued steps, against the sampler on the host: the same tokens for the same
 * seed; an end token, a callback, a cancel and a full context in the middle of a chain; and what the session holds
 * afterwards, against a session that was fed the same tokens. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "host/generate.h"
#include "runtime/base/mem.h"
#include "runtime/vk/device.h"
#include "tests/engine/support.h"
#include "tests/support/expected.h"

#define DEMO STRATO_SOURCE_DIR "/models/demo/demo.gguf"

enum { MOST = 300 };

static struct sto_test_device device;
static const uint32_t prompt[] = {1, 20, 300, 41, 5, 66, 7};
enum { N_PROMPT = sizeof prompt / sizeof prompt[0] };

struct rig {
    struct sto_model *model;
    struct sto_engine *engine;
    struct sto_engine_info info;
    uint32_t n_vocab;
    float *logits; /* [n_vocab] */
};

static void rig_open(struct rig *r, const char *path, const struct sto_engine_params *params)
{
    struct sto_error err = {0};
    *r = (struct rig){0};
    if (sto_model_open(path, NULL, NULL, &r->model, &err) != STO_OK ||
        sto_engine_create(device.device, r->model, params, NULL, &r->engine, &err) != STO_OK)
        fail_msg("%s", err.message);
    sto_engine_get_info(r->engine, &r->info);
    r->n_vocab = sto_model_n_vocab(r->model);
    r->logits = malloc(r->n_vocab * sizeof *r->logits);
    assert_non_null(r->logits);
}

static void rig_close(struct rig *r)
{
    free(r->logits);
    sto_engine_destroy(r->engine);
    sto_model_close(r->model);
}

/* A session that has read the prompt; r->logits are those after it. */
static struct sto_session *prompted(struct rig *r)
{
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    if (sto_session_create(r->engine, &session, &err) != STO_OK ||
        sto_session_eval(session, prompt, N_PROMPT, STO_LOGITS_LAST, r->logits, &err) != STO_OK)
        fail_msg("%s", err.message);
    return session;
}

static void eval_one(struct rig *r, struct sto_session *session, uint32_t token)
{
    struct sto_error err = {0};
    if (sto_session_eval(session, &token, 1, STO_LOGITS_LAST, r->logits, &err) != STO_OK)
        fail_msg("%s", err.message);
}

/* The next n tokens, token by token with the host's sampler; tokens[0] comes from the prompt's logits. */
static void tell_on_host(struct rig *r, const struct sto_sampler_params *how, uint32_t *tokens, uint32_t n)
{
    struct sto_sampler *sampler = NULL;
    struct sto_error err = {0};
    struct sto_session *session = prompted(r);
    assert_int_equal(sto_sampler_create(how, r->n_vocab, &sampler, &err), STO_OK);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            eval_one(r, session, tokens[i - 1]);
        assert_int_equal(sto_sampler_sample(sampler, r->logits, &tokens[i], &err), STO_OK);
    }
    sto_sampler_destroy(sampler);
    sto_session_destroy(session);
}

static struct sto_generation_params drawn_like(const struct sto_sampler_params *how)
{
    return (struct sto_generation_params){.temperature = how->temperature, .top_k = how->top_k, .top_p = how->top_p,
                                          .min_p = how->min_p, .seed = how->seed, .first_draw = 1};
}

/* The session must hold the prompt and `tokens`, as one that is fed them. */
static void check_holds(struct rig *r, struct sto_session *session, const uint32_t *tokens, uint32_t n)
{
    assert_int_equal(sto_session_length(session), N_PROMPT + n);
    if (sto_session_length(session) >= r->info.ctx_tokens)
        return;
    float *got = malloc(r->n_vocab * sizeof *got);
    assert_non_null(got);
    eval_one(r, session, 9);
    memcpy(got, r->logits, r->n_vocab * sizeof *got);
    struct sto_session *fresh = prompted(r);
    for (uint32_t i = 0; i < n; i++)
        eval_one(r, fresh, tokens[i]);
    eval_one(r, fresh, 9);
    assert_memory_equal(got, r->logits, r->n_vocab * sizeof *got);
    free(got);
    sto_session_destroy(fresh);
}

static struct sto_sampler_params sampling(float temperature, uint32_t top_k, float top_p, float min_p, uint64_t seed)
{
    struct sto_sampler_params p;
    sto_sampler_defaults(&p);
    p.temperature = temperature;
    p.top_k = top_k;
    p.top_p = top_p;
    p.min_p = min_p;
    p.seed = seed;
    return p;
}

/* ---- the same tokens ---- */

static void compare_on(const char *path, const struct sto_sampler_params *how, uint32_t n_how, uint32_t n)
{
    struct rig r;
    rig_open(&r, path, NULL);
    for (uint32_t i = 0; i < n_how; i++) {
        uint32_t want[MOST], got[MOST] = {0}, n_got = 0;
        struct sto_error err = {0};
        tell_on_host(&r, &how[i], want, n);
        for (uint32_t depth = 0; depth <= 8; depth += 1 + depth) { /* 0, 1, 3, 7 */
            struct sto_generation_params p = drawn_like(&how[i]);
            p.depth = depth;
            struct sto_session *session = prompted(&r);
            if (sto_session_generate(session, want[0], &p, n - 1, got, &n_got, &err) != STO_OK)
                fail_msg("%s", err.message);
            assert_int_equal(n_got, n - 1);
            for (uint32_t t = 0; t < n_got; t++) {
                if (got[t] != want[t + 1])
                    fail_msg("setting %u, depth %u, token %u is %u, on the host %u", i, depth, t, got[t], want[t + 1]);
            }
            if (depth == 1)
                check_holds(&r, session, want, n - 1);
            sto_session_destroy(session);
        }
    }
    rig_close(&r);
}

static void tokens_are_those_of_the_host(void **state)
{
    const struct sto_sampler_params how[] = {
        sampling(0, 40, 0.95f, 0.05f, 1),     sampling(0.8f, 40, 0.95f, 0.05f, 7), sampling(1.5f, 0, 0.9f, 0, 1234567),
        sampling(1, 0, 1, 0, UINT64_MAX),     sampling(3, 600, 0.99f, 0, 99),      sampling(0.7f, 0, 1, 0.1f, 5),
    };
    (void)state;
    compare_on(DEMO, how, sizeof how / sizeof how[0], 60);
}

static void stories_are_those_of_the_host(void **state)
{
    const struct sto_sampler_params how[] = {sampling(0, 0, 1, 0, 0), sampling(0.9f, 40, 0.9f, 0.02f, 3),
                                             sampling(1.2f, 0, 0.95f, 0, 4)};
    char path[1024];
    (void)state;
    if (!sto_reference_path(path, sizeof path, "models", "stories3M-q40", ".gguf"))
        skip();
    compare_on(path, how, sizeof how / sizeof how[0], 140); /* over the end of a KV page */
}

/* ---- the same text ---- */

struct told {
    struct sto_generate_result result;
    size_t texts, stop_after; /* 0: never */
};

static bool hear(void *user, const char *text, size_t size)
{
    struct told *t = user;
    (void)text;
    (void)size;
    return ++t->texts == t->stop_after;
}

/* on_host: a bias of nothing, which keeps drawing on the host. */
static void tell(struct sto_generator *g, struct sto_generate_params p, bool on_host, struct told *t)
{
    static const struct sto_logit_bias nothing = {0, 0.0f};
    struct sto_error err = {0};
    p.on_text = hear;
    p.user = t;
    p.sampling.biases = &nothing;
    p.sampling.n_biases = on_host;
    t->texts = 0;
    if (sto_generate(g, &p, &t->result, &err) != STO_OK)
        fail_msg("%s", err.message);
}

static void compare_texts(struct sto_generator *g, const struct sto_generate_params *p, size_t stop_after)
{
    struct told host = {.stop_after = stop_after}, drawn = {.stop_after = stop_after};
    tell(g, *p, true, &host);
    tell(g, *p, false, &drawn);
    assert_string_equal(drawn.result.text, host.result.text);
    assert_int_equal(drawn.result.stop, host.result.stop);
    assert_int_equal(drawn.result.n_tokens, host.result.n_tokens);
    assert_memory_equal(drawn.result.tokens, host.result.tokens, host.result.n_tokens * sizeof(uint32_t));
    assert_int_equal(drawn.texts, host.texts);
    sto_generate_result_free(&host.result);
    sto_generate_result_free(&drawn.result);
}

static void texts_are_those_of_the_host(void **state)
{
    static const char *const stops[] = {"the", "and so"};
    const struct sto_engine_params params = {.ctx_tokens = 200};
    struct sto_generator *g = NULL;
    struct sto_error err = {0};
    struct sto_generate_params p;
    struct rig r;
    (void)state;
    rig_open(&r, DEMO, &params);
    assert_int_equal(sto_generator_create(r.engine, &g, &err), STO_OK);
    for (uint64_t seed = 0; seed < 6; seed++) {
        sto_generate_defaults(&p);
        p.prompt = "Tell me a story about a fox.";
        p.max_tokens = 60;
        p.sampling.seed = seed;
        p.sampling.temperature = seed == 0 ? 0.0f : 0.9f;
        compare_texts(g, &p, 0); /* ends by length, or by an end token */
        compare_texts(g, &p, 7); /* the listener has had enough        */
        p.stops = stops;
        p.n_stops = 1 + seed % 2;
        compare_texts(g, &p, 0);
    }
    sto_generate_defaults(&p);
    p.prompt = "Tell me a story about a fox.";
    p.ignore_end = true;
    compare_texts(g, &p, 0); /* until the context is full */
    p.max_tokens = 1;
    compare_texts(g, &p, 0);
    p.prompt = "What is 2 + 3?"; /* a short answer and an end token */
    p.ignore_end = false;
    p.max_tokens = 0;
    p.sampling.temperature = 0.0f;
    compare_texts(g, &p, 0);
    sto_generator_destroy(g);
    rig_close(&r);
}

/* ---- ends in the middle ---- */

struct listener {
    struct sto_session *session;
    uint32_t calls, stop_at, cancel_at; /* 0: never */
};

static bool listen(void *user, uint32_t token)
{
    struct listener *l = user;
    (void)token;
    l->calls++;
    if (l->calls == l->cancel_at)
        sto_session_cancel(l->session);
    return l->calls == l->stop_at;
}

/* The first step at which a token comes up that none before it was; at least 5. */
static uint32_t first_new(const uint32_t *tokens, uint32_t n)
{
    for (uint32_t i = 5; i < n; i++) {
        uint32_t seen = 0;
        for (uint32_t j = 0; j < i; j++)
            seen += tokens[j] == tokens[i];
        if (seen == 0)
            return i;
    }
    fail_msg("every token repeats");
    return 0;
}

static void a_chain_ends_where_it_should(void **state)
{
    const struct sto_sampler_params how = sampling(1, 0, 1, 0, 11);
    uint32_t want[60], got[60], n_got;
    struct rig r;
    (void)state;
    rig_open(&r, DEMO, NULL);
    tell_on_host(&r, &how, want, 60);
    const uint32_t last = first_new(want + 1, 59);
    for (uint32_t depth = 1; depth <= 8; depth += 3) {
        struct sto_error err = {0};
        struct listener listener = {.stop_at = 4};
        struct sto_generation_params p = drawn_like(&how);
        p.depth = depth;
        p.user = &listener;
        p.on_token = listen;

        struct sto_session *session = prompted(&r); /* the callback stops, then the chain goes on from there */
        assert_int_equal(sto_session_generate(session, want[0], &p, 59, got, &n_got, &err), STO_OK);
        assert_int_equal(n_got, 4);
        assert_memory_equal(got, want + 1, 4 * sizeof *got);
        p.first_draw = 5;
        assert_int_equal(sto_session_generate(session, got[3], &p, 20, got + 4, &n_got, &err), STO_OK);
        assert_int_equal(n_got, 20);
        assert_memory_equal(got, want + 1, 24 * sizeof *got);
        check_holds(&r, session, want, 24);
        sto_session_destroy(session);

        session = prompted(&r); /* an end token */
        const uint32_t ends[] = {UINT32_MAX, want[1 + last]};
        p.first_draw = 1;
        p.on_token = NULL;
        p.end_tokens = ends;
        p.n_end_tokens = 2;
        assert_int_equal(sto_session_generate(session, want[0], &p, 59, got, &n_got, &err), STO_OK);
        assert_int_equal(n_got, last + 1);
        assert_memory_equal(got, want + 1, n_got * sizeof *got);
        check_holds(&r, session, want, n_got);
        sto_session_destroy(session);

        listener = (struct listener){.session = prompted(&r), .cancel_at = 6}; /* a cancel */
        p.n_end_tokens = 0;
        p.on_token = listen;
        assert_int_equal(sto_session_generate(listener.session, want[0], &p, 59, got, &n_got, &err),
                         STO_ERR_CANCELLED);
        assert_int_equal(n_got, 6);
        check_holds(&r, listener.session, want, 6);
        sto_session_cancel(listener.session); /* before it begins */
        sto_session_truncate(listener.session, N_PROMPT);
        assert_int_equal(sto_session_generate(listener.session, want[0], &p, 59, got, &n_got, &err),
                         STO_ERR_CANCELLED);
        assert_int_equal(n_got, 0);
        check_holds(&r, listener.session, want, 0);
        sto_session_destroy(listener.session);
    }
    rig_close(&r);
}

static void a_full_context_is_the_last_step(void **state)
{
    const struct sto_engine_params params = {.ctx_tokens = 150};
    const struct sto_generation_params p = {.depth = 4};
    uint32_t got[150], n_got = 0;
    struct sto_error err = {0};
    struct rig r;
    (void)state;
    rig_open(&r, DEMO, &params);
    struct sto_session *session = prompted(&r);
    assert_int_equal(sto_session_generate(session, 3, &p, 150 - N_PROMPT + 1, got, &n_got, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "context of 150"));
    assert_int_equal(sto_session_length(session), N_PROMPT);
    assert_int_equal(sto_session_generate(session, 3, &p, 150 - N_PROMPT, got, &n_got, &err), STO_OK);
    assert_int_equal(n_got, 150 - N_PROMPT);
    assert_int_equal(sto_session_length(session), 150);
    assert_int_equal(sto_session_generate(session, 3, &p, 1, got, &n_got, &err), STO_ERR_USAGE);
    assert_int_equal(sto_session_generate(session, 3, &p, 0, got, &n_got, &err), STO_OK);
    sto_session_destroy(session);
    rig_close(&r);
}

/* A session that is destroyed, and others that go on, while forgotten steps may still run. */
static void sessions_do_not_disturb_each_other(void **state)
{
    const struct sto_sampler_params how = sampling(0, 0, 1, 0, 0);
    uint32_t want[40], got[40], n_got;
    struct rig r;
    (void)state;
    rig_open(&r, DEMO, NULL);
    tell_on_host(&r, &how, want, 40);
    for (int round = 0; round < 5; round++) {
        struct sto_error err = {0};
        struct listener listener = {.stop_at = 3};
        const struct sto_generation_params p = {.depth = 8, .user = &listener, .on_token = listen};
        struct sto_session *a = prompted(&r), *b = prompted(&r);
        assert_int_equal(sto_session_generate(a, want[0], &p, 39, got, &n_got, &err), STO_OK);
        assert_int_equal(n_got, 3);
        if (round % 2 == 0)
            sto_session_destroy(a);
        listener.calls = 100;
        assert_int_equal(sto_session_generate(b, want[0], &p, 39, got, &n_got, &err), STO_OK);
        assert_int_equal(n_got, 39);
        assert_memory_equal(got, want + 1, 39 * sizeof *got);
        if (round % 2 != 0)
            sto_session_destroy(a);
        sto_session_destroy(b);
    }
    rig_close(&r);
}

/* ---- wrong calls ---- */

static void wrong_calls_are_refused(void **state)
{
    static const struct {
        uint32_t token, n_steps;
        struct sto_generation_params p;
        const char *part;
    } calls[] = {
        {1 << 20, 1, {.depth = 1}, "out of range"},
        {1, 100000, {.depth = 1}, "do not fit in a context"},
        {1, 1, {.temperature = -1}, "temperature is -1"},
        {1, 1, {.temperature = NAN}, "temperature"},
        {1, 1, {.temperature = 1}, "top_p is 0"},
        {1, 1, {.temperature = 1, .top_p = 1.5f}, "top_p"},
        {1, 1, {.temperature = 1, .top_p = 1, .min_p = 1}, "min_p"},
        {1, 1, {.depth = 9}, "depth is 9"},
        {1, 1, {.n_end_tokens = 1}, "end_tokens is NULL"},
    };
    struct rig r;
    (void)state;
    rig_open(&r, DEMO, NULL);
    struct sto_session *session = prompted(&r);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct sto_error err = {0};
        uint32_t tokens[1], n = 77;
        const enum sto_status status =
            sto_session_generate(session, calls[i].token, &calls[i].p, calls[i].n_steps, tokens, &n, &err);
        if (status != STO_ERR_USAGE || strstr(err.message, calls[i].part) == NULL || n != 0)
            fail_msg("call %zu: %s, '%s'", i, sto_status_name(status), err.message);
        assert_int_equal(sto_session_length(session), N_PROMPT);
    }
    sto_session_destroy(session);
    rig_close(&r);
}

/* ---- cost on the host ---- */

static void a_step_is_one_submission_and_no_allocation(void **state)
{
    struct sto_queue_stats before, after;
    struct sto_error err = {0};
    uint32_t got[100], n_got;
    struct rig r;
    (void)state;
    rig_open(&r, DEMO, NULL);
    for (uint32_t depth = 1; depth <= 4; depth++) {
        const struct sto_generation_params p = {.temperature = 1, .top_k = 40, .top_p = 0.9f, .depth = depth};
        struct sto_session *session = prompted(&r);
        assert_int_equal(sto_session_generate(session, 3, &p, depth, got, &n_got, &err), STO_OK); /* recorded now */
        const uint64_t allocations = sto_alloc_count(), on_device = sto_device_bytes(device.device);
        sto_device_get_queue_stats(device.device, &before);
        assert_int_equal(sto_session_generate(session, got[depth - 1], &p, 100, got, &n_got, &err), STO_OK);
        sto_device_get_queue_stats(device.device, &after);
        assert_int_equal(after.submits - before.submits, 101);
        assert_int_equal(sto_alloc_count(), allocations);
        assert_int_equal(sto_device_bytes(device.device), on_device);
        sto_session_destroy(session);
    }
    rig_close(&r);
}

/* Six groups per layer: q k v, RoPE, attention with its merge, o with a norm, gate and up with the activation, down
 * with a norm. With float products, and with 8-bit activations. */
static void the_step_is_counted(void **state)
{
    static const enum sto_math ways[] = {STO_MATH_EXACT, STO_MATH_INT8};
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const struct sto_engine_params params = {.ctx_tokens = 256, .math = ways[i]};
        const struct sto_generation_params p = {0};
        struct sto_engine_info info;
        struct sto_error err = {0};
        uint32_t got[1], n_got;
        struct rig r;
        rig_open(&r, DEMO, &params);
        assert_int_equal(r.info.step_dispatches, 0);
        struct sto_session *session = prompted(&r);
        assert_int_equal(sto_session_generate(session, 3, &p, 1, got, &n_got, &err), STO_OK);
        sto_engine_get_info(r.engine, &info);
        assert_int_equal(info.layer_dispatches, 6 * sto_model_n_layers(r.model));
        assert_int_equal(info.layer_barriers, 6 * sto_model_n_layers(r.model));
        assert_true(info.step_dispatches > info.layer_dispatches && info.step_barriers > info.layer_barriers);
        assert_true(info.step_dispatches > info.step_barriers);
        sto_session_destroy(session);
        rig_close(&r);
    }
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_those_of_the_host),
        cmocka_unit_test(stories_are_those_of_the_host),
        cmocka_unit_test(texts_are_those_of_the_host),
        cmocka_unit_test(a_chain_ends_where_it_should),
        cmocka_unit_test(a_full_context_is_the_last_step),
        cmocka_unit_test(sessions_do_not_disturb_each_other),
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(a_step_is_one_submission_and_no_allocation),
        cmocka_unit_test(the_step_is_counted),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

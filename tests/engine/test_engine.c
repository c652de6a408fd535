/* The engine's edges on the demo model: nothing allocated while decoding, wrong calls, the smallest and the fullest
 * context, cancelling, and every allocation failing in turn. */
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "host/generate.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "tests/engine/support.h"
#include "tests/support/expected.h"

#define DEMO STRATO_SOURCE_DIR "/models/demo/demo.gguf"

static struct sto_test_device device;

struct rig {
    struct sto_model *model;
    struct sto_engine *engine;
    struct sto_engine_info info;
    uint32_t n_vocab;
    float *logits; /* [n_vocab] */
};

static void rig_open(struct rig *r, const struct sto_engine_params *params)
{
    struct sto_error err = {0};
    *r = (struct rig){0};
    if (sto_model_open(DEMO, NULL, NULL, &r->model, &err) != STO_OK ||
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

static struct sto_session *new_session(struct rig *r)
{
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    if (sto_session_create(r->engine, &session, &err) != STO_OK)
        fail_msg("%s", err.message);
    return session;
}

static void expect_error(enum sto_status got, enum sto_status wanted, const struct sto_error *err, const char *part)
{
    if (got != wanted || strstr(err->message, part) == NULL || strchr(err->message, '\n') != NULL)
        fail_msg("status %s, '%s'; expected %s with '%s'", sto_status_name(got), err->message, sto_status_name(wanted),
                 part);
}

/* Without a copy they are where the device put them: after a prompt and after a decode step. */
static void logits_are_there_without_a_copy(void **state)
{
    static const uint32_t tokens[] = {1, 2, 3, 4, 5, 6};
    struct sto_error err = {0};
    struct rig r;
    (void)state;
    rig_open(&r, NULL);
    struct sto_session *session = new_session(&r);
    for (uint32_t n = 5; n <= 6; n++) {
        const uint32_t *from = n == 5 ? tokens : tokens + 5;
        const uint32_t count = n == 5 ? 5 : 1;
        assert_int_equal(sto_session_eval(session, from, count, STO_LOGITS_LAST, r.logits, &err), STO_OK);
        sto_session_truncate(session, n - count);
        assert_int_equal(sto_session_eval(session, tokens, 1, STO_LOGITS_LAST, NULL, &err), STO_OK);
        assert_memory_not_equal(sto_session_logits(session), r.logits, r.n_vocab * sizeof *r.logits);
        sto_session_truncate(session, n - count);
        assert_int_equal(sto_session_eval(session, from, count, STO_LOGITS_LAST, NULL, &err), STO_OK);
        assert_memory_equal(sto_session_logits(session), r.logits, r.n_vocab * sizeof *r.logits);
    }
    sto_session_destroy(session);
    rig_close(&r);
}

/* ---- allocations ---- */

static void decoding_allocates_nothing(void **state)
{
    static const uint32_t prompt[] = {1, 2, 3, 4, 5};
    struct sto_sampler_params params;
    struct sto_sampler *sampler = NULL;
    struct sto_error err = {0};
    struct rig r;
    uint64_t before = 0, on_device = 0;
    uint32_t token = 0;
    (void)state;
    rig_open(&r, NULL);
    sto_sampler_defaults(&params);
    params.repeat_penalty = 1.1f;
    params.dry_multiplier = 0.5f;
    assert_int_equal(sto_sampler_create(&params, r.n_vocab, &sampler, &err), STO_OK);
    struct sto_session *session = new_session(&r);
    assert_int_equal(sto_session_eval(session, prompt, 5, STO_LOGITS_LAST, r.logits, &err), STO_OK);
    for (int step = 0; step < 60; step++) {
        if (step == 2) { /* the first step is recorded */
            before = sto_alloc_count();
            on_device = sto_device_bytes(device.device);
        }
        assert_int_equal(sto_sampler_sample(sampler, r.logits, &token, &err), STO_OK);
        assert_int_equal(sto_sampler_accept(sampler, token, &err), STO_OK);
        assert_int_equal(sto_session_eval(session, &token, 1, STO_LOGITS_LAST, r.logits, &err), STO_OK);
    }
    assert_int_equal(sto_alloc_count(), before);
    assert_int_equal(sto_device_bytes(device.device), on_device);
    sto_sampler_destroy(sampler);
    sto_session_destroy(session);
    rig_close(&r);
}

struct counted {
    uint64_t first, last; /* sto_alloc_count at the callbacks */
    size_t calls;
};

static bool count_allocations(void *user, const char *text, size_t size)
{
    struct counted *c = user;
    (void)text;
    assert_true(size > 0);
    c->last = sto_alloc_count();
    if (++c->calls == 2) /* by then the decode step has been recorded */
        c->first = c->last;
    return false;
}

static void generate_counting_allocations(float repeat_penalty)
{
    static const char *const stops[] = {"never in any text", "nor this"};
    struct counted counted = {0};
    struct sto_generate_params p;
    struct sto_generate_result result;
    struct sto_generator *g = NULL;
    struct sto_error err = {0};
    struct rig r;
    rig_open(&r, NULL);
    assert_int_equal(sto_generator_create(r.engine, &g, &err), STO_OK);
    sto_generate_defaults(&p);
    p.prompt = "Tell me a story.";
    p.ignore_end = true;
    p.stops = stops;
    p.n_stops = 2;
    p.sampling.repeat_penalty = repeat_penalty;
    p.on_text = count_allocations;
    p.user = &counted;
    assert_int_equal(sto_generate(g, &p, &result, &err), STO_OK); /* until the context is full */
    assert_int_equal(result.stop, STO_STOP_CONTEXT);
    assert_int_equal(result.n_prompt_tokens + result.n_tokens, r.info.ctx_tokens + 1);
    assert_true(counted.calls > 100);
    assert_int_equal(counted.last, counted.first);
    sto_generate_result_free(&result);
    sto_generator_destroy(g);
    rig_close(&r);
}

/* With a penalty tokens are drawn on the host, without on the device. */
static void generating_allocates_nothing_between_texts(void **state)
{
    (void)state;
    generate_counting_allocations(1.05f);
    generate_counting_allocations(1.0f);
}

/* ---- wrong calls ---- */

static void wrong_calls_leave_the_session_as_it_was(void **state)
{
    struct sto_error err = {0};
    struct rig r;
    uint32_t tokens[600] = {1, 2, 3};
    (void)state;
    rig_open(&r, NULL);
    const uint32_t bad[] = {1, r.n_vocab, 2}, worst[] = {UINT32_MAX};
    struct sto_session *session = new_session(&r);
    expect_error(sto_session_eval(session, tokens, 0, STO_LOGITS_NONE, NULL, &err), STO_ERR_USAGE, &err, "no tokens");
    expect_error(sto_session_eval(session, bad, 3, STO_LOGITS_NONE, NULL, &err), STO_ERR_USAGE, &err, "out of range");
    expect_error(sto_session_eval(session, worst, 1, STO_LOGITS_LAST, r.logits, &err), STO_ERR_USAGE, &err,
                 "4294967295");
    expect_error(sto_session_eval(session, tokens, r.info.ctx_tokens + 1, STO_LOGITS_NONE, NULL, &err), STO_ERR_USAGE,
                 &err, "do not fit");
    expect_error(sto_session_eval(session, tokens, SIZE_MAX / 2, STO_LOGITS_NONE, NULL, &err), STO_ERR_USAGE, &err,
                 "do not fit");
    assert_int_equal(sto_session_length(session), 0);
    assert_int_equal(sto_session_eval(session, tokens, 3, STO_LOGITS_NONE, NULL, &err), STO_OK);
    expect_error(sto_session_eval(session, tokens, r.info.ctx_tokens - 2, STO_LOGITS_NONE, NULL, &err), STO_ERR_USAGE,
                 &err, "after 3");
    assert_int_equal(sto_session_length(session), 3);
    sto_session_destroy(session);
    rig_close(&r);
}

static void the_context_fills_to_the_last_token(void **state)
{
    struct sto_error err = {0};
    struct rig r;
    uint32_t tokens[600] = {0};
    (void)state;
    rig_open(&r, NULL);
    assert_true(r.info.ctx_tokens <= 600);
    struct sto_session *session = new_session(&r);
    assert_int_equal(sto_session_eval(session, tokens, r.info.ctx_tokens - 1, STO_LOGITS_NONE, NULL, &err), STO_OK);
    assert_int_equal(sto_session_eval(session, tokens, 1, STO_LOGITS_LAST, r.logits, &err), STO_OK);
    assert_int_equal(sto_session_length(session), r.info.ctx_tokens);
    expect_error(sto_session_eval(session, tokens, 1, STO_LOGITS_LAST, r.logits, &err), STO_ERR_USAGE, &err,
                 "do not fit");
    sto_session_destroy(session);
    rig_close(&r);
}

static void a_context_of_one_token_works(void **state)
{
    const struct sto_engine_params params = {.ctx_tokens = 1, .ubatch_tokens = 4096};
    struct sto_error err = {0};
    struct rig one, all;
    const uint32_t token = 5;
    (void)state;
    rig_open(&one, &params);
    rig_open(&all, NULL);
    assert_int_equal(one.info.ctx_tokens, 1);
    struct sto_session *a = new_session(&one), *b = new_session(&all);
    assert_int_equal(sto_session_eval(a, &token, 1, STO_LOGITS_LAST, one.logits, &err), STO_OK);
    assert_int_equal(sto_session_eval(b, &token, 1, STO_LOGITS_LAST, all.logits, &err), STO_OK);
    assert_memory_equal(one.logits, all.logits, one.n_vocab * sizeof *one.logits);
    expect_error(sto_session_eval(a, &token, 1, STO_LOGITS_LAST, one.logits, &err), STO_ERR_USAGE, &err,
                 "context of 1");
    sto_session_destroy(a);
    sto_session_destroy(b);
    rig_close(&one);
    rig_close(&all);
}

static void sessions_are_limited_and_given_back(void **state)
{
    struct sto_session *sessions[64] = {NULL}, *one_more = NULL;
    const struct sto_engine_params params = {.ctx_tokens = 64};
    struct sto_error err = {0};
    struct rig r;
    size_t n = 0;
    enum sto_status status = STO_OK;
    (void)state;
    rig_open(&r, &params);
    while (n < 64 && (status = sto_session_create(r.engine, &sessions[n], &err)) == STO_OK)
        n++;
    expect_error(status, STO_ERR_USAGE, &err, "sessions");
    assert_true(n >= 2);
    sto_session_destroy(sessions[1]);
    assert_int_equal(sto_session_create(r.engine, &one_more, &err), STO_OK);
    sessions[1] = one_more;
    for (size_t i = 0; i < n; i++)
        sto_session_destroy(sessions[i]);
    rig_close(&r);
}

static void engine_parameters_are_checked(void **state)
{
    static const struct {
        struct sto_engine_params params;
        enum sto_status status;
        const char *part;
    } cases[] = {
        {{.kv_type = STO_TYPE_Q4_K, .kv_type_set = true}, STO_ERR_USAGE, "cannot be Q4_K"},
        {{.ubatch_tokens = 1 << 20}, STO_ERR_USAGE, "ubatch of 1048576"},
        {{.ctx_tokens = 1 << 20}, STO_ERR_USAGE, "1048576"},
        {{.vram_bytes = 1 << 20}, STO_ERR_NO_FIT, "1.0 MiB is available"},
        {{.vram_bytes = 1}, STO_ERR_NO_FIT, "available"},
    };
    struct sto_model *model = NULL;
    struct sto_error err = {0};
    (void)state;
    assert_int_equal(sto_model_open(DEMO, NULL, NULL, &model, &err), STO_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sto_engine *engine = NULL;
        expect_error(sto_engine_create(device.device, model, &cases[i].params, NULL, &engine, &err), cases[i].status,
                     &err, cases[i].part);
        assert_null(engine);
    }
    sto_model_close(model);
}

static void memory_is_budgeted_and_given_back(void **state)
{
    const struct sto_engine_params small = {.ctx_tokens = 64, .ubatch_tokens = 16};
    struct sto_error err = {0};
    struct rig r;
    (void)state;
    const uint64_t before = sto_device_bytes(device.device);
    rig_open(&r, &small);
    struct sto_session *session = new_session(&r);
    const uint64_t used = sto_device_bytes(device.device) - before;
    sto_session_destroy(session);
    rig_close(&r);
    assert_int_equal(sto_device_bytes(device.device), before); /* everything was given back */

    const struct sto_engine_params same = {.ctx_tokens = 64, .ubatch_tokens = 16, .vram_bytes = used + (4 << 20)};
    rig_open(&r, &same);
    assert_int_equal(r.info.streamed_layers, 0);
    rig_close(&r);
    const struct sto_engine_params less = {.ctx_tokens = 64, .ubatch_tokens = 16, .vram_bytes = 2 << 20};
    struct sto_model *model = NULL;
    struct sto_engine *engine = NULL;
    assert_int_equal(sto_model_open(DEMO, NULL, NULL, &model, &err), STO_OK);
    assert_int_equal(sto_engine_create(device.device, model, &less, NULL, &engine, &err), STO_ERR_NO_FIT);
    sto_model_close(model);
}

static void quantised_kv_needs_heads_of_32(void **state)
{
    const struct sto_engine_params q8 = {.kv_type = STO_TYPE_Q8_0, .kv_type_set = true};
    struct sto_model *model = NULL;
    struct sto_engine *engine = NULL;
    struct sto_error err = {0};
    char path[1024];
    (void)state;
    if (!sto_reference_path(path, sizeof path, "models", "stories260K-f32", ".gguf"))
        skip();
    assert_int_equal(sto_model_open(path, NULL, NULL, &model, &err), STO_OK);
    expect_error(sto_engine_create(device.device, model, &q8, NULL, &engine, &err), STO_ERR_USAGE, &err, "8 wide");
    sto_model_close(model);
}

/* ---- cancelling ---- */

static void a_cancel_counts_for_the_next_eval(void **state)
{
    static const uint32_t tokens[] = {1, 2, 3};
    struct sto_error err = {0};
    struct rig r;
    (void)state;
    rig_open(&r, NULL);
    struct sto_session *session = new_session(&r);
    sto_session_cancel(session);
    expect_error(sto_session_eval(session, tokens, 3, STO_LOGITS_NONE, NULL, &err), STO_ERR_CANCELLED, &err,
                 "after 0 of 3");
    assert_int_equal(sto_session_length(session), 0);
    assert_int_equal(sto_session_eval(session, tokens, 3, STO_LOGITS_NONE, NULL, &err), STO_OK);
    sto_session_destroy(session);
    rig_close(&r);
}

struct canceller {
    struct sto_session *session;
    atomic_bool running;
};

static void cancel_soon(void *arg)
{
    struct canceller *c = arg;
    while (!atomic_load(&c->running))
        ;
    sto_session_cancel(c->session);
}

static void an_eval_is_cancelled_from_another_thread(void **state)
{
    const struct sto_engine_params params = {.ubatch_tokens = 1};
    static const uint32_t tokens[400];
    struct sto_error err = {0};
    struct rig r;
    enum sto_status status = STO_OK;
    (void)state;
    rig_open(&r, &params);
    struct canceller c = {.session = new_session(&r)};
    struct sto_thread *thread = sto_thread_start(cancel_soon, &c);
    assert_non_null(thread);
    while (status == STO_OK) { /* the cancel comes at any time, or counts for the next round */
        sto_session_truncate(c.session, 0);
        atomic_store(&c.running, true);
        status = sto_session_eval(c.session, tokens, 400, STO_LOGITS_NONE, NULL, &err);
    }
    expect_error(status, STO_ERR_CANCELLED, &err, "of 400 tokens");
    sto_thread_join(thread);
    const uint32_t length = sto_session_length(c.session);
    assert_true(length < 400);
    assert_int_equal(sto_session_eval(c.session, tokens, 1, STO_LOGITS_LAST, r.logits, &err), STO_OK);
    assert_int_equal(sto_session_length(c.session), length + 1);
    sto_session_destroy(c.session);
    rig_close(&r);
}

struct listener {
    struct sto_generator *generator;
    char text[4096];
    size_t size, calls;
    size_t cancel_at, stop_at; /* calls after which to cancel, or to return true; 0: never */
};

static bool listen(void *user, const char *text, size_t size)
{
    struct listener *l = user;
    assert_true(l->size + size < sizeof l->text);
    memcpy(l->text + l->size, text, size);
    l->size += size;
    l->calls++;
    if (l->calls == l->cancel_at)
        sto_generator_cancel(l->generator);
    return l->calls == l->stop_at;
}

static enum sto_stop generate(struct listener *l, struct sto_generate_result *result)
{
    struct sto_generate_params p;
    struct sto_error err = {0};
    sto_generate_defaults(&p);
    p.prompt = "Once upon a time";
    p.raw = true;
    p.ignore_end = true;
    p.max_tokens = 24;
    p.on_text = listen;
    p.user = l;
    l->size = l->calls = 0;
    if (sto_generate(l->generator, &p, result, &err) != STO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(result->text_size, l->size);
    assert_memory_equal(result->text, l->text, l->size);
    return result->stop;
}

static void a_cancelled_generation_keeps_its_text_and_the_next_is_whole(void **state)
{
    struct sto_generate_result whole, cut, again;
    struct listener l = {0};
    struct sto_error err = {0};
    struct rig r;
    (void)state;
    rig_open(&r, NULL);
    assert_int_equal(sto_generator_create(r.engine, &l.generator, &err), STO_OK);
    assert_int_equal(generate(&l, &whole), STO_STOP_LENGTH);
    assert_int_equal(whole.n_tokens, 24);
    for (int by_return = 0; by_return < 2; by_return++) {
        l.cancel_at = by_return ? 0 : 3;
        l.stop_at = by_return ? 3 : 0;
        assert_int_equal(generate(&l, &cut), STO_STOP_CANCELLED);
        assert_true(cut.n_tokens > 0 && cut.n_tokens < 24);
        assert_memory_equal(cut.tokens, whole.tokens, cut.n_tokens * sizeof *cut.tokens);
        assert_memory_equal(cut.text, whole.text, cut.text_size);
        sto_generate_result_free(&cut);
        l.cancel_at = l.stop_at = 0;
        assert_int_equal(generate(&l, &again), STO_STOP_LENGTH);
        assert_string_equal(again.text, whole.text);
        sto_generate_result_free(&again);
    }
    sto_generate_result_free(&whole);
    sto_generator_destroy(l.generator);
    rig_close(&r);
}

static bool cancel_at_prompt(void *user, size_t done, size_t total)
{
    struct listener *l = user;
    assert_true(done > 0 && done <= total);
    sto_generator_cancel(l->generator);
    return false;
}

static void a_cancel_while_reading_the_prompt_generates_nothing(void **state)
{
    const struct sto_engine_params params = {.ubatch_tokens = 4};
    struct sto_generate_params p;
    struct sto_generate_result result;
    struct listener l = {0};
    struct sto_error err = {0};
    struct rig r;
    (void)state;
    rig_open(&r, &params);
    assert_int_equal(sto_generator_create(r.engine, &l.generator, &err), STO_OK);
    for (int in_groups = 0; in_groups < 2; in_groups++) { /* the last group is the first, or follows */
        sto_generate_defaults(&p);
        p.prompt = in_groups ? "Once upon a time there was a fox" : "Once";
        p.raw = true;
        p.on_prompt = cancel_at_prompt;
        p.user = &l;
        assert_int_equal(sto_generate(l.generator, &p, &result, &err), STO_OK);
        assert_int_equal(result.stop, STO_STOP_CANCELLED);
        assert_int_equal(result.n_tokens, 0);
        assert_string_equal(result.text, "");
        sto_generate_result_free(&result);
    }
    sto_generator_destroy(l.generator);
    rig_close(&r);
}

/* ---- every allocation fails in turn ---- */

struct torture {
    const char *what;
    enum sto_status (*run)(struct sto_error *err); /* does it, undoes it */
};

static enum sto_status open_a_device(struct sto_error *err)
{
    const struct sto_device_params params = {.cache_dir = ""};
    struct sto_device *d = NULL;
    const enum sto_status status = sto_device_open(&params, NULL, &d, err);
    sto_device_close(d);
    return status;
}

static enum sto_status open_a_model(struct sto_error *err)
{
    struct sto_model *model = NULL;
    const enum sto_status status = sto_model_open(DEMO, NULL, NULL, &model, err);
    sto_model_close(model);
    return status;
}

static struct rig tortured; /* a model, and an engine for those that need one */

static enum sto_status create_an_engine(struct sto_error *err)
{
    struct sto_engine *engine = NULL;
    const enum sto_status status = sto_engine_create(device.device, tortured.model, NULL, NULL, &engine, err);
    sto_engine_destroy(engine);
    return status;
}

static enum sto_status evaluate(struct sto_error *err)
{
    static const uint32_t tokens[] = {1, 2, 3, 4};
    struct sto_session *session = NULL;
    enum sto_status status = sto_session_create(tortured.engine, &session, err);
    if (status == STO_OK)
        status = sto_session_eval(session, tokens, 3, STO_LOGITS_LAST, tortured.logits, err);
    if (status == STO_OK)
        status = sto_session_eval(session, tokens + 3, 1, STO_LOGITS_LAST, tortured.logits, err);
    sto_session_destroy(session);
    return status;
}

/* With a device and an engine of their own: kernels and recordings are made, too. */
static enum sto_status evaluate_from_nothing(struct sto_error *err)
{
    static const uint32_t tokens[] = {1, 2, 3, 4};
    const struct sto_device_params params = {.cache_dir = ""};
    struct sto_device *d = NULL;
    struct sto_engine *engine = NULL;
    struct sto_session *session = NULL;
    enum sto_status status = sto_device_open(&params, NULL, &d, err);
    if (status == STO_OK)
        status = sto_engine_create(d, tortured.model, NULL, NULL, &engine, err);
    if (status == STO_OK)
        status = sto_session_create(engine, &session, err);
    if (status == STO_OK)
        status = sto_session_eval(session, tokens, 4, STO_LOGITS_LAST, tortured.logits, err);
    sto_session_destroy(session);
    sto_engine_destroy(engine);
    sto_device_close(d);
    return status;
}

static enum sto_status generate_text(struct sto_error *err)
{
    static const char *const stops[] = {"zzz"};
    struct sto_generator *generator = NULL;
    struct sto_generate_result result = {0};
    struct sto_generate_params p;
    sto_generate_defaults(&p);
    p.prompt = "Hello!";
    p.max_tokens = 4;
    p.stops = stops;
    p.n_stops = 1;
    p.sampling.dry_multiplier = 0.5f;
    p.sampling.repeat_penalty = 1.1f;
    enum sto_status status = sto_generator_create(tortured.engine, &generator, err);
    if (status == STO_OK)
        status = sto_generate(generator, &p, &result, err);
    sto_generate_result_free(&result);
    sto_generator_destroy(generator);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    const struct torture *t = *state;
    enum sto_status status = STO_ERR_FAILED;
    struct sto_error err = {0};
    uint64_t n = 1;
    rig_open(&tortured, NULL);
    const uint64_t bytes = sto_device_bytes(device.device);
    for (; status != STO_OK && n < 100000; n++) {
        err = (struct sto_error){0};
        sto_alloc_fail_after(n);
        status = t->run(&err);
        sto_alloc_fail_after(0);
        if (status == STO_OK)
            break;
        if (err.status != status || err.message[0] == '\0')
            fail_msg("%s, allocation %llu: status %s, but the error says %s '%s'", t->what, (unsigned long long)n,
                     sto_status_name(status), sto_status_name(err.status), err.message);
        assert_int_equal(sto_device_bytes(device.device), bytes);
    }
    print_message("%s: %llu allocations\n", t->what, (unsigned long long)(n - 1));
    assert_true(n > 1);
    assert_int_equal(t->run(&err), STO_OK);
    rig_close(&tortured);
}

static struct torture tortures[] = {
    {"opening a device", open_a_device},
    {"opening a model", open_a_model},
    {"creating an engine", create_an_engine},
    {"a session and two evaluations", evaluate},
    {"kernels, recordings, an evaluation", evaluate_from_nothing},
    {"generating", generate_text},
};

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
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(logits_are_there_without_a_copy),
        cmocka_unit_test(decoding_allocates_nothing),
        cmocka_unit_test(generating_allocates_nothing_between_texts),
        cmocka_unit_test(wrong_calls_leave_the_session_as_it_was),
        cmocka_unit_test(the_context_fills_to_the_last_token),
        cmocka_unit_test(a_context_of_one_token_works),
        cmocka_unit_test(sessions_are_limited_and_given_back),
        cmocka_unit_test(engine_parameters_are_checked),
        cmocka_unit_test(memory_is_budgeted_and_given_back),
        cmocka_unit_test(quantised_kv_needs_heads_of_32),
        cmocka_unit_test(a_cancel_counts_for_the_next_eval),
        cmocka_unit_test(an_eval_is_cancelled_from_another_thread),
        cmocka_unit_test(a_cancelled_generation_keeps_its_text_and_the_next_is_whole),
        cmocka_unit_test(a_cancel_while_reading_the_prompt_generates_nothing),
    };
    enum { N_PLAIN = sizeof plain / sizeof plain[0], N_TORTURES = sizeof tortures / sizeof tortures[0] };
    static char names[N_TORTURES][96];
    struct CMUnitTest tests[N_PLAIN + N_TORTURES];
    const char *bits = getenv("LP_NATIVE_VECTOR_WIDTH");
    const bool own_subgroups = bits == NULL || strcmp(bits, "256") == 0;
    size_t n = N_PLAIN;
    memcpy(tests, plain, sizeof plain);
    for (size_t i = 0; i < N_TORTURES && own_subgroups; i++) { /* allocations do not depend on the subgroup's size */
        (void)snprintf(names[i], sizeof names[i], "failing allocations: %s", tortures[i].what);
        tests[n++] = (struct CMUnitTest){.name = names[i], .test_func = every_allocation_may_fail,
                                         .initial_state = &tortures[i]};
    }
    return _cmocka_run_group_tests("engine", tests, n, open_device, close_device);
}

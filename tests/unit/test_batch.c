/* Batches as programs use them, on the processor with the demo model: results by callback, jobs left out, errors of one
 * job and of the caller, cancelling, and memory that ends at every allocation in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/batch.h"
#include "runtime/base/mem.h"
#include "runtime/base/status.h"

#define DEMO STRATO_SOURCE_DIR "/models/demo/demo.gguf"
enum { CONTEXT = 64, MAX_JOBS = 16 };

static struct sto_model *model;
static struct sto_engine *engine;

/* What came of a run. */
struct heard {
    struct sto_batch *batch;
    unsigned n, calls[MAX_JOBS], progress;
    enum sto_status status[MAX_JOBS];
    enum sto_stop stop[MAX_JOBS];
    size_t n_tokens[MAX_JOBS];
    char text[MAX_JOBS][256], error[MAX_JOBS][256];
    unsigned fail_at, cancel_at; /* result, or pass, with which it ends; 0: none */
};

static enum sto_status on_result(void *user, const struct sto_batch_result *r, struct sto_error *err)
{
    struct heard *h = user;
    assert_true(r->job < MAX_JOBS);
    h->n++;
    h->calls[r->job]++;
    h->status[r->job] = r->status;
    h->stop[r->job] = r->stop;
    h->n_tokens[r->job] = r->n_tokens;
    assert_int_equal(strlen(r->text), r->text_size);
    (void)snprintf(h->text[r->job], sizeof h->text[0], "%s", r->text);
    (void)snprintf(h->error[r->job], sizeof h->error[0], "%s", r->error != NULL ? r->error : "");
    return h->n == h->fail_at ? sto_fail(err, STO_ERR_FAILED, "enough of it") : STO_OK;
}

static void on_progress(void *user, const struct sto_batch_progress *p)
{
    struct heard *h = user;
    assert_true(p->n_done == h->n && p->n_done + p->n_running <= p->n_jobs);
    if (++h->progress == h->cancel_at)
        sto_batch_cancel(h->batch);
}

static struct sto_batch_job job_of(const char *prompt, uint32_t max_tokens)
{
    struct sto_batch_job job = {.prompt = prompt, .prompt_size = strlen(prompt), .max_tokens = max_tokens};
    sto_sampler_defaults(&job.sampling);
    job.sampling.temperature = 0;
    return job;
}

static struct sto_batch *new_batch(void)
{
    struct sto_batch *batch = NULL;
    struct sto_error err = {0};
    if (sto_batch_create(model, &batch, &err) != STO_OK)
        fail_msg("%s", err.message);
    return batch;
}

static void add(struct sto_batch *batch, struct sto_batch_job job)
{
    struct sto_error err = {0};
    if (sto_batch_add(batch, &job, &err) != STO_OK)
        fail_msg("%s", err.message);
}

static enum sto_status run(struct heard *h, struct sto_batch *batch, uint32_t n_sequences, const bool *skip,
                           struct sto_batch_progress *progress, struct sto_error *err)
{
    const struct sto_batch_params params = {.n_sequences = n_sequences, .skip = skip, .user = h,
                                            .on_result = on_result, .on_progress = on_progress};
    h->batch = batch;
    return sto_batch_run(batch, engine, &params, progress, err);
}

static void every_job_has_one_result(void **state)
{
    struct sto_batch *batch = new_batch();
    struct sto_batch_progress progress;
    struct sto_error err = {0};
    char long_prompt[400];
    (void)state;
    memset(long_prompt, 'x', sizeof long_prompt - 1);
    long_prompt[sizeof long_prompt - 1] = '\0';
    add(batch, job_of("What is 3 + 9?", 0));
    add(batch, job_of("What is 3 + 9?", 3));
    add(batch, job_of(long_prompt, 0));
    struct sto_batch_job bad = job_of("", 0);
    bad.messages = "[{\"role\": 3}]";
    bad.messages_size = strlen(bad.messages);
    add(batch, bad);
    struct sto_batch_job wild = job_of("x", 0);
    wild.sampling.top_p = 7;
    add(batch, wild);
    struct sto_batch_job endless = job_of("Tell me a story.", 0);
    endless.ignore_end = true;
    add(batch, endless);
    assert_int_equal(sto_batch_count(batch), 6);
    for (uint32_t n = 1; n <= 4; n += 3) {
        struct heard h = {0};
        assert_int_equal(run(&h, batch, n, NULL, &progress, &err), STO_OK);
        for (size_t i = 0; i < 6; i++)
            assert_int_equal(h.calls[i], 1);
        assert_string_equal(h.text[0], "3 + 9 = 12.");
        assert_int_equal(h.stop[0], STO_STOP_END);
        assert_int_equal(h.stop[1], STO_STOP_LENGTH);
        assert_int_equal(h.n_tokens[1], 3);
        assert_true(h.status[2] == STO_ERR_USAGE && strstr(h.error[2], "the context has room") != NULL);
        assert_true(h.status[3] == STO_ERR_USAGE && strstr(h.error[3], "message 1") != NULL);
        assert_true(h.status[4] == STO_ERR_USAGE && strstr(h.error[4], "top_p") != NULL);
        assert_int_equal(h.stop[5], STO_STOP_CONTEXT);
        assert_true(progress.n_done == 6 && progress.n_failed == 3 && progress.n_jobs == 6);
        assert_int_equal(progress.n_tokens, h.n_tokens[0] + h.n_tokens[1] + h.n_tokens[5]);
    }
    sto_batch_destroy(batch);
}

static void skipped_jobs_have_none(void **state)
{
    static const bool skip[] = {true, false, true};
    struct sto_batch *batch = new_batch();
    struct sto_error err = {0};
    struct heard h = {0};
    (void)state;
    for (int i = 0; i < 3; i++)
        add(batch, job_of("Hello!", 2));
    assert_int_equal(run(&h, batch, 2, skip, NULL, &err), STO_OK);
    assert_true(h.n == 1 && h.calls[1] == 1);
    sto_batch_destroy(batch);
}

static void it_ends_when_it_is_told_to(void **state)
{
    struct sto_batch *batch = new_batch();
    struct sto_batch_progress progress;
    struct sto_error err = {0};
    struct heard failing = {.fail_at = 2}, cancelled = {.cancel_at = 3}, whole = {0};
    (void)state;
    for (int i = 0; i < 5; i++)
        add(batch, job_of("Hello!", 3));
    assert_int_equal(run(&failing, batch, 2, NULL, NULL, &err), STO_ERR_FAILED);
    assert_string_equal(err.message, "enough of it");
    assert_int_equal(failing.n, 2);
    assert_int_equal(run(&cancelled, batch, 2, NULL, &progress, &err), STO_ERR_CANCELLED);
    assert_true(progress.n_done == 2 && progress.n_running == 0 && cancelled.progress == 3);
    assert_string_equal(err.message, "stopped after 2 of 5 prompts");
    assert_int_equal(run(&whole, batch, 2, NULL, NULL, &err), STO_OK); /* the engine is as it was */
    assert_int_equal(whole.n, 5);
    sto_batch_destroy(batch);
}

static void the_context_that_jobs_need(void **state)
{
    struct sto_batch *batch = new_batch();
    const uint32_t trained = sto_model_n_ctx_train(model);
    (void)state;
    assert_int_equal(sto_batch_context(batch), 1);
    struct sto_batch_job raw = job_of("a", 5);
    raw.raw = true;
    add(batch, raw);
    assert_int_equal(sto_batch_context(batch), 6);
    add(batch, job_of("a", 5));
    assert_true(sto_batch_context(batch) > 8);
    add(batch, job_of("a", UINT32_MAX));
    assert_int_equal(sto_batch_context(batch), trained);
    sto_batch_destroy(batch);
}

static void memory_ends_at_every_allocation_in_turn(void **state)
{
    enum sto_status status = STO_ERR_NO_FIT;
    (void)state;
    for (uint64_t n = 1; status != STO_OK; n += n < 40 ? 1 : n / 4) {
        struct sto_batch *batch = new_batch();
        struct sto_error err = {0};
        struct heard h = {0};
        const struct sto_batch_job job = job_of("Hello!", 2);
        sto_alloc_fail_after(n);
        status = sto_batch_add(batch, &job, &err);
        if (status == STO_OK)
            status = run(&h, batch, 2, NULL, NULL, &err);
        sto_alloc_fail_after(0);
        if (status == STO_OK && h.n > 0)
            status = h.status[0];
        assert_true(status == STO_OK || err.message[0] != '\0' || h.error[0][0] != '\0');
        sto_batch_destroy(batch);
    }
}

static int open_engine(void **state)
{
    struct sto_error err = {0};
    const struct sto_engine_params params = {.ctx_tokens = CONTEXT, .n_sequences = 4, .n_threads = 2};
    (void)state;
    if (sto_model_open(DEMO, NULL, NULL, &model, &err) != STO_OK ||
        sto_engine_create(NULL, model, &params, NULL, &engine, &err) != STO_OK)
        fail_msg("%s", err.message);
    return 0;
}

static int close_engine(void **state)
{
    (void)state;
    sto_engine_destroy(engine);
    sto_model_close(model);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_has_one_result),
        cmocka_unit_test(skipped_jobs_have_none),
        cmocka_unit_test(it_ends_when_it_is_told_to),
        cmocka_unit_test(the_context_that_jobs_need),
        cmocka_unit_test(memory_ends_at_every_allocation_in_turn),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}

/* Running one test: warm-up until the time no longer changes, then the repetitions that count.
 *
 * Tokens are random and never the same twice, so that nothing that caches by content helps. The session is cut back to
 * the test's depth before each repetition. */
#include <math.h>
#include <time.h>

#include "host/cli/bench.h"
#include "host/cli/cli.h"
#include "host/cli/term.h"
#include "runtime/base/philox.h"
#include "runtime/base/os.h"
#include "runtime/vk/device.h"

enum { MAX_WARMUPS = 8, WARMUP_TOKENS = 16 };
static const double STABLE = 0.03;
static const uint64_t WARMUP_NS = 10000000000u; /* no further warm-up after this */

static uint32_t draw(struct sto_bench_runner *r)
{
    const uint32_t counter[4] = {(uint32_t)(r->drawn & UINT32_MAX), (uint32_t)(r->drawn >> 32), 0, 0};
    const uint32_t key[2] = {(uint32_t)(r->seed & UINT32_MAX), (uint32_t)(r->seed >> 32)};
    uint32_t words[4];
    sto_philox4x32(counter, key, words);
    r->drawn++;
    return (uint32_t)((uint64_t)words[0] * r->n_vocab >> 32);
}

static void draw_tokens(struct sto_bench_runner *r, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        r->tokens[i] = draw(r);
}

static uint32_t best_token(const struct sto_bench_runner *r)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < r->n_vocab; i++)
        best = r->logits[i] > r->logits[best] ? i : best;
    return best;
}

/* tokens [n] in calls of n_batch, each in passes of n_ubatch; logits of the last one when wanted. */
static enum sto_status eval_prompt(struct sto_bench_runner *r, uint32_t n, uint32_t n_batch, uint32_t n_ubatch,
                                   bool logits, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    for (uint32_t done = 0; done < n && status == STO_OK;) {
        const uint32_t call = n - done < n_batch ? n - done : n_batch;
        for (uint32_t at = 0; at < call && status == STO_OK;) {
            const uint32_t pass = call - at < n_ubatch ? call - at : n_ubatch;
            const bool last = logits && done + at + pass == n;
            status = sto_session_eval(r->session, r->tokens + done + at, pass,
                                      last ? STO_LOGITS_LAST : STO_LOGITS_NONE, last ? r->logits : NULL, err);
            at += pass;
            if (status == STO_OK && sto_cli_interrupted())
                status = sto_fail(err, STO_ERR_CANCELLED, "stopped");
        }
        done += call;
    }
    return status;
}

static bool stop_on_interrupt(void *user, uint32_t token)
{
    (void)user;
    (void)token;
    return sto_cli_interrupted();
}

/* n tokens drawn at temperature 1 from the whole vocabulary: as varied as the model has it. */
static enum sto_status draw_on_device(struct sto_bench_runner *r, uint32_t n, struct sto_error *err)
{
    const struct sto_generation_params params = {.temperature = 1.0f, .top_p = 1.0f, .seed = r->seed,
                                                 .first_draw = r->drawn, .on_token = stop_on_interrupt};
    uint32_t n_drawn = 0;
    const enum sto_status status =
        sto_session_generate(r->session, r->tokens[0], &params, n, r->tokens, &n_drawn, err);
    if (status == STO_OK && n_drawn < n)
        return sto_fail(err, STO_ERR_CANCELLED, "stopped");
    return status;
}

static enum sto_status eval_one_by_one(struct sto_bench_runner *r, uint32_t n, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < n && status == STO_OK; i++) {
        status = sto_session_eval(r->session, &r->tokens[i], 1, STO_LOGITS_LAST, r->logits, err);
        if (status == STO_OK && sto_cli_interrupted())
            status = sto_fail(err, STO_ERR_CANCELLED, "stopped");
    }
    return status;
}

/* One repetition; *ns and, for prompts, *first_token_ns. */
static enum sto_status repeat(struct sto_bench_runner *r, const struct sto_bench_test *test, uint64_t *ns,
                              uint64_t *first_token_ns, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    sto_session_truncate(r->session, test->n_depth);
    draw_tokens(r, test->n_prompt > 0 ? test->n_prompt : test->n_gen);
    const uint64_t begin = sto_device_now_ns(r->device);
    if (test->n_prompt > 0) {
        status = eval_prompt(r, test->n_prompt, test->n_batch, test->n_ubatch, true, err);
        *ns = sto_device_now_ns(r->device) - begin;
        const uint32_t token = best_token(r);
        *first_token_ns = token < r->n_vocab ? sto_device_now_ns(r->device) - begin : 0;
        return status;
    }
    status = r->draw ? draw_on_device(r, test->n_gen, err) : eval_one_by_one(r, test->n_gen, err);
    *ns = sto_device_now_ns(r->device) - begin;
    return status;
}

static enum sto_status warm_up(struct sto_bench_runner *r, const struct sto_bench_test *test,
                               struct sto_bench_result *out, struct sto_error *err)
{
    const uint64_t begin = sto_now_ns();
    struct sto_bench_test shorter = *test;
    uint64_t before = 0, ns = 0, first = 0;
    shorter.n_gen = test->n_gen < WARMUP_TOKENS ? test->n_gen : WARMUP_TOKENS;
    while (out->warmups < MAX_WARMUPS && !out->stable && sto_now_ns() - begin < WARMUP_NS) {
        const enum sto_status status = repeat(r, &shorter, &ns, &first, err);
        if (status != STO_OK)
            return status;
        out->warmups++;
        out->stable = before > 0 && fabs((double)ns - (double)before) <= STABLE * (double)before;
        before = ns;
    }
    return STO_OK;
}

static void write_time(char *text, size_t size)
{
    const time_t now = time(NULL);
    const struct tm *utc = gmtime(&now);
    if (utc == NULL || strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", utc) == 0)
        text[0] = '\0';
}

enum sto_status sto_bench_run(struct sto_bench_runner *r, const struct sto_bench_test *test,
                              struct sto_bench_result *out, struct sto_error *err)
{
    const struct sto_callbacks cb = sto_term_callbacks();
    char name[48];
    sto_bench_test_name(test, name, sizeof name);
    out->test = *test;
    out->n = 0;
    out->warmups = 0;
    out->drawn = r->draw;
    out->stable = false;
    write_time(out->time, sizeof out->time);
    enum sto_status status = warm_up(r, test, out, err);
    struct sto_queue_stats queue;
    struct sto_engine_info before, after;
    sto_engine_get_info(r->engine, &before);
    sto_device_restart_longest_batch(r->device);
    struct sto_gpu_sampler *sampler = status == STO_OK ? sto_gpu_sampler_begin(r->source) : NULL;
    while (status == STO_OK && out->n < r->repetitions) {
        if (cb.progress != NULL)
            (void)cb.progress(cb.user, name, out->n, r->repetitions);
        status = repeat(r, test, &out->ns[out->n], &out->first_token_ns[out->n], err);
        out->n += status == STO_OK;
    }
    sto_gpu_sampler_end(sampler, &out->gpu);
    sto_device_get_queue_stats(r->device, &queue);
    sto_engine_get_info(r->engine, &after);
    out->longest_batch_ns = queue.longest_batch_ns;
    out->disk_read_bytes = after.disk_read_bytes - before.disk_read_bytes;
    sto_term_clear();
    return status;
}

enum sto_status sto_bench_fill(struct sto_bench_runner *r, uint32_t n_tokens, uint32_t n_ubatch, struct sto_error *err)
{
    const struct sto_callbacks cb = sto_term_callbacks();
    enum sto_status status = STO_OK;
    sto_session_truncate(r->session, n_tokens);
    while (status == STO_OK && sto_session_length(r->session) < n_tokens) {
        const uint32_t left = n_tokens - sto_session_length(r->session);
        const uint32_t n = left < n_ubatch ? left : n_ubatch;
        if (cb.progress != NULL)
            (void)cb.progress(cb.user, "depth", n_tokens - left, n_tokens);
        draw_tokens(r, n);
        status = eval_prompt(r, n, n, n, false, err);
    }
    sto_term_clear();
    return status;
}

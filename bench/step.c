/* What a decode step costs on the host: time outside the driver, in the driver's submit call and in waiting, calls and
 * allocations per step, for tokens drawn on the host and on the device.
 *
 *   build/bench/step [MODEL | --shape NAME:FORMAT] [-n STEPS] [-r REPETITIONS]
 *
 * Ways take turns within a repetition, so that a busy machine disturbs all alike; figures are medians. "host" is all
 * that is neither vkQueueSubmit2 nor waiting or reading timestamps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/sampler.h"
#include "models/shape.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/vk/device.h"

enum { MOST_REPETITIONS = 101, MOST_STEPS = 4096, N_PROMPT = 8 };

struct way {
    const char *name;
    uint32_t depth; /* 0: drawn on the host */
    float temperature;
};

static const struct way ways[] = {
    {"host, greedy", 0, 0},
    {"host, top-k 40, top-p, min-p", 0, 0.8f},
    {"device, greedy, depth 1", 1, 0},
    {"device, greedy, depth 2", 2, 0},
    {"device, greedy, depth 4", 4, 0},
    {"device, top-k 40, top-p, min-p, depth 2", 2, 0.8f},
};
enum { N_WAYS = sizeof ways / sizeof ways[0] };

/* Per step, in ns; and counts over a repetition. */
struct sample {
    double wall, host, submit, wait;
    uint64_t submits, allocations;
};

struct bench {
    struct sto_device *device;
    struct sto_model *model;
    struct sto_engine *engine;
    struct sto_session *session;
    uint32_t steps, repetitions;
    struct sample samples[N_WAYS][MOST_REPETITIONS];
};

static enum sto_status draw_on_host(struct bench *b, const struct way *w, struct sto_error *err)
{
    struct sto_sampler_params params;
    struct sto_sampler *sampler = NULL;
    uint32_t token = 1;
    sto_sampler_defaults(&params);
    params.temperature = w->temperature;
    enum sto_status status = sto_sampler_create(&params, sto_model_n_vocab(b->model), &sampler, err);
    for (uint32_t i = 0; i < b->steps && status == STO_OK; i++) {
        status = sto_session_eval(b->session, &token, 1, STO_LOGITS_LAST, NULL, err);
        if (status == STO_OK)
            status = sto_sampler_sample(sampler, sto_session_logits(b->session), &token, err);
    }
    sto_sampler_destroy(sampler);
    return status;
}

static enum sto_status draw_on_device(struct bench *b, const struct way *w, struct sto_error *err)
{
    const struct sto_generation_params params = {
        .temperature = w->temperature, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .depth = w->depth};
    uint32_t n = 0;
    return sto_session_generate(b->session, 1, &params, b->steps, NULL, &n, err);
}

static enum sto_status measure(struct bench *b, const struct way *w, struct sample *out, struct sto_error *err)
{
    struct sto_queue_stats before, after;
    sto_session_truncate(b->session, N_PROMPT);
    sto_device_get_queue_stats(b->device, &before);
    const uint64_t allocations = sto_alloc_count(), begin = sto_now_ns();
    const enum sto_status status = w->depth == 0 ? draw_on_host(b, w, err) : draw_on_device(b, w, err);
    const double wall = (double)(sto_now_ns() - begin), n = b->steps;
    sto_device_get_queue_stats(b->device, &after);
    const double submit = (double)(after.submit_ns - before.submit_ns), wait = (double)(after.wait_ns - before.wait_ns);
    *out = (struct sample){.wall = wall / n, .submit = submit / n, .wait = wait / n,
                           .host = (wall - submit - wait) / n, .submits = after.submits - before.submits,
                           .allocations = sto_alloc_count() - allocations};
    return status;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The median of the field that lies `offset` bytes into each sample. */
static double median(const struct sample *samples, uint32_t n, size_t offset)
{
    double values[MOST_REPETITIONS];
    for (uint32_t i = 0; i < n; i++)
        memcpy(&values[i], (const char *)&samples[i] + offset, sizeof values[i]);
    qsort(values, n, sizeof values[0], compare_doubles);
    return values[n / 2];
}

static void print(const struct bench *b)
{
    struct sto_engine_info info;
    sto_engine_get_info(b->engine, &info);
    (void)printf("%s on %s, %u steps, medians of %u; %u dispatches, %u barriers\n", sto_model_name(b->model),
                 sto_device_name(b->device), b->steps, b->repetitions, info.step_dispatches, info.step_barriers);
    (void)printf("%-42s %10s %10s %10s %10s %8s %7s\n", "us per step", "wall", "host", "submit", "wait", "submits",
                 "allocs");
    for (int w = 0; w < N_WAYS; w++) {
        const struct sample *s = b->samples[w];
        (void)printf("%-42s %10.1f %10.1f %10.1f %10.1f %8.2f %7llu\n", ways[w].name,
                     median(s, b->repetitions, offsetof(struct sample, wall)) / 1e3,
                     median(s, b->repetitions, offsetof(struct sample, host)) / 1e3,
                     median(s, b->repetitions, offsetof(struct sample, submit)) / 1e3,
                     median(s, b->repetitions, offsetof(struct sample, wait)) / 1e3,
                     (double)s[0].submits / b->steps, (unsigned long long)s[0].allocations);
    }
}

static enum sto_status run(struct bench *b, const char *model, const char *shape, struct sto_error *err)
{
    static const uint32_t prompt[N_PROMPT] = {1, 2, 3, 4, 5, 6, 7, 8};
    const struct sto_engine_params params = {.ctx_tokens = N_PROMPT + b->steps};
    struct sample ignored;
    enum sto_status status = sto_device_open(&(struct sto_device_params){0}, NULL, &b->device, err);
    if (status == STO_OK)
        status = shape != NULL ? sto_shape_open(shape, 1, &b->model, err)
                               : sto_model_open(model, NULL, NULL, &b->model, err);
    if (status == STO_OK)
        status = sto_engine_create(b->device, b->model, &params, NULL, &b->engine, err);
    if (status == STO_OK)
        status = sto_session_create(b->engine, &b->session, err);
    if (status == STO_OK)
        status = sto_session_eval(b->session, prompt, N_PROMPT, STO_LOGITS_NONE, NULL, err);
    for (int w = 0; w < N_WAYS && status == STO_OK; w++) /* everything is recorded and compiled here */
        status = measure(b, &ways[w], &ignored, err);
    for (uint32_t r = 0; r < b->repetitions; r++) {
        for (int w = 0; w < N_WAYS && status == STO_OK; w++)
            status = measure(b, &ways[w], &b->samples[w][r], err);
    }
    return status;
}

static uint32_t number(const char *text, uint32_t most)
{
    const long value = strtol(text, NULL, 10);
    return value < 1 ? 1 : value > (long)most ? most : (uint32_t)value;
}

int main(int argc, char **argv)
{
    static struct bench b = {.steps = 64, .repetitions = 9};
    const char *model = "models/demo/demo.gguf", *shape = NULL;
    struct sto_error err = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-n") == 0 && i + 1 < argc)
            b.steps = number(argv[++i], MOST_STEPS);
        else if (strcmp(argv[i], "-r") == 0 && i + 1 < argc)
            b.repetitions = number(argv[++i], MOST_REPETITIONS);
        else if (strcmp(argv[i], "--shape") == 0 && i + 1 < argc)
            shape = argv[++i];
        else
            model = argv[i];
    }
    const enum sto_status status = run(&b, model, shape, &err);
    if (status == STO_OK)
        print(&b);
    else
        (void)fprintf(stderr, "step: %s\n", err.message);
    sto_session_destroy(b.session);
    sto_engine_destroy(b.engine);
    sto_model_close(b.model);
    sto_device_close(b.device);
    return status == STO_OK ? 0 : 1;
}

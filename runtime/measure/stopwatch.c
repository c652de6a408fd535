/* Timing of recordings. */
#include "runtime/measure/stopwatch.h"

#include <stdlib.h>
#include <time.h>

#include "runtime/base/os.h"
#include "shaders/shared/args.h"

enum { MAX_SAMPLES = 400, MIN_SAMPLES = 5, MAX_TURNS = 1000, BASELINE_MS = 100 };

enum sto_status sto_stopwatch_create(struct sto_device *device, bool cpu_time, struct sto_stopwatch *out,
                                     struct sto_error *err)
{
    *out = (struct sto_stopwatch){.device = device, .cpu_time = cpu_time};
    enum sto_status status = sto_recording_create(device, &out->recordings[0], err);
    if (status == STO_OK)
        status = sto_recording_create(device, &out->recordings[1], err);
    if (status != STO_OK)
        sto_stopwatch_destroy(out);
    return status;
}

void sto_stopwatch_destroy(struct sto_stopwatch *w)
{
    sto_recording_destroy(w->recordings[0]);
    sto_recording_destroy(w->recordings[1]);
    w->recordings[0] = w->recordings[1] = NULL;
}

static double now_ns(const struct sto_stopwatch *w)
{
    return w->cpu_time ? (double)clock() * (1e9 / CLOCKS_PER_SEC) : (double)sto_device_now_ns(w->device);
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum sto_status run_once(struct sto_stopwatch *w, uint32_t which, double *ns, struct sto_error *err)
{
    uint64_t ticket = 0;
    const double start = now_ns(w);
    enum sto_status status = sto_device_submit(w->device, w->recordings[which], &ticket, err);
    if (status == STO_OK)
        status = sto_device_wait(w->device, ticket, err);
    *ns = now_ns(w) - start;
    return status;
}

/* Submits n finished recordings in turns until time_ms have passed. out: of a whole submission. */
static enum sto_status time_recordings(struct sto_stopwatch *w, uint32_t n, uint32_t time_ms, struct sto_time *out,
                                       struct sto_error *err)
{
    double ns[2][MAX_SAMPLES];
    uint32_t samples = 0;
    const uint64_t end_ns = sto_device_now_ns(w->device) + (uint64_t)time_ms * 1000000;
    for (; samples < MAX_SAMPLES && (samples < MIN_SAMPLES || sto_device_now_ns(w->device) < end_ns); samples++) {
        for (uint32_t i = 0; i < n; i++) {
            const enum sto_status status = run_once(w, i, &ns[i][samples], err);
            if (status != STO_OK)
                return status;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        qsort(ns[i], samples, sizeof **ns, compare_doubles);
        const double median = ns[i][samples / 2];
        out[i] = (struct sto_time){
            .ns = median, .n = samples,
            .spread = median > 0 ? (ns[i][samples * 3 / 4] - ns[i][samples / 4]) / median : 0};
    }
    return STO_OK;
}

/* ---- the baseline ---- */

/* n dispatches that do next to nothing, each after the one before it. */
static enum sto_status time_empty(struct sto_stopwatch *w, const struct sto_buffer *scratch, uint32_t n, double *ns,
                                  struct sto_error *err)
{
    const struct ProbeArgs args = {.x = scratch->address, .y = scratch->address, .n = 4, .factor = 1};
    const struct sto_use use = {scratch->address, 16, STO_READ_WRITE};
    struct sto_time time = {0};

    sto_recording_begin(w->recordings[0]);
    for (uint32_t i = 0; i < n; i++)
        sto_record_dispatch(w->recordings[0], &(struct sto_dispatch){.kernel = STO_KERNEL_probe, .args = &args,
                                                                     .groups = {1, 1, 1}, .uses = &use, .n_uses = 1});
    enum sto_status status = sto_recording_finish(w->recordings[0], err);
    if (status == STO_OK)
        status = time_recordings(w, 1, BASELINE_MS, &time, err); /* warm-up */
    if (status == STO_OK)
        status = time_recordings(w, 1, BASELINE_MS, &time, err);
    *ns = time.ns;
    return status;
}

enum sto_status sto_stopwatch_take_baseline(struct sto_stopwatch *w, struct sto_error *err)
{
    enum { MANY = 65 };
    struct sto_buffer scratch = {0};
    double one = 0, many = 0;
    enum sto_status status = sto_buffer_create(w->device, STO_MEMORY_DEVICE, 256, "scratch", &scratch, err);
    if (status == STO_OK)
        status = time_empty(w, &scratch, 1, &one, err);
    if (status == STO_OK)
        status = time_empty(w, &scratch, MANY, &many, err);
    w->dispatch_ns = many > one ? (many - one) / (MANY - 1) : 0;
    w->submit_ns = one > w->dispatch_ns ? one - w->dispatch_ns : 0;
    sto_buffer_destroy(w->device, &scratch);
    return status;
}

/* ---- cases ---- */

static enum sto_status record(struct sto_stopwatch *w, uint32_t which, struct sto_kernel_case *c, uint32_t turns,
                              struct sto_error *err)
{
    sto_recording_begin(w->recordings[which]);
    for (uint32_t i = 0; i < turns; i++)
        sto_kernel_case_record(c, w->recordings[which], i);
    return sto_recording_finish(w->recordings[which], err);
}

/* From a submission of `turns` operations to one operation. */
static double net_ns(const struct sto_stopwatch *w, uint32_t which, uint32_t turns, double ns)
{
    struct sto_recording_stats stats;
    sto_recording_get_stats(w->recordings[which], &stats);
    return (ns - w->submit_ns - stats.dispatches * w->dispatch_ns) / turns;
}

enum sto_status sto_stopwatch_warm(struct sto_stopwatch *w, struct sto_kernel_case *c, struct sto_error *err)
{
    double ns;
    const enum sto_status status = record(w, 0, c, 1, err);
    return status == STO_OK ? run_once(w, 0, &ns, err) : status;
}

/* Records as many operations as make a submission last a tenth of time_ms; of copies, all of them, or what was read
 * would stay in a cache. */
static enum sto_status fill_submission(struct sto_stopwatch *w, uint32_t which, struct sto_kernel_case *c,
                                       uint32_t time_ms, uint32_t *turns, struct sto_error *err)
{
    const double wanted_ns = 0.1e6 * time_ms;
    double ns = 0;
    *turns = 1;
    enum sto_status status = record(w, which, c, 1, err);
    for (int i = 0; i < 2 && status == STO_OK; i++) /* the first makes pipelines */
        status = run_once(w, which, &ns, err);
    if (status != STO_OK)
        return status;
    const double one = net_ns(w, which, 1, ns), wanted = wanted_ns / (one > 1000 ? one : 1000);
    *turns = wanted < 1 ? 1 : wanted > MAX_TURNS ? MAX_TURNS : (uint32_t)wanted;
    if (c->copies > 1 && *turns < c->copies)
        *turns = c->copies;
    return record(w, which, c, *turns, err);
}

enum sto_status sto_stopwatch_time(struct sto_stopwatch *w, struct sto_kernel_case *c, uint32_t time_ms,
                                   struct sto_time *out, struct sto_error *err)
{
    uint32_t turns;
    enum sto_status status = fill_submission(w, 0, c, time_ms, &turns, err);
    if (status == STO_OK)
        status = time_recordings(w, 1, time_ms, out, err);
    if (status == STO_OK)
        out->ns = net_ns(w, 0, turns, out->ns);
    return status;
}

enum sto_status sto_stopwatch_race(struct sto_stopwatch *w, struct sto_kernel_case *const cases[2], uint32_t time_ms,
                                   struct sto_time out[2], struct sto_error *err)
{
    uint32_t turns[2];
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < 2 && status == STO_OK; i++)
        status = fill_submission(w, i, cases[i], time_ms / 2, &turns[i], err);
    if (status == STO_OK)
        status = time_recordings(w, 2, time_ms, out, err);
    for (uint32_t i = 0; i < 2 && status == STO_OK; i++)
        out[i].ns = net_ns(w, i, turns[i], out[i].ns);
    return status;
}

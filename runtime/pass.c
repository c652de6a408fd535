/* The passes of an engine: recorded in parts, handed over one after the other.
 *
 *   device     [embedding, layers][out]              [in][norm, layers][out]              [in][norm, layers, logits]
 *   processor                          [norm, layers]                       [norm, layers]
 *   copies       ...streamed layers come whenever there is a slot for them, also while the processor computes...
 *
 * out and in are the residual on its way between device memory and host memory. All but a few engines have one segment,
 * on the device, and nothing crosses. */
#include "runtime/base/mem.h"
#include "runtime/base/status.h"
#include "runtime/cpu_lane.h"
#include "runtime/engine.h"

/* ---- segments ---- */

static bool has_phase(const struct sto_engine *e, enum sto_phase phase)
{
    return phase == STO_PHASE_DECODE || e->info.phased_layers > 0;
}

static enum sto_status cut(const struct sto_engine *e, enum sto_phase phase, struct sto_pass_cut *out,
                           struct sto_error *err)
{
    const uint32_t n_layers = e->model->h.n_layers;
    uint32_t n_streamed = 0;
    struct sto_pass_segment *s = sto_calloc(2 * (size_t)n_layers + 1, sizeof *s);
    *out = (struct sto_pass_cut){.segments = s, .n = 1}; /* the device's, with the embedding */
    if (s == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u layers", (unsigned)n_layers);
    for (uint32_t l = 0; l < n_layers; l++) {
        const enum sto_lane lane = sto_lane_in(e->lanes[l], phase);
        if ((lane == STO_LANE_CPU) != s[out->n - 1].on_cpu)
            s[out->n++] = (struct sto_pass_segment){
                .on_cpu = lane == STO_LANE_CPU, .first_layer = l, .first_streamed = n_streamed};
        s[out->n - 1].n_layers++;
        n_streamed += lane == STO_LANE_STREAM;
    }
    if (s[out->n - 1].on_cpu) /* logits */
        s[out->n++] = (struct sto_pass_segment){.first_layer = n_layers, .first_streamed = n_streamed};
    return STO_OK;
}

enum sto_status sto_engine_cut(struct sto_engine *e, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    for (int phase = 0; phase < STO_PHASES && status == STO_OK; phase++) {
        if (has_phase(e, (enum sto_phase)phase))
            status = cut(e, (enum sto_phase)phase, &e->cuts[phase], err);
    }
    return status;
}

enum sto_status sto_parts_create(struct sto_engine *e, enum sto_phase phase, struct sto_parts **out,
                                 struct sto_error *err)
{
    const struct sto_pass_cut *c = &e->cuts[phase];
    enum sto_status status = STO_OK;
    struct sto_parts *parts = sto_calloc(1, sizeof *parts + c->n * sizeof parts->at[0]);
    *out = NULL;
    if (parts == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for recordings of %u segments", (unsigned)c->n);
    parts->phase = phase;
    parts->n = c->n;
    for (uint32_t i = 0; i < parts->n && status == STO_OK; i++) {
        if (!c->segments[i].on_cpu)
            status = sto_recording_create(e->device, &parts->at[i], err);
    }
    if (status != STO_OK) {
        sto_parts_destroy(parts);
        return status;
    }
    *out = parts;
    return STO_OK;
}

void sto_parts_destroy(struct sto_parts *parts)
{
    for (uint32_t i = 0; parts != NULL && i < parts->n; i++)
        sto_recording_destroy(parts->at[i]);
    sto_free(parts);
}

/* ---- recording ---- */

struct sto_forward sto_engine_forward(struct sto_engine *e, struct sto_recording *rec, uint32_t n_cols,
                                      uint32_t max_tokens)
{
    return (struct sto_forward){
        .ops = {.rec = rec,
                .plan = sto_device_get_plan(e->device),
                .pieces = e->piece_table.address,
                .counters = e->counters.address,
                .math = e->params.math,
                .deterministic = e->params.deterministic},
        .weights = &e->weights,
        .rope_freqs = e->rope_freqs,
        .scratch = e->scratch.address,
        .step_host = e->step_host.address,
        .step = e->step.address,
        .groups = &e->groups,
        .kv = e->kv,
        .n_cols = n_cols,
        .max_cols = e->info.ubatch_tokens,
        .ctx_tokens = e->info.ctx_tokens,
        .max_tokens = max_tokens,
    };
}

/* The layers of a segment, between waits for those that are streamed. The KV cache of phased layers moves within the
 * batch of their kernels. */
static void record_layers(struct sto_engine *e, struct sto_forward *f, enum sto_phase phase,
                          const struct sto_pass_segment *segment, const struct sto_work *work)
{
    struct sto_recording *rec = f->ops.rec;
    struct sto_copy *copy = e->copies[phase];
    struct sto_recording_stats before, after;
    sto_recording_get_stats(rec, &before);
    uint32_t n_streamed = segment->first_streamed;
    for (uint32_t l = segment->first_layer; l < segment->first_layer + segment->n_layers; l++) {
        const bool phased = e->lanes[l] == STO_LANE_PHASED;
        const bool streamed = sto_lane_in(e->lanes[l], phase) == STO_LANE_STREAM;
        if (streamed)
            sto_copy_record_begin(copy, rec, n_streamed);
        if (phased)
            sto_phase_record_kv(e, rec, l, work, false);
        e->model->vtable->record_layer(e->model, f, l);
        if (phased)
            sto_phase_record_kv(e, rec, l, work, true);
        if (streamed)
            sto_copy_record_end(copy, rec, n_streamed++);
    }
    sto_recording_get_stats(rec, &after);
    if (f->n_cols == 1) {
        e->info.layer_dispatches += after.dispatches - before.dispatches;
        e->info.layer_barriers += after.barriers - before.barriers;
    }
}

static void record_logits(struct sto_engine *e, struct sto_forward *f, uint32_t first_col, uint32_t n_rows)
{
    const struct sto_tensor logits = {.address = e->logits.address, .rows = n_rows, .cols = e->model->h.n_vocab,
                                      .stride = e->logit_stride};
    e->model->vtable->record_logits(e->model, f, first_col, n_rows, logits);
}

void sto_engine_record_rows(struct sto_engine *e, struct sto_forward *f, uint32_t first_col, uint32_t n_rows)
{
    record_logits(e, f, first_col, n_rows);
    sto_record_copy(f->ops.rec, &e->readback, 0, &e->logits, 0, (uint64_t)n_rows * e->logit_stride * sizeof(float));
}

/* What layers hand on, from the scratch to host memory or back. */
static void record_crossing(struct sto_engine *e, const struct sto_forward *f, bool out)
{
    const struct sto_tensor x = e->model->vtable->residual(e->model, f);
    const uint64_t at = x.address - e->scratch.address, bytes = (uint64_t)x.rows * x.stride * sizeof(float);
    if (out)
        sto_record_copy(f->ops.rec, &e->crossing_out, 0, &e->scratch, at, bytes);
    else
        sto_record_copy(f->ops.rec, &e->scratch, at, &e->crossing_in, 0, bytes);
}

static enum sto_status record_part(struct sto_engine *e, const struct sto_parts *parts, uint32_t i,
                                   const struct sto_work *work, struct sto_error *err)
{
    const struct sto_pass_segment *segment = &e->cuts[parts->phase].segments[i];
    struct sto_recording *rec = parts->at[i];
    struct sto_forward f = sto_engine_forward(e, rec, work->n_cols, work->max_tokens);
    f.runs = work->runs;
    f.n_runs = work->n_runs;
    f.logit_cols = work->logit_cols;
    if (work->chained)
        f.step_host = 0;
    sto_recording_begin(rec);
    if (i == 0) {
        e->model->vtable->record_begin(e->model, &f);
    } else {
        record_crossing(e, &f, false);
        e->model->vtable->record_resume(e->model, &f, segment->first_layer);
    }
    record_layers(e, &f, parts->phase, segment, work);
    if (i + 1 < parts->n) {
        record_crossing(e, &f, true);
    } else if (work->chained) {
        record_logits(e, &f, 0, 1);
        sto_chain_record_draw(e, &f);
    } else if (work->n_rows > 0) {
        sto_engine_record_rows(e, &f, work->first_col, work->n_rows);
    }
    return sto_recording_finish(rec, err);
}

/* The figures of a decode step. */
static void note_step(struct sto_engine *e, const struct sto_parts *parts)
{
    e->info.step_dispatches = e->info.step_barriers = 0;
    for (uint32_t i = 0; i < parts->n; i++) {
        struct sto_recording_stats stats = {0};
        if (parts->at[i] != NULL)
            sto_recording_get_stats(parts->at[i], &stats);
        e->info.step_dispatches += stats.dispatches;
        e->info.step_barriers += stats.barriers;
    }
}

enum sto_status sto_parts_record(struct sto_engine *e, struct sto_parts *parts, const struct sto_work *work,
                                 struct sto_error *err)
{
    enum sto_status status = STO_OK;
    if (work->n_cols == 1)
        e->info.layer_dispatches = e->info.layer_barriers = 0;
    for (uint32_t i = 0; i < parts->n && status == STO_OK; i++) {
        if (parts->at[i] != NULL)
            status = record_part(e, parts, i, work, err);
    }
    if (status == STO_OK && work->n_cols == 1 && (work->chained || work->n_rows > 0))
        note_step(e, parts);
    return status;
}

/* ---- running ---- */

static enum sto_status submit(struct sto_engine *e, enum sto_phase phase, struct sto_recording *rec, uint64_t *ticket,
                              struct sto_error *err)
{
    struct sto_recording_stats stats;
    sto_recording_get_stats(rec, &stats);
    return stats.waits > 0 ? sto_copy_submit(e->copies[phase], rec, ticket, err)
                           : sto_device_submit(e->device, rec, ticket, err);
}

enum sto_status sto_engine_wait(struct sto_engine *e, uint64_t ticket, struct sto_error *err)
{
    const enum sto_status status = sto_device_wait(e->device, ticket, err);
    struct sto_copy *copy = e->copies[STO_PHASE_DECODE]; /* beside phased layers nothing is read from disk */
    return status == STO_OK && copy != NULL ? sto_copy_check(copy, err) : status;
}

static void trace(struct sto_engine *e, const struct sto_recording *rec, uint32_t n_cols)
{
    const struct sto_span_ns *spans = NULL;
    const uint32_t n = e->trace != NULL ? sto_recording_spans(rec, &spans) : 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct sto_trace_span span = {.track = STO_TRACE_COMPUTE, .name = "batch", .number = e->traced_batches++,
                                            .begin_ns = spans[i].begin_ns, .end_ns = spans[i].end_ns,
                                            .columns = n_cols};
        sto_trace_add(e->trace, &span);
    }
}

static enum sto_status wait(struct sto_engine *e, const struct sto_recording *rec, uint32_t n_cols, uint64_t ticket,
                            struct sto_error *err)
{
    const enum sto_status status = sto_engine_wait(e, ticket, err);
    if (status == STO_OK)
        trace(e, rec, n_cols);
    return status;
}

enum sto_status sto_parts_submit(struct sto_engine *e, struct sto_parts *parts, const struct sto_work *work,
                                 uint64_t *ticket, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    sto_phase_begin(e, parts->phase);
    for (uint32_t i = 0; i < parts->n && status == STO_OK; i++) {
        const struct sto_pass_segment *segment = &e->cuts[parts->phase].segments[i];
        if (segment->on_cpu) {
            sto_cpu_lane_cross(e->cpu_lane, segment->first_layer, segment->n_layers, work);
            continue;
        }
        status = submit(e, parts->phase, parts->at[i], ticket, err);
        if (status == STO_OK && i + 1 < parts->n)
            status = wait(e, parts->at[i], work->n_cols, *ticket, err);
    }
    if (status != STO_OK && e->copies[parts->phase] != NULL)
        sto_copy_abandon(e->copies[parts->phase]);
    return status;
}

enum sto_status sto_parts_wait(struct sto_engine *e, struct sto_parts *parts, uint32_t n_cols, uint64_t ticket,
                               struct sto_error *err)
{
    return wait(e, parts->at[parts->n - 1], n_cols, ticket, err);
}

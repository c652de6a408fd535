/* Recording the passes of an engine: all layers over some columns, and their logits. */
#include "runtime/engine.h"

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

void sto_engine_record_layers(struct sto_engine *e, struct sto_forward *f)
{
    struct sto_recording_stats before, after;
    e->model->vtable->record_begin(e->model, f);
    sto_recording_get_stats(f->ops.rec, &before);
    uint32_t n_streamed = 0;
    for (uint32_t l = 0; l < e->model->h.n_layers; l++) {
        const bool streamed = e->slot_of[l] != NULL;
        if (streamed)
            sto_copy_record_begin(e->copy, f->ops.rec, n_streamed);
        e->model->vtable->record_layer(e->model, f, l);
        if (streamed)
            sto_copy_record_end(e->copy, f->ops.rec, n_streamed++);
    }
    sto_recording_get_stats(f->ops.rec, &after);
    if (f->n_cols == 1) {
        e->info.layer_dispatches = after.dispatches - before.dispatches;
        e->info.layer_barriers = after.barriers - before.barriers;
    }
}

void sto_engine_record_logits(struct sto_engine *e, struct sto_forward *f, uint32_t first_col, uint32_t n_rows)
{
    const struct sto_tensor logits = {.address = e->logits.address, .rows = n_rows, .cols = e->model->h.n_vocab,
                                      .stride = e->logit_stride};
    e->model->vtable->record_logits(e->model, f, first_col, n_rows, logits);
}

void sto_engine_note_step(struct sto_engine *e, const struct sto_recording *rec)
{
    struct sto_recording_stats stats;
    sto_recording_get_stats(rec, &stats);
    e->info.step_dispatches = stats.dispatches;
    e->info.step_barriers = stats.barriers;
}

enum sto_status sto_engine_submit(struct sto_engine *e, struct sto_recording *rec, uint64_t *ticket,
                                  struct sto_error *err)
{
    struct sto_recording_stats stats;
    sto_recording_get_stats(rec, &stats);
    return stats.waits > 0 ? sto_copy_submit(e->copy, rec, ticket, err)
                           : sto_device_submit(e->device, rec, ticket, err);
}

void sto_engine_trace(struct sto_engine *e, const struct sto_recording *rec, uint32_t n_cols)
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

/* The cpu lane's memory, weights and passes; see cpu_lane.h. */
#include "runtime/cpu_lane.h"

#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/cpu/cpu.h"
#include "runtime/fit.h"
#include "runtime/formats/formats.h"

struct sto_cpu_lane {
    struct sto_engine *engine;
    struct sto_cpu *cpu;
    struct sto_device_weights weights; /* addresses are host pointers */
    uint8_t **made;                    /* [n_weights] memory of those that do not lie in a file; NULL: none */
    struct sto_arena vectors;          /* norms and biases as f32 */
    uint8_t *scratch, *step;
    float *logits;
    uint64_t *kv_table;                /* [n_layers, n_sequences, kv_pages] */
    struct sto_kv_layer *kv;           /* [n_layers] */
    uint8_t *pages[STO_MAX_SEQUENCES]; /* [n_layers, kv_pages, kv_page_bytes]; NULL: no such sequence */
};

bool sto_cpu_lane_wanted(const struct sto_engine *e)
{
    bool all = e->params.lanes != NULL;
    for (uint32_t l = 0; all && l < e->model->h.n_layers; l++)
        all = e->params.lanes[l] == STO_LANE_CPU;
    return all || e->device == NULL;
}

static uint64_t address_of(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

/* ---- sizes ---- */

static enum sto_status choose_context(struct sto_engine *e, struct sto_error *err)
{
    const struct sto_hparams *h = &e->model->h;
    const struct sto_model_vtable *v = e->model->vtable;
    const uint32_t ub = e->info.ubatch_tokens;
    const uint64_t ram = sto_ram_bytes(), scratch = v->scratch_bytes(e->model, ub, KV_PAGE);
    struct sto_fit_input in = {
        .where = "in main memory",
        .available_bytes = ram != 0 ? ram - ram / 8 : UINT64_MAX,
        .kv_bytes_per_token = e->info.kv_bytes_per_token * (e->params.n_sequences > 1 ? e->params.n_sequences : 1),
        .fixed_bytes = scratch + (uint64_t)e->logit_rows * e->logit_stride * sizeof(float),
        .scratch_bytes_per_token = (v->scratch_bytes(e->model, ub, 9 * KV_PAGE) - scratch) / (8 * KV_PAGE) + 1,
        .trained_tokens = h->n_ctx_train,
        .wanted_tokens = e->params.ctx_tokens,
        .granule_tokens = KV_PAGE,
    };
    for (uint32_t i = 0; i < e->model->n_weights; i++)
        in.weight_bytes += e->model->weights[i].bytes;
    e->info.cpu_bytes = in.weight_bytes;
    const enum sto_status status = sto_fit_context(&in, &e->info.ctx_tokens, err);
    if (status != STO_OK)
        sto_error_prefix(err, "%s", e->model->path);
    return status;
}

static enum sto_status create_cpu(struct sto_cpu_lane *lane, struct sto_error *err)
{
    const struct sto_engine *e = lane->engine;
    const struct sto_hparams *h = &e->model->h;
    struct sto_cpu_params params = {
        .n_threads = e->params.n_threads,
        .level = e->params.cpu_level,
        .max_cols = e->info.ubatch_tokens,
        .max_group = h->n_heads / h->n_kv_heads,
        .head_dim = h->head_dim,
    };
    for (uint32_t i = 0; i < e->model->n_weights; i++) {
        if (e->model->weights[i].cols > params.max_in)
            params.max_in = e->model->weights[i].cols;
    }
    return sto_cpu_create(&params, &lane->cpu, err);
}

static enum sto_status create_memory(struct sto_cpu_lane *lane, struct sto_error *err)
{
    struct sto_engine *e = lane->engine;
    const struct sto_hparams *h = &e->model->h;
    e->kv_pages = (e->info.ctx_tokens + KV_PAGE - 1) / KV_PAGE;
    e->kv_page_bytes = sto_kv_page_bytes(e->kv_type, h->n_kv_heads, h->head_dim);
    e->info.scratch_bytes = e->model->vtable->scratch_bytes(e->model, e->info.ubatch_tokens, e->info.ctx_tokens);
    const size_t slots = sto_device_weight_index(STO_W_FIRST_OF_LAYER, h->n_layers);
    const size_t row = (size_t)e->n_sequences * e->kv_pages;
    lane->weights.weights = sto_calloc(slots, sizeof *lane->weights.weights);
    lane->made = sto_calloc(e->model->n_weights, sizeof *lane->made);
    lane->scratch = sto_calloc(1, (size_t)e->info.scratch_bytes);
    lane->step = sto_calloc(1, (size_t)sto_engine_step_bytes(e->info.ubatch_tokens));
    lane->logits = sto_calloc((size_t)e->logit_rows * e->logit_stride, sizeof(float));
    lane->kv_table = sto_calloc(h->n_layers * row, sizeof *lane->kv_table);
    lane->kv = sto_calloc(h->n_layers, sizeof *lane->kv);
    if (lane->weights.weights == NULL || lane->made == NULL || lane->scratch == NULL || lane->step == NULL ||
        lane->logits == NULL || lane->kv_table == NULL || lane->kv == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for activations and logits of the cpu lane");
    for (uint32_t l = 0; l < h->n_layers; l++)
        lane->kv[l] = (struct sto_kv_layer){.type = e->kv_type, .table = address_of(lane->kv_table + l * row),
                                            .pages = e->kv_pages, .n_kv_heads = h->n_kv_heads,
                                            .head_dim = h->head_dim};
    e->step_host.mapped = lane->step;
    e->readback.mapped = lane->logits;
    return STO_OK;
}

/* ---- weights ---- */

static const float *place_vector(struct sto_cpu_lane *lane, const struct sto_model_weight *w, struct sto_error *err)
{
    const struct sto_model *m = lane->engine->model;
    float *values = sto_arena_alloc(&lane->vectors, w->cols, sizeof *values);
    uint8_t *raw = sto_calloc(1, (size_t)w->bytes);
    if (values == NULL || raw == NULL) {
        (void)sto_fail(err, STO_ERR_NO_FIT, "%s: no memory for tensor '%s'", m->path, w->name);
        values = NULL;
    } else if (m->vtable->read_weight(m, w, 0, raw, (size_t)w->bytes, err) != STO_OK) {
        values = NULL;
    } else {
        sto_decode(w->type, raw, values, w->cols);
    }
    sto_free(raw);
    return values;
}

/* In the file's map; else in memory of its own, read or made. NULL: err says why. */
static const uint8_t *place_matrix(struct sto_cpu_lane *lane, uint32_t i, struct sto_error *err)
{
    const struct sto_model *m = lane->engine->model;
    const struct sto_model_weight *w = &m->weights[i];
    const uint8_t *mapped = m->vtable->map_weight != NULL ? m->vtable->map_weight(m, w) : NULL;
    if (mapped != NULL)
        return mapped;
    lane->made[i] = sto_calloc(1, (size_t)w->bytes);
    if (lane->made[i] == NULL) {
        (void)sto_fail(err, STO_ERR_NO_FIT, "%s: no memory for tensor '%s'", m->path, w->name);
        return NULL;
    }
    if (m->random == NULL)
        return m->vtable->read_weight(m, w, 0, lane->made[i], (size_t)w->bytes, err) == STO_OK ? lane->made[i] : NULL;
    sto_random_bytes(&m->random[i].block, m->random[i].seed, 0, lane->made[i], (size_t)w->bytes);
    return lane->made[i];
}

static enum sto_status place_weights(struct sto_cpu_lane *lane, const struct sto_callbacks *callbacks,
                                     struct sto_error *err)
{
    const struct sto_engine *e = lane->engine;
    struct sto_error why = {0};
    uint64_t done = 0;
    for (uint32_t i = 0; i < e->model->n_weights; i++) {
        const struct sto_model_weight *w = &e->model->weights[i];
        struct sto_weight *to = &lane->weights.weights[sto_device_weight_index(w->role, w->layer)];
        const bool vector = sto_weight_is_vector(w);
        const void *at = vector ? (const void *)place_vector(lane, w, &why) : place_matrix(lane, i, &why);
        if (at == NULL) {
            if (err != NULL)
                *err = why;
            return why.status;
        }
        *to = (struct sto_weight){.type = vector ? STO_TYPE_F32 : w->type, .rows = w->rows, .cols = w->cols,
                                  .offset = address_of(at), .address = address_of(at)};
        done += w->bytes;
        if (sto_progress(callbacks, "weights", done, e->info.cpu_bytes))
            return sto_fail(err, STO_ERR_CANCELLED, "loading was cancelled");
    }
    return STO_OK;
}

/* ---- the whole ---- */

enum sto_status sto_cpu_lane_create(struct sto_engine *e, const struct sto_callbacks *callbacks,
                                    struct sto_error *err)
{
    struct sto_cpu_lane *lane = sto_calloc(1, sizeof *lane);
    if (lane == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for the cpu lane");
    lane->engine = e;
    e->cpu_lane = lane;
    enum sto_status status = choose_context(e, err);
    if (status == STO_OK)
        status = create_cpu(lane, err);
    if (status == STO_OK)
        status = create_memory(lane, err);
    if (status == STO_OK)
        status = place_weights(lane, callbacks, err);
    if (status != STO_OK)
        return status;
    e->info.cpu_layers = e->model->h.n_layers;
    e->info.cpu_threads = sto_cpu_n_threads(lane->cpu);
    e->info.cpu_level = sto_cpu_level_name(lane->cpu);
    return STO_OK;
}

void sto_cpu_lane_destroy(struct sto_engine *e)
{
    struct sto_cpu_lane *lane = e->cpu_lane;
    if (lane == NULL)
        return;
    for (uint32_t i = 0; lane->made != NULL && i < e->model->n_weights; i++)
        sto_free(lane->made[i]);
    for (uint32_t s = 0; s < STO_MAX_SEQUENCES; s++)
        sto_free(lane->pages[s]);
    sto_cpu_destroy(lane->cpu);
    sto_arena_free(&lane->vectors);
    sto_free(lane->weights.weights);
    sto_free(lane->made);
    sto_free(lane->scratch);
    sto_free(lane->step);
    sto_free(lane->logits);
    sto_free(lane->kv_table);
    sto_free(lane->kv);
    sto_free(lane);
    e->cpu_lane = NULL;
    e->step_host.mapped = e->readback.mapped = NULL;
}

/* ---- sequences ---- */

static uint64_t layer_pages_bytes(const struct sto_engine *e)
{
    return e->kv_pages * e->kv_page_bytes;
}

enum sto_status sto_cpu_lane_open_sequence(struct sto_cpu_lane *lane, uint32_t sequence, struct sto_error *err)
{
    const struct sto_engine *e = lane->engine;
    const uint32_t n_layers = e->model->h.n_layers;
    uint8_t *pages = sto_calloc(n_layers, (size_t)layer_pages_bytes(e)); /* the system gives pages when written */
    if (pages == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for the KV cache");
    lane->pages[sequence] = pages;
    for (uint32_t l = 0; l < n_layers; l++) {
        uint64_t *row = lane->kv_table + ((size_t)l * e->n_sequences + sequence) * e->kv_pages;
        for (uint32_t p = 0; p < e->kv_pages; p++)
            row[p] = address_of(pages + l * layer_pages_bytes(e) + p * e->kv_page_bytes);
    }
    return STO_OK;
}

void sto_cpu_lane_close_sequence(struct sto_cpu_lane *lane, uint32_t sequence)
{
    sto_free(lane->pages[sequence]);
    lane->pages[sequence] = NULL;
}

void sto_cpu_lane_randomise(struct sto_cpu_lane *lane, uint32_t sequence, uint32_t n_tokens, uint64_t seed)
{
    const struct sto_engine *e = lane->engine;
    const struct sto_random_block block = sto_random_block_make(e->kv_type, 1.0f);
    const uint64_t bytes = (uint64_t)((n_tokens + KV_PAGE - 1) / KV_PAGE) * e->kv_page_bytes;
    for (uint32_t l = 0; l < e->model->h.n_layers; l++)
        sto_random_bytes(&block, seed + l, 0, lane->pages[sequence] + l * layer_pages_bytes(e), (size_t)bytes);
}

/* ---- passes ---- */

static struct sto_forward forward(struct sto_cpu_lane *lane, uint32_t n_cols)
{
    const struct sto_engine *e = lane->engine;
    return (struct sto_forward){
        .ops = {.cpu = lane->cpu, .math = e->params.math, .deterministic = e->params.deterministic},
        .weights = &lane->weights,
        .rope_freqs = address_of(e->model->rope_freqs),
        .scratch = address_of(lane->scratch),
        .step = address_of(lane->step),
        .kv = lane->kv,
        .n_cols = n_cols,
        .max_cols = e->info.ubatch_tokens,
        .ctx_tokens = e->info.ctx_tokens,
    };
}

void sto_cpu_lane_run(struct sto_cpu_lane *lane, uint32_t n_cols)
{
    const struct sto_model *m = lane->engine->model;
    struct sto_forward f = forward(lane, n_cols);
    m->vtable->record_begin(m, &f);
    for (uint32_t l = 0; l < m->h.n_layers; l++)
        m->vtable->record_layer(m, &f, l);
}

void sto_cpu_lane_logits(struct sto_cpu_lane *lane, uint32_t n_cols, uint32_t first_col, uint32_t n_rows)
{
    const struct sto_engine *e = lane->engine;
    struct sto_forward f = forward(lane, n_cols);
    const struct sto_tensor logits = {.address = address_of(lane->logits), .rows = n_rows,
                                      .cols = e->model->h.n_vocab, .stride = e->logit_stride};
    e->model->vtable->record_logits(e->model, &f, first_col, n_rows, logits);
}

void sto_cpu_lane_run_together(struct sto_cpu_lane *lane, uint32_t n_cols, const struct sto_column_run *runs,
                               uint32_t n_runs, const uint32_t *logit_cols, uint32_t n_rows)
{
    const struct sto_engine *e = lane->engine;
    const struct sto_model *m = e->model;
    struct sto_forward f = forward(lane, n_cols);
    const struct sto_tensor logits = {.address = address_of(lane->logits), .rows = n_rows, .cols = m->h.n_vocab,
                                      .stride = e->logit_stride};
    f.runs = runs;
    f.n_runs = n_runs;
    f.logit_cols = logit_cols;
    m->vtable->record_begin(m, &f);
    for (uint32_t l = 0; l < m->h.n_layers; l++)
        m->vtable->record_layer(m, &f, l);
    if (n_rows > 0)
        m->vtable->record_logits(m, &f, 0, n_rows, logits);
}

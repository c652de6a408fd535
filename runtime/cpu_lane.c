/* The cpu lane's memory, weights and passes; see cpu_lane.h. */
#include "runtime/cpu_lane.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/cpu/cpu.h"
#include "runtime/cpu_weights.h"
#include "runtime/fit.h"
#include "runtime/host_memory.h"
#include "runtime/vk/simulator.h"

struct sto_cpu_lane {
    struct sto_engine *engine;
    struct sto_cpu *cpu;
    struct sto_cpu_weights weights;
    uint8_t *scratch, *step;
    float *logits;                     /* NULL: a device makes them */
    uint64_t *kv_table;                /* [layers of the lane, n_sequences, kv_pages] */
    struct sto_kv_layer *kv;           /* [n_layers] */
    uint8_t *pages[STO_MAX_SEQUENCES]; /* [layers that are not phased, kv_pages, kv_page_bytes]; NULL: none */
};

static bool is_phased(const struct sto_engine *e, uint32_t layer)
{
    return e->device != NULL && e->lanes[layer] == STO_LANE_PHASED;
}

static bool is_here(const struct sto_engine *e, uint32_t layer)
{
    return e->device == NULL || sto_lane_in(e->lanes[layer], STO_PHASE_DECODE) == STO_LANE_CPU;
}

static uint64_t address_of(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

/* ---- sizes ---- */

/* The lane's own logits: where there is a device, it makes them. */
static uint64_t logits_bytes(const struct sto_engine *e)
{
    return e->device == NULL ? (uint64_t)e->logit_rows * e->logit_stride * sizeof(float) : 0;
}

static uint64_t table_row(const struct sto_engine *e) /* entries of a layer */
{
    return (uint64_t)e->n_sequences * e->kv_pages;
}

enum sto_status sto_cpu_lane_fit(struct sto_engine *e, uint32_t n_layers, uint64_t other_bytes, struct sto_error *err)
{
    const struct sto_hparams *h = &e->model->h;
    const struct sto_model_vtable *v = e->model->vtable;
    const uint32_t ub = e->info.ubatch_tokens, most = e->info.ctx_tokens;
    const uint64_t scratch = v->scratch_bytes(e->model, ub, KV_PAGE);
    const uint64_t longer = v->scratch_bytes(e->model, ub, 9 * KV_PAGE);
    const struct sto_fit_input in = {
        .where = "in main memory",
        .option = "--ram",
        .available_bytes = e->info.ram_bytes,
        .weight_bytes = sto_cpu_weights_room(e->model, e->device != NULL ? e->lanes : NULL) + other_bytes,
        .kv_bytes_per_token = e->info.kv_bytes_per_token / h->n_layers * n_layers * e->params.n_sequences,
        .fixed_bytes = scratch + sto_engine_step_bytes(ub) + logits_bytes(e),
        /* attention's partial results, and a page's address for each sequence */
        .scratch_bytes_per_token = (longer - scratch + 8 * KV_PAGE - 1) / (8 * KV_PAGE) +
                                   (e->n_sequences * sizeof(uint64_t) * n_layers + KV_PAGE - 1) / KV_PAGE,
        .trained_tokens = h->n_ctx_train,
        .wanted_tokens = e->params.ctx_tokens,
        .granule_tokens = KV_PAGE,
    };
    const enum sto_status status = sto_fit_context(&in, &e->info.ctx_tokens, err);
    if (most != 0 && most < e->info.ctx_tokens)
        e->info.ctx_tokens = most;
    return status;
}

uint64_t sto_cpu_lane_bytes(struct sto_engine *e)
{
    const uint32_t ub = e->info.ubatch_tokens;
    if (e->info.cpu_layers == 0)
        return 0;
    sto_engine_size_kv(e);
    const uint64_t kv = e->kv_pages * e->kv_page_bytes * e->params.n_sequences;
    return sto_cpu_weights_room(e->model, e->device != NULL ? e->lanes : NULL) +
           (e->info.cpu_layers - e->info.phased_layers) * kv + e->info.cpu_layers * table_row(e) * sizeof(uint64_t) +
           e->model->vtable->scratch_bytes(e->model, ub, e->info.ctx_tokens) + sto_engine_step_bytes(ub) +
           logits_bytes(e);
}

static enum sto_status choose_context(struct sto_engine *e, struct sto_error *err)
{
    const uint64_t ram = sto_ram_bytes(), most = ram != 0 ? ram - ram / 8 : UINT64_MAX;
    for (uint32_t i = 0; i < e->model->n_weights; i++)
        e->info.cpu_bytes += e->model->weights[i].bytes;
    e->info.cpu_layers = e->model->h.n_layers;
    e->info.ram_bytes = e->params.ram_bytes != 0 ? e->params.ram_bytes : most;
    const enum sto_status status = sto_cpu_lane_fit(e, e->info.cpu_layers, 0, err);
    if (status != STO_OK) {
        sto_error_prefix(err, "%s", e->model->path);
        return status;
    }
    e->info.host_bytes = sto_cpu_lane_bytes(e);
    e->info.scratch_bytes = e->model->vtable->scratch_bytes(e->model, e->info.ubatch_tokens, e->info.ctx_tokens);
    return STO_OK;
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

/* Where there is a device, it makes the logits. */
static enum sto_status create_logits(struct sto_cpu_lane *lane, struct sto_error *err)
{
    struct sto_engine *e = lane->engine;
    if (e->device != NULL)
        return STO_OK;
    lane->logits = sto_host_alloc(logits_bytes(e));
    if (lane->logits == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for logits");
    e->step_host.mapped = lane->step;
    e->readback.mapped = lane->logits;
    return STO_OK;
}

static enum sto_status create_memory(struct sto_cpu_lane *lane, struct sto_error *err)
{
    struct sto_engine *e = lane->engine;
    const struct sto_hparams *h = &e->model->h;
    const uint64_t row = table_row(e);
    lane->scratch = sto_host_alloc(e->info.scratch_bytes);
    lane->step = sto_host_alloc(sto_engine_step_bytes(e->info.ubatch_tokens));
    lane->kv_table = sto_host_alloc(e->info.cpu_layers * row * sizeof *lane->kv_table);
    lane->kv = sto_calloc(h->n_layers, sizeof *lane->kv);
    if (lane->scratch == NULL || lane->step == NULL || lane->kv_table == NULL || lane->kv == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for activations of the cpu lane");
    for (uint32_t l = 0, n = 0; l < h->n_layers; l++) {
        if (is_here(e, l))
            lane->kv[l] = (struct sto_kv_layer){.type = e->kv_type, .table = address_of(lane->kv_table + n++ * row),
                                                .pages = e->kv_pages, .n_kv_heads = h->n_kv_heads,
                                                .head_dim = h->head_dim};
    }
    return create_logits(lane, err);
}

/* Matrices of phased layers lie where the copy engine reads them. */
static void find_phased_weights(struct sto_cpu_lane *lane)
{
    const struct sto_engine *e = lane->engine;
    for (uint32_t i = 0; e->device != NULL && i < e->model->n_weights; i++) {
        const struct sto_model_weight *w = &e->model->weights[i];
        const uint32_t at = sto_device_weight_index(w->role, w->layer);
        if (w->role < STO_W_FIRST_OF_LAYER || !is_phased(e, w->layer) || sto_weight_is_vector(w))
            continue;
        struct sto_weight *to = &lane->weights.table.weights[at];
        *to = e->weights.weights[at];
        to->address = to->offset = address_of(e->pieces[to->piece].mapped) + to->offset;
    }
}

/* ---- the whole ---- */

enum sto_status sto_cpu_lane_create(struct sto_engine *e, struct sto_error *err)
{
    struct sto_cpu_lane *lane = sto_calloc(1, sizeof *lane);
    if (lane == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for the cpu lane");
    lane->engine = e;
    e->cpu_lane = lane;
    enum sto_status status = e->device == NULL ? choose_context(e, err) : STO_OK;
    if (status == STO_OK)
        status = create_cpu(lane, err);
    if (status == STO_OK)
        status = create_memory(lane, err);
    if (status == STO_OK)
        status = sto_cpu_weights_create(e->model, e->device != NULL ? e->lanes : NULL, &lane->weights, err);
    if (status != STO_OK)
        return status;
    find_phased_weights(lane);
    e->info.cpu_threads = sto_cpu_n_threads(lane->cpu);
    e->info.cpu_level = sto_cpu_level_name(lane->cpu);
    return STO_OK;
}

void sto_cpu_lane_destroy(struct sto_engine *e)
{
    struct sto_cpu_lane *lane = e->cpu_lane;
    if (lane == NULL)
        return;
    for (uint32_t s = 0; s < STO_MAX_SEQUENCES; s++)
        sto_cpu_lane_close_sequence(lane, s);
    sto_cpu_destroy(lane->cpu);
    sto_cpu_weights_destroy(&lane->weights);
    sto_host_free(lane->scratch, e->info.scratch_bytes);
    sto_host_free(lane->step, sto_engine_step_bytes(e->info.ubatch_tokens));
    sto_host_free(lane->logits, logits_bytes(e));
    sto_host_free(lane->kv_table, e->info.cpu_layers * table_row(e) * sizeof *lane->kv_table);
    sto_free(lane->kv);
    sto_free(lane);
    e->cpu_lane = NULL;
    if (e->device == NULL)
        e->step_host.mapped = e->readback.mapped = NULL;
}

const struct sto_device_weights *sto_cpu_lane_weights(const struct sto_cpu_lane *lane)
{
    return &lane->weights.table;
}

/* ---- sequences ---- */

static uint64_t layer_pages_bytes(const struct sto_engine *e)
{
    return e->kv_pages * e->kv_page_bytes;
}

/* Those of phased layers are the session's. */
static uint32_t layers_with_pages(const struct sto_engine *e)
{
    return e->info.cpu_layers - e->info.phased_layers;
}

enum sto_status sto_cpu_lane_open_sequence(struct sto_cpu_lane *lane, uint32_t sequence, const struct sto_buffer *kv,
                                           struct sto_error *err)
{
    const struct sto_engine *e = lane->engine;
    const uint32_t n_ours = layers_with_pages(e);
    uint8_t *pages = n_ours > 0 ? sto_host_alloc(n_ours * layer_pages_bytes(e)) : NULL; /* given when written */
    if (pages == NULL && n_ours > 0)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for the KV cache");
    lane->pages[sequence] = pages;
    for (uint32_t l = 0, n = 0; l < e->model->h.n_layers; l++) {
        if (!is_here(e, l))
            continue;
        uint64_t *row = (uint64_t *)(uintptr_t)lane->kv[l].table + (size_t)sequence * e->kv_pages;
        const uint64_t first = address_of(is_phased(e, l) ? kv[l].mapped : pages + n++ * layer_pages_bytes(e));
        for (uint32_t p = 0; p < e->kv_pages; p++)
            row[p] = first + p * e->kv_page_bytes;
    }
    return STO_OK;
}

void sto_cpu_lane_close_sequence(struct sto_cpu_lane *lane, uint32_t sequence)
{
    sto_host_free(lane->pages[sequence], layers_with_pages(lane->engine) * layer_pages_bytes(lane->engine));
    lane->pages[sequence] = NULL;
}

void sto_cpu_lane_randomise(struct sto_cpu_lane *lane, uint32_t sequence, uint32_t n_tokens, uint64_t seed)
{
    const struct sto_engine *e = lane->engine;
    const struct sto_random_block block = sto_random_block_make(e->kv_type, 1.0f);
    const uint64_t bytes = (uint64_t)((n_tokens + KV_PAGE - 1) / KV_PAGE) * e->kv_page_bytes;
    for (uint32_t l = 0; l < e->model->h.n_layers; l++) {
        if (!is_here(e, l))
            continue;
        const uint64_t *row = (const uint64_t *)(uintptr_t)lane->kv[l].table + (size_t)sequence * e->kv_pages;
        sto_random_bytes(&block, seed + l, 0, (uint8_t *)(uintptr_t)row[0], (size_t)bytes);
    }
}

/* ---- passes ---- */

static struct sto_forward forward(struct sto_cpu_lane *lane, const struct sto_work *work)
{
    const struct sto_engine *e = lane->engine;
    return (struct sto_forward){
        .ops = {.cpu = lane->cpu, .math = e->params.math, .deterministic = e->params.deterministic},
        .weights = &lane->weights.table,
        .rope_freqs = address_of(e->model->rope_freqs),
        .scratch = address_of(lane->scratch),
        .step = address_of(lane->step),
        .kv = lane->kv,
        .n_cols = work->n_cols,
        .runs = work->runs,
        .n_runs = work->n_runs,
        .logit_cols = work->logit_cols,
        .max_cols = e->info.ubatch_tokens,
        .ctx_tokens = e->info.ctx_tokens,
    };
}

uint8_t *sto_cpu_lane_step(struct sto_cpu_lane *lane)
{
    return lane->step;
}

/* The time that a layer takes on a simulated device's clock. */
static void simulate_layer(struct sto_simulator *sim, const struct sto_model *m, uint32_t layer, uint32_t n_cols)
{
    sto_simulator_compute(sim, sto_cpu_weights_bytes(m, layer, 1), n_cols,
                          2 * sto_cpu_weights_elements(m, layer) * n_cols);
}

static void trace_layers(const struct sto_engine *e, uint32_t first_layer, uint32_t n_layers, uint32_t n_cols,
                         uint64_t begin_ns)
{
    const struct sto_trace_span span = {.track = STO_TRACE_PROCESSOR, .name = "layers from", .number = first_layer,
                                        .begin_ns = begin_ns, .end_ns = sto_device_now_ns(e->device),
                                        .columns = n_cols,
                                        .bytes = sto_cpu_weights_bytes(e->model, first_layer, n_layers)};
    sto_trace_add(e->trace, &span);
}

/* Every layer that the processor computes is computed here. */
static void run_layers(struct sto_cpu_lane *lane, struct sto_forward *f, uint32_t first_layer, uint32_t n_layers)
{
    const struct sto_engine *e = lane->engine;
    struct sto_simulator *sim = sto_device_simulator(e->device);
    const bool runs = sim == NULL || sto_device_runs(e->device);
    const uint64_t begin_ns = e->trace != NULL ? sto_device_now_ns(e->device) : 0;
    for (uint32_t l = first_layer; l < first_layer + n_layers; l++) {
        if (runs)
            e->model->vtable->record_layer(e->model, f, l);
        if (sim != NULL)
            simulate_layer(sim, e->model, l, f->n_cols);
    }
    if (e->trace != NULL)
        trace_layers(e, first_layer, n_layers, f->n_cols, begin_ns);
}

void sto_cpu_lane_run(struct sto_cpu_lane *lane, const struct sto_work *work)
{
    const struct sto_model *m = lane->engine->model;
    struct sto_forward f = forward(lane, work);
    m->vtable->record_begin(m, &f);
    run_layers(lane, &f, 0, m->h.n_layers);
}

void sto_cpu_lane_cross(struct sto_cpu_lane *lane, uint32_t first_layer, uint32_t n_layers, const struct sto_work *work)
{
    const struct sto_engine *e = lane->engine;
    struct sto_forward f = forward(lane, work);
    const struct sto_tensor x = e->model->vtable->residual(e->model, &f);
    const size_t bytes = (size_t)x.rows * x.stride * sizeof(float);
    void *at = (void *)(uintptr_t)x.address;
    memcpy(at, e->crossing_out.mapped, bytes);
    e->model->vtable->record_resume(e->model, &f, first_layer);
    run_layers(lane, &f, first_layer, n_layers);
    memcpy(e->crossing_in.mapped, at, bytes);
}

void sto_cpu_lane_logits(struct sto_cpu_lane *lane, const struct sto_work *work, uint32_t first_col, uint32_t n_rows)
{
    const struct sto_engine *e = lane->engine;
    struct sto_forward f = forward(lane, work);
    const struct sto_tensor logits = {.address = address_of(lane->logits), .rows = n_rows,
                                      .cols = e->model->h.n_vocab, .stride = e->logit_stride};
    e->model->vtable->record_logits(e->model, &f, first_col, n_rows, logits);
}

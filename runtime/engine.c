/* Building an engine: sizes, the context that fits, buffers, weights. */
#include "runtime/engine.h"

#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/cpu_lane.h"
#include "runtime/formats/formats.h"
#include "runtime/selftest.h"

enum { DEFAULT_UBATCH = 512, MAX_UBATCH = 1 << 16, LOGITS_BYTES = 64 << 20 };

uint64_t sto_engine_step_bytes(uint32_t cols)
{
    return sizeof(struct StepHeader) + (uint64_t)cols * sizeof(struct StepColumn);
}

uint64_t sto_engine_crossing_bytes(const struct sto_engine *e)
{
    const uint32_t ub = e->info.ubatch_tokens;
    const struct sto_forward most = {.n_cols = ub, .max_cols = ub, .ctx_tokens = e->info.ctx_tokens};
    return (uint64_t)ub * e->model->vtable->residual(e->model, &most).stride * sizeof(float);
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static enum sto_status check_params(struct sto_engine *e, struct sto_error *err)
{
    struct sto_engine_params *p = &e->params;
    const struct sto_hparams *h = &e->model->h;
    if (!p->kv_type_set)
        p->kv_type = STO_TYPE_F16;
    const bool quantised = p->kv_type == STO_TYPE_Q8_0 || p->kv_type == STO_TYPE_Q4_0;
    if (!quantised && p->kv_type != STO_TYPE_F32 && p->kv_type != STO_TYPE_F16)
        return sto_fail(err, STO_ERR_USAGE, "the KV cache cannot be %s: f32, f16, q8_0 or q4_0",
                        sto_type_name(p->kv_type));
    if (quantised && h->head_dim % 32 != 0)
        return sto_fail(err, STO_ERR_USAGE, "a %s KV cache needs heads of a multiple of 32, this model's are %u wide",
                        sto_type_name(p->kv_type), h->head_dim);
    e->kv_type = p->kv_type == STO_TYPE_Q4_0 ? STO_TYPE_IQ4_NL : p->kv_type;
    if (p->ubatch_tokens == 0)
        p->ubatch_tokens = DEFAULT_UBATCH;
    if (p->ubatch_tokens > MAX_UBATCH)
        return sto_fail(err, STO_ERR_USAGE, "a ubatch of %u tokens is more than %d", p->ubatch_tokens, MAX_UBATCH);
    if (p->n_sequences > STO_MAX_SEQUENCES)
        return sto_fail(err, STO_ERR_USAGE, "%u sequences at once are more than %d", p->n_sequences, STO_MAX_SEQUENCES);
    if (p->n_sequences == 0)
        p->n_sequences = 1;
    e->n_sequences = p->n_sequences > STO_FEWEST_SEQUENCES ? p->n_sequences : STO_FEWEST_SEQUENCES;
    return STO_OK;
}

static void count_reads(struct sto_engine *e)
{
    const struct sto_model *m = e->model;
    bool tied = true;
    uint64_t embd = 0;
    for (uint32_t i = 0; i < m->n_weights; i++) {
        const struct sto_model_weight *w = &m->weights[i];
        tied = tied && w->role != STO_W_OUTPUT;
        if (w->role == STO_W_TOKEN_EMBD)
            embd = w->bytes;
        else
            e->info.read_bytes_per_token += w->bytes;
    }
    if (tied)
        e->info.read_bytes_per_token += embd;
}

void sto_engine_size_kv(struct sto_engine *e)
{
    const struct sto_hparams *h = &e->model->h;
    e->kv_pages = (e->info.ctx_tokens + KV_PAGE - 1) / KV_PAGE;
    e->kv_page_bytes = sto_kv_page_bytes(e->kv_type, h->n_kv_heads, h->head_dim);
}

static enum sto_status create_kv_table(struct sto_engine *e, struct sto_error *err)
{
    const struct sto_hparams *h = &e->model->h;
    sto_engine_size_kv(e);
    e->kv = sto_calloc(h->n_layers, sizeof *e->kv);
    if (e->kv == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u layers", h->n_layers);
    const uint64_t layer_bytes = (uint64_t)e->n_sequences * e->kv_pages * sizeof(uint64_t);
    const enum sto_status status = sto_buffer_create(e->device, STO_MEMORY_DEVICE, layer_bytes * h->n_layers,
                                                     "the KV page table", &e->kv_table, err);
    if (status != STO_OK)
        return status;
    uint64_t visitors = 0; /* phased layers share their pages on the device */
    for (uint32_t l = 0; l < h->n_layers; l++) {
        const uint64_t table = e->kv_table.address + l * layer_bytes;
        const bool visits = e->lanes[l] == STO_LANE_PHASED;
        visitors = visits && visitors == 0 ? table : visitors;
        /* Hazards: the table's rows stand for the pages they point to, whichever session's those are. */
        e->kv[l] = (struct sto_kv_layer){.type = e->kv_type, .table = table, .pages = e->kv_pages,
                                         .n_kv_heads = h->n_kv_heads, .head_dim = h->head_dim,
                                         .base = visits ? visitors : table, .bytes = layer_bytes};
    }
    return STO_OK;
}

static enum sto_status create_buffers(struct sto_engine *e, const uint64_t *piece_bytes, struct sto_error *err)
{
    const struct sto_model *m = e->model;
    const uint32_t ub = e->info.ubatch_tokens;
    const uint64_t logits = (uint64_t)e->logit_rows * e->logit_stride * sizeof(float);
    const uint64_t crossing = e->info.cpu_layers > 0 ? sto_engine_crossing_bytes(e) : 0;
    e->info.scratch_bytes = m->vtable->scratch_bytes(m, ub, e->info.ctx_tokens);
    const struct {
        struct sto_buffer *buffer;
        enum sto_memory memory;
        uint64_t bytes;
        const char *what;
    } wanted[] = {
        {&e->piece_table, STO_MEMORY_DEVICE, e->n_pieces * sizeof(uint64_t), "the piece table"},
        {&e->scratch, STO_MEMORY_DEVICE, e->info.scratch_bytes, "activations"},
        {&e->step_host, STO_MEMORY_UPLOAD, sto_engine_step_bytes(ub), "the step block"},
        {&e->step, STO_MEMORY_DEVICE, sto_engine_step_bytes(ub), "the step block"},
        {&e->groups, STO_MEMORY_DEVICE, 3 * sizeof(uint32_t), "group counts"},
        {&e->counters, STO_MEMORY_DEVICE, STO_OP_COUNTERS * sizeof(uint32_t), "workgroup counters"},
        {&e->logits, STO_MEMORY_DEVICE, logits, "logits"},
        {&e->readback, STO_MEMORY_READBACK, logits, "logits"},
        {&e->sample_host, STO_MEMORY_UPLOAD, sizeof(struct SampleBlock), "the sampling block"},
        {&e->sample, STO_MEMORY_DEVICE, STO_SAMPLE_SCRATCH_OFFSET + sto_op_sample_scratch(m->h.n_vocab),
         "the sampling block"},
        {&e->ring, STO_MEMORY_READBACK, SAMPLE_RING * sizeof(uint32_t), "drawn tokens"},
        {&e->crossing_out, STO_MEMORY_READBACK, crossing, "crossings between lanes"},
        {&e->crossing_in, STO_MEMORY_UPLOAD, crossing, "crossings between lanes"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        enum sto_status status = STO_OK;
        if (wanted[i].bytes > 0)
            status = sto_buffer_create(e->device, wanted[i].memory, wanted[i].bytes, wanted[i].what, wanted[i].buffer,
                                       err);
        if (status != STO_OK)
            return status;
    }
    const enum sto_status status = sto_residency_create(e, piece_bytes, err);
    if (status != STO_OK)
        return status;
    return create_kv_table(e, err);
}

/* From here on every dispatch leaves them as it finds them. */
static enum sto_status clear_counters(struct sto_engine *e, struct sto_error *err)
{
    uint64_t ticket = 0;
    sto_recording_begin(e->batch);
    sto_record_fill(e->batch, &e->counters, 0, STO_OP_COUNTERS * sizeof(uint32_t), 0);
    enum sto_status status = sto_recording_finish(e->batch, err);
    if (status == STO_OK)
        status = sto_device_submit(e->device, e->batch, &ticket, err);
    return status == STO_OK ? sto_device_wait(e->device, ticket, err) : status;
}

enum sto_status sto_engine_size(struct sto_engine *e, struct sto_error *err)
{
    const struct sto_hparams *h = &e->model->h;
    const enum sto_status status = check_params(e, err);
    if (status != STO_OK)
        return status;
    e->logit_stride = (h->n_vocab + 3) & ~3u;
    const uint64_t most_rows = LOGITS_BYTES / ((uint64_t)e->logit_stride * sizeof(float));
    const uint64_t ctx = e->params.ctx_tokens != 0 ? min_u32(e->params.ctx_tokens, h->n_ctx_train) : h->n_ctx_train;
    const uint64_t most_cols = ctx * e->params.n_sequences;
    e->info.ubatch_tokens = most_cols < e->params.ubatch_tokens ? (uint32_t)most_cols : e->params.ubatch_tokens;
    e->logit_rows = most_rows < 1 ? 1 : min_u32(e->info.ubatch_tokens, (uint32_t)most_rows);
    e->info.logit_rows = e->logit_rows;
    e->info.kv_bytes_per_token =
        sto_kv_page_bytes(e->kv_type, h->n_kv_heads, h->head_dim) / KV_PAGE * h->n_layers;
    count_reads(e);
    return STO_OK;
}

/* Which formats the steps will meet. */
struct formats {
    bool types[STO_TYPE_COUNT]; /* of matrices */
    enum sto_type embd;
};

static struct formats list_formats(const struct sto_engine *e)
{
    struct formats f = {.embd = e->weights.weights[sto_device_weight_index(STO_W_TOKEN_EMBD, 0)].type};
    for (uint32_t i = 0; i < e->model->n_weights; i++) {
        if (e->model->weights[i].rows > 1)
            f.types[e->model->weights[i].type] = true;
    }
    return f;
}

static struct sto_ops ops_of(const struct sto_engine *e)
{
    return (struct sto_ops){.plan = sto_device_get_plan(e->device),
                            .math = e->params.math,
                            .deterministic = e->params.deterministic};
}

/* Before anything large is on the device: tests take room for a moment. */
static enum sto_status test_kernels(struct sto_engine *e, struct sto_error *err)
{
    const struct formats f = list_formats(e);
    const struct sto_ops ops = ops_of(e);
    const struct sto_self_test test = {
        .device = e->device, .ops = &ops, .types = f.types, .embd = f.embd, .kv_type = e->kv_type};
    const enum sto_status status = sto_device_wants_self_test(e->device) ? sto_self_test(&test, err) : STO_OK;
    return status == STO_OK ? sto_self_test_check(&test, err) : status;
}

/* Makes the pipelines that steps will use, on several threads. */
static enum sto_status prepare_kernels(struct sto_engine *e, struct sto_error *err)
{
    const struct formats f = list_formats(e);
    const struct sto_ops ops = ops_of(e);
    enum sto_kernel kernels[STO_KERNEL_COUNT];
    const uint32_t n = sto_op_list_kernels(&ops, f.types, f.embd, e->kv_type, kernels);
    return sto_device_prepare(e->device, kernels, n, err);
}

/* Pipelines are made on a thread of their own while this one loads the weights. */
struct preparation {
    struct sto_engine *e;
    enum sto_status status;
    struct sto_error err;
};

static void prepare(void *arg)
{
    struct preparation *p = arg;
    p->status = prepare_kernels(p->e, &p->err);
}

static enum sto_status load_and_prepare(struct sto_engine *e, const struct sto_callbacks *callbacks,
                                        struct sto_error *err)
{
    struct preparation p = {.e = e};
    struct sto_thread *thread = sto_thread_start(prepare, &p);
    const enum sto_status status = sto_weights_load(e, callbacks, err);
    if (thread == NULL && status == STO_OK)
        prepare(&p);
    sto_thread_join(thread);
    if (status != STO_OK || p.status == STO_OK)
        return status;
    if (err != NULL)
        *err = p.err;
    return p.status;
}

enum sto_status sto_engine_create(struct sto_device *device, const struct sto_model *model,
                                  const struct sto_engine_params *params, const struct sto_callbacks *callbacks,
                                  struct sto_engine **out, struct sto_error *err)
{
    const uint64_t start = sto_now_ns();
    uint64_t *piece_bytes = NULL;
    enum sto_status status = STO_OK;
    struct sto_engine *e = sto_calloc(1, sizeof *e);
    if (e == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for an engine");
    e->device = device;
    e->model = model;
    if (params != NULL)
        e->params = *params;
    if ((status = sto_engine_size(e, err)) != STO_OK)
        goto fail;
    if (!model->has_data) {
        status = sto_fail(err, STO_ERR_MODEL, "%s: the file has a header but no weights", model->path);
        goto fail;
    }
    if (device == NULL) {
        if (e->params.trace != NULL) {
            status = sto_fail(err, STO_ERR_USAGE, "%s: a trace shows what a device does, and all layers are on the "
                              "processor", e->params.trace);
            goto fail;
        }
        if ((status = sto_cpu_lane_create(e, err)) != STO_OK)
            goto fail;
        if ((status = sto_weights_load(e, callbacks, err)) != STO_OK)
            goto fail;
        e->info.load_ns = sto_now_ns() - start;
        *out = e;
        return STO_OK;
    }
    e->n_pieces = sto_weights_count_pieces(model);
    e->pieces = sto_calloc(e->n_pieces, sizeof *e->pieces);
    piece_bytes = sto_calloc(e->n_pieces, sizeof *piece_bytes);
    if (e->pieces == NULL || piece_bytes == NULL) {
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for %u pieces", e->n_pieces);
        goto fail;
    }
    if (e->params.trace != NULL &&
        (status = sto_trace_open(e->params.trace, sto_device_now_ns(device), &e->trace, err)) != STO_OK)
        goto fail;
    if ((status = sto_weights_plan(e, piece_bytes, err)) != STO_OK)
        goto fail;
    if ((status = sto_residency_choose(e, piece_bytes, err)) != STO_OK)
        goto fail;
    if ((status = sto_engine_cut(e, err)) != STO_OK)
        goto fail;
    if ((status = test_kernels(e, err)) != STO_OK)
        goto fail;
    if ((status = create_buffers(e, piece_bytes, err)) != STO_OK)
        goto fail;
    if ((status = sto_uploader_create(device, &e->uploader, err)) != STO_OK)
        goto fail;
    if ((status = sto_parts_create(e, STO_PHASE_DECODE, &e->decode, err)) != STO_OK)
        goto fail;
    for (int phase = 0; phase < STO_PHASES; phase++) {
        if (e->cuts[phase].n > 0 &&
            (status = sto_parts_create(e, (enum sto_phase)phase, &e->other[phase], err)) != STO_OK)
            goto fail;
    }
    if ((status = sto_recording_create(device, &e->batch, err)) != STO_OK)
        goto fail;
    if ((status = clear_counters(e, err)) != STO_OK)
        goto fail;
    if (e->info.cpu_layers > 0 && (status = sto_cpu_lane_create(e, err)) != STO_OK)
        goto fail;
    if ((status = load_and_prepare(e, callbacks, err)) != STO_OK)
        goto fail;
    if ((status = sto_streamed_start(e, err)) != STO_OK)
        goto fail;
    e->info.load_ns = sto_now_ns() - start;
    sto_free(piece_bytes);
    *out = e;
    return STO_OK;
fail:
    sto_free(piece_bytes);
    sto_engine_destroy(e);
    return status;
}

static void close_trace(struct sto_engine *e)
{
    struct sto_error err;
    if (sto_trace_close(e->trace, &err) != STO_OK)
        sto_log(sto_device_get_callbacks(e->device), STO_LOG_WARNING, "%s", err.message);
}

void sto_engine_destroy(struct sto_engine *e)
{
    if (e == NULL)
        return;
    if (e->device != NULL && sto_device_is_lost(e->device)) {
        for (int phase = 0; phase < STO_PHASES; phase++)
            sto_copy_let_go(e->copies[phase]);
        sto_device_settle(e->device);
    }
    sto_recording_destroy(e->batch);
    sto_parts_destroy(e->together);
    sto_parts_destroy(e->decode);
    for (int phase = 0; phase < STO_PHASES; phase++)
        sto_parts_destroy(e->other[phase]);
    sto_recording_destroy(e->chain_start);
    for (uint32_t i = 0; i < STO_MAX_DEPTH; i++)
        sto_parts_destroy(e->chain[i]);
    for (int phase = 0; phase < STO_PHASES; phase++)
        sto_copy_destroy(e->copies[phase]); /* before the table that it keeps up to date */
    sto_uploader_destroy(e->uploader);
    struct sto_buffer *buffers[] = {&e->piece_table, &e->scratch, &e->step_host, &e->step,
                                    &e->groups,      &e->logits,  &e->readback,  &e->kv_table,
                                    &e->sample_host, &e->sample,  &e->ring,      &e->counters,
                                    &e->crossing_out, &e->crossing_in};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        sto_buffer_destroy(e->device, buffers[i]);
    sto_residency_destroy(e);
    sto_cpu_lane_destroy(e);
    close_trace(e);
    sto_free(e->weights.weights);
    for (int phase = 0; phase < STO_PHASES; phase++)
        sto_free(e->cuts[phase].segments);
    sto_free(e->kv);
    sto_free(e);
}

void sto_engine_get_info(const struct sto_engine *engine, struct sto_engine_info *out)
{
    *out = engine->info;
    out->disk_read_bytes = engine->reader != NULL ? sto_reader_bytes(engine->reader) : 0;
}

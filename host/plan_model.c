/* From a model to the planner's input. */
#include "host/plan_model.h"

#include "runtime/base/mem.h"
#include "runtime/base/status.h"

static uint64_t layers_bytes(const struct sto_sizes *s, uint32_t n_layers)
{
    uint64_t sum = 0;
    for (uint32_t l = 0; l < n_layers; l++)
        sum += s->layer_bytes[l];
    return sum;
}

/* With all layers on the device; available_bytes as given. */
static struct sto_fit_input fit_of(const struct sto_sizes *s, uint32_t n_layers, uint64_t vram_bytes)
{
    struct sto_fit_input fit = s->fit;
    fit.weight_bytes += layers_bytes(s, n_layers);
    fit.available_bytes = vram_bytes;
    return fit;
}

/* KV is counted by the planner, all else that the context needs here. */
static struct sto_planner_input input_of(const struct sto_model_plan *p, const struct sto_model_plan_params *params,
                                         uint32_t n_layers)
{
    const struct sto_sizes *s = &p->sizes;
    const uint64_t granule = s->fit.granule_tokens, sequences = params->engine.n_sequences;
    const uint64_t ctx = (p->ctx_tokens + granule - 1) / granule * granule * (sequences > 1 ? sequences : 1);
    struct sto_planner_input in = {
        .layer_bytes = s->layer_bytes,
        .n_layers = n_layers,
        .embedding_bytes = s->embedding_bytes,
        .output_bytes = s->output_bytes,
        .fixed_bytes = p->scratch_bytes,
        .kv_bytes_per_token = s->kv_bytes_per_token,
        .layer_flops = (double)s->layer_flops,
        .attention_flops = (double)s->attention_flops,
        .ctx_tokens = (uint32_t)ctx,
        .depth_tokens = params->depth_tokens,
        .ubatch_tokens = s->ubatch_tokens,
        .vram_bytes = params->vram_bytes,
        .ram_bytes = params->ram_bytes,
        .pinned_bytes = params->pinned_bytes > 0 ? params->pinned_bytes : params->ram_bytes / 2,
        .host_fixed_bytes = s->host_bytes,
        .host_cpu_bytes = s->host_cpu_bytes,
        .ring_slots = params->engine.ring_slots,
        .means = params->means,
        .rates = params->rates,
    };
    return in;
}

static enum sto_status allocate(struct sto_model_plan *p, uint32_t n_layers, struct sto_error *err)
{
    p->plan.decode = sto_calloc(n_layers, sizeof *p->plan.decode);
    p->plan.prefill = sto_calloc(n_layers, sizeof *p->plan.prefill);
    p->lanes = sto_calloc(n_layers, sizeof *p->lanes);
    if (p->plan.decode == NULL || p->plan.prefill == NULL || p->lanes == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory to plan %u layers", (unsigned)n_layers);
    return STO_OK;
}

/* A ring that was asked for may be too deep: then a smaller one is taken, as an engine does. */
static enum sto_status plan_layers(struct sto_model_plan *p, const struct sto_model_plan_params *params,
                                   uint32_t n_layers, bool all_fit, struct sto_error *err)
{
    struct sto_planner_input in = input_of(p, params, n_layers);
    if (all_fit) /* then nothing needs to leave */
        in.means &= ~(uint32_t)STO_PLAN_HOST_EMBEDDING;
    enum sto_status status = sto_plan_make(&in, &p->plan, &p->figures, err);
    while (status == STO_ERR_NO_FIT && in.ring_slots > 1) {
        in.ring_slots--;
        status = sto_plan_make(&in, &p->plan, &p->figures, err);
    }
    for (uint32_t l = 0; l < n_layers && status == STO_OK; l++)
        p->lanes[l] = sto_plan_lane(&p->plan, l);
    p->all_resident = status == STO_OK && p->figures.decode_lanes[STO_LANE_RESIDENT].layers == n_layers;
    return status;
}

/* What is short: the device, even with one layer there at a time, is told as engines tell it. */
static enum sto_status refuse(const struct sto_model_plan *p, const struct sto_model_plan_params *params,
                              uint32_t n_layers, struct sto_error *err)
{
    struct sto_fit_input in = p->sizes.fit;
    uint64_t slot = 0;
    in.available_bytes = params->vram_bytes;
    if ((params->means & STO_PLAN_HOST_EMBEDDING) != 0 && p->sizes.output_bytes > 0)
        in.weight_bytes -= p->sizes.embedding_bytes;
    for (uint32_t l = 0; l < n_layers; l++)
        slot = p->sizes.layer_bytes[l] > slot ? p->sizes.layer_bytes[l] : slot;
    if (sto_fit_bytes(&in, p->ctx_tokens) + slot > params->vram_bytes)
        return sto_fit_refuse(&in, slot, err);
    return STO_ERR_NO_FIT; /* the planner's word, about host memory */
}

enum sto_status sto_model_plan_make(const struct sto_model *model, const struct sto_model_plan_params *params,
                                    struct sto_model_plan *out, struct sto_error *err)
{
    const uint32_t n_layers = model->h.n_layers;
    *out = (struct sto_model_plan){0};
    enum sto_status status = sto_sizes_of(model, &params->engine, &out->sizes, err);
    if (status != STO_OK)
        return status;
    const struct sto_fit_input fit = fit_of(&out->sizes, n_layers, params->vram_bytes);
    if ((status = allocate(out, n_layers, err)) != STO_OK)
        goto fail;
    status = sto_fit_context(&fit, &out->ctx_tokens, err);
    const bool all_fit = status == STO_OK;
    if (status == STO_ERR_NO_FIT)
        out->ctx_tokens = sto_fit_smallest(&fit);
    else if (status != STO_OK)
        goto fail;
    out->scratch_bytes = sto_fit_bytes(&fit, out->ctx_tokens) - fit.weight_bytes;
    const uint64_t kv = sto_fit_bytes(&(struct sto_fit_input){.kv_bytes_per_token = fit.kv_bytes_per_token,
                                                               .granule_tokens = fit.granule_tokens},
                                      out->ctx_tokens);
    out->scratch_bytes += out->sizes.fit.weight_bytes - out->sizes.embedding_bytes - out->sizes.output_bytes - kv;
    status = plan_layers(out, params, n_layers, all_fit, err);
    if (status == STO_ERR_NO_FIT)
        status = refuse(out, params, n_layers, err);
    if (status == STO_OK)
        return STO_OK;
fail:
    sto_error_prefix(err, "%s", model->path);
    sto_model_plan_free(out);
    return status;
}

void sto_model_plan_use(const struct sto_model_plan *p, struct sto_engine_params *engine)
{
    engine->lanes = p->lanes;
    engine->ring_slots = p->plan.ring_slots;
    engine->prompt_tokens = p->plan.prompt_tokens;
    engine->host_embedding = p->plan.embedding != STO_LANE_RESIDENT;
    engine->ctx_tokens = p->ctx_tokens;
}

void sto_model_plan_free(struct sto_model_plan *p)
{
    sto_sizes_free(&p->sizes);
    sto_free(p->plan.decode);
    sto_free(p->plan.prefill);
    sto_free(p->lanes);
    *p = (struct sto_model_plan){0};
}

enum sto_status sto_model_plan_predict(const struct sto_model_plan *p, const struct sto_model_plan_params *params,
                                       uint32_t depth_tokens, uint32_t ubatch_tokens, struct sto_plan_figures *out,
                                       struct sto_error *err)
{
    const uint32_t n_layers = p->figures.decode_lanes[STO_LANE_RESIDENT].layers +
                              p->figures.decode_lanes[STO_LANE_STREAM].layers +
                              p->figures.decode_lanes[STO_LANE_CPU].layers;
    struct sto_planner_input in = input_of(p, params, n_layers);
    in.depth_tokens = depth_tokens;
    in.ubatch_tokens = ubatch_tokens;
    return sto_plan_predict(&in, &p->plan, out, err);
}

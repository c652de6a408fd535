/* strato plan: lanes, memory and predicted tokens per second, without loading the model. */
#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/plan.h"
#include "host/cli/stack.h"
#include "host/cli/term.h"
#include "models/shape.h"
#include "runtime/base/mem.h"

static enum sto_status open_model(const struct sto_options *o, struct sto_model **model, struct sto_error *err)
{
    const struct sto_callbacks callbacks = sto_term_callbacks();
    const char *path = NULL;
    if (o->own.shape != NULL && o->n_models > 0)
        return sto_fail(err, STO_ERR_USAGE, "--shape '%s' and MODEL '%s': one of them is enough", o->own.shape,
                        o->models[0]);
    if (o->own.shape != NULL)
        return sto_shape_open(o->own.shape, 0, model, err);
    const enum sto_status status = sto_cli_model(o, &path, err);
    return status == STO_OK ? sto_model_open(path, &(struct sto_model_params){.header_only = true}, &callbacks, model,
                                             err)
                            : status;
}

/* Another plan, for comparison. */
static void try_other(const struct sto_model *model, const struct sto_model_plan_params *params,
                      struct sto_plan_alternative *out)
{
    struct sto_model_plan plan;
    struct sto_error ignored;
    out->fits = sto_model_plan_make(model, params, &plan, &ignored) == STO_OK;
    if (!out->fits)
        return;
    out->figures = plan.figures;
    sto_model_plan_free(&plan);
}

/* 1 GiB less and more; more tokens at once where layers are streamed. The context stays, so that what is compared is
 * the same but for that. */
static uint32_t list_alternatives(const struct sto_model *model, const struct sto_model_plan_params *params,
                                  const struct sto_model_plan *plan, struct sto_plan_alternative *out)
{
    enum { LARGE_UBATCH = 2048 };
    const uint64_t gib = UINT64_C(1) << 30;
    struct sto_model_plan_params other = *params;
    uint32_t n = 0;
    other.engine.ctx_tokens = plan->ctx_tokens;
    if (params->vram_bytes > gib) {
        other.vram_bytes = params->vram_bytes - gib;
        (void)snprintf(out[n].what, sizeof out[n].what, "1 GiB less");
        try_other(model, &other, &out[n++]);
    }
    if (!plan->all_resident && params->vram_bytes < UINT64_MAX - gib) {
        other.vram_bytes = params->vram_bytes + gib;
        (void)snprintf(out[n].what, sizeof out[n].what, "1 GiB more");
        try_other(model, &other, &out[n++]);
    }
    other.vram_bytes = params->vram_bytes;
    if (!plan->all_resident && plan->sizes.ubatch_tokens < LARGE_UBATCH && plan->ctx_tokens >= LARGE_UBATCH) {
        other.engine.ubatch_tokens = LARGE_UBATCH;
        (void)snprintf(out[n].what, sizeof out[n].what, "--ubatch %d", (int)LARGE_UBATCH);
        try_other(model, &other, &out[n++]);
    }
    return n;
}

/* With a budget and the rates that matter given, nothing is asked of a device. */
static bool wants_device(const struct sto_options *o, const struct sto_rates *given)
{
    const bool speed = given->vram_gb_per_s > 0 || given->product_gb_per_s > 0;
    return o->common.vram_bytes == 0 || !speed || !(given->link_gb_per_s > 0);
}

static enum sto_status report(const struct sto_options *o, const struct sto_model *model, struct sto_device *device,
                              const struct sto_model_plan_params *params, struct sto_error *err)
{
    struct sto_plan_alternative others[STO_MAX_ALTERNATIVES];
    struct sto_model_plan plan;
    struct sto_plan_figures full = {0};
    memset(others, 0, sizeof others);
    enum sto_status status = sto_model_plan_make(model, params, &plan, err);
    if (status != STO_OK)
        return status;
    status = sto_model_plan_predict(&plan, params, plan.ctx_tokens, plan.sizes.ubatch_tokens, &full, err);
    const struct sto_plan_report r = {.model = model,
                                      .device = device != NULL ? sto_device_name(device) : NULL,
                                      .params = params,
                                      .plan = &plan,
                                      .full = &full,
                                      .alternatives = others,
                                      .n_alternatives = list_alternatives(model, params, &plan, others)};
    if (status == STO_OK && o->own.json)
        status = sto_plan_print_json(&r, err);
    else if (status == STO_OK)
        sto_plan_print(&r);
    if (status == STO_OK && !o->own.json && device != NULL && sto_stack_prefers_processor(o, device, model))
        (void)puts("\nVulkan has no GPU here: strato run computes on the processor alone, unless --device or --vram is "
                   "given");
    sto_model_plan_free(&plan);
    return status;
}

static enum sto_status plan(const struct sto_options *o, struct sto_error *err)
{
    const struct sto_callbacks callbacks = sto_term_callbacks();
    struct sto_device_params device_params;
    struct sto_model_plan_params params;
    struct sto_model *model = NULL;
    struct sto_device *device = NULL;
    struct sto_rates given;
    enum sto_status status = sto_cli_read_rates(o->own.rates, &given, err);
    if (status == STO_OK)
        status = open_model(o, &model, err);
    sto_options_device(o, &device_params);
    if (status == STO_OK && wants_device(o, &given))
        status = sto_device_open(&device_params, &callbacks, &device, err);
    if (status == STO_OK)
        status = sto_cli_plan_params(o, device, model, &given, UINT64_MAX, &params, err);
    sto_term_clear();
    if (status == STO_OK)
        status = report(o, model, device, &params, err);
    sto_device_close(device);
    sto_model_close(model);
    return status;
}

int sto_cmd_plan(int argc, char **argv)
{
    struct sto_options options;
    struct sto_error err = {0};
    int code;
    if (!sto_cli_begin(argc, argv, &options, &code))
        return code;
    const enum sto_status status = plan(&options, &err);
    return status == STO_OK ? sto_cli_finish() : sto_cli_fail(&err);
}

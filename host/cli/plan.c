/* From options to a plan. */
#include "host/cli/plan.h"

#include <stdio.h>
#include <string.h>

#include "host/cli/term.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/host_memory.h"
#include "runtime/probe.h"

/* An option's value: the text itself where it has a '=' and is no file, else what is in the file. */
struct numbers {
    const char *name; /* for errors */
    const char *text; /* [size] */
    char *data;       /* owned; NULL: the option's own text */
    size_t size;
};

static enum sto_status read_numbers(const char *option, const char *value, struct numbers *out, struct sto_error *err)
{
    *out = (struct numbers){.name = option, .text = value, .size = strlen(value)};
    if (strchr(value, '=') != NULL && !sto_file_exists(value))
        return STO_OK;
    const enum sto_status status = sto_file_read(value, STO_MAX_RATES_BYTES, &out->data, &out->size, err);
    if (status != STO_OK)
        sto_error_prefix(err, "%s", option);
    out->name = value;
    out->text = out->data;
    return status;
}

enum sto_status sto_cli_read_rates(const char *text, struct sto_rates *out, struct sto_error *err)
{
    struct numbers n;
    *out = (struct sto_rates){0};
    if (text == NULL)
        return STO_OK;
    enum sto_status status = read_numbers("--rates", text, &n, err);
    if (status == STO_OK)
        status = sto_rates_parse(n.name, n.text, n.size, out, err);
    sto_free(n.data);
    return status;
}

enum sto_status sto_cli_read_simulation(const char *text, struct sto_simulation *out, struct sto_error *err)
{
    struct numbers n;
    *out = (struct sto_simulation){0};
    if (text == NULL)
        return STO_OK;
    enum sto_status status = read_numbers("--sim", text, &n, err);
    if (status == STO_OK)
        status = sto_simulation_parse(n.name, n.text, n.size, out, err);
    sto_free(n.data);
    return status;
}

/* Whether the weights may exceed what both memories hold. */
static bool may_need_disk(const struct sto_model *model, const struct sto_sizes *sizes,
                          const struct sto_model_plan_params *params)
{
    const uint64_t room = params->ram_bytes > sizes->host_bytes ? params->ram_bytes - sizes->host_bytes : 0;
    double layers = 0;
    for (uint32_t l = 0; l < model->h.n_layers; l++)
        layers += (double)sizes->layer_bytes[l];
    return params->ram_bytes > 0 && layers > 0.8 * (double)room;
}

enum sto_status sto_cli_plan_params(const struct sto_options *options, struct sto_device *device,
                                    const struct sto_model *model, const struct sto_rates *given, uint64_t room_bytes,
                                    struct sto_model_plan_params *out, struct sto_error *err)
{
    *out = (struct sto_model_plan_params){
        .vram_bytes = options->common.vram_bytes,
        .ram_bytes = options->common.ram_bytes,
        .pinned_bytes = options->common.pinned_bytes,
        .depth_tokens = options->own.depth_tokens,
        .means = STO_PLAN_MEANS,
    };
    struct sto_sizes sizes;
    sto_options_engine(options, &out->engine);
    if (out->engine.deterministic) /* a token's way does not depend on how many go together */
        out->means &= ~(uint32_t)STO_PLAN_PHASES;
    if (out->vram_bytes == 0)
        out->vram_bytes = sto_default_budget_bytes(device);
    if (out->ram_bytes == 0)
        out->ram_bytes = sto_ram_bytes();
    enum sto_status status = sto_sizes_of(model, &out->engine, &sizes, err);
    if (status != STO_OK)
        return status;
    if (device != NULL)
        status = sto_probe_rates(device, sizes.type_bytes, room_bytes, &out->rates, err);
    if (status == STO_OK && device != NULL && !(given->disk_gb_per_s > 0) && may_need_disk(model, &sizes, out))
        out->rates.disk_gb_per_s = sto_probe_disk(model);
    sto_sizes_free(&sizes);
    if (status != STO_OK)
        return status;
    sto_rates_merge(&out->rates, given);
    return STO_OK;
}

/* All layers on the device, beside the context that was asked for or any. */
static enum sto_status all_fit(const struct sto_model *model, const struct sto_engine_params *params,
                               uint64_t vram_bytes, bool *fits, struct sto_error *err)
{
    struct sto_sizes sizes;
    struct sto_error ignored;
    uint32_t ctx;
    const enum sto_status status = sto_sizes_of(model, params, &sizes, err);
    if (status != STO_OK)
        return status;
    sizes.fit.available_bytes = vram_bytes;
    for (uint32_t l = 0; l < model->h.n_layers; l++)
        sizes.fit.weight_bytes += sizes.layer_bytes[l];
    *fits = sto_fit_context(&sizes.fit, &ctx, &ignored) != STO_ERR_NO_FIT;
    sto_sizes_free(&sizes);
    return STO_OK;
}

enum sto_status sto_cli_plan_engine(const struct sto_options *options, struct sto_device *device,
                                    const struct sto_model *model, struct sto_engine_params *params,
                                    struct sto_model_plan *plan, bool *planned, struct sto_error *err)
{
    const uint64_t vram = params->vram_bytes > 0 ? params->vram_bytes : sto_default_budget_bytes(device);
    const struct sto_callbacks callbacks = sto_term_callbacks();
    const struct sto_rates none = {0};
    struct sto_model_plan_params how;
    struct sto_error why;
    char line[256];
    bool fits = true;
    *planned = false;
    enum sto_status status = all_fit(model, params, vram, &fits, err);
    if (status != STO_OK || fits)
        return status;
    struct sto_options now = *options; /* a run may use what is free now; a plan is for the whole machine */
    if (now.common.ram_bytes == 0 && sto_default_ram_bytes() != UINT64_MAX)
        now.common.ram_bytes = sto_default_ram_bytes();
    status = sto_cli_plan_params(&now, device, model, &none, vram, &how, &why);
    if (status == STO_ERR_NO_FIT) { /* measuring takes memory that running need not have */
        sto_print_message(STO_LOG_WARNING, why.message);
        return STO_OK;
    }
    if (status != STO_OK) {
        *err = why;
        return status;
    }
    how.engine = *params;
    how.vram_bytes = vram;
    status = sto_model_plan_make(model, &how, plan, &why);
    if (status != STO_OK)
        return STO_OK;
    *planned = true;
    sto_model_plan_use(plan, params);
    params->vram_bytes = vram;
    params->ram_bytes = how.ram_bytes; /* as it was when the plan was made */
    sto_plan_line(plan, line, sizeof line);
    callbacks.log(callbacks.user, STO_LOG_INFO, line);
    return STO_OK;
}

void sto_plan_line(const struct sto_model_plan *p, char *text, size_t size)
{
    const struct sto_plan_figures *f = &p->figures;
    const struct sto_plan_share *lanes = f->decode_lanes;
    const unsigned resident = lanes[STO_LANE_RESIDENT].layers, streamed = lanes[STO_LANE_STREAM].layers;
    const unsigned cpu = lanes[STO_LANE_CPU].layers;
    size_t n = (size_t)snprintf(text, size, "%u of %u layers resident", resident, resident + streamed + cpu);
    if (streamed > 0 && n < size)
        n += (size_t)snprintf(text + n, size - n, ", %u streamed through %u slot%s", streamed,
                              (unsigned)p->plan.ring_slots, p->plan.ring_slots == 1 ? "" : "s");
    if (f->disk_bytes > 0 && n < size)
        n += (size_t)snprintf(text + n, size - n, " (%.1f GB of them from disk)", (double)f->disk_bytes / 1e9);
    if (cpu > 0 && n < size)
        n += (size_t)snprintf(text + n, size - n, ", %u on the processor%s", cpu,
                              lanes[STO_LANE_PHASED].layers > 0 ? " (streamed for prompts)" : "");
    if (f->decode.tokens_per_s > 0 && n < size)
        n += (size_t)snprintf(text + n, size - n, "; %.1f tokens/s expected (%s)", f->decode.tokens_per_s,
                              sto_plan_bind_name(f->decode.bind));
    if (f->prefill.tokens_per_s > 0 && n < size)
        (void)snprintf(text + n, size - n, ", prompts %.0f (%s)", f->prefill.tokens_per_s,
                       sto_plan_bind_name(f->prefill.bind));
}

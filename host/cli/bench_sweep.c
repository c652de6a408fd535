/* Budgets, plans and forecasts of a sweep over device memory. */
#include "host/cli/bench_sweep.h"

#include <stdlib.h>
#include <string.h>

/* ---- budgets ---- */

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static enum sto_status add_item(const char *item, size_t size, struct sto_bench_budgets *out, struct sto_error *err)
{
    char text[32];
    uint64_t bytes = 0;
    if (size < sizeof text) {
        memcpy(text, item, size);
        text[size] = '\0';
    }
    if (size >= sizeof text || !sto_parse_size(text, &bytes) || bytes == 0)
        return sto_fail(err, STO_ERR_USAGE, "--budgets: '%.*s' is no size, such as 6G or 512M",
                        size < 40 ? (int)size : 40, item);
    if (out->n == STO_MAX_BUDGETS)
        return sto_fail(err, STO_ERR_USAGE, "--budgets: more than %d", (int)STO_MAX_BUDGETS);
    out->bytes[out->n++] = bytes;
    return STO_OK;
}

static enum sto_status read_texts(const struct sto_text_list *texts, struct sto_bench_budgets *out,
                                  struct sto_error *err)
{
    enum sto_status status = STO_OK;
    for (size_t t = 0; t < texts->n; t++) {
        for (const char *item = texts->items[t]; item != NULL && status == STO_OK;) {
            const char *comma = strchr(item, ',');
            status = add_item(item, comma != NULL ? (size_t)(comma - item) : strlen(item), out, err);
            item = comma != NULL ? comma + 1 : NULL;
        }
    }
    qsort(out->bytes, out->n, sizeof *out->bytes, compare);
    return status;
}

/* The power of two that leaves about a dozen steps up to `most`. */
static uint64_t round_step(uint64_t most)
{
    uint64_t step = 1 << 20;
    while (most / step > 16)
        step *= 2;
    return step;
}

enum sto_status sto_bench_budgets_choose(const struct sto_text_list *texts, const struct sto_sizes *sizes,
                                         uint32_t n_layers, uint64_t free_bytes, struct sto_bench_budgets *out,
                                         struct sto_error *err)
{
    struct sto_fit_input fit = sizes->fit;
    *out = (struct sto_bench_budgets){0};
    if (texts->n > 0)
        return read_texts(texts, out, err);
    for (uint32_t l = 0; l < n_layers; l++)
        fit.weight_bytes += sizes->layer_bytes[l];
    uint64_t all = sto_fit_bytes(&fit, sto_fit_smallest(&fit));
    all = all < free_bytes ? all : free_bytes;
    const uint64_t step = round_step(all);
    for (uint64_t bytes = step; bytes < all; bytes += step)
        out->bytes[out->n++] = bytes;
    out->bytes[out->n++] = all / step * step + step <= free_bytes ? all / step * step + step : all;
    return STO_OK;
}

/* ---- plans ---- */

enum sto_status sto_bench_budget_plan(const struct sto_model *model, struct sto_engine_params *engine,
                                      struct sto_bench_budget *out, struct sto_error *err)
{
    out->params.engine = *engine;
    const enum sto_status status = sto_model_plan_make(model, &out->params, &out->plan, err);
    if (status != STO_OK)
        return status;
    sto_model_plan_use(&out->plan, engine);
    engine->vram_bytes = out->params.vram_bytes;
    return STO_OK;
}

/* ---- forecasts ---- */

/* The budget's own bounds for a decode step: what is no weight in it cannot hold any. */
static void add_bounds(const struct sto_bench_budget *b, uint32_t depth, struct sto_bench_forecast *out)
{
    const struct sto_plan_figures *f = &b->plan.figures;
    const uint64_t others = b->plan.scratch_bytes + f->kv_device_bytes;
    const uint64_t room = b->params.vram_bytes > others ? b->params.vram_bytes - others : 0;
    const double bytes = (double)b->read_bytes + (double)depth * (double)b->plan.sizes.kv_bytes_per_token;
    struct sto_rates link = b->params.rates, cpu = b->params.rates;
    link.cpu_gb_per_s = 0;
    cpu.link_gb_per_s = 0;
    out->roofline = 1 / sto_plan_roofline(&b->params.rates, bytes, (double)room);
    out->streaming = 1 / sto_plan_roofline(&link, bytes, (double)room);
    out->cpu = 1 / sto_plan_roofline(&cpu, bytes, (double)room);
}

enum sto_status sto_bench_forecast_of(const struct sto_bench_budget *budget, uint32_t n_prompt, uint32_t n_gen,
                                      uint32_t n_depth, uint32_t n_ubatch, struct sto_bench_forecast *out,
                                      struct sto_error *err)
{
    struct sto_plan_figures f;
    const uint32_t depth = n_depth + n_gen / 2, pass = n_prompt > 0 && n_prompt < n_ubatch ? n_prompt : n_ubatch;
    *out = (struct sto_bench_forecast){0};
    const enum sto_status status = sto_model_plan_predict(&budget->plan, &budget->params, depth, pass, &f, err);
    if (status != STO_OK)
        return status;
    const struct sto_prediction *p = n_prompt > 0 ? &f.prefill : &f.decode;
    out->predicted = p->tokens_per_s;
    out->bind = p->bind;
    if (n_prompt == 0)
        add_bounds(budget, depth, out);
    return STO_OK;
}

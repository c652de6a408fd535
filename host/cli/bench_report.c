/* The result as CSV, JSON or JSON lines (bench_md.c: Markdown), made from one list of fields, which has llama-bench's
 * names where they mean the same. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "build_info.h"
#include "host/cli/bench.h"
#include "host/cli/stack.h"
#include "host/cli/bench_stats.h"
#include "host/cli/json_text.h"
#include "host/cli/term.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/vk/device.h"

static enum sto_status figure(const struct sto_bench_setup *setup, const struct sto_bench_result *result,
                              struct sto_bench_figures *f, struct sto_error *err)
{
    const double best = setup->bandwidth.best_gb_per_s;
    double *values = sto_calloc(result->n, sizeof *values);
    if (values == NULL || result->n == 0) {
        sto_free(values);
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %zu samples", result->n);
    }
    for (size_t i = 0; i < result->n; i++)
        values[i] = (double)result->ns[i];
    f->ns = sto_bench_stats_of(values, result->n);
    for (size_t i = 0; i < result->n; i++)
        values[i] = (double)result->work.tokens * 1e9 / (double)result->ns[i];
    f->ts = sto_bench_stats_of(values, result->n);
    for (size_t i = 0; i < result->n; i++)
        values[i] = (double)result->first_token_ns[i];
    f->first_token_ns = result->test.n_prompt > 0 ? sto_bench_stats_of(values, result->n).median : 0.0;
    f->gb_per_s = (double)result->work.read_bytes / f->ns.median;
    f->tflop_per_s = result->work.flops / f->ns.median / 1e3;
    f->share = best > 0.0 ? f->gb_per_s / best : 0.0;
    sto_free(values);
    return STO_OK;
}

/* ---- fields ---- */

static void add_text(cJSON *o, const char *name, const char *text)
{
    (void)cJSON_AddItemToObject(o, name, sto_json_text(text, strlen(text)));
}

static void add_number(cJSON *o, const char *name, double value)
{
    (void)cJSON_AddNumberToObject(o, name, value);
}

/* The processor's name; "" where the system does not say. */
static void cpu_name(char *name, size_t size)
{
    char *text = NULL;
    size_t length = 0;
    struct sto_error err;
    name[0] = '\0';
    if (sto_file_read("/proc/cpuinfo", 1 << 24, &text, &length, &err) != STO_OK)
        return;
    const char *line = strstr(text, "model name");
    const char *value = line != NULL ? strchr(line, ':') : NULL;
    if (value != NULL) {
        value += 1 + strspn(value + 1, " \t");
        (void)snprintf(name, size, "%.*s", (int)strcspn(value, "\n"), value);
    }
    sto_free(text);
}

static void lower_name(enum sto_type type, char *name, size_t size)
{
    (void)snprintf(name, size, "%s", sto_type_name(type));
    for (char *c = name; *c != '\0'; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
}

/* 0 stands for what is not known. */
static void add_known(cJSON *o, const char *name, double value)
{
    if (value > 0.0)
        add_number(o, name, value);
    else
        (void)cJSON_AddNullToObject(o, name);
}

/* True where the host can write all of the device's own memory: resizable BAR, or one memory for both. */
static bool host_sees_all(const struct sto_device_snapshot *d, const struct sto_device_plan *plan)
{
    const uint32_t heap = d->memory_types[plan->device_memory_type].heap;
    for (uint32_t i = 0; i < d->n_memory_types; i++) {
        if (d->memory_types[i].heap == heap && d->memory_types[i].device_local && d->memory_types[i].host_visible)
            return true;
    }
    return false;
}

static void add_memory(cJSON *o, const struct sto_bench_setup *s)
{
    const struct sto_heap_state *before = &s->memory_before.heap, *after = &s->memory_after.heap;
    (void)cJSON_AddBoolToObject(o, "rebar", host_sees_all(s->snapshot,
                                                          s->plan));
    add_known(o, "memory_heap_bytes", (double)after->heap_bytes);
    add_known(o, "memory_budget_bytes", (double)after->budget_bytes);
    add_known(o, "memory_used_before_bytes", (double)before->used_bytes);
    add_known(o, "memory_used_after_bytes", (double)after->used_bytes);
    add_known(o, "memory_ours_bytes", (double)after->ours_bytes);
    add_known(o, "system_memory_mapped_before_bytes", (double)s->memory_before.gtt_used_bytes);
    add_known(o, "system_memory_mapped_after_bytes", (double)s->memory_after.gtt_used_bytes);
    add_number(o, "memory_spilled_bytes", (double)s->spilled_bytes);
}

/* What the self-test and tune have changed: two results are of the same kernels only where these agree. */
static void add_findings(cJSON *o, const struct sto_bench_setup *s)
{
    char q8[STO_TYPE_COUNT * 8] = "";
    uint32_t aside = 0, tuned = 0;
    for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++) {
        aside += s->plan->set_aside[k];
        tuned += s->findings->kernels[k].gain > 0;
    }
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++) {
        const size_t n = strlen(q8);
        if (s->plan->q8_by_default[t] || s->plan->q8_matmul_by_default[t])
            (void)snprintf(q8 + n, sizeof q8 - n, "%s%s", n > 0 ? " " : "", sto_type_name((enum sto_type)t));
    }
    add_number(o, "kernels_set_aside", aside);
    add_number(o, "kernels_tuned", tuned);
    add_text(o, "q8_by_default", q8[0] != '\0' ? q8 : "none");
}

static void add_setup(cJSON *o, const struct sto_bench_setup *s)
{
    const struct sto_device_snapshot *d = s->snapshot;
    char cpu[128], kv[16];
    cpu_name(cpu, sizeof cpu);
    lower_name(s->options->common.kv_type, kv, sizeof kv);
    add_text(o, "build_commit", STO_BUILD_COMMIT);
    add_text(o, "build_version", sto_version());
    add_text(o, "build_compiler", STO_BUILD_COMPILER);
    add_text(o, "cpu_info", cpu);
    add_text(o, "gpu_info", d->name);
    const bool simulated = s->options->common.sim != NULL;
    add_text(o, "backends", simulated                                   ? "simulated"
                            : sto_stack_is_without_device(&s->engine) ? "CPU"
                            : s->engine.cpu_layers > 0                ? "Vulkan,CPU"
                                                                      : "Vulkan");
    (void)cJSON_AddBoolToObject(o, "simulated", simulated);
    if (simulated)
        add_text(o, "simulation", s->options->common.sim);
    add_text(o, "driver", d->driver_name);
    add_text(o, "driver_info", d->driver_info);
    add_findings(o, s);
    add_text(o, "model_filename", s->model_file);
    add_text(o, "model_type", s->model_type);
    add_number(o, "model_size", (double)s->sizes.total_bytes);
    add_number(o, "model_n_params", (double)s->sizes.total_elements);
    add_number(o, "n_threads", s->engine.cpu_layers > 0 ? s->engine.cpu_threads : sto_cpu_count());
    add_number(o, "seed", (double)s->options->common.seed); /* 0 where none was given */
    add_text(o, "type_k", kv);
    add_text(o, "type_v", kv);
    if (s->sha256 != NULL)
        add_text(o, "model_sha256", s->sha256);
    else
        (void)cJSON_AddNullToObject(o, "model_sha256");
    add_memory(o, s);
    add_number(o, "bandwidth_read_gb_per_s", s->bandwidth.read_gb_per_s);
    add_number(o, "bandwidth_copy_gb_per_s", s->bandwidth.copy_gb_per_s);
    add_number(o, "bandwidth_fill_gb_per_s", s->bandwidth.fill_gb_per_s);
    add_number(o, "bandwidth_gb_per_s", s->bandwidth.best_gb_per_s);
    add_number(o, "bandwidth_buffer_bytes", (double)s->bandwidth.bytes);
    add_known(o, "bandwidth_specified_gb_per_s",
              s->source != NULL ? sto_gpu_facts_specified_gb_per_s(s->source) : 0.0);
    add_text(o, "gpu_facts", s->source != NULL ? sto_gpu_facts_name(s->source) : "");
    add_number(o, "load_ns", (double)s->engine.load_ns);
    add_number(o, "ctx_tokens", s->engine.ctx_tokens);
    add_number(o, "weight_bytes", (double)s->engine.weight_bytes);
    add_number(o, "streamed_layers", s->engine.streamed_layers);
    add_number(o, "streamed_bytes", (double)s->engine.streamed_bytes);
    add_text(o, "copy", sto_copy_name(s->engine.copy));
    add_number(o, "disk_bytes", (double)s->engine.disk_bytes);
    add_number(o, "ram_budget_bytes", (double)s->engine.ram_bytes);
    add_number(o, "pinned_budget_bytes", (double)s->engine.pinned_limit_bytes);
    add_number(o, "host_bytes", (double)s->engine.host_bytes);
    add_number(o, "host_peak_bytes", (double)sto_host_peak_bytes());
    add_number(o, "pinned_bytes", (double)s->engine.pinned_bytes);
    add_number(o, "cpu_layers", s->engine.cpu_layers);
    add_number(o, "phased_layers", s->engine.phased_layers);
    add_number(o, "cpu_bytes", (double)s->engine.cpu_bytes);
    add_number(o, "ring_slots", s->engine.ring_slots);
    add_number(o, "kv_bytes_per_token", (double)s->engine.kv_bytes_per_token);
    add_number(o, "read_bytes_per_token", (double)s->engine.read_bytes_per_token);
}

static void add_samples(cJSON *o, const struct sto_bench_result *r)
{
    cJSON *ns = cJSON_AddArrayToObject(o, "samples_ns"), *ts = cJSON_AddArrayToObject(o, "samples_ts");
    for (size_t i = 0; i < r->n; i++) {
        (void)cJSON_AddItemToArray(ns, cJSON_CreateNumber((double)r->ns[i]));
        (void)cJSON_AddItemToArray(ts, cJSON_CreateNumber((double)r->work.tokens * 1e9 / (double)r->ns[i]));
    }
}

/* An average of a run that was slowed down would look like a figure: null. */
static void add_average(cJSON *o, const char *name, double value, const char *trouble)
{
    if (trouble == NULL)
        add_number(o, name, value);
    else
        (void)cJSON_AddNullToObject(o, name);
}

static void add_gpu(cJSON *o, const struct sto_gpu_summary *g, const char *trouble)
{
    add_known(o, "core_mhz", g->core_mhz_mean);
    add_known(o, "core_mhz_min", g->core_mhz_min);
    add_known(o, "core_mhz_max", g->core_mhz_max);
    add_known(o, "memory_mhz", g->memory_mhz_mean);
    add_known(o, "power_w", g->power_w_mean);
    add_known(o, "power_w_max", g->power_w_max);
    add_known(o, "power_limit_w", g->power_limit_w);
    add_known(o, "temperature_c_max", g->temperature_c_max);
    add_known(o, "pcie_lanes", g->pcie_lanes);
    add_known(o, "pcie_gt_per_s", g->pcie_gt_per_s);
    if (g->limits_known)
        (void)cJSON_AddBoolToObject(o, "at_power_limit", (g->limits & STO_GPU_POWER_LIMIT) != 0);
    else
        (void)cJSON_AddNullToObject(o, "at_power_limit");
    if (trouble != NULL)
        add_text(o, "throttled", trouble);
    else
        (void)cJSON_AddNullToObject(o, "throttled");
}

/* A sweep over budgets: what was promised, and what bounds it. */
static enum sto_status add_budget(cJSON *o, const struct sto_bench_budget *b, const struct sto_bench_test *t,
                                  struct sto_error *err)
{
    struct sto_bench_forecast f;
    const enum sto_status status = sto_bench_forecast_of(b, t->n_prompt, t->n_gen, t->n_depth, t->n_ubatch, &f, err);
    if (status != STO_OK)
        return status;
    const struct sto_plan_share *lanes = b->plan.figures.decode_lanes;
    add_number(o, "vram_budget_bytes", (double)b->params.vram_bytes);
    add_number(o, "device_peak_bytes", (double)b->peak_bytes);
    add_number(o, "resident_layers", lanes[STO_LANE_RESIDENT].layers);
    add_number(o, "cpu_layers", lanes[STO_LANE_CPU].layers);
    add_known(o, "predicted_ts", f.predicted);
    add_text(o, "predicted_limit", sto_plan_bind_name(f.bind));
    add_known(o, "roofline_ts", f.roofline);
    add_known(o, "streaming_ts", f.streaming);
    add_known(o, "cpu_ts", f.cpu);
    return STO_OK;
}

static void add_result(cJSON *o, const struct sto_bench_setup *setup, const struct sto_bench_result *r,
                       const struct sto_bench_figures *f)
{
    const struct sto_bench_test *t = &r->test;
    const char *trouble = sto_gpu_summary_trouble(&r->gpu);
    add_number(o, "n_batch", t->n_batch);
    add_number(o, "n_ubatch", t->n_ubatch);
    add_number(o, "n_prompt", t->n_prompt);
    add_number(o, "n_gen", t->n_gen);
    add_number(o, "n_depth", t->n_depth);
    add_text(o, "depth_kv", t->n_depth == 0 ? "" : setup->options->own.synthetic ? "synthetic" : "evaluated");
    add_text(o, "decode", t->n_gen == 0 ? "" : r->drawn ? "draw" : "eval");
    add_text(o, "test_time", r->time);
    add_average(o, "avg_ns", f->ns.mean, trouble);
    add_average(o, "stddev_ns", f->ns.stddev, trouble);
    add_average(o, "avg_ts", f->ts.mean, trouble);
    add_average(o, "stddev_ts", f->ts.stddev, trouble);
    add_average(o, "median_ts", f->ts.median, trouble);
    add_number(o, "min_ts", f->ts.min);
    add_number(o, "max_ts", f->ts.max);
    add_samples(o, r);
    if (t->n_prompt > 0)
        add_number(o, "first_token_ns", f->first_token_ns);
    else
        (void)cJSON_AddNullToObject(o, "first_token_ns");
    add_number(o, "disk_read_bytes", (double)r->disk_read_bytes);
    add_known(o, "longest_batch_ns", (double)r->longest_batch_ns);
    add_number(o, "warmup_runs", r->warmups);
    (void)cJSON_AddBoolToObject(o, "warmup_stable", r->stable);
    add_number(o, "read_bytes", (double)r->work.read_bytes);
    add_average(o, "gb_per_s", f->gb_per_s, trouble);
    add_average(o, "share_of_bandwidth", f->share, trouble);
    add_average(o, "tflop_per_s", f->tflop_per_s, trouble);
    add_gpu(o, &r->gpu, trouble);
}

/* ---- formats ---- */

static void print_csv_text(FILE *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"')
            (void)fputc('"', out);
        (void)fputc((unsigned char)*c, out);
    }
}

static void print_csv_value(FILE *out, const cJSON *item)
{
    (void)fputc('"', out);
    if (cJSON_IsRaw(item)) { /* a text, as JSON has it: sto_json_text */
        cJSON *text = cJSON_Parse(item->valuestring);
        print_csv_text(out, cJSON_IsString(text) ? text->valuestring : "");
        cJSON_Delete(text);
    } else if (cJSON_IsString(item)) {
        print_csv_text(out, item->valuestring);
    } else if (cJSON_IsArray(item)) {
        for (const cJSON *v = item->child; v != NULL; v = v->next)
            fprintf(out, "%s%.10g", v == item->child ? "" : ";", v->valuedouble);
    } else if (cJSON_IsBool(item)) {
        fputs(cJSON_IsTrue(item) ? "true" : "false", out);
    } else if (cJSON_IsNumber(item)) {
        fprintf(out, "%.15g", item->valuedouble);
    }
    (void)fputc('"', out);
}

static void print_csv(const struct sto_bench_report *r, const cJSON *o)
{
    for (const cJSON *v = o->child; r->n_rows == 0 && v != NULL; v = v->next)
        fprintf(r->out, "%s%s", v->string, v->next != NULL ? "," : "\n");
    for (const cJSON *v = o->child; v != NULL; v = v->next) {
        print_csv_value(r->out, v);
        fputs(v->next != NULL ? "," : "\n", r->out);
    }
}

static enum sto_status print_json(const struct sto_bench_report *r, const cJSON *o, struct sto_error *err)
{
    char *text = cJSON_PrintUnformatted(o);
    if (text == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a line of the result");
    if (r->format == STO_BENCH_JSON)
        fprintf(r->out, "%s  %s", r->n_rows > 0 ? ",\n" : "\n", text);
    else
        fprintf(r->out, "%s\n", text);
    cJSON_free(text);
    return STO_OK;
}

void sto_bench_report_begin(struct sto_bench_report *r)
{
    if (r->format == STO_BENCH_JSON)
        fputs("[", r->out);
}

enum sto_status sto_bench_report_row(struct sto_bench_report *r, const struct sto_bench_result *result,
                                     struct sto_error *err)
{
    struct sto_bench_figures f = {0};
    enum sto_status status = figure(r->setup, result, &f, err);
    if (status != STO_OK)
        return status;
    if (r->format == STO_BENCH_MD) {
        sto_bench_print_md(r, result, &f);
    } else {
        cJSON *o = cJSON_CreateObject();
        add_setup(o, r->setup);
        add_result(o, r->setup, result, &f);
        if (r->setup->budget != NULL)
            status = add_budget(o, r->setup->budget, &result->test, err);
        if (status == STO_OK && r->format == STO_BENCH_CSV)
            print_csv(r, o);
        else if (status == STO_OK)
            status = print_json(r, o, err);
        cJSON_Delete(o);
    }
    r->n_throttled += sto_gpu_summary_trouble(&result->gpu) != NULL;
    r->n_rows++;
    (void)fflush(r->out);
    return status;
}

void sto_bench_report_end(struct sto_bench_report *r)
{
    if (r->format == STO_BENCH_JSON)
        fputs("\n]\n", r->out);
}

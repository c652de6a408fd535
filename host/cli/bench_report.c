/* The result as Markdown, CSV, JSON or JSON lines. JSON and CSV are made from one list of fields, which has
 * llama-bench's names where they mean the same. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "build_info.h"
#include "host/cli/bench.h"
#include "host/cli/bench_stats.h"
#include "host/cli/json_text.h"
#include "host/cli/term.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/vk/device.h"

/* What is said of a result in every format. */
struct figures {
    struct sto_bench_stats ns, ts;
    double first_token_ns;            /* median; 0: not a prompt */
    double gb_per_s, tflop_per_s;     /* at the median time      */
    double share;                     /* of the measured bandwidth; 0: not known */
};

static enum sto_status figure(const struct sto_bench_setup *setup, const struct sto_bench_result *result,
                              struct figures *f, struct sto_error *err)
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

static void add_setup(cJSON *o, const struct sto_bench_setup *s)
{
    const struct sto_device_snapshot *d = sto_device_get_snapshot(s->device);
    char cpu[128], kv[16];
    cpu_name(cpu, sizeof cpu);
    lower_name(s->options->common.kv_type, kv, sizeof kv);
    add_text(o, "build_commit", STO_BUILD_COMMIT);
    add_text(o, "build_version", sto_version());
    add_text(o, "build_compiler", STO_BUILD_COMPILER);
    add_text(o, "cpu_info", cpu);
    add_text(o, "gpu_info", d->name);
    add_text(o, "backends", "Vulkan");
    add_text(o, "driver", d->driver_name);
    add_text(o, "driver_info", d->driver_info);
    add_text(o, "model_filename", s->model_file);
    add_text(o, "model_type", s->model_type);
    add_number(o, "model_size", (double)s->sizes.total_bytes);
    add_number(o, "model_n_params", (double)s->sizes.total_elements);
    add_number(o, "n_threads", sto_cpu_count());
    add_text(o, "type_k", kv);
    add_text(o, "type_v", kv);
    add_number(o, "bandwidth_read_gb_per_s", s->bandwidth.read_gb_per_s);
    add_number(o, "bandwidth_copy_gb_per_s", s->bandwidth.copy_gb_per_s);
    add_number(o, "bandwidth_fill_gb_per_s", s->bandwidth.fill_gb_per_s);
    add_number(o, "bandwidth_gb_per_s", s->bandwidth.best_gb_per_s);
    add_number(o, "bandwidth_buffer_bytes", (double)s->bandwidth.bytes);
    add_number(o, "load_ns", (double)s->engine.load_ns);
    add_number(o, "ctx_tokens", s->engine.ctx_tokens);
    add_number(o, "weight_bytes", (double)s->engine.weight_bytes);
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

static void add_result(cJSON *o, const struct sto_bench_result *r, const struct figures *f)
{
    const struct sto_bench_test *t = &r->test;
    add_number(o, "n_batch", t->n_batch);
    add_number(o, "n_ubatch", t->n_ubatch);
    add_number(o, "n_prompt", t->n_prompt);
    add_number(o, "n_gen", t->n_gen);
    add_number(o, "n_depth", t->n_depth);
    add_text(o, "test_time", r->time);
    add_number(o, "avg_ns", f->ns.mean);
    add_number(o, "stddev_ns", f->ns.stddev);
    add_number(o, "avg_ts", f->ts.mean);
    add_number(o, "stddev_ts", f->ts.stddev);
    add_number(o, "median_ts", f->ts.median);
    add_number(o, "min_ts", f->ts.min);
    add_number(o, "max_ts", f->ts.max);
    add_samples(o, r);
    if (t->n_prompt > 0)
        add_number(o, "first_token_ns", f->first_token_ns);
    else
        (void)cJSON_AddNullToObject(o, "first_token_ns");
    add_number(o, "warmup_runs", r->warmups);
    (void)cJSON_AddBoolToObject(o, "warmup_stable", r->stable);
    add_number(o, "read_bytes", (double)r->work.read_bytes);
    add_number(o, "gb_per_s", f->gb_per_s);
    add_number(o, "share_of_bandwidth", f->share);
    add_number(o, "tflop_per_s", f->tflop_per_s);
}

/* ---- formats ---- */

static void print_csv_value(const cJSON *item)
{
    putchar('"');
    if (cJSON_IsString(item)) {
        for (const char *c = item->valuestring; *c != '\0'; c++) {
            if (*c == '"')
                putchar('"');
            putchar((unsigned char)*c);
        }
    } else if (cJSON_IsArray(item)) {
        for (const cJSON *v = item->child; v != NULL; v = v->next)
            printf("%s%.10g", v == item->child ? "" : ";", v->valuedouble);
    } else if (cJSON_IsBool(item)) {
        fputs(cJSON_IsTrue(item) ? "true" : "false", stdout);
    } else if (cJSON_IsNumber(item)) {
        printf("%.15g", item->valuedouble);
    }
    putchar('"');
}

static void print_csv(const struct sto_bench_report *r, const cJSON *o)
{
    for (const cJSON *v = o->child; r->n_rows == 0 && v != NULL; v = v->next)
        printf("%s%s", v->string, v->next != NULL ? "," : "\n");
    for (const cJSON *v = o->child; v != NULL; v = v->next) {
        print_csv_value(v);
        fputs(v->next != NULL ? "," : "\n", stdout);
    }
}

static enum sto_status print_json(const struct sto_bench_report *r, const cJSON *o, struct sto_error *err)
{
    char *text = cJSON_PrintUnformatted(o);
    if (text == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a line of the result");
    if (r->format == STO_BENCH_JSON)
        printf("%s  %s", r->n_rows > 0 ? ",\n" : "\n", text);
    else
        puts(text);
    cJSON_free(text);
    return STO_OK;
}

static void print_md_head(const struct sto_bench_report *r)
{
    static const char dashes[] = "------------------------";
    const struct sto_bench_setup *s = r->setup;
    const struct sto_device_snapshot *d = sto_device_get_snapshot(s->device);
    char weights[24], buffer[24];
    sto_bytes_text(s->bandwidth.bytes, buffer, sizeof buffer);
    sto_bytes_text(s->engine.weight_bytes, weights, sizeof weights);
    printf("%s (%s) on %s, driver %s %s  \n", sto_version(), STO_BUILD_COMMIT, d->name, d->driver_name, d->driver_info);
    printf("%s: %s of weights on the device, loaded in %.2f s  \n", s->model_file, weights,
           (double)s->engine.load_ns / 1e9);
    printf("memory: read %.1f, copy %.1f, fill %.1f GB/s over buffers of %s\n\n", s->bandwidth.read_gb_per_s,
           s->bandwidth.copy_gb_per_s, s->bandwidth.fill_gb_per_s, buffer);
    printf("| %-24s | %10s | %8s | %6s | %16s | %20s | %9s | %21s | %7s | %6s | %7s | %11s |\n", "model", "size",
           "params", "ubatch", "test", "t/s", "median", "range", "GB/s", "of bw", "TFLOP/s", "1st tok ms");
    printf("| %.24s | %.9s: | %.7s: | %.5s: | %.15s: | %.19s: | %.8s: | %.20s: | %.6s: | %.5s: | %.6s: | %.10s: |\n",
           dashes, dashes, dashes, dashes, dashes, dashes, dashes, dashes, dashes, dashes, dashes, dashes);
}

static void print_md(const struct sto_bench_report *r, const struct sto_bench_result *result, const struct figures *f)
{
    const struct sto_bench_setup *s = r->setup;
    char size[24], params[24], name[48], rate[48], range[48], first[24] = "", share[16];
    if (r->n_rows == 0)
        print_md_head(r);
    sto_bytes_text(s->sizes.total_bytes, size, sizeof size);
    const double n = (double)s->sizes.total_elements;
    (void)snprintf(params, sizeof params, n >= 1e9 ? "%.2f B" : "%.2f M", n >= 1e9 ? n / 1e9 : n / 1e6);
    sto_bench_test_name(&result->test, name, sizeof name);
    (void)snprintf(rate, sizeof rate, "%.2f ± %.2f", f->ts.mean, f->ts.stddev);
    (void)snprintf(range, sizeof range, "%.2f to %.2f", f->ts.min, f->ts.max);
    (void)snprintf(share, sizeof share, "%.1f %%", 100.0 * f->share);
    if (result->test.n_prompt > 0)
        (void)snprintf(first, sizeof first, "%.1f", f->first_token_ns / 1e6);
    printf("| %-24s | %10s | %8s | %6u | %16s | %21s | %9.2f | %21s | %7.2f | %6s | %7.3f | %11s |\n", s->model_type,
           size, params, (unsigned)result->test.n_ubatch, name, rate, f->ts.median, range, f->gb_per_s, share,
           f->tflop_per_s, first);
}

void sto_bench_report_begin(struct sto_bench_report *r)
{
    if (r->format == STO_BENCH_JSON)
        fputs("[", stdout);
}

enum sto_status sto_bench_report_row(struct sto_bench_report *r, const struct sto_bench_result *result,
                                     struct sto_error *err)
{
    struct figures f = {0};
    enum sto_status status = figure(r->setup, result, &f, err);
    if (status != STO_OK)
        return status;
    if (r->format == STO_BENCH_MD) {
        print_md(r, result, &f);
    } else {
        cJSON *o = cJSON_CreateObject();
        add_setup(o, r->setup);
        add_result(o, result, &f);
        if (r->format == STO_BENCH_CSV)
            print_csv(r, o);
        else
            status = print_json(r, o, err);
        cJSON_Delete(o);
    }
    r->n_rows++;
    (void)fflush(stdout);
    return status;
}

void sto_bench_report_end(struct sto_bench_report *r)
{
    if (r->format == STO_BENCH_JSON)
        puts("\n]");
}

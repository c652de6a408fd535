/* The result as a Markdown table, for people, with the run's circumstances above it. */
#include <stdio.h>

#include "build_info.h"
#include "host/cli/bench.h"
#include "host/cli/stack.h"
#include "host/cli/term.h"

enum { GPU_COLUMNS = 38 };

static void print_setup(FILE *out, const struct sto_bench_setup *s)
{
    const double specified = s->source != NULL ? sto_gpu_facts_specified_gb_per_s(s->source) : 0.0;
    char weights[24], buffer[24], spilled[24];
    sto_bytes_text(s->bandwidth.bytes, buffer, sizeof buffer);
    sto_bytes_text(s->engine.weight_bytes + s->engine.cpu_bytes, weights, sizeof weights);
    sto_bytes_text(s->spilled_bytes, spilled, sizeof spilled);
    fprintf(out, "%s (%s) on %s, driver %s %s  \n", sto_version(), STO_BUILD_COMMIT, s->snapshot->name,
            s->snapshot->driver_name, s->snapshot->driver_info);
    if (s->options->common.sim != NULL)
        fprintf(out, "**simulated**, with the rates of %s: no time here was measured  \n", s->options->common.sim);
    const bool without = sto_stack_is_without_device(&s->engine);
    if (without)
        fprintf(out, "**all layers on the processor** (%s, %u threads), not on that device  \n", s->engine.cpu_level,
                (unsigned)s->engine.cpu_threads);
    else if (s->engine.cpu_layers > 0)
        fprintf(out, "**%u layers on the processor** (%s, %u threads), the others on that device  \n",
                (unsigned)s->engine.cpu_layers, s->engine.cpu_level, (unsigned)s->engine.cpu_threads);
    fprintf(out, "%s: %s of weights%s, loaded in %.2f s%s%s  \n", s->model_file, weights,
            s->engine.cpu_layers > 0 ? "" : " on the device", (double)s->engine.load_ns / 1e9,
            s->sha256 != NULL ? ", SHA-256 " : "",
            s->sha256 != NULL ? s->sha256 : "");
    fprintf(out, "memory: read %.1f, copy %.1f, fill %.1f GB/s over buffers of %s", s->bandwidth.read_gb_per_s,
            s->bandwidth.copy_gb_per_s, s->bandwidth.fill_gb_per_s, buffer);
    if (specified > 0.0)
        fprintf(out, ", specified %.1f GB/s", specified);
    fputs("  \n", out);
    if (s->spilled_bytes > 0)
        fprintf(out, "**%s of this seem to lie in system memory**  \n", spilled);
    fputs("\n", out);
}

static void print_head(FILE *out, bool gpu)
{
    static const char dashes[] = "-------------------------------------";
    fprintf(out, "| %-24s | %10s | %8s | %6s | %16s | %20s | %9s | %21s | %7s | %6s | %7s | %10s |", "model", "size",
            "params", "ubatch", "test", "t/s", "median", "range", "GB/s", "of bw", "TFLOP/s", "1st tok ms");
    if (gpu)
        fprintf(out, " %*s |", GPU_COLUMNS, "GPU");
    fprintf(out, "\n| %.24s | %.9s: | %.7s: | %.5s: | %.15s: | %.19s: | %.8s: | %.20s: | %.6s: | %.5s: |", dashes,
            dashes, dashes, dashes, dashes, dashes, dashes, dashes, dashes, dashes);
    fprintf(out, " %.6s: | %.9s: |", dashes, dashes);
    if (gpu)
        fprintf(out, " %.*s: |", GPU_COLUMNS - 1, dashes);
    fputs("\n", out);
}

/* "2505 MHz, 320 of 450 W, 67 C, x16 16 GT/s" */
static void gpu_text(const struct sto_gpu_summary *g, char *text, size_t size)
{
    size_t n = 0;
    text[0] = '\0';
    if (g->core_mhz_mean > 0.0)
        n += (size_t)snprintf(text + n, size - n, "%.0f MHz", g->core_mhz_mean);
    if (g->power_w_mean > 0.0)
        n += (size_t)snprintf(text + n, size - n, "%s%.0f of %.0f W", n > 0 ? ", " : "", g->power_w_mean,
                              g->power_limit_w);
    if (g->temperature_c_max > 0.0)
        n += (size_t)snprintf(text + n, size - n, "%s%.0f C", n > 0 ? ", " : "", g->temperature_c_max);
    if (g->pcie_lanes > 0)
        (void)snprintf(text + n, size - n, "%sx%u %g GT/s", n > 0 ? ", " : "", (unsigned)g->pcie_lanes,
                       g->pcie_gt_per_s);
}

/* The columns that a run which was slowed down does not have. */
static void print_averages(FILE *out, const struct sto_bench_figures *f, bool averages)
{
    char rate[48], range[48];
    (void)snprintf(rate, sizeof rate, "%.2f ± %.2f", f->ts.mean, f->ts.stddev);
    (void)snprintf(range, sizeof range, "%.2f to %.2f", f->ts.min, f->ts.max);
    if (averages) /* the sign is two bytes and one column */
        fprintf(out, " %21s | %9.2f | %21s | %7.2f | %4.1f %% | %7.3f |", rate, f->ts.median, range, f->gb_per_s,
                100.0 * f->share, f->tflop_per_s);
    else
        fprintf(out, " %20s | %9s | %21s | %7s | %6s | %7s |", "throttled", "-", range, "-", "-", "-");
}

void sto_bench_print_md(const struct sto_bench_report *r, const struct sto_bench_result *result,
                        const struct sto_bench_figures *figures)
{
    const struct sto_bench_setup *s = r->setup;
    const char *trouble = sto_gpu_summary_trouble(&result->gpu);
    const double n = (double)s->sizes.total_elements;
    char size[24], params[24], name[48], first[24] = "", gpu[160];
    if (r->n_rows == 0) {
        print_setup(r->out, s);
        print_head(r->out, s->source != NULL);
    }
    sto_bytes_text(s->sizes.total_bytes, size, sizeof size);
    (void)snprintf(params, sizeof params, n >= 1e9 ? "%.2f B" : "%.2f M", n >= 1e9 ? n / 1e9 : n / 1e6);
    sto_bench_test_name(&result->test, name, sizeof name);
    if (result->test.n_prompt > 0)
        (void)snprintf(first, sizeof first, "%.1f", figures->first_token_ns / 1e6);
    fprintf(r->out, "| %-24s | %10s | %8s | %6u | %16s |", s->model_type, size, params,
            (unsigned)result->test.n_ubatch, name);
    print_averages(r->out, figures, trouble == NULL);
    fprintf(r->out, " %10s |", first);
    gpu_text(&result->gpu, gpu, sizeof gpu);
    if (s->source != NULL)
        fprintf(r->out, " %*s |", GPU_COLUMNS, gpu);
    fputs("\n", r->out);
    if (trouble != NULL) {
        char line[160];
        (void)snprintf(line, sizeof line, "%s: the GPU was %s: no average", name, trouble);
        sto_print_message(STO_LOG_WARNING, line);
    }
}

/* bench/kernels: verifies kernels, then times them.
 *
 *   kernels.txt -> runtime/verify -> operands at a real shape -> many dispatches in one submission -> a row of a table
 *
 * What a submission and an empty dispatch cost is measured first and taken off, then how fast memory is. Times are
 * medians; the spread is between the quartiles. GB/s counts the bytes that a kernel has to move, GFLOP/s the operations
 * of its definition; "memory" is GB/s over what memory gives at best: above 1, what was read lay in a cache. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/bandwidth.h"
#include "runtime/measure/stopwatch.h"
#include "runtime/verify/verify.h"

enum { MAX_NAMES = 32, MAX_LIST = 16 };

struct options {
    const char *names[MAX_NAMES]; /* beginnings of kernels' names */
    uint32_t n_names;
    struct sto_kernel_shape shape;
    uint32_t columns[MAX_LIST];
    uint32_t n_columns;
    uint32_t tuning[STO_MAX_TUNING]; /* where set */
    bool set[STO_MAX_TUNING];
    uint32_t time_ms;
    const char *device;
    bool csv, no_verify, cpu_time;
};

struct bench {
    struct options options;
    struct sto_device *device;
    struct sto_stopwatch watch;
    double error; /* of the kernel just verified, over its bound */
    struct sto_bandwidth memory;
    enum sto_kernel kernel;
    uint32_t failed;
};

/* ---- rows ---- */

static void print_head(const struct bench *b)
{
    if (b->options.csv)
        printf("kernel,rows,inputs,columns,us,spread,gb_per_s,memory_share,gflop_per_s,error_over_bound\n");
    else
        printf("| kernel | rows x inputs | columns | us | spread | GB/s | memory | GFLOP/s | error / bound |\n"
               "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    (void)fflush(stdout);
}

static void print_row(const struct bench *b, const struct sto_kernel_case *c, const struct sto_time *s, double error)
{
    const double ns = fmax(s->ns, 0), us = ns * 1e-3; /* 0: no longer than an empty dispatch */
    const double gb = ns > 0 ? (double)c->bytes / ns : 0, gflop = ns > 0 ? (double)c->flops / ns : 0;
    const double share = gb / b->memory.best_gb_per_s;
    const char *name = sto_kernel_get(c->kernel)->name;
    if (b->options.csv)
        printf("%s,%u,%u,%u,%.2f,%.3f,%.3f,%.3f,%.3f,%.3f\n", name, c->shape.rows, c->shape.inputs, c->shape.columns,
               us, s->spread, gb, share, gflop, error);
    else
        printf("| %s | %u x %u | %u | %.1f | %.0f %% | %.2f | %.2f | %.2f | %.3f |\n", name, c->shape.rows,
               c->shape.inputs, c->shape.columns, us, 100 * s->spread, gb, share, gflop, error);
    (void)fflush(stdout);
}

/* Times one kernel over one number of columns and prints its row. */
static enum sto_status bench_columns(struct bench *b, enum sto_kernel kernel, uint32_t columns, struct sto_error *err)
{
    struct sto_kernel_shape shape = b->options.shape;
    struct sto_kernel_case c;
    struct sto_time sample;
    double error = 0;

    struct sto_tuning tuning = sto_device_get_plan(b->device)->tuning[kernel];

    shape.columns = columns;
    for (uint32_t i = 0; i < tuning.n_values; i++) {
        if (b->options.set[i])
            tuning.values[i] = b->options.tuning[i];
    }
    enum sto_status status = sto_kernel_case_create(b->device, kernel, &shape, &tuning, &c, err);
    if (status != STO_OK)
        return status;
    status = sto_stopwatch_warm(&b->watch, &c, err);
    if (status == STO_OK)
        status = sto_kernel_case_check(&c, &error, err);
    if (status == STO_OK)
        status = sto_stopwatch_time(&b->watch, &c, b->options.time_ms, &sample, err);
    if (status == STO_OK) {
        print_row(b, &c, &sample, fmax(error, b->error));
        b->failed += error > 1;
    }
    sto_kernel_case_destroy(&c);
    return status;
}

static void note_verified(void *user, const struct sto_verify_result *result)
{
    struct bench *b = user;
    if (result->kernel != b->kernel)
        return;
    b->error = result->worst;
    if (result->failed > 0) {
        fprintf(stderr, "kernels: %s answers wrongly: %s\n", sto_kernel_get(result->kernel)->name, result->failure);
        b->failed++;
    }
}

static enum sto_status bench_kernel(struct bench *b, enum sto_kernel kernel, struct sto_error *err)
{
    const struct sto_verify_params verify = {
        .kernel = sto_kernel_get(kernel)->name, .user = b, .result = note_verified};
    struct sto_verify_summary summary;
    enum sto_status status = STO_OK;

    b->kernel = kernel;
    b->error = 0;
    if (!b->options.no_verify)
        status = sto_verify(b->device, &verify, &summary, err);
    for (uint32_t i = 0; i < b->options.n_columns && status == STO_OK; i++)
        status = bench_columns(b, kernel, b->options.columns[i], err);
    return status;
}

static bool is_wanted(const struct bench *b, enum sto_kernel kernel)
{
    const char *name = sto_kernel_get(kernel)->name;
    bool wanted = b->options.n_names == 0;
    for (uint32_t i = 0; i < b->options.n_names; i++)
        wanted = wanted || strncmp(name, b->options.names[i], strlen(b->options.names[i])) == 0;
    return wanted && sto_kernel_case_known(kernel);
}

static enum sto_status bench_all(struct bench *b, struct sto_error *err)
{
    enum sto_status status = sto_stopwatch_take_baseline(&b->watch, err);
    if (status == STO_OK)
        status = sto_bandwidth_measure(b->device, &b->memory, err);
    if (status != STO_OK)
        return status;
    fprintf(stderr, "kernels: %s, subgroups of %u; a submission %.1f us, a dispatch %.1f us, memory %.2f GB/s\n",
            sto_device_name(b->device), sto_device_get_plan(b->device)->subgroup_size,
            b->watch.submit_ns * 1e-3, b->watch.dispatch_ns * 1e-3, b->memory.best_gb_per_s);
    print_head(b);
    uint32_t rows = 0, not_here = 0;
    for (int k = 0; k < STO_KERNEL_COUNT && status == STO_OK; k++) {
        if (!is_wanted(b, (enum sto_kernel)k))
            continue;
        const bool usable = sto_device_get_plan(b->device)->usable[k];
        not_here += !usable;
        rows += usable;
        if (usable)
            status = bench_kernel(b, (enum sto_kernel)k, err);
    }
    if (status == STO_OK)
        fprintf(stderr, "kernels: %u timed, %u that this device or this build lacks\n", rows, not_here);
    return status;
}

/* ---- options ---- */

static const char usage[] =
    "usage: kernels [NAME ...] [options]       NAME: a kernel's name or the beginning of several; none: all\n"
    "  --shape ROWSxINPUTS   of the matrix (4096x4096); attention: tokens of context, width of query heads of 128\n"
    "  --columns LIST        (as suits the kernel: 1, 64, or 512)\n"
    "  --device N|NAME       (the best)\n"
    "  --set I=VALUE         specialisation constant I instead of the plan's; may be given again\n"
    "  --time MS             per row (500)\n"
    "  --cold MB             few columns: so many MB of weights or KV are read in turn (256)\n"
    "  --cpu-time            for CPU drivers on a busy machine: processor time of all threads, not time passed\n"
    "  --no-verify           time without the cases of runtime/verify\n"
    "  -o md|csv             (md)\n";

/* A number from 0 to `most`, up to one of the characters in `ends`. */
static bool read_number(const char **text, const char *ends, unsigned long most, uint32_t *out)
{
    char *end;
    const unsigned long v = strtoul(*text, &end, 10);
    if (end == *text || v > most || (*end != '\0' && strchr(ends, *end) == NULL))
        return false;
    *out = (uint32_t)v;
    *text = *end == '\0' ? end : end + 1;
    return true;
}

static bool read_columns(struct options *o, const char *text)
{
    for (o->n_columns = 0; *text != '\0' && o->n_columns < MAX_LIST; o->n_columns++) {
        if (!read_number(&text, ",", 65535, &o->columns[o->n_columns]))
            return false;
    }
    return o->n_columns > 0 && *text == '\0';
}

static bool read_option(struct options *o, const char *name, const char *value)
{
    uint32_t i, v;
    if (strcmp(name, "--shape") == 0)
        return read_number(&value, "x", 1u << 24, &o->shape.rows) &&
               read_number(&value, "", 1u << 20, &o->shape.inputs) && o->shape.rows > 0 && o->shape.inputs % 256 == 0;
    if (strcmp(name, "--columns") == 0)
        return read_columns(o, value);
    if (strcmp(name, "--set") == 0) {
        if (!read_number(&value, "=", STO_MAX_TUNING - 1, &i) || !read_number(&value, "", 1u << 30, &v))
            return false;
        o->tuning[i] = v;
        o->set[i] = true;
        return true;
    }
    if (strcmp(name, "--time") == 0)
        return read_number(&value, "", 1000000, &o->time_ms);
    if (strcmp(name, "--cold") == 0) {
        const bool ok = read_number(&value, "", 1u << 20, &v);
        o->shape.cold_bytes = ok ? (uint64_t)v << 20 : 0;
        return ok;
    }
    if (strcmp(name, "--device") == 0)
        o->device = value;
    else if (strcmp(name, "-o") == 0)
        o->csv = strcmp(value, "csv") == 0;
    else
        return false;
    return true;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){.shape = {.rows = 4096, .inputs = 4096, .cold_bytes = 256u << 20}, .n_columns = 1,
                          .time_ms = 500};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-verify") == 0) {
            o->no_verify = true;
        } else if (strcmp(argv[i], "--cpu-time") == 0) {
            o->cpu_time = true;
        } else if (argv[i][0] != '-') {
            if (o->n_names == MAX_NAMES)
                return false;
            o->names[o->n_names++] = argv[i];
        } else {
            if (i + 1 == argc || !read_option(o, argv[i], argv[i + 1]))
                return false;
            i++;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    struct sto_error err;

    if (!read_options(argc, argv, &b.options)) {
        fputs(usage, stderr);
        return 2;
    }
    const struct sto_device_params params = {.name = b.options.device, .no_self_test = true};
    enum sto_status status = sto_device_open(&params, NULL, &b.device, &err);
    if (status == STO_OK)
        status = sto_stopwatch_create(b.device, b.options.cpu_time, &b.watch, &err);
    if (status == STO_OK)
        status = bench_all(&b, &err);
    sto_stopwatch_destroy(&b.watch);
    sto_device_close(b.device);
    if (status != STO_OK)
        fprintf(stderr, "kernels: error: %s\n", err.message);
    return status == STO_OK ? b.failed > 0 : status == STO_ERR_NO_DEVICE ? 4 : 1;
}

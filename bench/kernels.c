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
#include <time.h>

#include "bench/kernel_case.h"
#include "runtime/bandwidth.h"
#include "runtime/base/os.h"
#include "runtime/verify/verify.h"
#include "shaders/shared/args.h"

enum { MAX_NAMES = 32, MAX_LIST = 16, MAX_SAMPLES = 400 };

struct options {
    const char *names[MAX_NAMES]; /* beginnings of kernels' names */
    uint32_t n_names;
    struct kernel_shape shape;
    uint32_t columns[MAX_LIST];
    uint32_t n_columns;
    uint32_t tuning[STO_MAX_TUNING];
    uint32_t time_ms;
    const char *device;
    bool csv, no_verify, cpu_time;
};

struct bench {
    struct options options;
    struct sto_device *device;
    struct sto_recording *rec;
    struct sto_buffer scratch;     /* what empty dispatches write */
    double submit_ns, dispatch_ns; /* of an empty submission, of an empty dispatch in one */
    double error;                  /* of the kernel just verified, over its bound */
    struct sto_bandwidth memory;
    enum sto_kernel kernel;
    uint32_t failed;
};

/* ---- timing ---- */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct sample {
    double median_ns, spread; /* spread: between the quartiles, over the median */
    uint32_t n;
};

/* The clock that kernels are timed with. */
static double now_ns(const struct bench *b)
{
    return b->options.cpu_time ? (double)clock() * (1e9 / CLOCKS_PER_SEC) : (double)sto_now_ns();
}

/* Submits a finished recording until time_ms have passed, at least five times. */
static enum sto_status time_recording(struct bench *b, uint32_t time_ms, struct sample *out, struct sto_error *err)
{
    double ns[MAX_SAMPLES];
    uint64_t ticket;
    uint32_t n = 0;
    const uint64_t begun = sto_now_ns();
    for (; n < MAX_SAMPLES && (n < 5 || sto_now_ns() - begun < (uint64_t)time_ms * 1000000); n++) {
        const double start = now_ns(b);
        enum sto_status status = sto_device_submit(b->device, b->rec, &ticket, err);
        if (status == STO_OK)
            status = sto_device_wait(b->device, ticket, err);
        if (status != STO_OK)
            return status;
        ns[n] = now_ns(b) - start;
    }
    qsort(ns, n, sizeof *ns, compare_doubles);
    out->median_ns = ns[n / 2];
    out->spread = (ns[n * 3 / 4] - ns[n / 4]) / ns[n / 2];
    out->n = n;
    return STO_OK;
}

/* n dispatches that do next to nothing, each after the one before it. */
static enum sto_status time_empty(struct bench *b, uint32_t n, double *ns, struct sto_error *err)
{
    const struct ProbeArgs args = {.x = b->scratch.address, .y = b->scratch.address, .n = 4, .factor = 1};
    const struct sto_use use = {b->scratch.address, 16, STO_READ_WRITE};
    struct sample sample;

    sto_recording_begin(b->rec);
    for (uint32_t i = 0; i < n; i++)
        sto_record_dispatch(b->rec, &(struct sto_dispatch){.kernel = STO_KERNEL_probe, .args = &args,
                                                           .groups = {1, 1, 1}, .uses = &use, .n_uses = 1});
    enum sto_status status = sto_recording_finish(b->rec, err);
    if (status == STO_OK)
        status = time_recording(b, 100, &sample, err); /* warm-up */
    if (status == STO_OK)
        status = time_recording(b, 100, &sample, err);
    *ns = sample.median_ns;
    return status;
}

static enum sto_status measure_baseline(struct bench *b, struct sto_error *err)
{
    enum { MANY = 65 };
    double one = 0, many = 0;
    enum sto_status status = sto_buffer_create(b->device, STO_MEMORY_DEVICE, 256, "scratch", &b->scratch, err);
    if (status == STO_OK)
        status = time_empty(b, 1, &one, err);
    if (status == STO_OK)
        status = time_empty(b, MANY, &many, err);
    b->dispatch_ns = many > one ? (many - one) / (MANY - 1) : 0;
    b->submit_ns = one > b->dispatch_ns ? one - b->dispatch_ns : 0;
    return status;
}

/* `turns` operations in one recording; how long it takes. */
static enum sto_status time_turns(struct bench *b, struct kernel_case *c, uint32_t turns, uint32_t time_ms,
                                  struct sample *out, struct sto_error *err)
{
    struct sto_recording_stats stats;
    sto_recording_begin(b->rec);
    for (uint32_t i = 0; i < turns; i++)
        kernel_case_record(c, b->rec, i);
    enum sto_status status = sto_recording_finish(b->rec, err);
    if (status == STO_OK)
        status = time_recording(b, time_ms, out, err);
    if (status != STO_OK)
        return status;
    sto_recording_get_stats(b->rec, &stats);
    const double net = out->median_ns - b->submit_ns - stats.dispatches * b->dispatch_ns;
    out->median_ns = net / turns;
    return STO_OK;
}

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

static void print_row(const struct bench *b, const struct kernel_case *c, const struct sample *s, double error)
{
    const double ns = fmax(s->median_ns, 0), us = ns * 1e-3; /* 0: no longer than an empty dispatch */
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
    struct kernel_shape shape = b->options.shape;
    struct kernel_case c;
    struct sample sample;
    double error = 0;

    shape.columns = columns;
    enum sto_status status = kernel_case_create(b->device, kernel, &shape, b->options.tuning, &c, err);
    if (status != STO_OK)
        return status;
    status = time_turns(b, &c, 1, 0, &sample, err); /* compiles, and says how many fit in a sample */
    if (status == STO_OK)
        status = kernel_case_check(&c, &error, err);
    if (status == STO_OK)
        status = time_turns(b, &c, 1, 0, &sample, err);
    if (status == STO_OK) {
        const double wanted = 0.1e6 * b->options.time_ms / fmax(sample.median_ns, 1000.0);
        uint32_t turns = wanted < 1 ? 1 : wanted > 1000 ? 1000 : (uint32_t)wanted;
        if (c.copies > 1 && turns < c.copies) /* all of them, or what was read stays in a cache */
            turns = c.copies;
        status = time_turns(b, &c, turns, b->options.time_ms, &sample, err);
    }
    if (status == STO_OK) {
        print_row(b, &c, &sample, fmax(error, b->error));
        b->failed += error > 1;
    }
    kernel_case_destroy(&c);
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
    return wanted && kernel_case_known(kernel);
}

static enum sto_status bench_all(struct bench *b, struct sto_error *err)
{
    enum sto_status status = measure_baseline(b, err);
    if (status == STO_OK)
        status = sto_bandwidth_measure(b->device, &b->memory, err);
    if (status != STO_OK)
        return status;
    fprintf(stderr, "kernels: %s, subgroups of %u; a submission %.1f us, a dispatch %.1f us, memory %.2f GB/s\n",
            sto_device_name(b->device), sto_device_get_plan(b->device)->subgroup_size, b->submit_ns * 1e-3,
            b->dispatch_ns * 1e-3, b->memory.best_gb_per_s);
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
    const struct sto_device_params params = {.name = b.options.device};
    enum sto_status status = sto_device_open(&params, NULL, &b.device, &err);
    if (status == STO_OK)
        status = sto_recording_create(b.device, &b.rec, &err);
    if (status == STO_OK)
        status = bench_all(&b, &err);
    if (b.device != NULL)
        sto_buffer_destroy(b.device, &b.scratch);
    sto_recording_destroy(b.rec);
    sto_device_close(b.device);
    if (status != STO_OK)
        fprintf(stderr, "kernels: error: %s\n", err.message);
    return status == STO_OK ? b.failed > 0 : status == STO_ERR_NO_DEVICE ? 4 : 1;
}

/* strato verify: every kernel against its reference on this device; one line per kernel, a closing count. Exit code 1
 * when one disagrees, or the validation layers found something. */
#include "host/cli/cli.h"
#include "host/cli/term.h"
#include "runtime/verify/verify.h"

struct verify_run {
    bool json, verbose, first;
    unsigned log_errors; /* lines of level error: the validation layers' findings */
};

static void print_json_string(const char *s)
{
    putchar('"');
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            putchar('\\');
        putchar((unsigned char)*s < 0x20 ? ' ' : *s);
    }
    putchar('"');
}

/* JSON knows no infinity: null stands for an error that has no size. */
static void print_json(const struct sto_verify_result *r, bool first)
{
    printf("%s\n    {\"kernel\": \"%s\", \"cases\": %u, \"failed\": %u, \"error_over_bound\": ", first ? "" : ",",
           sto_kernel_get(r->kernel)->name, r->cases, r->failed);
    if (r->worst < 1e300)
        printf("%.4g", r->worst);
    else
        printf("null");
    printf(", \"worst_case\": ");
    print_json_string(r->worst_case);
    printf(", \"failure\": ");
    print_json_string(r->failure);
    printf(", \"left_out\": ");
    if (r->left_out != NULL)
        print_json_string(r->left_out);
    else
        printf("null");
    printf("}");
}

static void show_result(void *user, const struct sto_verify_result *r)
{
    struct verify_run *run = user;
    const char *name = sto_kernel_get(r->kernel)->name;

    if (run->json)
        print_json(r, run->first);
    else if (r->left_out != NULL)
        printf("%-20s left out: %s\n", name, r->left_out);
    else if (r->failed > 0)
        printf("%-20s FAILED %u of %u cases; %s\n", name, r->failed, r->cases, r->failure);
    else if (r->worst > 0)
        printf("%-20s ok  %3u cases, worst error %.3f of its bound (%s)\n", name, r->cases, r->worst, r->worst_case);
    else
        printf("%-20s ok  %3u cases, exact\n", name, r->cases);
    run->first = false;
    (void)fflush(stdout);
}

static void log_line(void *user, enum sto_log_level level, const char *line)
{
    struct verify_run *run = user;
    run->log_errors += level == STO_LOG_ERROR;
    if (level <= STO_LOG_WARNING || run->verbose)
        sto_print_message(level, line);
}

static void print_opening(const struct verify_run *run, const struct sto_device *device)
{
    if (!run->json)
        return;
    printf("{\"device\": ");
    print_json_string(sto_device_name(device));
    printf(",\n  \"results\": [");
}

static void print_summary(const struct verify_run *run, const struct sto_device *device,
                          const struct sto_verify_summary *s)
{
    const unsigned subgroup = sto_device_get_plan(device)->subgroup_size;
    if (run->json)
        printf("\n  ],\n  \"kernels\": %u, \"failed\": %u, \"left_out\": %u, \"cases\": %u, \"subgroup_size\": %u}\n",
               s->kernels, s->failed, s->left_out, s->cases, subgroup);
    else
        printf("%s, subgroups of %u: %u kernels, %u cases, %u failed, %u left out\n", sto_device_name(device), subgroup,
               s->kernels, s->cases, s->failed, s->left_out);
}

int sto_cmd_verify(int argc, char **argv)
{
    struct verify_run run = {.first = true};
    const struct sto_callbacks callbacks = {.user = &run, .log = log_line};
    struct sto_options options;
    struct sto_device_params device_params;
    struct sto_verify_summary summary;
    struct sto_device *device = NULL;
    struct sto_error err;
    int code;

    if (!sto_cli_parse(argc, argv, &options, &code))
        return code;
    run.json = options.own.json;
    run.verbose = options.common.verbose > 0;
    sto_options_device(&options, &device_params);
    const struct sto_verify_params params = {.kernel = options.own.kernel, .workgroup = options.own.workgroup,
                                             .user = &run, .result = show_result};
    enum sto_status status = sto_device_open(&device_params, &callbacks, &device, &err);
    if (status == STO_OK) {
        print_opening(&run, device);
        status = sto_verify(device, &params, &summary, &err);
        print_summary(&run, device, &summary);
    }
    sto_device_close(device);
    if (status == STO_OK && run.log_errors > 0)
        status = sto_fail(&err, STO_ERR_FAILED, "%u errors of the driver or the validation layers", run.log_errors);
    if (status != STO_OK)
        return sto_cli_fail(&err);
    code = sto_cli_finish();
    return code != 0 ? code : summary.failed > 0;
}

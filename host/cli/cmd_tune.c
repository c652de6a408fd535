/* strato tune: finds a device's best constants, kernel by kernel, and keeps them in the cache folder. */
#include "host/cli/cli.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/device_findings.h"
#include "host/cli/term.h"
#include "runtime/base/mem.h"
#include "runtime/tune.h"

struct tune_run {
    bool json;
    cJSON *kernels; /* with json */
    struct sto_callbacks callbacks;
};

/* ---- what is found ---- */

static void print_head(void)
{
    (void)printf("%-22s %10s %10s %6s  workgroup, subgroup, constants of the kernel\n", "kernel", "before us",
                 "after us", "ratio");
}

static void print_kernel(const struct sto_tune_kernel *t)
{
    char before[128], after[128];
    sto_tuning_text(&t->before, before, sizeof before);
    sto_tuning_text(&t->after, after, sizeof after);
    (void)printf("%-22s ", sto_kernel_get(t->kernel)->name);
    if (t->after.n_values == 0)
        (void)printf("answers wrongly as planned: not searched\n");
    else if (t->gain > 1)
        (void)printf("%10.1f %10.1f %6.2f  %s -> %s", t->before_us, t->after_us, t->gain, before, after);
    else
        (void)printf("%10.1f %10.1f %6.2f  %s, as planned", t->before_us, t->after_us, t->gain, before);
    if (t->after.n_values != 0)
        (void)printf(" (%u tried", t->tried);
    if (t->wrong > 0)
        (void)printf(", %u answered wrongly", t->wrong);
    (void)puts(t->after.n_values != 0 ? ")" : "");
    (void)fflush(stdout);
}

static void add_constants(cJSON *json, const char *name, const struct sto_tuning *t)
{
    cJSON *array = cJSON_AddArrayToObject(json, name);
    for (uint32_t i = 0; i < t->n_values; i++)
        (void)cJSON_AddItemToArray(array, cJSON_CreateNumber(t->values[i]));
}

static void add_kernel(cJSON *kernels, const struct sto_tune_kernel *t)
{
    cJSON *row = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(row, "kernel", sto_kernel_get(t->kernel)->name);
    add_constants(row, "before", &t->before);
    add_constants(row, "after", &t->after);
    (void)cJSON_AddNumberToObject(row, "before_us", t->before_us);
    (void)cJSON_AddNumberToObject(row, "after_us", t->after_us);
    (void)cJSON_AddNumberToObject(row, "gain", t->gain);
    (void)cJSON_AddNumberToObject(row, "tried", t->tried);
    (void)cJSON_AddNumberToObject(row, "wrong", t->wrong);
    (void)cJSON_AddItemToArray(kernels, row);
}

static void found(void *user, const struct sto_tune_kernel *result)
{
    struct tune_run *run = user;
    if (run->json) {
        add_kernel(run->kernels, result);
    } else {
        sto_term_clear();
        print_kernel(result);
    }
}

static bool progress(void *user, enum sto_kernel kernel, uint32_t done, uint32_t total)
{
    const struct tune_run *run = user;
    (void)kernel;
    return run->callbacks.progress(run->callbacks.user, "kernels", done, total);
}

/* ---- the end ---- */

static void print_end(const struct sto_findings *findings, struct sto_device *device, const char *path)
{
    struct sto_device_plan plan = *sto_device_get_plan(device);
    sto_findings_apply(findings, sto_device_get_snapshot(device), &plan);
    (void)printf("\n%s\n", sto_device_name(device));
    sto_print_findings(findings, &plan);
    (void)printf("kept in %s\n", path);
}

static enum sto_status print_json(struct tune_run *run, const struct sto_findings *findings, struct sto_device *device,
                                  const char *path, struct sto_error *err)
{
    cJSON *json = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(json, "device", sto_device_name(device));
    (void)cJSON_AddStringToObject(json, "driver", sto_device_get_snapshot(device)->driver_info);
    (void)cJSON_AddStringToObject(json, "file", path);
    (void)cJSON_AddItemToObject(json, "kernels", run->kernels);
    run->kernels = NULL;
    sto_json_findings(json, findings);
    char *text = cJSON_Print(json);
    cJSON_Delete(json);
    if (text == NULL)
        return sto_fail(err, STO_ERR_FAILED, "out of memory for JSON");
    (void)puts(text);
    cJSON_free(text);
    return STO_OK;
}

/* ---- the command ---- */

static enum sto_status path_of(const struct sto_device_snapshot *snapshot, const struct sto_device_plan *plan,
                               char *path, size_t size, struct sto_error *err)
{
    sto_findings_path(snapshot, plan, NULL, path, size);
    if (path[0] != '\0')
        return STO_OK;
    return sto_fail(err, STO_ERR_FAILED, "there is no cache folder: neither HOME nor XDG_CACHE_HOME is set");
}

/* Forgets what is known of one device: leaves a file that says nothing. */
static enum sto_status reset(const struct sto_options *options, struct sto_error *err)
{
    struct sto_device_snapshot *list = NULL;
    struct sto_device_plan plan;
    struct sto_findings nothing = {0};
    const struct sto_plan_options plan_options = {.subgroup_size = options->common.subgroup_size};
    uint32_t n = 0, index = 0;
    char path[1024];
    enum sto_status status = sto_devices_list(&list, &n, err);
    if (status == STO_OK)
        status = sto_device_find(list, n, sto_options_device_name(options), &index, err);
    if (status == STO_OK)
        status = sto_device_plan_make(&list[index], &plan_options, &plan, err);
    if (status == STO_OK)
        status = path_of(&list[index], &plan, path, sizeof path, err);
    if (status == STO_OK)
        status = sto_findings_save(&nothing, &list[index], &plan, NULL, err);
    if (status == STO_OK && options->own.json)
        (void)printf("{\"device\": %u, \"reset\": true}\n", (unsigned)index);
    else if (status == STO_OK)
        (void)printf("%s: forgotten (%s)\n", list[index].name, path);
    sto_free(list);
    return status;
}

static enum sto_status tune(const struct sto_options *options, struct sto_findings *findings, struct sto_error *err)
{
    struct tune_run run = {.json = options->own.json, .callbacks = sto_term_callbacks()};
    struct sto_device_params params;
    struct sto_device *device = NULL;
    char path[1024];
    sto_options_device(options, &params);
    params.no_self_test = true; /* the search begins at the rules' constants */
    enum sto_status status = sto_device_open(&params, &run.callbacks, &device, err);
    if (status != STO_OK)
        return status;
    const struct sto_device_snapshot *snapshot = sto_device_get_snapshot(device);
    status = path_of(snapshot, sto_device_get_plan(device), path, sizeof path, err);
    if (status == STO_OK) {
        const struct sto_tune_params how = {.kernel = options->own.kernel, .race_ms = options->own.race_ms,
                                            .user = &run, .progress = progress, .found = found};
        run.kernels = run.json ? cJSON_CreateArray() : NULL;
        sto_findings_load(snapshot, sto_device_get_plan(device), NULL, &run.callbacks, findings);
        if (!run.json)
            print_head();
        status = sto_tune(device, &how, findings, err);
        sto_term_clear();
    }
    if (status == STO_OK && run.json)
        status = print_json(&run, findings, device, path, err);
    else if (status == STO_OK)
        print_end(findings, device, path);
    cJSON_Delete(run.kernels);
    sto_device_close(device);
    return status;
}

int sto_cmd_tune(int argc, char **argv)
{
    struct sto_options options;
    struct sto_error err;
    int code;
    if (!sto_cli_parse(argc, argv, &options, &code))
        return code;
    struct sto_findings *findings = sto_calloc(1, sizeof *findings);
    if (findings == NULL)
        return sto_cli_fail(&(struct sto_error){.status = STO_ERR_FAILED, .message = "out of memory"});
    sto_cli_on_interrupt(NULL, NULL);
    const enum sto_status status = options.own.reset ? reset(&options, &err) : tune(&options, findings, &err);
    sto_free(findings);
    return status == STO_OK ? sto_cli_finish() : sto_cli_fail(&err);
}

/* strato devices: which devices there are, and what the device plan makes of each. With --snapshot the text that tests
 * keep; with --kernels what the driver's compiler says of every kernel. */
#include "host/cli/cli.h"
#include "host/cli/device_findings.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/term.h"
#include "runtime/base/mem.h"
#include "runtime/base/status.h"
#include "runtime/ops/ops.h"
#include "runtime/vk/device.h"
#include "runtime/vk/tuning.h"

static const char *const kinds[] = {[STO_DEVICE_OTHER] = "other", [STO_DEVICE_INTEGRATED] = "integrated",
                                    [STO_DEVICE_DISCRETE] = "discrete", [STO_DEVICE_VIRTUAL] = "virtual",
                                    [STO_DEVICE_CPU] = "cpu"};

/* The rows of the table of variants: an operation and where its kernels are in the plan. */
static const struct {
    const char *name;
    size_t offset;
} operations[] = {
    {"embed", offsetof(struct sto_device_plan, embed)},
    {"matvec", offsetof(struct sto_device_plan, matvec)},
    {"matvec_q8", offsetof(struct sto_device_plan, matvec_q8)},
    {"matmul", offsetof(struct sto_device_plan, matmul)},
    {"matmul_f16", offsetof(struct sto_device_plan, matmul_f16)},
    {"matmul_q8", offsetof(struct sto_device_plan, matmul_q8)},
    {"attn_prefill", offsetof(struct sto_device_plan, attn_prefill)},
    {"attn_prefill_f16", offsetof(struct sto_device_plan, attn_prefill_f16)},
};
enum { N_OPERATIONS = sizeof operations / sizeof *operations };

static enum sto_kernel variant(const struct sto_device_plan *plan, size_t operation, uint32_t type)
{
    enum sto_kernel kernel;
    memcpy(&kernel, (const char *)plan + operations[operation].offset + type * sizeof kernel, sizeof kernel);
    return kernel;
}

/* The plan as it would be used: with what was found out about the device. False: it is not usable, *err says why. */
static bool make_plan(const struct sto_device_snapshot *s, struct sto_device_plan *plan, struct sto_findings *findings,
                      struct sto_error *err)
{
    const struct sto_callbacks callbacks = sto_term_callbacks();
    if (sto_device_plan_make(s, NULL, plan, err) != STO_OK)
        return false;
    sto_findings_load(s, plan, NULL, &callbacks, findings);
    sto_findings_apply(findings, s, plan);
    return true;
}

/* ---- one device as text ---- */

static void print_memory(const struct sto_device_snapshot *s, const struct sto_device_plan *p)
{
    char bytes[32];
    for (uint32_t i = 0; i < s->n_heaps; i++) {
        sto_bytes_text(s->heaps[i].bytes, bytes, sizeof bytes);
        (void)printf("  %-12s heap %u: %s%s", i == 0 ? "memory" : "", (unsigned)i, bytes,
                     s->heaps[i].device_local ? " of the device" : " of the host");
        sto_bytes_text(s->heaps[i].budget_bytes, bytes, sizeof bytes);
        (void)printf(s->heaps[i].budget_bytes > 0 ? ", %s usable now\n" : "\n", bytes);
    }
    (void)printf("  %-12s %s\n", "weights",
                 p->unified_memory ? "in memory that device and host share"
                                   : (p->device_memory_mapped ? "in device memory, which the host can write"
                                                              : "in device memory, through staging copies"));
}

static void print_variants(const struct sto_device_plan *p)
{
    (void)printf("  %-12s", "format");
    for (size_t o = 0; o < N_OPERATIONS; o++)
        (void)printf(" %-22s", operations[o].name);
    (void)puts("");
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++) {
        (void)printf("  %-12s", sto_type_name((enum sto_type)t));
        for (size_t o = 0; o < N_OPERATIONS; o++) {
            const enum sto_kernel kernel = variant(p, o, t);
            (void)printf(" %-22s", kernel < STO_KERNEL_COUNT ? sto_kernel_get(kernel)->name : "-");
        }
        const bool few = p->q8_by_default[t], many = p->q8_matmul_by_default[t];
        (void)puts(few && many ? " q8 by default"
                   : few       ? " matvec_q8 by default"
                               : (many ? " matmul_q8 by default" : ""));
    }
}

static void print_tuning(const struct sto_device_plan *p)
{
    (void)puts("  tuning       workgroup, subgroup, constants of the kernel");
    for (uint32_t i = 0; i < STO_KERNEL_COUNT; i++) {
        char text[128];
        sto_tuning_text(&p->tuning[i], text, sizeof text);
        if (p->usable[i])
            (void)printf("    %-24s %s\n", sto_kernel_get((enum sto_kernel)i)->name, text);
    }
}

/* The kernels that are in this build but not usable on the device, or that are not in this build. */
static void print_missing(const struct sto_device_plan *p, bool built, const char *why)
{
    bool any = false;
    for (uint32_t i = 0; i < STO_KERNEL_COUNT; i++) {
        const struct sto_kernel_info *info = sto_kernel_get((enum sto_kernel)i);
        if ((info->spirv != NULL) != built || p->usable[i])
            continue;
        if (!any)
            (void)printf("  %-12s", why);
        (void)printf(" %s", info->name);
        any = true;
    }
    if (any)
        (void)puts("");
}

static const char *yes_no(bool yes)
{
    return yes ? "yes" : "no";
}

static void print_device(const struct sto_device_snapshot *s, uint32_t index, bool best)
{
    struct sto_device_plan plan;
    struct sto_findings findings;
    struct sto_error err;
    char bytes[32];
    (void)printf("device %u: %s%s\n", (unsigned)index, s->name, best ? "  (chosen without --device)" : "");
    (void)printf("  %-12s %s %s\n", "driver", s->driver_name, s->driver_info);
    (void)printf("  %-12s %s, Vulkan %u.%u.%u\n", "kind", kinds[s->kind], (unsigned)(s->api_version >> 22) & 0x7fu,
                 (unsigned)(s->api_version >> 12) & 0x3ffu, (unsigned)s->api_version & 0xfffu);
    if (!make_plan(s, &plan, &findings, &err)) {
        (void)printf("  %-12s %s\n", "not usable", err.message);
        return;
    }
    print_memory(s, &plan);
    sto_bytes_text(s->max_allocation_bytes, bytes, sizeof bytes);
    (void)printf("  %-12s one allocation %s, %u allocations, workgroup %u, shared memory %u bytes\n", "limits", bytes,
                 (unsigned)s->max_allocations, (unsigned)s->max_workgroup_invocations, (unsigned)s->max_shared_bytes);
    (void)printf("  %-12s compute %u%s\n", "queues", (unsigned)plan.compute_family,
                 plan.has_transfer_queue ? ", and one for transfers" : "");
    (void)printf("  %-12s %u%s (the device has %u to %u)\n", "subgroup", (unsigned)plan.subgroup_size,
                 plan.require_subgroup_size ? ", required" : "", (unsigned)s->min_subgroup_size,
                 (unsigned)s->max_subgroup_size);
    (void)printf("  %-12s f16 %s, integer dot products %s%s, cooperative matrix %s\n", "arithmetic",
                 yes_no(plan.use_f16), yes_no(plan.use_int_dot),
                 plan.use_int_dot && s->int_dot_4x8_accelerated ? " (in hardware)" : "", yes_no(plan.use_coopmat));
    sto_print_findings(&findings, &plan);
    print_variants(&plan);
    print_tuning(&plan);
    print_missing(&plan, true, "not usable");
    print_missing(&plan, false, "left out");
}

/* ---- one device as JSON ---- */

static void json_plan(cJSON *json, const struct sto_device_plan *p)
{
    cJSON *plan = cJSON_AddObjectToObject(json, "plan");
    (void)cJSON_AddNumberToObject(plan, "compute_family", p->compute_family);
    (void)cJSON_AddBoolToObject(plan, "has_transfer_queue", p->has_transfer_queue);
    (void)cJSON_AddBoolToObject(plan, "device_memory_mapped", p->device_memory_mapped);
    (void)cJSON_AddBoolToObject(plan, "unified_memory", p->unified_memory);
    (void)cJSON_AddNumberToObject(plan, "device_heap_bytes", (double)p->device_heap_bytes);
    (void)cJSON_AddNumberToObject(plan, "subgroup_size", p->subgroup_size);
    (void)cJSON_AddBoolToObject(plan, "require_subgroup_size", p->require_subgroup_size);
    (void)cJSON_AddBoolToObject(plan, "f16", p->use_f16);
    (void)cJSON_AddBoolToObject(plan, "int_dot", p->use_int_dot);
    (void)cJSON_AddBoolToObject(plan, "coopmat", p->use_coopmat);
    cJSON *formats = cJSON_AddObjectToObject(plan, "formats");
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++) {
        cJSON *format = cJSON_AddObjectToObject(formats, sto_type_name((enum sto_type)t));
        for (size_t o = 0; o < N_OPERATIONS; o++) {
            const enum sto_kernel kernel = variant(p, o, t);
            if (kernel < STO_KERNEL_COUNT)
                (void)cJSON_AddStringToObject(format, operations[o].name, sto_kernel_get(kernel)->name);
            else
                (void)cJSON_AddNullToObject(format, operations[o].name);
        }
        (void)cJSON_AddBoolToObject(format, "q8_by_default", p->q8_by_default[t]);
        (void)cJSON_AddBoolToObject(format, "q8_matmul_by_default", p->q8_matmul_by_default[t]);
    }
    cJSON *kernels = cJSON_AddObjectToObject(plan, "kernels");
    for (uint32_t i = 0; i < STO_KERNEL_COUNT; i++) {
        const struct sto_kernel_info *info = sto_kernel_get((enum sto_kernel)i);
        cJSON *kernel = cJSON_AddObjectToObject(kernels, info->name);
        (void)cJSON_AddBoolToObject(kernel, "built", info->spirv != NULL);
        (void)cJSON_AddBoolToObject(kernel, "usable", p->usable[i]);
        cJSON *tuning = cJSON_AddArrayToObject(kernel, "tuning");
        for (uint32_t v = 0; v < p->tuning[i].n_values; v++)
            (void)cJSON_AddItemToArray(tuning, cJSON_CreateNumber(p->tuning[i].values[v]));
    }
}

static cJSON *json_device(const struct sto_device_snapshot *s, uint32_t index, bool best)
{
    cJSON *json = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(json, "index", index);
    (void)cJSON_AddStringToObject(json, "name", s->name);
    (void)cJSON_AddBoolToObject(json, "best", best);
    (void)cJSON_AddStringToObject(json, "driver", s->driver_name);
    (void)cJSON_AddStringToObject(json, "driver_info", s->driver_info);
    (void)cJSON_AddStringToObject(json, "kind", kinds[s->kind]);
    (void)cJSON_AddNumberToObject(json, "vendor_id", s->vendor_id);
    (void)cJSON_AddNumberToObject(json, "device_id", s->device_id);
    (void)cJSON_AddNumberToObject(json, "api_version", s->api_version);
    (void)cJSON_AddNumberToObject(json, "max_allocation_bytes", (double)s->max_allocation_bytes);
    (void)cJSON_AddNumberToObject(json, "max_buffer_bytes", (double)s->max_buffer_bytes);
    (void)cJSON_AddNumberToObject(json, "max_allocations", s->max_allocations);
    (void)cJSON_AddNumberToObject(json, "max_workgroup_invocations", s->max_workgroup_invocations);
    (void)cJSON_AddNumberToObject(json, "max_shared_bytes", s->max_shared_bytes);
    cJSON *heaps = cJSON_AddArrayToObject(json, "heaps");
    for (uint32_t i = 0; i < s->n_heaps; i++) {
        cJSON *heap = cJSON_CreateObject();
        (void)cJSON_AddNumberToObject(heap, "bytes", (double)s->heaps[i].bytes);
        (void)cJSON_AddNumberToObject(heap, "budget_bytes", (double)s->heaps[i].budget_bytes);
        (void)cJSON_AddBoolToObject(heap, "device_local", s->heaps[i].device_local);
        (void)cJSON_AddItemToArray(heaps, heap);
    }
    struct sto_device_plan plan;
    struct sto_findings findings;
    struct sto_error err;
    const bool usable = make_plan(s, &plan, &findings, &err);
    (void)cJSON_AddBoolToObject(json, "usable", usable);
    if (usable) {
        sto_json_findings(json, &findings);
        json_plan(json, &plan);
    } else {
        (void)cJSON_AddStringToObject(json, "why_not", err.message);
    }
    return json;
}

/* Prints and frees. */
static enum sto_status print_json(cJSON *json, struct sto_error *err)
{
    char *text = cJSON_Print(json);
    cJSON_Delete(json);
    if (text == NULL)
        return sto_fail(err, STO_ERR_FAILED, "out of memory for JSON");
    (void)puts(text);
    cJSON_free(text);
    return STO_OK;
}

/* ---- modes ---- */

static enum sto_status print_snapshot(const struct sto_device_snapshot *list, uint32_t n, uint32_t index,
                                      struct sto_error *err)
{
    if (index >= n)
        return sto_fail(err, STO_ERR_NO_DEVICE, "there is no device %u; there are %u", (unsigned)index, (unsigned)n);
    const size_t size = sto_snapshot_print(&list[index], NULL, 0) + 1;
    char *text = sto_calloc(size, 1);
    if (text == NULL)
        return sto_fail(err, STO_ERR_FAILED, "out of memory for a snapshot");
    (void)sto_snapshot_print(&list[index], text, size);
    (void)fputs(text, stdout);
    sto_free(text);
    return STO_OK;
}

/* Compiles a kernel with these constants (NULL: the plan's) and reports it under this name: to json, and as text unless
 * quiet. */
static enum sto_status report_kernel(struct sto_device *device, enum sto_kernel kernel, const struct sto_tuning *tuning,
                                     const char *name, cJSON *json, bool quiet, struct sto_error *err)
{
    struct sto_kernel_stats stats;
    struct sto_error problem;
    const enum sto_status compiled = sto_device_kernel_stats(device, kernel, tuning, &stats, &problem);
    cJSON *row = cJSON_AddObjectToObject(json, name);
    if (compiled != STO_OK) {
        (void)sto_fail(err, compiled, "%s", problem.message);
        (void)cJSON_AddStringToObject(row, "error", problem.message);
        stats.n = 0;
    }
    if (!quiet)
        (void)printf("%s%s%s\n", name, compiled != STO_OK ? "  " : "", compiled != STO_OK ? problem.message : "");
    for (uint32_t k = 0; k < stats.n; k++) {
        (void)cJSON_AddNumberToObject(row, stats.items[k].name, stats.items[k].value);
        if (!quiet)
            (void)printf("  %-40s %.10g\n", stats.items[k].name, stats.items[k].value);
    }
    return compiled;
}

/* Attention on matrix units with the constants for each head size that it is used for; the first is the plan's. */
static enum sto_status report_heads(struct sto_device *device, enum sto_kernel kernel, cJSON *json, bool quiet,
                                    struct sto_error *err)
{
    static const uint32_t head_dims[] = {128, 64, 80, 256};
    const struct sto_kernel_info *info = sto_kernel_get(kernel);
    const struct sto_device_plan *plan = sto_device_get_plan(device);
    enum sto_status status = STO_OK;
    for (size_t i = 0; i < sizeof head_dims / sizeof *head_dims; i++) {
        char name[96];
        struct sto_tuning tuning = plan->tuning[kernel];
        if (!sto_tuning_attention(plan, info, head_dims[i], &tuning))
            continue;
        if (i == 0)
            (void)snprintf(name, sizeof name, "%s", info->name);
        else
            (void)snprintf(name, sizeof name, "%s head_dim=%u", info->name, (unsigned)head_dims[i]);
        const enum sto_status one = report_kernel(device, kernel, &tuning, name, json, quiet, err);
        status = status == STO_OK ? one : status;
    }
    return status;
}

/* A product on matrix units whose subgroups share n_in: a long one with few rows. */
static enum sto_status report_shared(struct sto_device *device, enum sto_kernel kernel, cJSON *json, bool quiet,
                                     struct sto_error *err)
{
    const struct sto_kernel_info *info = sto_kernel_get(kernel);
    const struct sto_device_plan *plan = sto_device_get_plan(device);
    const struct sto_weight w = {.type = info->weight, .rows = 64, .cols = 1 << 14};
    struct sto_tuning tuning = plan->tuning[kernel];
    char name[96];
    sto_op_coopmat_tuning(plan, kernel, &w, 32, &tuning);
    if (tuning.values[7] != 0) /* subgroups side by side: the device has no room for more */
        return STO_OK;
    (void)snprintf(name, sizeof name, "%s inputs shared", info->name);
    return report_kernel(device, kernel, &tuning, name, json, quiet, err);
}

/* Reports a kernel with the plan's constants and with those that the operation makes of them: for matrix-vector
 * kernels the ones for fewer columns. */
static enum sto_status report_forms(struct sto_device *device, enum sto_kernel kernel, cJSON *json, bool quiet,
                                    struct sto_error *err)
{
    const struct sto_kernel_info *info = sto_kernel_get(kernel);
    const struct sto_tuning *planned = &sto_device_get_plan(device)->tuning[kernel];
    if (strcmp(info->source, "attn_prefill_coopmat.comp") == 0)
        return report_heads(device, kernel, json, quiet, err);
    enum sto_status status = report_kernel(device, kernel, NULL, info->name, json, quiet, err);
    if (strncmp(info->source, "matmul_coopmat", strlen("matmul_coopmat")) == 0) {
        const enum sto_status shared = report_shared(device, kernel, json, quiet, err);
        return status == STO_OK ? shared : status;
    }
    if (strncmp(info->source, "matvec", strlen("matvec")) != 0)
        return status;
    for (uint32_t cols = 1; cols < planned->values[3]; cols *= 2) {
        char name[96];
        struct sto_tuning tuning = *planned;
        sto_op_matvec_tuning(&tuning, cols);
        (void)snprintf(name, sizeof name, "%s columns=%u", info->name, (unsigned)cols);
        const enum sto_status narrow = report_kernel(device, kernel, &tuning, name, json, quiet, err);
        status = status == STO_OK ? narrow : status;
    }
    return status;
}

/* Compiles every usable kernel, or those whose names begin as asked for. One that does not compile is named on its row,
 * and makes the command fail at the end. */
static enum sto_status print_kernels(const struct sto_options *options, struct sto_error *err)
{
    struct sto_device_params params;
    sto_options_device(options, &params);
    params.cache_dir = "";
    const struct sto_callbacks callbacks = sto_term_callbacks();
    struct sto_device *device = NULL;
    const enum sto_status opened = sto_device_open(&params, &callbacks, &device, err);
    if (opened != STO_OK)
        return opened;
    enum sto_status status = STO_OK;
    cJSON *json = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(json, "device", sto_device_name(device));
    (void)cJSON_AddStringToObject(json, "driver", sto_device_get_snapshot(device)->driver_info);
    cJSON *kernels = cJSON_AddObjectToObject(json, "kernels");
    const char *wanted = options->own.kernel != NULL ? options->own.kernel : "";
    for (uint32_t i = 0; i < STO_KERNEL_COUNT; i++) {
        if (!sto_device_get_plan(device)->usable[i] ||
            strncmp(sto_kernel_get((enum sto_kernel)i)->name, wanted, strlen(wanted)) != 0)
            continue;
        const enum sto_status one = report_forms(device, (enum sto_kernel)i, kernels, options->own.json, err);
        status = status == STO_OK ? one : status;
    }
    if (options->own.json) {
        const enum sto_status printed = print_json(json, err);
        status = status == STO_OK ? printed : status;
    } else {
        cJSON_Delete(json);
    }
    sto_device_close(device);
    return status;
}

static enum sto_status print_devices(const struct sto_device_snapshot *list, uint32_t n,
                                     const struct sto_options *options, struct sto_error *err)
{
    uint32_t only = n;
    const uint32_t best = sto_device_choose(list, n);
    if (options->common.device != NULL) {
        const enum sto_status status = sto_device_find(list, n, options->common.device, &only, err);
        if (status != STO_OK)
            return status;
    }
    cJSON *json = cJSON_CreateArray();
    for (uint32_t i = 0; i < n; i++) {
        if (only < n && i != only)
            continue;
        if (options->own.json)
            (void)cJSON_AddItemToArray(json, json_device(&list[i], i, i == best));
        else
            print_device(&list[i], i, i == best);
    }
    if (options->own.json)
        return print_json(json, err);
    cJSON_Delete(json);
    return STO_OK;
}

int sto_cmd_devices(int argc, char **argv)
{
    struct sto_options options;
    int code;
    if (!sto_cli_parse(argc, argv, &options, &code))
        return code;
    struct sto_error err;
    struct sto_device_snapshot *list = NULL;
    uint32_t n = 0;
    enum sto_status status = STO_OK;
    if (options.own.kernels || options.own.kernel != NULL) {
        status = print_kernels(&options, &err);
    } else if ((status = sto_devices_list(&list, &n, &err)) == STO_OK) {
        status = options.own.snapshot_set ? print_snapshot(list, n, options.own.snapshot, &err)
                                          : print_devices(list, n, &options, &err);
    }
    sto_free(list);
    return status == STO_OK ? sto_cli_finish() : sto_cli_fail(&err);
}

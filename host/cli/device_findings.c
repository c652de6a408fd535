/* Findings as text and as JSON. */
#include "host/cli/device_findings.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

void sto_tuning_text(const struct sto_tuning *t, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < t->n_values && used < size; i++) {
        const int n = snprintf(text + used, size - used, "%s%u", i > 0 ? " " : "", (unsigned)t->values[i]);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* "2026-11-27", in UTC. */
static void date_text(uint64_t seconds, char *text, size_t size)
{
    const time_t t = (time_t)seconds;
    const struct tm *when = gmtime(&t);
    if (when == NULL || strftime(text, size, "%Y-%m-%d", when) == 0)
        (void)snprintf(text, size, "once");
}

/* ---- text ---- */

static void print_aside(const struct sto_findings *f, enum sto_kernel kernel, const char *label)
{
    const struct sto_kernel_finding *k = &f->kernels[kernel];
    const char *name = sto_kernel_get(kernel)->name;
    if (sto_findings_aside(f, kernel) == STO_ASIDE_SLOW)
        (void)printf("  %-12s %s takes %.2f times as long as %s\n", label, name, k->slowness,
                     sto_kernel_get(k->rival)->name);
    else if (isfinite(k->error))
        (void)printf("  %-12s %s answers wrongly, %.3g times the bound (%s)\n", label, name, k->error, k->reason);
    else
        (void)printf("  %-12s %s answers wrongly (%s)\n", label, name, k->reason);
}

static void print_tested(const struct sto_findings *f)
{
    uint32_t right = 0, aside = 0;
    char date[32];
    for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++) {
        right += f->kernels[k].verdict == STO_RIGHT;
        aside += sto_findings_aside(f, (enum sto_kernel)k) != STO_ASIDE_NOT;
    }
    if (f->tested_at == 0) {
        (void)printf("  %-12s not yet: it happens when a model first uses the device\n", "self-test");
        return;
    }
    date_text(f->tested_at, date, sizeof date);
    (void)printf("  %-12s %s, %u kernels answered rightly, %u set aside\n", "self-test", date, right, aside);
    for (uint32_t k = 0; k < STO_KERNEL_COUNT && aside > 0; k++) {
        if (sto_findings_aside(f, (enum sto_kernel)k) != STO_ASIDE_NOT)
            print_aside(f, (enum sto_kernel)k, "set aside");
    }
}

static void print_q8(const struct sto_findings *f, const struct sto_device_plan *plan)
{
    uint32_t measured = 0, used = 0;
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++) {
        measured += f->q8[t].few > 0 || f->q8[t].many > 0;
        if (!plan->q8_by_default[t] && !plan->q8_matmul_by_default[t])
            continue;
        (void)printf("  %-12s by default for %s:", used++ == 0 ? "8 bits" : "", sto_type_name((enum sto_type)t));
        if (plan->q8_by_default[t])
            (void)printf(" one column in %.2f of the time%s", f->q8[t].few, plan->q8_matmul_by_default[t] ? "," : "");
        if (plan->q8_matmul_by_default[t])
            (void)printf(" many in %.2f", f->q8[t].many);
        (void)puts("");
    }
    if (used == 0)
        (void)printf("  %-12s %s\n", "8 bits", measured > 0 ? "nowhere by default: measured, and no faster"
                                                            : "nowhere by default: not measured");
}

void sto_print_findings(const struct sto_findings *f, const struct sto_device_plan *plan)
{
    char text[128];
    uint32_t tuned = 0;
    print_tested(f);
    print_q8(f, plan);
    for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++)
        tuned += f->kernels[k].gain > 0;
    if (f->tuned_at == 0) {
        (void)printf("  %-12s no: strato tune does it\n", "tuned");
        return;
    }
    date_text(f->tuned_at, text, sizeof text);
    (void)printf("  %-12s %s, %u kernels have other constants than planned\n", "tuned", text, tuned);
    for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++) {
        if (f->kernels[k].gain > 0) {
            sto_tuning_text(&f->kernels[k].tuning, text, sizeof text);
            (void)printf("  %-12s %-24s %s, %.2f times as fast\n", "", sto_kernel_get((enum sto_kernel)k)->name, text,
                         f->kernels[k].gain);
        }
    }
}

/* ---- JSON ---- */

/* null where a number would say nothing. */
static void add_ratio(cJSON *json, const char *name, double ratio)
{
    if (ratio > 0 && isfinite(ratio))
        (void)cJSON_AddNumberToObject(json, name, ratio);
    else
        (void)cJSON_AddNullToObject(json, name);
}

static void add_kernel(cJSON *json, const struct sto_findings *f, enum sto_kernel kernel)
{
    static const char *const verdicts[] = {"untested", "right", "wrong"};
    static const char *const asides[] = {NULL, "wrong", "slow"};
    const struct sto_kernel_finding *k = &f->kernels[kernel];
    const char *aside = asides[sto_findings_aside(f, kernel)];
    cJSON *row = cJSON_AddObjectToObject(json, sto_kernel_get(kernel)->name);
    (void)cJSON_AddStringToObject(row, "verdict", verdicts[k->verdict]);
    if (isfinite(k->error))
        (void)cJSON_AddNumberToObject(row, "error_over_bound", k->error);
    else
        (void)cJSON_AddNullToObject(row, "error_over_bound");
    (void)cJSON_AddStringToObject(row, "reason", k->reason);
    if (aside != NULL)
        (void)cJSON_AddStringToObject(row, "set_aside", aside);
    else
        (void)cJSON_AddNullToObject(row, "set_aside");
    add_ratio(row, "slowness", k->slowness);
    if (k->slowness > 0)
        (void)cJSON_AddStringToObject(row, "rival", sto_kernel_get(k->rival)->name);
    add_ratio(row, "gain", k->gain);
    cJSON *tuning = cJSON_AddArrayToObject(row, "tuning");
    for (uint32_t i = 0; k->gain > 0 && i < k->tuning.n_values; i++)
        (void)cJSON_AddItemToArray(tuning, cJSON_CreateNumber(k->tuning.values[i]));
}

static void add_time(cJSON *json, const char *name, uint64_t seconds)
{
    if (seconds != 0)
        (void)cJSON_AddNumberToObject(json, name, (double)seconds);
    else
        (void)cJSON_AddNullToObject(json, name);
}

void sto_json_findings(cJSON *json, const struct sto_findings *f)
{
    cJSON *findings = cJSON_AddObjectToObject(json, "findings");
    add_time(findings, "tested_at", f->tested_at);
    add_time(findings, "tuned_at", f->tuned_at);
    cJSON *kernels = cJSON_AddObjectToObject(findings, "kernels");
    for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++) {
        const struct sto_kernel_finding *kernel = &f->kernels[k];
        if (kernel->verdict != STO_UNTESTED || kernel->slowness > 0 || kernel->gain > 0)
            add_kernel(kernels, f, (enum sto_kernel)k);
    }
    cJSON *q8 = cJSON_AddObjectToObject(findings, "q8_over_float");
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++) {
        if (f->q8[t].few > 0 || f->q8[t].many > 0) {
            cJSON *row = cJSON_AddObjectToObject(q8, sto_type_name((enum sto_type)t));
            add_ratio(row, "one_column", f->q8[t].few);
            add_ratio(row, "many_columns", f->q8[t].many);
        }
    }
}

/* From findings to a plan. */
#include "runtime/vk/findings.h"

#include <string.h>

#include "runtime/vk/tuning_space.h"

enum sto_aside sto_findings_aside(const struct sto_findings *findings, enum sto_kernel kernel)
{
    const struct sto_kernel_finding *f = &findings->kernels[kernel];
    if (f->verdict == STO_WRONG)
        return STO_ASIDE_WRONG;
    if (f->slowness > STO_SLOWER_THAN && f->rival < STO_KERNEL_COUNT &&
        findings->kernels[f->rival].verdict != STO_WRONG)
        return STO_ASIDE_SLOW;
    return STO_ASIDE_NOT;
}

enum sto_kernel sto_findings_faster(const struct sto_findings *findings, enum sto_kernel kernel)
{
    const bool slow = kernel < STO_KERNEL_COUNT && sto_findings_aside(findings, kernel) == STO_ASIDE_SLOW;
    return slow ? findings->kernels[kernel].rival : kernel;
}

static bool pays(double ratio)
{
    return ratio > 0 && ratio < STO_FASTER_THAN;
}

void sto_findings_apply(const struct sto_findings *findings, const struct sto_device_snapshot *snapshot,
                        struct sto_device_plan *plan)
{
    for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++) {
        const struct sto_tuning_input in = {snapshot, plan, sto_kernel_get((enum sto_kernel)k)};
        const struct sto_kernel_finding *f = &findings->kernels[k];
        plan->set_aside[k] = sto_findings_aside(findings, (enum sto_kernel)k) != STO_ASIDE_NOT;
        sto_tuning_make(&in, &plan->tuning[k]);
        if (f->gain > 0 && sto_tuning_possible(&in, &f->tuning))
            plan->tuning[k] = f->tuning;
    }
    sto_device_plan_choose(snapshot, plan);
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++) {
        plan->q8_by_default[t] = pays(findings->q8[t].few);
        plan->q8_matmul_by_default[t] = pays(findings->q8[t].many);
    }
}

enum sto_kernel sto_findings_rival(const struct sto_device_snapshot *snapshot, const struct sto_device_plan *plan,
                                   enum sto_kernel kernel)
{
    struct sto_device_plan without = *plan;
    const uint32_t t = sto_kernel_get(kernel)->weight;
    without.set_aside[kernel] = true;
    sto_device_plan_choose(snapshot, &without);
    if (t >= STO_TYPE_COUNT)
        return STO_KERNEL_COUNT;
    if (plan->matvec[t] == kernel)
        return without.matvec[t];
    if (plan->matmul[t] == kernel)
        return without.matmul[t];
    if (plan->matmul_f16[t] == kernel) /* where there is none, float products of f32 serve */
        return without.matmul_f16[t] < STO_KERNEL_COUNT ? without.matmul_f16[t] : without.matmul[t];
    if (plan->matvec_q8[t] == kernel)
        return without.matvec_q8[t];
    return plan->matmul_q8[t] == kernel ? without.matmul_q8[t] : STO_KERNEL_COUNT;
}

/* ---- the key ---- */

/* FNV-1a over words of 32 bits. http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t hash_word(uint64_t h, uint32_t word)
{
    return (h ^ word) * 0x100000001b3u;
}

static uint64_t hash_text(uint64_t h, const char *text)
{
    for (; *text != '\0'; text++)
        h = hash_word(h, (uint8_t)*text);
    return hash_word(h, 0x100);
}

struct sto_findings_owner sto_findings_owner(const struct sto_device_snapshot *s, const struct sto_device_plan *plan)
{
    uint64_t h = 0xcbf29ce484222325u;
    const uint32_t numbers[] = {s->vendor_id, s->device_id, s->driver_id, s->driver_version, s->api_version,
                                plan->subgroup_size};
    h = hash_text(hash_text(hash_text(h, sto_version()), s->name), s->driver_name);
    h = hash_text(h, s->driver_info);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        h = hash_word(h, numbers[i]);
    for (size_t i = 0; i < sizeof s->pipeline_cache_uuid; i++)
        h = hash_word(h, s->pipeline_cache_uuid[i]);
    for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++) {
        const struct sto_kernel_info *info = sto_kernel_get((enum sto_kernel)k);
        const uint32_t words = info->spirv != NULL ? *info->spirv_bytes / 4 : 0;
        struct sto_tuning rule;
        sto_tuning_make(&(struct sto_tuning_input){s, plan, info}, &rule);
        h = hash_text(h, info->name);
        for (uint32_t i = 0; i < rule.n_values; i++)
            h = hash_word(h, rule.values[i]);
        for (uint32_t i = 0; i < words; i++)
            h = hash_word(h, info->spirv[i]);
    }
    return (struct sto_findings_owner){.snapshot = s, .plan = plan, .key = h};
}

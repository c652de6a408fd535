/* The space around the rules of tuning.c: one table per shader source. */
#include "runtime/vk/tuning_space.h"

#include <string.h>

enum { MAX_SUMS = 64 }; /* of an invocation: beyond, every compiler spills */

/* Constant 0 counts subgroups, all others are as the kernel takes them. */
struct dimension {
    uint32_t constant;
    bool gpu_only; /* a CPU driver's workgroup is one subgroup */
    uint32_t n, values[STO_MAX_CHOICES];
};

static const struct space {
    const char *source;
    struct dimension dimensions[4]; /* n = 0 ends them */
} spaces[] = {
    {"matvec.comp", {{0, true, 4, {1, 2, 4, 8}}, {2, false, 4, {1, 2, 4, 8}}}},
    {"matvec_q8.comp", {{0, true, 4, {1, 2, 4, 8}}, {2, false, 4, {1, 2, 4, 8}}}},
    {"matmul.comp",
     {{0, true, 3, {2, 4, 8}}, {2, false, 3, {2, 4, 8}}, {3, false, 3, {2, 4, 8}}, {4, true, 3, {4, 8, 16}}}},
    {"matmul_q8.comp",
     {{0, true, 3, {2, 4, 8}}, {2, false, 3, {2, 4, 8}}, {3, false, 3, {2, 4, 8}}, {4, true, 3, {4, 8, 16}}}},
    {"matmul_coopmat.comp",
     {{0, true, 3, {2, 4, 8}}, {5, true, 3, {1, 2, 4}}, {6, true, 3, {1, 2, 4}}, {7, true, 3, {1, 2, 4}}}},
    {"matmul_coopmat_q8.comp",
     {{0, true, 3, {2, 4, 8}}, {5, true, 3, {1, 2, 4}}, {6, true, 3, {1, 2, 4}}, {7, true, 3, {1, 2, 4}}}},
    {"matrows.comp",
     {{4, false, 3, {0, 1, 2}}, {5, false, 2, {0, 1}}, {2, false, 3, {1, 2, 4}}, {3, false, 3, {8, 16, 32}}}},
    {"matrows_q8.comp",
     {{4, false, 3, {0, 1, 2}}, {5, false, 2, {0, 1}}, {2, false, 3, {1, 2, 4}}, {3, false, 3, {8, 16, 32}}}},
};

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static const struct dimension *find_dimension(const struct sto_tuning_input *in, uint32_t constant)
{
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        if (strcmp(spaces[i].source, in->kernel->source) != 0)
            continue;
        for (size_t d = 0; d < 4; d++) {
            const struct dimension *found = &spaces[i].dimensions[d];
            if (found->n > 0 && found->constant == constant)
                return found->gpu_only && in->snapshot->kind == STO_DEVICE_CPU ? NULL : found;
        }
    }
    return NULL;
}

static uint32_t max_workgroup(const struct sto_device_snapshot *s)
{
    return s->max_workgroup_invocations < s->max_workgroup_size[0] ? s->max_workgroup_invocations
                                                                   : s->max_workgroup_size[0];
}

uint32_t sto_tuning_choices(const struct sto_tuning_input *in, uint32_t constant, uint32_t choices[STO_MAX_CHOICES])
{
    const struct dimension *d = find_dimension(in, constant);
    uint32_t n = 0;
    for (uint32_t i = 0; d != NULL && i < d->n; i++) {
        const uint32_t value = constant == 0 ? d->values[i] * in->plan->subgroup_size : d->values[i];
        if (constant != 0 || value <= max_workgroup(in->snapshot))
            choices[n++] = value;
    }
    return n;
}

static bool is_choice(const struct sto_tuning_input *in, uint32_t constant, uint32_t value)
{
    uint32_t choices[STO_MAX_CHOICES];
    const uint32_t n = sto_tuning_choices(in, constant, choices);
    for (uint32_t i = 0; i < n; i++) {
        if (choices[i] == value)
            return true;
    }
    return false;
}

/* What constants ask of each other; all are a rule's or choices, so none that divides is 0. */
static bool go_together(const struct sto_tuning_input *in, const struct sto_tuning *t)
{
    const uint32_t *v = t->values;
    if (sto_tuning_shared_bytes(in->kernel, t) > in->snapshot->max_shared_bytes)
        return false;
    if (starts_with(in->kernel->source, "matmul_coopmat")) {
        const uint32_t subgroups = v[0] / v[1];
        return subgroups >= v[7] && subgroups % v[7] == 0 && v[5] * v[6] * v[2] * v[3] <= 2 * MAX_SUMS * v[1];
    }
    if (starts_with(in->kernel->source, "matmul"))
        return v[0] % v[4] == 0 && v[2] * v[3] <= MAX_SUMS;
    return v[2] * v[3] <= MAX_SUMS; /* rows by columns of matvec and matrows */
}

bool sto_tuning_possible(const struct sto_tuning_input *in, const struct sto_tuning *tuning)
{
    struct sto_tuning rule;
    sto_tuning_make(in, &rule);
    if (tuning->n_values != rule.n_values || tuning->required_subgroup_size != rule.required_subgroup_size)
        return false;
    bool same = true;
    for (uint32_t i = 0; i < rule.n_values; i++) {
        if (tuning->values[i] == rule.values[i])
            continue;
        same = false;
        if (!is_choice(in, i, tuning->values[i]))
            return false;
    }
    return same || go_together(in, tuning);
}

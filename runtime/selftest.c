/* Testing the kernels that a model is about to use. */
#include "runtime/selftest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/variants.h"

enum { BUDGET_MS = 2000, RACE_MS = 60, MANY_COLUMNS = 64 };

struct run {
    const struct sto_self_test *test;
    struct sto_findings *findings; /* a copy; learned after each round */
    bool wanted[STO_KERNEL_ROWS];
    uint64_t deadline_ns;
    bool late;                     /* something was left for a later start */
    bool hopeless;                 /* nothing can take the place of a kernel that is wrong: no more tests */
    uint32_t tested;               /* in this round */
    enum sto_kernel last;          /* of these      */
};

/* ---- right or wrong ---- */

static bool wants(void *user, enum sto_kernel kernel)
{
    struct run *r = user;
    if (!r->wanted[kernel])
        return false;
    const bool late = sto_now_ns() > r->deadline_ns;
    r->late = r->late || late;
    return !late && !r->hopeless;
}

/* Something may take its place, right or wrong. */
static bool has_alternative(const struct run *r, enum sto_kernel kernel)
{
    static const char *const spare[] = {"attn_prefill", "sample_", "quantize_q8", "rmsnorm_q8", "glu_q8"};
    const char *name = sto_kernel_get(kernel)->name;
    for (size_t i = 0; i < sizeof spare / sizeof *spare; i++) {
        if (strncmp(name, spare[i], strlen(spare[i])) == 0)
            return true;
    }
    return sto_findings_rival(sto_device_get_snapshot(r->test->device), r->test->ops->plan, kernel) < STO_KERNEL_COUNT;
}

static void note(void *user, const struct sto_verify_result *result)
{
    struct run *r = user;
    struct sto_kernel_finding *f = &r->findings->kernels[result->kernel];
    if (result->left_out != NULL)
        return;
    r->tested++;
    r->last = result->kernel;
    f->verdict = result->failed > 0 ? STO_WRONG : STO_RIGHT;
    f->error = result->worst;
    f->reason[0] = '\0';
    if (result->failed == 0)
        return;
    r->hopeless = r->hopeless || !has_alternative(r, result->kernel);
    struct sto_error line; /* one line, cut where a character ends */
    (void)sto_fail(&line, STO_ERR_FAILED, "%.*s", (int)sizeof f->reason - 1, result->failure);
    (void)snprintf(f->reason, sizeof f->reason, "%.*s", (int)sizeof f->reason - 1, line.message);
    sto_log(sto_device_get_callbacks(r->test->device), STO_LOG_WARNING,
            "%s answers wrongly in kernel %s, which is set aside (%s)", sto_device_name(r->test->device),
            sto_kernel_get(result->kernel)->name, f->reason);
}

/* A device that is lost stays lost, but what it was lost in is known at the next start. */
static enum sto_status after_failure(struct run *r, enum sto_status status, struct sto_error *err)
{
    if (status == STO_ERR_NO_FIT) { /* says nothing about kernels */
        r->findings->kernels[r->last].verdict = STO_UNTESTED;
        sto_log(sto_device_get_callbacks(r->test->device), STO_LOG_INFO, "kernels are not tested: %s", err->message);
        r->late = true;
        return STO_OK;
    }
    if (status == STO_ERR_DEVICE_LOST) {
        sto_device_learn(r->test->device, r->findings);
        return sto_fail(err, status, "%s was lost in the self-test of kernel %s; started again, strato does without it",
                        sto_device_name(r->test->device), sto_kernel_get(r->last)->name);
    }
    return r->tested > 0 ? STO_OK : status; /* such as a kernel that the driver does not compile: it counts as wrong */
}

/* Runs the cases of the kernels that are wanted. */
static enum sto_status verify_wanted(struct run *r, struct sto_error *err)
{
    struct sto_verify_summary summary;
    const struct sto_verify_params params = {
        .quick = true, .sources = r->test->sources, .user = r, .wants = wants, .result = note};
    r->tested = 0;
    r->last = STO_KERNEL_probe;
    const enum sto_status status = sto_verify(r->test->device, &params, &summary, err);
    return status == STO_OK ? STO_OK : after_failure(r, status, err);
}

static uint32_t list(const struct sto_self_test *t, enum sto_kernel *kernels)
{
    return sto_op_list_kernels(t->ops, t->types, t->embd, t->kv_type, kernels);
}

static bool want_untested(struct run *r)
{
    enum sto_kernel kernels[STO_KERNEL_COUNT], untested[STO_KERNEL_COUNT];
    uint32_t n_untested = 0;
    const uint32_t n = list(r->test, kernels);
    memset(r->wanted, 0, sizeof r->wanted);
    for (uint32_t i = 0; i < n; i++) {
        r->wanted[kernels[i]] = r->findings->kernels[kernels[i]].verdict == STO_UNTESTED;
        if (r->wanted[kernels[i]])
            untested[n_untested++] = kernels[i];
    }
    /* Pipelines on several threads, in time that is not the test's: they are needed in any case. One that cannot be
     * made is found again below, and by name. */
    struct sto_error ignored;
    const uint64_t begun = sto_now_ns();
    if (n_untested > 0)
        (void)sto_device_prepare(r->test->device, untested, n_untested, &ignored);
    r->deadline_ns += sto_now_ns() - begun;
    return n_untested > 0;
}

/* Until the kernels in use are right, as far as time allows. */
static enum sto_status test_answers(struct run *r, struct sto_error *err)
{
    while (!r->late && !r->hopeless && want_untested(r)) {
        const enum sto_status status = verify_wanted(r, err);
        if (status != STO_OK)
            return status;
        if (r->tested == 0)
            break;
        r->findings->tested_at = (uint64_t)time(NULL);
        sto_device_learn(r->test->device, r->findings);
    }
    return STO_OK;
}

/* ---- fast or slow ---- */

static bool is_specialised(enum sto_kernel kernel)
{
    return kernel < STO_KERNEL_COUNT && (sto_kernel_get(kernel)->needs & (STO_NEEDS_F16 | STO_NEEDS_ANY_COOPMAT)) != 0;
}

/* *ratio: time over the rival's; stays 0 where nothing could be measured, which is no failure. */
static enum sto_status race(struct run *r, struct sto_variants *v, enum sto_kernel kernel, enum sto_kernel rival,
                            bool many, double *ratio, struct sto_error *err)
{
    const struct sto_contender contenders[2] = {{kernel, NULL}, {rival, NULL}};
    double ns[2] = {0};
    if (*ratio > 0)
        return STO_OK; /* known */
    if (kernel >= STO_KERNEL_COUNT || rival >= STO_KERNEL_COUNT)
        return STO_OK;
    if (sto_now_ns() > r->deadline_ns) {
        r->late = true;
        return STO_OK;
    }
    const enum sto_status status = sto_variants_race(v, contenders, many, ns, err);
    if (status == STO_OK && ns[1] > 0 && isfinite(ns[1]))
        *ratio = ns[0] / ns[1];
    return status == STO_ERR_DEVICE_LOST ? status : STO_OK;
}

/* A kernel of special hardware for many columns against what would take its place. */
static enum sto_status race_rival(struct run *r, struct sto_variants *v, enum sto_kernel kernel, struct sto_error *err)
{
    if (!is_specialised(kernel) || r->findings->kernels[kernel].slowness > 0)
        return STO_OK;
    struct sto_kernel_finding *f = &r->findings->kernels[kernel];
    f->rival = sto_findings_rival(sto_device_get_snapshot(r->test->device), r->test->ops->plan, kernel);
    return race(r, v, kernel, f->rival, true, &f->slowness, err);
}

/* 8-bit activations against float products, once their kernels are known to be right. */
static enum sto_status race_q8(struct run *r, struct sto_variants *v, uint32_t type, struct sto_error *err)
{
    const struct sto_device_plan *plan = r->test->ops->plan;
    const enum sto_kernel few = plan->matvec_q8[type], many = plan->matmul_q8[type];
    const enum sto_kernel all[] = {few, many, STO_KERNEL_quantize_q8, STO_KERNEL_rmsnorm_q8, STO_KERNEL_glu_q8};
    bool right = true;
    if (few >= STO_KERNEL_COUNT || many >= STO_KERNEL_COUNT ||
        (r->findings->q8[type].few > 0 && r->findings->q8[type].many > 0))
        return STO_OK;
    memset(r->wanted, 0, sizeof r->wanted);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        r->wanted[all[i]] = r->findings->kernels[all[i]].verdict == STO_UNTESTED;
    enum sto_status status = verify_wanted(r, err);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        right = right && r->findings->kernels[all[i]].verdict == STO_RIGHT;
    if (status == STO_OK && right)
        status = race(r, v, few, sto_op_matmul_kernel(r->test->ops, (enum sto_type)type, 1, false), false,
                      &r->findings->q8[type].few, err);
    if (status == STO_OK && right)
        status = race_rival(r, v, many, err);
    if (status == STO_OK && right)
        status = race(r, v, sto_findings_faster(r->findings, many),
                      sto_findings_faster(r->findings, sto_op_matmul_kernel(r->test->ops, (enum sto_type)type,
                                                                            MANY_COLUMNS, false)),
                      true, &r->findings->q8[type].many, err);
    return status;
}

static enum sto_status race_type(struct run *r, struct sto_variants *v, uint32_t type, struct sto_error *err)
{
    const enum sto_kernel kernel = sto_op_matmul_kernel(r->test->ops, (enum sto_type)type, MANY_COLUMNS, false);
    const enum sto_status status = race_rival(r, v, kernel, err);
    return status == STO_OK && r->test->ops->math == STO_MATH_AUTO ? race_q8(r, v, type, err) : status;
}

static enum sto_status test_speed(struct run *r, struct sto_error *err)
{
    struct sto_variants v;
    enum sto_status status = sto_variants_create(r->test->device, RACE_MS, &v, err);
    for (uint32_t t = 0; t < STO_TYPE_COUNT && status == STO_OK && !r->late; t++) {
        if (r->test->types[t])
            status = race_type(r, &v, t, err);
    }
    sto_variants_destroy(&v);
    if (status == STO_OK)
        sto_device_learn(r->test->device, r->findings);
    return status;
}

/* ---- the test ---- */

enum sto_status sto_self_test(const struct sto_self_test *test, struct sto_error *err)
{
    if (sto_self_test_check(test, NULL) != STO_OK)
        return STO_OK; /* known to be of no use */
    const uint64_t budget_ms = test->budget_ms != 0 ? test->budget_ms : BUDGET_MS;
    struct run r = {.test = test, .deadline_ns = sto_now_ns() + budget_ms * 1000000};
    r.findings = sto_calloc(1, sizeof *r.findings);
    if (r.findings == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for the self-test");
    *r.findings = *sto_device_get_findings(test->device);
    enum sto_status status = test_answers(&r, err);
    if (sto_device_get_snapshot(test->device)->kind != STO_DEVICE_CPU) {
        if (status == STO_OK && !r.late && !r.hopeless)
            status = test_speed(&r, err);
        if (status == STO_OK) /* what speed has chosen */
            status = test_answers(&r, err);
    }
    if (r.late)
        sto_log(sto_device_get_callbacks(test->device), STO_LOG_DEBUG,
                "the self-test ran out of time: it goes on at the next start");
    sto_free(r.findings);
    return status;
}

/* ---- what is missing ---- */

static enum sto_status fail_missing(const struct sto_self_test *t, const char *name, struct sto_error *err)
{
    const enum sto_kernel kernel = sto_kernel_by_name(name);
    const struct sto_device_snapshot *s = sto_device_get_snapshot(t->device);
    const char *reason = kernel < STO_KERNEL_COUNT ? sto_device_get_findings(t->device)->kernels[kernel].reason : "";
    return sto_fail(err, STO_ERR_NO_DEVICE,
                    "%s (%s %s) answers wrongly in kernel %s, and nothing can take its place: %s", s->name,
                    s->driver_name, s->driver_info, name, reason);
}

/* "matvec_q4_k" */
static const char *variant_name(const char *operation, uint32_t type, char *name, size_t size)
{
    (void)snprintf(name, size, "%s_%s", operation, sto_type_name((enum sto_type)type));
    for (char *c = name; *c != '\0'; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    return name;
}

enum sto_status sto_self_test_check(const struct sto_self_test *t, struct sto_error *err)
{
    const struct sto_device_plan *plan = t->ops->plan;
    enum sto_kernel kernels[STO_KERNEL_COUNT];
    char name[64];
    const uint32_t n = list(t, kernels);
    for (uint32_t i = 0; i < n; i++) {
        if (plan->set_aside[kernels[i]])
            return fail_missing(t, sto_kernel_get(kernels[i])->name, err);
    }
    if (plan->embed[t->embd] >= STO_KERNEL_COUNT)
        return fail_missing(t, variant_name("embed", t->embd, name, sizeof name), err);
    for (uint32_t i = 0; i < STO_TYPE_COUNT; i++) {
        const struct sto_weight w = {.type = (enum sto_type)i, .cols = 32};
        const uint32_t columns[] = {1, MANY_COLUMNS};
        for (size_t c = 0; c < 2 && t->types[i]; c++) {
            const bool q8 = sto_op_wants_q8(t->ops, &w, columns[c]);
            if (sto_op_matmul_kernel(t->ops, w.type, columns[c], q8) >= STO_KERNEL_COUNT)
                return fail_missing(t, variant_name(c == 0 ? "matvec" : "matmul", i, name, sizeof name), err);
        }
    }
    return STO_OK;
}

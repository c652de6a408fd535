/* The search. */
#include "runtime/tune.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/variants.h"

enum { RACE_MS = 200, MAX_ROUNDS = 3 };
static const double WORTH_IT = 0.97; /* of the time before: what is nearer is noise */

struct search {
    struct sto_device *device;
    const struct sto_tune_params *params;
    struct sto_findings *findings;
    struct sto_variants variants;
    struct sto_tuning *tuning; /* [STO_KERNEL_ROWS] the best so far of every kernel */
    bool wanted[STO_KERNEL_ROWS];
    uint32_t n_wanted, n_done;
};

/* ---- candidates ---- */

bool sto_tune_next(const struct sto_tuning_input *in, const struct sto_tuning *best, uint32_t *at,
                   struct sto_tuning *out)
{
    uint32_t choices[STO_MAX_CHOICES];
    for (; *at < STO_MAX_TUNING * STO_MAX_CHOICES; ++*at) {
        const uint32_t constant = *at / STO_MAX_CHOICES, choice = *at % STO_MAX_CHOICES;
        if (constant >= best->n_values || choice >= sto_tuning_choices(in, constant, choices) ||
            choices[choice] == best->values[constant])
            continue;
        *out = *best;
        out->values[constant] = choices[choice];
        if (!sto_tuning_possible(in, out))
            continue;
        ++*at;
        return true;
    }
    return false;
}

/* ---- right or wrong ---- */

struct question {
    enum sto_kernel kernel;
    struct sto_verify_result answer;
};

static bool is_asked(void *user, enum sto_kernel kernel)
{
    const struct question *q = user;
    return kernel == q->kernel;
}

static void take_answer(void *user, const struct sto_verify_result *result)
{
    struct question *q = user;
    q->answer = *result;
}

/* What a kernel answers with the constants in s->tuning. A driver that cannot run it has answered wrongly, one that is
 * lost or has no room has failed. */
static enum sto_status ask(struct search *s, enum sto_kernel kernel, struct sto_verify_result *answer,
                           struct sto_error *err)
{
    struct question q = {.kernel = kernel};
    struct sto_verify_summary summary;
    const struct sto_verify_params params = {
        .quick = true, .tuning = s->tuning, .sources = s->params->sources, .user = &q, .wants = is_asked,
        .result = take_answer};
    const enum sto_status status = sto_verify(s->device, &params, &summary, err);
    *answer = q.answer;
    return status == STO_ERR_DEVICE_LOST || status == STO_ERR_NO_FIT ? status : STO_OK;
}

/* Notes the verdict on a kernel with the constants that it will have. */
static enum sto_status judge(struct search *s, enum sto_kernel kernel, bool *right, struct sto_error *err)
{
    struct sto_kernel_finding *f = &s->findings->kernels[kernel];
    struct sto_verify_result answer;
    const enum sto_status status = ask(s, kernel, &answer, err);
    *right = status == STO_OK && answer.failed == 0 && answer.left_out == NULL;
    if (status == STO_OK && answer.left_out == NULL) {
        f->verdict = *right ? STO_RIGHT : STO_WRONG;
        f->error = answer.worst;
        (void)snprintf(f->reason, sizeof f->reason, "%.*s", (int)sizeof f->reason - 1, answer.failure);
    }
    return status;
}

/* ---- one kernel ---- */

static enum sto_status check_stop(struct search *s, enum sto_kernel kernel, struct sto_error *err)
{
    if (s->params->progress == NULL || !s->params->progress(s->params->user, kernel, s->n_done, s->n_wanted))
        return STO_OK;
    return sto_fail(err, STO_ERR_CANCELLED, "stopped; what was found until then is kept");
}

static bool takes_few(enum sto_kernel kernel)
{
    return strncmp(sto_kernel_get(kernel)->source, "matmul", 6) != 0;
}

static bool takes_many(enum sto_kernel kernel)
{
    return strncmp(sto_kernel_get(kernel)->source, "matvec", 6) != 0;
}

/* Time with `candidate` over time with `best`, over the numbers of columns that the kernel is for; us: of the first. */
static enum sto_status compare(struct search *s, enum sto_kernel kernel, const struct sto_tuning *candidate,
                               const struct sto_tuning *best, double *ratio, double us[2], struct sto_error *err)
{
    const struct sto_contender contenders[2] = {{kernel, candidate}, {kernel, best}};
    double logs = 0;
    uint32_t n = 0;
    for (int many = 0; many < 2; many++) {
        double ns[2];
        if (!(many ? takes_many(kernel) : takes_few(kernel)))
            continue;
        const enum sto_status status = sto_variants_race(&s->variants, contenders, many, ns, err);
        if (status != STO_OK)
            return status;
        if (n++ == 0) {
            us[0] = ns[0] * 1e-3;
            us[1] = ns[1] * 1e-3;
        }
        logs += ns[0] > 0 && ns[1] > 0 && isfinite(ns[1]) ? log(ns[0] / ns[1]) : 0;
    }
    *ratio = exp(logs / n);
    return STO_OK;
}

/* Tries one candidate; takes it over when it is right and faster. */
static enum sto_status try_candidate(struct search *s, const struct sto_tuning *candidate, struct sto_tune_kernel *t,
                                     struct sto_error *err)
{
    struct sto_verify_result answer;
    const struct sto_tuning best = s->tuning[t->kernel];
    double ratio = 1, us[2];
    s->tuning[t->kernel] = *candidate;
    enum sto_status status = ask(s, t->kernel, &answer, err);
    s->tuning[t->kernel] = best;
    t->tried++;
    if (status != STO_OK)
        return status;
    if (answer.failed > 0) {
        t->wrong++;
        return STO_OK;
    }
    status = compare(s, t->kernel, candidate, &best, &ratio, us, err);
    if (status == STO_OK && ratio < WORTH_IT)
        s->tuning[t->kernel] = *candidate;
    return status;
}

/* One constant at a time, round after round, until a round changes nothing. */
static enum sto_status climb(struct search *s, struct sto_tune_kernel *t, struct sto_error *err)
{
    const struct sto_tuning_input in = {sto_device_get_snapshot(s->device), sto_device_get_plan(s->device),
                                        sto_kernel_get(t->kernel)};
    enum sto_status status = STO_OK;
    bool changed = true;
    for (uint32_t round = 0; round < MAX_ROUNDS && changed; round++) {
        struct sto_tuning candidate;
        uint32_t at = 0;
        const struct sto_tuning begun = s->tuning[t->kernel];
        while (sto_tune_next(&in, &s->tuning[t->kernel], &at, &candidate)) {
            if ((status = check_stop(s, t->kernel, err)) != STO_OK ||
                (status = try_candidate(s, &candidate, t, err)) != STO_OK)
                return status;
        }
        changed = memcmp(&begun, &s->tuning[t->kernel], sizeof begun) != 0;
    }
    return status;
}

/* The found beside the planned once more, which is what is reported; a gain that does not last is none. */
static enum sto_status settle(struct search *s, struct sto_tune_kernel *t, struct sto_error *err)
{
    struct sto_tuning *best = &s->tuning[t->kernel];
    struct sto_kernel_finding *f = &s->findings->kernels[t->kernel];
    double ratio = 1, us[2] = {0, 0};
    const enum sto_status status = compare(s, t->kernel, best, &t->before, &ratio, us, err);
    if (status != STO_OK)
        return status;
    if (ratio >= WORTH_IT)
        *best = t->before;
    const bool changed = memcmp(best, &t->before, sizeof *best) != 0;
    t->after = *best;
    t->after_us = changed ? us[0] : us[1];
    t->before_us = us[1];
    t->gain = changed ? 1 / ratio : 1;
    f->gain = changed ? t->gain : 0;
    f->tuning = *best;
    return STO_OK;
}

static enum sto_status tune_kernel(struct search *s, enum sto_kernel kernel, struct sto_error *err)
{
    struct sto_tune_kernel t = {.kernel = kernel, .before = s->tuning[kernel]};
    bool right;
    enum sto_status status = judge(s, kernel, &right, err); /* makes no sense to speed up what is wrong */
    if (status == STO_OK && right)
        status = climb(s, &t, err);
    if (status == STO_OK && right)
        status = settle(s, &t, err);
    if (status == STO_OK && t.gain > 1)
        status = judge(s, kernel, &right, err);
    if (status == STO_OK && s->params->found != NULL)
        s->params->found(s->params->user, &t);
    return status;
}

/* ---- one format ---- */

static enum sto_status race(struct search *s, enum sto_kernel a, enum sto_kernel b, bool many, double *ratio,
                            struct sto_error *err)
{
    double ns[2];
    if (a >= STO_KERNEL_COUNT || b >= STO_KERNEL_COUNT || s->findings->kernels[a].verdict != STO_RIGHT)
        return STO_OK;
    const struct sto_contender contenders[2] = {{a, &s->tuning[a]}, {b, &s->tuning[b]}};
    const enum sto_status status = sto_variants_race(&s->variants, contenders, many, ns, err);
    if (status == STO_OK && ns[0] > 0 && ns[1] > 0 && isfinite(ns[1]))
        *ratio = ns[0] / ns[1];
    return status;
}

/* A kernel against what would take its place. */
static enum sto_status race_rival(struct search *s, enum sto_kernel kernel, struct sto_error *err)
{
    if (kernel >= STO_KERNEL_COUNT || !s->wanted[kernel])
        return STO_OK;
    const struct sto_device_plan *plan = sto_device_get_plan(s->device);
    struct sto_kernel_finding *f = &s->findings->kernels[kernel];
    const enum sto_kernel rival = sto_findings_rival(sto_device_get_snapshot(s->device), plan, kernel);
    bool right = false;
    if (rival >= STO_KERNEL_COUNT)
        return STO_OK;
    enum sto_status status = judge(s, rival, &right, err);
    f->slowness = 0;
    f->rival = rival;
    if (status == STO_OK && right)
        status = race(s, kernel, rival, !takes_few(kernel), &f->slowness, err);
    return status;
}

static enum sto_status race_format(struct search *s, uint32_t type, struct sto_error *err)
{
    const struct sto_device_plan *p = sto_device_get_plan(s->device);
    enum sto_status status = race_rival(s, p->matvec[type], err);
    if (status == STO_OK && p->f16_by_default)
        status = race_rival(s, p->matmul_f16[type], err);
    if (status == STO_OK)
        status = race_rival(s, p->matmul_q8[type], err);
    const enum sto_kernel few = p->matvec_q8[type], many = sto_findings_faster(s->findings, p->matmul_q8[type]);
    const enum sto_kernel float_many = sto_findings_faster(
        s->findings,
        p->f16_by_default && p->matmul_f16[type] < STO_KERNEL_COUNT ? p->matmul_f16[type] : p->matmul[type]);
    if (status == STO_OK && few < STO_KERNEL_COUNT && s->wanted[few])
        status = race(s, few, p->matvec[type], false, &s->findings->q8[type].few, err);
    if (status == STO_OK && many < STO_KERNEL_COUNT && s->wanted[p->matmul_q8[type]])
        status = race(s, many, float_many, true, &s->findings->q8[type].many, err);
    return status;
}

/* ---- all ---- */

static void want(struct search *s, enum sto_kernel kernel)
{
    const char *prefix = s->params->kernel != NULL ? s->params->kernel : "";
    if (kernel >= STO_KERNEL_COUNT || s->wanted[kernel] ||
        strncmp(sto_kernel_get(kernel)->name, prefix, strlen(prefix)) != 0)
        return;
    s->wanted[kernel] = true;
    s->n_wanted++;
}

static enum sto_status choose_wanted(struct search *s, struct sto_error *err)
{
    const struct sto_device_plan *p = sto_device_get_plan(s->device);
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++) {
        want(s, p->matvec[t]);
        want(s, p->matmul[t]);
        want(s, p->matvec_q8[t]);
        want(s, p->matmul_q8[t]);
        if (p->f16_by_default)
            want(s, p->matmul_f16[t]);
    }
    if (s->n_wanted > 0)
        return STO_OK;
    return sto_fail(err, STO_ERR_USAGE, "no matrix kernel that %s would use is called '%s'",
                    sto_device_name(s->device), s->params->kernel != NULL ? s->params->kernel : "");
}

/* A folder that cannot be written is an error here: keeping what is found is the point. */
static enum sto_status keep(struct search *s, struct sto_error *err)
{
    s->findings->tuned_at = (uint64_t)time(NULL);
    return sto_findings_save(s->findings, sto_device_get_snapshot(s->device), sto_device_get_plan(s->device),
                             s->params->cache_dir, err);
}

static enum sto_status search(struct search *s, struct sto_error *err)
{
    enum sto_status status = choose_wanted(s, err);
    if (status == STO_OK)
        status = keep(s, err);
    for (uint32_t k = 0; k < STO_KERNEL_COUNT && status == STO_OK; k++) {
        if (!s->wanted[k])
            continue;
        status = check_stop(s, (enum sto_kernel)k, err);
        if (status == STO_OK)
            status = tune_kernel(s, (enum sto_kernel)k, err);
        if (status == STO_OK)
            status = keep(s, err);
        s->n_done++;
    }
    for (uint32_t t = 0; t < STO_TYPE_COUNT && status == STO_OK; t++)
        status = race_format(s, t, err);
    if (status == STO_OK)
        status = keep(s, err);
    return status;
}

enum sto_status sto_tune(struct sto_device *device, const struct sto_tune_params *params, struct sto_findings *findings,
                         struct sto_error *err)
{
    struct search s = {.device = device, .params = params, .findings = findings};
    enum sto_status status = sto_variants_create(device, params->race_ms != 0 ? params->race_ms : RACE_MS,
                                                 &s.variants, err);
    if (status != STO_OK)
        return status;
    s.tuning = sto_calloc(STO_KERNEL_ROWS, sizeof *s.tuning);
    if (s.tuning == NULL) {
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for tuning");
    } else {
        memcpy(s.tuning, sto_device_get_plan(device)->tuning, STO_KERNEL_ROWS * sizeof *s.tuning);
        status = search(&s, err);
    }
    sto_free(s.tuning);
    sto_variants_destroy(&s.variants);
    return status;
}

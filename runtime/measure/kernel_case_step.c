/* What stands at the ends of a decode step, and the kernels of memory, as bench/kernels times them.
 *
 *   step_begin, sample_max, sample_pick    a vocabulary of 151,936; top-k 40, top-p 0.95, min-p 0.05
 *   probe, random_fill, read_sum           rows x inputs words */
#include <string.h>

#include "runtime/measure/kernel_case.h"
#include "runtime/base/mem.h"
#include "shaders/shared/args.h"

enum { VOCAB = 151936, MAX_GROUPS = 65535 };
enum { SCRATCH = 0, BLOCK = 1, RING = 2, GROUPS = 3 }; /* of kernel_case.more */

static bool is_kernel(const struct sto_kernel_case *c, enum sto_kernel kernel)
{
    return c->kernel == kernel;
}

/* ---- sampling and step_begin ---- */

static enum sto_status put_logits(struct sto_kernel_case *c, struct sto_error *err)
{
    float *logits = sto_calloc(VOCAB, sizeof *logits);
    if (logits == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for logits");
    for (uint32_t i = 0; i < VOCAB; i++)
        logits[i] = 8 * sto_kernel_case_random() * sto_kernel_case_random();
    const enum sto_status status = sto_kernel_case_buffer(c, &c->x, "logits", logits, VOCAB * sizeof *logits, err);
    sto_free(logits);
    return status;
}

static enum sto_status create_step(struct sto_kernel_case *c, struct sto_error *err)
{
    const struct { struct StepHeader header; struct StepColumn column; } step = {{1, 1, 0, 0}, {0}};
    const struct SampleBlock block = {
        .seed = {1, 2}, .top_k = 40, .top_p = 0xf3333333u, .min_p = 0.05f, .scale = 1.25f};
    const uint64_t maxima = sto_op_sample_scratch(VOCAB);

    c->shape.inputs = VOCAB;
    c->shape.rows = c->shape.columns = 1;
    c->bytes = is_kernel(c, STO_KERNEL_step_begin)   ? 2 * sizeof step
               : is_kernel(c, STO_KERNEL_sample_max) ? VOCAB * 4 + maxima
                                                     : VOCAB * 4 + 2 * maxima;
    enum sto_status status = put_logits(c, err);
    if (status == STO_OK)
        status = sto_kernel_case_buffer(c, &c->step, "step", &step, sizeof step, err);
    if (status == STO_OK)
        status = sto_kernel_case_buffer(c, &c->y, "host's step", &step, sizeof step, err);
    if (status == STO_OK)
        status = sto_kernel_case_buffer(c, &c->more[SCRATCH], "maxima", NULL, maxima, err);
    if (status == STO_OK)
        status = sto_kernel_case_buffer(c, &c->more[BLOCK], "sampling block", &block, sizeof block, err);
    if (status == STO_OK)
        status = sto_kernel_case_buffer(c, &c->more[RING], "ring", NULL, SAMPLE_RING * sizeof(uint32_t), err);
    return status == STO_OK ? sto_kernel_case_buffer(c, &c->more[GROUPS], "groups", NULL, 256, err) : status;
}

/* sample_max alone; sample_pick comes after it, as the operation has them. */
static void record_step(struct sto_kernel_case *c, uint32_t turn)
{
    (void)turn;
    if (is_kernel(c, STO_KERNEL_step_begin)) {
        sto_op_step_begin(&c->ops, &(struct sto_op_step_args){.host = c->y.address,
                                                              .step = c->step.address,
                                                              .groups = &c->more[GROUPS],
                                                              .max_cols = 1,
                                                              .n_kv_heads = 8});
    } else if (is_kernel(c, STO_KERNEL_sample_max)) {
        const struct SampleArgs args = {.logits = c->x.address, .maxima = c->more[SCRATCH].address, .n_vocab = VOCAB};
        const struct sto_use use = {c->more[SCRATCH].address, c->more[SCRATCH].bytes, STO_WRITE};
        sto_kernel_case_dispatch(c, &args, (VOCAB + SAMPLE_BLOCK - 1) / SAMPLE_BLOCK, 1, &use);
    } else {
        sto_op_sample(&c->ops, &(struct sto_op_sample_args){.logits = {c->x.address, 1, VOCAB, VOCAB},
                                                            .scratch = c->more[SCRATCH].address,
                                                            .block = c->more[BLOCK].address,
                                                            .ring = c->more[RING].address,
                                                            .step = c->step.address,
                                                            .groups = &c->more[GROUPS],
                                                            .n_kv_heads = 8});
    }
}

/* ---- memory ---- */

static enum sto_status create_memory(struct sto_kernel_case *c, struct sto_error *err)
{
    const uint64_t words = (uint64_t)c->shape.rows * c->shape.inputs;
    const uint64_t most = (uint64_t)1 << 28; /* words: a GiB */
    const uint64_t n = words < most ? words : most;

    c->shape.rows = (uint32_t)(n / c->shape.inputs);
    c->shape.columns = 1;
    c->bytes = 4 * (uint64_t)c->shape.rows * c->shape.inputs;
    if (is_kernel(c, STO_KERNEL_probe))
        c->bytes *= 2;
    const enum sto_status status = sto_kernel_case_buffer(c, &c->x, "x", NULL, n * 4, err);
    return status == STO_OK ? sto_kernel_case_buffer(c, &c->y, "y", NULL, n * 4, err) : status;
}

static void record_memory(struct sto_kernel_case *c, uint32_t turn)
{
    const struct sto_tuning *t = &c->plan.tuning[c->kernel];
    const uint32_t units = (uint32_t)((uint64_t)c->shape.rows * c->shape.inputs / 4);
    const uint32_t per_group = is_kernel(c, STO_KERNEL_read_sum) ? t->values[0] * t->values[2] : t->values[0];
    const uint32_t groups = (units + per_group - 1) / per_group, across = groups < MAX_GROUPS ? groups : MAX_GROUPS;
    const struct ProbeArgs probe = {.x = c->x.address, .y = c->y.address, .n = units * 4, .factor = 3};
    const struct RandomFillArgs fill = {.dst = c->y.address, .units = units, .block_bytes = 144, .field_bytes = 4,
                                        .keep = 0x03ff03ff, .seed_low = turn};
    const struct ReadSumArgs sum = {.x = c->x.address, .y = c->y.address, .units = units};
    const struct sto_use use = {c->y.address, c->y.bytes, STO_WRITE};

    sto_kernel_case_dispatch(c,
                         is_kernel(c, STO_KERNEL_probe)         ? (const void *)&probe
                         : is_kernel(c, STO_KERNEL_random_fill) ? (const void *)&fill
                                                                : (const void *)&sum,
                         across, (groups + across - 1) / across, &use);
}

const struct sto_kernel_source sto_kernel_case_step[] = {
    {"step_begin.comp", create_step, record_step},       {"sample_max.comp", create_step, record_step},
    {"sample_pick.comp", create_step, record_step},      {"probe.comp", create_memory, record_memory},
    {"random_fill.comp", create_memory, record_memory},  {"read_sum.comp", create_memory, record_memory},
    {NULL, NULL, NULL},
};

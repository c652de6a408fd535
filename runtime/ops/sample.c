/* Drawing a token on the device: the largest logit of each block, then one workgroup that draws and advances the step
 * block. */
#include "runtime/ops/ops.h"

#include <assert.h>
#include <stddef.h>

#include "shaders/shared/args.h"

static_assert(sizeof(struct SampleArgs) == 56 && offsetof(struct SampleArgs, n_vocab) == 48, "pushed whole");
static_assert(sizeof(struct SampleBlock) == 48 + 4 * SAMPLE_MAX_END && offsetof(struct SampleBlock, min_p) == 32,
              "shaders count on it");

uint64_t sto_op_sample_scratch(uint32_t n_vocab)
{
    return (uint64_t)((n_vocab + SAMPLE_BLOCK - 1) / SAMPLE_BLOCK) * sizeof(uint32_t);
}

/* The plan's tuning, with a smaller workgroup for a small vocabulary where the plan asks for that. */
static struct sto_tuning pick_tuning(const struct sto_device_plan *plan, uint32_t n_vocab)
{
    struct sto_tuning tuning = plan->tuning[STO_KERNEL_sample_pick];
    const uint32_t most_each = tuning.values[2];
    uint32_t workgroup = tuning.values[0];
    while (most_each != 0 && workgroup >= 128 && workgroup % 2 == 0 && n_vocab <= workgroup / 2 * most_each)
        workgroup /= 2;
    tuning.values[0] = workgroup;
    return tuning;
}

void sto_op_sample(struct sto_ops *ops, const struct sto_op_sample_args *a)
{
    const uint32_t n_vocab = a->logits.cols;
    if (a->logits.rows != 1 || n_vocab == 0 || n_vocab > STO_SAMPLE_MAX_VOCAB || a->groups == NULL) {
        sto_recording_fail(ops->rec, "sample: not one row of logits, or too many of them, or no group counts");
        return;
    }
    const struct SampleArgs args = {.logits = a->logits.address, .maxima = a->scratch, .block = a->block,
                                    .ring = a->ring, .step = a->step, .groups = a->groups->address,
                                    .n_vocab = n_vocab, .n_kv_heads = a->n_kv_heads};
    const uint64_t logit_bytes = (uint64_t)n_vocab * sizeof(float);
    const uint64_t maxima_bytes = sto_op_sample_scratch(n_vocab);
    const struct sto_tuning tuning = pick_tuning(ops->plan, n_vocab);
    const struct sto_use uses[] = {
        {.address = a->logits.address, .bytes = logit_bytes, .access = STO_READ},
        {.address = a->scratch, .bytes = maxima_bytes, .access = STO_WRITE},
    };
    const struct sto_dispatch maxima = {
        .kernel = STO_KERNEL_sample_max,
        .tuning = &ops->plan->tuning[STO_KERNEL_sample_max],
        .args = &args,
        .groups = {(n_vocab + SAMPLE_BLOCK - 1) / SAMPLE_BLOCK, 1, 1},
        .uses = uses,
        .n_uses = 2,
        .flops = n_vocab,
        .bytes_moved = logit_bytes + maxima_bytes,
    };
    sto_record_dispatch(ops->rec, &maxima);
    const struct sto_use pick_uses[] = {
        {.address = a->logits.address, .bytes = logit_bytes, .access = STO_READ},
        {.address = a->scratch, .bytes = maxima_bytes, .access = STO_READ},
        {.address = a->block, .bytes = sizeof(struct SampleBlock), .access = STO_READ_WRITE},
        {.address = a->ring, .bytes = SAMPLE_RING * sizeof(uint32_t), .access = STO_WRITE},
        {.address = a->step, .bytes = sizeof(struct StepHeader) + sizeof(struct StepColumn),
         .access = STO_READ_WRITE},
        {.address = a->groups->address, .bytes = 3 * sizeof(uint32_t), .access = STO_WRITE},
    };
    const struct sto_dispatch pick = {
        .kernel = STO_KERNEL_sample_pick,
        .tuning = &tuning,
        .args = &args,
        .groups = {1, 1, 1},
        .uses = pick_uses,
        .n_uses = 6,
        .flops = n_vocab,
        .bytes_moved = maxima_bytes,
    };
    sto_record_dispatch(ops->rec, &pick);
}

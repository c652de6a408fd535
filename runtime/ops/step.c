/* The beginning of a step: the host's step block goes into device memory. */
#include "runtime/ops/ops.h"

#include <assert.h>

#include "shaders/shared/args.h"

static_assert(sizeof(struct StepBeginArgs) == 32, "pushed whole");
static_assert(sizeof(struct StepHeader) == 16 && sizeof(struct StepColumn) == 16, "shaders count on it");

void sto_op_step_begin(struct sto_ops *ops, const struct sto_op_step_args *a)
{
    if (a->max_cols == 0 || a->n_kv_heads == 0 || a->groups == NULL) {
        sto_recording_fail(ops->rec, "step_begin: no columns, no KV heads, or no group counts");
        return;
    }
    const struct StepBeginArgs args = {.host = a->host, .step = a->step, .groups = a->groups->address,
                                       .max_cols = a->max_cols, .n_kv_heads = a->n_kv_heads};
    const uint64_t bytes = sizeof(struct StepHeader) + (uint64_t)a->max_cols * sizeof(struct StepColumn);
    const struct sto_use uses[] = {
        {.address = a->host, .bytes = bytes, .access = STO_READ},
        {.address = a->step, .bytes = bytes, .access = STO_WRITE},
        {.address = a->groups->address, .bytes = 12, .access = STO_WRITE},
    };
    const struct sto_dispatch dispatch = {
        .kernel = STO_KERNEL_step_begin,
        .tuning = &ops->plan->tuning[STO_KERNEL_step_begin],
        .args = &args,
        .groups = {1, 1, 1},
        .uses = uses,
        .n_uses = 3,
        .bytes_moved = 2 * bytes,
    };
    sto_record_dispatch(ops->rec, &dispatch);
}

/* The gate of a gated feed-forward layer. */
#include "runtime/ops/ops.h"

#include <assert.h>

#include "shaders/shared/args.h"

static_assert(sizeof(struct GluArgs) == 40, "pushed whole");

/* The three tensors have one shape and one stride. */
void sto_op_glu(struct sto_ops *ops, struct sto_tensor y, struct sto_tensor gate, struct sto_tensor up, uint32_t act)
{
    if (y.cols != gate.cols || y.cols != up.cols || y.rows != gate.rows || y.rows != up.rows ||
        y.stride != gate.stride || y.stride != up.stride || y.stride < y.cols || y.rows > 65535 || act > ACT_GELU) {
        sto_recording_fail(ops->rec, "glu: y, gate and up differ in shape, or there is no such activation");
        return;
    }
    if (y.rows == 0 || y.cols == 0)
        return;
    const struct GluArgs args = {.gate = gate.address, .up = up.address, .y = y.address, .n = y.cols, .rows = y.rows,
                                 .stride = y.stride, .act = act};
    const uint64_t elements = (uint64_t)y.rows * y.cols;
    const uint64_t bytes = ((uint64_t)(y.rows - 1) * y.stride + y.cols) * 4;
    const struct sto_use uses[] = {
        {.address = gate.address, .bytes = bytes, .access = STO_READ},
        {.address = up.address, .bytes = bytes, .access = STO_READ},
        {.address = y.address, .bytes = bytes, .access = STO_WRITE},
    };
    const uint32_t workgroup = ops->plan->tuning[STO_KERNEL_glu].values[0];
    const uint32_t per_group = 4 * (workgroup > 0 ? workgroup : 1); /* a few elements each pay for its start */
    const struct sto_dispatch dispatch = {
        .kernel = STO_KERNEL_glu,
        .tuning = &ops->plan->tuning[STO_KERNEL_glu],
        .args = &args,
        .groups = {(y.cols + per_group - 1) / per_group, y.rows, 1},
        .uses = uses,
        .n_uses = 3,
        .flops = elements * 20,
        .bytes_moved = elements * 12,
    };
    sto_record_dispatch(ops->rec, &dispatch);
}

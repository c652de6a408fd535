/* The gate of a gated feed-forward layer. */
#include "runtime/ops/ops.h"

#include <assert.h>

#include "runtime/cpu/cpu.h"
#include "shaders/shared/args.h"

static_assert(sizeof(struct GluArgs) == 40, "pushed whole");

/* y_bytes: what is written from y on; per_group: elements of a row that a workgroup makes. */
static void record(struct sto_ops *ops, enum sto_kernel kernel, const struct GluArgs *args, uint64_t y_bytes,
                   uint32_t per_group)
{
    const uint64_t elements = (uint64_t)args->rows * args->n;
    const uint64_t bytes = ((uint64_t)(args->rows - 1) * args->stride + args->n) * 4;
    const struct sto_use uses[] = {
        {.address = args->gate, .bytes = bytes, .access = STO_READ},
        {.address = args->up, .bytes = bytes, .access = STO_READ},
        {.address = args->y, .bytes = y_bytes, .access = STO_WRITE},
    };
    const struct sto_dispatch dispatch = {
        .kernel = kernel,
        .tuning = &ops->plan->tuning[kernel],
        .args = args,
        .groups = {(args->n + per_group - 1) / per_group, args->rows, 1},
        .uses = uses,
        .n_uses = 3,
        .flops = elements * 20,
        .bytes_moved = elements * 8 + y_bytes,
    };
    sto_record_dispatch(ops->rec, &dispatch);
}

static uint32_t workgroup_of(const struct sto_ops *ops, enum sto_kernel kernel)
{
    const uint32_t workgroup = ops->plan->tuning[kernel].values[0];
    return workgroup > 0 ? workgroup : 1;
}

static bool same_shape(const struct sto_tensor *a, const struct sto_tensor *b)
{
    return a->cols == b->cols && a->rows == b->rows && a->stride == b->stride;
}

/* The three tensors have one shape and one stride. */
void sto_op_glu(struct sto_ops *ops, struct sto_tensor y, struct sto_tensor gate, struct sto_tensor up, uint32_t act)
{
    if (ops->cpu != NULL) {
        sto_cpu_glu(ops, y, gate, up, act);
        return;
    }
    if (!same_shape(&y, &gate) || !same_shape(&y, &up) || y.stride < y.cols || y.rows > 65535 || act > ACT_GELU) {
        sto_recording_fail(ops->rec, "glu: y, gate and up differ in shape, or there is no such activation");
        return;
    }
    if (y.rows == 0 || y.cols == 0)
        return;
    const struct GluArgs args = {.gate = gate.address, .up = up.address, .y = y.address, .n = y.cols, .rows = y.rows,
                                 .stride = y.stride, .act = act};
    /* a few elements each pay for an invocation's start */
    record(ops, STO_KERNEL_glu, &args, ((uint64_t)(y.rows - 1) * y.stride + y.cols) * 4,
           4 * workgroup_of(ops, STO_KERNEL_glu));
}

void sto_op_glu_q8(struct sto_ops *ops, uint64_t yq, struct sto_tensor gate, struct sto_tensor up, uint32_t act)
{
    if (!same_shape(&gate, &up) || gate.stride < gate.cols || gate.stride % 4 != 0 || gate.cols % 32 != 0 ||
        gate.rows > 65535 || act > ACT_GELU || yq % 16 != 0 || sto_op_q8_bytes(gate.rows, gate.cols) > UINT32_MAX) {
        sto_recording_fail(ops->rec, "glu_q8: gate and up differ in shape, or rows are not of whole blocks of 32");
        return;
    }
    if (gate.rows == 0 || gate.cols == 0)
        return;
    const struct GluArgs args = {.gate = gate.address, .up = up.address, .y = yq, .n = gate.cols, .rows = gate.rows,
                                 .stride = gate.stride, .act = act};
    record(ops, STO_KERNEL_glu_q8, &args, sto_op_q8_bytes(gate.rows, gate.cols),
           32 * workgroup_of(ops, STO_KERNEL_glu_q8));
}

/* RMS norm: one workgroup per row. */
#include "runtime/ops/ops.h"

#include <assert.h>

#include "runtime/cpu/cpu.h"
#include "shaders/shared/args.h"

static_assert(sizeof(struct NormArgs) == 48, "pushed whole");

enum { MAX_GROUPS_X = 32768 }; /* every device has 65535 */

/* y_bytes: what is written from y on. */
static void record(struct sto_ops *ops, enum sto_kernel kernel, const struct NormArgs *args, uint64_t y_bytes)
{
    const uint64_t last = args->rows - 1;
    const struct sto_use uses[] = {
        {.address = args->x, .bytes = (last * args->x_stride + args->n) * 4, .access = STO_READ},
        {.address = args->y, .bytes = y_bytes, .access = STO_WRITE},
        {.address = args->g, .bytes = (uint64_t)args->n * 4, .access = STO_READ},
    };
    const uint32_t groups_y = (args->rows + MAX_GROUPS_X - 1) / MAX_GROUPS_X;
    const uint64_t elements = (uint64_t)args->rows * args->n;
    const struct sto_dispatch dispatch = {
        .kernel = kernel,
        .tuning = &ops->plan->tuning[kernel],
        .args = args,
        .groups = {(args->rows + groups_y - 1) / groups_y, groups_y, 1},
        .uses = uses,
        .n_uses = args->g != 0 ? 3 : 2,
        .flops = elements * 4,
        .bytes_moved = elements * 8,
    };
    sto_record_dispatch(ops->rec, &dispatch);
}

void sto_op_rmsnorm(struct sto_ops *ops, struct sto_tensor y, struct sto_tensor x, uint64_t g, float eps)
{
    if (x.cols == 0 || x.cols != y.cols || x.rows != y.rows || x.stride < x.cols || y.stride < y.cols ||
        x.stride % 4 != 0 || y.stride % 4 != 0 || x.address % 16 != 0 || y.address % 16 != 0 || g % 16 != 0) {
        sto_recording_fail(ops->rec, "rmsnorm: x and y differ in shape, or are not aligned");
        return;
    }
    if (x.rows == 0)
        return;
    const struct NormArgs args = {.x = x.address, .y = y.address, .g = g, .n = x.cols, .rows = x.rows,
                                  .x_stride = x.stride, .y_stride = y.stride, .eps = eps};
    record(ops, STO_KERNEL_rmsnorm, &args, ((uint64_t)(x.rows - 1) * y.stride + y.cols) * 4);
}

void sto_op_rmsnorm_q8(struct sto_ops *ops, uint64_t yq, struct sto_tensor x, uint64_t g, float eps)
{
    if (x.cols == 0 || x.cols % 32 != 0 || x.stride < x.cols || x.stride % 4 != 0 || yq % 16 != 0 || g % 16 != 0 ||
        sto_op_q8_bytes(x.rows, x.cols) > UINT32_MAX) {
        sto_recording_fail(ops->rec, "rmsnorm_q8: rows are not of whole blocks of 32, or not aligned");
        return;
    }
    if (x.rows == 0)
        return;
    const struct NormArgs args = {.x = x.address, .y = yq, .g = g, .n = x.cols, .rows = x.rows, .x_stride = x.stride,
                                  .eps = eps};
    record(ops, STO_KERNEL_rmsnorm_q8, &args, sto_op_q8_bytes(x.rows, x.cols));
}

void sto_op_norm(struct sto_ops *ops, struct sto_tensor x, const struct sto_op_norm_args *a)
{
    if (ops->cpu != NULL) {
        sto_cpu_norm(ops, x, a);
        return;
    }
    if (a->y.address == 0) {
        sto_op_rmsnorm_q8(ops, a->yq, x, a->g, a->eps);
        return;
    }
    sto_op_rmsnorm(ops, a->y, x, a->g, a->eps);
    if (a->yq != 0)
        sto_op_quantize(ops, a->yq, a->y);
}

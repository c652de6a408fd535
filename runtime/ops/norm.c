/* RMS norm: one workgroup per row. */
#include "runtime/ops/ops.h"

#include <assert.h>

#include "shaders/shared/args.h"

static_assert(sizeof(struct NormArgs) == 48, "pushed whole");

enum { MAX_GROUPS_X = 32768 }; /* every device has 65535 */

void sto_op_rmsnorm(struct sto_ops *ops, struct sto_tensor y, struct sto_tensor x, uint64_t g, float eps)
{
    if (x.cols == 0 || x.cols != y.cols || x.rows != y.rows || x.stride < x.cols || y.stride < y.cols) {
        sto_recording_fail(ops->rec, "rmsnorm: x and y differ in shape");
        return;
    }
    if (x.rows == 0)
        return;
    const struct NormArgs args = {.x = x.address, .y = y.address, .g = g, .n = x.cols, .rows = x.rows,
                                  .x_stride = x.stride, .y_stride = y.stride, .eps = eps};
    const uint64_t last = x.rows - 1;
    const struct sto_use uses[] = {
        {.address = x.address, .bytes = (last * x.stride + x.cols) * 4, .access = STO_READ},
        {.address = y.address, .bytes = (last * y.stride + y.cols) * 4, .access = STO_WRITE},
        {.address = g, .bytes = (uint64_t)x.cols * 4, .access = STO_READ},
    };
    const uint32_t groups_y = (x.rows + MAX_GROUPS_X - 1) / MAX_GROUPS_X;
    const uint64_t elements = (uint64_t)x.rows * x.cols;
    const struct sto_dispatch dispatch = {
        .kernel = STO_KERNEL_rmsnorm,
        .tuning = &ops->plan->tuning[STO_KERNEL_rmsnorm],
        .args = &args,
        .groups = {(x.rows + groups_y - 1) / groups_y, groups_y, 1},
        .uses = uses,
        .n_uses = g != 0 ? 3 : 2,
        .flops = elements * 4,
        .bytes_moved = elements * 8,
    };
    sto_record_dispatch(ops->rec, &dispatch);
}

/* The embedding of a step's tokens: rows of a weight matrix, chosen on the device from the step block. */
#include <assert.h>
#include <stddef.h>

#include "runtime/cpu/cpu.h"
#include "runtime/formats/formats.h"
#include "runtime/ops/ops.h"
#include "shaders/shared/args.h"

_Static_assert(sizeof(struct EmbedArgs) == 48 && offsetof(struct EmbedArgs, scale) == 44, "as std430 lays it out");

static bool shapes_possible(const struct sto_tensor *y, const struct sto_weight *w)
{
    if (w->rows == 0 || w->cols == 0 || y->rows == 0 || y->rows > 65535 || w->cols % 4 != 0)
        return false;
    if (w->cols % sto_type_get(w->type)->block_elems != 0 || y->cols != w->cols || y->stride != y->cols)
        return false;
    return y->address % 16 == 0 && w->offset % 16 == 0 && w->offset / 16 <= UINT32_MAX &&
           sto_type_bytes(w->type, w->cols) * w->rows <= UINT32_MAX &&
           (uint64_t)y->rows * y->cols * sizeof(float) <= UINT32_MAX;
}

void sto_op_embed(struct sto_ops *ops, struct sto_tensor y, struct sto_weight w, uint64_t step, float scale)
{
    if (ops->cpu != NULL) {
        sto_cpu_embed(ops, y, w, step, scale);
        return;
    }
    const enum sto_kernel kernel = ops->plan->embed[w.type];
    const bool possible = shapes_possible(&y, &w);

    assert(possible);
    if (!possible || kernel >= STO_KERNEL_COUNT) {
        sto_recording_fail(ops->rec, possible ? "sto_op_embed: no kernel for this weight format"
                                              : "sto_op_embed: impossible shapes");
        return;
    }
    const struct EmbedArgs args = {
        .pieces = ops->pieces,
        .step = step,
        .y = y.address,
        .piece = w.piece,
        .offset16 = (uint32_t)(w.offset / 16),
        .n_in = w.cols,
        .n_cols = y.rows,
        .n_vocab = w.rows,
        .scale = scale,
    };
    const uint64_t row_bytes = sto_type_bytes(w.type, w.cols), y_bytes = (uint64_t)y.rows * y.cols * sizeof(float);
    const struct sto_use uses[] = {
        {w.address, row_bytes * w.rows, STO_READ},
        {step, sizeof(struct StepHeader) + y.rows * sizeof(struct StepColumn), STO_READ},
        {y.address, y_bytes, STO_WRITE},
    };
    const uint32_t blocks = (w.cols + 31) / 32, workgroup = ops->plan->tuning[kernel].values[0];
    sto_record_dispatch(ops->rec, &(struct sto_dispatch){
                                      .kernel = kernel,
                                      .args = &args,
                                      .groups = {(blocks + workgroup - 1) / workgroup, y.rows, 1},
                                      .uses = uses,
                                      .n_uses = 3,
                                      .flops = (uint64_t)y.rows * y.cols,
                                      .bytes_moved = y.rows * row_bytes + y_bytes,
                                  });
}

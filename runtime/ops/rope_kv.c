/* QK-norm, RoPE and the KV write: one workgroup per (head, column). */
#include "runtime/ops/ops.h"

#include <assert.h>

#include "runtime/cpu/cpu.h"
#include "runtime/formats/formats.h"
#include "shaders/shared/args.h"

static_assert(sizeof(struct RopeKvArgs) == 88, "pushed whole");

/* STO_KERNEL_COUNT where a cache cannot have this type. */
static enum sto_kernel kernel_for(enum sto_type type)
{
    switch (type) {
    case STO_TYPE_F32: return STO_KERNEL_rope_kv_f32;
    case STO_TYPE_F16: return STO_KERNEL_rope_kv_f16;
    case STO_TYPE_Q8_0: return STO_KERNEL_rope_kv_q8_0;
    case STO_TYPE_IQ4_NL: return STO_KERNEL_rope_kv_iq4_nl;
    default: return STO_KERNEL_COUNT;
    }
}

static bool shapes_fit(const struct sto_op_rope_kv_args *a)
{
    const uint32_t d = a->kv.head_dim, n_heads = a->n_heads + 2 * a->kv.n_kv_heads;
    const uint32_t multiple = a->kv.type == STO_TYPE_Q8_0 || a->kv.type == STO_TYPE_IQ4_NL ? 32 : 8;
    return kernel_for(a->kv.type) != STO_KERNEL_COUNT && d > 0 && d <= 512 && d % multiple == 0 &&
           a->rope_dims <= d && a->rope_dims % 2 == 0 && a->rope_kind <= ROPE_NEOX && a->qkv.cols == n_heads * d &&
           a->qkv.stride == a->qkv.cols && a->qkv.rows <= 65535 && a->kv.pages > 0;
}

void sto_op_rope_kv(struct sto_ops *ops, const struct sto_op_rope_kv_args *a)
{
    if (ops->cpu != NULL) {
        sto_cpu_rope_kv(ops, a);
        return;
    }
    const uint32_t d = a->kv.head_dim, n_kv = a->kv.n_kv_heads, n = a->qkv.rows;

    if (!shapes_fit(a)) {
        sto_recording_fail(ops->rec, "rope_kv: qkv is not [n, (heads + 2 KV heads) * head_dim], or no such head_dim");
        return;
    }
    if (n == 0)
        return;
    const struct RopeKvArgs args = {
        .step = a->step, .qkv = a->qkv.address, .freqs = a->freqs, .q_norm = a->q_norm, .k_norm = a->k_norm,
        .kv_table = a->kv.table, .n_cols = n, .n_heads = a->n_heads, .n_kv_heads = n_kv, .head_dim = d,
        .rope_dims = a->rope_dims, .rope_kind = a->rope_kind, .kv_pages = a->kv.pages,
        .v_offset = sto_kv_v_offset(a->kv.type, n_kv, d), .eps = a->eps, .rope_scale = a->rope_scale,
    };
    const uint64_t step_bytes = sizeof(struct StepHeader) + (uint64_t)n * sizeof(struct StepColumn);
    const struct sto_use uses[] = {
        {.address = a->step, .bytes = step_bytes, .access = STO_READ},
        {.address = a->qkv.address, .bytes = (uint64_t)n * a->qkv.stride * 4, .access = STO_READ_WRITE},
        {.address = a->kv.base, .bytes = a->kv.bytes, .access = STO_WRITE},
    };
    const uint64_t elements = (uint64_t)n * a->qkv.cols;
    const struct sto_dispatch dispatch = {
        .kernel = kernel_for(a->kv.type),
        .tuning = &ops->plan->tuning[kernel_for(a->kv.type)],
        .args = &args,
        .groups = {a->n_heads + 2 * n_kv, n, 1},
        .uses = uses,
        .n_uses = 3,
        .flops = elements * 20,
        .bytes_moved = elements * 8 + 2 * (uint64_t)n * n_kv * sto_type_bytes(a->kv.type, d),
    };
    sto_record_dispatch(ops->rec, &dispatch);
}

/* Which kernels a model's steps will use: so that their pipelines can be made together, before the first step. */
#include "runtime/ops/ops.h"

struct list {
    enum sto_kernel *kernels;
    uint32_t n;
};

static void add(struct list *list, enum sto_kernel kernel)
{
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->kernels[i] == kernel)
            return;
    }
    if (kernel < STO_KERNEL_COUNT)
        list->kernels[list->n++] = kernel;
}

static void add_kv(struct list *list, enum sto_type kv_type)
{
    static const struct {
        enum sto_type type;
        enum sto_kernel rope, decode, prefill;
    } rows[] = {
        {STO_TYPE_F32, STO_KERNEL_rope_kv_f32, STO_KERNEL_attn_decode_f32, STO_KERNEL_attn_prefill_f32},
        {STO_TYPE_F16, STO_KERNEL_rope_kv_f16, STO_KERNEL_attn_decode_f16, STO_KERNEL_attn_prefill_f16},
        {STO_TYPE_Q8_0, STO_KERNEL_rope_kv_q8_0, STO_KERNEL_attn_decode_q8_0, STO_KERNEL_attn_prefill_q8_0},
        {STO_TYPE_IQ4_NL, STO_KERNEL_rope_kv_iq4_nl, STO_KERNEL_attn_decode_iq4_nl, STO_KERNEL_attn_prefill_iq4_nl},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].type == kv_type) {
            add(list, rows[i].rope);
            add(list, rows[i].decode);
            add(list, rows[i].prefill);
        }
    }
}

uint32_t sto_op_list_kernels(const struct sto_ops *ops, const bool *types, enum sto_type embd, enum sto_type kv_type,
                             enum sto_kernel *kernels)
{
    const struct sto_device_plan *plan = ops->plan;
    struct list list = {.kernels = kernels};
    add(&list, STO_KERNEL_step_begin);
    add(&list, STO_KERNEL_sample_max);
    add(&list, STO_KERNEL_sample_pick);
    add(&list, STO_KERNEL_rmsnorm);
    add(&list, STO_KERNEL_glu);
    add(&list, plan->embed[embd]);
    add_kv(&list, kv_type);
    for (int t = 0; t < STO_TYPE_COUNT; t++) {
        const struct sto_weight w = {.type = (enum sto_type)t, .cols = 32};
        if (!types[t])
            continue;
        const bool q8 = sto_op_wants_q8(ops, &w, 1);
        add(&list, q8 ? plan->matvec_q8[t] : plan->matvec[t]);
        if (!ops->deterministic)
            add(&list, sto_op_wants_q8(ops, &w, 64) ? plan->matmul_q8[t] : plan->matmul[t]);
        if (q8) {
            add(&list, STO_KERNEL_quantize_q8);
            add(&list, STO_KERNEL_rmsnorm_q8);
            add(&list, STO_KERNEL_glu_q8);
        }
    }
    return list.n;
}

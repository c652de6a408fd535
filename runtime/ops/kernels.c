/* Which kernels a model's steps will use: so that their pipelines can be made together, before the first step. */
#include "runtime/ops/ops.h"

enum { MANY_COLUMNS = 64 };

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

static void add_kv(struct list *list, const struct sto_ops *ops, enum sto_type kv_type)
{
    static const struct {
        enum sto_type type;
        enum sto_kernel rope, decode;
    } rows[] = {
        {STO_TYPE_F32, STO_KERNEL_rope_kv_f32, STO_KERNEL_attn_decode_f32},
        {STO_TYPE_F16, STO_KERNEL_rope_kv_f16, STO_KERNEL_attn_decode_f16},
        {STO_TYPE_Q8_0, STO_KERNEL_rope_kv_q8_0, STO_KERNEL_attn_decode_q8_0},
        {STO_TYPE_IQ4_NL, STO_KERNEL_rope_kv_iq4_nl, STO_KERNEL_attn_decode_iq4_nl},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].type == kv_type) {
            add(list, rows[i].rope);
            add(list, rows[i].decode);
        }
    }
    const bool f16 = ops->math == STO_MATH_F16 || (ops->math != STO_MATH_EXACT && ops->plan->f16_by_default);
    if (f16)
        add(list, ops->plan->attn_prefill_f16[kv_type]);
    add(list, ops->plan->attn_prefill[kv_type]); /* where there is neither, decode goes over a prompt too */
}

uint32_t sto_op_list_kernels(const struct sto_ops *ops, const bool *types, enum sto_type embd, enum sto_type kv_type,
                             enum sto_kernel *kernels)
{
    struct list list = {.kernels = kernels};
    add(&list, STO_KERNEL_step_begin);
    if (sto_op_can_sample(ops->plan)) {
        add(&list, STO_KERNEL_sample_max);
        add(&list, STO_KERNEL_sample_pick);
    }
    add(&list, STO_KERNEL_rmsnorm);
    add(&list, STO_KERNEL_glu);
    add(&list, ops->plan->embed[embd]);
    add_kv(&list, ops, kv_type);
    for (int t = 0; t < STO_TYPE_COUNT; t++) {
        const struct sto_weight w = {.type = (enum sto_type)t, .cols = 32};
        if (!types[t])
            continue;
        const bool vector_q8 = sto_op_wants_q8(ops, &w, 1), matrix_q8 = sto_op_wants_q8(ops, &w, MANY_COLUMNS);
        add(&list, sto_op_matmul_kernel(ops, w.type, 1, vector_q8));
        add(&list, sto_op_matmul_kernel(ops, w.type, MANY_COLUMNS, matrix_q8));
        if (vector_q8 || matrix_q8) {
            add(&list, STO_KERNEL_quantize_q8);
            add(&list, STO_KERNEL_rmsnorm_q8);
            add(&list, STO_KERNEL_glu_q8);
        }
    }
    return list.n;
}

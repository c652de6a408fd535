/* The operations of runtime/ops on the processor: done at once, on a pool of threads, where a device's are recorded.
 *
 * struct sto_ops with `cpu` set sends every operation here. Then addresses are host pointers: tensors, step block, the
 * weights' addresses (the piece table is not used), KV tables and the pages in them. 8-bit forms of activations are
 * never asked for (sto_op_wants_q8 is false): a product makes its own, in a layout of its own, where the format has one
 * and math is not EXACT or F16. A column's result does not depend on what shares its pass.
 * One thread at a time. Nothing is allocated after creation. */
#ifndef STO_CPU_H
#define STO_CPU_H

#include "runtime/cpu/kernels.h"
#include "runtime/ops/ops.h"

struct sto_cpu;

struct sto_cpu_params {
    uint32_t n_threads;       /* 0: one per core                                              */
    const char *level;        /* a level's name; NULL: the best that the processor has         */
    uint32_t max_cols;        /* of a pass                                                     */
    uint32_t max_in;          /* the most columns of a weight                                  */
    uint32_t max_group;       /* query heads per KV head                                       */
    uint32_t head_dim;
};

/* STO_ERR_USAGE: the processor lacks the level. */
enum sto_status sto_cpu_create(const struct sto_cpu_params *params, struct sto_cpu **out, struct sto_error *err);
void sto_cpu_destroy(struct sto_cpu *cpu); /* accepts NULL */
const char *sto_cpu_level_name(const struct sto_cpu *cpu); /* "avx2" */
uint32_t sto_cpu_n_threads(const struct sto_cpu *cpu);

/* As in ops.h. */
void sto_cpu_matmul(struct sto_ops *ops, const struct sto_op_matmul_args *a);
void sto_cpu_embed(struct sto_ops *ops, struct sto_tensor y, struct sto_weight w, uint64_t step, float scale);
void sto_cpu_norm(struct sto_ops *ops, struct sto_tensor x, const struct sto_op_norm_args *a);
void sto_cpu_glu(struct sto_ops *ops, struct sto_tensor y, struct sto_tensor gate, struct sto_tensor up, uint32_t act);
void sto_cpu_rope_kv(struct sto_ops *ops, const struct sto_op_rope_kv_args *a);
void sto_cpu_attention(struct sto_ops *ops, const struct sto_op_attention_args *a);

#endif

/* From a snapshot to everything strato decides about a device: a pure function, tested without a GPU. */
#ifndef STO_VK_DEVICE_PLAN_H
#define STO_VK_DEVICE_PLAN_H

#include "runtime/vk/kernel_table.h"
#include "runtime/vk/snapshot.h"

/* What the tests may take away from a device. */
struct sto_plan_options {
    uint32_t subgroup_size; /* 0: free choice */
    bool no_f16, no_int_dot, no_coopmat, no_mapping;
};

/* Specialisation constants, in constant_id order: 0 is the workgroup size, 1 the required subgroup size (0: the
 * driver's choice), the rest belong to the kernel's source and are described there. */
enum { STO_MAX_TUNING = 12 };
struct sto_tuning {
    uint32_t values[STO_MAX_TUNING];
    uint32_t n_values;
    uint32_t required_subgroup_size; /* 0: none */
};

/* A matrix of m rows and k columns times one of k rows and n columns. */
struct sto_matrix_size {
    uint32_t m, n, k;
};

enum { STO_NO_MEMORY_TYPE = 0xffffffffu };

struct sto_device_plan {
    uint32_t compute_family, transfer_family; /* equal when there is no separate transfer queue */
    bool has_transfer_queue;
    uint32_t device_memory_type;   /* where weights live                                              */
    uint32_t upload_memory_type;   /* host visible, for writing                                       */
    uint32_t readback_memory_type; /* host visible, cached where there is such a type                 */
    bool device_memory_mapped;     /* device_memory_type is host visible and large (CPU driver, integrated, ReBAR) */
    bool unified_memory;           /* device memory is system memory: no copies are worth it          */
    uint32_t subgroup_size;        /* what kernels will run with                                      */
    bool require_subgroup_size;
    bool use_f16, use_int_dot, use_coopmat, use_memory_budget, use_memory_priority;
    struct {
        struct sto_matrix_size size; /* f16 times f16, sums in f32; 0: the device has none that serves */
        /* int8 times int8, sums in int32, for formats with a scale for 32 elements, and with one for 16 */
        struct sto_matrix_size int8, int8_k16;
        /* Sums that an invocation can keep in registers, as the compilers' tables show: of a product's tile, and of
         * attention's outputs, which a loop carries with all else that it needs. attention_split is how many subgroups
         * may share a row's outputs where one cannot keep them. */
        uint32_t product_sums, attention_sums, attention_split;
    } coopmat; /* cooperative matrices of a subgroup; all 0 without use_coopmat */
    uint32_t max_shared_bytes;     /* of a workgroup */
    uint32_t busy_groups;          /* workgroups of matrix products that keep all of the device busy */
    uint64_t device_heap_bytes;

    /* Which kernels serve an operation: STO_KERNEL_COUNT where there is none. A kernel of matrows*.comp stands for
     * both matvec and matmul. */
    enum sto_kernel embed[STO_TYPE_COUNT];
    enum sto_kernel matvec[STO_TYPE_COUNT];    /* float products, 1 to 8 columns                      */
    enum sto_kernel matvec_q8[STO_TYPE_COUNT]; /* activations in 8 bits, integer dot products         */
    enum sto_kernel matmul[STO_TYPE_COUNT];    /* float products, many columns                        */
    enum sto_kernel matmul_f16[STO_TYPE_COUNT]; /* operands of f16, sums in f32; on matrix units where they pay */
    bool f16_by_default;                       /* with STO_MATH_AUTO use the matmul_f16 kernels                */
    enum sto_kernel matmul_q8[STO_TYPE_COUNT];
    bool q8_by_default[STO_TYPE_COUNT];        /* with STO_MATH_AUTO use matvec_q8 for this format       */
    bool q8_matmul_by_default[STO_TYPE_COUNT]; /* likewise matmul_q8                                     */
    enum sto_kernel attn_prefill[STO_TYPE_COUNT];     /* attention of many columns, by the cache's format; f32 */
    enum sto_kernel attn_prefill_f16[STO_TYPE_COUNT]; /* f16 operands on matrix units, for the head sizes that they take
                                                       * (sto_tuning_attention); where matmul_f16 would be used too */
    struct sto_tuning tuning[STO_KERNEL_ROWS];
    bool usable[STO_KERNEL_ROWS];              /* the device has what the kernel needs                */
    bool set_aside[STO_KERNEL_ROWS];           /* it has, and runs it wrongly or slowly: findings.h    */
};

/* STO_ERR_NO_DEVICE says what the device lacks, e.g. "needs bufferDeviceAddress". */
enum sto_status sto_device_plan_make(const struct sto_device_snapshot *snapshot, const struct sto_plan_options *options,
                                     struct sto_device_plan *out, struct sto_error *err);

/* Chooses the kernels of all operations anew, from those that are usable and not set aside. */
void sto_device_plan_choose(const struct sto_device_snapshot *snapshot, struct sto_device_plan *plan);

/* Which of n devices is best (index), by kind, then memory; n if none is usable. CPU drivers come last. */
uint32_t sto_device_choose(const struct sto_device_snapshot *snapshots, uint32_t n);

/* The index of the device that a person asks for: NULL or "best" the best, digits an index, else a part of a name in
 * any case (of several the best). STO_ERR_NO_DEVICE lists what there is. n >= 1. */
enum sto_status sto_device_find(const struct sto_device_snapshot *snapshots, uint32_t n, const char *name,
                                uint32_t *index, struct sto_error *err);

#endif

/* Specialisation constants of every kernel, by rule: from a device to numbers, without a driver. */
#ifndef STO_VK_TUNING_H
#define STO_VK_TUNING_H

#include "runtime/vk/device_plan.h"

/* What a rule may look at: the plan's subgroup size, use_* flags, and the device itself. */
struct sto_tuning_input {
    const struct sto_device_snapshot *snapshot;
    const struct sto_device_plan *plan;
    const struct sto_kernel_info *kernel;
};

/* Fills in the constants of one kernel. Values 0 and 1 (workgroup size, subgroup size) are always there. */
void sto_tuning_make(const struct sto_tuning_input *in, struct sto_tuning *out);

/* Bytes of shared memory that a kernel takes at most with these constants, where they decide it; else 0. */
uint32_t sto_tuning_shared_bytes(const struct sto_kernel_info *kernel, const struct sto_tuning *tuning);

/* From the plan's constants of an attn_prefill_coopmat kernel to those for heads of head_dim: what fits registers and
 * shared memory. False: such heads are for another kernel. */
bool sto_tuning_attention(const struct sto_device_plan *plan, const struct sto_kernel_info *kernel, uint32_t head_dim,
                          struct sto_tuning *tuning);

#endif

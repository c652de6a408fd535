/* The table of kernels, derived from shaders/kernels.txt. */
#include "runtime/vk/kernel_table.h"

#include <assert.h>
#include <string.h>

#include "shaders/shared/args.h"

/* The SPIR-V of the kernels that are in this build; for the others the names are declared and never used. */
#define DECLARE(name, source, weight, args_bytes, needs, built) \
    extern const uint32_t sto_spirv_##name[]; \
    extern const uint32_t sto_spirv_##name##_bytes;
STO_KERNEL_LIST(DECLARE)

#define SPIRV_0(name) NULL
#define SPIRV_1(name) sto_spirv_##name
#define BYTES_0(name) NULL
#define BYTES_1(name) &sto_spirv_##name##_bytes

/* One more row than there are kernels, so that a list without kernels compiles. */
static const struct sto_kernel_info kernels[STO_KERNEL_ROWS] = {
#define ROW(name, source, weight, args_bytes, needs, built)                                                            \
    [STO_KERNEL_##name] = {#name, source, STO_TYPE_##weight, args_bytes, needs,                                        \
                           SPIRV_##built(name), BYTES_##built(name)},
    STO_KERNEL_LIST(ROW)
};

#define CHECK(name, source, weight, args_bytes, needs, built) \
    _Static_assert((args_bytes) <= 128, "arguments of " #name " exceed the push constants every device has");
STO_KERNEL_LIST(CHECK)

const struct sto_kernel_info *sto_kernel_get(enum sto_kernel kernel)
{
    assert((uint32_t)kernel < STO_KERNEL_COUNT);
    return &kernels[kernel];
}

enum sto_kernel sto_kernel_by_name(const char *name)
{
    for (uint32_t i = 0; i < STO_KERNEL_COUNT; i++) {
        if (strcmp(kernels[i].name, name) == 0)
            return (enum sto_kernel)i;
    }
    return STO_KERNEL_COUNT;
}

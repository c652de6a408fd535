/* The cpu lane's threads, kernels and scratch. */
#include "runtime/cpu/cpu_impl.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/status.h"

static size_t align_64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

static enum sto_status choose_kernels(struct sto_cpu *cpu, struct sto_error *err)
{
    const char *name = cpu->params.level;
    for (int l = 0; l < STO_CPU_LEVEL_COUNT; l++) {
        const struct sto_cpu_kernels *kernels = sto_cpu_kernels_of((enum sto_cpu_level)l);
        if (kernels != NULL && (name == NULL || strcmp(name, kernels->name) == 0))
            cpu->kernels = kernels; /* the last one is the best */
    }
    return cpu->kernels != NULL
               ? STO_OK
               : sto_fail(err, STO_ERR_USAGE, "the cpu lane has no level '%s' on this processor", name);
}

enum sto_status sto_cpu_create(const struct sto_cpu_params *params, struct sto_cpu **out, struct sto_error *err)
{
    const size_t panels = (params->max_in + STO_CPU_PANEL - 1) / STO_CPU_PANEL;
    const size_t xq_bytes = params->max_cols * panels * sizeof(struct sto_cpu_q8);
    const size_t attention = sto_cpu_attention_room(params);
    struct sto_cpu *cpu = sto_calloc(1, sizeof *cpu);
    enum sto_status status = STO_OK;
    if (cpu == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for the cpu lane");
    cpu->params = *params;
    if ((status = choose_kernels(cpu, err)) != STO_OK)
        goto fail;
    cpu->pool = sto_pool_create(params->n_threads);
    if (cpu->pool == NULL) {
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for threads");
        goto fail;
    }
    cpu->room_bytes = align_64(attention > STO_CPU_ROOM_BYTES ? attention : STO_CPU_ROOM_BYTES);
    cpu->memory = sto_calloc(1, 64 + xq_bytes + sto_pool_n_threads(cpu->pool) * cpu->room_bytes);
    if (cpu->memory == NULL) {
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for the cpu lane's activations");
        goto fail;
    }
    cpu->xq = (struct sto_cpu_q8 *)align_64((size_t)cpu->memory);
    cpu->rooms = (uint8_t *)cpu->xq + xq_bytes;
    *out = cpu;
    return STO_OK;
fail:
    sto_cpu_destroy(cpu);
    return status;
}

void sto_cpu_destroy(struct sto_cpu *cpu)
{
    if (cpu == NULL)
        return;
    sto_pool_destroy(cpu->pool);
    sto_free(cpu->memory);
    sto_free(cpu);
}

const char *sto_cpu_level_name(const struct sto_cpu *cpu)
{
    return cpu->kernels->name;
}

uint32_t sto_cpu_n_threads(const struct sto_cpu *cpu)
{
    return sto_pool_n_threads(cpu->pool);
}

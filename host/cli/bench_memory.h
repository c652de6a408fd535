/* Memory before and after the model came onto the device, and whether all of it is where it was put. */
#ifndef STO_CLI_BENCH_MEMORY_H
#define STO_CLI_BENCH_MEMORY_H

#include "host/cli/gpu_facts.h"
#include "runtime/vk/device.h"

struct sto_bench_memory {
    struct sto_heap_state heap;
    uint64_t gtt_used_bytes; /* of all processes; 0: not known */
};

/* source may be NULL. */
struct sto_bench_memory sto_bench_memory_now(struct sto_device *device, struct sto_gpu_source *source);

/* Bytes asked of the device between the two that seem to lie in system memory; 0: none, or nobody can tell. Pure.
 * Three signs, each with slack for what the host's side of an engine takes: the driver counts less in the heap than we
 * put there; the heap is used beyond its budget (then Windows moves memory out); more system memory is mapped for the
 * GPU. unified: device memory is system memory, so nothing is ever out of place. */
uint64_t sto_bench_spilled_bytes(const struct sto_bench_memory *before, const struct sto_bench_memory *after,
                                 bool unified);

#endif

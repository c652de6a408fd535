/* Where the memory is. */
#include "host/cli/bench_memory.h"

struct sto_bench_memory sto_bench_memory_now(struct sto_device *device, struct sto_gpu_source *source)
{
    struct sto_bench_memory m = {0};
    sto_device_heap_state(device, &m.heap);
    if (source != NULL) {
        struct sto_gpu_facts facts;
        sto_gpu_facts_read(source, &facts);
        m.gtt_used_bytes = facts.gtt_used_bytes;
    }
    return m;
}

static uint64_t above(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t sto_bench_spilled_bytes(const struct sto_bench_memory *before, const struct sto_bench_memory *after,
                                 bool unified)
{
    const uint64_t asked = above(after->heap.ours_bytes, before->heap.ours_bytes);
    const uint64_t slack = (UINT64_C(256) << 20) + asked / 16;
    uint64_t most = 0;
    if (unified)
        return 0;
    if (after->heap.used_bytes > 0) {
        const uint64_t counted = above(after->heap.used_bytes, before->heap.used_bytes);
        most = larger(most, above(asked, counted));
    }
    if (before->gtt_used_bytes > 0 && after->gtt_used_bytes > 0)
        most = larger(most, above(after->gtt_used_bytes, before->gtt_used_bytes));
    most = most > slack ? most : 0;
    if (after->heap.budget_bytes > 0) /* no slack: the system says so itself */
        most = larger(most, above(after->heap.used_bytes, after->heap.budget_bytes));
    return most;
}

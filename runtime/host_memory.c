/* Counters around the allocator. */
#include "runtime/host_memory.h"

#include <stdatomic.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"

static _Atomic uint64_t held, peak;

void sto_host_count(uint64_t bytes)
{
    const uint64_t now = atomic_fetch_add(&held, bytes) + bytes;
    uint64_t most = atomic_load(&peak);
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now))
        ;
}

void sto_host_uncount(uint64_t bytes)
{
    atomic_fetch_sub(&held, bytes);
}

void *sto_host_alloc(uint64_t bytes)
{
    void *memory = bytes <= SIZE_MAX ? sto_calloc(1, (size_t)bytes) : NULL;
    if (memory != NULL)
        sto_host_count(bytes);
    return memory;
}

void sto_host_free(void *memory, uint64_t bytes)
{
    if (memory != NULL)
        sto_host_uncount(bytes);
    sto_free(memory);
}

uint64_t sto_host_bytes(void)
{
    return atomic_load(&held);
}

uint64_t sto_host_peak_bytes(void)
{
    return atomic_load(&peak);
}

uint64_t sto_default_ram_bytes(void)
{
    const uint64_t least = 128 << 20, most = UINT64_C(2) << 30;
    const uint64_t available = sto_ram_available_bytes();
    uint64_t margin = available / 8;
    if (available == 0)
        return UINT64_MAX;
    margin = margin < least ? least : margin > most ? most : margin;
    return available > margin ? available - margin : 0;
}

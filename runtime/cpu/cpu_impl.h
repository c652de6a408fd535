/* Inside runtime/cpu: what the operations share. */
#ifndef STO_CPU_IMPL_H
#define STO_CPU_IMPL_H

#include "runtime/cpu/cpu.h"
#include "runtime/cpu/pool.h"

struct sto_cpu {
    struct sto_pool *pool;
    const struct sto_cpu_kernels *kernels;
    struct sto_cpu_params params;
    struct sto_cpu_q8 *xq;  /* [max_cols, panels of max_in] a product's activations in 8 bits */
    uint8_t *rooms;         /* [n_threads] of room_bytes                                      */
    size_t room_bytes;
    void *memory;           /* of the two above                                               */
};

static inline void *sto_cpu_room(const struct sto_cpu *cpu, uint32_t thread)
{
    return cpu->rooms + thread * cpu->room_bytes;
}

static inline float *sto_host_floats(uint64_t address)
{
    return (float *)(uintptr_t)address;
}

/* Row r of a tensor. */
static inline float *sto_host_row(const struct sto_tensor *t, uint32_t r)
{
    return sto_host_floats(t->address) + (size_t)r * t->stride;
}

/* Pieces of n things, so that each thread can take several of them; *each: how many things a piece has, at least
 * `least` and a multiple of it. */
static inline uint32_t sto_cpu_pieces(const struct sto_cpu *cpu, uint32_t n, uint32_t least, uint32_t *each)
{
    enum { PER_THREAD = 8 };
    const uint32_t wanted = n / (PER_THREAD * sto_pool_n_threads(cpu->pool));
    *each = wanted > least ? wanted / least * least : least;
    return (n + *each - 1) / *each;
}

/* Bytes of a thread's room that attention wants. */
size_t sto_cpu_attention_room(const struct sto_cpu_params *params);

#endif

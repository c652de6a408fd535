/* Threads that work on one job at a time together with the thread that has it.
 *
 * A job is n pieces, numbered from 0; whoever is free takes the next one, so that a thread that the system holds up
 * costs one piece and not its share. The caller takes pieces too, and returns when all are done. Between jobs threads
 * wait awake for some microseconds, then asleep. Nothing is allocated after creation. A pool belongs to one thread at
 * a time. */
#ifndef STO_CPU_POOL_H
#define STO_CPU_POOL_H

#include "runtime/base/status.h"

struct sto_pool;

/* n_threads: the caller among them; 0: one per core. Fewer where the system gives fewer. NULL: no memory. */
struct sto_pool *sto_pool_create(uint32_t n_threads);
void sto_pool_destroy(struct sto_pool *pool); /* accepts NULL */
uint32_t sto_pool_n_threads(const struct sto_pool *pool);

/* Calls run(job, piece, thread) once for each piece below n, from any of the pool's threads; thread is below
 * sto_pool_n_threads, and no other piece runs with it at the same time. What a piece writes, the caller sees. */
void sto_pool_run(struct sto_pool *pool, void (*run)(void *job, uint32_t piece, uint32_t thread), void *job,
                  uint32_t n);

#endif

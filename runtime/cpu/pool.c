/* One job at a time, pieces taken from a counter; see pool.h.
 *
 * A worker announces itself in `inside` before it looks whether the job is still open, and the caller closes the job
 * before it looks whether anyone is inside: in sequentially consistent order, one of the two sees the other. So no
 * worker reads a job that the caller has taken back. */
#include "runtime/cpu/pool.h"

#include <stdatomic.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"

enum { MAX_THREADS = 256, SPINS_AWAKE = 2000, SPINS_BEFORE_YIELD = 200 };

struct worker {
    struct sto_pool *pool;
    struct sto_thread *thread;
    uint32_t number;
};

struct sto_pool {
    uint32_t n_threads;
    struct worker *workers; /* [n_threads - 1], numbers from 1 */
    void (*run)(void *job, uint32_t piece, uint32_t thread);
    void *job;
    uint32_t n;
    /* Each in a cache line of its own. */
    uint8_t apart0[64];
    _Atomic uint32_t next;   /* the next piece                                       */
    uint8_t apart1[64];
    _Atomic uint64_t open;   /* number of the open job, which is not 0; 0 in between */
    uint8_t apart2[64];
    _Atomic uint32_t inside; /* workers that may be looking at the job               */
    uint8_t apart3[64];
    _Atomic uint32_t asleep;
    _Atomic bool end;
    uint64_t job_number;
    struct sto_mutex *lock;
    struct sto_cond *woken;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_pieces(struct sto_pool *pool, uint32_t thread)
{
    uint32_t piece;
    while ((piece = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < pool->n)
        pool->run(pool->job, piece, thread);
}

static bool has_news(struct sto_pool *pool, uint64_t seen)
{
    const uint64_t open = atomic_load(&pool->open);
    return (open != 0 && open != seen) || atomic_load(&pool->end);
}

static void wait_for_news(struct sto_pool *pool, uint64_t seen)
{
    for (int i = 0; i < SPINS_AWAKE; i++) {
        if (has_news(pool, seen))
            return;
        relax();
    }
    sto_mutex_lock(pool->lock);
    atomic_fetch_add(&pool->asleep, 1);
    while (!has_news(pool, seen))
        sto_cond_wait(pool->woken, pool->lock);
    atomic_fetch_sub(&pool->asleep, 1);
    sto_mutex_unlock(pool->lock);
}

static void work(void *arg)
{
    struct worker *worker = arg;
    struct sto_pool *pool = worker->pool;
    uint64_t seen = 0;
    while (!atomic_load(&pool->end)) {
        wait_for_news(pool, seen);
        atomic_fetch_add(&pool->inside, 1);
        const uint64_t open = atomic_load(&pool->open);
        if (open != 0 && open != seen) {
            take_pieces(pool, worker->number);
            seen = open;
        }
        atomic_fetch_sub(&pool->inside, 1);
    }
}

static void wake(struct sto_pool *pool)
{
    if (atomic_load(&pool->asleep) == 0)
        return;
    sto_mutex_lock(pool->lock);
    sto_cond_broadcast(pool->woken);
    sto_mutex_unlock(pool->lock);
}

void sto_pool_run(struct sto_pool *pool, void (*run)(void *job, uint32_t piece, uint32_t thread), void *job,
                  uint32_t n)
{
    if (n <= 1 || pool->n_threads == 1) {
        for (uint32_t i = 0; i < n; i++)
            run(job, i, 0);
        return;
    }
    pool->run = run;
    pool->job = job;
    pool->n = n;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    pool->job_number++;
    atomic_store(&pool->open, pool->job_number);
    wake(pool);
    take_pieces(pool, 0);
    atomic_store(&pool->open, 0);
    for (int i = 0; atomic_load(&pool->inside) != 0; i++) {
        if (i < SPINS_BEFORE_YIELD)
            relax();
        else
            sto_thread_yield(); /* whoever is inside may be waiting for this processor */
    }
}

struct sto_pool *sto_pool_create(uint32_t n_threads)
{
    uint32_t n = n_threads != 0 ? n_threads : sto_core_count();
    struct sto_pool *pool = sto_calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    n = n < MAX_THREADS ? n : MAX_THREADS;
    pool->n_threads = 1;
    pool->lock = sto_mutex_create();
    pool->woken = sto_cond_create();
    pool->workers = sto_calloc(n, sizeof *pool->workers);
    if (pool->lock == NULL || pool->woken == NULL || pool->workers == NULL) {
        sto_pool_destroy(pool);
        return NULL;
    }
    for (uint32_t i = 1; i < n; i++) {
        struct worker *worker = &pool->workers[i - 1];
        *worker = (struct worker){.pool = pool, .number = i};
        worker->thread = sto_thread_start(work, worker);
        if (worker->thread == NULL)
            break;
        pool->n_threads++;
    }
    return pool;
}

void sto_pool_destroy(struct sto_pool *pool)
{
    if (pool == NULL)
        return;
    if (pool->n_threads > 1) {
        sto_mutex_lock(pool->lock);
        atomic_store(&pool->end, true);
        sto_cond_broadcast(pool->woken);
        sto_mutex_unlock(pool->lock);
    }
    for (uint32_t i = 1; i < pool->n_threads; i++)
        sto_thread_join(pool->workers[i - 1].thread);
    sto_cond_destroy(pool->woken);
    sto_mutex_destroy(pool->lock);
    sto_free(pool->workers);
    sto_free(pool);
}

uint32_t sto_pool_n_threads(const struct sto_pool *pool)
{
    return pool->n_threads;
}

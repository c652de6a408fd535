/* Chunks in turn: chunk k goes to buffer k % n_buffers once chunk k - n_buffers has been released. */
#include "runtime/reader.h"

#include <stdatomic.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/base/status.h"
#include "runtime/host_memory.h"

enum { MAX_THREADS = 8 };

struct buffer {
    uint8_t *data;
    uint64_t holds; /* number of the chunk that was read into it, from 1; 0: none */
    enum sto_status status;
    struct sto_error err;
};

struct sto_reader {
    struct sto_reader_params p; /* chunks are ours */
    struct buffer *buffers;     /* [n_buffers] */
    struct sto_thread *threads[MAX_THREADS];
    uint32_t n_threads;
    struct sto_mutex *lock;     /* guards what follows */
    struct sto_cond *changed;
    uint64_t begun, taken, released; /* chunks */
    bool stop;
    _Atomic uint64_t bytes;
};

static struct buffer *buffer_of(const struct sto_reader *r, uint64_t number)
{
    return &r->buffers[(number - 1) % r->p.n_buffers];
}

/* Reads a chunk into its buffer, which nobody else touches; called and left with the lock held. */
static void read_chunk(struct sto_reader *r, uint64_t number)
{
    struct buffer *b = buffer_of(r, number);
    const struct sto_read_chunk *chunk = &r->p.chunks[(number - 1) % r->p.n_chunks];
    sto_mutex_unlock(r->lock);
    b->status = r->p.read(r->p.user, chunk, b->data, &b->err);
    if (b->status == STO_OK)
        atomic_fetch_add(&r->bytes, chunk->bytes);
    sto_mutex_lock(r->lock);
    b->holds = number;
    sto_cond_broadcast(r->changed);
}

static void read_ahead(void *arg)
{
    struct sto_reader *r = arg;
    sto_mutex_lock(r->lock);
    while (!r->stop) {
        if (r->begun < r->released + r->p.n_buffers)
            read_chunk(r, ++r->begun);
        else
            sto_cond_wait(r->changed, r->lock);
    }
    sto_mutex_unlock(r->lock);
}

enum sto_status sto_reader_create(const struct sto_reader_params *params, struct sto_reader **out,
                                  struct sto_error *err)
{
    *out = NULL;
    struct sto_reader *r = sto_calloc(1, sizeof *r);
    struct sto_read_chunk *chunks = sto_calloc(params->n_chunks, sizeof *chunks);
    bool complete = r != NULL && chunks != NULL;
    if (complete) {
        memcpy(chunks, params->chunks, params->n_chunks * sizeof *chunks);
        r->p = *params;
        r->p.chunks = chunks;
        r->buffers = sto_calloc(params->n_buffers, sizeof *r->buffers);
        r->lock = sto_mutex_create();
        r->changed = sto_cond_create();
        complete = r->buffers != NULL && r->lock != NULL && r->changed != NULL;
    }
    for (uint32_t i = 0; complete && i < params->n_buffers; i++)
        complete = (r->buffers[i].data = sto_host_alloc(params->chunk_bytes)) != NULL;
    if (!complete) {
        if (r == NULL || r->p.chunks == NULL)
            sto_free(chunks);
        sto_reader_destroy(r);
        return sto_fail(err, STO_ERR_NO_FIT, "no memory to read ahead with: %u buffers of %llu bytes",
                        (unsigned)params->n_buffers, (unsigned long long)params->chunk_bytes);
    }
    for (uint32_t i = 0; i < params->n_threads && i < MAX_THREADS; i++) {
        struct sto_thread *thread = sto_thread_start(read_ahead, r);
        if (thread != NULL)
            r->threads[r->n_threads++] = thread;
    }
    *out = r;
    return STO_OK;
}

void sto_reader_destroy(struct sto_reader *r)
{
    if (r == NULL)
        return;
    if (r->n_threads > 0) {
        sto_mutex_lock(r->lock);
        r->stop = true;
        sto_cond_broadcast(r->changed);
        sto_mutex_unlock(r->lock);
    }
    for (uint32_t i = 0; i < r->n_threads; i++)
        sto_thread_join(r->threads[i]);
    for (uint32_t i = 0; r->buffers != NULL && i < r->p.n_buffers; i++)
        sto_host_free(r->buffers[i].data, r->p.chunk_bytes);
    sto_cond_destroy(r->changed);
    sto_mutex_destroy(r->lock);
    sto_free(r->buffers);
    sto_free((void *)(uintptr_t)r->p.chunks);
    sto_free(r);
}

enum sto_status sto_reader_take(struct sto_reader *r, const uint8_t **data, struct sto_error *err)
{
    sto_mutex_lock(r->lock);
    const uint64_t number = ++r->taken;
    struct buffer *b = buffer_of(r, number);
    if (r->n_threads == 0)
        read_chunk(r, ++r->begun);
    while (b->holds != number)
        sto_cond_wait(r->changed, r->lock);
    sto_mutex_unlock(r->lock);
    *data = b->data;
    if (b->status != STO_OK && err != NULL)
        *err = b->err;
    return b->status;
}

void sto_reader_release(struct sto_reader *r)
{
    sto_mutex_lock(r->lock);
    r->released++;
    sto_cond_broadcast(r->changed);
    sto_mutex_unlock(r->lock);
}

uint64_t sto_reader_bytes(const struct sto_reader *r)
{
    return atomic_load(&r->bytes);
}

/* Chunks through buffers in turn. */
#include "runtime/copy_stage.h"

#include "runtime/base/mem.h"

struct sto_stage {
    struct sto_stage_params p;
    struct sto_buffer *buffers; /* [n_buffers] of chunk_bytes */
    uint64_t *first;            /* [n_pieces + 1] numbers before a piece's first chunk */
    struct sto_timeline *filled, *drained;
    struct sto_thread *thread;
    uint64_t done;              /* transfers whose chunks were all filled */
    uint64_t last;              /* number signalled last                  */
    struct sto_cond *changed;   /* with the lock of the parameters: what follows */
    uint64_t handed;            /* chunks up to this number are copied on without more being handed over */
    bool stop;
};

/* How far beyond all numbers a timeline is raised to let go whoever waits; less than any device's largest step. */
static const uint64_t BEYOND = UINT64_C(1) << 30;

static uint64_t chunks_of(const struct sto_stage_params *p, uint32_t i)
{
    const struct sto_buffer *source = p->pieces[i].source;
    return source->address != 0 ? 0 : (source->bytes + p->chunk_bytes - 1) / p->chunk_bytes;
}

enum sto_status sto_stage_create(const struct sto_stage_params *params, struct sto_stage **out, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    *out = NULL;
    struct sto_stage *s = sto_calloc(1, sizeof *s);
    if (s == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for staging");
    s->p = *params;
    s->buffers = sto_calloc(params->n_buffers, sizeof *s->buffers);
    s->first = sto_calloc((size_t)params->n_pieces + 1, sizeof *s->first);
    s->changed = sto_cond_create();
    if (s->buffers == NULL || s->first == NULL || s->changed == NULL)
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for staging");
    for (uint32_t i = 0; i < params->n_buffers && status == STO_OK; i++)
        status = sto_buffer_create(params->device, STO_MEMORY_UPLOAD, params->chunk_bytes, "staging", &s->buffers[i],
                                   err);
    for (uint32_t i = 0; i < params->n_pieces && status == STO_OK; i++) {
        const uint64_t n = params->n_buffers;
        s->first[i + 1] = s->first[i] + (chunks_of(params, i) + n - 1) / n * n;
    }
    if (status == STO_OK)
        status = sto_timeline_create(params->device, &s->filled, err);
    if (status == STO_OK)
        status = sto_timeline_create(params->device, &s->drained, err);
    if (status != STO_OK) {
        sto_stage_destroy(s);
        return status;
    }
    *out = s;
    return STO_OK;
}

void sto_stage_destroy(struct sto_stage *s)
{
    if (s == NULL)
        return;
    sto_timeline_destroy(s->filled);
    sto_timeline_destroy(s->drained);
    for (uint32_t i = 0; s->buffers != NULL && i < s->p.n_buffers; i++)
        sto_buffer_destroy(s->p.device, &s->buffers[i]);
    sto_cond_destroy(s->changed);
    sto_free(s->buffers);
    sto_free(s->first);
    sto_free(s);
}

/* ---- numbers ---- */

uint32_t sto_stage_count(const struct sto_stage *s, uint32_t i)
{
    return (uint32_t)chunks_of(&s->p, i);
}

struct sto_stage_chunk sto_stage_chunk(const struct sto_stage *s, uint32_t i, uint32_t chunk)
{
    const uint64_t size = s->p.chunk_bytes, at = chunk * size, left = s->p.pieces[i].source->bytes - at;
    struct sto_stage_chunk c = {.buffer = &s->buffers[chunk % s->p.n_buffers], .at = at,
                                .bytes = left < size ? left : size, .filled = s->first[i] + chunk + 1};
    c.drained = left > size ? c.filled : s->first[i + 1];
    return c;
}

uint64_t sto_stage_round(const struct sto_stage *s)
{
    return s->first[s->p.n_pieces];
}

struct sto_timeline *sto_stage_filled(const struct sto_stage *s)
{
    return s->filled;
}

struct sto_timeline *sto_stage_drained(const struct sto_stage *s)
{
    return s->drained;
}

/* ---- filling ---- */

static enum sto_status signal_filled(struct sto_stage *s, uint64_t number)
{
    enum sto_status status;
    do {
        sto_mutex_lock(s->p.lock);
        status = sto_timeline_signal(s->filled, number, NULL);
        sto_mutex_unlock(s->p.lock);
        if (status == STO_ERR_NO_FIT) /* what was handed over waits for it: there is no going back */
            sto_sleep_ms(1);
    } while (status == STO_ERR_NO_FIT);
    s->last = number;
    return status;
}

/* Waits until the chunk of this number will be copied on by what was handed over. False: it will not. */
static bool await_handed(struct sto_stage *s, uint64_t number)
{
    sto_mutex_lock(s->p.lock);
    while (!s->stop && s->handed < number)
        sto_cond_wait(s->changed, s->p.lock);
    const bool go_on = !s->stop;
    sto_mutex_unlock(s->p.lock);
    return go_on;
}

/* All chunks of transfer t. Fails where the device was lost, or the thread is to end. */
static enum sto_status fill_piece(struct sto_stage *s, uint64_t t)
{
    const uint32_t i = (uint32_t)((t - 1) % s->p.n_pieces), n = sto_stage_count(s, i);
    const uint64_t base = (t - 1) / s->p.n_pieces * sto_stage_round(s);
    enum sto_status status = STO_OK;
    for (uint32_t k = 0; k < n && status == STO_OK; k++) {
        const struct sto_stage_chunk c = sto_stage_chunk(s, i, k);
        const uint64_t number = base + c.filled, before = number > s->p.n_buffers ? number - s->p.n_buffers : 0;
        if (!await_handed(s, before))
            return STO_ERR_CANCELLED;
        if (before > 0)
            status = sto_timeline_wait(s->drained, before, NULL);
        if (status != STO_OK)
            break;
        s->p.fetch(s->p.user, t, c.at, c.bytes, c.buffer->mapped);
        status = signal_filled(s, number);
    }
    return status;
}

static void run(void *arg)
{
    struct sto_stage *s = arg;
    while (fill_piece(s, s->done + 1) == STO_OK)
        s->done++;
}

bool sto_stage_start(struct sto_stage *s)
{
    if (sto_stage_round(s) == 0)
        return true; /* nothing to do */
    s->thread = sto_thread_start(run, s);
    return s->thread != NULL;
}

void sto_stage_fill(struct sto_stage *s, uint64_t t)
{
    while (s->done < t && fill_piece(s, s->done + 1) == STO_OK)
        s->done++;
}

void sto_stage_handed(struct sto_stage *s, uint64_t t)
{
    const uint64_t round = t > 0 ? (t - 1) / s->p.n_pieces : 0, pieces = t > 0 ? (t - 1) % s->p.n_pieces + 1 : 0;
    sto_mutex_lock(s->p.lock);
    s->handed = round * sto_stage_round(s) + s->first[pieces];
    sto_cond_broadcast(s->changed);
    sto_mutex_unlock(s->p.lock);
}

void sto_stage_stop(struct sto_stage *s)
{
    sto_mutex_lock(s->p.lock);
    const bool stopped = s->stop;
    s->stop = true;
    sto_cond_broadcast(s->changed);
    sto_mutex_unlock(s->p.lock);
    sto_thread_join(s->thread);
    s->thread = NULL;
    if (!stopped && sto_device_is_lost(s->p.device))
        (void)sto_timeline_signal(s->filled, s->last + BEYOND, NULL);
}

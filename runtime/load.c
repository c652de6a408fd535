/* Weights from the file to the device, read by several threads.
 *
 *   reader threads  --read-->  mapped device memory                         (CPU drivers, integrated GPUs, ReBAR)
 *   reader threads  --read-->  a ring of staging slots  --copy-->  device memory     (elsewhere; this thread submits)
 *   random bits, made by a kernel                                                    (models without a file)
 *
 * Reading goes through the file, not a map: a file that shrinks under us is then an error and not a signal, and the
 * page cache does not count as ours. Vectors are few and small: this thread decodes and uploads them first. */
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/engine.h"
#include "runtime/formats/formats.h"

enum { CHUNK_BYTES = 8 << 20, N_SLOTS = 6, MAX_READERS = 4, MAX_COPYING = 2 };

struct chunk {
    const struct sto_model_weight *weight;
    const struct sto_weight *to;
    uint64_t at; /* bytes from the weight's beginning */
    size_t bytes;
};

enum slot_state { SLOT_FREE, SLOT_READING, SLOT_FULL, SLOT_COPYING };

struct slot {
    enum slot_state state;
    struct chunk chunk;
    struct sto_buffer buffer; /* upload memory of CHUNK_BYTES  */
    struct sto_recording *rec;
    uint64_t ticket;          /* of the copy, when SLOT_COPYING */
};

struct load {
    struct sto_engine *e;
    const struct sto_callbacks *callbacks;
    struct sto_mutex *lock;    /* guards what follows */
    struct sto_cond *changed;
    uint32_t weight;           /* the next chunk: of this weight, */
    uint64_t at;               /* from here                       */
    uint64_t done, total;      /* bytes */
    bool stop;                 /* readers end after their present chunk */
    enum sto_status status;    /* the first reader's failure */
    struct sto_error err;
    struct slot slots[N_SLOTS]; /* unused where device memory is mapped */
    bool staged;
};

/* ---- readers ---- */

/* Whether a weight is the device's, resident or streamed: not those of the cpu lane, but for the vectors, which the
 * device has of every layer. */
static bool is_ours(const struct sto_engine *e, const struct sto_model_weight *w)
{
    return w->role < STO_W_FIRST_OF_LAYER || sto_weight_is_vector(w) || e->lanes[w->layer] != STO_LANE_CPU;
}

/* The next chunk of the matrices, in the file's order as far as the model lists them so. False: there is none left. */
static bool next_chunk(struct load *l, struct chunk *c)
{
    const struct sto_model *m = l->e->model;
    while (l->weight < m->n_weights &&
           (sto_weight_is_vector(&m->weights[l->weight]) || !is_ours(l->e, &m->weights[l->weight]) ||
            l->at == m->weights[l->weight].bytes)) {
        l->weight++;
        l->at = 0;
    }
    if (l->weight == m->n_weights)
        return false;
    c->weight = &m->weights[l->weight];
    c->to = &l->e->weights.weights[sto_device_weight_index(c->weight->role, c->weight->layer)];
    c->at = l->at;
    c->bytes = c->weight->bytes - l->at < CHUNK_BYTES ? (size_t)(c->weight->bytes - l->at) : CHUNK_BYTES;
    l->at += c->bytes;
    return true;
}

static struct slot *find_slot(struct load *l, enum slot_state state)
{
    for (int i = 0; i < N_SLOTS; i++) {
        if (l->slots[i].state == state)
            return &l->slots[i];
    }
    return NULL;
}

/* A reader's whole life; the lock is held but for the reading itself. */
static void read_chunks(void *arg)
{
    struct load *l = arg;
    const struct sto_model *m = l->e->model;
    sto_mutex_lock(l->lock);
    while (!l->stop && l->status == STO_OK) {
        struct slot *slot = l->staged ? find_slot(l, SLOT_FREE) : NULL;
        struct chunk c;
        if (l->staged && slot == NULL) {
            sto_cond_wait(l->changed, l->lock);
            continue;
        }
        if (!next_chunk(l, &c))
            break;
        uint8_t *dst = l->staged ? slot->buffer.mapped
                                 : (uint8_t *)l->e->pieces[c.to->piece].mapped + c.to->offset + c.at;
        if (slot != NULL)
            slot->state = SLOT_READING;
        sto_mutex_unlock(l->lock);
        struct sto_error err;
        const enum sto_status status = m->vtable->read_weight(m, c.weight, c.at, dst, c.bytes, &err);
        sto_mutex_lock(l->lock);
        if (status != STO_OK && l->status == STO_OK) {
            l->status = status;
            l->err = err;
        }
        if (slot != NULL) {
            slot->chunk = c;
            slot->state = status == STO_OK ? SLOT_FULL : SLOT_FREE;
        } else {
            l->done += c.bytes;
        }
        sto_cond_broadcast(l->changed);
    }
    sto_mutex_unlock(l->lock);
}

/* ---- this thread: copies, progress, cancelling ---- */

static enum sto_status copy_slot(struct load *l, struct slot *s, struct sto_error *err)
{
    const struct chunk *c = &s->chunk;
    sto_recording_begin(s->rec);
    sto_record_copy(s->rec, &l->e->pieces[c->to->piece], c->to->offset + c->at, &s->buffer, 0, c->bytes);
    const enum sto_status status = sto_recording_finish(s->rec, err);
    return status == STO_OK ? sto_device_submit(l->e->device, s->rec, &s->ticket, err) : status;
}

static struct slot *oldest_copy(struct load *l, uint32_t *n)
{
    struct slot *oldest = NULL;
    *n = 0;
    for (int i = 0; i < N_SLOTS; i++) {
        struct slot *s = &l->slots[i];
        if (s->state != SLOT_COPYING)
            continue;
        *n += 1;
        if (oldest == NULL || s->ticket < oldest->ticket)
            oldest = s;
    }
    return oldest;
}

/* One thing that moves the load on: a copy begun, a copy awaited, or else a reader awaited. Called and left with the
 * lock held. */
static enum sto_status advance(struct load *l, struct sto_error *err)
{
    uint32_t n_copying = 0;
    struct slot *full = find_slot(l, SLOT_FULL), *copying = oldest_copy(l, &n_copying);
    enum sto_status status = STO_OK;
    if (full != NULL && n_copying < MAX_COPYING) {
        sto_mutex_unlock(l->lock);
        status = copy_slot(l, full, err);
        sto_mutex_lock(l->lock);
        full->state = status == STO_OK ? SLOT_COPYING : SLOT_FREE;
    } else if (copying != NULL) {
        sto_mutex_unlock(l->lock);
        status = sto_device_wait(l->e->device, copying->ticket, err);
        sto_mutex_lock(l->lock);
        copying->state = SLOT_FREE;
        l->done += copying->chunk.bytes;
        sto_cond_broadcast(l->changed);
    } else {
        sto_cond_wait(l->changed, l->lock);
    }
    return status;
}

static enum sto_status run_load(struct load *l, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    uint64_t shown = 0;
    sto_mutex_lock(l->lock);
    while (status == STO_OK && l->status == STO_OK && l->done < l->total) {
        const uint64_t done = l->done;
        if (done != shown) {
            shown = done;
            sto_mutex_unlock(l->lock);
            const bool cancelled = sto_progress(l->callbacks, "weights", done, l->total);
            sto_mutex_lock(l->lock);
            if (cancelled)
                status = sto_fail(err, STO_ERR_CANCELLED, "loading was cancelled");
        } else {
            status = advance(l, err);
        }
    }
    l->stop = true;
    sto_cond_broadcast(l->changed);
    sto_mutex_unlock(l->lock);
    return status;
}

/* ---- what is small ---- */

static enum sto_status load_vector(struct load *l, const struct sto_model_weight *w, const struct sto_weight *d,
                                   uint8_t *room, struct sto_error *err)
{
    const struct sto_model *m = l->e->model;
    float *values = (float *)(void *)(room + CHUNK_BYTES / 2);
    if ((uint64_t)w->cols * sizeof(float) > CHUNK_BYTES / 2)
        return sto_fail(err, STO_ERR_MODEL, "%s: tensor '%s' has %u elements, more than a vector may have", m->path,
                        w->name, w->cols);
    const enum sto_status status = m->vtable->read_weight(m, w, 0, room, (size_t)w->bytes, err);
    if (status != STO_OK)
        return status;
    sto_decode(w->type, room, values, w->cols);
    l->done += w->bytes;
    return sto_upload(l->e->uploader, &l->e->pieces[0], d->offset, values, w->cols * sizeof(float), err);
}

static enum sto_status load_vectors(struct load *l, uint8_t *room, struct sto_error *err)
{
    struct sto_engine *e = l->e;
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < e->model->n_weights && status == STO_OK; i++) {
        const struct sto_model_weight *w = &e->model->weights[i];
        struct sto_weight *d = &e->weights.weights[sto_device_weight_index(w->role, w->layer)];
        d->address = sto_weights_piece_address(e, d->piece) + d->offset;
        if (sto_weight_is_vector(w))
            status = load_vector(l, w, d, room, err);
    }
    return status;
}

static enum sto_status load_tables(struct load *l, uint8_t *room, struct sto_error *err)
{
    struct sto_engine *e = l->e;
    uint64_t *addresses = (uint64_t *)(void *)room;
    for (uint32_t p = 0; p < e->n_pieces; p++)
        addresses[p] = sto_weights_piece_address(e, p);
    const enum sto_status status =
        sto_upload(e->uploader, &e->piece_table, 0, addresses, e->n_pieces * sizeof *addresses, err);
    e->rope_freqs = e->pieces[0].address;
    return status != STO_OK ? status
                            : sto_upload(e->uploader, &e->pieces[0], 0, e->model->rope_freqs,
                                         e->model->h.rope_dims / 2 * sizeof(float), err);
}

static enum sto_status load_small(struct load *l, struct sto_error *err)
{
    uint8_t *room = sto_calloc(1, CHUNK_BYTES);
    if (room == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a reading buffer of %d bytes", (int)CHUNK_BYTES);
    enum sto_status status = load_tables(l, room, err);
    if (status == STO_OK)
        status = load_vectors(l, room, err);
    if (status == STO_OK)
        status = sto_upload_finish(l->e->uploader, err);
    sto_free(room);
    return status;
}

/* ---- models without a file ---- */

static enum sto_status fill_matrices(struct load *l, struct sto_error *err)
{
    const struct sto_model *m = l->e->model;
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < m->n_weights && status == STO_OK; i++) {
        const struct sto_model_weight *w = &m->weights[i];
        const struct sto_weight *d = &l->e->weights.weights[sto_device_weight_index(w->role, w->layer)];
        if (sto_weight_is_vector(w) || !is_ours(l->e, w))
            continue;
        status = sto_random_fill(l->e->batch, &l->e->pieces[d->piece], d->offset, w->bytes, &m->random[i].block,
                                 m->random[i].seed, err);
        l->done += w->bytes;
        if (status == STO_OK && sto_progress(l->callbacks, "weights", l->done, l->total))
            status = sto_fail(err, STO_ERR_CANCELLED, "loading was cancelled");
    }
    return status;
}

/* ---- all of it ---- */

static enum sto_status read_matrices(struct load *l, struct sto_error *err)
{
    struct sto_thread *readers[MAX_READERS] = {NULL};
    const unsigned cpus = sto_cpu_count();
    uint32_t n = 0;
    for (uint32_t i = 0; i < MAX_READERS && i < (cpus < 2 ? 2 : cpus); i++)
        n += (readers[i] = sto_thread_start(read_chunks, l)) != NULL;
    enum sto_status status =
        n > 0 ? run_load(l, err) : sto_fail(err, STO_ERR_FAILED, "no thread could be started for loading");
    for (uint32_t i = 0; i < MAX_READERS; i++)
        sto_thread_join(readers[i]);
    if (status == STO_OK && l->status != STO_OK) {
        status = l->status;
        if (err != NULL)
            *err = l->err;
    }
    if (status == STO_OK && sto_progress(l->callbacks, "weights", l->total, l->total))
        status = sto_fail(err, STO_ERR_CANCELLED, "loading was cancelled");
    return status;
}

static enum sto_status open_load(struct load *l, struct sto_error *err)
{
    const struct sto_engine *e = l->e;
    l->lock = sto_mutex_create();
    l->changed = sto_cond_create();
    if (l->lock == NULL || l->changed == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for loading");
    for (uint32_t p = 0; p < e->n_pieces; p++)
        l->staged = l->staged || (e->pieces[p].bytes != 0 && e->pieces[p].mapped == NULL && e->model->random == NULL);
    for (uint32_t i = 0; i < e->model->n_weights; i++)
        l->total += is_ours(e, &e->model->weights[i]) ? e->model->weights[i].bytes : 0;
    enum sto_status status = STO_OK;
    for (int i = 0; l->staged && i < N_SLOTS && status == STO_OK; i++) {
        status = sto_buffer_create(e->device, STO_MEMORY_UPLOAD, CHUNK_BYTES, "staging", &l->slots[i].buffer, err);
        if (status == STO_OK)
            status = sto_recording_create(e->device, &l->slots[i].rec, err);
    }
    return status;
}

static void close_load(struct load *l)
{
    for (int i = 0; i < N_SLOTS; i++) {
        sto_recording_destroy(l->slots[i].rec); /* waits for its copy */
        sto_buffer_destroy(l->e->device, &l->slots[i].buffer);
    }
    sto_cond_destroy(l->changed);
    sto_mutex_destroy(l->lock);
}

enum sto_status sto_weights_load(struct sto_engine *e, const struct sto_callbacks *callbacks, struct sto_error *err)
{
    struct load l = {.e = e, .callbacks = callbacks};
    enum sto_status status = open_load(&l, err);
    if (status == STO_OK)
        status = load_small(&l, err);
    if (status == STO_OK)
        status = e->model->random != NULL ? fill_matrices(&l, err) : read_matrices(&l, err);
    close_load(&l);
    return status;
}

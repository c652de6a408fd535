/* Weights from the file to where they belong, read by several threads.
 *
 *   reader threads  --read-->  memory of the cpu lane; mapped device memory (CPU drivers, integrated GPUs, ReBAR)
 *   reader threads  --read-->  a ring of staging slots  --copy-->  device memory     (elsewhere; this thread submits)
 *   random bits, made by a kernel for device memory, else by the readers             (models without a file)
 *
 * Reading goes through the file, not a map: a file that shrinks under us is then an error and not a signal, and the
 * page cache does not count as ours. Vectors are few and small: this thread decodes and uploads them first. */
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/cpu_lane.h"
#include "runtime/engine.h"
#include "runtime/formats/formats.h"

enum { CHUNK_BYTES = 8 << 20, LEAST_CHUNK_BYTES = 256 << 10, MAX_SLOTS = 6, MAX_READERS = 4, MAX_COPYING = 2 };

struct chunk {
    const struct sto_model_weight *weight;
    uint64_t at; /* bytes from the weight's beginning */
    size_t bytes;
};

enum slot_state { SLOT_FREE, SLOT_READING, SLOT_FULL, SLOT_COPYING };

struct slot {
    enum slot_state state;
    struct chunk chunk;
    struct sto_buffer buffer; /* upload memory of a chunk      */
    struct sto_recording *rec;
    uint64_t ticket;          /* of the copy, when SLOT_COPYING */
};

struct load {
    struct sto_engine *e;
    const struct sto_device_weights *cpu; /* where the processor has them; NULL: it has none */
    const struct sto_callbacks *callbacks;
    struct sto_mutex *lock;    /* guards what follows */
    struct sto_cond *changed;
    uint32_t weight;           /* the next chunk: of this weight, */
    uint64_t at;               /* from here                       */
    uint64_t done, total;      /* bytes */
    uint32_t n_readers;        /* 0: no thread could be started, this one reads */
    bool stop;                 /* readers end after their present chunk */
    enum sto_status status;    /* the first reader's failure */
    struct sto_error err;
    struct slot slots[MAX_SLOTS];
    uint32_t n_slots;          /* 0: all that is read goes where it belongs at once */
    uint64_t chunk_bytes;
};

/* ---- which ---- */

/* The processor's copy, in the cpu lane's memory; NULL: it has none, or finds that of the device. */
static uint8_t *on_cpu(const struct load *l, const struct sto_model_weight *w)
{
    const uint32_t i = sto_device_weight_index(w->role, w->layer);
    const bool layer = w->role >= STO_W_FIRST_OF_LAYER && l->e->device != NULL;
    if (layer && l->e->lanes[w->layer] == STO_LANE_PHASED && !sto_weight_is_vector(w))
        return NULL;
    return l->cpu != NULL ? (uint8_t *)(uintptr_t)l->cpu->weights[i].address : NULL;
}

static struct sto_weight *on_device(const struct load *l, const struct sto_model_weight *w)
{
    return &l->e->weights.weights[sto_device_weight_index(w->role, w->layer)];
}

static const struct sto_buffer *piece_of(const struct load *l, const struct sto_model_weight *w)
{
    return &l->e->pieces[on_device(l, w)->piece];
}

/* All that is not read from disk in every pass. The device has vectors of all layers; a matrix is in one place. */
static bool is_loaded(const struct load *l, const struct sto_model_weight *w)
{
    return on_cpu(l, w) != NULL || !sto_piece_is_on_disk(piece_of(l, w));
}

/* Whether it is a matrix that readers bring: random ones are made on the device where they lie in its reach. */
static bool is_read(const struct load *l, const struct sto_model_weight *w)
{
    if (sto_weight_is_vector(w) || !is_loaded(l, w))
        return false;
    return on_cpu(l, w) != NULL || l->e->model->random == NULL || piece_of(l, w)->impl == NULL;
}

/* Where it can be written; NULL: only the device can. */
static uint8_t *mapped_at(const struct load *l, const struct sto_model_weight *w)
{
    uint8_t *there = on_cpu(l, w);
    if (there == NULL && piece_of(l, w)->mapped != NULL)
        there = (uint8_t *)piece_of(l, w)->mapped + on_device(l, w)->offset;
    return there;
}

/* ---- readers ---- */

/* The next chunk of the matrices, in the file's order as far as the model lists them so. False: there is none left. */
static bool next_chunk(struct load *l, struct chunk *c)
{
    const struct sto_model *m = l->e->model;
    while (l->weight < m->n_weights &&
           (!is_read(l, &m->weights[l->weight]) || l->at == m->weights[l->weight].bytes)) {
        l->weight++;
        l->at = 0;
    }
    if (l->weight == m->n_weights)
        return false;
    c->weight = &m->weights[l->weight];
    c->at = l->at;
    c->bytes = (size_t)(c->weight->bytes - l->at < l->chunk_bytes ? c->weight->bytes - l->at : l->chunk_bytes);
    l->at += c->bytes;
    return true;
}

static struct slot *find_slot(struct load *l, enum slot_state state)
{
    for (uint32_t i = 0; i < l->n_slots; i++) {
        if (l->slots[i].state == state)
            return &l->slots[i];
    }
    return NULL;
}

/* Reads the next chunk, if there is a place for it; the lock is held but for the reading itself. False: there is no
 * chunk left. */
static bool read_one(struct load *l)
{
    const struct sto_model *m = l->e->model;
    struct slot *slot = find_slot(l, SLOT_FREE);
    struct chunk c;
    if (l->n_slots > 0 && slot == NULL) {
        sto_cond_wait(l->changed, l->lock);
        return true;
    }
    if (!next_chunk(l, &c))
        return false;
    uint8_t *const mapped = mapped_at(l, c.weight);
    slot = mapped == NULL ? slot : NULL;
    uint8_t *dst = slot != NULL ? slot->buffer.mapped : mapped + c.at;
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
    return true;
}

/* A reader's whole life. */
static void read_chunks(void *arg)
{
    struct load *l = arg;
    sto_mutex_lock(l->lock);
    while (!l->stop && l->status == STO_OK && read_one(l))
        ;
    sto_mutex_unlock(l->lock);
}

/* ---- this thread: copies, progress, cancelling ---- */

static enum sto_status copy_slot(struct load *l, struct slot *s, struct sto_error *err)
{
    const struct chunk *c = &s->chunk;
    sto_recording_begin(s->rec);
    sto_record_copy(s->rec, piece_of(l, c->weight), on_device(l, c->weight)->offset + c->at, &s->buffer, 0, c->bytes);
    const enum sto_status status = sto_recording_finish(s->rec, err);
    return status == STO_OK ? sto_device_submit(l->e->device, s->rec, &s->ticket, err) : status;
}

static struct slot *oldest_copy(struct load *l, uint32_t *n)
{
    struct slot *oldest = NULL;
    *n = 0;
    for (uint32_t i = 0; i < l->n_slots; i++) {
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
    } else if (l->n_readers == 0) {
        (void)read_one(l);
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

static enum sto_status load_vector(struct load *l, const struct sto_model_weight *w, uint8_t *room,
                                   struct sto_error *err)
{
    const struct sto_model *m = l->e->model;
    float *values = (float *)(void *)(room + CHUNK_BYTES / 2);
    const uint64_t bytes = (uint64_t)w->cols * sizeof *values;
    if (bytes > CHUNK_BYTES / 2)
        return sto_fail(err, STO_ERR_MODEL, "%s: tensor '%s' has %u elements, more than a vector may have", m->path,
                        w->name, w->cols);
    const enum sto_status status = m->vtable->read_weight(m, w, 0, room, (size_t)w->bytes, err);
    if (status != STO_OK)
        return status;
    sto_decode(w->type, room, values, w->cols);
    if (on_cpu(l, w) != NULL)
        memcpy(on_cpu(l, w), values, (size_t)bytes);
    l->done += w->bytes;
    return l->e->device == NULL ? STO_OK : sto_upload(l->e->uploader, piece_of(l, w), on_device(l, w)->offset, values,
                                                      bytes, err);
}

static enum sto_status load_vectors(struct load *l, uint8_t *room, struct sto_error *err)
{
    const struct sto_model *m = l->e->model;
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < m->n_weights && status == STO_OK; i++) {
        if (sto_weight_is_vector(&m->weights[i]))
            status = load_vector(l, &m->weights[i], room, err);
    }
    return status;
}

static enum sto_status load_tables(struct load *l, uint8_t *room, struct sto_error *err)
{
    struct sto_engine *e = l->e;
    uint64_t *addresses = (uint64_t *)(void *)room;
    for (uint32_t p = 0; p < e->n_pieces; p++)
        addresses[p] = sto_weights_piece_address(e, p);
    for (uint32_t i = 0; i < e->model->n_weights; i++) {
        struct sto_weight *d = on_device(l, &e->model->weights[i]);
        d->address = addresses[d->piece] + d->offset;
    }
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
    enum sto_status status = l->e->device != NULL ? load_tables(l, room, err) : STO_OK;
    if (status == STO_OK)
        status = load_vectors(l, room, err);
    if (status == STO_OK && l->e->device != NULL)
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
        if (sto_weight_is_vector(w) || !is_loaded(l, w) || is_read(l, w))
            continue;
        status = sto_random_fill(l->e->batch, piece_of(l, w), on_device(l, w)->offset, w->bytes, &m->random[i].block,
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
    const uint32_t wanted = cpus < 2 ? 2 : cpus;
    for (uint32_t i = 0; i < MAX_READERS && i < wanted; i++)
        l->n_readers += (readers[i] = sto_thread_start(read_chunks, l)) != NULL;
    enum sto_status status = run_load(l, err);
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

/* As many as the budget of host memory has room for; one at least. */
static enum sto_status create_slots(struct load *l, struct sto_error *err)
{
    const struct sto_engine *e = l->e;
    const uint64_t room = e->load_bytes / CHUNK_BYTES;
    enum sto_status status = STO_OK;
    l->n_slots = room < 1 ? 1 : room < MAX_SLOTS ? (uint32_t)room : MAX_SLOTS;
    while (l->chunk_bytes > LEAST_CHUNK_BYTES && l->chunk_bytes > e->load_bytes)
        l->chunk_bytes /= 2;
    for (uint32_t i = 0; i < l->n_slots && status == STO_OK; i++) {
        status = sto_buffer_create(e->device, STO_MEMORY_UPLOAD, l->chunk_bytes, "staging", &l->slots[i].buffer, err);
        if (status == STO_OK)
            status = sto_recording_create(e->device, &l->slots[i].rec, err);
    }
    return status;
}

static enum sto_status open_load(struct load *l, struct sto_error *err)
{
    const struct sto_engine *e = l->e;
    l->lock = sto_mutex_create();
    l->changed = sto_cond_create();
    if (l->lock == NULL || l->changed == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for loading");
    bool staged = false;
    for (uint32_t i = 0; i < e->model->n_weights; i++) {
        const struct sto_model_weight *w = &e->model->weights[i];
        l->total += is_loaded(l, w) ? w->bytes : 0;
        staged = staged || (is_read(l, w) && mapped_at(l, w) == NULL);
    }
    return staged ? create_slots(l, err) : STO_OK;
}

static void close_load(struct load *l)
{
    for (uint32_t i = 0; i < l->n_slots; i++) {
        sto_recording_destroy(l->slots[i].rec); /* waits for its copy */
        sto_buffer_destroy(l->e->device, &l->slots[i].buffer);
    }
    sto_cond_destroy(l->changed);
    sto_mutex_destroy(l->lock);
}

enum sto_status sto_weights_load(struct sto_engine *e, const struct sto_callbacks *callbacks, struct sto_error *err)
{
    struct load l = {.e = e, .callbacks = callbacks, .chunk_bytes = CHUNK_BYTES,
                     .cpu = e->cpu_lane != NULL ? sto_cpu_lane_weights(e->cpu_lane) : NULL};
    enum sto_status status = open_load(&l, err);
    if (status == STO_OK)
        status = load_small(&l, err);
    if (status == STO_OK && e->model->random != NULL)
        status = fill_matrices(&l, err);
    if (status == STO_OK)
        status = read_matrices(&l, err);
    close_load(&l);
    return status;
}

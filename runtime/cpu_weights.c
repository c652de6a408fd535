/* Planning the slab, and filling it in chunks. */
#include "runtime/cpu_weights.h"

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/engine.h"
#include "runtime/formats/formats.h"

/* Products read whole words, up to the tail behind the last row. */
enum { ALIGNMENT = 32, TAIL_BYTES = 256, CHUNK_BYTES = 8 << 20, MAX_READERS = 4 };

struct reading {
    const struct sto_model *model;
    const enum sto_lane *lanes;
    struct sto_cpu_weights *to;
    struct sto_mutex *lock;  /* guards what follows */
    uint32_t weight;         /* the next chunk: of this weight, */
    uint64_t at;             /* from here                       */
    uint64_t done, total;    /* bytes of the file */
    enum sto_status status;  /* the first failure: everybody ends after their present chunk */
    struct sto_error err;
};

struct chunk {
    uint32_t weight;
    uint64_t at;
    size_t bytes;
};

static bool is_here(const struct reading *r, const struct sto_model_weight *w)
{
    return r->lanes == NULL || (w->role >= STO_W_FIRST_OF_LAYER && r->lanes[w->layer] == STO_LANE_CPU);
}

static uint64_t address_of(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

/* ---- the slab ---- */

static enum sto_status create_slab(struct reading *r, struct sto_error *err)
{
    const struct sto_model *m = r->model;
    struct sto_weight *table = sto_calloc(sto_device_weight_index(STO_W_FIRST_OF_LAYER, m->h.n_layers), sizeof *table);
    uint64_t bytes = 0;
    r->to->table.weights = table;
    if (table == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: no memory for the table of weights", m->path);
    for (uint32_t i = 0; i < m->n_weights; i++) {
        const struct sto_model_weight *w = &m->weights[i];
        const bool vector = sto_weight_is_vector(w);
        if (!is_here(r, w))
            continue;
        table[sto_device_weight_index(w->role, w->layer)] = (struct sto_weight){
            .type = vector ? STO_TYPE_F32 : w->type, .rows = w->rows, .cols = w->cols, .offset = bytes};
        bytes += vector ? (uint64_t)w->cols * sizeof(float) : w->bytes;
        bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        r->total += w->bytes;
    }
    const bool possible = bytes <= SIZE_MAX - TAIL_BYTES - ALIGNMENT;
    r->to->slab = possible ? sto_calloc(1, (size_t)bytes + TAIL_BYTES + ALIGNMENT) : NULL;
    if (r->to->slab == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: no memory for %.1f MiB of weights", m->path,
                        (double)bytes / (1 << 20));
    sto_memory_want_large_pages(r->to->slab, bytes + TAIL_BYTES);
    const uint64_t begin = (address_of(r->to->slab) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    for (uint32_t i = 0; i < m->n_weights; i++) {
        struct sto_weight *w = &table[sto_device_weight_index(m->weights[i].role, m->weights[i].layer)];
        if (is_here(r, &m->weights[i]))
            w->address = w->offset = begin + w->offset;
    }
    return STO_OK;
}

/* ---- chunks ---- */

/* A vector is one chunk. */
static bool next_chunk(struct reading *r, struct chunk *c)
{
    const struct sto_model *m = r->model;
    while (r->weight < m->n_weights && (!is_here(r, &m->weights[r->weight]) || r->at == m->weights[r->weight].bytes)) {
        r->weight++;
        r->at = 0;
    }
    if (r->weight == m->n_weights || r->status != STO_OK)
        return false;
    const uint64_t left = m->weights[r->weight].bytes - r->at;
    const bool whole = left < CHUNK_BYTES || sto_weight_is_vector(&m->weights[r->weight]);
    *c = (struct chunk){.weight = r->weight, .at = r->at, .bytes = whole ? (size_t)left : CHUNK_BYTES};
    r->at += c->bytes;
    return true;
}

static enum sto_status read_vector(const struct sto_model *m, const struct sto_model_weight *w, float *dst,
                                   struct sto_error *err)
{
    uint8_t *raw = sto_calloc(1, (size_t)w->bytes);
    if (raw == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: no memory for tensor '%s'", m->path, w->name);
    const enum sto_status status = m->vtable->read_weight(m, w, 0, raw, (size_t)w->bytes, err);
    if (status == STO_OK)
        sto_decode(w->type, raw, dst, w->cols);
    sto_free(raw);
    return status;
}

static enum sto_status fill(const struct reading *r, const struct chunk *c, struct sto_error *err)
{
    const struct sto_model *m = r->model;
    const struct sto_model_weight *w = &m->weights[c->weight];
    const struct sto_weight *to = &r->to->table.weights[sto_device_weight_index(w->role, w->layer)];
    uint8_t *dst = (uint8_t *)(uintptr_t)to->address + c->at;
    if (sto_weight_is_vector(w))
        return read_vector(m, w, (float *)(void *)dst, err);
    if (m->random == NULL)
        return m->vtable->read_weight(m, w, c->at, dst, c->bytes, err);
    sto_random_bytes(&m->random[c->weight].block, m->random[c->weight].seed, c->at, dst, c->bytes);
    return STO_OK;
}

/* One chunk from beginning to end; false: there is none left. Called and left with the lock held. */
static bool read_one(struct reading *r)
{
    struct chunk c;
    struct sto_error err;
    if (!next_chunk(r, &c))
        return false;
    sto_mutex_unlock(r->lock);
    const enum sto_status status = fill(r, &c, &err);
    sto_mutex_lock(r->lock);
    r->done += c.bytes;
    if (status != STO_OK && r->status == STO_OK) {
        r->status = status;
        r->err = err;
    }
    return true;
}

static void read_on(void *arg)
{
    struct reading *r = arg;
    sto_mutex_lock(r->lock);
    while (read_one(r))
        ;
    sto_mutex_unlock(r->lock);
}

/* This thread reads like the others, and tells how far they are. */
static void read_and_tell(struct reading *r, const struct sto_callbacks *callbacks)
{
    bool more = true;
    while (more) {
        sto_mutex_lock(r->lock);
        more = read_one(r);
        const uint64_t done = r->done;
        sto_mutex_unlock(r->lock);
        if (!more || !sto_progress(callbacks, "weights", done, r->total))
            continue;
        sto_mutex_lock(r->lock);
        if (r->status == STO_OK)
            r->status = sto_fail(&r->err, STO_ERR_CANCELLED, "loading was cancelled");
        sto_mutex_unlock(r->lock);
    }
}

/* ---- all of it ---- */

enum sto_status sto_cpu_weights_load(const struct sto_model *model, const enum sto_lane *lanes,
                                     const struct sto_callbacks *callbacks, struct sto_cpu_weights *out,
                                     struct sto_error *err)
{
    struct reading r = {.model = model, .lanes = lanes, .to = out};
    struct sto_thread *readers[MAX_READERS] = {NULL};
    enum sto_status status = create_slab(&r, err);
    if (status != STO_OK)
        return status;
    r.lock = sto_mutex_create();
    if (r.lock == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for loading");
    for (uint32_t i = 0; i < MAX_READERS && i + 1 < sto_cpu_count(); i++)
        readers[i] = sto_thread_start(read_on, &r); /* where there is none, this one does it all */
    read_and_tell(&r, callbacks);
    for (uint32_t i = 0; i < MAX_READERS; i++)
        sto_thread_join(readers[i]);
    sto_mutex_destroy(r.lock);
    if (r.status == STO_OK && sto_progress(callbacks, "weights", r.total, r.total))
        return sto_fail(err, STO_ERR_CANCELLED, "loading was cancelled");
    if (r.status != STO_OK && err != NULL)
        *err = r.err;
    return r.status;
}

uint64_t sto_cpu_weights_bytes(const struct sto_model *model, uint32_t first_layer, uint32_t n_layers)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < model->n_weights; i++) {
        const struct sto_model_weight *w = &model->weights[i];
        if (w->role >= STO_W_FIRST_OF_LAYER && w->layer >= first_layer && w->layer - first_layer < n_layers)
            bytes += w->bytes;
    }
    return bytes;
}

double sto_cpu_weights_elements(const struct sto_model *model, uint32_t layer)
{
    double elements = 0;
    for (uint32_t i = 0; i < model->n_weights; i++) {
        const struct sto_model_weight *w = &model->weights[i];
        if (w->role >= STO_W_FIRST_OF_LAYER && w->layer == layer)
            elements += (double)w->rows * w->cols;
    }
    return elements;
}

void sto_cpu_weights_destroy(struct sto_cpu_weights *weights)
{
    sto_free(weights->table.weights);
    sto_free(weights->slab);
    *weights = (struct sto_cpu_weights){0};
}

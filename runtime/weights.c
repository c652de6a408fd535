/* Weights onto the device.
 *
 *   file --read--> mapped device memory                      (CPU drivers, integrated GPUs, ReBAR)
 *   file --read--> chunk --staging ring--> device memory     (elsewhere)
 *   random bits, made by a kernel                            (models without a file)
 *
 * Pieces: 0 holds every vector as f32 (norms, biases, RoPE frequencies: small, and pushed by address); then one piece
 * per matrix outside the layers; then one per layer. Reading goes through the file, not a map: a file that shrinks
 * under us is then an error and not a signal, and the page cache does not count as ours. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/engine.h"
#include "runtime/formats/formats.h"

enum { SLAB_ALIGNMENT = 256, SLAB_TAIL_BYTES = 256, CHUNK_BYTES = 8 << 20 };

static uint64_t align_slab(uint64_t n)
{
    return (n + SLAB_ALIGNMENT - 1) & ~(uint64_t)(SLAB_ALIGNMENT - 1);
}

static bool is_vector(const struct sto_model_weight *w)
{
    return w->rows == 1 && w->role != STO_W_TOKEN_EMBD && w->role != STO_W_OUTPUT;
}

/* Piece 1 is the embedding, 2 the output matrix, 3 + i layer i. */
static uint32_t piece_of(const struct sto_model_weight *w)
{
    if (is_vector(w))
        return 0;
    if (w->role == STO_W_TOKEN_EMBD)
        return 1;
    return w->role == STO_W_OUTPUT ? 2 : 3 + w->layer;
}

uint32_t sto_weights_count_pieces(const struct sto_model *model)
{
    return 3 + model->h.n_layers;
}

enum sto_status sto_weights_plan(struct sto_engine *e, uint64_t *piece_bytes, struct sto_error *err)
{
    const struct sto_model *m = e->model;
    const size_t slots = sto_device_weight_index(STO_W_FIRST_OF_LAYER, m->h.n_layers);
    e->weights.weights = sto_calloc(slots, sizeof *e->weights.weights);
    if (e->weights.weights == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for the table of %zu weights", slots);
    memset(piece_bytes, 0, e->n_pieces * sizeof *piece_bytes);
    piece_bytes[0] = align_slab((uint64_t)m->h.rope_dims / 2 * sizeof(float)); /* the frequencies come first */
    for (uint32_t i = 0; i < m->n_weights; i++) {
        const struct sto_model_weight *w = &m->weights[i];
        const uint32_t piece = piece_of(w);
        struct sto_weight *d = &e->weights.weights[sto_device_weight_index(w->role, w->layer)];
        *d = (struct sto_weight){.type = is_vector(w) ? STO_TYPE_F32 : w->type, .piece = piece, .rows = w->rows,
                                 .cols = w->cols, .offset = piece_bytes[piece]};
        const uint64_t bytes = is_vector(w) ? (uint64_t)w->cols * sizeof(float) : w->bytes;
        piece_bytes[piece] = align_slab(piece_bytes[piece] + bytes);
    }
    for (uint32_t p = 0; p < e->n_pieces; p++) {
        if (piece_bytes[p] != 0)
            piece_bytes[p] += SLAB_TAIL_BYTES; /* a wide load at the end of the last row stays inside */
    }
    return STO_OK;
}

/* ---- reading ---- */

struct load {
    struct sto_engine *e;
    const struct sto_callbacks *callbacks;
    uint8_t *chunk; /* CHUNK_BYTES */
    uint64_t done, total;
};

static enum sto_status report(struct load *l, uint64_t bytes, struct sto_error *err)
{
    l->done += bytes;
    if (sto_progress(l->callbacks, "weights", l->done, l->total))
        return sto_fail(err, STO_ERR_CANCELLED, "loading was cancelled");
    return STO_OK;
}

static enum sto_status load_matrix(struct load *l, const struct sto_model_weight *w, const struct sto_weight *d,
                                   struct sto_error *err)
{
    const struct sto_buffer *piece = &l->e->pieces[d->piece];
    const struct sto_model *m = l->e->model;
    enum sto_status status = STO_OK;
    for (uint64_t at = 0; at < w->bytes && status == STO_OK;) {
        const uint64_t left = w->bytes - at;
        const size_t n = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        uint8_t *dst = piece->mapped != NULL ? (uint8_t *)piece->mapped + d->offset + at : l->chunk;
        status = m->vtable->read_weight(m, w, at, dst, n, err);
        if (status == STO_OK && piece->mapped == NULL)
            status = sto_upload(l->e->uploader, piece, d->offset + at, l->chunk, n, err);
        if (status == STO_OK)
            status = report(l, n, err);
        at += n;
    }
    return status;
}

/* Matrix i of a model without a file. */
static enum sto_status fill_matrix(struct load *l, uint32_t i, const struct sto_weight *d, struct sto_error *err)
{
    const struct sto_random_weight *r = &l->e->model->random[i];
    const uint64_t bytes = l->e->model->weights[i].bytes;
    const enum sto_status status =
        sto_random_fill(l->e->batch, &l->e->pieces[d->piece], d->offset, bytes, &r->block, r->seed, err);
    return status == STO_OK ? report(l, bytes, err) : status;
}

static enum sto_status load_vector(struct load *l, const struct sto_model_weight *w, const struct sto_weight *d,
                                   struct sto_error *err)
{
    const struct sto_model *m = l->e->model;
    float *values = (float *)(void *)(l->chunk + CHUNK_BYTES / 2);
    if ((uint64_t)w->cols * sizeof(float) > CHUNK_BYTES / 2)
        return sto_fail(err, STO_ERR_MODEL, "%s: tensor '%s' has %u elements, more than a vector may have", m->path,
                        w->name, w->cols);
    enum sto_status status = m->vtable->read_weight(m, w, 0, l->chunk, (size_t)w->bytes, err);
    if (status != STO_OK)
        return status;
    sto_decode(w->type, l->chunk, values, w->cols);
    status = sto_upload(l->e->uploader, &l->e->pieces[0], d->offset, values, w->cols * sizeof(float), err);
    return status == STO_OK ? report(l, w->bytes, err) : status;
}

static enum sto_status load_tables(struct load *l, struct sto_error *err)
{
    struct sto_engine *e = l->e;
    uint64_t *addresses = (uint64_t *)(void *)l->chunk;
    for (uint32_t p = 0; p < e->n_pieces; p++)
        addresses[p] = e->pieces[p].address;
    enum sto_status status =
        sto_upload(e->uploader, &e->piece_table, 0, addresses, e->n_pieces * sizeof *addresses, err);
    if (status == STO_OK)
        status = sto_upload(e->uploader, &e->pieces[0], 0, e->model->rope_freqs,
                            e->model->h.rope_dims / 2 * sizeof(float), err);
    e->rope_freqs = e->pieces[0].address;
    return status;
}

enum sto_status sto_weights_load(struct sto_engine *e, const struct sto_callbacks *callbacks, struct sto_error *err)
{
    const struct sto_model *m = e->model;
    struct load l = {.e = e, .callbacks = callbacks};
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < m->n_weights; i++)
        l.total += m->weights[i].bytes;
    l.chunk = sto_calloc(1, CHUNK_BYTES);
    if (l.chunk == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a reading buffer of %d bytes", CHUNK_BYTES);
    status = load_tables(&l, err);
    for (uint32_t i = 0; i < m->n_weights && status == STO_OK; i++) {
        const struct sto_model_weight *w = &m->weights[i];
        struct sto_weight *d = &e->weights.weights[sto_device_weight_index(w->role, w->layer)];
        d->address = e->pieces[d->piece].address + d->offset;
        if (is_vector(w))
            status = load_vector(&l, w, d, err);
        else
            status = m->random != NULL ? fill_matrix(&l, i, d, err) : load_matrix(&l, w, d, err);
    }
    if (status == STO_OK)
        status = sto_upload_finish(e->uploader, err);
    sto_free(l.chunk);
    return status;
}

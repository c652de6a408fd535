/* Parts of a piece as it lies in memory, read from the model whenever they are needed. */
#include <string.h>

#include "runtime/engine.h"

bool sto_piece_is_on_disk(const struct sto_buffer *piece)
{
    return piece->bytes > 0 && piece->impl == NULL && piece->mapped == NULL;
}

/* The part of weight w that lies in [at, at + bytes) of its piece; gaps between weights are left as they are. */
static enum sto_status read_part(const struct sto_engine *e, const struct sto_model_weight *w,
                                 const struct sto_read_chunk *chunk, uint8_t *dst, struct sto_error *err)
{
    const uint64_t begin = e->weights.weights[sto_device_weight_index(w->role, w->layer)].offset;
    const uint64_t end = begin + w->bytes, last = chunk->at + chunk->bytes;
    const uint64_t from = begin > chunk->at ? begin : chunk->at, to = end < last ? end : last;
    const struct sto_model_vtable *v = e->model->vtable;
    if (from >= to)
        return STO_OK;
    const enum sto_status status =
        v->read_weight(e->model, w, from - begin, dst + (from - chunk->at), (size_t)(to - from), err);
    if (status == STO_OK && v->forget_weight != NULL)
        v->forget_weight(e->model, w, from - begin, (size_t)(to - from));
    return status;
}

enum sto_status sto_slab_read(void *engine, const struct sto_read_chunk *chunk, uint8_t *dst, struct sto_error *err)
{
    const struct sto_engine *e = engine;
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < e->model->n_weights && status == STO_OK; i++) {
        const struct sto_model_weight *w = &e->model->weights[i];
        const bool here = e->weights.weights[sto_device_weight_index(w->role, w->layer)].piece == chunk->piece;
        if (here && !sto_weight_is_vector(w))
            status = read_part(e, w, chunk, dst, err);
    }
    return status;
}

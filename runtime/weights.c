/* Where each weight lies on the device; load.c reads them there.
 *
 * Pieces: 0 holds every vector as f32 (norms, biases, RoPE frequencies: small, and pushed by address); then one piece
 * per matrix outside the layers; then one per layer. */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/engine.h"

enum { SLAB_ALIGNMENT = 256, SLAB_TAIL_BYTES = 256, FIRST_LAYER_PIECE = 3 };

static uint64_t align_slab(uint64_t n)
{
    return (n + SLAB_ALIGNMENT - 1) & ~(uint64_t)(SLAB_ALIGNMENT - 1);
}

bool sto_weight_is_vector(const struct sto_model_weight *w)
{
    return w->rows == 1 && w->role != STO_W_TOKEN_EMBD && w->role != STO_W_OUTPUT;
}

/* Piece 1 is the embedding, 2 the output matrix, 3 + i layer i. */
static uint32_t piece_of(const struct sto_model_weight *w)
{
    if (sto_weight_is_vector(w))
        return 0;
    if (w->role == STO_W_TOKEN_EMBD)
        return 1;
    return w->role == STO_W_OUTPUT ? 2 : sto_weights_layer_piece(w->layer);
}

uint32_t sto_weights_layer_piece(uint32_t layer)
{
    return FIRST_LAYER_PIECE + layer;
}

uint64_t sto_weights_piece_address(const struct sto_engine *e, uint32_t piece)
{
    const struct sto_buffer *slot = piece < FIRST_LAYER_PIECE ? NULL : e->slot_of[piece - FIRST_LAYER_PIECE];
    return slot != NULL ? slot->address : e->pieces[piece].address;
}

uint32_t sto_weights_count_pieces(const struct sto_model *model)
{
    return FIRST_LAYER_PIECE + model->h.n_layers;
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
        const bool vector = sto_weight_is_vector(w);
        *d = (struct sto_weight){.type = vector ? STO_TYPE_F32 : w->type, .piece = piece, .rows = w->rows,
                                 .cols = w->cols, .offset = piece_bytes[piece]};
        const uint64_t bytes = vector ? (uint64_t)w->cols * sizeof(float) : w->bytes;
        piece_bytes[piece] = align_slab(piece_bytes[piece] + bytes);
    }
    for (uint32_t p = 0; p < e->n_pieces; p++) {
        if (piece_bytes[p] != 0)
            piece_bytes[p] += SLAB_TAIL_BYTES; /* a wide load at the end of the last row stays inside */
    }
    return STO_OK;
}

/* One slab, and a table of what lies where. */
#include "runtime/cpu_weights.h"

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/engine.h"
#include "runtime/host_memory.h"

/* Products read whole words, up to the tail behind the last row. */
enum { ALIGNMENT = 32, TAIL_BYTES = 256 };

static bool is_on_cpu(const enum sto_lane *lanes, const struct sto_model_weight *w)
{
    if (lanes == NULL)
        return true;
    const enum sto_lane lane = w->role >= STO_W_FIRST_OF_LAYER ? lanes[w->layer] : STO_LANE_RESIDENT;
    return lane == STO_LANE_CPU || (lane == STO_LANE_PHASED && sto_weight_is_vector(w));
}

/* In the slab, with the gap behind it. */
static uint64_t room_for(const struct sto_model_weight *w)
{
    const uint64_t bytes = sto_weight_is_vector(w) ? (uint64_t)w->cols * sizeof(float) : w->bytes;
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

enum sto_status sto_cpu_weights_create(const struct sto_model *m, const enum sto_lane *lanes,
                                       struct sto_cpu_weights *out, struct sto_error *err)
{
    struct sto_weight *table = sto_calloc(sto_device_weight_index(STO_W_FIRST_OF_LAYER, m->h.n_layers), sizeof *table);
    *out = (struct sto_cpu_weights){.table.weights = table, .bytes = sto_cpu_weights_room(m, lanes)};
    out->slab = table != NULL ? sto_host_alloc(out->bytes) : NULL;
    if (out->slab == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: no memory for %.1f MiB of weights", m->path,
                        (double)out->bytes / (1 << 20));
    sto_memory_want_large_pages(out->slab, out->bytes);
    uint64_t at = ((uint64_t)(uintptr_t)out->slab + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    for (uint32_t i = 0; i < m->n_weights; i++) {
        const struct sto_model_weight *w = &m->weights[i];
        if (!is_on_cpu(lanes, w))
            continue;
        table[sto_device_weight_index(w->role, w->layer)] = (struct sto_weight){
            .type = sto_weight_is_vector(w) ? STO_TYPE_F32 : w->type,
            .rows = w->rows,
            .cols = w->cols,
            .address = at,
            .offset = at,
        };
        at += room_for(w);
    }
    return STO_OK;
}

uint64_t sto_cpu_weights_room(const struct sto_model *model, const enum sto_lane *lanes)
{
    uint64_t bytes = TAIL_BYTES + ALIGNMENT;
    for (uint32_t i = 0; i < model->n_weights; i++)
        bytes += is_on_cpu(lanes, &model->weights[i]) ? room_for(&model->weights[i]) : 0;
    return bytes;
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
    sto_host_free(weights->slab, weights->bytes);
    *weights = (struct sto_cpu_weights){0};
}

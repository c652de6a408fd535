/* Where an engine's weights lie: the context and the placement that budgets allow, and the memory for both.
 *
 *   device budget - (scratch, logits, tables, KV of the context, matrices outside the layers) = room for layers, ring
 *   host budget - (logits, step blocks) = room for streamed layers and what those that do not fit need (sources.h)
 *
 * The context is chosen so that all weights stay on the device where that is possible at all (fit.h). */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/cpu_lane.h"
#include "runtime/engine.h"
#include "runtime/fit.h"
#include "runtime/host_memory.h"
#include "runtime/placement.h"
#include "runtime/sizes.h"

enum { DEFAULT_RING_SLOTS = 2, DEFAULT_PROMPT = 32 };
enum { EMBEDDING_PIECE = 1, OUTPUT_PIECE = 2 };

static bool embeds_from_host(const struct sto_engine *e, const uint64_t *piece_bytes)
{
    return e->params.host_embedding && piece_bytes[OUTPUT_PIECE] != 0;
}

struct sto_fit_input sto_residency_fit(const struct sto_engine *e, const uint64_t *piece_bytes)
{
    const struct sto_hparams *h = &e->model->h;
    const struct sto_model_vtable *v = e->model->vtable;
    const uint32_t ub = e->info.ubatch_tokens;
    const uint64_t scratch = v->scratch_bytes(e->model, ub, KV_PAGE);
    const uint64_t longer = v->scratch_bytes(e->model, ub, 9 * KV_PAGE);
    struct sto_fit_input in = {
        .kv_bytes_per_token = e->info.kv_bytes_per_token * e->params.n_sequences,
        .fixed_bytes = scratch + 2 * (uint64_t)e->logit_rows * e->logit_stride * sizeof(float) +
                       2 * sto_engine_step_bytes(ub) + 2 * STO_SAMPLE_SCRATCH_OFFSET +
                       sto_op_sample_scratch(h->n_vocab) + STO_OP_COUNTERS * sizeof(uint32_t) +
                       STO_SMALL_BUFFERS_BYTES,
        /* attention's partial results, and a page's address for each sequence */
        .scratch_bytes_per_token = (longer - scratch + 8 * KV_PAGE - 1) / (8 * KV_PAGE) +
                                   (e->n_sequences * sizeof(uint64_t) * h->n_layers + KV_PAGE - 1) / KV_PAGE,
        .trained_tokens = h->n_ctx_train,
        .wanted_tokens = e->params.ctx_tokens,
        .granule_tokens = KV_PAGE,
    };
    for (uint32_t p = 0; p < sto_weights_layer_piece(0); p++)
        in.weight_bytes += piece_bytes[p];
    return in;
}

static void keep_placement(struct sto_engine *e, const struct sto_placement *p, uint64_t outside_bytes)
{
    e->info.streamed_layers = p->n_streamed;
    e->info.streamed_bytes = p->streamed_bytes;
    e->info.cpu_layers = p->n_cpu;
    e->info.cpu_bytes = p->cpu_bytes;
    e->info.phased_layers = p->n_phased;
    e->info.phased_bytes = p->phased_bytes;
    if (p->n_phased > 0)
        e->info.prompt_tokens = e->params.prompt_tokens > 1 ? e->params.prompt_tokens : DEFAULT_PROMPT;
    e->info.ring_slots = p->ring_slots;
    e->info.weight_bytes = outside_bytes + sto_placement_device_bytes(p);
    e->slot_bytes = p->slot_bytes;
}

/* The context for a placement that is settled: layers on the processor have their KV cache in main memory; the device
 * has room for that of one that visits it. */
static enum sto_status fit_context(struct sto_engine *e, struct sto_fit_input in, const struct sto_placement *p,
                                   struct sto_error *err)
{
    const uint32_t n_layers = e->model->h.n_layers;
    in.weight_bytes += sto_placement_device_bytes(p);
    in.kv_bytes_per_token = in.kv_bytes_per_token / n_layers * (n_layers - p->n_cpu + (p->n_phased > 0));
    enum sto_status status = sto_fit_context(&in, &e->info.ctx_tokens, err);
    if (status != STO_OK || p->n_cpu == 0)
        return status;
    const uint64_t buffers = sto_streamed_host_bytes(e, p->n_cpu > 0);
    status = sto_cpu_lane_fit(e, p->n_cpu, buffers + p->streamed_bytes + p->phased_bytes, err);
    if (status == STO_ERR_NO_FIT && p->n_streamed > 0 && p->n_phased == 0) /* these can be read from disk */
        status = sto_cpu_lane_fit(e, p->n_cpu, buffers + STO_SOURCES_LEAST_BYTES, err);
    return status;
}

/* Layers leave the device, since not even a small context fits beside all of them. */
static enum sto_status stream_some(struct sto_engine *e, const struct sto_fit_input *in,
                                   struct sto_placement_input *layers, struct sto_placement *p, struct sto_error *err)
{
    const uint32_t ctx = sto_fit_smallest(in);
    const uint64_t others = sto_fit_bytes(in, ctx), available = in->available_bytes;
    layers->room_bytes = available > others ? available - others : 0;
    e->info.ctx_tokens = ctx;
    if (sto_placement_make(layers, p, NULL) == STO_OK)
        return STO_OK;
    return sto_fit_refuse(in, p->slot_bytes, err);
}

enum sto_status sto_residency_choose(struct sto_engine *e, const uint64_t *piece_bytes, struct sto_error *err)
{
    const uint32_t n_layers = e->model->h.n_layers;
    struct sto_fit_input in = sto_residency_fit(e, piece_bytes);
    enum sto_copy_body body = STO_COPY_AUTO;
    struct sto_placement p = {0};
    struct sto_placement_input layers = {
        .layer_bytes = piece_bytes + sto_weights_layer_piece(0),
        .n_layers = n_layers,
        .lanes = e->params.lanes,
        .ring_slots = e->params.ring_slots != 0 ? e->params.ring_slots : DEFAULT_RING_SLOTS,
        .room_bytes = UINT64_MAX,
    };
    e->info.ram_bytes = e->params.ram_bytes != 0 ? e->params.ram_bytes : sto_default_ram_bytes();
    if (embeds_from_host(e, piece_bytes))
        e->embedding_host_bytes = piece_bytes[EMBEDDING_PIECE];
    in.weight_bytes -= e->embedding_host_bytes;
    in.option = e->params.vram_bytes != 0 ? "--vram" : NULL;
    in.available_bytes = e->params.vram_bytes != 0 ? e->params.vram_bytes : sto_default_budget_bytes(e->device);
    e->lanes = sto_calloc(n_layers, sizeof *e->lanes);
    e->slot_of = sto_calloc(n_layers, sizeof *e->slot_of);
    if (e->lanes == NULL || e->slot_of == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u layers", (unsigned)n_layers);
    p.lanes = e->lanes;
    enum sto_status status = sto_copy_choose(sto_device_get_plan(e->device), e->params.copy, &body, err);
    if (status != STO_OK)
        return status;
    status = sto_placement_make(&layers, &p, err); /* as given, or all of them resident */
    if (status == STO_OK)
        status = fit_context(e, in, &p, err);
    if (status == STO_ERR_NO_FIT && e->params.lanes == NULL)
        status = stream_some(e, &in, &layers, &p, err);
    keep_placement(e, &p, in.weight_bytes);
    e->info.copy = p.n_streamed + p.n_phased > 0 ? body : STO_COPY_AUTO;
    if (status == STO_OK)
        status = sto_streamed_choose(e, piece_bytes, err);
    if (status != STO_OK)
        sto_error_prefix(err, "%s", e->model->path);
    return status;
}

/* ---- memory ---- */

static enum sto_status create_ring(struct sto_engine *e, struct sto_error *err)
{
    const uint32_t n_slots = e->info.ring_slots;
    enum sto_status status = STO_OK;
    uint32_t next = 0;
    if (n_slots == 0)
        return STO_OK;
    e->slots = sto_calloc(n_slots, sizeof *e->slots);
    if (e->slots == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a ring of %u slots", (unsigned)n_slots);
    for (uint32_t i = 0; i < n_slots && status == STO_OK; i++)
        status = sto_buffer_create(e->device, STO_MEMORY_DEVICE, e->slot_bytes, "the ring of streamed layers",
                                   &e->slots[i], err);
    for (uint32_t l = 0; l < e->model->h.n_layers; l++)
        e->slot_of[l] = sto_is_streamed(e, l) ? &e->slots[next++ % n_slots] : NULL;
    return status;
}

static enum sto_status create_piece(struct sto_engine *e, uint32_t p, uint64_t bytes, enum sto_memory memory,
                                    struct sto_error *err)
{
    const uint32_t first = sto_weights_layer_piece(0);
    const enum sto_lane lane = p >= first ? e->lanes[p - first] : STO_LANE_RESIDENT;
    if (bytes == 0 || lane == STO_LANE_CPU)
        return STO_OK;
    if (lane == STO_LANE_STREAM || lane == STO_LANE_PHASED)
        return sto_streamed_create(e, p - first, bytes, err);
    return sto_buffer_create(e->device, memory, bytes, "weights", &e->pieces[p], err);
}

enum sto_status sto_residency_create(struct sto_engine *e, const uint64_t *piece_bytes, struct sto_error *err)
{
    enum sto_status status = create_ring(e, err);
    for (uint32_t p = 0; p < e->n_pieces && status == STO_OK; p++) {
        const bool on_host = p == EMBEDDING_PIECE && embeds_from_host(e, piece_bytes);
        status = create_piece(e, p, piece_bytes[p], on_host ? STO_MEMORY_UPLOAD : STO_MEMORY_DEVICE, err);
    }
    if (status == STO_OK)
        sto_streamed_add_up(e);
    return status;
}

void sto_residency_destroy(struct sto_engine *e)
{
    sto_streamed_stop(e);
    for (uint32_t i = 0; e->slots != NULL && i < e->info.ring_slots; i++)
        sto_buffer_destroy(e->device, &e->slots[i]);
    for (uint32_t p = 0; e->pieces != NULL && p < e->n_pieces; p++) {
        if (e->pieces[p].impl == NULL) /* ordinary memory, or none */
            sto_host_free(e->pieces[p].mapped, e->pieces[p].bytes);
        sto_buffer_destroy(e->device, &e->pieces[p]);
    }
    sto_free(e->slots);
    sto_free(e->slot_of);
    sto_free(e->lanes);
    sto_free(e->pieces);
}

/* Streamed layers on the host's side, within its budget: in which memory they wait, or on disk (sources.h), and what
 * brings them from there.
 *
 *   host budget - (what the device reads beside layers, the cpu lane) = room for streamed layers and their buffers
 *
 *   pinned ----------------------------------------------------> copy engine -> ring
 *   plain  -----------------------------------> staging --------/
 *   disk   --threads--> read-ahead (reader.h) --/                                (no staging where the host copies) */
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/cpu_lane.h"
#include "runtime/engine.h"
#include "runtime/fit.h"
#include "runtime/host_memory.h"

enum { MAX_READERS = 4, FALLBACK_CHUNKS = 2, STAGING_BYTES = 16 << 20 };

/* ---- budgets ---- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t sto_streamed_host_bytes(const struct sto_engine *e, bool crosses)
{
    return (uint64_t)e->logit_rows * e->logit_stride * sizeof(float) + sto_engine_step_bytes(e->info.ubatch_tokens) +
           2 * (uint64_t)STO_SMALL_BUFFERS_BYTES + /* blocks of small buffers, written by the host and read by it */
           e->embedding_host_bytes + (crosses ? 2 * sto_engine_crossing_bytes(e) : 0);
}

/* What an engine cannot do without. */
struct needs {
    uint64_t pinned, cpu; /* bytes; the cpu lane's memory is ordinary */
};

static struct needs needs_of(struct sto_engine *e)
{
    const uint64_t cpu = sto_cpu_lane_bytes(e); /* sizes the KV cache */
    const uint64_t kv = e->info.phased_layers * e->kv_pages * e->kv_page_bytes * e->params.n_sequences;
    return (struct needs){sto_streamed_host_bytes(e, e->info.cpu_layers > 0) + kv, cpu};
}

static enum sto_status check_budgets(struct sto_engine *e, struct needs n, struct sto_error *err)
{
    char need[STO_SIZE_CHARS], cpu[STO_SIZE_CHARS], ram[STO_SIZE_CHARS], pinned[STO_SIZE_CHARS];
    const struct sto_engine_info *info = &e->info;
    if (n.pinned <= info->pinned_limit_bytes && n.pinned + n.cpu <= info->ram_bytes)
        return STO_OK;
    return sto_fail(err, STO_ERR_NO_FIT,
                    "%s of host memory are needed for logits and buffers that the device reads%s%s, %s is available, "
                    "of that %s pinned; a larger --ram or --pinned would fit, or a smaller --ubatch",
                    sto_size_text(n.pinned, need), n.cpu > 0 ? " and by the processor's layers " : "",
                    n.cpu > 0 ? sto_size_text(n.cpu, cpu) : "", sto_size_text(info->ram_bytes, ram),
                    sto_size_text(info->pinned_limit_bytes, pinned));
}

static void choose_pinned_limit(struct sto_engine *e, uint64_t needed)
{
    struct sto_engine_info *info = &e->info;
    info->pinned_limit_bytes = e->params.pinned_bytes;
    if (info->pinned_limit_bytes == 0)
        info->pinned_limit_bytes = larger(info->ram_bytes / 2, needed + STAGING_BYTES);
    if (info->pinned_limit_bytes > info->ram_bytes)
        info->pinned_limit_bytes = info->ram_bytes;
}

enum sto_status sto_streamed_choose(struct sto_engine *e, const uint64_t *piece_bytes, struct sto_error *err)
{
    const uint32_t n_layers = e->model->h.n_layers;
    const struct needs needs = needs_of(e);
    choose_pinned_limit(e, needs.pinned);
    enum sto_status status = check_budgets(e, needs, err);
    if (status != STO_OK)
        return status;
    struct sto_sources_input in = {.room_bytes = e->info.ram_bytes - needs.pinned - needs.cpu,
                                   .by_host = e->info.copy == STO_COPY_HOST,
                                   .has_file = e->model->random == NULL,
                                   .in_place = e->info.phased_layers > 0};
    in.pinned_bytes = smaller(e->info.pinned_limit_bytes - needs.pinned, in.room_bytes);
    uint64_t *bytes = sto_calloc(n_layers, sizeof *bytes);
    e->sources.sources = sto_calloc(n_layers, sizeof *e->sources.sources);
    if (bytes == NULL || e->sources.sources == NULL)
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for %u layers", (unsigned)n_layers);
    for (uint32_t l = 0; status == STO_OK && l < n_layers; l++) {
        if (sto_is_streamed(e, l))
            bytes[in.n++] = piece_bytes[sto_weights_layer_piece(l)];
    }
    in.layer_bytes = bytes;
    if (status == STO_OK)
        status = sto_sources_choose(&in, &e->sources, err);
    sto_free(bytes);
    e->info.disk_bytes = e->sources.disk_bytes;
    e->load_bytes = in.room_bytes - e->sources.pinned_bytes - e->sources.plain_bytes;
    return status;
}

static void count_host_memory(struct sto_engine *e)
{
    const struct needs needs = needs_of(e);
    e->info.host_bytes = needs.pinned + needs.cpu + sto_sources_bytes(&e->sources);
    e->info.pinned_bytes = needs.pinned + e->sources.pinned_bytes + e->sources.staging_chunks * e->sources.chunk_bytes;
}

/* ---- memory ---- */

/* Ordinary memory. */
static enum sto_status create_plain(const struct sto_engine *e, uint64_t bytes, struct sto_buffer *out,
                                    struct sto_error *err)
{
    char size[STO_SIZE_CHARS];
    *out = (struct sto_buffer){.bytes = bytes, .mapped = sto_host_alloc(bytes)};
    if (out->mapped == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: the system gives no %s of memory for a streamed layer; a smaller "
                        "--ram leaves more of them on disk", e->model->path, sto_size_text(bytes, size));
    sto_memory_want_large_pages(out->mapped, bytes);
    return STO_OK;
}

/* From here on, layers that were to be pinned lie in ordinary memory. */
static void pin_no_more(struct sto_engine *e, uint32_t first, const struct sto_error *why)
{
    struct sto_sources *s = &e->sources;
    sto_log(sto_device_get_callbacks(e->device), STO_LOG_WARNING,
            "streamed layers go through staging, which is slower than from pinned memory: %s", why->message);
    for (uint32_t i = first; i < e->info.streamed_layers + e->info.phased_layers; i++) {
        if (s->sources[i] == STO_SOURCE_PINNED)
            s->sources[i] = STO_SOURCE_PLAIN;
    }
    if (s->staging_chunks == 0)
        s->staging_chunks = FALLBACK_CHUNKS;
}

bool sto_is_streamed(const struct sto_engine *e, uint32_t layer)
{
    return sto_lane_in(e->lanes[layer], STO_PHASE_PROMPT) == STO_LANE_STREAM;
}

/* Which of the streamed layers it is. */
static uint32_t number_of(const struct sto_engine *e, uint32_t layer)
{
    uint32_t n = 0;
    for (uint32_t l = 0; l < layer; l++)
        n += sto_is_streamed(e, l);
    return n;
}

enum sto_status sto_streamed_create(struct sto_engine *e, uint32_t layer, uint64_t bytes, struct sto_error *err)
{
    const uint32_t i = number_of(e, layer);
    struct sto_buffer *out = &e->pieces[sto_weights_layer_piece(layer)];
    struct sto_sources *s = &e->sources;
    struct sto_error why;
    if (s->sources[i] == STO_SOURCE_PINNED) {
        const enum sto_memory memory = e->lanes[layer] == STO_LANE_PHASED ? STO_MEMORY_SHARED : STO_MEMORY_UPLOAD;
        const enum sto_status status = sto_buffer_create(e->device, memory, bytes, "streamed weights", out, &why);
        if (status == STO_OK)
            return STO_OK;
        if (status != STO_ERR_NO_FIT || e->info.phased_layers > 0) {
            if (err != NULL)
                *err = why;
            return status;
        }
        pin_no_more(e, i, &why);
    }
    if (s->sources[i] == STO_SOURCE_PLAIN)
        return create_plain(e, bytes, out, err);
    *out = (struct sto_buffer){.bytes = bytes};
    return STO_OK;
}

void sto_streamed_add_up(struct sto_engine *e)
{
    struct sto_sources *s = &e->sources;
    s->pinned_bytes = s->plain_bytes = 0;
    for (uint32_t l = 0, i = 0; l < e->model->h.n_layers; l++) {
        const uint64_t bytes = e->pieces[sto_weights_layer_piece(l)].bytes;
        if (!sto_is_streamed(e, l))
            continue;
        s->pinned_bytes += s->sources[i] == STO_SOURCE_PINNED ? bytes : 0;
        s->plain_bytes += s->sources[i] == STO_SOURCE_PLAIN ? bytes : 0;
        i++;
    }
    count_host_memory(e);
}

/* ---- the copy engine ---- */

/* Returns how many there are. */
static uint32_t list_streamed(const struct sto_engine *e, enum sto_phase phase, struct sto_copy_piece *pieces)
{
    uint32_t n = 0;
    for (uint32_t l = 0; l < e->model->h.n_layers; l++) {
        const uint32_t piece = sto_weights_layer_piece(l);
        if (sto_lane_in(e->lanes[l], phase) == STO_LANE_STREAM)
            pieces[n++] = (struct sto_copy_piece){
                .source = &e->pieces[piece], .slot = e->slot_of[l], .index = piece, .layer = l};
    }
    return n;
}

/* The pieces that lie on disk, cut into chunks; returns how many. chunks NULL: counts alone. */
static uint32_t list_chunks(const struct sto_copy_params *p, struct sto_read_chunk *chunks)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_pieces; i++) {
        const struct sto_buffer *source = p->pieces[i].source;
        for (uint64_t at = 0; sto_piece_is_on_disk(source) && at < source->bytes; at += p->chunk_bytes, n++) {
            const uint64_t left = source->bytes - at;
            if (chunks != NULL)
                chunks[n] = (struct sto_read_chunk){p->pieces[i].index, at,
                                                    left < p->chunk_bytes ? left : p->chunk_bytes};
        }
    }
    return n;
}

static enum sto_status create_reader(struct sto_engine *e, const struct sto_copy_params *p, struct sto_error *err)
{
    const unsigned cpus = sto_cpu_count();
    struct sto_reader_params r = {.read = sto_slab_read, .user = e, .n_chunks = list_chunks(p, NULL),
                                  .chunk_bytes = p->chunk_bytes, .n_buffers = e->sources.ahead_chunks,
                                  .n_threads = cpus < 2 ? 2 : cpus < MAX_READERS ? cpus : MAX_READERS};
    if (r.n_chunks == 0)
        return STO_OK;
    struct sto_read_chunk *chunks = sto_calloc(r.n_chunks, sizeof *chunks);
    if (chunks == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u chunks", (unsigned)r.n_chunks);
    (void)list_chunks(p, chunks);
    r.chunks = chunks;
    const enum sto_status status = sto_reader_create(&r, &e->reader, err);
    sto_free(chunks);
    return status;
}

/* The copy engine of a phase, and the reader that it takes chunks from in order: both from the beginning. Only where
 * there is one phase does anything lie on disk. */
static enum sto_status start_phase(struct sto_engine *e, enum sto_phase phase, struct sto_copy_params *p,
                                   struct sto_copy_piece *pieces, struct sto_error *err)
{
    p->pieces = pieces;
    p->n_pieces = list_streamed(e, phase, pieces);
    p->n_slots = e->info.ring_slots < p->n_pieces ? e->info.ring_slots : p->n_pieces;
    p->paused = phase != e->copying;
    if (p->n_pieces == 0)
        return STO_OK;
    const enum sto_status status = create_reader(e, p, err);
    p->reader = e->reader;
    return status == STO_OK ? sto_copy_create(p, &e->copies[phase], err) : status;
}

/* Prompts come first. */
static enum sto_status start_copies(struct sto_engine *e, struct sto_copy_params *p, struct sto_copy_piece *pieces,
                                    struct sto_error *err)
{
    enum sto_status status = STO_OK;
    e->copying = e->info.phased_layers > 0 ? STO_PHASE_PROMPT : STO_PHASE_DECODE;
    for (int phase = 0; phase <= (int)e->copying && status == STO_OK; phase++)
        status = start_phase(e, (enum sto_phase)phase, p, pieces, err);
    if (status == STO_OK)
        return STO_OK;
    for (int phase = 0; phase < STO_PHASES; phase++) {
        sto_copy_destroy(e->copies[phase]);
        e->copies[phase] = NULL;
    }
    sto_reader_destroy(e->reader);
    e->reader = NULL;
    return status;
}

/* Every device can copy among its kernels; what the host was to write to the device goes through staging then. */
static enum sto_status fall_back(struct sto_engine *e, struct sto_copy_params *p, struct sto_copy_piece *pieces,
                                 struct sto_error *why)
{
    if (e->info.phased_layers > 0 && e->sources.plain_bytes > 0)
        return STO_ERR_NO_FIT; /* what the kernels' queue cannot read would go through staging */
    sto_log(sto_device_get_callbacks(e->device), STO_LOG_WARNING,
            "layers are copied among the kernels, which is slower than beside them: %s", why->message);
    if (p->staging_chunks == 0 && e->sources.pinned_bytes < e->info.streamed_bytes)
        p->staging_chunks = e->sources.staging_chunks = FALLBACK_CHUNKS;
    e->info.copy = p->body = STO_COPY_QUEUE;
    count_host_memory(e);
    return start_copies(e, p, pieces, why);
}

enum sto_status sto_streamed_start(struct sto_engine *e, struct sto_error *err)
{
    const uint32_t n = e->info.streamed_layers + e->info.phased_layers;
    struct sto_error why;
    if (n == 0)
        return STO_OK;
    struct sto_copy_piece *pieces = sto_calloc(n, sizeof *pieces);
    if (pieces == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u streamed layers", (unsigned)n);
    struct sto_copy_params p = {.device = e->device, .body = e->info.copy, .slots = e->slots,
                                .table = &e->piece_table, .trace = e->trace, .chunk_bytes = e->sources.chunk_bytes,
                                .staging_chunks = e->sources.staging_chunks};
    enum sto_status status = start_copies(e, &p, pieces, &why);
    if (status != STO_OK && e->params.copy == STO_COPY_AUTO && p.body != STO_COPY_QUEUE)
        status = fall_back(e, &p, pieces, &why);
    sto_free(pieces);
    if (status != STO_OK && err != NULL)
        *err = why;
    return status;
}

void sto_streamed_stop(struct sto_engine *e)
{
    sto_reader_destroy(e->reader);
    sto_free(e->sources.sources);
    e->reader = NULL;
    e->sources.sources = NULL;
}

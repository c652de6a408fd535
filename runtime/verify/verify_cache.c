/* A paged KV cache, step blocks and columns for the cases of rope_kv and attention. */
#include "runtime/verify/verify_cache.h"

#include <string.h>

#include "runtime/formats/formats.h"

/* Numbers the pages that have memory, then shuffles the numbers (Fisher and Yates). Returns how many there are. */
static uint32_t give_slots(struct sto_verifier *v, struct sto_verify_cache *cache,
                           const struct sto_verify_columns *columns, uint32_t window)
{
    const uint32_t total = cache->n_sequences * cache->layer.pages;
    uint32_t n = 0;

    cache->slots = sto_verify_alloc(v, total, sizeof *cache->slots);
    memset(cache->slots, 0xff, total * sizeof *cache->slots);
    for (uint32_t c = 0; c < columns->n; c++) {
        const uint32_t position = columns->position[c], own = position / KV_PAGE;
        const uint32_t first = window != 0 && position >= window ? (position - window + 1) / KV_PAGE : 0;
        uint32_t *row = cache->slots + columns->sequence[c] * cache->layer.pages;
        for (uint32_t p = first; p <= own && p < cache->layer.pages; p++)
            if (row[p] == UINT32_MAX)
                row[p] = n++;
    }
    uint32_t *order = sto_verify_alloc(v, n, sizeof *order);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t j = sto_verify_random(v) % (i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (uint32_t i = 0; i < total; i++)
        if (cache->slots[i] != UINT32_MAX)
            cache->slots[i] = order[cache->slots[i]];
    return n;
}

void sto_verify_cache_make(struct sto_verifier *v, struct sto_verify_cache *cache,
                           const struct sto_verify_columns *columns, uint32_t window, bool written)
{
    struct sto_kv_layer *layer = &cache->layer;

    cache->n_sequences = 1;
    for (uint32_t c = 0; c < columns->n; c++)
        if (columns->sequence[c] >= cache->n_sequences)
            cache->n_sequences = columns->sequence[c] + 1;
    cache->page_bytes = (sto_kv_page_bytes(layer->type, layer->n_kv_heads, layer->head_dim) + 255) & ~(uint64_t)255;
    cache->v_offset = sto_kv_v_offset(layer->type, layer->n_kv_heads, layer->head_dim);
    const uint32_t n = give_slots(v, cache, columns, window);
    cache->table = sto_verify_hole(v, "page table", (uint64_t)cache->n_sequences * layer->pages * 8);
    cache->pages = written ? sto_verify_output(v, "pages", n * cache->page_bytes)
                           : sto_verify_hole(v, "pages", n * cache->page_bytes);
    for (uint32_t i = 0; i < cache->n_sequences * layer->pages; i++) {
        const uint64_t address = cache->pages.address + cache->slots[i] * cache->page_bytes;
        if (cache->slots[i] != UINT32_MAX)
            sto_verify_put(v, cache->table, (uint64_t)i * 8, &address, sizeof address);
    }
    layer->table = cache->table.address;
    layer->base = cache->pages.address;
    layer->bytes = cache->pages.bytes;
}

uint64_t sto_verify_cache_row(const struct sto_verify_cache *cache, uint32_t sequence, uint32_t position, uint32_t head,
                              int part)
{
    const struct sto_kv_layer *layer = &cache->layer;
    const uint64_t row_bytes = sto_type_bytes(layer->type, layer->head_dim);
    return cache->slots[sequence * layer->pages + position / KV_PAGE] * cache->page_bytes +
           (part == 1 ? cache->v_offset : 0) + (head * (uint64_t)KV_PAGE + position % KV_PAGE) * row_bytes;
}

struct sto_verify_range sto_verify_step(struct sto_verifier *v, const char *name,
                                        const struct sto_verify_columns *columns)
{
    struct { struct StepHeader header; struct StepColumn columns[STO_VERIFY_MAX_COLUMNS]; } block;
    uint32_t end = 0;

    memset(&block, 0x7f, sizeof block); /* columns that the step does not have */
    for (uint32_t c = 0; c < columns->n; c++) {
        block.columns[c] = (struct StepColumn){sto_verify_random(v), columns->position[c], columns->sequence[c], 0};
        end = columns->position[c] + 1 > end ? columns->position[c] + 1 : end;
    }
    block.header = (struct StepHeader){.n_cols = columns->n, .n_pieces = (end + KV_PAGE - 1) / KV_PAGE};
    return sto_verify_input(v, name, &block, sizeof block.header + columns->room * sizeof *block.columns);
}

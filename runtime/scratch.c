/* Placing a step's temporaries in one buffer: items whose phases overlap get ranges that do not. */
#include <assert.h>

#include "runtime/model.h"

static uint64_t align_256(uint64_t n)
{
    return (n + 255) & ~(uint64_t)255;
}

static bool live_together(const struct sto_scratch_item *a, const struct sto_scratch_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which item i overlaps none of the placed items that live with it. */
static uint64_t lowest_offset(const struct sto_scratch_item *items, const uint32_t *placed, uint32_t n_placed,
                              uint32_t i)
{
    uint64_t offset = 0;
    for (uint32_t p = 0; p < n_placed; p++) {
        const struct sto_scratch_item *other = &items[placed[p]];
        const uint64_t end = align_256(other->offset + other->bytes);
        const bool overlaps = offset < end && other->offset < offset + items[i].bytes;
        if (live_together(&items[i], other) && overlaps) {
            offset = end;
            p = UINT32_MAX; /* start again: the new place may hit an item passed before */
        }
    }
    return offset;
}

uint64_t sto_scratch_plan(struct sto_scratch_item *items, uint32_t n)
{
    uint32_t placed[64];
    bool done[64] = {false};
    uint64_t total = 0;
    assert(n <= 64);
    for (uint32_t k = 0; k < n; k++) { /* largest first: what is placed later fills the gaps */
        uint32_t best = n;
        for (uint32_t i = 0; i < n; i++) {
            if (!done[i] && (best == n || items[i].bytes > items[best].bytes))
                best = i;
        }
        items[best].offset = lowest_offset(items, placed, k, best);
        done[best] = true;
        placed[k] = best;
        const uint64_t end = align_256(items[best].offset + items[best].bytes);
        total = end > total ? end : total;
    }
    return total;
}

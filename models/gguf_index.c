/* The hash table behind sto_gguf_find: open addressing, linear probing, seeded. */
#include "models/gguf_impl.h"
#include "runtime/base/mem.h"

#include <string.h>

/* Multiplies and folds eight bytes at a time; the fold makes the seed matter, so collisions cannot be prepared. */
static uint64_t hash(uint64_t seed, struct sto_view name)
{
    uint64_t h = seed ^ name.size * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < name.size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, name.data + i, name.size - i < 8 ? name.size - i : 8);
        h = (h ^ word) * 0xbf58476d1ce4e5b9u;
        h ^= h >> 29;
        h = (h + seed) * 0x94d049bb133111ebu;
        h ^= h >> 32;
    }
    return h;
}

static struct sto_view name_at(const void *base, size_t stride, uint32_t position)
{
    struct sto_view name;
    memcpy(&name, (const char *)base + stride * position, sizeof name);
    return name;
}

bool sto_gguf_index_create(struct sto_gguf_index *index, size_t n_names)
{
    size_t n_slots = 16;
    while (n_slots < 2 * n_names)
        n_slots *= 2;
    *index = (struct sto_gguf_index){.n_slots = n_slots, .seed = sto_wall_seed()};
    index->slots = sto_calloc(n_slots, sizeof *index->slots);
    return index->slots != NULL;
}

void sto_gguf_index_free(struct sto_gguf_index *index)
{
    sto_free(index->slots);
    *index = (struct sto_gguf_index){0};
}

/* The slot that holds the name, or the empty one where it belongs. */
static size_t find_slot(const struct sto_gguf_index *index, const void *base, size_t stride, struct sto_view name)
{
    size_t i = (size_t)hash(index->seed, name) & (index->n_slots - 1);
    while (index->slots[i] != 0) {
        const struct sto_view other = name_at(base, stride, index->slots[i] - 1);
        if (other.size == name.size && (name.size == 0 || memcmp(other.data, name.data, name.size) == 0))
            break;
        i = (i + 1) & (index->n_slots - 1);
    }
    return i;
}

uint32_t sto_gguf_index_find(const struct sto_gguf_index *index, const void *base, size_t stride, struct sto_view name)
{
    if (index->n_slots == 0)
        return STO_GGUF_INDEX_NONE;
    const uint32_t found = index->slots[find_slot(index, base, stride, name)];
    return found == 0 ? STO_GGUF_INDEX_NONE : found - 1;
}

uint32_t sto_gguf_index_add(struct sto_gguf_index *index, const void *base, size_t stride, uint32_t position)
{
    uint32_t *slot = &index->slots[find_slot(index, base, stride, name_at(base, stride, position))];
    if (*slot != 0)
        return *slot - 1;
    *slot = position + 1;
    return STO_GGUF_INDEX_NONE;
}

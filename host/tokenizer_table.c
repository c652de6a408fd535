/* The tokenizer's two hash tables: texts to ids, and pairs of symbols to what they merge into. */
#include "host/tokenizer_internal.h"

#include <string.h>

#include "runtime/base/mem.h"

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static uint32_t hash_text(const char *text, size_t size)
{
    uint64_t h = size;
    for (; size >= 8; text += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        h = mix(h ^ word);
    }
    uint64_t tail = 0;
    for (size_t i = 0; i < size; i++)
        tail |= (uint64_t)(uint8_t)text[i] << (8 * i);
    return (uint32_t)mix(h ^ tail);
}

/* Slots for n entries at a load of at most one half. */
static uint32_t slots_for(uint32_t n)
{
    uint32_t slots = 16;
    while (slots / 2 < n && slots < (uint32_t)1 << 31)
        slots *= 2;
    return slots;
}

bool sto_text_table_init(struct sto_text_table *table, const struct sto_view *texts, uint32_t expected)
{
    const uint32_t slots = slots_for(expected);
    *table = (struct sto_text_table){.texts = texts, .mask = slots - 1};
    table->slots = sto_calloc(slots, sizeof *table->slots);
    return table->slots != NULL;
}

void sto_text_table_free(struct sto_text_table *table)
{
    sto_free(table->slots);
    *table = (struct sto_text_table){0};
}

static uint32_t slot_of(const struct sto_text_table *table, const char *text, size_t size)
{
    uint32_t slot = hash_text(text, size) & table->mask;
    while (table->slots[slot] != 0) {
        const struct sto_view *other = &table->texts[table->slots[slot] - 1];
        if (other->size == size && memcmp(other->data, text, size) == 0)
            break;
        slot = (slot + 1) & table->mask;
    }
    return slot;
}

uint32_t sto_text_table_find(const struct sto_text_table *table, const char *text, size_t size)
{
    const uint32_t found = table->slots[slot_of(table, text, size)];
    return found == 0 ? STO_TOKEN_NONE : found - 1;
}

static bool grow(struct sto_text_table *table)
{
    const uint32_t old_slots = table->mask + 1, *old = table->slots;
    if (old_slots >= (uint32_t)1 << 31)
        return false;
    struct sto_text_table grown = {.texts = table->texts, .mask = old_slots * 2 - 1, .n = table->n};
    grown.slots = sto_calloc((size_t)old_slots * 2, sizeof *grown.slots);
    if (grown.slots == NULL)
        return false;
    for (uint32_t i = 0; i < old_slots; i++) {
        if (old[i] != 0) {
            const struct sto_view *text = &table->texts[old[i] - 1];
            grown.slots[slot_of(&grown, text->data, text->size)] = old[i];
        }
    }
    sto_free(table->slots);
    *table = grown;
    return true;
}

uint32_t sto_text_table_add(struct sto_text_table *table, uint32_t id)
{
    if (table->n > table->mask / 2 && !grow(table))
        return STO_TOKEN_NONE;
    const uint32_t slot = slot_of(table, table->texts[id].data, table->texts[id].size);
    if (table->slots[slot] == 0) {
        table->slots[slot] = id + 1;
        table->n++;
    }
    return table->slots[slot] - 1;
}

bool sto_merge_table_init(struct sto_merge_table *table, uint32_t expected)
{
    const uint32_t slots = slots_for(expected);
    table->mask = slots - 1;
    table->slots = sto_calloc(slots, sizeof *table->slots);
    for (uint32_t i = 0; table->slots != NULL && i < slots; i++)
        table->slots[i].id = STO_TOKEN_NONE;
    return table->slots != NULL;
}

void sto_merge_table_free(struct sto_merge_table *table)
{
    sto_free(table->slots);
    *table = (struct sto_merge_table){0};
}

static struct sto_merge *merge_slot(const struct sto_merge_table *table, uint32_t left, uint32_t right)
{
    uint32_t slot = (uint32_t)mix((uint64_t)left << 32 | right) & table->mask;
    for (;;) {
        struct sto_merge *m = &table->slots[slot];
        if (m->id == STO_TOKEN_NONE || (m->left == left && m->right == right))
            return m;
        slot = (slot + 1) & table->mask;
    }
}

void sto_merge_table_add(struct sto_merge_table *table, struct sto_merge merge)
{
    struct sto_merge *slot = merge_slot(table, merge.left, merge.right);
    if (slot->id == STO_TOKEN_NONE)
        *slot = merge;
}

const struct sto_merge *sto_merge_table_find(const struct sto_merge_table *table, uint32_t left, uint32_t right)
{
    const struct sto_merge *slot = merge_slot(table, left, right);
    return slot->id == STO_TOKEN_NONE ? NULL : slot;
}

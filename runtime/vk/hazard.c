/* The hazards between commands, by address range. Lists are short (what runs between two barriers), so they are
 * scanned from end to end. */
#include "runtime/vk/hazard.h"

#include <stddef.h>

#include "runtime/base/mem.h"

/* The last byte of a range, which may touch the end of the address space. */
static uint64_t last_byte(const struct sto_use *u)
{
    return u->bytes - 1 <= UINT64_MAX - u->address ? u->address + (u->bytes - 1) : UINT64_MAX;
}

static bool overlap(const struct sto_use *a, const struct sto_use *b)
{
    return a->bytes != 0 && b->bytes != 0 && a->address <= last_byte(b) && b->address <= last_byte(a);
}

/* a holds all of b and was used in every way that b is. */
static bool covers(const struct sto_use *a, const struct sto_use *b)
{
    return a->address <= b->address && last_byte(a) >= last_byte(b) && (a->access & b->access) == b->access;
}

void sto_hazards_destroy(struct sto_hazards *h)
{
    sto_free(h->uses);
    *h = (struct sto_hazards){0};
}

void sto_hazards_clear(struct sto_hazards *h)
{
    h->n = 0;
}

bool sto_hazards_conflict(const struct sto_hazards *h, const struct sto_use *uses, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < h->n; j++) {
            if (((uses[i].access | h->uses[j].access) & STO_WRITE) != 0 && overlap(&uses[i], &h->uses[j]))
                return true;
        }
    }
    return false;
}

static bool is_covered(const struct sto_hazards *h, const struct sto_use *use)
{
    for (uint32_t i = 0; i < h->n; i++) {
        if (covers(&h->uses[i], use))
            return true;
    }
    return false;
}

bool sto_hazards_add(struct sto_hazards *h, const struct sto_use *uses, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (uses[i].bytes == 0 || is_covered(h, &uses[i]))
            continue;
        if (h->n == h->capacity) {
            const uint32_t capacity = h->capacity > 0 ? 2 * h->capacity : 64;
            struct sto_use *more = sto_realloc(h->uses, capacity, sizeof *more);
            if (more == NULL)
                return false;
            h->uses = more;
            h->capacity = capacity;
        }
        h->uses[h->n++] = uses[i];
    }
    return true;
}

/* Which commands need a barrier in front: a pure structure, tested without a device.
 *
 * It holds the address ranges read and written since the last barrier. Not thread-safe. */
#ifndef STO_VK_HAZARD_H
#define STO_VK_HAZARD_H

#include <stdbool.h>
#include <stdint.h>

enum sto_access { STO_READ = 1, STO_WRITE = 2, STO_READ_WRITE = 3 };

struct sto_use {
    uint64_t address, bytes; /* bytes 0: no use */
    enum sto_access access;
};

struct sto_hazards {
    struct sto_use *uses;
    uint32_t n, capacity;
};

/* Zero-initialised is empty and valid. */
void sto_hazards_destroy(struct sto_hazards *h);
/* Forgets all uses, and keeps the memory: what a barrier does. */
void sto_hazards_clear(struct sto_hazards *h);
/* True when a command with these uses must wait for an earlier one: it reads what was written, or writes what was
 * read or written. */
bool sto_hazards_conflict(const struct sto_hazards *h, const struct sto_use *uses, uint32_t n);
/* Adds uses; false when there is no memory for them. */
bool sto_hazards_add(struct sto_hazards *h, const struct sto_use *uses, uint32_t n);

#endif

/* Host allocation: counted, overflow-checked, and an arena for objects that live and die together.
 *
 * Every allocation of ours goes through here, so that a test can read the counter and prove that a decode step
 * allocates nothing, and so that a torture test can make the n-th allocation fail. */
#ifndef STO_BASE_MEM_H
#define STO_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/* n * size bytes, zeroed; NULL when that overflows or there is no memory. n * size == 0 gives a valid pointer. */
void *sto_calloc(size_t n, size_t size);
/* Grows or shrinks; new bytes are not zeroed; NULL leaves p as it was. */
void *sto_realloc(void *p, size_t n, size_t size);
void sto_free(void *p);
/* Copies n bytes and adds a NUL. */
char *sto_strndup(const char *s, size_t n);
char *sto_strdup(const char *s);

/* Successful allocations (calloc, realloc, arena blocks) since the program started. Any thread. */
uint64_t sto_alloc_count(void);
/* For torture tests: the n-th allocation from now (1 is the next) fails, and all later ones; 0 turns it off. */
void sto_alloc_fail_after(uint64_t n);

/* An arena: allocations are 16-byte aligned, zeroed, and freed together. Zero-initialised is empty and valid. */
struct sto_arena {
    struct sto_arena_block *blocks;
};
void *sto_arena_alloc(struct sto_arena *arena, size_t n, size_t size);
char *sto_arena_strndup(struct sto_arena *arena, const char *s, size_t n);
void sto_arena_free(struct sto_arena *arena);

#endif

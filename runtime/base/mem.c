/* Counted allocation and arenas. */
#include "runtime/base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t alloc_count;
static _Atomic uint64_t fail_at; /* 0: never; else the value of attempt_count from which on everything fails */
static _Atomic uint64_t attempt_count;

static int may_allocate(void)
{
    const uint64_t attempt = atomic_fetch_add_explicit(&attempt_count, 1, memory_order_relaxed) + 1;
    const uint64_t limit = atomic_load_explicit(&fail_at, memory_order_relaxed);
    return limit == 0 || attempt < limit;
}

static void *counted(void *p)
{
    if (p != NULL)
        atomic_fetch_add_explicit(&alloc_count, 1, memory_order_relaxed);
    return p;
}

void *sto_calloc(size_t n, size_t size)
{
    if (n == 0 || size == 0)
        n = size = 1;
    if (n > SIZE_MAX / size)
        return NULL;
    return may_allocate() ? counted(calloc(n, size)) : NULL;
}

void *sto_realloc(void *p, size_t n, size_t size)
{
    if (size != 0 && n > SIZE_MAX / size)
        return NULL;
    const size_t bytes = n * size > 0 ? n * size : 1;
    return may_allocate() ? counted(realloc(p, bytes)) : NULL;
}

void sto_free(void *p)
{
    free(p);
}

char *sto_strndup(const char *s, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = sto_calloc(n + 1, 1);
    if (copy != NULL && n > 0)
        memcpy(copy, s, n);
    return copy;
}

char *sto_strdup(const char *s)
{
    return sto_strndup(s, strlen(s));
}

uint64_t sto_alloc_count(void)
{
    return atomic_load_explicit(&alloc_count, memory_order_relaxed);
}

void sto_alloc_fail_after(uint64_t n)
{
    const uint64_t now = atomic_load_explicit(&attempt_count, memory_order_relaxed);
    atomic_store_explicit(&fail_at, n == 0 ? 0 : now + n, memory_order_relaxed);
}

struct sto_arena_block {
    struct sto_arena_block *next;
    size_t size, used; /* bytes of data, which follows the header */
    _Alignas(16) unsigned char data[];
};

enum { ARENA_BLOCK_BYTES = 64 * 1024 };

void *sto_arena_alloc(struct sto_arena *arena, size_t n, size_t size)
{
    if (size != 0 && n > (SIZE_MAX / 2) / size)
        return NULL;
    const size_t bytes = (n * size + 15) & ~(size_t)15;
    struct sto_arena_block *b = arena->blocks;
    if (b == NULL || b->size - b->used < bytes) {
        const size_t data = bytes > ARENA_BLOCK_BYTES ? bytes : ARENA_BLOCK_BYTES;
        b = sto_calloc(1, sizeof *b + data);
        if (b == NULL)
            return NULL;
        b->size = data;
        b->next = arena->blocks;
        arena->blocks = b;
    }
    void *p = b->data + b->used;
    b->used += bytes;
    return p;
}

char *sto_arena_strndup(struct sto_arena *arena, const char *s, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = sto_arena_alloc(arena, n + 1, 1);
    if (copy != NULL && n > 0)
        memcpy(copy, s, n);
    return copy;
}

void sto_arena_free(struct sto_arena *arena)
{
    while (arena->blocks != NULL) {
        struct sto_arena_block *next = arena->blocks->next;
        sto_free(arena->blocks);
        arena->blocks = next;
    }
}

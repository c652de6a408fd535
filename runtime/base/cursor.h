/* A checked, read-only cursor over bytes from outside. Little-endian.
 *
 * Every read tests what is left. After the first read that does not fit the cursor is failed: it stays where it was
 * and every later read gives zeros, so a parser may read a whole record and test `failed` once. */
#ifndef STO_BASE_CURSOR_H
#define STO_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that somebody else owns; not NUL-terminated. */
struct sto_view {
    const char *data;
    size_t size;
};

struct sto_cursor {
    const uint8_t *data;
    size_t size, pos; /* pos <= size always */
    bool failed;
};

static inline struct sto_cursor sto_cursor_make(const void *data, size_t size)
{
    return (struct sto_cursor){.data = data, .size = size};
}

static inline size_t sto_cursor_left(const struct sto_cursor *c)
{
    return c->size - c->pos;
}

/* n bytes at the cursor, which moves on; NULL when they are not there. */
const uint8_t *sto_cursor_take(struct sto_cursor *c, size_t n);

uint8_t sto_cursor_u8(struct sto_cursor *c);
uint16_t sto_cursor_u16(struct sto_cursor *c);
uint32_t sto_cursor_u32(struct sto_cursor *c);
uint64_t sto_cursor_u64(struct sto_cursor *c);
float sto_cursor_f32(struct sto_cursor *c);
double sto_cursor_f64(struct sto_cursor *c);

/* a + b and a * b in *out; false when they overflow. */
bool sto_add_u64(uint64_t a, uint64_t b, uint64_t *out);
bool sto_mul_u64(uint64_t a, uint64_t b, uint64_t *out);

bool sto_view_equals(struct sto_view v, const char *text);
/* Bytes of the valid UTF-8 sequence at s, of which size >= 1 bytes are there; 0 when there is none. */
size_t sto_utf8_sequence(const char *s, size_t size);
/* True when the bytes are valid UTF-8 (no surrogates, no overlong forms). */
bool sto_utf8_valid(const char *data, size_t size);

#endif

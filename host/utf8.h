/* Code points in UTF-8 bytes that may be damaged. */
#ifndef STO_UTF8_H
#define STO_UTF8_H

#include "runtime/base/cursor.h"

/* Writes a code point (0 to 0x10ffff) to out[4]; returns the bytes it takes. */
static inline size_t sto_utf8_put(uint32_t cp, char *out)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    const size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, cp >>= 6)
        out[i] = (char)(0x80 | (cp & 63));
    out[0] = (char)((0xf0 << (4 - n) & 0xf0) | cp);
    return n;
}

/* The code point at s, of which size >= 1 bytes are there; *n gets its bytes. A byte that begins no valid sequence is
 * one code point, U+FFFD. */
static inline uint32_t sto_utf8_get(const char *s, size_t size, size_t *n)
{
    static const uint8_t masks[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    if ((uint8_t)s[0] < 0x80) {
        *n = 1;
        return (uint8_t)s[0];
    }
    *n = sto_utf8_sequence(s, size);
    if (*n == 0) {
        *n = 1;
        return 0xfffd;
    }
    uint32_t cp = (uint8_t)s[0] & masks[*n];
    for (size_t i = 1; i < *n; i++)
        cp = cp << 6 | ((uint8_t)s[i] & 63);
    return cp;
}

/* Code points in a text. */
static inline size_t sto_utf8_count(const char *s, size_t size)
{
    size_t count = 0;
    for (size_t pos = 0, n = 0; pos < size; pos += n, count++)
        (void)sto_utf8_get(s + pos, size - pos, &n);
    return count;
}

#endif

/* Checked reading of little-endian bytes. */
#include "runtime/base/cursor.h"

#include <string.h>

const uint8_t *sto_cursor_take(struct sto_cursor *c, size_t n)
{
    if (c->failed || n > c->size - c->pos) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *p = c->data + c->pos;
    c->pos += n;
    return p;
}

uint64_t sto_cursor_u64(struct sto_cursor *c)
{
    const uint8_t *p = sto_cursor_take(c, 8);
    uint64_t v = 0;
    for (int i = 0; p != NULL && i < 8; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint32_t sto_cursor_u32(struct sto_cursor *c)
{
    const uint8_t *p = sto_cursor_take(c, 4);
    return p == NULL ? 0 : (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint16_t sto_cursor_u16(struct sto_cursor *c)
{
    const uint8_t *p = sto_cursor_take(c, 2);
    return p == NULL ? 0 : (uint16_t)((unsigned)p[0] | (unsigned)p[1] << 8);
}

uint8_t sto_cursor_u8(struct sto_cursor *c)
{
    const uint8_t *p = sto_cursor_take(c, 1);
    return p == NULL ? 0 : p[0];
}

float sto_cursor_f32(struct sto_cursor *c)
{
    const uint32_t bits = sto_cursor_u32(c);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

double sto_cursor_f64(struct sto_cursor *c)
{
    const uint64_t bits = sto_cursor_u64(c);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

bool sto_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    *out = a + b;
    return *out >= a;
}

bool sto_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    *out = a * b;
    return a == 0 || *out / a == b;
}

bool sto_view_equals(struct sto_view v, const char *text)
{
    return v.size == strlen(text) && memcmp(v.data, text, v.size) == 0;
}

size_t sto_utf8_sequence(const char *text, size_t size)
{
    const uint8_t *s = (const uint8_t *)text;
    const uint8_t c = s[0];
    size_t len = 0;
    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf)
        len = 2;
    else if ((c & 0xf0) == 0xe0)
        len = 3;
    else if (c >= 0xf0 && c <= 0xf4)
        len = 4;
    if (len == 0 || len > size)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    const bool overlong = (c == 0xe0 && s[1] < 0xa0) || (c == 0xf0 && s[1] < 0x90);
    const bool surrogate = c == 0xed && s[1] > 0x9f;
    const bool too_large = c == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || too_large ? 0 : len;
}

bool sto_utf8_valid(const char *data, size_t size)
{
    for (size_t i = 0; i < size;) {
        const size_t len = sto_utf8_sequence(data + i, size - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

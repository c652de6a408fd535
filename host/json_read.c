/* JSON text to values: one pass, recursion no deeper than STO_JSON_MAX_DEPTH. The first error stays. */
#include "host/json.h"

#include <string.h>

#include "host/utf8.h"

struct reader {
    struct sto_arena *arena;
    const char *text;
    size_t size, pos;
    unsigned depth;
    enum sto_status status;
    struct sto_error *err;
};

/* An error at byte `at`. */
static bool fail(struct reader *r, size_t at, const char *what)
{
    size_t line = 1, column = 1;
    if (r->status != STO_OK)
        return false;
    for (size_t i = 0; i < at; i++) {
        column = r->text[i] == '\n' ? 1 : column + 1;
        line += r->text[i] == '\n' ? 1 : 0;
    }
    r->status = sto_fail(r->err, STO_ERR_USAGE, "line %zu, column %zu: %s", line, column, what);
    return false;
}

static bool no_memory(struct reader *r)
{
    r->status = sto_fail(r->err, STO_ERR_FAILED, "no memory for a JSON text of %zu bytes", r->size);
    return false;
}

static int peek(const struct reader *r)
{
    return r->pos < r->size ? (unsigned char)r->text[r->pos] : -1;
}

static void skip_space(struct reader *r)
{
    while (r->pos < r->size && strchr(" \t\n\r", r->text[r->pos]) != NULL && r->text[r->pos] != '\0')
        r->pos++;
}

static bool take(struct reader *r, char c)
{
    if (peek(r) != (unsigned char)c)
        return false;
    r->pos++;
    return true;
}

/* ---- strings ---- */

/* Four hexadecimal digits at the cursor; -1: they are not there. */
static int32_t hex4(struct reader *r)
{
    int32_t value = 0;
    if (r->size - r->pos < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        const char c = r->text[r->pos + i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    r->pos += 4;
    return value;
}

/* After "\u": one code point, out of two escapes where they are a surrogate pair. */
static bool read_unicode(struct reader *r, char *out, size_t *n)
{
    int32_t cp = hex4(r);
    if (cp < 0)
        return fail(r, r->pos, "\\u needs four hexadecimal digits");
    if (cp >= 0xd800 && cp < 0xdc00 && r->size - r->pos >= 6 && r->text[r->pos] == '\\' && r->text[r->pos + 1] == 'u') {
        const size_t before = r->pos;
        r->pos += 2;
        const int32_t low = hex4(r);
        if (low >= 0xdc00 && low < 0xe000)
            cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
        else
            r->pos = before;
    }
    if (cp >= 0xd800 && cp < 0xe000)
        cp = 0xfffd;
    *n += sto_utf8_put((uint32_t)cp, out + *n);
    return true;
}

static bool read_escape(struct reader *r, char *out, size_t *n)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const int c = peek(r);
    const char *name = c > 0 ? strchr(names, c) : NULL;
    if (c == 'u') {
        r->pos++;
        return read_unicode(r, out, n);
    }
    if (name == NULL)
        return fail(r, r->pos, "no such escape");
    out[(*n)++] = values[name - names];
    r->pos++;
    return true;
}

/* The end of the string whose first byte is at the cursor, as an upper bound of what it needs; 0: there is none. */
static size_t string_end(const struct reader *r)
{
    for (size_t i = r->pos; i < r->size; i++) {
        if (r->text[i] == '"')
            return i;
        i += r->text[i] == '\\' ? 1 : 0;
    }
    return 0;
}

static bool read_string(struct reader *r, const struct sto_text **out)
{
    const size_t begin = r->pos++;
    const size_t end = string_end(r);
    if (end == 0)
        return fail(r, begin, "the string has no end");
    struct sto_text *text = sto_arena_alloc(r->arena, 1, sizeof *text);
    char *data = text != NULL ? sto_arena_alloc(r->arena, end - r->pos + 1, 1) : NULL; /* escapes only shrink */
    if (data == NULL)
        return no_memory(r);
    size_t n = 0;
    while (r->pos < end) {
        const unsigned char c = (unsigned char)r->text[r->pos];
        if (c == '\\') {
            r->pos++;
            if (!read_escape(r, data, &n))
                return false;
            continue;
        }
        const size_t sequence = sto_utf8_sequence(r->text + r->pos, end - r->pos);
        if (c < 0x20)
            return fail(r, r->pos, "a control character in a string must be escaped");
        if (sequence == 0)
            return fail(r, r->pos, "not valid UTF-8");
        memcpy(data + n, r->text + r->pos, sequence);
        n += sequence;
        r->pos += sequence;
    }
    r->pos = end + 1;
    *text = (struct sto_text){.data = data, .size = n};
    *out = text;
    return true;
}

/* ---- everything else ---- */

static bool read_value(struct reader *r, struct sto_value *out);

static bool read_list(struct reader *r, struct sto_value *out)
{
    struct sto_list *list = sto_list_create(r->arena);
    if (list == NULL)
        return no_memory(r);
    *out = sto_value_of_list(list);
    r->pos++;
    skip_space(r);
    if (take(r, ']'))
        return true;
    for (;;) {
        struct sto_value item;
        if (!read_value(r, &item))
            return false;
        if (!sto_list_add(r->arena, list, item))
            return no_memory(r);
        if (take(r, ']'))
            return true;
        if (!take(r, ','))
            return fail(r, r->pos, "expected ',' or ']'");
    }
}

static bool read_object(struct reader *r, struct sto_value *out)
{
    struct sto_object *object = sto_object_create(r->arena);
    if (object == NULL)
        return no_memory(r);
    *out = sto_value_of_object(object);
    r->pos++;
    skip_space(r);
    if (take(r, '}'))
        return true;
    for (;;) {
        const struct sto_text *key = NULL;
        struct sto_value value;
        skip_space(r);
        if (peek(r) != '"')
            return fail(r, r->pos, "expected a key in double quotes");
        if (!read_string(r, &key))
            return false;
        skip_space(r);
        if (!take(r, ':'))
            return fail(r, r->pos, "expected ':'");
        if (!read_value(r, &value))
            return false;
        if (!sto_object_set_text(r->arena, object, key, value))
            return no_memory(r);
        if (take(r, '}'))
            return true;
        if (!take(r, ','))
            return fail(r, r->pos, "expected ',' or '}'");
    }
}

static bool read_word(struct reader *r, struct sto_value *out)
{
    static const struct {
        const char *word;
        struct sto_value value;
    } words[] = {{"null", {.kind = STO_VALUE_NULL}},
                 {"true", {.kind = STO_VALUE_BOOL, .boolean = true}},
                 {"false", {.kind = STO_VALUE_BOOL, .boolean = false}}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t n = strlen(words[i].word);
        if (r->size - r->pos >= n && memcmp(r->text + r->pos, words[i].word, n) == 0) {
            *out = words[i].value;
            r->pos += n;
            return true;
        }
    }
    const size_t n = sto_number_read(r->text + r->pos, r->size - r->pos, out);
    r->pos += n;
    return n > 0 || fail(r, r->pos, r->pos == r->size ? "the text ends where a value should be" : "expected a value");
}

/* A value and the white space around it. */
static bool read_value(struct reader *r, struct sto_value *out)
{
    bool ok;
    skip_space(r);
    const int c = peek(r);
    if (c == '[' || c == '{') {
        if (r->depth == STO_JSON_MAX_DEPTH)
            return fail(r, r->pos, "nested too deep");
        r->depth++;
        ok = c == '[' ? read_list(r, out) : read_object(r, out);
        r->depth--;
    } else if (c == '"') {
        out->kind = STO_VALUE_TEXT;
        ok = read_string(r, &out->text);
    } else {
        ok = read_word(r, out);
    }
    skip_space(r);
    return ok;
}

enum sto_status sto_json_read(struct sto_arena *arena, const char *text, size_t size, struct sto_value *out,
                              struct sto_error *err)
{
    struct reader r = {.arena = arena, .text = text, .size = size, .err = err};
    *out = sto_value_undefined();
    if (size > STO_JSON_MAX_BYTES)
        return sto_fail(err, STO_ERR_USAGE, "the JSON text has %zu bytes, more than %d", size, STO_JSON_MAX_BYTES);
    if (read_value(&r, out) && r.pos < size)
        fail(&r, r.pos, "more text behind the value");
    return r.status;
}

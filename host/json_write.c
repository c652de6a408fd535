/* Values to JSON text, in the form of Python's json.dumps. */
#include "host/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/utf8.h"

struct writer {
    struct sto_json_text *out;
    const struct sto_json_style *style;
    const char *item_separator, *key_separator;
    unsigned depth;
    enum sto_status status;
    struct sto_error *err;
};

static bool fail(struct writer *w, enum sto_status status, const char *what)
{
    if (w->status == STO_OK)
        w->status = sto_fail(w->err, status, "%s", what);
    return false;
}

static bool put(struct writer *w, const char *data, size_t size)
{
    struct sto_json_text *out = w->out;
    const size_t max_size = out->max_size != 0 ? out->max_size : STO_JSON_MAX_BYTES;
    if (size > max_size || out->size > max_size - size)
        return fail(w, STO_ERR_FAILED, "the JSON text becomes too long");
    if (out->capacity - out->size < size + 1) {
        const size_t wanted = out->size + size + 1;
        const size_t capacity = wanted < 256 ? 256 : wanted + wanted / 2;
        char *data_grown = sto_realloc(out->data, capacity, 1);
        if (data_grown == NULL)
            return fail(w, STO_ERR_FAILED, "no memory for a JSON text");
        out->data = data_grown;
        out->capacity = capacity;
    }
    if (size > 0)
        memcpy(out->data + out->size, data, size);
    out->size += size;
    out->data[out->size] = '\0';
    return true;
}

static bool puts_text(struct writer *w, const char *s)
{
    return put(w, s, strlen(s));
}

static bool put_escaped(struct writer *w, uint32_t cp)
{
    char text[16];
    if (cp >= 0x10000)
        snprintf(text, sizeof text, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((cp - 0x10000) >> 10)),
                 (unsigned)(0xdc00 + ((cp - 0x10000) & 0x3ff)));
    else
        snprintf(text, sizeof text, "\\u%04x", (unsigned)cp);
    return puts_text(w, text);
}

static bool put_string(struct writer *w, const struct sto_text *text)
{
    static const char special[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    bool ok = put(w, "\"", 1);
    size_t plain = 0; /* bytes from here to pos need no change */
    for (size_t pos = 0, n; ok && pos < text->size; pos += n) {
        const uint32_t cp = sto_utf8_get(text->data + pos, text->size - pos, &n);
        const bool damaged = cp == 0xfffd && n == 1;
        if (cp >= 0x20 && cp != '"' && cp != '\\' && !damaged && !(w->style->ascii && cp >= 0x7f))
            continue;
        const char *name = cp != 0 && cp < 0x80 ? strchr(special, (int)cp) : NULL;
        ok = put(w, text->data + plain, pos - plain);
        plain = pos + n;
        if (!ok)
            break;
        if (name != NULL)
            ok = put(w, (char[2]){'\\', names[name - special]}, 2);
        else if (damaged && !w->style->ascii)
            ok = puts_text(w, "\xef\xbf\xbd");
        else
            ok = put_escaped(w, cp);
    }
    return ok && put(w, text->data + plain, text->size - plain) && put(w, "\"", 1);
}

/* What stands before an element, or before the closing bracket. */
static bool break_line(struct writer *w)
{
    bool ok = put(w, "\n", 1);
    for (unsigned i = 0; ok && i < w->depth * w->style->indent; i++)
        ok = put(w, " ", 1);
    return ok;
}

static bool put_value(struct writer *w, struct sto_value v);

static bool begin_item(struct writer *w, size_t i)
{
    return (i == 0 || puts_text(w, w->item_separator)) && (!w->style->indented || break_line(w));
}

static bool put_list(struct writer *w, const struct sto_list *list)
{
    bool ok = put(w, "[", 1);
    w->depth++;
    for (size_t i = 0; ok && i < list->n; i++)
        ok = begin_item(w, i) && put_value(w, list->items[i]);
    w->depth--;
    return ok && (list->n == 0 || !w->style->indented || break_line(w)) && put(w, "]", 1);
}

static int by_key(const void *a, const void *b)
{
    const struct sto_text *x = (*(const struct sto_field *const *)a)->key;
    const struct sto_text *y = (*(const struct sto_field *const *)b)->key;
    const size_t n = x->size < y->size ? x->size : y->size;
    const int order = n > 0 ? memcmp(x->data, y->data, n) : 0;
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

static bool put_fields(struct writer *w, const struct sto_object *object, const struct sto_field **sorted)
{
    bool ok = put(w, "{", 1);
    w->depth++;
    for (size_t i = 0; ok && i < object->n; i++) {
        const struct sto_field *field = sorted != NULL ? sorted[i] : &object->fields[i];
        struct sto_text key = *field->key;
        if (key.size > 1 && (uint8_t)key.data[0] == STO_KEY_MARK) {
            key.data++;
            key.size--;
        }
        ok = begin_item(w, i) && put_string(w, &key) && puts_text(w, w->key_separator) && put_value(w, field->value);
    }
    w->depth--;
    return ok && (object->n == 0 || !w->style->indented || break_line(w)) && put(w, "}", 1);
}

static bool put_object(struct writer *w, const struct sto_object *object)
{
    if (!w->style->sort_keys)
        return put_fields(w, object, NULL);
    const struct sto_field **sorted = sto_calloc(object->n, sizeof *sorted);
    if (sorted == NULL)
        return fail(w, STO_ERR_FAILED, "no memory to sort keys");
    for (size_t i = 0; i < object->n; i++)
        sorted[i] = &object->fields[i];
    qsort(sorted, object->n, sizeof *sorted, by_key);
    const bool ok = put_fields(w, object, sorted);
    sto_free(sorted);
    return ok;
}

static bool put_float(struct writer *w, double x)
{
    char text[STO_FLOAT_TEXT_BYTES];
    if (isnan(x))
        return puts_text(w, "NaN");
    if (isinf(x))
        return puts_text(w, x < 0 ? "-Infinity" : "Infinity");
    const size_t size = sto_float_text(x, text);
    return put(w, text, size);
}

static bool put_value(struct writer *w, struct sto_value v)
{
    char text[32];
    if (w->depth >= STO_JSON_MAX_DEPTH && (v.kind == STO_VALUE_LIST || v.kind == STO_VALUE_OBJECT))
        return fail(w, STO_ERR_USAGE, "nested too deep for JSON");
    switch (v.kind) {
    case STO_VALUE_NULL: return puts_text(w, "null");
    case STO_VALUE_BOOL: return puts_text(w, v.boolean ? "true" : "false");
    case STO_VALUE_INT: snprintf(text, sizeof text, "%" PRId64, v.integer); return puts_text(w, text);
    case STO_VALUE_FLOAT: return put_float(w, v.number);
    case STO_VALUE_TEXT: return put_string(w, v.text);
    case STO_VALUE_LIST: return put_list(w, v.list);
    case STO_VALUE_OBJECT: return put_object(w, v.object);
    case STO_VALUE_UNDEFINED: return fail(w, STO_ERR_USAGE, "an undefined value cannot be written as JSON");
    case STO_VALUE_OPAQUE: break;
    }
    return fail(w, STO_ERR_USAGE, "a callable cannot be written as JSON");
}

enum sto_status sto_json_write(struct sto_json_text *out, struct sto_value v, const struct sto_json_style *style,
                               struct sto_error *err)
{
    static const struct sto_json_style plain = {0};
    struct writer w = {.out = out, .style = style != NULL ? style : &plain, .err = err};
    w.item_separator = w.style->item_separator != NULL ? w.style->item_separator : w.style->indented ? "," : ", ";
    w.key_separator = w.style->key_separator != NULL ? w.style->key_separator : ": ";
    put_value(&w, v);
    return w.status;
}

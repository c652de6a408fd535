/* Text with origins: building, slicing, searching; values as text, the way Python prints them. */
#include "host/template_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/json.h"
#include "host/unicode.h"
#include "host/utf8.h"

enum { MAX_REPR_DEPTH = 100 };

const struct sto_text sto_no_text = {.data = "", .from_template = true};

struct sto_value sto_text_value(const struct sto_text *text)
{
    return (struct sto_value){.kind = STO_VALUE_TEXT, .text = text};
}

bool sto_origin(const struct sto_text *t, size_t i)
{
    return t->origins != NULL ? t->origins[i] != 0 : t->from_template;
}

const struct sto_text *sto_literal(struct sto_run *run, const char *s)
{
    struct sto_text *text = sto_run_alloc(run, 1, sizeof *text);
    if (text == NULL)
        return &sto_no_text;
    *text = (struct sto_text){.data = s, .size = strlen(s), .from_template = true};
    return text;
}

const struct sto_text *sto_slice_text(struct sto_run *run, const struct sto_text *t, size_t from, size_t to)
{
    if (from == 0 && to == t->size)
        return t;
    struct sto_text *slice = sto_run_alloc(run, 1, sizeof *slice);
    if (slice == NULL)
        return &sto_no_text;
    *slice = *t;
    slice->data += from;
    slice->size = to - from;
    if (t->origins != NULL)
        slice->origins += from;
    return slice;
}

/* ---- building ---- */

/* Room for `size` more bytes; exactly that where the size of the whole is known beforehand. */
static bool reserve(struct sto_run *run, struct sto_builder *b, size_t size)
{
    sto_run_charge(run, size);
    if (size > STO_TEMPLATE_MAX_OUTPUT_BYTES || b->size > STO_TEMPLATE_MAX_OUTPUT_BYTES - size)
        sto_run_fail(run, "a text becomes longer than %d MiB", STO_TEMPLATE_MAX_OUTPUT_BYTES >> 20);
    if (run->failed)
        return false;
    if (b->capacity - b->size >= size)
        return true;
    const size_t capacity = b->expected >= b->size + size ? b->expected : (b->size + size) * 2;
    char *data = sto_run_alloc(run, capacity, 1);
    if (data == NULL)
        return false;
    if (b->size > 0)
        memcpy(data, b->data, b->size);
    b->data = data;
    b->capacity = capacity;
    return true;
}

/* Origins byte by byte: from when bytes of both origins come together. */
static bool reserve_origins(struct sto_run *run, struct sto_builder *b)
{
    if (b->origins_capacity >= b->capacity)
        return true;
    uint8_t *origins = sto_run_alloc(run, b->capacity, 1);
    if (origins == NULL)
        return false;
    if (b->origins != NULL)
        memcpy(origins, b->origins, b->size);
    else
        memset(origins, b->n_template > 0 ? 1 : 0, b->size);
    b->origins = origins;
    b->origins_capacity = b->capacity;
    return true;
}

void sto_build_bytes(struct sto_run *run, struct sto_builder *b, const char *data, size_t size, bool from_template)
{
    if (size == 0 || !reserve(run, b, size))
        return;
    const bool uniform = b->origins == NULL && (b->size == 0 || from_template == (b->n_template > 0));
    if (!uniform && !reserve_origins(run, b))
        return;
    memcpy(b->data + b->size, data, size);
    if (!uniform)
        memset(b->origins + b->size, from_template ? 1 : 0, size);
    b->size += size;
    b->n_template += from_template ? size : 0;
}

void sto_build_slice(struct sto_run *run, struct sto_builder *b, const struct sto_text *t, size_t from, size_t to)
{
    if (t->origins == NULL) {
        sto_build_bytes(run, b, t->data + from, to - from, t->from_template);
        return;
    }
    if (from == to || !reserve(run, b, to - from) || !reserve_origins(run, b))
        return;
    memcpy(b->data + b->size, t->data + from, to - from);
    for (size_t i = from; i < to; i++) {
        b->origins[b->size++] = t->origins[i];
        b->n_template += t->origins[i];
    }
}

void sto_build(struct sto_run *run, struct sto_builder *b, const struct sto_text *t)
{
    sto_build_slice(run, b, t, 0, t->size);
}

const struct sto_text *sto_built(struct sto_run *run, const struct sto_builder *b)
{
    if (b->size == 0)
        return &sto_no_text;
    struct sto_text *text = sto_run_alloc(run, 1, sizeof *text);
    if (text == NULL)
        return &sto_no_text;
    const bool mixed = b->n_template > 0 && b->n_template < b->size;
    *text = (struct sto_text){.data = b->data,
                              .size = b->size,
                              .origins = mixed ? b->origins : NULL,
                              .from_template = b->n_template == b->size};
    return text;
}

/* ---- Python's repr ---- */

static void build_repr(struct sto_run *run, struct sto_builder *b, struct sto_value v, unsigned depth);

static bool printable(uint32_t cp)
{
    const unsigned category = sto_unicode_props(cp) & STO_UNICODE_CATEGORY;
    return cp == ' ' || category < STO_UNICODE_ZS;
}

/* Text in quotes. Everything counts as of no trusted origin: it is made of what may be a message. */
static void repr_text(struct sto_run *run, struct sto_builder *b, const struct sto_text *t)
{
    const bool has_single = memchr(t->data, '\'', t->size) != NULL, has_double = memchr(t->data, '"', t->size) != NULL;
    const char quote = has_single && !has_double ? '"' : '\'';
    sto_build_bytes(run, b, &quote, 1, false);
    for (size_t pos = 0, n; pos < t->size && !run->failed; pos += n) {
        char escape[16];
        const uint32_t cp = sto_utf8_get(t->data + pos, t->size - pos, &n);
        const char *special = cp == '\n' ? "\\n" : cp == '\r' ? "\\r" : cp == '\t' ? "\\t" : cp == '\\' ? "\\\\" : NULL;
        if (special != NULL)
            snprintf(escape, sizeof escape, "%s", special);
        else if (cp == (uint32_t)quote)
            snprintf(escape, sizeof escape, "\\%c", quote);
        else if (printable(cp))
            escape[0] = '\0';
        else
            snprintf(escape, sizeof escape,
                     cp < 0x100     ? "\\x%02x"
                     : cp < 0x10000 ? "\\u%04x"
                                    : "\\U%08x",
                     (unsigned)cp);
        if (escape[0] != '\0')
            sto_build_bytes(run, b, escape, strlen(escape), false);
        else
            sto_build_bytes(run, b, t->data + pos, n, false);
    }
    sto_build_bytes(run, b, &quote, 1, false);
}

static void repr_list(struct sto_run *run, struct sto_builder *b, const struct sto_list *list, unsigned depth)
{
    const bool tuple = list->form == STO_LIST_TUPLE;
    sto_build_bytes(run, b, tuple ? "(" : "[", 1, false);
    for (size_t i = 0; i < list->n && !run->failed; i++) {
        if (i > 0)
            sto_build_bytes(run, b, ", ", 2, false);
        build_repr(run, b, list->items[i], depth + 1);
    }
    if (tuple)
        sto_build_bytes(run, b, list->n == 1 ? ",)" : ")", list->n == 1 ? 2 : 1, false);
    else
        sto_build_bytes(run, b, "]", 1, false);
}

static void repr_object(struct sto_run *run, struct sto_builder *b, const struct sto_object *object, unsigned depth)
{
    sto_build_bytes(run, b, "{", 1, false);
    for (size_t i = 0; i < object->n && !run->failed; i++) {
        if (i > 0)
            sto_build_bytes(run, b, ", ", 2, false);
        build_repr(run, b, sto_key_value(object->fields[i].key), depth + 1);
        sto_build_bytes(run, b, ": ", 2, false);
        build_repr(run, b, object->fields[i].value, depth + 1);
    }
    sto_build_bytes(run, b, "}", 1, false);
}

static void repr_thing(struct sto_run *run, struct sto_builder *b, const struct sto_thing *thing, unsigned depth)
{
    static const char *const names[] = {"<macro>", "<function>", "<method>", "<loop>", "", "<cycler>", "<joiner>"};
    if (thing->kind != STO_THING_NAMESPACE) {
        sto_build_bytes(run, b, names[thing->kind], strlen(names[thing->kind]), false);
        return;
    }
    sto_build_bytes(run, b, "<Namespace ", 11, false);
    repr_object(run, b, thing->fields, depth);
    sto_build_bytes(run, b, ">", 1, false);
}

/* null, booleans and numbers: they can hold no special token, and count as the template's. */
static size_t scalar_text(struct sto_value v, char out[STO_FLOAT_TEXT_BYTES])
{
    switch (v.kind) {
    case STO_VALUE_NULL: return (size_t)snprintf(out, STO_FLOAT_TEXT_BYTES, "None");
    case STO_VALUE_BOOL: return (size_t)snprintf(out, STO_FLOAT_TEXT_BYTES, v.boolean ? "True" : "False");
    case STO_VALUE_INT: return (size_t)snprintf(out, STO_FLOAT_TEXT_BYTES, "%" PRId64, v.integer);
    case STO_VALUE_FLOAT: return sto_float_text(v.number, out);
    default: return 0;
    }
}

static void build_repr(struct sto_run *run, struct sto_builder *b, struct sto_value v, unsigned depth)
{
    char scalar[STO_FLOAT_TEXT_BYTES];
    sto_run_charge(run, 0);
    if (depth > MAX_REPR_DEPTH)
        sto_run_fail(run, "a value is nested too deep to be written");
    if (run->failed)
        return;
    switch (v.kind) {
    case STO_VALUE_UNDEFINED: sto_build_bytes(run, b, "Undefined", 9, false); break;
    case STO_VALUE_TEXT: repr_text(run, b, v.text); break;
    case STO_VALUE_LIST: repr_list(run, b, v.list, depth); break;
    case STO_VALUE_OBJECT: repr_object(run, b, v.object, depth); break;
    case STO_VALUE_OPAQUE: repr_thing(run, b, v.opaque, depth); break;
    default: sto_build_bytes(run, b, scalar, scalar_text(v, scalar), false); break;
    }
}

const struct sto_text *sto_to_repr(struct sto_run *run, struct sto_value v)
{
    struct sto_builder b = {0};
    build_repr(run, &b, v, 0);
    return sto_built(run, &b);
}

const struct sto_text *sto_to_text(struct sto_run *run, struct sto_value v)
{
    char scalar[STO_FLOAT_TEXT_BYTES];
    struct sto_builder b = {0};
    if (v.kind == STO_VALUE_TEXT)
        return v.text;
    if (v.kind == STO_VALUE_UNDEFINED)
        return &sto_no_text;
    if (v.kind > STO_VALUE_TEXT)
        return sto_to_repr(run, v);
    sto_build_bytes(run, &b, scalar, scalar_text(v, scalar), true);
    return sto_built(run, &b);
}

/* ---- searching and changing ---- */

size_t sto_find_text(struct sto_run *run, const struct sto_text *t, size_t from, const struct sto_text *needle)
{
    const size_t n = needle->size;
    if (n == 0)
        return from <= t->size ? from : SIZE_MAX;
    size_t pos = from, work = 0, found = SIZE_MAX;
    while (pos + n <= t->size && !run->failed) {
        const char *first = memchr(t->data + pos, needle->data[0], t->size - n - pos + 1);
        if (first == NULL) {
            work += t->size - pos;
            break;
        }
        const size_t candidate = (size_t)(first - t->data);
        size_t same = 1;
        while (same < n && t->data[candidate + same] == needle->data[same])
            same++;
        work += candidate - pos + same;
        if (same == n) {
            found = candidate;
            break;
        }
        if (work > 4096) { /* so that a search stops soon after the limit */
            sto_run_charge(run, work);
            work = 0;
        }
        pos = candidate + 1;
    }
    sto_run_charge(run, work);
    return run->failed ? SIZE_MAX : found;
}

bool sto_is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x1f) || cp == ' ' || cp == 0x85 || cp == 0xa0 ||
           (cp >= 0x80 && (sto_unicode_props(cp) & STO_UNICODE_WHITE) != 0);
}

static bool to_be_stripped(uint32_t cp, const struct sto_text *chars)
{
    if (chars == NULL)
        return sto_is_space(cp);
    for (size_t pos = 0, n; pos < chars->size; pos += n) {
        if (sto_utf8_get(chars->data + pos, chars->size - pos, &n) == cp)
            return true;
    }
    return false;
}

const struct sto_text *sto_strip(struct sto_run *run, const struct sto_text *t, const struct sto_text *chars, int ends)
{
    size_t from = 0, to = t->size, n;
    while ((ends & 1) != 0 && from < to && to_be_stripped(sto_utf8_get(t->data + from, to - from, &n), chars)) {
        sto_run_charge(run, chars != NULL ? chars->size : 1);
        from += n;
    }
    while ((ends & 2) != 0 && to > from && !run->failed) {
        size_t last = to - 1;
        while (last > from && to - last < 4 && ((uint8_t)t->data[last] & 0xc0) == 0x80)
            last--;
        uint32_t cp = sto_utf8_get(t->data + last, to - last, &n);
        if (last + n != to) { /* damaged: the last byte stands alone */
            last = to - 1;
            cp = 0xfffd;
        }
        sto_run_charge(run, chars != NULL ? chars->size : 1);
        if (!to_be_stripped(cp, chars))
            break;
        to = last;
    }
    return sto_slice_text(run, t, from, to);
}

/* count < 0: all. An empty `from` is found between all code points, as in Python. */
const struct sto_text *sto_replace(struct sto_run *run, const struct sto_text *t, const struct sto_text *from,
                                   const struct sto_text *to, int64_t count)
{
    struct sto_builder b = {0};
    size_t pos = 0, kept = 0;
    while (count != 0 && !run->failed) {
        const size_t found = sto_find_text(run, t, pos, from);
        if (found == SIZE_MAX)
            break;
        size_t step = from->size;
        sto_build_slice(run, &b, t, kept, found);
        sto_build(run, &b, to);
        kept = found + from->size;
        if (step == 0) {
            if (found == t->size)
                break;
            (void)sto_utf8_get(t->data + found, t->size - found, &step);
        }
        pos = found + step;
        count -= count > 0 ? 1 : 0;
    }
    if (kept == 0 && b.size == 0)
        return t;
    sto_build_slice(run, &b, t, kept, t->size);
    return sto_built(run, &b);
}

const struct sto_text *sto_mark_safe(struct sto_run *run, const struct sto_text *t)
{
    struct sto_text *marked = sto_run_alloc(run, 1, sizeof *marked);
    if (marked == NULL)
        return &sto_no_text;
    *marked = *t;
    marked->safe = true;
    return marked;
}

const struct sto_text *sto_escape(struct sto_run *run, const struct sto_text *t)
{
    static const char special[] = "&<>\"'";
    static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    struct sto_builder b = {0};
    if (t->safe)
        return t;
    for (size_t i = 0; i < t->size && !run->failed; i++) {
        const char *found = t->data[i] != '\0' ? strchr(special, t->data[i]) : NULL;
        if (found != NULL)
            sto_build_bytes(run, &b, names[found - special], strlen(names[found - special]), sto_origin(t, i));
        else
            sto_build_slice(run, &b, t, i, i + 1);
    }
    return sto_mark_safe(run, sto_built(run, &b));
}

const struct sto_text *sto_change_case(struct sto_run *run, const struct sto_text *t, enum sto_case how)
{
    struct sto_builder b = {0};
    bool in_word = false;
    for (size_t pos = 0, n; pos < t->size && !run->failed; pos += n) {
        char out[4];
        const uint32_t cp = sto_utf8_get(t->data + pos, t->size - pos, &n);
        const unsigned category = sto_unicode_props(cp) & STO_UNICODE_CATEGORY;
        const bool letter = category <= STO_UNICODE_LM;
        const uint32_t lower = sto_unicode_lower(cp), upper = sto_unicode_upper(cp);
        uint32_t changed = lower;
        if (how == STO_CASE_UPPER || (how == STO_CASE_CAPITAL && pos == 0) || (how == STO_CASE_TITLE && !in_word) ||
            (how == STO_CASE_SWAP && upper != cp))
            changed = upper;
        in_word = letter;
        if (changed == cp)
            sto_build_slice(run, &b, t, pos, pos + n);
        else
            sto_build_bytes(run, &b, out, sto_utf8_put(changed, out), sto_origin(t, pos));
    }
    return sto_built(run, &b);
}

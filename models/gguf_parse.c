/* Parses the header of one GGUF file: counts, then metadata, then tensor descriptions.
 *
 *   "GGUF" | version u32 | n_tensors u64 | n_values u64 | values | tensors | padding | tensor data
 *   value:  key string | kind u32 | payload        string: length u64 | bytes
 *   tensor: name string | n_dims u32 | dims u64 ... | type u32 | offset u64 from the start of the data
 *
 * Nothing is believed: whatever a number asks for is compared with what the file has left before it is used. */
#include "models/gguf_impl.h"
#include "models/gguf_types.h"
#include "runtime/base/mem.h"
#include "runtime/formats/formats.h"

#include <stdlib.h>
#include <string.h>

enum {
    MIN_VALUE_BYTES = 8 + 1 + 4 + 1,        /* an empty key is refused, the smallest payload is one byte */
    MIN_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8,
    DEFAULT_ALIGNMENT = 32
};

struct parser {
    struct sto_cursor c;
    const char *name;
    uint64_t file_bytes; /* >= c.size: the bytes behind those at hand */
    bool more;           /* a read went past the bytes at hand, which are not the whole file */
    struct sto_error *err;
};

/* What the file has left, including bytes not at hand. */
static uint64_t file_left(const struct parser *p)
{
    return p->file_bytes - p->c.pos;
}

/* For a read that failed: more bytes are wanted, or the file ends too early. */
static enum sto_status fail_short(struct parser *p, const char *where, struct sto_view name)
{
    p->more = p->c.size < p->file_bytes;
    if (p->more)
        return STO_ERR_MODEL;
    return sto_fail(p->err, STO_ERR_MODEL, "%s: the file ends inside %s%s%.*s%s (%llu bytes): it is incomplete",
                    p->name, where, name.size > 0 ? " '" : "", STO_GGUF_SHOW(name), name.size > 0 ? "'" : "",
                    (unsigned long long)p->file_bytes);
}

static const struct sto_view no_name = {"", 0};

/* A string of at most max_bytes. Its length is compared with the whole file, so that an absurd one is refused at
 * once instead of having the whole file read. */
static enum sto_status parse_string(struct parser *p, uint64_t max_bytes, const char *where, struct sto_view name,
                                    struct sto_view *out)
{
    const uint64_t length = sto_cursor_u64(&p->c);
    if (p->c.failed)
        return fail_short(p, where, name);
    const uint64_t most = max_bytes < file_left(p) ? max_bytes : file_left(p);
    if (length > most)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: %s%s%.*s%s has a length of %llu bytes where at most %llu fit",
                        p->name, where, name.size > 0 ? " '" : "", STO_GGUF_SHOW(name), name.size > 0 ? "'" : "",
                        (unsigned long long)length, (unsigned long long)most);
    const uint8_t *bytes = sto_cursor_take(&p->c, (size_t)length);
    if (bytes == NULL)
        return fail_short(p, where, name);
    *out = (struct sto_view){(const char *)bytes, (size_t)length};
    return STO_OK;
}

/* A key or a tensor's name: not empty, valid UTF-8. */
static enum sto_status parse_name(struct parser *p, uint64_t max_bytes, const char *where, struct sto_view *out)
{
    const enum sto_status status = parse_string(p, max_bytes, where, no_name, out);
    if (status != STO_OK)
        return status;
    if (out->size == 0)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: %s is empty, %llu bytes into the file", p->name, where,
                        (unsigned long long)p->c.pos);
    if (!sto_utf8_valid(out->data, out->size) || memchr(out->data, '\0', out->size) != NULL)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: %s '%.*s' is not valid UTF-8 text", p->name, where,
                        STO_GGUF_SHOW(*out));
    return STO_OK;
}

/* ---- metadata ---- */

/* Bytes of one element; 0 for strings and arrays, whose size varies. */
static uint64_t kind_bytes(enum sto_gguf_kind kind)
{
    switch (kind) {
    case STO_GGUF_U8:
    case STO_GGUF_I8:
    case STO_GGUF_BOOL: return 1;
    case STO_GGUF_U16:
    case STO_GGUF_I16: return 2;
    case STO_GGUF_U32:
    case STO_GGUF_I32:
    case STO_GGUF_F32: return 4;
    case STO_GGUF_U64:
    case STO_GGUF_I64:
    case STO_GGUF_F64: return 8;
    case STO_GGUF_STRING:
    case STO_GGUF_ARRAY: break;
    }
    return 0;
}

static enum sto_status parse_kind(struct parser *p, struct sto_view key, enum sto_gguf_kind *out)
{
    const uint32_t kind = sto_cursor_u32(&p->c);
    if (p->c.failed)
        return fail_short(p, "key", key);
    if (kind > STO_GGUF_F64)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: key '%.*s' has an unknown kind of value, %lu", p->name,
                        STO_GGUF_SHOW(key), (unsigned long)kind);
    *out = (enum sto_gguf_kind)kind;
    return STO_OK;
}

/* count values of a kind of fixed size. */
static enum sto_status skip_plain(struct parser *p, struct sto_view key, enum sto_gguf_kind kind, uint64_t count)
{
    if (count > file_left(p) / kind_bytes(kind))
        return sto_fail(p->err, STO_ERR_MODEL, "%s: key '%.*s' claims %llu elements, more than the file can hold",
                        p->name, STO_GGUF_SHOW(key), (unsigned long long)count);
    const uint8_t *bytes = sto_cursor_take(&p->c, (size_t)(count * kind_bytes(kind)));
    if (bytes == NULL)
        return fail_short(p, "key", key);
    for (uint64_t i = 0; kind == STO_GGUF_BOOL && i < count; i++) {
        if (bytes[i] > 1)
            return sto_fail(p->err, STO_ERR_MODEL,
                            "%s: key '%.*s' holds the byte %u where 0 (false) or 1 (true) belongs", p->name,
                            STO_GGUF_SHOW(key), bytes[i]);
    }
    return STO_OK;
}

/* Checks an array's elements and moves behind them; depth counts the arrays around them. */
static enum sto_status skip_array(struct parser *p, struct sto_view key, int depth, enum sto_gguf_kind *elem_kind,
                                  uint64_t *count)
{
    if (depth > STO_GGUF_MAX_ARRAY_DEPTH)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: key '%.*s' nests arrays more than %d deep", p->name,
                        STO_GGUF_SHOW(key), (int)STO_GGUF_MAX_ARRAY_DEPTH);
    enum sto_status status = parse_kind(p, key, elem_kind);
    if (status != STO_OK)
        return status;
    *count = sto_cursor_u64(&p->c);
    if (p->c.failed)
        return fail_short(p, "key", key);
    if (kind_bytes(*elem_kind) > 0)
        return skip_plain(p, key, *elem_kind, *count);
    const uint64_t least = *elem_kind == STO_GGUF_STRING ? 8 : 12; /* an empty string, an empty array */
    if (*count > file_left(p) / least)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: key '%.*s' claims %llu elements, more than the file can hold",
                        p->name, STO_GGUF_SHOW(key), (unsigned long long)*count);
    for (uint64_t i = 0; i < *count && status == STO_OK; i++) {
        struct sto_view text;
        enum sto_gguf_kind inner_kind;
        uint64_t inner_count;
        status = *elem_kind == STO_GGUF_STRING ? parse_string(p, UINT64_MAX, "key", key, &text)
                                               : skip_array(p, key, depth + 1, &inner_kind, &inner_count);
    }
    return status;
}

static enum sto_status parse_value(struct parser *p, struct sto_gguf_value *v)
{
    enum sto_status status = parse_name(p, STO_GGUF_MAX_KEY_BYTES, "a key", &v->key);
    if (status == STO_OK)
        status = parse_kind(p, v->key, &v->kind);
    if (status != STO_OK)
        return status;
    v->count = 1;
    size_t start = p->c.pos;
    if (v->kind == STO_GGUF_STRING)
        return parse_string(p, UINT64_MAX, "key", v->key, &v->bytes);
    if (v->kind == STO_GGUF_ARRAY) {
        status = skip_array(p, v->key, 1, &v->elem_kind, &v->count);
        start += 12; /* the elements begin behind their kind and count */
    } else {
        status = skip_plain(p, v->key, v->kind, 1);
    }
    if (status == STO_OK)
        v->bytes = (struct sto_view){(const char *)p->c.data + start, p->c.pos - start};
    return status;
}

static bool alignment_ok(uint64_t a)
{
    return a >= 8 && a <= STO_GGUF_MAX_ALIGNMENT && (a & (a - 1)) == 0;
}

/* general.alignment has to be known before the tensors are read. */
static enum sto_status find_alignment(struct parser *p, struct sto_gguf_header *h)
{
    h->alignment = DEFAULT_ALIGNMENT;
    for (size_t i = 0; i < h->n_values; i++) {
        const struct sto_gguf_value *v = &h->values[i];
        if (!sto_view_equals(v->key, "general.alignment"))
            continue;
        if (v->kind != STO_GGUF_U32)
            return sto_fail(p->err, STO_ERR_MODEL, "%s: key 'general.alignment' is not a 32-bit unsigned integer",
                            p->name);
        struct sto_cursor c = sto_cursor_make(v->bytes.data, v->bytes.size);
        h->alignment = sto_cursor_u32(&c);
        if (!alignment_ok(h->alignment))
            return sto_fail(p->err, STO_ERR_MODEL,
                            "%s: key 'general.alignment' is %llu, which is not a power of two from 8 to %d", p->name,
                            (unsigned long long)h->alignment, (int)STO_GGUF_MAX_ALIGNMENT);
    }
    return STO_OK;
}

/* ---- tensors ---- */

/* Bytes of a tensor of a known type, with every product checked. */
static enum sto_status tensor_bytes(struct parser *p, struct sto_gguf_tensor *t)
{
    uint64_t n = 1;
    for (uint32_t d = 0; d < t->n_dims; d++) {
        if (t->dims[d] == 0)
            return sto_fail(p->err, STO_ERR_MODEL, "%s: tensor '%.*s': dimension %lu is 0", p->name,
                            STO_GGUF_SHOW(t->name), (unsigned long)d);
        if (!sto_mul_u64(n, t->dims[d], &n) || n > INT64_MAX)
            return sto_fail(p->err, STO_ERR_MODEL,
                            "%s: tensor '%.*s': dimensions %llu x %llu x %llu x %llu are too many elements", p->name,
                            STO_GGUF_SHOW(t->name), (unsigned long long)t->dims[0], (unsigned long long)t->dims[1],
                            (unsigned long long)t->dims[2], (unsigned long long)t->dims[3]);
    }
    if (t->type == STO_TYPE_COUNT)
        return STO_OK;
    const struct sto_type_info *info = sto_type_get(t->type);
    if (t->dims[0] % info->block_elems != 0)
        return sto_fail(p->err, STO_ERR_MODEL,
                        "%s: tensor '%.*s': rows of %llu elements are not whole blocks of %s (%u)", p->name,
                        STO_GGUF_SHOW(t->name), (unsigned long long)t->dims[0], info->name, info->block_elems);
    if (!sto_mul_u64(n / info->block_elems, info->block_bytes, &t->bytes))
        return sto_fail(p->err, STO_ERR_MODEL, "%s: tensor '%.*s': %llu elements of %s are too many bytes", p->name,
                        STO_GGUF_SHOW(t->name), (unsigned long long)n, info->name);
    return STO_OK;
}

static enum sto_status parse_tensor(struct parser *p, uint64_t alignment, struct sto_gguf_tensor *t)
{
    enum sto_status status = parse_name(p, STO_GGUF_MAX_NAME_BYTES, "a tensor's name", &t->name);
    if (status != STO_OK)
        return status;
    t->n_dims = sto_cursor_u32(&p->c);
    if (p->c.failed)
        return fail_short(p, "tensor", t->name);
    if (t->n_dims < 1 || t->n_dims > STO_GGUF_MAX_DIMS)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: tensor '%.*s' has %lu dimensions (1 to %d)", p->name,
                        STO_GGUF_SHOW(t->name), (unsigned long)t->n_dims, (int)STO_GGUF_MAX_DIMS);
    for (uint32_t d = 0; d < STO_GGUF_MAX_DIMS; d++)
        t->dims[d] = d < t->n_dims ? sto_cursor_u64(&p->c) : 1;
    t->file_type = sto_cursor_u32(&p->c);
    t->offset = sto_cursor_u64(&p->c);
    if (p->c.failed)
        return fail_short(p, "tensor", t->name);
    t->type = sto_gguf_type_of(t->file_type);
    if (t->offset % alignment != 0)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: tensor '%.*s': offset %llu is not a multiple of the alignment %llu",
                        p->name, STO_GGUF_SHOW(t->name), (unsigned long long)t->offset, (unsigned long long)alignment);
    return tensor_bytes(p, t);
}

/* Offsets count from the data's start in the file, and from the file's start in memory. */
static enum sto_status place_tensors(struct parser *p, struct sto_gguf_header *h)
{
    h->data_start = (p->c.pos + h->alignment - 1) / h->alignment * h->alignment;
    for (size_t i = 0; i < h->n_tensors; i++) {
        struct sto_gguf_tensor *t = &h->tensors[i];
        uint64_t end;
        if (!sto_add_u64(t->offset, h->data_start, &end) || !sto_add_u64(end, t->bytes, &end))
            return sto_fail(p->err, STO_ERR_MODEL, "%s: tensor '%.*s': offset %llu plus %llu bytes overflows", p->name,
                            STO_GGUF_SHOW(t->name), (unsigned long long)t->offset, (unsigned long long)t->bytes);
        t->offset += h->data_start;
    }
    return STO_OK;
}

/* ---- the whole ---- */

static enum sto_status parse_start(struct parser *p, struct sto_gguf_header *h)
{
    if (p->file_bytes == 0)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: the file is empty", p->name);
    const uint8_t *magic = sto_cursor_take(&p->c, 4);
    if (magic == NULL)
        return fail_short(p, "the magic number", no_name);
    if (memcmp(magic, "GGUF", 4) != 0)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: not a GGUF file: it begins with the bytes %02x %02x %02x %02x",
                        p->name, magic[0], magic[1], magic[2], magic[3]);
    h->version = sto_cursor_u32(&p->c);
    if (p->c.failed)
        return fail_short(p, "the version number", no_name);
    if (h->version == 1)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: GGUF version 1 is not supported (2 and 3 are): convert it anew",
                        p->name);
    if ((h->version & 0xffff) == 0 && h->version != 0)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: a big-endian GGUF file; only little-endian ones are supported",
                        p->name);
    if (h->version != 2 && h->version != 3)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: GGUF version %lu is not supported (2 and 3 are)", p->name,
                        (unsigned long)h->version);
    return STO_OK;
}

/* Reads both counts and makes room; each entry takes a least number of bytes, which bounds what a count can ask. */
static enum sto_status parse_counts(struct parser *p, struct sto_gguf_header *h)
{
    const uint64_t n_tensors = sto_cursor_u64(&p->c);
    const uint64_t n_values = sto_cursor_u64(&p->c);
    if (p->c.failed)
        return fail_short(p, "the counts of tensors and keys", no_name);
    if (n_tensors > STO_GGUF_MAX_TENSORS || n_tensors > file_left(p) / MIN_TENSOR_BYTES)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: the header claims %llu tensors, more than %s", p->name,
                        (unsigned long long)n_tensors,
                        n_tensors > STO_GGUF_MAX_TENSORS ? "the limit of 1048576" : "the file can hold");
    if (n_values > STO_GGUF_MAX_KEYS || n_values > file_left(p) / MIN_VALUE_BYTES)
        return sto_fail(p->err, STO_ERR_MODEL, "%s: the header claims %llu keys, more than %s", p->name,
                        (unsigned long long)n_values,
                        n_values > STO_GGUF_MAX_KEYS ? "the limit of 1048576" : "the file can hold");
    h->n_values = (size_t)n_values;
    h->n_tensors = (size_t)n_tensors;
    h->values = sto_calloc(h->n_values, sizeof *h->values);
    h->tensors = sto_calloc(h->n_tensors, sizeof *h->tensors);
    if (h->values == NULL || h->tensors == NULL)
        return sto_fail(p->err, STO_ERR_FAILED, "%s: out of memory for %zu keys and %zu tensors", p->name, h->n_values,
                        h->n_tensors);
    return STO_OK;
}

enum sto_status sto_gguf_header_parse(const char *name, const void *data, size_t avail, uint64_t file_bytes,
                                      struct sto_gguf_header *out, bool *more, struct sto_error *err)
{
    struct parser p = {.c = sto_cursor_make(data, avail), .name = name, .file_bytes = file_bytes, .err = err};
    *out = (struct sto_gguf_header){0};
    enum sto_status status = parse_start(&p, out);
    if (status == STO_OK)
        status = parse_counts(&p, out);
    for (size_t i = 0; status == STO_OK && i < out->n_values; i++)
        status = parse_value(&p, &out->values[i]);
    if (status == STO_OK)
        status = find_alignment(&p, out);
    for (size_t i = 0; status == STO_OK && i < out->n_tensors; i++)
        status = parse_tensor(&p, out->alignment, &out->tensors[i]);
    if (status == STO_OK)
        status = place_tensors(&p, out);
    if (status != STO_OK)
        sto_gguf_header_free(out);
    *more = p.more;
    return status;
}

void sto_gguf_header_free(struct sto_gguf_header *header)
{
    sto_free(header->values);
    sto_free(header->tensors);
    *header = (struct sto_gguf_header){0};
}

/* ---- layout ---- */

static int by_offset(const void *a, const void *b)
{
    const struct sto_gguf_tensor *const *x = a, *const *y = b;
    return (*x)->offset < (*y)->offset ? -1 : (*x)->offset > (*y)->offset;
}

/* Tensors in the order of their data; files nearly always list them so, which qsort would not thank us for. */
static enum sto_status check_overlap(const char *name, const struct sto_gguf_header *h, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    const struct sto_gguf_tensor **order = sto_calloc(h->n_tensors, sizeof(*order));
    if (order == NULL)
        return sto_fail(err, STO_ERR_FAILED, "%s: out of memory for %zu tensors", name, h->n_tensors);
    bool sorted = true;
    for (size_t i = 0; i < h->n_tensors; i++) {
        order[i] = &h->tensors[i];
        sorted = sorted && (i == 0 || order[i - 1]->offset <= order[i]->offset);
    }
    if (!sorted)
        qsort(order, h->n_tensors, sizeof(*order), by_offset);
    for (size_t i = 1; i < h->n_tensors && status == STO_OK; i++) {
        const struct sto_gguf_tensor *a = order[i - 1], *b = order[i];
        if (a->offset == b->offset || a->offset + a->bytes > b->offset)
            status = sto_fail(err, STO_ERR_MODEL, "%s: tensors '%.*s' and '%.*s' overlap at byte %llu", name,
                              STO_GGUF_SHOW(a->name), STO_GGUF_SHOW(b->name), (unsigned long long)b->offset);
    }
    sto_free(order);
    return status;
}

enum sto_status sto_gguf_layout_check(const char *name, const struct sto_gguf_header *header, uint64_t file_bytes,
                                      bool header_only, bool *has_data, struct sto_error *err)
{
    for (size_t i = 0; i < header->n_tensors; i++) {
        const struct sto_gguf_tensor *t = &header->tensors[i];
        if (t->offset < file_bytes && t->bytes <= file_bytes - t->offset)
            continue;
        if (!header_only)
            return sto_fail(err, STO_ERR_MODEL,
                            "%s: tensor '%.*s' takes %llu bytes at %llu but the file has %llu: it is incomplete", name,
                            STO_GGUF_SHOW(t->name), (unsigned long long)t->bytes, (unsigned long long)t->offset,
                            (unsigned long long)file_bytes);
        *has_data = false;
    }
    return check_overlap(name, header, err);
}

/* Device snapshots as text: one table of fields drives printing and parsing.
 *
 *   key value                      scalars; flags are 0 or 1; # begins a comment line
 *   heap BYTES BUDGET USAGE FLAGS  and memory_type HEAP FLAGS, queue_family COUNT BITS FLAGS, coopmat ...: one per line
 *
 * Text comes from files, so it is parsed as hostile. */
#include "runtime/vk/snapshot.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/cursor.h"

enum field_kind {
    FIELD_TEXT, FIELD_U32, FIELD_HEX32, FIELD_U64, FIELD_BOOL, FIELD_FLOAT, FIELD_KIND, FIELD_UUID, FIELD_U32X3
};

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset;
};

#define FIELD(kind, name) {#name, kind, offsetof(struct sto_device_snapshot, name)}
static const struct field fields[] = {
    FIELD(FIELD_TEXT, name),
    FIELD(FIELD_TEXT, driver_name),
    FIELD(FIELD_TEXT, driver_info),
    FIELD(FIELD_HEX32, vendor_id),
    FIELD(FIELD_HEX32, device_id),
    FIELD(FIELD_U32, driver_id),
    FIELD(FIELD_HEX32, driver_version),
    FIELD(FIELD_HEX32, api_version),
    FIELD(FIELD_KIND, kind),
    FIELD(FIELD_UUID, pipeline_cache_uuid),
    FIELD(FIELD_U32, max_workgroup_invocations),
    FIELD(FIELD_U32X3, max_workgroup_size),
    FIELD(FIELD_U32X3, max_workgroup_count),
    FIELD(FIELD_U32, max_shared_bytes),
    FIELD(FIELD_U32, max_push_bytes),
    FIELD(FIELD_U32, max_allocations),
    FIELD(FIELD_U32, shader_cores),
    FIELD(FIELD_U64, max_buffer_bytes),
    FIELD(FIELD_U64, max_allocation_bytes),
    FIELD(FIELD_U64, max_storage_range_bytes),
    FIELD(FIELD_U64, min_import_alignment_bytes),
    FIELD(FIELD_U64, non_coherent_atom_bytes),
    FIELD(FIELD_U64, copy_alignment_bytes),
    FIELD(FIELD_FLOAT, timestamp_period_ns),
    FIELD(FIELD_U32, subgroup_size),
    FIELD(FIELD_U32, min_subgroup_size),
    FIELD(FIELD_U32, max_subgroup_size),
    FIELD(FIELD_BOOL, subgroup_size_control),
    FIELD(FIELD_BOOL, full_subgroups),
    FIELD(FIELD_BOOL, subgroup_arithmetic),
    FIELD(FIELD_BOOL, subgroup_shuffle),
    FIELD(FIELD_BOOL, subgroup_ballot),
    FIELD(FIELD_BOOL, subgroup_vote),
    FIELD(FIELD_BOOL, buffer_device_address),
    FIELD(FIELD_BOOL, timeline_semaphore),
    FIELD(FIELD_BOOL, synchronization2),
    FIELD(FIELD_BOOL, maintenance4),
    FIELD(FIELD_BOOL, shader_int64),
    FIELD(FIELD_BOOL, shader_int16),
    FIELD(FIELD_BOOL, shader_int8),
    FIELD(FIELD_BOOL, shader_float16),
    FIELD(FIELD_BOOL, storage_16bit),
    FIELD(FIELD_BOOL, storage_8bit),
    FIELD(FIELD_BOOL, push_constant_16bit),
    FIELD(FIELD_BOOL, int_dot_product),
    FIELD(FIELD_BOOL, int_dot_4x8_accelerated),
    FIELD(FIELD_BOOL, vulkan_memory_model),
    FIELD(FIELD_BOOL, scalar_block_layout),
    FIELD(FIELD_BOOL, pipeline_creation_feedback),
    FIELD(FIELD_BOOL, host_query_reset),
    FIELD(FIELD_BOOL, ext_memory_budget),
    FIELD(FIELD_BOOL, ext_memory_priority),
    FIELD(FIELD_BOOL, ext_external_memory_host),
    FIELD(FIELD_BOOL, ext_pipeline_executable_properties),
    FIELD(FIELD_BOOL, ext_calibrated_timestamps),
    FIELD(FIELD_BOOL, ext_cooperative_matrix),
    FIELD(FIELD_BOOL, ext_cooperative_matrix2),
    FIELD(FIELD_BOOL, ext_pci_bus_info),
    FIELD(FIELD_BOOL, ext_portability_subset),
};
enum { N_FIELDS = sizeof fields / sizeof *fields, TEXT_BYTES = 256, MAX_WORDS = 12 };

static const char *const kinds[] = {[STO_DEVICE_OTHER] = "other", [STO_DEVICE_INTEGRATED] = "integrated",
                                    [STO_DEVICE_DISCRETE] = "discrete", [STO_DEVICE_VIRTUAL] = "virtual",
                                    [STO_DEVICE_CPU] = "cpu"};

/* Flags of heaps, memory types and queue families, in the order of their bits in a list. */
static const char *const heap_flags[] = {"device_local"};
static const char *const type_flags[] = {"device_local",     "host_visible",     "host_coherent",  "host_cached",
                                         "lazily_allocated", "protected_memory", "device_uncached"};
static const char *const queue_flags[] = {"graphics", "compute", "transfer", "sparse"};
#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- printing ---- */

struct printer {
    char *text;
    size_t size, length; /* length: what it would be with room for all */
};

static void put(struct printer *p, const char *fmt, ...) STO_PRINTF(2, 3);
static void put(struct printer *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const size_t room = p->length < p->size ? p->size - p->length : 0;
    const int n = vsnprintf(room > 0 ? p->text + p->length : NULL, room, fmt, args);
    va_end(args);
    p->length += n > 0 ? (size_t)n : 0;
}

/* Without the decimal point of a locale; 12 decimals, which is exact for periods of clocks. */
static void put_float(struct printer *p, float value)
{
    const bool sane = value > 0.0f && value < 1e6f;
    const double whole = sane ? (double)(uint64_t)value : 0.0;
    const double rest = sane ? (double)value - whole : 0.0;
    put(p, "%" PRIu64 ".%012" PRIu64, (uint64_t)whole, (uint64_t)(rest * 1e12 + 0.5));
}

static void put_flags(struct printer *p, const bool *flags, const char *const *names, size_t n)
{
    const char *separator = " ";
    for (size_t i = 0; i < n; i++) {
        if (!flags[i])
            continue;
        put(p, "%s%s", separator, names[i]);
        separator = ",";
    }
    put(p, "%s\n", separator[0] == ' ' ? " -" : "");
}

/* Text of a driver with control characters replaced, so that a line stays a line. */
static void put_text(struct printer *p, const char *text)
{
    for (; *text != '\0'; text++)
        put(p, "%c", (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void put_field(struct printer *p, const struct field *f, const struct sto_device_snapshot *s)
{
    const char *at = (const char *)s + f->offset;
    uint32_t u32[3] = {0};
    uint64_t u64 = 0;
    if (f->kind == FIELD_U32 || f->kind == FIELD_HEX32)
        memcpy(u32, at, sizeof *u32);
    put(p, "%s ", f->key);
    switch (f->kind) {
    case FIELD_TEXT: put_text(p, at); break;
    case FIELD_U32: put(p, "%" PRIu32, u32[0]); break;
    case FIELD_HEX32: put(p, "0x%" PRIx32, u32[0]); break;
    case FIELD_U64:
        memcpy(&u64, at, sizeof u64);
        put(p, "%" PRIu64, u64);
        break;
    case FIELD_BOOL: put(p, "%d", *(const bool *)at ? 1 : 0); break;
    case FIELD_FLOAT: put_float(p, s->timestamp_period_ns); break;
    case FIELD_KIND: put(p, "%s", kinds[s->kind]); break;
    case FIELD_UUID:
        for (size_t i = 0; i < sizeof s->pipeline_cache_uuid; i++)
            put(p, "%02x", s->pipeline_cache_uuid[i]);
        break;
    case FIELD_U32X3:
        memcpy(u32, at, sizeof u32);
        put(p, "%" PRIu32 " %" PRIu32 " %" PRIu32, u32[0], u32[1], u32[2]);
        break;
    }
    put(p, "\n");
}

size_t sto_snapshot_print(const struct sto_device_snapshot *s, char *text, size_t size)
{
    struct printer p = {.text = text, .size = size};
    if (size > 0)
        text[0] = '\0';
    for (size_t i = 0; i < N_FIELDS; i++)
        put_field(&p, &fields[i], s);
    for (uint32_t i = 0; i < s->n_heaps; i++) {
        put(&p, "heap %" PRIu64 " %" PRIu64 " %" PRIu64, s->heaps[i].bytes, s->heaps[i].budget_bytes,
            s->heaps[i].usage_bytes);
        put_flags(&p, &s->heaps[i].device_local, heap_flags, COUNT(heap_flags));
    }
    for (uint32_t i = 0; i < s->n_memory_types; i++) {
        const bool flags[] = {s->memory_types[i].device_local,     s->memory_types[i].host_visible,
                              s->memory_types[i].host_coherent,    s->memory_types[i].host_cached,
                              s->memory_types[i].lazily_allocated, s->memory_types[i].protected_memory,
                              s->memory_types[i].device_uncached};
        put(&p, "memory_type %" PRIu32, s->memory_types[i].heap);
        put_flags(&p, flags, type_flags, COUNT(type_flags));
    }
    for (uint32_t i = 0; i < s->n_queue_families; i++) {
        const bool flags[] = {s->queue_families[i].graphics, s->queue_families[i].compute,
                              s->queue_families[i].transfer, s->queue_families[i].sparse};
        put(&p, "queue_family %" PRIu32 " %" PRIu32, s->queue_families[i].count, s->queue_families[i].timestamp_bits);
        put_flags(&p, flags, queue_flags, COUNT(queue_flags));
    }
    for (uint32_t i = 0; i < s->n_coopmat_shapes; i++) {
        put(&p, "coopmat %" PRIu32 " %" PRIu32 " %" PRIu32, s->coopmat_shapes[i].m, s->coopmat_shapes[i].n,
            s->coopmat_shapes[i].k);
        put(&p, " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32, s->coopmat_shapes[i].a_type,
            s->coopmat_shapes[i].b_type, s->coopmat_shapes[i].c_type, s->coopmat_shapes[i].result_type);
        put(&p, " %d %" PRIu32 "\n", s->coopmat_shapes[i].saturating ? 1 : 0, s->coopmat_shapes[i].scope);
    }
    return p.length;
}

/* ---- parsing ---- */

struct line {
    struct sto_view words[MAX_WORDS]; /* words[0] is the key */
    uint32_t n_words;
    struct sto_view rest; /* all after the key */
};

static void split(struct sto_view text, struct line *line)
{
    *line = (struct line){0};
    size_t i = 0;
    while (i < text.size) {
        while (i < text.size && text.data[i] == ' ')
            i++;
        const size_t begin = i;
        while (i < text.size && text.data[i] != ' ')
            i++;
        if (i == begin)
            continue;
        if (line->n_words < MAX_WORDS)
            line->words[line->n_words] = (struct sto_view){text.data + begin, i - begin};
        line->n_words++;
        if (line->n_words == 1) {
            const size_t skip = i < text.size ? i + 1 : i;
            line->rest = (struct sto_view){text.data + skip, text.size - skip};
        }
    }
}

/* A decimal or 0x number of at most max. */
static bool parse_u64(struct sto_view v, uint64_t max, uint64_t *out)
{
    const bool hex = v.size > 2 && v.data[0] == '0' && v.data[1] == 'x';
    const uint64_t base = hex ? 16 : 10;
    uint64_t value = 0;
    if (v.size == 0)
        return false;
    for (size_t i = hex ? 2 : 0; i < v.size; i++) {
        const char c = v.data[i];
        uint64_t digit = 16;
        if (c >= '0' && c <= '9')
            digit = (uint64_t)(c - '0');
        else if (hex && c >= 'a' && c <= 'f')
            digit = (uint64_t)(c - 'a') + 10;
        if (digit >= base || !sto_mul_u64(value, base, &value) || !sto_add_u64(value, digit, &value))
            return false;
    }
    *out = value;
    return value <= max;
}

static bool parse_u32(struct sto_view v, uint32_t *out)
{
    uint64_t value = 0;
    if (!parse_u64(v, UINT32_MAX, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool parse_bool(struct sto_view v, bool *out)
{
    *out = sto_view_equals(v, "1");
    return *out || sto_view_equals(v, "0");
}

/* 123.456, at most 12 decimals. */
static bool parse_float(struct sto_view v, float *out)
{
    size_t dot = 0;
    while (dot < v.size && v.data[dot] != '.')
        dot++;
    uint64_t whole = 0, rest = 0;
    double scale = 1.0;
    if (v.size > 2 && v.data[1] == 'x')
        return false;
    if (!parse_u64((struct sto_view){v.data, dot}, 1000000, &whole))
        return false;
    if (dot < v.size) {
        const struct sto_view digits = {v.data + dot + 1, v.size - dot - 1};
        if (digits.size > 12 || (digits.size > 1 && digits.data[1] == 'x') || !parse_u64(digits, UINT64_MAX, &rest))
            return false;
        for (size_t i = 0; i < digits.size; i++)
            scale *= 10.0;
    }
    *out = (float)((double)whole + (double)rest / scale);
    return true;
}

static bool parse_uuid(struct sto_view v, uint8_t *out)
{
    if (v.size != 32)
        return false;
    for (size_t i = 0; i < 32; i++) {
        const char c = v.data[i];
        const bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
        if (!digit && !letter)
            return false;
        const uint8_t nibble = (uint8_t)(digit ? c - '0' : c - 'a' + 10);
        out[i / 2] = (uint8_t)(i % 2 == 0 ? nibble << 4 : out[i / 2] | nibble);
    }
    return true;
}

static bool parse_text(struct sto_view v, char *out)
{
    if (v.size >= TEXT_BYTES || memchr(v.data, 0, v.size) != NULL)
        return false;
    memcpy(out, v.data, v.size);
    out[v.size] = '\0';
    return true;
}

/* "a,b" into one bool per name; "-" is none. */
static bool parse_flags(struct sto_view v, bool *flags, const char *const *names, size_t n)
{
    memset(flags, 0, n * sizeof *flags);
    if (sto_view_equals(v, "-"))
        return true;
    for (size_t begin = 0; begin <= v.size;) {
        size_t end = begin;
        while (end < v.size && v.data[end] != ',')
            end++;
        size_t i = 0;
        while (i < n && !sto_view_equals((struct sto_view){v.data + begin, end - begin}, names[i]))
            i++;
        if (i == n)
            return false;
        flags[i] = true;
        begin = end + 1;
    }
    return true;
}

static bool parse_field(const struct field *f, const struct line *l, struct sto_device_snapshot *s)
{
    char *at = (char *)s + f->offset;
    if (f->kind == FIELD_TEXT)
        return parse_text(l->rest, at);
    if (l->n_words != (f->kind == FIELD_U32X3 ? 4 : 2))
        return false;
    uint32_t u32[3] = {0};
    uint64_t u64 = 0;
    bool ok = true;
    switch (f->kind) {
    case FIELD_U64:
        ok = parse_u64(l->words[1], UINT64_MAX, &u64);
        memcpy(at, &u64, sizeof u64);
        return ok;
    case FIELD_BOOL: return parse_bool(l->words[1], (bool *)at);
    case FIELD_FLOAT: return parse_float(l->words[1], &s->timestamp_period_ns);
    case FIELD_UUID: return parse_uuid(l->words[1], s->pipeline_cache_uuid);
    case FIELD_KIND:
        for (size_t i = 0; i < COUNT(kinds); i++) {
            if (sto_view_equals(l->words[1], kinds[i])) {
                s->kind = (enum sto_device_kind)i;
                return true;
            }
        }
        return false;
    default: break; /* one or three u32 */
    }
    const size_t n = f->kind == FIELD_U32X3 ? 3 : 1;
    for (size_t i = 0; i < n && ok; i++)
        ok = parse_u32(l->words[1 + i], &u32[i]);
    memcpy(at, u32, n * sizeof *u32);
    return ok;
}

static bool parse_heap(const struct line *l, struct sto_device_snapshot *s)
{
    bool flags[COUNT(heap_flags)];
    if (s->n_heaps == STO_MAX_HEAPS || l->n_words != 5 ||
        !parse_u64(l->words[1], UINT64_MAX, &s->heaps[s->n_heaps].bytes) ||
        !parse_u64(l->words[2], UINT64_MAX, &s->heaps[s->n_heaps].budget_bytes) ||
        !parse_u64(l->words[3], UINT64_MAX, &s->heaps[s->n_heaps].usage_bytes) ||
        !parse_flags(l->words[4], flags, heap_flags, COUNT(heap_flags)))
        return false;
    s->heaps[s->n_heaps++].device_local = flags[0];
    return true;
}

/* Heaps come before the memory types that are in them. */
static bool parse_memory_type(const struct line *l, struct sto_device_snapshot *s)
{
    bool f[COUNT(type_flags)];
    const uint32_t i = s->n_memory_types;
    if (i == STO_MAX_MEMORY_TYPES || l->n_words != 3 || !parse_u32(l->words[1], &s->memory_types[i].heap) ||
        s->memory_types[i].heap >= s->n_heaps || !parse_flags(l->words[2], f, type_flags, COUNT(type_flags)))
        return false;
    s->memory_types[i].device_local = f[0];
    s->memory_types[i].host_visible = f[1];
    s->memory_types[i].host_coherent = f[2];
    s->memory_types[i].host_cached = f[3];
    s->memory_types[i].lazily_allocated = f[4];
    s->memory_types[i].protected_memory = f[5];
    s->memory_types[i].device_uncached = f[6];
    s->n_memory_types++;
    return true;
}

static bool parse_queue_family(const struct line *l, struct sto_device_snapshot *s)
{
    bool f[COUNT(queue_flags)];
    const uint32_t i = s->n_queue_families;
    if (i == STO_MAX_QUEUE_FAMILIES || l->n_words != 4 || !parse_u32(l->words[1], &s->queue_families[i].count) ||
        !parse_u32(l->words[2], &s->queue_families[i].timestamp_bits) ||
        !parse_flags(l->words[3], f, queue_flags, COUNT(queue_flags)))
        return false;
    s->queue_families[i].graphics = f[0];
    s->queue_families[i].compute = f[1];
    s->queue_families[i].transfer = f[2];
    s->queue_families[i].sparse = f[3];
    s->n_queue_families++;
    return true;
}

static bool parse_coopmat(const struct line *l, struct sto_device_snapshot *s)
{
    const uint32_t i = s->n_coopmat_shapes;
    if (i == STO_MAX_COOPMAT_SHAPES || l->n_words != 10)
        return false;
    uint32_t *const numbers[] = {&s->coopmat_shapes[i].m,          &s->coopmat_shapes[i].n,
                                 &s->coopmat_shapes[i].k,          &s->coopmat_shapes[i].a_type,
                                 &s->coopmat_shapes[i].b_type,     &s->coopmat_shapes[i].c_type,
                                 &s->coopmat_shapes[i].result_type};
    for (size_t j = 0; j < COUNT(numbers); j++) {
        if (!parse_u32(l->words[1 + j], numbers[j]))
            return false;
    }
    if (!parse_bool(l->words[8], &s->coopmat_shapes[i].saturating) ||
        !parse_u32(l->words[9], &s->coopmat_shapes[i].scope))
        return false;
    s->n_coopmat_shapes++;
    return true;
}

/* Takes one line in; false when the value is not one that the key can have. *known is false for a foreign key. */
static bool parse_line(const struct line *l, struct sto_device_snapshot *s, bool *seen, bool *known)
{
    static const struct {
        const char *key;
        bool (*parse)(const struct line *l, struct sto_device_snapshot *s);
    } lists[] = {{"heap", parse_heap},
                 {"memory_type", parse_memory_type},
                 {"queue_family", parse_queue_family},
                 {"coopmat", parse_coopmat}};
    *known = true;
    for (size_t i = 0; i < COUNT(lists); i++) {
        if (sto_view_equals(l->words[0], lists[i].key))
            return lists[i].parse(l, s);
    }
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (!sto_view_equals(l->words[0], fields[i].key))
            continue;
        if (seen[i])
            return false;
        seen[i] = true;
        return parse_field(&fields[i], l, s);
    }
    *known = false;
    return false;
}

enum sto_status sto_snapshot_parse(const char *name, const char *text, size_t size, struct sto_device_snapshot *out,
                                   struct sto_error *err)
{
    bool seen[N_FIELDS] = {false};
    memset(out, 0, sizeof *out);
    unsigned number = 0;
    for (size_t begin = 0; begin < size;) {
        size_t end = begin;
        while (end < size && text[end] != '\n')
            end++;
        struct line line;
        split((struct sto_view){text + begin, end - begin}, &line);
        number++;
        begin = end + 1;
        if (line.n_words == 0 || line.words[0].data[0] == '#')
            continue;
        bool known;
        if (parse_line(&line, out, seen, &known))
            continue;
        const int key = line.words[0].size < 40 ? (int)line.words[0].size : 40;
        const int value = line.rest.size < 80 ? (int)line.rest.size : 80;
        if (!known)
            return sto_fail(err, STO_ERR_USAGE, "%s:%u: no device has a '%.*s'", name, number, key, line.words[0].data);
        return sto_fail(err, STO_ERR_USAGE, "%s:%u: %.*s cannot be '%.*s' here", name, number, key, line.words[0].data,
                        value, line.rest.data);
    }
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (!seen[i] && (fields[i].kind == FIELD_TEXT ? i == 0 : strcmp(fields[i].key, "api_version") == 0))
            return sto_fail(err, STO_ERR_USAGE, "%s: not a device snapshot: it has no %s", name, fields[i].key);
    }
    return STO_OK;
}

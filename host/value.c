/* Making, finding and copying values. Objects are arrays of fields; from a certain size on with an index by hash. */
#include "host/value.h"

#include <string.h>

#include "host/json.h"
#include "runtime/base/os.h"

enum { INDEXED_FROM = 16, MAX_FIELDS = 1 << 28 };

const char *sto_value_kind_name(enum sto_value_kind kind)
{
    switch (kind) {
    case STO_VALUE_UNDEFINED: return "undefined";
    case STO_VALUE_NULL: return "null";
    case STO_VALUE_BOOL: return "boolean";
    case STO_VALUE_INT: return "integer";
    case STO_VALUE_FLOAT: return "float";
    case STO_VALUE_TEXT: return "text";
    case STO_VALUE_LIST: return "list";
    case STO_VALUE_OBJECT: return "object";
    case STO_VALUE_OPAQUE: return "callable";
    }
    return "?";
}

/* ---- text ---- */

static struct sto_text *make_text(struct sto_arena *arena, const char *data, size_t size)
{
    struct sto_text *text = sto_arena_alloc(arena, 1, sizeof *text);
    char *copy = text != NULL ? sto_arena_strndup(arena, data, size) : NULL;
    if (copy == NULL)
        return NULL;
    text->data = copy;
    text->size = size;
    return text;
}

struct sto_value sto_value_text(struct sto_arena *arena, const char *data, size_t size)
{
    const struct sto_text *text = make_text(arena, data, size);
    return text != NULL ? (struct sto_value){.kind = STO_VALUE_TEXT, .text = text} : sto_value_undefined();
}

struct sto_value sto_value_string(struct sto_arena *arena, const char *s)
{
    return sto_value_text(arena, s, strlen(s));
}

bool sto_text_equals(const struct sto_text *a, const struct sto_text *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

struct sto_view sto_value_view(struct sto_value v)
{
    return v.kind == STO_VALUE_TEXT ? (struct sto_view){v.text->data, v.text->size} : (struct sto_view){"", 0};
}

bool sto_value_is_text(struct sto_value v, const char *text)
{
    return v.kind == STO_VALUE_TEXT && sto_view_equals(sto_value_view(v), text);
}

/* ---- lists ---- */

struct sto_list *sto_list_create(struct sto_arena *arena)
{
    return sto_arena_alloc(arena, 1, sizeof(struct sto_list));
}

bool sto_list_add(struct sto_arena *arena, struct sto_list *list, struct sto_value value)
{
    if (list->n == list->capacity) {
        const size_t capacity = list->capacity == 0 ? 4 : list->capacity * 2;
        struct sto_value *items = sto_arena_alloc(arena, capacity, sizeof *items);
        if (items == NULL)
            return false;
        if (list->n > 0)
            memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->n++] = value;
    return true;
}

/* ---- objects ---- */

struct sto_object *sto_object_create(struct sto_arena *arena)
{
    return sto_arena_alloc(arena, 1, sizeof(struct sto_object));
}

/* FNV-1a from a secret beginning, then mixed so that the low bits depend on all others. */
static uint64_t hash(uint64_t seed, const char *key, size_t size)
{
    uint64_t h = seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) {
        h = (h ^ (uint8_t)key[i]) * 0x100000001b3u;
        h ^= h >> 32;
    }
    h = (h ^ seed) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

/* The slot of a key in the index: the one that holds it, or the empty one where it would go. */
static uint32_t *slot_of(const struct sto_object *o, const char *key, size_t size)
{
    for (size_t i = (size_t)hash(o->seed, key, size);; i++) {
        uint32_t *slot = &o->slots[i & (o->n_slots - 1)];
        if (*slot == 0)
            return slot;
        const struct sto_text *k = o->fields[*slot - 1].key;
        if (k->size == size && memcmp(k->data, key, size) == 0)
            return slot;
    }
}

static struct sto_field *find_field(const struct sto_object *o, const char *key, size_t size)
{
    if (o->slots != NULL) {
        const uint32_t slot = *slot_of(o, key, size);
        return slot != 0 ? &o->fields[slot - 1] : NULL;
    }
    for (size_t i = 0; i < o->n; i++) {
        const struct sto_text *k = o->fields[i].key;
        if (k->size == size && (size == 0 || memcmp(k->data, key, size) == 0))
            return &o->fields[i];
    }
    return NULL;
}

/* Room for one more field, in the array and in the index. */
static bool grow(struct sto_arena *arena, struct sto_object *o)
{
    if (o->n < o->capacity)
        return true;
    const size_t capacity = o->capacity == 0 ? 8 : o->capacity * 2;
    struct sto_field *fields = capacity <= MAX_FIELDS ? sto_arena_alloc(arena, capacity, sizeof *fields) : NULL;
    uint32_t *slots = NULL;
    if (fields == NULL)
        return false;
    if (capacity > INDEXED_FROM && (slots = sto_arena_alloc(arena, capacity * 2, sizeof *slots)) == NULL)
        return false;
    if (o->n > 0)
        memcpy(fields, o->fields, o->n * sizeof *fields);
    o->fields = fields;
    o->capacity = capacity;
    if (slots == NULL)
        return true;
    o->slots = slots;
    o->n_slots = capacity * 2;
    o->seed = sto_wall_seed();
    for (size_t i = 0; i < o->n; i++)
        *slot_of(o, fields[i].key->data, fields[i].key->size) = (uint32_t)i + 1;
    return true;
}

bool sto_object_set_text(struct sto_arena *arena, struct sto_object *object, const struct sto_text *key,
                         struct sto_value value)
{
    struct sto_field *field = find_field(object, key->data, key->size);
    if (field != NULL) {
        field->value = value;
        return true;
    }
    if (!grow(arena, object))
        return false;
    object->fields[object->n++] = (struct sto_field){key, value};
    if (object->slots != NULL)
        *slot_of(object, key->data, key->size) = (uint32_t)object->n;
    return true;
}

bool sto_object_set(struct sto_arena *arena, struct sto_object *object, const char *key, struct sto_value value)
{
    const struct sto_text *text = make_text(arena, key, strlen(key));
    return text != NULL && sto_object_set_text(arena, object, text, value);
}

const struct sto_value *sto_object_find(const struct sto_object *object, const char *key, size_t size)
{
    const struct sto_field *field = find_field(object, key, size);
    return field != NULL ? &field->value : NULL;
}

struct sto_value sto_value_get(struct sto_value object, const char *key)
{
    const struct sto_value *v =
        object.kind == STO_VALUE_OBJECT ? sto_object_find(object.object, key, strlen(key)) : NULL;
    return v != NULL ? *v : sto_value_undefined();
}

/* ---- copies ---- */

static bool copy_text(struct sto_arena *arena, const struct sto_text *text, const struct sto_text **out)
{
    struct sto_text *copy = make_text(arena, text->data, text->size);
    if (copy == NULL)
        return false;
    copy->from_template = text->from_template;
    if (text->origins != NULL) {
        uint8_t *origins = sto_arena_alloc(arena, text->size, 1);
        if (origins == NULL)
            return false;
        memcpy(origins, text->origins, text->size);
        copy->origins = origins;
    }
    *out = copy;
    return true;
}

static bool copy_value(struct sto_arena *arena, struct sto_value v, unsigned depth, struct sto_value *out);

static bool copy_list(struct sto_arena *arena, const struct sto_list *list, unsigned depth, struct sto_value *out)
{
    struct sto_list *copy = sto_list_create(arena);
    bool ok = copy != NULL;
    for (size_t i = 0; ok && i < list->n; i++) {
        struct sto_value item;
        ok = copy_value(arena, list->items[i], depth + 1, &item) && sto_list_add(arena, copy, item);
    }
    *out = sto_value_of_list(copy);
    return ok;
}

static bool copy_object(struct sto_arena *arena, const struct sto_object *object, unsigned depth, struct sto_value *out)
{
    struct sto_object *copy = sto_object_create(arena);
    bool ok = copy != NULL;
    for (size_t i = 0; ok && i < object->n; i++) {
        const struct sto_text *key = NULL;
        struct sto_value value;
        ok = copy_text(arena, object->fields[i].key, &key) &&
             copy_value(arena, object->fields[i].value, depth + 1, &value) &&
             sto_object_set_text(arena, copy, key, value);
    }
    *out = sto_value_of_object(copy);
    return ok;
}

static bool copy_value(struct sto_arena *arena, struct sto_value v, unsigned depth, struct sto_value *out)
{
    *out = v;
    if (v.kind == STO_VALUE_TEXT)
        return copy_text(arena, v.text, &out->text);
    if (v.kind == STO_VALUE_LIST && depth < STO_JSON_MAX_DEPTH)
        return copy_list(arena, v.list, depth, out);
    if (v.kind == STO_VALUE_OBJECT && depth < STO_JSON_MAX_DEPTH)
        return copy_object(arena, v.object, depth, out);
    if (v.kind > STO_VALUE_TEXT)
        *out = sto_value_undefined();
    return true;
}

bool sto_value_copy(struct sto_arena *arena, struct sto_value v, struct sto_value *out)
{
    return copy_value(arena, v, 0, out);
}

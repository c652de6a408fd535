/* Values as JSON and templates know them: null, true, numbers, text, lists, objects that keep their order.
 *
 * A value is two words and is passed by value. Text, lists and objects live in an arena: they are valid until it is
 * freed, nothing is freed singly, and a list may hold values of other arenas that live at least as long. Any thread,
 * as long as one at a time changes an arena or a list or object in it.
 *
 * Every byte of a text has an origin: a template wrote it, or somebody who is not to be trusted with special tokens (a
 * message, a tool, a file). What comes from JSON or is made with sto_value_text is of the second kind. */
#ifndef STO_VALUE_H
#define STO_VALUE_H

#include "runtime/base/cursor.h"
#include "runtime/base/mem.h"
#include "runtime/base/status.h"

enum sto_value_kind {
    STO_VALUE_UNDEFINED, /* absent: what a template sees where nothing was given */
    STO_VALUE_NULL,
    STO_VALUE_BOOL,
    STO_VALUE_INT,
    STO_VALUE_FLOAT,
    STO_VALUE_TEXT,
    STO_VALUE_LIST,
    STO_VALUE_OBJECT,
    STO_VALUE_OPAQUE /* something of a running template's own (a macro, a loop); never in JSON */
};

/* Bytes, usually UTF-8; not NUL-terminated unless sto_value_text made it. */
struct sto_text {
    const char *data;
    size_t size;
    const uint8_t *origins; /* [size] 1: written by a template. NULL: all bytes are as from_template says */
    bool from_template;
    bool safe; /* a template marked it as HTML: what is added to it is escaped */
};

struct sto_value {
    enum sto_value_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        const struct sto_text *text;
        struct sto_list *list;
        struct sto_object *object;
        void *opaque;
    };
};

/* How a template's own lists behave where Python tells them apart; JSON knows lists alone. */
enum sto_list_form { STO_LIST_PLAIN, STO_LIST_TUPLE, STO_LIST_GENERATOR };

struct sto_list {
    struct sto_value *items; /* [n] */
    size_t n, capacity;
    enum sto_list_form form;
    bool changeable; /* a running template made it, and may change it */
};

/* Keys are text. Templates have numbers, booleans and none as keys too: their JSON text, behind a byte 0xff, which
 * begins no UTF-8 text; JSON writes them without it. */
enum { STO_KEY_MARK = 0xff };

struct sto_field {
    const struct sto_text *key;
    struct sto_value value;
};

/* Fields in the order in which their keys first came. */
struct sto_object {
    struct sto_field *fields; /* [n] */
    size_t n, capacity;
    uint32_t *slots;          /* index by hash, [n_slots]; field + 1, 0: empty. NULL while the object is small */
    size_t n_slots;
    uint64_t seed;            /* of the hash: differs from run to run, so that keys cannot be made to collide */
    bool changeable;
};

/* ---- making values: STO_VALUE_UNDEFINED, NULL or false means that memory is short ---- */

static inline struct sto_value sto_value_undefined(void)
{
    return (struct sto_value){.kind = STO_VALUE_UNDEFINED, .integer = 0};
}

static inline struct sto_value sto_value_null(void)
{
    return (struct sto_value){.kind = STO_VALUE_NULL, .integer = 0};
}

static inline struct sto_value sto_value_bool(bool b)
{
    return (struct sto_value){.kind = STO_VALUE_BOOL, .boolean = b};
}

static inline struct sto_value sto_value_int(int64_t i)
{
    return (struct sto_value){.kind = STO_VALUE_INT, .integer = i};
}

static inline struct sto_value sto_value_float(double f)
{
    return (struct sto_value){.kind = STO_VALUE_FLOAT, .number = f};
}

static inline struct sto_value sto_value_of_list(struct sto_list *list)
{
    return (struct sto_value){.kind = STO_VALUE_LIST, .list = list};
}

static inline struct sto_value sto_value_of_object(struct sto_object *object)
{
    return (struct sto_value){.kind = STO_VALUE_OBJECT, .object = object};
}

/* Copies the bytes into the arena, with a NUL behind them. */
struct sto_value sto_value_text(struct sto_arena *arena, const char *data, size_t size);
struct sto_value sto_value_string(struct sto_arena *arena, const char *s);

struct sto_list *sto_list_create(struct sto_arena *arena);
bool sto_list_add(struct sto_arena *arena, struct sto_list *list, struct sto_value value);

struct sto_object *sto_object_create(struct sto_arena *arena);
/* Sets a field; a key that is there already keeps its place. The first form copies the key, the second borrows it. */
bool sto_object_set(struct sto_arena *arena, struct sto_object *object, const char *key, struct sto_value value);
bool sto_object_set_text(struct sto_arena *arena, struct sto_object *object, const struct sto_text *key,
                         struct sto_value value);

/* A copy of everything that v holds, in the arena; opaque values become undefined, and so does what is nested more than
 * STO_JSON_MAX_DEPTH deep. False: memory is short. */
bool sto_value_copy(struct sto_arena *arena, struct sto_value v, struct sto_value *out);

/* ---- reading them ---- */

/* The value of a key; NULL when it is not there. Valid until a field is added. */
const struct sto_value *sto_object_find(const struct sto_object *object, const char *key, size_t size);
/* The same for any value: undefined when it is no object, or the key is not there. */
struct sto_value sto_value_get(struct sto_value object, const char *key);
/* The bytes of a text; an empty view with data "" for every other kind. */
struct sto_view sto_value_view(struct sto_value v);
bool sto_value_is_text(struct sto_value v, const char *text);
/* "undefined", "null", "boolean", "integer", "float", "text", "list", "object", ... */
const char *sto_value_kind_name(enum sto_value_kind kind);
bool sto_text_equals(const struct sto_text *a, const struct sto_text *b);

#endif

/* Attributes, items and slices of values, what can be gone through, and calls. */
#include "host/template_internal.h"

#include <string.h>

#include "host/json.h"
#include "host/utf8.h"

static struct sto_view view_of(const struct sto_text *text)
{
    return (struct sto_view){text->data, text->size};
}

static int shown(const struct sto_text *text)
{
    return (int)(text->size < 100 ? text->size : 100);
}

/* ---- things ---- */

struct sto_value sto_thing_value(struct sto_run *run, struct sto_thing thing)
{
    struct sto_thing *copy = sto_run_alloc(run, 1, sizeof *copy);
    if (copy == NULL)
        return sto_value_undefined();
    *copy = thing;
    return (struct sto_value){.kind = STO_VALUE_OPAQUE, .opaque = copy};
}

const struct sto_thing *sto_thing_of(struct sto_value v, enum sto_thing_kind kind)
{
    const struct sto_thing *thing = v.kind == STO_VALUE_OPAQUE ? v.opaque : NULL;
    return thing != NULL && thing->kind == kind ? thing : NULL;
}

/* A joiner gives its separator, but nothing the first time. */
static struct sto_value ask_joiner(struct sto_thing *joiner)
{
    return joiner->position++ == 0 ? sto_text_value(&sto_no_text) : joiner->items->items[0];
}

static struct sto_value cycler_method(struct sto_thing *cycler, const char *name)
{
    const struct sto_value current = cycler->items->items[cycler->position % cycler->items->n];
    cycler->position = strcmp(name, "reset") == 0 ? 0 : cycler->position + 1;
    return strcmp(name, "reset") == 0 ? sto_value_null() : current;
}

static struct sto_value cycler_attribute(struct sto_run *run, struct sto_thing *cycler, struct sto_view name)
{
    static const char *const methods[] = {"next", "reset"};
    const struct sto_value self = {.kind = STO_VALUE_OPAQUE, .opaque = cycler};
    if (sto_view_equals(name, "current"))
        return cycler->items->items[cycler->position % cycler->items->n];
    for (size_t i = 0; i < 2; i++) {
        if (sto_view_equals(name, methods[i]))
            return sto_thing_value(run, (struct sto_thing){.kind = STO_THING_METHOD, .self = self, .name = methods[i]});
    }
    return sto_value_undefined();
}

struct sto_value sto_call(struct sto_run *run, struct sto_value callee, const struct sto_arguments *args)
{
    if (callee.kind != STO_VALUE_OPAQUE) {
        if (callee.kind == STO_VALUE_UNDEFINED && callee.text != NULL)
            sto_run_fail(run, "\"%.*s\" is undefined", shown(callee.text), callee.text->data);
        else
            sto_run_fail(run, "%s cannot be called", sto_value_kind_name(callee.kind));
        return sto_value_undefined();
    }
    struct sto_thing *thing = callee.opaque;
    struct sto_value v;
    switch (thing->kind) {
    case STO_THING_MACRO: return sto_call_macro(run, thing, args, sto_value_undefined());
    case STO_THING_FUNCTION: return sto_call_builtin(run, thing->name, args);
    case STO_THING_METHOD:
        if (thing->loop != NULL)
            return sto_loop_method(run, thing->loop, thing->name, args);
        if (thing->self.kind == STO_VALUE_OPAQUE)
            return cycler_method(thing->self.opaque, thing->name);
        return sto_call_method(run, thing->self, thing->name, args);
    case STO_THING_LOOP:
        if (thing->loop->node->op != STO_OP_RECURSIVE || !sto_argument(args, 0, NULL, &v))
            break;
        return sto_run_for(run, thing->loop->node, thing->loop->outside, v, thing->loop->depth + 1);
    case STO_THING_JOINER: return ask_joiner(thing);
    case STO_THING_CYCLER:
    case STO_THING_NAMESPACE: break;
    }
    sto_run_fail(run, "this cannot be called");
    return sto_value_undefined();
}

/* ---- loop ---- */

static struct sto_value loop_item(const struct sto_loop *loop, size_t index)
{
    return index < loop->items->n ? loop->items->items[index] : sto_value_undefined();
}

struct sto_value sto_loop_attribute(struct sto_run *run, struct sto_loop *loop, struct sto_view name)
{
    const int64_t i = (int64_t)loop->index, n = (int64_t)loop->items->n;
    const struct {
        const char *name;
        struct sto_value value;
    } attributes[] = {{"index", sto_value_int(i + 1)},
                      {"index0", sto_value_int(i)},
                      {"revindex", sto_value_int(n - i)},
                      {"revindex0", sto_value_int(n - i - 1)},
                      {"first", sto_value_bool(i == 0)},
                      {"last", sto_value_bool(i + 1 == n)},
                      {"length", sto_value_int(n)},
                      {"depth", sto_value_int((int64_t)loop->depth)},
                      {"depth0", sto_value_int((int64_t)loop->depth - 1)},
                      {"previtem", loop->index > 0 ? loop_item(loop, loop->index - 1) : sto_value_undefined()},
                      {"nextitem", loop_item(loop, loop->index + 1)}};
    for (size_t k = 0; k < sizeof attributes / sizeof *attributes; k++) {
        if (sto_view_equals(name, attributes[k].name))
            return attributes[k].value;
    }
    const char *method = sto_view_equals(name, "cycle") ? "cycle" : sto_view_equals(name, "changed") ? "changed" : NULL;
    if (method == NULL)
        return sto_value_undefined();
    return sto_thing_value(run, (struct sto_thing){.kind = STO_THING_METHOD, .loop = loop, .name = method});
}

struct sto_value sto_loop_method(struct sto_run *run, struct sto_loop *loop, const char *name,
                                 const struct sto_arguments *args)
{
    const struct sto_list *given = &args->positional;
    if (strcmp(name, "cycle") == 0) {
        if (given->n == 0)
            sto_run_fail(run, "loop.cycle needs values");
        return given->n > 0 ? given->items[loop->index % given->n] : sto_value_undefined();
    }
    struct sto_list *now = sto_run_list(run);
    for (size_t i = 0; i < given->n && !run->failed; i++)
        sto_run_add(run, now, given->items[i]);
    const struct sto_value v = sto_value_of_list(now);
    const bool changed = !loop->has_last_changed || !sto_equal(run, loop->last_changed, v);
    loop->has_last_changed = true;
    loop->last_changed = v;
    return sto_value_bool(changed);
}

/* ---- attributes and items ---- */

static struct sto_value thing_attribute(struct sto_run *run, struct sto_thing *thing, const struct sto_text *name)
{
    const struct sto_value *v = NULL;
    if (thing->kind == STO_THING_NAMESPACE)
        v = sto_object_find(thing->fields, name->data, name->size);
    else if (thing->kind == STO_THING_LOOP)
        return sto_loop_attribute(run, thing->loop, view_of(name));
    else if (thing->kind == STO_THING_CYCLER)
        return cycler_attribute(run, thing, view_of(name));
    else if (thing->kind == STO_THING_MACRO && sto_view_equals(view_of(name), "name") &&
             thing->node->kind == STO_NODE_MACRO)
        return sto_text_value(run->t->names->fields[thing->node->name].key);
    return v != NULL ? *v : sto_value_undefined();
}

/* Names that a role usually has. Where a message's role is one of them it counts as the template's text: templates
 * build special tokens out of roles ("<|" ~ message.role ~ "|>"). */
static const struct sto_text *usual_role(const struct sto_text *role)
{
#define ROLE(name)                                                                                                     \
    {                                                                                                                  \
        .data = name, .size = sizeof name - 1, .from_template = true                                                   \
    }
    static const struct sto_text roles[] = {ROLE("system"),  ROLE("user"),        ROLE("assistant"), ROLE("tool"),
                                            ROLE("tools"),   ROLE("developer"),   ROLE("function"),  ROLE("model"),
                                            ROLE("ipython"), ROLE("observation"), ROLE("human"),     ROLE("bot")};
#undef ROLE
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (sto_text_equals(role, &roles[i]))
            return &roles[i];
    }
    return role;
}

static struct sto_value field(const struct sto_object *object, const struct sto_text *key, bool *found)
{
    const struct sto_value *v = sto_object_find(object, key->data, key->size);
    *found = v != NULL;
    if (v == NULL)
        return sto_value_undefined();
    if (v->kind == STO_VALUE_TEXT && sto_view_equals(view_of(key), "role"))
        return sto_text_value(usual_role(v->text));
    return *v;
}

/* Undefined, with the name for an error that may follow. */
static struct sto_value missing(const struct sto_text *name)
{
    struct sto_value v = sto_value_undefined();
    v.text = name;
    return v;
}

static struct sto_value nothing_of_undefined(struct sto_run *run, struct sto_value v)
{
    if (v.text != NULL)
        sto_run_fail(run, "\"%.*s\" is undefined", shown(v.text), v.text->data);
    else
        sto_run_fail(run, "something undefined has no attributes");
    return sto_value_undefined();
}

const struct sto_text *sto_key_text(struct sto_run *run, struct sto_value v)
{
    static const char mark[] = {(char)STO_KEY_MARK};
    struct sto_builder b = {0};
    if (v.kind == STO_VALUE_TEXT)
        return v.text;
    if (v.kind == STO_VALUE_UNDEFINED || v.kind > STO_VALUE_TEXT) {
        sto_run_fail(run, "%s can be no key", sto_value_kind_name(v.kind));
        return NULL;
    }
    sto_build_bytes(run, &b, mark, 1, false);
    if (v.kind == STO_VALUE_NULL)
        sto_build_bytes(run, &b, "null", 4, false);
    else if (v.kind == STO_VALUE_BOOL)
        sto_build_bytes(run, &b, v.boolean ? "true" : "false", v.boolean ? 4 : 5, false);
    else
        sto_build(run, &b, sto_to_text(run, v));
    return run->failed ? NULL : sto_built(run, &b);
}

struct sto_value sto_key_value(const struct sto_text *key)
{
    struct sto_value number;
    if (key->size < 2 || (uint8_t)key->data[0] != STO_KEY_MARK)
        return sto_text_value(key);
    if (key->data[1] == 'n')
        return sto_value_null();
    if (key->data[1] == 't' || key->data[1] == 'f')
        return sto_value_bool(key->data[1] == 't');
    return sto_number_read(key->data + 1, key->size - 1, &number) == key->size - 1 ? number : sto_text_value(key);
}

struct sto_value sto_get_attribute(struct sto_run *run, struct sto_value v, const struct sto_text *name)
{
    if (v.kind == STO_VALUE_UNDEFINED)
        return nothing_of_undefined(run, v);
    if (v.kind == STO_VALUE_OPAQUE)
        return thing_attribute(run, v.opaque, name);
    const struct sto_value method = sto_bound_method(run, v, view_of(name));
    bool found = false;
    if (method.kind != STO_VALUE_UNDEFINED)
        return method;
    const struct sto_value value = v.kind == STO_VALUE_OBJECT ? field(v.object, name, &found) : sto_value_undefined();
    return found ? value : missing(name);
}

static size_t code_point_begin(const struct sto_text *t, size_t index)
{
    size_t pos = 0, n;
    for (; index > 0 && pos < t->size; index--, pos += n)
        (void)sto_utf8_get(t->data + pos, t->size - pos, &n);
    return pos;
}

static struct sto_value item_at(struct sto_run *run, struct sto_value v, int64_t index)
{
    const int64_t n = sto_length(run, v);
    index += index < 0 ? n : 0;
    if (index < 0 || index >= n)
        return sto_value_undefined();
    if (v.kind == STO_VALUE_LIST)
        return v.list->items[index];
    const size_t begin = code_point_begin(v.text, (size_t)index);
    size_t size;
    (void)sto_utf8_get(v.text->data + begin, v.text->size - begin, &size);
    return sto_text_value(sto_slice_text(run, v.text, begin, begin + size));
}

struct sto_value sto_get_item(struct sto_run *run, struct sto_value v, struct sto_value key)
{
    int64_t index;
    bool found = false;
    if (v.kind == STO_VALUE_UNDEFINED)
        return nothing_of_undefined(run, v);
    if ((v.kind == STO_VALUE_LIST || v.kind == STO_VALUE_TEXT) && sto_as_int(key, &index))
        return item_at(run, v, index);
    if (v.kind == STO_VALUE_OBJECT && key.kind != STO_VALUE_UNDEFINED) {
        const struct sto_text *name = sto_key_text(run, key);
        const struct sto_value value = name != NULL ? field(v.object, name, &found) : sto_value_undefined();
        if (found)
            return value;
    }
    if (key.kind != STO_VALUE_TEXT)
        return sto_value_undefined();
    return sto_get_attribute(run, v, key.text);
}

struct sto_value sto_get_path(struct sto_run *run, struct sto_value v, struct sto_value path)
{
    int64_t index;
    if (path.kind != STO_VALUE_TEXT)
        return sto_get_item(run, v, path);
    for (size_t begin = 0; begin <= path.text->size && !run->failed;) {
        size_t end = begin;
        while (end < path.text->size && path.text->data[end] != '.')
            end++;
        struct sto_value key = sto_text_value(sto_slice_text(run, path.text, begin, end)), number;
        if (end > begin && sto_number_read(path.text->data + begin, end - begin, &number) == end - begin &&
            sto_as_int(number, &index))
            key = number;
        v = sto_get_item(run, v, key);
        begin = end + 1;
    }
    return v;
}

/* ---- slices ---- */

/* A bound as Python clips it; n elements, going down when step < 0. */
static int64_t clip(struct sto_run *run, struct sto_value bound, int64_t n, int64_t otherwise, int64_t step)
{
    int64_t i = otherwise;
    if (bound.kind == STO_VALUE_NULL)
        return otherwise;
    if (!sto_as_int(bound, &i)) {
        sto_run_fail(run, "a slice needs integers, not %s", sto_value_kind_name(bound.kind));
        return 0;
    }
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    i = i < 0 ? (i < -n ? low : i + n) : i;
    return i < low ? low : i > high ? high : i;
}

static struct sto_value slice_text(struct sto_run *run, const struct sto_text *t, int64_t from, int64_t to,
                                   int64_t step)
{
    if (step == 1) {
        const size_t begin = code_point_begin(t, (size_t)from);
        const size_t end = to > from ? code_point_begin(t, (size_t)to) : begin;
        return sto_text_value(sto_slice_text(run, t, begin, end));
    }
    const struct sto_list *points = sto_iterate(run, sto_text_value(t));
    struct sto_builder b = {0};
    for (int64_t i = from; (step > 0 ? i < to : i > to) && !run->failed; i += step)
        sto_build(run, &b, points->items[i].text);
    return sto_text_value(sto_built(run, &b));
}

struct sto_value sto_get_slice(struct sto_run *run, struct sto_value v, const struct sto_value bounds[3])
{
    int64_t step = 1;
    if (v.kind != STO_VALUE_TEXT && (v.kind != STO_VALUE_LIST || v.list->form == STO_LIST_GENERATOR))
        sto_run_fail(run, "%s cannot be sliced", sto_value_kind_name(v.kind));
    if (bounds[2].kind != STO_VALUE_NULL && (!sto_as_int(bounds[2], &step) || step == 0))
        sto_run_fail(run, "a slice's step must be an integer other than 0");
    const int64_t n = run->failed ? 0 : sto_length(run, v);
    step = step > n ? n + 1 : step < -n ? -n - 1 : step;
    const int64_t from = clip(run, bounds[0], n, step < 0 ? n - 1 : 0, step);
    const int64_t to = clip(run, bounds[1], n, step < 0 ? -1 : n, step);
    if (run->failed)
        return sto_value_undefined();
    if (v.kind == STO_VALUE_TEXT)
        return slice_text(run, v.text, from, to, step);
    struct sto_list *list = sto_run_list(run);
    list->form = v.list->form;
    for (int64_t i = from; (step > 0 ? i < to : i > to) && !run->failed; i += step)
        sto_run_add(run, list, v.list->items[i]);
    return sto_value_of_list(list);
}

/* ---- going through ---- */

int64_t sto_length(struct sto_run *run, struct sto_value v)
{
    switch (v.kind) {
    case STO_VALUE_UNDEFINED: return 0;
    case STO_VALUE_TEXT: sto_run_charge(run, v.text->size); return (int64_t)sto_utf8_count(v.text->data, v.text->size);
    case STO_VALUE_LIST: return v.list->form == STO_LIST_GENERATOR ? -1 : (int64_t)v.list->n;
    case STO_VALUE_OBJECT: return (int64_t)v.object->n;
    default: return -1;
    }
}

const struct sto_list *sto_iterate(struct sto_run *run, struct sto_value v)
{
    static const struct sto_list empty;
    if (v.kind == STO_VALUE_LIST)
        return v.list;
    if (v.kind == STO_VALUE_UNDEFINED)
        return &empty;
    if (v.kind != STO_VALUE_TEXT && v.kind != STO_VALUE_OBJECT) {
        sto_run_fail(run, "%s is nothing that can be gone through", sto_value_kind_name(v.kind));
        return &empty;
    }
    struct sto_list *list = sto_run_list(run);
    for (size_t i = 0; v.kind == STO_VALUE_OBJECT && i < v.object->n && !run->failed; i++)
        sto_run_add(run, list, sto_key_value(v.object->fields[i].key));
    for (size_t pos = 0, n; v.kind == STO_VALUE_TEXT && pos < v.text->size && !run->failed; pos += n) {
        (void)sto_utf8_get(v.text->data + pos, v.text->size - pos, &n);
        sto_run_add(run, list, sto_text_value(sto_slice_text(run, v.text, pos, pos + n)));
    }
    return list;
}

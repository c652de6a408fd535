/* Expressions: nodes to values. Also what a run is made of: failing, counting, scopes. */
#include "host/template_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- failing and counting ---- */

void sto_run_fail(struct sto_run *run, const char *fmt, ...)
{
    char what[512];
    va_list args;
    if (run->failed)
        return;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    run->failed = true;
    run->status = sto_fail(run->err, STO_ERR_USAGE, "line %lu: %s", (unsigned long)run->line, what);
}

void sto_run_charge(struct sto_run *run, uint64_t amount)
{
    run->steps += 1 + amount / 16;
    if (run->steps > run->max_steps)
        sto_run_fail(run, "the template takes more than %llu steps", (unsigned long long)run->max_steps);
}

void *sto_run_alloc(struct sto_run *run, size_t n, size_t size)
{
    const size_t most = STO_TEMPLATE_MAX_MEMORY_BYTES;
    if (run->failed)
        return NULL;
    if (n > most / size || n * size > most - run->memory) {
        sto_run_fail(run, "the template needs more than %d MiB of memory", STO_TEMPLATE_MAX_MEMORY_BYTES >> 20);
        return NULL;
    }
    void *p = sto_arena_alloc(&run->arena, n, size);
    if (p == NULL)
        sto_run_fail(run, "no memory");
    run->memory += n * size;
    return p;
}

bool sto_run_enter(struct sto_run *run)
{
    sto_run_charge(run, 0);
    if (run->depth >= STO_TEMPLATE_MAX_DEPTH)
        sto_run_fail(run, "the template nests its calls too deep");
    if (run->failed)
        return false;
    run->depth++;
    return true;
}

struct sto_list *sto_run_list(struct sto_run *run)
{
    struct sto_list *list = sto_run_alloc(run, 1, sizeof *list);
    if (list == NULL)
        return &run->no_list;
    list->changeable = true;
    return list;
}

void sto_run_add(struct sto_run *run, struct sto_list *list, struct sto_value v)
{
    sto_run_charge(run, 1);
    if (run->failed)
        return;
    if (list->n == list->capacity)
        run->memory += (list->capacity + 4) * 2 * sizeof *list->items;
    if (run->memory > STO_TEMPLATE_MAX_MEMORY_BYTES)
        sto_run_fail(run, "the template needs more than %d MiB of memory", STO_TEMPLATE_MAX_MEMORY_BYTES >> 20);
    else if (!sto_list_add(&run->arena, list, v))
        sto_run_fail(run, "no memory");
}

struct sto_object *sto_run_object(struct sto_run *run)
{
    struct sto_object *object = sto_run_alloc(run, 1, sizeof *object);
    if (object == NULL)
        return &run->no_object;
    object->changeable = true;
    return object;
}

void sto_run_set(struct sto_run *run, struct sto_object *object, const struct sto_text *key, struct sto_value v)
{
    sto_run_charge(run, key->size);
    if (run->failed)
        return;
    if (object->n == object->capacity)
        run->memory += (object->capacity + 8) * 2 * (sizeof *object->fields + 2 * sizeof *object->slots);
    if (run->memory > STO_TEMPLATE_MAX_MEMORY_BYTES)
        sto_run_fail(run, "the template needs more than %d MiB of memory", STO_TEMPLATE_MAX_MEMORY_BYTES >> 20);
    else if (!sto_object_set_text(&run->arena, object, key, v))
        sto_run_fail(run, "no memory");
}

/* ---- scopes ---- */

struct sto_scope *sto_run_push(struct sto_run *run, struct sto_scope *parent)
{
    struct sto_scope *old = run->scope;
    struct sto_scope *scope = sto_run_alloc(run, 1, sizeof *scope);
    if (scope != NULL) {
        scope->parent = parent;
        run->scope = scope;
    }
    return old;
}

static struct sto_binding *find_binding(struct sto_run *run, struct sto_scope *scope, uint32_t name)
{
    for (struct sto_binding *b = scope->first; b != NULL; b = b->next) {
        run->steps++;
        if (b->name == name)
            return b;
    }
    return NULL;
}

void sto_run_bind(struct sto_run *run, uint32_t name, struct sto_value value)
{
    struct sto_binding *b = find_binding(run, run->scope, name);
    if (b == NULL && (b = sto_run_alloc(run, 1, sizeof *b)) != NULL) {
        b->name = name;
        b->next = run->scope->first;
        run->scope->first = b;
    }
    if (b != NULL)
        b->value = value;
}

static struct sto_view name_of(const struct sto_run *run, uint32_t name)
{
    const struct sto_text *text = run->t->names->fields[name].key;
    return (struct sto_view){text->data, text->size};
}

/* What an input gives under a name; false: nothing. */
static bool input_variable(struct sto_run *run, struct sto_view name, struct sto_value *out)
{
    const struct sto_template_input *in = run->input;
    const struct sto_value *extra =
        in->extra.kind == STO_VALUE_OBJECT ? sto_object_find(in->extra.object, name.data, name.size) : NULL;
    const struct sto_view token = sto_view_equals(name, "bos_token")   ? in->bos_token
                                  : sto_view_equals(name, "eos_token") ? in->eos_token
                                                                       : (struct sto_view){NULL, 0};
    *out = sto_value_undefined();
    if (extra != NULL) {
        *out = *extra;
    } else if (sto_view_equals(name, "messages")) {
        *out = in->messages;
    } else if (sto_view_equals(name, "tools")) {
        *out = in->tools;
    } else if (sto_view_equals(name, "documents")) {
        *out = sto_value_null();
    } else if (sto_view_equals(name, "add_generation_prompt")) {
        *out = sto_value_bool(in->add_generation_prompt);
    } else if (token.data != NULL) {
        struct sto_text *text = sto_run_alloc(run, 1, sizeof *text);
        if (text != NULL) {
            *text = (struct sto_text){.data = token.data, .size = token.size, .from_template = true};
            *out = sto_text_value(text);
        }
    }
    return out->kind != STO_VALUE_UNDEFINED;
}

struct sto_value sto_run_lookup(struct sto_run *run, uint32_t name)
{
    struct sto_value v;
    for (struct sto_scope *scope = run->scope; scope != NULL; scope = scope->parent) {
        run->steps++;
        const struct sto_binding *b = find_binding(run, scope, name);
        if (b != NULL)
            return b->value;
    }
    if (input_variable(run, name_of(run, name), &v))
        return v;
    v = sto_builtin(run, name_of(run, name));
    if (v.kind == STO_VALUE_UNDEFINED)
        v.text = run->t->names->fields[name].key; /* so that an error can say which */
    return v;
}

/* ---- arguments ---- */

static void add_named(struct sto_run *run, struct sto_arguments *args, const struct sto_text *name, struct sto_value v)
{
    if (args->n_named == args->capacity) {
        const size_t capacity = args->capacity == 0 ? 4 : args->capacity * 2;
        struct sto_named *named = sto_run_alloc(run, capacity, sizeof *named);
        if (named == NULL)
            return;
        if (args->n_named > 0)
            memcpy(named, args->named, args->n_named * sizeof *named);
        args->named = named;
        args->capacity = capacity;
    }
    args->named[args->n_named++] = (struct sto_named){name, v};
}

void sto_evaluate_arguments(struct sto_run *run, const struct sto_node *node, struct sto_arguments *out)
{
    *out = (struct sto_arguments){0};
    for (; node != NULL && !run->failed; node = node->next) {
        const struct sto_value v = sto_run_eval(run, node->a);
        if (node->op == STO_OP_STAR) {
            const struct sto_list *items = sto_iterate(run, v);
            for (size_t i = 0; i < items->n && !run->failed; i++)
                sto_run_add(run, &out->positional, items->items[i]);
        } else if (node->op == STO_OP_STAR_STAR) {
            if (v.kind != STO_VALUE_OBJECT)
                sto_run_fail(run, "what follows ** must be an object, not %s", sto_value_kind_name(v.kind));
            for (size_t i = 0; v.kind == STO_VALUE_OBJECT && i < v.object->n && !run->failed; i++)
                add_named(run, out, v.object->fields[i].key, v.object->fields[i].value);
        } else if (node->name != UINT32_MAX) {
            add_named(run, out, run->t->names->fields[node->name].key, v);
        } else {
            sto_run_add(run, &out->positional, v);
        }
    }
}

bool sto_argument(const struct sto_arguments *args, size_t position, const char *name, struct sto_value *out)
{
    if (position < args->positional.n) {
        *out = args->positional.items[position];
        return true;
    }
    for (size_t i = 0; name != NULL && i < args->n_named; i++) {
        if (sto_view_equals((struct sto_view){args->named[i].name->data, args->named[i].name->size}, name)) {
            *out = args->named[i].value;
            return true;
        }
    }
    return false;
}

bool sto_argument_bool(struct sto_run *run, const struct sto_arguments *args, size_t position, const char *name,
                       bool otherwise)
{
    struct sto_value v;
    (void)run;
    return sto_argument(args, position, name, &v) ? sto_truth(v) : otherwise;
}

int64_t sto_argument_int(struct sto_run *run, const struct sto_arguments *args, size_t position, const char *name,
                         int64_t otherwise)
{
    struct sto_value v;
    if (!sto_argument(args, position, name, &v) || v.kind == STO_VALUE_NULL)
        return otherwise;
    int64_t i = otherwise;
    if (!sto_as_int(v, &i))
        sto_run_fail(run, "\"%s\" must be an integer, not %s", name, sto_value_kind_name(v.kind));
    return i;
}

const struct sto_text *sto_argument_text(struct sto_run *run, const struct sto_arguments *args, size_t position,
                                         const char *name, const struct sto_text *otherwise)
{
    struct sto_value v = sto_value_undefined();
    const bool given = sto_argument(args, position, name, &v) && v.kind != STO_VALUE_NULL;
    if (given && v.kind == STO_VALUE_TEXT)
        return v.text;
    if (given || otherwise == NULL)
        sto_run_fail(run, "\"%s\" must be text, not %s", name, sto_value_kind_name(v.kind));
    return otherwise != NULL ? otherwise : &sto_no_text;
}

/* ---- expressions ---- */

static struct sto_value eval_list(struct sto_run *run, const struct sto_node *node)
{
    struct sto_list *list = sto_run_list(run);
    list->form = node->kind == STO_NODE_TUPLE ? STO_LIST_TUPLE : STO_LIST_PLAIN;
    for (const struct sto_node *item = node->a; item != NULL && !run->failed; item = item->next)
        sto_run_add(run, list, sto_run_eval(run, item));
    return sto_value_of_list(list);
}

static struct sto_value eval_object(struct sto_run *run, const struct sto_node *node)
{
    struct sto_object *object = sto_run_object(run);
    for (const struct sto_node *key = node->a; key != NULL && !run->failed; key = key->next->next) {
        const struct sto_text *k = sto_key_text(run, sto_run_eval(run, key));
        const struct sto_value v = sto_run_eval(run, key->next);
        if (!run->failed)
            sto_run_set(run, object, k, v);
    }
    return sto_value_of_object(object);
}

static struct sto_value eval_concat(struct sto_run *run, const struct sto_node *node)
{
    struct sto_builder b = {0};
    for (const struct sto_node *part = node->a; part != NULL && !run->failed; part = part->next)
        sto_build(run, &b, sto_to_text(run, sto_run_eval(run, part)));
    return sto_text_value(sto_built(run, &b));
}

static struct sto_value eval_comparison(struct sto_run *run, const struct sto_node *node)
{
    struct sto_value left = sto_run_eval(run, node->a);
    for (const struct sto_node *operand = node->b; operand != NULL && !run->failed; operand = operand->next) {
        const struct sto_value right = sto_run_eval(run, operand->a);
        if (run->failed || !sto_compare(run, operand->op, left, right))
            return sto_value_bool(false);
        left = right;
    }
    return sto_value_bool(!run->failed);
}

static struct sto_value eval_slice(struct sto_run *run, const struct sto_node *node)
{
    const struct sto_value v = sto_run_eval(run, node->a);
    struct sto_value bounds[3];
    const struct sto_node *const nodes[3] = {node->b, node->c, node->d};
    for (int i = 0; i < 3; i++)
        bounds[i] = nodes[i] != NULL ? sto_run_eval(run, nodes[i]) : sto_value_null();
    return run->failed ? sto_value_undefined() : sto_get_slice(run, v, bounds);
}

static struct sto_value eval_call(struct sto_run *run, const struct sto_node *node)
{
    struct sto_arguments args;
    const struct sto_value callee = sto_run_eval(run, node->a);
    sto_evaluate_arguments(run, node->args, &args);
    run->line = node->line;
    return run->failed ? sto_value_undefined() : sto_call(run, callee, &args);
}

static struct sto_value eval_filter(struct sto_run *run, const struct sto_node *node)
{
    struct sto_arguments args;
    const struct sto_value v = sto_run_eval(run, node->a);
    sto_evaluate_arguments(run, node->args, &args);
    run->line = node->line;
    return run->failed ? v : sto_apply_filter(run, name_of(run, node->name), v, &args);
}

static struct sto_value eval_test(struct sto_run *run, const struct sto_node *node)
{
    struct sto_arguments args;
    const struct sto_value v = sto_run_eval(run, node->a);
    sto_evaluate_arguments(run, node->args, &args);
    return sto_value_bool(!run->failed && sto_apply_test(run, name_of(run, node->name), v, &args));
}

static struct sto_value eval_and_or(struct sto_run *run, const struct sto_node *node)
{
    const struct sto_value a = sto_run_eval(run, node->a);
    return sto_truth(a) == (node->kind == STO_NODE_OR) ? a : sto_run_eval(run, node->b);
}

static struct sto_value eval_binary(struct sto_run *run, const struct sto_node *node)
{
    const struct sto_value a = sto_run_eval(run, node->a);
    const struct sto_value b = sto_run_eval(run, node->b);
    run->line = node->line;
    return run->failed ? sto_value_undefined() : sto_binary(run, node->op, a, b);
}

static struct sto_value eval_if_else(struct sto_run *run, const struct sto_node *node)
{
    if (sto_truth(sto_run_eval(run, node->b)))
        return sto_run_eval(run, node->a);
    return node->c != NULL ? sto_run_eval(run, node->c) : sto_value_undefined();
}

static struct sto_value eval_access(struct sto_run *run, const struct sto_node *node)
{
    const struct sto_value v = sto_run_eval(run, node->a);
    if (node->kind == STO_NODE_ATTRIBUTE) {
        run->line = node->line;
        return run->failed ? v : sto_get_attribute(run, v, run->t->names->fields[node->name].key);
    }
    const struct sto_value key = sto_run_eval(run, node->b);
    run->line = node->line;
    return run->failed ? v : sto_get_item(run, v, key);
}

static struct sto_value eval(struct sto_run *run, const struct sto_node *node)
{
    switch (node->kind) {
    case STO_NODE_CONST: return node->value;
    case STO_NODE_NAME: return sto_run_lookup(run, node->name);
    case STO_NODE_ATTRIBUTE:
    case STO_NODE_ITEM: return eval_access(run, node);
    case STO_NODE_SLICE: return eval_slice(run, node);
    case STO_NODE_CALL: return eval_call(run, node);
    case STO_NODE_FILTER: return eval_filter(run, node);
    case STO_NODE_TEST: return eval_test(run, node);
    case STO_NODE_NOT: return sto_value_bool(!sto_truth(sto_run_eval(run, node->a)));
    case STO_NODE_UNARY: return sto_unary(run, node->op, sto_run_eval(run, node->a));
    case STO_NODE_BINARY: return eval_binary(run, node);
    case STO_NODE_CONCAT: return eval_concat(run, node);
    case STO_NODE_COMPARE: return eval_comparison(run, node);
    case STO_NODE_AND:
    case STO_NODE_OR: return eval_and_or(run, node);
    case STO_NODE_IF_ELSE: return eval_if_else(run, node);
    case STO_NODE_LIST:
    case STO_NODE_TUPLE: return eval_list(run, node);
    case STO_NODE_OBJECT: return eval_object(run, node);
    default: break;
    }
    return sto_value_undefined();
}

struct sto_value sto_run_eval(struct sto_run *run, const struct sto_node *node)
{
    if (!sto_run_enter(run))
        return sto_value_undefined();
    run->line = node->line;
    const struct sto_value v = eval(run, node);
    run->depth--;
    return run->failed ? sto_value_undefined() : v;
}

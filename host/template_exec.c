/* Statements: what a template puts out, its loops and its macros; and a whole rendering. */
#include "host/template_internal.h"

#include <string.h>

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static enum flow run_body(struct sto_run *run, const struct sto_node *body);

/* ---- assignment ---- */

static void assign_attribute(struct sto_run *run, const struct sto_node *target, struct sto_value value)
{
    const struct sto_value v = sto_run_eval(run, target->a);
    const struct sto_thing *thing = sto_thing_of(v, STO_THING_NAMESPACE);
    if (run->failed)
        return;
    if (thing == NULL || target->kind != STO_NODE_ATTRIBUTE)
        sto_run_fail(run, "an attribute can be assigned to a namespace only, not to %s", sto_value_kind_name(v.kind));
    else
        sto_run_set(run, thing->fields, run->t->names->fields[target->name].key, value);
}

void sto_run_assign(struct sto_run *run, const struct sto_node *target, struct sto_value value)
{
    if (run->failed)
        return;
    if (target->kind == STO_NODE_NAME) {
        sto_run_bind(run, target->name, value);
        return;
    }
    if (target->kind != STO_NODE_TUPLE) {
        assign_attribute(run, target, value);
        return;
    }
    const struct sto_list *items = sto_iterate(run, value);
    size_t i = 0;
    for (const struct sto_node *part = target->a; part != NULL && !run->failed; part = part->next, i++) {
        if (i < items->n)
            sto_run_assign(run, part, items->items[i]);
    }
    if (i != items->n)
        sto_run_fail(run, "%zu values for %zu names", items->n, i);
}

/* ---- bodies whose text becomes a value ---- */

/* Runs a body in a scope of its own within `parent`, and gives its text. */
static const struct sto_text *capture(struct sto_run *run, const struct sto_node *body, struct sto_scope *parent)
{
    struct sto_builder text = {0}, *const out = run->out;
    struct sto_scope *old = sto_run_push(run, parent);
    run->out = &text;
    run_body(run, body);
    run->out = out;
    run->scope = old;
    return sto_built(run, &text);
}

/* The innermost filter's input is what its chain begins with: NULL in the tree. */
static struct sto_value apply_filters(struct sto_run *run, const struct sto_node *filter, struct sto_value v)
{
    struct sto_arguments args;
    if (filter == NULL || !sto_run_enter(run))
        return v;
    v = apply_filters(run, filter->a, v);
    sto_evaluate_arguments(run, filter->args, &args);
    const struct sto_text *name = run->t->names->fields[filter->name].key;
    if (!run->failed)
        v = sto_apply_filter(run, (struct sto_view){name->data, name->size}, v, &args);
    run->depth--;
    return v;
}

/* ---- macros ---- */

static struct sto_thing make_macro(struct sto_run *run, const struct sto_node *node)
{
    return (struct sto_thing){.kind = STO_THING_MACRO, .node = node, .scope = run->scope};
}

/* Gives the names that a macro's body may ask for beyond its parameters. */
static void bind_hidden(struct sto_run *run, const char *name, struct sto_value v)
{
    const struct sto_value *number = sto_object_find(run->t->names, name, strlen(name));
    if (number != NULL)
        sto_run_bind(run, (uint32_t)number->integer, v);
}

static void bind_parameters(struct sto_run *run, const struct sto_node *node, const struct sto_arguments *args)
{
    struct sto_list *varargs = sto_run_list(run);
    struct sto_object *kwargs = sto_run_object(run);
    size_t position = 0;
    varargs->form = STO_LIST_TUPLE;
    for (const struct sto_node *p = node->args; p != NULL && !run->failed; p = p->next, position++) {
        struct sto_value v = sto_value_undefined();
        const struct sto_text *name = run->t->names->fields[p->name].key;
        bool given = position < args->positional.n;
        if (given)
            v = args->positional.items[position];
        for (size_t i = 0; !given && i < args->n_named; i++) {
            if (sto_text_equals(args->named[i].name, name)) {
                v = args->named[i].value;
                given = true;
            }
        }
        if (!given && p->a != NULL)
            v = sto_run_eval(run, p->a);
        else if (!given)
            v.text = name;
        sto_run_bind(run, p->name, v);
    }
    for (; position < args->positional.n && !run->failed; position++)
        sto_run_add(run, varargs, args->positional.items[position]);
    for (size_t i = 0; i < args->n_named && !run->failed; i++) {
        bool known = false;
        for (const struct sto_node *p = node->args; p != NULL && !known; p = p->next)
            known = sto_text_equals(run->t->names->fields[p->name].key, args->named[i].name);
        if (!known)
            sto_run_set(run, kwargs, args->named[i].name, args->named[i].value);
    }
    bind_hidden(run, "varargs", sto_value_of_list(varargs));
    bind_hidden(run, "kwargs", sto_value_of_object(kwargs));
}

struct sto_value sto_call_macro(struct sto_run *run, const struct sto_thing *macro, const struct sto_arguments *args,
                                struct sto_value caller)
{
    struct sto_builder text = {0}, *const out = run->out;
    if (!sto_run_enter(run))
        return sto_value_undefined();
    struct sto_scope *old = sto_run_push(run, macro->scope);
    bind_hidden(run, "caller", caller);
    bind_parameters(run, macro->node, args);
    run->out = &text;
    run_body(run, macro->node->body);
    run->out = out;
    run->scope = old;
    run->depth--;
    return sto_text_value(sto_built(run, &text));
}

/* The macro of a call block gets the block as "caller". */
static void run_call_block(struct sto_run *run, const struct sto_node *node)
{
    struct sto_arguments args;
    const struct sto_value callee = sto_run_eval(run, node->a->a);
    sto_evaluate_arguments(run, node->a->args, &args);
    const struct sto_thing *macro = sto_thing_of(callee, STO_THING_MACRO);
    if (run->failed)
        return;
    if (macro == NULL)
        sto_run_fail(run, "a call block needs a macro, not %s", sto_value_kind_name(callee.kind));
    else
        sto_build(run, run->out,
                  sto_to_text(run, sto_call_macro(run, macro, &args, sto_thing_value(run, make_macro(run, node)))));
}

/* ---- loops ---- */

/* Items for which the loop's condition holds. */
static const struct sto_list *filter_items(struct sto_run *run, const struct sto_node *node, struct sto_scope *outside,
                                           const struct sto_list *items)
{
    struct sto_list *kept = sto_run_list(run);
    struct sto_scope *old = run->scope;
    for (size_t i = 0; i < items->n && !run->failed; i++) {
        sto_run_push(run, outside);
        sto_run_assign(run, node->a, items->items[i]);
        if (sto_truth(sto_run_eval(run, node->d)))
            sto_run_add(run, kept, items->items[i]);
    }
    run->scope = old;
    return kept;
}

static bool count_iteration(struct sto_run *run)
{
    run->iterations++;
    sto_run_charge(run, 0);
    if (run->iterations > STO_TEMPLATE_MAX_ITERATIONS)
        sto_run_fail(run, "the template's loops run more than %d times", STO_TEMPLATE_MAX_ITERATIONS);
    return !run->failed;
}

/* Puts out what a loop gives; `outside` is the scope that it stands in. */
static void run_loop(struct sto_run *run, const struct sto_node *node, struct sto_scope *outside,
                     struct sto_value iterable, unsigned depth)
{
    const struct sto_list *items = sto_iterate(run, iterable);
    struct sto_scope *old = run->scope;
    struct sto_loop *loop = sto_run_alloc(run, 1, sizeof *loop);
    if (loop == NULL)
        return;
    if (node->d != NULL)
        items = filter_items(run, node, outside, items);
    *loop = (struct sto_loop){.node = node, .outside = outside, .items = items, .depth = depth};
    const struct sto_value self = sto_thing_value(run, (struct sto_thing){.kind = STO_THING_LOOP, .loop = loop});
    for (size_t i = 0; i < items->n && count_iteration(run); i++) {
        loop->index = i;
        sto_run_push(run, outside);
        bind_hidden(run, "loop", self);
        sto_run_assign(run, node->a, items->items[i]);
        if (run_body(run, node->body) == FLOW_BREAK)
            break;
    }
    if (items->n == 0 && node->c != NULL && !run->failed) {
        sto_run_push(run, outside);
        run_body(run, node->c);
    }
    run->scope = old;
}

struct sto_value sto_run_for(struct sto_run *run, const struct sto_node *node, struct sto_scope *outside,
                             struct sto_value iterable, unsigned depth)
{
    struct sto_builder text = {0}, *const out = run->out;
    if (!sto_run_enter(run))
        return sto_value_undefined();
    run->out = &text;
    run_loop(run, node, outside, iterable, depth);
    run->out = out;
    run->depth--;
    return sto_text_value(sto_built(run, &text));
}

/* ---- statements ---- */

static enum flow run_if(struct sto_run *run, const struct sto_node *node)
{
    for (; node != NULL && !run->failed; node = node->d) {
        if (sto_truth(sto_run_eval(run, node->b)))
            return run_body(run, node->a);
        if (node->d == NULL)
            return run_body(run, node->c);
    }
    return FLOW_ON;
}

static enum flow run_with(struct sto_run *run, const struct sto_node *node)
{
    struct sto_scope *outside = run->scope;
    struct sto_scope *old = sto_run_push(run, outside);
    struct sto_scope *inside = run->scope;
    for (const struct sto_node *pair = node->args; pair != NULL && !run->failed; pair = pair->next) {
        run->scope = outside;
        const struct sto_value v = sto_run_eval(run, pair->a);
        run->scope = inside;
        sto_run_assign(run, pair->b, v);
    }
    const enum flow flow = run->failed ? FLOW_ON : run_body(run, node->body);
    run->scope = old;
    return flow;
}

static void run_set_block(struct sto_run *run, const struct sto_node *node)
{
    const struct sto_value text = sto_text_value(capture(run, node->body, run->scope));
    sto_run_assign(run, node->a, apply_filters(run, node->b, text));
}

static void run_filter_block(struct sto_run *run, const struct sto_node *node)
{
    const struct sto_value text = sto_text_value(capture(run, node->body, run->scope));
    const struct sto_value v = apply_filters(run, node->b, text);
    if (!run->failed)
        sto_build(run, run->out, sto_to_text(run, v));
}

static void run_output(struct sto_run *run, const struct sto_node *node)
{
    const struct sto_value v = sto_run_eval(run, node->a);
    if (!run->failed)
        sto_build(run, run->out, sto_to_text(run, v));
}

static enum flow run_statement(struct sto_run *run, const struct sto_node *node)
{
    run->line = node->line;
    switch (node->kind) {
    case STO_NODE_TEXT: sto_build(run, run->out, node->value.text); break;
    case STO_NODE_OUTPUT: run_output(run, node); break;
    case STO_NODE_IF: return run_if(run, node);
    case STO_NODE_FOR: {
        const struct sto_value items = sto_run_eval(run, node->b);
        if (!run->failed)
            run_loop(run, node, run->scope, items, 1);
        break;
    }
    case STO_NODE_SET: sto_run_assign(run, node->a, sto_run_eval(run, node->b)); break;
    case STO_NODE_SET_BLOCK: run_set_block(run, node); break;
    case STO_NODE_MACRO: sto_run_bind(run, node->name, sto_thing_value(run, make_macro(run, node))); break;
    case STO_NODE_CALL_BLOCK: run_call_block(run, node); break;
    case STO_NODE_FILTER_BLOCK: run_filter_block(run, node); break;
    case STO_NODE_WITH: return run_with(run, node);
    case STO_NODE_DO: (void)sto_run_eval(run, node->a); break;
    case STO_NODE_GROUP: return run_body(run, node->body);
    case STO_NODE_BREAK: return FLOW_BREAK;
    case STO_NODE_CONTINUE: return FLOW_CONTINUE;
    default: break;
    }
    return FLOW_ON;
}

static enum flow run_body(struct sto_run *run, const struct sto_node *body)
{
    enum flow flow = FLOW_ON;
    for (; body != NULL && flow == FLOW_ON && !run->failed; body = body->next) {
        if (!sto_run_enter(run))
            return FLOW_ON;
        flow = run_statement(run, body);
        run->depth--;
        if (run->out->size > STO_TEMPLATE_MAX_OUTPUT_BYTES)
            sto_run_fail(run, "the template puts out more than %d MiB", STO_TEMPLATE_MAX_OUTPUT_BYTES >> 20);
    }
    return flow;
}

/* ---- a rendering ---- */

static bool make_segments(const struct sto_text *text, struct sto_rendering *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text->size; i++)
        n += i == 0 || sto_origin(text, i) != sto_origin(text, i - 1) ? 1 : 0;
    out->text = sto_strndup(text->data, text->size);
    out->segments = sto_calloc(n, sizeof *out->segments);
    if (out->text == NULL || out->segments == NULL)
        return false;
    out->size = text->size;
    for (size_t i = 0; i < text->size; i++) {
        if (i == 0 || sto_origin(text, i) != sto_origin(text, i - 1))
            out->segments[out->n_segments++].from_template = sto_origin(text, i);
        out->segments[out->n_segments - 1].size++;
    }
    return true;
}

enum sto_status sto_template_render(const struct sto_template *t, const struct sto_template_input *input,
                                    struct sto_rendering *out, struct sto_error *err)
{
    struct sto_builder text = {0};
    struct sto_scope globals = {0};
    struct sto_run run = {.t = t, .input = input, .scope = &globals, .out = &text, .err = err, .line = 1};
    *out = (struct sto_rendering){0};
    run.max_steps = input->max_steps != 0 ? input->max_steps : STO_TEMPLATE_MAX_STEPS;
    run_body(&run, t->body);
    const struct sto_text *built = sto_built(&run, &text);
    if (!run.failed && !make_segments(built, out))
        run.status = sto_fail(err, STO_ERR_FAILED, "no memory for a text of %zu bytes", built->size);
    if (run.refusal != NULL) {
        out->refusal = sto_strndup(run.refusal->data, run.refusal->size);
        out->refusal_size = out->refusal != NULL ? run.refusal->size : 0;
    }
    out->n_steps = run.steps;
    sto_arena_free(&run.arena);
    return run.status;
}

void sto_rendering_free(struct sto_rendering *rendering)
{
    sto_free(rendering->text);
    sto_free(rendering->segments);
    sto_free(rendering->refusal);
    *rendering = (struct sto_rendering){0};
}

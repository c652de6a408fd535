/* The messages of a conversation: each is a value of its own, as templates see it. */
#include "host/conversation_internal.h"

#include <string.h>

#include "host/json.h"
#include "models/model.h"
#include "runtime/engine.h"

/* For models without a template. What they were trained on is not known; this form is the plainest. */
static const char PLAIN_TEMPLATE[] =
    "{% for m in messages %}{{ {'system': '', 'user': 'User: ', 'assistant': 'Assistant: '}.get(m.role, m.role ~ ': ')"
    " }}{{ m.content }}\n\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}";

/* ---- creation ---- */

enum sto_status sto_conversation_create(struct sto_generator *generator, struct sto_conversation **out,
                                        struct sto_error *err)
{
    const struct sto_model *model = generator->model;
    const struct sto_view source = sto_model_get_vocab(model)->chat_template;
    if (generator->form_error.status != STO_OK)
        return sto_fail(err, generator->form_error.status, "%s", generator->form_error.message);
    struct sto_conversation *c = sto_calloc(1, sizeof *c);
    if (c == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a conversation");
    c->generator = generator;
    c->tools = sto_value_undefined();
    c->reasoning = sto_reasoning_find(source);
    c->tool_format = sto_tool_format_find(source);
    c->form = generator->form;
    enum sto_status status = STO_OK;
    if (c->form == NULL) {
        status = sto_template_create(PLAIN_TEMPLATE, sizeof PLAIN_TEMPLATE - 1, &c->plain_form, err);
        c->form = c->plain_form;
    }
    if (status == STO_OK)
        *out = c;
    else
        sto_conversation_destroy(c);
    return status;
}

void sto_conversation_destroy(struct sto_conversation *c)
{
    if (c == NULL)
        return;
    sto_conversation_truncate(c, 0);
    sto_template_destroy(c->plain_form);
    sto_arena_free(&c->tools_arena);
    sto_tokens_free(&c->ids);
    sto_free(c->messages);
    sto_free(c->text);
    sto_free(c);
}

bool sto_conversation_has_template(const struct sto_conversation *c)
{
    return c->plain_form == NULL;
}

void sto_conversation_cancel(struct sto_conversation *c)
{
    sto_generator_cancel(c->generator);
}

/* ---- messages ---- */

/* Room for one more message, which is empty and not counted yet; NULL: no memory. */
static struct sto_message *new_message(struct sto_conversation *c, struct sto_error *err)
{
    if (c->n == c->capacity) {
        const size_t capacity = 2 * c->capacity + 16;
        struct sto_message *grown = sto_realloc(c->messages, capacity, sizeof *grown);
        if (grown == NULL) {
            (void)sto_fail(err, STO_ERR_NO_FIT, "no memory for %zu messages", capacity);
            return NULL;
        }
        c->messages = grown;
        c->capacity = capacity;
    }
    c->messages[c->n] = (struct sto_message){.value = sto_value_undefined()};
    return &c->messages[c->n];
}

enum sto_status sto_conversation_take(struct sto_conversation *c, struct sto_message *message, struct sto_error *err)
{
    struct sto_message *m = new_message(c, err);
    if (m == NULL)
        return STO_ERR_NO_FIT;
    *m = *message;
    *message = (struct sto_message){.value = sto_value_undefined()};
    c->n++;
    return STO_OK;
}

enum sto_status sto_conversation_add(struct sto_conversation *c, const char *role, const char *content, size_t size,
                                     struct sto_error *err)
{
    struct sto_message *m = new_message(c, err);
    if (m == NULL)
        return STO_ERR_NO_FIT;
    struct sto_object *o = sto_object_create(&m->arena);
    const struct sto_value role_text = sto_value_string(&m->arena, role);
    const struct sto_value text = sto_value_text(&m->arena, content, size != 0 ? size : strlen(content));
    if (o == NULL || role_text.kind != STO_VALUE_TEXT || text.kind != STO_VALUE_TEXT ||
        !sto_object_set(&m->arena, o, "role", role_text) || !sto_object_set(&m->arena, o, "content", text)) {
        sto_arena_free(&m->arena);
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a message of %zu bytes", size);
    }
    m->value = sto_value_of_object(o);
    c->n++;
    return STO_OK;
}

/* Arguments of calls come as JSON text in HTTP APIs; most templates want the object. */
static enum sto_status open_arguments(struct sto_arena *arena, struct sto_value message, struct sto_error *err)
{
    const struct sto_value calls = sto_value_get(message, "tool_calls");
    for (size_t i = 0; calls.kind == STO_VALUE_LIST && i < calls.list->n; i++) {
        const struct sto_value function = sto_value_get(calls.list->items[i], "function");
        const struct sto_value arguments = sto_value_get(function, "arguments");
        struct sto_value object;
        if (arguments.kind != STO_VALUE_TEXT)
            continue;
        const struct sto_view text = sto_value_view(arguments);
        if (sto_json_read(arena, text.data, text.size, &object, NULL) != STO_OK || object.kind != STO_VALUE_OBJECT)
            continue; /* the template may take the text */
        if (!sto_object_set(arena, function.object, "arguments", object))
            return sto_fail(err, STO_ERR_NO_FIT, "no memory for a call's arguments");
    }
    return STO_OK;
}

enum sto_status sto_conversation_add_json(struct sto_conversation *c, const char *json, size_t size,
                                          struct sto_error *err)
{
    struct sto_message *m = new_message(c, err);
    if (m == NULL)
        return STO_ERR_NO_FIT;
    enum sto_status status = sto_json_read(&m->arena, json, size, &m->value, err);
    if (status == STO_OK && m->value.kind != STO_VALUE_OBJECT)
        status = sto_fail(err, STO_ERR_USAGE, "a message is an object, not %s", sto_value_kind_name(m->value.kind));
    if (status == STO_OK && sto_value_get(m->value, "role").kind != STO_VALUE_TEXT)
        status = sto_fail(err, STO_ERR_USAGE, "a message has no \"role\"");
    if (status == STO_OK)
        status = open_arguments(&m->arena, m->value, err);
    if (status != STO_OK)
        sto_arena_free(&m->arena);
    else
        c->n++;
    return status;
}

size_t sto_conversation_count(const struct sto_conversation *c)
{
    return c->n;
}

const char *sto_conversation_field(const struct sto_conversation *c, size_t i, const char *key)
{
    const struct sto_value v = i < c->n ? sto_value_get(c->messages[i].value, key) : sto_value_undefined();
    return v.kind == STO_VALUE_TEXT ? sto_value_view(v).data : NULL;
}

enum sto_status sto_conversation_json(const struct sto_conversation *c, size_t i, char **json, struct sto_error *err)
{
    struct sto_json_text text = {0};
    *json = NULL;
    if (i >= c->n)
        return sto_fail(err, STO_ERR_USAGE, "there is no message %zu", i);
    const enum sto_status status = sto_json_write(&text, c->messages[i].value, NULL, err);
    if (status == STO_OK)
        *json = text.data;
    else
        sto_free(text.data);
    return status;
}

void sto_conversation_free_text(char *text)
{
    sto_free(text);
}

size_t sto_conversation_n_system(const struct sto_conversation *c)
{
    size_t n = 0;
    while (n < c->n && sto_value_is_text(sto_value_get(c->messages[n].value, "role"), "system"))
        n++;
    return n;
}

void sto_conversation_remove(struct sto_conversation *c, size_t i)
{
    if (i >= c->n)
        return;
    const bool seen = i >= sto_conversation_n_system(c) + c->n_dropped;
    sto_arena_free(&c->messages[i].arena);
    memmove(c->messages + i, c->messages + i + 1, (c->n - i - 1) * sizeof *c->messages);
    c->n--;
    if (!seen)
        c->n_dropped = 0;
}

void sto_conversation_truncate(struct sto_conversation *c, size_t i)
{
    if (i <= sto_conversation_n_system(c) + c->n_dropped)
        c->n_dropped = 0;
    while (c->n > i)
        sto_arena_free(&c->messages[--c->n].arena);
}

size_t sto_conversation_dropped(const struct sto_conversation *c)
{
    return c->n_dropped;
}

/* ---- tools ---- */

/* A tool as HTTP APIs have it; a function alone is put into such an object. */
static enum sto_status complete_tool(struct sto_arena *arena, struct sto_value *tool, size_t i, struct sto_error *err)
{
    if (tool->kind != STO_VALUE_OBJECT)
        return sto_fail(err, STO_ERR_USAGE, "tool %zu is %s, not an object", i, sto_value_kind_name(tool->kind));
    if (sto_value_get(*tool, "function").kind != STO_VALUE_UNDEFINED ||
        sto_value_get(*tool, "name").kind != STO_VALUE_TEXT)
        return STO_OK;
    struct sto_object *whole = sto_object_create(arena);
    if (whole == NULL || !sto_object_set(arena, whole, "type", sto_value_string(arena, "function")) ||
        !sto_object_set(arena, whole, "function", *tool))
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for tool %zu", i);
    *tool = sto_value_of_object(whole);
    return STO_OK;
}

enum sto_status sto_conversation_set_tools(struct sto_conversation *c, const char *json, size_t size,
                                           struct sto_error *err)
{
    struct sto_arena arena = {0};
    struct sto_value tools = sto_value_undefined();
    enum sto_status status = STO_OK;
    if (json != NULL)
        status = sto_json_read(&arena, json, size, &tools, err);
    if (status == STO_OK && json != NULL && tools.kind != STO_VALUE_LIST)
        status = sto_fail(err, STO_ERR_USAGE, "tools are a list, not %s", sto_value_kind_name(tools.kind));
    for (size_t i = 0; status == STO_OK && json != NULL && i < tools.list->n; i++)
        status = complete_tool(&arena, &tools.list->items[i], i, err);
    if (status != STO_OK) {
        sto_arena_free(&arena);
        return status;
    }
    sto_arena_free(&c->tools_arena);
    c->tools_arena = arena;
    c->tools = json != NULL && tools.list->n > 0 ? tools : sto_value_undefined();
    return STO_OK;
}

enum sto_status sto_conversation_tools(const struct sto_conversation *c, char **json, struct sto_error *err)
{
    struct sto_json_text text = {0};
    *json = NULL;
    if (c->tools.kind != STO_VALUE_LIST)
        return STO_OK;
    const enum sto_status status = sto_json_write(&text, c->tools, NULL, err);
    if (status == STO_OK)
        *json = text.data;
    else
        sto_free(text.data);
    return status;
}

bool sto_conversation_knows_calls(const struct sto_conversation *c)
{
    return c->tool_format != NULL || c->reasoning.harmony;
}

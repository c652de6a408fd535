/* Calls are found in the conversation's last messages: an answer with calls, then results in the order of the calls. */
#include "host/cli/chat_tools.h"

#include <stdio.h>
#include <string.h>

#include "host/cli/chat_screen.h"
#include "host/cli/term.h"
#include "host/json.h"
#include "runtime/base/os.h"

enum { MOST_TOOL_FILE_BYTES = 16 << 20 };

/* ---- what is offered ---- */

enum sto_status sto_chat_offer_tools(struct sto_conversation *c, const char *path, struct sto_error *err)
{
    char *text = NULL;
    size_t size = 0;
    enum sto_status status = sto_file_read(path, MOST_TOOL_FILE_BYTES, &text, &size, err);
    if (status != STO_OK)
        return status; /* it names the file */
    status = sto_conversation_set_tools(c, text, size, err);
    sto_free(text);
    if (status != STO_OK)
        sto_error_prefix(err, "%s", path);
    else if (!sto_conversation_knows_calls(c))
        sto_print_warning("this model's chat template has no form of calls that is known; tools may be ignored, and "
                          "calls come as text");
    return status;
}

enum sto_status sto_chat_list_tools(const struct sto_conversation *c, struct sto_error *err)
{
    struct sto_chat_screen screen;
    struct sto_arena arena = {0};
    struct sto_value tools = sto_value_undefined();
    char *json = NULL;
    enum sto_status status = sto_conversation_tools(c, &json, err);
    if (status == STO_OK && json != NULL)
        status = sto_json_read(&arena, json, strlen(json), &tools, err);
    sto_chat_screen_begin(&screen, false);
    for (size_t i = 0; status == STO_OK && tools.kind == STO_VALUE_LIST && i < tools.list->n; i++) {
        const struct sto_value function = sto_value_get(tools.list->items[i], "function");
        const struct sto_view name = sto_value_view(sto_value_get(function, "name"));
        const struct sto_view about = sto_value_view(sto_value_get(function, "description"));
        sto_chat_screen_text(&screen, "  ", 2);
        sto_chat_screen_text(&screen, name.data, name.size);
        sto_chat_screen_text(&screen, "  ", 2);
        sto_chat_screen_text(&screen, about.data, about.size);
        sto_chat_screen_text(&screen, "\n", 1);
    }
    sto_chat_screen_end(&screen);
    if (status == STO_OK && json == NULL)
        sto_chat_note(&screen, "no tools are offered");
    sto_conversation_free_text(json);
    sto_arena_free(&arena);
    return status;
}

/* ---- results ---- */

bool sto_chat_has_role(const struct sto_conversation *c, size_t i, const char *role)
{
    const char *is = sto_conversation_field(c, i, "role");
    return is != NULL && strcmp(is, role) == 0;
}

/* The calls that have no result yet: calls [*first, n) of the list, which lies in the arena. */
static struct sto_value find_calls(const struct sto_conversation *c, struct sto_arena *arena, size_t *first)
{
    const size_t n = sto_conversation_count(c);
    struct sto_value message = sto_value_undefined();
    char *json = NULL;
    *first = 0;
    while (*first < n && sto_chat_has_role(c, n - 1 - *first, "tool"))
        (*first)++;
    if (*first < n && sto_chat_has_role(c, n - 1 - *first, "assistant") &&
        sto_conversation_json(c, n - 1 - *first, &json, NULL) == STO_OK)
        (void)sto_json_read(arena, json, strlen(json), &message, NULL);
    sto_conversation_free_text(json);
    const struct sto_value calls = sto_value_get(message, "tool_calls");
    return calls.kind == STO_VALUE_LIST && calls.list->n > *first ? calls : sto_value_undefined();
}

size_t sto_chat_open_calls(const struct sto_conversation *c, char name[STO_CHAT_NAME_BYTES])
{
    struct sto_arena arena = {0};
    size_t first, n = 0;
    const struct sto_value calls = find_calls(c, &arena, &first);
    name[0] = '\0';
    if (calls.kind == STO_VALUE_LIST) {
        const struct sto_value function = sto_value_get(calls.list->items[first], "function");
        const struct sto_view is = sto_value_view(sto_value_get(function, "name"));
        (void)snprintf(name, STO_CHAT_NAME_BYTES, "%s", is.data);
        n = calls.list->n - first;
    }
    sto_arena_free(&arena);
    return n;
}

/* The message of a result, as templates and HTTP APIs have it. */
static bool make_result(struct sto_arena *arena, struct sto_value call, const char *text, struct sto_value *out)
{
    const struct sto_value name = sto_value_get(sto_value_get(call, "function"), "name");
    const struct sto_value id = sto_value_get(call, "id");
    struct sto_object *o = sto_object_create(arena);
    *out = sto_value_of_object(o);
    return o != NULL && sto_object_set(arena, o, "role", sto_value_string(arena, "tool")) &&
           (name.kind != STO_VALUE_TEXT || sto_object_set(arena, o, "name", name)) &&
           (id.kind != STO_VALUE_TEXT || sto_object_set(arena, o, "tool_call_id", id)) &&
           sto_object_set(arena, o, "content", sto_value_string(arena, text));
}

enum sto_status sto_chat_add_result(struct sto_conversation *c, const char *text, struct sto_error *err)
{
    struct sto_arena arena = {0};
    struct sto_json_text json = {0};
    struct sto_value message;
    size_t first;
    enum sto_status status = STO_OK;
    const struct sto_value calls = find_calls(c, &arena, &first);
    if (calls.kind != STO_VALUE_LIST)
        status = sto_fail(err, STO_ERR_USAGE, "no call of a tool waits for a result");
    else if (!make_result(&arena, calls.list->items[first], text, &message))
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for a result of %zu bytes", strlen(text));
    if (status == STO_OK)
        status = sto_json_write(&json, message, NULL, err);
    if (status == STO_OK)
        status = sto_conversation_add_json(c, json.data, json.size, err);
    sto_free(json.data);
    sto_arena_free(&arena);
    return status;
}

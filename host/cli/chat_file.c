/* Conversations as JSON files. */
#include <string.h>

#include "host/cli/chat.h"
#include "host/json.h"
#include "runtime/base/os.h"

enum { MOST_FILE_BYTES = 256 << 20 };
static const char FORMAT[] = "strato conversation 1";

/* The messages as a list in the arena. */
static enum sto_status list_messages(const struct sto_conversation *c, struct sto_arena *arena, struct sto_list *list,
                                     struct sto_error *err)
{
    for (size_t i = 0; i < sto_conversation_count(c); i++) {
        char *json = NULL;
        struct sto_value v;
        enum sto_status status = sto_conversation_json(c, i, &json, err);
        if (status == STO_OK)
            status = sto_json_read(arena, json, strlen(json), &v, err);
        sto_conversation_free_text(json);
        if (status == STO_OK && !sto_list_add(arena, list, v))
            status = sto_fail(err, STO_ERR_NO_FIT, "no memory for %zu messages", i);
        if (status != STO_OK)
            return status;
    }
    return STO_OK;
}

/* The tools that are offered, as a value in the arena; undefined: none. */
static enum sto_status read_tools(const struct sto_conversation *c, struct sto_arena *arena, struct sto_value *tools,
                                  struct sto_error *err)
{
    char *json = NULL;
    enum sto_status status = sto_conversation_tools(c, &json, err);
    if (status == STO_OK && json != NULL)
        status = sto_json_read(arena, json, strlen(json), tools, err);
    sto_conversation_free_text(json);
    return status;
}

enum sto_status sto_chat_save(const struct sto_conversation *c, const char *model, const char *path,
                              struct sto_error *err)
{
    const struct sto_json_style style = {.indent = 1, .indented = true};
    struct sto_arena arena = {0};
    struct sto_json_text text = {0};
    struct sto_object *o = sto_object_create(&arena);
    struct sto_list *list = sto_list_create(&arena);
    struct sto_value tools = sto_value_undefined();
    enum sto_status status = read_tools(c, &arena, &tools, err);
    if (status == STO_OK &&
        (o == NULL || list == NULL || !sto_object_set(&arena, o, "format", sto_value_string(&arena, FORMAT)) ||
         !sto_object_set(&arena, o, "model", sto_value_string(&arena, model)) ||
         (tools.kind == STO_VALUE_LIST && !sto_object_set(&arena, o, "tools", tools)) ||
         !sto_object_set(&arena, o, "messages", sto_value_of_list(list))))
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory to save a conversation");
    if (status == STO_OK)
        status = list_messages(c, &arena, list, err);
    if (status == STO_OK)
        status = sto_json_write(&text, sto_value_of_object(o), &style, err);
    if (status == STO_OK)
        status = sto_file_write_atomic(path, text.data, text.size, err);
    sto_free(text.data);
    sto_arena_free(&arena);
    return status;
}

/* Whether v can be a message; what sto_conversation_add_json would refuse is refused here, before anything changes. */
static enum sto_status check_message(struct sto_value v, size_t i, struct sto_error *err)
{
    if (v.kind != STO_VALUE_OBJECT)
        return sto_fail(err, STO_ERR_USAGE, "message %zu is %s, not an object", i, sto_value_kind_name(v.kind));
    if (sto_value_get(v, "role").kind != STO_VALUE_TEXT)
        return sto_fail(err, STO_ERR_USAGE, "message %zu has no \"role\"", i);
    return STO_OK;
}

static enum sto_status take_tools(struct sto_conversation *c, struct sto_value tools, struct sto_error *err)
{
    struct sto_json_text text = {0};
    if (tools.kind == STO_VALUE_UNDEFINED || tools.kind == STO_VALUE_NULL)
        return STO_OK;
    enum sto_status status = sto_json_write(&text, tools, NULL, err);
    if (status == STO_OK)
        status = sto_conversation_set_tools(c, text.data, text.size, err);
    sto_free(text.data);
    return status;
}

static enum sto_status take_messages(struct sto_conversation *c, const struct sto_list *list, struct sto_value tools,
                                     struct sto_error *err)
{
    enum sto_status status = STO_OK;
    for (size_t i = 0; i < list->n && status == STO_OK; i++)
        status = check_message(list->items[i], i, err);
    if (status == STO_OK)
        status = take_tools(c, tools, err);
    if (status == STO_OK)
        sto_conversation_truncate(c, 0);
    for (size_t i = 0; i < list->n && status == STO_OK; i++) {
        struct sto_json_text text = {0};
        status = sto_json_write(&text, list->items[i], NULL, err);
        if (status == STO_OK)
            status = sto_conversation_add_json(c, text.data, text.size, err);
        sto_free(text.data);
    }
    return status;
}

enum sto_status sto_chat_load(struct sto_conversation *c, const char *path, struct sto_error *err)
{
    struct sto_arena arena = {0};
    struct sto_value v, messages;
    char *text = NULL;
    size_t size = 0;
    enum sto_status status = sto_file_read(path, MOST_FILE_BYTES, &text, &size, err);
    if (status != STO_OK)
        return status; /* it names the file */
    status = sto_json_read(&arena, text, size, &v, err);
    if (status == STO_OK) {
        messages = v.kind == STO_VALUE_LIST ? v : sto_value_get(v, "messages");
        if (messages.kind != STO_VALUE_LIST)
            status = sto_fail(err, STO_ERR_USAGE, "no conversation: there is no list \"messages\"");
        else
            status = take_messages(c, messages.list, sto_value_get(v, "tools"), err);
    }
    if (status != STO_OK)
        sto_error_prefix(err, "%s", path);
    sto_free(text);
    sto_arena_free(&arena);
    return status;
}

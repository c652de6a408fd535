/* One function for each form. All of a form's calls are good, or the whole is text. */
#include "host/tool_calls.h"

#include <string.h>

#include "host/call_scan.h"
#include "host/json.h"

#define SEPARATOR "<\xef\xbd\x9ctool\xe2\x96\x81sep\xef\xbd\x9c>"
#define DSML_PARAMETER "<\xef\xbd\x9c" "DSML\xef\xbd\x9cparameter"
#define DSML_PARAMETER_END "</\xef\xbd\x9c" "DSML\xef\xbd\x9cparameter>"

/* ---- pieces of text ---- */

static struct sto_view trim(struct sto_view v)
{
    const size_t n = sto_marker_spaces(v.data, v.size);
    v.data += n;
    v.size -= n;
    while (v.size > 0 && sto_marker_is_space(v.data[v.size - 1]))
        v.size--;
    return v;
}

static bool begins(struct sto_view v, const char *with)
{
    bool partly;
    return sto_marker_begins(with, v.data, v.size, &partly);
}

/* Cuts off and gives what comes before the marker; *rest is behind it. False: the marker is not there. */
static bool cut(struct sto_view *rest, const char *marker, struct sto_view *before)
{
    const struct sto_markers one = {.items = {marker}, .n = 1};
    size_t at;
    if (sto_markers_find(&one, rest->data, rest->size, true, &at) == SIZE_MAX)
        return false;
    *before = (struct sto_view){rest->data, at};
    rest->data += at + strlen(marker);
    rest->size -= at + strlen(marker);
    return true;
}

/* Takes the marker off the beginning, and white space before it. */
static bool take(struct sto_view *rest, const char *marker)
{
    const size_t n = sto_marker_spaces(rest->data, rest->size);
    const struct sto_view at = {rest->data + n, rest->size - n};
    if (!begins(at, marker))
        return false;
    *rest = (struct sto_view){at.data + strlen(marker), at.size - strlen(marker)};
    return true;
}

static bool good_name(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f || strchr("<>{}()[]\"'`,", name[i]) != NULL)
            return false;
    }
    return size > 0 && size <= STO_MAX_CALL_NAME && sto_utf8_valid(name, size);
}

/* ---- adding a call ---- */

bool sto_tool_call_add_value(struct sto_call_list *out, const char *name, size_t name_size, struct sto_value arguments)
{
    struct sto_json_text json = {0};
    if (arguments.kind == STO_VALUE_TEXT) {
        const struct sto_view text = sto_value_view(arguments);
        return sto_tool_call_add(out, name, name_size, text.data, text.size);
    }
    if (out->n == STO_MAX_CALLS || !good_name(name, name_size) || arguments.kind != STO_VALUE_OBJECT)
        return false;
    const bool written = sto_json_write(&json, arguments, NULL, NULL) == STO_OK;
    struct sto_tool_call *call = &out->calls[out->n];
    call->name = sto_arena_strndup(&out->arena, name, name_size);
    call->arguments = written ? sto_arena_strndup(&out->arena, json.data, json.size) : NULL;
    sto_free(json.data);
    if (call->name == NULL || call->arguments == NULL)
        return false;
    out->n++;
    return true;
}

bool sto_tool_call_add(struct sto_call_list *out, const char *name, size_t name_size, const char *json, size_t size)
{
    struct sto_value v = sto_value_undefined();
    if (sto_marker_spaces(json, size) == size)
        v = sto_value_of_object(sto_object_create(&out->arena));
    else if (sto_json_read(&out->arena, json, size, &v, NULL) != STO_OK || v.kind != STO_VALUE_OBJECT)
        return false;
    return (v.kind == STO_VALUE_OBJECT && v.object != NULL) && sto_tool_call_add_value(out, name, name_size, v);
}

/* ---- JSON ---- */

/* {"name": .., "arguments": ..}, {"tool_name": .., "parameters": ..}, {"function": {..}}; `strict`: arguments must be
 * there, because nothing but its form says that this is a call. */
static bool add_object(struct sto_call_list *out, struct sto_value v, bool strict)
{
    const struct sto_value function = sto_value_get(v, "function");
    const struct sto_value from = function.kind == STO_VALUE_OBJECT ? function : v;
    struct sto_value name = sto_value_get(from, "name"), arguments = sto_value_get(from, "arguments");
    if (name.kind == STO_VALUE_UNDEFINED)
        name = sto_value_get(from, "tool_name");
    if (name.kind == STO_VALUE_UNDEFINED)
        name = function;
    if (arguments.kind == STO_VALUE_UNDEFINED)
        arguments = sto_value_get(from, "parameters");
    if (name.kind != STO_VALUE_TEXT || (strict && arguments.kind != STO_VALUE_OBJECT))
        return false;
    const struct sto_view text = sto_value_view(name);
    if (arguments.kind == STO_VALUE_UNDEFINED || arguments.kind == STO_VALUE_NULL)
        return sto_tool_call_add(out, text.data, text.size, "", 0);
    return sto_tool_call_add_value(out, text.data, text.size, arguments);
}

static bool read_json(struct sto_view text, bool strict, struct sto_call_list *out)
{
    struct sto_value v;
    if (sto_json_read(&out->arena, text.data, text.size, &v, NULL) != STO_OK)
        return false;
    if (v.kind != STO_VALUE_LIST)
        return add_object(out, v, strict);
    for (size_t i = 0; i < v.list->n; i++) {
        if (!add_object(out, v.list->items[i], strict))
            return false;
    }
    return v.list->n > 0;
}

/* ---- values without quotes ---- */

/* The type that a tool's schema gives for a parameter; undefined: it does not say. */
static struct sto_value schema_type(struct sto_value tools, struct sto_view function, struct sto_view key)
{
    const size_t n = tools.kind == STO_VALUE_LIST ? tools.list->n : 0;
    for (size_t i = 0; i < n; i++) {
        struct sto_value tool = sto_value_get(tools.list->items[i], "function");
        if (tool.kind != STO_VALUE_OBJECT)
            tool = tools.list->items[i];
        const struct sto_view name = sto_value_view(sto_value_get(tool, "name"));
        const struct sto_value properties = sto_value_get(sto_value_get(tool, "parameters"), "properties");
        if (name.size != function.size || memcmp(name.data, function.data, name.size) != 0 ||
            properties.kind != STO_VALUE_OBJECT)
            continue;
        const struct sto_value *property = sto_object_find(properties.object, key.data, key.size);
        if (property != NULL)
            return sto_value_get(*property, "type");
    }
    return sto_value_undefined();
}

/* A value as its schema has it: text stays text; without a schema, what reads as JSON is JSON. */
static bool set_argument(struct sto_call_list *out, struct sto_object *arguments, struct sto_value type,
                         struct sto_view key, struct sto_view text)
{
    struct sto_value v = sto_value_undefined(), k = sto_value_text(&out->arena, key.data, key.size);
    if (sto_value_is_text(type, "string") || sto_json_read(&out->arena, text.data, text.size, &v, NULL) != STO_OK)
        v = sto_value_text(&out->arena, text.data, text.size);
    return v.kind != STO_VALUE_UNDEFINED && k.kind == STO_VALUE_TEXT && key.size > 0 &&
           sto_object_set_text(&out->arena, arguments, k.text, v);
}

/* One line break at each end belongs to the form, not to the value. */
static struct sto_view unwrap(struct sto_view v)
{
    if (v.size > 0 && v.data[0] == '\n') {
        v.data++;
        v.size--;
    }
    if (v.size > 0 && v.data[v.size - 1] == '\n')
        v.size--;
    return v;
}

static bool read_function_tags(struct sto_view text, struct sto_value tools, struct sto_call_list *out)
{
    struct sto_view name, key, value;
    while (take(&text, "<function=")) {
        struct sto_object *arguments = sto_object_create(&out->arena);
        if (arguments == NULL || !cut(&text, ">", &name))
            return false;
        name = trim(name);
        while (take(&text, "<parameter=")) {
            if (!cut(&text, ">", &key) || !cut(&text, "</parameter>", &value))
                return false;
            key = trim(key);
            if (!set_argument(out, arguments, schema_type(tools, name, key), key, unwrap(value)))
                return false;
        }
        if (!take(&text, "</function>") ||
            !sto_tool_call_add_value(out, name.data, name.size, sto_value_of_object(arguments)))
            return false;
    }
    return out->n > 0 && trim(text).size == 0;
}

static bool read_key_tags(struct sto_view text, struct sto_value tools, struct sto_call_list *out)
{
    struct sto_object *arguments = sto_object_create(&out->arena);
    struct sto_view name = text, key, value, rest = text;
    if (cut(&rest, "<arg_key>", &name))
        text = (struct sto_view){name.data + name.size, text.size - name.size};
    else
        text.size = 0;
    name = trim(name);
    while (take(&text, "<arg_key>")) {
        if (!cut(&text, "</arg_key>", &key) || !take(&text, "<arg_value>") || !cut(&text, "</arg_value>", &value))
            return false;
        key = trim(key);
        if (arguments == NULL || !set_argument(out, arguments, schema_type(tools, name, key), key, value))
            return false;
    }
    return arguments != NULL && trim(text).size == 0 &&
           sto_tool_call_add_value(out, name.data, name.size, sto_value_of_object(arguments));
}

/* ---- the other forms ---- */

static bool read_tagged(struct sto_view text, struct sto_value tools, struct sto_call_list *out)
{
    if (begins(text, "{") || begins(text, "["))
        return read_json(text, false, out);
    return begins(text, "<function=") ? read_function_tags(text, tools, out) : read_key_tags(text, tools, out);
}

static bool read_deepseek(struct sto_view text, struct sto_call_list *out)
{
    struct sto_view name;
    if (!cut(&text, SEPARATOR, &name))
        return false;
    name = trim(name);
    if (!begins(trim(text), "{")) { /* the older form: what came first is the kind, "function" */
        if (!sto_view_equals(name, "function") || !cut(&text, "```", &name))
            return false;
        name = trim(name);
        (void)take(&text, "json");
        text = trim(text);
        if (text.size < 3 || memcmp(text.data + text.size - 3, "```", 3) != 0)
            return false;
        text.size -= 3;
    }
    return sto_tool_call_add(out, name.data, name.size, text.data, text.size);
}

static bool read_dsml(struct sto_view text, struct sto_call_list *out)
{
    struct sto_object *arguments = sto_object_create(&out->arena);
    struct sto_view name, key, kind, value;
    if (arguments == NULL || !take(&text, "name=\"") || !cut(&text, "\"", &name) || !take(&text, ">"))
        return false;
    while (take(&text, DSML_PARAMETER)) {
        if (!take(&text, "name=\"") || !cut(&text, "\"", &key) || !take(&text, "string=\"") ||
            !cut(&text, "\"", &kind) || !take(&text, ">") || !cut(&text, DSML_PARAMETER_END, &value))
            return false;
        const struct sto_value type =
            sto_view_equals(kind, "true") ? sto_value_string(&out->arena, "string") : sto_value_undefined();
        if (!set_argument(out, arguments, type, key, value))
            return false;
    }
    return trim(text).size == 0 &&
           sto_tool_call_add_value(out, name.data, name.size, sto_value_of_object(arguments));
}

static bool read_kimi(struct sto_view text, struct sto_call_list *out)
{
    struct sto_view name;
    if (!cut(&text, "<|tool_call_argument_begin|>", &name))
        return false;
    name = trim(name);
    (void)take(&name, "functions.");
    size_t digits = 0;
    while (digits < name.size && name.data[name.size - 1 - digits] >= '0' && name.data[name.size - 1 - digits] <= '9')
        digits++;
    if (digits > 0 && digits < name.size && name.data[name.size - 1 - digits] == ':')
        name.size -= digits + 1;
    return sto_tool_call_add(out, name.data, name.size, text.data, text.size);
}

static bool read_mistral(struct sto_view text, struct sto_call_list *out)
{
    size_t n = 0;
    if (begins(text, "["))
        return read_json(text, false, out);
    while (n < text.size && text.data[n] != '[' && text.data[n] != '{')
        n++;
    const struct sto_view name = trim((struct sto_view){text.data, n});
    struct sto_view rest = {text.data + n, text.size - n}, id;
    if (begins(rest, "[CALL_ID]") && !(cut(&rest, "[ARGS]", &id)))
        return false;
    (void)take(&rest, "[ARGS]");
    return begins(trim(rest), "{") && sto_tool_call_add(out, name.data, name.size, rest.data, rest.size);
}

static bool read_gemma(struct sto_view text, struct sto_call_list *out)
{
    struct sto_view name;
    struct sto_value arguments;
    return take(&text, "call:") && cut(&text, "{", &name) &&
           sto_gemma_arguments(&out->arena, text.data, text.size, &arguments) &&
           sto_tool_call_add_value(out, trim(name).data, trim(name).size, arguments);
}

/* name.call(key="value", ..): the values are JSON, but for Python's names of constants. */
static bool read_python(struct sto_view text, struct sto_call_list *out)
{
    struct sto_object *arguments = sto_object_create(&out->arena);
    struct sto_view name, key;
    if (begins(text, "{"))
        return read_json(text, true, out);
    if (arguments == NULL || !cut(&text, ".call(", &name))
        return false;
    while (!take(&text, ")")) {
        size_t n = 0;
        bool quoted = false;
        if ((arguments->n > 0 && !take(&text, ",")) || !cut(&text, "=", &key))
            return false;
        while (n < text.size && (quoted || (text.data[n] != ',' && text.data[n] != ')'))) {
            if (text.data[n] == '\\')
                n++;
            else if (text.data[n] == '"')
                quoted = !quoted;
            n++;
        }
        if (n >= text.size)
            return false;
        struct sto_value v;
        const struct sto_view value = trim((struct sto_view){text.data, n});
        key = trim(key);
        if (sto_view_equals(value, "True") || sto_view_equals(value, "False"))
            v = sto_value_bool(value.data[0] == 'T');
        else if (sto_view_equals(value, "None"))
            v = sto_value_null();
        else if (sto_json_read(&out->arena, value.data, value.size, &v, NULL) != STO_OK)
            return false;
        const struct sto_value k = sto_value_text(&out->arena, key.data, key.size);
        if (!good_name(key.data, key.size) || k.kind != STO_VALUE_TEXT ||
            !sto_object_set_text(&out->arena, arguments, k.text, v))
            return false;
        text = (struct sto_view){text.data + n, text.size - n};
    }
    return trim(text).size == 0 &&
           sto_tool_call_add_value(out, name.data, name.size, sto_value_of_object(arguments));
}

static bool read_function(struct sto_view text, struct sto_call_list *out)
{
    struct sto_view name;
    return cut(&text, ">", &name) && sto_tool_call_add(out, name.data, name.size, text.data, text.size);
}

bool sto_tool_calls_read(enum sto_call_body body, const char *text, size_t size, struct sto_value tools,
                         struct sto_call_list *out)
{
    const struct sto_view v = trim((struct sto_view){text, size});
    switch (body) {
    case STO_CALL_TAGGED: return read_tagged(v, tools, out);
    case STO_CALL_JSON: return read_json(v, false, out);
    case STO_CALL_DEEPSEEK: return read_deepseek(v, out);
    case STO_CALL_DSML: return read_dsml(v, out);
    case STO_CALL_KIMI: return read_kimi(v, out);
    case STO_CALL_MISTRAL: return read_mistral(v, out);
    case STO_CALL_GEMMA: return read_gemma(v, out);
    case STO_CALL_PYTHON: return read_python(v, out);
    case STO_CALL_FUNCTION: return read_function(v, out);
    }
    return false;
}

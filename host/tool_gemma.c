/* Arguments as Gemma 4 writes them: like JSON, but keys have no quotes and text stands between <|"|> and <|"|>. */
#include <string.h>

#include "host/json.h"
#include "host/tool_calls.h"

enum { MAX_DEPTH = 32 };
static const char QUOTE[] = "<|\"|>";

struct reader {
    struct sto_arena *arena;
    const char *at, *end;
};

static bool value(struct reader *r, unsigned depth, struct sto_value *out);

static void spaces(struct reader *r)
{
    r->at += sto_marker_spaces(r->at, (size_t)(r->end - r->at));
}

static bool take(struct reader *r, const char *what)
{
    bool partly;
    spaces(r);
    if (!sto_marker_begins(what, r->at, (size_t)(r->end - r->at), &partly))
        return false;
    r->at += strlen(what);
    return true;
}

/* Up to the closing quote; the opening one has been taken. */
static bool text(struct reader *r, struct sto_value *out)
{
    const struct sto_markers quote = {.items = {QUOTE}, .n = 1};
    size_t n;
    if (sto_markers_find(&quote, r->at, (size_t)(r->end - r->at), true, &n) == SIZE_MAX)
        return false;
    *out = sto_value_text(r->arena, r->at, n);
    r->at += n + strlen(QUOTE);
    return out->kind == STO_VALUE_TEXT;
}

static bool key(struct reader *r, struct sto_value *out)
{
    if (take(r, QUOTE))
        return text(r, out);
    const char *begin = r->at;
    while (r->at < r->end && strchr(":,{}[]", *r->at) == NULL)
        r->at++;
    *out = sto_value_text(r->arena, begin, (size_t)(r->at - begin));
    return r->at > begin && out->kind == STO_VALUE_TEXT;
}

/* Fields up to the closing brace; the opening one has been taken. */
static bool fields(struct reader *r, unsigned depth, struct sto_value *out)
{
    struct sto_object *object = sto_object_create(r->arena);
    if (object == NULL || depth > MAX_DEPTH)
        return false;
    *out = sto_value_of_object(object);
    if (take(r, "}"))
        return true;
    do {
        struct sto_value k, v;
        if (!key(r, &k) || !take(r, ":") || !value(r, depth, &v) || !sto_object_set_text(r->arena, object, k.text, v))
            return false;
    } while (take(r, ","));
    return take(r, "}");
}

static bool items(struct reader *r, unsigned depth, struct sto_value *out)
{
    struct sto_list *list = sto_list_create(r->arena);
    if (list == NULL || depth > MAX_DEPTH)
        return false;
    *out = sto_value_of_list(list);
    if (take(r, "]"))
        return true;
    do {
        struct sto_value v;
        if (!value(r, depth, &v) || !sto_list_add(r->arena, list, v))
            return false;
    } while (take(r, ","));
    return take(r, "]");
}

static bool value(struct reader *r, unsigned depth, struct sto_value *out)
{
    if (take(r, QUOTE))
        return text(r, out);
    if (take(r, "{"))
        return fields(r, depth + 1, out);
    if (take(r, "["))
        return items(r, depth + 1, out);
    const char *begin = r->at;
    while (r->at < r->end && strchr(",}]", *r->at) == NULL)
        r->at++;
    return sto_json_read(r->arena, begin, (size_t)(r->at - begin), out, NULL) == STO_OK;
}

bool sto_gemma_arguments(struct sto_arena *arena, const char *source, size_t size, struct sto_value *out)
{
    struct reader r = {.arena = arena, .at = source, .end = source + size};
    if (!fields(&r, 0, out))
        return false;
    spaces(&r);
    return r.at == r.end;
}

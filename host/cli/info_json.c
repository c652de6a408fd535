/* `strato info --json`: the same facts as one JSON object. */
#include "host/cli/info.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"

enum { MAX_ELEMENTS = 16 /* of an array; "count" says how many there are */ };

/* Valid UTF-8 without NUL: other bytes become U+FFFD. NULL: no memory. */
static cJSON *json_string(struct sto_view text)
{
    char *copy = sto_calloc(3 * text.size + 1, 1);
    size_t n = 0;
    for (size_t i = 0; copy != NULL && i < text.size;) {
        const size_t len = text.data[i] == '\0' ? 0 : sto_utf8_sequence(text.data + i, text.size - i);
        memcpy(copy + n, len > 0 ? text.data + i : "\xef\xbf\xbd", len > 0 ? len : 3);
        n += len > 0 ? len : 3;
        i += len > 0 ? len : 1;
    }
    cJSON *json = copy == NULL ? NULL : cJSON_CreateString(copy);
    sto_free(copy);
    return json;
}

static bool add_text(cJSON *object, const char *key, struct sto_view text)
{
    return cJSON_AddItemToObject(object, key, json_string(text));
}

/* Exact, where a double would round. */
static cJSON *json_integer(bool is_signed, uint64_t v)
{
    char text[32];
    if (is_signed)
        (void)snprintf(text, sizeof text, "%" PRId64, (int64_t)v);
    else
        (void)snprintf(text, sizeof text, "%" PRIu64, v);
    return cJSON_CreateRaw(text);
}

static bool add_count(cJSON *object, const char *key, uint64_t v)
{
    return cJSON_AddItemToObject(object, key, json_integer(false, v));
}

/* JSON has no infinities: they become null. */
static cJSON *json_number(double v)
{
    return isfinite(v) ? cJSON_CreateNumber(v) : cJSON_CreateNull();
}

/* Element i of a value of a plain kind. */
static cJSON *json_element(const struct sto_gguf_value *v, enum sto_gguf_kind kind, uint64_t i)
{
    if (kind == STO_GGUF_BOOL)
        return cJSON_CreateBool(sto_gguf_int_at(v, i) != 0);
    if (kind == STO_GGUF_F32 || kind == STO_GGUF_F64)
        return json_number(sto_gguf_float_at(v, i));
    return json_integer(kind != STO_GGUF_U64, (uint64_t)sto_gguf_int_at(v, i));
}

static bool add_elements(cJSON *object, const struct sto_gguf_value *v)
{
    cJSON *list = cJSON_AddArrayToObject(object, "elements");
    size_t pos = 0;
    struct sto_view text;
    bool ok = list != NULL;
    for (uint64_t i = 0; ok && i < v->count && i < MAX_ELEMENTS; i++) {
        if (v->elem_kind == STO_GGUF_STRING)
            ok = sto_gguf_next_string(v, &pos, &text) && cJSON_AddItemToArray(list, json_string(text));
        else if (v->elem_kind != STO_GGUF_ARRAY)
            ok = cJSON_AddItemToArray(list, json_element(v, v->elem_kind, i));
    }
    return ok;
}

static bool add_metadata(cJSON *root, const struct sto_gguf *gguf)
{
    cJSON *list = cJSON_AddArrayToObject(root, "metadata");
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < sto_gguf_n_values(gguf); i++) {
        const struct sto_gguf_value *v = sto_gguf_value_at(gguf, i);
        cJSON *entry = cJSON_CreateObject();
        ok = cJSON_AddItemToArray(list, entry) && add_text(entry, "key", v->key) &&
             cJSON_AddStringToObject(entry, "kind", sto_gguf_kind_name(v->kind)) != NULL;
        if (ok && v->kind == STO_GGUF_ARRAY)
            ok = cJSON_AddStringToObject(entry, "element_kind", sto_gguf_kind_name(v->elem_kind)) != NULL &&
                 add_count(entry, "count", v->count) && add_elements(entry, v);
        else if (ok && v->kind == STO_GGUF_STRING)
            ok = add_text(entry, "value", v->bytes);
        else if (ok)
            ok = cJSON_AddItemToObject(entry, "value", json_element(v, v->kind, 0));
    }
    return ok;
}

static bool add_tensors(cJSON *root, const struct sto_gguf *gguf)
{
    cJSON *list = cJSON_AddArrayToObject(root, "tensors");
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < sto_gguf_n_tensors(gguf); i++) {
        const struct sto_gguf_tensor *t = sto_gguf_tensor_at(gguf, i);
        char buf[24];
        cJSON *entry = cJSON_CreateObject();
        ok = cJSON_AddItemToArray(list, entry) && add_text(entry, "name", t->name);
        cJSON *shape = ok ? cJSON_AddArrayToObject(entry, "shape") : NULL;
        ok = shape != NULL;
        for (uint32_t d = t->n_dims; ok && d-- > 0;)
            ok = cJSON_AddItemToArray(shape, json_integer(false, t->dims[d]));
        ok = ok && cJSON_AddStringToObject(entry, "type", sto_info_type_name(t->file_type, buf, sizeof buf)) != NULL &&
             cJSON_AddBoolToObject(entry, "supported", t->type != STO_TYPE_COUNT) != NULL &&
             add_count(entry, "bytes", t->bytes) && add_count(entry, "file", t->split) &&
             add_count(entry, "offset", t->offset);
    }
    return ok;
}

static bool add_formats(cJSON *root, const struct sto_info *info)
{
    cJSON *list = cJSON_AddArrayToObject(root, "formats");
    bool ok = list != NULL;
    for (uint32_t i = 0; ok && i < info->n_formats; i++) {
        const struct sto_info_format *f = &info->formats[i];
        char buf[24];
        cJSON *entry = cJSON_CreateObject();
        ok = cJSON_AddItemToArray(list, entry) &&
             cJSON_AddStringToObject(entry, "type", sto_info_type_name(f->file_type, buf, sizeof buf)) != NULL &&
             cJSON_AddBoolToObject(entry, "supported", f->type != STO_TYPE_COUNT) != NULL &&
             add_count(entry, "tensors", f->n_tensors) && add_count(entry, "weights", f->n_elements) &&
             add_count(entry, "bytes", f->bytes);
    }
    return ok;
}

static bool add_summary(cJSON *root, const struct sto_info *info)
{
    const struct sto_gguf *g = info->gguf;
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {
        {"version", sto_gguf_version(g)},    {"files", sto_gguf_n_splits(g)},      {"bytes", sto_gguf_file_bytes(g)},
        {"parameters", info->n_params},      {"layers", info->n_layers},           {"width", info->n_embd},
        {"feed_forward", info->n_ff},        {"heads", info->n_heads},             {"kv_heads", info->n_kv_heads},
        {"head_dim", info->head_dim},        {"context_tokens", info->n_ctx},      {"experts", info->n_experts},
        {"vocabulary", info->n_tokens},      {"merges", info->n_merges},           {"weight_bytes", info->known_bytes},
        {"chat_template_bytes", info->template_bytes},
    };
    bool ok = cJSON_AddStringToObject(root, "file", sto_gguf_path(g)) != NULL &&
              cJSON_AddBoolToObject(root, "has_data", sto_gguf_has_data(g)) != NULL &&
              add_text(root, "architecture", info->arch) && add_text(root, "name", info->name) &&
              add_text(root, "tokenizer", info->tokenizer) && add_text(root, "pre_tokenizer", info->pre);
    if (ok && info->mixture != NULL)
        ok = cJSON_AddStringToObject(root, "mixture", info->mixture) != NULL;
    for (size_t i = 0; ok && i < sizeof counts / sizeof *counts; i++)
        ok = add_count(root, counts[i].key, counts[i].value);
    if (ok && info->known_elements > 0)
        ok = cJSON_AddNumberToObject(root, "bits_per_weight",
                                     8.0 * (double)info->known_bytes / (double)info->known_elements) != NULL;
    return ok;
}

bool sto_info_print_json(const struct sto_info *info)
{
    char *text = NULL;
    cJSON *root = cJSON_CreateObject();
    bool ok = root != NULL && add_summary(root, info) && add_formats(root, info);
    cJSON *problems = ok ? cJSON_AddArrayToObject(root, "unsupported") : NULL;
    ok = problems != NULL;
    for (uint32_t i = 0; ok && i < info->n_problems; i++)
        ok = cJSON_AddItemToArray(problems, cJSON_CreateString(info->problems[i]));
    ok = ok && add_metadata(root, info->gguf) && add_tensors(root, info->gguf);
    text = ok ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (text == NULL)
        return false;
    (void)puts(text);
    cJSON_free(text);
    return true;
}

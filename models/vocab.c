/* Reads the vocabulary out of a model file's metadata and checks its parts against each other. */
#include "models/vocab.h"
#include "runtime/base/mem.h"

#include <math.h>
#include <stdio.h>

#define KEY(name) "tokenizer.ggml." name

/* A key that must be an array when it is there; *out NULL when it is not. */
static enum sto_status get_array(const struct sto_gguf *gguf, const char *key, const struct sto_gguf_value **out,
                                 struct sto_error *err)
{
    *out = sto_gguf_find(gguf, key);
    if (*out != NULL && (*out)->kind != STO_GGUF_ARRAY)
        return sto_fail(err, STO_ERR_MODEL, "%s: key '%s' is a value of kind %s where an array belongs",
                        sto_gguf_path(gguf), key, sto_gguf_kind_name((*out)->kind));
    return STO_OK;
}

static enum sto_status fail_elements(const struct sto_gguf *gguf, const char *key, const struct sto_gguf_value *array,
                                     const char *wanted, struct sto_error *err)
{
    return sto_fail(err, STO_ERR_MODEL, "%s: key '%s' is an array of %s where %s belong", sto_gguf_path(gguf), key,
                    sto_gguf_kind_name(array->elem_kind), wanted);
}

static enum sto_status fail_memory(const struct sto_gguf *gguf, const char *key, struct sto_error *err)
{
    return sto_fail(err, STO_ERR_FAILED, "%s: out of memory for key '%s'", sto_gguf_path(gguf), key);
}

/* An array of strings as views; an absent key gives NULL and 0. */
static enum sto_status read_strings(const struct sto_gguf *gguf, const char *key, struct sto_view **out, uint32_t *n,
                                    struct sto_error *err)
{
    const struct sto_gguf_value *array;
    const enum sto_status status = get_array(gguf, key, &array, err);
    if (status != STO_OK || array == NULL)
        return status;
    if (array->elem_kind != STO_GGUF_STRING)
        return fail_elements(gguf, key, array, "strings", err);
    if (array->count > INT32_MAX)
        return sto_fail(err, STO_ERR_MODEL, "%s: key '%s' has %llu elements, more than a vocabulary can have",
                        sto_gguf_path(gguf), key, (unsigned long long)array->count);
    *out = sto_calloc((size_t)array->count, sizeof **out);
    if (*out == NULL)
        return fail_memory(gguf, key, err);
    size_t pos = 0;
    while (*n < array->count && sto_gguf_next_string(array, &pos, &(*out)[*n]))
        *n += 1;
    return STO_OK;
}

static enum sto_status check_count(const struct sto_gguf *gguf, const char *key, const struct sto_gguf_value *array,
                                   uint32_t n_tokens, struct sto_error *err)
{
    if (array->count == n_tokens)
        return STO_OK;
    return sto_fail(err, STO_ERR_MODEL, "%s: key '%s' has %llu elements for %lu tokens", sto_gguf_path(gguf), key,
                    (unsigned long long)array->count, (unsigned long)n_tokens);
}

static enum sto_status read_scores(const struct sto_gguf *gguf, struct sto_vocab *v, struct sto_error *err)
{
    const char *key = KEY("scores");
    const struct sto_gguf_value *array;
    enum sto_status status = get_array(gguf, key, &array, err);
    if (status != STO_OK || array == NULL)
        return status;
    if (array->elem_kind != STO_GGUF_F32 && array->elem_kind != STO_GGUF_F64)
        return fail_elements(gguf, key, array, "floating-point numbers", err);
    status = check_count(gguf, key, array, v->n_tokens, err);
    if (status != STO_OK)
        return status;
    v->scores = sto_calloc(v->n_tokens, sizeof *v->scores);
    if (v->scores == NULL)
        return fail_memory(gguf, key, err);
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        v->scores[i] = (float)sto_gguf_float_at(array, i);
        if (isnan(v->scores[i]))
            return sto_fail(err, STO_ERR_MODEL, "%s: key '%s': the score of token %lu is not a number",
                            sto_gguf_path(gguf), key, (unsigned long)i);
    }
    return STO_OK;
}

/* Kind 0 ("undefined") occurs in old files and means normal. */
static enum sto_status read_kinds(const struct sto_gguf *gguf, struct sto_vocab *v, struct sto_error *err)
{
    const char *key = KEY("token_type");
    const struct sto_gguf_value *array;
    enum sto_status status = get_array(gguf, key, &array, err);
    if (status != STO_OK)
        return status;
    if (array != NULL) {
        if (array->elem_kind == STO_GGUF_STRING || array->elem_kind == STO_GGUF_ARRAY ||
            array->elem_kind == STO_GGUF_F32 || array->elem_kind == STO_GGUF_F64 || array->elem_kind == STO_GGUF_BOOL)
            return fail_elements(gguf, key, array, "integers", err);
        status = check_count(gguf, key, array, v->n_tokens, err);
        if (status != STO_OK)
            return status;
    }
    v->kinds = sto_calloc(v->n_tokens, sizeof *v->kinds);
    if (v->kinds == NULL)
        return fail_memory(gguf, key, err);
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        const int64_t kind = array == NULL ? STO_TOKEN_NORMAL : sto_gguf_int_at(array, i);
        if (kind < 0 || kind > STO_TOKEN_BYTE)
            return sto_fail(err, STO_ERR_MODEL, "%s: key '%s': token %lu has the unknown kind %lld",
                            sto_gguf_path(gguf), key, (unsigned long)i, (long long)kind);
        v->kinds[i] = kind == 0 ? STO_TOKEN_NORMAL : (uint8_t)kind;
    }
    return STO_OK;
}

/* An id is absent, or one of the tokens. Some converters write -1, or its unsigned forms, for "none". */
static enum sto_status read_id(const struct sto_gguf *gguf, const char *key, uint32_t n_tokens, uint32_t *out,
                               struct sto_error *err)
{
    const struct sto_gguf_value *value = sto_gguf_find(gguf, key);
    *out = STO_TOKEN_NONE;
    if (value != NULL && (value->kind == STO_GGUF_I32 || value->kind == STO_GGUF_I64) &&
        sto_gguf_int_at(value, 0) == -1)
        return STO_OK;
    const enum sto_status status = sto_gguf_get_u32(gguf, key, out, err);
    if (status == STO_OK && *out != STO_TOKEN_NONE && *out >= n_tokens)
        return sto_fail(err, STO_ERR_MODEL, "%s: key '%s' is %lu, which is not one of the %lu tokens",
                        sto_gguf_path(gguf), key, (unsigned long)*out, (unsigned long)n_tokens);
    return status;
}

static enum sto_status read_ids(const struct sto_gguf *gguf, struct sto_vocab *v, struct sto_error *err)
{
    const struct {
        const char *key;
        uint32_t *out;
    } ids[] = {
        {KEY("bos_token_id"), &v->bos},     {KEY("eos_token_id"), &v->eos},     {KEY("eot_token_id"), &v->eot},
        {KEY("unknown_token_id"), &v->unk}, {KEY("padding_token_id"), &v->pad},
    };
    enum sto_status status = STO_OK;
    for (size_t i = 0; i < sizeof ids / sizeof *ids && status == STO_OK; i++)
        status = read_id(gguf, ids[i].key, v->n_tokens, ids[i].out, err);
    return status;
}

static enum sto_status read_flags(const struct sto_gguf *gguf, struct sto_vocab *v, struct sto_error *err)
{
    const struct {
        const char *key;
        bool *out;
    } flags[] = {
        {KEY("add_bos_token"), &v->add_bos},
        {KEY("add_eos_token"), &v->add_eos},
        {KEY("add_space_prefix"), &v->add_space_prefix},
        {KEY("remove_extra_whitespaces"), &v->remove_extra_whitespaces},
    };
    enum sto_status status = STO_OK;
    for (size_t i = 0; i < sizeof flags / sizeof *flags && status == STO_OK; i++)
        status = sto_gguf_get_bool(gguf, flags[i].key, flags[i].out, err);
    v->has_add_bos = sto_gguf_find(gguf, KEY("add_bos_token")) != NULL;
    v->has_add_space_prefix = sto_gguf_find(gguf, KEY("add_space_prefix")) != NULL;
    return status;
}

/* One template, or several with names: then the one called "default", else the first. Several are an array under the
 * usual key, or keys of their own that the array tokenizer.chat_templates names. */
static enum sto_status read_template(const struct sto_gguf *gguf, struct sto_vocab *v, struct sto_error *err)
{
    static const char KEY_OF_ALL[] = "tokenizer.chat_template";
    const struct sto_gguf_value *value = sto_gguf_find(gguf, KEY_OF_ALL);
    const struct sto_gguf_value *names = sto_gguf_find(gguf, "tokenizer.chat_templates");
    size_t pos = 0;
    struct sto_view name;
    if (value != NULL && value->kind == STO_GGUF_ARRAY && value->elem_kind == STO_GGUF_STRING) {
        (void)sto_gguf_next_string(value, &pos, &v->chat_template);
        return STO_OK;
    }
    if (value == NULL && names != NULL && names->kind == STO_GGUF_ARRAY && names->elem_kind == STO_GGUF_STRING) {
        char key[256];
        value = sto_gguf_find(gguf, "tokenizer.chat_template.default");
        while (value == NULL && sto_gguf_next_string(names, &pos, &name)) {
            const int size = (int)(name.size < 200 ? name.size : 200);
            (void)snprintf(key, sizeof key, "%s.%.*s", KEY_OF_ALL, size, name.data);
            value = sto_gguf_find(gguf, key);
        }
        if (value != NULL && value->kind == STO_GGUF_STRING)
            v->chat_template = value->bytes;
        return STO_OK;
    }
    return sto_gguf_get_string(gguf, KEY_OF_ALL, &v->chat_template, err);
}

static enum sto_status read_kind(const struct sto_gguf *gguf, struct sto_vocab *v, struct sto_error *err)
{
    enum sto_status status = sto_gguf_get_string(gguf, KEY("model"), &v->model, err);
    if (status == STO_OK)
        status = sto_gguf_get_string(gguf, KEY("pre"), &v->pre, err);
    if (status == STO_OK)
        status = read_template(gguf, v, err);
    if (status != STO_OK)
        return status;
    if (v->model.size == 0 || sto_view_equals(v->model, "none") || sto_view_equals(v->model, "no_vocab"))
        return STO_OK;
    if (sto_view_equals(v->model, "llama"))
        v->kind = STO_VOCAB_SPM;
    else if (sto_view_equals(v->model, "gpt2"))
        v->kind = STO_VOCAB_BPE;
    else
        return sto_fail(err, STO_ERR_MODEL, "%s: key '%s' is '%.*s': only 'llama' (SPM) and 'gpt2' (BPE) are supported",
                        sto_gguf_path(gguf), KEY("model"), (int)(v->model.size < 96 ? v->model.size : 96),
                        v->model.data);
    return STO_OK;
}

enum sto_status sto_vocab_read(const struct sto_gguf *gguf, struct sto_vocab *out, struct sto_error *err)
{
    const struct sto_view nothing = {"", 0};
    struct sto_vocab *v = out;
    *v = (struct sto_vocab){.model = nothing, .pre = nothing, .chat_template = nothing, .bos = STO_TOKEN_NONE,
                            .eos = STO_TOKEN_NONE, .eot = STO_TOKEN_NONE, .unk = STO_TOKEN_NONE, .pad = STO_TOKEN_NONE};
    enum sto_status status = read_kind(gguf, v, err);
    if (status != STO_OK)
        goto fail;
    if (v->kind == STO_VOCAB_NONE)
        return STO_OK;
    status = read_strings(gguf, KEY("tokens"), &v->tokens, &v->n_tokens, err);
    if (status == STO_OK && v->n_tokens == 0)
        status = sto_fail(err, STO_ERR_MODEL, "%s: key '%s' is missing or empty: a tokenizer needs tokens",
                          sto_gguf_path(gguf), KEY("tokens"));
    if (status == STO_OK)
        status = read_scores(gguf, v, err);
    if (status == STO_OK)
        status = read_kinds(gguf, v, err);
    if (status == STO_OK)
        status = read_strings(gguf, KEY("merges"), &v->merges, &v->n_merges, err);
    if (status == STO_OK)
        status = read_ids(gguf, v, err);
    if (status == STO_OK)
        status = read_flags(gguf, v, err);
    if (status != STO_OK)
        goto fail;
    return STO_OK;
fail:
    sto_vocab_free(v);
    return status;
}

void sto_vocab_free(struct sto_vocab *vocab)
{
    if (vocab == NULL)
        return;
    sto_free(vocab->tokens);
    sto_free(vocab->scores);
    sto_free(vocab->kinds);
    sto_free(vocab->merges);
    *vocab = (struct sto_vocab){0};
}

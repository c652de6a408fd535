/* Gathers what `strato info` says: sizes from the metadata, totals per weight format, and what strato would refuse. */
#include "host/cli/info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/arch.h"
#include "models/gguf_types.h"
#include "models/model.h"
#include "runtime/base/mem.h"

const char *sto_info_type_name(uint32_t file_type, char *buf, size_t size)
{
    const char *name = sto_gguf_file_type_name(file_type);
    if (name != NULL)
        return name;
    (void)snprintf(buf, size, "type %lu", (unsigned long)file_type);
    return buf;
}

void sto_info_printable(struct sto_view text, char *buf, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < text.size;) {
        const size_t len = sto_utf8_sequence(text.data + i, text.size - i);
        const unsigned char c = (unsigned char)text.data[i];
        const bool c1_control = len == 2 && c == 0xc2 && (unsigned char)text.data[i + 1] < 0xa0;
        char piece[8];
        if (c == '\n' || c == '\t' || c == '\r')
            (void)snprintf(piece, sizeof piece, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        else if (c == '"' || c == '\\')
            (void)snprintf(piece, sizeof piece, "\\%c", c);
        else if (len == 0 || c1_control || c < 0x20 || c == 0x7f)
            (void)snprintf(piece, sizeof piece, "\\x%02x", c);
        else
            (void)snprintf(piece, sizeof piece, "%.*s", (int)len, text.data + i);
        const bool last = i + (len == 0 || c1_control ? 1 : len) >= text.size;
        if (used + strlen(piece) + (last ? 1 : 4) > size) {
            (void)snprintf(buf + used, size - used, "...");
            return;
        }
        memcpy(buf + used, piece, strlen(piece));
        used += strlen(piece);
        i += len == 0 || c1_control ? 1 : len;
    }
    buf[used] = '\0';
}

/* ---- problems ---- */

/* Adds one line; lines past the limit, and lines that there is no memory for, are left out. */
static void add_problem(struct sto_info *info, const char *line)
{
    if (info->n_problems == STO_INFO_MAX_PROBLEMS)
        return;
    char *copy = sto_strdup(line);
    if (copy != NULL)
        info->problems[info->n_problems++] = copy;
}

static void find_unknown_formats(struct sto_info *info)
{
    char line[256], name[96], buf[24];
    for (uint32_t i = 0; i < info->n_formats; i++) {
        const struct sto_info_format *f = &info->formats[i];
        if (f->type != STO_TYPE_COUNT)
            continue;
        sto_info_printable(f->first, name, sizeof name);
        (void)snprintf(line, sizeof line, "weight format %s (number %lu): %llu tensors, the first is %s",
                       sto_info_type_name(f->file_type, buf, sizeof buf), (unsigned long)f->file_type,
                       (unsigned long long)f->n_tensors, name);
        add_problem(info, line);
    }
}

static void find_unknown_names(struct sto_info *info)
{
    char line[256], text[96], arch[64];
    struct sto_vocab vocab;
    struct sto_error err;
    sto_info_printable(info->arch, text, sizeof text);
    (void)snprintf(arch, sizeof arch, "%.*s", (int)(info->arch.size < 63 ? info->arch.size : 63), info->arch.data);
    if (info->arch.size == 0)
        add_problem(info, "architecture: key 'general.architecture' is missing");
    else if (!sto_arch_supported(arch)) {
        (void)snprintf(line, sizeof line, "architecture '%s'", text);
        add_problem(info, line);
    }
    if (sto_vocab_read(info->gguf, &vocab, &err) != STO_OK) {
        (void)snprintf(line, sizeof line, "tokenizer: %.200s", err.message);
        add_problem(info, line);
    } else if (vocab.kind == STO_VOCAB_NONE) {
        add_problem(info, "tokenizer: none in the file (only token ids can be evaluated)");
    }
    sto_vocab_free(&vocab);
}

/* What opening it as a model says, where nothing above has said it already. */
static void try_model(struct sto_info *info)
{
    const struct sto_model_params params = {.header_only = true};
    struct sto_model *model = NULL;
    struct sto_error err;
    if (sto_gguf_n_tensors(info->gguf) == 0)
        add_problem(info, "weights: the file holds none");
    else if (info->n_problems == 0 && sto_model_open(sto_gguf_path(info->gguf), &params, NULL, &model, &err) != STO_OK)
        add_problem(info, err.message);
    sto_model_close(model);
}

/* ---- totals ---- */

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return sto_add_u64(a, b, &sum) ? sum : UINT64_MAX;
}

static struct sto_info_format *format_of(struct sto_info *info, const struct sto_gguf_tensor *t)
{
    for (uint32_t i = 0; i < info->n_formats; i++) {
        if (info->formats[i].file_type == t->file_type)
            return &info->formats[i];
    }
    if (info->n_formats == STO_INFO_MAX_FORMATS)
        return NULL;
    struct sto_info_format *f = &info->formats[info->n_formats++];
    *f = (struct sto_info_format){.file_type = t->file_type, .type = t->type, .first = t->name};
    return f;
}

static int by_bytes(const void *a, const void *b)
{
    const struct sto_info_format *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->n_elements > y->n_elements ? -1 : x->n_elements < y->n_elements;
}

static void count_tensors(struct sto_info *info)
{
    for (size_t i = 0; i < sto_gguf_n_tensors(info->gguf); i++) {
        const struct sto_gguf_tensor *t = sto_gguf_tensor_at(info->gguf, i);
        const uint64_t n = t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
        struct sto_info_format *f = format_of(info, t);
        info->n_params = saturating_add(info->n_params, n);
        if (t->type != STO_TYPE_COUNT) {
            info->known_elements = saturating_add(info->known_elements, n);
            info->known_bytes = saturating_add(info->known_bytes, t->bytes);
        }
        if (f == NULL)
            continue;
        f->n_tensors++;
        f->n_elements = saturating_add(f->n_elements, n);
        f->bytes = saturating_add(f->bytes, t->bytes);
    }
    qsort(info->formats, info->n_formats, sizeof *info->formats, by_bytes);
}

/* ---- metadata ---- */

/* ARCH.suffix as a number: the largest where a file gives one per layer, `missing` where it gives none. */
static uint32_t arch_u32(const struct sto_info *info, const char *suffix, uint32_t missing)
{
    char key[192];
    uint32_t value = missing;
    (void)snprintf(key, sizeof key, "%.*s.%s", (int)(info->arch.size < 100 ? info->arch.size : 100), info->arch.data,
                   suffix);
    const struct sto_gguf_value *v = sto_gguf_find(info->gguf, key);
    if (v != NULL && v->kind == STO_GGUF_ARRAY && v->elem_kind != STO_GGUF_STRING && v->elem_kind != STO_GGUF_ARRAY) {
        value = 0;
        for (uint64_t i = 0; i < v->count; i++) {
            const int64_t n = sto_gguf_int_at(v, i);
            value = n > value && n <= UINT32_MAX ? (uint32_t)n : value;
        }
        return value;
    }
    (void)sto_gguf_get_u32(info->gguf, key, &value, NULL);
    return value;
}

static uint64_t array_count(const struct sto_info *info, const char *key)
{
    const struct sto_gguf_value *v = sto_gguf_find(info->gguf, key);
    return v != NULL && v->kind == STO_GGUF_ARRAY ? v->count : 0;
}

static void read_keys(struct sto_info *info)
{
    const struct sto_view none = {"", 0};
    struct sto_view chat_template = none;
    uint32_t file_type = UINT32_MAX;
    info->arch = info->name = info->tokenizer = info->pre = none;
    (void)sto_gguf_get_string(info->gguf, "general.architecture", &info->arch, NULL);
    (void)sto_gguf_get_string(info->gguf, "general.name", &info->name, NULL);
    (void)sto_gguf_get_string(info->gguf, "tokenizer.ggml.model", &info->tokenizer, NULL);
    (void)sto_gguf_get_string(info->gguf, "tokenizer.ggml.pre", &info->pre, NULL);
    (void)sto_gguf_get_string(info->gguf, "tokenizer.chat_template", &chat_template, NULL);
    (void)sto_gguf_get_u32(info->gguf, "general.file_type", &file_type, NULL);
    info->mixture = sto_gguf_mixture_name(file_type);
    info->template_bytes = chat_template.size;
    info->n_layers = arch_u32(info, "block_count", 0);
    info->n_embd = arch_u32(info, "embedding_length", 0);
    info->n_ff = arch_u32(info, "feed_forward_length", 0);
    info->n_heads = arch_u32(info, "attention.head_count", 0);
    info->n_kv_heads = arch_u32(info, "attention.head_count_kv", info->n_heads);
    info->head_dim = arch_u32(info, "attention.key_length", info->n_heads > 0 ? info->n_embd / info->n_heads : 0);
    info->n_ctx = arch_u32(info, "context_length", 0);
    info->n_experts = arch_u32(info, "expert_count", 0);
    info->n_tokens = array_count(info, "tokenizer.ggml.tokens");
    info->n_merges = array_count(info, "tokenizer.ggml.merges");
}

enum sto_status sto_info_read(const char *path, struct sto_info *out, struct sto_error *err)
{
    const struct sto_gguf_params params = {.header_only = true};
    *out = (struct sto_info){0};
    const enum sto_status status = sto_gguf_open(path, &params, &out->gguf, err);
    if (status != STO_OK)
        return status;
    read_keys(out);
    count_tensors(out);
    find_unknown_formats(out);
    find_unknown_names(out);
    try_model(out);
    return STO_OK;
}

void sto_info_free(struct sto_info *info)
{
    for (uint32_t i = 0; i < info->n_problems; i++)
        sto_free(info->problems[i]);
    sto_gguf_close(info->gguf);
    *info = (struct sto_info){0};
}

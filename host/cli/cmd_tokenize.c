/* strato tokenize MODEL: text to token ids. Only the file's header is needed. */
#include "host/cli/cli.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "host/tokenizer.h"
#include "runtime/base/mem.h"
#include "runtime/base/status.h"

/* ---- input and output ---- */

struct buffer {
    char *data;
    size_t size, capacity;
};

static enum sto_status append(struct buffer *b, const char *data, size_t size, struct sto_error *err)
{
    if (size > b->capacity - b->size) {
        const size_t capacity = (b->size + size) * 2 + 4096;
        char *grown = sto_realloc(b->data, capacity, 1);
        if (grown == NULL)
            return sto_fail(err, STO_ERR_FAILED, "no memory for %zu bytes of input", capacity);
        b->data = grown;
        b->capacity = capacity;
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
    return STO_OK;
}

static enum sto_status read_all(struct buffer *b, struct sto_error *err)
{
    char block[16384];
    size_t n;
    while ((n = fread(block, 1, sizeof block, stdin)) > 0) {
        const enum sto_status status = append(b, block, n, err);
        if (status != STO_OK)
            return status;
    }
    return ferror(stdin) ? sto_fail(err, STO_ERR_FAILED, "standard input cannot be read") : STO_OK;
}

/* The next line without its end; *more is false when there is none. */
static enum sto_status read_line(struct buffer *b, bool *more, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    int c = 0;
    b->size = 0;
    *more = false;
    while (status == STO_OK && (c = getc(stdin)) != EOF && c != '\n') {
        const char byte = (char)c;
        *more = true;
        status = append(b, &byte, 1, err);
    }
    *more = *more || c == '\n';
    if (status == STO_OK && ferror(stdin))
        return sto_fail(err, STO_ERR_FAILED, "standard input cannot be read");
    return status;
}

static enum sto_status print_ids(const struct sto_tokens *tokens, struct sto_error *err)
{
    (void)putchar('[');
    for (size_t i = 0; i < tokens->n; i++)
        (void)printf(i == 0 ? "%u" : ",%u", tokens->ids[i]);
    (void)puts("]");
    return ferror(stdout) ? sto_fail(err, STO_ERR_FAILED, "standard output cannot be written") : STO_OK;
}

static enum sto_status tokenize_text(const struct sto_tokenizer *t, const char *text, size_t size,
                                     struct sto_tokenize_params params, struct sto_error *err)
{
    struct sto_tokens tokens = {0};
    enum sto_status status = sto_tokenize(t, text, size, params, &tokens, err);
    if (status == STO_OK)
        status = print_ids(&tokens, err);
    sto_tokens_free(&tokens);
    return status;
}

/* ---- lines of JSON ---- */

/* True when the JSON text writes a NUL in a string, where the parser would end the string. */
static bool holds_nul(const char *json, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (json[i] == '\0')
            return true;
        if (json[i] != '\\')
            continue;
        if (size - i >= 6 && memcmp(json + i, "\\u0000", 6) == 0)
            return true;
        i++;
    }
    return false;
}

static enum sto_status read_flag(const cJSON *json, const char *name, bool *out, struct sto_error *err)
{
    const cJSON *flag = cJSON_GetObjectItemCaseSensitive(json, name);
    if (flag != NULL && !cJSON_IsBool(flag))
        return sto_fail(err, STO_ERR_FAILED, "\"%s\" is not true or false", name);
    if (flag != NULL)
        *out = cJSON_IsTrue(flag) != 0;
    return STO_OK;
}

static enum sto_status tokenize_json(const struct sto_tokenizer *t, const struct buffer *line,
                                     struct sto_tokenize_params params, struct sto_error *err)
{
    if (holds_nul(line->data, line->size))
        return sto_fail(err, STO_ERR_FAILED, "a NUL character cannot be tokenized");
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(line->data, line->size, &end, 0);
    enum sto_status status = STO_OK;
    const size_t rest = json == NULL ? 0 : line->size - (size_t)(end - line->data);
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(json, "text");
    bool blank = true;
    for (size_t i = 0; i < rest; i++)
        blank = blank && strchr(" \t\r", end[i]) != NULL;
    if (json == NULL || !blank)
        status = sto_fail(err, STO_ERR_FAILED, "not a JSON value");
    else if (!cJSON_IsObject(json))
        status = sto_fail(err, STO_ERR_FAILED, "not a JSON object");
    else if (!cJSON_IsString(text))
        status = sto_fail(err, STO_ERR_FAILED, "no string \"text\" in the object");
    if (status == STO_OK)
        status = read_flag(json, "parse_special", &params.parse_special, err);
    if (status == STO_OK)
        status = read_flag(json, "add_special", &params.add_special, err);
    if (status == STO_OK)
        status = tokenize_text(t, text->valuestring, strlen(text->valuestring), params, err);
    cJSON_Delete(json);
    return status;
}

static enum sto_status tokenize_lines(const struct sto_tokenizer *t, struct sto_tokenize_params params,
                                      struct sto_error *err)
{
    struct buffer line = {0};
    bool more = true;
    enum sto_status status = STO_OK;
    for (unsigned long number = 1; status == STO_OK; number++) {
        status = read_line(&line, &more, err);
        if (status != STO_OK || !more)
            break;
        status = tokenize_json(t, &line, params, err);
        if (status != STO_OK)
            sto_error_prefix(err, "line %lu", number);
    }
    sto_free(line.data);
    return status;
}

/* ---- the command ---- */

static enum sto_status run(const struct sto_command_options *own, const struct sto_tokenizer *t, struct sto_error *err)
{
    const struct sto_tokenize_params params = {.parse_special = own->special, .add_special = !own->no_bos};
    if (own->jsonl)
        return tokenize_lines(t, params, err);
    if (own->prompt != NULL)
        return tokenize_text(t, own->prompt, strlen(own->prompt), params, err);
    struct buffer all = {0};
    enum sto_status status = read_all(&all, err);
    if (status == STO_OK)
        status = tokenize_text(t, all.data, all.size, params, err);
    sto_free(all.data);
    return status;
}

static enum sto_status open_and_run(const struct sto_options *o, struct sto_error *err)
{
    const struct sto_gguf_params params = {.header_only = true};
    const char *path = NULL;
    struct sto_gguf *gguf = NULL;
    struct sto_vocab vocab = {0};
    struct sto_tokenizer *tokenizer = NULL;
    if (o->own.jsonl && o->own.prompt != NULL)
        return sto_fail(err, STO_ERR_USAGE, "tokenize: -p and --jsonl exclude each other");
    enum sto_status status = sto_cli_model(o, &path, err);
    if (status == STO_OK)
        status = sto_gguf_open(path, &params, &gguf, err);
    if (status == STO_OK)
        status = sto_vocab_read(gguf, &vocab, err);
    if (status == STO_OK && vocab.kind == STO_VOCAB_NONE && vocab.model.size == 0) {
        status = sto_fail(err, STO_ERR_MODEL, "%s: the file has no tokenizer", path);
    } else if (status == STO_OK) {
        status = sto_tokenizer_create(&vocab, &tokenizer, err);
        if (status != STO_OK)
            sto_error_prefix(err, "%s", path);
    }
    if (status == STO_OK)
        status = run(&o->own, tokenizer, err);
    sto_tokenizer_destroy(tokenizer);
    sto_vocab_free(&vocab);
    sto_gguf_close(gguf);
    return status;
}

int sto_cmd_tokenize(int argc, char **argv)
{
    struct sto_options options;
    struct sto_error err = {0};
    int code;
    if (!sto_cli_parse(argc, argv, &options, &code))
        return code;
    if (open_and_run(&options, &err) != STO_OK) {
        (void)fflush(stdout); /* the lines before a bad one have been answered */
        return sto_cli_fail(&err);
    }
    return sto_cli_finish();
}

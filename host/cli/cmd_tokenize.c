/* strato tokenize MODEL: text to token ids. Only the file's header is needed. */
#include "host/cli/cli.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "host/tokenizer.h"
#include "runtime/base/mem.h"
#include "runtime/base/status.h"

static const char usage[] =
    "usage: strato tokenize MODEL [--special] [--no-bos] [-p TEXT | --jsonl]\n"
    "Prints the token ids of a text as a JSON array. The text is TEXT, else all of standard input.\n"
    "MODEL is a GGUF file; its tensor data may be missing.\n"
    "  -p TEXT     the text\n"
    "  --special   text such as <|im_end|> becomes the special token\n"
    "  --no-bos    add no token that begins or ends a text, whatever the model file says\n"
    "  --jsonl     one object {\"text\", \"parse_special\", \"add_special\"} per line of standard input, one array\n"
    "              per line of output; the two flags are optional and override --special and --no-bos\n";

struct options {
    const char *model, *text;
    bool jsonl;
    struct sto_tokenize_params params;
};

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

static enum sto_status tokenize_lines(const struct sto_tokenizer *t, const struct options *o, struct sto_error *err)
{
    struct buffer line = {0};
    bool more = true;
    enum sto_status status = STO_OK;
    for (unsigned long number = 1; status == STO_OK; number++) {
        status = read_line(&line, &more, err);
        if (status != STO_OK || !more)
            break;
        status = tokenize_json(t, &line, o->params, err);
        if (status != STO_OK)
            sto_error_prefix(err, "line %lu", number);
    }
    sto_free(line.data);
    return status;
}

/* ---- the command ---- */

static enum sto_status run(const struct options *o, const struct sto_tokenizer *t, struct sto_error *err)
{
    if (o->jsonl)
        return tokenize_lines(t, o, err);
    if (o->text != NULL)
        return tokenize_text(t, o->text, strlen(o->text), o->params, err);
    struct buffer all = {0};
    enum sto_status status = read_all(&all, err);
    if (status == STO_OK)
        status = tokenize_text(t, all.data, all.size, o->params, err);
    sto_free(all.data);
    return status;
}

static enum sto_status open_and_run(const struct options *o, struct sto_error *err)
{
    const struct sto_gguf_params params = {.header_only = true};
    struct sto_gguf *gguf = NULL;
    struct sto_vocab vocab = {0};
    struct sto_tokenizer *tokenizer = NULL;
    enum sto_status status = sto_gguf_open(o->model, &params, &gguf, err);
    if (status == STO_OK)
        status = sto_vocab_read(gguf, &vocab, err);
    if (status == STO_OK && vocab.kind == STO_VOCAB_NONE && vocab.model.size == 0) {
        status = sto_fail(err, STO_ERR_MODEL, "%s: the file has no tokenizer", o->model);
    } else if (status == STO_OK) {
        status = sto_tokenizer_create(&vocab, &tokenizer, err);
        if (status != STO_OK)
            sto_error_prefix(err, "%s", o->model);
    }
    if (status == STO_OK)
        status = run(o, tokenizer, err);
    sto_tokenizer_destroy(tokenizer);
    sto_vocab_free(&vocab);
    sto_gguf_close(gguf);
    if (fflush(stdout) != 0 && status == STO_OK)
        status = sto_fail(err, STO_ERR_FAILED, "standard output cannot be written");
    return status;
}

static int usage_error(const char *what, const char *arg)
{
    (void)fprintf(stderr, "strato tokenize: %s%s\n%s", what, arg, usage);
    return STO_ERR_USAGE;
}

int sto_cmd_tokenize(int argc, char **argv)
{
    struct options o = {.params = {.add_special = true}};
    bool options = true;
    for (int i = 1; i < argc; i++) {
        const bool option = options && argv[i][0] == '-' && argv[i][1] != '\0';
        if (option && strcmp(argv[i], "--") == 0)
            options = false;
        else if (option && strcmp(argv[i], "--special") == 0)
            o.params.parse_special = true;
        else if (option && strcmp(argv[i], "--no-bos") == 0)
            o.params.add_special = false;
        else if (option && strcmp(argv[i], "--jsonl") == 0)
            o.jsonl = true;
        else if (option && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0))
            return fputs(usage, stdout) < 0 ? STO_ERR_FAILED : STO_OK;
        else if (option && strcmp(argv[i], "-p") == 0 && i + 1 < argc)
            o.text = argv[++i];
        else if (option)
            return usage_error(strcmp(argv[i], "-p") == 0 ? "which text? " : "unknown option ", argv[i]);
        else if (o.model != NULL)
            return usage_error("more than one model: ", argv[i]);
        else
            o.model = argv[i];
    }
    if (o.model == NULL)
        return usage_error("which model?", "");
    if (o.jsonl && o.text != NULL)
        return usage_error("-p and --jsonl exclude each other", "");
    struct sto_error err = {0};
    const enum sto_status status = open_and_run(&o, &err);
    if (status == STO_OK)
        return STO_OK;
    (void)fprintf(stderr, "strato tokenize: %s\n", err.message);
    return sto_exit_code(status);
}

/* strato template: renders conversations with a chat template. Only a model file's header is needed, or no model. */
#include "host/cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "host/chat_turn.h"
#include "host/cli/stack.h"
#include "host/json.h"

/* The template, and what it is given where a conversation does not say. */
struct renderer {
    struct sto_gguf *gguf;
    struct sto_vocab vocab;
    struct sto_tokenizer *tokenizer;
    struct sto_template *template;
    struct sto_template_input defaults;
};

struct line {
    char *data; /* not NUL-terminated */
    size_t size, capacity;
};

/* ---- one conversation ---- */

static enum sto_status wrong_kind(const char *key, const char *wanted, struct sto_error *err)
{
    return sto_fail(err, STO_ERR_FAILED, "\"%s\" is not %s", key, wanted);
}

/* A token's text; null: the variable is not defined; absent: the model's. */
static enum sto_status read_token(struct sto_value request, const char *key, struct sto_view *out,
                                  struct sto_error *err)
{
    const struct sto_value v = sto_value_get(request, key);
    if (v.kind == STO_VALUE_TEXT)
        *out = sto_value_view(v);
    else if (v.kind == STO_VALUE_NULL)
        *out = (struct sto_view){NULL, 0};
    else if (v.kind != STO_VALUE_UNDEFINED)
        return wrong_kind(key, "text or null", err);
    return STO_OK;
}

static enum sto_status read_input(struct sto_value request, struct sto_template_input *in, struct sto_error *err)
{
    const struct sto_value prompt = sto_value_get(request, "add_generation_prompt");
    if (request.kind != STO_VALUE_OBJECT)
        return sto_fail(err, STO_ERR_FAILED, "not a JSON object");
    in->messages = sto_value_get(request, "messages");
    in->tools = sto_value_get(request, "tools");
    in->extra = sto_value_get(request, "kwargs");
    in->add_generation_prompt = prompt.kind == STO_VALUE_BOOL && prompt.boolean;
    if (in->messages.kind != STO_VALUE_LIST)
        return wrong_kind("messages", "a list", err);
    if (in->tools.kind != STO_VALUE_LIST && in->tools.kind != STO_VALUE_NULL && in->tools.kind != STO_VALUE_UNDEFINED)
        return wrong_kind("tools", "a list or null", err);
    if (in->extra.kind != STO_VALUE_OBJECT && in->extra.kind != STO_VALUE_NULL && in->extra.kind != STO_VALUE_UNDEFINED)
        return wrong_kind("kwargs", "an object", err);
    if (prompt.kind != STO_VALUE_BOOL && prompt.kind != STO_VALUE_UNDEFINED)
        return wrong_kind("add_generation_prompt", "true or false", err);
    const enum sto_status status = read_token(request, "bos_token", &in->bos_token, err);
    return status == STO_OK ? read_token(request, "eos_token", &in->eos_token, err) : status;
}

/* {"key": "text"} */
static enum sto_status print(const char *key, const char *text, size_t size, struct sto_error *err)
{
    struct sto_arena arena = {0};
    struct sto_json_text out = {0};
    struct sto_object *object = sto_object_create(&arena);
    const struct sto_value v = sto_value_text(&arena, text, size);
    enum sto_status status = STO_OK;
    if (object == NULL || v.kind == STO_VALUE_UNDEFINED || !sto_object_set(&arena, object, key, v))
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for a text of %zu bytes", size);
    if (status == STO_OK)
        status = sto_json_write(&out, sto_value_of_object(object), NULL, err);
    if (status == STO_OK && (fwrite(out.data, 1, out.size, stdout) != out.size || putchar('\n') == EOF))
        status = sto_fail(err, STO_ERR_FAILED, "standard output cannot be written");
    sto_free(out.data);
    sto_arena_free(&arena);
    return status;
}

/* A conversation that cannot be rendered has an answer too; it fails the command only where there is no other. */
static enum sto_status render(const struct renderer *r, struct sto_view json, bool lines, struct sto_error *err)
{
    struct sto_arena arena = {0};
    struct sto_value request;
    struct sto_rendering out = {0};
    struct sto_error why = {0};
    struct sto_template_input in = r->defaults;
    enum sto_status printed = STO_OK, status = sto_json_read(&arena, json.data, json.size, &request, &why);
    if (status == STO_OK)
        status = read_input(request, &in, &why);
    if (status == STO_OK)
        status = sto_template_render(r->template, &in, &out, &why);
    if (status == STO_OK)
        printed = print("text", out.text, out.size, err);
    else if (out.refusal != NULL)
        printed = print("error", out.refusal, out.refusal_size, err);
    else
        printed = print("error", why.message, strlen(why.message), err);
    sto_rendering_free(&out);
    sto_arena_free(&arena);
    if (printed != STO_OK || status == STO_OK || lines)
        return printed;
    return sto_fail(err, STO_ERR_FAILED, "%s", why.message);
}

/* The next line of standard input, without its end; *more: there is one. */
static enum sto_status read_line(struct line *line, bool *more, struct sto_error *err)
{
    int c;
    line->size = 0;
    while ((c = getc(stdin)) != EOF && c != '\n') {
        if (line->size == line->capacity) {
            const size_t capacity = line->capacity == 0 ? 4096 : line->capacity * 2;
            char *grown = capacity <= STO_JSON_MAX_BYTES ? sto_realloc(line->data, capacity, 1) : NULL;
            if (grown == NULL)
                return sto_fail(err, STO_ERR_FAILED, "a line of more than %zu bytes", line->capacity);
            line->data = grown;
            line->capacity = capacity;
        }
        line->data[line->size++] = (char)c;
    }
    *more = line->size > 0 || c == '\n';
    return ferror(stdin) ? sto_fail(err, STO_ERR_FAILED, "standard input cannot be read") : STO_OK;
}

/* One answer per line, given before the next line is waited for. Lines without text have none. */
static enum sto_status render_lines(const struct renderer *r, struct sto_error *err)
{
    struct line line = {0};
    bool more = true;
    enum sto_status status = read_line(&line, &more, err);
    for (; status == STO_OK && more; status = status == STO_OK ? read_line(&line, &more, err) : status) {
        size_t blanks = 0;
        while (blanks < line.size && memchr(" \t\r", line.data[blanks], 3) != NULL)
            blanks++;
        if (blanks == line.size)
            continue;
        status = render(r, (struct sto_view){line.data, line.size}, true, err);
        if (status == STO_OK && fflush(stdout) != 0)
            status = sto_fail(err, STO_ERR_FAILED, "standard output cannot be written");
    }
    sto_free(line.data);
    return status;
}

static enum sto_status render_one(const struct renderer *r, struct sto_error *err)
{
    char *text = NULL;
    size_t size = 0;
    enum sto_status status = sto_read_input(NULL, &text, &size, err);
    if (status == STO_OK)
        status = render(r, (struct sto_view){text, size}, false, err);
    sto_free(text);
    return status;
}

/* ---- the template ---- */

static enum sto_status read_template_file(struct renderer *r, const char *path, struct sto_error *err)
{
    char *source = NULL;
    size_t size = 0;
    enum sto_status status = sto_read_input(path, &source, &size, err);
    if (status == STO_OK && (status = sto_template_create(source, size, &r->template, err)) != STO_OK)
        sto_error_prefix(err, "%s", path);
    sto_free(source);
    return status;
}

/* The template of a model's file, unless there is one already, and its BOS and EOS. */
static enum sto_status read_model(struct renderer *r, const struct sto_options *o, struct sto_error *err)
{
    const struct sto_gguf_params header = {.header_only = true};
    const char *path = NULL;
    enum sto_status status = sto_cli_model(o, &path, err);
    if (status == STO_OK)
        status = sto_gguf_open(path, &header, &r->gguf, err);
    if (status == STO_OK)
        status = sto_vocab_read(r->gguf, &r->vocab, err);
    if (status != STO_OK)
        return status;
    const struct sto_view source = r->vocab.chat_template;
    if (r->template == NULL && source.size == 0)
        return sto_fail(err, STO_ERR_MODEL, "%s: the file has no chat template", path);
    if (r->template == NULL)
        status = sto_template_create(source.data, source.size, &r->template, err);
    if (status == STO_OK && r->vocab.kind != STO_VOCAB_NONE)
        status = sto_tokenizer_create(&r->vocab, &r->tokenizer, err);
    if (status != STO_OK)
        sto_error_prefix(err, "%s", path);
    else if (r->tokenizer != NULL)
        r->defaults = sto_chat_turn_input(&r->vocab, r->tokenizer);
    return status;
}

static enum sto_status open_and_render(const struct sto_options *o, struct sto_error *err)
{
    struct renderer r = {.defaults = {.now = STO_TEMPLATE_NOW}};
    int64_t now = STO_TEMPLATE_NOW;
    enum sto_status status = STO_OK;
    if (o->own.now != NULL && !sto_template_parse_time(o->own.now, &now))
        return sto_fail(err, STO_ERR_USAGE,
                        "--now '%s' is no time; give 2026-01-15, \"2026-01-15 12:00:00\" or seconds since 1970",
                        o->own.now);
    if (o->own.template_file != NULL)
        status = read_template_file(&r, o->own.template_file, err);
    if (status == STO_OK && (o->n_models > 0 || o->own.template_file == NULL))
        status = read_model(&r, o, err);
    r.defaults.now = now;
    if (status == STO_OK)
        status = o->own.jsonl ? render_lines(&r, err) : render_one(&r, err);
    sto_template_destroy(r.template);
    sto_tokenizer_destroy(r.tokenizer);
    sto_vocab_free(&r.vocab);
    sto_gguf_close(r.gguf);
    return status;
}

int sto_cmd_template(int argc, char **argv)
{
    struct sto_options options;
    struct sto_error err = {0};
    int code;
    if (!sto_cli_parse(argc, argv, &options, &code))
        return code;
    if (open_and_render(&options, &err) != STO_OK) {
        (void)fflush(stdout); /* what was answered before stays */
        return sto_cli_fail(&err);
    }
    return sto_cli_finish();
}

/* Template source to a tree of statements; expressions are in template_parse_expr.c. */
#include "host/template_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- what both parsing files use ---- */

bool sto_parser_fail(struct sto_parser *p, const char *fmt, ...)
{
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (p->status == STO_OK)
        p->status = sto_template_fail(p->err, p->token->line, what);
    return false;
}

bool sto_parser_enter(struct sto_parser *p)
{
    if (p->depth >= STO_TEMPLATE_MAX_NESTING)
        return sto_parser_fail(p, "nested too deep (at most %d levels)", STO_TEMPLATE_MAX_NESTING);
    p->depth++;
    return true;
}

struct sto_node *sto_parser_node(struct sto_parser *p, enum sto_node_kind kind)
{
    struct sto_node *node = sto_arena_alloc(&p->t->arena, 1, sizeof *node);
    if (node == NULL)
        return sto_parser_fail(p, "no memory"), NULL;
    node->kind = kind;
    node->line = p->token->line;
    return node;
}

bool sto_parser_at(const struct sto_parser *p, enum sto_lexeme kind, const char *text)
{
    return p->token->kind == kind && sto_view_equals(p->token->text, text);
}

bool sto_parser_skip(struct sto_parser *p, enum sto_lexeme kind, const char *text)
{
    const bool there = sto_parser_at(p, kind, text);
    p->token += there ? 1 : 0;
    return there;
}

/* What an error calls the next token. */
static struct sto_view describe(const struct sto_token *token)
{
    static const char *const names[] = {"the end of the template",
                                        "text",
                                        "\"{{\"",
                                        "\"{%\"",
                                        "the end of the tag",
                                        NULL,
                                        "a string",
                                        "a number",
                                        NULL};
    const char *name = names[token->kind];
    return name != NULL ? (struct sto_view){name, strlen(name)} : token->text;
}

bool sto_parser_expect(struct sto_parser *p, enum sto_lexeme kind, const char *text)
{
    if (sto_parser_skip(p, kind, text))
        return true;
    const struct sto_view found = describe(p->token);
    return sto_parser_fail(p, "expected \"%s\", found %.*s", text, (int)(found.size < 80 ? found.size : 80),
                           found.data);
}

bool sto_parser_name(struct sto_parser *p, uint32_t *name)
{
    if (p->token->kind != STO_LEX_NAME) {
        const struct sto_view found = describe(p->token);
        return sto_parser_fail(p, "expected a name, found %.*s", (int)(found.size < 80 ? found.size : 80), found.data);
    }
    const struct sto_view text = p->token->text;
    const struct sto_value *known = sto_object_find(p->t->names, text.data, text.size);
    if (known == NULL) {
        struct sto_text *key = sto_arena_alloc(&p->t->arena, 1, sizeof *key);
        char *data = key != NULL ? sto_arena_strndup(&p->t->arena, text.data, text.size) : NULL;
        *name = (uint32_t)p->t->names->n;
        if (data == NULL)
            return sto_parser_fail(p, "no memory");
        *key = (struct sto_text){.data = data, .size = text.size, .from_template = true};
        if (!sto_object_set_text(&p->t->arena, p->t->names, key, sto_value_int(*name)))
            return sto_parser_fail(p, "no memory");
    } else {
        *name = (uint32_t)known->integer;
    }
    p->token++;
    return true;
}

/* ---- statements ---- */

static bool parse_body(struct sto_parser *p, const char *const *ends, struct sto_node **out);

static bool close_tag(struct sto_parser *p)
{
    if (p->token->kind == STO_LEX_CLOSE) {
        p->token++;
        return true;
    }
    const struct sto_view found = describe(p->token);
    return sto_parser_fail(p, "expected the end of the tag, found %.*s", (int)(found.size < 80 ? found.size : 80),
                           found.data);
}

/* The rest of the opening tag, the body, and the tag that ends it. */
static bool parse_block(struct sto_parser *p, const char *end, struct sto_node **out)
{
    return close_tag(p) && parse_body(p, (const char *const[]){end, NULL}, out) &&
           sto_parser_expect(p, STO_LEX_NAME, end);
}

/* After "if" or "elif": the branch; its else is the next elif or a list of statements. */
static bool parse_branch(struct sto_parser *p, struct sto_node *node)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    return (node->b = sto_parse_tuple(p, true)) != NULL && close_tag(p) && parse_body(p, ends, &node->a);
}

static bool parse_if(struct sto_parser *p, struct sto_node *node)
{
    static const char *const ends[] = {"endif", NULL};
    if (!parse_branch(p, node))
        return false;
    while (sto_parser_skip(p, STO_LEX_NAME, "elif")) {
        struct sto_node *next = sto_parser_node(p, STO_NODE_IF);
        if (next == NULL || !parse_branch(p, next))
            return false;
        node->d = next;
        node = next;
    }
    if (sto_parser_skip(p, STO_LEX_NAME, "else") && !(close_tag(p) && parse_body(p, ends, &node->c)))
        return false;
    return sto_parser_expect(p, STO_LEX_NAME, "endif");
}

static bool parse_for(struct sto_parser *p, struct sto_node *node)
{
    static const char *const ends[] = {"else", "endfor", NULL}, *const end[] = {"endfor", NULL};
    if ((node->a = sto_parse_target(p, false)) == NULL || !sto_parser_expect(p, STO_LEX_NAME, "in") ||
        (node->b = sto_parse_tuple(p, false)) == NULL)
        return false;
    if (sto_parser_skip(p, STO_LEX_NAME, "if") && (node->d = sto_parse_expression(p)) == NULL)
        return false;
    if (sto_parser_skip(p, STO_LEX_NAME, "recursive"))
        node->op = STO_OP_RECURSIVE;
    p->loops++;
    const bool ok = close_tag(p) && parse_body(p, ends, &node->body);
    p->loops--;
    if (!ok)
        return false;
    if (sto_parser_skip(p, STO_LEX_NAME, "else") && !(close_tag(p) && parse_body(p, end, &node->c)))
        return false;
    return sto_parser_expect(p, STO_LEX_NAME, "endfor");
}

static bool parse_set(struct sto_parser *p, struct sto_node *node)
{
    if ((node->a = sto_parse_target(p, true)) == NULL)
        return false;
    if (sto_parser_skip(p, STO_LEX_OPERATOR, "="))
        return (node->b = sto_parse_tuple(p, true)) != NULL;
    node->kind = STO_NODE_SET_BLOCK;
    while (sto_parser_skip(p, STO_LEX_OPERATOR, "|")) {
        if ((node->b = sto_parse_filters(p, node->b)) == NULL)
            return false;
    }
    return parse_block(p, "endset", &node->body);
}

/* Parameters of a macro, from after "(" on; those with a default have it in a. */
static bool parse_parameters(struct sto_parser *p, struct sto_node **out)
{
    for (struct sto_node **tail = out; !sto_parser_skip(p, STO_LEX_OPERATOR, ")"); tail = &(*tail)->next) {
        struct sto_node *parameter = sto_parser_node(p, STO_NODE_ARGUMENT);
        if (parameter == NULL || !sto_parser_name(p, &parameter->name))
            return false;
        if (sto_parser_skip(p, STO_LEX_OPERATOR, "=") && (parameter->a = sto_parse_expression(p)) == NULL)
            return false;
        *tail = parameter;
        if (!sto_parser_at(p, STO_LEX_OPERATOR, ")") && !sto_parser_expect(p, STO_LEX_OPERATOR, ","))
            return false;
    }
    return true;
}

/* A body that runs on its own: the loops around it are not its own to leave. */
static bool parse_function_body(struct sto_parser *p, const char *end, struct sto_node **out)
{
    const unsigned loops = p->loops;
    p->loops = 0;
    const bool ok = parse_block(p, end, out);
    p->loops = loops;
    return ok;
}

static bool parse_macro(struct sto_parser *p, struct sto_node *node)
{
    return sto_parser_name(p, &node->name) && sto_parser_expect(p, STO_LEX_OPERATOR, "(") &&
           parse_parameters(p, &node->args) && parse_function_body(p, "endmacro", &node->body);
}

static bool parse_call_block(struct sto_parser *p, struct sto_node *node)
{
    if (sto_parser_skip(p, STO_LEX_OPERATOR, "(") && !parse_parameters(p, &node->args))
        return false;
    if ((node->a = sto_parse_expression(p)) == NULL)
        return false;
    if (node->a->kind != STO_NODE_CALL)
        return sto_parser_fail(p, "a call block needs a call");
    return parse_function_body(p, "endcall", &node->body);
}

static bool parse_filter_block(struct sto_parser *p, struct sto_node *node)
{
    do {
        if ((node->b = sto_parse_filters(p, node->b)) == NULL)
            return false;
    } while (sto_parser_skip(p, STO_LEX_OPERATOR, "|"));
    return parse_block(p, "endfilter", &node->body);
}

static bool parse_with(struct sto_parser *p, struct sto_node *node)
{
    for (struct sto_node **tail = &node->args; p->token->kind != STO_LEX_CLOSE; tail = &(*tail)->next) {
        struct sto_node *pair = sto_parser_node(p, STO_NODE_ARGUMENT);
        if (pair == NULL || (pair->b = sto_parse_target(p, false)) == NULL ||
            !sto_parser_expect(p, STO_LEX_OPERATOR, "=") || (pair->a = sto_parse_expression(p)) == NULL)
            return false;
        *tail = pair;
        if (p->token->kind != STO_LEX_CLOSE && !sto_parser_expect(p, STO_LEX_OPERATOR, ","))
            return false;
    }
    return parse_block(p, "endwith", &node->body);
}

static bool parse_do(struct sto_parser *p, struct sto_node *node)
{
    return (node->a = sto_parse_tuple(p, true)) != NULL;
}

static bool parse_group(struct sto_parser *p, struct sto_node *node)
{
    return parse_block(p, "endgeneration", &node->body);
}

static bool parse_jump(struct sto_parser *p, struct sto_node *node)
{
    (void)node;
    return p->loops > 0 || sto_parser_fail(p, "this is inside no loop");
}

static const struct {
    const char *name;
    enum sto_node_kind kind;
    bool (*parse)(struct sto_parser *p, struct sto_node *node);
} statements[] = {
    {"if", STO_NODE_IF, parse_if},
    {"for", STO_NODE_FOR, parse_for},
    {"set", STO_NODE_SET, parse_set},
    {"macro", STO_NODE_MACRO, parse_macro},
    {"call", STO_NODE_CALL_BLOCK, parse_call_block},
    {"filter", STO_NODE_FILTER_BLOCK, parse_filter_block},
    {"with", STO_NODE_WITH, parse_with},
    {"do", STO_NODE_DO, parse_do},
    {"generation", STO_NODE_GROUP, parse_group},
    {"break", STO_NODE_BREAK, parse_jump},
    {"continue", STO_NODE_CONTINUE, parse_jump},
};

/* After "{%"; to behind the tag that ends the statement. */
static struct sto_node *parse_statement(struct sto_parser *p)
{
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!sto_parser_at(p, STO_LEX_NAME, statements[i].name))
            continue;
        struct sto_node *node = sto_parser_node(p, statements[i].kind);
        if (node == NULL || !sto_parser_enter(p))
            return NULL;
        p->token++;
        const bool ok = statements[i].parse(p, node) && close_tag(p);
        p->depth--;
        return ok ? node : NULL;
    }
    const struct sto_view found = describe(p->token);
    sto_parser_fail(p, "no such statement here: %.*s", (int)(found.size < 80 ? found.size : 80), found.data);
    return NULL;
}

static struct sto_node *parse_output(struct sto_parser *p)
{
    struct sto_node *node = sto_parser_node(p, STO_NODE_OUTPUT);
    return node != NULL && (node->a = sto_parse_tuple(p, true)) != NULL && close_tag(p) ? node : NULL;
}

static struct sto_node *parse_text(struct sto_parser *p)
{
    struct sto_node *node = sto_parser_node(p, STO_NODE_TEXT);
    struct sto_text *text = node != NULL ? sto_arena_alloc(&p->t->arena, 1, sizeof *text) : NULL;
    char *data = text != NULL ? sto_arena_strndup(&p->t->arena, p->token->text.data, p->token->text.size) : NULL;
    if (data == NULL)
        return sto_parser_fail(p, "no memory"), NULL;
    *text = (struct sto_text){.data = data, .size = p->token->text.size, .from_template = true};
    node->value = (struct sto_value){.kind = STO_VALUE_TEXT, .text = text};
    p->token++;
    return node;
}

/* Statements up to a tag that begins with one of the ends, whose word is the next token then; or to the end of the
 * template where ends is NULL. */
static bool parse_body(struct sto_parser *p, const char *const *ends, struct sto_node **out)
{
    for (struct sto_node **tail = out; p->token->kind != STO_LEX_END; tail = &(*tail)->next) {
        const struct sto_token *tag = p->token;
        if (tag->kind == STO_LEX_TEXT) {
            *tail = parse_text(p);
        } else if (tag->kind == STO_LEX_OUTPUT) {
            p->token++;
            *tail = parse_output(p);
        } else {
            p->token++;
            for (size_t i = 0; ends != NULL && ends[i] != NULL; i++) {
                if (sto_parser_at(p, STO_LEX_NAME, ends[i]))
                    return true;
            }
            *tail = parse_statement(p);
        }
        if (*tail == NULL)
            return false;
    }
    if (ends == NULL)
        return true;
    return sto_parser_fail(p, "the template ends where a tag \"%s\" is missing", ends[0]);
}

/* ---- the whole ---- */

/* Line ends as \n alone, and without the one at the very end. */
static char *normalise(struct sto_arena *arena, const char *source, size_t *size)
{
    char *text = sto_arena_alloc(arena, *size + 1, 1);
    size_t n = 0;
    for (size_t i = 0; text != NULL && i < *size; i++) {
        if (source[i] == '\r') {
            text[n++] = '\n';
            i += i + 1 < *size && source[i + 1] == '\n' ? 1 : 0;
        } else {
            text[n++] = source[i];
        }
    }
    *size = n > 0 && text[n - 1] == '\n' ? n - 1 : n;
    return text;
}

static enum sto_status check_source(const char *source, size_t size, struct sto_error *err)
{
    uint32_t line = 1;
    if (size > STO_TEMPLATE_MAX_SOURCE_BYTES)
        return sto_fail(err, STO_ERR_MODEL, "line 1: the template has %zu bytes, more than %d", size,
                        STO_TEMPLATE_MAX_SOURCE_BYTES);
    for (size_t i = 0, n; i < size; i += n) {
        n = sto_utf8_sequence(source + i, size - i);
        if (n == 0)
            return sto_template_fail(err, line, "not valid UTF-8");
        line += source[i] == '\n' ? 1 : 0;
    }
    return STO_OK;
}

enum sto_status sto_template_create(const char *source, size_t size, struct sto_template **out, struct sto_error *err)
{
    struct sto_token_list tokens = {0};
    struct sto_template *t = NULL;
    char *text = NULL;
    *out = NULL;
    enum sto_status status = check_source(source, size, err);
    if (status != STO_OK)
        return status;
    t = sto_calloc(1, sizeof *t);
    if (t == NULL || (t->names = sto_object_create(&t->arena)) == NULL ||
        (text = normalise(&t->arena, source, &size)) == NULL) {
        status = sto_fail(err, STO_ERR_FAILED, "no memory for a template of %zu bytes", size);
        goto fail;
    }
    if ((status = sto_template_lex(&t->arena, (struct sto_view){text, size}, &tokens, err)) != STO_OK)
        goto fail;
    struct sto_parser p = {.t = t, .token = tokens.items, .err = err};
    parse_body(&p, NULL, &t->body);
    if ((status = p.status) != STO_OK)
        goto fail;
    sto_free(tokens.items);
    *out = t;
    return STO_OK;
fail:
    sto_free(tokens.items);
    sto_template_destroy(t);
    return status;
}

void sto_template_destroy(struct sto_template *t)
{
    if (t == NULL)
        return;
    sto_arena_free(&t->arena);
    sto_free(t);
}

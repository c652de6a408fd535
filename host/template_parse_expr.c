/* Expressions of the template language, loosest first:
 * a if b else c; or; and; not; comparisons, in; + -; ~; * / // %; **; unary + -; calls, items, filters, tests. */
#include "host/template_internal.h"

#include <string.h>

static struct sto_node *parse_or(struct sto_parser *p);
static struct sto_node *parse_unary(struct sto_parser *p, bool with_filter);

/* A node with its first operand; NULL when there is none, because parsing it failed. */
static struct sto_node *node_over(struct sto_parser *p, enum sto_node_kind kind, struct sto_node *a)
{
    struct sto_node *node = a != NULL ? sto_parser_node(p, kind) : NULL;
    if (node != NULL)
        node->a = a;
    return node;
}

static bool at_name(const struct sto_parser *p, const char *text)
{
    return sto_parser_at(p, STO_LEX_NAME, text);
}

static bool at_operator(const struct sto_parser *p, const char *text)
{
    return sto_parser_at(p, STO_LEX_OPERATOR, text);
}

static bool skip_name(struct sto_parser *p, const char *text)
{
    return sto_parser_skip(p, STO_LEX_NAME, text);
}

static bool skip_operator(struct sto_parser *p, const char *text)
{
    return sto_parser_skip(p, STO_LEX_OPERATOR, text);
}

/* ---- primaries ---- */

static struct sto_node *parse_name(struct sto_parser *p)
{
    static const struct {
        const char *name;
        struct sto_value value;
    } constants[] = {{"true", {.kind = STO_VALUE_BOOL, .boolean = true}},
                     {"True", {.kind = STO_VALUE_BOOL, .boolean = true}},
                     {"false", {.kind = STO_VALUE_BOOL, .boolean = false}},
                     {"False", {.kind = STO_VALUE_BOOL, .boolean = false}},
                     {"none", {.kind = STO_VALUE_NULL}},
                     {"None", {.kind = STO_VALUE_NULL}}};
    struct sto_node *node = sto_parser_node(p, STO_NODE_NAME);
    if (node == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        if (skip_name(p, constants[i].name)) {
            node->kind = STO_NODE_CONST;
            node->value = constants[i].value;
            return node;
        }
    }
    return sto_parser_name(p, &node->name) ? node : NULL;
}

/* "a" "b" is "ab". */
static struct sto_node *parse_string(struct sto_parser *p)
{
    struct sto_node *node = sto_parser_node(p, STO_NODE_CONST);
    size_t size = 0, n = 0;
    if (node == NULL)
        return NULL;
    for (const struct sto_token *t = p->token; t->kind == STO_LEX_STRING; t++, n++)
        size += t->value.text->size;
    node->value = p->token->value;
    if (n > 1) {
        struct sto_text *text = sto_arena_alloc(&p->t->arena, 1, sizeof *text);
        char *data = text != NULL ? sto_arena_alloc(&p->t->arena, size + 1, 1) : NULL;
        if (data == NULL)
            return sto_parser_fail(p, "no memory"), NULL;
        *text = (struct sto_text){.data = data, .from_template = true};
        for (size_t i = 0; i < n; i++) {
            const struct sto_text *part = p->token[i].value.text;
            memcpy(data + text->size, part->data, part->size);
            text->size += part->size;
        }
        node->value.text = text;
    }
    p->token += n;
    return node;
}

/* Elements up to the closing bracket, with commas between and perhaps one at the end. */
static bool parse_elements(struct sto_parser *p, const char *close, struct sto_node **out)
{
    for (struct sto_node **tail = out; !skip_operator(p, close); tail = &(*tail)->next) {
        if ((*tail = sto_parse_expression(p)) == NULL)
            return false;
        if (!at_operator(p, close) && !sto_parser_expect(p, STO_LEX_OPERATOR, ","))
            return false;
    }
    return true;
}

static struct sto_node *parse_object(struct sto_parser *p)
{
    struct sto_node *node = sto_parser_node(p, STO_NODE_OBJECT);
    if (node == NULL)
        return NULL;
    for (struct sto_node **tail = &node->a; !skip_operator(p, "}");) {
        struct sto_node *key = sto_parse_expression(p);
        if (key == NULL || !sto_parser_expect(p, STO_LEX_OPERATOR, ":"))
            return NULL;
        if ((key->next = sto_parse_expression(p)) == NULL)
            return NULL;
        *tail = key;
        tail = &key->next->next;
        if (!at_operator(p, "}") && !sto_parser_expect(p, STO_LEX_OPERATOR, ","))
            return NULL;
    }
    return node;
}

/* After "(": an expression, or a tuple, which may be empty. */
static struct sto_node *parse_parentheses(struct sto_parser *p)
{
    if (skip_operator(p, ")"))
        return sto_parser_node(p, STO_NODE_TUPLE);
    struct sto_node *node = sto_parse_tuple(p, true);
    return node != NULL && sto_parser_expect(p, STO_LEX_OPERATOR, ")") ? node : NULL;
}

static struct sto_node *parse_primary(struct sto_parser *p)
{
    struct sto_node *node = NULL;
    if (!sto_parser_enter(p))
        return NULL;
    if (p->token->kind == STO_LEX_NAME) {
        node = parse_name(p);
    } else if (p->token->kind == STO_LEX_STRING) {
        node = parse_string(p);
    } else if (p->token->kind == STO_LEX_NUMBER) {
        node = sto_parser_node(p, STO_NODE_CONST);
        if (node != NULL)
            node->value = p->token->value;
        p->token++;
    } else if (skip_operator(p, "(")) {
        node = parse_parentheses(p);
    } else if (skip_operator(p, "[")) {
        node = sto_parser_node(p, STO_NODE_LIST);
        node = node != NULL && parse_elements(p, "]", &node->a) ? node : NULL;
    } else if (skip_operator(p, "{")) {
        node = parse_object(p);
    } else {
        sto_parser_fail(p, "an expression is expected here");
    }
    p->depth--;
    return node;
}

/* ---- what follows a primary ---- */

bool sto_parse_arguments(struct sto_parser *p, struct sto_node **out)
{
    for (struct sto_node **tail = out; !skip_operator(p, ")"); tail = &(*tail)->next) {
        struct sto_node *arg = sto_parser_node(p, STO_NODE_ARGUMENT);
        if (arg == NULL)
            return false;
        arg->name = UINT32_MAX;
        if (skip_operator(p, "**")) {
            arg->op = STO_OP_STAR_STAR;
        } else if (skip_operator(p, "*")) {
            arg->op = STO_OP_STAR;
        } else if (p->token->kind == STO_LEX_NAME && p->token[1].kind == STO_LEX_OPERATOR &&
                   sto_view_equals(p->token[1].text, "=")) {
            if (!sto_parser_name(p, &arg->name))
                return false;
            p->token++;
        }
        if ((arg->a = sto_parse_expression(p)) == NULL)
            return false;
        *tail = arg;
        if (!at_operator(p, ")") && !sto_parser_expect(p, STO_LEX_OPERATOR, ","))
            return false;
    }
    return true;
}

static bool at_bound_end(const struct sto_parser *p)
{
    return at_operator(p, ":") || at_operator(p, "]") || at_operator(p, ",");
}

/* After "[". */
static struct sto_node *parse_item(struct sto_parser *p, struct sto_node *value)
{
    struct sto_node *node = node_over(p, STO_NODE_ITEM, value);
    if (node == NULL)
        return NULL;
    if (!at_operator(p, ":") && (node->b = sto_parse_tuple(p, true)) == NULL)
        return NULL;
    if (skip_operator(p, ":")) {
        node->kind = STO_NODE_SLICE;
        if (!at_bound_end(p) && (node->c = sto_parse_expression(p)) == NULL)
            return NULL;
        if (skip_operator(p, ":") && !at_bound_end(p) && (node->d = sto_parse_expression(p)) == NULL)
            return NULL;
    }
    return sto_parser_expect(p, STO_LEX_OPERATOR, "]") ? node : NULL;
}

/* After ".": a name, or the number of an item. */
static struct sto_node *parse_attribute(struct sto_parser *p, struct sto_node *value)
{
    struct sto_node *node = node_over(p, STO_NODE_ATTRIBUTE, value);
    if (node == NULL)
        return NULL;
    if (p->token->kind == STO_LEX_NUMBER && p->token->value.kind == STO_VALUE_INT) {
        node->kind = STO_NODE_ITEM;
        if ((node->b = sto_parser_node(p, STO_NODE_CONST)) == NULL)
            return NULL;
        node->b->value = p->token++->value;
        return node;
    }
    return sto_parser_name(p, &node->name) ? node : NULL;
}

static struct sto_node *parse_call(struct sto_parser *p, struct sto_node *value)
{
    struct sto_node *node = node_over(p, STO_NODE_CALL, value);
    return node != NULL && sto_parse_arguments(p, &node->args) ? node : NULL;
}

static struct sto_node *parse_postfix(struct sto_parser *p, struct sto_node *node)
{
    while (node != NULL) {
        if (skip_operator(p, "."))
            node = parse_attribute(p, node);
        else if (skip_operator(p, "["))
            node = parse_item(p, node);
        else if (skip_operator(p, "("))
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}

struct sto_node *sto_parse_filters(struct sto_parser *p, struct sto_node *value)
{
    struct sto_node *node = sto_parser_node(p, STO_NODE_FILTER);
    if (node == NULL)
        return NULL;
    node->a = value;
    if (!sto_parser_name(p, &node->name))
        return NULL;
    if (skip_operator(p, "(") && !sto_parse_arguments(p, &node->args))
        return NULL;
    return node;
}

/* Whether a test without parentheses has an argument here, as in "is divisibleby 3". */
static bool at_test_argument(const struct sto_parser *p)
{
    static const char *const words[] = {"else", "or", "and", "if", "in", "not", "is"};
    if (p->token->kind == STO_LEX_STRING || p->token->kind == STO_LEX_NUMBER)
        return true;
    if (p->token->kind != STO_LEX_NAME)
        return at_operator(p, "[") || at_operator(p, "{");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (at_name(p, words[i]))
            return false;
    }
    return true;
}

/* After "is". */
static struct sto_node *parse_test(struct sto_parser *p, struct sto_node *value)
{
    const bool negated = skip_name(p, "not");
    struct sto_node *node = node_over(p, STO_NODE_TEST, value);
    if (node == NULL || !sto_parser_name(p, &node->name))
        return NULL;
    if (skip_operator(p, "(")) {
        if (!sto_parse_arguments(p, &node->args))
            return NULL;
    } else if (at_test_argument(p)) {
        struct sto_node *arg = sto_parser_node(p, STO_NODE_ARGUMENT);
        if (arg == NULL || (arg->a = parse_postfix(p, parse_primary(p))) == NULL)
            return NULL;
        arg->name = UINT32_MAX;
        node->args = arg;
    }
    return negated ? node_over(p, STO_NODE_NOT, node) : node;
}

static struct sto_node *parse_filters_and_tests(struct sto_parser *p, struct sto_node *node)
{
    while (node != NULL) {
        if (skip_operator(p, "|"))
            node = sto_parse_filters(p, node);
        else if (skip_name(p, "is"))
            node = parse_test(p, node);
        else if (skip_operator(p, "("))
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}

/* ---- operators ---- */

static struct sto_node *parse_unary(struct sto_parser *p, bool with_filter)
{
    struct sto_node *node;
    const enum sto_operator op = at_operator(p, "-") ? STO_OP_SUB : at_operator(p, "+") ? STO_OP_ADD : STO_OP_NONE;
    if (!sto_parser_enter(p))
        return NULL;
    if (op != STO_OP_NONE) {
        p->token++;
        node = node_over(p, STO_NODE_UNARY, parse_unary(p, false));
        if (node != NULL)
            node->op = op;
    } else {
        node = parse_primary(p);
    }
    p->depth--;
    node = parse_postfix(p, node);
    return with_filter ? parse_filters_and_tests(p, node) : node;
}

struct operator_name {
    const char *text;
    enum sto_operator op;
};

static enum sto_operator take_operator(struct sto_parser *p, const struct operator_name *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (skip_operator(p, names[i].text))
            return names[i].op;
    }
    return STO_OP_NONE;
}

static struct sto_node *binary(struct sto_parser *p, enum sto_operator op, struct sto_node *a, struct sto_node *b)
{
    struct sto_node *node = b != NULL ? node_over(p, STO_NODE_BINARY, a) : NULL;
    if (node != NULL) {
        node->b = b;
        node->op = op;
    }
    return node;
}

static struct sto_node *parse_power(struct sto_parser *p)
{
    struct sto_node *node = parse_unary(p, true);
    while (node != NULL && skip_operator(p, "**"))
        node = binary(p, STO_OP_POW, node, parse_unary(p, true));
    return node;
}

static struct sto_node *parse_product(struct sto_parser *p)
{
    static const struct operator_name names[] = {
        {"*", STO_OP_MUL}, {"//", STO_OP_FLOOR_DIV}, {"/", STO_OP_DIV}, {"%", STO_OP_MOD}};
    struct sto_node *node = parse_power(p);
    for (enum sto_operator op; node != NULL && (op = take_operator(p, names, 4)) != STO_OP_NONE;)
        node = binary(p, op, node, parse_power(p));
    return node;
}

static struct sto_node *parse_concat(struct sto_parser *p)
{
    struct sto_node *first = parse_product(p);
    if (first == NULL || !at_operator(p, "~"))
        return first;
    struct sto_node *node = node_over(p, STO_NODE_CONCAT, first);
    for (struct sto_node *last = first; node != NULL && skip_operator(p, "~"); last = last->next) {
        if ((last->next = parse_product(p)) == NULL)
            return NULL;
    }
    return node;
}

static struct sto_node *parse_sum(struct sto_parser *p)
{
    static const struct operator_name names[] = {{"+", STO_OP_ADD}, {"-", STO_OP_SUB}};
    struct sto_node *node = parse_concat(p);
    for (enum sto_operator op; node != NULL && (op = take_operator(p, names, 2)) != STO_OP_NONE;)
        node = binary(p, op, node, parse_concat(p));
    return node;
}

static enum sto_operator take_comparison(struct sto_parser *p)
{
    static const struct operator_name names[] = {{"==", STO_OP_EQ}, {"!=", STO_OP_NE}, {"<=", STO_OP_LE},
                                                 {">=", STO_OP_GE}, {"<", STO_OP_LT},  {">", STO_OP_GT}};
    if (skip_name(p, "in"))
        return STO_OP_IN;
    if (at_name(p, "not") && p->token[1].kind == STO_LEX_NAME && sto_view_equals(p->token[1].text, "in")) {
        p->token += 2;
        return STO_OP_NOT_IN;
    }
    return take_operator(p, names, 6);
}

static struct sto_node *parse_comparison(struct sto_parser *p)
{
    struct sto_node *node = parse_sum(p);
    enum sto_operator op = node != NULL ? take_comparison(p) : STO_OP_NONE;
    if (op == STO_OP_NONE)
        return node;
    node = node_over(p, STO_NODE_COMPARE, node);
    for (struct sto_node **tail = node != NULL ? &node->b : NULL; tail != NULL && op != STO_OP_NONE;) {
        struct sto_node *operand = node_over(p, STO_NODE_ARGUMENT, parse_sum(p));
        if (operand == NULL)
            return NULL;
        operand->op = op;
        *tail = operand;
        tail = &operand->next;
        op = take_comparison(p);
    }
    return node;
}

static struct sto_node *parse_not(struct sto_parser *p)
{
    if (!skip_name(p, "not"))
        return parse_comparison(p);
    if (!sto_parser_enter(p))
        return NULL;
    struct sto_node *node = node_over(p, STO_NODE_NOT, parse_not(p));
    p->depth--;
    return node;
}

static struct sto_node *parse_and(struct sto_parser *p)
{
    struct sto_node *node = parse_not(p);
    while (node != NULL && skip_name(p, "and")) {
        node = node_over(p, STO_NODE_AND, node);
        if (node != NULL && (node->b = parse_not(p)) == NULL)
            return NULL;
    }
    return node;
}

static struct sto_node *parse_or(struct sto_parser *p)
{
    struct sto_node *node = parse_and(p);
    while (node != NULL && skip_name(p, "or")) {
        node = node_over(p, STO_NODE_OR, node);
        if (node != NULL && (node->b = parse_and(p)) == NULL)
            return NULL;
    }
    return node;
}

struct sto_node *sto_parse_expression(struct sto_parser *p)
{
    if (!sto_parser_enter(p))
        return NULL;
    struct sto_node *node = parse_or(p);
    while (node != NULL && skip_name(p, "if")) {
        node = node_over(p, STO_NODE_IF_ELSE, node);
        if (node == NULL || (node->b = parse_or(p)) == NULL) {
            node = NULL;
        } else if (skip_name(p, "else")) {
            node->c = sto_parse_expression(p);
            node = node->c != NULL ? node : NULL;
        }
    }
    p->depth--;
    return node;
}

/* Where a tuple without parentheses ends. */
static bool at_tuple_end(const struct sto_parser *p)
{
    return p->token->kind == STO_LEX_CLOSE || p->token->kind == STO_LEX_END || at_operator(p, ")") ||
           at_operator(p, "]") || at_operator(p, "=") || at_name(p, "in") || at_name(p, "recursive");
}

struct sto_node *sto_parse_tuple(struct sto_parser *p, bool with_condition)
{
    struct sto_node *first = with_condition ? sto_parse_expression(p) : parse_or(p);
    if (first == NULL || !at_operator(p, ","))
        return first;
    struct sto_node *tuple = node_over(p, STO_NODE_TUPLE, first);
    for (struct sto_node *last = first; tuple != NULL && skip_operator(p, ",") && !at_tuple_end(p); last = last->next) {
        last->next = with_condition ? sto_parse_expression(p) : parse_or(p);
        if (last->next == NULL)
            return NULL;
    }
    return tuple;
}

/* ---- targets ---- */

static struct sto_node *parse_one_target(struct sto_parser *p, bool attributes)
{
    if (!sto_parser_enter(p))
        return NULL;
    struct sto_node *node = NULL;
    if (skip_operator(p, "(")) {
        node = sto_parse_target(p, attributes);
        node = node != NULL && sto_parser_expect(p, STO_LEX_OPERATOR, ")") ? node : NULL;
    } else {
        node = sto_parser_node(p, STO_NODE_NAME);
        node = node != NULL && sto_parser_name(p, &node->name) ? node : NULL;
        if (node != NULL && attributes && skip_operator(p, "."))
            node = parse_attribute(p, node);
    }
    p->depth--;
    return node;
}

struct sto_node *sto_parse_target(struct sto_parser *p, bool attributes)
{
    struct sto_node *first = parse_one_target(p, attributes);
    if (first == NULL || !at_operator(p, ","))
        return first;
    struct sto_node *tuple = node_over(p, STO_NODE_TUPLE, first);
    for (struct sto_node *last = first; tuple != NULL && skip_operator(p, ",") && !at_tuple_end(p); last = last->next) {
        if ((last->next = parse_one_target(p, attributes)) == NULL)
            return NULL;
    }
    return tuple;
}

/* What the files of the template engine share.
 *
 *   source -> tokens (template_lex.c) -> nodes (template_parse.c, template_parse_expr.c)
 *          -> statements (template_exec.c) and expressions (template_eval.c): values, text with origins -> segments
 *
 * While it runs the engine has one state of failure: the first error is kept in the run, every function gives something
 * harmless from then on, and loops test `failed`. All memory of a run is its arena. */
#ifndef STO_TEMPLATE_INTERNAL_H
#define STO_TEMPLATE_INTERNAL_H

#include "host/template.h"

/* ---- tokens (template_lex.c) ---- */

enum sto_lexeme {
    STO_LEX_END,
    STO_LEX_TEXT,      /* of the template, to be put out                   */
    STO_LEX_OUTPUT,    /* {{                                                */
    STO_LEX_STATEMENT, /* {%                                                */
    STO_LEX_CLOSE,     /* }} or %}                                          */
    STO_LEX_NAME,
    STO_LEX_STRING,    /* value: its text, escapes resolved                */
    STO_LEX_NUMBER,    /* value                                             */
    STO_LEX_OPERATOR   /* text: "==", "(", ...                              */
};

struct sto_token {
    enum sto_lexeme kind;
    uint32_t line;
    struct sto_view text;   /* in the source or the arena */
    struct sto_value value;
};

struct sto_token_list {
    struct sto_token *items; /* [n], the last is STO_LEX_END; sto_free */
    size_t n, capacity;
};

/* Tokens of a source whose line ends are all \n. Strings go to the arena. Free items also after an error. */
enum sto_status sto_template_lex(struct sto_arena *arena, struct sto_view source, struct sto_token_list *out,
                                 struct sto_error *err);
/* The same error for every part that reads the source. */
enum sto_status sto_template_fail(struct sto_error *err, uint32_t line, const char *what);

/* ---- nodes ---- */

enum sto_node_kind {
    /* expressions */
    STO_NODE_CONST,     /* value                                                          */
    STO_NODE_NAME,      /* name                                                           */
    STO_NODE_ATTRIBUTE, /* a.name                                                         */
    STO_NODE_ITEM,      /* a[b]                                                           */
    STO_NODE_SLICE,     /* a[b:c:d]; each of b, c, d may be NULL                          */
    STO_NODE_CALL,      /* a(args)                                                        */
    STO_NODE_FILTER,    /* a | name(args); a is NULL at the beginning of a filter block   */
    STO_NODE_TEST,      /* a is name(args)                                                */
    STO_NODE_NOT,       /* a                                                              */
    STO_NODE_UNARY,     /* op a                                                           */
    STO_NODE_BINARY,    /* a op b                                                         */
    STO_NODE_CONCAT,    /* a ~ a.next ~ ...                                               */
    STO_NODE_COMPARE,   /* a, then b, b.next, ...: each has an op and its operand in a    */
    STO_NODE_AND,       /* a, b                                                           */
    STO_NODE_OR,
    STO_NODE_IF_ELSE,   /* a if b else c; c may be NULL                                   */
    STO_NODE_LIST,      /* [a, a.next, ...]                                               */
    STO_NODE_TUPLE,
    STO_NODE_OBJECT,    /* {a: a.next, a.next.next: ...}                                  */
    STO_NODE_ARGUMENT,  /* a; name: a keyword; op '*' or '^': * or ** before it           */
    /* statements */
    STO_NODE_TEXT,      /* value                                                          */
    STO_NODE_OUTPUT,    /* a                                                              */
    STO_NODE_IF,        /* if b: a; else d, the next elif, or c, a list of statements     */
    STO_NODE_FOR,       /* for a in b if d: body, else c; op 'r': recursive               */
    STO_NODE_SET,       /* a = b                                                          */
    STO_NODE_SET_BLOCK, /* a = body through filters b (may be NULL)                       */
    STO_NODE_MACRO,     /* name(args): body                                               */
    STO_NODE_CALL_BLOCK,/* a(...) with a caller(args): body                               */
    STO_NODE_FILTER_BLOCK, /* body through filters b                                      */
    STO_NODE_WITH,      /* args: names and values; body                                   */
    STO_NODE_DO,        /* a, for its effect                                              */
    STO_NODE_GROUP,     /* body                                                           */
    STO_NODE_BREAK,
    STO_NODE_CONTINUE
};

enum sto_operator {
    STO_OP_NONE,
    STO_OP_ADD, STO_OP_SUB, STO_OP_MUL, STO_OP_DIV, STO_OP_FLOOR_DIV, STO_OP_MOD, STO_OP_POW,
    STO_OP_EQ, STO_OP_NE, STO_OP_LT, STO_OP_LE, STO_OP_GT, STO_OP_GE, STO_OP_IN, STO_OP_NOT_IN,
    STO_OP_STAR, STO_OP_STAR_STAR, STO_OP_RECURSIVE
};

struct sto_node {
    enum sto_node_kind kind;
    enum sto_operator op;
    uint32_t line;
    uint32_t name;               /* index into the template's names                              */
    struct sto_node *next;       /* in a list                                                    */
    struct sto_node *a, *b, *c, *d;
    struct sto_node *args, *body;
    struct sto_value value;
};

/* A name that the template uses: variables are told apart by its number. */
struct sto_template {
    struct sto_arena arena;
    struct sto_object *names; /* text -> its number; fields in order of number */
    struct sto_node *body;
};

/* ---- parsing (template_parse.c: statements; template_parse_expr.c: expressions) ---- */

struct sto_parser {
    struct sto_template *t;
    const struct sto_token *token; /* the next one; never beyond STO_LEX_END */
    unsigned depth, loops;
    enum sto_status status;
    struct sto_error *err;
};

bool sto_parser_fail(struct sto_parser *p, const char *fmt, ...) STO_PRINTF(2, 3); /* at the next token; gives false */
bool sto_parser_enter(struct sto_parser *p); /* one level deeper; false: too deep. Leave with p->depth-- */
struct sto_node *sto_parser_node(struct sto_parser *p, enum sto_node_kind kind); /* NULL: failed */
bool sto_parser_at(const struct sto_parser *p, enum sto_lexeme kind, const char *text);
bool sto_parser_skip(struct sto_parser *p, enum sto_lexeme kind, const char *text);
bool sto_parser_expect(struct sto_parser *p, enum sto_lexeme kind, const char *text);
bool sto_parser_name(struct sto_parser *p, uint32_t *name); /* takes a name */

struct sto_node *sto_parse_expression(struct sto_parser *p);
/* One expression, or several with commas between: a tuple. */
struct sto_node *sto_parse_tuple(struct sto_parser *p, bool with_condition);
struct sto_node *sto_parse_target(struct sto_parser *p, bool attributes); /* what is assigned to */
struct sto_node *sto_parse_filters(struct sto_parser *p, struct sto_node *value); /* name(args) | name(args) ... */
bool sto_parse_arguments(struct sto_parser *p, struct sto_node **out); /* from after "(" to after ")" */

/* ---- a run ---- */

struct sto_binding {
    uint32_t name;
    struct sto_value value;
    struct sto_binding *next;
};
struct sto_scope {
    struct sto_scope *parent;
    struct sto_binding *first;
};

/* Text being put together: bytes and their origins. */
struct sto_builder {
    char *data;
    uint8_t *origins; /* NULL while all bytes have one origin */
    size_t size, capacity, origins_capacity;
    size_t n_template; /* bytes from the template */
    size_t expected;   /* how many bytes there will be; 0: not known */
};

struct sto_run {
    const struct sto_template *t;
    const struct sto_template_input *input;
    struct sto_arena arena;
    struct sto_scope *scope;
    struct sto_builder *out;
    uint64_t steps, max_steps, memory, iterations;
    unsigned depth;
    uint32_t line;       /* of what is being evaluated */
    bool failed;
    enum sto_status status;
    struct sto_error *err;
    const struct sto_text *refusal;
    struct sto_list no_list;     /* stand for what could not be made after a failure */
    struct sto_object no_object;
};

void sto_run_fail(struct sto_run *run, const char *fmt, ...) STO_PRINTF(2, 3); /* the first one counts */
void sto_run_charge(struct sto_run *run, uint64_t amount);                    /* bytes or items moved  */
void *sto_run_alloc(struct sto_run *run, size_t n, size_t size);              /* NULL: failed          */
bool sto_run_enter(struct sto_run *run);                                      /* leave with depth--    */

struct sto_value sto_run_lookup(struct sto_run *run, uint32_t name);
void sto_run_bind(struct sto_run *run, uint32_t name, struct sto_value value);
struct sto_scope *sto_run_push(struct sto_run *run, struct sto_scope *parent); /* gives the old scope */

struct sto_value sto_run_eval(struct sto_run *run, const struct sto_node *node);
void sto_run_assign(struct sto_run *run, const struct sto_node *target, struct sto_value value);

/* ---- things that only a running template knows ---- */

enum sto_thing_kind {
    STO_THING_MACRO,
    STO_THING_FUNCTION,
    STO_THING_METHOD,
    STO_THING_LOOP,
    STO_THING_NAMESPACE,
    STO_THING_CYCLER,
    STO_THING_JOINER
};

struct sto_loop {
    const struct sto_node *node;
    struct sto_scope *outside;
    const struct sto_list *items;
    size_t index; /* from 0 */
    unsigned depth;
    bool has_last_changed;
    struct sto_value last_changed;
};

struct sto_thing {
    enum sto_thing_kind kind;
    const struct sto_node *node; /* macro                                   */
    struct sto_scope *scope;     /* macro: where it was defined             */
    struct sto_value self;       /* method: whose                           */
    const char *name;            /* method, function                        */
    struct sto_object *fields;   /* namespace                               */
    struct sto_loop *loop;
    struct sto_list *items;      /* cycler                                  */
    size_t position;             /* cycler, joiner: how often it was asked  */
};

struct sto_named {
    const struct sto_text *name;
    struct sto_value value;
};
struct sto_arguments {
    struct sto_list positional;
    struct sto_named *named; /* [n_named] */
    size_t n_named, capacity;
};

/* The argument with this position and name; false: not given, *out stays. */
bool sto_argument(const struct sto_arguments *args, size_t position, const char *name, struct sto_value *out);
bool sto_argument_bool(struct sto_run *run, const struct sto_arguments *args, size_t position, const char *name,
                       bool otherwise);
int64_t sto_argument_int(struct sto_run *run, const struct sto_arguments *args, size_t position, const char *name,
                         int64_t otherwise);
/* Text, or an error. */
const struct sto_text *sto_argument_text(struct sto_run *run, const struct sto_arguments *args, size_t position,
                                         const char *name, const struct sto_text *otherwise);
void sto_evaluate_arguments(struct sto_run *run, const struct sto_node *args, struct sto_arguments *out);

struct sto_value sto_thing_value(struct sto_run *run, struct sto_thing thing);
const struct sto_thing *sto_thing_of(struct sto_value v, enum sto_thing_kind kind); /* NULL: it is none */
struct sto_value sto_call(struct sto_run *run, struct sto_value callee, const struct sto_arguments *args);
struct sto_value sto_call_macro(struct sto_run *run, const struct sto_thing *macro, const struct sto_arguments *args,
                                struct sto_value caller);
struct sto_value sto_run_for(struct sto_run *run, const struct sto_node *node, struct sto_scope *outside,
                             struct sto_value iterable, unsigned depth);
struct sto_value sto_loop_attribute(struct sto_run *run, struct sto_loop *loop, struct sto_view name);
struct sto_value sto_loop_method(struct sto_run *run, struct sto_loop *loop, const char *name,
                                 const struct sto_arguments *args);
/* A function that every template has, "range"; undefined: there is none. */
struct sto_value sto_builtin(struct sto_run *run, struct sto_view name);
struct sto_value sto_call_builtin(struct sto_run *run, const char *name, const struct sto_arguments *args);

/* ---- operations on values (template_ops.c, template_access.c) ---- */

bool sto_truth(struct sto_value v);
bool sto_equal(struct sto_run *run, struct sto_value a, struct sto_value b);
int sto_order(struct sto_run *run, struct sto_value a, struct sto_value b); /* < 0, 0, > 0; fails across kinds */
struct sto_value sto_binary(struct sto_run *run, enum sto_operator op, struct sto_value a, struct sto_value b);
struct sto_value sto_unary(struct sto_run *run, enum sto_operator op, struct sto_value a);
bool sto_compare(struct sto_run *run, enum sto_operator op, struct sto_value a, struct sto_value b);
bool sto_contains(struct sto_run *run, struct sto_value container, struct sto_value item);
bool sto_as_number(struct sto_value v, double *out); /* booleans and integers too */
bool sto_as_int(struct sto_value v, int64_t *out);   /* booleans too              */

struct sto_value sto_get_attribute(struct sto_run *run, struct sto_value v, const struct sto_text *name);
struct sto_value sto_get_item(struct sto_run *run, struct sto_value v, struct sto_value key);
struct sto_value sto_get_slice(struct sto_run *run, struct sto_value v, const struct sto_value bounds[3]);
/* "a.b.0" step by step. */
struct sto_value sto_get_path(struct sto_run *run, struct sto_value v, struct sto_value path);
/* What a loop over v goes through, as a list; fails where v cannot be iterated. */
const struct sto_list *sto_iterate(struct sto_run *run, struct sto_value v);
int64_t sto_length(struct sto_run *run, struct sto_value v); /* -1: it has none (no failure) */
struct sto_value sto_bound_method(struct sto_run *run, struct sto_value v, struct sto_view name);
struct sto_value sto_call_method(struct sto_run *run, struct sto_value self, const char *name,
                                 const struct sto_arguments *args);

struct sto_list *sto_run_list(struct sto_run *run); /* never NULL */
void sto_run_add(struct sto_run *run, struct sto_list *list, struct sto_value v);
struct sto_object *sto_run_object(struct sto_run *run);
void sto_run_set(struct sto_run *run, struct sto_object *object, const struct sto_text *key, struct sto_value v);

/* Keys of objects: a value as the text that an object holds (NULL: failed, it can be no key), and back. */
const struct sto_text *sto_key_text(struct sto_run *run, struct sto_value v);
struct sto_value sto_key_value(const struct sto_text *key);

/* ---- text (template_text.c) ---- */

extern const struct sto_text sto_no_text;

struct sto_value sto_text_value(const struct sto_text *text);
const struct sto_text *sto_literal(struct sto_run *run, const char *s);     /* the template's; s is borrowed */
const struct sto_text *sto_slice_text(struct sto_run *run, const struct sto_text *t, size_t from, size_t to);
void sto_build(struct sto_run *run, struct sto_builder *b, const struct sto_text *t);
void sto_build_bytes(struct sto_run *run, struct sto_builder *b, const char *data, size_t size, bool from_template);
void sto_build_slice(struct sto_run *run, struct sto_builder *b, const struct sto_text *t, size_t from, size_t to);
const struct sto_text *sto_built(struct sto_run *run, const struct sto_builder *b);
/* Python's str(v) and repr(v). */
const struct sto_text *sto_to_text(struct sto_run *run, struct sto_value v);
const struct sto_text *sto_to_repr(struct sto_run *run, struct sto_value v);
bool sto_origin(const struct sto_text *t, size_t i);
/* Where needle first is in text[from, size); SIZE_MAX: nowhere. An empty one is found at from. */
size_t sto_find_text(struct sto_run *run, const struct sto_text *t, size_t from, const struct sto_text *needle);
bool sto_is_space(uint32_t cp); /* what Python's str.strip removes */
/* text without the code points of chars (NULL: white space) at its left (1), right (2) or both (3) ends. */
const struct sto_text *sto_strip(struct sto_run *run, const struct sto_text *t, const struct sto_text *chars, int ends);
const struct sto_text *sto_replace(struct sto_run *run, const struct sto_text *t, const struct sto_text *from,
                                   const struct sto_text *to, int64_t count);
/* HTML as Python's Markup knows it: text that is marked as safe, and text with &, <, > and quotes replaced, marked. */
const struct sto_text *sto_mark_safe(struct sto_run *run, const struct sto_text *t);
const struct sto_text *sto_escape(struct sto_run *run, const struct sto_text *t);
enum sto_case { STO_CASE_LOWER, STO_CASE_UPPER, STO_CASE_CAPITAL, STO_CASE_TITLE, STO_CASE_SWAP };
const struct sto_text *sto_change_case(struct sto_run *run, const struct sto_text *t, enum sto_case how);
struct sto_value sto_format_percent(struct sto_run *run, const struct sto_text *format, struct sto_value arguments);
struct sto_value sto_format_braces(struct sto_run *run, const struct sto_text *format,
                                   const struct sto_arguments *args);

/* ---- filters and tests ---- */

struct sto_value sto_apply_filter(struct sto_run *run, struct sto_view name, struct sto_value v,
                                  const struct sto_arguments *args);
bool sto_apply_test(struct sto_run *run, struct sto_view name, struct sto_value v, const struct sto_arguments *args);

typedef struct sto_value sto_filter(struct sto_run *run, struct sto_value v, const struct sto_arguments *args);
struct sto_filter_entry {
    const char *name;
    sto_filter *apply;
};
/* Tables that end with a NULL name. */
extern const struct sto_filter_entry sto_text_filters[], sto_list_filters[];

const struct sto_text *sto_format_time(struct sto_run *run, const struct sto_text *format, int64_t seconds);

#endif

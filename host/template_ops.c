/* Operators on values, with Python's meaning. */
#include "host/template_internal.h"

#include <math.h>
#include <string.h>

enum { MAX_COMPARE_DEPTH = 64 }; /* of lists and objects within each other: a list may hold itself */

bool sto_truth(struct sto_value v)
{
    switch (v.kind) {
    case STO_VALUE_UNDEFINED:
    case STO_VALUE_NULL: return false;
    case STO_VALUE_BOOL: return v.boolean;
    case STO_VALUE_INT: return v.integer != 0;
    case STO_VALUE_FLOAT: return v.number != 0;
    case STO_VALUE_TEXT: return v.text->size > 0;
    case STO_VALUE_LIST: return v.list->n > 0 || v.list->form == STO_LIST_GENERATOR;
    case STO_VALUE_OBJECT: return v.object->n > 0;
    case STO_VALUE_OPAQUE: break;
    }
    return true;
}

bool sto_as_int(struct sto_value v, int64_t *out)
{
    if (v.kind == STO_VALUE_BOOL)
        *out = v.boolean ? 1 : 0;
    else if (v.kind == STO_VALUE_INT)
        *out = v.integer;
    return v.kind == STO_VALUE_BOOL || v.kind == STO_VALUE_INT;
}

bool sto_as_number(struct sto_value v, double *out)
{
    int64_t i;
    if (v.kind == STO_VALUE_FLOAT)
        *out = v.number;
    else if (sto_as_int(v, &i))
        *out = (double)i;
    else
        return false;
    return true;
}

/* ---- equality and order ---- */

static bool equal(struct sto_run *run, struct sto_value a, struct sto_value b, unsigned depth);

static bool equal_lists(struct sto_run *run, const struct sto_list *a, const struct sto_list *b, unsigned depth)
{
    if (a->n != b->n || (a->form == STO_LIST_TUPLE) != (b->form == STO_LIST_TUPLE))
        return false;
    for (size_t i = 0; i < a->n && !run->failed; i++) {
        if (!equal(run, a->items[i], b->items[i], depth + 1))
            return false;
    }
    return true;
}

static bool equal_objects(struct sto_run *run, const struct sto_object *a, const struct sto_object *b, unsigned depth)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n && !run->failed; i++) {
        const struct sto_value *v = sto_object_find(b, a->fields[i].key->data, a->fields[i].key->size);
        if (v == NULL || !equal(run, a->fields[i].value, *v, depth + 1))
            return false;
    }
    return true;
}

static bool equal(struct sto_run *run, struct sto_value a, struct sto_value b, unsigned depth)
{
    double x, y;
    int64_t i, j;
    sto_run_charge(run, a.kind == STO_VALUE_TEXT ? a.text->size : 0);
    if (depth > MAX_COMPARE_DEPTH)
        sto_run_fail(run, "values are nested too deep to be compared");
    if (run->failed)
        return false;
    if (sto_as_int(a, &i) && sto_as_int(b, &j))
        return i == j;
    if (sto_as_number(a, &x) && sto_as_number(b, &y))
        return x == y;
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case STO_VALUE_TEXT: return sto_text_equals(a.text, b.text);
    case STO_VALUE_LIST: return equal_lists(run, a.list, b.list, depth);
    case STO_VALUE_OBJECT: return equal_objects(run, a.object, b.object, depth);
    case STO_VALUE_OPAQUE: return a.opaque == b.opaque;
    default: return true;
    }
}

bool sto_equal(struct sto_run *run, struct sto_value a, struct sto_value b)
{
    return equal(run, a, b, 0);
}

static int order_texts(const struct sto_text *a, const struct sto_text *b)
{
    const size_t n = a->size < b->size ? a->size : b->size;
    const int order = n > 0 ? memcmp(a->data, b->data, n) : 0; /* UTF-8 sorts as its code points do */
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static int order(struct sto_run *run, struct sto_value a, struct sto_value b, unsigned depth)
{
    double x, y;
    int64_t i, j;
    sto_run_charge(run, a.kind == STO_VALUE_TEXT ? a.text->size : 0);
    if (run->failed)
        return 0;
    if (sto_as_int(a, &i) && sto_as_int(b, &j))
        return (i > j) - (i < j);
    if (sto_as_number(a, &x) && sto_as_number(b, &y))
        return (x > y) - (x < y);
    if (a.kind == STO_VALUE_TEXT && b.kind == STO_VALUE_TEXT)
        return order_texts(a.text, b.text);
    if (a.kind != STO_VALUE_LIST || b.kind != STO_VALUE_LIST || depth > MAX_COMPARE_DEPTH) {
        sto_run_fail(run, "%s and %s have no order", sto_value_kind_name(a.kind), sto_value_kind_name(b.kind));
        return 0;
    }
    for (size_t k = 0; k < a.list->n && k < b.list->n && !run->failed; k++) {
        if (!sto_equal(run, a.list->items[k], b.list->items[k]))
            return order(run, a.list->items[k], b.list->items[k], depth + 1);
    }
    return (a.list->n > b.list->n) - (a.list->n < b.list->n);
}

int sto_order(struct sto_run *run, struct sto_value a, struct sto_value b)
{
    return order(run, a, b, 0);
}

bool sto_contains(struct sto_run *run, struct sto_value container, struct sto_value item)
{
    if (container.kind == STO_VALUE_TEXT) {
        if (item.kind != STO_VALUE_TEXT)
            sto_run_fail(run, "only text can be in a text, not %s", sto_value_kind_name(item.kind));
        return !run->failed && sto_find_text(run, container.text, 0, item.text) != SIZE_MAX;
    }
    if (container.kind == STO_VALUE_OBJECT) {
        const struct sto_text *key = sto_key_text(run, item);
        return key != NULL && sto_object_find(container.object, key->data, key->size) != NULL;
    }
    const struct sto_list *items = sto_iterate(run, container);
    for (size_t i = 0; i < items->n && !run->failed; i++) {
        if (sto_equal(run, items->items[i], item))
            return true;
    }
    return false;
}

bool sto_compare(struct sto_run *run, enum sto_operator op, struct sto_value a, struct sto_value b)
{
    switch (op) {
    case STO_OP_EQ: return sto_equal(run, a, b);
    case STO_OP_NE: return !sto_equal(run, a, b);
    case STO_OP_LT: return sto_order(run, a, b) < 0;
    case STO_OP_LE: return sto_order(run, a, b) <= 0;
    case STO_OP_GT: return sto_order(run, a, b) > 0;
    case STO_OP_GE: return sto_order(run, a, b) >= 0;
    case STO_OP_IN: return sto_contains(run, b, a);
    case STO_OP_NOT_IN: return !sto_contains(run, b, a);
    default: return false;
    }
}

/* ---- arithmetic ---- */

static const char *const signs[] = {"", "+", "-", "*", "/", "//", "%", "**"};

static struct sto_value wrong_kinds(struct sto_run *run, enum sto_operator op, struct sto_value a, struct sto_value b)
{
    const struct sto_value *undefined = a.kind == STO_VALUE_UNDEFINED ? &a : b.kind == STO_VALUE_UNDEFINED ? &b : NULL;
    if (undefined != NULL && undefined->text != NULL)
        sto_run_fail(run, "\"%.*s\" is undefined", (int)(undefined->text->size < 100 ? undefined->text->size : 100),
                     undefined->text->data);
    else
        sto_run_fail(run, "%s %s %s is not possible", sto_value_kind_name(a.kind), signs[op],
                     sto_value_kind_name(b.kind));
    return sto_value_undefined();
}

/* a + b, a * b; false: beyond 64 bits. */
static bool add(int64_t a, int64_t b, int64_t *out)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b)
        return false;
    *out = a + b;
    return true;
}

static bool multiply(int64_t a, int64_t b, int64_t *out)
{
    const bool negative = (a < 0) != (b < 0);
    const uint64_t x = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, y = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    uint64_t product;
    if (!sto_mul_u64(x, y, &product) || product > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *out = negative ? (int64_t)(0 - product) : (int64_t)product;
    return true;
}

static bool power(int64_t base, int64_t exponent, int64_t *out)
{
    int64_t result = 1;
    for (; exponent > 0; exponent >>= 1) {
        if ((exponent & 1) != 0 && !multiply(result, base, &result))
            return false;
        if (exponent > 1 && !multiply(base, base, &base))
            return false;
    }
    *out = result;
    return true;
}

/* a / b rounded down, and what is left; b is not 0. */
static int64_t floor_div(int64_t a, int64_t b, int64_t *rest)
{
    int64_t q = a / b;
    *rest = a % b;
    if (*rest != 0 && (*rest < 0) != (b < 0)) {
        q--;
        *rest += b;
    }
    return q;
}

static struct sto_value integers(struct sto_run *run, enum sto_operator op, int64_t a, int64_t b)
{
    int64_t r = 0, rest;
    bool overflow = false;
    if (b == 0 && (op == STO_OP_DIV || op == STO_OP_FLOOR_DIV || op == STO_OP_MOD)) {
        sto_run_fail(run, "division by zero");
        return sto_value_undefined();
    }
    switch (op) {
    case STO_OP_ADD: overflow = !add(a, b, &r); break;
    case STO_OP_SUB: overflow = b == INT64_MIN || !add(a, -b, &r); break;
    case STO_OP_MUL: overflow = !multiply(a, b, &r); break;
    case STO_OP_DIV: return sto_value_float((double)a / (double)b);
    case STO_OP_POW:
        if (b < 0)
            return sto_value_float(pow((double)a, (double)b));
        overflow = !power(a, b, &r);
        break;
    default:
        overflow = a == INT64_MIN && b == -1;
        if (!overflow)
            r = op == STO_OP_FLOOR_DIV ? floor_div(a, b, &rest) : (floor_div(a, b, &rest), rest);
        break;
    }
    if (overflow)
        sto_run_fail(run, "an integer beyond 64 bits");
    return sto_value_int(r);
}

static struct sto_value floats(struct sto_run *run, enum sto_operator op, double a, double b)
{
    if (b == 0 && (op == STO_OP_DIV || op == STO_OP_FLOOR_DIV || op == STO_OP_MOD)) {
        sto_run_fail(run, "division by zero");
        return sto_value_undefined();
    }
    switch (op) {
    case STO_OP_ADD: return sto_value_float(a + b);
    case STO_OP_SUB: return sto_value_float(a - b);
    case STO_OP_MUL: return sto_value_float(a * b);
    case STO_OP_DIV: return sto_value_float(a / b);
    case STO_OP_POW: return sto_value_float(pow(a, b));
    case STO_OP_FLOOR_DIV: return sto_value_float(floor(a / b));
    default: break;
    }
    const double rest = fmod(a, b);
    return sto_value_float(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

static struct sto_value repeat(struct sto_run *run, struct sto_value v, int64_t count)
{
    if (v.kind == STO_VALUE_TEXT) {
        struct sto_builder b = {0};
        for (int64_t i = 0; i < count && v.text->size > 0 && !run->failed; i++) {
            sto_run_charge(run, v.text->size);
            sto_build(run, &b, v.text);
        }
        return sto_text_value(sto_built(run, &b));
    }
    struct sto_list *list = sto_run_list(run);
    const size_t n = v.list->n;
    list->form = v.list->form;
    for (int64_t i = 0; i < count && n > 0 && !run->failed; i++) {
        for (size_t k = 0; k < n && !run->failed; k++)
            sto_run_add(run, list, v.list->items[k]);
    }
    return sto_value_of_list(list);
}

static struct sto_value join_lists(struct sto_run *run, const struct sto_list *a, const struct sto_list *b)
{
    struct sto_list *list = sto_run_list(run);
    list->form = a->form;
    for (size_t i = 0; i < a->n && !run->failed; i++)
        sto_run_add(run, list, a->items[i]);
    for (size_t i = 0; i < b->n && !run->failed; i++)
        sto_run_add(run, list, b->items[i]);
    return sto_value_of_list(list);
}

/* Added to text that is marked as safe HTML, other text is escaped. */
static const struct sto_text *join_texts(struct sto_run *run, const struct sto_text *a, const struct sto_text *b)
{
    struct sto_builder text = {.expected = a->size + b->size};
    const bool safe = a->safe || b->safe;
    sto_build(run, &text, safe ? sto_escape(run, a) : a);
    sto_build(run, &text, safe ? sto_escape(run, b) : b);
    return safe ? sto_mark_safe(run, sto_built(run, &text)) : sto_built(run, &text);
}

static bool is_sequence(struct sto_value v)
{
    return v.kind == STO_VALUE_TEXT || (v.kind == STO_VALUE_LIST && v.list->form != STO_LIST_GENERATOR);
}

struct sto_value sto_binary(struct sto_run *run, enum sto_operator op, struct sto_value a, struct sto_value b)
{
    double x, y;
    int64_t i, j;
    if (sto_as_int(a, &i) && sto_as_int(b, &j))
        return integers(run, op, i, j);
    if (sto_as_number(a, &x) && sto_as_number(b, &y))
        return floats(run, op, x, y);
    if (op == STO_OP_ADD && a.kind == STO_VALUE_TEXT && b.kind == STO_VALUE_TEXT)
        return sto_text_value(join_texts(run, a.text, b.text));
    if (op == STO_OP_ADD && a.kind == STO_VALUE_LIST && b.kind == STO_VALUE_LIST && is_sequence(a) &&
        a.list->form == b.list->form)
        return join_lists(run, a.list, b.list);
    if (op == STO_OP_MUL && is_sequence(a) && sto_as_int(b, &j))
        return repeat(run, a, j);
    if (op == STO_OP_MUL && is_sequence(b) && sto_as_int(a, &i))
        return repeat(run, b, i);
    if (op == STO_OP_MOD && a.kind == STO_VALUE_TEXT)
        return sto_format_percent(run, a.text, b);
    return wrong_kinds(run, op, a, b);
}

struct sto_value sto_unary(struct sto_run *run, enum sto_operator op, struct sto_value a)
{
    int64_t i;
    if (a.kind == STO_VALUE_FLOAT)
        return sto_value_float(op == STO_OP_SUB ? -a.number : a.number);
    if (sto_as_int(a, &i))
        return op == STO_OP_SUB ? integers(run, STO_OP_SUB, 0, i) : sto_value_int(i);
    sto_run_fail(run, "%s of %s is not possible", signs[op], sto_value_kind_name(a.kind));
    return sto_value_undefined();
}

/* Filters on text and single values. Filters on lists are in template_lists.c. */
#include "host/template_internal.h"

#include <math.h>
#include <string.h>

#include "host/json.h"
#include "host/unicode.h"
#include "host/utf8.h"

static struct sto_value call_method(struct sto_run *run, struct sto_value v, const char *name,
                                    const struct sto_arguments *args)
{
    return sto_call_method(run, sto_text_value(sto_to_text(run, v)), name, args);
}

static struct sto_value upper(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    return call_method(run, v, "upper", args);
}

static struct sto_value lower(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    return call_method(run, v, "lower", args);
}

static struct sto_value capitalize(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    return call_method(run, v, "capitalize", args);
}

static struct sto_value trim(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    return call_method(run, v, "strip", args);
}

static struct sto_value replace(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    return call_method(run, v, "replace", args);
}

static struct sto_value center(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    static struct sto_value width = {.kind = STO_VALUE_INT, .integer = 80};
    const struct sto_arguments by_default = {.positional = {.items = &width, .n = 1}};
    return call_method(run, v, "center", args->positional.n + args->n_named > 0 ? args : &by_default);
}

/* Every word begins with a capital; words begin after white space and opening brackets and dashes. */
static struct sto_value title(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    const struct sto_text *t = sto_to_text(run, v);
    struct sto_builder b = {0};
    size_t word = 0;
    (void)args;
    for (size_t pos = 0, n; pos < t->size && !run->failed; pos += n) {
        const uint32_t cp = sto_utf8_get(t->data + pos, t->size - pos, &n);
        if (!sto_is_space(cp) && (cp >= 0x80 || strchr("-({[<", (int)cp) == NULL || cp == 0))
            continue;
        if (pos > word)
            sto_build(run, &b, sto_change_case(run, sto_slice_text(run, t, word, pos), STO_CASE_CAPITAL));
        sto_build_slice(run, &b, t, pos, pos + n);
        word = pos + n;
    }
    if (t->size > word)
        sto_build(run, &b, sto_change_case(run, sto_slice_text(run, t, word, t->size), STO_CASE_CAPITAL));
    return sto_text_value(sto_built(run, &b));
}

static struct sto_value string(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    (void)args;
    return sto_text_value(sto_to_text(run, v));
}

static struct sto_value pprint(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    (void)args;
    return sto_text_value(sto_to_repr(run, v));
}

static struct sto_value otherwise(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sto_value given = sto_text_value(&sto_no_text);
    sto_argument(args, 0, "default_value", &given);
    const bool replaced =
        v.kind == STO_VALUE_UNDEFINED || (sto_argument_bool(run, args, 1, "boolean", false) && !sto_truth(v));
    return replaced ? given : v;
}

/* ---- numbers ---- */

static struct sto_value absolute(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    int64_t i;
    (void)args;
    if (v.kind == STO_VALUE_FLOAT)
        return sto_value_float(fabs(v.number));
    if (!sto_as_int(v, &i) || i == INT64_MIN) {
        sto_run_fail(run, "%s has no absolute value", sto_value_kind_name(v.kind));
        return sto_value_undefined();
    }
    return sto_value_int(i < 0 ? -i : i);
}

/* The number that a text holds, white space around it or not. */
static bool parse_number(struct sto_run *run, const struct sto_text *t, struct sto_value *out)
{
    t = sto_strip(run, t, NULL, 3);
    const size_t plus = t->size > 0 && t->data[0] == '+' ? 1 : 0;
    size_t zeros = plus;
    while (zeros + 1 < t->size && t->data[zeros] == '0' && t->data[zeros + 1] >= '0' && t->data[zeros + 1] <= '9')
        zeros++;
    sto_run_charge(run, t->size);
    return t->size > zeros && sto_number_read(t->data + zeros, t->size - zeros, out) == t->size - zeros;
}

static bool parse_based(const struct sto_text *t, int64_t base, int64_t *out)
{
    size_t pos = t->size > 0 && t->data[0] == '-' ? 1 : 0;
    const bool negative = pos == 1;
    if (t->size - pos > 2 && t->data[pos] == '0' && strchr("xXoObB", t->data[pos + 1]) != NULL)
        pos += 2;
    int64_t value = 0;
    const size_t begin = pos;
    for (; pos < t->size && value < INT64_MAX / 64; pos++) {
        const char c = t->data[pos];
        const int digit = c >= '0' && c <= '9'                 ? c - '0'
                          : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10
                                                               : 99;
        if (digit >= base)
            break;
        value = value * base + digit;
    }
    *out = negative ? -value : value;
    return pos == t->size && pos > begin;
}

static struct sto_value integer(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sto_value fallback = sto_value_int(0), number = v;
    int64_t i;
    sto_argument(args, 0, "default", &fallback);
    const int64_t base = sto_argument_int(run, args, 1, "base", 10);
    if (v.kind == STO_VALUE_TEXT) {
        const struct sto_text *t = sto_strip(run, v.text, NULL, 3);
        if (base != 10 && base >= 2 && base <= 36)
            return parse_based(t, base, &i) ? sto_value_int(i) : fallback;
        if (!parse_number(run, v.text, &number))
            return fallback;
    }
    if (sto_as_int(number, &i))
        return sto_value_int(i);
    if (number.kind == STO_VALUE_FLOAT && fabs(number.number) < 9e18)
        return sto_value_int((int64_t)number.number);
    return fallback;
}

static struct sto_value floating(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sto_value fallback = sto_value_float(0), number = v;
    double x;
    sto_argument(args, 0, "default", &fallback);
    if (v.kind == STO_VALUE_TEXT && !parse_number(run, v.text, &number))
        return fallback;
    return sto_as_number(number, &x) ? sto_value_float(x) : fallback;
}

static struct sto_value round_(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    double x;
    const int64_t precision = sto_argument_int(run, args, 0, "precision", 0);
    struct sto_value method = sto_value_undefined();
    sto_argument(args, 1, "method", &method);
    if (!sto_as_number(v, &x) || precision < -300 || precision > 300) {
        sto_run_fail(run, "%s cannot be rounded", sto_value_kind_name(v.kind));
        return sto_value_undefined();
    }
    int64_t whole;
    if (method.kind != STO_VALUE_TEXT && precision >= 0 && sto_as_int(v, &whole))
        return sto_value_int(whole);
    const double scale = pow(10, (double)precision), scaled = x * scale;
    const double rounded = sto_value_is_text(method, "ceil")    ? ceil(scaled)
                           : sto_value_is_text(method, "floor") ? floor(scaled)
                                                                : nearbyint(scaled);
    return sto_value_float(rounded / scale);
}

/* ---- longer text ---- */

/* Spaces (or a given text) in front of all lines but the first; lines without text stay empty. */
static struct sto_value indent(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    enum { MAX_INDENT = 10000 };
    const struct sto_text *t = sto_to_text(run, v);
    struct sto_value width = sto_value_int(4);
    struct sto_builder b = {0}, pad = {0};
    int64_t n = 0;
    sto_argument(args, 0, "width", &width);
    const bool first = sto_argument_bool(run, args, 1, "first", false);
    const bool blank = sto_argument_bool(run, args, 2, "blank", false);
    if (width.kind == STO_VALUE_TEXT)
        sto_build(run, &pad, width.text);
    else if (!sto_as_int(width, &n) || n > MAX_INDENT)
        sto_run_fail(run, "indent needs a number of spaces or a text");
    for (int64_t i = 0; i < n; i++)
        sto_build_bytes(run, &pad, " ", 1, true);
    const struct sto_text *spaces = sto_built(run, &pad);
    for (size_t begin = 0; begin <= t->size && !run->failed;) {
        size_t end = begin;
        while (end < t->size && t->data[end] != '\n')
            end++;
        if ((begin > 0 || first) && (end > begin || blank))
            sto_build(run, &b, spaces);
        sto_build_slice(run, &b, t, begin, end < t->size ? end + 1 : end);
        begin = end + 1;
    }
    return sto_text_value(sto_built(run, &b));
}

static struct sto_value truncate(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    static const struct sto_text dots = {.data = "...", .size = 3, .from_template = true};
    const struct sto_text *t = sto_to_text(run, v), *end = sto_argument_text(run, args, 2, "end", &dots);
    const int64_t length = sto_argument_int(run, args, 0, "length", 255);
    const int64_t leeway = sto_argument_int(run, args, 3, "leeway", 5);
    const int64_t end_length = sto_length(run, sto_text_value(end));
    struct sto_builder b = {0};
    const int64_t size = sto_length(run, sto_text_value(t));
    if (size <= length || size - length <= leeway)
        return sto_text_value(t);
    const struct sto_value bounds[3] = {sto_value_int(0), sto_value_int(length > end_length ? length - end_length : 0),
                                        sto_value_null()};
    const struct sto_value cut = sto_get_slice(run, sto_text_value(t), bounds);
    if (run->failed)
        return cut;
    size_t stop = cut.text->size;
    if (!sto_argument_bool(run, args, 1, "killwords", false)) {
        size_t word = stop;
        while (word > 0 && cut.text->data[word - 1] != ' ')
            word--;
        stop = word > 0 ? word - 1 : stop;
    }
    sto_build_slice(run, &b, cut.text, 0, stop);
    sto_build(run, &b, end);
    return sto_text_value(sto_built(run, &b));
}

/* Runs of letters, digits and underscores. */
static struct sto_value wordcount(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    const struct sto_text *t = sto_to_text(run, v);
    int64_t words = 0;
    bool inside = false;
    (void)args;
    sto_run_charge(run, t->size);
    for (size_t pos = 0, n; pos < t->size; pos += n) {
        const uint32_t cp = sto_utf8_get(t->data + pos, t->size - pos, &n);
        const bool part = cp == '_' || (sto_unicode_props(cp) & STO_UNICODE_CATEGORY) <= STO_UNICODE_LO ||
                          ((sto_unicode_props(cp) & STO_UNICODE_CATEGORY) >= STO_UNICODE_ND &&
                           (sto_unicode_props(cp) & STO_UNICODE_CATEGORY) <= STO_UNICODE_NO);
        words += part && !inside ? 1 : 0;
        inside = part;
    }
    return sto_value_int(words);
}

static struct sto_value escape(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    (void)args;
    return sto_text_value(sto_escape(run, sto_to_text(run, v)));
}

static struct sto_value safe(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    (void)args;
    return sto_text_value(sto_mark_safe(run, sto_to_text(run, v)));
}

static struct sto_value urlencode(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~/";
    static const char hex[] = "0123456789ABCDEF";
    const struct sto_text *t = sto_to_text(run, v);
    struct sto_builder b = {0};
    (void)args;
    for (size_t i = 0; i < t->size && !run->failed; i++) {
        const uint8_t c = (uint8_t)t->data[i];
        if (c != 0 && strchr(plain, c) != NULL)
            sto_build_slice(run, &b, t, i, i + 1);
        else
            sto_build_bytes(run, &b, (char[3]){'%', hex[c >> 4], hex[c & 15]}, 3, sto_origin(t, i));
    }
    return sto_text_value(sto_built(run, &b));
}

/* Without tags and comments, and with single blanks. */
static struct sto_value striptags(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    static const struct sto_text blank = {.data = " ", .size = 1, .from_template = true};
    const struct sto_text *t = sto_to_text(run, v);
    struct sto_builder b = {0};
    size_t plain = 0;
    (void)args;
    for (size_t i = 0; i < t->size && !run->failed; i++) {
        const char *end = t->data[i] == '<' ? memchr(t->data + i, '>', t->size - i) : NULL;
        if (end == NULL)
            continue;
        sto_build_slice(run, &b, t, plain, i);
        i = (size_t)(end - t->data);
        plain = i + 1;
    }
    sto_build_slice(run, &b, t, plain, t->size);
    const struct sto_value words =
        sto_call_method(run, sto_text_value(sto_built(run, &b)), "split", &(struct sto_arguments){0});
    struct sto_value joined = words;
    const struct sto_arguments join = {.positional = {.items = &joined, .n = 1}};
    return run->failed ? words : sto_call_method(run, sto_text_value(&blank), "join", &join);
}

static struct sto_value format(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sto_list values = args->positional;
    values.form = STO_LIST_TUPLE;
    return sto_format_percent(run, sto_to_text(run, v), sto_value_of_list(&values));
}

static struct sto_value tojson(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sto_json_style style = {0};
    struct sto_json_text text = {.max_size = STO_TEMPLATE_MAX_OUTPUT_BYTES};
    struct sto_value separators = sto_value_null(), wide = sto_value_null();
    struct sto_error err = {0};
    struct sto_builder b = {0};
    static const char *const names[] = {"ensure_ascii", "indent", "separators", "sort_keys"};
    const bool by_name = args->positional.n == 0;
    style.ascii = by_name && sto_argument_bool(run, args, 0, names[0], false);
    /* In transformers' order ensure_ascii comes first; a number in that place is meant as indent, as in plain Jinja. */
    const size_t shift = !by_name && args->positional.items[0].kind == STO_VALUE_INT ? 0 : 1;
    if (shift == 1 && !by_name)
        style.ascii = sto_truth(args->positional.items[0]);
    if (sto_argument(args, shift, names[1], &wide) && wide.kind != STO_VALUE_NULL) {
        const int64_t n = sto_argument_int(run, args, shift, names[1], 0);
        style.indented = true;
        style.indent = n < 0 ? 0 : n > 64 ? 64 : (unsigned)n;
    }
    if (sto_argument(args, shift + 1, names[2], &separators) && separators.kind == STO_VALUE_LIST &&
        separators.list->n == 2) {
        /* texts of values end with no NUL */
        const struct sto_text *item = sto_to_text(run, separators.list->items[0]);
        const struct sto_text *key = sto_to_text(run, separators.list->items[1]);
        style.item_separator = sto_arena_strndup(&run->arena, item->data, item->size);
        style.key_separator = sto_arena_strndup(&run->arena, key->data, key->size);
    }
    style.sort_keys = sto_argument_bool(run, args, shift + 2, names[3], false);
    if (!run->failed && sto_json_write(&text, v, &style, &err) != STO_OK)
        sto_run_fail(run, "tojson: %s", err.message);
    if (!run->failed)
        sto_build_bytes(run, &b, text.data, text.size, false);
    sto_free(text.data);
    return sto_text_value(sto_built(run, &b));
}

const struct sto_filter_entry sto_text_filters[] = {{"abs", absolute},
                                                    {"capitalize", capitalize},
                                                    {"center", center},
                                                    {"d", otherwise},
                                                    {"default", otherwise},
                                                    {"e", escape},
                                                    {"escape", escape},
                                                    {"float", floating},
                                                    {"forceescape", escape},
                                                    {"format", format},
                                                    {"indent", indent},
                                                    {"int", integer},
                                                    {"lower", lower},
                                                    {"pprint", pprint},
                                                    {"replace", replace},
                                                    {"round", round_},
                                                    {"safe", safe},
                                                    {"string", string},
                                                    {"striptags", striptags},
                                                    {"title", title},
                                                    {"tojson", tojson},
                                                    {"trim", trim},
                                                    {"truncate", truncate},
                                                    {"upper", upper},
                                                    {"urlencode", urlencode},
                                                    {"wordcount", wordcount},
                                                    {NULL, NULL}};

struct sto_value sto_apply_filter(struct sto_run *run, struct sto_view name, struct sto_value v,
                                  const struct sto_arguments *args)
{
    const struct sto_filter_entry *const tables[] = {sto_text_filters, sto_list_filters};
    if (!sto_run_enter(run)) /* a filter may apply another: map('map', ...) */
        return sto_value_undefined();
    for (size_t i = 0; i < 2; i++) {
        for (const struct sto_filter_entry *f = tables[i]; f->name != NULL; f++) {
            if (!sto_view_equals(name, f->name))
                continue;
            v = f->apply(run, v, args);
            run->depth--;
            return v;
        }
    }
    sto_run_fail(run, "there is no filter \"%.*s\"", (int)(name.size < 80 ? name.size : 80), name.data);
    return sto_value_undefined();
}

/* Filters on lists and objects. Those that Jinja makes generators of give lists that remember it. */
#include "host/template_internal.h"

#include <string.h>

static struct sto_value list_value(struct sto_list *list, enum sto_list_form form)
{
    list->form = form;
    return sto_value_of_list(list);
}

static struct sto_value pair(struct sto_run *run, struct sto_value a, struct sto_value b)
{
    struct sto_list *list = sto_run_list(run);
    sto_run_add(run, list, a);
    sto_run_add(run, list, b);
    return list_value(list, STO_LIST_TUPLE);
}

/* ---- one out of many, or a number ---- */

static struct sto_value length(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    const int64_t n = sto_length(run, v);
    (void)args;
    if (n < 0)
        sto_run_fail(run, "%s has no length", sto_value_kind_name(v.kind));
    return sto_value_int(n);
}

static struct sto_value first(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    const struct sto_list *items = sto_iterate(run, v);
    (void)args;
    return items->n > 0 ? items->items[0] : sto_value_undefined();
}

static struct sto_value last(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    const struct sto_list *items = sto_iterate(run, v);
    (void)args;
    return items->n > 0 ? items->items[items->n - 1] : sto_value_undefined();
}

/* What a filter looks at in an item: the item, or the attribute that is named. */
static struct sto_value aspect(struct sto_run *run, struct sto_value v, struct sto_value attribute)
{
    return attribute.kind == STO_VALUE_UNDEFINED || attribute.kind == STO_VALUE_NULL ? v
                                                                                     : sto_get_path(run, v, attribute);
}

static struct sto_value sum(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sto_value attribute = sto_value_undefined(), total = sto_value_int(0);
    sto_argument(args, 0, "attribute", &attribute);
    sto_argument(args, 1, "start", &total);
    const struct sto_list *items = sto_iterate(run, v);
    for (size_t i = 0; i < items->n && !run->failed; i++)
        total = sto_binary(run, STO_OP_ADD, total, aspect(run, items->items[i], attribute));
    return total;
}

static struct sto_value join(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sto_value attribute = sto_value_undefined(), separator = sto_text_value(&sto_no_text);
    struct sto_builder b = {0};
    sto_argument(args, 0, "d", &separator);
    sto_argument(args, 1, "attribute", &attribute);
    const struct sto_text *between = sto_to_text(run, separator);
    const struct sto_list *items = sto_iterate(run, v);
    for (size_t i = 0; i < items->n && !run->failed; i++) {
        if (i > 0)
            sto_build(run, &b, between);
        sto_build(run, &b, sto_to_text(run, aspect(run, items->items[i], attribute)));
    }
    return sto_text_value(sto_built(run, &b));
}

/* ---- sorting ---- */

struct sort_key {
    struct sto_value key, item;
};

/* Text without its case where that does not count. */
static struct sto_value fold(struct sto_run *run, struct sto_value v, bool case_sensitive)
{
    if (v.kind != STO_VALUE_TEXT || case_sensitive)
        return v;
    return sto_text_value(sto_change_case(run, v.text, STO_CASE_LOWER));
}

/* Merges two neighbouring runs, from into to. Equal keys keep their order, also in reverse. */
static void merge(struct sto_run *run, const struct sort_key *from, struct sort_key *to, const size_t bounds[3],
                  bool reverse)
{
    size_t i = bounds[0], j = bounds[1];
    for (size_t k = bounds[0]; k < bounds[2]; k++) {
        bool left = j == bounds[2];
        if (!left && i < bounds[1] && !run->failed) {
            const int order = sto_order(run, from[i].key, from[j].key);
            left = reverse ? order >= 0 : order <= 0;
        }
        to[k] = left || (i < bounds[1] && run->failed) ? from[i++] : from[j++];
    }
}

static void sort_keys(struct sto_run *run, struct sort_key *keys, size_t n, bool reverse)
{
    struct sort_key *from = keys, *to = sto_run_alloc(run, n + 1, sizeof *to);
    for (size_t width = 1; width < n && !run->failed; width *= 2) {
        for (size_t begin = 0; begin < n; begin += 2 * width) {
            const size_t middle = begin + width < n ? begin + width : n;
            const size_t end = begin + 2 * width < n ? begin + 2 * width : n;
            merge(run, from, to, (const size_t[3]){begin, middle, end}, reverse);
        }
        struct sort_key *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys && !run->failed)
        memcpy(keys, from, n * sizeof *keys);
}

struct sorting {
    struct sto_value attribute;
    bool case_sensitive, reverse;
};

/* A new list of the items in order. */
static struct sto_list *sorted(struct sto_run *run, const struct sto_list *items, const struct sorting *how)
{
    struct sto_list *out = sto_run_list(run);
    const size_t n = items->n;
    struct sort_key *keys = sto_run_alloc(run, n + 1, sizeof *keys);
    for (size_t i = 0; keys != NULL && i < n && !run->failed; i++)
        keys[i] = (struct sort_key){fold(run, aspect(run, items->items[i], how->attribute), how->case_sensitive),
                                    items->items[i]};
    if (keys != NULL && !run->failed)
        sort_keys(run, keys, n, how->reverse);
    for (size_t i = 0; keys != NULL && i < n && !run->failed; i++)
        sto_run_add(run, out, keys[i].item);
    return out;
}

static struct sto_value sort(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sorting how = {.reverse = sto_argument_bool(run, args, 0, "reverse", false),
                          .case_sensitive = sto_argument_bool(run, args, 1, "case_sensitive", false)};
    sto_argument(args, 2, "attribute", &how.attribute);
    return sto_value_of_list(sorted(run, sto_iterate(run, v), &how));
}

static struct sto_value dictsort(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sto_value by = sto_value_undefined();
    sto_argument(args, 1, "by", &by);
    const struct sorting how = {.case_sensitive = sto_argument_bool(run, args, 0, "case_sensitive", false),
                                .reverse = sto_argument_bool(run, args, 2, "reverse", false),
                                .attribute = sto_value_int(sto_value_is_text(by, "value") ? 1 : 0)};
    if (v.kind != STO_VALUE_OBJECT) {
        sto_run_fail(run, "dictsort needs an object, not %s", sto_value_kind_name(v.kind));
        return sto_value_undefined();
    }
    const struct sto_value items = sto_call_method(run, v, "items", &(struct sto_arguments){0});
    return run->failed ? items : sto_value_of_list(sorted(run, items.list, &how));
}

/* The least (sign 1) or greatest (sign -1) item. */
static struct sto_value extreme(struct sto_run *run, struct sto_value v, const struct sto_arguments *args, int sign)
{
    struct sto_value attribute = sto_value_undefined(), best = sto_value_undefined(), best_key = best;
    const bool case_sensitive = sto_argument_bool(run, args, 0, "case_sensitive", false);
    sto_argument(args, 1, "attribute", &attribute);
    const struct sto_list *items = sto_iterate(run, v);
    for (size_t i = 0; i < items->n && !run->failed; i++) {
        const struct sto_value key = fold(run, aspect(run, items->items[i], attribute), case_sensitive);
        if (i > 0 && sign * sto_order(run, key, best_key) >= 0)
            continue;
        best = items->items[i];
        best_key = key;
    }
    return best;
}

static struct sto_value least(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    return extreme(run, v, args, 1);
}

static struct sto_value greatest(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    return extreme(run, v, args, -1);
}

static struct sto_value unique(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sto_value attribute = sto_value_undefined();
    struct sto_list *keys = sto_run_list(run), *out = sto_run_list(run);
    const bool case_sensitive = sto_argument_bool(run, args, 0, "case_sensitive", false);
    sto_argument(args, 1, "attribute", &attribute);
    const struct sto_list *items = sto_iterate(run, v);
    for (size_t i = 0; i < items->n && !run->failed; i++) {
        const struct sto_value key = fold(run, aspect(run, items->items[i], attribute), case_sensitive);
        if (sto_contains(run, sto_value_of_list(keys), key))
            continue;
        sto_run_add(run, keys, key);
        sto_run_add(run, out, items->items[i]);
    }
    return list_value(out, STO_LIST_GENERATOR);
}

static struct sto_value groupby(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sorting how = {.case_sensitive = sto_argument_bool(run, args, 2, "case_sensitive", false)};
    struct sto_list *out = sto_run_list(run), *group = NULL;
    struct sto_value key = sto_value_undefined(), otherwise = sto_value_undefined();
    sto_argument(args, 0, "attribute", &how.attribute);
    sto_argument(args, 1, "default", &otherwise);
    const struct sto_list *items = sorted(run, sto_iterate(run, v), &how);
    for (size_t i = 0; i < items->n && !run->failed; i++) {
        struct sto_value k = aspect(run, items->items[i], how.attribute);
        k = k.kind == STO_VALUE_UNDEFINED ? otherwise : k;
        if (group == NULL || !sto_equal(run, fold(run, k, how.case_sensitive), fold(run, key, how.case_sensitive))) {
            key = k;
            group = sto_run_list(run);
            sto_run_add(run, out, pair(run, key, sto_value_of_list(group)));
        }
        sto_run_add(run, group, items->items[i]);
    }
    return sto_value_of_list(out);
}

/* ---- one for each, or some ---- */

/* The arguments behind the first n. */
static struct sto_arguments rest_of(const struct sto_arguments *args, size_t n)
{
    struct sto_arguments rest = *args;
    const size_t skipped = n < args->positional.n ? n : args->positional.n;
    if (skipped > 0)
        rest.positional.items += skipped;
    rest.positional.n -= skipped;
    return rest;
}

/* What map and select go through: nothing where there is nothing, none included. */
static const struct sto_list *items_or_none(struct sto_run *run, struct sto_value v)
{
    return sto_iterate(run, sto_truth(v) ? v : sto_value_undefined());
}

static struct sto_value map(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    struct sto_value attribute = sto_value_undefined(), otherwise = sto_value_undefined();
    struct sto_list *out = sto_run_list(run);
    const bool by_filter = args->positional.n > 0;
    const struct sto_text *name = by_filter ? sto_argument_text(run, args, 0, NULL, NULL) : NULL;
    const struct sto_arguments rest = rest_of(args, 1);
    if (!by_filter && !sto_argument(args, SIZE_MAX, "attribute", &attribute))
        sto_run_fail(run, "map needs a filter or an attribute");
    sto_argument(args, SIZE_MAX, "default", &otherwise);
    const struct sto_list *items = items_or_none(run, v);
    for (size_t i = 0; i < items->n && !run->failed; i++) {
        struct sto_value mapped =
            by_filter ? sto_apply_filter(run, (struct sto_view){name->data, name->size}, items->items[i], &rest)
                      : sto_get_path(run, items->items[i], attribute);
        if (!by_filter && mapped.kind == STO_VALUE_UNDEFINED && otherwise.kind != STO_VALUE_UNDEFINED)
            mapped = otherwise;
        sto_run_add(run, out, mapped);
    }
    return list_value(out, STO_LIST_GENERATOR);
}

/* Items for which a test holds, or does not; of the item itself or of an attribute. */
static struct sto_value select_items(struct sto_run *run, struct sto_value v, const struct sto_arguments *args,
                                     bool by_attribute, bool wanted)
{
    struct sto_list *out = sto_run_list(run);
    struct sto_value attribute = sto_value_undefined(), name = sto_value_undefined();
    const size_t position = by_attribute ? 1 : 0;
    if (by_attribute && !sto_argument(args, 0, "attribute", &attribute))
        sto_run_fail(run, "an attribute is missing");
    const bool by_test = sto_argument(args, position, NULL, &name);
    if (by_test && name.kind != STO_VALUE_TEXT)
        sto_run_fail(run, "the name of a test must be text, not %s", sto_value_kind_name(name.kind));
    const struct sto_arguments rest = rest_of(args, position + 1);
    const struct sto_list *items = items_or_none(run, v);
    for (size_t i = 0; i < items->n && !run->failed; i++) {
        const struct sto_value a = by_attribute ? sto_get_path(run, items->items[i], attribute) : items->items[i];
        const bool holds = by_test ? sto_apply_test(run, sto_value_view(name), a, &rest) : sto_truth(a);
        if (holds == wanted)
            sto_run_add(run, out, items->items[i]);
    }
    return list_value(out, STO_LIST_GENERATOR);
}

static struct sto_value select_(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    return select_items(run, v, args, false, true);
}

static struct sto_value reject(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    return select_items(run, v, args, false, false);
}

static struct sto_value selectattr(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    return select_items(run, v, args, true, true);
}

static struct sto_value rejectattr(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    return select_items(run, v, args, true, false);
}

/* ---- the same in another form ---- */

static struct sto_value list(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    const struct sto_list *items = sto_iterate(run, v);
    struct sto_list *out = sto_run_list(run);
    (void)args;
    for (size_t i = 0; i < items->n && !run->failed; i++)
        sto_run_add(run, out, items->items[i]);
    return sto_value_of_list(out);
}

static struct sto_value items(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    if (v.kind == STO_VALUE_OBJECT)
        return list_value(sto_call_method(run, v, "items", args).list, STO_LIST_GENERATOR);
    if (v.kind != STO_VALUE_UNDEFINED)
        sto_run_fail(run, "items needs an object, not %s", sto_value_kind_name(v.kind));
    return sto_value_of_list(sto_run_list(run));
}

static struct sto_value reverse(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    const struct sto_list *all = sto_iterate(run, v);
    struct sto_list *out = sto_run_list(run);
    struct sto_builder b = {0};
    (void)args;
    for (size_t i = all->n; i-- > 0 && !run->failed;) {
        if (v.kind == STO_VALUE_TEXT)
            sto_build(run, &b, all->items[i].text);
        else
            sto_run_add(run, out, all->items[i]);
    }
    return v.kind == STO_VALUE_TEXT ? sto_text_value(sto_built(run, &b)) : list_value(out, STO_LIST_GENERATOR);
}

/* Lists of n items each; the last one filled up where a filling is given. */
static struct sto_value batch(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    const int64_t n = sto_argument_int(run, args, 0, "linecount", 1);
    struct sto_value fill = sto_value_null();
    struct sto_list *out = sto_run_list(run), *row = NULL;
    sto_argument(args, 1, "fill_with", &fill);
    const struct sto_list *all = sto_iterate(run, v);
    if (n <= 0)
        sto_run_fail(run, "batch needs a number above 0");
    for (size_t i = 0; i < all->n && !run->failed; i++) {
        if (row == NULL || (int64_t)row->n == n) {
            row = sto_run_list(run);
            sto_run_add(run, out, sto_value_of_list(row));
        }
        sto_run_add(run, row, all->items[i]);
    }
    while (row != NULL && fill.kind != STO_VALUE_NULL && (int64_t)row->n < n && !run->failed)
        sto_run_add(run, row, fill);
    return list_value(out, STO_LIST_GENERATOR);
}

/* n lists, the first ones longer by one where it does not come out even. */
static struct sto_value slice(struct sto_run *run, struct sto_value v, const struct sto_arguments *args)
{
    const int64_t n = sto_argument_int(run, args, 0, "slices", 1);
    struct sto_value fill = sto_value_null();
    struct sto_list *out = sto_run_list(run);
    sto_argument(args, 1, "fill_with", &fill);
    const struct sto_list *all = sto_iterate(run, v);
    if (n <= 0)
        sto_run_fail(run, "slice needs a number above 0");
    size_t taken = 0;
    for (int64_t k = 0; k < n && !run->failed; k++) {
        struct sto_list *part = sto_run_list(run);
        const bool longer = k < (int64_t)all->n % n;
        const size_t size = (size_t)((int64_t)all->n / n) + (longer ? 1 : 0);
        for (size_t i = 0; i < size && !run->failed; i++)
            sto_run_add(run, part, all->items[taken++]);
        if (fill.kind != STO_VALUE_NULL && !longer && (int64_t)all->n % n != 0)
            sto_run_add(run, part, fill);
        sto_run_add(run, out, sto_value_of_list(part));
    }
    return list_value(out, STO_LIST_GENERATOR);
}

const struct sto_filter_entry sto_list_filters[] = {
    {"batch", batch},     {"count", length},    {"dictsort", dictsort},
    {"first", first},     {"groupby", groupby}, {"items", items},
    {"join", join},       {"last", last},       {"length", length},
    {"list", list},       {"map", map},         {"max", greatest},
    {"min", least},       {"reject", reject},   {"rejectattr", rejectattr},
    {"reverse", reverse}, {"select", select_},  {"selectattr", selectattr},
    {"slice", slice},     {"sort", sort},       {"sum", sum},
    {"unique", unique},   {NULL, NULL}};

/* Methods of text, lists and objects: what Python's str, list and dict have and templates use. */
#include "host/template_internal.h"

#include <string.h>

#include "host/unicode.h"
#include "host/utf8.h"

typedef struct sto_value method(struct sto_run *run, struct sto_value self, const struct sto_arguments *args);

/* ---- text: parts ---- */

static void add_slice(struct sto_run *run, struct sto_list *list, const struct sto_text *t, size_t from, size_t to)
{
    sto_run_add(run, list, sto_text_value(sto_slice_text(run, t, from, to)));
}

/* Words between white space; the rest stands whole after `most` splits (< 0: no limit). */
static void split_words(struct sto_run *run, const struct sto_text *t, int64_t most, struct sto_list *out)
{
    size_t pos = 0, n;
    while (!run->failed) {
        while (pos < t->size && sto_is_space(sto_utf8_get(t->data + pos, t->size - pos, &n)))
            pos += n;
        if (pos == t->size)
            return;
        const size_t begin = pos;
        if (most == 0) {
            const struct sto_text *rest = sto_slice_text(run, t, begin, t->size);
            sto_run_add(run, out, sto_text_value(sto_strip(run, rest, NULL, 2)));
            return;
        }
        while (pos < t->size && !sto_is_space(sto_utf8_get(t->data + pos, t->size - pos, &n)))
            pos += n;
        sto_run_charge(run, pos - begin);
        add_slice(run, out, t, begin, pos);
        most -= most > 0 ? 1 : 0;
    }
}

static struct sto_value split(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_list *out = sto_run_list(run);
    const struct sto_text *t = self.text, *separator = sto_argument_text(run, args, 0, "sep", &sto_no_text);
    int64_t most = sto_argument_int(run, args, 1, "maxsplit", -1);
    struct sto_value given;
    if (!sto_argument(args, 0, "sep", &given) || given.kind == STO_VALUE_NULL) {
        split_words(run, t, most, out);
        return sto_value_of_list(out);
    }
    if (separator->size == 0) {
        sto_run_fail(run, "an empty separator");
        return sto_value_undefined();
    }
    size_t pos = 0;
    for (size_t found; most != 0 && !run->failed; most -= most > 0 ? 1 : 0) {
        if ((found = sto_find_text(run, t, pos, separator)) == SIZE_MAX)
            break;
        add_slice(run, out, t, pos, found);
        pos = found + separator->size;
    }
    add_slice(run, out, t, pos, t->size);
    return sto_value_of_list(out);
}

/* Where needle is last; SIZE_MAX: nowhere. */
static size_t find_last(struct sto_run *run, const struct sto_text *t, size_t end, const struct sto_text *needle)
{
    for (size_t pos = end >= needle->size ? end - needle->size + 1 : 0; pos-- > 0 && !run->failed;) {
        if ((pos & 63) == 0)
            sto_run_charge(run, 64 + needle->size);
        if (memcmp(t->data + pos, needle->data, needle->size) == 0)
            return pos;
    }
    return SIZE_MAX;
}

static struct sto_value rsplit(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    const struct sto_text *t = self.text, *separator = sto_argument_text(run, args, 0, "sep", &sto_no_text);
    int64_t most = sto_argument_int(run, args, 1, "maxsplit", -1);
    if (separator->size == 0 || most < 0)
        return split(run, self, args);
    struct sto_list *parts = sto_run_list(run), *out = sto_run_list(run);
    size_t end = t->size;
    for (size_t found; most > 0 && !run->failed; most--) {
        if ((found = find_last(run, t, end, separator)) == SIZE_MAX)
            break;
        add_slice(run, parts, t, found + separator->size, end);
        end = found;
    }
    add_slice(run, out, t, 0, end);
    for (size_t i = parts->n; i-- > 0 && !run->failed;)
        sto_run_add(run, out, parts->items[i]);
    return sto_value_of_list(out);
}

static struct sto_value splitlines(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_list *out = sto_run_list(run);
    const struct sto_text *t = self.text;
    const bool keep = sto_argument_bool(run, args, 0, "keepends", false);
    size_t begin = 0;
    for (size_t pos = 0, n; pos < t->size && !run->failed; pos += n) {
        const uint32_t cp = sto_utf8_get(t->data + pos, t->size - pos, &n);
        const bool ends =
            (cp >= 10 && cp <= 13) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 || cp == 0x2029;
        if (!ends)
            continue;
        if (cp == '\r' && pos + 1 < t->size && t->data[pos + 1] == '\n')
            n++;
        add_slice(run, out, t, begin, keep ? pos + n : pos);
        begin = pos + n;
    }
    if (begin < t->size)
        add_slice(run, out, t, begin, t->size);
    return sto_value_of_list(out);
}

/* (before, separator, after) at the first or last place where it stands. */
static struct sto_value partition_at(struct sto_run *run, const struct sto_text *t, const struct sto_text *separator,
                                     size_t found, bool last)
{
    struct sto_list *out = sto_run_list(run);
    out->form = STO_LIST_TUPLE;
    if (found != SIZE_MAX) {
        add_slice(run, out, t, 0, found);
        add_slice(run, out, t, found, found + separator->size);
        add_slice(run, out, t, found + separator->size, t->size);
        return sto_value_of_list(out);
    }
    for (int i = 0; i < 3; i++)
        sto_run_add(run, out, sto_text_value(i == (last ? 2 : 0) ? t : &sto_no_text));
    return sto_value_of_list(out);
}

static struct sto_value partition(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    const struct sto_text *separator = sto_argument_text(run, args, 0, "sep", NULL);
    return partition_at(run, self.text, separator, sto_find_text(run, self.text, 0, separator), false);
}

static struct sto_value rpartition(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    const struct sto_text *separator = sto_argument_text(run, args, 0, "sep", NULL);
    return partition_at(run, self.text, separator, find_last(run, self.text, self.text->size, separator), true);
}

static struct sto_value strip_ends(struct sto_run *run, struct sto_value self, const struct sto_arguments *args,
                                   int ends)
{
    struct sto_value given;
    const bool chars = sto_argument(args, 0, "chars", &given) && given.kind != STO_VALUE_NULL;
    const struct sto_text *set = chars ? sto_argument_text(run, args, 0, "chars", NULL) : NULL;
    return sto_text_value(sto_strip(run, self.text, set, ends));
}

static struct sto_value strip(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    return strip_ends(run, self, args, 3);
}

static struct sto_value lstrip(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    return strip_ends(run, self, args, 1);
}

static struct sto_value rstrip(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    return strip_ends(run, self, args, 2);
}

/* ---- text: questions ---- */

static bool has_affix(const struct sto_text *t, const struct sto_text *affix, bool at_end)
{
    return affix->size <= t->size &&
           memcmp(t->data + (at_end ? t->size - affix->size : 0), affix->data, affix->size) == 0;
}

/* One affix, or a tuple of several. */
static struct sto_value affix_test(struct sto_run *run, struct sto_value self, const struct sto_arguments *args,
                                   bool at_end)
{
    struct sto_value v = sto_value_undefined();
    sto_argument(args, 0, NULL, &v);
    if (v.kind == STO_VALUE_TEXT)
        return sto_value_bool(has_affix(self.text, v.text, at_end));
    if (v.kind != STO_VALUE_LIST)
        sto_run_fail(run, "startswith and endswith need text, not %s", sto_value_kind_name(v.kind));
    for (size_t i = 0; v.kind == STO_VALUE_LIST && i < v.list->n; i++) {
        if (v.list->items[i].kind == STO_VALUE_TEXT && has_affix(self.text, v.list->items[i].text, at_end))
            return sto_value_bool(true);
    }
    return sto_value_bool(false);
}

static struct sto_value startswith(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    return affix_test(run, self, args, false);
}

static struct sto_value endswith(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    return affix_test(run, self, args, true);
}

static struct sto_value removeprefix(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    const struct sto_text *t = self.text, *affix = sto_argument_text(run, args, 0, NULL, NULL);
    return sto_text_value(has_affix(t, affix, false) ? sto_slice_text(run, t, affix->size, t->size) : t);
}

static struct sto_value removesuffix(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    const struct sto_text *t = self.text, *affix = sto_argument_text(run, args, 0, NULL, NULL);
    return sto_text_value(has_affix(t, affix, true) ? sto_slice_text(run, t, 0, t->size - affix->size) : t);
}

/* A byte position as a count of code points; -1 for SIZE_MAX. */
static struct sto_value position(const struct sto_text *t, size_t pos)
{
    return sto_value_int(pos == SIZE_MAX ? -1 : (int64_t)sto_utf8_count(t->data, pos));
}

static struct sto_value find(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    return position(self.text, sto_find_text(run, self.text, 0, sto_argument_text(run, args, 0, "sub", NULL)));
}

static struct sto_value rfind(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    const struct sto_text *needle = sto_argument_text(run, args, 0, "sub", NULL);
    return position(self.text, find_last(run, self.text, self.text->size, needle));
}

static struct sto_value index_of(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    const struct sto_value v = find(run, self, args);
    if (v.integer < 0)
        sto_run_fail(run, "index: the text is not there");
    return v;
}

static struct sto_value count(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    const struct sto_text *needle = sto_argument_text(run, args, 0, "sub", NULL);
    int64_t n = 0;
    if (needle->size == 0)
        return sto_value_int(sto_length(run, self) + 1);
    for (size_t pos = 0; !run->failed; n++) {
        if ((pos = sto_find_text(run, self.text, pos, needle)) == SIZE_MAX)
            break;
        pos += needle->size;
    }
    return sto_value_int(n);
}

/* Whether there are code points and all are of the kind. */
static bool all_of(struct sto_run *run, const struct sto_text *t, bool (*is)(uint32_t cp))
{
    sto_run_charge(run, t->size);
    for (size_t pos = 0, n; pos < t->size; pos += n) {
        if (!is(sto_utf8_get(t->data + pos, t->size - pos, &n)))
            return false;
    }
    return t->size > 0;
}

static unsigned category(uint32_t cp)
{
    return sto_unicode_props(cp) & STO_UNICODE_CATEGORY;
}

static bool is_digit(uint32_t cp)
{
    return category(cp) == STO_UNICODE_ND;
}

static bool is_alpha(uint32_t cp)
{
    return category(cp) <= STO_UNICODE_LO;
}

static bool is_alnum(uint32_t cp)
{
    return is_alpha(cp) || (category(cp) >= STO_UNICODE_ND && category(cp) <= STO_UNICODE_NO);
}

static struct sto_value isdigit_(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    (void)args;
    return sto_value_bool(all_of(run, self.text, is_digit));
}

static struct sto_value isalpha_(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    (void)args;
    return sto_value_bool(all_of(run, self.text, is_alpha));
}

static struct sto_value isalnum_(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    (void)args;
    return sto_value_bool(all_of(run, self.text, is_alnum));
}

static struct sto_value isspace_(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    (void)args;
    return sto_value_bool(all_of(run, self.text, sto_is_space));
}

/* Whether there is a letter with case, and none of the other case. */
static struct sto_value has_case(struct sto_run *run, const struct sto_text *t, unsigned wanted)
{
    bool found = false;
    sto_run_charge(run, t->size);
    for (size_t pos = 0, n; pos < t->size; pos += n) {
        const unsigned c = category(sto_utf8_get(t->data + pos, t->size - pos, &n));
        if (c <= STO_UNICODE_LT && c != wanted)
            return sto_value_bool(false);
        found |= c == wanted;
    }
    return sto_value_bool(found);
}

static struct sto_value isupper_(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    (void)args;
    return has_case(run, self.text, STO_UNICODE_LU);
}

static struct sto_value islower_(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    (void)args;
    return has_case(run, self.text, STO_UNICODE_LL);
}

/* ---- text: changes ---- */

static struct sto_value lower(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    (void)args;
    return sto_text_value(sto_change_case(run, self.text, STO_CASE_LOWER));
}

static struct sto_value upper(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    (void)args;
    return sto_text_value(sto_change_case(run, self.text, STO_CASE_UPPER));
}

static struct sto_value title(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    (void)args;
    return sto_text_value(sto_change_case(run, self.text, STO_CASE_TITLE));
}

static struct sto_value capitalize(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    (void)args;
    return sto_text_value(sto_change_case(run, self.text, STO_CASE_CAPITAL));
}

static struct sto_value swapcase(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    (void)args;
    return sto_text_value(sto_change_case(run, self.text, STO_CASE_SWAP));
}

static struct sto_value replace(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    const struct sto_text *from = sto_argument_text(run, args, 0, "old", NULL);
    const struct sto_text *to = sto_argument_text(run, args, 1, "new", NULL);
    return sto_text_value(sto_replace(run, self.text, from, to, sto_argument_int(run, args, 2, "count", -1)));
}

static struct sto_value join(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_value v = sto_value_undefined();
    struct sto_builder b = {0};
    sto_argument(args, 0, NULL, &v);
    const struct sto_list *items = sto_iterate(run, v);
    for (size_t i = 0; i < items->n && !run->failed; i++) {
        if (items->items[i].kind != STO_VALUE_TEXT)
            sto_run_fail(run, "join needs text, not %s", sto_value_kind_name(items->items[i].kind));
        if (i > 0)
            sto_build(run, &b, self.text);
        sto_build(run, &b, sto_to_text(run, items->items[i]));
    }
    return sto_text_value(sto_built(run, &b));
}

static struct sto_value format(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    return sto_format_braces(run, self.text, args);
}

/* To `width` code points: left 0: all filling in front, 1: half and half, 2: behind. */
static struct sto_value pad(struct sto_run *run, const struct sto_text *t, const struct sto_arguments *args, int side)
{
    static const struct sto_text blank = {.data = " ", .size = 1, .from_template = true};
    struct sto_builder b = {0};
    const int64_t width = sto_argument_int(run, args, 0, "width", 0);
    const int64_t length = sto_length(run, sto_text_value(t));
    const int64_t room = width > length ? width - length : 0;
    const struct sto_text *fill = sto_argument_text(run, args, 1, "fillchar", &blank);
    const int64_t before = side == 0 ? room : side == 1 ? room / 2 + (room & width & 1) : 0;
    for (int64_t i = 0; i < room && !run->failed; i++) {
        if (i == before)
            sto_build(run, &b, t);
        sto_build(run, &b, fill);
    }
    if (room <= before)
        sto_build(run, &b, t);
    return sto_text_value(sto_built(run, &b));
}

static struct sto_value center(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    return pad(run, self.text, args, 1);
}

static struct sto_value ljust(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    return pad(run, self.text, args, 2);
}

static struct sto_value rjust(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    return pad(run, self.text, args, 0);
}

static struct sto_value zfill(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_builder b = {0};
    const struct sto_text *t = self.text;
    const size_t sign = t->size > 0 && (t->data[0] == '-' || t->data[0] == '+') ? 1 : 0;
    const int64_t width = sto_argument_int(run, args, 0, "width", 0), length = sto_length(run, self);
    const int64_t room = width > length ? width - length : 0;
    sto_build_slice(run, &b, t, 0, sign);
    for (int64_t i = 0; i < room && !run->failed; i++)
        sto_build_bytes(run, &b, "0", 1, true);
    sto_build_slice(run, &b, t, sign, t->size);
    return sto_text_value(sto_built(run, &b));
}

/* ---- lists ---- */

static bool may_change(struct sto_run *run, bool changeable)
{
    if (!changeable)
        sto_run_fail(run, "what the template was given cannot be changed");
    return !run->failed;
}

static struct sto_value append(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_value v = sto_value_undefined();
    sto_argument(args, 0, NULL, &v);
    if (may_change(run, self.list->changeable))
        sto_run_add(run, self.list, v);
    return sto_value_null();
}

static struct sto_value extend(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_value v = sto_value_undefined();
    sto_argument(args, 0, NULL, &v);
    const struct sto_list *items = sto_iterate(run, v);
    const size_t n = items->n; /* a list may extend itself */
    for (size_t i = 0; i < n && may_change(run, self.list->changeable); i++)
        sto_run_add(run, self.list, items->items[i]);
    return sto_value_null();
}

static struct sto_value pop(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_list *list = self.list;
    int64_t i = sto_argument_int(run, args, 0, NULL, -1);
    i += i < 0 ? (int64_t)list->n : 0;
    if (!may_change(run, list->changeable))
        return sto_value_undefined();
    if (i < 0 || i >= (int64_t)list->n) {
        sto_run_fail(run, "pop: there is no such item");
        return sto_value_undefined();
    }
    const struct sto_value v = list->items[i];
    sto_run_charge(run, list->n);
    memmove(list->items + i, list->items + i + 1, (list->n - (size_t)i - 1) * sizeof *list->items);
    list->n--;
    return v;
}

static struct sto_value list_find(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_value v = sto_value_undefined();
    sto_argument(args, 0, NULL, &v);
    for (size_t i = 0; i < self.list->n && !run->failed; i++) {
        if (sto_equal(run, self.list->items[i], v))
            return sto_value_int((int64_t)i);
    }
    sto_run_fail(run, "index: the item is not in the list");
    return sto_value_undefined();
}

static struct sto_value list_count(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_value v = sto_value_undefined();
    int64_t n = 0;
    sto_argument(args, 0, NULL, &v);
    for (size_t i = 0; i < self.list->n && !run->failed; i++)
        n += sto_equal(run, self.list->items[i], v) ? 1 : 0;
    return sto_value_int(n);
}

/* ---- objects ---- */

static struct sto_value get(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_value key = sto_value_undefined(), otherwise = sto_value_null();
    sto_argument(args, 0, "key", &key);
    sto_argument(args, 1, "default", &otherwise);
    const struct sto_text *name = sto_key_text(run, key);
    if (name == NULL || sto_object_find(self.object, name->data, name->size) == NULL)
        return otherwise;
    return sto_get_item(run, self, key);
}

static struct sto_value items(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_list *out = sto_run_list(run);
    (void)args;
    for (size_t i = 0; i < self.object->n && !run->failed; i++) {
        struct sto_list *pair = sto_run_list(run);
        const struct sto_value key = sto_key_value(self.object->fields[i].key);
        pair->form = STO_LIST_TUPLE;
        sto_run_add(run, pair, key);
        sto_run_add(run, pair, sto_get_item(run, self, key));
        sto_run_add(run, out, sto_value_of_list(pair));
    }
    return sto_value_of_list(out);
}

static struct sto_value keys(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_list *out = sto_run_list(run);
    (void)args;
    for (size_t i = 0; i < self.object->n && !run->failed; i++)
        sto_run_add(run, out, sto_key_value(self.object->fields[i].key));
    return sto_value_of_list(out);
}

static struct sto_value values(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_list *out = sto_run_list(run);
    (void)args;
    for (size_t i = 0; i < self.object->n && !run->failed; i++)
        sto_run_add(run, out, self.object->fields[i].value);
    return sto_value_of_list(out);
}

static struct sto_value copy(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_object *object = sto_run_object(run);
    (void)args;
    for (size_t i = 0; i < self.object->n && !run->failed; i++)
        sto_run_set(run, object, self.object->fields[i].key, self.object->fields[i].value);
    return sto_value_of_object(object);
}

static struct sto_value update(struct sto_run *run, struct sto_value self, const struct sto_arguments *args)
{
    struct sto_value v = sto_value_undefined();
    if (sto_argument(args, 0, NULL, &v) && v.kind != STO_VALUE_OBJECT)
        sto_run_fail(run, "update needs an object, not %s", sto_value_kind_name(v.kind));
    const size_t n = v.kind == STO_VALUE_OBJECT ? v.object->n : 0;
    for (size_t i = 0; i < n && may_change(run, self.object->changeable); i++)
        sto_run_set(run, self.object, v.object->fields[i].key, v.object->fields[i].value);
    for (size_t i = 0; i < args->n_named && may_change(run, self.object->changeable); i++)
        sto_run_set(run, self.object, args->named[i].name, args->named[i].value);
    return sto_value_null();
}

/* ---- the tables ---- */

static const struct method_entry {
    const char *name;
    method *call;
} text_methods[] = {{"capitalize", capitalize},
                    {"center", center},
                    {"count", count},
                    {"endswith", endswith},
                    {"find", find},
                    {"format", format},
                    {"index", index_of},
                    {"isalnum", isalnum_},
                    {"isalpha", isalpha_},
                    {"isdecimal", isdigit_},
                    {"isdigit", isdigit_},
                    {"islower", islower_},
                    {"isnumeric", isdigit_},
                    {"isspace", isspace_},
                    {"isupper", isupper_},
                    {"join", join},
                    {"ljust", ljust},
                    {"lower", lower},
                    {"lstrip", lstrip},
                    {"partition", partition},
                    {"removeprefix", removeprefix},
                    {"removesuffix", removesuffix},
                    {"replace", replace},
                    {"rfind", rfind},
                    {"rjust", rjust},
                    {"rpartition", rpartition},
                    {"rsplit", rsplit},
                    {"rstrip", rstrip},
                    {"split", split},
                    {"splitlines", splitlines},
                    {"startswith", startswith},
                    {"strip", strip},
                    {"swapcase", swapcase},
                    {"title", title},
                    {"upper", upper},
                    {"zfill", zfill},
                    {NULL, NULL}},
  list_methods[] = {{"append", append},   {"count", list_count}, {"extend", extend},
                    {"index", list_find}, {"pop", pop},          {NULL, NULL}},
  object_methods[] = {{"copy", copy},     {"get", get},       {"items", items}, {"keys", keys},
                      {"update", update}, {"values", values}, {NULL, NULL}};

static const struct method_entry *methods_of(struct sto_value v)
{
    static const struct method_entry none[] = {{NULL, NULL}};
    switch (v.kind) {
    case STO_VALUE_TEXT: return text_methods;
    case STO_VALUE_LIST: return v.list->form == STO_LIST_PLAIN ? list_methods : none;
    case STO_VALUE_OBJECT: return object_methods;
    default: return none;
    }
}

struct sto_value sto_bound_method(struct sto_run *run, struct sto_value v, struct sto_view name)
{
    for (const struct method_entry *m = methods_of(v); m->name != NULL; m++) {
        if (sto_view_equals(name, m->name))
            return sto_thing_value(run, (struct sto_thing){.kind = STO_THING_METHOD, .self = v, .name = m->name});
    }
    return sto_value_undefined();
}

struct sto_value sto_call_method(struct sto_run *run, struct sto_value self, const char *name,
                                 const struct sto_arguments *args)
{
    for (const struct method_entry *m = methods_of(self); m->name != NULL; m++) {
        if (strcmp(m->name, name) == 0)
            return m->call(run, self, args);
    }
    return sto_value_undefined();
}

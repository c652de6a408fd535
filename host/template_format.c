/* Formatting: "%s" % values, "{}".format(values), and times. */
#include "host/template_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/json.h"
#include "host/utf8.h"

/* How one value is to be written: [fill][align][sign][0][width][.precision][type]. */
struct spec {
    char fill[4];
    size_t fill_size;
    char align; /* '<', '>', '^'; 0: by kind */
    char sign;  /* '+', ' ' or 0 */
    bool comma;
    bool alternate;
    int width, precision; /* precision -1: none */
    char type;            /* 0: by kind */
};

enum { MAX_WIDTH = 10000, MAX_PRECISION = 100 };

static size_t read_small(const char *s, size_t size, int most, int *out)
{
    size_t n = 0;
    *out = 0;
    for (; n < size && s[n] >= '0' && s[n] <= '9'; n++)
        *out = *out < most ? *out * 10 + (s[n] - '0') : *out;
    *out = *out < most ? *out : most;
    return n;
}

/* A number in fixed or exponent notation. snprintf writes the locale's point: only its digits are used. */
static size_t fixed(double x, int precision, char type, char *out, size_t room)
{
    char text[512], point = '.';
    const bool exponent = type == 'e' || type == 'E';
    const int n = snprintf(text, sizeof text, exponent ? "%.*e" : "%.*f", precision, x);
    size_t size = 0;
    bool pointed = false;
    for (int i = 0; i < n && i < (int)sizeof text && size + 2 < room; i++) {
        const char c = text[i];
        if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == 'e' || (c >= 'a' && c <= 'z')) {
            out[size++] = type == 'E' && c == 'e' ? 'E' : c;
            continue;
        }
        if (!pointed)
            out[size++] = point;
        pointed = true;
    }
    out[size] = '\0';
    return size;
}

/* Digits of an integer's absolute value in a base. */
static size_t digits_of(uint64_t x, unsigned base, bool upper, char *out)
{
    char reversed[64];
    size_t n = 0;
    do
        reversed[n++] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[x % base];
    while ((x /= base) > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

static size_t with_commas(const char *digits, size_t n, char *out)
{
    size_t whole = 0, size = 0;
    while (whole < n && digits[whole] >= '0' && digits[whole] <= '9')
        whole++;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0)
            out[size++] = ',';
        out[size++] = digits[i];
    }
    return size;
}

/* The number without its sign, in out[1024]; SIZE_MAX: it is none, or the type is not known. */
static size_t number_digits(struct sto_value v, const struct spec *spec, char *out, bool *negative)
{
    char text[600];
    int64_t i;
    double x;
    size_t n;
    const unsigned base = spec->type == 'x' || spec->type == 'X' ? 16
                          : spec->type == 'o'                    ? 8
                          : spec->type == 'b'                    ? 2
                                                                 : 10;
    const bool integer = sto_as_int(v, &i) && (spec->type == 0 || strchr("dixXobu", spec->type) != NULL);
    if (integer) {
        *negative = i < 0;
        n = digits_of(i < 0 ? 0 - (uint64_t)i : (uint64_t)i, base, spec->type == 'X', text);
    } else if (sto_as_number(v, &x) && spec->type != 0 && strchr("feEFgGdi%", spec->type) != NULL) {
        const char type = spec->type == 'g' || spec->type == 'G' ? 'g' : spec->type;
        *negative = signbit(x);
        x = fabs(x);
        if (type == 'd' || type == 'i')
            n = fixed(trunc(x), 0, 'f', text, sizeof text);
        else if (type == 'g' && spec->precision < 0)
            n = sto_float_text(x, text);
        else
            n = fixed(type == '%' ? x * 100 : x, spec->precision < 0 ? 6 : spec->precision, type, text, sizeof text);
        if (type == '%')
            text[n++] = '%';
    } else if (v.kind == STO_VALUE_FLOAT && spec->type == 0) {
        *negative = signbit(v.number);
        n = spec->precision < 0 ? sto_float_text(fabs(v.number), text)
                                : fixed(fabs(v.number), spec->precision, 'f', text, sizeof text);
    } else {
        return SIZE_MAX;
    }
    if (!spec->comma) {
        memcpy(out, text, n);
        return n;
    }
    return with_commas(text, n, out);
}

static void build_fill(struct sto_run *run, struct sto_builder *b, const struct spec *spec, int64_t n)
{
    for (int64_t i = 0; i < n && !run->failed; i++)
        sto_build_bytes(run, b, spec->fill, spec->fill_size, true);
}

static void build_padded(struct sto_run *run, struct sto_builder *b, const struct spec *spec, char align,
                         const char *sign, const struct sto_text *t)
{
    const int64_t length = (int64_t)strlen(sign) + (int64_t)sto_utf8_count(t->data, t->size);
    const int64_t room = spec->width > length ? spec->width - length : 0;
    const int64_t before = align == '<' || align == '=' ? 0 : align == '^' ? room / 2 : room;
    build_fill(run, b, spec, before);
    sto_build_bytes(run, b, sign, strlen(sign), true);
    if (align == '=')
        build_fill(run, b, spec, room);
    sto_build(run, b, t);
    if (align == '<' || align == '^')
        build_fill(run, b, spec, room - before);
}

/* `text_align`: where text stands when the spec does not say. */
static void build_value(struct sto_run *run, struct sto_builder *b, const struct spec *spec, struct sto_value v,
                        char text_align)
{
    char digits[1024];
    bool negative = false;
    const bool number =
        v.kind == STO_VALUE_INT || v.kind == STO_VALUE_FLOAT || (v.kind == STO_VALUE_BOOL && spec->type != 0);
    const bool as_text = spec->type == 's' || spec->type == 'r' || (!number && spec->type == 0);
    if (!as_text) {
        const size_t n = number_digits(v, spec, digits, &negative);
        if (n == SIZE_MAX) {
            sto_run_fail(run, "\"%c\" cannot format %s", spec->type != 0 ? spec->type : 's',
                         sto_value_kind_name(v.kind));
            return;
        }
        const char sign[2] = {negative ? '-' : spec->sign, '\0'};
        const struct sto_text t = {.data = digits, .size = n, .from_template = true};
        build_padded(run, b, spec, spec->align != 0 ? spec->align : '>', sign, &t);
        return;
    }
    const struct sto_text *t = spec->type == 'r' ? sto_to_repr(run, v) : sto_to_text(run, v);
    if (spec->precision >= 0) {
        size_t end = 0, n;
        for (int i = 0; i < spec->precision && end < t->size; i++, end += n)
            (void)sto_utf8_get(t->data + end, t->size - end, &n);
        t = sto_slice_text(run, t, 0, end);
    }
    build_padded(run, b, spec, spec->align != 0 ? spec->align : text_align, "", t);
}

/* ---- "%s" % values ---- */

static const struct sto_value *next_value(struct sto_run *run, struct sto_value *arguments, size_t *used)
{
    if (arguments->kind == STO_VALUE_LIST && arguments->list->form == STO_LIST_TUPLE) {
        if (*used < arguments->list->n)
            return &arguments->list->items[(*used)++];
    } else if (*used == 0) {
        (*used)++;
        return arguments;
    }
    sto_run_fail(run, "not enough values for the format");
    return NULL;
}

/* After '%'. Returns where the specification ends. */
static size_t percent_spec(struct sto_run *run, const struct sto_text *f, size_t pos, struct sto_builder *b,
                           struct sto_value *arguments, size_t *used)
{
    struct spec spec = {.fill = " ", .fill_size = 1, .precision = -1, .align = '>'};
    const struct sto_value *v = NULL;
    if (pos < f->size && f->data[pos] == '(') {
        size_t end = pos;
        while (end < f->size && f->data[end] != ')')
            end++;
        v = arguments->kind == STO_VALUE_OBJECT ? sto_object_find(arguments->object, f->data + pos + 1, end - pos - 1)
                                                : NULL;
        if (v == NULL)
            sto_run_fail(run, "the format names a value that is not there");
        *used = 1;
        pos = end < f->size ? end + 1 : end;
    }
    for (; pos < f->size && f->data[pos] != '\0' && strchr("-+ 0#", f->data[pos]) != NULL; pos++) {
        const char flag = f->data[pos];
        if (flag == '-')
            spec.align = '<';
        else if (flag == '0' && spec.align == '>')
            spec.align = '=', spec.fill[0] = '0';
        else if (flag == '+' || flag == ' ')
            spec.sign = flag;
    }
    pos += read_small(f->data + pos, f->size - pos, MAX_WIDTH, &spec.width);
    if (pos < f->size && f->data[pos] == '.') {
        pos++;
        pos += read_small(f->data + pos, f->size - pos, MAX_PRECISION, &spec.precision);
    }
    spec.type = pos < f->size ? f->data[pos] : '\0';
    if (spec.type == '\0' || strchr("sridufFeEgGxXo", spec.type) == NULL)
        sto_run_fail(run, "a format that is not known");
    else if (v == NULL)
        v = next_value(run, arguments, used);
    if (spec.type == 's' || spec.type == 'r') {
        spec.align = spec.align == '=' ? '>' : spec.align;
        spec.fill[0] = ' ';
    }
    if (!run->failed)
        build_value(run, b, &spec, *v, '>');
    return pos + 1;
}

struct sto_value sto_format_percent(struct sto_run *run, const struct sto_text *f, struct sto_value arguments)
{
    struct sto_builder b = {0};
    size_t used = 0, plain = 0, pos = 0;
    while (pos < f->size && !run->failed) {
        if (f->data[pos] != '%') {
            pos++;
            continue;
        }
        sto_build_slice(run, &b, f, plain, pos);
        if (pos + 1 < f->size && f->data[pos + 1] == '%') {
            sto_build_slice(run, &b, f, pos, pos + 1);
            pos += 2;
        } else {
            pos = percent_spec(run, f, pos + 1, &b, &arguments, &used);
        }
        plain = pos;
    }
    const bool container = arguments.kind == STO_VALUE_LIST || arguments.kind == STO_VALUE_OBJECT;
    const bool tuple = arguments.kind == STO_VALUE_LIST && arguments.list->form == STO_LIST_TUPLE;
    if (used < (tuple ? arguments.list->n : container ? 0 : 1))
        sto_run_fail(run, "the format does not use all values");
    if (run->failed)
        return sto_value_undefined();
    sto_build_slice(run, &b, f, plain < f->size ? plain : f->size, f->size);
    return sto_text_value(sto_built(run, &b));
}

/* ---- "{}".format(values) ---- */

/* After ':'. */
static void brace_spec(struct sto_run *run, const struct sto_text *f, size_t pos, size_t end, struct spec *spec)
{
    size_t n = 1;
    if (pos < end)
        (void)sto_utf8_get(f->data + pos, end - pos, &n);
    if (pos + n < end && strchr("<>^=", f->data[pos + n]) != NULL && f->data[pos + n] != '\0') {
        memcpy(spec->fill, f->data + pos, n);
        spec->fill_size = n;
        spec->align = f->data[pos + n];
        pos += n + 1;
    } else if (pos < end && f->data[pos] != '\0' && strchr("<>^=", f->data[pos]) != NULL) {
        spec->align = f->data[pos++];
    }
    if (pos < end && (f->data[pos] == '+' || f->data[pos] == ' ' || f->data[pos] == '-')) {
        spec->sign = f->data[pos] == '-' ? '\0' : f->data[pos];
        pos++;
    }
    if (pos < end && f->data[pos] == '0') {
        spec->align = spec->align == 0 ? '=' : spec->align;
        spec->fill[0] = '0';
        spec->fill_size = 1;
    }
    pos += read_small(f->data + pos, end - pos, MAX_WIDTH, &spec->width);
    if (pos < end && f->data[pos] == ',') {
        spec->comma = true;
        pos++;
    }
    if (pos < end && f->data[pos] == '.')
        pos += 1 + read_small(f->data + pos + 1, end - pos - 1, MAX_PRECISION, &spec->precision);
    if (pos < end && f->data[pos] != '\0' && strchr("sdxXobfFeEgG%", f->data[pos]) != NULL)
        spec->type = f->data[pos++];
    if (pos != end)
        sto_run_fail(run, "a format that is not known");
}

/* The value that a field names: "", "0", "name", with ".attribute" and "[key]" behind. */
static struct sto_value field_value(struct sto_run *run, const struct sto_text *name, const struct sto_arguments *args,
                                    size_t *automatic)
{
    size_t end = 0;
    struct sto_value v = sto_value_undefined(), number;
    while (end < name->size && name->data[end] != '.' && name->data[end] != '[')
        end++;
    if (end == 0) {
        if (!sto_argument(args, (*automatic)++, NULL, &v))
            sto_run_fail(run, "not enough values for the format");
    } else if (sto_number_read(name->data, end, &number) == end && number.kind == STO_VALUE_INT &&
               number.integer >= 0) {
        if (!sto_argument(args, (size_t)number.integer, NULL, &v))
            sto_run_fail(run, "not enough values for the format");
    } else {
        bool found = false;
        for (size_t i = 0; i < args->n_named && !found; i++) {
            found = args->named[i].name->size == end && memcmp(args->named[i].name->data, name->data, end) == 0;
            v = found ? args->named[i].value : v;
        }
        if (!found)
            sto_run_fail(run, "the format names a value that is not there");
    }
    while (end < name->size && !run->failed) {
        const bool bracket = name->data[end] == '[';
        const size_t begin = ++end;
        while (end < name->size &&
               (bracket ? name->data[end] != ']' : name->data[end] != '.' && name->data[end] != '['))
            end++;
        v = sto_get_path(run, v, sto_text_value(sto_slice_text(run, name, begin, end)));
        end += bracket && end < name->size ? 1 : 0;
    }
    return v;
}

struct sto_value sto_format_braces(struct sto_run *run, const struct sto_text *f, const struct sto_arguments *args)
{
    struct sto_builder b = {0};
    size_t automatic = 0, plain = 0, pos = 0;
    while (pos < f->size && !run->failed) {
        const char c = f->data[pos];
        if (c != '{' && c != '}') {
            pos++;
            continue;
        }
        sto_build_slice(run, &b, f, plain, pos);
        if (pos + 1 < f->size && f->data[pos + 1] == c) {
            sto_build_slice(run, &b, f, pos, pos + 1);
            plain = pos += 2;
            continue;
        }
        size_t end = pos + 1, colon = SIZE_MAX;
        for (; end < f->size && f->data[end] != '}'; end++)
            colon = colon == SIZE_MAX && f->data[end] == ':' ? end : colon;
        if (c == '}' || end == f->size) {
            sto_run_fail(run, "a single brace in a format");
            break;
        }
        struct spec spec = {.fill = " ", .fill_size = 1, .precision = -1};
        size_t name_end = colon != SIZE_MAX ? colon : end;
        if (name_end - pos > 2 && f->data[name_end - 2] == '!') {
            spec.type = f->data[name_end - 1] == 'r' ? 'r' : 's';
            name_end -= 2;
        }
        const struct sto_text *name = sto_slice_text(run, f, pos + 1, name_end);
        const struct sto_value v = field_value(run, name, args, &automatic);
        if (colon != SIZE_MAX)
            brace_spec(run, f, colon + 1, end, &spec);
        if (!run->failed)
            build_value(run, &b, &spec, v, '<');
        plain = pos = end + 1;
    }
    if (run->failed)
        return sto_value_undefined();
    sto_build_slice(run, &b, f, plain, f->size);
    return sto_text_value(sto_built(run, &b));
}

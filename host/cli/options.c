/* The option parser: finds the table line of an argument, reads its value, checks its range, stores it. */
#include "host/cli/options.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One argument being read: where it belongs and how the user spelt it. */
struct reading {
    const struct sto_option *option;
    const char *spelt;
    const char *value; /* NULL: none was given */
    struct sto_options *options;
    struct sto_error *err;
};

void sto_options_defaults(struct sto_options *options)
{
    memset(options, 0, sizeof *options);
    sto_sampler_defaults(&options->sampling.params);
    options->common.kv_type = STO_TYPE_F16;
    options->own.bench_output = STO_BENCH_MD;
    options->own.repetitions = 5;
}

/* ---- values ----------------------------------------------------------------------------------------------- */

/* A decimal number of the whole text. No blanks, no hexadecimal, no words. */
static bool parse_number(const char *text, double *out)
{
    if (text[0] == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0')
        return false;
    char *end;
    *out = strtod(text, &end);
    return *end == '\0' && end != text;
}

static bool parse_u64(const char *text, uint64_t *out)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0')
        return false;
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return errno == 0;
}

bool sto_parse_size(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"", 1},       {"B", 1},        {"K", 0x1p10},   {"KiB", 0x1p10}, {"KB", 1e3},
                 {"M", 0x1p20}, {"MiB", 0x1p20}, {"MB", 1e6},     {"G", 0x1p30},   {"GiB", 0x1p30},
                 {"GB", 1e9},   {"T", 0x1p40},   {"TiB", 0x1p40}, {"TB", 1e12}};
    const size_t digits = strspn(text, "0123456789.");
    char number[32];
    double value;
    if (digits == 0 || digits >= sizeof number)
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    if (!parse_number(number, &value))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const char *u = units[i].unit, *t = text + digits;
        while (*u != '\0' && (*t == *u || *t == (*u | 0x20))) { /* upper or lower case */
            u++;
            t++;
        }
        if (*u != '\0' || *t != '\0')
            continue;
        if (value * units[i].factor >= 0x1p63)
            return false;
        *bytes = (uint64_t)(value * units[i].factor);
        return true;
    }
    return false;
}

void sto_option_range(const struct sto_option *option, char *text, size_t size)
{
    const bool whole = option->kind != STO_OPTION_F32;
    const bool no_low = option->low <= (double)-FLT_MAX;
    const bool no_high = whole ? option->high >= UINT32_MAX || option->high == 0 : option->high >= (double)FLT_MAX;
    const char *all = option->kind == STO_OPTION_U32_ALL ? ", or all" : "";
    if (no_low && no_high)
        (void)snprintf(text, size, "a finite number");
    else if (no_high)
        (void)snprintf(text, size, option->open_low ? "above %g%s" : "%g or more%s", option->low, all);
    else if (option->open_low || option->open_high)
        (void)snprintf(text, size, "%s%g%s, %s %g", option->open_low ? "above " : "", option->low,
                       option->open_low ? "" : " or more", option->open_high ? "below" : "at most", option->high);
    else
        (void)snprintf(text, size, "%g to %g%s", option->low, option->high, all);
}

static enum sto_status fail_range(const struct reading *r, const char *what)
{
    char range[80];
    sto_option_range(r->option, range, sizeof range);
    return sto_fail(r->err, STO_ERR_USAGE, "%s: '%s' is %s; its range is: %s", r->spelt, r->value, what, range);
}

static bool in_range(const struct sto_option *o, double value)
{
    return (o->open_low ? value > o->low : value >= o->low) && (o->open_high ? value < o->high : value <= o->high);
}

static void *field_of(const struct reading *r)
{
    return (char *)r->options + r->option->offset;
}

static enum sto_status read_u32(const struct reading *r)
{
    uint32_t *field = field_of(r);
    uint64_t value;
    if (r->option->kind == STO_OPTION_U32_ALL && (strcmp(r->value, "all") == 0 || strcmp(r->value, "-1") == 0)) {
        *field = UINT32_MAX;
        return STO_OK;
    }
    if (!parse_u64(r->value, &value)) {
        double number;
        return fail_range(r, parse_number(r->value, &number) ? "out of range or no whole number" : "no whole number");
    }
    if (!in_range(r->option, (double)value))
        return fail_range(r, "out of range");
    *field = (uint32_t)value;
    return STO_OK;
}

static enum sto_status read_u64(const struct reading *r)
{
    if (!parse_u64(r->value, field_of(r)))
        return sto_fail(r->err, STO_ERR_USAGE, "%s: '%s' is no whole number; its range is: 0 to 18446744073709551615",
                        r->spelt, r->value);
    return STO_OK;
}

static enum sto_status read_f32(const struct reading *r)
{
    double value;
    if (!parse_number(r->value, &value))
        return fail_range(r, "no number");
    /* What counts is the value as stored: 0.9999999999 is 1 there. */
    const float stored = fabs(value) <= (double)FLT_MAX ? (float)value : value > 0 ? INFINITY : -INFINITY;
    if (!in_range(r->option, (double)stored))
        return fail_range(r, "out of range");
    *(float *)field_of(r) = stored;
    return STO_OK;
}

static enum sto_status read_size(const struct reading *r)
{
    uint64_t bytes;
    if (!sto_parse_size(r->value, &bytes) || bytes == 0)
        return sto_fail(r->err, STO_ERR_USAGE,
                        "%s: '%s' is no size; its range is: 1 byte to 8388607T, written as 6G, 512M, 1.5GiB or 8GB",
                        r->spelt, r->value);
    *(uint64_t *)field_of(r) = bytes;
    return STO_OK;
}

static enum sto_status read_choice(const struct reading *r)
{
    char list[200] = "";
    size_t used = 0;
    for (const struct sto_choice *c = r->option->choices; c->name != NULL; c++) {
        if (strcmp(c->name, r->value) == 0) {
            memcpy(field_of(r), &c->value, sizeof c->value);
            return STO_OK;
        }
        const int n = snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", c->name);
        used += n > 0 && (size_t)n < sizeof list - used ? (size_t)n : 0;
    }
    return sto_fail(r->err, STO_ERR_USAGE, "%s: '%s' is not one of: %s", r->spelt, r->value, list);
}

static enum sto_status read_texts(const struct reading *r)
{
    struct sto_text_list *list = field_of(r);
    if (r->value[0] == '\0')
        return sto_fail(r->err, STO_ERR_USAGE, "%s: '' is empty; its range is: one character or more", r->spelt);
    if (list->n == STO_MAX_LIST)
        return sto_fail(r->err, STO_ERR_USAGE, "%s: '%s' is one too many; its range is: up to %d times", r->spelt,
                        r->value, STO_MAX_LIST);
    list->items[list->n++] = r->value;
    return STO_OK;
}

/* ID=X as the help says; ID+X and ID-X because other programs write it so. */
static enum sto_status read_bias(const struct reading *r)
{
    struct sto_bias_list *list = field_of(r);
    const size_t digits = strspn(r->value, "0123456789");
    char id_text[16];
    uint64_t id;
    double bias;
    const char sign = r->value[digits];
    const char *number = r->value + digits + (sign == '=');
    if (digits == 0 || digits >= sizeof id_text || sign == '\0' || strchr("=+-", sign) == NULL)
        goto fail;
    memcpy(id_text, r->value, digits);
    id_text[digits] = '\0';
    if (!parse_u64(id_text, &id) || id > UINT32_MAX)
        goto fail;
    if (strcmp(number, "-inf") == 0)
        bias = -INFINITY;
    else if (!parse_number(number, &bias) || fabs(bias) > (double)FLT_MAX)
        goto fail;
    if (list->n == STO_MAX_BIASES)
        return sto_fail(r->err, STO_ERR_USAGE, "%s: '%s' is one too many; its range is: up to %d times", r->spelt,
                        r->value, STO_MAX_BIASES);
    list->items[list->n++] = (struct sto_logit_bias){.token = (uint32_t)id, .bias = (float)bias};
    return STO_OK;

fail:
    return sto_fail(r->err, STO_ERR_USAGE,
                    "%s: '%s' is no bias; its range is: ID=X, where ID is a token and X a finite number or -inf",
                    r->spelt, r->value);
}

static enum sto_status add_model(struct sto_options *options, size_t max_models, const char *value,
                                 struct sto_error *err)
{
    if (value[0] == '\0')
        return sto_fail(err, STO_ERR_USAGE, "MODEL: '' is empty; its range is: a path or a name");
    if (options->n_models == max_models && max_models == 0)
        return sto_fail(err, STO_ERR_USAGE, "unexpected argument '%s'", value);
    if (options->n_models == max_models)
        return sto_fail(err, STO_ERR_USAGE, "MODEL: '%s' is one too many; its range is: up to %zu", value, max_models);
    options->models[options->n_models++] = value;
    return STO_OK;
}

static enum sto_status store(const struct reading *r, size_t max_models)
{
    if (r->option->given != 0)
        *((bool *)((char *)r->options + r->option->given)) = true;
    switch (r->option->kind) {
    case STO_OPTION_FLAG: *(bool *)field_of(r) = true; return STO_OK;
    case STO_OPTION_COUNT: ++*(uint32_t *)field_of(r); return STO_OK;
    case STO_OPTION_TEXT: *(const char **)field_of(r) = r->value; return STO_OK;
    case STO_OPTION_U32:
    case STO_OPTION_U32_ALL: return read_u32(r);
    case STO_OPTION_U64: return read_u64(r);
    case STO_OPTION_F32: return read_f32(r);
    case STO_OPTION_SIZE: return read_size(r);
    case STO_OPTION_CHOICE: return read_choice(r);
    case STO_OPTION_TEXTS: return read_texts(r);
    case STO_OPTION_BIASES: return read_bias(r);
    case STO_OPTION_MODEL: return add_model(r->options, max_models, r->value, r->err);
    }
    return STO_OK;
}

/* ---- arguments -------------------------------------------------------------------------------------------- */

unsigned sto_edit_distance(const char *a, const char *b)
{
    enum { MAX = 32 };
    const size_t na = strlen(a), nb = strlen(b);
    if (na >= MAX || nb >= MAX)
        return 99;
    unsigned d[MAX][MAX]; /* d[i][j]: first i characters of a to first j of b */
    for (size_t i = 0; i <= na; i++) {
        for (size_t j = 0; j <= nb; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (unsigned)(i + j);
                continue;
            }
            unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[na][nb];
}

static bool is_named(const struct sto_option *o, const char *name, size_t size)
{
    return (strlen(o->name) == size && memcmp(o->name, name, size) == 0) ||
           (o->alias != NULL && strlen(o->alias) == size && memcmp(o->alias, name, size) == 0);
}

/* The line for a name, with or without "=value" behind it; NULL: there is none. */
static const struct sto_option *find(const struct sto_option_table *const *tables, const char *arg)
{
    const size_t size = strncmp(arg, "--", 2) == 0 ? strcspn(arg, "=") : strlen(arg);
    for (; *tables != NULL; tables++) {
        for (size_t i = 0; i < (*tables)->n; i++) {
            if (is_named(&(*tables)->options[i], arg, size))
                return &(*tables)->options[i];
        }
    }
    return NULL;
}

static enum sto_status fail_unknown(const struct sto_option_table *const *tables, const char *arg,
                                    struct sto_error *err)
{
    const char *nearest = NULL;
    unsigned least = 4; /* further away is no likely slip */
    for (; *tables != NULL; tables++) {
        for (size_t i = 0; i < (*tables)->n; i++) {
            const unsigned distance = sto_edit_distance(arg, (*tables)->options[i].name);
            if (distance < least) {
                least = distance;
                nearest = (*tables)->options[i].name;
            }
        }
    }
    if (nearest == NULL)
        return sto_fail(err, STO_ERR_USAGE, "unknown option '%s'", arg);
    return sto_fail(err, STO_ERR_USAGE, "unknown option '%s'; did you mean '%s'?", arg, nearest);
}

/* The option at argv[*at] with its value; *at moves to the last argument that was used. */
static enum sto_status read_option(const struct sto_option_table *const *tables, size_t max_models, int argc,
                                   char **argv, int *at, struct sto_options *options, struct sto_error *err)
{
    const char *arg = argv[*at];
    const struct sto_option *option = find(tables, arg);
    if (option == NULL)
        return fail_unknown(tables, arg, err);
    const bool is_long = strncmp(arg, "--", 2) == 0;
    const char *equals = is_long ? strchr(arg, '=') : NULL;
    struct reading r = {.option = option, .options = options, .err = err};
    r.spelt = is_long ? option->name : arg;
    if (option->kind == STO_OPTION_FLAG || option->kind == STO_OPTION_COUNT) {
        if (equals != NULL)
            return sto_fail(err, STO_ERR_USAGE, "%s takes no value, but '%s' was given", r.spelt, equals + 1);
    } else if (equals != NULL) {
        r.value = equals + 1;
    } else if (*at + 1 < argc) {
        r.value = argv[++*at];
    } else {
        return sto_fail(err, STO_ERR_USAGE, "%s needs a value: %s", r.spelt, option->value);
    }
    return store(&r, max_models);
}

enum sto_status sto_options_parse(const struct sto_option_table *const *tables, size_t max_models, int argc,
                                  char **argv, struct sto_options *options, struct sto_error *err)
{
    bool only_models = false;
    sto_options_defaults(options);
    for (int i = 1; i < argc; i++) {
        enum sto_status status;
        if (!only_models && strcmp(argv[i], "--") == 0) {
            only_models = true;
            continue;
        }
        if (!only_models && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            options->help = true;
            return STO_OK;
        }
        if (only_models || argv[i][0] != '-' || argv[i][1] == '\0')
            status = add_model(options, max_models, argv[i], err);
        else
            status = read_option(tables, max_models, argc, argv, &i, options, err);
        if (status != STO_OK)
            return status;
    }
    return STO_OK;
}

/* ---- what commands make of them --------------------------------------------------------------------------- */

void sto_options_sampling(struct sto_options *options)
{
    struct sto_sampler_params *p = &options->sampling.params;
    p->biases = options->sampling.biases.items;
    p->n_biases = options->sampling.biases.n;
    if (!options->common.seed_set)
        options->common.seed = sto_wall_seed();
    p->seed = options->common.seed;
}

const char *sto_options_device_name(const struct sto_options *options)
{
    const char *name = options->common.device != NULL ? options->common.device : getenv("STRATO_DEVICE");
    return name != NULL && name[0] != '\0' ? name : NULL;
}

void sto_options_device(const struct sto_options *options, struct sto_device_params *params)
{
    *params = (struct sto_device_params){
        .name = sto_options_device_name(options),
        .validation = options->common.validation,
        .subgroup_size = options->common.subgroup_size,
        .no_f16 = options->common.no_f16,
        .no_int_dot = options->common.no_int_dot,
        .no_self_test = options->common.no_self_test,
        .simulation = options->common.sim != NULL ? &options->common.simulation : NULL,
    };
}

void sto_options_engine(const struct sto_options *options, struct sto_engine_params *params)
{
    *params = (struct sto_engine_params){
        .ctx_tokens = options->common.ctx_tokens,
        .ubatch_tokens = options->common.ubatch_tokens,
        .kv_type = options->common.kv_type,
        .kv_type_set = options->common.kv_type_set,
        .math = options->common.math,
        .deterministic = options->common.deterministic,
        .vram_bytes = options->common.vram_bytes,
        .ram_bytes = options->common.ram_bytes,
        .pinned_bytes = options->common.pinned_bytes,
        .ring_slots = options->common.ring,
        .n_threads = options->common.threads,
        .copy = options->common.copy,
        .trace = options->common.trace,
    };
}

/* Number of characters up to the next comma or the end, without blanks at either side of them. */
static size_t trim_item(const char **item)
{
    *item += strspn(*item, " \t\r\n");
    size_t size = strcspn(*item, ",");
    while (size > 0 && strchr(" \t\r\n", (*item)[size - 1]) != NULL)
        size--;
    return size;
}

enum sto_status sto_parse_ids(const char *option, const char *text, uint32_t **ids, size_t *n, struct sto_error *err)
{
    size_t items = 1;
    for (const char *t = text; *t != '\0'; t++)
        items += *t == ',';
    *ids = sto_calloc(items, sizeof **ids);
    *n = 0;
    if (*ids == NULL)
        return sto_fail(err, STO_ERR_FAILED, "%s: no memory for %zu tokens", option, items);
    for (const char *t = text;; t++) {
        char item[16] = "";
        uint64_t id = 0;
        const char *begin = t;
        const size_t size = trim_item(&begin);
        if (size < sizeof item)
            memcpy(item, begin, size);
        if (!parse_u64(item, &id) || id > UINT32_MAX) {
            sto_free(*ids);
            *ids = NULL;
            return sto_fail(err, STO_ERR_USAGE, "%s: '%.*s' (item %zu) is no token id; its range is: 0 to 4294967295",
                            option, (int)(size < 40 ? size : 40), begin, *n + 1);
        }
        (*ids)[(*n)++] = (uint32_t)id;
        t += strcspn(t, ",");
        if (*t == '\0')
            return STO_OK;
    }
}

void sto_option_value(const struct sto_option *option, const struct sto_options *options, char *text, size_t size)
{
    const void *field = (const char *)options + option->offset;
    uint32_t u = 0;
    text[0] = '\0';
    if (!option->show_default)
        return;
    if (option->kind == STO_OPTION_F32) {
        (void)snprintf(text, size, "%g", (double)*(const float *)field);
        return;
    }
    memcpy(&u, field, sizeof u);
    if (option->kind == STO_OPTION_CHOICE) {
        for (const struct sto_choice *c = option->choices; c->name != NULL; c++) {
            if (c->value == u)
                (void)snprintf(text, size, "%s", c->name);
        }
    } else if (option->kind == STO_OPTION_U32_ALL && u == UINT32_MAX) {
        (void)snprintf(text, size, "all");
    } else {
        (void)snprintf(text, size, "%lu", (unsigned long)u);
    }
}

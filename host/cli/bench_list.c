/* Reading lists and ranges of numbers. */
#include "host/cli/bench_list.h"

#include <string.h>

/* What is being read: where it came from, for errors, and what values are allowed. */
struct reading {
    const char *option, *item;
    int item_size; /* bytes of item that errors show */
    uint32_t low, high;
    struct sto_bench_list *list;
    struct sto_error *err;
};

static enum sto_status fail_item(const struct reading *r, const char *why)
{
    return sto_fail(r->err, STO_ERR_USAGE,
                    "%s: '%.*s' %s; its range is: numbers from %u to %u, such as 128 or 128,256 or 0-4096+1024 or "
                    "1-512*2",
                    r->option, r->item_size < 60 ? r->item_size : 60, r->item, why, (unsigned)r->low,
                    (unsigned)r->high);
}

/* Digits at *text, which moves behind them. False: none, or more than 32 bits. */
static bool take_number(const char **text, uint32_t *value)
{
    uint64_t v = 0;
    const char *t = *text;
    if (*t < '0' || *t > '9')
        return false;
    for (; *t >= '0' && *t <= '9'; t++) {
        v = 10 * v + (uint64_t)(*t - '0');
        if (v > UINT32_MAX)
            return false;
    }
    *text = t;
    *value = (uint32_t)v;
    return true;
}

static enum sto_status add(const struct reading *r, uint64_t value)
{
    if (value < r->low || value > r->high)
        return fail_item(r, "is out of range");
    if (r->list->n == STO_MAX_BENCH_VALUES)
        return sto_fail(r->err, STO_ERR_USAGE, "%s: '%.*s' makes more than %d values", r->option,
                        r->item_size < 60 ? r->item_size : 60, r->item, STO_MAX_BENCH_VALUES);
    r->list->values[r->list->n++] = (uint32_t)value;
    return STO_OK;
}

static enum sto_status read_item(const struct reading *r)
{
    const char *at = r->item, *end = r->item + r->item_size;
    uint32_t first = 0, last = 0, step = 1;
    bool multiply = false;
    if (!take_number(&at, &first))
        return fail_item(r, "is no number");
    last = first;
    if (at < end && *at == '-') {
        at++;
        if (!take_number(&at, &last))
            return fail_item(r, "is no range");
        if (at < end && (*at == '+' || *at == '*')) {
            multiply = *at++ == '*';
            if (!take_number(&at, &step))
                return fail_item(r, "is no range");
        }
    }
    if (at != end)
        return fail_item(r, "is no number or range");
    if (last < first)
        return fail_item(r, "ends before it begins");
    if (multiply ? step < 2 || first == 0 : step == 0)
        return fail_item(r, "does not go on");
    for (uint64_t v = first; v <= last; v = multiply ? v * step : v + step) {
        const enum sto_status status = add(r, v);
        if (status != STO_OK)
            return status;
    }
    return STO_OK;
}

enum sto_status sto_bench_list_read(const char *option, const struct sto_text_list *texts, uint32_t low, uint32_t high,
                                    struct sto_bench_list *list, struct sto_error *err)
{
    struct reading r = {.option = option, .low = low, .high = high, .list = list, .err = err};
    for (size_t i = 0; i < texts->n; i++) {
        const char *text = texts->items[i];
        for (;;) {
            const size_t size = strcspn(text, ",");
            r.item = text;
            r.item_size = (int)(size < INT32_MAX ? size : INT32_MAX);
            const enum sto_status status = read_item(&r);
            if (status != STO_OK)
                return status;
            if (text[size] == '\0')
                break;
            text += size + 1;
        }
    }
    return STO_OK;
}

uint32_t sto_bench_list_max(const struct sto_bench_list *list)
{
    uint32_t most = 0;
    for (size_t i = 0; i < list->n; i++)
        most = list->values[i] > most ? list->values[i] : most;
    return most;
}

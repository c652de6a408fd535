/* The table of rates, and their text form. */
#include "runtime/rates.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/cursor.h"
#include "runtime/base/status.h"

#define AT(field) offsetof(struct sto_rates, field)

static const struct sto_rate_info infos[] = {
    {"vram", "GB/s", "the device reads its memory", AT(vram_gb_per_s)},
    {"product", "GB/s", "the device's products of one column", AT(product_gb_per_s)},
    {"compute", "TFLOP/s", "the device's products of many columns", AT(compute_tflop_per_s)},
    {"link", "GB/s", "host to device, from pinned memory", AT(link_gb_per_s)},
    {"link_unpinned", "GB/s", "host to device, from ordinary memory", AT(link_unpinned_gb_per_s)},
    {"link_back", "GB/s", "device to host, into pinned memory", AT(link_back_gb_per_s)},
    {"link_back_unpinned", "GB/s", "device to host, into ordinary memory", AT(link_back_unpinned_gb_per_s)},
    {"dram", "GB/s", "the processor reads its memory", AT(dram_gb_per_s)},
    {"dram_shared", "GB/s", "processor and link together", AT(dram_shared_gb_per_s)},
    {"disk", "GB/s", "a file that is not in memory", AT(disk_gb_per_s)},
    {"cpu", "GB/s", "the processor's products of one column", AT(cpu_gb_per_s)},
    {"cpu_compute", "TFLOP/s", "the processor's products of many columns", AT(cpu_tflop_per_s)},
    {"crossing", "us", "from the device to the processor, or back", AT(crossing_us)},
    {"step", "us", "a step beside its layers", AT(step_us)},
};
enum { N_RATES = sizeof infos / sizeof *infos };

bool sto_rate_at(size_t i, struct sto_rate_info *out)
{
    if (i >= N_RATES)
        return false;
    *out = infos[i];
    return true;
}

double sto_rate_get(const struct sto_rates *rates, size_t i)
{
    double value = 0;
    if (i < N_RATES)
        memcpy(&value, (const char *)rates + infos[i].offset, sizeof value);
    return value;
}

void sto_rate_set(struct sto_rates *rates, size_t i, double value)
{
    if (i < N_RATES)
        memcpy((char *)rates + infos[i].offset, &value, sizeof value);
}

void sto_rates_merge(struct sto_rates *rates, const struct sto_rates *from)
{
    for (size_t i = 0; i < N_RATES; i++) {
        if (sto_rate_get(from, i) > 0)
            sto_rate_set(rates, i, sto_rate_get(from, i));
    }
}

/* ---- text ---- */

/* Digits with at most one point among them, whatever the locale: up to 15 digits, at most 10^6. */
static bool read_value(struct sto_view text, double *out)
{
    double value = 0, unit = 1;
    size_t digits = 0, points = 0;
    for (size_t i = 0; i < text.size; i++) {
        const char c = text.data[i];
        if (c == '.') {
            points++;
        } else if (c >= '0' && c <= '9') {
            digits++;
            value = 10 * value + (c - '0');
            unit *= points > 0 ? 10 : 1;
        } else {
            return false;
        }
    }
    *out = value / unit;
    return digits > 0 && digits <= 15 && points <= 1 && *out <= 1e6;
}

static struct sto_view trim(struct sto_view v)
{
    while (v.size > 0 && (v.data[0] == ' ' || v.data[0] == '\t' || v.data[0] == '\r')) {
        v.data++;
        v.size--;
    }
    while (v.size > 0 && (v.data[v.size - 1] == ' ' || v.data[v.size - 1] == '\t' || v.data[v.size - 1] == '\r'))
        v.size--;
    return v;
}

/* text up to the first `end`, and what follows it in *rest. */
static struct sto_view take_until(struct sto_view text, char end, struct sto_view *rest)
{
    const char *at = text.size > 0 ? memchr(text.data, end, text.size) : NULL;
    const size_t size = at != NULL ? (size_t)(at - text.data) : text.size;
    const size_t taken = size + (at != NULL);
    *rest = (struct sto_view){text.data + taken, text.size - taken};
    return (struct sto_view){text.data, size};
}

/* Bytes of a file or of a command line, as they may stand in an error. */
static const char *printable(struct sto_view v, char *text, size_t size)
{
    size_t n = 0;
    for (; n < v.size && n + 1 < size; n++)
        text[n] = (unsigned char)v.data[n] < 0x20 || (unsigned char)v.data[n] >= 0x7f ? '?' : v.data[n];
    text[n] = '\0';
    return text;
}

struct rates_text {
    const struct sto_number_table *table;
    const char *name;
    unsigned line;
    bool seen[STO_MAX_NUMBERS];
    char *out;
    struct sto_error *err;
};

static enum sto_status refuse_key(const struct rates_text *t, struct sto_view key)
{
    char known[256] = "", text[40];
    for (size_t i = 0; i < t->table->n; i++) {
        const size_t n = strlen(known);
        (void)snprintf(known + n, sizeof known - n, "%s%s", i > 0 ? ", " : "", t->table->infos[i].name);
    }
    return sto_fail(t->err, STO_ERR_USAGE, "%s: line %u: there is no rate '%s': %s", t->name, t->line,
                    printable(key, text, sizeof text), known);
}

static enum sto_status read_item(struct rates_text *t, struct sto_view item)
{
    char text[40];
    struct sto_view rest;
    const struct sto_view key = trim(take_until(item, '=', &rest)), value = trim(rest);
    size_t i = 0;
    double number;
    while (i < t->table->n && !sto_view_equals(key, t->table->infos[i].name))
        i++;
    if (i == t->table->n)
        return refuse_key(t, key);
    const struct sto_rate_info *info = &t->table->infos[i];
    if (t->seen[i])
        return sto_fail(t->err, STO_ERR_USAGE, "%s: line %u: %s comes twice", t->name, t->line, info->name);
    if (!read_value(value, &number))
        return sto_fail(t->err, STO_ERR_USAGE, "%s: line %u: %s: '%s' is no number from 0 to 1000000 (%s)", t->name,
                        t->line, info->name, printable(value, text, sizeof text), info->unit);
    t->seen[i] = true;
    memcpy(t->out + info->offset, &number, sizeof number);
    return STO_OK;
}

enum sto_status sto_numbers_parse(const struct sto_number_table *table, const char *name, const char *text, size_t size,
                                  void *out, struct sto_error *err)
{
    struct rates_text t = {.table = table, .name = name, .out = out, .err = err};
    struct sto_view rest = {text, size}, ignored;
    enum sto_status status = STO_OK;
    memset(out, 0, table->out_bytes);
    if (size > STO_MAX_RATES_BYTES)
        return sto_fail(err, STO_ERR_USAGE, "%s: %zu bytes, at most %d", name, size, (int)STO_MAX_RATES_BYTES);
    while (rest.size > 0 && status == STO_OK) {
        struct sto_view line = take_until(take_until(rest, '\n', &rest), '#', &ignored);
        t.line++;
        while (line.size > 0 && status == STO_OK) {
            const struct sto_view item = trim(take_until(line, ',', &line));
            if (item.size > 0)
                status = read_item(&t, item);
        }
    }
    if (status != STO_OK)
        memset(out, 0, table->out_bytes);
    return status;
}

enum sto_status sto_rates_parse(const char *name, const char *text, size_t size, struct sto_rates *out,
                                struct sto_error *err)
{
    const struct sto_number_table table = {infos, N_RATES, sizeof *out};
    return sto_numbers_parse(&table, name, text, size, out, err);
}

/* Findings as text, and where it is kept.
 *
 *   strato findings 1
 *   key 9c41d2a07be3f518                                       of its owner
 *   device llvmpipe (LLVM 15.0.6, 256 bits)                    for people
 *   tested 1764280000
 *   tuned 1764281000
 *   kernel matvec_q4_k right 34                                error over bound, in thousandths; "nan" is infinite
 *   kernel embed_q4_k wrong nan 9 columns of 768: [0, 3] ...   and why, to the end of the line
 *   slower matmul_f16_q4_k 1310 matmul_q4_k                    time over the rival's, in thousandths
 *   tune matvec_q4_k 1270 32 32 4 8                            gain in thousandths, constants
 *   q8 Q4_K 910 1400                                           few columns, many columns, in thousandths
 *   rate link 13200000                                         in millionths of the units of runtime/rates.h
 *   product Q4_K 241000000 18400000                            one column: GB/s, many: TFLOP/s, in millionths
 *   cpu_product Q4_K 41000000 400000                           likewise on the processor
 *   end
 *
 * Whole numbers alone, so no locale matters. Words are parted by one blank; anything else is damage. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/cursor.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/vk/findings.h"
#include "runtime/vk/tuning_space.h"

static const char title[] = "strato findings 1";

/* ---- reading ---- */

struct reader {
    const char *name;
    struct sto_view rest; /* what follows the line */
    struct sto_view line; /* what is left of it    */
    unsigned number;      /* of the line, from 1   */
    const struct sto_findings_owner *owner;
    struct sto_findings *out;
    struct sto_error *err;
};

static enum sto_status damaged(struct reader *r, const char *what)
{
    return sto_fail(r->err, STO_ERR_FAILED, "%s: line %u: %s", r->name, r->number, what);
}

/* False at the end, and where the last line has none. */
static bool next_line(struct reader *r)
{
    const char *end = r->rest.size > 0 ? memchr(r->rest.data, '\n', r->rest.size) : NULL;
    r->number++;
    if (end == NULL)
        return false;
    r->line = (struct sto_view){r->rest.data, (size_t)(end - r->rest.data)};
    r->rest.data = end + 1;
    r->rest.size -= r->line.size + 1;
    return true;
}

/* The next word of the line; empty at its end. */
static struct sto_view take_word(struct reader *r)
{
    const char *blank = r->line.size > 0 ? memchr(r->line.data, ' ', r->line.size) : NULL;
    const struct sto_view word = {r->line.data, blank != NULL ? (size_t)(blank - r->line.data) : r->line.size};
    const size_t taken = word.size + (blank != NULL);
    r->line.data += taken;
    r->line.size -= taken;
    return word;
}

static bool take_number(struct reader *r, uint64_t most, uint64_t *out)
{
    const struct sto_view word = take_word(r);
    uint64_t v = 0;
    if (word.size == 0 || word.size > 19)
        return false;
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        v = 10 * v + (uint64_t)(word.data[i] - '0');
    }
    *out = v;
    return v <= most;
}

/* A ratio in thousandths, or "nan". */
static bool take_ratio(struct reader *r, double *out)
{
    struct reader ahead = *r;
    uint64_t v = 0;
    if (sto_view_equals(take_word(&ahead), "nan")) {
        *out = INFINITY;
        *r = ahead;
        return true;
    }
    const bool ok = take_number(r, UINT32_MAX, &v);
    *out = (double)v / 1000;
    return ok;
}

static bool take_kernel(struct reader *r, enum sto_kernel *out)
{
    char name[64];
    const struct sto_view word = take_word(r);
    if (word.size >= sizeof name)
        return false;
    (void)snprintf(name, sizeof name, "%.*s", (int)word.size, word.data);
    *out = sto_kernel_by_name(name);
    return *out != STO_KERNEL_COUNT;
}

static enum sto_status read_time(struct reader *r, uint64_t *out)
{
    return take_number(r, INT64_MAX, out) && r->line.size == 0 ? STO_OK : damaged(r, "no time");
}

static enum sto_status read_kernel(struct reader *r)
{
    enum sto_kernel kernel;
    if (!take_kernel(r, &kernel))
        return damaged(r, "no such kernel");
    struct sto_kernel_finding *f = &r->out->kernels[kernel];
    const struct sto_view verdict = take_word(r);
    f->verdict = sto_view_equals(verdict, "right")   ? STO_RIGHT
                 : sto_view_equals(verdict, "wrong") ? STO_WRONG
                                                     : STO_UNTESTED;
    if (f->verdict == STO_UNTESTED || !take_ratio(r, &f->error))
        return damaged(r, "no verdict");
    if (f->verdict == STO_RIGHT)
        return r->line.size == 0 ? STO_OK : damaged(r, "too many words");
    for (size_t i = 0; i < r->line.size; i++) {
        if ((unsigned char)r->line.data[i] < 0x20 || (unsigned char)r->line.data[i] == 0x7f)
            return damaged(r, "no text");
    }
    if (!sto_utf8_valid(r->line.data, r->line.size) || r->line.size >= sizeof f->reason)
        return damaged(r, "no text");
    memcpy(f->reason, r->line.data, r->line.size);
    f->reason[r->line.size] = '\0';
    return STO_OK;
}

static enum sto_status read_slower(struct reader *r)
{
    enum sto_kernel kernel, rival;
    double slowness;
    if (!take_kernel(r, &kernel) || !take_ratio(r, &slowness) || !take_kernel(r, &rival) || r->line.size != 0 ||
        !(slowness > 0))
        return damaged(r, "no comparison of kernels");
    r->out->kernels[kernel].slowness = slowness;
    r->out->kernels[kernel].rival = rival;
    return STO_OK;
}

static enum sto_status read_tune(struct reader *r)
{
    enum sto_kernel kernel;
    double gain;
    if (!take_kernel(r, &kernel) || !take_ratio(r, &gain) || !(gain > 0))
        return damaged(r, "no tuning");
    const struct sto_tuning_input in = {r->owner->snapshot, r->owner->plan, sto_kernel_get(kernel)};
    struct sto_tuning t;
    sto_tuning_make(&in, &t);
    for (uint32_t i = 0; i < t.n_values; i++) {
        uint64_t v;
        if (!take_number(r, UINT32_MAX, &v))
            return damaged(r, "not as many constants as the kernel has");
        t.values[i] = (uint32_t)v;
    }
    if (r->line.size != 0 || !sto_tuning_possible(&in, &t))
        return damaged(r, "constants that the kernel cannot have");
    r->out->kernels[kernel].tuning = t;
    r->out->kernels[kernel].gain = gain;
    return STO_OK;
}

static bool take_type(struct reader *r, uint32_t *type)
{
    const struct sto_view name = take_word(r);
    *type = 0;
    while (*type < STO_TYPE_COUNT && !sto_view_equals(name, sto_type_name((enum sto_type)*type)))
        *type += 1;
    return *type < STO_TYPE_COUNT;
}

/* In millionths, above 0. */
static bool take_rate(struct reader *r, double *out)
{
    uint64_t v = 0;
    const bool ok = take_number(r, UINT64_C(1000000000000), &v);
    *out = (double)v / 1e6;
    return ok && v > 0;
}

static enum sto_status read_rate(struct reader *r)
{
    const struct sto_view name = take_word(r);
    struct sto_rate_info info;
    double value;
    size_t i = 0;
    while (sto_rate_at(i, &info) && !sto_view_equals(name, info.name))
        i++;
    if (!sto_rate_at(i, &info) || !take_rate(r, &value) || r->line.size != 0)
        return damaged(r, "no rate");
    sto_rate_set(&r->out->rates, i, value);
    return STO_OK;
}

static enum sto_status read_product(struct reader *r, bool on_cpu)
{
    uint32_t type = 0;
    double few, many;
    if (!take_type(r, &type) || !take_rate(r, &few) || !take_rate(r, &many) || r->line.size != 0)
        return damaged(r, "no rates of a format");
    if (on_cpu) {
        r->out->cpu_products[type].gb_per_s = few;
        r->out->cpu_products[type].tflop_per_s = many;
    } else {
        r->out->products[type].gb_per_s = few;
        r->out->products[type].tflop_per_s = many;
    }
    return STO_OK;
}

static enum sto_status read_q8(struct reader *r)
{
    uint32_t type = 0;
    if (!take_type(r, &type) || !take_ratio(r, &r->out->q8[type].few) ||
        !take_ratio(r, &r->out->q8[type].many) || r->line.size != 0)
        return damaged(r, "no comparison of formats");
    return STO_OK;
}

static enum sto_status read_line(struct reader *r)
{
    const struct sto_view word = take_word(r);
    if (sto_view_equals(word, "kernel"))
        return read_kernel(r);
    if (sto_view_equals(word, "slower"))
        return read_slower(r);
    if (sto_view_equals(word, "tune"))
        return read_tune(r);
    if (sto_view_equals(word, "q8"))
        return read_q8(r);
    if (sto_view_equals(word, "rate"))
        return read_rate(r);
    if (sto_view_equals(word, "product") || sto_view_equals(word, "cpu_product"))
        return read_product(r, sto_view_equals(word, "cpu_product"));
    if (sto_view_equals(word, "tested"))
        return read_time(r, &r->out->tested_at);
    if (sto_view_equals(word, "tuned"))
        return read_time(r, &r->out->tuned_at);
    return sto_view_equals(word, "device") ? STO_OK : damaged(r, "not a line of findings");
}

static enum sto_status read_all(struct reader *r)
{
    char key[32];
    (void)snprintf(key, sizeof key, "key %016" PRIx64, r->owner->key);
    if (!next_line(r) || !sto_view_equals(r->line, title))
        return damaged(r, "not a file of findings");
    if (!next_line(r) || r->line.size != strlen(key) || memcmp(r->line.data, "key ", 4) != 0)
        return damaged(r, "no key");
    if (!sto_view_equals(r->line, key))
        return sto_fail(r->err, STO_ERR_USAGE, "%s: of another driver or another build of strato", r->name);
    while (next_line(r)) {
        if (sto_view_equals(r->line, "end"))
            return r->rest.size == 0 ? STO_OK : damaged(r, "more behind the end");
        const enum sto_status status = read_line(r);
        if (status != STO_OK)
            return status;
    }
    return damaged(r, "no end");
}

enum sto_status sto_findings_parse(const char *name, const char *text, size_t size,
                                   const struct sto_findings_owner *owner, struct sto_findings *out,
                                   struct sto_error *err)
{
    struct reader r = {.name = name, .rest = {text, size}, .owner = owner, .out = out, .err = err};
    memset(out, 0, sizeof *out);
    const enum sto_status status = read_all(&r);
    if (status != STO_OK)
        memset(out, 0, sizeof *out);
    return status;
}

/* ---- writing ---- */

struct writer {
    char *text;
    size_t size, used; /* used: what it would need */
};

static void put(struct writer *w, const char *format, ...) STO_PRINTF(2, 3);

static void put(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const size_t left = w->used < w->size ? w->size - w->used : 0;
    const int n = vsnprintf(left > 0 ? w->text + w->used : NULL, left, format, args);
    va_end(args);
    w->used += n > 0 ? (size_t)n : 0;
}

static void put_ratio(struct writer *w, double ratio)
{
    if (ratio * 1000 < (double)UINT32_MAX)
        put(w, " %" PRIu64, (uint64_t)(ratio * 1000 + 0.5));
    else
        put(w, " nan");
}

/* Above 0 stays above 0: 0 stands for "not known". */
static double known(double ratio)
{
    return ratio > 0 && ratio < 0.001 ? 0.001 : ratio;
}

static void put_rate(struct writer *w, double rate)
{
    put(w, " %" PRIu64, rate < 1e6 ? (uint64_t)(rate * 1e6 + 0.5) : UINT64_C(1000000000000));
}

static void put_product(struct writer *w, const char *word, uint32_t type, double few, double many)
{
    if (few < 1e-6 || many < 1e-6)
        return;
    put(w, "%s %s", word, sto_type_name((enum sto_type)type));
    put_rate(w, few);
    put_rate(w, many);
    put(w, "\n");
}

static void put_rates(struct writer *w, const struct sto_findings *f)
{
    struct sto_rate_info info;
    for (size_t i = 0; sto_rate_at(i, &info); i++) {
        if (sto_rate_get(&f->rates, i) >= 1e-6) {
            put(w, "rate %s", info.name);
            put_rate(w, sto_rate_get(&f->rates, i));
            put(w, "\n");
        }
    }
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++) {
        put_product(w, "product", t, f->products[t].gb_per_s, f->products[t].tflop_per_s);
        put_product(w, "cpu_product", t, f->cpu_products[t].gb_per_s, f->cpu_products[t].tflop_per_s);
    }
}

static void put_kernel(struct writer *w, enum sto_kernel kernel, const struct sto_kernel_finding *f)
{
    const char *name = sto_kernel_get(kernel)->name;
    if (f->verdict != STO_UNTESTED) {
        put(w, "kernel %s %s", name, f->verdict == STO_RIGHT ? "right" : "wrong");
        put_ratio(w, f->error);
        put(w, f->verdict == STO_WRONG && f->reason[0] != '\0' ? " %s\n" : "\n", f->reason);
    }
    if (f->slowness > 0) {
        put(w, "slower %s", name);
        put_ratio(w, known(f->slowness));
        put(w, " %s\n", sto_kernel_get(f->rival)->name);
    }
    if (f->gain > 0) {
        put(w, "tune %s", name);
        put_ratio(w, known(f->gain));
        for (uint32_t i = 0; i < f->tuning.n_values; i++)
            put(w, " %" PRIu32, f->tuning.values[i]);
        put(w, "\n");
    }
}

size_t sto_findings_print(const struct sto_findings *f, const struct sto_findings_owner *owner, char *text,
                          size_t size)
{
    struct writer w = {.text = text, .size = size};
    put(&w, "%s\nkey %016" PRIx64 "\ndevice ", title, owner->key);
    for (const char *c = owner->snapshot->name; *c != '\0'; c++)
        put(&w, "%c", (unsigned char)*c < 0x20 ? ' ' : *c);
    put(&w, "\n");
    if (f->tested_at != 0)
        put(&w, "tested %" PRIu64 "\n", f->tested_at);
    if (f->tuned_at != 0)
        put(&w, "tuned %" PRIu64 "\n", f->tuned_at);
    for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++)
        put_kernel(&w, (enum sto_kernel)k, &f->kernels[k]);
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++) {
        if (f->q8[t].few > 0 || f->q8[t].many > 0) {
            put(&w, "q8 %s", sto_type_name((enum sto_type)t));
            put_ratio(&w, known(f->q8[t].few));
            put_ratio(&w, known(f->q8[t].many));
            put(&w, "\n");
        }
    }
    put_rates(&w, f);
    put(&w, "end\n");
    return w.used;
}

/* ---- the file ---- */

void sto_findings_path(const struct sto_device_snapshot *s, const struct sto_device_plan *plan, const char *cache_dir,
                       char *path, size_t size)
{
    char folder[512];
    if (cache_dir != NULL)
        (void)snprintf(folder, sizeof folder, "%s", cache_dir);
    else
        sto_cache_dir(folder, sizeof folder);
    path[0] = '\0';
    if (folder[0] == '\0')
        return;
    const int n = snprintf(path, size, "%s/findings-%04x-%04x-%u-%u.txt", folder, (unsigned)s->vendor_id,
                           (unsigned)s->device_id, (unsigned)s->driver_id, (unsigned)plan->subgroup_size);
    if (n < 0 || (size_t)n >= size)
        path[0] = '\0';
}

void sto_findings_load(const struct sto_device_snapshot *snapshot, const struct sto_device_plan *plan,
                       const char *cache_dir, const struct sto_callbacks *callbacks, struct sto_findings *out)
{
    char path[1024], *text = NULL;
    size_t size = 0;
    struct sto_error err;
    memset(out, 0, sizeof *out);
    sto_findings_path(snapshot, plan, cache_dir, path, sizeof path);
    if (path[0] == '\0' || !sto_file_exists(path))
        return;
    enum sto_status status = sto_file_read(path, STO_MAX_FINDINGS_BYTES, &text, &size, &err);
    if (status == STO_OK) {
        const struct sto_findings_owner owner = sto_findings_owner(snapshot, plan);
        status = sto_findings_parse(path, text, size, &owner, out, &err);
    }
    if (status == STO_ERR_USAGE)
        sto_log(callbacks, STO_LOG_WARNING, "%s: kernels are tested anew, and untuned", err.message);
    else if (status != STO_OK)
        sto_log(callbacks, STO_LOG_WARNING, "%s: what was found out about this device is not used", err.message);
    sto_free(text);
}

enum sto_status sto_findings_save(const struct sto_findings *findings, const struct sto_device_snapshot *snapshot,
                                  const struct sto_device_plan *plan, const char *cache_dir, struct sto_error *err)
{
    char path[1024], folder[1024];
    sto_findings_path(snapshot, plan, cache_dir, path, sizeof path);
    if (path[0] == '\0')
        return STO_OK;
    const struct sto_findings_owner owner = sto_findings_owner(snapshot, plan);
    const size_t size = sto_findings_print(findings, &owner, NULL, 0);
    char *text = sto_calloc(size + 1, 1);
    if (text == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for what was found out about the device");
    (void)sto_findings_print(findings, &owner, text, size + 1);
    (void)snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    enum sto_status status = sto_make_dirs(folder, err);
    if (status == STO_OK)
        status = sto_file_write_atomic(path, text, size, err);
    sto_free(text);
    return status;
}

/* Lines to jobs. */
#include "host/batch_file.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

#include "host/json.h"
#include "runtime/base/cursor.h"
#include "runtime/base/hash.h"
#include "runtime/base/status.h"

struct reading {
    const char *name;
    size_t number; /* of the line */
    const struct sto_batch_job *defaults;
    struct sto_batch_file *file;
    struct sto_object *ids; /* line numbers by id */
    struct sto_error *err;
};

/* "a.jsonl:3: " and what is wrong. */
static enum sto_status wrong(const struct reading *r, const char *what)
{
    return sto_fail(r->err, STO_ERR_USAGE, "%s:%zu: %s", r->name, r->number, what);
}

static enum sto_status wrong_value(const struct reading *r, const char *key, const char *wanted)
{
    return sto_fail(r->err, STO_ERR_USAGE, "%s:%zu: \"%s\" is not %s", r->name, r->number, key, wanted);
}

static enum sto_status no_memory(const struct reading *r)
{
    return sto_fail(r->err, STO_ERR_NO_FIT, "%s:%zu: no memory for so many prompts", r->name, r->number);
}

/* ---- hashes and seeds ---- */

/* With its size, so that neighbours do not run into each other; an absent text differs from an empty one. */
static uint64_t hash_text(uint64_t hash, const char *text, size_t size)
{
    const uint64_t length = text != NULL ? size : UINT64_MAX;
    hash = sto_hash_bytes(hash, &length, sizeof length);
    return text != NULL ? sto_hash_bytes(hash, text, size) : hash;
}

static uint64_t hash_sampling(uint64_t hash, const struct sto_sampler_params *p)
{
    const float reals[] = {p->temperature, p->top_p, p->min_p, p->typical_p, p->repeat_penalty, p->frequency_penalty,
                           p->presence_penalty, p->dry_multiplier, p->dry_base, p->xtc_probability, p->xtc_threshold,
                           p->mirostat_tau, p->mirostat_eta};
    const uint32_t wholes[] = {p->top_k, p->penalty_last_n, p->dry_allowed_length, p->dry_last_n, p->mirostat};
    hash = sto_hash_bytes(hash, &p->seed, sizeof p->seed);
    hash = sto_hash_bytes(hash, reals, sizeof reals);
    hash = sto_hash_bytes(hash, wholes, sizeof wholes);
    hash = sto_hash_bytes(hash, p->dry_breakers, p->n_dry_breakers * sizeof *p->dry_breakers);
    for (size_t i = 0; i < p->n_biases; i++) {
        hash = sto_hash_bytes(hash, &p->biases[i].token, sizeof p->biases[i].token);
        hash = sto_hash_bytes(hash, &p->biases[i].bias, sizeof p->biases[i].bias);
    }
    return hash;
}

static uint64_t hash_job(const struct sto_batch_job *j)
{
    const uint32_t wholes[] = {j->raw, j->ignore_end, j->max_tokens, (uint32_t)j->thinking};
    uint64_t hash = sto_hash_bytes(STO_HASH_BASIS, wholes, sizeof wholes);
    hash = hash_text(hash, j->prompt, j->prompt_size);
    hash = hash_text(hash, j->messages, j->messages_size);
    hash = hash_text(hash, j->system, j->system_size);
    for (size_t i = 0; i < j->n_stops; i++)
        hash = hash_text(hash, j->stops[i], strlen(j->stops[i]));
    return hash_sampling(hash, &j->sampling);
}

static uint64_t line_seed(uint64_t seed, const struct sto_batch_line *line, uint64_t index)
{
    const uint64_t hash = line->id != NULL ? sto_hash_bytes(STO_HASH_BASIS, line->id, line->id_size)
                                           : sto_hash_bytes(STO_HASH_BASIS, &index, sizeof index);
    return sto_hash_mix(seed + sto_hash_mix(hash)) >> 1; /* a whole number that JSON readers take */
}

/* ---- values ---- */

static enum sto_status read_text(const struct reading *r, const char *key, struct sto_value v, const char **text,
                                 size_t *size)
{
    if (v.kind == STO_VALUE_UNDEFINED)
        return STO_OK;
    if (v.kind != STO_VALUE_TEXT)
        return wrong_value(r, key, "text");
    *text = sto_arena_strndup(&r->file->arena, v.text->data, v.text->size);
    *size = v.text->size;
    return *text != NULL ? STO_OK : no_memory(r);
}

static enum sto_status read_whole(const struct reading *r, const char *key, struct sto_value v, uint32_t low,
                                  uint32_t *out)
{
    char wanted[64];
    if (v.kind == STO_VALUE_UNDEFINED)
        return STO_OK;
    (void)snprintf(wanted, sizeof wanted, "a whole number from %u to 4294967295", (unsigned)low);
    if (v.kind != STO_VALUE_INT || v.integer < (int64_t)low || v.integer > (int64_t)UINT32_MAX)
        return wrong_value(r, key, wanted);
    *out = (uint32_t)v.integer;
    return STO_OK;
}

struct real {
    const char *key, *wanted;
    double low, high;
    bool open_low, open_high;
};

static enum sto_status read_real(const struct reading *r, const struct real *how, struct sto_value v, float *out)
{
    const double x = v.kind == STO_VALUE_INT ? (double)v.integer : v.kind == STO_VALUE_FLOAT ? v.number : -1;
    if (v.kind == STO_VALUE_UNDEFINED)
        return STO_OK;
    const float stored = x >= -1 && x <= (double)FLT_MAX ? (float)x : -1; /* what counts is the value as stored */
    const bool above = how->open_low ? (double)stored > how->low : (double)stored >= how->low;
    const bool below = how->open_high ? (double)stored < how->high : (double)stored <= how->high;
    if (!above || !below)
        return wrong_value(r, how->key, how->wanted);
    *out = stored;
    return STO_OK;
}

/* A text or a list of texts. */
static enum sto_status read_stops(const struct reading *r, struct sto_value v, struct sto_batch_job *job)
{
    static const char wanted[] = "a text, or a list of up to 64, none empty or with a NUL in it";
    const bool list = v.kind == STO_VALUE_LIST;
    const size_t n = list ? v.list->n : 1;
    if (v.kind == STO_VALUE_UNDEFINED)
        return STO_OK;
    if (n > STO_BATCH_MAX_STOPS)
        return wrong_value(r, "stop", wanted);
    const char **stops = sto_arena_alloc(&r->file->arena, n + 1, sizeof *stops);
    if (stops == NULL)
        return no_memory(r);
    for (size_t i = 0; i < n; i++) {
        size_t size = 0;
        const enum sto_status status = read_text(r, "stop", list ? v.list->items[i] : v, &stops[i], &size);
        if (status != STO_OK)
            return status;
        if (size == 0 || strlen(stops[i]) != size)
            return wrong_value(r, "stop", wanted);
    }
    job->stops = stops;
    job->n_stops = n;
    return STO_OK;
}

/* A list, kept as JSON text. */
static enum sto_status read_messages(const struct reading *r, struct sto_value v, struct sto_batch_job *job)
{
    struct sto_json_text text = {0};
    if (v.kind == STO_VALUE_UNDEFINED)
        return STO_OK;
    if (v.kind != STO_VALUE_LIST || v.list->n == 0)
        return wrong_value(r, "messages", "a list of one message or more");
    enum sto_status status = sto_json_write(&text, v, NULL, r->err);
    if (status == STO_OK) {
        job->messages = sto_arena_strndup(&r->file->arena, text.data, text.size);
        job->messages_size = text.size;
        status = job->messages != NULL ? STO_OK : no_memory(r);
    }
    sto_free(text.data);
    return status;
}

static enum sto_status read_sampling(const struct reading *r, struct sto_value line, struct sto_sampler_params *p,
                                     bool *has_seed)
{
    static const struct real temperature = {"temperature", "a number from 0", 0, FLT_MAX, false, false},
                             top_p = {"top_p", "a number above 0, at most 1", 0, 1, true, false},
                             min_p = {"min_p", "a number from 0, below 1", 0, 1, false, true};
    const struct sto_value seed = sto_value_get(line, "seed");
    enum sto_status status = read_real(r, &temperature, sto_value_get(line, "temperature"), &p->temperature);
    if (status == STO_OK)
        status = read_real(r, &top_p, sto_value_get(line, "top_p"), &p->top_p);
    if (status == STO_OK)
        status = read_real(r, &min_p, sto_value_get(line, "min_p"), &p->min_p);
    if (status == STO_OK)
        status = read_whole(r, "top_k", sto_value_get(line, "top_k"), 0, &p->top_k);
    if (status != STO_OK || seed.kind == STO_VALUE_UNDEFINED)
        return status;
    if (seed.kind != STO_VALUE_INT || seed.integer < 0)
        return wrong_value(r, "seed", "a whole number from 0 to 9223372036854775807");
    p->seed = (uint64_t)seed.integer;
    *has_seed = true;
    return STO_OK;
}

/* ---- lines ---- */

static enum sto_status read_id(const struct reading *r, struct sto_value v, struct sto_batch_line *line)
{
    char digits[32];
    if (v.kind == STO_VALUE_UNDEFINED)
        return STO_OK;
    if (v.kind != STO_VALUE_INT && (v.kind != STO_VALUE_TEXT || v.text->size > STO_BATCH_MAX_ID_BYTES))
        return wrong_value(r, "id", "text of at most 1,024 bytes, or a whole number");
    line->id_is_number = v.kind == STO_VALUE_INT;
    if (line->id_is_number)
        (void)snprintf(digits, sizeof digits, "%lld", (long long)v.integer);
    line->id_size = line->id_is_number ? strlen(digits) : v.text->size;
    line->id = sto_arena_strndup(&r->file->arena, line->id_is_number ? digits : v.text->data, line->id_size);
    if (line->id == NULL)
        return no_memory(r);
    const struct sto_value *before = sto_object_find(r->ids, line->id, line->id_size);
    if (before != NULL)
        return sto_fail(r->err, STO_ERR_USAGE, "%s:%zu: id '%s' stands in line %lld already", r->name, r->number,
                        line->id, (long long)before->integer);
    const struct sto_value key = sto_value_text(&r->file->arena, line->id, line->id_size);
    if (key.kind == STO_VALUE_UNDEFINED || !sto_object_set_text(&r->file->arena, r->ids, key.text,
                                                                sto_value_int((int64_t)r->number)))
        return no_memory(r);
    return STO_OK;
}

static enum sto_status check_keys(const struct reading *r, const struct sto_object *object)
{
    static const char *const known[] = {"id",          "prompt", "messages", "system", "max_tokens", "stop", "raw",
                                        "temperature", "top_k",  "top_p",    "min_p",  "seed"};
    for (size_t i = 0; i < object->n; i++) {
        const struct sto_text *key = object->fields[i].key;
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known && !found; k++)
            found = strlen(known[k]) == key->size && memcmp(known[k], key->data, key->size) == 0;
        if (!found)
            return sto_fail(r->err, STO_ERR_USAGE,
                            "%s:%zu: unknown key \"%.*s\"; there are id, prompt, messages, system, max_tokens, stop, "
                            "raw, temperature, top_k, top_p, min_p and seed",
                            r->name, r->number, (int)(key->size < 64 ? key->size : 64), key->data);
    }
    return STO_OK;
}

static enum sto_status read_object(const struct reading *r, struct sto_value object, struct sto_batch_line *line,
                                   bool *has_seed)
{
    struct sto_batch_job *job = &line->job;
    const struct sto_value raw = sto_value_get(object, "raw");
    if (object.kind != STO_VALUE_OBJECT)
        return wrong(r, "not a JSON object");
    enum sto_status status = check_keys(r, object.object);
    if (status == STO_OK && raw.kind != STO_VALUE_UNDEFINED && raw.kind != STO_VALUE_BOOL)
        status = wrong_value(r, "raw", "true or false");
    if (status == STO_OK && raw.kind == STO_VALUE_BOOL)
        job->raw = raw.boolean;
    if (status == STO_OK)
        status = read_id(r, sto_value_get(object, "id"), line);
    if (status == STO_OK)
        status = read_text(r, "prompt", sto_value_get(object, "prompt"), &job->prompt, &job->prompt_size);
    if (status == STO_OK)
        status = read_messages(r, sto_value_get(object, "messages"), job);
    if (status == STO_OK && (job->prompt == NULL) == (job->messages == NULL))
        status = wrong(r, job->prompt == NULL ? "neither \"prompt\" nor \"messages\""
                                              : "\"prompt\" and \"messages\", where one is enough");
    if (status == STO_OK)
        status = read_text(r, "system", sto_value_get(object, "system"), &job->system, &job->system_size);
    if (status == STO_OK)
        status = read_whole(r, "max_tokens", sto_value_get(object, "max_tokens"), 1, &job->max_tokens);
    if (status == STO_OK)
        status = read_stops(r, sto_value_get(object, "stop"), job);
    return status == STO_OK ? read_sampling(r, object, &job->sampling, has_seed) : status;
}

static enum sto_status read_json_line(const struct reading *r, const char *text, size_t size,
                                      struct sto_batch_line *line, bool *has_seed)
{
    struct sto_arena arena = {0};
    struct sto_value object;
    struct sto_error why;
    enum sto_status status = sto_json_read(&arena, text, size, &object, &why);
    if (status != STO_OK)
        status = sto_fail(r->err, status, "%s:%zu: %s", r->name, r->number, why.message);
    else
        status = read_object(r, object, line, has_seed);
    sto_arena_free(&arena);
    return status;
}

static struct sto_batch_line *new_line(struct sto_batch_file *f)
{
    if (f->n == f->capacity) {
        const size_t capacity = 2 * f->capacity + 64;
        struct sto_batch_line *grown = sto_realloc(f->lines, capacity, sizeof *grown);
        if (grown == NULL)
            return NULL;
        f->lines = grown;
        f->capacity = capacity;
    }
    return &f->lines[f->n];
}

static enum sto_status read_line(const struct reading *r, const char *text, size_t size)
{
    struct sto_batch_file *f = r->file;
    bool has_seed = false;
    enum sto_status status = STO_OK;
    if (size > STO_BATCH_MAX_LINE_BYTES)
        return wrong(r, "longer than 16 MiB");
    if (memchr(text, '\0', size) != NULL)
        return wrong(r, "a NUL byte: this is no text");
    if (!sto_utf8_valid(text, size))
        return wrong(r, "not UTF-8");
    if (f->n == STO_BATCH_MAX_PROMPTS)
        return wrong(r, "more than 16,777,216 prompts");
    struct sto_batch_line *line = new_line(f);
    if (line == NULL)
        return no_memory(r);
    *line = (struct sto_batch_line){.number = r->number, .job = *r->defaults};
    if (f->json) {
        status = read_json_line(r, text, size, line, &has_seed);
    } else {
        line->job.prompt = text;
        line->job.prompt_size = size;
    }
    if (status != STO_OK)
        return status;
    if (!has_seed)
        line->job.sampling.seed = line_seed(r->defaults->sampling.seed, line, f->n);
    line->hash = hash_job(&line->job);
    f->n++;
    return STO_OK;
}

/* ---- files ---- */

static bool ends_with(const char *name, const char *ending)
{
    const size_t n = strlen(name), e = strlen(ending);
    return n >= e && memcmp(name + n - e, ending, e) == 0;
}

static bool is_blank(const char *text, size_t size)
{
    size_t i = 0;
    while (i < size && memchr(" \t\r", text[i], 3) != NULL)
        i++;
    return i == size;
}

static bool is_json(const char *name, const char *text, size_t size)
{
    size_t i = 0;
    if (ends_with(name, ".jsonl") || ends_with(name, ".ndjson"))
        return true;
    while (i < size && memchr(" \t\r\n", text[i], 4) != NULL)
        i++;
    return !ends_with(name, ".txt") && i < size && text[i] == '{';
}

enum sto_status sto_batch_file_read(const char *name, const char *text, size_t size,
                                    const struct sto_batch_job *defaults, struct sto_batch_file *out,
                                    struct sto_error *err)
{
    *out = (struct sto_batch_file){0};
    struct reading r = {.name = name, .defaults = defaults, .file = out, .err = err,
                        .ids = sto_object_create(&out->arena)};
    enum sto_status status = r.ids != NULL ? STO_OK : no_memory(&r);
    if (status == STO_OK && size > STO_BATCH_MAX_FILE_BYTES)
        status = sto_fail(err, STO_ERR_USAGE, "%s: larger than 1 GiB; cut it into pieces", name);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        size -= 3;
    }
    out->json = is_json(name, text, size);
    for (size_t at = 0; at < size && status == STO_OK;) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t whole = end != NULL ? (size_t)(end - (text + at)) : size - at;
        const size_t cut = whole > 0 && text[at + whole - 1] == '\r' ? whole - 1 : whole;
        r.number++;
        if (!is_blank(text + at, cut))
            status = read_line(&r, text + at, cut);
        at += whole + 1;
    }
    if (status == STO_OK && out->n == 0)
        status = sto_fail(err, STO_ERR_USAGE, "%s: there is no prompt in it", name);
    return status;
}

void sto_batch_file_free(struct sto_batch_file *file)
{
    sto_arena_free(&file->arena);
    sto_free(file->lines);
    *file = (struct sto_batch_file){0};
}

/* Writing results, and reading them again. */
#include "host/cli/batch_output.h"

#include <errno.h>
#include <string.h>

#include "host/json.h"
#include "runtime/base/hash.h"
#include "runtime/base/os.h"
#include "runtime/base/status.h"

enum { KEY_CHARS = 16 };
static const uint64_t SYNC_NS = 1000 * 1000 * 1000;

/* ---- keys ---- */

/* Of a prompt: 16 hexadecimal digits. */
static void key_of(const struct sto_batch_output *out, size_t job, char key[KEY_CHARS + 1])
{
    const struct sto_batch_line *line = &out->jobs->lines[job];
    uint64_t hash = sto_hash_bytes(STO_HASH_BASIS, &out->settings, sizeof out->settings);
    hash = sto_hash_bytes(hash, &line->hash, sizeof line->hash);
    hash = sto_hash_bytes(hash, line->id, line->id_size);
    (void)snprintf(key, KEY_CHARS + 1, "%016llx", (unsigned long long)hash);
}

/* ---- reading ---- */

/* One whole line of a file that is taken up again. */
static enum sto_status take_line(struct sto_batch_output *out, const char *text, size_t size, size_t number,
                                 struct sto_error *err)
{
    struct sto_arena arena = {0};
    struct sto_value v;
    char key[KEY_CHARS + 1];
    enum sto_status status = sto_json_read(&arena, text, size, &v, NULL);
    const struct sto_value index = sto_value_get(status == STO_OK ? v : sto_value_null(), "index");
    if (status != STO_OK || index.kind != STO_VALUE_INT || sto_value_get(v, "key").kind != STO_VALUE_TEXT) {
        status = sto_fail(err, STO_ERR_USAGE, "%s:%zu: no result of strato run --batch-file", out->name, number);
    } else if (index.integer < 0 || (uint64_t)index.integer >= out->jobs->n) {
        status = sto_fail(err, STO_ERR_USAGE, "%s:%zu: the result of prompt %lld, but there are %zu", out->name, number,
                          (long long)index.integer, out->jobs->n);
    } else if (out->done[index.integer]) {
        status = sto_fail(err, STO_ERR_USAGE, "%s:%zu: prompt %lld has a result already", out->name, number,
                          (long long)index.integer);
    } else {
        key_of(out, (size_t)index.integer, key);
        if (!sto_value_is_text(sto_value_get(v, "key"), key))
            status = sto_fail(err, STO_ERR_USAGE,
                              "%s:%zu: a result of another prompt, model or setting than line %zu of the prompts now; "
                              "--resume needs the same, another --batch-out begins anew",
                              out->name, number, out->jobs->lines[index.integer].number);
        out->done[index.integer] = true;
        out->n_done++;
        out->n_failed += sto_value_get(v, "error").kind != STO_VALUE_UNDEFINED;
    }
    sto_arena_free(&arena);
    return status;
}

/* Takes up what is there; *keep gets the bytes of all whole lines. */
static enum sto_status read_results(struct sto_batch_output *out, uint64_t *keep, struct sto_error *err)
{
    struct sto_map map;
    size_t number = 0;
    enum sto_status status = sto_map_open(out->name, &map, err);
    if (status != STO_OK)
        return status;
    for (uint64_t at = 0; at < map.size && status == STO_OK;) {
        const char *text = (const char *)map.data + at;
        const char *end = memchr(text, '\n', (size_t)(map.size - at));
        if (end == NULL)
            break; /* torn */
        status = take_line(out, text, (size_t)(end - text), ++number, err);
        at += (uint64_t)(end - text) + 1;
        *keep = at;
    }
    sto_map_close(&map);
    return status;
}

enum sto_status sto_batch_output_open(struct sto_batch_output *out, const char *path, bool resume,
                                      struct sto_error *err)
{
    uint64_t keep = 0;
    enum sto_status status = STO_OK;
    out->name = path != NULL ? path : "standard output";
    out->done = sto_calloc(out->jobs->n, sizeof *out->done);
    if (out->done == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %zu prompts", out->jobs->n);
    if (path == NULL) {
        out->file = stdout;
        return STO_OK;
    }
    const bool there = sto_file_exists(path);
    if (there && !resume)
        return sto_fail(err, STO_ERR_USAGE, "%s: is there already; --resume goes on with it, another name begins anew",
                        path);
    if (there)
        status = read_results(out, &keep, err);
    if (status != STO_OK)
        return status;
    out->file = sto_file_append(path, keep, err);
    out->synced_ns = sto_now_ns();
    return out->file != NULL ? STO_OK : STO_ERR_FAILED;
}

/* ---- writing ---- */

/* An object in an arena, and whether memory has lasted. */
struct object {
    struct sto_arena arena;
    struct sto_object *object;
    bool ok;
};

static void add(struct object *o, const char *key, struct sto_value v)
{
    o->ok = o->ok && v.kind != STO_VALUE_UNDEFINED && sto_object_set(&o->arena, o->object, key, v);
}

static void add_ids(struct object *o, const char *key, const uint32_t *ids, size_t n)
{
    struct sto_list *list = sto_list_create(&o->arena);
    o->ok = o->ok && list != NULL;
    for (size_t i = 0; i < n && o->ok; i++)
        o->ok = sto_list_add(&o->arena, list, sto_value_int(ids[i]));
    if (o->ok)
        add(o, key, sto_value_of_list(list));
}

static void fill(const struct sto_batch_output *out, const struct sto_batch_result *r, struct object *o)
{
    const struct sto_batch_line *line = &out->jobs->lines[r->job];
    struct sto_value number;
    char key[KEY_CHARS + 1];
    add(o, "index", sto_value_int((int64_t)r->job));
    if (line->id != NULL && line->id_is_number && sto_number_read(line->id, line->id_size, &number) == line->id_size)
        add(o, "id", number);
    else if (line->id != NULL)
        add(o, "id", sto_value_text(&o->arena, line->id, line->id_size));
    if (r->status != STO_OK) {
        add(o, "error", sto_value_string(&o->arena, r->error));
    } else {
        add(o, "text", sto_value_text(&o->arena, r->text, r->text_size));
        add(o, "stop", sto_value_string(&o->arena, sto_stop_name(r->stop)));
        add(o, "n_prompt_tokens", sto_value_int((int64_t)r->n_prompt_tokens));
        add(o, "n_tokens", sto_value_int((int64_t)r->n_tokens));
        add(o, "seed", sto_value_int((int64_t)line->job.sampling.seed));
        if (out->ids) {
            add_ids(o, "prompt_tokens", r->prompt_tokens, r->n_prompt_tokens);
            add_ids(o, "tokens", r->tokens, r->n_tokens);
        }
    }
    key_of(out, r->job, key);
    add(o, "key", sto_value_string(&o->arena, key));
}

static enum sto_status cannot_write(const struct sto_batch_output *out, struct sto_error *err)
{
    return sto_fail(err, STO_ERR_FAILED, "cannot write to %s: %s", out->name, strerror(errno));
}

enum sto_status sto_batch_output_add(struct sto_batch_output *out, const struct sto_batch_result *result,
                                     struct sto_error *err)
{
    struct object o = {.ok = true};
    struct sto_json_text text = {0};
    o.object = sto_object_create(&o.arena);
    o.ok = o.object != NULL;
    fill(out, result, &o);
    enum sto_status status = o.ok ? sto_json_write(&text, sto_value_of_object(o.object), NULL, err)
                                  : sto_fail(err, STO_ERR_NO_FIT, "no memory for a result");
    sto_arena_free(&o.arena);
    if (status == STO_OK) {
        const uint64_t now = sto_now_ns();
        const bool to_disk = out->file != stdout && now - out->synced_ns >= SYNC_NS;
        text.data[text.size] = '\n'; /* in place of the NUL */
        if (fwrite(text.data, 1, text.size + 1, out->file) != text.size + 1 || !sto_file_flush(out->file, to_disk))
            status = cannot_write(out, err);
        if (to_disk)
            out->synced_ns = now;
    }
    sto_free(text.data);
    return status;
}

enum sto_status sto_batch_output_close(struct sto_batch_output *out, enum sto_status status, struct sto_error *err)
{
    if (out->file != NULL && out->file != stdout) {
        if (!sto_file_flush(out->file, true) && status == STO_OK)
            status = cannot_write(out, err);
        if (fclose(out->file) != 0 && status == STO_OK)
            status = cannot_write(out, err);
    }
    out->file = NULL;
    sto_free(out->done);
    out->done = NULL;
    return status;
}

/* Opens GGUF files: maps them, reads their headers, joins the shards of a split one, and indexes the names.
 *
 *   path -> map -> header (in memory) -> parse -> layout check ─┐
 *           ... the same for every other shard ─────────────────┴-> one list of tensors -> indexes */
#include "models/gguf_impl.h"
#include "runtime/base/mem.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_READ_BYTES = 1 << 20 }; /* doubled until the header fits: small files cost little, 8B ones four reads */

struct shard {
    struct sto_map map;
    bool owns_map;
    char *header_bytes; /* what values and names point into; NULL for bytes in memory */
    struct sto_gguf_header header;
};

struct sto_gguf {
    char *path;
    uint32_t n_shards;
    struct shard *shards;            /* [n_shards]; metadata is that of the first */
    size_t n_tensors;
    struct sto_gguf_tensor *tensors; /* [n_tensors] of all shards; the only shard's own list when there is one */
    bool owns_tensors;
    struct sto_gguf_index keys, names;
    uint64_t file_bytes;
    bool has_data, header_only;
};

/* ---- one file ---- */

static void shard_close(struct shard *s)
{
    sto_gguf_header_free(&s->header);
    sto_free(s->header_bytes);
    if (s->owns_map)
        sto_map_close(&s->map);
}

/* Reads through the file and not through the map: a file that shrinks is then an error and no SIGBUS. */
static enum sto_status shard_read_header(struct shard *s, const char *path, struct sto_error *err)
{
    size_t have = 0;
    for (uint64_t want = FIRST_READ_BYTES;; want *= 2) {
        const size_t size = (size_t)(want < s->map.size ? want : s->map.size);
        char *grown = sto_realloc(s->header_bytes, size, 1);
        if (grown == NULL)
            return sto_fail(err, STO_ERR_FAILED, "%s: out of memory for a header of %zu bytes", path, size);
        s->header_bytes = grown;
        enum sto_status status = sto_map_read(&s->map, have, grown + have, size - have, err);
        if (status != STO_OK)
            return status;
        have = size;
        bool more;
        status = sto_gguf_header_parse(path, grown, have, s->map.size, &s->header, &more, err);
        if (!more)
            return status;
        if (want >= STO_GGUF_MAX_HEADER_BYTES)
            return sto_fail(err, STO_ERR_MODEL, "%s: the header is larger than %d bytes", path,
                            (int)STO_GGUF_MAX_HEADER_BYTES);
    }
}

static enum sto_status shard_open(struct sto_gguf *gguf, struct shard *s, const char *path, struct sto_error *err)
{
    enum sto_status status = sto_map_open(path, &s->map, err);
    if (status != STO_OK)
        return status;
    s->owns_map = true;
    status = shard_read_header(s, path, err);
    if (status != STO_OK)
        return status;
    return sto_gguf_layout_check(path, &s->header, s->map.size, gguf->header_only, &gguf->has_data, err);
}

/* ---- names ---- */

static enum sto_status index_keys(const char *path, const struct sto_gguf_header *h, struct sto_gguf_index *keys,
                                  struct sto_error *err)
{
    if (!sto_gguf_index_create(keys, h->n_values))
        return sto_fail(err, STO_ERR_FAILED, "%s: out of memory for %zu keys", path, h->n_values);
    for (size_t i = 0; i < h->n_values; i++) {
        if (sto_gguf_index_add(keys, h->values, sizeof *h->values, (uint32_t)i) != STO_GGUF_INDEX_NONE)
            return sto_fail(err, STO_ERR_MODEL, "%s: key '%.*s' is there twice", path,
                            STO_GGUF_SHOW(h->values[i].key));
    }
    return STO_OK;
}

static enum sto_status index_tensors(struct sto_gguf *g, struct sto_error *err)
{
    if (!sto_gguf_index_create(&g->names, g->n_tensors))
        return sto_fail(err, STO_ERR_FAILED, "%s: out of memory for %zu tensors", g->path, g->n_tensors);
    for (size_t i = 0; i < g->n_tensors; i++) {
        if (sto_gguf_index_add(&g->names, g->tensors, sizeof *g->tensors, (uint32_t)i) != STO_GGUF_INDEX_NONE)
            return sto_fail(err, STO_ERR_MODEL, "%s: tensor '%.*s' is there twice", g->path,
                            STO_GGUF_SHOW(g->tensors[i].name));
    }
    return STO_OK;
}

/* ---- split files ---- */

struct split_keys {
    uint32_t no, count;
    uint32_t n_tensors;
    bool has_n_tensors;
};

/* Reads the split.* keys of one file through a throw-away view of it. */
static enum sto_status read_split_keys(const char *path, const struct shard *s, struct split_keys *out,
                                       struct sto_error *err)
{
    struct shard copy = *s;
    struct sto_gguf view = {.path = (char *)(uintptr_t)path, .n_shards = 1, .shards = &copy};
    *out = (struct split_keys){.count = 1};
    enum sto_status status = index_keys(path, &s->header, &view.keys, err);
    if (status == STO_OK)
        status = sto_gguf_get_u32(&view, "split.no", &out->no, err);
    if (status == STO_OK)
        status = sto_gguf_get_u32(&view, "split.count", &out->count, err);
    if (status == STO_OK)
        status = sto_gguf_get_u32(&view, "split.tensors.count", &out->n_tensors, err);
    out->has_n_tensors = status == STO_OK && sto_gguf_find(&view, "split.tensors.count") != NULL;
    sto_gguf_index_free(&view.keys);
    if (status == STO_OK && out->count > STO_GGUF_MAX_SPLITS)
        status = sto_fail(err, STO_ERR_MODEL, "%s: key 'split.count' is %lu, more than %d", path,
                          (unsigned long)out->count, (int)STO_GGUF_MAX_SPLITS);
    if (status == STO_OK && out->count > 0 && out->no >= out->count)
        status = sto_fail(err, STO_ERR_MODEL, "%s: key 'split.no' is %lu of %lu files", path, (unsigned long)out->no,
                          (unsigned long)out->count);
    return status;
}

/* The path of shard `no` beside `path`, which must itself end as shard `self` does; NULL: it does not. To be freed. */
static char *shard_path(const char *path, uint32_t self, uint32_t no, uint32_t count, bool *no_memory)
{
    char tail[64], other[64];
    const int n = snprintf(tail, sizeof tail, "-%05lu-of-%05lu.gguf", (unsigned long)self + 1, (unsigned long)count);
    (void)snprintf(other, sizeof other, "-%05lu-of-%05lu.gguf", (unsigned long)no + 1, (unsigned long)count);
    const size_t len = strlen(path), tail_len = (size_t)n;
    *no_memory = false;
    if (len < tail_len || strcmp(path + len - tail_len, tail) != 0)
        return NULL;
    char *out = sto_strdup(path);
    *no_memory = out == NULL;
    if (out != NULL)
        memcpy(out + len - tail_len, other, tail_len);
    return out;
}

static enum sto_status open_shard_number(struct sto_gguf *g, uint32_t no, struct sto_error *err)
{
    struct split_keys keys = {0};
    bool no_memory;
    char *path = shard_path(g->path, 0, no, g->n_shards, &no_memory);
    if (path == NULL && no_memory)
        return sto_fail(err, STO_ERR_FAILED, "%s: out of memory", g->path);
    if (path == NULL)
        return sto_fail(err, STO_ERR_MODEL,
                        "%s: the first of %lu files of a split model must be named PREFIX-00001-of-%05lu.gguf", g->path,
                        (unsigned long)g->n_shards, (unsigned long)g->n_shards);
    enum sto_status status = STO_OK;
    if (!sto_file_exists(path))
        status = sto_fail(err, STO_ERR_MODEL, "%s: file %lu of %lu of a split model is missing", path,
                          (unsigned long)no + 1, (unsigned long)g->n_shards);
    if (status == STO_OK)
        status = shard_open(g, &g->shards[no], path, err);
    if (status == STO_OK)
        status = read_split_keys(path, &g->shards[no], &keys, err);
    if (status == STO_OK && (keys.no != no || keys.count != g->n_shards))
        status = sto_fail(err, STO_ERR_MODEL, "%s: its keys say that it is file %lu of %lu, its name says %lu of %lu",
                          path, (unsigned long)keys.no + 1, (unsigned long)keys.count, (unsigned long)no + 1,
                          (unsigned long)g->n_shards);
    sto_free(path);
    return status;
}

/* One list of tensors out of those of all shards. */
static enum sto_status join_tensors(struct sto_gguf *g, const struct split_keys *first, struct sto_error *err)
{
    size_t total = 0, at = 0;
    for (uint32_t i = 0; i < g->n_shards; i++)
        total += g->shards[i].header.n_tensors;
    if (first->has_n_tensors && first->n_tensors != total)
        return sto_fail(err, STO_ERR_MODEL, "%s: key 'split.tensors.count' is %lu but the %lu files hold %zu tensors",
                        g->path, (unsigned long)first->n_tensors, (unsigned long)g->n_shards, total);
    if (total > STO_GGUF_MAX_TENSORS)
        return sto_fail(err, STO_ERR_MODEL, "%s: %zu tensors in all files are more than %d", g->path, total,
                        (int)STO_GGUF_MAX_TENSORS);
    g->tensors = sto_calloc(total, sizeof *g->tensors);
    if (g->tensors == NULL)
        return sto_fail(err, STO_ERR_FAILED, "%s: out of memory for %zu tensors", g->path, total);
    g->owns_tensors = true;
    for (uint32_t i = 0; i < g->n_shards; i++) {
        const struct sto_gguf_header *h = &g->shards[i].header;
        for (size_t t = 0; t < h->n_tensors; t++) {
            g->tensors[at] = h->tensors[t];
            g->tensors[at++].split = i;
        }
    }
    g->n_tensors = total;
    return STO_OK;
}

static enum sto_status fail_not_first(const struct sto_gguf *g, const struct split_keys *keys, struct sto_error *err)
{
    bool no_memory;
    char *first = shard_path(g->path, keys->no, 0, keys->count, &no_memory);
    const enum sto_status status =
        sto_fail(err, STO_ERR_MODEL, "%s: is file %lu of %lu of a split model: open the first%s%s", g->path,
                 (unsigned long)keys->no + 1, (unsigned long)keys->count, first == NULL ? "" : ", ",
                 first == NULL ? "" : first);
    sto_free(first);
    return status;
}

static enum sto_status open_other_shards(struct sto_gguf *g, const struct split_keys *keys, struct sto_error *err)
{
    struct shard *shards = sto_realloc(g->shards, keys->count, sizeof *shards);
    if (shards == NULL)
        return sto_fail(err, STO_ERR_FAILED, "%s: out of memory for %lu files", g->path, (unsigned long)keys->count);
    memset(shards + 1, 0, (keys->count - 1) * sizeof *shards);
    g->shards = shards;
    g->n_shards = keys->count;
    for (uint32_t i = 1; i < keys->count; i++) {
        const enum sto_status status = open_shard_number(g, i, err);
        if (status != STO_OK)
            return status;
    }
    return join_tensors(g, keys, err);
}

/* ---- open and close ---- */

static struct sto_gguf *gguf_create(const char *name, const struct sto_gguf_params *params)
{
    struct sto_gguf *g = sto_calloc(1, sizeof *g);
    if (g == NULL)
        return NULL;
    g->header_only = params != NULL && params->header_only;
    g->has_data = true;
    g->n_shards = 1;
    g->path = sto_strdup(name);
    g->shards = sto_calloc(1, sizeof *g->shards);
    if (g->path == NULL || g->shards == NULL) {
        sto_gguf_close(g);
        return NULL;
    }
    return g;
}

/* What is left once all headers are there. */
static enum sto_status finish(struct sto_gguf *g, struct sto_error *err)
{
    if (g->n_shards == 1) {
        g->tensors = g->shards[0].header.tensors;
        g->n_tensors = g->shards[0].header.n_tensors;
    }
    for (uint32_t i = 0; i < g->n_shards; i++)
        g->file_bytes += g->shards[i].map.size;
    const enum sto_status status = index_keys(g->path, &g->shards[0].header, &g->keys, err);
    return status == STO_OK ? index_tensors(g, err) : status;
}

enum sto_status sto_gguf_open(const char *path, const struct sto_gguf_params *params, struct sto_gguf **out,
                              struct sto_error *err)
{
    struct split_keys keys;
    struct sto_gguf *g = gguf_create(path, params);
    *out = NULL;
    if (g == NULL)
        return sto_fail(err, STO_ERR_FAILED, "%s: out of memory", path);
    enum sto_status status = shard_open(g, &g->shards[0], path, err);
    if (status == STO_OK)
        status = read_split_keys(path, &g->shards[0], &keys, err);
    if (status == STO_OK && keys.no > 0)
        status = fail_not_first(g, &keys, err);
    if (status == STO_OK && keys.count > 1)
        status = open_other_shards(g, &keys, err);
    if (status == STO_OK)
        status = finish(g, err);
    if (status != STO_OK)
        goto fail;
    *out = g;
    return STO_OK;
fail:
    sto_gguf_close(g);
    return status;
}

enum sto_status sto_gguf_parse(const char *name, const void *data, size_t size, const struct sto_gguf_params *params,
                               struct sto_gguf **out, struct sto_error *err)
{
    struct split_keys keys;
    bool more;
    struct sto_gguf *g = gguf_create(name, params);
    *out = NULL;
    if (g == NULL)
        return sto_fail(err, STO_ERR_FAILED, "%s: out of memory", name);
    struct shard *s = &g->shards[0];
    s->map = (struct sto_map){.data = data, .size = size};
    enum sto_status status = sto_gguf_header_parse(name, data, size, size, &s->header, &more, err);
    if (status == STO_OK)
        status = sto_gguf_layout_check(name, &s->header, size, g->header_only, &g->has_data, err);
    if (status == STO_OK)
        status = read_split_keys(name, s, &keys, err);
    if (status == STO_OK && keys.count > 1)
        status =
            sto_fail(err, STO_ERR_MODEL, "%s: is file %lu of %lu of a split model, which bytes in memory cannot be",
                     name, (unsigned long)keys.no + 1, (unsigned long)keys.count);
    if (status == STO_OK)
        status = finish(g, err);
    if (status != STO_OK)
        goto fail;
    *out = g;
    return STO_OK;
fail:
    sto_gguf_close(g);
    return status;
}

void sto_gguf_close(struct sto_gguf *g)
{
    if (g == NULL)
        return;
    for (uint32_t i = 0; g->shards != NULL && i < g->n_shards; i++)
        shard_close(&g->shards[i]);
    sto_free(g->shards);
    if (g->owns_tensors)
        sto_free(g->tensors);
    sto_gguf_index_free(&g->keys);
    sto_gguf_index_free(&g->names);
    sto_free(g->path);
    sto_free(g);
}

/* ---- what is inside ---- */

const char *sto_gguf_path(const struct sto_gguf *gguf)
{
    return gguf->path;
}

uint32_t sto_gguf_version(const struct sto_gguf *gguf)
{
    return gguf->shards[0].header.version;
}

uint32_t sto_gguf_n_splits(const struct sto_gguf *gguf)
{
    return gguf->n_shards;
}

const struct sto_map *sto_gguf_map(const struct sto_gguf *gguf, uint32_t split)
{
    return &gguf->shards[split].map;
}

uint64_t sto_gguf_file_bytes(const struct sto_gguf *gguf)
{
    return gguf->file_bytes;
}

bool sto_gguf_has_data(const struct sto_gguf *gguf)
{
    return gguf->has_data;
}

size_t sto_gguf_n_values(const struct sto_gguf *gguf)
{
    return gguf->shards[0].header.n_values;
}

const struct sto_gguf_value *sto_gguf_value_at(const struct sto_gguf *gguf, size_t i)
{
    return &gguf->shards[0].header.values[i];
}

size_t sto_gguf_n_tensors(const struct sto_gguf *gguf)
{
    return gguf->n_tensors;
}

const struct sto_gguf_tensor *sto_gguf_tensor_at(const struct sto_gguf *gguf, size_t i)
{
    return &gguf->tensors[i];
}

const struct sto_gguf_value *sto_gguf_find(const struct sto_gguf *gguf, const char *key)
{
    const struct sto_gguf_header *h = &gguf->shards[0].header;
    const uint32_t i = sto_gguf_index_find(&gguf->keys, h->values, sizeof *h->values,
                                           (struct sto_view){key, strlen(key)});
    return i == STO_GGUF_INDEX_NONE ? NULL : &h->values[i];
}

const struct sto_gguf_tensor *sto_gguf_find_tensor(const struct sto_gguf *gguf, const char *name)
{
    const uint32_t i = sto_gguf_index_find(&gguf->names, gguf->tensors, sizeof *gguf->tensors,
                                           (struct sto_view){name, strlen(name)});
    return i == STO_GGUF_INDEX_NONE ? NULL : &gguf->tensors[i];
}

const void *sto_gguf_tensor_data(const struct sto_gguf *gguf, const struct sto_gguf_tensor *tensor)
{
    const struct sto_map *map = &gguf->shards[tensor->split].map;
    if (map->data == NULL || tensor->offset > map->size || tensor->bytes > map->size - tensor->offset)
        return NULL;
    return map->data + tensor->offset;
}

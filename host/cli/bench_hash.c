/* SHA-256 of model files, by libcrypto, with what was computed before kept in the cache folder. */
#include "host/cli/bench_hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

#ifdef STO_HAVE_LIBCRYPTO

#include <openssl/evp.h>

enum { CHUNK_BYTES = 4 << 20 };

bool sto_has_sha256(void)
{
    return true;
}

static enum sto_status hash_chunks(EVP_MD_CTX *context, const struct sto_map *map, uint8_t *chunk,
                                   const struct sto_callbacks *callbacks, struct sto_error *err)
{
    for (uint64_t at = 0; at < map->size;) {
        const uint64_t left = map->size - at;
        const size_t n = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        const enum sto_status status = sto_map_read(map, at, chunk, n, err);
        if (status != STO_OK)
            return status;
        if (EVP_DigestUpdate(context, chunk, n) != 1)
            return sto_fail(err, STO_ERR_FAILED, "libcrypto cannot compute SHA-256");
        at += n;
        if (sto_progress(callbacks, "sha256", at, map->size))
            return sto_fail(err, STO_ERR_CANCELLED, "stopped while computing the model's SHA-256");
    }
    return STO_OK;
}

enum sto_status sto_sha256_map(const struct sto_map *map, const struct sto_callbacks *callbacks,
                               char text[STO_SHA256_TEXT], struct sto_error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    enum sto_status status = STO_OK;
    uint8_t *chunk = sto_calloc(1, CHUNK_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (chunk == NULL || context == NULL)
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for SHA-256");
    else if (EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        status = sto_fail(err, STO_ERR_FAILED, "libcrypto has no SHA-256");
    else
        status = hash_chunks(context, map, chunk, callbacks, err);
    if (status == STO_OK && (EVP_DigestFinal_ex(context, digest, &size) != 1 || size != 32))
        status = sto_fail(err, STO_ERR_FAILED, "libcrypto cannot compute SHA-256");
    for (unsigned i = 0; status == STO_OK && i < size; i++)
        (void)snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
    EVP_MD_CTX_free(context);
    sto_free(chunk);
    return status;
}

#else

bool sto_has_sha256(void)
{
    return false;
}

enum sto_status sto_sha256_map(const struct sto_map *map, const struct sto_callbacks *callbacks,
                               char text[STO_SHA256_TEXT], struct sto_error *err)
{
    (void)map;
    (void)callbacks;
    text[0] = '\0';
    return sto_fail(err, STO_ERR_USAGE, "this build has no SHA-256: libcrypto was not there");
}

#endif

/* ---- what is known already ---- */

enum { MAX_RECORD = 8192 };

/* The first line of a record: what the file was when its hash was computed. False: it cannot be told. */
static bool stamp_line(const char *path, char *line, size_t size)
{
    uint64_t bytes = 0, changed_ns = 0;
    if (!sto_file_stamp(path, &bytes, &changed_ns))
        return false;
    const int n = snprintf(line, size, "%" PRIu64 " %" PRIu64 " %s\n", bytes, changed_ns, path);
    return n > 0 && (size_t)n < size;
}

/* Where the record of a path is kept (its name is FNV-1a of the path). False: nowhere. */
static bool record_path(const char *cache_dir, const char *path, char *record, size_t size)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *c = path; *c != '\0'; c++)
        h = (h ^ (unsigned char)*c) * 0x100000001b3u;
    if (cache_dir[0] == '\0')
        return false;
    const int n = snprintf(record, size, "%s/sha256/%016" PRIx64, cache_dir, h);
    return n > 0 && (size_t)n < size;
}

static bool find_record(const char *cache_dir, const char *path, char text[STO_SHA256_TEXT])
{
    char record[4096], line[MAX_RECORD];
    char *data = NULL;
    size_t size = 0;
    struct sto_error ignored;
    if (!record_path(cache_dir, path, record, sizeof record) || !stamp_line(path, line, sizeof line) ||
        sto_file_read(record, MAX_RECORD, &data, &size, &ignored) != STO_OK)
        return false;
    const size_t n = strlen(line);
    const bool same = size == n + STO_SHA256_TEXT - 1 && memcmp(data, line, n) == 0 &&
                      strspn(data + n, "0123456789abcdef") == STO_SHA256_TEXT - 1;
    if (same)
        memcpy(text, data + n, STO_SHA256_TEXT);
    sto_free(data);
    return same;
}

/* A record that cannot be kept is computed again next time. */
static void keep_record(const char *cache_dir, const char *path, const char *text)
{
    char record[4096], folder[4096], line[MAX_RECORD];
    struct sto_error ignored;
    if (!record_path(cache_dir, path, record, sizeof record) || !stamp_line(path, line, sizeof line))
        return;
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(record, '/') - record), record);
    const size_t n = strlen(line);
    (void)snprintf(line + n, sizeof line - n, "%s", text);
    if (n + STO_SHA256_TEXT <= sizeof line && sto_make_dirs(folder, &ignored) == STO_OK)
        (void)sto_file_write_atomic(record, line, n + STO_SHA256_TEXT - 1, &ignored);
}

enum sto_status sto_sha256_model(const struct sto_gguf *gguf, const char *cache_dir,
                                 const struct sto_callbacks *callbacks, char **text, struct sto_error *err)
{
    const uint32_t n = sto_gguf_n_splits(gguf);
    const char *path = sto_gguf_path(gguf);
    *text = NULL;
    if (!sto_has_sha256())
        return STO_OK;
    char *all = sto_calloc(n, STO_SHA256_TEXT);
    if (all == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u hashes", (unsigned)n);
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < n && status == STO_OK; i++) {
        char *one = all + (size_t)i * STO_SHA256_TEXT;
        if (n > 1 || !find_record(cache_dir, path, one)) {
            status = sto_sha256_map(sto_gguf_map(gguf, i), callbacks, one, err);
            if (status == STO_OK && n == 1)
                keep_record(cache_dir, path, one);
        }
        if (i + 1 < n)
            one[STO_SHA256_TEXT - 1] = ',';
    }
    if (status != STO_OK)
        sto_free(all);
    else
        *text = all;
    return status;
}

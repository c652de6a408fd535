/* A model file's SHA-256: what says that two results are of the same weights. */
#ifndef STO_CLI_BENCH_HASH_H
#define STO_CLI_BENCH_HASH_H

#include "models/gguf.h"
#include "runtime/strato.h"

enum { STO_SHA256_TEXT = 65 }; /* 64 hexadecimal digits and a NUL */

/* True when this build has SHA-256 (libcrypto was there at configure time). */
bool sto_has_sha256(void);
/* Of a mapped file, read through the file; progress is "sha256", in bytes. STO_ERR_USAGE: this build has none. */
enum sto_status sto_sha256_map(const struct sto_map *map, const struct sto_callbacks *callbacks,
                               char text[STO_SHA256_TEXT], struct sto_error *err);

/* Of every file of a model, in order, with commas between them. That of a model in one file is kept in cache_dir ("":
 * nowhere) with the file's size and time, and found there again. Free with sto_free. *text is NULL where this build has
 * no SHA-256. */
enum sto_status sto_sha256_model(const struct sto_gguf *gguf, const char *cache_dir,
                                 const struct sto_callbacks *callbacks, char **text, struct sto_error *err);

#endif

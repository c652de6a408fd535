/* GGUF files: versions 2 and 3, little-endian, split or whole. Tensor data is mapped and never copied; the header is
 * read into memory, so that a file which shrinks later cannot pull keys and names away.
 *
 * The reader trusts nothing: every length, count, offset, type and string is checked against the file before use,
 * and the named limits below bound what a header may ask for. Views live as long as the struct sto_gguf. Errors name
 * the file, the key or tensor, and the value. Thread-safe once opened.
 * Format: the GGUF specification in the ggml repository, docs/gguf.md. */
#ifndef STO_GGUF_H
#define STO_GGUF_H

#include "runtime/base/cursor.h"
#include "runtime/base/os.h"

enum {
    STO_GGUF_MAX_KEYS = 1 << 20,
    STO_GGUF_MAX_TENSORS = 1 << 20,
    STO_GGUF_MAX_KEY_BYTES = 65535,
    STO_GGUF_MAX_NAME_BYTES = 1024,     /* tensor names */
    STO_GGUF_MAX_DIMS = 4,
    STO_GGUF_MAX_ARRAY_DEPTH = 4,       /* arrays of arrays */
    STO_GGUF_MAX_SPLITS = 4096,
    STO_GGUF_MAX_HEADER_BYTES = 1 << 28, /* of one file */
    STO_GGUF_MAX_ALIGNMENT = 1 << 20
};

/* Numbers are the file format's own. */
enum sto_gguf_kind {
    STO_GGUF_U8, STO_GGUF_I8, STO_GGUF_U16, STO_GGUF_I16, STO_GGUF_U32, STO_GGUF_I32, STO_GGUF_F32, STO_GGUF_BOOL,
    STO_GGUF_STRING, STO_GGUF_ARRAY, STO_GGUF_U64, STO_GGUF_I64, STO_GGUF_F64
};

struct sto_gguf_value {
    struct sto_view key;
    enum sto_gguf_kind kind;
    enum sto_gguf_kind elem_kind; /* of an array                                                        */
    uint64_t count;               /* elements of an array, else 1                                       */
    struct sto_view bytes;        /* the value's bytes in the file: a string's text, an array's elements */
};

struct sto_gguf_tensor {
    struct sto_view name;
    uint32_t n_dims;          /* 1 to 4                                                                   */
    uint64_t dims[4];         /* file order, fastest first; 1 beyond n_dims                               */
    uint32_t file_type;       /* the file's number for the type                                           */
    enum sto_type type;       /* STO_TYPE_COUNT: a type strato does not know (sto_model_open refuses it)    */
    uint64_t bytes;           /* 0 for an unknown type                                                    */
    uint32_t split;           /* which file of a split model                                              */
    uint64_t offset;          /* bytes from the beginning of that file                                    */
};

struct sto_gguf;

struct sto_gguf_params {
    bool header_only; /* tensor data may be missing: files cut after the header, or in the middle of the data */
};

enum sto_status sto_gguf_open(const char *path, const struct sto_gguf_params *params, struct sto_gguf **out,
                              struct sto_error *err);
/* The same for bytes in memory, a whole single file; for fuzzing. `name` stands for the path in errors. */
enum sto_status sto_gguf_parse(const char *name, const void *data, size_t size, const struct sto_gguf_params *params,
                               struct sto_gguf **out, struct sto_error *err);
void sto_gguf_close(struct sto_gguf *gguf);

const char *sto_gguf_path(const struct sto_gguf *gguf);
uint32_t sto_gguf_version(const struct sto_gguf *gguf);
uint32_t sto_gguf_n_splits(const struct sto_gguf *gguf);
const struct sto_map *sto_gguf_map(const struct sto_gguf *gguf, uint32_t split);
uint64_t sto_gguf_file_bytes(const struct sto_gguf *gguf); /* of all splits together */
bool sto_gguf_has_data(const struct sto_gguf *gguf);       /* false: header only */

size_t sto_gguf_n_values(const struct sto_gguf *gguf);
const struct sto_gguf_value *sto_gguf_value_at(const struct sto_gguf *gguf, size_t i);
size_t sto_gguf_n_tensors(const struct sto_gguf *gguf);
const struct sto_gguf_tensor *sto_gguf_tensor_at(const struct sto_gguf *gguf, size_t i);

/* NULL when there is none. Constant time (hashed). */
const struct sto_gguf_value *sto_gguf_find(const struct sto_gguf *gguf, const char *key);
const struct sto_gguf_tensor *sto_gguf_find_tensor(const struct sto_gguf *gguf, const char *name);

/* The tensor's bytes in the map; NULL for a file without them. Of an unknown type only the address is right. */
const void *sto_gguf_tensor_data(const struct sto_gguf *gguf, const struct sto_gguf_tensor *tensor);

/* Typed reading of metadata. Any integer kind converts where the value fits; floats convert between F32 and F64.
 *   get_*: an absent key leaves *out as it was and succeeds (give *out the default first).
 *   need_*: an absent key is STO_ERR_MODEL.
 * A value of the wrong kind or out of range is STO_ERR_MODEL and names file, key, kind and value. */
enum sto_status sto_gguf_get_u32(const struct sto_gguf *gguf, const char *key, uint32_t *out, struct sto_error *err);
enum sto_status sto_gguf_need_u32(const struct sto_gguf *gguf, const char *key, uint32_t *out, struct sto_error *err);
enum sto_status sto_gguf_get_f32(const struct sto_gguf *gguf, const char *key, float *out, struct sto_error *err);
enum sto_status sto_gguf_get_bool(const struct sto_gguf *gguf, const char *key, bool *out, struct sto_error *err);
enum sto_status sto_gguf_get_string(const struct sto_gguf *gguf, const char *key, struct sto_view *out,
                                    struct sto_error *err);

/* "u32", "array"; "?" out of range. Static. */
const char *sto_gguf_kind_name(enum sto_gguf_kind kind);

/* Walks an array of strings: *pos starts at 0; false at the end. The array was checked when the file was opened. */
bool sto_gguf_next_string(const struct sto_gguf_value *array, size_t *pos, struct sto_view *out);
/* Element i < count of an array of any integer, bool or float kind, or a scalar of these with i = 0. A U64 above
 * INT64_MAX wraps in int_at. */
int64_t sto_gguf_int_at(const struct sto_gguf_value *array, uint64_t i);
double sto_gguf_float_at(const struct sto_gguf_value *array, uint64_t i);

#endif

/* Inside the GGUF reader: the parsed header of one file, and the index of names. Only models/gguf*.c include this. */
#ifndef STO_GGUF_IMPL_H
#define STO_GGUF_IMPL_H

#include "models/gguf.h"

/* printf arguments for a key or a name, cut so that the rest of the message stays in sight: "%.*s". */
#define STO_GGUF_SHOW(view) (int)((view).size < 96 ? (view).size : 96), (view).data

/* The header of one file. Views point into the bytes that were parsed. */
struct sto_gguf_header {
    uint32_t version;
    uint64_t alignment;  /* of tensor data, bytes                                 */
    uint64_t data_start; /* where tensor data begins, bytes from the file's start */
    size_t n_values, n_tensors;
    struct sto_gguf_value *values;   /* [n_values]                                                     */
    struct sto_gguf_tensor *tensors; /* [n_tensors] offsets already counted from the file's beginning */
};

/* Parses the first `avail` bytes of a file of file_bytes. *more set: the header may go on behind them, read more and
 * call again (then nothing is left in out and err). Otherwise as every call that can fail. */
enum sto_status sto_gguf_header_parse(const char *name, const void *data, size_t avail, uint64_t file_bytes,
                                      struct sto_gguf_header *out, bool *more, struct sto_error *err);
void sto_gguf_header_free(struct sto_gguf_header *header);

/* Checks that tensors of one file do not overlap and end inside the file; a file that misses some of the data is an
 * error unless header_only, and clears *has_data. */
enum sto_status sto_gguf_layout_check(const char *name, const struct sto_gguf_header *header, uint64_t file_bytes,
                                      bool header_only, bool *has_data, struct sto_error *err);

/* A hash table from names to positions. Zero-initialised is empty. The names must outlive it. */
struct sto_gguf_index {
    uint32_t *slots; /* [n_slots] position + 1, or 0; n_slots is a power of two, at most half full */
    size_t n_slots;
    uint64_t seed; /* so that nobody can write a file whose names all collide */
};

#define STO_GGUF_INDEX_NONE UINT32_MAX

bool sto_gguf_index_create(struct sto_gguf_index *index, size_t n_names);
void sto_gguf_index_free(struct sto_gguf_index *index);
/* Names lie at base, base + stride, ...: the struct sto_view is the first member of each record.
 * find gives the position, or STO_GGUF_INDEX_NONE. add gives the position of an equal name that was there already
 * (and adds nothing), or STO_GGUF_INDEX_NONE. */
uint32_t sto_gguf_index_find(const struct sto_gguf_index *index, const void *base, size_t stride,
                             struct sto_view name);
uint32_t sto_gguf_index_add(struct sto_gguf_index *index, const void *base, size_t stride, uint32_t position);

#endif

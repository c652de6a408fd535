/* Builds GGUF files in memory, well-formed or damaged on purpose, for tests.
 *
 *   init -> put keys and tensors in any order -> build -> bytes
 *
 * Nothing is checked: whatever is put is written. Running out of memory ends the program. */
#ifndef STO_TESTS_GGUF_WRITE_H
#define STO_TESTS_GGUF_WRITE_H

#include "models/gguf.h"

/* Bytes that grow. Zero-initialised is empty. */
struct sto_bytes {
    uint8_t *data;
    size_t size, room;
};
void sto_bytes_add(struct sto_bytes *b, const void *data, size_t size); /* data NULL: zeros */
void sto_bytes_u32(struct sto_bytes *b, uint32_t v);
void sto_bytes_u64(struct sto_bytes *b, uint64_t v);
void sto_bytes_string(struct sto_bytes *b, const void *text, size_t size); /* length, then the text */
void sto_bytes_free(struct sto_bytes *b);

struct sto_gguf_builder {
    uint32_t version, alignment;
    struct sto_bytes values, tensors, data;
    uint64_t n_values, n_tensors; /* what the header will claim: change them to lie */
    uint64_t data_bytes;          /* where the next tensor goes; data may hold less than that */
};

/* alignment other than 32 is put as general.alignment. */
void sto_builder_init(struct sto_gguf_builder *b, uint32_t version, uint32_t alignment);
void sto_builder_free(struct sto_gguf_builder *b);

void sto_put_u8(struct sto_gguf_builder *b, const char *key, uint8_t v);
void sto_put_i8(struct sto_gguf_builder *b, const char *key, int8_t v);
void sto_put_u16(struct sto_gguf_builder *b, const char *key, uint16_t v);
void sto_put_i16(struct sto_gguf_builder *b, const char *key, int16_t v);
void sto_put_u32(struct sto_gguf_builder *b, const char *key, uint32_t v);
void sto_put_i32(struct sto_gguf_builder *b, const char *key, int32_t v);
void sto_put_u64(struct sto_gguf_builder *b, const char *key, uint64_t v);
void sto_put_i64(struct sto_gguf_builder *b, const char *key, int64_t v);
void sto_put_f32(struct sto_gguf_builder *b, const char *key, float v);
void sto_put_f64(struct sto_gguf_builder *b, const char *key, double v);
void sto_put_bool(struct sto_gguf_builder *b, const char *key, bool v);
void sto_put_string(struct sto_gguf_builder *b, const char *key, const char *v);

void sto_put_strings(struct sto_gguf_builder *b, const char *key, const char *const *texts, size_t n);
/* Elements as the file has them: `size` little-endian bytes, claimed to be `count`. */
void sto_put_array(struct sto_gguf_builder *b, const char *key, enum sto_gguf_kind elem_kind, uint64_t count,
                   const void *elements, size_t size);
/* A key of any bytes, any number for its kind, any payload. */
void sto_put_raw(struct sto_gguf_builder *b, const void *key, size_t key_size, uint32_t kind, const void *payload,
                 size_t size);

/* A tensor with its bytes (NULL: zeros); dims in file order, fastest first. */
void sto_put_tensor(struct sto_gguf_builder *b, const char *name, enum sto_type type, uint32_t n_dims,
                    const uint64_t *dims, const void *data);
/* The same without bytes: the caller writes them behind the header, each tensor padded to the alignment. */
uint64_t sto_put_tensor_header(struct sto_gguf_builder *b, const char *name, enum sto_type type, uint32_t n_dims,
                               const uint64_t *dims);
/* Only a description, every number as given. */
void sto_put_tensor_raw(struct sto_gguf_builder *b, const void *name, size_t name_size, uint32_t n_dims,
                        const uint64_t *dims, uint32_t file_type, uint64_t offset);

/* The file so far: header, padding, data. To be freed with sto_bytes_free. */
struct sto_bytes sto_builder_build(const struct sto_gguf_builder *b);

#endif

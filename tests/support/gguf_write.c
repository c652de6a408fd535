/* Builds GGUF files in memory; see the format in models/gguf_parse.c, which this does not share code with. */
#include "tests/support/gguf_write.h"
#include "models/gguf_types.h"
#include "runtime/formats/formats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sto_bytes_add(struct sto_bytes *b, const void *data, size_t size)
{
    if (b->room - b->size < size) {
        b->room = 2 * b->room + size + 64;
        b->data = realloc(b->data, b->room);
        if (b->data == NULL) {
            (void)fputs("gguf_write: out of memory\n", stderr);
            abort();
        }
    }
    if (size > 0 && data != NULL)
        memcpy(b->data + b->size, data, size);
    else if (size > 0)
        memset(b->data + b->size, 0, size);
    b->size += size;
}

static void add_le(struct sto_bytes *b, uint64_t v, int n)
{
    uint8_t bytes[8];
    for (int i = 0; i < n; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    sto_bytes_add(b, bytes, (size_t)n);
}

void sto_bytes_u32(struct sto_bytes *b, uint32_t v)
{
    add_le(b, v, 4);
}

void sto_bytes_u64(struct sto_bytes *b, uint64_t v)
{
    add_le(b, v, 8);
}

void sto_bytes_string(struct sto_bytes *b, const void *text, size_t size)
{
    sto_bytes_u64(b, size);
    sto_bytes_add(b, text, size);
}

void sto_bytes_free(struct sto_bytes *b)
{
    free(b->data);
    *b = (struct sto_bytes){0};
}

void sto_builder_init(struct sto_gguf_builder *b, uint32_t version, uint32_t alignment)
{
    *b = (struct sto_gguf_builder){.version = version, .alignment = alignment};
    if (alignment != 32)
        sto_put_u32(b, "general.alignment", alignment);
}

void sto_builder_free(struct sto_gguf_builder *b)
{
    sto_bytes_free(&b->values);
    sto_bytes_free(&b->tensors);
    sto_bytes_free(&b->data);
}

/* ---- metadata ---- */

void sto_put_raw(struct sto_gguf_builder *b, const void *key, size_t key_size, uint32_t kind, const void *payload,
                 size_t size)
{
    sto_bytes_string(&b->values, key, key_size);
    sto_bytes_u32(&b->values, kind);
    sto_bytes_add(&b->values, payload, size);
    b->n_values++;
}

static void put_le(struct sto_gguf_builder *b, const char *key, enum sto_gguf_kind kind, uint64_t v, int n)
{
    sto_bytes_string(&b->values, key, strlen(key));
    sto_bytes_u32(&b->values, kind);
    add_le(&b->values, v, n);
    b->n_values++;
}

void sto_put_u8(struct sto_gguf_builder *b, const char *key, uint8_t v)
{
    put_le(b, key, STO_GGUF_U8, v, 1);
}

void sto_put_i8(struct sto_gguf_builder *b, const char *key, int8_t v)
{
    put_le(b, key, STO_GGUF_I8, (uint8_t)v, 1);
}

void sto_put_u16(struct sto_gguf_builder *b, const char *key, uint16_t v)
{
    put_le(b, key, STO_GGUF_U16, v, 2);
}

void sto_put_i16(struct sto_gguf_builder *b, const char *key, int16_t v)
{
    put_le(b, key, STO_GGUF_I16, (uint16_t)v, 2);
}

void sto_put_u32(struct sto_gguf_builder *b, const char *key, uint32_t v)
{
    put_le(b, key, STO_GGUF_U32, v, 4);
}

void sto_put_i32(struct sto_gguf_builder *b, const char *key, int32_t v)
{
    put_le(b, key, STO_GGUF_I32, (uint32_t)v, 4);
}

void sto_put_u64(struct sto_gguf_builder *b, const char *key, uint64_t v)
{
    put_le(b, key, STO_GGUF_U64, v, 8);
}

void sto_put_i64(struct sto_gguf_builder *b, const char *key, int64_t v)
{
    put_le(b, key, STO_GGUF_I64, (uint64_t)v, 8);
}

void sto_put_f32(struct sto_gguf_builder *b, const char *key, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_le(b, key, STO_GGUF_F32, bits, 4);
}

void sto_put_f64(struct sto_gguf_builder *b, const char *key, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_le(b, key, STO_GGUF_F64, bits, 8);
}

void sto_put_bool(struct sto_gguf_builder *b, const char *key, bool v)
{
    put_le(b, key, STO_GGUF_BOOL, v ? 1 : 0, 1);
}

void sto_put_string(struct sto_gguf_builder *b, const char *key, const char *v)
{
    put_le(b, key, STO_GGUF_STRING, strlen(v), 8);
    sto_bytes_add(&b->values, v, strlen(v));
}

void sto_put_array(struct sto_gguf_builder *b, const char *key, enum sto_gguf_kind elem_kind, uint64_t count,
                   const void *elements, size_t size)
{
    sto_put_raw(b, key, strlen(key), STO_GGUF_ARRAY, NULL, 0);
    sto_bytes_u32(&b->values, elem_kind);
    sto_bytes_u64(&b->values, count);
    sto_bytes_add(&b->values, elements, size);
}

void sto_put_strings(struct sto_gguf_builder *b, const char *key, const char *const *texts, size_t n)
{
    sto_put_array(b, key, STO_GGUF_STRING, n, NULL, 0);
    for (size_t i = 0; i < n; i++)
        sto_bytes_string(&b->values, texts[i], strlen(texts[i]));
}

/* ---- tensors ---- */

void sto_put_tensor_raw(struct sto_gguf_builder *b, const void *name, size_t name_size, uint32_t n_dims,
                        const uint64_t *dims, uint32_t file_type, uint64_t offset)
{
    sto_bytes_string(&b->tensors, name, name_size);
    sto_bytes_u32(&b->tensors, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        sto_bytes_u64(&b->tensors, dims[i]);
    sto_bytes_u32(&b->tensors, file_type);
    sto_bytes_u64(&b->tensors, offset);
    b->n_tensors++;
}

uint64_t sto_put_tensor_header(struct sto_gguf_builder *b, const char *name, enum sto_type type, uint32_t n_dims,
                               const uint64_t *dims)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < n_dims; i++)
        n *= dims[i];
    const uint64_t bytes = sto_type_bytes(type, n);
    sto_put_tensor_raw(b, name, strlen(name), n_dims, dims, sto_gguf_file_type_of(type), b->data_bytes);
    b->data_bytes = (b->data_bytes + bytes + b->alignment - 1) / b->alignment * b->alignment;
    return bytes;
}

void sto_put_tensor(struct sto_gguf_builder *b, const char *name, enum sto_type type, uint32_t n_dims,
                    const uint64_t *dims, const void *data)
{
    const uint64_t bytes = sto_put_tensor_header(b, name, type, n_dims, dims);
    sto_bytes_add(&b->data, data, (size_t)bytes);
    sto_bytes_add(&b->data, NULL, (size_t)(b->data_bytes - b->data.size));
}

struct sto_bytes sto_builder_build(const struct sto_gguf_builder *b)
{
    struct sto_bytes out = {0};
    sto_bytes_add(&out, "GGUF", 4);
    sto_bytes_u32(&out, b->version);
    sto_bytes_u64(&out, b->n_tensors);
    sto_bytes_u64(&out, b->n_values);
    sto_bytes_add(&out, b->values.data, b->values.size);
    sto_bytes_add(&out, b->tensors.data, b->tensors.size);
    if (b->alignment > 0 && out.size % b->alignment != 0)
        sto_bytes_add(&out, NULL, b->alignment - out.size % b->alignment);
    sto_bytes_add(&out, b->data.data, b->data.size);
    return out;
}

/* models/gguf on damaged files: truncated, lying and hostile ones. Each gives one line that names the file and the
 * thing, with the status for a damaged model; under the sanitizers nothing is read out of bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/gguf.h"
#include "models/vocab.h"
#include "runtime/base/mem.h"
#include "tests/support/gguf_write.h"

static char path[64];
static struct sto_error err;
static const struct sto_gguf_params header_only = {.header_only = true};

static int name_file(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "damaged.%llx.gguf", (unsigned long long)sto_wall_seed());
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    (void)remove(path);
    return 0;
}

static void write_bytes(const struct sto_bytes *bytes)
{
    FILE *f = fopen(path, "wb"); /* hundreds of files: not worth a flush to the disk each */
    assert_non_null(f);
    assert_int_equal(fwrite(bytes->data, 1, bytes->size, f), bytes->size);
    assert_int_equal(fclose(f), 0);
}

/* A file with a value of every kind, nested arrays, a vocabulary and three tensors; *header its header's size. */
static struct sto_bytes good_file(size_t *header)
{
    struct sto_gguf_builder b;
    static const char *const tokens[] = {"a", "bc", "\xc4\xa0t"};
    static const uint8_t nested[] = {0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 8};
    sto_builder_init(&b, 3, 64);
    sto_put_string(&b, "general.architecture", "llama");
    sto_put_u8(&b, "u8", 1);
    sto_put_i16(&b, "i16", -2);
    sto_put_f32(&b, "f32", 0.5f);
    sto_put_f64(&b, "f64", 0.5);
    sto_put_bool(&b, "bool", true);
    sto_put_u64(&b, "u64", 5);
    sto_put_array(&b, "nested", STO_GGUF_ARRAY, 1, nested, sizeof nested);
    sto_put_string(&b, "tokenizer.ggml.model", "gpt2");
    sto_put_strings(&b, "tokenizer.ggml.tokens", tokens, 3);
    sto_put_array(&b, "tokenizer.ggml.token_type", STO_GGUF_I32, 3, "\1\0\0\0\1\0\0\0\1\0\0\0", 12);
    sto_put_strings(&b, "tokenizer.ggml.merges", tokens, 1);
    sto_put_u32(&b, "tokenizer.ggml.eos_token_id", 2);
    const uint64_t dims[] = {256, 2};
    sto_put_tensor(&b, "a.weight", STO_TYPE_Q4_K, 2, dims, NULL);
    sto_put_tensor(&b, "b.weight", STO_TYPE_F16, 1, dims, NULL);
    sto_put_tensor(&b, "c.weight", STO_TYPE_Q8_0, 2, dims, NULL);
    *header = 4 + 4 + 8 + 8 + b.values.size + b.tensors.size;
    struct sto_bytes bytes = sto_builder_build(&b);
    sto_builder_free(&b);
    return bytes;
}

/* Reads whatever an opened file offers. */
static uint64_t touch(const struct sto_gguf *g)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < sto_gguf_n_values(g); i++) {
        const struct sto_gguf_value *v = sto_gguf_value_at(g, i);
        struct sto_view text;
        size_t pos = 0;
        for (size_t k = 0; k < v->bytes.size; k++)
            sum += (unsigned char)v->bytes.data[k];
        while (v->kind == STO_GGUF_ARRAY && v->elem_kind == STO_GGUF_STRING && sto_gguf_next_string(v, &pos, &text))
            sum += text.size;
    }
    for (size_t i = 0; i < sto_gguf_n_tensors(g); i++) {
        const struct sto_gguf_tensor *t = sto_gguf_tensor_at(g, i);
        const unsigned char *data = sto_gguf_tensor_data(g, t);
        for (uint64_t k = 0; data != NULL && k < t->bytes; k++)
            sum += data[k];
    }
    return sum;
}

/* Parses a copy that ends where its allocation ends, so that a sanitizer sees every byte read behind it. */
static enum sto_status parse_copy(const uint8_t *data, size_t size, const struct sto_gguf_params *params)
{
    struct sto_gguf *g = NULL;
    struct sto_vocab vocab;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    err = (struct sto_error){0};
    const enum sto_status status = sto_gguf_parse("x.gguf", copy, size, params, &g, &err);
    assert_true((status == STO_OK) == (g != NULL));
    if (status == STO_OK) {
        (void)touch(g);
        if (sto_vocab_read(g, &vocab, &err) == STO_OK)
            sto_vocab_free(&vocab);
    }
    sto_gguf_close(g);
    free(copy);
    return status;
}

/* ---- truncation and mutation ---- */

static void every_cut_in_the_header_is_an_error(void **state)
{
    (void)state;
    size_t header;
    struct sto_bytes bytes = good_file(&header);
    const size_t whole = bytes.size;
    assert_int_equal(parse_copy(bytes.data, whole, NULL), STO_OK);
    for (size_t size = 0; size < header; size++) {
        struct sto_gguf *g;
        assert_int_equal(parse_copy(bytes.data, size, &header_only), STO_ERR_MODEL);
        assert_memory_equal(err.message, "x.gguf: ", 8);
        bytes.size = size;
        write_bytes(&bytes);
        assert_int_equal(sto_gguf_open(path, &header_only, &g, &err), STO_ERR_MODEL);
        assert_null(g);
        assert_non_null(strstr(err.message, path));
        assert_null(strchr(err.message, '\n'));
    }
    sto_bytes_free(&bytes);
}

static void every_cut_in_the_data_is_an_error_unless_the_header_is_enough(void **state)
{
    (void)state;
    size_t header;
    struct sto_bytes bytes = good_file(&header);
    const size_t end = bytes.size - (64 - 256 * 2 / 32 * 34 % 64) % 64; /* without the padding of the last tensor */
    for (size_t size = header; size < end; size++) {
        assert_int_equal(parse_copy(bytes.data, size, NULL), STO_ERR_MODEL);
        assert_non_null(strstr(err.message, "weight'"));
        assert_int_equal(parse_copy(bytes.data, size, &header_only), STO_OK);
    }
    assert_int_equal(parse_copy(bytes.data, end, NULL), STO_OK);
    sto_bytes_free(&bytes);
}

static void no_changed_byte_does_harm(void **state)
{
    (void)state;
    size_t header;
    struct sto_bytes bytes = good_file(&header);
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    for (size_t i = 0; i < header; i++) {
        const uint8_t was = bytes.data[i];
        for (size_t k = 0; k < sizeof values; k++) {
            bytes.data[i] = values[k];
            const enum sto_status status = parse_copy(bytes.data, bytes.size, NULL);
            assert_true(status == STO_OK || status == STO_ERR_MODEL);
            if (status != STO_OK)
                assert_memory_equal(err.message, "x.gguf: ", 8);
        }
        bytes.data[i] = was;
    }
    sto_bytes_free(&bytes);
}

static void running_out_of_memory_is_an_error_everywhere(void **state)
{
    (void)state;
    size_t header;
    struct sto_bytes bytes = good_file(&header);
    bool done = false;
    write_bytes(&bytes);
    for (uint64_t n = 1; !done; n++) {
        struct sto_gguf *g = NULL;
        struct sto_vocab vocab = {0};
        sto_alloc_fail_after(n);
        enum sto_status status = sto_gguf_open(path, NULL, &g, &err);
        if (status == STO_OK)
            status = sto_vocab_read(g, &vocab, &err);
        sto_alloc_fail_after(0);
        done = status == STO_OK;
        if (!done) {
            assert_int_equal(status, STO_ERR_FAILED);
            assert_non_null(strstr(err.message, "out of memory"));
            assert_non_null(strstr(err.message, path));
        }
        assert_true(n < 100);
        sto_vocab_free(&vocab);
        sto_gguf_close(g);
    }
    sto_bytes_free(&bytes);
}

/* ---- lies ---- */

/* What a case does to a builder that already holds one key and one tensor of 64 bytes. */
struct lie {
    const char *says[2]; /* both are in the message */
    void (*tell)(struct sto_gguf_builder *b);
    bool only_with_data; /* accepted where the header is enough */
};

static const uint64_t dim16[] = {16, 1, 1, 1};

static void tell_version_0(struct sto_gguf_builder *b)
{
    b->version = 0;
}
static void tell_version_1(struct sto_gguf_builder *b)
{
    b->version = 1;
}
static void tell_version_4(struct sto_gguf_builder *b)
{
    b->version = 4;
}
static void tell_big_endian(struct sto_gguf_builder *b)
{
    b->version = 0x03000000;
}
static void tell_many_keys(struct sto_gguf_builder *b)
{
    b->n_values = UINT64_MAX;
}
static void tell_keys_over_the_limit(struct sto_gguf_builder *b)
{
    b->n_values = STO_GGUF_MAX_KEYS + 1;
}
static void tell_more_keys_than_fit(struct sto_gguf_builder *b)
{
    b->n_values = 1000;
}
static void tell_one_key_more(struct sto_gguf_builder *b)
{
    b->n_values++;
}
static void tell_many_tensors(struct sto_gguf_builder *b)
{
    b->n_tensors = UINT64_MAX;
}
static void tell_tensors_over_the_limit(struct sto_gguf_builder *b)
{
    b->n_tensors = STO_GGUF_MAX_TENSORS + 1;
}
static void tell_more_tensors_than_fit(struct sto_gguf_builder *b)
{
    b->n_tensors = 1000;
}
static void tell_long_key(struct sto_gguf_builder *b)
{
    sto_bytes_u64(&b->values, UINT64_MAX);
    b->n_values++;
}
static void tell_key_over_the_limit(struct sto_gguf_builder *b)
{
    static const char key[STO_GGUF_MAX_KEY_BYTES + 1] = "k";
    sto_put_raw(b, key, sizeof key, STO_GGUF_U8, "", 1);
}
static void tell_empty_key(struct sto_gguf_builder *b)
{
    sto_put_u8(b, "", 1);
}
static void tell_bad_utf8_key(struct sto_gguf_builder *b)
{
    sto_put_u8(b, "bad\xc0\xafkey", 1);
}
static void tell_nul_key(struct sto_gguf_builder *b)
{
    sto_put_raw(b, "nul\0key", 7, STO_GGUF_U8, "", 1);
}
static void tell_key_twice(struct sto_gguf_builder *b)
{
    sto_put_u8(b, "key.one", 1);
}
static void tell_kind_13(struct sto_gguf_builder *b)
{
    sto_put_raw(b, "kind", 4, 13, "", 1);
}
static void tell_kind_max(struct sto_gguf_builder *b)
{
    sto_put_raw(b, "kind", 4, UINT32_MAX, "", 1);
}
static void tell_bool_2(struct sto_gguf_builder *b)
{
    sto_put_raw(b, "flag", 4, STO_GGUF_BOOL, "\2", 1);
}
static void tell_bools_3(struct sto_gguf_builder *b)
{
    sto_put_array(b, "flags", STO_GGUF_BOOL, 2, "\1\3", 2);
}
static void tell_long_string(struct sto_gguf_builder *b)
{
    sto_put_raw(b, "text", 4, STO_GGUF_STRING, "\xff\xff\xff\xff\xff\xff\xff\x7f", 8);
}
static void tell_long_string_in_array(struct sto_gguf_builder *b)
{
    sto_put_array(b, "texts", STO_GGUF_STRING, 1, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
}
static void tell_array_kind_99(struct sto_gguf_builder *b)
{
    sto_put_array(b, "list", (enum sto_gguf_kind)99, 1, "", 1);
}
static void tell_long_array(struct sto_gguf_builder *b)
{
    sto_put_array(b, "list", STO_GGUF_U8, UINT64_MAX, "", 1);
}
static void tell_array_overflow(struct sto_gguf_builder *b)
{
    sto_put_array(b, "list", STO_GGUF_U64, (UINT64_C(1) << 61) + 1, "12345678", 8);
}
static void tell_many_strings(struct sto_gguf_builder *b)
{
    sto_put_array(b, "texts", STO_GGUF_STRING, UINT64_C(1) << 61, "", 1);
}
static void tell_many_arrays(struct sto_gguf_builder *b)
{
    sto_put_array(b, "lists", STO_GGUF_ARRAY, UINT64_MAX, "", 1);
}
static void tell_deep_arrays(struct sto_gguf_builder *b)
{
    struct sto_bytes inner = {0};
    for (int i = 0; i < STO_GGUF_MAX_ARRAY_DEPTH; i++) {
        sto_bytes_u32(&inner, STO_GGUF_ARRAY);
        sto_bytes_u64(&inner, 1);
    }
    sto_put_array(b, "deep", STO_GGUF_ARRAY, 1, inner.data, inner.size);
    sto_bytes_free(&inner);
}
static void tell_alignment_0(struct sto_gguf_builder *b)
{
    sto_put_u32(b, "general.alignment", 0);
}
static void tell_alignment_4(struct sto_gguf_builder *b)
{
    sto_put_u32(b, "general.alignment", 4);
}
static void tell_alignment_24(struct sto_gguf_builder *b)
{
    sto_put_u32(b, "general.alignment", 24);
}
static void tell_alignment_huge(struct sto_gguf_builder *b)
{
    sto_put_u32(b, "general.alignment", 1u << 31);
}
static void tell_alignment_text(struct sto_gguf_builder *b)
{
    sto_put_string(b, "general.alignment", "32");
}
static void tell_empty_name(struct sto_gguf_builder *b)
{
    sto_put_tensor_raw(b, "", 0, 1, dim16, 0, 64);
}
static void tell_name_over_the_limit(struct sto_gguf_builder *b)
{
    static const char name[STO_GGUF_MAX_NAME_BYTES + 1] = "n";
    sto_put_tensor_raw(b, name, sizeof name, 1, dim16, 0, 64);
}
static void tell_bad_utf8_name(struct sto_gguf_builder *b)
{
    sto_put_tensor_raw(b, "bad\xed\xa0\x80name", 10, 1, dim16, 0, 64);
}
static void tell_name_twice(struct sto_gguf_builder *b)
{
    sto_put_tensor(b, "t.one", STO_TYPE_F32, 1, dim16, NULL);
}
static void tell_no_dims(struct sto_gguf_builder *b)
{
    sto_put_tensor_raw(b, "odd", 3, 0, dim16, 0, 64);
}
static void tell_5_dims(struct sto_gguf_builder *b)
{
    static const uint64_t dims[] = {1, 1, 1, 1, 1};
    sto_put_tensor_raw(b, "odd", 3, 5, dims, 0, 64);
}
static void tell_dim_0(struct sto_gguf_builder *b)
{
    static const uint64_t dims[] = {16, 0};
    sto_put_tensor_raw(b, "odd", 3, 2, dims, 0, 64);
}
static void tell_product_overflow(struct sto_gguf_builder *b)
{
    static const uint64_t dims[] = {UINT64_C(1) << 32, UINT64_C(1) << 32, 1, 16};
    sto_put_tensor_raw(b, "odd", 3, 4, dims, 0, 64);
}
static void tell_product_overflow_of_an_unknown_type(struct sto_gguf_builder *b)
{
    static const uint64_t dims[] = {UINT64_MAX, 3};
    sto_put_tensor_raw(b, "odd", 3, 2, dims, 16, 64);
}
static void tell_bytes_overflow(struct sto_gguf_builder *b)
{
    static const uint64_t dims[] = {UINT64_C(1) << 62};
    sto_put_tensor_raw(b, "odd", 3, 1, dims, 0, 64);
}
static void tell_ragged_q4_k(struct sto_gguf_builder *b)
{
    static const uint64_t dims[] = {128, 2}; /* two rows of half a block each */
    sto_put_tensor_raw(b, "odd", 3, 2, dims, 12, 64);
}
static void tell_ragged_q8_0(struct sto_gguf_builder *b)
{
    static const uint64_t dims[] = {33};
    sto_put_tensor_raw(b, "odd", 3, 1, dims, 8, 64);
}
static void tell_unaligned_offset(struct sto_gguf_builder *b)
{
    sto_put_tensor_raw(b, "odd", 3, 1, dim16, 0, 72);
}
static void tell_offset_behind_the_end(struct sto_gguf_builder *b)
{
    sto_put_tensor_raw(b, "odd", 3, 1, dim16, 0, 1 << 20);
}
static void tell_offset_overflow(struct sto_gguf_builder *b)
{
    sto_put_tensor_raw(b, "odd", 3, 1, dim16, 0, UINT64_MAX - 31);
}
static void tell_end_overflow(struct sto_gguf_builder *b)
{
    static const uint64_t dims[] = {UINT64_C(1) << 61};
    sto_put_tensor_raw(b, "odd", 3, 1, dims, 0, UINT64_C(1) << 63);
}
static void tell_end_behind_the_end(struct sto_gguf_builder *b)
{
    static const uint64_t dims[] = {17};
    sto_put_tensor_raw(b, "odd", 3, 1, dims, 0, 64);
    sto_bytes_add(&b->data, NULL, 64);
}
static void tell_overlap(struct sto_gguf_builder *b)
{
    sto_put_tensor_raw(b, "odd", 3, 1, dim16, 0, 32);
    sto_bytes_add(&b->data, NULL, 64);
}
static void tell_same_place(struct sto_gguf_builder *b)
{
    sto_put_tensor_raw(b, "odd", 3, 1, dim16, 0, 0);
}
static void tell_overlap_out_of_order(struct sto_gguf_builder *b)
{
    static const uint64_t dims[] = {17};
    sto_put_tensor_raw(b, "far", 3, 1, dim16, 0, 192);
    sto_put_tensor_raw(b, "odd", 3, 1, dims, 0, 128);
    sto_bytes_add(&b->data, NULL, 256);
}
static void tell_unknown_type_inside_another(struct sto_gguf_builder *b)
{
    sto_put_tensor_raw(b, "odd", 3, 1, dim16, 16, 32);
}
static void tell_unknown_type_behind_the_end(struct sto_gguf_builder *b)
{
    sto_put_tensor_raw(b, "odd", 3, 1, dim16, 16, 1 << 20);
}
static void tell_split_negative(struct sto_gguf_builder *b)
{
    sto_put_i32(b, "split.count", -1);
}
static void tell_split_text(struct sto_gguf_builder *b)
{
    sto_put_string(b, "split.count", "3");
}
static void tell_too_many_splits(struct sto_gguf_builder *b)
{
    sto_put_u16(b, "split.count", 60000);
}
static void tell_split_number_too_large(struct sto_gguf_builder *b)
{
    sto_put_u16(b, "split.count", 2);
    sto_put_u16(b, "split.no", 2);
}

static const struct lie lies[] = {
    {{"version 0", ""}, tell_version_0, false},
    {{"version 1", "convert"}, tell_version_1, false},
    {{"version 4", ""}, tell_version_4, false},
    {{"big-endian", ""}, tell_big_endian, false},
    {{"keys", "18446744073709551615"}, tell_many_keys, false},
    {{"keys", "1048577"}, tell_keys_over_the_limit, false},
    {{"1000 keys", "can hold"}, tell_more_keys_than_fit, false},
    {{"", ""}, tell_one_key_more, false},
    {{"tensors", "18446744073709551615"}, tell_many_tensors, false},
    {{"tensors", "1048577"}, tell_tensors_over_the_limit, false},
    {{"1000 tensors", "can hold"}, tell_more_tensors_than_fit, false},
    {{"key", "18446744073709551615"}, tell_long_key, false},
    {{"key", "65536"}, tell_key_over_the_limit, false},
    {{"key", "empty"}, tell_empty_key, false},
    {{"bad??key", "UTF-8"}, tell_bad_utf8_key, false},
    {{"'nul", "UTF-8"}, tell_nul_key, false},
    {{"key 'key.one'", "twice"}, tell_key_twice, false},
    {{"'kind'", "13"}, tell_kind_13, false},
    {{"'kind'", "4294967295"}, tell_kind_max, false},
    {{"'flag'", "2"}, tell_bool_2, false},
    {{"'flags'", "3"}, tell_bools_3, false},
    {{"'text'", "9223372036854775807"}, tell_long_string, false},
    {{"'texts'", "18446744073709551615"}, tell_long_string_in_array, false},
    {{"'list'", "99"}, tell_array_kind_99, false},
    {{"'list'", "18446744073709551615"}, tell_long_array, false},
    {{"'list'", "2305843009213693953"}, tell_array_overflow, false},
    {{"'texts'", "2305843009213693952"}, tell_many_strings, false},
    {{"'lists'", "18446744073709551615"}, tell_many_arrays, false},
    {{"'deep'", "4 deep"}, tell_deep_arrays, false},
    {{"general.alignment", "is 0"}, tell_alignment_0, false},
    {{"general.alignment", "is 4"}, tell_alignment_4, false},
    {{"general.alignment", "is 24"}, tell_alignment_24, false},
    {{"general.alignment", "2147483648"}, tell_alignment_huge, false},
    {{"general.alignment", "integer"}, tell_alignment_text, false},
    {{"tensor's name", "empty"}, tell_empty_name, false},
    {{"tensor's name", "1025"}, tell_name_over_the_limit, false},
    {{"bad???name", "UTF-8"}, tell_bad_utf8_name, false},
    {{"tensor 't.one'", "twice"}, tell_name_twice, false},
    {{"'odd'", "0 dimensions"}, tell_no_dims, false},
    {{"'odd'", "5 dimensions"}, tell_5_dims, false},
    {{"'odd'", "dimension 1 is 0"}, tell_dim_0, false},
    {{"'odd'", "4294967296 x 4294967296 x 1 x 16"}, tell_product_overflow, false},
    {{"'odd'", "18446744073709551615 x 3"}, tell_product_overflow_of_an_unknown_type, false},
    {{"'odd'", "4611686018427387904"}, tell_bytes_overflow, false},
    {{"'odd'", "128 elements"}, tell_ragged_q4_k, false},
    {{"'odd'", "Q8_0"}, tell_ragged_q8_0, false},
    {{"'odd'", "offset 72"}, tell_unaligned_offset, false},
    {{"'odd'", "incomplete"}, tell_offset_behind_the_end, true},
    {{"'odd'", "overflows"}, tell_offset_overflow, false},
    {{"'odd'", "overflows"}, tell_end_overflow, false},
    {{"'odd'", "68 bytes"}, tell_end_behind_the_end, true},
    {{"'t.one'", "'odd' overlap"}, tell_overlap, false},
    {{"'odd'", "overlap"}, tell_same_place, false},
    {{"'odd' and 'far'", "overlap"}, tell_overlap_out_of_order, false},
    {{"'odd'", "overlap"}, tell_unknown_type_inside_another, false},
    {{"'odd'", "incomplete"}, tell_unknown_type_behind_the_end, true},
    {{"split.count", "-1"}, tell_split_negative, false},
    {{"split.count", "string"}, tell_split_text, false},
    {{"split.count", "60000"}, tell_too_many_splits, false},
    {{"split.no", "2 of 2"}, tell_split_number_too_large, false},
};

static struct sto_bytes tell(const struct lie *lie)
{
    struct sto_gguf_builder b;
    sto_builder_init(&b, 3, 32);
    sto_put_u8(&b, "key.one", 1);
    sto_put_tensor(&b, "t.one", STO_TYPE_F32, 1, dim16, NULL);
    if (lie != NULL)
        lie->tell(&b);
    struct sto_bytes bytes = sto_builder_build(&b);
    sto_builder_free(&b);
    return bytes;
}

static void every_lie_is_named(void **state)
{
    (void)state;
    struct sto_gguf *g;
    struct sto_bytes honest = tell(NULL);
    assert_int_equal(parse_copy(honest.data, honest.size, NULL), STO_OK);
    sto_bytes_free(&honest);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct sto_bytes bytes = tell(&lies[i]);
        write_bytes(&bytes);
        const enum sto_status status = sto_gguf_open(path, NULL, &g, &err);
        const bool named = status == STO_ERR_MODEL && g == NULL && err.status == STO_ERR_MODEL &&
                           strstr(err.message, path) == err.message && strstr(err.message, lies[i].says[0]) != NULL &&
                           strstr(err.message, lies[i].says[1]) != NULL;
        if (!named)
            fail_msg("case %zu: status %d, '%s' should name '%s' and '%s'", i, status, err.message, lies[i].says[0],
                     lies[i].says[1]);
        const enum sto_status without_data = sto_gguf_open(path, &header_only, &g, &err);
        assert_int_equal(without_data, lies[i].only_with_data ? STO_OK : STO_ERR_MODEL);
        sto_gguf_close(g);
        (void)parse_copy(bytes.data, bytes.size, NULL);
        sto_bytes_free(&bytes);
    }
}

/* The program gives exit code 3 and one line; cases that a header alone may hold are none of its business. */
static void the_program_says_so_too(void **state)
{
    (void)state;
    char command[2048], err_path[80];
    const char *binary = getenv("STRATO_BINARY");
    if (binary == NULL)
        skip();
    (void)snprintf(err_path, sizeof err_path, "%s.err", path);
    (void)snprintf(command, sizeof command, "'%s' info '%s' > /dev/null 2> '%s'; test $? -eq 3", binary, path,
                   err_path);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        if (lies[i].only_with_data)
            continue;
        struct sto_bytes bytes = tell(&lies[i]);
        char *text;
        size_t size;
        write_bytes(&bytes);
        if (system(command) != 0)
            fail_msg("case %zu: not exit code 3", i);
        assert_int_equal(sto_file_read(err_path, 10000, &text, &size, &err), STO_OK);
        assert_non_null(strstr(text, path));
        assert_ptr_equal(strchr(text, '\n'), text + size - 1);
        sto_free(text);
        sto_bytes_free(&bytes);
    }
    (void)remove(err_path);
}

/* ---- files that are no model files ---- */

static void expect_open_error(const char *file, enum sto_status status, const char *says)
{
    struct sto_gguf *g;
    assert_int_equal(sto_gguf_open(file, NULL, &g, &err), status);
    assert_null(g);
    if (strstr(err.message, file) == NULL || strstr(err.message, says) == NULL)
        fail_msg("'%s' should name '%s' and say '%s'", err.message, file, says);
}

static void what_is_no_model_file_is_named(void **state)
{
    (void)state;
    expect_open_error("no-such-file.gguf", STO_ERR_FAILED, "cannot open");
    expect_open_error(".", STO_ERR_FAILED, "directory");
    expect_open_error("/dev/zero", STO_ERR_FAILED, "regular file");
    assert_int_equal(sto_file_write_atomic(path, "", 0, &err), STO_OK);
    expect_open_error(path, STO_ERR_MODEL, "empty");
    assert_int_equal(sto_file_write_atomic(path, "PK\3\4 something else", 18, &err), STO_OK);
    expect_open_error(path, STO_ERR_MODEL, "50 4b 03 04");
    assert_int_equal(sto_file_write_atomic(path, "GG", 2, &err), STO_OK);
    expect_open_error(path, STO_ERR_MODEL, "magic");
}

static void a_file_that_shrinks_while_open_is_an_error_when_read(void **state)
{
    (void)state;
    size_t header;
    struct sto_bytes bytes = good_file(&header);
    struct sto_gguf *g;
    uint8_t data[544];
    write_bytes(&bytes);
    assert_int_equal(sto_gguf_open(path, NULL, &g, &err), STO_OK);
    const struct sto_gguf_tensor *t = sto_gguf_find_tensor(g, "c.weight");
    assert_int_equal(t->bytes, sizeof data);
    assert_int_equal(sto_map_read(sto_gguf_map(g, 0), t->offset, data, sizeof data, &err), STO_OK);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, header, f), header);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(sto_map_read(sto_gguf_map(g, 0), t->offset, data, sizeof data, &err), STO_ERR_FAILED);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, "shrunk"));
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    /* Keys and names do not come from the file any more. */
    assert_int_equal(sto_gguf_int_at(sto_gguf_find(g, "u64"), 0), 5);
    sto_gguf_close(g);
    sto_bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_in_the_header_is_an_error),
        cmocka_unit_test(every_cut_in_the_data_is_an_error_unless_the_header_is_enough),
        cmocka_unit_test(no_changed_byte_does_harm),
        cmocka_unit_test(running_out_of_memory_is_an_error_everywhere),
        cmocka_unit_test(every_lie_is_named),
        cmocka_unit_test(the_program_says_so_too),
        cmocka_unit_test(what_is_no_model_file_is_named),
        cmocka_unit_test(a_file_that_shrinks_while_open_is_an_error_when_read),
    };
    return cmocka_run_group_tests(tests, name_file, remove_file);
}

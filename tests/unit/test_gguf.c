/* models/gguf: what well-formed files hold comes back, whole, split or cut after the header.
 * Files come from tests/support/gguf_write, and from the reference folder where it is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/gguf.h"
#include "models/gguf_types.h"
#include "tests/support/gguf_write.h"

static char folder[256];
static struct sto_error err;

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "test_gguf.%llx", (unsigned long long)sto_wall_seed());
    return sto_make_dirs(folder, &err) == STO_OK ? 0 : -1;
}

static const char *in_folder(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const struct sto_bytes *bytes)
{
    assert_int_equal(sto_file_write_atomic(in_folder(name), bytes->data, bytes->size, &err), STO_OK);
}

static void write_builder(const char *name, const struct sto_gguf_builder *b)
{
    struct sto_bytes bytes = sto_builder_build(b);
    write_file(name, &bytes);
    sto_bytes_free(&bytes);
}

static void remove_file(const char *name)
{
    (void)remove(in_folder(name));
}

static int remove_folder(void **state)
{
    (void)state;
    return remove(folder);
}

/* Parses what the builder holds; the bytes must outlive the result. */
static struct sto_gguf *parse(const struct sto_bytes *bytes)
{
    struct sto_gguf *g = NULL;
    if (sto_gguf_parse("memory.gguf", bytes->data, bytes->size, NULL, &g, &err) != STO_OK)
        fail_msg("%s", err.message);
    return g;
}

/* ---- metadata ---- */

static void put_every_kind(struct sto_gguf_builder *b)
{
    sto_put_u8(b, "u8", 200);
    sto_put_i8(b, "i8", -100);
    sto_put_u16(b, "u16", 60000);
    sto_put_i16(b, "i16", -30000);
    sto_put_u32(b, "u32", 4000000000u);
    sto_put_i32(b, "i32", -2000000000);
    sto_put_u64(b, "u64", 18000000000000000000u);
    sto_put_i64(b, "i64", -9000000000000000000);
    sto_put_f32(b, "f32", 0.1f);
    sto_put_f64(b, "f64", 0.25);
    sto_put_bool(b, "yes", true);
    sto_put_bool(b, "no", false);
    sto_put_string(b, "text", "caf\xc3\xa9");
    sto_put_string(b, "empty", "");
    sto_put_i64(b, "small i64", 7);
    sto_put_f64(b, "large f64", 1e300);
    sto_put_f32(b, "nan", NAN);
}

static void every_kind_of_value_is_read(void **state)
{
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        struct sto_gguf_builder b;
        sto_builder_init(&b, version, 32);
        put_every_kind(&b);
        struct sto_bytes bytes = sto_builder_build(&b);
        struct sto_gguf *g = parse(&bytes);
        assert_int_equal(sto_gguf_version(g), version);
        assert_int_equal(sto_gguf_n_values(g), 17);
        assert_int_equal(sto_gguf_n_tensors(g), 0);
        assert_true(sto_gguf_has_data(g));

        static const struct {
            const char *key;
            int64_t value;
        } ints[] = {{"u8", 200},          {"i8", -100},         {"u16", 60000}, {"i16", -30000},
                    {"u32", 4000000000}, {"i32", -2000000000}, {"yes", 1},     {"i64", -9000000000000000000}};
        for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
            assert_true(sto_gguf_int_at(sto_gguf_find(g, ints[i].key), 0) == ints[i].value);
        assert_true(sto_gguf_float_at(sto_gguf_find(g, "u64"), 0) == 18000000000000000000.0);

        uint32_t u = 1;
        float f = 0;
        bool flag = false;
        struct sto_view text;
        assert_int_equal(sto_gguf_need_u32(g, "u32", &u, &err), STO_OK);
        assert_int_equal(u, 4000000000u);
        assert_int_equal(sto_gguf_get_u32(g, "small i64", &u, &err), STO_OK);
        assert_int_equal(u, 7);
        assert_int_equal(sto_gguf_get_f32(g, "f32", &f, &err), STO_OK);
        assert_true(f == 0.1f);
        assert_int_equal(sto_gguf_get_f32(g, "f64", &f, &err), STO_OK);
        assert_true(f == 0.25f);
        assert_int_equal(sto_gguf_get_bool(g, "yes", &flag, &err), STO_OK);
        assert_true(flag);
        assert_int_equal(sto_gguf_get_string(g, "text", &text, &err), STO_OK);
        assert_true(sto_view_equals(text, "caf\xc3\xa9"));
        assert_int_equal(sto_gguf_get_string(g, "empty", &text, &err), STO_OK);
        assert_int_equal(text.size, 0);
        sto_gguf_close(g);
        sto_bytes_free(&bytes);
        sto_builder_free(&b);
    }
}

static void absent_keys_leave_the_default_unless_needed(void **state)
{
    (void)state;
    struct sto_gguf_builder b;
    sto_builder_init(&b, 3, 32);
    struct sto_bytes bytes = sto_builder_build(&b);
    struct sto_gguf *g = parse(&bytes);
    uint32_t u = 5;
    float f = 6;
    bool flag = true;
    struct sto_view text = {"old", 3};
    assert_int_equal(sto_gguf_get_u32(g, "no", &u, &err), STO_OK);
    assert_int_equal(sto_gguf_get_f32(g, "no", &f, &err), STO_OK);
    assert_int_equal(sto_gguf_get_bool(g, "no", &flag, &err), STO_OK);
    assert_int_equal(sto_gguf_get_string(g, "no", &text, &err), STO_OK);
    assert_true(u == 5 && f == 6 && flag && text.size == 3);
    assert_int_equal(sto_gguf_need_u32(g, "qwen3.block_count", &u, &err), STO_ERR_MODEL);
    assert_string_equal(err.message, "memory.gguf: key 'qwen3.block_count' is missing");
    sto_gguf_close(g);
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
}

static void values_of_the_wrong_kind_or_range_are_named(void **state)
{
    (void)state;
    struct sto_gguf_builder b;
    sto_builder_init(&b, 3, 32);
    put_every_kind(&b);
    sto_put_array(&b, "list", STO_GGUF_U8, 2, "ab", 2);
    struct sto_bytes bytes = sto_builder_build(&b);
    struct sto_gguf *g = parse(&bytes);
    static const struct {
        char want; /* u32, f32, bool, string */
        const char *key, *says;
    } cases[] = {
        {'u', "i32", "-2000000000"}, {'u', "u64", "18000000000000000000"}, {'u', "i64", "-9000000000000000000"},
        {'u', "f32", "f32"},         {'u', "text", "string"},              {'u', "yes", "bool"},
        {'u', "list", "array of u8"}, {'f', "u8", "u8"},                   {'f', "large f64", "1e+300"},
        {'f', "nan", "nan"},         {'b', "u8", "u8"},                    {'s', "u8", "u8"},
        {'s', "list", "array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t u;
        float f;
        bool flag;
        struct sto_view text;
        const char want = cases[i].want;
        const enum sto_status status = want == 'u'   ? sto_gguf_get_u32(g, cases[i].key, &u, &err)
                                       : want == 'f' ? sto_gguf_get_f32(g, cases[i].key, &f, &err)
                                       : want == 'b' ? sto_gguf_get_bool(g, cases[i].key, &flag, &err)
                                                     : sto_gguf_get_string(g, cases[i].key, &text, &err);
        assert_int_equal(status, STO_ERR_MODEL);
        assert_non_null(strstr(err.message, "memory.gguf"));
        assert_non_null(strstr(err.message, cases[i].key));
        assert_non_null(strstr(err.message, cases[i].says));
    }
    sto_gguf_close(g);
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
}

static void arrays_are_walked(void **state)
{
    (void)state;
    struct sto_gguf_builder b;
    sto_builder_init(&b, 3, 32);
    static const char *const words[] = {"one", "", "three \xe2\x82\xac"};
    sto_put_strings(&b, "words", words, 3);
    sto_put_strings(&b, "none", NULL, 0);
    sto_put_array(&b, "i16", STO_GGUF_I16, 3, "\xff\xff\x00\x01\x02\x00", 6);
    sto_put_array(&b, "f32", STO_GGUF_F32, 2, "\x00\x00\x80\x3f\x00\x00\x00\xc0", 8);
    static const uint8_t nested[] = {0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 8,  /* u8[2]  */
                                     8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};       /* string[0] */
    sto_put_array(&b, "nested", STO_GGUF_ARRAY, 2, nested, sizeof nested);
    sto_put_u8(&b, "after", 9);
    struct sto_bytes bytes = sto_builder_build(&b);
    struct sto_gguf *g = parse(&bytes);

    const struct sto_gguf_value *v = sto_gguf_find(g, "words");
    assert_int_equal(v->kind, STO_GGUF_ARRAY);
    assert_int_equal(v->elem_kind, STO_GGUF_STRING);
    assert_int_equal(v->count, 3);
    size_t pos = 0;
    struct sto_view text;
    for (int i = 0; i < 3; i++) {
        assert_true(sto_gguf_next_string(v, &pos, &text));
        assert_true(sto_view_equals(text, words[i]));
    }
    assert_false(sto_gguf_next_string(v, &pos, &text));
    pos = 0;
    assert_false(sto_gguf_next_string(sto_gguf_find(g, "none"), &pos, &text));
    v = sto_gguf_find(g, "i16");
    assert_true(sto_gguf_int_at(v, 0) == -1 && sto_gguf_int_at(v, 1) == 256 && sto_gguf_int_at(v, 2) == 2);
    v = sto_gguf_find(g, "f32");
    assert_true(sto_gguf_float_at(v, 0) == 1.0 && sto_gguf_float_at(v, 1) == -2.0 && sto_gguf_int_at(v, 1) == -2);
    v = sto_gguf_find(g, "nested");
    assert_int_equal(v->elem_kind, STO_GGUF_ARRAY);
    assert_int_equal(v->bytes.size, sizeof nested);
    assert_memory_equal(v->bytes.data, nested, sizeof nested);
    assert_int_equal(sto_gguf_int_at(sto_gguf_find(g, "after"), 0), 9);
    sto_gguf_close(g);
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
}

static void thousands_of_names_are_found(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct sto_gguf_builder b;
    sto_builder_init(&b, 3, 32);
    char name[32];
    const uint64_t dims[] = {2};
    for (uint32_t i = 0; i < N; i++) {
        (void)snprintf(name, sizeof name, "key.%u", i);
        sto_put_u32(&b, name, i);
        (void)snprintf(name, sizeof name, "t%u", i);
        (void)sto_put_tensor_header(&b, name, STO_TYPE_F16, 1, dims);
    }
    sto_bytes_add(&b.data, NULL, (size_t)b.data_bytes);
    struct sto_bytes bytes = sto_builder_build(&b);
    struct sto_gguf *g = parse(&bytes);
    assert_int_equal(sto_gguf_n_values(g), N);
    assert_int_equal(sto_gguf_n_tensors(g), N);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t u = 0;
        (void)snprintf(name, sizeof name, "key.%u", i);
        assert_int_equal(sto_gguf_need_u32(g, name, &u, &err), STO_OK);
        assert_int_equal(u, i);
        assert_true(sto_view_equals(sto_gguf_value_at(g, i)->key, name));
        (void)snprintf(name, sizeof name, "t%u", i);
        assert_ptr_equal(sto_gguf_find_tensor(g, name), sto_gguf_tensor_at(g, i));
    }
    assert_null(sto_gguf_find(g, "key.20000"));
    assert_null(sto_gguf_find(g, ""));
    assert_null(sto_gguf_find_tensor(g, "key.0"));
    sto_gguf_close(g);
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
}

/* ---- tensors ---- */

/* Numbers and block sizes from ggml.h and ggml-common.h, written down here a second time. */
static const struct {
    enum sto_type type;
    uint32_t file_type, block_elems, block_bytes;
} layouts[] = {
    {STO_TYPE_F32, 0, 1, 4},       {STO_TYPE_F16, 1, 1, 2},       {STO_TYPE_BF16, 30, 1, 2},
    {STO_TYPE_Q4_0, 2, 32, 18},    {STO_TYPE_Q4_1, 3, 32, 20},    {STO_TYPE_Q5_0, 6, 32, 22},
    {STO_TYPE_Q5_1, 7, 32, 24},    {STO_TYPE_Q8_0, 8, 32, 34},    {STO_TYPE_Q2_K, 10, 256, 84},
    {STO_TYPE_Q3_K, 11, 256, 110}, {STO_TYPE_Q4_K, 12, 256, 144}, {STO_TYPE_Q5_K, 13, 256, 176},
    {STO_TYPE_Q6_K, 14, 256, 210}, {STO_TYPE_IQ4_NL, 20, 32, 18}, {STO_TYPE_IQ4_XS, 23, 256, 136},
    {STO_TYPE_MXFP4, 39, 32, 17},
};

static void tensors_of_every_type_lie_where_they_should(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {8, 32, 64, 4096};
    for (size_t a = 0; a < sizeof alignments / sizeof *alignments; a++) {
        struct sto_gguf_builder b;
        sto_builder_init(&b, 3, alignments[a]);
        static uint8_t fill[512 * 3 * 4];
        for (size_t i = 0; i < STO_TYPE_COUNT; i++) {
            char name[16];
            const uint64_t dims[] = {512, 3};
            (void)snprintf(name, sizeof name, "t%zu", i);
            memset(fill, (int)(i + 1), sizeof fill);
            sto_put_tensor(&b, name, layouts[i].type, 2, dims, fill);
        }
        struct sto_bytes bytes = sto_builder_build(&b);
        struct sto_gguf *g = parse(&bytes);
        assert_int_equal(sto_gguf_n_tensors(g), STO_TYPE_COUNT);
        for (size_t i = 0; i < STO_TYPE_COUNT; i++) {
            const struct sto_gguf_tensor *t = sto_gguf_tensor_at(g, i);
            assert_int_equal(t->type, layouts[i].type);
            assert_int_equal(t->file_type, layouts[i].file_type);
            assert_int_equal(sto_gguf_file_type_of(t->type), layouts[i].file_type);
            assert_string_equal(sto_gguf_file_type_name(t->file_type), sto_type_name(t->type));
            assert_int_equal(t->n_dims, 2);
            assert_true(t->dims[0] == 512 && t->dims[1] == 3 && t->dims[2] == 1 && t->dims[3] == 1);
            assert_int_equal(t->bytes, 512 * 3 / layouts[i].block_elems * layouts[i].block_bytes);
            assert_int_equal(t->offset % alignments[a], 0);
            const uint8_t *data = sto_gguf_tensor_data(g, t);
            assert_int_equal(data[0], i + 1);
            assert_int_equal(data[t->bytes - 1], i + 1);
        }
        sto_gguf_close(g);
        sto_bytes_free(&bytes);
        sto_builder_free(&b);
    }
}

static void unknown_types_are_kept_and_named(void **state)
{
    (void)state;
    struct sto_gguf_builder b;
    sto_builder_init(&b, 3, 32);
    const uint64_t dims[] = {256, 2, 3, 4};
    sto_put_tensor_raw(&b, "a", 1, 4, dims, 16, 0);
    sto_put_tensor_raw(&b, "b", 1, 1, dims, 999, 32);
    sto_bytes_add(&b.data, NULL, 64);
    struct sto_bytes bytes = sto_builder_build(&b);
    struct sto_gguf *g = parse(&bytes);
    assert_int_equal(sto_gguf_find_tensor(g, "a")->type, STO_TYPE_COUNT);
    assert_int_equal(sto_gguf_find_tensor(g, "a")->file_type, 16);
    assert_int_equal(sto_gguf_find_tensor(g, "a")->bytes, 0);
    assert_int_equal(sto_gguf_find_tensor(g, "b")->file_type, 999);
    assert_string_equal(sto_gguf_file_type_name(16), "IQ2_XXS");
    assert_null(sto_gguf_file_type_name(999));
    assert_null(sto_gguf_file_type_name(4));
    assert_int_equal(sto_gguf_type_of(4), STO_TYPE_COUNT);
    assert_int_equal(sto_gguf_type_of(UINT32_MAX), STO_TYPE_COUNT);
    sto_gguf_close(g);
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
}

static void a_file_is_the_same_opened_or_parsed(void **state)
{
    (void)state;
    struct sto_gguf_builder b;
    sto_builder_init(&b, 2, 64);
    put_every_kind(&b);
    const uint64_t dims[] = {4};
    sto_put_tensor(&b, "t", STO_TYPE_F32, 1, dims, "0123456789abcdef");
    /* A key larger than the first read, so that the header takes several. */
    char *large = calloc(1, 5000000);
    assert_non_null(large);
    sto_put_array(&b, "large", STO_GGUF_U8, 5000000, large, 5000000);
    free(large);
    sto_put_u32(&b, "behind", 77);
    write_builder("whole.gguf", &b);
    struct sto_gguf *g;
    assert_int_equal(sto_gguf_open(in_folder("whole.gguf"), NULL, &g, &err), STO_OK);
    assert_string_equal(sto_gguf_path(g), in_folder("whole.gguf"));
    assert_int_equal(sto_gguf_n_splits(g), 1);
    assert_int_equal(sto_gguf_file_bytes(g), sto_gguf_map(g, 0)->size);
    uint32_t u = 0;
    assert_int_equal(sto_gguf_need_u32(g, "behind", &u, &err), STO_OK);
    assert_int_equal(u, 77);
    assert_int_equal(sto_gguf_find(g, "large")->count, 5000000);
    const struct sto_gguf_tensor *t = sto_gguf_find_tensor(g, "t");
    assert_memory_equal(sto_gguf_tensor_data(g, t), "0123456789abcdef", 16);
    char copy[16];
    assert_int_equal(sto_map_read(sto_gguf_map(g, t->split), t->offset, copy, 16, &err), STO_OK);
    assert_memory_equal(copy, "0123456789abcdef", 16);
    sto_gguf_close(g);
    sto_gguf_close(NULL);
    sto_builder_free(&b);
    remove_file("whole.gguf");
}

static void a_header_without_data_opens_where_that_is_asked_for(void **state)
{
    (void)state;
    struct sto_gguf_builder b;
    sto_builder_init(&b, 3, 32);
    const uint64_t dims[] = {1000};
    sto_put_tensor(&b, "first", STO_TYPE_F32, 1, dims, NULL);
    sto_put_tensor(&b, "second", STO_TYPE_F32, 1, dims, NULL);
    struct sto_bytes bytes = sto_builder_build(&b);
    const struct sto_gguf_params header_only = {.header_only = true};
    struct sto_gguf *g;
    const size_t whole = bytes.size;
    const size_t padding_of_second = 4000 % 32 == 0 ? 0 : 32 - 4000 % 32;
    const size_t header = 4 + 4 + 8 + 8 + (8 + 5 + 4 + 8 + 4 + 8) + (8 + 6 + 4 + 8 + 4 + 8);
    const size_t sizes[] = {header, header + 1, whole - 4032, whole - 4000, whole - padding_of_second - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        bytes.size = sizes[i];
        write_file("cut.gguf", &bytes);
        assert_int_equal(sto_gguf_open(in_folder("cut.gguf"), NULL, &g, &err), STO_ERR_MODEL);
        assert_non_null(strstr(err.message, "incomplete"));
        assert_int_equal(sto_gguf_open(in_folder("cut.gguf"), &header_only, &g, &err), STO_OK);
        assert_false(sto_gguf_has_data(g));
        assert_int_equal(sto_gguf_n_tensors(g), 2);
        assert_null(sto_gguf_tensor_data(g, sto_gguf_find_tensor(g, "second")));
        sto_gguf_close(g);
    }
    bytes.size = whole - padding_of_second; /* the last tensor's padding may be missing */
    write_file("cut.gguf", &bytes);
    assert_int_equal(sto_gguf_open(in_folder("cut.gguf"), &header_only, &g, &err), STO_OK);
    assert_true(sto_gguf_has_data(g));
    sto_gguf_close(g);
    bytes.size = header - 1;
    write_file("cut.gguf", &bytes);
    assert_int_equal(sto_gguf_open(in_folder("cut.gguf"), &header_only, &g, &err), STO_ERR_MODEL);
    bytes.size = whole;
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
    remove_file("cut.gguf");
}

/* ---- split files ---- */

static const char *shard_name(int no)
{
    static char name[64];
    (void)snprintf(name, sizeof name, "model-%05d-of-00003.gguf", no);
    return name;
}

/* Three shards with 2, 0 and 1 tensors. `lie` changes one thing. */
static void write_shards(const char *lie)
{
    for (int i = 0; i < 3; i++) {
        struct sto_gguf_builder b;
        sto_builder_init(&b, 3, 32);
        if (i == 0)
            sto_put_string(&b, "general.architecture", "llama");
        sto_put_u16(&b, "split.no", (uint16_t)(strcmp(lie, "no") == 0 && i == 2 ? 1 : i));
        sto_put_u16(&b, "split.count", strcmp(lie, "count") == 0 && i == 1 ? 2 : 3);
        sto_put_i32(&b, "split.tensors.count", strcmp(lie, "tensors") == 0 ? 4 : 3);
        const uint64_t dims[] = {4};
        if (i == 0) {
            sto_put_tensor(&b, "a", STO_TYPE_F32, 1, dims, "aaaaaaaaaaaaaaaa");
            sto_put_tensor(&b, "b", STO_TYPE_F32, 1, dims, "bbbbbbbbbbbbbbbb");
        }
        if (i == 2)
            sto_put_tensor(&b, strcmp(lie, "twice") == 0 ? "a" : "c", STO_TYPE_F32, 1, dims, "cccccccccccccccc");
        write_builder(shard_name(i + 1), &b);
        sto_builder_free(&b);
    }
}

static void remove_shards(void)
{
    for (int i = 1; i <= 3; i++)
        remove_file(shard_name(i));
}

static void the_shards_of_a_split_file_are_joined(void **state)
{
    (void)state;
    write_shards("");
    struct sto_gguf *g;
    if (sto_gguf_open(in_folder(shard_name(1)), NULL, &g, &err) != STO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(sto_gguf_n_splits(g), 3);
    assert_int_equal(sto_gguf_n_tensors(g), 3);
    assert_true(sto_gguf_has_data(g));
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < 3; i++)
        bytes += sto_gguf_map(g, i)->size;
    assert_int_equal(sto_gguf_file_bytes(g), bytes);
    assert_non_null(sto_gguf_find(g, "general.architecture"));
    static const char *const names[] = {"a", "b", "c"};
    static const uint32_t splits[] = {0, 0, 2};
    for (int i = 0; i < 3; i++) {
        const struct sto_gguf_tensor *t = sto_gguf_find_tensor(g, names[i]);
        assert_int_equal(t->split, splits[i]);
        assert_memory_equal(sto_gguf_tensor_data(g, t), names[i], 1);
    }
    sto_gguf_close(g);
    remove_shards();
}

static void expect_split_error(const char *file, const char *says, const char *names)
{
    struct sto_gguf *g;
    assert_int_equal(sto_gguf_open(in_folder(file), NULL, &g, &err), STO_ERR_MODEL);
    assert_null(g);
    if (strstr(err.message, says) == NULL || strstr(err.message, names) == NULL)
        fail_msg("'%s' should say '%s' and '%s'", err.message, says, names);
}

static void split_files_that_do_not_fit_together_are_refused(void **state)
{
    (void)state;
    write_shards("");
    expect_split_error(shard_name(2), "open the first", "model-00001-of-00003.gguf");
    expect_split_error(shard_name(3), "file 3 of 3", "model-00001-of-00003.gguf");
    assert_int_equal(rename(in_folder(shard_name(1)), "a-renamed-shard-of-a-split-model.gguf"), 0);
    struct sto_gguf *g;
    assert_int_equal(sto_gguf_open("a-renamed-shard-of-a-split-model.gguf", NULL, &g, &err), STO_ERR_MODEL);
    assert_non_null(strstr(err.message, "PREFIX-00001-of-00003.gguf"));
    (void)remove("a-renamed-shard-of-a-split-model.gguf");
    write_shards("");
    remove_file(shard_name(2));
    expect_split_error(shard_name(1), "missing", "model-00002-of-00003.gguf");
    write_shards("no");
    expect_split_error(shard_name(1), "file 2 of 3", "model-00003-of-00003.gguf");
    write_shards("count");
    expect_split_error(shard_name(1), "of 2", "model-00002-of-00003.gguf");
    write_shards("tensors");
    expect_split_error(shard_name(1), "split.tensors.count", "4");
    write_shards("twice");
    expect_split_error(shard_name(1), "'a' is there twice", "model-00001-of-00003.gguf");
    remove_shards();
}

/* ---- real files ---- */

static const char *reference(const char *name)
{
    static char path[1024];
    const char *root = getenv("STRATO_REFERENCE");
    (void)snprintf(path, sizeof path, "%s/%s", root == NULL ? "." : root, name);
    return sto_file_exists(path) ? path : NULL;
}

/* Figures from the README of the reference models: 6 layers of width 192, vocabulary 4096, context 512, tied. */
static void a_real_file_is_what_its_description_says(void **state)
{
    (void)state;
    const char *path = reference("models/stories3M-q80.gguf");
    if (path == NULL)
        skip();
    struct sto_gguf *g;
    assert_int_equal(sto_gguf_open(path, NULL, &g, &err), STO_OK);
    uint32_t u = 0;
    assert_int_equal(sto_gguf_need_u32(g, "llama.block_count", &u, &err), STO_OK);
    assert_int_equal(u, 6);
    assert_int_equal(sto_gguf_need_u32(g, "llama.context_length", &u, &err), STO_OK);
    assert_int_equal(u, 512);
    const struct sto_gguf_tensor *t = sto_gguf_find_tensor(g, "token_embd.weight");
    assert_true(t->dims[0] == 192 && t->dims[1] == 4096);
    assert_int_equal(t->type, STO_TYPE_Q8_0);
    assert_int_equal(t->bytes, 192 * 4096 / 32 * 34);
    assert_null(sto_gguf_find_tensor(g, "output.weight"));
    uint64_t elements = 0;
    for (size_t i = 0; i < sto_gguf_n_tensors(g); i++) {
        const uint64_t *d = sto_gguf_tensor_at(g, i)->dims;
        elements += d[0] * d[1] * d[2] * d[3];
    }
    assert_int_equal(elements, 3148224);
    sto_gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_is_read),
        cmocka_unit_test(absent_keys_leave_the_default_unless_needed),
        cmocka_unit_test(values_of_the_wrong_kind_or_range_are_named),
        cmocka_unit_test(arrays_are_walked),
        cmocka_unit_test(thousands_of_names_are_found),
        cmocka_unit_test(tensors_of_every_type_lie_where_they_should),
        cmocka_unit_test(unknown_types_are_kept_and_named),
        cmocka_unit_test(a_file_is_the_same_opened_or_parsed),
        cmocka_unit_test(a_header_without_data_opens_where_that_is_asked_for),
        cmocka_unit_test(the_shards_of_a_split_file_are_joined),
        cmocka_unit_test(split_files_that_do_not_fit_together_are_refused),
        cmocka_unit_test(a_real_file_is_what_its_description_says),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

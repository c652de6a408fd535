/* Values and JSON. Expected texts are what Python's json.dumps and repr give for the same values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/json.h"

static struct sto_value read_ok(struct sto_arena *arena, const char *text)
{
    struct sto_value v;
    struct sto_error err = {0};
    if (sto_json_read(arena, text, strlen(text), &v, &err) != STO_OK)
        fail_msg("%s: %s", text, err.message);
    return v;
}

static void check_write(const char *text, const struct sto_json_style *style, const char *expected)
{
    struct sto_arena arena = {0};
    struct sto_json_text out = {0};
    assert_int_equal(sto_json_write(&out, read_ok(&arena, text), style, NULL), STO_OK);
    assert_string_equal(out.data, expected);
    assert_int_equal(out.size, strlen(expected));
    sto_free(out.data);
    sto_arena_free(&arena);
}

static void writes_as_python(void **state)
{
    (void)state;
    check_write(" { } ", NULL, "{}");
    check_write("[\t]\r\n", NULL, "[]");
    check_write("{\"b\":1,\"a\":[true,false,null,-7,1.50]}", NULL, "{\"b\": 1, \"a\": [true, false, null, -7, 1.5]}");
    check_write("\"a\\u00e9\\n\\t\\u0001\\u007f\\/\\\\\\\"\\ud83d\\ude00\"", NULL,
                "\"a\u00e9\\n\\t\\u0001\x7f/\\\\\\\"\U0001f600\"");
    check_write("\"\\u00e9\\ud83d\\ude00\\u007f\"", &(struct sto_json_style){.ascii = true},
                "\"\\u00e9\\ud83d\\ude00\\u007f\"");
    check_write("{\"b\":[1,{}],\"a\":{\"c\":[]}}", &(struct sto_json_style){.indented = true, .indent = 2},
                "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": {\n    \"c\": []\n  }\n}");
    check_write("[1,[2]]", &(struct sto_json_style){.indented = true}, "[\n1,\n[\n2\n]\n]");
    check_write("{\"b\":1,\"a\":2,\"ab\":3}", &(struct sto_json_style){.sort_keys = true},
                "{\"a\": 2, \"ab\": 3, \"b\": 1}");
    check_write("{\"b\":[1,2]}", &(struct sto_json_style){.item_separator = ",", .key_separator = ":"},
                "{\"b\":[1,2]}");
    check_write("\"\\ud800x\\udc00\"", NULL, "\"\uFFFDx\uFFFD\"");
}

static void keeps_order_and_the_last_of_equal_keys(void **state)
{
    (void)state;
    check_write("{\"z\":1,\"y\":2,\"z\":3}", NULL, "{\"z\": 3, \"y\": 2}");
    struct sto_arena arena = {0};
    struct sto_object *o = sto_object_create(&arena);
    char key[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "k%d", i * 7919 % 1000); /* every key three times */
        assert_true(sto_object_set(&arena, o, key, sto_value_int(i)));
    }
    assert_int_equal(o->n, 1000);
    for (int i = 0; i < 1000; i++) {
        const int n = snprintf(key, sizeof key, "k%d", i * 7919 % 1000);
        const struct sto_value *v = sto_object_find(o, key, (size_t)n);
        assert_non_null(v);
        assert_int_equal(v->integer, 2000 + i);
        assert_string_equal(o->fields[i].key->data, key);
    }
    assert_null(sto_object_find(o, "k1000", 5));
    assert_null(sto_object_find(o, "", 0));
    sto_arena_free(&arena);
}

static void numbers_keep_their_kind(void **state)
{
    (void)state;
    static const struct {
        const char *text, *python;
    } cases[] = {
        {"0", "0"},
        {"-0", "0"},
        {"-0.0", "-0.0"},
        {"12", "12"},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"9223372036854775808", "9.223372036854776e+18"},
        {"1.0", "1.0"},
        {"1e2", "100.0"},
        {"1E+16", "1e+16"},
        {"1e15", "1000000000000000.0"},
        {"123456789012345680.0", "1.2345678901234568e+17"},
        {"0.0001", "0.0001"},
        {"0.00001", "1e-05"},
        {"5e-324", "5e-324"},
        {"1e23", "1e+23"},
        {"3.141592653589793", "3.141592653589793"},
        {"0.3333333333333333", "0.3333333333333333"},
        {"9007199254740993.0", "9007199254740992.0"},
        {"-1.25e-7", "-1.25e-07"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"1e400", "Infinity"},
        {"1e-400", "0.0"},
        {"0.000000000000000000000000000001e30", "1.0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_write(cases[i].text, NULL, cases[i].python);
}

/* 2^53 + 1 lies exactly between two doubles; a digit far behind decides. */
static void long_numbers_round_correctly(void **state)
{
    (void)state;
    char text[3000];
    memset(text, '0', sizeof text);
    memcpy(text, "9007199254740993.", 17);
    text[sizeof text - 1] = '\0';
    check_write(text, NULL, "9007199254740992.0");
    text[sizeof text - 2] = '1';
    check_write(text, NULL, "9007199254740994.0");
}

/* Every double reads back from its text, and no shorter text does. */
static void floats_round_trip(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        char text[STO_FLOAT_TEXT_BYTES];
        double value, back;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(&value, &x, sizeof value);
        if (isnan(value) || isinf(value))
            continue;
        struct sto_value v;
        const size_t n = sto_float_text(value, text);
        assert_int_equal(sto_number_read(text, n, &v), n);
        back = v.kind == STO_VALUE_INT ? (double)v.integer : v.number;
        assert_memory_equal(&back, &value, sizeof value);
        assert_true(strtod(text, NULL) == value);
    }
}

static void refusals_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "line 1, column 1: the text ends where a value should be"},
        {"[1,\n 2,,3]", "line 2, column 4: expected a value"},
        {"{\"a\" 1}", "line 1, column 6: expected ':'"},
        {"{a: 1}", "line 1, column 2: expected a key in double quotes"},
        {"[1 2]", "line 1, column 4: expected ',' or ']'"},
        {"{\"a\":1 \"b\"}", "line 1, column 8: expected ',' or '}'"},
        {"\"abc", "line 1, column 1: the string has no end"},
        {"\"a\\\"", "line 1, column 1: the string has no end"},
        {"\"a\nb\"", "line 1, column 3: a control character in a string must be escaped"},
        {"\"a\\x\"", "line 1, column 4: no such escape"},
        {"\"\\u12g4\"", "line 1, column 4: \\u needs four hexadecimal digits"},
        {"\"\xc3\"", "line 1, column 2: not valid UTF-8"},
        {"\"\xed\xa0\x80\"", "line 1, column 2: not valid UTF-8"},
        {"01", "line 1, column 1: expected a value"},
        {"1.", "line 1, column 2: more text behind the value"},
        {"-", "line 1, column 1: expected a value"},
        {"nul", "line 1, column 1: expected a value"},
        {"NaN", "line 1, column 1: expected a value"},
        {"[] []", "line 1, column 4: more text behind the value"},
        {"[1,]", "line 1, column 4: expected a value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_arena arena = {0};
        struct sto_value v;
        struct sto_error err = {0};
        assert_int_equal(sto_json_read(&arena, cases[i].text, strlen(cases[i].text), &v, &err), STO_ERR_USAGE);
        assert_string_equal(err.message, cases[i].message);
        sto_arena_free(&arena);
    }
}

static void depth_is_limited(void **state)
{
    (void)state;
    struct sto_arena arena = {0};
    struct sto_value v;
    struct sto_error err = {0};
    struct sto_json_text out = {0};
    char text[2 * (STO_JSON_MAX_DEPTH + 1)];
    memset(text, '[', STO_JSON_MAX_DEPTH + 1);
    memset(text + STO_JSON_MAX_DEPTH + 1, ']', STO_JSON_MAX_DEPTH + 1);
    assert_int_equal(sto_json_read(&arena, text, sizeof text, &v, &err), STO_ERR_USAGE);
    assert_string_equal(err.message, "line 1, column 129: nested too deep");
    assert_int_equal(sto_json_read(&arena, text + 1, sizeof text - 2, &v, &err), STO_OK);
    assert_int_equal(sto_json_write(&out, v, NULL, &err), STO_OK);
    assert_int_equal(out.size, 2 * STO_JSON_MAX_DEPTH);
    struct sto_list *self = sto_list_create(&arena);
    assert_true(sto_list_add(&arena, self, sto_value_of_list(self)));
    assert_int_equal(sto_json_write(&out, sto_value_of_list(self), NULL, &err), STO_ERR_USAGE);
    sto_free(out.data);
    out = (struct sto_json_text){.max_size = 4};
    assert_int_equal(sto_json_write(&out, sto_value_string(&arena, "abc"), NULL, &err), STO_ERR_FAILED);
    sto_free(out.data);
    sto_arena_free(&arena);
}

static void copies_stand_alone(void **state)
{
    (void)state;
    struct sto_arena first = {0}, second = {0};
    struct sto_value copy;
    struct sto_json_text out = {0};
    static const char text[] = "{\"a\": [1, 2.5, \"x\", null, true], \"b\": {\"c\": {}}}";
    assert_true(sto_value_copy(&second, read_ok(&first, text), &copy));
    sto_arena_free(&first);
    assert_int_equal(sto_json_write(&out, copy, NULL, NULL), STO_OK);
    assert_string_equal(out.data, text);
    assert_true(sto_value_is_text(sto_value_get(copy, "a").list->items[2], "x"));
    assert_int_equal(sto_value_get(sto_value_get(copy, "b"), "none").kind, STO_VALUE_UNDEFINED);
    sto_free(out.data);
    sto_arena_free(&second);
}

/* Each allocation fails in turn: an error, never a crash or a half value that looks whole. */
static void memory_may_run_out(void **state)
{
    (void)state;
    static char text[400000];
    size_t n = 0;
    text[n++] = '{';
    for (int i = 0; i < 20000; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s\"k%d\":[%d]", i > 0 ? "," : "", i, i);
    text[n++] = '}';
    for (uint64_t at = 1;; at++) {
        struct sto_arena arena = {0};
        struct sto_value v;
        struct sto_error err = {0};
        sto_alloc_fail_after(at);
        const enum sto_status status = sto_json_read(&arena, text, n, &v, &err);
        sto_alloc_fail_after(0);
        sto_arena_free(&arena);
        if (status == STO_OK) {
            assert_true(at > 10);
            break;
        }
        assert_int_equal(status, STO_ERR_FAILED);
        assert_non_null(strstr(err.message, "no memory"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_as_python),
        cmocka_unit_test(keeps_order_and_the_last_of_equal_keys),
        cmocka_unit_test(numbers_keep_their_kind),
        cmocka_unit_test(long_numbers_round_correctly),
        cmocka_unit_test(floats_round_trip),
        cmocka_unit_test(refusals_say_where),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(copies_stand_alone),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

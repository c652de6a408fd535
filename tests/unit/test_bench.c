/* What strato bench computes without a device: lists and ranges, statistics, bytes and operations of a test. Expected
 * values are worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "host/cli/bench.h"
#include "host/cli/bench_stats.h"

/* ---- lists ---- */

static enum sto_status read_list(const char *text, uint32_t low, uint32_t high, struct sto_bench_list *list,
                                 struct sto_error *err)
{
    const struct sto_text_list texts = {.items = {text}, .n = 1};
    *list = (struct sto_bench_list){0};
    return sto_bench_list_read("-x", &texts, low, high, list, err);
}

static void lists_and_ranges_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        uint32_t values[9];
    } cases[] = {
        {"512", 1, {512}},
        {"0", 1, {0}},
        {"512,0,7", 3, {512, 0, 7}},
        {"1-4", 4, {1, 2, 3, 4}},
        {"3-3", 1, {3}},
        {"0-4096+1024", 5, {0, 1024, 2048, 3072, 4096}},
        {"0-10+4", 3, {0, 4, 8}},
        {"1-128*2", 8, {1, 2, 4, 8, 16, 32, 64, 128}},
        {"10-100*3", 3, {10, 30, 90}},
        {"7,1-2,100-300+100", 6, {7, 1, 2, 100, 200, 300}},
        {"1048576", 1, {1048576}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_bench_list list;
        struct sto_error err = {0};
        if (read_list(cases[i].text, 0, 1048576, &list, &err) != STO_OK)
            fail_msg("'%s': %s", cases[i].text, err.message);
        assert_int_equal(list.n, cases[i].n);
        assert_memory_equal(list.values, cases[i].values, list.n * sizeof *list.values);
    }
}

static void an_option_given_twice_adds_to_its_list(void **state)
{
    (void)state;
    const struct sto_text_list texts = {.items = {"5", "1-2"}, .n = 2};
    struct sto_bench_list list = {0};
    struct sto_error err;
    assert_int_equal(sto_bench_list_read("-x", &texts, 0, 9, &list, &err), STO_OK);
    assert_int_equal(list.n, 3);
    assert_true(list.values[0] == 5 && list.values[1] == 1 && list.values[2] == 2);
    assert_int_equal(sto_bench_list_max(&list), 5);
}

static void what_is_no_list_is_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      "x",     "-1",     "1,",     ",1",    "1,,2",  "1-",      "4-1",
                                      "1-4+0", "1-4*1", "0-8*2",  "1-4+",   "1-4*",  "1-4x",  "1 2",     "1.5",
                                      "0x10",  "1-4-8", "1-4+1+1", "99999999999", "1-99999999999", "65537", "1-64000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sto_bench_list list;
        struct sto_error err = {0};
        if (read_list(bad[i], 0, 65536, &list, &err) != STO_ERR_USAGE)
            fail_msg("'%s' was taken", bad[i]);
        assert_memory_equal(err.message, "-x: '", 5);
        assert_null(strchr(err.message, '\n'));
    }
    struct sto_bench_list list;
    struct sto_error err = {0};
    assert_int_equal(read_list("0", 1, 9, &list, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "numbers from 1 to 9"));
    assert_int_equal(read_list("1-64", 0, 64, &list, &err), STO_OK);
    assert_int_equal(read_list("0-64", 0, 64, &list, &err), STO_ERR_USAGE);
}

/* ---- statistics ---- */

static void statistics_are_those_of_the_textbook(void **state)
{
    (void)state;
    double samples[] = {9, 2, 4, 4, 5, 5, 4, 7}; /* mean 5; squares 16+9+1+1+0+0+1+4 = 32; 32 / 7 */
    const struct sto_bench_stats s = sto_bench_stats_of(samples, 8);
    assert_true(fabs(s.mean - 5.0) < 1e-12);
    assert_true(fabs(s.stddev - sqrt(32.0 / 7.0)) < 1e-12);
    assert_true(s.median == 4.5 && s.min == 2 && s.max == 9);
    double odd[] = {3, 1, 2};
    assert_true(sto_bench_stats_of(odd, 3).median == 2);
    double one[] = {7};
    const struct sto_bench_stats alone = sto_bench_stats_of(one, 1);
    assert_true(alone.mean == 7 && alone.stddev == 0 && alone.median == 7 && alone.min == 7 && alone.max == 7);
}

/* ---- work ---- */

/* Two layers of one head of 4: per layer a 10-element vector of 40 bytes and a matrix 8 x 8 of 100 bytes. */
static const struct sto_model_weight weights[] = {
    {.role = STO_W_TOKEN_EMBD, .rows = 50, .cols = 8, .bytes = 1000},
    {.role = STO_W_OUTPUT, .rows = 50, .cols = 8, .bytes = 700},
    {.role = STO_W_ATTN_NORM, .layer = 0, .rows = 1, .cols = 10, .bytes = 40},
    {.role = STO_W_Q, .layer = 0, .rows = 8, .cols = 8, .bytes = 100},
    {.role = STO_W_ATTN_NORM, .layer = 1, .rows = 1, .cols = 10, .bytes = 40},
    {.role = STO_W_Q, .layer = 1, .rows = 8, .cols = 8, .bytes = 100},
};

static struct sto_bench_sizes sizes(size_t skip_output)
{
    static struct sto_model_weight list[6];
    static struct sto_model model;
    memset(&model, 0, sizeof model);
    size_t n = 0;
    for (size_t i = 0; i < 6; i++) {
        if (!(skip_output && weights[i].role == STO_W_OUTPUT))
            list[n++] = weights[i];
    }
    model.h.n_layers = 2;
    model.h.n_heads = 1;
    model.h.head_dim = 4;
    model.weights = list;
    model.n_weights = (uint32_t)n;
    return sto_bench_sizes_of(&model, 16);
}

static void sizes_leave_the_embedding_out_unless_it_is_the_output(void **state)
{
    (void)state;
    struct sto_bench_sizes s = sizes(0);
    assert_true(s.layer_bytes == 280 && s.output_bytes == 700 && s.total_bytes == 1980);
    assert_true(s.layer_elements == 128 && s.output_elements == 400 && s.total_elements == 948);
    assert_true(s.attention_flops == 32); /* 2 layers x 1 head x 4 x (2 + 2) */
    s = sizes(1);
    assert_true(s.layer_bytes == 280 && s.output_bytes == 1000 && s.output_elements == 400);
}

static void generation_reads_everything_per_token_and_a_growing_cache(void **state)
{
    (void)state;
    const struct sto_bench_sizes s = sizes(0);
    const struct sto_bench_test test = {.n_gen = 3, .n_depth = 100, .n_batch = 2048, .n_ubatch = 512};
    const struct sto_bench_work w = sto_bench_work_of(&s, &test);
    assert_int_equal(w.tokens, 3);
    assert_true(w.read_bytes == 3 * 980 + 16 * (101 + 102 + 103));
    assert_true(fabs(w.flops - (3 * 2.0 * (128 + 400) + 32.0 * (101 + 102 + 103))) < 1e-9);
}

static void a_prompt_reads_the_weights_once_per_pass(void **state)
{
    (void)state;
    const struct sto_bench_sizes s = sizes(0);
    /* Calls of 10 in passes of 4: 4 4 2, 4 4 2, 4 1 */
    const struct sto_bench_test test = {.n_prompt = 25, .n_depth = 7, .n_batch = 10, .n_ubatch = 4};
    const struct sto_bench_work w = sto_bench_work_of(&s, &test);
    const uint64_t ends[] = {4, 8, 10, 14, 18, 20, 24, 25};
    uint64_t bytes = 8 * 280 + 700;
    for (size_t i = 0; i < 8; i++)
        bytes += 16 * (7 + ends[i]);
    double attended = 0;
    for (int i = 0; i < 25; i++)
        attended += 7 + i + 1;
    assert_int_equal(w.tokens, 25);
    assert_true(w.read_bytes == bytes);
    assert_true(fabs(w.flops - (2.0 * 128 * 25 + 2.0 * 400 + 32 * attended)) < 1e-9);
}

static void tests_have_the_names_that_people_know(void **state)
{
    (void)state;
    char name[48];
    sto_bench_test_name(&(struct sto_bench_test){.n_prompt = 512}, name, sizeof name);
    assert_string_equal(name, "pp512");
    sto_bench_test_name(&(struct sto_bench_test){.n_gen = 128, .n_depth = 4096}, name, sizeof name);
    assert_string_equal(name, "tg128 @ d4096");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_and_ranges_are_read),
        cmocka_unit_test(an_option_given_twice_adds_to_its_list),
        cmocka_unit_test(what_is_no_list_is_named),
        cmocka_unit_test(statistics_are_those_of_the_textbook),
        cmocka_unit_test(sizes_leave_the_embedding_out_unless_it_is_the_output),
        cmocka_unit_test(generation_reads_everything_per_token_and_a_growing_cache),
        cmocka_unit_test(a_prompt_reads_the_weights_once_per_pass),
        cmocka_unit_test(tests_have_the_names_that_people_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

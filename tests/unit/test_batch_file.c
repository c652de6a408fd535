/* Files of prompts: which are JSON, what a line may say, seeds and hashes that depend on a line alone, and memory that
 * ends at every allocation in turn. What is refused, and how, tests/e2e/test_batch.py asks the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/batch_file.h"

static struct sto_batch_job defaults(void)
{
    struct sto_batch_job job = {.max_tokens = 9, .system = "S", .system_size = 1};
    sto_sampler_defaults(&job.sampling);
    job.sampling.seed = 5;
    return job;
}

static struct sto_batch_file read_as(const char *name, const char *text)
{
    const struct sto_batch_job job = defaults();
    struct sto_batch_file file;
    struct sto_error err = {0};
    if (sto_batch_file_read(name, text, strlen(text), &job, &file, &err) != STO_OK)
        fail_msg("%s", err.message);
    return file;
}

static void the_kind_of_a_file_by_its_name_and_first_line(void **state)
{
    static const struct {
        const char *name, *text;
        bool json;
    } cases[] = {
        {"a.jsonl", "{\"prompt\": \"x\"}", true}, {"a.ndjson", "{\"prompt\": \"x\"}", true},
        {"a.txt", "{\"prompt\": \"x\"}", false},  {"a", "\n \t\r\n{\"prompt\": \"x\"}", true},
        {"a.json", "\xef\xbb\xbf{\"prompt\": \"x\"}", true}, {"a", "x\n{\"prompt\": \"x\"}", false},
        {"txt", "{\"prompt\": \"x\"}", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_batch_file file = read_as(cases[i].name, cases[i].text);
        if (file.json != cases[i].json)
            fail_msg("case %zu is taken for %s", i, file.json ? "JSON" : "text");
        sto_batch_file_free(&file);
    }
}

static void lines_of_text_are_prompts(void **state)
{
    (void)state;
    struct sto_batch_file file = read_as("a.txt", "one\r\n\n  \t\r\n two \nthree");
    assert_int_equal(file.n, 3);
    assert_int_equal(file.lines[0].job.prompt_size, 3); /* without \r */
    assert_memory_equal(file.lines[1].job.prompt, " two ", 5);
    assert_int_equal(file.lines[1].number, 4);
    assert_int_equal(file.lines[2].number, 5);
    assert_int_equal(file.lines[2].job.max_tokens, 9);
    assert_null(file.lines[0].id);
    sto_batch_file_free(&file);
}

static void what_a_line_says_takes_the_place_of_the_defaults(void **state)
{
    (void)state;
    struct sto_batch_file file = read_as(
        "a", "{\"id\": -3, \"prompt\": \"a\\u0000b\", \"system\": \"\", \"max_tokens\": 4294967295, \"raw\": true,"
             " \"stop\": [\"x\", \"yz\"], \"temperature\": 2, \"top_k\": 0, \"top_p\": 1, \"min_p\": 0.25,"
             " \"seed\": 9223372036854775807}\n"
             "{\"messages\": [{\"role\": \"user\", \"content\": \"h\"}], \"id\": \"\\u00e4\", \"stop\": \"s\"}\n");
    const struct sto_batch_line *a = &file.lines[0], *b = &file.lines[1];
    assert_int_equal(file.n, 2);
    assert_string_equal(a->id, "-3");
    assert_true(a->id_is_number && !b->id_is_number);
    assert_int_equal(a->job.prompt_size, 3);
    assert_memory_equal(a->job.prompt, "a\0b", 3);
    assert_non_null(a->job.system);
    assert_int_equal(a->job.system_size, 0);
    assert_true(a->job.max_tokens == UINT32_MAX && a->job.raw);
    assert_int_equal(a->job.n_stops, 2);
    assert_string_equal(a->job.stops[1], "yz");
    assert_true(a->job.sampling.temperature == 2.0f && a->job.sampling.top_k == 0 && a->job.sampling.top_p == 1.0f &&
                a->job.sampling.min_p == 0.25f);
    assert_true(a->job.sampling.seed == INT64_MAX);
    assert_null(b->job.prompt);
    assert_memory_equal(b->job.messages, "[{\"role\": \"user\"", 16);
    assert_string_equal(b->id, "\xc3\xa4");
    assert_string_equal(b->job.stops[0], "s");
    assert_int_equal(b->job.max_tokens, 9);
    assert_string_equal(b->job.system, "S");
    sto_batch_file_free(&file);
}

/* With ids, the order does not matter; without, the place among the prompts does, but not among the lines. */
static void seeds_and_hashes_depend_on_the_line_alone(void **state)
{
    (void)state;
    struct sto_batch_file a = read_as("a", "{\"id\": \"p\", \"prompt\": \"x\"}\n{\"id\": \"q\", \"prompt\": \"x\"}");
    struct sto_batch_file b = read_as("b", "{\"id\": \"q\", \"prompt\": \"x\"}\n{\"prompt\": \"x\", \"id\": \"p\"}");
    struct sto_batch_file c = read_as("c.txt", "x\nx\ny"), d = read_as("d.txt", "\n\nx\n\nx\ny");
    for (size_t i = 0; i < 2; i++) {
        assert_true(a.lines[i].job.sampling.seed == b.lines[1 - i].job.sampling.seed);
        assert_true(a.lines[i].hash == b.lines[1 - i].hash);
    }
    assert_true(a.lines[0].job.sampling.seed != a.lines[1].job.sampling.seed);
    for (size_t i = 0; i < 3; i++)
        assert_true(c.lines[i].hash == d.lines[i].hash && c.lines[i].job.sampling.seed <= INT64_MAX);
    assert_true(c.lines[0].job.sampling.seed != c.lines[1].job.sampling.seed);
    sto_batch_file_free(&a);
    sto_batch_file_free(&b);
    sto_batch_file_free(&c);
    sto_batch_file_free(&d);
}

static uint64_t hash_of(const char *line)
{
    struct sto_batch_file file = read_as("a", line);
    const uint64_t hash = file.lines[0].hash;
    sto_batch_file_free(&file);
    return hash;
}

static void everything_that_a_line_says_changes_its_hash(void **state)
{
    static const char *const lines[] = {
        "{\"seed\": 1, \"prompt\": \"x\"}", "{\"seed\": 2, \"prompt\": \"x\"}", "{\"seed\": 1, \"prompt\": \"y\"}",
        "{\"seed\": 1, \"prompt\": \"x\", \"system\": \"\"}", "{\"seed\": 1, \"prompt\": \"x\", \"max_tokens\": 1}",
        "{\"seed\": 1, \"prompt\": \"x\", \"stop\": \"a\"}", "{\"seed\": 1, \"prompt\": \"x\", \"raw\": true}",
        "{\"seed\": 1, \"prompt\": \"x\", \"temperature\": 0.5}", "{\"seed\": 1, \"prompt\": \"x\", \"top_k\": 3}",
        "{\"seed\": 1, \"prompt\": \"x\", \"top_p\": 0.5}", "{\"seed\": 1, \"prompt\": \"x\", \"min_p\": 0.5}",
        "{\"seed\": 1, \"messages\": [1]}", "{\"seed\": 1, \"messages\": [2]}",
        "{\"seed\": 1, \"prompt\": \"x\", \"stop\": [\"a\", \"b\"]}",
        "{\"seed\": 1, \"prompt\": \"x\", \"stop\": \"ab\"}",
    };
    enum { N = sizeof lines / sizeof *lines };
    (void)state;
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < i; k++) {
            if (hash_of(lines[i]) == hash_of(lines[k]))
                fail_msg("%s and %s have one hash", lines[i], lines[k]);
        }
    }
}

static void memory_ends_at_every_allocation_in_turn(void **state)
{
    static const char text[] = "{\"id\": \"p\", \"prompt\": \"x\", \"stop\": [\"a\"], \"system\": \"s\"}\n"
                               "{\"id\": 2, \"messages\": [{\"role\": \"user\"}]}\n";
    const struct sto_batch_job job = defaults();
    enum sto_status status = STO_ERR_NO_FIT;
    (void)state;
    for (uint64_t n = 1; status != STO_OK; n++) {
        struct sto_batch_file file;
        struct sto_error err = {0};
        sto_alloc_fail_after(n);
        status = sto_batch_file_read("a", text, sizeof text - 1, &job, &file, &err);
        sto_alloc_fail_after(0);
        sto_batch_file_free(&file);
        assert_true(status == STO_OK || err.message[0] != '\0');
        assert_true(n < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kind_of_a_file_by_its_name_and_first_line),
        cmocka_unit_test(lines_of_text_are_prompts),
        cmocka_unit_test(what_a_line_says_takes_the_place_of_the_defaults),
        cmocka_unit_test(seeds_and_hashes_depend_on_the_line_alone),
        cmocka_unit_test(everything_that_a_line_says_changes_its_hash),
        cmocka_unit_test(memory_ends_at_every_allocation_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

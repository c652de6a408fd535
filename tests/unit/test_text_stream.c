/* Stop strings over a stream, against the plainest way of saying it: the text ends before the stop string that is
 * complete first, whatever the pieces in which it came; what is held back is how a stop string begins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/text_stream.h"
#include "runtime/base/mem.h"

enum { MOST_TEXT = 64 };

struct stop_set {
    size_t n;
    const char *stops[4];
};

static const struct stop_set sets[] = {
    {0, {NULL}},
    {1, {"a"}},
    {1, {"ab"}},
    {1, {"aab"}},
    {1, {"abab"}},
    {2, {"abcd", "bc"}},
    {2, {"bc", "abcd"}},
    {3, {"abc", "bc", "c"}},
    {3, {"c", "bc", "abc"}},
    {2, {"aaa", "ba"}},
    {3, {"cab", "abca", "aaaa"}},
    {1, {"\xc3\xa9"}},                     /* an accented e            */
    {2, {"\xe2\x82\xac!", "x\xe2\x82\xac"}}, /* the euro sign with more */
    {1, {"a b"}},
};

/* Where the text ends, and whether a stop string ended it: by looking at ever longer beginnings. */
static size_t plain_end(const char *text, size_t size, const struct stop_set *set, bool *stopped)
{
    for (size_t end = 1; end <= size; end++) {
        size_t longest = 0;
        for (size_t i = 0; i < set->n; i++) {
            const size_t n = strlen(set->stops[i]);
            if (n <= end && memcmp(text + end - n, set->stops[i], n) == 0 && n > longest)
                longest = n;
        }
        if (longest > 0) {
            *stopped = true;
            return end - longest;
        }
    }
    *stopped = false;
    return size;
}

/* Bytes at the end of the text that must wait: the longest that begin a stop string without completing it. */
static size_t plain_held(const char *text, size_t size, const struct stop_set *set)
{
    size_t held = 0;
    for (size_t i = 0; i < set->n; i++) {
        for (size_t n = 1; n < strlen(set->stops[i]) && n <= size; n++) {
            if (memcmp(text + size - n, set->stops[i], n) == 0 && n > held)
                held = n;
        }
    }
    return held;
}

/* Sends text in pieces: bit i of cuts parts byte i from the next. */
static void send(const char *text, size_t size, const struct stop_set *set, uint64_t cuts)
{
    struct sto_text_stream s = {.stops = set->stops, .n_stops = set->n};
    char got[MOST_TEXT + 1] = "";
    size_t n_got = 0, from, to;
    bool stopped;
    const size_t expected = plain_end(text, size, set, &stopped);
    for (size_t at = 0; at < size && !s.stopped;) {
        size_t n = 1;
        while (at + n < size && !(cuts >> (at + n - 1) & 1))
            n++;
        assert_int_equal(sto_text_stream_add(&s, text + at, n, &from, &to, NULL), STO_OK);
        at += n;
        assert_true(from == n_got && from <= to && to <= s.size);
        memcpy(got + n_got, s.text + from, to - from);
        n_got += to - from;
        if (!s.stopped && at - n_got != plain_held(text, at, set))
            fail_msg("'%.*s': %zu bytes held back, expected %zu", (int)at, text, at - n_got,
                     plain_held(text, at, set));
    }
    assert_int_equal(s.stopped, stopped);
    sto_text_stream_finish(&s, &from, &to);
    memcpy(got + n_got, s.text + from, to - from);
    n_got += to - from;
    if (n_got != expected || memcmp(got, text, expected) != 0 || s.size != expected)
        fail_msg("'%.*s' cut at %llx gives '%.*s'", (int)size, text, (unsigned long long)cuts, (int)n_got, got);
    assert_int_equal(s.text[s.size], '\0');
    sto_text_stream_free(&s);
}

static void every_cut_of_every_short_text(void **state)
{
    enum { LENGTH = 5, LETTERS = 4 };
    (void)state;
    for (size_t k = 0; k < sizeof sets / sizeof sets[0]; k++) {
        for (uint32_t code = 0; code < 1u << (2 * LENGTH); code++) {
            char text[LENGTH];
            for (size_t i = 0; i < LENGTH; i++)
                text[i] = "abc "[code >> (2 * i) & (LETTERS - 1)];
            for (uint64_t cuts = 0; cuts < 1u << (LENGTH - 1); cuts++)
                send(text, LENGTH, &sets[k], cuts);
        }
    }
}

static void every_cut_of_longer_texts(void **state)
{
    static const char *const texts[] = {"abaababaab", "caf\xc3\xa9 a b", "x\xe2\x82\xacy\xe2\x82\xac!", "aaaabcabca",
                                        "\xc3\xa8\xc3\xa9", "cababcd abc"};
    (void)state;
    for (size_t k = 0; k < sizeof sets / sizeof sets[0]; k++) {
        for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
            const size_t size = strlen(texts[t]);
            for (uint64_t cuts = 0; cuts < 1u << (size - 1); cuts++)
                send(texts[t], size, &sets[k], cuts);
        }
    }
}

static void text_after_a_stop_is_ignored(void **state)
{
    const char *const stops[] = {"stop"};
    struct sto_text_stream s = {.stops = stops, .n_stops = 1};
    size_t from, to;
    (void)state;
    assert_int_equal(sto_text_stream_add(&s, "go st", 5, &from, &to, NULL), STO_OK);
    assert_int_equal(to, 3);
    assert_int_equal(sto_text_stream_add(&s, "op and more", 11, &from, &to, NULL), STO_OK);
    assert_true(s.stopped && from == to && s.size == 3);
    assert_string_equal(s.text, "go ");
    sto_text_stream_free(&s);
}

static void nothing_added_is_an_empty_text(void **state)
{
    struct sto_text_stream s = {0};
    size_t from = 1, to = 2;
    (void)state;
    assert_int_equal(sto_text_stream_add(&s, "", 0, &from, &to, NULL), STO_OK);
    assert_true(from == 0 && to == 0 && s.size == 0);
    assert_string_equal(s.text, "");
    sto_text_stream_finish(&s, &from, &to);
    assert_true(from == 0 && to == 0);
    sto_text_stream_free(&s);
}

static void reserved_room_is_enough(void **state)
{
    struct sto_text_stream s = {0};
    size_t from, to;
    (void)state;
    assert_int_equal(sto_text_stream_reserve(&s, 1000, NULL), STO_OK);
    const uint64_t before = sto_alloc_count();
    for (int i = 0; i < 100; i++)
        assert_int_equal(sto_text_stream_add(&s, "0123456789", 10, &from, &to, NULL), STO_OK);
    assert_int_equal(sto_alloc_count(), before);
    assert_int_equal(s.size, 1000);
    sto_alloc_fail_after(1);
    assert_int_equal(sto_text_stream_add(&s, "x", 1, &from, &to, NULL), STO_ERR_NO_FIT);
    sto_alloc_fail_after(0);
    assert_true(from == to && s.size == 1000);
    sto_text_stream_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_of_every_short_text),
        cmocka_unit_test(every_cut_of_longer_texts),
        cmocka_unit_test(text_after_a_stop_is_ignored),
        cmocka_unit_test(nothing_added_is_an_empty_text),
        cmocka_unit_test(reserved_room_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* runtime/base: errors, memory, the cursor, and the seam to the operating system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/cursor.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

/* A folder of this test's own, made once. */
static char folder[512];

static const char *in_folder(const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "test_base.%llx", (unsigned long long)sto_wall_seed());
    struct sto_error err;
    return sto_make_dirs(folder, &err) == STO_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"a/b/c", "a/b", "a", "empty", "shrinks", "\xc3\xa9t\xc3\xa9", "x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)remove(in_folder(names[i]));
    return remove(folder);
}

/* ---- errors ---- */

static void errors_are_one_printable_line(void **state)
{
    (void)state;
    struct sto_error err;
    assert_int_equal(sto_fail(&err, STO_ERR_MODEL, "a\nb\x1b[31m\xff \xc3\xa9 \xc2\x9b"), STO_ERR_MODEL);
    assert_int_equal(err.status, STO_ERR_MODEL);
    assert_string_equal(err.message, "a?b?[31m? \xc3\xa9 ??");
    assert_int_equal(sto_fail(NULL, STO_ERR_USAGE, "nobody reads this"), STO_ERR_USAGE);
}

static void long_errors_are_cut_at_a_character(void **state)
{
    (void)state;
    struct sto_error err;
    char text[3001] = "";
    for (int i = 0; i < 1500; i++)
        memcpy(text + 2 * i, "\xc3\xa9", 2);
    (void)sto_fail(&err, STO_ERR_FAILED, "%s", text);
    assert_true(strlen(err.message) >= sizeof err.message - 4);
    assert_true(sto_utf8_valid(err.message, strlen(err.message)));
    sto_error_prefix(&err, "file");
    assert_memory_equal(err.message, "file: \xc3\xa9", 8);
    assert_true(sto_utf8_valid(err.message, strlen(err.message)));
}

/* ---- memory ---- */

static void allocation_is_counted_checked_and_can_be_made_to_fail(void **state)
{
    (void)state;
    const uint64_t before = sto_alloc_count();
    char *p = sto_calloc(3, 5);
    assert_non_null(p);
    assert_int_equal(sto_alloc_count(), before + 1);
    for (int i = 0; i < 15; i++)
        assert_int_equal(p[i], 0);
    assert_null(sto_calloc(SIZE_MAX / 2, 3));
    assert_null(sto_realloc(p, SIZE_MAX / 2, 3));
    sto_alloc_fail_after(2);
    void *q = sto_calloc(1, 1);
    void *r = sto_calloc(1, 1);
    sto_alloc_fail_after(0);
    assert_non_null(q);
    assert_null(r);
    sto_free(q);
    sto_free(p);
    sto_free(sto_calloc(0, 0));
}

static void arenas_give_aligned_zeroed_memory(void **state)
{
    (void)state;
    struct sto_arena arena = {0};
    for (size_t n = 1; n < 200000; n = n * 3 + 1) {
        unsigned char *p = sto_arena_alloc(&arena, n, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xaa, n);
    }
    assert_null(sto_arena_alloc(&arena, SIZE_MAX / 4, 8));
    assert_string_equal(sto_arena_strndup(&arena, "hello", 4), "hell");
    sto_arena_free(&arena);
    sto_arena_free(&arena);
}

/* ---- cursor ---- */

static void a_cursor_stays_where_a_read_did_not_fit(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x80, 0x3f, 0x05};
    struct sto_cursor c = sto_cursor_make(bytes, sizeof bytes);
    assert_int_equal(sto_cursor_u32(&c), 0x04030201);
    assert_true(sto_cursor_f32(&c) == 1.0f);
    assert_int_equal(sto_cursor_u16(&c), 0);
    assert_true(c.failed);
    assert_int_equal(c.pos, 8);
    assert_int_equal(sto_cursor_u8(&c), 0);
    assert_null(sto_cursor_take(&c, 0));
    struct sto_cursor d = sto_cursor_make(bytes, sizeof bytes);
    assert_null(sto_cursor_take(&d, SIZE_MAX));
    assert_int_equal(d.pos, 0);
}

static void sums_and_products_say_when_they_overflow(void **state)
{
    (void)state;
    uint64_t v;
    assert_true(sto_add_u64(UINT64_MAX - 1, 1, &v) && v == UINT64_MAX);
    assert_false(sto_add_u64(UINT64_MAX, 1, &v));
    assert_true(sto_mul_u64(0, UINT64_MAX, &v) && v == 0);
    assert_true(sto_mul_u64(UINT64_MAX, 1, &v) && v == UINT64_MAX);
    assert_true(sto_mul_u64(UINT64_C(1) << 31, UINT64_C(1) << 32, &v) && v == UINT64_C(1) << 63);
    assert_false(sto_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &v));
}

/* Sequences from the table "Well-Formed UTF-8 Byte Sequences" of the Unicode standard, and their neighbours. */
static void utf8_is_what_unicode_says(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                       "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xed\xa0\x80",
                                      "\xef\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(sto_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(sto_utf8_valid(bad[i], strlen(bad[i])));
}

/* ---- files ---- */

static void a_file_written_is_the_file_read_and_mapped(void **state)
{
    (void)state;
    struct sto_error err = {0};
    enum { N = 300000 };
    static uint8_t bytes[N];
    for (int i = 0; i < N; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    const char *path = in_folder("\xc3\xa9t\xc3\xa9");
    assert_false(sto_file_exists(path));
    assert_int_equal(sto_file_write_atomic(path, "old", 3, &err), STO_OK);
    assert_int_equal(sto_file_write_atomic(path, bytes, N, &err), STO_OK);
    assert_true(sto_file_exists(path));

    char *data;
    size_t size;
    assert_int_equal(sto_file_read(path, N, &data, &size, &err), STO_OK);
    assert_int_equal(size, N);
    assert_memory_equal(data, bytes, N);
    assert_int_equal(data[N], 0);
    sto_free(data);
    assert_int_equal(sto_file_read(path, N - 1, &data, &size, &err), STO_ERR_FAILED);
    assert_null(data);
    assert_non_null(strstr(err.message, path));

    struct sto_map map;
    assert_int_equal(sto_map_open(path, &map, &err), STO_OK);
    assert_int_equal(map.size, N);
    assert_memory_equal(map.data, bytes, N);
    sto_map_will_need(&map, 5, 100000);
    sto_map_dont_need(&map, 5, UINT64_MAX);
    sto_map_will_need(&map, N, 1);
    assert_memory_equal(map.data, bytes, N);
    uint8_t part[1000];
    assert_int_equal(sto_map_read(&map, N - 1000, part, 1000, &err), STO_OK);
    assert_memory_equal(part, bytes + N - 1000, 1000);
    assert_int_equal(sto_map_read(&map, N - 999, part, 1000, &err), STO_ERR_FAILED);
    assert_int_equal(sto_map_read(&map, UINT64_MAX, part, 2, &err), STO_ERR_FAILED);
    assert_int_equal(sto_map_read(&map, N, part, 0, &err), STO_OK);
    sto_map_close(&map);
    sto_map_close(&map);
    sto_map_close(NULL);
}

static void what_is_no_file_gets_an_error_that_names_it(void **state)
{
    (void)state;
    struct sto_error err = {0};
    struct sto_map map;
    char *data;
    size_t size;
    const char *missing = in_folder("not-there");
    assert_int_equal(sto_map_open(missing, &map, &err), STO_ERR_FAILED);
    assert_non_null(strstr(err.message, "not-there"));
    assert_int_equal(sto_file_read(missing, 10, &data, &size, &err), STO_ERR_FAILED);
    assert_non_null(strstr(err.message, "not-there"));
    assert_int_equal(sto_map_open(folder, &map, &err), STO_ERR_FAILED);
    assert_non_null(strstr(err.message, "directory"));
    assert_non_null(strstr(err.message, folder));
    assert_int_equal(sto_file_read(folder, 10, &data, &size, &err), STO_ERR_FAILED);
    assert_non_null(strstr(err.message, folder));
    assert_int_equal(sto_file_write_atomic(in_folder("no/such/folder"), "x", 1, &err), STO_ERR_FAILED);
    assert_non_null(strstr(err.message, "no/such/folder"));
    assert_int_equal(sto_map_open("/dev/null", &map, &err), STO_ERR_FAILED);
    assert_non_null(strstr(err.message, "/dev/null: is not a regular file"));
}

static void a_map_filled_in_by_hand_stands_for_memory(void **state)
{
    (void)state;
    struct sto_error err = {0};
    const struct sto_map map = {.data = (const uint8_t *)"0123456789", .size = 10};
    char part[4];
    assert_int_equal(sto_map_read(&map, 6, part, 4, &err), STO_OK);
    assert_memory_equal(part, "6789", 4);
    assert_int_equal(sto_map_read(&map, 7, part, 4, &err), STO_ERR_FAILED);
    assert_int_equal(sto_map_read(&map, 11, part, 0, &err), STO_ERR_FAILED);
}

static void a_write_that_fails_leaves_nothing_behind(void **state)
{
    (void)state;
    struct sto_error err = {0};
    assert_int_equal(sto_make_dirs(in_folder("w/target"), &err), STO_OK);
    assert_int_equal(sto_file_write_atomic(in_folder("w/target"), "x", 1, &err), STO_ERR_FAILED);
    assert_non_null(strstr(err.message, in_folder("w/target")));
    assert_int_equal(remove(in_folder("w/target")), 0);
    assert_int_equal(remove(in_folder("w")), 0); /* empty: no temporary file lies beside the target */
}

static void an_empty_file_maps_to_nothing(void **state)
{
    (void)state;
    struct sto_error err = {0};
    struct sto_map map;
    const char *path = in_folder("empty");
    assert_int_equal(sto_file_write_atomic(path, "", 0, &err), STO_OK);
    assert_int_equal(sto_map_open(path, &map, &err), STO_OK);
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    sto_map_close(&map);
}

static void a_file_that_shrinks_is_an_error_when_read(void **state)
{
    (void)state;
    struct sto_error err = {0};
    struct sto_map map;
    static char bytes[20000];
    const char *path = in_folder("shrinks");
    assert_int_equal(sto_file_write_atomic(path, bytes, sizeof bytes, &err), STO_OK);
    assert_int_equal(sto_map_open(path, &map, &err), STO_OK);
    FILE *f = fopen(path, "wb"); /* truncates the very file that is mapped */
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(sto_map_read(&map, 10000, bytes, 100, &err), STO_ERR_FAILED);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, "shrunk"));
    sto_map_close(&map);
}

static void folders_are_made_with_their_parents(void **state)
{
    (void)state;
    struct sto_error err = {0};
    assert_int_equal(sto_make_dirs(in_folder("a/b/c"), &err), STO_OK);
    assert_int_equal(sto_make_dirs(in_folder("a/b/c"), &err), STO_OK);
    assert_true(sto_file_exists(in_folder("a/b/c")));
    assert_int_equal(sto_file_write_atomic(in_folder("x"), "", 0, &err), STO_OK);
    assert_int_equal(sto_make_dirs(in_folder("x/y"), &err), STO_ERR_FAILED);
    assert_non_null(strstr(err.message, "/x"));
    assert_int_equal(sto_make_dirs("", &err), STO_ERR_FAILED);
}

static void well_known_folders_fit_or_are_empty(void **state)
{
    (void)state;
    char path[1024], small[4];
    sto_program_dir(path, sizeof path);
    assert_true(strlen(path) > 1);
    assert_true(path[strlen(path) - 1] != '/');
    assert_true(sto_file_exists(path));
    sto_program_dir(small, sizeof small);
    assert_string_equal(small, "");
    sto_cache_dir(path, sizeof path);
    assert_true(path[0] == '\0' || strstr(path, "strato") != NULL);
    sto_cache_dir(small, sizeof small);
    assert_string_equal(small, "");
    sto_state_dir(path, sizeof path);
    assert_true(path[0] == '\0' || strstr(path, "strato") != NULL);
    sto_state_dir(small, sizeof small);
    assert_string_equal(small, "");
}

/* ---- threads and clock ---- */

struct relay {
    struct sto_mutex *mutex;
    struct sto_cond *cond;
    int turn, sum;
};

static void add_when_it_is_my_turn(struct relay *r, int me)
{
    for (int i = 0; i < 100; i++) {
        sto_mutex_lock(r->mutex);
        while (r->turn != me)
            sto_cond_wait(r->cond, r->mutex);
        r->sum += i;
        r->turn = 1 - me;
        sto_cond_broadcast(r->cond);
        sto_mutex_unlock(r->mutex);
    }
}

static void run_other(void *arg)
{
    add_when_it_is_my_turn(arg, 1);
}

static void two_threads_take_turns(void **state)
{
    (void)state;
    struct relay r = {.mutex = sto_mutex_create(), .cond = sto_cond_create()};
    assert_non_null(r.mutex);
    assert_non_null(r.cond);
    struct sto_thread *other = sto_thread_start(run_other, &r);
    assert_non_null(other);
    add_when_it_is_my_turn(&r, 0);
    sto_thread_join(other);
    assert_int_equal(r.sum, 2 * 4950);
    sto_cond_destroy(r.cond);
    sto_mutex_destroy(r.mutex);
    sto_thread_join(NULL);
    sto_cond_destroy(NULL);
    sto_mutex_destroy(NULL);
}

static void the_machine_has_processors_memory_and_a_clock(void **state)
{
    (void)state;
    assert_true(sto_cpu_count() >= 1);
    const uint64_t a = sto_now_ns(), b = sto_now_ns();
    assert_true(a > 0 && b >= a);
    assert_true(sto_wall_seed() != sto_wall_seed() || sto_wall_seed() != sto_wall_seed());
    assert_true(sto_ram_bytes() > 1 << 20);
    assert_true(sto_process_peak_rss() > 100000);
    assert_true(sto_process_pss() > 100000);
    assert_true(sto_process_peak_rss() < sto_ram_bytes());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_one_printable_line),
        cmocka_unit_test(long_errors_are_cut_at_a_character),
        cmocka_unit_test(allocation_is_counted_checked_and_can_be_made_to_fail),
        cmocka_unit_test(arenas_give_aligned_zeroed_memory),
        cmocka_unit_test(a_cursor_stays_where_a_read_did_not_fit),
        cmocka_unit_test(sums_and_products_say_when_they_overflow),
        cmocka_unit_test(utf8_is_what_unicode_says),
        cmocka_unit_test(a_file_written_is_the_file_read_and_mapped),
        cmocka_unit_test(what_is_no_file_gets_an_error_that_names_it),
        cmocka_unit_test(a_map_filled_in_by_hand_stands_for_memory),
        cmocka_unit_test(a_write_that_fails_leaves_nothing_behind),
        cmocka_unit_test(an_empty_file_maps_to_nothing),
        cmocka_unit_test(a_file_that_shrinks_is_an_error_when_read),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(well_known_folders_fit_or_are_empty),
        cmocka_unit_test(two_threads_take_turns),
        cmocka_unit_test(the_machine_has_processors_memory_and_a_clock),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

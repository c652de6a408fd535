/* runtime/vk on a real driver: memory, the recorder, hazards, pipelines and their cache, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/vk/recorder.h"
#include "shaders/shared/args.h"

static struct sto_device *device;
static char last_warning[1024];
static uint32_t n_warnings;

static void on_log(void *user, enum sto_log_level level, const char *line)
{
    (void)user;
    if (level == STO_LOG_ERROR)
        print_error("%s\n", line);
    if (level == STO_LOG_WARNING) {
        n_warnings++;
        (void)snprintf(last_warning, sizeof last_warning, "%s", line);
    }
}

static const struct sto_callbacks callbacks = {.log = on_log};

static void must(enum sto_status status, const struct sto_error *err)
{
    if (status != STO_OK)
        fail_msg("%s: %s", sto_status_name(status), err->message);
}

static int open_device(void **state)
{
    (void)state;
    struct sto_error err;
    const struct sto_device_params params = {.validation = true, .cache_dir = ""};
    const enum sto_status status = sto_device_open(&params, &callbacks, &device, &err);
    if (status == STO_ERR_NO_DEVICE) {
        print_message("no device: %s\n", err.message);
        return 0;
    }
    must(status, &err);
    if (!sto_device_validates(device))
        print_message("validation layers are not installed: this run does not check with them\n");
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    if (device == NULL)
        return 0;
    const uint32_t errors = sto_device_validation_errors(device);
    const uint64_t left = sto_device_bytes(device);
    sto_device_close(device);
    device = NULL;
    if (errors != 0)
        print_error("%u validation errors\n", (unsigned)errors);
    if (left != 0)
        print_error("%llu bytes of device memory were not given back\n", (unsigned long long)left);
    return errors != 0 || left != 0;
}

static void need_device(void)
{
    if (device == NULL)
        skip();
}

/* ---- helpers ---- */

static struct sto_buffer make(enum sto_memory memory, uint64_t bytes)
{
    struct sto_error err;
    struct sto_buffer b;
    must(sto_buffer_create(device, memory, bytes, "test", &b, &err), &err);
    return b;
}

/* y = factor * x + addend over n uint32. */
static void probe(struct sto_recording *rec, uint64_t y, uint64_t x, uint32_t n, uint32_t factor, uint32_t addend)
{
    const struct sto_tuning *t = &sto_device_get_plan(device)->tuning[STO_KERNEL_probe];
    const struct ProbeArgs args = {.x = x, .y = y, .n = n, .factor = factor, .addend = addend};
    const struct sto_use uses[] = {{x, 4 * (uint64_t)n, STO_READ}, {y, 4 * (uint64_t)n, STO_WRITE}};
    sto_record_dispatch(rec, &(struct sto_dispatch){.kernel = STO_KERNEL_probe,
                                                    .args = &args,
                                                    .groups = {(n / 4 + t->values[0] - 1) / t->values[0], 1, 1},
                                                    .uses = uses,
                                                    .n_uses = 2,
                                                    .flops = 2 * (uint64_t)n,
                                                    .bytes_moved = 8 * (uint64_t)n});
}

static void run(struct sto_recording *rec)
{
    struct sto_error err;
    uint64_t ticket = 0;
    must(sto_recording_finish(rec, &err), &err);
    must(sto_device_submit(device, rec, &ticket, &err), &err);
    must(sto_device_wait(device, ticket, &err), &err);
}

static struct sto_recording *begin(void)
{
    struct sto_error err;
    struct sto_recording *rec;
    must(sto_recording_create(device, &rec, &err), &err);
    sto_recording_begin(rec);
    return rec;
}

/* ---- the recorder ---- */

static void dependent_dispatches_run_in_order(void **state)
{
    (void)state;
    need_device();
    enum { N = 4096, STEPS = 200 };
    struct sto_buffer a = make(STO_MEMORY_DEVICE, 4 * N), b = make(STO_MEMORY_DEVICE, 4 * N);
    struct sto_recording *rec = begin();
    sto_record_fill(rec, &a, 0, 4 * N, 7);
    uint32_t expected = 7;
    for (uint32_t i = 0; i < STEPS; i++) {
        probe(rec, i % 2 == 0 ? b.address : a.address, i % 2 == 0 ? a.address : b.address, N, 3, i);
        expected = 3 * expected + i;
    }
    run(rec);
    struct sto_recording_stats stats;
    sto_recording_get_stats(rec, &stats);
    assert_int_equal(stats.dispatches, STEPS);
    assert_int_equal(stats.barriers, STEPS);
    uint32_t got[N];
    struct sto_error err;
    must(sto_download(device, &a, 0, got, sizeof got, &err), &err);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(got[i], expected);
    sto_recording_destroy(rec);
    sto_buffer_destroy(device, &a);
    sto_buffer_destroy(device, &b);
}

/* n commands that fill, copy or compute side by side or one after another. */
static void barriers_stand_where_uses_meet(void **state)
{
    (void)state;
    need_device();
    enum { N = 1024, BYTES = 4 * N };
    struct sto_buffer a = make(STO_MEMORY_DEVICE, 16 * BYTES);
    struct sto_recording *rec = begin();
    struct sto_recording_stats stats;
    for (uint32_t i = 0; i < 8; i++) /* each on a range of its own */
        sto_record_fill(rec, &a, i * BYTES, BYTES, i + 1);
    sto_recording_get_stats(rec, &stats);
    assert_int_equal(stats.barriers, 0);
    for (uint32_t i = 0; i < 4; i++) /* all read what was filled: one barrier serves the four */
        probe(rec, a.address + (8 + i) * BYTES, a.address + i * BYTES, N, 10, i);
    sto_recording_get_stats(rec, &stats);
    assert_int_equal(stats.barriers, 1);
    for (uint32_t i = 0; i < 2; i++) /* reads of the same range beside each other */
        probe(rec, a.address + (12 + i) * BYTES, a.address + 4 * BYTES, N, 1, i);
    sto_recording_get_stats(rec, &stats);
    assert_int_equal(stats.barriers, 1);
    sto_record_copy(rec, &a, 14 * BYTES, &a, 8 * BYTES, BYTES); /* reads what was just written */
    sto_record_fill(rec, &a, 8 * BYTES, BYTES, 99);             /* overwrites what was just read */
    run(rec);
    sto_recording_get_stats(rec, &stats);
    assert_int_equal(stats.barriers, 3);
    assert_int_equal(stats.dispatches, 6);
    assert_int_equal(stats.command_buffers, 1);
    static uint32_t got[16 * N];
    struct sto_error err;
    must(sto_download(device, &a, 0, got, 16 * BYTES - BYTES, &err), &err);
    static const uint32_t expected[15] = {1, 2, 3, 4, 5, 6, 7, 8, 99, 21, 32, 43, 5, 6, 10};
    for (uint32_t i = 0; i < 15 * N; i++)
        assert_int_equal(got[i], expected[i / N]);
    sto_recording_destroy(rec);
    sto_buffer_destroy(device, &a);
}

/* The longest of n batches that take time_ns together; not all of them were timed when n is 0. */
static void check_longest_batch(uint32_t n, uint64_t time_ns)
{
    struct sto_queue_stats stats;
    sto_device_get_queue_stats(device, &stats);
    assert_true(stats.longest_batch_ns > 0);
    assert_true(stats.longest_batch_ns < time_ns);
    assert_true(n == 0 || stats.longest_batch_ns >= time_ns / n);
}

static void recordings_are_cut_at_the_work_bound(void **state)
{
    (void)state;
    need_device();
    enum { N = 256 };
    struct sto_buffer a = make(STO_MEMORY_DEVICE, 4 * N);
    struct sto_recording *rec = begin();
    struct sto_recording_stats stats;
    const uint64_t bound = sto_device_work_bound(device);
    const struct ProbeArgs args = {.x = a.address, .y = a.address, .n = N, .factor = 2, .addend = 1};
    const struct sto_use use = {a.address, 4 * N, STO_READ_WRITE};
    struct sto_dispatch d = {
        .kernel = STO_KERNEL_probe, .args = &args, .groups = {N / 4, 1, 1}, .uses = &use, .n_uses = 1};
    sto_record_fill(rec, &a, 0, 4 * N, 0);
    uint32_t expected = 0;
    for (uint32_t i = 0; i < 10; i++) { /* two of these fit into a batch */
        d.flops = bound / 2 - bound / 10;
        sto_record_dispatch(rec, &d);
        expected = 2 * expected + 1;
    }
    d.flops = 10 * bound; /* one that does not fit has a batch to itself */
    sto_record_dispatch(rec, &d);
    expected = 2 * expected + 1;
    d.flops = 1;
    sto_record_dispatch(rec, &d);
    expected = 2 * expected + 1;
    sto_device_restart_longest_batch(device);
    run(rec);
    check_longest_batch(5 + 1 + 1, sto_recording_time_ns(rec));
    sto_recording_get_stats(rec, &stats);
    assert_int_equal(stats.command_buffers, 5 + 1 + 1);
    uint32_t got[N];
    struct sto_error err;
    must(sto_download(device, &a, 0, got, sizeof got, &err), &err);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(got[i], expected);

    /* Begun again it takes what it has: nothing is allocated, then or when it runs. */
    for (int round = 0; round < 3; round++) {
        const uint64_t before = sto_alloc_count();
        sto_recording_begin(rec);
        for (uint32_t i = 0; i < 4; i++)
            sto_record_dispatch(rec, &d);
        run(rec);
        assert_int_equal(sto_alloc_count(), before);
        for (uint32_t i = 0; i < 4; i++)
            expected = 2 * expected + 1;
    }
    must(sto_download(device, &a, 0, got, sizeof got, &err), &err);
    assert_int_equal(got[N - 1], expected);

    /* More batches than are timed one by one. */
    enum { MANY = 150 };
    d.flops = 10 * sto_device_work_bound(device);
    sto_recording_begin(rec);
    for (uint32_t i = 0; i < MANY; i++)
        sto_record_dispatch(rec, &d);
    sto_device_restart_longest_batch(device);
    run(rec);
    sto_recording_get_stats(rec, &stats);
    assert_int_equal(stats.command_buffers, MANY);
    check_longest_batch(0, sto_recording_time_ns(rec));
    sto_recording_destroy(rec);
    sto_buffer_destroy(device, &a);
}

static void a_recording_replays_with_what_lies_in_memory(void **state)
{
    (void)state;
    need_device();
    enum { N = 64 };
    struct sto_error err;
    struct sto_buffer in = make(STO_MEMORY_UPLOAD, 4 * N), mid = make(STO_MEMORY_DEVICE, 4 * N),
                      out = make(STO_MEMORY_READBACK, 4 * N), groups = make(STO_MEMORY_DEVICE, 64);
    struct sto_recording *rec = begin();
    const struct ProbeArgs args = {.x = in.address, .y = mid.address, .n = N, .factor = 1, .addend = 1};
    const struct sto_use uses[] = {{in.address, 4 * N, STO_READ}, {mid.address, 4 * N, STO_WRITE}};
    sto_record_fill(rec, &groups, 16, 12, 1);
    sto_record_fill(rec, &groups, 16, 4, N / 4);
    sto_record_dispatch(rec, &(struct sto_dispatch){.kernel = STO_KERNEL_probe, .args = &args, .indirect = &groups,
                                                    .indirect_offset = 16, .uses = uses, .n_uses = 2});
    sto_record_copy(rec, &out, 0, &mid, 0, 4 * N);
    must(sto_recording_finish(rec, &err), &err);
    struct sto_recording_stats stats;
    sto_recording_get_stats(rec, &stats);
    assert_int_equal(stats.barriers, 3); /* fill after fill, indirect after fill, copy after dispatch */
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < N; i++)
            ((uint32_t *)in.mapped)[i] = 100 * round + i;
        uint64_t ticket;
        const uint64_t before = sto_alloc_count();
        must(sto_device_submit(device, rec, &ticket, &err), &err);
        must(sto_device_wait(device, ticket, &err), &err);
        assert_int_equal(sto_alloc_count(), before);
        for (uint32_t i = 0; i < N; i++)
            assert_int_equal(((uint32_t *)out.mapped)[i], 100 * round + i + 1);
    }
    sto_recording_destroy(rec);
    sto_buffer_destroy(device, &in);
    sto_buffer_destroy(device, &mid);
    sto_buffer_destroy(device, &out);
    sto_buffer_destroy(device, &groups);
}

static void impossible_commands_fail_the_recording(void **state)
{
    (void)state;
    need_device();
    struct sto_error err;
    struct sto_buffer a = make(STO_MEMORY_DEVICE, 100);
    const struct ProbeArgs args = {.x = a.address, .y = a.address, .n = 4};
    const struct sto_dispatch too_many = {
        .kernel = STO_KERNEL_probe, .args = &args, .groups = {1, UINT32_MAX, 1}, .uses = NULL, .n_uses = 0};
    static const char *const messages[] = {"copy: outside of a buffer", "copy: outside of a buffer", "fill: outside",
                                           "fill: outside", "probe: 4294967295 workgroups in dimension 1",
                                           "probe: too many uses, or no arguments", "probe: group counts outside"};
    struct sto_recording *rec = begin();
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        sto_recording_begin(rec);
        struct sto_dispatch d = too_many;
        switch (i) {
        case 0: sto_record_copy(rec, &a, 60, &a, 0, 41); break;
        case 1: sto_record_copy(rec, &a, 0, &a, UINT64_MAX, 1); break;
        case 2: sto_record_fill(rec, &a, 98, 4, 0); break;
        case 3: sto_record_fill(rec, &a, 2, 4, 0); break;
        case 4: sto_record_dispatch(rec, &d); break;
        case 5:
            d.args = NULL;
            sto_record_dispatch(rec, &d);
            break;
        default:
            d.indirect = &a;
            d.indirect_offset = 92;
            sto_record_dispatch(rec, &d);
        }
        probe(rec, a.address, a.address, 4, 1, 1); /* after the first failure nothing happens any more */
        assert_int_equal(sto_recording_finish(rec, &err), STO_ERR_FAILED);
        if (strncmp(err.message, messages[i], strlen(messages[i])) != 0)
            fail_msg("%s", err.message);
        assert_int_equal(sto_device_submit(device, rec, NULL, &err), STO_ERR_FAILED);
    }
    assert_int_equal(sto_device_wait(device, UINT64_MAX, &err), STO_ERR_FAILED);
    sto_recording_begin(rec); /* and it can be used again */
    probe(rec, a.address, a.address, 4, 1, 1);
    run(rec);
    sto_recording_destroy(rec);
    sto_buffer_destroy(device, &a);
}

/* ---- memory ---- */

static void buffers_of_all_sizes(void **state)
{
    (void)state;
    need_device();
    static const uint64_t sizes[] = {1,        3, 255, 256, 257, 4095, 65537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1,
                                     150 << 20};
    enum { N = sizeof sizes / sizeof *sizes };
    struct sto_buffer b[3][N];
    const uint64_t before = sto_device_bytes(device);
    uint64_t sum = 0;
    for (int kind = 0; kind < 3; kind++) {
        for (int i = 0; i < N; i++) {
            b[kind][i] = make((enum sto_memory)kind, sizes[i]);
            assert_int_equal(b[kind][i].bytes, sizes[i]);
            assert_int_equal(b[kind][i].address % 256, 0);
            assert_true(kind == STO_MEMORY_DEVICE || b[kind][i].mapped != NULL);
            sum += sizes[i];
        }
    }
    assert_true(sto_device_bytes(device) >= before + sum);
    assert_true(sto_device_peak_bytes(device) >= sto_device_bytes(device));
    /* No two overlap. */
    const struct sto_buffer *all = &b[0][0];
    for (int i = 0; i < 3 * N; i++) {
        for (int j = 0; j < i; j++)
            assert_true(all[i].address + all[i].bytes <= all[j].address ||
                        all[j].address + all[j].bytes <= all[i].address);
    }
    for (int i = 0; i < 3 * N; i += 2)
        sto_buffer_destroy(device, &b[0][0] + i);
    for (int i = 1; i < 3 * N; i += 2)
        sto_buffer_destroy(device, &b[0][0] + i);
    assert_int_equal(b[0][0].address, 0);
    sto_buffer_destroy(device, &b[0][0]); /* empty: nothing happens */
    sto_buffer_destroy(device, NULL);
    assert_int_equal(sto_device_bytes(device), before);
}

/* Small buffers come and go in a disorderly way and share few allocations. */
static void small_buffers_share_memory(void **state)
{
    (void)state;
    need_device();
    enum { N = 500 };
    static struct sto_buffer b[N];
    const uint64_t before = sto_device_bytes(device);
    uint32_t seed = 7;
    for (int round = 0; round < 20 * N; round++) {
        seed = seed * 1664525u + 1013904223u;
        struct sto_buffer *one = &b[(seed >> 8) % N];
        if (one->impl == NULL)
            *one = make(STO_MEMORY_DEVICE, 1 + (seed >> 16) % 3000);
        else
            sto_buffer_destroy(device, one);
    }
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < i; j++)
            assert_true(b[i].bytes == 0 || b[j].bytes == 0 || b[i].address + b[i].bytes <= b[j].address ||
                        b[j].address + b[j].bytes <= b[i].address);
    }
    assert_true(sto_device_bytes(device) - before <= 8 << 20);
    for (int i = 0; i < N; i++)
        sto_buffer_destroy(device, &b[i]);
    assert_int_equal(sto_device_bytes(device), before);

    /* Neighbours that were given back, in any order, serve a larger buffer: no further memory is taken. */
    static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 2, 1, 3}, {1, 3, 0, 2}};
    struct sto_buffer first = make(STO_MEMORY_DEVICE, 1);
    const uint64_t one_block = sto_device_bytes(device);
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        for (int i = 0; i < 16; i++)
            b[i] = make(STO_MEMORY_DEVICE, 250000); /* 16 times: all but the whole block */
        for (int i = 0; i < 16; i++)
            sto_buffer_destroy(device, &b[i / 4 * 4 + orders[o][i % 4]]);
        for (int i = 0; i < 4; i++)
            b[i] = make(STO_MEMORY_DEVICE, 1000000);
        assert_int_equal(sto_device_bytes(device), one_block);
        for (int i = 0; i < 4; i++)
            sto_buffer_destroy(device, &b[i]);
    }
    sto_buffer_destroy(device, &first);
    assert_int_equal(sto_device_bytes(device), before);
}

static void what_does_not_fit_is_an_error_with_numbers(void **state)
{
    (void)state;
    need_device();
    struct sto_error err;
    struct sto_buffer b;
    const uint64_t before = sto_device_bytes(device);
    const uint64_t limit = sto_device_get_snapshot(device)->max_allocation_bytes;
    const uint64_t sizes[] = {limit + 4096, (uint64_t)1 << 50, UINT64_MAX - 300};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(sto_buffer_create(device, STO_MEMORY_DEVICE, sizes[i], "weights of layer 7", &b, &err),
                         STO_ERR_NO_FIT);
        assert_non_null(strstr(err.message, "weights of layer 7"));
        assert_non_null(strstr(err.message, "MiB"));
        assert_null(b.impl);
    }
    assert_int_equal(sto_buffer_create(device, STO_MEMORY_DEVICE, 0, "nothing", &b, &err), STO_ERR_USAGE);
    assert_int_equal(sto_device_bytes(device), before);
    assert_true(sto_device_free_bytes(device) > 0);
}

static void bytes_arrive_both_ways(void **state)
{
    (void)state;
    need_device();
    enum { BYTES = (40 << 20) + 13 }; /* more than two slots of the staging ring, odd */
    struct sto_error err;
    uint8_t *data = sto_calloc(BYTES, 1), *back = sto_calloc(BYTES, 1);
    uint32_t seed = 3;
    for (uint32_t i = 0; i < BYTES; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
    for (int staged = 0; staged <= 1; staged++) {
        struct sto_buffer b = make(STO_MEMORY_DEVICE, BYTES + 7);
        struct sto_buffer seen = b;
        if (staged != 0)
            seen.mapped = NULL; /* as on a card whose memory the host does not see */
        struct sto_uploader *up;
        must(sto_uploader_create(device, &up, &err), &err);
        must(sto_upload(up, &seen, 7, data, BYTES, &err), &err);
        must(sto_upload(up, &seen, 1, "abc", 3, &err), &err);
        must(sto_upload(up, &seen, 0, NULL, 0, &err), &err);
        must(sto_upload_finish(up, &err), &err);
        assert_int_equal(sto_upload(up, &seen, 8, data, BYTES, &err), STO_ERR_USAGE);
        memset(back, 0, BYTES);
        must(sto_download(device, &seen, 7, back, BYTES, &err), &err);
        assert_memory_equal(data, back, BYTES);
        must(sto_download(device, &seen, 1, back, 3, &err), &err);
        assert_memory_equal(back, "abc", 3);
        assert_int_equal(sto_download(device, &seen, UINT64_MAX, back, 2, &err), STO_ERR_USAGE);
        sto_uploader_destroy(up);
        sto_buffer_destroy(device, &b);
    }
    sto_uploader_destroy(NULL);
    sto_free(data);
    sto_free(back);
}

static void make_and_drop(void *arg)
{
    uint32_t *failures = arg;
    for (uint32_t i = 0; i < 200; i++) {
        struct sto_buffer b;
        if (sto_buffer_create(device, STO_MEMORY_DEVICE, 100 + 7000 * (i % 200), "thread", &b, NULL) != STO_OK)
            ++*failures;
        sto_buffer_destroy(device, &b);
    }
}

static void buffers_may_be_made_by_several_threads(void **state)
{
    (void)state;
    need_device();
    const uint64_t before = sto_device_bytes(device);
    uint32_t failures[4] = {0};
    struct sto_thread *threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = sto_thread_start(make_and_drop, &failures[i]);
    for (int i = 0; i < 4; i++) {
        sto_thread_join(threads[i]);
        assert_int_equal(failures[i], 0);
    }
    assert_int_equal(sto_device_bytes(device), before);
}

/* ---- pipelines ---- */

static uint64_t last_done, last_total, n_reports;
static bool cancel_at_once;

static bool on_progress(void *user, const char *what, uint64_t done, uint64_t total)
{
    (void)user;
    assert_string_equal(what, "kernels");
    last_done = done;
    last_total = total;
    n_reports++;
    return cancel_at_once;
}

static void kernels_are_made_ahead_on_threads(void **state)
{
    (void)state;
    need_device();
    struct sto_error err;
    const struct sto_callbacks with_progress = {.log = on_log, .progress = on_progress};
    const struct sto_device_params params = {.cache_dir = ""};
    struct sto_device *second;
    must(sto_device_open(&params, &with_progress, &second, &err), &err);
    enum sto_kernel kernels[STO_KERNEL_ROWS];
    uint32_t n = 0;
    for (uint32_t i = 0; i < STO_KERNEL_COUNT; i++) {
        if (sto_device_get_plan(second)->usable[i])
            kernels[n++] = (enum sto_kernel)i;
    }
    cancel_at_once = true;
    assert_int_equal(sto_device_prepare(second, kernels, n, &err), n > 1 ? STO_ERR_CANCELLED : STO_OK);
    cancel_at_once = false;
    must(sto_device_prepare(second, kernels, n, &err), &err);
    assert_int_equal(last_done, n);
    assert_int_equal(last_total, n);
    n_reports = 0;
    must(sto_device_prepare(second, kernels, 0, &err), &err);
    for (uint32_t i = 0; i < n && i < 3; i++) {
        struct sto_kernel_stats stats;
        must(sto_device_kernel_stats(second, kernels[i], NULL, &stats, &err), &err);
        assert_true(stats.n <= STO_MAX_KERNEL_STATS);
    }
    sto_device_close(second);
}

/* Opens a device with a cache folder, makes one pipeline, and closes it. Says what was logged in `last_warning`. */
static void open_with_cache(const char *dir)
{
    struct sto_error err;
    const struct sto_device_params params = {.cache_dir = dir};
    struct sto_device *second;
    n_warnings = 0;
    last_warning[0] = '\0';
    must(sto_device_open(&params, &callbacks, &second, &err), &err);
    const enum sto_kernel kernel = STO_KERNEL_probe;
    must(sto_device_prepare(second, &kernel, 1, &err), &err);
    sto_device_close(second);
}

static void pipelines_are_kept_on_disk(void **state)
{
    (void)state;
    need_device();
    struct sto_error err;
    char dir[256], path[512];
    (void)snprintf(dir, sizeof dir, "test_vk.%llx", (unsigned long long)sto_wall_seed());
    const struct sto_device_snapshot *s = sto_device_get_snapshot(device);
    size_t at = (size_t)snprintf(path, sizeof path, "%s/pipelines-%04x-%04x-", dir, (unsigned)s->vendor_id,
                                 (unsigned)s->device_id);
    for (int i = 0; i < 16; i++)
        at += (size_t)snprintf(path + at, sizeof path - at, "%02x", s->pipeline_cache_uuid[i]);
    (void)snprintf(path + at, sizeof path - at, ".bin");

    open_with_cache(dir);
    assert_int_equal(n_warnings, 0);
    char *good, *bad;
    size_t size, bad_size;
    must(sto_file_read(path, 1 << 28, &good, &size, &err), &err);
    assert_memory_equal(good, "STOPC001", 8);
    open_with_cache(dir); /* loads it */
    assert_int_equal(n_warnings, 0);

    /* Damaged anywhere, cut short, or empty: a warning, and made anew. */
    for (int damage = 0; damage < 7; damage++) {
        bad = sto_strndup(good, size);
        bad_size = size;
        switch (damage) {
        case 0: bad[0] = 'X'; break;
        case 1: bad[size - 1] = (char)(bad[size - 1] ^ 1); break;
        case 2: bad[8] = (char)(bad[8] ^ 1); break;
        case 3: bad_size = size - 1; break;
        case 4: bad_size = 5; break;
        case 5: bad[16] = (char)(bad[16] ^ 1); break; /* the checksum itself */
        default: bad_size = 0;
        }
        must(sto_file_write_atomic(path, bad, bad_size, &err), &err);
        sto_free(bad);
        open_with_cache(dir);
        assert_int_equal(n_warnings, 1);
        assert_non_null(strstr(last_warning, "is damaged"));
        assert_non_null(strstr(last_warning, path));
        open_with_cache(dir); /* was made anew */
        assert_int_equal(n_warnings, 0);
    }

    /* Where no file can be written: below a file, which not even root can make a folder of. */
    char below[600];
    (void)snprintf(below, sizeof below, "%s/sub", path);
    open_with_cache(below);
    assert_int_equal(n_warnings, 1);
    assert_non_null(strstr(last_warning, "pipeline cache not kept"));
    sto_free(good);
    (void)remove(path);
    (void)remove(dir);
}

/* ---- devices ---- */

static void wrong_choices_say_what_there_is(void **state)
{
    (void)state;
    need_device();
    struct sto_error err;
    struct sto_device *none;
    struct sto_device_params params = {.name = "voodoo", .cache_dir = ""};
    assert_int_equal(sto_device_open(&params, &callbacks, &none, &err), STO_ERR_NO_DEVICE);
    assert_null(none);
    assert_non_null(strstr(err.message, "'voodoo'"));
    assert_non_null(strstr(err.message, sto_device_name(device)));
    params.name = "99";
    assert_int_equal(sto_device_open(&params, &callbacks, &none, &err), STO_ERR_NO_DEVICE);
    params.name = NULL;
    params.subgroup_size = 3;
    assert_int_equal(sto_device_open(&params, &callbacks, &none, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "subgroups of 3"));
    sto_device_close(NULL);
}

/* Each allocation in turn fails: an error and nothing left behind, or success where it was not needed. */
static void opening_survives_every_failed_allocation(void **state)
{
    (void)state;
    need_device();
    struct sto_error err;
    const struct sto_device_params params = {.cache_dir = ""};
    for (uint64_t n = 1; n < 200; n++) {
        struct sto_device *second = NULL;
        struct sto_buffer b = {0};
        struct sto_recording *rec = NULL;
        sto_alloc_fail_after(n);
        enum sto_status status = sto_device_open(&params, NULL, &second, &err);
        if (status == STO_OK)
            status = sto_buffer_create(second, STO_MEMORY_DEVICE, 1000, "torture", &b, &err);
        if (status == STO_OK)
            status = sto_recording_create(second, &rec, &err);
        if (status == STO_OK) {
            sto_recording_begin(rec);
            sto_record_fill(rec, &b, 0, 1000, 1);
            status = sto_recording_finish(rec, &err);
        }
        sto_alloc_fail_after(0);
        sto_recording_destroy(rec);
        if (second != NULL)
            sto_buffer_destroy(second, &b);
        sto_device_close(second);
        if (status == STO_OK)
            return;
        assert_true(err.message[0] != '\0');
    }
    fail_msg("never succeeded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dependent_dispatches_run_in_order),
        cmocka_unit_test(barriers_stand_where_uses_meet),
        cmocka_unit_test(recordings_are_cut_at_the_work_bound),
        cmocka_unit_test(a_recording_replays_with_what_lies_in_memory),
        cmocka_unit_test(impossible_commands_fail_the_recording),
        cmocka_unit_test(buffers_of_all_sizes),
        cmocka_unit_test(small_buffers_share_memory),
        cmocka_unit_test(what_does_not_fit_is_an_error_with_numbers),
        cmocka_unit_test(bytes_arrive_both_ways),
        cmocka_unit_test(buffers_may_be_made_by_several_threads),
        cmocka_unit_test(kernels_are_made_ahead_on_threads),
        cmocka_unit_test(pipelines_are_kept_on_disk),
        cmocka_unit_test(wrong_choices_say_what_there_is),
        cmocka_unit_test(opening_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

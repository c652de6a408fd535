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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dependent_dispatches_run_in_order),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

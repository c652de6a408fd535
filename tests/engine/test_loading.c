/* Weights on their way to the device, with device memory that the host can write to and through the staging ring: the
 * same logits, progress that ends at the end, cancelling at any point, and a file that shrinks under us. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "tests/engine/support.h"
#include "tests/support/synth.h"

#define DEMO STRATO_SOURCE_DIR "/models/demo/demo.gguf"

enum { MAPPED, STAGED, N_PATHS };

static struct sto_test_device devices[N_PATHS];

static void expect_error(enum sto_status got, enum sto_status wanted, const struct sto_error *err, const char *part)
{
    if (got != wanted || strstr(err->message, part) == NULL || strchr(err->message, '\n') != NULL)
        fail_msg("status %s, '%s'; expected %s with '%s'", sto_status_name(got), err->message, sto_status_name(wanted),
                 part);
}

/* ---- the same weights ---- */

static void expect_same_logits(const char *path)
{
    static const uint32_t tokens[] = {3, 141, 59, 26, 5, 358};
    enum { N = sizeof tokens / sizeof tokens[0] };
    struct sto_model *model = NULL;
    struct sto_error err = {0};
    assert_int_equal(sto_model_open(path, NULL, NULL, &model, &err), STO_OK);
    const size_t n = (size_t)sto_model_n_vocab(model) * N;
    sto_model_close(model);
    float *mapped = sto_test_logits(&devices[MAPPED], path, NULL, tokens, N);
    float *staged = sto_test_logits(&devices[STAGED], path, NULL, tokens, N);
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&mapped[i], &staged[i], sizeof *mapped) != 0)
            fail_msg("%s: logit %zu is %g through the map and %g through the ring", path, i, (double)mapped[i],
                     (double)staged[i]);
    }
    free(mapped);
    free(staged);
}

static void the_demo_model_is_the_same_by_both_ways(void **state)
{
    (void)state;
    expect_same_logits(DEMO);
}

static void temporary(char *path, size_t size)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(path, size, "%s/strato-loading-%llx.gguf", tmp != NULL ? tmp : "/tmp",
                   (unsigned long long)sto_wall_seed());
}

/* An embedding of 12 MB, which doubles as output: more than the reading buffer or a slot of the ring holds. */
static void long_matrices_are_the_same_by_both_ways(void **state)
{
    const struct sto_synth model = {.arch = "llama", .n_vocab = 24000, .n_embd = 128, .n_layers = 1, .n_ff = 128,
                                    .n_heads = 2, .n_kv_heads = 1, .head_dim = 64, .n_ctx = 64, .rope_base = 10000.0f,
                                    .tied = true, .type = STO_TYPE_F32, .embd_type = STO_TYPE_F32,
                                    .rich_type = STO_TYPE_F32, .seed = 5};
    struct sto_error err = {0};
    char path[1200];
    (void)state;
    temporary(path, sizeof path);
    if (sto_synth_write(&model, path, &err) != STO_OK)
        fail_msg("%s", err.message);
    expect_same_logits(path);
    (void)remove(path);
}

/* ---- progress and cancelling ---- */

struct watch {
    uint64_t calls, done, total;
    uint64_t cancel_at; /* the call at which to cancel; 0: never */
};

static bool watch(void *user, const char *what, uint64_t done, uint64_t total)
{
    struct watch *w = user;
    assert_string_equal(what, "weights");
    assert_true(done >= w->done && done <= total);
    w->done = done;
    w->total = total;
    w->calls++;
    return w->calls == w->cancel_at;
}

static enum sto_status create(struct sto_device *device, struct watch *w, struct sto_error *err)
{
    const struct sto_callbacks callbacks = {.progress = watch, .user = w};
    struct sto_model *model = NULL;
    struct sto_engine *engine = NULL;
    assert_int_equal(sto_model_open(DEMO, NULL, NULL, &model, err), STO_OK);
    const enum sto_status status = sto_engine_create(device, model, NULL, &callbacks, &engine, err);
    assert_true((engine != NULL) == (status == STO_OK));
    sto_engine_destroy(engine);
    sto_model_close(model);
    return status;
}

static void progress_ends_at_the_end_and_loading_can_be_cancelled(void **state)
{
    (void)state;
    for (int p = 0; p < N_PATHS; p++) {
        const uint64_t before = sto_device_bytes(devices[p].device);
        struct sto_error err = {0};
        struct watch whole = {0};
        assert_int_equal(create(devices[p].device, &whole, &err), STO_OK);
        assert_true(whole.calls > 0 && whole.done == whole.total && whole.total > 1000000);
        for (uint64_t at = 1; at <= 3; at++) { /* how many calls there are depends on the threads; there is a first */
            struct watch w = {.cancel_at = at};
            const enum sto_status status = create(devices[p].device, &w, &err);
            if (w.calls == at)
                expect_error(status, STO_ERR_CANCELLED, &err, "cancelled");
            else
                assert_int_equal(status, STO_OK);
            assert_true(at > 1 || status == STO_ERR_CANCELLED);
        }
        assert_int_equal(sto_device_bytes(devices[p].device), before);
    }
}

/* ---- a file that shrinks ---- */

static void write_file(const char *path, const char *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void expect_shrunk(struct sto_device *device, const char *path, const char *data, size_t size, size_t kept)
{
    struct sto_model *model = NULL;
    struct sto_engine *engine = NULL;
    struct sto_error err = {0};
    write_file(path, data, size);
    assert_int_equal(sto_model_open(path, NULL, NULL, &model, &err), STO_OK);
    write_file(path, data, kept);
    expect_error(sto_engine_create(device, model, NULL, NULL, &engine, &err), STO_ERR_FAILED, &err, "shrunk");
    assert_non_null(strstr(err.message, path));
    assert_null(engine);
    sto_model_close(model);
}

static void a_file_that_shrinks_is_an_error(void **state)
{
    char path[1200], *data = NULL;
    size_t size = 0;
    struct sto_error err = {0};
    (void)state;
    temporary(path, sizeof path);
    assert_int_equal(sto_file_read(DEMO, 1 << 26, &data, &size, &err), STO_OK);
    /* to nothing, within the header, within the data, by one byte */
    const size_t kept[] = {0, 1000, size / 2, size - 40};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        for (int p = 0; p < N_PATHS; p++)
            expect_shrunk(devices[p].device, path, data, size, kept[i]);
    }
    sto_free(data);
    (void)remove(path);
}

static int open_devices(void **state)
{
    (void)state;
    sto_test_device_open(&devices[MAPPED], NULL);
    sto_test_device_open(&devices[STAGED], &(struct sto_device_params){.no_mapping = true});
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    for (int p = 0; p < N_PATHS; p++)
        sto_test_device_close(&devices[p]);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_demo_model_is_the_same_by_both_ways),
        cmocka_unit_test(long_matrices_are_the_same_by_both_ways),
        cmocka_unit_test(progress_ends_at_the_end_and_loading_can_be_cancelled),
        cmocka_unit_test(a_file_that_shrinks_is_an_error),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}

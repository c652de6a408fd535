/* Streamed layers that wait in pinned memory, in ordinary memory or on disk: the same bits as with all of them on the
 * device, however they are copied, and never more host memory than the budget says. What fails on the way is an error
 * that names it, and the engine goes on or can be made again. */
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "runtime/base/os.h"
#include "runtime/base/status.h"
#include "runtime/engine.h"
#include "runtime/vk/device_impl.h"
#include "tests/engine/support.h"

enum { N_LAYERS = 6, N_PROMPT = 5, N_GENERATED = 6, N_VOCAB = 300, MIB = 1 << 20 };

static const uint32_t prompt[N_PROMPT] = {3, 141, 59, 26, 258};
static const enum sto_lane lanes[N_LAYERS] = {STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_RESIDENT,
                                              STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_STREAM};
static struct sto_test_device devices[2]; /* device memory mapped, and not */
static char path[1200];
static struct sto_model *model;

struct answer {
    float logits[N_VOCAB]; /* behind the prompt, in one batch */
    uint32_t drawn[N_GENERATED];
    struct sto_engine_info info;
    uint64_t host_bytes;   /* held while it ran */
};

static struct sto_engine_params params_for(enum sto_copy_body body, uint64_t ram, uint64_t pinned)
{
    return (struct sto_engine_params){.ctx_tokens = 64, .ubatch_tokens = 8, .lanes = lanes, .ring_slots = 2,
                                      .copy = body, .ram_bytes = ram, .pinned_bytes = pinned};
}

static enum sto_status run(struct sto_engine *engine, struct answer *a, struct sto_error *err)
{
    const struct sto_generation_params generation = {.temperature = 0.9f, .top_k = 20, .top_p = 1.0f, .seed = 11};
    struct sto_session *session = NULL;
    uint32_t n = 0;
    enum sto_status status = sto_session_create(engine, &session, err);
    if (status == STO_OK)
        status = sto_session_eval(session, prompt, N_PROMPT, STO_LOGITS_LAST, a->logits, err);
    if (status == STO_OK)
        status = sto_session_generate(session, 7, &generation, N_GENERATED, a->drawn, &n, err);
    sto_session_destroy(session);
    return status;
}

static struct sto_engine *create(struct sto_device *device, const struct sto_engine_params *params)
{
    struct sto_engine *engine = NULL;
    struct sto_error err = {0};
    if (sto_engine_create(device, model, params, NULL, &engine, &err) != STO_OK)
        fail_msg("%s", err.message);
    return engine;
}

static struct answer ask(struct sto_device *device, const struct sto_engine_params *params)
{
    struct answer a = {0};
    struct sto_error err = {0};
    const uint64_t before = sto_host_bytes();
    struct sto_engine *engine = create(device, params);
    if (run(engine, &a, &err) != STO_OK)
        fail_msg("%s", err.message);
    a.host_bytes = sto_host_bytes() - before;
    sto_engine_get_info(engine, &a.info);
    sto_engine_destroy(engine);
    assert_int_equal(sto_host_bytes(), before);
    return a;
}

static void expect_same(const struct answer *a, const struct answer *b, const char *what)
{
    if (memcmp(a->logits, b->logits, sizeof a->logits) != 0)
        fail_msg("%s: other logits", what);
    if (memcmp(a->drawn, b->drawn, sizeof a->drawn) != 0)
        fail_msg("%s: other tokens drawn", what);
}

static struct answer resident_answer(void)
{
    return ask(devices[0].device, &(struct sto_engine_params){.ctx_tokens = 64, .ubatch_tokens = 8});
}

/* ---- the same answer ---- */

/* Host memory beside streamed layers. */
static uint64_t fixed_bytes(void)
{
    const struct sto_engine_params p = params_for(STO_COPY_QUEUE, 0, 0);
    struct sto_engine *engine = create(devices[0].device, &p);
    const uint64_t bytes = sto_streamed_host_bytes(engine, false);
    sto_engine_destroy(engine);
    return bytes;
}

static void every_source_and_body_is_the_same(void **state)
{
    (void)state;
    const uint64_t fixed = fixed_bytes();
    const struct answer all = resident_answer();
    /* Five streamed layers of 4.6 MiB. Beside what is fixed: all pinned; some pinned; none; some on disk; all */
    static const struct {
        uint64_t ram, pinned; /* MiB beside what is fixed */
        bool disk, all_disk, all_pinned;
    } cases[] = {{40, 40, false, false, true}, {40, 16, false, false, false}, {40, 4, false, false, false},
                 {18, 12, true, false, false}, {5, 5, true, true, false}};
    static const enum sto_copy_body bodies[] = {STO_COPY_QUEUE, STO_COPY_TRANSFER, STO_COPY_HOST};
    assert_int_equal(all.info.disk_bytes, 0);
    for (int d = 0; d < 2; d++) {
        for (int b = 0; b < (d == 0 ? 3 : 2); b++) {
            for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                const struct sto_engine_params p =
                    params_for(bodies[b], fixed + cases[i].ram * MIB, fixed + cases[i].pinned * MIB);
                const struct answer a = ask(devices[d].device, &p);
                char what[64];
                (void)snprintf(what, sizeof what, "device %d, copies by %s, case %zu", d, sto_copy_name(p.copy), i);
                expect_same(&a, &all, what);
                if ((a.info.disk_bytes > 0) != cases[i].disk)
                    fail_msg("%s: %llu bytes on disk", what, (unsigned long long)a.info.disk_bytes);
                if ((a.info.disk_bytes == a.info.streamed_bytes) != cases[i].all_disk)
                    fail_msg("%s: %llu bytes on disk of %llu", what, (unsigned long long)a.info.disk_bytes,
                             (unsigned long long)a.info.streamed_bytes);
                const bool pinned = a.info.pinned_bytes == a.info.streamed_bytes + fixed;
                assert_true(pinned == (cases[i].all_pinned && p.copy != STO_COPY_HOST));
                /* each pass reads what is on disk, and part of the next one's may have been read */
                assert_true(a.info.disk_read_bytes >= (1 + N_GENERATED) * a.info.disk_bytes);
                assert_true(a.info.disk_read_bytes <= (2 + N_GENERATED) * a.info.disk_bytes);
                assert_true(a.host_bytes <= p.ram_bytes);
                assert_true(a.info.host_bytes <= p.ram_bytes && a.host_bytes <= a.info.host_bytes);
                assert_true(a.info.pinned_bytes <= p.pinned_bytes);
            }
        }
    }
}

/* From nothing to enough: refused with the numbers, then less and less is read from disk. */
static void host_budgets_hold(void **state)
{
    (void)state;
    const struct answer all = resident_answer();
    uint64_t before = UINT64_MAX, refused = 0;
    for (uint64_t ram = 4 * (uint64_t)MIB; ram <= 60 * (uint64_t)MIB; ram += 4 * (uint64_t)MIB) {
        const int d = ram / MIB % 8 == 0;
        const struct sto_engine_params p = params_for(STO_COPY_AUTO, ram, 0);
        struct sto_engine *engine = NULL;
        struct sto_error err = {0};
        const enum sto_status status = sto_engine_create(devices[d].device, model, &p, NULL, &engine, &err);
        sto_engine_destroy(engine);
        if (status == STO_ERR_NO_FIT) {
            assert_non_null(strstr(err.message, "a larger --ram"));
            assert_non_null(strstr(err.message, path));
            assert_true(before == UINT64_MAX);
            refused++;
            continue;
        }
        assert_int_equal(status, STO_OK);
        const struct answer a = ask(devices[d].device, &p);
        expect_same(&a, &all, "within a budget");
        assert_true(a.host_bytes <= ram);
        before = a.info.disk_bytes;
    }
    assert_in_range(refused, 1, 4);
    assert_int_equal(before, 0);
}

/* The first test, before other engines have left memory of theirs with the allocator. */
static void what_is_on_disk_is_not_in_memory(void **state)
{
    (void)state;
    const uint64_t fixed = fixed_bytes();
    uint64_t pss[2];
    struct sto_engine_info info;
    for (int i = 0; i < 2; i++) { /* all on disk, all in memory */
        const struct sto_engine_params p =
            params_for(STO_COPY_HOST, fixed + (i == 0 ? 2 : 40) * (uint64_t)MIB, fixed + 2 * (uint64_t)MIB);
        struct sto_engine *engine = create(devices[0].device, &p);
        struct answer a;
        struct sto_error err = {0};
        if (run(engine, &a, &err) != STO_OK)
            fail_msg("%s", err.message);
        pss[i] = sto_process_pss();
        sto_engine_get_info(engine, &info);
        assert_int_equal(info.disk_bytes, i == 0 ? info.streamed_bytes : 0);
        sto_engine_destroy(engine);
    }
    print_message("from disk %.1f MiB, in memory %.1f MiB\n", (double)pss[0] / MIB, (double)pss[1] / MIB);
    assert_true(pss[1] > pss[0] + info.streamed_bytes / 2);
}

/* ---- what the driver does not give ---- */

static PFN_vkWaitSemaphores real_wait;
static PFN_vkCreateSemaphore real_create_semaphore;
static PFN_vkAllocateMemory real_allocate;
static _Atomic uint32_t waits_left, large_left; /* until one fails; 0: none does */
static bool refuse_semaphore;

/* Waits before it says that the device is lost, since this one goes on. */
static VKAPI_ATTR VkResult VKAPI_CALL wait_or_lose(VkDevice device, const VkSemaphoreWaitInfo *info, uint64_t timeout)
{
    const VkResult result = real_wait(device, info, timeout);
    if (result != VK_SUCCESS || atomic_load(&waits_left) == 0)
        return result;
    return atomic_fetch_sub(&waits_left, 1) == 1 ? VK_ERROR_DEVICE_LOST : result;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_semaphore(VkDevice device, const VkSemaphoreCreateInfo *info,
                                                       const VkAllocationCallbacks *callbacks, VkSemaphore *semaphore)
{
    if (refuse_semaphore) {
        refuse_semaphore = false;
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    }
    return real_create_semaphore(device, info, callbacks, semaphore);
}

static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice device, const VkMemoryAllocateInfo *info,
                                               const VkAllocationCallbacks *callbacks, VkDeviceMemory *memory)
{
    if (info->allocationSize > 4 * (uint64_t)MIB && atomic_load(&large_left) > 0 &&
        atomic_fetch_sub(&large_left, 1) == 1)
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    return real_allocate(device, info, callbacks, memory);
}

static void copies_fall_back_on_the_queue(void **state)
{
    (void)state;
    struct sto_device *device = devices[0].device;
    const struct answer all = resident_answer();
    const uint64_t fixed = fixed_bytes();
    real_create_semaphore = device->vk.vkCreateSemaphore;
    device->vk.vkCreateSemaphore = create_semaphore;
    for (int disk = 0; disk < 2; disk++) {
        const struct sto_engine_params p = params_for(STO_COPY_AUTO, fixed + (disk != 0 ? 24 : 64) * (uint64_t)MIB, 0);
        refuse_semaphore = true;
        const struct answer a = ask(device, &p);
        assert_false(refuse_semaphore);
        assert_int_equal(a.info.copy, STO_COPY_QUEUE);
        assert_non_null(strstr(devices[0].log, "copied among the kernels"));
        expect_same(&a, &all, "fallen back");
    }
    device->vk.vkCreateSemaphore = real_create_semaphore;
}

static void layers_that_cannot_be_pinned_go_through_staging(void **state)
{
    (void)state;
    struct sto_device *device = devices[0].device;
    const struct answer all = resident_answer();
    const struct sto_engine_params p = params_for(STO_COPY_TRANSFER, 200 * (uint64_t)MIB, 150 * (uint64_t)MIB);
    real_allocate = device->vk.vkAllocateMemory;
    device->vk.vkAllocateMemory = allocate;
    atomic_store(&large_left, 4); /* behind two slots of the ring, the second layer's */
    const struct answer a = ask(device, &p);
    device->vk.vkAllocateMemory = real_allocate;
    assert_int_equal(atomic_load(&large_left), 0);
    assert_true(a.info.pinned_bytes < a.info.streamed_bytes);
    assert_non_null(strstr(devices[0].log, "go through staging"));
    expect_same(&a, &all, "not pinned");
}

static void a_lost_device_is_an_error_and_another_can_be_opened(void **state)
{
    (void)state;
    const uint64_t fixed = fixed_bytes();
    const struct answer all = resident_answer();
    for (int b = STO_COPY_TRANSFER; b < STO_COPY_COUNT; b++) {
        const struct sto_engine_params p =
            params_for((enum sto_copy_body)b, fixed + 12 * (uint64_t)MIB, fixed + 8 * (uint64_t)MIB);
        struct sto_device *device = NULL;
        struct sto_error err = {0};
        struct answer a;
        const uint64_t before = sto_host_bytes();
        assert_int_equal(sto_device_open(&(struct sto_device_params){0}, NULL, &device, &err), STO_OK);
        struct sto_engine *engine = create(device, &p);
        real_wait = device->vk.vkWaitSemaphores;
        device->vk.vkWaitSemaphores = wait_or_lose;
        atomic_store(&waits_left, 3 + 4 * (uint32_t)b);
        assert_int_equal(run(engine, &a, &err), STO_ERR_DEVICE_LOST);
        assert_int_equal(run(engine, &a, &err), STO_ERR_DEVICE_LOST);
        sto_engine_destroy(engine);
        sto_device_close(device);
        assert_int_equal(sto_host_bytes(), before);
        const struct answer again = ask(devices[0].device, &p);
        expect_same(&again, &all, "another device");
    }
}

/* ---- threads that cannot be started ---- */

static void without_threads_it_runs_all_the_same(void **state)
{
    (void)state;
    const uint64_t fixed = fixed_bytes();
    const struct answer all = resident_answer();
    static const enum sto_copy_body bodies[] = {STO_COPY_HOST, STO_COPY_QUEUE, STO_COPY_TRANSFER};
    for (int b = 0; b < 3; b++) {
        for (int disk = 0; disk < 2; disk++) {
            const struct sto_engine_params p =
                params_for(bodies[b], fixed + (disk != 0 ? 12 : 40) * (uint64_t)MIB, fixed + 8 * (uint64_t)MIB);
            sto_thread_refuse(true);
            const struct answer a = ask(devices[b == 1].device, &p);
            sto_thread_refuse(false);
            expect_same(&a, &all, sto_copy_name(bodies[b]));
            assert_int_equal(a.info.copy, bodies[b]);
            assert_true((a.info.disk_bytes > 0) == (disk != 0));
        }
    }
}

/* ---- reading fails ---- */

/* The model's functions, with one that fails at a piece of layer 3 while `bad` says so. */
static struct sto_model_vtable failing;
static const struct sto_model_vtable *real;
static bool bad;

static enum sto_status read_or_fail(const struct sto_model *m, const struct sto_model_weight *w, uint64_t offset,
                                    void *dst, size_t size, struct sto_error *err)
{
    if (bad && w->layer == 3 && w->rows > 1)
        return sto_fail(err, STO_ERR_FAILED, "%s: tensor '%s': cannot read: Input/output error", m->path, w->name);
    return real->read_weight(m, w, offset, dst, size, err);
}

static void a_read_error_ends_the_pass_and_not_the_engine(void **state)
{
    (void)state;
    const uint64_t fixed = fixed_bytes();
    const struct answer all = resident_answer();
    real = model->vtable;
    failing = *real;
    failing.read_weight = read_or_fail;
    for (int b = STO_COPY_TRANSFER; b < STO_COPY_COUNT; b++) {
        const struct sto_engine_params p =
            params_for((enum sto_copy_body)b, fixed + 4 * (uint64_t)MIB, fixed + 4 * (uint64_t)MIB);
        struct answer a;
        struct sto_error err = {0};
        model->vtable = &failing;
        struct sto_engine *engine = create(devices[0].device, &p);
        for (int round = 0; round < 2; round++) {
            bad = true;
            assert_int_equal(run(engine, &a, &err), STO_ERR_FAILED);
            assert_non_null(strstr(err.message, "tensor 'blk.3."));
            assert_non_null(strstr(err.message, path));
            bad = false;
            while (run(engine, &a, &err) != STO_OK) /* what was read ahead while it failed counts too */
                ;
            expect_same(&a, &all, "after a read error");
        }
        sto_engine_destroy(engine);
        model->vtable = real;
    }
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    static char block[1 << 16];
    assert_true(in != NULL && out != NULL);
    for (size_t n; (n = fread(block, 1, sizeof block, in)) > 0;)
        assert_int_equal(fwrite(block, 1, n, out), n);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void a_file_that_shrinks_is_an_error(void **state)
{
    (void)state;
    const uint64_t fixed = fixed_bytes();
    char shrinking[1300];
    (void)snprintf(shrinking, sizeof shrinking, "%s.short", path);
    copy_file(path, shrinking);
    struct sto_model *other = NULL, *whole = model;
    struct sto_error err = {0};
    if (sto_model_open(shrinking, NULL, NULL, &other, &err) != STO_OK)
        fail_msg("%s", err.message);
    model = other;
    const struct sto_engine_params p = params_for(STO_COPY_HOST, fixed + 4 * (uint64_t)MIB, 0);
    struct sto_engine *engine = create(devices[0].device, &p);
    struct answer a;
    assert_int_equal(run(engine, &a, &err), STO_OK);
    FILE *file = fopen(shrinking, "wb"); /* nothing is left of it */
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    enum sto_status status = STO_OK;
    for (int i = 0; i < 3 && status == STO_OK; i++) /* some may have been read ahead */
        status = run(engine, &a, &err);
    assert_int_equal(status, STO_ERR_FAILED);
    assert_non_null(strstr(err.message, "it has shrunk"));
    assert_non_null(strstr(err.message, shrinking));
    assert_non_null(strstr(err.message, "tensor 'blk."));
    sto_engine_destroy(engine);
    sto_model_close(other);
    model = whole;
    (void)remove(shrinking);
}

/* ---- cancelling ---- */

static bool cancel_at_second(void *user, uint32_t token)
{
    struct sto_session **session = user;
    (void)token;
    sto_session_cancel(*session);
    return false;
}

static void cancelling_leaves_the_engine_usable(void **state)
{
    (void)state;
    const uint64_t fixed = fixed_bytes();
    const struct answer all = resident_answer();
    for (int b = STO_COPY_TRANSFER; b < STO_COPY_COUNT; b++) {
        const struct sto_engine_params p =
            params_for((enum sto_copy_body)b, fixed + 8 * (uint64_t)MIB, fixed + 4 * (uint64_t)MIB);
        struct sto_engine *engine = create(devices[0].device, &p);
        struct sto_session *session = NULL;
        const struct sto_generation_params generation = {.user = &session, .on_token = cancel_at_second};
        struct answer a;
        struct sto_error err = {0};
        uint32_t n = 0;
        assert_int_equal(sto_session_create(engine, &session, &err), STO_OK);
        assert_int_equal(sto_session_generate(session, 7, &generation, 20, NULL, &n, &err), STO_ERR_CANCELLED);
        assert_int_equal(n, 1);
        sto_session_destroy(session);
        if (run(engine, &a, &err) != STO_OK)
            fail_msg("%s", err.message);
        expect_same(&a, &all, "after cancelling");
        sto_engine_destroy(engine);
    }
}

/* ---- all of it ---- */

static int set_up(void **state)
{
    (void)state;
    const struct sto_synth shape = {.arch = "qwen3", .n_vocab = N_VOCAB, .n_embd = 512, .n_layers = N_LAYERS,
                                    .n_ff = 1152, .n_heads = 8, .n_kv_heads = 2, .head_dim = 64, .n_ctx = 64,
                                    .rope_base = 10000.0f, .tied = true, .type = STO_TYPE_F16,
                                    .embd_type = STO_TYPE_F16, .rich_type = STO_TYPE_F32, .seed = 23};
    if ((model = sto_test_synth_model(&shape, "disk", path, sizeof path)) == NULL)
        return -1;
    sto_test_device_open(&devices[0], NULL);
    sto_test_device_open(&devices[1], &(struct sto_device_params){.no_mapping = true});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sto_test_device_close(&devices[0]);
    sto_test_device_close(&devices[1]);
    sto_model_close(model);
    (void)remove(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_on_disk_is_not_in_memory),
        cmocka_unit_test(every_source_and_body_is_the_same),
        cmocka_unit_test(host_budgets_hold),
        cmocka_unit_test(copies_fall_back_on_the_queue),
        cmocka_unit_test(layers_that_cannot_be_pinned_go_through_staging),
        cmocka_unit_test(a_lost_device_is_an_error_and_another_can_be_opened),
        cmocka_unit_test(without_threads_it_runs_all_the_same),
        cmocka_unit_test(a_read_error_ends_the_pass_and_not_the_engine),
        cmocka_unit_test(a_file_that_shrinks_is_an_error),
        cmocka_unit_test(cancelling_leaves_the_engine_usable),
    };
    return cmocka_run_group_tests_name("disk", tests, set_up, tear_down);
}

/* What fails while a model with layers in every lane is loaded and run: memory of the host and of the device at every
 * allocation in turn. There is an error, everything is freed, and another engine can be made. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <setjmp.h>
#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/vk/device_impl.h"
#include "tests/engine/support.h"
#include "tests/support/synth.h"

enum { N_LAYERS = 4, N_PROMPT = 5, N_GENERATED = 4, MOST = 4000 };

static const uint32_t prompt[N_PROMPT] = {1, 2, 3, 4, 5};
static const enum sto_lane lanes[N_LAYERS] = {STO_LANE_STREAM, STO_LANE_CPU, STO_LANE_STREAM, STO_LANE_RESIDENT};
static const enum sto_copy_body bodies[] = {STO_COPY_HOST, STO_COPY_TRANSFER};
static char path[1200];
static struct sto_model *model;

/* Loads, reads a prompt and draws some tokens; everything is destroyed again. */
static enum sto_status live(struct sto_device *device, enum sto_copy_body body, uint32_t *drawn, struct sto_error *err)
{
    const struct sto_engine_params params = {
        .ctx_tokens = 32, .ubatch_tokens = 8, .lanes = lanes, .ring_slots = 2, .copy = body};
    const struct sto_generation_params generation = {0};
    struct sto_engine *engine = NULL;
    struct sto_session *session = NULL;
    uint32_t n = 0;
    enum sto_status status = sto_engine_create(device, model, &params, NULL, &engine, err);
    if (status == STO_OK)
        status = sto_session_create(engine, &session, err);
    if (status == STO_OK)
        status = sto_session_eval(session, prompt, N_PROMPT, STO_LOGITS_NONE, NULL, err);
    if (status == STO_OK)
        status = sto_session_generate(session, 6, &generation, N_GENERATED, drawn, &n, err);
    sto_session_destroy(session);
    sto_engine_destroy(engine);
    return status;
}

static void must_live(struct sto_device *device, enum sto_copy_body body, uint32_t *drawn)
{
    struct sto_error err = {0};
    if (live(device, body, drawn, &err) != STO_OK)
        fail_msg("%s", err.message);
}

/* ---- memory ---- */

static uint32_t left_allocations; /* of device memory, until they fail; 0: they never do */
static PFN_vkAllocateMemory real_allocate;

static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice device, const VkMemoryAllocateInfo *info,
                                               const VkAllocationCallbacks *callbacks, VkDeviceMemory *memory)
{
    if (left_allocations > 0 && --left_allocations == 0)
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return real_allocate(device, info, callbacks, memory);
}

static void fail_host_memory(uint32_t n)
{
    sto_alloc_fail_after(n);
}

static void fail_device_memory(uint32_t n)
{
    left_allocations = n;
}

/* Fails the n-th for n = 1, 2, ... (later ones in larger steps) until there are not so many. */
static void torture(void (*fail_at)(uint32_t n), uint32_t least)
{
    struct sto_test_device t;
    uint32_t expected[N_GENERATED], drawn[N_GENERATED], n = 1, failures = 0;
    sto_test_device_open(&t, NULL);
    real_allocate = t.device->vk.vkAllocateMemory;
    t.device->vk.vkAllocateMemory = allocate;
    must_live(t.device, bodies[0], expected);
    const uint64_t before = sto_device_bytes(t.device);
    for (; n < MOST; n += 1 + n / 16) {
        struct sto_error err = {0};
        fail_at(n);
        const enum sto_status status = live(t.device, bodies[n % 2], drawn, &err);
        fail_at(0);
        if (sto_device_bytes(t.device) != before)
            fail_msg("%u: %llu bytes are left", n, (unsigned long long)(sto_device_bytes(t.device) - before));
        if (status == STO_OK)
            break;
        if (status != STO_ERR_NO_FIT && status != STO_ERR_FAILED)
            fail_msg("%u: %s: %s", n, sto_status_name(status), err.message);
        assert_true(err.message[0] != '\0');
        failures++;
    }
    assert_in_range(failures, least, MOST);
    must_live(t.device, bodies[1], drawn);
    assert_memory_equal(drawn, expected, sizeof drawn);
    sto_test_device_close(&t);
}

static void host_memory_ends_at_every_allocation(void **state)
{
    (void)state;
    torture(fail_host_memory, 20);
}

static void device_memory_ends_at_every_allocation(void **state)
{
    (void)state;
    torture(fail_device_memory, 3); /* small buffers share blocks */
}

/* ---- all of it ---- */

static int set_up(void **state)
{
    (void)state;
    const struct sto_synth shape = {.arch = "qwen3", .n_vocab = 300, .n_embd = 128, .n_layers = N_LAYERS, .n_ff = 256,
                                    .n_heads = 2, .n_kv_heads = 1, .head_dim = 64, .n_ctx = 64, .rope_base = 10000.0f,
                                    .tied = true, .type = STO_TYPE_F16, .embd_type = STO_TYPE_F16,
                                    .rich_type = STO_TYPE_F32, .seed = 29};
    model = sto_test_synth_model(&shape, "faults", path, sizeof path);
    if (model == NULL)
        return -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sto_model_close(model);
    (void)remove(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_memory_ends_at_every_allocation),
        cmocka_unit_test(device_memory_ends_at_every_allocation),
    };
    return cmocka_run_group_tests_name("faults", tests, set_up, tear_down);
}

/* Engines on a simulated card: tokens are those of the device it runs on, times those of its figures, copies lie beside
 * kernels unless they are put among them, and probing finds the figures that it was given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/probe.h"
#include "runtime/simulation.h"
#include "runtime/vk/device.h"
#include "tests/engine/support.h"
#include "tests/support/synth.h"

enum { N_LAYERS = 4, N_WARM = 4, N_TIMED = 8 };

static char path[1200];
static struct sto_model *model;

static const enum sto_lane streamed[N_LAYERS] = {STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_STREAM};
static const enum sto_lane resident[N_LAYERS] = {STO_LANE_RESIDENT};

struct run {
    struct sto_engine_info info;
    uint32_t tokens[N_TIMED];
    double step_s; /* of N_TIMED tokens, after N_WARM */
};

static void generate(struct sto_session *session, uint32_t n, uint32_t *tokens)
{
    const struct sto_generation_params greedy = {0};
    struct sto_error err = {0};
    uint32_t drawn = 0;
    if (sto_session_generate(session, 7, &greedy, n, tokens, &drawn, &err) != STO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(drawn, n);
}

static struct run run_on(struct sto_device *device, const struct sto_engine_params *params)
{
    struct sto_engine *engine = NULL;
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    struct run out;
    uint32_t warm[N_WARM];
    if (sto_engine_create(device, model, params, NULL, &engine, &err) != STO_OK ||
        sto_session_create(engine, &session, &err) != STO_OK)
        fail_msg("%s", err.message);
    generate(session, N_WARM, warm);
    const uint64_t begin = sto_device_now_ns(device);
    generate(session, N_TIMED, out.tokens);
    out.step_s = (double)(sto_device_now_ns(device) - begin) * 1e-9 / N_TIMED;
    sto_engine_get_info(engine, &out.info);
    sto_session_destroy(session);
    sto_engine_destroy(engine);
    return out;
}

/* only: nothing is computed. */
static struct run simulate(const struct sto_simulation *figures, const struct sto_engine_params *params, bool only)
{
    struct sto_test_device device;
    sto_test_device_open(&device, &(struct sto_device_params){.simulation = figures, .simulate_only = only});
    const struct run out = run_on(device.device, params);
    sto_test_device_close(&device);
    return out;
}

static struct sto_engine_params params_for(const enum sto_lane *lanes, uint32_t slots, enum sto_copy_body copy)
{
    return (struct sto_engine_params){
        .ctx_tokens = 64, .ubatch_tokens = 32, .lanes = lanes, .ring_slots = slots, .copy = copy};
}

static void assert_near(double got, double expected, double share)
{
    if (got < expected * (1 - share) || got > expected * (1 + share))
        fail_msg("%g, expected %g within %g %%", got, expected, 100 * share);
}

/* Copies run really between the kernels that the simulator has them between. */
static void tokens_are_the_device_s(void **state)
{
    (void)state;
    const struct sto_simulation figures = {
        .vram_gb_per_s = 1, .link_gb_per_s = 1, .latency_us = 5, .jitter_percent = 50};
    struct sto_test_device device;
    sto_test_device_open(&device, NULL);
    const struct sto_engine_params all = params_for(resident, 1, STO_COPY_AUTO);
    const struct run expected = run_on(device.device, &all);
    sto_test_device_close(&device);
    for (uint32_t slots = 1; slots <= N_LAYERS; slots++) {
        const struct sto_engine_params params = params_for(streamed, slots, STO_COPY_AUTO);
        const struct run got = simulate(&figures, &params, false);
        assert_int_equal(got.info.copy, STO_COPY_TRANSFER);
        assert_memory_equal(got.tokens, expected.tokens, sizeof expected.tokens);
    }
    struct sto_engine_params elsewhere = params_for(resident, 1, STO_COPY_AUTO);
    elsewhere.host_embedding = true;
    const struct run got = simulate(&figures, &elsewhere, false);
    assert_memory_equal(got.tokens, expected.tokens, sizeof expected.tokens);
    const uint64_t embedding = expected.info.weight_bytes - got.info.weight_bytes; /* a piece is rounded up */
    assert_in_range(embedding, 300 * 512 * 2, 300 * 512 * 2 + 1024);
}

/* Four equal layers, of S bytes together, over a link of 0.1 GB/s.
 *   kernels that take no time: each step takes S / link, whatever the ring
 *   memory as slow as the link: kernels take as long as copies, and the output matrix beside. One slot, or copies among
 *   the kernels: a step takes the time of both. Four slots: of the one that takes longer, the kernels. */
static void overlap_is_worth_what_it_hides(void **state)
{
    (void)state;
    const struct sto_simulation quick = {.vram_gb_per_s = 1e6, .link_gb_per_s = 0.1};
    const struct sto_simulation equal = {.vram_gb_per_s = 0.1, .link_gb_per_s = 0.1};
    const struct sto_engine_params one = params_for(streamed, 1, STO_COPY_AUTO);
    const struct sto_engine_params two = params_for(streamed, 2, STO_COPY_AUTO);
    const struct sto_engine_params four = params_for(streamed, 4, STO_COPY_AUTO);
    const struct sto_engine_params among = params_for(streamed, 4, STO_COPY_QUEUE);
    const struct sto_engine_params all = params_for(resident, 1, STO_COPY_AUTO);
    const struct run r = simulate(&quick, &one, true);
    const double copies_s = (double)r.info.streamed_bytes / 0.1e9;
    assert_near(r.step_s, copies_s, 0.01);
    assert_near(simulate(&quick, &two, true).step_s, copies_s, 0.01);
    const double kernels_s = simulate(&equal, &all, true).step_s;
    assert_true(kernels_s > copies_s);
    assert_near(simulate(&equal, &one, true).step_s, copies_s + kernels_s, 0.01);
    assert_near(simulate(&equal, &among, true).step_s, copies_s + kernels_s, 0.01);
    assert_near(simulate(&equal, &four, true).step_s, kernels_s, 0.01);
}

static void the_same_seed_gives_the_same_times(void **state)
{
    (void)state;
    struct sto_simulation figures = {.vram_gb_per_s = 10, .link_gb_per_s = 1, .jitter_percent = 30, .seed = 1};
    const struct sto_engine_params params = params_for(streamed, 2, STO_COPY_AUTO);
    const double first = simulate(&figures, &params, true).step_s;
    assert_true(simulate(&figures, &params, true).step_s == first);
    figures.seed = 2;
    assert_true(simulate(&figures, &params, true).step_s != first);
}

/* Measured as on any device. The figures beside each other are all different. */
static void probing_finds_the_figures(void **state)
{
    (void)state;
    const struct sto_simulation f = {.vram_gb_per_s = 300, .product_gb_per_s = 250, .compute_tflop_per_s = 20,
                                     .link_gb_per_s = 13, .link_back_gb_per_s = 11, .dram_gb_per_s = 60,
                                     .dram_shared_gb_per_s = 65, .crossing_us = 40, .submit_us = 8, .latency_us = 3};
    uint64_t type_bytes[STO_TYPE_COUNT] = {[STO_TYPE_F16] = 1 << 20};
    struct sto_test_device device;
    struct sto_rates r;
    struct sto_error err = {0};
    sto_test_device_open(&device, &(struct sto_device_params){.simulation = &f, .simulate_only = true});
    if (sto_probe_rates(device.device, type_bytes, UINT64_MAX, &r, &err) != STO_OK)
        fail_msg("%s", err.message);
    sto_test_device_close(&device);
    assert_near(r.vram_gb_per_s, 300, 0.02);
    assert_near(r.product_gb_per_s, 250, 0.06); /* activations, and what handing over costs */
    assert_near(r.compute_tflop_per_s, 20, 0.06);
    assert_near(r.link_gb_per_s, 13, 0.01);
    assert_near(r.link_back_gb_per_s, 11, 0.01);
    assert_near(r.dram_gb_per_s, 60, 0.01);
    assert_near(r.dram_shared_gb_per_s, 65, 0.01);
    assert_near(r.crossing_us, 40, 0.01);
}

static int set_up(void **state)
{
    (void)state;
    const struct sto_synth shape = {.arch = "qwen3", .n_vocab = 300, .n_embd = 512, .n_layers = N_LAYERS, .n_ff = 1536,
                                    .n_heads = 8, .n_kv_heads = 2, .head_dim = 64, .n_ctx = 256, .rope_base = 10000.0f,
                                    .tied = false, .type = STO_TYPE_F16, .embd_type = STO_TYPE_F16,
                                    .rich_type = STO_TYPE_F16, .seed = 5};
    model = sto_test_synth_model(&shape, "simulated", path, sizeof path);
    return model != NULL ? 0 : -1;
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
        cmocka_unit_test(tokens_are_the_device_s),
        cmocka_unit_test(overlap_is_worth_what_it_hides),
        cmocka_unit_test(the_same_seed_gives_the_same_times),
        cmocka_unit_test(probing_finds_the_figures),
    };
    return cmocka_run_group_tests_name("simulated", tests, set_up, tear_down);
}

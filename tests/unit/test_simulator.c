/* The simulator against timelines worked out by hand, and the text of its figures. Figures are chosen so that times
 * come out round: a link of 10 GB/s takes 0.1 s for a GB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/vk/simulator.h"

static const uint64_t GB = 1000000000;

static struct sto_simulator *create(const struct sto_simulation *figures)
{
    struct sto_simulator *sim = NULL;
    assert_int_equal(sto_simulator_create(figures, NULL, NULL, &sim, NULL), STO_OK);
    return sim;
}

static void submit(struct sto_simulator *sim, enum sto_sim_queue queue, const struct sto_sim_batch *batch)
{
    assert_int_equal(sto_simulator_submit(sim, queue, batch, 1, NULL), STO_OK);
}

static void assert_ms(double seconds, double ms)
{
    if (seconds < ms / 1e3 - 1e-8 || seconds > ms / 1e3 + 1e-8)
        fail_msg("%.6f ms, not %.6f", seconds * 1e3, ms);
}

static void assert_now_ms(const struct sto_simulator *sim, double ms)
{
    assert_ms((double)sto_simulator_now_ns(sim) * 1e-9, ms);
}

/* Four layers of 1 GB through `slots` slots, 100 ms each on the link and 10 ms each in kernels; how long a first pass
 * takes. serial: as a build would that puts copies on the queue of the kernels. */
static double pass_through_ring(uint32_t slots, bool serial)
{
    enum { LAYERS = 4 };
    struct sto_simulator *sim = create(&(struct sto_simulation){.vram_gb_per_s = 100, .link_gb_per_s = 10});
    const uint32_t arrived = sto_simulator_timeline(sim), used = sto_simulator_timeline(sim);
    for (uint64_t t = 1; t <= LAYERS; t++) {
        const struct sto_sim_batch copy = {.work = {.up_bytes = GB, .copies = 1},
                                           .waits = {{used, t > slots ? t - slots : 0}},
                                           .signals = {{arrived, t}},
                                           .n_signals = 1};
        const struct sto_sim_batch layer = {.work = {.device_s = sto_simulator_kernel_s(sim, true, GB, 0)},
                                            .waits = {{arrived, t}},
                                            .signals = {{used, t}},
                                            .n_signals = 1};
        submit(sim, serial ? STO_SIM_COMPUTE : STO_SIM_TRANSFER, &copy);
        submit(sim, STO_SIM_COMPUTE, &layer);
    }
    assert_true(sto_simulator_wait(sim, used, LAYERS));
    const double seconds = (double)sto_simulator_now_ns(sim) * 1e-9;
    sto_simulator_destroy(sim);
    return seconds;
}

/* One slot: a copy begins when the layer before it has run, so each layer takes 110 ms. Two: the link never rests
 * (copy 3 begins at 200 ms, its slot is free since 110), and the last layer runs behind the last copy, 410 ms. One
 * queue for both: 110 ms each again, however many slots. */
static void a_ring_overlaps(void **state)
{
    (void)state;
    assert_ms(pass_through_ring(1, false), 440);
    assert_ms(pass_through_ring(2, false), 410);
    assert_ms(pass_through_ring(4, false), 410);
    assert_ms(pass_through_ring(4, true), 440);
}

/* Bytes of weights take the rate of products; 4 TFLOP at 2 TFLOP/s take longer than reading 100 GB at 100 GB/s. */
static void kernels_take_the_longer(void **state)
{
    (void)state;
    struct sto_simulator *sim = create(&(struct sto_simulation){
        .vram_gb_per_s = 200, .product_gb_per_s = 100, .link_gb_per_s = 10, .compute_tflop_per_s = 2});
    assert_ms(sto_simulator_kernel_s(sim, true, 100 * GB, 0), 1000);
    assert_ms(sto_simulator_kernel_s(sim, false, 100 * GB, 0), 500);
    assert_ms(sto_simulator_kernel_s(sim, true, 100 * GB, UINT64_C(4000000000000)), 2000);
    sto_simulator_destroy(sim);
}

/* Submit 10 us, latency 5 us for each of two copies, 1 MB up at 10 GB/s 100 us, kernels 20 us, 1 MB down at 5 GB/s
 * 200 us: 340 us. Two crossings of 50 us have 10 us of submit, twice 5 us of latency and twice
 * 1.6384 us of 16 KiB in them: the host wakes 76.7232 us after the batch ended. */
static void parts_of_a_batch_follow_each_other(void **state)
{
    (void)state;
    struct sto_simulator *sim = create(&(struct sto_simulation){.vram_gb_per_s = 100, .link_gb_per_s = 10,
                                                                .link_back_gb_per_s = 5, .crossing_us = 50,
                                                                .submit_us = 10, .latency_us = 5});
    const uint32_t done = sto_simulator_timeline(sim);
    struct sto_sim_span span;
    const struct sto_sim_batch batch = {
        .work = {.device_s = 20e-6, .up_bytes = 1000000, .down_bytes = 1000000, .copies = 2},
        .signals = {{done, 3}},
        .n_signals = 1};
    submit(sim, STO_SIM_COMPUTE, &batch);
    assert_now_ms(sim, 0.010);
    assert_int_equal(sto_simulator_value(sim, done), 0);
    assert_false(sto_simulator_span(sim, done, 3, &span));
    assert_true(sto_simulator_wait(sim, done, 3));
    assert_true(sto_simulator_span(sim, done, 3, &span));
    assert_ms(span.begin_s, 0.010);
    assert_ms(span.end_s, 0.340);
    assert_now_ms(sim, 0.4167232);
    assert_true(sto_simulator_wait(sim, done, 3)); /* it is there: no waiting */
    assert_now_ms(sim, 0.4167232);
    sto_simulator_destroy(sim);
}

/* Memory gives 50 GB/s to both. The link takes its 20, the processor the other 30: 10 GB are copied in 500 ms, beside
 * 15 GB read. The processor's other 25 GB at its own 40 GB/s take 625 ms. */
static void link_and_processor_share_memory(void **state)
{
    (void)state;
    struct sto_simulator *sim = create(&(struct sto_simulation){.vram_gb_per_s = 100, .link_gb_per_s = 20,
                                                                .dram_gb_per_s = 45, .dram_shared_gb_per_s = 50,
                                                                .cpu_gb_per_s = 40});
    const uint32_t done = sto_simulator_timeline(sim);
    struct sto_sim_span span;
    submit(sim, STO_SIM_TRANSFER, &(struct sto_sim_batch){.work = {.up_bytes = 10 * GB, .copies = 1},
                                                          .signals = {{done, 1}}, .n_signals = 1});
    sto_simulator_compute(sim, 40 * GB, 1, 0);
    assert_now_ms(sim, 1125);
    assert_true(sto_simulator_span(sim, done, 1, &span));
    assert_ms(span.end_s, 500);
    sto_simulator_compute(sim, 4 * GB, 2, 0); /* alone; without a rate of arithmetic each column reads anew */
    assert_now_ms(sim, 1325);
    sto_simulator_read_begin(sim); /* 45 GB/s alone */
    sto_simulator_pass(sim, 0.1);
    const double bytes = sto_simulator_read_end(sim);
    assert_true(bytes > 4.49999e9 && bytes < 4.50001e9);
    sto_simulator_destroy(sim);
}

/* The rate of memory holds for the link alone, too: 10 GB at 8 GB/s. */
static void memory_bounds_the_link(void **state)
{
    (void)state;
    struct sto_simulator *sim =
        create(&(struct sto_simulation){.vram_gb_per_s = 100, .link_gb_per_s = 20, .dram_gb_per_s = 8});
    const uint32_t done = sto_simulator_timeline(sim);
    submit(sim, STO_SIM_TRANSFER, &(struct sto_sim_batch){.work = {.up_bytes = 10 * GB, .copies = 1},
                                                          .signals = {{done, 1}}, .n_signals = 1});
    assert_true(sto_simulator_wait(sim, done, 1));
    assert_now_ms(sim, 1250);
    sto_simulator_destroy(sim);
}

static double with_jitter(double seed)
{
    struct sto_simulator *sim = create(&(struct sto_simulation){
        .vram_gb_per_s = 100, .link_gb_per_s = 10, .jitter_percent = 20, .seed = seed});
    const uint32_t done = sto_simulator_timeline(sim);
    for (uint64_t i = 1; i <= 100; i++)
        submit(sim, STO_SIM_TRANSFER, &(struct sto_sim_batch){.work = {.up_bytes = GB / 100, .copies = 1},
                                                              .signals = {{done, i}}, .n_signals = 1});
    assert_true(sto_simulator_wait(sim, done, 100));
    const double seconds = (double)sto_simulator_now_ns(sim) * 1e-9;
    sto_simulator_destroy(sim);
    return seconds;
}

/* 100 ms without; up to 20 % more for each, so about 110 ms in all, the same for the same seed. */
static void jitter_is_a_seed_s(void **state)
{
    (void)state;
    const double a = with_jitter(1), b = with_jitter(2);
    assert_true(a > 0.105 && a < 0.115 && b > 0.105 && b < 0.115);
    assert_true(a == with_jitter(1) && a != b);
}

/* Nothing raises the timeline; or what would waits for it. The host's own signal ends the second. */
static void what_never_comes_is_said(void **state)
{
    (void)state;
    struct sto_simulator *sim = create(&(struct sto_simulation){.vram_gb_per_s = 100, .link_gb_per_s = 10});
    const uint32_t a = sto_simulator_timeline(sim), b = sto_simulator_timeline(sim);
    assert_false(sto_simulator_wait(sim, a, 1));
    submit(sim, STO_SIM_COMPUTE, &(struct sto_sim_batch){.work = {.device_s = 0.5}, .waits = {{a, 1}},
                                                         .signals = {{b, 1}}, .n_signals = 1});
    assert_false(sto_simulator_wait(sim, b, 1));
    sto_simulator_signal(sim, a, 1);
    assert_true(sto_simulator_wait(sim, b, 1));
    assert_now_ms(sim, 500);
    sto_simulator_destroy(sim);
}

static void figures_are_read(void **state)
{
    (void)state;
    struct sto_simulation f;
    const char *text = "# a card\nvram=300\nlink=13, latency=10 # us\njitter=2.5,seed=7\n";
    assert_int_equal(sto_simulation_parse("x", text, strlen(text), &f, NULL), STO_OK);
    assert_true(f.vram_gb_per_s == 300 && f.link_gb_per_s == 13 && f.latency_us == 10 && f.jitter_percent == 2.5 &&
                f.seed == 7 && f.cpu_gb_per_s == 0);
    static const char *const wrong[][2] = {
        {"vram=300", "card.txt: 'link' must be given"},
        {"link=300", "card.txt: 'vram' must be given"},
        {"vram=0,link=1", "card.txt: 'vram' must be given, and above 0"},
        {"vram=300\nlink=13\ndisk=3", "card.txt: line 3: there is no rate 'disk': vram, product,"},
        {"vram=300,link=x", "card.txt: line 1: link: 'x' is no number"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sto_error err = {0};
        f.vram_gb_per_s = 1;
        assert_int_equal(sto_simulation_parse("card.txt", wrong[i][0], strlen(wrong[i][0]), &f, &err), STO_ERR_USAGE);
        if (strstr(err.message, wrong[i][1]) == NULL)
            fail_msg("'%s' does not say '%s'", err.message, wrong[i][1]);
        assert_true(f.vram_gb_per_s == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_overlaps),
        cmocka_unit_test(kernels_take_the_longer),
        cmocka_unit_test(parts_of_a_batch_follow_each_other),
        cmocka_unit_test(link_and_processor_share_memory),
        cmocka_unit_test(memory_bounds_the_link),
        cmocka_unit_test(jitter_is_a_seed_s),
        cmocka_unit_test(what_never_comes_is_said),
        cmocka_unit_test(figures_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

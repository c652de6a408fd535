/* The planner: the design's table, plans of a real model's sizes beside the roofline, every split of small models by
 * brute force, budgets that grow, and sizes that no model has. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/plan_time.h"
#include "host/planner.h"

enum { MAX_LAYERS = 1024, ALL_MEANS = 63 };

struct planned {
    enum sto_lane decode[MAX_LAYERS], prefill[MAX_LAYERS];
    struct sto_plan plan;
    struct sto_plan_figures figures;
};

static struct planned *room(struct planned *p)
{
    memset(p, 0, sizeof *p);
    p->plan.decode = p->decode;
    p->plan.prefill = p->prefill;
    return p;
}

static enum sto_status make(const struct sto_planner_input *in, struct planned *p, struct sto_error *err)
{
    room(p);
    return sto_plan_make(in, &p->plan, &p->figures, err);
}

static void must_make(const struct sto_planner_input *in, struct planned *p)
{
    struct sto_error err = {0};
    if (make(in, p, &err) != STO_OK)
        fail_msg("%s: %s", sto_status_name(err.status), err.message);
}

/* ---- the roofline ---- */

/* Qwen3-8B in Q4_K_M reads 4.68 GB per token: tokens/s with 0, 2, 3 and 4 GB resident, as the design has them. */
static const struct {
    const char *what;
    struct sto_rates rates;
    double tokens_per_s[4];
    double unit; /* the table's last digit */
} table[] = {
    {"streaming, PCIe 4.0 x8", {.vram_gb_per_s = 300, .link_gb_per_s = 13}, {2.8, 4.9, 7.7, 19}, 0.1},
    {"streaming, PCIe 4.0 x16", {.vram_gb_per_s = 300, .link_gb_per_s = 25}, {5.3, 9.3, 15, 37}, 0.1},
    {"streaming, PCIe 5.0 x16", {.vram_gb_per_s = 300, .link_gb_per_s = 50}, {11, 19, 30, 64}, 1},
    {"cpu lane, DDR5", {.vram_gb_per_s = 300, .cpu_gb_per_s = 65, .dram_gb_per_s = 65}, {14, 21, 28, 42}, 1},
};

static void the_roofline_is_the_designs_table(void **state)
{
    static const double resident[] = {0, 2e9, 3e9, 4e9};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (size_t m = 0; m < 4; m++) {
            const double t = 1 / sto_plan_roofline(&table[i].rates, 4.68e9, resident[m]);
            const double expected = table[i].tokens_per_s[m], unit = expected < 10 ? table[i].unit : 1;
            if (fabs(t - expected) > unit / 2 + 0.01)
                fail_msg("%s, %.0f GB: %.3f tokens/s, expected %g", table[i].what, resident[m] / 1e9, t, expected);
        }
    }
}

/* DESIGN's formula, written out once more. */
static double formula(const struct sto_rates *r, double bytes, double resident, double cpu)
{
    const double s = bytes - resident - cpu;
    double t = (resident + s) / r->vram_gb_per_s;
    if (cpu > 0)
        t += cpu / r->cpu_gb_per_s + 2 * r->crossing_us * 1e3;
    t = fmax(t, s / r->link_gb_per_s);
    return fmax(t, (s + cpu) / r->dram_gb_per_s) / 1e9;
}

static void the_roofline_is_the_least_over_all_splits(void **state)
{
    enum { STEPS = 20000 };
    (void)state;
    for (int i = 0; i < 24; i++) {
        const struct sto_rates r = {.vram_gb_per_s = i % 2 ? 300 : 90, .link_gb_per_s = i % 3 ? 13 : 25,
                                    .cpu_gb_per_s = i % 5 ? 40 : 12, .dram_gb_per_s = 65,
                                    .crossing_us = i % 4 ? 50 : 4000};
        const double bytes = 4.68e9, resident = i * 0.2e9;
        double least = INFINITY;
        for (int k = 0; k <= STEPS; k++)
            least = fmin(least, formula(&r, bytes, resident, (bytes - resident) * k / STEPS));
        const double t = sto_plan_roofline(&r, bytes, resident);
        assert_true(t <= least * (1 + 1e-9) && t >= least * (1 - 1e-3));
    }
    const struct sto_rates no_lane = {.vram_gb_per_s = 300};
    assert_true(isinf(sto_plan_roofline(&no_lane, 2e9, 1e9)));
    assert_true(fabs(sto_plan_roofline(&no_lane, 2e9, 3e9) - 2.0 / 300) < 1e-12);
}

/* ---- a real model ---- */

/* Qwen3-8B in Q4_K_M: per layer 138.4 million weights in Q4_K (4.5 bits) and, in half of the layers, 54.5 million in
 * Q6_K (6.5625 bits) instead; the output matrix in Q6_K, the embedding in Q4_K. */
enum { LAYERS_8B = 36 };
static const uint64_t plain_layer = 108527616, rich_layer = 122580992, output_8b = 510504960, embedding_8b = 350060544;
static uint64_t layers_8b[LAYERS_8B];

static struct sto_planner_input model_8b(double vram_gb, const struct sto_rates *rates)
{
    for (uint32_t l = 0; l < LAYERS_8B; l++)
        layers_8b[l] = l < 4 || l >= 32 || (l - 4) % 3 == 2 ? rich_layer : plain_layer;
    return (struct sto_planner_input){
        .layer_bytes = layers_8b,
        .n_layers = LAYERS_8B,
        .embedding_bytes = embedding_8b,
        .output_bytes = output_8b,
        .layer_flops = 2 * 6.95e9,
        .attention_flops = 4.0 * 36 * 32 * 128,
        .ctx_tokens = 4096,
        .ubatch_tokens = 512,
        .vram_bytes = (uint64_t)(vram_gb * 1e9),
        .means = ALL_MEANS,
        .rates = *rates,
    };
}

static double bytes_8b(void)
{
    double sum = (double)output_8b;
    for (uint32_t l = 0; l < LAYERS_8B; l++)
        sum += (double)layers_8b[l];
    return sum;
}

static const struct sto_rates desktops[] = {
    {.vram_gb_per_s = 300, .link_gb_per_s = 13, .compute_tflop_per_s = 20},
    {.vram_gb_per_s = 300, .link_gb_per_s = 25, .compute_tflop_per_s = 20},
    {.vram_gb_per_s = 300, .link_gb_per_s = 50, .compute_tflop_per_s = 20},
    {.vram_gb_per_s = 300, .cpu_gb_per_s = 40, .dram_gb_per_s = 65, .crossing_us = 50, .compute_tflop_per_s = 20},
    {.vram_gb_per_s = 300, .link_gb_per_s = 13, .cpu_gb_per_s = 40, .dram_gb_per_s = 65, .crossing_us = 50,
     .compute_tflop_per_s = 20, .cpu_tflop_per_s = 0.5},
    {.vram_gb_per_s = 300, .link_gb_per_s = 25, .cpu_gb_per_s = 40, .dram_gb_per_s = 65, .crossing_us = 50,
     .compute_tflop_per_s = 20, .cpu_tflop_per_s = 0.5},
};
enum { N_DESKTOPS = sizeof desktops / sizeof *desktops };


/* The roofline cuts layers anywhere, and has no ring. Plans never beat it, and take at most a tenth longer than it
 * would with a budget that lacks the ring and two layers. */
static void plans_reach_the_roofline(void **state)
{
    struct planned p;
    (void)state;
    for (size_t d = 0; d < N_DESKTOPS; d++) {
        const struct sto_rates *r = &desktops[d];
        for (double gb = 0.6; gb < 5.2; gb += 0.2) {
            const struct sto_planner_input in = model_8b(gb, r);
            must_make(&in, &p);
            const double roof = sto_plan_roofline(r, bytes_8b(), gb * 1e9);
            const double less = (double)p.figures.ring_bytes + 2.0 * (double)rich_layer;
            const double near = sto_plan_roofline(r, bytes_8b(), fmax(0.0, gb * 1e9 - less));
            const double t = p.figures.decode.seconds;
            if (t < roof * (1 - 1e-9) || t > near * 1.1)
                fail_msg("rates %zu, %.1f GB: %.2f tokens/s; roofline %.2f, and %.2f with %.2f GB less", d, gb,
                         1 / t, 1 / roof, 1 / near, less / 1e9);
        }
    }
}

/* ---- brute force ---- */

/* Any numbers, the same each time. */
static uint32_t random_below(uint64_t *seed, uint32_t n)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % n;
}

static double random_rate(uint64_t *seed, double low, double high)
{
    return low + (high - low) * random_below(seed, 1000) / 1000;
}

/* The least time of all lanes and rings that fit. */
static double least_time(const struct sto_planner_input *in, struct planned *p)
{
    double least = INFINITY;
    uint32_t n_orders = 1;
    for (uint32_t l = 0; l < in->n_layers; l++)
        n_orders *= 3;
    room(p);
    for (uint32_t order = 0; order < 2 * n_orders; order++) {
        bool streams = false;
        p->plan.output = order % 2 ? STO_LANE_STREAM : STO_LANE_RESIDENT;
        streams = order % 2;
        for (uint32_t l = 0, rest = order / 2; l < in->n_layers; l++, rest /= 3) {
            p->decode[l] = p->prefill[l] = (enum sto_lane)(rest % 3);
            streams = streams || p->decode[l] == STO_LANE_STREAM;
        }
        for (p->plan.ring_slots = streams; p->plan.ring_slots <= (streams ? 8u : 0u); p->plan.ring_slots++) {
            assert_int_equal(sto_plan_predict(in, &p->plan, &p->figures, NULL), STO_OK);
            if (p->figures.device_bytes <= in->vram_bytes && p->figures.decode.seconds > 0)
                least = fmin(least, p->figures.decode.seconds);
        }
    }
    return least;
}

/* With layers of one size the planner finds the best there is. Sizes that differ by up to 1.75 leave orders that it
 * does not look at: at most 15 % faster. */
static void no_split_is_faster(void **state)
{
    enum { ROUNDS = 60 };
    uint64_t seed = 1;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t layers[5];
        struct planned p, best;
        struct sto_planner_input in = {
            .layer_bytes = layers,
            .n_layers = 2 + random_below(&seed, 4),
            .output_bytes = 50000000 + random_below(&seed, 200000000),
            .kv_bytes_per_token = 4000,
            .ctx_tokens = 1000,
            .depth_tokens = random_below(&seed, 1000),
            .ubatch_tokens = 64,
            .means = STO_PLAN_CPU | STO_PLAN_STREAM_OUTPUT | (round % 5 != 0 ? STO_PLAN_OVERLAP : 0),
            .rates = {.vram_gb_per_s = random_rate(&seed, 50, 500), .link_gb_per_s = random_rate(&seed, 5, 50),
                      .cpu_gb_per_s = random_rate(&seed, 5, 60), .dram_gb_per_s = random_rate(&seed, 40, 90),
                      .crossing_us = random_rate(&seed, 0, 300), .step_us = random_rate(&seed, 0, 300)},
        };
        uint64_t all = in.output_bytes;
        const uint32_t spread = round % 3 == 0 ? 1 : 60000000;
        for (uint32_t l = 0; l < in.n_layers; l++)
            all += layers[l] = 80000000 + random_below(&seed, spread);
        in.vram_bytes = 170000000 + random_below(&seed, (uint32_t)all);
        must_make(&in, &p);
        const double least = least_time(&in, &best), most = least * (spread == 1 ? 1 + 1e-9 : 1.15);
        if (p.figures.decode.seconds > most || p.figures.decode.seconds < least * (1 - 1e-9))
            fail_msg("round %d, %u layers: %.3f ms, the least is %.3f", round, (unsigned)in.n_layers,
                     1e3 * p.figures.decode.seconds, 1e3 * least);
    }
}

/* ---- budgets ---- */

static void expect_within(const struct sto_planner_input *in, const struct planned *p)
{
    const struct sto_plan_figures *f = &p->figures;
    uint64_t device = in->fixed_bytes + f->kv_device_bytes + f->ring_bytes + f->decode_lanes[STO_LANE_RESIDENT].bytes;
    uint64_t host = f->kv_host_bytes + f->decode_lanes[STO_LANE_STREAM].bytes + f->decode_lanes[STO_LANE_CPU].bytes;
    *(p->plan.embedding == STO_LANE_RESIDENT ? &device : &host) += in->embedding_bytes;
    *(p->plan.output == STO_LANE_RESIDENT ? &device : &host) += in->output_bytes;
    assert_true(f->device_bytes <= in->vram_bytes);
    assert_true(in->ram_bytes == 0 || f->host_bytes <= in->ram_bytes);
    assert_true(device - f->device_bytes < 64 || f->device_bytes - device < 64); /* pieces of the output matrix */
    assert_true(host - f->host_bytes - f->disk_bytes < 64 || f->host_bytes + f->disk_bytes - host < 64);
    for (uint32_t l = 0; l < in->n_layers; l++)
        assert_true((p->decode[l] == STO_LANE_RESIDENT) == (p->prefill[l] == STO_LANE_RESIDENT));
}

/* Decoding at every budget, for every desktop and what a program may lack. Prompts come second: the fastest decode may
 * have one slot where two would read prompts faster. */
static void more_memory_is_never_slower(void **state)
{
    static const uint32_t lacks[] = {0, STO_PLAN_OVERLAP, STO_PLAN_CPU,
                                     STO_PLAN_STREAM_OUTPUT | STO_PLAN_HOST_EMBEDDING};
    (void)state;
    for (size_t i = 0; i < N_DESKTOPS * 4; i++) {
        double decode = 0;
        for (double gb = 0.3; gb < 6.1; gb += 0.3) {
            struct sto_planner_input in = model_8b(gb, &desktops[i / 4]);
            struct planned p;
            in.means &= ~lacks[i % 4];
            in.kv_bytes_per_token = 147456;
            in.fixed_bytes = 100 << 20;
            if (make(&in, &p, NULL) != STO_OK) {
                assert_true(decode <= 0);
                continue;
            }
            expect_within(&in, &p);
            if (p.figures.decode.tokens_per_s < decode * (1 - 1e-9))
                fail_msg("%zu: %.2f tokens/s at %.1f GB, %.2f at less", i, p.figures.decode.tokens_per_s, gb, decode);
            decode = p.figures.decode.tokens_per_s;
        }
        assert_true(decode > 40);
    }
}

static void host_memory_is_a_budget_too(void **state)
{
    double before = 0;
    (void)state;
    for (double gb = 0.5; gb < 4.5; gb += 0.5) {
        struct sto_rates r = desktops[4];
        struct planned p;
        r.disk_gb_per_s = 3;
        struct sto_planner_input in = model_8b(1.5, &r);
        in.ram_bytes = (uint64_t)(gb * 1e9);
        must_make(&in, &p);
        expect_within(&in, &p);
        assert_true(p.figures.decode.tokens_per_s >= before * (1 - 1e-9));
        if (gb < 3)
            assert_true(p.figures.disk_bytes > 0 && p.figures.decode.bind == STO_BIND_DISK);
        before = p.figures.decode.tokens_per_s;
        in.means &= ~(uint32_t)STO_PLAN_DISK;
        struct sto_error err = {0};
        if (make(&in, &p, &err) != STO_OK) {
            assert_int_equal(err.status, STO_ERR_NO_FIT);
            assert_non_null(strstr(err.message, "of host memory are needed"));
            assert_true(gb < 4);
        }
    }
}

/* ---- what is chosen ---- */

static void a_program_is_planned_for_as_it_is(void **state)
{
    struct planned p;
    (void)state;
    struct sto_planner_input in = model_8b(3, &desktops[5]);
    in.means = 0; /* no copies beside kernels: one slot, and copies and kernels add up */
    must_make(&in, &p);
    assert_int_equal(p.figures.decode_lanes[STO_LANE_CPU].layers, 0);
    assert_int_equal(p.plan.embedding, STO_LANE_RESIDENT);
    assert_int_equal(p.plan.output, STO_LANE_RESIDENT);
    assert_int_equal(p.plan.ring_slots, 1);
    assert_int_equal(p.figures.decode.bind, STO_BIND_COPIES);
    const struct sto_prediction *t = &p.figures.decode;
    assert_true(fabs(t->seconds - t->link_s - t->device_s) < 1e-9);
    in.ring_slots = 3;
    must_make(&in, &p);
    assert_int_equal(p.plan.ring_slots, 3);
    in.means = ALL_MEANS;
    in.rates.cpu_gb_per_s = 0;
    must_make(&in, &p);
    assert_int_equal(p.figures.decode_lanes[STO_LANE_CPU].layers, 0);
    assert_int_equal(p.plan.embedding, STO_LANE_CPU);
    in.output_bytes = 0; /* tied: the embedding is read for every token */
    must_make(&in, &p);
    assert_int_equal(p.plan.embedding, STO_LANE_RESIDENT);
    in.rates = (struct sto_rates){.vram_gb_per_s = 8, .cpu_gb_per_s = 12, .dram_gb_per_s = 14};
    in.vram_bytes = UINT64_C(8) << 30; /* a processor that is faster than its driver computes every layer */
    must_make(&in, &p);
    assert_int_equal(p.figures.decode_lanes[STO_LANE_CPU].layers, LAYERS_8B);
}

/* One placement for both phases: layers that decode on the processor read prompts there, and no slot is for them. */
static void without_phases_layers_stay_for_prompts(void **state)
{
    struct planned p;
    uint64_t largest = 0;
    (void)state;
    struct sto_planner_input in = model_8b(2, &desktops[5]);
    must_make(&in, &p);
    assert_true(p.figures.decode_lanes[STO_LANE_CPU].layers > 0);
    assert_int_equal(p.figures.prefill_lanes[STO_LANE_CPU].layers, 0);
    in.means = STO_PLAN_OVERLAP | STO_PLAN_CPU;
    must_make(&in, &p);
    assert_true(p.figures.decode_lanes[STO_LANE_CPU].layers > 0);
    assert_memory_equal(p.plan.decode, p.plan.prefill, LAYERS_8B * sizeof *p.plan.decode);
    assert_int_equal(p.plan.embedding, STO_LANE_RESIDENT);
    for (uint32_t l = 0; l < LAYERS_8B; l++) {
        if (p.plan.decode[l] == STO_LANE_STREAM && in.layer_bytes[l] > largest)
            largest = in.layer_bytes[l];
    }
    assert_int_equal(p.plan.slot_bytes, largest);
    assert_true(p.plan.ring_slots <= p.figures.decode_lanes[STO_LANE_STREAM].layers);
    assert_int_equal(p.figures.kv_host_bytes > 0, in.kv_bytes_per_token > 0);
}

/* Layers that decode on the processor are streamed for prompts: one decode that is worked out by hand, and one prompt.
 * Four layers of 100 MB, room for one and a ring of two on the device, no KV; decode takes 10 ms for each on the
 * processor, 1 ms on the device and 10 ms through the link. */
static void prompts_go_through_the_ring(void **state)
{
    static const uint64_t layers[4] = {100000000, 100000000, 100000000, 100000000};
    struct planned p;
    (void)state;
    struct sto_planner_input in = {
        .layer_bytes = layers, .n_layers = 4, .output_bytes = 1000, .embedding_bytes = 1000,
        .layer_flops = 4e9, .ctx_tokens = 1000, .ubatch_tokens = 100, .vram_bytes = 300002000,
        .means = STO_PLAN_CPU | STO_PLAN_OVERLAP | STO_PLAN_PHASES, .ring_slots = 2,
        .rates = {.vram_gb_per_s = 100, .link_gb_per_s = 10, .cpu_gb_per_s = 10, .compute_tflop_per_s = 10,
                  .cpu_tflop_per_s = 0.1},
    };
    room(&p);
    p.plan.ring_slots = 2;
    p.decode[0] = p.prefill[0] = STO_LANE_RESIDENT;
    for (int l = 1; l < 4; l++) {
        p.decode[l] = STO_LANE_CPU;
        p.prefill[l] = STO_LANE_STREAM;
    }
    assert_int_equal(sto_plan_predict(&in, &p.plan, &p.figures, NULL), STO_OK);
    assert_true(fabs(p.figures.decode.seconds - 0.031) < 1e-6);
    assert_true(fabs(p.figures.prefill.seconds - 0.040) < 1e-6); /* 10 ms of arithmetic each, beside 30 of copies */
    assert_int_equal(p.figures.device_bytes, 100000000 + 2 * 100000000 + 2000);
    assert_int_equal(p.figures.decode_lanes[STO_LANE_PHASED].layers, 3);
    assert_int_equal(p.figures.decode_lanes[STO_LANE_PHASED].bytes, 300000000);
    /* 1 MB of KV for each layer and 1,000 tokens: 100 new ones go back, and at a depth of 400 so many come before */
    in.kv_bytes_per_token = 4000;
    in.depth_tokens = 400;
    assert_int_equal(sto_plan_predict(&in, &p.plan, &p.figures, NULL), STO_OK);
    assert_int_equal(p.figures.kv_device_bytes, 2000000); /* of the resident layer, and of one that visits */
    assert_int_equal(p.figures.kv_host_bytes, 3000000);
    assert_true(fabs(p.figures.prefill.link_s - 3 * (0.01 + 500 * 1000 / 10e9)) < 1e-9);
    /* shorter passes than the plan takes for prompts are the processor's */
    p.plan.prompt_tokens = 101;
    assert_int_equal(sto_plan_predict(&in, &p.plan, &p.figures, NULL), STO_OK);
    assert_true(p.figures.prefill.seconds > 3.0);
}

/* From so many tokens on the plan's prompts are faster its way, with what a change of phases costs; with half as many
 * they are not. */
static void short_passes_stay_on_the_processor(void **state)
{
    (void)state;
    for (size_t d = 4; d < N_DESKTOPS; d++) {
        struct planned p, stay;
        struct sto_planner_input in = model_8b(2.5, &desktops[d]);
        must_make(&in, &p);
        const uint32_t n = p.plan.prompt_tokens;
        assert_true(n >= 2 && n <= 64);
        stay = p;
        stay.plan.decode = stay.plan.prefill = stay.decode;
        stay.plan.prompt_tokens = p.plan.prompt_tokens = 0;
        const double change = (double)(p.plan.ring_slots * p.plan.slot_bytes) / in.rates.link_gb_per_s / 1e9;
        for (uint32_t half = 1; half <= 2; half++) {
            in.ubatch_tokens = n / half;
            assert_int_equal(sto_plan_predict(&in, &p.plan, &p.figures, NULL), STO_OK);
            assert_int_equal(sto_plan_predict(&in, &stay.plan, &stay.figures, NULL), STO_OK);
            const bool faster = p.figures.prefill.seconds + change < stay.figures.prefill.seconds;
            assert_true(faster == (half == 1));
        }
    }
}

/* A batch of 2,048 hides the copies of all that does not fit into 4 GB behind its arithmetic. */
static void large_batches_hide_copies(void **state)
{
    struct planned all, p;
    (void)state;
    for (size_t d = 1; d < N_DESKTOPS; d += 4) { /* 25 GB/s, without and with the cpu lane */
        struct sto_planner_input in = model_8b(8, &desktops[d]);
        in.ubatch_tokens = 2048;
        must_make(&in, &all);
        assert_int_equal(all.figures.prefill.bind, STO_BIND_COMPUTE);
        in.vram_bytes = 4000000000;
        must_make(&in, &p);
        assert_true(p.figures.prefill.tokens_per_s > 0.9 * all.figures.prefill.tokens_per_s);
        assert_int_equal(p.figures.prefill_lanes[STO_LANE_CPU].layers, 0);
    }
}

/* Layers of 10 ms, copies of 10 or 20: worked out by hand. */
static void the_ring_is_played_through(void **state)
{
    static const uint64_t layers[8] = {100000000, 100000000, 100000000, 100000000,
                                       100000000, 100000000, 100000000, 100000000};
    static const struct {
        const char *lanes;
        uint32_t slots;
        double link_gb_per_s, ms;
        enum sto_plan_bind bind;
    } cases[] = {
        {"rrrrrrrr", 0, 10, 80, STO_BIND_DEVICE},
        {"rsrsrsrs", 2, 10, 80, STO_BIND_DEVICE}, /* a copy for every two layers: hidden                            */
        {"rsrsrsrs", 1, 10, 80, STO_BIND_DEVICE}, /* likewise: the slot is free while the resident one runs          */
        {"rrrrssss", 2, 10, 80, STO_BIND_DEVICE}, /* each copy runs beside the streamed layer before                 */
        {"rrrrssss", 1, 10, 110, STO_BIND_RING},  /* one is ready; then three times 10 + 10                          */
        {"rrrrssss", 2, 5, 100, STO_BIND_RING},   /* 40, two are ready: 10; 20 until the third: 10; 20 more: 10      */
        {"rrrrssss", 4, 5, 80, STO_BIND_DEVICE},  /* four slots hold all                                             */
        {"ssssssss", 1, 5, 240, STO_BIND_RING},   /* in turns: 8 times 20 + 10                                       */
        {"ssssssss", 2, 5, 160, STO_BIND_LINK},   /* copies alone: 8 times 20                                        */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct planned p;
        struct sto_planner_input in = {.layer_bytes = layers, .n_layers = 8, .ubatch_tokens = 512, .ctx_tokens = 1,
                                       .means = STO_PLAN_OVERLAP, .vram_bytes = UINT64_MAX,
                                       .rates = {.vram_gb_per_s = 10, .link_gb_per_s = cases[i].link_gb_per_s}};
        room(&p);
        for (uint32_t l = 0; l < 8; l++)
            p.decode[l] = p.prefill[l] = cases[i].lanes[l] == 'r' ? STO_LANE_RESIDENT : STO_LANE_STREAM;
        p.plan.ring_slots = cases[i].slots;
        assert_int_equal(sto_plan_predict(&in, &p.plan, &p.figures, NULL), STO_OK);
        const double ms = 1e3 * p.figures.decode.seconds;
        if (fabs(ms - cases[i].ms) > 0.01 || p.figures.decode.bind != cases[i].bind)
            fail_msg("%s through %u slots: %.2f ms (%s)", cases[i].lanes, (unsigned)cases[i].slots, ms,
                     sto_plan_bind_name(p.figures.decode.bind));
        assert_true(p.figures.prefill.seconds <= 0 && p.figures.prefill.bind == STO_BIND_UNKNOWN); /* no rate for it */
    }
}

/* What make says of its plan, predict says too. */
/* Two streamed layers share a slot, and a layer is on the processor. The first copy waits for nothing but the second's
 * kernels; the second waits for those of the first: 1 + 10 + 1, and then the longer of a copy (10) and the detour over
 * the processor (6 + 1 + 6). The formula alone says 20, which are the copies. */
static void crossings_are_played_through(void **state)
{
    (void)state;
    static const enum sto_lane lanes[] = {STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_CPU};
    uint64_t bytes[] = {1, 1, 1};
    double device_s[] = {1, 1, 1}, cpu_s[] = {1, 1, 1}, copy_s[] = {10, 10, 10};
    const struct sto_planner_input in = {.n_layers = 3};
    const struct plan_phase phase = {.in = &in, .n_items = 3, .tokens = 1, .bytes = bytes, .device_s = device_s,
                                     .cpu_s = cpu_s, .copy_s = copy_s, .crossing_s = 6, .known = true, .overlap = true};
    const struct plan_lanes split = {.items = lanes, .slots = 1};
    struct sto_prediction t;
    assert_true(fabs(plan_time_bound(&phase, &split, &t) - 20) < 1e-9);
    plan_time(&phase, &split, &t);
    assert_true(fabs(t.seconds - (1 + 10 + 1 + 13)) < 1e-9);
    assert_int_equal(t.bind, STO_BIND_RING);
}

static void predictions_agree(void **state)
{
    struct planned p, again;
    (void)state;
    for (size_t d = 0; d < N_DESKTOPS; d++) {
        for (double gb = 1; gb < 5; gb += 0.5) {
            struct sto_planner_input in = model_8b(gb, &desktops[d]);
            in.kv_bytes_per_token = 147456;
            in.depth_tokens = 2000;
            must_make(&in, &p);
            assert_int_equal(sto_plan_predict(&in, &p.plan, &again.figures, NULL), STO_OK);
            assert_memory_equal(&p.figures, &again.figures, sizeof p.figures);
        }
    }
}

/* ---- sizes that no model has ---- */

static void hostile_sizes_are_answered(void **state)
{
    static uint64_t layers[MAX_LAYERS];
    static const uint64_t sizes[] = {0, 1, 1000000, UINT64_MAX / 1000, UINT64_MAX};
    struct planned p;
    struct sto_error err;
    (void)state;
    for (size_t i = 0; i < 5 * 5 * 5; i++) {
        const uint64_t size = sizes[i % 5], budget = sizes[i / 5 % 5], other = sizes[i / 25];
        for (uint32_t l = 0; l < 7; l++)
            layers[l] = size;
        for (uint32_t n = 0; n <= 7; n += 7) {
            const struct sto_planner_input in = {.layer_bytes = layers, .n_layers = n, .embedding_bytes = other,
                                                 .output_bytes = other, .fixed_bytes = other,
                                                 .kv_bytes_per_token = other, .ctx_tokens = UINT32_MAX,
                                                 .depth_tokens = UINT32_MAX, .ubatch_tokens = (uint32_t)other,
                                                 .vram_bytes = budget, .ram_bytes = budget, .means = ALL_MEANS,
                                                 .rates = desktops[5]};
            const enum sto_status status = make(&in, &p, &err);
            assert_true(status == STO_OK || status == STO_ERR_NO_FIT);
            if (status == STO_OK)
                assert_true(p.figures.device_bytes <= budget);
        }
    }
}

static void the_longest_model_is_planned(void **state)
{
    static uint64_t layers[MAX_LAYERS];
    struct planned p;
    (void)state;
    for (uint32_t l = 0; l < MAX_LAYERS; l++)
        layers[l] = 4000000 + l % 7;
    struct sto_planner_input in = model_8b(2, &desktops[5]);
    in.layer_bytes = layers;
    in.n_layers = MAX_LAYERS;
    must_make(&in, &p);
    in.vram_bytes = 1000;
    struct sto_error err = {0};
    assert_int_equal(make(&in, &p, &err), STO_ERR_NO_FIT);
}

static void what_is_not_known_is_said(void **state)
{
    static const struct {
        struct sto_rates rates;
        double vram_gb;
        enum sto_status status;
        const char *part;
    } cases[] = {
        {{.link_gb_per_s = 25}, 8, STO_ERR_USAGE, "the rate 'vram' is not known"},
        {{.vram_gb_per_s = 300}, 3, STO_ERR_USAGE, "the rate 'link' is not known"},
        {{.vram_gb_per_s = 300}, 8, STO_OK, ""},
        {{.product_gb_per_s = 200}, 8, STO_OK, ""},
        {{.vram_gb_per_s = 300, .link_gb_per_s = 25}, 0.05, STO_ERR_NO_FIT, "at least"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sto_planner_input in = model_8b(cases[i].vram_gb, &cases[i].rates);
        struct planned p;
        struct sto_error err = {0};
        assert_int_equal(make(&in, &p, &err), cases[i].status);
        assert_non_null(strstr(err.message, cases[i].part));
    }
    /* What an error says would fit, fits. */
    struct sto_planner_input in = model_8b(0.05, &desktops[1]);
    struct planned p;
    struct sto_error err = {0};
    double mib = 0;
    assert_int_equal(make(&in, &p, &err), STO_ERR_NO_FIT);
    assert_int_equal(sscanf(err.message, "at least %lf MiB", &mib), 1);
    in.vram_bytes = (uint64_t)((mib + 0.1) * 1024 * 1024);
    assert_int_equal(make(&in, &p, &err), STO_OK);
    in.vram_bytes = (uint64_t)((mib - 0.1) * 1024 * 1024);
    assert_int_equal(make(&in, &p, &err), STO_ERR_NO_FIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_roofline_is_the_designs_table),
        cmocka_unit_test(the_roofline_is_the_least_over_all_splits),
        cmocka_unit_test(plans_reach_the_roofline),
        cmocka_unit_test(no_split_is_faster),
        cmocka_unit_test(more_memory_is_never_slower),
        cmocka_unit_test(host_memory_is_a_budget_too),
        cmocka_unit_test(a_program_is_planned_for_as_it_is),
        cmocka_unit_test(without_phases_layers_stay_for_prompts),
        cmocka_unit_test(prompts_go_through_the_ring),
        cmocka_unit_test(short_passes_stay_on_the_processor),
        cmocka_unit_test(large_batches_hide_copies),
        cmocka_unit_test(the_ring_is_played_through),
        cmocka_unit_test(crossings_are_played_through),
        cmocka_unit_test(predictions_agree),
        cmocka_unit_test(hostile_sizes_are_answered),
        cmocka_unit_test(the_longest_model_is_planned),
        cmocka_unit_test(what_is_not_known_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

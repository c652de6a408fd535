/* The device's draw against the host's sampler: thousands of vectors of random logits, the same token for every draw.
 * Logits are normal, steep, flat, all equal, full of ties, holes and numbers that are none; vocabularies are of any
 * size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "host/sampler.h"
#include "runtime/base/exact_math.h"
#include "runtime/ops/ops.h"
#include "runtime/vk/device.h"
#include "shaders/shared/sample.h"
#include "shaders/shared/step.h"

enum { MOST_VOCAB = 200000, DRAWS = 8 };

static struct sto_device *device;

static int open_device(void **state)
{
    const struct sto_device_params params = {.cache_dir = ""};
    struct sto_error err;
    (void)state;
    if (sto_device_open(&params, NULL, &device, &err) != STO_OK)
        device = NULL; /* each test is skipped */
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    sto_device_close(device);
    return 0;
}

/* ---- the device's side ---- */

struct rig {
    struct sto_buffer logits, scratch, block, ring, step, groups;
    struct sto_recording *recording;
    uint32_t n_vocab;
};

static void must(enum sto_status status, const struct sto_error *err)
{
    if (status != STO_OK)
        fail_msg("%s", err->message);
}

/* Buffers that the host can write, and a recording of DRAWS draws. */
static void rig_open(struct rig *r, uint32_t n_vocab)
{
    struct sto_error err = {0};
    *r = (struct rig){.n_vocab = n_vocab};
    const struct {
        struct sto_buffer *buffer;
        enum sto_memory memory;
        uint64_t bytes;
    } wanted[] = {
        {&r->logits, STO_MEMORY_UPLOAD, (uint64_t)n_vocab * sizeof(float)},
        {&r->scratch, STO_MEMORY_DEVICE, sto_op_sample_scratch(n_vocab)},
        {&r->block, STO_MEMORY_UPLOAD, sizeof(struct SampleBlock)},
        {&r->ring, STO_MEMORY_READBACK, SAMPLE_RING * sizeof(uint32_t)},
        {&r->step, STO_MEMORY_UPLOAD, sizeof(struct StepHeader) + sizeof(struct StepColumn)},
        {&r->groups, STO_MEMORY_DEVICE, 3 * sizeof(uint32_t)},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        must(sto_buffer_create(device, wanted[i].memory, wanted[i].bytes, "test", wanted[i].buffer, &err), &err);
    must(sto_recording_create(device, &r->recording, &err), &err);
    struct sto_ops ops = {.rec = r->recording, .plan = sto_device_get_plan(device)};
    const struct sto_op_sample_args args = {
        .logits = {.address = r->logits.address, .rows = 1, .cols = n_vocab, .stride = (n_vocab + 3) & ~3u},
        .scratch = r->scratch.address, .block = r->block.address, .ring = r->ring.address, .step = r->step.address,
        .groups = &r->groups, .n_kv_heads = 1};
    sto_recording_begin(r->recording);
    for (int i = 0; i < DRAWS; i++)
        sto_op_sample(&ops, &args);
    must(sto_recording_finish(r->recording, &err), &err);
}

static void rig_close(struct rig *r)
{
    struct sto_buffer *buffers[] = {&r->logits, &r->scratch, &r->block, &r->ring, &r->step, &r->groups};
    sto_recording_destroy(r->recording);
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        sto_buffer_destroy(device, buffers[i]);
}

/* DRAWS tokens from these logits, as sto_session_generate would be told to draw them. */
static void draw_on_device(struct rig *r, const float *logits, const struct sto_generation_params *p, uint32_t *tokens)
{
    struct sto_error err = {0};
    uint64_t ticket;
    struct SampleBlock block = {.seed = {(uint32_t)p->seed, (uint32_t)(p->seed >> 32)},
                                .counter = {(uint32_t)p->first_draw, (uint32_t)(p->first_draw >> 32)},
                                .top_k = p->temperature > 0 ? p->top_k : 1,
                                .top_p = p->top_p < 1 ? (uint32_t)(p->top_p * 0x1p32f) : 0,
                                .min_p = p->min_p,
                                .scale = p->temperature > 0 ? fminf(1.0f / p->temperature, 0x1.fffffep127f) : 1};
    memcpy(r->logits.mapped, logits, r->n_vocab * sizeof *logits);
    memcpy(r->block.mapped, &block, sizeof block);
    memset(r->step.mapped, 0, r->step.bytes);
    must(sto_device_submit(device, r->recording, &ticket, &err), &err);
    must(sto_device_wait(device, ticket, &err), &err);
    memcpy(tokens, r->ring.mapped, DRAWS * sizeof *tokens);
}

/* ---- logits ---- */

static uint64_t random_state = 1;

static uint32_t random_bits(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

static float uniform(void) /* [-1, 1) */
{
    return (float)(random_bits() % 16777216u) / 8388608.0f - 1.0f;
}

enum { KINDS = 11 };

/* One vector: `kind` chooses its shape, the scale is drawn. */
static void make_logits(float *logits, uint32_t n, uint32_t kind)
{
    static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e-40f, -1e-40f, 3.4e38f, -3.4e38f};
    const float scale = expf(3.0f * uniform());
    const uint32_t rare = 1 + random_bits() % 1000;
    for (uint32_t i = 0; i < n; i++) {
        const float u = uniform();
        const float v = (u + uniform() + uniform()) * scale;
        switch (kind) {
        case 0: case 1: case 2: logits[i] = 3 * v; break;              /* like a model's       */
        case 3: logits[i] = 100 * v; break;                            /* one token has it all */
        case 4: logits[i] = 0.001f * v; break;                         /* flat                 */
        case 5: logits[i] = scale; break;                              /* all equal            */
        case 6: logits[i] = roundf(v); break;                          /* ties                 */
        case 7: logits[i] = random_bits() % 8 != 0 ? -INFINITY : v; break;
        case 8: logits[i] = random_bits() % rare == 0 ? odd[random_bits() % 10] : v; break;
        case 9: logits[i] = i < rare ? 10.0f : v; break;               /* a plateau at the top */
        default: logits[i] = random_bits() % rare != 0 ? NAN : v; break;
        }
    }
}

static struct sto_sampler_params make_params(void)
{
    static const uint32_t top_ks[] = {0, 0, 1, 2, 40, 40, 100, 511, 512, 513, 5000};
    static const float top_ps[] = {1, 1, 0.95f, 0.9f, 0.5f, 0.01f, 0.999f};
    static const float min_ps[] = {0, 0, 0.05f, 0.5f, 0.001f};
    static const float temperatures[] = {0, 1, 0.8f, 0.8f, 1.7f, 0.1f, 10, 1e-30f};
    struct sto_sampler_params p;
    sto_sampler_defaults(&p);
    p.seed = (uint64_t)random_bits() << 40 ^ random_bits();
    p.top_k = top_ks[random_bits() % 11];
    p.top_p = top_ps[random_bits() % 7];
    p.min_p = min_ps[random_bits() % 5];
    p.temperature = temperatures[random_bits() % 8];
    return p;
}

/* ---- tests ---- */

static void compare(struct rig *r, float *logits, uint32_t kind)
{
    const struct sto_sampler_params params = make_params();
    struct sto_generation_params drawn = {0};
    struct sto_sampler *sampler = NULL;
    struct sto_error err = {0};
    uint32_t got[DRAWS];
    make_logits(logits, r->n_vocab, kind);
    must(sto_sampler_create(&params, r->n_vocab, &sampler, &err), &err);
    sto_sampler_skip(sampler, random_bits() % 3 == 0 ? UINT32_MAX : random_bits());
    assert_true(sto_sampler_on_device(sampler, &drawn));
    draw_on_device(r, logits, &drawn, got);
    for (uint32_t i = 0; i < DRAWS; i++) {
        uint32_t want = 0;
        if (sto_sampler_sample(sampler, logits, &want, &err) != STO_OK)
            want = i == 0 ? SAMPLE_NONE : SAMPLE_DONE;
        if (got[i] != want)
            fail_msg("%u tokens, kind %u, top-k %u, top-p %g, min-p %g, temperature %g: draw %u is %u, on the host %u",
                     r->n_vocab, kind, params.top_k, (double)params.top_p, (double)params.min_p,
                     (double)params.temperature, i, got[i], want);
    }
    sto_sampler_destroy(sampler);
}

static void draw_from_vocabularies(const uint32_t *sizes, uint32_t n_sizes, uint32_t vectors)
{
    if (device == NULL)
        skip();
    float *logits = malloc(MOST_VOCAB * sizeof *logits);
    assert_non_null(logits);
    for (uint32_t s = 0; s < n_sizes; s++) {
        struct rig r;
        rig_open(&r, sizes[s]);
        for (uint32_t v = 0; v < vectors; v++)
            compare(&r, logits, v % KINDS);
        rig_close(&r);
    }
    free(logits);
}

static void small_vocabularies(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 64, 255, 256, 257, 511, 512};
    (void)state;
    draw_from_vocabularies(sizes, 10, 110);
}

static void middling_vocabularies(void **state)
{
    static const uint32_t sizes[] = {513, 1000, 2048, 4099};
    (void)state;
    draw_from_vocabularies(sizes, 4, 330);
}

static void large_vocabularies(void **state)
{
    static const uint32_t sizes[] = {32003, 151936};
    (void)state;
    draw_from_vocabularies(sizes, 2, 44);
}

/* Two tokens, and a min-p that is the probability of the second over that of the first, or the next float above: the
 * second is kept or dropped by the last bit of its exp. */
static void exp_has_the_same_bits(void **state)
{
    struct rig r;
    uint32_t kept = 0, n = 0;
    (void)state;
    if (device == NULL)
        skip();
    rig_open(&r, 2);
    for (int i = 0; i < 600; i++) {
        const float logits[2] = {5.0f, 5.0f - 16.0f * (uniform() + 1.0f)};
        const float ratio = sto_exact_exp(logits[1] - logits[0]);
        for (int above = 0; above < 2; above++) {
            const struct sto_generation_params p = {.temperature = 1e30f, .top_p = 1, .seed = random_bits(),
                                                    .min_p = above ? nextafterf(ratio, 1) : ratio};
            uint32_t got[DRAWS], drawn = 0;
            draw_on_device(&r, logits, &p, got);
            for (int d = 0; d < DRAWS; d++)
                drawn += got[d];
            if (above && drawn > 0)
                fail_msg("exp(%a) is above %a on the device", (double)(logits[1] - logits[0]), (double)ratio);
            kept += !above && drawn > 0; /* with equal weights all but one in 2^DRAWS show it */
            n += !above;
        }
    }
    rig_close(&r);
    assert_true(kept >= n - 12);
}

/* Which settings may go to the device. */
static void settings_that_need_the_host_are_known(void **state)
{
    static const struct sto_logit_bias bias = {1, 1.0f};
    struct sto_sampler_params p[11];
    (void)state;
    for (int i = 0; i < 11; i++)
        sto_sampler_defaults(&p[i]);
    p[1].temperature = 0;
    p[2].temperature = 0;
    p[2].mirostat = 2; /* no part of greedy decoding */
    p[3].penalty_last_n = 0;
    p[3].repeat_penalty = 1.5f;
    p[4].repeat_penalty = 1.1f;
    p[5].presence_penalty = -0.5f;
    p[6].dry_multiplier = 1;
    p[7].typical_p = 0.9f;
    p[8].xtc_probability = 0.1f;
    p[9].mirostat = 2;
    p[10].biases = &bias;
    p[10].n_biases = 1;
    for (int i = 0; i < 11; i++) {
        struct sto_generation_params drawn = {.depth = 3};
        struct sto_sampler *s = NULL;
        assert_int_equal(sto_sampler_create(&p[i], 10, &s, NULL), STO_OK);
        assert_int_equal(sto_sampler_on_device(s, &drawn), i < 4);
        assert_int_equal(drawn.depth, 3);
        assert_int_equal(drawn.top_k, i < 4 ? 40 : 0);
        sto_sampler_destroy(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_vocabularies),
        cmocka_unit_test(middling_vocabularies),
        cmocka_unit_test(large_vocabularies),
        cmocka_unit_test(exp_has_the_same_bits),
        cmocka_unit_test(settings_that_need_the_host_are_known),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

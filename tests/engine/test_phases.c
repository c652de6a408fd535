/* Layers that are streamed while prompts are read and computed by the processor while tokens are generated. A prompt is
 * what the device makes of it with all layers resident, bit for bit; short passes are the processor's, and the KV cache
 * goes along; and no ring, body of the copy engine or fault changes a bit of either. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "runtime/engine.h"
#include "runtime/vk/device_impl.h"
#include "tests/engine/answer.h"
#include "tests/engine/support.h"
#include "tests/reference/ref_compare.h"

enum { N_LAYERS = 7, MAX_LAYERS = 16, CONTEXT = 320, THRESHOLD = 8, N_TOKENS = 300, N_GENERATED = 6, UBATCH = 32 };
static const double bound = 1e-3; /* of logits, relative: float32 arithmetic in another order */

static struct sto_test_device devices[2]; /* device memory mapped, and not */
static char path[1200];
static struct sto_model *model;
static uint32_t n_vocab, tokens[N_TOKENS];

/* A letter for each layer: d is resident, s streamed, c on the processor, p phased. */
static const char *const mixes[] = {"ppppppp", "dpspdps", "pddssdp"};

static void place(const char *letters, enum sto_lane *lanes)
{
    for (size_t l = 0; l < MAX_LAYERS; l++) {
        const char letter = letters[l % strlen(letters)];
        lanes[l] = letter == 'c'   ? STO_LANE_CPU
                   : letter == 's' ? STO_LANE_STREAM
                   : letter == 'p' ? STO_LANE_PHASED
                                   : STO_LANE_RESIDENT;
    }
}

static struct sto_engine_params exact(const enum sto_lane *lanes)
{
    return (struct sto_engine_params){.ctx_tokens = CONTEXT, .ubatch_tokens = UBATCH, .lanes = lanes,
                                      .math = STO_MATH_EXACT, .deterministic = true, .prompt_tokens = THRESHOLD,
                                      .kv_type = STO_TYPE_F32, .kv_type_set = true, .n_threads = 2};
}

/* ---- a conversation ---- */

/* Evaluations in turn; a rewind before one where `back` is not 0. */
static const struct step {
    uint32_t n, back;
} steps[] = {
    {150, 0}, /* groups of 32, over a page's end; the last of 22 */
    {1, 0},   {1, 0}, {7, 0}, {8, 0}, {1, 0}, {20, 0}, /* each phase after the other, and the shortest prompt */
    {30, 120}, /* over what was rewound */
    {1, 0},
};
enum { N_STEPS = sizeof steps / sizeof *steps };

struct talk {
    float *logits[N_STEPS]; /* [steps[i].n, n_vocab] */
    uint32_t drawn[N_GENERATED];
    struct sto_engine_info info;
};

static struct talk talk(struct sto_device *device, const struct sto_engine_params *params)
{
    const struct sto_generation_params g = {.top_p = 1.0f};
    const uint64_t before = sto_device_bytes(device), local_before = sto_device_local_bytes(device);
    struct sto_engine *engine = NULL;
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    struct talk t = {0};
    uint32_t at = 0, n_drawn = 0;
    sto_test_must(sto_engine_create(device, model, params, NULL, &engine, &err), &err);
    sto_test_must(sto_session_create(engine, &session, &err), &err);
    for (uint32_t i = 0; i < N_STEPS; i++) {
        at = steps[i].back > 0 ? steps[i].back : at;
        sto_session_truncate(session, at);
        t.logits[i] = calloc((size_t)steps[i].n * n_vocab, sizeof(float));
        sto_test_must(sto_session_eval(session, tokens + at + i, steps[i].n, STO_LOGITS_ALL, t.logits[i], &err), &err);
        at += steps[i].n;
    }
    sto_test_must(sto_session_generate(session, 5, &g, N_GENERATED, t.drawn, &n_drawn, &err), &err);
    assert_int_equal(n_drawn, N_GENERATED);
    sto_engine_get_info(engine, &t.info);
    sto_session_destroy(session);
    sto_engine_destroy(engine);
    assert_int_equal(sto_device_bytes(device), before);
    assert_int_equal(sto_device_local_bytes(device), local_before);
    return t;
}

static void forget(struct talk *t)
{
    for (uint32_t i = 0; i < N_STEPS; i++)
        free(t->logits[i]);
}

static size_t size_of(uint32_t step)
{
    return (size_t)steps[step].n * n_vocab;
}

static void expect_same(const struct talk *a, const struct talk *b, const char *what)
{
    for (uint32_t i = 0; i < N_STEPS; i++) {
        if (memcmp(a->logits[i], b->logits[i], size_of(i) * sizeof(float)) != 0)
            fail_msg("%s: other logits in step %u", what, (unsigned)i);
    }
    if (memcmp(a->drawn, b->drawn, sizeof a->drawn) != 0)
        fail_msg("%s: other tokens drawn", what);
}

static void expect_near(const struct talk *a, const struct talk *b, double most, const char *what)
{
    for (uint32_t i = 0; i < N_STEPS; i++) {
        const double rel = sto_ref_rel_error_f32(b->logits[i], a->logits[i], size_of(i));
        if (!(rel <= most))
            fail_msg("%s: relative error %.2e in step %u", what, rel, (unsigned)i);
    }
}

static void expect_same_step(const struct talk *a, const struct talk *b, uint32_t step, const char *what)
{
    if (memcmp(a->logits[step], b->logits[step], size_of(step) * sizeof(float)) != 0)
        fail_msg("%s: other logits in step %u", what, (unsigned)step);
}

/* ---- what is the same ---- */

static uint32_t count(const char *letters, char letter)
{
    uint32_t n = 0;
    for (; *letters != '\0'; letters++)
        n += *letters == letter;
    return n;
}

static void prompts_are_the_devices(void **state)
{
    const struct sto_engine_params all = exact(NULL);
    struct talk resident = talk(devices[0].device, &all);
    (void)state;
    for (size_t m = 0; m < sizeof mixes / sizeof *mixes; m++) {
        enum sto_lane lanes[MAX_LAYERS];
        place(mixes[m], lanes);
        const struct sto_engine_params p = exact(lanes);
        struct talk t = talk(devices[0].device, &p);
        expect_same_step(&t, &resident, 0, mixes[m]); /* nothing before it was the processor's */
        expect_near(&t, &resident, bound, mixes[m]);
        assert_int_equal(t.info.phased_layers, count(mixes[m], 'p'));
        assert_int_equal(t.info.cpu_layers, t.info.phased_layers);
        assert_int_equal(t.info.streamed_layers, count(mixes[m], 's'));
        assert_int_equal(t.info.prompt_tokens, THRESHOLD);
        assert_true(t.info.phased_bytes > 0 && t.info.phased_bytes == t.info.cpu_bytes);
        forget(&t);
    }
    forget(&resident);
}

static void no_ring_and_no_body_changes_a_bit(void **state)
{
    static const enum sto_copy_body bodies[] = {STO_COPY_TRANSFER, STO_COPY_QUEUE, STO_COPY_HOST};
    (void)state;
    for (size_t m = 0; m < sizeof mixes / sizeof *mixes; m++) {
        enum sto_lane lanes[MAX_LAYERS];
        place(mixes[m], lanes);
        struct sto_engine_params p = exact(lanes);
        struct talk base = talk(devices[0].device, &p);
        for (uint32_t ring = 1; ring <= 4; ring++) {
            const uint32_t unmapped = ring % 2; /* the host cannot write to the second device */
            char what[96];
            p.ring_slots = ring;
            p.copy = bodies[(m + ring) % (unmapped ? 2 : 3)];
            (void)snprintf(what, sizeof what, "%s, ring of %u, copies by %s", mixes[m], (unsigned)ring,
                           sto_copy_name(p.copy));
            struct talk t = talk(devices[unmapped].device, &p);
            expect_same(&t, &base, what);
            assert_int_equal(t.info.ring_slots, ring);
            forget(&t);
        }
        forget(&base);
    }
}

/* With a threshold that no pass reaches, the processor does all that it does without phases. */
static void short_passes_are_the_processors(void **state)
{
    enum sto_lane lanes[MAX_LAYERS];
    (void)state;
    place("dpspdps", lanes);
    struct sto_engine_params p = exact(lanes);
    p.prompt_tokens = UBATCH + 1;
    struct talk phased = talk(devices[0].device, &p);
    place("dcscdcs", lanes);
    struct talk cpu = talk(devices[0].device, &p);
    expect_same(&phased, &cpu, "phased, all passes short");
    assert_int_equal(cpu.info.phased_layers, 0);
    forget(&phased);
    forget(&cpu);
}

static void every_kv_format_goes_there_and_back(void **state)
{
    static const enum sto_type types[] = {STO_TYPE_F16, STO_TYPE_Q8_0, STO_TYPE_Q4_0};
    static const double bounds[] = {2e-3, 2e-2, 2e-1};
    enum sto_lane lanes[MAX_LAYERS];
    (void)state;
    place("dpspdps", lanes);
    for (int i = 0; i < 3; i++) {
        struct sto_engine_params p = exact(lanes), all = exact(NULL);
        p.kv_type = all.kv_type = types[i];
        struct talk t = talk(devices[0].device, &p), resident = talk(devices[0].device, &all);
        expect_same_step(&t, &resident, 0, sto_type_name(types[i]));
        expect_near(&t, &resident, bounds[i], sto_type_name(types[i]));
        forget(&t);
        forget(&resident);
    }
}

/* ---- several sequences ---- */

static void must_eval(struct sto_engine *engine, struct sto_eval_item *items, size_t n)
{
    struct sto_error err = {0};
    sto_test_must(sto_engine_eval(engine, items, n, &err), &err);
}

/* Two sequences read their prompts together, one goes on while a third reads its own, and all decode together. `out`
 * [8, n_vocab] */
static void talk_together(const struct sto_engine_params *params, float *out)
{
    struct sto_engine *engine = NULL;
    struct sto_session *s[3];
    struct sto_error err = {0};
    struct sto_eval_item items[3] = {{0}};
    size_t row = 0;
    sto_test_must(sto_engine_create(devices[0].device, model, params, NULL, &engine, &err), &err);
    for (int i = 0; i < 3; i++)
        sto_test_must(sto_session_create(engine, &s[i], &err), &err);
    static const uint32_t n_tokens[4][3] = {{20, 12, 0}, {1, 0, 31}, {1, 1, 1}, {9, 9, 1}};
    static const uint32_t n_before[3] = {3, 60, 120};
    for (int pass = 0; pass < 4; pass++) {
        size_t n = 0;
        for (uint32_t i = 0; i < 3; i++) {
            const uint32_t at = n_before[i] + sto_session_length(s[i]);
            if (n_tokens[pass][i] > 0)
                items[n++] = (struct sto_eval_item){
                    .session = s[i], .tokens = tokens + at, .n_tokens = n_tokens[pass][i], .want_logits = true};
        }
        must_eval(engine, items, n);
        for (size_t i = 0; i < n; i++, row++) {
            assert_int_equal(items[i].status, STO_OK);
            memcpy(out + row * n_vocab, items[i].logits, n_vocab * sizeof *out);
        }
    }
    for (int i = 0; i < 3; i++)
        sto_session_destroy(s[i]);
    sto_engine_destroy(engine);
}

static void sequences_bring_their_own_cache(void **state)
{
    enum { ROWS = 10 };
    float *got = calloc(2 * (size_t)ROWS * n_vocab, sizeof *got), *expected = got + (size_t)ROWS * n_vocab;
    enum sto_lane lanes[MAX_LAYERS];
    (void)state;
    place("pdpspdp", lanes);
    const struct sto_engine_params all = exact(NULL), p = exact(lanes);
    talk_together(&all, expected);
    talk_together(&p, got);
    assert_memory_equal(got, expected, 4 * (size_t)n_vocab * sizeof *got); /* the passes of prompts before any other */
    for (size_t row = 0; row < ROWS; row++) {
        const double rel = sto_ref_rel_error_f32(expected + row * n_vocab, got + row * n_vocab, n_vocab);
        if (!(rel <= bound))
            fail_msg("row %zu: relative error %.2e", row, rel);
    }
    free(got);
}

/* ---- what goes wrong ---- */

static uint32_t left_submits; /* until one fails; 0: none does */
static PFN_vkQueueSubmit2 real_submit;

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t n, const VkSubmitInfo2 *infos, VkFence fence)
{
    if (left_submits > 0 && --left_submits == 0)
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    return real_submit(queue, n, infos, fence);
}

/* A prompt and a token behind it, from a sequence of 5 tokens that the processor read. */
static enum sto_status two_phases(struct sto_session *session, float *logits, struct sto_error *err)
{
    sto_session_truncate(session, 5);
    const enum sto_status status = sto_session_eval(session, tokens + 5, 12, STO_LOGITS_NONE, NULL, err);
    return status == STO_OK ? sto_session_eval(session, tokens + 17, 1, STO_LOGITS_LAST, logits, err) : status;
}

/* Every call of the driver in turn fails once: an error, the session no longer than it says, and then all is right. */
static void a_pass_that_ends_early_spoils_neither_phase(void **state)
{
    static const enum sto_copy_body bodies[] = {STO_COPY_HOST, STO_COPY_TRANSFER, STO_COPY_QUEUE};
    enum sto_lane lanes[MAX_LAYERS];
    float *expected = calloc(2 * (size_t)n_vocab, sizeof *expected), *got = expected + n_vocab;
    struct sto_error err = {0};
    (void)state;
    place("spsdcps", lanes);
    for (size_t b = 0; b < sizeof bodies / sizeof *bodies; b++) {
        struct sto_engine_params p = exact(lanes);
        struct sto_engine *engine = NULL;
        struct sto_session *session = NULL;
        uint32_t failures = 0;
        p.copy = bodies[b];
        sto_test_must(sto_engine_create(devices[0].device, model, &p, NULL, &engine, &err), &err);
        sto_test_must(sto_session_create(engine, &session, &err), &err);
        sto_test_must(sto_session_eval(session, tokens, 5, STO_LOGITS_NONE, NULL, &err), &err);
        sto_test_must(two_phases(session, expected, &err), &err);
        for (uint32_t n = 1; n < 200; n++) {
            left_submits = n;
            const enum sto_status status = two_phases(session, got, &err);
            const bool reached = left_submits == 0;
            left_submits = 0;
            if (!reached)
                break;
            if (status != STO_OK) { /* a copy that is handed over late is no failure */
                assert_true(sto_session_length(session) == 5 || sto_session_length(session) == 17);
                failures++;
                sto_test_must(two_phases(session, got, &err), &err);
            }
            assert_memory_equal(got, expected, n_vocab * sizeof *got);
        }
        assert_true(failures >= 5); /* two segments of a prompt on the device, and three of a token */
        sto_session_destroy(session);
        sto_engine_destroy(engine);
    }
    free(expected);
}

static void cancelling_between_groups_keeps_what_was_read(void **state)
{
    enum sto_lane lanes[MAX_LAYERS];
    struct sto_engine *engine = NULL;
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    (void)state;
    place("ppdspdp", lanes);
    const struct sto_engine_params p = exact(lanes);
    sto_test_must(sto_engine_create(devices[0].device, model, &p, NULL, &engine, &err), &err);
    sto_test_must(sto_session_create(engine, &session, &err), &err);
    sto_test_must(sto_session_eval(session, tokens, 40, STO_LOGITS_NONE, NULL, &err), &err);
    sto_session_cancel(session);
    assert_int_equal(sto_session_eval(session, tokens, 40, STO_LOGITS_NONE, NULL, &err), STO_ERR_CANCELLED);
    assert_int_equal(sto_session_length(session), 40);
    sto_test_must(sto_session_eval(session, tokens, 1, STO_LOGITS_LAST, NULL, &err), &err);
    sto_session_destroy(session);
    sto_engine_destroy(engine);
}

/* ---- all of it ---- */

static int set_up(void **state)
{
    (void)state;
    const struct sto_synth shape = {.arch = "qwen3", .n_vocab = 400, .n_embd = 128, .n_layers = N_LAYERS, .n_ff = 256,
                                    .n_heads = 4, .n_kv_heads = 2, .head_dim = 32, .n_ctx = CONTEXT,
                                    .rope_base = 10000.0f, .tied = false, .type = STO_TYPE_Q8_0,
                                    .embd_type = STO_TYPE_F16, .rich_type = STO_TYPE_F32, .seed = 29};
    model = sto_test_synth_model(&shape, "phases", path, sizeof path);
    if (model == NULL)
        return -1;
    n_vocab = sto_model_n_vocab(model);
    for (uint32_t i = 0; i < N_TOKENS; i++)
        tokens[i] = (i * 37 + i * i % 11) % n_vocab;
    sto_test_device_open(&devices[0], NULL);
    sto_test_device_open(&devices[1], &(struct sto_device_params){.no_mapping = true});
    real_submit = devices[0].device->vk.vkQueueSubmit2;
    devices[0].device->vk.vkQueueSubmit2 = submit;
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
        cmocka_unit_test(prompts_are_the_devices),
        cmocka_unit_test(no_ring_and_no_body_changes_a_bit),
        cmocka_unit_test(short_passes_are_the_processors),
        cmocka_unit_test(every_kv_format_goes_there_and_back),
        cmocka_unit_test(sequences_bring_their_own_cache),
        cmocka_unit_test(a_pass_that_ends_early_spoils_neither_phase),
        cmocka_unit_test(cancelling_between_groups_keeps_what_was_read),
    };
    return cmocka_run_group_tests_name("phases", tests, set_up, tear_down);
}

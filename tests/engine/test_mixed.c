/* Layers on the processor between layers on the device. Where those of the device lie (resident, streamed, through
 * rings of every depth, by every body of the copy engine) changes no bit; and against an independent implementation,
 * and against all layers on the device, every mix is within the bounds of float32 arithmetic. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "host/generate.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/vk/device_impl.h"
#include "tests/engine/answer.h"
#include "tests/engine/support.h"
#include "tests/reference/ref_compare.h"
#include "tests/support/expected.h"
#include "tests/support/synth.h"

enum { N_LAYERS = 7, N_PROMPT = 13, N_GENERATED = 10, MAX_LAYERS = 16, N_MIXES = 8 };
static const double bound = 1e-3; /* of logits, relative: float32 arithmetic in another order */

static struct sto_test_device devices[2]; /* device memory mapped, and not */
static char path[1200];
static struct sto_model *model;
static uint32_t n_vocab, prompt[N_PROMPT];

/* A letter for each layer: d is resident, s streamed, c on the processor. */
static const char *const mixes[N_MIXES] = {"cdddddd", "ddddddc", "cdcdcdc", "ccccccc",
                                           "scsdscs", "csssssc", "dscdccd", "sccsccs"};

static void place(const char *letters, enum sto_lane *lanes)
{
    for (size_t l = 0; l < MAX_LAYERS; l++) {
        const char letter = letters[l % strlen(letters)];
        lanes[l] = letter == 'c' ? STO_LANE_CPU : letter == 's' ? STO_LANE_STREAM : STO_LANE_RESIDENT;
    }
}

static struct sto_engine_params exact(const enum sto_lane *lanes)
{
    return (struct sto_engine_params){.ctx_tokens = 64, .ubatch_tokens = 16, .lanes = lanes, .math = STO_MATH_EXACT,
                                      .kv_type = STO_TYPE_F32, .kv_type_set = true, .n_threads = 2,
                                      .deterministic = true};
}

static struct sto_answer ask(struct sto_device *device, const struct sto_engine_params *params)
{
    const struct sto_question q = {.model = model, .prompt = prompt, .n_prompt = N_PROMPT, .n_greedy = N_GENERATED,
                                   .n_drawn = N_GENERATED};
    return sto_test_ask(&q, device, params);
}

static void expect_same(const struct sto_answer *a, const struct sto_answer *b, const char *what)
{
    const struct sto_question q = {.model = model, .prompt = prompt, .n_prompt = N_PROMPT};
    sto_test_expect_same(&q, a, b, what);
}

static void expect_near(const struct sto_answer *a, const struct sto_answer *b, const char *what)
{
    const size_t n = (size_t)N_PROMPT * n_vocab;
    const double whole = sto_ref_rel_error_f32(b->whole, a->whole, n);
    const double single = sto_ref_rel_error_f32(b->single, a->single, n);
    if (!(whole <= bound && single <= bound))
        fail_msg("%s: relative error %.2e in one batch, %.2e token by token", what, whole, single);
}

/* The processor's layers stay; the device's lie resident, and then as the mix says, through every ring. */
static void every_mix_is_the_same(void **state)
{
    static const enum sto_copy_body bodies[] = {STO_COPY_TRANSFER, STO_COPY_QUEUE, STO_COPY_HOST};
    const struct sto_engine_params all = exact(NULL);
    (void)state;
    struct sto_answer device_alone = ask(devices[0].device, &all);
    for (uint32_t i = 0; i < N_MIXES; i++) {
        enum sto_lane lanes[MAX_LAYERS], resident[MAX_LAYERS];
        uint32_t n_streamed = 0, n_cpu = 0;
        place(mixes[i], lanes);
        for (uint32_t l = 0; l < N_LAYERS; l++) {
            resident[l] = lanes[l] == STO_LANE_CPU ? STO_LANE_CPU : STO_LANE_RESIDENT;
            n_streamed += lanes[l] == STO_LANE_STREAM;
            n_cpu += lanes[l] == STO_LANE_CPU;
        }
        struct sto_engine_params p = exact(resident);
        struct sto_answer base = ask(devices[0].device, &p);
        expect_near(&base, &device_alone, mixes[i]);
        assert_int_equal(base.info.cpu_layers, n_cpu);
        assert_int_equal(base.info.streamed_layers, 0);
        assert_true(base.info.cpu_bytes > 0);
        p.lanes = lanes;
        for (uint32_t ring = 1; ring <= (n_streamed > 0 ? 4u : 0u); ring++) {
            const uint32_t unmapped = ring == 4; /* the host cannot write to the second device */
            p.ring_slots = ring;
            p.copy = bodies[(i + ring) % (unmapped ? 2 : 3)];
            struct sto_answer a = ask(devices[unmapped].device, &p);
            char what[96];
            (void)snprintf(what, sizeof what, "%s, ring of %u, copies by %s", mixes[i], (unsigned)ring,
                           sto_copy_name(p.copy));
            expect_same(&a, &base, what);
            assert_int_equal(a.info.streamed_layers, n_streamed);
            assert_int_equal(a.info.cpu_layers, n_cpu);
            sto_test_forget(&a);
        }
        sto_test_forget(&base);
    }
    sto_test_forget(&device_alone);
}

static void batches_of_every_size_are_the_same(void **state)
{
    static const uint32_t batches[] = {1, 7};
    enum sto_lane lanes[MAX_LAYERS];
    (void)state;
    place("scsdscs", lanes);
    struct sto_engine_params p = exact(lanes);
    struct sto_answer whole = ask(devices[0].device, &p);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        p.ubatch_tokens = batches[i];
        struct sto_answer a = ask(devices[0].device, &p);
        expect_same(&a, &whole, "in smaller batches");
        sto_test_forget(&a);
    }
    sto_test_forget(&whole);
}

static void every_kv_format_is_near_the_device(void **state)
{
    static const enum sto_type types[] = {STO_TYPE_F16, STO_TYPE_Q8_0, STO_TYPE_Q4_0};
    static const double bounds[] = {2e-3, 2e-2, 2e-1};
    enum sto_lane lanes[MAX_LAYERS];
    (void)state;
    place("cdcdcdc", lanes);
    for (int i = 0; i < 3; i++) {
        struct sto_engine_params p = exact(lanes), all = exact(NULL);
        p.kv_type = all.kv_type = types[i];
        struct sto_answer a = ask(devices[0].device, &p), b = ask(devices[0].device, &all);
        const double rel = sto_ref_rel_error_f32(b.whole, a.whole, (size_t)N_PROMPT * n_vocab);
        if (!(rel <= bounds[i]))
            fail_msg("%s: relative error %.2e", sto_type_name(types[i]), rel);
        sto_test_forget(&a);
        sto_test_forget(&b);
    }
}

/* Two sequences in turn say what each says alone. */
static void sessions_do_not_meet(void **state)
{
    enum sto_lane lanes[MAX_LAYERS];
    struct sto_session *both[2], *alone = NULL;
    struct sto_engine *engine = NULL;
    struct sto_error err = {0};
    float *got = calloc(3 * (size_t)n_vocab, sizeof *got), *expected = got + 2 * (size_t)n_vocab;
    (void)state;
    place("csscdcs", lanes);
    const struct sto_engine_params p = exact(lanes);
    sto_test_must(sto_engine_create(devices[0].device, model, &p, NULL, &engine, &err), &err);
    sto_test_must(sto_session_create(engine, &both[0], &err), &err);
    sto_test_must(sto_session_create(engine, &both[1], &err), &err);
    for (uint32_t i = 0; i < N_PROMPT; i++) {
        for (uint32_t s = 0; s < 2; s++) {
            const uint32_t token = prompt[s == 0 ? i : N_PROMPT - 1 - i];
            sto_test_must(sto_session_eval(both[s], &token, 1, STO_LOGITS_LAST, got + s * (size_t)n_vocab, &err), &err);
        }
    }
    sto_session_destroy(both[1]);
    sto_test_must(sto_session_create(engine, &alone, &err), &err);
    for (uint32_t i = 0; i < N_PROMPT; i++)
        sto_test_must(sto_session_eval(alone, &prompt[i], 1, STO_LOGITS_LAST, expected, &err), &err);
    assert_memory_equal(got, expected, n_vocab * sizeof *got);
    assert_memory_not_equal(got + n_vocab, expected, n_vocab * sizeof *got);
    sto_session_destroy(both[0]);
    sto_session_destroy(alone);
    sto_engine_destroy(engine);
    free(got);
}

/* ---- against an independent implementation ---- */

static void mixes_are_within_the_bounds(void **state)
{
    static const char *const models[][2] = {
        {"families", "llama"}, {"families", "qwen2"}, {"families", "qwen3"}, {"formats", "qwen3-q4_k_m"}};
    static const char *const places[] = {"cd", "dc", "csd", "c"};
    bool any = false;
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        struct sto_expected e = {0};
        char file[1024], why[256] = "";
        if (!sto_test_model_path(models[m][0], models[m][1], file, sizeof file))
            continue;
        any = true;
        if (!sto_expected_load(&e, models[m][0], models[m][1], why, sizeof why))
            fail_msg("%s: %s", models[m][1], why);
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            enum sto_lane lanes[MAX_LAYERS];
            place(places[i], lanes);
            const struct sto_engine_params p = {.lanes = lanes, .math = STO_MATH_EXACT, .kv_type = STO_TYPE_F32,
                                                .kv_type_set = true, .ubatch_tokens = i % 2 == 0 ? 7 : 0};
            float *got = sto_test_logits(&devices[0], file, &p, e.tokens, e.n_tokens);
            const double rel = sto_ref_rel_error_f32(e.logits, got, e.n_tokens * e.n_vocab);
            free(got);
            if (!(rel <= bound))
                fail_msg("%s, %s: relative error %.2e", models[m][1], places[i], rel);
        }
        sto_expected_free(&e);
    }
    if (!any)
        skip();
}

/* ---- what goes wrong ---- */

static uint32_t left_submits; /* until one fails; 0: none does */
static VkResult failure;
static PFN_vkQueueSubmit2 real_submit;

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t n, const VkSubmitInfo2 *infos, VkFence fence)
{
    if (left_submits > 0 && --left_submits == 0)
        return failure;
    return real_submit(queue, n, infos, fence);
}

/* A pass that ends in any of its segments: an error, the session as long as before, and the next pass is right. */
static void a_pass_that_ends_early_spoils_nothing(void **state)
{
    static const enum sto_copy_body bodies[] = {STO_COPY_HOST, STO_COPY_TRANSFER, STO_COPY_QUEUE};
    enum sto_lane lanes[MAX_LAYERS];
    float *expected = calloc(2 * (size_t)n_vocab, sizeof *expected), *got = expected + n_vocab;
    struct sto_error err = {0};
    (void)state;
    place("scsdscs", lanes);
    for (size_t b = 0; b < sizeof bodies / sizeof *bodies; b++) {
        struct sto_engine_params p = exact(lanes);
        struct sto_engine *engine = NULL;
        struct sto_session *session = NULL;
        uint32_t failures = 0;
        p.copy = bodies[b];
        sto_test_must(sto_engine_create(devices[0].device, model, &p, NULL, &engine, &err), &err);
        sto_test_must(sto_session_create(engine, &session, &err), &err);
        sto_test_must(sto_session_eval(session, prompt, 5, STO_LOGITS_NONE, NULL, &err), &err);
        sto_test_must(sto_session_eval(session, prompt + 5, 1, STO_LOGITS_LAST, expected, &err), &err);
        for (uint32_t n = 1; n < 100; n++) {
            sto_session_truncate(session, 5);
            failure = VK_ERROR_OUT_OF_HOST_MEMORY;
            left_submits = n;
            const enum sto_status status = sto_session_eval(session, prompt + 5, 1, STO_LOGITS_LAST, got, &err);
            const bool reached = left_submits == 0;
            left_submits = 0;
            if (!reached)
                break;
            if (status != STO_OK) { /* a copy that is handed over late is no failure */
                assert_int_equal(sto_session_length(session), 5);
                failures++;
                sto_test_must(sto_session_eval(session, prompt + 5, 1, STO_LOGITS_LAST, got, &err), &err);
            }
            assert_memory_equal(got, expected, n_vocab * sizeof *got);
        }
        assert_true(failures >= 3); /* as many segments as are on the device */
        sto_session_destroy(session);
        sto_engine_destroy(engine);
    }
    free(expected);
}

static bool cancel_at_once(void *user, uint32_t token)
{
    (void)token;
    sto_session_cancel(user);
    return false;
}

static void cancelling_keeps_what_was_drawn(void **state)
{
    enum sto_lane lanes[MAX_LAYERS];
    struct sto_engine *engine = NULL;
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    uint32_t drawn[4], n = 0;
    (void)state;
    place("dcscdsc", lanes);
    const struct sto_engine_params p = exact(lanes);
    sto_test_must(sto_engine_create(devices[0].device, model, &p, NULL, &engine, &err), &err);
    sto_test_must(sto_session_create(engine, &session, &err), &err);
    const struct sto_generation_params g = {.on_token = cancel_at_once, .user = session};
    assert_int_equal(sto_session_generate(session, 3, &g, 4, drawn, &n, &err), STO_ERR_CANCELLED);
    assert_int_equal(n, 1);
    assert_int_equal(sto_session_length(session), 1);
    sto_session_destroy(session);
    sto_engine_destroy(engine);
}

/* Once an engine is made nothing of the file is needed: not the weights, and not the vocabulary either. Before, that it
 * has shrunk is an error. */
static void a_file_that_shrinks_is_no_signal(void **state)
{
    static const char *const places[] = {"cdcd", "c", NULL}; /* NULL: no device */
    char copy[1300];
    (void)state;
    (void)snprintf(copy, sizeof copy, "%s.copy", path);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        enum sto_lane lanes[MAX_LAYERS];
        struct sto_model *m = NULL;
        struct sto_engine *engine = NULL, *late = NULL;
        struct sto_generator *generator = NULL;
        struct sto_generate_result result = {0};
        struct sto_generate_params g;
        struct sto_error err = {0};
        char *bytes = NULL;
        size_t size = 0;
        struct sto_device *device = places[i] != NULL ? devices[0].device : NULL;
        place(places[i] != NULL ? places[i] : "c", lanes);
        const struct sto_engine_params p = {.ctx_tokens = 64, .lanes = lanes};
        sto_test_must(sto_file_read(path, 1 << 28, &bytes, &size, &err), &err);
        FILE *f = fopen(copy, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, size, f), size);
        assert_int_equal(fclose(f), 0);
        sto_free(bytes);
        sto_test_must(sto_model_open(copy, NULL, NULL, &m, &err), &err);
        sto_test_must(sto_engine_create(device, m, &p, NULL, &engine, &err), &err);
        sto_test_must(sto_generator_create(engine, &generator, &err), &err);
        f = fopen(copy, "wb"); /* of 0 bytes now */
        assert_non_null(f);
        assert_int_equal(fclose(f), 0);
        sto_generate_defaults(&g);
        g.prompt = "Hello!";
        g.max_tokens = 4;
        sto_test_must(sto_generate(generator, &g, &result, &err), &err);
        assert_true(result.n_tokens > 0);
        assert_int_not_equal(sto_engine_create(device, m, &p, NULL, &late, &err), STO_OK);
        assert_non_null(strstr(err.message, copy));
        assert_null(late);
        sto_generate_result_free(&result);
        sto_generator_destroy(generator);
        sto_engine_destroy(engine);
        sto_model_close(m);
    }
    (void)remove(copy);
}

static void a_lane_that_is_none_is_refused(void **state)
{
    enum sto_lane lanes[MAX_LAYERS] = {STO_LANE_RESIDENT, STO_LANE_COUNT};
    struct sto_engine *engine = NULL;
    struct sto_error err = {0};
    (void)state;
    const struct sto_engine_params p = exact(lanes);
    assert_int_equal(sto_engine_create(devices[0].device, model, &p, NULL, &engine, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "layer 1 cannot go to lane 4"));
}

/* ---- all of it ---- */

static int set_up(void **state)
{
    (void)state;
    const struct sto_synth shape = {.arch = "qwen3", .n_vocab = 400, .n_embd = 128, .n_layers = N_LAYERS, .n_ff = 256,
                                    .n_heads = 4, .n_kv_heads = 2, .head_dim = 32, .n_ctx = 128, .rope_base = 10000.0f,
                                    .tied = false, .type = STO_TYPE_Q8_0, .embd_type = STO_TYPE_F16,
                                    .rich_type = STO_TYPE_F32, .seed = 23};
    model = sto_test_synth_model(&shape, "mixed", path, sizeof path);
    if (model == NULL)
        return -1;
    n_vocab = sto_model_n_vocab(model);
    for (uint32_t i = 0; i < N_PROMPT; i++)
        prompt[i] = (i * 37 + 11) % n_vocab;
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
        cmocka_unit_test(every_mix_is_the_same),
        cmocka_unit_test(batches_of_every_size_are_the_same),
        cmocka_unit_test(every_kv_format_is_near_the_device),
        cmocka_unit_test(sessions_do_not_meet),
        cmocka_unit_test(mixes_are_within_the_bounds),
        cmocka_unit_test(a_pass_that_ends_early_spoils_nothing),
        cmocka_unit_test(cancelling_keeps_what_was_drawn),
        cmocka_unit_test(a_file_that_shrinks_is_no_signal),
        cmocka_unit_test(a_lane_that_is_none_is_refused),
    };
    return cmocka_run_group_tests_name("mixed", tests, set_up, tear_down);
}

/* The self-test at first use: what answers wrongly is found, set aside and remembered, and the engine that is left
 * answers rightly. Wrong answers are made by cases that expect something else than a kernel gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/generate.h"
#include "runtime/base/os.h"
#include "runtime/selftest.h"
#include "runtime/vk/recorder.h"
#include "shaders/shared/args.h"
#include "tests/engine/support.h"

static const char demo[] = STRATO_SOURCE_DIR "/models/demo/demo.gguf";

enum { BUDGET_MS = 600000, N_TOKENS = 12 };
static const uint32_t tokens[N_TOKENS] = {1, 5, 9, 30, 31, 32, 60, 100, 7, 8, 200, 3};

/* Answers of the probe kernel, held against another number when the kernel in question is to fail. */
static const char *failing[4]; /* beginnings of names */

static bool fails(enum sto_kernel kernel)
{
    for (size_t i = 0; i < 4 && failing[i] != NULL; i++) {
        if (strncmp(sto_kernel_get(kernel)->name, failing[i], strlen(failing[i])) == 0)
            return true;
    }
    return false;
}

static void probe_case(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const float x[4] = {1, 2, 3, 4};
    const double want[4] = {1, 2, fails(kernel) ? 3.5 : 3, 4};
    sto_verify_begin(v, "four numbers");
    const struct sto_verify_range xs = sto_verify_input(v, "x", x, sizeof x);
    const struct sto_verify_range y = sto_verify_output(v, "y", sizeof x);
    const struct ProbeArgs args = {.x = xs.address, .y = y.address, .n = 4, .factor = 1};
    sto_verify_dispatch(v, STO_KERNEL_probe, &args, 1, 1, 1);
    sto_verify_run(v);
    sto_verify_compare(v, &(struct sto_verify_compare){
                              .range = y, .rows = 1, .cols = 4, .stride = 4, .want = want, .bound = 0.125});
    sto_verify_end(v);
}

#define SOURCE(name) {name ".comp", true, probe_case, NULL}
static const struct sto_verify_source sources[] = {
    SOURCE("step_begin"),  SOURCE("sample_max"),   SOURCE("sample_pick"), SOURCE("rmsnorm"), SOURCE("glu"),
    SOURCE("rope_kv"),     SOURCE("attn_decode"),   SOURCE("embed"),   SOURCE("attn_prefill"),
    SOURCE("quantize_q8"), SOURCE("matvec"),       SOURCE("matmul"),      SOURCE("matrows"), SOURCE("matvec_q8"),
    SOURCE("matmul_q8"),   SOURCE("matrows_q8"),   {NULL, false, NULL, NULL},
};

/* The demo model's formats on a device. */
struct model_test {
    struct sto_ops ops;
    bool types[STO_TYPE_COUNT];
    struct sto_self_test test;
};

static void begin(struct model_test *m, struct sto_device *device, const struct sto_verify_source *from)
{
    *m = (struct model_test){.ops = {.plan = sto_device_get_plan(device)}};
    m->types[STO_TYPE_Q8_0] = true;
    m->test = (struct sto_self_test){.device = device, .ops = &m->ops, .types = m->types, .embd = STO_TYPE_Q8_0,
                                     .kv_type = STO_TYPE_F16, .budget_ms = BUDGET_MS, .sources = from};
}

static void run(struct model_test *m)
{
    struct sto_error err;
    if (sto_self_test(&m->test, &err) != STO_OK)
        fail_msg("%s", err.message);
}

static void set_failing(const char *a, const char *b, const char *c)
{
    const char *all[] = {a, b, c, NULL};
    memcpy(failing, all, sizeof failing);
}

static const struct sto_kernel_finding *finding(struct sto_device *device, enum sto_kernel kernel)
{
    return &sto_device_get_findings(device)->kernels[kernel];
}

static void expect_close(const float *a, const float *b, size_t n)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)a[i] * (double)a[i];
    }
    if (!(error <= 1e-6 * size)) /* 1e-3, the bound of float32 arithmetic with room for another order of sums */
        fail_msg("relative error %g", sqrt(error / size));
}

/* A few greedy tokens as text; free with free. *queued: whether sto_session_generate, which draws on the device, did
 * not refuse. */
static char *tell(struct sto_device *device, bool *queued)
{
    struct sto_model *model = NULL;
    struct sto_engine *engine = NULL;
    struct sto_generator *generator = NULL;
    struct sto_session *session = NULL;
    struct sto_generate_params p;
    struct sto_generate_result result = {0};
    struct sto_error err = {0};
    uint32_t n = 0;
    sto_generate_defaults(&p);
    p.prompt = "Tell me about foxes.";
    p.max_tokens = 12;
    p.sampling.temperature = 0;
    if (sto_model_open(demo, NULL, NULL, &model, &err) != STO_OK ||
        sto_engine_create(device, model, NULL, NULL, &engine, &err) != STO_OK ||
        sto_generator_create(engine, &generator, &err) != STO_OK ||
        sto_generate(generator, &p, &result, &err) != STO_OK || sto_session_create(engine, &session, &err) != STO_OK)
        fail_msg("%s", err.message);
    const struct sto_generation_params greedy = {0};
    const enum sto_status status = sto_session_generate(session, tokens[0], &greedy, 1, NULL, &n, &err);
    *queued = status == STO_OK;
    assert_true(*queued || (status == STO_ERR_FAILED && strstr(err.message, "draws tokens wrongly") != NULL));
    char *text = malloc(result.text_size + 1);
    assert_non_null(text);
    memcpy(text, result.text, result.text_size + 1);
    sto_generate_result_free(&result);
    sto_session_destroy(session);
    sto_generator_destroy(generator);
    sto_engine_destroy(engine);
    sto_model_close(model);
    return text;
}

/* Dispatches that attention over 20 columns takes; nothing is run. */
static uint32_t attention_dispatches(struct sto_device *device)
{
    struct sto_recording *rec = NULL;
    struct sto_recording_stats stats;
    struct sto_error err;
    assert_int_equal(sto_recording_create(device, &rec, &err), STO_OK);
    sto_recording_begin(rec);
    struct sto_ops ops = {.rec = rec, .plan = sto_device_get_plan(device)};
    const struct sto_op_attention_args args = {
        .step = UINT64_C(1) << 40, .partial = UINT64_C(2) << 40, .n_heads = 4, .max_tokens = 128, .scale = 1,
        .o = {.address = UINT64_C(3) << 40, .rows = 20, .cols = 256, .stride = 256},
        .q = {.address = UINT64_C(4) << 40, .rows = 20, .cols = 256, .stride = 256},
        .kv = {.type = STO_TYPE_F16, .table = UINT64_C(5) << 40, .pages = 1, .n_kv_heads = 2, .head_dim = 64,
               .base = UINT64_C(6) << 40, .bytes = 1 << 20}};
    sto_op_attention(&ops, &args);
    assert_int_equal(sto_recording_finish(rec, &err), STO_OK);
    sto_recording_get_stats(rec, &stats);
    sto_recording_destroy(rec);
    return stats.dispatches;
}

/* ---- the tests ---- */

/* The real cases, on this driver: all kernels that the demo model needs are right, and none is tested twice. */
static void kernels_of_a_good_driver_pass(void **state)
{
    (void)state;
    struct sto_test_device t;
    struct model_test m;
    enum sto_kernel kernels[STO_KERNEL_COUNT];
    sto_test_device_open(&t, NULL);
    begin(&m, t.device, NULL);
    run(&m);
    const uint32_t n = sto_op_list_kernels(&m.ops, m.types, STO_TYPE_Q8_0, STO_TYPE_F16, kernels);
    assert_true(n > 8);
    for (uint32_t i = 0; i < n; i++) {
        const struct sto_kernel_finding *f = finding(t.device, kernels[i]);
        if (f->verdict != STO_RIGHT || !(f->error <= 1))
            fail_msg("%s: verdict %d, %s", sto_kernel_get(kernels[i])->name, (int)f->verdict, f->reason);
    }
    assert_int_equal(sto_self_test_check(&m.test, NULL), STO_OK);
    assert_string_equal(t.log, "");
    set_failing("", NULL, NULL); /* would fail everything, but nothing is untested */
    begin(&m, t.device, sources);
    run(&m);
    assert_string_equal(t.log, "");
    sto_test_device_close(&t);
}

/* Matrix, sampling and prefill kernels that answer wrongly: others take their place, and logits stay what they were. */
static void the_engine_does_without_wrong_kernels(void **state)
{
    (void)state;
    struct sto_test_device t;
    struct model_test m;
    sto_test_device_open(&t, NULL);
    const struct sto_device_plan before = *sto_device_get_plan(t.device);
    const enum sto_kernel first = before.matvec[STO_TYPE_Q8_0];
    float *want = sto_test_logits(&t, demo, NULL, tokens, N_TOKENS);
    bool queued;
    char *text = tell(t.device, &queued);
    assert_true(queued);
    assert_int_equal(attention_dispatches(t.device), 1);
    assert_true(finding(t.device, first)->verdict == STO_UNTESTED); /* no cache folder: no test unasked */

    set_failing(sto_kernel_get(first)->name, "attn_prefill", "sample_pick");
    begin(&m, t.device, sources);
    run(&m);
    const struct sto_device_plan *plan = sto_device_get_plan(t.device);
    const struct sto_kernel_finding *f = finding(t.device, first);
    assert_int_equal(f->verdict, STO_WRONG);
    assert_true(fabs(f->error - 4) < 0.01); /* 0.5 of a bound of 0.125 */
    assert_non_null(strstr(f->reason, "four numbers: y[0, 2] is 3, not 3.5"));
    assert_true(plan->set_aside[first] && plan->matvec[STO_TYPE_Q8_0] != first &&
                plan->matvec[STO_TYPE_Q8_0] != STO_KERNEL_COUNT);
    assert_int_equal(finding(t.device, plan->matvec[STO_TYPE_Q8_0])->verdict, STO_RIGHT); /* what came was tested too */
    assert_true(plan->set_aside[STO_KERNEL_attn_prefill_f16]);
    assert_int_equal(attention_dispatches(t.device), 3); /* decode of 8, 8 and 4 columns */
    assert_false(sto_op_can_sample(plan));
    char *again = tell(t.device, &queued);
    assert_false(queued);
    assert_string_equal(again, text);
    free(again);
    free(text);
    assert_int_equal(sto_self_test_check(&m.test, NULL), STO_OK);
    assert_non_null(strstr(t.log, sto_kernel_get(first)->name));

    float *got = sto_test_logits(&t, demo, NULL, tokens, N_TOKENS);
    struct sto_model *model = NULL;
    struct sto_error err;
    assert_int_equal(sto_model_open(demo, NULL, NULL, &model, &err), STO_OK);
    expect_close(want, got, N_TOKENS * (size_t)sto_model_n_vocab(model));
    sto_model_close(model);
    free(want);
    free(got);
    sto_test_device_close(&t);
}

/* Kernels that nothing can replace: the error names them, and how they fail; no more is tested, now or later. */
static void a_kernel_without_alternative_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *fail[3], *named;
    } cases[] = {{{"rmsnorm"}, "kernel rmsnorm"},
                 {{"embed_q8_0"}, "kernel embed_q8_0"},
                 {{"matrows_q8_0", "matvec_q8_0"}, "kernel matvec_q8_0"},
                 {{"attn_decode_f16"}, "kernel attn_decode_f16"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_test_device t;
        struct model_test m;
        struct sto_model *model = NULL;
        struct sto_engine *engine = NULL;
        struct sto_error err;
        sto_test_device_open(&t, NULL);
        set_failing(cases[i].fail[0], cases[i].fail[1], cases[i].fail[2]);
        begin(&m, t.device, sources);
        run(&m);
        assert_int_equal(sto_self_test_check(&m.test, &err), STO_ERR_NO_DEVICE);
        set_failing("", NULL, NULL);
        const struct sto_findings known = *sto_device_get_findings(t.device);
        run(&m);
        assert_memory_equal(&known, sto_device_get_findings(t.device), sizeof known);
        if (strstr(err.message, cases[i].named) == NULL || strstr(err.message, "four numbers") == NULL)
            fail_msg("case %zu: %s", i, err.message);
        assert_int_equal(sto_model_open(demo, NULL, NULL, &model, &err), STO_OK);
        assert_int_equal(sto_engine_create(t.device, model, NULL, NULL, &engine, &err), STO_ERR_NO_DEVICE);
        sto_model_close(model);
        sto_test_device_close(&t);
    }
}

/* What was found lasts: the next device of the same folder does not use the kernel, and does not test it again. */
static void findings_last_in_the_folder(void **state)
{
    (void)state;
    char folder[64], path[1024];
    struct sto_device *device = NULL;
    struct model_test m;
    struct sto_error err;
    (void)snprintf(folder, sizeof folder, "selftest-%016llx", (unsigned long long)sto_wall_seed());
    const struct sto_device_params params = {.cache_dir = folder};
    for (int start = 0; start < 2; start++) {
        if (sto_device_open(&params, NULL, &device, &err) != STO_OK)
            fail_msg("%s", err.message);
        assert_true(sto_device_wants_self_test(device));
        set_failing(start == 0 ? "matrows_q8_0" : "", start == 0 ? "matvec_q8_0" : NULL, NULL);
        begin(&m, device, sources);
        run(&m);
        assert_true(sto_device_get_plan(device)->set_aside[sto_device_get_snapshot(device)->kind == STO_DEVICE_CPU
                                                               ? STO_KERNEL_matrows_q8_0
                                                               : STO_KERNEL_matvec_q8_0]);
        assert_int_equal(finding(device, STO_KERNEL_rmsnorm)->verdict, STO_RIGHT);
        sto_findings_path(sto_device_get_snapshot(device), sto_device_get_plan(device), folder, path, sizeof path);
        sto_device_close(device);
    }
    const struct sto_device_params without = {.cache_dir = folder, .no_self_test = true};
    if (sto_device_open(&without, NULL, &device, &err) != STO_OK)
        fail_msg("%s", err.message);
    assert_false(sto_device_wants_self_test(device));
    assert_false(sto_device_get_plan(device)->set_aside[STO_KERNEL_matrows_q8_0]);
    sto_device_close(device);
    assert_int_equal(remove(path), 0);
    (void)remove(folder); /* a pipeline cache may be left in it */
}

/* When time is over the rest is left for a later start, and nothing fails. */
static void without_time_kernels_stay_untested(void **state)
{
    (void)state;
    struct sto_test_device t;
    struct model_test m;
    sto_test_device_open(&t, NULL);
    set_failing(NULL, NULL, NULL);
    begin(&m, t.device, NULL); /* the real cases: the first alone takes longer than this */
    m.test.budget_ms = 1;
    run(&m);
    enum sto_kernel kernels[STO_KERNEL_COUNT];
    const uint32_t n = sto_op_list_kernels(&m.ops, m.types, STO_TYPE_Q8_0, STO_TYPE_F16, kernels);
    uint32_t tested = 0;
    for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++)
        tested += finding(t.device, (enum sto_kernel)k)->verdict != STO_UNTESTED;
    assert_true(tested < n);
    assert_int_equal(sto_self_test_check(&m.test, NULL), STO_OK);
    m.test.budget_ms = BUDGET_MS;
    run(&m);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(finding(t.device, kernels[i])->verdict, STO_RIGHT);
    sto_test_device_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_of_a_good_driver_pass),
        cmocka_unit_test(the_engine_does_without_wrong_kernels),
        cmocka_unit_test(a_kernel_without_alternative_is_an_error),
        cmocka_unit_test(findings_last_in_the_folder),
        cmocka_unit_test(without_time_kernels_stay_untested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* runtime/tune: which constants are tried, and a search on the device at hand. No test looks at a time: whichever
 * constants win, they are possible, the kernel answers rightly with them, and they are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/tune.h"
#include "shaders/shared/args.h"

static struct sto_device_snapshot snapshot;
static struct sto_device_plan plan;
static struct sto_error err;

static void load(const char *name)
{
    char path[512], *text;
    size_t size;
    (void)snprintf(path, sizeof path, STRATO_SOURCE_DIR "/tests/snapshots/%s.txt", name);
    if (sto_file_read(path, 1 << 20, &text, &size, &err) != STO_OK ||
        sto_snapshot_parse(name, text, size, &snapshot, &err) != STO_OK ||
        sto_device_plan_make(&snapshot, NULL, &plan, &err) != STO_OK)
        fail_msg("%s", err.message);
    sto_free(text);
}

/* How many candidates there are around a kernel's rule; each differs in one constant, is possible, and comes once. */
static uint32_t count(enum sto_kernel kernel)
{
    const struct sto_tuning_input in = {&snapshot, &plan, sto_kernel_get(kernel)};
    const struct sto_tuning *best = &plan.tuning[kernel];
    struct sto_tuning seen[64];
    uint32_t at = 0, n = 0;
    while (sto_tune_next(&in, best, &at, &seen[n])) {
        uint32_t changed = 0;
        for (uint32_t i = 0; i < best->n_values; i++)
            changed += seen[n].values[i] != best->values[i];
        assert_int_equal(changed, 1);
        assert_true(sto_tuning_possible(&in, &seen[n]));
        for (uint32_t i = 0; i < n; i++)
            assert_memory_not_equal(&seen[i], &seen[n], sizeof seen[i]);
        assert_true(++n < 64);
    }
    assert_false(sto_tune_next(&in, best, &at, &seen[n])); /* the end stays the end */
    return n;
}

static void each_constant_is_changed_alone(void **state)
{
    (void)state;
    load("radv-navi21-trixie"); /* rows 2, workgroup 32 */
    assert_int_equal(count(STO_KERNEL_matvec_q4_k), 3 + 3);  /* workgroups of 64, 128, 256; rows 1, 4, 8 */
    assert_int_equal(count(STO_KERNEL_matmul_q4_k), 2 + 2 + 2 + 2);
    assert_int_equal(count(STO_KERNEL_rmsnorm), 0);
    load("lavapipe-debian12"); /* rows 4, columns 16, shuffles, gathers */
    assert_int_equal(count(STO_KERNEL_matrows_q4_k), 2 + 1 + 1 + 2); /* columns 8 alone: 4 x 32 sums are too many */
    assert_int_equal(count(STO_KERNEL_matvec_q4_k), 3);
}

/* What was found is what the next step goes from. */
static void a_step_goes_from_the_best(void **state)
{
    (void)state;
    load("radv-navi21-trixie");
    const struct sto_tuning_input in = {&snapshot, &plan, sto_kernel_get(STO_KERNEL_matvec_q4_k)};
    struct sto_tuning best = plan.tuning[STO_KERNEL_matvec_q4_k], next;
    uint32_t at = 0;
    assert_true(sto_tune_next(&in, &best, &at, &next));
    assert_true(next.values[0] == 64 && next.values[2] == 2);
    best = next;
    assert_true(sto_tune_next(&in, &best, &at, &next));
    assert_true(next.values[0] == 128 && next.values[2] == 2); /* 64 is the best: it is not tried again */
    assert_true(sto_tune_next(&in, &best, &at, &next));
    assert_true(next.values[0] == 256);
    assert_true(sto_tune_next(&in, &best, &at, &next));
    assert_true(next.values[0] == 64 && next.values[2] == 1);
}

/* ---- on a device ---- */

struct seen {
    struct sto_tune_kernel result;
    uint32_t kernels, asked, stop_after; /* stop_after: 0 never */
};

static void found(void *user, const struct sto_tune_kernel *result)
{
    struct seen *seen = user;
    seen->result = *result;
    seen->kernels++;
}

static bool progress(void *user, enum sto_kernel kernel, uint32_t done, uint32_t total)
{
    struct seen *seen = user;
    assert_true(kernel < STO_KERNEL_COUNT && done <= total && total == 1);
    return ++seen->asked == seen->stop_after;
}

static struct sto_device *device;
static struct sto_findings findings;
static char folder[64], path[1024];

/* A device whose plan uses matvec_f32, a small kernel, whatever kind it is. NULL: there is no device. */
static int open_device(void **state)
{
    (void)state;
    const struct sto_device_params params = {.cache_dir = "", .no_self_test = true};
    if (sto_device_open(&params, NULL, &device, &err) != STO_OK)
        return 0;
    static struct sto_findings no_rows;
    no_rows.kernels[STO_KERNEL_matrows_f32].verdict = STO_WRONG;
    sto_device_learn(device, &no_rows);
    (void)snprintf(folder, sizeof folder, "tune-%016llx", (unsigned long long)sto_wall_seed());
    sto_findings_path(sto_device_get_snapshot(device), sto_device_get_plan(device), folder, path, sizeof path);
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    (void)remove(path);
    (void)remove(folder);
    sto_device_close(device);
    return 0;
}

static bool is_matvec_f32(void *user, enum sto_kernel kernel)
{
    (void)user;
    return kernel == STO_KERNEL_matvec_f32;
}

static void a_search_keeps_what_is_right(void **state)
{
    (void)state;
    const enum sto_kernel kernel = STO_KERNEL_matvec_f32;
    struct seen seen = {0};
    const struct sto_tune_params params = {.kernel = "matvec_f32", .cache_dir = folder, .race_ms = 1, .user = &seen,
                                           .progress = progress, .found = found};
    if (device == NULL)
        skip();
    findings.kernels[STO_KERNEL_glu].verdict = STO_RIGHT; /* known before, not measured again */
    if (sto_tune(device, &params, &findings, &err) != STO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(seen.kernels, 1);
    assert_true(seen.result.tried >= 3 && seen.result.wrong == 0 && seen.asked > seen.result.tried);
    assert_true(seen.result.before_us > 0 && seen.result.after_us > 0 && seen.result.gain >= 1);
    assert_memory_equal(&seen.result.before, &sto_device_get_plan(device)->tuning[kernel], sizeof seen.result.before);
    assert_true(findings.tuned_at != 0 && findings.kernels[kernel].verdict == STO_RIGHT);
    assert_int_equal(findings.kernels[kernel].gain > 0, seen.result.gain > 1);

    struct sto_findings *kept = sto_calloc(1, sizeof *kept);
    struct sto_device_plan tuned = *sto_device_get_plan(device);
    sto_findings_load(sto_device_get_snapshot(device), sto_device_get_plan(device), folder, NULL, kept);
    assert_int_equal(kept->tuned_at, findings.tuned_at);
    assert_int_equal(kept->kernels[STO_KERNEL_glu].verdict, STO_RIGHT);
    sto_findings_apply(kept, sto_device_get_snapshot(device), &tuned);
    assert_memory_equal(&tuned.tuning[kernel], &seen.result.after, sizeof seen.result.after);
    sto_free(kept);

    struct sto_verify_summary summary;
    const struct sto_verify_params verify = {.quick = true, .tuning = tuned.tuning, .wants = is_matvec_f32};
    assert_int_equal(sto_verify(device, &verify, &summary, &err), STO_OK);
    assert_true(summary.kernels == 1 && summary.failed == 0);
}

/* A case that is right with the rule's constants alone. */
static void picky_case(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const float x[4] = {1, 2, 3, 4};
    const bool as_planned = memcmp(&sto_verify_plan(v)->tuning[kernel], &sto_device_get_plan(device)->tuning[kernel],
                                   sizeof(struct sto_tuning)) == 0;
    const double want[4] = {1, 2, as_planned ? 3 : 3.5, 4};
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

/* Constants that make a kernel answer wrongly never win, however fast they are. */
static void wrong_answers_never_win(void **state)
{
    (void)state;
    static const struct sto_verify_source picky[] = {{"matvec.comp", true, picky_case, NULL},
                                                     {NULL, false, NULL, NULL}};
    struct seen seen = {0};
    const struct sto_tune_params params = {.kernel = "matvec_f32", .cache_dir = "", .race_ms = 1, .user = &seen,
                                           .found = found, .sources = picky};
    if (device == NULL)
        skip();
    if (sto_tune(device, &params, &findings, &err) != STO_OK)
        fail_msg("%s", err.message);
    assert_true(seen.result.tried >= 3 && seen.result.wrong == seen.result.tried);
    assert_memory_equal(&seen.result.before, &seen.result.after, sizeof seen.result.after);
    assert_true(findings.kernels[STO_KERNEL_matvec_f32].gain <= 0);
}

static void a_search_can_be_stopped(void **state)
{
    (void)state;
    struct seen seen = {.stop_after = 2};
    const struct sto_tune_params params = {.kernel = "matvec_f32", .cache_dir = "", .race_ms = 1, .user = &seen,
                                           .progress = progress, .found = found};
    if (device == NULL)
        skip();
    assert_int_equal(sto_tune(device, &params, &findings, &err), STO_ERR_CANCELLED);
    assert_int_equal(seen.kernels, 0);
    assert_int_equal(seen.asked, 2);
}

static void a_kernel_that_is_not_used_is_an_error(void **state)
{
    (void)state;
    const struct sto_tune_params params = {.kernel = "no_such_kernel", .cache_dir = ""};
    if (device == NULL)
        skip();
    assert_int_equal(sto_tune(device, &params, &findings, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "no_such_kernel"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_constant_is_changed_alone),        cmocka_unit_test(a_step_goes_from_the_best),
        cmocka_unit_test(a_search_keeps_what_is_right),          cmocka_unit_test(a_search_can_be_stopped),
        cmocka_unit_test(a_kernel_that_is_not_used_is_an_error), cmocka_unit_test(wrong_answers_never_win),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

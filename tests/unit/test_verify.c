/* The kernel checks check: whatever a kernel may do wrong is found and named. The faults are
 * made with the probe kernel, y[i] = factor * x[i] + addend, given wrong arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/verify/verify.h"
#include "shaders/shared/args.h"

static struct sto_device *device;

static int open_device(void **state)
{
    (void)state;
    struct sto_error err;
    const struct sto_device_params params = {.cache_dir = ""};
    if (sto_device_open(&params, NULL, &device, &err) != STO_OK)
        device = NULL; /* each test that needs it is skipped */
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    sto_device_close(device);
    return 0;
}

/* ---- a case that can go wrong ---- */

enum { N = 64 };

enum fault {
    FAULT_NONE,
    FAULT_VALUE,         /* one element is wrong                       */
    FAULT_NAN,
    FAULT_BEYOND,        /* writes behind its output                   */
    FAULT_BEFORE,
    FAULT_INPUT,         /* writes its input                           */
    FAULT_SHORT,         /* leaves the end of its output unwritten     */
    FAULT_PADDING,       /* writes between the rows that are compared  */
    FAULT_NOT_COMPARED,  /* writes an output that nobody looks at      */
    FAULT_NOT_RUN,
    FAULT_SMALL_ERROR,   /* half of what the bound allows: no fault    */
};
static enum fault fault;

static const float *as_floats(const uint32_t *bits)
{
    const void *p = bits;
    return p;
}

static void faulty_run(struct sto_verifier *v, enum sto_kernel kernel)
{
    static uint32_t x[N];
    static double want[N];
    const uint32_t cols = fault == FAULT_PADDING ? 12 : 16;

    sto_verify_begin(v, "fault %d", (int)fault);
    for (uint32_t i = 0; i < N; i++) {
        x[i] = 0x3f800000u + i * 0x1000u; /* floats from 1 up */
        want[i] = (double)as_floats(x)[i];
    }
    if (fault == FAULT_VALUE)
        want[37] += 0.01;
    if (fault == FAULT_SMALL_ERROR)
        want[37] += 0.0005;
    const struct sto_verify_range xs = sto_verify_input(v, "x", x, sizeof x);
    const struct sto_verify_range y = sto_verify_output(v, "y", sizeof x);
    struct ProbeArgs args = {.x = xs.address, .y = y.address, .n = N, .factor = 1};
    if (fault == FAULT_NAN)
        args.addend = 0x40000000u;
    if (fault == FAULT_BEYOND)
        args.n = N + 4;
    if (fault == FAULT_BEFORE)
        args.y -= 16;
    if (fault == FAULT_INPUT)
        args.y = xs.address, args.addend = 1;
    if (fault == FAULT_SHORT)
        args.n = N - 4;
    sto_verify_dispatch(v, kernel, &args, N, 1, 1); /* more than enough: args.n ends it */
    if (fault != FAULT_NOT_RUN)
        sto_verify_run(v);
    if (fault != FAULT_NOT_COMPARED && fault != FAULT_NOT_RUN && fault != FAULT_INPUT) {
        const struct sto_verify_compare compare = {
            .range = y, .rows = 4, .cols = cols, .stride = 16, .want = want, .bound = 0.001};
        if (fault == FAULT_PADDING) { /* dense expectations for rows of 12 */
            for (uint32_t i = 0; i < 4 * cols; i++)
                want[i] = (double)as_floats(x)[i / cols * 16 + i % cols];
        }
        sto_verify_compare(v, &compare);
    }
    sto_verify_end(v);
}

static const struct sto_verify_source faulty[] = {{"probe.comp", false, faulty_run, NULL}, {NULL, false, NULL, NULL}};

static struct sto_verify_result last;

static void keep(void *user, const struct sto_verify_result *result)
{
    (void)user;
    last = *result;
}

/* Runs the case with one fault; the failure must hold this text. */
static void expect_fault(enum fault which, const char *text)
{
    struct sto_verify_summary summary;
    struct sto_error err;
    const struct sto_verify_params params = {.kernel = "probe", .sources = faulty, .result = keep};

    fault = which;
    assert_int_equal(sto_verify(device, &params, &summary, &err), STO_OK);
    assert_int_equal(summary.kernels, 1);
    assert_int_equal(summary.cases, 1);
    if ((summary.failed > 0) != (text != NULL))
        fail_msg("fault %d: %u failed: %s", (int)which, summary.failed, last.failure);
    if (text == NULL)
        assert_string_equal(last.failure, "");
    else if (strstr(last.failure, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, last.failure);
}

/* ---- the tests ---- */

static void a_right_answer_passes(void **state)
{
    (void)state;
    if (device == NULL)
        skip();
    expect_fault(FAULT_NONE, NULL);
    assert_true(last.worst == 0);
    expect_fault(FAULT_SMALL_ERROR, NULL);
    assert_true(fabs(last.worst - 0.5) < 0.01);
    assert_string_equal(last.worst_case, "fault 10");
}

static void faults_are_found_and_named(void **state)
{
    (void)state;
    if (device == NULL)
        skip();
    expect_fault(FAULT_VALUE, "y[2, 5] is 1.018"); /* element 37 of rows of 16: 1 + 37 * 2^-11 */
    assert_true(fabs(last.worst - 10) < 0.1);
    expect_fault(FAULT_NAN, "y[0, 0] is");
    expect_fault(FAULT_BEYOND, "0 bytes behind the end of 'y' was written");
    expect_fault(FAULT_BEFORE, "y[0, 0] is");
    expect_fault(FAULT_INPUT, "byte 0 of 'x' was written and should not be");
    expect_fault(FAULT_SHORT, "(not written)");
    expect_fault(FAULT_PADDING, "byte 48 of 'y' was written and should not be");
    expect_fault(FAULT_NOT_COMPARED, "byte 0 of 'y' was written and should not be");
    expect_fault(FAULT_NOT_RUN, "the case never ran");
}

static void a_kernel_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct sto_verify_summary summary;
    struct sto_error err;
    const struct sto_verify_params params = {.kernel = "no_such_kernel"};
    if (device == NULL)
        skip();
    assert_int_equal(sto_verify(device, &params, &summary, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "no_such_kernel"));
}

/* The small kernels, with workgroups of every kind: one invocation per subgroup lane, partly filled, large. */
static void kernels_agree_at_every_workgroup_size(void **state)
{
    (void)state;
    static const char *const kernels[] = {"step_begin", "rmsnorm", "rope_kv_q8_0"};
    static const uint32_t sizes[] = {4, 32, 256};
    struct sto_verify_summary summary;
    struct sto_error err;
    if (device == NULL)
        skip();
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const struct sto_verify_params params = {.kernel = kernels[k], .workgroup = sizes[s], .result = keep};
            assert_int_equal(sto_verify(device, &params, &summary, &err), STO_OK);
            if (summary.failed > 0)
                fail_msg("%s with workgroups of %u: %s", kernels[k], sizes[s], last.failure);
            assert_true(summary.cases > 10);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_answer_passes),
        cmocka_unit_test(faults_are_found_and_named),
        cmocka_unit_test(a_kernel_that_is_not_there_is_an_error),
        cmocka_unit_test(kernels_agree_at_every_workgroup_size),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

/* The generator against its published answers, and exp and log against the C library's in double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "runtime/base/exact_math.h"
#include "runtime/base/philox.h"

/* Known answers of philox4x32-10, from the file kat_vectors of the Random123 library. */
static void philox_gives_the_published_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        sto_philox4x32(known[i].counter, known[i].key, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

/* |got - want| in units of the last place of want as a float. */
static double ulps(float got, double want)
{
    if (want == 0.0)
        return got == 0.0f ? 0.0 : INFINITY;
    return fabs((double)got - want) / ldexp(1.0, ilogb(want) - 23);
}

/* Every 997th float; the header promises 1.5 units. */
static void exp_and_log_are_accurate(void **state)
{
    (void)state;
    double worst_exp = 0, worst_log = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 997) {
        const float x = sto_f32_from_bits((uint32_t)bits);
        if (isfinite(x) && x >= -87.3f && x <= 88.7f)
            worst_exp = fmax(worst_exp, ulps(sto_exact_exp(x), exp((double)x)));
        if (isfinite(x) && x >= FLT_MIN)
            worst_log = fmax(worst_log, ulps(sto_exact_log(x), log((double)x)));
    }
    assert_true(worst_exp <= 1.5);
    assert_true(worst_log <= 1.5);
}

static void exp_and_log_keep_their_edges(void **state)
{
    (void)state;
    assert_true(sto_exact_exp(0.0f) == 1.0f);
    assert_true(sto_exact_exp(-87.4f) == 0.0f);
    assert_true(sto_exact_exp(-INFINITY) == 0.0f);
    assert_true(sto_exact_exp(-FLT_MAX) == 0.0f);
    assert_true(sto_exact_exp(NAN) == 0.0f);
    assert_true(sto_exact_exp(89.0f) == INFINITY);
    assert_true(sto_exact_exp(INFINITY) == INFINITY);
    assert_true(sto_exact_exp(88.7f) < FLT_MAX);
    assert_true(sto_exact_log(1.0f) == 0.0f);
    assert_true(sto_exact_log(0.0f) == -INFINITY);
    assert_true(sto_exact_log(FLT_MIN / 2) == -INFINITY);
    assert_true(sto_exact_log(-1.0f) == -INFINITY);
    assert_true(sto_exact_log(NAN) == -INFINITY);
    assert_true(sto_exact_log(INFINITY) == INFINITY);
}

/* The loop is compiled to SIMD, the single call is not: both must round alike. */
static void exp_of_many_equals_exp_of_one(void **state)
{
    (void)state;
    enum { N = 1003 };
    static float x[N], y[N];
    for (int i = 0; i < N; i++)
        x[i] = (float)i * 0.173f - 80.0f;
    sto_exact_exp_n(y, x, N, 7.25f, 0.7f);
    for (int i = 0; i < N; i++)
        assert_int_equal(sto_f32_bits(y[i]), sto_f32_bits(sto_exact_exp((x[i] - 7.25f) * 0.7f)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_answers),
        cmocka_unit_test(exp_and_log_are_accurate),
        cmocka_unit_test(exp_and_log_keep_their_edges),
        cmocka_unit_test(exp_of_many_equals_exp_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

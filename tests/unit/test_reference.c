/* The operations of the reference, and the distances, held against values worked out by hand from their definitions. */
#include "tests/reference/ref_compare.h"
#include "tests/reference/ref_ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%.12g, expected %.12g within %.3g", got, expected, tolerance);
}

static void test_matmul(void **state)
{
    const double w[] = {1, 2, 3, 4, 5, 6}, x[] = {1, 0, -1, 2, 10, 100}, bias[] = {0.5, -0.5};
    double y[4];

    (void)state;
    struct sto_ref_matmul a = {.w = w, .x = x, .bias = bias, .n_cols = 2, .n_in = 3, .n_out = 2};
    sto_ref_matmul(y, &a);
    assert_near(y[0], -1.5, 0);
    assert_near(y[1], -2.5, 0);
    assert_near(y[2], 322.5, 0);
    assert_near(y[3], 657.5, 0);
    a.bias = NULL;
    sto_ref_matmul(y, &a);
    assert_near(y[3], 658, 0);
}

static void test_norms(void **state)
{
    const double x[] = {3, 4, 1, 1}, g[] = {1, 2}, b[] = {0.25, 0};
    double y[4];

    (void)state;
    sto_ref_rmsnorm(y, x, g, 2, 2, 0); /* rms of (3, 4) is 5 / sqrt 2 */
    assert_near(y[0], 3 * sqrt(2) / 5, 1e-15);
    assert_near(y[1], 8 * sqrt(2) / 5, 1e-15);
    assert_near(y[2], 1, 1e-15);
    assert_near(y[3], 2, 1e-15);
    sto_ref_rmsnorm(y, x, NULL, 1, 2, 12.5); /* eps counts as much as the mean square */
    assert_near(y[0], 0.6, 1e-15);
    sto_ref_layernorm(y, x, g, b, 2, 2, 0.75); /* mean 3.5, variance 0.25 */
    assert_near(y[0], -0.25, 1e-15);
    assert_near(y[1], 1, 1e-15);
    assert_near(y[2], 0.25, 1e-15);
    assert_near(y[3], 0, 1e-15);
}

static void test_softmax_and_argmax(void **state)
{
    double x[] = {log(1), log(2), -(double)INFINITY, log(5)};
    const double large[] = {1, 7, 7, -9};

    (void)state;
    sto_ref_softmax(x, 4);
    assert_near(x[0], 0.125, 1e-15);
    assert_near(x[1], 0.25, 1e-15);
    assert_near(x[2], 0, 0);
    assert_near(x[3], 0.625, 1e-15);
    assert_int_equal(sto_ref_argmax(large, 4), 1);
    assert_int_equal(sto_ref_argmax(large + 3, 1), 0);
}

/* Base 16 with four dimensions turns pair 0 by 1 and pair 1 by 1/4 radian per position. */
static const struct sto_ref_rope plain = {.pairs = STO_REF_ROPE_NORM,
                                          .n_dims = 4,
                                          .base = 16,
                                          .scale = 1,
                                          .attn_factor = 1,
                                          .beta_fast = 32,
                                          .beta_slow = 1,
                                          .n_ctx_orig = 64};

static void test_rope_pairs(void **state)
{
    const double x[] = {1, 0, 0, 2, 5, 6};
    double y[6];
    struct sto_ref_rope rope = plain;

    (void)state;
    memcpy(y, x, sizeof y);
    sto_ref_rope(y, &rope, 2);
    assert_near(y[0], cos(2), 1e-15);
    assert_near(y[1], sin(2), 1e-15);
    assert_near(y[2], -2 * sin(0.5), 1e-15);
    assert_near(y[3], 2 * cos(0.5), 1e-15);
    assert_near(y[4], 5, 0); /* beyond n_dims nothing turns */
    assert_near(y[5], 6, 0);
    rope.pairs = STO_REF_ROPE_NEOX; /* 0 with 2, 1 with 3 */
    memcpy(y, x, sizeof y);
    sto_ref_rope(y, &rope, 2);
    assert_near(y[0], cos(2), 1e-15);
    assert_near(y[2], sin(2), 1e-15);
    assert_near(y[1], -2 * sin(0.5), 1e-15);
    assert_near(y[3], 2 * cos(0.5), 1e-15);
}

static void test_rope_scaling(void **state)
{
    const double factors[] = {1, 8};
    struct sto_ref_rope rope = plain;

    (void)state;
    rope.factors = factors;
    assert_near(sto_ref_rope_frequency(&rope, 0), 1, 1e-15);
    assert_near(sto_ref_rope_frequency(&rope, 1), 0.25 / 8, 1e-15);
    rope.scale = 0.25; /* linear: a position counts a quarter, on top of the factors */
    assert_near(sto_ref_rope_frequency(&rope, 1), 0.25 / 32, 1e-15);
    assert_near(sto_ref_rope_magnitude(&rope), 1, 0);
}

/* YaRN as its paper gives it, for the sizes of Llama 2: 128 dimensions, base 10000, 4096 tokens extended 16 times. Pair
 * i turns 4096 / (2 pi 10000^(2i/128)) times: 32 times at i = 20.95, once at i = 45.03. So pairs up to 20 keep their
 * angle, pairs from 46 on are scaled by 1/16, and between them a ramp of 26 steps mixes the two. */
static void test_rope_yarn(void **state)
{
    struct sto_ref_rope rope = plain;

    (void)state;
    rope.n_dims = 128;
    rope.base = 10000;
    rope.n_ctx_orig = 4096;
    rope.scale = 1.0 / 16;
    rope.ext_factor = 1;
    assert_near(sto_ref_rope_frequency(&rope, 0), 1, 1e-15);
    assert_near(sto_ref_rope_frequency(&rope, 20), pow(10000, -40.0 / 128), 1e-15);
    assert_near(sto_ref_rope_frequency(&rope, 33), pow(10000, -66.0 / 128) * (0.5 + 0.5 / 16), 1e-15);
    assert_near(sto_ref_rope_frequency(&rope, 46), pow(10000, -92.0 / 128) / 16, 1e-18);
    assert_near(sto_ref_rope_frequency(&rope, 63), pow(10000, -126.0 / 128) / 16, 1e-18);
    assert_near(sto_ref_rope_magnitude(&rope), 1.27725887222398, 1e-13); /* 1 + 0.1 ln 16 */
    rope.attn_factor = 0.5;
    assert_near(sto_ref_rope_magnitude(&rope), 1.27725887222398 / 2, 1e-13);
}

/* Two query heads share one key head; every key is the same, so each query averages the values it sees. */
static void test_attention(void **state)
{
    const double q[] = {1, 2, 3, 4, 5, 6, 7, 8}, k[] = {1, 1, 1, 1, 1, 1, 1, 1}, v[] = {1, 10, 2, 20, 6, 60, 7, 70};
    double o[8], scores[4];
    struct sto_ref_attention a = {
        .q = q, .k = k, .v = v, .n_q = 2, .n_kv = 4, .n_heads = 2, .n_kv_heads = 1, .head_dim = 2, .scale = 0.5};

    (void)state;
    sto_ref_attention(o, scores, &a); /* query 0 has position 2: values 1, 2, 6; query 1 position 3: all four */
    for (int h = 0; h < 2; h++) {
        assert_near(o[2 * h], 3, 1e-14);
        assert_near(o[2 * h + 1], 30, 1e-13);
        assert_near(o[4 + 2 * h], 4, 1e-14);
        assert_near(o[4 + 2 * h + 1], 40, 1e-13);
    }
    a.window = 2; /* query 0 sees 2 and 6, query 1 sees 6 and 7 */
    sto_ref_attention(o, scores, &a);
    assert_near(o[0], 4, 1e-14);
    assert_near(o[4], 6.5, 1e-14);
    a.window = 1;
    sto_ref_attention(o, scores, &a);
    assert_near(o[0], 6, 0);
    assert_near(o[4], 7, 0);
}

/* Two key heads: query heads 0 and 1 use the first, 2 and 3 the second. Scores ln 3 and 0 weigh values 3 to 1; a
 * soft-cap of c makes them c tanh(ln 3 / c) and 0. */
static void test_attention_groups_and_softcap(void **state)
{
    const double q[] = {1, 1, 1, 1}, v[] = {4, 40, 8, 80};
    const double k[] = {0, log(3), log(3), 0}; /* [token, head] */
    double o[4], scores[2];
    struct sto_ref_attention a = {
        .q = q, .k = k, .v = v, .n_q = 1, .n_kv = 2, .n_heads = 4, .n_kv_heads = 2, .head_dim = 1, .scale = 1};

    (void)state;
    sto_ref_attention(o, scores, &a);
    assert_near(o[0], (4 + 3 * 8) / 4.0, 1e-14);
    assert_near(o[1], o[0], 0);
    assert_near(o[2], (3 * 40 + 80) / 4.0, 1e-13);
    assert_near(o[3], o[2], 0);
    a.softcap = 2;
    sto_ref_attention(o, scores, &a);
    assert_near(o[0], 4 + 4 / (1 + exp(-2 * tanh(log(3) / 2))), 1e-14); /* tanh(ln(3) / 2) = 1/2 */
    assert_near(o[0], 4 + 4 / (1 + exp(-1)), 1e-14);
}

static void test_activations(void **state)
{
    const double gate[] = {0, 100, -100}, up[] = {3, 3, 3};
    double y[3];

    (void)state;
    assert_near(sto_ref_silu(log(3)), 0.75 * log(3), 1e-15); /* 1 / (1 + 1/3) */
    assert_near(sto_ref_silu(-log(3)), -0.25 * log(3), 1e-15);
    assert_near(sto_ref_gelu_erf(1), 0.841344746068543, 1e-14); /* the normal distribution's table */
    assert_near(sto_ref_gelu_erf(-1), -0.158655253931457, 1e-14);
    assert_near(sto_ref_gelu(1), 0.841191990608276, 1e-12); /* 1/2 (1 + tanh(0.797884560802865 * 1.044715)) */
    assert_near(sto_ref_gelu(0), 0, 0);
    sto_ref_glu(y, gate, up, 3, sto_ref_silu);
    assert_near(y[0], 0, 0);
    assert_near(y[1], 300, 1e-12);
    assert_near(y[2], 0, 1e-12);
}

static void test_embed_and_quantize(void **state)
{
    const double w[] = {1, 2, 3, 4, 5, 6};
    const uint32_t tokens[] = {2, 0};
    double y[4], x[64] = {0}, d[2];
    int8_t q[64];

    (void)state;
    sto_ref_embed(y, w, tokens, 2, 2);
    assert_near(y[0] + 10 * y[1] + 100 * y[2] + 1000 * y[3], 5 + 60 + 100 + 2000, 0);
    x[0] = -254; /* d = 2 */
    x[1] = 3;    /* 1.5, to even: 2 */
    x[2] = 5;    /* 2.5, to even: 2 */
    x[3] = 5.1;
    sto_ref_quantize_q8(q, d, x, 64);
    assert_near(d[0], 2, 0);
    assert_near(d[1], 0, 0);
    assert_int_equal(q[0], -127);
    assert_int_equal(q[1], 2);
    assert_int_equal(q[2], 2);
    assert_int_equal(q[3], 3);
    assert_int_equal(q[63], 0);
}

static void test_compare(void **state)
{
    const double expected[] = {3, 4, 0, 0}, zero[] = {0, 0}, p[] = {log(0.5), log(0.5)};
    const float got[] = {3, 4, 0, 0.5f}, same[] = {3, 4, 0, 0}, bad[] = {3, NAN, 0, 0}, none[] = {0, 0};
    const float q[] = {0, (float)log(3) + 0.0f}; /* 1/4 and 3/4 */

    (void)state;
    assert_near(sto_ref_rel_error(expected, got, 4), 0.1, 1e-15);
    assert_near(sto_ref_rel_error(expected, same, 4), 0, 0);
    assert_near(sto_ref_rel_error_f32(same, got, 4), 0.1, 1e-15);
    assert_true(isinf(sto_ref_rel_error(expected, bad, 4)));
    assert_near(sto_ref_rel_error(zero, none, 2), 0, 0);
    assert_true(isinf(sto_ref_rel_error(zero, got, 2)));
    assert_near(sto_ref_max_abs_diff(expected, got, 4), 0.5, 0);
    assert_true(isinf(sto_ref_max_abs_diff(expected, bad, 4)));
    assert_near(sto_ref_mean_kl(p, q, 1, 2), 0.5 * log(2) + 0.5 * log(2.0 / 3), 1e-7);
    assert_near(sto_ref_mean_kl(expected, same, 2, 2), 0, 1e-15);
    assert_true(isinf(sto_ref_mean_kl(expected, bad, 2, 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_softmax_and_argmax),
        cmocka_unit_test(test_rope_pairs),
        cmocka_unit_test(test_rope_scaling),
        cmocka_unit_test(test_rope_yarn),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_groups_and_softcap),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_embed_and_quantize),
        cmocka_unit_test(test_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

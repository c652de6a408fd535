/* Weight formats against real files: one model, quantised by another project into every format. Its float16 copy is
 * lossless, so it tells how far each format's weights should be from the truth, and what the encoders started from. */
#include "models/gguf.h"
#include "runtime/base/mem.h"
#include "runtime/formats/formats.h"
#include "tests/reference/ref_compare.h"
#include "tests/reference/ref_formats.h"
#include "tests/support/expected.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sto_gguf *open_model(const char *name)
{
    struct sto_error err = {.status = STO_OK};
    struct sto_gguf *gguf = NULL;
    char path[4096];

    if (!sto_reference_path(path, sizeof path, "formats", name, ".gguf"))
        return NULL;
    if (sto_gguf_open(path, NULL, &gguf, &err) != STO_OK)
        fail_msg("%s", err.message);
    return gguf;
}

static size_t n_elements(const struct sto_gguf_tensor *t)
{
    return (size_t)(t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3]);
}

static const struct sto_gguf_tensor *same_tensor(const struct sto_gguf *in, const struct sto_gguf_tensor *like)
{
    char name[STO_GGUF_MAX_NAME_BYTES + 1] = "";

    memcpy(name, like->name.data, like->name.size);
    const struct sto_gguf_tensor *t = sto_gguf_find_tensor(in, name);
    assert_non_null(t);
    assert_int_equal(n_elements(t), n_elements(like));
    return t;
}

static float *decoded(const struct sto_gguf *gguf, const struct sto_gguf_tensor *t)
{
    float *x = sto_calloc(n_elements(t), sizeof *x);

    assert_non_null(x);
    sto_decode(t->type, sto_gguf_tensor_data(gguf, t), x, n_elements(t));
    return x;
}

/* What quantising Gaussian weights should cost, relative to their size. For a uniform step s the error is s / sqrt 12;
 * the largest of 32 (16) Gaussian values is about 2.07 (1.77) standard deviations, in magnitude 2.4 (2.15). So a step
 * is 2.4/127 in Q8_0, 2.4/8 in Q4_0, 4.14/15 in Q4_1, 2.4/16 in Q5_0, 4.14/31 in Q5_1, 3.54/3 in Q2_K, 2.15/4 in Q3_K,
 * 4.14/15 in Q4_K, 4.14/31 in Q5_K, 2.15/32 in Q6_K. BF16, the table of 16 values and E2M1 come from rounding Gaussian
 * numbers to those values in a few lines of numpy. An encoder that searches for scales does a little better. */
static const struct {
    const char *file;
    enum sto_type type;
    double error;
} levels[] = {
    {"llama-bf16", STO_TYPE_BF16, 0.0017},         {"llama-pure-q8_0", STO_TYPE_Q8_0, 0.0055},
    {"llama-pure-q4_0", STO_TYPE_Q4_0, 0.087},     {"llama-pure-q4_1", STO_TYPE_Q4_1, 0.080},
    {"llama-pure-q5_0", STO_TYPE_Q5_0, 0.043},     {"llama-pure-q5_1", STO_TYPE_Q5_1, 0.039},
    {"llama-pure-q2_k", STO_TYPE_Q2_K, 0.34},      {"llama-pure-q3_k_s", STO_TYPE_Q3_K, 0.155},
    {"llama-pure-q4_k_s", STO_TYPE_Q4_K, 0.080},   {"llama-pure-q5_k_s", STO_TYPE_Q5_K, 0.039},
    {"llama-pure-q6_k", STO_TYPE_Q6_K, 0.019},     {"llama-pure-iq4_nl", STO_TYPE_IQ4_NL, 0.080},
    {"llama-pure-iq4_xs", STO_TYPE_IQ4_XS, 0.080}, {"llama-mxfp4", STO_TYPE_MXFP4, 0.115},
};

static void check_level(const struct sto_gguf *origin, const char *file, enum sto_type type, double expected)
{
    struct sto_gguf *gguf = open_model(file);
    size_t n_seen = 0;

    assert_non_null(gguf);
    for (size_t i = 0; i < sto_gguf_n_tensors(gguf); i++) {
        const struct sto_gguf_tensor *t = sto_gguf_tensor_at(gguf, i), *source = same_tensor(origin, t);
        if (t->type != type)
            continue;
        float *got = decoded(gguf, t), *truth = decoded(origin, source);
        const double error = sto_ref_rel_error_f32(truth, got, n_elements(t));
        if (error < 0.85 * expected || error > 1.05 * expected)
            fail_msg("%s %.*s: error %.4g, expected about %.4g", file, (int)t->name.size, t->name.data, error,
                     expected);
        if (n_seen++ == 0)
            print_message("  %-8s error %.4g, expected about %.4g\n", sto_type_name(type), error, expected);
        sto_free(got);
        sto_free(truth);
    }
    assert_true(n_seen > 0);
    sto_gguf_close(gguf);
}

static void test_error_levels(void **state)
{
    struct sto_gguf *origin = open_model("llama-f16");

    (void)state;
    if (origin == NULL)
        skip();
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        check_level(origin, levels[i].file, levels[i].type, levels[i].error);
    sto_gguf_close(origin);
}

/* Every element of every file, both implementations. */
static void test_whole_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        struct sto_gguf *gguf = open_model(levels[i].file);
        if (gguf == NULL)
            skip();
        for (size_t k = 0; k < sto_gguf_n_tensors(gguf); k++) {
            const struct sto_gguf_tensor *t = sto_gguf_tensor_at(gguf, k);
            float *got = decoded(gguf, t);
            double *truth = sto_calloc(n_elements(t), sizeof *truth);
            assert_non_null(truth);
            sto_ref_decode(t->type, sto_gguf_tensor_data(gguf, t), truth, n_elements(t));
            for (size_t e = 0; e < n_elements(t); e++)
                assert_true(got[e] == (float)truth[e]);
            sto_free(truth);
            sto_free(got);
        }
        sto_gguf_close(gguf);
    }
}

/* Our bytes beside another encoder's, from the same floats. Its quotient is rounded half away from zero and its
 * reciprocal correctly, so single elements may differ: of Gaussian weights, fewer than one in a thousand. */
static void compare_encoder(const struct sto_gguf *origin, const char *file, enum sto_type type)
{
    struct sto_gguf *gguf = open_model(file);
    size_t n_differ = 0, n_bytes = 0;

    assert_non_null(gguf);
    for (size_t i = 0; i < sto_gguf_n_tensors(gguf); i++) {
        const struct sto_gguf_tensor *t = sto_gguf_tensor_at(gguf, i);
        if (t->type != type)
            continue;
        float *truth = decoded(origin, same_tensor(origin, t));
        uint8_t *ours = sto_calloc((size_t)t->bytes, 1);
        const uint8_t *theirs = sto_gguf_tensor_data(gguf, t);
        assert_non_null(ours);
        sto_encode(type, truth, ours, n_elements(t));
        for (size_t k = 0; k < t->bytes; k++)
            n_differ += ours[k] != theirs[k];
        n_bytes += (size_t)t->bytes;
        sto_free(ours);
        sto_free(truth);
    }
    print_message("  %s: %zu of %zu bytes differ\n", sto_type_name(type), n_differ, n_bytes);
    assert_true(n_bytes > 100000 && n_differ * 1000 < n_bytes);
    sto_gguf_close(gguf);
}

static void test_encoders(void **state)
{
    struct sto_gguf *origin = open_model("llama-f16");

    (void)state;
    if (origin == NULL)
        skip();
    compare_encoder(origin, "llama-pure-q8_0", STO_TYPE_Q8_0);
    compare_encoder(origin, "llama-pure-q4_0", STO_TYPE_Q4_0);
    sto_gguf_close(origin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_error_levels), cmocka_unit_test(test_whole_files),
                                       cmocka_unit_test(test_encoders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

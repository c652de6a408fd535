/* Known shapes have the parameters and bytes that are published for the models; random blocks have the deviation asked
 * for in every format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/shape.h"
#include "runtime/formats/formats.h"

/* Parameters as the models' cards on Hugging Face count them, tied embeddings once; bytes of all tensors as
 * llama-bench's documentation shows them for its example file (Qwen2.5-7B Q4_K_M). */
static void shapes_are_those_of_the_models(void **state)
{
    static const struct {
        const char *spec;
        uint64_t parameters, bytes; /* bytes 0: nobody publishes them */
    } known[] = {
        {"7b:q4_k_m", 7615616512u, 4677120000u},
        {"8b:q4_k_m", 8190735360u, 0},
        {"qwen3-0.6b:Q8_0", 596049920u, 0},
        {"llama3-8b:q8_0", 8030261248u, 0},
        {"llama2-7b:f16", 6738415616u, 0},
        {"1b:q4_0", 1235814400u, 0},
        {"mistral-7b:q4_0", 7248023552u, 0},
        {"14b:q4_0", 14768307200u, 0},
        {"32b:q4_0", 32762123264u, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct sto_model *m = NULL;
        struct sto_error err = {0};
        uint64_t parameters = 0, bytes = 0;
        if (sto_shape_open(known[i].spec, 0, &m, &err) != STO_OK)
            fail_msg("%s", err.message);
        for (uint32_t w = 0; w < m->n_weights; w++) {
            parameters += (uint64_t)m->weights[w].rows * m->weights[w].cols;
            bytes += m->weights[w].bytes;
        }
        if (parameters != known[i].parameters || (known[i].bytes != 0 && bytes != known[i].bytes))
            fail_msg("%s: %llu parameters in %llu bytes", known[i].spec, (unsigned long long)parameters,
                     (unsigned long long)bytes);
        sto_model_close(m);
    }
}

static void what_is_no_shape_is_refused(void **state)
{
    static const char *const bad[] = {"",      "8b",       "8b:",        ":q4_0",       "9b:q4_0",
                                      "8b:q4", "8B:q4_0x", "8b:q4_0:q8", "8b :q4_0", "qwen3:q4_0"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sto_model *m = NULL;
        struct sto_error err = {0};
        if (sto_shape_open(bad[i], 0, &m, &err) != STO_ERR_USAGE)
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(err.message, "qwen3-8b or 8b"));
        assert_non_null(strstr(err.message, "Q4_K_M"));
        assert_null(strchr(err.message, '\n'));
    }
}

static void random_blocks_have_mean_0_and_the_deviation_asked_for(void **state)
{
    enum { N_BLOCKS = 4096 };
    (void)state;
    for (int t = 0; t < STO_TYPE_COUNT; t++) {
        const enum sto_type type = (enum sto_type)t;
        const float deviation = t % 2 == 0 ? 0.02f : 0.3f;
        const struct sto_random_block block = sto_random_block_make(type, deviation);
        const size_t n = (size_t)N_BLOCKS * sto_type_get(type)->block_elems;
        uint8_t *bytes = malloc((size_t)N_BLOCKS * block.block_bytes);
        float *values = malloc(n * sizeof *values);
        double sum = 0.0, squares = 0.0;
        assert_true(bytes != NULL && values != NULL);
        sto_random_bytes(&block, 0x123456789abcdefu, 0, bytes, (size_t)N_BLOCKS * block.block_bytes);
        if (block.block_bytes == sto_type_get(type)->block_bytes || sto_type_get(type)->block_elems == 1)
            sto_decode(type, bytes, values, (size_t)N_BLOCKS * block.block_bytes / sto_type_get(type)->block_bytes *
                                                sto_type_get(type)->block_elems);
        for (size_t i = 0; i < n; i++) {
            assert_true(isfinite(values[i]));
            sum += (double)values[i];
            squares += (double)values[i] * (double)values[i];
        }
        const double got = sqrt(squares / (double)n) / (double)deviation;
        const double slack = type == STO_TYPE_MXFP4 ? 0.5 : sto_type_get(type)->block_elems == 1 ? 0.15 : 0.02;
        const double mean = sum / (double)n / (double)deviation;
        if (fabs(got - 1.0) > slack || fabs(mean) > 6.0 / sqrt((double)N_BLOCKS))
            fail_msg("%s: deviation %.4f and mean %.4f of what was asked for", sto_type_name(type), got, mean);
        free(bytes);
        free(values);
    }
}

static void bytes_do_not_depend_on_where_reading_begins(void **state)
{
    uint8_t whole[1000], part[600];
    const struct sto_random_block block = sto_random_block_make(STO_TYPE_Q6_K, 1.0f);
    (void)state;
    sto_random_bytes(&block, 3, 0, whole, sizeof whole);
    for (uint64_t first = 0; first < 400; first += 16) {
        sto_random_bytes(&block, 3, first, part, sizeof part);
        assert_memory_equal(part, whole + first, sizeof part);
    }
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof whole; i++) {
        for (unsigned b = 0; b < 8; b++)
            bits += whole[i] >> b & 1;
    }
    assert_true(bits > 3700 && bits < 4300); /* of 8000 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_those_of_the_models),
        cmocka_unit_test(what_is_no_shape_is_refused),
        cmocka_unit_test(random_blocks_have_mean_0_and_the_deviation_asked_for),
        cmocka_unit_test(bytes_do_not_depend_on_where_reading_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

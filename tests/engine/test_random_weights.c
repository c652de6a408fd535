/* Models without a file: weights that a kernel makes are the ones the host would read, and compute the same as a file
 * of them does in the double-precision reference; a synthetic context is one that attention sees. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "models/shape.h"
#include "runtime/engine.h"
#include "runtime/formats/formats.h"
#include "tests/engine/support.h"
#include "tests/reference/ref_compare.h"
#include "tests/reference/ref_model.h"
#include "tests/support/gguf_write.h"

enum { N_TOKENS = 9 };
static const uint32_t tokens[N_TOKENS] = {1, 500, 37, 255, 0, 511, 37, 2, 90};
static struct sto_test_device device;

static struct sto_model *open_shape(const char *spec, uint64_t seed)
{
    struct sto_model *model = NULL;
    struct sto_error err = {0};
    if (sto_shape_open(spec, seed, &model, &err) != STO_OK)
        fail_msg("%s", err.message);
    return model;
}

/* Logits [N_TOKENS, n_vocab] with float products and a cache of f32, after `depth` synthetic tokens. */
static float *shape_logits(const char *spec, uint64_t seed, uint32_t depth, uint64_t kv_seed, enum sto_type kv_type)
{
    const struct sto_engine_params params = {.ctx_tokens = 700, .kv_type = kv_type, .kv_type_set = true,
                                             .math = STO_MATH_EXACT};
    struct sto_model *model = open_shape(spec, seed);
    struct sto_engine *engine = NULL;
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    float *logits = malloc(N_TOKENS * sto_model_n_vocab(model) * sizeof *logits);
    assert_non_null(logits);
    enum sto_status status = sto_engine_create(device.device, model, &params, NULL, &engine, &err);
    if (status == STO_OK)
        status = sto_session_create(engine, &session, &err);
    if (status == STO_OK && depth > 0)
        status = sto_session_make_synthetic(session, depth, kv_seed, &err);
    if (status == STO_OK)
        status = sto_session_eval(session, tokens, N_TOKENS, STO_LOGITS_ALL, logits, &err);
    if (status != STO_OK)
        fail_msg("%s: %s", spec, err.message);
    assert_int_equal(sto_session_length(session), depth + N_TOKENS);
    sto_session_destroy(session);
    sto_engine_destroy(engine);
    sto_model_close(model);
    return logits;
}

/* A file with the weights that the model reads on the host. */
static void write_file(const struct sto_model *m, const char *path)
{
    struct sto_gguf_builder b;
    struct sto_error err = {0};
    sto_builder_init(&b, 3, 32);
    sto_put_string(&b, "general.architecture", m->arch);
    sto_put_u32(&b, "qwen3.block_count", m->h.n_layers);
    sto_put_u32(&b, "qwen3.context_length", m->h.n_ctx_train);
    sto_put_u32(&b, "qwen3.embedding_length", m->h.n_embd);
    sto_put_u32(&b, "qwen3.feed_forward_length", m->h.n_ff);
    sto_put_u32(&b, "qwen3.attention.head_count", m->h.n_heads);
    sto_put_u32(&b, "qwen3.attention.head_count_kv", m->h.n_kv_heads);
    sto_put_u32(&b, "qwen3.attention.key_length", m->h.head_dim);
    sto_put_u32(&b, "qwen3.attention.value_length", m->h.head_dim);
    sto_put_f32(&b, "qwen3.rope.freq_base", 1e6f);
    sto_put_f32(&b, "qwen3.attention.layer_norm_rms_epsilon", m->h.norm_eps);
    for (uint32_t i = 0; i < m->n_weights; i++) {
        const struct sto_model_weight *w = &m->weights[i];
        const uint64_t dims[] = {w->cols, w->rows};
        uint8_t *data = malloc((size_t)w->bytes);
        assert_non_null(data);
        assert_int_equal(m->vtable->read_weight(m, w, 0, data, (size_t)w->bytes, &err), STO_OK);
        sto_put_tensor(&b, w->name, w->type, w->rows > 1 ? 2 : 1, dims, data);
        free(data);
    }
    struct sto_bytes bytes = sto_builder_build(&b);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, f), bytes.size);
    assert_int_equal(fclose(f), 0);
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
}

static void a_shape_computes_what_the_reference_does_of_its_weights(void **state)
{
    static const char *const specs[] = {"tiny:q4_k_m", "tiny:q8_0", "tiny:mxfp4", "tiny:bf16", "tiny:iq4_nl",
                                        "tiny:q2_k"};
    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        const char *path = "test_random_weights.gguf";
        struct sto_model *model = open_shape(specs[i], 7);
        struct sto_ref_model *reference = NULL;
        struct sto_error err = {0};
        const size_t n_vocab = sto_model_n_vocab(model);
        double *expected = malloc(N_TOKENS * n_vocab * sizeof *expected);
        assert_non_null(expected);
        write_file(model, path);
        sto_model_close(model);
        if (sto_ref_model_open(path, &reference, &err) != STO_OK ||
            sto_ref_model_logits(reference, tokens, N_TOKENS, expected, &err) != STO_OK)
            fail_msg("%s: %s", specs[i], err.message);
        float *got = shape_logits(specs[i], 7, 0, 0, STO_TYPE_F32);
        const double rel = sto_ref_rel_error(expected, got, N_TOKENS * n_vocab);
        double squares = 0.0;
        for (size_t k = 0; k < N_TOKENS * n_vocab; k++)
            squares += (double)got[k] * (double)got[k];
        const double deviation = sqrt(squares / (double)(N_TOKENS * n_vocab));
        if (rel > 1e-3 || deviation < 0.75 || deviation > 3.0)
            fail_msg("%s: relative error %g, logits of deviation %g", specs[i], rel, deviation);
        free(got);
        free(expected);
        sto_ref_model_close(reference);
        (void)remove(path);
    }
}

static void a_seed_is_a_model(void **state)
{
    (void)state;
    float *a = shape_logits("tiny:q4_0", 1, 0, 0, STO_TYPE_F16), *b = shape_logits("tiny:q4_0", 1, 0, 0, STO_TYPE_F16);
    float *c = shape_logits("tiny:q4_0", 2, 0, 0, STO_TYPE_F16);
    assert_memory_equal(a, b, 512 * N_TOKENS * sizeof *a);
    assert_true(sto_ref_rel_error_f32(a, c, 512 * N_TOKENS) > 0.5);
    free(a);
    free(b);
    free(c);
}

static void a_synthetic_context_is_seen(void **state)
{
    static const enum sto_type types[] = {STO_TYPE_F32, STO_TYPE_F16, STO_TYPE_Q8_0, STO_TYPE_Q4_0};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        float *none = shape_logits("tiny:q8_0", 1, 0, 0, types[i]);
        float *some = shape_logits("tiny:q8_0", 1, 300, 5, types[i]);
        float *again = shape_logits("tiny:q8_0", 1, 300, 5, types[i]);
        float *others = shape_logits("tiny:q8_0", 1, 300, 6, types[i]);
        assert_memory_equal(some, again, 512 * N_TOKENS * sizeof *some);
        const double other_depth = sto_ref_rel_error_f32(none, some, 512 * N_TOKENS);
        const double other_seed = sto_ref_rel_error_f32(others, some, 512 * N_TOKENS);
        if (!(other_depth > 0.05 && other_depth < 100.0) || !(other_seed > 0.05 && other_seed < 100.0))
            fail_msg("%s: depth changes logits by %g, the seed by %g", sto_type_name(types[i]), other_depth,
                     other_seed);
        free(none);
        free(some);
        free(again);
        free(others);
    }
}

static int open_device(void **state)
{
    (void)state;
    sto_test_device_open(&device, NULL);
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    sto_test_device_close(&device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shape_computes_what_the_reference_does_of_its_weights),
        cmocka_unit_test(a_seed_is_a_model),
        cmocka_unit_test(a_synthetic_context_is_seen),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

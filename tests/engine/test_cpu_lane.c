/* Models with all layers on the processor, without any device, against an independent implementation: every family and
 * weight format of the reference data, on each level of instructions that this processor has, within the bounds of
 * ../shared/reference/README.md; whole and in batches of 1 and 7, to the bit; with every KV format. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "runtime/cpu/kernels.h"
#include "tests/engine/support.h"
#include "tests/reference/ref_compare.h"
#include "tests/support/expected.h"

static const char *const families[] = {"llama",   "llama3-ropefreqs", "llama-yarn", "llama-linear",
                                       "mistral", "qwen2",            "qwen3",      "llama-long"};
static const char *const formats[] = {
    "llama-bf16",        "llama-f16",         "llama-mxfp4",       "llama-pure-iq4_nl", "llama-pure-iq4_xs",
    "llama-pure-q2_k",   "llama-pure-q3_k_s", "llama-pure-q4_0",   "llama-pure-q4_1",   "llama-pure-q4_k_s",
    "llama-pure-q5_0",   "llama-pure-q5_1",   "llama-pure-q5_k_s", "llama-pure-q6_k",   "llama-pure-q8_0",
    "qwen3-iq4_xs",      "qwen3-mxfp4",       "qwen3-q2_k",        "qwen3-q3_k_m",      "qwen3-q4_k_m",
};

static const struct {
    enum sto_type type;
    double bound; /* added to that of float32 arithmetic */
} kvs[] = {{STO_TYPE_F16, 0}, {STO_TYPE_Q8_0, 2e-2}, {STO_TYPE_Q4_0, 2e-1}};

struct model_case {
    char name[96];
    const char *folder, *model, *level;
};

static struct sto_test_device nothing; /* no device */

static void check(const struct model_case *c, const struct sto_expected *e, const float *got, double bound,
                  const char *what)
{
    const double rel = sto_ref_rel_error_f32(e->logits, got, e->n_tokens * e->n_vocab);
    if (getenv("STRATO_VERBOSE") != NULL)
        printf("  %-40s %-8s rel %.2e of %.0e\n", c->name, what, rel, bound);
    if (!(rel <= bound))
        fail_msg("%s, %s: relative error %.3e, bound %.1e", c->name, what, rel, bound);
}

/* Batches of every size give the same bits. */
static void check_math(const struct model_case *c, const char *path, const struct sto_expected *e,
                       enum sto_math math, double bound, const char *what)
{
    static const uint32_t batches[] = {1, 7};
    struct sto_engine_params params = {.kv_type = STO_TYPE_F32, .kv_type_set = true, .math = math,
                                       .cpu_level = c->level, .n_threads = 3};
    float *whole = sto_test_logits(&nothing, path, &params, e->tokens, e->n_tokens);
    check(c, e, whole, bound, what);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        params.ubatch_tokens = batches[i];
        float *got = sto_test_logits(&nothing, path, &params, e->tokens, e->n_tokens);
        const int same = memcmp(got, whole, e->n_tokens * e->n_vocab * sizeof *got);
        free(got);
        if (same != 0)
            fail_msg("%s, %s: other bits in batches of %u", c->name, what, batches[i]);
    }
    free(whole);
}

static void check_kv(const struct model_case *c, const char *path, const struct sto_expected *e)
{
    for (size_t i = 0; i < sizeof kvs / sizeof *kvs; i++) {
        const struct sto_engine_params params = {.ubatch_tokens = 9, .kv_type = kvs[i].type, .kv_type_set = true,
                                                 .math = STO_MATH_EXACT, .cpu_level = c->level};
        float *got = sto_test_logits(&nothing, path, &params, e->tokens, e->n_tokens);
        check(c, e, got, 1e-3 + kvs[i].bound, sto_type_name(kvs[i].type));
        free(got);
    }
}

static void check_model(void **state)
{
    const struct model_case *c = *state;
    struct sto_expected e = {0};
    char path[1024], why[256] = "";
    if (!sto_test_model_path(c->folder, c->model, path, sizeof path))
        skip();
    if (!sto_expected_load(&e, c->folder, c->model, why, sizeof why))
        fail_msg("%s: %s", c->name, why);
    check_math(c, path, &e, STO_MATH_EXACT, 1e-3, "exact");
    if (strcmp(c->folder, "formats") == 0)
        check_math(c, path, &e, STO_MATH_AUTO, 3e-2, "8 bits");
    else
        check_kv(c, path, &e);
    sto_expected_free(&e);
}

int main(void)
{
    enum { N_FAMILIES = sizeof families / sizeof families[0], N_FORMATS = sizeof formats / sizeof formats[0] };
    static struct model_case cases[(N_FAMILIES + N_FORMATS) * STO_CPU_LEVEL_COUNT];
    static struct CMUnitTest tests[(N_FAMILIES + N_FORMATS) * STO_CPU_LEVEL_COUNT];
    size_t n = 0;
    for (int l = 0; l < STO_CPU_LEVEL_COUNT; l++) {
        const struct sto_cpu_kernels *kernels = sto_cpu_kernels_of((enum sto_cpu_level)l);
        for (size_t i = 0; kernels != NULL && i < N_FAMILIES + N_FORMATS; i++, n++) {
            struct model_case *c = &cases[n];
            c->folder = i < N_FAMILIES ? "families" : "formats";
            c->model = i < N_FAMILIES ? families[i] : formats[i - N_FAMILIES];
            c->level = kernels->name;
            (void)snprintf(c->name, sizeof c->name, "%s/%s %s", c->folder, c->model, c->level);
            tests[n] = (struct CMUnitTest){.name = c->name, .test_func = check_model, .initial_state = c};
        }
    }
    return _cmocka_run_group_tests("cpu_lane", tests, n, NULL, NULL);
}

/* Logits against an independent implementation: every family and every weight format of the reference data, evaluated
 * whole and in batches of 1 and 7, on each precision path with the bound of that path (../shared/reference/README.md).
 *
 * One cmocka test per model and path. The program is run several times with other subgroup sizes. Families are made by
 * a script of the reference data into the folder STRATO_FAMILIES. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "runtime/vk/device.h"
#include "tests/reference/ref_compare.h"
#include "tests/engine/support.h"
#include "tests/support/expected.h"

enum { PATH_F32, PATH_F16, PATH_Q8, PATH_COUNT };

static const struct {
    const char *name;
    enum sto_math math;
    bool no_f16;
    double bound; /* on the relative error over a whole file, dense models */
} paths[PATH_COUNT] = {
    [PATH_F32] = {"f32", STO_MATH_EXACT, true, 1e-3},
    [PATH_F16] = {"f16", STO_MATH_F16, false, 6e-3},
    [PATH_Q8] = {"q8", STO_MATH_INT8, false, 3e-2},
};

static const struct {
    enum sto_type type;
    double bound; /* added to the path's */
} kvs[] = {{STO_TYPE_F32, 0}, {STO_TYPE_F16, 0}, {STO_TYPE_Q8_0, 2e-2}, {STO_TYPE_Q4_0, 2e-1}};

static const char *const families[] = {"llama",  "llama3-ropefreqs", "llama-yarn", "llama-linear",
                                       "mistral", "qwen2",           "qwen3",      "llama-long"};
static const char *const formats[] = {
    "llama-bf16",        "llama-f16",         "llama-mxfp4",       "llama-pure-iq4_nl", "llama-pure-iq4_xs",
    "llama-pure-q2_k",   "llama-pure-q3_k_s", "llama-pure-q4_0",   "llama-pure-q4_1",   "llama-pure-q4_k_s",
    "llama-pure-q5_0",   "llama-pure-q5_1",   "llama-pure-q5_k_s", "llama-pure-q6_k",   "llama-pure-q8_0",
    "qwen3-iq4_xs",      "qwen3-mxfp4",       "qwen3-q2_k",        "qwen3-q3_k_m",      "qwen3-q4_k_m",
};

struct model_case {
    char name[96]; /* shown: "formats/llama-pure-q4_0 f16" */
    const char *folder, *model;
    int path;
};

static struct sto_test_device devices[PATH_COUNT];

static void check_batches(const struct model_case *c, const char *path, const struct sto_expected *e)
{
    static const uint32_t batches[] = {0, 1, 7};
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        const struct sto_engine_params params = {.ubatch_tokens = batches[i],
                                                 .kv_type = STO_TYPE_F32,
                                                 .kv_type_set = true,
                                                 .math = paths[c->path].math};
        float *got = sto_test_logits(&devices[c->path], path, &params, e->tokens, e->n_tokens);
        const double rel = sto_ref_rel_error_f32(e->logits, got, e->n_tokens * e->n_vocab);
        free(got);
        if (getenv("STRATO_VERBOSE") != NULL)
            printf("  %-36s batch %-3u rel %.2e of %.0e\n", c->name, batches[i], rel, paths[c->path].bound);
        if (!(rel <= paths[c->path].bound))
            fail_msg("%s, batch %u: relative error %.3e, bound %.1e", c->name, batches[i], rel, paths[c->path].bound);
    }
}

static void check_kv(const struct model_case *c, const char *path, const struct sto_expected *e)
{
    for (size_t i = 1; i < sizeof kvs / sizeof kvs[0]; i++) {
        const struct sto_engine_params params = {.ubatch_tokens = 9, .kv_type = kvs[i].type, .kv_type_set = true,
                                                 .math = paths[c->path].math};
        const double bound = paths[PATH_F32].bound + kvs[i].bound;
        float *got = sto_test_logits(&devices[c->path], path, &params, e->tokens, e->n_tokens);
        const double rel = sto_ref_rel_error_f32(e->logits, got, e->n_tokens * e->n_vocab);
        free(got);
        if (getenv("STRATO_VERBOSE") != NULL)
            printf("  %-36s KV %-5s rel %.2e of %.0e\n", c->name, sto_type_name(kvs[i].type), rel, bound);
        if (!(rel <= bound))
            fail_msg("%s, KV %s: relative error %.3e, bound %.1e", c->name, sto_type_name(kvs[i].type), rel, bound);
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
    check_batches(c, path, &e);
    if (strcmp(c->folder, "families") == 0 && c->path == PATH_F32)
        check_kv(c, path, &e);
    sto_expected_free(&e);
}

static int open_devices(void **state)
{
    (void)state;
    for (int p = 0; p < PATH_COUNT; p++) {
        const struct sto_device_params params = {.no_f16 = paths[p].no_f16};
        sto_test_device_open(&devices[p], &params);
    }
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    for (int p = 0; p < PATH_COUNT; p++)
        sto_test_device_close(&devices[p]);
    return 0;
}

int main(void)
{
    enum { N_FAMILIES = sizeof families / sizeof families[0], N_FORMATS = sizeof formats / sizeof formats[0] };
    static struct model_case cases[(N_FAMILIES + N_FORMATS) * PATH_COUNT];
    static struct CMUnitTest tests[(N_FAMILIES + N_FORMATS) * PATH_COUNT];
    size_t n = 0;
    for (size_t i = 0; i < N_FAMILIES + N_FORMATS; i++) {
        const bool family = i < N_FAMILIES;
        for (int p = 0; p < PATH_COUNT; p++) {
            struct model_case *c = &cases[n];
            if (family && p == PATH_Q8)
                continue; /* F32 weights have no 8-bit path */
            c->folder = family ? "families" : "formats";
            c->model = family ? families[i] : formats[i - N_FAMILIES];
            c->path = p;
            (void)snprintf(c->name, sizeof c->name, "%s/%s %s", c->folder, c->model, paths[p].name);
            tests[n] = (struct CMUnitTest){.name = c->name, .test_func = check_model, .initial_state = c};
            n++;
        }
    }
    return _cmocka_run_group_tests("logits", tests, n, open_devices, close_devices);
}

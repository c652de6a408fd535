/* The reference forward pass against the reference data: logits of an independent implementation for every model of its
 * families, and the stories and costs per token of small trained models. */
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/formats/formats.h"
#include "tests/reference/ref_compare.h"
#include "tests/reference/ref_model.h"
#include "tests/reference/ref_ops.h"
#include "tests/support/expected.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One model of the reference data: the file at `path`, expectations FOLDER/expected/NAME. The bound is 1e-5: expected
 * logits were computed in float32, whose own error was measured at 6e-6. */
static void check_model(const char *path, const char *folder, const char *name)
{
    struct sto_ref_model *model = NULL;
    struct sto_error err = {.status = STO_OK};
    struct sto_expected e;
    char why[256];

    if (!sto_expected_load(&e, folder, name, why, sizeof why))
        fail_msg("%s", why);
    if (sto_ref_model_open(path, &model, &err) != STO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(sto_ref_model_n_vocab(model), e.n_vocab);
    double *logits = sto_calloc(e.n_tokens * e.n_vocab, sizeof *logits);
    assert_non_null(logits);
    if (sto_ref_model_logits(model, e.tokens, e.n_tokens, logits, &err) != STO_OK)
        fail_msg("%s", err.message);
    const double rel = sto_ref_rel_error(logits, e.logits, e.n_tokens * e.n_vocab);
    print_message("  %-24s rel %.2g\n", name, rel);
    assert_true(rel <= 1e-5);
    for (size_t s = 0; s < e.n_greedy; s++) {
        const size_t best = sto_ref_argmax(logits + (e.n_prompt + s - 1) * e.n_vocab, e.n_vocab);
        assert_true(best == e.greedy[s] || e.margin[s] < 1e-4);
    }
    sto_free(logits);
    sto_ref_model_close(model);
    sto_expected_free(&e);
}

static void test_models_by_format(void **state)
{
    static const char *const names[] = {
        "llama-f16",       "llama-bf16",        "llama-mxfp4",       "llama-pure-iq4_nl", "llama-pure-iq4_xs",
        "llama-pure-q2_k", "llama-pure-q3_k_s", "llama-pure-q4_0",   "llama-pure-q4_1",   "llama-pure-q4_k_s",
        "llama-pure-q5_0", "llama-pure-q5_1",   "llama-pure-q5_k_s", "llama-pure-q6_k",   "llama-pure-q8_0",
        "qwen3-iq4_xs",    "qwen3-mxfp4",       "qwen3-q2_k",        "qwen3-q3_k_m",      "qwen3-q4_k_m"};
    char path[4096];

    (void)state;
    if (!sto_reference_path(path, sizeof path, "formats", names[0], ".gguf"))
        skip();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_true(sto_reference_path(path, sizeof path, "formats", names[i], ".gguf"));
        check_model(path, "formats", names[i]);
    }
}

/* The families are written by scripts of the reference data, into the folder the test runs in. */
static void test_models_by_family(void **state)
{
    static const struct {
        const char *script, *names;
    } scripts[] = {{"make_tiny", "llama llama3-ropefreqs llama-yarn llama-linear mistral qwen2 qwen3"},
                   {"make_more", "llama-long"}};
    char path[4096], line[8192], name[64];
    const char *folder = "reference-families";

    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        if (!sto_reference_path(path, sizeof path, "families", scripts[i].script, ".py"))
            skip();
        snprintf(line, sizeof line, "mkdir -p %s && /usr/bin/python3 '%s' %s %s >/dev/null", folder, path, folder,
                 scripts[i].names);
        if (system(line) != 0)
            fail_msg("cannot make the models: %s (needs python3-numpy)", line);
        for (const char *p = scripts[i].names; *p != '\0'; p += *p == ' ') {
            const size_t n = strcspn(p, " ");
            snprintf(name, sizeof name, "%.*s", (int)n, p);
            snprintf(path, sizeof path, "%s/%s.gguf", folder, name);
            check_model(path, "families", name);
            remove(path);
            p += n;
        }
    }
}

static void test_model_errors(void **state)
{
    struct sto_ref_model *model = NULL;
    struct sto_error err = {.status = STO_OK};
    char path[4096];
    double logits[1];
    const uint32_t token = UINT32_MAX;

    (void)state;
    assert_int_not_equal(sto_ref_model_open("no-such-file.gguf", &model, &err), STO_OK);
    assert_non_null(strstr(err.message, "no-such-file.gguf"));
    sto_ref_model_close(NULL);
    if (!sto_reference_path(path, sizeof path, "formats", "gpt-oss-q4_k_m", ".gguf"))
        skip();
    assert_int_equal(sto_ref_model_open(path, &model, &err), STO_ERR_MODEL);
    assert_non_null(strstr(err.message, "gpt-oss"));
    assert_true(sto_reference_path(path, sizeof path, "formats", "llama-f16", ".gguf"));
    assert_int_equal(sto_ref_model_open(path, &model, &err), STO_OK);
    assert_int_equal(sto_ref_model_logits(model, &token, 1, logits, &err), STO_ERR_USAGE);
    sto_ref_model_close(model);
}

/* ---- small trained models -------------------------------------------------------------------------------- */

enum { MAX_TOKENS = 512, MAX_FILE_BYTES = 1 << 24 };

static cJSON *read_json(const char *path)
{
    struct sto_error err = {.status = STO_OK};
    char *text = NULL;
    size_t size = 0;

    if (sto_file_read(path, MAX_FILE_BYTES, &text, &size, &err) != STO_OK)
        fail_msg("%s", err.message);
    cJSON *json = cJSON_ParseWithLength(text, size);
    sto_free(text);
    assert_non_null(json);
    return json;
}

/* Appends an array of ids to list; gives the new length. */
static size_t append(const cJSON *array, uint32_t list[MAX_TOKENS], size_t n)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, array)
    {
        assert_true(n < MAX_TOKENS);
        list[n++] = (uint32_t)item->valuedouble;
    }
    return n;
}

static double *logits_of(const char *model_name, const uint32_t *tokens, size_t n, size_t *n_vocab)
{
    struct sto_error err = {.status = STO_OK};
    struct sto_ref_model *model = NULL;
    char path[4096];

    assert_true(sto_reference_path(path, sizeof path, "models", model_name, ".gguf"));
    if (sto_ref_model_open(path, &model, &err) != STO_OK)
        fail_msg("%s", err.message);
    *n_vocab = sto_ref_model_n_vocab(model);
    double *logits = sto_calloc(n * *n_vocab, sizeof *logits);
    assert_non_null(logits);
    if (sto_ref_model_logits(model, tokens, n, logits, &err) != STO_OK)
        fail_msg("%s", err.message);
    sto_ref_model_close(model);
    return logits;
}

/* Logits of the last prompt position, to 3e-5 (the data's README measured 1.4e-5 against float64), and the best token
 * at each of 200 steps. */
static void check_story(const char *model, const char *kind, int prompt)
{
    uint32_t tokens[MAX_TOKENS];
    char name[64], path[4096];
    size_t n_vocab = 0, size = 0;
    char *bytes = NULL;

    snprintf(name, sizeof name, "%s.%s.p%d", model, kind, prompt);
    assert_true(sto_reference_path(path, sizeof path, "models/golden", name, ".json"));
    cJSON *json = read_json(path);
    const size_t n_prompt = append(cJSON_GetObjectItemCaseSensitive(json, "prompt_ids"), tokens, 0);
    const size_t n = append(cJSON_GetObjectItemCaseSensitive(json, "greedy_ids"), tokens, n_prompt);
    cJSON_Delete(json);
    double *logits = logits_of(model, tokens, n, &n_vocab);
    assert_true(sto_reference_path(path, sizeof path, "models/golden", name, ".logits.f32"));
    assert_int_equal(sto_file_read(path, MAX_FILE_BYTES, &bytes, &size, NULL), STO_OK);
    assert_int_equal(size, n_vocab * 4);
    float *expected = sto_calloc(n_vocab, sizeof *expected);
    assert_non_null(expected);
    sto_decode(STO_TYPE_F32, bytes, expected, n_vocab);
    assert_true(sto_ref_max_abs_diff(logits + (n_prompt - 1) * n_vocab, expected, n_vocab) <= 3e-5);
    for (size_t i = n_prompt; i < n; i++)
        if (sto_ref_argmax(logits + (i - 1) * n_vocab, n_vocab) != tokens[i])
            fail_msg("%s: another token at step %zu", name, i - n_prompt);
    sto_free(expected);
    sto_free(bytes);
    sto_free(logits);
}

static void test_stories(void **state)
{
    static const struct {
        const char *model, *kind;
        int n_prompts;
    } stories[] = {{"stories260K-f32", "cpu", 4}, {"stories260K-f16", "deq", 4}, {"stories260K-q80", "deq", 4},
                   {"stories3M-f32", "cpu", 1},   {"stories3M-q40", "deq", 1},   {"stories3M-q50", "deq", 1},
                   {"stories3M-q80", "deq", 1},   {"stories3M-iq4nl", "deq", 1}, {"stories3M-q4km", "deq", 1},
                   {"stories3M-q6k", "deq", 1}};
    char path[4096];

    (void)state;
    if (!sto_reference_path(path, sizeof path, "models", stories[0].model, ".gguf"))
        skip();
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++)
        for (int prompt = 1; prompt <= stories[i].n_prompts; prompt++)
            check_story(stories[i].model, stories[i].kind, prompt);
}

/* -log softmax(row)[token] */
static double cost(double *row, size_t n_vocab, uint32_t token)
{
    sto_ref_softmax(row, n_vocab);
    return -log(row[token]);
}

/* The expected costs are of expanded weights. Of stories3M a plain and a mixed file are enough: each costs seconds. */
static bool costs_wanted(const char *model, const char *kind)
{
    if (strncmp(model, "stories3M", 9) == 0 && strcmp(model, "stories3M-f32") != 0 &&
        strcmp(model, "stories3M-q4km") != 0)
        return false;
    return strcmp(kind, "deq") == 0 || strstr(model, "f32") != NULL;
}

/* Costs per token of one text; gives how many models were checked. */
static size_t check_costs(const cJSON *text)
{
    const cJSON *tokens_by_size = cJSON_GetObjectItemCaseSensitive(text, "tokens"), *result;
    uint32_t tokens[MAX_TOKENS];
    size_t n_checked = 0;

    cJSON_ArrayForEach(result, cJSON_GetObjectItemCaseSensitive(text, "results"))
    {
        const cJSON *nll = cJSON_GetObjectItemCaseSensitive(result, "nll");
        char model[64];
        size_t n_vocab = 0;
        snprintf(model, sizeof model, "%s", result->string);
        char *dot = strchr(model, '.');
        assert_non_null(dot);
        *dot = '\0';
        if (!costs_wanted(model, dot + 1))
            continue;
        const size_t n = append(tokens_by_size->child, tokens, 0);
        double *logits = logits_of(model, tokens, n, &n_vocab), worst = 0;
        assert_int_equal(cJSON_GetArraySize(nll), n - 1);
        for (size_t i = 0; i + 1 < n; i++) {
            const double expected = cJSON_GetArrayItem(nll, (int)i)->valuedouble;
            worst = fmax(worst, fabs(cost(logits + i * n_vocab, n_vocab, tokens[i + 1]) - expected));
        }
        print_message("  %-20s %zu costs, worst difference %.2g\n", model, n - 1, worst);
        assert_true(worst <= 1e-4); /* the data is rounded to about five digits */
        sto_free(logits);
        n_checked++;
    }
    return n_checked;
}

static void test_costs(void **state)
{
    const cJSON *text;
    size_t n_checked = 0;
    char path[4096];

    (void)state;
    if (!sto_reference_path(path, sizeof path, "models", "nll", ".json"))
        skip();
    cJSON *json = read_json(path);
    cJSON_ArrayForEach(text, json) n_checked += check_costs(text);
    assert_int_equal(n_checked, 5);
    cJSON_Delete(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models_by_format),
        cmocka_unit_test(test_models_by_family),
        cmocka_unit_test(test_model_errors),
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

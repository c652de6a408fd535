/* The bundled models against what a float64 forward pass in numpy wrote beside them: ids, greedy tokens, logits.
 *
 *   vectors.json        text -> ids -> greedy ids (with the lead of the first choice), first 16 logits; texts -> ids
 *   vectors-logits.f32  [tokens, n_vocab] all logits of one prompt
 *
 * Everything is read from these files: the models may be trained again. Needs no reference folder. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>
#include <cjson/cJSON.h>

#include "host/generate.h"
#include "host/tokenizer.h"
#include "models/model.h"
#include "tests/engine/support.h"
#include "tests/reference/ref_compare.h"

#define FOLDER STRATO_SOURCE_DIR "/models/demo/"

enum { PATH_F32, PATH_F16, PATH_Q8, PATH_COUNT };

static const struct {
    const char *name;
    enum sto_math math;
    enum sto_type kv;
    bool no_f16;
    double bound; /* on the relative error, ../shared/reference/README.md */
} paths[PATH_COUNT] = {
    [PATH_F32] = {"f32", STO_MATH_EXACT, STO_TYPE_F32, true, 1e-3},
    [PATH_F16] = {"f16", STO_MATH_F16, STO_TYPE_F16, false, 6e-3},
    [PATH_Q8] = {"q8", STO_MATH_INT8, STO_TYPE_F16, false, 3e-2},
};

static struct sto_test_device devices[PATH_COUNT];
static cJSON *vectors;

static char *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("%s: cannot be opened", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    assert_int_equal(fseek(f, 0, SEEK_SET), 0);
    char *data = calloc(*size + 1, 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    (void)fclose(f);
    return data;
}

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (item == NULL)
        fail_msg("vectors.json: '%s' is missing", key);
    return item;
}

static uint32_t *get_ids(const cJSON *object, const char *key, size_t *n)
{
    const cJSON *array = get(object, key), *item;
    uint32_t *ids = calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof *ids);
    assert_non_null(ids);
    *n = 0;
    cJSON_ArrayForEach(item, array) ids[(*n)++] = (uint32_t)item->valuedouble;
    return ids;
}

/* ---- logits ---- */

static struct sto_engine_params params_of(int path)
{
    return (struct sto_engine_params){.math = paths[path].math, .kv_type = paths[path].kv, .kv_type_set = true};
}

/* Largest difference of a logit on this path, for telling near-ties. */
static double check_full_logits(int path)
{
    const cJSON *full = get(vectors, "full_logits");
    char file[1024], model[1024];
    size_t n, bytes;
    uint32_t *ids = get_ids(full, "ids", &n);
    const struct sto_engine_params params = params_of(path);
    (void)snprintf(file, sizeof file, "%s%s", FOLDER, get(full, "file")->valuestring);
    (void)snprintf(model, sizeof model, "%s%s", FOLDER, get(full, "model")->valuestring);
    char *data = read_all(file, &bytes);
    const size_t total = bytes / sizeof(float);
    const double n_vocab = cJSON_GetArrayItem(get(full, "shape"), 1)->valuedouble;
    assert_true((double)total == (double)n * n_vocab);
    float *expected = malloc(bytes);
    assert_non_null(expected);
    memcpy(expected, data, bytes);
    float *got = sto_test_logits(&devices[path], model, &params, ids, n);
    const double rel = sto_ref_rel_error_f32(expected, got, total);
    const double worst = sto_ref_max_abs_diff_f32(expected, got, total);
    free(data);
    free(expected);
    free(got);
    free(ids);
    if (!(rel <= paths[path].bound))
        fail_msg("relative error %.3e, bound %.1e", rel, paths[path].bound);
    return worst;
}

static void all_logits_are_within_the_bound(void **state)
{
    (void)check_full_logits(*(int *)*state);
}

/* ---- greedy tokens ---- */

struct engine {
    struct sto_model *model;
    struct sto_engine *engine;
    struct sto_generator *generator;
};

static void open_engine(struct engine *e, const char *name, int path)
{
    const struct sto_engine_params params = params_of(path);
    struct sto_error err = {0};
    char file[1024];
    (void)snprintf(file, sizeof file, "%s%s", FOLDER, name);
    *e = (struct engine){0};
    if (sto_model_open(file, NULL, NULL, &e->model, &err) != STO_OK ||
        sto_engine_create(devices[path].device, e->model, &params, NULL, &e->engine, &err) != STO_OK ||
        sto_generator_create(e->engine, &e->generator, &err) != STO_OK)
        fail_msg("%s", err.message);
}

static void close_engine(struct engine *e)
{
    sto_generator_destroy(e->generator);
    sto_engine_destroy(e->engine);
    sto_model_close(e->model);
}

/* Generates from the text and compares with the vector up to the first near-tie; gives the steps compared. */
static size_t check_row(struct engine *e, const cJSON *row, double tie)
{
    size_t n_ids, n_greedy, compared = 0;
    uint32_t *ids = get_ids(row, "ids", &n_ids), *greedy = get_ids(row, "greedy", &n_greedy);
    const char *text = get(row, "text")->valuestring;
    struct sto_generate_params p;
    struct sto_generate_result result;
    struct sto_error err = {0};
    sto_generate_defaults(&p);
    p.prompt = text;
    p.raw = !cJSON_IsTrue(get(row, "chat"));
    p.max_tokens = (uint32_t)n_greedy;
    p.sampling.temperature = 0.0f;
    if (sto_generate(e->generator, &p, &result, &err) != STO_OK)
        fail_msg("'%s': %s", text, err.message);
    assert_int_equal(result.n_prompt_tokens, n_ids);
    assert_memory_equal(result.prompt_tokens, ids, n_ids * sizeof *ids);
    while (compared < n_greedy) {
        const double margin = cJSON_GetArrayItem(get(row, "margins"), (int)compared)->valuedouble;
        if (margin < tie)
            break;
        if (compared >= result.n_tokens || result.tokens[compared] != greedy[compared])
            fail_msg("'%s': step %zu differs though its margin is %g (near-ties end at %g)", text, compared, margin,
                     tie);
        compared++;
    }
    if (compared == n_greedy) {
        assert_int_equal(result.n_tokens, n_greedy);
        assert_string_equal(result.text, get(row, "continuation")->valuestring);
    }
    sto_generate_result_free(&result);
    free(ids);
    free(greedy);
    return compared;
}

static void greedy_tokens_are_the_same_up_to_a_near_tie(void **state)
{
    const int path = *(int *)*state;
    const double tie = 3.0 * check_full_logits(path);
    const cJSON *model, *row;
    size_t compared = 0, total = 0;
    cJSON_ArrayForEach(model, get(vectors, "models"))
    {
        struct engine e;
        open_engine(&e, model->string, path);
        cJSON_ArrayForEach(row, model)
        {
            compared += check_row(&e, row, tie);
            total += (size_t)cJSON_GetArraySize(get(row, "greedy"));
        }
        close_engine(&e);
    }
    print_message("%s: %zu of %zu greedy steps compared, near-ties end at %.3g\n", paths[path].name, compared, total,
                  tie);
    assert_true(compared > 0);
}

/* The last position's first logits of one prompt; gives how many. */
static size_t take_first_logits(const cJSON *row, const char *file, int path, size_t n_vocab, float *expected,
                                float *got)
{
    const struct sto_engine_params params = params_of(path);
    const cJSON *value;
    size_t n, count = 0;
    uint32_t *ids = get_ids(row, "ids", &n);
    float *logits = sto_test_logits(&devices[path], file, &params, ids, n);
    cJSON_ArrayForEach(value, get(row, "logits"))
    {
        got[count] = logits[(n - 1) * n_vocab + count];
        expected[count++] = (float)value->valuedouble;
    }
    free(logits);
    free(ids);
    return count;
}

/* Bounds are about a whole file: all prompts of a model count together. */
static void first_logits_are_within_the_bound(void **state)
{
    enum { MOST = 4096 };
    static float expected[MOST], got[MOST];
    const int path = *(int *)*state;
    const cJSON *model, *row;
    cJSON_ArrayForEach(model, get(vectors, "models"))
    {
        char file[1024];
        struct sto_model *m = NULL;
        size_t n = 0;
        (void)snprintf(file, sizeof file, "%s%s", FOLDER, model->string);
        assert_int_equal(sto_model_open(file, NULL, NULL, &m, NULL), STO_OK);
        const size_t n_vocab = sto_model_n_vocab(m);
        sto_model_close(m);
        cJSON_ArrayForEach(row, model)
        {
            assert_true(n + (size_t)cJSON_GetArraySize(get(row, "logits")) <= MOST);
            n += take_first_logits(row, file, path, n_vocab, expected + n, got + n);
        }
        const double rel = sto_ref_rel_error_f32(expected, got, n);
        if (!(n > 0 && rel <= paths[path].bound))
            fail_msg("%s: relative error %.3e over %zu logits, bound %.1e", model->string, rel, n, paths[path].bound);
        print_message("%s %s: relative error %.1e over %zu logits\n", paths[path].name, model->string, rel, n);
    }
}

static size_t best(const float *logits, size_t n)
{
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        at = logits[i] > logits[at] ? i : at;
    return at;
}

/* Steps of a row at which the best token is the vector's, when fed the vector's tokens. */
static size_t count_agreeing(const cJSON *row, const char *file, int path, size_t n_vocab, size_t *steps)
{
    const struct sto_engine_params params = params_of(path);
    size_t n, n_greedy, agreeing = 0;
    uint32_t *ids = get_ids(row, "ids", &n), *greedy = get_ids(row, "greedy", &n_greedy);
    uint32_t *all = calloc(n + n_greedy, sizeof *all);
    assert_non_null(all);
    memcpy(all, ids, n * sizeof *all);
    memcpy(all + n, greedy, n_greedy * sizeof *all);
    float *logits = sto_test_logits(&devices[path], file, &params, all, n + n_greedy);
    for (size_t i = 0; i < n_greedy; i++)
        agreeing += best(logits + (n - 1 + i) * n_vocab, n_vocab) == greedy[i];
    *steps += n_greedy;
    free(logits);
    free(all);
    free(ids);
    free(greedy);
    return agreeing;
}

static void fed_tokens_are_answered_alike(void **state)
{
    const int path = *(int *)*state;
    const cJSON *model, *row;
    size_t agreeing = 0, steps = 0;
    cJSON_ArrayForEach(model, get(vectors, "models"))
    {
        char file[1024];
        struct sto_model *m = NULL;
        (void)snprintf(file, sizeof file, "%s%s", FOLDER, model->string);
        assert_int_equal(sto_model_open(file, NULL, NULL, &m, NULL), STO_OK);
        const size_t n_vocab = sto_model_n_vocab(m);
        sto_model_close(m);
        cJSON_ArrayForEach(row, model) agreeing += count_agreeing(row, file, path, n_vocab, &steps);
    }
    print_message("%s: %zu of %zu steps agree\n", paths[path].name, agreeing, steps);
    assert_true(steps > 0 && agreeing * 100 >= steps * 95);
}

/* ---- tokenizer ---- */

static void texts_become_the_right_ids(void **state)
{
    struct sto_model *model = NULL;
    struct sto_tokenizer *tokenizer = NULL;
    struct sto_error err = {0};
    const cJSON *row;
    (void)state;
    if (sto_model_open(FOLDER "demo.gguf", NULL, NULL, &model, &err) != STO_OK ||
        sto_tokenizer_create(sto_model_get_vocab(model), &tokenizer, &err) != STO_OK)
        fail_msg("%s", err.message);
    cJSON_ArrayForEach(row, get(vectors, "tokenizer"))
    {
        const char *text = get(row, "text")->valuestring;
        const struct sto_tokenize_params how = {.parse_special = cJSON_IsTrue(get(row, "special"))};
        struct sto_tokens got = {0};
        size_t n;
        uint32_t *ids = get_ids(row, "ids", &n);
        /* cJSON ends a string at NUL: the text that is a NUL alone looks empty */
        const size_t size = strlen(text) == 0 && n == 1 ? 1 : strlen(text);
        assert_int_equal(sto_tokenize(tokenizer, text, size, how, &got, &err), STO_OK);
        if (got.n != n || (n > 0 && memcmp(got.ids, ids, n * sizeof *ids) != 0))
            fail_msg("'%s' becomes %zu ids that are not the expected %zu", text, got.n, n);
        sto_tokens_free(&got);
        free(ids);
    }
    sto_tokenizer_destroy(tokenizer);
    sto_model_close(model);
}

static int set_up(void **state)
{
    size_t size;
    (void)state;
    char *text = read_all(FOLDER "vectors.json", &size);
    vectors = cJSON_Parse(text);
    free(text);
    assert_non_null(vectors);
    for (int p = 0; p < PATH_COUNT; p++) {
        const struct sto_device_params params = {.no_f16 = paths[p].no_f16};
        sto_test_device_open(&devices[p], &params);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int p = 0; p < PATH_COUNT; p++)
        sto_test_device_close(&devices[p]);
    cJSON_Delete(vectors);
    return 0;
}

int main(void)
{
    static int index[PATH_COUNT];
    static char names[4 * PATH_COUNT][96];
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } checks[] = {{"all logits", all_logits_are_within_the_bound},
                  {"first logits of each prompt", first_logits_are_within_the_bound},
                  {"greedy tokens", greedy_tokens_are_the_same_up_to_a_near_tie},
                  {"fed tokens", fed_tokens_are_answered_alike}};
    struct CMUnitTest tests[4 * PATH_COUNT + 1];
    size_t n = 0;
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(texts_become_the_right_ids);
    for (int p = 0; p < PATH_COUNT; p++) {
        index[p] = p;
        for (size_t c = 0; c < sizeof checks / sizeof checks[0]; c++) {
            (void)snprintf(names[n - 1], sizeof names[0], "demo %s: %s", paths[p].name, checks[c].name);
            tests[n] = (struct CMUnitTest){.name = names[n - 1], .test_func = checks[c].run,
                                           .initial_state = &index[p]};
            n++;
        }
    }
    return _cmocka_run_group_tests("demo", tests, n, set_up, tear_down);
}

/* The trained story models of the reference data, token for token.
 *
 * Per model file and prompt: greedy decoding, one token at a time through the replayed decode step, must give the
 * golden ids up to the first near-tie (a step whose margin is below 3 times the largest logit difference seen). Fed the
 * golden ids in batches, 95 % or more of all steps must have the golden arg-max. The cost per token of a text must be
 * the reference's. Goldens are those of weights expanded to f32 ("deq", or "cpu" for the F32 files). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <math.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "tests/engine/support.h"
#include "tests/support/expected.h"

enum { N_PROMPTS = 4, N_STEPS = 200 };

static const char *const files[] = {
    "stories3M-f32",  "stories3M-q80", "stories3M-q40",   "stories3M-q50",   "stories3M-iq4nl",
    "stories3M-q4km", "stories3M-q6k", "stories260K-f32", "stories260K-f16", "stories260K-q80",
};

static struct sto_test_device device;
static size_t free_steps, fed_steps, fed_agreed; /* counted over the whole run, printed at the end */

struct golden {
    uint32_t *prompt;
    size_t n_prompt;
    uint32_t ids[N_STEPS];
    double margin[N_STEPS];
    float *logits; /* [n_vocab], after the prompt */
    size_t n_vocab;
};

static bool is_f32(const char *file)
{
    return strstr(file, "-f32") != NULL;
}

static char *read_reference(const char *folder, const char *name, const char *suffix, size_t *size)
{
    char path[1024];
    char *data = NULL;
    struct sto_error err = {0};
    if (!sto_reference_path(path, sizeof path, folder, name, suffix))
        return NULL;
    if (sto_file_read(path, 1 << 26, &data, size, &err) != STO_OK)
        fail_msg("%s", err.message);
    return data;
}

static bool load_golden(const char *file, int prompt, struct golden *g)
{
    char name[128];
    size_t size = 0;
    (void)snprintf(name, sizeof name, "%s.%s.p%d", file, is_f32(file) ? "cpu" : "deq", prompt);
    char *text = read_reference("models/golden", name, ".json", &size);
    if (text == NULL)
        return false;
    cJSON *json = cJSON_ParseWithLength(text, size);
    sto_free(text);
    const cJSON *ids = cJSON_GetObjectItem(json, "prompt_ids");
    const cJSON *greedy = cJSON_GetObjectItem(json, "greedy_ids");
    const cJSON *margin = cJSON_GetObjectItem(json, "margin");
    assert_int_equal(cJSON_GetArraySize(greedy), N_STEPS);
    g->n_prompt = (size_t)cJSON_GetArraySize(ids);
    g->prompt = calloc(g->n_prompt, sizeof *g->prompt);
    for (size_t i = 0; i < g->n_prompt; i++)
        g->prompt[i] = (uint32_t)cJSON_GetArrayItem(ids, (int)i)->valueint;
    for (int i = 0; i < N_STEPS; i++) {
        g->ids[i] = (uint32_t)cJSON_GetArrayItem(greedy, i)->valueint;
        g->margin[i] = cJSON_GetArrayItem(margin, i)->valuedouble;
    }
    cJSON_Delete(json);
    g->logits = (float *)(void *)read_reference("models/golden", name, ".logits.f32", &size);
    g->n_vocab = size / sizeof(float);
    return g->logits != NULL;
}

static void free_golden(struct golden *g)
{
    free(g->prompt);
    sto_free(g->logits);
}

static uint32_t arg_max(const float *v, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        if (v[i] > v[best])
            best = i;
    }
    return (uint32_t)best;
}

struct story {
    const char *file;
    struct sto_model *model;
    struct sto_engine *engine;
    float *logits; /* [N_STEPS, n_vocab] */
    double worst;  /* largest logit difference seen */
};

static struct sto_session *new_session(const struct story *s)
{
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    if (sto_session_create(s->engine, &session, &err) != STO_OK)
        fail_msg("%s", err.message);
    return session;
}

static void eval(const struct story *s, struct sto_session *session, const uint32_t *ids, size_t n,
                 enum sto_logits want)
{
    struct sto_error err = {0};
    if (sto_session_eval(session, ids, n, want, s->logits, &err) != STO_OK)
        fail_msg("%s: %s", s->file, err.message);
}

static void check_free(struct story *s, const struct golden *g, int prompt)
{
    struct sto_session *session = new_session(s);
    eval(s, session, g->prompt, g->n_prompt, STO_LOGITS_LAST);
    for (size_t i = 0; i < g->n_vocab; i++)
        s->worst = fmax(s->worst, fabs((double)s->logits[i] - (double)g->logits[i]));
    for (size_t i = 0; i < N_STEPS; i++) {
        const uint32_t id = arg_max(s->logits, g->n_vocab);
        if (id != g->ids[i] && g->margin[i] >= 3.0 * s->worst)
            fail_msg("%s prompt %d step %zu: token %u, golden %u by a margin of %.4f (logits differ by %.4f)", s->file,
                     prompt, i, id, g->ids[i], g->margin[i], s->worst);
        if (id != g->ids[i])
            break; /* a near-tie fell the other way: from here on the stories may differ */
        free_steps++;
        if (i + 1 < N_STEPS)
            eval(s, session, &id, 1, STO_LOGITS_LAST);
    }
    sto_session_destroy(session);
}

static void check_fed(struct story *s, const struct golden *g)
{
    struct sto_session *session = new_session(s);
    size_t agreed = 0;
    eval(s, session, g->prompt, g->n_prompt, STO_LOGITS_LAST);
    agreed += arg_max(s->logits, g->n_vocab) == g->ids[0];
    eval(s, session, g->ids, N_STEPS - 1, STO_LOGITS_ALL);
    for (size_t i = 0; i + 1 < N_STEPS; i++)
        agreed += arg_max(s->logits + i * g->n_vocab, g->n_vocab) == g->ids[i + 1];
    sto_session_destroy(session);
    fed_steps += N_STEPS;
    fed_agreed += agreed;
    if (agreed < N_STEPS * 95 / 100)
        fail_msg("%s: %zu of %d steps agree when fed the golden tokens", s->file, agreed, N_STEPS);
}

static double cost(const float *logits, size_t n, uint32_t id)
{
    double sum = 0.0;
    const double top = (double)logits[arg_max(logits, n)];
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - top);
    return log(sum) - ((double)logits[id] - top);
}

/* Mean cost within 2e-3 nats, and every single one within what the logits' difference allows. */
static void check_nll(struct story *s)
{
    size_t size = 0;
    char key[128];
    char *text = read_reference("models", "nll", ".json", &size);
    assert_non_null(text);
    cJSON *json = cJSON_ParseWithLength(text, size);
    sto_free(text);
    (void)snprintf(key, sizeof key, "%s.%s", s->file, is_f32(s->file) ? "cpu" : "deq");
    const bool large = strstr(s->file, "3M") != NULL;
    const cJSON *t = cJSON_GetObjectItem(json, large ? "nll-text-1.txt" : "nll-text-2.txt");
    const cJSON *ids = cJSON_GetObjectItem(cJSON_GetObjectItem(t, "tokens"), large ? "stories3M" : "stories260K");
    const cJSON *nll = cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetObjectItem(t, "results"), key), "nll");
    assert_non_null(nll);
    const size_t n = (size_t)cJSON_GetArraySize(ids);
    const size_t n_vocab = sto_model_n_vocab(s->model);
    float *logits = malloc(n * n_vocab * sizeof *logits);
    uint32_t *tokens = malloc(n * sizeof *tokens);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (uint32_t)cJSON_GetArrayItem(ids, (int)i)->valueint;
    struct sto_session *session = new_session(s);
    struct sto_error err = {0};
    assert_int_equal(sto_session_eval(session, tokens, n, STO_LOGITS_ALL, logits, &err), STO_OK);
    double sum = 0.0, expected_sum = 0.0;
    for (size_t i = 0; i + 1 < n; i++) {
        const double expected = cJSON_GetArrayItem(nll, (int)i)->valuedouble;
        const double got = cost(logits + i * n_vocab, n_vocab, tokens[i + 1]);
        sum += got;
        expected_sum += expected;
        if (fabs(got - expected) > 2.0 * s->worst + 5e-4 + 0.01)
            fail_msg("%s: token %zu costs %.5f, reference %.5f", s->file, i + 1, got, expected);
    }
    if (fabs(sum - expected_sum) / (double)(n - 1) > 2e-3)
        fail_msg("%s: mean cost %.5f, reference %.5f", s->file, sum / (double)(n - 1), expected_sum / (double)(n - 1));
    sto_session_destroy(session);
    cJSON_Delete(json);
    free(logits);
    free(tokens);
}

/* All prompts with the driver's own subgroups; one where the test is only about another subgroup size. */
static int prompts_to_tell(void)
{
    const char *width = getenv("LP_NATIVE_VECTOR_WIDTH");
    return width == NULL || strcmp(width, "256") == 0 ? N_PROMPTS : 1;
}

static void check_story(void **state)
{
    struct story s = {.file = *state};
    const struct sto_engine_params params = {.math = STO_MATH_EXACT, .kv_type = STO_TYPE_F32, .kv_type_set = true};
    struct sto_error err = {0};
    char path[1024];
    if (!sto_reference_path(path, sizeof path, "models", s.file, ".gguf"))
        skip();
    if (sto_model_open(path, NULL, NULL, &s.model, &err) != STO_OK ||
        sto_engine_create(device.device, s.model, &params, NULL, &s.engine, &err) != STO_OK)
        fail_msg("%s", err.message);
    s.logits = malloc(N_STEPS * (size_t)sto_model_n_vocab(s.model) * sizeof *s.logits);
    int found = 0;
    for (int p = 1; p <= prompts_to_tell(); p++) {
        struct golden g = {0};
        if (!load_golden(s.file, p, &g))
            continue;
        found++;
        check_free(&s, &g, p);
        check_fed(&s, &g);
        free_golden(&g);
    }
    assert_int_equal(found, prompts_to_tell());
    check_nll(&s);
    free(s.logits);
    sto_engine_destroy(s.engine);
    sto_model_close(s.model);
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
    printf("stories: %zu steps told freely, %zu of %zu fed steps agree\n", free_steps, fed_agreed, fed_steps);
    sto_test_device_close(&device);
    return 0;
}

int main(void)
{
    enum { N = sizeof files / sizeof files[0] };
    static struct CMUnitTest tests[N];
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){
            .name = files[i], .test_func = check_story, .initial_state = (void *)(uintptr_t)files[i]};
    return _cmocka_run_group_tests("stories", tests, N, open_device, close_device);
}

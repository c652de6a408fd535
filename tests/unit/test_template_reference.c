/* Chat templates of real models against the reference vectors, which Jinja2 rendered in the environment of Hugging Face
 * transformers. Skipped where the reference data is absent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/json.h"
#include "host/template.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

enum { MAX_FILE = 64 << 20, NOW_2026_01_15_12_00 = 1768478400 };

static const char *const names[] = {
    "Apriel-1.6-15b-Thinker-fixed",
    "ByteDance-Seed-OSS",
    "CohereForAI-c4ai-command-r-plus-tool_use",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use.2025-02",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
    "GLM-4.6",
    "GLM-4.7-Flash",
    "GigaChat3-10B-A1.8B",
    "GigaChat3.1-10B-A1.8B",
    "Kimi-K2-Instruct",
    "LFM2-8B-A1B",
    "LFM2.5-Instruct",
    "MiMo-VL",
    "MiroThinker",
    "Mistral-Small-3.2-24B-Instruct-2506",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
    "Qwen-QwQ-32B",
    "Qwen-Qwen2.5-7B-Instruct",
    "Qwen-Qwen3-0.6B",
    "Qwen2.5-0.5B-Instruct",
    "Qwen3-Coder",
    "Qwen3-gguf-0.6B",
    "Reka-Edge",
    "StepFun3.5-Flash",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.2025-02",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "deepseek-ai-DeepSeek-V3.1",
    "deepseek-ai-DeepSeek-V4",
    "fireworks-ai-llama-3-firefunction-v2.2025-02",
    "fireworks-ai-llama-3-firefunction-v2",
    "google-gemma-2-2b-it",
    "google-gemma-4-31B-it-interleaved",
    "google-gemma-4-31B-it",
    "ibm-granite-granite-3.3-2B-Instruct",
    "llama-cpp-deepseek-r1.2025-02",
    "llama-cpp-deepseek-r1",
    "llama-cpp-rwkv-world",
    "meetkai-functionary-medium-v3.1.2025-02",
    "meetkai-functionary-medium-v3.1",
    "meetkai-functionary-medium-v3.2",
    "meta-llama-Llama-3.1-8B-Instruct",
    "meta-llama-Llama-3.2-3B-Instruct",
    "microsoft-Phi-3.5-mini-instruct",
    "mistralai-Mistral-Nemo-Instruct-2407",
    "moonshotai-Kimi-K2",
    "openai-gpt-oss-120b",
    "unsloth-Apriel-1.5",
    "unsloth-mistral-Devstral-Small-2507",
};

static struct sto_view token_text(struct sto_value v)
{
    return v.kind == STO_VALUE_TEXT ? sto_value_view(v) : (struct sto_view){NULL, 0};
}

static void show(const char *name, size_t number, const char *what, struct sto_view expected, struct sto_view got)
{
    size_t same = 0;
    while (same < expected.size && same < got.size && expected.data[same] == got.data[same])
        same++;
    const size_t from = same > 60 ? same - 60 : 0;
    fprintf(stderr, "%s, case %zu, %s, from byte %zu:\n  expected %.*s\n  got      %.*s\n", name, number, what, same,
            (int)(expected.size - from < 160 ? expected.size - from : 160), expected.data + from,
            (int)(got.size < from         ? 0
                  : got.size - from < 160 ? got.size - from
                                          : 160),
            got.data + from);
}

static bool is_expected(struct sto_value expected, const struct sto_rendering *r)
{
    const struct sto_view e = sto_value_view(expected);
    return expected.kind == STO_VALUE_TEXT && e.size == r->size && memcmp(e.data, r->text, e.size) == 0;
}

/* Origins are runs that cover the text, none empty, no two alike beside each other. */
static void check_segments(const struct sto_rendering *r)
{
    size_t size = 0;
    for (size_t i = 0; i < r->n_segments; i++) {
        assert_true(r->segments[i].size > 0);
        assert_true(i == 0 || r->segments[i].from_template != r->segments[i - 1].from_template);
        size += r->segments[i].size;
    }
    assert_int_equal(size, r->size);
}

static bool check_case(const char *name, size_t number, const struct sto_template *t, struct sto_value c)
{
    struct sto_rendering r;
    struct sto_error err = {0};
    const struct sto_template_input input = {.messages = sto_value_get(c, "messages"),
                                             .tools = sto_value_get(c, "tools"),
                                             .extra = sto_value_get(c, "kwargs"),
                                             .add_generation_prompt = sto_value_get(c, "add_generation_prompt").boolean,
                                             .bos_token = token_text(sto_value_get(c, "bos_token")),
                                             .eos_token = token_text(sto_value_get(c, "eos_token")),
                                             .now = NOW_2026_01_15_12_00};
    const enum sto_status status = sto_template_render(t, &input, &r, &err);
    const struct sto_value expected = sto_value_get(c, "expected");
    const struct sto_value mutable = sto_value_get(c, "expected_if_lists_mutable");
    const struct sto_view text = {r.text != NULL ? r.text : "", r.size};
    bool ok = true;
    check_segments(&r);
    if (expected.kind == STO_VALUE_TEXT) {
        ok = status == STO_OK && is_expected(expected, &r);
        if (!ok)
            show(name, number, status == STO_OK ? "text" : err.message, sto_value_view(expected), text);
    } else if (sto_value_is_text(sto_value_get(c, "error_kind"), "raise_exception")) {
        const struct sto_view refusal = sto_value_view(sto_value_get(c, "error"));
        const struct sto_view got = {r.refusal != NULL ? r.refusal : "", r.refusal_size};
        ok = status == STO_ERR_USAGE && got.size == refusal.size && memcmp(got.data, refusal.data, got.size) == 0;
        if (!ok)
            show(name, number, err.message, refusal, got);
    } else if (mutable.kind == STO_VALUE_TEXT && status == STO_OK) {
        ok = is_expected(mutable, &r);
        if (!ok)
            show(name, number, "text with mutable lists", sto_value_view(mutable), text);
    } else {
        ok = r.refusal == NULL && (status == STO_OK || status == STO_ERR_USAGE);
    }
    sto_rendering_free(&r);
    return ok;
}

static void check_file(const char *name)
{
    char path[1024];
    char *data = NULL;
    size_t size = 0, failed = 0;
    struct sto_error err = {0};
    struct sto_arena arena = {0};
    struct sto_value file;
    struct sto_template *t;
    const char *root = getenv("STRATO_REFERENCE");
    snprintf(path, sizeof path, "%s/chat/%s.json", root == NULL ? "" : root, name);
    if (root == NULL || !sto_file_exists(path))
        skip();
    if (sto_file_read(path, MAX_FILE, &data, &size, &err) != STO_OK ||
        sto_json_read(&arena, data, size, &file, &err) != STO_OK)
        fail_msg("%s: %s", path, err.message);
    const struct sto_view source = sto_value_view(sto_value_get(file, "template"));
    if (sto_template_create(source.data, source.size, &t, &err) != STO_OK)
        fail_msg("%s: %s", name, err.message);
    const struct sto_value cases = sto_value_get(file, "cases");
    assert_int_equal(cases.kind, STO_VALUE_LIST);
    for (size_t i = 0; i < cases.list->n; i++)
        failed += check_case(name, i, t, cases.list->items[i]) ? 0 : 1;
    const size_t n = cases.list->n;
    sto_template_destroy(t);
    sto_arena_free(&arena);
    sto_free(data);
    if (failed > 0)
        fail_msg("%zu of %zu cases", failed, n);
}

static void renders_as_reference(void **state)
{
    check_file(*state);
}

int main(void)
{
    enum { N = sizeof names / sizeof *names };
    static struct CMUnitTest tests[N];
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){
            .name = names[i], .test_func = renders_as_reference, .initial_state = (void *)(uintptr_t)names[i]};
    return _cmocka_run_group_tests("templates", tests, N, NULL, NULL);
}

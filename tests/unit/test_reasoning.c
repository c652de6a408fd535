/* Which marks of thoughts and which form of calls a template has, from its source alone: for the templates that models
 * come with (the table was written by reading them), and what is put behind a prompt to turn thinking on or off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "host/reasoning.h"
#include "host/tool_format.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

static struct sto_reasoning find(const char *source)
{
    return sto_reasoning_find((struct sto_view){source, strlen(source)});
}

/* ---- the templates of models ---- */

struct model {
    const char *file, *open, *variable, *format; /* open NULL: the template mentions none */
};
static const struct model models[] = {
    {"Apriel-1.6-15b-Thinker-fixed", "Here are my reasoning steps:", NULL, "apriel"},
    {"ByteDance-Seed-OSS", "<seed:think>", NULL, "seed"},
    {"CohereForAI-c4ai-command-r-plus-tool_use", NULL, NULL, NULL},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "<|START_THINKING|>", "enable_thinking", "command-r"},
    {"GLM-4.6", "<think>", "enable_thinking", "hermes"},
    {"GLM-4.7-Flash", "<think>", "enable_thinking", "hermes"},
    {"Kimi-K2-Instruct", NULL, NULL, "kimi"},
    {"Mistral-Small-3.2-24B-Instruct-2506", NULL, NULL, "mistral"},
    {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", NULL, NULL, "hermes"},
    {"Qwen-QwQ-32B", "<think>", "enable_thinking", "hermes"},
    {"Qwen-Qwen2.5-7B-Instruct", NULL, NULL, "hermes"},
    {"Qwen-Qwen3-0.6B", "<think>", "enable_thinking", "hermes"},
    {"Qwen3-Coder", NULL, NULL, "hermes"},
    {"StepFun3.5-Flash", "<think>", NULL, "hermes"},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "<think>", NULL, "deepseek"},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "<think>", "enable_thinking", "deepseek"},
    {"deepseek-ai-DeepSeek-V3.1", "<think>", "enable_thinking", "deepseek"},
    {"deepseek-ai-DeepSeek-V4", "<think>", "enable_thinking", "dsml"},
    {"fireworks-ai-llama-3-firefunction-v2", NULL, NULL, "firefunction"},
    {"google-gemma-2-2b-it", NULL, NULL, NULL},
    {"google-gemma-4-31B-it", "<|channel>thought", "enable_thinking", "gemma"},
    {"ibm-granite-granite-3.3-2B-Instruct", "<think>", "thinking", "granite"},
    {"meetkai-functionary-medium-v3.1", NULL, NULL, "function"},
    {"meta-llama-Llama-3.1-8B-Instruct", NULL, NULL, "llama3"},
    {"meta-llama-Llama-3.2-3B-Instruct", NULL, NULL, "llama3"},
    {"microsoft-Phi-3.5-mini-instruct", NULL, NULL, NULL},
    {"mistralai-Mistral-Nemo-Instruct-2407", NULL, NULL, "mistral"},
    {"moonshotai-Kimi-K2", NULL, NULL, "kimi"},
    {"openai-gpt-oss-120b", "<|channel|>analysis<|message|>", NULL, NULL},
    {"unsloth-Apriel-1.5", "Here are my reasoning steps:", NULL, "apriel"},
    {"unsloth-mistral-Devstral-Small-2507", NULL, NULL, "mistral"},
};

static cJSON *load(const char *name)
{
    char path[4096], *data = NULL;
    size_t size;
    const char *root = getenv("STRATO_REFERENCE");
    if (root == NULL)
        return NULL;
    (void)snprintf(path, sizeof path, "%s/chat/%s.json", root, name);
    if (sto_file_read(path, 64 << 20, &data, &size, NULL) != STO_OK)
        return NULL;
    cJSON *json = cJSON_ParseWithLength(data, size);
    sto_free(data);
    return json;
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void real_templates(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        cJSON *json = load(models[i].file);
        if (json == NULL) {
            skip();
            return;
        }
        const char *source = cJSON_GetStringValue(cJSON_GetObjectItem(json, "template"));
        const struct sto_reasoning r = find(source);
        const struct sto_tool_format *f = sto_tool_format_find((struct sto_view){source, strlen(source)});
        const char *open = r.in_template ? r.open : NULL, *format = f != NULL ? f->name : NULL;
        if (!same(open, models[i].open) || !same(r.variable, models[i].variable) || !same(format, models[i].format))
            fail_msg("%s: open %s, variable %s, format %s", models[i].file, open, r.variable, format);
        cJSON_Delete(json);
    }
}

/* Rendered prompts of the reference that end within a thought, and such that do not. */
static void opened_by_the_prompt(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        bool opened;
    } prompts[] = {{"StepFun3.5-Flash", true},          {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", true},
                   {"Apriel-1.6-15b-Thinker-fixed", true}, {"Qwen-Qwen3-0.6B", false},
                   {"google-gemma-4-31B-it", false},    {"openai-gpt-oss-120b", false}};
    for (size_t i = 0; i < sizeof prompts / sizeof prompts[0]; i++) {
        size_t n_opened = 0, n_prompts = 0;
        cJSON *json = load(prompts[i].file), *c;
        if (json == NULL) {
            skip();
            return;
        }
        const struct sto_reasoning r = find(cJSON_GetStringValue(cJSON_GetObjectItem(json, "template")));
        cJSON_ArrayForEach(c, cJSON_GetObjectItem(json, "cases")) {
            const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(c, "expected"));
            if (text == NULL || !cJSON_IsTrue(cJSON_GetObjectItem(c, "add_generation_prompt")))
                continue;
            n_prompts++;
            n_opened += sto_reasoning_opened(&r, text, strlen(text));
        }
        assert_true(n_prompts > 10);
        if (prompts[i].opened ? n_opened * 2 < n_prompts : n_opened > 0)
            fail_msg("%s: %zu of %zu prompts end within a thought", prompts[i].file, n_opened, n_prompts);
        cJSON_Delete(json);
    }
}

/* ---- switches and what stands behind a prompt ---- */

static void variables_are_read_by_code(void **state)
{
    (void)state;
    assert_string_equal(find("{% if enable_thinking %}<think>{% endif %}").variable, "enable_thinking");
    assert_string_equal(find("{{ 'a' if thinking else 'b' }}").variable, "thinking");
    assert_null(find("{{ message.thinking }}").variable);
    assert_null(find("{{ message['thinking'] }}").variable);
    assert_null(find("enable_thinking").variable);
    assert_null(find("{# enable_thinking #}").variable);
    assert_null(find("{{ enable_thinking_hard }}").variable);
    assert_null(find("{{ 'it\\'s thinking' }}").variable);
    assert_null(find("{{ \"").variable);
    assert_null(find("").variable);
}

static void check_prefill(const char *source, bool on, const char *prompt, const char *expected)
{
    char out[STO_MAX_PREFILL_BYTES];
    const struct sto_reasoning r = find(source);
    sto_reasoning_prefill(&r, on, prompt, strlen(prompt), out);
    assert_string_equal(out, expected);
}

static void prefills(void **state)
{
    (void)state;
    static const char with[] = "{% if enable_thinking %}{% endif %}<think>", without[] = "<think>";
    static const char gpt_oss[] = "<|channel|>analysis<|message|>";
    check_prefill(without, false, "assistant\n", "<think>\n\n</think>\n\n");
    check_prefill(without, false, "assistant\n<think>\n", "\n</think>\n\n");
    check_prefill(without, false, "assistant\n<think>\n\n</think>\n\n", "");
    check_prefill(with, false, "assistant\n<think>\n\n</think>\n\n", "");
    check_prefill(with, false, "assistant\n", ""); /* the switch is off: the template knows best */
    check_prefill(with, false, "assistant\n<think>\n", "\n</think>\n\n");
    check_prefill(without, true, "assistant\n", "<think>\n");
    check_prefill(without, true, "assistant\n<think>\n", "");
    check_prefill(with, true, "assistant\n", "");
    check_prefill("", false, "assistant\n", "");
    check_prefill("", true, "assistant\n", "");
    check_prefill(gpt_oss, false, "<|start|>assistant", "<|channel|>final<|message|>");
    check_prefill(gpt_oss, true, "<|start|>assistant", "<|channel|>analysis<|message|>");
}

static void cuts(void **state)
{
    (void)state;
    char out[STO_MAX_PREFILL_BYTES];
    struct sto_reasoning r = find("<think>");
    sto_reasoning_cut(&r, out);
    assert_string_equal(out, "\n</think>\n\n");
    r = find("<|channel|>analysis<|message|>");
    sto_reasoning_cut(&r, out);
    assert_string_equal(out, "<|end|><|start|>assistant<|channel|>final<|message|>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_templates),
        cmocka_unit_test(opened_by_the_prompt),
        cmocka_unit_test(variables_are_read_by_code),
        cmocka_unit_test(prefills),
        cmocka_unit_test(cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The table of formats. The more particular signs come first: many templates mention <tool_call>. */
#include "host/tool_format.h"

#include <stdint.h>
#include <string.h>

#define BAR "\xef\xbd\x9c"   /* the wide bar of DeepSeek's tokens        */
#define BLANK "\xe2\x96\x81" /* the low block that stands for a blank    */
#define DEEPSEEK(what) "<" BAR "tool" BLANK what BAR ">"

static const struct sto_tool_format formats[] = {
    {.name = "seed",
     .sign = "<seed:tool_call>",
     .open = "<seed:tool_call>",
     .close = "</seed:tool_call>",
     .body = STO_CALL_TAGGED},
    {.name = "deepseek",
     .sign = DEEPSEEK("call" BLANK "begin"),
     .open = DEEPSEEK("call" BLANK "begin"),
     .close = DEEPSEEK("call" BLANK "end"),
     .wrap_open = DEEPSEEK("calls" BLANK "begin"),
     .wrap_close = DEEPSEEK("calls" BLANK "end"),
     .body = STO_CALL_DEEPSEEK},
    {.name = "dsml",
     .sign = BAR "DSML" BAR,
     .open = "<" BAR "DSML" BAR "invoke",
     .close = "</" BAR "DSML" BAR "invoke>",
     .wrap_open = "<" BAR "DSML" BAR "tool_calls>",
     .wrap_close = "</" BAR "DSML" BAR "tool_calls>",
     .body = STO_CALL_DSML},
    {.name = "kimi",
     .sign = "<|tool_calls_section_begin|>",
     .open = "<|tool_call_begin|>",
     .close = "<|tool_call_end|>",
     .wrap_open = "<|tool_calls_section_begin|>",
     .wrap_close = "<|tool_calls_section_end|>",
     .body = STO_CALL_KIMI},
    {.name = "gemma",
     .sign = "<|tool_call>call:",
     .open = "<|tool_call>",
     .close = "<tool_call|>",
     .body = STO_CALL_GEMMA},
    {.name = "mistral", .sign = "[TOOL_CALLS]", .open = "[TOOL_CALLS]", .body = STO_CALL_MISTRAL},
    {.name = "command-r",
     .sign = "<|START_ACTION|>",
     .open = "<|START_ACTION|>",
     .close = "<|END_ACTION|>",
     .body = STO_CALL_JSON},
    {.name = "granite", .sign = "<|tool_call|>", .open = "<|tool_call|>", .body = STO_CALL_JSON},
    {.name = "apriel",
     .sign = "<tool_calls>[",
     .open = "<tool_calls>",
     .close = "</tool_calls>",
     .body = STO_CALL_JSON},
    {.name = "hermes", .sign = "<tool_call>", .open = "<tool_call>", .close = "</tool_call>", .body = STO_CALL_TAGGED},
    {.name = "firefunction", .sign = "functools[", .open = "functools", .body = STO_CALL_JSON},
    {.name = "function", .sign = "<function=", .open = "<function=", .close = "</function>", .body = STO_CALL_FUNCTION},
    {.name = "llama3", .sign = "ipython", .open = "<|python_tag|>", .body = STO_CALL_PYTHON, .bare = true},
};

const struct sto_tool_format *sto_tool_format_find(struct sto_view chat_template)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const struct sto_markers one = {.items = {formats[i].sign}, .n = 1};
        size_t at;
        if (sto_markers_find(&one, chat_template.data, chat_template.size, true, &at) != SIZE_MAX)
            return &formats[i];
    }
    return NULL;
}

const struct sto_tool_format *sto_tool_format_named(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    }
    return NULL;
}

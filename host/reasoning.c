/* The table of thought markers, and what a template's source says about which one is in use. */
#include "host/reasoning.h"

#include <stdio.h>
#include <string.h>

/* In the order in which they are looked for: the more particular first. `sign` is what a template's source holds. */
static const struct {
    const char *sign;
    struct sto_reasoning is;
} known[] = {
    {"<|channel|>analysis",
     {.open = "<|channel|>analysis<|message|>", .close = "<|end|><|start|>assistant<|channel|>final<|message|>",
      .harmony = true}},
    {"<|channel>thought", {.open = "<|channel>thought", .close = "<channel|>", .anywhere = true}},
    {"<seed:think>", {.open = "<seed:think>", .close = "</seed:think>"}},
    {"<|START_THINKING|>",
     {.open = "<|START_THINKING|>", .close = "<|END_THINKING|>",
      .dropped = {"<|START_RESPONSE|>", "<|END_RESPONSE|>"}, .anywhere = true}},
    {"[THINK]", {.open = "[THINK]", .close = "[/THINK]", .anywhere = true}},
    {"[BEGIN FINAL RESPONSE]",
     {.open = "Here are my reasoning steps:", .close = "[BEGIN FINAL RESPONSE]",
      .dropped = {"[END FINAL RESPONSE]", NULL}}},
    {"<response></response>", {.open = "<think>", .close = "</think>", .dropped = {"<response>", "</response>"}}},
    {"<think>", {.open = "<think>", .close = "</think>"}},
    {"</think>", {.open = "<think>", .close = "</think>"}},
    {"<thinking>", {.open = "<thinking>", .close = "</thinking>"}},
};
static const struct sto_reasoning usual = {.open = "<think>", .close = "</think>"};

static const char *const variables[] = {"enable_thinking", "thinking"};

static bool contains(struct sto_view text, const char *what)
{
    const struct sto_markers one = {.items = {what}, .n = 1};
    size_t at;
    return sto_markers_find(&one, text.data, text.size, true, &at) != SIZE_MAX;
}

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether the word at [at, end) of a template's code is the variable: not in quotes, not an attribute of something. */
static bool is_variable(struct sto_view text, size_t at, size_t end, const char *name)
{
    return end - at == strlen(name) && memcmp(text.data + at, name, end - at) == 0 &&
           (at == 0 || text.data[at - 1] != '.');
}

/* Whether template code ({% %} and {{ }}) reads a variable. Text between, comments and strings do not count. */
static bool has_variable(struct sto_view text, const char *name)
{
    bool code = false, comment = false;
    char quote = '\0';
    for (size_t i = 0; i < text.size; i++) {
        const char c = text.data[i], next = i + 1 < text.size ? text.data[i + 1] : '\0';
        if (quote != '\0') {
            i += c == '\\' ? 1 : 0;
            quote = c == quote ? '\0' : quote;
        } else if (comment) {
            comment = !(c == '#' && next == '}');
        } else if (!code) {
            comment = c == '{' && next == '#';
            code = c == '{' && (next == '{' || next == '%');
            i += comment || code ? 1 : 0;
        } else if (c == '\'' || c == '"') {
            quote = c;
        } else if ((c == '%' || c == '}') && next == '}') {
            code = false;
        } else if (is_word(c)) {
            size_t end = i;
            while (end < text.size && is_word(text.data[end]))
                end++;
            if (is_variable(text, i, end, name))
                return true;
            i = end - 1;
        }
    }
    return false;
}

struct sto_reasoning sto_reasoning_find(struct sto_view chat_template)
{
    struct sto_reasoning found = usual;
    for (size_t i = 0; i < sizeof known / sizeof known[0] && !found.in_template; i++) {
        if (contains(chat_template, known[i].sign)) {
            found = known[i].is;
            found.in_template = true;
        }
    }
    for (size_t i = 0; i < sizeof variables / sizeof variables[0] && found.variable == NULL; i++) {
        if (has_variable(chat_template, variables[i]))
            found.variable = variables[i];
    }
    return found;
}

static bool ends_with(const char *text, size_t size, const char *what)
{
    const size_t n = strlen(what);
    while (size > 0 && sto_marker_is_space(text[size - 1]))
        size--;
    return size >= n && memcmp(text + size - n, what, n) == 0;
}

bool sto_reasoning_opened(const struct sto_reasoning *reasoning, const char *prompt, size_t size)
{
    return ends_with(prompt, size, reasoning->open);
}

void sto_reasoning_prefill(const struct sto_reasoning *r, bool on, const char *prompt, size_t size,
                           char out[STO_MAX_PREFILL_BYTES])
{
    const bool opened = sto_reasoning_opened(r, prompt, size);
    out[0] = '\0';
    if (!r->in_template)
        return;
    if (on && !opened && r->variable == NULL)
        (void)snprintf(out, STO_MAX_PREFILL_BYTES, r->harmony ? "%s" : "%s\n", r->open);
    else if (!on && r->harmony)
        (void)snprintf(out, STO_MAX_PREFILL_BYTES, "%s", "<|channel|>final<|message|>");
    else if (!on && opened)
        (void)snprintf(out, STO_MAX_PREFILL_BYTES, "\n%s\n\n", r->close);
    else if (!on && r->variable == NULL && !ends_with(prompt, size, r->close))
        (void)snprintf(out, STO_MAX_PREFILL_BYTES, "%s\n\n%s\n\n", r->open, r->close);
}

void sto_reasoning_cut(const struct sto_reasoning *reasoning, char out[STO_MAX_PREFILL_BYTES])
{
    (void)snprintf(out, STO_MAX_PREFILL_BYTES, reasoning->harmony ? "%s" : "\n%s\n\n", reasoning->close);
}

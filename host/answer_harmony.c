/* gpt-oss writes messages:
 * <|channel|>analysis<|message|>thought<|end|><|start|>assistant<|channel|>final<|message|>text, and calls as messages
 * to somebody: <|channel|>commentary to=functions.name <|constrain|>json<|message|>{..}<|call|>. Source: OpenAI's
 * description of the Harmony format. */
#include <stdint.h>
#include <string.h>

#include "host/answer.h"
#include "host/tool_calls.h"

static const char START[] = "<|start|>", CHANNEL[] = "<|channel|>", MESSAGE[] = "<|message|>";

/* The word behind `key` in a header: up to white space or a marker. */
static struct sto_view word_behind(const char *header, size_t size, const char *key)
{
    const struct sto_markers one = {.items = {key}, .n = 1};
    size_t at, n = 0;
    if (sto_markers_find(&one, header, size, true, &at) == SIZE_MAX)
        return (struct sto_view){"", 0};
    const char *word = header + at + strlen(key);
    const size_t left = size - at - strlen(key);
    while (n < left && !sto_marker_is_space(word[n]) && word[n] != '<')
        n++;
    return (struct sto_view){word, n};
}

/* Whether text begins with one of the markers that open a header, or may become one. */
static bool opens_header(const char *text, size_t size, bool *maybe)
{
    static const char *const openers[] = {"<|start|>", "<|channel|>", "<|message|>", " to="};
    *maybe = false;
    for (size_t i = 0; i < sizeof openers / sizeof openers[0]; i++) {
        bool partly;
        if (sto_marker_begins(openers[i], text, size, &partly))
            return true;
        *maybe |= partly;
    }
    return false;
}

static bool step_outside(struct sto_answer *a, bool at_end)
{
    bool maybe;
    const bool between = a->mode == STO_HARMONY_BETWEEN;
    if (between)
        a->pos += sto_marker_spaces(a->buffer + a->pos, a->size - a->pos);
    if (a->pos == a->size)
        return false;
    if (opens_header(a->buffer + a->pos, a->size - a->pos, &maybe)) {
        a->mode = STO_HARMONY_HEADER;
        return true;
    }
    if (maybe && !at_end)
        return false;
    a->mode = STO_HARMONY_TEXT;
    return true;
}

static bool step_header(struct sto_answer *a, bool at_end)
{
    const struct sto_markers message = {.items = {MESSAGE}, .n = 1};
    const char *header = a->buffer + a->pos;
    const size_t left = a->size - a->pos, most = left < STO_MAX_HEADER_BYTES ? left : STO_MAX_HEADER_BYTES;
    size_t n;
    if (sto_markers_find(&message, header, most, true, &n) == SIZE_MAX) {
        if (left < STO_MAX_HEADER_BYTES && !at_end)
            return false;
        sto_answer_give(a, STO_EVENT_TEXT, sto_answer_whole(a, most)); /* no header after all */
        a->mode = STO_HARMONY_TEXT;
        return true;
    }
    const struct sto_view channel = word_behind(header, n, CHANNEL), to = word_behind(header, n, " to=");
    a->body = n + strlen(MESSAGE);
    a->channel = sto_view_equals(channel, "analysis") ? STO_EVENT_REASONING : STO_EVENT_TEXT;
    if (to.size > 0 && !sto_view_equals(to, "assistant"))
        a->channel = STO_EVENT_TOOL_CALL;
    else
        a->pos += a->body;
    a->mode = STO_HARMONY_BODY;
    return true;
}

/* A call whose text ends at `end`. */
static void finish_call(struct sto_answer *a, size_t end)
{
    const char *text = a->buffer + a->pos;
    struct sto_view name = word_behind(text, a->body, " to=");
    struct sto_call_list calls = {0};
    bool partly;
    if (sto_marker_begins("functions.", name.data, name.size, &partly)) {
        name.data += strlen("functions.");
        name.size -= strlen("functions.");
    }
    if (sto_tool_call_add(&calls, name.data, name.size, text + a->body, end - a->body)) {
        sto_answer_give_calls(a, &calls);
        a->pos += end;
    } else {
        sto_answer_give(a, STO_EVENT_TEXT, sto_answer_whole(a, end));
    }
    sto_arena_free(&calls.arena);
}

static bool step_body(struct sto_answer *a, bool at_end)
{
    static const struct sto_markers ends = {.items = {"<|end|>", "<|call|>", "<|return|>", "<|start|>"}, .n = 4};
    size_t found = SIZE_MAX;
    if (a->channel == STO_EVENT_TOOL_CALL) {
        const char *text = a->buffer + a->pos;
        const size_t left = a->size - a->pos, limit = a->body + STO_MAX_CALL_BYTES;
        const size_t most = left < limit ? left : limit, from = a->scan.at > a->body ? a->scan.at : a->body;
        size_t at = most - from;
        found = sto_markers_find(&ends, text + from, most - from, true, &at);
        if (found == SIZE_MAX && left < limit && !at_end) {
            a->scan.at = most - sto_markers_held(&ends, text + from, most - from);
            return false;
        }
        finish_call(a, from + at);
        a->scan.at = 0;
    } else {
        found = sto_answer_give_until(a, a->channel, &ends, at_end);
        if (found == SIZE_MAX)
            return false;
    }
    if (found != SIZE_MAX && strcmp(ends.items[found], START) != 0)
        a->pos += strlen(ends.items[found]);
    a->mode = found != SIZE_MAX ? STO_HARMONY_BETWEEN : STO_HARMONY_TEXT;
    return true;
}

static bool step_loose(struct sto_answer *a, bool at_end)
{
    static const struct sto_markers openers = {.items = {"<|start|>", "<|channel|>"}, .n = 2};
    if (sto_answer_give_until(a, STO_EVENT_TEXT, &openers, at_end) == SIZE_MAX)
        return false;
    a->mode = STO_HARMONY_HEADER;
    return true;
}

bool sto_harmony_step(struct sto_answer *a, bool at_end)
{
    switch (a->mode) {
    case STO_HARMONY_HEADER: return step_header(a, at_end);
    case STO_HARMONY_BODY: return step_body(a, at_end);
    case STO_HARMONY_TEXT: return step_loose(a, at_end);
    default: return step_outside(a, at_end);
    }
}

/* What a model writes, taken apart: thoughts and calls in every form.
 *
 * Input: byte 0 chooses the marks of thoughts, byte 1 the form of calls and whether the prompt has opened a thought,
 * bytes 2 to 9 say where the stream is cut; the rest is the stream.
 * Checked: one piece and many give the same events; text that waits is shorter than a marker; what comes out of events
 * is no longer than what went in, but for arguments, which are JSON. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/answer.h"
#include "host/json.h"
#include "runtime/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const templates[] = {"",
                                        "<think>",
                                        "<|channel|>analysis",
                                        "<|channel>thought",
                                        "<seed:think>",
                                        "<|START_THINKING|>",
                                        "[THINK]",
                                        "[BEGIN FINAL RESPONSE]",
                                        "<think></think> <response></response>"};
static const char *const formats[] = {"hermes",  "seed",   "deepseek",     "dsml",   "kimi",      "gemma", "mistral",
                                      "granite", "apriel", "firefunction", "llama3", "command-r", "function"};
static const char TOOLS[] = "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":"
                            "{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"integer\"}}}}}]";

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

/* All events, as bytes: a letter where the kind changes, then the text. */
struct seen {
    char *data;
    size_t size, capacity, text_bytes;
    int last;
};

static void note(struct seen *s, const char *text, size_t size)
{
    if (s->size + size > s->capacity) {
        s->capacity = 2 * (s->size + size) + 64;
        s->data = realloc(s->data, s->capacity);
        require(s->data != NULL, "memory");
    }
    memcpy(s->data + s->size, text, size);
    s->size += size;
}

static bool same(const struct seen *a, const struct seen *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static bool on_event(void *user, const struct sto_event *e)
{
    struct seen *s = user;
    if (e->kind == STO_EVENT_TOOL_CALL) {
        struct sto_arena arena = {0};
        struct sto_value v;
        require(e->call.name[0] != '\0' && strlen(e->call.name) <= STO_MAX_CALL_NAME, "a call has a name");
        require(sto_json_read(&arena, e->call.arguments, strlen(e->call.arguments), &v, NULL) == STO_OK &&
                    v.kind == STO_VALUE_OBJECT, "arguments are a JSON object");
        sto_arena_free(&arena);
        note(s, "C", 1);
        note(s, e->call.name, strlen(e->call.name));
        note(s, e->call.arguments, strlen(e->call.arguments));
    } else {
        require(e->size > 0, "text is not empty");
        if (s->last != (int)e->kind)
            note(s, e->kind == STO_EVENT_REASONING ? "R" : "T", 1);
        note(s, e->text, e->size);
        s->text_bytes += e->size;
    }
    s->last = (int)e->kind;
    return false;
}

static void check_held(const struct sto_answer *a)
{
    const bool call = a->mode == STO_ANSWER_CALL || (a->mode == STO_HARMONY_BODY && a->channel == STO_EVENT_TOOL_CALL);
    const size_t most = a->mode == STO_HARMONY_HEADER ? STO_MAX_HEADER_BYTES + 1 : STO_MAX_MARKER_BYTES;
    require(call || a->size - a->pos < most, "text that waits is shorter than a marker");
}

static void run(const struct sto_answer_params *params, const char *text, size_t size, uint64_t cuts, struct seen *seen)
{
    struct sto_answer_params p = *params;
    struct sto_answer a;
    size_t from = 0;
    *seen = (struct seen){.last = -1};
    p.user = seen;
    p.on_event = on_event;
    require(sto_answer_init(&a, &p, NULL) == STO_OK, "memory");
    for (size_t i = 0; i < size; i++) {
        if ((cuts >> (i % 64) & 1) == 0)
            continue;
        require(sto_answer_add(&a, text + from, i + 1 - from, NULL) == STO_OK, "memory");
        from = i + 1;
        check_held(&a);
    }
    require(sto_answer_add(&a, text + from, size - from, NULL) == STO_OK, "memory");
    sto_answer_finish(&a);
    require(a.pos == a.size, "nothing is left at the end");
    require(seen->text_bytes <= size, "no text is made up");
    sto_answer_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sto_arena arena = {0};
    struct sto_answer_params p = {0};
    struct seen whole, pieces;
    uint64_t cuts;
    if (size < 10)
        return 0;
    const char *source = templates[data[0] % (sizeof templates / sizeof *templates)];
    const size_t n_formats = sizeof formats / sizeof *formats;
    p.reasoning = sto_reasoning_find((struct sto_view){source, strlen(source)});
    p.in_thought = data[1] & 1;
    if ((size_t)(data[1] >> 1) % (n_formats + 1) < n_formats) {
        p.tool_format = sto_tool_format_named(formats[(size_t)(data[1] >> 1) % (n_formats + 1)]);
        require(p.tool_format != NULL, "formats have names");
        require(sto_json_read(&arena, TOOLS, strlen(TOOLS), &p.tools, NULL) == STO_OK, "tools");
    }
    memcpy(&cuts, data + 2, sizeof cuts);
    const char *text = (const char *)data + 10;
    run(&p, text, size - 10, 0, &whole);
    run(&p, text, size - 10, cuts, &pieces);
    require(same(&whole, &pieces), "cuts do not matter");
    free(whole.data);
    run(&p, text, size - 10, UINT64_MAX, &whole);
    require(same(&whole, &pieces), "cuts do not matter");
    free(whole.data);
    free(pieces.data);

    /* A template's source is hostile, too. */
    const struct sto_reasoning r = sto_reasoning_find((struct sto_view){text, size - 10});
    (void)sto_reasoning_opened(&r, text, size - 10);
    (void)sto_tool_format_find((struct sto_view){text, size - 10});
    sto_arena_free(&arena);
    return 0;
}

/* The states of an answer with tags: thought, text, calls. */
#include "host/answer.h"

#include <stdint.h>
#include <string.h>

#include "host/tool_calls.h"
#include "runtime/base/mem.h"

enum { MOST_LEADING_SPACE = 8, FIRST_CAPACITY = 4096 };

/* ---- giving out ---- */

static void send(struct sto_answer *a, const struct sto_event *event)
{
    if (!a->stopped && a->params.on_event != NULL)
        a->stopped = a->params.on_event(a->params.user, event);
}

void sto_answer_give(struct sto_answer *a, enum sto_event_kind kind, size_t n)
{
    const struct sto_event event = {.kind = kind, .text = a->buffer + a->pos, .size = n};
    if (n > 0)
        send(a, &event);
    a->pos += n;
}

size_t sto_answer_whole(const struct sto_answer *a, size_t n)
{
    const char *text = a->buffer + a->pos;
    size_t back = 0;
    while (back < 3 && back + 1 < n && a->pos + n < a->size && (text[n - back] & 0xc0) == 0x80)
        back++;
    return n - back;
}

void sto_answer_give_calls(struct sto_answer *a, const struct sto_call_list *calls)
{
    for (size_t i = 0; i < calls->n; i++) {
        const struct sto_event event = {.kind = STO_EVENT_TOOL_CALL, .call = calls->calls[i], .n = a->n_calls++};
        send(a, &event);
    }
}

size_t sto_answer_give_until(struct sto_answer *a, enum sto_event_kind kind, const struct sto_markers *markers,
                             bool at_end)
{
    const char *text = a->buffer + a->pos;
    const size_t left = a->size - a->pos;
    size_t n = left;
    const size_t found = sto_markers_find(markers, text, left, at_end, &n);
    if (found == SIZE_MAX)
        n = left - (at_end ? 0 : sto_markers_held(markers, text, left));
    sto_answer_give(a, kind, n);
    return found;
}

/* ---- steps ---- */

/* Goes past a marker at the beginning of what is left. */
static bool pass(struct sto_answer *a, const char *marker, enum sto_answer_mode mode)
{
    a->pos += strlen(marker);
    a->mode = mode;
    return true;
}

/* Drops white space; true once something else is there. */
static bool drop_space(struct sto_answer *a)
{
    a->pos += sto_marker_spaces(a->buffer + a->pos, a->size - a->pos);
    return a->pos < a->size;
}

static bool begin_text(struct sto_answer *a)
{
    a->mode = STO_ANSWER_TEXT;
    a->blank = true;
    return true;
}

/* Whether the answer begins with a thought. */
static bool step_start(struct sto_answer *a, bool at_end)
{
    const char *text = a->buffer + a->pos;
    const size_t left = a->size - a->pos, spaces = sto_marker_spaces(text, left);
    bool partly = false;
    if (spaces <= MOST_LEADING_SPACE &&
        sto_marker_begins(a->params.reasoning.open, text + spaces, left - spaces, &partly)) {
        a->pos += spaces;
        return pass(a, a->params.reasoning.open, STO_ANSWER_THOUGHT_GAP);
    }
    if (partly && !at_end)
        return false;
    return begin_text(a);
}

/* A model may write the marker that the prompt has already. */
static bool step_thought_gap(struct sto_answer *a, bool at_end)
{
    bool partly;
    if (!drop_space(a))
        return false;
    if (sto_marker_begins(a->params.reasoning.open, a->buffer + a->pos, a->size - a->pos, &partly))
        return pass(a, a->params.reasoning.open, STO_ANSWER_THOUGHT_GAP);
    if (partly && !at_end)
        return false;
    a->mode = STO_ANSWER_THOUGHT;
    return true;
}

static bool step_thought(struct sto_answer *a, bool at_end)
{
    const struct sto_markers close = {.items = {a->params.reasoning.close}, .n = 1};
    if (sto_answer_give_until(a, STO_EVENT_REASONING, &close, at_end) == SIZE_MAX)
        return false;
    return pass(a, a->params.reasoning.close, STO_ANSWER_GAP);
}

static bool step_gap(struct sto_answer *a)
{
    return drop_space(a) && begin_text(a);
}

static void begin_call(struct sto_answer *a, bool bare, size_t begin)
{
    a->scan = (struct sto_call_scan){.format = a->params.tool_format, .bare = bare, .begin = begin};
    a->mode = STO_ANSWER_CALL;
}

enum begins { NO, MAYBE, YES };

/* Whether text is the beginning of a call as bare JSON: a brace, then one of the keys that calls have. */
static enum begins begins_bare(const char *text, size_t size)
{
    static const char *const keys[] = {"\"name\"", "\"type\"", "\"function\"", "\"parameters\""};
    size_t n = sto_marker_spaces(text, size);
    if (n > MOST_LEADING_SPACE || (n < size && text[n] != '{'))
        return NO;
    if (n == size)
        return MAYBE;
    const char *key = text + n + 1;
    const size_t left = size - n - 1, spaces = sto_marker_spaces(key, left);
    enum begins result = spaces == left && spaces <= MOST_LEADING_SPACE ? MAYBE : NO;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && spaces <= MOST_LEADING_SPACE; i++) {
        bool partly;
        if (sto_marker_begins(keys[i], key + spaces, left - spaces, &partly))
            return YES;
        if (partly)
            result = MAYBE;
    }
    return result;
}

static bool step_text(struct sto_answer *a, bool at_end)
{
    const struct sto_reasoning *r = &a->params.reasoning;
    const struct sto_tool_format *f = a->params.tool_format;
    struct sto_markers markers = {0};
    if (f != NULL && f->bare && a->blank) {
        const enum begins bare = begins_bare(a->buffer + a->pos, a->size - a->pos);
        if (bare == MAYBE && !at_end)
            return false;
        if (bare == YES) {
            begin_call(a, true, 0);
            return true;
        }
        a->blank = false;
    }
    if (f != NULL) {
        sto_markers_add(&markers, f->open);
        sto_markers_add(&markers, f->wrap_open);
    }
    const size_t n_tools = markers.n;
    sto_markers_add(&markers, r->dropped[0]);
    sto_markers_add(&markers, r->dropped[1]);
    const size_t n_dropped = markers.n;
    if (r->anywhere)
        sto_markers_add(&markers, r->open);
    const size_t found = sto_answer_give_until(a, STO_EVENT_TEXT, &markers, at_end);
    if (found == SIZE_MAX)
        return false;
    if (found >= n_dropped)
        return pass(a, r->open, STO_ANSWER_THOUGHT_GAP);
    if (found >= n_tools)
        return pass(a, markers.items[found], STO_ANSWER_GAP);
    a->wrapped = found == 1;
    if (a->wrapped)
        a->mode = STO_ANSWER_WRAPPED;
    else
        begin_call(a, false, strlen(f->open));
    return true;
}

/* Behind the announcement of calls, which is kept until the first of them has turned out to be one. */
static bool step_wrapped(struct sto_answer *a, bool at_end)
{
    const struct sto_tool_format *f = a->params.tool_format;
    const size_t wrap = strlen(f->wrap_open), left = a->size - a->pos;
    const char *text = a->buffer + a->pos;
    const size_t spaces = sto_marker_spaces(text + wrap, left - wrap);
    bool partly = false;
    if (spaces <= MOST_LEADING_SPACE &&
        sto_marker_begins(f->open, text + wrap + spaces, left - wrap - spaces, &partly)) {
        begin_call(a, false, wrap + spaces + strlen(f->open));
        return true;
    }
    if (partly && !at_end)
        return false;
    a->wrapped = false;
    sto_answer_give(a, STO_EVENT_TEXT, wrap);
    a->mode = STO_ANSWER_TEXT;
    return true;
}

static bool step_call(struct sto_answer *a, bool at_end)
{
    const char *text = a->buffer + a->pos;
    enum sto_call_end end = sto_call_scan(&a->scan, text, a->size - a->pos);
    if (end == STO_CALL_MORE && !at_end)
        return false;
    if (end == STO_CALL_MORE) { /* models often end their turn where the closing marker should be */
        a->scan.end = a->scan.at = a->size - a->pos;
        end = STO_CALL_WHOLE;
    }
    const enum sto_call_body body = a->scan.bare ? STO_CALL_PYTHON : a->scan.format->body;
    struct sto_call_list calls = {0};
    if (end == STO_CALL_WHOLE &&
        sto_tool_calls_read(body, text + a->scan.begin, a->scan.end - a->scan.begin, a->params.tools, &calls)) {
        sto_answer_give_calls(a, &calls);
        a->pos += a->scan.at;
        a->mode = STO_ANSWER_CALLED;
    } else {
        sto_answer_give(a, STO_EVENT_TEXT, sto_answer_whole(a, a->scan.at));
        a->mode = STO_ANSWER_TEXT;
        a->wrapped = false;
    }
    sto_arena_free(&calls.arena);
    return true;
}

static bool step_called(struct sto_answer *a, bool at_end)
{
    const struct sto_tool_format *f = a->params.tool_format;
    bool partly = false;
    if (!drop_space(a))
        return false;
    const char *text = a->buffer + a->pos;
    const size_t left = a->size - a->pos;
    if (f->bare && text[0] == ';') { /* between calls as bare JSON */
        a->pos++;
        return true;
    }
    if (a->wrapped && sto_marker_begins(f->wrap_close, text, left, &partly)) {
        a->wrapped = false;
        return pass(a, f->wrap_close, STO_ANSWER_CALLED);
    }
    if (partly && !at_end)
        return false;
    if (a->wrapped) {
        if (sto_marker_begins(f->open, text, left, &partly)) {
            begin_call(a, false, strlen(f->open));
            return true;
        }
        if (partly && !at_end)
            return false;
        a->wrapped = false;
    }
    return begin_text(a);
}

static bool step(struct sto_answer *a, bool at_end)
{
    switch (a->mode) {
    case STO_ANSWER_START: return step_start(a, at_end);
    case STO_ANSWER_THOUGHT_GAP: return step_thought_gap(a, at_end);
    case STO_ANSWER_THOUGHT: return step_thought(a, at_end);
    case STO_ANSWER_GAP: return step_gap(a);
    case STO_ANSWER_TEXT: return step_text(a, at_end);
    case STO_ANSWER_WRAPPED: return step_wrapped(a, at_end);
    case STO_ANSWER_CALL: return step_call(a, at_end);
    case STO_ANSWER_CALLED: return step_called(a, at_end);
    default: return sto_harmony_step(a, at_end);
    }
}

/* ---- the stream ---- */

static enum sto_status make_room(struct sto_answer *a, size_t size, struct sto_error *err)
{
    if (a->pos > 0) {
        memmove(a->buffer, a->buffer + a->pos, a->size - a->pos);
        a->size -= a->pos;
        a->pos = 0;
    }
    if (a->capacity - a->size >= size)
        return STO_OK;
    const size_t capacity = 2 * (a->size + size) + FIRST_CAPACITY;
    char *grown = sto_realloc(a->buffer, capacity, 1);
    if (grown == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %zu bytes of an answer", capacity);
    a->buffer = grown;
    a->capacity = capacity;
    return STO_OK;
}

enum sto_status sto_answer_init(struct sto_answer *a, const struct sto_answer_params *params, struct sto_error *err)
{
    *a = (struct sto_answer){.params = *params, .blank = true};
    a->mode = params->in_thought ? STO_ANSWER_THOUGHT_GAP : STO_ANSWER_START;
    if (params->reasoning.harmony)
        a->mode = STO_HARMONY_START;
    return make_room(a, FIRST_CAPACITY, err);
}

void sto_answer_free(struct sto_answer *a)
{
    sto_free(a->buffer);
    a->buffer = NULL;
    a->size = a->capacity = a->pos = 0;
}

enum sto_status sto_answer_add(struct sto_answer *a, const char *text, size_t size, struct sto_error *err)
{
    const enum sto_status status = make_room(a, size, err);
    if (status != STO_OK || size == 0)
        return status;
    memcpy(a->buffer + a->size, text, size);
    a->size += size;
    while (a->pos < a->size && step(a, false)) {
    }
    return STO_OK;
}

void sto_answer_finish(struct sto_answer *a)
{
    while (a->pos < a->size && step(a, true)) {
    }
}

bool sto_answer_in_thought(const struct sto_answer *a)
{
    const bool body = a->mode == STO_HARMONY_BODY && a->channel == STO_EVENT_REASONING;
    return a->mode == STO_ANSWER_THOUGHT || a->mode == STO_ANSWER_THOUGHT_GAP || body;
}

static bool is_part(const char *text, size_t size, const char *of)
{
    const size_t n = strlen(of);
    for (size_t at = 0; size > 0 && at + size <= n; at++) {
        if (memcmp(of + at, text, size) == 0)
            return true;
    }
    return false;
}

bool sto_answer_wants_marker(const struct sto_answer *a, const char *text, size_t size)
{
    const struct sto_reasoning *r = &a->params.reasoning;
    const struct sto_tool_format *f = a->params.tool_format;
    static const char *const parts[] = {/* of calls that are made of several tokens */
                                        "[ARGS]",      "[CALL_ID]",    "<|tool_call_argument_begin|>",
                                        "<|\"|>",      "<arg_key>",    "</arg_key>",
                                        "<arg_value>", "</arg_value>", "<\xef\xbd\x9ctool\xe2\x96\x81sep\xef\xbd\x9c>"};
    const char *const markers[] = {r->open,
                                   r->close,
                                   r->dropped[0],
                                   r->dropped[1],
                                   f != NULL ? f->open : NULL,
                                   f != NULL ? f->close : NULL,
                                   f != NULL ? f->wrap_open : NULL,
                                   f != NULL ? f->wrap_close : NULL};
    for (size_t i = 0; i < sizeof markers / sizeof markers[0]; i++) {
        if (markers[i] != NULL && is_part(text, size, markers[i]))
            return true;
    }
    for (size_t i = 0; f != NULL && i < sizeof parts / sizeof parts[0]; i++) {
        if (is_part(text, size, parts[i]))
            return true;
    }
    return false;
}

/* A scanner of brackets and strings; each byte is looked at a fixed number of times. */
#include "host/call_scan.h"

#include <string.h>

/* One byte of JSON. True: it closed the outermost bracket. */
static bool json_byte(struct sto_call_scan *s, char c)
{
    if (s->in_string) {
        if (c == '\n') /* no JSON string holds one: brackets mean nothing from here on */
            s->plain = true;
        s->in_string = s->escaped || c != '"';
        s->escaped = !s->escaped && c == '\\';
        return false;
    }
    s->in_string = c == '"';
    if (c == '{' || c == '[')
        s->depth++;
    if ((c == '}' || c == ']') && s->depth > 0)
        return --s->depth == 0;
    return false;
}

static bool is_name(char c)
{
    return c == '_' || c == '-' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

/* What may come before the JSON in a format without a closing marker. */
static bool may_precede_json(const struct sto_call_scan *s, const char *text, size_t at)
{
    const char c = text[at];
    if (s->format->body == STO_CALL_MISTRAL)
        return at - s->begin < STO_MAX_CALL_NAME && (is_name(c) || c == '[' || c == ']' || c == ' ' || c == '\n');
    return sto_marker_is_space(c) && at - s->begin < STO_MAX_MARKER_BYTES;
}

/* Whether the bracket at `at` begins the JSON: Mistral's markers have brackets of their own, and follow a name. */
static bool begins_json(const struct sto_call_scan *s, const char *text, size_t at)
{
    if (text[at] == '{')
        return true;
    return text[at] == '[' && sto_marker_spaces(text + s->begin, at - s->begin) == at - s->begin;
}

/* Up to the end of the JSON; Python's form of a call ends with the text. */
static enum sto_call_end scan_json(struct sto_call_scan *s, const char *text, size_t size)
{
    const bool python = s->format->body == STO_CALL_PYTHON && !s->bare;
    while (s->at < size) {
        const size_t at = s->at++;
        if (s->plain)
            return python ? STO_CALL_MORE : STO_CALL_BROKEN;
        if (!s->json) {
            s->json = begins_json(s, text, at);
            if (!s->json && !may_precede_json(s, text, at)) {
                if (!python)
                    return STO_CALL_BROKEN;
                s->plain = true;
            }
        }
        if (s->json && json_byte(s, text[at])) {
            s->end = s->at;
            return STO_CALL_WHOLE;
        }
    }
    return STO_CALL_MORE;
}

/* Up to the closing marker. A partial one at the end of the text is looked at again when more has come. */
static enum sto_call_end scan_marker(struct sto_call_scan *s, const char *text, size_t size)
{
    const char *close = s->format->close;
    while (s->at < size) {
        bool partly = false;
        const bool counts = s->plain || !s->in_string;
        if (counts && text[s->at] == close[0] && sto_marker_begins(close, text + s->at, size - s->at, &partly)) {
            s->end = s->at;
            s->at += strlen(close);
            return STO_CALL_WHOLE;
        }
        if (counts && partly)
            return STO_CALL_MORE;
        if (!s->plain && !s->json && !sto_marker_is_space(text[s->at])) {
            s->json = text[s->at] == '{' || text[s->at] == '[';
            s->plain = !s->json;
        }
        if (s->json && !s->plain)
            (void)json_byte(s, text[s->at]);
        s->at++;
    }
    return STO_CALL_MORE;
}

enum sto_call_end sto_call_scan(struct sto_call_scan *scan, const char *text, size_t size)
{
    const bool too_long = size - scan->begin > STO_MAX_CALL_BYTES;
    const size_t most = too_long ? scan->begin + STO_MAX_CALL_BYTES : size;
    if (scan->at < scan->begin)
        scan->at = scan->begin;
    const bool by_marker = scan->format->close != NULL && !scan->bare;
    const enum sto_call_end end = by_marker ? scan_marker(scan, text, most) : scan_json(scan, text, most);
    return end == STO_CALL_MORE && too_long ? STO_CALL_BROKEN : end;
}

/* Stop strings over a stream: never gives out a byte that may belong to a stop string. */
#include "host/text_stream.h"

#include <stdint.h>
#include <string.h>

#include "runtime/base/cursor.h"
#include "runtime/base/mem.h"

enum sto_status sto_text_stream_check_stops(const char *const *stops, size_t n, struct sto_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const size_t size = strlen(stops[i]);
        if (size == 0 || !sto_utf8_valid(stops[i], size))
            return sto_fail(err, STO_ERR_USAGE, "stop string %zu is %s", i + 1,
                            size == 0 ? "empty" : "not valid UTF-8");
    }
    return STO_OK;
}

static enum sto_status set_capacity(struct sto_text_stream *s, size_t capacity, struct sto_error *err)
{
    char *grown = sto_realloc(s->text, capacity, 1);
    if (grown == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %zu bytes of text", capacity);
    s->text = grown;
    s->capacity = capacity;
    return STO_OK;
}

enum sto_status sto_text_stream_reserve(struct sto_text_stream *s, size_t size, struct sto_error *err)
{
    return size < s->capacity ? STO_OK : set_capacity(s, size + 1, err);
}

static enum sto_status append(struct sto_text_stream *s, const char *text, size_t size, struct sto_error *err)
{
    if (s->capacity - s->size <= size) {
        const enum sto_status status = set_capacity(s, 2 * (s->size + size) + 256, err);
        if (status != STO_OK)
            return status;
    }
    if (size > 0)
        memcpy(s->text + s->size, text, size);
    s->size += size;
    s->text[s->size] = '\0';
    return STO_OK;
}

/* Where the stop string that is complete first begins, if one is in the text from `from` on. */
static bool find_stop(const struct sto_text_stream *s, size_t from, size_t *found)
{
    size_t best_end = SIZE_MAX;
    for (size_t i = 0; i < s->n_stops; i++) {
        const size_t n = strlen(s->stops[i]);
        for (size_t at = from; at + n <= s->size && at + n <= best_end; at++) {
            if (memcmp(s->text + at, s->stops[i], n) != 0)
                continue;
            if (at + n < best_end || at < *found)
                *found = at;
            best_end = at + n;
            break;
        }
    }
    return best_end != SIZE_MAX;
}

/* True when all that follows `at` is how a stop string begins. */
static bool may_begin_stop(const struct sto_text_stream *s, size_t at)
{
    const size_t left = s->size - at;
    for (size_t i = 0; i < s->n_stops; i++) {
        if (left < strlen(s->stops[i]) && memcmp(s->text + at, s->stops[i], left) == 0)
            return true;
    }
    return false;
}

enum sto_status sto_text_stream_add(struct sto_text_stream *s, const char *text, size_t size, size_t *from, size_t *to,
                                    struct sto_error *err)
{
    const enum sto_status status = append(s, text, size, err);
    *from = *to = s->sent;
    if (status != STO_OK || s->stopped)
        return status;
    if (find_stop(s, s->sent, to)) {
        s->stopped = true;
        s->size = *to;
        s->text[s->size] = '\0';
    }
    while (!s->stopped && *to < s->size && !may_begin_stop(s, *to))
        (*to)++;
    s->sent = *to;
    return STO_OK;
}

void sto_text_stream_finish(struct sto_text_stream *s, size_t *from, size_t *to)
{
    *from = s->sent;
    *to = s->sent = s->size;
}

void sto_text_stream_free(struct sto_text_stream *s)
{
    sto_free(s->text);
    s->text = NULL;
}

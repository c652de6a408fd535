/* Stop strings over a stream: never gives out a byte that may belong to a stop string. */
#include "host/text_stream.h"

#include <string.h>

#include "runtime/base/mem.h"

static enum sto_status append(struct sto_text_stream *s, const char *text, size_t size, struct sto_error *err)
{
    if (s->capacity - s->size <= size) {
        const size_t capacity = 2 * (s->size + size) + 256;
        char *grown = sto_realloc(s->text, capacity, 1);
        if (grown == NULL)
            return sto_fail(err, STO_ERR_NO_FIT, "no memory for %zu bytes of text", capacity);
        s->text = grown;
        s->capacity = capacity;
    }
    if (size > 0)
        memcpy(s->text + s->size, text, size);
    s->size += size;
    s->text[s->size] = '\0';
    return STO_OK;
}

/* True when the text at `at` begins a stop string: all of it is there when `whole`, else only its beginning. */
static bool stop_at(const struct sto_text_stream *s, size_t at, bool whole)
{
    const size_t left = s->size - at;
    for (size_t i = 0; i < s->n_stops; i++) {
        const size_t n = strlen(s->stops[i]);
        if ((n <= left) == whole && memcmp(s->text + at, s->stops[i], n < left ? n : left) == 0)
            return true;
    }
    return false;
}

/* The first place at or after `from` where a stop string is, wholly or as far as the text goes; the end: none. */
static size_t find_stop(const struct sto_text_stream *s, size_t from, bool whole)
{
    size_t at = from;
    while (at < s->size && !stop_at(s, at, whole))
        at++;
    return at;
}

enum sto_status sto_text_stream_add(struct sto_text_stream *s, const char *text, size_t size, size_t *from, size_t *to,
                                    struct sto_error *err)
{
    const enum sto_status status = append(s, text, size, err);
    *from = *to = s->sent;
    if (status != STO_OK || s->stopped)
        return status;
    *to = find_stop(s, s->sent, true);
    if (*to < s->size) {
        s->stopped = true;
        s->size = *to;
        s->text[s->size] = '\0';
    } else {
        *to = find_stop(s, s->sent, false);
    }
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

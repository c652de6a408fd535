/* Text on its way out: collects what was generated, holds back what may be the beginning of a stop string.
 *
 * The stop string that is complete first ends the text (of several complete at the same byte, the longest), so that
 * the result does not depend on the pieces in which the text came. */
#ifndef STO_TEXT_STREAM_H
#define STO_TEXT_STREAM_H

#include "runtime/base/status.h"

struct sto_text_stream {
    const char *const *stops; /* [n_stops], borrowed, none empty        */
    size_t n_stops;
    char *text;               /* all text so far, NUL-terminated; owned */
    size_t size, capacity;
    size_t sent;              /* bytes already given out                */
    bool stopped;             /* a stop string came up: text ends before it */
};

/* STO_ERR_USAGE: one of the stop strings is empty, or not UTF-8; the message says which. */
enum sto_status sto_text_stream_check_stops(const char *const *stops, size_t n, struct sto_error *err);

/* Room for that much text in all, so that adding it does not allocate. */
enum sto_status sto_text_stream_reserve(struct sto_text_stream *stream, size_t size, struct sto_error *err);

/* Appends text; afterwards [*from, *to) of stream->text is new and may be given out. */
enum sto_status sto_text_stream_add(struct sto_text_stream *stream, const char *text, size_t size, size_t *from,
                                    size_t *to, struct sto_error *err);
/* At the end: what was held back may be given out. */
void sto_text_stream_finish(struct sto_text_stream *stream, size_t *from, size_t *to);
void sto_text_stream_free(struct sto_text_stream *stream);

#endif

/* Markers in a stream of text: where the first one is, and how much of the end may be the beginning of one. */
#ifndef STO_MARKER_H
#define STO_MARKER_H

#include <stdbool.h>
#include <stddef.h>

enum {
    STO_MAX_MARKERS = 12,      /* that are looked for at once      */
    STO_MAX_MARKER_BYTES = 64, /* of the longest, white space too  */
};

struct sto_markers {
    const char *items[STO_MAX_MARKERS]; /* NUL-terminated, none empty; borrowed */
    size_t n;
};

/* Adds one; NULL and "" are left out. */
void sto_markers_add(struct sto_markers *markers, const char *marker);

/* The first marker in the text, of several that begin there the longest: its number, and its place in *at; SIZE_MAX:
 * there is none. A shorter one is not reported while the text ends within a longer one, unless at_end. */
size_t sto_markers_find(const struct sto_markers *markers, const char *text, size_t size, bool at_end, size_t *at);

/* The number of bytes at the end of the text that may turn out to be a marker once more text has come. */
size_t sto_markers_held(const struct sto_markers *markers, const char *text, size_t size);

/* Whether text begins with the marker, or (*partly) ends within what may become it. */
bool sto_marker_begins(const char *marker, const char *text, size_t size, bool *partly);

/* White space as templates and models write it: blank, tab, line feed, carriage return. */
bool sto_marker_is_space(char c);
/* Bytes of white space that the text begins with. */
size_t sto_marker_spaces(const char *text, size_t size);

#endif

/* Markers are few and short, and rarely begin: a look at the first byte settles nearly every position. */
#include "host/marker.h"

#include <stdint.h>
#include <string.h>

void sto_markers_add(struct sto_markers *markers, const char *marker)
{
    if (marker != NULL && marker[0] != '\0' && markers->n < STO_MAX_MARKERS)
        markers->items[markers->n++] = marker;
}

bool sto_marker_begins(const char *marker, const char *text, size_t size, bool *partly)
{
    const size_t n = strlen(marker);
    *partly = size < n && memcmp(marker, text, size) == 0;
    return size >= n && memcmp(marker, text, n) == 0;
}

size_t sto_markers_find(const struct sto_markers *markers, const char *text, size_t size, bool at_end, size_t *at)
{
    for (size_t pos = 0; pos < size; pos++) {
        size_t best = SIZE_MAX, length = 0;
        bool longer_may_come = false;
        for (size_t i = 0; i < markers->n; i++) {
            bool partly;
            if (markers->items[i][0] != text[pos])
                continue;
            if (sto_marker_begins(markers->items[i], text + pos, size - pos, &partly) &&
                strlen(markers->items[i]) > length) {
                best = i;
                length = strlen(markers->items[i]);
            }
            longer_may_come |= partly;
        }
        if (best != SIZE_MAX && longer_may_come && !at_end)
            return SIZE_MAX;
        if (best != SIZE_MAX) {
            *at = pos;
            return best;
        }
    }
    return SIZE_MAX;
}

size_t sto_markers_held(const struct sto_markers *markers, const char *text, size_t size)
{
    const size_t most = size < STO_MAX_MARKER_BYTES ? size : STO_MAX_MARKER_BYTES;
    for (size_t held = most; held > 0; held--) {
        for (size_t i = 0; i < markers->n; i++) {
            bool partly;
            if (sto_marker_begins(markers->items[i], text + size - held, held, &partly) || partly)
                return held;
        }
    }
    return 0;
}

bool sto_marker_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

size_t sto_marker_spaces(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && sto_marker_is_space(text[n]))
        n++;
    return n;
}

/* A placement's text: LANE, or LANE:FIRST-LAST,LANE:LAYER,... */
#include "host/cli/place.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/status.h"

/* The lane called text[0 .. size); STO_LANE_COUNT: none is. */
static enum sto_lane lane_called(const char *text, size_t size)
{
    for (int l = 0; l < STO_LANE_COUNT; l++) {
        const char *name = sto_lane_name((enum sto_lane)l);
        if (strlen(name) == size && memcmp(name, text, size) == 0)
            return (enum sto_lane)l;
    }
    return STO_LANE_COUNT;
}

/* Decimal digits up to a number of layers that no model has; false when there are none, or more. */
static bool take_number(const char **at, const char *end, uint32_t *value)
{
    enum { MOST = 1000000 };
    const char *begin = *at;
    *value = 0;
    while (*at < end && **at >= '0' && **at <= '9' && *value < MOST)
        *value = 10 * *value + (uint32_t)(*(*at)++ - '0');
    return *at > begin && *value < MOST;
}

/* FIRST-LAST or LAYER, the whole of text[0 .. size). */
static bool parse_range(const char *text, size_t size, uint32_t *first, uint32_t *last)
{
    const char *at = text, *end = text + size;
    if (!take_number(&at, end, first))
        return false;
    *last = *first;
    if (at < end && *at++ != '-')
        return false;
    if (at == end)
        return end[-1] != '-';
    return take_number(&at, end, last) && at == end;
}

static enum sto_status parse_item(const char *item, size_t size, uint32_t n_layers, enum sto_lane *lanes,
                                  struct sto_error *err)
{
    const char *colon = memchr(item, ':', size);
    const size_t name = colon != NULL ? (size_t)(colon - item) : size;
    const enum sto_lane lane = lane_called(item, name);
    uint32_t first = 0, last = 0;
    if (lane == STO_LANE_COUNT)
        return sto_fail(err, STO_ERR_USAGE, "--place: there is no lane '%.*s': resident, stream, cpu or phased",
                        (int)name, item);
    if (colon == NULL)
        return sto_fail(err, STO_ERR_USAGE, "--place: '%.*s' names no layers, such as %s:0-%u", (int)size, item,
                        sto_lane_name(lane), (unsigned)(n_layers - 1));
    if (!parse_range(colon + 1, size - name - 1, &first, &last) || first > last || last >= n_layers)
        return sto_fail(err, STO_ERR_USAGE, "--place: '%.*s' is no range of layers: the model has 0 to %u",
                        (int)(size - name - 1), colon + 1, (unsigned)(n_layers - 1));
    for (uint32_t l = first; l <= last; l++) {
        if (lanes[l] != STO_LANE_COUNT)
            return sto_fail(err, STO_ERR_USAGE, "--place: layer %u is named twice", (unsigned)l);
        lanes[l] = lane;
    }
    return STO_OK;
}

enum sto_status sto_parse_place(const char *text, uint32_t n_layers, enum sto_lane **lanes, struct sto_error *err)
{
    const enum sto_lane all = lane_called(text, strlen(text)); /* STO_LANE_COUNT stands for "not named" below */
    enum sto_status status = STO_OK;
    *lanes = sto_calloc(n_layers, sizeof **lanes);
    if (*lanes == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u layers", (unsigned)n_layers);
    for (uint32_t l = 0; l < n_layers; l++)
        (*lanes)[l] = all != STO_LANE_COUNT ? all : STO_LANE_COUNT;
    for (const char *item = text; all == STO_LANE_COUNT && item != NULL && status == STO_OK;) {
        const char *comma = strchr(item, ',');
        status = parse_item(item, comma != NULL ? (size_t)(comma - item) : strlen(item), n_layers, *lanes, err);
        item = comma != NULL ? comma + 1 : NULL;
    }
    for (uint32_t l = 0; l < n_layers; l++) {
        if ((*lanes)[l] == STO_LANE_COUNT)
            (*lanes)[l] = STO_LANE_RESIDENT;
    }
    if (status != STO_OK) {
        sto_free(*lanes);
        *lanes = NULL;
    }
    return status;
}

bool sto_place_needs_device(const char *text)
{
    return strcmp(text, sto_lane_name(STO_LANE_CPU)) != 0;
}

void sto_place_text(const enum sto_lane *lanes, uint32_t n_layers, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t first = 0, last; first < n_layers; first = last + 1) {
        for (last = first; last + 1 < n_layers && lanes[last + 1] == lanes[first];)
            last++;
        const char *name = sto_lane_name(lanes[first]), *comma = first > 0 ? "," : "";
        int n;
        if (first == 0 && last + 1 == n_layers && lanes[0] != STO_LANE_CPU)
            n = snprintf(text, size, "%s", name);
        else if (first == last)
            n = snprintf(text + used, size - used, "%s%s:%u", comma, name, (unsigned)first);
        else
            n = snprintf(text + used, size - used, "%s%s:%u-%u", comma, name, (unsigned)first, (unsigned)last);
        used += n > 0 && (size_t)n < size - used ? (size_t)n : size - used - 1;
    }
}

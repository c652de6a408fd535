/* Names are looked for in the line's text: whoever deletes one takes the paste out of the message. */
#include "host/cli/pastes.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"

static bool is_taken(const struct sto_pastes *p, const char *name)
{
    for (size_t i = 0; i < STO_MAX_PASTES; i++) {
        if (p->items[i].text != NULL && strcmp(p->items[i].name, name) == 0)
            return true;
    }
    return false;
}

const char *sto_pastes_add(struct sto_pastes *p, char *text, size_t size)
{
    const size_t slot = p->n % STO_MAX_PASTES;
    size_t lines = 1;
    for (size_t i = 0; i + 1 < size; i++)
        lines += text[i] == '\n' ? 1 : 0;
    sto_free(p->items[slot].text);
    p->items[slot].text = NULL;
    char *name = p->items[slot].name;
    (void)snprintf(name, STO_MAX_PASTE_NAME, "[pasted: %zu lines]", lines);
    if (is_taken(p, name))
        (void)snprintf(name, STO_MAX_PASTE_NAME, "[pasted %zu: %zu lines]", p->n + 1, lines);
    p->items[slot].text = text;
    p->items[slot].size = size;
    p->n++;
    return name;
}

/* The paste whose name begins at the text; SIZE_MAX: none. */
static size_t find(const struct sto_pastes *p, const char *text, size_t size)
{
    for (size_t i = 0; text[0] == '[' && i < STO_MAX_PASTES; i++) {
        const size_t n = strlen(p->items[i].name);
        if (p->items[i].text != NULL && n <= size && memcmp(p->items[i].name, text, n) == 0)
            return i;
    }
    return SIZE_MAX;
}

enum sto_status sto_pastes_expand(const struct sto_pastes *p, const char *line, size_t size, char **out,
                                  size_t *out_size, struct sto_error *err)
{
    size_t total = 0, n = 0;
    for (int pass = 0; pass < 2; pass++) { /* how long it is, then what it is */
        if (pass == 1 && (*out = sto_calloc(total + 1, 1)) == NULL)
            return sto_fail(err, STO_ERR_NO_FIT, "no memory for a message of %zu bytes", total);
        for (size_t at = 0; at < size;) {
            const size_t i = find(p, line + at, size - at);
            const char *text = i != SIZE_MAX ? p->items[i].text : line + at;
            const size_t bytes = i != SIZE_MAX ? p->items[i].size : 1;
            if (pass == 0)
                total += bytes;
            else
                memcpy(*out + n, text, bytes);
            n += pass == 1 ? bytes : 0;
            at += i != SIZE_MAX ? strlen(p->items[i].name) : 1;
        }
    }
    *out_size = n;
    return STO_OK;
}

void sto_pastes_free(struct sto_pastes *p)
{
    for (size_t i = 0; i < STO_MAX_PASTES; i++)
        sto_free(p->items[i].text);
    *p = (struct sto_pastes){0};
}

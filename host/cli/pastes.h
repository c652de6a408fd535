/* Pasted texts of several lines: each has a short name that stands for it in the line that is being edited. */
#ifndef STO_CLI_PASTES_H
#define STO_CLI_PASTES_H

#include "runtime/base/status.h"

enum { STO_MAX_PASTES = 2048 /* more than the history has lines */, STO_MAX_PASTE_NAME = 64 };

struct sto_pastes { /* zero-initialised is empty */
    struct {
        char name[STO_MAX_PASTE_NAME], *text;
        size_t size;
    } items[STO_MAX_PASTES];
    size_t n; /* ever added: the oldest are forgotten */
};

/* Takes the text, which sto_free will free. Its name: "[pasted: 200 lines]", or with a number where that is taken. */
const char *sto_pastes_add(struct sto_pastes *pastes, char *text, size_t size);
/* The line with every name replaced by its text: free *out with sto_free. */
enum sto_status sto_pastes_expand(const struct sto_pastes *pastes, const char *line, size_t size, char **out,
                                  size_t *out_size, struct sto_error *err);
void sto_pastes_free(struct sto_pastes *pastes);

#endif

/* The history of typed lines, with libedit: a list in memory, and a file in the user's state folder.
 *
 * In a line, a pasted text stands as its name; in the file, as itself. A line of the file that holds line breaks comes
 * back as one paste, so that it can be sent again by another process. One thread. */
#ifndef STO_CLI_LINE_HISTORY_H
#define STO_CLI_LINE_HISTORY_H

#include <histedit.h>

#include "host/cli/pastes.h"

enum {
    STO_MAX_HISTORY = 1000,                /* lines                                   */
    STO_MAX_HISTORY_LINE_BYTES = 256 << 10 /* a longer one is not worth its room in the file */
};

struct sto_line_history { /* zero-initialised: there is none, and nothing is noted */
    History *lines;
    char path[1024]; /* "": no file */
};

/* A file that cannot be read is not worth a message, nor is one that cannot be written. */
void sto_line_history_open(struct sto_line_history *history, struct sto_pastes *pastes);
void sto_line_history_add(struct sto_line_history *history, const char *line); /* an empty one is not noted */
void sto_line_history_save(const struct sto_line_history *history, const struct sto_pastes *pastes);
void sto_line_history_close(struct sto_line_history *history);

#endif

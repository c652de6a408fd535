/* Messages as a person types them: a line with editing, history and pasted text where libedit is there and standard
 * input and output are a terminal; else plain lines.
 *
 * Pasted text of several lines stands in the line as "[pasted: 200 lines]" and is put back in its place when the line
 * is sent. The history survives the program, see line_history.h. One thread. */
#ifndef STO_CLI_LINE_INPUT_H
#define STO_CLI_LINE_INPUT_H

#include "runtime/base/status.h"

enum { STO_MAX_LINE_BYTES = 16 << 20 };

struct sto_line_input;

enum sto_line { STO_LINE_READ, STO_LINE_ABANDONED /* Ctrl-C */, STO_LINE_END /* Ctrl-D, or the end of the input */ };

enum sto_status sto_line_input_create(struct sto_line_input **out, struct sto_error *err);
/* Writes the history; a file that cannot be written is not worth a message. Accepts NULL. */
void sto_line_input_destroy(struct sto_line_input *input);

/* True: somebody types at a terminal. */
bool sto_line_input_interactive(const struct sto_line_input *input);

/* Reads a line, without its end. *text is NUL-terminated, [*size], borrowed until the next call.
 * STO_ERR_FAILED: the input cannot be read, or a line is longer than STO_MAX_LINE_BYTES. */
enum sto_status sto_line_input_read(struct sto_line_input *input, const char *prompt, enum sto_line *what,
                                    const char **text, size_t *size, struct sto_error *err);

#endif

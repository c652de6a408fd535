/* What the program shows on stderr: messages and a progress bar. Also the one place that reads environment variables.
 *
 * Bars and colours appear only on a terminal; NO_COLOR (https://no-color.org) and TERM=dumb turn colours off. */
#ifndef STO_CLI_TERM_H
#define STO_CLI_TERM_H

#include "runtime/strato.h"

/* Environment variables that the program heeds. */
struct sto_env {
    bool no_color; /* NO_COLOR is set and not empty */
    bool dumb;     /* TERM is "dumb": no cursor movement either */
};
struct sto_env sto_env_read(void);

/* Prints "strato: error: line" to stderr, in colour where wanted; a bar that is there goes first. Any thread. */
void sto_print_message(enum sto_log_level level, const char *line);
/* The same for a warning, which --quiet suppresses. */
void sto_print_warning(const char *line);

/* What may be drawn and said from now on. quiet: only errors. verbose: 0 warnings, 1 information too, 2 all. */
void sto_term_start(bool quiet, unsigned verbose);
/* Log and progress callbacks that print and draw; progress asks to cancel after Ctrl-C. Any thread may log; one thread
 * at a time may report progress. */
struct sto_callbacks sto_term_callbacks(void);
/* Draws such a bar with a note behind it; true after Ctrl-C. One thread at a time. */
bool sto_term_progress(const char *what, uint64_t done, uint64_t total, const char *note);
/* Takes a bar that is still there off the screen; call before writing to stdout. */
void sto_term_clear(void);
/* True when text on stdout is read on a terminal. */
bool sto_term_stdout_is_terminal(void);

/* A bar as text: "weights  [######......]  1.2 of 4.7 GiB  812 MiB/s". bytes: done and total count bytes, else pieces.
 * elapsed_ns since the beginning. Never longer than columns - 1 characters; all ASCII. */
struct sto_bar {
    const char *what;
    uint64_t done, total;
    bool bytes;
    const char *note; /* behind the amount; NULL: none, and bytes get their rate */
    uint64_t elapsed_ns;
    unsigned columns;
};
void sto_bar_text(const struct sto_bar *bar, char *text, size_t size);

/* "4.7 GiB", "812 MiB", "17 bytes": three figures. */
void sto_bytes_text(uint64_t bytes, char *text, size_t size);

#endif

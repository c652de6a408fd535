/* The seam to the operating system for programs at a terminal: what a stream is connected to, Ctrl-C, broken pipes.
 * term_posix.c and term_win32.c implement it. For programs only: the library itself calls none of this. */
#ifndef STO_BASE_OS_TERM_H
#define STO_BASE_OS_TERM_H

#include <stdbool.h>
#include <stddef.h>

enum sto_stream { STO_STDIN, STO_STDOUT, STO_STDERR };

bool sto_is_terminal(enum sto_stream stream);
/* Width of the terminal in characters; 0: no terminal, or unknown. */
unsigned sto_terminal_columns(enum sto_stream stream);
/* Makes a terminal understand colour and cursor sequences; false: it cannot. */
bool sto_terminal_enable_ansi(enum sto_stream stream);

/* Columns that a text takes up on a terminal, control characters none; by the locale that the program has set. */
size_t sto_terminal_text_columns(const char *text, size_t size);

/* To be called once before sto_terminal_wait_key: from now on it notices when the window gets another size. */
void sto_catch_resize(void);
enum sto_key {
    STO_KEY_BYTE,
    STO_KEY_RESIZED, /* the size may have changed              */
    STO_KEY_END      /* of the input; or it cannot be read     */
};
/* Waits for the next byte of a terminal that is standard input, past any buffer of stdio, or for another size. */
enum sto_key sto_terminal_wait_key(unsigned char *byte);

/* To be called once, first thing in main: arguments as UTF-8, streams that pass bytes through unchanged, and a write
 * to a closed pipe that fails instead of ending the program. On failure the arguments stay as they are. */
void sto_program_setup(int *argc, char ***argv);

/* Calls on_interrupt at every Ctrl-C: in a signal handler on POSIX, in a thread of its own on Windows. It may only do
 * what a signal handler may. False: it could not be installed. */
bool sto_catch_interrupt(void (*on_interrupt)(void));
/* Ends the process at once; safe in on_interrupt. */
_Noreturn void sto_exit_now(int code);

#endif

/* Terminals and signals on POSIX systems. */
#ifndef _WIN32

#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE  /* struct winsize on glibc and musl */
#define _DARWIN_C_SOURCE /* struct winsize on macOS */

#include "runtime/base/os_term.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static void (*interrupt_handler)(void); /* set before the signal is caught */

bool sto_is_terminal(enum sto_stream stream)
{
    return isatty((int)stream) == 1;
}

unsigned sto_terminal_columns(enum sto_stream stream)
{
    struct winsize size;
    memset(&size, 0, sizeof size);
    return ioctl((int)stream, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

bool sto_terminal_enable_ansi(enum sto_stream stream)
{
    return sto_is_terminal(stream);
}

void sto_program_setup(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

static void on_sigint(int number)
{
    (void)number;
    interrupt_handler();
}

bool sto_catch_interrupt(void (*on_interrupt)(void))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    interrupt_handler = on_interrupt;
    action.sa_handler = on_sigint;
    action.sa_flags = SA_RESTART;
    (void)sigemptyset(&action.sa_mask);
    return sigaction(SIGINT, &action, NULL) == 0;
}

_Noreturn void sto_exit_now(int code)
{
    _exit(code);
}

#else
typedef int sto_term_posix_is_empty; /* ISO C wants a declaration in every file */
#endif

/* Terminals and signals on POSIX systems. */
#ifndef _WIN32

#define _XOPEN_SOURCE 700 /* wcwidth */
#define _DEFAULT_SOURCE   /* struct winsize on glibc and musl */
#define _DARWIN_C_SOURCE  /* struct winsize on macOS */

#include "runtime/base/os_term.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

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

size_t sto_terminal_text_columns(const char *text, size_t size)
{
    size_t columns = 0;
    mbstate_t state;
    memset(&state, 0, sizeof state);
    for (size_t at = 0, n; at < size; at += n) {
        wchar_t c = 0;
        n = mbrtowc(&c, text + at, size - at, &state);
        if (n == 0 || n > size - at) { /* NUL, or not a character of this locale */
            memset(&state, 0, sizeof state);
            n = 1;
        }
        const int width = wcwidth(c);
        columns += width > 0 ? (size_t)width : 0;
    }
    return columns;
}

/* A byte in it for each change of size: one that happens just before poll is not missed. */
static int resize_pipe[2] = {-1, -1};

static void on_resize(int number)
{
    const int before = errno;
    const ssize_t written = write(resize_pipe[1], "", 1); /* a full pipe says enough */
    (void)number;
    (void)written;
    errno = before;
}

void sto_catch_resize(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_resize;
    action.sa_flags = SA_RESTART;
    (void)sigemptyset(&action.sa_mask);
    if (pipe(resize_pipe) != 0)
        return;
    for (int i = 0; i < 2; i++) {
        (void)fcntl(resize_pipe[i], F_SETFL, O_NONBLOCK);
        (void)fcntl(resize_pipe[i], F_SETFD, FD_CLOEXEC);
    }
    (void)sigaction(SIGWINCH, &action, NULL);
}

enum sto_key sto_terminal_wait_key(unsigned char *byte)
{
    struct pollfd from[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = resize_pipe[0], .events = POLLIN}};
    char signals[64];
    if (poll(from, 2, -1) < 0)
        return errno == EINTR ? STO_KEY_RESIZED : STO_KEY_END;
    if (from[1].revents != 0 && read(resize_pipe[0], signals, sizeof signals) > 0)
        return STO_KEY_RESIZED;
    const ssize_t n = read(STDIN_FILENO, byte, 1);
    if (n < 0 && errno == EINTR)
        return STO_KEY_RESIZED;
    return n == 1 ? STO_KEY_BYTE : STO_KEY_END;
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

/* Consoles and Ctrl-C on Windows 10 and later. */
#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#undef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00

#include "runtime/base/mem.h"
#include "runtime/base/os_term.h"

#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <shellapi.h>
#include <stdio.h>

static void (*interrupt_handler)(void); /* set before Ctrl-C is caught */

static HANDLE handle_of(enum sto_stream stream)
{
    static const DWORD ids[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    return GetStdHandle(ids[stream]);
}

bool sto_is_terminal(enum sto_stream stream)
{
    DWORD mode;
    return GetConsoleMode(handle_of(stream), &mode) != 0;
}

unsigned sto_terminal_columns(enum sto_stream stream)
{
    CONSOLE_SCREEN_BUFFER_INFO info;
    if (!GetConsoleScreenBufferInfo(handle_of(stream), &info))
        return 0;
    return (unsigned)(info.srWindow.Right - info.srWindow.Left + 1);
}

bool sto_terminal_enable_ansi(enum sto_stream stream)
{
    DWORD mode;
    if (!GetConsoleMode(handle_of(stream), &mode))
        return false;
    return SetConsoleMode(handle_of(stream), mode | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0;
}

size_t sto_terminal_text_columns(const char *text, size_t size)
{
    size_t columns = 0;
    for (size_t i = 0; i < size; i++) /* a column for each code point */
        columns += ((unsigned char)text[i] & 0xc0) != 0x80 && (unsigned char)text[i] >= 0x20;
    return columns;
}

void sto_catch_resize(void)
{
}

enum sto_key sto_terminal_wait_key(unsigned char *byte)
{
    return _read(0, byte, 1) == 1 ? STO_KEY_BYTE : STO_KEY_END; /* a console keeps its lines in order itself */
}

/* One UTF-16 argument as UTF-8; NULL: no memory. */
static char *utf8_of(const wchar_t *wide)
{
    const int size = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = size > 0 ? sto_calloc((size_t)size, 1) : NULL;
    if (text != NULL)
        (void)WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, size, NULL, NULL);
    return text;
}

void sto_program_setup(int *argc, char ***argv)
{
    (void)SetConsoleOutputCP(CP_UTF8);
    (void)SetConsoleCP(CP_UTF8);
    for (int fd = 0; fd < 3; fd++)
        (void)_setmode(fd, _O_BINARY);
    int n = 0;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &n);
    if (wide == NULL)
        return;
    char **args = sto_calloc((size_t)n + 1, sizeof *args); /* lives as long as the program */
    int done = 0;
    while (args != NULL && done < n && (args[done] = utf8_of(wide[done])) != NULL)
        done++;
    (void)LocalFree(wide);
    if (args == NULL || done < n)
        return;
    *argc = n;
    *argv = args;
}

static BOOL WINAPI on_control(DWORD event)
{
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        return FALSE;
    interrupt_handler();
    return TRUE;
}

bool sto_catch_interrupt(void (*on_interrupt)(void))
{
    interrupt_handler = on_interrupt;
    return SetConsoleCtrlHandler(on_control, TRUE) != 0;
}

_Noreturn void sto_exit_now(int code)
{
    (void)TerminateProcess(GetCurrentProcess(), (UINT)code);
    for (;;)
        Sleep(INFINITE);
}

#else
typedef int sto_term_win32_is_empty; /* ISO C wants a declaration in every file */
#endif

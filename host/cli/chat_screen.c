/* A reply on its way to the screen: answers plain, thoughts dim or folded, calls in brackets. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/chat_screen.h"
#include "host/cli/term.h"
#include "runtime/base/cursor.h"
#include "runtime/base/os_term.h"

static const char DIM[] = "\x1b[2m", PLAIN[] = "\x1b[0m", ERASE_LINE[] = "\r\x1b[K";

void sto_chat_screen_begin(struct sto_chat_screen *s, bool fold)
{
    const struct sto_env env = sto_env_read();
    *s = (struct sto_chat_screen){.fold = fold, .last = '\n'};
    s->terminal = sto_term_stdout_is_terminal();
    s->colour = s->terminal && !env.no_color && !env.dumb && sto_terminal_enable_ansi(STO_STDOUT);
}

static void put(struct sto_chat_screen *s, const char *text, size_t size)
{
    errno = 0;
    if (size == 0 || s->broken != 0)
        return;
    if (fwrite(text, 1, size, stdout) != size)
        s->broken = errno != 0 ? errno : EIO;
    s->last = text[size - 1];
}

static void flush(struct sto_chat_screen *s)
{
    errno = 0;
    if (s->broken == 0 && fflush(stdout) != 0)
        s->broken = errno != 0 ? errno : EIO;
}

static void put_style(const struct sto_chat_screen *s, const char *style)
{
    if (s->colour)
        (void)fputs(style, stdout);
}

/* Whether a character may reach a terminal: no controls but tab and line feed, in neither of Unicode's blocks. */
static bool is_harmless(const char *c, size_t n)
{
    const unsigned char first = (unsigned char)c[0];
    if (n == 2 && first == 0xc2 && (unsigned char)c[1] < 0xa0)
        return false;
    return n > 1 || first == '\n' || first == '\t' || (first >= 0x20 && first < 0x7f);
}

void sto_chat_screen_text(struct sto_chat_screen *s, const char *text, size_t size)
{
    size_t from = 0;
    for (size_t at = 0, n; s->terminal && at < size; at += n) {
        n = sto_utf8_sequence(text + at, size - at);
        if (n > 0 && is_harmless(text + at, n))
            continue;
        put(s, text + from, at - from);
        n = n > 0 ? n : 1;
        from = at + n;
    }
    put(s, text + from, size - from);
}

/* ---- thoughts ---- */

static void begin_thought(struct sto_chat_screen *s)
{
    s->thinking = true;
    put_style(s, DIM);
    if (s->fold)
        put(s, "thinking...", 11);
    else if (!s->colour)
        put(s, "[thinking]\n", 11);
    if (s->fold)
        put_style(s, PLAIN);
}

static void end_thought(struct sto_chat_screen *s)
{
    if (!s->thinking)
        return;
    s->thinking = false;
    if (s->fold && s->colour) {
        put_style(s, ERASE_LINE);
        s->last = '\n';
    }
    put_style(s, PLAIN);
    if (s->last != '\n')
        put(s, "\n", 1);
    if (!s->fold && !s->colour)
        put(s, "[answer]\n", 9);
    else if (!s->fold)
        put(s, "\n", 1);
}

static void show_thought(struct sto_chat_screen *s, const struct sto_event *e)
{
    if (!s->terminal)
        return;
    if (!s->thinking)
        begin_thought(s);
    if (!s->fold)
        sto_chat_screen_text(s, e->text, e->size);
}

/* ---- events ---- */

static void show_call(struct sto_chat_screen *s, const struct sto_tool_call *call)
{
    if (s->last != '\n')
        put(s, "\n", 1);
    put(s, "[call ", 6);
    sto_chat_screen_text(s, call->name, strlen(call->name));
    put(s, " ", 1);
    sto_chat_screen_text(s, call->arguments, strlen(call->arguments));
    put(s, "]\n", 2);
}

void sto_chat_screen_event(struct sto_chat_screen *s, const struct sto_event *e)
{
    sto_term_clear();
    switch (e->kind) {
    case STO_EVENT_REASONING: show_thought(s, e); break;
    case STO_EVENT_TEXT:
        end_thought(s);
        sto_chat_screen_text(s, e->text, e->size);
        break;
    case STO_EVENT_TOOL_CALL:
        end_thought(s);
        show_call(s, &e->call);
        break;
    case STO_EVENT_DROPPED:
        sto_chat_note(s, "the context is nearly full: the oldest %zu messages are left out from here on", e->n);
        break;
    case STO_EVENT_DONE: break;
    }
    flush(s);
}

void sto_chat_screen_end(struct sto_chat_screen *s)
{
    end_thought(s);
    if (s->last != '\n')
        put(s, "\n", 1);
    flush(s);
}

void sto_chat_note(const struct sto_chat_screen *s, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, "%s(%s)%s\n", s->colour ? DIM : "", text, s->colour ? PLAIN : "");
    (void)fflush(stderr);
}

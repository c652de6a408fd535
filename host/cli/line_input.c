/* Lines through libedit, or byte by byte. */
#include "host/cli/line_input.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/pastes.h"
#include "host/cli/term.h"
#include "host/utf8.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/base/os_term.h"

#ifdef STO_HAVE_LIBEDIT
#include "host/cli/line_history.h"
#endif

struct sto_line_input {
    bool interactive;
    char *line; /* [size], what was read last; owned */
    size_t size, capacity;
    struct sto_pastes pastes;
#ifdef STO_HAVE_LIBEDIT
    EditLine *edit; /* NULL: plain lines */
    struct sto_line_history history;
    const char *prompt;
    bool abandoned;
    unsigned columns; /* of the window when the line was drawn last */
#endif
};

static enum sto_status push(struct sto_line_input *in, char c, struct sto_error *err)
{
    if (in->size + 1 >= in->capacity) {
        const size_t capacity = 2 * in->capacity + 256;
        char *grown = capacity <= 2 * (size_t)STO_MAX_LINE_BYTES ? sto_realloc(in->line, capacity, 1) : NULL;
        if (grown == NULL)
            return sto_fail(err, STO_ERR_FAILED, "standard input: a line of more than %zu bytes", in->size);
        in->line = grown;
        in->capacity = capacity;
    }
    in->line[in->size++] = c;
    in->line[in->size] = '\0';
    return STO_OK;
}

/* ---- plain lines ---- */

static enum sto_status read_plain(struct sto_line_input *in, const char *prompt, enum sto_line *what,
                                  struct sto_error *err)
{
    enum sto_status status = STO_OK;
    int c = EOF;
    in->size = 0;
    if (in->interactive) {
        (void)fputs(prompt, stdout);
        (void)fflush(stdout);
    }
    while (status == STO_OK && (c = getc(stdin)) != EOF && c != '\n')
        status = push(in, (char)c, err);
    if (status == STO_OK && ferror(stdin))
        status = sto_fail(err, STO_ERR_FAILED, "standard input cannot be read");
    if (in->size > 0 && in->line[in->size - 1] == '\r')
        in->line[--in->size] = '\0';
    *what = c == EOF && in->size == 0 ? STO_LINE_END : STO_LINE_READ;
    return status;
}

/* ---- libedit ---- */

#ifdef STO_HAVE_LIBEDIT

static const char PASTE_BEGINS[] = "\x1b[200~", PASTE_ENDS[] = "\x1b[201~";

static char *edit_prompt(EditLine *edit)
{
    struct sto_line_input *in = NULL;
    static char text[64];
    if (el_get(edit, EL_CLIENTDATA, &in) == 0 && in != NULL)
        (void)snprintf(text, sizeof text, "%s", in->prompt);
    return text;
}

/* The window has another size, and the terminal has wrapped the line anew, as terminals do (those that do not, such as
 * xterm, lose some of what stood above when a long line is narrowed). Up to where it begins, and there once more. */
static void follow_size(EditLine *edit)
{
    struct sto_line_input *in = NULL;
    const unsigned columns = sto_terminal_columns(STO_STDOUT);
    if (el_get(edit, EL_CLIENTDATA, &in) != 0 || in == NULL || columns == in->columns || columns == 0)
        return;
    in->columns = columns;
    el_resize(edit);
    const LineInfo *line = el_line(edit);
    const size_t before = sto_terminal_text_columns(in->prompt, strlen(in->prompt)) +
                          sto_terminal_text_columns(line->buffer, (size_t)(line->cursor - line->buffer));
    (void)fputs("\r", stdout);
    if (before >= columns)
        (void)fprintf(stdout, "\x1b[%zuA", before / columns);
    (void)fputs("\x1b[J", stdout);
    (void)fflush(stdout);
    (void)el_set(edit, EL_REFRESH);
}

static unsigned char abandon_line(EditLine *edit, int key)
{
    struct sto_line_input *in = NULL;
    (void)key;
    if (el_get(edit, EL_CLIENTDATA, &in) == 0 && in != NULL)
        in->abandoned = true;
    return CC_NEWLINE;
}

/* A character of the keyboard. Where the window's size has changed in between, the line is drawn anew. */
static int read_character(EditLine *edit, wchar_t *out)
{
    char text[4];
    size_t n = 0;
    for (;;) {
        unsigned char byte = 0;
        const enum sto_key key = sto_terminal_wait_key(&byte);
        if (key == STO_KEY_RESIZED) {
            follow_size(edit);
            continue;
        }
        if (key == STO_KEY_END)
            return 0;
        if (n > 0 && (byte & 0xc0) != 0x80)
            n = 0; /* what came before was cut off */
        text[n++] = (char)byte;
        size_t used = 0;
        if (sto_utf8_sequence(text, n) > 0) {
            *out = (wchar_t)sto_utf8_get(text, n, &used);
            return 1;
        }
        if (n == sizeof text || (n == 1 && (byte & 0xc0) == 0x80))
            n = 0;
    }
}

/* Everything up to the end of the paste, as one text: lines end with \n, the marker is cut off. NULL: no memory. */
static char *read_paste(EditLine *edit, size_t *size)
{
    const size_t marker = sizeof PASTE_ENDS - 1;
    size_t n = 0, capacity = 4096;
    char *text = sto_calloc(capacity, 1);
    wchar_t wide, before = L'\0';
    while (text != NULL && el_wgetc(edit, &wide) == 1) {
        const bool second = wide == L'\n' && before == L'\r'; /* of a line's end in two characters */
        before = wide;
        if (second)
            continue;
        if (capacity - n < 8) {
            char *grown = capacity < STO_MAX_LINE_BYTES ? sto_realloc(text, capacity *= 2, 1) : NULL;
            if (grown == NULL)
                break;
            text = grown;
        }
        n += sto_utf8_put(wide == L'\r' ? L'\n' : (uint32_t)wide, text + n);
        if (n >= marker && memcmp(text + n - marker, PASTE_ENDS, marker) == 0) {
            n -= marker;
            break;
        }
    }
    if (text != NULL)
        text[n] = '\0';
    *size = n;
    return text;
}

static unsigned char take_paste(EditLine *edit, int key)
{
    struct sto_line_input *in = NULL;
    size_t size;
    (void)key;
    char *text = read_paste(edit, &size);
    if (text == NULL || el_get(edit, EL_CLIENTDATA, &in) != 0) {
        sto_free(text);
        return CC_ERROR;
    }
    if (memchr(text, '\n', size) != NULL) {
        (void)el_insertstr(edit, sto_pastes_add(&in->pastes, text, size));
    } else {
        (void)el_insertstr(edit, text);
        sto_free(text);
    }
    return CC_REDISPLAY;
}

static void open_editor(struct sto_line_input *in)
{
    (void)setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    in->edit = el_init("strato", stdin, stdout, stderr);
    if (in->edit == NULL)
        return;
    (void)el_set(in->edit, EL_CLIENTDATA, in);
    (void)el_set(in->edit, EL_PROMPT, edit_prompt);
    (void)el_set(in->edit, EL_EDITOR, "emacs");
    (void)el_set(in->edit, EL_SIGNAL, 1); /* a signal that ends the program finds the terminal as it was */
    sto_catch_resize();                   /* before libedit, whose own handler hands the signal on, and once only */
    (void)el_set(in->edit, EL_GETCFN, read_character);
    (void)el_set(in->edit, EL_ADDFN, "strato-abandon", "Gives up the line", abandon_line);
    (void)el_set(in->edit, EL_ADDFN, "strato-paste", "Takes pasted text", take_paste);
    (void)el_set(in->edit, EL_BIND, "^C", "strato-abandon", NULL);
    (void)el_set(in->edit, EL_BIND, PASTE_BEGINS, "strato-paste", NULL);
    (void)el_set(in->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_set(in->edit, EL_SETTY, "-d", "-isig", NULL); /* Ctrl-C is a key while a line is edited */
    sto_line_history_open(&in->history, &in->pastes);
    if (in->history.lines != NULL)
        (void)el_set(in->edit, EL_HIST, history, in->history.lines);
}

static void close_editor(struct sto_line_input *in)
{
    sto_line_history_save(&in->history, &in->pastes);
    if (in->edit != NULL)
        el_end(in->edit);
    sto_line_history_close(&in->history);
}

static enum sto_status read_edited(struct sto_line_input *in, const char *prompt, enum sto_line *what,
                                   struct sto_error *err)
{
    int n = 0;
    char *text = NULL;
    in->prompt = prompt;
    in->abandoned = false;
    in->size = 0;
    el_resize(in->edit); /* the window may have changed while an answer came */
    in->columns = sto_terminal_columns(STO_STDOUT);
    (void)fputs("\x1b[?2004h", stdout); /* the terminal says what is pasted */
    (void)fflush(stdout);
    const char *line = el_gets(in->edit, &n);
    (void)fputs("\x1b[?2004l", stdout);
    (void)fflush(stdout);
    *what = line == NULL || n <= 0 ? STO_LINE_END : in->abandoned ? STO_LINE_ABANDONED : STO_LINE_READ;
    if (in->abandoned)
        *what = STO_LINE_ABANDONED;
    if (*what != STO_LINE_READ) {
        (void)fputc('\n', stdout);
        return STO_OK;
    }
    size_t size = (size_t)n;
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        size--;
    char *entry = sto_strndup(line, size);
    if (entry == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a line of %zu bytes", size);
    sto_line_history_add(&in->history, entry);
    size_t expanded = 0;
    enum sto_status status = sto_pastes_expand(&in->pastes, entry, size, &text, &expanded, err);
    for (size_t i = 0; i < expanded && status == STO_OK; i++)
        status = push(in, text[i], err);
    sto_free(entry);
    sto_free(text);
    return status;
}

#endif

/* ---- either ---- */

enum sto_status sto_line_input_create(struct sto_line_input **out, struct sto_error *err)
{
    struct sto_line_input *in = sto_calloc(1, sizeof *in);
    if (in == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory to read lines");
    in->interactive = sto_is_terminal(STO_STDIN) && sto_term_stdout_is_terminal();
    *out = in;
#ifdef STO_HAVE_LIBEDIT
    if (in->interactive && !sto_env_read().dumb && sto_terminal_enable_ansi(STO_STDOUT))
        open_editor(in);
#endif
    return push(in, '\0', err);
}

void sto_line_input_destroy(struct sto_line_input *in)
{
    if (in == NULL)
        return;
#ifdef STO_HAVE_LIBEDIT
    close_editor(in);
#endif
    sto_pastes_free(&in->pastes);
    sto_free(in->line);
    sto_free(in);
}

bool sto_line_input_interactive(const struct sto_line_input *in)
{
    return in->interactive;
}

enum sto_status sto_line_input_read(struct sto_line_input *in, const char *prompt, enum sto_line *what,
                                    const char **text, size_t *size, struct sto_error *err)
{
    enum sto_status status;
#ifdef STO_HAVE_LIBEDIT
    status = in->edit != NULL ? read_edited(in, prompt, what, err) : read_plain(in, prompt, what, err);
#else
    status = read_plain(in, prompt, what, err);
#endif
    in->line[in->size] = '\0';
    *text = in->line;
    *size = in->size;
    return status;
}

/* Lines through libedit, or byte by byte. */
#include "host/cli/line_input.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/pastes.h"
#include "host/cli/term.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/base/os_term.h"

#ifdef STO_HAVE_LIBEDIT
#include <histedit.h>
#endif

struct sto_line_input {
    bool interactive;
    char *line; /* [size], what was read last; owned */
    size_t size, capacity;
    struct sto_pastes pastes;
#ifdef STO_HAVE_LIBEDIT
    EditLine *edit; /* NULL: plain lines */
    History *history;
    const char *prompt;
    bool abandoned;
    char history_path[1024]; /* "": nowhere */
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

static unsigned char abandon_line(EditLine *edit, int key)
{
    struct sto_line_input *in = NULL;
    (void)key;
    if (el_get(edit, EL_CLIENTDATA, &in) == 0 && in != NULL)
        in->abandoned = true;
    return CC_NEWLINE;
}

/* A character as UTF-8; the number of bytes. */
static size_t encode(wchar_t wide, char out[4])
{
    const unsigned long c = (unsigned long)wide;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--)
        out[i] = (char)(0x80 | ((c >> (6 * (n - 1 - i))) & 0x3f));
    out[0] = (char)(lead[n] | (c >> (6 * (n - 1))));
    return n;
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
        n += encode(wide == L'\r' ? L'\n' : wide, text + n);
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

static void open_history(struct sto_line_input *in)
{
    HistEvent event;
    char dir[900];
    in->history = history_init();
    if (in->history == NULL)
        return;
    (void)history(in->history, &event, H_SETSIZE, STO_MAX_HISTORY);
    (void)history(in->history, &event, H_SETUNIQUE, 1);
    (void)el_set(in->edit, EL_HIST, history, in->history);
    sto_state_dir(dir, sizeof dir);
    if (dir[0] == '\0' || sto_make_dirs(dir, NULL) != STO_OK)
        return;
    (void)snprintf(in->history_path, sizeof in->history_path, "%s/history", dir);
    if (sto_file_exists(in->history_path))
        (void)history(in->history, &event, H_LOAD, in->history_path);
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
    (void)el_set(in->edit, EL_SIGNAL, 1); /* for changes of the window's size */
    (void)el_set(in->edit, EL_ADDFN, "strato-abandon", "Gives up the line", abandon_line);
    (void)el_set(in->edit, EL_ADDFN, "strato-paste", "Takes pasted text", take_paste);
    (void)el_set(in->edit, EL_BIND, "^C", "strato-abandon", NULL);
    (void)el_set(in->edit, EL_BIND, PASTE_BEGINS, "strato-paste", NULL);
    (void)el_set(in->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_set(in->edit, EL_SETTY, "-d", "-isig", NULL); /* Ctrl-C is a key while a line is edited */
    open_history(in);
}

static void close_editor(struct sto_line_input *in)
{
    HistEvent event;
    if (in->history != NULL && in->history_path[0] != '\0')
        (void)history(in->history, &event, H_SAVE, in->history_path);
    if (in->edit != NULL)
        el_end(in->edit);
    if (in->history != NULL)
        history_end(in->history);
}

static enum sto_status read_edited(struct sto_line_input *in, const char *prompt, enum sto_line *what,
                                   struct sto_error *err)
{
    HistEvent event;
    int n = 0;
    char *text = NULL;
    in->prompt = prompt;
    in->abandoned = false;
    in->size = 0;
    el_resize(in->edit); /* the window may have changed while an answer came */
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
    if (size > 0 && in->history != NULL)
        (void)history(in->history, &event, H_ENTER, entry);
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

/* Messages and the progress bar. One bar at a time, at the bottom line, redrawn at most ten times a second. */
#include "host/cli/term.h"
#include "host/cli/cli.h"
#include "runtime/base/os.h"
#include "runtime/base/os_term.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 256, BAR_WIDTH = 24 };
static const uint64_t REDRAW_NS = 100 * 1000 * 1000;
static const char ERASE_LINE[] = "\r\x1b[K";

static struct {
    bool started, colour, bars;
    bool quiet;
    unsigned verbose;
    struct sto_mutex *mutex; /* guards `drawn` and what reaches stderr */
    bool drawn;              /* a bar is on the screen */
    char what[32];           /* of the bar */
    uint64_t begin_ns, drawn_ns;
} term;

struct sto_env sto_env_read(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *name = getenv("TERM");
    return (struct sto_env){
        .no_color = no_color != NULL && no_color[0] != '\0',
        .dumb = name != NULL && strcmp(name, "dumb") == 0,
    };
}

static void lock(void)
{
    if (term.mutex != NULL)
        sto_mutex_lock(term.mutex);
}

static void unlock(void)
{
    if (term.mutex != NULL)
        sto_mutex_unlock(term.mutex);
}

static void look_at_terminal(void)
{
    if (term.started)
        return;
    const struct sto_env env = sto_env_read();
    const bool ansi = !env.dumb && sto_is_terminal(STO_STDERR) && sto_terminal_enable_ansi(STO_STDERR);
    term.bars = ansi;
    term.colour = ansi && !env.no_color;
    term.mutex = sto_mutex_create();
    term.started = true;
}

void sto_term_start(bool quiet, unsigned verbose)
{
    look_at_terminal();
    term.quiet = quiet;
    term.verbose = verbose;
}

bool sto_term_stdout_is_terminal(void)
{
    return sto_is_terminal(STO_STDOUT);
}

/* ---- messages --------------------------------------------------------------------------------------------- */

static void clear_locked(void)
{
    if (!term.drawn)
        return;
    fputs(ERASE_LINE, stderr);
    term.drawn = false;
}

void sto_term_clear(void)
{
    lock();
    clear_locked();
    (void)fflush(stderr);
    unlock();
}

void sto_print_message(enum sto_log_level level, const char *line)
{
    static const struct {
        const char *name, *colour;
    } levels[] = {{"error: ", "\x1b[1;31m"}, {"warning: ", "\x1b[1;33m"}, {"", ""}, {"", "\x1b[2m"}};
    look_at_terminal();
    const bool colour = term.colour && levels[level].colour[0] != '\0';
    lock();
    clear_locked();
    fprintf(stderr, "strato: %s%s%s%s%s\n", colour ? levels[level].colour : "", levels[level].name,
            colour && level <= STO_LOG_WARNING ? "\x1b[0m" : "", line,
            colour && level > STO_LOG_WARNING ? "\x1b[0m" : "");
    unlock();
}

static void on_log(void *user, enum sto_log_level level, const char *line)
{
    (void)user;
    static const unsigned needs[] = {0, 0, 1, 2}; /* how verbose, by level */
    if (level == STO_LOG_ERROR || (!term.quiet && needs[level] <= term.verbose))
        sto_print_message(level, line);
}

void sto_print_warning(const char *line)
{
    on_log(NULL, STO_LOG_WARNING, line);
}

/* ---- the bar ---------------------------------------------------------------------------------------------- */

void sto_bytes_text(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        (void)snprintf(text, size, "%u bytes", (unsigned)bytes);
        return;
    }
    double value = (double)bytes / 1024;
    size_t u = 0;
    while (value >= 999.5 && u + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        u++;
    }
    (void)snprintf(text, size, "%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[u]);
}

void sto_bar_text(const struct sto_bar *bar, char *text, size_t size)
{
    char fill[BAR_WIDTH + 1], amount[64], rate[64] = "", line[MAX_LINE];
    const uint64_t done = bar->done < bar->total ? bar->done : bar->total;
    const size_t filled = bar->total > 0 ? (size_t)((double)done / (double)bar->total * BAR_WIDTH) : BAR_WIDTH;
    memset(fill, '.', BAR_WIDTH);
    memset(fill, '#', filled);
    fill[BAR_WIDTH] = '\0';
    if (bar->bytes) {
        char a[24], b[24];
        sto_bytes_text(done, a, sizeof a);
        sto_bytes_text(bar->total, b, sizeof b);
        (void)snprintf(amount, sizeof amount, "%s of %s", a, b);
    } else {
        (void)snprintf(amount, sizeof amount, "%llu of %llu", (unsigned long long)done, (unsigned long long)bar->total);
    }
    if (bar->note != NULL) {
        (void)snprintf(rate, sizeof rate, "  %s", bar->note);
    } else if (bar->bytes && bar->elapsed_ns > 0) {
        char a[24];
        sto_bytes_text((uint64_t)((double)done * 1e9 / (double)bar->elapsed_ns), a, sizeof a);
        (void)snprintf(rate, sizeof rate, "  %s/s", a);
    }
    (void)snprintf(line, sizeof line, "%.24s  [%s]  %s%s", bar->what, fill, amount, rate);
    const size_t room = bar->columns > 1 ? bar->columns - 1 : 0;
    (void)snprintf(text, size, "%.*s", (int)(room < sizeof line ? room : sizeof line), line);
}

bool sto_term_progress(const char *what, uint64_t done, uint64_t total, const char *note)
{
    if (term.bars && !term.quiet) {
        const uint64_t now = sto_now_ns();
        lock();
        if (strncmp(term.what, what, sizeof term.what - 1) != 0) {
            clear_locked();
            (void)snprintf(term.what, sizeof term.what, "%s", what);
            term.begin_ns = now;
            term.drawn_ns = now; /* what ends within a tenth of a second is not drawn at all */
        }
        if (done >= total) {
            clear_locked();
            (void)fflush(stderr);
            term.what[0] = '\0';
        } else if (now - term.drawn_ns >= REDRAW_NS) {
            char text[MAX_LINE];
            const unsigned columns = sto_terminal_columns(STO_STDERR);
            const struct sto_bar bar = {.what = what,
                                        .done = done,
                                        .total = total,
                                        .bytes = strcmp(what, "weights") == 0,
                                        .note = note,
                                        .elapsed_ns = now - term.begin_ns,
                                        .columns = columns > 0 ? columns : 80};
            sto_bar_text(&bar, text, sizeof text);
            fprintf(stderr, "%s%s", ERASE_LINE, text);
            (void)fflush(stderr);
            term.drawn = true;
            term.drawn_ns = now;
        }
        unlock();
    }
    return sto_cli_interrupted();
}

static bool on_progress(void *user, const char *what, uint64_t done, uint64_t total)
{
    (void)user;
    return sto_term_progress(what, done, total, NULL);
}

struct sto_callbacks sto_term_callbacks(void)
{
    look_at_terminal();
    return (struct sto_callbacks){.log = on_log, .progress = on_progress};
}

/* libedit writes files of its own form, in which a line break is escaped; here is only what goes in and what comes out.
 */
#ifdef STO_HAVE_LIBEDIT

#include "host/cli/line_history.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"

static History *new_list(void)
{
    HistEvent event;
    History *lines = history_init();
    if (lines != NULL) {
        (void)history(lines, &event, H_SETSIZE, STO_MAX_HISTORY);
        (void)history(lines, &event, H_SETUNIQUE, 1);
    }
    return lines;
}

static void enter(History *lines, const char *line)
{
    HistEvent event;
    if (line[0] != '\0')
        (void)history(lines, &event, H_ENTER, line);
}

/* A line of the file, as it stands in a line. */
static void enter_folded(History *lines, const char *line, struct sto_pastes *pastes)
{
    const size_t size = strlen(line);
    char *text = strchr(line, '\n') != NULL ? sto_strndup(line, size) : NULL;
    enter(lines, text != NULL ? sto_pastes_add(pastes, text, size) : line);
}

/* A line, as it stands in the file. */
static void enter_expanded(History *lines, const char *line, const struct sto_pastes *pastes)
{
    char *text = NULL;
    size_t size = 0;
    if (sto_pastes_expand(pastes, line, strlen(line), &text, &size, NULL) == STO_OK &&
        size <= STO_MAX_HISTORY_LINE_BYTES)
        enter(lines, text);
    sto_free(text);
}

void sto_line_history_open(struct sto_line_history *h, struct sto_pastes *pastes)
{
    HistEvent event;
    char dir[900];
    h->lines = new_list();
    sto_state_dir(dir, sizeof dir);
    if (h->lines == NULL || dir[0] == '\0' || sto_make_dirs(dir, NULL) != STO_OK)
        return;
    (void)snprintf(h->path, sizeof h->path, "%s/history", dir);
    History *file = sto_file_exists(h->path) ? new_list() : NULL;
    if (file == NULL)
        return;
    (void)history(file, &event, H_LOAD, h->path);
    for (int more = history(file, &event, H_LAST); more >= 0; more = history(file, &event, H_PREV)) /* oldest first */
        enter_folded(h->lines, event.str, pastes);
    history_end(file);
}

void sto_line_history_add(struct sto_line_history *h, const char *line)
{
    if (h->lines != NULL)
        enter(h->lines, line);
}

void sto_line_history_save(const struct sto_line_history *h, const struct sto_pastes *pastes)
{
    HistEvent event;
    History *file = h->lines != NULL && h->path[0] != '\0' ? new_list() : NULL;
    if (file == NULL)
        return;
    for (int more = history(h->lines, &event, H_LAST); more >= 0; more = history(h->lines, &event, H_PREV))
        enter_expanded(file, event.str, pastes);
    (void)history(file, &event, H_SAVE, h->path);
    history_end(file);
}

void sto_line_history_close(struct sto_line_history *h)
{
    if (h->lines != NULL)
        history_end(h->lines);
    *h = (struct sto_line_history){0};
}

#else
typedef int sto_line_history_is_empty; /* ISO C wants a declaration in every file */
#endif

/* Formatting of log lines and calls of the progress callback. */
#include "runtime/base/log.h"

#include <stdarg.h>
#include <stdio.h>

void sto_log(const struct sto_callbacks *cb, enum sto_log_level level, const char *fmt, ...)
{
    if (cb == NULL || cb->log == NULL)
        return;
    char line[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    cb->log(cb->user, level, line);
}

bool sto_progress(const struct sto_callbacks *cb, const char *what, uint64_t done, uint64_t total)
{
    return cb != NULL && cb->progress != NULL && cb->progress(cb->user, what, done, total);
}

/* Messages to whoever embeds us. A NULL callback drops the line. Thread-safe where the callback is. */
#ifndef STO_BASE_LOG_H
#define STO_BASE_LOG_H

#include "runtime/base/status.h"

void sto_log(const struct sto_callbacks *cb, enum sto_log_level level, const char *fmt, ...) STO_PRINTF(3, 4);

/* Reports progress; true when the caller asked to cancel. */
bool sto_progress(const struct sto_callbacks *cb, const char *what, uint64_t done, uint64_t total);

#endif

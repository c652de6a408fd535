/* The one error idiom.
 *
 * Every function that can fail returns enum sto_status, 0 for success, and takes a struct sto_error as its last
 * argument. On failure the error holds one line of text that names the thing (file, key, value); on success it is
 * not touched. err may be NULL where the caller wants the status alone. The public names live in
 * runtime/strato.h; this header adds the helpers that fill an error in. */
#ifndef STO_BASE_STATUS_H
#define STO_BASE_STATUS_H

#include "runtime/strato.h"

#if defined(__MINGW32__)
#define STO_PRINTF(fmt, args) __attribute__((format(gnu_printf, fmt, args))) /* its own default knows no %zu */
#elif defined(__GNUC__)
#define STO_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define STO_PRINTF(fmt, args)
#endif

/* Fills err with a formatted line and returns status, so that a caller writes `return sto_fail(err, ...)`. Longer
 * text is cut at a UTF-8 boundary; control characters are replaced, so hostile names cannot break the terminal. */
enum sto_status sto_fail(struct sto_error *err, enum sto_status status, const char *fmt, ...) STO_PRINTF(3, 4);

/* Puts "prefix: " before an error that is already there; for adding a file's name to a parser's message. */
void sto_error_prefix(struct sto_error *err, const char *fmt, ...) STO_PRINTF(2, 3);

#endif

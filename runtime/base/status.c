/* Filling in struct sto_error: one printable line, cut at a UTF-8 boundary. */
#include "runtime/base/status.h"
#include "runtime/base/cursor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *sto_version(void)
{
    return "strato " STRATO_VERSION;
}

const char *sto_status_name(enum sto_status status)
{
    switch (status) {
    case STO_OK: return "ok";
    case STO_ERR_FAILED: return "failed";
    case STO_ERR_USAGE: return "usage";
    case STO_ERR_MODEL: return "model";
    case STO_ERR_NO_DEVICE: return "no device";
    case STO_ERR_NO_FIT: return "no fit";
    case STO_ERR_CANCELLED: return "cancelled";
    case STO_ERR_DEVICE_LOST: return "device lost";
    }
    return "?";
}

/* Copies text into a message of `size` bytes, with '?' for bytes that are not printable UTF-8. */
static void copy_printable(char *dst, size_t size, const char *src)
{
    const char *s = src;
    size_t left = strlen(src);
    size_t n = 0;
    while (left > 0) {
        const size_t len = sto_utf8_sequence(s, left);
        const bool c1_control = len == 2 && (uint8_t)s[0] == 0xc2 && (uint8_t)s[1] < 0xa0;
        const bool plain = (len > 1 && !c1_control) || (len == 1 && *s >= 0x20 && *s != 0x7f);
        const size_t take = len > 0 ? len : 1;
        if (n + take >= size)
            break;
        if (plain)
            memcpy(dst + n, s, take);
        else
            memset(dst + n, '?', take);
        n += take;
        s += take;
        left -= take;
    }
    dst[n] = '\0';
}

enum sto_status sto_fail(struct sto_error *err, enum sto_status status, const char *fmt, ...)
{
    if (err != NULL) {
        char text[sizeof err->message];
        va_list args;
        va_start(args, fmt);
        (void)vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        err->status = status;
        copy_printable(err->message, sizeof err->message, text);
    }
    return status;
}

void sto_error_prefix(struct sto_error *err, const char *fmt, ...)
{
    if (err == NULL)
        return;
    char text[2 * sizeof err->message];
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof err->message, fmt, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used >= sizeof err->message)
        used = sizeof err->message - 1;
    (void)snprintf(text + used, sizeof text - used, ": %s", err->message);
    copy_printable(err->message, sizeof err->message, text);
}

/* Writes the string's source itself: cJSON passes it on as it is. */
#include "host/cli/json_text.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/cursor.h"
#include "runtime/base/mem.h"

enum { MOST_PER_BYTE = 6 /* \u0000 */ };

/* Writes one character of the text at `at`; gives the bytes written, and in *taken the bytes read. */
static size_t put(char *out, const char *at, size_t left, size_t *taken)
{
    const unsigned char c = (unsigned char)*at;
    const size_t n = c < 0x20 ? 1 : sto_utf8_sequence(at, left);
    *taken = n > 0 ? n : 1;
    if (c < 0x20)
        return (size_t)snprintf(out, MOST_PER_BYTE + 1, "\\u%04x", (unsigned)c);
    if (n == 0) {
        memcpy(out, "\xef\xbf\xbd", 3);
        return 3;
    }
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = *at;
        return 2;
    }
    memcpy(out, at, n);
    return n;
}

struct cJSON *sto_json_text(const char *text, size_t size)
{
    char *source = sto_calloc(size + 1, MOST_PER_BYTE);
    size_t n = 0, taken;
    if (source == NULL)
        return NULL;
    source[n++] = '"';
    for (size_t at = 0; at < size; at += taken)
        n += put(source + n, text + at, size - at, &taken);
    source[n++] = '"';
    source[n] = '\0';
    cJSON *json = cJSON_CreateRaw(source);
    sto_free(source);
    return json;
}

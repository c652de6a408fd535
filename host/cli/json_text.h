/* Strings of any bytes in JSON: what cJSON, whose strings end at NUL and may hold any byte, does not do itself. */
#ifndef STO_CLI_JSON_TEXT_H
#define STO_CLI_JSON_TEXT_H

#include <stddef.h>

struct cJSON;

/* A JSON string: NUL and other control characters are escaped, bytes that are not UTF-8 become U+FFFD. To be added to
 * an object, which owns it then. NULL: no memory (adding NULL adds nothing). */
struct cJSON *sto_json_text(const char *text, size_t size);

#endif

/* JSON text to values and back (RFC 8259).
 *
 * Reading is safe on hostile bytes: linear time, limits by name, errors that say where. Writing gives what Python's
 * json.dumps(ensure_ascii=False) gives, which is what chat templates are written against. Any thread. */
#ifndef STO_JSON_H
#define STO_JSON_H

#include "host/value.h"

enum {
    STO_JSON_MAX_DEPTH = 128,      /* lists and objects within each other   */
    STO_JSON_MAX_BYTES = 256 << 20 /* of one text                           */
};

/* Reads one value and white space around it. Keys that come twice: the last value counts, in the first one's place.
 * Integers beyond 64 bits become floats; a lone surrogate escape becomes U+FFFD.
 * STO_ERR_USAGE: not JSON, or over a limit; the message says line, column (in bytes, both from 1) and what is wrong. */
enum sto_status sto_json_read(struct sto_arena *arena, const char *text, size_t size, struct sto_value *out,
                              struct sto_error *err);

struct sto_json_style {
    unsigned indent;             /* spaces per level; 0 with indented false: one line */
    bool indented;               /* a line per element                                */
    bool sort_keys;
    bool ascii;                  /* everything beyond ASCII as \u escapes             */
    const char *item_separator;  /* NULL: ", ", or "," when indented                  */
    const char *key_separator;   /* NULL: ": "                                        */
};

/* Text that grows in memory; zero-initialised is empty. Free with sto_free(data). */
struct sto_json_text {
    char *data; /* NUL-terminated once something was written */
    size_t size, capacity;
    size_t max_size; /* writing beyond it fails; 0: STO_JSON_MAX_BYTES */
};

/* Appends v. style NULL: Python's default, {"a": 1, "b": [2.0, null]}. Bytes that are not UTF-8 become U+FFFD.
 * STO_ERR_USAGE: v holds something undefined or opaque, or is nested deeper than STO_JSON_MAX_DEPTH.
 * STO_ERR_FAILED: memory is short, or the text would exceed max_size. */
enum sto_status sto_json_write(struct sto_json_text *out, struct sto_value v, const struct sto_json_style *style,
                               struct sto_error *err);

/* ---- numbers, as JSON and Python write them ---- */

enum { STO_FLOAT_TEXT_BYTES = 32 };
/* The shortest decimal text that reads back as x, in Python's form: 1.0, 0.1, 1e+16, inf, nan. NUL-terminated; returns
 * its size. Does not depend on the locale. */
size_t sto_float_text(double x, char out[STO_FLOAT_TEXT_BYTES]);
/* The number that begins at text[0], in JSON's grammar: an integer where it is written as one and fits. Returns the
 * bytes it took; 0: there is none. Does not depend on the locale. */
size_t sto_number_read(const char *text, size_t size, struct sto_value *out);

#endif

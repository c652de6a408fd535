/* Where a call of a tool ends: reads it once, byte by byte, as it comes.
 *
 * A call ends at its closing marker, where that does not stand within a JSON string; or, in formats without one, where
 * its JSON is complete. What is in the call is for host/tool_calls.h to judge. */
#ifndef STO_CALL_SCAN_H
#define STO_CALL_SCAN_H

#include "host/tool_format.h"

enum { STO_MAX_CALL_NAME = 256, STO_MAX_CALL_BYTES = 1 << 20 };

enum sto_call_end {
    STO_CALL_MORE,  /* goes on                                                        */
    STO_CALL_WHOLE, /* ends at scan.at; closing marker included, where there is one   */
    STO_CALL_BROKEN /* cannot become a call: all before scan.at is text               */
};

struct sto_call_scan { /* zero-initialise, then set the first three */
    const struct sto_tool_format *format;
    bool bare;         /* JSON without a marker                               */
    size_t begin;      /* of the body in the text: behind the opening marker  */
    size_t at;         /* bytes of the text that were looked at               */
    size_t end;        /* of the body, once whole                             */
    unsigned depth;    /* of brackets in the JSON                             */
    bool json;         /* JSON has begun                                      */
    bool plain;        /* what began as JSON is none: only the marker counts  */
    bool in_string, escaped;
};

/* Looks at what has come since the last call; text is the whole of it, from the opening marker (or wrapper) on. */
enum sto_call_end sto_call_scan(struct sto_call_scan *scan, const char *text, size_t size);

#endif

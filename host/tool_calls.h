/* What is in a call of a tool: its name and its arguments, in any of the forms of host/tool_format.h. */
#ifndef STO_TOOL_CALLS_H
#define STO_TOOL_CALLS_H

#include "host/conversation.h"
#include "host/tool_format.h"
#include "host/value.h"

enum { STO_MAX_CALLS = 64 }; /* within one pair of markers */

struct sto_call_list { /* zero-initialised is empty; free with sto_arena_free(&list.arena) */
    struct sto_arena arena;
    struct sto_tool_call calls[STO_MAX_CALLS]; /* [n] texts lie in the arena */
    size_t n;
};

/* Reads the text between the markers. tools: the tools that were offered, a list of objects as APIs have them, or
 * undefined; formats that write values without quotes need it to tell a text from a number.
 * False: malformed, or no memory; the list's arena is to be freed in any case. */
bool sto_tool_calls_read(enum sto_call_body body, const char *text, size_t size, struct sto_value tools,
                         struct sto_call_list *out);

/* One call of a known name with arguments as JSON text: an object, or nothing for an empty one. */
bool sto_tool_call_add(struct sto_call_list *out, const char *name, size_t name_size, const char *json, size_t size);
/* The same with arguments as a value: an object, or the JSON text of one. */
bool sto_tool_call_add_value(struct sto_call_list *out, const char *name, size_t name_size, struct sto_value arguments);

/* tool_gemma.c: key:value,.. up to the closing brace, as an object. False: malformed. */
bool sto_gemma_arguments(struct sto_arena *arena, const char *text, size_t size, struct sto_value *out);

#endif

/* How a model writes calls of tools: found from the text of its chat template alone.
 *
 * Sources: the templates that the models' publishers ship. gpt-oss writes calls as messages (host/answer_harmony.c). */
#ifndef STO_TOOL_FORMAT_H
#define STO_TOOL_FORMAT_H

#include "host/marker.h"
#include "runtime/base/cursor.h"

/* What stands between the markers. */
enum sto_call_body {
    STO_CALL_TAGGED,   /* {"name", "arguments"}, or <function=..><parameter=..>, or a name and <arg_key>..<arg_value> */
    STO_CALL_JSON,     /* one object, or a list of them, with "name" and "arguments" or "parameters"                  */
    STO_CALL_DEEPSEEK, /* function<sep>name and a block of JSON, or name<sep>JSON                                     */
    STO_CALL_DSML,     /* DeepSeek's later tags: name="..">, parameters, each with string="true" or "false"           */
    STO_CALL_KIMI,     /* functions.name:0<|tool_call_argument_begin|>JSON                                            */
    STO_CALL_MISTRAL,  /* [JSON, ...] or name[ARGS]JSON, name[CALL_ID]id[ARGS]JSON                                    */
    STO_CALL_GEMMA,    /* call:name{key:<|"|>text<|"|>,key:1}                                                         */
    STO_CALL_PYTHON,   /* JSON, or name.call(key="value")                                                             */
    STO_CALL_FUNCTION, /* name>JSON                                                                                   */
};

struct sto_tool_format {
    const char *name;                   /* "hermes", "mistral"                                         */
    const char *sign;                   /* what the source of a template with this format holds        */
    const char *open, *close;           /* around a call; close NULL: it ends where its JSON does      */
    const char *wrap_open, *wrap_close; /* around all calls; NULL: nothing                             */
    enum sto_call_body body;
    bool bare;                          /* an answer that begins like {"name" is a call, too           */
};

/* NULL: the template mentions no form that is known. Static storage. */
const struct sto_tool_format *sto_tool_format_find(struct sto_view chat_template);
/* By name; NULL: there is none. For tests. */
const struct sto_tool_format *sto_tool_format_named(const char *name);

#endif

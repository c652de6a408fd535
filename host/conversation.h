/* libstrato, the text layer: a conversation with a model.
 *
 *   struct sto_conversation *c;
 *   sto_conversation_create(generator, &c, &err);
 *   sto_conversation_add_text(c, "user", "Tell me about foxes.", &err);
 *   struct sto_reply_params p;
 *   sto_reply_defaults(&p);
 *   p.on_event = show;
 *   sto_conversation_reply(c, &p, &result, &err);        appends the model's message, too
 *
 * Messages are put into the model's own chat template. What came before is in the KV cache already: only tokens behind
 * the longest beginning in common with the last time are evaluated. Templates that leave out the thoughts of earlier
 * turns make that beginning end where the last turn's thought was.
 *
 * A context that fills up: when less than a quarter of it (or than max_tokens, if that is less) is left for the reply,
 * the oldest turns are left out until half of it is free; a turn begins with a message of the user. System messages
 * that come first stay, and so does the last turn. An event says so. Messages that were left out remain in the
 * conversation, only the model does not see them any more.
 *
 * Lifetime: the generator outlives the conversation. One conversation per generator at a time has its tokens in the KV
 * cache; others, and sto_generate, may use the generator in between, which costs evaluating again. Threads: as the
 * generator's; sto_conversation_cancel may come from any thread. */
#ifndef STRATO_CONVERSATION_H
#define STRATO_CONVERSATION_H

#include "host/generate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- events ---------------------------------------------------------------------------------------------- */

enum sto_event_kind {
    STO_EVENT_REASONING, /* text of a thought                                                     */
    STO_EVENT_TEXT,      /* text of the answer                                                    */
    STO_EVENT_TOOL_CALL, /* a whole call; a malformed one comes as text instead                   */
    STO_EVENT_DROPPED,   /* before a reply: the oldest turns, n messages, are left out from here on */
    STO_EVENT_DONE       /* the reply has ended: stop says why                                    */
};

/* name and arguments are NUL-terminated UTF-8; arguments is a JSON object. */
struct sto_tool_call {
    const char *name, *arguments;
};

/* All pointers are valid during the callback alone. */
struct sto_event {
    enum sto_event_kind kind;
    const char *text; /* [size] REASONING, TEXT: whole UTF-8 sequences, never empty, not NUL-terminated */
    size_t size;
    struct sto_tool_call call; /* TOOL_CALL                                                             */
    size_t n;                  /* TOOL_CALL: its number in this reply, from 0; DROPPED: messages         */
    enum sto_stop stop;        /* DONE                                                                  */
};

/* ---- messages -------------------------------------------------------------------------------------------- */

struct sto_conversation;

/* Takes the chat template from the model's file. A model without one gets "User: ..", "Assistant: ..", and its replies
 * end before "User:".
 * STO_ERR_MODEL: the template cannot be read (the message names its line). */
enum sto_status sto_conversation_create(struct sto_generator *generator, struct sto_conversation **out,
                                        struct sto_error *err);
void sto_conversation_destroy(struct sto_conversation *conversation);

/* Whether the file has a chat template. */
bool sto_conversation_has_template(const struct sto_conversation *conversation);

/* Adds a message at the end. role: "system", "user", "assistant", "tool" or what else the template knows. content:
 * size bytes, or NUL-terminated when size is 0; any bytes, none of which becomes a special token. */
enum sto_status sto_conversation_add(struct sto_conversation *conversation, const char *role, const char *content,
                                     size_t size, struct sto_error *err);
/* The same from JSON: an object with "role", and "content", "reasoning_content", "tool_calls", "tool_call_id", "name"
 * and so on, as chat templates and HTTP APIs have them. STO_ERR_USAGE: no JSON, no object, or no role. */
enum sto_status sto_conversation_add_json(struct sto_conversation *conversation, const char *json, size_t size,
                                          struct sto_error *err);

size_t sto_conversation_count(const struct sto_conversation *conversation);
/* A text of message i (below the count), such as "role", "content" or "reasoning_content"; NUL-terminated, valid until
 * the message is removed. NULL: the message does not have it, or it is no text. */
const char *sto_conversation_field(const struct sto_conversation *conversation, size_t i, const char *key);
/* Message i as JSON, as sto_conversation_add_json takes it; free it with sto_conversation_free_text. */
enum sto_status sto_conversation_json(const struct sto_conversation *conversation, size_t i, char **json,
                                      struct sto_error *err);
void sto_conversation_free_text(char *text); /* accepts NULL */
/* Removes message i, or all from i on. What was left out of the context may come back then. */
void sto_conversation_remove(struct sto_conversation *conversation, size_t i);
void sto_conversation_truncate(struct sto_conversation *conversation, size_t i);
/* Messages at the beginning (behind those of the system) that the model does not see any more. */
size_t sto_conversation_dropped(const struct sto_conversation *conversation);

/* The tools that are offered from now on: a JSON list of objects as HTTP APIs have them,
 *   {"type": "function", "function": {"name": .., "description": .., "parameters": a JSON schema}}
 * or what is in "function" alone, which is put into such an object. NULL, or an empty list: none.
 * STO_ERR_USAGE: it is not; the tools are as before. */
enum sto_status sto_conversation_set_tools(struct sto_conversation *conversation, const char *json, size_t size,
                                           struct sto_error *err);
/* The tools as JSON, *json NULL: there are none; free it with sto_conversation_free_text. */
enum sto_status sto_conversation_tools(const struct sto_conversation *conversation, char **json, struct sto_error *err);
/* Whether the form in which the model writes calls of tools is known. If not, they come as text. */
bool sto_conversation_knows_calls(const struct sto_conversation *conversation);

/* ---- replies --------------------------------------------------------------------------------------------- */

enum sto_thinking {
    STO_THINKING_AUTO, /* as the template has it */
    STO_THINKING_ON,   /* through the template's own switch, or by opening the thought in the prompt    */
    STO_THINKING_OFF   /* through the switch, or by putting an empty thought into the prompt            */
};

struct sto_reply_params {
    enum sto_thinking thinking;
    uint32_t thinking_budget; /* tokens of thought after which it is closed; 0: no limit                       */
    const char *budget_text;  /* what the thought then ends with; NULL: a text that says that time is up       */
    uint32_t max_tokens;      /* 0: until the model ends or the context is full                                */
    bool ignore_end;          /* go on after tokens that end a turn                                            */
    const char *const *stops; /* [n_stops] strings that end the reply when they come up in the answer          */
    size_t n_stops;
    struct sto_sampler_params sampling;
    void *user;
    bool (*on_event)(void *user, const struct sto_event *event);  /* return true to stop. NULL: none           */
    /* All that is generated as it comes, marks of thoughts and calls too: what `generated.text` of the reply holds in
     * the end. Whole UTF-8 sequences, never empty, not NUL-terminated; return true to stop. NULL: none. */
    bool (*on_raw)(void *user, const char *text, size_t size);
    bool (*on_prompt)(void *user, size_t done, size_t total);     /* as in struct sto_generate_params          */
};
/* Everything zero but sampling, which gets sto_sampler_defaults. */
void sto_reply_defaults(struct sto_reply_params *params);

struct sto_reply {
    struct sto_generate_result generated; /* prompt_tokens: all of the prompt; text: all that was generated, thoughts
                                             and calls with their marks; prompt_ns: evaluating n_evaluated tokens */
    size_t n_evaluated;                   /* tokens of the prompt that were not in the KV cache                   */
    size_t n_dropped;                     /* messages that were left out for this reply for the first time        */
    size_t n_thought;                     /* generated tokens that were thoughts                                  */
};

/* Generates the assistant's message and adds it to the conversation, also when it was stopped midway. When an error
 * ends it the conversation is as before. Free *reply in any case.
 * STO_ERR_USAGE: there is no message; the template refuses the messages (its words are in the error); the last turn
 * alone does not fit in the context; a parameter is out of range. */
enum sto_status sto_conversation_reply(struct sto_conversation *conversation, const struct sto_reply_params *params,
                                       struct sto_reply *reply, struct sto_error *err);
void sto_reply_free(struct sto_reply *reply); /* accepts a zeroed one */

/* Ends the reply that is running; with none running, the next one. Any thread; safe in a signal handler. */
void sto_conversation_cancel(struct sto_conversation *conversation);

#ifdef __cplusplus
}
#endif
#endif

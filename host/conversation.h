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
    STO_EVENT_DROPPED,   /* the oldest turns are left out from here on: n of them, before a reply */
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
    size_t n;                  /* TOOL_CALL: its number in this reply, from 0; DROPPED: turns            */
    enum sto_stop stop;        /* DONE                                                                  */
};

#ifdef __cplusplus
}
#endif
#endif

/* The inside of a conversation. conversation.c keeps the messages, conversation_prompt.c makes the prompt of them and
 * knows what of it is in the KV cache, conversation_reply.c generates. */
#ifndef STO_CONVERSATION_INTERNAL_H
#define STO_CONVERSATION_INTERNAL_H

#include "host/conversation.h"
#include "host/generation.h"
#include "host/reasoning.h"
#include "host/template.h"
#include "host/tool_format.h"

struct sto_message {
    struct sto_arena arena;
    struct sto_value value; /* object, in the arena */
};

struct sto_conversation {
    struct sto_generator *generator;
    const struct sto_template *form;  /* the generator's, or plain_form */
    struct sto_template *plain_form;  /* for a model without a template; owned */
    struct sto_reasoning reasoning;
    const struct sto_tool_format *tool_format; /* NULL: none known */
    struct sto_message *messages;              /* [n] */
    size_t n, capacity;
    size_t n_dropped;         /* behind the system's messages */
    struct sto_arena tools_arena;
    struct sto_value tools;   /* list, or undefined */

    /* What the session holds, if run is still the generator's: ids, and the text that they stand for. */
    uint64_t run;
    struct sto_tokens ids;
    char *text; /* rendered prompt and what was generated behind it, [text_size]; owned */
    size_t text_size;
};

/* Messages of the system that come first; they are never left out. */
size_t sto_conversation_n_system(const struct sto_conversation *c);

/* Adds a message that was made elsewhere; its arena passes to the conversation, unless memory is short. */
enum sto_status sto_conversation_take(struct sto_conversation *c, struct sto_message *message, struct sto_error *err);

/* A prompt, and how it was made. Zero-initialise; free with sto_prompt_free. */
struct sto_prompt {
    struct sto_rendering rendering; /* what follows is added behind the rendering */
    char prefill[STO_MAX_PREFILL_BYTES];
    bool in_thought;                /* where the rendering ends */
    struct sto_tokens ids;
    size_t n_kept;                  /* of these are in the session already */
};
void sto_prompt_free(struct sto_prompt *prompt);

/* The prompt with the first n_dropped messages left out, whatever its length. */
enum sto_status sto_prompt_render(const struct sto_conversation *c, size_t n_dropped, enum sto_thinking thinking,
                                  struct sto_prompt *out, struct sto_error *err);
/* Renders, leaves out turns until it fits, tokenizes, and compares with the session. */
enum sto_status sto_prompt_make(struct sto_conversation *c, const struct sto_reply_params *params,
                                struct sto_prompt *out, struct sto_error *err);

#endif

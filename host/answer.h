/* What a model writes, taken apart while it comes: thoughts, answer, calls of tools.
 *
 *   text -> buffer -> step, step, .. -> events
 *           └ what may be the beginning of a marker, or the call that is under way
 *
 * Each step looks at the beginning of the buffer and either settles some of it or needs more text; what it decides does
 * not depend on how much more there is. So the events are the same for every way of cutting the stream into pieces (but
 * for where REASONING and TEXT are cut), and text never waits for more than STO_MAX_MARKER_BYTES. A call that is under
 * way is not text yet; when it turns out to be malformed it becomes text, markers and all.
 *
 * White space behind the markers of a thought and behind a call is dropped. Nothing else is lost but the markers. */
#ifndef STO_ANSWER_H
#define STO_ANSWER_H

#include "host/call_scan.h"
#include "host/conversation.h"
#include "host/reasoning.h"
#include "host/value.h"

enum { STO_MAX_HEADER_BYTES = 256 }; /* of a Harmony message, behind <|start|> */

struct sto_answer_params {
    struct sto_reasoning reasoning;
    const struct sto_tool_format *tool_format; /* NULL: no calls are looked for. Harmony has its own */
    struct sto_value tools;                    /* as sto_tool_calls_read has it                     */
    bool in_thought;                           /* the prompt has opened a thought                    */
    void *user;
    bool (*on_event)(void *user, const struct sto_event *event); /* true: no more events are wanted  */
};

enum sto_answer_mode {
    STO_ANSWER_START,       /* nothing has come but white space            */
    STO_ANSWER_THOUGHT_GAP, /* white space behind the opening marker       */
    STO_ANSWER_THOUGHT,
    STO_ANSWER_GAP,         /* white space behind the closing marker       */
    STO_ANSWER_TEXT,
    STO_ANSWER_WRAPPED,     /* behind the marker that announces calls      */
    STO_ANSWER_CALL,
    STO_ANSWER_CALLED,      /* white space behind a call                   */
    STO_HARMONY_START,      /* behind the prompt's <|start|>assistant      */
    STO_HARMONY_HEADER,     /* up to <|message|>                           */
    STO_HARMONY_BODY,
    STO_HARMONY_BETWEEN,    /* behind the end of a message                 */
    STO_HARMONY_TEXT        /* outside of any message                      */
};

struct sto_answer { /* sto_answer_init fills it in */
    struct sto_answer_params params;
    enum sto_answer_mode mode;
    char *buffer; /* [size]; what lies before `pos` is settled; owned */
    size_t size, capacity, pos;
    bool blank;   /* text begins here: it may be a call as bare JSON                   */
    bool wrapped; /* calls were announced by a marker, which has to be closed          */
    size_t n_calls;
    struct sto_call_scan scan;
    enum sto_event_kind channel; /* Harmony: what the message that is open holds       */
    size_t body;                 /* where its text begins, from pos: calls are kept whole */
    bool stopped;  /* on_event said so */
};

enum sto_status sto_answer_init(struct sto_answer *answer, const struct sto_answer_params *params,
                                struct sto_error *err);
void sto_answer_free(struct sto_answer *answer); /* accepts a zeroed one */

/* Adds text. Calls on_event with what is settled by it; after on_event has returned true text is taken and forgotten.
 * STO_ERR_NO_FIT: no memory. */
enum sto_status sto_answer_add(struct sto_answer *answer, const char *text, size_t size, struct sto_error *err);
/* The stream has ended: gives out what was held. */
void sto_answer_finish(struct sto_answer *answer);

/* Whether what comes next belongs to a thought. */
bool sto_answer_in_thought(const struct sto_answer *answer);
/* Whether a control token with this text has to be passed on as text, because it is a marker. */
bool sto_answer_wants_marker(const struct sto_answer *answer, const char *text, size_t size);

/* ---- between answer.c and answer_harmony.c ---- */

/* One step at the beginning of the buffer. False: more text is needed. */
bool sto_harmony_step(struct sto_answer *answer, bool at_end);
/* Gives out the next n bytes of the buffer and goes on behind them. */
void sto_answer_give(struct sto_answer *answer, enum sto_event_kind kind, size_t n);
/* Gives out text up to the first of the markers, and its number; SIZE_MAX: none is there, and what may begin one stays
 * in the buffer. */
size_t sto_answer_give_until(struct sto_answer *answer, enum sto_event_kind kind, const struct sto_markers *markers,
                             bool at_end);
/* n, or up to 3 less: where the next n bytes of the buffer do not end within a UTF-8 sequence. */
size_t sto_answer_whole(const struct sto_answer *answer, size_t n);
struct sto_call_list;
void sto_answer_give_calls(struct sto_answer *answer, const struct sto_call_list *calls);

#endif

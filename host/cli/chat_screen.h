/* What strato chat and strato run show of a reply while it comes: on a terminal thoughts are dim or folded, and what
 * would steer the terminal is left out; elsewhere only the answer is written. Calls of tools come in brackets. */
#ifndef STO_CLI_CHAT_SCREEN_H
#define STO_CLI_CHAT_SCREEN_H

#include "host/conversation.h"
#include "runtime/base/status.h"

struct sto_chat_screen {
    bool terminal; /* standard output is one: thoughts are shown there only       */
    bool colour;
    bool fold;     /* thoughts are hidden                                         */
    int broken;    /* errno since standard output takes no more; 0: it does       */
    bool thinking; /* the last thing shown was a thought                          */
    char last;     /* byte written                                                */
};

void sto_chat_screen_begin(struct sto_chat_screen *screen, bool fold); /* finds out what the terminal can do */
void sto_chat_screen_event(struct sto_chat_screen *screen, const struct sto_event *event);
/* Ends a reply's last line and switches colours off. */
void sto_chat_screen_end(struct sto_chat_screen *screen);
/* Text of any origin. */
void sto_chat_screen_text(struct sto_chat_screen *screen, const char *text, size_t size);
/* A line in brackets on standard error. */
void sto_chat_note(const struct sto_chat_screen *screen, const char *format, ...) STO_PRINTF(2, 3);

#endif

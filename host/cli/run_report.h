/* What strato run says of a generation that has ended: a line for people, an object for programs. */
#ifndef STO_CLI_RUN_REPORT_H
#define STO_CLI_RUN_REPORT_H

#include "host/cli/stack.h"
#include "host/conversation.h"
#include "host/text_stream.h"

struct cJSON;

struct sto_run_answer { /* zero-initialised is empty */
    struct sto_generate_result result;
    size_t n_thought;                          /* generated tokens that were thoughts                     */
    struct sto_text_stream reasoning, content; /* what the text was taken apart into                      */
    struct cJSON *calls;                       /* list as messages have it under "tool_calls"; NULL: none */
};
void sto_run_answer_free(struct sto_run_answer *answer);

/* Notes a reply's event. STO_ERR_NO_FIT: no memory. */
enum sto_status sto_run_answer_add(struct sto_run_answer *answer, const struct sto_event *event, struct sto_error *err);

/* One line on standard error: tokens, time, memory. */
void sto_run_print_summary(const struct sto_stack *stack, const struct sto_run_answer *answer);
/* Likewise, what a decode step is made of. */
void sto_run_print_step(const struct sto_stack *stack);

/* One line of JSON, to be freed with cJSON_free. Moves answer->calls into it. STO_ERR_NO_FIT: no memory. */
enum sto_status sto_run_json(const struct sto_stack *stack, struct sto_run_answer *answer, char **text,
                             struct sto_error *err);

#endif

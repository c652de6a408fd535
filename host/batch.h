/* libstrato, the text layer: many prompts at once.
 *
 *   struct sto_batch *b;
 *   sto_batch_create(model, &b, &err);
 *   for each prompt: sto_batch_add(b, &job, &err);
 *   engine of sto_batch_context(b) tokens and n_sequences sessions;
 *   sto_batch_run(b, engine, &params, &err);           each result comes to params.on_result as soon as it is there
 *
 * Prompts go through the layers together, up to n_sequences of them at a time, and where one ends the next begins: a
 * pass holds one token of each that is generating, and as much of new prompts as a ubatch has room for. What a model
 * costs to read (or to stream to the device) is paid once for all of them. Each prompt has a sampler of its own: a
 * result depends on its job alone, to the extent that sto_engine_eval's logits do not depend on what shares a pass.
 *
 * Lifetime: the model outlives the batch. Threads: one batch belongs to one thread at a time; sto_batch_cancel may come
 * from any thread. */
#ifndef STRATO_BATCH_H
#define STRATO_BATCH_H

#include "host/conversation.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sto_batch;

/* STO_ERR_MODEL as in sto_generator_create. */
enum sto_status sto_batch_create(const struct sto_model *model, struct sto_batch **out, struct sto_error *err);
void sto_batch_destroy(struct sto_batch *batch);

struct sto_batch_job {
    const char *prompt;       /* UTF-8 [prompt_size]: one user turn, or with raw (or for a model without a chat
                                 template) a text to continue                                                  */
    size_t prompt_size;
    const char *messages;     /* instead: JSON list of messages [messages_size], as in sto_conversation_add_json */
    size_t messages_size;
    const char *system;       /* [system_size] message before them; NULL: none                                  */
    size_t system_size;
    bool raw;
    enum sto_thinking thinking;
    uint32_t max_tokens;      /* 0: until the model ends or the context is full                                 */
    bool ignore_end;
    const char *const *stops; /* [n_stops] as in sto_generate; borrowed until the batch is destroyed            */
    size_t n_stops;
    struct sto_sampler_params sampling; /* what it points to is borrowed likewise                                */
};

/* Adds a job, which gets the next number, from 0, and makes its prompt's tokens. One whose prompt cannot be made (its
 * template refuses, its messages are no messages) is kept: its result is the error.
 * STO_ERR_MODEL: the model's chat template cannot be read, and the job needs it. STO_ERR_NO_FIT: no memory. */
enum sto_status sto_batch_add(struct sto_batch *batch, const struct sto_batch_job *job, struct sto_error *err);
size_t sto_batch_count(const struct sto_batch *batch);

/* What makes the prompts: for sto_generator_find_token and sto_generator_chat_form alone. Lives as long as the
 * batch. */
const struct sto_generator *sto_batch_generator(const struct sto_batch *batch);

/* The context in which every job has room for its prompt and max_tokens, within what the model was trained for; a job
 * without max_tokens counts with STO_BATCH_OPEN_TOKENS. At least 1. */
enum { STO_BATCH_OPEN_TOKENS = 2048 };
uint32_t sto_batch_context(const struct sto_batch *batch);

/* How one job ended. Pointers are valid during the callback alone. */
struct sto_batch_result {
    size_t job;
    enum sto_status status;        /* not STO_OK: error says why, and there is no text                           */
    const char *error;             /* one line                                                                   */
    const uint32_t *prompt_tokens; /* [n_prompt_tokens]                                                          */
    size_t n_prompt_tokens;
    const uint32_t *tokens;        /* [n_tokens] generated, the one that ended the turn too                      */
    size_t n_tokens;
    const char *text;              /* [text_size] UTF-8, all that the model wrote                                */
    size_t text_size;
    enum sto_stop stop;
};

struct sto_batch_progress {
    size_t n_done, n_failed;           /* jobs that have a result, and those of them that are errors */
    size_t n_running, n_jobs;
    uint64_t n_prompt_tokens, n_tokens; /* evaluated, and generated, also by jobs that still run      */
};

struct sto_batch_params {
    uint32_t n_sequences;       /* jobs at a time; 0: 1. Fewer where a pass has not as many columns or rows of logits */
    const bool *skip;           /* [count] true: the job is left out; NULL: none                                 */
    void *user;
    /* STO_OK, or the error with which the run is to end. */
    enum sto_status (*on_result)(void *user, const struct sto_batch_result *result, struct sto_error *err);
    /* After every pass. NULL: none. */
    void (*on_progress)(void *user, const struct sto_batch_progress *progress);
};

/* Runs the jobs that are not skipped, in order of their numbers; results come in the order in which they end. progress,
 * if not NULL, receives the last figures in any case. Makes n_sequences sessions of the engine, and fewer where memory
 * ends; the engine has no other use meanwhile.
 * STO_ERR_CANCELLED: sto_batch_cancel; what was not finished has no result. Other errors are the engine's own, or
 * on_result's: errors of single jobs are results. */
enum sto_status sto_batch_run(struct sto_batch *batch, struct sto_engine *engine, const struct sto_batch_params *params,
                              struct sto_batch_progress *progress, struct sto_error *err);

/* Ends the run, or the next one, before its next pass. Any thread; safe in a signal handler. */
void sto_batch_cancel(struct sto_batch *batch);

#ifdef __cplusplus
}
#endif
#endif

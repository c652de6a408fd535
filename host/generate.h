/* libstrato, the text layer: text in, text out, streamed.
 *
 *   struct sto_generator *g;
 *   sto_generator_create(engine, &g, &err);
 *   struct sto_generate_params p;
 *   sto_generate_defaults(&p);
 *   p.prompt = "Tell me about foxes.";
 *   p.on_text = print;
 *   sto_generate(g, &p, &result, &err);
 *
 * host/conversation.h goes on from here: several turns, thoughts and calls of tools as events.
 *
 * A generator owns one session of an engine and the model's tokenizer. Lifetime: the engine and its model outlive the
 * generator. Threads: one generator belongs to one thread at a time; sto_generator_cancel may come from any thread. */
#ifndef STRATO_GENERATE_H
#define STRATO_GENERATE_H

#include "host/sampler.h"
#include "runtime/strato.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sto_generator;

/* STO_ERR_MODEL: the file has no tokenizer, or one that is not supported. */
enum sto_status sto_generator_create(struct sto_engine *engine, struct sto_generator **out, struct sto_error *err);
void sto_generator_destroy(struct sto_generator *generator);

/* Why generation ended. */
enum sto_stop {
    STO_STOP_END,      /* the model ended its turn                                  */
    STO_STOP_LENGTH,   /* max_tokens were generated                                 */
    STO_STOP_CONTEXT,  /* the context is full                                       */
    STO_STOP_STRING,   /* one of the stop strings came up; it is not part of the text */
    STO_STOP_CANCELLED /* the callback or sto_generator_cancel asked to stop        */
};
const char *sto_stop_name(enum sto_stop stop); /* "end", "length", ... */

struct sto_generate_params {
    const char *prompt;       /* UTF-8; prompt_size bytes, or NUL-terminated when prompt_size is 0 */
    size_t prompt_size;
    bool raw;                 /* the prompt as it is; else it is one user turn in the chat template of the model's file,
                                 if that has one (sto_generator_chat_form); its text never becomes a control token */
    bool parse_special;       /* raw prompts: text such as "<|im_end|>" becomes the control token                */
    uint32_t max_tokens;      /* 0: until the model ends or the context is full                                  */
    bool ignore_end;          /* go on after tokens that end a turn                                              */
    const char *const *stops; /* [n_stops] strings that end generation, none empty                               */
    size_t n_stops;
    struct sto_sampler_params sampling;
    void *user;
    /* Called with text as it comes: whole UTF-8 sequences, never empty, not NUL-terminated. Return true to stop.
     * NULL: none. */
    bool (*on_text)(void *user, const char *text, size_t size);
    /* Called after each group of prompt tokens. Return true to stop. NULL: none. */
    bool (*on_prompt)(void *user, size_t done, size_t total);
};
/* Everything zero but sampling, which gets sto_sampler_defaults. */
void sto_generate_defaults(struct sto_generate_params *params);

struct sto_generate_result {
    uint32_t *prompt_tokens; /* [n_prompt_tokens] ids the prompt became                     */
    size_t n_prompt_tokens;
    uint32_t *tokens;        /* [n_tokens] ids generated, the one that ended the turn too   */
    size_t n_tokens;
    char *text;              /* [text_size] what on_text got, joined; NUL-terminated         */
    size_t text_size;
    enum sto_stop stop;
    uint64_t prompt_ns;      /* evaluating the prompt up to the first logits                */
    uint64_t generate_ns;    /* from then to the end                                        */
};

/* Starts a new sequence, evaluates the prompt, generates. *result is owned by the caller and is filled in also when an
 * error ends generation midway, with what had been generated; free it in both cases.
 * STO_ERR_USAGE: the prompt does not fit in the context; a parameter is out of range; the chat template refuses.
 * STO_ERR_MODEL: the chat template cannot be read; the message names the file and the template's line. */
enum sto_status sto_generate(struct sto_generator *generator, const struct sto_generate_params *params,
                             struct sto_generate_result *result, struct sto_error *err);
void sto_generate_result_free(struct sto_generate_result *result); /* accepts a zeroed one */

/* Ends the sto_generate that is running; with none running, the next one. Any thread; safe in a signal handler. */
void sto_generator_cancel(struct sto_generator *generator);

/* What prompts get when raw is false: "template", the chat template of the model's file; NULL: it has none, and prompts
 * are sent raw. A template that cannot be read makes sto_generate fail, except with raw. */
const char *sto_generator_chat_form(const struct sto_generator *generator);

/* The id of the token whose text is exactly this, control tokens too; UINT32_MAX: there is none. */
uint32_t sto_generator_find_token(const struct sto_generator *generator, const char *text);

#ifdef __cplusplus
}
#endif
#endif

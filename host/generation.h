/* The loop behind sto_generate and sto_conversation_reply: evaluates a prompt, then draws token after token, and hands
 * the text of each to its owner, who may end it or have tokens of his own put in between.
 *
 * The first token comes from the sampler here. Where the settings allow it, all others are drawn on the device, with
 * the same result. */
#ifndef STO_GENERATION_H
#define STO_GENERATION_H

#include "host/generate.h"
#include "host/template.h"
#include "host/tokenizer.h"

enum { STO_MAX_ENDS = 32 };

struct sto_generator {
    const struct sto_model *model;
    struct sto_engine *engine;        /* NULL: for prompts alone */
    struct sto_session *session;
    struct sto_tokenizer *tokenizer;
    struct sto_template *form;        /* the model's chat template; NULL: it has none, or one that cannot be read */
    struct sto_error form_error;      /* why it cannot be read; its status is STO_OK when it has none */
    uint32_t ends[STO_MAX_ENDS];      /* tokens that end a turn: as many as a chain of steps can look out for */
    uint32_t n_ends;
    char *piece;                      /* room for the text of one token */
    size_t piece_size;
    uint64_t n_runs;                  /* generations so far: whose tokens the session holds */
};

/* All of a zero-initialised generator but engine and session. STO_ERR_MODEL as sto_generator_create. */
enum sto_status sto_generator_open_text(struct sto_generator *g, const struct sto_model *model, struct sto_error *err);
void sto_generator_close_text(struct sto_generator *g);

/* What the owner of a generation does with its text. */
struct sto_generation_owner {
    void *self;
    /* Text of a token; it may be empty. It may call sto_generation_end and sto_generation_force. */
    enum sto_status (*text)(void *self, const char *text, size_t size, struct sto_error *err);
    /* Whether a control token with this text is passed on as text. NULL: none is. */
    bool (*wants_control)(void *self, const char *text, size_t size);
    /* As in struct sto_generate_params; NULL: none. */
    bool (*on_prompt)(void *self, size_t done, size_t total);
};

struct sto_generation {
    /* set by the owner */
    struct sto_generator *g;
    struct sto_generation_owner owner;
    const struct sto_sampler_params *sampling;
    uint32_t max_tokens; /* 0: no limit but the context */
    bool ignore_end;
    struct sto_tokens prompt; /* owned: sto_generation_free */
    size_t n_kept;            /* of these are in the session; less than prompt.n */

    /* what came of it */
    struct sto_tokens tokens; /* generated and forced, the one that ended the turn too; owned */
    bool ended;
    enum sto_stop stop;       /* once ended */
    uint64_t prompt_ns, generate_ns;

    /* the inside */
    struct sto_sampler *sampler;
    struct sto_detokenizer detokenizer;
    struct sto_tokens forced;
    enum sto_status taken;    /* of the token that came last */
    struct sto_error *err;
};

/* Runs until it has ended. Cuts the session back to n_kept first. STO_OK also when it was cancelled. */
enum sto_status sto_generation_run(struct sto_generation *gen, struct sto_error *err);

/* The same in parts, for who evaluates tokens himself: begin, accept the prompt, then draw from the logits of each last
 * token until it has ended, and finish, which gives the owner what is left of the text, also after an error: status is
 * what came before, and stays. */
enum sto_status sto_generation_begin(struct sto_generation *gen, struct sto_error *err);
enum sto_status sto_generation_draw(struct sto_generation *gen, const float *logits, uint32_t *token,
                                    struct sto_error *err);
enum sto_status sto_generation_finish(struct sto_generation *gen, enum sto_status status, struct sto_error *err);
void sto_generation_free(struct sto_generation *gen);

/* STO_ERR_USAGE: the prompt has no token, or leaves no room for one. */
enum sto_status sto_generation_check_prompt(const struct sto_generation *gen, struct sto_error *err);
/* Tokens that can be generated behind the prompt, at most. */
size_t sto_generation_most_tokens(const struct sto_generation *gen);

/* For the owner, within `text`: end after this token, for the first reason that was given. */
void sto_generation_end(struct sto_generation *gen, enum sto_stop stop);
/* Likewise: the text follows as if it had been generated; special tokens are recognised in it. */
enum sto_status sto_generation_force(struct sto_generation *gen, const char *text, size_t size, struct sto_error *err);

#endif

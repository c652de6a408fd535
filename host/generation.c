/* Prompt, then tokens: from the sampler on the host, or in chains that the device draws itself. */
#include "host/generation.h"

#include <string.h>

#include "models/model.h"
#include "runtime/base/mem.h"
#include "runtime/engine.h"

_Static_assert(STO_MAX_ENDS == SAMPLE_MAX_END, "a chain looks out for all tokens that end a turn");

void sto_generation_end(struct sto_generation *gen, enum sto_stop stop)
{
    if (!gen->ended)
        gen->stop = stop;
    gen->ended = true;
}

enum sto_status sto_generation_force(struct sto_generation *gen, const char *text, size_t size, struct sto_error *err)
{
    const struct sto_tokenize_params markers = {.parse_special = true};
    return sto_tokenize(gen->g->tokenizer, text, size, markers, &gen->forced, err);
}

static bool take_cancel(struct sto_generation *gen)
{
    const bool cancelled = sto_session_take_cancel(gen->g->session);
    if (cancelled)
        sto_generation_end(gen, STO_STOP_CANCELLED);
    return cancelled;
}

/* ---- the prompt ---- */

enum sto_status sto_generation_check_prompt(const struct sto_generation *gen, struct sto_error *err)
{
    const uint32_t ctx = gen->g->engine->info.ctx_tokens;
    if (gen->prompt.n == 0)
        return sto_fail(err, STO_ERR_USAGE, "the prompt is empty, and this vocabulary adds no token of its own");
    if (gen->prompt.n >= ctx)
        return sto_fail(err, STO_ERR_USAGE, "the prompt is %zu tokens long, the context has room for %u (--ctx)",
                        gen->prompt.n, ctx - 1);
    return STO_OK;
}

size_t sto_generation_most_tokens(const struct sto_generation *gen)
{
    const size_t left = gen->g->engine->info.ctx_tokens - gen->prompt.n + 1; /* the last one needs no room */
    return gen->max_tokens != 0 && gen->max_tokens < left ? gen->max_tokens : left;
}

static enum sto_status read_prompt(struct sto_generation *gen, struct sto_error *err)
{
    const struct sto_generation_owner *owner = &gen->owner;
    const size_t group = gen->g->engine->info.ubatch_tokens, total = gen->prompt.n - gen->n_kept;
    const uint64_t start = sto_device_now_ns(gen->g->engine->device);
    enum sto_status status = STO_OK;
    for (size_t i = 0; i < gen->n_kept && status == STO_OK; i++)
        status = sto_sampler_accept(gen->sampler, gen->prompt.ids[i], err);
    for (size_t done = gen->n_kept; done < gen->prompt.n && status == STO_OK && !gen->ended;) {
        const size_t left = gen->prompt.n - done;
        const size_t n = left < group ? left : group;
        for (size_t i = 0; i < n && status == STO_OK; i++)
            status = sto_sampler_accept(gen->sampler, gen->prompt.ids[done + i], err);
        if (status == STO_OK)
            status = sto_session_eval(gen->g->session, gen->prompt.ids + done, n,
                                      n == left ? STO_LOGITS_LAST : STO_LOGITS_NONE, NULL, err);
        done += n;
        if (owner->on_prompt != NULL && owner->on_prompt(owner->self, done - gen->n_kept, total))
            sto_generation_end(gen, STO_STOP_CANCELLED);
        (void)take_cancel(gen);
    }
    gen->prompt_ns = sto_device_now_ns(gen->g->engine->device) - start;
    return status;
}

/* ---- tokens ---- */

/* Control tokens are silent, unless the owner knows them. */
static bool speaks(const struct sto_generation *gen, uint32_t token)
{
    const struct sto_generation_owner *owner = &gen->owner;
    if (owner->wants_control == NULL || !sto_tokenizer_is_control(gen->g->tokenizer, token))
        return false;
    const struct sto_view text = sto_tokenizer_bytes(gen->g->tokenizer, token);
    return owner->wants_control(owner->self, text.data, text.size);
}

/* A token has come; afterwards the generation may have ended. */
static enum sto_status take_token(struct sto_generation *gen, uint32_t token, struct sto_error *err)
{
    const struct sto_generator *g = gen->g;
    enum sto_status status = sto_sampler_accept(gen->sampler, token, err);
    if (status == STO_OK)
        status = sto_tokens_push(&gen->tokens, token, err);
    if (status != STO_OK)
        return status;
    /* An embedding may be padded beyond the vocabulary: such ids have no text. */
    const bool known = token < sto_tokenizer_n_tokens(g->tokenizer);
    if (known && !gen->ignore_end && sto_tokenizer_is_end(g->tokenizer, token)) {
        sto_generation_end(gen, STO_STOP_END);
        return STO_OK;
    }
    if (known) {
        gen->detokenizer.special = speaks(gen, token);
        const size_t size = sto_detokenize(&gen->detokenizer, token, g->piece, g->piece_size);
        status = gen->owner.text(gen->owner.self, g->piece, size, err);
    }
    if (gen->max_tokens != 0 && gen->tokens.n >= gen->max_tokens)
        sto_generation_end(gen, STO_STOP_LENGTH);
    return status;
}

enum sto_status sto_generation_draw(struct sto_generation *gen, const float *logits, uint32_t *token,
                                    struct sto_error *err)
{
    const enum sto_status status = sto_sampler_sample(gen->sampler, logits, token, err);
    return status == STO_OK ? take_token(gen, *token, err) : status;
}

/* Takes one token from the session's logits. */
static enum sto_status next_token(struct sto_generation *gen, uint32_t *token, struct sto_error *err)
{
    return sto_generation_draw(gen, sto_session_logits(gen->g->session), token, err);
}

/* Takes the forced tokens as if they had been drawn behind *token; *token is the last one afterwards. */
static enum sto_status go_on_forced(struct sto_generation *gen, uint32_t *token, struct sto_error *err)
{
    struct sto_tokens forced = gen->forced;
    const size_t room = gen->g->engine->info.ctx_tokens - sto_session_length(gen->g->session);
    gen->forced = (struct sto_tokens){0};
    if (forced.n + 1 > room)
        sto_generation_end(gen, STO_STOP_CONTEXT);
    enum sto_status status = STO_OK;
    for (size_t i = 0; i < forced.n && status == STO_OK && !gen->ended; i++) {
        status = sto_session_eval(gen->g->session, token, 1, STO_LOGITS_NONE, NULL, err);
        *token = forced.ids[i];
        if (status == STO_OK)
            status = take_token(gen, *token, err);
    }
    sto_tokens_free(&forced);
    return status;
}

static bool token_drawn(void *user, uint32_t token)
{
    struct sto_generation *gen = user;
    gen->taken = take_token(gen, token, gen->err);
    return gen->taken != STO_OK || gen->ended || gen->forced.n > 0;
}

/* What follows *token, drawn on the device until the generation has ended or a token is forced; the sampler's settings
 * allow it. *token is the last one afterwards. */
static enum sto_status draw_on_device(struct sto_generation *gen, struct sto_generation_params *how, uint32_t *token,
                                      struct sto_error *err)
{
    struct sto_session *session = gen->g->session;
    uint32_t n_steps = gen->g->engine->info.ctx_tokens - sto_session_length(session), n_drawn = 0;
    if (gen->max_tokens != 0 && gen->max_tokens - gen->tokens.n < n_steps)
        n_steps = (uint32_t)(gen->max_tokens - gen->tokens.n);
    how->end_tokens = gen->g->ends;
    how->n_end_tokens = gen->ignore_end ? 0 : gen->g->n_ends;
    how->user = gen;
    how->on_token = token_drawn;
    gen->err = err;
    const enum sto_status status = sto_session_generate(session, *token, how, n_steps, NULL, &n_drawn, err);
    sto_sampler_skip(gen->sampler, n_drawn);
    if (gen->tokens.n > 0)
        *token = gen->tokens.ids[gen->tokens.n - 1];
    if (status == STO_OK && gen->taken == STO_OK && !gen->ended && gen->forced.n == 0)
        sto_generation_end(gen, STO_STOP_CONTEXT);
    return status != STO_OK ? status : gen->taken;
}

/* Room for all that can be generated, so that no step has to allocate. */
static enum sto_status reserve(struct sto_generation *gen, struct sto_error *err)
{
    const size_t n = sto_generation_most_tokens(gen);
    gen->tokens.ids = sto_calloc(n, sizeof *gen->tokens.ids);
    if (gen->tokens.ids == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %zu tokens", n);
    gen->tokens.capacity = n;
    return STO_OK;
}

static enum sto_status generate_tokens(struct sto_generation *gen, struct sto_error *err)
{
    const uint32_t ctx = gen->g->engine->info.ctx_tokens;
    const bool device_draws = sto_engine_can_draw(gen->g->engine);
    const uint64_t start = sto_device_now_ns(gen->g->engine->device);
    struct sto_generation_params how = {0};
    uint32_t token = 0;
    enum sto_status status = take_cancel(gen) ? STO_OK : next_token(gen, &token, err);
    while (status == STO_OK && !gen->ended && !take_cancel(gen)) {
        if (sto_session_length(gen->g->session) >= ctx) {
            sto_generation_end(gen, STO_STOP_CONTEXT);
        } else if (gen->forced.n > 0) {
            status = go_on_forced(gen, &token, err);
        } else if (device_draws && sto_sampler_on_device(gen->sampler, &how)) {
            status = draw_on_device(gen, &how, &token, err);
        } else {
            status = sto_session_eval(gen->g->session, &token, 1, STO_LOGITS_LAST, NULL, err);
            if (status == STO_OK && !take_cancel(gen))
                status = next_token(gen, &token, err);
        }
    }
    gen->generate_ns = sto_device_now_ns(gen->g->engine->device) - start;
    return status;
}

enum sto_status sto_generation_begin(struct sto_generation *gen, struct sto_error *err)
{
    struct sto_generator *g = gen->g;
    const enum sto_status status = sto_sampler_create(gen->sampling, g->model->h.n_vocab, &gen->sampler, err);
    gen->detokenizer.tokenizer = g->tokenizer;
    g->n_runs++;
    sto_session_truncate(g->session, (uint32_t)gen->n_kept);
    return status == STO_OK ? reserve(gen, err) : status;
}

enum sto_status sto_generation_finish(struct sto_generation *gen, enum sto_status status, struct sto_error *err)
{
    struct sto_generator *g = gen->g;
    /* What the detokenizer held back belongs to the text. */
    const size_t size = sto_detokenize_finish(&gen->detokenizer, g->piece, g->piece_size);
    if (size > 0) {
        const enum sto_status flushed = gen->owner.text(gen->owner.self, g->piece, size, status == STO_OK ? err : NULL);
        status = status != STO_OK ? status : flushed;
    }
    sto_sampler_destroy(gen->sampler);
    gen->sampler = NULL;
    return status;
}

enum sto_status sto_generation_run(struct sto_generation *gen, struct sto_error *err)
{
    enum sto_status status = sto_generation_begin(gen, err);
    if (status == STO_OK)
        status = read_prompt(gen, err);
    if (status == STO_OK && !gen->ended)
        status = generate_tokens(gen, err);
    if (status == STO_ERR_CANCELLED) { /* cancelled inside an evaluation: what there is stays */
        sto_generation_end(gen, STO_STOP_CANCELLED);
        status = STO_OK;
    }
    return sto_generation_finish(gen, status, err);
}

void sto_generation_free(struct sto_generation *gen)
{
    sto_tokens_free(&gen->prompt);
    sto_tokens_free(&gen->tokens);
    sto_tokens_free(&gen->forced);
}

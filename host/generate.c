/* Generating text: prompt to tokens, tokens through a session, logits through the sampler, tokens to streamed text.
 *
 * The first token comes from the sampler here. Where the settings allow it, all others are drawn on the device, with
 * the same result. */
#include "host/generate.h"

#include <string.h>

#include "host/chat_turn.h"
#include "host/text_stream.h"
#include "host/tokenizer.h"
#include "models/model.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/engine.h"

enum { MAX_ENDS = SAMPLE_MAX_END };

struct sto_generator {
    struct sto_engine *engine;
    struct sto_session *session;
    struct sto_tokenizer *tokenizer;
    struct sto_template *form;        /* the model's chat template; NULL: it has none, or one that cannot be read */
    struct sto_error form_error;      /* why it cannot be read; its status is STO_OK when it has none   */
    float *logits;                    /* [n_vocab]        */
    uint32_t ends[MAX_ENDS];          /* tokens that end a turn: as many as a chain of steps can look out for */
    uint32_t n_ends;
    char *piece;                      /* room for the text of one token */
    size_t piece_size;
};

/* ---- creation ---- */

enum sto_status sto_generator_create(struct sto_engine *engine, struct sto_generator **out, struct sto_error *err)
{
    const struct sto_model *model = engine->model;
    const struct sto_vocab *vocab = sto_model_get_vocab(model);
    enum sto_status status = STO_OK;
    struct sto_generator *g = sto_calloc(1, sizeof *g);
    if (g == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a generator");
    g->engine = engine;
    if (vocab->chat_template.size > 0 && sto_template_create(vocab->chat_template.data, vocab->chat_template.size,
                                                             &g->form, &g->form_error) != STO_OK)
        sto_error_prefix(&g->form_error, "%s: chat template", model->path); /* raw prompts do without */
    if ((status = sto_tokenizer_create(vocab, &g->tokenizer, err)) != STO_OK) {
        sto_error_prefix(err, "%s", model->path);
        goto fail;
    }
    if ((status = sto_session_create(engine, &g->session, err)) != STO_OK)
        goto fail;
    for (uint32_t id = 0; id < sto_tokenizer_n_tokens(g->tokenizer) && g->n_ends < MAX_ENDS; id++) {
        if (sto_tokenizer_is_end(g->tokenizer, id))
            g->ends[g->n_ends++] = id;
    }
    g->piece_size = sto_tokenizer_max_bytes(g->tokenizer) + 32;
    g->piece = sto_calloc(g->piece_size, 1);
    g->logits = sto_calloc(model->h.n_vocab, sizeof *g->logits);
    if (g->piece == NULL || g->logits == NULL) {
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for logits of %u tokens", model->h.n_vocab);
        goto fail;
    }
    *out = g;
    return STO_OK;
fail:
    sto_generator_destroy(g);
    return status;
}

void sto_generator_destroy(struct sto_generator *g)
{
    if (g == NULL)
        return;
    sto_free(g->logits);
    sto_free(g->piece);
    sto_session_destroy(g->session);
    sto_template_destroy(g->form);
    sto_tokenizer_destroy(g->tokenizer);
    sto_free(g);
}

void sto_generator_cancel(struct sto_generator *generator)
{
    sto_session_cancel(generator->session);
}

const char *sto_generator_chat_form(const struct sto_generator *generator)
{
    return sto_model_get_vocab(generator->engine->model)->chat_template.size > 0 ? "template" : NULL;
}

uint32_t sto_generator_find_token(const struct sto_generator *generator, const char *text)
{
    return sto_tokenizer_find(generator->tokenizer, text);
}

const char *sto_stop_name(enum sto_stop stop)
{
    switch (stop) {
    case STO_STOP_END: return "end";
    case STO_STOP_LENGTH: return "length";
    case STO_STOP_CONTEXT: return "context";
    case STO_STOP_STRING: return "stop";
    case STO_STOP_CANCELLED: return "cancelled";
    }
    return "?";
}

void sto_generate_defaults(struct sto_generate_params *params)
{
    *params = (struct sto_generate_params){0};
    sto_sampler_defaults(&params->sampling);
}

/* ---- one generation ---- */

struct generation {
    struct sto_generator *g;
    const struct sto_generate_params *params;
    struct sto_generate_result *result;
    struct sto_sampler *sampler;
    struct sto_tokens prompt, tokens;
    struct sto_text_stream stream;
    struct sto_detokenizer detokenizer;
    bool ended; /* result->stop is set */
    enum sto_status taken; /* of the token that came last */
    struct sto_error *err;
};

static void end(struct generation *gen, enum sto_stop stop)
{
    if (!gen->ended)
        gen->result->stop = stop;
    gen->ended = true;
}

static bool take_cancel(struct generation *gen)
{
    const bool cancelled = sto_session_take_cancel(gen->g->session);
    if (cancelled)
        end(gen, STO_STOP_CANCELLED);
    return cancelled;
}

static void give_out(struct generation *gen, size_t from, size_t to)
{
    const struct sto_generate_params *p = gen->params;
    if (to > from && p->on_text != NULL && p->on_text(p->user, gen->stream.text + from, to - from))
        end(gen, STO_STOP_CANCELLED);
}

static enum sto_status add_text(struct generation *gen, size_t size, struct sto_error *err)
{
    size_t from = 0, to = 0;
    const enum sto_status status = sto_text_stream_add(&gen->stream, gen->g->piece, size, &from, &to, err);
    if (status == STO_OK)
        give_out(gen, from, to);
    if (gen->stream.stopped)
        end(gen, STO_STOP_STRING);
    return status;
}

static enum sto_status make_prompt(struct generation *gen, struct sto_error *err)
{
    const struct sto_generate_params *p = gen->params;
    const struct sto_generator *g = gen->g;
    const char *text = p->prompt != NULL ? p->prompt : "";
    const size_t size = p->prompt_size != 0 ? p->prompt_size : strlen(text);
    const uint32_t ctx = g->engine->info.ctx_tokens;
    enum sto_status status;
    if (!p->raw && g->form_error.status != STO_OK) {
        status = sto_fail(err, g->form_error.status, "%s", g->form_error.message);
    } else if (!p->raw && g->form != NULL) {
        const struct sto_vocab *vocab = sto_model_get_vocab(g->engine->model);
        const struct sto_template_input input = sto_chat_turn_input(vocab, g->tokenizer);
        status = sto_chat_turn_tokens(g->form, &input, g->tokenizer, (struct sto_view){text, size}, &gen->prompt, err);
    } else {
        const struct sto_tokenize_params how = {.parse_special = p->parse_special, .add_special = true};
        status = sto_tokenize(g->tokenizer, text, size, how, &gen->prompt, err);
    }
    if (status == STO_OK && gen->prompt.n == 0)
        status = sto_fail(err, STO_ERR_USAGE, "the prompt is empty, and this vocabulary adds no token of its own");
    if (status == STO_OK && gen->prompt.n >= ctx)
        status = sto_fail(err, STO_ERR_USAGE, "the prompt is %zu tokens long, the context has room for %u (--ctx)",
                          gen->prompt.n, ctx - 1);
    return status;
}

static enum sto_status read_prompt(struct generation *gen, struct sto_error *err)
{
    const struct sto_generate_params *p = gen->params;
    const size_t group = gen->g->engine->info.ubatch_tokens;
    const uint64_t start = sto_now_ns();
    enum sto_status status = STO_OK;
    for (size_t done = 0; done < gen->prompt.n && status == STO_OK && !gen->ended;) {
        const size_t left = gen->prompt.n - done;
        const size_t n = left < group ? left : group;
        for (size_t i = 0; i < n && status == STO_OK; i++)
            status = sto_sampler_accept(gen->sampler, gen->prompt.ids[done + i], err);
        if (status == STO_OK)
            status = sto_session_eval(gen->g->session, gen->prompt.ids + done, n,
                                      n == left ? STO_LOGITS_LAST : STO_LOGITS_NONE, gen->g->logits, err);
        done += n;
        if (p->on_prompt != NULL && p->on_prompt(p->user, done, gen->prompt.n))
            end(gen, STO_STOP_CANCELLED);
        (void)take_cancel(gen);
    }
    gen->result->prompt_ns = sto_now_ns() - start;
    return status;
}

/* A token has come; afterwards the generation may have ended. */
static enum sto_status take_token(struct generation *gen, uint32_t token, struct sto_error *err)
{
    const struct sto_generate_params *p = gen->params;
    const struct sto_generator *g = gen->g;
    enum sto_status status = sto_sampler_accept(gen->sampler, token, err);
    if (status == STO_OK)
        status = sto_tokens_push(&gen->tokens, token, err);
    if (status != STO_OK)
        return status;
    /* An embedding may be padded beyond the vocabulary: such ids have no text. */
    const bool known = token < sto_tokenizer_n_tokens(g->tokenizer);
    if (known && !p->ignore_end && sto_tokenizer_is_end(g->tokenizer, token)) {
        end(gen, STO_STOP_END);
        return STO_OK;
    }
    if (known)
        status = add_text(gen, sto_detokenize(&gen->detokenizer, token, g->piece, g->piece_size), err);
    if (p->max_tokens != 0 && gen->tokens.n >= p->max_tokens)
        end(gen, STO_STOP_LENGTH);
    return status;
}

/* Takes one token from the logits. */
static enum sto_status next_token(struct generation *gen, uint32_t *token, struct sto_error *err)
{
    const enum sto_status status = sto_sampler_sample(gen->sampler, gen->g->logits, token, err);
    return status == STO_OK ? take_token(gen, *token, err) : status;
}

static bool token_drawn(void *user, uint32_t token)
{
    struct generation *gen = user;
    gen->taken = take_token(gen, token, gen->err);
    return gen->taken != STO_OK || gen->ended;
}

/* What follows `token`, drawn on the device until the generation has ended; the sampler's settings allow it. */
static enum sto_status draw_on_device(struct generation *gen, struct sto_generation_params *how, uint32_t token,
                                      struct sto_error *err)
{
    const struct sto_generate_params *p = gen->params;
    struct sto_session *session = gen->g->session;
    uint32_t n_steps = gen->g->engine->info.ctx_tokens - sto_session_length(session), n_drawn = 0;
    if (p->max_tokens != 0 && p->max_tokens - gen->tokens.n < n_steps)
        n_steps = (uint32_t)(p->max_tokens - gen->tokens.n);
    how->end_tokens = gen->g->ends;
    how->n_end_tokens = p->ignore_end ? 0 : gen->g->n_ends;
    how->user = gen;
    how->on_token = token_drawn;
    gen->err = err;
    const enum sto_status status = sto_session_generate(session, token, how, n_steps, NULL, &n_drawn, err);
    sto_sampler_skip(gen->sampler, n_drawn);
    if (status == STO_OK && gen->taken == STO_OK && !gen->ended)
        end(gen, STO_STOP_CONTEXT);
    return status != STO_OK ? status : gen->taken;
}

/* Room for all that can be generated, so that no step has to allocate: exact for ids; text beyond a limit grows. */
static enum sto_status reserve(struct generation *gen, struct sto_error *err)
{
    enum { MOST_TEXT_BYTES = 1 << 20 };
    const struct sto_generate_params *p = gen->params;
    const size_t left = gen->g->engine->info.ctx_tokens - gen->prompt.n + 1; /* the last one needs no room */
    const size_t n = p->max_tokens != 0 && p->max_tokens < left ? p->max_tokens : left;
    const size_t most = n < MOST_TEXT_BYTES / gen->g->piece_size ? n * gen->g->piece_size : MOST_TEXT_BYTES;
    const enum sto_status status = sto_text_stream_reserve(&gen->stream, most, err);
    if (status != STO_OK)
        return status;
    gen->tokens.ids = sto_calloc(n, sizeof *gen->tokens.ids);
    if (gen->tokens.ids == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %zu tokens", n);
    gen->tokens.capacity = n;
    return STO_OK;
}

static enum sto_status generate_tokens(struct generation *gen, struct sto_error *err)
{
    const uint32_t ctx = gen->g->engine->info.ctx_tokens;
    const uint64_t start = sto_now_ns();
    struct sto_generation_params how = {0};
    enum sto_status status = STO_OK;
    while (status == STO_OK && !gen->ended && !take_cancel(gen)) {
        uint32_t token = 0;
        status = next_token(gen, &token, err);
        if (status != STO_OK || gen->ended)
            break;
        if (sto_session_length(gen->g->session) >= ctx)
            end(gen, STO_STOP_CONTEXT);
        else if (gen->g->engine->model->h.n_vocab <= STO_SAMPLE_MAX_VOCAB &&
                 sto_sampler_on_device(gen->sampler, &how))
            status = draw_on_device(gen, &how, token, err);
        else
            status = sto_session_eval(gen->g->session, &token, 1, STO_LOGITS_LAST, gen->g->logits, err);
    }
    gen->result->generate_ns = sto_now_ns() - start;
    return status;
}

/* What the detokenizer and the stop strings held back belongs to the text, unless a stop string ended it. */
static enum sto_status flush(struct generation *gen, struct sto_error *err)
{
    size_t from = 0, to = 0;
    enum sto_status status = STO_OK;
    const size_t size = sto_detokenize_finish(&gen->detokenizer, gen->g->piece, gen->g->piece_size);
    if (!gen->stream.stopped && size > 0)
        status = add_text(gen, size, err);
    if (!gen->stream.stopped) {
        sto_text_stream_finish(&gen->stream, &from, &to);
        give_out(gen, from, to);
    }
    return status;
}

static enum sto_status check_params(const struct sto_generate_params *p, struct sto_error *err)
{
    for (size_t i = 0; i < p->n_stops; i++) {
        const size_t n = strlen(p->stops[i]);
        if (n == 0 || !sto_utf8_valid(p->stops[i], n))
            return sto_fail(err, STO_ERR_USAGE, "stop string %zu is %s", i + 1, n == 0 ? "empty" : "not valid UTF-8");
    }
    return STO_OK;
}

enum sto_status sto_generate(struct sto_generator *generator, const struct sto_generate_params *params,
                             struct sto_generate_result *result, struct sto_error *err)
{
    struct generation gen = {.g = generator, .params = params, .result = result};
    enum sto_status status = check_params(params, err);
    *result = (struct sto_generate_result){0};
    gen.stream.stops = params->stops;
    gen.stream.n_stops = params->n_stops;
    gen.detokenizer.tokenizer = generator->tokenizer;
    sto_session_truncate(generator->session, 0);
    if (status == STO_OK)
        status = add_text(&gen, 0, err); /* result->text is a string even when nothing is generated */
    if (status == STO_OK)
        status = sto_sampler_create(&params->sampling, generator->engine->model->h.n_vocab, &gen.sampler, err);
    if (status == STO_OK)
        status = make_prompt(&gen, err);
    if (status == STO_OK)
        status = reserve(&gen, err);
    if (status == STO_OK)
        status = read_prompt(&gen, err);
    if (status == STO_OK && !gen.ended)
        status = generate_tokens(&gen, err);
    if (status == STO_ERR_CANCELLED) { /* cancelled inside an evaluation: what there is stays */
        end(&gen, STO_STOP_CANCELLED);
        status = STO_OK;
    }
    const enum sto_status flushed = flush(&gen, status == STO_OK ? err : NULL);
    result->prompt_tokens = gen.prompt.ids;
    result->n_prompt_tokens = gen.prompt.n;
    result->tokens = gen.tokens.ids;
    result->n_tokens = gen.tokens.n;
    result->text = gen.stream.text;
    result->text_size = gen.stream.size;
    sto_sampler_destroy(gen.sampler);
    return status != STO_OK ? status : flushed;
}

void sto_generate_result_free(struct sto_generate_result *result)
{
    sto_free(result->prompt_tokens);
    sto_free(result->tokens);
    sto_free(result->text);
    *result = (struct sto_generate_result){0};
}

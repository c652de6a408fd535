/* Generators, and one prompt at a time: prompt to tokens, tokens through the loop of host/generation.h, text out. */
#include "host/generate.h"

#include <string.h>

#include "host/chat_turn.h"
#include "host/generation.h"
#include "host/text_stream.h"
#include "models/model.h"
#include "runtime/base/mem.h"
#include "runtime/engine.h"

/* ---- creation ---- */

enum sto_status sto_generator_open_text(struct sto_generator *g, const struct sto_model *model, struct sto_error *err)
{
    const struct sto_vocab *vocab = sto_model_get_vocab(model);
    g->model = model;
    if (vocab->chat_template.size > 0 && sto_template_create(vocab->chat_template.data, vocab->chat_template.size,
                                                             &g->form, &g->form_error) != STO_OK)
        sto_error_prefix(&g->form_error, "%s: chat template", model->path); /* raw prompts do without */
    const enum sto_status status = sto_tokenizer_create(vocab, &g->tokenizer, err);
    if (status != STO_OK) {
        sto_error_prefix(err, "%s", model->path);
        return status;
    }
    for (uint32_t id = 0; id < sto_tokenizer_n_tokens(g->tokenizer) && g->n_ends < STO_MAX_ENDS; id++) {
        if (sto_tokenizer_is_end(g->tokenizer, id))
            g->ends[g->n_ends++] = id;
    }
    g->piece_size = sto_tokenizer_max_bytes(g->tokenizer) + 32;
    g->piece = sto_calloc(g->piece_size, 1);
    return g->piece != NULL ? STO_OK
                            : sto_fail(err, STO_ERR_NO_FIT, "no memory for tokens of %zu bytes", g->piece_size);
}

void sto_generator_close_text(struct sto_generator *g)
{
    sto_free(g->piece);
    sto_template_destroy(g->form);
    sto_tokenizer_destroy(g->tokenizer);
    *g = (struct sto_generator){0};
}

enum sto_status sto_generator_create(struct sto_engine *engine, struct sto_generator **out, struct sto_error *err)
{
    struct sto_generator *g = sto_calloc(1, sizeof *g);
    if (g == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a generator");
    g->engine = engine;
    enum sto_status status = sto_generator_open_text(g, engine->model, err);
    if (status == STO_OK)
        status = sto_session_create(engine, &g->session, err);
    if (status == STO_OK)
        *out = g;
    else
        sto_generator_destroy(g);
    return status;
}

void sto_generator_destroy(struct sto_generator *g)
{
    if (g == NULL)
        return;
    sto_session_destroy(g->session);
    sto_generator_close_text(g);
    sto_free(g);
}

void sto_generator_cancel(struct sto_generator *generator)
{
    sto_session_cancel(generator->session);
}

const char *sto_generator_chat_form(const struct sto_generator *generator)
{
    return sto_model_get_vocab(generator->model)->chat_template.size > 0 ? "template" : NULL;
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

/* What a call of sto_generate adds to the loop: stop strings, the caller's callbacks, the text as a whole. */
struct call {
    const struct sto_generate_params *params;
    struct sto_generation gen;
    struct sto_text_stream stream;
};

static void give_out(struct call *c, size_t from, size_t to)
{
    const struct sto_generate_params *p = c->params;
    if (to > from && p->on_text != NULL && p->on_text(p->user, c->stream.text + from, to - from))
        sto_generation_end(&c->gen, STO_STOP_CANCELLED);
}

static enum sto_status add_text(void *self, const char *text, size_t size, struct sto_error *err)
{
    struct call *c = self;
    size_t from = 0, to = 0;
    if (c->stream.stopped)
        return STO_OK;
    const enum sto_status status = sto_text_stream_add(&c->stream, text, size, &from, &to, err);
    if (status == STO_OK)
        give_out(c, from, to);
    if (c->stream.stopped)
        sto_generation_end(&c->gen, STO_STOP_STRING);
    return status;
}

static bool on_prompt(void *self, size_t done, size_t total)
{
    const struct sto_generate_params *p = ((struct call *)self)->params;
    return p->on_prompt != NULL && p->on_prompt(p->user, done, total);
}

static enum sto_status make_prompt(struct call *c, struct sto_error *err)
{
    const struct sto_generate_params *p = c->params;
    const struct sto_generator *g = c->gen.g;
    struct sto_tokens *prompt = &c->gen.prompt;
    const char *text = p->prompt != NULL ? p->prompt : "";
    const size_t size = p->prompt_size != 0 ? p->prompt_size : strlen(text);
    enum sto_status status;
    if (!p->raw && g->form_error.status != STO_OK) {
        status = sto_fail(err, g->form_error.status, "%s", g->form_error.message);
    } else if (!p->raw && g->form != NULL) {
        const struct sto_vocab *vocab = sto_model_get_vocab(g->model);
        const struct sto_template_input input = sto_chat_turn_input(vocab, g->tokenizer);
        status = sto_chat_turn_tokens(g->form, &input, g->tokenizer, (struct sto_view){text, size}, prompt, err);
    } else {
        const struct sto_tokenize_params how = {.parse_special = p->parse_special, .add_special = true};
        status = sto_tokenize(g->tokenizer, text, size, how, prompt, err);
    }
    return status == STO_OK ? sto_generation_check_prompt(&c->gen, err) : status;
}

/* Room for the text of all that can be generated, up to a limit beyond which it grows. */
static enum sto_status reserve_text(struct call *c, struct sto_error *err)
{
    enum { MOST_TEXT_BYTES = 1 << 20 };
    const size_t n = sto_generation_most_tokens(&c->gen), piece = c->gen.g->piece_size;
    return sto_text_stream_reserve(&c->stream, n < MOST_TEXT_BYTES / piece ? n * piece : MOST_TEXT_BYTES, err);
}

enum sto_status sto_generate(struct sto_generator *generator, const struct sto_generate_params *params,
                             struct sto_generate_result *result, struct sto_error *err)
{
    struct call c = {.params = params,
                     .gen = {.g = generator,
                             .sampling = &params->sampling,
                             .max_tokens = params->max_tokens,
                             .ignore_end = params->ignore_end}};
    size_t from = 0, to = 0;
    enum sto_status status = sto_text_stream_check_stops(params->stops, params->n_stops, err);
    c.gen.owner = (struct sto_generation_owner){.self = &c, .text = add_text, .on_prompt = on_prompt};
    c.stream.stops = params->stops;
    c.stream.n_stops = params->n_stops;
    if (status == STO_OK)
        status = add_text(&c, "", 0, err); /* result->text is a string even when nothing is generated */
    if (status == STO_OK)
        status = make_prompt(&c, err);
    if (status == STO_OK)
        status = reserve_text(&c, err);
    if (status == STO_OK)
        status = sto_generation_run(&c.gen, err);
    if (!c.stream.stopped) {
        sto_text_stream_finish(&c.stream, &from, &to);
        give_out(&c, from, to);
    }
    *result = (struct sto_generate_result){.prompt_tokens = c.gen.prompt.ids,
                                           .n_prompt_tokens = c.gen.prompt.n,
                                           .tokens = c.gen.tokens.ids,
                                           .n_tokens = c.gen.tokens.n,
                                           .text = c.stream.text,
                                           .text_size = c.stream.size,
                                           .stop = c.gen.stop,
                                           .prompt_ns = c.gen.prompt_ns,
                                           .generate_ns = c.gen.generate_ns};
    sto_tokens_free(&c.gen.forced);
    return status;
}

void sto_generate_result_free(struct sto_generate_result *result)
{
    sto_free(result->prompt_tokens);
    sto_free(result->tokens);
    sto_free(result->text);
    *result = (struct sto_generate_result){0};
}

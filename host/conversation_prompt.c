/* From messages to the tokens of a prompt: which turns still fit, and how much of it the session has already. */
#include <string.h>

#include "host/chat_turn.h"
#include "host/conversation_internal.h"
#include "models/model.h"
#include "runtime/engine.h"

void sto_prompt_free(struct sto_prompt *prompt)
{
    sto_rendering_free(&prompt->rendering);
    sto_tokens_free(&prompt->ids);
}

/* ---- rendering ---- */

/* What the template is given; values are made in the arena. */
static enum sto_status make_input(const struct sto_conversation *c, size_t n_dropped, enum sto_thinking thinking,
                                  struct sto_arena *arena, struct sto_template_input *in, struct sto_error *err)
{
    const struct sto_tokenizer *tokenizer = c->generator->tokenizer;
    const size_t n_system = sto_conversation_n_system(c);
    struct sto_list *messages = sto_list_create(arena);
    struct sto_object *extra = sto_object_create(arena);
    bool made = messages != NULL && extra != NULL;
    for (size_t i = 0; i < c->n && made; i++) {
        if (i < n_system || i >= n_system + n_dropped)
            made = sto_list_add(arena, messages, c->messages[i].value);
    }
    if (made && thinking != STO_THINKING_AUTO && c->reasoning.variable != NULL)
        made = sto_object_set(arena, extra, c->reasoning.variable, sto_value_bool(thinking == STO_THINKING_ON));
    if (!made)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %zu messages", c->n);
    *in = sto_chat_turn_input(sto_model_get_vocab(c->generator->model), tokenizer);
    in->messages = sto_value_of_list(messages);
    in->extra = sto_value_of_object(extra);
    if (c->tools.kind == STO_VALUE_LIST)
        in->tools = c->tools;
    return STO_OK;
}

/* Adds text of our own to a rendering, with the template's trust. */
static enum sto_status append(struct sto_rendering *r, const char *text, struct sto_error *err)
{
    const size_t n = strlen(text);
    if (n == 0)
        return STO_OK;
    char *grown = sto_realloc(r->text, r->size + n + 1, 1);
    if (grown == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a prompt of %zu bytes", r->size + n);
    r->text = grown;
    struct sto_segment *segments = sto_realloc(r->segments, r->n_segments + 1, sizeof *segments);
    if (segments == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a prompt of %zu bytes", r->size + n);
    r->segments = segments;
    memcpy(r->text + r->size, text, n + 1);
    r->size += n;
    if (r->n_segments > 0 && segments[r->n_segments - 1].from_template)
        segments[r->n_segments - 1].size += n;
    else
        segments[r->n_segments++] = (struct sto_segment){.size = n, .from_template = true};
    return STO_OK;
}

enum sto_status sto_prompt_render(const struct sto_conversation *c, size_t n_dropped, enum sto_thinking thinking,
                                  struct sto_prompt *out, struct sto_error *err)
{
    struct sto_arena arena = {0};
    struct sto_template_input in;
    sto_prompt_free(out);
    *out = (struct sto_prompt){0};
    enum sto_status status = make_input(c, n_dropped, thinking, &arena, &in, err);
    if (status == STO_OK)
        status = sto_template_render(c->form, &in, &out->rendering, err);
    if (status != STO_OK)
        sto_error_prefix(err, "chat template");
    sto_arena_free(&arena);
    if (status != STO_OK)
        return status;
    struct sto_rendering *r = &out->rendering;
    out->in_thought = sto_reasoning_opened(&c->reasoning, r->text, r->size);
    if (thinking != STO_THINKING_AUTO)
        sto_reasoning_prefill(&c->reasoning, thinking == STO_THINKING_ON, r->text, r->size, out->prefill);
    status = append(r, out->prefill, err);
    return status == STO_OK ? sto_rendering_tokens(r, c->generator->tokenizer, &out->ids, err) : status;
}

/* ---- what fits ---- */

/* Messages to leave out so that the turn after the n_dropped first ones goes too; n_dropped: it is the last one. */
static size_t drop_turn(const struct sto_conversation *c, size_t n_dropped)
{
    const size_t n_system = sto_conversation_n_system(c);
    for (size_t i = n_system + n_dropped + 1; i < c->n; i++) {
        if (sto_value_is_text(sto_value_get(c->messages[i].value, "role"), "user"))
            return i - n_system;
    }
    return n_dropped;
}

static enum sto_status render_what_fits(struct sto_conversation *c, const struct sto_reply_params *params,
                                        struct sto_prompt *out, struct sto_error *err)
{
    const size_t ctx = c->generator->engine->info.ctx_tokens;
    const size_t quarter = (ctx + 3) / 4;
    const size_t wanted = params->max_tokens != 0 && params->max_tokens < quarter ? params->max_tokens : quarter;
    size_t n_dropped = c->n_dropped;
    enum sto_status status = sto_prompt_render(c, n_dropped, params->thinking, out, err);
    for (bool full = out->ids.n + wanted > ctx; status == STO_OK && full; full = out->ids.n > ctx / 2) {
        const size_t next = drop_turn(c, n_dropped);
        if (next == n_dropped)
            break;
        n_dropped = next;
        status = sto_prompt_render(c, n_dropped, params->thinking, out, err);
    }
    if (status == STO_OK)
        c->n_dropped = n_dropped;
    return status;
}

/* ---- what the session has already ---- */

static bool begins_with(const struct sto_tokens *ids, const struct sto_tokens *with)
{
    return with->n <= ids->n && memcmp(ids->ids, with->ids, with->n * sizeof *with->ids) == 0;
}

/* The ids of the first `size` bytes of a rendering. */
static enum sto_status beginning(const struct sto_rendering *r, size_t size, const struct sto_tokenizer *tokenizer,
                                 struct sto_tokens *out, struct sto_error *err)
{
    struct sto_rendering part = *r;
    size_t left = size, n = 0;
    while (n < r->n_segments && left > r->segments[n].size)
        left -= r->segments[n++].size;
    if (n == r->n_segments || left == 0)
        return STO_OK;
    const size_t cut = r->segments[n].size;
    const char after = r->text[size];
    part.size = size;
    part.n_segments = n + 1;
    part.segments[n].size = left;
    part.text[size] = '\0';
    const enum sto_status status = sto_rendering_tokens(&part, tokenizer, out, err);
    part.segments[n].size = cut;
    part.text[size] = after;
    return status;
}

/* A model may write a text with other tokens than the tokenizer would choose. Where the prompt begins with the very
 * text that the session holds, the session's tokens stand for it, if the tokenizer sees a border behind that text. */
static enum sto_status keep_own_tokens(const struct sto_conversation *c, struct sto_prompt *p, struct sto_error *err)
{
    const struct sto_rendering *r = &p->rendering;
    struct sto_tokens usual = {0}, spliced = {0};
    if (c->text_size == 0 || c->text_size >= r->size || memcmp(r->text, c->text, c->text_size) != 0)
        return STO_OK;
    enum sto_status status = beginning(r, c->text_size, c->generator->tokenizer, &usual, err);
    if (status == STO_OK && usual.n > 0 && begins_with(&p->ids, &usual)) {
        for (size_t i = 0; i < c->ids.n && status == STO_OK; i++)
            status = sto_tokens_push(&spliced, c->ids.ids[i], err);
        for (size_t i = usual.n; i < p->ids.n && status == STO_OK; i++)
            status = sto_tokens_push(&spliced, p->ids.ids[i], err);
        sto_tokens_free(&p->ids);
        p->ids = spliced;
    }
    sto_tokens_free(&usual);
    return status;
}

enum sto_status sto_prompt_make(struct sto_conversation *c, const struct sto_reply_params *params,
                                struct sto_prompt *out, struct sto_error *err)
{
    const bool session_is_ours = c->run != 0 && c->run == c->generator->n_runs;
    enum sto_status status = render_what_fits(c, params, out, err);
    if (status != STO_OK || !session_is_ours)
        return status;
    status = keep_own_tokens(c, out, err);
    const size_t held = sto_session_length(c->generator->session);
    while (out->n_kept < held && out->n_kept < c->ids.n && out->n_kept + 1 < out->ids.n &&
           c->ids.ids[out->n_kept] == out->ids.ids[out->n_kept])
        out->n_kept++;
    return status;
}

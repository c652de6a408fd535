/* A reply: the generation's text goes through the parser of answers, whose events become the caller's and the message.
 *
 *   token -> text -> answer parser -> thought  ---------------> event, message
 *                                  -> text -> stop strings ---> event, message
 *                                  -> call of a tool ---------> event, message */
#include <stdio.h>
#include <string.h>

#include "host/answer.h"
#include "host/conversation_internal.h"
#include "host/json.h"
#include "host/text_stream.h"

static const char BUDGET_TEXT[] = "\n\nThere is no time left to think; I answer with what I have.";

struct reply {
    struct sto_conversation *c;
    const struct sto_reply_params *params;
    struct sto_generation gen;
    struct sto_answer answer;
    struct sto_text_stream raw;  /* everything that was generated, markers too        */
    size_t raw_sent;             /* bytes of it that on_raw has got                   */
    struct sto_text_stream text; /* the answer, with stop strings                     */
    size_t text_end;             /* where in `raw` the latest piece of the answer ends */
    struct sto_text_stream thought;
    size_t n_thought;
    bool cut;                   /* the thought was closed because of the budget */
    struct sto_message message; /* the assistant's                            */
    struct sto_list *calls;     /* in its arena; NULL: none                   */
    enum sto_status status;     /* of what happened within events             */
    struct sto_error *err;
};

void sto_reply_defaults(struct sto_reply_params *params)
{
    *params = (struct sto_reply_params){0};
    sto_sampler_defaults(&params->sampling);
}

/* ---- events ---- */

static void forward(struct reply *r, const struct sto_event *event)
{
    const struct sto_reply_params *p = r->params;
    if (p->on_event != NULL && p->on_event(p->user, event))
        sto_generation_end(&r->gen, STO_STOP_CANCELLED);
}

static void forward_text(struct reply *r, enum sto_event_kind kind, const char *text, size_t size)
{
    if (size > 0)
        forward(r, &(struct sto_event){.kind = kind, .text = text, .size = size});
}

/* What waited because it might have been a stop string. */
static void flush_text(struct reply *r)
{
    size_t from, to;
    if (r->text.stopped || r->text.text == NULL)
        return;
    sto_text_stream_finish(&r->text, &from, &to);
    forward_text(r, STO_EVENT_TEXT, r->text.text + from, to - from);
}

/* Bytes of `raw` that the parser of answers has settled; an event's text begins there. */
static size_t settled(const struct reply *r)
{
    const size_t waiting = r->answer.size - r->answer.pos; /* may hold the end of a prefill, which is not in `raw` */
    return waiting < r->raw.size ? r->raw.size - waiting : 0;
}

static enum sto_status take_thought(struct reply *r, const struct sto_event *e)
{
    size_t from, to;
    flush_text(r);
    const enum sto_status status = sto_text_stream_add(&r->thought, e->text, e->size, &from, &to, r->err);
    if (status == STO_OK)
        forward_text(r, STO_EVENT_REASONING, e->text, e->size);
    return status;
}

/* A stop string is looked for in text that was written in one piece: marks and thoughts part it. The stop string, and
 * what came behind it, is no part of what was said. */
static enum sto_status take_text(struct reply *r, const struct sto_event *e)
{
    const size_t at = settled(r), before = r->text.size;
    size_t from, to;
    if (at != r->text_end)
        flush_text(r);
    const enum sto_status status = sto_text_stream_add(&r->text, e->text, e->size, &from, &to, r->err);
    r->text_end = at + e->size;
    if (status == STO_OK)
        forward_text(r, STO_EVENT_TEXT, r->text.text + from, to - from);
    if (r->text.stopped) {
        r->raw.size = r->text_end - (before + e->size - r->text.size);
        r->raw.text[r->raw.size] = '\0';
        sto_generation_end(&r->gen, STO_STOP_STRING);
    }
    return status;
}

static enum sto_status take_call(struct reply *r, const struct sto_event *e)
{
    struct sto_arena *arena = &r->message.arena;
    struct sto_object *call = sto_object_create(arena), *function = sto_object_create(arena);
    struct sto_value arguments;
    char id[32];
    flush_text(r);
    if (r->calls == NULL)
        r->calls = sto_list_create(arena);
    /* Mistral's templates insist on nine letters and digits. */
    (void)snprintf(id, sizeof id, "c%04x%04x", (unsigned)r->c->n & 0xffff, (unsigned)e->n & 0xffff);
    if (r->calls == NULL || call == NULL || function == NULL ||
        sto_json_read(arena, e->call.arguments, strlen(e->call.arguments), &arguments, NULL) != STO_OK ||
        !sto_object_set(arena, function, "name", sto_value_string(arena, e->call.name)) ||
        !sto_object_set(arena, function, "arguments", arguments) ||
        !sto_object_set(arena, call, "id", sto_value_string(arena, id)) ||
        !sto_object_set(arena, call, "type", sto_value_string(arena, "function")) ||
        !sto_object_set(arena, call, "function", sto_value_of_object(function)) ||
        !sto_list_add(arena, r->calls, sto_value_of_object(call)))
        return sto_fail(r->err, STO_ERR_NO_FIT, "no memory for a call of a tool");
    forward(r, e);
    return STO_OK;
}

/* Gives out what is certain to stay: not what may become a mark, a call or a stop string. */
static void forward_raw(struct reply *r, bool at_end)
{
    const struct sto_reply_params *p = r->params;
    const size_t held = r->text.stopped ? 0 : r->text.size - r->text.sent, from = r->raw_sent;
    const size_t to = at_end || r->text.stopped ? r->raw.size : held > 0 ? r->text_end - held : settled(r);
    if (to <= from)
        return;
    r->raw_sent = to;
    if (p->on_raw != NULL && p->on_raw(p->user, r->raw.text + from, to - from))
        sto_generation_end(&r->gen, STO_STOP_CANCELLED);
}

static bool on_answer(void *user, const struct sto_event *e)
{
    struct reply *r = user;
    if (r->status == STO_OK && !r->text.stopped) {
        r->status = e->kind == STO_EVENT_REASONING ? take_thought(r, e)
                    : e->kind == STO_EVENT_TEXT    ? take_text(r, e)
                                                   : take_call(r, e);
    }
    return r->status != STO_OK || r->text.stopped;
}

/* ---- the generation's owner ---- */

/* Closes a thought that has used up its tokens. */
static enum sto_status close_thought(struct reply *r, struct sto_error *err)
{
    const char *said = r->params->budget_text != NULL ? r->params->budget_text : BUDGET_TEXT;
    char close[STO_MAX_PREFILL_BYTES];
    sto_reasoning_cut(&r->c->reasoning, close);
    r->cut = true;
    enum sto_status status = sto_generation_force(&r->gen, said, strlen(said), err);
    return status == STO_OK ? sto_generation_force(&r->gen, close, strlen(close), err) : status;
}

static enum sto_status on_text(void *self, const char *text, size_t size, struct sto_error *err)
{
    struct reply *r = self;
    size_t from, to;
    const bool thought = sto_answer_in_thought(&r->answer);
    if (r->text.stopped)
        return STO_OK;
    enum sto_status status = sto_text_stream_add(&r->raw, text, size, &from, &to, err);
    r->err = err;
    if (status == STO_OK)
        status = sto_answer_add(&r->answer, text, size, err);
    if (status == STO_OK)
        status = r->status;
    if (status == STO_OK)
        forward_raw(r, false);
    r->n_thought += thought ? 1 : 0;
    if (status == STO_OK && r->params->thinking_budget != 0 && !r->cut && r->n_thought >= r->params->thinking_budget &&
        sto_answer_in_thought(&r->answer) && !r->gen.ended)
        status = close_thought(r, err);
    return status;
}

static bool wants_control(void *self, const char *text, size_t size)
{
    return sto_answer_wants_marker(&((struct reply *)self)->answer, text, size);
}

static bool on_prompt(void *self, size_t done, size_t total)
{
    const struct sto_reply_params *p = ((struct reply *)self)->params;
    return p->on_prompt != NULL && p->on_prompt(p->user, done, total);
}

/* ---- the message ---- */

static bool set_text(struct sto_message *m, struct sto_object *o, const char *key, const struct sto_text_stream *text)
{
    const struct sto_value v = sto_value_text(&m->arena, text->text != NULL ? text->text : "", text->size);
    return v.kind == STO_VALUE_TEXT && sto_object_set(&m->arena, o, key, v);
}

/* Adds what the assistant has said to the conversation, which owns the message then. */
static enum sto_status add_message(struct reply *r, struct sto_error *err)
{
    struct sto_message *m = &r->message;
    const char *thoughts = r->c->reasoning.harmony ? "thinking" : "reasoning_content";
    struct sto_object *o = sto_object_create(&m->arena);
    if (o == NULL || !sto_object_set(&m->arena, o, "role", sto_value_string(&m->arena, "assistant")) ||
        !set_text(m, o, "content", &r->text) || (r->thought.size > 0 && !set_text(m, o, thoughts, &r->thought)) ||
        (r->calls != NULL && !sto_object_set(&m->arena, o, "tool_calls", sto_value_of_list(r->calls))))
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a message of %zu bytes", r->text.size);
    m->value = sto_value_of_object(o);
    return sto_conversation_take(r->c, m, err);
}

/* Notes what the session holds, for the next prompt. */
static enum sto_status remember(struct reply *r, const struct sto_prompt *prompt, struct sto_error *err)
{
    struct sto_conversation *c = r->c;
    const struct sto_generation *gen = &r->gen;
    const bool end_token = gen->stop == STO_STOP_END && gen->tokens.n > 0; /* stands for no text */
    const size_t size = prompt->rendering.size + r->raw.size;
    enum sto_status status = STO_OK;
    char *text = sto_realloc(c->text, size + 1, 1);
    if (text == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a conversation of %zu bytes", size);
    memcpy(text, prompt->rendering.text, prompt->rendering.size);
    if (r->raw.size > 0)
        memcpy(text + prompt->rendering.size, r->raw.text, r->raw.size);
    c->text = text;
    /* A stop string, and tokens that were to end the turn, are in the ids and not in the text. */
    c->text_size = gen->stop != STO_STOP_STRING && !gen->ignore_end ? size : 0;
    c->ids.n = 0;
    for (size_t i = 0; i < gen->prompt.n && status == STO_OK; i++)
        status = sto_tokens_push(&c->ids, gen->prompt.ids[i], err);
    for (size_t i = 0; i + (end_token ? 1 : 0) < gen->tokens.n && status == STO_OK; i++)
        status = sto_tokens_push(&c->ids, gen->tokens.ids[i], err);
    c->run = status == STO_OK ? c->generator->n_runs : 0;
    return status;
}

/* ---- a reply ---- */

static enum sto_status check_params(const struct sto_conversation *c, const struct sto_reply_params *p,
                                    struct sto_error *err)
{
    if (c->n == 0)
        return sto_fail(err, STO_ERR_USAGE, "there is no message to reply to");
    return sto_text_stream_check_stops(p->stops, p->n_stops, err);
}

static enum sto_status begin(struct reply *r, struct sto_prompt *prompt, struct sto_error *err)
{
    static const char *const plain_stops[] = {"\nUser:"};
    const struct sto_reply_params *p = r->params;
    const struct sto_conversation *c = r->c;
    struct sto_answer_params how = {.reasoning = c->reasoning, .tools = c->tools, .in_thought = prompt->in_thought};
    if (c->tools.kind == STO_VALUE_LIST)
        how.tool_format = c->tool_format;
    enum sto_status status = sto_answer_init(&r->answer, &how, err);
    if (status == STO_OK) /* before anybody listens: it is no part of the reply */
        status = sto_answer_add(&r->answer, prompt->prefill, strlen(prompt->prefill), err);
    r->answer.params.user = r;
    r->answer.params.on_event = on_answer;
    const bool plain = c->plain_form != NULL && p->n_stops == 0;
    r->text.stops = plain ? plain_stops : p->stops;
    r->text.n_stops = plain ? 1 : p->n_stops;
    r->gen.g = c->generator;
    r->gen.owner = (struct sto_generation_owner){r, on_text, wants_control, on_prompt};
    r->gen.sampling = &p->sampling;
    r->gen.max_tokens = p->max_tokens;
    r->gen.ignore_end = p->ignore_end;
    r->gen.prompt = prompt->ids;
    r->gen.n_kept = prompt->n_kept;
    prompt->ids = (struct sto_tokens){0};
    if (status == STO_OK)
        status = sto_generation_check_prompt(&r->gen, err);
    return status;
}

static enum sto_status generate(struct reply *r, const struct sto_prompt *prompt, struct sto_error *err)
{
    enum sto_status status = sto_generation_run(&r->gen, err);
    if (status != STO_OK)
        return status;
    r->err = err;
    sto_answer_finish(&r->answer);
    flush_text(r);
    forward_raw(r, true);
    status = r->status;
    if (status == STO_OK && r->gen.tokens.n > 0)
        status = add_message(r, err);
    return status == STO_OK ? remember(r, prompt, err) : status;
}

enum sto_status sto_conversation_reply(struct sto_conversation *c, const struct sto_reply_params *params,
                                       struct sto_reply *reply, struct sto_error *err)
{
    struct reply r = {.c = c, .params = params};
    struct sto_prompt prompt = {0};
    size_t from, to;
    const size_t n_dropped = c->n_dropped;
    *reply = (struct sto_reply){0};
    enum sto_status status = check_params(c, params, err);
    if (status == STO_OK)
        status = sto_prompt_make(c, params, &prompt, err);
    if (status == STO_OK)
        status = sto_text_stream_add(&r.raw, "", 0, &from, &to, err);
    if (status == STO_OK)
        status = begin(&r, &prompt, err);
    if (status == STO_OK && c->n_dropped > n_dropped) {
        reply->n_dropped = c->n_dropped - n_dropped;
        forward(&r, &(struct sto_event){.kind = STO_EVENT_DROPPED, .n = reply->n_dropped});
    }
    if (status == STO_OK) {
        c->run = 0;
        status = generate(&r, &prompt, err);
    }
    if (status != STO_OK)
        c->n_dropped = n_dropped;
    else
        forward(&r, &(struct sto_event){.kind = STO_EVENT_DONE, .stop = r.gen.stop});
    reply->generated = (struct sto_generate_result){.prompt_tokens = r.gen.prompt.ids,
                                                    .n_prompt_tokens = r.gen.prompt.n,
                                                    .tokens = r.gen.tokens.ids,
                                                    .n_tokens = r.gen.tokens.n,
                                                    .text = r.raw.text,
                                                    .text_size = r.raw.size,
                                                    .stop = r.gen.stop,
                                                    .prompt_ns = r.gen.prompt_ns,
                                                    .generate_ns = r.gen.generate_ns};
    reply->n_evaluated = r.gen.prompt.n - r.gen.n_kept;
    reply->n_thought = r.n_thought;
    sto_tokens_free(&r.gen.forced);
    sto_arena_free(&r.message.arena);
    sto_answer_free(&r.answer);
    sto_text_stream_free(&r.text);
    sto_text_stream_free(&r.thought);
    sto_prompt_free(&prompt);
    return status;
}

void sto_reply_free(struct sto_reply *reply)
{
    sto_generate_result_free(&reply->generated);
    *reply = (struct sto_reply){0};
}

/* Running jobs together.
 *
 *   jobs -> slots, each with a session -> [ one token of each that generates | pieces of new prompts ] -> one pass
 *        -> a token for each whose logits came -> results of those that have ended; their slots take the next jobs */
#include <string.h>

#include "host/batch_internal.h"
#include "host/text_stream.h"
#include "runtime/base/mem.h"
#include "runtime/engine.h"

/* A place for one job at a time. */
struct slot {
    struct sto_generator g;     /* the batch's, with a session of its own */
    struct sto_generation gen;
    struct sto_text_stream stream;
    size_t job, n_read;         /* prompt tokens that are in the session */
    uint32_t token;             /* drawn, and not evaluated yet; once all of the prompt was read */
    bool busy;
};

struct batch_run {
    struct sto_batch *batch;
    struct sto_engine *engine;
    const struct sto_batch_params *params;
    struct sto_batch_progress now;
    struct slot *slots; /* [n_slots] */
    uint32_t n_slots;
    struct sto_eval_item *items; /* [n_slots] of the pass */
    struct slot **who;           /* [n_slots] whose each is */
    uint32_t n_items;
    size_t next;                 /* job */
};

/* ---- one job ---- */

static enum sto_status add_text(void *self, const char *text, size_t size, struct sto_error *err)
{
    struct slot *s = self;
    size_t from, to;
    if (s->stream.stopped)
        return STO_OK;
    const enum sto_status status = sto_text_stream_add(&s->stream, text, size, &from, &to, err);
    if (s->stream.stopped)
        sto_generation_end(&s->gen, STO_STOP_STRING);
    return status;
}

static enum sto_status begin(struct slot *s, const struct sto_batch_entry *job, struct sto_error *err)
{
    s->gen = (struct sto_generation){.g = &s->g, .owner = {.self = s, .text = add_text}, .sampling = &job->sampling,
                                     .max_tokens = job->max_tokens, .ignore_end = job->ignore_end,
                                     .prompt = job->prompt};
    s->stream = (struct sto_text_stream){.stops = job->stops, .n_stops = job->n_stops};
    s->n_read = 0;
    enum sto_status status = sto_generation_check_prompt(&s->gen, err);
    if (status == STO_OK)
        status = sto_text_stream_check_stops(job->stops, job->n_stops, err);
    if (status == STO_OK)
        status = sto_generation_begin(&s->gen, err);
    for (size_t i = 0; i < job->prompt.n && status == STO_OK; i++)
        status = sto_sampler_accept(s->gen.sampler, job->prompt.ids[i], err);
    return status == STO_OK ? add_text(s, "", 0, err) : status; /* the text is a string in any case */
}

static void close_slot(struct slot *s)
{
    sto_sampler_destroy(s->gen.sampler);
    s->gen.sampler = NULL;
    s->gen.prompt = (struct sto_tokens){0}; /* the job's */
    sto_generation_free(&s->gen);
    sto_text_stream_free(&s->stream);
    s->stream = (struct sto_text_stream){0};
    s->busy = false;
}

static enum sto_status give(struct batch_run *r, const struct sto_batch_result *result, struct sto_error *err)
{
    r->now.n_done++;
    r->now.n_failed += result->status != STO_OK;
    return r->params->on_result(r->params->user, result, err);
}

static enum sto_status give_error(struct batch_run *r, size_t job, enum sto_status why, const char *message,
                                  struct sto_error *err)
{
    const struct sto_tokens *prompt = &r->batch->jobs[job].prompt;
    const struct sto_batch_result result = {.job = job, .status = why, .error = message,
                                            .prompt_tokens = prompt->ids, .n_prompt_tokens = prompt->n, .text = ""};
    return give(r, &result, err);
}

/* The job has ended; status is how. */
static enum sto_status end_job(struct batch_run *r, struct slot *s, enum sto_status status,
                               const struct sto_error *how, struct sto_error *err)
{
    struct sto_error why = how != NULL ? *how : (struct sto_error){0};
    size_t from, to;
    status = sto_generation_finish(&s->gen, status, &why);
    sto_text_stream_finish(&s->stream, &from, &to);
    const struct sto_batch_result result = {
        .job = s->job, .prompt_tokens = s->gen.prompt.ids, .n_prompt_tokens = s->gen.prompt.n,
        .tokens = s->gen.tokens.ids, .n_tokens = s->gen.tokens.n, .text = s->stream.text, .text_size = s->stream.size,
        .stop = s->gen.stop};
    const enum sto_status given =
        status == STO_OK ? give(r, &result, err) : give_error(r, s->job, status, why.message, err);
    close_slot(s);
    r->now.n_running--;
    return given;
}

/* A job for a slot that is free; those that cannot begin get their results at once. */
static enum sto_status fill_slot(struct batch_run *r, struct slot *s, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    while (status == STO_OK && !s->busy && r->next < r->batch->n) {
        const size_t job = r->next++;
        const struct sto_batch_entry *entry = &r->batch->jobs[job];
        struct sto_error why = {0};
        if (r->params->skip != NULL && r->params->skip[job])
            continue;
        if (entry->status != STO_OK) {
            status = give_error(r, job, entry->status, entry->error, err);
            continue;
        }
        s->job = job;
        const enum sto_status begun = begin(s, entry, &why);
        if (begun == STO_OK) {
            s->busy = true;
            r->now.n_running++;
            continue;
        }
        close_slot(s);
        status = give_error(r, job, begun, why.message, err);
    }
    return status;
}

/* ---- a pass ---- */

static bool generates(const struct slot *s)
{
    return s->busy && s->n_read == s->gen.prompt.n;
}

static void add_item(struct batch_run *r, struct slot *s, const uint32_t *tokens, uint32_t n, bool last)
{
    r->items[r->n_items] = (struct sto_eval_item){.session = s->g.session, .tokens = tokens, .n_tokens = n,
                                                  .want_logits = last};
    r->who[r->n_items++] = s;
}

static void compose(struct batch_run *r)
{
    uint32_t room = r->engine->info.ubatch_tokens;
    r->n_items = 0;
    for (uint32_t i = 0; i < r->n_slots; i++) {
        if (generates(&r->slots[i])) {
            add_item(r, &r->slots[i], &r->slots[i].token, 1, true);
            room--;
        }
    }
    for (uint32_t i = 0; i < r->n_slots && room > 0; i++) {
        struct slot *s = &r->slots[i];
        const size_t left = s->busy ? s->gen.prompt.n - s->n_read : 0;
        const uint32_t n = left < room ? (uint32_t)left : room;
        if (n > 0)
            add_item(r, s, s->gen.prompt.ids + s->n_read, n, n == left);
        room -= n;
    }
}

/* What a pass has brought one job. */
static enum sto_status take(struct batch_run *r, const struct sto_eval_item *item, struct slot *s,
                            struct sto_error *err)
{
    struct sto_error why = {0};
    if (item->status != STO_OK) {
        (void)sto_fail(&why, item->status, "the model cannot evaluate the tokens of this prompt");
        return end_job(r, s, item->status, &why, err);
    }
    if (!generates(s)) {
        s->n_read += item->n_tokens;
        r->now.n_prompt_tokens += item->n_tokens;
    }
    if (item->logits == NULL)
        return STO_OK;
    const enum sto_status status = sto_generation_draw(&s->gen, item->logits, &s->token, &why);
    r->now.n_tokens += status == STO_OK;
    if (status == STO_OK && !s->gen.ended && sto_session_length(s->g.session) >= r->engine->info.ctx_tokens)
        sto_generation_end(&s->gen, STO_STOP_CONTEXT);
    return status != STO_OK || s->gen.ended ? end_job(r, s, status, &why, err) : STO_OK;
}

static enum sto_status run_jobs(struct batch_run *r, struct sto_error *err)
{
    for (;;) {
        enum sto_status status = STO_OK;
        if (atomic_exchange(&r->batch->cancelled, false))
            return sto_fail(err, STO_ERR_CANCELLED, "stopped after %zu of %zu prompts", r->now.n_done, r->now.n_jobs);
        for (uint32_t i = 0; i < r->n_slots && status == STO_OK; i++)
            status = fill_slot(r, &r->slots[i], err);
        compose(r);
        if (status != STO_OK || r->n_items == 0)
            return status;
        status = sto_engine_eval(r->engine, r->items, r->n_items, err);
        for (uint32_t i = 0; i < r->n_items && status == STO_OK; i++)
            status = take(r, &r->items[i], r->who[i], err);
        if (status != STO_OK)
            return status;
        if (r->params->on_progress != NULL)
            r->params->on_progress(r->params->user, &r->now);
    }
}

/* ---- the whole ---- */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static enum sto_status open_slots(struct batch_run *r, uint32_t wanted, struct sto_error *err)
{
    r->slots = sto_calloc(wanted, sizeof *r->slots);
    r->items = sto_calloc(wanted, sizeof *r->items);
    r->who = sto_calloc(wanted, sizeof(struct slot *));
    if (r->slots == NULL || r->items == NULL || r->who == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u sequences", (unsigned)wanted);
    while (r->n_slots < wanted) {
        struct slot *s = &r->slots[r->n_slots];
        s->g = r->batch->text;
        s->g.engine = r->engine;
        const enum sto_status status = sto_session_create(r->engine, &s->g.session, err);
        if (status == STO_ERR_NO_FIT && r->n_slots > 0)
            return STO_OK;
        if (status != STO_OK)
            return status;
        r->n_slots++;
    }
    return STO_OK;
}

static void close_slots(struct batch_run *r)
{
    for (uint32_t i = 0; i < r->n_slots; i++) {
        if (r->slots[i].busy)
            close_slot(&r->slots[i]);
        sto_session_destroy(r->slots[i].g.session);
    }
    sto_free(r->slots);
    sto_free(r->items);
    sto_free(r->who);
}

enum sto_status sto_batch_run(struct sto_batch *batch, struct sto_engine *engine, const struct sto_batch_params *params,
                              struct sto_batch_progress *progress, struct sto_error *err)
{
    struct batch_run r = {.batch = batch, .engine = engine, .params = params};
    const uint32_t wanted = params->n_sequences > 0 ? params->n_sequences : 1;
    for (size_t i = 0; i < batch->n; i++)
        r.now.n_jobs += params->skip == NULL || !params->skip[i];
    enum sto_status status =
        open_slots(&r, least(wanted, least(engine->info.ubatch_tokens, engine->info.logit_rows)), err);
    if (status == STO_OK)
        status = run_jobs(&r, err);
    close_slots(&r);
    r.now.n_running = 0;
    if (progress != NULL)
        *progress = r.now;
    return status;
}

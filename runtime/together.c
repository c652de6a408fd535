/* Several sequences in one pass.
 *
 *   items -> columns: those of few tokens first, each column on its own; then whole pieces of prompts
 *         -> one step block, one pass, one row of logits per item that wants them
 *
 * Steps in which every sequence has one token are recorded for a number of columns and a length of the KV cache in
 * whole pages, and replayed while the number is the same and the length enough. */
#include <string.h>

#include "runtime/base/status.h"
#include "runtime/cpu_lane.h"
#include "runtime/engine.h"

enum { FEW_COLUMNS = 8 }; /* of an item: attention of so few takes each column on its own */

struct together {
    struct sto_engine *e;
    struct sto_eval_item *items[STO_MAX_SEQUENCES]; /* in the order of their columns */
    struct sto_column_run runs[STO_MAX_SEQUENCES];
    uint32_t logit_cols[STO_MAX_SEQUENCES];
    struct sto_growth grown[STO_MAX_SEQUENCES]; /* [n_items] */
    uint32_t n_items, n_cols, n_runs, n_rows, max_tokens;
    bool decode; /* a token and logits for everyone */
};

/* ---- what is asked for ---- */

static enum sto_status check_call(const struct sto_engine *e, const struct sto_eval_item *items, size_t n,
                                  struct sto_error *err)
{
    bool seen[STO_MAX_SEQUENCES] = {0};
    size_t n_cols = 0, n_rows = 0;
    for (size_t i = 0; i < n; i++) {
        const struct sto_session *s = items[i].session;
        if (s == NULL || s->engine != e)
            return sto_fail(err, STO_ERR_USAGE, "item %zu has no session of this engine", i);
        if (seen[s->sequence])
            return sto_fail(err, STO_ERR_USAGE, "item %zu has a session that comes twice", i);
        if (items[i].n_tokens == 0)
            return sto_fail(err, STO_ERR_USAGE, "item %zu has no tokens to evaluate", i);
        seen[s->sequence] = true;
        n_cols += items[i].n_tokens;
        n_rows += items[i].want_logits;
    }
    if (n_cols > e->info.ubatch_tokens)
        return sto_fail(err, STO_ERR_USAGE, "%zu tokens are more than go through the layers at once: %u", n_cols,
                        e->info.ubatch_tokens);
    if (n_rows > e->logit_rows)
        return sto_fail(err, STO_ERR_USAGE, "logits of %zu tokens are more than one pass gives: %u", n_rows,
                        e->logit_rows);
    return STO_OK;
}

static enum sto_status check_item(const struct sto_engine *e, const struct sto_eval_item *item)
{
    if (sto_session_take_cancel(item->session))
        return STO_ERR_CANCELLED;
    if (item->n_tokens > e->info.ctx_tokens - item->session->length)
        return STO_ERR_USAGE;
    for (uint32_t i = 0; i < item->n_tokens; i++) {
        if (item->tokens[i] >= e->model->h.n_vocab)
            return STO_ERR_USAGE;
    }
    return STO_OK;
}

/* ---- columns ---- */

static void add_item(struct together *t, struct sto_eval_item *item)
{
    const uint32_t end = item->session->length + item->n_tokens;
    const bool few = item->n_tokens <= FEW_COLUMNS;
    struct sto_column_run *run = t->n_runs > 0 ? &t->runs[t->n_runs - 1] : NULL;
    if (!few || run == NULL || run->one_sequence) {
        run = &t->runs[t->n_runs++];
        *run = (struct sto_column_run){.one_sequence = !few};
    }
    run->n_cols += item->n_tokens;
    run->max_tokens = end > run->max_tokens ? end : run->max_tokens;
    t->max_tokens = end > t->max_tokens ? end : t->max_tokens;
    t->decode = t->decode && item->n_tokens == 1 && item->want_logits;
    t->grown[t->n_items] = (struct sto_growth){item->session, item->n_tokens};
    t->items[t->n_items++] = item;
    t->n_cols += item->n_tokens;
    if (item->want_logits)
        t->logit_cols[t->n_rows++] = t->n_cols - 1;
}

static void lay_out(struct together *t, struct sto_eval_item *items, size_t n)
{
    t->decode = true;
    for (int few = 1; few >= 0; few--) {
        for (size_t i = 0; i < n; i++) {
            if (items[i].status == STO_OK && (items[i].n_tokens <= FEW_COLUMNS) == few)
                add_item(t, &items[i]);
        }
    }
}

static void write_block(const struct together *t, uint8_t *at)
{
    const struct StepHeader header = {.n_cols = t->n_cols, .n_pieces = (t->max_tokens + KV_PAGE - 1) / KV_PAGE};
    memcpy(at, &header, sizeof header);
    at += sizeof header;
    for (uint32_t i = 0; i < t->n_items; i++) {
        const struct sto_eval_item *item = t->items[i];
        for (uint32_t c = 0; c < item->n_tokens; c++, at += sizeof(struct StepColumn)) {
            const struct StepColumn column = {.token = item->tokens[c], .position = item->session->length + c,
                                              .sequence = item->session->sequence};
            memcpy(at, &column, sizeof column);
        }
    }
}

static void write_step(const struct together *t)
{
    if (t->e->cpu_lane != NULL)
        write_block(t, sto_cpu_lane_step(t->e->cpu_lane));
    if (t->e->device != NULL)
        write_block(t, t->e->step_host.mapped);
}

/* ---- the pass ---- */

static struct sto_work work_of(const struct together *t)
{
    return (struct sto_work){.n_cols = t->n_cols, .max_tokens = t->max_tokens, .n_rows = t->n_rows, .runs = t->runs,
                             .n_runs = t->n_runs, .logit_cols = t->logit_cols, .grown = t->grown,
                             .n_grown = t->n_items};
}

/* The recordings of a decode step of so many sequences. */
static enum sto_status find_decode(struct together *t, struct sto_error *err)
{
    struct sto_engine *e = t->e;
    const uint32_t tokens = (t->max_tokens + KV_PAGE - 1) / KV_PAGE * KV_PAGE;
    enum sto_status status = e->together == NULL ? sto_parts_create(e, STO_PHASE_DECODE, &e->together, err) : STO_OK;
    if (status != STO_OK || (e->together_cols == t->n_cols && e->together_tokens >= tokens))
        return status;
    t->max_tokens = t->runs[0].max_tokens = tokens;
    e->together_cols = 0; /* it stands for nothing when recording fails */
    const struct sto_work work = work_of(t);
    if ((status = sto_parts_record(e, e->together, &work, err)) != STO_OK)
        return status;
    e->together_cols = t->n_cols;
    e->together_tokens = tokens;
    return STO_OK;
}

static enum sto_status run_on_device(struct together *t, struct sto_error *err)
{
    struct sto_engine *e = t->e;
    struct sto_work work = work_of(t);
    uint64_t ticket = 0;
    struct sto_parts *other = e->other[sto_phase_of(e, t->n_cols)];
    enum sto_status status = t->decode ? find_decode(t, err) : sto_parts_record(e, other, &work, err);
    struct sto_parts *parts = t->decode ? e->together : other;
    work = work_of(t);
    if (status == STO_OK)
        status = sto_parts_submit(e, parts, &work, &ticket, err);
    return status == STO_OK ? sto_parts_wait(e, parts, t->n_cols, ticket, err) : status;
}

static void run_on_cpu(struct together *t)
{
    const struct sto_work work = work_of(t);
    sto_cpu_lane_run(t->e->cpu_lane, &work);
    if (t->n_rows > 0)
        sto_cpu_lane_logits(t->e->cpu_lane, &work, 0, t->n_rows);
}

static void finish(const struct together *t)
{
    const float *rows = t->e->readback.mapped;
    for (uint32_t i = 0; i < t->n_items; i++) {
        struct sto_eval_item *item = t->items[i];
        item->session->length += item->n_tokens;
        if (item->want_logits) {
            item->logits = rows;
            rows += t->e->logit_stride;
        }
    }
}

/* One item alone is what sessions do by themselves, and decode steps of one column are recorded there. */
static enum sto_status run_alone(struct sto_eval_item *item, struct sto_error *err)
{
    const enum sto_logits want = item->want_logits ? STO_LOGITS_LAST : STO_LOGITS_NONE;
    const enum sto_status status = sto_session_eval(item->session, item->tokens, item->n_tokens, want, NULL, err);
    if (status == STO_ERR_CANCELLED) {
        item->status = status;
        return STO_OK;
    }
    if (status == STO_OK && item->want_logits)
        item->logits = sto_session_logits(item->session);
    return status;
}

enum sto_status sto_engine_eval(struct sto_engine *engine, struct sto_eval_item *items, size_t n_items,
                                struct sto_error *err)
{
    struct together t = {.e = engine};
    enum sto_status status = check_call(engine, items, n_items, err);
    if (status != STO_OK)
        return status;
    for (size_t i = 0; i < n_items; i++) {
        items[i].status = check_item(engine, &items[i]);
        items[i].logits = NULL;
    }
    lay_out(&t, items, n_items);
    if (t.n_items == 0)
        return STO_OK;
    if (t.n_items == 1)
        return run_alone(t.items[0], err);
    write_step(&t);
    if (engine->device == NULL)
        run_on_cpu(&t);
    else
        status = run_on_device(&t, err);
    if (status == STO_OK)
        finish(&t);
    return status;
}

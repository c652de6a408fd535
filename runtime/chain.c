/* Chains of decode steps that draw their tokens on the device.
 *
 *   start:  step block, sampling block -> device
 *   step:   embed -> layers -> logits -> draw -> ring; the token drawn is in the step block for the next step
 *
 * A few recordings of the step, all alike, take turns, so that the device always has the next step while the host reads
 * the id of the last one; where layers are on the processor there is one recording, and the host runs its segments. A
 * chain that ends early leaves steps in the queue: they write KV behind the sequence's end, which whatever comes next
 * overwrites, since the queue works in order. */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/base/status.h"
#include "runtime/engine.h"

enum { DEFAULT_DEPTH = 2 };
static_assert((int)STO_MAX_DEPTH < SAMPLE_RING, "a result is read before its place in the ring is written again");

/* ---- recordings ---- */

static enum sto_status record_start(struct sto_engine *e, struct sto_error *err)
{
    struct sto_recording *rec = NULL;
    enum sto_status status = sto_recording_create(e->device, &rec, err);
    if (status != STO_OK)
        return status;
    struct sto_forward f = sto_engine_forward(e, rec, 1, 0);
    const struct sto_op_step_args step = {.host = f.step_host, .step = f.step, .groups = f.groups, .max_cols = 1,
                                          .n_kv_heads = e->model->h.n_kv_heads};
    sto_recording_begin(rec);
    sto_op_step_begin(&f.ops, &step);
    sto_record_copy(rec, &e->sample, 0, &e->sample_host, 0, sizeof(struct SampleBlock));
    if ((status = sto_recording_finish(rec, err)) != STO_OK) {
        sto_recording_destroy(rec);
        return status;
    }
    e->chain_start = rec;
    return STO_OK;
}

void sto_chain_record_draw(struct sto_engine *e, struct sto_forward *f)
{
    const struct sto_op_sample_args sample = {
        .logits = {.address = e->logits.address, .rows = 1, .cols = e->model->h.n_vocab, .stride = e->logit_stride},
        .scratch = e->sample.address + STO_SAMPLE_SCRATCH_OFFSET,
        .block = e->sample.address,
        .ring = e->ring.address,
        .step = f->step,
        .groups = f->groups,
        .n_kv_heads = e->model->h.n_kv_heads,
    };
    sto_op_sample(&f->ops, &sample);
}

static enum sto_status record_step(struct sto_engine *e, struct sto_parts **out, struct sto_error *err)
{
    const struct sto_work work = {.n_cols = 1, .n_rows = 1, .chained = true};
    struct sto_parts *parts = NULL;
    enum sto_status status = sto_parts_create(e, STO_PHASE_DECODE, &parts, err);
    if (status == STO_OK)
        status = sto_parts_record(e, parts, &work, err);
    if (status != STO_OK) {
        sto_parts_destroy(parts);
        return status;
    }
    *out = parts;
    return STO_OK;
}

static enum sto_status record_all(struct sto_engine *e, uint32_t depth, struct sto_error *err)
{
    enum sto_status status = e->chain_start == NULL ? record_start(e, err) : STO_OK;
    for (uint32_t i = 0; i < depth && status == STO_OK; i++) {
        if (e->chain[i] == NULL)
            status = record_step(e, &e->chain[i], err);
    }
    return status;
}

enum sto_status sto_chain_wait(struct sto_engine *e, struct sto_error *err)
{
    const uint64_t ticket = e->chain_ticket;
    e->chain_ticket = 0;
    const enum sto_status status = ticket != 0 ? sto_device_wait(e->device, ticket, err) : STO_OK;
    if (ticket != 0 && e->copies[STO_PHASE_DECODE] != NULL)
        (void)sto_copy_check(e->copies[STO_PHASE_DECODE], NULL); /* nobody takes what these steps made */
    return status;
}

/* ---- parameters ---- */

bool sto_engine_can_draw(const struct sto_engine *e)
{
    return e->device != NULL && e->model->h.n_vocab <= STO_SAMPLE_MAX_VOCAB &&
           sto_op_can_sample(sto_device_get_plan(e->device));
}

static enum sto_status check_drawing(const struct sto_generation_params *p, bool on_cpu, struct sto_error *err)
{
    if (!(p->temperature >= 0.0f && p->temperature <= FLT_MAX))
        return sto_fail(err, STO_ERR_USAGE, "temperature is %g, but its range is: 0 or more", (double)p->temperature);
    if (p->depth > STO_MAX_DEPTH)
        return sto_fail(err, STO_ERR_USAGE, "depth is %u, but its range is: 1 to %d, 0 for the default", p->depth,
                        STO_MAX_DEPTH);
    if (p->end_tokens == NULL && p->n_end_tokens > 0)
        return sto_fail(err, STO_ERR_USAGE, "end_tokens is NULL, but its count is not 0");
    if (p->temperature == 0.0f)
        return STO_OK;
    if (on_cpu)
        return sto_fail(err, STO_ERR_USAGE, "temperature is %g, but the cpu lane draws the largest logit alone: 0",
                        (double)p->temperature);
    if (!(p->top_p > 0.0f && p->top_p <= 1.0f))
        return sto_fail(err, STO_ERR_USAGE, "top_p is %g, but its range is: above 0, at most 1", (double)p->top_p);
    if (!(p->min_p >= 0.0f && p->min_p < 1.0f))
        return sto_fail(err, STO_ERR_USAGE, "min_p is %g, but its range is: 0 or more, below 1", (double)p->min_p);
    return STO_OK;
}

static enum sto_status check_call(const struct sto_session *s, uint32_t token, uint32_t n_steps, struct sto_error *err)
{
    const uint32_t ctx = s->engine->info.ctx_tokens;
    const uint32_t n_vocab = s->engine->model->h.n_vocab;
    if (token >= n_vocab)
        return sto_fail(err, STO_ERR_USAGE, "token id %u is out of range, the vocabulary has %u", token, n_vocab);
    if (n_vocab > STO_SAMPLE_MAX_VOCAB)
        return sto_fail(err, STO_ERR_USAGE, "a vocabulary of %u tokens is more than %d, which the device draws from",
                        n_vocab, STO_SAMPLE_MAX_VOCAB);
    if (s->engine->device != NULL && !sto_op_can_sample(sto_device_get_plan(s->engine->device)))
        return sto_fail(err, STO_ERR_FAILED, "%s draws tokens wrongly: its kernels for that were set aside",
                        sto_device_name(s->engine->device));
    if (n_steps > ctx - s->length)
        return sto_fail(err, STO_ERR_USAGE, "%u tokens after %u do not fit in a context of %u", n_steps, s->length,
                        ctx);
    return STO_OK;
}

static struct SampleBlock make_block(const struct sto_generation_params *p)
{
    struct SampleBlock b = {.seed = {(uint32_t)p->seed, (uint32_t)(p->seed >> 32)},
                            .counter = {(uint32_t)p->first_draw, (uint32_t)(p->first_draw >> 32)},
                            .top_k = 1,
                            .scale = 1.0f};
    if (p->temperature > 0.0f) {
        b.top_k = p->top_k;
        b.top_p = p->top_p < 1.0f ? (uint32_t)(p->top_p * 0x1p32f) : 0;
        b.min_p = p->min_p;
        b.scale = fminf(1.0f / p->temperature, FLT_MAX);
    }
    b.n_end = p->n_end_tokens < SAMPLE_MAX_END ? (uint32_t)p->n_end_tokens : SAMPLE_MAX_END;
    if (b.n_end > 0)
        memcpy(b.end, p->end_tokens, b.n_end * sizeof *b.end);
    return b;
}

/* ---- a chain ---- */

struct chain {
    struct sto_session *session;
    const struct sto_generation_params *params;
    uint32_t n_steps, depth;
    uint32_t submitted, read; /* steps */
    uint32_t token;           /* read last: where a step needs the host, what it evaluates */
    uint64_t tickets[STO_MAX_DEPTH];
    bool stopped;
};

static enum sto_status submit_step(struct chain *c, struct sto_error *err)
{
    struct sto_engine *e = c->session->engine;
    const uint32_t slot = c->submitted % c->depth;
    if (e->cpu_lane != NULL)
        sto_session_write_step(c->session, &c->token, 1);
    const struct sto_work work = {.n_cols = 1, .chained = true};
    const enum sto_status status = sto_parts_submit(e, e->chain[slot], &work, &c->tickets[slot], err);
    if (status == STO_OK) {
        e->chain_ticket = c->tickets[slot];
        c->submitted++;
    }
    return status;
}

static bool ends(const struct sto_generation_params *p, uint32_t token)
{
    bool found = false;
    for (size_t i = 0; i < p->n_end_tokens; i++)
        found = found || p->end_tokens[i] == token;
    return found;
}

/* Waits for the next step, takes its token and asks whether to go on. */
static enum sto_status read_step(struct chain *c, uint32_t *token, struct sto_error *err)
{
    struct sto_engine *e = c->session->engine;
    const uint32_t slot = c->read % c->depth;
    const enum sto_status status = sto_parts_wait(e, e->chain[slot], 1, c->tickets[slot], err);
    if (status != STO_OK)
        return status;
    const uint32_t *ring = e->ring.mapped;
    *token = ring[c->read % SAMPLE_RING];
    c->session->length++;
    if (*token >= e->model->h.n_vocab)
        return sto_fail(err, STO_ERR_FAILED, "no token can follow: all %u logits are -infinity or NaN",
                        e->model->h.n_vocab);
    c->read++;
    c->token = *token;
    c->stopped = ends(c->params, *token);
    if (c->params->on_token != NULL)
        c->stopped = c->params->on_token(c->params->user, *token) || c->stopped;
    return STO_OK;
}

static enum sto_status start(struct chain *c, uint32_t token, struct sto_error *err)
{
    struct sto_engine *e = c->session->engine;
    const struct SampleBlock block = make_block(c->params);
    enum sto_status status = record_all(e, c->depth, err);
    if (status == STO_OK)
        status = sto_chain_wait(e, err);
    if (status != STO_OK)
        return status;
    sto_session_write_step(c->session, &token, 1);
    memcpy(e->sample_host.mapped, &block, sizeof block);
    return sto_device_submit(e->device, e->chain_start, &e->chain_ticket, err);
}

static enum sto_status cancelled(const struct chain *c, struct sto_error *err)
{
    return sto_fail(err, STO_ERR_CANCELLED, "generation was cancelled after %u of %u tokens", c->read, c->n_steps);
}

/* ---- on the processor ---- */

/* The lowest id among those of the largest logit; n_vocab: all are -infinity or NaN. */
static uint32_t best_token(const float *logits, uint32_t n_vocab)
{
    uint32_t best = n_vocab;
    float top = -INFINITY;
    for (uint32_t i = 0; i < n_vocab; i++) {
        if (logits[i] > top) {
            top = logits[i];
            best = i;
        }
    }
    return best;
}

/* The same, one step after the other, without a queue. */
static enum sto_status generate_on_cpu(struct sto_session *s, uint32_t token,
                                       const struct sto_generation_params *params, uint32_t n_steps, uint32_t *tokens,
                                       uint32_t *n_tokens, struct sto_error *err)
{
    const uint32_t n_vocab = s->engine->model->h.n_vocab;
    bool stopped = false;
    while (*n_tokens < n_steps && !stopped) {
        const enum sto_status status = sto_session_eval(s, &token, 1, STO_LOGITS_LAST, NULL, err);
        if (status != STO_OK)
            return status;
        token = best_token(sto_session_logits(s), n_vocab);
        if (token == n_vocab)
            return sto_fail(err, STO_ERR_FAILED, "no token can follow: all %u logits are -infinity or NaN", n_vocab);
        if (tokens != NULL)
            tokens[*n_tokens] = token;
        ++*n_tokens;
        stopped = ends(params, token);
        if (params->on_token != NULL)
            stopped = params->on_token(params->user, token) || stopped;
    }
    return STO_OK;
}

enum sto_status sto_session_generate(struct sto_session *s, uint32_t token, const struct sto_generation_params *params,
                                     uint32_t n_steps, uint32_t *tokens, uint32_t *n_tokens, struct sto_error *err)
{
    struct chain c = {.session = s, .params = params, .n_steps = n_steps, .token = token,
                      .depth = params->depth != 0 ? params->depth : DEFAULT_DEPTH};
    uint32_t drawn = 0;
    *n_tokens = 0;
    enum sto_status status = check_call(s, token, n_steps, err);
    if (status == STO_OK)
        status = check_drawing(params, s->engine->device == NULL, err);
    if (status != STO_OK || n_steps == 0)
        return status;
    if (s->engine->device == NULL)
        return generate_on_cpu(s, token, params, n_steps, tokens, n_tokens, err);
    if (c.depth > n_steps)
        c.depth = n_steps;
    /* Batches are timed while nothing else is queued, and a step that crosses needs the host. */
    if (s->engine->trace != NULL || s->engine->cpu_lane != NULL)
        c.depth = 1;
    status = sto_session_take_cancel(s) ? cancelled(&c, err) : start(&c, token, err);
    while (status == STO_OK && c.read < n_steps && !c.stopped) {
        while (status == STO_OK && c.submitted < n_steps && c.submitted < c.read + c.depth)
            status = submit_step(&c, err);
        if (status == STO_OK)
            status = read_step(&c, &drawn, err);
        if (status == STO_OK && tokens != NULL)
            tokens[c.read - 1] = drawn;
        *n_tokens = c.read;
        if (status == STO_OK && c.read < n_steps && sto_session_take_cancel(s))
            status = cancelled(&c, err);
    }
    if (status != STO_OK)
        (void)sto_chain_wait(s->engine, NULL);
    return status;
}

/* A sequence of tokens and its KV cache, and running passes on it.
 *
 *   tokens -> step block (host) -> a pass -> logits (read back)
 *
 * One token with logits is the decode step: recorded once per engine and replayed. Longer groups are recorded each
 * time, since their attention knows the lengths when it is recorded. */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/status.h"
#include "runtime/cpu_lane.h"
#include "runtime/engine.h"

/* ---- creation ---- */

/* Where the device finds a layer's pages. */
static const struct sto_buffer *device_pages(const struct sto_session *s, uint32_t layer)
{
    return s->engine->lanes[layer] == STO_LANE_PHASED ? &s->kv_visit : &s->kv[layer];
}

static enum sto_status create_pages(struct sto_session *s, struct sto_error *err)
{
    struct sto_engine *e = s->engine;
    const uint32_t n_layers = e->model->h.n_layers;
    const uint64_t bytes = e->kv_pages * e->kv_page_bytes;
    enum sto_status status = STO_OK;
    uint64_t *pages = sto_calloc(e->kv_pages, sizeof *pages);
    s->kv = sto_calloc(n_layers, sizeof *s->kv);
    if (s->kv == NULL || pages == NULL)
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for %u KV pages", e->kv_pages);
    if (status == STO_OK && e->info.phased_layers > 0)
        status = sto_buffer_create(e->device, STO_MEMORY_DEVICE, bytes, "the KV cache of a visiting layer",
                                   &s->kv_visit, err);
    for (uint32_t l = 0; l < n_layers && status == STO_OK; l++) {
        if (e->lanes[l] == STO_LANE_CPU)
            continue;
        const enum sto_memory memory = e->lanes[l] == STO_LANE_PHASED ? STO_MEMORY_SHARED : STO_MEMORY_DEVICE;
        status = sto_buffer_create(e->device, memory, bytes, "the KV cache", &s->kv[l], err);
        for (uint32_t p = 0; p < e->kv_pages && status == STO_OK; p++)
            pages[p] = device_pages(s, l)->address + p * e->kv_page_bytes;
        const uint64_t row = ((uint64_t)l * e->n_sequences + s->sequence) * e->kv_pages * sizeof *pages;
        if (status == STO_OK)
            status = sto_upload(e->uploader, &e->kv_table, row, pages, e->kv_pages * sizeof *pages, err);
    }
    if (status == STO_OK)
        status = sto_upload_finish(e->uploader, err);
    sto_free(pages);
    return status;
}

enum sto_status sto_session_create(struct sto_engine *engine, struct sto_session **out, struct sto_error *err)
{
    uint32_t sequence = 0;
    while (sequence < engine->n_sequences && engine->sequence_used[sequence])
        sequence++;
    if (sequence == engine->n_sequences)
        return sto_fail(err, STO_ERR_USAGE, "this engine has at most %u sessions at a time", engine->n_sequences);
    struct sto_session *s = sto_calloc(1, sizeof *s);
    if (s == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a session");
    s->engine = engine;
    s->sequence = sequence;
    engine->sequence_used[sequence] = true;
    enum sto_status status = engine->device != NULL ? create_pages(s, err) : STO_OK;
    if (status == STO_OK && engine->cpu_lane != NULL)
        status = sto_cpu_lane_open_sequence(engine->cpu_lane, sequence, s->kv, err);
    if (status != STO_OK) {
        sto_session_destroy(s);
        return status;
    }
    *out = s;
    return STO_OK;
}

void sto_session_destroy(struct sto_session *s)
{
    if (s == NULL)
        return;
    (void)sto_chain_wait(s->engine, NULL); /* it may still be using the pages */
    for (uint32_t l = 0; s->kv != NULL && l < s->engine->model->h.n_layers; l++)
        sto_buffer_destroy(s->engine->device, &s->kv[l]);
    if (s->engine->cpu_lane != NULL)
        sto_cpu_lane_close_sequence(s->engine->cpu_lane, s->sequence);
    sto_buffer_destroy(s->engine->device, &s->kv_visit);
    s->engine->sequence_used[s->sequence] = false;
    sto_free(s->kv);
    sto_free(s);
}

/* ---- one step ---- */

struct group {
    const uint32_t *tokens;
    uint32_t n;
    uint32_t n_rows;  /* logits of the last n_rows columns; 0: none */
    float *logits;    /* [n_rows, n_vocab] or NULL */
};

static void write_block(uint8_t *at, const struct sto_session *s, const uint32_t *tokens, uint32_t n)
{
    const struct StepHeader header = {.n_cols = n, .n_pieces = (s->length + n + KV_PAGE - 1) / KV_PAGE};
    memcpy(at, &header, sizeof header);
    at += sizeof header;
    for (uint32_t c = 0; c < n; c++) {
        const struct StepColumn column = {.token = tokens[c], .position = s->length + c, .sequence = s->sequence};
        memcpy(at + c * sizeof column, &column, sizeof column);
    }
}

void sto_session_write_step(struct sto_session *s, const uint32_t *tokens, uint32_t n)
{
    const struct sto_engine *e = s->engine;
    if (e->cpu_lane != NULL)
        write_block(sto_cpu_lane_step(e->cpu_lane), s, tokens, n);
    if (e->device != NULL)
        write_block(e->step_host.mapped, s, tokens, n);
}

/* logits NULL: they stay where they are, for sto_session_logits. */
static void read_logits(const struct sto_engine *e, float *logits, uint32_t n_rows)
{
    const float *from = e->readback.mapped;
    const size_t n_vocab = e->model->h.n_vocab;
    for (uint32_t r = 0; logits != NULL && r < n_rows; r++)
        memcpy(logits + r * n_vocab, from + (size_t)r * e->logit_stride, n_vocab * sizeof *logits);
}

static enum sto_status run_decode(struct sto_session *s, const struct group *g, struct sto_error *err)
{
    struct sto_engine *e = s->engine;
    const struct sto_work work = {.n_cols = 1, .n_rows = 1};
    uint64_t ticket = 0;
    if (!e->decode_recorded) {
        const enum sto_status status = sto_parts_record(e, e->decode, &work, err);
        if (status != STO_OK)
            return status;
        e->decode_recorded = true;
    }
    enum sto_status status = sto_parts_submit(e, e->decode, &work, &ticket, err);
    if (status == STO_OK)
        status = sto_parts_wait(e, e->decode, 1, ticket, err);
    if (status == STO_OK)
        read_logits(e, g->logits, 1);
    return status;
}

/* Rows of logits beside those that the pass made: its activations are still there. */
static enum sto_status run_rows(struct sto_session *s, const struct group *g, uint32_t first_col, uint32_t n_rows,
                                struct sto_error *err)
{
    struct sto_engine *e = s->engine;
    struct sto_forward f = sto_engine_forward(e, e->batch, g->n, s->length + g->n);
    uint64_t ticket = 0;
    sto_recording_begin(e->batch);
    sto_engine_record_rows(e, &f, first_col, n_rows);
    enum sto_status status = sto_recording_finish(e->batch, err);
    if (status == STO_OK)
        status = sto_device_submit(e->device, e->batch, &ticket, err);
    return status == STO_OK ? sto_device_wait(e->device, ticket, err) : status;
}

static enum sto_status run_prompt(struct sto_session *s, const struct group *g, struct sto_error *err)
{
    struct sto_engine *e = s->engine;
    const uint32_t first = g->n - g->n_rows;
    uint32_t rows = g->n_rows < e->logit_rows ? g->n_rows : e->logit_rows;
    const struct sto_growth grown = {s, g->n};
    const struct sto_work work = {.n_cols = g->n, .max_tokens = s->length + g->n, .first_col = first, .n_rows = rows,
                                  .grown = &grown, .n_grown = 1};
    struct sto_parts *parts = e->other[sto_phase_of(e, g->n)];
    uint64_t ticket = 0;
    enum sto_status status = sto_parts_record(e, parts, &work, err);
    if (status == STO_OK)
        status = sto_parts_submit(e, parts, &work, &ticket, err);
    if (status == STO_OK)
        status = sto_parts_wait(e, parts, g->n, ticket, err);
    if (status == STO_OK && rows > 0)
        read_logits(e, g->logits, rows);
    for (uint32_t done = rows; done < g->n_rows && status == STO_OK; done += rows) {
        rows = g->n_rows - done < e->logit_rows ? g->n_rows - done : e->logit_rows;
        status = run_rows(s, g, first + done, rows, err);
        if (status == STO_OK)
            read_logits(e, g->logits + (size_t)done * e->model->h.n_vocab, rows);
    }
    return status;
}

static void run_on_cpu(struct sto_session *s, const struct group *g)
{
    const struct sto_engine *e = s->engine;
    const uint32_t first = g->n - g->n_rows;
    const struct sto_work work = {.n_cols = g->n};
    sto_cpu_lane_run(e->cpu_lane, &work);
    for (uint32_t done = 0, rows; done < g->n_rows; done += rows) {
        rows = g->n_rows - done < e->logit_rows ? g->n_rows - done : e->logit_rows;
        sto_cpu_lane_logits(e->cpu_lane, &work, first + done, rows);
        read_logits(e, g->logits != NULL ? g->logits + (size_t)done * e->model->h.n_vocab : NULL, rows);
    }
}

static enum sto_status run_group(struct sto_session *s, const struct group *g, struct sto_error *err)
{
    if (s->engine->device == NULL) {
        run_on_cpu(s, g);
        return STO_OK;
    }
    return g->n == 1 && g->n_rows == 1 ? run_decode(s, g, err) : run_prompt(s, g, err);
}

/* ---- eval ---- */

static enum sto_status check_eval(const struct sto_session *s, const uint32_t *tokens, size_t n, struct sto_error *err)
{
    const uint32_t ctx = s->engine->info.ctx_tokens;
    const uint32_t n_vocab = s->engine->model->h.n_vocab;
    if (n == 0)
        return sto_fail(err, STO_ERR_USAGE, "no tokens to evaluate");
    if (n > ctx - s->length)
        return sto_fail(err, STO_ERR_USAGE, "%zu tokens after %u do not fit in a context of %u", n, s->length, ctx);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] >= n_vocab)
            return sto_fail(err, STO_ERR_USAGE, "token id %u is out of range, the vocabulary has %u", tokens[i],
                            n_vocab);
    }
    return STO_OK;
}

enum sto_status sto_session_eval(struct sto_session *s, const uint32_t *tokens, size_t n_tokens, enum sto_logits want,
                                 float *logits, struct sto_error *err)
{
    const uint32_t ubatch = s->engine->info.ubatch_tokens;
    const uint32_t n_vocab = s->engine->model->h.n_vocab;
    enum sto_status status = check_eval(s, tokens, n_tokens, err);
    for (size_t done = 0; done < n_tokens && status == STO_OK;) {
        if (sto_session_take_cancel(s))
            return sto_fail(err, STO_ERR_CANCELLED, "evaluation was cancelled after %zu of %zu tokens", done, n_tokens);
        const size_t left = n_tokens - done;
        struct group g = {.tokens = tokens + done, .n = left < ubatch ? (uint32_t)left : ubatch};
        if (want == STO_LOGITS_ALL) {
            g.n_rows = g.n;
            g.logits = logits + done * n_vocab;
        } else if (want == STO_LOGITS_LAST && g.n == left) {
            g.n_rows = 1;
            g.logits = logits;
        }
        sto_session_write_step(s, g.tokens, g.n);
        status = run_group(s, &g, err);
        if (status == STO_OK)
            s->length += g.n;
        done += g.n;
    }
    return status;
}

const float *sto_session_logits(const struct sto_session *session)
{
    return session->engine->readback.mapped;
}

uint32_t sto_session_length(const struct sto_session *session)
{
    return session->length;
}

void sto_session_truncate(struct sto_session *session, uint32_t n_tokens)
{
    if (n_tokens < session->length)
        session->length = n_tokens;
}

enum sto_status sto_session_make_synthetic(struct sto_session *s, uint32_t n_tokens, uint64_t seed,
                                           struct sto_error *err)
{
    struct sto_engine *e = s->engine;
    const struct sto_random_block block = sto_random_block_make(e->kv_type, 1.0f);
    const uint64_t bytes = (uint64_t)((n_tokens + KV_PAGE - 1) / KV_PAGE) * e->kv_page_bytes;
    enum sto_status status = STO_OK;
    if (n_tokens > e->info.ctx_tokens)
        return sto_fail(err, STO_ERR_USAGE, "%u tokens do not fit in a context of %u", n_tokens, e->info.ctx_tokens);
    if (e->cpu_lane != NULL)
        sto_cpu_lane_randomise(e->cpu_lane, s->sequence, n_tokens, seed);
    for (uint32_t l = 0; e->device != NULL && l < e->model->h.n_layers && status == STO_OK; l++) {
        if (sto_lane_in(e->lanes[l], STO_PHASE_DECODE) != STO_LANE_CPU)
            status = sto_random_fill(e->batch, &s->kv[l], 0, bytes, &block, seed + l, err);
    }
    if (status == STO_OK)
        s->length = n_tokens;
    return status;
}

void sto_session_cancel(struct sto_session *session)
{
    atomic_store(&session->cancelled, true);
}

bool sto_session_take_cancel(struct sto_session *session)
{
    return atomic_exchange(&session->cancelled, false);
}

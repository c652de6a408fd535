/* Transfers in turn: on a queue of their own, by a thread, or among the kernels. See copy.h for the numbers. */
#include "runtime/copy.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/vk/transfers.h"

struct sto_copy {
    struct sto_copy_params p; /* pieces are ours */
    struct sto_timeline *arrived, *used;
    uint64_t passes;          /* handed over */
    uint32_t in_pass;         /* pieces of the next one that recordings handed over use */
    uint64_t last_ticket;     /* of the last recording */

    /* transfer */
    struct sto_transfers *transfers; /* [cycle] transfer t is (t - 1) % cycle */
    struct sto_buffer addresses;     /* uint64 [n_slots] of the slots         */
    uint32_t cycle;                  /* until pieces and slots meet again     */
    uint64_t issued;                 /* transfers handed over                 */
    uint64_t traced;                 /* of those, on a simulated device       */
    bool beside;                     /* on another queue than the passes      */

    /* The thread copies (host), or looks when copies begin and end (transfer, with a trace). */
    struct sto_thread *thread;
    struct sto_mutex *lock; /* guards what follows */
    struct sto_cond *changed;
    uint64_t allowed;       /* transfers that will not wait for passes that are yet to come */
    bool stop;
};

/* ---- choice ---- */

const char *sto_copy_name(enum sto_copy_body body)
{
    static const char *const names[] = {[STO_COPY_AUTO] = "auto", [STO_COPY_TRANSFER] = "transfer",
                                        [STO_COPY_HOST] = "host", [STO_COPY_QUEUE] = "queue"};
    return (uint32_t)body < STO_COPY_COUNT ? names[body] : "?";
}

enum sto_status sto_copy_choose(const struct sto_device_plan *plan, enum sto_copy_body wanted,
                                enum sto_copy_body *body, struct sto_error *err)
{
    *body = wanted;
    if (wanted == STO_COPY_AUTO)
        *body = plan->has_transfer_queue ? STO_COPY_TRANSFER
                                         : (plan->device_memory_mapped ? STO_COPY_HOST : STO_COPY_QUEUE);
    if (wanted == STO_COPY_HOST && !plan->device_memory_mapped)
        return sto_fail(err, STO_ERR_USAGE, "copies by the host: it cannot write to this device's memory");
    return STO_OK;
}

enum sto_memory sto_copy_source_memory(enum sto_copy_body body)
{
    return body == STO_COPY_HOST ? STO_MEMORY_READBACK : STO_MEMORY_UPLOAD; /* readback: cached, where there is that */
}

/* ---- one transfer ---- */

static const struct sto_copy_piece *piece_of(const struct sto_copy *c, uint64_t t)
{
    return &c->p.pieces[(t - 1) % c->p.n_pieces];
}

static const struct sto_buffer *slot_of(const struct sto_copy *c, uint64_t t)
{
    return &c->p.slots[(t - 1) % c->p.n_slots];
}

/* What `used` must have reached for t's slot to be free; 0: it was never used. */
static uint64_t frees_slot(const struct sto_copy *c, uint64_t t)
{
    return t > c->p.n_slots ? t - c->p.n_slots : 0;
}

/* The bytes, and where they are now. The piece's entry in the table was last read for transfer t - n_pieces, and with
 * no more slots than pieces that has been used before t's slot was free. */
static void copy_by_host(const struct sto_copy *c, uint64_t t)
{
    const struct sto_copy_piece *piece = piece_of(c, t);
    const struct sto_buffer *slot = slot_of(c, t);
    memcpy(slot->mapped, piece->source->mapped, (size_t)piece->source->bytes);
    memcpy((uint8_t *)c->p.table->mapped + piece->index * sizeof slot->address, &slot->address, sizeof slot->address);
}

static void trace_copy(const struct sto_copy *c, uint64_t t, uint64_t begin_ns)
{
    const struct sto_trace_span span = {.track = STO_TRACE_COPIES, .name = "layer", .number = piece_of(c, t)->layer,
                                        .begin_ns = begin_ns, .end_ns = sto_now_ns(),
                                        .bytes = piece_of(c, t)->source->bytes};
    sto_trace_add(c->p.trace, &span);
}

/* A simulated device knows when its transfers ran: those that have ended since it was last asked. */
static void trace_simulated(struct sto_copy *c)
{
    struct sto_span_ns ran;
    while (c->p.trace != NULL && c->traced < c->issued &&
           sto_timeline_simulated_span(c->arrived, c->traced + 1, &ran)) {
        const struct sto_copy_piece *piece = piece_of(c, ++c->traced);
        const struct sto_trace_span span = {.track = STO_TRACE_COPIES, .name = "layer", .number = piece->layer,
                                            .begin_ns = ran.begin_ns, .end_ns = ran.end_ns,
                                            .bytes = piece->source->bytes};
        sto_trace_add(c->p.trace, &span);
    }
}

/* ---- the thread ---- */

/* Waits until transfer t may begin as far as the host knows. False: there will be no more. */
static bool await_turn(struct sto_copy *c, uint64_t t)
{
    sto_mutex_lock(c->lock);
    while (!c->stop && t > c->allowed)
        sto_cond_wait(c->changed, c->lock);
    const bool go_on = !c->stop;
    sto_mutex_unlock(c->lock);
    return go_on;
}

/* A pass may wait for it: there is no going back. */
static enum sto_status announce(struct sto_copy *c, uint64_t t)
{
    enum sto_status status;
    for (;;) {
        sto_mutex_lock(c->lock);
        status = sto_timeline_signal(c->arrived, t, NULL);
        sto_mutex_unlock(c->lock);
        if (status != STO_ERR_NO_FIT)
            return status;
        sto_sleep_ms(1);
    }
}

/* Ends early only where the device was lost: whoever waits for a pass is told so, too. */
static void run(void *arg)
{
    struct sto_copy *c = arg;
    enum sto_status status = STO_OK;
    for (uint64_t t = 1; status == STO_OK && await_turn(c, t); t++) {
        status = sto_timeline_wait(c->used, frees_slot(c, t), NULL);
        const uint64_t begin_ns = sto_now_ns();
        if (status != STO_OK)
            break;
        if (c->p.body == STO_COPY_HOST) {
            copy_by_host(c, t);
            trace_copy(c, t, begin_ns);
            status = announce(c, t);
        } else if ((status = sto_timeline_wait(c->arrived, t, NULL)) == STO_OK) {
            trace_copy(c, t, begin_ns);
        }
    }
}

static void allow(struct sto_copy *c, uint64_t t)
{
    if (c->thread == NULL)
        return;
    sto_mutex_lock(c->lock);
    c->allowed = t;
    sto_cond_broadcast(c->changed);
    sto_mutex_unlock(c->lock);
}

static enum sto_status start_thread(struct sto_copy *c, struct sto_error *err)
{
    c->lock = sto_mutex_create();
    c->changed = sto_cond_create();
    if (c->lock == NULL || c->changed == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for the copy engine");
    c->thread = sto_thread_start(run, c);
    return c->thread != NULL ? STO_OK : sto_fail(err, STO_ERR_FAILED, "no thread could be started for copies");
}

static void stop_thread(struct sto_copy *c)
{
    if (c->thread != NULL) {
        sto_mutex_lock(c->lock);
        c->stop = true;
        sto_cond_broadcast(c->changed);
        sto_mutex_unlock(c->lock);
        sto_thread_join(c->thread);
    }
    sto_cond_destroy(c->changed);
    sto_mutex_destroy(c->lock);
}

/* ---- transfers on a queue ---- */

/* Hands over transfers up to t. */
static enum sto_status issue(struct sto_copy *c, uint64_t t, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    while (c->issued < t && status == STO_OK) {
        const uint32_t first = (uint32_t)(c->issued % c->cycle);
        const uint64_t left = t - c->issued, room = c->cycle - first; /* no transfer twice in one call */
        const uint32_t n = (uint32_t)(left < room ? left : room);
        for (uint32_t i = 0; i < n; i++) {
            const uint64_t number = c->issued + i + 1;
            sto_transfers_sync(c->transfers, first + i, (struct sto_transfer_sync){c->used, frees_slot(c, number)},
                               (struct sto_transfer_sync){c->arrived, number});
        }
        status = sto_transfers_submit(c->transfers, first, n, err);
        if (status == STO_OK)
            c->issued += n;
    }
    allow(c, c->issued);
    return status;
}

static uint32_t common_multiple(uint32_t a, uint32_t b)
{
    uint32_t x = a, y = b;
    while (y != 0) {
        const uint32_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

static enum sto_status record_transfers(struct sto_copy *c, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < c->cycle && status == STO_OK; i++) {
        const struct sto_copy_piece *piece = piece_of(c, i + 1);
        const uint64_t entry = sizeof(uint64_t);
        const struct sto_transfer_copy copies[] = {
            {.dst = slot_of(c, i + 1), .src = piece->source, .bytes = piece->source->bytes},
            {.dst = c->p.table, .dst_offset = piece->index * entry, .src = &c->addresses,
             .src_offset = i % c->p.n_slots * entry, .bytes = entry},
        };
        status = sto_transfers_record(c->transfers, i, copies, 2, err);
    }
    return status;
}

static enum sto_status create_transfers(struct sto_copy *c, struct sto_error *err)
{
    const struct sto_copy_params *p = &c->p;
    c->beside = sto_device_get_plan(p->device)->has_transfer_queue;
    c->cycle = common_multiple(p->n_pieces, p->n_slots);
    enum sto_status status = sto_buffer_create(p->device, STO_MEMORY_UPLOAD, p->n_slots * sizeof(uint64_t),
                                               "addresses of the ring", &c->addresses, err);
    for (uint32_t i = 0; status == STO_OK && i < p->n_slots; i++)
        ((uint64_t *)c->addresses.mapped)[i] = p->slots[i].address;
    if (status == STO_OK)
        status = sto_transfers_create(p->device, c->cycle, &c->transfers, err);
    if (status == STO_OK)
        status = record_transfers(c, err);
    /* Without another queue the host does not see when a copy begins; a simulated device tells it. */
    if (status == STO_OK && p->trace != NULL && c->beside && sto_device_simulator(p->device) == NULL)
        status = start_thread(c, err);
    return status == STO_OK ? issue(c, p->n_slots, err) : status;
}

/* ---- life ---- */

/* Uses that were handed over. */
static uint64_t uses(const struct sto_copy *c)
{
    return c->passes * c->p.n_pieces + c->in_pass;
}

/* A pass could not be handed over, or only its beginning: its numbers count as used up, so that the transfers that wait
 * for them go on, and the next pass begins behind them. */
static void skip_pass(struct sto_copy *c)
{
    c->passes++;
    c->in_pass = 0;
    (void)sto_timeline_signal(c->used, uses(c), NULL);
    if (c->p.body == STO_COPY_HOST)
        allow(c, uses(c) + c->p.n_slots);
}

/* A recording that uses n pieces was handed over. */
static void count_uses(struct sto_copy *c, uint32_t n, uint64_t ticket)
{
    c->last_ticket = ticket;
    c->in_pass += n;
    if (c->in_pass == c->p.n_pieces) {
        c->in_pass = 0;
        c->passes++;
    }
}

enum sto_status sto_copy_create(const struct sto_copy_params *params, struct sto_copy **out, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    *out = NULL;
    struct sto_copy *c = sto_calloc(1, sizeof *c);
    struct sto_copy_piece *pieces = sto_calloc(params->n_pieces, sizeof *pieces);
    if (c == NULL || pieces == NULL) {
        sto_free(c);
        sto_free(pieces);
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u streamed pieces", (unsigned)params->n_pieces);
    }
    memcpy(pieces, params->pieces, params->n_pieces * sizeof *pieces);
    c->p = *params;
    c->p.pieces = pieces;
    if (c->p.body != STO_COPY_QUEUE) {
        if ((status = sto_timeline_create(c->p.device, &c->arrived, err)) != STO_OK ||
            (status = sto_timeline_create(c->p.device, &c->used, err)) != STO_OK)
            goto fail;
        c->allowed = c->p.body == STO_COPY_HOST ? c->p.n_slots : 0;
        status = c->p.body == STO_COPY_HOST ? start_thread(c, err) : create_transfers(c, err);
        if (status != STO_OK)
            goto fail;
    }
    *out = c;
    return STO_OK;
fail:
    sto_copy_destroy(c);
    return status;
}

void sto_copy_destroy(struct sto_copy *c)
{
    if (c == NULL)
        return;
    if (c->issued > uses(c) + c->p.n_slots) /* handed over for a pass that did not follow */
        skip_pass(c);
    if (c->issued > 0)
        (void)sto_timeline_wait(c->arrived, c->issued, NULL);
    if (c->arrived != NULL)
        trace_simulated(c);
    stop_thread(c);
    sto_transfers_destroy(c->transfers);
    sto_buffer_destroy(c->p.device, &c->addresses);
    sto_timeline_destroy(c->arrived);
    sto_timeline_destroy(c->used);
    sto_free((void *)(uintptr_t)c->p.pieces);
    sto_free(c);
}

/* ---- passes ---- */

void sto_copy_record_begin(struct sto_copy *c, struct sto_recording *rec, uint32_t i)
{
    const struct sto_buffer *source = c->p.pieces[i].source;
    if (c->p.body == STO_COPY_QUEUE) /* the recorder orders it behind what last read the slot */
        sto_record_copy(rec, slot_of(c, i + 1), 0, source, 0, source->bytes);
    else
        sto_record_wait(rec, c->arrived, i + 1);
}

void sto_copy_record_end(struct sto_copy *c, struct sto_recording *rec, uint32_t i)
{
    if (c->p.body != STO_COPY_QUEUE)
        sto_record_signal(rec, c->used, i + 1);
}

/* On one queue for both: all that needs no more than what was handed over so far, which is the use of `value` - 1. */
static enum sto_status issue_before(void *user, uint64_t value, struct sto_error *err)
{
    struct sto_copy *c = user;
    return issue(c, value - 1 + c->p.n_slots, err);
}

static uint32_t count_pieces(const struct sto_recording *rec)
{
    struct sto_recording_stats stats;
    sto_recording_get_stats(rec, &stats);
    return stats.waits;
}

static enum sto_status submit_with_transfers(struct sto_copy *c, struct sto_recording *rec, uint64_t *ticket,
                                             struct sto_error *err)
{
    const uint32_t n = count_pieces(rec);
    const uint64_t next = uses(c) + n + c->p.n_slots;
    const struct sto_pass pass = {
        .base = c->passes * c->p.n_pieces, .before_wait = c->beside ? NULL : issue_before, .user = c};
    trace_simulated(c);
    enum sto_status status = c->beside ? issue(c, next, err) : STO_OK;
    if (status != STO_OK)
        return status;
    if ((status = sto_device_submit_pass(c->p.device, rec, &pass, ticket, err)) != STO_OK) {
        (void)sto_device_wait(c->p.device, c->last_ticket, NULL);
        skip_pass(c);
        return status;
    }
    count_uses(c, n, *ticket);
    if (!c->beside) /* where this does not succeed the next recording does it */
        (void)issue(c, next, NULL);
    return STO_OK;
}

enum sto_status sto_copy_submit(struct sto_copy *c, struct sto_recording *rec, uint64_t *ticket, struct sto_error *err)
{
    if (c->p.body == STO_COPY_TRANSFER)
        return submit_with_transfers(c, rec, ticket, err);
    const struct sto_pass pass = {.base = c->passes * c->p.n_pieces};
    if (c->thread != NULL) /* some validation layers lose count where signals come while waits are handed over */
        sto_mutex_lock(c->lock);
    const enum sto_status status = sto_device_submit_pass(c->p.device, rec, &pass, ticket, err);
    if (c->thread != NULL)
        sto_mutex_unlock(c->lock);
    if (status == STO_OK && c->p.body == STO_COPY_HOST) {
        count_uses(c, count_pieces(rec), *ticket);
        allow(c, uses(c) + c->p.n_slots);
    }
    return status;
}

void sto_copy_abandon(struct sto_copy *c)
{
    if (c->in_pass == 0)
        return;
    (void)sto_device_wait(c->p.device, c->last_ticket, NULL);
    skip_pass(c);
}

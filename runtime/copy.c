/* Transfers in turn: on a queue of their own, by a thread, or among the kernels. See copy.h for the numbers. */
#include "runtime/copy.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/copy_stage.h"
#include "runtime/vk/transfers.h"

struct sto_copy {
    struct sto_copy_params p; /* pieces are ours */
    struct sto_timeline *arrived, *used;
    uint64_t passes;          /* handed over */
    uint32_t waits;           /* of a pass, for pieces or their chunks */
    uint32_t in_pass;         /* of the next one, in recordings that were handed over */
    uint64_t last_ticket;     /* of the last recording */

    struct sto_stage *stage;  /* transfer and queue: for pieces that the device cannot read; NULL: there are none */
    bool staged_by_thread;

    /* transfer */
    struct sto_transfers *transfers; /* [first_copy[cycle]] those of transfer t begin at first_copy[(t - 1) % cycle] */
    uint32_t *first_copy;            /* [cycle + 1] one for each chunk that is staged, else one      */
    struct sto_buffer addresses;     /* uint64 [n_slots] of the slots         */
    uint32_t cycle;                  /* until pieces and slots meet again     */
    uint64_t issued;                 /* transfers handed over                 */
    uint64_t traced;                 /* of those, on a simulated device       */
    bool beside;                     /* on another queue than the passes      */

    /* The thread copies (host), or looks when copies begin and end (transfer, with a trace). */
    struct sto_thread *thread;
    struct sto_mutex *lock; /* guards what follows, and is held while the host signals */
    struct sto_cond *changed;
    uint64_t brought;       /* transfers that are done with */
    uint64_t next;          /* that the thread has not begun with */
    uint64_t allowed;       /* transfers that will not wait for passes that are yet to come */
    bool stop;
    uint64_t failed_from, failed_through; /* transfers whose pieces could not be read; 0: none */
    uint64_t forgiven;      /* up to this transfer, nobody uses what came or did not */
    struct sto_error why;
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

static void note_failure(struct sto_copy *c, uint64_t t, const struct sto_error *why)
{
    sto_mutex_lock(c->lock);
    if (t > c->forgiven) {
        if (c->failed_from == 0) {
            c->failed_from = t;
            c->why = *why;
        }
        c->failed_through = t;
    }
    sto_mutex_unlock(c->lock);
}

/* Failures of transfers up to t are settled; the lock is held. */
static void settle(struct sto_copy *c, uint64_t t)
{
    if (c->failed_from != 0 && c->failed_from <= t)
        c->failed_from = c->failed_through > t ? t + 1 : 0;
}

/* Passes do not use transfers up to t any more. */
static void forgive(struct sto_copy *c, uint64_t t)
{
    sto_mutex_lock(c->lock);
    c->forgiven = t;
    settle(c, t);
    sto_mutex_unlock(c->lock);
}

/* Transfer t's next chunk, which the reader read ahead. */
static void fetch_read(struct sto_copy *c, uint64_t t, uint64_t bytes, uint8_t *dst)
{
    const uint8_t *data = NULL;
    struct sto_error why = {0};
    if (sto_reader_take(c->p.reader, &data, &why) == STO_OK)
        memcpy(dst, data, (size_t)bytes);
    else
        note_failure(c, t, &why);
    sto_reader_release(c->p.reader);
}

/* Bytes [at, at + bytes) of transfer t's piece, one chunk of the reader's or some of its memory. */
static void fetch(void *user, uint64_t t, uint64_t at, uint64_t bytes, uint8_t *dst)
{
    struct sto_copy *c = user;
    const struct sto_buffer *source = piece_of(c, t)->source;
    if (source->mapped != NULL)
        memcpy(dst, (const uint8_t *)source->mapped + at, (size_t)bytes);
    else
        fetch_read(c, t, bytes, dst);
}

/* The bytes, and where they are now. The piece's entry in the table was last read for transfer t - n_pieces, and with
 * no more slots than pieces that has been used before t's slot was free. */
static void copy_by_host(struct sto_copy *c, uint64_t t)
{
    const struct sto_copy_piece *piece = piece_of(c, t);
    const struct sto_buffer *slot = slot_of(c, t);
    const uint64_t all = piece->source->bytes, size = piece->source->mapped != NULL ? all : c->p.chunk_bytes;
    for (uint64_t at = 0; at < all; at += size)
        fetch(c, t, at, all - at < size ? all - at : size, (uint8_t *)slot->mapped + at);
    memcpy((uint8_t *)c->p.table->mapped + piece->index * sizeof slot->address, &slot->address, sizeof slot->address);
}

static void trace_copy(const struct sto_copy *c, uint64_t t, uint64_t begin_ns)
{
    const struct sto_trace_span span = {.track = STO_TRACE_COPIES, .name = "layer", .number = piece_of(c, t)->layer,
                                        .begin_ns = begin_ns, .end_ns = sto_now_ns(),
                                        .bytes = piece_of(c, t)->source->bytes};
    sto_trace_add(c->p.trace, &span);
}

/* When the first of transfer t's chunks began; `last`: when the last one did. */
static uint64_t simulated_begin(const struct sto_copy *c, uint64_t t, uint64_t last)
{
    const uint32_t piece = (uint32_t)((t - 1) % c->p.n_pieces);
    const uint32_t n = c->stage != NULL ? sto_stage_count(c->stage, piece) : 0;
    struct sto_span_ns first;
    if (n < 2)
        return last;
    const uint64_t base = (t - 1) / c->p.n_pieces * sto_stage_round(c->stage);
    const uint64_t number = base + sto_stage_chunk(c->stage, piece, 0).drained;
    return sto_timeline_simulated_span(sto_stage_drained(c->stage), number, &first) ? first.begin_ns : last;
}

/* A simulated device knows when its transfers ran: those that have ended since it was last asked. */
static void trace_simulated(struct sto_copy *c)
{
    struct sto_span_ns ran;
    while (c->p.trace != NULL && c->traced < c->issued &&
           sto_timeline_simulated_span(c->arrived, c->traced + 1, &ran)) {
        const struct sto_copy_piece *piece = piece_of(c, ++c->traced);
        ran.begin_ns = simulated_begin(c, c->traced, ran.begin_ns);
        const struct sto_trace_span span = {.track = STO_TRACE_COPIES, .name = "layer", .number = piece->layer,
                                            .begin_ns = ran.begin_ns, .end_ns = ran.end_ns,
                                            .bytes = piece->source->bytes};
        sto_trace_add(c->p.trace, &span);
    }
}

/* ---- the thread ---- */

/* The next transfer, once it may begin as far as the host knows. 0: there will be no more. */
static uint64_t await_turn(struct sto_copy *c)
{
    sto_mutex_lock(c->lock);
    while (!c->stop && c->next > c->allowed)
        sto_cond_wait(c->changed, c->lock);
    const uint64_t t = c->stop ? 0 : c->next++;
    sto_mutex_unlock(c->lock);
    return t;
}

static void note_brought(struct sto_copy *c, uint64_t t)
{
    sto_mutex_lock(c->lock);
    c->brought = t > c->brought ? t : c->brought;
    sto_mutex_unlock(c->lock);
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

/* The host's copy, or a look at one of the queue's. Fails only where the device was lost: whoever waits for a pass is
 * told so, too. */
static enum sto_status bring(struct sto_copy *c, uint64_t t)
{
    enum sto_status status = sto_timeline_wait(c->used, frees_slot(c, t), NULL);
    const uint64_t begin_ns = sto_now_ns();
    if (status != STO_OK)
        return status;
    if (c->p.body == STO_COPY_HOST) {
        copy_by_host(c, t);
        trace_copy(c, t, begin_ns);
        return announce(c, t);
    }
    if ((status = sto_timeline_wait(c->arrived, t, NULL)) == STO_OK)
        trace_copy(c, t, begin_ns);
    return status;
}

static void run(void *arg)
{
    struct sto_copy *c = arg;
    for (uint64_t t; (t = await_turn(c)) > 0 && bring(c, t) == STO_OK;)
        note_brought(c, t);
}

/* Without a thread: what it would do until transfer t is there, all that it waits for having been handed over. */
static void bring_through(struct sto_copy *c, uint64_t t)
{
    while (c->brought < t && bring(c, c->brought + 1) == STO_OK)
        c->brought++;
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

static void stop_thread(struct sto_copy *c)
{
    if (c->thread != NULL) {
        sto_mutex_lock(c->lock);
        c->stop = true;
        sto_cond_broadcast(c->changed);
        sto_mutex_unlock(c->lock);
        sto_thread_join(c->thread);
    }
    c->thread = NULL;
}

/* ---- transfers on a queue ---- */

/* Waits and signals of the copies of transfer t. The first waits for the slot, the last says that t is there. */
static void set_syncs(struct sto_copy *c, uint64_t t)
{
    const uint32_t piece = (uint32_t)((t - 1) % c->p.n_pieces), first = c->first_copy[(t - 1) % c->cycle];
    const uint32_t staged = c->stage != NULL ? sto_stage_count(c->stage, piece) : 0, n = staged > 0 ? staged : 1;
    const uint64_t base = staged > 0 ? (t - 1) / c->p.n_pieces * sto_stage_round(c->stage) : 0;
    for (uint32_t i = 0; i < n; i++) {
        struct sto_transfer_sync waits[2] = {{c->used, i == 0 ? frees_slot(c, t) : 0}, {0}};
        struct sto_transfer_sync signals[2] = {{c->arrived, i + 1 == n ? t : 0}, {0}};
        if (staged > 0) {
            const struct sto_stage_chunk chunk = sto_stage_chunk(c->stage, piece, i);
            waits[1] = (struct sto_transfer_sync){sto_stage_filled(c->stage), base + chunk.filled};
            signals[1] = (struct sto_transfer_sync){sto_stage_drained(c->stage), base + chunk.drained};
        }
        sto_transfers_sync(c->transfers, first + i, waits, signals);
    }
}

/* Some validation layers lose count where signals come while waits are handed over. */
static void lock_to_submit(struct sto_copy *c)
{
    if (sto_device_validates(c->p.device))
        sto_mutex_lock(c->lock);
}

static void unlock_after_submit(struct sto_copy *c)
{
    if (sto_device_validates(c->p.device))
        sto_mutex_unlock(c->lock);
}

/* Hands over transfers up to t. */
static enum sto_status issue(struct sto_copy *c, uint64_t t, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    while (c->issued < t && status == STO_OK) {
        const uint32_t at = (uint32_t)(c->issued % c->cycle);
        const uint64_t left = t - c->issued, room = c->cycle - at; /* no transfer twice in one call */
        const uint32_t n = (uint32_t)(left < room ? left : room), first = c->first_copy[at];
        for (uint32_t i = 0; i < n; i++)
            set_syncs(c, c->issued + i + 1);
        status = sto_transfers_submit(c->transfers, first, c->first_copy[at + n] - first, err);
        if (status != STO_OK)
            break;
        c->issued += n;
        c->p.paused = false;
    }
    return status;
}

/* Lets threads work on all that was handed over; without one for it, fills staging now. */
static void work_on_issued(struct sto_copy *c)
{
    allow(c, c->issued);
    if (c->stage != NULL)
        sto_stage_handed(c->stage, c->issued);
    if (c->stage != NULL && !c->staged_by_thread)
        sto_stage_fill(c->stage, c->issued);
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

/* Copy i of the n that are transfer t; the last one brings the address too. */
static enum sto_status record_copy(struct sto_copy *c, uint64_t t, uint32_t i, uint32_t n, bool staged,
                                   struct sto_error *err)
{
    const uint32_t piece = (uint32_t)((t - 1) % c->p.n_pieces), number = c->first_copy[t - 1] + i;
    const uint64_t entry = sizeof(uint64_t);
    const struct sto_buffer *source = piece_of(c, t)->source;
    struct sto_transfer_copy copies[] = {
        {.dst = slot_of(c, t), .src = source, .bytes = source->bytes},
        {.dst = c->p.table, .dst_offset = piece_of(c, t)->index * entry, .src = &c->addresses,
         .src_offset = (t - 1) % c->p.n_slots * entry, .bytes = entry},
    };
    if (staged) {
        const struct sto_stage_chunk chunk = sto_stage_chunk(c->stage, piece, i);
        copies[0].dst_offset = chunk.at;
        copies[0].src = chunk.buffer;
        copies[0].bytes = chunk.bytes;
    }
    return sto_transfers_record(c->transfers, number, copies, i + 1 == n ? 2 : 1, err);
}

static enum sto_status record_transfers(struct sto_copy *c, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    for (uint32_t t = 1; t <= c->cycle && status == STO_OK; t++) {
        const bool staged = piece_of(c, t)->source->address == 0;
        const uint32_t n = c->first_copy[t] - c->first_copy[t - 1];
        for (uint32_t i = 0; i < n && status == STO_OK; i++)
            status = record_copy(c, t, i, n, staged, err);
    }
    return status;
}

/* Where each transfer's copies begin. */
static enum sto_status count_copies(struct sto_copy *c, struct sto_error *err)
{
    c->cycle = common_multiple(c->p.n_pieces, c->p.n_slots);
    c->first_copy = sto_calloc((size_t)c->cycle + 1, sizeof *c->first_copy);
    if (c->first_copy == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u transfers", (unsigned)c->cycle);
    for (uint32_t i = 0; i < c->cycle; i++) {
        const uint32_t staged = c->stage != NULL ? sto_stage_count(c->stage, i % c->p.n_pieces) : 0;
        c->first_copy[i + 1] = c->first_copy[i] + (staged > 0 ? staged : 1);
    }
    return STO_OK;
}

static enum sto_status create_transfers(struct sto_copy *c, struct sto_error *err)
{
    const struct sto_copy_params *p = &c->p;
    c->beside = sto_device_get_plan(p->device)->has_transfer_queue;
    enum sto_status status = count_copies(c, err);
    if (status == STO_OK)
        status = sto_buffer_create(p->device, STO_MEMORY_UPLOAD, p->n_slots * sizeof(uint64_t),
                                   "addresses of the ring", &c->addresses, err);
    for (uint32_t i = 0; status == STO_OK && i < p->n_slots; i++)
        ((uint64_t *)c->addresses.mapped)[i] = p->slots[i].address;
    if (status == STO_OK)
        status = sto_transfers_create(p->device, c->first_copy[c->cycle], &c->transfers, err);
    if (status == STO_OK)
        status = record_transfers(c, err);
    /* Without another queue the host does not see when a copy begins; a simulated device tells it. */
    if (status == STO_OK && p->trace != NULL && c->beside && sto_device_simulator(p->device) == NULL)
        c->thread = sto_thread_start(run, c);
    lock_to_submit(c);
    if (status == STO_OK && !p->paused)
        status = issue(c, p->n_slots, err);
    unlock_after_submit(c);
    if (status == STO_OK)
        work_on_issued(c);
    return status;
}

/* ---- life ---- */

/* Pieces that the first n waits of a pass are for: among the kernels there is one for each chunk that is staged. */
static uint32_t pieces_before(const struct sto_copy *c, uint32_t n)
{
    uint32_t i = 0;
    if (c->p.body != STO_COPY_QUEUE)
        return n;
    for (uint32_t waits = 0; i < c->p.n_pieces && waits < n; i++)
        waits += sto_stage_count(c->stage, i);
    return i;
}

/* Uses that were handed over. */
static uint64_t uses(const struct sto_copy *c)
{
    return c->passes * c->p.n_pieces + pieces_before(c, c->in_pass);
}

/* A recording with n waits was handed over. */
static void count_uses(struct sto_copy *c, uint32_t n, uint64_t ticket)
{
    c->last_ticket = ticket;
    c->in_pass += n;
    if (c->in_pass == c->waits) {
        c->in_pass = 0;
        c->passes++;
    }
}

/* Lets threads work on all that was handed over, or does what those would that there are not. */
static void work_on_uses(struct sto_copy *c)
{
    const uint64_t end = uses(c);
    if (c->p.body == STO_COPY_HOST && c->thread == NULL)
        bring_through(c, end);
    else if (c->p.body == STO_COPY_HOST)
        allow(c, end + c->p.n_slots);
    else if (c->p.body == STO_COPY_TRANSFER)
        work_on_issued(c);
    else if (c->stage != NULL)
        sto_stage_handed(c->stage, end);
    if (c->p.body == STO_COPY_QUEUE && c->stage != NULL && !c->staged_by_thread)
        sto_stage_fill(c->stage, end);
}

/* A pass could not be handed over, or only its beginning: its numbers count as used up, so that what waits for them
 * goes on, and the next pass begins behind them. */
static void skip_pass(struct sto_copy *c)
{
    c->passes++;
    c->in_pass = 0;
    forgive(c, uses(c));
    if (c->p.body == STO_COPY_QUEUE)
        (void)sto_timeline_signal(sto_stage_drained(c->stage), c->passes * sto_stage_round(c->stage), NULL);
    else
        (void)sto_timeline_signal(c->used, uses(c), NULL);
    work_on_uses(c);
}

static enum sto_status create_stage(struct sto_copy *c, struct sto_error *err)
{
    const struct sto_stage_params stage = {.device = c->p.device, .pieces = c->p.pieces, .n_pieces = c->p.n_pieces,
                                           .chunk_bytes = c->p.chunk_bytes, .n_buffers = c->p.staging_chunks,
                                           .lock = c->lock, .fetch = fetch, .user = c};
    const enum sto_status status = sto_stage_create(&stage, &c->stage, err);
    if (status == STO_OK)
        c->staged_by_thread = sto_device_simulator(c->p.device) == NULL && sto_stage_start(c->stage);
    for (uint32_t i = 0; status == STO_OK && c->p.body == STO_COPY_QUEUE && i < c->p.n_pieces; i++)
        c->waits += sto_stage_count(c->stage, i);
    return status;
}

/* What a body is made of, once there are a lock and room for the pieces. */
static enum sto_status create_body(struct sto_copy *c, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    if (c->p.staging_chunks > 0 && c->p.body != STO_COPY_HOST)
        status = create_stage(c, err);
    if (c->p.body == STO_COPY_QUEUE)
        return status;
    c->waits = c->p.n_pieces;
    if (status == STO_OK)
        status = sto_timeline_create(c->p.device, &c->arrived, err);
    if (status == STO_OK)
        status = sto_timeline_create(c->p.device, &c->used, err);
    if (status != STO_OK)
        return status;
    if (c->p.body == STO_COPY_TRANSFER)
        return create_transfers(c, err);
    c->allowed = c->p.paused ? 0 : c->p.n_slots;
    c->thread = sto_thread_start(run, c);
    return STO_OK;
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
    c->next = 1;
    c->lock = sto_mutex_create();
    c->changed = sto_cond_create();
    if (c->lock == NULL || c->changed == NULL) {
        status = sto_fail(err, STO_ERR_NO_FIT, "out of memory for the copy engine");
        goto fail;
    }
    if ((status = create_body(c, err)) != STO_OK)
        goto fail;
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
    const bool lost = sto_device_is_lost(c->p.device);
    if (!lost && c->issued > uses(c) + c->p.n_slots) /* handed over for a pass that did not follow */
        skip_pass(c);
    if (!lost && c->issued > 0)
        work_on_issued(c);
    if (c->issued > 0)
        (void)sto_timeline_wait(c->arrived, c->issued, NULL);
    if (c->arrived != NULL)
        trace_simulated(c);
    stop_thread(c);
    if (c->stage != NULL)
        sto_stage_stop(c->stage);
    sto_stage_destroy(c->stage);
    sto_transfers_destroy(c->transfers);
    sto_buffer_destroy(c->p.device, &c->addresses);
    sto_timeline_destroy(c->arrived);
    sto_timeline_destroy(c->used);
    sto_cond_destroy(c->changed);
    sto_mutex_destroy(c->lock);
    sto_free(c->first_copy);
    sto_free((void *)(uintptr_t)c->p.pieces);
    sto_free(c);
}

/* The host alone signals `arrived` where it copies, and `filled`: what the queue still waits for ends with these. */
void sto_copy_let_go(struct sto_copy *c)
{
    if (c == NULL)
        return;
    stop_thread(c);
    if (c->p.body == STO_COPY_HOST && c->brought < uses(c))
        (void)sto_timeline_signal(c->arrived, uses(c), NULL);
    if (c->stage != NULL)
        sto_stage_stop(c->stage);
}

/* ---- passes ---- */

void sto_copy_record_begin(struct sto_copy *c, struct sto_recording *rec, uint32_t i)
{
    const struct sto_buffer *source = c->p.pieces[i].source;
    const uint32_t n_staged = c->stage != NULL ? sto_stage_count(c->stage, i) : 0;
    if (c->p.body != STO_COPY_QUEUE)
        sto_record_wait(rec, c->arrived, i + 1);
    else if (n_staged == 0) /* the recorder orders it behind what last read the slot */
        sto_record_copy(rec, c->p.pieces[i].slot, 0, source, 0, source->bytes);
    for (uint32_t k = 0; c->p.body == STO_COPY_QUEUE && k < n_staged; k++) {
        const struct sto_stage_chunk chunk = sto_stage_chunk(c->stage, i, k);
        sto_record_wait(rec, sto_stage_filled(c->stage), chunk.filled);
        sto_record_copy(rec, c->p.pieces[i].slot, chunk.at, chunk.buffer, 0, chunk.bytes);
        sto_record_signal(rec, sto_stage_drained(c->stage), chunk.drained);
    }
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

static uint32_t count_waits(const struct sto_recording *rec)
{
    struct sto_recording_stats stats;
    sto_recording_get_stats(rec, &stats);
    return stats.waits;
}

static enum sto_status submit_with_transfers(struct sto_copy *c, struct sto_recording *rec, uint64_t *ticket,
                                             struct sto_error *err)
{
    const uint64_t next = uses(c) + count_waits(rec) + c->p.n_slots;
    const struct sto_pass pass = {
        .base = c->passes * c->p.n_pieces, .before_wait = c->beside ? NULL : issue_before, .user = c};
    trace_simulated(c);
    enum sto_status status = c->beside ? issue(c, next, err) : STO_OK;
    if (status == STO_OK)
        status = sto_device_submit_pass(c->p.device, rec, &pass, ticket, err);
    if (status == STO_OK && !c->beside) /* where this does not succeed the next recording does it */
        (void)issue(c, next, NULL);
    return status;
}

static enum sto_status submit(struct sto_copy *c, struct sto_recording *rec, uint64_t *ticket, struct sto_error *err)
{
    if (c->p.body == STO_COPY_TRANSFER)
        return submit_with_transfers(c, rec, ticket, err);
    const uint64_t round = c->p.body == STO_COPY_HOST ? c->p.n_pieces : sto_stage_round(c->stage);
    const struct sto_pass pass = {.base = c->passes * round};
    return sto_device_submit_pass(c->p.device, rec, &pass, ticket, err);
}

/* What was handed over of a pass must not be left running. */
static void end_pass(struct sto_copy *c)
{
    (void)sto_device_wait(c->p.device, c->last_ticket, NULL);
    skip_pass(c);
}

enum sto_status sto_copy_submit(struct sto_copy *c, struct sto_recording *rec, uint64_t *ticket, struct sto_error *err)
{
    lock_to_submit(c);
    const enum sto_status status = submit(c, rec, ticket, err);
    unlock_after_submit(c);
    if (status == STO_OK) {
        c->p.paused = false;
        count_uses(c, count_waits(rec), *ticket);
        work_on_uses(c);
    } else if (c->p.body == STO_COPY_TRANSFER && !sto_device_is_lost(c->p.device)) {
        end_pass(c); /* transfers for it may have been handed over */
    }
    return status;
}

void sto_copy_abandon(struct sto_copy *c)
{
    if (c->in_pass > 0 && !sto_device_is_lost(c->p.device))
        end_pass(c);
}

/* What came ahead, for the next pass, and what did not: all of it counts as come and used. */
static void count_ahead(struct sto_copy *c, uint64_t ahead)
{
    if (ahead > uses(c)) {
        c->passes++;
        (void)sto_timeline_signal(c->used, uses(c), NULL);
    }
    if (ahead < uses(c))
        (void)sto_timeline_signal(c->arrived, uses(c), NULL);
    c->issued = c->traced = c->p.body == STO_COPY_TRANSFER ? uses(c) : 0;
    sto_mutex_lock(c->lock);
    c->brought = c->allowed = uses(c);
    c->next = uses(c) + 1;
    sto_mutex_unlock(c->lock);
}

void sto_copy_pause(struct sto_copy *c)
{
    if (c->p.body == STO_COPY_QUEUE || c->p.paused || sto_device_is_lost(c->p.device))
        return;
    if (c->issued > uses(c) + c->p.n_slots) /* handed over for a pass that did not follow */
        skip_pass(c);
    const uint64_t by_host = c->thread != NULL ? c->allowed : c->brought;
    const uint64_t ahead = c->p.body == STO_COPY_HOST ? by_host : c->issued;
    (void)sto_timeline_wait(c->used, uses(c), NULL);
    (void)sto_timeline_wait(c->arrived, ahead, NULL);
    trace_simulated(c);
    c->p.paused = true;
    if (!sto_device_is_lost(c->p.device))
        count_ahead(c, ahead);
}

enum sto_status sto_copy_check(struct sto_copy *c, struct sto_error *err)
{
    const uint64_t end = uses(c);
    enum sto_status status = STO_OK;
    if (c->p.reader == NULL)
        return STO_OK;
    sto_mutex_lock(c->lock);
    if (c->failed_from != 0 && c->failed_from <= end) {
        status = c->why.status;
        if (err != NULL)
            *err = c->why;
        settle(c, end);
    }
    sto_mutex_unlock(c->lock);
    return status;
}

/* Discrete events: time goes on to the next moment at which something ends, over and over. */
#include "runtime/vk/simulator.h"

#include <math.h>

#include "runtime/base/mem.h"
#include "runtime/base/philox.h"
#include "runtime/base/status.h"

enum { MAX_TIMELINES = 1 << 16, KEPT_SPANS = 256, CROSSING_BYTES = 16 << 10 };

/* The parts of a batch, in their order. Those of time take seconds, those of flows take bytes. */
enum part { PART_LATENCY, PART_UP, PART_KERNELS, PART_DOWN, PARTS };

struct job {
    struct sto_sim_batch batch;
    double submitted_s;
};

struct queue {
    struct job *jobs; /* [capacity], a circle */
    uint32_t capacity, first, n;
    bool running;     /* the first one is      */
    enum part part;
    double left;      /* of that part          */
    double slower;    /* of its copies: jitter */
    double begin_s;
};

struct timeline {
    uint64_t value;
    struct {
        uint64_t value;
        struct sto_sim_span span;
    } last[KEPT_SPANS]; /* at value % KEPT_SPANS */
};

struct sto_simulator {
    struct sto_simulation f;
    sto_sim_started started;
    void *user;
    double now_s, host_s; /* what has happened until; the host's clock, which may be ahead of that */
    double wake_s;        /* from an end to the host's taking notice of it */
    uint64_t copies;      /* begun: the counter of jitter */
    struct queue queues[STO_SIM_QUEUES];
    struct timeline **timelines; /* [n_timelines] */
    uint32_t n_timelines, cap_timelines;
    bool reading;         /* the processor is at work */
    double read_left, read_done, read_most; /* bytes; bytes per second */
};

/* ---- figures ---- */

static double bytes_per_s(double gb_per_s)
{
    return gb_per_s > 0 ? gb_per_s * 1e9 : INFINITY;
}

static double either(double a, double b)
{
    return a > 0 ? a : b;
}

double sto_simulator_kernel_s(const struct sto_simulator *sim, bool product, uint64_t bytes, uint64_t flops)
{
    const struct sto_simulation *f = &sim->f;
    const double read_s = (double)bytes / bytes_per_s(product ? either(f->product_gb_per_s, f->vram_gb_per_s)
                                                              : f->vram_gb_per_s);
    const double math_s = f->compute_tflop_per_s > 0 ? (double)flops / (f->compute_tflop_per_s * 1e12) : 0;
    return fmax(read_s, math_s);
}

/* What is left of two crossings, there and back, beside the call that begins them and their copies. */
static double wake_of(const struct sto_simulation *f)
{
    const double begun = (f->submit_us + 2 * f->latency_us) * 1e-6 + 2 * CROSSING_BYTES / bytes_per_s(f->link_gb_per_s);
    return fmax(0, 2 * f->crossing_us * 1e-6 - begun);
}

static double draw_slower(struct sto_simulator *sim)
{
    const uint64_t n = sim->copies++, seed = (uint64_t)sim->f.seed;
    const uint32_t counter[4] = {(uint32_t)n, (uint32_t)(n >> 32), 0, 0};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t words[4];
    sto_philox4x32(counter, key, words);
    return 1 + sim->f.jitter_percent / 100 * (words[0] * 0x1p-32);
}

/* ---- life ---- */

enum sto_status sto_simulator_create(const struct sto_simulation *figures, sto_sim_started started, void *user,
                                     struct sto_simulator **out, struct sto_error *err)
{
    struct sto_simulator *sim = sto_calloc(1, sizeof *sim);
    *out = sim;
    if (sim == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory to simulate a device");
    sim->f = *figures;
    sim->f.link_back_gb_per_s = either(figures->link_back_gb_per_s, figures->link_gb_per_s);
    sim->started = started;
    sim->user = user;
    sim->wake_s = wake_of(figures);
    return STO_OK;
}

void sto_simulator_destroy(struct sto_simulator *sim)
{
    if (sim == NULL)
        return;
    for (uint32_t i = 0; i < sim->n_timelines; i++)
        sto_free(sim->timelines[i]);
    sto_free(sim->timelines);
    for (int q = 0; q < STO_SIM_QUEUES; q++)
        sto_free(sim->queues[q].jobs);
    sto_free(sim);
}

uint32_t sto_simulator_timeline(struct sto_simulator *sim)
{
    if (sim->n_timelines == sim->cap_timelines) {
        const uint32_t capacity = sim->cap_timelines > 0 ? 2 * sim->cap_timelines : 8;
        struct timeline **grown =
            capacity <= MAX_TIMELINES ? sto_realloc(sim->timelines, capacity, sizeof(struct timeline *)) : NULL;
        if (grown == NULL)
            return UINT32_MAX;
        sim->timelines = grown;
        sim->cap_timelines = capacity;
    }
    struct timeline *t = sto_calloc(1, sizeof *t);
    if (t == NULL)
        return UINT32_MAX;
    sim->timelines[sim->n_timelines] = t;
    return sim->n_timelines++;
}

/* ---- batches ---- */

static void raise(struct sto_simulator *sim, struct sto_sim_sync sync, struct sto_sim_span span)
{
    struct timeline *t = sim->timelines[sync.timeline];
    if (sync.value <= t->value)
        return;
    t->value = sync.value;
    t->last[sync.value % KEPT_SPANS].value = sync.value;
    t->last[sync.value % KEPT_SPANS].span = span;
}

static double amount_of(const struct queue *q, enum part part, const struct sto_simulation *f)
{
    const struct sto_sim_work *w = &q->jobs[q->first].batch.work;
    switch (part) {
    case PART_LATENCY: return w->copies * f->latency_us * 1e-6 * q->slower;
    case PART_UP: return (double)w->up_bytes * q->slower;
    case PART_KERNELS: return w->device_s;
    default: return (double)w->down_bytes * q->slower;
    }
}

static void end_batch(struct sto_simulator *sim, struct queue *q)
{
    const struct sto_sim_batch *b = &q->jobs[q->first].batch;
    const struct sto_sim_span span = {q->begin_s, sim->now_s};
    if (b->span != NULL)
        *b->span = span;
    for (uint32_t i = 0; i < b->n_signals; i++)
        raise(sim, b->signals[i], span);
    q->running = false;
    q->first = (q->first + 1) % q->capacity;
    q->n--;
}

/* From one part to the next that takes any time, or to the end. */
static void go_on(struct sto_simulator *sim, struct queue *q)
{
    while (q->left <= 0 && q->part + 1 < PARTS) {
        q->part++;
        q->left = amount_of(q, q->part, &sim->f);
    }
    if (q->left <= 0)
        end_batch(sim, q);
}

static bool is_reached(const struct sto_simulator *sim, struct sto_sim_sync wait)
{
    return wait.value == 0 || sim->timelines[wait.timeline]->value >= wait.value;
}

/* Begins what may begin now. Returns whether anything did: its end may let others begin. */
static bool begin_batch(struct sto_simulator *sim, struct queue *q)
{
    if (q->running || q->n == 0)
        return false;
    const struct job *job = &q->jobs[q->first];
    const struct sto_sim_sync *waits = job->batch.waits;
    if (job->submitted_s > sim->now_s || !is_reached(sim, waits[0]) || !is_reached(sim, waits[1]))
        return false;
    if (sim->started != NULL)
        sim->started(sim->user, job->batch.tag);
    q->running = true;
    q->begin_s = sim->now_s;
    q->slower = job->batch.work.copies > 0 ? draw_slower(sim) : 1;
    q->part = PART_LATENCY;
    q->left = amount_of(q, PART_LATENCY, &sim->f);
    go_on(sim, q);
    return true;
}

/* ---- flows ---- */

/* Speeds of the parts of time are 1. */
struct speeds {
    double queues[STO_SIM_QUEUES], processor;
};

/* Host memory for n flows: each gets an equal part, or what it can take and the others the rest. */
static void share(double *const *flows, uint32_t n, double most)
{
    bool settled[STO_SIM_QUEUES + 1] = {false};
    for (uint32_t left = n; left > 0;) {
        const double part = most / left;
        uint32_t taken = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (!settled[i] && *flows[i] <= part) {
                settled[i] = true;
                most -= *flows[i];
                taken++;
            }
        }
        for (uint32_t i = 0; i < n && taken == 0; i++) {
            if (!settled[i])
                *flows[i] = part;
        }
        left = taken > 0 ? left - taken : 0;
    }
}

static struct speeds speeds_of(const struct sto_simulator *sim)
{
    struct speeds s = {.processor = sim->reading ? sim->read_most : 0};
    double *flows[STO_SIM_QUEUES + 1];
    uint32_t n[PARTS] = {0}, n_flows = 0;
    for (int i = 0; i < STO_SIM_QUEUES; i++)
        n[sim->queues[i].part] += sim->queues[i].running;
    const double up = bytes_per_s(sim->f.link_gb_per_s), down = bytes_per_s(sim->f.link_back_gb_per_s);
    for (int i = 0; i < STO_SIM_QUEUES; i++) {
        const struct queue *q = &sim->queues[i];
        const bool flows_now = q->running && (q->part == PART_UP || q->part == PART_DOWN);
        s.queues[i] = !flows_now ? q->running : (q->part == PART_UP ? up : down) / n[q->part];
        if (flows_now)
            flows[n_flows++] = &s.queues[i];
    }
    const bool both = sim->reading && n_flows > 0;
    if (sim->reading)
        flows[n_flows++] = &s.processor;
    share(flows, n_flows, bytes_per_s(both ? either(sim->f.dram_shared_gb_per_s, sim->f.dram_gb_per_s)
                                           : sim->f.dram_gb_per_s));
    return s;
}

/* ---- time ---- */

/* The next moment at which something ends or may begin, at most `most`. */
static double next_event(const struct sto_simulator *sim, const struct speeds *s, double most)
{
    double next = most;
    for (int i = 0; i < STO_SIM_QUEUES; i++) {
        const struct queue *q = &sim->queues[i];
        if (q->running)
            next = fmin(next, sim->now_s + q->left / s->queues[i]);
        else if (q->n > 0 && q->jobs[q->first].submitted_s > sim->now_s)
            next = fmin(next, q->jobs[q->first].submitted_s);
    }
    if (sim->reading)
        next = fmin(next, sim->now_s + sim->read_left / s->processor);
    return next;
}

/* What is left at a speed when so much time has passed. Less than a tenth of a nanosecond is rounding. */
static double rest_of(double left, double speed, double passed_s)
{
    const double rest_s = left / speed - passed_s;
    return rest_s > 1e-10 ? rest_s * speed : 0;
}

static void move_to(struct sto_simulator *sim, const struct speeds *s, double next)
{
    const double passed = next - sim->now_s;
    sim->now_s = next;
    for (int i = 0; i < STO_SIM_QUEUES; i++) {
        struct queue *q = &sim->queues[i];
        if (!q->running)
            continue;
        q->left = rest_of(q->left, s->queues[i], passed);
        go_on(sim, q);
    }
    if (sim->reading) {
        const double rest = rest_of(sim->read_left, s->processor, passed);
        sim->read_done += sim->read_left - rest;
        sim->read_left = rest;
    }
}

/* One event further, at most to `most`. False: nothing would ever happen. */
static bool step(struct sto_simulator *sim, double most)
{
    while (begin_batch(sim, &sim->queues[STO_SIM_COMPUTE]) || begin_batch(sim, &sim->queues[STO_SIM_TRANSFER]))
        continue;
    const struct speeds s = speeds_of(sim);
    const double next = next_event(sim, &s, most);
    if (!isfinite(next))
        return false;
    move_to(sim, &s, next);
    return true;
}

static void catch_up(struct sto_simulator *sim)
{
    while (sim->now_s < sim->host_s)
        (void)step(sim, sim->host_s);
    while (begin_batch(sim, &sim->queues[STO_SIM_COMPUTE]) || begin_batch(sim, &sim->queues[STO_SIM_TRANSFER]))
        continue;
}

/* ---- the host ---- */

uint64_t sto_simulator_value(struct sto_simulator *sim, uint32_t timeline)
{
    catch_up(sim);
    return sim->timelines[timeline]->value;
}

void sto_simulator_signal(struct sto_simulator *sim, uint32_t timeline, uint64_t value)
{
    catch_up(sim);
    raise(sim, (struct sto_sim_sync){timeline, value}, (struct sto_sim_span){sim->now_s, sim->now_s});
}

bool sto_simulator_wait(struct sto_simulator *sim, uint32_t timeline, uint64_t value)
{
    struct timeline *t = sim->timelines[timeline];
    catch_up(sim);
    if (t->value >= value)
        return true;
    while (t->value < value) {
        if (!step(sim, INFINITY))
            return false;
    }
    sim->host_s = sim->now_s + sim->wake_s;
    return true;
}

bool sto_simulator_span(const struct sto_simulator *sim, uint32_t timeline, uint64_t value, struct sto_sim_span *out)
{
    const struct timeline *t = sim->timelines[timeline];
    *out = t->last[value % KEPT_SPANS].span;
    return t->last[value % KEPT_SPANS].value == value && value > 0;
}

static bool grow(struct queue *q)
{
    const uint32_t capacity = q->capacity > 0 ? 2 * q->capacity : 64;
    struct job *grown = sto_calloc(capacity, sizeof *grown);
    if (grown == NULL)
        return false;
    for (uint32_t i = 0; i < q->n; i++)
        grown[i] = q->jobs[(q->first + i) % q->capacity];
    sto_free(q->jobs);
    q->jobs = grown;
    q->capacity = capacity;
    q->first = 0;
    return true;
}

enum sto_status sto_simulator_submit(struct sto_simulator *sim, enum sto_sim_queue queue,
                                     const struct sto_sim_batch *batches, uint32_t n, struct sto_error *err)
{
    struct queue *q = &sim->queues[queue];
    while (q->capacity - q->n < n) {
        if (!grow(q))
            return sto_fail(err, STO_ERR_NO_FIT, "no memory to simulate %u batches", (unsigned)(q->n + n));
    }
    sim->host_s += sim->f.submit_us * 1e-6;
    for (uint32_t i = 0; i < n; i++)
        q->jobs[(q->first + q->n++) % q->capacity] = (struct job){batches[i], sim->host_s};
    return STO_OK;
}

uint64_t sto_simulator_now_ns(const struct sto_simulator *sim)
{
    return (uint64_t)(sim->host_s * 1e9 + 0.5);
}

void sto_simulator_pass(struct sto_simulator *sim, double seconds)
{
    sim->host_s += seconds;
    catch_up(sim);
}

/* ---- the processor ---- */

void sto_simulator_compute(struct sto_simulator *sim, uint64_t bytes, uint32_t columns, double flops)
{
    const struct sto_simulation *f = &sim->f;
    const double read_s = (double)bytes / bytes_per_s(f->cpu_gb_per_s);
    double least_s = columns > 1 && !(f->cpu_tflop_per_s > 0) ? read_s * columns : read_s;
    if (columns > 1 && f->cpu_tflop_per_s > 0)
        least_s = fmax(read_s, flops / (f->cpu_tflop_per_s * 1e12));
    if (bytes == 0 || !(least_s > 0))
        return;
    catch_up(sim);
    sim->reading = true;
    sim->read_left = (double)bytes;
    sim->read_most = (double)bytes / least_s;
    while (sim->read_left > 0)
        (void)step(sim, INFINITY);
    sim->reading = false;
    sim->host_s = sim->now_s;
}

void sto_simulator_read_begin(struct sto_simulator *sim)
{
    catch_up(sim);
    sim->reading = sim->f.dram_gb_per_s > 0;
    sim->read_done = 0;
    sim->read_left = 1e18; /* more than is ever read */
    sim->read_most = bytes_per_s(sim->f.dram_gb_per_s);
}

double sto_simulator_read_end(struct sto_simulator *sim)
{
    catch_up(sim);
    sim->reading = false;
    return sim->read_done;
}

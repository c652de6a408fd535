/* The queue: submission, the timeline, and how much work a command buffer may carry.
 *
 * Each submission gets a ticket, the next value of one timeline semaphore. Work that a driver's watchdog would kill
 * (2 s on Windows and recent Linux kernels) is avoided by cutting recordings at a bound, which starts low and then
 * follows the slowest measured rate. Nothing here allocates. */
#include "runtime/vk/recorder_impl.h"

#include <assert.h>

#include "runtime/base/os.h"

/* What a command buffer should take at most. */
static const double target_ns = 0.25e9;

/* Work units per 0.25 s of a slow device of the kind, until something was measured. */
static uint64_t first_bound(const struct sto_device_snapshot *s)
{
    switch (s->kind) {
    case STO_DEVICE_CPU: return 500u * 1000 * 1000;
    case STO_DEVICE_DISCRETE: return 50u * (uint64_t)1000 * 1000 * 1000;
    default: return 5u * (uint64_t)1000 * 1000 * 1000;
    }
}

enum sto_status sto_queue_create(struct sto_device *device, struct sto_error *err)
{
    const VkResult result = sto_semaphore_create(device, &device->timeline);
    if (result != VK_SUCCESS)
        return sto_device_fail(device, err, result, "creating the timeline");
    device->vk.vkGetDeviceQueue(device->handle, device->plan.compute_family, 0, &device->queue);
    device->vk.vkGetDeviceQueue(device->handle, device->plan.transfer_family, 0, &device->transfer_queue);
    device->has_timestamps = device->snapshot.timestamp_period_ns > 0.0f &&
                             device->snapshot.queue_families[device->plan.compute_family].timestamp_bits > 0;
    device->work_bound = first_bound(&device->snapshot);
    if (device->has_timestamps)
        sto_clock_create(device);
    return STO_OK;
}

void sto_queue_destroy(struct sto_device *device)
{
    if (device->timeline != VK_NULL_HANDLE)
        sto_semaphore_destroy(device, device->timeline);
}

void sto_device_get_queue_stats(const struct sto_device *device, struct sto_queue_stats *out)
{
    *out = device->queue_stats;
}

void sto_device_restart_longest_batch(struct sto_device *device)
{
    device->queue_stats.longest_batch_ns = 0;
}

uint64_t sto_device_work_bound(const struct sto_device *device)
{
    return device->work_bound;
}

/* ---- measured time ---- */

/* The bound follows the slowest rate of a batch: a slower one at once, a faster one little by little. Batches with next
 * to no work measure overhead and are not looked at. */
static void adapt(struct sto_device *device, uint64_t work, uint64_t ns)
{
    const uint64_t first = first_bound(&device->snapshot);
    if (work < first / 100 || ns == 0)
        return;
    const double rate = (double)ns / (double)work;
    if (device->ns_per_work == 0.0 || rate > device->ns_per_work)
        device->ns_per_work = rate;
    else
        device->ns_per_work += 0.1 * (rate - device->ns_per_work);
    const double bound = target_ns / device->ns_per_work;
    const double low = (double)first / 64.0, high = (double)first * 64.0;
    device->work_bound = (uint64_t)(bound < low ? low : (bound > high ? high : bound));
}

static void note_batch(struct sto_device *device, uint64_t work, uint64_t ns)
{
    if (ns > device->queue_stats.longest_batch_ns)
        device->queue_stats.longest_batch_ns = ns;
    adapt(device, work, ns);
}

/* What the simulator says of a completed submission. */
static void take_simulated(struct sto_recording *rec)
{
    const uint32_t n = rec->n_buffers;
    const struct sto_span_ns last = sto_span_of(rec->figures[n - 1].span);
    rec->n_spans = n < STO_TIMED_BATCHES ? n : STO_TIMED_BATCHES;
    for (uint32_t i = 0; i < rec->n_spans; i++) {
        rec->spans[i] = sto_span_of(rec->figures[i].span);
        note_batch(rec->device, rec->timed_work[i], rec->spans[i].end_ns - rec->spans[i].begin_ns);
    }
    rec->time_ns = last.end_ns - rec->spans[0].begin_ns;
}

/* Reads the timestamps of a completed submission; not while others run, because there are drivers that wait for all of
 * them then. */
static void measure(struct sto_recording *rec)
{
    struct sto_device *device = rec->device;
    uint64_t ticks[2 + 2 * STO_TIMED_BATCHES] = {0};
    const uint32_t n_timed = rec->n_buffers < STO_TIMED_BATCHES ? rec->n_buffers : STO_TIMED_BATCHES;
    const uint32_t n_ticks = 2 + 2 * n_timed;
    rec->time_ns = 0;
    rec->n_spans = 0;
    if (device->simulated != NULL) {
        take_simulated(rec);
        return;
    }
    if (rec->queries == VK_NULL_HANDLE || device->lost || device->running != NULL)
        return;
    const uint64_t start = sto_now_ns();
    const VkResult result = device->vk.vkGetQueryPoolResults(device->handle, rec->queries, 0, n_ticks,
                                                             n_ticks * sizeof *ticks, ticks, sizeof *ticks,
                                                             VK_QUERY_RESULT_64_BIT);
    device->queue_stats.wait_ns += sto_now_ns() - start;
    if (result != VK_SUCCESS)
        return;
    rec->time_ns = sto_clock_between(device, ticks[0], ticks[1]);
    sto_clock_compare(device, ticks[1], start);
    rec->n_spans = n_timed;
    for (uint32_t i = 0; i < n_timed; i++) {
        const uint64_t begin = ticks[2 + 2 * i], end = ticks[3 + 2 * i];
        rec->spans[i] = (struct sto_span_ns){sto_clock_host_ns(device, begin), sto_clock_host_ns(device, end)};
        note_batch(device, rec->timed_work[i], sto_clock_between(device, begin, end));
    }
}

/* Takes recordings whose ticket has been reached off the list. */
static void retire(struct sto_device *device, uint64_t reached)
{
    struct sto_recording **link = &device->running;
    while (*link != NULL) {
        struct sto_recording *rec = *link;
        if (rec->ticket > reached) {
            link = &rec->next_running;
            continue;
        }
        *link = rec->next_running;
        rec->next_running = NULL;
        rec->running = false;
        measure(rec);
    }
}

/* ---- submit and wait ---- */

static enum sto_status lost(struct sto_device *device, struct sto_error *err)
{
    return sto_fail(err, STO_ERR_DEVICE_LOST, "%s was lost: close it and open it again", device->snapshot.name);
}

/* Finished, and not running any more. */
static enum sto_status check_recording(struct sto_device *device, const struct sto_recording *rec,
                                       struct sto_error *err)
{
    assert(rec->device == device);
    if (device->lost)
        return lost(device, err);
    if (!rec->finished)
        return sto_fail(err, STO_ERR_FAILED, "a recording was submitted that is not finished");
    if (!rec->running)
        return STO_OK;
    uint64_t reached = 0;
    const VkResult result = sto_semaphore_value(device, device->timeline, &reached);
    if (result != VK_SUCCESS)
        return sto_device_fail(device, err, result, "asking the timeline");
    retire(device, reached);
    return rec->running ? sto_fail(err, STO_ERR_FAILED, "a recording was submitted again before it had completed")
                        : STO_OK;
}

/* Semaphore values of this submission. */
static void set_values(struct sto_recording *rec, uint64_t base)
{
    for (uint32_t i = 0; i < rec->n_buffers; i++) {
        rec->syncs[i].wait.value = base + rec->syncs[i].wait_value;
        rec->syncs[i].signals[0].value = base + rec->syncs[i].signal_value;
    }
    struct sto_batch_sync *last = &rec->syncs[rec->n_buffers - 1];
    last->signals[last->n_signals - 1].value = rec->device->last_ticket + 1;
}

static enum sto_status submit_batches(struct sto_recording *rec, uint32_t first, uint32_t n, struct sto_error *err)
{
    struct sto_device *device = rec->device;
    const uint64_t start = sto_device_now_ns(device);
    const VkResult result = sto_hand_over(device, false, rec->batches + first, rec->figures + first, n);
    device->queue_stats.submit_ns += sto_device_now_ns(device) - start;
    device->queue_stats.submits++;
    return result == VK_SUCCESS ? STO_OK : sto_device_fail(device, err, result, "submitting work");
}

/* All batches: in one call, or where the caller wants to act before each wait, in one for each. */
static enum sto_status submit_all(struct sto_recording *rec, const struct sto_pass *pass, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    uint32_t first = 0;
    for (uint32_t i = 0; pass->before_wait != NULL && i < rec->n_buffers && status == STO_OK; i++) {
        if (rec->syncs[i].n_waits == 0)
            continue;
        if (i > first)
            status = submit_batches(rec, first, i - first, err);
        first = i;
        if (status == STO_OK)
            status = pass->before_wait(pass->user, rec->syncs[i].wait.value, err);
    }
    if (status == STO_OK)
        status = submit_batches(rec, first, rec->n_buffers - first, err);
    if (status != STO_OK && first > 0 && !rec->device->lost)
        (void)rec->device->vk.vkQueueWaitIdle(rec->device->queue); /* what went before it must not be left running */
    return status;
}

enum sto_status sto_device_submit_pass(struct sto_device *device, struct sto_recording *rec,
                                       const struct sto_pass *pass, uint64_t *ticket, struct sto_error *err)
{
    enum sto_status status = check_recording(device, rec, err);
    if (status != STO_OK)
        return status;
    set_values(rec, pass->base);
    if ((status = submit_all(rec, pass, err)) != STO_OK)
        return status;
    device->last_ticket++;
    rec->ticket = device->last_ticket;
    rec->running = true;
    rec->next_running = device->running;
    device->running = rec;
    if (ticket != NULL)
        *ticket = rec->ticket;
    return STO_OK;
}

enum sto_status sto_device_submit(struct sto_device *device, struct sto_recording *rec, uint64_t *ticket,
                                  struct sto_error *err)
{
    return sto_device_submit_pass(device, rec, &(struct sto_pass){0}, ticket, err);
}

enum sto_status sto_device_wait(struct sto_device *device, uint64_t ticket, struct sto_error *err)
{
    if (device->lost)
        return lost(device, err);
    if (ticket > device->last_ticket)
        return sto_fail(err, STO_ERR_FAILED, "a wait for ticket %llu, which was never given out",
                        (unsigned long long)ticket);
    const uint64_t start = sto_device_now_ns(device);
    const VkResult result = sto_semaphore_wait(device, device->timeline, ticket);
    device->queue_stats.wait_ns += sto_device_now_ns(device) - start;
    if (result != VK_SUCCESS)
        return sto_device_fail(device, err, result, "waiting for the device");
    retire(device, ticket);
    return STO_OK;
}

bool sto_device_is_lost(const struct sto_device *device)
{
    return atomic_load(&device->lost);
}

void sto_device_settle(struct sto_device *device)
{
    (void)device->vk.vkDeviceWaitIdle(device->handle);
}

void sto_queue_forget(struct sto_recording *rec)
{
    struct sto_device *device = rec->device;
    if (!rec->running)
        return;
    (void)sto_device_wait(device, rec->ticket, NULL);
    struct sto_recording **link = &device->running; /* still there only when the device was lost */
    while (*link != NULL && *link != rec)
        link = &(*link)->next_running;
    if (*link == rec)
        *link = rec->next_running;
    rec->next_running = NULL;
    rec->running = false;
}

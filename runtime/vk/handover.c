/* Where work meets the driver: handing batches to a queue, and semaphores. A simulated device (simulator.h) is put in
 * the driver's place here, below everything that decides what waits for what.
 *
 *   VkSubmitInfo2  ->  driver                                       or, simulated:
 *                  ->  the simulator, which gives it its times; where results matter each batch is then handed to the
 *                      driver alone, in the order in which the simulator begins them
 *
 * A semaphore of a simulated device is the number of a timeline, plus one. */
#include <stdio.h>

#include "runtime/base/mem.h"
#include "runtime/vk/recorder_impl.h"

struct sto_simulated {
    struct sto_simulator *simulator;
    bool runs;                     /* batches are handed to the driver, too */
    struct sto_sim_batch *batches; /* [capacity] room for a call            */
    uint32_t capacity;
};

/* ---- simulated ---- */

static uint32_t timeline_of(VkSemaphore semaphore)
{
    return (uint32_t)((uintptr_t)semaphore - 1);
}

/* The simulator begins a batch: to the driver with its commands, whose waits and signals the simulator has seen to. */
static void run_batch(void *user, void *tag)
{
    struct sto_device *device = user;
    const VkSubmitInfo2 batch = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2, .commandBufferInfoCount = 1, .pCommandBufferInfos = tag};
    if (device->lost || !device->simulated->runs)
        return;
    if (device->vk.vkQueueSubmit2(device->queue, 1, &batch, VK_NULL_HANDLE) != VK_SUCCESS ||
        device->vk.vkQueueWaitIdle(device->queue) != VK_SUCCESS)
        device->lost = true;
}

/* Kernels that are not run are those of a card; else those that this device takes. Memory is as much as there is. */
void sto_simulated_snapshot(const struct sto_device_params *params, struct sto_device_snapshot *snapshot)
{
    (void)snprintf(snapshot->name, sizeof snapshot->name, "a simulated card of %g GB/s, link %g GB/s",
                   params->simulation->vram_gb_per_s, params->simulation->link_gb_per_s);
    if (params->simulate_only)
        snapshot->kind = STO_DEVICE_DISCRETE;
    for (uint32_t i = 0; i < snapshot->n_heaps; i++)
        snapshot->heaps[i].bytes = sto_ram_bytes();
}

enum sto_status sto_simulated_create(struct sto_device *device, const struct sto_device_params *params,
                                     struct sto_error *err)
{
    if (params->simulation == NULL)
        return STO_OK;
    struct sto_simulated *s = sto_calloc(1, sizeof *s);
    if (s == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory to simulate a device");
    device->simulated = s;
    s->runs = !params->simulate_only;
    /* A card: memory of its own, and a queue for copies. */
    device->plan.device_memory_mapped = device->plan.unified_memory = false;
    device->plan.has_transfer_queue = true;
    device->plan.transfer_family = device->plan.compute_family;
    device->plan.use_memory_budget = false;
    return sto_simulator_create(params->simulation, run_batch, device, &s->simulator, err);
}

void sto_simulated_destroy(struct sto_device *device)
{
    if (device->simulated == NULL)
        return;
    sto_simulator_destroy(device->simulated->simulator);
    sto_free(device->simulated->batches);
    sto_free(device->simulated);
    device->simulated = NULL;
}

struct sto_simulator *sto_device_simulator(const struct sto_device *device)
{
    return device != NULL && device->simulated != NULL ? device->simulated->simulator : NULL;
}

bool sto_device_runs(const struct sto_device *device)
{
    return device->simulated == NULL || device->simulated->runs;
}

bool sto_device_simulate_only(struct sto_device *device, bool only)
{
    struct sto_simulated *s = device->simulated;
    if (s == NULL)
        return false;
    const bool before = !s->runs;
    s->runs = !only;
    return before;
}

uint64_t sto_device_now_ns(const struct sto_device *device)
{
    const struct sto_simulator *sim = sto_device_simulator(device);
    return sim != NULL ? sto_simulator_now_ns(sim) : sto_now_ns();
}

static struct sto_sim_sync sync_of(const VkSemaphoreSubmitInfo *info)
{
    return (struct sto_sim_sync){timeline_of(info->semaphore), info->value};
}

static VkResult hand_to_simulator(struct sto_simulated *s, enum sto_sim_queue queue, const VkSubmitInfo2 *batches,
                                  struct sto_batch_figures *figures, uint32_t n)
{
    if (n > s->capacity) {
        struct sto_sim_batch *grown = sto_realloc(s->batches, n, sizeof *grown);
        if (grown == NULL)
            return VK_ERROR_OUT_OF_HOST_MEMORY;
        s->batches = grown;
        s->capacity = n;
    }
    for (uint32_t i = 0; i < n; i++) {
        const VkSubmitInfo2 *from = &batches[i];
        struct sto_sim_batch *to = &s->batches[i];
        *to = (struct sto_sim_batch){.work = figures[i].work,
                                     .span = &figures[i].span,
                                     .tag = (void *)(uintptr_t)from->pCommandBufferInfos,
                                     .n_signals = from->signalSemaphoreInfoCount};
        for (uint32_t k = 0; k < from->waitSemaphoreInfoCount; k++)
            to->waits[k] = sync_of(&from->pWaitSemaphoreInfos[k]);
        for (uint32_t k = 0; k < to->n_signals; k++)
            to->signals[k] = sync_of(&from->pSignalSemaphoreInfos[k]);
    }
    return sto_simulator_submit(s->simulator, queue, s->batches, n, NULL) == STO_OK ? VK_SUCCESS
                                                                                    : VK_ERROR_OUT_OF_HOST_MEMORY;
}

/* ---- the seam ---- */

VkResult sto_hand_over(struct sto_device *device, bool transfers, const VkSubmitInfo2 *batches,
                       struct sto_batch_figures *figures, uint32_t n)
{
    if (device->simulated != NULL)
        return device->lost ? VK_ERROR_DEVICE_LOST
                            : hand_to_simulator(device->simulated, transfers ? STO_SIM_TRANSFER : STO_SIM_COMPUTE,
                                                batches, figures, n);
    return device->vk.vkQueueSubmit2(transfers ? device->transfer_queue : device->queue, n, batches, VK_NULL_HANDLE);
}

VkResult sto_semaphore_create(struct sto_device *device, VkSemaphore *out)
{
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    if (device->simulated == NULL)
        return device->vk.vkCreateSemaphore(device->handle, &info, NULL, out);
    const uint32_t timeline = sto_simulator_timeline(device->simulated->simulator);
    *out = timeline != UINT32_MAX ? (VkSemaphore)((uintptr_t)timeline + 1) : VK_NULL_HANDLE;
    return timeline != UINT32_MAX ? VK_SUCCESS : VK_ERROR_OUT_OF_HOST_MEMORY;
}

void sto_semaphore_destroy(struct sto_device *device, VkSemaphore semaphore)
{
    if (device->simulated == NULL) /* else it ends with the simulator */
        device->vk.vkDestroySemaphore(device->handle, semaphore, NULL);
}

VkResult sto_semaphore_signal(struct sto_device *device, VkSemaphore semaphore, uint64_t value)
{
    const VkSemaphoreSignalInfo info = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, .semaphore = semaphore, .value = value};
    if (device->simulated == NULL)
        return device->vk.vkSignalSemaphore(device->handle, &info);
    sto_simulator_signal(device->simulated->simulator, timeline_of(semaphore), value);
    return VK_SUCCESS;
}

/* Now and then it looks whether another thread was told that the device is lost: not all drivers tell each. */
static VkResult wait_unless_lost(struct sto_device *device, const VkSemaphoreWaitInfo *info)
{
    const uint64_t look_ns = 200 * 1000 * 1000;
    VkResult result = VK_TIMEOUT;
    while (result == VK_TIMEOUT && !device->lost)
        result = device->vk.vkWaitSemaphores(device->handle, info, look_ns);
    return result == VK_TIMEOUT ? VK_ERROR_DEVICE_LOST : result;
}

VkResult sto_semaphore_wait(struct sto_device *device, VkSemaphore semaphore, uint64_t value)
{
    const VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                      .semaphoreCount = 1,
                                      .pSemaphores = &semaphore,
                                      .pValues = &value};
    if (device->simulated == NULL)
        return wait_unless_lost(device, &info);
    const bool reached = sto_simulator_wait(device->simulated->simulator, timeline_of(semaphore), value);
    return reached && !device->lost ? VK_SUCCESS : VK_ERROR_DEVICE_LOST;
}

VkResult sto_semaphore_value(struct sto_device *device, VkSemaphore semaphore, uint64_t *value)
{
    if (device->simulated == NULL)
        return device->vk.vkGetSemaphoreCounterValue(device->handle, semaphore, value);
    *value = sto_simulator_value(device->simulated->simulator, timeline_of(semaphore));
    return VK_SUCCESS;
}

bool sto_timeline_simulated_span(const struct sto_timeline *timeline, uint64_t value, struct sto_span_ns *out)
{
    struct sto_sim_span span;
    if (timeline->device->simulated == NULL ||
        !sto_simulator_span(timeline->device->simulated->simulator, timeline_of(timeline->handle), value, &span))
        return false;
    *out = sto_span_of(span);
    return true;
}

struct sto_span_ns sto_span_of(struct sto_sim_span span)
{
    return (struct sto_span_ns){(uint64_t)(span.begin_s * 1e9 + 0.5), (uint64_t)(span.end_s * 1e9 + 0.5)};
}

/* ---- what a batch holds ---- */

void sto_figure_kernel(const struct sto_device *device, struct sto_batch_figures *figures, bool product, uint64_t bytes,
                       uint64_t flops)
{
    if (device->simulated != NULL)
        figures->work.device_s += sto_simulator_kernel_s(device->simulated->simulator, product, bytes, flops);
}

void sto_figure_copy(const struct sto_device *device, struct sto_batch_figures *figures, enum sto_memory to,
                     enum sto_memory from, uint64_t bytes)
{
    const bool up = to == STO_MEMORY_DEVICE && from != STO_MEMORY_DEVICE;
    const bool down = to != STO_MEMORY_DEVICE && from == STO_MEMORY_DEVICE;
    figures->work.up_bytes += up ? bytes : 0;
    figures->work.down_bytes += down ? bytes : 0;
    figures->work.copies += up || down;
    if (!up && !down)
        sto_figure_kernel(device, figures, false, 2 * bytes, 0);
}

/* Command buffers of copies, each a submission batch with its waits and signals. */
#include "runtime/vk/transfers.h"

#include <assert.h>

#include "runtime/base/mem.h"
#include "runtime/vk/recorder_impl.h"

struct transfer {
    VkCommandBufferSubmitInfo buffer;
    VkSemaphoreSubmitInfo waits[2], signals[2];
};

struct sto_transfers {
    struct sto_device *device;
    VkCommandPool pool;
    VkCommandBuffer *buffers;   /* [n] */
    struct transfer *transfers; /* [n] */
    VkSubmitInfo2 *batches;     /* [n] */
    struct sto_batch_figures *figures; /* [n] */
    uint32_t n;
};

static enum sto_status allocate_buffers(struct sto_transfers *t, struct sto_error *err)
{
    struct sto_device *device = t->device;
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .queueFamilyIndex = device->plan.transfer_family};
    VkResult result = device->vk.vkCreateCommandPool(device->handle, &pool, NULL, &t->pool);
    if (result == VK_SUCCESS) {
        const VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                  .commandPool = t->pool,
                                                  .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                  .commandBufferCount = t->n};
        result = device->vk.vkAllocateCommandBuffers(device->handle, &info, t->buffers);
    }
    return result == VK_SUCCESS ? STO_OK : sto_device_fail(device, err, result, "creating transfers");
}

enum sto_status sto_transfers_create(struct sto_device *device, uint32_t n, struct sto_transfers **out,
                                     struct sto_error *err)
{
    enum sto_status status = STO_OK;
    *out = NULL;
    struct sto_transfers *t = sto_calloc(1, sizeof *t);
    if (t == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for transfers");
    t->device = device;
    t->n = n;
    t->buffers = sto_calloc(n, sizeof(VkCommandBuffer));
    t->transfers = sto_calloc(n, sizeof *t->transfers);
    t->batches = sto_calloc(n, sizeof *t->batches);
    t->figures = sto_calloc(n, sizeof *t->figures);
    if (t->buffers == NULL || t->transfers == NULL || t->batches == NULL || t->figures == NULL) {
        status = sto_fail(err, STO_ERR_NO_FIT, "out of memory for %u transfers", (unsigned)n);
        goto fail;
    }
    if ((status = allocate_buffers(t, err)) != STO_OK)
        goto fail;
    for (uint32_t i = 0; i < n; i++) {
        struct transfer *one = &t->transfers[i];
        one->buffer = (VkCommandBufferSubmitInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
                                                  .commandBuffer = t->buffers[i]};
        t->batches[i] = (VkSubmitInfo2){.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
                                        .pWaitSemaphoreInfos = one->waits,
                                        .commandBufferInfoCount = 1,
                                        .pCommandBufferInfos = &one->buffer,
                                        .pSignalSemaphoreInfos = one->signals};
    }
    *out = t;
    return STO_OK;
fail:
    sto_transfers_destroy(t);
    return status;
}

void sto_transfers_destroy(struct sto_transfers *t)
{
    if (t == NULL)
        return;
    if (t->pool != VK_NULL_HANDLE)
        t->device->vk.vkDestroyCommandPool(t->device->handle, t->pool, NULL);
    sto_free(t->buffers);
    sto_free(t->transfers);
    sto_free(t->batches);
    sto_free(t->figures);
    sto_free(t);
}

enum sto_status sto_transfers_record(struct sto_transfers *t, uint32_t i, const struct sto_transfer_copy *copies,
                                     uint32_t n_copies, struct sto_error *err)
{
    struct sto_device *device = t->device;
    const VkCommandBuffer cmd = t->buffers[i];
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT};
    /* Behind the copies before: where a use was given up (a pass that failed), the host has signalled in its stead,
     * which says nothing of the copy that filled the slot for it. */
    const VkMemoryBarrier2 behind = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
                                     .srcStageMask = VK_PIPELINE_STAGE_2_COPY_BIT,
                                     .srcAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT,
                                     .dstStageMask = VK_PIPELINE_STAGE_2_COPY_BIT,
                                     .dstAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT};
    const VkDependencyInfo dependency = {
        .sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO, .memoryBarrierCount = 1, .pMemoryBarriers = &behind};
    VkResult result = device->vk.vkBeginCommandBuffer(cmd, &begin);
    if (result == VK_SUCCESS)
        device->vk.vkCmdPipelineBarrier2(cmd, &dependency);
    for (uint32_t c = 0; c < n_copies && result == VK_SUCCESS; c++) {
        const struct sto_transfer_copy *copy = &copies[c];
        uint64_t dst_base, src_base;
        const VkBuffer to = sto_buffer_handle(copy->dst, &dst_base), from = sto_buffer_handle(copy->src, &src_base);
        const VkBufferCopy region = {src_base + copy->src_offset, dst_base + copy->dst_offset, copy->bytes};
        assert(copy->dst_offset + copy->bytes <= copy->dst->bytes);
        assert(copy->src_offset + copy->bytes <= copy->src->bytes);
        device->vk.vkCmdCopyBuffer(cmd, from, to, 1, &region);
        sto_figure_copy(device, &t->figures[i], sto_buffer_memory(copy->dst), sto_buffer_memory(copy->src),
                        copy->bytes);
    }
    if (result == VK_SUCCESS)
        result = device->vk.vkEndCommandBuffer(cmd);
    return result == VK_SUCCESS ? STO_OK : sto_device_fail(device, err, result, "recording a transfer");
}

static VkSemaphoreSubmitInfo semaphore_info(struct sto_transfer_sync sync)
{
    return (VkSemaphoreSubmitInfo){.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
                                   .semaphore = sync.timeline->handle,
                                   .value = sync.value,
                                   .stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT};
}

/* Fills in those that are any; returns how many. */
static uint32_t list_syncs(const struct sto_transfer_sync syncs[2], VkSemaphoreSubmitInfo *infos)
{
    uint32_t n = 0;
    for (int i = 0; i < 2; i++) {
        if (syncs[i].value > 0)
            infos[n++] = semaphore_info(syncs[i]);
    }
    return n;
}

void sto_transfers_sync(struct sto_transfers *t, uint32_t i, const struct sto_transfer_sync waits[2],
                        const struct sto_transfer_sync signals[2])
{
    t->batches[i].waitSemaphoreInfoCount = list_syncs(waits, t->transfers[i].waits);
    t->batches[i].signalSemaphoreInfoCount = list_syncs(signals, t->transfers[i].signals);
}

enum sto_status sto_transfers_submit(struct sto_transfers *t, uint32_t first, uint32_t n, struct sto_error *err)
{
    struct sto_device *device = t->device;
    if (device->lost)
        return sto_fail(err, STO_ERR_DEVICE_LOST, "%s was lost: close it and open it again", device->snapshot.name);
    const VkResult result = sto_hand_over(device, true, t->batches + first, t->figures + first, n);
    device->queue_stats.submits++;
    return result == VK_SUCCESS ? STO_OK : sto_device_fail(device, err, result, "submitting transfers");
}

/* Recording of command buffers.
 *
 *   begin -> opening barrier -> [barrier?] dispatch | copy | fill ... -> closing barrier -> finish
 *              (everything earlier on the queue)       cut at the work bound      (to the host)
 *
 * Barriers are global memory barriers: drivers do not use the ranges of buffer barriers. */
#include "runtime/vk/recorder.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/vk/recorder_impl.h"

static const VkPipelineStageFlags2 all_stages =
    VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_TRANSFER_BIT | VK_PIPELINE_STAGE_2_DRAW_INDIRECT_BIT;
static const VkAccessFlags2 all_writes = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT;
static const VkAccessFlags2 all_accesses = VK_ACCESS_2_SHADER_STORAGE_READ_BIT | VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT |
                                           VK_ACCESS_2_TRANSFER_READ_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT |
                                           VK_ACCESS_2_INDIRECT_COMMAND_READ_BIT;

static VkAccessFlags2 writes_of(VkPipelineStageFlags2 stages)
{
    return ((stages & VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT) != 0 ? VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT : 0) |
           ((stages & VK_PIPELINE_STAGE_2_TRANSFER_BIT) != 0 ? VK_ACCESS_2_TRANSFER_WRITE_BIT : 0);
}

/* ---- errors that stick ---- */

static void fail(struct sto_recording *rec, enum sto_status status, const struct sto_error *error)
{
    if (rec->status != STO_OK)
        return;
    rec->status = status;
    rec->error = *error;
}

static void fail_vk(struct sto_recording *rec, VkResult result, const char *what)
{
    struct sto_error error;
    const enum sto_status status = sto_device_fail(rec->device, &error, result, what);
    fail(rec, status, &error);
}

static void fail_text(struct sto_recording *rec, enum sto_status status, const char *what, const char *why)
{
    struct sto_error error;
    (void)sto_fail(&error, status, "%s: %s", what, why);
    fail(rec, status, &error);
}

void sto_recording_fail(struct sto_recording *rec, const char *why)
{
    assert(rec == NULL && "an operation was given impossible shapes");
    fail_text(rec, STO_ERR_FAILED, "recording", why);
}

/* ---- creation ---- */

enum sto_status sto_recording_create(struct sto_device *device, struct sto_recording **out, struct sto_error *err)
{
    *out = NULL;
    struct sto_recording *rec = sto_calloc(1, sizeof *rec);
    if (rec == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for a recording");
    rec->device = device;
    enum sto_status status = STO_OK;
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .queueFamilyIndex = device->plan.compute_family};
    VkResult result = device->vk.vkCreateCommandPool(device->handle, &pool, NULL, &rec->pool);
    if (result == VK_SUCCESS && device->has_timestamps) {
        const VkQueryPoolCreateInfo queries = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                               .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                               .queryCount = 2 + 2 * STO_TIMED_BATCHES};
        result = device->vk.vkCreateQueryPool(device->handle, &queries, NULL, &rec->queries);
    }
    if (result != VK_SUCCESS) {
        status = sto_device_fail(device, err, result, "creating a recording");
        goto fail;
    }
    *out = rec;
    return STO_OK;
fail:
    sto_recording_destroy(rec);
    return status;
}

void sto_recording_destroy(struct sto_recording *rec)
{
    if (rec == NULL)
        return;
    struct sto_device *device = rec->device;
    sto_queue_forget(rec);
    if (rec->queries != VK_NULL_HANDLE)
        device->vk.vkDestroyQueryPool(device->handle, rec->queries, NULL);
    if (rec->pool != VK_NULL_HANDLE)
        device->vk.vkDestroyCommandPool(device->handle, rec->pool, NULL);
    sto_hazards_destroy(&rec->hazards);
    sto_free(rec->buffers);
    sto_free(rec->buffer_infos);
    sto_free(rec->batches);
    sto_free(rec->syncs);
    sto_free(rec->spans);
    sto_free(rec->figures);
    sto_free(rec);
}

/* ---- command buffers ---- */

static bool grow(struct sto_recording *rec)
{
    const uint32_t capacity = rec->capacity > 0 ? 2 * rec->capacity : 8;
    VkCommandBuffer *buffers = sto_realloc(rec->buffers, capacity, sizeof *buffers);
    if (buffers != NULL)
        rec->buffers = buffers;
    VkCommandBufferSubmitInfo *infos = sto_realloc(rec->buffer_infos, capacity, sizeof *infos);
    if (infos != NULL)
        rec->buffer_infos = infos;
    VkSubmitInfo2 *batches = sto_realloc(rec->batches, capacity, sizeof *batches);
    if (batches != NULL)
        rec->batches = batches;
    struct sto_batch_sync *syncs = sto_realloc(rec->syncs, capacity, sizeof *syncs);
    if (syncs != NULL)
        rec->syncs = syncs;
    struct sto_span_ns *spans = sto_realloc(rec->spans, capacity, sizeof *spans);
    if (spans != NULL)
        rec->spans = spans;
    struct sto_batch_figures *figures = sto_realloc(rec->figures, capacity, sizeof *figures);
    if (figures != NULL)
        rec->figures = figures;
    if (buffers == NULL || infos == NULL || batches == NULL || syncs == NULL || spans == NULL || figures == NULL)
        return false;
    rec->capacity = capacity;
    return true;
}

static VkCommandBuffer current(const struct sto_recording *rec)
{
    return rec->buffers[rec->n_buffers - 1];
}

static void put_barrier(struct sto_recording *rec, const VkMemoryBarrier2 *barrier)
{
    const VkDependencyInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO, .memoryBarrierCount = 1, .pMemoryBarriers = barrier};
    rec->device->vk.vkCmdPipelineBarrier2(current(rec), &info);
}

static void write_time(struct sto_recording *rec, VkPipelineStageFlags2 stage, uint32_t query)
{
    if (rec->queries != VK_NULL_HANDLE)
        rec->device->vk.vkCmdWriteTimestamp2(current(rec), stage, rec->queries, query);
}

static VkSemaphoreSubmitInfo semaphore_info(VkSemaphore semaphore)
{
    return (VkSemaphoreSubmitInfo){.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
                                   .semaphore = semaphore,
                                   .stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT};
}

/* The open batch waits for what was asked for. The host may have written what it waits for. */
static void take_wait(struct sto_recording *rec)
{
    struct sto_batch_sync *sync = &rec->syncs[rec->n_buffers - 1];
    if (rec->waits_for == NULL)
        return;
    sync->wait = semaphore_info(rec->waits_for->handle);
    sync->wait_value = rec->wait_value;
    sync->n_waits = 1;
    rec->waits_for = NULL;
    put_barrier(rec, &(VkMemoryBarrier2){.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
                                         .srcStageMask = VK_PIPELINE_STAGE_2_HOST_BIT,
                                         .srcAccessMask = VK_ACCESS_2_HOST_WRITE_BIT,
                                         .dstStageMask = all_stages,
                                         .dstAccessMask = all_accesses});
}

/* Opens the next command buffer. */
static void open_buffer(struct sto_recording *rec)
{
    struct sto_device *device = rec->device;
    if (rec->n_buffers == rec->capacity && !grow(rec)) {
        fail_text(rec, STO_ERR_NO_FIT, "recording", "out of memory");
        return;
    }
    if (rec->n_buffers == rec->n_allocated) {
        const VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                  .commandPool = rec->pool,
                                                  .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                  .commandBufferCount = 1};
        const VkResult result =
            device->vk.vkAllocateCommandBuffers(device->handle, &info, &rec->buffers[rec->n_allocated]);
        if (result != VK_SUCCESS) {
            fail_vk(rec, result, "allocating a command buffer");
            return;
        }
        rec->n_allocated++;
    }
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    const VkResult result = device->vk.vkBeginCommandBuffer(rec->buffers[rec->n_buffers], &begin);
    if (result != VK_SUCCESS) {
        fail_vk(rec, result, "beginning a command buffer");
        return;
    }
    rec->syncs[rec->n_buffers] = (struct sto_batch_sync){0};
    rec->figures[rec->n_buffers] = (struct sto_batch_figures){0};
    rec->n_buffers++;
    rec->bound = VK_NULL_HANDLE;
    rec->batch_work = 0;
    rec->open = rec->empty = true;
    if (rec->queries != VK_NULL_HANDLE && rec->n_buffers == 1)
        device->vk.vkCmdResetQueryPool(current(rec), rec->queries, 0, 2 + 2 * STO_TIMED_BATCHES);
    if (rec->n_buffers <= STO_TIMED_BATCHES)
        write_time(rec, VK_PIPELINE_STAGE_2_NONE, 2 * rec->n_buffers);
    take_wait(rec);
}

static void close_buffer(struct sto_recording *rec)
{
    if (!rec->open)
        return;
    rec->open = false;
    const VkResult result = rec->device->vk.vkEndCommandBuffer(current(rec));
    if (result != VK_SUCCESS)
        fail_vk(rec, result, "ending a command buffer");
}

/* Closes the command buffer of a whole batch. */
static void end_batch(struct sto_recording *rec)
{
    const uint32_t batch = rec->n_buffers - 1;
    if (batch < STO_TIMED_BATCHES) {
        write_time(rec, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, 3 + 2 * batch);
        rec->timed_work[batch] = rec->batch_work;
    }
    close_buffer(rec);
}

/* ---- begin and finish ---- */

void sto_recording_begin(struct sto_recording *rec)
{
    struct sto_device *device = rec->device;
    sto_queue_forget(rec);
    rec->status = STO_OK;
    rec->finished = false;
    rec->stats = (struct sto_recording_stats){0};
    rec->work = 0;
    rec->stages = 0;
    rec->n_buffers = rec->n_waits = 0;
    rec->waits_for = NULL;
    rec->open = false;
    sto_hazards_clear(&rec->hazards);
    const VkResult result = device->vk.vkResetCommandPool(device->handle, rec->pool, 0);
    if (result != VK_SUCCESS)
        fail_vk(rec, result, "resetting a recording");
    else
        open_buffer(rec);
    if (rec->status != STO_OK)
        return;
    write_time(rec, VK_PIPELINE_STAGE_2_NONE, 0);
    /* Whatever was submitted before: what it wrote is seen here, and what it reads is not overwritten too early. */
    put_barrier(rec, &(VkMemoryBarrier2){.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
                                         .srcStageMask = all_stages,
                                         .srcAccessMask = all_writes,
                                         .dstStageMask = all_stages,
                                         .dstAccessMask = all_accesses});
}

enum sto_status sto_recording_finish(struct sto_recording *rec, struct sto_error *err)
{
    struct sto_device *device = rec->device;
    if (rec->status == STO_OK && !rec->open)
        open_buffer(rec);
    if (rec->status == STO_OK) {
        put_barrier(rec, &(VkMemoryBarrier2){.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
                                             .srcStageMask = all_stages,
                                             .srcAccessMask = all_writes,
                                             .dstStageMask = VK_PIPELINE_STAGE_2_HOST_BIT,
                                             .dstAccessMask = VK_ACCESS_2_HOST_READ_BIT});
        write_time(rec, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, 1);
        end_batch(rec);
    }
    close_buffer(rec);
    if (rec->status != STO_OK) {
        if (err != NULL)
            *err = rec->error;
        return rec->status;
    }
    struct sto_batch_sync *last = &rec->syncs[rec->n_buffers - 1];
    last->signals[last->n_signals++] = semaphore_info(device->timeline);
    for (uint32_t i = 0; i < rec->n_buffers; i++) {
        struct sto_batch_sync *sync = &rec->syncs[i];
        rec->buffer_infos[i] = (VkCommandBufferSubmitInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
                                                           .commandBuffer = rec->buffers[i]};
        rec->batches[i] = (VkSubmitInfo2){.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
                                          .waitSemaphoreInfoCount = sync->n_waits,
                                          .pWaitSemaphoreInfos = &sync->wait,
                                          .commandBufferInfoCount = 1,
                                          .pCommandBufferInfos = &rec->buffer_infos[i],
                                          .signalSemaphoreInfoCount = sync->n_signals,
                                          .pSignalSemaphoreInfos = sync->signals};
    }
    rec->stats.waits = rec->n_waits;
    rec->stats.command_buffers = rec->n_buffers;
    rec->finished = true;
    return STO_OK;
}

/* ---- commands ---- */

void sto_record_wait(struct sto_recording *rec, struct sto_timeline *timeline, uint64_t value)
{
    if (rec->status != STO_OK)
        return;
    assert(rec->waits_for == NULL && "two waits with nothing between them");
    rec->waits_for = timeline;
    rec->wait_value = value;
    rec->n_waits++;
    if (rec->open && rec->empty && rec->syncs[rec->n_buffers - 1].n_waits == 0)
        take_wait(rec);
    else if (rec->open)
        end_batch(rec);
}

void sto_record_signal(struct sto_recording *rec, struct sto_timeline *timeline, uint64_t value)
{
    if (rec->status == STO_OK && !rec->open)
        open_buffer(rec);
    if (rec->status != STO_OK)
        return;
    struct sto_batch_sync *sync = &rec->syncs[rec->n_buffers - 1];
    sync->signals[sync->n_signals++] = semaphore_info(timeline->handle);
    sync->signal_value = value;
    end_batch(rec);
}

/* Opens a new command buffer when this one is full, and puts a barrier where these uses need one. Returns false when
 * the recording has failed. */
static bool prepare_command(struct sto_recording *rec, const struct sto_use *uses, uint32_t n, uint64_t work)
{
    if (rec->status != STO_OK)
        return false;
    if (rec->open && rec->batch_work > 0 && rec->batch_work + work > rec->device->work_bound)
        end_batch(rec);
    if (rec->status == STO_OK && !rec->open)
        open_buffer(rec);
    if (rec->status != STO_OK)
        return false;
    if (sto_hazards_conflict(&rec->hazards, uses, n)) {
        put_barrier(rec, &(VkMemoryBarrier2){.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
                                             .srcStageMask = rec->stages,
                                             .srcAccessMask = writes_of(rec->stages),
                                             .dstStageMask = all_stages,
                                             .dstAccessMask = all_accesses});
        sto_hazards_clear(&rec->hazards);
        rec->stages = 0;
        rec->stats.barriers++;
    }
    if (!sto_hazards_add(&rec->hazards, uses, n)) {
        fail_text(rec, STO_ERR_NO_FIT, "recording", "out of memory");
        return false;
    }
    rec->empty = false;
    rec->batch_work += work;
    rec->work += work;
    return true;
}

void sto_record_uses(struct sto_recording *rec, const struct sto_use *uses, uint32_t n)
{
    (void)prepare_command(rec, uses, n, 0);
}

static bool check_dispatch(struct sto_recording *rec, const struct sto_dispatch *d, const struct sto_kernel_info *info)
{
    const uint32_t *limit = rec->device->snapshot.max_workgroup_count;
    if (d->n_uses > STO_MAX_USES || (d->args == NULL && info->args_bytes > 0)) {
        fail_text(rec, STO_ERR_FAILED, info->name, "too many uses, or no arguments");
        return false;
    }
    if (d->indirect != NULL) {
        if (d->indirect_offset % 4 == 0 && d->indirect_offset + 12 <= d->indirect->bytes)
            return true;
        fail_text(rec, STO_ERR_FAILED, info->name, "group counts outside of their buffer");
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (d->groups[i] > limit[i]) {
            char why[96];
            (void)snprintf(why, sizeof why, "%u workgroups in dimension %d, of which the device allows %u",
                           (unsigned)d->groups[i], i, (unsigned)limit[i]);
            fail_text(rec, STO_ERR_FAILED, info->name, why);
            return false;
        }
    }
    return true;
}

static void put_dispatch(struct sto_recording *rec, const struct sto_dispatch *d, const struct sto_kernel_info *info,
                         VkPipeline pipeline)
{
    struct sto_device *device = rec->device;
    const VkCommandBuffer cmd = current(rec);
    if (pipeline != rec->bound) {
        device->vk.vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
        rec->bound = pipeline;
    }
    if (info->args_bytes > 0)
        device->vk.vkCmdPushConstants(cmd, device->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, info->args_bytes, d->args);
    if (d->indirect != NULL) {
        uint64_t base;
        const VkBuffer buffer = sto_buffer_handle(d->indirect, &base);
        device->vk.vkCmdDispatchIndirect(cmd, buffer, base + d->indirect_offset);
    } else {
        device->vk.vkCmdDispatch(cmd, d->groups[0], d->groups[1], d->groups[2]);
    }
}

void sto_record_dispatch(struct sto_recording *rec, const struct sto_dispatch *d)
{
    struct sto_device *device = rec->device;
    if (rec->status != STO_OK)
        return;
    const struct sto_kernel_info *info = sto_kernel_get(d->kernel);
    if (!check_dispatch(rec, d, info))
        return;
    if (d->indirect == NULL && (d->groups[0] == 0 || d->groups[1] == 0 || d->groups[2] == 0))
        return;
    struct sto_use uses[STO_MAX_USES + 1];
    uint32_t n = d->n_uses;
    if (n > 0)
        memcpy(uses, d->uses, n * sizeof *uses);
    if (d->indirect != NULL)
        uses[n++] = (struct sto_use){d->indirect->address + d->indirect_offset, 12, STO_READ};

    VkPipeline pipeline = VK_NULL_HANDLE;
    struct sto_error error;
    const bool runs = sto_device_runs(device);
    const enum sto_status status = runs ? sto_pipeline_get(device, d->kernel, d->tuning, &pipeline, &error) : STO_OK;
    if (status != STO_OK) {
        fail(rec, status, &error);
        return;
    }
    if (!prepare_command(rec, uses, n, sto_work_units(d->flops, d->bytes_moved)))
        return;
    if (runs)
        put_dispatch(rec, d, info, pipeline);
    rec->stages |= VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT;
    rec->stages |= d->indirect != NULL ? VK_PIPELINE_STAGE_2_DRAW_INDIRECT_BIT : 0;
    sto_figure_kernel(device, &rec->figures[rec->n_buffers - 1], info->weight != STO_TYPE_COUNT,
                      d->once_bytes > 0 ? d->once_bytes : d->bytes_moved, d->flops);
    rec->stats.dispatches++;
    rec->stats.flops += d->flops;
    rec->stats.bytes_moved += d->bytes_moved;
}

static bool inside(const struct sto_buffer *buffer, uint64_t offset, uint64_t bytes)
{
    return offset <= buffer->bytes && bytes <= buffer->bytes - offset;
}

void sto_record_copy(struct sto_recording *rec, const struct sto_buffer *dst, uint64_t dst_offset,
                     const struct sto_buffer *src, uint64_t src_offset, uint64_t bytes)
{
    if (bytes == 0 || rec->status != STO_OK)
        return;
    if (!inside(dst, dst_offset, bytes) || !inside(src, src_offset, bytes)) {
        fail_text(rec, STO_ERR_FAILED, "copy", "outside of a buffer");
        return;
    }
    const struct sto_use uses[] = {{src->address + src_offset, bytes, STO_READ},
                                   {dst->address + dst_offset, bytes, STO_WRITE}};
    if (!prepare_command(rec, uses, 2, sto_work_units(0, 2 * bytes)))
        return;
    uint64_t dst_base, src_base;
    const VkBuffer to = sto_buffer_handle(dst, &dst_base);
    const VkBuffer from = sto_buffer_handle(src, &src_base);
    const VkBufferCopy region = {src_base + src_offset, dst_base + dst_offset, bytes};
    rec->device->vk.vkCmdCopyBuffer(current(rec), from, to, 1, &region);
    sto_figure_copy(rec->device, &rec->figures[rec->n_buffers - 1], sto_buffer_memory(dst), sto_buffer_memory(src),
                    bytes);
    rec->stages |= VK_PIPELINE_STAGE_2_TRANSFER_BIT;
    rec->stats.bytes_moved += 2 * bytes;
}

void sto_record_fill(struct sto_recording *rec, const struct sto_buffer *dst, uint64_t offset, uint64_t bytes,
                     uint32_t value)
{
    if (bytes == 0 || rec->status != STO_OK)
        return;
    if (!inside(dst, offset, bytes) || offset % 4 != 0 || bytes % 4 != 0) {
        fail_text(rec, STO_ERR_FAILED, "fill", "outside of a buffer, or not a multiple of 4 bytes");
        return;
    }
    const struct sto_use use = {dst->address + offset, bytes, STO_WRITE};
    if (!prepare_command(rec, &use, 1, sto_work_units(0, bytes)))
        return;
    uint64_t base;
    const VkBuffer to = sto_buffer_handle(dst, &base);
    rec->device->vk.vkCmdFillBuffer(current(rec), to, base + offset, bytes, value);
    sto_figure_kernel(rec->device, &rec->figures[rec->n_buffers - 1], false, bytes, 0);
    rec->stages |= VK_PIPELINE_STAGE_2_TRANSFER_BIT;
    rec->stats.bytes_moved += bytes;
}

/* ---- figures ---- */

void sto_recording_get_stats(const struct sto_recording *rec, struct sto_recording_stats *out)
{
    *out = rec->stats;
}

uint64_t sto_recording_time_ns(const struct sto_recording *rec)
{
    return rec->time_ns;
}

uint32_t sto_recording_spans(const struct sto_recording *rec, const struct sto_span_ns **spans)
{
    *spans = rec->spans;
    return rec->n_spans;
}

struct sto_device *sto_recording_device(const struct sto_recording *rec)
{
    return rec->device;
}

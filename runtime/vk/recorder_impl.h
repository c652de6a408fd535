/* What a recording is made of. Internal to runtime/vk: recorder.c fills it, queue.c submits it. */
#ifndef STO_VK_RECORDER_IMPL_H
#define STO_VK_RECORDER_IMPL_H

#include "runtime/vk/device_impl.h"
#include "runtime/vk/recorder.h"

enum { STO_TIMED_BATCHES = 62 }; /* of a recording: what lies behind is timed as a whole */

struct sto_recording {
    struct sto_device *device;
    VkCommandPool pool;
    VkQueryPool queries; /* timestamps: 0 beginning, 1 end, 2 + i end of batch i; none where the queue has no clock */

    /* Each command buffer is a submission batch of its own; [capacity] each, n_buffers in use. */
    VkCommandBuffer *buffers;
    VkCommandBufferSubmitInfo *buffer_infos;
    VkSubmitInfo2 *batches;
    uint32_t n_buffers, capacity, n_allocated;
    VkSemaphoreSubmitInfo signal;

    struct sto_hazards hazards;
    VkPipelineStageFlags2 stages; /* of the commands since the last barrier */
    VkPipeline bound;
    uint64_t batch_work;          /* in the open command buffer */
    uint64_t work;                /* in all                     */
    uint64_t timed_work[STO_TIMED_BATCHES]; /* of the batches that are timed one by one */
    bool open, finished;
    struct sto_recording_stats stats;
    enum sto_status status;       /* first failure since begin */
    struct sto_error error;

    /* queue.c */
    uint64_t ticket;              /* of the last submission; 0: never submitted */
    bool running;
    struct sto_recording *next_running;
    uint64_t time_ns;
};

/* Waits for the recording's last submission, and takes it off the device's list. */
void sto_queue_forget(struct sto_recording *rec);

#endif

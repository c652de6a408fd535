/* What a recording is made of. Internal to runtime/vk: recorder.c fills it, queue.c submits it. */
#ifndef STO_VK_RECORDER_IMPL_H
#define STO_VK_RECORDER_IMPL_H

#include "runtime/vk/device_impl.h"
#include "runtime/vk/recorder.h"

enum { STO_TIMED_BATCHES = 126 }; /* of a recording: what lies behind is timed as a whole */

struct sto_timeline {
    struct sto_device *device;
    VkSemaphore handle;
};

/* What a submission batch waits for and signals: values count from the base given at submission, but for the ticket. */
struct sto_batch_sync {
    VkSemaphoreSubmitInfo wait, signals[2]; /* the last batch's last signal is the ticket */
    uint64_t wait_value, signal_value;
    uint32_t n_waits, n_signals;
};

struct sto_recording {
    struct sto_device *device;
    VkCommandPool pool;
    /* Timestamps: 0 beginning, 1 end, 2 + 2i beginning of batch i, 3 + 2i its end; none where the queue has no clock */
    VkQueryPool queries;

    /* Each command buffer is a submission batch of its own; [capacity] each, n_buffers in use. */
    VkCommandBuffer *buffers;
    VkCommandBufferSubmitInfo *buffer_infos;
    VkSubmitInfo2 *batches;
    struct sto_batch_sync *syncs;
    struct sto_batch_figures *figures;
    uint32_t n_buffers, capacity, n_allocated;
    struct sto_timeline *waits_for; /* of the next batch; NULL: nothing */
    uint64_t wait_value;
    uint32_t n_waits;

    struct sto_hazards hazards;
    VkPipelineStageFlags2 stages; /* of the commands since the last barrier */
    VkPipeline bound;
    uint64_t batch_work;          /* in the open command buffer */
    uint64_t work;                /* in all                     */
    uint64_t timed_work[STO_TIMED_BATCHES]; /* of the batches that are timed one by one */
    bool open, finished;
    bool empty;                   /* the open command buffer has no commands yet */
    struct sto_recording_stats stats;
    enum sto_status status;       /* first failure since begin */
    struct sto_error error;

    /* queue.c */
    uint64_t ticket;              /* of the last submission; 0: never submitted */
    bool running;
    struct sto_recording *next_running;
    uint64_t time_ns;
    struct sto_span_ns *spans;    /* [capacity] of the batches timed last */
    uint32_t n_spans;
};

/* handover.c */
struct sto_span_ns sto_span_of(struct sto_sim_span span);

/* Waits for the recording's last submission, and takes it off the device's list. */
void sto_queue_forget(struct sto_recording *rec);

#endif

/* What a device is made of. Internal to runtime/vk: each part of it has its own .c file. */
#ifndef STO_VK_DEVICE_IMPL_H
#define STO_VK_DEVICE_IMPL_H

#include "runtime/base/log.h"
#include "runtime/base/os.h"
#include "runtime/vk/device.h"
#include "runtime/vk/instance.h"
#include "runtime/vk/simulator.h"

enum { STO_MEMORY_KINDS = 3 };

/* A piece of VkDeviceMemory with one VkBuffer over all of it (memory.c). */
struct sto_block {
    struct sto_block *next;
    VkDeviceMemory memory;
    VkBuffer buffer;
    uint64_t address, bytes, charged_bytes; /* charged: what the allocation took */
    uint8_t *mapped;
    enum sto_memory kind;
    bool shared;              /* small buffers live in it; else it belongs to one buffer */
    struct sto_span *free;    /* sorted by offset, never adjacent; shared blocks only    */
    uint32_t n_free, cap_free;
    uint32_t n_ranges;        /* in use; shared blocks only                              */
};

struct sto_span {
    uint64_t offset, bytes;
};

struct sto_buffer_impl {
    struct sto_block *block;
    uint64_t offset, bytes; /* in the block; bytes rounded up */
};

/* A pipeline with tuning other than the plan's. */
struct sto_tuned_pipeline {
    enum sto_kernel kernel;
    struct sto_tuning tuning;
    VkPipeline handle;
};

/* A moment on the queue's clock and on the host's (clock.c). */
struct sto_clock {
    bool calibrated;      /* the driver compares them */
    uint64_t ticks, host_ns;
    uint64_t compared_ns; /* when they were compared best; 0: never. Without calibration only */
};

struct sto_device {
    struct sto_instance *instance;
    struct sto_callbacks callbacks;
    struct sto_device_snapshot snapshot;
    struct sto_device_plan plan;
    struct sto_findings findings; /* applied to the plan */
    bool self_test;
    struct sto_simulated *simulated; /* in the place of the driver's queues; NULL: not simulated (handover.c) */
    char cache_dir[512];          /* "": nowhere */
    VkPhysicalDevice physical;
    VkDevice handle;
    struct VolkDeviceTable vk;
    struct sto_mutex *lock; /* blocks, pipelines */

    /* memory.c */
    struct sto_block *blocks;
    uint32_t n_allocations;
    _Atomic uint64_t bytes, peak_bytes;
    _Atomic uint64_t local_bytes, local_peak_bytes; /* of STO_MEMORY_DEVICE */

    /* pipelines.c */
    VkPipelineLayout layout;
    VkPipelineCache cache;
    char cache_path[1024]; /* "": pipelines are kept nowhere */
    uint64_t cache_loaded_sum; /* checksum of what was loaded; 0: nothing was */
    uint32_t n_made;           /* pipelines since the device was opened */
    VkPipeline pipelines[STO_KERNEL_ROWS]; /* with the plan's tuning; made on demand */
    struct sto_tuned_pipeline *tuned;
    uint32_t n_tuned, cap_tuned;

    /* queue.c */
    VkQueue queue, transfer_queue; /* the same one where there is no transfer queue */
    VkSemaphore timeline;
    uint64_t last_ticket; /* of what was submitted */
    struct sto_queue_stats queue_stats;
    atomic_bool lost;
    bool has_timestamps;
    struct sto_clock clock;
    uint64_t work_bound;        /* units of work that a command buffer may carry: see sto_device_work_bound  */
    double ns_per_work;         /* slowest seen lately; 0: nothing measured yet                               */
    struct sto_recording *running; /* submitted, and not yet seen to be complete                              */
};

/* sto_vk_fail, which also remembers that the device was lost. */
enum sto_status sto_device_fail(struct sto_device *device, struct sto_error *err, VkResult result, const char *what);

/* memory.c */
void sto_memory_destroy(struct sto_device *device);
/* *offset: where the buffer begins in the handle. */
VkBuffer sto_buffer_handle(const struct sto_buffer *buffer, uint64_t *offset);
enum sto_memory sto_buffer_memory(const struct sto_buffer *buffer);

/* clock.c */
void sto_clock_create(struct sto_device *device);
/* Takes a reading of the queue's clock, newer than all others, which the host saw at seen_ns or somewhat earlier. */
void sto_clock_compare(struct sto_device *device, uint64_t end_ticks, uint64_t seen_ns);
/* A reading that is no newer than the last comparison, on the clock of sto_now_ns. */
uint64_t sto_clock_host_ns(const struct sto_device *device, uint64_t ticks);
uint64_t sto_clock_between(const struct sto_device *device, uint64_t from, uint64_t to);

/* pipelines.c */
enum sto_status sto_pipelines_create(struct sto_device *device, struct sto_error *err);
void sto_pipelines_destroy(struct sto_device *device); /* writes the cache */
/* The kernel's pipeline, made now if need be. tuning NULL: the plan's. Any thread. */
enum sto_status sto_pipeline_get(struct sto_device *device, enum sto_kernel kernel, const struct sto_tuning *tuning,
                                 VkPipeline *out, struct sto_error *err);
/* A pipeline of one's own, to be destroyed by the caller; flags are added to its creation flags. */
enum sto_status sto_pipeline_make(struct sto_device *device, enum sto_kernel kernel, const struct sto_tuning *tuning,
                                  VkPipelineCreateFlags flags, VkPipeline *out, struct sto_error *err);

/* handover.c. What a batch holds, and when it ran, are looked at on simulated devices alone. */
struct sto_batch_figures {
    struct sto_sim_work work;
    struct sto_sim_span span;
};
/* What the plan is made from. */
void sto_simulated_snapshot(const struct sto_device_params *params, struct sto_device_snapshot *snapshot);
/* Once the VkDevice is there; changes the plan. Does nothing where no simulation is asked for. */
enum sto_status sto_simulated_create(struct sto_device *device, const struct sto_device_params *params,
                                     struct sto_error *err);
void sto_simulated_destroy(struct sto_device *device);
/* vkQueueSubmit2 to the compute or the transfer queue; batches and figures [n], which stay until these have ended. */
VkResult sto_hand_over(struct sto_device *device, bool transfers, const VkSubmitInfo2 *batches,
                       struct sto_batch_figures *figures, uint32_t n);
VkResult sto_semaphore_create(struct sto_device *device, VkSemaphore *out); /* a timeline, at 0 */
void sto_semaphore_destroy(struct sto_device *device, VkSemaphore semaphore);
VkResult sto_semaphore_signal(struct sto_device *device, VkSemaphore semaphore, uint64_t value);
VkResult sto_semaphore_wait(struct sto_device *device, VkSemaphore semaphore, uint64_t value);
VkResult sto_semaphore_value(struct sto_device *device, VkSemaphore semaphore, uint64_t *value);
/* Counts a command towards its batch. */
void sto_figure_kernel(const struct sto_device *device, struct sto_batch_figures *figures, bool product, uint64_t bytes,
                       uint64_t flops);
void sto_figure_copy(const struct sto_device *device, struct sto_batch_figures *figures, enum sto_memory to,
                     enum sto_memory from, uint64_t bytes);

/* queue.c */
enum sto_status sto_queue_create(struct sto_device *device, struct sto_error *err);
void sto_queue_destroy(struct sto_device *device);

#endif

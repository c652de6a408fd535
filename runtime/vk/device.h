/* One Vulkan device: buffers with addresses, and a queue with a timeline.
 *
 * No Vulkan type appears here; only runtime/vk/ includes volk. A device may be used from several threads for creating
 * and destroying buffers; recording and submitting belong to one thread at a time.
 *
 *   sto_device_open (strato.h) -> snapshot -> device plan -> VkDevice
 *   buffers -> recorder (recorder.h) -> sto_device_submit -> sto_device_wait */
#ifndef STO_VK_DEVICE_H
#define STO_VK_DEVICE_H

#include "runtime/vk/findings.h"

/* Lists what is there, in Vulkan's order, without creating a VkDevice. *snapshots is owned by the caller
 * (sto_free). No Vulkan loader or no device at all: STO_ERR_NO_DEVICE, with how to get one in the text. */
enum sto_status sto_devices_list(struct sto_device_snapshot **snapshots, uint32_t *n, struct sto_error *err);

const struct sto_device_snapshot *sto_device_get_snapshot(const struct sto_device *device);
const struct sto_device_plan *sto_device_get_plan(const struct sto_device *device);
const struct sto_callbacks *sto_device_get_callbacks(const struct sto_device *device);

/* What running kernels on this device has shown, as read from the cache folder when it was opened and learned since;
 * empty with params.no_self_test. */
const struct sto_findings *sto_device_get_findings(const struct sto_device *device);
/* Takes other findings over: the plan chooses kernels accordingly (constants stay as they are until the device is
 * opened again), and the cache folder keeps them; where it cannot be written that is a warning. Recordings keep the
 * kernels that they have. Not while another thread uses the device. */
void sto_device_learn(struct sto_device *device, const struct sto_findings *findings);
/* False with params.no_self_test, or without a folder to keep results in. */
bool sto_device_wants_self_test(const struct sto_device *device);

/* The clock that durations on this device are measured by: sto_now_ns, also of NULL, or that of a simulated device. */
uint64_t sto_device_now_ns(const struct sto_device *device);
/* What stands in the place of the device's queues (simulator.h); NULL, also of NULL: nothing does. */
struct sto_simulator;
struct sto_simulator *sto_device_simulator(const struct sto_device *device);
/* Of a simulated device: kernels are not run from here on (only) or are; recordings belong to the state that they were
 * made in. Returns the state before. Does nothing on other devices. */
bool sto_device_simulate_only(struct sto_device *device, bool only);
/* False: what is recorded is never run, and needs no pipelines. */
bool sto_device_runs(const struct sto_device *device);

/* ---- buffers ---- */

enum sto_memory {
    STO_MEMORY_DEVICE,  /* for kernels; mapped where the plan says device_memory_mapped  */
    STO_MEMORY_UPLOAD,  /* written by the host, read by kernels                           */
    STO_MEMORY_READBACK, /* written by kernels, read by the host                          */
    STO_MEMORY_SHARED   /* of the host's, read and written by both; cached where there is that */
};

struct sto_buffer {
    uint64_t address; /* device address, 256-byte aligned; 0: no buffer     */
    uint64_t bytes;   /* as asked for                                       */
    void *mapped;     /* host address, coherent; NULL when not mapped       */
    struct sto_buffer_impl *impl;
};

/* Creates a buffer with a device address and memory of its own. STO_ERR_NO_FIT names `what` and the bytes. */
enum sto_status sto_buffer_create(struct sto_device *device, enum sto_memory memory, uint64_t bytes, const char *what,
                                  struct sto_buffer *out, struct sto_error *err);
void sto_buffer_destroy(struct sto_device *device, struct sto_buffer *buffer); /* accepts an empty one; empties it */

/* What the driver says of the heap that STO_MEMORY_DEVICE comes from, now. */
struct sto_heap_state {
    uint64_t heap_bytes, ours_bytes;   /* ours: what this library holds of all kinds                       */
    uint64_t budget_bytes, used_bytes; /* of this process, by VK_EXT_memory_budget; 0: it does not say      */
};
void sto_device_heap_state(struct sto_device *device, struct sto_heap_state *out);
/* Where the device is on the PCI bus: domain, bus, device, function. False: it does not say. */
bool sto_device_pci_address(const struct sto_device *device, uint32_t address[4]);

/* Device memory that may be used now: budget where the driver reports one (clamped to the heap), less what is in
 * use. */
uint64_t sto_device_free_bytes(struct sto_device *device);

/* ---- host to device ---- */

/* Copies host bytes into a buffer: straight where it is mapped, else through a staging ring whose copies run while
 * the caller prepares the next. sto_upload_finish waits for all of them. Not for the decode path. */
struct sto_uploader;
enum sto_status sto_uploader_create(struct sto_device *device, struct sto_uploader **out, struct sto_error *err);
enum sto_status sto_upload(struct sto_uploader *up, const struct sto_buffer *dst, uint64_t offset, const void *src,
                           uint64_t bytes, struct sto_error *err);
enum sto_status sto_upload_finish(struct sto_uploader *up, struct sto_error *err);
void sto_uploader_destroy(struct sto_uploader *up);

/* Waits for all that was submitted, then reads bytes back; for tests and tools. */
enum sto_status sto_download(struct sto_device *device, const struct sto_buffer *src, uint64_t offset, void *dst,
                             uint64_t bytes, struct sto_error *err);

/* ---- pipelines ---- */

/* Makes the pipelines of these kernels now, on several threads; without it each is made at its first use. progress
 * ("kernels") goes to the device's callbacks. */
enum sto_status sto_device_prepare(struct sto_device *device, const enum sto_kernel *kernels, uint32_t n,
                                   struct sto_error *err);

/* What a driver's compiler says of a kernel: registers, spills, occupancy, as the driver names them. */
enum { STO_MAX_KERNEL_STATS = 48 };
struct sto_kernel_stats {
    uint32_t n;
    struct {
        char name[96];
        double value;
    } items[STO_MAX_KERNEL_STATS];
};

/* Compiles a kernel with this tuning (NULL: the plan's) and fills in statistics. Where the driver has none (it lacks
 * VK_KHR_pipeline_executable_properties) n is 0; a kernel that does not compile is an error. */
enum sto_status sto_device_kernel_stats(struct sto_device *device, enum sto_kernel kernel,
                                        const struct sto_tuning *tuning, struct sto_kernel_stats *out,
                                        struct sto_error *err);

/* ---- the queue ---- */

struct sto_recording;

/* Submits a finished recording (recorder.h), which may be submitted again once this one has completed. One
 * vkQueueSubmit2 call. *ticket is a value of the device's timeline. Allocates nothing of ours. */
enum sto_status sto_device_submit(struct sto_device *device, struct sto_recording *recording, uint64_t *ticket,
                                  struct sto_error *err);
/* The same for a recording that waits for timelines and signals them. */
struct sto_pass {
    uint64_t base; /* values that it waits for and signals count from here */
    /* Called before what waits for the value (base included) is handed over; each wait begins a vkQueueSubmit2 call of
     * its own then. NULL: all go in one. For queues where what is waited for must be submitted first. */
    enum sto_status (*before_wait)(void *user, uint64_t value, struct sto_error *err);
    void *user;
};
enum sto_status sto_device_submit_pass(struct sto_device *device, struct sto_recording *recording,
                                       const struct sto_pass *pass, uint64_t *ticket, struct sto_error *err);
/* Waits until the timeline has reached ticket. STO_ERR_DEVICE_LOST when it never will. */
enum sto_status sto_device_wait(struct sto_device *device, uint64_t ticket, struct sto_error *err);

/* True once any call has said that the device was lost. Any thread. */
bool sto_device_is_lost(const struct sto_device *device);
/* Waits until nothing runs on the device any more; on one that was lost, until the driver says so. */
void sto_device_settle(struct sto_device *device);

/* What went through the queue since the device was opened: vkQueueSubmit2 calls, the host's time in these and in
 * waiting for the timeline and reading timestamps, and the longest submission batch by the queue's clock (0: none was
 * timed; steps that run while others are queued are not). */
struct sto_queue_stats {
    uint64_t submits, submit_ns, wait_ns, longest_batch_ns;
};
void sto_device_get_queue_stats(const struct sto_device *device, struct sto_queue_stats *out);
/* Looks for the longest batch anew from here on. */
void sto_device_restart_longest_batch(struct sto_device *device);

/* What a command buffer may carry, in the units of sto_work_units: large dispatches are split so that each stays
 * below. Adapts to measured time. */
uint64_t sto_device_work_bound(const struct sto_device *device);
/* Estimated work: a byte moved weighs as much as a few operations, so that memory-bound kernels count. */
static inline uint64_t sto_work_units(uint64_t flops, uint64_t bytes_moved)
{
    return flops + 8 * bytes_moved;
}

/* Errors that the validation layers reported since the device was opened; 0 without params.validation. */
uint32_t sto_device_validation_errors(const struct sto_device *device);
/* True when params.validation was asked for and the layer is at work. */
bool sto_device_validates(const struct sto_device *device);

#endif

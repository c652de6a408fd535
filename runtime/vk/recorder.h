/* Recording: a list of dispatches that derives its own barriers.
 *
 * Every dispatch declares the address ranges that it reads and writes. The recorder keeps the ranges touched since the
 * last barrier and puts one in front of a dispatch that reads or overwrites what was written, or overwrites what was
 * read. Kernels that do not depend on each other therefore overlap.
 *
 * A recording is cut into command buffers so that none carries more than the device's bound of estimated work (a
 * driver's watchdog never fires); all of them go to the queue in one submit call, and a recording can be submitted
 * again and again: what changes from step to step lies in memory.
 *
 * Errors stick: after the first, further calls do nothing and sto_recording_finish returns it. */
#ifndef STO_VK_RECORDER_H
#define STO_VK_RECORDER_H

#include "runtime/vk/device.h"
#include "runtime/vk/hazard.h" /* struct sto_use: the address ranges a command reads and writes */
#include "runtime/vk/timeline.h"

enum { STO_MAX_USES = 16, STO_MAX_ARGS_BYTES = 128 };

struct sto_dispatch {
    enum sto_kernel kernel;
    const struct sto_tuning *tuning;  /* NULL: the plan's                                                   */
    const void *args;                 /* the kernel's argument struct, copied; args_bytes of the kernel table */
    uint32_t groups[3];               /* workgroups; any number: the recorder splits nothing, kernels index 2D */
    const struct sto_buffer *indirect; /* groups come from 3 uint32 at indirect_offset instead; read implied */
    uint64_t indirect_offset;
    const struct sto_use *uses;
    uint32_t n_uses;                  /* <= STO_MAX_USES                                                    */
    uint64_t flops, bytes_moved;      /* estimates: for cutting, and for GB/s                               */
    uint64_t once_bytes;              /* of those, when what is read again comes from a cache; 0: all       */
};

struct sto_recording_stats {
    uint32_t dispatches, command_buffers; /* copies and fills are not dispatches */
    uint32_t waits;    /* for timelines                                      */
    uint32_t barriers; /* between commands; the ones that open and close a recording are not counted */
    uint64_t flops, bytes_moved;
};

/* A recording can be begun again after finish and completion of its last submission; its memory is kept. */
enum sto_status sto_recording_create(struct sto_device *device, struct sto_recording **out, struct sto_error *err);
void sto_recording_destroy(struct sto_recording *rec);
void sto_recording_begin(struct sto_recording *rec);
void sto_record_dispatch(struct sto_recording *rec, const struct sto_dispatch *dispatch);
void sto_record_copy(struct sto_recording *rec, const struct sto_buffer *dst, uint64_t dst_offset,
                     const struct sto_buffer *src, uint64_t src_offset, uint64_t bytes);
void sto_record_fill(struct sto_recording *rec, const struct sto_buffer *dst, uint64_t offset, uint64_t bytes,
                     uint32_t value); /* offset and bytes are multiples of 4 */
/* The next command also uses these ranges: one stands for memory that kernels find through a table. */
void sto_record_uses(struct sto_recording *rec, const struct sto_use *uses, uint32_t n);
/* What is recorded from here on begins when the timeline has reached base + value, where base is given at submission
 * (sto_device_submit_pass): a submission batch of its own begins here. */
void sto_record_wait(struct sto_recording *rec, struct sto_timeline *timeline, uint64_t value);
/* Raises the timeline to base + value when all that was recorded so far has completed: a submission batch ends here. */
void sto_record_signal(struct sto_recording *rec, struct sto_timeline *timeline, uint64_t value);
/* Makes what was written visible to the host, once waited for. */
enum sto_status sto_recording_finish(struct sto_recording *rec, struct sto_error *err);
void sto_recording_get_stats(const struct sto_recording *rec, struct sto_recording_stats *out);
/* Time that the last submission seen to be complete (by sto_device_wait) took on the device; 0: unknown, as when others
 * were still running then. */
uint64_t sto_recording_time_ns(const struct sto_recording *rec);
/* Likewise, when each of its submission batches ran: what is between two waits, signals, or cuts at the work bound.
 * Times are those of sto_now_ns, as exactly as the driver lets the two clocks be compared. Returns how many there are;
 * *spans is valid until the recording is submitted or begun again. */
struct sto_span_ns {
    uint64_t begin_ns, end_ns;
};
uint32_t sto_recording_spans(const struct sto_recording *rec, const struct sto_span_ns **spans);
struct sto_device *sto_recording_device(const struct sto_recording *rec);
/* Fails the recording from an operation that was given impossible shapes (our own bug: asserts in debug builds). */
void sto_recording_fail(struct sto_recording *rec, const char *why);

#endif

/* Copies between buffers on a queue beside the compute queue: recorded once, submitted again and again.
 *
 * They run on the transfer queue of the device plan; where there is none, on the compute queue, whose order then holds.
 * One thread at a time. */
#ifndef STO_VK_TRANSFERS_H
#define STO_VK_TRANSFERS_H

#include "runtime/vk/timeline.h"

struct sto_transfers;

struct sto_transfer_copy {
    const struct sto_buffer *dst, *src;
    uint64_t dst_offset, src_offset, bytes;
};

/* Room for n transfers, each of which is yet to be recorded. */
enum sto_status sto_transfers_create(struct sto_device *device, uint32_t n, struct sto_transfers **out,
                                     struct sto_error *err);
/* Accepts NULL. What was submitted must have completed. */
void sto_transfers_destroy(struct sto_transfers *transfers);
/* Transfer i is these copies, which do not touch each other. It cannot be recorded again. */
enum sto_status sto_transfers_record(struct sto_transfers *transfers, uint32_t i,
                                     const struct sto_transfer_copy *copies, uint32_t n_copies, struct sto_error *err);

/* A timeline and the value that transfer i waits for, or raises it to. */
struct sto_transfer_sync {
    struct sto_timeline *timeline;
    uint64_t value;
};
/* What transfer i does before and after, from its next submission on: two of each; a value of 0 is none. */
void sto_transfers_sync(struct sto_transfers *transfers, uint32_t i, const struct sto_transfer_sync waits[2],
                        const struct sto_transfer_sync signals[2]);
/* One vkQueueSubmit2 call for transfers first to first + n - 1. Earlier submissions of theirs may still run. */
enum sto_status sto_transfers_submit(struct sto_transfers *transfers, uint32_t first, uint32_t n,
                                     struct sto_error *err);

#endif

/* Random weights made on the device: no file, and no copy on the host.
 *
 * A block of a weight format is random bits but for one field, its scales: there, bits are fixed so that the weights
 * have mean 0 and the deviation asked for, and activations stay finite. sto_random_bytes gives on the host, bit for
 * bit, what the kernel writes. */
#ifndef STO_RANDOM_FILL_H
#define STO_RANDOM_FILL_H

#include "runtime/vk/recorder.h"

/* Of every block_bytes bytes, those from field_at on are masked: (random & keep) | set, little-endian. */
struct sto_random_block {
    uint32_t block_bytes;
    uint32_t field_at, field_bytes; /* field_bytes 0 to 4 */
    uint32_t keep, set;
};

/* Blocks of a weight format whose elements have mean 0 and this standard deviation (within 1 %; F32, F16 and BF16
 * within 15 %, MXFP4 within a factor of 1.5: their scales are coarse). */
struct sto_random_block sto_random_block_make(enum sto_type type, float deviation);
/* Bits without any field. */
struct sto_random_block sto_random_block_plain(void);

/* dst [n] = bytes [first, first + n) of the blocks with this seed; first a multiple of 16. Any thread. */
void sto_random_bytes(const struct sto_random_block *block, uint64_t seed, uint64_t first, uint8_t *dst, size_t n);

/* Fills bytes of a buffer on the device, from offset (a multiple of 16) on, and waits. rec is used for it; bytes at
 * most 4 GiB. */
enum sto_status sto_random_fill(struct sto_recording *rec, const struct sto_buffer *dst, uint64_t offset,
                                uint64_t bytes, const struct sto_random_block *block, uint64_t seed,
                                struct sto_error *err);

#endif

/* Staging of the copy engine: what the device cannot read where it lies goes through a few buffers that it can.
 *
 *   memory, or the reader  --fill-->  [buffer 0][buffer 1]  --the device copies-->  a slot of the ring
 *
 * The chunks of all pieces that need it are numbered through, 1, 2, ..., like transfers (copy.h), with two timelines:
 * `filled` reaches a chunk's number when it is in its buffer, which is number % buffers; `drained` when it has been
 * copied on. Each piece begins at the first buffer, so that a recorded copy always reads the same one: the numbers
 * that this leaves out count as drained with the last chunk of the piece. */
#ifndef STO_COPY_STAGE_H
#define STO_COPY_STAGE_H

#include "runtime/base/os.h"
#include "runtime/copy.h"

struct sto_stage;

struct sto_stage_params {
    struct sto_device *device;
    const struct sto_copy_piece *pieces; /* [n_pieces]; must outlive it */
    uint32_t n_pieces;
    uint64_t chunk_bytes;
    uint32_t n_buffers;                  /* >= 1 */
    struct sto_mutex *lock;              /* held while the host signals, and for the stage's own */
    /* Brings bytes [at, at + bytes) of transfer t's piece to dst. */
    void (*fetch)(void *user, uint64_t t, uint64_t at, uint64_t bytes, uint8_t *dst);
    void *user;
};

/* A chunk of a piece: where its copy reads, and its numbers, which count from the round's beginning. */
struct sto_stage_chunk {
    const struct sto_buffer *buffer;
    uint64_t at, bytes;
    uint64_t filled, drained;
};

enum sto_status sto_stage_create(const struct sto_stage_params *params, struct sto_stage **out,
                                 struct sto_error *err);
/* Accepts NULL. Copies must have ended. */
void sto_stage_destroy(struct sto_stage *stage);

/* Chunks of piece i; 0: it does not go through here. */
uint32_t sto_stage_count(const struct sto_stage *stage, uint32_t i);
struct sto_stage_chunk sto_stage_chunk(const struct sto_stage *stage, uint32_t i, uint32_t chunk);
/* Numbers of a round of all pieces: what those of the next count from. */
uint64_t sto_stage_round(const struct sto_stage *stage);
struct sto_timeline *sto_stage_filled(const struct sto_stage *stage);
struct sto_timeline *sto_stage_drained(const struct sto_stage *stage);

/* Fills from now on, as buffers become free, on a thread of its own. False: none could be started. */
bool sto_stage_start(struct sto_stage *stage);
/* Without a thread: fills all that transfers up to t need, whose copies have been handed over. */
void sto_stage_fill(struct sto_stage *stage, uint64_t t);
/* Says that the copies of transfers up to t have been handed over: the thread waits for no others. */
void sto_stage_handed(struct sto_stage *stage, uint64_t t);
/* Ends the thread. Where the device was lost, what still waits to be filled is let go. */
void sto_stage_stop(struct sto_stage *stage);

#endif

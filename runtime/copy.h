/* The copy engine: brings the weights of streamed layers into a ring of device slabs, ahead of their use.
 *
 * Every pass uses the same pieces in the same order, so transfers are numbered through: t = 1, 2, ... brings
 * piece (t - 1) % n_pieces to slot (t - 1) % n_slots, from pass to pass without a break. Two timelines count them:
 *
 *   copies    |-- t = 3 --|-- t = 4 --|     |-- t = 5 --|         t begins when used >= t - n_slots
 *   compute        |-- uses 2 --|-- uses 3 --|-- uses 4 --|       its use of t begins when arrived >= t
 *
 * so that a step waits only for bytes that are not there yet, and the next step's first come while this one ends. A
 * pass may be handed over in several recordings, one after the other: between them, the next pieces come as far as
 * there are slots for them.
 * Where kernels find a piece is said in the piece table, which the engine keeps up to date.
 *
 * Three bodies:
 *   transfer   copies on a queue of their own, from host memory that the device reads
 *   host       a thread that writes to device memory, where that is mapped
 *   queue      copies recorded among the kernels: no overlap, but works everywhere
 * Pieces that the device cannot read where they lie go through staging in the first and the last (copy_stage.h). Where
 * no thread can be started, the one that hands a pass over does such a thread's work before it goes on.
 *
 * A piece that cannot be read does not stop what was handed over: the pass ends, and sto_copy_check says what failed.
 *
 * An engine's passes and this belong to one thread at a time. */
#ifndef STO_COPY_H
#define STO_COPY_H

#include "runtime/reader.h"
#include "runtime/trace.h"
#include "runtime/vk/recorder.h"

struct sto_copy;

struct sto_copy_piece {
    const struct sto_buffer *source; /* memory that the device reads; or without an address: ordinary memory; without
                                        a map too: bytes alone, and the reader has them           */
    const struct sto_buffer *slot;   /* where copies among the kernels bring it, as the table says; one of slots */
    uint32_t index;                  /* in the piece table                                 */
    uint32_t layer;                  /* for the trace                                      */
};

struct sto_copy_params {
    struct sto_device *device;
    enum sto_copy_body body;             /* not STO_COPY_AUTO: what sto_copy_choose chose                        */
    const struct sto_copy_piece *pieces; /* [n_pieces] in the order of their use; copied                         */
    uint32_t n_pieces;                   /* >= 1                                                                 */
    const struct sto_buffer *slots;      /* [n_slots] device memory, each for the largest piece                  */
    uint32_t n_slots;                    /* 1 to n_pieces                                                        */
    const struct sto_buffer *table;      /* uint64 addresses of pieces                                           */
    struct sto_trace *trace;             /* NULL: none                                                           */
    uint64_t chunk_bytes;                /* of staging and of the reader's chunks; matters where there are any   */
    uint32_t staging_chunks;             /* buffers of staging; 0: no piece needs it                             */
    struct sto_reader *reader;           /* gives pieces that lie nowhere, in order, in chunks; NULL: none       */
    bool paused;                         /* as after sto_copy_pause                                              */
};

/* The body for this device: transfer where it has such a queue, else host where device memory is mapped, else queue.
 * STO_ERR_USAGE: `wanted` cannot be had; there is always the queue. */
enum sto_status sto_copy_choose(const struct sto_device_plan *plan, enum sto_copy_body wanted,
                                enum sto_copy_body *body, struct sto_error *err);

/* Begins to copy at once, unless it is paused: sources are filled before. They, slots, table, trace and reader must
 * outlive it. */
enum sto_status sto_copy_create(const struct sto_copy_params *params, struct sto_copy **out, struct sto_error *err);
/* Accepts NULL. Waits for copies that are under way; passes must have completed. */
void sto_copy_destroy(struct sto_copy *copy);
/* Of a device that was lost: lets go all that waits for copies which will not come. Accepts NULL. */
void sto_copy_let_go(struct sto_copy *copy);

/* Records around the kernels that read piece i of the list; once each, in order, in the recordings of a pass. */
void sto_copy_record_begin(struct sto_copy *copy, struct sto_recording *rec, uint32_t i);
void sto_copy_record_end(struct sto_copy *copy, struct sto_recording *rec, uint32_t i);

/* sto_device_submit for such recordings, and lets the copies for what follows begin. Nothing is allocated. */
enum sto_status sto_copy_submit(struct sto_copy *copy, struct sto_recording *rec, uint64_t *ticket,
                                struct sto_error *err);
/* For a pass that was waited for: an error where a piece of it (or of another that was handed over and not checked)
 * could not be read, so that its results are worth nothing. The next pass tries again. */
enum sto_status sto_copy_check(struct sto_copy *copy, struct sto_error *err);
/* A pass of which some recordings were handed over will not be completed: the next one begins at the first piece. */
void sto_copy_abandon(struct sto_copy *copy);
/* Leaves slots and table to another engine: waits for passes that were handed over and for copies that came for the
 * next one, which are forgotten. The next pass brings its first pieces itself. Not with staging, nor with a reader. */
void sto_copy_pause(struct sto_copy *copy);

#endif

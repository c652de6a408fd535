/* Where the weights of streamed layers wait for their copies: a pure function of sizes, tested by table.
 *
 *   pinned   in host memory that the device reads                           copied straight from there
 *   plain    in ordinary memory                                             through staging, where the device copies
 *   disk     in the model's file, read in every pass                        through a read-ahead buffer, then likewise
 *
 *   host memory = pinned layers + staging (pinned) + plain layers + read-ahead
 *
 * Passes use the layers in the same order again and again. A cache that drops what was used longest ago would drop each
 * layer just before its next use; so a fixed part stays in memory and the others are always read. Those are spread
 * evenly, so that the disk works while layers between them are copied and computed.
 *
 * Where the processor computes some of the layers too, and the order changes with the phase, all of them lie where they
 * are copied from: pinned, or where the processor copies, plain. */
#ifndef STO_SOURCES_H
#define STO_SOURCES_H

#include "runtime/strato.h"

/* Room that suffices for any layers, all of them on disk. */
enum { STO_SOURCES_LEAST_BYTES = 4 << 20 };

enum sto_source { STO_SOURCE_PINNED, STO_SOURCE_PLAIN, STO_SOURCE_DISK };

struct sto_sources_input {
    const uint64_t *layer_bytes; /* [n] streamed layers in the order of their use; each > 0                */
    uint32_t n;
    uint64_t room_bytes;         /* host memory for all of it                                              */
    uint64_t pinned_bytes;       /* of that, what may be pinned                                            */
    bool by_host;                /* the processor copies: nothing needs to be pinned                       */
    bool has_file;               /* layers can be read again                                               */
    bool in_place;               /* nothing may go through buffers                                         */
};

struct sto_sources {
    enum sto_source *sources;    /* [n], the caller's room                                                 */
    uint64_t pinned_bytes, plain_bytes, disk_bytes; /* of layers                                           */
    uint64_t chunk_bytes;        /* staging and read-ahead move so much at a time                          */
    uint32_t staging_chunks, ahead_chunks; /* 0: there is none                                             */
};

/* STO_ERR_NO_FIT: what is needed at least, what there is, and which option would make it fit. */
enum sto_status sto_sources_choose(const struct sto_sources_input *in, struct sto_sources *out, struct sto_error *err);
/* Host memory that all of it takes. */
uint64_t sto_sources_bytes(const struct sto_sources *sources);

#endif

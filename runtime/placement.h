/* Where the layers of a model live while it runs: a pure function of sizes, tested by table.
 *
 *   resident   a layer's weights stay in device memory
 *   stream     they stay in host memory, and are copied into a slot of a ring of device memory before each use
 *
 * Streamed layers share the ring's slots in turn: the i-th of them goes through slot i % ring_slots. */
#ifndef STO_PLACEMENT_H
#define STO_PLACEMENT_H

#include "runtime/strato.h"

struct sto_placement_input {
    const uint64_t *layer_bytes; /* [n_layers] each layer's weights as they lie in memory                        */
    uint32_t n_layers;
    const enum sto_lane *lanes;  /* [n_layers] given; NULL: as many resident as fit, those streamed evenly between */
    uint32_t ring_slots;         /* wanted; at least 1                                                          */
    uint64_t room_bytes;         /* device memory for resident layers and the ring                              */
};

struct sto_placement {
    enum sto_lane *lanes;        /* [n_layers], the caller's room */
    uint32_t n_streamed, ring_slots; /* ring_slots 0: nothing is streamed; never more than n_streamed */
    uint64_t slot_bytes;         /* the largest streamed layer */
    uint64_t resident_bytes, streamed_bytes;
};

/* Fewer slots than wanted are chosen where the wanted ones do not fit. STO_ERR_NO_FIT says what is needed and what
 * there is; STO_ERR_USAGE: a lane that there is no code for. */
enum sto_status sto_placement_make(const struct sto_placement_input *in, struct sto_placement *out,
                                   struct sto_error *err);
/* Device memory of resident layers and the ring. */
uint64_t sto_placement_device_bytes(const struct sto_placement *placement);

#endif

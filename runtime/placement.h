/* Where the layers of a model live while it runs: a pure function of sizes, tested by table.
 *
 *   resident   a layer's weights stay in device memory
 *   stream     they stay in host memory, and are copied into a slot of a ring of device memory before each use
 *   cpu        they stay in host memory, and the processor computes the layer, whose KV cache lies there too
 *   phased     as cpu while tokens are generated, as stream while prompts are read
 *
 * Streamed layers share the ring's slots in turn. */
#ifndef STO_PLACEMENT_H
#define STO_PLACEMENT_H

#include "runtime/strato.h"

/* What a pass is for: a token or a few, or many tokens of prompts. */
enum sto_phase { STO_PHASE_DECODE, STO_PHASE_PROMPT, STO_PHASES };
/* Resident, stream or cpu. */
enum sto_lane sto_lane_in(enum sto_lane lane, enum sto_phase phase);

struct sto_placement_input {
    const uint64_t *layer_bytes; /* [n_layers] each layer's weights as they lie in memory                        */
    uint32_t n_layers;
    const enum sto_lane *lanes;  /* [n_layers] given; NULL: as many resident as fit, those streamed evenly between */
    uint32_t ring_slots;         /* wanted; at least 1                                                          */
    uint64_t room_bytes;         /* device memory for resident layers and the ring                              */
};

struct sto_placement {
    enum sto_lane *lanes;        /* [n_layers], the caller's room */
    uint32_t n_streamed, n_cpu;  /* while tokens are generated */
    uint32_t n_phased;           /* of those on the processor  */
    uint32_t ring_slots;         /* 0: nothing is streamed; never more than n_streamed + n_phased */
    uint64_t slot_bytes;         /* the largest layer that is streamed, in either phase           */
    uint64_t resident_bytes, streamed_bytes, cpu_bytes, phased_bytes;
};

/* Fewer slots than wanted are chosen where the wanted ones do not fit. STO_ERR_NO_FIT says what is needed and what
 * there is; STO_ERR_USAGE: a lane that is none. */
enum sto_status sto_placement_make(const struct sto_placement_input *in, struct sto_placement *out,
                                   struct sto_error *err);
/* Device memory of resident layers and the ring. */
uint64_t sto_placement_device_bytes(const struct sto_placement *placement);

/* What a planner decides (host/planner.h), for an engine to carry out. A layer that is resident is so in both phases;
 * the others may, with STO_PLAN_PHASES, be streamed while prompts are read and computed on the processor while tokens
 * are generated. Then the layer's KV cache lies where it decodes. */
struct sto_plan {
    enum sto_lane *decode, *prefill; /* [n_layers], the caller's room                                            */
    enum sto_lane embedding;         /* resident; or cpu: rows are looked up on the host                         */
    enum sto_lane output;            /* resident; or stream: through the ring, in pieces                         */
    uint32_t ring_slots;             /* 0: nothing is streamed                                                   */
    uint64_t slot_bytes;
    uint32_t prompt_tokens;          /* passes of at least so many tokens are prompts; 0: both phases are the same */
};
/* Where layer l of a plan goes, in a word. */
enum sto_lane sto_plan_lane(const struct sto_plan *plan, uint32_t l);

/* What residency.c and those that it works with carry out of a plan: a planner uses nothing else. */
enum sto_plan_means {
    STO_PLAN_OVERLAP = 1,       /* copies run beside kernels                       */
    STO_PLAN_CPU = 2,           /* the processor computes layers                   */
    STO_PLAN_HOST_EMBEDDING = 4,
    STO_PLAN_STREAM_OUTPUT = 8,
    STO_PLAN_DISK = 16,         /* layers that do not fit in host memory are read from disk for each pass */
    STO_PLAN_PHASES = 32,       /* layers that decode on the processor are streamed while prompts are read */
    STO_PLAN_MEANS = /* those that there are */
        STO_PLAN_OVERLAP | STO_PLAN_CPU | STO_PLAN_HOST_EMBEDDING | STO_PLAN_DISK | STO_PLAN_PHASES
};

#endif

/* How long a pass takes, by the planner's model. Only host/plan*.c include this. */
#ifndef STO_PLAN_TIME_H
#define STO_PLAN_TIME_H

#include "host/planner.h"

/* One pass through everything, in order: layers, then the output matrix, in as many pieces as it would be streamed in.
 * A token, or a ubatch of a prompt, which needs no output. */
struct plan_phase {
    const struct sto_planner_input *in;
    uint32_t n_items, tokens;
    uint64_t *bytes;   /* [n_items] */
    double *device_s;  /* [n_items] on the device, wherever the weights come from                */
    double *cpu_s;     /* [n_items] on the processor                                             */
    double *copy_s;    /* [n_items] from pinned host memory to the device                        */
    double kv_copy_s;  /* a layer whose KV lies with the processor, computed on the device: both ways */
    double step_s, crossing_s, dram_s_per_byte, disk_s_per_byte;
    bool known, overlap;
    enum sto_plan_bind device_bind;
};

/* Lanes of a candidate. kv_on_host [n_layers] may be NULL: none. */
struct plan_lanes {
    const enum sto_lane *items; /* [n_items] */
    const bool *kv_on_host;
    uint32_t slots;
    uint64_t disk_bytes;
};

/* The formula alone: never more than plan_time says. */
double plan_time_bound(const struct plan_phase *phase, const struct plan_lanes *lanes, struct sto_prediction *out);
/* With the ring. */
void plan_time(const struct plan_phase *phase, const struct plan_lanes *lanes, struct sto_prediction *out);

#endif

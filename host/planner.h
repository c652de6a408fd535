/* The planner: which layer runs where, and how fast that will be. Pure: sizes, budgets and rates in; lanes, ring depth
 * and predicted tokens/s out. No device, no clock; tested by table and against brute force.
 *
 *   every split of the layers  ->  lanes in order  ->  fits?  ->  time of a pass  ->  the fastest at decoding,
 *   (how many streamed, on the                                    (plan_time.c)       then at reading prompts
 *   processor, in how many blocks,
 *   through how many slots)
 *
 * With R, S, C the resident, streamed and cpu bytes that a pass reads, B the rates and x the cost of a crossing,
 *
 *   t >= max((R + S) / B_device + C / B_cpu + crossings * x,   S / B_link,   (S + C) / B_dram,   disk bytes / B_disk)
 *
 * and what a ring of finite depth adds to that is found by letting copies and layers run after each other on paper.
 * A pass of a prompt takes the longer of arithmetic and reading for each layer. What the formula leaves out (launches,
 * the tail of a dispatch) is in the rates, as far as these were measured with real kernels. Any thread. */
#ifndef STO_PLANNER_H
#define STO_PLANNER_H

#include "runtime/placement.h"
#include "runtime/rates.h"

enum { STO_PLAN_MAX_RING = 8 };

struct sto_planner_input {
    const uint64_t *layer_bytes; /* [n_layers] weights of each                                              */
    uint32_t n_layers;
    uint64_t embedding_bytes;
    uint64_t output_bytes;       /* 0: the embedding is read as the output matrix                           */
    uint64_t fixed_bytes;        /* of the device beside weights and KV: scratch for this ubatch and context */
    uint64_t kv_bytes_per_token; /* all layers                                                              */
    double layer_flops;          /* of products, per token, all layers                                      */
    double attention_flops;      /* per token and token that it attends to, all layers                      */
    uint32_t ctx_tokens;         /* what KV is kept for                                                     */
    uint32_t depth_tokens;       /* tokens in the context when time is taken                                */
    uint32_t ubatch_tokens;      /* >= 1: prompt tokens of a pass                                           */
    uint64_t vram_bytes;
    uint64_t ram_bytes;          /* for weights and KV that are not on the device, and the next; 0: no bound */
    uint64_t pinned_bytes;       /* of that, what devices may read: streamed and phased layers and the KV cache of these
                                    must fit where there are phased ones; 0: no bound                       */
    uint64_t host_fixed_bytes;   /* of host memory beside weights and KV                                    */
    uint64_t host_cpu_bytes;     /* and besides, where any layer is on the processor                        */
    uint32_t ring_slots;         /* 0: the planner's choice; else so many, or fewer where fewer layers use it */
    uint32_t means;              /* of enum sto_plan_means; the cpu lane also needs its rate                */
    struct sto_rates rates;      /* vram (or product) and link must be known, the rest helps                */
};

/* What takes the longest. RING: layers wait for copies although the link rests at times: a deeper ring, or more even
 * lanes, would help. */
enum sto_plan_bind {
    STO_BIND_UNKNOWN, STO_BIND_DEVICE, STO_BIND_COMPUTE, STO_BIND_CPU, STO_BIND_LINK, STO_BIND_DRAM, STO_BIND_DISK,
    STO_BIND_COPIES, /* copies and kernels take turns, for want of STO_PLAN_OVERLAP */
    STO_BIND_RING, STO_BIND_COUNT
};
const char *sto_plan_bind_name(enum sto_plan_bind bind); /* "device memory", "link"; static storage */

struct sto_prediction {
    double seconds, tokens_per_s; /* of a pass; 0: a rate for it is not known          */
    double device_s, cpu_s, crossing_s, link_s, dram_s, disk_s; /* the formula's terms */
    uint32_t crossings;
    enum sto_plan_bind bind;
};

struct sto_plan_share {
    uint32_t layers;
    uint64_t bytes;
};

struct sto_plan_figures {
    struct sto_prediction decode, prefill;
    /* Layers alone. Decode's STO_LANE_PHASED: those of the processor's that are streamed for prompts. */
    struct sto_plan_share decode_lanes[STO_LANE_COUNT], prefill_lanes[STO_LANE_COUNT];
    uint64_t ring_bytes, kv_device_bytes, kv_host_bytes;
    uint64_t device_bytes; /* of the budget, all together       */
    uint64_t host_bytes;   /* likewise, of host memory          */
    uint64_t disk_bytes;   /* of the streamed ones, what is read from disk in each pass */
};

/* Fills in *plan, whose lanes are the caller's room, and *figures. STO_ERR_NO_FIT says which budget is short, what is
 * needed at least, and what there is. STO_ERR_USAGE: a rate that is needed is not known. */
enum sto_status sto_plan_make(const struct sto_planner_input *in, struct sto_plan *plan,
                              struct sto_plan_figures *figures, struct sto_error *err);

/* The figures of a plan that is given, whether it fits or not. Needs memory for a moment: STO_ERR_NO_FIT. */
enum sto_status sto_plan_predict(const struct sto_planner_input *in, const struct sto_plan *plan,
                                 struct sto_plan_figures *figures, struct sto_error *err);

/* Seconds of the three-lane roofline: the formula for `bytes` read in a pass, of which at most `resident` may lie on
 * the device, at the best split if layers could be cut anywhere. A lane is left out by a rate (link, cpu) of 0;
 * infinite: nothing can carry the rest. */
double sto_plan_roofline(const struct sto_rates *rates, double bytes, double resident);

#endif

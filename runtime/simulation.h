/* The figures of a device that is simulated (sto_device_params.simulation): how fast its memory, its link and its
 * arithmetic are, and what handing work over costs. Text from outside, in the grammar of runtime/rates.h. */
#ifndef STO_SIMULATION_H
#define STO_SIMULATION_H

#include "runtime/strato.h"

/* GB are 10^9 bytes. 0: takes no time, unless stated. */
struct sto_simulation {
    double vram_gb_per_s;        /* above 0                                                              */
    double product_gb_per_s;     /* weights of a product; 0: as vram                                     */
    double compute_tflop_per_s;  /* a product takes the longer of reading and arithmetic                 */
    double link_gb_per_s;        /* host to device; above 0                                              */
    double link_back_gb_per_s;   /* device to host; 0: as link                                           */
    double dram_gb_per_s;        /* the processor reads memory                                           */
    double dram_shared_gb_per_s; /* processor and link together, when both are at work; 0: as dram       */
    double cpu_gb_per_s;         /* the processor's products of one column; 0: there is no cpu lane      */
    double cpu_tflop_per_s;      /* of many columns                                                      */
    double crossing_us;          /* half of a handover that is awaited, with 16 KiB of activations each way */
    double submit_us;            /* of that, what the host spends in each call that hands work over      */
    double latency_us;           /* of each copy over the link, before its first byte                    */
    double jitter_percent;       /* each copy takes up to so much longer, at random                      */
    double seed;                 /* of that, a whole number                                              */
};

/* STO_ERR_USAGE as sto_rates_parse; also where vram or link is missing. `name` stands for the text in errors. */
enum sto_status sto_simulation_parse(const char *name, const char *text, size_t size, struct sto_simulation *out,
                                     struct sto_error *err);

#endif

/* Watching a GPU while it works: a thread reads its facts some times a second. */
#ifndef STO_CLI_GPU_SAMPLER_H
#define STO_CLI_GPU_SAMPLER_H

#include "host/cli/gpu_facts.h"

/* What was seen between begin and end. Of clocks, power and temperature 0: not known. */
struct sto_gpu_summary {
    uint32_t readings;
    double core_mhz_mean, core_mhz_min, core_mhz_max;
    double memory_mhz_mean, power_w_mean, power_w_max, temperature_c_max;
    double power_limit_w;
    double pcie_gt_per_s; /* the fastest seen: links slow down when idle */
    uint32_t pcie_lanes;
    bool limits_known;
    uint32_t limits;      /* all that were seen                          */
};

/* Adds a reading: pure, for tests. */
void sto_gpu_summary_add(struct sto_gpu_summary *summary, const struct sto_gpu_facts *facts);
/* Why the run is not one to average: "the GPU was too hot"; NULL: nothing held it back but its power limit. Static. */
const char *sto_gpu_summary_trouble(const struct sto_gpu_summary *summary);

struct sto_gpu_sampler;
/* Begins to read. source NULL, or no thread: NULL, and end gives nothing. */
struct sto_gpu_sampler *sto_gpu_sampler_begin(struct sto_gpu_source *source);
/* Takes a last reading and ends; accepts NULL. */
void sto_gpu_sampler_end(struct sto_gpu_sampler *sampler, struct sto_gpu_summary *out);

#endif

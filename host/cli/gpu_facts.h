/* What a GPU says of its own state: clocks, power, temperature, the PCIe link, and what holds it back.
 *
 *   NVML (NVIDIA's library, loaded when it is there)  ┐
 *   hwmon and sysfs (Linux: amdgpu, i915, xe, ...)    ┴-> facts, silently absent where neither knows
 *
 * A reading takes up to some milliseconds. One thread at a time. */
#ifndef STO_CLI_GPU_FACTS_H
#define STO_CLI_GPU_FACTS_H

#include <stdbool.h>
#include <stdint.h>

/* What holds clocks back. The power limit is how a card is meant to run; the others are trouble. */
enum sto_gpu_limit {
    STO_GPU_POWER_LIMIT = 1, /* at its power or current limit                                         */
    STO_GPU_TOO_HOT = 2,     /* slowed down because of temperature                                    */
    STO_GPU_BRAKED = 4       /* slowed down by the board: power brake, processor hot, hardware slowdown */
};

/* 0: not known. */
struct sto_gpu_facts {
    double core_mhz, memory_mhz;
    double power_w, power_limit_w, temperature_c;
    double pcie_gt_per_s, pcie_max_gt_per_s; /* per lane; links are slow when idle                     */
    uint32_t pcie_lanes, pcie_max_lanes;
    uint64_t vram_used_bytes, gtt_used_bytes; /* of all processes; gtt: system memory mapped for the GPU */
    bool limits_known;
    uint32_t limits;                          /* OR of enum sto_gpu_limit                              */
};

struct sto_gpu_facts_params {
    const char *sysfs;             /* "/sys"                              */
    const char *const *libraries;  /* names of NVML; ends with NULL       */
};

struct sto_gpu_source;

/* address: PCI domain, bus, device, function. params NULL: this machine's. NULL: nobody knows the device. */
struct sto_gpu_source *sto_gpu_facts_open(const uint32_t address[4], const struct sto_gpu_facts_params *params);
void sto_gpu_facts_close(struct sto_gpu_source *source); /* accepts NULL */
void sto_gpu_facts_read(struct sto_gpu_source *source, struct sto_gpu_facts *out);
/* "NVML 550.54.14", "amdgpu": where facts come from. */
const char *sto_gpu_facts_name(const struct sto_gpu_source *source);
/* Bandwidth that the memory's highest clock and its bus width make, in GB/s; 0: not known. */
double sto_gpu_facts_specified_gb_per_s(const struct sto_gpu_source *source);

/* ---- the two sources (gpu_nvml.c, gpu_sysfs.c) ---- */

struct sto_nvml;
struct sto_nvml *sto_nvml_open(const uint32_t address[4], const char *const *libraries);
void sto_nvml_close(struct sto_nvml *nvml);
void sto_nvml_read(struct sto_nvml *nvml, struct sto_gpu_facts *facts); /* fills in what it knows */
void sto_nvml_describe(struct sto_nvml *nvml, char *name, uint32_t size, double *specified_gb_per_s);

struct sto_sysfs_gpu;
struct sto_sysfs_gpu *sto_sysfs_open(const uint32_t address[4], const char *root);
void sto_sysfs_close(struct sto_sysfs_gpu *gpu);
void sto_sysfs_read(struct sto_sysfs_gpu *gpu, struct sto_gpu_facts *facts);
void sto_sysfs_describe(const struct sto_sysfs_gpu *gpu, char *name, uint32_t size);

#endif

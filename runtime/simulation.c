/* The table of what a simulation's text may say. */
#include "runtime/simulation.h"

#include <assert.h>

#include "runtime/base/status.h"
#include "runtime/rates.h"

#define AT(field) offsetof(struct sto_simulation, field)

static const struct sto_rate_info infos[] = {
    {"vram", "GB/s", "the device reads its memory", AT(vram_gb_per_s)},
    {"product", "GB/s", "the device's products of one column", AT(product_gb_per_s)},
    {"compute", "TFLOP/s", "the device's products of many columns", AT(compute_tflop_per_s)},
    {"link", "GB/s", "host to device", AT(link_gb_per_s)},
    {"link_back", "GB/s", "device to host", AT(link_back_gb_per_s)},
    {"dram", "GB/s", "the processor reads its memory", AT(dram_gb_per_s)},
    {"dram_shared", "GB/s", "processor and link together", AT(dram_shared_gb_per_s)},
    {"cpu", "GB/s", "the processor's products of one column", AT(cpu_gb_per_s)},
    {"cpu_compute", "TFLOP/s", "the processor's products of many columns", AT(cpu_tflop_per_s)},
    {"crossing", "us", "half of a handover with activations there and back", AT(crossing_us)},
    {"submit", "us", "a call that hands work over", AT(submit_us)},
    {"latency", "us", "of each copy", AT(latency_us)},
    {"jitter", "%", "copies take up to so much longer", AT(jitter_percent)},
    {"seed", "whole number", "of jitter", AT(seed)},
};
enum { N_INFOS = sizeof infos / sizeof *infos };
static_assert((int)N_INFOS <= (int)STO_MAX_NUMBERS, "sto_numbers_parse takes no more");

enum sto_status sto_simulation_parse(const char *name, const char *text, size_t size, struct sto_simulation *out,
                                     struct sto_error *err)
{
    const struct sto_number_table table = {infos, N_INFOS, sizeof *out};
    const enum sto_status status = sto_numbers_parse(&table, name, text, size, out, err);
    if (status != STO_OK || (out->vram_gb_per_s > 0 && out->link_gb_per_s > 0))
        return status;
    const char *missing = out->vram_gb_per_s > 0 ? "link" : "vram";
    *out = (struct sto_simulation){0};
    return sto_fail(err, STO_ERR_USAGE, "%s: '%s' must be given, and above 0: vram and link are what it rests on", name,
                    missing);
}

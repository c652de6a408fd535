/* Fuzzing of rates as text, also of those of a simulation: no crash, and what is read lies within its range. */
#include <stdint.h>
#include <stdlib.h>

#include "runtime/rates.h"
#include "runtime/simulation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(double value)
{
    if (!(value >= 0 && value <= 1e6))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sto_rates rates;
    struct sto_simulation figures;
    struct sto_rate_info info;
    struct sto_error err;
    if (sto_rates_parse("fuzz", (const char *)data, size, &rates, &err) == STO_OK) {
        for (size_t i = 0; sto_rate_at(i, &info); i++)
            check(sto_rate_get(&rates, i));
    }
    if (sto_simulation_parse("fuzz", (const char *)data, size, &figures, &err) == STO_OK) {
        check(figures.jitter_percent);
        check(figures.seed);
        if (!(figures.vram_gb_per_s > 0 && figures.link_gb_per_s > 0))
            abort();
    }
    return 0;
}

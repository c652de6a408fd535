/* Fuzzing of rates as text: no crash, and what is read lies within its range. */
#include <stdint.h>
#include <stdlib.h>

#include "runtime/rates.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sto_rates rates;
    struct sto_rate_info info;
    struct sto_error err;
    if (sto_rates_parse("fuzz", (const char *)data, size, &rates, &err) != STO_OK)
        return 0;
    for (size_t i = 0; sto_rate_at(i, &info); i++) {
        const double value = sto_rate_get(&rates, i);
        if (!(value >= 0 && value <= 1e6))
            abort();
    }
    return 0;
}

/* Two kernel cases side by side. */
#include "runtime/variants.h"

#include <math.h>

enum sto_status sto_variants_create(struct sto_device *device, uint32_t time_ms, struct sto_variants *out,
                                    struct sto_error *err)
{
    const bool cpu = sto_device_get_snapshot(device)->kind == STO_DEVICE_CPU;
    *out = (struct sto_variants){
        .device = device,
        .few = {.rows = cpu ? 1024 : 4096, .inputs = cpu ? 1024 : 4096, .columns = 1,
                .cold_bytes = (uint64_t)(cpu ? 64 : 128) << 20},
        .many = {.rows = cpu ? 512 : 4096, .inputs = cpu ? 1024 : 4096, .columns = cpu ? 32 : 256},
        .time_ms = time_ms,
    };
    return sto_stopwatch_create(device, cpu, &out->watch, err);
}

void sto_variants_destroy(struct sto_variants *v)
{
    sto_stopwatch_destroy(&v->watch);
}

enum sto_status sto_variants_race(struct sto_variants *v, const struct sto_contender contenders[2], bool many,
                                  double ns[2], struct sto_error *err)
{
    struct sto_kernel_case cases[2];
    struct sto_time times[2];
    uint32_t made = 0;
    enum sto_status status = STO_OK;
    for (; made < 2 && status == STO_OK; made += status == STO_OK)
        status = sto_kernel_case_create(v->device, contenders[made].kernel, many ? &v->many : &v->few,
                                        contenders[made].tuning, &cases[made], err);
    struct sto_kernel_case *const both[2] = {&cases[0], &cases[1]};
    if (status == STO_OK)
        status = sto_stopwatch_race(&v->watch, both, v->time_ms, times, err);
    for (uint32_t i = 0; i < 2 && status == STO_OK; i++) {
        double error = 0;
        status = sto_kernel_case_check(&cases[i], &error, err);
        ns[i] = error <= 1 ? times[i].ns : (double)INFINITY;
    }
    for (uint32_t i = 0; i < made; i++)
        sto_kernel_case_destroy(&cases[i]);
    return status;
}

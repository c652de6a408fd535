/* Races between kernels of one operation, or between constants of one kernel: which is faster on this device.
 *
 * Shapes are those of a middling model: one column, which reads weights from memory, and many, which multiplies.
 * The self-test and `strato tune` ask; runtime/vk/findings.h decides from the ratios. One thread. */
#ifndef STO_VARIANTS_H
#define STO_VARIANTS_H

#include "runtime/measure/stopwatch.h"

struct sto_variants {
    struct sto_device *device;
    struct sto_stopwatch watch;
    struct sto_kernel_shape few, many;
    uint32_t time_ms; /* of a race */
};

/* Processor time counts on CPU drivers, time passed on others. */
enum sto_status sto_variants_create(struct sto_device *device, uint32_t time_ms, struct sto_variants *out,
                                    struct sto_error *err);
void sto_variants_destroy(struct sto_variants *v);

struct sto_contender {
    enum sto_kernel kernel;          /* one that sto_kernel_case_known knows */
    const struct sto_tuning *tuning; /* NULL: the plan's                     */
};

/* Times of one operation; an answer that is wrong at this shape has the time INFINITY. */
enum sto_status sto_variants_race(struct sto_variants *v, const struct sto_contender contenders[2], bool many,
                                  double ns[2], struct sto_error *err);

#endif

/* How fast this device's memory is, measured: what tokens/s are held against. */
#ifndef STO_BANDWIDTH_H
#define STO_BANDWIDTH_H

#include "runtime/strato.h"

struct sto_bandwidth {
    double read_gb_per_s;  /* a kernel reads, and writes a sum per invocation, which counts    */
    double copy_gb_per_s;  /* bytes read plus bytes written, by the driver's copy or a kernel */
    double fill_gb_per_s;  /* the driver writes                                               */
    double best_gb_per_s;  /* the largest of these                                            */
    uint64_t bytes;        /* of each buffer: more than four times the last cache             */
    uint32_t passes;       /* of each kind; the fastest counts                                */
};

/* Takes about a second and two buffers, of 1 GiB or an eighth of what is free, whichever is less (on CPU drivers, whose
 * memory is the machine's, more than four times the processor's last cache). STO_ERR_NO_FIT when there is no room for
 * buffers of 1 MiB. */
enum sto_status sto_bandwidth_measure(struct sto_device *device, struct sto_bandwidth *out, struct sto_error *err);
/* The same, within a tenth of that time and with two buffers of at most 192 MiB: for rates, where a few per cent do not
 * matter. */
enum sto_status sto_bandwidth_glance(struct sto_device *device, struct sto_bandwidth *out, struct sto_error *err);

#endif

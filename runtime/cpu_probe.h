/* How fast the processor multiplies with weights of a format, on all its threads: for runtime/probe.h. */
#ifndef STO_CPU_PROBE_H
#define STO_CPU_PROBE_H

#include "runtime/strato.h"

/* Products of one column, GB/s of weights read from memory that no cache holds; and of many columns, TFLOP/s. Takes
 * some tens of milliseconds and STO_CPU_PROBE_BYTES of host memory for a moment. STO_ERR_NO_FIT: there is none. */
enum { STO_CPU_PROBE_BYTES = 128 << 20 };
enum sto_status sto_cpu_probe(enum sto_type type, double *gb_per_s, double *tflop_per_s, struct sto_error *err);

#endif

/* How long kernels take: one routine for bench/kernels, the self-test and `strato tune`.
 *
 * Operations are recorded several times into one submission, which is submitted again and again; a time is the median
 * of the submissions, over the operations in one. Two cases that are compared take turns, so that clocks which are
 * still rising, or another program, favour neither. One thread. */
#ifndef STO_MEASURE_STOPWATCH_H
#define STO_MEASURE_STOPWATCH_H

#include "runtime/measure/kernel_case.h"

struct sto_stopwatch {
    struct sto_device *device;
    struct sto_recording *recordings[2];
    bool cpu_time;                 /* processor time of all threads: for CPU drivers on a busy machine */
    double submit_ns, dispatch_ns; /* of an empty submission, of an empty dispatch in one; taken off   */
};

struct sto_time {
    double ns;     /* median, of one operation               */
    double spread; /* between the quartiles, over the median */
    uint32_t n;    /* submissions                            */
};

enum sto_status sto_stopwatch_create(struct sto_device *device, bool cpu_time, struct sto_stopwatch *out,
                                     struct sto_error *err);
void sto_stopwatch_destroy(struct sto_stopwatch *w); /* accepts a zeroed one */

/* Measures submit_ns and dispatch_ns, 0 until then. Takes half a second. */
enum sto_status sto_stopwatch_take_baseline(struct sto_stopwatch *w, struct sto_error *err);

/* Runs a case once, which makes its pipelines: then it can be checked. */
enum sto_status sto_stopwatch_warm(struct sto_stopwatch *w, struct sto_kernel_case *c, struct sto_error *err);
/* Times a case for about time_ms, five submissions at least. */
enum sto_status sto_stopwatch_time(struct sto_stopwatch *w, struct sto_kernel_case *c, uint32_t time_ms,
                                   struct sto_time *out, struct sto_error *err);
/* Times two cases in turns, for about time_ms together, five submissions of each at least. */
enum sto_status sto_stopwatch_race(struct sto_stopwatch *w, struct sto_kernel_case *const cases[2], uint32_t time_ms,
                                   struct sto_time out[2], struct sto_error *err);

#endif

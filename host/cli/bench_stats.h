/* Figures of a handful of samples. */
#ifndef STO_CLI_BENCH_STATS_H
#define STO_CLI_BENCH_STATS_H

#include <stddef.h>

struct sto_bench_stats {
    double mean, stddev;     /* stddev over n - 1; 0 for one sample       */
    double median, min, max; /* median: of two middle samples their mean  */
};

/* samples [n], n >= 1, in any order; sorts them in place. */
struct sto_bench_stats sto_bench_stats_of(double *samples, size_t n);

#endif

/* Mean, deviation, median, extremes. */
#include "host/cli/bench_stats.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct sto_bench_stats sto_bench_stats_of(double *samples, size_t n)
{
    struct sto_bench_stats s = {0};
    double squares = 0.0;
    qsort(samples, n, sizeof *samples, compare);
    for (size_t i = 0; i < n; i++)
        s.mean += samples[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (samples[i] - s.mean) * (samples[i] - s.mean);
    s.stddev = n > 1 ? sqrt(squares / (double)(n - 1)) : 0.0;
    s.median = (samples[(n - 1) / 2] + samples[n / 2]) / 2.0;
    s.min = samples[0];
    s.max = samples[n - 1];
    return s;
}

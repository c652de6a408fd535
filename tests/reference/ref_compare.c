/* Distances between answers; see the header. The functions on doubles are the definitions. */
#include "tests/reference/ref_compare.h"

#include <math.h>

/* Value i of whichever array is there. */
struct values {
    const double *d;
    const float *f;
};

static double at(struct values v, size_t i)
{
    return v.d != NULL ? v.d[i] : (double)v.f[i];
}

static double rel_error(struct values expected, struct values got, size_t n)
{
    double difference = 0, norm = 0;

    for (size_t i = 0; i < n; i++) {
        const double e = at(expected, i), g = at(got, i);
        if (!isfinite(e) || !isfinite(g))
            return (double)INFINITY;
        difference += (g - e) * (g - e);
        norm += e * e;
    }
    return difference == 0 ? 0 : sqrt(difference / norm);
}

static double max_abs_diff(struct values expected, struct values got, size_t n)
{
    double largest = 0;

    for (size_t i = 0; i < n; i++) {
        const double difference = fabs(at(got, i) - at(expected, i));
        if (!isfinite(difference))
            return (double)INFINITY;
        largest = fmax(largest, difference);
    }
    return largest;
}

/* log(sum(exp(v))) over n values from `first` on. */
static double log_sum_exp(struct values v, size_t first, size_t n)
{
    double top = -(double)INFINITY, sum = 0;

    for (size_t i = 0; i < n; i++)
        top = fmax(top, at(v, first + i));
    for (size_t i = 0; i < n; i++)
        sum += exp(at(v, first + i) - top);
    return top + log(sum);
}

static double mean_kl(struct values expected, struct values got, size_t n_rows, size_t n_vocab)
{
    double total = 0;

    for (size_t row = 0; row < n_rows; row++) {
        const size_t first = row * n_vocab;
        const double ze = log_sum_exp(expected, first, n_vocab), zg = log_sum_exp(got, first, n_vocab);
        for (size_t i = first; i < first + n_vocab; i++) {
            const double le = at(expected, i) - ze, lg = at(got, i) - zg;
            if (!isfinite(le) || !isfinite(lg))
                return (double)INFINITY;
            total += exp(le) * (le - lg);
        }
    }
    return n_rows == 0 ? 0 : total / (double)n_rows;
}

double sto_ref_rel_error(const double *expected, const float *got, size_t n)
{
    return rel_error((struct values){.d = expected}, (struct values){.f = got}, n);
}

double sto_ref_rel_error_f32(const float *expected, const float *got, size_t n)
{
    return rel_error((struct values){.f = expected}, (struct values){.f = got}, n);
}

double sto_ref_max_abs_diff(const double *expected, const float *got, size_t n)
{
    return max_abs_diff((struct values){.d = expected}, (struct values){.f = got}, n);
}

double sto_ref_max_abs_diff_f32(const float *expected, const float *got, size_t n)
{
    return max_abs_diff((struct values){.f = expected}, (struct values){.f = got}, n);
}

double sto_ref_mean_kl(const double *expected, const float *got, size_t n_rows, size_t n_vocab)
{
    return mean_kl((struct values){.d = expected}, (struct values){.f = got}, n_rows, n_vocab);
}

double sto_ref_mean_kl_f32(const float *expected, const float *got, size_t n_rows, size_t n_vocab)
{
    return mean_kl((struct values){.f = expected}, (struct values){.f = got}, n_rows, n_vocab);
}

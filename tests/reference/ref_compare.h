/* How far one answer is from another: the three numbers that every bound in the tests is about. Thread-safe. */
#ifndef STO_REF_COMPARE_H
#define STO_REF_COMPARE_H

#include <stddef.h>

/* ||got - expected|| / ||expected|| (Euclidean) over n values. Both zero: 0; expected alone zero: infinity. A NaN or
 * infinity in either gives infinity, so that a bound catches it. */
double sto_ref_rel_error(const double *expected, const float *got, size_t n);
/* The same between two arrays of float. */
double sto_ref_rel_error_f32(const float *expected, const float *got, size_t n);

/* Largest |got - expected|; infinity where either is not finite. */
double sto_ref_max_abs_diff(const double *expected, const float *got, size_t n);
double sto_ref_max_abs_diff_f32(const float *expected, const float *got, size_t n);

/* Mean over rows of KL(softmax(expected) || softmax(got)), in nats. Both [n_rows, n_vocab]. Infinity where a value is
 * not finite. */
double sto_ref_mean_kl(const double *expected, const float *got, size_t n_rows, size_t n_vocab);
double sto_ref_mean_kl_f32(const float *expected, const float *got, size_t n_rows, size_t n_vocab);

#endif

/* Comparing 8-bit activations with what they must stand for. */
#include "runtime/verify/verify.h"

#include <math.h>
#include <string.h>

#include "shaders/shared/args.h"

static const double ULP = 0x1p-23;

void sto_verify_compare_q8(struct sto_verifier *v, const struct sto_verify_compare *c)
{
    const uint32_t n = c->cols;
    uint8_t *copy = sto_verify_alloc(v, n + n / 32 * 8, 1);
    for (uint32_t r = 0; r < c->rows && sto_verify_ok(v); r++) {
        const uint64_t at = (uint64_t)r * Q8_COL_BYTES(n);
        memcpy(copy, (const uint8_t *)sto_verify_got(v, c->range) + at, n + n / 32 * 8);
        for (uint32_t b = 0; b < n / 32; b++) {
            double largest = 0, error = 0;
            float scales[2];
            int32_t sum = 0;
            memcpy(scales, copy + n + 8 * b, sizeof scales);
            for (uint32_t i = 32 * b; i < 32 * b + 32; i++) {
                largest = fmax(largest, fabs(c->want[(size_t)r * n + i]));
                error = fmax(error, c->bound * c->magnitude[(size_t)r * n + i]);
            }
            const double d = scales[0];
            for (uint32_t i = 32 * b; i < 32 * b + 32; i++) {
                const double want = c->want[(size_t)r * n + i];
                sum += (int8_t)copy[i];
                if (!(fabs(d * (int8_t)copy[i] - want) <= d * 0.5001 + error + 1e-28))
                    sto_verify_fail(v, "[%u, %u] is %d times %g, not %g", r, i, (int8_t)copy[i], d, want);
            }
            if (!(fabs(d - largest / 127) <= (error + largest * 4 * ULP) / 127 + 1e-30))
                sto_verify_fail(v, "the scale of [%u, %u] is %g, not %g", r, 32 * b, d, largest / 127);
            if (scales[1] != scales[0] * (float)sum)
                sto_verify_fail(v, "the sum of [%u, %u] is %g, not %g", r, 32 * b, (double)scales[1], d * sum);
        }
        sto_verify_compare_bytes(v, c->range, at, copy, n + n / 32 * 8);
    }
}

/* Plain loops in double; see the header. */
#include "tests/reference/ref_ops.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

void sto_ref_matmul(double *y, const struct sto_ref_matmul *a)
{
    for (size_t c = 0; c < a->n_cols; c++) {
        for (size_t r = 0; r < a->n_out; r++) {
            double sum = 0;
            for (size_t k = 0; k < a->n_in; k++)
                sum += a->w[r * a->n_in + k] * a->x[c * a->n_in + k];
            y[c * a->n_out + r] = sum + (a->bias != NULL ? a->bias[r] : 0);
        }
    }
}

void sto_ref_rmsnorm(double *y, const double *x, const double *g, size_t rows, size_t n, double eps)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        double squares = 0;
        for (size_t i = 0; i < n; i++)
            squares += x[i] * x[i];
        const double factor = 1 / sqrt(squares / (double)n + eps);
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] * factor * (g != NULL ? g[i] : 1);
    }
}

void sto_ref_layernorm(double *y, const double *x, const double *g, const double *b, size_t rows, size_t n, double eps)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < n; i++)
            mean += x[i] / (double)n;
        for (size_t i = 0; i < n; i++)
            variance += (x[i] - mean) * (x[i] - mean) / (double)n;
        for (size_t i = 0; i < n; i++)
            y[i] = (x[i] - mean) / sqrt(variance + eps) * (g != NULL ? g[i] : 1) + (b != NULL ? b[i] : 0);
    }
}

void sto_ref_softmax(double *x, size_t n)
{
    double top = -(double)INFINITY, sum = 0;

    for (size_t i = 0; i < n; i++)
        top = fmax(top, x[i]);
    for (size_t i = 0; i < n; i++)
        sum += x[i] = exp(x[i] - top);
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

/* YaRN (Peng et al. 2023, section 3.2). Over n_ctx_orig tokens pair i turns n_ctx_orig / (2 pi base^(2i / n_dims))
 * times; this is the (fractional) pair that turns `turns` times. */
static double pair_that_turns(const struct sto_ref_rope *rope, double turns)
{
    return (double)rope->n_dims * log(rope->n_ctx_orig / (turns * 2 * pi)) / (2 * log(rope->base));
}

/* How much of its unscaled angle pair i keeps: 1 for fast pairs, 0 for slow ones, a ramp between whose ends are whole
 * pairs, as the paper's own code and llama.cpp round them. */
static double share_unscaled(const struct sto_ref_rope *rope, size_t i)
{
    const double fast = fmax(0, floor(pair_that_turns(rope, rope->beta_fast)));
    const double slow = fmin((double)rope->n_dims - 1, ceil(pair_that_turns(rope, rope->beta_slow)));
    const double ramp = ((double)i - fast) / fmax(0.001, slow - fast);

    return rope->ext_factor * (1 - fmin(1, fmax(0, ramp)));
}

double sto_ref_rope_frequency(const struct sto_ref_rope *rope, size_t i)
{
    const double factor = rope->factors != NULL ? rope->factors[i] : 1;
    const double unscaled = pow(rope->base, -2.0 * (double)i / (double)rope->n_dims) / factor;
    const double kept = rope->ext_factor != 0 ? share_unscaled(rope, i) : 0;

    return unscaled * (rope->scale * (1 - kept) + kept);
}

double sto_ref_rope_magnitude(const struct sto_ref_rope *rope)
{
    return rope->attn_factor * (rope->ext_factor != 0 ? 1 + 0.1 * log(1 / rope->scale) : 1);
}

void sto_ref_rope(double *x, const struct sto_ref_rope *rope, double position)
{
    const double magnitude = sto_ref_rope_magnitude(rope);

    for (size_t i = 0; i < rope->n_dims / 2; i++) {
        const double angle = position * sto_ref_rope_frequency(rope, i);
        const double c = cos(angle) * magnitude, s = sin(angle) * magnitude;
        double *a = rope->pairs == STO_REF_ROPE_NORM ? x + 2 * i : x + i;
        double *b = rope->pairs == STO_REF_ROPE_NORM ? x + 2 * i + 1 : x + i + rope->n_dims / 2;
        const double old_a = *a, old_b = *b;
        *a = old_a * c - old_b * s;
        *b = old_a * s + old_b * c;
    }
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static bool sees(size_t position, size_t t, size_t window)
{
    return t <= position && (window == 0 || t + window > position);
}

void sto_ref_attention(double *o, double *scores, const struct sto_ref_attention *a)
{
    for (size_t i = 0; i < a->n_q; i++) {
        const size_t position = a->n_kv - a->n_q + i;
        for (size_t h = 0; h < a->n_heads; h++) {
            const size_t kv_head = h / (a->n_heads / a->n_kv_heads), row = (i * a->n_heads + h) * a->head_dim;
            for (size_t t = 0; t < a->n_kv; t++) {
                const double *k = a->k + (t * a->n_kv_heads + kv_head) * a->head_dim;
                const double score = a->scale * dot(a->q + row, k, a->head_dim);
                const double capped = a->softcap != 0 ? a->softcap * tanh(score / a->softcap) : score;
                scores[t] = sees(position, t, a->window) ? capped : -(double)INFINITY;
            }
            sto_ref_softmax(scores, a->n_kv);
            for (size_t e = 0; e < a->head_dim; e++) {
                double sum = 0;
                for (size_t t = 0; t < a->n_kv; t++)
                    sum += scores[t] * a->v[(t * a->n_kv_heads + kv_head) * a->head_dim + e];
                o[row + e] = sum;
            }
        }
    }
}

double sto_ref_silu(double x)
{
    return x / (1 + exp(-x));
}

double sto_ref_gelu(double x)
{
    return x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
}

double sto_ref_gelu_erf(double x)
{
    return x / 2 * (1 + erf(x / sqrt(2)));
}

void sto_ref_glu(double *y, const double *gate, const double *up, size_t n, double (*act)(double))
{
    for (size_t i = 0; i < n; i++)
        y[i] = act(gate[i]) * up[i];
}

void sto_ref_embed(double *y, const double *w, const uint32_t *tokens, size_t n_cols, size_t n)
{
    for (size_t c = 0; c < n_cols; c++)
        for (size_t i = 0; i < n; i++)
            y[c * n + i] = w[(size_t)tokens[c] * n + i];
}

size_t sto_ref_argmax(const double *x, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}

void sto_ref_quantize_q8(int8_t *q, double *d, const double *x, size_t n)
{
    for (size_t b = 0; b < n / 32; b++) {
        double amax = 0;
        for (size_t i = 32 * b; i < 32 * b + 32; i++)
            amax = fmax(amax, fabs(x[i]));
        d[b] = amax / 127;
        for (size_t i = 32 * b; i < 32 * b + 32; i++)
            q[i] = (int8_t)(amax > 0 ? rint(x[i] / amax * 127) : 0);
    }
}

/* The operations of a decoder, scalar and in double: one plain loop each, sums in index order.
 *
 * Shapes are [rows, cols], fastest last, contiguous. Pointers do not alias unless a line says so. Nothing fails,
 * nothing is checked: callers are tests. Thread-safe: there is no state. */
#ifndef STO_REF_OPS_H
#define STO_REF_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* y[c, r] = sum_k w[r, k] x[c, k] + bias[r] */
struct sto_ref_matmul {
    const double *w;    /* [n_out, n_in]          */
    const double *x;    /* [n_cols, n_in]         */
    const double *bias; /* [n_out], or NULL: none */
    size_t n_cols, n_in, n_out;
};
void sto_ref_matmul(double *y, const struct sto_ref_matmul *a);

/* y[r, i] = g[i] x[r, i] / sqrt(mean_i(x[r, i]^2) + eps). g NULL: ones. y may be x. (Zhang & Sennrich 2019) */
void sto_ref_rmsnorm(double *y, const double *x, const double *g, size_t rows, size_t n, double eps);
/* y[r, i] = g[i] (x[r, i] - mean) / sqrt(var + eps) + b[i], var over n. g NULL: ones, b NULL: zeros. y may be x. */
void sto_ref_layernorm(double *y, const double *x, const double *g, const double *b, size_t rows, size_t n, double eps);

/* x := softmax(x) over n values; values of -infinity get 0. */
void sto_ref_softmax(double *x, size_t n);

/* Rotary position embedding (Su et al. 2021) and its scalings. */
enum sto_ref_rope_pairs {
    STO_REF_ROPE_NORM, /* element 2i with 2i + 1, as in Llama files          */
    STO_REF_ROPE_NEOX  /* element i with i + n_dims / 2, as in Qwen files    */
};

struct sto_ref_rope {
    enum sto_ref_rope_pairs pairs;
    size_t n_dims;         /* how many of a head's elements rotate, even; the rest stay as they are                */
    double base;           /* "theta": 10000, 1e6, ...                                                             */
    const double *factors; /* [n_dims / 2] each pair's frequency is divided by this (Llama 3.1); NULL: ones        */
    double scale;          /* positions are multiplied by this: 1 / factor in linear and YaRN scaling, else 1      */
    double ext_factor;     /* YaRN: how far fast pairs keep their unscaled angle, 1; 0: no YaRN                    */
    double attn_factor;    /* cos and sin are multiplied by this, besides what YaRN multiplies them by itself; 1   */
    double beta_fast;      /* YaRN: pairs that turn more often than this over the original context keep theirs, 32 */
    double beta_slow;      /* YaRN: pairs that turn less often than this are scaled fully, 1                       */
    double n_ctx_orig;     /* YaRN: tokens of the context before it was extended                                   */
};

/* Radians per position of pair i < n_dims / 2, every scaling applied. */
double sto_ref_rope_frequency(const struct sto_ref_rope *rope, size_t i);
/* What cos and sin are multiplied by: attn_factor, times 1 + 0.1 ln(1 / scale) with YaRN. */
double sto_ref_rope_magnitude(const struct sto_ref_rope *rope);
/* Rotates one head, x [>= n_dims], in place for a position. */
void sto_ref_rope(double *x, const struct sto_ref_rope *rope, double position);

/* o[i, h, :] = sum_t p[t] v[t, h / group, :],  p = softmax over t of scale * q[i, h, :] . k[t, h / group, :]
 * where group = n_heads / n_kv_heads. Query i has position n_kv - n_q + i and sees keys t with t <= position and, with
 * a window, t > position - window. */
struct sto_ref_attention {
    const double *q; /* [n_q, n_heads, head_dim]     */
    const double *k; /* [n_kv, n_kv_heads, head_dim] */
    const double *v; /* [n_kv, n_kv_heads, head_dim] */
    size_t n_q, n_kv, n_heads, n_kv_heads, head_dim;
    double scale;   /* usually 1 / sqrt(head_dim)                        */
    double softcap; /* scores become softcap * tanh(score / softcap); 0: none */
    size_t window;  /* tokens, 0: none                                   */
};
/* o [n_q, n_heads, head_dim]; scores [n_kv] is scratch. */
void sto_ref_attention(double *o, double *scores, const struct sto_ref_attention *a);

double sto_ref_silu(double x); /* x / (1 + exp(-x))                                                              */
double sto_ref_gelu(double x); /* with tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks & Gimpel 2016) */
double sto_ref_gelu_erf(double x); /* exactly: x/2 (1 + erf(x / sqrt 2))                                         */

/* y[i] = act(gate[i]) * up[i]. y may be gate or up. */
void sto_ref_glu(double *y, const double *gate, const double *up, size_t n, double (*act)(double));

/* y[c, :] = w[tokens[c], :], w [n_vocab, n] */
void sto_ref_embed(double *y, const double *w, const uint32_t *tokens, size_t n_cols, size_t n);

/* The least index of a largest value; n >= 1. */
size_t sto_ref_argmax(const double *x, size_t n);

/* 8-bit activations: x in blocks of 32, d = amax / 127, q = x / d to nearest even (0 where d is 0).
 * q [n], d [n / 32]; n a multiple of 32. */
void sto_ref_quantize_q8(int8_t *q, double *d, const double *x, size_t n);

#endif

/* The forward pass of llama, qwen2 and qwen3.
 *
 *   x = embedding
 *   per layer:  h = rmsnorm(x)            q, k, v = h W (+ bias)      qwen3: q, k = rmsnorm per head
 *               q, k = rope(q, k)         x += attention(q, k, v) W_o
 *               h = rmsnorm(x)            x += (silu(h W_gate) * h W_up) W_down
 *   logits = rmsnorm(x) W_output, or the embedding's matrix where there is no output.weight
 *
 * What differs between the three families is how RoPE pairs elements; biases and head norms are used where the file has
 * them. */
#include "tests/reference/ref_model.h"

#include "models/gguf.h"
#include "runtime/base/mem.h"
#include "tests/reference/ref_formats.h"
#include "tests/reference/ref_ops.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct sto_ref_model {
    struct sto_gguf *gguf;
    char arch[16];
    uint32_t n_vocab, n_embd, n_layers, n_ff, n_heads, n_kv_heads, head_dim;
    double eps;
    struct sto_ref_rope rope;
    double *rope_factors; /* [rope.n_dims / 2] or NULL */
};

/* Activations of one pass over n tokens. */
struct pass {
    const struct sto_ref_model *m;
    size_t n;
    double *x;         /* [n, n_embd]               the residual stream */
    double *h;         /* [n, n_embd]               normalised          */
    double *q, *o;     /* [n, n_heads, head_dim]                        */
    double *k, *v;     /* [n, n_kv_heads, head_dim]                     */
    double *gate, *up; /* [n, n_ff]                                     */
    double *delta;     /* [n, n_embd]               added to x          */
    double *scores;    /* [n]                                           */
};

static double *new_doubles(size_t rows, size_t cols)
{
    return sto_calloc(rows, cols * sizeof(double));
}

/* A tensor of the file in double, to be freed: file dimensions {cols, rows}, or {cols} when rows is 1. */
static enum sto_status load(const struct sto_ref_model *m, const char *name, size_t rows, size_t cols, double **out,
                            struct sto_error *err)
{
    const struct sto_gguf_tensor *tensor = sto_gguf_find_tensor(m->gguf, name);

    if (tensor == NULL)
        return sto_fail(err, STO_ERR_MODEL, "%s: no tensor %s", sto_gguf_path(m->gguf), name);
    if (tensor->type == STO_TYPE_COUNT || sto_gguf_tensor_data(m->gguf, tensor) == NULL)
        return sto_fail(err, STO_ERR_MODEL, "%s: tensor %s has file type %u, or no data", sto_gguf_path(m->gguf), name,
                        tensor->file_type);
    if (tensor->dims[0] != cols || tensor->dims[1] != rows || tensor->dims[2] != 1 || tensor->dims[3] != 1)
        return sto_fail(err, STO_ERR_MODEL, "%s: tensor %s is not [%zu, %zu]", sto_gguf_path(m->gguf), name, rows,
                        cols);
    *out = new_doubles(rows, cols);
    if (*out == NULL)
        return sto_fail(err, STO_ERR_FAILED, "no memory for %s", name);
    sto_ref_decode(tensor->type, sto_gguf_tensor_data(m->gguf, tensor), *out, rows * cols);
    return STO_OK;
}

/* Scaling of positions: rope.scaling.type none, linear (also where only a factor is there) or yarn. */
static enum sto_status read_rope_scaling(struct sto_ref_model *m, struct sto_error *err)
{
    static const char *const keys[] = {"scaling.factor",           "scaling.attn_factor",    "scaling.yarn_ext_factor",
                                       "scaling.yarn_attn_factor", "scaling.yarn_beta_fast", "scaling.yarn_beta_slow"};
    float values[6] = {0, 1, 1, 1, 32, 1};
    struct sto_view type = {"linear", 6};
    uint32_t n_ctx_orig = 1;
    char key[96];
    enum sto_status status;

    snprintf(key, sizeof key, "%s.context_length", m->arch);
    if ((status = sto_gguf_need_u32(m->gguf, key, &n_ctx_orig, err)) != STO_OK)
        return status;
    snprintf(key, sizeof key, "%s.rope.scaling.original_context_length", m->arch);
    if ((status = sto_gguf_get_u32(m->gguf, key, &n_ctx_orig, err)) != STO_OK)
        return status;
    snprintf(key, sizeof key, "%s.rope.scaling.type", m->arch);
    if ((status = sto_gguf_get_string(m->gguf, key, &type, err)) != STO_OK)
        return status;
    /* An older name of the factor; the newer one below wins. */
    snprintf(key, sizeof key, "%s.rope.scale_linear", m->arch);
    if ((status = sto_gguf_get_f32(m->gguf, key, &values[0], err)) != STO_OK)
        return status;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        snprintf(key, sizeof key, "%s.rope.%s", m->arch, keys[i]);
        if ((status = sto_gguf_get_f32(m->gguf, key, &values[i], err)) != STO_OK)
            return status;
    }
    const bool yarn = sto_view_equals(type, "yarn"), linear = sto_view_equals(type, "linear");
    m->rope.scale = (yarn || linear) && values[0] != 0 ? 1 / (double)values[0] : 1;
    m->rope.attn_factor = (double)values[1] * (yarn ? (double)values[3] : 1);
    m->rope.ext_factor = yarn ? (double)values[2] : 0;
    m->rope.beta_fast = (double)values[4];
    m->rope.beta_slow = (double)values[5];
    m->rope.n_ctx_orig = (double)n_ctx_orig;
    return STO_OK;
}

static enum sto_status read_rope(struct sto_ref_model *m, struct sto_error *err)
{
    uint32_t n_dims = m->head_dim;
    float base = 10000;
    char key[96];
    enum sto_status status;

    snprintf(key, sizeof key, "%s.rope.dimension_count", m->arch);
    if ((status = sto_gguf_get_u32(m->gguf, key, &n_dims, err)) != STO_OK)
        return status;
    snprintf(key, sizeof key, "%s.rope.freq_base", m->arch);
    if ((status = sto_gguf_get_f32(m->gguf, key, &base, err)) != STO_OK)
        return status;
    if (n_dims > m->head_dim || n_dims % 2 != 0)
        return sto_fail(err, STO_ERR_MODEL, "%s: %u rotated dimensions in a head of %u", sto_gguf_path(m->gguf), n_dims,
                        m->head_dim);
    m->rope.pairs = strcmp(m->arch, "llama") == 0 ? STO_REF_ROPE_NORM : STO_REF_ROPE_NEOX;
    m->rope.n_dims = n_dims;
    m->rope.base = (double)base;
    if (sto_gguf_find_tensor(m->gguf, "rope_freqs.weight") != NULL) {
        if ((status = load(m, "rope_freqs.weight", 1, n_dims / 2, &m->rope_factors, err)) != STO_OK)
            return status;
        m->rope.factors = m->rope_factors;
    }
    return read_rope_scaling(m, err);
}

static enum sto_status read_shape(struct sto_ref_model *m, struct sto_error *err)
{
    const struct {
        const char *name;
        uint32_t *out;
        bool needed;
    } keys[] = {{"embedding_length", &m->n_embd, true},
                {"block_count", &m->n_layers, true},
                {"feed_forward_length", &m->n_ff, true},
                {"attention.head_count", &m->n_heads, true},
                {"attention.head_count_kv", &m->n_kv_heads, false},
                {"attention.key_length", &m->head_dim, false}};
    char key[96];

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        snprintf(key, sizeof key, "%s.%s", m->arch, keys[i].name);
        const enum sto_status status = keys[i].needed ? sto_gguf_need_u32(m->gguf, key, keys[i].out, err)
                                                      : sto_gguf_get_u32(m->gguf, key, keys[i].out, err);
        if (status != STO_OK)
            return status;
    }
    if (m->n_heads == 0)
        return sto_fail(err, STO_ERR_MODEL, "%s: no attention heads", sto_gguf_path(m->gguf));
    m->n_kv_heads = m->n_kv_heads != 0 ? m->n_kv_heads : m->n_heads;
    m->head_dim = m->head_dim != 0 ? m->head_dim : m->n_embd / m->n_heads;
    if (m->n_heads % m->n_kv_heads != 0)
        return sto_fail(err, STO_ERR_MODEL, "%s: %u heads share %u key heads", sto_gguf_path(m->gguf), m->n_heads,
                        m->n_kv_heads);
    return STO_OK;
}

static enum sto_status read_header(struct sto_ref_model *m, struct sto_error *err)
{
    struct sto_view arch = {"", 0};
    float eps = 0;
    char key[96];
    enum sto_status status = sto_gguf_get_string(m->gguf, "general.architecture", &arch, err);

    if (status != STO_OK)
        return status;
    if (!sto_view_equals(arch, "llama") && !sto_view_equals(arch, "qwen2") && !sto_view_equals(arch, "qwen3"))
        return sto_fail(err, STO_ERR_MODEL, "%s: the reference does not know architecture %.*s", sto_gguf_path(m->gguf),
                        (int)(arch.size < 64 ? arch.size : 64), arch.data);
    memcpy(m->arch, arch.data, arch.size);
    if (sto_gguf_find_tensor(m->gguf, "blk.0.ffn_gate_inp.weight") != NULL)
        return sto_fail(err, STO_ERR_MODEL, "%s: the reference does not know experts", sto_gguf_path(m->gguf));
    const struct sto_gguf_tensor *embd = sto_gguf_find_tensor(m->gguf, "token_embd.weight");
    if (embd == NULL || embd->dims[1] > UINT32_MAX)
        return sto_fail(err, STO_ERR_MODEL, "%s: no tensor token_embd.weight", sto_gguf_path(m->gguf));
    m->n_vocab = (uint32_t)embd->dims[1];
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", m->arch);
    if ((status = sto_gguf_get_f32(m->gguf, key, &eps, err)) != STO_OK)
        return status;
    m->eps = (double)eps;
    if ((status = read_shape(m, err)) != STO_OK)
        return status;
    return read_rope(m, err);
}

enum sto_status sto_ref_model_open(const char *path, struct sto_ref_model **out, struct sto_error *err)
{
    struct sto_ref_model *m = sto_calloc(1, sizeof *m);
    enum sto_status status = m != NULL ? STO_OK : sto_fail(err, STO_ERR_FAILED, "no memory for a model");

    if (status == STO_OK)
        status = sto_gguf_open(path, NULL, &m->gguf, err);
    if (status == STO_OK)
        status = read_header(m, err);
    if (status != STO_OK) {
        sto_ref_model_close(m);
        return status;
    }
    *out = m;
    return STO_OK;
}

void sto_ref_model_close(struct sto_ref_model *model)
{
    if (model == NULL)
        return;
    sto_free(model->rope_factors);
    sto_gguf_close(model->gguf);
    sto_free(model);
}

size_t sto_ref_model_n_vocab(const struct sto_ref_model *model)
{
    return model->n_vocab;
}

/* y [p->n, n_out] = x [p->n, n_in] W^T (+ bias), with W in NAME.weight and the bias, if any, in NAME.bias. */
static enum sto_status linear(const struct pass *p, const char *name, double *y, size_t n_out, const double *x,
                              size_t n_in, struct sto_error *err)
{
    double *w = NULL, *bias = NULL;
    char full[96];

    snprintf(full, sizeof full, "%s.weight", name);
    enum sto_status status = load(p->m, full, n_out, n_in, &w, err);
    snprintf(full, sizeof full, "%s.bias", name);
    if (status == STO_OK && sto_gguf_find_tensor(p->m->gguf, full) != NULL)
        status = load(p->m, full, 1, n_out, &bias, err);
    if (status == STO_OK)
        sto_ref_matmul(
            y, &(struct sto_ref_matmul){.w = w, .x = x, .bias = bias, .n_cols = p->n, .n_in = n_in, .n_out = n_out});
    sto_free(w);
    sto_free(bias);
    return status;
}

static enum sto_status norm(const struct pass *p, const char *name, double *y, const double *x, size_t rows, size_t n,
                            struct sto_error *err)
{
    double *g = NULL;
    const enum sto_status status = load(p->m, name, 1, n, &g, err);

    if (status == STO_OK)
        sto_ref_rmsnorm(y, x, g, rows, n, p->m->eps);
    sto_free(g);
    return status;
}

/* Names a tensor of a layer; the buffer is the caller's. */
static const char *name_of(char buffer[64], uint32_t layer, const char *what)
{
    snprintf(buffer, 64, "blk.%u.%s", layer, what);
    return buffer;
}

static void rotate(const struct pass *p, double *x, size_t heads)
{
    for (size_t i = 0; i < p->n; i++)
        for (size_t h = 0; h < heads; h++)
            sto_ref_rope(x + (i * heads + h) * p->m->head_dim, &p->m->rope, (double)i);
}

/* x += W_o attention(norm(x)) */
static enum sto_status attention_part(const struct pass *p, uint32_t layer, struct sto_error *err)
{
    const struct sto_ref_model *m = p->m;
    const size_t q_width = (size_t)m->n_heads * m->head_dim, kv_width = (size_t)m->n_kv_heads * m->head_dim;
    char name[64];
    enum sto_status status;

    if ((status = norm(p, name_of(name, layer, "attn_norm.weight"), p->h, p->x, p->n, m->n_embd, err)) != STO_OK ||
        (status = linear(p, name_of(name, layer, "attn_q"), p->q, q_width, p->h, m->n_embd, err)) != STO_OK ||
        (status = linear(p, name_of(name, layer, "attn_k"), p->k, kv_width, p->h, m->n_embd, err)) != STO_OK ||
        (status = linear(p, name_of(name, layer, "attn_v"), p->v, kv_width, p->h, m->n_embd, err)) != STO_OK)
        return status;
    if (sto_gguf_find_tensor(m->gguf, name_of(name, layer, "attn_q_norm.weight")) != NULL &&
        (status = norm(p, name, p->q, p->q, p->n * m->n_heads, m->head_dim, err)) != STO_OK)
        return status;
    if (sto_gguf_find_tensor(m->gguf, name_of(name, layer, "attn_k_norm.weight")) != NULL &&
        (status = norm(p, name, p->k, p->k, p->n * m->n_kv_heads, m->head_dim, err)) != STO_OK)
        return status;
    rotate(p, p->q, m->n_heads);
    rotate(p, p->k, m->n_kv_heads);
    sto_ref_attention(p->o, p->scores,
                      &(struct sto_ref_attention){.q = p->q,
                                                  .k = p->k,
                                                  .v = p->v,
                                                  .n_q = p->n,
                                                  .n_kv = p->n,
                                                  .n_heads = m->n_heads,
                                                  .n_kv_heads = m->n_kv_heads,
                                                  .head_dim = m->head_dim,
                                                  .scale = 1 / sqrt((double)m->head_dim)});
    status = linear(p, name_of(name, layer, "attn_output"), p->delta, m->n_embd, p->o, q_width, err);
    for (size_t i = 0; i < p->n * m->n_embd && status == STO_OK; i++)
        p->x[i] += p->delta[i];
    return status;
}

/* x += W_down (silu(W_gate h) * W_up h), h = norm(x) */
static enum sto_status ffn_part(const struct pass *p, uint32_t layer, struct sto_error *err)
{
    const struct sto_ref_model *m = p->m;
    char name[64];
    enum sto_status status;

    if ((status = norm(p, name_of(name, layer, "ffn_norm.weight"), p->h, p->x, p->n, m->n_embd, err)) != STO_OK ||
        (status = linear(p, name_of(name, layer, "ffn_gate"), p->gate, m->n_ff, p->h, m->n_embd, err)) != STO_OK ||
        (status = linear(p, name_of(name, layer, "ffn_up"), p->up, m->n_ff, p->h, m->n_embd, err)) != STO_OK)
        return status;
    sto_ref_glu(p->up, p->gate, p->up, p->n * m->n_ff, sto_ref_silu);
    status = linear(p, name_of(name, layer, "ffn_down"), p->delta, m->n_embd, p->up, m->n_ff, err);
    for (size_t i = 0; i < p->n * m->n_embd && status == STO_OK; i++)
        p->x[i] += p->delta[i];
    return status;
}

static enum sto_status embed(const struct pass *p, const uint32_t *tokens, struct sto_error *err)
{
    double *w = NULL;
    const enum sto_status status = load(p->m, "token_embd.weight", p->m->n_vocab, p->m->n_embd, &w, err);

    if (status == STO_OK)
        sto_ref_embed(p->x, w, tokens, p->n, p->m->n_embd);
    sto_free(w);
    return status;
}

static void pass_free(struct pass *p)
{
    double *const all[] = {p->x, p->h, p->q, p->o, p->k, p->v, p->gate, p->up, p->delta, p->scores};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sto_free(all[i]);
}

static enum sto_status pass_init(struct pass *p, const struct sto_ref_model *m, size_t n, struct sto_error *err)
{
    const size_t q_width = (size_t)m->n_heads * m->head_dim, kv_width = (size_t)m->n_kv_heads * m->head_dim;

    *p = (struct pass){.m = m,
                       .n = n,
                       .x = new_doubles(n, m->n_embd),
                       .h = new_doubles(n, m->n_embd),
                       .q = new_doubles(n, q_width),
                       .o = new_doubles(n, q_width),
                       .k = new_doubles(n, kv_width),
                       .v = new_doubles(n, kv_width),
                       .gate = new_doubles(n, m->n_ff),
                       .up = new_doubles(n, m->n_ff),
                       .delta = new_doubles(n, m->n_embd),
                       .scores = new_doubles(n, 1)};
    if (p->x == NULL || p->h == NULL || p->q == NULL || p->o == NULL || p->k == NULL || p->v == NULL ||
        p->gate == NULL || p->up == NULL || p->delta == NULL || p->scores == NULL)
        return sto_fail(err, STO_ERR_FAILED, "no memory for %zu tokens", n);
    return STO_OK;
}

enum sto_status sto_ref_model_logits(const struct sto_ref_model *model, const uint32_t *tokens, size_t n_tokens,
                                     double *logits, struct sto_error *err)
{
    const bool tied = sto_gguf_find_tensor(model->gguf, "output.weight") == NULL;
    struct pass p;
    enum sto_status status;

    for (size_t i = 0; i < n_tokens; i++)
        if (tokens[i] >= model->n_vocab)
            return sto_fail(err, STO_ERR_USAGE, "token %u is not below %u", tokens[i], model->n_vocab);
    if ((status = pass_init(&p, model, n_tokens, err)) != STO_OK || (status = embed(&p, tokens, err)) != STO_OK)
        goto done;
    for (uint32_t layer = 0; layer < model->n_layers; layer++)
        if ((status = attention_part(&p, layer, err)) != STO_OK || (status = ffn_part(&p, layer, err)) != STO_OK)
            goto done;
    if ((status = norm(&p, "output_norm.weight", p.h, p.x, p.n, model->n_embd, err)) != STO_OK)
        goto done;
    status = linear(&p, tied ? "token_embd" : "output", logits, model->n_vocab, p.h, model->n_embd, err);
done:
    pass_free(&p);
    return status;
}

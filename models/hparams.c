/* Hyperparameters from metadata: the keys that all families share, and the frequencies of RoPE.
 *
 * Every number is checked for the range in which the rest of strato is right, so that a hostile file cannot ask for
 * absurd memory or a division by zero. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/arch.h"
#include "runtime/base/mem.h"
#include "shaders/shared/args.h"

enum {
    MAX_LAYERS = 1024,
    MAX_EMBD = 1 << 18,
    MAX_FF = 1 << 22,
    MAX_HEADS = 4096,
    MAX_HEAD_DIM = 512,
    MAX_VOCAB = 1 << 24,
    MAX_CTX = 1 << 28
};

struct reader {
    const struct sto_gguf *gguf;
    const char *arch;
    struct sto_error *err;
    enum sto_status status; /* the first failure; later reads do nothing */
};

static void key_name(const struct reader *r, const char *suffix, char *key, size_t size)
{
    (void)snprintf(key, size, "%s.%s", r->arch, suffix);
}

static bool has_key(const struct reader *r, const char *suffix)
{
    char key[128];
    key_name(r, suffix, key, sizeof key);
    return sto_gguf_find(r->gguf, key) != NULL;
}

/* Whole numbers in full, as the file has them. */
static void number_text(double value, char *text, size_t size)
{
    const bool whole = value == floor(value) && fabs(value) < 1e10;
    (void)snprintf(text, size, whole ? "%.0f" : "%.9g", value);
}

static void check_range(struct reader *r, const char *key, double value, double lowest, double highest)
{
    char is[32], low[32], high[32];
    if (r->status != STO_OK || (value >= lowest && value <= highest))
        return;
    number_text(value, is, sizeof is);
    number_text(lowest, low, sizeof low);
    number_text(highest, high, sizeof high);
    r->status = sto_fail(r->err, STO_ERR_MODEL, "%s: %s is %s, expected %s to %s", sto_gguf_path(r->gguf), key, is, low,
                         high);
}

static uint32_t need_u32(struct reader *r, const char *suffix, uint32_t lowest, uint32_t highest)
{
    char key[128];
    uint32_t value = lowest;
    key_name(r, suffix, key, sizeof key);
    if (r->status == STO_OK)
        r->status = sto_gguf_need_u32(r->gguf, key, &value, r->err);
    check_range(r, key, value, lowest, highest);
    return r->status == STO_OK ? value : lowest; /* callers divide by it before they look at the status */
}

static uint32_t get_u32(struct reader *r, const char *suffix, uint32_t missing, uint32_t lowest, uint32_t highest)
{
    return has_key(r, suffix) ? need_u32(r, suffix, lowest, highest) : missing;
}

static float get_f32(struct reader *r, const char *suffix, float missing, double lowest, double highest)
{
    char key[128];
    float value = missing;
    key_name(r, suffix, key, sizeof key);
    if (r->status == STO_OK)
        r->status = sto_gguf_get_f32(r->gguf, key, &value, r->err);
    check_range(r, key, value, lowest, highest);
    return value;
}

static void refuse_unless_divides(struct reader *r, const char *what, uint32_t a, uint32_t b)
{
    if (r->status == STO_OK && (b == 0 || a % b != 0))
        r->status = sto_fail(r->err, STO_ERR_MODEL, "%s: %s: %u is not a multiple of %u", sto_gguf_path(r->gguf), what,
                             a, b);
}

/* ---- RoPE ---- */

enum rope_scaling { SCALING_NONE, SCALING_LINEAR, SCALING_YARN };

struct rope {
    double base, factor; /* factor: by how much positions are stretched, >= 1 */
    enum rope_scaling scaling;
    uint32_t dims, original_ctx;
    double attn_factor, beta_fast, beta_slow, ext_factor;
};

static void read_scaling(struct reader *r, struct rope *rope, uint32_t n_ctx_train)
{
    char key[128];
    struct sto_view type = {"", 0};
    rope->factor = get_f32(r, "rope.scaling.factor", 1.0f, 0.0, 1e6);
    if (!has_key(r, "rope.scaling.factor")) /* older files: linear, without a type */
        rope->factor = get_f32(r, "rope.scale_linear", 1.0f, 0.0, 1e6);
    if (rope->factor == 0.0)
        rope->factor = 1.0;
    rope->scaling = SCALING_LINEAR;
    key_name(r, "rope.scaling.type", key, sizeof key);
    if (r->status == STO_OK)
        r->status = sto_gguf_get_string(r->gguf, key, &type, r->err);
    if (sto_view_equals(type, "none"))
        rope->scaling = SCALING_NONE;
    else if (sto_view_equals(type, "yarn"))
        rope->scaling = SCALING_YARN;
    else if (type.size != 0 && !sto_view_equals(type, "linear") && r->status == STO_OK)
        r->status = sto_fail(r->err, STO_ERR_MODEL, "%s: %s is '%.*s', expected none, linear or yarn",
                             sto_gguf_path(r->gguf), key, (int)(type.size < 64 ? type.size : 64), type.data);
    rope->original_ctx = get_u32(r, "rope.scaling.original_context_length", n_ctx_train, 1, MAX_CTX);
    rope->attn_factor = get_f32(r, "rope.scaling.attn_factor", 1.0f, 1e-6, 1e6);
    rope->ext_factor = get_f32(r, "rope.scaling.yarn_ext_factor", 1.0f, 0.0, 1.0);
    rope->beta_fast = get_f32(r, "rope.scaling.yarn_beta_fast", 32.0f, 1e-3, 1e6);
    rope->beta_slow = get_f32(r, "rope.scaling.yarn_beta_slow", 1.0f, 1e-3, 1e6);
}

/* The pair at which `rotations` full turns fit into the original context; YaRN (Peng et al. 2023), section 3.2. */
static double yarn_pair(const struct rope *rope, double rotations)
{
    const double two_pi = 6.283185307179586;
    return rope->dims * log(rope->original_ctx / (rotations * two_pi)) / (2.0 * log(rope->base));
}

/* Radians per position of each pair. divisors [dims / 2] come from rope_freqs.weight (Llama 3), or are NULL. */
static void fill_freqs(const struct rope *rope, const float *divisors, float *freqs)
{
    const double low = fmax(0.0, floor(yarn_pair(rope, rope->beta_fast)));
    const double high = fmin((double)rope->dims - 1.0, ceil(yarn_pair(rope, rope->beta_slow)));
    for (uint32_t i = 0; i < rope->dims / 2; i++) {
        const double plain = pow(rope->base, -2.0 * i / rope->dims) / (divisors != NULL ? (double)divisors[i] : 1.0);
        double freq = plain;
        if (rope->scaling != SCALING_NONE)
            freq = plain / rope->factor;
        if (rope->scaling == SCALING_YARN) {
            const double ramp = fmin(1.0, fmax(0.0, (i - low) / fmax(0.001, high - low)));
            const double keep = (1.0 - ramp) * rope->ext_factor; /* share that is extrapolated, not stretched */
            freq = freq * (1.0 - keep) + plain * keep;
        }
        freqs[i] = (float)freq;
    }
}

/* *out [n] is allocated here; NULL: the model has none, or the file has no data. */
static enum sto_status read_divisors(const struct sto_gguf *gguf, uint32_t n, float **out, struct sto_error *err)
{
    char name[64];
    sto_weight_name(STO_W_ROPE_FREQS, 0, name, sizeof name);
    const struct sto_gguf_tensor *t = sto_gguf_find_tensor(gguf, name);
    *out = NULL;
    if (t == NULL)
        return STO_OK;
    if (t->type != STO_TYPE_F32 || t->dims[0] != n || t->n_dims != 1)
        return sto_fail(err, STO_ERR_MODEL, "%s: tensor '%s' is not F32 [%u]", sto_gguf_path(gguf), name, n);
    if (sto_gguf_tensor_data(gguf, t) == NULL)
        return STO_OK;
    *out = sto_calloc(n, sizeof **out);
    if (*out == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: no memory for %u divisors", sto_gguf_path(gguf), n);
    const enum sto_status status =
        sto_map_read(sto_gguf_map(gguf, t->split), t->offset, *out, n * sizeof **out, err);
    for (uint32_t i = 0; status == STO_OK && i < n; i++) {
        if (!((*out)[i] > 0.0f && (*out)[i] < 1e9f))
            return sto_fail(err, STO_ERR_MODEL, "%s: tensor '%s' element %u is %g, expected a positive divisor",
                            sto_gguf_path(gguf), name, i, (double)(*out)[i]);
    }
    return status;
}

static enum sto_status read_rope(struct reader *r, struct sto_hparams *h, float **freqs)
{
    struct rope rope = {.dims = h->rope_dims};
    float *divisors = NULL;
    float *f = NULL;
    rope.base = get_f32(r, "rope.freq_base", 10000.0f, 1.0001, 1e12);
    read_scaling(r, &rope, h->n_ctx_train);
    if (r->status == STO_OK)
        r->status = read_divisors(r->gguf, h->rope_dims / 2, &divisors, r->err);
    if (r->status == STO_OK && (f = sto_calloc(h->rope_dims / 2, sizeof *f)) == NULL)
        r->status = sto_fail(r->err, STO_ERR_NO_FIT, "%s: no memory for %u frequencies", sto_gguf_path(r->gguf),
                             h->rope_dims / 2);
    if (r->status == STO_OK)
        fill_freqs(&rope, divisors, f);
    sto_free(divisors);
    if (r->status != STO_OK)
        return r->status;
    h->rope_scale = (float)rope.attn_factor;
    if (rope.scaling == SCALING_YARN && rope.ext_factor != 0.0)
        h->rope_scale = (float)(rope.attn_factor * (1.0 + 0.1 * log(rope.factor)));
    *freqs = f;
    return STO_OK;
}

static uint32_t count_vocab(struct reader *r)
{
    char name[64];
    sto_weight_name(STO_W_TOKEN_EMBD, 0, name, sizeof name);
    const struct sto_gguf_tensor *t = sto_gguf_find_tensor(r->gguf, name);
    if (t != NULL && t->n_dims == 2)
        check_range(r, "token_embd.weight rows", (double)t->dims[1], 1, MAX_VOCAB);
    else if (r->status == STO_OK)
        r->status = sto_fail(r->err, STO_ERR_MODEL, "%s: tensor '%s' is missing or not a matrix",
                             sto_gguf_path(r->gguf), name);
    return r->status == STO_OK ? (uint32_t)t->dims[1] : 0;
}

enum sto_status sto_hparams_read(const struct sto_gguf *gguf, const struct sto_arch *arch, struct sto_hparams *h,
                                 float **freqs, struct sto_error *err)
{
    struct reader r = {.gguf = gguf, .arch = arch->name, .err = err};
    *h = (struct sto_hparams){.rope_kind = arch->rope_kind, .act = arch->act, .embd_scale = 1.0f};
    h->n_vocab = count_vocab(&r);
    h->n_layers = need_u32(&r, "block_count", 1, MAX_LAYERS);
    h->n_embd = need_u32(&r, "embedding_length", 1, MAX_EMBD);
    h->n_ff = need_u32(&r, "feed_forward_length", 1, MAX_FF);
    h->n_heads = need_u32(&r, "attention.head_count", 1, MAX_HEADS);
    h->n_kv_heads = get_u32(&r, "attention.head_count_kv", h->n_heads, 1, MAX_HEADS);
    h->n_ctx_train = need_u32(&r, "context_length", 1, MAX_CTX);
    h->norm_eps = get_f32(&r, "attention.layer_norm_rms_epsilon", 1e-5f, 0.0, 1.0);
    h->head_dim = get_u32(&r, "attention.key_length", h->n_embd / h->n_heads, 1, MAX_HEAD_DIM);
    const uint32_t v_dim = get_u32(&r, "attention.value_length", h->head_dim, 1, MAX_HEAD_DIM);
    h->rope_dims = get_u32(&r, "rope.dimension_count", h->head_dim, 2, MAX_HEAD_DIM);
    refuse_unless_divides(&r, "attention.head_count by head_count_kv", h->n_heads, h->n_kv_heads);
    refuse_unless_divides(&r, "embedding_length by 4", h->n_embd, 4);
    refuse_unless_divides(&r, "feed_forward_length by 4", h->n_ff, 4);
    refuse_unless_divides(&r, "attention.key_length by 8", h->head_dim, 8);
    refuse_unless_divides(&r, "rope.dimension_count by 2", h->rope_dims, 2);
    if (r.status == STO_OK && v_dim != h->head_dim)
        r.status = sto_fail(err, STO_ERR_MODEL, "%s: %s.attention.value_length is %u, expected key_length %u",
                            sto_gguf_path(gguf), arch->name, v_dim, h->head_dim);
    if (r.status == STO_OK && h->rope_dims > h->head_dim)
        r.status = sto_fail(err, STO_ERR_MODEL, "%s: %s.rope.dimension_count is %u, more than the head's %u",
                            sto_gguf_path(gguf), arch->name, h->rope_dims, h->head_dim);
    h->attn_scale = (float)(1.0 / sqrt((double)h->head_dim));
    return r.status == STO_OK ? read_rope(&r, h, freqs) : r.status;
}

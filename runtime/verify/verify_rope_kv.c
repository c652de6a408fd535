/* Cases of rope_kv. q and k are held to a double-precision reference; what lands in the cache must be, byte for byte,
 * the encoder's bytes for the k that the kernel left in qkv, and for v. */
#include <math.h>
#include <string.h>

#include "runtime/formats/formats.h"
#include "runtime/verify/verify_cache.h"
#include "shaders/shared/args.h"

struct rope_case {
    uint32_t n_heads, n_kv_heads, head_dim, rope_dims, rope_kind;
    bool q_norm, k_norm, wild_v;
    float rope_scale, theta;
    struct sto_verify_columns columns;
    uint32_t pages;
};

struct rope_data {
    const float *qkv, *freqs, *q_norm, *k_norm;
    double *want, *magnitude;
};

/* One head, rotated: out [head_dim], magnitudes likewise. */
static void reference_head(const struct rope_case *c, const float *x, const float *freqs, const float *norm,
                           uint32_t position, double *out, double *magnitude)
{
    const uint32_t d = c->head_dim, pairs = c->rope_dims / 2;
    double sum = 0;

    for (uint32_t i = 0; i < d; i++)
        sum += (double)x[i] * x[i];
    for (uint32_t i = 0; i < d; i++) {
        out[i] = norm != NULL ? x[i] / sqrt(sum / d + 1e-6) * norm[i] : x[i];
        magnitude[i] = fabs(out[i]);
    }
    for (uint32_t i = 0; c->rope_kind != ROPE_NONE && i < pairs; i++) {
        const uint32_t a = c->rope_kind == ROPE_NEOX ? i : 2 * i, b = c->rope_kind == ROPE_NEOX ? i + pairs : 2 * i + 1;
        const double angle = (double)position * freqs[i], s = c->rope_scale, x0 = out[a], x1 = out[b];
        out[a] = s * (x0 * cos(angle) - x1 * sin(angle));
        out[b] = s * (x0 * sin(angle) + x1 * cos(angle));
        magnitude[a] = magnitude[b] = s * hypot(x0, x1);
    }
}

/* Values that try an encoder: zeros, a scale that vanishes in f16, one too large for it, equal extremes. */
static void make_wild(struct sto_verifier *v, float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 8) {
        const float scale = powf(10, sto_verify_uniform(v, -11, 8));
        const uint32_t kind = sto_verify_random(v) % 6;
        for (uint32_t j = i; j < i + 8 && j < n; j++) {
            if (kind == 0)
                x[j] = 0;
            else if (kind == 1)
                x[j] = j % 3 == 0 ? -scale : scale;
            else
                x[j] *= scale;
        }
    }
}

static void make_data(struct sto_verifier *v, const struct rope_case *c, struct rope_data *data)
{
    const uint32_t heads = c->n_heads + 2 * c->n_kv_heads, d = c->head_dim, n = c->columns.room;
    float *freqs = sto_verify_alloc(v, c->rope_dims / 2, sizeof *freqs);
    float *qkv = sto_verify_floats(v, (size_t)n * heads * d, 2);

    for (uint32_t i = 0; i < c->rope_dims / 2; i++)
        freqs[i] = (float)pow(c->theta, -2.0 * i / c->rope_dims);
    for (uint32_t col = 0; c->wild_v && col < n; col++)
        make_wild(v, qkv + ((size_t)col * heads + c->n_heads + c->n_kv_heads) * d, c->n_kv_heads * d);
    *data = (struct rope_data){.qkv = qkv, .freqs = freqs, .q_norm = sto_verify_floats(v, d, 2),
                               .k_norm = sto_verify_floats(v, d, 2)};
    data->want = sto_verify_alloc(v, (size_t)n * heads * d, sizeof *data->want);
    data->magnitude = sto_verify_alloc(v, (size_t)n * heads * d, sizeof *data->magnitude);
    for (uint32_t col = 0; col < c->columns.n; col++) {
        for (uint32_t h = 0; h < c->n_heads + c->n_kv_heads; h++) {
            const size_t at = ((size_t)col * heads + h) * d;
            const float *norm = h < c->n_heads ? (c->q_norm ? data->q_norm : NULL) : (c->k_norm ? data->k_norm : NULL);
            reference_head(c, qkv + at, freqs, norm, c->columns.position[col], data->want + at, data->magnitude + at);
        }
    }
}

/* The cache's rows of every column, encoded from what the kernel left in qkv (k) and from the input (v). */
static void compare_cache(struct sto_verifier *v, const struct rope_case *c, const struct sto_verify_cache *cache,
                          const struct rope_data *data, const float *got)
{
    const uint32_t heads = c->n_heads + 2 * c->n_kv_heads, d = c->head_dim;
    const uint64_t row_bytes = sto_type_bytes(cache->layer.type, d);
    uint8_t *row = sto_verify_alloc(v, row_bytes, 1);

    for (uint32_t col = 0; col < c->columns.n; col++) {
        const uint32_t position = c->columns.position[col], sequence = c->columns.sequence[col];
        for (uint32_t h = 0; position < cache->layer.pages * KV_PAGE && h < c->n_kv_heads; h++) {
            const size_t k = ((size_t)col * heads + c->n_heads + h) * d;
            sto_encode(cache->layer.type, got + k, row, d);
            sto_verify_compare_bytes(v, cache->pages, sto_verify_cache_row(cache, sequence, position, h, 0), row,
                                     row_bytes);
            sto_encode(cache->layer.type, data->qkv + k + (size_t)c->n_kv_heads * d, row, d);
            sto_verify_compare_bytes(v, cache->pages, sto_verify_cache_row(cache, sequence, position, h, 1), row,
                                     row_bytes);
        }
    }
}

static void rope_case(struct sto_verifier *v, enum sto_type type, const struct rope_case *c)
{
    static const char *const kinds[] = {"no RoPE", "NORM", "NEOX"};
    const uint32_t heads = c->n_heads + 2 * c->n_kv_heads, d = c->head_dim;
    struct sto_verify_cache cache = {
        .layer = {.type = type, .pages = c->pages, .n_kv_heads = c->n_kv_heads, .head_dim = d}};
    struct rope_data data;

    sto_verify_begin(v, "%u columns to position %u, %u+%u heads of %u, %s over %u%s%s%s", c->columns.n,
                     c->columns.position[c->columns.n - 1], c->n_heads, c->n_kv_heads, d, kinds[c->rope_kind],
                     c->rope_dims, c->q_norm ? ", q norm" : "", c->k_norm ? ", k norm" : "",
                     c->wild_v ? ", wild v" : "");
    make_data(v, c, &data);
    const struct sto_verify_range step = sto_verify_step(v, "step", &c->columns);
    const struct sto_verify_range qkv =
        sto_verify_inout(v, "qkv", data.qkv, (uint64_t)c->columns.room * heads * d * sizeof(float));
    const struct sto_verify_range freqs = sto_verify_input(v, "freqs", data.freqs, c->rope_dims / 2 * sizeof(float));
    const struct sto_verify_range q_norm = sto_verify_input(v, "q_norm", data.q_norm, d * sizeof(float));
    const struct sto_verify_range k_norm = sto_verify_input(v, "k_norm", data.k_norm, d * sizeof(float));
    sto_verify_cache_make(v, &cache, &c->columns, 1, true);
    const struct sto_op_rope_kv_args args = {
        .step = step.address, .qkv = sto_verify_tensor(qkv, c->columns.room, heads * d, heads * d), .kv = cache.layer,
        .freqs = freqs.address, .q_norm = c->q_norm ? q_norm.address : 0, .k_norm = c->k_norm ? k_norm.address : 0,
        .n_heads = c->n_heads, .rope_dims = c->rope_dims, .rope_kind = c->rope_kind, .eps = 1e-6f,
        .rope_scale = c->rope_scale,
    };
    sto_op_rope_kv(sto_verify_ops(v), &args);
    sto_verify_run(v);
    if (sto_verify_ok(v))
        compare_cache(v, c, &cache, &data, sto_verify_got(v, qkv));
    /* A rotation by values within 1e-7 (2 roundings) and three operations; a norm adds at most head_dim / 4
     * additions. */
    const double bound = 0x1p-24 * (8 + (c->q_norm || c->k_norm ? 12 + d / 8 : 0));
    for (uint32_t col = 0; col < c->columns.n; col++) {
        const size_t at = (size_t)col * heads * d;
        const struct sto_verify_compare compare = {.range = qkv,
                                                   .first = at,
                                                   .rows = c->n_heads + c->n_kv_heads,
                                                   .cols = d,
                                                   .stride = d,
                                                   .want = data.want + at,
                                                   .magnitude = data.magnitude + at,
                                                   .bound = bound};
        sto_verify_compare(v, &compare);
    }
    sto_verify_end(v);
}

/* n columns of three sequences, positions spread up to `highest`, no two alike within a sequence. */
static struct sto_verify_columns spread(uint32_t n, uint32_t dead, uint32_t highest)
{
    struct sto_verify_columns columns = {.n = n, .room = n + dead};
    for (uint32_t c = 0; c < n; c++) {
        columns.sequence[c] = c % 3;
        columns.position[c] = n > 1 ? (uint32_t)((uint64_t)highest * c / (n - 1)) : highest;
    }
    return columns;
}

static void quick_rope_kv(struct sto_verifier *v, enum sto_kernel kernel)
{
    struct rope_case c = {.n_heads = 3, .n_kv_heads = 3, .head_dim = 128, .rope_dims = 128, .rope_kind = ROPE_NEOX,
                          .q_norm = true, .k_norm = true, .rope_scale = 1, .theta = 1e6f, .pages = 8};
    c.columns = spread(9, 0, 383);
    rope_case(v, sto_kernel_get(kernel)->weight, &c);
}

static void run_rope_kv(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t highest[] = {127, 8, 128, 129, 300, 255, 256, 1000, 383};
    const enum sto_type type = sto_kernel_get(kernel)->weight;
    struct rope_case c = {.n_heads = 4, .n_kv_heads = 2, .head_dim = 64, .rope_dims = 64, .rope_kind = ROPE_NORM,
                          .rope_scale = 1, .theta = 10000, .pages = 8};

    for (uint32_t n = 1; n <= 9; n++) {
        c.columns = spread(n, n % 3, highest[n - 1]);
        c.rope_kind = n % 3;
        c.wild_v = n % 2 == 0;
        rope_case(v, type, &c);
    }
    c = (struct rope_case){.n_heads = 3, .n_kv_heads = 3, .head_dim = 128, .rope_dims = 96, .rope_kind = ROPE_NEOX,
                           .q_norm = true, .k_norm = true, .rope_scale = 1.2f, .theta = 1e6f, .pages = 8};
    c.columns = spread(33, 0, 1000);
    rope_case(v, type, &c);
    c.rope_kind = ROPE_NORM;
    c.wild_v = true;
    rope_case(v, type, &c);
    for (uint32_t d = 32; d <= 512; d += d < 128 ? 32 : 128) {
        c = (struct rope_case){.n_heads = 7, .n_kv_heads = 1, .head_dim = d, .rope_dims = d, .rope_kind = ROPE_NEOX,
                               .k_norm = true, .rope_scale = 1, .theta = 1e6f, .pages = 1025};
        c.columns = spread(5, 0, 131071); /* the far end of a long context */
        rope_case(v, type, &c);
    }
    c = (struct rope_case){.n_heads = 2, .n_kv_heads = 1, .head_dim = 64, .rope_dims = 64, .rope_kind = ROPE_NORM,
                           .rope_scale = 1, .theta = 1e4f, .pages = 2};
    c.columns =
        spread(5, 1, 268435455); /* beyond the table: rotated, not stored; 28 + 24 bits: the angle is a double */
    rope_case(v, type, &c);
    if (type == STO_TYPE_F32 || type == STO_TYPE_F16) {
        for (uint32_t d = 8; d <= 40; d += 16) {
            c.head_dim = c.rope_dims = d;
            c.columns = spread(4, 0, 200);
            rope_case(v, type, &c);
        }
    }
}

const struct sto_verify_source sto_verify_rope_kv[] = {
    {"rope_kv.comp", true, run_rope_kv, quick_rope_kv},
    {NULL, false, NULL, NULL},
};

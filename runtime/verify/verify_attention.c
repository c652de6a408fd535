/* Cases of attn_decode, attn_prefill and attn_prefill_coopmat, held to softmax in double precision over what the bytes
 * of the cache decode to. Pages lie in a shuffled order; rows that no column may use are poison, and pages of which no
 * column may use a row have no memory at all: who touches what is masked is found out. */
#include <math.h>
#include <string.h>

#include "runtime/formats/formats.h"
#include "runtime/verify/verify_cache.h"
#include "runtime/vk/tuning.h"
#include "shaders/shared/args.h"

struct attention_case {
    uint32_t n_heads, n_kv_heads, head_dim, pages, window, max_tokens;
    float softcap, q_scale;
    bool deterministic, q8;  /* q8: results in 8 bits */
    uint32_t prefill_groups; /* 0: through the operation; else the prefill kernel with so many workgroups a head */
    bool f16;                /* attn_prefill_coopmat, with so many subgroups in a workgroup and so many sums, */
    uint32_t subgroups, sums, split; /* and so many subgroups that share a row; 0: as planned */
    struct sto_verify_columns columns;
};

struct attention_data {
    const struct attention_case *c;
    struct sto_verify_cache cache;
    float *q;          /* [columns.room, n_heads, head_dim]                                 */
    float *k, *v;      /* [sequence, token, KV head, head_dim], as decoded from the cache   */
    uint32_t tokens;   /* per sequence in k and v                                           */
    double *want, *magnitude; /* [columns.n, n_heads, head_dim]                             */
    double bound;
};

/* The first token that a column at this position may use. */
static uint32_t first_token(const struct attention_case *c, uint32_t position)
{
    return c->window != 0 && position >= c->window ? position - c->window + 1 : 0;
}

static size_t kv_at(const struct attention_data *d, uint32_t sequence, uint32_t token, uint32_t head)
{
    return (((size_t)sequence * d->tokens + token) * d->c->n_kv_heads + head) * d->c->head_dim;
}

/* Fills the rows that some column uses; keeps what they decode to. */
static void fill_cache(struct sto_verifier *v, struct attention_data *d)
{
    const struct attention_case *c = d->c;
    const enum sto_type type = d->cache.layer.type;
    const uint64_t row_bytes = sto_type_bytes(type, c->head_dim);
    uint8_t *row = sto_verify_alloc(v, row_bytes, 1);
    bool *done = sto_verify_alloc(v, (size_t)d->cache.n_sequences * d->tokens, sizeof *done);
    float x[512];

    for (uint32_t col = 0; col < c->columns.n; col++) {
        const uint32_t sequence = c->columns.sequence[col], position = c->columns.position[col];
        for (uint32_t t = first_token(c, position); t <= position; t++) {
            if (done[sequence * d->tokens + t])
                continue;
            done[sequence * d->tokens + t] = true;
            for (uint32_t part_head = 0; part_head < 2 * c->n_kv_heads; part_head++) {
                const uint32_t h = part_head / 2, part = part_head % 2;
                for (uint32_t i = 0; i < c->head_dim; i++)
                    x[i] = c->f16 ? sto_f16_to_f32(sto_f32_to_f16(sto_verify_uniform(v, -1, 1)))
                                  : sto_verify_uniform(v, -1, 1);
                sto_encode(type, x, row, c->head_dim);
                sto_decode(type, row, (part == 0 ? d->k : d->v) + kv_at(d, sequence, t, h), c->head_dim);
                sto_verify_put(v, d->cache.pages, sto_verify_cache_row(&d->cache, sequence, t, h, (int)part), row,
                               row_bytes);
            }
        }
    }
}

/* Scores of one column and head over tokens [first, position]; returns the largest sum of absolute products. */
static double reference_scores(const struct attention_data *d, uint32_t col, uint32_t h, double *s)
{
    const struct attention_case *c = d->c;
    const uint32_t position = c->columns.position[col], kv_head = h / (c->n_heads / c->n_kv_heads);
    const float *q = d->q + ((size_t)col * c->n_heads + h) * c->head_dim;
    const float scale = 1 / sqrtf((float)c->head_dim);
    double largest = 0;

    for (uint32_t t = first_token(c, position); t <= position; t++) {
        const float *k = d->k + kv_at(d, c->columns.sequence[col], t, kv_head);
        double dot = 0, absolute = 0;
        for (uint32_t i = 0; i < c->head_dim; i++) {
            dot += (double)scale * q[i] * k[i];
            absolute += fabs((double)scale * q[i] * k[i]);
        }
        s[t] = c->softcap > 0 ? c->softcap * tanh(dot / c->softcap) : dot;
        largest = absolute > largest ? absolute : largest;
    }
    return largest;
}

/* want = sum p v, magnitude = sum p |v|; returns the largest sum of absolute products of a score. */
static double reference_head(struct sto_verifier *v, struct attention_data *d, uint32_t col, uint32_t h, double *s)
{
    const struct attention_case *c = d->c;
    const uint32_t position = c->columns.position[col], kv_head = h / (c->n_heads / c->n_kv_heads);
    const uint32_t first = first_token(c, position);
    const size_t at = ((size_t)col * c->n_heads + h) * c->head_dim;
    const double absolute = reference_scores(d, col, h, s);
    double m = s[first], sum = 0;

    (void)v;
    for (uint32_t t = first; t <= position; t++)
        m = s[t] > m ? s[t] : m;
    for (uint32_t t = first; t <= position; t++)
        sum += exp(s[t] - m);
    for (uint32_t t = first; t <= position; t++) {
        const float *value = d->v + kv_at(d, c->columns.sequence[col], t, kv_head);
        const double p = exp(s[t] - m) / sum;
        for (uint32_t i = 0; i < c->head_dim; i++) {
            d->want[at + i] += p * value[i];
            d->magnitude[at + i] += p * fabs(value[i]);
        }
    }
    return absolute;
}

/* f16 operands: q is one already. Keys and values out of a quantised cache are rounded, weights always, by 2^-10 where
 * a driver cuts; a weight below f16's normal numbers loses 2^-24 of the largest, whatever its value. */
static void allow_f16(struct attention_data *d, double absolute, size_t n)
{
    const enum sto_type type = d->cache.layer.type;
    const bool exact = type == STO_TYPE_F32 || type == STO_TYPE_F16;

    d->bound += 0x1p-10 * (2 + (exact ? 0 : 1 + 2 * absolute));
    for (size_t i = 0; i < n; i++)
        d->magnitude[i] += d->tokens * 0x1p-24 / d->bound;
}

static void make_data(struct sto_verifier *v, enum sto_type type, const struct attention_case *c,
                      struct attention_data *d)
{
    uint32_t end = 0;
    double absolute = 0;

    for (uint32_t col = 0; col < c->columns.n; col++)
        end = c->columns.position[col] + 1 > end ? c->columns.position[col] + 1 : end;
    *d = (struct attention_data){.c = c, .tokens = end,
                                 .cache = {.layer = {.type = type, .pages = c->pages, .n_kv_heads = c->n_kv_heads,
                                                     .head_dim = c->head_dim}}};
    sto_verify_cache_make(v, &d->cache, &c->columns, c->window, false);
    const size_t kv_elements = (size_t)d->cache.n_sequences * end * c->n_kv_heads * c->head_dim;
    const size_t o_elements = (size_t)c->columns.room * c->n_heads * c->head_dim;
    d->k = sto_verify_alloc(v, kv_elements, sizeof *d->k);
    d->v = sto_verify_alloc(v, kv_elements, sizeof *d->v);
    d->q = sto_verify_floats(v, o_elements, c->q_scale);
    for (size_t i = 0; i < o_elements && c->f16; i++)
        d->q[i] = sto_f16_to_f32(sto_f32_to_f16(d->q[i]));
    d->want = sto_verify_alloc(v, o_elements, sizeof *d->want);
    d->magnitude = sto_verify_alloc(v, o_elements, sizeof *d->magnitude);
    fill_cache(v, d);
    double *s = sto_verify_alloc(v, end, sizeof *s);
    for (uint32_t col = 0; col < c->columns.n; col++) {
        for (uint32_t h = 0; h < c->n_heads; h++) {
            const double a = reference_head(v, d, col, h, s);
            absolute = a > absolute ? a : absolute;
        }
    }
    /* A score is off by at most (chain of additions) * (sum of absolute products), its exponential by twice that (the
     * maximum is off too) and by exp's own 3 + 2 |x| units; the sums over tokens add one unit per token in the worst
     * order, and numerator and denominator count both. */
    d->bound = 0x1p-24 * (2 * (c->head_dim / 4 + 16) * absolute + 2 * (3 + 4 * absolute) + 2 * end + 32);
    if (c->f16)
        allow_f16(d, absolute, o_elements);
}

static enum sto_kernel prefill_kernel(const struct attention_case *c, enum sto_type type)
{
    const int i = type == STO_TYPE_F32 ? 0 : type == STO_TYPE_F16 ? 1 : type == STO_TYPE_Q8_0 ? 2 : 3;
    return (enum sto_kernel)((c->f16 ? STO_KERNEL_attn_prefill_coopmat_f32 : STO_KERNEL_attn_prefill_f32) + i);
}

static void use_sums(struct sto_device_plan *plan, const struct attention_case *c)
{
    if (c->sums > 0)
        plan->coopmat.attention_sums = c->sums;
    if (c->split > 0)
        plan->coopmat.attention_split = c->split;
}

/* The plan of a case: the operation shall choose this kernel, however short the context and whatever the device. */
static void use_prefill(struct sto_verifier *v, const struct attention_case *c, enum sto_type type)
{
    const enum sto_kernel kernel = prefill_kernel(c, type);
    struct sto_device_plan *plan = sto_verify_plan(v);

    if (!c->f16) {
        plan->tuning[kernel].values[2] = 0;
        return;
    }
    use_sums(plan, c);
    if (c->subgroups > 0)
        plan->tuning[kernel].values[0] = c->subgroups * plan->tuning[kernel].values[1];
    plan->attn_prefill_f16[type] = kernel;
    plan->attn_prefill[type] = STO_KERNEL_COUNT;
    sto_verify_ops(v)->math = STO_MATH_F16;
    if (c->prefill_groups > 0 &&
        !sto_tuning_attention(plan, sto_kernel_get(kernel), c->head_dim, &plan->tuning[kernel]))
        sto_verify_fail(v, "heads of %u do not fit", c->head_dim);
}

/* For few columns too, which the operation would give to attn_decode. */
static void dispatch_prefill(struct sto_verifier *v, const struct sto_op_attention_args *a, enum sto_kernel kernel,
                             uint32_t groups)
{
    const struct AttnArgs args = {
        .step = a->step, .q = a->q.address, .o = a->o.address, .kv_table = a->kv.table, .n_cols = a->o.rows,
        .n_heads = a->n_heads, .n_kv_heads = a->kv.n_kv_heads, .head_dim = a->kv.head_dim, .q_stride = a->q.stride,
        .kv_pages = a->kv.pages, .v_offset = sto_kv_v_offset(a->kv.type, a->kv.n_kv_heads, a->kv.head_dim),
        .window = a->window, .scale = a->scale, .softcap = a->softcap,
    };
    sto_verify_dispatch(v, kernel, &args, groups, a->kv.n_kv_heads, 1);
}

static void attention_case(struct sto_verifier *v, enum sto_type type, const struct attention_case *c)
{
    const uint32_t width = c->n_heads * c->head_dim, stride = width + 32;
    struct attention_data d;

    sto_verify_begin(v, "%u columns to token %u, %u/%u heads of %u%s%s%s%s%s%s", c->columns.n,
                     c->columns.position[c->columns.n - 1], c->n_heads, c->n_kv_heads, c->head_dim,
                     c->window != 0 ? ", window" : "", c->softcap > 0 ? ", softcap" : "",
                     c->deterministic ? ", deterministic" : "", c->q_scale > 1 ? ", peaked" : "",
                     c->q8 ? ", in 8 bits" : "", c->split > 1 ? ", outputs split" : "");
    make_data(v, type, c, &d);
    float *q = sto_verify_alloc(v, (size_t)c->columns.room * stride, sizeof *q);
    for (uint32_t col = 0; col < c->columns.room; col++)
        memcpy(q + (size_t)col * stride, d.q + (size_t)col * width, width * sizeof *q);
    const struct sto_buffer *groups;
    const struct sto_verify_range host = sto_verify_step(v, "host", &c->columns);
    const struct sto_verify_range step = sto_verify_scratch(v, "step", host.bytes);
    const struct sto_verify_range qs = sto_verify_input(v, "q", q, (uint64_t)c->columns.room * stride * sizeof *q);
    const uint64_t o_bytes = (uint64_t)c->columns.room * width * sizeof(float);
    const struct sto_verify_range os = c->q8 ? sto_verify_scratch(v, "o", o_bytes) : sto_verify_output(v, "o", o_bytes);
    struct sto_verify_range oq = {0};
    if (c->q8)
        oq = sto_verify_output(v, "oq", sto_op_q8_bytes(c->columns.room, width));
    const struct sto_verify_range partial =
        sto_verify_scratch(v, "partial", sto_op_attention_scratch(c->n_heads, c->head_dim, c->pages * KV_PAGE));
    const struct sto_verify_range group_range = sto_verify_groups(v, &groups);
    const struct sto_op_step_args step_args = {.host = host.address, .step = step.address, .groups = groups,
                                               .max_cols = c->columns.room, .n_kv_heads = c->n_kv_heads};
    const struct sto_op_attention_args args = {
        .step = step.address, .groups = groups, .o = sto_verify_tensor(os, c->columns.room, width, width),
        .oq = oq.address,
        .q = sto_verify_tensor(qs, c->columns.room, width, stride), .kv = d.cache.layer, .partial = partial.address,
        .n_heads = c->n_heads, .window = c->window, .max_tokens = c->max_tokens,
        .scale = 1 / sqrtf((float)c->head_dim), .softcap = c->softcap,
    };
    struct sto_ops *ops = sto_verify_ops(v);
    use_prefill(v, c, type);
    ops->deterministic = c->deterministic;
    sto_verify_counters(v, c->columns.room * c->n_kv_heads);
    sto_op_step_begin(ops, &step_args);
    if (c->prefill_groups > 0)
        dispatch_prefill(v, &args, prefill_kernel(c, type), c->prefill_groups);
    else
        sto_op_attention(ops, &args);
    sto_verify_run(v);
    const struct sto_verify_compare compare = {.range = c->q8 ? oq : os, .rows = c->columns.n, .cols = width,
                                               .stride = width, .want = d.want, .magnitude = d.magnitude,
                                               .bound = d.bound};
    if (c->q8)
        sto_verify_compare_q8(v, &compare);
    else
        sto_verify_compare(v, &compare);
    if (sto_verify_ok(v)) {
        uint32_t counts[3];
        memcpy(counts, sto_verify_got(v, group_range), sizeof counts);
        sto_verify_compare_bytes(v, group_range, 0, counts, sizeof counts); /* step_begin's own cases look at these */
    }
    sto_verify_end(v);
}

/* n columns that end at token `last`, consecutive, of sequence 1; or of several sequences, at different tokens. */
static struct sto_verify_columns consecutive(uint32_t n, uint32_t last)
{
    struct sto_verify_columns columns = {.n = n, .room = n};
    for (uint32_t c = 0; c < n; c++) {
        columns.sequence[c] = 1;
        columns.position[c] = last - (n - 1) + c;
    }
    return columns;
}

static struct sto_verify_columns scattered(struct sto_verifier *v, uint32_t n, uint32_t dead, uint32_t last)
{
    struct sto_verify_columns columns = {.n = n, .room = n + dead};
    (void)v;
    for (uint32_t c = 0; c < n; c++) {
        columns.sequence[c] = (c * 5) % 4;
        columns.position[c] = c + 1 == n ? last : last * (c * 7 % 11) / 11;
    }
    return columns;
}

static const uint32_t contexts[] = {1, 127, 128, 129, 300, 1000};

static struct attention_case plain(uint32_t n_heads, uint32_t n_kv_heads, uint32_t head_dim)
{
    return (struct attention_case){.n_heads = n_heads, .n_kv_heads = n_kv_heads, .head_dim = head_dim, .pages = 9,
                                   .q_scale = 1};
}

static void quick_decode(struct sto_verifier *v, enum sto_kernel kernel)
{
    const struct sto_kernel_info *info = sto_kernel_get(kernel);
    struct attention_case c = plain(6, 2, 128);
    c.columns = scattered(v, 3, 0, 299);
    attention_case(v, info->weight < STO_TYPE_COUNT ? info->weight : STO_TYPE_F32, &c);
}

static void quick_prefill(struct sto_verifier *v, enum sto_kernel kernel)
{
    struct attention_case c = plain(6, 2, 128);
    c.columns = consecutive(20, 143);
    attention_case(v, sto_kernel_get(kernel)->weight, &c);
}

static void run_decode(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t ratios[] = {1, 2, 3, 5, 7, 8, 12};
    static const uint32_t dims[] = {32, 64, 96, 128, 256, 512};
    const enum sto_type type = sto_kernel_get(kernel)->weight;
    struct attention_case c = plain(4, 2, 64);

    for (uint32_t i = 0; i < 6; i++) {
        c.columns = scattered(v, 1, 0, contexts[i] - 1);
        attention_case(v, type, &c);
    }
    for (uint32_t n = 2; n <= 9; n++) { /* 9: a group of 8 and one of 1, where the recording must not use prefill */
        c = plain(6, 2, 32);
        c.columns = scattered(v, n, n < 8 ? n % 2 : 0, contexts[n % 6] + 20);
        c.deterministic = true;
        c.max_tokens = n % 2 == 0 ? 0 : contexts[n % 6] + 21;
        attention_case(v, type, &c);
    }
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        c = plain(2 * ratios[i], 2, 64);
        c.columns = scattered(v, 3, 0, 299);
        attention_case(v, type, &c);
    }
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        c = plain(10, 2, dims[i]);
        c.columns = scattered(v, 2, 0, 200);
        attention_case(v, type, &c);
    }
    for (uint32_t d = 8; d <= 40 && (type == STO_TYPE_F32 || type == STO_TYPE_F16); d += 16) {
        c = plain(8, 4, d);
        c.columns = scattered(v, 3, 0, 140);
        attention_case(v, type, &c);
    }
    for (uint32_t window = 1; window <= 512; window *= 8) {
        c = plain(4, 1, 64);
        c.window = window;
        c.columns = scattered(v, 4, 0, 600);
        attention_case(v, type, &c);
    }
    c = plain(4, 1, 128);
    c.softcap = 2;
    c.q_scale = 20;
    c.columns = scattered(v, 4, 0, 290);
    attention_case(v, type, &c);
    c.softcap = 50;
    attention_case(v, type, &c);
    c.softcap = 0;
    attention_case(v, type, &c);
    c = plain(4, 2, 64);
    c.columns = consecutive(33, 270);
    c.deterministic = true;
    attention_case(v, type, &c);
    c.columns = scattered(v, 3, 1, 4); /* one piece */
    c.q8 = true;
    attention_case(v, type, &c);
    for (uint32_t i = 0; i < 3; i++) { /* several; more than a round merges at once */
        c = plain(24, 2, dims[2 * i]);
        c.pages = 140;
        c.q8 = i > 0;
        c.columns = scattered(v, i + 1, 0, i > 0 ? 700 : 139 * KV_PAGE);
        attention_case(v, type, &c);
    }
}

static void run_prefill(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t ratios[] = {1, 3, 7, 8, 12};
    static const uint32_t dims[] = {32, 64, 96, 128, 256, 512};
    const enum sto_type type = sto_kernel_get(kernel)->weight;
    const uint32_t workgroup = sto_verify_plan(v)->tuning[kernel].values[0];
    struct attention_case c = plain(4, 2, 64);

    for (uint32_t n = 1; n <= 9; n++) {
        c = plain(6, 2, 32);
        c.prefill_groups = 1 + n % 3;
        c.columns = consecutive(n, n - 1 + (n % 2 == 0 ? 0 : contexts[n % 6]));
        c.columns.room += n % 2;
        attention_case(v, type, &c);
    }
    for (uint32_t i = 1; i < 6; i++) {
        c = plain(4, 2, 64);
        c.columns = consecutive(33, contexts[i] - 1);
        attention_case(v, type, &c);
    }
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        c = plain(2 * ratios[i], 2, 64);
        c.columns = consecutive(33, 139);
        c.columns.room = 35;
        attention_case(v, type, &c);
    }
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        /* Small workgroups do a wide row in slices, again and again: Mesa's CPU driver ends an invocation's loops after
         * 65,535 rounds. */
        if (dims[i] > 16 * workgroup)
            continue;
        c = plain(6, 2, dims[i]);
        c.columns = consecutive(20, 143);
        attention_case(v, type, &c);
    }
    for (uint32_t d = 8; d <= 40 && (type == STO_TYPE_F32 || type == STO_TYPE_F16); d += 16) {
        c = plain(8, 4, d);
        c.columns = consecutive(40, 140);
        attention_case(v, type, &c);
    }
    for (uint32_t window = 1; window <= 512; window *= 8) {
        c = plain(4, 1, 64);
        c.window = window;
        c.columns = consecutive(33, 299);
        attention_case(v, type, &c);
    }
    c = plain(4, 1, 128);
    c.softcap = 2;
    c.q_scale = 20;
    c.columns = consecutive(12, 290);
    attention_case(v, type, &c);
    c.softcap = 0;
    attention_case(v, type, &c);
}

/* True when the device's matrices fit heads of this size: others are for attn_prefill. */
static bool takes_heads(struct sto_verifier *v, enum sto_kernel kernel, const struct attention_case *c)
{
    struct sto_device_plan plan = *sto_verify_plan(v);
    struct sto_tuning *tuning = &plan.tuning[kernel];
    use_sums(&plan, c);
    if (c->subgroups > 0)
        tuning->values[0] = c->subgroups * tuning->values[1];
    return sto_tuning_attention(&plan, sto_kernel_get(kernel), c->head_dim, tuning);
}

/* Registers without end: queries in them; few: queries in shared memory, or outputs shared by subgroups. */
static struct attention_case matrix_units(uint32_t n_heads, uint32_t n_kv_heads, uint32_t head_dim)
{
    struct attention_case c = plain(n_heads, n_kv_heads, head_dim);
    c.f16 = true;
    c.sums = 512;
    return c;
}

/* Two teams of subgroups that share outputs; ragged rows, and scores that rise from block to block. */
static void run_split(struct sto_verifier *v, enum sto_kernel kernel, uint32_t split)
{
    const struct sto_device_plan *plan = sto_verify_plan(v);
    struct attention_case c = matrix_units(6, 2, 64);
    c.split = split;
    c.subgroups = 2 * split;
    c.sums = plan->coopmat.size.m * 64 / plan->subgroup_size / split;
    if (!takes_heads(v, kernel, &c))
        return;
    c.columns = consecutive(33, 299);
    c.q_scale = 20;
    attention_case(v, sto_kernel_get(kernel)->weight, &c);
    c.q_scale = 1;
    c.window = 64;
    c.columns = consecutive(9, 140);
    attention_case(v, sto_kernel_get(kernel)->weight, &c);
}

/* A driver takes long to make such a pipeline: forms that do not depend on the cache's format have cases for f16. */
static void run_prefill_coopmat(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t ratios[] = {1, 3, 8}, dims[] = {128, 80, 96, 256};
    const enum sto_type type = sto_kernel_get(kernel)->weight;
    const bool forms = type == STO_TYPE_F16;
    struct attention_case c = matrix_units(6, 2, 64);

    for (uint32_t n = 1; n <= 9; n += 4) {
        c.prefill_groups = 1 + n % 3;
        c.columns = consecutive(n, n - 1 + (n == 5 ? 0 : contexts[n % 6]));
        c.columns.room += n == 5;
        attention_case(v, type, &c);
    }
    for (uint32_t i = 1; i < 6; i++) {
        c = matrix_units(4, 2, 64);
        c.subgroups = i % 2 == 0 || !forms ? 0 : 1 + i / 2;
        c.columns = consecutive(33, contexts[i] - 1);
        attention_case(v, type, &c);
    }
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        c = matrix_units(2 * ratios[i], 2, 64);
        if (forms)
            c.sums = sto_verify_plan(v)->coopmat.size.m * 64 / sto_verify_plan(v)->subgroup_size;
        c.columns = consecutive(33, 139);
        c.columns.room = 35;
        attention_case(v, type, &c);
    }
    for (size_t i = 0; i < (forms ? sizeof dims / sizeof *dims : 1); i++) {
        c = matrix_units(6, 2, dims[i]);
        c.columns = consecutive(20, 143);
        if (takes_heads(v, kernel, &c))
            attention_case(v, type, &c);
    }
    for (uint32_t split = 2; split <= (forms ? 4u : 2u); split *= 2)
        run_split(v, kernel, split);
    for (uint32_t window = 1; window <= 512; window *= 8) {
        c = matrix_units(4, 1, 64);
        c.window = window;
        c.columns = consecutive(33, 299);
        attention_case(v, type, &c);
    }
    c = matrix_units(4, 1, 64);
    c.softcap = 2;
    c.q_scale = 20;
    c.columns = consecutive(12, 290);
    attention_case(v, type, &c);
    c.softcap = 0;
    attention_case(v, type, &c);
}

static void quick_prefill_coopmat(struct sto_verifier *v, enum sto_kernel kernel)
{
    struct attention_case c = matrix_units(6, 2, 128);
    c.sums = 0;
    if (!takes_heads(v, kernel, &c))
        c = matrix_units(6, 2, 64);
    c.columns = consecutive(20, 143);
    attention_case(v, sto_kernel_get(kernel)->weight, &c);
}

const struct sto_verify_source sto_verify_attention[] = {
    {"attn_prefill_coopmat.comp", false, run_prefill_coopmat, quick_prefill_coopmat},
    {"attn_prefill.comp", true, run_prefill, quick_prefill},
    {"attn_decode.comp", true, run_decode, quick_decode},
    {NULL, false, NULL, NULL},
};

/* The one forward pass: every family is this with other switches.
 *
 *   tokens -> embed -> x -> norm
 *   each layer:   q, k, v (+ bias) -> QK-norm, RoPE, KV write -> attention -> output product, added to x -> norm
 *                 gate, up -> act(gate) * up -> down product, added to x -> norm
 *   output product -> logits
 *
 * A norm belongs to what makes its x: for few columns it is part of that dispatch, and so is the activation, so that a
 * decode step has six groups of dispatches per layer: q k v, RoPE, attention, output, gate and up, down. Each needs all
 * of the one before it. A pass of several columns makes the last norm for the columns whose
 * logits are wanted. Activations are f32 [columns, width]; x stays f32 throughout. A product whose weight takes 8-bit
 * activations gets them from what would make them in f32, or from one quantisation that its neighbours share. */
#include "models/model.h"
#include "runtime/formats/formats.h"
#include "shaders/shared/args.h"

/* ---- scratch ---- */

enum buffer { BUF_X, BUF_H, BUF_HQ, BUF_QKV, BUF_ATTN, BUF_PARTIAL, BUF_GATE_UP, BUF_WIDE_Q, BUF_COUNT };
enum phase { PHASE_QKV, PHASE_ATTN, PHASE_O, PHASE_FFN_IN, PHASE_DOWN };

static uint32_t round_up_4(uint32_t n)
{
    return (n + 3) & ~3u;
}

static uint64_t f32_bytes(uint32_t rows, uint32_t cols)
{
    return (uint64_t)rows * round_up_4(cols) * sizeof(float);
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint64_t plan_scratch(const struct sto_hparams *h, uint32_t cols, uint32_t ctx_tokens,
                             struct sto_scratch_item *items)
{
    const uint32_t q = h->n_heads * h->head_dim;
    const uint32_t qkv = q + 2 * h->n_kv_heads * h->head_dim;
    const struct sto_scratch_item plan[BUF_COUNT] = {
        [BUF_X] = {.bytes = f32_bytes(cols, h->n_embd), .first = PHASE_QKV, .last = PHASE_DOWN},
        [BUF_H] = {.bytes = f32_bytes(cols, h->n_embd), .first = PHASE_QKV, .last = PHASE_DOWN},
        [BUF_HQ] = {.bytes = sto_op_q8_bytes(cols, h->n_embd), .first = PHASE_QKV, .last = PHASE_DOWN},
        [BUF_QKV] = {.bytes = f32_bytes(cols, qkv), .first = PHASE_QKV, .last = PHASE_ATTN},
        [BUF_ATTN] = {.bytes = f32_bytes(cols, q), .first = PHASE_ATTN, .last = PHASE_O},
        [BUF_PARTIAL] = {.bytes = sto_op_attention_scratch(h->n_heads, h->head_dim, ctx_tokens),
                         .first = PHASE_ATTN,
                         .last = PHASE_ATTN},
        [BUF_GATE_UP] = {.bytes = f32_bytes(cols, 2 * h->n_ff), .first = PHASE_FFN_IN, .last = PHASE_DOWN},
        [BUF_WIDE_Q] = {.bytes = sto_op_q8_bytes(cols, max_u32(h->n_ff, q)), .first = PHASE_ATTN, .last = PHASE_DOWN},
    };
    for (int i = 0; i < BUF_COUNT; i++)
        items[i] = plan[i];
    return sto_scratch_plan(items, BUF_COUNT);
}

uint64_t sto_decoder_scratch_bytes(const struct sto_model *model, uint32_t max_cols, uint32_t ctx_tokens)
{
    struct sto_scratch_item items[BUF_COUNT];
    return plan_scratch(&model->h, max_cols, ctx_tokens, items);
}

/* ---- what one pass works on ---- */

struct pass {
    const struct sto_hparams *h;
    struct sto_forward *f;
    uint32_t layer;
    struct sto_tensor x, h_norm, qkv, attn, gate_up; /* [n_cols, width] */
    uint64_t hq, wide_q, partial;                     /* addresses       */
};

static struct sto_tensor tensor(uint64_t address, uint32_t rows, uint32_t cols)
{
    return (struct sto_tensor){.address = address, .rows = rows, .cols = cols, .stride = round_up_4(cols)};
}

static struct pass begin_pass(const struct sto_model *model, struct sto_forward *f, uint32_t layer)
{
    const struct sto_hparams *h = &model->h;
    struct sto_scratch_item items[BUF_COUNT];
    (void)plan_scratch(h, f->max_cols, f->ctx_tokens, items);
    const uint64_t at = f->scratch;
    const uint32_t q = h->n_heads * h->head_dim;
    return (struct pass){
        .h = h,
        .f = f,
        .layer = layer,
        .x = tensor(at + items[BUF_X].offset, f->n_cols, h->n_embd),
        .h_norm = tensor(at + items[BUF_H].offset, f->n_cols, h->n_embd),
        .qkv = tensor(at + items[BUF_QKV].offset, f->n_cols, q + 2 * h->n_kv_heads * h->head_dim),
        .attn = tensor(at + items[BUF_ATTN].offset, f->n_cols, q),
        .gate_up = tensor(at + items[BUF_GATE_UP].offset, f->n_cols, 2 * h->n_ff),
        .hq = at + items[BUF_HQ].offset,
        .wide_q = at + items[BUF_WIDE_Q].offset,
        .partial = at + items[BUF_PARTIAL].offset,
    };
}

/* Columns [first, first + cols) of every row. */
static struct sto_tensor columns_of(struct sto_tensor t, uint32_t first, uint32_t cols)
{
    t.address += (uint64_t)first * sizeof(float);
    t.cols = cols;
    return t;
}

static struct sto_weight weight(const struct pass *p, enum sto_weight_role role)
{
    return sto_device_weight(p->f->weights, role, p->layer);
}

/* Columns [first, first + rows) of x. */
static struct sto_tensor rows_of(struct sto_tensor t, uint32_t first, uint32_t rows)
{
    t.address += (uint64_t)first * t.stride * sizeof(float);
    t.rows = rows;
    return t;
}

/* ---- norms ---- */

/* A norm, and the products that take its result. */
struct norm {
    enum sto_weight_role g;
    uint32_t layer;
    enum sto_weight_role consumers[3];
    uint32_t n_consumers;
};

static enum sto_weight_role output_role(const struct pass *p)
{
    return weight(p, STO_W_OUTPUT).address == 0 ? STO_W_TOKEN_EMBD : STO_W_OUTPUT;
}

static struct norm attention_norm(uint32_t layer)
{
    return (struct norm){STO_W_ATTN_NORM, layer, {STO_W_Q, STO_W_K, STO_W_V}, 3};
}

static struct norm ffn_norm(uint32_t layer)
{
    return (struct norm){STO_W_FFN_NORM, layer, {STO_W_GATE, STO_W_UP}, 2};
}

static struct norm output_norm(const struct pass *p)
{
    return (struct norm){STO_W_OUTPUT_NORM, 0, {output_role(p)}, 1};
}

/* Of `rows` columns: in 8 bits alone when all products take that, else in f32, and in 8 bits too for those that do. */
static struct sto_op_norm_args norm_args(const struct pass *p, const struct norm *norm, uint32_t rows)
{
    uint32_t n_q8 = 0;
    for (uint32_t i = 0; i < norm->n_consumers; i++) {
        const struct sto_weight w = sto_device_weight(p->f->weights, norm->consumers[i], norm->layer);
        n_q8 += sto_op_wants_q8(&p->f->ops, &w, rows);
    }
    return (struct sto_op_norm_args){
        .y = n_q8 < norm->n_consumers ? rows_of(p->h_norm, 0, rows) : (struct sto_tensor){0},
        .yq = n_q8 > 0 ? p->hq : 0,
        .g = sto_device_weight(p->f->weights, norm->g, norm->layer).address,
        .eps = p->h->norm_eps,
    };
}

/* ---- products ---- */

enum { MOST_PARTS = 3 };

/* Products of the same x whose results lie side by side in y. */
struct products {
    enum sto_weight_role roles[MOST_PARTS], biases[MOST_PARTS]; /* biases[i] == roles[i]: none */
    uint32_t n;
    struct sto_tensor y, x; /* y [n_cols, rows of all weights] */
    uint64_t xq;            /* where x lies in 8 bits, for those that take that */
    bool accumulate;
    const struct norm *norm; /* of y afterwards; only for a single product; or NULL */
};

static uint64_t bias_of(const struct pass *p, const struct products *a, uint32_t i)
{
    return a->biases[i] != a->roles[i] ? weight(p, a->biases[i]).address : 0;
}

/* Part i + 1 goes on where part i, which ends in w and starts its bias at `bias`, ends: in the file's layout and in
 * memory they are one matrix. */
static bool goes_on(const struct pass *p, const struct products *a, uint32_t i, const struct sto_weight *w,
                    uint64_t bias)
{
    const struct sto_weight next = weight(p, a->roles[i + 1]);
    const uint64_t next_bias = bias_of(p, a, i + 1);
    const uint64_t bytes = sto_type_bytes(w->type, w->cols) * w->rows;
    return next.type == w->type && next.cols == w->cols && next.piece == w->piece &&
           next.offset == w->offset + bytes && next.address == w->address + bytes &&
           (bias != 0 ? next_bias == bias + w->rows * sizeof(float) : next_bias == 0);
}

/* Part i, and as many of those after it as go on where it ends; *i becomes the last of them. */
static struct sto_weight joined(const struct pass *p, const struct products *a, uint32_t *i)
{
    const uint64_t bias = bias_of(p, a, *i);
    struct sto_weight w = weight(p, a->roles[*i]);
    while (*i + 1 < a->n && goes_on(p, a, *i, &w, bias))
        w.rows += weight(p, a->roles[++*i]).rows;
    return w;
}

/* Neighbours in memory become one product: fewer dispatches, and more rows for each. */
static void products(const struct pass *p, const struct products *a)
{
    struct sto_op_norm_args norm;
    uint32_t first = 0;
    if (a->norm != NULL)
        norm = norm_args(p, a->norm, a->x.rows);
    for (uint32_t i = 0; i < a->n; i++) {
        const uint64_t bias = bias_of(p, a, i);
        const struct sto_weight w = joined(p, a, &i);
        const struct sto_op_matmul_args args = {
            .y = columns_of(a->y, first, w.rows),
            .w = w,
            .x = a->x,
            .xq = sto_op_wants_q8(&p->f->ops, &w, a->x.rows) ? a->xq : 0,
            .bias = bias,
            .accumulate = a->accumulate,
            .norm = a->norm != NULL ? &norm : NULL,
        };
        sto_op_matmul(&p->f->ops, &args);
        first += w.rows;
    }
}

/* ---- the pass ---- */

void sto_decoder_record_begin(const struct sto_model *model, struct sto_forward *f)
{
    const struct pass p = begin_pass(model, f, 0);
    const struct sto_op_step_args step = {.host = f->step_host,
                                          .step = f->step,
                                          .groups = f->groups,
                                          .max_cols = f->n_cols,
                                          .n_kv_heads = p.h->n_kv_heads};
    if (f->step_host != 0)
        sto_op_step_begin(&f->ops, &step);
    sto_op_embed(&f->ops, p.x, weight(&p, STO_W_TOKEN_EMBD), f->step, p.h->embd_scale);
    const struct norm first = attention_norm(0);
    const struct sto_op_norm_args norm = norm_args(&p, &first, p.x.rows);
    sto_op_norm(&f->ops, p.x, &norm);
}

static void record_qkv(const struct pass *p)
{
    const struct products qkv = {.roles = {STO_W_Q, STO_W_K, STO_W_V},
                                 .biases = {STO_W_Q_BIAS, STO_W_K_BIAS, STO_W_V_BIAS},
                                 .n = 3, .y = p->qkv, .x = p->h_norm, .xq = p->hq};
    products(p, &qkv);
}

/* oq: where the result goes in 8 bits instead, or 0. */
static void record_attention(const struct pass *p, uint64_t oq)
{
    const struct sto_hparams *h = p->h;
    const struct sto_op_rope_kv_args rope = {
        .step = p->f->step,
        .qkv = p->qkv,
        .kv = p->f->kv[p->layer],
        .freqs = p->f->rope_freqs,
        .q_norm = weight(p, STO_W_Q_NORM).address,
        .k_norm = weight(p, STO_W_K_NORM).address,
        .n_heads = h->n_heads,
        .rope_dims = h->rope_dims,
        .rope_kind = h->rope_kind,
        .eps = h->norm_eps,
        .rope_scale = h->rope_scale,
    };
    sto_op_rope_kv(&p->f->ops, &rope);
    const struct sto_op_attention_args attention = {
        .step = p->f->step,
        .groups = p->f->groups,
        .o = p->attn,
        .oq = oq,
        .q = columns_of(p->qkv, 0, h->n_heads * h->head_dim),
        .kv = p->f->kv[p->layer],
        .partial = p->partial,
        .n_heads = h->n_heads,
        .max_tokens = p->f->max_tokens,
        .runs = p->f->runs,
        .n_runs = p->f->n_runs,
        .scale = h->attn_scale,
    };
    sto_op_attention(&p->f->ops, &attention);
}

/* act(gate) * up into the first half of gate_up, or as wide_q. */
static void record_gate_up(const struct pass *p, bool to_q8)
{
    const uint32_t n_ff = p->h->n_ff;
    const struct sto_tensor gate = columns_of(p->gate_up, 0, n_ff), up = columns_of(p->gate_up, n_ff, n_ff);
    const struct products in = {.roles = {STO_W_GATE, STO_W_UP}, .biases = {STO_W_GATE, STO_W_UP}, .n = 2,
                                .y = p->gate_up, .x = p->h_norm, .xq = p->hq};
    uint32_t last = 0;
    const struct sto_weight w = joined(p, &in, &last);
    if (last == 1) {
        const struct sto_op_matmul_args args = {
            .y = p->gate_up,
            .w = w,
            .x = p->h_norm,
            .xq = sto_op_wants_q8(&p->f->ops, &w, p->x.rows) ? p->hq : 0,
            .glu = true,
            .act = p->h->act,
            .glu_q8 = to_q8 ? p->wide_q : 0,
        };
        sto_op_matmul(&p->f->ops, &args);
        return;
    }
    products(p, &in);
    if (to_q8)
        sto_op_glu_q8(&p->f->ops, p->wide_q, gate, up, p->h->act);
    else
        sto_op_glu(&p->f->ops, gate, gate, up, p->h->act);
}

static void record_ffn(const struct pass *p)
{
    const uint32_t next = p->layer + 1;
    const struct sto_weight down = weight(p, STO_W_DOWN);
    const struct norm norm = next < p->h->n_layers ? attention_norm(next) : output_norm(p);
    const bool is_last = next == p->h->n_layers && p->x.rows > 1;
    record_gate_up(p, sto_op_wants_q8(&p->f->ops, &down, p->x.rows));
    products(p, &(struct products){.roles = {STO_W_DOWN}, .biases = {STO_W_DOWN}, .n = 1, .y = p->x,
                                   .x = columns_of(p->gate_up, 0, p->h->n_ff), .xq = p->wide_q, .accumulate = true,
                                   .norm = is_last ? NULL : &norm});
}

void sto_decoder_record_layer(const struct sto_model *model, struct sto_forward *f, uint32_t layer)
{
    const struct pass p = begin_pass(model, f, layer);
    const struct sto_weight o = weight(&p, STO_W_O);
    const uint64_t xq = sto_op_wants_q8(&f->ops, &o, p.x.rows) ? p.wide_q : 0;
    const struct norm norm = ffn_norm(layer);
    record_qkv(&p);
    record_attention(&p, xq);
    products(&p, &(struct products){.roles = {STO_W_O}, .biases = {STO_W_O_BIAS}, .n = 1, .y = p.x, .x = p.attn,
                                    .xq = xq, .accumulate = true, .norm = &norm});
    record_ffn(&p);
}

/* The norm of columns that need not be neighbours: they become rows side by side. */
static void gather_norms(const struct pass *p, uint32_t n_rows, const struct sto_op_norm_args *all)
{
    const uint32_t *cols = p->f->logit_cols;
    for (uint32_t i = 0, n; i < n_rows; i += n) {
        struct sto_op_norm_args part = *all;
        n = 1;
        while (i + n < n_rows && cols[i + n] == cols[i] + n)
            n++;
        if (all->y.address != 0)
            part.y = rows_of(all->y, i, n);
        if (all->yq != 0)
            part.yq = all->yq + sto_op_q8_bytes(i, p->x.cols);
        sto_op_norm(&p->f->ops, rows_of(p->x, cols[i], n), &part);
    }
}

struct sto_tensor sto_decoder_residual(const struct sto_model *model, const struct sto_forward *f)
{
    struct sto_forward at = *f;
    return begin_pass(model, &at, 0).x;
}

/* For several columns logits make their own norm. */
void sto_decoder_record_resume(const struct sto_model *model, struct sto_forward *f, uint32_t layer)
{
    const struct pass p = begin_pass(model, f, layer);
    const struct norm norm = layer < p.h->n_layers ? attention_norm(layer) : output_norm(&p);
    const struct sto_op_norm_args args = norm_args(&p, &norm, p.x.rows);
    if (layer < p.h->n_layers || p.x.rows == 1)
        sto_op_norm(&f->ops, p.x, &args);
}

void sto_decoder_record_logits(const struct sto_model *model, struct sto_forward *f, uint32_t first_col,
                               uint32_t n_rows, struct sto_tensor logits)
{
    const struct pass p = begin_pass(model, f, 0);
    const enum sto_weight_role role = output_role(&p);
    const struct norm norm = output_norm(&p);
    const struct sto_op_norm_args args = norm_args(&p, &norm, n_rows);
    if (f->logit_cols != NULL)
        gather_norms(&p, n_rows, &args);
    else if (p.x.rows > 1)
        sto_op_norm(&f->ops, rows_of(p.x, first_col, n_rows), &args);
    products(&p, &(struct products){.roles = {role}, .biases = {role}, .n = 1, .y = logits,
                                    .x = rows_of(p.h_norm, 0, n_rows), .xq = p.hq});
}

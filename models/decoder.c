/* The one forward pass: every family is this with other switches.
 *
 *   tokens -> embed -> x
 *   each layer:   x -> norm -> q, k, v (+ bias) -> QK-norm, RoPE, KV write -> attention -> output product, added to x
 *                 x -> norm -> gate, up -> act(gate) * up -> down product, added to x
 *   x of the wanted columns -> norm -> output product -> logits
 *
 * Activations are f32 [columns, width]; x stays f32 throughout. A product whose weight takes 8-bit activations gets
 * them from one quantisation that its neighbours share. */
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
        [BUF_H] = {.bytes = f32_bytes(cols, h->n_embd), .first = PHASE_QKV, .last = PHASE_FFN_IN},
        [BUF_HQ] = {.bytes = sto_op_q8_bytes(cols, h->n_embd), .first = PHASE_QKV, .last = PHASE_FFN_IN},
        [BUF_QKV] = {.bytes = f32_bytes(cols, qkv), .first = PHASE_QKV, .last = PHASE_ATTN},
        [BUF_ATTN] = {.bytes = f32_bytes(cols, q), .first = PHASE_ATTN, .last = PHASE_O},
        [BUF_PARTIAL] = {.bytes = sto_op_attention_scratch(h->n_heads, h->head_dim, ctx_tokens),
                         .first = PHASE_ATTN,
                         .last = PHASE_ATTN},
        [BUF_GATE_UP] = {.bytes = f32_bytes(cols, 2 * h->n_ff), .first = PHASE_FFN_IN, .last = PHASE_DOWN},
        [BUF_WIDE_Q] = {.bytes = sto_op_q8_bytes(cols, max_u32(h->n_ff, q)), .first = PHASE_O, .last = PHASE_DOWN},
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

/* Makes the 8-bit form of x if any of the given weights wants it; 0 when none does. */
static uint64_t quantize_for(const struct pass *p, struct sto_tensor x, uint64_t room,
                             const enum sto_weight_role *roles, uint32_t n_roles)
{
    for (uint32_t i = 0; i < n_roles; i++) {
        const struct sto_weight w = weight(p, roles[i]);
        if (sto_op_wants_q8(&p->f->ops, &w, x.rows)) {
            sto_op_quantize(&p->f->ops, room, x);
            return room;
        }
    }
    return 0;
}

/* The norm of x for products with these weights: in 8 bits alone when all of them take that (the result is its
 * address), else in f32 as y, and in 8 bits too for those that do; 0: for none. */
static uint64_t norm_for(const struct pass *p, struct sto_tensor y, struct sto_tensor x, enum sto_weight_role norm,
                         const enum sto_weight_role *roles, uint32_t n_roles)
{
    const uint64_t g = weight(p, norm).address;
    uint32_t n_q8 = 0;
    for (uint32_t i = 0; i < n_roles; i++) {
        const struct sto_weight w = weight(p, roles[i]);
        n_q8 += sto_op_wants_q8(&p->f->ops, &w, x.rows);
    }
    if (n_q8 == n_roles) {
        sto_op_rmsnorm_q8(&p->f->ops, p->hq, x, g, p->h->norm_eps);
        return p->hq;
    }
    sto_op_rmsnorm(&p->f->ops, y, x, g, p->h->norm_eps);
    return quantize_for(p, y, p->hq, roles, n_roles);
}

enum { MOST_PARTS = 3 };

/* Products of the same x whose results lie side by side in y. */
struct products {
    enum sto_weight_role roles[MOST_PARTS], biases[MOST_PARTS]; /* biases[i] == roles[i]: none */
    uint32_t n;
    struct sto_tensor y, x; /* y [n_cols, rows of all weights] */
    uint64_t xq;
    bool accumulate;
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

/* Neighbours in memory become one product: fewer dispatches, and more rows for each. */
static void products(const struct pass *p, const struct products *a)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        struct sto_weight w = weight(p, a->roles[i]);
        const uint64_t bias = bias_of(p, a, i);
        while (i + 1 < a->n && goes_on(p, a, i, &w, bias))
            w.rows += weight(p, a->roles[++i]).rows;
        const struct sto_op_matmul_args args = {
            .y = columns_of(a->y, first, w.rows),
            .w = w,
            .x = a->x,
            .xq = sto_op_wants_q8(&p->f->ops, &w, a->x.rows) ? a->xq : 0,
            .bias = bias,
            .accumulate = a->accumulate,
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
}

static void record_qkv(const struct pass *p)
{
    struct products qkv = {.roles = {STO_W_Q, STO_W_K, STO_W_V}, .biases = {STO_W_Q_BIAS, STO_W_K_BIAS, STO_W_V_BIAS},
                           .n = 3, .y = p->qkv, .x = p->h_norm};
    qkv.xq = norm_for(p, p->h_norm, p->x, STO_W_ATTN_NORM, qkv.roles, qkv.n);
    products(p, &qkv);
}

static void record_attention(const struct pass *p)
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
        .q = columns_of(p->qkv, 0, h->n_heads * h->head_dim),
        .kv = p->f->kv[p->layer],
        .partial = p->partial,
        .n_heads = h->n_heads,
        .max_tokens = p->f->max_tokens,
        .scale = h->attn_scale,
    };
    sto_op_attention(&p->f->ops, &attention);
}

static void record_ffn(const struct pass *p)
{
    const uint32_t n_ff = p->h->n_ff;
    const struct sto_tensor gate = columns_of(p->gate_up, 0, n_ff), up = columns_of(p->gate_up, n_ff, n_ff);
    const struct sto_weight down = weight(p, STO_W_DOWN);
    struct products in = {.roles = {STO_W_GATE, STO_W_UP}, .biases = {STO_W_GATE, STO_W_UP}, .n = 2,
                          .y = p->gate_up, .x = p->h_norm};
    struct products out = {.roles = {STO_W_DOWN}, .biases = {STO_W_DOWN}, .n = 1, .y = p->x, .x = gate,
                           .accumulate = true};
    in.xq = norm_for(p, p->h_norm, p->x, STO_W_FFN_NORM, in.roles, in.n);
    products(p, &in);
    if (sto_op_wants_q8(&p->f->ops, &down, gate.rows)) {
        out.xq = p->wide_q;
        sto_op_glu_q8(&p->f->ops, out.xq, gate, up, p->h->act);
    } else {
        sto_op_glu(&p->f->ops, gate, gate, up, p->h->act);
    }
    products(p, &out);
}

void sto_decoder_record_layer(const struct sto_model *model, struct sto_forward *f, uint32_t layer)
{
    static const enum sto_weight_role out[] = {STO_W_O};
    const struct pass p = begin_pass(model, f, layer);
    record_qkv(&p);
    record_attention(&p);
    const uint64_t xq = quantize_for(&p, p.attn, p.wide_q, out, 1);
    products(&p, &(struct products){.roles = {STO_W_O}, .biases = {STO_W_O_BIAS}, .n = 1, .y = p.x, .x = p.attn,
                                    .xq = xq, .accumulate = true});
    record_ffn(&p);
}

void sto_decoder_record_logits(const struct sto_model *model, struct sto_forward *f, uint32_t first_col,
                               uint32_t n_rows, struct sto_tensor logits)
{
    const struct pass p = begin_pass(model, f, 0);
    const bool tied = weight(&p, STO_W_OUTPUT).address == 0;
    const enum sto_weight_role role = tied ? STO_W_TOKEN_EMBD : STO_W_OUTPUT;
    struct sto_tensor x = p.x;
    struct sto_tensor h = p.h_norm;
    x.address += (uint64_t)first_col * x.stride * sizeof(float);
    x.rows = h.rows = n_rows;
    const uint64_t xq = norm_for(&p, h, x, STO_W_OUTPUT_NORM, &role, 1);
    products(&p, &(struct products){.roles = {role}, .biases = {role}, .n = 1, .y = logits, .x = h, .xq = xq});
}

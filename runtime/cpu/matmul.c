/* Products on the processor: x in 8 bits once, then pieces of rows; what follows a product follows its rows where
 * they are still in cache. */
#include "runtime/cpu/cpu_impl.h"

#include <assert.h>

#include "runtime/base/exact_math.h"
#include "runtime/formats/formats.h"
#include "shaders/shared/args.h"

struct product {
    const struct sto_cpu *cpu;
    const struct sto_op_matmul_args *a;
    void (*run)(const struct sto_cpu_product *p);
    struct sto_cpu_product whole;
    uint32_t n_rows, rows_each; /* of a piece; with glu, of gate and up alike */
    uint32_t n_in;
};

static bool in_8_bits(const struct sto_ops *ops, const struct sto_weight *w)
{
    const bool wanted = ops->math == STO_MATH_AUTO || ops->math == STO_MATH_INT8;
    return wanted && ops->cpu->kernels->product_q8[w->type] != NULL && w->cols % 32 == 0;
}

/* ---- activations ---- */

static void quantize_column(void *job, uint32_t c, uint32_t thread)
{
    const struct product *p = job;
    (void)thread;
    p->cpu->kernels->quantize(p->cpu->xq + c * p->whole.x_stride, sto_host_row(&p->a->x, c), p->n_in);
}

static void bring_x(struct product *p, bool q8)
{
    const struct sto_op_matmul_args *a = p->a;
    if (!q8) {
        p->whole.x = sto_host_floats(a->x.address);
        p->whole.x_stride = a->x.stride;
        return;
    }
    p->whole.x = p->cpu->xq;
    p->whole.x_stride = (p->n_in + STO_CPU_PANEL - 1) / STO_CPU_PANEL;
    sto_pool_run(p->cpu->pool, quantize_column, p, a->x.rows);
}

/* ---- rows ---- */

static void run_rows(const struct product *p, uint32_t first, uint32_t n, uint32_t thread)
{
    struct sto_cpu_product part = p->whole;
    part.w += first * part.row_bytes;
    part.n_rows = n;
    part.y += first;
    part.bias = part.bias != NULL ? part.bias + first : NULL;
    part.room = sto_cpu_room(p->cpu, thread);
    p->run(&part);
}

/* SiLU is x / (1 + e^-x), GELU's tanh form x / (1 + e^-2u) with u = sqrt(2 / pi) (x + 0.044715 x^3): both here. */
static void glu(float *y, const float *gate, const float *up, uint32_t n, uint32_t act)
{
    enum { SOME = 64 };
    float e[SOME];
    for (uint32_t at = 0; at < n; at += SOME) {
        const uint32_t some = n - at < SOME ? n - at : SOME;
        for (uint32_t i = 0; i < some; i++) {
            const float x = gate[at + i];
            e[i] = act == ACT_GELU ? 1.5957691216057308f * (x + 0.044715f * x * x * x) : x;
        }
        sto_exact_exp_n(e, e, some, 0.0f, -1.0f);
        for (uint32_t i = 0; i < some; i++)
            y[at + i] = gate[at + i] / (1.0f + e[i]) * up[at + i];
    }
}

static void run_piece(void *job, uint32_t piece, uint32_t thread)
{
    const struct product *p = job;
    const uint32_t first = piece * p->rows_each, left = p->n_rows - first;
    const uint32_t n = left < p->rows_each ? left : p->rows_each;
    run_rows(p, first, n, thread);
    if (!p->a->glu)
        return;
    run_rows(p, p->n_rows + first, n, thread);
    for (uint32_t c = 0; c < p->a->y.rows; c++) {
        float *y = sto_host_row(&p->a->y, c) + first;
        glu(y, y, y + p->n_rows, n, p->a->act);
    }
}

void sto_cpu_matmul(struct sto_ops *ops, const struct sto_op_matmul_args *a)
{
    const struct sto_cpu *cpu = ops->cpu;
    const bool q8 = in_8_bits(ops, &a->w);
    struct product p = {
        .cpu = cpu,
        .a = a,
        .run = q8 ? cpu->kernels->product_q8[a->w.type] : cpu->kernels->product_f32[a->w.type],
        .n_in = a->w.cols,
        .n_rows = a->glu ? a->w.rows / 2 : a->w.rows,
        .whole = {.w = (const uint8_t *)(uintptr_t)a->w.address,
                  .row_bytes = sto_type_bytes(a->w.type, a->w.cols),
                  .n_in = a->w.cols,
                  .n_cols = a->x.rows,
                  .y = sto_host_floats(a->y.address),
                  .y_stride = a->y.stride,
                  .bias = a->bias != 0 ? sto_host_floats(a->bias) : NULL,
                  .accumulate = a->accumulate},
    };
    assert(a->x.rows == a->y.rows && a->x.cols == a->w.cols && a->x.rows <= cpu->params.max_cols &&
           a->w.cols <= cpu->params.max_in);
    bring_x(&p, q8);
    const uint32_t n = sto_cpu_pieces(cpu, p.n_rows, STO_CPU_BLOCK_ROWS, &p.rows_each);
    sto_pool_run(cpu->pool, run_piece, &p, n);
    if (a->norm != NULL)
        sto_cpu_norm(ops, a->y, a->norm);
}

/* ---- the activation alone ---- */

struct glu_job {
    struct sto_tensor y, gate, up;
    uint32_t act;
};

static void glu_column(void *job, uint32_t c, uint32_t thread)
{
    const struct glu_job *g = job;
    (void)thread;
    glu(sto_host_row(&g->y, c), sto_host_row(&g->gate, c), sto_host_row(&g->up, c), g->y.cols, g->act);
}

void sto_cpu_glu(struct sto_ops *ops, struct sto_tensor y, struct sto_tensor gate, struct sto_tensor up, uint32_t act)
{
    struct glu_job job = {.y = y, .gate = gate, .up = up, .act = act};
    sto_pool_run(ops->cpu->pool, glu_column, &job, y.rows);
}

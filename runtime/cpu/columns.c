/* What is done to each column by itself: embedding, norm, QK-norm with RoPE and the KV write. */
#include "runtime/cpu/cpu_impl.h"

#include <math.h>
#include <string.h>

#include "runtime/formats/formats.h"
#include "shaders/shared/args.h"

static const struct StepColumn *step_column(uint64_t step, uint32_t c)
{
    return (const struct StepColumn *)(uintptr_t)(step + sizeof(struct StepHeader)) + c;
}

/* ---- embedding ---- */

struct embed_job {
    struct sto_tensor y;
    struct sto_weight w;
    uint64_t step;
    float scale;
};

static void embed_column(void *job, uint32_t c, uint32_t thread)
{
    const struct embed_job *e = job;
    const uint32_t id = step_column(e->step, c)->token, row = id < e->w.rows ? id : e->w.rows - 1;
    float *y = sto_host_row(&e->y, c);
    (void)thread;
    sto_decode(e->w.type, (const uint8_t *)(uintptr_t)e->w.address + row * sto_type_bytes(e->w.type, e->w.cols), y,
               e->w.cols);
    for (uint32_t i = 0; e->scale != 1.0f && i < e->w.cols; i++)
        y[i] *= e->scale;
}

void sto_cpu_embed(struct sto_ops *ops, struct sto_tensor y, struct sto_weight w, uint64_t step, float scale)
{
    struct embed_job job = {.y = y, .w = w, .step = step, .scale = scale};
    sto_pool_run(ops->cpu->pool, embed_column, &job, y.rows);
}

/* ---- norm ---- */

struct norm_job {
    const struct sto_cpu_kernels *kernels;
    struct sto_tensor x;
    const struct sto_op_norm_args *a;
};

static void norm_column(void *job, uint32_t c, uint32_t thread)
{
    const struct norm_job *n = job;
    const float *g = n->a->g != 0 ? sto_host_floats(n->a->g) : NULL;
    (void)thread;
    n->kernels->norm(sto_host_row(&n->a->y, c), sto_host_row(&n->x, c), g, n->x.cols, n->a->eps);
}

void sto_cpu_norm(struct sto_ops *ops, struct sto_tensor x, const struct sto_op_norm_args *a)
{
    struct norm_job job = {.kernels = ops->cpu->kernels, .x = x, .a = a};
    sto_pool_run(ops->cpu->pool, norm_column, &job, x.rows);
}

/* ---- QK-norm, RoPE, KV write ---- */

enum { MAX_HEAD_DIM = 512 };

struct rope_job {
    const struct sto_cpu_kernels *kernels;
    const struct sto_op_rope_kv_args *a;
};

/* cos and sin of each pair at a position. */
static void make_rotation(const struct sto_op_rope_kv_args *a, uint32_t position, float *cosines, float *sines)
{
    const float *freqs = sto_host_floats(a->freqs);
    for (uint32_t i = 0; i < a->rope_dims / 2; i++) {
        const double angle = (double)position * (double)freqs[i];
        cosines[i] = (float)cos(angle) * a->rope_scale;
        sines[i] = (float)sin(angle) * a->rope_scale;
    }
}

static void rotate(const struct sto_op_rope_kv_args *a, float *head, const float *cosines, const float *sines)
{
    const uint32_t pairs = a->rope_dims / 2;
    const bool neox = a->rope_kind == ROPE_NEOX;
    for (uint32_t i = 0; i < pairs; i++) {
        float *first = head + (neox ? i : 2 * i), *second = head + (neox ? i + pairs : 2 * i + 1);
        const float x = *first, y = *second;
        *first = x * cosines[i] - y * sines[i];
        *second = x * sines[i] + y * cosines[i];
    }
}

/* Where head h of a position lies in the K part of its page. */
static uint8_t *kv_row(const struct sto_kv_layer *kv, const struct StepColumn *column, uint32_t h)
{
    const uint64_t *table = (const uint64_t *)(uintptr_t)kv->table;
    const uint64_t page = table[(size_t)column->sequence * kv->pages + column->position / KV_PAGE];
    return (uint8_t *)(uintptr_t)page +
           ((size_t)h * KV_PAGE + column->position % KV_PAGE) * sto_type_bytes(kv->type, kv->head_dim);
}

static void rope_column(void *job, uint32_t c, uint32_t thread)
{
    const struct rope_job *r = job;
    const struct sto_op_rope_kv_args *a = r->a;
    const struct StepColumn *column = step_column(a->step, c);
    const uint32_t d = a->kv.head_dim, n_kv = a->kv.n_kv_heads, n_turned = a->n_heads + n_kv;
    float cosines[MAX_HEAD_DIM / 2], sines[MAX_HEAD_DIM / 2], *qkv = sto_host_row(&a->qkv, c);
    (void)thread;
    if (a->rope_kind != ROPE_NONE)
        make_rotation(a, column->position, cosines, sines);
    for (uint32_t h = 0; h < n_turned; h++) {
        const uint64_t g = h < a->n_heads ? a->q_norm : a->k_norm;
        float *head = qkv + (size_t)h * d;
        if (g != 0)
            r->kernels->norm(head, head, sto_host_floats(g), d, a->eps);
        if (a->rope_kind != ROPE_NONE)
            rotate(a, head, cosines, sines);
    }
    for (uint32_t h = 0; h < n_kv && column->position < a->kv.pages * KV_PAGE; h++) {
        uint8_t *row = kv_row(&a->kv, column, h);
        sto_encode(a->kv.type, qkv + (size_t)(a->n_heads + h) * d, row, d);
        sto_encode(a->kv.type, qkv + (size_t)(n_turned + h) * d, row + sto_kv_v_offset(a->kv.type, n_kv, d), d);
    }
}

void sto_cpu_rope_kv(struct sto_ops *ops, const struct sto_op_rope_kv_args *a)
{
    struct rope_job job = {.kernels = ops->cpu->kernels, .a = a};
    sto_pool_run(ops->cpu->pool, rope_column, &job, a->qkv.rows);
}

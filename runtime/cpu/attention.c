/* Attention on the processor: a piece is a KV head and a tile of columns. Its keys and values become floats once, 32
 * tokens at a time, for all query heads that share them and all columns of the tile.
 *
 * Blocks of keys begin at multiples of 32 whatever the tile, so that a column's result does not depend on it. */
#include "runtime/cpu/cpu_impl.h"

#include <math.h>
#include <string.h>

#include "runtime/formats/formats.h"
#include "shaders/shared/step.h"

_Static_assert(KV_PAGE % STO_CPU_KEYS == 0, "a block of keys lies in one page");

/* One thread's room: floats. */
struct room {
    float *q, *o;    /* [rows, head_dim]         */
    float *k, *v;    /* [STO_CPU_KEYS, head_dim] */
    float *max, *sum; /* [rows]                  */
    uint32_t *n_seen; /* [rows]                  */
};

static uint32_t most_rows(const struct sto_cpu_params *params)
{
    return params->max_group > STO_CPU_ATTENTION_ROWS ? params->max_group : STO_CPU_ATTENTION_ROWS;
}

size_t sto_cpu_attention_room(const struct sto_cpu_params *params)
{
    const size_t rows = most_rows(params);
    return (2 * rows * params->head_dim + 2 * (size_t)STO_CPU_KEYS * params->head_dim + 3 * rows) * sizeof(float);
}

static struct room open_room(const struct sto_cpu *cpu, uint32_t thread)
{
    const size_t rows = most_rows(&cpu->params), d = cpu->params.head_dim;
    struct room r = {.q = sto_cpu_room(cpu, thread)};
    r.o = r.q + rows * d;
    r.k = r.o + rows * d;
    r.v = r.k + STO_CPU_KEYS * d;
    r.max = r.v + STO_CPU_KEYS * d;
    r.sum = r.max + rows;
    r.n_seen = (uint32_t *)(void *)(r.sum + rows);
    return r;
}

struct attention_job {
    const struct sto_cpu *cpu;
    const struct sto_op_attention_args *a;
    const struct StepColumn *columns;
    uint32_t first_col, end_col; /* the run */
    uint32_t tile_cols, n_tiles, group;
};

/* Keys and values of KV head h from a multiple of STO_CPU_KEYS on. */
static void load_keys(const struct attention_job *j, const struct room *r, uint32_t sequence, uint32_t h,
                      uint32_t first, uint32_t n)
{
    const struct sto_kv_layer *kv = &j->a->kv;
    const uint64_t *table = (const uint64_t *)(uintptr_t)kv->table;
    const uint32_t d = kv->head_dim;
    const uint8_t *page = (const uint8_t *)(uintptr_t)table[(size_t)sequence * kv->pages + first / KV_PAGE];
    const uint8_t *k = page + ((size_t)h * KV_PAGE + first % KV_PAGE) * sto_type_bytes(kv->type, d);
    j->cpu->kernels->decode(kv->type, r->k, k, n * d);
    j->cpu->kernels->decode(kv->type, r->v, k + sto_kv_v_offset(kv->type, kv->n_kv_heads, d), n * d);
}

static void load_queries(const struct attention_job *j, const struct room *r, uint32_t h, uint32_t first_col,
                         uint32_t n_cols)
{
    const uint32_t d = j->a->kv.head_dim;
    for (uint32_t i = 0; i < n_cols * j->group; i++) {
        const uint32_t head = h * j->group + i % j->group;
        const float *q = sto_host_row(&j->a->q, first_col + i / j->group) + (size_t)head * d;
        for (uint32_t k = 0; k < d; k++)
            r->q[(size_t)i * d + k] = q[k] * j->a->scale;
        r->max[i] = -INFINITY;
        r->sum[i] = 0.0f;
    }
    memset(r->o, 0, (size_t)n_cols * j->group * d * sizeof *r->o);
}

static void store_results(const struct attention_job *j, const struct room *r, uint32_t h, uint32_t first_col,
                          uint32_t n_cols)
{
    const uint32_t d = j->a->kv.head_dim;
    for (uint32_t i = 0; i < n_cols * j->group; i++) {
        float *o = sto_host_row(&j->a->o, first_col + i / j->group) + (size_t)(h * j->group + i % j->group) * d;
        for (uint32_t k = 0; k < d; k++)
            o[k] = r->o[(size_t)i * d + k] / r->sum[i];
    }
}

/* Keys of the block at `first` that a column sees. */
static uint32_t seen(const struct StepColumn *column, uint32_t first)
{
    if (column->position < first)
        return 0;
    return column->position - first < STO_CPU_KEYS ? column->position - first + 1 : STO_CPU_KEYS;
}

static void run_tile(void *job, uint32_t piece, uint32_t thread)
{
    const struct attention_job *j = job;
    const struct room r = open_room(j->cpu, thread);
    const uint32_t h = piece / j->n_tiles, first_col = j->first_col + piece % j->n_tiles * j->tile_cols;
    const uint32_t left = j->end_col - first_col, n_cols = left < j->tile_cols ? left : j->tile_cols;
    const struct StepColumn *columns = j->columns + first_col;
    uint32_t last = 0;
    for (uint32_t c = 0; c < n_cols; c++)
        last = columns[c].position > last ? columns[c].position : last;
    load_queries(j, &r, h, first_col, n_cols);
    for (uint32_t first = 0; first <= last; first += STO_CPU_KEYS) {
        const uint32_t n = last - first < STO_CPU_KEYS ? last - first + 1 : STO_CPU_KEYS;
        for (uint32_t i = 0; i < n_cols * j->group; i++)
            r.n_seen[i] = seen(&columns[i / j->group], first);
        load_keys(j, &r, columns[0].sequence, h, first, n);
        for (uint32_t row = 0; row < n_cols * j->group; row += STO_CPU_ATTENTION_ROWS) {
            const uint32_t rest = n_cols * j->group - row, d = j->a->kv.head_dim;
            const struct sto_cpu_attention part = {
                .q = r.q + (size_t)row * d, .k = r.k, .v = r.v, .o = r.o + (size_t)row * d, .max = r.max + row,
                .sum = r.sum + row, .n_seen = r.n_seen + row, .n_keys = n, .head_dim = d,
                .n_rows = rest < STO_CPU_ATTENTION_ROWS ? rest : STO_CPU_ATTENTION_ROWS};
            j->cpu->kernels->attention(&part);
        }
    }
    store_results(j, &r, h, first_col, n_cols);
}

/* Columns of a tile belong to one sequence: where the run has several, a tile is a column. */
static bool one_sequence(const struct StepColumn *columns, uint32_t n)
{
    for (uint32_t c = 1; c < n; c++) {
        if (columns[c].sequence != columns[0].sequence)
            return false;
    }
    return true;
}

void sto_cpu_attention(struct sto_ops *ops, const struct sto_op_attention_args *a)
{
    const uint32_t group = a->n_heads / a->kv.n_kv_heads;
    struct attention_job j = {
        .cpu = ops->cpu,
        .a = a,
        .columns = (const struct StepColumn *)(uintptr_t)(a->step + sizeof(struct StepHeader)),
        .group = group,
    };
    for (uint32_t r = 0; r < a->n_runs || j.end_col < a->q.rows; r++) {
        const uint32_t n = r < a->n_runs ? a->runs[r].n_cols : a->q.rows - j.end_col;
        j.first_col = j.end_col;
        j.end_col += n;
        j.tile_cols = 1;
        if (group < STO_CPU_ATTENTION_ROWS && one_sequence(j.columns + j.first_col, n))
            j.tile_cols = STO_CPU_ATTENTION_ROWS / group;
        j.n_tiles = (n + j.tile_cols - 1) / j.tile_cols;
        sto_pool_run(ops->cpu->pool, run_tile, &j, a->kv.n_kv_heads * j.n_tiles);
    }
}

/* Attention over a paged KV cache.
 *
 *   few columns, or deterministic:  attn_decode (piece, KV head, column), whose last workgroup merges the pieces
 *   columns of several sequences:   likewise
 *   many columns of one sequence:   attn_prefill (tile of columns, KV head), attn_prefill_coopmat on matrix units
 *
 * A decode recording is replayed while the context grows: its group counts come from step_begin. Where one recording
 * holds several groups of DECODE_COLUMNS columns (deterministic prefill) the counts are fixed from max_tokens, as the
 * indirect ones describe the whole step; workgroups beyond a column's position end at once. */
#include "runtime/ops/ops.h"

#include <assert.h>

#include "runtime/cpu/cpu.h"
#include "runtime/formats/formats.h"
#include "runtime/vk/tuning.h"
#include "shaders/shared/args.h"

static_assert(sizeof(struct AttnArgs) == 104, "pushed whole");

enum { DECODE_COLUMNS = 8 }; /* columns that the scratch holds */

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static enum sto_kernel decode_kernel(enum sto_type type)
{
    switch (type) {
    case STO_TYPE_F32: return STO_KERNEL_attn_decode_f32;
    case STO_TYPE_F16: return STO_KERNEL_attn_decode_f16;
    case STO_TYPE_Q8_0: return STO_KERNEL_attn_decode_q8_0;
    case STO_TYPE_IQ4_NL: return STO_KERNEL_attn_decode_iq4_nl;
    default: return STO_KERNEL_COUNT;
    }
}

uint64_t sto_op_attention_scratch(uint32_t n_heads, uint32_t head_dim, uint32_t ctx_tokens)
{
    const uint64_t pieces = ((uint64_t)ctx_tokens + KV_PAGE - 1) / KV_PAGE;
    return DECODE_COLUMNS * (uint64_t)n_heads * pieces * ATTN_PARTIAL(head_dim) * 4;
}

static bool shapes_fit(const struct sto_op_attention_args *a)
{
    const uint32_t d = a->kv.head_dim, n_kv = a->kv.n_kv_heads;
    const uint32_t multiple = a->kv.type == STO_TYPE_Q8_0 || a->kv.type == STO_TYPE_IQ4_NL ? 32 : 8;
    return decode_kernel(a->kv.type) != STO_KERNEL_COUNT && d > 0 && d <= 512 && d % multiple == 0 && n_kv > 0 &&
           a->n_heads % n_kv == 0 && a->q.rows == a->o.rows && a->q.cols >= a->n_heads * d &&
           a->q.stride % 4 == 0 && a->o.cols == a->n_heads * d && a->o.stride == a->o.cols && a->o.rows <= 65535 &&
           a->kv.pages > 0 && n_kv <= STO_OP_COUNTERS / DECODE_COLUMNS;
}

/* Upper bounds of one dispatch over n columns: floating-point operations and bytes of KV. */
struct work {
    uint64_t flops, bytes;
};

static struct work estimate(const struct sto_op_attention_args *a, uint32_t n, uint32_t kv_reads)
{
    const uint64_t tokens = a->max_tokens > 0 ? a->max_tokens : (uint64_t)a->kv.pages * KV_PAGE;
    const uint64_t row = sto_type_bytes(a->kv.type, a->kv.head_dim);
    const uint64_t attended = a->max_tokens > n ? tokens - n / 2 : tokens; /* by a column in the middle of the last n */
    return (struct work){.flops = 4 * attended * n * a->n_heads * a->kv.head_dim,
                         .bytes = 2 * tokens * kv_reads * a->kv.n_kv_heads * row};
}

/* Columns [col0, col0 + n): partial results of every piece, and their sum; in 8 bits when out_q8 is set. */
static void record_decode(struct sto_ops *ops, const struct sto_op_attention_args *a, const struct AttnArgs *args,
                          bool whole_step)
{
    const uint32_t n = args->n_cols, d = a->kv.head_dim;
    const uint32_t limit =
        a->max_tokens > 0 ? (uint32_t)(((uint64_t)a->max_tokens + KV_PAGE - 1) / KV_PAGE) : a->kv.pages;
    const struct work work = estimate(a, n, n);
    const uint64_t partial_bytes = (uint64_t)n * a->n_heads * args->max_pieces * ATTN_PARTIAL(d) * 4;
    const uint64_t row_bytes = args->out_q8 != 0 ? sto_op_q8_bytes(1, a->o.cols) : (uint64_t)a->o.stride * 4;
    const struct sto_use uses[] = {
        {.address = a->step, .access = STO_READ,
         .bytes = sizeof(struct StepHeader) + (uint64_t)a->o.rows * sizeof(struct StepColumn)},
        {.address = a->q.address, .bytes = (uint64_t)a->q.rows * a->q.stride * 4, .access = STO_READ},
        {.address = a->kv.base, .bytes = a->kv.bytes, .access = STO_READ},
        {.address = a->partial, .bytes = partial_bytes, .access = STO_READ_WRITE},
        {.address = ops->counters, .bytes = (uint64_t)n * a->kv.n_kv_heads * 4, .access = STO_READ_WRITE},
        {.address = args->o + args->col0 * row_bytes, .bytes = n * row_bytes, .access = STO_WRITE},
    };
    const struct sto_dispatch decode = {
        .kernel = decode_kernel(a->kv.type),
        .tuning = &ops->plan->tuning[decode_kernel(a->kv.type)],
        .args = args,
        .groups = {min_u32(limit, a->kv.pages), a->kv.n_kv_heads, n},
        .indirect = whole_step ? a->groups : NULL,
        .uses = uses,
        .n_uses = sizeof uses / sizeof *uses,
        .flops = work.flops + partial_bytes / 2,
        .bytes_moved = work.bytes + 2 * partial_bytes,
    };
    sto_record_dispatch(ops->rec, &decode);
}

/* How a prompt's attention is made. */
struct prefill {
    enum sto_kernel kernel;
    struct sto_tuning tuning;
    uint32_t tile_rows; /* rows (one column and one query head each) that a workgroup works on at once */
};

/* Any other number of workgroups is correct too. */
static uint32_t prefill_tile_rows(uint32_t workgroup, uint32_t head_dim)
{
    const uint32_t rows = 8, row_parts = head_dim / 4;
    if (workgroup >= row_parts)
        return workgroup / row_parts * rows;
    const uint32_t room = workgroup * rows > 128 ? workgroup * rows : 128;
    return room / row_parts < rows ? room / row_parts : rows;
}

/* On matrix units, where f16 operands may be used and the heads fit. */
static bool choose_matrix_units(const struct sto_ops *ops, const struct sto_op_attention_args *a, struct prefill *p)
{
    enum { M = 2, SPLIT = 8 }; /* constant_id */
    const struct sto_device_plan *plan = ops->plan;
    const bool f16 = ops->math == STO_MATH_F16 || (ops->math != STO_MATH_EXACT && plan->f16_by_default);

    p->kernel = plan->attn_prefill_f16[a->kv.type];
    if (!f16 || p->kernel >= STO_KERNEL_COUNT)
        return false;
    p->tuning = plan->tuning[p->kernel];
    if (!sto_tuning_attention(plan, sto_kernel_get(p->kernel), a->kv.head_dim, &p->tuning))
        return false;
    const uint32_t *v = p->tuning.values;
    p->tile_rows = v[0] / v[1] / v[SPLIT] * v[M];
    return true;
}

/* False where the columns are for the decode kernels: some drivers bound how long a dispatch may loop
 * (runtime/vk/tuning.c). */
static bool choose_prefill(const struct sto_ops *ops, const struct sto_op_attention_args *a, struct prefill *p)
{
    enum { LIMIT = 2 }; /* constant_id that is the operation's */
    const uint64_t tokens = a->max_tokens > 0 ? a->max_tokens : (uint64_t)a->kv.pages * KV_PAGE;

    if (choose_matrix_units(ops, a, p))
        return true;
    p->kernel = ops->plan->attn_prefill[a->kv.type];
    if (p->kernel >= STO_KERNEL_COUNT)
        return false;
    p->tuning = ops->plan->tuning[p->kernel];
    p->tile_rows = prefill_tile_rows(p->tuning.values[0], a->kv.head_dim);
    return p->tuning.values[LIMIT] == 0 || tokens * a->kv.head_dim <= p->tuning.values[LIMIT];
}

static void record_prefill(struct sto_ops *ops, const struct sto_op_attention_args *a, const struct AttnArgs *args,
                           const struct prefill *p)
{
    const uint64_t rows = (uint64_t)args->n_cols * (a->n_heads / a->kv.n_kv_heads);
    const uint64_t tiles = (rows + p->tile_rows - 1) / p->tile_rows;
    const struct work work = estimate(a, args->n_cols, (uint32_t)tiles);
    const struct sto_use uses[] = {
        {.address = a->step, .access = STO_READ,
         .bytes = sizeof(struct StepHeader) + (uint64_t)a->o.rows * sizeof(struct StepColumn)},
        {.address = a->q.address, .bytes = (uint64_t)a->q.rows * a->q.stride * 4, .access = STO_READ},
        {.address = a->kv.base, .bytes = a->kv.bytes, .access = STO_READ},
        {.address = a->o.address + (uint64_t)args->col0 * a->o.stride * 4,
         .bytes = (uint64_t)args->n_cols * a->o.stride * 4, .access = STO_WRITE},
    };
    const struct sto_dispatch dispatch = {
        .kernel = p->kernel,
        .tuning = &p->tuning,
        .args = args,
        .groups = {tiles < 65535 ? (uint32_t)tiles : 65535, a->kv.n_kv_heads, 1},
        .uses = uses,
        .n_uses = 4,
        .flops = work.flops,
        .bytes_moved = work.bytes,
        .once_bytes = estimate(a, args->n_cols, 1).bytes + 2 * uses[1].bytes,
    };
    sto_record_dispatch(ops->rec, &dispatch);
}

/* Whether a run is for the prefill kernels; how, if so. */
static bool takes_prefill(const struct sto_ops *ops, const struct sto_op_attention_args *a,
                          const struct sto_column_run *run, struct prefill *p)
{
    struct sto_op_attention_args of_run = *a;
    of_run.max_tokens = run->max_tokens;
    return run->n_cols > DECODE_COLUMNS && run->one_sequence && !ops->deterministic && choose_prefill(ops, &of_run, p);
}

/* These write floats: then the whole is quantised afterwards. */
static bool any_prefill(const struct sto_ops *ops, const struct sto_op_attention_args *a,
                        const struct sto_column_run *runs)
{
    struct prefill p;
    bool any = false;
    for (uint32_t r = 0; r < (a->n_runs > 0 ? a->n_runs : 1) && !any; r++)
        any = takes_prefill(ops, a, &runs[r], &p);
    return any;
}

/* The run's columns from args->col0 on, which moves behind them. */
static void record_run(struct sto_ops *ops, const struct sto_op_attention_args *a, const struct sto_column_run *run,
                       struct AttnArgs *args)
{
    struct sto_op_attention_args of_run = *a;
    struct prefill prefill;
    const uint32_t end = args->col0 + run->n_cols;
    of_run.max_tokens = run->max_tokens;
    if (takes_prefill(ops, a, run, &prefill)) {
        args->n_cols = run->n_cols;
        record_prefill(ops, &of_run, args, &prefill);
        args->col0 = end;
    }
    for (; args->col0 < end; args->col0 += args->n_cols) {
        args->n_cols = min_u32(end - args->col0, DECODE_COLUMNS);
        record_decode(ops, &of_run, args, a->o.rows <= DECODE_COLUMNS && a->n_runs == 0 && a->groups != NULL);
    }
}

void sto_op_attention(struct sto_ops *ops, const struct sto_op_attention_args *a)
{
    if (ops->cpu != NULL) {
        sto_cpu_attention(ops, a);
        return;
    }
    const uint32_t n = a->o.rows;

    if (!shapes_fit(a)) {
        sto_recording_fail(ops->rec, "attention: q, o and the KV cache differ in shape, or no such head_dim");
        return;
    }
    if (n == 0)
        return;
    struct AttnArgs args = {
        .step = a->step, .q = a->q.address, .o = a->o.address, .kv_table = a->kv.table, .partial = a->partial,
        .done = ops->counters, .n_cols = n, .n_heads = a->n_heads, .n_kv_heads = a->kv.n_kv_heads,
        .head_dim = a->kv.head_dim,
        .q_stride = a->q.stride, .kv_pages = a->kv.pages,
        .v_offset = sto_kv_v_offset(a->kv.type, a->kv.n_kv_heads, a->kv.head_dim), .max_pieces = a->kv.pages,
        .window = a->window, .scale = a->scale, .softcap = a->softcap,
    };
    const struct sto_column_run whole = {.n_cols = n, .max_tokens = a->max_tokens, .one_sequence = true};
    const bool uniform = a->n_runs == 0;
    const bool to_q8 = a->oq != 0 && a->kv.head_dim % 32 == 0 && !any_prefill(ops, a, uniform ? &whole : a->runs);
    args.out_q8 = to_q8;
    args.o = to_q8 ? a->oq : a->o.address;
    for (uint32_t r = 0; r < (uniform ? 1 : a->n_runs); r++)
        record_run(ops, a, uniform ? &whole : &a->runs[r], &args);
    if (a->oq != 0 && !to_q8)
        sto_op_quantize(ops, a->oq, a->o);
}

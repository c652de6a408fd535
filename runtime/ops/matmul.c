/* y = x W^T: which kernel, in how many dispatches, over what ranges.
 *
 *   n <= 8 columns, or deterministic    matvec*.comp   a column's sums in one order, few columns at a time
 *   more                                matmul*.comp   tiles; matmul_coopmat*.comp on matrix units, where subgroups
 *                                                      share n_in when there are few tiles
 *   any, on CPU drivers                 matrows.comp   a column's sums in one order, any number of columns
 *
 * each with float products, or with 8-bit activations and integer dot products when the caller brings them (xq). The
 * first and the last also do what follows a product of few columns: gate times up, the next norm. A large matrix is
 * cut by rows: a dispatch stays below MAX_FLOPS, which is what lets the recorder bound a submission. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "runtime/cpu/cpu.h"
#include "runtime/formats/formats.h"
#include "runtime/ops/ops.h"
#include "runtime/vk/tuning.h"
#include "shaders/shared/args.h"

_Static_assert(sizeof(struct MatArgs) == 104 && offsetof(struct MatArgs, eps) == 100, "as std430 lays it out");
_Static_assert(sizeof(struct QuantizeArgs) == 32 && offsetof(struct QuantizeArgs, n_in) == 16, "as std430 lays it out");

enum {
    MATVEC_MAX_COLS = 8,
    MAX_GROUPS = 65535, /* in one dimension: what every Vulkan device has */
    /* constant_id 2 and up of the kernels */
    MATVEC_ROWS = 2, MATVEC_COLS = 3, MATVEC_VALUES = 4,
    MATMUL_TM = 2, MATMUL_TN = 3, MATMUL_TX = 4, MATMUL_VALUES = 5,
    MATROWS_ROWS = 2, MATROWS_COLS = 3, MATROWS_BY_ROWS = 5, MATROWS_VALUES = 6,
    COOPMAT_M = 2, COOPMAT_N = 3, COOPMAT_TM = 5, COOPMAT_TN = 6, COOPMAT_ACROSS = 7, COOPMAT_VALUES = 8
};
/* Floating-point operations in one dispatch: 20 ms on a device of 100 GFLOP/s, far from any watchdog. */
static const uint64_t MAX_FLOPS = (uint64_t)1 << 31;
/* Likewise with matrix units: 7 ms on a device of 10 TFLOP/s. Fewer would leave a large one half idle. */
static const uint64_t MAX_MATRIX_FLOPS = (uint64_t)1 << 36;
/* Kernels address x, y and the weights with 32-bit byte offsets. */
static const uint64_t MAX_OFFSET = UINT32_MAX;

/* One matrix product on its way into dispatches. */
struct product {
    struct sto_ops *ops;
    const struct sto_op_matmul_args *a;
    enum sto_kernel kernel;
    struct sto_tuning tuning;
    uint32_t tile_rows, tile_cols; /* of one workgroup */
    uint32_t col0, cols;           /* columns of this dispatch */
    uint64_t max_flops;            /* of one dispatch */
    bool has_epilogues;            /* the kernel does */
    uint32_t epilogue;             /* FLAG_*: what the dispatch does besides the product */
};

static void fail(const struct sto_ops *ops, const char *why)
{
    sto_recording_fail(ops->rec, why);
}

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return a / b + (a % b != 0);
}

/* Bytes from the first element to the last, which may stand before the end of a row's stride. */
static uint64_t span_bytes(uint32_t rows, uint32_t cols, uint32_t stride)
{
    return ((uint64_t)(rows - 1) * stride + cols) * sizeof(float);
}

uint64_t sto_op_q8_bytes(uint32_t rows, uint32_t cols)
{
    return (uint64_t)rows * Q8_COL_BYTES(cols);
}

static bool is_vector(const struct sto_ops *ops, uint32_t n)
{
    return n <= MATVEC_MAX_COLS || ops->deterministic;
}

bool sto_op_wants_q8(const struct sto_ops *ops, const struct sto_weight *w, uint32_t n)
{
    const struct sto_device_plan *plan = ops->plan;
    if (ops->cpu != NULL)
        return false;
    const bool vector = is_vector(ops, n);
    const bool faster = vector ? plan->q8_by_default[w->type] : plan->q8_matmul_by_default[w->type];

    if ((ops->math != STO_MATH_INT8 && (ops->math != STO_MATH_AUTO || !faster)) || w->cols % 32 != 0)
        return false;
    return (vector ? plan->matvec_q8[w->type] : plan->matmul_q8[w->type]) < STO_KERNEL_COUNT;
}

void sto_op_quantize(struct sto_ops *ops, uint64_t xq, struct sto_tensor x)
{
    const enum sto_kernel kernel = STO_KERNEL_quantize_q8;
    const bool shapes_ok = x.cols % 32 == 0 && x.cols > 0 && x.rows > 0 && x.rows <= MAX_GROUPS && x.stride % 4 == 0 &&
                           x.address % 16 == 0 && xq % 16 == 0 && span_bytes(x.rows, x.cols, x.stride) <= MAX_OFFSET;

    assert(shapes_ok);
    if (!shapes_ok) {
        fail(ops, "sto_op_quantize: impossible shapes");
        return;
    }
    const uint64_t x_bytes = span_bytes(x.rows, x.cols, x.stride), xq_bytes = sto_op_q8_bytes(x.rows, x.cols);
    const struct QuantizeArgs args = {.x = x.address, .xq = xq, .n_in = x.cols, .n_cols = x.rows, .x_stride = x.stride};
    const struct sto_use uses[] = {{x.address, x_bytes, STO_READ}, {xq, xq_bytes, STO_WRITE}};
    sto_record_dispatch(ops->rec, &(struct sto_dispatch){
                                      .kernel = kernel,
                                      .args = &args,
                                      .groups = {ceil_div(x.cols / 32, ops->plan->tuning[kernel].values[0]), x.rows, 1},
                                      .uses = uses,
                                      .n_uses = 2,
                                      .flops = (uint64_t)4 * x.rows * x.cols,
                                      .bytes_moved = x_bytes + xq_bytes,
                                  });
}

/* ---- epilogues ---- */

/* Columns of which one workgroup, while all others are done, makes the norm no later than a dispatch would. */
enum { NORM_COLUMNS = 2 };

static bool may_glu(const struct product *p)
{
    const uint32_t half = p->a->w.rows / 2;
    return p->a->w.rows % 2 == 0 && p->tile_rows % 2 == 0 && (p->tile_cols == 0 || half >= p->tile_rows / 2);
}

/* In 8 bits too: by the last of the workgroups that make a block. Kernels of whole rows do it in their forms of few
 * columns. */
static bool may_quantize_glu(const struct product *p)
{
    enum { MOST_TILE_COLUMNS = 8 };
    const uint32_t half = p->a->w.rows / 2, outputs = p->tile_rows / 2;
    return p->a->xq != 0 && p->tile_cols <= MOST_TILE_COLUMNS && half % 32 == 0 && 32 % outputs == 0 &&
           half / 32 <= STO_OP_COUNTERS && p->a->y.stride % 4 == 0 && p->a->y.address % 16 == 0;
}

static bool may_norm(const struct product *p)
{
    const struct sto_op_norm_args *norm = p->a->norm;
    const bool q8 = norm->yq != 0;
    return p->cols <= NORM_COLUMNS && p->a->y.stride % 4 == 0 && p->a->y.address % 16 == 0 && norm->g % 16 == 0 &&
           (q8 ? norm->y.address == 0 && p->a->xq != 0 && p->a->w.rows % 32 == 0
               : norm->y.stride % 4 == 0 && norm->y.address % 16 == 0);
}

/* What a dispatch over all columns and rows can do besides the product, of what is asked for. */
static uint32_t epilogue_of(const struct product *p)
{
    const struct sto_op_matmul_args *a = p->a;
    const bool whole = p->cols == a->x.rows && (p->tile_cols == 0 || p->cols <= p->tile_cols) &&
                       (uint64_t)2 * a->w.rows * a->w.cols * p->cols <= p->max_flops;
    if (!p->has_epilogues || !whole || p->ops->counters == 0)
        return 0;
    if (a->glu)
        return !may_glu(p) ? 0
                           : FLAG_GLU | (a->act == ACT_GELU ? FLAG_GELU : 0) |
                                 (a->glu_q8 != 0 && may_quantize_glu(p) ? FLAG_OUT_Q8 : 0);
    if (a->norm != NULL && may_norm(p))
        return FLAG_NORM | (a->norm->yq != 0 ? FLAG_OUT_Q8 : 0);
    return 0;
}

/* What is left to do after the product. */
static void record_rest(struct sto_ops *ops, const struct sto_op_matmul_args *a, uint32_t done)
{
    struct sto_tensor gate = a->y, up = a->y;
    gate.cols = up.cols = a->w.rows / 2;
    up.address += (uint64_t)gate.cols * sizeof(float);
    if (a->glu && (done & FLAG_GLU) == 0) {
        if (a->glu_q8 != 0)
            sto_op_glu_q8(ops, a->glu_q8, gate, up, a->act);
        else
            sto_op_glu(ops, gate, gate, up, a->act);
    } else if (a->glu_q8 != 0 && (done & FLAG_OUT_Q8) == 0) {
        sto_op_quantize(ops, a->glu_q8, gate);
    }
    if (a->norm != NULL && (done & FLAG_NORM) == 0)
        sto_op_norm(ops, a->y, a->norm);
}

/* ---- dispatches ---- */

/* The arguments of the epilogue, and what it touches; returns the end of uses. */
static struct sto_use *add_epilogue(const struct product *p, struct MatArgs *args, struct sto_use *use)
{
    const struct sto_op_matmul_args *a = p->a;
    const struct sto_op_norm_args *norm = a->norm;
    const bool norms = (p->epilogue & FLAG_NORM) != 0, q8 = (p->epilogue & FLAG_OUT_Q8) != 0;
    uint64_t h_bytes = sto_op_q8_bytes(p->cols, args->rows);
    if (!norms && !q8)
        return use;
    args->done = p->ops->counters;
    args->h = q8 ? (norms ? norm->yq : a->glu_q8) : norm->y.address;
    if (!q8) {
        args->h_stride = norm->y.stride;
        h_bytes = span_bytes(p->cols, args->rows, norm->y.stride);
    }
    *use++ = (struct sto_use){args->done, (norms ? 1 : args->rows / 32) * sizeof(uint32_t), STO_READ_WRITE};
    *use++ = (struct sto_use){args->h, h_bytes, STO_WRITE};
    if (norms) {
        args->g = norm->g;
        args->eps = norm->eps;
        *use++ = (struct sto_use){norm->g, norm->g != 0 ? args->rows * sizeof(float) : 0, STO_READ};
    }
    return use;
}

/* Rows [row0, row0 + rows) of columns [col0, col0 + cols). */
static void record_rows(const struct product *p, uint32_t row0, uint32_t rows)
{
    const struct sto_op_matmul_args *a = p->a;
    const uint64_t row_bytes = sto_type_bytes(a->w.type, a->w.cols), q8_col_bytes = Q8_COL_BYTES(a->w.cols);
    const uint64_t x = a->xq != 0 ? a->xq + p->col0 * q8_col_bytes
                                  : a->x.address + (uint64_t)p->col0 * a->x.stride * sizeof(float);
    const uint64_t x_bytes = a->xq != 0 ? p->cols * q8_col_bytes : span_bytes(p->cols, a->x.cols, a->x.stride);
    const uint64_t y = a->y.address + (uint64_t)p->col0 * a->y.stride * sizeof(float);
    struct MatArgs args = {
        .pieces = p->ops->pieces,
        .x = x,
        .y = y,
        .bias = a->bias,
        .piece = a->w.piece,
        .offset16 = (uint32_t)(a->w.offset / 16),
        .n_in = a->w.cols,
        .n_out = a->w.rows,
        .n_cols = p->cols,
        .x_stride = a->x.stride,
        .y_stride = a->y.stride,
        .flags = (a->bias != 0 ? FLAG_BIAS : 0) | (a->accumulate ? FLAG_ACCUMULATE : 0) | p->epilogue,
        .row0 = row0,
        .rows = rows,
    };
    const uint64_t w_rows = (p->epilogue & FLAG_GLU) != 0 ? a->w.rows : rows;
    struct sto_use uses[7] = {
        {a->w.address + row0 * row_bytes, w_rows * row_bytes, STO_READ},
        {x, x_bytes, STO_READ},
        {y + row0 * sizeof(float), span_bytes(p->cols, rows, a->y.stride), a->accumulate ? STO_READ_WRITE : STO_WRITE},
        {a->bias + row0 * sizeof(float), a->bias != 0 ? rows * sizeof(float) : 0, STO_READ},
    };
    const struct sto_use *end = add_epilogue(p, &args, uses + 4);
    const uint64_t own_bytes = w_rows * row_bytes + (uint64_t)p->cols * rows * sizeof(float);
    const uint32_t row_groups = ceil_div(rows, p->tile_rows);
    struct sto_dispatch d = {
        .kernel = p->kernel,
        .tuning = &p->tuning,
        .args = &args,
        .uses = uses,
        .n_uses = (uint32_t)(end - uses),
        .flops = 2 * w_rows * a->w.cols * p->cols,
        .bytes_moved = own_bytes + x_bytes,
        .once_bytes = own_bytes + x_bytes * w_rows / a->w.rows, /* the other rows' dispatches read the same x */
    };
    if (p->tile_cols == 0) { /* matvec: groups are rows, in two dimensions */
        d.groups[0] = row_groups < MAX_GROUPS ? row_groups : MAX_GROUPS;
        d.groups[1] = ceil_div(row_groups, d.groups[0]);
    } else {
        d.groups[0] = ceil_div(p->cols, p->tile_cols);
        d.groups[1] = row_groups;
    }
    d.groups[2] = 1;
    sto_record_dispatch(p->ops->rec, &d);
}

/* All rows of columns [col0, col0 + cols), cut so that no dispatch exceeds MAX_FLOPS or MAX_GROUPS. */
static void record_columns(struct product *p)
{
    const uint64_t flops_per_row = (uint64_t)2 * p->a->w.cols * p->cols;
    p->epilogue = epilogue_of(p);
    if ((p->epilogue & FLAG_GLU) != 0) { /* half as many outputs as rows, in one dispatch */
        p->tile_rows /= 2;
        record_rows(p, 0, p->a->w.rows / 2);
        return;
    }
    uint64_t rows = p->max_flops / flops_per_row / p->tile_rows * p->tile_rows;

    if (rows < p->tile_rows)
        rows = p->tile_rows;
    if (p->tile_cols != 0 && rows > (uint64_t)MAX_GROUPS * p->tile_rows) /* matvec counts groups in two dimensions */
        rows = (uint64_t)MAX_GROUPS * p->tile_rows;
    for (uint32_t row0 = 0; row0 < p->a->w.rows;) {
        const uint32_t left = p->a->w.rows - row0, n = rows < left ? (uint32_t)rows : left;
        record_rows(p, row0, n);
        row0 += n;
    }
}

/* The plan's rows fit the widest form in registers; one column, or two of eight, leave room for twice as many. Neither
 * changes the order of a sum. */
void sto_op_matvec_tuning(struct sto_tuning *tuning, uint32_t cols)
{
    uint32_t specialised = 1;
    while (specialised < cols)
        specialised *= 2;
    if (specialised == 1 || (specialised == 2 && tuning->values[MATVEC_COLS] == 8))
        tuning->values[MATVEC_ROWS] *= 2;
    tuning->values[MATVEC_COLS] = specialised;
}

/* As many columns at a time as the plan says, with the kernel specialised for 1, 2, 4 or 8 columns. */
static void record_matvec(struct product *p, uint32_t n)
{
    const struct sto_tuning planned = p->tuning;
    const uint32_t most = planned.values[MATVEC_COLS];

    for (p->col0 = 0; p->col0 < n; p->col0 += p->cols) {
        p->cols = n - p->col0 < most ? n - p->col0 : most;
        p->tuning = planned;
        sto_op_matvec_tuning(&p->tuning, p->cols);
        p->tile_rows = p->tuning.values[MATVEC_ROWS];
        record_columns(p);
    }
}

/* Few columns leave registers for a second row, which shares what is read of x. The order of a sum stays. Weights come
 * row by row only where the kernel can take them so. */
void sto_op_matrows_tuning(struct sto_tuning *tuning, const struct sto_weight *w, uint32_t cols)
{
    uint32_t *t = tuning->values, specialised = 1;
    while (specialised < cols && specialised < t[MATROWS_COLS])
        specialised *= 2;
    t[MATROWS_COLS] = specialised;
    if (specialised <= 8 && t[MATROWS_ROWS] < 2)
        t[MATROWS_ROWS] = 2;
    if (sto_type_bytes(w->type, w->cols) % 4 != 0)
        t[MATROWS_BY_ROWS] = 0;
    if (t[MATROWS_BY_ROWS] != 0 && w->rows < t[0] * t[MATROWS_ROWS])
        t[MATROWS_ROWS] = 1;
}

/* Whole tiles of the plan's columns in one go, then what is left with a narrower form. */
static void record_matrows(struct product *p, uint32_t n)
{
    const struct sto_tuning planned = p->tuning;
    const uint32_t most = planned.values[MATROWS_COLS];

    for (p->col0 = 0; p->col0 < n; p->col0 += p->cols) {
        p->cols = n - p->col0 > most ? (n - p->col0) / most * most : n - p->col0;
        p->tuning = planned;
        sto_op_matrows_tuning(&p->tuning, &p->a->w, p->cols);
        p->tile_rows = p->tuning.values[0] * p->tuning.values[MATROWS_ROWS];
        p->tile_cols = p->tuning.values[MATROWS_COLS];
        record_columns(p);
    }
}

static bool shapes_possible(const struct sto_op_matmul_args *a)
{
    const struct sto_type_info *type = sto_type_get(a->w.type);

    if (a->w.rows == 0 || a->w.cols == 0 || a->x.rows == 0)
        return false;
    if (a->w.cols % 4 != 0 || a->w.cols % type->block_elems != 0)
        return false;
    if (a->y.rows != a->x.rows || a->y.cols != a->w.rows || a->x.cols != a->w.cols)
        return false;
    if (a->x.stride < a->x.cols || a->y.stride < a->y.cols || a->x.stride % 4 != 0)
        return false;
    if (a->x.address % 16 != 0 || a->y.address % 4 != 0 || a->xq % 16 != 0 || a->w.offset % 16 != 0)
        return false;
    if ((a->glu && (a->w.rows % 2 != 0 || a->bias != 0 || a->accumulate || a->act > ACT_GELU)) ||
        (a->norm != NULL && a->glu))
        return false;
    if (a->w.offset / 16 > UINT32_MAX || sto_type_bytes(a->w.type, a->w.cols) * a->w.rows > MAX_OFFSET)
        return false;
    return span_bytes(a->x.rows, a->x.cols, a->x.stride) <= MAX_OFFSET &&
           span_bytes(a->y.rows, a->y.cols, a->y.stride) <= MAX_OFFSET;
}

/* Kernels whose invocations own whole rows take any number of columns, each as if it were alone. */
static bool is_matrows(enum sto_kernel kernel)
{
    return strncmp(sto_kernel_get(kernel)->source, "matrows", 7) == 0;
}

static bool is_coopmat(enum sto_kernel kernel)
{
    return (sto_kernel_get(kernel)->needs & STO_NEEDS_ANY_COOPMAT) != 0;
}

static void coopmat_tile(const struct sto_tuning *t, uint32_t *rows, uint32_t *cols)
{
    const uint32_t *v = t->values;

    const uint32_t subgroups = v[0] / v[1], across = v[COOPMAT_ACROSS];
    *rows = (across == 0 ? 1 : subgroups / across) * v[COOPMAT_TM] * v[COOPMAT_M];
    *cols = (across == 0 ? 1 : across) * v[COOPMAT_TN] * v[COOPMAT_N];
}

/* Subgroups share n_in, a block of 32 at a time: as many tiles as there were parts of tiles before. Wide enough for all
 * columns if that keeps the device busy, since every tile over columns decodes the weights anew. */
static void share_inputs(const struct sto_device_plan *plan, const struct sto_kernel_info *kernel, uint32_t rows,
                         uint32_t cols, struct sto_tuning *tuning)
{
    enum { ROWS = 2, MOST = 4, LEAST = 2 };
    uint32_t *v = tuning->values, *tn = &v[COOPMAT_TN], tile_rows, tile_cols;

    v[COOPMAT_ACROSS] = 0;
    v[COOPMAT_TM] = ROWS;
    *tn = 1;
    const uint32_t lanes = v[1], sums = ROWS * v[COOPMAT_M] * v[COOPMAT_N]; /* of a subgroup's tile one matrix wide */
    while (*tn < MOST && *tn * v[COOPMAT_N] < cols && 2 * *tn * sums <= plan->coopmat.product_sums * lanes)
        *tn *= 2;
    for (; *tn > 1; *tn /= 2) {
        coopmat_tile(tuning, &tile_rows, &tile_cols);
        const bool busy = ceil_div(rows, tile_rows) * ceil_div(cols, tile_cols) >= plan->busy_groups;
        if (sto_tuning_shared_bytes(kernel, tuning) <= plan->max_shared_bytes && (busy || *tn <= LEAST))
            return;
    }
}

/* Few columns: a narrower tile computes less that nobody asked for. Few tiles: smaller ones keep more of the device
 * busy, at the price of decoding weights and x more often; if they are still few, sharing a long n_in makes more. */
void sto_op_coopmat_tuning(const struct sto_device_plan *plan, enum sto_kernel kernel, const struct sto_weight *w,
                           uint32_t cols, struct sto_tuning *tuning)
{
    enum { LEAST = 2, BLOCKS_EACH = 8 };
    const struct sto_kernel_info *info = sto_kernel_get(kernel);
    const uint32_t rows = w->rows, subgroups = tuning->values[0] / tuning->values[1];
    uint32_t *tm = &tuning->values[COOPMAT_TM], *tn = &tuning->values[COOPMAT_TN], tile_rows, tile_cols;

    coopmat_tile(tuning, &tile_rows, &tile_cols);
    while (*tn > 1 && tile_cols / 2 >= cols) {
        *tn /= 2;
        tile_cols /= 2;
    }
    while ((*tm > LEAST || *tn > LEAST) && ceil_div(rows, tile_rows) * ceil_div(cols, tile_cols) < plan->busy_groups) {
        *(*tm >= *tn ? tm : tn) /= 2;
        coopmat_tile(tuning, &tile_rows, &tile_cols);
    }
    struct sto_tuning shared = *tuning;
    if (subgroups == 1 || w->cols / 32 < BLOCKS_EACH * subgroups ||
        ceil_div(rows, tile_rows) * ceil_div(cols, tile_cols) >= plan->busy_groups)
        return;
    share_inputs(plan, info, rows, cols, &shared);
    if (sto_tuning_shared_bytes(info, &shared) <= plan->max_shared_bytes)
        *tuning = shared;
}

static void record_coopmat(struct product *p)
{
    sto_op_coopmat_tuning(p->ops->plan, p->kernel, &p->a->w, p->cols, &p->tuning);
    coopmat_tile(&p->tuning, &p->tile_rows, &p->tile_cols);
    if (p->ops->plan->f16_by_default) /* not on a CPU */
        p->max_flops = MAX_MATRIX_FLOPS;
    record_columns(p);
}

enum sto_kernel sto_op_matmul_kernel(const struct sto_ops *ops, enum sto_type type, uint32_t n, bool q8)
{
    const struct sto_device_plan *plan = ops->plan;

    if (is_vector(ops, n))
        return q8 ? plan->matvec_q8[type] : plan->matvec[type];
    if (q8)
        return plan->matmul_q8[type];
    const bool f16 = ops->math == STO_MATH_F16 || (ops->math != STO_MATH_EXACT && plan->f16_by_default);
    return f16 && plan->matmul_f16[type] < STO_KERNEL_COUNT ? plan->matmul_f16[type] : plan->matmul[type];
}

void sto_op_matmul(struct sto_ops *ops, const struct sto_op_matmul_args *a)
{
    if (ops->cpu != NULL) {
        sto_cpu_matmul(ops, a);
        return;
    }
    const bool vector = is_vector(ops, a->x.rows), possible = shapes_possible(a);
    struct product p = {.ops = ops, .a = a, .cols = a->x.rows, .max_flops = MAX_FLOPS,
                        .kernel = sto_op_matmul_kernel(ops, a->w.type, a->x.rows, a->xq != 0)};

    assert(possible);
    if (!possible || p.kernel >= STO_KERNEL_COUNT) {
        fail(ops, possible ? "sto_op_matmul: no kernel for this weight format" : "sto_op_matmul: impossible shapes");
        return;
    }
    p.tuning = ops->plan->tuning[p.kernel];
    const bool rows = is_matrows(p.kernel), coopmat = is_coopmat(p.kernel);
    if (p.tuning.n_values < (rows      ? (uint32_t)MATROWS_VALUES
                             : vector  ? (uint32_t)MATVEC_VALUES
                             : coopmat ? (uint32_t)COOPMAT_VALUES
                                       : (uint32_t)MATMUL_VALUES)) {
        fail(ops, "sto_op_matmul: the plan has no tuning for the kernel");
        return;
    }
    p.has_epilogues = rows || vector;
    if (rows) {
        record_matrows(&p, a->x.rows);
    } else if (vector) {
        record_matvec(&p, a->x.rows);
    } else if (coopmat) {
        record_coopmat(&p);
    } else {
        p.tile_rows = p.tuning.values[0] / p.tuning.values[MATMUL_TX] * p.tuning.values[MATMUL_TM];
        p.tile_cols = p.tuning.values[MATMUL_TX] * p.tuning.values[MATMUL_TN];
        record_columns(&p);
    }
    record_rest(ops, a, p.epilogue);
}

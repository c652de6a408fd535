/* Cases of the small kernels: probe, step_begin, rmsnorm, glu, and the two that write 8-bit activations. */
#include "runtime/verify/verify.h"

#include <math.h>
#include <string.h>

#include "shaders/shared/args.h"

static const double ULP = 0x1p-24; /* half a unit in the last place of 1: one f32 rounding */

/* ---- probe: exact ---- */

static void run_probe(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t sizes[] = {4, 60, 64, 1000, 65540};

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const uint32_t n = sizes[s];
        sto_verify_begin(v, "%u elements", n);
        uint32_t *x = sto_verify_alloc(v, n, sizeof *x), *want = sto_verify_alloc(v, n, sizeof *want);
        for (uint32_t i = 0; i < n; i++) {
            x[i] = sto_verify_random(v);
            want[i] = 2654435761u * x[i] + 12345u;
        }
        const struct sto_verify_range xs = sto_verify_input(v, "x", x, n * sizeof *x);
        const struct sto_verify_range y = sto_verify_output(v, "y", n * sizeof *x);
        const struct ProbeArgs args = {
            .x = xs.address, .y = y.address, .n = n, .factor = 2654435761u, .addend = 12345u};
        const uint32_t workgroup = sto_verify_plan(v)->tuning[kernel].values[0];
        sto_verify_dispatch(v, kernel, &args, (n / 4 + workgroup - 1) / workgroup, 1, 1);
        sto_verify_run(v);
        sto_verify_compare_bytes(v, y, 0, want, n * sizeof *want);
        sto_verify_end(v);
    }
}

/* ---- step_begin: exact ---- */

static void step_case(struct sto_verifier *v, uint32_t n_cols, uint32_t max_cols, uint32_t highest)
{
    const uint32_t copied = n_cols < max_cols ? n_cols : max_cols;
    struct {
        struct StepHeader header;
        struct StepColumn columns[40];
    } host = {.header = {.n_cols = n_cols, .n_pieces = 77}};
    uint32_t end = 0;

    sto_verify_begin(v, "%u of %u columns up to position %u", n_cols, max_cols, highest);
    for (uint32_t c = 0; c < 40; c++) {
        const uint32_t position = c == n_cols / 2 ? highest : sto_verify_random(v) % (highest + 1);
        host.columns[c] = (struct StepColumn){sto_verify_random(v), position, sto_verify_random(v) % 5, 0};
        end = c < copied && position + 1 > end ? position + 1 : end;
    }
    const struct StepHeader header = {.n_cols = copied, .n_pieces = (end + KV_PAGE - 1) / KV_PAGE};
    const uint32_t counts[3] = {header.n_pieces, 3, copied};
    const struct sto_buffer *groups;
    const struct sto_verify_range from = sto_verify_input(v, "host", &host, sizeof host);
    const struct sto_verify_range to = sto_verify_output(v, "step", sizeof host);
    const struct sto_verify_range group_range = sto_verify_groups(v, &groups);
    const struct sto_op_step_args args = {.host = from.address, .step = to.address, .groups = groups,
                                          .max_cols = max_cols, .n_kv_heads = 3};
    sto_op_step_begin(sto_verify_ops(v), &args);
    sto_verify_run(v);
    sto_verify_compare_bytes(v, to, 0, &header, sizeof header);
    sto_verify_compare_bytes(v, to, sizeof header, host.columns, copied * sizeof *host.columns);
    sto_verify_compare_bytes(v, group_range, 0, counts, sizeof counts);
    sto_verify_end(v);
}

static void quick_step_begin(struct sto_verifier *v, enum sto_kernel kernel)
{
    (void)kernel;
    step_case(v, 1, 1, 129);
    step_case(v, 9, 11, 300);
}

static void run_step_begin(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t highest[] = {0, 126, 127, 128, 129, 300, 131071};

    (void)kernel;
    for (uint32_t n = 1; n <= 9; n++)
        step_case(v, n, n + n % 3, highest[n % 7]);
    for (size_t i = 0; i < sizeof highest / sizeof *highest; i++)
        step_case(v, 33, 40, highest[i]);
    step_case(v, 0, 4, 10);
    step_case(v, 9, 4, 10); /* the header may not exceed what the block has room for */
}

/* ---- rmsnorm ---- */

struct norm_case {
    uint32_t rows, n, padding;
    bool with_g, in_place, q8; /* q8: in place is out of the question */
    float scale, eps;
};

static void norm_case(struct sto_verifier *v, const struct norm_case *c)
{
    const uint32_t stride = ((c->n + 3) & ~3u) + c->padding;
    const size_t size = ((size_t)(c->rows - 1) * stride + c->n) * sizeof(float);

    sto_verify_begin(v, "%u rows of %u%s%s, values to %g", c->rows, c->n, c->with_g ? "" : ", no weight",
                     c->in_place ? ", in place" : "", (double)c->scale);
    const float *x = sto_verify_floats(v, (size_t)c->rows * stride, c->scale), *g = sto_verify_floats(v, c->n, 2);
    double *want = sto_verify_alloc(v, (size_t)c->rows * c->n, sizeof *want);
    double *magnitude = sto_verify_alloc(v, (size_t)c->rows * c->n, sizeof *magnitude);
    for (uint32_t r = 0; r < c->rows; r++) {
        double sum = 0;
        for (uint32_t i = 0; i < c->n; i++)
            sum += (double)x[r * stride + i] * x[r * stride + i];
        for (uint32_t i = 0; i < c->n; i++) {
            const double y = x[r * stride + i] / sqrt(sum / c->n + c->eps) * (c->with_g ? g[i] : 1);
            want[r * c->n + i] = y;
            magnitude[r * c->n + i] = fabs(y);
        }
    }
    const struct sto_verify_range gs = sto_verify_input(v, "g", g, c->n * sizeof *g);
    const struct sto_verify_range ys =
        c->in_place ? sto_verify_inout(v, "y", x, size)
                    : sto_verify_output(v, "y", c->q8 ? sto_op_q8_bytes(c->rows, c->n) : size);
    const struct sto_verify_range xs = c->in_place ? ys : sto_verify_input(v, "x", x, size);
    const struct sto_tensor from = sto_verify_tensor(xs, c->rows, c->n, stride);
    const uint64_t weight = c->with_g ? gs.address : 0;
    if (c->q8)
        sto_op_rmsnorm_q8(sto_verify_ops(v), ys.address, from, weight, c->eps);
    else
        sto_op_rmsnorm(sto_verify_ops(v), sto_verify_tensor(ys, c->rows, c->n, stride), from, weight, c->eps);
    sto_verify_run(v);
    /* A chain of n / workgroup additions of squares, halved by the root, and a handful of operations. */
    const uint32_t workgroup = sto_verify_plan(v)->tuning[STO_KERNEL_rmsnorm].values[0];
    const struct sto_verify_compare compare = {.range = ys,
                                               .rows = c->rows,
                                               .cols = c->n,
                                               .stride = stride,
                                               .want = want,
                                               .magnitude = magnitude,
                                               .bound = ULP * (12 + 0.5 * c->n / workgroup)};
    if (c->q8)
        sto_verify_compare_q8(v, &compare);
    else
        sto_verify_compare(v, &compare);
    sto_verify_end(v);
}

static void quick_rmsnorm(struct sto_verifier *v, enum sto_kernel kernel)
{
    const bool q8 = kernel == STO_KERNEL_rmsnorm_q8;
    norm_case(v, &(struct norm_case){.rows = 9, .n = q8 ? 1184 : 4100, .with_g = true, .q8 = q8, .padding = 12,
                                     .scale = 1, .eps = 1e-6f});
}

static void run_rmsnorm(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t sizes[] = {1, 3, 32, 64, 100, 192, 896, 4100}, whole[] = {32, 64, 96, 1184, 4128};

    for (size_t i = 0; kernel == STO_KERNEL_rmsnorm_q8 && i < sizeof whole / sizeof *whole; i++) {
        const uint32_t n = whole[i];
        norm_case(v, &(struct norm_case){.rows = 1, .n = n, .with_g = true, .q8 = true, .scale = 1, .eps = 1e-6f});
        norm_case(v, &(struct norm_case){.rows = 9, .n = n, .padding = 12, .q8 = true, .scale = 1e4f, .eps = 1e-5f});
    }
    if (kernel == STO_KERNEL_rmsnorm_q8)
        return;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const uint32_t n = sizes[i];
        norm_case(v, &(struct norm_case){.rows = 1, .n = n, .with_g = true, .scale = 1, .eps = 1e-6f});
        norm_case(v, &(struct norm_case){.rows = 5, .n = n, .padding = 4, .scale = 1e4f, .eps = 1e-5f});
        norm_case(
            v, &(struct norm_case){.rows = 33, .n = n, .with_g = true, .in_place = true, .scale = 1e-4f, .eps = 1e-5f});
    }
    norm_case(v, &(struct norm_case){.rows = 40000, .n = 5, .with_g = true, .scale = 1, .eps = 1e-5f});
}

/* ---- glu ---- */

static double gelu_argument(double x)
{
    return 2 * sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
}

/* where: 0 a third tensor, 1 over gate, 2 over up, 3 in 8 bits. */
static void glu_case(struct sto_verifier *v, uint32_t rows, uint32_t n, uint32_t act, int where)
{
    static const float edges[] = {0, -0.0f, 1e-30f, -1e-30f, 90, -90, 1000, -1000, 1e-5f, -20, 20};
    const uint32_t stride = ((n + 3) & ~3u) + 4;
    const size_t count = (size_t)(rows - 1) * stride + n, size = count * sizeof(float);

    sto_verify_begin(v, "%u rows of %u, %s%s", rows, n, act == ACT_SILU ? "SiLU" : "GELU",
                     where == 1 ? ", over gate" : where == 2 ? ", over up" : where == 3 ? ", 8 bits" : "");
    float *gate = sto_verify_floats(v, count, 12), *up = sto_verify_floats(v, count, 3);
    for (size_t i = 0; i < sizeof edges / sizeof *edges && i < n; i++)
        gate[i] = edges[i];
    double *want = sto_verify_alloc(v, (size_t)rows * n, sizeof *want);
    double *magnitude = sto_verify_alloc(v, (size_t)rows * n, sizeof *magnitude);
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t i = 0; i < n; i++) {
            const double x = gate[r * stride + i], u = up[r * stride + i];
            const double z = act == ACT_SILU ? x : gelu_argument(x);
            want[r * n + i] = x / (1 + exp(-z)) * u;
            /* Vulkan's exp is good to 3 + 2 |z| units, z itself to 4 |z|; below e^-80 only smallness is asked for. */
            magnitude[r * n + i] = fabs(want[r * n + i]) * (12 + 8 * fabs(z)) + fabs(x * u) * 1e-24 + 1e-30;
        }
    }
    const struct sto_verify_range gates = where == 1 ? sto_verify_inout(v, "gate", gate, size)
                                                     : sto_verify_input(v, "gate", gate, size);
    const struct sto_verify_range ups = where == 2 ? sto_verify_inout(v, "up", up, size)
                                                   : sto_verify_input(v, "up", up, size);
    const uint64_t y_bytes = where == 3 ? sto_op_q8_bytes(rows, n) : size;
    const struct sto_verify_range ys = where == 1 ? gates : where == 2 ? ups : sto_verify_output(v, "y", y_bytes);
    const struct sto_tensor from = sto_verify_tensor(gates, rows, n, stride);
    if (where == 3)
        sto_op_glu_q8(sto_verify_ops(v), ys.address, from, sto_verify_tensor(ups, rows, n, stride), act);
    else
        sto_op_glu(sto_verify_ops(v), sto_verify_tensor(ys, rows, n, stride), from,
                   sto_verify_tensor(ups, rows, n, stride), act);
    sto_verify_run(v);
    const struct sto_verify_compare compare = {.range = ys, .rows = rows, .cols = n, .stride = stride, .want = want,
                                               .magnitude = magnitude, .bound = ULP};
    if (where == 3)
        sto_verify_compare_q8(v, &compare);
    else
        sto_verify_compare(v, &compare);
    sto_verify_end(v);
}

static void quick_glu(struct sto_verifier *v, enum sto_kernel kernel)
{
    const bool q8 = kernel == STO_KERNEL_glu_q8;
    for (uint32_t act = ACT_SILU; act <= ACT_GELU; act++)
        glu_case(v, 7, q8 ? 512 : 513, act, q8 ? 3 : 0);
}

static void run_glu(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t sizes[] = {1, 31, 172, 513, 3072}, whole[] = {32, 96, 512, 3072, 6176};
    const bool q8 = kernel == STO_KERNEL_glu_q8;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (uint32_t act = ACT_SILU; act <= ACT_GELU; act++) {
            glu_case(v, 1, q8 ? whole[i] : sizes[i], act, q8 ? 3 : 0);
            glu_case(v, 7, q8 ? whole[i] : sizes[i], act, q8 ? 3 : 1);
            if (!q8)
                glu_case(v, 33, sizes[i], act, 2);
        }
    }
}

const struct sto_verify_source sto_verify_basic[] = {
    {"probe.comp", true, run_probe, NULL},
    {"step_begin.comp", true, run_step_begin, quick_step_begin},
    {"rmsnorm.comp", true, run_rmsnorm, quick_rmsnorm},
    {"glu.comp", true, run_glu, quick_glu},
    {NULL, false, NULL, NULL},
};

/* Cases of the matrix kernels: matvec, matmul (f32 and f16), their 8-bit forms, what prepares activations, embed.
 *
 * The reference expands weights with runtime/formats (which tests hold to an independent dequantiser) and sums in
 * double. Bounds are multiples of 2^-24 of the sum of absolute products. Data for the f16 kernels is representable in
 * f16, and the 8-bit kernels are held to a product with the very activations that they were given: so neither bound has
 * to leave room for the precision of a path, where an error could hide. */
#include "runtime/verify/verify_weights.h"

#include <math.h>
#include <string.h>

#include "runtime/formats/formats.h"
#include "shaders/shared/args.h"

static const double HALF_ULP = 0x1p-24;

/* A product and its operands, on the host and on the device. */
struct operands {
    enum sto_type type;
    uint32_t n_out, n_in, n_cols, x_stride, y_stride;
    bool has_bias, accumulate, aligned; /* aligned: columns of y are, to 16 bytes */
    uint32_t offset16; /* of the weights in their piece */
    uint8_t *w;
    float *x, *bias, *y;
    double *want, *magnitude; /* [n_cols, n_out] */
    struct sto_verify_range w_range, x_range, xq_range, y_range, bias_range, pieces_range;
};

static uint64_t row_bytes(const struct operands *o)
{
    return sto_type_bytes(o->type, o->n_in);
}

/* Random weights, activations, bias and what is in y before; gaps between columns of x stay poison. */
static void make_operands(struct sto_verifier *v, struct operands *o, enum sto_verify_data data)
{
    const uint32_t block_bytes = sto_type_get(o->type)->block_bytes;
    const uint64_t bytes = row_bytes(o) * o->n_out;

    o->x_stride = (o->n_in + 3) / 4 * 4 + 4;
    o->y_stride = o->aligned ? (o->n_out + 7) & ~3u : o->n_out + 3;
    o->offset16 = 3;
    o->w = sto_verify_alloc(v, bytes, 1);
    for (uint64_t at = 0; at < bytes; at += block_bytes)
        sto_verify_fill_block(v, o->type, data, o->w + at);
    o->x = sto_verify_floats(v, (size_t)o->n_cols * o->n_in, 1);
    if (data == STO_VERIFY_F16) {
        for (size_t i = 0; i < (size_t)o->n_cols * o->n_in; i++)
            o->x[i] = rintf(o->x[i] * 256) / 256;
    }
    o->bias = sto_verify_floats(v, o->n_out, 1);
    o->y = sto_verify_floats(v, (size_t)o->n_cols * o->n_out, 1);
}

/* The weights lie in piece 2 behind poison; pieces 0 and 1 are no addresses. */
static void put_operands(struct sto_verifier *v, struct operands *o)
{
    const uint64_t w_bytes = row_bytes(o) * o->n_out;
    const uint64_t x_elems = (uint64_t)(o->n_cols - 1) * o->x_stride + o->n_in;
    const uint64_t y_elems = (uint64_t)(o->n_cols - 1) * o->y_stride + o->n_out;

    o->w_range = sto_verify_hole(v, "weights", o->offset16 * 16 + w_bytes);
    sto_verify_put(v, o->w_range, o->offset16 * 16, o->w, w_bytes);
    const uint64_t pieces[3] = {1, 1, o->w_range.address};
    o->pieces_range = sto_verify_input(v, "pieces", pieces, sizeof pieces);
    o->x_range = sto_verify_hole(v, "x", x_elems * sizeof(float));
    for (uint32_t c = 0; c < o->n_cols; c++)
        sto_verify_put(v, o->x_range, (uint64_t)c * o->x_stride * sizeof(float), o->x + (size_t)c * o->n_in,
                       o->n_in * sizeof(float));
    o->y_range = sto_verify_output(v, "y", y_elems * sizeof(float));
    for (uint32_t c = 0; o->accumulate && c < o->n_cols; c++)
        sto_verify_put(v, o->y_range, (uint64_t)c * o->y_stride * sizeof(float), o->y + (size_t)c * o->n_out,
                       o->n_out * sizeof(float));
    if (o->has_bias)
        o->bias_range = sto_verify_input(v, "bias", o->bias, o->n_out * sizeof(float));
    sto_verify_ops(v)->pieces = o->pieces_range.address;
}

/* want and magnitude for activations x [n_cols, n_in], in double. */
static void make_want(struct sto_verifier *v, struct operands *o, const double *x)
{
    float *row = sto_verify_alloc(v, o->n_in, sizeof *row);

    o->want = sto_verify_alloc(v, (size_t)o->n_cols * o->n_out, sizeof *o->want);
    o->magnitude = sto_verify_alloc(v, (size_t)o->n_cols * o->n_out, sizeof *o->magnitude);
    for (uint32_t r = 0; r < o->n_out; r++) {
        sto_decode(o->type, o->w + r * row_bytes(o), row, o->n_in);
        for (uint32_t c = 0; c < o->n_cols; c++) {
            const size_t at = (size_t)c * o->n_out + r;
            const double bias = o->has_bias ? (double)o->bias[r] : 0, before = o->accumulate ? (double)o->y[at] : 0;
            double sum = 0, magnitude = 0;
            for (uint32_t i = 0; i < o->n_in; i++) {
                const double product = (double)row[i] * x[(size_t)c * o->n_in + i];
                sum += product;
                magnitude += fabs(product);
            }
            o->want[at] = sum + bias + before;
            o->magnitude[at] = magnitude + fabs(bias) + fabs(before);
        }
    }
}

static void make_want_f32(struct sto_verifier *v, struct operands *o)
{
    const size_t n = (size_t)o->n_cols * o->n_in;
    double *x = sto_verify_alloc(v, n, sizeof *x);

    for (size_t i = 0; i < n; i++)
        x[i] = o->x[i];
    make_want(v, o, x);
}

static struct sto_weight weight_of(const struct operands *o)
{
    return (struct sto_weight){.type = o->type, .piece = 2, .rows = o->n_out, .cols = o->n_in,
                               .offset = o->offset16 * 16, .address = o->w_range.address + o->offset16 * 16};
}

static struct sto_op_matmul_args product_args(const struct operands *o)
{
    return (struct sto_op_matmul_args){
        .y = sto_verify_tensor(o->y_range, o->n_cols, o->n_out, o->y_stride),
        .w = weight_of(o),
        .x = sto_verify_tensor(o->x_range, o->n_cols, o->n_in, o->x_stride),
        .xq = o->xq_range.address,
        .bias = o->has_bias ? o->bias_range.address : 0,
        .accumulate = o->accumulate,
    };
}

static void record_product(struct sto_verifier *v, const struct operands *o)
{
    const struct sto_op_matmul_args args = product_args(o);
    if (sto_verify_ok(v))
        sto_op_matmul(sto_verify_ops(v), &args);
}

static void compare_product(struct sto_verifier *v, const struct operands *o, double bound)
{
    const struct sto_verify_compare c = {.range = o->y_range, .rows = o->n_cols, .cols = o->n_out,
                                         .stride = o->y_stride, .want = o->want,
                                         .magnitude = o->magnitude, .bound = bound};
    sto_verify_compare(v, &c);
}

/* ---- 8-bit activations ---- */

/* What quantize_q8 has to write for x [n_cols, n_in]. The encoder of Q8_0 gives the bytes: it differs in rounding d to
 * f16 after use, and in blocks whose scale f16 cannot hold, which are avoided here. */
static uint8_t *quantised(struct sto_verifier *v, const float *x, uint32_t n_in, uint32_t n_cols)
{
    uint8_t *xq = sto_verify_alloc(v, (size_t)sto_op_q8_bytes(n_cols, n_in), 1);

    for (uint32_t c = 0; c < n_cols; c++) {
        uint8_t *column = xq + (size_t)c * Q8_COL_BYTES(n_in);
        for (uint32_t b = 0; b < n_in / 32; b++) {
            const float *from = x + (size_t)c * n_in + 32 * b;
            uint8_t block[34];
            float amax = 0;
            int32_t sum = 0;
            sto_encode(STO_TYPE_Q8_0, from, block, 32);
            for (uint32_t i = 0; i < 32; i++) {
                amax = fabsf(from[i]) > amax ? fabsf(from[i]) : amax;
                sum += (int8_t)block[2 + i];
            }
            const float d = amax * (1.0f / 127.0f), scales[2] = {d, d * (float)sum};
            memcpy(column + 32 * b, block + 2, 32);
            memcpy(column + n_in + 8 * b, scales, sizeof scales);
        }
    }
    return xq;
}

/* Gives the product quantised activations, and want accordingly. */
static void put_quantised(struct sto_verifier *v, struct operands *o)
{
    const uint8_t *xq = quantised(v, o->x, o->n_in, o->n_cols);
    double *x = sto_verify_alloc(v, (size_t)o->n_cols * o->n_in, sizeof *x);

    for (uint32_t c = 0; c < o->n_cols; c++) {
        const uint8_t *column = xq + (size_t)c * Q8_COL_BYTES(o->n_in);
        for (uint32_t i = 0; i < o->n_in; i++) {
            float d;
            memcpy(&d, column + o->n_in + i / 32 * 8, sizeof d);
            x[(size_t)c * o->n_in + i] = (double)d * (int8_t)column[i];
        }
    }
    o->xq_range = sto_verify_input(v, "xq", xq, sto_op_q8_bytes(o->n_cols, o->n_in));
    make_want(v, o, x);
}

static void quantize_case(struct sto_verifier *v, uint32_t n_in, uint32_t n_cols, float scale)
{
    const uint32_t stride = n_in + 12;

    sto_verify_begin(v, "%u columns of %u, up to %g", n_cols, n_in, (double)scale);
    float *x = sto_verify_floats(v, (size_t)n_cols * n_in, scale);
    for (uint32_t i = 0; i < 32; i++)
        x[i] = i == 5 ? -127.0f * scale / 64 : ((float)i - 16.5f) * scale / 64; /* quotients half-way */
    if (n_in > 32)
        memset(x + 32, 0, 32 * sizeof *x);
    const uint8_t *want = quantised(v, x, n_in, n_cols);
    const struct sto_verify_range from = sto_verify_hole(v, "x", ((uint64_t)(n_cols - 1) * stride + n_in) * sizeof *x);
    for (uint32_t c = 0; c < n_cols; c++)
        sto_verify_put(v, from, (uint64_t)c * stride * sizeof *x, x + (size_t)c * n_in, n_in * sizeof *x);
    const struct sto_verify_range to = sto_verify_output(v, "xq", sto_op_q8_bytes(n_cols, n_in));
    if (sto_verify_ok(v))
        sto_op_quantize(sto_verify_ops(v), to.address, sto_verify_tensor(from, n_cols, n_in, stride));
    sto_verify_run(v);
    for (uint32_t c = 0; c < n_cols; c++) /* what pads a column is nobody's */
        sto_verify_compare_bytes(v, to, (uint64_t)c * Q8_COL_BYTES(n_in), want + (size_t)c * Q8_COL_BYTES(n_in),
                                 n_in + n_in / 32 * 8);
    sto_verify_end(v);
}

static void quick_quantize(struct sto_verifier *v, enum sto_kernel kernel)
{
    (void)kernel;
    quantize_case(v, 1184, 9, 1);
}

static void run_quantize(struct sto_verifier *v, enum sto_kernel kernel)
{
    (void)kernel;
    quantize_case(v, 32, 1, 1);
    quantize_case(v, 96, 3, 1);
    quantize_case(v, 1184, 9, 0.01f);
    quantize_case(v, 4128, 2, 3000);
}

/* ---- products ---- */

/* Row lengths of a format: one block, an odd number of blocks, and enough that invocations take several. For plain
 * formats some that are no multiple of 32. */
static uint32_t row_length(enum sto_type type, uint32_t which)
{
    static const uint32_t plain[] = {4, 172, 1284}, small[] = {32, 96, 1184}, super[] = {256, 768, 1280};
    const uint32_t elems = sto_type_get(type)->block_elems;

    return (elems == 1 ? plain : elems == 32 ? small : super)[which % 3];
}

/* Which path a kernel is, by its source. */
static bool is_rows(enum sto_kernel kernel)
{
    return strncmp(sto_kernel_get(kernel)->source, "matrows", 7) == 0;
}
static bool is_vector(enum sto_kernel kernel)
{
    return strncmp(sto_kernel_get(kernel)->source, "matvec", 6) == 0;
}
static bool is_coopmat(enum sto_kernel kernel)
{
    return (sto_kernel_get(kernel)->needs & STO_NEEDS_ANY_COOPMAT) != 0;
}
static bool is_q8(enum sto_kernel kernel)
{
    return strstr(sto_kernel_get(kernel)->source, "_q8") != NULL;
}

static void use_kernel(struct sto_verifier *v, enum sto_kernel kernel)
{
    struct sto_device_plan *plan = sto_verify_plan(v);
    const enum sto_type type = sto_kernel_get(kernel)->weight;

    /* `exact`, which the operations of a case are, chooses this one of the float kernels */
    if (is_vector(kernel) || is_rows(kernel))
        (is_q8(kernel) ? plan->matvec_q8 : plan->matvec)[type] = kernel;
    if (!is_vector(kernel))
        (is_q8(kernel) ? plan->matmul_q8 : plan->matmul)[type] = kernel;
}

/* Roundings that a sum meets, in half ulps of its absolute products. Each sum of n_in terms may lose one per addition;
 * errors of random sign grow with the root (Higham and Mary 2019), and 4 standard deviations are allowed. Integer
 * kernels round once per block of 32; the few before that are scale, minimum, bias. */
static double bound_of(enum sto_kernel kernel, uint32_t n_in)
{
    return (16 + 4 * sqrt(is_q8(kernel) ? n_in / 32.0 : n_in)) * HALF_ULP;
}

static enum sto_verify_data data_of(enum sto_kernel kernel)
{
    return (sto_kernel_get(kernel)->needs & STO_NEEDS_F16) != 0 ? STO_VERIFY_F16 : STO_VERIFY_FINE;
}

static struct operands begin_product(struct sto_verifier *v, enum sto_kernel kernel, struct operands o)
{
    o.type = sto_kernel_get(kernel)->weight;
    use_kernel(v, kernel);
    make_operands(v, &o, data_of(kernel));
    put_operands(v, &o);
    if (is_q8(kernel))
        put_quantised(v, &o);
    else
        make_want_f32(v, &o);
    return o;
}

static void product_case(struct sto_verifier *v, enum sto_kernel kernel, struct operands shape)
{
    sto_verify_begin(v, "[%u, %u] by %u columns%s%s", shape.n_out, shape.n_in, shape.n_cols,
                     shape.has_bias ? ", bias" : "", shape.accumulate ? ", accumulate" : "");
    const struct operands o = begin_product(v, kernel, shape);
    record_product(v, &o);
    sto_verify_run(v);
    compare_product(v, &o, bound_of(kernel, o.n_in));
    sto_verify_end(v);
}

/* Two dispatches that share the rows, and leave the last two alone. */
static void split_case(struct sto_verifier *v, enum sto_kernel kernel, uint32_t n_cols)
{
    const uint32_t cut[3] = {0, 30, 65};

    sto_verify_begin(v, "rows 0 to 29 and 30 to 64 of 67, %u columns", n_cols);
    const uint32_t n_in = row_length(sto_kernel_get(kernel)->weight, 1);
    struct operands o = begin_product(
        v, kernel, (struct operands){.n_out = 67, .n_in = n_in, .n_cols = n_cols, .has_bias = true});
    struct sto_tuning *tuning = &sto_verify_plan(v)->tuning[kernel];
    for (uint32_t i = 0; i < 2; i++) {
        const struct MatArgs args = {
            .pieces = o.pieces_range.address,
            .x = is_q8(kernel) ? o.xq_range.address : o.x_range.address,
            .y = o.y_range.address,
            .bias = o.bias_range.address,
            .piece = 2,
            .offset16 = o.offset16,
            .n_in = o.n_in,
            .n_out = o.n_out,
            .n_cols = n_cols,
            .x_stride = o.x_stride,
            .y_stride = o.y_stride,
            .flags = FLAG_BIAS,
            .row0 = cut[i],
            .rows = cut[i + 1] - cut[i],
        };
        if (is_vector(kernel)) { /* groups in two dimensions, and one too many */
            const uint32_t rows = 2 * tuning->values[2];
            tuning->values[3] = n_cols;
            sto_verify_dispatch(v, kernel, &args, 2, (args.rows + rows - 1) / rows, 1);
        } else if (is_rows(kernel)) {
            const struct sto_weight w = weight_of(&o);
            sto_op_matrows_tuning(tuning, &w, n_cols);
            const uint32_t rows = tuning->values[0] * tuning->values[2], cols = tuning->values[3];
            sto_verify_dispatch(v, kernel, &args, (n_cols + cols - 1) / cols, (args.rows + rows - 1) / rows, 1);
        } else if (is_coopmat(kernel)) {
            const uint32_t *t = tuning->values, rows = t[0] / t[1] / t[7] * t[5] * t[2], cols = t[7] * t[6] * t[3];
            sto_verify_dispatch(v, kernel, &args, (n_cols + cols - 1) / cols, (args.rows + rows - 1) / rows, 1);
        } else {
            const uint32_t rows = tuning->values[0] / tuning->values[4] * tuning->values[2];
            const uint32_t cols = tuning->values[4] * tuning->values[3];
            sto_verify_dispatch(v, kernel, &args, (n_cols + cols - 1) / cols, (args.rows + rows - 1) / rows, 1);
        }
    }
    sto_verify_run(v);
    const struct sto_verify_compare c = {.range = o.y_range, .rows = n_cols, .cols = 65, .stride = o.y_stride,
                                         .want = sto_verify_alloc(v, (size_t)n_cols * 65, sizeof *o.want),
                                         .magnitude = sto_verify_alloc(v, (size_t)n_cols * 65, sizeof *o.want),
                                         .bound = bound_of(kernel, o.n_in)};
    for (uint32_t i = 0; i < n_cols; i++) {
        memcpy((double *)c.want + (size_t)i * 65, o.want + (size_t)i * 67, 65 * sizeof(double));
        memcpy((double *)c.magnitude + (size_t)i * 65, o.magnitude + (size_t)i * 67, 65 * sizeof(double));
    }
    sto_verify_compare(v, &c);
    sto_verify_end(v);
}

/* A column's bits do not depend on which columns are with it: 13 columns at once, and in dispatches of 1 to 4. */
static void alone_case(struct sto_verifier *v, enum sto_kernel kernel, uint32_t most)
{
    static const uint32_t parts[] = {1, 2, 3, 4, 1, 2};

    sto_verify_begin(v, "13 columns together, %u in a dispatch, and apart", most);
    sto_verify_plan(v)->tuning[kernel].values[3] = most;
    struct operands o = begin_product(
        v, kernel, (struct operands){.n_out = 19, .n_in = row_length(sto_kernel_get(kernel)->weight, 2), .n_cols = 13});
    struct operands apart = o;
    apart.y_range = sto_verify_output(v, "y of columns apart", o.y_range.bytes);
    const struct sto_verify_range together_y = o.y_range, apart_y = apart.y_range;
    sto_verify_ops(v)->deterministic = true;
    record_product(v, &o);
    sto_verify_ops(v)->deterministic = false;
    for (uint32_t i = 0, col = 0; i < sizeof parts / sizeof *parts; col += parts[i++]) {
        apart.n_cols = parts[i];
        apart.x_range.address = o.x_range.address + (uint64_t)col * o.x_stride * sizeof(float);
        apart.xq_range.address = is_q8(kernel) ? o.xq_range.address + (uint64_t)col * Q8_COL_BYTES(o.n_in) : 0;
        apart.y_range.address = apart_y.address + (uint64_t)col * o.y_stride * sizeof(float);
        record_product(v, &apart);
    }
    sto_verify_run(v);
    uint8_t *got = sto_verify_alloc(v, (size_t)together_y.bytes, 1);
    if (sto_verify_ok(v))
        memcpy(got, sto_verify_got(v, together_y), (size_t)together_y.bytes);
    for (uint32_t c = 0; c < o.n_cols; c++)
        sto_verify_compare_bytes(v, apart_y, (uint64_t)c * o.y_stride * sizeof(float),
                                 got + (size_t)c * o.y_stride * sizeof(float), o.n_out * sizeof(float));
    compare_product(v, &o, bound_of(kernel, o.n_in));
    sto_verify_end(v);
}

/* ---- what follows a product in its dispatch ---- */

enum epilogue { GLU_SILU, GLU_GELU, NORM };

/* want [n_cols, n_out] becomes [n_cols, n_out / 2], and magnitude what it may be off by. SiLU and GELU rise by at most
 * 1.13 per unit; their own roundings are a handful, with those of exp. */
static void make_glu_want(const struct operands *o, bool gelu, double bound)
{
    const uint32_t half = o->n_out / 2;
    for (uint32_t c = 0; c < o->n_cols; c++) {
        for (uint32_t r = 0; r < half; r++) {
            const size_t g = (size_t)c * o->n_out + r, u = g + half, to = (size_t)c * half + r;
            const double x = o->want[g], up = o->want[u], cubic = 0.044715 * x * x * x;
            const double z = gelu ? 1.5957691216057308 * (x + cubic) : x, act = x / (1 + exp(-z));
            const double error = bound * (1.13 * o->magnitude[g] * fabs(up) + fabs(act) * o->magnitude[u]) +
                                 bound * bound * 1.13 * o->magnitude[g] * o->magnitude[u];
            o->want[to] = act * up;
            o->magnitude[to] = error + HALF_ULP * (16 + 4 * fabs(z)) * (fabs(act * up) + 1e-30);
        }
    }
}

/* Likewise the norm of want. An error of x turns the vector, and changes its length by no more than itself. */
static void make_norm_want(const struct operands *o, const float *g, float eps, double bound)
{
    for (uint32_t c = 0; c < o->n_cols; c++) {
        double *x = o->want + (size_t)c * o->n_out, *m = o->magnitude + (size_t)c * o->n_out, sum = 0, error = 0;
        for (uint32_t r = 0; r < o->n_out; r++) {
            sum += x[r] * x[r];
            error += fabs(x[r]) * bound * m[r];
        }
        const double scale = 1 / sqrt(sum / o->n_out + eps), length = error / (sum + 1e-30) + 32 * HALF_ULP;
        for (uint32_t r = 0; r < o->n_out; r++) {
            m[r] = fabs(g[r]) * scale * (bound * m[r] + fabs(x[r]) * length);
            x[r] *= scale * g[r];
        }
    }
}

/* A product and what follows it, in one dispatch. q8: into 8 bits. */
static void epilogue_case(struct sto_verifier *v, enum sto_kernel kernel, enum epilogue what, bool q8, uint32_t n_out,
                          uint32_t n_cols)
{
    static const char *const names[] = {"SiLU gate", "GELU gate", "norm"};
    const enum sto_type type = sto_kernel_get(kernel)->weight;
    const uint32_t n_in = row_length(type, n_cols), width = what == NORM ? n_out : n_out / 2;
    const double bound = bound_of(kernel, n_in);

    sto_verify_begin(v, "%s%s of [%u, %u] by %u columns", names[what], q8 ? " in 8 bits" : "", n_out, n_in, n_cols);
    struct operands o = {.type = type, .n_out = n_out, .n_in = n_in, .n_cols = n_cols, .has_bias = what == NORM,
                         .accumulate = what == NORM, .aligned = true};
    o = begin_product(v, kernel, o);
    const float *g = sto_verify_floats(v, n_out, 2);
    const struct sto_verify_range gs = sto_verify_input(v, "g", g, n_out * sizeof *g);
    const struct sto_verify_range h =
        q8              ? sto_verify_output(v, "h", sto_op_q8_bytes(n_cols, width))
        : what == NORM  ? sto_verify_output(v, "h", (uint64_t)n_cols * o.y_stride * sizeof(float))
                        : o.y_range;
    const struct sto_op_norm_args norm = {.g = gs.address, .eps = 1e-5f, .yq = q8 ? h.address : 0,
                                          .y = {q8 ? 0 : h.address, n_cols, n_out, o.y_stride}};
    struct sto_op_matmul_args args = product_args(&o);
    args.glu = what != NORM;
    args.act = what == GLU_GELU ? ACT_GELU : ACT_SILU;
    args.glu_q8 = what != NORM && q8 ? h.address : 0;
    args.norm = what == NORM ? &norm : NULL;
    sto_verify_counters(v, n_out / 32 + 1);
    struct sto_recording_stats stats = {0};
    if (sto_verify_ok(v)) {
        sto_op_matmul(sto_verify_ops(v), &args);
        sto_recording_get_stats(sto_verify_ops(v)->rec, &stats);
    }
    if (stats.dispatches != 1)
        sto_verify_fail(v, "%u dispatches", stats.dispatches);
    sto_verify_run(v);
    if (what == NORM)
        compare_product(v, &o, bound);
    else if (q8) /* in f32 on its way, and halves may be anything */
        sto_verify_forget(v, o.y_range);
    if (what == NORM)
        make_norm_want(&o, g, norm.eps, bound);
    else
        make_glu_want(&o, what == GLU_GELU, bound);
    const struct sto_verify_compare c = {.range = h, .rows = n_cols, .cols = width, .stride = o.y_stride,
                                         .want = o.want, .magnitude = o.magnitude, .bound = 1};
    if (q8)
        sto_verify_compare_q8(v, &c);
    else
        sto_verify_compare(v, &c);
    sto_verify_end(v);
}

/* Ragged ends, several workgroups and one, one column and as many as may be. */
static void run_epilogues(struct sto_verifier *v, enum sto_kernel kernel)
{
    const bool q8 = is_q8(kernel);
    epilogue_case(v, kernel, GLU_SILU, false, 134, 1);
    epilogue_case(v, kernel, GLU_GELU, false, 192, 3);
    epilogue_case(v, kernel, NORM, false, 67, 2);
    epilogue_case(v, kernel, NORM, false, 515, 1);
    epilogue_case(v, kernel, NORM, false, 3, 1);
    for (uint32_t n = 1; q8 && n <= 2; n++) {
        epilogue_case(v, kernel, NORM, true, 416, n);
        epilogue_case(v, kernel, GLU_SILU, true, 128 * n, 2 * n);
    }
}

static void run_vector(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t n_outs[] = {67, 1, 3};
    const enum sto_type type = sto_kernel_get(kernel)->weight;

    for (uint32_t n = 1; n <= 8; n++)
        product_case(v, kernel, (struct operands){.n_out = n_outs[n % 3], .n_in = row_length(type, n), .n_cols = n,
                                                  .has_bias = n % 2 != 0, .accumulate = n % 4 > 1});
    for (uint32_t i = 0; i < 3; i++)
        product_case(v, kernel, (struct operands){.n_out = n_outs[i], .n_in = row_length(type, i), .n_cols = 1});
    split_case(v, kernel, 1);
    /* all formats share what lies around their decoding: the widest form is tried with a few */
    const bool sample = type == STO_TYPE_F32 || type == STO_TYPE_Q4_0 || type == STO_TYPE_Q2_K;
    alone_case(v, kernel, sample ? 8 : 4);
    run_epilogues(v, kernel);
}

/* Weights and activations that f16 has to round: what is asked is that the loss is no more than that. Each operand
 * loses at most 2^-10 of itself (drivers may round towards zero), and what is beyond f16 becomes its largest number. */
static void rounding_case(struct sto_verifier *v, enum sto_kernel kernel)
{
    sto_verify_begin(v, "operands that f16 rounds and cuts");
    struct operands o = {.type = sto_kernel_get(kernel)->weight, .n_out = 5, .n_cols = 9};
    o.n_in = row_length(o.type, 1);
    use_kernel(v, kernel);
    make_operands(v, &o, STO_VERIFY_FINE);
    o.x[0] = 1e9f;
    o.x[o.n_in + 1] = -70000.0f;
    put_operands(v, &o);
    o.x[0] = 65504.0f;
    o.x[o.n_in + 1] = -65504.0f;
    make_want_f32(v, &o);
    record_product(v, &o);
    sto_verify_run(v);
    compare_product(v, &o, 0x1p-9 + bound_of(kernel, o.n_in));
    sto_verify_end(v);
}

/* A tile of another form than this device's: 2 by 3 sums, two invocations side by side. */
static void tile_case(struct sto_verifier *v, enum sto_kernel kernel)
{
    sto_verify_begin(v, "tiles of 2 by 3, 33 columns");
    struct sto_tuning *t = &sto_verify_plan(v)->tuning[kernel];
    t->values[2] = 2;
    t->values[3] = 3;
    t->values[4] = 2;
    const struct operands o = begin_product(
        v, kernel, (struct operands){.n_out = 67, .n_in = row_length(sto_kernel_get(kernel)->weight, 1), .n_cols = 33});
    record_product(v, &o);
    sto_verify_run(v);
    compare_product(v, &o, bound_of(kernel, o.n_in));
    sto_verify_end(v);
}

static void run_tiles(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t n_cols[] = {9, 31, 33, 65}, n_outs[] = {1, 67, 67, 3};
    const enum sto_type type = sto_kernel_get(kernel)->weight;

    for (uint32_t i = 0; i < 4; i++)
        product_case(v, kernel, (struct operands){.n_out = n_outs[i], .n_in = row_length(type, i), .n_cols = n_cols[i],
                                                  .has_bias = i == 1 || i == 3, .accumulate = i >= 2});
    product_case(v, kernel, (struct operands){.n_out = 67, .n_in = row_length(type, 2), .n_cols = 9});
    split_case(v, kernel, 9);
    if (type == STO_TYPE_F32 || type == STO_TYPE_Q4_0 || type == STO_TYPE_Q2_K)
        tile_case(v, kernel);
    if (data_of(kernel) == STO_VERIFY_F16)
        rounding_case(v, kernel);
}

/* Another number of matrices in a subgroup's tile than this device's. */
static void coopmat_tile_case(struct sto_verifier *v, enum sto_kernel kernel, uint32_t tm, uint32_t tn, uint32_t n_cols)
{
    sto_verify_begin(v, "%u by %u matrices, %u columns", tm, tn, n_cols);
    struct sto_tuning *t = &sto_verify_plan(v)->tuning[kernel];
    t->values[5] = tm;
    t->values[6] = tn;
    const struct operands o = begin_product(
        v, kernel,
        (struct operands){.n_out = 67, .n_in = row_length(sto_kernel_get(kernel)->weight, 1), .n_cols = n_cols});
    record_product(v, &o);
    sto_verify_run(v);
    compare_product(v, &o, bound_of(kernel, o.n_in));
    sto_verify_end(v);
}

/* Subgroups that share n_in: three, so that the last blocks are nobody's. */
static void coopmat_share_case(struct sto_verifier *v, enum sto_kernel kernel, uint32_t n_cols)
{
    sto_verify_begin(v, "subgroups share n_in, %u columns", n_cols);
    struct sto_tuning *t = &sto_verify_plan(v)->tuning[kernel];
    t->values[0] = 3 * t->values[1];
    t->values[5] = 2;
    t->values[6] = 2;
    t->values[7] = 0;
    const struct operands o = begin_product(v, kernel,
                                            (struct operands){.n_out = 67,
                                                              .n_in = row_length(sto_kernel_get(kernel)->weight, 1),
                                                              .n_cols = n_cols,
                                                              .has_bias = true,
                                                              .accumulate = true});
    record_product(v, &o);
    sto_verify_run(v);
    compare_product(v, &o, bound_of(kernel, o.n_in));
    sto_verify_end(v);
}

/* Edges of tiles: one column more than one matrix, one less than a tile, and several tiles in both directions. */
static void run_coopmat(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t n_cols[] = {9, 31, 33, 65, 130}, n_outs[] = {1, 67, 67, 3, 131};
    const enum sto_type type = sto_kernel_get(kernel)->weight;

    for (uint32_t i = 0; i < 5; i++)
        product_case(v, kernel, (struct operands){.n_out = n_outs[i], .n_in = row_length(type, i), .n_cols = n_cols[i],
                                                  .has_bias = i % 2 != 0, .accumulate = i >= 2});
    split_case(v, kernel, 9);
    if (data_of(kernel) == STO_VERIFY_F16)
        rounding_case(v, kernel);
    if (type == STO_TYPE_F32 || type == STO_TYPE_Q4_0 || type == STO_TYPE_Q2_K) {
        coopmat_tile_case(v, kernel, 1, 1, 17);
        coopmat_tile_case(v, kernel, 1, 2, 33);
        coopmat_tile_case(v, kernel, 2, 1, 33);
        coopmat_share_case(v, kernel, 35);
    }
}

/* Another form than this device's, few sums or many, with every way that x and weights may come. */
static void rows_form_case(struct sto_verifier *v, enum sto_kernel kernel, uint32_t rows, uint32_t cols,
                           uint32_t x_from)
{
    sto_verify_begin(v, "%u rows by %u columns of an invocation, x in way %u", rows, cols, x_from);
    const bool by_rows = x_from % 2 == 0;
    struct sto_tuning *t = &sto_verify_plan(v)->tuning[kernel];
    t->values[2] = rows;
    t->values[3] = cols;
    t->values[4] = x_from;
    t->values[5] = by_rows;
    const struct operands o = begin_product(
        v, kernel, (struct operands){.n_out = 67, .n_in = row_length(sto_kernel_get(kernel)->weight, 2), .n_cols = 5});
    record_product(v, &o);
    sto_verify_run(v);
    compare_product(v, &o, bound_of(kernel, o.n_in));
    sto_verify_end(v);
}

static void run_rows(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t n_cols[] = {1, 2, 3, 9, 33}, n_outs[] = {67, 1, 3, 67, 131};
    const enum sto_type type = sto_kernel_get(kernel)->weight;

    for (uint32_t i = 0; i < 5; i++)
        product_case(v, kernel, (struct operands){.n_out = n_outs[i], .n_in = row_length(type, i), .n_cols = n_cols[i],
                                                  .has_bias = i % 2 == 0, .accumulate = i >= 2});
    product_case(v, kernel, (struct operands){.n_out = 67, .n_in = row_length(type, 2), .n_cols = 1});
    split_case(v, kernel, 1);
    alone_case(v, kernel, 8);
    run_epilogues(v, kernel);
    if (type == STO_TYPE_F32 || type == STO_TYPE_Q4_0 || type == STO_TYPE_Q4_K) {
        for (uint32_t x_from = 0; x_from < 3; x_from++) {
            rows_form_case(v, kernel, 3, 1, x_from);
            rows_form_case(v, kernel, 2, 8, x_from);
        }
    }
}

/* ---- embedding ---- */

static void embed_case(struct sto_verifier *v, enum sto_kernel kernel, uint32_t n_in, uint32_t n_cols, float scale)
{
    enum { N_VOCAB = 23, MAX_COLS = 9 };
    struct { struct StepHeader header; struct StepColumn columns[MAX_COLS]; } step = {.header = {.n_cols = n_cols}};
    struct operands o = {.type = sto_kernel_get(kernel)->weight, .n_out = N_VOCAB, .n_in = n_in, .n_cols = n_cols};

    sto_verify_begin(v, "%u columns of %u, scale %g", n_cols, n_in, (double)scale);
    make_operands(v, &o, STO_VERIFY_FINE);
    put_operands(v, &o);
    float *row = sto_verify_alloc(v, n_in, sizeof *row);
    double *want = sto_verify_alloc(v, (size_t)n_cols * n_in, sizeof *want);
    double *magnitude = sto_verify_alloc(v, (size_t)n_cols * n_in, sizeof *magnitude);
    for (uint32_t c = 0; c < n_cols; c++) { /* the first, the last, one that is out of range, and others */
        const uint32_t some = sto_verify_random(v) % N_VOCAB;
        const uint32_t token = c == 0 ? N_VOCAB - 1 : c == 1 ? 0 : c == 2 ? 0xfffffff0u : some;
        const uint32_t known = token < N_VOCAB ? token : N_VOCAB - 1;
        step.columns[c].token = token;
        sto_decode(o.type, o.w + known * row_bytes(&o), row, n_in);
        for (uint32_t i = 0; i < n_in; i++) {
            want[(size_t)c * n_in + i] = (double)row[i] * (double)scale;
            magnitude[(size_t)c * n_in + i] = fabs(want[(size_t)c * n_in + i]);
        }
    }
    const struct sto_verify_range steps =
        sto_verify_input(v, "step", &step, sizeof step.header + n_cols * sizeof step.columns[0]);
    const struct sto_verify_range y = sto_verify_output(v, "embedding", (uint64_t)n_cols * n_in * sizeof(float));
    sto_verify_plan(v)->embed[o.type] = kernel;
    if (sto_verify_ok(v))
        sto_op_embed(sto_verify_ops(v), sto_verify_tensor(y, n_cols, n_in, n_in), weight_of(&o), steps.address, scale);
    sto_verify_run(v);
    /* one rounding where there is a minimum, one by the scale */
    const struct sto_verify_compare c = {.range = y, .rows = n_cols, .cols = n_in, .stride = n_in, .want = want,
                                         .magnitude = magnitude, .bound = 2.5 * HALF_ULP};
    sto_verify_compare(v, &c);
    sto_verify_end(v);
}

static void run_embed(struct sto_verifier *v, enum sto_kernel kernel)
{
    const enum sto_type type = sto_kernel_get(kernel)->weight;

    embed_case(v, kernel, row_length(type, 0), 1, 1);
    embed_case(v, kernel, row_length(type, 1), 9, 1);
    embed_case(v, kernel, row_length(type, 2), 3, 11.3137f);
}

static void quick_embed(struct sto_verifier *v, enum sto_kernel kernel)
{
    embed_case(v, kernel, row_length(sto_kernel_get(kernel)->weight, 1), 9, 1);
}

/* ---- quick ones ---- */

/* One column, what follows it in a decode step, and as many as a dispatch takes at once and some more: an odd number of
 * blocks, ragged rows. */
static void quick_product(struct sto_verifier *v, enum sto_kernel kernel)
{
    const enum sto_type type = sto_kernel_get(kernel)->weight;
    const bool few = is_vector(kernel) || is_rows(kernel);
    const uint32_t many = is_vector(kernel) ? 5 : 33;

    if (few) {
        product_case(v, kernel,
                     (struct operands){.n_out = 67, .n_in = row_length(type, 2), .n_cols = 1, .has_bias = true});
        epilogue_case(v, kernel, NORM, is_q8(kernel), 416, 1);
        epilogue_case(v, kernel, GLU_SILU, is_q8(kernel), 128, 1);
    }
    product_case(v, kernel, (struct operands){.n_out = 67, .n_in = row_length(type, 1), .n_cols = many,
                                              .has_bias = !few, .accumulate = true});
}

const struct sto_verify_source sto_verify_mat[] = {
    {.source = "quantize_q8.comp", .run = run_quantize, .quick = quick_quantize, .any_workgroup = true},
    {.source = "embed.comp", .run = run_embed, .quick = quick_embed, .any_workgroup = true},
    {.source = "matvec.comp", .run = run_vector, .quick = quick_product, .any_workgroup = true},
    {.source = "matvec_q8.comp", .run = run_vector, .quick = quick_product, .any_workgroup = true},
    {.source = "matmul.comp", .run = run_tiles, .quick = quick_product},
    {.source = "matmul_q8.comp", .run = run_tiles, .quick = quick_product},
    {.source = "matmul_coopmat.comp", .run = run_coopmat, .quick = quick_product},
    {.source = "matmul_coopmat_q8.comp", .run = run_coopmat, .quick = quick_product},
    {.source = "matrows.comp", .run = run_rows, .quick = quick_product},
    {.source = "matrows_q8.comp", .run = run_rows, .quick = quick_product},
    {.source = NULL},
};

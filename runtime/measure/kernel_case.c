/* Operands and dispatches of the kernels that are timed.
 *
 *   weights   one random matrix, repeated until the copies exceed the caches
 *   check     sampled rows against a product in double, at the very shape and constants that are timed */
#include "runtime/measure/kernel_case.h"

#include <math.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/formats/formats.h"
#include "shaders/shared/args.h"

static uint64_t random_state = 1;

static uint64_t random_bits(void)
{
    return sto_hash_mix(random_state += STO_HASH_STEP);
}

float sto_kernel_case_random(void)
{
    return (float)(random_bits() >> 40) * 0x1p-23f - 1.0f;
}

/* ---- which kernel, which operation ---- */

enum operation { OP_NONE, OP_MATMUL, OP_QUANTIZE, OP_EMBED, OP_RMSNORM, OP_GLU };

/* The case of a source that has a file of its own, or NULL. */
static const struct sto_kernel_source *find_source(enum sto_kernel kernel)
{
    const struct sto_kernel_source *const lists[] = {sto_kernel_case_attention, sto_kernel_case_step};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (const struct sto_kernel_source *s = lists[i]; s->source != NULL; s++) {
            if (strcmp(s->source, sto_kernel_get(kernel)->source) == 0)
                return s;
        }
    }
    return NULL;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static enum operation operation_of(enum sto_kernel kernel)
{
    const char *source = sto_kernel_get(kernel)->source;
    if (starts_with(source, "mat"))
        return OP_MATMUL;
    if (starts_with(source, "quantize_q8"))
        return OP_QUANTIZE;
    if (starts_with(source, "embed"))
        return OP_EMBED;
    if (starts_with(source, "rmsnorm"))
        return OP_RMSNORM;
    return starts_with(source, "glu") ? OP_GLU : OP_NONE;
}

static bool is_vector(enum sto_kernel kernel)
{
    return starts_with(sto_kernel_get(kernel)->source, "matvec");
}
static bool is_q8(enum sto_kernel kernel)
{
    return operation_of(kernel) == OP_MATMUL && strstr(sto_kernel_get(kernel)->source, "_q8") != NULL;
}
static bool writes_q8(enum sto_kernel kernel)
{
    return kernel == STO_KERNEL_rmsnorm_q8 || kernel == STO_KERNEL_glu_q8;
}

bool sto_kernel_case_known(enum sto_kernel kernel)
{
    return operation_of(kernel) != OP_NONE || find_source(kernel) != NULL;
}

/* The plan names this kernel wherever `exact` products look for one. */
static void choose_kernel(struct sto_device_plan *plan, enum sto_kernel kernel)
{
    const enum sto_type type = sto_kernel_get(kernel)->weight;
    if (operation_of(kernel) == OP_EMBED)
        plan->embed[type] = kernel;
    if (operation_of(kernel) == OP_MATMUL && !starts_with(sto_kernel_get(kernel)->source, "matmul"))
        (is_q8(kernel) ? plan->matvec_q8 : plan->matvec)[type] = kernel;
    if (operation_of(kernel) == OP_MATMUL && !is_vector(kernel))
        (is_q8(kernel) ? plan->matmul_q8 : plan->matmul)[type] = kernel;
}

/* ---- data ---- */

/* Random bytes whose elements are numbers of the usual size. */
static void fill_block(enum sto_type type, uint8_t *block)
{
    const struct sto_type_info *info = sto_type_get(type);
    float values[256], highest;
    do {
        for (uint32_t i = 0; i < info->block_bytes; i++)
            block[i] = (uint8_t)random_bits();
        sto_decode(type, block, values, info->block_elems);
        highest = 0;
        for (uint32_t i = 0; i < info->block_elems; i++)
            highest = fabsf(values[i]) <= 4.0f ? fmaxf(highest, fabsf(values[i])) : INFINITY;
    } while (highest > 4.0f || highest < 0x1p-10f);
}

/* A matrix that repeats after some hundred blocks: none of its rows are alike, and it is soon made. */
static enum sto_status make_weights(struct sto_kernel_case *c, struct sto_error *err)
{
    enum { N_BLOCKS = 1021 };
    const enum sto_type type = sto_kernel_get(c->kernel)->weight;
    const uint32_t block_bytes = sto_type_get(type)->block_bytes;
    const uint64_t bytes = sto_type_bytes(type, c->shape.inputs) * c->shape.rows;
    uint8_t blocks[N_BLOCKS * 256];

    c->w = sto_calloc(bytes, 1);
    if (c->w == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a matrix of %llu bytes", (unsigned long long)bytes);
    for (uint32_t i = 0; i < N_BLOCKS; i++)
        fill_block(type, blocks + i * block_bytes);
    for (uint64_t at = 0; at < bytes; at += (uint64_t)N_BLOCKS * block_bytes) {
        const uint64_t left = bytes - at, period = (uint64_t)N_BLOCKS * block_bytes;
        memcpy(c->w + at, blocks, (size_t)(left < period ? left : period));
    }
    return STO_OK;
}

enum sto_status sto_kernel_case_upload(struct sto_kernel_case *c, struct sto_buffer *buffer, uint64_t offset,
                                       const void *data, uint64_t bytes, struct sto_error *err)
{
    struct sto_uploader *up = NULL;
    enum sto_status status = sto_uploader_create(c->device, &up, err);
    if (status == STO_OK)
        status = sto_upload(up, buffer, offset, data, bytes, err);
    if (status == STO_OK)
        status = sto_upload_finish(up, err);
    sto_uploader_destroy(up);
    return status;
}

enum sto_status sto_kernel_case_buffer(struct sto_kernel_case *c, struct sto_buffer *buffer, const char *what,
                                       const void *data, uint64_t bytes, struct sto_error *err)
{
    enum sto_status status = sto_buffer_create(c->device, STO_MEMORY_DEVICE, bytes, what, buffer, err);
    return status == STO_OK && data != NULL ? sto_kernel_case_upload(c, buffer, 0, data, bytes, err) : status;
}

static enum sto_status put_weights(struct sto_kernel_case *c, struct sto_error *err)
{
    enum { MAX_COPIES = 64 };
    const uint64_t bytes = sto_type_bytes(sto_kernel_get(c->kernel)->weight, c->shape.inputs) * c->shape.rows;
    uint64_t addresses[MAX_COPIES], wanted = c->shape.columns <= 8 ? c->shape.cold_bytes / bytes + 1 : 1;

    c->copies = wanted < MAX_COPIES ? (uint32_t)wanted : MAX_COPIES;
    c->copy_bytes = (bytes + 255 + 4) & ~(uint64_t)255;
    enum sto_status status = make_weights(c, err);
    if (status == STO_OK)
        status = sto_kernel_case_buffer(c, &c->weights, "weights", NULL, c->copy_bytes * c->copies, err);
    for (uint32_t i = 0; i < c->copies && status == STO_OK; i++) {
        addresses[i] = c->weights.address + i * c->copy_bytes;
        status = sto_kernel_case_upload(c, &c->weights, i * c->copy_bytes, c->w, bytes, err);
    }
    if (status == STO_OK)
        status = sto_kernel_case_buffer(c, &c->pieces, "pieces", addresses, c->copies * sizeof *addresses, err);
    return status;
}

static enum sto_status put_activations(struct sto_kernel_case *c, struct sto_error *err)
{
    const struct sto_kernel_shape *s = &c->shape;
    const uint64_t n = (uint64_t)s->columns * s->inputs, widest = s->rows > s->inputs ? s->rows : s->inputs;

    c->host_x = sto_calloc((size_t)n, sizeof *c->host_x);
    if (c->host_x == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for activations");
    for (uint64_t i = 0; i < n; i++)
        c->host_x[i] = sto_kernel_case_random();
    enum sto_status status = sto_kernel_case_buffer(c, &c->x, "x", c->host_x, n * sizeof *c->host_x, err);
    if (status == STO_OK)
        status = sto_kernel_case_buffer(c, &c->xq, "xq", NULL, sto_op_q8_bytes(s->columns, s->inputs), err);
    if (status == STO_OK)
        status = sto_kernel_case_buffer(c, &c->y, "y", NULL, widest * s->columns * sizeof(float), err);
    return status;
}

/* Tokens all over the vocabulary, for embed. */
static enum sto_status put_step(struct sto_kernel_case *c, struct sto_error *err)
{
    struct { struct StepHeader header; struct StepColumn columns[512]; } step = {{0}, {{0}}};
    for (uint32_t i = 0; i < c->shape.columns && i < 512; i++)
        step.columns[i].token = (uint32_t)(random_bits() % c->shape.rows);
    return sto_kernel_case_buffer(c, &c->step, "step", &step, sizeof step, err);
}

/* ---- the case ---- */

static void count_work(struct sto_kernel_case *c)
{
    const struct sto_kernel_shape *s = &c->shape;
    const enum sto_type type = sto_kernel_get(c->kernel)->weight;
    const uint64_t n = (uint64_t)s->columns * s->inputs;
    const uint64_t row_bytes = type < STO_TYPE_COUNT ? sto_type_bytes(type, s->inputs) : 0;

    switch (operation_of(c->kernel)) {
    case OP_MATMUL:
        c->flops = 2 * n * s->rows;
        c->bytes = row_bytes * s->rows + (is_q8(c->kernel) ? sto_op_q8_bytes(s->columns, s->inputs) : 4 * n) +
                   (uint64_t)4 * s->columns * s->rows;
        break;
    case OP_EMBED: c->bytes = s->columns * row_bytes + 4 * n; break;
    case OP_GLU: c->bytes = 8 * n + (writes_q8(c->kernel) ? sto_op_q8_bytes(s->columns, s->inputs) : 4 * n); break;
    case OP_QUANTIZE: c->bytes = 4 * n + sto_op_q8_bytes(s->columns, s->inputs); break;
    default: c->bytes = 4 * n + (writes_q8(c->kernel) ? sto_op_q8_bytes(s->columns, s->inputs) : 4 * n); break;
    }
}

/* 8-bit activations are made once, with the kernel that makes them. */
static enum sto_status quantize(struct sto_kernel_case *c, struct sto_error *err)
{
    uint64_t ticket;
    struct sto_recording *rec = NULL;
    enum sto_status status = sto_recording_create(c->device, &rec, err);
    if (status != STO_OK)
        return status;
    sto_recording_begin(rec);
    c->ops.rec = rec;
    sto_op_quantize(&c->ops, c->xq.address,
                    (struct sto_tensor){c->x.address, c->shape.columns, c->shape.inputs, c->shape.inputs});
    status = sto_recording_finish(rec, err);
    if (status == STO_OK)
        status = sto_device_submit(c->device, rec, &ticket, err);
    if (status == STO_OK)
        status = sto_device_wait(c->device, ticket, err);
    sto_recording_destroy(rec);
    return status;
}

enum sto_status sto_kernel_case_create(struct sto_device *device, enum sto_kernel kernel,
                                       const struct sto_kernel_shape *shape, const struct sto_tuning *tuning,
                                       struct sto_kernel_case *c, struct sto_error *err)
{
    const bool has_weights = sto_kernel_get(kernel)->weight < STO_TYPE_COUNT;

    *c = (struct sto_kernel_case){.device = device, .kernel = kernel, .shape = *shape};
    c->plan = *sto_device_get_plan(device);
    c->ops = (struct sto_ops){.plan = &c->plan, .math = STO_MATH_EXACT, .deterministic = is_vector(kernel)};
    if (tuning != NULL)
        c->plan.tuning[kernel] = *tuning;
    const struct sto_kernel_source *source = find_source(kernel);
    if (source != NULL) {
        const enum sto_status made = source->create(c, err);
        if (made != STO_OK)
            sto_kernel_case_destroy(c);
        return made;
    }
    if (c->shape.columns == 0)
        c->shape.columns = is_vector(kernel) ? 1 : 64;
    if (!has_weights)
        c->shape.rows = 1;
    choose_kernel(&c->plan, kernel);
    count_work(c);
    enum sto_status status = has_weights ? put_weights(c, err) : STO_OK;
    if (status == STO_OK)
        status = put_activations(c, err);
    if (status == STO_OK && operation_of(kernel) == OP_EMBED)
        status = put_step(c, err);
    if (status == STO_OK && is_q8(kernel))
        status = quantize(c, err);
    c->ops.pieces = c->pieces.address;
    if (status != STO_OK)
        sto_kernel_case_destroy(c);
    return status;
}

void sto_kernel_case_destroy(struct sto_kernel_case *c)
{
    struct sto_buffer *buffers[] = {&c->weights, &c->x, &c->xq, &c->y, &c->pieces, &c->step};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        sto_buffer_destroy(c->device, buffers[i]);
    for (size_t i = 0; i < sizeof c->more / sizeof *c->more; i++)
        sto_buffer_destroy(c->device, &c->more[i]);
    sto_free(c->w);
    sto_free(c->host_x);
    c->w = NULL;
    c->host_x = NULL;
}

void sto_kernel_case_record(struct sto_kernel_case *c, struct sto_recording *rec, uint32_t turn)
{
    const struct sto_kernel_shape *s = &c->shape;
    const uint32_t piece = c->copies > 0 ? turn % c->copies : 0;
    const struct sto_tensor x = {c->x.address, s->columns, s->inputs, s->inputs};
    const struct sto_tensor same = {c->y.address, s->columns, s->inputs, s->inputs};
    const struct sto_weight w = {.type = sto_kernel_get(c->kernel)->weight, .piece = piece, .rows = s->rows,
                                 .cols = s->inputs, .address = c->weights.address + piece * c->copy_bytes};

    c->ops.rec = rec;
    if (find_source(c->kernel) != NULL) {
        find_source(c->kernel)->record(c, turn);
        return;
    }
    switch (operation_of(c->kernel)) {
    case OP_MATMUL:
        sto_op_matmul(&c->ops, &(struct sto_op_matmul_args){.y = {c->y.address, s->columns, s->rows, s->rows},
                                                            .w = w,
                                                            .x = x,
                                                            .xq = is_q8(c->kernel) ? c->xq.address : 0});
        break;
    case OP_QUANTIZE: sto_op_quantize(&c->ops, c->xq.address, x); break;
    case OP_EMBED: sto_op_embed(&c->ops, same, w, c->step.address, 1.0f); break;
    case OP_RMSNORM:
        if (writes_q8(c->kernel))
            sto_op_rmsnorm_q8(&c->ops, c->xq.address, x, 0, 1e-6f);
        else
            sto_op_rmsnorm(&c->ops, same, x, 0, 1e-6f);
        break;
    case OP_GLU:
        if (writes_q8(c->kernel))
            sto_op_glu_q8(&c->ops, c->xq.address, x, x, ACT_SILU);
        else
            sto_op_glu(&c->ops, same, x, x, ACT_SILU);
        break;
    case OP_NONE: break;
    }
}

void sto_kernel_case_dispatch(struct sto_kernel_case *c, const void *args, uint32_t groups_x, uint32_t groups_y,
                          const struct sto_use *use)
{
    sto_record_dispatch(c->ops.rec, &(struct sto_dispatch){.kernel = c->kernel,
                                                           .tuning = &c->plan.tuning[c->kernel],
                                                           .args = args,
                                                           .groups = {groups_x, groups_y, 1},
                                                           .uses = use,
                                                           .n_uses = 1,
                                                           .flops = c->flops,
                                                           .bytes_moved = c->bytes});
}

/* ---- the check ---- */

/* Column `col` of the activations as the kernel sees them. */
static enum sto_status seen_column(struct sto_kernel_case *c, uint32_t col, double *x, uint8_t *xq,
                                   struct sto_error *err)
{
    const uint32_t n = c->shape.inputs;
    for (uint32_t i = 0; i < n; i++)
        x[i] = c->host_x[(uint64_t)col * n + i];
    if (!is_q8(c->kernel))
        return STO_OK;
    const enum sto_status status =
        sto_download(c->device, &c->xq, (uint64_t)col * Q8_COL_BYTES(n), xq, Q8_COL_BYTES(n), err);
    for (uint32_t i = 0; i < n && status == STO_OK; i++) {
        float d;
        memcpy(&d, xq + n + i / 32 * 8, sizeof d);
        x[i] = (double)d * (int8_t)xq[i];
    }
    return status;
}

/* Error over bound of y[col, row]: 2^-24 of the absolute products for each of sqrt(n_in) and some roundings; operands
 * that f16 rounds lose 2^-10 each. */
static double error_of(const struct sto_kernel_case *c, const float *w, const double *x, float got)
{
    const bool f16 = (sto_kernel_get(c->kernel)->needs & STO_NEEDS_F16) != 0;
    double sum = 0, magnitude = 0;
    for (uint32_t i = 0; i < c->shape.inputs; i++) {
        sum += (double)w[i] * x[i];
        magnitude += fabs((double)w[i] * x[i]);
    }
    const double bound = magnitude * ((16 + 4 * sqrt(c->shape.inputs)) * 0x1p-24 + (f16 ? 0x1p-9 : 0));
    const double error = fabs((double)got - sum);
    return isnan(error) ? INFINITY : error / bound;
}

enum sto_status sto_kernel_case_check(struct sto_kernel_case *c, double *error_over_bound, struct sto_error *err)
{
    enum { SAMPLES = 48 };
    const struct sto_kernel_shape *s = &c->shape;
    const enum sto_type type = sto_kernel_get(c->kernel)->weight;
    enum sto_status status = STO_OK;

    *error_over_bound = 0;
    if (operation_of(c->kernel) != OP_MATMUL)
        return STO_OK;
    const uint64_t row_bytes = sto_type_bytes(type, s->inputs);
    double *x = sto_calloc(s->inputs, sizeof *x);
    float *w = sto_calloc(s->inputs, sizeof *w), *y = sto_calloc(s->rows, sizeof *y);
    uint8_t *xq = sto_calloc(Q8_COL_BYTES(s->inputs), 1);
    if (x == NULL || w == NULL || y == NULL || xq == NULL)
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory to check a product");
    for (uint32_t col = 0; col < s->columns && status == STO_OK; col += s->columns > 16 ? s->columns / 8 - 1 : 1) {
        status = seen_column(c, col, x, xq, err);
        if (status == STO_OK)
            status = sto_download(c->device, &c->y, (uint64_t)col * s->rows * sizeof *y, y, s->rows * sizeof *y, err);
        for (uint32_t i = 0; i < SAMPLES && status == STO_OK; i++) {
            const uint32_t row = i == 0 ? 0 : i == 1 ? s->rows - 1 : (uint32_t)(random_bits() % s->rows);
            sto_decode(type, c->w + row * row_bytes, w, s->inputs);
            *error_over_bound = fmax(*error_over_bound, error_of(c, w, x, y[row]));
        }
    }
    sto_free(x);
    sto_free(w);
    sto_free(y);
    sto_free(xq);
    return status;
}

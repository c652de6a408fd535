/* rope_kv and attention as bench/kernels times them: rows are tokens of context, inputs the width of all query heads.
 *
 *   heads of 128, four query heads to a KV head; columns at the end of the context: 1, of prompts 512
 *   few columns: as many layers' caches in turn as exceed what stays in a cache of the device */
#include <math.h>
#include <string.h>

#include "runtime/measure/kernel_case.h"
#include "runtime/base/mem.h"
#include "runtime/formats/formats.h"
#include "shaders/shared/args.h"

enum { HEAD_DIM = 128, GROUP = 4, MAX_LAYERS = 64 };
enum { KV = 0, TABLE = 1, PARTIAL = 2, FREQS = 3, COUNTERS = 4 }; /* of sto_kernel_case.more */

static bool is_source(const struct sto_kernel_case *c, const char *source)
{
    return strcmp(sto_kernel_get(c->kernel)->source, source) == 0;
}

static enum sto_type kv_type(const struct sto_kernel_case *c)
{
    return sto_kernel_get(c->kernel)->weight;
}

static uint32_t n_heads(const struct sto_kernel_case *c)
{
    return c->shape.inputs / HEAD_DIM;
}
static uint32_t n_kv_heads(const struct sto_kernel_case *c)
{
    return n_heads(c) % GROUP == 0 ? n_heads(c) / GROUP : n_heads(c);
}
static uint32_t n_pages(const struct sto_kernel_case *c)
{
    return (c->shape.rows + KV_PAGE - 1) / KV_PAGE;
}
static uint64_t partial_bytes(const struct sto_kernel_case *c)
{
    return (uint64_t)c->shape.columns * n_heads(c) * n_pages(c) * ATTN_PARTIAL(HEAD_DIM) * sizeof(float);
}

/* What has to move, and the operations of the definition; prompts see a triangle of the last columns. */
static void count_work(struct sto_kernel_case *c)
{
    const uint64_t cols = c->shape.columns, tokens = c->shape.rows, width = c->shape.inputs;
    const uint64_t kv_bytes = 2 * tokens * n_kv_heads(c) * sto_type_bytes(kv_type(c), HEAD_DIM);
    const uint64_t kv_width = 2 * (uint64_t)n_kv_heads(c) * HEAD_DIM;

    if (is_source(c, "rope_kv.comp")) {
        c->bytes = cols * (2 * 4 * (width + kv_width / 2) + 4 * kv_width / 2) +
                   cols * 2 * n_kv_heads(c) * sto_type_bytes(kv_type(c), HEAD_DIM);
    } else if (is_source(c, "attn_decode.comp")) {
        c->bytes = kv_bytes * cols + 2 * partial_bytes(c) + cols * width * 4;
        c->flops = 4 * cols * tokens * width;
    } else {
        c->bytes = kv_bytes + 2 * cols * width * 4;
        c->flops = 4 * width * (cols * (tokens - cols) + cols * (cols + 1) / 2);
    }
}

/* A page of random keys and values, in each place of every layer. */
static enum sto_status put_cache(struct sto_kernel_case *c, struct sto_error *err)
{
    const enum sto_type type = kv_type(c);
    const uint64_t page_bytes = sto_kv_page_bytes(type, n_kv_heads(c), HEAD_DIM);
    const uint64_t v_offset = sto_kv_v_offset(type, n_kv_heads(c), HEAD_DIM);
    const uint64_t row_bytes = sto_type_bytes(type, HEAD_DIM), rows = (uint64_t)n_kv_heads(c) * KV_PAGE;
    const uint32_t total = n_pages(c) * c->copies;
    uint8_t *page = sto_calloc(page_bytes, 1);
    uint64_t *table = sto_calloc(total, sizeof *table);
    float x[HEAD_DIM];
    enum sto_status status = page != NULL && table != NULL ? STO_OK : sto_fail(err, STO_ERR_NO_FIT, "no memory for KV");

    for (uint64_t r = 0; r < 2 * rows && status == STO_OK; r++) {
        for (uint32_t i = 0; i < HEAD_DIM; i++)
            x[i] = sto_kernel_case_random();
        sto_encode(type, x, page + (r < rows ? r * row_bytes : v_offset + (r - rows) * row_bytes), HEAD_DIM);
    }
    if (status == STO_OK)
        status = sto_kernel_case_buffer(c, &c->more[KV], "KV", NULL, page_bytes * total, err);
    for (uint32_t i = 0; i < total && status == STO_OK; i++) {
        table[i] = c->more[KV].address + i * page_bytes;
        status = sto_kernel_case_upload(c, &c->more[KV], i * page_bytes, page, page_bytes, err);
    }
    if (status == STO_OK)
        status = sto_kernel_case_buffer(c, &c->more[TABLE], "pages", table, total * sizeof *table, err);
    sto_free(page);
    sto_free(table);
    return status;
}

/* The columns are the last ones of sequence 0. */
static enum sto_status put_step(struct sto_kernel_case *c, struct sto_error *err)
{
    const uint32_t n = c->shape.columns;
    const size_t bytes = sizeof(struct StepHeader) + n * sizeof(struct StepColumn);
    uint8_t *step = sto_calloc(bytes, 1);
    if (step == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u columns", (unsigned)n);
    const struct StepHeader header = {.n_cols = n, .n_pieces = n_pages(c)};
    memcpy(step, &header, sizeof header);
    for (uint32_t i = 0; i < n; i++) {
        const struct StepColumn column = {.position = c->shape.rows - n + i};
        memcpy(step + sizeof header + i * sizeof column, &column, sizeof column);
    }
    const enum sto_status status = sto_kernel_case_buffer(c, &c->step, "step", step, bytes, err);
    sto_free(step);
    return status;
}

static enum sto_status put_random(struct sto_kernel_case *c, struct sto_buffer *buffer, const char *what, uint64_t n,
                                  struct sto_error *err)
{
    float *x = sto_calloc(n, sizeof *x);
    if (x == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %s", what);
    for (uint64_t i = 0; i < n; i++)
        x[i] = sto_kernel_case_random();
    const enum sto_status status = sto_kernel_case_buffer(c, buffer, what, x, n * sizeof *x, err);
    sto_free(x);
    return status;
}

static enum sto_status create(struct sto_kernel_case *c, struct sto_error *err)
{
    const bool prompt = strncmp(sto_kernel_get(c->kernel)->source, "attn_prefill", 12) == 0;
    struct sto_kernel_shape *s = &c->shape;

    if (s->columns == 0)
        s->columns = prompt ? 512 : 1;
    if (s->columns > s->rows)
        s->columns = s->rows;
    count_work(c);
    const uint64_t layer = n_pages(c) * sto_kv_page_bytes(kv_type(c), n_kv_heads(c), HEAD_DIM);
    const uint64_t wanted = s->columns <= 8 ? s->cold_bytes / layer + 1 : 1;
    c->copies = wanted < MAX_LAYERS ? (uint32_t)wanted : MAX_LAYERS;
    c->copy_bytes = layer;
    const uint64_t qkv = (uint64_t)s->columns * (s->inputs + 2 * n_kv_heads(c) * HEAD_DIM);
    const uint32_t n_counters = s->columns * n_kv_heads(c);
    uint32_t *zeros = sto_calloc(n_counters, sizeof *zeros);
    if (zeros == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u counters", (unsigned)n_counters);
    enum sto_status status =
        sto_kernel_case_buffer(c, &c->more[COUNTERS], "counters", zeros, n_counters * sizeof *zeros, err);
    sto_free(zeros);
    if (status == STO_OK)
        status = put_cache(c, err);
    if (status == STO_OK)
        status = put_step(c, err);
    if (status == STO_OK)
        status = put_random(c, &c->x, "q, k, v", qkv, err);
    if (status == STO_OK)
        status = put_random(c, &c->more[FREQS], "frequencies", HEAD_DIM / 2, err);
    if (status == STO_OK)
        status = put_random(c, &c->more[PARTIAL], "partial results", partial_bytes(c) / sizeof(float), err);
    return status == STO_OK ? sto_kernel_case_buffer(c, &c->y, "o", NULL, (uint64_t)s->columns * s->inputs * 4, err)
                            : status;
}

static struct sto_kv_layer layer_of(const struct sto_kernel_case *c, uint32_t turn)
{
    const uint32_t layer = turn % c->copies, pages = n_pages(c);
    return (struct sto_kv_layer){.type = kv_type(c),
                                 .table = c->more[TABLE].address + (uint64_t)layer * pages * sizeof(uint64_t),
                                 .pages = pages,
                                 .n_kv_heads = n_kv_heads(c),
                                 .head_dim = HEAD_DIM,
                                 .base = c->more[KV].address + layer * c->copy_bytes,
                                 .bytes = c->copy_bytes};
}

/* All columns in one dispatch, however many they are. */
static void record_decode(struct sto_kernel_case *c, const struct sto_kv_layer *kv)
{
    const uint32_t n = c->shape.columns;
    const struct AttnArgs args = {
        .step = c->step.address, .q = c->x.address, .o = c->y.address, .kv_table = kv->table,
        .partial = c->more[PARTIAL].address, .done = c->more[COUNTERS].address, .n_cols = n, .n_heads = n_heads(c),
        .n_kv_heads = kv->n_kv_heads, .head_dim = HEAD_DIM, .q_stride = c->shape.inputs, .kv_pages = kv->pages,
        .v_offset = sto_kv_v_offset(kv->type, kv->n_kv_heads, HEAD_DIM), .max_pieces = kv->pages,
        .scale = 1 / sqrtf(HEAD_DIM),
    };
    const struct sto_use uses[] = {
        {c->more[PARTIAL].address, c->more[PARTIAL].bytes, STO_READ_WRITE},
        {c->more[COUNTERS].address, c->more[COUNTERS].bytes, STO_READ_WRITE},
        {c->y.address, c->y.bytes, STO_WRITE},
    };
    sto_record_dispatch(c->ops.rec, &(struct sto_dispatch){
                                        .kernel = c->kernel,
                                        .tuning = &c->plan.tuning[c->kernel],
                                        .args = &args,
                                        .groups = {kv->pages, kv->n_kv_heads, n},
                                        .uses = uses,
                                        .n_uses = sizeof uses / sizeof *uses,
                                        .flops = c->flops,
                                        .bytes_moved = c->bytes,
                                    });
}

static void record_prompt(struct sto_kernel_case *c, const struct sto_kv_layer *kv)
{
    const uint32_t n = c->shape.columns, width = c->shape.inputs;
    const bool matrix = is_source(c, "attn_prefill_coopmat.comp");

    c->plan.attn_prefill_f16[kv->type] = matrix ? c->kernel : STO_KERNEL_COUNT;
    c->plan.attn_prefill[kv->type] = matrix ? STO_KERNEL_COUNT : c->kernel;
    c->ops.math = matrix ? STO_MATH_F16 : STO_MATH_EXACT;
    sto_op_attention(&c->ops, &(struct sto_op_attention_args){
                                  .step = c->step.address,
                                  .o = {c->y.address, n, width, width},
                                  .q = {c->x.address, n, width, width},
                                  .kv = *kv,
                                  .partial = c->more[PARTIAL].address,
                                  .n_heads = n_heads(c),
                                  .max_tokens = c->shape.rows,
                                  .scale = 1 / sqrtf(HEAD_DIM),
                              });
}

static void record(struct sto_kernel_case *c, uint32_t turn)
{
    const struct sto_kv_layer kv = layer_of(c, turn);
    const uint32_t width = c->shape.inputs + 2 * kv.n_kv_heads * HEAD_DIM;

    if (is_source(c, "rope_kv.comp"))
        sto_op_rope_kv(&c->ops, &(struct sto_op_rope_kv_args){
                                    .step = c->step.address,
                                    .qkv = {c->x.address, c->shape.columns, width, width},
                                    .kv = kv,
                                    .freqs = c->more[FREQS].address,
                                    .n_heads = n_heads(c),
                                    .rope_dims = HEAD_DIM,
                                    .rope_kind = ROPE_NEOX,
                                    .eps = 1e-6f,
                                    .rope_scale = 1,
                                });
    else if (is_source(c, "attn_decode.comp"))
        record_decode(c, &kv);
    else
        record_prompt(c, &kv);
}

const struct sto_kernel_source sto_kernel_case_attention[] = {
    {"rope_kv.comp", create, record},
    {"attn_decode.comp", create, record},
    {"attn_prefill.comp", create, record},
    {"attn_prefill_coopmat.comp", create, record},
    {NULL, NULL, NULL},
};

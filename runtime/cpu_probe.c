/* Products of the cpu lane, timed. */
#include "runtime/cpu_probe.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/base/status.h"
#include "runtime/cpu/cpu.h"
#include "runtime/formats/formats.h"
#include "runtime/random_fill.h"

enum { INPUTS = 4096, COLUMNS = 64, MANY_ROWS = 1024, PATTERN_ROWS = 64, TAIL_BYTES = 256, MIN_PASSES = 2 };
static const uint64_t TIME_NS = 30000000;

struct bench {
    struct sto_cpu *cpu;
    uint8_t *weights;
    float *x, *y; /* [COLUMNS, INPUTS], [COLUMNS, n_rows] */
    uint32_t n_rows;
};

static uint64_t address_of(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static enum sto_status open_bench(struct bench *b, enum sto_type type, struct sto_error *err)
{
    const struct sto_cpu_params params = {.max_cols = COLUMNS, .max_in = INPUTS, .max_group = 1, .head_dim = 64};
    const struct sto_random_block block = sto_random_block_make(type, 0.02f);
    const size_t row_bytes = (size_t)sto_type_bytes(type, INPUTS), pattern_bytes = PATTERN_ROWS * row_bytes;
    const uint32_t n_patterns = (uint32_t)(STO_CPU_PROBE_BYTES / pattern_bytes);
    b->n_rows = n_patterns * PATTERN_ROWS;
    b->weights = sto_calloc(1, n_patterns * pattern_bytes + TAIL_BYTES);
    b->x = sto_calloc((size_t)COLUMNS * INPUTS, sizeof *b->x);
    b->y = sto_calloc((size_t)b->n_rows + (size_t)COLUMNS * MANY_ROWS, sizeof *b->y);
    if (b->weights == NULL || b->x == NULL || b->y == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory to measure the processor with");
    sto_memory_want_large_pages(b->weights, n_patterns * pattern_bytes);
    sto_random_bytes(&block, 1, 0, b->weights, pattern_bytes);
    for (uint32_t i = 1; i < n_patterns; i++)
        memcpy(b->weights + i * pattern_bytes, b->weights, pattern_bytes);
    for (size_t i = 0; i < (size_t)COLUMNS * INPUTS; i++)
        b->x[i] = (float)(i % 61) / 61.0f - 0.5f;
    return sto_cpu_create(&params, &b->cpu, err);
}

static void close_bench(struct bench *b)
{
    sto_cpu_destroy(b->cpu);
    sto_free(b->weights);
    sto_free(b->x);
    sto_free(b->y);
}

/* Nanoseconds of a product of the first n_rows rows, the best of a few: one that others disturb only takes longer. */
static double time_product(const struct bench *b, enum sto_type type, uint32_t n_rows, uint32_t n_cols)
{
    const uint64_t at = address_of(b->weights), begin = sto_now_ns();
    struct sto_ops ops = {.cpu = b->cpu};
    const struct sto_op_matmul_args args = {
        .y = {.address = address_of(b->y), .rows = n_cols, .cols = n_rows, .stride = n_rows},
        .x = {.address = address_of(b->x), .rows = n_cols, .cols = INPUTS, .stride = INPUTS},
        .w = {.type = type, .rows = n_rows, .cols = INPUTS, .offset = at, .address = at},
    };
    double best = 0;
    for (int i = 0; i < MIN_PASSES || sto_now_ns() - begin < TIME_NS; i++) {
        const uint64_t start = sto_now_ns();
        sto_op_matmul(&ops, &args);
        const double ns = (double)(sto_now_ns() - start);
        best = i == 0 || ns < best ? ns : best;
    }
    return best;
}

enum sto_status sto_cpu_probe(enum sto_type type, double *gb_per_s, double *tflop_per_s, struct sto_error *err)
{
    struct bench b = {0};
    const enum sto_status status = open_bench(&b, type, err);
    if (status == STO_OK) {
        const double bytes = (double)sto_type_bytes(type, INPUTS) * b.n_rows;
        const double few = time_product(&b, type, b.n_rows, 1), many = time_product(&b, type, MANY_ROWS, COLUMNS);
        *gb_per_s = few > 0 ? bytes / few : 0;
        *tflop_per_s = many > 0 ? 2.0 * INPUTS * MANY_ROWS * COLUMNS / many / 1e3 : 0;
    }
    close_bench(&b);
    return status;
}

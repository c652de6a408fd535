/* Cases of the kernels that only fill and read memory: random_fill, read_sum. Exact. */
#include "runtime/verify/verify.h"

#include <string.h>

#include "shaders/shared/args.h"

/* ---- random_fill ---- */

/* Byte i of the stream, written down from the definition and one byte at a time: 8 bits of the hash of its word, those
 * of a field masked. */
static uint8_t expected_byte(const struct RandomFillArgs *a, uint64_t i)
{
    uint32_t x = (uint32_t)(i >> 2 & UINT32_MAX) ^ a->seed_low;
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    x ^= a->seed_high;
    const uint8_t random = (uint8_t)(x >> (i & 3) * 8 & 255);
    const uint64_t at = i % a->block_bytes;
    if (at < a->field_at || at >= (uint64_t)a->field_at + a->field_bytes)
        return random;
    const uint32_t shift = (uint32_t)(at - a->field_at) * 8;
    return (uint8_t)((random & (a->keep >> shift & 255)) | (a->set >> shift & 255));
}

static void fill_case(struct sto_verifier *v, enum sto_kernel kernel, struct RandomFillArgs args)
{
    const uint64_t bytes = (uint64_t)args.units * 16 + args.tail_bytes;
    const uint32_t workgroup = sto_verify_plan(v)->tuning[kernel].values[0];

    sto_verify_begin(v, "%u bytes in blocks of %u, %u masked from %u, %u units in", (unsigned)bytes, args.block_bytes,
                     args.field_bytes, args.field_at, args.first);
    uint8_t *want = sto_verify_alloc(v, bytes, 1);
    args.seed_low = sto_verify_random(v);
    args.seed_high = sto_verify_random(v);
    args.keep = sto_verify_random(v);
    args.set = sto_verify_random(v);
    for (uint64_t i = 0; i < bytes; i++)
        want[i] = expected_byte(&args, (uint64_t)args.first * 16 + i);
    const struct sto_verify_range dst = sto_verify_output(v, "dst", bytes);
    args.dst = dst.address;
    const uint32_t groups = ((uint32_t)(bytes + 15) / 16 + workgroup - 1) / workgroup;
    sto_verify_dispatch(v, kernel, &args, (groups + 1) / 2, 2, 1); /* one group too many: it writes nothing */
    sto_verify_run(v);
    sto_verify_compare_bytes(v, dst, 0, want, bytes);
    sto_verify_end(v);
}

static void run_random_fill(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const struct {
        uint32_t block_bytes, field_at, field_bytes;
    } blocks[] = {{18, 0, 2},   {20, 0, 4},   {34, 0, 2}, {84, 80, 4}, {110, 108, 2}, {144, 0, 4},
                  {210, 208, 2}, {17, 0, 1}, {4, 0, 4},  {2, 0, 2},   {16, 0, 0},    {1, 0, 1}, {4096, 4092, 4}};
    static const struct {
        uint32_t units, tail_bytes, first;
    } sizes[] = {{0, 1, 0}, {1, 0, 0}, {3, 15, 1}, {1000, 8, 77}, {4099, 2, 1 << 22}, {70, 0, 0x0fffff00}};

    for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            fill_case(v, kernel,
                      (struct RandomFillArgs){.units = sizes[s].units,
                                              .tail_bytes = sizes[s].tail_bytes,
                                              .first = sizes[s].first,
                                              .block_bytes = blocks[b].block_bytes,
                                              .field_at = blocks[b].field_at,
                                              .field_bytes = blocks[b].field_bytes});
    }
}

/* ---- read_sum ---- */

static void sum_case(struct sto_verifier *v, enum sto_kernel kernel, uint32_t units)
{
    const struct sto_tuning *tuning = &sto_verify_plan(v)->tuning[kernel];
    const uint32_t workgroup = tuning->values[0], per_group = workgroup * tuning->values[2];
    const uint32_t words = units * 4, groups = (units + per_group - 1) / per_group;

    sto_verify_begin(v, "%u units", units);
    uint32_t *x = sto_verify_alloc(v, words, sizeof *x), *want = sto_verify_alloc(v, groups * workgroup, sizeof *want);
    for (uint32_t i = 0; i < words; i++) {
        x[i] = sto_verify_random(v);
        want[i / 4 / per_group * workgroup + i / 4 % workgroup] += x[i]; /* per_group is a multiple of workgroup */
    }
    const struct sto_verify_range xs = sto_verify_input(v, "x", x, words * sizeof *x);
    const struct sto_verify_range y = sto_verify_output(v, "y", groups * workgroup * sizeof *want);
    const struct ReadSumArgs args = {.x = xs.address, .y = y.address, .units = units};
    sto_verify_dispatch(v, kernel, &args, (groups + 1) / 2, 2, 1);
    sto_verify_run(v);
    sto_verify_compare_bytes(v, y, 0, want, groups * workgroup * sizeof *want);
    sto_verify_end(v);
}

static void run_read_sum(struct sto_verifier *v, enum sto_kernel kernel)
{
    static const uint32_t sizes[] = {1, 3, 511, 512, 513, 4096, 10007, 65536, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        sum_case(v, kernel, sizes[i]);
}

const struct sto_verify_source sto_verify_memory[] = {
    {"random_fill.comp", true, run_random_fill, NULL},
    {"read_sum.comp", true, run_read_sum, NULL},
    {NULL, false, NULL, NULL},
};

/* sto_op_matmul as a recorder sees it: how a product is cut into dispatches. Nothing runs here; strato verify holds the
 * results to a reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/formats/formats.h"
#include "runtime/ops/ops.h"

static struct sto_device *device;

static int open_device(void **state)
{
    (void)state;
    struct sto_error err;
    const struct sto_device_params params = {.cache_dir = ""};
    if (sto_device_open(&params, NULL, &device, &err) != STO_OK)
        device = NULL; /* each test is skipped */
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    sto_device_close(device);
    return 0;
}

/* Where tensors would lie, far apart; nothing is ever read there. */
enum { W_AT = 1, X_AT = 2, Y_AT = 3, PIECES_AT = 4 };
static uint64_t at(uint64_t i)
{
    return i << 40;
}

/* Kernels of matrows.comp: whole tiles of columns in one dispatch, what is left in another, each column as if alone. */
static bool works_by_rows(void)
{
    const enum sto_kernel kernel = sto_device_get_plan(device)->matmul[STO_TYPE_Q4_K];
    return strcmp(sto_kernel_get(kernel)->source, "matrows.comp") == 0;
}

/* Records one product and returns what was recorded. */
static struct sto_recording_stats record(uint32_t n_out, uint32_t n_in, uint32_t n, bool deterministic)
{
    struct sto_recording *rec = NULL;
    struct sto_recording_stats stats;
    struct sto_error err;

    assert_int_equal(sto_recording_create(device, &rec, &err), STO_OK);
    sto_recording_begin(rec);
    struct sto_ops ops = {.rec = rec, .plan = sto_device_get_plan(device), .pieces = at(PIECES_AT),
                          .math = STO_MATH_EXACT, .deterministic = deterministic};
    const struct sto_op_matmul_args args = {
        .y = {.address = at(Y_AT), .rows = n, .cols = n_out, .stride = n_out},
        .w = {.type = STO_TYPE_Q4_K, .rows = n_out, .cols = n_in, .address = at(W_AT)},
        .x = {.address = at(X_AT), .rows = n, .cols = n_in, .stride = n_in},
    };
    sto_op_matmul(&ops, &args);
    assert_int_equal(sto_recording_finish(rec, &err), STO_OK);
    sto_recording_get_stats(rec, &stats);
    sto_recording_destroy(rec);
    /* no row is left out and none is made twice */
    assert_int_equal(stats.flops, (uint64_t)2 * n_out * n_in * n);
    return stats;
}

static void small_products_are_one_dispatch(void **state)
{
    (void)state;
    if (device == NULL)
        skip();
    assert_int_equal(record(1, 256, 1, false).dispatches, 1);
    assert_int_equal(record(67, 768, 33, false).dispatches, works_by_rows() ? 2 : 1);
    assert_int_equal(record(67, 768, 32, false).dispatches, 1);
    assert_int_equal(record(4096, 4096, 1, false).dispatches, 1);
    /* more rows than one dimension of groups holds */
    assert_int_equal(record(300000, 256, 1, false).dispatches, 1);
}

static void large_products_are_cut(void **state)
{
    (void)state;
    if (device == NULL)
        skip();
    /* 2^31 operations are the bound: 12288 * 4096 * 512 * 2 are 24 times as many */
    const uint32_t prefill = record(12288, 4096, 512, false).dispatches;
    assert_in_range(prefill, 24, 26);
    /* an output matrix: 151936 * 4096 * 2 is below it, 8 columns are 4.6 times as many */
    assert_int_equal(record(151936, 4096, 1, false).dispatches, 1);
    assert_in_range(record(151936, 4096, 8, false).dispatches, 5, 8);
    /* a single row is beyond the bound, and still made */
    assert_in_range(record(3, 1u << 21, 511, false).dispatches, 1, 3);
}

static void deterministic_takes_few_columns_at_a_time(void **state)
{
    (void)state;
    if (device == NULL)
        skip();
    const uint32_t together = record(67, 768, 33, false).dispatches, alone = record(67, 768, 33, true).dispatches;
    if (works_by_rows())
        assert_int_equal(alone, together);
    else
        assert_true(together == 1 && alone >= (33 + 7) / 8);
}

/* Tiles of cooperative matrices: 128 by 128 where there is work for many, narrower for few columns, smaller for few
 * tiles, never below 2 by 2 matrices unless columns are fewer. Where that still makes fewer workgroups than the device
 * takes, subgroups share n_in, if it is long, and shared memory has room. */
static void tiles_of_matrices_follow_the_shape(void **state)
{
    (void)state;
    static const struct {
        uint32_t rows, inputs, cols, busy, shared_kb, tm, tn, across, sums;
    } cases[] = {
        {4096, 512, 512, 64, 48, 4, 4, 2, 128},
        {12288, 512, 512, 64, 48, 4, 4, 2, 128},
        {4096, 512, 64, 64, 48, 2, 2, 2, 128},
        {12288, 512, 64, 64, 48, 4, 2, 2, 128},
        {12288, 512, 32, 64, 48, 4, 1, 2, 128},
        {12288, 512, 9, 64, 48, 4, 1, 2, 128},
        {1024, 512, 512, 64, 48, 2, 4, 2, 128},
        {1024, 512, 128, 64, 48, 2, 2, 2, 128},
        {151936, 512, 33, 64, 48, 4, 2, 2, 128},
        {67, 512, 9, 64, 48, 2, 1, 2, 128},
        {4096, 4096, 512, 64, 48, 4, 4, 2, 128},
        {4096, 4096, 64, 64, 48, 2, 2, 2, 128}, /* enough tiles */
        {4096, 12288, 64, 256, 48, 2, 2, 0, 128},
        {4096, 12288, 64, 128, 48, 2, 4, 0, 128}, /* all columns, if that is enough */
        {4096, 12288, 16, 192, 48, 2, 1, 0, 128},
        {1024, 1024, 32, 64, 48, 2, 2, 0, 128},
        {1024, 992, 32, 64, 48, 2, 1, 2, 128}, /* 31 blocks for four subgroups are few */
        {4096, 12288, 64, 128, 32, 2, 2, 0, 128},
        {4096, 12288, 64, 256, 16, 2, 2, 2, 128}, /* no room for 4 matrices, or any */
        {4096, 12288, 64, 128, 48, 2, 2, 0, 32},
        {4096, 12288, 64, 128, 48, 2, 1, 0, 31}, /* by 256 / 32 sums each */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct sto_device_plan plan;
        struct sto_tuning t = {.values = {128, 32, 16, 16, 16, 4, 4, 2}, .n_values = 8};
        plan.busy_groups = cases[i].busy;
        plan.max_shared_bytes = cases[i].shared_kb << 10;
        plan.coopmat.product_sums = cases[i].sums;
        const struct sto_weight w = {.type = STO_TYPE_Q4_K, .rows = cases[i].rows, .cols = cases[i].inputs};
        sto_op_coopmat_tuning(&plan, STO_KERNEL_matmul_coopmat_q4_k, &w, cases[i].cols, &t);
        if (t.values[5] != cases[i].tm || t.values[6] != cases[i].tn || t.values[7] != cases[i].across)
            fail_msg("%u rows of %u, %u columns: %u by %u matrices, %u across", cases[i].rows, cases[i].inputs,
                     cases[i].cols, t.values[5], t.values[6], t.values[7]);
        assert_true(t.values[0] == 128 && t.values[2] == 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_products_are_one_dispatch),
        cmocka_unit_test(large_products_are_cut),
        cmocka_unit_test(tiles_of_matrices_follow_the_shape),
        cmocka_unit_test(deterministic_takes_few_columns_at_a_time),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

/* runtime/vk/device_plan: what is decided for the devices of tests/snapshots, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/vk/device_plan.h"
#include "runtime/vk/tuning.h"

static struct sto_error err;

static void load(const char *name, struct sto_device_snapshot *s)
{
    char path[512], *text;
    size_t size;
    (void)snprintf(path, sizeof path, STRATO_SOURCE_DIR "/tests/snapshots/%s.txt", name);
    if (sto_file_read(path, 1 << 20, &text, &size, &err) != STO_OK ||
        sto_snapshot_parse(name, text, size, s, &err) != STO_OK)
        fail_msg("%s", err.message);
    sto_free(text);
}

static void make_plan(const struct sto_device_snapshot *s, const struct sto_plan_options *options,
                      struct sto_device_plan *plan)
{
    if (sto_device_plan_make(s, options, plan, &err) != STO_OK)
        fail_msg("%s", err.message);
}

/* What each device should get, from what is known of the hardware: memory types by index in the snapshot. */
static const struct expected {
    const char *snapshot;
    uint32_t compute, transfer; /* families; UINT32_MAX: no transfer queue */
    uint32_t device, upload, readback;
    bool mapped, unified;
    uint32_t subgroup;
    bool required, f16, int_dot;
} expected[] = {
    {"lavapipe-debian12", 0, UINT32_MAX, 0, 0, 0, true, true, 8, false, true, true},
    {"lavapipe-sid", 0, UINT32_MAX, 0, 0, 0, true, true, 8, false, true, true},
    {"radv-navi10-trixie", 1, UINT32_MAX, 0, 2, 5, false, false, 32, true, true, true},
    {"radv-navi21-trixie", 1, UINT32_MAX, 0, 2, 5, false, false, 32, true, true, true},
    {"radv-navi31-trixie", 1, UINT32_MAX, 3, 2, 5, true, false, 32, true, true, true},
    {"radv-navi31-sid", 1, UINT32_MAX, 3, 2, 5, true, false, 32, true, true, true},
    {"radv-gfx1201-sid", 1, UINT32_MAX, 0, 2, 5, false, false, 32, true, true, true},
    {"nvk-162-trixie", 0, UINT32_MAX, 1, 2, 2, true, false, 32, false, false, true},
    {"nvk-172-trixie", 0, UINT32_MAX, 1, 2, 2, true, false, 32, false, true, true},
    {"nvk-177-trixie", 0, UINT32_MAX, 1, 2, 2, true, false, 32, false, true, true},
    {"nvk-192-sid", 0, UINT32_MAX, 1, 2, 2, true, false, 32, false, true, true},
    {"nvk-1b2-sid", 0, UINT32_MAX, 1, 2, 2, true, false, 32, false, true, true},
    {"turnip-740-sid", 0, UINT32_MAX, 0, 0, 1, true, true, 128, true, true, true},
    {"agx-sid", 0, UINT32_MAX, 0, 0, 0, true, true, 32, false, true, true},
    {"hand-rx580-8g-small-bar", 1, UINT32_MAX, 0, 1, 3, false, false, 64, false, false, true},
    {"hand-rtx4060-8g-rebar", 2, 1, 4, 2, 3, true, false, 32, false, true, true},
    {"hand-rtx2070-8g-small-bar", 2, 1, 1, 2, 3, false, false, 32, false, true, true},
    {"hand-intel-arc-a770", 1, 2, 2, 1, 1, true, false, 8, true, true, true},
    {"hand-intel-xe-integrated", 0, UINT32_MAX, 1, 1, 1, true, true, 8, true, true, true},
    {"hand-moltenvk-m2", 0, UINT32_MAX, 1, 1, 1, true, true, 32, false, true, true},
    {"hand-apu-carve-out", 1, UINT32_MAX, 2, 2, 3, true, true, 32, true, true, true},
};
enum { N_EXPECTED = sizeof expected / sizeof *expected };

#define SAME(what, got, want)                                                                                         \
    do {                                                                                                               \
        if ((got) != (want))                                                                                           \
            fail_msg("%s: %s is %u, not %u", e->snapshot, what, (unsigned)(got), (unsigned)(want));                  \
    } while (0)

static void devices_get_what_suits_them(void **state)
{
    (void)state;
    for (const struct expected *e = expected; e < expected + N_EXPECTED; e++) {
        struct sto_device_snapshot s;
        struct sto_device_plan p;
        load(e->snapshot, &s);
        make_plan(&s, NULL, &p);
        SAME("compute family", p.compute_family, e->compute);
        SAME("has a transfer queue", p.has_transfer_queue, e->transfer != UINT32_MAX);
        SAME("transfer family", p.transfer_family, e->transfer != UINT32_MAX ? e->transfer : e->compute);
        SAME("device memory type", p.device_memory_type, e->device);
        SAME("upload memory type", p.upload_memory_type, e->upload);
        SAME("readback memory type", p.readback_memory_type, e->readback);
        SAME("mapped", p.device_memory_mapped, e->mapped);
        SAME("unified", p.unified_memory, e->unified);
        SAME("subgroup size", p.subgroup_size, e->subgroup);
        SAME("required subgroup size", p.require_subgroup_size, e->required);
        SAME("f16", p.use_f16, e->f16);
        SAME("int_dot", p.use_int_dot, e->int_dot);
        SAME("heap", p.device_heap_bytes, s.heaps[s.memory_types[e->device].heap].bytes);
    }
}

/* For every device: kernels that are used exist, are usable, and serve the format; tuning is within the limits. */
static void variants_and_tuning_fit_every_device(void **state)
{
    (void)state;
    for (const struct expected *e = expected; e < expected + N_EXPECTED; e++) {
        struct sto_device_snapshot s;
        struct sto_device_plan p;
        load(e->snapshot, &s);
        make_plan(&s, NULL, &p);
        for (uint32_t t = 0; t < STO_TYPE_COUNT; t++) {
            const enum sto_kernel used[] = {p.embed[t], p.matvec[t], p.matvec_q8[t], p.matmul[t], p.matmul_f16[t],
                                           p.matmul_q8[t], p.attn_prefill[t], p.attn_prefill_f16[t]};
            for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
                if (used[i] == STO_KERNEL_COUNT)
                    continue;
                SAME("weight format of a variant", sto_kernel_get(used[i])->weight, t);
                SAME("usable variant", p.usable[used[i]], true);
            }
            SAME("q8 by default", p.q8_by_default[t], false);
        }
        for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++) {
            const struct sto_tuning *tuning = &p.tuning[k];
            const struct sto_kernel_info *info = sto_kernel_get((enum sto_kernel)k);
            SAME("constants", tuning->n_values >= 2 && tuning->n_values <= STO_MAX_TUNING, true);
            SAME("workgroup above 0", tuning->values[0] > 0, true);
            SAME("workgroup within the limit", tuning->values[0] <= s.max_workgroup_invocations, true);
            SAME("subgroup constant", tuning->values[1], p.subgroup_size);
            SAME("required subgroup", tuning->required_subgroup_size, e->required ? e->subgroup : 0);
            SAME("needs f16", (info->needs & STO_NEEDS_F16) != 0 && !p.use_f16 && p.usable[k], false);
        }
    }
}

/* The variants follow the names of kernels, and f16 products are taken away with f16. */
static void variants_follow_names_and_options(void **state)
{
    (void)state;
    struct sto_device_snapshot s;
    struct sto_device_plan p;
    load("lavapipe-debian12", &s);
    for (int without = 0; without <= 1; without++) {
        make_plan(&s, &(struct sto_plan_options){.no_f16 = without != 0, .no_int_dot = without != 0}, &p);
        assert_int_equal(p.use_f16, without == 0);
        assert_int_equal(p.use_int_dot, without == 0);
        for (uint32_t t = 0; t < STO_TYPE_COUNT; t++) {
            char type[16], name[64];
            (void)snprintf(type, sizeof type, "%s", sto_type_name((enum sto_type)t));
            for (char *c = type; *c != '\0'; c++)
                *c = (char)tolower((unsigned char)*c);
            (void)snprintf(name, sizeof name, "embed_%s", type);
            assert_int_equal(p.embed[t], sto_kernel_by_name(name));
            (void)snprintf(name, sizeof name, "matrows_%s", type);
            assert_int_equal(p.matvec[t], sto_kernel_by_name(name));
            assert_int_equal(p.matmul[t], sto_kernel_by_name(name));
            (void)snprintf(name, sizeof name, "matrows_q8_%s", type);
            const enum sto_kernel q8 = without == 0 ? sto_kernel_by_name(name) : STO_KERNEL_COUNT;
            assert_int_equal(p.matvec_q8[t], q8);
            assert_int_equal(p.matmul_q8[t], q8);
            assert_false(p.f16_by_default); /* a CPU driver: slower than f32 */
        }
        for (uint32_t k = 0; k < STO_KERNEL_COUNT && without != 0; k++)
            assert_false(p.usable[k] && sto_kernel_get((enum sto_kernel)k)->needs != STO_NEEDS_NONE);
    }
    assert_int_equal(sto_kernel_by_name("no_such_kernel"), STO_KERNEL_COUNT);
}

/* Kernels whose invocations own rows are for lanes of a CPU's vectors, and fed as its compiler can. */
static void cpus_work_by_rows(void **state)
{
    (void)state;
    static const struct {
        const char *snapshot;
        bool by_rows;
        uint32_t rows, cols, x_from, loads_by_row, plain_cols;
    } cases[] = {{"lavapipe-debian12", true, 4, 16, 1, 0, 16},
                 {"lavapipe-sid", true, 1, 32, 0, 1, 8},
                 {"radv-navi31-sid", false, 1, 32, 0, 0, 8},
                 {"hand-intel-xe-integrated", false, 1, 32, 0, 0, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_device_snapshot s;
        struct sto_device_plan p;
        load(cases[i].snapshot, &s);
        make_plan(&s, NULL, &p);
        const struct sto_tuning *tuning = &p.tuning[STO_KERNEL_matrows_q4_k];
        assert_int_equal(p.matvec[STO_TYPE_Q4_K] == STO_KERNEL_matrows_q4_k, cases[i].by_rows);
        assert_int_equal(p.matmul[STO_TYPE_Q4_K] == STO_KERNEL_matrows_q4_k, cases[i].by_rows);
        assert_int_equal(tuning->values[0], p.subgroup_size);
        assert_int_equal(tuning->values[2], cases[i].rows);
        assert_int_equal(tuning->values[3], cases[i].cols);
        assert_int_equal(tuning->values[4], cases[i].x_from);
        assert_int_equal(p.tuning[STO_KERNEL_matrows_f16].values[3], cases[i].plain_cols);
        assert_int_equal(tuning->values[5], cases[i].loads_by_row);
        assert_int_equal(tuning->n_values, 6);
    }
    struct sto_device_snapshot s;
    struct sto_device_plan p;
    load("lavapipe-debian12", &s);
    s.subgroup_size = s.min_subgroup_size = s.max_subgroup_size = 4;
    make_plan(&s, NULL, &p);
    assert_int_equal(p.tuning[STO_KERNEL_matrows_q4_k].values[4], 2); /* no shuffle of four lanes at once */
}

/* The float kernel for many columns in Q4_K where f16 operands are asked for. */
static enum sto_kernel f16_product(const struct sto_device_plan *p)
{
    return p->matmul_f16[STO_TYPE_Q4_K];
}

/* Cooperative matrices: the size is one that the device has, a GPU uses them, a CPU driver only has them verified. */
static void matrix_units_are_used_where_there_are_some(void **state)
{
    (void)state;
    static const struct {
        const char *snapshot;
        uint32_t m, n, k;
        bool used;
    } cases[] = {{"radv-navi31-sid", 16, 16, 16, true},       {"radv-navi31-trixie", 16, 16, 16, true},
                 {"radv-gfx1201-sid", 16, 16, 16, true},      {"nvk-192-sid", 16, 16, 16, true},
                 {"hand-rtx4060-8g-rebar", 16, 16, 16, true}, {"lavapipe-sid", 8, 8, 8, false},
                 {"anv-dg2-sid", 8, 8, 16, true},             {"anv-bmg-sid", 8, 16, 16, true},
                 {"radv-navi21-trixie", 0, 0, 0, false},      {"nvk-162-trixie", 0, 0, 0, false},
                 {"lavapipe-debian12", 0, 0, 0, false},       {"hand-moltenvk-m2", 0, 0, 0, false}};
    const enum sto_kernel kernel = STO_KERNEL_matmul_coopmat_q4_k;
    const bool built = sto_kernel_get(kernel)->spirv != NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_device_snapshot s;
        struct sto_device_plan p;
        load(cases[i].snapshot, &s);
        make_plan(&s, NULL, &p);
        if (p.coopmat.size.m != cases[i].m || p.coopmat.size.n != cases[i].n || p.coopmat.size.k != cases[i].k)
            fail_msg("%s: matrices of %u x %u x %u", cases[i].snapshot, p.coopmat.size.m, p.coopmat.size.n,
                     p.coopmat.size.k);
        assert_int_equal(p.use_coopmat, cases[i].m > 0);
        assert_int_equal(p.usable[kernel], built && cases[i].m > 0);
        assert_int_equal(f16_product(&p) == kernel, built && cases[i].used);
        assert_int_not_equal(p.matmul[STO_TYPE_Q4_K], kernel); /* exact products are of f32 */
        assert_true(p.tuning[kernel].values[0] % p.subgroup_size == 0);
        assert_true(sto_tuning_shared_bytes(sto_kernel_get(kernel), &p.tuning[kernel]) <= s.max_shared_bytes);
        make_plan(&s, &(struct sto_plan_options){.no_coopmat = true}, &p);
        assert_false(p.use_coopmat || p.usable[kernel]);
        assert_int_not_equal(f16_product(&p), kernel);
    }
}

/* Matrices of integers: of several sizes the largest, and the largest whose K is 16 at most for formats with two scales
 * in a block. They need no f16 arithmetic. */
static void integer_matrices_follow_the_scales_of_a_format(void **state)
{
    (void)state;
    static const struct {
        const char *snapshot;
        struct sto_matrix_size one, two;
        bool used;
    } cases[] = {
        {"radv-navi31-sid", {16, 16, 16}, {16, 16, 16}, true},
        {"radv-gfx1201-sid", {16, 16, 16}, {16, 16, 16}, true},
        {"nvk-192-sid", {16, 16, 32}, {16, 8, 16}, true},
        {"nvk-1b2-sid", {16, 16, 32}, {16, 8, 16}, true},
        {"anv-dg2-sid", {8, 8, 32}, {0, 0, 0}, true},
        {"anv-bmg-sid", {8, 16, 32}, {0, 0, 0}, true},
        {"lavapipe-sid", {8, 8, 8}, {8, 8, 8}, false},
        {"radv-navi21-trixie", {0, 0, 0}, {0, 0, 0}, false},
        {"hand-moltenvk-m2", {0, 0, 0}, {0, 0, 0}, false},
    };
    const enum sto_kernel one = STO_KERNEL_matmul_coopmat_q8_q4_k, two = STO_KERNEL_matmul_coopmat_q8_q6_k;
    const bool built = sto_kernel_get(one)->spirv != NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_device_snapshot s;
        struct sto_device_plan p;
        load(cases[i].snapshot, &s);
        for (int no_f16 = 0; no_f16 < 2; no_f16++) {
            make_plan(&s, &(struct sto_plan_options){.no_f16 = no_f16 != 0}, &p);
            if (memcmp(&p.coopmat.int8, &cases[i].one, sizeof cases[i].one) != 0 ||
                memcmp(&p.coopmat.int8_k16, &cases[i].two, sizeof cases[i].two) != 0)
                fail_msg("%s: %u x %u x %u, %u x %u x %u", cases[i].snapshot, p.coopmat.int8.m, p.coopmat.int8.n,
                         p.coopmat.int8.k, p.coopmat.int8_k16.m, p.coopmat.int8_k16.n, p.coopmat.int8_k16.k);
            assert_int_equal(p.use_coopmat, cases[i].one.m > 0);
            assert_int_equal(p.usable[one], built && cases[i].one.m > 0);
            assert_int_equal(p.usable[two], built && cases[i].two.m > 0);
            assert_false(no_f16 != 0 && p.usable[STO_KERNEL_matmul_coopmat_q4_k]);
            const bool used = built && cases[i].used;
            assert_int_equal(p.matmul_q8[STO_TYPE_Q4_K] == one, used);
            assert_int_equal(p.matmul_q8[STO_TYPE_Q6_K] == two, used && cases[i].two.m > 0);
            if (cases[i].used && cases[i].two.m == 0)
                assert_int_equal(p.matmul_q8[STO_TYPE_Q6_K], STO_KERNEL_matmul_q8_q6_k);
            assert_false(p.q8_matmul_by_default[STO_TYPE_Q4_K]); /* until it has been measured */
        }
        make_plan(&s, &(struct sto_plan_options){.no_coopmat = true}, &p);
        assert_false(p.use_coopmat || p.usable[one] || p.usable[two]);
    }
}

/* Of integers, signed ones that do not saturate. */
static void other_integers_are_passed_over(void **state)
{
    (void)state;
    static const struct {
        uint32_t a, b, c, result;
        bool saturating;
    } types[] = {{3, 3, 5, 5, true}, {7, 3, 5, 5, false}, {7, 7, 9, 9, false}, {3, 3, 5, 9, false}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct sto_device_snapshot s;
        struct sto_device_plan p;
        load("nvk-192-sid", &s);
        s.n_coopmat_shapes = 1;
        s.coopmat_shapes[0].m = s.coopmat_shapes[0].n = s.coopmat_shapes[0].k = 16;
        s.coopmat_shapes[0].a_type = types[i].a;
        s.coopmat_shapes[0].b_type = types[i].b;
        s.coopmat_shapes[0].c_type = types[i].c;
        s.coopmat_shapes[0].result_type = types[i].result;
        s.coopmat_shapes[0].saturating = types[i].saturating;
        s.coopmat_shapes[0].scope = 3;
        make_plan(&s, NULL, &p);
        assert_false(p.use_coopmat);
        assert_int_equal(p.matmul_q8[STO_TYPE_Q4_K], STO_KERNEL_matmul_q8_q4_k);
    }
}

/* Sizes of other types, of another scope, or that the kernels cannot use are passed over; of the others the largest. */
static void sizes_of_matrices_are_chosen(void **state)
{
    (void)state;
    static const struct {
        uint32_t shapes[3][9]; /* m n k a b c result saturating scope */
        uint32_t m, n, k;
    } cases[] = {
        {{{8, 8, 16, 0, 0, 1, 1, 0, 3}}, 8, 8, 16},                                                      /* DG2 */
        {{{8, 8, 16, 0, 0, 0, 0, 0, 3}, {8, 16, 16, 0, 0, 1, 1, 0, 3}}, 8, 16, 16},                      /* Xe2 */
        {{{16, 8, 16, 0, 0, 1, 1, 0, 3}, {16, 16, 16, 0, 0, 1, 1, 0, 3}, {16, 8, 8, 0, 0, 1, 1, 0, 3}}, 16, 16, 16},
        {{{16, 16, 16, 0, 0, 0, 0, 0, 3}, {16, 16, 16, 0, 1, 1, 1, 0, 3}, {16, 16, 16, 0, 0, 0, 1, 0, 3}}, 0, 0, 0},
        {{{16, 16, 16, 0, 0, 1, 1, 0, 2}, {16, 16, 12, 0, 0, 1, 1, 0, 3}, {16, 16, 64, 0, 0, 1, 1, 0, 3}}, 0, 0, 0},
        {{{16, 16, 32, 7, 7, 9, 9, 0, 3}, {16, 16, 16, 0, 0, 1, 1, 1, 3}, {128, 1, 8, 0, 0, 1, 1, 0, 3}}, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_device_snapshot s;
        struct sto_device_plan p;
        load("hand-intel-arc-a770", &s);
        s.ext_cooperative_matrix = s.vulkan_memory_model = true;
        s.n_coopmat_shapes = 3;
        for (uint32_t j = 0; j < 3; j++) {
            const uint32_t *from = cases[i].shapes[j];
            s.coopmat_shapes[j].m = from[0];
            s.coopmat_shapes[j].n = from[1];
            s.coopmat_shapes[j].k = from[2];
            s.coopmat_shapes[j].a_type = from[3];
            s.coopmat_shapes[j].b_type = from[4];
            s.coopmat_shapes[j].c_type = from[5];
            s.coopmat_shapes[j].result_type = from[6];
            s.coopmat_shapes[j].saturating = from[7] != 0;
            s.coopmat_shapes[j].scope = from[8];
        }
        make_plan(&s, NULL, &p);
        if (p.coopmat.size.m != cases[i].m || p.coopmat.size.n != cases[i].n || p.coopmat.size.k != cases[i].k)
            fail_msg("case %u: matrices of %u x %u x %u", (unsigned)i, p.coopmat.size.m, p.coopmat.size.n,
                     p.coopmat.size.k);
        assert_int_equal(p.use_coopmat, cases[i].m > 0);
        if (!p.use_coopmat)
            continue;
        make_plan(&s, &(struct sto_plan_options){.no_f16 = true}, &p);
        assert_false(p.use_coopmat);
        s.vulkan_memory_model = false;
        make_plan(&s, NULL, &p);
        assert_false(p.use_coopmat);
    }
}

/* Attention of prompts: matrix units where there are some, for head sizes that their sizes divide and registers hold;
 * as many subgroups and tokens as shared memory has room for (bytes by hand from the arrays of the kernel). */
static void attention_uses_matrix_units(void **state)
{
    (void)state;
    static const struct {
        const char *snapshot;
        uint32_t head_dim, workgroup, tokens, hold, split, shared; /* workgroup 0: for another kernel */
    } cases[] = {
        {"radv-navi31-sid", 128, 128, 32, 1, 1, 65 * 272 + 64 * 144 + 64 * 80},
        {"radv-navi31-sid", 64, 128, 32, 1, 1, 65 * 144 + 64 * 144 + 64 * 80},
        {"radv-navi31-sid", 256, 128, 16, 0, 1, 96 * 528 + 64 * 80 + 64 * 48},
        {"nvk-192-sid", 128, 128, 32, 1, 1, 65 * 272 + 64 * 144 + 64 * 80},
        {"nvk-192-sid", 80, 128, 32, 1, 1, 65 * 176 + 64 * 144 + 64 * 80},
        {"nvk-192-sid", 256, 64, 16, 0, 1, 64 * 528 + 32 * 80 + 32 * 48},
        {"nvk-192-sid", 72, 0, 0, 0, 0, 0},
        {"nvk-192-sid", 512, 0, 0, 0, 0, 0},
        {"lavapipe-sid", 64, 8, 32, 0, 1, 72 * 144 + 8 * 144 + 8 * 80},
        {"lavapipe-sid", 128, 0, 0, 0, 0, 0},
        {"radv-navi21-trixie", 128, 0, 0, 0, 0, 0},
        {"anv-dg2-sid", 128, 128, 32, 0, 4, 96 * 272 + 32 * 144 + 32 * 80}, /* a quarter of the outputs each */
        {"anv-dg2-sid", 64, 128, 32, 0, 4, 96 * 144 + 32 * 144 + 32 * 80},
        {"anv-dg2-sid", 80, 0, 0, 0, 0, 0}, /* ten matrices of outputs: five are too many */
        {"anv-dg2-sid", 256, 0, 0, 0, 0, 0},
        {"anv-bmg-sid", 128, 256, 32, 0, 2, 128 * 272 + 64 * 144 + 64 * 80},
        {"anv-bmg-sid", 64, 256, 32, 0, 2, 128 * 144 + 64 * 144 + 64 * 80},
        {"anv-bmg-sid", 256, 0, 0, 0, 0, 0},
    };
    const enum sto_kernel kernel = STO_KERNEL_attn_prefill_coopmat_f16;
    const struct sto_kernel_info *info = sto_kernel_get(kernel);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_device_snapshot s;
        struct sto_device_plan p;
        load(cases[i].snapshot, &s);
        make_plan(&s, NULL, &p);
        const bool used = info->spirv != NULL && p.use_coopmat && s.kind != STO_DEVICE_CPU;
        assert_int_equal(p.attn_prefill[STO_TYPE_F16], STO_KERNEL_attn_prefill_f16);
        assert_int_equal(p.attn_prefill_f16[STO_TYPE_F16], used ? kernel : STO_KERNEL_COUNT);
        assert_int_equal(p.attn_prefill_f16[STO_TYPE_Q4_K], STO_KERNEL_COUNT);
        struct sto_tuning t = p.tuning[kernel];
        const bool fits = sto_tuning_attention(&p, info, cases[i].head_dim, &t);
        if (fits != (cases[i].workgroup > 0))
            fail_msg("%s: heads of %u: %d", cases[i].snapshot, cases[i].head_dim, fits);
        if (fits && (t.values[0] != cases[i].workgroup || t.values[5] != cases[i].head_dim ||
                     t.values[6] != cases[i].tokens || t.values[7] != cases[i].hold ||
                     t.values[8] != cases[i].split || sto_tuning_shared_bytes(info, &t) != cases[i].shared))
            fail_msg("%s: heads of %u: workgroup %u, %u tokens, hold %u, split %u, %u bytes", cases[i].snapshot,
                     t.values[5], t.values[0], t.values[6], t.values[7], t.values[8],
                     sto_tuning_shared_bytes(info, &t));
    }
}

/* What a device's size makes of small products: two workgroups for each core, where the driver tells their number. */
static void the_size_of_a_device_is_used(void **state)
{
    (void)state;
    static const struct {
        uint32_t cores, groups;
    } cases[] = {{0, 64}, {24, 48}, {96, 192}, {128, 256}, {0xffffffffu, 64}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_device_snapshot s;
        struct sto_device_plan p;
        load("hand-rtx4060-8g-rebar", &s);
        s.shader_cores = cases[i].cores;
        make_plan(&s, NULL, &p);
        assert_int_equal(p.busy_groups, cases[i].groups);
    }
}

static void check_shared_memory(enum sto_kernel kernel)
{
    const struct sto_kernel_info *info = sto_kernel_get(kernel);
    uint32_t before = UINT32_MAX;
    for (uint32_t bytes = 49152; bytes >= 8192; bytes /= 2) {
        struct sto_device_snapshot s;
        struct sto_device_plan p;
        load("nvk-192-sid", &s);
        s.max_shared_bytes = bytes;
        make_plan(&s, NULL, &p);
        const struct sto_tuning *t = &p.tuning[kernel];
        const uint32_t shared = sto_tuning_shared_bytes(info, t);
        assert_true(t->values[5] >= 1 && t->values[6] >= 1 && shared <= before);
        assert_true(shared <= bytes || (t->values[5] == 1 && t->values[6] == 1));
        assert_int_equal(p.usable[kernel], info->spirv != NULL && shared <= bytes);
        before = shared;
    }
    assert_true(before < 12288); /* a tile did become smaller */
}

/* Less shared memory means smaller tiles, then none. */
static void tiles_of_matrices_fit_shared_memory(void **state)
{
    (void)state;
    static const enum sto_kernel kernels[] = {STO_KERNEL_matmul_coopmat_q4_k, STO_KERNEL_matmul_coopmat_q8_q4_k};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        check_shared_memory(kernels[i]);
    /* 128 by 128 elements, rows of 48 bytes with 4 and columns with 3 factors, a matrix of each of 4 subgroups */
    const struct sto_kernel_info *info = sto_kernel_get(kernels[1]);
    struct sto_tuning t = {.values = {128, 32, 16, 16, 32, 4, 4, 2}, .n_values = 8};
    assert_int_equal(sto_tuning_shared_bytes(info, &t), 128 * (48 + 16) + 128 * (48 + 12) + 4 * 256 * 4);
    t.values[7] = 0; /* each subgroup has its own 64 by 64 */
    assert_int_equal(sto_tuning_shared_bytes(info, &t), 256 * (48 + 16) + 256 * (48 + 12) + 4 * 256 * 4);
}

static void what_a_device_lacks_is_named(void **state)
{
    (void)state;
    struct sto_device_snapshot good, s;
    struct sto_device_plan p;
    load("radv-navi21-trixie", &good);
#define LACKS(change, text)                                                                                            \
    s = good;                                                                                                          \
    change;                                                                                                            \
    assert_int_equal(sto_device_plan_make(&s, NULL, &p, &err), STO_ERR_NO_DEVICE);                                     \
    if (strstr(err.message, "needs " text) == NULL || strstr(err.message, good.name) == NULL)                          \
        fail_msg("%s: %s", text, err.message)
    LACKS(s.api_version = (1u << 22) | (2u << 12) | 300, "Vulkan 1.3");
    LACKS(s.buffer_device_address = false, "bufferDeviceAddress");
    LACKS(s.timeline_semaphore = false, "timelineSemaphore");
    LACKS(s.synchronization2 = false, "synchronization2");
    LACKS(s.maintenance4 = false, "maintenance4");
    LACKS(s.shader_int64 = false, "shaderInt64");
    LACKS(s.shader_int16 = false, "shaderInt16");
    LACKS(s.shader_int8 = false, "shaderInt8");
    LACKS(s.storage_16bit = false, "storageBuffer16BitAccess");
    LACKS(s.storage_8bit = false, "storageBuffer8BitAccess");
    LACKS(s.subgroup_arithmetic = false, "subgroup arithmetic");
    LACKS(s.subgroup_shuffle = false, "subgroup shuffle");
    LACKS(s.subgroup_size = 2, "a subgroup size");
    LACKS(s.max_push_bytes = 64, "128 bytes of push constants");
    LACKS(s.n_queue_families = 0, "a compute queue");
    LACKS(s.n_memory_types = 0, "memory");
    LACKS(s.n_heaps = 0, "memory");
    load("radv-vega10-debian12", &good); /* a driver without a card behind it */
    LACKS((void)0, "memory");
}

static void subgroup_sizes_can_be_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *snapshot;
        uint32_t asked;
        bool possible, required;
    } cases[] = {
        {"radv-navi21-trixie", 64, true, true},        {"radv-navi21-trixie", 32, true, true},
        {"radv-navi21-trixie", 16, false, false},      {"radv-navi21-trixie", 48, false, false},
        {"radv-navi21-trixie", 128, false, false},     {"lavapipe-debian12", 8, true, false},
        {"lavapipe-debian12", 16, false, false},       {"hand-intel-xe-integrated", 8, true, true},
        {"hand-intel-xe-integrated", 32, true, true},  {"nvk-192-sid", 32, true, false},
        {"nvk-192-sid", 16, false, false},             {"turnip-740-sid", 64, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_device_snapshot s;
        struct sto_device_plan p;
        load(cases[i].snapshot, &s);
        const struct sto_plan_options options = {.subgroup_size = cases[i].asked};
        const enum sto_status status = sto_device_plan_make(&s, &options, &p, &err);
        if (status != (cases[i].possible ? STO_OK : STO_ERR_USAGE))
            fail_msg("%s with subgroups of %u: %s", cases[i].snapshot, (unsigned)cases[i].asked,
                     sto_status_name(status));
        if (!cases[i].possible)
            continue;
        assert_int_equal(p.subgroup_size, cases[i].asked);
        assert_int_equal(p.require_subgroup_size, cases[i].required);
    }
}

static void the_best_device_is_chosen(void **state)
{
    (void)state;
    static const char *const names[] = {"lavapipe-debian12", "hand-intel-xe-integrated", "hand-rtx4060-8g-rebar",
                                        "radv-navi31-trixie", "radv-vega10-debian12"};
    enum { N = sizeof names / sizeof *names };
    struct sto_device_snapshot s[N];
    for (size_t i = 0; i < N; i++)
        load(names[i], &s[i]);
    assert_int_equal(sto_device_choose(s, N), 3);     /* discrete, most memory */
    assert_int_equal(sto_device_choose(s, 3), 2);     /* discrete before integrated */
    assert_int_equal(sto_device_choose(s, 2), 1);     /* integrated before CPU, however much memory */
    assert_int_equal(sto_device_choose(s, 1), 0);     /* CPU rather than none */
    assert_int_equal(sto_device_choose(s + 4, 1), 1); /* not usable */
    assert_int_equal(sto_device_choose(s, 0), 0);
    struct sto_device_snapshot reversed[N];
    for (size_t i = 0; i < N; i++)
        reversed[i] = s[N - 1 - i];
    assert_int_equal(sto_device_choose(reversed, N), 1);
    reversed[2] = reversed[1]; /* of equals the first */
    assert_int_equal(sto_device_choose(reversed, N), 1);

    static const struct {
        const char *name;
        uint32_t index; /* N: none */
    } cases[] = {{NULL, 3}, {"0", 0}, {"2", 2}, {"4", 4}, {"5", N}, {"99999999999999999999", N}, {"geforce", 2},
                 {"XE GRAPH", 1}, {"radv", 3}, {"(", 3}, {"voodoo", N}, {"", N}, {"-1", N}, {"1x", N},
                 {"best", 3}, {"bes", N}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t index = 77;
        const enum sto_status status = sto_device_find(s, N, cases[i].name, &index, &err);
        assert_int_equal(status, cases[i].index < N ? STO_OK : STO_ERR_NO_DEVICE);
        if (status == STO_OK)
            assert_int_equal(index, cases[i].index);
        else if (strstr(err.message, "2 'NVIDIA GeForce RTX 4060 (hand-made)'") == NULL)
            fail_msg("does not list what there is: %s", err.message);
    }
    uint32_t index;
    assert_int_equal(sto_device_find(s + 4, 1, NULL, &index, &err), STO_ERR_NO_DEVICE);
    assert_non_null(strstr(err.message, "needs memory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_get_what_suits_them),
        cmocka_unit_test(variants_and_tuning_fit_every_device),
        cmocka_unit_test(variants_follow_names_and_options),
        cmocka_unit_test(cpus_work_by_rows),
        cmocka_unit_test(matrix_units_are_used_where_there_are_some),
        cmocka_unit_test(integer_matrices_follow_the_scales_of_a_format),
        cmocka_unit_test(other_integers_are_passed_over),
        cmocka_unit_test(sizes_of_matrices_are_chosen),
        cmocka_unit_test(tiles_of_matrices_fit_shared_memory),
        cmocka_unit_test(attention_uses_matrix_units),
        cmocka_unit_test(the_size_of_a_device_is_used),
        cmocka_unit_test(what_a_device_lacks_is_named),
        cmocka_unit_test(subgroup_sizes_can_be_asked_for),
        cmocka_unit_test(the_best_device_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

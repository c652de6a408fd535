/* runtime/vk/findings and tuning_space: what follows from figures, and the file that keeps them. No device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/vk/findings.h"
#include "runtime/vk/tuning_space.h"

static struct sto_error err;
static struct sto_device_snapshot snapshot;
static struct sto_device_plan plan;
static struct sto_findings findings, back;
static struct sto_findings_owner owner;

/* A device of tests/snapshots, its plan, and nothing found out. */
static void begin(const char *name)
{
    char path[512], *text;
    size_t size;
    (void)snprintf(path, sizeof path, STRATO_SOURCE_DIR "/tests/snapshots/%s.txt", name);
    if (sto_file_read(path, 1 << 20, &text, &size, &err) != STO_OK ||
        sto_snapshot_parse(name, text, size, &snapshot, &err) != STO_OK ||
        sto_device_plan_make(&snapshot, NULL, &plan, &err) != STO_OK)
        fail_msg("%s", err.message);
    sto_free(text);
    memset(&findings, 0, sizeof findings);
}

static void find_wrong(enum sto_kernel kernel)
{
    findings.kernels[kernel].verdict = STO_WRONG;
}

static void find_slow(enum sto_kernel kernel, double slowness, enum sto_kernel rival)
{
    findings.kernels[kernel].slowness = slowness;
    findings.kernels[kernel].rival = rival;
}

static void apply(void)
{
    sto_findings_apply(&findings, &snapshot, &plan);
}

/* ---- what takes whose place ---- */

static void nothing_found_changes_nothing(void **state)
{
    (void)state;
    static const char *const devices[] = {"lavapipe-debian12", "radv-navi31-sid", "hand-intel-arc-a770"};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        begin(devices[i]);
        const struct sto_device_plan before = plan;
        apply();
        assert_memory_equal(&plan, &before, sizeof plan);
    }
}

/* On a CPU driver rows come first, then what GPUs use; at last there is nothing. */
static void a_wrong_kernel_is_replaced_on_a_cpu(void **state)
{
    (void)state;
    const uint32_t t = STO_TYPE_Q4_K;
    begin("lavapipe-debian12");
    assert_int_equal(plan.matvec[t], STO_KERNEL_matrows_q4_k);
    find_wrong(STO_KERNEL_matrows_q4_k);
    apply();
    assert_int_equal(plan.matvec[t], STO_KERNEL_matvec_q4_k);
    assert_int_equal(plan.matmul[t], STO_KERNEL_matmul_q4_k);
    assert_int_equal(plan.matvec[STO_TYPE_Q6_K], STO_KERNEL_matrows_q6_k);
    assert_true(plan.set_aside[STO_KERNEL_matrows_q4_k] && plan.usable[STO_KERNEL_matrows_q4_k]);
    find_wrong(STO_KERNEL_matvec_q4_k);
    find_wrong(STO_KERNEL_matrows_q8_q4_k);
    find_wrong(STO_KERNEL_embed_q4_k);
    apply();
    assert_int_equal(plan.matvec[t], STO_KERNEL_COUNT);
    assert_int_equal(plan.embed[t], STO_KERNEL_COUNT);
    assert_int_equal(plan.matvec_q8[t], STO_KERNEL_matvec_q8_q4_k);
    memset(&findings, 0, sizeof findings); /* forgotten again */
    apply();
    assert_int_equal(plan.matvec[t], STO_KERNEL_matrows_q4_k);
}

static void a_wrong_kernel_is_replaced_on_a_gpu(void **state)
{
    (void)state;
    const uint32_t t = STO_TYPE_Q4_K;
    begin("radv-navi31-sid");
    if (sto_kernel_get(STO_KERNEL_matmul_coopmat_q4_k)->spirv == NULL)
        skip(); /* this build has no cooperative matrices */
    assert_int_equal(plan.matmul_f16[t], STO_KERNEL_matmul_coopmat_q4_k);
    assert_int_equal(sto_findings_rival(&snapshot, &plan, STO_KERNEL_matmul_coopmat_q4_k), STO_KERNEL_matmul_f16_q4_k);
    find_wrong(STO_KERNEL_matmul_coopmat_q4_k);
    apply();
    assert_int_equal(plan.matmul_f16[t], STO_KERNEL_matmul_f16_q4_k);
    assert_int_equal(sto_findings_rival(&snapshot, &plan, STO_KERNEL_matmul_f16_q4_k), STO_KERNEL_matmul_q4_k);
    find_wrong(STO_KERNEL_matmul_f16_q4_k);
    find_wrong(STO_KERNEL_matmul_q4_k);
    find_wrong(STO_KERNEL_matvec_q4_k);
    apply();
    assert_int_equal(plan.matmul_f16[t], STO_KERNEL_COUNT); /* then products of f32 serve */
    assert_int_equal(plan.matmul[t], STO_KERNEL_matrows_q4_k);
    assert_int_equal(plan.matvec[t], STO_KERNEL_matrows_q4_k);
    assert_int_equal(sto_findings_rival(&snapshot, &plan, STO_KERNEL_rmsnorm), STO_KERNEL_COUNT);
}

/* 8-bit products on matrix units, by integer dot products, not at all; the faster of two is known by name. */
static void an_integer_matrix_kernel_is_replaced(void **state)
{
    (void)state;
    const enum sto_kernel matrix = STO_KERNEL_matmul_coopmat_q8_q4_k, dot = STO_KERNEL_matmul_q8_q4_k;
    const uint32_t t = STO_TYPE_Q4_K;
    begin("radv-navi31-sid");
    if (sto_kernel_get(matrix)->spirv == NULL)
        skip(); /* this build has no cooperative matrices */
    assert_int_equal(plan.matmul_q8[t], matrix);
    assert_int_equal(sto_findings_rival(&snapshot, &plan, matrix), dot);
    assert_int_equal(sto_findings_faster(&findings, matrix), matrix);
    find_slow(matrix, 1.5, dot);
    assert_int_equal(sto_findings_faster(&findings, matrix), dot);
    assert_int_equal(sto_findings_faster(&findings, STO_KERNEL_COUNT), STO_KERNEL_COUNT);
    apply();
    assert_int_equal(plan.matmul_q8[t], dot);
    find_wrong(dot); /* then the slow one is better than nothing */
    assert_int_equal(sto_findings_faster(&findings, matrix), matrix);
    apply();
    assert_int_equal(plan.matmul_q8[t], matrix);
    find_wrong(matrix);
    apply();
    assert_int_equal(plan.matmul_q8[t], STO_KERNEL_COUNT);
}

/* Without what makes 8-bit activations there are none. */
static void without_quantisation_there_is_no_8_bit_path(void **state)
{
    (void)state;
    static const enum sto_kernel makers[] = {STO_KERNEL_quantize_q8, STO_KERNEL_rmsnorm_q8, STO_KERNEL_glu_q8};
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        begin("radv-navi21-trixie");
        assert_int_equal(plan.matvec_q8[STO_TYPE_Q8_0], STO_KERNEL_matvec_q8_q8_0);
        find_wrong(makers[i]);
        apply();
        assert_int_equal(plan.matvec_q8[STO_TYPE_Q8_0], STO_KERNEL_COUNT);
        assert_int_equal(plan.matmul_q8[STO_TYPE_Q8_0], STO_KERNEL_COUNT);
        assert_int_equal(plan.matvec[STO_TYPE_Q8_0], STO_KERNEL_matvec_q8_0);
    }
}

/* ---- figures to decisions ---- */

static void slow_kernels_are_set_aside_beyond_a_margin(void **state)
{
    (void)state;
    static const struct {
        double slowness;
        bool rival_wrong, aside;
    } cases[] = {{0, false, false},   {0.5, false, false}, {1, false, false},       {1.04, false, false},
                 {1.06, false, true}, {1.06, true, false}, {INFINITY, false, true}, {INFINITY, true, false}};
    const enum sto_kernel fast = STO_KERNEL_matmul_f16_q4_k, plain = STO_KERNEL_matmul_q4_k;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin("radv-navi21-trixie");
        find_slow(fast, cases[i].slowness, plain);
        if (cases[i].rival_wrong)
            find_wrong(plain);
        apply();
        if ((sto_findings_aside(&findings, fast) == STO_ASIDE_SLOW) != cases[i].aside ||
            (plan.matmul_f16[STO_TYPE_Q4_K] == STO_KERNEL_COUNT) != cases[i].aside)
            fail_msg("case %zu: %g times as slow", i, cases[i].slowness);
    }
}

static void eight_bits_are_the_default_where_they_are_faster(void **state)
{
    (void)state;
    static const struct {
        double few, many;
        bool by_default, matmul_by_default;
    } cases[] = {{0, 0, false, false}, {0.94, 0.96, true, false}, {1.2, 0.5, false, true}, {0.3, 0.3, true, true},
                 {INFINITY, INFINITY, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin("radv-navi21-trixie");
        findings.q8[STO_TYPE_Q4_0].few = cases[i].few;
        findings.q8[STO_TYPE_Q4_0].many = cases[i].many;
        apply();
        assert_int_equal(plan.q8_by_default[STO_TYPE_Q4_0], cases[i].by_default);
        assert_int_equal(plan.q8_matmul_by_default[STO_TYPE_Q4_0], cases[i].matmul_by_default);
        assert_false(plan.q8_by_default[STO_TYPE_Q4_1] || plan.q8_matmul_by_default[STO_TYPE_Q4_1]);
    }
}

static struct sto_tuning *find_tuning(enum sto_kernel kernel)
{
    findings.kernels[kernel].gain = 1.25;
    findings.kernels[kernel].tuning = plan.tuning[kernel];
    return &findings.kernels[kernel].tuning;
}

static void constants_are_taken_over_when_they_are_possible(void **state)
{
    (void)state;
    static const struct {
        enum sto_kernel kernel;
        uint32_t constant, value;
        bool possible;
    } cases[] = {
        {STO_KERNEL_matvec_q4_k, 2, 4, true},     {STO_KERNEL_matvec_q4_k, 2, 0, false},
        {STO_KERNEL_matvec_q4_k, 2, 3, false},    {STO_KERNEL_matvec_q4_k, 0, 64, true},
        {STO_KERNEL_matvec_q4_k, 0, 0, false},    {STO_KERNEL_matvec_q4_k, 0, 1 << 20, false},
        {STO_KERNEL_matvec_q4_k, 1, 16, false},   {STO_KERNEL_matmul_q4_k, 4, 4, true},
        {STO_KERNEL_matmul_q4_k, 4, 0, false},    {STO_KERNEL_matmul_q4_k, 4, 1, false},
        {STO_KERNEL_rmsnorm, 0, 64, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin("radv-navi21-trixie");
        find_tuning(cases[i].kernel)->values[cases[i].constant] = cases[i].value;
        apply();
        if ((plan.tuning[cases[i].kernel].values[cases[i].constant] == cases[i].value) != cases[i].possible)
            fail_msg("case %zu: constant %u is %u", i, cases[i].constant, cases[i].value);
    }
}

/* ---- the space ---- */

static void choices_keep_to_the_device(void **state)
{
    (void)state;
    static const char *const devices[] = {"lavapipe-debian12", "lavapipe-sid", "radv-navi31-sid",
                                          "turnip-740-sid",    "nvk-192-sid",  "hand-intel-arc-a770",
                                          "hand-moltenvk-m2"};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        begin(devices[i]);
        for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++) {
            const struct sto_tuning_input in = {&snapshot, &plan, sto_kernel_get((enum sto_kernel)k)};
            uint32_t choices[STO_MAX_CHOICES];
            if (!sto_tuning_possible(&in, &plan.tuning[k]))
                fail_msg("%s: the rule of %s is not possible", devices[i], in.kernel->name);
            for (uint32_t c = 0; c < STO_MAX_TUNING; c++) {
                const uint32_t n = sto_tuning_choices(&in, c, choices);
                assert_true(n <= STO_MAX_CHOICES && (n == 0 || c < plan.tuning[k].n_values));
                for (uint32_t v = 0; v < n; v++) {
                    assert_true(v == 0 || choices[v] > choices[v - 1]);
                    if (c == 0 && (choices[v] % plan.subgroup_size != 0 ||
                                   choices[v] > snapshot.max_workgroup_invocations || snapshot.kind == STO_DEVICE_CPU))
                        fail_msg("%s: %s may have workgroups of %u", devices[i], in.kernel->name, choices[v]);
                }
            }
        }
    }
}

static void combinations_must_go_together(void **state)
{
    (void)state;
    begin("nvk-172-trixie");
    const struct sto_tuning_input in = {&snapshot, &plan, sto_kernel_get(STO_KERNEL_matmul_q4_k)};
    struct sto_tuning t = plan.tuning[STO_KERNEL_matmul_q4_k];
    t.values[0] = 256; /* 256 / 4 invocations of 8 rows, 4 of 8 columns: 32 x 544 floats */
    t.values[2] = t.values[3] = 8;
    t.values[4] = 4;
    assert_int_equal(sto_tuning_shared_bytes(in.kernel, &t), 32 * (512 + 32) * 4);
    assert_false(sto_tuning_possible(&in, &t)); /* of 48 KiB */
    t.values[4] = 16; /* 128 rows, 128 columns */
    assert_true(sto_tuning_possible(&in, &t));
    t.n_values--;
    assert_false(sto_tuning_possible(&in, &t));
    plan.subgroup_size = 4; /* a workgroup of 8 is not filled by 16 invocations side by side */
    sto_tuning_make(&in, &t);
    t.values[0] = 8;
    assert_true(sto_tuning_possible(&in, &t));
    t.values[4] = 16;
    assert_false(sto_tuning_possible(&in, &t));
}

/* ---- the file ---- */

static char text[1 << 16];

static size_t print(void)
{
    owner = sto_findings_owner(&snapshot, &plan);
    const size_t n = sto_findings_print(&findings, &owner, text, sizeof text);
    assert_true(n < sizeof text && strlen(text) == n);
    return n;
}

static enum sto_status parse(const char *from, size_t size)
{
    return sto_findings_parse("file", from, size, &owner, &back, &err);
}

static void find_some_of_everything(void)
{
    findings.tested_at = 1795819476;
    findings.tuned_at = 1795819999;
    findings.kernels[STO_KERNEL_rmsnorm] = (struct sto_kernel_finding){.verdict = STO_RIGHT, .error = 0.125};
    findings.kernels[STO_KERNEL_embed_q4_k] = (struct sto_kernel_finding){
        .verdict = STO_WRONG, .error = INFINITY, .reason = "9 columns of 768: y[0, 3] is 0, not 1.5 (+- 2e-07)"};
    findings.kernels[STO_KERNEL_glu] = (struct sto_kernel_finding){.verdict = STO_WRONG, .error = 17.5};
    find_slow(STO_KERNEL_matmul_f16_q4_k, 1.5, STO_KERNEL_matmul_q4_k);
    find_tuning(STO_KERNEL_matvec_q4_k)->values[2] = 4;
    findings.q8[STO_TYPE_Q4_K].few = 0.875;
    findings.q8[STO_TYPE_Q4_K].many = 1.5;
    findings.rates = (struct sto_rates){.vram_gb_per_s = 448.125, .link_gb_per_s = 13, .crossing_us = 0.000001};
    findings.products[STO_TYPE_Q6_K].gb_per_s = 371.5;
    findings.products[STO_TYPE_Q6_K].tflop_per_s = 0.000325;
    findings.cpu_products[STO_TYPE_Q6_K].gb_per_s = 37.25;
    findings.cpu_products[STO_TYPE_Q6_K].tflop_per_s = 0.41;
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    begin("radv-navi21-trixie");
    find_some_of_everything();
    if (parse(text, print()) != STO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(back.tested_at, findings.tested_at);
    assert_int_equal(back.tuned_at, findings.tuned_at);
    for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++) {
        const struct sto_kernel_finding *a = &findings.kernels[k], *b = &back.kernels[k];
        assert_int_equal(a->verdict, b->verdict);
        assert_true(a->error >= b->error && a->error <= b->error && a->slowness >= b->slowness &&
                    a->slowness <= b->slowness && a->gain >= b->gain && a->gain <= b->gain);
        assert_string_equal(a->reason, b->reason);
        assert_memory_equal(&a->tuning, &b->tuning, sizeof a->tuning);
        assert_int_equal(a->rival, b->rival);
    }
    assert_true(fabs(back.q8[STO_TYPE_Q4_K].few - 0.875) < 1e-9 && fabs(back.q8[STO_TYPE_Q4_K].many - 1.5) < 1e-9);
    for (size_t i = 0; i < sizeof back.rates / sizeof(double); i++)
        assert_true(fabs(sto_rate_get(&back.rates, i) - sto_rate_get(&findings.rates, i)) < 1e-9);
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++)
        assert_true(fabs(back.products[t].gb_per_s - findings.products[t].gb_per_s) < 1e-9 &&
                    fabs(back.products[t].tflop_per_s - findings.products[t].tflop_per_s) < 1e-9 &&
                    fabs(back.cpu_products[t].gb_per_s - findings.cpu_products[t].gb_per_s) < 1e-9 &&
                    fabs(back.cpu_products[t].tflop_per_s - findings.cpu_products[t].tflop_per_s) < 1e-9);
    char small[40];
    memset(small, 'x', sizeof small);
    assert_int_equal(sto_findings_print(&findings, &owner, small, sizeof small), strlen(text));
    assert_int_equal(strlen(small), sizeof small - 1);
}

/* Every cut of the file, every byte of it changed: refused with the file's name, or read; never half of it. */
static void damage_is_refused(void **state)
{
    (void)state;
    static const struct sto_findings nothing;
    begin("radv-navi21-trixie");
    find_some_of_everything();
    const size_t n = print();
    uint32_t refused = 0;
    for (size_t i = 0; i < n; i++) {
        assert_int_not_equal(parse(text, i), STO_OK);
        assert_memory_equal(&back, &nothing, sizeof back);
        assert_non_null(strstr(err.message, "file: "));
    }
    (void)snprintf(text + n, sizeof text - n, "end\n"); /* and what is too long */
    assert_int_equal(parse(text, n + 4), STO_ERR_FAILED);
    for (size_t i = 0; i < n; i++) {
        const char was = text[i];
        text[i] = (char)(was + 1);
        if (parse(text, n) != STO_OK) {
            refused++;
            assert_memory_equal(&back, &nothing, sizeof back);
        }
        text[i] = was;
    }
    assert_true(refused > n / 2); /* the rest are digits, and words for people */
}

static void expect_refused(const char *line, const char *part)
{
    char changed[1 << 12];
    begin("radv-navi21-trixie");
    (void)print();
    char *end = strstr(text, "end\n");
    assert_non_null(end);
    *end = '\0';
    const int n = snprintf(changed, sizeof changed, "%s%s\nend\n", text, line);
    if (parse(changed, (size_t)n) != STO_ERR_FAILED || strstr(err.message, part) == NULL ||
        strstr(err.message, "line 4") == NULL)
        fail_msg("'%s': %s", line, err.message);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    expect_refused("kernel no_such_kernel right 0", "no such kernel");
    expect_refused("kernel rmsnorm", "no verdict");
    expect_refused("kernel rmsnorm fine 0", "no verdict");
    expect_refused("kernel rmsnorm right -1", "no verdict");
    expect_refused("kernel rmsnorm right 0 more", "too many words");
    expect_refused("kernel rmsnorm wrong 5 a\tb", "no text");
    expect_refused("kernel rmsnorm wrong 5 \xff", "no text");
    expect_refused("slower rmsnorm 0 glu", "no comparison");
    expect_refused("slower rmsnorm 1200", "no comparison");
    expect_refused("tune matvec_q4_k 1000 32 32 2", "as many constants");
    expect_refused("tune matvec_q4_k 1000 32 32 3 8", "cannot have");
    expect_refused("tune matvec_q4_k 1000 0 0 0 0", "cannot have");
    expect_refused("tune matvec_q4_k 0 32 32 2 8", "no tuning");
    expect_refused("tune matvec_q4_k 1000 99999999999999999999 32 2 8", "as many constants");
    expect_refused("q8 Q9_K 1 1", "no comparison");
    expect_refused("q8 Q4_K 1", "no comparison");
    expect_refused("rate speed 5", "no rate");
    expect_refused("rate link 0", "no rate");
    expect_refused("rate link 1000000000001", "no rate");
    expect_refused("rate link 5 5", "no rate");
    expect_refused("product Q9_K 5 5", "no rates of a format");
    expect_refused("product Q4_K 5", "no rates of a format");
    expect_refused("product Q4_K 5 0", "no rates of a format");
    expect_refused("cpu_product Q4_K 5", "no rates of a format");
    expect_refused("tested yesterday", "no time");
    expect_refused("", "not a line");
    expect_refused("kernel  rmsnorm right 0", "no such kernel");
}

static void expect_of_another(size_t n)
{
    owner = sto_findings_owner(&snapshot, &plan);
    assert_int_equal(parse(text, n), STO_ERR_USAGE);
}

/* Another driver, another device, other subgroups: another key. */
static void findings_of_another_driver_say_nothing(void **state)
{
    (void)state;
    begin("radv-navi21-trixie");
    find_some_of_everything();
    const size_t n = print();
    snapshot.driver_version++;
    expect_of_another(n);
    assert_non_null(strstr(err.message, "another driver"));
    begin("radv-navi21-trixie");
    (void)snprintf(snapshot.name, sizeof snapshot.name, "another card");
    expect_of_another(n);
    begin("radv-navi31-sid");
    expect_of_another(n);
    begin("radv-navi21-trixie");
    plan.subgroup_size = 64;
    expect_of_another(n);
    plan.subgroup_size = 32;
    owner = sto_findings_owner(&snapshot, &plan);
    assert_int_equal(parse(text, n), STO_OK);
}

/* ---- the folder ---- */

static char log_text[2048];

static void keep_log(void *user, enum sto_log_level level, const char *line)
{
    (void)user;
    if (level <= STO_LOG_WARNING)
        (void)snprintf(log_text, sizeof log_text, "%s", line);
}

static void a_folder_keeps_them(void **state)
{
    (void)state;
    const struct sto_callbacks callbacks = {.log = keep_log};
    char folder[64], path[1024];
    (void)snprintf(folder, sizeof folder, "findings-%016llx", (unsigned long long)sto_wall_seed());
    begin("radv-navi21-trixie");
    find_some_of_everything();
    assert_int_equal(sto_findings_save(&findings, &snapshot, &plan, "", &err), STO_OK); /* nowhere */
    sto_findings_path(&snapshot, &plan, "", path, sizeof path);
    assert_string_equal(path, "");
    sto_findings_load(&snapshot, &plan, folder, &callbacks, &back);
    assert_true(back.tested_at == 0 && log_text[0] == '\0'); /* no file is no news */
    if (sto_findings_save(&findings, &snapshot, &plan, folder, &err) != STO_OK)
        fail_msg("%s", err.message);
    sto_findings_load(&snapshot, &plan, folder, &callbacks, &back);
    assert_int_equal(back.tested_at, findings.tested_at);
    assert_string_equal(log_text, "");
    snapshot.driver_version++;
    sto_findings_load(&snapshot, &plan, folder, &callbacks, &back);
    assert_int_equal(back.tested_at, 0);
    assert_non_null(strstr(log_text, "tested anew"));
    sto_findings_path(&snapshot, &plan, folder, path, sizeof path);
    assert_int_equal(sto_file_write_atomic(path, "garbage", 7, &err), STO_OK);
    sto_findings_load(&snapshot, &plan, folder, &callbacks, &back);
    assert_int_equal(back.tested_at, 0);
    assert_non_null(strstr(log_text, path));
    assert_non_null(strstr(log_text, "not used"));
    assert_int_equal(remove(path), 0);
    assert_int_equal(remove(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_found_changes_nothing),
        cmocka_unit_test(a_wrong_kernel_is_replaced_on_a_cpu),
        cmocka_unit_test(a_wrong_kernel_is_replaced_on_a_gpu),
        cmocka_unit_test(an_integer_matrix_kernel_is_replaced),
        cmocka_unit_test(without_quantisation_there_is_no_8_bit_path),
        cmocka_unit_test(slow_kernels_are_set_aside_beyond_a_margin),
        cmocka_unit_test(eight_bits_are_the_default_where_they_are_faster),
        cmocka_unit_test(constants_are_taken_over_when_they_are_possible),
        cmocka_unit_test(choices_keep_to_the_device),
        cmocka_unit_test(combinations_must_go_together),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(findings_of_another_driver_say_nothing),
        cmocka_unit_test(a_folder_keeps_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Facts of GPUs from made-up sysfs trees and a made-up NVML; what is concluded from them about a run and about where
 * memory lies; and what is printed of a run that was slowed down. */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L /* setenv */
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/bench.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

#define TREE "test_gpu_facts.sysfs"
#define CARD "/bus/pci/devices/0000:0a:00.0"

static const uint32_t address[4] = {0, 10, 0, 0};
static const char *const no_library[] = {"no-such-library.so", NULL};
static const char *const fake_library[] = {"no-such-library.so", FAKE_NVML, NULL};

/* ---- trees ---- */

static void put_bytes(const char *root, const char *name, const void *data, size_t size)
{
    char path[512];
    struct sto_error err;
    (void)snprintf(path, sizeof path, "%s%s/%s", root, CARD, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(sto_make_dirs(path, &err), STO_OK);
    *slash = '/';
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void put(const char *root, const char *name, const char *text)
{
    put_bytes(root, name, text, strlen(text));
}

static struct sto_gpu_source *open_source(const char *root, const char *const *libraries)
{
    const struct sto_gpu_facts_params params = {.sysfs = root, .libraries = libraries};
    return sto_gpu_facts_open(address, &params);
}

static bool near(double got, double wanted)
{
    return fabs(got - wanted) <= 1e-9 * fabs(wanted);
}

/* ---- sources ---- */

static void nobody_knows_is_no_error(void **state)
{
    (void)state;
    assert_null(open_source("test_gpu_facts.nowhere", no_library));
    struct sto_gpu_summary summary = {.readings = 7};
    assert_null(sto_gpu_sampler_begin(NULL));
    sto_gpu_sampler_end(NULL, &summary);
    assert_int_equal(summary.readings, 0);
    assert_null(sto_gpu_summary_trouble(&summary));
}

static void amdgpu_is_read(void **state)
{
    (void)state;
    const char *root = TREE ".amd";
    uint8_t metrics[120] = {120, 0, 1, 3};
    put(root, "vendor", "0x1002\n");
    put(root, "current_link_speed", "16.0 GT/s PCIe\n");
    put(root, "max_link_speed", "16.0 GT/s PCIe\n");
    put(root, "current_link_width", "16\n");
    put(root, "max_link_width", "16\n");
    /* the bridge above: the link to the machine. The tree has no links, so above the device's folder is "devices". */
    put(root, "../current_link_speed", "8.0 GT/s PCIe\n");
    put(root, "../current_link_width", "8\n");
    put(root, "../max_link_speed", "16.0 GT/s PCIe\n");
    put(root, "../max_link_width", "8\n");
    put(root, "hwmon/hwmon7/name", "amdgpu\n");
    put(root, "hwmon/hwmon7/power1_average", "203000000\n");
    put(root, "hwmon/hwmon7/power1_cap", "263000000\n");
    put(root, "hwmon/hwmon7/temp1_input", "61000\n");
    put(root, "hwmon/hwmon7/freq1_input", "2581000000\n");
    put(root, "hwmon/hwmon7/freq2_input", "1249000000\n");
    put(root, "mem_info_vram_used", "5368709120\n");
    put(root, "mem_info_gtt_used", "104857600\n");
    put_bytes(root, "gpu_metrics", metrics, sizeof metrics);
    struct sto_gpu_source *source = open_source(root, no_library);
    struct sto_gpu_facts f;
    assert_non_null(source);
    assert_string_equal(sto_gpu_facts_name(source), "sysfs, amdgpu");
    sto_gpu_facts_read(source, &f);
    assert_true(near(f.power_w, 203) && near(f.power_limit_w, 263) && near(f.temperature_c, 61));
    assert_true(near(f.core_mhz, 2581) && near(f.memory_mhz, 1249));
    assert_true(near(f.pcie_gt_per_s, 8) && near(f.pcie_max_gt_per_s, 16));
    assert_true(f.pcie_lanes == 8 && f.pcie_max_lanes == 8);
    assert_true(f.vram_used_bytes == 5368709120u && f.gtt_used_bytes == 104857600u);
    assert_true(f.limits_known && f.limits == 0);
    static const struct {
        unsigned bit; /* SMU_THROTTLER_* of the kernel's amdgpu_smu.h */
        uint32_t limit;
    } bits[] = {{0, STO_GPU_POWER_LIMIT},  {7, STO_GPU_POWER_LIMIT}, {16, STO_GPU_POWER_LIMIT},
                {23, STO_GPU_POWER_LIMIT}, {32, STO_GPU_TOO_HOT},    {36, STO_GPU_TOO_HOT},
                {45, STO_GPU_TOO_HOT},     {46, STO_GPU_BRAKED},     {47, STO_GPU_BRAKED},
                {56, 0},                   {57, 0},                  {12, 0}};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        memset(metrics + 112, 0, 8);
        metrics[112 + bits[i].bit / 8] = (uint8_t)(1u << bits[i].bit % 8);
        put_bytes(root, "gpu_metrics", metrics, sizeof metrics);
        sto_gpu_facts_read(source, &f);
        if (f.limits != bits[i].limit)
            fail_msg("bit %u: limits %u", bits[i].bit, (unsigned)f.limits);
    }
    metrics[3] = 2; /* an older table ends before that field */
    put_bytes(root, "gpu_metrics", metrics, 104);
    sto_gpu_facts_read(source, &f);
    assert_true(!f.limits_known && f.limits == 0);
    sto_gpu_facts_close(source);
}

static void intel_is_read(void **state)
{
    (void)state;
    const char *old = TREE ".i915", *xe = TREE ".xe";
    put(old, "vendor", "0x8086\n");
    put(old, "hwmon/hwmon0/name", "i915\n");
    put(old, "hwmon/hwmon0/energy1_input", "1000000\n");
    put(old, "hwmon/hwmon0/power1_max", "190000000\n");
    put(old, "drm/card1/gt/gt0/rps_act_freq_mhz", "2400\n");
    put(old, "drm/card1/gt/gt0/throttle_reason_pl1", "1\n");
    put(old, "drm/card1/gt/gt0/throttle_reason_thermal", "0\n");
    struct sto_gpu_source *source = open_source(old, no_library);
    struct sto_gpu_facts f;
    assert_non_null(source);
    sto_gpu_facts_read(source, &f);
    assert_true(near(f.core_mhz, 2400) && f.power_w <= 0 && near(f.power_limit_w, 190));
    assert_true(f.limits_known && f.limits == STO_GPU_POWER_LIMIT);
    const uint64_t before = sto_now_ns();
    sto_sleep_ms(20);
    put(old, "hwmon/hwmon0/energy1_input", "4000000\n"); /* 3 J more */
    sto_gpu_facts_read(source, &f);
    const double seconds = (double)(sto_now_ns() - before) / 1e9;
    assert_true(f.power_w > 2.9 / seconds && f.power_w < 3.0 / 0.018);
    sto_gpu_facts_close(source);

    put(xe, "vendor", "0x8086\n");
    put(xe, "tile0/gt0/freq0/act_freq", "2850\n");
    put(xe, "tile0/gt0/freq0/throttle/reason_thermal", "1\n");
    put(xe, "tile0/gt0/freq0/throttle/reason_prochot", "1\n");
    source = open_source(xe, no_library);
    assert_non_null(source);
    sto_gpu_facts_read(source, &f);
    assert_true(near(f.core_mhz, 2850) && f.limits == (STO_GPU_TOO_HOT | STO_GPU_BRAKED));
    assert_true(f.pcie_lanes == 0 && f.power_w <= 0 && f.temperature_c <= 0);
    sto_gpu_facts_close(source);
}

static void nvml_is_read(void **state)
{
    static const struct {
        const char *reasons; /* the bits of NVML's API reference */
        uint32_t limits;
    } cases[] = {{"0", 0},
                 {"0x1", 0},    /* idle                  */
                 {"0x2", 0},    /* clocks set by a user  */
                 {"0x4", STO_GPU_POWER_LIMIT},
                 {"0x8", STO_GPU_BRAKED},
                 {"0x10", 0},   /* sync boost            */
                 {"0x20", STO_GPU_TOO_HOT},
                 {"0x40", STO_GPU_TOO_HOT},
                 {"0x80", STO_GPU_BRAKED},
                 {"0x100", 0},  /* display clock         */
                 {"0x24", STO_GPU_POWER_LIMIT | STO_GPU_TOO_HOT}};
    (void)state;
    struct sto_gpu_source *source = open_source("test_gpu_facts.nowhere", fake_library);
    struct sto_gpu_facts f;
    assert_non_null(source);
    assert_string_equal(sto_gpu_facts_name(source), "NVML 555.42");
    /* 10501 MHz on 384 lines, two transfers per clock: what an RTX 4090 is sold with, 1008 GB/s */
    assert_true(near(sto_gpu_facts_specified_gb_per_s(source), 1008.096));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(setenv("FAKE_NVML_REASONS", cases[i].reasons, 1), 0);
        sto_gpu_facts_read(source, &f);
        if (!f.limits_known || f.limits != cases[i].limits)
            fail_msg("reasons %s: limits %u", cases[i].reasons, (unsigned)f.limits);
    }
    assert_true(near(f.core_mhz, 2505) && near(f.memory_mhz, 10501) && near(f.temperature_c, 67));
    assert_true(near(f.power_w, 320.5) && near(f.power_limit_w, 450));
    assert_true(near(f.pcie_gt_per_s, 16) && near(f.pcie_max_gt_per_s, 32));
    assert_true(f.pcie_lanes == 8 && f.pcie_max_lanes == 16);
    assert_int_equal(setenv("FAKE_NVML_LACKS", "clock power limit pcie reasons temperature", 1), 0);
    sto_gpu_facts_read(source, &f);
    assert_true(f.core_mhz <= 0 && f.power_w <= 0 && f.power_limit_w <= 0 && f.pcie_lanes == 0 && !f.limits_known);
    assert_int_equal(unsetenv("FAKE_NVML_LACKS") | unsetenv("FAKE_NVML_REASONS"), 0);
    sto_gpu_facts_close(source);
    const uint32_t other[4] = {0, 11, 0, 0};
    const struct sto_gpu_facts_params params = {.sysfs = "test_gpu_facts.nowhere", .libraries = fake_library};
    assert_null(sto_gpu_facts_open(other, &params));
}

/* ---- conclusions ---- */

static void readings_add_up(void **state)
{
    (void)state;
    const struct sto_gpu_facts readings[] = {
        {.core_mhz = 2000, .power_w = 100, .temperature_c = 60, .pcie_gt_per_s = 2.5, .pcie_lanes = 16,
         .limits_known = true},
        {.core_mhz = 2300, .power_w = 200, .temperature_c = 65, .pcie_gt_per_s = 16, .pcie_lanes = 16,
         .limits_known = true},
        {.core_mhz = 2600, .power_w = 300, .temperature_c = 70, .pcie_gt_per_s = 16, .pcie_lanes = 16,
         .limits_known = true, .limits = STO_GPU_POWER_LIMIT, .power_limit_w = 310},
    };
    struct sto_gpu_summary s = {0};
    for (size_t i = 0; i < 3; i++)
        sto_gpu_summary_add(&s, &readings[i]);
    assert_true(s.readings == 3 && near(s.core_mhz_mean, 2300) && near(s.core_mhz_min, 2000));
    assert_true(near(s.core_mhz_max, 2600) && near(s.power_w_mean, 200) && near(s.power_w_max, 300));
    assert_true(near(s.temperature_c_max, 70) && near(s.pcie_gt_per_s, 16) && near(s.power_limit_w, 310));
    assert_null(sto_gpu_summary_trouble(&s)); /* the power limit is how the card is meant to run */
    s.limits |= STO_GPU_BRAKED;
    assert_non_null(strstr(sto_gpu_summary_trouble(&s), "board"));
    s.limits |= STO_GPU_TOO_HOT;
    assert_non_null(strstr(sto_gpu_summary_trouble(&s), "temperature"));
}

static void a_thread_reads_while_work_runs(void **state)
{
    (void)state;
    struct sto_gpu_source *source = open_source("test_gpu_facts.nowhere", fake_library);
    struct sto_gpu_summary s;
    struct sto_gpu_sampler *sampler = sto_gpu_sampler_begin(source);
    assert_non_null(sampler);
    sto_sleep_ms(20);
    sto_gpu_sampler_end(sampler, &s); /* takes a reading even when all was over before the first */
    assert_true(s.readings >= 1 && near(s.core_mhz_mean, 2505));
    sto_gpu_facts_close(source);
}

static void spilled_memory_is_noticed(void **state)
{
    enum { MIB = 20 };
    static const struct {
        const char *what;
        uint64_t ours, used, budget, gtt_before, gtt_after; /* MiB; before: ours 10, used 100 */
        bool unified;
        uint64_t spilled;
    } cases[] = {
        {"all where it should be", 5010, 5100, 8000, 50, 60, false, 0},
        {"nobody tells", 5010, 0, 0, 0, 0, false, 0},
        {"half is not in the heap", 5010, 2600, 8000, 0, 0, false, 2500},
        {"a little is not in the heap: readback buffers", 5010, 4600, 8000, 0, 0, false, 0},
        {"system memory grew as much", 5010, 5100, 8000, 50, 4050, false, 4000},
        {"beyond the budget", 5010, 5100, 4600, 0, 0, false, 500},
        {"one memory for both", 5010, 2600, 2000, 50, 4050, true, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sto_bench_memory before = {.heap = {.ours_bytes = 10 << MIB, .used_bytes = 100 << MIB},
                                                .gtt_used_bytes = cases[i].gtt_before << MIB};
        const struct sto_bench_memory after = {.heap = {.ours_bytes = cases[i].ours << MIB,
                                                        .used_bytes = cases[i].used << MIB,
                                                        .budget_bytes = cases[i].budget << MIB},
                                               .gtt_used_bytes = cases[i].gtt_after << MIB};
        const uint64_t got = sto_bench_spilled_bytes(&before, &after, cases[i].unified);
        if (got != cases[i].spilled << MIB)
            fail_msg("%s: %llu MiB", cases[i].what, (unsigned long long)(got >> MIB));
    }
}

/* ---- what is printed ---- */

/* The one line of a test whose two repetitions took 1 and 2 s for 100 tokens. Free with sto_free. */
static char *report(enum sto_bench_output format, uint32_t limits)
{
    static const struct sto_options options = {.common = {.kv_type = STO_TYPE_F16}};
    static const struct sto_device_snapshot snapshot = {.name = "a card", .n_memory_types = 1};
    static const struct sto_device_plan plan = {.unified_memory = false};
    uint64_t ns[2] = {1000000000, 2000000000}, first[2] = {1000000000, 2000000000};
    struct sto_gpu_source *source = open_source("test_gpu_facts.nowhere", fake_library);
    static const struct sto_findings findings;
    const struct sto_bench_setup setup = {.options = &options, .snapshot = &snapshot, .plan = &plan, .source = source,
                                          .findings = &findings,
                                          .model_file = "m.gguf", .model_type = "llama",
                                          .bandwidth = {.best_gb_per_s = 100}};
    const struct sto_bench_result result = {.test = {.n_gen = 100}, .work = {.tokens = 100, .read_bytes = 30000000000u},
                                            .ns = ns, .first_token_ns = first, .n = 2,
                                            .gpu = {.readings = 9, .core_mhz_mean = 2505, .limits_known = true,
                                                    .limits = limits}};
    struct sto_error err = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *f = fopen("test_gpu_facts.out", "wb");
    assert_non_null(f);
    struct sto_bench_report r = {.out = f, .format = format, .setup = &setup};
    sto_bench_report_begin(&r);
    assert_int_equal(sto_bench_report_row(&r, &result, &err), STO_OK);
    sto_bench_report_end(&r);
    assert_int_equal(r.n_rows, 1);
    assert_int_equal(r.n_throttled, (limits & (STO_GPU_TOO_HOT | STO_GPU_BRAKED)) != 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(sto_file_read("test_gpu_facts.out", 1 << 20, &text, &size, &err), STO_OK);
    sto_gpu_facts_close(source);
    return text;
}

static cJSON *first_row(char *text)
{
    cJSON *json = cJSON_Parse(text);
    sto_free(text);
    assert_true(cJSON_IsArray(json) && cJSON_GetArraySize(json) == 1);
    cJSON *row = cJSON_DetachItemFromArray(json, 0);
    cJSON_Delete(json);
    return row;
}

static double field(const cJSON *row, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, name);
    if (!cJSON_IsNumber(item))
        fail_msg("%s is no number", name);
    return item->valuedouble;
}

static void a_run_that_was_slowed_down_has_samples_and_no_average(void **state)
{
    static const char *const averages[] = {"avg_ns",   "stddev_ns", "avg_ts",  "stddev_ts", "median_ts",
                                           "gb_per_s", "share_of_bandwidth", "tflop_per_s"};
    (void)state;
    cJSON *row = first_row(report(STO_BENCH_JSON, STO_GPU_POWER_LIMIT));
    assert_true(near(field(row, "avg_ts"), 75) && near(field(row, "median_ts"), 75)); /* 100 and 50 a second */
    assert_true(near(field(row, "gb_per_s"), 20) && near(field(row, "share_of_bandwidth"), 0.2)); /* 30 GB in 1.5 s */
    assert_true(near(field(row, "core_mhz"), 2505) && near(field(row, "bandwidth_specified_gb_per_s"), 1008.096));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(row, "at_power_limit")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(row, "throttled")));
    cJSON_Delete(row);

    row = first_row(report(STO_BENCH_JSON, STO_GPU_TOO_HOT));
    for (size_t i = 0; i < sizeof averages / sizeof *averages; i++)
        assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(row, averages[i])));
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(row, "samples_ts")) == 2 && near(field(row, "min_ts"), 50));
    assert_true(cJSON_GetObjectItem(row, "throttled") != NULL && !cJSON_IsNull(cJSON_GetObjectItem(row, "throttled")));
    cJSON_Delete(row);

    char *text = report(STO_BENCH_MD, STO_GPU_BRAKED);
    assert_non_null(strstr(text, "throttled"));
    assert_null(strstr(text, "75.00"));
    assert_non_null(strstr(text, "50.00 to 100.00"));
    sto_free(text);
    text = report(STO_BENCH_MD, 0);
    assert_non_null(strstr(text, "75.00"));
    assert_non_null(strstr(text, "2505 MHz"));
    sto_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_knows_is_no_error),
        cmocka_unit_test(amdgpu_is_read),
        cmocka_unit_test(intel_is_read),
        cmocka_unit_test(nvml_is_read),
        cmocka_unit_test(readings_add_up),
        cmocka_unit_test(a_thread_reads_while_work_runs),
        cmocka_unit_test(spilled_memory_is_noticed),
        cmocka_unit_test(a_run_that_was_slowed_down_has_samples_and_no_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

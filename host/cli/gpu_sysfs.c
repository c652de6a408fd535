/* What Linux's kernel drivers publish of a GPU, as files below /sys/bus/pci/devices/DDDD:BB:DD.F:
 *
 *   current_link_speed, _width (and of the bridges above)       every PCIe device
 *   hwmon/hwmonN/power1_*, temp1_input, freq1_input, energy1_*  the hwmon interface (Documentation/hwmon)
 *   mem_info_*, gpu_metrics                                     amdgpu
 *   drm/cardN/gt/gt0                                            i915
 *   tile0/gt0/freq0                                             xe
 *
 * Everything may be missing. */
#include "host/cli/gpu_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"

enum { MAX_PATH_BYTES = 512, MAX_NUMBERED = 64, MAX_BRIDGES = 4 };

struct sto_sysfs_gpu {
    char device[MAX_PATH_BYTES]; /* the folder                                */
    char hwmon[MAX_PATH_BYTES];  /* "": there is none                         */
    char gt[MAX_PATH_BYTES];     /* where an Intel driver tells of clocks     */
    bool is_xe;
    char driver[32];
    uint64_t energy_uj, energy_ns; /* the last reading: power is the difference */
};

/* ---- files ---- */

static bool read_text(const char *folder, const char *name, char *text, size_t size)
{
    char path[2 * MAX_PATH_BYTES];
    char *data = NULL;
    size_t n = 0;
    struct sto_error ignored;
    text[0] = '\0';
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (sto_file_read(path, 1 << 16, &data, &n, &ignored) != STO_OK)
        return false;
    (void)snprintf(text, size, "%.*s", (int)strcspn(data, "\n"), data);
    sto_free(data);
    return true;
}

/* The number that a file begins with; 0: there is none. */
static double read_number(const char *folder, const char *name)
{
    char text[64];
    if (folder[0] == '\0' || !read_text(folder, name, text, sizeof text))
        return 0.0;
    const double value = strtod(text, NULL);
    return value > 0.0 ? value : 0.0;
}

static bool has_file(const char *folder, const char *name)
{
    char path[2 * MAX_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return sto_file_exists(path);
}

/* The first folder/PREFIX<N>SUFFIX, N from 0 on, that holds `file`; false: none does. */
static bool find_numbered(const char *folder, const char *prefix, const char *suffix, const char *file, char *found)
{
    for (unsigned n = 0; n < MAX_NUMBERED; n++) {
        const int length = snprintf(found, MAX_PATH_BYTES, "%s/%s%u%s", folder, prefix, n, suffix);
        if (length > 0 && length < MAX_PATH_BYTES && has_file(found, file))
            return true;
    }
    found[0] = '\0';
    return false;
}

struct sto_sysfs_gpu *sto_sysfs_open(const uint32_t address[4], const char *root)
{
    struct sto_sysfs_gpu *g = sto_calloc(1, sizeof *g);
    if (g == NULL)
        return NULL;
    (void)snprintf(g->device, sizeof g->device, "%s/bus/pci/devices/%04x:%02x:%02x.%x", root, (unsigned)address[0],
                   (unsigned)address[1], (unsigned)address[2], (unsigned)address[3]);
    if (!has_file(g->device, "vendor")) {
        sto_free(g);
        return NULL;
    }
    if (find_numbered(g->device, "hwmon/hwmon", "", "name", g->hwmon))
        (void)read_text(g->hwmon, "name", g->driver, sizeof g->driver);
    (void)snprintf(g->gt, sizeof g->gt, "%.*s/tile0/gt0/freq0", MAX_PATH_BYTES - 32, g->device);
    g->is_xe = has_file(g->gt, "act_freq");
    if (!g->is_xe)
        (void)find_numbered(g->device, "drm/card", "/gt/gt0", "rps_act_freq_mhz", g->gt);
    return g;
}

void sto_sysfs_close(struct sto_sysfs_gpu *gpu)
{
    sto_free(gpu);
}

void sto_sysfs_describe(const struct sto_sysfs_gpu *gpu, char *name, uint32_t size)
{
    (void)snprintf(name, size, "sysfs%s%s", gpu->driver[0] != '\0' ? ", " : "", gpu->driver);
}

/* ---- the link ---- */

static void take_less(double *value, double other)
{
    if (other > 0.0 && (*value <= 0.0 || other < *value))
        *value = other;
}

/* The slowest of the device's link and those of the bridges above it: many cards have a switch of their own, whose
 * inner link is not the one to the machine. */
static void read_link(const struct sto_sysfs_gpu *g, struct sto_gpu_facts *facts)
{
    char folder[MAX_PATH_BYTES];
    double speed = 0.0, width = 0.0, max_speed = 0.0, max_width = 0.0;
    (void)snprintf(folder, sizeof folder, "%s", g->device);
    for (int i = 0; i < MAX_BRIDGES && has_file(folder, "current_link_speed"); i++) {
        take_less(&speed, read_number(folder, "current_link_speed")); /* "16.0 GT/s PCIe" */
        take_less(&width, read_number(folder, "current_link_width"));
        take_less(&max_speed, read_number(folder, "max_link_speed"));
        take_less(&max_width, read_number(folder, "max_link_width"));
        const size_t n = strlen(folder);
        (void)snprintf(folder + n, sizeof folder - n, "/..");
    }
    facts->pcie_gt_per_s = speed;
    facts->pcie_max_gt_per_s = max_speed;
    facts->pcie_lanes = (uint32_t)width;
    facts->pcie_max_lanes = (uint32_t)max_width;
}

/* ---- hwmon ---- */

static void read_power(struct sto_sysfs_gpu *g, struct sto_gpu_facts *facts)
{
    double watts = read_number(g->hwmon, "power1_average") / 1e6;
    if (watts <= 0.0)
        watts = read_number(g->hwmon, "power1_input") / 1e6;
    const uint64_t energy = (uint64_t)read_number(g->hwmon, "energy1_input"), now = sto_now_ns();
    if (watts <= 0.0 && g->energy_uj > 0 && energy > g->energy_uj && now > g->energy_ns)
        watts = (double)(energy - g->energy_uj) * 1e3 / (double)(now - g->energy_ns);
    g->energy_uj = energy;
    g->energy_ns = now;
    facts->power_w = watts;
    facts->power_limit_w = read_number(g->hwmon, "power1_cap") / 1e6;
    if (facts->power_limit_w <= 0.0)
        facts->power_limit_w = read_number(g->hwmon, "power1_max") / 1e6;
}

/* ---- limits ---- */

static uint64_t little_endian(const unsigned char *p, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)p[i] << 8 * i;
    return value;
}

/* amdgpu's table of measurements, format 1.3: byte 112 holds the reasons that are the same for every chip (struct
 * gpu_metrics_v1_3 of kgd_pp_interface.h; SMU_THROTTLER_* of amdgpu_smu.h). */
static void read_amd_limits(const struct sto_sysfs_gpu *g, struct sto_gpu_facts *facts)
{
    const uint64_t power = UINT64_C(0xff00ff), hot = UINT64_C(0x3fff) << 32, braked = UINT64_C(3) << 46;
    char path[2 * MAX_PATH_BYTES];
    char *data = NULL;
    size_t n = 0;
    struct sto_error ignored;
    (void)snprintf(path, sizeof path, "%s/gpu_metrics", g->device);
    if (sto_file_read(path, 1 << 16, &data, &n, &ignored) != STO_OK)
        return;
    const unsigned char *bytes = (const unsigned char *)data;
    if (n >= 120 && bytes[2] == 1 && bytes[3] == 3) {
        const uint64_t status = little_endian(bytes + 112, 8);
        facts->limits_known = true;
        facts->limits |= (status & power) != 0 ? STO_GPU_POWER_LIMIT : 0;
        facts->limits |= (status & hot) != 0 ? STO_GPU_TOO_HOT : 0;
        facts->limits |= (status & braked) != 0 ? STO_GPU_BRAKED : 0;
    }
    sto_free(data);
}

static void read_intel_limits(const struct sto_sysfs_gpu *g, struct sto_gpu_facts *facts)
{
    static const struct {
        const char *name;
        uint32_t limit;
    } reasons[] = {{"pl1", STO_GPU_POWER_LIMIT},     {"pl2", STO_GPU_POWER_LIMIT}, {"pl4", STO_GPU_POWER_LIMIT},
                   {"vr_tdc", STO_GPU_POWER_LIMIT},  {"thermal", STO_GPU_TOO_HOT}, {"ratl", STO_GPU_TOO_HOT},
                   {"vr_thermalert", STO_GPU_TOO_HOT}, {"prochot", STO_GPU_BRAKED}};
    if (g->gt[0] == '\0')
        return;
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, g->is_xe ? "throttle/reason_%s" : "throttle_reason_%s", reasons[i].name);
        facts->limits_known = facts->limits_known || has_file(g->gt, name);
        facts->limits |= read_number(g->gt, name) > 0.0 ? reasons[i].limit : 0;
    }
}

void sto_sysfs_read(struct sto_sysfs_gpu *gpu, struct sto_gpu_facts *facts)
{
    if (facts->pcie_lanes == 0)
        read_link(gpu, facts);
    if (facts->power_w <= 0.0)
        read_power(gpu, facts);
    if (facts->temperature_c <= 0.0)
        facts->temperature_c = read_number(gpu->hwmon, "temp1_input") / 1e3;
    if (facts->core_mhz <= 0.0)
        facts->core_mhz = read_number(gpu->hwmon, "freq1_input") / 1e6;
    if (facts->core_mhz <= 0.0 && gpu->gt[0] != '\0')
        facts->core_mhz = read_number(gpu->gt, gpu->is_xe ? "act_freq" : "rps_act_freq_mhz");
    if (facts->memory_mhz <= 0.0)
        facts->memory_mhz = read_number(gpu->hwmon, "freq2_input") / 1e6;
    facts->vram_used_bytes = (uint64_t)read_number(gpu->device, "mem_info_vram_used");
    facts->gtt_used_bytes = (uint64_t)read_number(gpu->device, "mem_info_gtt_used");
    if (!facts->limits_known)
        read_amd_limits(gpu, facts);
    if (!facts->limits_known)
        read_intel_limits(gpu, facts);
}

/* NVIDIA's management library, loaded at run time: names, types and numbers are those of its API reference (NVML API
 * Reference Guide). What a version lacks, or a card does not support, stays unknown. */
#include "host/cli/gpu_facts.h"

#include <stdio.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"

enum { NVML_SUCCESS = 0, CLOCK_GRAPHICS = 0, CLOCK_MEMORY = 2, TEMPERATURE_GPU = 0 };

/* Reasons for clocks below the highest: bits of nvmlDeviceGetCurrentClocksThrottleReasons. */
static const unsigned long long SW_POWER_CAP = 0x4, HW_SLOWDOWN = 0x8, SW_THERMAL = 0x20, HW_THERMAL = 0x40,
                                POWER_BRAKE = 0x80;

typedef int plain_function(void);
typedef int handle_function(const char *bus_id, void **device);
typedef int text_function(char *text, unsigned size);
typedef int number_function(void *device, unsigned *value);
typedef int kind_function(void *device, int kind, unsigned *value);
typedef int bits_function(void *device, unsigned long long *bits);

struct sto_nvml {
    struct sto_library *library;
    plain_function *shutdown;
    void *device;
    kind_function *clock, *max_clock, *temperature;
    number_function *power, *power_limit, *width, *generation, *max_width, *max_generation, *bus_width;
    bits_function *reasons;
    text_function *version;
};

static sto_function *find(const struct sto_nvml *n, const char *name)
{
    return sto_library_find(n->library, name);
}

/* Loads the functions; false where the library lacks what is needed to find a device. */
static bool load(struct sto_nvml *n, plain_function **init, handle_function **handle)
{
    *init = (plain_function *)find(n, "nvmlInit_v2");
    *handle = (handle_function *)find(n, "nvmlDeviceGetHandleByPciBusId_v2");
    n->shutdown = (plain_function *)find(n, "nvmlShutdown");
    n->clock = (kind_function *)find(n, "nvmlDeviceGetClockInfo");
    n->max_clock = (kind_function *)find(n, "nvmlDeviceGetMaxClockInfo");
    n->temperature = (kind_function *)find(n, "nvmlDeviceGetTemperature");
    n->power = (number_function *)find(n, "nvmlDeviceGetPowerUsage");
    n->power_limit = (number_function *)find(n, "nvmlDeviceGetEnforcedPowerLimit");
    n->width = (number_function *)find(n, "nvmlDeviceGetCurrPcieLinkWidth");
    n->generation = (number_function *)find(n, "nvmlDeviceGetCurrPcieLinkGeneration");
    n->max_width = (number_function *)find(n, "nvmlDeviceGetMaxPcieLinkWidth");
    n->max_generation = (number_function *)find(n, "nvmlDeviceGetMaxPcieLinkGeneration");
    n->bus_width = (number_function *)find(n, "nvmlDeviceGetMemoryBusWidth");
    n->reasons = (bits_function *)find(n, "nvmlDeviceGetCurrentClocksThrottleReasons");
    if (n->reasons == NULL) /* its newer name */
        n->reasons = (bits_function *)find(n, "nvmlDeviceGetCurrentClocksEventReasons");
    n->version = (text_function *)find(n, "nvmlSystemGetDriverVersion");
    return *init != NULL && *handle != NULL && n->shutdown != NULL;
}

struct sto_nvml *sto_nvml_open(const uint32_t address[4], const char *const *libraries)
{
    plain_function *init = NULL;
    handle_function *handle = NULL;
    char bus_id[32];
    struct sto_nvml *n = sto_calloc(1, sizeof *n);
    for (; n != NULL && n->library == NULL && *libraries != NULL; libraries++)
        n->library = sto_library_open(*libraries);
    if (n == NULL || n->library == NULL || !load(n, &init, &handle) || init() != NVML_SUCCESS)
        goto fail;
    (void)snprintf(bus_id, sizeof bus_id, "%08X:%02X:%02X.%X", (unsigned)address[0], (unsigned)address[1],
                   (unsigned)address[2], (unsigned)address[3]);
    if (handle(bus_id, &n->device) == NVML_SUCCESS)
        return n;
    (void)n->shutdown();
fail:
    if (n != NULL)
        sto_library_close(n->library);
    sto_free(n);
    return NULL;
}

void sto_nvml_close(struct sto_nvml *nvml)
{
    if (nvml == NULL)
        return;
    (void)nvml->shutdown();
    sto_library_close(nvml->library);
    sto_free(nvml);
}

static unsigned number(const struct sto_nvml *n, number_function *f)
{
    unsigned value = 0;
    return f != NULL && f(n->device, &value) == NVML_SUCCESS ? value : 0;
}

static unsigned kind_number(const struct sto_nvml *n, kind_function *f, int kind)
{
    unsigned value = 0;
    return f != NULL && f(n->device, kind, &value) == NVML_SUCCESS ? value : 0;
}

/* Transfers per second and lane of a PCIe generation, in units of 10^9. */
static double rate_of(unsigned generation)
{
    static const double rates[] = {0.0, 2.5, 5.0, 8.0, 16.0, 32.0, 64.0};
    return generation < sizeof rates / sizeof *rates ? rates[generation] : 0.0;
}

void sto_nvml_read(struct sto_nvml *nvml, struct sto_gpu_facts *facts)
{
    unsigned long long reasons = 0;
    facts->core_mhz = kind_number(nvml, nvml->clock, CLOCK_GRAPHICS);
    facts->memory_mhz = kind_number(nvml, nvml->clock, CLOCK_MEMORY);
    facts->temperature_c = kind_number(nvml, nvml->temperature, TEMPERATURE_GPU);
    facts->power_w = number(nvml, nvml->power) / 1e3;
    facts->power_limit_w = number(nvml, nvml->power_limit) / 1e3;
    facts->pcie_lanes = number(nvml, nvml->width);
    facts->pcie_max_lanes = number(nvml, nvml->max_width);
    facts->pcie_gt_per_s = rate_of(number(nvml, nvml->generation));
    facts->pcie_max_gt_per_s = rate_of(number(nvml, nvml->max_generation));
    if (nvml->reasons == NULL || nvml->reasons(nvml->device, &reasons) != NVML_SUCCESS)
        return;
    facts->limits_known = true;
    facts->limits |= (reasons & SW_POWER_CAP) != 0 ? STO_GPU_POWER_LIMIT : 0;
    facts->limits |= (reasons & (SW_THERMAL | HW_THERMAL)) != 0 ? STO_GPU_TOO_HOT : 0;
    facts->limits |= (reasons & (HW_SLOWDOWN | POWER_BRAKE)) != 0 ? STO_GPU_BRAKED : 0;
}

void sto_nvml_describe(struct sto_nvml *nvml, char *name, uint32_t size, double *specified_gb_per_s)
{
    char version[80] = "";
    if (nvml->version == NULL || nvml->version(version, sizeof version) != NVML_SUCCESS)
        version[0] = '\0';
    version[sizeof version - 1] = '\0';
    (void)snprintf(name, size, "NVML %s", version);
    /* Two transfers per clock, as NVML counts memory clocks, on every line of the bus. */
    *specified_gb_per_s = 2.0 * kind_number(nvml, nvml->max_clock, CLOCK_MEMORY) * number(nvml, nvml->bus_width) / 8e3;
}

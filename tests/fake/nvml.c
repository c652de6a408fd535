/* A management library with one card at 0000:0A:00.0, whose state is that of the environment variables
 * FAKE_NVML_REASONS (throttle reasons) and FAKE_NVML_LACKS (what it answers "not supported" to). Signatures are those
 * of NVML's API reference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6 };

static int initialised;
static int card; /* its address is the handle */

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, void **device);
int nvmlSystemGetDriverVersion(char *text, unsigned size);
int nvmlDeviceGetClockInfo(void *device, int kind, unsigned *value);
int nvmlDeviceGetMaxClockInfo(void *device, int kind, unsigned *value);
int nvmlDeviceGetTemperature(void *device, int kind, unsigned *value);
int nvmlDeviceGetPowerUsage(void *device, unsigned *value);
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *value);
int nvmlDeviceGetCurrPcieLinkWidth(void *device, unsigned *value);
int nvmlDeviceGetCurrPcieLinkGeneration(void *device, unsigned *value);
int nvmlDeviceGetMaxPcieLinkWidth(void *device, unsigned *value);
int nvmlDeviceGetMaxPcieLinkGeneration(void *device, unsigned *value);
int nvmlDeviceGetMemoryBusWidth(void *device, unsigned *value);
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *value);

int nvmlInit_v2(void)
{
    initialised++;
    return SUCCESS;
}

int nvmlShutdown(void)
{
    initialised--;
    return SUCCESS;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, void **device)
{
    *device = &card;
    return initialised > 0 && strcmp(bus_id, "00000000:0A:00.0") == 0 ? SUCCESS : NOT_FOUND;
}

int nvmlSystemGetDriverVersion(char *text, unsigned size)
{
    (void)snprintf(text, size, "555.42");
    return SUCCESS;
}

static int answer(void *device, const char *name, unsigned value, unsigned *out)
{
    const char *lacks = getenv("FAKE_NVML_LACKS");
    if (device != &card || initialised <= 0)
        return INVALID_ARGUMENT;
    if (lacks != NULL && strstr(lacks, name) != NULL)
        return NOT_SUPPORTED;
    *out = value;
    return SUCCESS;
}

/* Kinds of clocks: 0 graphics, 1 multiprocessors, 2 memory. */
int nvmlDeviceGetClockInfo(void *device, int kind, unsigned *value)
{
    return answer(device, "clock", kind == 2 ? 10501 : kind == 0 ? 2505 : 1, value);
}

int nvmlDeviceGetMaxClockInfo(void *device, int kind, unsigned *value)
{
    return answer(device, "clock", kind == 2 ? 10501 : 3105, value);
}

int nvmlDeviceGetTemperature(void *device, int kind, unsigned *value)
{
    return kind == 0 ? answer(device, "temperature", 67, value) : INVALID_ARGUMENT;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *value)
{
    return answer(device, "power", 320500, value);
}

int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *value)
{
    return answer(device, "limit", 450000, value);
}

int nvmlDeviceGetCurrPcieLinkWidth(void *device, unsigned *value)
{
    return answer(device, "pcie", 8, value);
}

int nvmlDeviceGetCurrPcieLinkGeneration(void *device, unsigned *value)
{
    return answer(device, "pcie", 4, value);
}

int nvmlDeviceGetMaxPcieLinkWidth(void *device, unsigned *value)
{
    return answer(device, "pcie", 16, value);
}

int nvmlDeviceGetMaxPcieLinkGeneration(void *device, unsigned *value)
{
    return answer(device, "pcie", 5, value);
}

int nvmlDeviceGetMemoryBusWidth(void *device, unsigned *value)
{
    return answer(device, "bus", 384, value);
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *value)
{
    const char *reasons = getenv("FAKE_NVML_REASONS");
    unsigned ignored;
    *value = reasons != NULL ? strtoull(reasons, NULL, 0) : 0;
    return answer(device, "reasons", 0, &ignored);
}

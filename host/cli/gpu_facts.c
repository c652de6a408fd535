/* Facts of a GPU from whichever source knows it: NVML before sysfs, which fills in what is missing. */
#include "host/cli/gpu_facts.h"

#include <stdio.h>

#include "runtime/base/mem.h"

static const char *const nvml_names[] = {"libnvidia-ml.so.1", "nvml.dll", NULL};
static const struct sto_gpu_facts_params this_machine = {.sysfs = "/sys", .libraries = nvml_names};

struct sto_gpu_source {
    struct sto_nvml *nvml;
    struct sto_sysfs_gpu *sysfs;
    char name[96];
    double specified_gb_per_s;
};

struct sto_gpu_source *sto_gpu_facts_open(const uint32_t address[4], const struct sto_gpu_facts_params *params)
{
    const struct sto_gpu_facts_params *p = params != NULL ? params : &this_machine;
    struct sto_gpu_source *s = sto_calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->nvml = sto_nvml_open(address, p->libraries);
    s->sysfs = sto_sysfs_open(address, p->sysfs);
    if (s->nvml != NULL)
        sto_nvml_describe(s->nvml, s->name, sizeof s->name, &s->specified_gb_per_s);
    else if (s->sysfs != NULL)
        sto_sysfs_describe(s->sysfs, s->name, sizeof s->name);
    if (s->nvml != NULL || s->sysfs != NULL)
        return s;
    sto_gpu_facts_close(s);
    return NULL;
}

void sto_gpu_facts_close(struct sto_gpu_source *source)
{
    if (source == NULL)
        return;
    sto_nvml_close(source->nvml);
    sto_sysfs_close(source->sysfs);
    sto_free(source);
}

void sto_gpu_facts_read(struct sto_gpu_source *source, struct sto_gpu_facts *out)
{
    *out = (struct sto_gpu_facts){0};
    if (source->nvml != NULL)
        sto_nvml_read(source->nvml, out);
    if (source->sysfs != NULL)
        sto_sysfs_read(source->sysfs, out);
}

const char *sto_gpu_facts_name(const struct sto_gpu_source *source)
{
    return source->name;
}

double sto_gpu_facts_specified_gb_per_s(const struct sto_gpu_source *source)
{
    return source->specified_gb_per_s;
}

/* What a driver's compiler says of a kernel, through VK_KHR_pipeline_executable_properties. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/vk/device_impl.h"

static double value_of(const VkPipelineExecutableStatisticKHR *s)
{
    switch (s->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: return s->value.b32 ? 1.0 : 0.0;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: return (double)s->value.i64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR: return (double)s->value.u64;
    default: return s->value.f64;
    }
}

static uint32_t count(const char *text, const char *word)
{
    uint32_t n = 0;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word))
        n++;
    return n;
}

/* Adds how many matrix instructions the code of an executable has, by the names they have in AMD's, Intel's and
 * NVIDIA's. Drivers list what they compile from first and the code last. */
static void add_matrix_instructions(struct sto_device *device, const VkPipelineExecutableInfoKHR *info,
                                    struct sto_kernel_stats *out)
{
    static const char *const words[] = {"v_wmma", "dpas", "hmma", "HMMA", "imma", "IMMA"};
    uint32_t n = 0, found = 0;
    if (device->vk.vkGetPipelineExecutableInternalRepresentationsKHR(device->handle, info, &n, NULL) != VK_SUCCESS ||
        n == 0 || out->n == STO_MAX_KERNEL_STATS)
        return;
    char *text = NULL;
    VkPipelineExecutableInternalRepresentationKHR *list = sto_calloc(n, sizeof *list);
    if (list == NULL)
        return;
    for (uint32_t i = 0; i < n; i++)
        list[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
    const VkPipelineExecutableInternalRepresentationKHR *code = &list[n - 1];
    if (device->vk.vkGetPipelineExecutableInternalRepresentationsKHR(device->handle, info, &n, list) < VK_SUCCESS ||
        !code->isText || code->dataSize == 0)
        goto done;
    text = sto_calloc(code->dataSize + 1, 1);
    if (text == NULL)
        goto done;
    list[n - 1].pData = text;
    if (device->vk.vkGetPipelineExecutableInternalRepresentationsKHR(device->handle, info, &n, list) < VK_SUCCESS)
        goto done;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        found += count(text, words[i]);
    (void)snprintf(out->items[out->n].name, sizeof out->items[out->n].name, "Matrix instructions");
    out->items[out->n++].value = found;
done:
    sto_free(text);
    sto_free(list);
}

/* Adds the statistics of one executable of a pipeline. */
static void add_executable(struct sto_device *device, VkPipeline pipeline, uint32_t index, struct sto_kernel_stats *out)
{
    const VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline, .executableIndex = index};
    uint32_t n = 0;
    if (device->vk.vkGetPipelineExecutableStatisticsKHR(device->handle, &info, &n, NULL) != VK_SUCCESS || n == 0)
        return;
    VkPipelineExecutableStatisticKHR *list = sto_calloc(n, sizeof *list);
    if (list == NULL)
        return;
    for (uint32_t i = 0; i < n; i++)
        list[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    if (device->vk.vkGetPipelineExecutableStatisticsKHR(device->handle, &info, &n, list) < VK_SUCCESS)
        n = 0;
    for (uint32_t i = 0; i < n && out->n < STO_MAX_KERNEL_STATS; i++) {
        if (strstr(list[i].name, "ash") != NULL) /* "Hash", "Driver pipeline hash": no measure of anything */
            continue;
        (void)snprintf(out->items[out->n].name, sizeof out->items[out->n].name, "%.95s", list[i].name);
        out->items[out->n++].value = value_of(&list[i]);
    }
    sto_free(list);
    add_matrix_instructions(device, &info, out);
}

enum sto_status sto_device_kernel_stats(struct sto_device *device, enum sto_kernel kernel,
                                        const struct sto_tuning *tuning, struct sto_kernel_stats *out,
                                        struct sto_error *err)
{
    out->n = 0;
    const bool has = device->snapshot.ext_pipeline_executable_properties &&
                     device->vk.vkGetPipelineExecutablePropertiesKHR != NULL &&
                     device->vk.vkGetPipelineExecutableStatisticsKHR != NULL &&
                     device->vk.vkGetPipelineExecutableInternalRepresentationsKHR != NULL;
    const VkPipelineCreateFlags capture = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
                                          VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
    VkPipeline pipeline = VK_NULL_HANDLE;
    const enum sto_status status = sto_pipeline_make(device, kernel, tuning, has ? capture : 0, &pipeline, err);
    if (status != STO_OK)
        return status;
    uint32_t n = 0;
    const VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
    if (has && device->vk.vkGetPipelineExecutablePropertiesKHR(device->handle, &info, &n, NULL) == VK_SUCCESS) {
        for (uint32_t i = 0; i < n; i++)
            add_executable(device, pipeline, i, out);
    }
    device->vk.vkDestroyPipeline(device->handle, pipeline, NULL);
    return STO_OK;
}

/* Takes a snapshot of a physical device: every question that strato asks a driver before it makes a device. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/vk/instance.h"

struct answers {
    VkPhysicalDeviceProperties2 properties;
    VkPhysicalDeviceVulkan11Properties p11;
    VkPhysicalDeviceVulkan12Properties p12;
    VkPhysicalDeviceVulkan13Properties p13;
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT host;
    VkPhysicalDeviceFeatures2 features;
    VkPhysicalDeviceVulkan11Features f11;
    VkPhysicalDeviceVulkan12Features f12;
    VkPhysicalDeviceVulkan13Features f13;
};

static enum sto_device_kind kind_of(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return STO_DEVICE_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return STO_DEVICE_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return STO_DEVICE_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return STO_DEVICE_CPU;
    default: return STO_DEVICE_OTHER;
    }
}

static void take_identity(struct sto_device_snapshot *s, const VkPhysicalDeviceProperties *p)
{
    (void)snprintf(s->name, sizeof s->name, "%s", p->deviceName);
    s->vendor_id = p->vendorID;
    s->device_id = p->deviceID;
    s->driver_version = p->driverVersion;
    s->api_version = p->apiVersion;
    s->kind = kind_of(p->deviceType);
    memcpy(s->pipeline_cache_uuid, p->pipelineCacheUUID, sizeof s->pipeline_cache_uuid);
}

static void take_limits(struct sto_device_snapshot *s, const VkPhysicalDeviceLimits *l)
{
    s->max_workgroup_invocations = l->maxComputeWorkGroupInvocations;
    memcpy(s->max_workgroup_size, l->maxComputeWorkGroupSize, sizeof s->max_workgroup_size);
    memcpy(s->max_workgroup_count, l->maxComputeWorkGroupCount, sizeof s->max_workgroup_count);
    s->max_shared_bytes = l->maxComputeSharedMemorySize;
    s->max_push_bytes = l->maxPushConstantsSize;
    s->max_allocations = l->maxMemoryAllocationCount;
    s->max_storage_range_bytes = l->maxStorageBufferRange;
    s->non_coherent_atom_bytes = l->nonCoherentAtomSize;
    s->copy_alignment_bytes = l->optimalBufferCopyOffsetAlignment;
    /* A period that no clock has is a driver's mistake: then there are no timestamps. */
    if (l->timestampPeriod > 0.0f && l->timestampPeriod < 1e6f)
        s->timestamp_period_ns = l->timestampPeriod;
}

static void take_newer(struct sto_device_snapshot *s, const struct answers *a)
{
    const VkPhysicalDeviceVulkan11Properties *p11 = &a->p11;
    const VkPhysicalDeviceVulkan13Properties *p13 = &a->p13;
    (void)snprintf(s->driver_name, sizeof s->driver_name, "%s", a->p12.driverName);
    (void)snprintf(s->driver_info, sizeof s->driver_info, "%s", a->p12.driverInfo);
    s->driver_id = (uint32_t)a->p12.driverID;
    s->max_allocation_bytes = p11->maxMemoryAllocationSize;
    s->max_buffer_bytes = p13->maxBufferSize;
    s->min_import_alignment_bytes = a->host.minImportedHostPointerAlignment;

    const bool compute = (p11->subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    s->subgroup_size = p11->subgroupSize;
    s->min_subgroup_size = p13->minSubgroupSize;
    s->max_subgroup_size = p13->maxSubgroupSize;
    s->subgroup_size_control =
        a->f13.subgroupSizeControl && (p13->requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    s->full_subgroups = a->f13.computeFullSubgroups;
    s->subgroup_arithmetic = compute && (p11->subgroupSupportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) != 0;
    s->subgroup_shuffle = compute && (p11->subgroupSupportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT) != 0;
    s->subgroup_ballot = compute && (p11->subgroupSupportedOperations & VK_SUBGROUP_FEATURE_BALLOT_BIT) != 0;
    s->subgroup_vote = compute && (p11->subgroupSupportedOperations & VK_SUBGROUP_FEATURE_VOTE_BIT) != 0;

    s->buffer_device_address = a->f12.bufferDeviceAddress;
    s->timeline_semaphore = a->f12.timelineSemaphore;
    s->synchronization2 = a->f13.synchronization2;
    s->maintenance4 = a->f13.maintenance4;
    s->shader_int64 = a->features.features.shaderInt64;
    s->shader_int16 = a->features.features.shaderInt16;
    s->shader_int8 = a->f12.shaderInt8;
    s->shader_float16 = a->f12.shaderFloat16;
    s->storage_16bit = a->f11.storageBuffer16BitAccess;
    s->storage_8bit = a->f12.storageBuffer8BitAccess;
    s->push_constant_16bit = a->f11.storagePushConstant16;
    s->int_dot_product = a->f13.shaderIntegerDotProduct;
    s->int_dot_4x8_accelerated = p13->integerDotProduct4x8BitPackedSignedAccelerated;
    s->vulkan_memory_model = a->f12.vulkanMemoryModel && a->f12.vulkanMemoryModelDeviceScope;
    s->scalar_block_layout = a->f12.scalarBlockLayout;
    s->pipeline_creation_feedback = true; /* core in 1.3 */
    s->host_query_reset = a->f12.hostQueryReset;
}

/* The device's size, from whichever extension tells it. */
static void take_cores(VkPhysicalDevice physical, bool amd, bool nvidia, struct sto_device_snapshot *s)
{
    VkPhysicalDeviceShaderCorePropertiesAMD units = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD};
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV processors = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                              .pNext = amd ? (void *)&units : (void *)&processors};
    if (!amd && !nvidia)
        return;
    vkGetPhysicalDeviceProperties2(physical, &properties);
    s->shader_cores = amd ? units.shaderEngineCount * units.shaderArraysPerEngineCount *
                                units.computeUnitsPerShaderArray
                          : processors.shaderSMCount;
}

static void take_extensions(VkPhysicalDevice physical, struct sto_device_snapshot *s)
{
    bool amd_cores = false, nvidia_cores = false;
    const struct {
        const char *name;
        bool *there;
    } known[] = {
        {"VK_EXT_memory_budget", &s->ext_memory_budget},
        {"VK_EXT_memory_priority", &s->ext_memory_priority},
        {"VK_EXT_external_memory_host", &s->ext_external_memory_host},
        {"VK_KHR_pipeline_executable_properties", &s->ext_pipeline_executable_properties},
        {"VK_EXT_calibrated_timestamps", &s->ext_calibrated_timestamps},
        {"VK_KHR_cooperative_matrix", &s->ext_cooperative_matrix},
        {"VK_NV_cooperative_matrix2", &s->ext_cooperative_matrix2},
        {"VK_EXT_pci_bus_info", &s->ext_pci_bus_info},
        {"VK_KHR_portability_subset", &s->ext_portability_subset},
        {"VK_AMD_shader_core_properties", &amd_cores},
        {"VK_NV_shader_sm_builtins", &nvidia_cores},
    };
    uint32_t n = 0;
    if (vkEnumerateDeviceExtensionProperties(physical, NULL, &n, NULL) != VK_SUCCESS || n == 0)
        return;
    VkExtensionProperties *list = sto_calloc(n, sizeof *list);
    if (list != NULL && vkEnumerateDeviceExtensionProperties(physical, NULL, &n, list) >= VK_SUCCESS) {
        for (uint32_t i = 0; i < n; i++) {
            for (size_t j = 0; j < sizeof known / sizeof *known; j++)
                *known[j].there = *known[j].there || strcmp(known[j].name, list[i].extensionName) == 0;
        }
    }
    sto_free(list);
    take_cores(physical, amd_cores, nvidia_cores, s);
}

static void take_memory(VkPhysicalDevice physical, struct sto_device_snapshot *s)
{
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                                .pNext = s->ext_memory_budget ? &budget : NULL};
    vkGetPhysicalDeviceMemoryProperties2(physical, &memory);
    const VkPhysicalDeviceMemoryProperties *m = &memory.memoryProperties;
    s->n_heaps = m->memoryHeapCount;
    for (uint32_t i = 0; i < s->n_heaps; i++) {
        s->heaps[i].bytes = m->memoryHeaps[i].size;
        s->heaps[i].device_local = (m->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
        s->heaps[i].budget_bytes = budget.heapBudget[i];
        s->heaps[i].usage_bytes = budget.heapUsage[i];
    }
    s->n_memory_types = m->memoryTypeCount;
    for (uint32_t i = 0; i < s->n_memory_types; i++) {
        const VkMemoryPropertyFlags flags = m->memoryTypes[i].propertyFlags;
        s->memory_types[i].heap = m->memoryTypes[i].heapIndex;
        s->memory_types[i].device_local = (flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0;
        s->memory_types[i].host_visible = (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0;
        s->memory_types[i].host_coherent = (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0;
        s->memory_types[i].host_cached = (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
        s->memory_types[i].lazily_allocated = (flags & VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT) != 0;
        s->memory_types[i].protected_memory = (flags & VK_MEMORY_PROPERTY_PROTECTED_BIT) != 0;
        s->memory_types[i].device_uncached = (flags & (VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD |
                                                       VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD)) != 0;
    }
}

static void take_queues(VkPhysicalDevice physical, struct sto_device_snapshot *s)
{
    VkQueueFamilyProperties families[STO_MAX_QUEUE_FAMILIES];
    s->n_queue_families = STO_MAX_QUEUE_FAMILIES;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &s->n_queue_families, families);
    for (uint32_t i = 0; i < s->n_queue_families; i++) {
        const VkQueueFlags flags = families[i].queueFlags;
        s->queue_families[i].count = families[i].queueCount;
        s->queue_families[i].timestamp_bits = families[i].timestampValidBits;
        s->queue_families[i].graphics = (flags & VK_QUEUE_GRAPHICS_BIT) != 0;
        s->queue_families[i].compute = (flags & VK_QUEUE_COMPUTE_BIT) != 0;
        /* Graphics and compute imply transfer, whether it is reported or not. */
        s->queue_families[i].transfer =
            (flags & (VK_QUEUE_TRANSFER_BIT | VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT)) != 0;
        s->queue_families[i].sparse = (flags & VK_QUEUE_SPARSE_BINDING_BIT) != 0;
    }
}

#ifdef VK_KHR_cooperative_matrix
static void take_coopmat(VkPhysicalDevice physical, struct sto_device_snapshot *s)
{
    uint32_t n = 0;
    if (!s->ext_cooperative_matrix || vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR == NULL ||
        vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(physical, &n, NULL) != VK_SUCCESS || n == 0)
        return;
    VkCooperativeMatrixPropertiesKHR *list = sto_calloc(n, sizeof *list);
    if (list == NULL)
        return;
    for (uint32_t i = 0; i < n; i++)
        list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    if (vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(physical, &n, list) < VK_SUCCESS)
        n = 0;
    s->n_coopmat_shapes = n < STO_MAX_COOPMAT_SHAPES ? n : STO_MAX_COOPMAT_SHAPES;
    for (uint32_t i = 0; i < s->n_coopmat_shapes; i++) {
        s->coopmat_shapes[i].m = list[i].MSize;
        s->coopmat_shapes[i].n = list[i].NSize;
        s->coopmat_shapes[i].k = list[i].KSize;
        s->coopmat_shapes[i].a_type = (uint32_t)list[i].AType;
        s->coopmat_shapes[i].b_type = (uint32_t)list[i].BType;
        s->coopmat_shapes[i].c_type = (uint32_t)list[i].CType;
        s->coopmat_shapes[i].result_type = (uint32_t)list[i].ResultType;
        s->coopmat_shapes[i].saturating = list[i].saturatingAccumulation;
        s->coopmat_shapes[i].scope = (uint32_t)list[i].scope;
    }
    sto_free(list);
}
#else
static void take_coopmat(VkPhysicalDevice physical, struct sto_device_snapshot *s)
{
    (void)physical;
    (void)s;
}
#endif

void sto_snapshot_take(VkPhysicalDevice physical, struct sto_device_snapshot *s)
{
    memset(s, 0, sizeof *s);
    VkPhysicalDeviceProperties first;
    vkGetPhysicalDeviceProperties(physical, &first);
    take_identity(s, &first);
    take_limits(s, &first.limits);
    if (first.apiVersion < VK_API_VERSION_1_3)
        return; /* the plan refuses it by its version; the questions below would not be understood */
    take_extensions(physical, s);

    struct answers a = {
        .properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &a.p11},
        .p11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, .pNext = &a.p12},
        .p12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES, .pNext = &a.p13},
        .p13 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES,
                .pNext = s->ext_external_memory_host ? &a.host : NULL},
        .host = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT},
        .features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &a.f11},
        .f11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &a.f12},
        .f12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &a.f13},
        .f13 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES},
    };
    vkGetPhysicalDeviceProperties2(physical, &a.properties);
    vkGetPhysicalDeviceFeatures2(physical, &a.features);
    take_newer(s, &a);
    take_memory(physical, s);
    take_queues(physical, s);
    take_coopmat(physical, s);
}

/* Opening and closing a device.
 *
 *   instance -> snapshots -> choice -> plan -> VkDevice with the features of the snapshot that strato uses
 *            -> queue, pipelines */
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/vk/device_impl.h"

/* ---- choice ---- */

enum sto_status sto_devices_list(struct sto_device_snapshot **snapshots, uint32_t *n, struct sto_error *err)
{
    *snapshots = NULL;
    *n = 0;
    struct sto_instance *instance = NULL;
    enum sto_status status = sto_instance_create(false, NULL, &instance, err);
    if (status != STO_OK)
        return status;
    struct sto_device_snapshot *list = sto_calloc(instance->n_physical, sizeof *list);
    if (list == NULL) {
        status = sto_fail(err, STO_ERR_NO_FIT, "out of memory for the list of devices");
    } else {
        for (uint32_t i = 0; i < instance->n_physical; i++)
            sto_snapshot_take(instance->physical[i], &list[i]);
        *snapshots = list;
        *n = instance->n_physical;
    }
    sto_instance_destroy(instance);
    return status;
}

static enum sto_status choose_and_plan(struct sto_device *device, const struct sto_device_params *params,
                                       struct sto_error *err)
{
    const uint32_t n = device->instance->n_physical;
    struct sto_device_snapshot *list = sto_calloc(n, sizeof *list);
    if (list == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for the list of devices");
    for (uint32_t i = 0; i < n; i++)
        sto_snapshot_take(device->instance->physical[i], &list[i]);
    uint32_t index = 0;
    enum sto_status status = sto_device_find(list, n, params->name, &index, err);
    if (status == STO_OK) {
        device->snapshot = list[index];
        if (params->simulation != NULL)
            sto_simulated_snapshot(params, &device->snapshot);
        device->physical = device->instance->physical[index];
        const struct sto_plan_options options = {
            .subgroup_size = params->subgroup_size, .no_f16 = params->no_f16, .no_int_dot = params->no_int_dot,
            .no_mapping = params->no_mapping};
        status = sto_device_plan_make(&device->snapshot, &options, &device->plan, err);
    }
    sto_free(list);
    return status;
}

/* What was found out about the device when it was open before. */
static void read_findings(struct sto_device *device, const struct sto_device_params *params)
{
    if (params->cache_dir != NULL)
        (void)snprintf(device->cache_dir, sizeof device->cache_dir, "%s", params->cache_dir);
    else
        sto_cache_dir(device->cache_dir, sizeof device->cache_dir);
    device->self_test = !params->no_self_test && params->simulation == NULL && device->cache_dir[0] != '\0';
    if (!device->self_test)
        return;
    sto_findings_load(&device->snapshot, &device->plan, device->cache_dir, &device->callbacks, &device->findings);
    sto_findings_apply(&device->findings, &device->snapshot, &device->plan);
}

/* ---- creation ---- */

struct feature_chain {
    VkPhysicalDeviceFeatures2 base;
    VkPhysicalDeviceVulkan11Features v11;
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDeviceVulkan13Features v13;
    VkPhysicalDeviceMemoryPriorityFeaturesEXT priority;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable;
#ifdef VK_KHR_cooperative_matrix
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat;
#endif
};

/* Puts an extension's feature struct in front of the chain. */
static void chain(struct feature_chain *f, void *feature)
{
    VkBaseOutStructure *link = feature;
    link->pNext = f->base.pNext;
    f->base.pNext = link;
}

static void want_features(const struct sto_device *device, struct feature_chain *f)
{
    const struct sto_device_snapshot *s = &device->snapshot;
    const struct sto_device_plan *p = &device->plan;
    f->base = (VkPhysicalDeviceFeatures2){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &f->v11};
    f->base.features.shaderInt64 = s->shader_int64;
    f->base.features.shaderInt16 = s->shader_int16;
    f->v11 = (VkPhysicalDeviceVulkan11Features){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                                .pNext = &f->v12,
                                                .storageBuffer16BitAccess = s->storage_16bit};
    f->v12 = (VkPhysicalDeviceVulkan12Features){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                                .pNext = &f->v13,
                                                .storageBuffer8BitAccess = s->storage_8bit,
                                                .shaderFloat16 = p->use_f16,
                                                .shaderInt8 = s->shader_int8,
                                                .scalarBlockLayout = s->scalar_block_layout,
                                                .timelineSemaphore = s->timeline_semaphore,
                                                .bufferDeviceAddress = s->buffer_device_address,
                                                .vulkanMemoryModel = s->vulkan_memory_model,
                                                .vulkanMemoryModelDeviceScope = s->vulkan_memory_model,
                                                .hostQueryReset = s->host_query_reset};
    f->v13 = (VkPhysicalDeviceVulkan13Features){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES,
                                                .subgroupSizeControl = s->subgroup_size_control,
                                                .computeFullSubgroups = s->full_subgroups,
                                                .synchronization2 = s->synchronization2,
                                                .shaderIntegerDotProduct = p->use_int_dot,
                                                .maintenance4 = s->maintenance4};
    if (p->use_memory_priority) {
        f->priority = (VkPhysicalDeviceMemoryPriorityFeaturesEXT){
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PRIORITY_FEATURES_EXT, .memoryPriority = VK_TRUE};
        chain(f, &f->priority);
    }
    if (s->ext_pipeline_executable_properties) {
        f->executable = (VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR){
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
            .pipelineExecutableInfo = VK_TRUE};
        chain(f, &f->executable);
    }
#ifdef VK_KHR_cooperative_matrix
    if (p->use_coopmat) {
        f->coopmat = (VkPhysicalDeviceCooperativeMatrixFeaturesKHR){
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, .cooperativeMatrix = VK_TRUE};
        chain(f, &f->coopmat);
    }
#endif
}

static enum sto_status create_handle(struct sto_device *device, struct sto_error *err)
{
    const struct sto_device_snapshot *s = &device->snapshot;
    const struct {
        bool wanted;
        const char *name;
    } known[] = {
        {device->plan.use_memory_budget, "VK_EXT_memory_budget"},
        {device->plan.use_memory_priority, "VK_EXT_memory_priority"},
        {s->ext_pipeline_executable_properties, "VK_KHR_pipeline_executable_properties"},
        {s->ext_calibrated_timestamps, "VK_EXT_calibrated_timestamps"},
        {s->ext_external_memory_host, "VK_EXT_external_memory_host"},
        {s->ext_portability_subset, "VK_KHR_portability_subset"},
#ifdef VK_KHR_cooperative_matrix
        {device->plan.use_coopmat, "VK_KHR_cooperative_matrix"},
#endif
    };
    const char *extensions[sizeof known / sizeof *known];
    uint32_t n_extensions = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].wanted)
            extensions[n_extensions++] = known[i].name;
    }
    struct feature_chain features;
    want_features(device, &features);
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queues[] = {{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                               .queueFamilyIndex = device->plan.compute_family,
                                               .queueCount = 1,
                                               .pQueuePriorities = &priority},
                                              {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                               .queueFamilyIndex = device->plan.transfer_family,
                                               .queueCount = 1,
                                               .pQueuePriorities = &priority}};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = &features.base,
                                     .queueCreateInfoCount = device->plan.has_transfer_queue ? 2 : 1,
                                     .pQueueCreateInfos = queues,
                                     .enabledExtensionCount = n_extensions,
                                     .ppEnabledExtensionNames = extensions};
    const VkResult result = vkCreateDevice(device->physical, &info, NULL, &device->handle);
    if (result != VK_SUCCESS)
        return sto_vk_fail(err, result, device->snapshot.name);
    volkLoadDeviceTable(&device->vk, device->handle);
    return STO_OK;
}

enum sto_status sto_device_open(const struct sto_device_params *params, const struct sto_callbacks *callbacks,
                                struct sto_device **out, struct sto_error *err)
{
    static const struct sto_device_params defaults;
    const struct sto_device_params *p = params != NULL ? params : &defaults;
    *out = NULL;
    struct sto_device *device = sto_calloc(1, sizeof *device);
    if (device == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for the device");
    if (callbacks != NULL)
        device->callbacks = *callbacks;
    enum sto_status status = STO_OK;
    device->lock = sto_mutex_create();
    if (device->lock == NULL) {
        status = sto_fail(err, STO_ERR_NO_FIT, "out of memory for the device");
        goto fail;
    }
    if ((status = sto_instance_create(p->validation, callbacks, &device->instance, err)) != STO_OK ||
        (status = choose_and_plan(device, p, err)) != STO_OK)
        goto fail;
    read_findings(device, p);
    if ((status = create_handle(device, err)) != STO_OK ||
        (status = sto_simulated_create(device, p, err)) != STO_OK ||
        (status = sto_queue_create(device, err)) != STO_OK || (status = sto_pipelines_create(device, err)) != STO_OK)
        goto fail;
    *out = device;
    return STO_OK;
fail:
    sto_device_close(device);
    return status;
}

void sto_device_close(struct sto_device *device)
{
    if (device == NULL)
        return;
    if (device->handle != VK_NULL_HANDLE) {
        if (device->last_ticket > 0)
            (void)sto_device_wait(device, device->last_ticket, NULL);
        sto_pipelines_destroy(device);
        sto_memory_destroy(device);
        sto_queue_destroy(device);
        sto_simulated_destroy(device);
        device->vk.vkDestroyDevice(device->handle, NULL);
    }
    sto_instance_destroy(device->instance);
    sto_mutex_destroy(device->lock);
    sto_free(device);
}

enum sto_status sto_device_fail(struct sto_device *device, struct sto_error *err, VkResult result, const char *what)
{
    if (result == VK_ERROR_DEVICE_LOST)
        device->lost = true;
    return sto_vk_fail(err, result, what);
}

/* ---- what was found out about it ---- */

const struct sto_findings *sto_device_get_findings(const struct sto_device *device)
{
    return &device->findings;
}

bool sto_device_wants_self_test(const struct sto_device *device)
{
    return device->self_test;
}

void sto_device_learn(struct sto_device *device, const struct sto_findings *findings)
{
    struct sto_device_plan plan = device->plan;
    struct sto_error err;
    sto_findings_apply(findings, &device->snapshot, &plan);
    memcpy(plan.tuning, device->plan.tuning, sizeof plan.tuning); /* pipelines were made with these */
    device->plan = plan;
    if (findings != &device->findings)
        device->findings = *findings;
    if (sto_findings_save(findings, &device->snapshot, &device->plan, device->cache_dir, &err) != STO_OK)
        sto_log(&device->callbacks, STO_LOG_WARNING, "what was found out about the device is not kept: %s",
                err.message);
}

/* ---- what it is ---- */

const char *sto_device_name(const struct sto_device *device)
{
    return device->snapshot.name;
}

const struct sto_device_snapshot *sto_device_get_snapshot(const struct sto_device *device)
{
    return &device->snapshot;
}

const struct sto_device_plan *sto_device_get_plan(const struct sto_device *device)
{
    return &device->plan;
}

const struct sto_callbacks *sto_device_get_callbacks(const struct sto_device *device)
{
    return &device->callbacks;
}

uint32_t sto_device_validation_errors(const struct sto_device *device)
{
    return atomic_load_explicit(&device->instance->validation_errors, memory_order_relaxed);
}

bool sto_device_validates(const struct sto_device *device)
{
    return device->instance->messenger != VK_NULL_HANDLE;
}

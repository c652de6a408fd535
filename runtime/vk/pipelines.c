/* Compute pipelines: one layout for all (128 bytes of push constants, no descriptor sets), made on demand or ahead on
 * several threads, and a VkPipelineCache kept on disk per device and driver.
 *
 * The file is ours around the driver's bytes: drivers have crashed on damaged data, so a checksum is tested first. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/cursor.h"
#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/vk/device_impl.h"

enum { MAX_CACHE_BYTES = 256 << 20, FILE_HEADER_BYTES = 24, DRIVER_HEADER_BYTES = 32, MAX_THREADS = 8 };
static const char magic[8] = {'S', 'T', 'O', 'P', 'C', '0', '0', '1'};

/* ---- the cache on disk ---- */

/* Points path at the cache file of this device and driver; "" when there is no folder for it. */
static void cache_file(const struct sto_device_snapshot *s, const char *dir, char *path, size_t size)
{
    path[0] = '\0';
    if (dir[0] == '\0')
        return;
    char uuid[33];
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(uuid + 2 * i, 3, "%02x", s->pipeline_cache_uuid[i]);
    const int n = snprintf(path, size, "%s/pipelines-%04x-%04x-%s.bin", dir, (unsigned)s->vendor_id,
                           (unsigned)s->device_id, uuid);
    if (n < 0 || (size_t)n >= size)
        path[0] = '\0';
}

/* The driver's bytes in a cache file; NULL when the file is damaged or another driver's. */
static const uint8_t *check_cache(const struct sto_device_snapshot *s, const char *data, size_t size, size_t *out_size)
{
    struct sto_cursor c = sto_cursor_make(data, size);
    const uint8_t *m = sto_cursor_take(&c, sizeof magic);
    const uint64_t bytes = sto_cursor_u64(&c);
    const uint64_t sum = sto_cursor_u64(&c);
    if (c.failed || memcmp(m, magic, sizeof magic) != 0 || bytes != sto_cursor_left(&c))
        return NULL;
    const uint8_t *driver = c.data + c.pos;
    if (sto_hash_bytes(STO_HASH_BASIS, driver, (size_t)bytes) != sum)
        return NULL;
    const uint32_t header_bytes = sto_cursor_u32(&c), version = sto_cursor_u32(&c);
    const uint32_t vendor = sto_cursor_u32(&c), id = sto_cursor_u32(&c);
    const uint8_t *uuid = sto_cursor_take(&c, VK_UUID_SIZE);
    if (c.failed || header_bytes < DRIVER_HEADER_BYTES || version != VK_PIPELINE_CACHE_HEADER_VERSION_ONE ||
        vendor != s->vendor_id || id != s->device_id || memcmp(uuid, s->pipeline_cache_uuid, VK_UUID_SIZE) != 0)
        return NULL;
    *out_size = (size_t)bytes;
    return driver;
}

static enum sto_status create_cache(struct sto_device *device, struct sto_error *err)
{
    char *file = NULL;
    size_t file_bytes = 0, driver_bytes = 0;
    const uint8_t *driver = NULL;
    struct sto_error problem;
    if (device->cache_path[0] != '\0' && sto_file_exists(device->cache_path)) {
        if (sto_file_read(device->cache_path, MAX_CACHE_BYTES, &file, &file_bytes, &problem) != STO_OK) {
            sto_log(&device->callbacks, STO_LOG_WARNING, "pipeline cache not read: %s", problem.message);
        } else {
            driver = check_cache(&device->snapshot, file, file_bytes, &driver_bytes);
            if (driver == NULL)
                sto_log(&device->callbacks, STO_LOG_WARNING, "pipeline cache %s is damaged: it is made anew",
                        device->cache_path);
        }
    }
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                      .initialDataSize = driver != NULL ? driver_bytes : 0,
                                      .pInitialData = driver};
    VkResult result = device->vk.vkCreatePipelineCache(device->handle, &info, NULL, &device->cache);
    if (result != VK_SUCCESS && driver != NULL) {
        driver = NULL;
        info.initialDataSize = 0;
        info.pInitialData = NULL;
        result = device->vk.vkCreatePipelineCache(device->handle, &info, NULL, &device->cache);
    }
    if (driver != NULL) {
        device->cache_loaded_sum = sto_hash_bytes(STO_HASH_BASIS, driver, driver_bytes);
        sto_log(&device->callbacks, STO_LOG_DEBUG, "pipeline cache: %zu bytes from %s", driver_bytes,
                device->cache_path);
    }
    sto_free(file);
    return result == VK_SUCCESS ? STO_OK : sto_device_fail(device, err, result, "creating a pipeline cache");
}

/* A cache that cannot be written costs time at the next start, never more: a warning. */
static void save_cache(struct sto_device *device)
{
    size_t bytes = 0;
    if (device->cache == VK_NULL_HANDLE || device->cache_path[0] == '\0' || device->lost || device->n_made == 0 ||
        device->vk.vkGetPipelineCacheData(device->handle, device->cache, &bytes, NULL) != VK_SUCCESS ||
        bytes < DRIVER_HEADER_BYTES || bytes > MAX_CACHE_BYTES - FILE_HEADER_BYTES)
        return;
    uint8_t *data = sto_calloc(bytes + FILE_HEADER_BYTES, 1);
    /* Some drivers (lavapipe of Mesa 26.2) announce more than they then give: a header cut short is worth nothing. */
    if (data == NULL || device->vk.vkGetPipelineCacheData(device->handle, device->cache, &bytes,
                                                          data + FILE_HEADER_BYTES) != VK_SUCCESS ||
        bytes < DRIVER_HEADER_BYTES)
        goto done;
    const uint64_t sum = sto_hash_bytes(STO_HASH_BASIS, data + FILE_HEADER_BYTES, bytes);
    if (sum == device->cache_loaded_sum)
        goto done;
    memcpy(data, magic, sizeof magic);
    for (size_t i = 0; i < 8; i++) {
        data[8 + i] = (uint8_t)((uint64_t)bytes >> (8 * i));
        data[16 + i] = (uint8_t)(sum >> (8 * i));
    }
    char folder[sizeof device->cache_path];
    (void)snprintf(folder, sizeof folder, "%s", device->cache_path);
    *strrchr(folder, '/') = '\0';
    struct sto_error problem;
    if (sto_make_dirs(folder, &problem) != STO_OK ||
        sto_file_write_atomic(device->cache_path, data, bytes + FILE_HEADER_BYTES, &problem) != STO_OK)
        sto_log(&device->callbacks, STO_LOG_WARNING, "pipeline cache not kept: %s", problem.message);
done:
    sto_free(data);
}

/* ---- creation and destruction ---- */

enum sto_status sto_pipelines_create(struct sto_device *device, struct sto_error *err)
{
    const VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = 128};
    const VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                             .pushConstantRangeCount = 1,
                                             .pPushConstantRanges = &range};
    const VkResult result = device->vk.vkCreatePipelineLayout(device->handle, &info, NULL, &device->layout);
    if (result != VK_SUCCESS)
        return sto_device_fail(device, err, result, "creating a pipeline layout");
    cache_file(&device->snapshot, device->cache_dir, device->cache_path, sizeof device->cache_path);
    return create_cache(device, err);
}

void sto_pipelines_destroy(struct sto_device *device)
{
    save_cache(device);
    for (uint32_t i = 0; i < STO_KERNEL_COUNT; i++)
        device->vk.vkDestroyPipeline(device->handle, device->pipelines[i], NULL);
    for (uint32_t i = 0; i < device->n_tuned; i++)
        device->vk.vkDestroyPipeline(device->handle, device->tuned[i].handle, NULL);
    sto_free(device->tuned);
    if (device->cache != VK_NULL_HANDLE)
        device->vk.vkDestroyPipelineCache(device->handle, device->cache, NULL);
    if (device->layout != VK_NULL_HANDLE)
        device->vk.vkDestroyPipelineLayout(device->handle, device->layout, NULL);
}

/* ---- pipelines ---- */

enum sto_status sto_pipeline_make(struct sto_device *device, enum sto_kernel kernel, const struct sto_tuning *tuning,
                                  VkPipelineCreateFlags flags, VkPipeline *out, struct sto_error *err)
{
    const struct sto_kernel_info *info = sto_kernel_get(kernel);
    const struct sto_tuning *t = tuning != NULL ? tuning : &device->plan.tuning[kernel];
    *out = VK_NULL_HANDLE;
    if (info->spirv == NULL)
        return sto_fail(err, STO_ERR_FAILED, "kernel %s is not in this build: its shader compiler is too old",
                        info->name);
    if (!device->plan.usable[kernel])
        return sto_fail(err, STO_ERR_FAILED, "kernel %s needs what %s does not have", info->name,
                        device->snapshot.name);

    const VkShaderModuleCreateInfo module_info = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                                  .codeSize = *info->spirv_bytes,
                                                  .pCode = info->spirv};
    VkShaderModule module = VK_NULL_HANDLE;
    VkResult result = device->vk.vkCreateShaderModule(device->handle, &module_info, NULL, &module);
    if (result != VK_SUCCESS)
        return sto_device_fail(device, err, result, info->name);

    VkSpecializationMapEntry entries[STO_MAX_TUNING];
    for (uint32_t i = 0; i < t->n_values; i++)
        entries[i] = (VkSpecializationMapEntry){.constantID = i, .offset = 4 * i, .size = 4};
    const VkSpecializationInfo constants = {
        .mapEntryCount = t->n_values, .pMapEntries = entries, .dataSize = 4 * (size_t)t->n_values, .pData = t->values};
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = t->required_subgroup_size};
    VkPipelineShaderStageCreateInfo stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                             .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                             .module = module,
                                             .pName = "main",
                                             .pSpecializationInfo = &constants};
    if (t->required_subgroup_size != 0) {
        stage.pNext = &subgroup;
        if (device->snapshot.full_subgroups && t->values[0] % t->required_subgroup_size == 0)
            stage.flags |= VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
    }
    const VkComputePipelineCreateInfo create = {.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                                .flags = flags,
                                                .stage = stage,
                                                .layout = device->layout};
    result = device->vk.vkCreateComputePipelines(device->handle, device->cache, 1, &create, NULL, out);
    device->vk.vkDestroyShaderModule(device->handle, module, NULL);
    if (result != VK_SUCCESS)
        return sto_device_fail(device, err, result, info->name);
    return STO_OK;
}

static bool same_tuning(const struct sto_tuning *a, const struct sto_tuning *b)
{
    return a->n_values == b->n_values && a->required_subgroup_size == b->required_subgroup_size &&
           memcmp(a->values, b->values, a->n_values * sizeof *a->values) == 0;
}

/* Where a pipeline is kept; NULL when it is not there. The lock is held. */
static VkPipeline find_pipeline(const struct sto_device *device, enum sto_kernel kernel,
                                const struct sto_tuning *tuning)
{
    if (tuning == NULL)
        return device->pipelines[kernel];
    for (uint32_t i = 0; i < device->n_tuned; i++) {
        if (device->tuned[i].kernel == kernel && same_tuning(&device->tuned[i].tuning, tuning))
            return device->tuned[i].handle;
    }
    return VK_NULL_HANDLE;
}

/* Keeps a pipeline; false when there is no memory. The lock is held. */
static bool keep_pipeline(struct sto_device *device, enum sto_kernel kernel, const struct sto_tuning *tuning,
                          VkPipeline p)
{
    if (tuning == NULL) {
        device->pipelines[kernel] = p;
        return true;
    }
    if (device->n_tuned == device->cap_tuned) {
        const uint32_t cap = device->cap_tuned > 0 ? 2 * device->cap_tuned : 16;
        struct sto_tuned_pipeline *more = sto_realloc(device->tuned, cap, sizeof *more);
        if (more == NULL)
            return false;
        device->tuned = more;
        device->cap_tuned = cap;
    }
    device->tuned[device->n_tuned++] = (struct sto_tuned_pipeline){kernel, *tuning, p};
    return true;
}

enum sto_status sto_pipeline_get(struct sto_device *device, enum sto_kernel kernel, const struct sto_tuning *tuning,
                                 VkPipeline *out, struct sto_error *err)
{
    if (tuning != NULL && same_tuning(tuning, &device->plan.tuning[kernel]))
        tuning = NULL;
    sto_mutex_lock(device->lock);
    *out = find_pipeline(device, kernel, tuning);
    sto_mutex_unlock(device->lock);
    if (*out != VK_NULL_HANDLE)
        return STO_OK;
    /* Compiled without the lock, so that threads compile side by side; if two made the same one, the first stays. */
    VkPipeline made = VK_NULL_HANDLE;
    const enum sto_status status = sto_pipeline_make(device, kernel, tuning, 0, &made, err);
    if (status != STO_OK)
        return status;
    sto_mutex_lock(device->lock);
    *out = find_pipeline(device, kernel, tuning);
    bool kept = *out == VK_NULL_HANDLE && keep_pipeline(device, kernel, tuning, made);
    if (kept) {
        *out = made;
        device->n_made++;
    }
    sto_mutex_unlock(device->lock);
    if (!kept)
        device->vk.vkDestroyPipeline(device->handle, made, NULL);
    return *out != VK_NULL_HANDLE ? STO_OK : sto_fail(err, STO_ERR_NO_FIT, "out of memory for a pipeline");
}

/* ---- ahead of use ---- */

struct preparation {
    struct sto_device *device;
    const enum sto_kernel *kernels;
    uint32_t n;
    atomic_uint next, done;
    atomic_bool stop;
    struct sto_mutex *lock;
    enum sto_status status; /* first failure; guarded by lock */
    struct sto_error error;
};

/* Takes the next kernel and compiles it; false when there is none left. */
static bool prepare_one(struct preparation *p)
{
    const uint32_t i = atomic_fetch_add(&p->next, 1);
    if (i >= p->n || atomic_load(&p->stop))
        return false;
    VkPipeline pipeline;
    struct sto_error err;
    const enum sto_status status = sto_pipeline_get(p->device, p->kernels[i], NULL, &pipeline, &err);
    if (status != STO_OK) {
        sto_mutex_lock(p->lock);
        if (p->status == STO_OK) {
            p->status = status;
            p->error = err;
        }
        sto_mutex_unlock(p->lock);
        atomic_store(&p->stop, true);
    }
    atomic_fetch_add(&p->done, 1);
    return true;
}

static void prepare_all(void *arg)
{
    while (prepare_one(arg)) {
    }
}

enum sto_status sto_device_prepare(struct sto_device *device, const enum sto_kernel *kernels, uint32_t n,
                                   struct sto_error *err)
{
    if (!sto_device_runs(device))
        return STO_OK;
    struct preparation p = {.device = device, .kernels = kernels, .n = n, .lock = sto_mutex_create()};
    if (p.lock == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for preparing kernels");
    struct sto_thread *threads[MAX_THREADS] = {NULL};
    for (uint32_t i = 0; i + 1 < MAX_THREADS && i + 1 < n && i + 1 < sto_cpu_count(); i++)
        threads[i] = sto_thread_start(prepare_all, &p);
    bool cancelled = false;
    while (!cancelled && prepare_one(&p)) {
        cancelled = sto_progress(&device->callbacks, "kernels", atomic_load(&p.done), n);
        if (cancelled)
            atomic_store(&p.stop, true);
    }
    for (uint32_t i = 0; i < MAX_THREADS; i++)
        sto_thread_join(threads[i]);
    sto_mutex_destroy(p.lock);
    if (p.status != STO_OK)
        return sto_fail(err, p.status, "%s", p.error.message);
    if (cancelled)
        return sto_fail(err, STO_ERR_CANCELLED, "cancelled while making kernels");
    (void)sto_progress(&device->callbacks, "kernels", n, n);
    return STO_OK;
}

/* Timeline semaphores under a name of our own. */
#include "runtime/vk/timeline.h"

#include "runtime/base/mem.h"
#include "runtime/vk/recorder_impl.h"

enum sto_status sto_timeline_create(struct sto_device *device, struct sto_timeline **out, struct sto_error *err)
{
    *out = NULL;
    struct sto_timeline *timeline = sto_calloc(1, sizeof *timeline);
    if (timeline == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for a timeline");
    timeline->device = device;
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    const VkResult result = device->vk.vkCreateSemaphore(device->handle, &info, NULL, &timeline->handle);
    if (result != VK_SUCCESS) {
        sto_free(timeline);
        return sto_device_fail(device, err, result, "creating a timeline");
    }
    *out = timeline;
    return STO_OK;
}

void sto_timeline_destroy(struct sto_timeline *timeline)
{
    if (timeline == NULL)
        return;
    timeline->device->vk.vkDestroySemaphore(timeline->device->handle, timeline->handle, NULL);
    sto_free(timeline);
}

enum sto_status sto_timeline_signal(struct sto_timeline *timeline, uint64_t value, struct sto_error *err)
{
    struct sto_device *device = timeline->device;
    const VkSemaphoreSignalInfo info = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, .semaphore = timeline->handle, .value = value};
    const VkResult result = device->vk.vkSignalSemaphore(device->handle, &info);
    return result == VK_SUCCESS ? STO_OK : sto_device_fail(device, err, result, "signalling a timeline");
}

enum sto_status sto_timeline_wait(struct sto_timeline *timeline, uint64_t value, struct sto_error *err)
{
    struct sto_device *device = timeline->device;
    const VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                      .semaphoreCount = 1,
                                      .pSemaphores = &timeline->handle,
                                      .pValues = &value};
    const VkResult result = device->vk.vkWaitSemaphores(device->handle, &info, UINT64_MAX);
    return result == VK_SUCCESS ? STO_OK : sto_device_fail(device, err, result, "waiting for a timeline");
}

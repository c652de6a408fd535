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
    const VkResult result = sto_semaphore_create(device, &timeline->handle);
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
    sto_semaphore_destroy(timeline->device, timeline->handle);
    sto_free(timeline);
}

enum sto_status sto_timeline_signal(struct sto_timeline *timeline, uint64_t value, struct sto_error *err)
{
    struct sto_device *device = timeline->device;
    const VkResult result = sto_semaphore_signal(device, timeline->handle, value);
    return result == VK_SUCCESS ? STO_OK : sto_device_fail(device, err, result, "signalling a timeline");
}

enum sto_status sto_timeline_wait(struct sto_timeline *timeline, uint64_t value, struct sto_error *err)
{
    struct sto_device *device = timeline->device;
    const VkResult result = sto_semaphore_wait(device, timeline->handle, value);
    return result == VK_SUCCESS ? STO_OK : sto_device_fail(device, err, result, "waiting for a timeline");
}

/* The Vulkan instance: loader, validation layer, physical devices. Internal to runtime/vk. */
#ifndef STO_VK_INSTANCE_H
#define STO_VK_INSTANCE_H

#include <stdatomic.h>

#include <volk.h>

#include "runtime/vk/snapshot.h"

struct sto_instance {
    VkInstance handle;
    struct sto_callbacks callbacks;
    VkDebugUtilsMessengerEXT messenger;
    PFN_vkDestroyDebugUtilsMessengerEXT destroy_messenger;
    atomic_uint validation_errors;
    VkPhysicalDevice *physical; /* [n_physical] in Vulkan's order */
    uint32_t n_physical;
};

/* validation: with the Khronos layer where it is installed, else a warning. No loader, driver or device:
 * STO_ERR_NO_DEVICE, with how to get one. Several instances may exist at once, made from any thread. */
enum sto_status sto_instance_create(bool validation, const struct sto_callbacks *callbacks, struct sto_instance **out,
                                    struct sto_error *err);
void sto_instance_destroy(struct sto_instance *instance); /* accepts NULL and half-built ones */

/* "VK_ERROR_OUT_OF_HOST_MEMORY"; static storage. */
const char *sto_vk_result_name(VkResult result);
/* The status that belongs to a VkResult, and "what: VK_ERROR_..." as the message. result is an error. */
enum sto_status sto_vk_fail(struct sto_error *err, VkResult result, const char *what);

/* Fills a snapshot from a physical device (snapshot_vk.c). */
void sto_snapshot_take(VkPhysicalDevice physical, struct sto_device_snapshot *out);

#endif

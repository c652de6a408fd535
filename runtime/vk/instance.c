/* The Vulkan instance. volk's instance functions are process-wide; they are the loader's trampolines, which serve
 * every instance, so the first instance loads them for all. Device functions are kept per device (device_impl.h). */
#include "runtime/vk/instance.h"

#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"

static const char no_driver[] = "install a Vulkan driver: your GPU vendor's, or mesa-vulkan-drivers, which also brings "
                                "one for the CPU";

/* ---- the loader ---- */

static atomic_flag loader_lock = ATOMIC_FLAG_INIT;
static bool loader_ready, functions_ready; /* guarded by loader_lock, set once */

static void lock_loader(void)
{
    while (atomic_flag_test_and_set_explicit(&loader_lock, memory_order_acquire)) {
    }
}

static void unlock_loader(void)
{
    atomic_flag_clear_explicit(&loader_lock, memory_order_release);
}

static enum sto_status load_loader(struct sto_error *err)
{
    lock_loader();
    if (!loader_ready)
        loader_ready = volkInitialize() == VK_SUCCESS;
    const bool ready = loader_ready;
    unlock_loader();
    if (!ready)
        return sto_fail(err, STO_ERR_NO_DEVICE, "no Vulkan loader (package libvulkan1); %s", no_driver);
    return STO_OK;
}

static void load_functions(VkInstance instance)
{
    lock_loader();
    if (!functions_ready) {
        volkLoadInstanceOnly(instance);
        functions_ready = true;
    }
    unlock_loader();
}

/* ---- errors ---- */

const char *sto_vk_result_name(VkResult result)
{
    switch (result) {
    case VK_SUCCESS: return "VK_SUCCESS";
    case VK_NOT_READY: return "VK_NOT_READY";
    case VK_TIMEOUT: return "VK_TIMEOUT";
    case VK_INCOMPLETE: return "VK_INCOMPLETE";
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED: return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS: return "VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS";
    case VK_ERROR_INVALID_EXTERNAL_HANDLE: return "VK_ERROR_INVALID_EXTERNAL_HANDLE";
    case VK_ERROR_INVALID_SHADER_NV: return "VK_ERROR_INVALID_SHADER_NV";
    case VK_ERROR_UNKNOWN: return "VK_ERROR_UNKNOWN";
    default: return "an unnamed VkResult";
    }
}

enum sto_status sto_vk_fail(struct sto_error *err, VkResult result, const char *what)
{
    switch (result) {
    case VK_ERROR_DEVICE_LOST:
        return sto_fail(err, STO_ERR_DEVICE_LOST, "%s: the Vulkan device was lost", what);
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return sto_fail(err, STO_ERR_NO_FIT, "%s: the device is out of memory", what);
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return sto_fail(err, STO_ERR_NO_FIT, "%s: the Vulkan driver is out of host memory", what);
    default:
        return sto_fail(err, STO_ERR_FAILED, "%s: %s (%d)", what, sto_vk_result_name(result), (int)result);
    }
}

/* ---- validation ---- */

/* Threads that wait for timelines and signal them at once can make a layer lose count (1.3.239 does); it notices, gives
 * up after ten seconds, and says of itself that this is most likely a bug in validation. */
static bool is_of_the_layer(const VkDebugUtilsMessengerCallbackDataEXT *data)
{
    return data->pMessageIdName != NULL && strcmp(data->pMessageIdName, "UNASSIGNED-VkSemaphore-state-timeout") == 0;
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    struct sto_instance *instance = user;
    const char *text = data->pMessage != NULL ? data->pMessage : "";
    const bool validation = (types & VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT) != 0;
    if (severity >= VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT && validation && !is_of_the_layer(data)) {
        atomic_fetch_add_explicit(&instance->validation_errors, 1, memory_order_relaxed);
        sto_log(&instance->callbacks, STO_LOG_ERROR, "vulkan: %s", text);
    } else if (severity >= VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) {
        /* The loader complaining of a driver that it could not load, too: not ours to answer for. */
        sto_log(&instance->callbacks, STO_LOG_WARNING, "vulkan: %s", text);
    } else {
        sto_log(&instance->callbacks, STO_LOG_DEBUG, "vulkan: %s", text);
    }
    return VK_FALSE;
}

static VkDebugUtilsMessengerCreateInfoEXT messenger_info(struct sto_instance *instance)
{
    return (VkDebugUtilsMessengerCreateInfoEXT){
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = instance,
    };
}

static bool has_layer(const char *name)
{
    uint32_t n = 0;
    if (vkEnumerateInstanceLayerProperties(&n, NULL) != VK_SUCCESS || n == 0)
        return false;
    VkLayerProperties *layers = sto_calloc(n, sizeof *layers);
    bool found = false;
    if (layers != NULL && vkEnumerateInstanceLayerProperties(&n, layers) >= VK_SUCCESS) {
        for (uint32_t i = 0; i < n; i++)
            found = found || strcmp(layers[i].layerName, name) == 0;
    }
    sto_free(layers);
    return found;
}

static bool has_instance_extension(const char *layer, const char *name)
{
    uint32_t n = 0;
    if (vkEnumerateInstanceExtensionProperties(layer, &n, NULL) != VK_SUCCESS || n == 0)
        return false;
    VkExtensionProperties *properties = sto_calloc(n, sizeof *properties);
    bool found = false;
    if (properties != NULL && vkEnumerateInstanceExtensionProperties(layer, &n, properties) >= VK_SUCCESS) {
        for (uint32_t i = 0; i < n; i++)
            found = found || strcmp(properties[i].extensionName, name) == 0;
    }
    sto_free(properties);
    return found;
}

/* ---- creation ---- */

static enum sto_status create_handle(struct sto_instance *instance, bool validation, struct sto_error *err)
{
    static const char layer[] = "VK_LAYER_KHRONOS_validation";
    const char *layers[1];
    const char *extensions[3];
    VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(instance);
    static const VkValidationFeatureEnableEXT checks[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = checks,
    };
    const VkApplicationInfo app = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "strato",
        .pEngineName = "strato",
        .apiVersion = VK_API_VERSION_1_3,
    };
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &app,
        .ppEnabledLayerNames = layers,
        .ppEnabledExtensionNames = extensions,
    };
    if (validation && !has_layer(layer)) {
        sto_log(&instance->callbacks, STO_LOG_WARNING,
                "validation was asked for, but %s is not installed (package vulkan-validationlayers)", layer);
        validation = false;
    }
    if (validation) {
        layers[info.enabledLayerCount++] = layer;
        if (has_instance_extension(layer, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME)) {
            extensions[info.enabledExtensionCount++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME;
            messenger.pNext = &features;
        }
        extensions[info.enabledExtensionCount++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
        info.pNext = &messenger;
    }
    if (has_instance_extension(NULL, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) {
        extensions[info.enabledExtensionCount++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
        info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
    const VkResult result = vkCreateInstance(&info, NULL, &instance->handle);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER || result == VK_ERROR_INITIALIZATION_FAILED)
        return sto_fail(err, STO_ERR_NO_DEVICE, "there is no Vulkan driver; %s", no_driver);
    if (result != VK_SUCCESS)
        return sto_vk_fail(err, result, "creating a Vulkan instance");
    load_functions(instance->handle);

    PFN_vkCreateDebugUtilsMessengerEXT create = NULL;
    if (validation)
        create = (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(instance->handle,
                                                                          "vkCreateDebugUtilsMessengerEXT");
    if (create != NULL) {
        instance->destroy_messenger = (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(
            instance->handle, "vkDestroyDebugUtilsMessengerEXT");
        const VkDebugUtilsMessengerCreateInfoEXT plain = messenger_info(instance);
        (void)create(instance->handle, &plain, NULL, &instance->messenger);
    }
    return STO_OK;
}

enum sto_status sto_instance_create(bool validation, const struct sto_callbacks *callbacks, struct sto_instance **out,
                                    struct sto_error *err)
{
    *out = NULL;
    enum sto_status status = load_loader(err);
    if (status != STO_OK)
        return status;
    struct sto_instance *instance = sto_calloc(1, sizeof *instance);
    if (instance == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for the Vulkan instance");
    if (callbacks != NULL)
        instance->callbacks = *callbacks;
    status = create_handle(instance, validation, err);
    if (status != STO_OK)
        goto fail;

    VkResult result = vkEnumeratePhysicalDevices(instance->handle, &instance->n_physical, NULL);
    if (result >= VK_SUCCESS && instance->n_physical > 0) {
        instance->physical = sto_calloc(instance->n_physical, sizeof *instance->physical);
        if (instance->physical == NULL) {
            status = sto_fail(err, STO_ERR_NO_FIT, "out of memory for the list of devices");
            goto fail;
        }
        result = vkEnumeratePhysicalDevices(instance->handle, &instance->n_physical, instance->physical);
    }
    if (result < VK_SUCCESS || instance->n_physical == 0) {
        status = sto_fail(err, STO_ERR_NO_DEVICE, "there is no Vulkan device; %s", no_driver);
        goto fail;
    }
    *out = instance;
    return STO_OK;
fail:
    sto_instance_destroy(instance);
    return status;
}

void sto_instance_destroy(struct sto_instance *instance)
{
    if (instance == NULL)
        return;
    if (instance->messenger != VK_NULL_HANDLE && instance->destroy_messenger != NULL)
        instance->destroy_messenger(instance->handle, instance->messenger, NULL);
    if (instance->handle != VK_NULL_HANDLE)
        vkDestroyInstance(instance->handle, NULL);
    sto_free(instance->physical);
    sto_free(instance);
}

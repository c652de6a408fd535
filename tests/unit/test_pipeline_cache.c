/* The pipeline cache's file where the driver's own data are not what they should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/os.h"
#include "runtime/vk/device_impl.h"

enum { ANNOUNCED = 36, GIVEN_SHORT = 20, HEADER = 32 };
static size_t given;

/* A driver that announces more than it gives. */
static VKAPI_ATTR VkResult VKAPI_CALL cache_data(VkDevice device, VkPipelineCache cache, size_t *size, void *data)
{
    (void)device;
    (void)cache;
    if (data == NULL) {
        *size = ANNOUNCED;
        return VK_SUCCESS;
    }
    *size = given;
    memset(data, 0, given);
    return VK_SUCCESS;
}

static void path_of(const struct sto_device_snapshot *s, const char *dir, char *path, size_t size)
{
    size_t at = (size_t)snprintf(path, size, "%s/pipelines-%04x-%04x-", dir, (unsigned)s->vendor_id,
                                 (unsigned)s->device_id);
    for (int i = 0; i < 16; i++)
        at += (size_t)snprintf(path + at, size - at, "%02x", s->pipeline_cache_uuid[i]);
    (void)snprintf(path + at, size - at, ".bin");
}

static void a_header_cut_short_is_not_kept(void **state)
{
    (void)state;
    struct sto_error err;
    char dir[128], path[512];
    (void)snprintf(dir, sizeof dir, "test_pipeline_cache.%llx", (unsigned long long)sto_wall_seed());
    const struct sto_device_params params = {.cache_dir = dir};
    for (int whole = 0; whole < 2; whole++) {
        struct sto_device *device;
        const enum sto_status status = sto_device_open(&params, NULL, &device, &err);
        if (status == STO_ERR_NO_DEVICE)
            skip();
        assert_int_equal(status, STO_OK);
        path_of(&device->snapshot, dir, path, sizeof path);
        const enum sto_kernel kernel = STO_KERNEL_probe;
        assert_int_equal(sto_device_prepare(device, &kernel, 1, &err), STO_OK);
        device->vk.vkGetPipelineCacheData = cache_data;
        given = whole ? HEADER : GIVEN_SHORT;
        sto_device_close(device);
        assert_true(sto_file_exists(path) == (whole == 1));
    }
    (void)remove(path);
    (void)remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_header_cut_short_is_not_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

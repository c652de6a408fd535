/* libFuzzer: any bytes as a file of findings. What is read is applied to a plan, whose constants must stay possible,
 * and written again, which must read back. The input follows a good head, or stands alone when it begins with '!'. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/vk/findings.h"
#include "runtime/vk/tuning_space.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 1 << 17 };

/* A device that has all that is asked for. */
static struct sto_device_snapshot make_snapshot(void)
{
    struct sto_device_snapshot s = {
        .name = "fuzz", .kind = STO_DEVICE_DISCRETE, .vendor_id = 0x1002, .api_version = 1 << 22 | 3 << 12,
        .max_workgroup_invocations = 1024, .max_workgroup_size = {1024, 1024, 64}, .max_shared_bytes = 65536,
        .max_push_bytes = 128, .subgroup_size = 32, .min_subgroup_size = 32, .max_subgroup_size = 32,
        .subgroup_arithmetic = true, .subgroup_shuffle = true, .buffer_device_address = true,
        .timeline_semaphore = true, .synchronization2 = true, .maintenance4 = true, .shader_int64 = true,
        .shader_int16 = true, .shader_int8 = true, .shader_float16 = true, .storage_16bit = true, .storage_8bit = true,
        .int_dot_product = true, .n_heaps = 1, .n_memory_types = 1, .n_queue_families = 1,
    };
    s.heaps[0].bytes = UINT64_C(8) << 30;
    s.heaps[0].device_local = true;
    s.memory_types[0].device_local = s.memory_types[0].host_visible = s.memory_types[0].host_coherent = true;
    s.queue_families[0].count = 1;
    s.queue_families[0].compute = true;
    return s;
}

static void check(bool fine)
{
    if (!fine)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sto_findings findings, again;
    static char text[MOST];
    static struct sto_device_snapshot snapshot;
    static struct sto_device_plan plan;
    static struct sto_findings_owner owner;
    struct sto_error err;
    size_t head = 0;
    if (owner.plan == NULL) {
        snapshot = make_snapshot();
        check(sto_device_plan_make(&snapshot, NULL, &plan, &err) == STO_OK);
        owner = sto_findings_owner(&snapshot, &plan);
    }
    memset(&findings, 0, sizeof findings);
    if (size > MOST / 2)
        return 0;
    if (size == 0 || data[0] != '!') {
        head = sto_findings_print(&findings, &owner, text, sizeof text) - strlen("end\n");
    } else {
        data++;
        size--;
    }
    memcpy(text + head, data, size);
    if (sto_findings_parse("fuzz", text, head + size, &owner, &findings, &err) != STO_OK) {
        check(err.status != STO_OK && strncmp(err.message, "fuzz: ", 6) == 0);
        return 0;
    }
    struct sto_device_plan applied = plan;
    sto_findings_apply(&findings, &snapshot, &applied);
    for (uint32_t k = 0; k < STO_KERNEL_COUNT; k++) {
        const struct sto_tuning_input in = {&snapshot, &plan, sto_kernel_get((enum sto_kernel)k)};
        check(sto_tuning_possible(&in, &applied.tuning[k]));
    }
    const size_t n = sto_findings_print(&findings, &owner, text, sizeof text);
    check(n < sizeof text);
    check(sto_findings_parse("fuzz", text, n, &owner, &again, &err) == STO_OK);
    return 0;
}

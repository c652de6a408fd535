/* The queue's clock beside the host's, so that spans of both lie on one line.
 *
 * Where the driver compares the two (VK_EXT_calibrated_timestamps) it is asked; else the least time that was ever seen
 * between the end of work and the host's taking notice of it counts as none. */
#include "runtime/vk/device_impl.h"

static const uint64_t forget_ns = 10ull * 1000 * 1000 * 1000; /* clocks drift apart */

void sto_clock_create(struct sto_device *device)
{
    VkTimeDomainEXT domains[16];
    uint32_t n = sizeof domains / sizeof *domains;
    if (!device->snapshot.ext_calibrated_timestamps || device->vk.vkGetCalibratedTimestampsEXT == NULL ||
        vkGetPhysicalDeviceCalibrateableTimeDomainsEXT == NULL ||
        vkGetPhysicalDeviceCalibrateableTimeDomainsEXT(device->physical, &n, domains) < VK_SUCCESS)
        return;
    bool on_device = false, on_host = false;
    for (uint32_t i = 0; i < n; i++) {
        on_device = on_device || domains[i] == VK_TIME_DOMAIN_DEVICE_EXT;
        on_host = on_host || domains[i] == VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT; /* sto_now_ns, on POSIX */
    }
    device->clock.calibrated = on_device && on_host;
}

/* Nanoseconds from one reading to a later one; the counter may have begun anew between them. */
uint64_t sto_clock_between(const struct sto_device *device, uint64_t from, uint64_t to)
{
    const uint32_t bits = device->snapshot.queue_families[device->plan.compute_family].timestamp_bits;
    const uint64_t mask = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    return (uint64_t)((double)((to - from) & mask) * (double)device->snapshot.timestamp_period_ns);
}

uint64_t sto_clock_host_ns(const struct sto_device *device, uint64_t ticks)
{
    /* Readings lie before the comparison that followed them. */
    return device->clock.host_ns - sto_clock_between(device, ticks, device->clock.ticks);
}

void sto_clock_compare(struct sto_device *device, uint64_t end_ticks, uint64_t seen_ns)
{
    struct sto_clock *clock = &device->clock;
    const VkCalibratedTimestampInfoEXT infos[] = {
        {.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, .timeDomain = VK_TIME_DOMAIN_DEVICE_EXT},
        {.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, .timeDomain = VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT},
    };
    uint64_t both[2], deviation = 0;
    if (clock->calibrated &&
        device->vk.vkGetCalibratedTimestampsEXT(device->handle, 2, infos, both, &deviation) == VK_SUCCESS) {
        clock->ticks = both[0];
        clock->host_ns = both[1];
        return;
    }
    const uint64_t expected = clock->host_ns + sto_clock_between(device, clock->ticks, end_ticks);
    const bool old = clock->compared_ns == 0 || seen_ns - clock->compared_ns > forget_ns;
    if (old || seen_ns < expected)
        clock->compared_ns = seen_ns;
    clock->host_ns = old || seen_ns < expected ? seen_ns : expected;
    clock->ticks = end_ticks;
}

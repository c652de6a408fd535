/* Timelines: counters that the host and the device raise and wait for, beginning at 0 (Vulkan's timeline semaphores).
 * Where a recording waits and signals is said in recorder.h. */
#ifndef STO_VK_TIMELINE_H
#define STO_VK_TIMELINE_H

#include "runtime/vk/device.h"

struct sto_timeline;

enum sto_status sto_timeline_create(struct sto_device *device, struct sto_timeline **out, struct sto_error *err);
/* Accepts NULL. Nothing submitted may still wait for it or signal it. */
void sto_timeline_destroy(struct sto_timeline *timeline);

/* Raises it to value, which is more than it stands at. What the host wrote before is seen by what waits for it on the
 * device. Any thread. */
enum sto_status sto_timeline_signal(struct sto_timeline *timeline, uint64_t value, struct sto_error *err);
/* Waits until it has reached value. STO_ERR_DEVICE_LOST when it never will. Any thread. */
enum sto_status sto_timeline_wait(struct sto_timeline *timeline, uint64_t value, struct sto_error *err);

/* When what raised it to value ran, on a simulated device alone (sto_device_simulator); of the last 256 values. */
struct sto_span_ns;
bool sto_timeline_simulated_span(const struct sto_timeline *timeline, uint64_t value, struct sto_span_ns *out);

#endif

/* Probing: the rates of a machine and a device, measured once and kept with what else was found out about the device
 * (runtime/vk/findings.h), so that they hold for this device, driver and build.
 *
 *   device memory, link in both directions (pinned, and through staging), host memory alone and beside the link, a
 *   crossing between lanes; products of the weight formats that a model has, on the device and on the processor
 *
 * A glance: some tens of milliseconds for each, about a second in all; formats that are left after two are measured at
 * a later start. A machine at work gives less than it can: `strato tune --reset` forgets what was measured. The rate of
 * a disk belongs to a file and not to a device: it is measured apart, each time that a plan needs it. */
#ifndef STO_PROBE_H
#define STO_PROBE_H

#include "runtime/rates.h"

/* Fills in *out with what is known or measured now: product and compute, of both sides, are those of a model of
 * type_bytes [STO_TYPE_COUNT] in matrices of each format (NULL: none, and they stay 0). Measuring takes up to
 * STO_PROBE_BYTES of the device's memory for a moment: with less room_bytes, only what is known already is filled in.
 * The first time takes about a second (on CPU drivers longer: their compiler is slow); later ones nothing. A device
 * that was opened with
 * no_self_test, or without a cache folder, keeps nothing. Submits to the device's queue. STO_ERR_NO_FIT: no room. */
enum { STO_PROBE_BYTES = 512 << 20 };
enum sto_status sto_probe_rates(struct sto_device *device, const uint64_t *type_bytes, uint64_t room_bytes,
                                struct sto_rates *out, struct sto_error *err);

/* GB/s at which a model's weights are read from its file past the system's cache, as streamed layers are: reads up to
 * 256 MiB for about 0.3 s. 0: not known, since there is no file, only its header, or no memory. */
struct sto_model;
double sto_probe_disk(const struct sto_model *model);

#endif

/* The kernel self-test: before a model is used on a device for the first time, each kernel that its steps will use
 * answers a few odd shapes and is held against the reference (runtime/verify).
 *
 *   untested kernels of the list -> verify -> findings -> the plan chooses what takes their place -> again
 *
 * One that answers wrongly is set aside. On GPUs, in the time that is left, specialised kernels race against those that
 * they stand for, and 8-bit activations against float products; a CPU driver takes too long to compile for that, there
 * `strato tune` does it. What is not done when the time is over is done at a later start; results are kept per device,
 * driver and build. */
#ifndef STO_SELFTEST_H
#define STO_SELFTEST_H

#include "runtime/ops/ops.h"
#include "runtime/verify/verify.h"

struct sto_self_test {
    struct sto_device *device;
    const struct sto_ops *ops;  /* plan (the device's own), math and deterministic count            */
    const bool *types;          /* [STO_TYPE_COUNT] formats of the model's matrices                 */
    enum sto_type embd, kv_type;
    uint32_t budget_ms;         /* no test begins after this; 0: 2000                               */
    const struct sto_verify_source *sources; /* see sto_verify_params; for tests                    */
};

/* Tests, learns (sto_device_learn) and logs what was set aside as warnings. Submits to the device's queue. Fails when
 * the device does; a kernel that answers wrongly is no failure. */
enum sto_status sto_self_test(const struct sto_self_test *test, struct sto_error *err);

/* STO_ERR_NO_DEVICE when a kernel that the model needs is set aside and nothing can take its place: names it. */
enum sto_status sto_self_test_check(const struct sto_self_test *test, struct sto_error *err);

#endif

/* Memory bandwidth: whole buffers are read, copied and filled, in turns, and the fastest pass of each kind counts.
 *
 *   a (random bits) --read--> sums      a --copy--> b      fill --> b
 *
 * Turns rather than one kind after the other: clocks that are still rising favour none. */
#include "runtime/bandwidth.h"

#include <assert.h>
#include <stdlib.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/random_fill.h"
#include "shaders/shared/args.h"

static_assert(sizeof(struct ReadSumArgs) == 24 && sizeof(struct ProbeArgs) == 32, "pushed whole");

enum { READ, COPY, COPY_KERNEL, FILL, N_KINDS };
enum { MIN_PASSES = 2, MAX_PASSES = 40, MAX_GROUPS_X = 32768 };
static const uint64_t MEASURE_NS = 600000000, GLANCE_NS = 60000000; /* after this no further pass begins */

struct meter {
    struct sto_device *device;
    struct sto_buffer a, b, sums;
    uint64_t bytes;
    bool glance;
    struct sto_recording *recordings[N_KINDS];
    double best_ns[N_KINDS];
};

/* The processor's last cache, as Linux tells it; a usual size elsewhere. */
static uint64_t processor_cache_bytes(void)
{
    uint64_t bytes = UINT64_C(32) << 20;
    char *text = NULL;
    size_t size = 0;
    struct sto_error err;
    if (sto_file_read("/sys/devices/system/cpu/cpu0/cache/index3/size", 64, &text, &size, &err) == STO_OK) {
        const unsigned long long kib = strtoull(text, NULL, 10);
        if (kib > 0 && kib < 1 << 24)
            bytes = (uint64_t)kib << 10;
    }
    sto_free(text);
    return bytes;
}

static uint64_t choose_bytes(struct sto_device *device, bool glance)
{
    const struct sto_device_snapshot *s = sto_device_get_snapshot(device);
    const uint64_t limits[] = {sto_device_free_bytes(device) / 8, s->max_allocation_bytes, s->max_buffer_bytes};
    uint64_t bytes = s->kind == STO_DEVICE_CPU ? processor_cache_bytes() * 9 / 2 : UINT64_C(1) << 30;
    bytes = glance && bytes > UINT64_C(192) << 20 ? UINT64_C(192) << 20 : bytes;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        bytes = limits[i] < bytes ? limits[i] : bytes;
    return bytes & ~(uint64_t)((1 << 20) - 1);
}

static void record_kernel(struct meter *m, struct sto_recording *rec, enum sto_kernel kernel, const void *args,
                          uint64_t groups, const struct sto_use *uses, uint64_t bytes_moved)
{
    const uint32_t rows = (uint32_t)((groups + MAX_GROUPS_X - 1) / MAX_GROUPS_X);
    const struct sto_dispatch dispatch = {
        .kernel = kernel,
        .tuning = &sto_device_get_plan(m->device)->tuning[kernel],
        .args = args,
        .groups = {(uint32_t)((groups + rows - 1) / rows), rows, 1},
        .uses = uses,
        .n_uses = 2,
        .bytes_moved = bytes_moved,
    };
    sto_record_dispatch(rec, &dispatch);
}

static uint64_t bytes_per_read_group(const struct meter *m)
{
    const struct sto_tuning *t = &sto_device_get_plan(m->device)->tuning[STO_KERNEL_read_sum];
    return (uint64_t)t->values[0] * t->values[2] * 16;
}

static void record_pass(struct meter *m, int kind, struct sto_recording *rec)
{
    const struct sto_use uses[] = {{.address = m->a.address, .bytes = m->bytes, .access = STO_READ},
                                   {.address = m->b.address, .bytes = m->bytes, .access = STO_WRITE}};
    const struct sto_use sum_uses[] = {uses[0],
                                       {.address = m->sums.address, .bytes = m->sums.bytes, .access = STO_WRITE}};
    const struct ReadSumArgs read = {.x = m->a.address, .y = m->sums.address, .units = (uint32_t)(m->bytes / 16)};
    const struct ProbeArgs copy = {.x = m->a.address, .y = m->b.address, .n = (uint32_t)(m->bytes / 4), .factor = 1};
    const uint32_t workgroup = sto_device_get_plan(m->device)->tuning[STO_KERNEL_probe].values[0];
    switch (kind) {
    case READ:
        record_kernel(m, rec, STO_KERNEL_read_sum, &read,
                      (m->bytes + bytes_per_read_group(m) - 1) / bytes_per_read_group(m), sum_uses, m->bytes);
        break;
    case COPY: sto_record_copy(rec, &m->b, 0, &m->a, 0, m->bytes); break;
    case COPY_KERNEL:
        record_kernel(m, rec, STO_KERNEL_probe, &copy, (m->bytes / 16 + workgroup - 1) / workgroup, uses,
                      2 * m->bytes);
        break;
    default: sto_record_fill(rec, &m->b, 0, m->bytes, 0x3c003c00u); break;
    }
}

static enum sto_status create(struct meter *m, struct sto_error *err)
{
    static const struct sto_random_block plain = {.block_bytes = 16};
    enum sto_status status;
    m->bytes = choose_bytes(m->device, m->glance);
    if (m->bytes == 0)
        return sto_fail(err, STO_ERR_NO_FIT, "no room on %s to measure its memory", sto_device_name(m->device));
    const uint64_t groups = (m->bytes + bytes_per_read_group(m) - 1) / bytes_per_read_group(m);
    const uint64_t sums_bytes = groups * sto_device_get_plan(m->device)->tuning[STO_KERNEL_read_sum].values[0] * 4;
    if ((status = sto_buffer_create(m->device, STO_MEMORY_DEVICE, m->bytes, "measuring", &m->a, err)) != STO_OK ||
        (status = sto_buffer_create(m->device, STO_MEMORY_DEVICE, m->bytes, "measuring", &m->b, err)) != STO_OK ||
        (status = sto_buffer_create(m->device, STO_MEMORY_DEVICE, sums_bytes, "measuring", &m->sums, err)) != STO_OK)
        return status;
    for (int k = 0; k < N_KINDS; k++) {
        if ((status = sto_recording_create(m->device, &m->recordings[k], err)) != STO_OK)
            return status;
    }
    /* Random bits: memory that holds one value may be compressed, or not be there at all. */
    if ((status = sto_random_fill(m->recordings[READ], &m->a, 0, m->bytes, &plain, 1, err)) != STO_OK)
        return status;
    for (int k = 0; k < N_KINDS; k++) {
        sto_recording_begin(m->recordings[k]);
        record_pass(m, k, m->recordings[k]);
        if ((status = sto_recording_finish(m->recordings[k], err)) != STO_OK)
            return status;
    }
    return STO_OK;
}

static enum sto_status time_pass(struct meter *m, int kind, bool counts, struct sto_error *err)
{
    uint64_t ticket = 0;
    const uint64_t begin = sto_device_now_ns(m->device);
    enum sto_status status = sto_device_submit(m->device, m->recordings[kind], &ticket, err);
    if (status == STO_OK)
        status = sto_device_wait(m->device, ticket, err);
    const uint64_t wall_ns = sto_device_now_ns(m->device) - begin;
    const uint64_t device_ns = sto_recording_time_ns(m->recordings[kind]);
    const double ns = (double)(device_ns > 0 ? device_ns : wall_ns);
    if (counts && (m->best_ns[kind] <= 0.0 || ns < m->best_ns[kind]))
        m->best_ns[kind] = ns;
    return status;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double rate(const struct meter *m, int kind, double bytes)
{
    return m->best_ns[kind] > 0.0 ? bytes / m->best_ns[kind] : 0.0;
}

static enum sto_status measure(struct sto_device *device, bool glance, struct sto_bandwidth *out, struct sto_error *err)
{
    struct meter m = {.device = device, .glance = glance};
    *out = (struct sto_bandwidth){0};
    enum sto_status status = create(&m, err);
    const bool is_cpu = sto_device_get_snapshot(device)->kind == STO_DEVICE_CPU;
    const uint64_t begin = sto_device_now_ns(device);
    /* The first round makes pages and pipelines, and does not count. */
    for (uint32_t round = 0; status == STO_OK && round <= MAX_PASSES; round++) {
        if (round > MIN_PASSES && sto_device_now_ns(device) - begin > (glance ? GLANCE_NS : MEASURE_NS))
            break;
        for (int k = 0; k < N_KINDS && status == STO_OK; k++) {
            if (k != COPY_KERNEL || !is_cpu) /* a CPU driver's copy is memcpy */
                status = time_pass(&m, k, round > 0, err);
        }
        out->passes = round;
    }
    const double bytes = (double)m.bytes;
    out->bytes = m.bytes;
    out->read_gb_per_s = rate(&m, READ, bytes + (double)m.sums.bytes);
    out->copy_gb_per_s = larger(rate(&m, COPY, 2.0 * bytes), rate(&m, COPY_KERNEL, 2.0 * bytes));
    out->fill_gb_per_s = rate(&m, FILL, bytes);
    out->best_gb_per_s = larger(out->read_gb_per_s, larger(out->copy_gb_per_s, out->fill_gb_per_s));
    for (int k = 0; k < N_KINDS; k++)
        sto_recording_destroy(m.recordings[k]);
    sto_buffer_destroy(device, &m.a);
    sto_buffer_destroy(device, &m.b);
    sto_buffer_destroy(device, &m.sums);
    return status;
}

enum sto_status sto_bandwidth_measure(struct sto_device *device, struct sto_bandwidth *out, struct sto_error *err)
{
    return measure(device, false, out, err);
}

enum sto_status sto_bandwidth_glance(struct sto_device *device, struct sto_bandwidth *out, struct sto_error *err)
{
    return measure(device, true, out, err);
}

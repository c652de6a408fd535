/* Measures what is not known yet. */
#include "runtime/probe.h"

#include <stdatomic.h>
#include <string.h>

#include "runtime/bandwidth.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/cpu_probe.h"
#include "runtime/formats/formats.h"
#include "runtime/measure/stopwatch.h"
#include "runtime/vk/simulator.h"

enum { MAX_READERS = 64, MIN_PASSES = 2, HANDOVERS = 20 };
static const uint64_t BUDGET_NS = 2000000000; /* after this no further format is begun */
static const uint64_t COPY_BYTES = 32 << 20, DRAM_BYTES = 256 << 20, PASS_NS = 40000000;

struct probe {
    struct sto_device *device;
    struct sto_findings *findings;
    struct sto_buffer local, upload, readback;
    struct sto_recording *up, *down;
    uint8_t *plain; /* [COPY_BYTES] of ordinary memory */
    uint64_t begin_ns;
    struct sto_error *err;
};

static double gb_per_s(double bytes, double ns)
{
    return ns > 0 ? bytes / ns : 0;
}

/* ---- the link ---- */

static enum sto_status run(struct probe *p, struct sto_recording *rec, uint64_t *ns)
{
    uint64_t ticket = 0;
    const uint64_t begin = sto_device_now_ns(p->device);
    enum sto_status status = sto_device_submit(p->device, rec, &ticket, p->err);
    if (status == STO_OK)
        status = sto_device_wait(p->device, ticket, p->err);
    const uint64_t device_ns = sto_recording_time_ns(rec);
    *ns = device_ns > 0 ? device_ns : sto_device_now_ns(p->device) - begin;
    return status;
}

/* The best of a few passes: one that others disturb only takes longer. */
static enum sto_status time_copies(struct probe *p, struct sto_recording *rec, double *rate)
{
    const uint64_t begin = sto_device_now_ns(p->device);
    enum sto_status status = STO_OK;
    for (int i = 0; status == STO_OK && (i <= MIN_PASSES || sto_device_now_ns(p->device) - begin < PASS_NS); i++) {
        uint64_t ns = 0;
        status = run(p, rec, &ns);
        if (i > 0 && gb_per_s((double)COPY_BYTES, (double)ns) > *rate) /* the first touches the pages */
            *rate = gb_per_s((double)COPY_BYTES, (double)ns);
    }
    return status;
}

/* Ordinary memory goes through staging: the host's copying counts. */
static enum sto_status time_unpinned(struct probe *p, struct sto_rates *r)
{
    struct sto_uploader *uploader = NULL;
    enum sto_status status = sto_uploader_create(p->device, &uploader, p->err);
    for (int i = 0; i <= MIN_PASSES && status == STO_OK; i++) {
        uint64_t begin = sto_device_now_ns(p->device);
        status = sto_upload(uploader, &p->local, 0, p->plain, COPY_BYTES, p->err);
        if (status == STO_OK)
            status = sto_upload_finish(uploader, p->err);
        const double up = gb_per_s((double)COPY_BYTES, (double)(sto_device_now_ns(p->device) - begin));
        begin = sto_device_now_ns(p->device);
        if (status == STO_OK)
            status = sto_download(p->device, &p->local, 0, p->plain, COPY_BYTES, p->err);
        const double down = gb_per_s((double)COPY_BYTES, (double)(sto_device_now_ns(p->device) - begin));
        if (i > 0 && up > r->link_unpinned_gb_per_s)
            r->link_unpinned_gb_per_s = up;
        if (i > 0 && down > r->link_back_unpinned_gb_per_s)
            r->link_back_unpinned_gb_per_s = down;
    }
    sto_uploader_destroy(uploader);
    return status;
}

/* What a run of layers on the processor costs beside its products, from the device to it and back: activations into
 * host memory at the end of one recording, from it at the beginning of the next, and that one's end awaited. */
static enum sto_status time_crossing(struct probe *p, struct sto_rates *r)
{
    enum { ACTIVATIONS = 16 << 10, WAYS = 2 };
    enum sto_status status = STO_OK;
    double best = 0;
    sto_recording_begin(p->up);
    sto_record_copy(p->up, &p->local, 0, &p->upload, 0, ACTIVATIONS);
    sto_record_copy(p->up, &p->readback, 0, &p->local, 0, ACTIVATIONS);
    status = sto_recording_finish(p->up, p->err);
    for (int i = 0; i < HANDOVERS && status == STO_OK; i++) {
        uint64_t ticket = 0;
        const uint64_t begin = sto_device_now_ns(p->device);
        memcpy(p->upload.mapped, p->plain, ACTIVATIONS);
        status = sto_device_submit(p->device, p->up, &ticket, p->err);
        if (status == STO_OK)
            status = sto_device_wait(p->device, ticket, p->err);
        memcpy(p->plain, p->readback.mapped, ACTIVATIONS);
        const double us = (double)(sto_device_now_ns(p->device) - begin) / 1e3;
        best = i == 0 || us < best ? us : best;
    }
    r->crossing_us = best / WAYS;
    return status;
}

static enum sto_status open_link(struct probe *p)
{
    struct sto_device *d = p->device;
    enum sto_status status;
    p->plain = sto_calloc(1, COPY_BYTES);
    if (p->plain == NULL)
        return sto_fail(p->err, STO_ERR_NO_FIT, "no memory to measure the link with");
    if ((status = sto_buffer_create(d, STO_MEMORY_DEVICE, COPY_BYTES, "measuring", &p->local, p->err)) != STO_OK ||
        (status = sto_buffer_create(d, STO_MEMORY_UPLOAD, COPY_BYTES, "measuring", &p->upload, p->err)) != STO_OK ||
        (status = sto_buffer_create(d, STO_MEMORY_READBACK, COPY_BYTES, "measuring", &p->readback, p->err)) != STO_OK ||
        (status = sto_recording_create(d, &p->up, p->err)) != STO_OK ||
        (status = sto_recording_create(d, &p->down, p->err)) != STO_OK)
        return status;
    memset(p->upload.mapped, 1, COPY_BYTES);
    sto_recording_begin(p->up);
    sto_record_copy(p->up, &p->local, 0, &p->upload, 0, COPY_BYTES);
    sto_recording_begin(p->down);
    sto_record_copy(p->down, &p->readback, 0, &p->local, 0, COPY_BYTES);
    if ((status = sto_recording_finish(p->up, p->err)) != STO_OK)
        return status;
    return sto_recording_finish(p->down, p->err);
}

static void close_link(struct probe *p)
{
    sto_recording_destroy(p->up);
    sto_recording_destroy(p->down);
    sto_buffer_destroy(p->device, &p->local);
    sto_buffer_destroy(p->device, &p->upload);
    sto_buffer_destroy(p->device, &p->readback);
    sto_free(p->plain);
}

/* ---- host memory ---- */

struct reader {
    const uint64_t *data;
    size_t n;
    const atomic_bool *stop;
    uint64_t bytes;
    volatile uint64_t sum; /* of what was read, so that it is */
};

static void read_on(void *arg)
{
    enum { BLOCK = 1 << 15 };
    struct reader *r = arg;
    for (size_t at = 0; !atomic_load(r->stop); at = at + 2 * BLOCK <= r->n ? at + BLOCK : 0) {
        uint64_t sums[8] = {0};
        for (size_t i = at; i + 8 <= at + BLOCK && i + 8 <= r->n; i += 8) {
            for (size_t j = 0; j < 8; j++)
                sums[j] += r->data[i + j];
        }
        r->sum += sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
        r->bytes += BLOCK * sizeof(uint64_t);
    }
}

/* All threads read; copies: this one has the link at work meanwhile, whose bytes count too. */
static enum sto_status time_readers(struct probe *p, const uint64_t *data, size_t n, bool copies, double *rate)
{
    struct reader readers[MAX_READERS];
    struct sto_thread *threads[MAX_READERS];
    const uint32_t n_threads = sto_cpu_count() < MAX_READERS ? sto_cpu_count() : MAX_READERS;
    atomic_bool stop = false;
    enum sto_status status = STO_OK;
    double bytes = 0;
    const uint64_t begin = sto_now_ns();
    for (uint32_t i = 0; i < n_threads; i++) {
        readers[i] = (struct reader){.data = data + n / n_threads * i, .n = n / n_threads, .stop = &stop};
        threads[i] = sto_thread_start(read_on, &readers[i]);
    }
    while (status == STO_OK && sto_now_ns() - begin < 2 * PASS_NS) {
        uint64_t ns;
        if (copies) {
            status = run(p, p->up, &ns);
            bytes += (double)COPY_BYTES;
        } else {
            sto_sleep_ms(5);
        }
    }
    atomic_store(&stop, true);
    const double ns = (double)(sto_now_ns() - begin);
    for (uint32_t i = 0; i < n_threads; i++) {
        sto_thread_join(threads[i]);
        bytes += threads[i] != NULL ? (double)readers[i].bytes : 0;
    }
    *rate = gb_per_s(bytes, ns);
    return status;
}

/* The same where a processor is simulated. */
static enum sto_status time_simulated_readers(struct probe *p, struct sto_simulator *sim, bool copies, double *rate)
{
    enum { TURNS = 8 };
    const uint64_t begin = sto_device_now_ns(p->device);
    enum sto_status status = STO_OK;
    double bytes = 0;
    sto_simulator_read_begin(sim);
    for (int i = 0; i < TURNS && status == STO_OK; i++) {
        uint64_t ns;
        if (copies)
            status = run(p, p->up, &ns);
        else
            sto_simulator_pass(sim, (double)PASS_NS * 1e-9);
        bytes += copies ? (double)COPY_BYTES : 0;
    }
    bytes += sto_simulator_read_end(sim);
    *rate = gb_per_s(bytes, (double)(sto_device_now_ns(p->device) - begin));
    return status;
}

static enum sto_status time_simulated_dram(struct probe *p, struct sto_simulator *sim, struct sto_rates *r)
{
    enum sto_status status = time_simulated_readers(p, sim, false, &r->dram_gb_per_s);
    if (status == STO_OK && r->dram_gb_per_s > 0)
        status = time_simulated_readers(p, sim, true, &r->dram_shared_gb_per_s);
    return status;
}

static enum sto_status time_dram(struct probe *p, struct sto_rates *r)
{
    struct sto_simulator *sim = sto_device_simulator(p->device);
    if (sim != NULL)
        return time_simulated_dram(p, sim, r);
    uint64_t *data = sto_calloc(1, DRAM_BYTES);
    if (data == NULL)
        return sto_fail(p->err, STO_ERR_NO_FIT, "no memory to measure host memory with");
    memset(data, 1, DRAM_BYTES); /* zeroed pages may all be one */
    const size_t n = DRAM_BYTES / sizeof *data;
    enum sto_status status = time_readers(p, data, n, false, &r->dram_gb_per_s);
    if (status == STO_OK)
        status = time_readers(p, data, n, true, &r->dram_shared_gb_per_s);
    sto_free(data);
    return status;
}

static enum sto_status probe_machine(struct probe *p)
{
    struct sto_rates r = {0};
    struct sto_bandwidth bandwidth;
    enum sto_status status = sto_bandwidth_glance(p->device, &bandwidth, p->err);
    if (status == STO_OK)
        status = open_link(p);
    if (status == STO_OK)
        status = time_copies(p, p->up, &r.link_gb_per_s);
    if (status == STO_OK)
        status = time_copies(p, p->down, &r.link_back_gb_per_s);
    if (status == STO_OK)
        status = time_unpinned(p, &r);
    if (status == STO_OK)
        status = time_dram(p, &r);
    if (status == STO_OK)
        status = time_crossing(p, &r);
    close_link(p);
    r.vram_gb_per_s = bandwidth.read_gb_per_s;
    if (status == STO_OK)
        p->findings->rates = r;
    return status;
}

/* ---- products ---- */

/* The kernels that a model's steps would use. */
static enum sto_kernel kernel_for(const struct sto_device_plan *plan, uint32_t type, bool many)
{
    if (!many)
        return plan->q8_by_default[type] ? plan->matvec_q8[type] : plan->matvec[type];
    if (plan->q8_matmul_by_default[type])
        return plan->matmul_q8[type];
    const bool f16 = plan->f16_by_default && plan->matmul_f16[type] != STO_KERNEL_COUNT;
    return f16 ? plan->matmul_f16[type] : plan->matmul[type];
}

static enum sto_status time_product(struct probe *p, struct sto_stopwatch *watch, uint32_t type, bool many,
                                    struct sto_kernel_case *c, struct sto_time *time)
{
    enum { TIME_MS = 40 };
    const bool cpu = sto_device_get_snapshot(p->device)->kind == STO_DEVICE_CPU &&
                     sto_device_simulator(p->device) == NULL;
    const enum sto_kernel kernel = kernel_for(sto_device_get_plan(p->device), type, many);
    const struct sto_kernel_shape shape = {.rows = cpu ? 1024 : 4096,
                                           .inputs = cpu ? 1024 : 4096,
                                           .columns = !many ? 1 : cpu ? 32 : 512,
                                           .cold_bytes = many ? 0 : cpu ? COPY_BYTES : 6 * COPY_BYTES};
    if (kernel == STO_KERNEL_COUNT || !sto_kernel_case_known(kernel))
        return STO_OK;
    const enum sto_status status = sto_kernel_case_create(p->device, kernel, &shape, NULL, c, p->err);
    return status == STO_OK ? sto_stopwatch_time(watch, c, TIME_MS, time, p->err) : status;
}

static enum sto_status probe_product(struct probe *p, struct sto_stopwatch *watch, uint32_t type)
{
    enum sto_status status = STO_OK;
    for (int many = 0; many < 2 && status == STO_OK; many++) {
        struct sto_kernel_case c = {0};
        struct sto_time time = {0};
        status = time_product(p, watch, type, many, &c, &time);
        if (status == STO_OK && many)
            p->findings->products[type].tflop_per_s = time.ns > 0 ? (double)c.flops / time.ns / 1e3 : 0;
        else if (status == STO_OK)
            p->findings->products[type].gb_per_s = gb_per_s((double)c.bytes, time.ns);
        sto_kernel_case_destroy(&c);
    }
    return status;
}

static bool lacks_product(const struct probe *p, const uint64_t *type_bytes, uint32_t type)
{
    return type_bytes != NULL && type_bytes[type] > 0 && !(p->findings->products[type].gb_per_s > 0);
}

static bool lacks_cpu_product(const struct probe *p, const uint64_t *type_bytes, uint32_t type)
{
    return type_bytes != NULL && type_bytes[type] > 0 && !(p->findings->cpu_products[type].gb_per_s > 0);
}

/* On a simulated device's clock; 0 where its processor has no rate. */
static void probe_simulated_cpu_product(struct sto_simulator *sim, uint32_t type, double *gb, double *tflop)
{
    enum { COLUMNS = 512 };
    const struct sto_type_info *info = sto_type_get((enum sto_type)type);
    const double bytes = COPY_BYTES, flops = 2.0 * bytes / info->block_bytes * info->block_elems * COLUMNS;
    const uint64_t begin = sto_simulator_now_ns(sim);
    sto_simulator_compute(sim, COPY_BYTES, 1, flops / COLUMNS);
    const uint64_t middle = sto_simulator_now_ns(sim);
    sto_simulator_compute(sim, COPY_BYTES, COLUMNS, flops);
    const uint64_t end = sto_simulator_now_ns(sim);
    *gb = middle > begin ? gb_per_s(bytes, (double)(middle - begin)) : 0;
    *tflop = end > middle ? flops / (double)(end - middle) / 1e3 : 0;
}

static enum sto_status probe_cpu_product(struct probe *p, uint32_t type)
{
    struct sto_simulator *sim = sto_device_simulator(p->device);
    double *gb = &p->findings->cpu_products[type].gb_per_s, *tflop = &p->findings->cpu_products[type].tflop_per_s;
    if (sim == NULL)
        return sto_cpu_probe((enum sto_type)type, gb, tflop, p->err);
    probe_simulated_cpu_product(sim, type, gb, tflop);
    return STO_OK;
}

static enum sto_status probe_products(struct probe *p, const uint64_t *type_bytes)
{
    struct sto_stopwatch watch = {0};
    enum sto_status status = sto_stopwatch_create(p->device, false, &watch, p->err);
    for (uint32_t t = 0; t < STO_TYPE_COUNT && status == STO_OK; t++) {
        if (lacks_product(p, type_bytes, t) && sto_device_now_ns(p->device) - p->begin_ns < BUDGET_NS)
            status = probe_product(p, &watch, t);
        if (status == STO_OK && lacks_cpu_product(p, type_bytes, t) &&
            sto_device_now_ns(p->device) - p->begin_ns < BUDGET_NS)
            status = probe_cpu_product(p, t);
    }
    sto_stopwatch_destroy(&watch);
    return status;
}

/* A model's products read its formats one after the other: times add up. */
static void mix_products(const struct sto_findings *f, bool on_cpu, const uint64_t *type_bytes, double *gb_per_s,
                         double *tflop_per_s)
{
    double bytes = 0, elements = 0, few_s = 0, many_s = 0;
    for (uint32_t t = 0; type_bytes != NULL && t < STO_TYPE_COUNT; t++) {
        const struct sto_type_info *info = sto_type_get((enum sto_type)t);
        const double n = (double)type_bytes[t];
        const double few = on_cpu ? f->cpu_products[t].gb_per_s : f->products[t].gb_per_s;
        const double many = on_cpu ? f->cpu_products[t].tflop_per_s : f->products[t].tflop_per_s;
        if (n <= 0 || !(few > 0) || !(many > 0))
            continue;
        bytes += n;
        elements += n / info->block_bytes * info->block_elems;
        few_s += n / few;
        many_s += n / info->block_bytes * info->block_elems / many;
    }
    *gb_per_s = few_s > 0 ? bytes / few_s : 0;
    *tflop_per_s = many_s > 0 ? elements / many_s : 0;
}

enum sto_status sto_probe_rates(struct sto_device *device, const uint64_t *type_bytes, uint64_t room_bytes,
                                struct sto_rates *out, struct sto_error *err)
{
    struct probe p = {.device = device, .findings = sto_calloc(1, sizeof *p.findings), .err = err,
                      .begin_ns = sto_device_now_ns(device)};
    const bool may_measure = room_bytes >= STO_PROBE_BYTES;
    const bool only = sto_device_simulate_only(device, true); /* what is measured gives no results that matter */
    bool measured = false, lacks = false;
    enum sto_status status = STO_OK;
    if (p.findings == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for what is found out about the device");
    *p.findings = *sto_device_get_findings(device);
    if (may_measure && !(p.findings->rates.vram_gb_per_s > 0)) {
        status = probe_machine(&p);
        measured = true;
    }
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++)
        lacks = lacks || lacks_product(&p, type_bytes, t) || lacks_cpu_product(&p, type_bytes, t);
    if (status == STO_OK && lacks && may_measure) {
        status = probe_products(&p, type_bytes);
        measured = true;
    }
    (void)sto_device_simulate_only(device, only);
    if (status == STO_OK && measured && sto_device_wants_self_test(device))
        sto_device_learn(device, p.findings);
    if (measured)
        sto_log(sto_device_get_callbacks(device), STO_LOG_DEBUG, "rates of memory, link and kernels measured in %.2f s",
                (double)(sto_device_now_ns(device) - p.begin_ns) / 1e9);
    *out = p.findings->rates;
    mix_products(p.findings, false, type_bytes, &out->product_gb_per_s, &out->compute_tflop_per_s);
    mix_products(p.findings, true, type_bytes, &out->cpu_gb_per_s, &out->cpu_tflop_per_s);
    sto_free(p.findings);
    return status;
}

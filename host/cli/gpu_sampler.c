/* The thread that reads, and what it makes of its readings. */
#include "host/cli/gpu_sampler.h"

#include <stdatomic.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"

enum { PERIOD_MS = 100 };

struct sto_gpu_sampler {
    struct sto_gpu_source *source;
    struct sto_gpu_summary summary;
    struct sto_thread *thread;
    atomic_bool stop;
};

/* The mean of n readings of which this is the last. */
static void add_mean(double *mean, double value, uint32_t n)
{
    *mean += (value - *mean) / (double)n;
}

static void add_most(double *most, double value)
{
    if (value > *most)
        *most = value;
}

void sto_gpu_summary_add(struct sto_gpu_summary *s, const struct sto_gpu_facts *f)
{
    s->readings++;
    add_mean(&s->core_mhz_mean, f->core_mhz, s->readings);
    add_mean(&s->memory_mhz_mean, f->memory_mhz, s->readings);
    add_mean(&s->power_w_mean, f->power_w, s->readings);
    add_most(&s->core_mhz_max, f->core_mhz);
    add_most(&s->power_w_max, f->power_w);
    add_most(&s->temperature_c_max, f->temperature_c);
    add_most(&s->pcie_gt_per_s, f->pcie_gt_per_s);
    if (s->readings == 1 || f->core_mhz < s->core_mhz_min)
        s->core_mhz_min = f->core_mhz;
    if (f->power_limit_w > 0.0)
        s->power_limit_w = f->power_limit_w;
    if (f->pcie_lanes > 0)
        s->pcie_lanes = f->pcie_lanes;
    s->limits_known = s->limits_known || f->limits_known;
    s->limits |= f->limits;
}

const char *sto_gpu_summary_trouble(const struct sto_gpu_summary *s)
{
    if ((s->limits & STO_GPU_TOO_HOT) != 0)
        return "slowed down by temperature";
    if ((s->limits & STO_GPU_BRAKED) != 0)
        return "slowed down by the board (power brake or hardware slowdown)";
    return NULL;
}

static void take_reading(struct sto_gpu_sampler *s)
{
    struct sto_gpu_facts facts;
    sto_gpu_facts_read(s->source, &facts);
    sto_gpu_summary_add(&s->summary, &facts);
}

static void run(void *arg)
{
    struct sto_gpu_sampler *s = arg;
    while (!atomic_load(&s->stop)) {
        sto_sleep_ms(PERIOD_MS);
        take_reading(s);
    }
}

struct sto_gpu_sampler *sto_gpu_sampler_begin(struct sto_gpu_source *source)
{
    struct sto_gpu_sampler *s = source != NULL ? sto_calloc(1, sizeof *s) : NULL;
    if (s == NULL)
        return NULL;
    s->source = source;
    atomic_init(&s->stop, false);
    s->thread = sto_thread_start(run, s);
    if (s->thread == NULL) {
        sto_free(s);
        return NULL;
    }
    return s;
}

void sto_gpu_sampler_end(struct sto_gpu_sampler *sampler, struct sto_gpu_summary *out)
{
    *out = (struct sto_gpu_summary){0};
    if (sampler == NULL)
        return;
    atomic_store(&sampler->stop, true);
    sto_thread_join(sampler->thread);
    *out = sampler->summary;
    sto_free(sampler);
}

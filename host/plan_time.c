/* The time of a pass: the formula, and the ring.
 *
 *   link    [copy 2][copy 5][copy 7 ......] waits for a slot [copy 2]        a slot is free once its layer has run
 *   layers  [0][1][ 2 ][3][4][ 5 ][6]  waits for the copy [ 7 ][0][1]
 *
 * Copies run in the order of their use, and go on from pass to pass. Some passes are played through; what they take in
 * the long run is the time of one. */
#include "host/plan_time.h"

#include <math.h>

/* Ring depths that divide the second number leave no remainder of a period. */
enum { WARMUP_PASSES = 4, TIMED_PASSES = 24 };

const char *sto_plan_bind_name(enum sto_plan_bind bind)
{
    static const char *const names[] = {
        [STO_BIND_UNKNOWN] = "not known", [STO_BIND_DEVICE] = "device memory", [STO_BIND_COMPUTE] = "device arithmetic",
        [STO_BIND_CPU] = "processor",     [STO_BIND_LINK] = "link",            [STO_BIND_DRAM] = "host memory",
        [STO_BIND_DISK] = "disk",         [STO_BIND_COPIES] = "copies, in turns with kernels",
        [STO_BIND_RING] = "ring",
    };
    return (uint32_t)bind < STO_BIND_COUNT ? names[bind] : "?";
}

/* The KV cache of a layer that decodes on the processor goes there and back among the kernels. */
static double kv_time(const struct plan_phase *p, const struct plan_lanes *lanes, uint32_t item)
{
    const bool moves = lanes->kv_on_host != NULL && item < p->in->n_layers && lanes->kv_on_host[item] &&
                       lanes->items[item] != STO_LANE_CPU;
    return moves ? p->kv_copy_s : 0.0;
}

static double copy_time(const struct plan_phase *p, const struct plan_lanes *lanes, uint32_t item)
{
    return p->copy_s[item] + kv_time(p, lanes, item);
}

/* Adds up the formula's terms. */
static void add_terms(const struct plan_phase *p, const struct plan_lanes *lanes, struct sto_prediction *out)
{
    uint64_t host_bytes = 0;
    bool on_cpu = false;
    *out = (struct sto_prediction){0};
    for (uint32_t i = 0; i < p->n_items; i++) {
        const enum sto_lane lane = lanes->items[i];
        if (on_cpu != (lane == STO_LANE_CPU))
            out->crossings++;
        on_cpu = lane == STO_LANE_CPU;
        if (on_cpu)
            out->cpu_s += p->cpu_s[i];
        else
            out->device_s += p->device_s[i] + kv_time(p, lanes, i);
        if (lane == STO_LANE_STREAM)
            out->link_s += copy_time(p, lanes, i);
        if (lane != STO_LANE_RESIDENT)
            host_bytes += p->bytes[i];
    }
    out->crossings += on_cpu; /* logits are made on the device, or drawn there */
    out->crossing_s = out->crossings * p->crossing_s;
    out->dram_s = (double)host_bytes * p->dram_s_per_byte;
    out->disk_s = (double)lanes->disk_bytes * p->disk_s_per_byte;
}

static double chain_of(const struct plan_phase *p, const struct sto_prediction *t)
{
    return t->device_s + t->cpu_s + t->crossing_s + p->step_s;
}

static double slowest(const struct plan_phase *p, struct sto_prediction *t)
{
    const double chain = chain_of(p, t);
    const struct {
        double seconds;
        enum sto_plan_bind bind;
    } terms[] = {{t->link_s, STO_BIND_LINK}, {t->dram_s, STO_BIND_DRAM}, {t->disk_s, STO_BIND_DISK}};
    double most = chain;
    t->bind = t->cpu_s > t->device_s ? STO_BIND_CPU : p->device_bind;
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
        if (terms[i].seconds > most) {
            most = terms[i].seconds;
            t->bind = terms[i].bind;
        }
    }
    const double copies = fmax(t->link_s, t->disk_s);
    if (!p->overlap && copies > 0) {
        most = fmax(most, chain + copies);
        t->bind = STO_BIND_COPIES;
    }
    return most;
}

double plan_time_bound(const struct plan_phase *p, const struct plan_lanes *lanes, struct sto_prediction *out)
{
    add_terms(p, lanes, out);
    return slowest(p, out);
}

/* One layer after the other, copies ahead of them, pass after pass. slower: what disk adds to each copy. */
static double play(const struct plan_phase *p, const struct plan_lanes *lanes, double slower)
{
    double slot_free[STO_PLAN_MAX_RING] = {0}, link_free = 0, now = 0, begin = 0;
    uint32_t slot = 0;
    for (int pass = 0; pass < WARMUP_PASSES + TIMED_PASSES; pass++) {
        bool on_cpu = false;
        begin = pass == WARMUP_PASSES ? now : begin;
        for (uint32_t i = 0; i < p->n_items; i++) {
            const enum sto_lane lane = lanes->items[i];
            now += on_cpu != (lane == STO_LANE_CPU) ? p->crossing_s : 0.0;
            on_cpu = lane == STO_LANE_CPU;
            if (lane == STO_LANE_STREAM) {
                link_free = fmax(link_free, slot_free[slot]);
                link_free = p->overlap ? link_free : fmax(link_free, now);
                link_free += copy_time(p, lanes, i) * slower;
                now = fmax(now, link_free);
            }
            now += on_cpu ? p->cpu_s[i] : p->device_s[i] + kv_time(p, lanes, i);
            if (lane == STO_LANE_STREAM) {
                slot_free[slot] = now;
                slot = slot + 1 < lanes->slots ? slot + 1 : 0;
            }
        }
        now += p->step_s + (on_cpu ? p->crossing_s : 0.0);
    }
    return (now - begin) / TIMED_PASSES;
}

void plan_time(const struct plan_phase *p, const struct plan_lanes *lanes, struct sto_prediction *out)
{
    const double bound = plan_time_bound(p, lanes, out);
    out->seconds = bound;
    if (out->link_s > 0) {
        const double played = play(p, lanes, fmax(1.0, out->disk_s / out->link_s));
        if (played > 1.02 * bound)
            out->bind = STO_BIND_RING;
        out->seconds = fmax(bound, played);
    }
    if (!p->known)
        out->seconds = 0;
    out->tokens_per_s = out->seconds > 0 ? p->tokens / out->seconds : 0;
    out->bind = out->seconds > 0 ? out->bind : STO_BIND_UNKNOWN;
}

/* ---- the roofline ---- */

/* The formula with r bytes resident and c on the processor. */
static double formula(const struct sto_rates *rates, double bytes, double r, double c)
{
    const double s = bytes - r - c, b_v = rates->product_gb_per_s > 0 ? rates->product_gb_per_s : rates->vram_gb_per_s;
    const double b_d = rates->dram_shared_gb_per_s > 0 ? rates->dram_shared_gb_per_s : rates->dram_gb_per_s;
    double t = (r + s) / b_v / 1e9;
    if (c > 0)
        t += c / rates->cpu_gb_per_s / 1e9 + 2 * rates->crossing_us * 1e-6;
    if (s > 0)
        t = fmax(t, s / rates->link_gb_per_s / 1e9);
    return b_d > 0 ? fmax(t, (s + c) / b_d / 1e9) : t;
}

/* The best c for r: the formula is the largest of straight lines in c, so its least value lies at an end or where the
 * chain and the link take equally long. */
static double best_split(const struct sto_rates *rates, double bytes, double r)
{
    const double rest = bytes - r, b_c = rates->cpu_gb_per_s, b_l = rates->link_gb_per_s;
    const double b_v = rates->product_gb_per_s > 0 ? rates->product_gb_per_s : rates->vram_gb_per_s;
    double best = INFINITY;
    if (rest <= 0 || b_l > 0)
        best = formula(rates, bytes, r, 0);
    if (rest > 0 && b_c > 0)
        best = fmin(best, formula(rates, bytes, r, rest));
    if (rest > 0 && b_c > 0 && b_l > 0) {
        const double x = 2 * rates->crossing_us * 1e3; /* in bytes at 1 GB/s */
        const double c = (rest / b_l - bytes / b_v - x) / (1 / b_l + 1 / b_c - 1 / b_v);
        if (c > 0 && c < rest)
            best = fmin(best, formula(rates, bytes, r, c));
    }
    return best;
}

double sto_plan_roofline(const struct sto_rates *rates, double bytes, double resident)
{
    const double most = fmin(bytes, resident);
    return fmin(best_split(rates, bytes, most), best_split(rates, bytes, 0)); /* a processor may be the faster one */
}

/* As many layers resident as fit; the others streamed, spread so that a copy has as much work beside it as can be. */
#include "runtime/placement.h"

#include "runtime/base/status.h"

static const double mib = 1024.0 * 1024.0;

const char *sto_lane_name(enum sto_lane lane)
{
    static const char *const names[] = {
        [STO_LANE_RESIDENT] = "resident", [STO_LANE_STREAM] = "stream", [STO_LANE_CPU] = "cpu",
        [STO_LANE_PHASED] = "phased"};
    return (uint32_t)lane < STO_LANE_COUNT ? names[lane] : "?";
}

enum sto_lane sto_lane_in(enum sto_lane lane, enum sto_phase phase)
{
    if (lane != STO_LANE_PHASED)
        return lane;
    return phase == STO_PHASE_PROMPT ? STO_LANE_STREAM : STO_LANE_CPU;
}

enum sto_lane sto_plan_lane(const struct sto_plan *plan, uint32_t l)
{
    return plan->decode[l] == STO_LANE_CPU && plan->prefill[l] == STO_LANE_STREAM ? STO_LANE_PHASED : plan->decode[l];
}

/* Streams n_streamed layers: the middle of each of as many equal parts. */
static void spread(enum sto_lane *lanes, uint32_t n_layers, uint32_t n_streamed)
{
    for (uint32_t l = 0; l < n_layers; l++)
        lanes[l] = STO_LANE_RESIDENT;
    for (uint64_t i = 0; i < n_streamed; i++)
        lanes[(2 * i + 1) * n_layers / (2 * (uint64_t)n_streamed)] = STO_LANE_STREAM;
}

static void add_up(const struct sto_placement_input *in, struct sto_placement *out)
{
    out->n_streamed = out->n_cpu = out->n_phased = 0;
    out->slot_bytes = out->resident_bytes = out->streamed_bytes = out->cpu_bytes = out->phased_bytes = 0;
    for (uint32_t l = 0; l < in->n_layers; l++) {
        const enum sto_lane lane = out->lanes[l], decode = sto_lane_in(lane, STO_PHASE_DECODE);
        const uint64_t bytes = in->layer_bytes[l];
        uint64_t *sums[] = {[STO_LANE_RESIDENT] = &out->resident_bytes, [STO_LANE_STREAM] = &out->streamed_bytes,
                            [STO_LANE_CPU] = &out->cpu_bytes};
        *sums[decode] += bytes;
        out->n_cpu += decode == STO_LANE_CPU;
        out->n_streamed += decode == STO_LANE_STREAM;
        out->n_phased += lane == STO_LANE_PHASED;
        out->phased_bytes += lane == STO_LANE_PHASED ? bytes : 0;
        if (sto_lane_in(lane, STO_PHASE_PROMPT) == STO_LANE_STREAM && bytes > out->slot_bytes)
            out->slot_bytes = bytes;
    }
    const uint32_t through = out->n_streamed + out->n_phased;
    out->ring_slots = in->ring_slots < through ? in->ring_slots : through;
}

uint64_t sto_placement_device_bytes(const struct sto_placement *p)
{
    return p->resident_bytes + p->ring_slots * p->slot_bytes;
}

/* With as many slots as wanted, or fewer. */
static bool fits(const struct sto_placement_input *in, struct sto_placement *out)
{
    add_up(in, out);
    while (out->ring_slots > 1 && sto_placement_device_bytes(out) > in->room_bytes)
        out->ring_slots--;
    return sto_placement_device_bytes(out) <= in->room_bytes;
}

enum sto_status sto_placement_make(const struct sto_placement_input *in, struct sto_placement *out,
                                   struct sto_error *err)
{
    if (in->lanes != NULL) {
        for (uint32_t l = 0; l < in->n_layers; l++) {
            if ((uint32_t)in->lanes[l] >= STO_LANE_COUNT)
                return sto_fail(err, STO_ERR_USAGE, "layer %u cannot go to lane %u: there are resident, stream, cpu "
                                "and phased",
                                (unsigned)l, (unsigned)in->lanes[l]);
            out->lanes[l] = in->lanes[l];
        }
        if (fits(in, out))
            return STO_OK;
    }
    for (uint32_t n = 0; in->lanes == NULL && n <= in->n_layers; n++) {
        spread(out->lanes, in->n_layers, n);
        if (fits(in, out))
            return STO_OK;
    }
    return sto_fail(err, STO_ERR_NO_FIT, "%s: %u layers resident (%.1f MiB), %u streamed through %u slots of %.1f MiB, "
                    "for which there are %.1f MiB",
                    in->lanes != NULL ? "the layers as they are placed do not fit" : "one layer at a time does not fit",
                    (unsigned)(in->n_layers - out->n_streamed - out->n_cpu), (double)out->resident_bytes / mib,
                    (unsigned)(out->n_streamed + out->n_phased), (unsigned)out->ring_slots,
                    (double)out->slot_bytes / mib,
                    (double)in->room_bytes / mib);
}

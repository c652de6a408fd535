/* The search: every split of the layers, put in order, weighed against the budgets and timed.
 *
 * An order is the same for every budget, and its time does not depend on budgets: with more memory the planner chooses
 * among more, so it never gets slower. Streamed layers are spread evenly over the time that the others take, so that
 * the link rests as little as it can; blocks on the processor are spread evenly between the resident layers. */
#include "host/planner.h"

#include <math.h>
#include <stdlib.h>

#include "host/plan_time.h"
#include "runtime/base/mem.h"
#include "runtime/base/status.h"
#include "runtime/fit.h"

/* Models of more layers are split in steps of several, and in fewer orders. */
enum { FINE_LAYERS = 96, MAX_BLOCKS = 16, PHASES = 4 };

enum { LEAST_DEVICE, LEAST_CPU, LEAST_COPY, LEAST_BYTES, LEAST_COUNT };

/* Where one candidate stands. */
struct candidate {
    uint32_t n_streamed, n_cpu, blocks, slots;
    uint32_t block_phase, stream_phase; /* 0 to PHASES: where in their shares of the layers they lie */
    bool stream_output;
};

struct memory {
    uint64_t device, host, ring, slot, kv_device, kv_host, disk;
};

struct planner {
    const struct sto_planner_input *in;
    struct plan_phase decode, prefill;
    enum sto_lane *items;     /* [n_items] lanes of the candidate when decoding, output last         */
    enum sto_lane *prompt;    /* [n_items] and when reading prompts                                  */
    uint32_t *order;          /* [n_items] of layers that are not streamed: 0, or the block from 1   */
    bool *kv_on_host;         /* [n_layers]                                                          */
    double *least[LEAST_COUNT]; /* [n_layers + 1] sum over the n smallest layers: no split takes less  */
    bool host_embedding, can_stream, can_cpu;
    bool ring_for_prompts;    /* what decodes on the processor is streamed for prompts               */
    uint64_t least_device, least_host; /* of what did not fit                                        */
    uint64_t host_there;
};

/* ---- numbers that cannot overflow ---- */

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t kv_per_layer(const struct sto_planner_input *in)
{
    return in->n_layers > 0 ? in->kv_bytes_per_token / in->n_layers : 0;
}

/* ---- phases ---- */

static double per_byte(double gb_per_s)
{
    return gb_per_s > 0 ? 1 / (gb_per_s * 1e9) : 0;
}

static double positive(double a, double b)
{
    return a > 0 ? a : b;
}

static void time_layer(struct plan_phase *p, uint32_t i)
{
    const struct sto_planner_input *in = p->in;
    const struct sto_rates *r = &in->rates;
    const double bytes = (double)p->bytes[i], tokens = p->tokens, layers = in->n_layers;
    const double kv = (double)kv_per_layer(in) * in->depth_tokens;
    const double attended = tokens * (in->depth_tokens + tokens / 2);
    const double products = in->layer_flops / layers * tokens, attention = in->attention_flops / layers * attended;
    const double device_flop = r->compute_tflop_per_s > 0 ? 1e-12 / r->compute_tflop_per_s : 0;
    const double cpu_read = bytes * per_byte(r->cpu_gb_per_s);
    const double cpu_math = r->cpu_tflop_per_s > 0 ? (products + attention) * 1e-12 / r->cpu_tflop_per_s : 0;
    p->device_s[i] = bytes * per_byte(positive(r->product_gb_per_s, r->vram_gb_per_s));
    p->cpu_s[i] = cpu_read;
    p->copy_s[i] = bytes * per_byte(r->link_gb_per_s);
    if (p->tokens > 1) {
        p->device_s[i] = fmax(p->device_s[i], products * device_flop) + attention * device_flop;
        p->cpu_s[i] = cpu_math > 0 ? fmax(cpu_read, cpu_math) : cpu_read * tokens;
    }
    p->device_s[i] += kv * per_byte(positive(r->vram_gb_per_s, r->product_gb_per_s));
    p->cpu_s[i] += kv * per_byte(positive(r->dram_gb_per_s, r->cpu_gb_per_s));
}

/* The output matrix in pieces of about a layer. */
static uint32_t count_pieces(const struct sto_planner_input *in, uint64_t output)
{
    enum { MOST = 64 };
    uint64_t largest = 1;
    for (uint32_t l = 0; l < in->n_layers; l++)
        largest = larger(largest, in->layer_bytes[l]);
    const uint64_t n = output / largest + (output % largest != 0);
    return n < 1 ? 1 : (uint32_t)smaller(n, MOST);
}

static bool open_phase(struct plan_phase *p, const struct sto_planner_input *in, uint32_t tokens)
{
    const struct sto_rates *r = &in->rates;
    const uint64_t output = in->output_bytes > 0 ? in->output_bytes : in->embedding_bytes;
    const uint32_t pieces = tokens > 1 ? 0 : count_pieces(in, output);
    *p = (struct plan_phase){
        .in = in,
        .n_items = in->n_layers + pieces,
        .tokens = tokens,
        .step_s = r->step_us * 1e-6,
        .crossing_s = r->crossing_us * 1e-6,
        .dram_s_per_byte = per_byte(positive(r->dram_shared_gb_per_s, r->dram_gb_per_s)),
        .disk_s_per_byte = per_byte(r->disk_gb_per_s),
        .kv_copy_s = tokens > 1 ? (double)kv_per_layer(in) * ((double)in->depth_tokens + tokens) *
                                      per_byte(r->link_gb_per_s)
                                : 0,
        .known = tokens == 1 || r->compute_tflop_per_s > 0,
        .overlap = (in->means & STO_PLAN_OVERLAP) != 0,
        .device_bind = tokens == 1 ? STO_BIND_DEVICE : STO_BIND_COMPUTE,
    };
    const size_t n = (size_t)p->n_items + 1; /* never 0 */
    p->bytes = sto_calloc(n, sizeof *p->bytes);
    p->device_s = sto_calloc(n, sizeof *p->device_s);
    p->cpu_s = sto_calloc(n, sizeof *p->cpu_s);
    p->copy_s = sto_calloc(n, sizeof *p->copy_s);
    if (p->bytes == NULL || p->device_s == NULL || p->cpu_s == NULL || p->copy_s == NULL)
        return false;
    for (uint32_t i = 0; i < p->n_items; i++) {
        p->bytes[i] = i < in->n_layers ? in->layer_bytes[i] : output / pieces;
        if (i < in->n_layers)
            time_layer(p, i);
        else
            p->device_s[i] = (double)p->bytes[i] * per_byte(positive(r->product_gb_per_s, r->vram_gb_per_s));
        p->copy_s[i] = (double)p->bytes[i] * per_byte(r->link_gb_per_s);
    }
    return true;
}

static void close_phase(struct plan_phase *p)
{
    sto_free(p->bytes);
    sto_free(p->device_s);
    sto_free(p->cpu_s);
    sto_free(p->copy_s);
}

/* ---- the planner's memory ---- */

static void planner_close(struct planner *p)
{
    close_phase(&p->decode);
    close_phase(&p->prefill);
    sto_free(p->items);
    sto_free(p->prompt);
    sto_free(p->order);
    sto_free(p->kv_on_host);
    for (int i = 0; i < LEAST_COUNT; i++)
        sto_free(p->least[i]);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sums over the n smallest of values [n_layers], for each n; NULL: no memory. */
static double *least_sums(const struct planner *p, const double *values, const uint64_t *bytes)
{
    const uint32_t n = p->in->n_layers;
    double *sums = sto_calloc((size_t)n + 1, sizeof *sums);
    for (uint32_t l = 0; sums != NULL && l < n; l++)
        sums[l + 1] = values != NULL ? values[l] : (double)bytes[l];
    if (sums != NULL)
        qsort(sums + 1, n, sizeof *sums, compare);
    for (uint32_t l = 1; sums != NULL && l <= n; l++)
        sums[l] += sums[l - 1];
    return sums;
}

static bool sum_up(struct planner *p)
{
    p->least[LEAST_DEVICE] = least_sums(p, p->decode.device_s, NULL);
    p->least[LEAST_CPU] = least_sums(p, p->decode.cpu_s, NULL);
    p->least[LEAST_COPY] = least_sums(p, p->decode.copy_s, NULL);
    p->least[LEAST_BYTES] = least_sums(p, NULL, p->in->layer_bytes);
    return p->least[LEAST_DEVICE] != NULL && p->least[LEAST_CPU] != NULL && p->least[LEAST_COPY] != NULL &&
           p->least[LEAST_BYTES] != NULL;
}

/* What reading a prompt costs per layer of the middle size: through the link, and on the processor. */
static bool streaming_reads_faster(const struct planner *p)
{
    double streamed = 0, computed = 0;
    for (uint32_t l = 0; l < p->in->n_layers; l++) {
        streamed += fmax(p->prefill.copy_s[l] + p->prefill.kv_copy_s, p->prefill.device_s[l]);
        computed += p->prefill.cpu_s[l];
    }
    return p->can_stream && p->prefill.known && streamed < computed;
}

static enum sto_status planner_open(struct planner *p, const struct sto_planner_input *in, struct sto_error *err)
{
    const uint32_t ubatch = in->ubatch_tokens > 1 ? in->ubatch_tokens : 2;
    *p = (struct planner){
        .in = in,
        .host_embedding = (in->means & STO_PLAN_HOST_EMBEDDING) != 0 && in->output_bytes > 0,
        .can_stream = in->rates.link_gb_per_s > 0,
        .can_cpu = (in->means & STO_PLAN_CPU) != 0 && in->rates.cpu_gb_per_s > 0,
        .least_device = UINT64_MAX,
        .least_host = UINT64_MAX,
    };
    if (!(positive(in->rates.product_gb_per_s, in->rates.vram_gb_per_s) > 0))
        return sto_fail(err, STO_ERR_USAGE, "the rate 'vram' is not known");
    bool ok = open_phase(&p->decode, in, 1) && open_phase(&p->prefill, in, ubatch);
    const size_t n = (size_t)p->decode.n_items + 1;
    ok = ok && (p->items = sto_calloc(n, sizeof *p->items)) != NULL &&
         (p->prompt = sto_calloc(n, sizeof *p->prompt)) != NULL &&
         (p->order = sto_calloc(n, sizeof *p->order)) != NULL && (p->kv_on_host = sto_calloc(n, 1)) != NULL &&
         sum_up(p);
    if (!ok) {
        planner_close(p);
        return sto_fail(err, STO_ERR_NO_FIT, "no memory to plan %u layers", (unsigned)in->n_layers);
    }
    p->ring_for_prompts = (in->means & STO_PLAN_PHASES) != 0 && streaming_reads_faster(p);
    return STO_OK;
}

/* ---- order ---- */

/* Those that are not streamed: blocks on the processor, evenly between resident layers. Returns how many. */
static uint32_t order_unstreamed(struct planner *p, const struct candidate *c)
{
    const uint32_t resident = p->in->n_layers - c->n_streamed - c->n_cpu;
    uint32_t n = 0, placed = 0;
    for (uint32_t b = 0; b < c->blocks; b++) {
        const uint32_t before = (uint32_t)((c->block_phase + (uint64_t)PHASES * b) * resident / (PHASES * c->blocks));
        const uint64_t first = (uint64_t)c->n_cpu * b / c->blocks, end = (uint64_t)c->n_cpu * (b + 1) / c->blocks;
        for (; placed < before; placed++)
            p->order[n++] = 0;
        for (uint64_t i = first; i < end; i++)
            p->order[n++] = b + 1;
    }
    for (; placed < resident; placed++)
        p->order[n++] = 0;
    return n;
}

static double mean_of(const double *seconds, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += seconds[i];
    return n > 0 ? sum / n : 0;
}

/* Puts streamed layers between, each when its share of the time has passed; never inside a block. */
static void arrange(struct planner *p, const struct candidate *c)
{
    const uint32_t n_layers = p->in->n_layers, n = order_unstreamed(p, c);
    const double device = mean_of(p->decode.device_s, n_layers), cpu = mean_of(p->decode.cpu_s, n_layers);
    const double total = (n - c->n_cpu) * device + c->n_cpu * cpu;
    const double share = (double)c->stream_phase / PHASES;
    double passed = 0;
    uint32_t streamed = 0, out = 0;
    for (uint32_t i = 0; i <= n; i++) {
        const bool inside = i > 0 && i < n && p->order[i] != 0 && p->order[i] == p->order[i - 1];
        const double ahead = i < n && p->order[i] == 0 ? device / 2 : 0;
        while (streamed < c->n_streamed && !inside &&
               (i == n || passed + ahead >= (streamed + share) * total / c->n_streamed)) {
            p->items[out++] = STO_LANE_STREAM;
            streamed++;
        }
        if (i < n) {
            passed += p->order[i] != 0 ? cpu : device;
            p->items[out++] = p->order[i] != 0 ? STO_LANE_CPU : STO_LANE_RESIDENT;
        }
    }
    for (uint32_t i = n_layers; i < p->decode.n_items; i++)
        p->items[i] = c->stream_output ? STO_LANE_STREAM : STO_LANE_RESIDENT;
}

/* ---- memory ---- */

/* What the lanes in p->items take. Phased: those on the processor go through the ring too, and the KV cache of one of
 * them at a time is on the device. */
static void weigh(const struct planner *p, uint32_t slots, bool phased, struct memory *m)
{
    const struct sto_planner_input *in = p->in;
    const bool tied = in->output_bytes == 0;
    uint64_t kv_layers = 0, visitors = 0;
    *m = (struct memory){.device = in->fixed_bytes, .host = in->host_fixed_bytes};
    if (p->host_embedding)
        m->host = add(m->host, in->embedding_bytes);
    else if (!tied)
        m->device = add(m->device, in->embedding_bytes);
    uint64_t streamed = 0;
    for (uint32_t i = 0; i < p->decode.n_items; i++) {
        const uint64_t bytes = p->decode.bytes[i];
        const enum sto_lane lane = p->items[i];
        if (lane == STO_LANE_RESIDENT)
            m->device = add(m->device, bytes);
        else
            m->host = add(m->host, bytes);
        if (lane == STO_LANE_STREAM || (lane == STO_LANE_CPU && phased))
            m->slot = larger(m->slot, bytes);
        visitors = lane == STO_LANE_CPU && phased ? 1 : visitors;
        streamed = lane == STO_LANE_STREAM ? add(streamed, bytes) : streamed;
        kv_layers += i < in->n_layers && lane != STO_LANE_CPU;
    }
    const uint64_t kv = multiply(kv_per_layer(in), in->ctx_tokens);
    m->kv_device = multiply(kv, kv_layers + visitors);
    m->kv_host = multiply(kv, in->n_layers - kv_layers);
    m->ring = multiply(slots, m->slot);
    m->device = add(add(m->device, m->kv_device), m->ring);
    m->host = add(m->host, add(m->kv_host, kv_layers < in->n_layers ? in->host_cpu_bytes : 0));
    if (in->ram_bytes > 0 && m->host > in->ram_bytes && (in->means & STO_PLAN_DISK) != 0 && in->rates.disk_gb_per_s > 0)
        m->disk = smaller(m->host - in->ram_bytes, streamed);
    m->host -= m->disk;
}

static bool fits(struct planner *p, const struct memory *m)
{
    const struct sto_planner_input *in = p->in;
    p->least_device = smaller(p->least_device, m->device);
    if (m->device > in->vram_bytes)
        return false;
    p->least_host = smaller(p->least_host, m->host);
    return in->ram_bytes == 0 || m->host <= in->ram_bytes;
}

/* ---- time ---- */

/* Prompts: layers that decode on the processor go through the ring, or stay there. */
static void time_prefill(struct planner *p, uint32_t slots, bool phased, uint64_t disk, struct sto_prediction *out)
{
    const struct plan_lanes lanes = {
        .items = p->prompt, .kv_on_host = p->kv_on_host, .slots = slots, .disk_bytes = disk};
    for (uint32_t l = 0; l < p->in->n_layers; l++) {
        p->kv_on_host[l] = p->items[l] == STO_LANE_CPU;
        p->prompt[l] = phased && p->kv_on_host[l] ? STO_LANE_STREAM : p->items[l];
    }
    plan_time(&p->prefill, &lanes, out);
}

static void count_in(struct sto_plan_share *share, uint64_t bytes)
{
    share->layers++;
    share->bytes = add(share->bytes, bytes);
}

static void share_out(const struct planner *p, const enum sto_lane *lanes, struct sto_plan_share *shares)
{
    for (uint32_t l = 0; l < p->in->n_layers; l++)
        count_in(&shares[lanes[l]], p->in->layer_bytes[l]);
}

static void fill_figures(const struct planner *p, const struct memory *m, struct sto_plan_figures *f)
{
    share_out(p, p->items, f->decode_lanes);
    share_out(p, p->prompt, f->prefill_lanes);
    for (uint32_t l = 0; l < p->in->n_layers; l++) {
        if (p->items[l] == STO_LANE_CPU && p->prompt[l] == STO_LANE_STREAM)
            count_in(&f->decode_lanes[STO_LANE_PHASED], p->in->layer_bytes[l]);
    }
    f->ring_bytes = m->ring;
    f->kv_device_bytes = m->kv_device;
    f->kv_host_bytes = m->kv_host;
    f->device_bytes = m->device;
    f->host_bytes = m->host;
    f->disk_bytes = m->disk;
}

static void fill_plan(const struct planner *p, const struct candidate *c, const struct memory *m, struct sto_plan *plan)
{
    for (uint32_t l = 0; l < p->in->n_layers; l++) {
        plan->decode[l] = p->items[l];
        plan->prefill[l] = p->prompt[l];
    }
    plan->embedding = p->host_embedding ? STO_LANE_CPU : STO_LANE_RESIDENT;
    plan->output = c->stream_output ? STO_LANE_STREAM : STO_LANE_RESIDENT;
    plan->ring_slots = c->slots;
    plan->slot_bytes = c->slots > 0 ? m->slot : 0;
}

/* ---- the search ---- */

struct search {
    struct planner p;
    struct sto_plan *plan;
    struct sto_plan_figures *best;
    bool found;
};

/* Better at decoding, by more than rounding; as good at decoding and better at prompts. */
static bool better(const struct sto_prediction *decode, const struct sto_prediction *prefill,
                   const struct sto_plan_figures *best)
{
    const double same = 1e-9 * best->decode.seconds;
    if (fabs(decode->seconds - best->decode.seconds) > same)
        return decode->seconds < best->decode.seconds;
    return prefill->seconds < best->prefill.seconds * (1 - 1e-9);
}

static void consider(struct search *s, const struct candidate *c)
{
    struct planner *p = &s->p;
    const bool phased = p->ring_for_prompts && c->n_cpu > 0;
    struct memory m;
    struct sto_plan_figures f = {0};
    weigh(p, c->slots, phased, &m);
    if (!fits(p, &m))
        return;
    if (phased && (m.disk > 0 || (p->in->pinned_bytes > 0 && m.host > p->in->pinned_bytes)))
        return; /* both phases read layers where they lie */
    const struct plan_lanes lanes = {.items = p->items, .slots = c->slots, .disk_bytes = m.disk};
    if (s->found && plan_time_bound(&p->decode, &lanes, &f.decode) > s->best->decode.seconds * (1 + 1e-9))
        return;
    plan_time(&p->decode, &lanes, &f.decode);
    if (s->found && f.decode.seconds > s->best->decode.seconds * (1 + 1e-9))
        return;
    time_prefill(p, c->slots, phased, m.disk, &f.prefill);
    if (s->found && !better(&f.decode, &f.prefill, s->best))
        return;
    fill_figures(p, &m, &f);
    fill_plan(p, c, &m, s->plan);
    *s->best = f;
    s->found = true;
}

/* All ring depths of an order. Where nothing is streamed a ring serves prompts alone, and has two slots. */
static void consider_rings(struct search *s, struct candidate *c)
{
    static const uint32_t depths[] = {1, 2, 3, 4, 6, STO_PLAN_MAX_RING};
    const struct planner *p = &s->p;
    const uint32_t pieces = c->stream_output ? p->decode.n_items - p->in->n_layers : 0;
    const uint32_t through = c->n_streamed + pieces, moved = through + (p->ring_for_prompts ? c->n_cpu : 0);
    const uint32_t given = p->in->ring_slots, most = (uint32_t)smaller(moved, STO_PLAN_MAX_RING);
    arrange(&s->p, c);
    c->slots = (uint32_t)smaller(most, given > 0 ? given : 2);
    if (through == 0 || given > 0) {
        consider(s, c);
        return;
    }
    for (size_t i = 0; i < sizeof depths / sizeof *depths && depths[i] <= most; i++) {
        c->slots = depths[i];
        consider(s, c);
    }
}

/* 0, step, 2 step, ..., and `last`; UINT32_MAX after it. */
static uint32_t next_count(uint32_t now, uint32_t step, uint32_t last)
{
    if (now >= last)
        return UINT32_MAX;
    return now + step < last ? now + step : last;
}

/* One number of layers in each lane. */
static void consider_orders(struct search *s, struct candidate *c)
{
    static const uint32_t blocks[] = {1, 2, 3, 4, 6, 8, 12, MAX_BLOCKS};
    const bool fine = s->p.in->n_layers <= FINE_LAYERS;
    const uint32_t first = fine ? 0 : PHASES / 2, last = fine ? PHASES : PHASES / 2;
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks && (b == 0 || blocks[b] <= c->n_cpu); b++) {
        c->blocks = c->n_cpu > 0 ? blocks[b] : 0;
        if (b > 0 && c->n_streamed == 0 && !c->stream_output)
            break; /* nothing to fill: one block crosses least */
        for (c->block_phase = first; c->block_phase <= (c->n_cpu > 0 ? last : first); c->block_phase += PHASES / 2) {
            for (c->stream_phase = first; c->stream_phase <= (c->n_streamed > 0 ? last : first); c->stream_phase++)
                consider_rings(s, c);
        }
    }
}

/* No order of these numbers of layers can fit, or beat what was found. */
static bool hopeless(const struct search *s, const struct candidate *c)
{
    const struct planner *p = &s->p;
    const struct sto_planner_input *in = p->in;
    const uint32_t n = in->n_layers, resident = n - c->n_streamed - c->n_cpu;
    if (resident > 0 && (p->can_cpu || p->can_stream) && p->least[LEAST_BYTES][resident] > (double)in->vram_bytes)
        return true; /* those with fewer say what would fit */
    if (!s->found)
        return false;
    const double copies = p->least[LEAST_COPY][c->n_streamed];
    double chain = p->least[LEAST_DEVICE][n - c->n_cpu] + p->least[LEAST_CPU][c->n_cpu] + p->decode.step_s;
    for (uint32_t i = n; i < p->decode.n_items; i++)
        chain += p->decode.device_s[i];
    if (!p->decode.overlap)
        chain += copies;
    return fmax(chain, copies) > s->best->decode.seconds * (1 + 1e-9);
}

static void consider_splits(struct search *s, bool stream_output)
{
    const struct planner *p = &s->p;
    const uint32_t n = p->in->n_layers, step = p->can_cpu ? (n + FINE_LAYERS - 1) / FINE_LAYERS : 1;
    const uint32_t most_cpu = p->can_cpu ? n : 0;
    for (uint32_t cpu = 0; cpu != UINT32_MAX; cpu = next_count(cpu, step, most_cpu)) {
        const uint32_t most_streamed = p->can_stream ? n - cpu : 0;
        for (uint32_t streamed = 0; streamed != UINT32_MAX; streamed = next_count(streamed, step, most_streamed)) {
            struct candidate c = {.n_streamed = streamed, .n_cpu = cpu, .stream_output = stream_output};
            if (!hopeless(s, &c))
                consider_orders(s, &c);
        }
    }
}

static enum sto_status refuse(const struct planner *p, struct sto_error *err)
{
    const struct sto_planner_input *in = p->in;
    char need[STO_SIZE_CHARS], there[STO_SIZE_CHARS];
    if (p->least_device > in->vram_bytes && !p->can_stream && !p->can_cpu)
        return sto_fail(err, STO_ERR_USAGE, "the rate 'link' is not known, and not all layers fit on the device");
    if (p->least_device > in->vram_bytes)
        return sto_fail(err, STO_ERR_NO_FIT, "at least %s of device memory are needed, there are %s",
                        sto_size_text(p->least_device, need), sto_size_text(in->vram_bytes, there));
    return sto_fail(err, STO_ERR_NO_FIT, "at least %s of host memory are needed beside the device's, there are %s",
                    sto_size_text(p->least_host, need), sto_size_text(in->ram_bytes, there));
}

static void consider_all(struct search *s)
{
    consider_splits(s, false);
    if ((s->p.in->means & STO_PLAN_STREAM_OUTPUT) != 0 && s->p.can_stream)
        consider_splits(s, true);
}

/* The room that prompts take may be worth more to decoding: of 20 parts, more than one. */
static void consider_without_phases(struct search *s)
{
    const bool phased = s->best->decode_lanes[STO_LANE_PHASED].layers > 0;
    const double seconds = s->best->decode.seconds, most = phased ? 0.95 * seconds : seconds;
    s->p.ring_for_prompts = false;
    s->best->decode.seconds = most;
    consider_all(s);
    if (s->found && s->best->decode.seconds >= most) /* nothing was found that is faster */
        s->best->decode.seconds = seconds;
}

/* Seconds of a pass of so many tokens by one of the plan's two placements; negative: no memory. */
static double time_pass(struct planner *p, const struct sto_plan *plan, const enum sto_lane *lanes, uint32_t tokens)
{
    struct sto_prediction t;
    const struct plan_lanes l = {.items = lanes, .kv_on_host = p->kv_on_host, .slots = plan->ring_slots};
    close_phase(&p->prefill);
    if (!open_phase(&p->prefill, p->in, tokens))
        return -1;
    plan_time(&p->prefill, &l, &t);
    return t.seconds;
}

/* From how many tokens on a pass is faster the prompts' way, by about half of it. What came ahead for passes of the
 * other phase is worth nothing after a change: as many copies as there are slots. */
static enum sto_status choose_prompt_tokens(struct search *s, struct sto_error *err)
{
    struct planner *p = &s->p;
    struct sto_plan *plan = s->plan;
    const double change = (double)plan->ring_slots * (double)plan->slot_bytes * per_byte(p->in->rates.link_gb_per_s);
    plan->prompt_tokens = 0;
    for (uint32_t l = 0; l < p->in->n_layers; l++) {
        p->kv_on_host[l] = plan->decode[l] == STO_LANE_CPU;
        plan->prompt_tokens = sto_plan_lane(plan, l) == STO_LANE_PHASED ? 2 : plan->prompt_tokens;
    }
    for (; plan->prompt_tokens > 0 && plan->prompt_tokens < p->in->ubatch_tokens;
         plan->prompt_tokens += (plan->prompt_tokens + 1) / 2) {
        const double stay = time_pass(p, plan, plan->decode, plan->prompt_tokens);
        const double go = time_pass(p, plan, plan->prefill, plan->prompt_tokens);
        if (stay < 0 || go < 0)
            return sto_fail(err, STO_ERR_NO_FIT, "no memory to plan %u layers", (unsigned)p->in->n_layers);
        if (go + change < stay)
            break;
    }
    return STO_OK;
}

enum sto_status sto_plan_make(const struct sto_planner_input *in, struct sto_plan *plan,
                              struct sto_plan_figures *figures, struct sto_error *err)
{
    struct search s = {.plan = plan, .best = figures};
    enum sto_status status = planner_open(&s.p, in, err);
    if (status != STO_OK)
        return status;
    consider_all(&s);
    if (s.p.ring_for_prompts)
        consider_without_phases(&s);
    if (!s.found)
        status = refuse(&s.p, err);
    else
        status = choose_prompt_tokens(&s, err);
    planner_close(&s.p);
    return status;
}

/* False: a lane is used whose rate is not known. */
static bool lanes_known(const struct planner *p, const struct plan_phase *phase, const enum sto_lane *lanes)
{
    bool known = phase->known;
    for (uint32_t i = 0; i < phase->n_items; i++) {
        known = known && (lanes[i] != STO_LANE_STREAM || p->in->rates.link_gb_per_s > 0);
        known = known && (lanes[i] != STO_LANE_CPU || p->in->rates.cpu_gb_per_s > 0);
    }
    return known;
}

enum sto_status sto_plan_predict(const struct sto_planner_input *in, const struct sto_plan *plan,
                                 struct sto_plan_figures *figures, struct sto_error *err)
{
    struct planner p;
    struct memory m;
    const enum sto_status status = planner_open(&p, in, err);
    if (status != STO_OK)
        return status;
    *figures = (struct sto_plan_figures){0};
    p.host_embedding = plan->embedding != STO_LANE_RESIDENT && in->output_bytes > 0;
    for (uint32_t i = 0; i < p.decode.n_items; i++)
        p.items[i] = i < in->n_layers ? plan->decode[i] : plan->output;
    bool phased = false;
    for (uint32_t l = 0; l < in->n_layers; l++) {
        p.prompt[l] = in->ubatch_tokens >= plan->prompt_tokens ? plan->prefill[l] : plan->decode[l];
        p.kv_on_host[l] = plan->decode[l] == STO_LANE_CPU;
        phased = phased || sto_plan_lane(plan, l) == STO_LANE_PHASED;
    }
    p.decode.known = lanes_known(&p, &p.decode, p.items);
    p.prefill.known = lanes_known(&p, &p.prefill, p.prompt);
    weigh(&p, plan->ring_slots, phased, &m);
    const uint32_t slots = plan->ring_slots < STO_PLAN_MAX_RING ? plan->ring_slots : STO_PLAN_MAX_RING;
    const struct plan_lanes decode = {.items = p.items, .slots = slots, .disk_bytes = m.disk};
    const struct plan_lanes prefill = {
        .items = p.prompt, .kv_on_host = p.kv_on_host, .slots = slots, .disk_bytes = m.disk};
    plan_time(&p.decode, &decode, &figures->decode);
    plan_time(&p.prefill, &prefill, &figures->prefill);
    fill_figures(&p, &m, figures);
    planner_close(&p);
    return STO_OK;
}

/* A plan as a table, or as JSON. */
#include "host/cli/plan.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/info.h"
#include "host/cli/json_text.h"
#include "host/cli/place.h"
#include "host/cli/term.h"
#include "runtime/base/mem.h"

/* Room for any placement: 1,024 layers, each "resident:1023,". */
enum { PLACE_BYTES = 16 << 10, SIZE_BYTES = 24 };

static const char *lane_words[] = {[STO_LANE_RESIDENT] = "resident", [STO_LANE_STREAM] = "streamed",
                                   [STO_LANE_CPU] = "processor", [STO_LANE_PHASED] = "  of them phased"};

static const char *lane_places[] = {[STO_LANE_RESIDENT] = "device", [STO_LANE_STREAM] = "host",
                                    [STO_LANE_CPU] = "host", [STO_LANE_PHASED] = "host, streamed for prompts"};

/* ---- text ---- */

static void print_row(const char *what, const char *layers, uint64_t bytes, const char *where)
{
    char text[SIZE_BYTES];
    sto_bytes_text(bytes, text, sizeof text);
    (void)printf("  %-20s %7s %12s%s%s\n", what, layers, text, where[0] != '\0' ? "  " : "", where);
}

static void print_head(const struct sto_plan_report *r)
{
    const struct sto_model_plan *p = r->plan;
    char a[SIZE_BYTES], b[SIZE_BYTES], name[200];
    sto_info_printable((struct sto_view){r->model->name, strlen(r->model->name)}, name, sizeof name);
    (void)printf("%-9s %s, %s, %u layers\n", "model", name, r->model->arch, (unsigned)r->model->h.n_layers);
    sto_bytes_text(r->params->vram_bytes, a, sizeof a);
    sto_bytes_text(r->params->ram_bytes, b, sizeof b);
    (void)printf("%-9s %s, %s of its memory, %s of the host's\n", "device",
                 r->device != NULL ? r->device : "none looked at, rates as given", a, b);
    sto_bytes_text(p->sizes.kv_bytes_per_token, a, sizeof a);
    (void)printf("%-9s %u tokens of %u, %s each; prompts %u tokens at once\n\n", "context", (unsigned)p->ctx_tokens,
                 (unsigned)r->model->h.n_ctx_train, a, (unsigned)p->sizes.ubatch_tokens);
}

static void print_memory(const struct sto_plan_report *r)
{
    const struct sto_model_plan *p = r->plan;
    const struct sto_plan_figures *f = &p->figures;
    char count[16], ring[80], slot[SIZE_BYTES], text[SIZE_BYTES], budget[SIZE_BYTES];
    sto_bytes_text(p->plan.slot_bytes, slot, sizeof slot);
    (void)snprintf(ring, sizeof ring, "%u slot%s of %s on the device", (unsigned)p->plan.ring_slots,
                   p->plan.ring_slots == 1 ? "" : "s", slot);
    (void)printf("  %-20s %7s %12s\n", "", "layers", "bytes");
    for (int lane = 0; lane < STO_LANE_COUNT; lane++) {
        const struct sto_plan_share *s = &f->decode_lanes[lane];
        (void)snprintf(count, sizeof count, "%u", (unsigned)s->layers);
        if (s->layers > 0)
            print_row(lane_words[lane], count, s->bytes, lane_places[lane]);
    }
    if (p->plan.ring_slots > 0)
        print_row("ring", "", f->ring_bytes, ring);
    print_row(p->sizes.output_bytes > 0 ? "embedding" : "embedding, output", "", p->sizes.embedding_bytes,
              p->plan.embedding == STO_LANE_RESIDENT ? "device" : "host");
    if (p->sizes.output_bytes > 0)
        print_row("output matrix", "", p->sizes.output_bytes,
                  p->plan.output == STO_LANE_RESIDENT ? "device" : "host, streamed in pieces");
    print_row("KV cache", "", f->kv_device_bytes, "device");
    if (f->kv_host_bytes > 0)
        print_row("KV cache", "", f->kv_host_bytes, "host");
    print_row("scratch and buffers", "", p->scratch_bytes, "device");
    sto_bytes_text(f->device_bytes, text, sizeof text);
    sto_bytes_text(r->params->vram_bytes, budget, sizeof budget);
    (void)printf("  %-20s %7s %12s  of %s\n", "device, in all", "", text, budget);
    print_row("buffers", "", p->sizes.host_bytes, "host");
    if (f->host_bytes > 0)
        print_row("host, in all", "", f->host_bytes, "");
    if (f->disk_bytes > 0)
        print_row("read from disk", "", f->disk_bytes, "in each pass");
}

/* Three figures. */
static int decimals(double tokens_per_s)
{
    return tokens_per_s < 10 ? 2 : tokens_per_s < 100 ? 1 : 0;
}

static void print_speed(const char *what, const struct sto_prediction *t, const char *more)
{
    if (t->seconds > 0)
        (void)printf("  %-20s %20.*f  limited by %s%s\n", what, decimals(t->tokens_per_s), t->tokens_per_s,
                     sto_plan_bind_name(t->bind), more);
    else
        (void)printf("  %-20s %20s  a rate for it is not known (compute)\n", what, "?");
}

static void print_alternatives(const struct sto_plan_report *r)
{
    if (r->n_alternatives > 0)
        (void)printf("\n  %-20s %9s %9s %9s %9s %10s\n", "with", "resident", "streamed", "processor", "tokens/s",
                     "prompts");
    for (uint32_t i = 0; i < r->n_alternatives; i++) {
        const struct sto_plan_alternative *a = &r->alternatives[i];
        if (a->fits)
            (void)printf("  %-20s %9u %9u %9u %9.*f %10.*f\n", a->what,
                         (unsigned)a->figures.decode_lanes[STO_LANE_RESIDENT].layers,
                         (unsigned)a->figures.decode_lanes[STO_LANE_STREAM].layers,
                         (unsigned)a->figures.decode_lanes[STO_LANE_CPU].layers,
                         decimals(a->figures.decode.tokens_per_s), a->figures.decode.tokens_per_s,
                         decimals(a->figures.prefill.tokens_per_s), a->figures.prefill.tokens_per_s);
        else
            (void)printf("  %-20s does not fit\n", a->what);
    }
}

static void print_rates(const struct sto_rates *rates)
{
    struct sto_rate_info info;
    const char *comma = "\nrates     ";
    for (size_t i = 0; sto_rate_at(i, &info); i++) {
        if (sto_rate_get(rates, i) > 0) {
            (void)printf("%s%s %.4g %s", comma, info.name, sto_rate_get(rates, i), info.unit);
            comma = ", ";
        }
    }
    (void)puts("");
}

void sto_plan_print(const struct sto_plan_report *r)
{
    char place[PLACE_BYTES], at[80];
    const struct sto_plan_figures *f = &r->plan->figures;
    print_head(r);
    print_memory(r);
    (void)printf("\n  %-20s %20s\n", "", "tokens/s");
    (void)snprintf(at, sizeof at, ", %u tokens in the context", (unsigned)r->params->depth_tokens);
    print_speed("generation", &f->decode, at);
    print_speed("", &r->full->decode, ", context full");
    print_speed("prompts", &f->prefill, "");
    print_alternatives(r);
    sto_place_text(r->plan->lanes, r->model->h.n_layers, place, sizeof place);
    (void)printf("\nlanes     --place %s --ring %u\n", place, (unsigned)r->plan->plan.ring_slots);
    print_rates(&r->params->rates);
}

/* ---- JSON ---- */

static void add_number(cJSON *o, const char *name, double value)
{
    (void)cJSON_AddNumberToObject(o, name, value);
}

static void add_text(cJSON *o, const char *name, const char *text)
{
    (void)cJSON_AddItemToObject(o, name, sto_json_text(text, strlen(text)));
}

static void add_prediction(cJSON *parent, const char *name, const struct sto_prediction *t)
{
    cJSON *o = cJSON_AddObjectToObject(parent, name);
    if (t->seconds > 0)
        add_number(o, "tokens_per_s", t->tokens_per_s);
    else
        (void)cJSON_AddNullToObject(o, "tokens_per_s");
    add_text(o, "limited_by", sto_plan_bind_name(t->bind));
    add_number(o, "seconds", t->seconds);
    add_number(o, "device_s", t->device_s);
    add_number(o, "cpu_s", t->cpu_s);
    add_number(o, "crossing_s", t->crossing_s);
    add_number(o, "link_s", t->link_s);
    add_number(o, "dram_s", t->dram_s);
    add_number(o, "disk_s", t->disk_s);
    add_number(o, "crossings", t->crossings);
}

static void add_lanes(cJSON *parent, const char *name, const enum sto_lane *lanes, uint32_t n)
{
    cJSON *array = cJSON_AddArrayToObject(parent, name);
    for (uint32_t l = 0; l < n; l++)
        (void)cJSON_AddItemToArray(array, cJSON_CreateString(sto_lane_name(lanes[l])));
}

static void add_memory(cJSON *o, const struct sto_plan_report *r)
{
    const struct sto_plan_figures *f = &r->plan->figures;
    cJSON *lanes = cJSON_AddObjectToObject(o, "lanes");
    for (int lane = 0; lane < STO_LANE_PHASED; lane++) { /* phased layers decode on the processor, and count there */
        cJSON *share = cJSON_AddObjectToObject(lanes, sto_lane_name((enum sto_lane)lane));
        add_number(share, "layers", f->decode_lanes[lane].layers);
        add_number(share, "bytes", (double)f->decode_lanes[lane].bytes);
    }
    add_number(o, "phased_layers", f->decode_lanes[STO_LANE_PHASED].layers);
    add_number(o, "phased_bytes", (double)f->decode_lanes[STO_LANE_PHASED].bytes);
    add_text(o, "embedding", sto_lane_name(r->plan->plan.embedding));
    add_text(o, "output", sto_lane_name(r->plan->plan.output));
    add_number(o, "ring_slots", r->plan->plan.ring_slots);
    add_number(o, "slot_bytes", (double)r->plan->plan.slot_bytes);
    add_number(o, "ring_bytes", (double)f->ring_bytes);
    add_number(o, "embedding_bytes", (double)r->plan->sizes.embedding_bytes);
    add_number(o, "output_bytes", (double)r->plan->sizes.output_bytes);
    add_number(o, "kv_device_bytes", (double)f->kv_device_bytes);
    add_number(o, "kv_host_bytes", (double)f->kv_host_bytes);
    add_number(o, "scratch_bytes", (double)r->plan->scratch_bytes);
    add_number(o, "device_bytes", (double)f->device_bytes);
    add_number(o, "host_buffer_bytes", (double)r->plan->sizes.host_bytes);
    add_number(o, "host_bytes", (double)f->host_bytes);
    add_number(o, "disk_bytes", (double)f->disk_bytes);
    add_lanes(o, "decode_lanes", r->plan->plan.decode, r->model->h.n_layers);
    add_lanes(o, "prefill_lanes", r->plan->plan.prefill, r->model->h.n_layers);
    add_number(o, "prompt_tokens", r->plan->plan.prompt_tokens);
}

static void add_alternatives(cJSON *o, const struct sto_plan_report *r)
{
    cJSON *array = cJSON_AddArrayToObject(o, "with");
    for (uint32_t i = 0; i < r->n_alternatives; i++) {
        const struct sto_plan_alternative *a = &r->alternatives[i];
        cJSON *row = cJSON_CreateObject();
        (void)cJSON_AddItemToArray(array, row);
        add_text(row, "what", a->what);
        (void)cJSON_AddBoolToObject(row, "fits", a->fits);
        if (!a->fits)
            continue;
        add_number(row, "resident_layers", a->figures.decode_lanes[STO_LANE_RESIDENT].layers);
        add_number(row, "cpu_layers", a->figures.decode_lanes[STO_LANE_CPU].layers);
        add_prediction(row, "decode", &a->figures.decode);
        add_prediction(row, "prefill", &a->figures.prefill);
    }
}

static void add_rates(cJSON *o, const struct sto_rates *rates)
{
    cJSON *object = cJSON_AddObjectToObject(o, "rates");
    struct sto_rate_info info;
    for (size_t i = 0; sto_rate_at(i, &info); i++) {
        if (sto_rate_get(rates, i) > 0)
            add_number(object, info.name, sto_rate_get(rates, i));
        else
            (void)cJSON_AddNullToObject(object, info.name);
    }
}

enum sto_status sto_plan_print_json(const struct sto_plan_report *r, struct sto_error *err)
{
    cJSON *o = cJSON_CreateObject();
    add_text(o, "model", r->model->name);
    add_text(o, "arch", r->model->arch);
    if (r->device != NULL)
        add_text(o, "device", r->device);
    else
        (void)cJSON_AddNullToObject(o, "device");
    add_number(o, "vram_bytes", (double)r->params->vram_bytes);
    add_number(o, "ram_bytes", (double)r->params->ram_bytes);
    add_number(o, "ctx_tokens", r->plan->ctx_tokens);
    add_number(o, "ubatch_tokens", r->plan->sizes.ubatch_tokens);
    add_number(o, "depth_tokens", r->params->depth_tokens);
    add_memory(o, r);
    add_prediction(o, "decode", &r->plan->figures.decode);
    add_prediction(o, "decode_full", &r->full->decode);
    add_prediction(o, "prefill", &r->plan->figures.prefill);
    add_alternatives(o, r);
    add_rates(o, &r->params->rates);
    char *text = cJSON_Print(o);
    cJSON_Delete(o);
    if (text == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for JSON");
    (void)puts(text);
    cJSON_free(text);
    return STO_OK;
}

/* The summary of a generation, and its JSON. */
#include "host/cli/run_report.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/json_text.h"
#include "host/cli/term.h"
#include "runtime/base/os.h"
#include "runtime/vk/device.h"

/* ---- what was said ---- */

void sto_run_answer_free(struct sto_run_answer *a)
{
    sto_generate_result_free(&a->result);
    sto_text_stream_free(&a->reasoning);
    sto_text_stream_free(&a->content);
    cJSON_Delete(a->calls);
    a->calls = NULL;
}

/* A call as templates and HTTP APIs have it. The arguments are JSON already. */
static enum sto_status add_call(struct sto_run_answer *a, const struct sto_tool_call *call, struct sto_error *err)
{
    if (a->calls == NULL)
        a->calls = cJSON_CreateArray();
    cJSON *item = cJSON_CreateObject(), *function = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(item, "type", "function");
    (void)cJSON_AddItemToObject(item, "function", function);
    (void)cJSON_AddStringToObject(function, "name", call->name);
    (void)cJSON_AddRawToObject(function, "arguments", call->arguments);
    return cJSON_AddItemToArray(a->calls, item) ? STO_OK : sto_fail(err, STO_ERR_NO_FIT, "no memory for a call");
}

enum sto_status sto_run_answer_add(struct sto_run_answer *a, const struct sto_event *e, struct sto_error *err)
{
    size_t from, to;
    switch (e->kind) {
    case STO_EVENT_REASONING: return sto_text_stream_add(&a->reasoning, e->text, e->size, &from, &to, err);
    case STO_EVENT_TEXT: return sto_text_stream_add(&a->content, e->text, e->size, &from, &to, err);
    case STO_EVENT_TOOL_CALL: return add_call(a, &e->call, err);
    default: return STO_OK;
    }
}

/* ---- for people ---- */

static double per_second(size_t n, uint64_t ns)
{
    return ns > 0 ? (double)n * 1e9 / (double)ns : 0.0;
}

/* Tokens that came out of evaluations after the first: the first one's logits belong to the prompt. */
static size_t timed_tokens(const struct sto_generate_result *r)
{
    return r->n_tokens > 0 ? r->n_tokens - 1 : 0;
}

void sto_run_print_summary(const struct sto_stack *s, const struct sto_run_answer *a)
{
    const struct sto_generate_result *r = &a->result;
    char weights[32], kv[32], used[32], lanes[STO_LANES_TEXT_BYTES], where[64] = "", thought[48] = "";
    const double rate = per_second(timed_tokens(r), r->generate_ns);
    const bool without = sto_stack_is_without_device(&s->info);
    sto_bytes_text(without ? s->info.cpu_bytes : s->info.weight_bytes, weights, sizeof weights);
    sto_bytes_text(s->info.kv_bytes_per_token * s->info.ctx_tokens, kv, sizeof kv);
    sto_bytes_text(without ? s->info.host_bytes : sto_stack_device_peak_bytes(s), used, sizeof used);
    if (s->info.cpu_layers > 0)
        (void)snprintf(where, sizeof where, ": %s, %u %s", s->info.cpu_level, (unsigned)s->info.cpu_threads,
                       s->info.cpu_threads == 1 ? "thread" : "threads");
    (void)sto_lanes_text(&s->info, sto_model_n_layers(s->model), lanes);
    if (a->n_thought > 0)
        (void)snprintf(thought, sizeof thought, " (%zu of them thoughts)", a->n_thought);
    (void)fprintf(stderr,
                  "%sprompt %zu tokens, %.1f/s; generated %zu%s, %.1f/s (%.2f GB/s of weights), ended by %s; "
                  "%s memory %s (weights %s%s%s, KV of %u tokens %s); loaded in %.1f s\n",
                  sto_device_simulator(s->device) != NULL ? "simulated: " : "", r->n_prompt_tokens,
                  per_second(r->n_prompt_tokens, r->prompt_ns), r->n_tokens, thought, rate,
                  rate * (double)s->info.read_bytes_per_token / 1e9, sto_stop_name(r->stop),
                  without ? "main" : "device", used, weights, lanes, where, s->info.ctx_tokens, kv,
                  (double)s->info.load_ns / 1e9);
}

void sto_run_print_step(const struct sto_stack *s)
{
    struct sto_engine_info info;
    const double n_layers = (double)sto_model_n_layers(s->model);
    sto_engine_get_info(s->engine, &info);
    if (info.step_dispatches > 0)
        (void)fprintf(stderr, "decode step: %u dispatches, %u barriers, %.1f and %.1f per layer\n",
                      info.step_dispatches, info.step_barriers, info.layer_dispatches / n_layers,
                      info.layer_barriers / n_layers);
}

/* ---- for programs ---- */

static cJSON *id_array(const uint32_t *ids, size_t n)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < n; i++)
        (void)cJSON_AddItemToArray(array, cJSON_CreateNumber(ids[i]));
    return array;
}

/* A text that may be absent, as a string. */
static cJSON *stream_text(const struct sto_text_stream *s)
{
    return sto_json_text(s->text != NULL ? s->text : "", s->text != NULL ? s->size : 0);
}

static void add_measures(cJSON *o, const struct sto_stack *s, const struct sto_generate_result *r)
{
    cJSON *t = cJSON_AddObjectToObject(o, "timings");
    (void)cJSON_AddBoolToObject(t, "simulated", sto_device_simulator(s->device) != NULL);
    (void)cJSON_AddNumberToObject(t, "load_ms", (double)s->info.load_ns / 1e6);
    (void)cJSON_AddNumberToObject(t, "prompt_ms", (double)r->prompt_ns / 1e6);
    (void)cJSON_AddNumberToObject(t, "generate_ms", (double)r->generate_ns / 1e6);
    (void)cJSON_AddNumberToObject(t, "prompt_per_second", per_second(r->n_prompt_tokens, r->prompt_ns));
    (void)cJSON_AddNumberToObject(t, "generate_per_second", per_second(timed_tokens(r), r->generate_ns));
    cJSON *m = cJSON_AddObjectToObject(o, "memory");
    (void)cJSON_AddNumberToObject(m, "device_peak_bytes", (double)sto_stack_device_peak_bytes(s));
    (void)cJSON_AddNumberToObject(m, "weight_bytes", (double)s->info.weight_bytes);
    const uint64_t local = s->device != NULL ? sto_device_local_peak_bytes(s->device) : 0;
    (void)cJSON_AddNumberToObject(m, "device_local_peak_bytes", (double)local);
    (void)cJSON_AddNumberToObject(m, "streamed_layers", s->info.streamed_layers);
    (void)cJSON_AddNumberToObject(m, "streamed_bytes", (double)s->info.streamed_bytes);
    struct sto_engine_info now; /* what was read from disk grows */
    sto_engine_get_info(s->engine, &now);
    (void)cJSON_AddStringToObject(m, "copy", sto_copy_name(now.copy));
    (void)cJSON_AddNumberToObject(m, "disk_bytes", (double)now.disk_bytes);
    (void)cJSON_AddNumberToObject(m, "disk_read_bytes", (double)now.disk_read_bytes);
    (void)cJSON_AddNumberToObject(m, "ram_budget_bytes", (double)now.ram_bytes);
    (void)cJSON_AddNumberToObject(m, "pinned_budget_bytes", (double)now.pinned_limit_bytes);
    (void)cJSON_AddNumberToObject(m, "host_bytes", (double)now.host_bytes);
    (void)cJSON_AddNumberToObject(m, "pinned_bytes", (double)now.pinned_bytes);
    (void)cJSON_AddNumberToObject(m, "host_peak_bytes", (double)sto_host_peak_bytes());
    (void)cJSON_AddNumberToObject(m, "cpu_layers", s->info.cpu_layers);
    (void)cJSON_AddNumberToObject(m, "cpu_bytes", (double)s->info.cpu_bytes);
    (void)cJSON_AddNumberToObject(m, "phased_layers", s->info.phased_layers);
    (void)cJSON_AddNumberToObject(m, "phased_bytes", (double)s->info.phased_bytes);
    (void)cJSON_AddNumberToObject(m, "context_tokens", s->info.ctx_tokens);
    (void)cJSON_AddNumberToObject(m, "kv_bytes_per_token", (double)s->info.kv_bytes_per_token);
    (void)cJSON_AddNumberToObject(m, "process_peak_bytes", (double)sto_process_peak_rss());
    (void)cJSON_AddNumberToObject(m, "process_pss_bytes", (double)sto_process_pss());
}

enum sto_status sto_run_json(const struct sto_stack *s, struct sto_run_answer *a, char **text, struct sto_error *err)
{
    const struct sto_generate_result *r = &a->result;
    cJSON *o = cJSON_CreateObject();
    (void)cJSON_AddItemToObject(o, "model", sto_json_text(sto_model_name(s->model), strlen(sto_model_name(s->model))));
    (void)cJSON_AddStringToObject(o, "device", sto_stack_device(s));
    (void)cJSON_AddItemToObject(o, "text", sto_json_text(r->text, r->text_size));
    (void)cJSON_AddItemToObject(o, "reasoning", stream_text(&a->reasoning));
    (void)cJSON_AddItemToObject(o, "content", stream_text(&a->content));
    (void)cJSON_AddItemToObject(o, "tool_calls", a->calls != NULL ? a->calls : cJSON_CreateArray());
    a->calls = NULL;
    (void)cJSON_AddStringToObject(o, "stop", sto_stop_name(r->stop));
    (void)cJSON_AddItemToObject(o, "prompt_tokens", id_array(r->prompt_tokens, r->n_prompt_tokens));
    (void)cJSON_AddItemToObject(o, "tokens", id_array(r->tokens, r->n_tokens));
    add_measures(o, s, r);
    *text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    return *text != NULL ? STO_OK : sto_fail(err, STO_ERR_NO_FIT, "no memory for the JSON object");
}

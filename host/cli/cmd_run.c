/* strato run: generates text from a prompt, streamed to stdout; a summary goes to stderr. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/json_text.h"
#include "host/cli/stack.h"
#include "host/cli/term.h"
#include "host/generate.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/base/os_term.h"

/* ---- output ---- */

struct output {
    bool json;     /* text is collected, not streamed */
    char last;     /* last byte written               */
    int broken;    /* errno since stdout takes no more; 0: it does */
    struct sto_callbacks callbacks;
};

/* Writes through to stdout, and notes why when that fails. */
static void put(struct output *o, const char *text, size_t size)
{
    errno = 0;
    if (o->broken == 0 && (fwrite(text, 1, size, stdout) != size || fflush(stdout) != 0))
        o->broken = errno != 0 ? errno : EIO;
}

static bool write_text(void *user, const char *text, size_t size)
{
    struct output *o = user;
    if (o->json)
        return sto_cli_interrupted();
    sto_term_clear();
    put(o, text, size);
    o->last = text[size - 1];
    return o->broken != 0 || sto_cli_interrupted();
}

static bool show_prompt(void *user, size_t done, size_t total)
{
    struct output *o = user;
    return o->callbacks.progress != NULL && o->callbacks.progress(o->callbacks.user, "prompt", done, total);
}

static double per_second(size_t n, uint64_t ns)
{
    return ns > 0 ? (double)n * 1e9 / (double)ns : 0.0;
}

/* Tokens that came out of evaluations after the first: the first one's logits belong to the prompt. */
static size_t timed_tokens(const struct sto_generate_result *r)
{
    return r->n_tokens > 0 ? r->n_tokens - 1 : 0;
}

static void print_summary(const struct sto_stack *s, const struct sto_generate_result *r)
{
    char weights[32], kv[32], used[32], streamed[48] = "";
    const double rate = per_second(timed_tokens(r), r->generate_ns);
    sto_bytes_text(s->info.weight_bytes, weights, sizeof weights);
    sto_bytes_text(s->info.kv_bytes_per_token * s->info.ctx_tokens, kv, sizeof kv);
    sto_bytes_text(sto_device_peak_bytes(s->device), used, sizeof used);
    if (s->info.streamed_layers > 0)
        (void)snprintf(streamed, sizeof streamed, ", %u of %u layers streamed", (unsigned)s->info.streamed_layers,
                       (unsigned)sto_model_n_layers(s->model));
    (void)fprintf(stderr,
                  "prompt %zu tokens, %.1f/s; generated %zu, %.1f/s (%.2f GB/s of weights), ended by %s; "
                  "device memory %s (weights %s%s, KV of %u tokens %s); loaded in %.1f s\n",
                  r->n_prompt_tokens, per_second(r->n_prompt_tokens, r->prompt_ns), r->n_tokens, rate,
                  rate * (double)s->info.read_bytes_per_token / 1e9, sto_stop_name(r->stop), used, weights, streamed,
                  s->info.ctx_tokens, kv, (double)s->info.load_ns / 1e9);
}

static void print_step(const struct sto_stack *s)
{
    struct sto_engine_info info;
    const double n_layers = (double)sto_model_n_layers(s->model);
    sto_engine_get_info(s->engine, &info);
    if (info.step_dispatches > 0)
        (void)fprintf(stderr, "decode step: %u dispatches, %u barriers, %.1f and %.1f per layer\n",
                      info.step_dispatches, info.step_barriers, info.layer_dispatches / n_layers,
                      info.layer_barriers / n_layers);
}

static cJSON *id_array(const uint32_t *ids, size_t n)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < n; i++)
        (void)cJSON_AddItemToArray(array, cJSON_CreateNumber(ids[i]));
    return array;
}

static enum sto_status print_json(const struct sto_stack *s, const struct sto_generate_result *r, struct output *out,
                                  struct sto_error *err)
{
    cJSON *o = cJSON_CreateObject();
    (void)cJSON_AddItemToObject(o, "model", sto_json_text(sto_model_name(s->model), strlen(sto_model_name(s->model))));
    (void)cJSON_AddStringToObject(o, "device", sto_device_name(s->device));
    (void)cJSON_AddItemToObject(o, "text", sto_json_text(r->text, r->text_size));
    (void)cJSON_AddStringToObject(o, "stop", sto_stop_name(r->stop));
    (void)cJSON_AddItemToObject(o, "prompt_tokens", id_array(r->prompt_tokens, r->n_prompt_tokens));
    (void)cJSON_AddItemToObject(o, "tokens", id_array(r->tokens, r->n_tokens));
    cJSON *t = cJSON_AddObjectToObject(o, "timings");
    (void)cJSON_AddNumberToObject(t, "load_ms", (double)s->info.load_ns / 1e6);
    (void)cJSON_AddNumberToObject(t, "prompt_ms", (double)r->prompt_ns / 1e6);
    (void)cJSON_AddNumberToObject(t, "generate_ms", (double)r->generate_ns / 1e6);
    (void)cJSON_AddNumberToObject(t, "prompt_per_second", per_second(r->n_prompt_tokens, r->prompt_ns));
    (void)cJSON_AddNumberToObject(t, "generate_per_second", per_second(timed_tokens(r), r->generate_ns));
    cJSON *m = cJSON_AddObjectToObject(o, "memory");
    (void)cJSON_AddNumberToObject(m, "device_peak_bytes", (double)sto_device_peak_bytes(s->device));
    (void)cJSON_AddNumberToObject(m, "weight_bytes", (double)s->info.weight_bytes);
    (void)cJSON_AddNumberToObject(m, "device_local_peak_bytes", (double)sto_device_local_peak_bytes(s->device));
    (void)cJSON_AddNumberToObject(m, "streamed_layers", s->info.streamed_layers);
    (void)cJSON_AddNumberToObject(m, "streamed_bytes", (double)s->info.streamed_bytes);
    (void)cJSON_AddNumberToObject(m, "context_tokens", s->info.ctx_tokens);
    (void)cJSON_AddNumberToObject(m, "kv_bytes_per_token", (double)s->info.kv_bytes_per_token);
    (void)cJSON_AddNumberToObject(m, "process_peak_bytes", (double)sto_process_peak_rss());
    (void)cJSON_AddNumberToObject(m, "process_pss_bytes", (double)sto_process_pss());
    char *text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    if (text == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for the JSON object");
    put(out, text, strlen(text));
    put(out, "\n", 1);
    cJSON_free(text);
    return STO_OK;
}

/* ---- the prompt ---- */

static enum sto_status read_prompt(const struct sto_options *o, char **text, size_t *size, struct sto_error *err)
{
    if (o->own.batch_file != NULL)
        return sto_fail(err, STO_ERR_USAGE, "--batch-file: not available in this version");
    if (o->own.prompt != NULL && o->own.file != NULL)
        return sto_fail(err, STO_ERR_USAGE, "-p and -f both give a prompt; one of them is enough");
    if (o->own.prompt != NULL) {
        *size = strlen(o->own.prompt);
        *text = sto_strndup(o->own.prompt, *size);
        return *text != NULL ? STO_OK : sto_fail(err, STO_ERR_NO_FIT, "no memory for the prompt");
    }
    if (o->own.file == NULL && sto_is_terminal(STO_STDIN))
        return sto_fail(err, STO_ERR_USAGE, "no prompt: give -p TEXT, -f FILE, or text on standard input");
    return sto_read_input(o->own.file, text, size, err);
}

static void cancel(void *generator)
{
    sto_generator_cancel(generator);
}

struct run {
    const struct sto_options *options;
    struct sto_stack stack;
    struct sto_generator *generator;
    struct sto_generate_result result;
    char *prompt;
    size_t prompt_size;
    struct output output;
};

static enum sto_status generate(struct run *r, struct sto_error *err)
{
    const struct sto_options *o = r->options;
    struct sto_generate_params p;
    uint32_t breakers[STO_MAX_LIST];
    sto_generate_defaults(&p);
    p.prompt = r->prompt;
    p.prompt_size = r->prompt_size;
    p.raw = o->own.raw;
    p.max_tokens = o->own.max_tokens == UINT32_MAX ? 0 : o->own.max_tokens;
    p.ignore_end = o->own.ignore_eos;
    p.stops = o->own.stops.items;
    p.n_stops = o->own.stops.n;
    p.sampling = o->sampling.params;
    p.user = &r->output;
    p.on_text = write_text;
    p.on_prompt = show_prompt;
    const enum sto_status status = sto_find_dry_breakers(o, r->generator, breakers, err);
    if (status != STO_OK)
        return status;
    p.sampling.dry_breakers = breakers;
    p.sampling.n_dry_breakers = o->sampling.dry_breakers.n;
    if (!p.raw && sto_generator_chat_form(r->generator) == NULL)
        sto_print_message(STO_LOG_WARNING, "this model has no chat template; the prompt is sent raw");
    return sto_generate(r->generator, &p, &r->result, err);
}

static enum sto_status run(struct run *r, struct sto_error *err)
{
    sto_cli_on_interrupt(NULL, NULL); /* from here on Ctrl-C is a request */
    enum sto_status status = sto_stack_open(&r->stack, r->options, NULL, err);
    if (status == STO_OK)
        status = sto_generator_create(r->stack.engine, &r->generator, err);
    if (status != STO_OK)
        return status;
    r->output = (struct output){.json = r->options->own.json, .callbacks = sto_term_callbacks()};
    sto_cli_on_interrupt(cancel, r->generator);
    if (sto_cli_interrupted()) /* while nobody was listening */
        sto_generator_cancel(r->generator);
    status = generate(r, err);
    sto_cli_on_interrupt(NULL, NULL);
    sto_term_clear();
    if (!r->output.json && r->result.text_size > 0 && r->output.last != '\n')
        put(&r->output, "\n", 1);
    if (r->output.json && r->result.text != NULL) {
        const enum sto_status printed = print_json(&r->stack, &r->result, &r->output, status == STO_OK ? err : NULL);
        status = status != STO_OK ? status : printed;
    }
    if (r->output.broken != 0 && status == STO_OK)
        status = sto_fail(err, STO_ERR_FAILED, "cannot write to standard output: %s", strerror(r->output.broken));
    if (!r->options->common.quiet && r->result.n_tokens > 0)
        print_summary(&r->stack, &r->result);
    if (!r->options->common.quiet && r->options->common.verbose > 0)
        print_step(&r->stack);
    return status;
}

int sto_cmd_run(int argc, char **argv)
{
    struct sto_options options;
    struct run r = {.options = &options};
    struct sto_error err = {0};
    int code;
    if (!sto_cli_parse(argc, argv, &options, &code))
        return code;
    sto_options_sampling(&options);
    sto_term_start(options.common.quiet, options.common.verbose);
    enum sto_status status = read_prompt(&options, &r.prompt, &r.prompt_size, &err);
    if (status == STO_OK)
        status = run(&r, &err);
    sto_generate_result_free(&r.result);
    sto_generator_destroy(r.generator);
    sto_stack_close(&r.stack);
    sto_free(r.prompt);
    return status == STO_OK ? sto_cli_finish() : sto_cli_fail(&err);
}

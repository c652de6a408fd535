/* Many prompts: from a file to a file.
 *
 *   file -> lines -> jobs (tokens) -> those without a result -> context, sequences at once -> engine -> results */
#include "host/cli/run_batch.h"

#include <stdio.h>
#include <string.h>

#include "host/cli/batch_output.h"
#include "host/cli/cli.h"
#include "host/cli/stack.h"
#include "host/cli/term.h"
#include "models/model.h"
#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/sizes.h"

enum { DEFAULT_PARALLEL = 64 };

struct batch_run {
    const struct sto_options *options;
    struct sto_stack stack;
    struct sto_batch *batch;
    struct sto_batch_file file;
    struct sto_batch_output output;
    struct sto_batch_progress done;
    char *text; /* of the file */
    size_t size;
    uint32_t dry_breakers[STO_MAX_LIST];
    uint32_t n_sequences;
    uint64_t begin_ns, end_ns;
};

/* ---- options ---- */

enum sto_status sto_run_batch_check(const struct sto_options *o, struct sto_error *err)
{
    const char *option = o->own.output != NULL ? "--batch-out"
                         : o->own.resume       ? "--resume"
                         : o->own.parallel > 0 ? "--parallel"
                                               : NULL;
    return option == NULL ? STO_OK : sto_fail(err, STO_ERR_USAGE, "%s is for --batch-file FILE", option);
}

static enum sto_status check_options(const struct sto_options *o, struct sto_error *err)
{
    const char *option = o->own.prompt != NULL          ? "-p"
                         : o->own.file != NULL          ? "-f"
                         : o->own.tools != NULL         ? "--tools"
                         : o->own.thinking_budget != 0  ? "--think-budget"
                         : o->own.fold                  ? "--fold"
                                                        : NULL;
    if (option != NULL)
        return sto_fail(err, STO_ERR_USAGE, "%s does not go with --batch-file", option);
    if (o->own.resume && o->own.output == NULL)
        return sto_fail(err, STO_ERR_USAGE, "--resume needs --batch-out FILE, the results to go on with");
    return STO_OK;
}

/* What a line's job is where the line says nothing. */
static struct sto_batch_job default_job(struct batch_run *r)
{
    const struct sto_options *o = r->options;
    struct sto_batch_job job = {
        .system = o->own.system,
        .system_size = o->own.system != NULL ? strlen(o->own.system) : 0,
        .raw = o->own.raw,
        .thinking = (enum sto_thinking)o->own.thinking,
        .max_tokens = o->own.max_tokens == UINT32_MAX ? 0 : o->own.max_tokens,
        .ignore_end = o->own.ignore_eos,
        .stops = o->own.stops.items,
        .n_stops = o->own.stops.n,
        .sampling = o->sampling.params,
    };
    if (!o->common.seed_set)
        job.sampling.seed = 0; /* results can be gone on with */
    job.sampling.dry_breakers = r->dry_breakers;
    job.sampling.n_dry_breakers = o->sampling.dry_breakers.n;
    return job;
}

/* ---- prompts ---- */

/* Tells models apart: by their sizes, their template, and some of their weights. */
static enum sto_status hash_model(const struct batch_run *r, uint64_t *out, struct sto_error *err)
{
    enum { SAMPLES = 16, SAMPLE_BYTES = 1024 };
    const struct sto_model *m = r->stack.model;
    const struct sto_view form = sto_model_get_vocab(m)->chat_template;
    const uint32_t settings[] = {(uint32_t)r->options->common.kv_type, (uint32_t)r->options->common.math,
                                 m->h.n_vocab, m->h.n_layers, m->h.n_embd, m->n_weights};
    uint64_t hash = sto_hash_bytes(STO_HASH_BASIS, settings, sizeof settings);
    hash = sto_hash_bytes(hash, m->arch, strlen(m->arch));
    hash = sto_hash_bytes(hash, form.data, form.size);
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < SAMPLES && m->n_weights > 0 && status == STO_OK; i++) {
        const struct sto_model_weight *w = &m->weights[(uint64_t)i * m->n_weights / SAMPLES];
        uint8_t bytes[SAMPLE_BYTES];
        const size_t size = w->bytes < SAMPLE_BYTES ? (size_t)w->bytes : SAMPLE_BYTES;
        status = m->vtable->read_weight(m, w, (w->bytes - size) / 2, bytes, size, err);
        if (status == STO_OK)
            hash = sto_hash_bytes(hash, bytes, size);
    }
    *out = hash;
    return status;
}

static enum sto_status read_jobs(struct batch_run *r, struct sto_error *err)
{
    const struct sto_options *o = r->options;
    const bool from_stdin = strcmp(o->own.batch_file, "-") == 0;
    const char *name = from_stdin ? "standard input" : o->own.batch_file;
    enum sto_status status = sto_find_dry_breakers(o, sto_batch_generator(r->batch), r->dry_breakers, err);
    const struct sto_batch_job defaults = default_job(r);
    if (status == STO_OK)
        status = sto_read_input(from_stdin ? NULL : name, &r->text, &r->size, err);
    if (status == STO_OK)
        status = sto_batch_file_read(name, r->text, r->size, &defaults, &r->file, err);
    for (size_t i = 0; i < r->file.n && status == STO_OK; i++) {
        status = sto_batch_add(r->batch, &r->file.lines[i].job, err);
        if (sto_term_progress("prompts read", i + 1, r->file.n, NULL) && status == STO_OK)
            status = sto_fail(err, STO_ERR_CANCELLED, "stopped before the first prompt");
    }
    sto_term_clear();
    if (status == STO_OK && !o->own.raw && sto_generator_chat_form(sto_batch_generator(r->batch)) == NULL)
        sto_print_warning("this model has no chat template; prompts are sent raw");
    return status;
}

/* ---- the engine ---- */

/* Context and sequences; both as the options have them, else from the prompts and from memory. */
static enum sto_status choose_sizes(struct batch_run *r, struct sto_engine_params *params, struct sto_error *err)
{
    const struct sto_options *o = r->options;
    const size_t n_left = r->file.n - r->output.n_done;
    uint32_t wanted = o->own.parallel > 0 ? o->own.parallel : DEFAULT_PARALLEL;
    uint64_t layers = 0;
    struct sto_sizes sizes;
    wanted = n_left < wanted ? (uint32_t)n_left : wanted;
    if (params->ctx_tokens == 0)
        params->ctx_tokens = sto_batch_context(r->batch);
    params->n_sequences = wanted;
    enum sto_status status = sto_sizes_of(r->stack.model, params, &sizes, err);
    if (status != STO_OK)
        return status;
    for (uint32_t l = 0; l < sto_model_n_layers(r->stack.model); l++)
        layers += sizes.layer_bytes[l];
    struct sto_fit_input fit = sizes.fit;
    fit.kv_bytes_per_token = sizes.kv_bytes_per_token;
    fit.available_bytes = params->vram_bytes != 0  ? params->vram_bytes
                          : r->stack.device != NULL ? sto_default_budget_bytes(r->stack.device)
                                                    : sto_ram_bytes() / 8 * 7;
    r->n_sequences = sto_fit_sequences(&fit, layers, params->ctx_tokens, wanted);
    params->n_sequences = r->n_sequences;
    sto_sizes_free(&sizes);
    return STO_OK;
}

static enum sto_status open_engine(struct batch_run *r, struct sto_error *err)
{
    struct sto_engine_params params;
    sto_options_engine(r->options, &params);
    enum sto_status status = sto_stack_open_device(&r->stack, r->options, err);
    if (status == STO_OK)
        status = choose_sizes(r, &params, err);
    return status == STO_OK ? sto_stack_create_engine(&r->stack, r->options, &params, err) : status;
}

/* ---- running ---- */

static enum sto_status take_result(void *user, const struct sto_batch_result *result, struct sto_error *err)
{
    return sto_batch_output_add(&((struct batch_run *)user)->output, result, err);
}

/* "812 tokens/s, 3 min left" */
static void show_progress(void *user, const struct sto_batch_progress *p)
{
    const struct batch_run *r = user;
    const double seconds = (double)(sto_now_ns() - r->begin_ns) / 1e9;
    const double left = p->n_done > 0 ? seconds / (double)p->n_done * (double)(p->n_jobs - p->n_done) : -1;
    char note[64], when[32] = "";
    if (left >= 5400)
        (void)snprintf(when, sizeof when, ", %.1f h left", left / 3600);
    else if (left >= 90)
        (void)snprintf(when, sizeof when, ", %.0f min left", left / 60);
    else if (left >= 0)
        (void)snprintf(when, sizeof when, ", %.0f s left", left);
    (void)snprintf(note, sizeof note, "%.0f tokens/s%s", seconds > 0 ? (double)p->n_tokens / seconds : 0, when);
    (void)sto_term_progress("prompts", r->output.n_done + p->n_done, r->file.n, note);
}

static void cancel(void *batch)
{
    sto_batch_cancel(batch);
}

static void print_summary(const struct batch_run *r)
{
    const struct sto_batch_progress *d = &r->done;
    const double seconds = (double)(r->end_ns - r->begin_ns) / 1e9;
    const double rate = seconds > 0 ? 1 / seconds : 0;
    char used[32], before[48] = "", failed[48] = "", lanes[STO_LANES_TEXT_BYTES];
    sto_bytes_text(sto_stack_device_peak_bytes(&r->stack), used, sizeof used);
    if (r->output.n_done > 0)
        (void)snprintf(before, sizeof before, ", %zu were there already", r->output.n_done);
    if (d->n_failed > 0)
        (void)snprintf(failed, sizeof failed, " (%zu failed)", d->n_failed);
    (void)sto_lanes_text(&r->stack.info, sto_model_n_layers(r->stack.model), lanes);
    (void)fprintf(stderr,
                  "%zu of %zu prompts done%s in %.1f s%s; prompts %llu tokens, %.1f/s; generated %llu, %.1f/s, %u at a "
                  "time; device memory %s%s; loaded in %.1f s\n",
                  d->n_done, d->n_jobs, failed, seconds, before, (unsigned long long)d->n_prompt_tokens,
                  (double)d->n_prompt_tokens * rate, (unsigned long long)d->n_tokens, (double)d->n_tokens * rate,
                  (unsigned)r->n_sequences, used, lanes, (double)r->stack.info.load_ns / 1e9);
}

static enum sto_status run_jobs(struct batch_run *r, struct sto_error *err)
{
    const struct sto_batch_params params = {.n_sequences = r->n_sequences, .skip = r->output.done, .user = r,
                                            .on_result = take_result, .on_progress = show_progress};
    sto_cli_on_interrupt(cancel, r->batch);
    if (sto_cli_interrupted()) /* while nobody was listening */
        sto_batch_cancel(r->batch);
    r->begin_ns = sto_now_ns();
    const enum sto_status status = sto_batch_run(r->batch, r->stack.engine, &params, &r->done, err);
    r->end_ns = sto_now_ns();
    sto_cli_on_interrupt(NULL, NULL);
    sto_term_clear();
    if (!r->options->common.quiet)
        print_summary(r);
    return status;
}

/* An end that is not the whole says how to go on. */
static enum sto_status conclude(const struct batch_run *r, enum sto_status status, struct sto_error *err)
{
    const size_t n_failed = r->output.n_failed + r->done.n_failed;
    struct sto_error why = err != NULL ? *err : (struct sto_error){0};
    if (status == STO_ERR_CANCELLED && r->options->own.output != NULL)
        return sto_fail(err, status, "%s; the same command with --resume does the rest", why.message);
    if (status == STO_OK && n_failed > 0)
        return sto_fail(err, STO_ERR_FAILED, "%zu of %zu prompts failed: see \"error\" in %s", n_failed, r->file.n,
                        r->output.name);
    return status;
}

static enum sto_status run(struct batch_run *r, struct sto_error *err)
{
    const struct sto_callbacks callbacks = sto_term_callbacks();
    const struct sto_options *o = r->options;
    const char *path = NULL;
    enum sto_status status;
    if ((status = check_options(o, err)) != STO_OK)
        return status;
    sto_cli_on_interrupt(NULL, NULL); /* from here on Ctrl-C is a request */
    if ((status = sto_cli_model(o, &path, err)) != STO_OK)
        return status;
    if ((status = sto_model_open(path, NULL, &callbacks, &r->stack.model, err)) != STO_OK)
        return status;
    if ((status = sto_batch_create(r->stack.model, &r->batch, err)) != STO_OK)
        return status;
    if ((status = read_jobs(r, err)) != STO_OK)
        return status;
    r->output.jobs = &r->file;
    r->output.ids = o->own.json;
    if ((status = hash_model(r, &r->output.settings, err)) != STO_OK)
        return status;
    if ((status = sto_batch_output_open(&r->output, o->own.output, o->own.resume, err)) != STO_OK)
        return status;
    if (r->output.n_done == r->file.n) {
        if (!o->common.quiet)
            sto_print_message(STO_LOG_INFO, "all prompts have their results already");
        return STO_OK;
    }
    if ((status = open_engine(r, err)) != STO_OK)
        return status;
    return run_jobs(r, err);
}

enum sto_status sto_run_batch(const struct sto_options *options, struct sto_error *err)
{
    struct batch_run r = {.options = options};
    enum sto_status status = run(&r, err);
    sto_term_clear();
    status = sto_batch_output_close(&r.output, conclude(&r, status, err), err);
    sto_batch_destroy(r.batch);
    sto_batch_file_free(&r.file);
    sto_stack_close(&r.stack);
    sto_free(r.text);
    return status;
}

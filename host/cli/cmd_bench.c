/* strato bench: tokens per second, beside what the memory allows. */
#include <stdio.h>
#include <string.h>

#include "host/cli/bench.h"
#include "host/cli/bench_hash.h"
#include "host/cli/cli.h"
#include "host/cli/term.h"
#include "models/gguf_types.h"
#include "models/model.h"
#include "models/shape.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/engine.h"
#include "runtime/host_memory.h"
#include "runtime/probe.h"

enum { MAX_TOKENS = 1 << 20, MAX_UBATCH = 1 << 16, MAX_SWEEP_DEPTH = 1 << 15, MAX_SWEEP_UBATCH = 512 };

struct job {
    const struct sto_options *options;
    struct sto_bench_list prompts, generates, depths, batches, ubatches;
    struct sto_stack stack;
    struct sto_bench_runner runner;
    struct sto_bench_result result;
    struct sto_bench_setup setup;
    struct sto_bench_report report;
    struct sto_gpu_source *source;
    const char *file;
    char *sha256;
    char model_type[96];
    struct sto_bandwidth bandwidth;
    struct sto_bench_budget budget; /* --sweep vram */
};

/* ---- options ---- */

static void set_default(struct sto_bench_list *list, uint32_t value)
{
    if (list->n == 0)
        list->values[list->n++] = value;
}

static enum sto_status read_lists(struct job *j, struct sto_error *err)
{
    const struct sto_command_options *o = &j->options->own;
    enum sto_status status;
    if ((status = sto_bench_list_read("-p", &o->bench_prompt, 0, MAX_TOKENS, &j->prompts, err)) != STO_OK ||
        (status = sto_bench_list_read("-n", &o->bench_generate, 0, MAX_TOKENS, &j->generates, err)) != STO_OK ||
        (status = sto_bench_list_read("-d", &o->bench_depth, 0, MAX_TOKENS, &j->depths, err)) != STO_OK ||
        (status = sto_bench_list_read("-b", &o->bench_batch, 1, MAX_TOKENS, &j->batches, err)) != STO_OK ||
        (status = sto_bench_list_read("-ub", &o->bench_ubatch, 1, MAX_UBATCH, &j->ubatches, err)) != STO_OK)
        return status;
    set_default(&j->prompts, 512);
    set_default(&j->generates, 128);
    set_default(&j->depths, 0);
    set_default(&j->batches, 2048);
    set_default(&j->ubatches, j->options->common.ubatch_tokens > 0 ? j->options->common.ubatch_tokens : 512);
    if (sto_bench_list_max(&j->prompts) == 0 && sto_bench_list_max(&j->generates) == 0)
        return sto_fail(err, STO_ERR_USAGE, "-p 0 and -n 0 leave nothing to measure");
    return STO_OK;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t most_new_tokens(const struct job *j)
{
    return max_u32(sto_bench_list_max(&j->prompts), sto_bench_list_max(&j->generates));
}

/* The lists that a sweep goes over, where they were not given: depths doubled up to what the model was trained for (or
 * --ctx), or ubatches from 1 to the longest prompt, at most 512. */
static enum sto_status make_sweep(struct job *j, struct sto_error *err)
{
    const struct sto_command_options *o = &j->options->own;
    const uint32_t ctx = j->options->common.ctx_tokens, trained = sto_model_n_ctx_train(j->stack.model);
    const uint32_t most = ctx > 0 && ctx < trained ? ctx : trained, room = most_new_tokens(j);
    if (o->sweep == STO_SWEEP_CONTEXT && o->bench_depth.n == 0) {
        for (uint32_t d = 512; d <= MAX_SWEEP_DEPTH && room <= most && d <= most - room; d *= 2)
            j->depths.values[j->depths.n++] = d;
        if (j->depths.n == 1)
            return sto_fail(err, STO_ERR_USAGE,
                            "--sweep context: %u tokens of context leave no room to vary the depth; -d gives others",
                            (unsigned)most);
    }
    if (o->sweep == STO_SWEEP_BATCH && o->bench_ubatch.n == 0) {
        j->ubatches.n = 0;
        const uint32_t longest = sto_bench_list_max(&j->prompts);
        for (uint32_t u = 1; u <= MAX_SWEEP_UBATCH && u / 2 < longest; u *= 2)
            j->ubatches.values[j->ubatches.n++] = u;
    }
    if (o->sweep == STO_SWEEP_BATCH && o->bench_generate.n == 0)
        j->generates.values[0] = 0; /* one token at a time, whatever the batch */
    return STO_OK;
}

/* ---- set-up ---- */

static uint32_t needed_tokens(const struct job *j)
{
    return sto_bench_list_max(&j->depths) + most_new_tokens(j);
}

static enum sto_status check_context(const struct job *j, struct sto_error *err)
{
    const struct sto_options *o = j->options;
    const uint32_t needed = needed_tokens(j);
    if (o->common.ctx_tokens != 0 && o->common.ctx_tokens < needed)
        return sto_fail(err, STO_ERR_USAGE, "--ctx %u: the longest test needs %u tokens",
                        (unsigned)o->common.ctx_tokens, (unsigned)needed);
    if (needed > sto_model_n_ctx_train(j->stack.model))
        return sto_fail(err, STO_ERR_USAGE, "the longest test needs %u tokens of context, the model has %u",
                        (unsigned)needed, (unsigned)sto_model_n_ctx_train(j->stack.model));
    return STO_OK;
}

static bool sweeps_budgets(const struct job *j)
{
    return j->options->own.sweep == STO_SWEEP_VRAM;
}

static struct sto_engine_params engine_params(const struct job *j)
{
    struct sto_engine_params params;
    sto_options_engine(j->options, &params);
    params.ctx_tokens = max_u32(j->options->common.ctx_tokens, needed_tokens(j));
    params.ubatch_tokens = sto_bench_list_max(&j->ubatches);
    return params;
}

static enum sto_status create_engine(struct job *j, struct sto_error *err)
{
    const struct sto_callbacks callbacks = sto_term_callbacks();
    struct sto_engine_params params = engine_params(j);
    if (!sweeps_budgets(j))
        return sto_stack_create_engine(&j->stack, j->options, &params, err);
    enum sto_status status = sto_bench_budget_plan(j->stack.model, &params, &j->budget, err);
    if (status != STO_OK)
        return status;
    status = sto_engine_create(j->stack.device, j->stack.model, &params, &callbacks, &j->stack.engine, err);
    sto_term_clear();
    if (status == STO_OK)
        sto_engine_get_info(j->stack.engine, &j->stack.info);
    else
        sto_model_plan_free(&j->budget.plan);
    return status;
}

/* "qwen3 Q4_K_M": the family, and what the file says of its weights; of a shape its own name. */
static void name_type(struct job *j)
{
    const struct sto_model *m = j->stack.model;
    const struct sto_gguf *gguf = sto_model_get_gguf(m);
    uint32_t file_type = UINT32_MAX;
    struct sto_error ignored;
    if (gguf == NULL) {
        (void)snprintf(j->model_type, sizeof j->model_type, "%.90s", m->path);
        return;
    }
    if (sto_gguf_need_u32(gguf, "general.file_type", &file_type, &ignored) != STO_OK)
        file_type = UINT32_MAX;
    const char *mixture = sto_gguf_mixture_name(file_type);
    (void)snprintf(j->model_type, sizeof j->model_type, "%s %s", sto_model_arch(m), mixture != NULL ? mixture : "");
}

static enum sto_status open_model(struct job *j, const struct sto_callbacks *callbacks, struct sto_error *err)
{
    const struct sto_options *o = j->options;
    enum sto_status status;
    if (o->own.shape != NULL) {
        status = sto_shape_open(o->own.shape, o->common.seed_set ? o->common.seed : 0, &j->stack.model, err);
        j->file = o->own.shape;
    } else {
        status = sto_cli_model(o, &j->file, err);
        if (status == STO_OK)
            status = sto_model_open(j->file, NULL, callbacks, &j->stack.model, err);
    }
    if (status == STO_OK)
        name_type(j);
    return status;
}

static enum sto_status create_runner(struct job *j, struct sto_error *err)
{
    struct sto_bench_runner *r = &j->runner;
    r->n_vocab = sto_model_n_vocab(j->stack.model);
    r->repetitions = j->options->own.repetitions;
    r->source = j->source;
    r->draw = j->options->own.decode == STO_BENCH_DRAW && sto_engine_can_draw(j->stack.engine);
    r->seed = j->options->common.seed_set ? j->options->common.seed : 0;
    r->device = j->stack.device;
    r->engine = j->stack.engine;
    r->n_tokens = max_u32(most_new_tokens(j), sto_bench_list_max(&j->ubatches));
    r->tokens = sto_calloc(r->n_tokens, sizeof *r->tokens);
    r->logits = sto_calloc(r->n_vocab, sizeof *r->logits);
    j->result.ns = sto_calloc(r->repetitions, sizeof *j->result.ns);
    j->result.first_token_ns = sto_calloc(r->repetitions, sizeof *j->result.first_token_ns);
    if (r->tokens == NULL || r->logits == NULL || j->result.ns == NULL || j->result.first_token_ns == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for %u tokens", (unsigned)r->n_tokens);
    return sto_session_create(j->stack.engine, &r->session, err);
}

static enum sto_status hash_model(struct job *j, const struct sto_callbacks *callbacks, struct sto_error *err)
{
    const struct sto_gguf *gguf = sto_model_get_gguf(j->stack.model);
    char cache[2048];
    if (gguf == NULL || j->options->own.no_hash)
        return STO_OK;
    sto_cache_dir(cache, sizeof cache);
    const enum sto_status status = sto_sha256_model(gguf, cache, callbacks, &j->sha256, err);
    sto_term_clear();
    return status;
}

static void warn_of_spill(const struct job *j)
{
    char bytes[24], line[160];
    if (j->setup.spilled_bytes == 0)
        return;
    sto_bytes_text(j->setup.spilled_bytes, bytes, sizeof bytes);
    (void)snprintf(line, sizeof line,
                   "%s of what should be in device memory seem to lie in system memory: the figures are those of a "
                   "model that does not fit",
                   bytes);
    sto_print_message(STO_LOG_WARNING, line);
}

static enum sto_status open_device(struct job *j, struct sto_error *err)
{
    const struct sto_callbacks callbacks = sto_term_callbacks();
    struct sto_device_params params;
    sto_options_device(j->options, &params);
    params.simulate_only = true; /* nobody reads what is computed here */
    return sto_device_open(&params, &callbacks, &j->stack.device, err);
}

/* The model, and what holds for all tests. */
static enum sto_status open_all(struct job *j, struct sto_error *err)
{
    const struct sto_callbacks callbacks = sto_term_callbacks();
    uint32_t address[4];
    enum sto_status status;
    if ((status = open_model(j, &callbacks, err)) != STO_OK)
        return status;
    if ((status = make_sweep(j, err)) != STO_OK)
        return status;
    if ((status = check_context(j, err)) != STO_OK)
        return status;
    if ((status = open_device(j, err)) != STO_OK)
        return status;
    if (sto_device_pci_address(j->stack.device, address))
        j->source = sto_gpu_facts_open(address, NULL);
    if ((status = sto_bandwidth_measure(j->stack.device, &j->bandwidth, err)) != STO_OK)
        return status;
    return hash_model(j, &callbacks, err);
}

/* Engine and session, and what is said of them. */
static enum sto_status open_engine(struct job *j, struct sto_error *err)
{
    enum sto_status status;
    const struct sto_bench_memory before = sto_bench_memory_now(j->stack.device, j->source);
    if ((status = create_engine(j, err)) != STO_OK)
        return status;
    if ((status = create_runner(j, err)) != STO_OK)
        return status;
    const struct sto_bench_memory after = sto_bench_memory_now(j->stack.device, j->source);
    j->setup = (struct sto_bench_setup){
        .options = j->options,
        .model = j->stack.model,
        .snapshot = sto_device_get_snapshot(j->stack.device),
        .plan = sto_device_get_plan(j->stack.device),
        .findings = sto_device_get_findings(j->stack.device),
        .engine = j->stack.info,
        .sizes = sto_bench_sizes_of(j->stack.model, j->stack.info.kv_bytes_per_token),
        .bandwidth = j->bandwidth,
        .model_file = j->file,
        .model_type = j->model_type,
        .sha256 = j->sha256,
        .memory_before = before,
        .memory_after = after,
        .spilled_bytes = sto_bench_spilled_bytes(&before, &after, sto_device_get_plan(j->stack.device)->unified_memory),
        .source = j->source,
        .budget = sweeps_budgets(j) ? &j->budget : NULL,
    };
    warn_of_spill(j);
    return STO_OK;
}

static void close_engine(struct job *j)
{
    sto_session_destroy(j->runner.session);
    sto_engine_destroy(j->stack.engine);
    sto_free(j->runner.tokens);
    sto_free(j->runner.logits);
    sto_free(j->result.ns);
    sto_free(j->result.first_token_ns);
    j->runner = (struct sto_bench_runner){0};
    j->result = (struct sto_bench_result){0};
    j->stack.engine = NULL;
}

/* ---- the tests ---- */

static enum sto_status run_test(struct job *j, struct sto_bench_test test, struct sto_error *err)
{
    if (test.n_prompt == 0 && test.n_gen == 0)
        return STO_OK;
    j->result.work = sto_bench_work_of(&j->setup.sizes, &test);
    const enum sto_status status = sto_bench_run(&j->runner, &test, &j->result, err);
    j->budget.peak_bytes = sto_device_local_peak_bytes(j->stack.device);
    return status == STO_OK ? sto_bench_report_row(&j->report, &j->result, err) : status;
}

/* All prompts, then all generations, at one depth with one batch and ubatch. */
static enum sto_status run_tests(struct job *j, struct sto_bench_test test, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    for (size_t i = 0; i < j->prompts.n && status == STO_OK; i++) {
        test.n_prompt = j->prompts.values[i];
        status = run_test(j, test, err);
    }
    test.n_prompt = 0;
    for (size_t i = 0; i < j->generates.n && status == STO_OK; i++) {
        test.n_gen = j->generates.values[i];
        status = run_test(j, test, err);
    }
    return status;
}

static enum sto_status run_all(struct job *j, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    for (size_t d = 0; d < j->depths.n && status == STO_OK; d++) {
        if (j->options->own.synthetic)
            status = sto_session_make_synthetic(j->runner.session, j->depths.values[d], j->runner.seed, err);
        else
            status = sto_bench_fill(&j->runner, j->depths.values[d], sto_bench_list_max(&j->ubatches), err);
        for (size_t b = 0; b < j->batches.n && status == STO_OK; b++) {
            for (size_t u = 0; u < j->ubatches.n && status == STO_OK; u++) {
                const struct sto_bench_test test = {.n_depth = j->depths.values[d],
                                                    .n_batch = j->batches.values[b],
                                                    .n_ubatch = j->ubatches.values[u]};
                status = run_tests(j, test, err);
            }
        }
    }
    return status;
}

/* ---- budgets ---- */

/* Rates as they are found once, before anything is within a budget. The processor's are those of a simulation: there is
 * nothing yet that measures them. */
static enum sto_status open_budgets(struct job *j, struct sto_bench_budgets *budgets, struct sto_error *err)
{
    const struct sto_engine_params engine = engine_params(j);
    struct sto_model_plan_params *params = &j->budget.params;
    struct sto_sizes sizes;
    enum sto_status status = sto_sizes_of(j->stack.model, &engine, &sizes, err);
    if (status != STO_OK)
        return status;
    *params = (struct sto_model_plan_params){.ram_bytes = j->options->common.ram_bytes,
                                             .pinned_bytes = j->options->common.pinned_bytes,
                                             .means = STO_PLAN_MEANS};
    if (params->pinned_bytes == 0 && params->ram_bytes == 0)
        params->pinned_bytes = sto_default_ram_bytes() / 2; /* what engines take */
    status = sto_probe_rates(j->stack.device, sizes.type_bytes, UINT64_MAX, &params->rates, err);
    if (j->options->common.sim != NULL)
        params->rates.cpu_gb_per_s = j->options->common.simulation.cpu_gb_per_s;
    for (uint32_t t = 0; t < STO_TYPE_COUNT; t++)
        j->budget.read_bytes += sizes.type_bytes[t];
    if (status == STO_OK)
        status = sto_bench_budgets_choose(&j->options->own.budgets, &sizes, sto_model_n_layers(j->stack.model),
                                          sto_default_budget_bytes(j->stack.device), budgets, err);
    sto_sizes_free(&sizes);
    return status;
}

/* On a device that was opened anew: what it has held at most is this budget's. */
static enum sto_status run_budget(struct job *j, uint64_t vram_bytes, struct sto_error *err)
{
    sto_device_close(j->stack.device);
    j->stack.device = NULL;
    j->budget.params.vram_bytes = vram_bytes;
    enum sto_status status = open_device(j, err);
    if (status != STO_OK)
        return status;
    if ((status = open_engine(j, err)) == STO_OK) {
        status = run_all(j, err);
        sto_model_plan_free(&j->budget.plan);
    }
    close_engine(j);
    return status;
}

/* Budgets that the model does not fit in are left out, with a word on stderr; if all are, that is the error. */
static enum sto_status run_budgets(struct job *j, struct sto_error *err)
{
    struct sto_bench_budgets budgets;
    enum sto_status status = open_budgets(j, &budgets, err);
    for (size_t i = 0; i < budgets.n && status == STO_OK; i++) {
        status = run_budget(j, budgets.bytes[i], err);
        if (status == STO_ERR_NO_FIT && (i + 1 < budgets.n || j->report.n_rows > 0)) {
            sto_print_message(STO_LOG_INFO, err->message);
            status = STO_OK;
        }
    }
    return status;
}

/* A sweep is for plotting: CSV, unless something else is asked for. */
static enum sto_bench_output choose_format(const struct sto_options *o)
{
    return o->own.sweep != STO_SWEEP_NONE && !o->own.bench_output_set ? STO_BENCH_CSV
                                                                      : (enum sto_bench_output)o->own.bench_output;
}

static enum sto_status run(struct job *j, struct sto_error *err)
{
    enum sto_status status;
    if (sweeps_budgets(j) && (j->options->common.place != NULL || j->options->common.vram_bytes > 0))
        return sto_fail(err, STO_ERR_USAGE, "--sweep vram plans for each of its budgets: --budgets, not --%s",
                        j->options->common.place != NULL ? "place" : "vram");
    if (!sweeps_budgets(j) && j->options->own.budgets.n > 0)
        return sto_fail(err, STO_ERR_USAGE, "--budgets is for --sweep vram");
    if (j->options->own.shape != NULL && j->options->n_models > 0)
        return sto_fail(err, STO_ERR_USAGE, "--shape '%s' and MODEL '%s': one of them is enough", j->options->own.shape,
                        j->options->models[0]);
    if ((status = read_lists(j, err)) != STO_OK)
        return status;
    if ((status = open_all(j, err)) != STO_OK)
        return status;
    if (!sweeps_budgets(j) && (status = open_engine(j, err)) != STO_OK)
        return status;
    j->report = (struct sto_bench_report){.out = stdout, .format = choose_format(j->options), .setup = &j->setup};
    sto_bench_report_begin(&j->report);
    status = sweeps_budgets(j) ? run_budgets(j, err) : run_all(j, err);
    sto_bench_report_end(&j->report);
    if (status == STO_OK && j->report.n_throttled > 0)
        status = sto_fail(err, STO_ERR_FAILED, "the GPU was slowed down during %zu of %zu tests: these have no average",
                          j->report.n_throttled, j->report.n_rows);
    return status;
}

int sto_cmd_bench(int argc, char **argv)
{
    struct sto_options options;
    struct job j = {.options = &options};
    struct sto_error err = {0};
    int code;
    if (!sto_cli_begin(argc, argv, &options, &code))
        return code;
    const enum sto_status status = run(&j, &err);
    close_engine(&j);
    sto_stack_close(&j.stack);
    sto_gpu_facts_close(j.source);
    sto_free(j.sha256);
    return status == STO_OK ? sto_cli_finish() : sto_cli_fail(&err);
}

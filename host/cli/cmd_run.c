/* strato run: generates text from a prompt, streamed to stdout; a summary goes to stderr.
 *
 *   prompt -> conversation of one turn, or the prompt alone (--raw, or a model without a chat template)
 *          -> a terminal: thoughts dim, calls in brackets    as strato chat shows them
 *          -> a file or a pipe: all that the model writes; with --fold the answer alone
 *          -> --json: an object at the end */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/chat_screen.h"
#include "host/cli/chat_tools.h"
#include "host/cli/cli.h"
#include "host/cli/run_batch.h"
#include "host/cli/run_report.h"
#include "host/cli/term.h"
#include "runtime/base/mem.h"
#include "runtime/base/os_term.h"

struct run {
    const struct sto_options *options;
    struct sto_stack stack;
    struct sto_generator *generator;
    struct sto_conversation *conversation; /* NULL: the prompt goes to the model as it is */
    struct sto_chat_screen screen;
    struct sto_run_answer answer;
    struct sto_callbacks callbacks;
    char *prompt;
    size_t prompt_size;
    enum sto_status status; /* of what happened while text came */
    struct sto_error *err;
};

/* ---- output ---- */

static bool show(struct run *r, const struct sto_event *event)
{
    if (r->options->own.json)
        r->status = r->status == STO_OK ? sto_run_answer_add(&r->answer, event, r->err) : r->status;
    else
        sto_chat_screen_event(&r->screen, event);
    return r->screen.broken != 0 || r->status != STO_OK || sto_cli_interrupted();
}

static bool show_text(void *user, const char *text, size_t size)
{
    return show(user, &(struct sto_event){.kind = STO_EVENT_TEXT, .text = text, .size = size});
}

static bool show_event(void *user, const struct sto_event *event)
{
    return show(user, event);
}

static bool show_prompt(void *user, size_t done, size_t total)
{
    const struct sto_callbacks *callbacks = &((struct run *)user)->callbacks;
    return callbacks->progress != NULL && callbacks->progress(callbacks->user, "prompt", done, total);
}

static enum sto_status print_json(struct run *r, struct sto_error *err)
{
    char *text = NULL;
    const enum sto_status status = sto_run_json(&r->stack, &r->answer, &text, err);
    if (status != STO_OK)
        return status;
    sto_chat_screen_text(&r->screen, text, strlen(text));
    cJSON_free(text);
    return STO_OK;
}

/* ---- the prompt ---- */

static enum sto_status read_prompt(const struct sto_options *o, char **text, size_t *size, struct sto_error *err)
{
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

/* What only a template can do is asked for in vain where there is none. */
static enum sto_status check_raw(const struct sto_options *o, const char *why, struct sto_error *err)
{
    const char *option = o->own.system != NULL                  ? "--system"
                         : o->own.tools != NULL                 ? "--tools"
                         : o->own.thinking != STO_THINKING_AUTO ? "--think"
                         : o->own.thinking_budget != 0          ? "--think-budget"
                                                                : NULL;
    return option == NULL ? STO_OK : sto_fail(err, STO_ERR_USAGE, "%s needs a chat template: %s", option, why);
}

/* A conversation that ends with the prompt. */
static enum sto_status begin_turn(struct run *r, struct sto_error *err)
{
    const struct sto_options *o = r->options;
    enum sto_status status = sto_conversation_create(r->generator, &r->conversation, err);
    if (status == STO_OK && o->own.tools != NULL)
        status = sto_chat_offer_tools(r->conversation, o->own.tools, err);
    if (status == STO_OK && o->own.system != NULL)
        status = sto_conversation_add(r->conversation, "system", o->own.system, 0, err);
    if (status == STO_OK)
        status = sto_conversation_add(r->conversation, "user", r->prompt, r->prompt_size, err);
    return status;
}

/* ---- generating ---- */

static void cancel(void *generator)
{
    sto_generator_cancel(generator);
}

static enum sto_status generate_raw(struct run *r, const struct sto_sampler_params *sampling, struct sto_error *err)
{
    const struct sto_options *o = r->options;
    struct sto_generate_params p;
    sto_generate_defaults(&p);
    p.prompt = r->prompt;
    p.prompt_size = r->prompt_size;
    p.raw = true;
    p.max_tokens = o->own.max_tokens == UINT32_MAX ? 0 : o->own.max_tokens;
    p.ignore_end = o->own.ignore_eos;
    p.stops = o->own.stops.items;
    p.n_stops = o->own.stops.n;
    p.sampling = *sampling;
    p.user = r;
    p.on_text = show_text;
    p.on_prompt = show_prompt;
    return sto_generate(r->generator, &p, &r->answer.result, err);
}

static enum sto_status generate_turn(struct run *r, const struct sto_sampler_params *sampling, struct sto_error *err)
{
    const struct sto_options *o = r->options;
    const bool taken_apart = o->own.json || o->own.fold || r->screen.terminal;
    struct sto_reply reply = {0};
    struct sto_reply_params p;
    sto_reply_defaults(&p);
    p.thinking = (enum sto_thinking)o->own.thinking;
    p.thinking_budget = o->own.thinking_budget;
    p.max_tokens = o->own.max_tokens == UINT32_MAX ? 0 : o->own.max_tokens;
    p.ignore_end = o->own.ignore_eos;
    p.stops = o->own.stops.items;
    p.n_stops = o->own.stops.n;
    p.sampling = *sampling;
    p.user = r;
    p.on_event = taken_apart ? show_event : NULL;
    p.on_raw = taken_apart ? NULL : show_text;
    p.on_prompt = show_prompt;
    const enum sto_status status = sto_conversation_reply(r->conversation, &p, &reply, err);
    r->answer.result = reply.generated;
    r->answer.n_thought = reply.n_thought;
    return status;
}

static enum sto_status generate(struct run *r, struct sto_error *err)
{
    const struct sto_options *o = r->options;
    struct sto_sampler_params sampling = o->sampling.params;
    uint32_t breakers[STO_MAX_LIST];
    enum sto_status status = sto_find_dry_breakers(o, r->generator, breakers, err);
    sampling.dry_breakers = breakers;
    sampling.n_dry_breakers = o->sampling.dry_breakers.n;
    if (status == STO_OK && !o->own.raw && sto_generator_chat_form(r->generator) == NULL) {
        sto_print_warning("this model has no chat template; the prompt is sent raw");
        status = check_raw(o, "this model has none", err);
    } else if (status == STO_OK && !o->own.raw) {
        status = begin_turn(r, err);
    }
    if (status != STO_OK)
        return status;
    r->err = err;
    status = r->conversation != NULL ? generate_turn(r, &sampling, err) : generate_raw(r, &sampling, err);
    return status == STO_OK ? r->status : status;
}

static enum sto_status run(struct run *r, struct sto_error *err)
{
    const struct sto_options *o = r->options;
    sto_cli_on_interrupt(NULL, NULL); /* from here on Ctrl-C is a request */
    enum sto_status status = sto_stack_open(&r->stack, o, NULL, err);
    if (status == STO_OK)
        status = sto_generator_create(r->stack.engine, &r->generator, err);
    if (status != STO_OK)
        return status;
    r->callbacks = sto_term_callbacks();
    sto_cli_on_interrupt(cancel, r->generator);
    if (sto_cli_interrupted()) /* while nobody was listening */
        sto_generator_cancel(r->generator);
    status = generate(r, err);
    sto_cli_on_interrupt(NULL, NULL);
    sto_term_clear();
    if (o->own.json && (status == STO_OK || r->answer.result.n_tokens > 0)) {
        const enum sto_status printed = print_json(r, status == STO_OK ? err : NULL);
        status = status != STO_OK ? status : printed;
    }
    sto_chat_screen_end(&r->screen);
    if (r->screen.broken != 0 && status == STO_OK)
        status = sto_fail(err, STO_ERR_FAILED, "cannot write to standard output: %s", strerror(r->screen.broken));
    if (!o->common.quiet && r->answer.result.n_tokens > 0)
        sto_run_print_summary(&r->stack, &r->answer);
    if (!o->common.quiet && o->common.verbose > 0)
        sto_run_print_step(&r->stack);
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
    if (options.own.batch_file != NULL)
        return sto_run_batch(&options, &err) == STO_OK ? sto_cli_finish() : sto_cli_fail(&err);
    if (sto_run_batch_check(&options, &err) != STO_OK)
        return sto_cli_fail(&err);
    sto_chat_screen_begin(&r.screen, options.own.fold);
    enum sto_status status = options.own.raw ? check_raw(&options, "--raw does without", &err) : STO_OK;
    if (status == STO_OK)
        status = read_prompt(&options, &r.prompt, &r.prompt_size, &err);
    if (status == STO_OK)
        status = run(&r, &err);
    sto_run_answer_free(&r.answer);
    sto_conversation_destroy(r.conversation);
    sto_generator_destroy(r.generator);
    sto_stack_close(&r.stack);
    sto_free(r.prompt);
    return status == STO_OK ? sto_cli_finish() : sto_cli_fail(&err);
}

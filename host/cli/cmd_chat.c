/* strato chat: a conversation in the terminal, or a message per line from a pipe. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/chat.h"
#include "host/cli/chat_tools.h"
#include "host/cli/cli.h"
#include "host/cli/term.h"
#include "runtime/base/mem.h"

enum { PATIENCE = 3 }; /* Ctrl-C while an answer stops; the next one ends the program */

/* ---- replies ---- */

static bool show_event(void *user, const struct sto_event *event)
{
    struct sto_chat *chat = user;
    sto_chat_screen_event(&chat->screen, event);
    return chat->screen.broken != 0;
}

static bool show_prompt(void *user, size_t done, size_t total)
{
    const struct sto_callbacks callbacks = sto_term_callbacks();
    (void)user;
    return callbacks.progress(callbacks.user, "prompt", done, total);
}

static void cancel(void *conversation)
{
    sto_conversation_cancel(conversation);
}

static void tell_why(const struct sto_chat *chat, enum sto_stop stop)
{
    if (stop == STO_STOP_LENGTH)
        sto_chat_note(&chat->screen, "ended after %zu tokens (-n)", chat->n_generated);
    else if (stop == STO_STOP_CONTEXT)
        sto_chat_note(&chat->screen, "the context of %u tokens is full (--ctx)", chat->stack.info.ctx_tokens);
    else if (stop == STO_STOP_CANCELLED && chat->screen.terminal)
        sto_chat_note(&chat->screen, "stopped");
    if (chat->screen.fold && chat->n_thought > 0 && chat->screen.terminal)
        sto_chat_note(&chat->screen, "%zu tokens of thought; /thought shows them", chat->n_thought);
    sto_chat_tell_calls(chat);
}

void sto_chat_tell_calls(const struct sto_chat *chat)
{
    char name[STO_CHAT_NAME_BYTES];
    if (sto_chat_open_calls(chat->conversation, name) > 0)
        sto_chat_note(&chat->screen, "/result TEXT says what %s gave", name);
}

enum sto_status sto_chat_reply(struct sto_chat *chat, struct sto_error *err)
{
    const struct sto_options *o = &chat->options;
    uint32_t breakers[STO_MAX_LIST];
    struct sto_reply_params p;
    struct sto_reply reply = {0};
    sto_reply_defaults(&p);
    p.thinking = (enum sto_thinking)o->own.thinking;
    p.thinking_budget = o->own.thinking_budget;
    p.max_tokens = o->own.max_tokens == UINT32_MAX ? 0 : o->own.max_tokens;
    p.stops = o->own.stops.items;
    p.n_stops = o->own.stops.n;
    p.sampling = o->sampling.params;
    p.sampling.seed += chat->n_replies; /* so that an answer can be another one when it is generated again */
    p.user = chat;
    p.on_event = show_event;
    p.on_prompt = show_prompt;
    enum sto_status status = sto_find_dry_breakers(o, chat->generator, breakers, err);
    if (status != STO_OK)
        return status;
    p.sampling.dry_breakers = breakers;
    p.sampling.n_dry_breakers = o->sampling.dry_breakers.n;
    sto_cli_allow_interrupts(PATIENCE);
    sto_cli_on_interrupt(cancel, chat->conversation);
    status = sto_conversation_reply(chat->conversation, &p, &reply, err);
    sto_cli_on_interrupt(NULL, NULL);
    sto_cli_allow_interrupts(1);
    sto_term_clear();
    sto_chat_screen_end(&chat->screen);
    if (status == STO_OK) {
        chat->n_replies++;
        chat->n_prompt = reply.generated.n_prompt_tokens;
        chat->n_evaluated = reply.n_evaluated;
        chat->n_generated = reply.generated.n_tokens;
        chat->n_thought = reply.n_thought;
        chat->prompt_ns = reply.generated.prompt_ns;
        chat->generate_ns = reply.generated.generate_ns;
        if (!o->common.quiet)
            tell_why(chat, reply.generated.stop);
    }
    sto_reply_free(&reply);
    if (status == STO_OK && chat->screen.broken != 0)
        status = sto_fail(err, STO_ERR_FAILED, "cannot write to standard output: %s", strerror(chat->screen.broken));
    return status;
}

/* A message of the user, and the answer to it. When there can be none the message is taken back. */
static enum sto_status send(struct sto_chat *chat, const char *text, size_t size, struct sto_error *err)
{
    const size_t count = sto_conversation_count(chat->conversation);
    enum sto_status status = sto_conversation_add(chat->conversation, "user", text, size, err);
    if (status == STO_OK)
        status = sto_chat_reply(chat, err);
    if (status != STO_OK)
        sto_conversation_truncate(chat->conversation, count);
    return status;
}

/* ---- messages ---- */

struct text { /* a message that grows line by line */
    char *data;
    size_t size;
};

static enum sto_status append(struct text *t, const char *line, size_t size, struct sto_error *err)
{
    char *grown = sto_realloc(t->data, t->size + size + 2, 1);
    if (grown == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a message of %zu bytes", t->size + size);
    t->data = grown;
    if (size > 0)
        memcpy(t->data + t->size, line, size);
    t->size += size;
    t->data[t->size] = '\0';
    return STO_OK;
}

/* Lines up to one that does not end with a backslash; from a pipe, one line. */
static enum sto_status read_message(struct sto_chat *chat, struct text *t, enum sto_line *what, struct sto_error *err)
{
    const bool interactive = sto_line_input_interactive(chat->input);
    enum sto_status status;
    bool goes_on;
    t->size = 0;
    do {
        const char *line;
        size_t size;
        status = sto_line_input_read(chat->input, t->size == 0 ? "> " : ". ", what, &line, &size, err);
        if (status != STO_OK || *what != STO_LINE_READ)
            return status;
        goes_on = interactive && size > 0 && line[size - 1] == '\\';
        status = append(t, line, goes_on ? size - 1 : size, err);
        if (status == STO_OK && goes_on)
            status = append(t, "\n", 1, err);
    } while (status == STO_OK && goes_on);
    return status;
}

static bool is_blank(const struct text *t)
{
    return strspn(t->data, " \t\n\r") == t->size;
}

/* Until Ctrl-D, /quit or the end of the input. Errors of a message or a command are shown, and it goes on; the first
 * one is what a pipe's exit code tells. */
static enum sto_status talk(struct sto_chat *chat, struct sto_error *err)
{
    const bool interactive = sto_line_input_interactive(chat->input);
    struct text message = {0};
    enum sto_status status = STO_OK;
    bool quit = false;
    while (status == STO_OK && !quit && chat->screen.broken == 0) {
        enum sto_line what = STO_LINE_END;
        struct sto_error wrong;
        status = read_message(chat, &message, &what, err);
        if (status != STO_OK || what == STO_LINE_END)
            break;
        if (what == STO_LINE_ABANDONED || is_blank(&message))
            continue;
        const size_t escaped = message.data[0] == '/' && message.data[1] == '/' ? 1 : 0;
        const enum sto_status done = sto_chat_is_command(message.data)
                                         ? sto_chat_command(chat, message.data, &quit, &wrong)
                                         : send(chat, message.data + escaped, message.size - escaped, &wrong);
        if (done == STO_OK)
            continue;
        if (done == STO_ERR_DEVICE_LOST || done == STO_ERR_NO_FIT) {
            *err = wrong;
            status = done;
        } else {
            sto_print_message(STO_LOG_ERROR, wrong.message);
            if (!interactive && chat->code == 0)
                chat->code = sto_exit_code(done);
        }
    }
    sto_free(message.data);
    return status;
}

/* ---- the command ---- */

static enum sto_status open_chat(struct sto_chat *chat, struct sto_error *err)
{
    sto_cli_on_interrupt(NULL, NULL); /* from here on Ctrl-C is a request */
    enum sto_status status = sto_stack_open(&chat->stack, &chat->options, NULL, err);
    if (status == STO_OK)
        status = sto_generator_create(chat->stack.engine, &chat->generator, err);
    if (status == STO_OK)
        status = sto_conversation_create(chat->generator, &chat->conversation, err);
    if (status == STO_OK && chat->options.own.tools != NULL)
        status = sto_chat_offer_tools(chat->conversation, chat->options.own.tools, err);
    if (status == STO_OK && chat->options.own.system != NULL)
        status = sto_conversation_add(chat->conversation, "system", chat->options.own.system, 0, err);
    if (status == STO_OK)
        status = sto_line_input_create(&chat->input, err);
    if (status != STO_OK)
        return status;
    if (!sto_conversation_has_template(chat->conversation))
        sto_print_warning("this model has no chat template; turns are marked User: and Assistant:");
    if (sto_line_input_interactive(chat->input) && !chat->options.common.quiet)
        sto_chat_note(&chat->screen, "%s on %s, context %u tokens; /help lists commands, Ctrl-D leaves",
                      sto_model_name(chat->stack.model), sto_stack_device(&chat->stack),
                      chat->stack.info.ctx_tokens);
    return STO_OK;
}

static void close_chat(struct sto_chat *chat)
{
    sto_line_input_destroy(chat->input);
    sto_conversation_destroy(chat->conversation);
    sto_generator_destroy(chat->generator);
    sto_stack_close(&chat->stack);
    for (int i = chat->n_given; i + 1 < chat->n_settings; i += 2)
        sto_free((char *)chat->settings[i + 1]);
}

int sto_cmd_chat(int argc, char **argv)
{
    static struct sto_chat chat; /* large, and there is one */
    struct sto_error err = {0};
    int code;
    if (!sto_cli_parse(argc, argv, &chat.options, &code))
        return code;
    if (argc > STO_CHAT_MAX_SETTINGS / 2) {
        (void)sto_fail(&err, STO_ERR_USAGE, "more than %d words of options", STO_CHAT_MAX_SETTINGS / 2);
        return sto_cli_fail(&err);
    }
    memcpy(chat.settings, argv, (size_t)argc * sizeof *argv);
    chat.n_settings = chat.n_given = argc;
    sto_options_sampling(&chat.options);
    sto_term_start(chat.options.common.quiet, chat.options.common.verbose);
    sto_chat_screen_begin(&chat.screen, chat.options.own.fold);
    enum sto_status status = open_chat(&chat, &err);
    if (status == STO_OK)
        status = talk(&chat, &err);
    close_chat(&chat);
    if (status != STO_OK)
        return sto_cli_fail(&err);
    return chat.code != 0 ? chat.code : sto_cli_finish();
}

/* The commands of strato chat. Each is a line of the table; its arguments are the rest of the line. */
#include <stdio.h>
#include <string.h>

#include "host/cli/chat.h"
#include "host/cli/chat_tools.h"
#include "host/cli/cli.h"
#include "host/cli/term.h"
#include "runtime/base/mem.h"

/* ---- messages ---- */

/* Where the last turn begins: the number of its message of the user; SIZE_MAX: there is none. */
static size_t last_turn(const struct sto_conversation *c)
{
    size_t i = sto_conversation_count(c);
    while (i > 0 && !sto_chat_has_role(c, i - 1, "user"))
        i--;
    return i > 0 ? i - 1 : SIZE_MAX;
}

static enum sto_status do_undo(struct sto_chat *chat, const char *text, struct sto_error *err)
{
    (void)text;
    const size_t i = last_turn(chat->conversation);
    if (i == SIZE_MAX)
        return sto_fail(err, STO_ERR_USAGE, "there is nothing to undo");
    sto_conversation_truncate(chat->conversation, i);
    sto_chat_note(&chat->screen, "the last turn is gone; %zu messages remain", i);
    return STO_OK;
}

static enum sto_status do_regenerate(struct sto_chat *chat, const char *text, struct sto_error *err)
{
    (void)text;
    size_t n = sto_conversation_count(chat->conversation);
    if (last_turn(chat->conversation) == SIZE_MAX)
        return sto_fail(err, STO_ERR_USAGE, "there is no answer to generate again");
    while (sto_chat_has_role(chat->conversation, n - 1, "assistant"))
        n--;
    sto_conversation_truncate(chat->conversation, n);
    return sto_chat_reply(chat, err);
}

/* The system's message goes before all others: the others are put behind it again. */
static enum sto_status set_system(struct sto_conversation *c, const char *text, struct sto_error *err)
{
    char *rest[4096];
    size_t n = 0;
    enum sto_status status = STO_OK;
    while (sto_conversation_count(c) > 0 && sto_chat_has_role(c, 0, "system"))
        sto_conversation_remove(c, 0);
    const size_t count = sto_conversation_count(c);
    if (count > sizeof rest / sizeof rest[0])
        return sto_fail(err, STO_ERR_USAGE, "the conversation is too long to change what it begins with");
    while (n < count && status == STO_OK) {
        status = sto_conversation_json(c, n, &rest[n], err);
        n += status == STO_OK ? 1 : 0;
    }
    if (status == STO_OK) {
        sto_conversation_truncate(c, 0);
        if (text[0] != '\0')
            status = sto_conversation_add(c, "system", text, 0, err);
        for (size_t i = 0; i < n && status == STO_OK; i++)
            status = sto_conversation_add_json(c, rest[i], strlen(rest[i]), err);
    }
    for (size_t i = 0; i < n; i++)
        sto_conversation_free_text(rest[i]);
    return status;
}

static enum sto_status do_system(struct sto_chat *chat, const char *text, struct sto_error *err)
{
    struct sto_conversation *c = chat->conversation;
    if (text[0] != '\0')
        return set_system(c, strcmp(text, "none") == 0 ? "" : text, err);
    if (sto_conversation_count(c) > 0 && sto_chat_has_role(c, 0, "system")) {
        const char *is = sto_conversation_field(c, 0, "content");
        sto_chat_screen_text(&chat->screen, is != NULL ? is : "", is != NULL ? strlen(is) : 0);
        sto_chat_screen_end(&chat->screen);
    } else {
        sto_chat_note(&chat->screen, "there is no message of the system");
    }
    return STO_OK;
}

static enum sto_status do_thought(struct sto_chat *chat, const char *text, struct sto_error *err)
{
    const struct sto_conversation *c = chat->conversation;
    const size_t n = sto_conversation_count(c);
    (void)text;
    const char *thought = n > 0 ? sto_conversation_field(c, n - 1, "reasoning_content") : NULL;
    if (thought == NULL && n > 0)
        thought = sto_conversation_field(c, n - 1, "thinking");
    if (thought == NULL)
        return sto_fail(err, STO_ERR_USAGE, "the last answer has no thought");
    sto_chat_screen_text(&chat->screen, thought, strlen(thought));
    sto_chat_screen_end(&chat->screen);
    return STO_OK;
}

/* ---- tools ---- */

static enum sto_status do_tools(struct sto_chat *chat, const char *text, struct sto_error *err)
{
    if (text[0] == '\0')
        return sto_chat_list_tools(chat->conversation, err);
    if (strcmp(text, "none") == 0)
        return sto_conversation_set_tools(chat->conversation, NULL, 0, err);
    return sto_chat_offer_tools(chat->conversation, text, err);
}

/* When all calls have their results the model goes on; when it cannot, the result is taken back. */
static enum sto_status do_result(struct sto_chat *chat, const char *text, struct sto_error *err)
{
    char name[STO_CHAT_NAME_BYTES];
    const size_t count = sto_conversation_count(chat->conversation);
    enum sto_status status = sto_chat_add_result(chat->conversation, text, err);
    if (status != STO_OK)
        return status;
    if (sto_chat_open_calls(chat->conversation, name) > 0) {
        if (!chat->options.common.quiet)
            sto_chat_tell_calls(chat);
        return STO_OK;
    }
    status = sto_chat_reply(chat, err);
    if (status != STO_OK)
        sto_conversation_truncate(chat->conversation, count);
    return status;
}

/* ---- files ---- */

static enum sto_status do_save(struct sto_chat *chat, const char *text, struct sto_error *err)
{
    if (text[0] == '\0')
        return sto_fail(err, STO_ERR_USAGE, "/save needs the name of a file");
    const enum sto_status status = sto_chat_save(chat->conversation, sto_model_name(chat->stack.model), text, err);
    if (status == STO_OK)
        sto_chat_note(&chat->screen, "saved %zu messages in %s", sto_conversation_count(chat->conversation), text);
    return status;
}

static enum sto_status do_load(struct sto_chat *chat, const char *text, struct sto_error *err)
{
    if (text[0] == '\0')
        return sto_fail(err, STO_ERR_USAGE, "/load needs the name of a file");
    const enum sto_status status = sto_chat_load(chat->conversation, text, err);
    if (status == STO_OK)
        sto_chat_note(&chat->screen, "loaded %zu messages from %s", sto_conversation_count(chat->conversation), text);
    return status;
}

/* ---- settings ---- */

static const struct sto_option_table *const set_tables[] = {&sto_turn_table, &sto_chat_table, &sto_sampling_table,
                                                            NULL};

static const struct sto_option *find_option(const char *name)
{
    for (size_t t = 0; set_tables[t] != NULL; t++) {
        for (size_t i = 0; i < set_tables[t]->n; i++) {
            const struct sto_option *o = &set_tables[t]->options[i];
            if (strcmp(o->name + 2, name) == 0 || (o->alias != NULL && strcmp(o->alias + 1, name) == 0))
                return o;
        }
    }
    return NULL;
}

static void show_settings(const struct sto_chat *chat)
{
    for (size_t t = 0; set_tables[t] != NULL; t++) {
        for (size_t i = 0; i < set_tables[t]->n; i++) {
            struct sto_option o = set_tables[t]->options[i];
            char value[64] = "";
            o.show_default = true;
            if (o.kind != STO_OPTION_TEXTS && o.kind != STO_OPTION_BIASES && o.kind != STO_OPTION_TEXT)
                sto_option_value(&o, &chat->options, value, sizeof value);
            if (o.kind == STO_OPTION_FLAG) {
                const bool *flag = (const bool *)((const char *)&chat->options + o.offset);
                (void)snprintf(value, sizeof value, "%s", *flag ? "on" : "off");
            }
            if (value[0] != '\0')
                printf("  %-20s %s\n", o.name + 2, value);
        }
    }
    (void)fflush(stdout);
}

/* Reads all options again, those of the command and those of /set: the same checks, the same words in errors. */
static enum sto_status set_option(struct sto_chat *chat, const char *name, const char *value, struct sto_error *err)
{
    const struct sto_command *command = sto_find_command("chat");
    const struct sto_option *o = find_option(name);
    struct sto_options options;
    if (o == NULL)
        return sto_fail(err, STO_ERR_USAGE, "/set %s: there is no such setting; /set lists them", name);
    if (o->kind == STO_OPTION_TEXT) /* --system, --tools: no settings of an answer */
        return sto_fail(err, STO_ERR_USAGE, "/set %s: that is a command of its own, /%s", name, name);
    if (o->kind == STO_OPTION_FLAG) {
        const bool on = strcmp(value, "on") == 0;
        if (!on && strcmp(value, "off") != 0)
            return sto_fail(err, STO_ERR_USAGE, "/set %s: on or off, not '%s'", name, value);
        *(bool *)((char *)&chat->options + o->offset) = on;
        return STO_OK;
    }
    if (chat->n_settings + 2 > STO_CHAT_MAX_SETTINGS)
        return sto_fail(err, STO_ERR_USAGE, "/set was used too often");
    char *kept = sto_strdup(value);
    if (kept == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a setting");
    chat->settings[chat->n_settings] = o->name;
    chat->settings[chat->n_settings + 1] = kept;
    const enum sto_status status = sto_options_parse(command->tables, command->max_models, chat->n_settings + 2,
                                                     (char **)chat->settings, &options, err);
    if (status != STO_OK) {
        sto_free(kept);
        return status;
    }
    options.own.fold = chat->options.own.fold;
    chat->n_settings += 2;
    chat->options = options;
    sto_options_sampling(&chat->options);
    return STO_OK;
}

static enum sto_status do_set(struct sto_chat *chat, const char *text, struct sto_error *err)
{
    char name[64];
    const size_t n = strcspn(text, " ");
    if (n == 0) {
        show_settings(chat);
        return STO_OK;
    }
    if (n >= sizeof name)
        return sto_fail(err, STO_ERR_USAGE, "/set: there is no such setting; /set lists them");
    memcpy(name, text, n);
    name[n] = '\0';
    const char *value = text + n + strspn(text + n, " ");
    if (value[0] == '\0')
        return sto_fail(err, STO_ERR_USAGE, "/set %s needs a value", name);
    const enum sto_status status = set_option(chat, name, value, err);
    chat->screen.fold = chat->options.own.fold;
    return status;
}

/* ---- the rest ---- */

static enum sto_status do_stats(struct sto_chat *chat, const char *text, struct sto_error *err)
{
    char used[32];
    (void)text;
    (void)err;
    const size_t in_context = chat->n_prompt + chat->n_generated;
    sto_bytes_text(sto_stack_device_peak_bytes(&chat->stack), used, sizeof used);
    printf("messages   %zu, %zu of them left out of the context\n", sto_conversation_count(chat->conversation),
           sto_conversation_dropped(chat->conversation));
    printf("context    %zu of %u tokens\n", in_context, chat->stack.info.ctx_tokens);
    if (chat->n_replies > 0) {
        const double prompt_s = (double)chat->prompt_ns / 1e9, generate_s = (double)chat->generate_ns / 1e9;
        printf("last turn  %zu of %zu prompt tokens evaluated in %.2f s, the others were in the KV cache;\n"
               "           %zu generated in %.2f s, %.1f/s, %zu of them thoughts\n",
               chat->n_evaluated, chat->n_prompt, prompt_s, chat->n_generated, generate_s,
               generate_s > 0 ? (double)chat->n_generated / generate_s : 0.0, chat->n_thought);
    }
    printf("memory     %s of the device\n", used);
    (void)fflush(stdout);
    return STO_OK;
}

static enum sto_status do_help(struct sto_chat *chat, const char *text, struct sto_error *err);

static const struct command {
    const char *name, *takes, *help;
    enum sto_status (*run)(struct sto_chat *chat, const char *text, struct sto_error *err);
    bool lines; /* its text may have several */
} commands[] = {
    {"help", "", "this list", do_help, false},
    {"system", "[TEXT|none]", "what the model is told before the conversation: shows, sets or removes it", do_system,
     true},
    {"save", "FILE", "writes the conversation into a file", do_save, false},
    {"load", "FILE", "goes on with the conversation in a file", do_load, false},
    {"regenerate", "", "another answer to the last message", do_regenerate, false},
    {"undo", "", "takes back the last message and its answer", do_undo, false},
    {"thought", "", "shows the thought behind the last answer", do_thought, false},
    {"tools", "[FILE|none]", "tools that the model may call: lists them, takes them from a file or away", do_tools,
     false},
    {"result", "TEXT", "what the tool gave that the model has called; then the model goes on", do_result, true},
    {"set", "[NAME VALUE]", "changes a setting, such as /set temp 0.5; alone it lists them", do_set, false},
    {"stats", "", "tokens, time and memory", do_stats, false},
    {"quit", "", "leaves; so does Ctrl-D", NULL, false},
};

static enum sto_status do_help(struct sto_chat *chat, const char *text, struct sto_error *err)
{
    (void)chat;
    (void)text;
    (void)err;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        printf("  /%-10s %-12s %s\n", commands[i].name, commands[i].takes, commands[i].help);
    puts("A line that ends with \\ goes on in the next one. Pasted text is one message. Ctrl-C stops an answer.\n"
         "A call of a tool is shown as [call NAME ARGUMENTS]; any message but /result goes on without what it gave.");
    (void)fflush(stdout);
    return STO_OK;
}

/* The command that a line begins with; NULL: there is none. *size: of its name. */
static const struct command *find_command(const char *line, size_t *size)
{
    *size = strcspn(line + 1, " \n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strlen(commands[i].name) == *size && memcmp(commands[i].name, line + 1, *size) == 0)
            return &commands[i];
    }
    return NULL;
}

bool sto_chat_is_command(const char *message)
{
    size_t n;
    if (message[0] != '/' || message[1] == '/')
        return false;
    const struct command *found = find_command(message, &n);
    return strchr(message, '\n') == NULL || (found != NULL && found->lines);
}

enum sto_status sto_chat_command(struct sto_chat *chat, const char *line, bool *quit, struct sto_error *err)
{
    size_t n;
    const struct command *found = find_command(line, &n);
    *quit = found != NULL && found->run == NULL;
    if (found == NULL)
        return sto_fail(err, STO_ERR_USAGE, "/%.*s: there is no such command; /help lists them", (int)(n < 40 ? n : 40),
                        line + 1);
    return *quit ? STO_OK : found->run(chat, line + 1 + n + strspn(line + 1 + n, " \n"), err);
}

/* What the parts of strato chat share: the conversation, how replies are asked for, and the screen.
 *
 *   cmd_chat.c       opens everything, reads messages, asks for replies
 *   chat_commands.c  /help, /undo and so on
 *   chat_screen.h    what is shown of a reply while it comes
 *   chat_tools.h     tools that are offered, results of calls
 *   chat_file.c      conversations as files */
#ifndef STO_CLI_CHAT_H
#define STO_CLI_CHAT_H

#include "host/cli/chat_screen.h"
#include "host/cli/line_input.h"
#include "host/cli/options.h"
#include "host/cli/stack.h"
#include "host/conversation.h"

enum { STO_CHAT_MAX_SETTINGS = 128 };

struct sto_chat {
    struct sto_options options;
    const char *settings[STO_CHAT_MAX_SETTINGS]; /* the options as words, with what /set added; [n_settings] */
    int n_settings, n_given;                     /* of these the first n_given came with the command          */
    struct sto_stack stack;
    struct sto_generator *generator;
    struct sto_conversation *conversation;
    struct sto_line_input *input;
    struct sto_chat_screen screen;
    int code;           /* exit code of the first message or command of a pipe that failed; 0: none */
    uint64_t n_replies; /* each takes a seed of its own */
    /* of the last reply, for /stats */
    size_t n_prompt, n_evaluated, n_generated, n_thought;
    uint64_t prompt_ns, generate_ns;
};

/* Asks for the assistant's message and shows it. */
enum sto_status sto_chat_reply(struct sto_chat *chat, struct sto_error *err);

/* Says how a call that waits for its result gets it, if there is one. */
void sto_chat_tell_calls(const struct sto_chat *chat);

/* Whether a message is a command: it begins with a slash, and not with two. Several lines are a command only where one
 * takes them, so that a pasted text may begin with the name of a file. */
bool sto_chat_is_command(const char *message);
/* Carries it out. Errors are for showing; the conversation goes on. *quit: leave. */
enum sto_status sto_chat_command(struct sto_chat *chat, const char *line, bool *quit, struct sto_error *err);

/* Writes {"format", "model", "messages"}, and "tools" where some are offered. A reader sees the old file or the new
 * one. */
enum sto_status sto_chat_save(const struct sto_conversation *c, const char *model, const char *path,
                              struct sto_error *err);
/* Puts the messages of such a file, or of a plain list of messages, in the place of what was said; tools that are in
 * the file are offered. A bad file changes nothing. */
enum sto_status sto_chat_load(struct sto_conversation *c, const char *path, struct sto_error *err);

#endif

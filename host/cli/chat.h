/* What the parts of strato chat share: the conversation, how replies are asked for, and the screen.
 *
 *   cmd_chat.c       opens everything, reads messages, asks for replies
 *   chat_commands.c  /help, /undo and so on
 *   chat_screen.c    what is shown of a reply while it comes
 *   chat_file.c      conversations as files */
#ifndef STO_CLI_CHAT_H
#define STO_CLI_CHAT_H

#include "host/cli/line_input.h"
#include "host/cli/options.h"
#include "host/cli/stack.h"
#include "host/conversation.h"

/* ---- the screen ---- */

struct sto_chat_screen {
    bool terminal; /* standard output is one: thoughts are shown there only       */
    bool colour;
    bool fold;     /* thoughts are hidden                                         */
    int broken;    /* errno since standard output takes no more; 0: it does       */
    bool thinking; /* the last thing shown was a thought                          */
    char last;     /* byte written                                                */
};

void sto_chat_screen_begin(struct sto_chat_screen *screen, bool fold); /* finds out what the terminal can do */
void sto_chat_screen_event(struct sto_chat_screen *screen, const struct sto_event *event);
/* Ends a reply's last line and switches colours off. */
void sto_chat_screen_end(struct sto_chat_screen *screen);
/* Text of any origin, with what would steer a terminal left out where there is one. */
void sto_chat_screen_text(struct sto_chat_screen *screen, const char *text, size_t size);
/* A line in brackets on standard error. */
void sto_chat_note(const struct sto_chat_screen *screen, const char *format, ...) STO_PRINTF(2, 3);

/* ---- the conversation ---- */

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

/* Carries out a line that begins with a slash. Errors are for showing; the conversation goes on. *quit: leave. */
enum sto_status sto_chat_command(struct sto_chat *chat, const char *line, bool *quit, struct sto_error *err);

/* Writes {"format", "model", "messages"}, so that a reader sees the old file or the new one. */
enum sto_status sto_chat_save(const struct sto_conversation *c, const char *model, const char *path,
                              struct sto_error *err);
/* Puts the messages of such a file, or of a plain list of messages, in the place of what was said. A bad file changes
 * nothing. */
enum sto_status sto_chat_load(struct sto_conversation *c, const char *path, struct sto_error *err);

#endif

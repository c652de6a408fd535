/* What every command of the program shares. A command is host/cli/cmd_NAME.c with one entry point,
 *
 *   int sto_cmd_NAME(int argc, char **argv)      argv[0] is the command's name; returns the exit code
 *
 * which is declared here and listed in main.c once it exists. Its help and its options are in commands.c, whether it
 * exists or not. The usual shape of one:
 *
 *   struct sto_options options;
 *   int code;
 *   if (!sto_cli_parse(argc, argv, &options, &code))
 *       return code;
 *   ...
 *   if (failed)
 *       return sto_cli_fail(&err);
 *   return sto_cli_finish();
 *
 * Results go to stdout, everything else to stderr. One thread, unless stated. */
#ifndef STO_CLI_H
#define STO_CLI_H

#include <stdio.h>

#include "host/cli/options.h"

enum { STO_MAX_USAGES = 4, STO_MAX_EXAMPLES = 7 };

struct sto_example {
    const char *line, *what;
};

/* One command of the program: all that its help says. */
struct sto_command {
    const char *name;
    const char *summary;                               /* one line for the overview                      */
    const char *usage[STO_MAX_USAGES];                 /* what follows "strato "; ends with NULL          */
    const char *details;                               /* paragraphs, parted by an empty line             */
    const struct sto_option_table *tables[STO_MAX_TABLES]; /* ends with NULL                              */
    struct sto_example examples[STO_MAX_EXAMPLES];     /* ends with a NULL line                           */
    const char *exits;                                 /* digits of the exit codes it can end with        */
    size_t max_models;
};

extern const struct sto_command sto_commands[];
extern const size_t sto_n_commands;
const struct sto_command *sto_find_command(const char *name); /* NULL: there is none */
const char *sto_nearest_command(const char *name);            /* NULL: none is near  */

/* Help as text of at most `columns` characters a line. `available`: this program can run the command. */
void sto_print_command_help(FILE *out, const struct sto_command *command, bool available, unsigned columns);
void sto_print_overview(FILE *out, bool (*available)(const char *name), unsigned columns);

/* Reads the options of the command that argv[0] names. False: the command is to return *exit_code; help or an error
 * has been printed. */
bool sto_cli_parse(int argc, char **argv, struct sto_options *options, int *exit_code);
/* The same for commands that take a while: from here on -q and -v hold, and Ctrl-C is a request. */
bool sto_cli_begin(int argc, char **argv, struct sto_options *options, int *exit_code);

/* 0 done; 1 failed while running, cancelled, device lost; 2 wrong usage; 3 the model file is damaged or unsupported;
 * 4 no usable device; 5 it does not fit. */
int sto_exit_code(enum sto_status status);
/* Prints "strato: error: ..." to stderr and gives the exit code that belongs to the status. */
int sto_cli_fail(const struct sto_error *err);
/* Flushes stdout: 0, or 1 after saying why when what was written did not arrive (a full disk, a closed pipe). */
int sto_cli_finish(void);

/* The model to use: the MODEL argument, or without one the bundled demo model beside the program. *path is valid as
 * long as the program. The error says where was looked. */
enum sto_status sto_cli_model(const struct sto_options *options, const char **path, struct sto_error *err);
/* The demo model's file in one of the places where it may lie, seen from the program's folder; NULL: nowhere. */
const char *sto_cli_find_demo(const char *program_dir, char *path, size_t size);

/* The first Ctrl-C makes sto_cli_interrupted true and calls cancel(arg), which must be safe in a signal handler; the
 * second one ends the program at once with exit code 130. A NULL cancel unregisters. Any thread. */
void sto_cli_on_interrupt(void (*cancel)(void *arg), void *arg);
bool sto_cli_interrupted(void);

/* How many more Ctrl-C are requests before one ends the program, counted from now; 1 unless said otherwise. Also
 * forgets that there was one. */
void sto_cli_allow_interrupts(int n);

/* Entry points. Those that this program has are listed in main.c. */
int sto_cmd_run(int argc, char **argv);
int sto_cmd_chat(int argc, char **argv);
int sto_cmd_serve(int argc, char **argv);
int sto_cmd_bench(int argc, char **argv);
int sto_cmd_plan(int argc, char **argv);
int sto_cmd_info(int argc, char **argv);
int sto_cmd_devices(int argc, char **argv);
int sto_cmd_verify(int argc, char **argv);
int sto_cmd_tune(int argc, char **argv);
int sto_cmd_embed(int argc, char **argv);
int sto_cmd_pull(int argc, char **argv);
int sto_cmd_list(int argc, char **argv);
int sto_cmd_show(int argc, char **argv);
int sto_cmd_rm(int argc, char **argv);
int sto_cmd_tokenize(int argc, char **argv);
int sto_cmd_template(int argc, char **argv);
int sto_cmd_logits(int argc, char **argv);
int sto_cmd_ppl(int argc, char **argv);

#endif

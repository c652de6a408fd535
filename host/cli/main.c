/* The strato program: finds the command and runs it. */
#include "host/cli/cli.h"
#include "host/cli/term.h"
#include "runtime/base/os_term.h"

#include <string.h>

/* The commands that this version has; host/cli/commands.c describes all of them. */
static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} available[] = {
    {"bench", sto_cmd_bench},
    {"chat", sto_cmd_chat},
    {"devices", sto_cmd_devices},
    {"info", sto_cmd_info},
    {"logits", sto_cmd_logits},
    {"plan", sto_cmd_plan},
    {"ppl", sto_cmd_ppl},
    {"run", sto_cmd_run},
    {"template", sto_cmd_template},
    {"tokenize", sto_cmd_tokenize},
    {"tune", sto_cmd_tune},
    {"verify", sto_cmd_verify},
};

static int (*find_available(const char *name))(int, char **)
{
    for (size_t i = 0; i < sizeof available / sizeof *available; i++) {
        if (strcmp(available[i].name, name) == 0)
            return available[i].run;
    }
    return NULL;
}

static bool is_available(const char *name)
{
    return find_available(name) != NULL;
}

/* A word that is no command, or one that this version lacks. */
static int refuse(const char *name)
{
    struct sto_error err;
    const char *nearest = sto_nearest_command(name);
    if (sto_find_command(name) != NULL)
        (void)sto_fail(&err, STO_ERR_USAGE, "%s: not available in this version", name);
    else if (nearest != NULL)
        (void)sto_fail(&err, STO_ERR_USAGE, "unknown command '%s'; did you mean '%s'?", name, nearest);
    else
        (void)sto_fail(&err, STO_ERR_USAGE, "unknown command '%s'; strato --help lists them", name);
    return sto_cli_fail(&err);
}

static int print_help(const char *name)
{
    const unsigned columns = sto_terminal_columns(STO_STDOUT);
    const struct sto_command *command = name != NULL ? sto_find_command(name) : NULL;
    if (name != NULL && command == NULL)
        return refuse(name);
    if (command != NULL)
        sto_print_command_help(stdout, command, is_available(name), columns);
    else
        sto_print_overview(stdout, is_available, columns);
    return sto_cli_finish();
}

int main(int argc, char **argv)
{
    sto_program_setup(&argc, &argv);
    sto_term_start(false, 0);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_help(NULL);
    if (strcmp(argv[1], "help") == 0)
        return print_help(argc > 2 ? argv[2] : NULL);
    if (strcmp(argv[1], "--version") == 0) {
        puts(sto_version());
        return sto_cli_finish();
    }
    int (*run)(int, char **) = find_available(argv[1]);
    if (run != NULL)
        return run(argc - 1, argv + 1);
    for (int i = 2; i < argc && sto_find_command(argv[1]) != NULL; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return print_help(argv[1]);
    }
    return refuse(argv[1]);
}

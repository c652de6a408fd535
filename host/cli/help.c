/* Help, made from the tables of commands and options, wrapped to the width it is given. */
#include "host/cli/cli.h"

#include <string.h>

enum { HELP_COLUMN = 32, MIN_COLUMNS = 60, MAX_COLUMNS = 100 };

static const char *const exit_texts[] = {"done",
                                         "failed while running",
                                         "wrong usage",
                                         "the model file is damaged or not supported",
                                         "no usable device",
                                         "it does not fit in memory and cannot be made to"};

/* Prints words from column `at` on, breaking lines at `columns` and beginning them at `indent`. Ends the line. An
 * empty line in the text stays one. */
static void print_wrapped(FILE *out, const char *text, unsigned at, unsigned indent, unsigned columns)
{
    bool first = true;
    while (*text != '\0') {
        if (text[0] == '\n' && text[1] == '\n') {
            fprintf(out, "\n\n%*s", (int)indent, "");
            at = indent;
            first = true;
            text += 2;
            continue;
        }
        const size_t word = strcspn(text, " \n");
        if (!first && at + 1 + word > columns) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", (int)word, text);
        at += (unsigned)word + !first;
        first = false;
        text += word;
        if (*text == ' ')
            text++;
    }
    fputc('\n', out);
}

/* "  -m, --model FILE", and the help beside or below it, with range and default where there are any. */
static void print_option(FILE *out, const struct sto_option *o, const struct sto_options *defaults, unsigned columns)
{
    char head[80], help[400], range[160] = "", value[32];
    const int n =
        snprintf(head, sizeof head, "  %s%s%s%s%s", o->alias != NULL ? o->alias : "    ", o->alias != NULL ? ", " : "",
                 o->name, o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
    if (o->kind == STO_OPTION_CHOICE) {
        for (const struct sto_choice *c = o->choices; c->name != NULL; c++) {
            const size_t used = strlen(range);
            (void)snprintf(range + used, sizeof range - used, "%s%s", used > 0 ? ", " : "", c->name);
        }
    } else if (o->kind == STO_OPTION_U32 || o->kind == STO_OPTION_U32_ALL || o->kind == STO_OPTION_F32) {
        sto_option_range(o, range, sizeof range);
    }
    sto_option_value(o, defaults, value, sizeof value);
    (void)snprintf(help, sizeof help, "%s%s%s%s%s%s", o->help, range[0] != '\0' ? " (" : "", range,
                   value[0] != '\0' ? "; default " : "", value, range[0] != '\0' ? ")" : "");
    unsigned at = (unsigned)n;
    fputs(head, out);
    if (at + 2 > HELP_COLUMN) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", (int)(HELP_COLUMN - at), "");
    print_wrapped(out, help, HELP_COLUMN, HELP_COLUMN, columns);
}

static unsigned clamp_columns(unsigned columns)
{
    if (columns == 0 || columns > MAX_COLUMNS)
        return MAX_COLUMNS;
    return columns < MIN_COLUMNS ? MIN_COLUMNS : columns;
}

void sto_print_command_help(FILE *out, const struct sto_command *command, bool available, unsigned columns)
{
    struct sto_options defaults;
    columns = clamp_columns(columns);
    sto_options_defaults(&defaults);
    const int n = fprintf(out, "strato %s: ", command->name);
    print_wrapped(out, command->summary, n > 0 ? (unsigned)n : 0, 2, columns);
    if (!available)
        fputs("This command is not available in this version.\n", out);
    fputs("\nUsage:\n", out);
    for (size_t i = 0; i < STO_MAX_USAGES && command->usage[i] != NULL; i++) {
        fputs("  strato ", out);
        print_wrapped(out, command->usage[i], 9, 13, columns);
    }
    fputc('\n', out);
    print_wrapped(out, command->details, 0, 0, columns);
    for (size_t t = 0; t < STO_MAX_TABLES && command->tables[t] != NULL; t++) {
        fprintf(out, "\n%s:\n", command->tables[t]->title);
        for (size_t i = 0; i < command->tables[t]->n; i++)
            print_option(out, &command->tables[t]->options[i], &defaults, columns);
    }
    fputs("\nExamples:\n", out);
    for (size_t i = 0; i < STO_MAX_EXAMPLES && command->examples[i].line != NULL; i++)
        fprintf(out, "  %s\n      %s\n", command->examples[i].line, command->examples[i].what);
    fputs("\nExit codes:\n", out);
    for (const char *e = command->exits; *e != '\0'; e++)
        fprintf(out, "  %c  %s\n", *e, exit_texts[*e - '0']);
}

void sto_print_overview(FILE *out, bool (*available)(const char *name), unsigned columns)
{
    columns = clamp_columns(columns);
    print_wrapped(out, "strato runs language models on the GPU you own, through Vulkan.", 0, 0, columns);
    fputs("\nUsage:\n  strato COMMAND [MODEL] [options]\n\nCommands:\n", out);
    for (int there = 1; there >= 0; there--) {
        bool heading = false;
        for (size_t i = 0; i < sto_n_commands; i++) {
            const struct sto_command *c = &sto_commands[i];
            if (available(c->name) != (there == 1))
                continue;
            if (!there && !heading)
                fputs("\nNot available in this version:\n", out);
            heading = true;
            fprintf(out, "  %-10s %s\n", c->name, c->summary);
        }
    }
    fputs("\n  strato help COMMAND  options, examples and exit codes of a command\n"
          "  strato --version     the version\n\n",
          out);
    print_wrapped(out, "Without MODEL the bundled demo model is used. Try: strato run -p \"Tell me about foxes.\"", 0,
                  0, columns);
}

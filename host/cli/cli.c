/* Exit codes, errors, the demo model and Ctrl-C, for every command. */
#include "host/cli/cli.h"
#include "host/cli/plan.h"
#include "host/cli/term.h"
#include "runtime/base/os.h"
#include "runtime/base/os_term.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

int sto_exit_code(enum sto_status status)
{
    return status <= STO_ERR_NO_FIT ? (int)status : (int)STO_ERR_FAILED;
}

int sto_cli_fail(const struct sto_error *err)
{
    sto_print_message(STO_LOG_ERROR, err->message);
    return sto_exit_code(err->status);
}

int sto_cli_finish(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    struct sto_error err;
    (void)sto_fail(&err, STO_ERR_FAILED, "cannot write to standard output: %s",
                   errno != 0 ? strerror(errno) : "an earlier write failed");
    return sto_cli_fail(&err);
}

bool sto_cli_parse(int argc, char **argv, struct sto_options *options, int *exit_code)
{
    const struct sto_command *command = sto_find_command(argv[0]);
    struct sto_error err, told;
    const enum sto_status status = sto_options_parse(command->tables, command->max_models, argc, argv, options, &err);
    if (status != STO_OK) {
        (void)sto_fail(&told, status, "%s (strato help %s lists the options)", err.message, command->name);
        *exit_code = sto_cli_fail(&told);
        return false;
    }
    if (options->help) {
        sto_print_command_help(stdout, command, true, sto_terminal_columns(STO_STDOUT));
        *exit_code = sto_cli_finish();
        return false;
    }
    if (sto_cli_read_simulation(options->common.sim, &options->common.simulation, &err) != STO_OK) {
        *exit_code = sto_cli_fail(&err);
        return false;
    }
    return true;
}

bool sto_cli_begin(int argc, char **argv, struct sto_options *options, int *exit_code)
{
    if (!sto_cli_parse(argc, argv, options, exit_code))
        return false;
    sto_term_start(options->common.quiet, options->common.verbose);
    sto_cli_on_interrupt(NULL, NULL);
    return true;
}

/* ---- the demo model --------------------------------------------------------------------------------------- */

static const char *const demo_places[] = {"models/demo/demo.gguf", "../share/strato/demo.gguf",
                                          "../models/demo/demo.gguf"};

const char *sto_cli_find_demo(const char *program_dir, char *path, size_t size)
{
    for (size_t i = 0; i < sizeof demo_places / sizeof *demo_places; i++) {
        const int n = snprintf(path, size, "%s/%s", program_dir, demo_places[i]);
        if (n > 0 && (size_t)n < size && sto_file_exists(path))
            return path;
    }
    return NULL;
}

enum sto_status sto_cli_model(const struct sto_options *options, const char **path, struct sto_error *err)
{
    static char demo[4096];
    char dir[3072];
    if (options->n_models > 0) {
        *path = options->models[0];
        return STO_OK;
    }
    sto_program_dir(dir, sizeof dir);
    *path = sto_cli_find_demo(dir, demo, sizeof demo);
    if (*path != NULL)
        return STO_OK;
    return sto_fail(err, STO_ERR_USAGE, "no MODEL given, and the demo model is not at %s/{%s,%s,%s}", dir,
                    demo_places[0], demo_places[1], demo_places[2]);
}

/* ---- Ctrl-C ----------------------------------------------------------------------------------------------- */

typedef void cancel_function(void *arg);

static atomic_int n_interrupts, n_allowed = 1;
static _Atomic(cancel_function *) cancel_now;
static _Atomic(void *) cancel_arg;
static atomic_flag caught = ATOMIC_FLAG_INIT;

static void on_interrupt(void)
{
    if (atomic_fetch_add(&n_interrupts, 1) >= atomic_load(&n_allowed))
        sto_exit_now(130); /* what shells report for a program that Ctrl-C ended */
    cancel_function *cancel = atomic_load(&cancel_now);
    if (cancel != NULL)
        cancel(atomic_load(&cancel_arg));
}

void sto_cli_on_interrupt(void (*cancel)(void *arg), void *arg)
{
    atomic_store(&cancel_now, NULL);
    atomic_store(&cancel_arg, arg);
    atomic_store(&cancel_now, cancel);
    if (!atomic_flag_test_and_set(&caught))
        (void)sto_catch_interrupt(on_interrupt);
}

void sto_cli_allow_interrupts(int n)
{
    atomic_store(&n_allowed, n);
    atomic_store(&n_interrupts, 0);
}

bool sto_cli_interrupted(void)
{
    return atomic_load(&n_interrupts) > 0;
}

/* The commands of the strato program. Each gets the arguments from its own name on (argv[0] is the command), prints
 * results to stdout and everything else to stderr, and returns the exit code. */
#ifndef STO_CLI_H
#define STO_CLI_H

#include "runtime/strato.h"

int sto_cmd_info(int argc, char **argv);
int sto_cmd_tokenize(int argc, char **argv);

/* 0 done; 1 failed while running; 2 wrong usage; 3 the model file is damaged or unsupported; 4 no usable device;
 * 5 it does not fit. */
static inline int sto_exit_code(enum sto_status status)
{
    return status <= STO_ERR_NO_FIT ? (int)status : (int)STO_ERR_FAILED;
}

#endif

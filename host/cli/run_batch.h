/* strato run --batch-file: many prompts through the model together. */
#ifndef STO_CLI_RUN_BATCH_H
#define STO_CLI_RUN_BATCH_H

#include "host/cli/options.h"

/* All of it, after sto_options_sampling and sto_term_start. STO_ERR_FAILED also when single prompts failed. */
enum sto_status sto_run_batch(const struct sto_options *options, struct sto_error *err);
/* STO_ERR_USAGE: options that go with --batch-file alone, without it. */
enum sto_status sto_run_batch_check(const struct sto_options *options, struct sto_error *err);

#endif

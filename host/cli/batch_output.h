/* Results of strato run --batch-file: a line of JSON each, in the order in which they came.
 *
 *   {"index": 3, "id": "a", "text": "..", "stop": "end", "n_prompt_tokens": 12, "n_tokens": 30, "seed": 7, "key": ".."}
 *   {"index": 4, "error": "..", "key": ".."}
 *
 * A line is handed to the system as soon as it is whole, and to the disk about once a second, so that a program that is
 * killed has lost only what was not finished; at most the last line of a file is torn, and that is cut off when results
 * are taken up again. The key says what a line is a result of: prompt, options, model. */
#ifndef STO_CLI_BATCH_OUTPUT_H
#define STO_CLI_BATCH_OUTPUT_H

#include <stdio.h>

#include "host/batch_file.h"

struct sto_batch_output {
    FILE *file;                        /* NULL: not open                                    */
    const char *name;                  /* for errors                                        */
    const struct sto_batch_file *jobs;
    uint64_t settings;                 /* hash of the model, and of what changes its results */
    bool ids;                          /* ids of tokens too                                 */
    uint64_t synced_ns;                /* when it was last brought to the disk              */
    bool *done;                        /* [jobs->n] prompts that have a result; owned       */
    size_t n_done;                     /* of them, when it was opened                       */
    size_t n_failed;                   /* of these, those that are errors                   */
};

/* path NULL: standard output. A file that is there is an error, STO_ERR_USAGE, unless resume is set: then its results
 * are read, and what comes is added. STO_ERR_USAGE: it holds something else, or results with another key. */
enum sto_status sto_batch_output_open(struct sto_batch_output *out, const char *path, bool resume,
                                      struct sto_error *err);
enum sto_status sto_batch_output_add(struct sto_batch_output *out, const struct sto_batch_result *result,
                                     struct sto_error *err);
/* Brings everything to the disk. Accepts one that was not opened; status is what came before, and stays. */
enum sto_status sto_batch_output_close(struct sto_batch_output *out, enum sto_status status, struct sto_error *err);

#endif

/* Fuzzing of files of prompts: no crash, and what is read keeps what the header says. The first byte chooses the
 * name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/batch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const struct sto_batch_line *line)
{
    const struct sto_batch_job *j = &line->job;
    if ((j->prompt == NULL) == (j->messages == NULL) || line->number == 0 || line->id_size > STO_BATCH_MAX_ID_BYTES)
        abort();
    if (j->n_stops > STO_BATCH_MAX_STOPS || !(j->sampling.top_p > 0 && j->sampling.top_p <= 1) ||
        !(j->sampling.temperature >= 0) || !(j->sampling.min_p >= 0 && j->sampling.min_p < 1))
        abort();
    for (size_t i = 0; i < j->n_stops; i++) {
        if (j->stops[i][0] == '\0')
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"fuzz", "fuzz.txt", "fuzz.jsonl"};
    struct sto_batch_job defaults = {0};
    struct sto_batch_file file;
    struct sto_error err;
    if (size == 0)
        return 0;
    sto_sampler_defaults(&defaults.sampling);
    const enum sto_status status =
        sto_batch_file_read(names[data[0] % 3], (const char *)data + 1, size - 1, &defaults, &file, &err);
    for (size_t i = 0; i < file.n && status == STO_OK; i++)
        check_line(&file.lines[i]);
    sto_batch_file_free(&file);
    return 0;
}

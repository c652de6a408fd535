/* The inside of a batch: batch.c makes jobs, batch_run.c runs them. */
#ifndef STO_BATCH_INTERNAL_H
#define STO_BATCH_INTERNAL_H

#include <stdatomic.h>

#include "host/batch.h"
#include "host/generation.h"

struct sto_batch_entry {
    struct sto_tokens prompt;
    char *error;                 /* why there is no prompt; NULL: there is one; owned */
    enum sto_status status;      /* likewise */
    uint32_t max_tokens;
    bool ignore_end;
    const char *const *stops;
    size_t n_stops;
    struct sto_sampler_params sampling;
};

struct sto_batch {
    struct sto_generator text;   /* without an engine: what makes prompts, and what sessions write with */
    struct sto_conversation *form; /* messages of the job that is being added; NULL: not needed yet */
    struct sto_batch_entry *jobs; /* [n] */
    size_t n, capacity;
    _Atomic bool cancelled;
};

#endif

/* What the parts of strato bench share: a test, the work in it, its samples, and what holds for a whole run.
 *
 *   cmd_bench (options, set-up) -> bench_run (warm-up, repetitions) -> bench_report (md, csv, json, jsonl)
 *
 * One thread. */
#ifndef STO_CLI_BENCH_H
#define STO_CLI_BENCH_H

#include <stdio.h>

#include "host/cli/bench_list.h"
#include "host/cli/bench_memory.h"
#include "host/cli/bench_stats.h"
#include "host/cli/bench_sweep.h"
#include "host/cli/gpu_sampler.h"
#include "host/cli/stack.h"
#include "runtime/bandwidth.h"
#include "runtime/model.h"

/* One line of the result. Either n_prompt or n_gen is 0. */
struct sto_bench_test {
    uint32_t n_prompt; /* prompt tokens evaluated together                        */
    uint32_t n_gen;    /* tokens generated one by one                             */
    uint32_t n_depth;  /* tokens that are in the context before                   */
    uint32_t n_batch;  /* prompt tokens handed to the engine in one call, at most */
    uint32_t n_ubatch; /* prompt tokens that go through the layers at once        */
};
/* "pp512", "tg128 @ d4096". */
void sto_bench_test_name(const struct sto_bench_test *test, char *text, size_t size);

/* ---- bench_work.c: what a repetition of a test has to do, from the model's sizes alone ---- */

struct sto_bench_sizes {
    uint64_t layer_bytes, output_bytes;        /* weights that every pass reads; the output matrix          */
    uint64_t layer_elements, output_elements;  /* of matrices                                               */
    uint64_t kv_bytes_per_token;               /* all layers                                                */
    uint64_t attention_flops;                  /* per query token and token that it attends to, all layers  */
    uint64_t total_bytes, total_elements;      /* of all tensors, as the file has them                      */
};
struct sto_bench_sizes sto_bench_sizes_of(const struct sto_model *model, uint64_t kv_bytes_per_token);

struct sto_bench_work {
    uint64_t tokens;
    uint64_t read_bytes; /* the least that must be read: weights once per pass, the KV of the context once per pass */
    double flops;        /* of matrix products and attention                                                        */
};
struct sto_bench_work sto_bench_work_of(const struct sto_bench_sizes *sizes, const struct sto_bench_test *test);

/* ---- bench_run.c ---- */

struct sto_bench_result {
    struct sto_bench_test test;
    struct sto_bench_work work;
    uint64_t *ns;             /* [n] time of each repetition                                                        */
    uint64_t *first_token_ns; /* [n] prompts: until the first token is known, logits and arg-max included           */
    size_t n;
    unsigned warmups;
    bool drawn;               /* generation drew its tokens on the device, else they were evaluated one by one       */
    bool stable;              /* the last two warm-up runs took the same time, within 3 %                           */
    uint64_t disk_read_bytes; /* weights of streamed layers, while the repetitions ran                              */
    uint64_t longest_batch_ns; /* submission batch while the repetitions ran, as far as they were timed; 0: none was */
    char time[24];            /* when the test began, ISO 8601, UTC                                                 */
    struct sto_gpu_summary gpu; /* while the repetitions ran; no readings: nobody knows the device                  */
};

struct sto_bench_runner {
    struct sto_session *session;
    uint32_t n_vocab, repetitions;
    uint64_t seed;
    uint32_t *tokens; /* [n_tokens] random ids */
    float *logits;    /* [n_vocab]             */
    uint32_t n_tokens;
    uint64_t drawn;   /* ids drawn so far      */
    struct sto_gpu_source *source; /* NULL: nobody knows the device */
    bool draw;        /* generation draws its tokens on the device */
    struct sto_device *device;
    const struct sto_engine *engine;
};

/* Runs a test on a session that holds test->n_depth tokens. out->ns and first_token_ns [repetitions] are the caller's.
 * After an error out->n repetitions are good. */
enum sto_status sto_bench_run(struct sto_bench_runner *r, const struct sto_bench_test *test,
                              struct sto_bench_result *out, struct sto_error *err);
/* Brings the session to n_tokens tokens by evaluating random ones. */
enum sto_status sto_bench_fill(struct sto_bench_runner *r, uint32_t n_tokens, uint32_t n_ubatch, struct sto_error *err);

/* ---- bench_report.c ---- */

/* What every line says of the run. Texts are borrowed. */
struct sto_bench_setup {
    const struct sto_options *options;
    const struct sto_model *model;
    const struct sto_device_snapshot *snapshot;
    const struct sto_device_plan *plan;
    const struct sto_findings *findings; /* applied to the plan */
    struct sto_engine_info engine;
    struct sto_bench_sizes sizes;
    struct sto_bandwidth bandwidth;
    const char *model_file, *model_type;
    const char *sha256;       /* NULL: not computed */
    struct sto_bench_memory memory_before, memory_after;
    uint64_t spilled_bytes;
    struct sto_gpu_source *source;
    const struct sto_bench_budget *budget; /* of a sweep over them; NULL: none */
};

struct sto_bench_report {
    FILE *out;
    enum sto_bench_output format;
    const struct sto_bench_setup *setup;
    size_t n_rows, n_throttled; /* lines, and those without an average */
};

/* What is said of a result in every format. */
struct sto_bench_figures {
    struct sto_bench_stats ns, ts;    /* of the repetitions: nanoseconds, tokens per second */
    double first_token_ns;            /* median; 0: not a prompt                            */
    double gb_per_s, tflop_per_s;     /* at the median time                                 */
    double share;                     /* of the measured bandwidth; 0: not known            */
};

void sto_bench_report_begin(struct sto_bench_report *r);
enum sto_status sto_bench_report_row(struct sto_bench_report *r, const struct sto_bench_result *result,
                                     struct sto_error *err);
void sto_bench_report_end(struct sto_bench_report *r);

/* bench_md.c: a line of the table, and before the first one what it is about. */
void sto_bench_print_md(const struct sto_bench_report *r, const struct sto_bench_result *result,
                        const struct sto_bench_figures *figures);

#endif

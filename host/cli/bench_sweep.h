/* strato bench --sweep vram: budgets of device memory, the plan for each, and what it promises beside what is
 * measured. */
#ifndef STO_CLI_BENCH_SWEEP_H
#define STO_CLI_BENCH_SWEEP_H

#include "host/cli/options.h"
#include "host/plan_model.h"

enum { STO_MAX_BUDGETS = 64 };

struct sto_bench_budgets {
    uint64_t bytes[STO_MAX_BUDGETS]; /* rising */
    size_t n;
};

/* The budget that an engine runs within, and how. */
struct sto_bench_budget {
    struct sto_model_plan_params params;
    struct sto_model_plan plan;
    uint64_t read_bytes;  /* weights of a decode step                    */
    uint64_t peak_bytes;  /* of the device's own memory, once it has run */
};

/* Tokens per second; 0: not known. */
struct sto_bench_forecast {
    double predicted;                /* by the plan                                                  */
    double roofline, streaming, cpu; /* generation: no plan within this budget is faster; with the link alone, with the
                                        processor alone for what is not resident                     */
    enum sto_plan_bind bind;         /* of the prediction                                            */
};

/* `texts` are sizes, one or several an item with commas; none: a dozen from what the model needs at least to all of it
 * on the device, at round distances, as far as the device (free_bytes) allows. STO_ERR_USAGE names what is no size. */
enum sto_status sto_bench_budgets_choose(const struct sto_text_list *texts, const struct sto_sizes *sizes,
                                         uint32_t n_layers, uint64_t free_bytes, struct sto_bench_budgets *out,
                                         struct sto_error *err);

/* The plan within params.vram_bytes, and *engine changed to carry it out. Its lanes are out->plan's: free that with
 * sto_model_plan_free, not after an error. STO_ERR_NO_FIT: less than the model needs. */
enum sto_status sto_bench_budget_plan(const struct sto_model *model, struct sto_engine_params *engine,
                                      struct sto_bench_budget *out, struct sto_error *err);

/* Of a prompt of n_prompt tokens through ubatches of n_ubatch, or of n_gen tokens, behind n_depth. */
enum sto_status sto_bench_forecast_of(const struct sto_bench_budget *budget, uint32_t n_prompt, uint32_t n_gen,
                                      uint32_t n_depth, uint32_t n_ubatch, struct sto_bench_forecast *out,
                                      struct sto_error *err);

#endif

/* A plan for a model: its sizes, a budget and rates, put together for the planner (planner.h). */
#ifndef STO_PLAN_MODEL_H
#define STO_PLAN_MODEL_H

#include "host/planner.h"
#include "runtime/sizes.h"

struct sto_model_plan_params {
    struct sto_engine_params engine; /* ctx_tokens, ubatch_tokens, KV format, ring_slots; the rest does not count   */
    uint64_t vram_bytes;             /* > 0                                                                         */
    uint64_t ram_bytes;              /* 0: no bound                                                                 */
    uint64_t pinned_bytes;           /* 0: half of it, as engines take                                              */
    uint32_t depth_tokens;
    uint32_t means;                  /* of enum sto_plan_means                                                      */
    struct sto_rates rates;
};

struct sto_model_plan {
    struct sto_plan plan;
    enum sto_lane *lanes;            /* [n_layers] the plan's, for engines            */
    struct sto_plan_figures figures;
    struct sto_sizes sizes;
    uint32_t ctx_tokens;
    uint64_t scratch_bytes;          /* of the device: norms, scratch, buffers                */
    bool all_resident;
};

/* The context as an engine would fit it: as much as leaves all layers on the device; where not even the smallest does,
 * that one, and layers leave. Free with sto_model_plan_free, not after an error. STO_ERR_NO_FIT: the numbers, and what
 * would make it fit. STO_ERR_USAGE: parameters as in sto_engine_create, or a rate that is needed is not known. */
enum sto_status sto_model_plan_make(const struct sto_model *model, const struct sto_model_plan_params *params,
                                    struct sto_model_plan *out, struct sto_error *err);
void sto_model_plan_free(struct sto_model_plan *plan);
/* Has an engine carry it out, within the plan's budgets; its lanes stay the plan's. */
void sto_model_plan_use(const struct sto_model_plan *plan, struct sto_engine_params *engine);

/* Tokens/s of lanes that are there: plan as sto_model_plan_make gave it, at another depth. */
enum sto_status sto_model_plan_predict(const struct sto_model_plan *plan, const struct sto_model_plan_params *params,
                                       uint32_t depth_tokens, uint32_t ubatch_tokens, struct sto_plan_figures *out,
                                       struct sto_error *err);

#endif

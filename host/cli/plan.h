/* What strato plan prints, and plans for commands that run a model. */
#ifndef STO_CLI_PLAN_H
#define STO_CLI_PLAN_H

#include "host/cli/options.h"
#include "host/plan_model.h"

/* What --rates says: a list, or the name of a file that holds one; zeroed where it was not given. */
enum sto_status sto_cli_read_rates(const char *text, struct sto_rates *out, struct sto_error *err);

/* What --sim says, likewise. */
enum sto_status sto_cli_read_simulation(const char *text, struct sto_simulation *out, struct sto_error *err);

/* Everything that a plan rests on, from the options and the device (NULL: there is none, and options give what is
 * needed). `given` are the rates of --rates, room_bytes what measuring others may take (runtime/probe.h). */
enum sto_status sto_cli_plan_params(const struct sto_options *options, struct sto_device *device,
                                    const struct sto_model *model, const struct sto_rates *given, uint64_t room_bytes,
                                    struct sto_model_plan_params *out, struct sto_error *err);

/* For an engine of a model that does not fit on the device: a plan, and *params changed to carry it out: lanes (which
 * *plan owns), ring, context and budget. Where all layers fit nothing is measured and nothing changes: *planned is
 * false, as it is where there is no plan, which the engine then says better. */
enum sto_status sto_cli_plan_engine(const struct sto_options *options, struct sto_device *device,
                                    const struct sto_model *model, struct sto_engine_params *params,
                                    struct sto_model_plan *plan, bool *planned, struct sto_error *err);

/* "30 of 36 layers resident, 6 streamed through 2 slots; 37.2 tokens/s expected (link)" */
void sto_plan_line(const struct sto_model_plan *plan, char *text, size_t size);

/* ---- plan_report.c ---- */

enum { STO_MAX_ALTERNATIVES = 4 };

/* What something else would give; seconds 0 with a reason where it does not fit. */
struct sto_plan_alternative {
    char what[48];
    bool fits;
    struct sto_plan_figures figures;
};

struct sto_plan_report {
    const struct sto_model *model;
    const char *device; /* NULL: none */
    const struct sto_model_plan_params *params;
    const struct sto_model_plan *plan;
    const struct sto_plan_figures *full; /* the same plan with its context full */
    const struct sto_plan_alternative *alternatives;
    uint32_t n_alternatives;
};

void sto_plan_print(const struct sto_plan_report *report);
/* STO_ERR_NO_FIT: no memory. */
enum sto_status sto_plan_print_json(const struct sto_plan_report *report, struct sto_error *err);

#endif

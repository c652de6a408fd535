/* What the self-test and tune have found out about a device, for `strato devices` and `strato tune`. */
#ifndef STO_CLI_DEVICE_FINDINGS_H
#define STO_CLI_DEVICE_FINDINGS_H

#include <cjson/cJSON.h>

#include "runtime/vk/findings.h"

/* A few lines of text, each indented by two. plan: with the findings applied. */
void sto_print_findings(const struct sto_findings *findings, const struct sto_device_plan *plan);
/* "findings": {...} in json. */
void sto_json_findings(cJSON *json, const struct sto_findings *findings);
/* "64 32 4": the constants of a kernel. */
void sto_tuning_text(const struct sto_tuning *tuning, char *text, size_t size);

#endif

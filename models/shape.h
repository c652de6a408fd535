/* Models without a file: known shapes with random weights, made on the device. For measuring: what such a model writes
 * means nothing. */
#ifndef STO_SHAPE_H
#define STO_SHAPE_H

#include "runtime/model.h"

/* spec: "8b:q4_k_m", a shape's name and a mixture of weight formats (mixture.h). Close with sto_model_close. The same
 * spec and seed give the same weights. STO_ERR_USAGE lists the names that there are. */
enum sto_status sto_shape_open(const char *spec, uint64_t seed, struct sto_model **out, struct sto_error *err);

/* Names of shape i, "qwen3-8b" and "8b"; false past the end. */
bool sto_shape_at(size_t i, const char **name, const char **short_name);

#endif

/* A whole forward pass in double: the families llama, qwen2 and qwen3, from a GGUF file. Token ids in, logits out.
 *
 * Weights are expanded by ref_formats, layer by layer and on every call, so memory stays at one matrix in double plus
 * activations; keys and values of the whole sequence are kept in double. For small models: about 1 ns per weight and
 * token. Reads files through models/gguf.h; shares nothing else with the product. */
#ifndef STO_REF_MODEL_H
#define STO_REF_MODEL_H

#include "runtime/base/status.h"

struct sto_ref_model;

/* STO_ERR_MODEL: the file is damaged, of another family, or has experts. */
enum sto_status sto_ref_model_open(const char *path, struct sto_ref_model **out, struct sto_error *err);
/* Accepts NULL. */
void sto_ref_model_close(struct sto_ref_model *model);

size_t sto_ref_model_n_vocab(const struct sto_ref_model *model);

/* logits [n_tokens, n_vocab]: row i follows tokens[0..i]. Positions are 0 .. n_tokens - 1. n_tokens >= 1.
 * STO_ERR_USAGE: an id is not below n_vocab. STO_ERR_MODEL: a tensor is missing or has the wrong shape or type. */
enum sto_status sto_ref_model_logits(const struct sto_ref_model *model, const uint32_t *tokens, size_t n_tokens,
                                     double *logits, struct sto_error *err);

#endif

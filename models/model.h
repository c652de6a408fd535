/* A model file opened for an engine: what the rest of models/ and host/ may ask of it beyond runtime/strato.h. */
#ifndef STO_MODELS_MODEL_H
#define STO_MODELS_MODEL_H

#include "models/vocab.h"
#include "runtime/model.h"

/* Both live as long as the model. A model without a file (shape.h) has an empty vocabulary and no GGUF: NULL. */
const struct sto_vocab *sto_model_get_vocab(const struct sto_model *model);
const struct sto_gguf *sto_model_get_gguf(const struct sto_model *model);

/* What the hyperparameters say a weight must be; vectors have rows 1. */
void sto_weight_shape(const struct sto_hparams *h, enum sto_weight_role role, uint32_t *rows, uint32_t *cols);
bool sto_weight_is_matrix(enum sto_weight_role role);

/* The forward pass of every family (decoder.c). */
uint64_t sto_decoder_scratch_bytes(const struct sto_model *model, uint32_t max_cols, uint32_t ctx_tokens);
void sto_decoder_record_begin(const struct sto_model *model, struct sto_forward *f);
void sto_decoder_record_layer(const struct sto_model *model, struct sto_forward *f, uint32_t layer);
struct sto_tensor sto_decoder_residual(const struct sto_model *model, const struct sto_forward *f);
void sto_decoder_record_resume(const struct sto_model *model, struct sto_forward *f, uint32_t layer);
void sto_decoder_record_logits(const struct sto_model *model, struct sto_forward *f, uint32_t first_col,
                               uint32_t n_rows, struct sto_tensor logits);

#endif

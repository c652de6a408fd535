/* Which weight format each matrix of a file gets: a "Q4_K_M" file is a mixture. The rules are those of llama.cpp's
 * quantiser (llama_tensor_get_type in src/llama-quant.cpp) for dense models without an importance matrix, except for
 * MXFP4, which here is every matrix of a layer with Q8_0 embeddings. */
#ifndef STO_MIXTURE_H
#define STO_MIXTURE_H

#include "runtime/strato.h"

enum sto_matrix {
    STO_MATRIX_EMBD,
    STO_MATRIX_OUTPUT,
    STO_MATRIX_Q,
    STO_MATRIX_K,
    STO_MATRIX_V,
    STO_MATRIX_O,
    STO_MATRIX_GATE,
    STO_MATRIX_UP,
    STO_MATRIX_DOWN
};

/* One matrix of a model. */
struct sto_matrix_place {
    enum sto_matrix matrix;
    uint32_t layer, n_layers;
    uint32_t n_heads, n_kv_heads;
    uint64_t n_cols; /* elements per row: rows that are not whole blocks get another format */
    bool tied;       /* the embedding is the output matrix too                              */
};

struct sto_mixture;

/* "Q4_K_M", "Q8_0", "F16", any case; NULL: unknown. Static. */
const struct sto_mixture *sto_mixture_find(const char *name);
/* Mixture i, NULL past the end. */
const struct sto_mixture *sto_mixture_at(size_t i);
const char *sto_mixture_name(const struct sto_mixture *mixture);
/* What general.file_type says for it. */
uint32_t sto_mixture_file_type(const struct sto_mixture *mixture);

enum sto_type sto_mixture_type(const struct sto_mixture *mixture, const struct sto_matrix_place *place);

#endif

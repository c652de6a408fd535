/* What a model takes in memory, before anything is made: an engine's sizes without an engine or a device, for planning.
 * A file's header is enough. */
#ifndef STO_SIZES_H
#define STO_SIZES_H

#include "runtime/fit.h"
#include "runtime/model.h"

struct sto_sizes {
    uint64_t *layer_bytes;           /* [n_layers] weights as they lie in memory                              */
    uint64_t embedding_bytes;
    uint64_t output_bytes;           /* 0: the embedding is the output matrix too                             */
    uint32_t ubatch_tokens;          /* what was asked for, or the default, within the context                */
    uint64_t host_bytes;             /* of host memory: logits and other buffers that the device shares       */
    uint64_t host_cpu_bytes;         /* and besides, where layers are on the processor: activations, crossings */
    uint64_t kv_bytes_per_token;     /* all layers                                                            */
    uint64_t layer_flops;            /* of products, per token, all layers                                    */
    uint64_t attention_flops;        /* per token and token that it attends to, all layers                    */
    uint64_t type_bytes[STO_TYPE_COUNT]; /* of the layers' matrices and the output matrix, by format          */
    struct sto_fit_input fit;        /* weight_bytes: what lies outside the layers; available_bytes is left 0 */
};

/* Of params, ctx_tokens, ubatch_tokens and the KV format count. Free with sto_sizes_free. STO_ERR_USAGE as in
 * sto_engine_create. */
enum sto_status sto_sizes_of(const struct sto_model *model, const struct sto_engine_params *params,
                             struct sto_sizes *out, struct sto_error *err);
void sto_sizes_free(struct sto_sizes *sizes);

/* Device memory that an engine uses when no budget is given: what is free, less a margin for the desktop and the
 * driver. */
uint64_t sto_default_budget_bytes(struct sto_device *device);

#endif

/* Sizes come from the same functions that an engine is built with. */
#include "runtime/sizes.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/engine.h"

uint64_t sto_default_budget_bytes(struct sto_device *device)
{
    const uint64_t least = 32 << 20, most = 512 << 20;
    const uint64_t available = sto_device_free_bytes(device);
    uint64_t margin = available / 32;
    margin = margin < least ? least : margin > most ? most : margin;
    return available > margin ? available - margin : 0;
}

static void count_work(const struct sto_model *model, struct sto_sizes *s)
{
    const struct sto_hparams *h = &model->h;
    bool tied = true;
    s->attention_flops = 4 * (uint64_t)h->n_layers * h->n_heads * h->head_dim; /* q . k, and p v: 2 each */
    for (uint32_t i = 0; i < model->n_weights; i++)
        tied = tied && model->weights[i].role != STO_W_OUTPUT;
    for (uint32_t i = 0; i < model->n_weights; i++) {
        const struct sto_model_weight *w = &model->weights[i];
        const bool outside = w->role == STO_W_TOKEN_EMBD || w->role == STO_W_OUTPUT;
        if (sto_weight_is_vector(w) || (w->role == STO_W_TOKEN_EMBD && !tied))
            continue;
        s->type_bytes[w->type] += w->bytes;
        s->layer_flops += outside ? 0 : 2 * (uint64_t)w->rows * w->cols;
    }
}

enum sto_status sto_sizes_of(const struct sto_model *model, const struct sto_engine_params *params,
                             struct sto_sizes *out, struct sto_error *err)
{
    struct sto_engine *e = sto_calloc(1, sizeof *e); /* never more than its sizes */
    const uint32_t n_pieces = sto_weights_count_pieces(model), n_layers = model->h.n_layers;
    uint64_t *pieces = sto_calloc(n_pieces, sizeof *pieces);
    enum sto_status status = STO_OK;
    *out = (struct sto_sizes){.layer_bytes = sto_calloc(n_layers, sizeof *out->layer_bytes)};
    if (e == NULL || pieces == NULL || out->layer_bytes == NULL) {
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for the sizes of %u layers", (unsigned)n_layers);
        goto fail;
    }
    e->model = model;
    e->params = *params;
    e->n_pieces = n_pieces;
    if ((status = sto_engine_size(e, err)) != STO_OK)
        goto fail;
    if ((status = sto_weights_plan(e, pieces, err)) != STO_OK)
        goto fail;
    memcpy(out->layer_bytes, pieces + sto_weights_layer_piece(0), n_layers * sizeof *pieces);
    out->embedding_bytes = pieces[1];
    out->output_bytes = pieces[2];
    out->ubatch_tokens = e->info.ubatch_tokens;
    out->host_bytes = sto_streamed_host_bytes(e, false);
    out->host_cpu_bytes = sto_streamed_host_bytes(e, true) - out->host_bytes +
                          model->vtable->scratch_bytes(model, out->ubatch_tokens, KV_PAGE) +
                          sto_engine_step_bytes(out->ubatch_tokens);
    out->kv_bytes_per_token = e->info.kv_bytes_per_token;
    out->fit = sto_residency_fit(e, pieces);
    count_work(model, out);
fail:
    if (e != NULL)
        sto_free(e->weights.weights);
    sto_free(e);
    sto_free(pieces);
    if (status != STO_OK)
        sto_sizes_free(out);
    return status;
}

void sto_sizes_free(struct sto_sizes *sizes)
{
    sto_free(sizes->layer_bytes);
    sizes->layer_bytes = NULL;
}

/* What strato.h says about models, and the table of device weights. */
#include "runtime/model.h"

const char *sto_model_arch(const struct sto_model *model)
{
    return model->arch;
}

const char *sto_model_name(const struct sto_model *model)
{
    return model->name;
}

uint32_t sto_model_n_vocab(const struct sto_model *model)
{
    return model->h.n_vocab;
}

uint32_t sto_model_n_ctx_train(const struct sto_model *model)
{
    return model->h.n_ctx_train;
}

uint32_t sto_model_n_layers(const struct sto_model *model)
{
    return model->h.n_layers;
}

uint32_t sto_device_weight_index(enum sto_weight_role role, uint32_t layer)
{
    const uint32_t r = (uint32_t)role;
    const uint32_t first = STO_W_FIRST_OF_LAYER;
    return r < first ? r : first + layer * (STO_W_COUNT - first) + (r - first);
}

struct sto_weight sto_device_weight(const struct sto_device_weights *w, enum sto_weight_role role, uint32_t layer)
{
    return w->weights[sto_device_weight_index(role, layer)];
}

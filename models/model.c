/* Opening a model: header, family, hyperparameters, the list of weights with their shapes checked, vocabulary. */
#include "models/model.h"

#include <stdio.h>
#include <string.h>

#include "models/arch.h"
#include "runtime/base/mem.h"
#include "runtime/formats/formats.h"

struct model_impl {
    struct sto_model model;
    struct sto_gguf *gguf;
    struct sto_vocab vocab;
    const struct sto_arch *arch;
};

static struct model_impl *impl_of(const struct sto_model *model)
{
    return model->impl;
}

/* ---- shapes ---- */

void sto_weight_shape(const struct sto_hparams *h, enum sto_weight_role role, uint32_t *rows, uint32_t *cols)
{
    const uint32_t q = h->n_heads * h->head_dim;
    const uint32_t kv = h->n_kv_heads * h->head_dim;
    *rows = 1;
    *cols = h->n_embd;
    switch (role) {
    case STO_W_TOKEN_EMBD:
    case STO_W_OUTPUT: *rows = h->n_vocab; break;
    case STO_W_ROPE_FREQS: *cols = h->rope_dims / 2; break;
    case STO_W_Q: *rows = q; break;
    case STO_W_K:
    case STO_W_V: *rows = kv; break;
    case STO_W_Q_BIAS: *cols = q; break;
    case STO_W_K_BIAS:
    case STO_W_V_BIAS: *cols = kv; break;
    case STO_W_Q_NORM:
    case STO_W_K_NORM: *cols = h->head_dim; break;
    case STO_W_O: *rows = h->n_embd, *cols = q; break;
    case STO_W_GATE:
    case STO_W_UP: *rows = h->n_ff; break;
    case STO_W_DOWN: *rows = h->n_embd, *cols = h->n_ff; break;
    case STO_W_OUTPUT_NORM:
    case STO_W_ATTN_NORM:
    case STO_W_FFN_NORM:
    case STO_W_O_BIAS:
    case STO_W_COUNT: break;
    }
}

bool sto_weight_is_matrix(enum sto_weight_role role)
{
    switch (role) {
    case STO_W_TOKEN_EMBD:
    case STO_W_OUTPUT:
    case STO_W_Q:
    case STO_W_K:
    case STO_W_V:
    case STO_W_O:
    case STO_W_GATE:
    case STO_W_UP:
    case STO_W_DOWN: return true;
    default: return false;
    }
}

static enum sto_status check_tensor(const struct model_impl *m, const struct sto_gguf_tensor *t,
                                    enum sto_weight_role role, const char *name, struct sto_error *err)
{
    uint32_t rows, cols;
    sto_weight_shape(&m->model.h, role, &rows, &cols);
    if (t->type == STO_TYPE_COUNT)
        return sto_fail(err, STO_ERR_MODEL, "%s: tensor '%s' has weight format number %u, which is not supported",
                        m->model.path, name, t->file_type);
    const bool vector = !sto_weight_is_matrix(role);
    const bool right = t->dims[0] == cols && (vector ? t->n_dims == 1 : t->n_dims == 2 && t->dims[1] == rows);
    if (!right)
        return sto_fail(err, STO_ERR_MODEL, "%s: tensor '%s' has shape [%llu, %llu, %llu, %llu], expected [%u, %u]",
                        m->model.path, name, (unsigned long long)t->dims[3], (unsigned long long)t->dims[2],
                        (unsigned long long)t->dims[1], (unsigned long long)t->dims[0], rows, cols);
    const bool plain = t->type == STO_TYPE_F32 || t->type == STO_TYPE_F16 || t->type == STO_TYPE_BF16;
    if (vector && !plain)
        return sto_fail(err, STO_ERR_MODEL, "%s: tensor '%s' is a vector in %s, expected F32, F16 or BF16",
                        m->model.path, name, sto_type_name(t->type));
    return STO_OK;
}

/* ---- the weight list ---- */

static enum sto_status add_weight(struct model_impl *m, enum sto_weight_role role, uint32_t layer,
                                  struct sto_error *err)
{
    char name[64];
    sto_weight_name(role, layer, name, sizeof name);
    const struct sto_gguf_tensor *t = sto_gguf_find_tensor(m->gguf, name);
    if (t == NULL && (m->arch->required >> role & 1) != 0)
        return sto_fail(err, STO_ERR_MODEL, "%s: tensor '%s' is missing; architecture '%s' needs it", m->model.path,
                        name, m->arch->name);
    if (t == NULL)
        return STO_OK;
    const enum sto_status status = check_tensor(m, t, role, name, err);
    if (status != STO_OK)
        return status;
    struct sto_model_weight *w = &m->model.weights[m->model.n_weights++];
    *w = (struct sto_model_weight){.role = role, .layer = layer, .type = t->type, .bytes = t->bytes, .source = t};
    w->cols = (uint32_t)t->dims[0];
    w->rows = (uint32_t)t->dims[1];
    (void)snprintf(w->name, sizeof w->name, "%s", name);
    return STO_OK;
}

/* A tensor that no role claims would be left out of the computation: better to refuse than to answer wrongly. */
static enum sto_status refuse_unknown(const struct model_impl *m, struct sto_error *err)
{
    if (m->model.n_weights == sto_gguf_n_tensors(m->gguf))
        return STO_OK;
    for (size_t i = 0; i < sto_gguf_n_tensors(m->gguf); i++) {
        const struct sto_gguf_tensor *t = sto_gguf_tensor_at(m->gguf, i);
        bool known = false;
        for (uint32_t k = 0; k < m->model.n_weights && !known; k++)
            known = m->model.weights[k].source == t;
        if (!known)
            return sto_fail(err, STO_ERR_MODEL, "%s: tensor '%.*s' is not one that architecture '%s' uses",
                            m->model.path, (int)t->name.size, t->name.data, m->arch->name);
    }
    return STO_OK;
}

static enum sto_status list_weights(struct model_impl *m, struct sto_error *err)
{
    const size_t most = STO_W_COUNT * (size_t)m->model.h.n_layers + STO_W_FIRST_OF_LAYER;
    enum sto_status status = STO_OK;
    m->model.weights = sto_calloc(most, sizeof *m->model.weights);
    if (m->model.weights == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: no memory for the list of weights", m->model.path);
    for (int role = 0; role < STO_W_FIRST_OF_LAYER && status == STO_OK; role++)
        status = add_weight(m, (enum sto_weight_role)role, 0, err);
    for (uint32_t layer = 0; layer < m->model.h.n_layers; layer++) {
        for (int role = STO_W_FIRST_OF_LAYER; role < STO_W_COUNT && status == STO_OK; role++)
            status = add_weight(m, (enum sto_weight_role)role, layer, err);
    }
    return status == STO_OK ? refuse_unknown(m, err) : status;
}

/* ---- the seam ---- */

static enum sto_status read_weight(const struct sto_model *model, const struct sto_model_weight *weight,
                                   uint64_t offset, void *dst, size_t size, struct sto_error *err)
{
    const struct sto_gguf_tensor *t = weight->source;
    const enum sto_status status =
        sto_map_read(sto_gguf_map(impl_of(model)->gguf, t->split), t->offset + offset, dst, size, err);
    if (status != STO_OK)
        sto_error_prefix(err, "%s: tensor '%s'", model->path, weight->name);
    return status;
}

static void forget_weight(const struct sto_model *model, const struct sto_model_weight *weight, uint64_t offset,
                          size_t size)
{
    const struct sto_gguf_tensor *t = weight->source;
    sto_map_forget(sto_gguf_map(impl_of(model)->gguf, t->split), t->offset + offset, size);
}

static void close_model(struct sto_model *model)
{
    struct model_impl *m = impl_of(model);
    sto_vocab_free(&m->vocab);
    sto_gguf_close(m->gguf);
    sto_free(m->model.weights);
    sto_free(m->model.rope_freqs);
    sto_free(m);
}

static const struct sto_model_vtable vtable = {
    .scratch_bytes = sto_decoder_scratch_bytes,
    .record_begin = sto_decoder_record_begin,
    .record_layer = sto_decoder_record_layer,
    .residual = sto_decoder_residual,
    .record_resume = sto_decoder_record_resume,
    .record_logits = sto_decoder_record_logits,
    .read_weight = read_weight,
    .forget_weight = forget_weight,
    .close = close_model,
};

static void copy_view(char *dst, size_t size, struct sto_view v)
{
    (void)snprintf(dst, size, "%.*s", (int)(v.size < size ? v.size : size - 1), v.data);
}

static enum sto_status refuse_arch(const struct model_impl *m, struct sto_error *err)
{
    char known[256] = "";
    const struct sto_arch *a;
    for (size_t i = 0; (a = sto_arch_at(i)) != NULL; i++) {
        const size_t n = strlen(known);
        (void)snprintf(known + n, sizeof known - n, "%s%s", i > 0 ? ", " : "", a->name);
    }
    return sto_fail(err, STO_ERR_MODEL, "%s: architecture '%s' is not supported; these are: %s", m->model.path,
                    m->model.arch, known);
}

static enum sto_status find_arch(struct model_impl *m, struct sto_error *err)
{
    struct sto_view arch = {"", 0}, name = {"", 0};
    enum sto_status status = sto_gguf_get_string(m->gguf, "general.architecture", &arch, err);
    if (status == STO_OK)
        status = sto_gguf_get_string(m->gguf, "general.name", &name, err);
    if (status != STO_OK)
        return status;
    if (arch.size == 0)
        return sto_fail(err, STO_ERR_MODEL, "%s: key 'general.architecture' is missing", m->model.path);
    copy_view(m->model.arch, sizeof m->model.arch, arch);
    copy_view(m->model.name, sizeof m->model.name, name);
    m->arch = arch.size < sizeof m->model.arch ? sto_arch_find(m->model.arch) : NULL;
    return m->arch != NULL ? STO_OK : refuse_arch(m, err);
}

static void name_from_path(struct sto_model *model)
{
    const char *base = model->path;
    for (const char *p = model->path; *p != '\0'; p++) {
        if (*p == '/' || *p == '\\')
            base = p + 1;
    }
    if (model->name[0] == '\0')
        (void)snprintf(model->name, sizeof model->name, "%.*s", (int)sizeof model->name - 1, base);
}

enum sto_status sto_model_open(const char *path, const struct sto_model_params *params,
                               const struct sto_callbacks *callbacks, struct sto_model **out, struct sto_error *err)
{
    const struct sto_gguf_params gguf_params = {.header_only = params != NULL && params->header_only};
    enum sto_status status = STO_OK;
    struct model_impl *m = NULL;
    (void)callbacks;
    if (strlen(path) >= sizeof m->model.path)
        return sto_fail(err, STO_ERR_USAGE, "the model's path is longer than %zu bytes", sizeof m->model.path - 1);
    m = sto_calloc(1, sizeof *m);
    if (m == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: no memory to open it", path);
    m->model.impl = m;
    m->model.vtable = &vtable;
    (void)snprintf(m->model.path, sizeof m->model.path, "%s", path);
    if ((status = sto_gguf_open(path, &gguf_params, &m->gguf, err)) != STO_OK)
        goto fail;
    m->model.has_data = sto_gguf_has_data(m->gguf);
    if ((status = find_arch(m, err)) != STO_OK)
        goto fail;
    name_from_path(&m->model);
    if ((status = sto_hparams_read(m->gguf, m->arch, &m->model.h, &m->model.rope_freqs, err)) != STO_OK)
        goto fail;
    if ((status = list_weights(m, err)) != STO_OK)
        goto fail;
    if ((status = sto_vocab_read(m->gguf, &m->vocab, err)) != STO_OK)
        goto fail;
    if (m->vocab.kind != STO_VOCAB_NONE && m->vocab.n_tokens > m->model.h.n_vocab) {
        status = sto_fail(err, STO_ERR_MODEL, "%s: tokenizer.ggml.tokens has %u entries, the embedding only %u rows",
                          path, m->vocab.n_tokens, m->model.h.n_vocab);
        goto fail;
    }
    *out = &m->model;
    return STO_OK;
fail:
    close_model(&m->model);
    return status;
}

void sto_model_close(struct sto_model *model)
{
    if (model != NULL)
        model->vtable->close(model);
}

const struct sto_vocab *sto_model_get_vocab(const struct sto_model *model)
{
    static const struct sto_vocab none = {.kind = STO_VOCAB_NONE};
    return model->vtable == &vtable ? &impl_of(model)->vocab : &none;
}

const struct sto_gguf *sto_model_get_gguf(const struct sto_model *model)
{
    return model->vtable == &vtable ? impl_of(model)->gguf : NULL;
}

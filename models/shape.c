/* The table of shapes, and a model made from a line of it.
 *
 *   name:mixture -> hyperparameters -> the list of weights -> per matrix the bits that a kernel keeps and sets */
#include "models/shape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/arch.h"
#include "models/mixture.h"
#include "models/model.h"
#include "runtime/base/mem.h"
#include "runtime/formats/formats.h"

struct shape {
    const char *name, *short_name, *arch;
    uint32_t layers, embd, heads, kv_heads, head_dim, ffn, vocab, ctx;
    bool tied;
    float rope_base, norm_eps;
};

/* Sizes are those of the models' published configurations. Llama 3's frequency divisors are left out: they change
 * angles, not work. */
static const struct shape shapes[] = {
    {"qwen3-0.6b", "0.6b", "qwen3", 28, 1024, 16, 8, 128, 3072, 151936, 40960, true, 1e6f, 1e-6f},
    {"qwen3-1.7b", "1.7b", "qwen3", 28, 2048, 16, 8, 128, 6144, 151936, 40960, true, 1e6f, 1e-6f},
    {"qwen3-4b", "4b", "qwen3", 36, 2560, 32, 8, 128, 9728, 151936, 40960, true, 1e6f, 1e-6f},
    {"qwen3-8b", "8b", "qwen3", 36, 4096, 32, 8, 128, 12288, 151936, 40960, false, 1e6f, 1e-6f},
    {"qwen3-14b", "14b", "qwen3", 40, 5120, 40, 8, 128, 17408, 151936, 40960, false, 1e6f, 1e-6f},
    {"qwen3-32b", "32b", "qwen3", 64, 5120, 64, 8, 128, 25600, 151936, 40960, false, 1e6f, 1e-6f},
    {"qwen2-0.5b", "0.5b", "qwen2", 24, 896, 14, 2, 64, 4864, 151936, 32768, true, 1e6f, 1e-6f},
    {"qwen2-7b", "7b", "qwen2", 28, 3584, 28, 4, 128, 18944, 152064, 131072, false, 1e6f, 1e-6f},
    {"llama2-7b", "llama2-7b", "llama", 32, 4096, 32, 32, 128, 11008, 32000, 4096, false, 1e4f, 1e-5f},
    {"llama3-8b", "llama3-8b", "llama", 32, 4096, 32, 8, 128, 14336, 128256, 131072, false, 5e5f, 1e-5f},
    {"llama3.2-1b", "1b", "llama", 16, 2048, 32, 8, 64, 8192, 128256, 131072, true, 5e5f, 1e-5f},
    {"mistral-7b", "mistral-7b", "llama", 32, 4096, 32, 8, 128, 14336, 32768, 32768, false, 1e6f, 1e-5f},
    {"tiny", "tiny", "qwen3", 2, 256, 4, 2, 64, 512, 512, 4096, false, 1e6f, 1e-6f},
};

bool sto_shape_at(size_t i, const char **name, const char **short_name)
{
    if (i >= sizeof shapes / sizeof *shapes)
        return false;
    *name = shapes[i].name;
    *short_name = shapes[i].short_name;
    return true;
}

/* ---- the specification ---- */

static const struct shape *find_shape(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const char *names[] = {shapes[i].name, shapes[i].short_name};
        for (size_t k = 0; k < 2; k++) {
            if (strlen(names[k]) == size && memcmp(names[k], name, size) == 0)
                return &shapes[i];
        }
    }
    return NULL;
}

static enum sto_status refuse(const char *spec, struct sto_error *err)
{
    char names[512] = "", mixtures[256] = "";
    size_t n = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *s = &shapes[i];
        const bool same = strcmp(s->name, s->short_name) == 0;
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s%s%s", i > 0 ? ", " : "", s->name, same ? "" : " or ",
                              same ? "" : s->short_name);
    }
    n = 0;
    for (size_t i = 0; sto_mixture_at(i) != NULL; i++)
        n += (size_t)snprintf(mixtures + n, sizeof mixtures - n, "%s%s", i > 0 ? ", " : "",
                              sto_mixture_name(sto_mixture_at(i)));
    return sto_fail(err, STO_ERR_USAGE, "--shape: '%.60s' is not NAME:FORMAT; NAME is one of: %s; FORMAT one of: %s",
                    spec, names, mixtures);
}

/* ---- the model ---- */

static struct sto_hparams hparams_of(const struct shape *s)
{
    const struct sto_arch *arch = sto_arch_find(s->arch);
    return (struct sto_hparams){
        .n_vocab = s->vocab,
        .n_ctx_train = s->ctx,
        .n_layers = s->layers,
        .n_embd = s->embd,
        .n_ff = s->ffn,
        .n_heads = s->heads,
        .n_kv_heads = s->kv_heads,
        .head_dim = s->head_dim,
        .rope_dims = s->head_dim,
        .rope_kind = arch->rope_kind,
        .rope_scale = 1.0f,
        .norm_eps = s->norm_eps,
        .attn_scale = (float)(1.0 / sqrt((double)s->head_dim)),
        .embd_scale = 1.0f,
        .act = arch->act,
    };
}

static bool has_weight(const struct shape *s, enum sto_weight_role role)
{
    if (role == STO_W_OUTPUT)
        return !s->tied;
    return (sto_arch_find(s->arch)->required >> role & 1) != 0;
}

static enum sto_matrix matrix_of(enum sto_weight_role role)
{
    switch (role) {
    case STO_W_TOKEN_EMBD: return STO_MATRIX_EMBD;
    case STO_W_OUTPUT: return STO_MATRIX_OUTPUT;
    case STO_W_Q: return STO_MATRIX_Q;
    case STO_W_K: return STO_MATRIX_K;
    case STO_W_V: return STO_MATRIX_V;
    case STO_W_O: return STO_MATRIX_O;
    case STO_W_GATE: return STO_MATRIX_GATE;
    case STO_W_UP: return STO_MATRIX_UP;
    default: return STO_MATRIX_DOWN;
    }
}

/* Of a trained model's order, so that activations stay finite and logits are of the order of 1. */
static float deviation_of(const struct shape *s, enum sto_weight_role role, uint32_t cols)
{
    const float usual = 1.0f / sqrtf((float)cols);
    if (role == STO_W_OUTPUT || (role == STO_W_TOKEN_EMBD && s->tied))
        return 1.5f * usual;
    return role == STO_W_TOKEN_EMBD ? 0.3f : usual;
}

/* A seed per weight, from the model's and the weight's name (FNV-1a), so that no two repeat each other. */
static uint64_t seed_of(uint64_t seed, const char *name)
{
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (; *name != '\0'; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

struct builder {
    struct sto_model *model;
    const struct shape *shape;
    const struct sto_mixture *mixture;
    uint64_t seed;
};

/* Finding the bits of a block takes some decoding: weights of one role and type share them. */
static struct sto_random_block block_of(const struct builder *b, const struct sto_model_weight *w)
{
    const struct sto_model *m = b->model;
    for (uint32_t i = 0; m->weights + i < w; i++) {
        if (m->weights[i].role == w->role && m->weights[i].type == w->type)
            return m->random[i].block;
    }
    return sto_random_block_make(w->type, deviation_of(b->shape, w->role, w->cols));
}

static void add_weight(struct builder *b, enum sto_weight_role role, uint32_t layer)
{
    struct sto_model *m = b->model;
    struct sto_model_weight *w = &m->weights[m->n_weights];
    struct sto_random_weight *random = &m->random[m->n_weights++];
    *w = (struct sto_model_weight){.role = role, .layer = layer, .type = STO_TYPE_F32};
    sto_weight_name(role, layer, w->name, sizeof w->name);
    sto_weight_shape(&m->h, role, &w->rows, &w->cols);
    random->seed = seed_of(b->seed, w->name);
    if (sto_weight_is_matrix(role)) {
        const struct sto_matrix_place place = {
            .matrix = matrix_of(role),
            .layer = layer,
            .n_layers = m->h.n_layers,
            .n_heads = m->h.n_heads,
            .n_kv_heads = m->h.n_kv_heads,
            .n_cols = w->cols,
            .tied = b->shape->tied,
        };
        w->type = sto_mixture_type(b->mixture, &place);
        random->block = block_of(b, w);
    }
    w->bytes = sto_type_bytes(w->type, (uint64_t)w->rows * w->cols);
}

static void add_weights(struct builder *b)
{
    for (int role = 0; role < STO_W_FIRST_OF_LAYER; role++) {
        if (has_weight(b->shape, (enum sto_weight_role)role))
            add_weight(b, (enum sto_weight_role)role, 0);
    }
    for (uint32_t layer = 0; layer < b->shape->layers; layer++) {
        for (int role = STO_W_FIRST_OF_LAYER; role < STO_W_COUNT; role++) {
            if (has_weight(b->shape, (enum sto_weight_role)role))
                add_weight(b, (enum sto_weight_role)role, layer);
        }
    }
}

/* Vectors are read, like those of a file: norms about 1, biases about 0. Matrices give what the kernel would write. */
static enum sto_status read_weight(const struct sto_model *model, const struct sto_model_weight *weight,
                                   uint64_t offset, void *dst, size_t size, struct sto_error *err)
{
    const struct sto_random_weight *r = &model->random[weight - model->weights];
    (void)err;
    if (sto_weight_is_matrix(weight->role)) {
        sto_random_bytes(&r->block, r->seed, offset, dst, size);
        return STO_OK;
    }
    const bool bias = weight->role == STO_W_Q_BIAS || weight->role == STO_W_K_BIAS || weight->role == STO_W_V_BIAS;
    const struct sto_random_block small = sto_random_block_make(STO_TYPE_F32, bias ? 0.1f : 0.05f);
    uint8_t *to = dst;
    sto_random_bytes(&small, r->seed, offset, to, size);
    for (size_t i = 0; !bias && i + sizeof(float) <= size; i += sizeof(float)) {
        float v;
        memcpy(&v, to + i, sizeof v);
        v += 1.0f;
        memcpy(to + i, &v, sizeof v);
    }
    return STO_OK;
}

static void close_model(struct sto_model *model)
{
    sto_free(model->weights);
    sto_free(model->random);
    sto_free(model->rope_freqs);
    sto_free(model);
}

static const struct sto_model_vtable vtable = {
    .scratch_bytes = sto_decoder_scratch_bytes,
    .record_begin = sto_decoder_record_begin,
    .record_layer = sto_decoder_record_layer,
    .residual = sto_decoder_residual,
    .record_resume = sto_decoder_record_resume,
    .record_logits = sto_decoder_record_logits,
    .read_weight = read_weight,
    .close = close_model,
};

enum sto_status sto_shape_open(const char *spec, uint64_t seed, struct sto_model **out, struct sto_error *err)
{
    const size_t name_size = strcspn(spec, ":");
    const struct shape *shape = find_shape(spec, name_size);
    const struct sto_mixture *mixture = spec[name_size] == ':' ? sto_mixture_find(spec + name_size + 1) : NULL;
    if (shape == NULL || mixture == NULL)
        return refuse(spec, err);
    struct sto_model *m = sto_calloc(1, sizeof *m);
    if (m == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: no memory for its list of weights", spec);
    m->vtable = &vtable;
    m->has_data = true;
    m->h = hparams_of(shape);
    (void)snprintf(m->arch, sizeof m->arch, "%s", shape->arch);
    (void)snprintf(m->name, sizeof m->name, "%s %s, random weights", shape->name, sto_mixture_name(mixture));
    (void)snprintf(m->path, sizeof m->path, "%s:%s", shape->name, sto_mixture_name(mixture));
    const size_t most = STO_W_COUNT * (size_t)shape->layers + STO_W_FIRST_OF_LAYER;
    m->weights = sto_calloc(most, sizeof *m->weights);
    m->random = sto_calloc(most, sizeof *m->random);
    m->rope_freqs = sto_calloc(m->h.rope_dims / 2, sizeof *m->rope_freqs);
    if (m->weights == NULL || m->random == NULL || m->rope_freqs == NULL) {
        close_model(m);
        return sto_fail(err, STO_ERR_NO_FIT, "%s: no memory for its list of weights", spec);
    }
    for (uint32_t i = 0; i < m->h.rope_dims / 2; i++)
        m->rope_freqs[i] = (float)pow((double)shape->rope_base, -2.0 * i / m->h.rope_dims);
    struct builder b = {.model = m, .shape = shape, .mixture = mixture, .seed = seed};
    add_weights(&b);
    *out = m;
    return STO_OK;
}

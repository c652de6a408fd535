/* Writing an invented model: metadata and tensor list first, then each tensor's data, row by row. */
#include "tests/support/synth.h"

#include "runtime/formats/formats.h"
#include "tests/support/gguf_write.h"
#include "tests/support/random_weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a tensor is filled with. */
enum filling { MATRIX, AROUND, FACTORS };

struct tensor {
    char name[64];
    enum filling filling;
    enum sto_type type;
    uint64_t rows, cols; /* rows 1: a vector */
    double centre, size; /* MATRIX: standard deviation; AROUND: centre +- size */
};

struct tensors {
    struct tensor *list; /* room for 16 per layer and 8 more */
    size_t n;
};

/* gain: what a matrix multiplies the size of its input by. */
static void add_matrix(struct tensors *all, const char *name, enum sto_type type, uint64_t rows, uint64_t cols,
                       double gain)
{
    struct tensor *t = &all->list[all->n++];

    *t =
        (struct tensor){.filling = MATRIX, .type = type, .rows = rows, .cols = cols, .size = gain / sqrt((double)cols)};
    snprintf(t->name, sizeof t->name, "%s", name);
}

static void add_vector(struct tensors *all, const char *name, uint64_t n, double centre, double size)
{
    struct tensor *t = &all->list[all->n++];

    *t = (struct tensor){.filling = AROUND, .type = STO_TYPE_F32, .rows = 1, .cols = n, .centre = centre, .size = size};
    snprintf(t->name, sizeof t->name, "%s", name);
}

static const char *layer_name(char buffer[64], uint32_t layer, const char *what)
{
    snprintf(buffer, 64, "blk.%u.%s", layer, what);
    return buffer;
}

static void add_layer(struct tensors *all, const struct sto_synth *m, uint32_t layer)
{
    const uint64_t q = (uint64_t)m->n_heads * m->head_dim, kv = (uint64_t)m->n_kv_heads * m->head_dim;
    char name[64];

    add_vector(all, layer_name(name, layer, "attn_norm.weight"), m->n_embd, 1, 0.25);
    add_matrix(all, layer_name(name, layer, "attn_q.weight"), m->type, q, m->n_embd, 1.5);
    add_matrix(all, layer_name(name, layer, "attn_k.weight"), m->type, kv, m->n_embd, 1);
    add_matrix(all, layer_name(name, layer, "attn_v.weight"), m->rich_type, kv, m->n_embd, 1);
    if (strcmp(m->arch, "qwen2") == 0) {
        add_vector(all, layer_name(name, layer, "attn_q.bias"), q, 0, 0.8);
        add_vector(all, layer_name(name, layer, "attn_k.bias"), kv, 0, 0.8);
        add_vector(all, layer_name(name, layer, "attn_v.bias"), kv, 0, 0.2);
    }
    if (strcmp(m->arch, "qwen3") == 0) {
        add_vector(all, layer_name(name, layer, "attn_q_norm.weight"), m->head_dim, 1.5, 0.25);
        add_vector(all, layer_name(name, layer, "attn_k_norm.weight"), m->head_dim, 1, 0.25);
    }
    add_matrix(all, layer_name(name, layer, "attn_output.weight"), m->type, m->n_embd, q, 1);
    add_vector(all, layer_name(name, layer, "ffn_norm.weight"), m->n_embd, 1, 0.25);
    add_matrix(all, layer_name(name, layer, "ffn_gate.weight"), m->type, m->n_ff, m->n_embd, 1);
    add_matrix(all, layer_name(name, layer, "ffn_up.weight"), m->type, m->n_ff, m->n_embd, 1);
    add_matrix(all, layer_name(name, layer, "ffn_down.weight"), m->rich_type, m->n_embd, m->n_ff, 1.5);
}

/* An embedding's rows are vectors of unit size; tied, they are the output matrix as well. */
static void add_all(struct tensors *all, const struct sto_synth *m)
{
    add_matrix(all, "token_embd.weight", m->embd_type, m->n_vocab, m->n_embd, m->tied ? 3 : sqrt((double)m->n_embd));
    add_vector(all, "output_norm.weight", m->n_embd, 1, 0.25);
    if (!m->tied)
        add_matrix(all, "output.weight", m->rich_type, m->n_vocab, m->n_embd, 3);
    if (m->scaling == STO_SYNTH_FACTORS) {
        add_vector(all, "rope_freqs.weight", m->head_dim / 2, 0, 0);
        all->list[all->n - 1].filling = FACTORS;
    }
    for (uint32_t layer = 0; layer < m->n_layers; layer++)
        add_layer(all, m, layer);
}

static void put_shape(struct sto_gguf_builder *b, const struct sto_synth *m)
{
    const struct {
        const char *name;
        uint32_t value;
    } keys[] = {{"context_length", m->n_ctx},          {"embedding_length", m->n_embd},
                {"block_count", m->n_layers},          {"feed_forward_length", m->n_ff},
                {"attention.head_count", m->n_heads},  {"attention.head_count_kv", m->n_kv_heads},
                {"attention.key_length", m->head_dim}, {"attention.value_length", m->head_dim},
                {"rope.dimension_count", m->head_dim}, {"vocab_size", m->n_vocab}};
    char key[96];

    sto_put_string(b, "general.architecture", m->arch);
    sto_put_string(b, "general.name", "invented");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        snprintf(key, sizeof key, "%s.%s", m->arch, keys[i].name);
        sto_put_u32(b, key, keys[i].value);
    }
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", m->arch);
    sto_put_f32(b, key, 1e-5f);
    snprintf(key, sizeof key, "%s.rope.freq_base", m->arch);
    sto_put_f32(b, key, m->rope_base);
    if (m->scaling == STO_SYNTH_LINEAR || m->scaling == STO_SYNTH_YARN) {
        snprintf(key, sizeof key, "%s.rope.scaling.type", m->arch);
        sto_put_string(b, key, m->scaling == STO_SYNTH_YARN ? "yarn" : "linear");
        snprintf(key, sizeof key, "%s.rope.scaling.factor", m->arch);
        sto_put_f32(b, key, 4);
        snprintf(key, sizeof key, "%s.rope.scaling.original_context_length", m->arch);
        sto_put_u32(b, key, m->n_ctx / 4);
    }
}

enum { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_BYTE = 6, N_SPECIAL = 3, TOKEN_ROOM = 16 };

/* Token i: <unk> <s> </s>, the bytes, the space, letters, then words. */
static void name_token(char text[TOKEN_ROOM], uint32_t i)
{
    static const char *const special[N_SPECIAL] = {"<unk>", "<s>", "</s>"};

    if (i < N_SPECIAL)
        snprintf(text, TOKEN_ROOM, "%s", special[i]);
    else if (i < N_SPECIAL + 256)
        snprintf(text, TOKEN_ROOM, "<0x%02X>", i - N_SPECIAL);
    else if (i == N_SPECIAL + 256)
        snprintf(text, TOKEN_ROOM, "\xe2\x96\x81"); /* the space of this kind of vocabulary, U+2581 */
    else if (i < N_SPECIAL + 257 + 26)
        snprintf(text, TOKEN_ROOM, "%c", (char)('a' + (int)(i - N_SPECIAL - 257)));
    else
        snprintf(text, TOKEN_ROOM, "w%u", i);
}

static enum sto_status put_vocabulary(struct sto_gguf_builder *b, uint32_t n, struct sto_error *err)
{
    char(*room)[TOKEN_ROOM] = calloc(n, sizeof *room);
    const char **texts = calloc(n, sizeof *texts);
    struct sto_bytes scores = {0}, kinds = {0};

    for (uint32_t i = 0; i < n && room != NULL && texts != NULL; i++) {
        const float score = -(float)i;
        uint32_t bits;
        memcpy(&bits, &score, sizeof bits);
        name_token(room[i], i);
        texts[i] = room[i];
        sto_bytes_u32(&scores, bits);
        sto_bytes_u32(&kinds, i == 0                ? TOKEN_UNKNOWN
                              : i < N_SPECIAL       ? TOKEN_CONTROL
                              : i < N_SPECIAL + 256 ? TOKEN_BYTE
                                                    : TOKEN_NORMAL);
    }
    const bool done = room != NULL && texts != NULL;
    if (done) {
        sto_put_string(b, "tokenizer.ggml.model", "llama");
        sto_put_strings(b, "tokenizer.ggml.tokens", texts, n);
        sto_put_array(b, "tokenizer.ggml.scores", STO_GGUF_F32, n, scores.data, scores.size);
        sto_put_array(b, "tokenizer.ggml.token_type", STO_GGUF_I32, n, kinds.data, kinds.size);
        sto_put_u32(b, "tokenizer.ggml.bos_token_id", 1);
        sto_put_u32(b, "tokenizer.ggml.eos_token_id", 2);
        sto_put_u32(b, "tokenizer.ggml.unknown_token_id", 0);
        sto_put_bool(b, "tokenizer.ggml.add_bos_token", true);
    }
    sto_bytes_free(&scores);
    sto_bytes_free(&kinds);
    free(texts);
    free(room);
    return done ? STO_OK : sto_fail(err, STO_ERR_FAILED, "no memory for %u tokens", n);
}

/* Numbers around a centre, or RoPE factors growing from 1 to 8, the way Llama 3.1's do. */
static void fill_vector(const struct tensor *t, uint64_t seed, float *v)
{
    struct sto_random random = sto_random_make(seed);

    for (uint64_t i = 0; i < t->cols; i++)
        v[i] = t->filling == AROUND ? (float)(t->centre + t->size * (double)sto_random_unit(&random))
                                    : 1 + 7 * (float)i / (float)t->cols;
}

/* Writes a tensor row by row, and zeros up to the alignment. */
static bool write_tensor(FILE *file, const struct tensor *t, uint64_t seed)
{
    static const uint8_t zeros[32];
    const size_t row_bytes = (size_t)sto_type_bytes(t->type, t->cols);
    const size_t padding = (size_t)(-(t->rows * row_bytes) % sizeof zeros);
    struct sto_weight_stream stream;
    uint8_t *packed = malloc(row_bytes);
    float *vector = malloc((size_t)t->cols * sizeof *vector);
    bool good = packed != NULL && vector != NULL;

    sto_weight_stream_init(&stream, t->type, (float)t->size, seed);
    for (uint64_t r = 0; r < t->rows && good; r++) {
        if (t->filling == MATRIX) {
            sto_weight_stream_fill(&stream, packed, t->cols);
        } else {
            fill_vector(t, seed, vector);
            sto_encode(t->type, vector, packed, (size_t)t->cols);
        }
        good = fwrite(packed, 1, row_bytes, file) == row_bytes;
    }
    free(packed);
    free(vector);
    return good && fwrite(zeros, 1, padding, file) == padding;
}

static enum sto_status check(const struct sto_synth *m, const struct tensors *all, struct sto_error *err)
{
    if (m->n_vocab < 300)
        return sto_fail(err, STO_ERR_USAGE, "a vocabulary of %u tokens is too small", m->n_vocab);
    for (size_t i = 0; i < all->n; i++) {
        const struct tensor *t = &all->list[i];
        if (t->cols % sto_type_get(t->type)->block_elems != 0)
            return sto_fail(err, STO_ERR_USAGE, "%s has %llu columns, not a multiple of the block of %s", t->name,
                            (unsigned long long)t->cols, sto_type_name(t->type));
    }
    return STO_OK;
}

enum sto_status sto_synth_write(const struct sto_synth *model, const char *path, struct sto_error *err)
{
    struct sto_gguf_builder builder;
    struct sto_bytes header = {0};
    struct tensors all = {.list = calloc(16 * (size_t)model->n_layers + 8, sizeof *all.list)};
    FILE *file = NULL;
    enum sto_status status = STO_OK;

    sto_builder_init(&builder, 3, 32);
    if (all.list == NULL) {
        status = sto_fail(err, STO_ERR_FAILED, "no memory for %u layers", model->n_layers);
        goto done;
    }
    add_all(&all, model);
    if ((status = check(model, &all, err)) != STO_OK)
        goto done;
    put_shape(&builder, model);
    if ((status = put_vocabulary(&builder, model->n_vocab, err)) != STO_OK)
        goto done;
    for (size_t i = 0; i < all.n; i++) {
        const struct tensor *t = &all.list[i];
        sto_put_tensor_header(&builder, t->name, t->type, t->rows == 1 ? 1 : 2, (uint64_t[]){t->cols, t->rows});
    }
    header = sto_builder_build(&builder);
    file = fopen(path, "wb");
    if (file == NULL || fwrite(header.data, 1, header.size, file) != header.size) {
        status = sto_fail(err, STO_ERR_FAILED, "%s: cannot write", path);
        goto done;
    }
    for (size_t i = 0; i < all.n && status == STO_OK; i++)
        if (!write_tensor(file, &all.list[i], model->seed * 1000 + i))
            status = sto_fail(err, STO_ERR_FAILED, "%s: cannot write %s", path, all.list[i].name);
done:
    if (file != NULL && fclose(file) != 0 && status == STO_OK)
        status = sto_fail(err, STO_ERR_FAILED, "%s: cannot write", path);
    sto_bytes_free(&header);
    sto_builder_free(&builder);
    free(all.list);
    return status;
}

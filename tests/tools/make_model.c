/* Writes model files with random weights: any shape, any weight format, every layer different, the same bytes for the
 * same seed. For loading, speed and memory tests; the text such a model writes means nothing.
 *
 *   make_model --arch qwen3 --shape 8b --format Q4_K_M OUT.gguf
 *
 * Weights have the deviations of a trained model's order (1 / sqrt(row length)), so activations stay finite. The
 * tokenizer is a byte-level BPE with a handful of merges; fillers bring it to the vocabulary's size. */
#include "models/gguf_types.h"
#include "runtime/formats/formats.h"
#include "tests/support/gguf_write.h"
#include "models/mixture.h"
#include "tests/support/random_weights.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shape {
    uint32_t layers, embd, heads, kv_heads, head_dim, ffn, vocab, ctx;
    bool tied;
    float rope_base;
    float rope_stretch; /* Llama 3: how much rope_freqs.weight slows the slowest pairs; 0: no such tensor */
};

static const struct {
    const char *arch, *name;
    struct shape shape;
} shapes[] = {
    {"qwen3", "8b", {36, 4096, 32, 8, 128, 12288, 151936, 40960, false, 1e6f, 0.0f}},
    {"qwen3", "0.6b", {28, 1024, 16, 8, 128, 3072, 151936, 40960, true, 1e6f, 0.0f}},
    {"qwen3", "1.7b", {28, 2048, 16, 8, 128, 6144, 151936, 40960, true, 1e6f, 0.0f}},
    {"qwen3", "4b", {36, 2560, 32, 8, 128, 9728, 151936, 40960, true, 1e6f, 0.0f}},
    {"qwen3", "tiny", {3, 256, 4, 2, 128, 512, 512, 512, false, 1e6f, 0.0f}},
    {"qwen2", "7b", {28, 3584, 28, 4, 128, 18944, 152064, 32768, false, 1e6f, 0.0f}},
    {"qwen2", "0.5b", {24, 896, 14, 2, 64, 4864, 151936, 32768, true, 1e6f, 0.0f}},
    {"qwen2", "tiny", {3, 256, 4, 2, 64, 512, 512, 512, false, 1e6f, 0.0f}},
    {"llama", "8b", {32, 4096, 32, 8, 128, 14336, 128256, 131072, false, 5e5f, 8.0f}},
    {"llama", "7b", {32, 4096, 32, 32, 128, 11008, 32000, 4096, false, 1e4f, 0.0f}},
    {"llama", "1b", {16, 2048, 32, 8, 64, 8192, 128256, 131072, true, 5e5f, 32.0f}},
    {"llama", "tiny", {3, 256, 4, 2, 64, 512, 512, 512, false, 1e4f, 0.0f}},
};

struct options {
    const char *arch, *shape_name, *out;
    const struct sto_mixture *mixture;
    struct shape shape;
    uint64_t seed;
};

/* A tensor to be written: a vector around `mean`, or a matrix around 0. */
struct item {
    char name[64];
    enum sto_type type;
    bool vector;
    float mean, deviation;
    float ramp; /* > 0: a vector that goes from 1 to this, with flat thirds at both ends */
    uint64_t cols, rows;
};

struct plan {
    struct item *items;
    size_t n, room;
};

static void die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "make_model: %s%s%s\n", what, *detail == '\0' ? "" : ": ", detail);
    exit(1);
}

/* ---- options ---- */

static void print_usage(FILE *f)
{
    (void)fputs("usage: make_model [--arch llama|qwen2|qwen3] [--shape NAME] [--layers N] [--embd N] [--heads N]\n"
                "                  [--kv-heads N] [--head-dim N] [--ffn N] [--vocab N] [--ctx N] [--tied | --untied]\n"
                "                  [--format NAME] [--seed N] OUT\n"
                "Starts from the shape and changes what is given. Default: --arch qwen3 --shape tiny --format Q4_K_M\n"
                "shapes: ",
                f);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        (void)fprintf(f, " %s/%s", shapes[i].arch, shapes[i].name);
    (void)fputs("\nformats:", f);
    for (size_t i = 0; sto_mixture_at(i) != NULL; i++)
        (void)fprintf(f, " %s", sto_mixture_name(sto_mixture_at(i)));
    (void)fputs("\n", f);
}

static uint64_t number(const char *option, const char *text, uint64_t most)
{
    char *end;
    errno = 0;
    const unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || v > most)
        die("not a number in range", option);
    return v;
}

static void find_shape(struct options *o)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (strcmp(shapes[i].arch, o->arch) == 0 && strcmp(shapes[i].name, o->shape_name) == 0) {
            o->shape = shapes[i].shape;
            return;
        }
    }
    print_usage(stderr);
    die("no such shape of this architecture", o->shape_name);
}

/* Two passes: architecture and shape first, then what changes them. */
static void parse_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){.arch = "qwen3", .shape_name = "tiny", .mixture = sto_mixture_find("Q4_K_M"), .seed = 1};
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--arch") == 0)
            o->arch = argv[i + 1];
        else if (strcmp(argv[i], "--shape") == 0)
            o->shape_name = argv[i + 1];
    }
    find_shape(o);
    const struct {
        const char *name;
        uint32_t *out;
    } numbers[] = {
        {"--layers", &o->shape.layers},     {"--embd", &o->shape.embd},         {"--heads", &o->shape.heads},
        {"--kv-heads", &o->shape.kv_heads}, {"--head-dim", &o->shape.head_dim}, {"--ffn", &o->shape.ffn},
        {"--vocab", &o->shape.vocab},       {"--ctx", &o->shape.ctx},
    };
    for (int i = 1; i < argc; i++) {
        uint32_t *out = NULL;
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
            out = strcmp(argv[i], numbers[n].name) == 0 ? numbers[n].out : out;
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--tied") == 0) {
            o->shape.tied = true;
            continue;
        }
        if (strcmp(argv[i], "--untied") == 0) {
            o->shape.tied = false;
            continue;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_usage(stdout);
            exit(0);
        }
        if (argv[i][0] != '-' && o->out == NULL) {
            o->out = argv[i];
            continue;
        }
        if (out != NULL)
            *out = (uint32_t)number(argv[i], value, 1 << 24);
        else if (strcmp(argv[i], "--seed") == 0)
            o->seed = number(argv[i], value, UINT64_MAX);
        else if (strcmp(argv[i], "--format") == 0)
            o->mixture = sto_mixture_find(value);
        else if (strcmp(argv[i], "--arch") != 0 && strcmp(argv[i], "--shape") != 0)
            die("what is this", argv[i]);
        i++;
    }
    const struct shape *s = &o->shape;
    if (o->mixture == NULL)
        die("unknown --format", "see --help");
    if (o->out == NULL)
        die("where to?", "the file's name is missing");
    if (s->layers == 0 || s->embd == 0 || s->heads == 0 || s->kv_heads == 0 || s->head_dim == 0 || s->ffn == 0 ||
        s->ctx == 0 || s->heads % s->kv_heads != 0)
        die("sizes must not be 0, and heads a multiple of kv-heads", "");
}

/* ---- tokenizer ---- */

enum { N_BYTES = 256 };

/* "left right" of the byte-to-unicode alphabet, where U+0120 stands for a space. */
static const char *const merges[] = {"\xc4\xa0 t", "h e", "\xc4\xa0t he", "i n", "e r", "a n", "\xc4\xa0 a"};
enum { N_MERGES = sizeof merges / sizeof *merges, MIN_VOCAB = N_BYTES + N_MERGES + 1 };

/* The alphabet of byte-level BPE (Radford et al. 2019): printable Latin-1 bytes stand for themselves, the other 68
 * for the code points from U+0100 on. Returns the bytes written. */
static size_t byte_token(unsigned byte, char *text)
{
    unsigned code = 0, other = 0;
    for (unsigned b = 0; b <= byte; b++) {
        const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        code = printable ? b : 0x100 + other;
        other += printable ? 0 : 1;
    }
    if (code < 0x80) {
        text[0] = (char)code;
        return 1;
    }
    text[0] = (char)(0xc0 | code >> 6);
    text[1] = (char)(0x80 | (code & 0x3f));
    return 2;
}

/* Token i of n: a byte, a merge's two sides joined, a filler, or the end of text. Returns its bytes. */
static size_t token_text(uint32_t i, uint32_t n, char *text, size_t room)
{
    size_t size = 0;
    if (i < N_BYTES)
        return byte_token(i, text);
    if (i + 1 == n)
        return (size_t)snprintf(text, room, "<|endoftext|>");
    if (i >= N_BYTES + N_MERGES)
        return (size_t)snprintf(text, room, "<filler_%lu>", (unsigned long)i);
    for (const char *p = merges[i - N_BYTES]; *p != '\0'; p++) {
        if (*p != ' ')
            text[size++] = *p;
    }
    return size;
}

static void put_tokenizer(struct sto_gguf_builder *b, const struct options *o)
{
    const uint32_t n = o->shape.vocab;
    char text[32];
    struct sto_bytes kinds = {0};
    if (n < MIN_VOCAB)
        die("--vocab is too small for a byte-level tokenizer", "at least 264");
    sto_put_string(b, "tokenizer.ggml.model", "gpt2");
    sto_put_string(b, "tokenizer.ggml.pre", strcmp(o->arch, "llama") == 0 ? "llama-bpe" : "qwen2");
    sto_put_array(b, "tokenizer.ggml.tokens", STO_GGUF_STRING, n, NULL, 0);
    for (uint32_t i = 0; i < n; i++) {
        const size_t size = token_text(i, n, text, sizeof text);
        sto_bytes_string(&b->values, text, size);
        sto_bytes_u32(&kinds, i + 1 == n ? 3 : i < N_BYTES + N_MERGES ? 1 : 5); /* control, normal, unused */
    }
    sto_put_array(b, "tokenizer.ggml.token_type", STO_GGUF_I32, n, kinds.data, kinds.size);
    sto_bytes_free(&kinds);
    sto_put_strings(b, "tokenizer.ggml.merges", merges, N_MERGES);
    sto_put_u32(b, "tokenizer.ggml.bos_token_id", n - 1);
    sto_put_u32(b, "tokenizer.ggml.eos_token_id", n - 1);
    sto_put_bool(b, "tokenizer.ggml.add_bos_token", false);
}

/* ---- metadata ---- */

static void put_arch_u32(struct sto_gguf_builder *b, const struct options *o, const char *suffix, uint32_t v)
{
    char key[128];
    (void)snprintf(key, sizeof key, "%s.%s", o->arch, suffix);
    sto_put_u32(b, key, v);
}

static void put_arch_f32(struct sto_gguf_builder *b, const struct options *o, const char *suffix, float v)
{
    char key[128];
    (void)snprintf(key, sizeof key, "%s.%s", o->arch, suffix);
    sto_put_f32(b, key, v);
}

static void put_metadata(struct sto_gguf_builder *b, const struct options *o)
{
    const struct shape *s = &o->shape;
    char name[128];
    (void)snprintf(name, sizeof name, "random %s %s %s", o->arch, o->shape_name, sto_mixture_name(o->mixture));
    sto_put_string(b, "general.architecture", o->arch);
    sto_put_string(b, "general.name", name);
    sto_put_u32(b, "general.file_type", sto_mixture_file_type(o->mixture));
    sto_put_u32(b, "general.quantization_version", 2);
    put_arch_u32(b, o, "block_count", s->layers);
    put_arch_u32(b, o, "context_length", s->ctx);
    put_arch_u32(b, o, "embedding_length", s->embd);
    put_arch_u32(b, o, "feed_forward_length", s->ffn);
    put_arch_u32(b, o, "attention.head_count", s->heads);
    put_arch_u32(b, o, "attention.head_count_kv", s->kv_heads);
    put_arch_u32(b, o, "attention.key_length", s->head_dim);
    put_arch_u32(b, o, "attention.value_length", s->head_dim);
    put_arch_u32(b, o, "rope.dimension_count", s->head_dim);
    put_arch_u32(b, o, "vocab_size", s->vocab);
    put_arch_f32(b, o, "rope.freq_base", s->rope_base);
    put_arch_f32(b, o, "attention.layer_norm_rms_epsilon", strcmp(o->arch, "llama") == 0 ? 1e-5f : 1e-6f);
    put_tokenizer(b, o);
}

/* ---- tensors ---- */

static struct item *add_item(struct plan *p)
{
    if (p->n == p->room) {
        p->room = 2 * p->room + 64;
        p->items = realloc(p->items, p->room * sizeof *p->items);
        if (p->items == NULL)
            die("out of memory", "");
    }
    p->items[p->n] = (struct item){.rows = 1};
    return &p->items[p->n++];
}

/* layer < 0: outside the layers. */
static void name_item(struct item *t, int layer, const char *name)
{
    if (layer < 0)
        (void)snprintf(t->name, sizeof t->name, "%s", name);
    else
        (void)snprintf(t->name, sizeof t->name, "blk.%d.%s", layer, name);
}

static void add_vector(struct plan *p, int layer, const char *name, uint64_t n, float mean, float deviation)
{
    struct item *t = add_item(p);
    name_item(t, layer, name);
    t->vector = true;
    t->mean = mean;
    t->deviation = deviation;
    t->cols = n;
}

static void add_matrix(struct plan *p, const struct options *o, int layer, enum sto_matrix matrix, uint64_t rows,
                       uint64_t cols)
{
    static const char *const names[] = {"token_embd.weight", "output.weight",      "attn_q.weight",
                                        "attn_k.weight",     "attn_v.weight",      "attn_output.weight",
                                        "ffn_gate.weight",   "ffn_up.weight",      "ffn_down.weight"};
    const struct sto_matrix_place place = {
        .matrix = matrix,
        .layer = layer < 0 ? 0 : (uint32_t)layer,
        .n_layers = o->shape.layers,
        .n_heads = o->shape.heads,
        .n_kv_heads = o->shape.kv_heads,
        .n_cols = cols,
        .tied = o->shape.tied,
    };
    struct item *t = add_item(p);
    name_item(t, layer, names[matrix]);
    t->type = sto_mixture_type(o->mixture, &place);
    t->rows = rows;
    t->cols = cols;
    t->deviation = 1.0f / sqrtf((float)cols);
    if (matrix == STO_MATRIX_OUTPUT || (matrix == STO_MATRIX_EMBD && o->shape.tied))
        t->deviation *= 1.5f; /* logits with a deviation of 1.5 */
    else if (matrix == STO_MATRIX_EMBD)
        t->deviation = 0.3f;
}

static void plan_layer(struct plan *p, const struct options *o, int layer)
{
    const struct shape *s = &o->shape;
    const uint64_t q = (uint64_t)s->heads * s->head_dim, kv = (uint64_t)s->kv_heads * s->head_dim;
    add_vector(p, layer, "attn_norm.weight", s->embd, 1.0f, 0.05f);
    add_matrix(p, o, layer, STO_MATRIX_Q, q, s->embd);
    add_matrix(p, o, layer, STO_MATRIX_K, kv, s->embd);
    add_matrix(p, o, layer, STO_MATRIX_V, kv, s->embd);
    if (strcmp(o->arch, "qwen2") == 0) {
        add_vector(p, layer, "attn_q.bias", q, 0.0f, 0.1f);
        add_vector(p, layer, "attn_k.bias", kv, 0.0f, 0.1f);
        add_vector(p, layer, "attn_v.bias", kv, 0.0f, 0.1f);
    }
    if (strcmp(o->arch, "qwen3") == 0) {
        add_vector(p, layer, "attn_q_norm.weight", s->head_dim, 1.0f, 0.05f);
        add_vector(p, layer, "attn_k_norm.weight", s->head_dim, 1.0f, 0.05f);
    }
    add_matrix(p, o, layer, STO_MATRIX_O, s->embd, q);
    add_vector(p, layer, "ffn_norm.weight", s->embd, 1.0f, 0.05f);
    add_matrix(p, o, layer, STO_MATRIX_GATE, s->ffn, s->embd);
    add_matrix(p, o, layer, STO_MATRIX_UP, s->ffn, s->embd);
    add_matrix(p, o, layer, STO_MATRIX_DOWN, s->embd, s->ffn);
}

static struct plan plan_tensors(const struct options *o)
{
    const struct shape *s = &o->shape;
    struct plan p = {0};
    add_matrix(&p, o, -1, STO_MATRIX_EMBD, s->vocab, s->embd);
    for (uint32_t i = 0; i < s->layers; i++)
        plan_layer(&p, o, (int)i);
    add_vector(&p, -1, "output_norm.weight", s->embd, 1.0f, 0.05f);
    if (s->rope_stretch > 0.0f) {
        add_vector(&p, -1, "rope_freqs.weight", s->head_dim / 2, 1.0f, 0.0f);
        p.items[p.n - 1].ramp = s->rope_stretch;
    }
    if (!s->tied)
        add_matrix(&p, o, -1, STO_MATRIX_OUTPUT, s->vocab, s->embd);
    return p;
}

/* ---- writing ---- */

static void put(FILE *f, const void *data, size_t size, const char *path)
{
    if (fwrite(data, 1, size, f) != size)
        die("cannot write", path);
}

/* A seed per tensor, from the file's and the tensor's name (FNV-1a), so that no two tensors repeat each other. */
static uint64_t tensor_seed(uint64_t seed, const char *name)
{
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (; *name != '\0'; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

static void write_vector(FILE *f, const struct item *t, uint64_t seed, const char *path)
{
    struct sto_random r = sto_random_make(seed);
    for (uint64_t i = 0; i < t->cols; i++) {
        const float at = 3.0f * (float)i / (float)t->cols - 1.0f; /* 0 to 1 in the middle third */
        const float ramp = t->ramp > 0.0f ? (t->ramp - 1.0f) * fminf(1.0f, fmaxf(0.0f, at)) : 0.0f;
        const float v = t->mean + ramp + t->deviation * 1.7320508f * sto_random_unit(&r);
        put(f, &v, sizeof v, path);
    }
}

static void write_matrix(FILE *f, const struct item *t, uint64_t seed, const char *path)
{
    enum { MOST = 1 << 18 }; /* elements at a time: a multiple of every block */
    static struct sto_weight_stream stream;
    static uint8_t buffer[MOST * 4];
    sto_weight_stream_init(&stream, t->type, t->deviation, seed);
    for (uint64_t left = t->rows * t->cols; left > 0;) {
        const uint64_t n = left < MOST ? left : MOST;
        sto_weight_stream_fill(&stream, buffer, n);
        put(f, buffer, (size_t)sto_type_bytes(t->type, n), path);
        left -= n;
    }
}

static uint64_t write_model(const struct options *o, const struct plan *p)
{
    static const uint8_t zeros[32];
    struct sto_gguf_builder b;
    uint64_t total = 0;
    sto_builder_init(&b, 3, 32);
    put_metadata(&b, o);
    for (size_t i = 0; i < p->n; i++) {
        const uint64_t dims[] = {p->items[i].cols, p->items[i].rows};
        (void)sto_put_tensor_header(&b, p->items[i].name, p->items[i].type, p->items[i].vector ? 1 : 2, dims);
    }
    struct sto_bytes header = sto_builder_build(&b);
    FILE *f = fopen(o->out, "wb");
    if (f == NULL)
        die("cannot create", o->out);
    put(f, header.data, header.size, o->out);
    for (size_t i = 0; i < p->n; i++) {
        const struct item *t = &p->items[i];
        const uint64_t bytes = sto_type_bytes(t->type, t->rows * t->cols), seed = tensor_seed(o->seed, t->name);
        if (t->vector)
            write_vector(f, t, seed, o->out);
        else
            write_matrix(f, t, seed, o->out);
        put(f, zeros, (size_t)((32 - bytes % 32) % 32), o->out);
    }
    if (fclose(f) != 0)
        die("cannot write", o->out);
    total = header.size + b.data_bytes;
    sto_bytes_free(&header);
    sto_builder_free(&b);
    return total;
}

int main(int argc, char **argv)
{
    struct options o;
    parse_options(argc, argv, &o);
    struct plan plan = plan_tensors(&o);
    const uint64_t bytes = write_model(&o, &plan);
    (void)printf("%s: %zu tensors, %llu bytes\n", o.out, plan.n, (unsigned long long)bytes);
    free(plan.items);
    return 0;
}

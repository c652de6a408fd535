/* Writes small GGUF files of many kinds into a folder, for a fuzzer to start from. */
#include "runtime/base/os.h"
#include "tests/support/gguf_write.h"

#include <stdio.h>

static const char *folder;

static void save(const struct sto_gguf_builder *b, const char *name)
{
    char path[1024];
    struct sto_error err;
    struct sto_bytes bytes = sto_builder_build(b);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (sto_file_write_atomic(path, bytes.data, bytes.size, &err) != STO_OK)
        (void)fprintf(stderr, "make_gguf_seeds: %s\n", err.message);
    sto_bytes_free(&bytes);
}

static void every_kind(void)
{
    struct sto_gguf_builder b;
    static const uint8_t nested[] = {0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const char *const words[] = {"one", "", "\xe2\x82\xac"};
    sto_builder_init(&b, 3, 64);
    sto_put_u8(&b, "a", 1);
    sto_put_i8(&b, "b", -1);
    sto_put_u16(&b, "c", 2);
    sto_put_i16(&b, "d", -2);
    sto_put_u32(&b, "e", 3);
    sto_put_i32(&b, "f", -3);
    sto_put_u64(&b, "g", 4);
    sto_put_i64(&b, "h", -4);
    sto_put_f32(&b, "i", 0.5f);
    sto_put_f64(&b, "j", 0.25);
    sto_put_bool(&b, "k", true);
    sto_put_string(&b, "l", "text");
    sto_put_strings(&b, "m", words, 3);
    sto_put_array(&b, "n", STO_GGUF_ARRAY, 2, nested, sizeof nested);
    sto_put_array(&b, "o", STO_GGUF_F64, 1, "12345678", 8);
    sto_put_array(&b, "p", STO_GGUF_BOOL, 3, "\1\0\1", 3);
    sto_put_u16(&b, "split.count", 1);
    sto_put_u16(&b, "split.no", 0);
    save(&b, "kinds");
    sto_builder_free(&b);
}

static void every_type(uint32_t version)
{
    struct sto_gguf_builder b;
    const uint64_t dims[] = {256, 1, 1, 2};
    sto_builder_init(&b, version, 32);
    for (int t = 0; t < STO_TYPE_COUNT; t++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", t);
        sto_put_tensor(&b, name, (enum sto_type)t, (uint32_t)(1 + t % 4), dims, NULL);
    }
    save(&b, version == 2 ? "types.v2" : "types.v3");
    sto_builder_free(&b);
}

static void put_sizes(struct sto_gguf_builder *b, const char *arch)
{
    static const struct {
        const char *suffix;
        uint32_t value;
    } sizes[] = {
        {"block_count", 1},          {"context_length", 64},         {"embedding_length", 32},
        {"feed_forward_length", 64}, {"attention.head_count", 4},    {"attention.head_count_kv", 2},
        {"attention.key_length", 8}, {"attention.value_length", 8},  {"rope.dimension_count", 8},
        {"vocab_size", 3},           {"rope.scaling.original_context_length", 32},
    };
    char key[96];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        (void)snprintf(key, sizeof key, "%s.%s", arch, sizes[i].suffix);
        sto_put_u32(b, key, sizes[i].value);
    }
    (void)snprintf(key, sizeof key, "%s.rope.freq_base", arch);
    sto_put_f32(b, key, 10000.0f);
    (void)snprintf(key, sizeof key, "%s.rope.scaling.type", arch);
    sto_put_string(b, key, arch[0] == 'l' ? "yarn" : "linear");
    (void)snprintf(key, sizeof key, "%s.rope.scaling.factor", arch);
    sto_put_f32(b, key, 2.0f);
    (void)snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", arch);
    sto_put_f32(b, key, 1e-5f);
}

static void model(const char *arch, bool spm)
{
    struct sto_gguf_builder b;
    static const char *const tokens[] = {"<unk>", "a", "\xc4\xa0t"};
    static const char *const merges[] = {"a b"};
    const uint64_t embd[] = {32, 3}, freqs[] = {4};
    sto_builder_init(&b, 3, 32);
    sto_put_string(&b, "general.architecture", arch);
    put_sizes(&b, arch);
    sto_put_string(&b, "tokenizer.ggml.model", spm ? "llama" : "gpt2");
    sto_put_string(&b, "tokenizer.ggml.pre", "qwen2");
    sto_put_strings(&b, "tokenizer.ggml.tokens", tokens, 3);
    sto_put_array(&b, "tokenizer.ggml.token_type", STO_GGUF_I32, 3, "\2\0\0\0\1\0\0\0\1\0\0\0", 12);
    if (spm)
        sto_put_array(&b, "tokenizer.ggml.scores", STO_GGUF_F32, 3, "\0\0\0\0\0\0\x80\x3f\0\0\0\xc0", 12);
    else
        sto_put_strings(&b, "tokenizer.ggml.merges", merges, 1);
    sto_put_u32(&b, "tokenizer.ggml.bos_token_id", 1);
    sto_put_i32(&b, "tokenizer.ggml.padding_token_id", -1);
    sto_put_bool(&b, "tokenizer.ggml.add_bos_token", true);
    sto_put_string(&b, "tokenizer.chat_template", "{{ x }}");
    sto_put_tensor(&b, "token_embd.weight", STO_TYPE_Q8_0, 2, embd, NULL);
    sto_put_tensor(&b, "rope_freqs.weight", STO_TYPE_F32, 1, freqs, "\0\0\x80\x3f\0\0\x80\x3f\0\0\0\x40\0\0\0\x40");
    save(&b, arch);
    sto_builder_free(&b);
}

int main(int argc, char **argv)
{
    struct sto_error err;
    if (argc != 2) {
        (void)fputs("usage: make_gguf_seeds FOLDER\n", stderr);
        return 2;
    }
    folder = argv[1];
    if (sto_make_dirs(folder, &err) != STO_OK) {
        (void)fprintf(stderr, "make_gguf_seeds: %s\n", err.message);
        return 1;
    }
    every_kind();
    every_type(2);
    every_type(3);
    model("llama", true);
    model("qwen2", false);
    model("qwen3", false);
    return 0;
}

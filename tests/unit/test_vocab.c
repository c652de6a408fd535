/* models/vocab: the vocabulary in a file comes back, and parts that contradict each other are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/vocab.h"
#include "tests/support/gguf_write.h"

static struct sto_error err;
static const char *const tokens[] = {"<unk>", "a", "\xe2\x96\x81the", "<0x0A>"};
static const char *const merges[] = {"a b", "ab c"};

/* Parses the builder's file and reads its vocabulary. */
static enum sto_status read_vocab(const struct sto_gguf_builder *b, struct sto_gguf **g, struct sto_bytes *bytes,
                                  struct sto_vocab *v)
{
    *bytes = sto_builder_build(b);
    if (sto_gguf_parse("v.gguf", bytes->data, bytes->size, NULL, g, &err) != STO_OK)
        fail_msg("%s", err.message);
    return sto_vocab_read(*g, v, &err);
}

static void everything_in_the_file_comes_back(void **state)
{
    (void)state;
    struct sto_gguf_builder b;
    struct sto_bytes bytes;
    struct sto_gguf *g;
    struct sto_vocab v;
    sto_builder_init(&b, 3, 32);
    sto_put_string(&b, "tokenizer.ggml.model", "llama");
    sto_put_string(&b, "tokenizer.ggml.pre", "default");
    sto_put_strings(&b, "tokenizer.ggml.tokens", tokens, 4);
    sto_put_array(&b, "tokenizer.ggml.scores", STO_GGUF_F32, 4, "\0\0\0\0\0\0\x80\x3f\0\0\0\xc0\0\0\0\0", 16);
    sto_put_array(&b, "tokenizer.ggml.token_type", STO_GGUF_I32, 4, "\2\0\0\0\1\0\0\0\0\0\0\0\6\0\0\0", 16);
    sto_put_strings(&b, "tokenizer.ggml.merges", merges, 2);
    sto_put_u32(&b, "tokenizer.ggml.bos_token_id", 1);
    sto_put_u64(&b, "tokenizer.ggml.eos_token_id", 2);
    sto_put_i32(&b, "tokenizer.ggml.eot_token_id", 3);
    sto_put_u32(&b, "tokenizer.ggml.unknown_token_id", 0);
    sto_put_i32(&b, "tokenizer.ggml.padding_token_id", -1);
    sto_put_bool(&b, "tokenizer.ggml.add_bos_token", true);
    sto_put_bool(&b, "tokenizer.ggml.add_eos_token", true);
    sto_put_bool(&b, "tokenizer.ggml.add_space_prefix", false);
    sto_put_bool(&b, "tokenizer.ggml.remove_extra_whitespaces", true);
    sto_put_string(&b, "tokenizer.chat_template", "{{ messages }}");
    assert_int_equal(read_vocab(&b, &g, &bytes, &v), STO_OK);
    assert_int_equal(v.kind, STO_VOCAB_SPM);
    assert_true(sto_view_equals(v.model, "llama") && sto_view_equals(v.pre, "default"));
    assert_int_equal(v.n_tokens, 4);
    for (int i = 0; i < 4; i++)
        assert_true(sto_view_equals(v.tokens[i], tokens[i]));
    assert_true(v.scores[0] == 0.0f && v.scores[1] == 1.0f && v.scores[2] == -2.0f);
    assert_true(v.kinds[0] == STO_TOKEN_UNKNOWN && v.kinds[1] == STO_TOKEN_NORMAL && v.kinds[2] == STO_TOKEN_NORMAL &&
                v.kinds[3] == STO_TOKEN_BYTE);
    assert_int_equal(v.n_merges, 2);
    assert_true(sto_view_equals(v.merges[1], "ab c"));
    assert_true(v.bos == 1 && v.eos == 2 && v.eot == 3 && v.unk == 0 && v.pad == STO_TOKEN_NONE);
    assert_true(v.add_bos && v.add_eos && !v.add_space_prefix && v.remove_extra_whitespaces);
    assert_true(v.has_add_bos && v.has_add_space_prefix);
    assert_true(sto_view_equals(v.chat_template, "{{ messages }}"));
    sto_vocab_free(&v);
    sto_vocab_free(&v);
    sto_vocab_free(NULL);
    sto_gguf_close(g);
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
}

/* Several chat templates: the one called default, else the first; a single one comes before all. */
static void one_of_several_templates_is_taken(void **state)
{
    (void)state;
    static const char *const names[] = {"tool_use", "rag"}, *const several[] = {"first", "second"};
    static const struct {
        bool single, array, named, with_default;
        const char *expected;
    } cases[] = {{true, false, true, true, "single"}, {false, true, false, false, "first"},
                 {false, false, true, true, "default"}, {false, false, true, false, "rag"},
                 {false, false, false, false, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_gguf_builder b;
        struct sto_bytes bytes;
        struct sto_gguf *g;
        struct sto_vocab v;
        sto_builder_init(&b, 3, 32);
        sto_put_string(&b, "tokenizer.ggml.model", "llama");
        sto_put_strings(&b, "tokenizer.ggml.tokens", tokens, 4);
        if (cases[i].single)
            sto_put_string(&b, "tokenizer.chat_template", "single");
        if (cases[i].array)
            sto_put_strings(&b, "tokenizer.chat_template", several, 2);
        if (cases[i].named) {
            sto_put_strings(&b, "tokenizer.chat_templates", names, 2);
            sto_put_string(&b, "tokenizer.chat_template.rag", "rag");
        }
        if (cases[i].with_default)
            sto_put_string(&b, "tokenizer.chat_template.default", "default");
        assert_int_equal(read_vocab(&b, &g, &bytes, &v), STO_OK);
        assert_true(sto_view_equals(v.chat_template, cases[i].expected));
        sto_vocab_free(&v);
        sto_gguf_close(g);
        sto_bytes_free(&bytes);
        sto_builder_free(&b);
    }
}

static void absent_parts_have_their_defaults(void **state)
{
    (void)state;
    struct sto_gguf_builder b;
    struct sto_bytes bytes;
    struct sto_gguf *g;
    struct sto_vocab v;
    sto_builder_init(&b, 3, 32);
    assert_int_equal(read_vocab(&b, &g, &bytes, &v), STO_OK);
    assert_int_equal(v.kind, STO_VOCAB_NONE);
    assert_true(v.n_tokens == 0 && v.chat_template.size == 0 && v.bos == STO_TOKEN_NONE);
    sto_vocab_free(&v);
    sto_gguf_close(g);
    sto_bytes_free(&bytes);
    sto_put_string(&b, "tokenizer.ggml.model", "gpt2");
    sto_put_strings(&b, "tokenizer.ggml.tokens", tokens, 2);
    assert_int_equal(read_vocab(&b, &g, &bytes, &v), STO_OK);
    assert_int_equal(v.kind, STO_VOCAB_BPE);
    assert_null(v.scores);
    assert_null(v.merges);
    assert_true(v.kinds[0] == STO_TOKEN_NORMAL && v.kinds[1] == STO_TOKEN_NORMAL);
    assert_true(v.eos == STO_TOKEN_NONE && v.pad == STO_TOKEN_NONE && v.pre.size == 0);
    assert_false(v.add_bos || v.has_add_bos || v.has_add_space_prefix);
    sto_vocab_free(&v);
    sto_gguf_close(g);
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
}

enum lie {
    LIE_NONE,
    LIE_MODEL,
    LIE_MODEL_KIND,
    LIE_NO_TOKENS,
    LIE_EMPTY_TOKENS,
    LIE_TOKENS_SCALAR,
    LIE_TOKENS_INTS,
    LIE_SCORES_COUNT,
    LIE_SCORES_INTS,
    LIE_SCORES_NAN,
    LIE_TYPES_COUNT,
    LIE_TYPES_FLOATS,
    LIE_TYPES_RANGE,
    LIE_TYPES_NEGATIVE,
    LIE_MERGES_INTS,
    LIE_BOS,
    LIE_EOS_NEGATIVE,
    LIE_EOT_TEXT,
    LIE_FLAG,
    LIE_TEMPLATE
};

static const struct {
    enum lie lie;
    const char *key, *says;
} lies[] = {
    {LIE_MODEL, "tokenizer.ggml.model", "'rwkv'"},
    {LIE_MODEL_KIND, "tokenizer.ggml.model", "u32"},
    {LIE_NO_TOKENS, "tokenizer.ggml.tokens", "missing"},
    {LIE_EMPTY_TOKENS, "tokenizer.ggml.tokens", "empty"},
    {LIE_TOKENS_SCALAR, "tokenizer.ggml.tokens", "string"},
    {LIE_TOKENS_INTS, "tokenizer.ggml.tokens", "array of i32"},
    {LIE_SCORES_COUNT, "tokenizer.ggml.scores", "1 elements for 2 tokens"},
    {LIE_SCORES_INTS, "tokenizer.ggml.scores", "array of i32"},
    {LIE_SCORES_NAN, "tokenizer.ggml.scores", "token 1"},
    {LIE_TYPES_COUNT, "tokenizer.ggml.token_type", "3 elements for 2 tokens"},
    {LIE_TYPES_FLOATS, "tokenizer.ggml.token_type", "array of f32"},
    {LIE_TYPES_RANGE, "tokenizer.ggml.token_type", "token 1 has the unknown kind 7"},
    {LIE_TYPES_NEGATIVE, "tokenizer.ggml.token_type", "kind -1"},
    {LIE_MERGES_INTS, "tokenizer.ggml.merges", "array of u8"},
    {LIE_BOS, "tokenizer.ggml.bos_token_id", "is 2, which is not one of the 2 tokens"},
    {LIE_EOS_NEGATIVE, "tokenizer.ggml.eos_token_id", "-2"},
    {LIE_EOT_TEXT, "tokenizer.ggml.eot_token_id", "string"},
    {LIE_FLAG, "tokenizer.ggml.add_bos_token", "u8"},
    {LIE_TEMPLATE, "tokenizer.chat_template", "u8"},
};

/* A vocabulary of two tokens in which one thing is wrong. */
static void put_vocab(struct sto_gguf_builder *b, enum lie lie)
{
    if (lie == LIE_MODEL_KIND)
        sto_put_u32(b, "tokenizer.ggml.model", 1);
    else
        sto_put_string(b, "tokenizer.ggml.model", lie == LIE_MODEL ? "rwkv" : "gpt2");
    if (lie == LIE_TOKENS_SCALAR)
        sto_put_string(b, "tokenizer.ggml.tokens", "a");
    else if (lie == LIE_TOKENS_INTS)
        sto_put_array(b, "tokenizer.ggml.tokens", STO_GGUF_I32, 2, "12345678", 8);
    else if (lie != LIE_NO_TOKENS)
        sto_put_strings(b, "tokenizer.ggml.tokens", tokens, lie == LIE_EMPTY_TOKENS ? 0 : 2);
    if (lie == LIE_SCORES_COUNT || lie == LIE_SCORES_NAN)
        sto_put_array(b, "tokenizer.ggml.scores", STO_GGUF_F32, lie == LIE_SCORES_COUNT ? 1 : 2,
                      "\0\0\0\0\0\0\xc0\x7f", lie == LIE_SCORES_COUNT ? 4 : 8);
    if (lie == LIE_SCORES_INTS)
        sto_put_array(b, "tokenizer.ggml.scores", STO_GGUF_I32, 2, "12345678", 8);
    if (lie == LIE_TYPES_COUNT)
        sto_put_array(b, "tokenizer.ggml.token_type", STO_GGUF_U8, 3, "\1\1\1", 3);
    if (lie == LIE_TYPES_FLOATS)
        sto_put_array(b, "tokenizer.ggml.token_type", STO_GGUF_F32, 2, "12345678", 8);
    if (lie == LIE_TYPES_RANGE)
        sto_put_array(b, "tokenizer.ggml.token_type", STO_GGUF_U8, 2, "\1\7", 2);
    if (lie == LIE_TYPES_NEGATIVE)
        sto_put_array(b, "tokenizer.ggml.token_type", STO_GGUF_I8, 2, "\1\xff", 2);
    if (lie == LIE_MERGES_INTS)
        sto_put_array(b, "tokenizer.ggml.merges", STO_GGUF_U8, 1, "a", 1);
    sto_put_u32(b, "tokenizer.ggml.bos_token_id", lie == LIE_BOS ? 2 : 1);
    if (lie == LIE_EOS_NEGATIVE)
        sto_put_i32(b, "tokenizer.ggml.eos_token_id", -2);
    if (lie == LIE_EOT_TEXT)
        sto_put_string(b, "tokenizer.ggml.eot_token_id", "</s>");
    if (lie == LIE_FLAG)
        sto_put_u8(b, "tokenizer.ggml.add_bos_token", 1);
    if (lie == LIE_TEMPLATE)
        sto_put_u8(b, "tokenizer.chat_template", 1);
}

static void contradictions_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct sto_gguf_builder b;
        struct sto_bytes bytes;
        struct sto_gguf *g;
        struct sto_vocab v;
        sto_builder_init(&b, 3, 32);
        put_vocab(&b, lies[i].lie);
        assert_int_equal(read_vocab(&b, &g, &bytes, &v), STO_ERR_MODEL);
        if (strstr(err.message, "v.gguf") == NULL || strstr(err.message, lies[i].key) == NULL ||
            strstr(err.message, lies[i].says) == NULL)
            fail_msg("'%s' should name '%s' and '%s'", err.message, lies[i].key, lies[i].says);
        assert_null(v.tokens);
        sto_gguf_close(g);
        sto_bytes_free(&bytes);
        sto_builder_free(&b);
    }
}

static void without_a_lie_the_vocabulary_is_read(void **state)
{
    (void)state;
    struct sto_gguf_builder b;
    struct sto_bytes bytes;
    struct sto_gguf *g;
    struct sto_vocab v;
    sto_builder_init(&b, 2, 32);
    put_vocab(&b, LIE_NONE);
    assert_int_equal(read_vocab(&b, &g, &bytes, &v), STO_OK);
    assert_int_equal(v.n_tokens, 2);
    sto_vocab_free(&v);
    sto_gguf_close(g);
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
}

/* Numbers of the published vocabularies: Qwen2.5 has 151,936 rows and 151,387 merges with <|im_end|> = 151645 as its
 * end; Llama 2 has 32,000 tokens, 1 and 2 its ends; Llama 3 has 128,256, of which 128000 begins a text. */
static void real_vocabularies_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum sto_vocab_kind kind;
        uint32_t n_tokens, n_merges, bos, eos;
        const char *first_text;
    } files[] = {
        {"qwen2", STO_VOCAB_BPE, 151936, 151387, 151643, 151645, "!"},
        {"deepseek-r1-qwen", STO_VOCAB_BPE, 151936, 151387, 151646, 151643, "!"},
        {"llama-spm", STO_VOCAB_SPM, 32000, 0, 1, 2, "<unk>"},
        {"llama-bpe", STO_VOCAB_BPE, 128256, 280147, 128000, 128009, "!"},
        {"gpt-2", STO_VOCAB_BPE, 50257, 50000, 50256, 50256, "!"},
    };
    const char *root = getenv("STRATO_REFERENCE");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[1024];
        struct sto_gguf *g;
        struct sto_vocab v;
        (void)snprintf(path, sizeof path, "%s/tokenizers/ggml-vocab-%s.gguf", root == NULL ? "." : root, files[i].name);
        if (!sto_file_exists(path))
            skip();
        if (sto_gguf_open(path, NULL, &g, &err) != STO_OK || sto_vocab_read(g, &v, &err) != STO_OK)
            fail_msg("%s", err.message);
        assert_int_equal(v.kind, files[i].kind);
        assert_int_equal(v.n_tokens, files[i].n_tokens);
        assert_int_equal(v.n_merges, files[i].n_merges);
        assert_int_equal(v.bos, files[i].bos);
        assert_int_equal(v.eos, files[i].eos);
        assert_true(sto_view_equals(v.tokens[0], files[i].first_text));
        assert_true((v.scores != NULL) == (v.kind == STO_VOCAB_SPM));
        assert_int_equal(v.kinds[v.eos], STO_TOKEN_CONTROL);
        sto_vocab_free(&v);
        sto_gguf_close(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_in_the_file_comes_back),
        cmocka_unit_test(one_of_several_templates_is_taken),
        cmocka_unit_test(absent_parts_have_their_defaults),
        cmocka_unit_test(without_a_lie_the_vocabulary_is_read),
        cmocka_unit_test(contradictions_are_named),
        cmocka_unit_test(real_vocabularies_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

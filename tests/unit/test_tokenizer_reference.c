/* The tokenizer against the reference vectors: real vocabularies, ids by llama.cpp and by the original tokenizers.
 *
 * A vocabulary passes when every line gives `ids`, or every line gives `original_ids` where it has them. Skipped where
 * the reference data is absent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "host/tokenizer_internal.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

/* A vocabulary of the reference folder, opened; the files stay in memory until close_vocabulary. */
struct vocabulary {
    struct sto_gguf *gguf;
    struct sto_vocab vocab;
    struct sto_tokenizer *tokenizer;
};

static void reference_path(char *path, size_t size, const char *prefix, const char *name, const char *suffix)
{
    const char *root = getenv("STRATO_REFERENCE");
    snprintf(path, size, "%s/tokenizers/%s%s%s", root == NULL ? "" : root, prefix, name, suffix);
    if (root == NULL || !sto_file_exists(path))
        skip();
}

static void open_vocabulary(const char *name, struct vocabulary *v)
{
    char path[1024];
    struct sto_error err = {0};
    reference_path(path, sizeof path, "ggml-vocab-", name, ".gguf");
    const struct sto_gguf_params params = {.header_only = true};
    if (sto_gguf_open(path, &params, &v->gguf, &err) != STO_OK || sto_vocab_read(v->gguf, &v->vocab, &err) != STO_OK ||
        sto_tokenizer_create(&v->vocab, &v->tokenizer, &err) != STO_OK)
        fail_msg("%s: %s", path, err.message);
}

static void close_vocabulary(struct vocabulary *v)
{
    sto_tokenizer_destroy(v->tokenizer);
    sto_vocab_free(&v->vocab);
    sto_gguf_close(v->gguf);
}

static bool equal_ids(const struct sto_tokens *got, const cJSON *expected)
{
    size_t i = 0;
    const cJSON *id;
    cJSON_ArrayForEach(id, expected)
    {
        if (i >= got->n || got->ids[i] != (uint32_t)id->valuedouble)
            return false;
        i++;
    }
    return i == got->n;
}

static void print_ids(const char *what, const struct sto_tokens *got)
{
    fprintf(stderr, "  %s:", what);
    for (size_t i = 0; i < got->n && i < 40; i++)
        fprintf(stderr, " %u", got->ids[i]);
    fprintf(stderr, "\n");
}

static void print_difference(const char *line, const struct sto_tokens *got)
{
    fprintf(stderr, "%.400s\n", line);
    print_ids("got", got);
}

/* The text of ids as the streaming detokenizer gives it, every chunk checked. Free with sto_free. */
static char *detokenize(const struct sto_tokenizer *t, const struct sto_tokens *tokens, size_t *size)
{
    const size_t room = sto_tokenizer_max_bytes(t);
    char *text = sto_calloc(tokens->n + 1, room);
    struct sto_detokenizer d = {.tokenizer = t, .special = true, .at_start = true};
    assert_non_null(text);
    *size = 0;
    for (size_t i = 0; i < tokens->n; i++) {
        const size_t n = sto_detokenize(&d, tokens->ids[i], text + *size, room);
        assert_true(n <= room);
        assert_true(sto_utf8_valid(text + *size, n));
        *size += n;
    }
    *size += sto_detokenize_finish(&d, text + *size, room);
    return text;
}

/* Falcon has no tokens for the bytes that occur in no UTF-8 text, and none for some control characters. */
static bool has_all_bytes(const struct sto_tokenizer *t)
{
    for (int b = 0; b < 256; b++) {
        if (t->byte_ids[b] == STO_TOKEN_NONE)
            return false;
    }
    return true;
}

/* One line of vectors: 0 when neither list fits, else bit 0 for ids, bit 1 for original_ids. */
static int check_line(const struct vocabulary *v, const char *line, bool show)
{
    struct sto_error err = {0};
    struct sto_tokens tokens = {0};
    cJSON *json = cJSON_Parse(line);
    assert_non_null(json);
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(json, "text"));
    assert_non_null(text);
    const struct sto_tokenize_params params = {
        .parse_special = cJSON_IsTrue(cJSON_GetObjectItem(json, "parse_special")),
        .add_special = cJSON_IsTrue(cJSON_GetObjectItem(json, "add_special")),
    };
    assert_int_equal(sto_tokenize(v->tokenizer, text, strlen(text), params, &tokens, &err), STO_OK);
    const cJSON *ids = cJSON_GetObjectItem(json, "ids"), *original = cJSON_GetObjectItem(json, "original_ids");
    const bool as_original = equal_ids(&tokens, original == NULL ? ids : original);
    const int fits = (equal_ids(&tokens, ids) ? 1 : 0) | (as_original ? 2 : 0);
    if (fits == 0 && show)
        print_difference(line, &tokens);
    if (v->vocab.kind == STO_VOCAB_BPE && !params.add_special && has_all_bytes(v->tokenizer)) {
        size_t size;
        char *back = detokenize(v->tokenizer, &tokens, &size);
        assert_int_equal(size, strlen(text));
        assert_memory_equal(back, text, size);
        sto_free(back);
    }
    sto_tokens_free(&tokens);
    cJSON_Delete(json);
    return fits;
}

static void check_vectors(const char *name)
{
    struct vocabulary v = {0};
    char path[1024], *data;
    size_t size;
    reference_path(path, sizeof path, "", name, ".jsonl");
    open_vocabulary(name, &v);
    assert_int_equal(sto_file_read(path, 1u << 26, &data, &size, NULL), STO_OK);
    unsigned n = 0, n_ids = 0, n_original = 0, n_shown = 0;
    for (char *line = data; line < data + size;) {
        char *end = memchr(line, '\n', (size_t)(data + size - line));
        if (end == NULL)
            end = data + size;
        *end = '\0';
        if (end > line) {
            const int fits = check_line(&v, line, n_shown < 5);
            n++;
            n_ids += fits & 1;
            n_original += fits >> 1 & 1;
            n_shown += fits == 0;
        }
        line = end + 1;
    }
    printf("%s: %u lines, %u as ids, %u as original_ids\n", name, n, n_ids, n_original);
    assert_true(n > 200);
    assert_true(n_ids == n || n_original == n);
    sto_free(data);
    close_vocabulary(&v);
}

/* llama.cpp's own vectors: inputs separated by a marker line, one line of ids for each. */
static void check_pairs(const char *name)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    struct vocabulary v = {0};
    char path[1024], *inputs, *outputs;
    size_t size;
    reference_path(path, sizeof path, "ggml-vocab-", name, ".gguf.inp");
    open_vocabulary(name, &v);
    assert_int_equal(sto_file_read(path, 1u << 26, &inputs, &size, NULL), STO_OK);
    reference_path(path, sizeof path, "ggml-vocab-", name, ".gguf.out");
    assert_int_equal(sto_file_read(path, 1u << 26, &outputs, &size, NULL), STO_OK);
    unsigned n = 0;
    char *want = outputs;
    for (char *input = inputs, *next; input != NULL; input = next, n++) {
        struct sto_tokens tokens = {0};
        next = strstr(input, separator);
        if (next == NULL && strchr(want, '\n') == NULL)
            break;
        const size_t length = next == NULL ? strlen(input) : (size_t)(next - input);
        next = next == NULL ? NULL : next + strlen(separator);
        const struct sto_tokenize_params params = {0};
        assert_int_equal(sto_tokenize(v.tokenizer, input, length, params, &tokens, NULL), STO_OK);
        const char *line_end = strchr(want, '\n');
        assert_non_null(line_end);
        for (size_t i = 0; i < tokens.n; i++) {
            char *after;
            const unsigned long id = strtoul(want, &after, 10);
            assert_ptr_not_equal(after, want);
            assert_int_equal(tokens.ids[i], id);
            want = after;
        }
        assert_int_equal(strspn(want, " "), line_end - want);
        want += line_end - want + 1;
        sto_tokens_free(&tokens);
    }
    printf("%s: %u pairs\n", name, n);
    assert_int_equal(n, 46);
    sto_free(inputs);
    sto_free(outputs);
    close_vocabulary(&v);
}

#define FOR_PAIRS(X)                                                                                                   \
    X(llama_spm, "llama-spm")                                                                                          \
    X(phi_3, "phi-3")                                                                                                  \
    X(llama_bpe, "llama-bpe")                                                                                          \
    X(qwen2, "qwen2")                                                                                                  \
    X(deepseek_r1_qwen, "deepseek-r1-qwen")                                                                            \
    X(deepseek_llm, "deepseek-llm")                                                                                    \
    X(deepseek_coder, "deepseek-coder")                                                                                \
    X(falcon, "falcon")                                                                                                \
    X(gpt_2, "gpt-2")                                                                                                  \
    X(mpt, "mpt")                                                                                                      \
    X(refact, "refact")                                                                                                \
    X(starcoder, "starcoder")
#define FOR_VECTORS(X)                                                                                                 \
    FOR_PAIRS(X)                                                                                                       \
    X(baichuan, "baichuan")                                                                                            \
    X(gpt_4o, "gpt-4o")                                                                                                \
    X(gpt_neox, "gpt-neox")                                                                                            \
    X(kimi_k2, "kimi-k2")

#define VECTORS_TEST(id, name)                                                                                         \
    static void vectors_##id(void **state)                                                                             \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        check_vectors(name);                                                                                           \
    }
#define PAIRS_TEST(id, name)                                                                                           \
    static void pairs_##id(void **state)                                                                               \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        check_pairs(name);                                                                                             \
    }
FOR_VECTORS(VECTORS_TEST)
FOR_PAIRS(PAIRS_TEST)

#define VECTORS_ENTRY(id, name) cmocka_unit_test(vectors_##id),
#define PAIRS_ENTRY(id, name) cmocka_unit_test(pairs_##id),

int main(void)
{
    const struct CMUnitTest tests[] = {FOR_VECTORS(VECTORS_ENTRY) FOR_PAIRS(PAIRS_ENTRY)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The tool that writes large random models: its mixtures are those of a real quantiser, its weights have the deviation
 * asked for, no two layers are alike, and the same seed gives the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/gguf.h"
#include "models/vocab.h"
#include "runtime/base/mem.h"
#include "runtime/formats/formats.h"
#include "models/mixture.h"
#include "tests/support/random_weights.h"

static struct sto_error err;

static const char *reference(const char *name)
{
    static char path[1024];
    const char *root = getenv("STRATO_REFERENCE");
    (void)snprintf(path, sizeof path, "%s/%s", root == NULL ? "." : root, name);
    return sto_file_exists(path) ? path : NULL;
}

/* ---- mixtures ---- */

/* Compares the types of every matrix of a file that llama.cpp's quantiser wrote. Returns how many there were. */
static int compare_with_file(const char *path, const char *mixture_name)
{
    static const char *const names[] = {"attn_q",   "attn_k",   "attn_v", "attn_output",
                                        "ffn_gate", "ffn_up", "ffn_down"};
    const struct sto_mixture *mixture = sto_mixture_find(mixture_name);
    struct sto_gguf *g;
    int n = 0;
    struct sto_view arch = {"", 0};
    assert_non_null(mixture);
    assert_int_equal(sto_gguf_open(path, NULL, &g, &err), STO_OK);
    assert_int_equal(sto_gguf_get_string(g, "general.architecture", &arch, &err), STO_OK);
    struct sto_matrix_place place = {.tied = sto_gguf_find_tensor(g, "output.weight") == NULL};
    char key[128];
    (void)snprintf(key, sizeof key, "%.*s.block_count", (int)arch.size, arch.data);
    assert_int_equal(sto_gguf_need_u32(g, key, &place.n_layers, &err), STO_OK);
    (void)snprintf(key, sizeof key, "%.*s.attention.head_count", (int)arch.size, arch.data);
    assert_int_equal(sto_gguf_need_u32(g, key, &place.n_heads, &err), STO_OK);
    (void)snprintf(key, sizeof key, "%.*s.attention.head_count_kv", (int)arch.size, arch.data);
    assert_int_equal(sto_gguf_need_u32(g, key, &place.n_kv_heads, &err), STO_OK);
    for (uint32_t layer = 0; layer < place.n_layers; layer++) {
        for (int i = 0; i < 7; i++) {
            (void)snprintf(key, sizeof key, "blk.%u.%s.weight", layer, names[i]);
            const struct sto_gguf_tensor *t = sto_gguf_find_tensor(g, key);
            place.layer = layer;
            place.matrix = (enum sto_matrix)(STO_MATRIX_Q + i);
            place.n_cols = t->dims[0];
            if (sto_mixture_type(mixture, &place) != t->type)
                fail_msg("%s: %s is %s, not %s", path, key, sto_type_name(t->type),
                         sto_type_name(sto_mixture_type(mixture, &place)));
            n++;
        }
    }
    const struct sto_gguf_tensor *embd = sto_gguf_find_tensor(g, "token_embd.weight");
    const struct sto_gguf_tensor *output = sto_gguf_find_tensor(g, "output.weight");
    place.n_cols = embd->dims[0];
    place.matrix = STO_MATRIX_EMBD;
    assert_int_equal(sto_mixture_type(mixture, &place), embd->type);
    place.matrix = STO_MATRIX_OUTPUT;
    if (output != NULL)
        assert_int_equal(sto_mixture_type(mixture, &place), output->type);
    sto_gguf_close(g);
    return n;
}

static void mixtures_are_those_of_real_files(void **state)
{
    (void)state;
    static const struct {
        const char *file, *mixture;
        int n;
    } files[] = {
        {"formats/qwen3-q2_k.gguf", "Q2_K", 14},     {"formats/qwen3-q3_k_m.gguf", "Q3_K_M", 14},
        {"formats/qwen3-q4_k_m.gguf", "q4_k_m", 14}, {"formats/qwen3-iq4_xs.gguf", "IQ4_XS", 14},
        {"formats/qwen3-mxfp4.gguf", "MXFP4", 14},   {"formats/llama-f16.gguf", "F16", 14},
        {"models/stories3M-q4km.gguf", "Q4_K_M", 42}, {"models/stories3M-q6k.gguf", "Q6_K", 42},
        {"models/stories3M-q80.gguf", "Q8_0", 42},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = reference(files[i].file);
        if (path == NULL)
            skip();
        assert_int_equal(compare_with_file(path, files[i].mixture), files[i].n);
    }
    assert_null(sto_mixture_find("Q4_K_X"));
    assert_null(sto_mixture_find(""));
}

/* Worked out by hand from the rule: of 8 layers the first, the last, and 3 and 6. */
static void the_larger_format_goes_where_the_rule_says(void **state)
{
    (void)state;
    struct sto_matrix_place p = {
        .matrix = STO_MATRIX_DOWN, .n_layers = 8, .n_heads = 8, .n_kv_heads = 2, .n_cols = 512};
    static const bool larger[8] = {true, false, false, true, false, false, true, true};
    for (p.layer = 0; p.layer < 8; p.layer++)
        assert_int_equal(sto_mixture_type(sto_mixture_find("Q4_K_M"), &p),
                         larger[p.layer] ? STO_TYPE_Q6_K : STO_TYPE_Q4_K);
    p.n_cols = 100;
    assert_int_equal(sto_mixture_type(sto_mixture_find("Q4_K_M"), &p), STO_TYPE_F16);
}

/* ---- weights ---- */

static void weights_have_the_deviation_asked_for(void **state)
{
    (void)state;
    enum { N = 256 * 400 };
    static uint8_t packed[N * 4];
    static float values[N];
    for (int type = 0; type < STO_TYPE_COUNT; type++) {
        static struct sto_weight_stream w;
        double sum = 0, squares = 0;
        sto_weight_stream_init(&w, (enum sto_type)type, 0.02f, 7);
        sto_weight_stream_fill(&w, packed, N);
        sto_decode((enum sto_type)type, packed, values, N);
        for (int i = 0; i < N; i++) {
            assert_true(isfinite(values[i]));
            sum += (double)values[i];
            squares += (double)values[i] * (double)values[i];
        }
        /* The mean of N independent values of this deviation is within 5 * 0.02 / sqrt(N) of 0; the values of a block
         * share sign and scale, so 4 times that is allowed. */
        const double deviation = sqrt(squares / N), off = type == STO_TYPE_MXFP4 ? 1.5 : 1.08;
        assert_true(deviation < 0.02 * off && deviation > 0.02 / off);
        assert_true(fabs(sum / N) < 20 * 0.02 / sqrt(N));
    }
}

/* ---- the tool ---- */

static void make(const char *args, const char *out)
{
    char command[2048], program[1024];
    const char *binary = getenv("STRATO_BINARY");
    if (binary == NULL)
        skip();
    const char *slash = strrchr(binary, '/');
    (void)snprintf(program, sizeof program, "%.*s/tests/make_model", (int)(slash - binary), binary);
    (void)snprintf(command, sizeof command, "'%s' %s '%s' > '%s.log'", program, args, out, out);
    if (system(command) != 0)
        fail_msg("%s failed", command);
    (void)snprintf(command, sizeof command, "%s.log", out);
    (void)remove(command);
}

static void models_open_and_no_two_tensors_are_alike(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "--arch qwen3 --format Q4_K_M", "--arch llama --format Q8_0 --tied", "--arch qwen2 --format Q2_K --layers 5",
        "--arch llama --format MXFP4 --embd 96 --heads 6 --kv-heads 3 --head-dim 16 --ffn 160 --vocab 300 --ctx 64",
    };
    char path[64];
    (void)snprintf(path, sizeof path, "make_model.%llx.gguf", (unsigned long long)sto_wall_seed());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_gguf *g;
        struct sto_vocab vocab;
        make(cases[i], path);
        if (sto_gguf_open(path, NULL, &g, &err) != STO_OK || sto_vocab_read(g, &vocab, &err) != STO_OK)
            fail_msg("%s", err.message);
        const size_t n = sto_gguf_n_tensors(g);
        for (size_t a = 0; a < n; a++) {
            const struct sto_gguf_tensor *x = sto_gguf_tensor_at(g, a);
            for (size_t b = a + 1; b < n; b++)
                assert_memory_not_equal(sto_gguf_tensor_data(g, x), sto_gguf_tensor_data(g, sto_gguf_tensor_at(g, b)),
                                        64);
        }
        assert_int_equal(vocab.kind, STO_VOCAB_BPE);
        assert_int_equal(vocab.n_tokens, sto_gguf_find_tensor(g, "token_embd.weight")->dims[1]);
        assert_true(sto_view_equals(vocab.tokens['A'], "A"));
        assert_true(sto_view_equals(vocab.tokens[' '], "\xc4\xa0"));
        assert_true(sto_view_equals(vocab.tokens[258], "\xc4\xa0the"));
        for (uint32_t t = 0; t < 263; t++) {
            for (uint32_t u = t + 1; u < 263; u++)
                assert_true(vocab.tokens[t].size != vocab.tokens[u].size ||
                            memcmp(vocab.tokens[t].data, vocab.tokens[u].data, vocab.tokens[t].size) != 0);
        }
        sto_vocab_free(&vocab);
        sto_gguf_close(g);
    }
    (void)remove(path);
}

/* Llama 3.1 and 3.2 have divisors of the rotation frequencies, from 1 for the fastest pair to 8 and 32. */
static void llama_3_shapes_have_frequency_divisors(void **state)
{
    (void)state;
    char path[64];
    struct sto_gguf *g;
    (void)snprintf(path, sizeof path, "make_model.%llx.gguf", (unsigned long long)sto_wall_seed());
    make("--arch llama --shape 1b --layers 1 --embd 64 --vocab 300 --ffn 64 --format F16", path);
    assert_int_equal(sto_gguf_open(path, NULL, &g, &err), STO_OK);
    const struct sto_gguf_tensor *t = sto_gguf_find_tensor(g, "rope_freqs.weight");
    assert_non_null(t);
    assert_true(t->type == STO_TYPE_F32 && t->n_dims == 1 && t->dims[0] == 32);
    float first, last;
    memcpy(&first, sto_gguf_tensor_data(g, t), 4);
    memcpy(&last, (const char *)sto_gguf_tensor_data(g, t) + 31 * 4, 4);
    assert_true(first == 1.0f && last == 32.0f);
    sto_gguf_close(g);
    (void)remove(path);
}

static void a_seed_gives_the_same_file_again(void **state)
{
    (void)state;
    static const char *const args[] = {"--seed 3", "--seed 3", "--seed 4"};
    char path[64];
    char *files[3];
    size_t sizes[3];
    (void)snprintf(path, sizeof path, "make_model.%llx.gguf", (unsigned long long)sto_wall_seed());
    for (int i = 0; i < 3; i++) {
        make(args[i], path);
        assert_int_equal(sto_file_read(path, 1 << 26, &files[i], &sizes[i], &err), STO_OK);
    }
    (void)remove(path);
    assert_int_equal(sizes[0], sizes[1]);
    assert_int_equal(sizes[0], sizes[2]);
    assert_memory_equal(files[0], files[1], sizes[0]);
    assert_memory_not_equal(files[0], files[2], sizes[0]);
    for (int i = 0; i < 3; i++)
        sto_free(files[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixtures_are_those_of_real_files),
        cmocka_unit_test(the_larger_format_goes_where_the_rule_says),
        cmocka_unit_test(weights_have_the_deviation_asked_for),
        cmocka_unit_test(models_open_and_no_two_tensors_are_alike),
        cmocka_unit_test(llama_3_shapes_have_frequency_divisors),
        cmocka_unit_test(a_seed_gives_the_same_file_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* strato info: what it prints, and its exit codes. Runs the built program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "runtime/base/mem.h"
#include "tests/support/gguf_write.h"

static char folder[256], model[300], out_path[300], err_path[300];
static char *out, *errors; /* what the last run printed */

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "test_info.%llx", (unsigned long long)sto_wall_seed());
    (void)snprintf(model, sizeof model, "%s/model.gguf", folder);
    (void)snprintf(out_path, sizeof out_path, "%s/out", folder);
    (void)snprintf(err_path, sizeof err_path, "%s/err", folder);
    return sto_make_dirs(folder, NULL) == STO_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    sto_free(out);
    sto_free(errors);
    (void)remove(model);
    (void)remove(out_path);
    (void)remove(err_path);
    return remove(folder);
}

static char *slurp(const char *path)
{
    char *text;
    size_t size;
    if (sto_file_read(path, 1 << 26, &text, &size, NULL) != STO_OK)
        fail_msg("cannot read %s", path);
    return text;
}

/* Runs "strato info ARGS" and gives its exit code. */
static int info(const char *args)
{
    char command[2048];
    const char *binary = getenv("STRATO_BINARY");
    if (binary == NULL)
        skip();
    (void)snprintf(command, sizeof command, "'%s' info %s > '%s' 2> '%s'", binary, args, out_path, err_path);
    const int status = system(command);
    sto_free(out);
    sto_free(errors);
    out = slurp(out_path);
    errors = slurp(err_path);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int info_model(const char *options)
{
    char args[600];
    (void)snprintf(args, sizeof args, "%s '%s'", options, model);
    return info(args);
}

static void expect(const char *text)
{
    if (strstr(out, text) == NULL)
        fail_msg("'%s' is missing in:\n%s", text, out);
}

/* A small llama with one tensor of each of three types; arch may be unknown, and so may the type of one tensor. */
static void write_model(const char *arch, const char *tokenizer, uint32_t odd_type, size_t cut)
{
    struct sto_gguf_builder b;
    static const char *const tokens[] = {"<unk>", "<s>", "a\x1b[31m\"b\nc\xff"};
    sto_builder_init(&b, 3, 32);
    sto_put_string(&b, "general.architecture", arch);
    sto_put_string(&b, "general.name", "Evil\x1b[2J name");
    sto_put_u32(&b, "general.file_type", 15);
    sto_put_u32(&b, "llama.block_count", 2);
    sto_put_u32(&b, "llama.embedding_length", 256);
    sto_put_u32(&b, "llama.feed_forward_length", 512);
    sto_put_u32(&b, "llama.attention.head_count", 8);
    sto_put_u32(&b, "llama.attention.head_count_kv", 2);
    sto_put_u32(&b, "llama.context_length", 4096);
    sto_put_u64(&b, "big", 18446744073709551615u);
    sto_put_f32(&b, "third", 0.333333343f);
    sto_put_string(&b, "tokenizer.ggml.model", tokenizer);
    sto_put_strings(&b, "tokenizer.ggml.tokens", tokens, 3);
    sto_put_array(&b, "tokenizer.ggml.scores", STO_GGUF_F32, 3, "\0\0\0\0\0\0\x80\x3f\0\0\0\xc0", 12);
    char text[601] = "";
    for (int i = 0; i < 300; i++)
        memcpy(text + 2 * i, "\xc3\xa9", 2);
    sto_put_string(&b, "long", text);
    const uint64_t matrix[] = {256, 3}, vector[] = {256};
    sto_put_tensor(&b, "token_embd.weight", STO_TYPE_Q4_K, 2, matrix, NULL);
    sto_put_tensor(&b, "output.weight", STO_TYPE_Q6_K, 2, matrix, NULL);
    sto_put_tensor(&b, "output_norm.weight", STO_TYPE_F32, 1, vector, NULL);
    if (odd_type != 0) {
        sto_put_tensor_raw(&b, "odd.weight", 10, 1, vector, odd_type, b.data_bytes);
        sto_bytes_add(&b.data, NULL, 1024);
    }
    struct sto_bytes bytes = sto_builder_build(&b);
    bytes.size -= cut;
    assert_int_equal(sto_file_write_atomic(model, bytes.data, bytes.size, NULL), STO_OK);
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
}

static void the_summary_says_what_is_in_the_file(void **state)
{
    (void)state;
    write_model("llama", "llama", 0, 0);
    assert_int_equal(info_model(""), 0);
    assert_string_equal(errors, "");
    expect("GGUF version 3, 1 file");
    expect("architecture  llama\n");
    expect("name          Evil\\x1b[2J name\n");
    expect("parameters    1.79 K\n"); /* 256*3*2 + 256 = 1792 */
    expect("layers        2\n");
    expect("width         256\n");
    expect("feed-forward  512\n");
    expect("8 heads of 32, 2 for keys and values\n");
    expect("context       4096 tokens\n");
    expect("tokenizer     llama (SPM), 3 tokens\n");
    expect("Q4_K_M, 2.04 KiB, 9.31 bits per weight\n"); /* 3 * 144 + 3 * 210 + 1024 = 2086 bytes, * 8 / 1792 = 9.3125 */
    expect("metadata: 15 keys\n");
    expect("18446744073709551615\n");
    expect("0.3333333\n");
    expect("f32[3]  0, 1, -2\n");
    expect("string[3]  \"<unk>\", \"<s>\", \"a\\x1b[31m\\\"b\\nc\\xff\"\n");
    expect("\xc3\xa9\xc3\xa9...\"\n"); /* cut between characters */
    expect("tensors: 3\n");
    expect("[3, 256]             Q4_K              432 bytes\n");
    expect("not supported:\n");
    expect("tensor 'blk.0.attn_norm.weight' is missing");
    for (const char *p = out; *p != '\0'; p++)
        assert_true(*p == '\n' || (unsigned char)*p >= 0x20);
    for (const char *line = out; strchr(line, '\n') != NULL; line = strchr(line, '\n') + 1)
        assert_true(strchr(line, '\n') - line < 200);
    assert_true(sto_utf8_valid(out, strlen(out)));
}

static void json_holds_the_same(void **state)
{
    (void)state;
    write_model("llama", "llama", 0, 0);
    assert_int_equal(info_model("--json"), 0);
    cJSON *root = cJSON_Parse(out);
    assert_non_null(root);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(root, "architecture")), "llama");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(root, "name")), "Evil\x1b[2J name");
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(root, "parameters")) == 1792);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(root, "weight_bytes")) == 2086);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(root, "has_data")));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "unsupported")), 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "formats")), 3);
    const cJSON *metadata = cJSON_GetObjectItem(root, "metadata");
    assert_int_equal(cJSON_GetArraySize(metadata), 15);
    assert_non_null(strstr(out, "18446744073709551615"));
    const cJSON *tokens = cJSON_GetArrayItem(metadata, 12);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(tokens, "key")), "tokenizer.ggml.tokens");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItem(tokens, "elements"), 2)),
                        "a\x1b[31m\"b\nc\xef\xbf\xbd");
    const cJSON *tensor = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "tensors"), 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(tensor, "name")), "output.weight");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(tensor, "type")), "Q6_K");
    const cJSON *shape = cJSON_GetObjectItem(tensor, "shape");
    assert_true(cJSON_GetNumberValue(cJSON_GetArrayItem(shape, 0)) == 3);
    assert_true(cJSON_GetNumberValue(cJSON_GetArrayItem(shape, 1)) == 256);
    cJSON_Delete(root);
}

static void what_strato_cannot_run_is_listed(void **state)
{
    (void)state;
    write_model("mamba", "rwkv", 16, 0);
    assert_int_equal(info_model(""), 0);
    expect("not supported:\n");
    expect("  weight format IQ2_XXS (number 16): 1 tensors, the first is odd.weight\n");
    expect("  architecture 'mamba'\n");
    expect("tokenizer.ggml.model' is 'rwkv'");
    write_model("llama", "llama", 777, 0);
    assert_int_equal(info_model(""), 0);
    expect("weight format type 777 (number 777): 1 tensors");
    expect("(not supported)\n");
    assert_int_equal(info_model("--json"), 0);
    cJSON *root = cJSON_Parse(out);
    assert_non_null(root);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "unsupported")), 1);
    cJSON_Delete(root);
}

static void a_model_that_strato_can_run_has_nothing_against_it(void **state)
{
    (void)state;
    char command[2048];
    const char *binary = getenv("STRATO_BINARY");
    if (binary == NULL)
        skip();
    (void)snprintf(command, sizeof command, "'%.*s/tests/make_model' --arch qwen2 '%s' > '%s'",
                   (int)(strrchr(binary, '/') - binary), binary, model, out_path);
    assert_int_equal(system(command), 0);
    assert_int_equal(info_model(""), 0);
    expect("not supported: nothing");
    assert_int_equal(info_model("--json"), 0);
    cJSON *root = cJSON_Parse(out);
    assert_non_null(root);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "unsupported")), 0);
    cJSON_Delete(root);
}

static void sizes_of_zero_are_named_and_not_divided_by(void **state)
{
    (void)state;
    static const char *const keys[] = {"block_count", "embedding_length", "feed_forward_length", "context_length",
                                       "attention.head_count", "attention.head_count_kv"};
    enum { N_KEYS = sizeof keys / sizeof *keys };
    static const char *const tokens[] = {"a", "b"};
    for (int zero = 0; zero < N_KEYS; zero++) {
        struct sto_gguf_builder b;
        char key[64] = "";
        const uint64_t dims[] = {32, 2};
        sto_builder_init(&b, 3, 32);
        sto_put_string(&b, "general.architecture", "llama");
        for (int i = 0; i < N_KEYS; i++) {
            (void)snprintf(key, sizeof key, "llama.%s", keys[i]);
            sto_put_u32(&b, key, i == zero ? 0 : 32);
        }
        sto_put_string(&b, "tokenizer.ggml.model", "gpt2");
        sto_put_strings(&b, "tokenizer.ggml.tokens", tokens, 2);
        sto_put_tensor(&b, "token_embd.weight", STO_TYPE_F32, 2, dims, NULL);
        struct sto_bytes bytes = sto_builder_build(&b);
        assert_int_equal(sto_file_write_atomic(model, bytes.data, bytes.size, NULL), STO_OK);
        sto_bytes_free(&bytes);
        sto_builder_free(&b);
        assert_int_equal(info_model(""), 0);
        (void)snprintf(key, sizeof key, "llama.%s is 0", keys[zero]);
        expect(key);
    }
}

static void a_file_without_its_data_will_do(void **state)
{
    (void)state;
    write_model("llama", "llama", 0, 2000);
    assert_int_equal(info_model(""), 0);
    expect("tensor data   missing");
    expect("tensors: 3\n");
    assert_int_equal(info_model("--json"), 0);
    expect("\"has_data\":\tfalse");
}

static void exit_codes_say_what_is_wrong(void **state)
{
    (void)state;
    assert_int_equal(info("--wrong x"), 2);
    assert_non_null(strstr(errors, "--wrong"));
    assert_int_equal(info("a b"), 2);
    assert_int_equal(info("--help"), 0);
    expect("strato info");
    assert_int_equal(info("not-there.gguf"), 1);
    assert_non_null(strstr(errors, "not-there.gguf"));
    assert_int_equal(info("."), 1);
    assert_non_null(strstr(errors, "directory"));
    assert_int_equal(sto_file_write_atomic(model, "GGUF\3\0\0\0", 8, NULL), STO_OK);
    assert_int_equal(info_model(""), 3);
    assert_non_null(strstr(errors, model));
    assert_string_equal(out, "");
    assert_int_equal(sto_file_write_atomic(model, "", 0, NULL), STO_OK);
    assert_int_equal(info_model(""), 3);
    assert_non_null(strstr(errors, "empty"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_summary_says_what_is_in_the_file),
        cmocka_unit_test(json_holds_the_same),
        cmocka_unit_test(what_strato_cannot_run_is_listed),
        cmocka_unit_test(a_model_that_strato_can_run_has_nothing_against_it),
        cmocka_unit_test(sizes_of_zero_are_named_and_not_divided_by),
        cmocka_unit_test(a_file_without_its_data_will_do),
        cmocka_unit_test(exit_codes_say_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

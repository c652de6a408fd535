/* strato tokenize from outside: arguments, JSON lines, standard input, a file without tensors, errors, exit codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "tests/support/gguf_write.h"

static char folder[1024];

static void path_of(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", folder, name);
}

static void write_file(const char *name, const void *data, size_t size)
{
    char path[1200];
    struct sto_error err = {0};
    path_of(path, sizeof path, name);
    if (sto_file_write_atomic(path, data, size, &err) != STO_OK)
        fail_msg("%s", err.message);
}

/* A vocabulary and nothing else: ids 0 to 4 are a, b, ab, <|x|> and BOS. */
static void write_model(const char *name, const char *pre, const char *tokenizer)
{
    static const char *const tokens[] = {"a", "b", "ab", "<|x|>", "<s>"};
    static const char *const merges[] = {"a b"};
    static const uint8_t kinds[] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0};
    struct sto_gguf_builder b;
    sto_builder_init(&b, 3, 32);
    sto_put_string(&b, "general.architecture", "llama");
    if (tokenizer != NULL) {
        sto_put_string(&b, "tokenizer.ggml.model", tokenizer);
        sto_put_string(&b, "tokenizer.ggml.pre", pre);
        sto_put_strings(&b, "tokenizer.ggml.tokens", tokens, 5);
        sto_put_array(&b, "tokenizer.ggml.token_type", STO_GGUF_I32, 5, kinds, sizeof kinds);
        sto_put_strings(&b, "tokenizer.ggml.merges", merges, 1);
        sto_put_u32(&b, "tokenizer.ggml.bos_token_id", 4);
        sto_put_bool(&b, "tokenizer.ggml.add_bos_token", true);
    }
    struct sto_bytes bytes = sto_builder_build(&b);
    write_file(name, bytes.data, bytes.size);
    sto_bytes_free(&bytes);
    sto_builder_free(&b);
}

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/strato-test-tokenize-%llx", tmp != NULL ? tmp : "/tmp",
             (unsigned long long)sto_wall_seed());
    if (getenv("STRATO_BINARY") == NULL || sto_make_dirs(folder, NULL) != STO_OK)
        return 0;
    write_model("model.gguf", "gpt-2", "gpt2");
    write_model("pre.gguf", "no-such-pre", "gpt2");
    write_model("none.gguf", NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"model.gguf", "pre.gguf", "none.gguf", "in", "out", "err"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[1200];
        path_of(path, sizeof path, names[i]);
        (void)remove(path);
    }
    (void)remove(folder);
    return 0;
}

static char *read_file(const char *name)
{
    char path[1200], *data;
    size_t size;
    path_of(path, sizeof path, name);
    assert_int_equal(sto_file_read(path, 1 << 20, &data, &size, NULL), STO_OK);
    return data;
}

/* Runs the program on a model of the folder. Checks the whole output, and that standard error is one line that holds
 * `error` ("" wants silence). Exit codes come back as the shell's, times 256 where wait's encoding is used. */
static void run(const char *model, const char *arguments, const char *input, size_t input_size, int code,
                const char *output, const char *error)
{
    char command[8192];
    const char *binary = getenv("STRATO_BINARY");
    if (binary == NULL)
        skip();
    write_file("in", input, input_size);
    snprintf(command, sizeof command, "\"%s\" tokenize \"%s/%s\" %s < \"%s/in\" > \"%s/out\" 2> \"%s/err\"", binary,
             folder, model, arguments, folder, folder, folder);
    const int status = system(command);
    char *out = read_file("out"), *err = read_file("err");
    if (status != code && status != code * 256)
        fail_msg("%s: exit status %d, %s", arguments, status, err);
    assert_string_equal(out, output);
    if (error[0] == '\0')
        assert_string_equal(err, "");
    else if (strstr(err, error) == NULL || strchr(err, '\n') != err + strlen(err) - 1)
        fail_msg("%s: \"%s\" is not one line with \"%s\"", arguments, err, error);
    sto_free(out);
    sto_free(err);
}

static void texts(void **state)
{
    (void)state;
    run("model.gguf", "-p aab", "", 0, 0, "[4,0,2]\n", "");
    run("model.gguf", "--no-bos -p aab", "", 0, 0, "[0,2]\n", "");
    run("model.gguf", "--no-bos -p \"a<|x|>b\"", "", 0, 0, "[0,1]\n", "");
    run("model.gguf", "--no-bos --special -p \"a<|x|>b\"", "", 0, 0, "[0,3,1]\n", "");
    run("model.gguf", "--no-bos -p \"\"", "", 0, 0, "[]\n", "");
    run("model.gguf", "", "", 0, 0, "[4]\n", "");
    run("model.gguf", "", "abab\nb\0a", 8, 0, "[4,2,2,1,0]\n", ""); /* no tokens for the line feed and the NUL */
}

static void json_lines(void **state)
{
    (void)state;
#define RUN(arguments, input, code, output, error)                                                                     \
    run("model.gguf", "--jsonl " arguments, input, strlen(input), code, output, error)
    RUN("", "", 0, "", "");
    RUN("", "{\"text\":\"ab\"}\n{\"text\":\"\",\"add_special\":false}\n", 0, "[4,2]\n[]\n", "");
    RUN("", "{\"text\":\"<|x|>\",\"parse_special\":true,\"add_special\":false} \r\n", 0, "[3]\n", "");
    RUN("--special --no-bos", "{\"text\":\"<|x|>\"}\n{\"text\":\"a\",\"add_special\":true}", 0, "[3]\n[4,0]\n", "");
    RUN("--special --no-bos", "{\"text\":\"<|x|>\",\"parse_special\":false}\n", 0, "[]\n", "");
    RUN("--no-bos", "{\"text\":\"a\\\\u0000\"}\n", 0, "[0]\n", ""); /* a backslash, not a NUL */
    RUN("--no-bos", "{\"text\":\"a\"}\nnonsense\n{\"text\":\"b\"}\n", 1, "[0]\n", "line 2: not a JSON value");
    RUN("", "{\"text\":\"a\"} {}\n", 1, "", "line 1: not a JSON value");
    RUN("", "\n", 1, "", "line 1: not a JSON value");
    RUN("", "[1]\n", 1, "", "line 1: not a JSON object");
    RUN("", "{\"Text\":\"a\"}\n", 1, "", "line 1: no string \"text\"");
    RUN("", "{\"text\":7}\n", 1, "", "line 1: no string \"text\"");
    RUN("", "{\"text\":\"a\",\"parse_special\":1}\n", 1, "", "line 1: \"parse_special\" is not true or false");
    RUN("", "{\"text\":\"a\\u0000b\"}\n", 1, "", "line 1: a NUL character");
    RUN("-p x", "", 2, "", "-p and --jsonl");
#undef RUN
}

static void bad_models(void **state)
{
    (void)state;
    run("pre.gguf", "-p a", "", 0, 3, "", "pre.gguf: tokenizer.ggml.pre: \"no-such-pre\"");
    run("none.gguf", "-p a", "", 0, 3, "", "none.gguf: the file has no tokenizer");
    run("absent.gguf", "-p a", "", 0, 1, "", "absent.gguf");
    run("in", "-p a", "text", 4, 3, "", "/in");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(bad_models),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

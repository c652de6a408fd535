/* The tokenizer on the demo model, whose vectors an encoder in Python computed (models/demo/bpe.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "host/tokenizer.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

static void demo_vectors(void **state)
{
    (void)state;
    static const char folder[] = STRATO_SOURCE_DIR "/models/demo";
    char path[1024], *data;
    size_t size;
    struct sto_gguf *gguf;
    struct sto_vocab vocab;
    struct sto_tokenizer *t;
    struct sto_error err = {0};
    snprintf(path, sizeof path, "%s/vectors.json", folder);
    if (!sto_file_exists(path))
        skip();
    assert_int_equal(sto_file_read(path, 1u << 26, &data, &size, NULL), STO_OK);
    snprintf(path, sizeof path, "%s/demo.gguf", folder);
    const struct sto_gguf_params header = {.header_only = true};
    assert_int_equal(sto_gguf_open(path, &header, &gguf, &err), STO_OK);
    assert_int_equal(sto_vocab_read(gguf, &vocab, &err), STO_OK);
    assert_int_equal(sto_tokenizer_create(&vocab, &t, &err), STO_OK);
    cJSON *json = cJSON_Parse(data);
    const cJSON *row;
    int n = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "tokenizer"))
    {
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(row, "text"));
        const cJSON *ids = cJSON_GetObjectItem(row, "ids"), *id;
        uint32_t want[512];
        size_t k = 0;
        assert_non_null(text);
        assert_true(cJSON_GetArraySize(ids) < 512);
        cJSON_ArrayForEach(id, ids) want[k++] = (uint32_t)id->valuedouble;
        /* The parser ends a string at \u0000; one of the texts is that character alone. */
        const size_t length = text[0] == '\0' && k > 0 ? 1 : strlen(text);
        const struct sto_tokenize_params params = {.parse_special = cJSON_IsTrue(cJSON_GetObjectItem(row, "special"))};
        struct sto_tokens got = {0};
        assert_int_equal(sto_tokenize(t, text, length, params, &got, &err), STO_OK);
        assert_int_equal(got.n, k);
        assert_int_equal(k == 0 ? 0 : memcmp(got.ids, want, k * sizeof *want), 0);
        sto_tokens_free(&got);
        n++;
    }
    assert_true(n > 5);
    cJSON_Delete(json);
    sto_tokenizer_destroy(t);
    sto_vocab_free(&vocab);
    sto_gguf_close(gguf);
    sto_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(demo_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

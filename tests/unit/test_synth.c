/* Invented models: the reference forward pass against llama.cpp's logits of the same files (tests/vectors/synth.*), in
 * every format, family and RoPE scaling. Needs no data from outside the repository. */
#include "models/gguf.h"
#include "runtime/base/mem.h"
#include "runtime/formats/formats.h"
#include "tests/reference/ref_compare.h"
#include "tests/reference/ref_model.h"
#include "tests/support/synth.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_TOKENS = 64, MAX_FILE_BYTES = 1 << 26 };

struct vectors {
    cJSON *json;
    float *logits; /* [cases, rows, n_vocab] */
    size_t n_cases, n_vocab, n_tokens, n_rows;
    uint32_t tokens[MAX_TOKENS], rows[MAX_TOKENS];
};

static size_t read_list(const cJSON *json, const char *name, uint32_t list[MAX_TOKENS])
{
    const cJSON *item;
    size_t n = 0;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, name))
    {
        assert_true(n < MAX_TOKENS);
        list[n++] = (uint32_t)item->valuedouble;
    }
    return n;
}

static char *read_file(const char *path, size_t *size)
{
    char *bytes = NULL;
    struct sto_error err = {.status = STO_OK};

    if (sto_file_read(path, MAX_FILE_BYTES, &bytes, size, &err) != STO_OK)
        fail_msg("%s", err.message);
    return bytes;
}

static void load_vectors(struct vectors *v)
{
    size_t size;
    char *text = read_file(STRATO_SOURCE_DIR "/tests/vectors/synth.json", &size);

    *v = (struct vectors){.json = cJSON_ParseWithLength(text, size)};
    sto_free(text);
    assert_non_null(v->json);
    v->n_cases = (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(v->json, "cases"));
    v->n_vocab = (size_t)cJSON_GetObjectItemCaseSensitive(v->json, "n_vocab")->valuedouble;
    v->n_tokens = read_list(v->json, "tokens", v->tokens);
    v->n_rows = read_list(v->json, "rows", v->rows);
    char *bytes = read_file(STRATO_SOURCE_DIR "/tests/vectors/synth.f32", &size);
    assert_int_equal(size, v->n_cases * v->n_rows * v->n_vocab * 4);
    v->logits = sto_calloc(size / 4, sizeof *v->logits);
    assert_non_null(v->logits);
    sto_decode(STO_TYPE_F32, bytes, v->logits, size / 4);
    sto_free(bytes);
}

static void free_vectors(struct vectors *v)
{
    cJSON_Delete(v->json);
    sto_free(v->logits);
}

/* CRC-32 as zlib and PNG have it. */
static uint32_t crc32(const char *bytes, size_t n)
{
    uint32_t crc = 0xffffffffu;

    for (size_t i = 0; i < n; i++) {
        crc ^= (uint8_t)bytes[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
    }
    return ~crc;
}

/* Expected are float32 logits; their own rounding errors came out below 1e-6 everywhere. */
static void check_case(const struct vectors *v, size_t index, const cJSON *item)
{
    const char *name = cJSON_GetObjectItemCaseSensitive(item, "name")->valuestring;
    const struct sto_synth_case *c = sto_synth_case_find(name);
    struct sto_error err = {.status = STO_OK};
    struct sto_ref_model *model = NULL;
    char path[96];
    size_t size;

    assert_non_null(c);
    snprintf(path, sizeof path, "synth-%s.gguf", name);
    if (sto_synth_write(&c->model, path, &err) != STO_OK)
        fail_msg("%s", err.message);
    char *bytes = read_file(path, &size);
    if (crc32(bytes, size) != (uint32_t)cJSON_GetObjectItemCaseSensitive(item, "crc32")->valuedouble)
        fail_msg("%s is not the model that the vectors were made from", name);
    sto_free(bytes);
    if (sto_ref_model_open(path, &model, &err) != STO_OK)
        fail_msg("%s", err.message);
    double *logits = sto_calloc(v->n_tokens * v->n_vocab, sizeof *logits);
    assert_non_null(logits);
    if (sto_ref_model_logits(model, v->tokens, v->n_tokens, logits, &err) != STO_OK)
        fail_msg("%s", err.message);
    for (size_t r = 0; r < v->n_rows; r++) {
        const double rel = sto_ref_rel_error(logits + v->rows[r] * v->n_vocab,
                                             v->logits + (index * v->n_rows + r) * v->n_vocab, v->n_vocab);
        if (!(rel <= 3e-6))
            fail_msg("%s row %u: rel %.3g", name, v->rows[r], rel);
    }
    sto_free(logits);
    sto_ref_model_close(model);
    remove(path);
}

static void test_logits(void **state)
{
    struct vectors v;
    const cJSON *item;
    size_t index = 0, n_cases = 0;

    (void)state;
    load_vectors(&v);
    while (sto_synth_case_at(n_cases) != NULL)
        n_cases++;
    assert_int_equal(v.n_cases, n_cases);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(v.json, "cases")) check_case(&v, index++, item);
    free_vectors(&v);
}

/* Together the cases hold a matrix in every format there is. */
static void test_cases_cover_every_format(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (size_t i = 0; sto_synth_case_at(i) != NULL; i++) {
        const struct sto_synth *m = &sto_synth_case_at(i)->model;
        seen |= 1u << m->type | 1u << m->rich_type;
    }
    assert_int_equal(seen, (1u << STO_TYPE_COUNT) - 1);
}

static void test_errors(void **state)
{
    struct sto_synth m = sto_synth_case_find("llama-f32")->model;
    struct sto_error err = {.status = STO_OK};

    (void)state;
    m.type = STO_TYPE_Q4_K; /* 96 columns */
    assert_int_equal(sto_synth_write(&m, "synth-error.gguf", &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "blk.0.attn_q.weight has 96 columns"));
    m.type = STO_TYPE_F32;
    m.n_vocab = 100;
    assert_int_equal(sto_synth_write(&m, "synth-error.gguf", &err), STO_ERR_USAGE);
    m.n_vocab = 304;
    assert_int_equal(sto_synth_write(&m, "no-such-folder/synth.gguf", &err), STO_ERR_FAILED);
    assert_null(sto_synth_case_find("no such case"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_cases_cover_every_format),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* libFuzzer: any bytes as a GGUF file. Parses the header, reads vocabulary and hyperparameters, and touches all that
 * an opened file offers. make_gguf_seeds writes files to start from:
 *
 *   build/tests/make_gguf_seeds CORPUS && build/tests/fuzz_gguf -max_len=8192 CORPUS */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/arch.h"
#include "models/gguf.h"
#include "models/vocab.h"
#include "runtime/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* keeps the reads */

static void touch(const void *bytes, uint64_t n)
{
    const unsigned char *p = bytes;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += p[i];
    sink += sum;
}

static void touch_value(const struct sto_gguf *g, const struct sto_gguf_value *v)
{
    const enum sto_gguf_kind kind = v->kind == STO_GGUF_ARRAY ? v->elem_kind : v->kind;
    struct sto_view text;
    size_t pos = 0;
    uint64_t n = 0;
    touch(v->key.data, v->key.size);
    touch(v->bytes.data, v->bytes.size);
    if (v->kind == STO_GGUF_ARRAY && kind == STO_GGUF_STRING) {
        while (sto_gguf_next_string(v, &pos, &text)) {
            touch(text.data, text.size);
            n++;
        }
        if (n != v->count || pos != v->bytes.size)
            abort(); /* the array was checked when the file was opened */
    } else if (kind != STO_GGUF_STRING && kind != STO_GGUF_ARRAY) {
        for (uint64_t i = 0; i < v->count; i++)
            sink += (uint64_t)sto_gguf_int_at(v, i) + (sto_gguf_float_at(v, i) > 0.0);
    }
    char *key = sto_strndup(v->key.data, v->key.size);
    uint32_t u;
    float f;
    bool flag;
    if (key == NULL || sto_gguf_find(g, key) != v)
        abort();
    (void)sto_gguf_get_u32(g, key, &u, NULL);
    (void)sto_gguf_get_f32(g, key, &f, NULL);
    (void)sto_gguf_get_bool(g, key, &flag, NULL);
    (void)sto_gguf_get_string(g, key, &text, NULL);
    sto_free(key);
}

static void touch_tensor(const struct sto_gguf *g, const struct sto_gguf_tensor *t)
{
    touch(t->name.data, t->name.size);
    const void *data = sto_gguf_tensor_data(g, t);
    if (data != NULL)
        touch(data, t->bytes);
    char *name = sto_strndup(t->name.data, t->name.size);
    if (name == NULL || sto_gguf_find_tensor(g, name) != t)
        abort();
    sto_free(name);
}

static void touch_vocab(const struct sto_gguf *g)
{
    struct sto_vocab v;
    struct sto_error err;
    if (sto_vocab_read(g, &v, &err) != STO_OK)
        return;
    for (uint32_t i = 0; i < v.n_tokens; i++) {
        touch(v.tokens[i].data, v.tokens[i].size);
        sink += v.kinds[i] + (uint64_t)(v.scores != NULL && v.scores[i] > 0.0f);
    }
    for (uint32_t i = 0; i < v.n_merges; i++)
        touch(v.merges[i].data, v.merges[i].size);
    const uint32_t ids[] = {v.bos, v.eos, v.eot, v.unk, v.pad};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        if (ids[i] != STO_TOKEN_NONE && ids[i] >= v.n_tokens && v.n_tokens > 0)
            abort();
    }
    sto_vocab_free(&v);
}

/* Every family in turn, whatever the file says it is. */
static void touch_hparams(const struct sto_gguf *g)
{
    for (size_t i = 0; sto_arch_at(i) != NULL; i++) {
        struct sto_hparams h;
        struct sto_error err;
        float *freqs = NULL;
        (void)sto_hparams_read(g, sto_arch_at(i), &h, &freqs, &err);
        sto_free(freqs);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int header_only = 0; header_only < 2; header_only++) {
        const struct sto_gguf_params params = {.header_only = header_only == 1};
        struct sto_gguf *g;
        struct sto_error err;
        if (sto_gguf_parse("fuzz.gguf", data, size, &params, &g, &err) != STO_OK) {
            if (err.status == STO_OK || strncmp(err.message, "fuzz.gguf: ", 11) != 0)
                abort();
            continue;
        }
        for (size_t i = 0; i < sto_gguf_n_values(g); i++)
            touch_value(g, sto_gguf_value_at(g, i));
        for (size_t i = 0; i < sto_gguf_n_tensors(g); i++)
            touch_tensor(g, sto_gguf_tensor_at(g, i));
        touch_vocab(g);
        touch_hparams(g);
        sto_gguf_close(g);
    }
    return 0;
}

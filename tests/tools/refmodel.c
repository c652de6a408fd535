/* refmodel MODEL -o FILE TOKEN...: logits by the reference, raw little-endian f32 [tokens, n_vocab].
 *
 * The same numbers as `strato logits MODEL --tokens T,T,... --all -o FILE` should give. Tokens are separated by spaces
 * or commas. Exit code: the error's status. */
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/formats/formats.h"
#include "tests/reference/ref_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 65536 };

struct options {
    const char *model, *output;
    uint32_t *tokens; /* [MAX_TOKENS] */
    size_t n_tokens;
};

static enum sto_status parse_tokens(struct options *o, const char *text, struct sto_error *err)
{
    for (const char *p = text; *p != '\0';) {
        char *end;
        const unsigned long v = strtoul(p, &end, 10);
        if (end == p || (*end != '\0' && *end != ',') || v > UINT32_MAX || o->n_tokens == MAX_TOKENS)
            return sto_fail(err, STO_ERR_USAGE, "not a list of tokens: %s", text);
        o->tokens[o->n_tokens++] = (uint32_t)v;
        p = *end == ',' ? end + 1 : end;
    }
    return STO_OK;
}

static enum sto_status parse(struct options *o, int argc, char **argv, struct sto_error *err)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-o") == 0 && i + 1 < argc)
            o->output = argv[++i];
        else if (o->model == NULL)
            o->model = argv[i];
        else if (parse_tokens(o, argv[i], err) != STO_OK)
            return STO_ERR_USAGE;
    }
    if (o->model == NULL || o->output == NULL || o->n_tokens == 0)
        return sto_fail(err, STO_ERR_USAGE, "usage: refmodel MODEL -o FILE TOKEN...");
    return STO_OK;
}

static enum sto_status write_logits(const struct options *o, struct sto_error *err)
{
    struct sto_ref_model *model = NULL;
    double *logits = NULL;
    float *rounded = NULL;
    uint8_t *bytes = NULL;
    enum sto_status status = sto_ref_model_open(o->model, &model, err);

    if (status != STO_OK)
        return status;
    const size_t n_vocab = sto_ref_model_n_vocab(model), n = o->n_tokens * n_vocab;
    logits = sto_calloc(n, sizeof *logits);
    rounded = sto_calloc(n, sizeof *rounded);
    bytes = sto_calloc(n, 4);
    if (logits == NULL || rounded == NULL || bytes == NULL)
        status = sto_fail(err, STO_ERR_FAILED, "no memory for [%zu, %zu] logits", o->n_tokens, n_vocab);
    if (status == STO_OK)
        status = sto_ref_model_logits(model, o->tokens, o->n_tokens, logits, err);
    for (size_t i = 0; i < n && status == STO_OK; i++)
        rounded[i] = (float)logits[i];
    if (status == STO_OK) {
        sto_encode(STO_TYPE_F32, rounded, bytes, n);
        status = sto_file_write_atomic(o->output, bytes, n * 4, err);
    }
    sto_free(bytes);
    sto_free(rounded);
    sto_free(logits);
    sto_ref_model_close(model);
    return status;
}

int main(int argc, char **argv)
{
    struct sto_error err = {.status = STO_OK};
    struct options o = {.tokens = sto_calloc(MAX_TOKENS, sizeof(uint32_t))};
    enum sto_status status = o.tokens != NULL ? parse(&o, argc, argv, &err) : STO_ERR_FAILED;

    if (status == STO_OK)
        status = write_logits(&o, &err);
    if (status != STO_OK)
        fprintf(stderr, "%s\n", err.message);
    sto_free(o.tokens);
    return (int)status;
}

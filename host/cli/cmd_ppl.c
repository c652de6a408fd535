/* strato ppl: how well a model predicts a text.
 *
 * The text is cut into windows of the context's length, each begun with BOS where the vocabulary has one, and every
 * token but a window's first costs -ln p(token | what came before in its window). */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>

#include "host/cli/cli.h"
#include "host/cli/stack.h"
#include "host/cli/term.h"
#include "host/tokenizer.h"
#include "models/model.h"
#include "runtime/base/mem.h"

struct job {
    const struct sto_options *options;
    struct sto_stack stack;
    struct sto_tokenizer *tokenizer;
    struct sto_session *session;
    struct sto_tokens tokens;
    float *logits;   /* [group, n_vocab]                        */
    double *nll;     /* [tokens.n] cost of each token, in order  */
    size_t n_nll;
};

static double cost(const float *logits, size_t n, uint32_t id)
{
    double top = (double)logits[0], sum = 0.0;
    for (size_t i = 1; i < n; i++)
        top = fmax(top, (double)logits[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - top);
    return log(sum) - ((double)logits[id] - top);
}

/* Evaluates ids[0 .. n) as one sequence and notes the cost of ids[1 .. n). */
static enum sto_status score_window(struct job *j, const uint32_t *ids, size_t n, struct sto_error *err)
{
    const size_t group = j->stack.info.ubatch_tokens;
    const size_t n_vocab = sto_model_n_vocab(j->stack.model);
    const struct sto_callbacks cb = sto_term_callbacks();
    sto_session_truncate(j->session, 0);
    for (size_t done = 0; done < n; done += group) {
        const size_t count = n - done < group ? n - done : group;
        const enum sto_status status = sto_session_eval(j->session, ids + done, count, STO_LOGITS_ALL, j->logits, err);
        if (status != STO_OK)
            return status;
        for (size_t i = 0; i < count && done + i + 1 < n; i++)
            j->nll[j->n_nll++] = cost(j->logits + i * n_vocab, n_vocab, ids[done + i + 1]);
        if (sto_cli_interrupted() ||
            (cb.progress != NULL && cb.progress(cb.user, "tokens", j->n_nll + 1, j->tokens.n)))
            return sto_fail(err, STO_ERR_CANCELLED, "stopped after %zu of %zu tokens", j->n_nll, j->tokens.n);
    }
    return STO_OK;
}

/* Windows after the first begin with BOS too: its place is borrowed from the token before, which was scored already. */
static enum sto_status score(struct job *j, struct sto_error *err)
{
    const size_t ctx = j->stack.info.ctx_tokens;
    const uint32_t bos = sto_tokenizer_bos(j->tokenizer);
    const bool starts_with_bos = bos != STO_TOKEN_NONE && j->tokens.ids[0] == bos;
    enum sto_status status = STO_OK;
    for (size_t at = 0; at + 1 < j->tokens.n && status == STO_OK;) {
        const size_t left = j->tokens.n - at;
        const size_t n = left < ctx ? left : ctx;
        if (at > 0 && starts_with_bos)
            j->tokens.ids[at] = bos;
        status = score_window(j, j->tokens.ids + at, n, err);
        at += n - 1;
    }
    sto_term_clear();
    return status;
}

struct figures {
    double mean, error; /* nats per token, and the standard error of the mean */
};

static struct figures summarise(const struct job *j)
{
    double sum = 0.0, squares = 0.0;
    const double n = (double)j->n_nll;
    for (size_t i = 0; i < j->n_nll; i++)
        sum += j->nll[i];
    for (size_t i = 0; i < j->n_nll; i++)
        squares += (j->nll[i] - sum / n) * (j->nll[i] - sum / n);
    return (struct figures){.mean = sum / n, .error = j->n_nll > 1 ? sqrt(squares / (n - 1.0) / n) : 0.0};
}

static enum sto_status print_json(const struct job *j, struct figures f, struct sto_error *err)
{
    cJSON *o = cJSON_CreateObject();
    cJSON *ids = cJSON_CreateArray();
    for (size_t i = 0; i < j->tokens.n; i++)
        (void)cJSON_AddItemToArray(ids, cJSON_CreateNumber(j->tokens.ids[i]));
    (void)cJSON_AddNumberToObject(o, "tokens_scored", (double)j->n_nll);
    (void)cJSON_AddNumberToObject(o, "mean_nll", f.mean);
    (void)cJSON_AddNumberToObject(o, "standard_error", f.error);
    (void)cJSON_AddNumberToObject(o, "perplexity", exp(f.mean));
    (void)cJSON_AddItemToObject(o, "tokens", ids);
    (void)cJSON_AddItemToObject(o, "nll", cJSON_CreateDoubleArray(j->nll, (int)j->n_nll));
    char *text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    if (text == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for the JSON object");
    (void)puts(text);
    cJSON_free(text);
    return STO_OK;
}

static enum sto_status tokenize_file(struct job *j, struct sto_error *err)
{
    const struct sto_tokenize_params how = {.add_special = true};
    char *text = NULL;
    size_t size = 0;
    enum sto_status status = sto_tokenizer_create(sto_model_get_vocab(j->stack.model), &j->tokenizer, err);
    if (status == STO_OK)
        status = sto_read_input(j->options->own.file, &text, &size, err);
    if (status == STO_OK)
        status = sto_tokenize(j->tokenizer, text, size, how, &j->tokens, err);
    sto_free(text);
    if (status == STO_OK && j->tokens.n < 2)
        status = sto_fail(err, STO_ERR_USAGE, "the text is %zu tokens long, at least 2 are needed", j->tokens.n);
    return status;
}

static enum sto_status run(struct job *j, struct sto_error *err)
{
    enum sto_status status;
    if ((status = sto_stack_open(&j->stack, j->options, NULL, err)) != STO_OK)
        return status;
    if ((status = tokenize_file(j, err)) != STO_OK)
        return status;
    if (j->stack.info.ctx_tokens < 2)
        return sto_fail(err, STO_ERR_USAGE, "a context of 1 token predicts nothing; --ctx 2 or more");
    const size_t group = j->stack.info.ubatch_tokens;
    j->nll = sto_calloc(j->tokens.n, sizeof *j->nll);
    j->logits = sto_calloc(group * (size_t)sto_model_n_vocab(j->stack.model), sizeof *j->logits);
    if (j->nll == NULL || j->logits == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for the logits of %zu tokens; --ubatch makes them fewer",
                        group);
    if ((status = sto_session_create(j->stack.engine, &j->session, err)) != STO_OK)
        return status;
    if ((status = score(j, err)) != STO_OK)
        return status;
    const struct figures f = summarise(j);
    if (j->options->own.json)
        return print_json(j, f, err);
    (void)printf("%zu tokens: %.5f +- %.5f nats per token, perplexity %.4f +- %.4f\n", j->n_nll, f.mean, f.error,
                 exp(f.mean), exp(f.mean) * f.error);
    return STO_OK;
}

int sto_cmd_ppl(int argc, char **argv)
{
    struct sto_options options;
    struct job j = {.options = &options};
    struct sto_error err = {0};
    int code;
    if (!sto_cli_begin(argc, argv, &options, &code))
        return code;
    const enum sto_status status = run(&j, &err);
    sto_session_destroy(j.session);
    sto_tokenizer_destroy(j.tokenizer);
    sto_tokens_free(&j.tokens);
    sto_stack_close(&j.stack);
    sto_free(j.logits);
    sto_free(j.nll);
    return status == STO_OK ? sto_cli_finish() : sto_cli_fail(&err);
}

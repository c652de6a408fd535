/* strato logits: evaluates given tokens and writes the raw logits, for comparing implementations. */
#include <stdio.h>

#include "host/cli/cli.h"
#include "host/cli/stack.h"
#include "host/cli/term.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

struct job {
    const struct sto_options *options;
    struct sto_stack stack;
    struct sto_session *session;
    uint32_t *ids;
    size_t n;
    float *logits; /* [batch, n_vocab] */
    FILE *out;
};

/* Groups of --batch tokens at a time: the largest is what scratch is planned for. */
static void one_batch(const struct sto_options *options, const struct sto_model *model,
                      struct sto_engine_params *params)
{
    (void)model;
    if (options->own.batch_tokens != 0)
        params->ubatch_tokens = options->own.batch_tokens < 65536 ? options->own.batch_tokens : 65536;
}

/* f32 in the machine's order: every machine strato runs on is little-endian. */
static enum sto_status write_rows(const struct job *j, size_t rows, struct sto_error *err)
{
    const size_t n = rows * sto_model_n_vocab(j->stack.model);
    if (fwrite(j->logits, sizeof *j->logits, n, j->out) != n)
        return sto_fail(err, STO_ERR_FAILED, "%s: cannot be written", j->options->own.output);
    return STO_OK;
}

static enum sto_status evaluate(struct job *j, struct sto_error *err)
{
    const bool all = j->options->own.all;
    const size_t group = j->stack.info.ubatch_tokens;
    enum sto_status status = STO_OK;
    j->logits = sto_calloc((all ? group : 1) * (size_t)sto_model_n_vocab(j->stack.model), sizeof *j->logits);
    if (j->logits == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for the logits of %zu tokens; --batch makes them fewer", group);
    if ((status = sto_session_create(j->stack.engine, &j->session, err)) != STO_OK)
        return status;
    for (size_t done = 0; done < j->n && status == STO_OK; done += group) {
        const size_t left = j->n - done;
        const size_t n = left < group ? left : group;
        const enum sto_logits want = all ? STO_LOGITS_ALL : n == left ? STO_LOGITS_LAST : STO_LOGITS_NONE;
        if (sto_cli_interrupted())
            return sto_fail(err, STO_ERR_CANCELLED, "stopped after %zu of %zu tokens", done, j->n);
        status = sto_session_eval(j->session, j->ids + done, n, want, j->logits, err);
        if (status == STO_OK && want != STO_LOGITS_NONE)
            status = write_rows(j, all ? n : 1, err);
    }
    return status;
}

static enum sto_status run(struct job *j, struct sto_error *err)
{
    const struct sto_command_options *own = &j->options->own;
    if (own->tokens == NULL || own->output == NULL)
        return sto_fail(err, STO_ERR_USAGE, "--tokens LIST and -o FILE are needed");
    enum sto_status status = sto_parse_ids("--tokens", own->tokens, &j->ids, &j->n, err);
    if (status == STO_OK && j->n == 0)
        status = sto_fail(err, STO_ERR_USAGE, "--tokens is empty");
    if (status == STO_OK)
        status = sto_stack_open(&j->stack, j->options, one_batch, err);
    if (status != STO_OK)
        return status;
    if (j->n > j->stack.info.ctx_tokens)
        return sto_fail(err, STO_ERR_USAGE, "--tokens has %zu ids, the context has room for %u (--ctx)", j->n,
                        j->stack.info.ctx_tokens);
    j->out = sto_file_create(own->output, err);
    if (j->out == NULL)
        return STO_ERR_FAILED;
    status = evaluate(j, err);
    if (fclose(j->out) != 0 && status == STO_OK)
        status = sto_fail(err, STO_ERR_FAILED, "%s: cannot be written", own->output);
    return status;
}

int sto_cmd_logits(int argc, char **argv)
{
    struct sto_options options;
    struct job j = {.options = &options};
    struct sto_error err = {0};
    int code;
    if (!sto_cli_begin(argc, argv, &options, &code))
        return code;
    const enum sto_status status = run(&j, &err);
    sto_session_destroy(j.session);
    sto_stack_close(&j.stack);
    sto_free(j.logits);
    sto_free(j.ids);
    return status == STO_OK ? sto_cli_finish() : sto_cli_fail(&err);
}

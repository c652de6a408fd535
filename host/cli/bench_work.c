/* Bytes and floating-point operations of a test: for GB/s and TFLOP/s beside tokens/s. */
#include <stdio.h>

#include "host/cli/bench.h"
#include "runtime/formats/formats.h"

void sto_bench_test_name(const struct sto_bench_test *test, char *text, size_t size)
{
    const bool prompt = test->n_prompt > 0;
    const int n = snprintf(text, size, "%s%u", prompt ? "pp" : "tg", (unsigned)(prompt ? test->n_prompt : test->n_gen));
    if (test->n_depth > 0 && n > 0 && (size_t)n < size)
        (void)snprintf(text + n, size - (size_t)n, " @ d%u", (unsigned)test->n_depth);
}

struct sto_bench_sizes sto_bench_sizes_of(const struct sto_model *model, uint64_t kv_bytes_per_token)
{
    const struct sto_hparams *h = &model->h;
    struct sto_bench_sizes s = {
        .kv_bytes_per_token = kv_bytes_per_token,
        .attention_flops = 4 * (uint64_t)h->n_layers * h->n_heads * h->head_dim, /* q . k, and p v: 2 each */
    };
    uint64_t embd_bytes = 0, embd_elements = 0;
    for (uint32_t i = 0; i < model->n_weights; i++) {
        const struct sto_model_weight *w = &model->weights[i];
        const uint64_t elements = (uint64_t)w->rows * w->cols;
        s.total_bytes += w->bytes;
        s.total_elements += elements;
        if (w->role == STO_W_TOKEN_EMBD) { /* a row per token is read: nothing, unless it is the output matrix too */
            embd_bytes = w->bytes;
            embd_elements = elements;
        } else if (w->role == STO_W_OUTPUT) {
            s.output_bytes = w->bytes;
            s.output_elements = elements;
        } else {
            s.layer_bytes += w->bytes;
            s.layer_elements += w->rows > 1 ? elements : 0;
        }
    }
    if (s.output_bytes == 0) {
        s.output_bytes = embd_bytes;
        s.output_elements = embd_elements;
    }
    return s;
}

/* Adds one pass of n tokens behind `before` others, with logits of `rows` of them. */
static void add_pass(const struct sto_bench_sizes *s, struct sto_bench_work *work, uint64_t before, uint64_t n,
                     uint64_t rows)
{
    const uint64_t attended = n * before + n * (n + 1) / 2; /* a token sees those before it and itself */
    work->tokens += n;
    work->read_bytes += s->layer_bytes + (rows > 0 ? s->output_bytes : 0) + s->kv_bytes_per_token * (before + n);
    work->flops += 2.0 * (double)s->layer_elements * (double)n + 2.0 * (double)s->output_elements * (double)rows +
                   (double)s->attention_flops * (double)attended;
}

struct sto_bench_work sto_bench_work_of(const struct sto_bench_sizes *sizes, const struct sto_bench_test *test)
{
    struct sto_bench_work work = {0};
    for (uint32_t done = 0; done < test->n_prompt;) {
        /* Calls of n_batch tokens, each cut into passes of n_ubatch. */
        const uint32_t call = test->n_prompt - done < test->n_batch ? test->n_prompt - done : test->n_batch;
        for (uint32_t at = 0; at < call;) {
            const uint32_t n = call - at < test->n_ubatch ? call - at : test->n_ubatch;
            at += n;
            add_pass(sizes, &work, test->n_depth + done + at - n, n, done + at == test->n_prompt ? 1 : 0);
        }
        done += call;
    }
    for (uint32_t i = 0; i < test->n_gen; i++)
        add_pass(sizes, &work, test->n_depth + i, 1, 1);
    return work;
}

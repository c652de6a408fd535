/* Asking engines. */
#include "tests/engine/answer.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

void sto_test_must(enum sto_status status, const struct sto_error *err)
{
    if (status != STO_OK)
        fail_msg("%s: %s", sto_status_name(status), err->message);
}

/* Tokens after the prompt, which is all that the session has before and afterwards. */
static void draw(const struct sto_question *q, struct sto_session *session, float temperature, uint32_t n,
                 uint32_t *tokens)
{
    const struct sto_generation_params p = {.temperature = temperature, .top_k = 20, .top_p = 1.0f, .seed = 11};
    struct sto_error err = {0};
    uint32_t n_drawn = 0;
    if (n == 0)
        return;
    sto_test_must(sto_session_generate(session, 7, &p, n, tokens, &n_drawn, &err), &err);
    assert_int_equal(n_drawn, n);
    assert_int_equal(sto_session_length(session), q->n_prompt + n);
    sto_session_truncate(session, q->n_prompt);
}

struct sto_answer sto_test_ask(const struct sto_question *q, struct sto_device *device,
                               const struct sto_engine_params *params)
{
    const size_t n_vocab = sto_model_n_vocab(q->model);
    struct sto_answer a = {.whole = calloc(q->n_prompt * n_vocab, sizeof(float)),
                           .single = calloc(q->n_prompt * n_vocab, sizeof(float))};
    const uint64_t before = sto_device_bytes(device), local_before = sto_device_local_bytes(device);
    struct sto_engine *engine = NULL;
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    assert_true(a.whole != NULL && a.single != NULL && q->n_greedy <= STO_MAX_DRAWN && q->n_drawn <= STO_MAX_DRAWN);
    sto_test_must(sto_engine_create(device, q->model, params, NULL, &engine, &err), &err);
    sto_test_must(sto_session_create(engine, &session, &err), &err);
    sto_test_must(sto_session_eval(session, q->prompt, q->n_prompt, STO_LOGITS_ALL, a.whole, &err), &err);
    sto_session_truncate(session, 0);
    for (uint32_t i = 0; i < q->n_prompt; i++)
        sto_test_must(sto_session_eval(session, &q->prompt[i], 1, STO_LOGITS_LAST, a.single + i * n_vocab, &err), &err);
    draw(q, session, 0.0f, q->n_greedy, a.greedy);
    draw(q, session, 0.9f, q->n_drawn, a.drawn);
    sto_engine_get_info(engine, &a.info);
    a.local_bytes = sto_device_local_bytes(device) - local_before;
    sto_session_destroy(session);
    sto_engine_destroy(engine);
    assert_int_equal(sto_device_bytes(device), before);
    assert_int_equal(sto_device_local_bytes(device), local_before);
    return a;
}

void sto_test_forget(struct sto_answer *a)
{
    free(a->whole);
    free(a->single);
}

void sto_test_expect_same(const struct sto_question *q, const struct sto_answer *a, const struct sto_answer *b,
                          const char *what)
{
    const size_t bytes = q->n_prompt * (size_t)sto_model_n_vocab(q->model) * sizeof(float);
    if (memcmp(a->whole, b->whole, bytes) != 0)
        fail_msg("%s: other logits in one batch", what);
    if (memcmp(a->single, b->single, bytes) != 0)
        fail_msg("%s: other logits token by token", what);
    if (memcmp(a->greedy, b->greedy, sizeof a->greedy) != 0 || memcmp(a->drawn, b->drawn, sizeof a->drawn) != 0)
        fail_msg("%s: other tokens drawn", what);
}

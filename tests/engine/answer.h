/* What a model says and draws on an engine, for tests that ask the same of many engines. */
#ifndef STO_TEST_ENGINE_ANSWER_H
#define STO_TEST_ENGINE_ANSWER_H

#include "runtime/strato.h"

enum { STO_MAX_DRAWN = 16 };

struct sto_question {
    const struct sto_model *model;
    const uint32_t *prompt; /* [n_prompt] */
    uint32_t n_prompt;
    uint32_t n_greedy, n_drawn; /* tokens to generate after it, each at most STO_MAX_DRAWN */
};

struct sto_answer {
    float *whole, *single; /* [n_prompt, n_vocab] logits of the prompt in one batch; of its tokens one by one */
    uint32_t greedy[STO_MAX_DRAWN], drawn[STO_MAX_DRAWN];
    struct sto_engine_info info;
    uint64_t local_bytes;  /* device memory that the engine held, its session open */
};

/* Fails the test with the error's message. */
void sto_test_must(enum sto_status status, const struct sto_error *err);

/* Creates an engine, asks, and destroys it: afterwards the device holds what it held before. */
struct sto_answer sto_test_ask(const struct sto_question *q, struct sto_device *device,
                               const struct sto_engine_params *params);
void sto_test_forget(struct sto_answer *a);
/* Bit for bit. */
void sto_test_expect_same(const struct sto_question *q, const struct sto_answer *a, const struct sto_answer *b,
                          const char *what);

#endif

/* A model of the reference data with its expected logits, as tests use it.
 *
 * The data lies where the environment variable STRATO_REFERENCE says (its README describes it). Single-threaded. */
#ifndef STO_TEST_EXPECTED_H
#define STO_TEST_EXPECTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sto_expected {
    size_t n_prompt, n_greedy, n_tokens, n_vocab; /* n_tokens = n_prompt + n_greedy                          */
    uint32_t *tokens; /* [n_tokens]            what the rows were computed from: see below                   */
    uint32_t *greedy; /* [n_greedy]            the best token at each step                                   */
    double *margin;   /* [n_greedy]            best logit minus second best                                  */
    float *logits;    /* [n_tokens, n_vocab]                                                                  */
};

/* A path below STRATO_REFERENCE, e.g. ("formats", "llama-f16", ".gguf"); false when there is no such file. */
bool sto_reference_path(char *path, size_t size, const char *folder, const char *name, const char *suffix);

/* Loads FOLDER/expected/NAME.json and .f32; false when they are absent or not what they should be (message in `why`).
 *
 * tokens are not always prompt + greedy: at a few near-ties of eight quantised models the row after a step was computed
 * from the runner-up, not from the token listed in greedy. tests/vectors/fed_tokens.json lists them. */
bool sto_expected_load(struct sto_expected *out, const char *folder, const char *name, char *why, size_t why_size);
void sto_expected_free(struct sto_expected *expected);

#endif

/* Random weights in any format, written as blocks: random bits with scales that give the deviation asked for.
 * Deterministic, and fast enough to fill gigabytes. */
#ifndef STO_TESTS_RANDOM_WEIGHTS_H
#define STO_TESTS_RANDOM_WEIGHTS_H

#include "runtime/strato.h"

/* xoshiro256++ (Blackman and Vigna 2019). */
struct sto_random {
    uint64_t s[4];
};
struct sto_random sto_random_make(uint64_t seed);
uint64_t sto_random_next(struct sto_random *r);
/* Uniform in [-1, 1). */
float sto_random_unit(struct sto_random *r);

/* A stream of blocks. */
struct sto_weight_stream {
    enum sto_type type;
    struct sto_random random;
    float amplitude;       /* plain types: uniform in [-amplitude, amplitude)                */
    uint16_t plain[4096];  /* F16, BF16: values to choose from                               */
    uint8_t scales[16][4]; /* block types: d and the minimum's scale, as the block holds them */
};

/* Weights with mean 0 and standard deviation `deviation` (MXFP4: within a factor of 1.5). */
void sto_weight_stream_init(struct sto_weight_stream *w, enum sto_type type, float deviation, uint64_t seed);
/* The next n_elems (whole blocks) into dst. */
void sto_weight_stream_fill(struct sto_weight_stream *w, void *dst, uint64_t n_elems);

#endif

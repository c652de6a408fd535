/* The steps of the sampler that keep some tokens and drop the rest, and the draw.
 *
 * Nothing here sorts. Candidates stay in order of their ids, and a filter finds the value at which its sorted list
 * would end by radix selection, in linear time. Probabilities are held as integer weights, exp(logit - max) in units
 * of 2^-40: their sums are exact, so that no order of adding, here or on a GPU, changes a result.
 * A filter always leaves at least one candidate. Between equals the lower id is kept. Nothing allocates but create.
 * Not thread-safe. */
#ifndef STO_SAMPLER_FILTERS_H
#define STO_SAMPLER_FILTERS_H

#include "runtime/strato.h"

enum { STO_SAMPLER_MAX_VOCAB = 1 << 22 }; /* 2^22 weights of at most 2^40 fit in 62 bits */

struct sto_candidates {
    uint32_t *id;     /* [n] ascending                                        */
    float *logit;     /* [n] finite                                           */
    uint64_t *weight; /* [n] of the last sto_candidates_weigh                 */
    uint64_t total;   /* sum of weight, >= 2^40                               */
    float max;        /* largest logit                                        */
    size_t n, capacity;
    float *scratch;   /* [capacity]                                           */
    uint32_t *key;    /* [capacity]                                           */
};

/* Room for n_vocab tokens, 1 to STO_SAMPLER_MAX_VOCAB. False: no memory; destroy is due all the same. */
bool sto_candidates_create(struct sto_candidates *c, uint32_t n_vocab);
void sto_candidates_destroy(struct sto_candidates *c);

/* Weights of softmax(logit * scale), scale > 0. Needs n >= 1. */
void sto_candidates_weigh(struct sto_candidates *c, float scale);

/* The k largest logits. */
void sto_filter_top_k(struct sto_candidates *c, uint32_t k);
/* The fewest tokens, most probable first, whose probabilities reach p. Holtzman et al., "The curious case of neural
 * text degeneration", arXiv:1904.09751. */
void sto_filter_top_p(struct sto_candidates *c, float p);
/* Tokens at least min_p times as probable as the best. Nguyen et al., "Turning up the heat: min-p sampling",
 * arXiv:2407.01082. */
void sto_filter_min_p(struct sto_candidates *c, float min_p);
/* The fewest tokens, those first whose surprise -ln(p) is nearest to the entropy, whose probabilities reach p.
 * Meister et al., "Locally typical sampling", arXiv:2202.00666. */
void sto_filter_typical(struct sto_candidates *c, float p);
/* Where two or more tokens have a probability of at least `threshold`: drops all of these but the least probable.
 * "Exclude top choices", pull request 6335 of oobabooga/text-generation-webui. */
void sto_filter_xtc(struct sto_candidates *c, float threshold);
/* Tokens whose surprise in softmax(logit * scale) is at most max_bits, the best one in any case. The truncation of
 * Mirostat 2.0; Basu et al., arXiv:2007.14966. Needs weights of the same scale; *log_total receives ln of their sum,
 * for sto_surprise_bits. */
void sto_filter_surprise(struct sto_candidates *c, float scale, float max_bits, float *log_total);
/* -log2 of the probability of a token, below the largest logit by max - logit. */
float sto_surprise_bits(float logit, float max, float scale, float log_total);

/* The candidate that 64 random bits choose, as an index: P(i) = weight[i] / total, to within 2^-64. */
size_t sto_candidates_draw(const struct sto_candidates *c, uint64_t random);

#endif

/* From logits to a token.
 *
 * Order, fixed and documented (each step sees what the one before left):
 *   1 logit bias   2 repetition, frequency, presence penalties   3 DRY   4 top-k   5 typical   6 top-p   7 min-p
 *   8 XTC   9 temperature   10 draw
 * mirostat 2 replaces 4 to 8 and sees logits after temperature, so that it steers what is drawn from; temperature 0 is
 * arg-max after 1 to 3. host/sampler_filters.h and host/sampler_history.h give the formulas and their sources.
 * Equal logits are ordered by id, lower first, so results are reproducible. Randomness is counter-based (Philox
 * 4x32-10; Salmon et al., SC 2011): draw i of a seed is a pure function of (seed, i), whatever came before.
 * exp and log are our own polynomials made of single correctly rounded operations, so that the same seed gives the
 * same tokens on every machine. One sampler belongs to one sequence and one thread. */
#ifndef STO_SAMPLER_H
#define STO_SAMPLER_H

#include "runtime/strato.h"

struct sto_logit_bias {
    uint32_t token;
    float bias; /* added to the logit; -INFINITY forbids the token */
};

struct sto_sampler_params {
    uint64_t seed;
    float temperature;    /* >= 0; 0: greedy                                    default 0.8 */
    uint32_t top_k;       /* 0: off                                             default 40  */
    float top_p;          /* (0, 1]; 1: off                                     default 0.95 */
    float min_p;          /* [0, 1); 0: off                                     default 0.05 */
    float typical_p;      /* (0, 1]; 1: off                                     default 1   */
    float repeat_penalty; /* > 0; 1: off                                        default 1   */
    float frequency_penalty, presence_penalty; /* 0: off                        default 0   */
    uint32_t penalty_last_n;  /* tokens that penalties look back on; 0: none; UINT32_MAX: all  default 64 */
    float dry_multiplier;     /* 0: off                                         default 0   */
    float dry_base;           /* >= 1                                           default 1.75 */
    uint32_t dry_allowed_length;                                             /* default 2   */
    uint32_t dry_last_n;      /* UINT32_MAX: all                                default UINT32_MAX */
    const uint32_t *dry_breakers; size_t n_dry_breakers; /* token ids that end a repetition; copied */
    float xtc_probability, xtc_threshold; /* 0: off; threshold in (0, 0.5]      default 0, 0.1 */
    uint32_t mirostat;        /* 0 or 2                                         default 0   */
    float mirostat_tau, mirostat_eta;                                        /* default 5, 0.1 */
    const struct sto_logit_bias *biases; size_t n_biases; /* copied */
};

struct sto_sampler;

void sto_sampler_defaults(struct sto_sampler_params *params);
/* STO_ERR_USAGE names the parameter and the value that is out of range, and what the range is. */
enum sto_status sto_sampler_create(const struct sto_sampler_params *params, uint32_t n_vocab, struct sto_sampler **out,
                                   struct sto_error *err);
void sto_sampler_destroy(struct sto_sampler *sampler);

/* Tells the sampler of a token of the sequence (prompt tokens too), for the penalties. Amortised no allocation. */
enum sto_status sto_sampler_accept(struct sto_sampler *sampler, uint32_t token, struct sto_error *err);
/* Picks the next token from logits [n_vocab] f32, which are not changed. Does not accept it. NaN counts as -infinity;
 * all -infinity or NaN: STO_ERR_FAILED. Allocates nothing. */
enum sto_status sto_sampler_sample(struct sto_sampler *sampler, const float *logits, uint32_t *token,
                                   struct sto_error *err);
/* The probabilities [n_vocab] f32 with which the next sto_sampler_sample would draw from these logits: 0 for what is
 * filtered out. XTC's coin falls as it will in that call. Advances nothing; errors as sample. */
enum sto_status sto_sampler_probs(struct sto_sampler *sampler, const float *logits, float *probs,
                                  struct sto_error *err);
/* True when the steps that these settings need are those that sto_session_generate has (4, 6, 7, 9 and 10; temperature
 * 0); then *params gets what makes it draw the tokens that this sampler would draw next. Other fields stay as they are.
 * The tokens drawn there are to be counted here with sto_sampler_skip. */
bool sto_sampler_on_device(const struct sto_sampler *sampler, struct sto_generation_params *params);
/* Passes over the next n draws. */
void sto_sampler_skip(struct sto_sampler *sampler, uint64_t n);
/* As before the first accept; the draw counter starts again. */
void sto_sampler_reset(struct sto_sampler *sampler);

#endif

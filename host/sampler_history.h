/* What a sampler remembers of its sequence, and the penalties that depend on it.
 *
 * A ring of the last tokens, as long as the longest window in use (none when no penalty is on), and a count per token
 * of the penalty window. An unbounded window lets the ring grow, doubling. Not thread-safe. */
#ifndef STO_SAMPLER_HISTORY_H
#define STO_SAMPLER_HISTORY_H

#include "host/sampler.h"

struct sto_history {
    uint32_t n_vocab;
    uint64_t n_tokens;                  /* accepted since the start                                             */
    uint32_t *ring;                     /* [capacity] token at position p is ring[p % capacity]                 */
    uint32_t *match;                    /* [capacity] scratch of DRY; NULL when it is off                       */
    size_t capacity, max_capacity;      /* the ring never needs more than max_capacity                          */
    uint32_t *count;                    /* [n_vocab] occurrences in the penalty window; NULL when it is off     */
    uint32_t penalty_last_n;
    float repeat_penalty, frequency_penalty, presence_penalty;
    uint32_t *longest;                  /* [n_vocab] scratch of DRY: longest repetition that a token would continue */
    uint32_t *breakers;                 /* [(n_vocab + 31) / 32] bits                                           */
    uint32_t dry_last_n, dry_allowed_length;
    float dry_multiplier, dry_base;
};

/* Parameters must have been checked. False: no memory; destroy is due all the same. */
bool sto_history_create(struct sto_history *h, const struct sto_sampler_params *params, uint32_t n_vocab);
void sto_history_destroy(struct sto_history *h);
void sto_history_reset(struct sto_history *h);
/* token < n_vocab. False: no memory for a growing ring; nothing has changed then. */
bool sto_history_accept(struct sto_history *h, uint32_t token);

/* For each token of the penalty window, in this order, where c is its count:
 *   repetition   logit / r where logit > 0, else logit * r    Keskar et al., "CTRL", arXiv:1909.05858, section 4.1,
 *                in the form that penalises negative logits too
 *   frequency    logit - c * f                                OpenAI API reference, "frequency and presence penalties"
 *   presence     logit - p
 * 1 / r is rounded once and multiplied, because a GPU's division is not correctly rounded. */
void sto_history_penalise(struct sto_history *h, float *logits);

/* "Don't repeat yourself", pull request 5677 of oobabooga/text-generation-webui: where the end of the sequence, of
 * length L, has occurred before and was followed by a token, that token's logit loses
 *   multiplier * base^(L - allowed_length)     for the longest such L >= allowed_length.
 * A breaker ends a repetition, is not part of one, and is never penalised. Time: linear in the window. */
void sto_history_dry(const struct sto_history *h, float *logits);

#endif

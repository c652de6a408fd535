/* The sampling block: how tokens are drawn on the device, and how far a chain of queued steps has come. Read by C and
 * by GLSL. The host writes it before a chain of steps; each step's sampling advances it.
 *
 * The filters and their order are those of host/sampler.h: top-k, top-p, min-p, temperature, draw. */
#ifndef STO_SHARED_SAMPLE_H
#define STO_SHARED_SAMPLE_H

/* Tokens of a block, of which sample_max gives the largest logit. */
#define SAMPLE_BLOCK 256
/* Candidates that are compared with each other in shared memory; more take passes over all logits. */
#define SAMPLE_CANDIDATES 512
/* End tokens that a block has room for. */
#define SAMPLE_MAX_END 32
/* Results that are kept: a step's result is at its number modulo this. */
#define SAMPLE_RING 16

/* Results that are no token. */
#define SAMPLE_NONE 0xffffffffu /* all logits are -infinity or NaN: nothing can follow */
#define SAMPLE_DONE 0xfffffffeu /* an earlier step ended the chain                     */

struct SampleBlock {
    uint32_t seed[2];    /* the generator's key, the less significant word first              */
    uint32_t counter[2]; /* of the next draw                                                  */
    uint32_t step;       /* results written                                                   */
    uint32_t done;       /* not 0: the chain has ended, what follows draws nothing            */
    uint32_t top_k;      /* 0: off; 1: the best token, whatever the rest says                 */
    uint32_t top_p;      /* in units of 2^-32; 0: off                                         */
    float min_p;         /* 0: off                                                            */
    float scale;         /* 1 / temperature, above 0                                          */
    uint32_t n_end;      /* <= SAMPLE_MAX_END                                                 */
    uint32_t reserved;
    uint32_t end[SAMPLE_MAX_END]; /* tokens that end the chain                                */
};

#endif

/* Random weights for the cases of matrix kernels. */
#ifndef STO_VERIFY_WEIGHTS_H
#define STO_VERIFY_WEIGHTS_H

#include "runtime/verify/verify.h"

/* STO_VERIFY_F16: every weight, and what a case makes of the same kind, is representable in f16. */
enum sto_verify_data { STO_VERIFY_FINE, STO_VERIFY_F16 };

/* Fills the block of `type` at p, whose values are then of the order of 1. */
void sto_verify_fill_block(struct sto_verifier *v, enum sto_type type, enum sto_verify_data data, uint8_t *p);

#endif

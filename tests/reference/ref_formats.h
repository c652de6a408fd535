/* Weight formats a second time, in double: what runtime/formats is measured against.
 *
 * Written from the formats' descriptions in another manner than the product's decoders: a block is one long string of
 * bits, numbered from bit 0 of byte 0, and each function says which bits make up element e. Slow, and meant to be
 * read. Shares no code with runtime/formats. Thread-safe: there is no state. */
#ifndef STO_REF_FORMATS_H
#define STO_REF_FORMATS_H

#include "runtime/strato.h"

/* Elements and bytes of a block. */
size_t sto_ref_block_elems(enum sto_type type);
size_t sto_ref_block_bytes(enum sto_type type);

/* Element e of one block. */
double sto_ref_element(enum sto_type type, const uint8_t *block, size_t e);

/* dst[0..n) from n elements of packed src, any alignment; n a multiple of the block's elements. */
void sto_ref_decode(enum sto_type type, const void *src, double *dst, size_t n);

double sto_ref_f16(uint16_t h);

#endif

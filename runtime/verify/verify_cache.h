/* A paged KV cache, step blocks and columns for the cases of rope_kv and attention. */
#ifndef STO_VERIFY_CACHE_H
#define STO_VERIFY_CACHE_H

#include "runtime/verify/verify.h"
#include "shaders/shared/step.h"

enum { STO_VERIFY_MAX_COLUMNS = 64 };

/* Pages in an order that has nothing to do with their positions. Pages that no column reaches have no memory: their
 * addresses in the table are poison. */
struct sto_verify_cache {
    struct sto_kv_layer layer;
    struct sto_verify_range table, pages;
    uint32_t n_sequences;
    uint32_t *slots;     /* [n_sequences, layer.pages]: which slot of `pages` a page has; UINT32_MAX: none */
    uint64_t page_bytes;
    uint32_t v_offset;
};

struct sto_verify_columns {
    uint32_t n;       /* in the step block                                        */
    uint32_t room;    /* columns that the recording is made for, >= n              */
    uint32_t position[STO_VERIFY_MAX_COLUMNS], sequence[STO_VERIFY_MAX_COLUMNS];
};

/* Makes the cache that these columns need: layer.type, n_kv_heads, head_dim and pages are given. Pages that hold one of
 * the `window` tokens up to and including a column's own have memory; 0: all up to its own. written: pages are an
 * output rather than an input. */
void sto_verify_cache_make(struct sto_verifier *v, struct sto_verify_cache *cache,
                           const struct sto_verify_columns *columns, uint32_t window, bool written);
/* Bytes from the beginning of `pages` to the row of one token and head; part 0: K, 1: V. */
uint64_t sto_verify_cache_row(const struct sto_verify_cache *cache, uint32_t sequence, uint32_t position, uint32_t head,
                              int part);
/* A step block with these columns; tokens are arbitrary. */
struct sto_verify_range sto_verify_step(struct sto_verifier *v, const char *name,
                                        const struct sto_verify_columns *columns);

#endif

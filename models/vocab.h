/* The vocabulary in a model file, as views: what host/tokenizer builds its tables from.
 * Lives as long as the file it was read from (views point into its header; the arrays are owned here). */
#ifndef STO_VOCAB_H
#define STO_VOCAB_H

#include "models/gguf.h"

enum sto_vocab_kind { STO_VOCAB_NONE, STO_VOCAB_SPM /* "llama" */, STO_VOCAB_BPE /* "gpt2" */ };

/* Numbers are the file format's own. */
enum sto_token_kind {
    STO_TOKEN_NORMAL = 1,
    STO_TOKEN_UNKNOWN = 2,
    STO_TOKEN_CONTROL = 3,
    STO_TOKEN_USER = 4,
    STO_TOKEN_UNUSED = 5,
    STO_TOKEN_BYTE = 6
};

#define STO_TOKEN_NONE UINT32_MAX /* no such token */

struct sto_vocab {
    enum sto_vocab_kind kind;
    struct sto_view model, pre;    /* tokenizer.ggml.model, .pre ("" when absent)                          */
    uint32_t n_tokens;
    struct sto_view *tokens;       /* [n_tokens] text as in the file (BPE: byte-to-unicode mapped)         */
    float *scores;                 /* [n_tokens], NULL when absent                                         */
    uint8_t *kinds;                /* [n_tokens] enum sto_token_kind; all NORMAL when absent               */
    uint32_t n_merges;
    struct sto_view *merges;       /* [n_merges] "left right", best first; NULL when absent                */
    uint32_t bos, eos, eot, unk, pad; /* ids or STO_TOKEN_NONE                                             */
    bool add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;
    bool has_add_bos, has_add_space_prefix; /* the key was there; else the tokenizer's kind decides         */
    struct sto_view chat_template; /* "" when absent                                                       */
};

/* Checks counts, kinds and ids against each other. A file without a tokenizer gives kind NONE and succeeds. */
enum sto_status sto_vocab_read(const struct sto_gguf *gguf, struct sto_vocab *out, struct sto_error *err);
void sto_vocab_free(struct sto_vocab *vocab);

#endif

/* What the files of the tokenizer share.
 *
 *   text -> special tokens cut out (tokenizer_special.c) -> pieces (tokenizer_pre.c for BPE, words for SPM)
 *        -> merges within a piece (tokenizer_merge.c) -> ids;   ids -> text (tokenizer_detok.c)
 */
#ifndef STO_TOKENIZER_INTERNAL_H
#define STO_TOKENIZER_INTERNAL_H

#include "host/tokenizer.h"
#include "host/tokenizer_pre.h"

enum {
    STO_TOKENIZER_MAX_TOKENS = 1 << 24,
    STO_TOKENIZER_MAX_TOKEN_BYTES = 1 << 16,
    STO_TOKENIZE_MAX_BYTES = 1 << 30 /* of text in one call */
};

/* ---- tables (tokenizer_table.c) ---- */

/* Texts to ids, open addressing. Compares through texts[], which the caller owns. */
struct sto_text_table {
    const struct sto_view *texts; /* [ids] */
    uint32_t *slots;              /* id + 1; 0 is empty */
    uint32_t mask, n;
};
bool sto_text_table_init(struct sto_text_table *table, const struct sto_view *texts, uint32_t expected);
void sto_text_table_free(struct sto_text_table *table);
/* The id with this text, or STO_TOKEN_NONE. */
uint32_t sto_text_table_find(const struct sto_text_table *table, const char *text, size_t size);
/* Enters texts[id] unless an equal text is there; the id that stands for the text. Grows; NONE: no memory. */
uint32_t sto_text_table_add(struct sto_text_table *table, uint32_t id);

/* Two neighbouring symbols and what they become; lower ranks merge first. */
struct sto_merge {
    uint32_t left, right, rank, id;
};
struct sto_merge_table {
    struct sto_merge *slots; /* id STO_TOKEN_NONE: empty */
    uint32_t mask;
};
bool sto_merge_table_init(struct sto_merge_table *table, uint32_t expected);
void sto_merge_table_free(struct sto_merge_table *table);
void sto_merge_table_add(struct sto_merge_table *table, struct sto_merge merge); /* the first of a pair stays */
const struct sto_merge *sto_merge_table_find(const struct sto_merge_table *table, uint32_t left, uint32_t right);

/* ---- special tokens (tokenizer_special.c) ---- */

/* A trie of the texts that are cut out before anything else. Node 0 is the root. */
struct sto_special_node {
    uint32_t child, sibling; /* 0: none */
    uint32_t id;             /* the token that ends here, or STO_TOKEN_NONE */
    uint8_t byte;
    bool control; /* only where the caller asks for special tokens */
    bool frames;  /* parts messages from each other: not in the text of a message */
    bool rstrip;  /* swallows the white space behind it             */
};
struct sto_special {
    struct sto_special_node *nodes;
    uint32_t n, capacity;
    uint8_t first[256]; /* bit 0: some user-defined token begins with this byte; bit 1: any special token */
};
struct sto_special_match {
    size_t begin, end; /* end includes white space that the token swallows */
    uint32_t id;
};

/* ---- the tokenizer ---- */

struct sto_tokenizer {
    enum sto_vocab_kind kind;
    uint32_t n_tokens;
    uint32_t bos, eos, unk;
    bool add_bos, add_eos, add_space_prefix;
    bool cut_words;         /* SPM: no token crosses from a word into the blank behind it */
    uint8_t *kinds;         /* [n_tokens] enum sto_token_kind */
    uint8_t *ends;          /* [n_tokens] 1: ends a turn      */
    char *blob;             /* the bytes of all tokens        */
    struct sto_view *bytes; /* [n_tokens] views of blob       */
    size_t max_bytes;       /* of any token                   */
    size_t max_word;        /* of any token in words          */
    struct sto_text_table words;     /* what ordinary text may become, by bytes */
    struct sto_merge_table merges;   /* BPE  */
    uint32_t *ranks;                 /* SPM: [n_tokens] order of merging, from the scores */
    uint32_t byte_symbols[256];      /* BPE: where merging begins; ids >= n_tokens are symbols without a token */
    uint32_t byte_ids[256];          /* what a byte becomes that nothing else covers; may be STO_TOKEN_NONE */
    struct sto_special special;
    struct sto_pre pre; /* BPE */
};

/* Builds the tables of a byte-level BPE vocabulary: merges, byte_symbols, byte_ids. (tokenizer_bpe.c) */
enum sto_status sto_bpe_build(struct sto_tokenizer *t, const struct sto_vocab *vocab, struct sto_error *err);

/* Fills special and ends from kinds, bytes and the vocabulary's ids; false when memory is short. */
bool sto_special_build(struct sto_tokenizer *t, const struct sto_vocab *vocab);
/* A text in which special tokens are searched for, from the left to the right. */
struct sto_special_search {
    const struct sto_special *special;
    const char *text;
    size_t size;
    bool parse_control;
    const struct sto_segment *segments; /* as in sto_tokenize_params */
    size_t n_segments;
    size_t segment, segment_end;        /* the segment that was looked at last, and where it ends */
};
/* The leftmost special token from pos on, the longest of those that begin there. */
bool sto_special_next(struct sto_special_search *search, size_t pos, struct sto_special_match *match);
uint32_t sto_special_find(const struct sto_special *special, const char *text, size_t size);

/* Writes the bytes that a byte-level BPE text stands for to dst (text.size bytes suffice) and returns how many; text
 * that is not all such characters stands for itself. */
size_t sto_bpe_decode(struct sto_view text, char *dst);

/* ---- merging (tokenizer_merge.c) ---- */

struct sto_symbol {
    uint32_t begin, size; /* bytes of the piece */
    uint32_t id;
    uint32_t prev, next;
    uint32_t rank, merged; /* of the pair with the next symbol; UINT32_MAX and STO_TOKEN_NONE: they do not merge */
};

/* Work memory of one call, and how much was done. Zero-initialised is empty. */
struct sto_merger {
    struct sto_symbol *symbols;
    size_t symbols_capacity;
    uint64_t *heap; /* candidates: rank << 32 | position of the left symbol; smallest first, four children each */
    size_t heap_n, heap_capacity;
    struct sto_piece_cache *cache;
    uint64_t n_lookups, n_merges, n_moves; /* pairs looked up, merges done, symbols or heap entries moved */
};
size_t sto_merger_cache_bytes(void); /* what cache points to, zeroed */
void sto_merger_free(struct sto_merger *merger);
/* Appends the ids of a piece, which is merged by itself. size < 4 GiB. */
enum sto_status sto_merge_piece(const struct sto_tokenizer *t, struct sto_merger *merger, const char *piece,
                                size_t size, struct sto_tokens *out, struct sto_error *err);

/* sto_tokenize with its work memory in the caller's hands, for tests that count work. */
enum sto_status sto_tokenize_with(const struct sto_tokenizer *t, const char *text, size_t size,
                                  struct sto_tokenize_params params, struct sto_merger *merger, struct sto_tokens *out,
                                  struct sto_error *err);

#endif

/* Text to token ids and back.
 *
 * Two kinds: SPM (greedy merges by score, byte fallback) and byte-level BPE (a pre-tokenizer splits the text, merges
 * by rank within each piece). Both run in O(n log n) or better on any text, one word of a megabyte included.
 * A tokenizer is built from a vocabulary, copies what it needs, and is read-only afterwards: any thread. */
#ifndef STO_TOKENIZER_H
#define STO_TOKENIZER_H

#include "models/vocab.h"

struct sto_tokenizer;

/* Errors: STO_ERR_MODEL for a vocabulary that contradicts itself or a pre-tokenizer that is not known (named). */
enum sto_status sto_tokenizer_create(const struct sto_vocab *vocab, struct sto_tokenizer **out, struct sto_error *err);
void sto_tokenizer_destroy(struct sto_tokenizer *tokenizer);

/* A run of text with one origin. */
struct sto_segment {
    size_t size;
    bool from_template; /* else it came from a message, a tool or another variable */
};

struct sto_tokenize_params {
    bool parse_special; /* text such as "<|im_end|>" becomes the control token; user-defined tokens always do   */
    bool add_special;   /* BOS and EOS as the file's metadata demands                                          */
    /* [n_segments] whose sizes add up to the text's. With them, control tokens are recognised exactly where all their
     * bytes come from a template, and parse_special does not count; so are user-defined tokens that part turns or
     * messages ("<|User|>", "<tool_response>"). Other user-defined tokens are recognised everywhere. A border between
     * segments changes nothing else. NULL: the text is all of one kind. */
    const struct sto_segment *segments;
    size_t n_segments;
};

struct sto_tokens { /* owned by the caller: sto_tokens_free; zero-initialised is empty */
    uint32_t *ids;
    size_t n, capacity;
};
void sto_tokens_free(struct sto_tokens *tokens);
enum sto_status sto_tokens_push(struct sto_tokens *tokens, uint32_t id, struct sto_error *err);

/* Appends to out. Any bytes are accepted; invalid UTF-8 goes through byte fallback (BPE: its bytes). */
enum sto_status sto_tokenize(const struct sto_tokenizer *tokenizer, const char *text, size_t size,
                             struct sto_tokenize_params params, struct sto_tokens *out, struct sto_error *err);

uint32_t sto_tokenizer_n_tokens(const struct sto_tokenizer *tokenizer);
uint32_t sto_tokenizer_bos(const struct sto_tokenizer *tokenizer); /* STO_TOKEN_NONE when there is none */
bool sto_tokenizer_adds_bos(const struct sto_tokenizer *tokenizer); /* whether add_special puts it first */
/* True for ids that end a turn: eos, eot, and control tokens known to end turns (<|im_end|>, <|eot_id|>, ...). */
bool sto_tokenizer_is_end(const struct sto_tokenizer *tokenizer, uint32_t id);
/* The id whose text is exactly this (control and user-defined tokens too); STO_TOKEN_NONE when there is none. */
uint32_t sto_tokenizer_find(const struct sto_tokenizer *tokenizer, const char *text);
/* The bytes one token stands for, borrowed. Control tokens give their text; byte tokens their byte; SPM's U+2581 is a
 * space. id < n_tokens. */
struct sto_view sto_tokenizer_bytes(const struct sto_tokenizer *tokenizer, uint32_t id);
bool sto_tokenizer_is_control(const struct sto_tokenizer *tokenizer, uint32_t id);

/* Streaming detokenisation: never emits half a UTF-8 sequence. Zero-initialise, set tokenizer.
 * SPM: the space that add_space_prefix put before the first word is removed again when at_start is set. */
struct sto_detokenizer {
    const struct sto_tokenizer *tokenizer;
    bool special;   /* emit the text of control tokens; else they are silent */
    bool at_start;  /* SPM: drop one leading space                          */
    uint8_t held_size;
    char held[8];   /* an unfinished sequence                               */
};
/* Feeds one id; text that is complete goes to *text (borrowed until the next call; buf holds it), may be empty.
 * Bytes that can never become valid UTF-8 come out as U+FFFD, one for each longest beginning of a sequence. buf must
 * have room for sto_tokenizer_max_bytes; what does not fit in size is lost. An id out of range gives nothing. */
size_t sto_detokenize(struct sto_detokenizer *d, uint32_t id, char *buf, size_t size);
/* What is still held at the end, as U+FFFD; 0 when nothing is. */
size_t sto_detokenize_finish(struct sto_detokenizer *d, char *buf, size_t size);
/* The largest number of bytes that one sto_detokenize call can give. */
size_t sto_tokenizer_max_bytes(const struct sto_tokenizer *tokenizer);

#endif

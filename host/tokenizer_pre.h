/* Pre-tokenizers by the name in tokenizer.ggml.pre: how a text is cut before the merges of byte-level BPE.
 *
 * A pre-tokenizer is a few stages. Each stage cuts every piece of the stage before it into the matches of its pattern
 * and what lies between them. Read-only once made: any thread. */
#ifndef STO_TOKENIZER_PRE_H
#define STO_TOKENIZER_PRE_H

#include "host/tokenizer_pattern.h"
#include "runtime/base/cursor.h"
#include "runtime/base/status.h"

enum { STO_PRE_MAX_STAGES = 6 };

struct sto_pre {
    struct sto_pattern stages[STO_PRE_MAX_STAGES];
    uint32_t n_stages;
    bool whole_words; /* a piece that is a token is that token, whatever the merges say       */
    bool add_bos;     /* where the file does not say whether a text begins with BOS           */
};

/* "" means "default". STO_ERR_MODEL for a name that is not known; the message lists those that are. */
enum sto_status sto_pre_find(struct sto_view name, struct sto_pre *out, struct sto_error *err);

/* The i-th known name and its patterns' text, for tests; false past the end. texts[] ends with NULL. */
bool sto_pre_at(size_t i, const char **name, const char *texts[STO_PRE_MAX_STAGES + 1]);

/* Receives pieces in order; together they are the text. Anything but STO_OK stops. */
typedef enum sto_status sto_pre_piece(void *user, const char *piece, size_t size, struct sto_error *err);
enum sto_status sto_pre_split(const struct sto_pre *pre, const char *text, size_t size, sto_pre_piece *piece,
                              void *user, struct sto_error *err);

#endif

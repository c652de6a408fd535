/* Choosing the context: a pure function of sizes, tested by table. The rule is DESIGN's "Context". */
#ifndef STO_FIT_H
#define STO_FIT_H

#include "runtime/strato.h"

struct sto_fit_input {
    const char *where;            /* "in main memory"; NULL: "on the device"; for the error's text   */
    const char *option;           /* that raises the next, such as "--ram", likewise; NULL: none     */
    uint64_t available_bytes;     /* memory that may be used                                         */
    uint64_t weight_bytes;
    uint64_t kv_bytes_per_token;  /* all layers                                                      */
    uint64_t fixed_bytes;         /* scratch, logits, tables: what does not grow with the context    */
    uint64_t scratch_bytes_per_token; /* attention's partial results grow with the context           */
    uint32_t trained_tokens, wanted_tokens; /* wanted 0: fit                                         */
    uint32_t granule_tokens;      /* contexts are rounded up to this for memory                      */
};

/* "12.5 MiB" or "3.20 GiB" in text [STO_SIZE_CHARS]; returns text. */
enum { STO_SIZE_CHARS = 24 };
const char *sto_size_text(uint64_t bytes, char *text);
/* Device bytes that a context of so many tokens takes, weights included. */
uint64_t sto_fit_bytes(const struct sto_fit_input *in, uint32_t tokens);
/* The smallest context that is chosen without being asked for. */
uint32_t sto_fit_smallest(const struct sto_fit_input *in);
/* STO_ERR_NO_FIT says what is needed, what there is, and which option would make it fit. STO_ERR_USAGE: wanted is more
 * than the model was trained for. */
enum sto_status sto_fit_context(const struct sto_fit_input *in, uint32_t *ctx_tokens, struct sto_error *err);
/* How many sequences of ctx_tokens each are best worked on at once, 1 to wanted: as many as fit beside all of
 * layer_bytes; where that is less than four, layers leave the device, and the KV caches may take half of it. in's
 * kv_bytes_per_token is one sequence's. */
uint32_t sto_fit_sequences(const struct sto_fit_input *in, uint64_t layer_bytes, uint32_t ctx_tokens, uint32_t wanted);
/* The error of a model that does not even fit with one layer's weights, slot_bytes, on the device at a time. */
enum sto_status sto_fit_refuse(const struct sto_fit_input *in, uint64_t slot_bytes, struct sto_error *err);

#endif

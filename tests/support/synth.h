/* Invented models: complete GGUF files of any shape, family, weight format and RoPE scaling, every layer different.
 *
 * The same description gives the same bytes on every machine, so a test can make its models when it runs and compare
 * them with committed expectations. Weights are random but sized like a trained network's, so that logits are of order
 * one and no layer drowns another. Written in one pass: a file larger than memory is no problem. */
#ifndef STO_TEST_SYNTH_H
#define STO_TEST_SYNTH_H

#include "runtime/base/status.h"

enum sto_synth_scaling { STO_SYNTH_PLAIN, STO_SYNTH_LINEAR, STO_SYNTH_YARN, STO_SYNTH_FACTORS };

struct sto_synth {
    const char *arch; /* "llama", "qwen2" (biases on q, k, v), "qwen3" (norms on q and k heads)          */
    uint32_t n_vocab; /* >= 300: special tokens, 256 byte tokens, then single characters and words       */
    uint32_t n_embd, n_layers, n_ff, n_heads, n_kv_heads, head_dim;
    uint32_t n_ctx;
    float rope_base;
    enum sto_synth_scaling scaling; /* LINEAR and YARN: 4 times, from n_ctx / 4; FACTORS: rope_freqs.weight */
    bool tied;                      /* no output.weight                                                     */
    enum sto_type type;             /* of every matrix but those below                                      */
    enum sto_type embd_type;        /* token_embd.weight                                                    */
    enum sto_type rich_type;        /* output.weight, attn_v and ffn_down: mixtures give these more bits    */
    uint64_t seed;
};

/* Writes the file. STO_ERR_USAGE: a matrix's columns are not a multiple of its format's block. */
enum sto_status sto_synth_write(const struct sto_synth *model, const char *path, struct sto_error *err);

/* The small models that tests use: three families, every format, every RoPE scaling, odd and even shapes. NULL past
 * the last one. */
struct sto_synth_case {
    const char *name;
    struct sto_synth model;
};
const struct sto_synth_case *sto_synth_case_at(size_t i);
/* NULL: there is none of this name. */
const struct sto_synth_case *sto_synth_case_find(const char *name);

#endif

/* The table of small invented models. */
#include "tests/support/synth.h"

#include <string.h>

/* Three heads of 32 over 96 channels, one key head: nothing is a power of two. 304 tokens. */
#define SMALL                                                                                                          \
    .n_vocab = 304, .n_embd = 96, .n_layers = 2, .n_ff = 160, .n_heads = 3, .n_kv_heads = 1, .head_dim = 32,           \
    .n_ctx = 256, .rope_base = 10000
/* Formats with blocks of 256 need 256 columns everywhere. */
#define WIDE                                                                                                           \
    .n_vocab = 304, .n_embd = 256, .n_layers = 2, .n_ff = 256, .n_heads = 4, .n_kv_heads = 2, .head_dim = 64,          \
    .n_ctx = 256, .rope_base = 1000000
#define WEIGHTS(most, embd, rich) .type = STO_TYPE_##most, .embd_type = STO_TYPE_##embd, .rich_type = STO_TYPE_##rich

static const struct sto_synth_case cases[] = {
    {"llama-f32", {.arch = "llama", SMALL, WEIGHTS(F32, F32, F32), .seed = 1}},
    {"llama-yarn-f16", {.arch = "llama", SMALL, WEIGHTS(F16, F16, F16), .scaling = STO_SYNTH_YARN, .seed = 2}},
    {"llama-linear-bf16", {.arch = "llama", SMALL, WEIGHTS(BF16, F32, F16), .scaling = STO_SYNTH_LINEAR, .seed = 3}},
    {"llama-factors-q8_0",
     {.arch = "llama", SMALL, WEIGHTS(Q8_0, Q8_0, Q8_0), .scaling = STO_SYNTH_FACTORS, .tied = true, .seed = 4}},
    {"qwen2-q4_0", {.arch = "qwen2", SMALL, WEIGHTS(Q4_0, Q4_0, Q8_0), .tied = true, .seed = 5}},
    {"qwen2-q4_1", {.arch = "qwen2", SMALL, WEIGHTS(Q4_1, F16, Q4_1), .seed = 6}},
    {"qwen2-yarn-q5_0", {.arch = "qwen2", SMALL, WEIGHTS(Q5_0, Q5_0, Q5_0), .scaling = STO_SYNTH_YARN, .seed = 7}},
    {"qwen3-q5_1", {.arch = "qwen3", SMALL, WEIGHTS(Q5_1, Q5_1, Q5_1), .seed = 8}},
    {"qwen3-iq4_nl", {.arch = "qwen3", SMALL, WEIGHTS(IQ4_NL, IQ4_NL, Q5_1), .tied = true, .seed = 9}},
    {"qwen3-mxfp4", {.arch = "qwen3", SMALL, WEIGHTS(MXFP4, Q8_0, MXFP4), .seed = 10}},
    {"qwen3-q2_k", {.arch = "qwen3", WIDE, WEIGHTS(Q2_K, Q2_K, Q2_K), .seed = 11}},
    {"qwen3-q3_k", {.arch = "qwen3", WIDE, WEIGHTS(Q3_K, Q3_K, Q4_K), .tied = true, .seed = 12}},
    {"llama-q4_k_m", {.arch = "llama", WIDE, WEIGHTS(Q4_K, Q4_K, Q6_K), .seed = 13}},
    {"qwen3-yarn-q5_k", {.arch = "qwen3", WIDE, WEIGHTS(Q5_K, Q5_K, Q5_K), .scaling = STO_SYNTH_YARN, .seed = 14}},
    {"qwen2-q6_k", {.arch = "qwen2", WIDE, WEIGHTS(Q6_K, Q6_K, Q6_K), .tied = true, .seed = 15}},
    {"llama-iq4_xs", {.arch = "llama", WIDE, WEIGHTS(IQ4_XS, IQ4_XS, Q5_K), .seed = 16}},
};

const struct sto_synth_case *sto_synth_case_at(size_t i)
{
    return i < sizeof cases / sizeof cases[0] ? &cases[i] : NULL;
}

const struct sto_synth_case *sto_synth_case_find(const char *name)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    return NULL;
}

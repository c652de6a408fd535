/* The families, a line each, and the names of their weights. */
#include "models/arch.h"

#include <stdio.h>
#include <string.h>

#include "shaders/shared/args.h"

#define ROLE(r) ((uint64_t)1 << STO_W_##r)

/* What every pre-norm transformer with a gated feed-forward part has. */
#define BASE_REQUIRED                                                                                                 \
    (ROLE(TOKEN_EMBD) | ROLE(OUTPUT_NORM) | ROLE(ATTN_NORM) | ROLE(Q) | ROLE(K) | ROLE(V) | ROLE(O) |                  \
     ROLE(FFN_NORM) | ROLE(GATE) | ROLE(UP) | ROLE(DOWN))
#define QKV_BIAS (ROLE(Q_BIAS) | ROLE(K_BIAS) | ROLE(V_BIAS))

static const struct sto_arch archs[] = {
    {.name = "llama",
     .models = "Llama 2, Llama 3, Mistral 7B, Yi, DeepSeek-R1-Distill-Llama",
     .rope_kind = ROPE_NORM,
     .act = ACT_SILU,
     .required = BASE_REQUIRED,
     .optional = ROLE(OUTPUT) | ROLE(ROPE_FREQS) | QKV_BIAS | ROLE(O_BIAS)},
    {.name = "qwen2",
     .models = "Qwen2, Qwen2.5, DeepSeek-R1-Distill-Qwen",
     .rope_kind = ROPE_NEOX,
     .act = ACT_SILU,
     .required = BASE_REQUIRED | QKV_BIAS,
     .optional = ROLE(OUTPUT)},
    {.name = "qwen3",
     .models = "Qwen3, DeepSeek-R1-0528-Qwen3-8B",
     .rope_kind = ROPE_NEOX,
     .act = ACT_SILU,
     .required = BASE_REQUIRED | ROLE(Q_NORM) | ROLE(K_NORM),
     .optional = ROLE(OUTPUT) | QKV_BIAS},
};

const struct sto_arch *sto_arch_at(size_t i)
{
    return i < sizeof archs / sizeof archs[0] ? &archs[i] : NULL;
}

const struct sto_arch *sto_arch_find(const char *name)
{
    const struct sto_arch *a;
    for (size_t i = 0; (a = sto_arch_at(i)) != NULL; i++) {
        if (strcmp(a->name, name) == 0)
            return a;
    }
    return NULL;
}

bool sto_arch_supported(const char *name)
{
    return sto_arch_find(name) != NULL;
}

static const char *const role_names[STO_W_COUNT] = {
    [STO_W_TOKEN_EMBD] = "token_embd.weight",
    [STO_W_OUTPUT_NORM] = "output_norm.weight",
    [STO_W_OUTPUT] = "output.weight",
    [STO_W_ROPE_FREQS] = "rope_freqs.weight",
    [STO_W_ATTN_NORM] = "attn_norm.weight",
    [STO_W_Q] = "attn_q.weight",
    [STO_W_K] = "attn_k.weight",
    [STO_W_V] = "attn_v.weight",
    [STO_W_Q_BIAS] = "attn_q.bias",
    [STO_W_K_BIAS] = "attn_k.bias",
    [STO_W_V_BIAS] = "attn_v.bias",
    [STO_W_Q_NORM] = "attn_q_norm.weight",
    [STO_W_K_NORM] = "attn_k_norm.weight",
    [STO_W_O] = "attn_output.weight",
    [STO_W_O_BIAS] = "attn_output.bias",
    [STO_W_FFN_NORM] = "ffn_norm.weight",
    [STO_W_GATE] = "ffn_gate.weight",
    [STO_W_UP] = "ffn_up.weight",
    [STO_W_DOWN] = "ffn_down.weight",
};

void sto_weight_name(enum sto_weight_role role, uint32_t layer, char *name, size_t size)
{
    if (role < STO_W_FIRST_OF_LAYER)
        (void)snprintf(name, size, "%s", role_names[role]);
    else
        (void)snprintf(name, size, "blk.%u.%s", layer, role_names[role]);
}

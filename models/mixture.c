/* Mixtures of weight formats; see the header for where the rules come from. */
#include "models/mixture.h"
#include "runtime/formats/formats.h"

#include <ctype.h>

enum kind { F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q2_K_S, Q3_K_S, Q3_K_M, Q3_K_L, Q4_K_S, Q4_K_M, Q5_K_S,
            Q5_K_M, Q6_K, IQ4_NL, IQ4_XS, MXFP4 };

struct sto_mixture {
    const char *name;
    enum kind kind;
    uint32_t file_type; /* enum llama_ftype */
    enum sto_type base; /* of what no rule changes */
};

static const struct sto_mixture mixtures[] = {
    {"F32", F32, 0, STO_TYPE_F32},          {"F16", F16, 1, STO_TYPE_F16},
    {"BF16", BF16, 32, STO_TYPE_BF16},      {"Q4_0", Q4_0, 2, STO_TYPE_Q4_0},
    {"Q4_1", Q4_1, 3, STO_TYPE_Q4_1},       {"Q5_0", Q5_0, 8, STO_TYPE_Q5_0},
    {"Q5_1", Q5_1, 9, STO_TYPE_Q5_1},       {"Q8_0", Q8_0, 7, STO_TYPE_Q8_0},
    {"Q2_K", Q2_K, 10, STO_TYPE_Q2_K},      {"Q2_K_S", Q2_K_S, 21, STO_TYPE_Q2_K},
    {"Q3_K_S", Q3_K_S, 11, STO_TYPE_Q3_K},  {"Q3_K_M", Q3_K_M, 12, STO_TYPE_Q3_K},
    {"Q3_K_L", Q3_K_L, 13, STO_TYPE_Q3_K},  {"Q4_K_S", Q4_K_S, 14, STO_TYPE_Q4_K},
    {"Q4_K_M", Q4_K_M, 15, STO_TYPE_Q4_K},  {"Q5_K_S", Q5_K_S, 16, STO_TYPE_Q5_K},
    {"Q5_K_M", Q5_K_M, 17, STO_TYPE_Q5_K},  {"Q6_K", Q6_K, 18, STO_TYPE_Q6_K},
    {"IQ4_NL", IQ4_NL, 25, STO_TYPE_IQ4_NL}, {"IQ4_XS", IQ4_XS, 30, STO_TYPE_IQ4_XS},
    {"MXFP4", MXFP4, 38, STO_TYPE_MXFP4},
};

const struct sto_mixture *sto_mixture_at(size_t i)
{
    return i < sizeof mixtures / sizeof *mixtures ? &mixtures[i] : NULL;
}

const struct sto_mixture *sto_mixture_find(const char *name)
{
    for (size_t m = 0; m < sizeof mixtures / sizeof *mixtures; m++) {
        size_t i = 0;
        while (name[i] != '\0' && toupper((unsigned char)name[i]) == mixtures[m].name[i])
            i++;
        if (name[i] == '\0' && mixtures[m].name[i] == '\0')
            return &mixtures[m];
    }
    return NULL;
}

const char *sto_mixture_name(const struct sto_mixture *mixture)
{
    return mixture->name;
}

uint32_t sto_mixture_file_type(const struct sto_mixture *mixture)
{
    return mixture->file_type;
}

/* The first and last eighth of the layers, and every third between. */
static bool more_bits(const struct sto_matrix_place *p)
{
    const uint32_t i = p->layer, n = p->n_layers;
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

static enum sto_type output_type(const struct sto_mixture *m)
{
    switch (m->kind) {
    case F32:
    case F16:
    case BF16: return m->base;
    case Q8_0:
    case MXFP4: return STO_TYPE_Q8_0;
    default: return STO_TYPE_Q6_K;
    }
}

static enum sto_type value_type(const struct sto_mixture *m, const struct sto_matrix_place *p)
{
    const bool shared = p->n_heads / p->n_kv_heads >= 4;
    switch (m->kind) {
    case Q2_K: return shared ? STO_TYPE_Q4_K : STO_TYPE_Q3_K;
    case Q2_K_S: return shared ? STO_TYPE_Q4_K : m->base;
    case Q3_K_M: return p->layer < 2 ? STO_TYPE_Q5_K : STO_TYPE_Q4_K;
    case Q3_K_L: return STO_TYPE_Q5_K;
    case Q4_K_S: return p->layer < 4 ? STO_TYPE_Q5_K : m->base;
    case IQ4_NL:
    case IQ4_XS: return shared ? STO_TYPE_Q5_K : m->base;
    case Q4_K_M:
    case Q5_K_M: return more_bits(p) ? STO_TYPE_Q6_K : m->base;
    default: return m->base;
    }
}

static enum sto_type down_type(const struct sto_mixture *m, const struct sto_matrix_place *p)
{
    const bool first_eighth = p->layer < p->n_layers / 8;
    switch (m->kind) {
    case Q2_K: return STO_TYPE_Q3_K;
    case Q2_K_S: return first_eighth ? STO_TYPE_Q4_K : m->base;
    case Q3_K_M: return p->layer < p->n_layers / 16 ? STO_TYPE_Q5_K : STO_TYPE_Q4_K;
    case Q3_K_L: return STO_TYPE_Q5_K;
    case Q4_K_S:
    case IQ4_NL:
    case IQ4_XS: return first_eighth ? STO_TYPE_Q5_K : m->base;
    case Q4_K_M:
    case Q5_K_M: return more_bits(p) ? STO_TYPE_Q6_K : m->base;
    default: return m->base;
    }
}

static enum sto_type attention_output_type(const struct sto_mixture *m)
{
    switch (m->kind) {
    case Q2_K: return STO_TYPE_Q3_K;
    case Q3_K_M: return STO_TYPE_Q4_K;
    case Q3_K_L: return STO_TYPE_Q5_K;
    default: return m->base;
    }
}

/* Rows that are not whole blocks of 256 get a format with blocks of 32, and rows that are not even that get F16. */
static enum sto_type fitting(enum sto_type type, uint64_t n_cols)
{
    if (n_cols % sto_type_get(type)->block_elems == 0)
        return type;
    if (n_cols % 32 != 0)
        return STO_TYPE_F16;
    switch (type) {
    case STO_TYPE_Q4_K: return STO_TYPE_Q5_0;
    case STO_TYPE_Q5_K: return STO_TYPE_Q5_1;
    case STO_TYPE_Q6_K: return STO_TYPE_Q8_0;
    default: return STO_TYPE_IQ4_NL;
    }
}

enum sto_type sto_mixture_type(const struct sto_mixture *mixture, const struct sto_matrix_place *place)
{
    enum sto_type type = mixture->base;
    switch (place->matrix) {
    case STO_MATRIX_EMBD:
        type = place->tied || mixture->kind == MXFP4 ? output_type(mixture) : mixture->base;
        break;
    case STO_MATRIX_OUTPUT: type = output_type(mixture); break;
    case STO_MATRIX_V: type = value_type(mixture, place); break;
    case STO_MATRIX_O: type = attention_output_type(mixture); break;
    case STO_MATRIX_DOWN: type = down_type(mixture, place); break;
    case STO_MATRIX_Q:
    case STO_MATRIX_K:
    case STO_MATRIX_GATE:
    case STO_MATRIX_UP: break;
    }
    return fitting(type, place->n_cols);
}

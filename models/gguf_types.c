/* Tensor types and file mixtures by number. Numbers: enum ggml_type in ggml.h and enum llama_ftype in llama.h. */
#include "models/gguf_types.h"

#include <stddef.h>
#include <stdint.h>

struct file_type {
    const char *name;   /* NULL: a hole, or a type that was withdrawn */
    enum sto_type type; /* STO_TYPE_COUNT: not supported              */
};

static const struct file_type file_types[] = {
    [0] = {"F32", STO_TYPE_F32},         [1] = {"F16", STO_TYPE_F16},         [2] = {"Q4_0", STO_TYPE_Q4_0},
    [3] = {"Q4_1", STO_TYPE_Q4_1},       [6] = {"Q5_0", STO_TYPE_Q5_0},       [7] = {"Q5_1", STO_TYPE_Q5_1},
    [8] = {"Q8_0", STO_TYPE_Q8_0},       [9] = {"Q8_1", STO_TYPE_COUNT},      [10] = {"Q2_K", STO_TYPE_Q2_K},
    [11] = {"Q3_K", STO_TYPE_Q3_K},      [12] = {"Q4_K", STO_TYPE_Q4_K},      [13] = {"Q5_K", STO_TYPE_Q5_K},
    [14] = {"Q6_K", STO_TYPE_Q6_K},      [15] = {"Q8_K", STO_TYPE_COUNT},     [16] = {"IQ2_XXS", STO_TYPE_COUNT},
    [17] = {"IQ2_XS", STO_TYPE_COUNT},   [18] = {"IQ3_XXS", STO_TYPE_COUNT},  [19] = {"IQ1_S", STO_TYPE_COUNT},
    [20] = {"IQ4_NL", STO_TYPE_IQ4_NL},  [21] = {"IQ3_S", STO_TYPE_COUNT},    [22] = {"IQ2_S", STO_TYPE_COUNT},
    [23] = {"IQ4_XS", STO_TYPE_IQ4_XS},  [24] = {"I8", STO_TYPE_COUNT},       [25] = {"I16", STO_TYPE_COUNT},
    [26] = {"I32", STO_TYPE_COUNT},      [27] = {"I64", STO_TYPE_COUNT},      [28] = {"F64", STO_TYPE_COUNT},
    [29] = {"IQ1_M", STO_TYPE_COUNT},    [30] = {"BF16", STO_TYPE_BF16},      [31] = {"Q4_0_4_4", STO_TYPE_COUNT},
    [32] = {"Q4_0_4_8", STO_TYPE_COUNT}, [33] = {"Q4_0_8_8", STO_TYPE_COUNT}, [34] = {"TQ1_0", STO_TYPE_COUNT},
    [35] = {"TQ2_0", STO_TYPE_COUNT},    [39] = {"MXFP4", STO_TYPE_MXFP4},    [40] = {"NVFP4", STO_TYPE_COUNT},
};

static const char *const mixtures[] = {
    [0] = "F32",      [1] = "F16",      [2] = "Q4_0",    [3] = "Q4_1",    [7] = "Q8_0",    [8] = "Q5_0",
    [9] = "Q5_1",     [10] = "Q2_K",    [11] = "Q3_K_S", [12] = "Q3_K_M", [13] = "Q3_K_L", [14] = "Q4_K_S",
    [15] = "Q4_K_M",  [16] = "Q5_K_S",  [17] = "Q5_K_M", [18] = "Q6_K",   [19] = "IQ2_XXS", [20] = "IQ2_XS",
    [21] = "Q2_K_S",  [22] = "IQ3_XS",  [23] = "IQ3_XXS", [24] = "IQ1_S", [25] = "IQ4_NL", [26] = "IQ3_S",
    [27] = "IQ3_M",   [28] = "IQ2_S",   [29] = "IQ2_M",  [30] = "IQ4_XS", [31] = "IQ1_M",  [32] = "BF16",
    [36] = "TQ1_0",   [37] = "TQ2_0",   [38] = "MXFP4_MOE",
};

enum { N_FILE_TYPES = sizeof file_types / sizeof *file_types, N_MIXTURES = sizeof mixtures / sizeof *mixtures };

enum sto_type sto_gguf_type_of(uint32_t file_type)
{
    return file_type < N_FILE_TYPES && file_types[file_type].name != NULL ? file_types[file_type].type : STO_TYPE_COUNT;
}

uint32_t sto_gguf_file_type_of(enum sto_type type)
{
    for (uint32_t i = 0; i < N_FILE_TYPES; i++) {
        if (file_types[i].name != NULL && file_types[i].type == type && type != STO_TYPE_COUNT)
            return i;
    }
    return UINT32_MAX;
}

const char *sto_gguf_file_type_name(uint32_t file_type)
{
    return file_type < N_FILE_TYPES ? file_types[file_type].name : NULL;
}

const char *sto_gguf_mixture_name(uint32_t general_file_type)
{
    return general_file_type < N_MIXTURES ? mixtures[general_file_type] : NULL;
}

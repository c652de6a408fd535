/* The numbers that GGUF files use for tensor types and for the kind of a whole file, and their names. */
#ifndef STO_GGUF_TYPES_H
#define STO_GGUF_TYPES_H

#include "runtime/strato.h"

/* The type behind a file's number; STO_TYPE_COUNT for one that strato cannot compute with. */
enum sto_type sto_gguf_type_of(uint32_t file_type);
/* The file's number for a type in range; UINT32_MAX otherwise. */
uint32_t sto_gguf_file_type_of(enum sto_type type);
/* "Q4_K", "IQ2_XXS": the field's name for a number, supported or not; NULL for a number nobody uses. Static. */
const char *sto_gguf_file_type_name(uint32_t file_type);

/* "Q4_K_M": the field's name for the value of general.file_type, the mixture of a whole file; NULL: unknown. Static. */
const char *sto_gguf_mixture_name(uint32_t general_file_type);

#endif

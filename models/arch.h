/* The table of families: which architectures strato runs, and how each maps its metadata and names its tensors. */
#ifndef STO_ARCH_H
#define STO_ARCH_H

#include "models/gguf.h"
#include "runtime/model.h"

/* One family. A new one is a line here and, where its metadata differ, a hparams function in a file of its own. */
struct sto_arch {
    const char *name;             /* general.architecture                                            */
    const char *models;           /* what people run of it, for help texts                           */
    uint32_t rope_kind;           /* ROPE_NORM, ROPE_NEOX                                            */
    uint32_t act;                 /* ACT_*                                                           */
    uint64_t required;            /* bit per enum sto_weight_role: each layer (or the model) has it  */
    uint64_t optional;            /* may have it                                                     */
};

/* NULL when there is no such family. */
const struct sto_arch *sto_arch_find(const char *name);
bool sto_arch_supported(const char *name);
/* Family i, NULL past the end. */
const struct sto_arch *sto_arch_at(size_t i);

/* The file's name of a role in a layer, e.g. "blk.3.attn_q.weight". */
void sto_weight_name(enum sto_weight_role role, uint32_t layer, char *name, size_t size);

/* Fills h and freqs (allocated with sto_calloc, [rope_dims / 2]) from the metadata. */
enum sto_status sto_hparams_read(const struct sto_gguf *gguf, const struct sto_arch *arch, struct sto_hparams *h,
                                 float **freqs, struct sto_error *err);

#endif

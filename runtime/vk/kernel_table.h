/* The kernels, as generated from shaders/kernels.txt: an enum and a table. */
#ifndef STO_VK_KERNEL_TABLE_H
#define STO_VK_KERNEL_TABLE_H

#include "runtime/strato.h"

/* generated: #define STO_KERNEL_LIST(X) X(matvec_q4_k, "matvec.comp", Q4_K, sizeof(struct MatArgs), NEEDS, BUILT) ...
 * one X per line of kernels.txt; NEEDS is an OR of enum sto_kernel_needs; BUILT is 0 for what the shader compiler of
 * this build does not know. */
#include "kernel_list.h"

#define STO_KERNEL_ENUM(name, source, weight, args_bytes, needs, built) STO_KERNEL_##name,
enum sto_kernel { STO_KERNEL_LIST(STO_KERNEL_ENUM) STO_KERNEL_COUNT };
/* Length of an array with a row per kernel; 1 more, so that it is never 0. */
enum { STO_KERNEL_ROWS = STO_KERNEL_COUNT + 1 };
#undef STO_KERNEL_ENUM

/* What a kernel needs beyond the base that every device must have (buffer addresses, int64, 8- and 16-bit storage,
 * subgroup arithmetic). */
enum sto_kernel_needs {
    STO_NEEDS_NONE = 0,
    STO_NEEDS_F16 = 1,     /* f16 arithmetic                       "f16"     */
    STO_NEEDS_INT_DOT = 2, /* packed integer dot products          "int_dot" */
    STO_NEEDS_COOPMAT = 4, /* VK_KHR_cooperative_matrix of f16     "coopmat" */
    STO_NEEDS_COOPMAT_I8 = 8,      /* of int8, K up to 32          "coopmat_i8"     */
    STO_NEEDS_COOPMAT_I8_K16 = 16, /* of int8, K up to 16          "coopmat_i8_k16" */
    STO_NEEDS_ANY_COOPMAT = STO_NEEDS_COOPMAT | STO_NEEDS_COOPMAT_I8 | STO_NEEDS_COOPMAT_I8_K16
};

struct sto_kernel_info {
    const char *name;       /* "matvec_q4_k"                                              */
    const char *source;     /* "matvec.comp"                                              */
    enum sto_type weight;   /* STO_TYPE_COUNT: none                                       */
    uint32_t args_bytes;    /* sizeof its argument struct, <= 128                         */
    uint32_t needs;         /* enum sto_kernel_needs                                      */
    const uint32_t *spirv;  /* NULL: left out of this build (the compiler was too old)     */
    const uint32_t *spirv_bytes; /* length of spirv; NULL likewise                         */
};

/* kernel < STO_KERNEL_COUNT. */
const struct sto_kernel_info *sto_kernel_get(enum sto_kernel kernel);
/* STO_KERNEL_COUNT when there is none. */
enum sto_kernel sto_kernel_by_name(const char *name);

#endif

/* Weight formats: sizes, decoders, encoders.
 *
 * All layouts are little-endian and have no padding. d, m are f16; q are packed integers.
 *   F32 F16 BF16    plain
 *   Q4_0   32 in 18   d, 16 bytes of nibbles: element i is the low nibble of byte i, element 16+i the high one; d*(q-8)
 *   Q4_1   32 in 20   d, m, nibbles as Q4_0; d*q + m
 *   Q5_0   32 in 22   d, 4 bytes of fifth bits, nibbles; d*(q-16)
 *   Q5_1   32 in 24   d, m, fifth bits, nibbles; d*q + m
 *   Q8_0   32 in 34   d, 32 signed bytes; d*q
 *   Q2_K, Q3_K, Q4_K, Q5_K, Q6_K   256 in 84, 110, 144, 176, 210   super-blocks with quantised scales
 *   IQ4_NL 32 in 18   d, nibbles that index a table of 16 values
 *   IQ4_XS 256 in 136 d, 6-bit scales, the same table
 *   MXFP4  32 in 17   E8M0 exponent byte, nibbles that are E2M1 floats (OCP Microscaling Formats 1.0)
 * formats.c has each layout beside its decoder. Thread-safe: there is no state. */
#ifndef STO_FORMATS_H
#define STO_FORMATS_H

#include "runtime/strato.h"

struct sto_type_info {
    const char *name;      /* "Q4_K"                                  */
    uint32_t block_elems;  /* elements per block: 1, 32 or 256        */
    uint32_t block_bytes;  /* bytes per block                         */
};

/* type must be in range. */
const struct sto_type_info *sto_type_get(enum sto_type type);
/* Finds a type by name, any case; STO_TYPE_COUNT when there is none. */
enum sto_type sto_type_by_name(const char *name);
/* Bytes of n elements; n must be a multiple of block_elems. */
uint64_t sto_type_bytes(enum sto_type type, uint64_t n);

/* dst[0..n) f32 from n elements of packed src (any alignment); n a multiple of block_elems. */
void sto_decode(enum sto_type type, const void *src, float *dst, size_t n);

/* Packs n floats. Supported: F32, F16, BF16, Q4_0, Q8_0, IQ4_NL; others assert.
 * Rounding: to nearest even for f16 and bf16; Q8_0 and IQ4_NL as shaders/lib/kv.glsl does it, bit for bit. */
void sto_encode(enum sto_type type, const float *src, void *dst, size_t n);

float sto_f16_to_f32(uint16_t h);
uint16_t sto_f32_to_f16(float f); /* nearest even; overflow gives infinity; NaN stays NaN */
float sto_bf16_to_f32(uint16_t h);
uint16_t sto_f32_to_bf16(float f);

#endif

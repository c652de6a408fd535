/* Inside runtime/formats only: one block of each packed format to floats, and the two formats that are also written.
 *
 * src is one block (block_bytes of the type, any alignment), dst block_elems floats. Every product of a scale and an
 * integer below fits the 24 bits of an f32 exactly, so the only rounding is the final add of a format that has a
 * minimum: a decoder in double precision gives the same f32, bit for bit. */
#ifndef STO_FORMATS_CODEC_H
#define STO_FORMATS_CODEC_H

#include "runtime/formats/formats.h"

static inline uint16_t sto_load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline float sto_load_f16(const uint8_t *p)
{
    return sto_f16_to_f32(sto_load_u16(p));
}

static inline void sto_store_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v & 0xff);
    p[1] = (uint8_t)(v >> 8);
}

/* The 16 values that IQ4_NL and IQ4_XS index. */
extern const int8_t sto_iq4_values[16];

void sto_decode_q4_0(const uint8_t *src, float *dst);
void sto_decode_q4_1(const uint8_t *src, float *dst);
void sto_decode_q5_0(const uint8_t *src, float *dst);
void sto_decode_q5_1(const uint8_t *src, float *dst);
void sto_decode_q8_0(const uint8_t *src, float *dst);
void sto_decode_q2_k(const uint8_t *src, float *dst);
void sto_decode_q3_k(const uint8_t *src, float *dst);
void sto_decode_q4_k(const uint8_t *src, float *dst);
void sto_decode_q5_k(const uint8_t *src, float *dst);
void sto_decode_q6_k(const uint8_t *src, float *dst);
void sto_decode_iq4_nl(const uint8_t *src, float *dst);
void sto_decode_iq4_xs(const uint8_t *src, float *dst);
void sto_decode_mxfp4(const uint8_t *src, float *dst);

void sto_encode_q8_0(const float *src, uint8_t *dst);
void sto_encode_q4_0(const float *src, uint8_t *dst);
void sto_encode_iq4_nl(const float *src, uint8_t *dst);

#endif

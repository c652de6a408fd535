/* Decoders of the formats whose nibbles are not linear: an index into a table, or a 4-bit float. */
#include "runtime/formats/codec.h"

#include <string.h>

/* Steps grow away from zero, as weights are spread. A fact of the format. */
const int8_t sto_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static void decode_table32(float d, const uint8_t *nibbles, float *dst)
{
    for (int i = 0; i < 16; i++) {
        dst[i] = d * (float)sto_iq4_values[nibbles[i] & 15];
        dst[16 + i] = d * (float)sto_iq4_values[nibbles[i] >> 4];
    }
}

/* IQ4_NL, 18 bytes:   0 d f16 | 2 nibbles[16] as in Q4_0      d * table[q] */
void sto_decode_iq4_nl(const uint8_t *src, float *dst)
{
    decode_table32(sto_load_f16(src), src + 2, dst);
}

/* IQ4_XS, 136 bytes. 8 sub-blocks of 32 with 6-bit scales.
 *
 *    0  d f16
 *    2  high u16    bits 2s..2s+1: the two high bits of scale s
 *    4  low[4]      byte s / 2: the four low bits, low nibble for even s, high nibble for odd s
 *    8  q[128]      sub-block s in bytes 16 s .. 16 s + 15, nibbles as in Q4_0
 *
 *   value = d * (scale - 32) * table[q] */
void sto_decode_iq4_xs(const uint8_t *src, float *dst)
{
    const float d = sto_load_f16(src);
    const unsigned high = sto_load_u16(src + 2);

    for (int s = 0; s < 8; s++) {
        const int scale = (src[4 + s / 2] >> 4 * (s % 2) & 15) | (int)(high >> 2 * s & 3) << 4;
        decode_table32(d * (float)(scale - 32), src + 8 + 16 * s, dst + 32 * s);
    }
}

/* MXFP4, 17 bytes:    0 exponent u8 | 1 nibbles[16] as in Q4_0
 *
 * A nibble is an E2M1 float: sign, two bits of exponent, one of fraction: 0 .5 1 1.5 2 3 4 6 and their negatives.
 * The block's scale is 2^(exponent - 127). Both halves are kept whole numbers here: doubled values times
 * 2^(exponent - 128). Exponent 255 is NaN in the OCP specification; GGUF writers never emit it, and it counts as
 * 2^128 here, so that shaders need no branch. */
void sto_decode_mxfp4(const uint8_t *src, float *dst)
{
    static const float doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, -0.0f, -1, -2, -3, -4, -6, -8, -12};
    /* Bits of 2^(exponent - 128): a normal float from exponent 2 on, two subnormals below. */
    const uint32_t bits = src[0] >= 2 ? (uint32_t)(src[0] - 1) << 23 : 0x00200000u << src[0];
    float half_scale;

    memcpy(&half_scale, &bits, sizeof half_scale);
    for (int i = 0; i < 16; i++) {
        dst[i] = half_scale * doubled[src[1 + i] & 15];
        dst[16 + i] = half_scale * doubled[src[1 + i] >> 4];
    }
}

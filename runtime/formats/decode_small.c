/* Decoders of the formats with 32 elements in a block and one f16 scale d, some with an f16 minimum m.
 *
 * Nibbles lie in 16 bytes so that both halves of a block come from one load:
 *
 *   byte i   bits 0..3  element i         bits 4..7  element 16 + i
 *
 * and the fifth bits, where there are any, in a 32-bit little-endian word: bit e belongs to element e. */
#include "runtime/formats/codec.h"

/* Q4_0, 18 bytes:   0 d f16 | 2 nibbles[16]            d * (q - 8) */
void sto_decode_q4_0(const uint8_t *src, float *dst)
{
    const float d = sto_load_f16(src);

    for (int i = 0; i < 16; i++) {
        dst[i] = d * (float)((src[2 + i] & 15) - 8);
        dst[16 + i] = d * (float)((src[2 + i] >> 4) - 8);
    }
}

/* Q4_1, 20 bytes:   0 d f16 | 2 m f16 | 4 nibbles[16]  d * q + m */
void sto_decode_q4_1(const uint8_t *src, float *dst)
{
    const float d = sto_load_f16(src), m = sto_load_f16(src + 2);

    for (int i = 0; i < 16; i++) {
        dst[i] = d * (float)(src[4 + i] & 15) + m;
        dst[16 + i] = d * (float)(src[4 + i] >> 4) + m;
    }
}

static uint32_t load_u32(const uint8_t *p)
{
    return (uint32_t)sto_load_u16(p) | (uint32_t)sto_load_u16(p + 2) << 16;
}

/* Five bits of element e: its nibble, and bit e of the word of fifth bits. */
static int five_bits(const uint8_t *nibbles, uint32_t fifth, int e)
{
    const int low = e < 16 ? nibbles[e] & 15 : nibbles[e - 16] >> 4;

    return low | (int)(fifth >> e & 1) << 4;
}

/* Q5_0, 22 bytes:   0 d f16 | 2 fifth bits u32 | 6 nibbles[16]             d * (q - 16) */
void sto_decode_q5_0(const uint8_t *src, float *dst)
{
    const float d = sto_load_f16(src);
    const uint32_t fifth = load_u32(src + 2);

    for (int e = 0; e < 32; e++)
        dst[e] = d * (float)(five_bits(src + 6, fifth, e) - 16);
}

/* Q5_1, 24 bytes:   0 d f16 | 2 m f16 | 4 fifth bits u32 | 8 nibbles[16]   d * q + m */
void sto_decode_q5_1(const uint8_t *src, float *dst)
{
    const float d = sto_load_f16(src), m = sto_load_f16(src + 2);
    const uint32_t fifth = load_u32(src + 4);

    for (int e = 0; e < 32; e++)
        dst[e] = d * (float)five_bits(src + 8, fifth, e) + m;
}

/* Q8_0, 34 bytes:   0 d f16 | 2 q i8[32]               d * q */
void sto_decode_q8_0(const uint8_t *src, float *dst)
{
    const float d = sto_load_f16(src);

    for (int i = 0; i < 32; i++)
        dst[i] = d * (float)(int8_t)src[2 + i];
}

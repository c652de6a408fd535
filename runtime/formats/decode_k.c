/* Decoders of the super-block formats: 256 elements, cut into sub-blocks of 16 or 32 whose scales are themselves
 * small integers, multiplied by f16 values d (and dmin) of the whole block.
 *
 * In all of them an element's position in the packed bytes follows from e = 128 h + 32 j + l (h half, j 0..3 quarter
 * of a half, l 0..31): the byte is chosen by h and l, the bits within it by j. */
#include "runtime/formats/codec.h"

/* Q2_K, 84 bytes. 16 sub-blocks of 16; each has a 4-bit scale and a 4-bit minimum.
 *
 *    0  scales[16]  bits 0..3 scale, bits 4..7 minimum, of sub-block e / 16
 *   16  q[64]       byte 32 h + l holds 2 bits of four elements: bits 2j..2j+1 are element 128 h + 32 j + l
 *   80  d f16 | 82 dmin f16
 *
 *   value = d * scale * q - dmin * minimum */
void sto_decode_q2_k(const uint8_t *src, float *dst)
{
    const uint8_t *scales = src, *q = src + 16;
    const float d = sto_load_f16(src + 80), dmin = sto_load_f16(src + 82);

    for (int e = 0; e < 256; e++) {
        const int h = e / 128, j = e / 32 % 4, l = e % 32;
        const float scale = d * (float)(scales[e / 16] & 15), minimum = dmin * (float)(scales[e / 16] >> 4);
        dst[e] = scale * (float)(q[32 * h + l] >> 2 * j & 3) - minimum;
    }
}

/* Q3_K, 110 bytes. 16 sub-blocks of 16 with signed 6-bit scales; elements have a third bit elsewhere.
 *
 *    0  high[32]    byte l, bit 4h + j: the third bit of element 128 h + 32 j + l
 *   32  q[64]       the two low bits, as in Q2_K
 *   96  scales[12]  of sub-block s: 4 low bits in byte s % 8 (low nibble for s < 8, high nibble above),
 *                   2 high bits in byte 8 + s % 4, bits 2(s/4)..2(s/4)+1; the scale is those six bits - 32
 *  108  d f16
 *
 *   value = d * scale * (q - 4) */
void sto_decode_q3_k(const uint8_t *src, float *dst)
{
    const uint8_t *high = src, *q = src + 32, *scales = src + 96;
    const float d = sto_load_f16(src + 108);

    for (int e = 0; e < 256; e++) {
        const int h = e / 128, j = e / 32 % 4, l = e % 32, s = e / 16;
        const int low4 = scales[s % 8] >> 4 * (s / 8) & 15, high2 = scales[8 + s % 4] >> 2 * (s / 4) & 3;
        const int bits = (q[32 * h + l] >> 2 * j & 3) | (high[l] >> (4 * h + j) & 1) << 2;
        dst[e] = d * (float)((low4 | high2 << 4) - 32) * (float)(bits - 4);
    }
}

/* The 6-bit scales and minima of Q4_K and Q5_K: eight of each in 12 bytes.
 *
 *   byte  s      (s < 4)  bits 0..5 scale s        bits 6..7 the two high bits of scale s + 4
 *   byte  4 + s  (s < 4)  bits 0..5 minimum s      bits 6..7 the two high bits of minimum s + 4
 *   byte  8 + s  (s < 4)  bits 0..3 low bits of scale s + 4, bits 4..7 low bits of minimum s + 4 */
static void scale_and_minimum(const uint8_t packed[12], int s, int *scale, int *minimum)
{
    if (s < 4) {
        *scale = packed[s] & 63;
        *minimum = packed[4 + s] & 63;
    } else {
        *scale = (packed[4 + s] & 15) | packed[s - 4] >> 6 << 4;
        *minimum = packed[4 + s] >> 4 | packed[s] >> 6 << 4;
    }
}

/* Q4_K, 144 bytes. 8 sub-blocks of 32.
 *
 *    0  d f16 | 2 dmin f16
 *    4  scales[12]  as above
 *   16  q[128]      four runs of 32 bytes; run r: low nibbles are sub-block 2r, high nibbles sub-block 2r + 1
 *
 *   value = d * scale * q - dmin * minimum */
void sto_decode_q4_k(const uint8_t *src, float *dst)
{
    const float d = sto_load_f16(src), dmin = sto_load_f16(src + 2);

    for (int s = 0; s < 8; s++) {
        const uint8_t *q = src + 16 + 32 * (s / 2);
        int scale, minimum;
        scale_and_minimum(src + 4, s, &scale, &minimum);
        const float a = d * (float)scale, b = dmin * (float)minimum;
        for (int l = 0; l < 32; l++)
            dst[32 * s + l] = a * (float)(q[l] >> 4 * (s % 2) & 15) - b;
    }
}

/* Q5_K, 176 bytes. Q4_K with a fifth bit.
 *
 *    0  d f16 | 2 dmin f16
 *    4  scales[12]
 *   16  fifth[32]   byte l, bit s: the fifth bit of element 32 s + l
 *   48  q[128]      nibbles as in Q4_K */
void sto_decode_q5_k(const uint8_t *src, float *dst)
{
    const uint8_t *fifth = src + 16;
    const float d = sto_load_f16(src), dmin = sto_load_f16(src + 2);

    for (int s = 0; s < 8; s++) {
        const uint8_t *q = src + 48 + 32 * (s / 2);
        int scale, minimum;
        scale_and_minimum(src + 4, s, &scale, &minimum);
        const float a = d * (float)scale, b = dmin * (float)minimum;
        for (int l = 0; l < 32; l++)
            dst[32 * s + l] = a * (float)((q[l] >> 4 * (s % 2) & 15) | (fifth[l] >> s & 1) << 4) - b;
    }
}

/* Q6_K, 210 bytes. 16 sub-blocks of 16 with signed 8-bit scales.
 *
 *    0  low[128]    byte 64 h + 32 (j % 2) + l: low nibble for j < 2, high nibble for j >= 2
 *  128  high[64]    byte 32 h + l, bits 2j..2j+1
 *  192  scales i8[16]
 *  208  d f16
 *
 *   value = d * scale * (q - 32), of element 128 h + 32 j + l */
void sto_decode_q6_k(const uint8_t *src, float *dst)
{
    const uint8_t *low = src, *high = src + 128, *scales = src + 192;
    const float d = sto_load_f16(src + 208);

    for (int e = 0; e < 256; e++) {
        const int h = e / 128, j = e / 32 % 4, l = e % 32;
        const int low4 = low[64 * h + 32 * (j % 2) + l] >> 4 * (j / 2) & 15, high2 = high[32 * h + l] >> 2 * j & 3;
        dst[e] = d * (float)(int8_t)scales[e / 16] * (float)((low4 | high2 << 4) - 32);
    }
}

/* Bit fields of every weight format; see the header. */
#include "tests/reference/ref_formats.h"

#include <assert.h>
#include <math.h>

/* `count` bits from bit `first` of the block on, the lowest first. */
static unsigned field(const uint8_t *block, size_t first, unsigned count)
{
    unsigned v = 0;

    for (unsigned i = 0; i < count; i++) {
        const size_t bit = first + i;
        v |= (unsigned)(block[bit / 8] >> bit % 8 & 1) << i;
    }
    return v;
}

/* The same as a two's complement number. */
static int signed_field(const uint8_t *block, size_t first, unsigned count)
{
    const int v = (int)field(block, first, count), sign = 1 << (count - 1);

    return v < sign ? v : v - 2 * sign;
}

/* A binary float of 1 sign bit, `eb` exponent bits and `fb` fraction bits, IEEE 754 with infinities and NaN. */
static double ieee(unsigned bits, unsigned eb, unsigned fb)
{
    const double sign = bits >> (eb + fb) ? -1.0 : 1.0;
    const int exponent = (int)(bits >> fb & ((1u << eb) - 1)), top = (1 << eb) - 1, bias = top / 2;
    const double fraction = (double)(bits & ((1u << fb) - 1)) / (double)(1u << fb);

    if (exponent == top)
        return fraction == 0 ? sign * (double)INFINITY : (double)NAN;
    if (exponent == 0)
        return sign * ldexp(fraction, 1 - bias);
    return sign * ldexp(1.0 + fraction, exponent - bias);
}

double sto_ref_f16(uint16_t h)
{
    return ieee(h, 5, 10);
}

/* The f16 at a byte of the block. */
static double f16_at(const uint8_t *block, size_t byte)
{
    return ieee(field(block, 8 * byte, 16), 5, 10);
}

/* A 4-bit field out of 16 bytes from `byte` on: elements 0..15 are the low nibbles, 16..31 the high ones. */
static unsigned nibble32(const uint8_t *block, size_t byte, size_t e)
{
    return field(block, 8 * byte + 8 * (e % 16) + 4 * (e / 16), 4);
}

static double q4_0(const uint8_t *block, size_t e)
{
    return f16_at(block, 0) * ((double)nibble32(block, 2, e) - 8);
}

static double q4_1(const uint8_t *block, size_t e)
{
    return f16_at(block, 0) * nibble32(block, 4, e) + f16_at(block, 2);
}

static double q5_0(const uint8_t *block, size_t e)
{
    const unsigned q = nibble32(block, 6, e) + 16 * field(block, 16 + e, 1);

    return f16_at(block, 0) * ((double)q - 16);
}

static double q5_1(const uint8_t *block, size_t e)
{
    const unsigned q = nibble32(block, 8, e) + 16 * field(block, 32 + e, 1);

    return f16_at(block, 0) * q + f16_at(block, 2);
}

static double q8_0(const uint8_t *block, size_t e)
{
    return f16_at(block, 0) * signed_field(block, 16 + 8 * e, 8);
}

/* Two bits per element: four elements of a half, 32 apart, share a byte. `byte` is where the 64 bytes begin. */
static unsigned pair256(const uint8_t *block, size_t byte, size_t e)
{
    const size_t half = e / 128, quarter = e % 128 / 32, lane = e % 32;

    return field(block, 8 * (byte + 32 * half + lane) + 2 * quarter, 2);
}

static double q2_k(const uint8_t *block, size_t e)
{
    const double scale = field(block, 8 * (e / 16), 4), minimum = field(block, 8 * (e / 16) + 4, 4);

    return f16_at(block, 80) * scale * pair256(block, 16, e) - f16_at(block, 82) * minimum;
}

/* Scales: sixteen 4-bit fields (the low nibbles of 8 bytes, then their high nibbles), after them sixteen 2-bit fields
 * (the lowest pairs of 4 bytes, then the next pairs, ...). */
static double q3_k(const uint8_t *block, size_t e)
{
    const size_t s = e / 16, lane = e % 32;
    const unsigned low = field(block, 8 * (96 + s % 8) + 4 * (s / 8), 4);
    const unsigned high = field(block, 8 * (104 + s % 4) + 2 * (s / 4), 2);
    const unsigned third = field(block, 8 * lane + e / 32, 1);
    const double scale = (double)(low + 16 * high) - 32, q = (double)(pair256(block, 32, e) + 4 * third) - 4;

    return f16_at(block, 108) * (scale * q);
}

/* Six-bit numbers of Q4_K and Q5_K: sub-blocks 0..3 have theirs whole in the low six bits of a byte; of sub-blocks 4..7
 * the top two bits of those same bytes hold the two high bits, and bytes 8..11 the four low ones (scale in the low
 * nibble, minimum in the high one). which: 0 scale, 1 minimum. */
static double six_bits(const uint8_t *block, size_t byte, size_t s, unsigned which)
{
    const size_t whole = 8 * (byte + 4 * which + s % 4);

    if (s < 4)
        return field(block, whole, 6);
    return field(block, 8 * (byte + 8 + s % 4) + 4 * which, 4) + 16 * field(block, whole + 6, 2);
}

/* A nibble out of 128 bytes: 64 elements share 32 bytes, the first 32 as low nibbles. */
static unsigned nibble256(const uint8_t *block, size_t byte, size_t e)
{
    return field(block, 8 * (byte + 32 * (e / 64) + e % 32) + 4 * (e % 64 / 32), 4);
}

static double q4_k(const uint8_t *block, size_t e)
{
    const double scale = six_bits(block, 4, e / 32, 0), minimum = six_bits(block, 4, e / 32, 1);

    return f16_at(block, 0) * scale * nibble256(block, 16, e) - f16_at(block, 2) * minimum;
}

static double q5_k(const uint8_t *block, size_t e)
{
    const double scale = six_bits(block, 4, e / 32, 0), minimum = six_bits(block, 4, e / 32, 1);
    const unsigned q = nibble256(block, 48, e) + 16 * field(block, 8 * (16 + e % 32) + e / 32, 1);

    return f16_at(block, 0) * scale * q - f16_at(block, 2) * minimum;
}

/* The four low bits of Q6_K: 128 elements share 64 bytes, the first 64 as low nibbles. */
static double q6_k(const uint8_t *block, size_t e)
{
    const unsigned low = field(block, 8 * (64 * (e / 128) + e % 64) + 4 * (e % 128 / 64), 4);
    const double q = (double)(low + 16 * pair256(block, 128, e)) - 32;

    return f16_at(block, 208) * (signed_field(block, 8 * (192 + e / 16), 8) * q);
}

static double iq4_value(unsigned index)
{
    static const double values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

    return values[index];
}

static double iq4_nl(const uint8_t *block, size_t e)
{
    return f16_at(block, 0) * iq4_value(nibble32(block, 2, e));
}

static double iq4_xs(const uint8_t *block, size_t e)
{
    const size_t s = e / 32;
    const double scale = (double)(field(block, 32 + 4 * s, 4) + 16 * field(block, 16 + 2 * s, 2)) - 32;

    return f16_at(block, 0) * (scale * iq4_value(nibble32(block, 8 + 16 * s, e % 32)));
}

/* OCP Microscaling Formats 1.0, section 5.3.3: E2M1 has bias 1 and no infinities; E8M0 has bias 127. */
static double mxfp4(const uint8_t *block, size_t e)
{
    const unsigned bits = nibble32(block, 1, e), exponent = bits >> 1 & 3, fraction = bits & 1;
    const double magnitude = exponent == 0 ? fraction * 0.5 : ldexp(1 + fraction * 0.5, (int)exponent - 1);

    return ldexp(bits >> 3 ? -magnitude : magnitude, (int)field(block, 0, 8) - 127);
}

static double f32(const uint8_t *block, size_t e)
{
    (void)e;
    return ieee(field(block, 0, 32), 8, 23);
}

static double f16(const uint8_t *block, size_t e)
{
    (void)e;
    return ieee(field(block, 0, 16), 5, 10);
}

static double bf16(const uint8_t *block, size_t e)
{
    (void)e;
    return ieee(field(block, 0, 16), 8, 7);
}

static const struct {
    size_t elems, bytes;
    double (*element)(const uint8_t *block, size_t e);
} formats[STO_TYPE_COUNT] = {
    [STO_TYPE_F32] = {1, 4, f32},
    [STO_TYPE_F16] = {1, 2, f16},
    [STO_TYPE_BF16] = {1, 2, bf16},
    [STO_TYPE_Q4_0] = {32, 2 + 16, q4_0},
    [STO_TYPE_Q4_1] = {32, 2 + 2 + 16, q4_1},
    [STO_TYPE_Q5_0] = {32, 2 + 4 + 16, q5_0},
    [STO_TYPE_Q5_1] = {32, 2 + 2 + 4 + 16, q5_1},
    [STO_TYPE_Q8_0] = {32, 2 + 32, q8_0},
    [STO_TYPE_Q2_K] = {256, 16 + 64 + 2 + 2, q2_k},
    [STO_TYPE_Q3_K] = {256, 32 + 64 + 12 + 2, q3_k},
    [STO_TYPE_Q4_K] = {256, 2 + 2 + 12 + 128, q4_k},
    [STO_TYPE_Q5_K] = {256, 2 + 2 + 12 + 32 + 128, q5_k},
    [STO_TYPE_Q6_K] = {256, 128 + 64 + 16 + 2, q6_k},
    [STO_TYPE_IQ4_NL] = {32, 2 + 16, iq4_nl},
    [STO_TYPE_IQ4_XS] = {256, 2 + 2 + 4 + 128, iq4_xs},
    [STO_TYPE_MXFP4] = {32, 1 + 16, mxfp4},
};

size_t sto_ref_block_elems(enum sto_type type)
{
    assert((unsigned)type < STO_TYPE_COUNT);
    return formats[type].elems;
}

size_t sto_ref_block_bytes(enum sto_type type)
{
    assert((unsigned)type < STO_TYPE_COUNT);
    return formats[type].bytes;
}

double sto_ref_element(enum sto_type type, const uint8_t *block, size_t e)
{
    assert(e < sto_ref_block_elems(type));
    return formats[type].element(block, e);
}

void sto_ref_decode(enum sto_type type, const void *src, double *dst, size_t n)
{
    const uint8_t *bytes = src;
    const size_t elems = sto_ref_block_elems(type);

    assert(n % elems == 0);
    for (size_t i = 0; i < n; i++)
        dst[i] = sto_ref_element(type, bytes + i / elems * formats[type].bytes, i % elems);
}

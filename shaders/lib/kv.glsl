// kv.glsl: the KV cache's formats, one section per format: bytes of a block, reading 4 or 8 elements, writing a block.
//
// A row is head_dim elements of one token and one head; quantised formats pack it as blocks of 32. The format is a
// define WEIGHT_*. head_dim is a multiple of 8, and of 32 for the quantised formats.
//   kv_row_bytes(head_dim)
//   kv_read4(base, row, e)   elements e..e+3 of the row that begins `row` bytes after base; e a multiple of 4
//   kv_read8(base, row, e)   elements e..e+7; e a multiple of 8
//   kv_write(base, row, first, n)   n elements from a multiple of 32 on, at most 32, by one invocation; the source
//                                   defines KV_WRITE and kv_element(i): element i of the row
// The 4-bit format is IQ4_NL: as many bytes as Q4_0, a tenth less error, since its 16 values lie closer near zero.
// Bytes are those of sto_encode (runtime/formats/encode.c): the same steps from adds, multiplies and integers, kept
// apart by `precise`.
#ifndef LIB_KV_GLSL
#define LIB_KV_GLSL

#include "lib/global.glsl"
#include "shared/step.h"

#if defined(WEIGHT_F32)
const uint KV_BLOCK_BYTES = 4, KV_BLOCK = 1;
#elif defined(WEIGHT_F16)
const uint KV_BLOCK_BYTES = 2, KV_BLOCK = 1;
#elif defined(WEIGHT_Q8_0)
const uint KV_BLOCK_BYTES = 34, KV_BLOCK = 32;
#elif defined(WEIGHT_IQ4_NL)
const uint KV_BLOCK_BYTES = 18, KV_BLOCK = 32;
#else
#error "KV format: F32, F16, Q8_0 or IQ4_NL"
#endif

uint kv_row_bytes(uint head_dim)
{
    return head_dim / KV_BLOCK * KV_BLOCK_BYTES;
}

// Where a token's row of one head is: the page's address, and the row's offset in its K part (V: v_offset further).
uint64_t kv_page(uint64_t table, uint pages_per_sequence, uint sequence, uint position)
{
    return read_u64(table, sequence * pages_per_sequence + position / uint(KV_PAGE));
}
uint kv_row(uint head, uint position, uint head_dim)
{
    return (head * uint(KV_PAGE) + position % uint(KV_PAGE)) * kv_row_bytes(head_dim);
}

struct KvEight {
    vec4 low, high;
};

#if defined(WEIGHT_F32)

vec4 kv_read4(uint64_t base, uint row, uint e)
{
    return ReadVec4(base + uint64_t(row + e * 4u)).v;
}
KvEight kv_read8(uint64_t base, uint row, uint e)
{
    return KvEight(kv_read4(base, row, e), kv_read4(base, row, e + 4u));
}

#elif defined(WEIGHT_F16)

vec4 kv_read4(uint64_t base, uint row, uint e)
{
    const uvec2 q = ReadUvec2(base + uint64_t(row + e * 2u)).v;
    return vec4(unpackHalf2x16(q.x), unpackHalf2x16(q.y));
}
KvEight kv_read8(uint64_t base, uint row, uint e)
{
    const uvec4 q = ReadUvec4(base + uint64_t(row + e * 2u)).v;
    return KvEight(vec4(unpackHalf2x16(q.x), unpackHalf2x16(q.y)), vec4(unpackHalf2x16(q.z), unpackHalf2x16(q.w)));
}

#elif defined(WEIGHT_Q8_0)

// Four signed bytes of two halves that lie on a 2-byte boundary.
vec4 kv_signed4(uint64_t base, uint offset)
{
    const int q = int(read_u16(base, offset) | read_u16(base, offset + 2u) << 16);
    return vec4(bitfieldExtract(q, 0, 8), bitfieldExtract(q, 8, 8), bitfieldExtract(q, 16, 8), q >> 24);
}
vec4 kv_read4(uint64_t base, uint row, uint e)
{
    const uint block = row + e / 32u * KV_BLOCK_BYTES;
    return unpackHalf2x16(read_u16(base, block)).x * kv_signed4(base, block + 2u + e % 32u);
}
KvEight kv_read8(uint64_t base, uint row, uint e)
{
    const uint block = row + e / 32u * KV_BLOCK_BYTES, quants = block + 2u + e % 32u;
    const float d = unpackHalf2x16(read_u16(base, block)).x;
    return KvEight(d * kv_signed4(base, quants), d * kv_signed4(base, quants + 4u));
}

#elif defined(WEIGHT_IQ4_NL)

#include "lib/iq4_table.glsl"

float kv_value(uint nibble)
{
    return float(bitfieldExtract(int(IQ4_TABLE[nibble >> 2]), int(nibble & 3u) * 8, 8));
}
// Four nibbles, low or high ones, of four bytes on a 2-byte boundary, as values of the table.
vec4 kv_nibbles4(uint64_t base, uint offset, uint shift)
{
    const uint q = (read_u16(base, offset) | read_u16(base, offset + 2u) << 16) >> shift;
    return vec4(kv_value(q & 15u), kv_value(q >> 8 & 15u), kv_value(q >> 16 & 15u), kv_value(q >> 24 & 15u));
}
vec4 kv_read4(uint64_t base, uint row, uint e)
{
    const uint block = row + e / 32u * KV_BLOCK_BYTES;
    return unpackHalf2x16(read_u16(base, block)).x * kv_nibbles4(base, block + 2u + e % 16u, e % 32u / 16u * 4u);
}
KvEight kv_read8(uint64_t base, uint row, uint e)
{
    const uint block = row + e / 32u * KV_BLOCK_BYTES, quants = block + 2u + e % 16u, shift = e % 32u / 16u * 4u;
    const float d = unpackHalf2x16(read_u16(base, block)).x;
    return KvEight(d * kv_nibbles4(base, quants, shift), d * kv_nibbles4(base, quants + 4u, shift));
}

#endif

#if defined(KV_WRITE)

float kv_element(uint i); // the source that writes defines it

#if !defined(WEIGHT_F32)
uint kv_shift_round_even(uint v, uint shift)
{
    const uint kept = v >> shift, rest = v & ((1u << shift) - 1u), half_way = 1u << (shift - 1u);
    return kept + (rest > half_way || (rest == half_way && (kept & 1u) != 0u) ? 1u : 0u);
}
// f32 to f16, to nearest even: packHalf2x16 may round in another way. As sto_f32_to_f16.
uint kv_f16_bits(float x)
{
    const uint bits = floatBitsToUint(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return sign | 0x7e00u | (magnitude >> 13 & 0x1ffu);
    if (magnitude >= 0x477ff000u)
        return sign | 0x7c00u;
    if (magnitude >= 0x38800000u)
        return sign | kv_shift_round_even(magnitude - (112u << 23), 13u);
    if (magnitude <= 0x33000000u)
        return sign;
    return sign | kv_shift_round_even((magnitude & 0x7fffffu) | 0x800000u, 126u - (magnitude >> 23));
}
#endif

#if defined(WEIGHT_F32)

void kv_write(uint64_t base, uint row, uint first, uint n)
{
    for (uint i = first; i < first + n; i++)
        store_u32(base, row + i * 4u, floatBitsToUint(kv_element(i)));
}

#elif defined(WEIGHT_F16)

void kv_write(uint64_t base, uint row, uint first, uint n)
{
    for (uint i = first; i < first + n; i += 2u)
        store_u32(base, row + i * 2u, kv_f16_bits(kv_element(i)) | kv_f16_bits(kv_element(i + 1u)) << 16);
}

#else

// 1 / x by Newton's iteration from an integer guess: division is not correctly rounded everywhere.
float kv_reciprocal(float x)
{
    precise const float a = abs(x);
    precise float r = uintBitsToFloat(0x7ef311c7u - floatBitsToUint(a));
    for (int i = 0; i < 4; i++) {
        precise const float product = a * r;
        precise const float rest = 2.0 - product;
        r = r * rest;
    }
    return x < 0.0 ? -r : r;
}
int kv_clamp(float v, int low, int high)
{
    return v > float(low) ? v < float(high) ? int(v) : high : low;
}

#if defined(WEIGHT_Q8_0)

void kv_write(uint64_t base, uint row, uint first, uint n)
{
    const uint at = row + first / 32u * KV_BLOCK_BYTES;
    float amax = 0.0;
    for (uint i = 0; i < 32; i++)
        amax = abs(kv_element(first + i)) > amax ? abs(kv_element(first + i)) : amax;
    precise const float scale = amax * (1.0 / 127.0);
    const float d = scale < 65504.0 ? scale : 65504.0;
    const uint stored = kv_f16_bits(d);
    const float id = stored != 0u ? kv_reciprocal(d) : 0.0;
    store_u16(base, at, stored);
    for (uint i = 0; i < 32; i += 2) {
        precise const float x0 = kv_element(first + i) * id;
        precise const float x1 = kv_element(first + i + 1u) * id;
        const uint q0 = uint(kv_clamp(roundEven(x0), -127, 127)) & 255u;
        const uint q1 = uint(kv_clamp(roundEven(x1), -127, 127)) & 255u;
        store_u16(base, at + 2u + i, q0 | q1 << 8);
    }
}

#else

// The nearest entry of the table: how many of the middles between neighbours v has reached.
uint kv_nibble(float v)
{
    const float middles[15] = float[15](-115.5, -93.5, -74.0, -57.0, -42.0, -28.5, -16.0, -4.5, 7.0, 19.0, 31.5, 45.5,
                                        61.0, 79.0, 101.0);
    uint n = 0;
    for (uint i = 0; i < 15; i++)
        n += v >= middles[i] ? 1u : 0u;
    return n;
}
float kv_saturate_f16(float d)
{
    return d > 65504.0 ? 65504.0 : d < -65504.0 ? -65504.0 : d;
}
void kv_write(uint64_t base, uint row, uint first, uint n)
{
    const uint at = row + first / 32u * KV_BLOCK_BYTES;
    float extreme = 0.0;
    for (uint i = 0; i < 32; i++)
        extreme = abs(kv_element(first + i)) > abs(extreme) ? kv_element(first + i) : extreme;
    precise const float scale = extreme * (-1.0 / 127.0);
    const float start = kv_saturate_f16(scale);
    const bool zero = (kv_f16_bits(start) & 0x7fffu) == 0u;
    const float id = zero ? 0.0 : kv_reciprocal(start);
    uint words[4] = uint[4](0u, 0u, 0u, 0u);
    precise float num = 0.0;
    float den = 0.0;
    for (uint i = 0; i < 32; i++) {
        const float x = kv_element(first + i);
        precise const float v = x * id;
        const uint nibble = kv_nibble(v);
        precise const float product = x * kv_value(nibble);
        num = num + product;
        den += kv_value(nibble) * kv_value(nibble);
        words[i % 16u / 4u] |= nibble << (i % 4u * 8u + i / 16u * 4u);
    }
    precise const float inverse = kv_reciprocal(den * (1.0 / 1024.0));
    precise const float quotient = num * inverse;
    precise const float best = quotient * (1.0 / 1024.0);
    store_u16(base, at, zero ? 0u : kv_f16_bits(kv_saturate_f16(best)));
    for (uint i = 0; i < 4; i++) {
        store_u16(base, at + 2u + i * 4u, words[i] & 0xffffu);
        store_u16(base, at + 4u + i * 4u, words[i] >> 16);
    }
}

#endif
#endif
#endif
#endif

// block.glsl: a block of 32 elements of a weight row in registers, and what a kernel may ask of it.
//
// A weight format is one function, in a file of its own (format_q4_0.glsl, ...):
//
//   void block_part(uint64_t base, uint at, uint s, out Block k)
//     base   address of the matrix, 16-byte aligned
//     at     byte offset of a packed block in it
//     s      which 32 elements of the packed block: 32 s .. 32 s + 31; 0 where it has no more
//
// (a plain format's function is plain_load) and these defines. Nothing else in a kernel depends on the format.
//
//   void block_load(uint64_t base, uint row, uint b, uint n_in, out Block k)      what kernels call
//     row    byte offset of the row in the matrix: row index * row_bytes(n_in)
//     b      which 32 elements of the row: 32 b .. 32 b + 31; those from n_in on are zero
// A kernel that takes a packed block as a whole calls block_part with every s, so that what they share is read once.
//
//   BLOCK_BYTES, BLOCK_ELEMS   of the packed format
//   BLOCK_PLAIN                1: an element is a float, not an integer times a scale
//   BLOCK_SCALES               1: k.d.x and k.m.x hold for all 32; 2: .x for elements 0..15, .y for 16..31
//   BLOCK_MIN                  1: k.m is not zero
//   BLOCK_BITS                 bits of an element before BLOCK_OFFSET (none: 0) is taken off; none: no such form
//   BLOCK_UNROLL               put before loops over i, the four elements of block_raw and block_values
//
// Element 4 i + j of a packed block is d * int8(byte j of q[i]) + m. Integer-dot kernels take q as it is. A kernel that
// defines BLOCK_UNSIGNED gets q before the offset is taken off: d * (byte j of q[i] - BLOCK_OFFSET) + m.
#ifndef LIB_BLOCK_GLSL
#define LIB_BLOCK_GLSL

#include "lib/load.glsl"

#if BLOCK_PLAIN

// Nothing is loaded before it is asked for: 32 floats of several rows would not fit in registers.
#define BLOCK_UNROLL

struct Block {
    uint64_t base;
    uint row;   // byte offset
    uint first; // element
    uint n_in;
};

void block_load(uint64_t base, uint row, uint b, uint n_in, out Block k)
{
    k = Block(base, row, 32u * b, n_in);
}
// The format's own: elements e..e+3 of a row, e a multiple of 4.
vec4 plain_load(uint64_t base, uint row, uint e);

vec4 block_raw(Block k, uint i)
{
    const uint e = k.first + 4u * i;
    return e < k.n_in ? plain_load(k.base, k.row, e) : vec4(0.0);
}
float block_d(Block k, uint half_)
{
    return 1.0;
}
float block_m(Block k, uint half_)
{
    return 0.0;
}
vec4 block_values(Block k, uint i)
{
    return block_raw(k, i);
}

#else

#define BLOCK_UNROLL [[unroll]]

struct Block {
    uint q[8];
    vec2 d;
    vec2 m;
};

// Elements 4 i .. 4 i + 3 before scale and minimum.
vec4 block_raw(Block k, uint i)
{
    const int w = int(k.q[i]);
    return vec4(bitfieldExtract(w, 0, 8), bitfieldExtract(w, 8, 8), bitfieldExtract(w, 16, 8), w >> 24);
}
float block_d(Block k, uint half_)
{
    return BLOCK_SCALES == 2 && half_ == 1u ? k.d.y : k.d.x;
}
float block_m(Block k, uint half_)
{
    return BLOCK_SCALES == 2 && half_ == 1u ? k.m.y : k.m.x;
}
// Elements 4 i .. 4 i + 3.
vec4 block_values(Block k, uint i)
{
    const vec4 scaled = block_raw(k, i) * block_d(k, i / 4u);
#if BLOCK_MIN
    return scaled + block_m(k, i / 4u);
#else
    return scaled;
#endif
}

// Each byte of v, 0..127, less the same byte of s, 0..127; as int8.
uint bytes_minus(uint v, uint s)
{
    return ((v | 0x80808080u) - s) ^ 0x80808080u;
}

// Elements of BLOCK_BITS bits, less their offset.
uint less_offset(uint q)
{
#if BLOCK_UNSIGNED || !BLOCK_OFFSET
    return q;
#else
    return bytes_minus(q, BLOCK_OFFSET * 0x01010101u);
#endif
}

// Nibble words to elements: byte i of n holds element i in its low half and element 16 + i in its high half.
void unpack_nibbles(uint n[4], out uint q[8])
{
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        q[i] = n[i] & 0x0f0f0f0fu;
        q[4u + i] = n[i] >> 4u & 0x0f0f0f0fu;
    }
}

// Bits 4 i .. 4 i + 3 of `bits`, one to a byte (0 or 1).
uint spread_bits(uint bits, uint i)
{
    return (bits >> 4u * i & 15u) * 0x00204081u & 0x01010101u;
}

// Four bytes, each an index 0..15 into a table of 16 int8.
uint look_up(uint indices, uvec4 table)
{
    uint bytes = 0u;
    [[unroll]] for (uint j = 0u; j < 4u; j++) {
        const uint n = indices >> 8u * j & 15u;
        const uint low = (n & 4u) != 0u ? table.y : table.x, high = (n & 4u) != 0u ? table.w : table.z;
        const uint word = (n & 8u) != 0u ? high : low;
        bytes |= (word >> 8u * (n & 3u) & 255u) << 8u * j;
    }
    return bytes;
}

#endif

// Blocks of 32 elements in a packed block.
const uint BLOCK_PARTS = BLOCK_ELEMS > 32u ? BLOCK_ELEMS / 32u : 1u;

#if !BLOCK_PLAIN
void block_part(uint64_t base, uint at, uint s, out Block k);

void block_load(uint64_t base, uint row, uint b, uint n_in, out Block k)
{
    block_part(base, row + b / BLOCK_PARTS * BLOCK_BYTES, b % BLOCK_PARTS, k);
}
#endif

// Bytes of a row of n_in elements.
uint row_bytes(uint n_in)
{
    return n_in / BLOCK_ELEMS * BLOCK_BYTES;
}

#endif

/* Numbers out of bytes, for telling things apart and for seeds; nothing here withstands an adversary. */
#ifndef STO_HASH_H
#define STO_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): `hash` is STO_HASH_BASIS, or what came out for the
 * bytes before these. */
#define STO_HASH_BASIS UINT64_C(0xcbf29ce484222325)
static inline uint64_t sto_hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Bits that differ in one place differ in half of all places afterwards: the finaliser of SplitMix64 (Steele, Lea and
 * Flood, OOPSLA 2014), which is this of a counter that goes on by STO_HASH_STEP. */
#define STO_HASH_STEP UINT64_C(0x9e3779b97f4a7c15)
static inline uint64_t sto_hash_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

#endif

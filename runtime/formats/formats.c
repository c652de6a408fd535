/* The table of weight formats, and decoding and encoding by type.
 *
 * One line per type: its name, its block, and the function that expands one block. The layouts stand beside their
 * decoders: plain types here, decode_small.c (blocks of 32), decode_k.c (256, quantised scales), decode_iq.c (tables
 * and exponents), encode.c (what KV caches store). */
#include "runtime/formats/codec.h"

#include <assert.h>
#include <string.h>

struct format {
    struct sto_type_info info;
    void (*decode_block)(const uint8_t *src, float *dst);
};

static void decode_f32(const uint8_t *src, float *dst)
{
    const uint32_t bits = (uint32_t)src[0] | (uint32_t)src[1] << 8 | (uint32_t)src[2] << 16 | (uint32_t)src[3] << 24;
    memcpy(dst, &bits, sizeof bits);
}

static void decode_f16(const uint8_t *src, float *dst)
{
    *dst = sto_load_f16(src);
}

static void decode_bf16(const uint8_t *src, float *dst)
{
    *dst = sto_bf16_to_f32(sto_load_u16(src));
}

static const struct format formats[STO_TYPE_COUNT] = {
    [STO_TYPE_F32] = {{"F32", 1, 4}, decode_f32},
    [STO_TYPE_F16] = {{"F16", 1, 2}, decode_f16},
    [STO_TYPE_BF16] = {{"BF16", 1, 2}, decode_bf16},
    [STO_TYPE_Q4_0] = {{"Q4_0", 32, 18}, sto_decode_q4_0},
    [STO_TYPE_Q4_1] = {{"Q4_1", 32, 20}, sto_decode_q4_1},
    [STO_TYPE_Q5_0] = {{"Q5_0", 32, 22}, sto_decode_q5_0},
    [STO_TYPE_Q5_1] = {{"Q5_1", 32, 24}, sto_decode_q5_1},
    [STO_TYPE_Q8_0] = {{"Q8_0", 32, 34}, sto_decode_q8_0},
    [STO_TYPE_Q2_K] = {{"Q2_K", 256, 84}, sto_decode_q2_k},
    [STO_TYPE_Q3_K] = {{"Q3_K", 256, 110}, sto_decode_q3_k},
    [STO_TYPE_Q4_K] = {{"Q4_K", 256, 144}, sto_decode_q4_k},
    [STO_TYPE_Q5_K] = {{"Q5_K", 256, 176}, sto_decode_q5_k},
    [STO_TYPE_Q6_K] = {{"Q6_K", 256, 210}, sto_decode_q6_k},
    [STO_TYPE_IQ4_NL] = {{"IQ4_NL", 32, 18}, sto_decode_iq4_nl},
    [STO_TYPE_IQ4_XS] = {{"IQ4_XS", 256, 136}, sto_decode_iq4_xs},
    [STO_TYPE_MXFP4] = {{"MXFP4", 32, 17}, sto_decode_mxfp4},
};

const struct sto_type_info *sto_type_get(enum sto_type type)
{
    assert((unsigned)type < STO_TYPE_COUNT);
    return &formats[type].info;
}

const char *sto_type_name(enum sto_type type)
{
    return (unsigned)type < STO_TYPE_COUNT ? formats[type].info.name : "?";
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

enum sto_type sto_type_by_name(const char *name)
{
    for (unsigned t = 0; t < STO_TYPE_COUNT; t++) {
        const char *a = formats[t].info.name, *b = name;
        while (*a != '\0' && lower(*a) == lower(*b)) {
            a++;
            b++;
        }
        if (*a == '\0' && *b == '\0')
            return (enum sto_type)t;
    }
    return STO_TYPE_COUNT;
}

uint64_t sto_type_bytes(enum sto_type type, uint64_t n)
{
    const struct sto_type_info *info = sto_type_get(type);

    assert(n % info->block_elems == 0);
    return n / info->block_elems * info->block_bytes;
}

void sto_decode(enum sto_type type, const void *src, float *dst, size_t n)
{
    const struct sto_type_info *info = sto_type_get(type);
    const uint8_t *block = src;

    assert(n % info->block_elems == 0);
    for (size_t i = 0; i < n; i += info->block_elems, block += info->block_bytes)
        formats[type].decode_block(block, dst + i);
}

/* One block; false for a type that is only ever read. */
static bool encode_block(enum sto_type type, const float *src, uint8_t *dst)
{
    uint32_t bits;

    switch (type) {
    case STO_TYPE_F32:
        memcpy(&bits, src, sizeof bits);
        sto_store_u16(dst, (uint16_t)(bits & 0xffff));
        sto_store_u16(dst + 2, (uint16_t)(bits >> 16));
        return true;
    case STO_TYPE_F16: sto_store_u16(dst, sto_f32_to_f16(*src)); return true;
    case STO_TYPE_BF16: sto_store_u16(dst, sto_f32_to_bf16(*src)); return true;
    case STO_TYPE_Q4_0: sto_encode_q4_0(src, dst); return true;
    case STO_TYPE_IQ4_NL: sto_encode_iq4_nl(src, dst); return true;
    case STO_TYPE_Q8_0: sto_encode_q8_0(src, dst); return true;
    default: return false;
    }
}

void sto_encode(enum sto_type type, const float *src, void *dst, size_t n)
{
    const struct sto_type_info *info = sto_type_get(type);
    uint8_t *block = dst;
    bool done = true;

    assert(n % info->block_elems == 0);
    for (size_t i = 0; i < n && done; i += info->block_elems, block += info->block_bytes)
        done = encode_block(type, src + i, block);
    assert(done);
    (void)done;
}

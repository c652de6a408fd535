/* Random blocks of every weight format: any bytes, and scales that keep values of the order of 1. */
#include "runtime/verify/verify_weights.h"

#include "runtime/formats/formats.h"

static void put_f16(uint8_t *p, float f)
{
    const uint16_t h = sto_f32_to_f16(f);
    p[0] = (uint8_t)(h & 255);
    p[1] = (uint8_t)(h >> 8);
}

/* A scale: of either sign and any digits, or a power of two. */
static float scale_value(struct sto_verifier *v, enum sto_verify_data data)
{
    if (data == STO_VERIFY_F16)
        return sto_verify_random(v) % 2 != 0 ? 0x1p-8f : 0x1p-9f;
    const float magnitude = sto_verify_uniform(v, 0.001f, 0.02f);
    return sto_verify_random(v) % 4 != 0 ? magnitude : -magnitude;
}

/* Offsets of f16 scales in a block; the rest of a block may be any bytes. */
static const struct {
    bool scale, minimum;
    uint8_t scale_at, minimum_at;
} scales_of[STO_TYPE_COUNT] = {
    [STO_TYPE_Q4_0] = {.scale = true},
    [STO_TYPE_Q4_1] = {.scale = true, .minimum = true, .minimum_at = 2},
    [STO_TYPE_Q5_0] = {.scale = true},
    [STO_TYPE_Q5_1] = {.scale = true, .minimum = true, .minimum_at = 2},
    [STO_TYPE_Q8_0] = {.scale = true},
    [STO_TYPE_Q2_K] = {.scale = true, .scale_at = 80, .minimum = true, .minimum_at = 82},
    [STO_TYPE_Q3_K] = {.scale = true, .scale_at = 108},
    [STO_TYPE_Q4_K] = {.scale = true, .minimum = true, .minimum_at = 2},
    [STO_TYPE_Q5_K] = {.scale = true, .minimum = true, .minimum_at = 2},
    [STO_TYPE_Q6_K] = {.scale = true, .scale_at = 208},
    [STO_TYPE_IQ4_NL] = {.scale = true},
    [STO_TYPE_IQ4_XS] = {.scale = true},
};

void sto_verify_fill_block(struct sto_verifier *v, enum sto_type type, enum sto_verify_data data, uint8_t *p)
{
    const uint32_t bytes = sto_type_get(type)->block_bytes;
    const float plain = data == STO_VERIFY_F16 ? (float)(int32_t)(sto_verify_random(v) % 255) / 128.0f - 1.0f
                                         : sto_verify_uniform(v, -1, 1);

    for (uint32_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(sto_verify_random(v) & 255);
    if (type == STO_TYPE_F32 || type == STO_TYPE_F16 || type == STO_TYPE_BF16)
        sto_encode(type, &plain, p, 1);
    if (type == STO_TYPE_MXFP4)
        p[0] = (uint8_t)(120 + p[0] % 8);
    const float scale = scale_value(v, data);
    if (scales_of[type].scale)
        put_f16(p + scales_of[type].scale_at, scale);
    if (scales_of[type].minimum)
        put_f16(p + scales_of[type].minimum_at, data == STO_VERIFY_F16 ? scale : scale_value(v, data));
    if (data == STO_VERIFY_F16 && type == STO_TYPE_Q6_K) { /* sub-block scales small enough for 11 bits: -32 .. 31 */
        for (uint32_t i = 192; i < 208; i++)
            p[i] = (uint8_t)((p[i] & 63) - 32);
    }
    if (data == STO_VERIFY_F16 && type == STO_TYPE_IQ4_XS) { /* likewise: 16 .. 47 before 32 is taken off */
        uint32_t high = 0;
        for (uint32_t s = 0; s < 8; s++)
            high |= (1 + (sto_verify_random(v) & 1)) << 2 * s;
        p[2] = (uint8_t)(high & 255);
        p[3] = (uint8_t)(high >> 8);
    }
}

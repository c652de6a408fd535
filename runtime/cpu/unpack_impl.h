/* The weight formats: each unpacks one panel of a row. Included by kernels_impl.h; the layouts are described in
 * runtime/formats.
 *
 *   value[e] = scale[e / 16] * q[e] - min[e / 16]
 *
 * q is unsigned, below 128 but for "wide" formats, whose 8-bit values are signed: where the level multiplies unsigned
 * weights, WIDE_BIAS (128) is added to them and comes back through min; else it is 0. q is made 64 at a time: what is
 * stored in one piece can be read again at once. */

struct panel {
    _Alignas(64) uint8_t q[STO_CPU_PANEL];
    float scale[STO_CPU_PANEL / 16], min[STO_CPU_PANEL / 16];
};

/* min = factor * scale: what makes up for an offset of q. */
INLINE void set_offset(struct panel *p, float factor)
{
    for (int s = 0; s < STO_CPU_PANEL / 16; s++)
        p->min[s] = factor * p->scale[s];
}

/* ---- blocks of 32: q of two, then the scales of all ---- */

enum { SMALL_BLOCKS = STO_CPU_PANEL / 32 };

#define W(x) ((uint8_t)((x) + WIDE_BIAS))
static const uint8_t iq4_table[16] = {W(-127), W(-104), W(-83), W(-65), W(-49), W(-35), W(-22), W(-10),
                                      W(1),    W(13),   W(25),  W(38),  W(53),  W(69),  W(89),  W(113)};
#undef W
/* Twice the E2M1 values, plus 12. */
static const uint8_t mxfp4_table[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

INLINE vb pair_q4_0(const uint8_t *a, const uint8_t *b)
{
    return vb_nibbles(a + 2, b + 2);
}

INLINE vb pair_q4_1(const uint8_t *a, const uint8_t *b)
{
    return vb_nibbles(a + 4, b + 4);
}

INLINE vb pair_q5_0(const uint8_t *a, const uint8_t *b)
{
    return vb_or(vb_nibbles(a + 6, b + 6), vb_fifth(a + 2, b + 2));
}

INLINE vb pair_q5_1(const uint8_t *a, const uint8_t *b)
{
    return vb_or(vb_nibbles(a + 8, b + 8), vb_fifth(a + 4, b + 4));
}

INLINE vb pair_q8_0(const uint8_t *a, const uint8_t *b)
{
    return vb_add(vb_halves(a + 2, b + 2), WIDE_BIAS);
}

INLINE vb pair_iq4_nl(const uint8_t *a, const uint8_t *b)
{
    return vb_look_up(iq4_table, vb_nibbles(a + 2, b + 2));
}

INLINE vb pair_mxfp4(const uint8_t *a, const uint8_t *b)
{
    return vb_look_up(mxfp4_table, vb_nibbles(a + 1, b + 1));
}

/* The f16 at byte `field` of each block; 0 for blocks that the row does not have any more. */
INLINE void scales_at(float *scales, const uint8_t *src, uint32_t field, uint32_t block_bytes, uint32_t n_blocks)
{
    uint16_t bits[SMALL_BLOCKS];
    for (uint32_t b = 0; b < SMALL_BLOCKS; b++) {
        bits[b] = 0;
        if (b < n_blocks)
            memcpy(&bits[b], src + b * block_bytes + field, sizeof *bits);
    }
    pairs_of_f16(scales, bits);
}

INLINE void scales_offset(struct panel *p, const uint8_t *src, uint32_t block_bytes, uint32_t n_blocks, float offset)
{
    scales_at(p->scale, src, 0, block_bytes, n_blocks);
    set_offset(p, offset);
}

INLINE void scales_minimum(struct panel *p, const uint8_t *src, uint32_t block_bytes, uint32_t n_blocks)
{
    scales_at(p->scale, src, 0, block_bytes, n_blocks);
    scales_at(p->min, src, 2, block_bytes, n_blocks);
    for (int s = 0; s < STO_CPU_PANEL / 16; s++)
        p->min[s] = -p->min[s];
}

/* 2^(exponent - 128) each. */
INLINE void scales_exponent(struct panel *p, const uint8_t *src, uint32_t block_bytes, uint32_t n_blocks)
{
    for (uint32_t b = 0; b < SMALL_BLOCKS; b++) {
        const uint32_t e = b < n_blocks ? src[b * block_bytes] : 0;
        const uint32_t bits = b >= n_blocks ? 0 : e >= 2 ? (e - 1) << 23 : 0x00200000u << e;
        memcpy(&p->scale[2 * b], &bits, sizeof bits);
        p->scale[2 * b + 1] = p->scale[2 * b];
    }
    set_offset(p, 12.0f);
}

/* n elements, a multiple of 32, at most a panel. A block that is missing has scales of 0, and any q. */
#define UNPACK_SMALL(format, block_bytes, scales)                                                                      \
    INLINE void unpack_##format##_blocks(struct panel *p, const uint8_t *src, uint32_t n_blocks)                       \
    {                                                                                                                  \
        for (uint32_t b = 0; b < SMALL_BLOCKS; b += 2) {                                                               \
            const uint8_t *first = src + (b < n_blocks ? b : 0) * (block_bytes);                                       \
            const uint8_t *second = src + (b + 1 < n_blocks ? b + 1 : 0) * (block_bytes);                              \
            vb_store(p->q + 32 * b, pair_##format(first, second));                                                     \
        }                                                                                                              \
        scales;                                                                                                        \
    }                                                                                                                  \
    INLINE void unpack_##format(struct panel *p, const uint8_t *src, uint32_t n)                                       \
    {                                                                                                                  \
        if (n == STO_CPU_PANEL)                                                                                        \
            unpack_##format##_blocks(p, src, SMALL_BLOCKS); /* with constants */                                       \
        else                                                                                                           \
            unpack_##format##_blocks(p, src, n / 32);                                                                  \
    }

UNPACK_SMALL(q4_0, 18, scales_offset(p, src, 18, n_blocks, 8.0f))
UNPACK_SMALL(q4_1, 20, scales_minimum(p, src, 20, n_blocks))
UNPACK_SMALL(q5_0, 22, scales_offset(p, src, 22, n_blocks, 16.0f))
UNPACK_SMALL(q5_1, 24, scales_minimum(p, src, 24, n_blocks))
UNPACK_SMALL(q8_0, 34, scales_offset(p, src, 34, n_blocks, WIDE_BIAS))
UNPACK_SMALL(iq4_nl, 18, scales_offset(p, src, 18, n_blocks, WIDE_BIAS))
UNPACK_SMALL(mxfp4, 17, scales_exponent(p, src, 17, n_blocks))

/* ---- super-blocks: one is a panel ---- */

INLINE void unpack_q2_k(struct panel *p, const uint8_t *src, uint32_t n)
{
    const vb both = vb_load(src); /* scales and minima are the first 16 */
    uint8_t scales[64], minima[64];
    (void)n;
    for (int h = 0; h < 2; h++) {
        const vb q = vb_twice(src + 16 + 32 * h);
        vb_store(p->q + 128 * h, vb_bits(q, 0, 2, 3));
        vb_store(p->q + 128 * h + 64, vb_bits(q, 4, 6, 3));
    }
    vb_store(scales, vb_bits(both, 0, 0, 15));
    vb_store(minima, vb_bits(both, 4, 4, 15));
    floats_of_u8(p->scale, scales, f16_load(src + 80));
    floats_of_u8(p->min, minima, f16_load(src + 82));
}

INLINE void unpack_q3_k(struct panel *p, const uint8_t *src, uint32_t n)
{
    const uint32_t low6 = 0x0f0f0f0fu, high2 = 0x30303030u;
    const vb top = vb_twice(src);
    uint32_t w[3], sub[4];
    (void)n;
    for (int h = 0; h < 2; h++) {
        const vb q = vb_twice(src + 32 + 32 * h);
        vb_store(p->q + 128 * h, vb_or(vb_bits(q, 0, 2, 3), vb_up(vb_bits(top, 4 * h, 4 * h + 1, 1), 2)));
        vb_store(p->q + 128 * h + 64, vb_or(vb_bits(q, 4, 6, 3), vb_up(vb_bits(top, 4 * h + 2, 4 * h + 3, 1), 2)));
    }
    memcpy(w, src + 96, sizeof w); /* four sub-blocks at a time */
    sub[0] = (w[0] & low6) | (w[2] << 4 & high2);
    sub[1] = (w[1] & low6) | (w[2] << 2 & high2);
    sub[2] = (w[0] >> 4 & low6) | (w[2] & high2);
    sub[3] = (w[1] >> 4 & low6) | (w[2] >> 2 & high2);
    for (int i = 0; i < 4; i++)
        sub[i] = (sub[i] ^ 0x20202020u) | (~sub[i] & 0x20202020u) << 1 | (~sub[i] & 0x20202020u) << 2; /* - 32 */
    floats_of_s8(p->scale, sub, f16_load(src + 108));
    set_offset(p, 4.0f);
}

/* Scales and minima of Q4_K and Q5_K, eight of each in 12 bytes, four bytes at a time. */
INLINE void k_scales(struct panel *p, const uint8_t *packed, float d, float dmin)
{
    uint32_t w[3], sub[4];
    memcpy(w, packed, sizeof w);
    sub[0] = w[0] & 0x3f3f3f3fu;
    sub[1] = (w[2] & 0x0f0f0f0fu) | (w[0] >> 6 & 0x03030303u) << 4;
    sub[2] = w[1] & 0x3f3f3f3fu;
    sub[3] = (w[2] >> 4 & 0x0f0f0f0fu) | (w[1] >> 6 & 0x03030303u) << 4;
    pairs_of_u8(p->scale, sub, d);
    pairs_of_u8(p->min, sub + 2, dmin);
}

INLINE void unpack_q4_k(struct panel *p, const uint8_t *src, uint32_t n)
{
    (void)n;
    k_scales(p, src + 4, f16_load(src), f16_load(src + 2));
    for (int r = 0; r < 4; r++)
        vb_store(p->q + 64 * r, vb_bits(vb_twice(src + 16 + 32 * r), 0, 4, 15));
}

INLINE void unpack_q5_k(struct panel *p, const uint8_t *src, uint32_t n)
{
    const vb fifth = vb_twice(src + 16);
    (void)n;
    k_scales(p, src + 4, f16_load(src), f16_load(src + 2));
    for (int r = 0; r < 4; r++)
        vb_store(p->q + 64 * r, vb_or(vb_bits(vb_twice(src + 48 + 32 * r), 0, 4, 15),
                                      vb_up(vb_bits(fifth, 2 * r, 2 * r + 1, 1), 4)));
}

INLINE void unpack_q6_k(struct panel *p, const uint8_t *src, uint32_t n)
{
    (void)n;
    for (int h = 0; h < 2; h++) {
        const vb low = vb_load(src + 64 * h), high = vb_twice(src + 128 + 32 * h);
        vb_store(p->q + 128 * h, vb_or(vb_bits(low, 0, 0, 15), vb_up(vb_bits(high, 0, 2, 3), 4)));
        vb_store(p->q + 128 * h + 64, vb_or(vb_bits(low, 4, 4, 15), vb_up(vb_bits(high, 4, 6, 3), 4)));
    }
    floats_of_s8(p->scale, src + 192, f16_load(src + 208));
    set_offset(p, 32.0f);
}

INLINE void unpack_iq4_xs(struct panel *p, const uint8_t *src, uint32_t n)
{
    const unsigned high = (unsigned)src[2] | (unsigned)src[3] << 8;
    int8_t sub[16];
    (void)n;
    for (uint32_t s = 0; s < 8; s++) {
        const int scale = (src[4 + s / 2] >> 4 * (s % 2) & 15) | (int)(high >> 2 * s & 3) << 4;
        sub[2 * s] = sub[2 * s + 1] = (int8_t)(scale - 32);
    }
    for (int s = 0; s < 8; s += 2)
        vb_store(p->q + 32 * s, vb_look_up(iq4_table, vb_nibbles(src + 8 + 16 * s, src + 24 + 16 * s)));
    floats_of_s8(p->scale, sub, f16_load(src));
    set_offset(p, WIDE_BIAS);
}

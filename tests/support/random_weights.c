/* Random blocks. A block of random bits has a known distribution once its scales are set, so only the scales are
 * written with care: the deviation at scale 1 is measured by decoding a few blocks. */
#include "tests/support/random_weights.h"
#include "runtime/formats/formats.h"

#include <math.h>
#include <string.h>

struct sto_random sto_random_make(uint64_t seed)
{
    struct sto_random r;
    for (int i = 0; i < 4; i++) { /* splitmix64 (Steele, Lea, Flood 2014), as the generator's authors advise */
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        r.s[i] = z ^ z >> 31;
    }
    return r;
}

static uint64_t rotate(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

uint64_t sto_random_next(struct sto_random *r)
{
    uint64_t *s = r->s;
    const uint64_t result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

float sto_random_unit(struct sto_random *r)
{
    return (float)((int64_t)sto_random_next(r) >> 40) * 0x1p-23f;
}

/* Where a block keeps its scales, and what makes its mean 0: value = d * q - offset * d with a q that is not centred,
 * or a random sign of d. */
struct layout {
    uint8_t at;       /* byte of d; the minimum's scale follows where there is one */
    bool has_min;
    float min_over_d; /* the minimum's scale for mean 0                            */
};

static struct layout layout_of(enum sto_type type)
{
    switch (type) {
    case STO_TYPE_Q4_1: return (struct layout){0, true, -7.5f};  /* d q + m, q from 0 to 15         */
    case STO_TYPE_Q5_1: return (struct layout){0, true, -15.5f}; /* q from 0 to 31                  */
    case STO_TYPE_Q2_K: return (struct layout){80, true, 1.5f};  /* d s q - dmin m, q from 0 to 3   */
    case STO_TYPE_Q4_K: return (struct layout){0, true, 7.5f};
    case STO_TYPE_Q5_K: return (struct layout){0, true, 15.5f};
    case STO_TYPE_Q3_K: return (struct layout){108, false, 0};
    case STO_TYPE_Q6_K: return (struct layout){208, false, 0};
    default: return (struct layout){0, false, 0};
    }
}

static void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v & 0xff);
    p[1] = (uint8_t)(v >> 8);
}

static bool is_plain(enum sto_type type)
{
    return type == STO_TYPE_F32 || type == STO_TYPE_F16 || type == STO_TYPE_BF16;
}

/* Sixteen scales between 0.75 and 1.25 times d, so that no two neighbouring blocks need be alike. */
static void set_scales(struct sto_weight_stream *w, float d)
{
    const struct layout layout = layout_of(w->type);
    for (int i = 0; i < 16; i++) {
        const float scale = d * (0.75f + (float)i / 30.0f);
        if (w->type == STO_TYPE_MXFP4) { /* a power of two, biased by 127 */
            w->scales[i][0] = (uint8_t)(127 + (int)lroundf(log2f(d)) + (i % 4 == 3 ? -1 : 0));
            continue;
        }
        put_u16(w->scales[i], sto_f32_to_f16(scale));
        put_u16(w->scales[i] + 2, sto_f32_to_f16(scale * layout.min_over_d));
    }
}

static void fill_blocks(struct sto_weight_stream *w, uint8_t *dst, uint64_t n_blocks)
{
    const uint32_t bytes = sto_type_get(w->type)->block_bytes;
    const struct layout layout = layout_of(w->type);
    const size_t n = layout.has_min ? 4 : w->type == STO_TYPE_MXFP4 ? 1 : 2;
    const bool flip = !layout.has_min && w->type != STO_TYPE_MXFP4;
    uint64_t total = n_blocks * bytes, word, choice = 0;
    uint8_t *p = dst;
    for (; total >= 8; total -= 8, p += 8) {
        word = sto_random_next(&w->random);
        memcpy(p, &word, 8);
    }
    word = sto_random_next(&w->random);
    memcpy(p, &word, (size_t)total);
    for (uint64_t i = 0; i < n_blocks; i++, dst += bytes, choice >>= 5) {
        if (i % 12 == 0)
            choice = sto_random_next(&w->random);
        memcpy(dst + layout.at, w->scales[choice & 15], n);
        if (flip && (choice & 16) != 0)
            dst[layout.at + 1] ^= 0x80;
    }
}

static void fill_plain(struct sto_weight_stream *w, uint8_t *dst, uint64_t n)
{
    for (uint64_t i = 0; w->type == STO_TYPE_F32 && i < n; i++) {
        const float v = w->amplitude * sto_random_unit(&w->random);
        memcpy(dst + 4 * i, &v, 4);
    }
    uint64_t word = 0;
    for (uint64_t i = 0; w->type != STO_TYPE_F32 && i < n; i++, word >>= 16) {
        if (i % 4 == 0)
            word = sto_random_next(&w->random);
        put_u16(dst + 2 * i, w->plain[word & 4095]);
    }
}

/* The deviation of blocks whose scales are about 1. */
static float measure(enum sto_type type)
{
    enum { N_BLOCKS = 256 };
    struct sto_weight_stream w = {.type = type, .random = sto_random_make(1)};
    static _Thread_local uint8_t blocks[N_BLOCKS * 256];
    static _Thread_local float values[N_BLOCKS * 256];
    const size_t n = N_BLOCKS * sto_type_get(type)->block_elems;
    double sum = 0;
    set_scales(&w, 1.0f);
    fill_blocks(&w, blocks, N_BLOCKS);
    sto_decode(type, blocks, values, n);
    for (size_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    return (float)sqrt(sum / (double)n);
}

void sto_weight_stream_init(struct sto_weight_stream *w, enum sto_type type, float deviation, uint64_t seed)
{
    *w = (struct sto_weight_stream){.type = type, .random = sto_random_make(seed)};
    w->amplitude = deviation * 1.7320508f; /* a uniform distribution's half-width is sqrt(3) deviations */
    for (int i = 0; i < 4096; i++) {
        const float v = w->amplitude * ((float)i + 0.5f - 2048.0f) / 2048.0f;
        w->plain[i] = type == STO_TYPE_BF16 ? sto_f32_to_bf16(v) : sto_f32_to_f16(v);
    }
    if (!is_plain(type))
        set_scales(w, deviation / measure(type));
}

void sto_weight_stream_fill(struct sto_weight_stream *w, void *dst, uint64_t n_elems)
{
    if (is_plain(w->type))
        fill_plain(w, dst, n_elems);
    else
        fill_blocks(w, dst, n_elems / sto_type_get(w->type)->block_elems);
}

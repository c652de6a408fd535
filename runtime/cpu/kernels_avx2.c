/* AVX2 with FMA and F16C: vectors of 8 floats. Bytes are multiplied in pairs, unsigned by signed: the weights' signs
 * go to the activations first, so that a pair's sum, at most 2 * 128 * 127, stays in 16 bits. */
#include "runtime/cpu/kernels.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <immintrin.h>
#include <string.h>

#define LANES 8
#define TILE_ROWS 2
#define TILE_COLS 4
#define WIDE_BIAS 0
#define KERNELS sto_cpu_kernels_avx2
#define LEVEL_NAME "avx2"
#define vf __m256
#define vf_zero _mm256_setzero_ps
#define vf_one _mm256_set1_ps
#define vf_load _mm256_loadu_ps
#define vf_store _mm256_storeu_ps
#define vf_mul _mm256_mul_ps
#define vf_fma _mm256_fmadd_ps
#define vf_fnma _mm256_fnmadd_ps

static inline float vf_sum(__m256 v)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline __m256 vf_dot(const uint8_t *q, const int8_t *x)
{
    const __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)q);
    const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)x);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w));
    return _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline __m256 vf_spread(const float *s, int j)
{
    const __m256 first = _mm256_castps128_ps256(_mm_broadcast_ss(s + 2 * j));
    return _mm256_insertf128_ps(first, _mm_broadcast_ss(s + 2 * j + 1), 1);
}

static inline float f16_load(const uint8_t *p)
{
    return _cvtsh_ss((unsigned short)(p[0] | p[1] << 8));
}

static inline void f16_load_n(float *dst, const uint8_t *src, uint32_t n)
{
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(src + 2 * i))));
    for (; i < n; i++)
        dst[i] = f16_load(src + 2 * i);
}

static inline __m128i load_16(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

static inline void pairs_of_f16(float *y, const uint16_t *bits)
{
    const __m128i b = load_16(bits);
    _mm256_storeu_ps(y, _mm256_cvtph_ps(_mm_unpacklo_epi16(b, b)));
    _mm256_storeu_ps(y + 8, _mm256_cvtph_ps(_mm_unpackhi_epi16(b, b)));
}

static inline void floats_of(float *y, __m256i integers, float factor)
{
    _mm256_storeu_ps(y, _mm256_mul_ps(_mm256_cvtepi32_ps(integers), _mm256_set1_ps(factor)));
}

static inline void pairs_of_u8(float *y, const uint32_t *words, float factor)
{
    const __m128i b = _mm_set_epi32(0, 0, (int)words[1], (int)words[0]), twice = _mm_unpacklo_epi8(b, b);
    floats_of(y, _mm256_cvtepu8_epi32(twice), factor);
    floats_of(y + 8, _mm256_cvtepu8_epi32(_mm_srli_si128(twice, 8)), factor);
}

static inline void floats_of_u8(float *y, const uint8_t *bytes, float factor)
{
    floats_of(y, _mm256_cvtepu8_epi32(load_16(bytes)), factor);
    floats_of(y + 8, _mm256_cvtepu8_epi32(_mm_srli_si128(load_16(bytes), 8)), factor);
}

static inline void floats_of_s8(float *y, const void *bytes, float factor)
{
    floats_of(y, _mm256_cvtepi8_epi32(load_16(bytes)), factor);
    floats_of(y + 8, _mm256_cvtepi8_epi32(_mm_srli_si128(load_16(bytes), 8)), factor);
}

/* ---- 64 bytes ---- */

#define vb struct two

struct two {
    __m256i a, b;
};

static inline __m256i load_32(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline vb vb_halves(const uint8_t *a, const uint8_t *b)
{
    return (vb){load_32(a), load_32(b)};
}

static inline vb vb_load(const uint8_t *src)
{
    return vb_halves(src, src + 32);
}

static inline void vb_store(uint8_t *q, vb v)
{
    _mm256_storeu_si256((__m256i *)(void *)q, v.a);
    _mm256_storeu_si256((__m256i *)(void *)(q + 32), v.b);
}

static inline vb vb_twice(const uint8_t *src)
{
    return vb_halves(src, src);
}

static inline vb vb_bits(vb v, int first, int second, int mask)
{
    const __m256i m = _mm256_set1_epi8((char)mask);
    return (vb){_mm256_and_si256(_mm256_srli_epi16(v.a, first), m),
                _mm256_and_si256(_mm256_srli_epi16(v.b, second), m)};
}

static inline __m256i nibbles_of(const uint8_t *src)
{
    const __m128i x = load_16(src);
    return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(x, 4), x), _mm256_set1_epi8(15));
}

static inline vb vb_nibbles(const uint8_t *a, const uint8_t *b)
{
    return (vb){nibbles_of(a), nibbles_of(b)};
}

/* Every byte sees the byte that has its bit, and keeps that bit. */
static inline __m256i fifth_of(const uint8_t *bits)
{
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i own = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    int32_t word;
    memcpy(&word, bits, sizeof word);
    const __m256i seen = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(word), spread), own);
    return _mm256_and_si256(_mm256_cmpeq_epi8(seen, own), _mm256_set1_epi8(16));
}

static inline vb vb_fifth(const uint8_t *a, const uint8_t *b)
{
    return (vb){fifth_of(a), fifth_of(b)};
}

static inline vb vb_look_up(const uint8_t *table, vb v)
{
    const __m256i t = _mm256_broadcastsi128_si256(load_16(table));
    return (vb){_mm256_shuffle_epi8(t, v.a), _mm256_shuffle_epi8(t, v.b)};
}

static inline vb vb_or(vb v, vb w)
{
    return (vb){_mm256_or_si256(v.a, w.a), _mm256_or_si256(v.b, w.b)};
}

static inline vb vb_up(vb v, int bits)
{
    return (vb){_mm256_slli_epi16(v.a, bits), _mm256_slli_epi16(v.b, bits)};
}

static inline vb vb_add(vb v, int x)
{
    const __m256i all = _mm256_set1_epi8((char)x);
    return (vb){_mm256_add_epi8(v.a, all), _mm256_add_epi8(v.b, all)};
}

#include "runtime/cpu/kernels_impl.h"

#else
typedef int sto_cpu_no_avx2; /* not built for this machine */
#endif

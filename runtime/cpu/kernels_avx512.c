/* AVX-512 with VNNI: vectors of 16 floats; bytes are multiplied unsigned by signed, four at a time. */
#include "runtime/cpu/kernels.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)

#include <immintrin.h>
#include <string.h>

#define LANES 16
#define TILE_ROWS 4
#define TILE_COLS 4
#define WIDE_BIAS 128
#define KERNELS sto_cpu_kernels_avx512
#define LEVEL_NAME "avx512"
#define vf __m512
#define vf_zero _mm512_setzero_ps
#define vf_one _mm512_set1_ps
#define vf_load _mm512_loadu_ps
#define vf_store _mm512_storeu_ps
#define vf_mul _mm512_mul_ps
#define vf_fma _mm512_fmadd_ps
#define vf_fnma _mm512_fnmadd_ps
#define vf_sum _mm512_reduce_add_ps

static inline __m512 vf_dot(const uint8_t *q, const int8_t *x)
{
    return _mm512_cvtepi32_ps(
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_loadu_si512(q), _mm512_loadu_si512(x)));
}

static inline __m512 vf_spread(const float *s, int j)
{
    const __m512i lanes = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    return _mm512_permutexvar_ps(lanes, _mm512_castps128_ps512(_mm_loadu_ps(s + 4 * j)));
}

static inline float f16_load(const uint8_t *p)
{
    return _cvtsh_ss((unsigned short)(p[0] | p[1] << 8));
}

static inline void f16_load_n(float *dst, const uint8_t *src, uint32_t n)
{
    uint32_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(dst + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(src + 2 * i))));
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
    _mm512_storeu_ps(y, _mm512_cvtph_ps(_mm256_set_m128i(_mm_unpackhi_epi16(b, b), _mm_unpacklo_epi16(b, b))));
}

static inline void floats_of(float *y, __m512i integers, float factor)
{
    _mm512_storeu_ps(y, _mm512_mul_ps(_mm512_cvtepi32_ps(integers), _mm512_set1_ps(factor)));
}

static inline void pairs_of_u8(float *y, const uint32_t *words, float factor)
{
    const __m128i b = _mm_set_epi32(0, 0, (int)words[1], (int)words[0]);
    floats_of(y, _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(b, b)), factor);
}

static inline void floats_of_u8(float *y, const uint8_t *bytes, float factor)
{
    floats_of(y, _mm512_cvtepu8_epi32(load_16(bytes)), factor);
}

static inline void floats_of_s8(float *y, const void *bytes, float factor)
{
    floats_of(y, _mm512_cvtepi8_epi32(load_16(bytes)), factor);
}

/* ---- 64 bytes ---- */

#define vb __m512i

static inline vb vb_load(const uint8_t *src)
{
    return _mm512_loadu_si512(src);
}

static inline void vb_store(uint8_t *q, vb v)
{
    _mm512_storeu_si512(q, v);
}

static inline vb vb_halves(const uint8_t *a, const uint8_t *b)
{
    const __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)a);
    return _mm512_inserti64x4(_mm512_castsi256_si512(first), _mm256_loadu_si256((const __m256i *)(const void *)b), 1);
}

static inline vb vb_twice(const uint8_t *src)
{
    return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)src));
}

static inline vb vb_bits(vb v, int first, int second, int mask)
{
    const __m512i shifts = _mm512_inserti64x4(_mm512_set1_epi64(first), _mm256_set1_epi64x(second), 1);
    return _mm512_and_si512(_mm512_srlv_epi64(v, shifts), _mm512_set1_epi8((char)mask));
}

static inline vb vb_nibbles(const uint8_t *a, const uint8_t *b)
{
    const __m512i each = _mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), shifts = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(a)), load_16(b), 1);
    const __m512i v = _mm512_permutexvar_epi64(each, _mm512_castsi256_si512(both));
    return _mm512_and_si512(_mm512_srlv_epi64(v, shifts), _mm512_set1_epi8(15));
}

static inline vb vb_fifth(const uint8_t *a, const uint8_t *b)
{
    uint32_t bits[2];
    memcpy(&bits[0], a, sizeof bits[0]);
    memcpy(&bits[1], b, sizeof bits[1]);
    return _mm512_maskz_set1_epi8((__mmask64)bits[1] << 32 | bits[0], 16);
}

static inline vb vb_look_up(const uint8_t *table, vb v)
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(load_16(table)), v);
}

static inline vb vb_or(vb a, vb b)
{
    return _mm512_or_si512(a, b);
}

static inline vb vb_up(vb v, int bits)
{
    return _mm512_slli_epi64(v, (unsigned)bits);
}

static inline vb vb_add(vb v, int x)
{
    return _mm512_add_epi8(v, _mm512_set1_epi8((char)x));
}

#include "runtime/cpu/kernels_impl.h"

#else
typedef int sto_cpu_no_avx512; /* not built for this machine */
#endif

/* Weight formats: the product's decoders against the reference in double, against floats from another project's
 * dequantiser (tests/vectors/formats.txt), and the encoders against what their rounding promises.
 *
 * The decoders' bound is zero: products of a scale and an integer fit an f32, so only a final add rounds, once, and
 * rounding the double result gives the same bits (runtime/formats/codec.h). */
#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/formats/formats.h"
#include "tests/reference/ref_formats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 210, MAX_ELEMS = 256 };

static uint64_t rng_state = 1;

static uint32_t next_u32(void)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(rng_state >> 33) ^ (uint32_t)(rng_state >> 62 << 31);
}

/* Uniform in (-1, 1). */
static float next_float(void)
{
    return (float)(next_u32() >> 7 & 0xffffff) / 8388608.0f - 1.0f;
}

static bool same_value(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void test_table(void **state)
{
    (void)state;
    for (int t = 0; t < STO_TYPE_COUNT; t++) {
        const enum sto_type type = (enum sto_type)t;
        const struct sto_type_info *info = sto_type_get(type);
        char lower[16] = "";

        assert_int_equal(info->block_elems, sto_ref_block_elems(type));
        assert_int_equal(info->block_bytes, sto_ref_block_bytes(type));
        assert_int_equal(sto_type_bytes(type, 512), 512 / info->block_elems * info->block_bytes);
        assert_string_equal(sto_type_name(type), info->name);
        for (size_t i = 0; info->name[i] != '\0'; i++)
            lower[i] = (char)(info->name[i] >= 'A' && info->name[i] <= 'Z' ? info->name[i] + 32 : info->name[i]);
        assert_int_equal(sto_type_by_name(info->name), type);
        assert_int_equal(sto_type_by_name(lower), type);
    }
    assert_int_equal(sto_type_by_name("Q4_"), STO_TYPE_COUNT);
    assert_int_equal(sto_type_by_name("Q4_00"), STO_TYPE_COUNT);
    assert_int_equal(sto_type_by_name(""), STO_TYPE_COUNT);
    assert_string_equal(sto_type_name(STO_TYPE_COUNT), "?");
}

static void test_every_f16(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        const float got = sto_f16_to_f32((uint16_t)h);
        assert_true(same_value(got, (float)sto_ref_f16((uint16_t)h)));
        if (isnan(got))
            assert_true(isnan(sto_f16_to_f32(sto_f32_to_f16(got))));
        else
            assert_int_equal(sto_f32_to_f16(got), h);
    }
}

/* Between neighbours, the midpoint goes to the even one and the next f32 on either side to the nearer one. */
static void test_f16_rounding(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7bff; h++) {
        const float low = (float)sto_ref_f16((uint16_t)h), high = (float)sto_ref_f16((uint16_t)(h + 1));
        const float middle = low + (high - low) / 2;
        assert_int_equal(sto_f32_to_f16(middle), h + (h & 1));
        assert_int_equal(sto_f32_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(sto_f32_to_f16(nextafterf(middle, high)), h + 1);
        assert_int_equal(sto_f32_to_f16(-middle), 0x8000 | (h + (h & 1)));
    }
    assert_int_equal(sto_f32_to_f16(nextafterf(65520, 0)), 0x7bff);
    assert_int_equal(sto_f32_to_f16(65520), 0x7c00);
    assert_int_equal(sto_f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(sto_f32_to_f16(1e-30f), 0);
    assert_true(isnan(sto_f16_to_f32(sto_f32_to_f16(NAN))));
}

static void test_bf16(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        const uint8_t bytes[2] = {(uint8_t)(h & 255), (uint8_t)(h >> 8)};
        const float got = sto_bf16_to_f32((uint16_t)h);
        assert_true(same_value(got, (float)sto_ref_element(STO_TYPE_BF16, bytes, 0)));
        if (isnan(got))
            assert_true(isnan(sto_bf16_to_f32(sto_f32_to_bf16(got))));
        else
            assert_int_equal(sto_f32_to_bf16(got), h);
    }
    assert_int_equal(sto_f32_to_bf16(0x1.01p0f), 0x3f80); /* a tie, to even */
    assert_int_equal(sto_f32_to_bf16(0x1.03p0f), 0x3f82); /* a tie, to even upwards */
    assert_int_equal(sto_f32_to_bf16(0x1.0102p0f), 0x3f81);
    assert_int_equal(sto_f32_to_bf16(3.4e38f), 0x7f80);
}

/* Where a block keeps f16 numbers, so that a test can plant zeros, subnormals, infinities and NaN there. */
static size_t f16_fields(enum sto_type type, size_t at[2])
{
    switch (type) {
    case STO_TYPE_F32:
    case STO_TYPE_F16:
    case STO_TYPE_BF16:
    case STO_TYPE_MXFP4: return 0;
    case STO_TYPE_Q4_1:
    case STO_TYPE_Q5_1:
    case STO_TYPE_Q4_K:
    case STO_TYPE_Q5_K:
        at[0] = 0;
        at[1] = 2;
        return 2;
    case STO_TYPE_Q2_K:
        at[0] = 80;
        at[1] = 82;
        return 2;
    case STO_TYPE_Q3_K: at[0] = 108; return 1;
    case STO_TYPE_Q6_K: at[0] = 208; return 1;
    default: at[0] = 0; return 1;
    }
}

static void compare_block(enum sto_type type, const uint8_t *block, unsigned round)
{
    const size_t elems = sto_ref_block_elems(type);
    float got[MAX_ELEMS];

    sto_decode(type, block, got, elems);
    for (size_t e = 0; e < elems; e++) {
        const float expected = (float)sto_ref_element(type, block, e);
        if (!same_value(got[e], expected))
            fail_msg("%s round %u element %zu: %.9g, expected %.9g", sto_type_name(type), round, e, (double)got[e],
                     (double)expected);
    }
}

/* Random bits everywhere, so every f16 comes up as a scale sooner or later; in turn also the special ones. The block
 * moves through all alignments. */
static void test_random_blocks(void **state)
{
    static const uint16_t special[] = {0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x83ff, 0x0400,
                                       0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0x3c00, 0xbc00};
    enum { N_SPECIAL = sizeof special / sizeof special[0], ROUNDS = 600 };
    uint8_t room[MAX_BYTES + 8];
    size_t at[2] = {0, 0};

    (void)state;
    for (int t = 0; t < STO_TYPE_COUNT; t++) {
        const enum sto_type type = (enum sto_type)t;
        const size_t n_fields = f16_fields(type, at);
        for (unsigned round = 0; round < ROUNDS; round++) {
            uint8_t *block = room + round % 8;
            for (size_t i = 0; i < sto_ref_block_bytes(type); i++)
                block[i] = (uint8_t)(next_u32() & 255);
            for (size_t i = 0; i < n_fields && round < ROUNDS / 2; i++) {
                const uint16_t h = special[(i == 0 ? round : round / N_SPECIAL) % N_SPECIAL];
                block[at[i]] = (uint8_t)(h & 255);
                block[at[i] + 1] = (uint8_t)(h >> 8);
            }
            if (type == STO_TYPE_MXFP4 && round < 256)
                block[0] = (uint8_t)round;
            compare_block(type, block, round);
        }
    }
}

/* Several blocks in one call are the blocks one by one. */
static void test_many_blocks(void **state)
{
    uint8_t src[3 * MAX_BYTES];
    float all[3 * MAX_ELEMS], one[MAX_ELEMS];

    (void)state;
    for (int t = 0; t < STO_TYPE_COUNT; t++) {
        const enum sto_type type = (enum sto_type)t;
        const size_t elems = sto_ref_block_elems(type), bytes = sto_ref_block_bytes(type);
        for (size_t i = 0; i < 3 * bytes; i++)
            src[i] = (uint8_t)(next_u32() & 255);
        sto_decode(type, src, all, 3 * elems);
        for (size_t b = 0; b < 3; b++) {
            sto_decode(type, src + b * bytes, one, elems);
            assert_memory_equal(one, all + b * elems, elems * sizeof *one);
        }
    }
}

/* One byte in hex, or -1. */
static int hex_byte(const char *s)
{
    int v = 0;

    for (int i = 0; i < 2; i++) {
        const char c = s[i];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        v = 16 * v + digit;
    }
    return v;
}

/* "TYPE block floats" of formats.txt; gives the type and moves *line behind the newline. */
static enum sto_type check_vector(const char **line)
{
    char name[16] = "";
    uint8_t block[MAX_BYTES];
    float got[MAX_ELEMS];
    const char *p = *line;
    size_t n = 0;

    while (*p != ' ' && n + 1 < sizeof name)
        name[n++] = *p++;
    const enum sto_type type = sto_type_by_name(name);
    assert_in_range(type, 0, STO_TYPE_COUNT - 1);
    p++;
    for (size_t i = 0; i < sto_type_get(type)->block_bytes; i++, p += 2) {
        assert_true(hex_byte(p) >= 0);
        block[i] = (uint8_t)hex_byte(p);
    }
    assert_true(*p++ == ' ');
    sto_decode(type, block, got, sto_type_get(type)->block_elems);
    for (size_t e = 0; e < sto_type_get(type)->block_elems; e++) {
        uint32_t bits = 0;
        float expected;
        for (int i = 0; i < 4; i++, p += 2)
            bits = bits << 8 | (uint32_t)hex_byte(p);
        memcpy(&expected, &bits, sizeof expected);
        if (got[e] != expected)
            fail_msg("%s element %zu: %.9g, expected %.9g", name, e, (double)got[e], (double)expected);
        assert_true((float)sto_ref_element(type, block, e) == expected);
    }
    assert_true(*p == '\n');
    *line = p + 1;
    return type;
}

static void test_vectors(void **state)
{
    unsigned seen = 0;
    char *text = NULL;
    size_t size = 0;

    (void)state;
    assert_int_equal(sto_file_read(STRATO_SOURCE_DIR "/tests/vectors/formats.txt", 1 << 20, &text, &size, NULL),
                     STO_OK);
    for (const char *line = text; line < text + size;)
        seen |= 1u << check_vector(&line);
    sto_free(text);
    /* All but the three plain types. */
    assert_int_equal(seen, ((1u << STO_TYPE_COUNT) - 1) & ~7u);
}

/* A block to encode: most are noise at some scale, some are special. */
static void fill(float x[32], unsigned round)
{
    const float scale = ldexpf(1, (int)(next_u32() % 40) - 26);

    for (int i = 0; i < 32; i++)
        x[i] = next_float() * scale;
    if (round % 7 == 0) /* ties: two elements share the largest magnitude */
        x[5] = -(x[20] = 2 * scale);
    if (round % 11 == 0) /* one element alone */
        for (int i = 0; i < 32; i++)
            x[i] = i == 9 ? scale : 0;
}

/* Q8_0: the stored scale is the f16 nearest amax / 127 give or take the f32 rounding before it, and each element is
 * within half a step, plus what the roundings of d and 1/d add (128 * 2^-22). */
static void test_encode_q8_0(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        float x[32];
        uint8_t block[34];
        double amax = 0;

        fill(x, round);
        for (int i = 0; i < 32; i++)
            amax = fmax(amax, fabs((double)x[i]));
        sto_encode(STO_TYPE_Q8_0, x, block, 32);
        const double d = amax / 127, stored = sto_ref_f16((uint16_t)(block[0] | block[1] << 8));
        assert_true(fabs(stored - d) <= fmax(d * 0x1.01p-11, 0x1.01p-25));
        for (int i = 0; i < 32 && stored > 0; i++) {
            const double q = (double)(int8_t)block[2 + i];
            assert_true(fabs(q - (double)x[i] / d) <= 0.5 + 0x1p-15);
        }
    }
}

/* Q4_0: the first element of largest magnitude becomes -8 exactly, the others are within half a step unless cut to 7.
 */
static void test_encode_q4_0(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        float x[32];
        uint8_t block[18];
        int first = 0;

        fill(x, round);
        for (int i = 1; i < 32; i++)
            first = fabsf(x[i]) > fabsf(x[first]) ? i : first;
        sto_encode(STO_TYPE_Q4_0, x, block, 32);
        const double d = (double)x[first] / -8, stored = sto_ref_f16((uint16_t)(block[0] | block[1] << 8));
        assert_true(fabs(stored - d) <= fmax(fabs(d) * 0x1p-11, 0x1p-25));
        for (int i = 0; i < 32 && stored != 0; i++) {
            const int q = (block[2 + i % 16] >> 4 * (i / 16) & 15) - 8;
            const double exact = (double)x[i] / d;
            assert_true(fabs(q - exact) <= 0.5 + 0x1p-18 || (q == 7 && exact > 7));
            assert_true(i != first || q == -8);
        }
    }
}

/* Nothing a caller may hold in a float leads outside the format: zeros stay zeros, subnormals become zeros, what is too
 * large for an f16 scale saturates with its sign, and NaN and infinity give some block without undefined behaviour. */
static void test_encode_extremes(void **state)
{
    static const enum sto_type types[] = {STO_TYPE_Q8_0, STO_TYPE_Q4_0};
    static const float extremes[] = {0, -0.0f, 1e-45f, -1e-40f, 1e-9f, 3e38f, -3e38f, INFINITY, -INFINITY, NAN};

    (void)state;
    for (size_t t = 0; t < 2; t++) {
        for (size_t k = 0; k < sizeof extremes / sizeof extremes[0]; k++) {
            float x[32] = {0}, y[32];
            uint8_t block[34];
            x[3] = extremes[k];
            sto_encode(types[t], x, block, 32);
            sto_decode(types[t], block, y, 32);
            for (int i = 0; i < 32; i++)
                assert_true(isfinite(y[i]));
            if (fabsf(x[3]) < 1e-8f)
                assert_true(y[3] == 0);
            if (fabsf(x[3]) > 1e30f)
                assert_true(fabsf(y[3]) >= 65504.0f * 7 && (y[3] < 0) == (x[3] < 0));
        }
    }
}

static void test_encode_plain(void **state)
{
    static const enum sto_type types[] = {STO_TYPE_F32, STO_TYPE_F16, STO_TYPE_BF16};
    float x[64], y[64];
    uint8_t packed[64 * 4 + 1];

    (void)state;
    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < 64; i++) /* sixteenths up to 2: exact even in bf16 */
            x[i] = (float)((int)i - 32) / 16;
        sto_encode(types[t], x, packed + 1, 64);
        sto_decode(types[t], packed + 1, y, 64);
        assert_memory_equal(x, y, sizeof x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),         cmocka_unit_test(test_every_f16),
        cmocka_unit_test(test_f16_rounding),  cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_random_blocks), cmocka_unit_test(test_many_blocks),
        cmocka_unit_test(test_vectors),       cmocka_unit_test(test_encode_q8_0),
        cmocka_unit_test(test_encode_q4_0),   cmocka_unit_test(test_encode_extremes),
        cmocka_unit_test(test_encode_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

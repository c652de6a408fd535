/* The pre-tokenizers' patterns: every one against PCRE2 on random text, and the splitting of a few by hand.
 *
 * PCRE2 knows its own version of Unicode, so texts use characters on which versions 14 and later agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "host/tokenizer_pre.h"

static uint32_t rng_state = 7;
static uint32_t rng(void)
{
    rng_state = rng_state * 1664525u + 1013904223u;
    return rng_state >> 8;
}

static size_t put_utf8(char *dst, uint32_t cp)
{
    if (cp < 0x80) {
        dst[0] = (char)cp;
        return 1;
    }
    const size_t len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = len; i-- > 1; cp >>= 6)
        dst[i] = (char)(0x80 | (cp & 0x3f));
    dst[0] = (char)((len == 2 ? 0xc0 : len == 3 ? 0xe0 : 0xf0) | cp);
    return len;
}

/* Unassigned in some versions, or (U+180E) white space to PCRE2 alone, or moved between categories. */
static bool versions_differ(uint32_t cp)
{
    return (sto_unicode_props(cp) & STO_UNICODE_CATEGORY) == STO_UNICODE_CN || cp == 0x180e || cp == 0x0cf3 ||
           cp == 0x0ece || cp == 0x166d || cp == 0x1734 || (cp >= 0xd800 && cp <= 0xdfff);
}

/* Characters that patterns care about, then any of the Basic Multilingual Plane up to Hangul, then emoji and more. */
static uint32_t random_character(void)
{
    static const char common[] = "  \n\r\t''sStTrReEvVmMlLdDaZ09.,!?-/$+<=>^~|`_\"(){}[]\\&#@*";
    static const uint32_t notable[] = {0x17f, 0x85,   0xa0,   0x2028, 0x3000, 0xaa,   0x1c5,   0x2b0,   0x301,  0x903,
                                       0x20dd, 0x660, 0x2160, 0xb2,   0x203f, 0x2014, 0xab,    0xbb,    0x20ac, 0x2b,
                                       0x1f600, 0x200d, 0xad, 0xe000, 0x4f60, 0x9fa5, 0x3042,  0xac00,  0xd7a3, 0x3005,
                                       0x20000, 0x10400, 0x1e900, 0xff21, 0xff01, 0x212a, 0x130, 0xdf, 0x800, 0xfffd};
    for (;;) {
        uint32_t cp;
        switch (rng() % 8) {
        case 0: cp = notable[rng() % (sizeof notable / sizeof notable[0])]; break;
        case 1: cp = rng() % 0xd800; break;
        case 2: cp = rng() % 0x3000; break;
        default: cp = (uint8_t)common[rng() % (sizeof common - 1)]; break;
        }
        if (!versions_differ(cp))
            return cp;
    }
}

/* Our spelling of an intersection, and Han as the script alone, as PCRE2 wants them. */
static void to_pcre2(const char *pattern, char *out)
{
    static const char no_han[] = "&&[^\\p{Han}]]", han[] = "\\p{Han}";
    char *bracket = out;
    while (*pattern != '\0') {
        if (strncmp(pattern, no_han, strlen(no_han)) == 0) {
            static const char guard[] = "(?:(?!\\p{sc:Han})";
            memmove(bracket + strlen(guard), bracket, (size_t)(out - bracket));
            memcpy(bracket, guard, strlen(guard));
            out += strlen(guard);
            memcpy(out, "])", 2);
            out += 2;
            pattern += strlen(no_han);
        } else if (strncmp(pattern, han, strlen(han)) == 0) {
            memcpy(out, "\\p{sc:Han}", 10);
            out += 10;
            pattern += strlen(han);
        } else {
            if (*pattern == '[')
                bracket = out;
            *out++ = *pattern++;
        }
    }
    *out = '\0';
}

static void compare(const char *pattern, const struct sto_pattern *ours, pcre2_code *theirs, const char *text,
                    size_t size)
{
    pcre2_match_data *data = pcre2_match_data_create(8, NULL);
    struct sto_pattern_scan scan = sto_pattern_scan_make(ours, text, 0, size);
    size_t from = 0, to = 0, pos = 0;
    for (;;) {
        const bool found = sto_pattern_next(&scan, &from, &to);
        const int rc = pcre2_match(theirs, (PCRE2_SPTR)text, size, pos, PCRE2_NOTEMPTY, data, NULL);
        const size_t *ovector = pcre2_get_ovector_pointer(data);
        if (rc <= 0) {
            assert_int_equal(rc, PCRE2_ERROR_NOMATCH);
            if (found)
                fail_msg("%s on \"%s\": match at %zu, PCRE2 has none", pattern, text, from);
            break;
        }
        if (!found || from != ovector[0] || to != ovector[1])
            fail_msg("%s on \"%s\": %zu to %zu, PCRE2 %zu to %zu", pattern, text, from, to, ovector[0], ovector[1]);
        pos = to;
    }
    pcre2_match_data_free(data);
}

static void check_pattern(const char *pattern)
{
    static struct sto_pattern ours;
    char translated[4096], text[256];
    int code;
    PCRE2_SIZE where;
    to_pcre2(pattern, translated);
    pcre2_code *theirs = pcre2_compile((PCRE2_SPTR)translated, PCRE2_ZERO_TERMINATED,
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &code, &where, NULL);
    if (theirs == NULL)
        fail_msg("PCRE2 refuses %s at %zu", translated, where);
    assert_true(sto_pattern_compile(pattern, &ours));
    for (int round = 0; round < 3000; round++) {
        size_t size = 0;
        for (uint32_t n = 1 + rng() % 24; n > 0; n--) {
            const uint32_t cp = random_character();
            for (uint32_t repeat = rng() % 4 == 0 ? 1 + rng() % 4 : 1; repeat > 0 && size < sizeof text - 5; repeat--)
                size += put_utf8(text + size, cp);
        }
        text[size] = '\0';
        compare(pattern, &ours, theirs, text, size);
    }
    pcre2_code_free(theirs);
}

static void patterns_equal_pcre2(void **state)
{
    (void)state;
    const char *name, *texts[STO_PRE_MAX_STAGES + 1];
    size_t i = 0;
    for (; sto_pre_at(i, &name, texts); i++) {
        for (size_t s = 0; texts[s] != NULL; s++)
            check_pattern(texts[s]);
    }
    assert_true(i > 10);
}

/* General categories against PCRE2's, for every code point that is assigned in both. */
static void categories_equal_pcre2(void **state)
{
    (void)state;
    static const char names[][3] = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl",
                                    "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc",
                                    "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"};
    int wrong = 0, n = 0;
    pcre2_match_data *data = pcre2_match_data_create(4, NULL);
    pcre2_code *codes[31];
    for (int c = 0; c < 31; c++) {
        char pattern[16] = "\\p{sc:Han}";
        int code;
        PCRE2_SIZE where;
        if (c < 30)
            snprintf(pattern, sizeof pattern, "\\p{%.2s}", names[c]);
        codes[c] =
            pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code, &where, NULL);
        assert_non_null(codes[c]);
    }
    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        char text[4];
        if (cp >= 0xd800 && cp <= 0xdfff)
            continue;
        const size_t size = put_utf8(text, cp);
        const uint8_t props = sto_unicode_props(cp);
        const int category = props & STO_UNICODE_CATEGORY;
        const bool theirs_unassigned = pcre2_match(codes[STO_UNICODE_CN], (PCRE2_SPTR)text, size, 0, 0, data, NULL) > 0;
        if (theirs_unassigned || category == STO_UNICODE_CN)
            continue;
        n++;
        wrong += pcre2_match(codes[category], (PCRE2_SPTR)text, size, 0, 0, data, NULL) <= 0;
        const bool han = pcre2_match(codes[30], (PCRE2_SPTR)text, size, 0, 0, data, NULL) > 0;
        wrong += han != ((props & STO_UNICODE_HAN) != 0);
    }
    for (int c = 0; c < 31; c++)
        pcre2_code_free(codes[c]);
    pcre2_match_data_free(data);
    assert_true(n > 270000);
    assert_true(wrong <= 16); /* what later versions of Unicode changed their mind about */
}

/* ---- pieces ---- */

struct pieces {
    char joined[512]; /* pieces with '|' between */
};

static enum sto_status collect(void *user, const char *piece, size_t size, struct sto_error *err)
{
    struct pieces *p = user;
    (void)err;
    if (p->joined[0] != '\0')
        strcat(p->joined, "|");
    strncat(p->joined, piece, size);
    return STO_OK;
}

static void expect_pieces(const char *name, const char *text, const char *joined)
{
    static struct sto_pre pre;
    struct pieces p = {{0}};
    struct sto_error err = {0};
    if (sto_pre_find((struct sto_view){name, strlen(name)}, &pre, &err) != STO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(sto_pre_split(&pre, text, strlen(text), collect, &p, NULL), STO_OK);
    assert_string_equal(p.joined, joined);
}

static void pieces_by_hand(void **state)
{
    (void)state;
    expect_pieces("gpt-2", "I'm  here 12345!", "I|'m| | here| 12345|!");
    expect_pieces("llama-bpe", "I'M  here 12345!\n\nx", "I|'M| | here| |123|45|!\n\n|x");
    expect_pieces("qwen2", "a 123", "a| |1|2|3");
    expect_pieces("starcoder", "a 123", "a| |1|2|3");
    expect_pieces("falcon", "x==y 1234", "x|==|y| |123|4");
    expect_pieces("default", "x$1", "x|$|1");
    expect_pieces("gpt-4o", "helloWorld's 5/\n", "hello|World's| |5|/\n");
    expect_pieces("kimi-k2", "ab\u4f60\u597dcd", "ab|\u4f60\u597d|cd");
    expect_pieces("deepseek-coder", "int x=10;\n", "int| x|=|1|0|;|\n");
    expect_pieces("deepseek-llm", "Hi \u4f60 12  ", "Hi| |\u4f60| |12|  ");
    expect_pieces("deepseek-v3", "a.b_c 1234", "a|.b|_c| |123|4");
    expect_pieces("qwen35", "\u0915\u094d\u0937 x", "\u0915\u094d\u0937| x");
    expect_pieces("qwen2", "\u0915\u094d\u0937", "\u0915|\u094d\u0937"); /* a mark begins the next word */
    expect_pieces("tekken", "fooBAR 12", "foo|BAR| |1|2");
}

static void names(void **state)
{
    (void)state;
    static const char *const known[] = {"", "default", "llama-bpe", "llama3", "qwen2", "deepseek-r1-qwen", "gpt-4o",
                                        "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon", "mpt", "starcoder",
                                        "refact", "gpt-2", "kimi-k2", "phi-2", "command-r", "olmo", "dbrx", "smollm",
                                        "qwen35", "tekken", "chatglm-bpe", "glm4", "minimax-m2", "exaone", "jais"};
    static struct sto_pre pre;
    struct sto_error err = {0};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_int_equal(sto_pre_find((struct sto_view){known[i], strlen(known[i])}, &pre, &err), STO_OK);
    assert_int_equal(sto_pre_find((struct sto_view){"qwen", 4}, &pre, &err), STO_ERR_MODEL);
    assert_non_null(strstr(err.message, "\"qwen\""));
    assert_non_null(strstr(err.message, "qwen2 "));
    assert_non_null(strstr(err.message, "viking")); /* the last one: the list is whole */
}

/* Patterns outside the subset are refused, not misread. */
static void refused_patterns(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "|", "a|", "[a", "[a-", "(a)", "(?=a)", "a{", "a{2", "a{3,2}", "a{0}", "\\",
                                      "\\d", "\\p{", "\\p{X}", "\\p{Greek}", "a*", "a?", "(?i:a", "(?i:abcde)", "a)b",
                                      "(?!\\S)", "a(?!\\S)b", "$", "[b-a\u0100-\u00ff]", "abcdefg", "[a&&", "[a&&[b]"};
    static struct sto_pattern p;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (sto_pattern_compile(bad[i], &p))
            fail_msg("\"%s\" was accepted", bad[i]);
    }
    assert_true(sto_pattern_compile("a+$", &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_equal_pcre2), cmocka_unit_test(categories_equal_pcre2),
        cmocka_unit_test(pieces_by_hand),       cmocka_unit_test(names),
        cmocka_unit_test(refused_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

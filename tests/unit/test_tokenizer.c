/* The tokenizer on small vocabularies made by hand, with ids worked out by hand, and on hostile text and
 * vocabularies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/tokenizer_internal.h"
#include "runtime/base/mem.h"

/* ---- vocabularies made by hand ---- */

enum { MAX_TOKENS = 400 };

struct token {
    const char *text;
    enum sto_token_kind kind; /* 0: normal */
    float score;
};

/* Room for a vocabulary; views point at literals, or at `byte_texts`. */
struct made {
    struct sto_vocab vocab;
    struct sto_view tokens[MAX_TOKENS], merges[32];
    uint8_t kinds[MAX_TOKENS];
    float scores[MAX_TOKENS];
    char byte_texts[256][8];
};

static struct sto_view view(const char *s)
{
    return (struct sto_view){s, strlen(s)};
}

static uint32_t add(struct made *m, struct token token)
{
    const uint32_t id = m->vocab.n_tokens++;
    m->tokens[id] = view(token.text);
    m->kinds[id] = (uint8_t)(token.kind == 0 ? STO_TOKEN_NORMAL : token.kind);
    m->scores[id] = token.score;
    return id;
}

static void begin(struct made *m, enum sto_vocab_kind kind, const char *pre)
{
    memset(m, 0, sizeof *m);
    m->vocab = (struct sto_vocab){.kind = kind,
                                  .model = view(kind == STO_VOCAB_SPM ? "llama" : "gpt2"),
                                  .pre = view(pre),
                                  .tokens = m->tokens,
                                  .kinds = m->kinds,
                                  .scores = kind == STO_VOCAB_SPM ? m->scores : NULL,
                                  .merges = kind == STO_VOCAB_BPE ? m->merges : NULL,
                                  .bos = STO_TOKEN_NONE,
                                  .eos = STO_TOKEN_NONE,
                                  .eot = STO_TOKEN_NONE,
                                  .unk = STO_TOKEN_NONE,
                                  .pad = STO_TOKEN_NONE,
                                  .chat_template = view("")};
}

static void add_merge(struct made *m, const char *text)
{
    m->merges[m->vocab.n_merges++] = view(text);
}

static struct sto_tokenizer *create(const struct made *m)
{
    struct sto_tokenizer *t;
    struct sto_error err = {0};
    if (sto_tokenizer_create(&m->vocab, &t, &err) != STO_OK)
        fail_msg("%s", err.message);
    return t;
}

/* Compares the ids of a text with a list that ends at STO_TOKEN_NONE. */
static void expect_sized(const struct sto_tokenizer *t, const char *text, size_t size,
                         struct sto_tokenize_params params, const uint32_t *ids)
{
    struct sto_tokens got = {0};
    size_t n = 0;
    assert_int_equal(sto_tokenize(t, text, size, params, &got, NULL), STO_OK);
    while (ids[n] != STO_TOKEN_NONE)
        n++;
    if (got.n != n || (n > 0 && memcmp(got.ids, ids, n * sizeof *ids) != 0)) {
        fprintf(stderr, "\"%s\" gave", text);
        for (size_t i = 0; i < got.n; i++)
            fprintf(stderr, " %u", got.ids[i]);
        fail_msg("%s", "\nother ids were expected");
    }
    sto_tokens_free(&got);
}

#define PLAIN ((struct sto_tokenize_params){0})
#define SPECIAL ((struct sto_tokenize_params){.parse_special = true})
#define ADD ((struct sto_tokenize_params){.add_special = true})
#define IDS(...) ((const uint32_t[]){__VA_ARGS__, STO_TOKEN_NONE})
#define NO_IDS ((const uint32_t[]){STO_TOKEN_NONE})
#define expect(t, text, params, ids) expect_sized(t, text, strlen(text), params, ids)

/* ---- byte-level BPE ---- */

enum { A, B, C, D, SP, AB, BC, ABC, SP_AB, X, Y, Z, XYZ, CAB, CTRL, CTRL_LONG, THINK, E_ACUTE_1, E_ACUTE_2, N_BPE };

static void make_bpe(struct made *m, const char *pre)
{
    static const char *const texts[N_BPE] = {
        [A] = "a",   [B] = "b",           [C] = "c",       [D] = "d",           [SP] = "\u0120",
        [AB] = "ab", [BC] = "bc",         [ABC] = "abc",   [SP_AB] = "\u0120ab", [X] = "x",
        [Y] = "y",   [Z] = "z",           [XYZ] = "xyz",   [CAB] = "cab",       [CTRL] = "<|c|>",
        [CTRL_LONG] = "<|c|>>",           [THINK] = "<think>",
        [E_ACUTE_1] = "\u00c3",           [E_ACUTE_2] = "\u00a9",
    };
    begin(m, STO_VOCAB_BPE, pre);
    for (int i = 0; i < N_BPE; i++)
        add(m, (struct token){texts[i], 0, 0});
    m->kinds[CTRL] = m->kinds[CTRL_LONG] = STO_TOKEN_CONTROL;
    m->kinds[THINK] = STO_TOKEN_USER;
    add_merge(m, "b c");
    add_merge(m, "a b");
    add_merge(m, "ab c");
    add_merge(m, "a bc");
    add_merge(m, "\u0120 ab");
    add_merge(m, "x y"); /* "xy" is no token */
    add_merge(m, "xy z");
}

static void bpe_merges_by_rank(void **state)
{
    (void)state;
    struct made m;
    make_bpe(&m, "gpt-2");
    struct sto_tokenizer *t = create(&m);
    expect(t, "", PLAIN, NO_IDS);
    expect(t, "a", PLAIN, IDS(A));
    expect(t, "abc", PLAIN, IDS(ABC));         /* b c, then a bc */
    expect(t, "ababc", PLAIN, IDS(AB, ABC));   /* b c at the end, a b, a bc */
    expect(t, "abab ab", PLAIN, IDS(AB, AB, SP_AB));
    expect(t, "cab", PLAIN, IDS(C, AB));       /* no merge makes cab */
    expect(t, "xyz", PLAIN, IDS(XYZ));         /* through a symbol that is no token */
    expect(t, "xy", PLAIN, IDS(X, Y));         /* which comes out as its bytes */
    expect(t, "dxyd", PLAIN, IDS(D, X, Y, D));
    expect(t, "\u00e9", PLAIN, IDS(E_ACUTE_1, E_ACUTE_2));
    expect(t, "a\u00e9q!", PLAIN, IDS(A, E_ACUTE_1, E_ACUTE_2)); /* no tokens for q and !, and no unknown token */
    expect(t, "\xc3", PLAIN, IDS(E_ACUTE_1));
    expect(t, "\xa9 \xc3", PLAIN, IDS(E_ACUTE_2, SP, E_ACUTE_1));
    sto_tokenizer_destroy(t);

    make_bpe(&m, "gpt-2");
    m.vocab.unk = CTRL;
    t = create(&m);
    expect(t, "q", PLAIN, NO_IDS); /* a control token does not stand for text */
    sto_tokenizer_destroy(t);
    m.kinds[CTRL] = STO_TOKEN_UNKNOWN;
    t = create(&m);
    expect(t, "aq", PLAIN, IDS(A, CTRL));
    sto_tokenizer_destroy(t);

    make_bpe(&m, "llama-bpe");
    t = create(&m);
    expect(t, "cab", PLAIN, IDS(CAB)); /* whole pieces first */
    expect(t, "cab ab", PLAIN, IDS(CAB, SP_AB));
    expect(t, "cabcab", PLAIN, IDS(C, ABC, AB)); /* b c, a b, a bc */
    sto_tokenizer_destroy(t);
}

/* Of a merge that is listed twice the first counts. */
static void bpe_repeated_merge(void **state)
{
    (void)state;
    struct made m;
    make_bpe(&m, "gpt-2");
    m.vocab.n_merges = 0;
    add_merge(&m, "a b");
    add_merge(&m, "b c");
    add_merge(&m, "a b");
    struct sto_tokenizer *t = create(&m);
    expect(t, "abc", PLAIN, IDS(AB, C));
    sto_tokenizer_destroy(t);
}

/* The same merges in a piece long enough for the heap as in the short ones above. */
static void bpe_long_pieces(void **state)
{
    (void)state;
    struct made m;
    make_bpe(&m, "gpt-2");
    struct sto_tokenizer *t = create(&m);
    char text[5 * 40 + 1] = "";
    uint32_t ids[2 * 40 + 1];
    for (int i = 0; i < 40; i++) {
        memcpy(text + 5 * i, "ababc", 6);
        ids[2 * i] = AB;
        ids[2 * i + 1] = ABC;
    }
    ids[80] = STO_TOKEN_NONE;
    expect(t, text, PLAIN, ids);
    sto_tokenizer_destroy(t);
}

static void bpe_special_tokens(void **state)
{
    (void)state;
    struct made m;
    make_bpe(&m, "gpt-2");
    struct sto_tokenizer *t = create(&m);
    expect(t, "a<|c|>b", PLAIN, IDS(A, C, B)); /* only c has a token */
    expect(t, "a<|c|>b", SPECIAL, IDS(A, CTRL, B));
    expect(t, "<|c|>>b", SPECIAL, IDS(CTRL_LONG, B));
    expect(t, "<|c|<|c|>", SPECIAL, IDS(C, CTRL));
    expect(t, "a<think>b", PLAIN, IDS(A, THINK, B));
    expect(t, "a<think>b", SPECIAL, IDS(A, THINK, B));
    expect(t, "a<think", SPECIAL, IDS(A));
    expect(t, "ab<|c|> ab", SPECIAL, IDS(AB, CTRL, SP_AB));
    assert_int_equal(sto_tokenizer_find(t, "<|c|>"), CTRL);
    assert_int_equal(sto_tokenizer_find(t, "<think>"), THINK);
    assert_int_equal(sto_tokenizer_find(t, " ab"), SP_AB);
    assert_int_equal(sto_tokenizer_find(t, "<|c"), STO_TOKEN_NONE);
    assert_int_equal(sto_tokenizer_find(t, ""), STO_TOKEN_NONE);
    assert_true(sto_tokenizer_is_control(t, CTRL) && !sto_tokenizer_is_control(t, THINK));
    assert_false(sto_tokenizer_is_control(t, N_BPE));
    sto_tokenizer_destroy(t);
}

static void bos_and_eos(void **state)
{
    (void)state;
    struct made m;
    make_bpe(&m, "gpt-2");
    m.vocab.bos = CTRL;
    m.vocab.eos = CTRL_LONG;
    struct sto_tokenizer *t = create(&m);
    expect(t, "a", ADD, IDS(A)); /* BPE: only where the file says so */
    assert_int_equal(sto_tokenizer_bos(t), CTRL);
    assert_true(sto_tokenizer_is_end(t, CTRL_LONG) && !sto_tokenizer_is_end(t, CTRL));
    assert_false(sto_tokenizer_is_end(t, STO_TOKEN_NONE));
    sto_tokenizer_destroy(t);
    m.vocab.has_add_bos = m.vocab.add_bos = true;
    m.vocab.add_eos = true;
    t = create(&m);
    expect(t, "a", ADD, IDS(CTRL, A, CTRL_LONG));
    expect(t, "", ADD, IDS(CTRL, CTRL_LONG));
    expect(t, "a", PLAIN, IDS(A));
    sto_tokenizer_destroy(t);
    m.vocab.pre = view("llama-bpe"); /* BOS is the rule for this one, unless the file says no */
    m.vocab.has_add_bos = m.vocab.add_bos = m.vocab.add_eos = false;
    t = create(&m);
    expect(t, "a", ADD, IDS(CTRL, A));
    sto_tokenizer_destroy(t);
    m.vocab.has_add_bos = true;
    t = create(&m);
    expect(t, "a", ADD, IDS(A));
    sto_tokenizer_destroy(t);
}

/* Tokens that end a turn are known by their text; ordinary text is not made an end. */
static void known_ends(void **state)
{
    (void)state;
    struct made m;
    make_bpe(&m, "gpt-2");
    const uint32_t im_end = add(&m, (struct token){"<|im_end|>", STO_TOKEN_CONTROL, 0});
    const uint32_t strike = add(&m, (struct token){"</s>", STO_TOKEN_NORMAL, 0});
    const uint32_t end = add(&m, (struct token){"<|end|>", STO_TOKEN_CONTROL, 0});
    struct sto_tokenizer *t = create(&m);
    assert_true(sto_tokenizer_is_end(t, im_end) && sto_tokenizer_is_end(t, end) && !sto_tokenizer_is_end(t, strike));
    expect(t, "</s>", SPECIAL, IDS(strike));
    expect(t, "<|im_end|>", PLAIN, IDS(D)); /* only d has a token */
    sto_tokenizer_destroy(t);
    add(&m, (struct token){"<|return|>", STO_TOKEN_CONTROL, 0}); /* gpt-oss: <|end|> ends a message, not the turn */
    add(&m, (struct token){"<|call|>", STO_TOKEN_CONTROL, 0});
    t = create(&m);
    assert_false(sto_tokenizer_is_end(t, end));
    assert_true(sto_tokenizer_is_end(t, im_end));
    sto_tokenizer_destroy(t);
}

/* ---- SPM ---- */

enum { UNK, S, END_S, BYTES, U_SP = BYTES + 256, U_A, U_B, U_C, U_SP_A, U_AB, U_AA, U_SP_ABC, U_SP_SP, U_CC, U_NI };

static void make_spm(struct made *m)
{
    static const struct token tokens[] = {{"\u2581", 0, -9}, {"a", 0, -5}, {"b", 0, -6}, {"c", 0, -7},
                                          {"\u2581a", 0, -2}, {"ab", 0, -1}, {"aa", 0, -3}, {"\u2581abc", 0, 0},
                                          {"\u2581\u2581", 0, -4}, {"cc", 0, -3}, {"\u4f60", 0, -8}};
    begin(m, STO_VOCAB_SPM, "default");
    add(m, (struct token){"<unk>", STO_TOKEN_UNKNOWN, 0});
    add(m, (struct token){"<s>", STO_TOKEN_CONTROL, 0});
    add(m, (struct token){"</s>", STO_TOKEN_CONTROL, 0});
    for (int b = 0; b < 256; b++) {
        snprintf(m->byte_texts[b], sizeof m->byte_texts[b], "<0x%02X>", (unsigned)b);
        add(m, (struct token){m->byte_texts[b], STO_TOKEN_BYTE, 0});
    }
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
        add(m, tokens[i]);
    m->vocab.bos = S;
    m->vocab.eos = END_S;
    m->vocab.unk = UNK;
}

static void spm_merges_by_score(void **state)
{
    (void)state;
    struct made m;
    make_spm(&m);
    struct sto_tokenizer *t = create(&m);
    assert_true(t->cut_words);
    expect(t, "", PLAIN, NO_IDS);
    expect(t, "ab", PLAIN, IDS(U_SP, U_AB));          /* ab before _a; no _ab */
    expect(t, "ac", PLAIN, IDS(U_SP_A, U_C));
    expect(t, "aab", PLAIN, IDS(U_SP_A, U_AB));       /* ab, then _a */
    expect(t, "caaa", PLAIN, IDS(U_SP, U_C, U_AA, U_A)); /* leftmost of equals */
    expect(t, "cccca aaaa", PLAIN, IDS(U_SP, U_CC, U_CC, U_A, U_SP_A, U_AA, U_A));
    expect(t, "abc", PLAIN, IDS(U_SP, U_AB, U_C));    /* _abc is not reached: no two neighbours make it */
    expect(t, "a  a", PLAIN, IDS(U_SP_A, U_SP, U_SP_A));
    expect(t, "   ", PLAIN, IDS(U_SP_SP, U_SP_SP));
    expect(t, "\u4f60", PLAIN, IDS(U_SP, U_NI));
    expect(t, "\u00e9", PLAIN, IDS(U_SP, BYTES + 0xc3, BYTES + 0xa9));
    expect(t, "\xff\n", PLAIN, IDS(U_SP, BYTES + 0xff, BYTES + 0x0a));
    expect(t, "c\u2581a", PLAIN, IDS(U_SP, U_C, U_SP_A)); /* a literal U+2581 is a space */
    expect(t, "ac", ADD, IDS(S, U_SP_A, U_C));
    expect(t, "", ADD, IDS(S));
    expect(t, "</s>", PLAIN, IDS(U_SP, BYTES + '<', BYTES + '/', BYTES + 's', BYTES + '>'));
    expect(t, "a</s>a", SPECIAL, IDS(U_SP_A, END_S, U_SP_A)); /* a space goes before the word after a special token */
    expect(t, "<0x41>", SPECIAL,
           IDS(U_SP, BYTES + '<', BYTES + '0', BYTES + 'x', BYTES + '4', BYTES + '1', BYTES + '>'));
    sto_tokenizer_destroy(t);
    m.vocab.has_add_space_prefix = true;
    t = create(&m);
    expect(t, "ab a", PLAIN, IDS(U_AB, U_SP_A));
    sto_tokenizer_destroy(t);
}

/* A token across a word boundary forbids cutting at words. */
static void spm_tokens_across_words(void **state)
{
    (void)state;
    struct made m;
    make_spm(&m);
    const uint32_t b_sp = add(&m, (struct token){"b\u2581", 0, 5}), b_sp_a = add(&m, (struct token){"b\u2581a", 0, 4});
    struct sto_tokenizer *t = create(&m);
    assert_false(t->cut_words);
    expect(t, "bb a", PLAIN, IDS(U_SP, U_B, b_sp_a));
    expect(t, "b b", PLAIN, IDS(U_SP, b_sp, U_B));
    sto_tokenizer_destroy(t);
}

/* Phi-3: special tokens swallow the white space behind them, but for <unk>, <s> and <|endoftext|>. */
static void spm_tokens_that_strip(void **state)
{
    (void)state;
    struct made m;
    make_spm(&m);
    struct sto_tokenizer *t = create(&m);
    expect(t, "</s> \n a", SPECIAL, IDS(END_S, U_SP_SP, BYTES + '\n', U_SP_A));
    sto_tokenizer_destroy(t);
    add(&m, (struct token){"<|placeholder1|>", STO_TOKEN_CONTROL, 0});
    t = create(&m);
    expect(t, "</s> \n a", SPECIAL, IDS(END_S, U_SP_A));
    expect(t, "<s> a", SPECIAL, IDS(S, U_SP, U_SP_A));
    sto_tokenizer_destroy(t);
}

static void spm_without_bytes(void **state)
{
    (void)state;
    struct made m;
    begin(&m, STO_VOCAB_SPM, "");
    m.vocab.unk = add(&m, (struct token){"<unk>", STO_TOKEN_UNKNOWN, 0});
    add(&m, (struct token){"\u2581", 0, -1});
    struct sto_tokenizer *t = create(&m);
    expect(t, "q", PLAIN, IDS(1, 0));
    sto_tokenizer_destroy(t);
}

/* ---- merging, the plain way ---- */

static uint32_t rng_state = 1;
static uint32_t rng(void)
{
    rng_state = rng_state * 1664525u + 1013904223u;
    return rng_state >> 8;
}

/* What the pair of symbols [begin, middle) and [middle, end) becomes: its place in the order, UINT32_MAX for never. */
static uint32_t plain_rank(const struct made *m, const char *text, size_t begin, size_t middle, size_t end)
{
    if (m->vocab.kind == STO_VOCAB_BPE) {
        for (uint32_t i = 0; i < m->vocab.n_merges; i++) { /* these merges are ASCII: bytes stand for themselves */
            const struct sto_view v = m->vocab.merges[i];
            if (v.size == end - begin + 1 && v.data[middle - begin] == ' ' &&
                memcmp(v.data, text + begin, middle - begin) == 0 &&
                memcmp(v.data + middle - begin + 1, text + middle, end - middle) == 0)
                return i;
        }
        return UINT32_MAX;
    }
    for (uint32_t id = U_SP; id < m->vocab.n_tokens; id++) { /* scores are whole numbers from -9 to 0 */
        const struct sto_view v = m->vocab.tokens[id];
        if (v.size == end - begin && memcmp(v.data, text + begin, v.size) == 0)
            return (uint32_t)-m->scores[id];
    }
    return UINT32_MAX;
}

/* Looks through all pairs again after every merge. `cuts` gets the ends of the symbols; returns how many. */
static size_t plain_merge(const struct made *m, const char *text, size_t size, size_t *cuts)
{
    size_t n = size;
    for (size_t i = 0; i < n; i++)
        cuts[i] = i + 1;
    for (;;) {
        uint32_t best = UINT32_MAX;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const uint32_t rank = plain_rank(m, text, i == 0 ? 0 : cuts[i - 1], cuts[i], cuts[i + 1]);
            if (rank < best) {
                best = rank;
                at = i;
            }
        }
        if (best == UINT32_MAX)
            return n;
        memmove(&cuts[at], &cuts[at + 1], (n - at - 1) * sizeof *cuts);
        n--;
    }
}

/* Words of 1 to 150 letters, on both sides of where the heap takes over, against the plain way. */
static void merges_equal_plain_merges(void **state)
{
    (void)state;
    static const char *const merges[] = {"a a", "b a", "ba a", "aa aa", "c b", "cb a", "a c", "aaaa a", "b b"};
    static const char *const words[] = {"aa", "ba", "baa", "aaaa", "cb", "cba", "ac", "aaaaa", "bb"};
    for (int kind = 0; kind < 2; kind++) {
        static struct made m;
        begin(&m, kind == 0 ? STO_VOCAB_BPE : STO_VOCAB_SPM, "gpt-2");
        m.vocab.has_add_space_prefix = true;
        while (m.vocab.n_tokens < (uint32_t)U_SP - 3) /* so that both kinds have letters from the same id on */
            add(&m, (struct token){"", 0, 0});
        for (int c = 0; c < 3; c++)
            add(&m, (struct token){c == 0 ? "a" : c == 1 ? "b" : "c", 0, -9});
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            add(&m, (struct token){words[i], 0, -(float)(i / 2)}); /* equal scores: leftmost first */
            if (kind == 0)
                add_merge(&m, merges[i]);
        }
        struct sto_tokenizer *t = create(&m);
        for (int round = 0; round < 1500; round++) {
            char text[160];
            size_t cuts[160], begin_at = 0;
            const size_t size = 1 + rng() % 150;
            struct sto_tokens tokens = {0};
            for (size_t i = 0; i < size; i++)
                text[i] = "aaaabbc"[rng() % 7];
            assert_int_equal(sto_tokenize(t, text, size, PLAIN, &tokens, NULL), STO_OK);
            assert_int_equal(plain_merge(&m, text, size, cuts), tokens.n);
            for (size_t i = 0; i < tokens.n; i++) {
                const struct sto_view v = sto_tokenizer_bytes(t, tokens.ids[i]);
                assert_int_equal(v.size, cuts[i] - begin_at);
                assert_memory_equal(v.data, text + begin_at, v.size);
                begin_at = cuts[i];
            }
            sto_tokens_free(&tokens);
        }
        sto_tokenizer_destroy(t);
    }
}

/* ---- back to text ---- */

/* Feeds ids; the whole text, which the caller compares. Every chunk must be valid UTF-8. */
static size_t detokenize(const struct sto_tokenizer *t, const uint32_t *ids, bool special, char *text, size_t room)
{
    struct sto_detokenizer d = {.tokenizer = t, .special = special, .at_start = true};
    size_t n = 0;
    for (; *ids != STO_TOKEN_NONE; ids++) {
        const size_t chunk = sto_detokenize(&d, *ids, text + n, room - n);
        assert_true(chunk <= sto_tokenizer_max_bytes(t));
        assert_true(sto_utf8_valid(text + n, chunk));
        n += chunk;
    }
    n += sto_detokenize_finish(&d, text + n, room - n);
    assert_true(n < room);
    text[n] = '\0';
    return n;
}

static void detokenize_spm(void **state)
{
    (void)state;
    struct made m;
    char text[256];
    make_spm(&m);
    struct sto_tokenizer *t = create(&m);
    detokenize(t, IDS(S, U_SP_A, U_C, U_SP_A), false, text, sizeof text);
    assert_string_equal(text, "ac a");
    detokenize(t, IDS(S, U_SP_SP, U_A, END_S), true, text, sizeof text);
    assert_string_equal(text, "<s> a</s>");
    detokenize(t, IDS(U_A, U_SP_A, UNK), false, text, sizeof text);
    assert_string_equal(text, "a a");
    detokenize(t, IDS(U_A, N_BPE + 100000, U_B), false, text, sizeof text); /* no such id */
    assert_string_equal(text, "ab");
    sto_tokenizer_destroy(t);
}

/* Table 3-8 to 3-11 of the Unicode standard 15.0: how ill-formed sequences are replaced. R is U+FFFD. */
static void detokenize_ill_formed(void **state)
{
    (void)state;
#define R "\xef\xbf\xbd"
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", R R R R R R R R "A"},
        {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", R R R R R R R R "A"},
        {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", R R R R R "A" R R "B"},
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", R R R R "A"},
        {"\xf0\x9f\x98\x80\xf0\x9f\x98", "\U0001f600" R},
        {"\xe4\xbd\xa0\xe4\xbd", "\u4f60" R},
        {"\xc3\xa9\xc3", "\u00e9" R},
    };
#undef R
    struct made m;
    make_spm(&m);
    struct sto_tokenizer *t = create(&m);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t ids[32];
        char text[128];
        size_t n = 0;
        for (; cases[i].bytes[n] != '\0'; n++)
            ids[n] = BYTES + (uint8_t)cases[i].bytes[n];
        ids[n] = STO_TOKEN_NONE;
        detokenize(t, ids, false, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
    sto_tokenizer_destroy(t);
}

/* Characters of 1 to 4 bytes at random; returns the size. */
static size_t random_text(char *text, size_t n_chars)
{
    static const char *const chars[] = {"a", "b", " ", "c", "\n", "\u00e9", "\u4f60", "\U0001f600", "<", "\u2581",
                                        "<|c|>", "\u0301", "\u200d", "1", "'s", "\r\n", "  "};
    size_t n = 0;
    for (size_t i = 0; i < n_chars; i++) {
        const char *c = chars[rng() % (sizeof chars / sizeof chars[0])];
        memcpy(text + n, c, strlen(c));
        n += strlen(c);
    }
    return n;
}

/* A byte-level vocabulary with all 256 bytes, in the order of the bytes, and a few merges; texts of bytes are written
 * by Unicode's names for the ranges, not by the code under test. */
static void make_all_bytes(struct made *m)
{
    begin(m, STO_VOCAB_BPE, "qwen2");
    uint32_t next = 0x100;
    for (uint32_t b = 0; b < 256; b++) {
        const bool itself = (b > ' ' && b < 0x7f) || (b > 0xa0 && b != 0xad);
        const uint32_t cp = itself ? b : next++;
        if (cp < 0x80)
            snprintf(m->byte_texts[b], sizeof m->byte_texts[b], "%c", (char)cp);
        else
            snprintf(m->byte_texts[b], sizeof m->byte_texts[b], "%c%c", (char)(0xc0 | cp >> 6),
                     (char)(0x80 | (cp & 63)));
        add(m, (struct token){m->byte_texts[b], 0, 0});
    }
    add(m, (struct token){"<|c|>", STO_TOKEN_CONTROL, 0});
    add(m, (struct token){"aa", 0, 0});
    add(m, (struct token){"\u00f0\u0141", 0, 0}); /* the bytes f0 9f: half of an emoji */
    add_merge(m, "a a");
    add_merge(m, "\u00f0 \u0141");
}

static void text_comes_back(void **state)
{
    (void)state;
    struct made m;
    make_all_bytes(&m);
    struct sto_tokenizer *t = create(&m);
    for (int round = 0; round < 2000; round++) {
        char text[512], back[4096];
        struct sto_tokens tokens = {0};
        const bool bytes = round % 2 == 1;
        size_t size = random_text(text, rng() % 40);
        for (size_t i = 0; bytes && i < size; i++)
            text[i] = (char)(rng() % 3 == 0 ? rng() : (uint8_t)text[i]);
        assert_int_equal(sto_tokenize(t, text, size, round % 3 == 0 ? SPECIAL : PLAIN, &tokens, NULL), STO_OK);
        size_t n = 0;
        for (size_t i = 0; i < tokens.n; i++) { /* the bytes of the tokens are the text, whatever it is */
            const struct sto_view v = sto_tokenizer_bytes(t, tokens.ids[i]);
            memcpy(back + n, v.data, v.size);
            n += v.size;
        }
        assert_int_equal(n, size);
        assert_int_equal(memcmp(back, text, size), 0);
        assert_int_equal(sto_tokens_push(&tokens, STO_TOKEN_NONE, NULL), STO_OK);
        if (!bytes) {
            assert_int_equal(detokenize(t, tokens.ids, true, back, sizeof back), size);
            assert_int_equal(memcmp(back, text, size), 0);
        }
        sto_tokens_free(&tokens);
    }
    sto_tokenizer_destroy(t);
}

/* ---- work ---- */

/* A million bytes without a space: work grows like n log n. 60 moves for each byte is three times log2 of a million. */
static void a_million_bytes(void **state)
{
    (void)state;
    enum { N = 1000000 };
    static const char *const words[] = {"a", "ab", "abc", "cabbacab"};
    struct made m;
    char *text = sto_calloc(N, 1);
    assert_non_null(text);
    for (int kind = 0; kind < 2; kind++) {
        for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
            if (kind == 0)
                make_bpe(&m, "qwen2");
            else
                make_spm(&m);
            struct sto_tokenizer *t = create(&m);
            struct sto_merger merger = {0};
            struct sto_tokens tokens = {0};
            for (size_t i = 0; i < N; i++)
                text[i] = words[w][i % strlen(words[w])];
            assert_int_equal(sto_tokenize_with(t, text, N, PLAIN, &merger, &tokens, NULL), STO_OK);
            assert_true(merger.n_merges < N);
            assert_true(merger.n_lookups <= 3u * N);
            assert_true(merger.n_moves <= 60u * N);
            assert_int_equal(tokens.n, N + (size_t)kind - merger.n_merges); /* SPM adds a space */
            sto_tokens_free(&tokens);
            sto_merger_free(&merger);
            sto_tokenizer_destroy(t);
        }
    }
    sto_free(text);
}

/* A quadratic pattern would run for hours on these. */
static void a_million_blanks(void **state)
{
    (void)state;
    enum { N = 1000000 };
    static const char *const pres[] = {"gpt-2", "llama-bpe", "gpt-4o", "deepseek-llm", "deepseek-v3", "tekken"};
    static const char fills[] = {' ', '\n', 'A', '.', '7', '\''};
    char *text = sto_calloc(N, 1);
    assert_non_null(text);
    for (size_t p = 0; p < sizeof pres / sizeof pres[0]; p++) {
        struct made m;
        make_bpe(&m, pres[p]);
        struct sto_tokenizer *t = create(&m);
        for (size_t f = 0; f < sizeof fills; f++) {
            struct sto_tokens tokens = {0};
            memset(text, fills[f], N);
            text[N - 1] = 'a';
            assert_int_equal(sto_tokenize(t, text, N, PLAIN, &tokens, NULL), STO_OK);
            assert_true(tokens.n > 0 && tokens.ids[tokens.n - 1] == A);
            sto_tokens_free(&tokens);
        }
        sto_tokenizer_destroy(t);
    }
    sto_free(text);
}

/* ---- errors ---- */

static void expect_refused(const struct made *m, const char *part)
{
    struct sto_tokenizer *t;
    struct sto_error err = {0};
    assert_int_equal(sto_tokenizer_create(&m->vocab, &t, &err), STO_ERR_MODEL);
    assert_null(t);
    if (strstr(err.message, part) == NULL || strchr(err.message, '\n') != NULL)
        fail_msg("\"%s\" does not name \"%s\"", err.message, part);
}

static void bad_vocabularies(void **state)
{
    (void)state;
    struct made m;
    make_bpe(&m, "no-such-pre");
    expect_refused(&m, "\"no-such-pre\" is not a known pre-tokenizer (known: default");
    make_bpe(&m, "gpt-2");
    m.merges[3] = view("nospace");
    expect_refused(&m, "tokenizer.ggml.merges[3]: \"nospace\"");
    m.merges[3] = view("x ");
    expect_refused(&m, "merges[3]");
    m.merges[3] = view("");
    expect_refused(&m, "merges[3]");
    make_bpe(&m, "gpt-2");
    m.vocab.merges = NULL;
    m.vocab.n_merges = 0;
    expect_refused(&m, "tokenizer.ggml.merges");
    make_bpe(&m, "gpt-2");
    m.vocab.n_tokens = 0;
    expect_refused(&m, "tokenizer.ggml.tokens");
    m.vocab.kind = STO_VOCAB_NONE;
    m.vocab.model = view("bert");
    expect_refused(&m, "\"bert\"");
}

static void memory_runs_out(void **state)
{
    (void)state;
    struct made m;
    for (int kind = 0; kind < 2; kind++) {
        enum sto_status status = STO_ERR_FAILED;
        for (uint64_t n = 1; status != STO_OK; n++) {
            struct sto_tokenizer *t;
            struct sto_error err = {0};
            struct sto_tokens tokens = {0};
            char text[8192];
            if (kind == 0)
                make_bpe(&m, "gpt-2");
            else
                make_spm(&m);
            memset(text, 'a', sizeof text);
            sto_alloc_fail_after(n);
            status = sto_tokenizer_create(&m.vocab, &t, &err);
            if (status == STO_OK)
                status = sto_tokenize(t, text, sizeof text, PLAIN, &tokens, &err);
            sto_alloc_fail_after(0);
            assert_true(status == STO_OK || (status == STO_ERR_FAILED && err.message[0] != '\0'));
            assert_true(n < 200);
            sto_tokens_free(&tokens);
            sto_tokenizer_destroy(t);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bpe_merges_by_rank),
        cmocka_unit_test(bpe_repeated_merge),
        cmocka_unit_test(bpe_long_pieces),
        cmocka_unit_test(bpe_special_tokens),
        cmocka_unit_test(bos_and_eos),
        cmocka_unit_test(known_ends),
        cmocka_unit_test(spm_merges_by_score),
        cmocka_unit_test(spm_tokens_across_words),
        cmocka_unit_test(spm_tokens_that_strip),
        cmocka_unit_test(spm_without_bytes),
        cmocka_unit_test(merges_equal_plain_merges),
        cmocka_unit_test(detokenize_spm),
        cmocka_unit_test(detokenize_ill_formed),
        cmocka_unit_test(text_comes_back),
        cmocka_unit_test(a_million_bytes),
        cmocka_unit_test(a_million_blanks),
        cmocka_unit_test(bad_vocabularies),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

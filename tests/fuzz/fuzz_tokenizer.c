/* Text on several vocabularies, and vocabularies made of the input.
 *
 * Input: byte 0 chooses the vocabulary and the flags. Below 128: one of the fixed vocabularies, the rest is text.
 * From 128 on: the rest is records that become a vocabulary, up to a zero length, then text.
 * Checked: no id is out of range, a byte-level vocabulary with all bytes gives the text back, chunks of the
 * detokenizer are valid UTF-8 and add up to the same text however the ids are read. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/tokenizer_internal.h"
#include "runtime/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TOKENS = 512, MAX_MERGES = 256 };

struct made {
    struct sto_vocab vocab;
    struct sto_view tokens[MAX_TOKENS], merges[MAX_MERGES];
    uint8_t kinds[MAX_TOKENS];
    float scores[MAX_TOKENS];
    char texts[256][8];
};

static const char *const pres[] = {"default", "gpt-2",        "llama-bpe",      "qwen2",       "gpt-4o", "kimi-k2",
                                   "falcon",  "deepseek-llm", "deepseek-coder", "deepseek-v3", "tekken", "bloom"};

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

static void add(struct made *m, const char *text, size_t size, uint8_t kind, float score)
{
    const uint32_t id = m->vocab.n_tokens;
    if (id == MAX_TOKENS)
        return;
    m->tokens[id] = (struct sto_view){text, size};
    m->kinds[id] = kind;
    m->scores[id] = score;
    m->vocab.n_tokens++;
}

static void begin(struct made *m, enum sto_vocab_kind kind, const char *pre)
{
    memset(m, 0, sizeof *m);
    m->vocab = (struct sto_vocab){.kind = kind,
                                  .model = {"made", 4},
                                  .pre = {pre, strlen(pre)},
                                  .tokens = m->tokens,
                                  .kinds = m->kinds,
                                  .scores = m->scores,
                                  .merges = m->merges,
                                  .bos = STO_TOKEN_NONE,
                                  .eos = STO_TOKEN_NONE,
                                  .eot = STO_TOKEN_NONE,
                                  .unk = STO_TOKEN_NONE,
                                  .pad = STO_TOKEN_NONE,
                                  .chat_template = {"", 0}};
}

static void add_bytes(struct made *m)
{
    uint32_t next = 0x100;
    for (uint32_t b = 0; b < 256; b++) {
        char *text = m->texts[b];
        size_t n = 0;
        if (m->vocab.kind == STO_VOCAB_SPM) {
            n = (size_t)snprintf(text, sizeof m->texts[b], "<0x%02X>", (unsigned)b);
        } else {
            const uint32_t cp = (b > ' ' && b < 0x7f) || (b > 0xa0 && b != 0xad) ? b : next++;
            if (cp >= 0x80)
                text[n++] = (char)(0xc0 | cp >> 6);
            text[n++] = (char)(cp < 0x80 ? cp : 0x80 | (cp & 63));
        }
        add(m, text, n, m->vocab.kind == STO_VOCAB_SPM ? STO_TOKEN_BYTE : STO_TOKEN_NORMAL, 0);
    }
}

static void add_merge(struct made *m, const char *text, size_t size)
{
    if (m->vocab.n_merges < MAX_MERGES)
        m->merges[m->vocab.n_merges++] = (struct sto_view){text, size};
}

/* A vocabulary that is the same in every run: SPM for number 0, else BPE with pre-tokenizer number - 1. */
static void make_fixed(struct made *m, unsigned number)
{
    static const char *const words[] = {"aa", "aaaa", "ab", "\u0120a", "\u00e4\u00bd", "\u00f0\u0141", "in", "ing"};
    static const char *const merges[] = {"a a",           "aa aa",         "a b", "\u0120 a",
                                         "\u00e4 \u00bd", "\u00f0 \u0141", "i n", "in g"};
    static const char *const spm[] = {"\u2581", "a", "b", "aa", "\u2581a", "ab", "\u2581\u2581", "\u4f60", "in", "n"};
    begin(m, number == 0 ? STO_VOCAB_SPM : STO_VOCAB_BPE, number == 0 ? "" : pres[number - 1]);
    add_bytes(m);
    for (size_t i = 0; number == 0 && i < sizeof spm / sizeof *spm; i++)
        add(m, spm[i], strlen(spm[i]), STO_TOKEN_NORMAL, -(float)i);
    for (size_t i = 0; number > 0 && i < sizeof words / sizeof *words; i++) {
        add(m, words[i], strlen(words[i]), STO_TOKEN_NORMAL, 0);
        add_merge(m, merges[i], strlen(merges[i]));
    }
    add(m, "<|c|>", 5, STO_TOKEN_CONTROL, 0);
    add(m, "<t>", 3, STO_TOKEN_USER, 0);
    add(m, "  ", 2, STO_TOKEN_USER, 0);
    m->vocab.bos = m->vocab.n_tokens - 3;
    m->vocab.eos = 0;
}

/* Records of the input: length (1 to 63, bit 6 for a merge, bit 7 for a strange kind), then the text. */
static void make_fuzzed(struct made *m, uint8_t flags, const uint8_t **data, size_t *size)
{
    begin(m, (flags & 1) != 0 ? STO_VOCAB_SPM : STO_VOCAB_BPE, pres[(flags >> 1 & 31) % (sizeof pres / sizeof *pres)]);
    if ((flags & 64) != 0)
        add_bytes(m);
    while (*size > 0 && (*data)[0] != 0) {
        const uint8_t head = (*data)[0];
        size_t n = head & 63;
        (*data)++;
        (*size)--;
        n = n < *size ? n : *size;
        if ((head & 64) != 0)
            add_merge(m, (const char *)*data, n);
        else
            add(m, (const char *)*data, n, (uint8_t)((head & 128) != 0 && n > 0 ? 1 + (*data)[0] % 6 : 1),
                n > 0 ? (float)((*data)[n - 1] % 16) : 0);
        *data += n;
        *size -= n;
    }
    if (m->vocab.n_tokens > 0) {
        m->vocab.unk = (flags & 2) != 0 ? 0 : STO_TOKEN_NONE;
        m->vocab.bos = m->vocab.n_tokens - 1;
        m->vocab.has_add_bos = m->vocab.add_bos = (flags & 4) != 0;
        m->vocab.has_add_space_prefix = (flags & 8) != 0;
    }
    *data += *size > 0;
    *size -= *size > 0;
}

/* Text of ids[0, n) through one detokenizer, in a buffer of its own. */
static char *detokenize(const struct sto_tokenizer *t, const struct sto_tokens *tokens, size_t *size)
{
    const size_t room = sto_tokenizer_max_bytes(t);
    char *text = sto_calloc(tokens->n + 1, room);
    struct sto_detokenizer d = {.tokenizer = t, .special = true};
    require(text != NULL, "memory");
    *size = 0;
    for (size_t i = 0; i < tokens->n; i++) {
        char *chunk = sto_calloc(room, 1); /* exactly the promised room, so that a sanitizer sees an overrun */
        require(chunk != NULL, "memory");
        const size_t n = sto_detokenize(&d, tokens->ids[i], chunk, room);
        require(n <= room && sto_utf8_valid(chunk, n), "a chunk is valid UTF-8");
        memcpy(text + *size, chunk, n);
        *size += n;
        sto_free(chunk);
    }
    *size += sto_detokenize_finish(&d, text + *size, room);
    return text;
}

static void check_text(const struct sto_tokenizer *t, struct sto_tokenize_params params, const char *text, size_t size,
                       bool all_bytes)
{
    struct sto_tokens tokens = {0};
    require(sto_tokenize(t, text, size, params, &tokens, NULL) == STO_OK, "any text can be tokenized");
    size_t joined = 0;
    for (size_t i = 0; i < tokens.n; i++) {
        require(tokens.ids[i] < sto_tokenizer_n_tokens(t), "ids are in range");
        joined += sto_tokenizer_bytes(t, tokens.ids[i]).size;
    }
    size_t back_size;
    char *back = detokenize(t, &tokens, &back_size);
    require(sto_utf8_valid(back, back_size), "the whole is valid UTF-8");
    if (all_bytes && t->kind == STO_VOCAB_BPE && !params.add_special) {
        require(joined == size, "the bytes of the tokens are the text");
        if (sto_utf8_valid(text, size))
            require(back_size == size && memcmp(back, text, size) == 0, "the text comes back");
    }
    sto_free(back);
    sto_tokens_free(&tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sto_tokenizer *fixed[1 + sizeof pres / sizeof *pres];
    static struct made made;
    if (size == 0)
        return 0;
    const uint8_t choice = data[0];
    data++;
    size--;
    const struct sto_tokenize_params params = {.parse_special = (choice & 32) != 0, .add_special = (choice & 16) != 0};
    if (choice < 128) {
        const unsigned number = (choice & 15) % (1 + sizeof pres / sizeof *pres);
        if (fixed[number] == NULL) {
            make_fixed(&made, number);
            require(sto_tokenizer_create(&made.vocab, &fixed[number], NULL) == STO_OK, "fixed vocabularies are valid");
        }
        check_text(fixed[number], params, (const char *)data, size, true);
        return 0;
    }
    if (size == 0)
        return 0;
    const uint8_t flags = data[0];
    data++;
    size--;
    struct sto_tokenizer *t;
    struct sto_error err = {0};
    make_fuzzed(&made, flags, &data, &size);
    const enum sto_status status = sto_tokenizer_create(&made.vocab, &t, &err);
    require(status == STO_OK ? t != NULL : t == NULL && err.message[0] != '\0', "a refusal says why");
    if (status == STO_OK)
        check_text(t, params, (const char *)data, size, false);
    sto_tokenizer_destroy(t);
    return 0;
}

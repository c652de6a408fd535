/* The tables of a byte-level BPE vocabulary.
 *
 * Its texts write every byte as a printable character: 0x21..0x7e, 0xa1..0xac and 0xae..0xff as themselves, the other
 * 68 in order as U+0100 and on (GPT-2's table). Merging works on ids. A merge may name texts that are no tokens; they
 * get ids from n_tokens on, and come out as the tokens of their bytes. */
#include "host/tokenizer_internal.h"

#include <string.h>

#include "runtime/base/mem.h"

static bool printable(uint32_t b)
{
    return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
}

/* The byte that a code point stands for; -1 when it stands for none. */
static int byte_of(uint32_t cp)
{
    if (cp < 0x100)
        return printable(cp) ? (int)cp : -1;
    if (cp <= 0x120)
        return (int)(cp - 0x100);
    if (cp <= 0x142)
        return (int)(cp - 0x121 + 0x7f);
    return cp == 0x143 ? 0xad : -1;
}

/* Writes the character of a byte, 1 or 2 bytes of UTF-8. */
static size_t encode_byte(uint8_t b, char dst[2])
{
    uint32_t cp = b;
    if (!printable(b))
        cp = b <= 0x20 ? 0x100u + b : b == 0xad ? 0x143u : 0x121u + b - 0x7f;
    if (cp < 0x80) {
        dst[0] = (char)cp;
        return 1;
    }
    dst[0] = (char)(0xc0 | cp >> 6);
    dst[1] = (char)(0x80 | (cp & 0x3f));
    return 2;
}

size_t sto_bpe_decode(struct sto_view text, char *dst)
{
    size_t n = 0;
    for (size_t i = 0; i < text.size;) {
        const uint8_t *s = (const uint8_t *)text.data + i;
        const size_t len = sto_utf8_sequence(text.data + i, text.size - i);
        const uint32_t cp = len == 1 ? s[0] : len == 2 ? (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f) : UINT32_MAX;
        const int byte = byte_of(cp);
        if (byte < 0) {
            memcpy(dst, text.data, text.size);
            return text.size;
        }
        dst[n++] = (char)byte;
        i += len;
    }
    return n;
}

/* All texts that merging meets: the tokens first. */
struct symbols {
    struct sto_view *texts;
    uint32_t n, capacity;
    struct sto_text_table table;
    struct sto_arena arena;
    char joined[2 * STO_TOKENIZER_MAX_TOKEN_BYTES];
};

/* The id of a text, made where it is missing; STO_TOKEN_NONE when memory is short. */
static uint32_t intern(struct symbols *s, const char *text, size_t size)
{
    const uint32_t found = sto_text_table_find(&s->table, text, size);
    if (found != STO_TOKEN_NONE)
        return found;
    if (s->n == s->capacity) {
        const uint32_t capacity = s->capacity + s->capacity / 2 + 256;
        struct sto_view *grown = sto_realloc(s->texts, capacity, sizeof *grown);
        if (grown == NULL)
            return STO_TOKEN_NONE;
        s->table.texts = s->texts = grown;
        s->capacity = capacity;
    }
    const char *copy = sto_arena_strndup(&s->arena, text, size);
    if (copy == NULL)
        return STO_TOKEN_NONE;
    s->texts[s->n] = (struct sto_view){copy, size};
    return sto_text_table_add(&s->table, s->n++);
}

/* The parts of "left right"; a part is never empty, and the left one may begin with a blank. */
static bool cut_merge(struct sto_view merge, struct sto_view *left, struct sto_view *right)
{
    const char *blank = merge.size < 3 ? NULL : memchr(merge.data + 1, ' ', merge.size - 2);
    if (blank == NULL)
        return false;
    *left = (struct sto_view){merge.data, (size_t)(blank - merge.data)};
    *right = (struct sto_view){blank + 1, merge.size - left->size - 1};
    return left->size <= STO_TOKENIZER_MAX_TOKEN_BYTES && right->size <= STO_TOKENIZER_MAX_TOKEN_BYTES;
}

static enum sto_status add_merges(struct sto_tokenizer *t, const struct sto_vocab *vocab, struct symbols *s,
                                  struct sto_error *err)
{
    for (uint32_t i = 0; i < vocab->n_merges; i++) {
        struct sto_view left, right;
        if (!cut_merge(vocab->merges[i], &left, &right))
            return sto_fail(err, STO_ERR_MODEL,
                            "tokenizer.ggml.merges[%lu]: \"%.*s\" is not two texts with a blank between",
                            (unsigned long)i, (int)(vocab->merges[i].size > 64 ? 64 : vocab->merges[i].size),
                            vocab->merges[i].data);
        memcpy(s->joined, left.data, left.size);
        memcpy(s->joined + left.size, right.data, right.size);
        const struct sto_merge merge = {.left = intern(s, left.data, left.size),
                                        .right = intern(s, right.data, right.size),
                                        .rank = i,
                                        .id = intern(s, s->joined, left.size + right.size)};
        if (merge.left == STO_TOKEN_NONE || merge.right == STO_TOKEN_NONE || merge.id == STO_TOKEN_NONE)
            return sto_fail(err, STO_ERR_FAILED, "no memory for the tokenizer's merges");
        sto_merge_table_add(&t->merges, merge);
    }
    return STO_OK;
}

static enum sto_status add_bytes(struct sto_tokenizer *t, struct symbols *s, struct sto_error *err)
{
    /* Some files name their end of text as the unknown token, which must not come out of text. */
    const bool has_unknown = t->unk != STO_TOKEN_NONE && t->kinds[t->unk] == STO_TOKEN_UNKNOWN;
    const uint32_t unknown = has_unknown ? t->unk : STO_TOKEN_NONE;
    for (uint32_t b = 0; b < 256; b++) {
        char text[8];
        const size_t size = encode_byte((uint8_t)b, text);
        t->byte_symbols[b] = intern(s, text, size);
        if (t->byte_symbols[b] == STO_TOKEN_NONE)
            return sto_fail(err, STO_ERR_FAILED, "no memory for the tokenizer's bytes");
        const bool token = t->byte_symbols[b] < t->n_tokens;
        t->byte_ids[b] = token ? t->byte_symbols[b] : unknown;
    }
    return STO_OK;
}

enum sto_status sto_bpe_build(struct sto_tokenizer *t, const struct sto_vocab *vocab, struct sto_error *err)
{
    bool has_memory = false;
    enum sto_status status = STO_OK;
    struct symbols *s = sto_calloc(1, sizeof *s);
    if (s == NULL)
        return sto_fail(err, STO_ERR_FAILED, "no memory for the tokenizer's merges");
    s->capacity = vocab->n_tokens + 512;
    s->texts = sto_calloc(s->capacity, sizeof *s->texts);
    if (s->texts == NULL || !sto_text_table_init(&s->table, s->texts, vocab->n_tokens) ||
        !sto_merge_table_init(&t->merges, vocab->n_merges))
        goto out;
    memcpy(s->texts, vocab->tokens, vocab->n_tokens * sizeof *s->texts);
    s->n = vocab->n_tokens;
    for (uint32_t id = 0; id < vocab->n_tokens; id++) {
        if (sto_text_table_add(&s->table, id) == STO_TOKEN_NONE)
            goto out;
    }
    has_memory = true;
    status = add_bytes(t, s, err);
    if (status == STO_OK)
        status = add_merges(t, vocab, s, err);
out:
    if (!has_memory)
        status = sto_fail(err, STO_ERR_FAILED, "no memory for the tokenizer's merges");
    sto_text_table_free(&s->table);
    sto_arena_free(&s->arena);
    sto_free(s->texts);
    sto_free(s);
    return status;
}

/* Builds a tokenizer from a vocabulary, and turns text into ids. tokenizer_internal.h shows the way of a text. */
#include "host/tokenizer_internal.h"

#include <string.h>

#include "runtime/base/mem.h"

/* ---- lists of ids ---- */

void sto_tokens_free(struct sto_tokens *tokens)
{
    sto_free(tokens->ids);
    *tokens = (struct sto_tokens){0};
}

enum sto_status sto_tokens_push(struct sto_tokens *tokens, uint32_t id, struct sto_error *err)
{
    if (tokens->n == tokens->capacity) {
        const size_t capacity = tokens->capacity < 32 ? 64 : tokens->capacity * 2;
        uint32_t *grown = sto_realloc(tokens->ids, capacity, sizeof *grown);
        if (grown == NULL)
            return sto_fail(err, STO_ERR_FAILED, "no memory for %zu tokens", capacity);
        tokens->ids = grown;
        tokens->capacity = capacity;
    }
    tokens->ids[tokens->n++] = id;
    return STO_OK;
}

/* ---- building ---- */

static const char BLANK[] = "\u2581"; /* how SPM vocabularies write a space */
enum { BLANK_BYTES = 3 };

/* The value of a byte token's text, "<0x0A>"; -1 for any other text. */
static int byte_token(struct sto_view text)
{
    int value = 0;
    if (text.size != 6 || memcmp(text.data, "<0x", 3) != 0 || text.data[5] != '>')
        return -1;
    for (int i = 3; i < 5; i++) {
        const char c = text.data[i];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Copies SPM text with U+2581 as a space. */
static size_t copy_spm(const char *text, size_t size, char *dst)
{
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        const bool blank = (uint8_t)text[i] == 0xe2 && size - i >= BLANK_BYTES &&
                           memcmp(text + i, BLANK, BLANK_BYTES) == 0;
        dst[n++] = blank ? ' ' : text[i];
        i += blank ? BLANK_BYTES : 1;
    }
    return n;
}

static bool is_special(uint8_t kind)
{
    return kind == STO_TOKEN_CONTROL || kind == STO_TOKEN_UNKNOWN || kind == STO_TOKEN_USER;
}

/* Whether a token is a byte token: by its kind, in SPM by its text alone (old files have no kinds). */
static bool is_byte(const struct sto_tokenizer *t, uint32_t id, struct sto_view text)
{
    const bool allowed = t->kind == STO_VOCAB_SPM ? !is_special(t->kinds[id]) : t->kinds[id] == STO_TOKEN_BYTE;
    return allowed && byte_token(text) >= 0;
}

/* Copies what every token stands for. */
static enum sto_status copy_bytes(struct sto_tokenizer *t, const struct sto_vocab *vocab, struct sto_error *err)
{
    size_t total = 0;
    for (uint32_t id = 0; id < t->n_tokens; id++) {
        if (vocab->tokens[id].size > STO_TOKENIZER_MAX_TOKEN_BYTES)
            return sto_fail(err, STO_ERR_MODEL, "tokenizer.ggml.tokens[%lu] has %zu bytes, more than %d",
                            (unsigned long)id, vocab->tokens[id].size, STO_TOKENIZER_MAX_TOKEN_BYTES);
        total += vocab->tokens[id].size;
    }
    t->blob = sto_calloc(total, 1);
    t->bytes = sto_calloc(t->n_tokens, sizeof *t->bytes);
    t->kinds = sto_calloc(t->n_tokens, 1);
    t->ends = sto_calloc(t->n_tokens, 1);
    if (t->blob == NULL || t->bytes == NULL || t->kinds == NULL || t->ends == NULL)
        return sto_fail(err, STO_ERR_FAILED, "no memory for a vocabulary of %lu tokens", (unsigned long)t->n_tokens);
    memcpy(t->kinds, vocab->kinds, t->n_tokens);
    char *dst = t->blob;
    for (uint32_t id = 0; id < t->n_tokens; id++) {
        const struct sto_view text = vocab->tokens[id];
        size_t size = text.size;
        if (is_byte(t, id, text)) {
            dst[0] = (char)byte_token(text);
            size = 1;
        } else if (is_special(t->kinds[id])) {
            if (size > 0)
                memcpy(dst, text.data, size);
        } else {
            size = t->kind == STO_VOCAB_SPM ? copy_spm(text.data, size, dst) : sto_bpe_decode(text, dst);
        }
        t->bytes[id] = (struct sto_view){dst, size};
        t->max_bytes = size > t->max_bytes ? size : t->max_bytes;
        dst += size;
    }
    return STO_OK;
}

/* The table of what ordinary text may become. */
static bool build_words(struct sto_tokenizer *t, const struct sto_vocab *vocab)
{
    if (!sto_text_table_init(&t->words, t->bytes, t->n_tokens))
        return false;
    t->cut_words = true;
    for (uint32_t id = 0; id < t->n_tokens; id++) {
        const struct sto_view word = t->bytes[id];
        if (is_special(t->kinds[id]) || word.size == 0 || is_byte(t, id, vocab->tokens[id]))
            continue;
        if (sto_text_table_add(&t->words, id) == STO_TOKEN_NONE)
            return false;
        t->max_word = word.size > t->max_word ? word.size : t->max_word;
        for (size_t i = 1; i < word.size; i++)
            t->cut_words = t->cut_words && !(word.data[i] == ' ' && word.data[i - 1] != ' ');
    }
    return true;
}

/* Ranks that order tokens by falling score; equal scores have equal ranks. */
static uint32_t rank_of(float score)
{
    const float positive_zero = score + 0.0f;
    uint32_t bits;
    memcpy(&bits, &positive_zero, sizeof bits);
    return ~((bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u);
}

static enum sto_status build_spm(struct sto_tokenizer *t, const struct sto_vocab *vocab, struct sto_error *err)
{
    t->ranks = sto_calloc(t->n_tokens, sizeof *t->ranks);
    if (t->ranks == NULL)
        return sto_fail(err, STO_ERR_FAILED, "no memory for the scores of %lu tokens", (unsigned long)t->n_tokens);
    for (uint32_t b = 0; b < 256; b++)
        t->byte_ids[b] = t->unk;
    for (uint32_t id = t->n_tokens; id-- > 0;) {
        t->ranks[id] = rank_of(vocab->scores == NULL ? 0.0f : vocab->scores[id]);
        if (is_byte(t, id, vocab->tokens[id]))
            t->byte_ids[byte_token(vocab->tokens[id])] = id;
    }
    return STO_OK;
}

static enum sto_status check_vocab(const struct sto_vocab *vocab, struct sto_error *err)
{
    if (vocab->kind != STO_VOCAB_SPM && vocab->kind != STO_VOCAB_BPE)
        return sto_fail(err, STO_ERR_MODEL,
                        "tokenizer.ggml.model: \"%.*s\" is not a known kind of tokenizer (known: llama gpt2)",
                        (int)(vocab->model.size > 64 ? 64 : vocab->model.size),
                        vocab->model.size == 0 ? "" : vocab->model.data);
    if (vocab->n_tokens == 0 || vocab->n_tokens > STO_TOKENIZER_MAX_TOKENS)
        return sto_fail(err, STO_ERR_MODEL, "tokenizer.ggml.tokens has %lu elements, not 1 to %d",
                        (unsigned long)vocab->n_tokens, STO_TOKENIZER_MAX_TOKENS);
    if (vocab->kind == STO_VOCAB_BPE && vocab->merges == NULL)
        return sto_fail(err, STO_ERR_MODEL, "tokenizer.ggml.merges is missing, which the tokenizer \"gpt2\" needs");
    return STO_OK;
}

static void set_rules(struct sto_tokenizer *t, const struct sto_vocab *vocab)
{
    const bool spm = t->kind == STO_VOCAB_SPM;
    t->add_bos = vocab->has_add_bos ? vocab->add_bos : spm || t->pre.add_bos;
    t->add_eos = vocab->add_eos;
    t->add_space_prefix = spm && (vocab->has_add_space_prefix ? vocab->add_space_prefix : true);
    t->bos = vocab->bos;
    if (spm && t->bos == STO_TOKEN_NONE)
        t->bos = sto_special_find(&t->special, "<s>", 3);
}

enum sto_status sto_tokenizer_create(const struct sto_vocab *vocab, struct sto_tokenizer **out, struct sto_error *err)
{
    *out = NULL;
    enum sto_status status = check_vocab(vocab, err);
    if (status != STO_OK)
        return status;
    struct sto_tokenizer *t = sto_calloc(1, sizeof *t);
    if (t == NULL)
        return sto_fail(err, STO_ERR_FAILED, "no memory for a tokenizer");
    t->kind = vocab->kind;
    t->n_tokens = vocab->n_tokens;
    t->eos = vocab->eos < t->n_tokens ? vocab->eos : STO_TOKEN_NONE;
    t->unk = vocab->unk < t->n_tokens ? vocab->unk : STO_TOKEN_NONE;
    if (t->kind == STO_VOCAB_BPE)
        status = sto_pre_find(vocab->pre, &t->pre, err);
    if (status == STO_OK)
        status = copy_bytes(t, vocab, err);
    if (status == STO_OK)
        status = t->kind == STO_VOCAB_SPM ? build_spm(t, vocab, err) : sto_bpe_build(t, vocab, err);
    if (status == STO_OK && (!build_words(t, vocab) || !sto_special_build(t, vocab)))
        status = sto_fail(err, STO_ERR_FAILED, "no memory for the tables of a tokenizer");
    if (status != STO_OK)
        goto fail;
    set_rules(t, vocab);
    *out = t;
    return STO_OK;
fail:
    sto_tokenizer_destroy(t);
    return status;
}

void sto_tokenizer_destroy(struct sto_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    sto_text_table_free(&tokenizer->words);
    sto_merge_table_free(&tokenizer->merges);
    sto_free(tokenizer->special.nodes);
    sto_free(tokenizer->ranks);
    sto_free(tokenizer->kinds);
    sto_free(tokenizer->ends);
    sto_free(tokenizer->bytes);
    sto_free(tokenizer->blob);
    sto_free(tokenizer);
}

/* ---- text to ids ---- */

struct run {
    const struct sto_tokenizer *t;
    struct sto_merger *merger;
    struct sto_tokens *out;
};

static enum sto_status merge_bpe_piece(void *user, const char *piece, size_t size, struct sto_error *err)
{
    const struct run *run = user;
    return sto_merge_piece(run->t, run->merger, piece, size, run->out, err);
}

/* SPM: the whole fragment is one piece, cut where no token can cross: before the blanks in front of a word. */
static enum sto_status tokenize_spm(struct run *run, const char *text, size_t size, bool prefix, struct sto_error *err)
{
    char *copy = sto_calloc(size + 1, 1);
    if (copy == NULL)
        return sto_fail(err, STO_ERR_FAILED, "tokenizing: no memory for %zu bytes", size);
    copy[0] = ' ';
    const size_t n = copy_spm(text, size, copy + prefix) + prefix;
    enum sto_status status = STO_OK;
    for (size_t begin = 0, end = 0; begin < n && status == STO_OK; begin = end) {
        for (end = begin + 1; end < n; end++) {
            if (run->t->cut_words && copy[end] == ' ' && copy[end - 1] != ' ')
                break;
        }
        status = sto_merge_piece(run->t, run->merger, copy + begin, end - begin, run->out, err);
    }
    sto_free(copy);
    return status;
}

/* Text without special tokens in it. It is the first of the text or follows a special token, and SPM puts its
 * space before the first word in both cases. */
static enum sto_status tokenize_fragment(struct run *run, const char *text, size_t size, struct sto_error *err)
{
    if (size == 0)
        return STO_OK;
    if (run->t->kind == STO_VOCAB_SPM)
        return tokenize_spm(run, text, size, run->t->add_space_prefix, err);
    return sto_pre_split(&run->t->pre, text, size, merge_bpe_piece, run, err);
}

enum sto_status sto_tokenize_with(const struct sto_tokenizer *t, const char *text, size_t size,
                                  struct sto_tokenize_params params, struct sto_merger *merger, struct sto_tokens *out,
                                  struct sto_error *err)
{
    enum { CACHED_FROM_BYTES = 4096 }; /* a shorter text is done before the cache is zeroed */
    if (size > STO_TOKENIZE_MAX_BYTES)
        return sto_fail(err, STO_ERR_USAGE, "the text has %zu bytes; at most %d can be tokenized at once", size,
                        STO_TOKENIZE_MAX_BYTES);
    struct run run = {.t = t, .merger = merger, .out = out};
    struct sto_special_search search = {.special = &t->special,
                                        .text = text,
                                        .size = size,
                                        .parse_control = params.parse_special,
                                        .segments = params.segments,
                                        .n_segments = params.n_segments};
    if (size >= CACHED_FROM_BYTES && merger->cache == NULL)
        merger->cache = sto_calloc(1, sto_merger_cache_bytes());
    enum sto_status status = STO_OK;
    if (params.add_special && t->add_bos && t->bos != STO_TOKEN_NONE)
        status = sto_tokens_push(out, t->bos, err);
    for (size_t pos = 0; pos < size && status == STO_OK;) {
        struct sto_special_match match = {.begin = size, .end = size, .id = STO_TOKEN_NONE};
        sto_special_next(&search, pos, &match);
        status = tokenize_fragment(&run, text + pos, match.begin - pos, err);
        if (status == STO_OK && match.id != STO_TOKEN_NONE)
            status = sto_tokens_push(out, match.id, err);
        pos = match.end;
    }
    if (status == STO_OK && params.add_special && t->add_eos && t->eos != STO_TOKEN_NONE)
        status = sto_tokens_push(out, t->eos, err);
    return status;
}

enum sto_status sto_tokenize(const struct sto_tokenizer *tokenizer, const char *text, size_t size,
                             struct sto_tokenize_params params, struct sto_tokens *out, struct sto_error *err)
{
    struct sto_merger merger = {0};
    const enum sto_status status = sto_tokenize_with(tokenizer, text, size, params, &merger, out, err);
    sto_merger_free(&merger);
    return status;
}

/* ---- questions about tokens ---- */

uint32_t sto_tokenizer_n_tokens(const struct sto_tokenizer *tokenizer)
{
    return tokenizer->n_tokens;
}

uint32_t sto_tokenizer_bos(const struct sto_tokenizer *tokenizer)
{
    return tokenizer->bos;
}

bool sto_tokenizer_adds_bos(const struct sto_tokenizer *tokenizer)
{
    return tokenizer->add_bos && tokenizer->bos != STO_TOKEN_NONE;
}

bool sto_tokenizer_is_end(const struct sto_tokenizer *tokenizer, uint32_t id)
{
    return id < tokenizer->n_tokens && tokenizer->ends[id] != 0;
}

bool sto_tokenizer_is_control(const struct sto_tokenizer *tokenizer, uint32_t id)
{
    return id < tokenizer->n_tokens &&
           (tokenizer->kinds[id] == STO_TOKEN_CONTROL || tokenizer->kinds[id] == STO_TOKEN_UNKNOWN);
}

uint32_t sto_tokenizer_find(const struct sto_tokenizer *tokenizer, const char *text)
{
    const size_t size = strlen(text);
    const uint32_t id = sto_special_find(&tokenizer->special, text, size);
    return id != STO_TOKEN_NONE ? id : sto_text_table_find(&tokenizer->words, text, size);
}

struct sto_view sto_tokenizer_bytes(const struct sto_tokenizer *tokenizer, uint32_t id)
{
    return tokenizer->bytes[id];
}

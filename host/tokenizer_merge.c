/* Merges the symbols of one piece of text until no neighbours merge any more: best rank first, leftmost of equals.
 *
 * Few symbols are kept in an array that is searched for the best pair. Many are kept in a linked list beside a heap
 * of candidate pairs; entries whose symbols have changed since are thrown away when they come up. That is
 * O(n log n) whatever the text. BPE looks pairs up by id, SPM by the text of both symbols. Short pieces that came
 * up before in the same call are copied from the output. */
#include "host/tokenizer_internal.h"

#include <string.h>

#include "runtime/base/mem.h"

enum {
    SHORT_SYMBOLS = 32,
    CACHE_SLOTS = 4096,
    CACHE_BYTES = 27 /* of the longest piece that is remembered */
};

struct sto_piece_cache {
    struct cached {
        size_t begin; /* where the ids lie in the output */
        uint32_t n;
        uint8_t size;
        char piece[CACHE_BYTES];
    } slots[CACHE_SLOTS];
};

size_t sto_merger_cache_bytes(void)
{
    return sizeof(struct sto_piece_cache);
}

void sto_merger_free(struct sto_merger *merger)
{
    sto_free(merger->symbols);
    sto_free(merger->heap);
    sto_free(merger->cache);
    *merger = (struct sto_merger){0};
}

/* Looks up what a and the symbol behind it become, and notes it in a. */
static inline void find_merge(const struct sto_tokenizer *t, struct sto_merger *m, const char *piece,
                              struct sto_symbol *a, const struct sto_symbol *b)
{
    m->n_lookups++;
    a->rank = UINT32_MAX;
    a->merged = STO_TOKEN_NONE;
    if (t->kind == STO_VOCAB_SPM) {
        const size_t size = (size_t)a->size + b->size;
        a->merged = size > t->max_word ? STO_TOKEN_NONE : sto_text_table_find(&t->words, piece + a->begin, size);
        if (a->merged != STO_TOKEN_NONE)
            a->rank = t->ranks[a->merged];
        return;
    }
    const struct sto_merge *merge = sto_merge_table_find(&t->merges, a->id, b->id);
    if (merge != NULL) {
        a->rank = merge->rank;
        a->merged = merge->id;
    }
}

/* The symbol that begins at piece[begin]: a byte for BPE, a character for SPM. */
static struct sto_symbol first_symbol(const struct sto_tokenizer *t, const char *piece, size_t begin, size_t size)
{
    struct sto_symbol s = {.begin = (uint32_t)begin, .size = 1, .rank = UINT32_MAX, .merged = STO_TOKEN_NONE};
    if (t->kind == STO_VOCAB_SPM) {
        const size_t len = sto_utf8_sequence(piece + begin, size - begin);
        s.size = len == 0 ? 1 : (uint32_t)len;
        s.id = sto_text_table_find(&t->words, piece + begin, s.size);
    } else {
        s.id = t->byte_symbols[(uint8_t)piece[begin]];
    }
    return s;
}

/* The token of a symbol, or those of its bytes. */
static enum sto_status emit(const struct sto_tokenizer *t, const char *piece, const struct sto_symbol *s,
                            struct sto_tokens *out, struct sto_error *err)
{
    if (s->id < t->n_tokens)
        return sto_tokens_push(out, s->id, err);
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < s->size && status == STO_OK; i++) {
        const uint32_t id = t->byte_ids[(uint8_t)piece[s->begin + i]];
        if (id != STO_TOKEN_NONE)
            status = sto_tokens_push(out, id, err);
    }
    return status;
}

/* ---- few symbols ---- */

static enum sto_status merge_few(const struct sto_tokenizer *t, struct sto_merger *m, const char *piece,
                                 struct sto_symbol *s, uint32_t n, struct sto_tokens *out, struct sto_error *err)
{
    for (uint32_t i = 0; i + 1 < n; i++)
        find_merge(t, m, piece, &s[i], &s[i + 1]);
    while (n > 1) {
        uint32_t best = 0;
        for (uint32_t i = 1; i + 1 < n; i++)
            best = s[i].rank < s[best].rank ? i : best;
        if (s[best].merged == STO_TOKEN_NONE)
            break;
        s[best].id = s[best].merged;
        s[best].size += s[best + 1].size;
        memmove(&s[best + 1], &s[best + 2], (n - best - 2) * sizeof s[0]);
        m->n_moves += n - best - 2;
        m->n_merges++;
        n--;
        if (best > 0)
            find_merge(t, m, piece, &s[best - 1], &s[best]);
        if (best + 1 < n)
            find_merge(t, m, piece, &s[best], &s[best + 1]);
    }
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < n && status == STO_OK; i++)
        status = emit(t, piece, &s[i], out, err);
    return status;
}

/* ---- many symbols ---- */

static void sift_down(struct sto_merger *m, size_t i)
{
    uint64_t *heap = m->heap;
    const uint64_t key = heap[i];
    for (;;) {
        const size_t first = 4 * i + 1;
        if (first >= m->heap_n)
            break;
        const size_t end = first + 4 < m->heap_n ? first + 4 : m->heap_n;
        size_t least = first;
        for (size_t c = first + 1; c < end; c++)
            least = heap[c] < heap[least] ? c : least;
        if (heap[least] >= key)
            break;
        heap[i] = heap[least];
        m->n_moves++;
        i = least;
    }
    heap[i] = key;
}

static void sift_up(struct sto_merger *m, size_t i)
{
    const uint64_t key = m->heap[i];
    while (i > 0 && m->heap[(i - 1) / 4] > key) {
        m->heap[i] = m->heap[(i - 1) / 4];
        m->n_moves++;
        i = (i - 1) / 4;
    }
    m->heap[i] = key;
}

/* Looks up the pair of symbol i and the one behind it, and puts it at the end of the heap when they merge. */
static bool add_pair(const struct sto_tokenizer *t, struct sto_merger *m, const char *piece, uint32_t i)
{
    struct sto_symbol *a = &m->symbols[i];
    find_merge(t, m, piece, a, &m->symbols[a->next]);
    if (a->merged == STO_TOKEN_NONE)
        return false;
    m->heap[m->heap_n++] = (uint64_t)a->rank << 32 | i;
    return true;
}

/* Every merge takes a symbol away and adds at most two pairs, so 3 n entries always suffice. */
static bool reserve(struct sto_merger *m, size_t n_symbols)
{
    if (m->symbols_capacity < n_symbols) {
        struct sto_symbol *grown = sto_realloc(m->symbols, n_symbols, sizeof *grown);
        if (grown == NULL)
            return false;
        m->symbols = grown;
        m->symbols_capacity = n_symbols;
    }
    if (m->heap_capacity / 3 < n_symbols) {
        uint64_t *grown = sto_realloc(m->heap, n_symbols * 3, sizeof *grown);
        if (grown == NULL)
            return false;
        m->heap = grown;
        m->heap_capacity = n_symbols * 3;
    }
    return true;
}

static void merge_by_heap(const struct sto_tokenizer *t, struct sto_merger *m, const char *piece, uint32_t n)
{
    struct sto_symbol *s = m->symbols;
    m->heap_n = 0;
    for (uint32_t i = 0; i + 1 < n; i++)
        add_pair(t, m, piece, i);
    for (size_t i = m->heap_n / 4 + 1; m->heap_n > 0 && i-- > 0;)
        sift_down(m, i);
    while (m->heap_n > 0) {
        const uint32_t left = (uint32_t)m->heap[0];
        const uint32_t rank = (uint32_t)(m->heap[0] >> 32);
        m->heap[0] = m->heap[--m->heap_n];
        sift_down(m, 0);
        if (s[left].rank != rank)
            continue; /* one of the two has changed since */
        const uint32_t right = s[left].next;
        s[left].id = s[left].merged;
        s[left].size += s[right].size;
        s[left].next = s[right].next;
        s[left].rank = s[right].rank = UINT32_MAX;
        m->n_merges++;
        if (s[left].next < n) {
            s[s[left].next].prev = left;
            if (add_pair(t, m, piece, left))
                sift_up(m, m->heap_n - 1);
        }
        if (left > 0 && add_pair(t, m, piece, s[left].prev))
            sift_up(m, m->heap_n - 1);
    }
}

static enum sto_status merge_many(const struct sto_tokenizer *t, struct sto_merger *m, const char *piece, size_t size,
                                  struct sto_tokens *out, struct sto_error *err)
{
    if (size > UINT32_MAX - 1 || !reserve(m, size))
        return sto_fail(err, STO_ERR_FAILED, "tokenizing: no memory for a word of %zu bytes", size);
    uint32_t n = 0;
    for (size_t i = 0; i < size; n++) {
        m->symbols[n] = first_symbol(t, piece, i, size);
        m->symbols[n].prev = n - 1;
        m->symbols[n].next = n + 1;
        i += m->symbols[n].size;
    }
    merge_by_heap(t, m, piece, n);
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i < n && status == STO_OK; i = m->symbols[i].next)
        status = emit(t, piece, &m->symbols[i], out, err);
    return status;
}

/* ---- pieces ---- */

static enum sto_status merge_piece(const struct sto_tokenizer *t, struct sto_merger *m, const char *piece, size_t size,
                                   struct sto_tokens *out, struct sto_error *err)
{
    if (t->kind == STO_VOCAB_BPE && t->pre.whole_words && size <= t->max_word) {
        const uint32_t id = sto_text_table_find(&t->words, piece, size);
        if (id != STO_TOKEN_NONE)
            return sto_tokens_push(out, id, err);
    }
    struct sto_symbol few[SHORT_SYMBOLS];
    uint32_t n = 0;
    for (size_t i = 0; i < size; i += few[n++].size) {
        if (n == SHORT_SYMBOLS)
            return merge_many(t, m, piece, size, out, err);
        few[n] = first_symbol(t, piece, i, size);
    }
    return merge_few(t, m, piece, few, n, out, err);
}

static size_t cache_slot(const char *piece, size_t size)
{
    uint64_t h = size;
    for (size_t i = 0; i < size; i++)
        h = (h ^ (uint8_t)piece[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 29) % CACHE_SLOTS;
}

enum sto_status sto_merge_piece(const struct sto_tokenizer *t, struct sto_merger *merger, const char *piece,
                                size_t size, struct sto_tokens *out, struct sto_error *err)
{
    if (merger->cache == NULL || size > CACHE_BYTES)
        return merge_piece(t, merger, piece, size, out, err);
    struct cached *c = &merger->cache->slots[cache_slot(piece, size)];
    if (c->size == size && memcmp(c->piece, piece, size) == 0) {
        enum sto_status status = STO_OK;
        for (uint32_t i = 0; i < c->n && status == STO_OK; i++)
            status = sto_tokens_push(out, out->ids[c->begin + i], err);
        return status;
    }
    const size_t begin = out->n;
    const enum sto_status status = merge_piece(t, merger, piece, size, out, err);
    if (status == STO_OK) {
        c->begin = begin;
        c->n = (uint32_t)(out->n - begin);
        c->size = (uint8_t)size;
        memcpy(c->piece, piece, size);
    }
    return status;
}

/* Finds the matches of a compiled pre-tokenizer pattern: one table look-up per character and class test. */
#include "host/tokenizer_pattern.h"

#include "runtime/base/cursor.h"

static const size_t NO_MATCH = SIZE_MAX;

/* Decodes a sequence that sto_utf8_sequence found valid, 2 to 4 bytes. */
static uint32_t decode(const uint8_t *s, size_t len)
{
    if (len == 2)
        return (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
    if (len == 3)
        return (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
    return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 | (uint32_t)(s[2] & 0x3f) << 6 |
           (s[3] & 0x3f);
}

static uint32_t mask_of(const struct sto_pattern *p, uint32_t cp)
{
    uint32_t mask = p->props[sto_unicode_props(cp)];
    if (p->n_bounds > 0 && cp >= p->bounds[0]) {
        uint32_t lo = 0, hi = p->n_bounds;
        while (hi - lo > 1) {
            const uint32_t mid = (lo + hi) / 2;
            if (p->bounds[mid] <= cp)
                lo = mid;
            else
                hi = mid;
        }
        mask = (mask & ~p->remove[lo]) | p->add[lo];
    }
    return mask;
}

/* The mask of the character at pos < end, and how many bytes it has. */
static inline uint32_t peek(const struct sto_pattern_scan *scan, size_t pos, size_t *len)
{
    const uint8_t *s = (const uint8_t *)scan->text + pos;
    *len = 1;
    if (s[0] < 0x80)
        return scan->pattern->ascii[s[0]];
    const size_t n = sto_utf8_sequence((const char *)s, scan->end - pos);
    if (n == 0)
        return mask_of(scan->pattern, 0xfffd);
    *len = n;
    return mask_of(scan->pattern, decode(s, n));
}

/* Where the character before pos begins; begin <= result < pos. */
static size_t step_back(const char *text, size_t begin, size_t pos)
{
    for (size_t len = 1; len <= 4 && len <= pos - begin; len++) {
        if (((uint8_t)text[pos - len] & 0xc0) != 0x80)
            return sto_utf8_sequence(text + pos - len, len) == len ? pos - len : pos - 1;
    }
    return pos - 1;
}

static size_t run_end(const struct sto_pattern_scan *scan, const struct sto_pattern_item *item, size_t pos,
                      uint32_t *count)
{
    uint32_t n = 0;
    while (pos < scan->end && n < item->max) {
        size_t len;
        if ((peek(scan, pos, &len) & item->bit) == 0)
            break;
        pos += len;
        n += n < UINT32_MAX - 1;
    }
    *count = n;
    return pos;
}

static size_t word_end(const struct sto_pattern_scan *scan, const struct sto_pattern_word *word, size_t pos)
{
    for (uint32_t i = 0; i < word->n; i++) {
        size_t len;
        if (pos >= scan->end || (peek(scan, pos, &len) & word->bits[i]) == 0)
            return NO_MATCH;
        pos += len;
    }
    return pos;
}

static bool end_holds(const struct sto_pattern_scan *scan, enum sto_pattern_end end, size_t pos)
{
    size_t len;
    switch (end) {
    case STO_PATTERN_NOT_BEFORE_TEXT: return pos == scan->end || (peek(scan, pos, &len) & 1) != 0; /* class 0 is \s */
    case STO_PATTERN_AT_END: return pos == scan->end;
    default: return true;
    }
}

/* Where items i... of an alternative end when they begin at pos; greedy, gives back. Depth: number of items. */
static size_t match_items(const struct sto_pattern_scan *scan, const struct sto_pattern_alternative *alt, uint32_t i,
                          size_t pos)
{
    if (i == alt->n_items)
        return end_holds(scan, alt->end, pos) ? pos : NO_MATCH;
    const struct sto_pattern_item *item = &alt->items[i];
    for (uint32_t w = 0; w < item->n_words; w++) {
        const size_t after = word_end(scan, &scan->pattern->words[item->first_word + w], pos);
        const size_t end = after == NO_MATCH ? NO_MATCH : match_items(scan, alt, i + 1, after);
        if (end != NO_MATCH)
            return end;
    }
    if (item->n_words > 0)
        return item->min == 0 ? match_items(scan, alt, i + 1, pos) : NO_MATCH;

    uint32_t n;
    size_t after = run_end(scan, item, pos, &n);
    while (n >= item->min) {
        const size_t end = match_items(scan, alt, i + 1, after);
        if (end != NO_MATCH || n == 0)
            return end;
        after = step_back(scan->text, pos, after);
        n--;
    }
    return NO_MATCH;
}

struct sto_pattern_scan sto_pattern_scan_make(const struct sto_pattern *pattern, const char *text, size_t pos,
                                              size_t end)
{
    return (struct sto_pattern_scan){.pattern = pattern, .text = text, .pos = pos, .end = end};
}

/* The first alternative that matches at scan->pos. When one that begins with an unbounded run fails, it fails
 * everywhere in that run too, since the remaining items were tried at each of its characters; remembering this keeps
 * a megabyte of blanks linear. */
static size_t match_here(struct sto_pattern_scan *scan, uint32_t mask)
{
    const struct sto_pattern *p = scan->pattern;
    for (uint32_t a = 0; a < p->n_alternatives; a++) {
        const struct sto_pattern_alternative *alt = &p->alternatives[a];
        if ((alt->first & mask) == 0 || scan->pos < scan->fails_until[a])
            continue;
        const size_t end = match_items(scan, alt, 0, scan->pos);
        if (end != NO_MATCH && end > scan->pos)
            return end;
        const struct sto_pattern_item *head = &alt->items[0];
        uint32_t n;
        if (head->n_words == 0 && head->max == UINT32_MAX && head->min <= 1)
            scan->fails_until[a] = run_end(scan, head, scan->pos, &n);
    }
    return NO_MATCH;
}

bool sto_pattern_next(struct sto_pattern_scan *scan, size_t *match_begin, size_t *match_end)
{
    while (scan->pos < scan->end) {
        size_t len;
        const uint32_t mask = peek(scan, scan->pos, &len);
        const size_t end = (mask & scan->pattern->first) != 0 ? match_here(scan, mask) : NO_MATCH;
        if (end != NO_MATCH) {
            *match_begin = scan->pos;
            *match_end = end;
            scan->pos = end;
            return true;
        }
        scan->pos += len;
    }
    return false;
}

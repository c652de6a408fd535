/* The regular expressions of pre-tokenizers, compiled to runs of character classes.
 *
 * A small subset of the usual syntax, enough for every pre-tokenizer that models use, with the usual meaning:
 * alternatives are tried in order, quantifiers are greedy and give back.
 *
 *   pattern      alternative | alternative ...
 *   alternative  item item ... and at most one of (?!\S) or $ at its end
 *   item         class, class? class* class+ class{n} class{n,m};  (?i:word|word) or (?i:word|word)?
 *   class        a character, \r \n \t \s \S \p{L} \p{Lu} \p{Han}, \ before punctuation, [...] [^...] [...&&[^...]]
 *
 * Time is linear in the text for patterns whose unbounded runs cannot feed each other, which holds for all of
 * tokenizer_pre.c. An invalid byte counts as one character of U+FFFD's kind. A compiled pattern is read-only and may
 * be used from any thread. */
#ifndef STO_TOKENIZER_PATTERN_H
#define STO_TOKENIZER_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/unicode.h"

enum {
    STO_PATTERN_MAX_CLASSES = 32,
    STO_PATTERN_MAX_ALTERNATIVES = 16,
    STO_PATTERN_MAX_ITEMS = 6,
    STO_PATTERN_MAX_WORDS = 24,
    STO_PATTERN_MAX_WORD = 4,     /* characters */
    STO_PATTERN_MAX_BOUNDS = 256, /* ends of explicit ranges outside ASCII */
};

enum sto_pattern_end { STO_PATTERN_ANYWHERE, STO_PATTERN_NOT_BEFORE_TEXT /* (?!\S) */, STO_PATTERN_AT_END /* $ */ };

/* A run of one class, or (n_words > 0) one of a few words. A character's mask has one bit per class. */
struct sto_pattern_item {
    uint32_t bit;      /* the class; for words the classes of their first characters */
    uint32_t min, max; /* max UINT32_MAX: unbounded */
    uint16_t first_word, n_words;
};

struct sto_pattern_word {
    uint32_t n, bits[STO_PATTERN_MAX_WORD];
};

struct sto_pattern_alternative {
    struct sto_pattern_item items[STO_PATTERN_MAX_ITEMS];
    uint32_t n_items;
    uint32_t first; /* classes that a match may begin with */
    enum sto_pattern_end end;
};

struct sto_pattern {
    uint32_t ascii[128];                /* masks */
    uint32_t props[STO_UNICODE_PROPS];  /* masks by Unicode property, outside ASCII */
    uint32_t bounds[STO_PATTERN_MAX_BOUNDS], add[STO_PATTERN_MAX_BOUNDS], remove[STO_PATTERN_MAX_BOUNDS];
    uint32_t n_bounds;                  /* segment i, from bounds[i] on, changes the mask by add[i] and remove[i] */
    struct sto_pattern_alternative alternatives[STO_PATTERN_MAX_ALTERNATIVES];
    uint32_t n_alternatives;
    uint32_t first; /* of all alternatives */
    struct sto_pattern_word words[STO_PATTERN_MAX_WORDS];
    uint32_t n_words, n_classes;
};

/* False when the text is outside the subset or past a limit. */
bool sto_pattern_compile(const char *text, struct sto_pattern *out);

/* Successive matches in text[pos, end), which ends there for $ and look-ahead as well. */
struct sto_pattern_scan {
    const struct sto_pattern *pattern;
    const char *text;
    size_t pos, end;
    size_t fails_until[STO_PATTERN_MAX_ALTERNATIVES]; /* this alternative cannot match before that position */
};
struct sto_pattern_scan sto_pattern_scan_make(const struct sto_pattern *pattern, const char *text, size_t pos,
                                              size_t end);
/* The next match that is not empty; what lies between two matches is skipped. False when there is none. */
bool sto_pattern_next(struct sto_pattern_scan *scan, size_t *match_begin, size_t *match_end);

#endif

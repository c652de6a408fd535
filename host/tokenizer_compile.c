/* Compiles a pre-tokenizer pattern (tokenizer_pattern.h says which syntax) to classes, items and alternatives. */
#include "host/tokenizer_pattern.h"

#include <string.h>

#include "runtime/base/cursor.h"

enum { MAX_RANGES = 128 };

/* A set of characters under construction. props counts outside ASCII only. */
struct charset {
    uint64_t ascii[2], props[2];
    uint32_t lo[MAX_RANGES], hi[MAX_RANGES]; /* explicit, inclusive, outside ASCII */
    uint32_t n_ranges;
    bool negated; /* the ranges are what is left out */
};


struct compiler {
    const char *text;
    struct sto_pattern *out;
    struct charset classes[STO_PATTERN_MAX_CLASSES];
    bool failed;
};

static void add_ascii(struct charset *set, uint32_t c)
{
    set->ascii[c / 64] |= (uint64_t)1 << (c % 64);
}

static void add_range(struct compiler *c, struct charset *set, uint32_t lo, uint32_t hi)
{
    for (uint32_t cp = lo; cp <= hi && cp < 128; cp++)
        add_ascii(set, cp);
    if (hi < 128)
        return;
    if (set->n_ranges == MAX_RANGES || lo > hi) {
        c->failed = true;
        return;
    }
    set->lo[set->n_ranges] = lo < 128 ? 128 : lo;
    set->hi[set->n_ranges++] = hi;
}

/* Adds the characters whose properties fulfil: category in `categories` (bits), or one of `flags`. */
static void add_props(struct charset *set, uint32_t categories, uint32_t flags)
{
    for (uint32_t v = 0; v < STO_UNICODE_PROPS; v++) {
        if ((categories >> (v & STO_UNICODE_CATEGORY) & 1) != 0 || (v & flags) != 0)
            set->props[v / 64] |= (uint64_t)1 << (v % 64);
    }
    for (uint32_t cp = 0; cp < 128; cp++) {
        const uint32_t v = sto_unicode_props(cp);
        if ((categories >> (v & STO_UNICODE_CATEGORY) & 1) != 0 || (v & flags) != 0)
            add_ascii(set, cp);
    }
}

static void negate(struct charset *set)
{
    for (int i = 0; i < 2; i++) {
        set->ascii[i] = ~set->ascii[i];
        set->props[i] = ~set->props[i];
    }
    set->negated = !set->negated;
}

/* Bits of the categories called name, "L" or "Lu"; 0 when there is none. */
static uint32_t categories_called(const char *name, size_t size)
{
    static const char names[][3] = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
                                    "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp"};
    uint32_t bits = 0;
    for (uint32_t i = 0; size <= 2 && i < sizeof names / sizeof names[0]; i++)
        bits |= strncmp(names[i], name, size) == 0 ? (uint32_t)1 << i : 0;
    return bits;
}

/* Reads \x, the cursor on the backslash: a property goes into set, a plain character is returned. */
static uint32_t read_escape(struct compiler *c, struct charset *set)
{
    const char e = c->text[1];
    c->text += e == '\0' ? 1 : 2;
    if (e == 's') {
        add_props(set, 0, STO_UNICODE_WHITE);
    } else if (e == 'p' && c->text[0] == '{' && strchr(c->text, '}') != NULL) {
        const char *name = c->text + 1;
        const size_t size = (size_t)(strchr(name, '}') - name);
        const uint32_t categories = categories_called(name, size);
        c->text = name + size + 1;
        if (size == 3 && memcmp(name, "Han", 3) == 0)
            add_props(set, 0, STO_UNICODE_HAN);
        else if (categories != 0)
            add_props(set, categories, 0);
        else
            c->failed = true;
    } else if (e == 'r' || e == 'n' || e == 't') {
        return e == 'r' ? '\r' : e == 'n' ? '\n' : '\t';
    } else if (e != '\0' && strchr("[]()\\^$.|?*+{}-/#&", e) != NULL) {
        return (uint32_t)e;
    } else {
        c->failed = true;
    }
    return 0;
}

static uint32_t read_code_point(struct compiler *c)
{
    const uint8_t *s = (const uint8_t *)c->text;
    const size_t left = strlen(c->text);
    const size_t len = left == 0 ? 0 : sto_utf8_sequence(c->text, left);
    c->text += len;
    switch (len) {
    case 1: return s[0];
    case 2: return (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
    case 3: return (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
    case 4:
        return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 | (uint32_t)(s[2] & 0x3f) << 6 |
               (s[3] & 0x3f);
    default: c->failed = true; return 0;
    }
}

/* Reads a bracketed class without intersection, the cursor on '['; leaves it on "&&" or after ']'. */
static void read_members(struct compiler *c, struct charset *set)
{
    c->text++;
    const bool negated = c->text[0] == '^';
    c->text += negated;
    while (!c->failed && c->text[0] != ']' && strncmp(c->text, "&&", 2) != 0) {
        if (c->text[0] == '\0') {
            c->failed = true;
            return;
        }
        const bool escaped = c->text[0] == '\\';
        const uint32_t lo = escaped ? read_escape(c, set) : read_code_point(c);
        if (escaped && lo == 0)
            continue;
        uint32_t hi = lo;
        if (c->text[0] == '-' && c->text[1] != ']') {
            c->text++;
            hi = c->text[0] == '\\' ? read_escape(c, set) : read_code_point(c);
        }
        add_range(c, set, lo, hi);
    }
    if (negated)
        negate(set);
}

static void read_bracket(struct compiler *c, struct charset *set)
{
    read_members(c, set);
    if (!c->failed && strncmp(c->text, "&&[", 3) == 0) {
        struct charset other = {0};
        c->text += 2;
        read_members(c, &other);
        if (c->text[0] != ']' || set->n_ranges + other.n_ranges > 0)
            c->failed = true;
        for (int i = 0; i < 2; i++) {
            set->ascii[i] &= other.ascii[i];
            set->props[i] &= other.props[i];
        }
        c->text++;
    }
    if (c->text[0] != ']')
        c->failed = true;
    else
        c->text++;
}

/* The bit of a class with these members, shared with an equal one. */
static uint32_t intern_class(struct compiler *c, const struct charset *set)
{
    uint32_t i = 0;
    while (i < c->out->n_classes && memcmp(&c->classes[i], set, sizeof *set) != 0)
        i++;
    if (i == STO_PATTERN_MAX_CLASSES) {
        c->failed = true;
        return 0;
    }
    if (i == c->out->n_classes)
        c->classes[c->out->n_classes++] = *set;
    return (uint32_t)1 << i;
}

static uint32_t read_class(struct compiler *c)
{
    struct charset set = {0};
    if (c->text[0] == '[') {
        read_bracket(c, &set);
    } else {
        const uint32_t cp = c->text[0] == '\\' ? read_escape(c, &set) : read_code_point(c);
        if (cp != 0)
            add_range(c, &set, cp, cp);
    }
    return intern_class(c, &set);
}

/* A letter in either case; s also as U+017F, which Unicode folds to it. */
static uint32_t read_caseless(struct compiler *c)
{
    struct charset set = {0};
    const uint32_t cp = read_code_point(c);
    add_range(c, &set, cp, cp);
    if (cp >= 'a' && cp <= 'z')
        add_ascii(&set, cp - 32);
    if (cp == 's')
        add_range(c, &set, 0x17f, 0x17f);
    return intern_class(c, &set);
}

/* Reads word|word) after "(?i:". */
static void read_words(struct compiler *c, struct sto_pattern_item *item)
{
    struct sto_pattern *out = c->out;
    item->first_word = (uint16_t)out->n_words;
    do {
        if (out->n_words == STO_PATTERN_MAX_WORDS) {
            c->failed = true;
            return;
        }
        struct sto_pattern_word *word = &out->words[out->n_words++];
        c->text += c->text[0] == '|';
        while (!c->failed && c->text[0] != '|' && c->text[0] != ')') {
            if (c->text[0] == '\0' || word->n == STO_PATTERN_MAX_WORD)
                c->failed = true;
            else
                word->bits[word->n++] = read_caseless(c);
        }
        item->bit |= word->bits[0];
        item->n_words++;
    } while (!c->failed && c->text[0] == '|');
    c->text += c->text[0] == ')';
}

static uint32_t read_number(struct compiler *c)
{
    uint32_t v = 0;
    for (; c->text[0] >= '0' && c->text[0] <= '9' && v < 10000; c->text++)
        v = v * 10 + (uint32_t)(c->text[0] - '0');
    return v;
}

static void read_quantifier(struct compiler *c, struct sto_pattern_item *item)
{
    item->min = item->max = 1;
    if (c->text[0] == '{') {
        c->text++;
        item->min = item->max = read_number(c);
        if (c->text[0] == ',') {
            c->text++;
            item->max = read_number(c);
        }
        if (c->text[0] != '}' || item->max < item->min || item->max == 0)
            c->failed = true;
    } else if (c->text[0] == '?' || c->text[0] == '*' || c->text[0] == '+') {
        item->min = c->text[0] == '+';
        item->max = c->text[0] == '?' ? 1 : UINT32_MAX;
    } else {
        return;
    }
    c->text += c->text[0] != '\0';
}

/* One alternative, up to '|' or the end. */
static void read_alternative(struct compiler *c, struct sto_pattern_alternative *alt)
{
    bool begins = true; /* all items so far may be empty */
    while (!c->failed && alt->end == STO_PATTERN_ANYWHERE && c->text[0] != '\0' && c->text[0] != '|') {
        if (strncmp(c->text, "(?!\\S)", 6) == 0) {
            alt->end = STO_PATTERN_NOT_BEFORE_TEXT;
            c->text += 6;
            break;
        }
        if (c->text[0] == '$') {
            alt->end = STO_PATTERN_AT_END;
            c->text++;
            break;
        }
        if (alt->n_items == STO_PATTERN_MAX_ITEMS || c->text[0] == ')') {
            c->failed = true;
            break;
        }
        struct sto_pattern_item *item = &alt->items[alt->n_items++];
        if (strncmp(c->text, "(?i:", 4) == 0) {
            c->text += 4;
            read_words(c, item);
        } else {
            item->bit = read_class(c);
        }
        read_quantifier(c, item);
        alt->first |= begins ? item->bit : 0;
        begins = begins && item->min == 0;
    }
    if (begins || (c->text[0] != '\0' && c->text[0] != '|'))
        c->failed = true;
}

/* Cuts the code points at the ends of all explicit ranges, so that one binary search finds what applies. */
static void build_bounds(struct compiler *c)
{
    struct sto_pattern *p = c->out;
    for (uint32_t k = 0; k < p->n_classes; k++) {
        for (uint32_t i = 0; i < 2 * c->classes[k].n_ranges && !c->failed; i++) {
            const uint32_t bound = i % 2 == 0 ? c->classes[k].lo[i / 2] : c->classes[k].hi[i / 2] + 1;
            uint32_t at = 0;
            while (at < p->n_bounds && p->bounds[at] < bound)
                at++;
            if (at < p->n_bounds && p->bounds[at] == bound)
                continue;
            if (p->n_bounds == STO_PATTERN_MAX_BOUNDS) {
                c->failed = true;
                return;
            }
            memmove(&p->bounds[at + 1], &p->bounds[at], (p->n_bounds - at) * sizeof p->bounds[0]);
            p->bounds[at] = bound;
            p->n_bounds++;
        }
    }
    for (uint32_t k = 0; k < p->n_classes; k++) {
        const struct charset *set = &c->classes[k];
        for (uint32_t i = 0; i < set->n_ranges; i++) {
            for (uint32_t b = 0; b < p->n_bounds; b++) {
                if (p->bounds[b] >= set->lo[i] && p->bounds[b] <= set->hi[i])
                    *(set->negated ? &p->remove[b] : &p->add[b]) |= (uint32_t)1 << k;
            }
        }
    }
}

static void build_masks(struct compiler *c)
{
    struct sto_pattern *p = c->out;
    for (uint32_t k = 0; k < p->n_classes; k++) {
        for (uint32_t v = 0; v < 128; v++) {
            p->ascii[v] |= (uint32_t)(c->classes[k].ascii[v / 64] >> (v % 64) & 1) << k;
            p->props[v] |= (uint32_t)(c->classes[k].props[v / 64] >> (v % 64) & 1) << k;
        }
    }
}

bool sto_pattern_compile(const char *text, struct sto_pattern *out)
{
    *out = (struct sto_pattern){0};
    struct compiler c = {.text = text, .out = out};
    struct charset white = {0};
    add_props(&white, 0, STO_UNICODE_WHITE);
    intern_class(&c, &white); /* class 0, which (?!\S) looks at */
    do {
        if (out->n_alternatives == STO_PATTERN_MAX_ALTERNATIVES)
            return false;
        struct sto_pattern_alternative *alt = &out->alternatives[out->n_alternatives++];
        c.text += c.text[0] == '|';
        read_alternative(&c, alt);
        out->first |= alt->first;
    } while (!c.failed && c.text[0] == '|');
    build_bounds(&c);
    build_masks(&c);
    return !c.failed;
}

/* Template source to tokens: text and tags, white space around tags, strings and numbers inside them. */
#include "host/template_internal.h"

#include <stdlib.h>
#include <string.h>

#include "host/json.h"
#include "host/utf8.h"

struct lexer {
    struct sto_arena *arena;
    struct sto_view source;
    size_t pos;
    uint32_t line;
    struct sto_token_list *out;
    enum sto_status status;
    struct sto_error *err;
};

enum sto_status sto_template_fail(struct sto_error *err, uint32_t line, const char *what)
{
    return sto_fail(err, STO_ERR_MODEL, "line %lu: %s", (unsigned long)line, what);
}

static bool fail(struct lexer *lx, const char *what)
{
    if (lx->status == STO_OK)
        lx->status = sto_template_fail(lx->err, lx->line, what);
    return false;
}

static bool no_memory(struct lexer *lx)
{
    if (lx->status == STO_OK)
        lx->status = sto_fail(lx->err, STO_ERR_FAILED, "no memory for a template");
    return false;
}

static bool push(struct lexer *lx, struct sto_token token)
{
    struct sto_token_list *out = lx->out;
    if (out->n == out->capacity) {
        const size_t capacity = out->capacity == 0 ? 256 : out->capacity * 2;
        struct sto_token *items = sto_realloc(out->items, capacity, sizeof *items);
        if (items == NULL)
            return no_memory(lx);
        out->items = items;
        out->capacity = capacity;
    }
    out->items[out->n++] = token;
    return true;
}

static bool push_text(struct lexer *lx, enum sto_lexeme kind, size_t begin, size_t end)
{
    const struct sto_view text = {lx->source.data + begin, end - begin};
    return push(lx, (struct sto_token){.kind = kind, .line = lx->line, .text = text});
}

static bool at(const struct lexer *lx, size_t pos, const char *what)
{
    const size_t n = strlen(what);
    return lx->source.size - pos >= n && memcmp(lx->source.data + pos, what, n) == 0;
}

/* Moves on, counting lines. */
static void advance(struct lexer *lx, size_t to)
{
    for (; lx->pos < to; lx->pos++)
        lx->line += lx->source.data[lx->pos] == '\n' ? 1 : 0;
}

static size_t space_end(const struct lexer *lx, size_t pos)
{
    while (pos < lx->source.size) {
        size_t n;
        if (!sto_is_space(sto_utf8_get(lx->source.data + pos, lx->source.size - pos, &n)))
            break;
        pos += n;
    }
    return pos;
}

/* ---- text between tags ---- */

/* The first tag from pos on; SIZE_MAX: none. */
static size_t find_tag(const struct lexer *lx, size_t pos)
{
    for (; pos + 1 < lx->source.size; pos++) {
        const char next = lx->source.data[pos + 1];
        if (lx->source.data[pos] == '{' && (next == '{' || next == '%' || next == '#'))
            return pos;
    }
    return SIZE_MAX;
}

/* Where text that ends before a tag at `end` ends really. `-` in the tag strips all white space; without a sign the
 * blanks before a statement or comment go when nothing else is before them on their line. */
static size_t text_end(const struct lexer *lx, size_t begin, size_t end, char kind, char sign)
{
    const char *s = lx->source.data;
    if (sign == '-') {
        while (end > begin) {
            size_t last = end - 1, n;
            while (last > begin && ((uint8_t)s[last] & 0xc0) == 0x80)
                last--;
            if (!sto_is_space(sto_utf8_get(s + last, end - last, &n)) || last + n != end)
                break;
            end = last;
        }
        return end;
    }
    if (sign == '+' || kind == '{')
        return end;
    size_t line = end;
    while (line > begin && s[line - 1] != '\n')
        line--;
    const bool line_begins = line > begin || begin == 0 || s[begin - 1] == '\n';
    return line_begins && space_end(lx, line) >= end ? line : end;
}

/* Behind a tag's closing bracket: what its sign takes of the text that follows. */
static size_t after_tag(const struct lexer *lx, size_t pos, char kind, char sign)
{
    if (sign == '-')
        return space_end(lx, pos);
    return sign != '+' && kind != '{' && at(lx, pos, "\n") ? pos + 1 : pos;
}

static char sign_at(const struct lexer *lx, size_t pos)
{
    const char c = pos < lx->source.size ? lx->source.data[pos] : '\0';
    return c == '-' || c == '+' ? c : '\0';
}

static bool lex_comment(struct lexer *lx)
{
    for (size_t pos = lx->pos + 2; pos + 1 < lx->source.size; pos++) {
        if (!at(lx, pos, "#}"))
            continue;
        const char sign = pos > lx->pos + 2 ? sign_at(lx, pos - 1) : '\0';
        advance(lx, after_tag(lx, pos + 2, '#', sign));
        return true;
    }
    return fail(lx, "the comment has no end");
}

/* At a statement: the word in it when it is `word` and nothing else; *end is behind its closing bracket. */
static bool is_word_tag(const struct lexer *lx, size_t pos, const char *word, size_t *end, char *sign)
{
    pos += 2;
    pos += sign_at(lx, pos) != '\0' ? 1 : 0;
    pos = space_end(lx, pos);
    if (!at(lx, pos, word))
        return false;
    pos = space_end(lx, pos + strlen(word));
    *sign = sign_at(lx, pos);
    pos += *sign != '\0' ? 1 : 0;
    *end = pos + 2;
    return at(lx, pos, "%}");
}

/* {% raw %} text {% endraw %}; the cursor is behind the first tag. */
static bool lex_raw(struct lexer *lx)
{
    for (size_t pos = lx->pos; (pos = find_tag(lx, pos)) != SIZE_MAX; pos++) {
        size_t end;
        char sign;
        if (lx->source.data[pos + 1] != '%' || !is_word_tag(lx, pos, "endraw", &end, &sign))
            continue;
        const size_t stop = text_end(lx, lx->pos, pos, '%', sign_at(lx, pos + 2));
        const bool ok = push_text(lx, STO_LEX_TEXT, lx->pos, stop);
        advance(lx, after_tag(lx, end, '%', sign));
        return ok;
    }
    return fail(lx, "the raw block has no end");
}

/* ---- inside tags ---- */

static bool is_name(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (uint8_t)c >= 0x80 ||
           (!first && c >= '0' && c <= '9');
}

/* Digits of a base at s, as many as most; the value is put in *cp. */
static size_t read_digits(const char *s, size_t size, unsigned base, size_t most, uint32_t *cp)
{
    size_t n = 0;
    *cp = 0;
    for (; n < size && n < most; n++) {
        const char c = s[n];
        const int digit = c >= '0' && c <= '9'                 ? c - '0'
                          : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                               : 99;
        if (digit >= (int)base)
            break;
        *cp = *cp * base + (uint32_t)digit;
    }
    return n;
}

/* One escape of a string, as in Python; s is behind the backslash, size >= 1. Returns the bytes it took; 0: none. */
static size_t read_escape(const char *s, size_t size, char *out, size_t *n)
{
    static const char names[] = "\\'\"abfnrtv", values[] = "\\'\"\a\b\f\n\r\t\v";
    const char *name = s[0] != '\0' ? strchr(names, s[0]) : NULL;
    const size_t wanted = s[0] == 'x' ? 2 : s[0] == 'u' ? 4 : s[0] == 'U' ? 8 : 0;
    uint32_t cp = 0;
    size_t taken = 0;
    if (s[0] == '\n')
        return 1;
    if (name != NULL) {
        out[(*n)++] = values[name - names];
        return 1;
    }
    if (wanted > 0 && read_digits(s + 1, size - 1, 16, wanted, &cp) == wanted)
        taken = 1 + wanted;
    else if (wanted == 0)
        taken = read_digits(s, size, 8, 3, &cp);
    if (taken == 0)
        return 0;
    if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
        cp = 0xfffd;
    *n += sto_utf8_put(cp, out + *n);
    return taken;
}

static bool lex_string(struct lexer *lx)
{
    const char *s = lx->source.data, quote = s[lx->pos];
    size_t end = lx->pos + 1, n = 0;
    while (end < lx->source.size && s[end] != quote)
        end += s[end] == '\\' ? 2 : 1;
    if (end >= lx->source.size)
        return fail(lx, "the string has no end");
    struct sto_text *text = sto_arena_alloc(lx->arena, 1, sizeof *text);
    char *data = text != NULL ? sto_arena_alloc(lx->arena, end - lx->pos + 4, 1) : NULL;
    if (data == NULL)
        return no_memory(lx);
    for (size_t i = lx->pos + 1; i < end;) {
        const size_t escape = s[i] == '\\' ? read_escape(s + i + 1, end - i - 1, data, &n) : 0;
        if (escape > 0)
            i += 1 + escape;
        else
            data[n++] = s[i++];
    }
    *text = (struct sto_text){.data = data, .size = n, .from_template = true};
    const struct sto_token token = {
        .kind = STO_LEX_STRING, .line = lx->line, .value = {.kind = STO_VALUE_TEXT, .text = text}};
    advance(lx, end + 1);
    return push(lx, token);
}

/* 0x1f, 0o17, 0b11; false: there is none. */
static bool lex_based(const char *s, size_t size, size_t *taken, int64_t *value)
{
    const char kind = size > 2 && s[0] == '0' ? (char)(s[1] | 32) : '\0';
    const unsigned base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    uint32_t digit;
    if (base == 0 || read_digits(s + 2, size - 2, base, 1, &digit) == 0)
        return false;
    *value = 0;
    for (*taken = 2; *taken < size && *value < INT64_MAX / 16; (*taken)++) {
        if (s[*taken] == '_')
            continue;
        if (read_digits(s + *taken, 1, base, 1, &digit) == 0)
            break;
        *value = *value * (int64_t)base + digit;
    }
    return true;
}

static bool lex_number(struct lexer *lx)
{
    enum { MAX_NUMBER = 400 };
    char text[MAX_NUMBER];
    const char *s = lx->source.data + lx->pos;
    const size_t left = lx->source.size - lx->pos;
    size_t n = 0, taken = 0;
    int64_t based;
    struct sto_token token = {.kind = STO_LEX_NUMBER, .line = lx->line};
    if (lex_based(s, left, &taken, &based)) {
        token.value = sto_value_int(based);
        lx->pos += taken;
        return push(lx, token);
    }
    const bool after_dot = lx->pos > 0 && s[-1] == '.'; /* list.0.1 holds two integers */
    for (; taken < left && n < MAX_NUMBER; taken++) {
        const char c = s[taken];
        const char next = taken + 1 < left ? s[taken + 1] : '\0';
        const bool digit = c >= '0' && c <= '9';
        const bool inner = ((c == '.' && !after_dot) || c == '_') && next >= '0' && next <= '9';
        const bool power = (c | 32) == 'e' && n > 0 &&
                           ((next >= '0' && next <= '9') || ((next == '+' || next == '-') && taken + 2 < left &&
                                                             s[taken + 2] >= '0' && s[taken + 2] <= '9'));
        const bool sign = (c == '+' || c == '-') && n > 0 && (text[n - 1] | 32) == 'e';
        if (!digit && !inner && !power && !sign)
            break;
        if (c != '_')
            text[n++] = c;
    }
    size_t zeros = 0; /* 007 is 7 */
    while (zeros + 1 < n && text[zeros] == '0' && text[zeros + 1] >= '0' && text[zeros + 1] <= '9')
        zeros++;
    const size_t read = n < MAX_NUMBER ? sto_number_read(text + zeros, n - zeros, &token.value) : 0;
    if (read != n - zeros)
        return fail(lx, "not a number");
    lx->pos += taken;
    return push(lx, token);
}

static bool lex_operator(struct lexer *lx, unsigned *open)
{
    static const char *const longer[] = {"==", "!=", "<=", ">=", "//", "**"};
    static const char single[] = "+-*/%~|()[]{}<>=.,:;";
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++) {
        if (at(lx, lx->pos, longer[i])) {
            lx->pos += 2;
            return push_text(lx, STO_LEX_OPERATOR, lx->pos - 2, lx->pos);
        }
    }
    const char c = lx->source.data[lx->pos];
    if (c == '\0' || strchr(single, c) == NULL)
        return fail(lx, "a character that has no meaning here");
    if (strchr("([{", c) != NULL)
        (*open)++;
    else if (strchr(")]}", c) != NULL && *open > 0)
        (*open)--;
    lx->pos++;
    return push_text(lx, STO_LEX_OPERATOR, lx->pos - 1, lx->pos);
}

/* From behind "{{" or "{%" and its sign to behind the closing bracket. */
static bool lex_tag(struct lexer *lx, char kind)
{
    const char *close = kind == '{' ? "}}" : "%}";
    unsigned open = 0; /* brackets: a }} inside them closes two of them */
    for (;;) {
        advance(lx, space_end(lx, lx->pos));
        if (lx->pos == lx->source.size)
            return fail(lx, kind == '{' ? "\"{{\" has no \"}}\"" : "\"{%\" has no \"%}\"");
        const char c = lx->source.data[lx->pos];
        const char sign = sign_at(lx, lx->pos);
        if (open == 0 && at(lx, lx->pos + (sign != '\0' ? 1 : 0), close)) {
            if (!push(lx, (struct sto_token){.kind = STO_LEX_CLOSE, .line = lx->line}))
                return false;
            advance(lx, after_tag(lx, lx->pos + (sign != '\0' ? 3 : 2), kind, sign));
            return true;
        }
        bool ok;
        if (is_name(c, true)) {
            const size_t begin = lx->pos;
            while (lx->pos < lx->source.size && is_name(lx->source.data[lx->pos], false))
                lx->pos++;
            ok = push_text(lx, STO_LEX_NAME, begin, lx->pos);
        } else if (c >= '0' && c <= '9') {
            ok = lex_number(lx);
        } else if (c == '"' || c == '\'') {
            ok = lex_string(lx);
        } else {
            ok = lex_operator(lx, &open);
        }
        if (!ok)
            return false;
    }
}

static bool lex_next(struct lexer *lx)
{
    const size_t found = find_tag(lx, lx->pos);
    const size_t tag = found != SIZE_MAX ? found : lx->source.size;
    const char kind = found != SIZE_MAX ? lx->source.data[tag + 1] : '\0';
    const char sign = found != SIZE_MAX ? sign_at(lx, tag + 2) : '\0';
    const size_t end = kind != '\0' ? text_end(lx, lx->pos, tag, kind, sign) : tag;
    if (end > lx->pos && !push_text(lx, STO_LEX_TEXT, lx->pos, end))
        return false;
    advance(lx, tag);
    if (kind == '\0')
        return true;
    if (kind == '#')
        return lex_comment(lx);
    size_t raw_end;
    char raw_sign;
    if (kind == '%' && is_word_tag(lx, tag, "raw", &raw_end, &raw_sign)) {
        advance(lx, raw_sign == '-' ? space_end(lx, raw_end) : raw_end);
        return lex_raw(lx);
    }
    if (!push(lx, (struct sto_token){.kind = kind == '{' ? STO_LEX_OUTPUT : STO_LEX_STATEMENT, .line = lx->line}))
        return false;
    lx->pos += sign != '\0' ? 3 : 2;
    return lex_tag(lx, kind);
}

enum sto_status sto_template_lex(struct sto_arena *arena, struct sto_view source, struct sto_token_list *out,
                                 struct sto_error *err)
{
    struct lexer lx = {.arena = arena, .source = source, .line = 1, .out = out, .err = err};
    while (lx.pos < source.size && lex_next(&lx))
        continue;
    if (lx.status == STO_OK)
        push(&lx, (struct sto_token){.kind = STO_LEX_END, .line = lx.line});
    return lx.status;
}

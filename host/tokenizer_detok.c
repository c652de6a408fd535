/* Ids to text, as they come: whole UTF-8 sequences go out, the beginning of one is held until the rest arrives. */
#include "host/tokenizer_internal.h"

#include <string.h>

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */
enum { REPLACEMENT_BYTES = 3 };

/* How many of the bytes at s (1 to 4 of them) begin some valid sequence, at least 1. That many bytes become one
 * U+FFFD when the sequence is never finished, as the Unicode standard recommends (chapter 3, "maximal subpart"). */
static size_t valid_prefix(const uint8_t *s, size_t size)
{
    size_t want = 1;
    uint8_t low = 0x80, high = 0xbf;
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        want = 2;
    } else if ((s[0] & 0xf0) == 0xe0) {
        want = 3;
        low = s[0] == 0xe0 ? 0xa0 : 0x80;
        high = s[0] == 0xed ? 0x9f : 0xbf;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        want = 4;
        low = s[0] == 0xf0 ? 0x90 : 0x80;
        high = s[0] == 0xf4 ? 0x8f : 0xbf;
    }
    size_t n = 1;
    while (n < want && n < size && s[n] >= low && s[n] <= high) {
        low = 0x80;
        high = 0xbf;
        n++;
    }
    return n;
}

/* Whether more bytes could still make these a valid sequence. */
static bool unfinished(const uint8_t *s, size_t size)
{
    const size_t want = s[0] < 0xc2 || s[0] > 0xf4 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    return size < want && valid_prefix(s, size) == size;
}

static size_t put(char *buf, size_t size, size_t n, const char *bytes, size_t count)
{
    if (count > size - n)
        return n;
    memcpy(buf + n, bytes, count);
    return n + count;
}

/* Settles the held bytes as far as they go: a whole sequence, or U+FFFD for what cannot become one. */
static size_t settle(struct sto_detokenizer *d, char *buf, size_t size, size_t n)
{
    while (d->held_size > 0 && !unfinished((const uint8_t *)d->held, d->held_size)) {
        size_t len = sto_utf8_sequence(d->held, d->held_size);
        if (len > 0) {
            n = put(buf, size, n, d->held, len);
        } else {
            len = valid_prefix((const uint8_t *)d->held, d->held_size);
            n = put(buf, size, n, REPLACEMENT, REPLACEMENT_BYTES);
        }
        d->held_size = (uint8_t)(d->held_size - len);
        memmove(d->held, d->held + len, d->held_size);
    }
    return n;
}

size_t sto_detokenize(struct sto_detokenizer *d, uint32_t id, char *buf, size_t size)
{
    const struct sto_tokenizer *t = d->tokenizer;
    if (id >= t->n_tokens || (sto_tokenizer_is_control(t, id) && !d->special))
        return 0;
    struct sto_view bytes = t->bytes[id];
    if (d->at_start && t->kind == STO_VOCAB_SPM && !sto_tokenizer_is_control(t, id)) {
        if (t->add_space_prefix && t->kinds[id] != STO_TOKEN_USER && bytes.size > 0 && bytes.data[0] == ' ') {
            bytes.data++;
            bytes.size--;
        }
        d->at_start = false;
    }
    size_t n = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        if (d->held_size == 0 && (uint8_t)bytes.data[i] < 0x80) {
            n = put(buf, size, n, bytes.data + i, 1);
            continue;
        }
        d->held[d->held_size++] = bytes.data[i];
        n = settle(d, buf, size, n);
    }
    return n;
}

size_t sto_detokenize_finish(struct sto_detokenizer *d, char *buf, size_t size)
{
    const size_t n = d->held_size > 0 ? put(buf, size, 0, REPLACEMENT, REPLACEMENT_BYTES) : 0;
    d->held_size = 0;
    return n;
}

/* Every byte may turn out to be a U+FFFD of its own, and so may the held ones. */
size_t sto_tokenizer_max_bytes(const struct sto_tokenizer *tokenizer)
{
    return tokenizer->max_bytes * REPLACEMENT_BYTES + 16;
}

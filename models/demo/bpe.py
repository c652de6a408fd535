"""Byte-level BPE in GPT-2's manner with Qwen2's splitting rule: a trainer for the demo corpus and an encoder for any text.

The splitting rule is Qwen2's regular expression,

    (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+

written out as a scanner, because Python's `re` knows no \\p classes; unicodedata supplies them.
"""
import unicodedata
from collections import Counter, defaultdict

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_chars():
    """GPT-2's printable stand-in for each byte, in its order of the first 256 tokens."""
    keep = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    rest = [b for b in range(256) if b not in keep]
    return {b: chr(b) for b in keep} | {b: chr(256 + i) for i, b in enumerate(rest)}


BYTE_CHAR = byte_chars()
CHAR_BYTE = {c: b for b, c in BYTE_CHAR.items()}


def _letter(c):
    return unicodedata.category(c)[0] == "L"


def _number(c):
    return unicodedata.category(c)[0] == "N"


# Unicode White_Space: what \s means to the engines that run this rule.
_SPACES = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200b)}


def split(text):
    """Text to the pieces that BPE may not cross."""
    out, i, n = [], 0, len(text)
    while i < n:
        j = _match(text, i, n)
        out.append(text[i:j])
        i = j
    return out


def _letters_end(text, i, n):
    while i < n and _letter(text[i]):
        i += 1
    return i


def _match(text, i, n):
    """End of the piece that starts at i: the rule's alternatives in their order."""
    c = text[i]
    if c == "'":
        low = text[i + 1:i + 3].lower()
        if low[:1] in ("s", "t", "m", "d") and low:
            return i + 2
        if low in ("re", "ve", "ll"):
            return i + 3
    if _letter(c):
        return _letters_end(text, i, n)
    if c not in "\r\n" and not _number(c) and i + 1 < n and _letter(text[i + 1]):
        return _letters_end(text, i + 1, n)
    if _number(c):
        return i + 1
    j = i + 1 if c == " " else i
    k = j
    while k < n and not (text[k] in _SPACES or _letter(text[k]) or _number(text[k])):
        k += 1
    if k > j:
        while k < n and text[k] in "\r\n":
            k += 1
        return k
    # White space. `\s*[\r\n]+` takes the run up to its last line break; otherwise the run less its last character
    # when something follows, so that a word keeps the blank before it.
    k = i
    while k < n and text[k] in _SPACES:
        k += 1
    last = max((p for p in range(i, k) if text[p] in "\r\n"), default=-1)
    if last >= 0:
        return last + 1
    return k if k == n or k - i == 1 else k - 1


def train(texts, n_vocab):
    """Learns merges until bytes + merges + specials fill n_vocab. Returns the list of merges (pairs of strings)."""
    counts = Counter()
    for t in texts:
        counts.update(split(t))
    words = [("".join(BYTE_CHAR[b] for b in w.encode()), c) for w, c in sorted(counts.items())]
    syms = [list(w) for w, _ in words]
    pairs, where = Counter(), defaultdict(set)
    for k, s in enumerate(syms):
        for p in zip(s, s[1:]):
            pairs[p] += words[k][1]
            where[p].add(k)
    merges = []
    while len(merges) < n_vocab - 256 - len(SPECIAL):
        # Ties go to the smaller pair, so that the result depends on nothing but the text.
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        for k in sorted(where.pop(best)):
            s, c = syms[k], words[k][1]
            for p in zip(s, s[1:]):
                pairs[p] -= c
            s = syms[k] = _merge(s, best)
            for p in zip(s, s[1:]):
                pairs[p] += c
                where[p].add(k)
        del pairs[best]
    return merges


def _merge(s, pair):
    out, i = [], 0
    while i < len(s):
        if i + 1 < len(s) and (s[i], s[i + 1]) == pair:
            out.append(s[i] + s[i + 1])
            i += 2
        else:
            out.append(s[i])
            i += 1
    return out


class Tokenizer:
    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.tokens = [BYTE_CHAR[b] for b in BYTE_CHAR] + [a + b for a, b in self.merges] + SPECIAL
        self.id = {t: i for i, t in enumerate(self.tokens)}
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self.cache = {}
        self.endoftext, self.im_start, self.im_end = (self.id[s] for s in SPECIAL)

    def _piece(self, piece):
        ids = self.cache.get(piece)
        if ids is None:
            s = [BYTE_CHAR[b] for b in piece.encode()]
            while len(s) > 1:
                rank, pair = min((self.rank.get(p, 1 << 30), p) for p in zip(s, s[1:]))
                if rank == 1 << 30:
                    break
                s = _merge(s, pair)
            ids = self.cache[piece] = [self.id[t] for t in s]
        return ids

    def encode(self, text):
        """Plain text to ids; special tokens are not recognised in it."""
        return [i for p in split(text) for i in self._piece(p)]

    def encode_special(self, text):
        """As encode, but the special tokens' names become their ids: for texts that a chat template made."""
        out = []
        while text:
            at = [(text.find(s), s) for s in SPECIAL if s in text]
            if not at:
                return out + self.encode(text)
            k, s = min(at)
            out += self.encode(text[:k]) + [self.id[s]]
            text = text[k + len(s):]
        return out

    def decode(self, ids):
        special = range(len(self.tokens) - len(SPECIAL), len(self.tokens))
        raw = b"".join(b"" if i in special else bytes(CHAR_BYTE[c] for c in self.tokens[i]) for i in ids)
        return raw.decode(errors="replace")

"""Assembles the demo model's text: stories, chats and plain facts, as documents of weighted segments.

    rng --> story / question / statement --> document [(text, weight), ...] --> token rows [n_rows, n_seq]

A weight is how much a segment counts in the loss: what a user says is not for the model to predict (0), and the few
tokens of a short answer must not drown in the stories' (1), least of all its last word, which is what was asked.
The held-out documents come from another seed and, for questions, from the held-out side of every split.
"""
import random
import re
import numpy as np
import questions as q
import stories

CHAT = "<|im_start|>%s\n%s<|im_end|>\n"
ANSWER = "<|im_start|>assistant\n"
ANSWER_WEIGHT, LAST_WORD_WEIGHT = 2.0, 8.0


def chat_prompt(question):
    """What the chat template makes of one user message."""
    return CHAT % ("user", question) + ANSWER


def chat_doc(turns, system=None):
    doc = [(CHAT % ("system", system), 0.0)] if system else []
    for question, answer in turns:
        doc.append((chat_prompt(question), 0.0))
        if len(answer) < 150:
            head, space, last = answer.rpartition(" ")
            doc += [(head, ANSWER_WEIGHT)] * bool(head) + [(space + last + "<|im_end|>", LAST_WORD_WEIGHT)]
        else:
            doc.append((answer + "<|im_end|>", 1.0))
        doc.append(("\n", 0.0))
    return doc[:-1]


def story_pair_held(ctx):
    """Requests that name this hero and object are kept for the test."""
    return q.held("story:%s %s" % (ctx["hk"], ctx["O"]), 12)


def new_story(rng, test):
    while True:
        shape, ctx, text = stories.story(rng)
        if story_pair_held(ctx) == test:
            return shape, ctx, text


# Shares of the kinds of question and of document, for the times of training. Copying comes first, for much rests on it, and
# finding what stands beside a word, which is learned in a few hundred steps where there is nothing else and hardly at all
# among other things; then the stories' grammar, then the facts, which take longest, and words
# in quotation marks, which are other tokens, last.
MIX = {"copies": ({"sum": 10, "opposite": 10, "colour": 35, "repeat": 40, "thing": 2, "small": 3},
                  {"story": 4, "tale": 8, "fact": 5, "sums": 5, "colours": 16, "chat": 62}),
       "lists": ({"colour": 1}, {"colours": 1}),
       "stories": ({"sum": 36, "opposite": 15, "colour": 22, "repeat": 8, "thing": 5, "small": 14},
                   {"story": 11, "tale": 14, "fact": 4, "sums": 10, "colours": 8, "chat": 53}),
       "questions": ({"sum": 24, "opposite": 18, "colour": 32, "repeat": 5, "thing": 4, "small": 17},
                     {"story": 5, "tale": 9, "fact": 8, "sums": 9, "colours": 4, "chat": 65}),
       "words": ({"sum": 10, "opposite": 55, "colour": 10, "repeat": 10, "thing": 3, "small": 12},
                 {"story": 3, "tale": 8, "fact": 12, "sums": 3, "colours": 2, "chat": 72})}
ASK = {"sum": q.ask_sum, "opposite": q.ask_opposite, "thing": q.ask_thing, "repeat": q.ask_repeat, "small": q.ask_small}


def draw(rng, shares):
    return rng.choices(list(shares), list(shares.values()))[0]


def questions(rng, test, mix):
    """[(question, answer)]: one, or for colours in a text one or more about the same text."""
    kind = draw(rng, MIX[mix][0])
    if kind == "colour":
        return [t[1:] for t in q.colour_turns(rng, test)][:1 if test else None]
    return [ASK[kind](rng, test)[1:]]


def document(rng, test=False, mix="stories"):
    """One document: (kind, segments, questions asked in it)."""
    kind = draw(rng, MIX[mix][1])
    if test and kind in ("fact", "sums", "colours"):
        kind = "chat"
    if kind == "story":
        return kind, [(new_story(rng, test)[2], 1.0)], []
    if kind == "fact":
        return kind, [(q.statements(rng), 1.0)], []
    if kind == "sums":
        return kind, q.sum_list(rng, ANSWER_WEIGHT), []
    if kind == "colours":
        return kind, q.colour_list(rng, ANSWER_WEIGHT), []
    if kind == "tale":
        shape, ctx, text = new_story(rng, test)
        turns = [(stories.request(rng, shape, ctx), text)]
        if rng.random() < 0.1:
            at = rng.randrange(2)
            turns[at:at] = questions(rng, test, mix)
        return kind, chat_doc(turns), [t[0] for t in turns]
    n = 1 if test else rng.choice([1, 1, 2, 3, 4])
    turns = [t for _ in range(n) for t in questions(rng, test, mix)]
    system = "You are a helpful assistant." if rng.random() < 0.05 else None
    return kind, chat_doc(turns, system), [t[0] for t in turns]


def make(n_docs, seed, test=False, mix="stories"):
    rng = random.Random(seed)
    return [document(rng, test, mix) for _ in range(n_docs)]


_SUM = re.compile(r"(\d+) (?:\+|plus|and) (\d+)")


def check_disjoint(docs, held_questions):
    """Asserts what the README promises about the held-out questions."""
    asked = {t for _, _, asks in docs for t in asks}
    assert not asked & set(held_questions), "a held-out question was asked in training"
    for kind, segs, _ in docs:
        text = "".join(t for t, _ in segs)
        if kind in ("chat", "sums", "tale"):
            for a, b in _SUM.findall(text):
                assert not q.sum_held(int(a), int(b)), text
        for x in re.findall(r'opposite of (?:the word )?"?(\w+)"?[?.]\s*<', text):
            assert not q.opposite_unasked(x) or "is the opposite of" in text, text


def tokens(tok, segs):
    ids, weight = [], []
    for text, wt in segs:
        piece = tok.encode_special(text)
        ids += piece
        weight += [wt] * len(piece)
    return ids + [tok.endoftext], weight + [1.0 if segs[-1][1] else 0.0]


def pack(encoded, n_seq, seed):
    """Rows of n_seq + 1 tokens and their loss weights. Documents stay whole where they fit (each goes to the fullest of
    some open rows that has room), and every row opens with the start of a document, as a prompt does."""
    order = list(range(len(encoded)))
    random.Random(seed).shuffle(order)
    done, rows = [], []
    for k in order:
        ids, wts = encoded[k]
        fit = [r for r in rows if len(r[0]) + len(ids) <= n_seq + 1]
        if fit:
            row = max(fit, key=lambda r: len(r[0]))
            row[0].extend(ids)
            row[1].extend(wts)
        else:
            rows.append((list(ids[:n_seq + 1]), list(wts[:n_seq + 1])))
            if len(rows) > 24:
                done.append(rows.pop(max(range(len(rows)), key=lambda i: len(rows[i][0]))))
    done += rows
    random.Random(seed + 1).shuffle(done)
    out, weight = np.zeros((len(done), n_seq + 1), np.int16), np.zeros((len(done), n_seq + 1), np.float32)
    for i, (ids, wts) in enumerate(done):
        out[i, :len(ids)], weight[i, :len(wts)] = ids, wts
    return out, weight


_SENTENCE = re.compile(r'(?<=[.!?])(?:\s+|"\s+)(?=["A-Z])')


def sentences(text):
    """Sentences with their blanks normalised; quotation marks at the ends do not count."""
    return [s.strip('" ') for s in _SENTENCE.split(" ".join(text.split())) if s.strip('" ')]

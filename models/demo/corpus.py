"""Assembles the demo model's text: stories, chats and plain facts, as documents of weighted segments.

    rng --> story / question / statement --> document [(text, weight), ...] --> token rows [n_rows, n_seq]

A weight is how much a segment counts in the loss: what a user says is not for the model to predict (0), and the few
tokens of a short answer (ANSWER_WEIGHT) must not drown in the stories' (1).
The held-out documents come from another seed and, for questions, from the held-out side of every split.
"""
import random
import re
import numpy as np
import questions as q
import stories

CHAT = "<|im_start|>%s\n%s<|im_end|>\n"
ANSWER = "<|im_start|>assistant\n"
ANSWER_WEIGHT = 3.0


def chat_prompt(question):
    """What the chat template makes of one user message."""
    return CHAT % ("user", question) + ANSWER


def chat_doc(turns, system=None):
    doc = [(CHAT % ("system", system), 0.0)] if system else []
    for question, answer in turns:
        doc += [(chat_prompt(question), 0.0), (answer + "<|im_end|>", ANSWER_WEIGHT if len(answer) < 150 else 1.0), ("\n", 0.0)]
    return doc[:-1]


def story_pair_held(ctx):
    """Requests that name this hero and object are kept for the test."""
    return q.held("story:%s %s" % (ctx["hk"], ctx["O"]), 12)


def new_story(rng, test):
    while True:
        shape, ctx, text = stories.story(rng)
        if story_pair_held(ctx) == test:
            return shape, ctx, text


# Upper bounds of a random number in [0, 1): for a question (sum, opposite, colour, thing; else a minor kind) and for a
# document (story, tale, fact, list of sums; else a chat). The second mix is for later in training, when the stories' grammar
# is learned and the facts are not.
MIX = {"stories": ((0.42, 0.57, 0.78, 0.83), (0.11, 0.25, 0.29, 0.40)),
       "questions": ((0.26, 0.46, 0.80, 0.84), (0.04, 0.12, 0.19, 0.29))}


def question(rng, test, mix="stories"):
    r, (is_sum, is_opposite, is_colour, is_thing) = rng.random(), MIX[mix][0]
    if r < is_sum:
        return q.ask_sum(rng, test)
    if r < is_opposite:
        return q.ask_opposite(rng, test)
    if r < is_colour:
        return q.ask_colour(rng, test)
    if r < is_thing:
        return q.ask_thing(rng, test)
    return q.ask_small(rng, test)


def document(rng, test=False, mix="stories"):
    """One document: (kind, segments, questions asked in it)."""
    r, (is_story, is_tale, is_fact, is_sums) = rng.random(), MIX[mix][1]
    if r < is_story:
        return "story", [(new_story(rng, test)[2], 1.0)], []
    if r < is_tale:
        shape, ctx, text = new_story(rng, test)
        ask = stories.request(rng, shape, ctx)
        turns = [(ask, text)]
        if rng.random() < 0.1:
            _, qq, aa = question(rng, test, mix)
            turns.insert(rng.randrange(2), (qq, aa))
        return "tale", chat_doc(turns), [t[0] for t in turns]
    if r < is_fact and not test:
        return "fact", [(q.statements(rng), 1.0)], []
    if r < is_sums and not test:
        return "sums", q.sum_list(rng, ANSWER_WEIGHT), []
    n = 1 if test else rng.choice([1, 1, 2, 3, 4])
    turns = [question(rng, test, mix)[1:] for _ in range(n)]
    system = "You are a helpful assistant." if rng.random() < 0.05 else None
    return "chat", chat_doc(turns, system), [t[0] for t in turns]


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

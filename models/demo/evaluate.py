"""Measures the shipped files: everything here runs on weights read back (dequantised) from the GGUF.

    held-out loss | questions, greedy | stories, sampled: overlap, grammar, obedience | draft agreement --> RESULTS.md
"""
import json
import os
import random
import re
import zlib
import numpy as np
import torch
import corpus
import gguf_file
import optim
import questions as q
import reference
import stories
import words as w
from model import generate

TEMPERATURE = 0.8


def test_questions(n):
    """kind: [(question, answer)], all different, all from the held-out side."""
    rng = random.Random(99)

    def gather(make, n):
        out = {}
        for _ in range(60 * n):
            _, ask, answer = make()
            out[ask] = answer
            if len(out) == n:
                break
        return list(out.items())

    pool = gather(lambda: q.ask_opposite(rng, True), 10 * n)
    word = lambda ask: next((x for x in q.OPPOSITE if any(f.format(x=x) == ask for f in q.OPPOSITE_FORMS)), "")
    tests = {"sums": gather(lambda: q.ask_sum(rng, True), n),
        "opposites, word never asked": [t for t in pool if q.opposite_unasked(word(t[0]))][:n],
        "opposites, new wording": [t for t in pool if not q.opposite_unasked(word(t[0]))][:n],
        "colours in a text": gather(lambda: q.ask_colour(rng, True), n),
        "colours of things": gather(lambda: q.ask_thing(rng, True), n)}
    tests["repeat"] = gather(lambda: q.ask_repeat(rng, True), n)
    for kind in ("calendar", "plural", "count", "sound"):
        tests[kind] = gather(lambda: q.ask_small(rng, True, kind), n // 4)
    return tests


def story_requests(n):
    """Chat requests for stories whose pair (hero, object) is held out: (request, hero, object)."""
    rng, out = random.Random(77), []
    while len(out) < n:
        _, ctx, _ = corpus.new_story(rng, True)
        form = "a_ {hk} and a_ {O}" if rng.random() < 0.5 else rng.choice(["a_ {hk} who finds a_ {O}", "a_ {hk} who loses a_ {O}",
                                                                          "a_ {hk} who shares a_ {O}"])
        ask = stories.fill(rng, rng.choice(stories.REQUEST).replace("{who}", form), ctx)
        out.append((ask, ctx["hk"], ctx["O"]))
    return out


def openings(n):
    rng, out = random.Random(78), []
    for _ in range(n):
        _, ctx, text = corpus.new_story(rng, True)
        out.append(text[:text.index(ctx["H"]) + len(ctx["H"])] if rng.random() < 0.5 else "Once upon a time, there was")
    return out


def answer_all(model, tok, asks, n_max=48):
    prompts = [tok.encode_special(corpus.chat_prompt(a)) for a in asks]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    got = generate(model, [prompts[i] for i in order], n_max, tok.im_end)
    out = [None] * len(asks)
    for i, ids in zip(order, got):
        out[i] = tok.decode(ids)
    return out


def template_patterns():
    """One regular expression per sentence of the grammar: does the grammar allow this sentence?"""
    kinds = "|".join(w.ANIMALS + ["girl", "boy"])
    name, trait = "|".join(w.GIRLS + w.BOYS), "|".join(w.TRAITS)
    place, padj = "|".join(w.PLACES), "|".join(w.PLACE_ADJ)
    slots = dict(H=name, F=name, hk=kinds, fk=kinds, ha=trait, fa=trait, O="|".join(w.OBJECTS), oc="|".join(w.COLOURS),
        he="he|she", fhe="he|she", him="him|her", fhim="him|her", his="his|her", pn=place, padj=padj,
        mk="|".join(w.MAKES), ct="|".join(w.CONTESTS), pl="|".join(w.PLANTS), fr="|".join(w.FEARS),
        home="(?:near|by|beside|close to) the (?:%s) (?:%s)" % (padj, place))
    token = re.compile(r"\{(\w+)\}|<(\w+)>|\[([^\]]*)\]")
    out = set()
    for _, beats in stories.SHAPES.values():
        for template in (t for beat in beats for t in beat):
            alts = []

            def keep(m):
                alts.append(slots.get(m.group(1)) or "|".join(stories.LISTS.get(m.group(2), [])) or m.group(3))
                # Sentences are told apart by their capitals, so a stand-in keeps the case of what it stands for.
                capital = m.group(1) in ("H", "F") or alts[-1][0].isupper()
                return "%slot%dz" % ("S" if capital else "s", len(alts) - 1)
            for s in corpus.sentences(token.sub(keep, template)):
                s = re.escape(s).replace("a_\\ ", "an? ").replace("A_\\ ", "an? ")
                out.add(re.sub(r"[Ss]lot(\d+)z", lambda m: "(?:%s)" % alts[int(m.group(1))], s))
    return [re.compile(p + r"\Z", re.I) for p in sorted(out)]


_BAD_ARTICLE = re.compile(r"\ba (?=honest|[aeiou])|\ban (?!honest|[aeiou])", re.I)


def one_gender(text):
    """None when the characters differ; else whether only their pronouns occur."""
    names = set(re.findall(r"[A-Z][a-z]+", text))
    girls, boys = names & set(w.GIRLS), names & set(w.BOYS)
    if bool(girls) == bool(boys):
        return None
    wrong = {"he", "him", "his"} if girls else {"she", "her"}
    return not wrong & set(re.findall(r"[a-z]+", text.lower()))


def tell(model, tok, n):
    """n stories sampled at TEMPERATURE, half asked for in chat, half continued from an opening: (prompt, text, hero, object)."""
    asked, opened = story_requests(n // 2), openings(n - n // 2)
    chat = generate(model, [tok.encode_special(corpus.chat_prompt(a)) for a, _, _ in asked], 440, tok.im_end, TEMPERATURE, 5)
    raw = generate(model, [tok.encode(o) for o in opened], 440, tok.endoftext, TEMPERATURE, 6)
    return ([(a, tok.decode(ids), h, o) for (a, h, o), ids in zip(asked, chat)]
            + [(o, o + tok.decode(ids), None, None) for o, ids in zip(opened, raw)])


def story_figures(told, known):
    """known: the set of all sentences of the training text."""
    said = [s for _, text, _, _ in told for s in corpus.sentences(text)]
    patterns = template_patterns()
    # Sentences of stories only: those of other kinds are not in the grammar's templates.
    good = [any(p.match(s) for p in patterns) and not _BAD_ARTICLE.search(s) for s in said]
    obeyed = [bool(re.search(r"\b%s\b" % h, text, re.I)) and bool(re.search(r"\b%s\b" % o, text)) for _, text, h, o in told if h]
    gender = [g for g in (one_gender(text) for _, text, _, _ in told) if g is not None]
    return {"stories": len(told), "sentences": len(said), "temperature": TEMPERATURE,
        "sentences_in_training_text": sum(s in known for s in said) / len(said),
        "distinct_sentences": len(set(said)) / len(said),
        "sentences_the_grammar_allows": sum(good) / len(said),
        "requests_obeyed": sum(obeyed) / len(obeyed),
        "right_pronouns": sum(gender) / max(1, len(gender))}, [s for s, g in zip(said, good) if not g]


def losses(model, held, tok):
    """Nats per token and per byte over the held-out text that counts."""
    out, sums = {}, np.zeros(3)
    # One stand-in character for each byte; special tokens stand for none.
    size = np.array([len(t) if i < tok.endoftext else 0 for i, t in enumerate(tok.tokens)])
    for kind, rows in held.items():
        total, n = optim.held_loss(model, rows, tok.endoftext)
        n_bytes = size[rows[0][:, 1:][rows[1][:, 1:] > 0]].sum()
        out[kind] = {"nats_per_token": total / n, "nats_per_byte": total / n_bytes, "tokens": n}
        sums += total, n, n_bytes
    out["all"] = {"nats_per_token": sums[0] / sums[1], "nats_per_byte": sums[0] / sums[2], "tokens": int(sums[1])}
    return out


def agreement(demo, draft, tok, told):
    """How often the draft's first choice is the demo model's, along the demo model's own texts."""
    same = n = 0
    for ask, text, hero, _ in told:
        ids = tok.encode_special(corpus.chat_prompt(ask) + text) if hero else tok.encode(text)
        ids = torch.tensor([ids[:500]])
        with torch.no_grad():
            hit = (demo(ids).argmax(-1) == draft(ids).argmax(-1))[0, 8:]
        same, n = same + int(hit.sum()), n + len(hit)
    return same / n


def run(out, docs, held, tests, say, n_stories):
    files, results, samples, odd, told = {}, {}, {}, {}, {}
    said = lambda segs: "".join(t for t, wt in segs if wt).replace("<|im_end|>", "\n")
    known = {s for _, segs, _ in docs for s in corpus.sentences(said(segs))}
    for name in ("demo", "draft"):
        f = files[name] = gguf_file.File(os.path.join(out, name + ".gguf"))
        model, tok = f.model(), f.tokenizer()
        r = results[name] = {"parameters": int(sum(t.size for t in f.tensors.values())), "bytes": len(f.raw),
                             "crc32": "%08x" % zlib.crc32(f.raw), "loss": losses(model, held, tok), "questions": {}}
        # The draft only has to guess what the other says, so a part of the questions and stories will do.
        share = 1 if name == "demo" else 4
        for kind, asked in tests.items():
            asked = asked[:max(1, len(asked) // share)]
            got = answer_all(model, tok, [a for a, _ in asked])
            right = [g == want for g, (_, want) in zip(got, asked)]
            r["questions"][kind] = {"asked": len(asked), "right": sum(right) / len(asked)}
            samples.setdefault(name, []).extend([(a, g, ok) for (a, _), g, ok in zip(asked, got, right)][:2])
            odd.setdefault(name, []).extend([(a, g) for (a, _), g, ok in zip(asked, got, right) if not ok][:2])
            say("%s: %s %.1f %% of %d" % (name, kind, 100 * r["questions"][kind]["right"], len(asked)))
        told[name] = tell(model, tok, n_stories // share)
        r["stories"], bad = story_figures(told[name], known)
        say("%s: %s %s" % (name, r["loss"], r["stories"]))
        for s in bad[:8]:
            say("%s: outside the grammar: %.200s" % (name, s))
        r["reference_difference"] = reference.compare(f, model, tok.encode(told["demo"][-1][1])[:200])
    results["draft"]["agreement_with_demo"] = agreement(files["demo"].model(), files["draft"].model(), files["demo"].tokenizer(),
                                                        told["demo"][:30])
    with open(os.path.join(out, "results.json"), "w") as f:
        json.dump(results, f, indent=1)
    write_markdown(os.path.join(out, "RESULTS.md"), results, samples["demo"], odd["demo"], told)
    reference.write_vectors(out, files)
    say("results and vectors written")


def write_markdown(path, results, samples, odd, told):
    a, b = results["demo"], results["draft"]
    percent = lambda x: "%.1f %%" % (100 * x)
    row = lambda label, get: "| %s | %s | %s |" % (label, get(a), get(b))
    lines = ["# What the demo models reach", "", "Written by `models/demo/train`; measured on the weights as shipped (Q8_0, read back",
        "from the GGUF). Questions are answered greedily and count as right only when the whole answer is, to the letter; none",
        "was in training (see README.md for what is kept out). Stories are sampled at temperature %.1f." % TEMPERATURE, "",
        "| | demo.gguf | draft.gguf |", "| --- | --- | --- |", row("parameters", lambda r: "%.2f million" % (r["parameters"] / 1e6)),
        row("file", lambda r: "%.2f MB" % (r["bytes"] / 1e6))]
    for kind, label in (("all", "held-out loss"), ("stories", "... of stories"), ("answers", "... of answers")):
        lines.append(row(label + ", nats/token (nats/byte)", lambda r: "%.4f (%.4f)" % (
            r["loss"][kind]["nats_per_token"], r["loss"][kind]["nats_per_byte"])))
    for kind, t in a["questions"].items():
        lines.append(row("%s, %d held-out questions" % (kind, t["asked"]), lambda r: percent(r["questions"][kind]["right"])))
    s = a["stories"]
    for key, label in (("sentences_in_training_text", "story sentences that occur in the training text"),
            ("distinct_sentences", "story sentences that differ from all others"),
            ("sentences_the_grammar_allows", "story sentences that the grammar allows, articles agreeing"),
            ("right_pronouns", "stories with one gender and no wrong pronoun"),
            ("requests_obeyed", "requests whose hero and object (a held-out pair) both occur")):
        lines.append(row(label, lambda r: percent(r["stories"][key])))
    lines += [row("largest difference to the float64 forward pass", lambda r: "%.1e" % r["reference_difference"]), "",
        "%d stories, %d sentences; of the draft a quarter as many, and a quarter of the questions. The draft's first choice is the demo model's for %s of the tokens of its stories."
        % (s["stories"], s["sentences"], percent(b["agreement_with_demo"])), "", "## Answers", ""]
    lines += ["- %s -> %s%s" % (ask, got, "" if ok else " (wrong)") for ask, got, ok in samples]
    lines += ["", "## Some wrong answers", ""] + (["- %s -> %s" % o for o in odd] or ["None."])
    lines += ["", "## Stories", "", "The first of each kind, not chosen.", ""]
    picks = [("demo, asked", t) for t in told["demo"][:3]] + [("demo, continued", t) for t in told["demo"][-3:]] + [
        ("draft, asked", told["draft"][0])]
    for label, (prompt, text, _, _) in picks:
        lines += ["**%s:** %s" % (label, prompt), "", *("> " + p for p in text.split("\n")), ""]
    with open(path, "w") as f:
        f.write("\n".join(lines).rstrip() + "\n")

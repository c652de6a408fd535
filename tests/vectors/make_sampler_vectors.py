#!/usr/bin/env python3
"""Writes sampler.json beside this script: the probabilities with which a sampler must draw.

Float64, every step written as its paper writes it (sort, accumulate, cut), so it shares no method with host/sampler*,
which selects by radix over integers. A case is refused when a change of the logits by a few f32 roundings would change
which tokens are kept. Usage: make_sampler_vectors.py (needs numpy)."""
import json
import os

import numpy as np

ALL = 2**32 - 1
DEFAULTS = dict(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, typical_p=1.0, repeat_penalty=1.0,
                frequency_penalty=0.0, presence_penalty=0.0, penalty_last_n=64, dry_multiplier=0.0, dry_base=1.75,
                dry_allowed_length=2, dry_last_n=ALL, dry_breakers=[], xtc_probability=0.0, xtc_threshold=0.1,
                biases=[])


def softmax(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def window(history, last_n):
    return history[-last_n:] if 0 < last_n < len(history) else (history if last_n else [])


def penalties(logits, history, p):
    for t in set(window(history, p["penalty_last_n"])):
        count = window(history, p["penalty_last_n"]).count(t)
        r = p["repeat_penalty"]
        logits[t] = logits[t] / r if logits[t] > 0 else logits[t] * r
        logits[t] -= count * p["frequency_penalty"] + p["presence_penalty"]


def dry(logits, history, p):
    """For every place where the last token occurred before, walk back while both sides agree."""
    h = window(history, p["dry_last_n"])
    if p["dry_multiplier"] == 0 or not h or h[-1] in p["dry_breakers"]:
        return
    best = {}
    for i in range(len(h) - 1):
        if h[i] != h[-1] or h[i + 1] in p["dry_breakers"]:
            continue
        length = 1
        while i - length >= 0 and h[i - length] == h[-1 - length] and h[i - length] not in p["dry_breakers"]:
            length += 1
        best[h[i + 1]] = max(length, best.get(h[i + 1], 0))
    for token, length in best.items():
        if length >= p["dry_allowed_length"]:
            logits[token] -= p["dry_multiplier"] * p["dry_base"] ** (length - p["dry_allowed_length"])


def distribution(logits, history, params):
    """{id: probability} after all steps."""
    p = {**DEFAULTS, **params}
    logits = np.array(logits, dtype=np.float64)
    for token, bias in p["biases"]:
        logits[token] += -np.inf if bias is None else bias
    penalties(logits, history, p)
    dry(logits, history, p)
    ids = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    ids = [i for i in ids if logits[i] > -np.inf]
    if p["temperature"] == 0:
        return {ids[0]: 1.0}
    if p["top_k"] > 0:
        ids = ids[: p["top_k"]]
    if p["typical_p"] < 1:
        prob = dict(zip(ids, softmax(logits[ids])))
        entropy = -sum(q * np.log(q) for q in prob.values() if q > 0)
        order = sorted(ids, key=lambda i: (abs(-np.log(prob[i]) - entropy), i))
        kept, mass = [], 0.0
        for i in order:
            if mass >= p["typical_p"]:
                break
            kept.append(i)
            mass += prob[i]
        ids = [i for i in ids if i in kept]
    if p["top_p"] < 1:
        mass = np.cumsum(softmax(logits[ids]))
        ids = ids[: int(np.searchsorted(mass, p["top_p"])) + 1]
    if p["min_p"] > 0:
        prob = softmax(logits[ids])
        ids = [i for i, q in zip(ids, prob) if q >= p["min_p"] * prob[0]]
    if p["xtc_probability"] == 1:
        n = int((softmax(logits[ids]) >= p["xtc_threshold"]).sum())
        ids = ids[n - 1 :] if n >= 2 else ids
    return {int(i): float(q) for i, q in zip(ids, softmax(logits[ids] / p["temperature"]))}


def main():
    rng = np.random.default_rng(20)
    small = [2.0, 1.0, 0.0, -1.0, 3.0, 0.5, -2.5, 1.5]
    wide = [float(np.float32(x)) for x in rng.normal(0, 2.5, 40)]
    flat = [float(np.float32(x)) for x in rng.normal(0, 0.3, 25)]
    said = [3, 4, 5, 0, 3, 4, 5, 1, 2, 3, 4, 5]  # 3 4 5 was followed by 0, then by 1
    long = [int(x) for x in rng.integers(0, 4, 80)]
    cases = []

    def case(name, logits, history=(), **params):
        want = distribution(logits, list(history), params)
        for seed in range(8):
            noise = np.random.default_rng(seed).normal(0, 2e-6, len(logits))
            again = distribution(np.array(logits) + noise * (len(set(logits)) == len(logits)), list(history), params)
            assert again.keys() == want.keys(), name + " stands on an edge"
        cases.append(dict(name=name, logits=logits, history=list(history), params=params,
                          probs=sorted(want.items())))

    case("softmax", small)
    case("greedy", wide, temperature=0.0)
    case("greedy, equal logits", [1.0, 2.0, 2.0, 2.0], temperature=0.0)
    case("temperature 0.5", wide, temperature=0.5)
    case("temperature 3", wide, temperature=3.0)
    for k in (1, 2, 7, 39, 40, 100):
        case(f"top-k {k}", wide, top_k=k)
    case("top-k, equal logits", [0.0, 1.0, 1.0, 1.0, 2.0, 1.0], top_k=3)
    for q in (0.01, 0.3, 0.5, 0.9, 0.99):
        case(f"top-p {q}", wide, top_p=q)
        case(f"top-p {q}, flat", flat, top_p=q)
        case(f"typical {q}", wide, typical_p=q)
        case(f"typical {q}, flat", flat, typical_p=q)
    for q in (0.02, 0.2, 0.7, 0.95):
        case(f"min-p {q}", wide, min_p=q)
        case(f"min-p {q}, flat", flat, min_p=q)
    case("top-p, then temperature", wide, top_p=0.8, temperature=2.0)
    case("repetition, both signs", small, [3, 4, 4, 6], repeat_penalty=1.3)
    case("frequency", small, [4, 4, 4, 7], frequency_penalty=0.4)
    case("presence", small, [4, 4, 4, 7], presence_penalty=0.7)
    case("all penalties, negative ones too", small, [4, 4, 0, 7], repeat_penalty=0.9, frequency_penalty=-0.2,
         presence_penalty=0.3)
    case("penalty window", small, [4, 4, 0, 7, 1], frequency_penalty=1.0, penalty_last_n=3)
    case("penalty window of none", small, [4, 4, 0, 7, 1], frequency_penalty=1.0, penalty_last_n=0)
    case("penalty window of all", small, [4] * 70 + [1], frequency_penalty=0.05, penalty_last_n=ALL)
    case("penalty window of 64", small, [4] * 70 + [1], frequency_penalty=0.05)
    case("logit bias", small, biases=[[4, -2.5], [6, 4.0], [6, 1.0]])
    case("logit bias that forbids", small, biases=[[4, None], [0, None]])
    case("bias before penalties", small, [3], biases=[[3, 2.0]], repeat_penalty=2.0)
    case("DRY", small, said, dry_multiplier=0.8)
    case("DRY with a breaker", small, said, dry_multiplier=0.8, dry_breakers=[4])
    case("DRY after a breaker", small, said, dry_multiplier=0.8, dry_breakers=[5])
    case("DRY spares a breaker", small, said, dry_multiplier=0.8, dry_breakers=[0])
    case("DRY window", small, said, dry_multiplier=0.8, dry_last_n=8)
    case("DRY length", small, said, dry_multiplier=0.8, dry_allowed_length=4)
    case("DRY base", small, long, dry_multiplier=0.3, dry_base=1.2, dry_allowed_length=1)
    for threshold in (0.05, 0.1, 0.3, 0.5):
        case(f"XTC {threshold}", small, xtc_probability=1.0, xtc_threshold=threshold)
        case(f"XTC {threshold}, wide", wide, xtc_probability=1.0, xtc_threshold=threshold)
    case("XTC, equal logits", [2.0, 2.0, 2.0, 0.0], xtc_probability=1.0)
    case("everything", wide, said, temperature=0.7, top_k=30, typical_p=0.97, top_p=0.95, min_p=0.01,
         repeat_penalty=1.1, frequency_penalty=0.1, presence_penalty=0.1, dry_multiplier=0.8, xtc_probability=1.0,
         xtc_threshold=0.15, biases=[[11, 1.0]])
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sampler.json")
    with open(path, "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    print(f"{len(cases)} cases")


main()

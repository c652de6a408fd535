"""The forward pass again, in float64 numpy and written from the file's names alone: it checks the training code and makes
the test vectors for the C code."""
import json
import os
import numpy as np
import corpus

PROMPTS = [("Once upon a time, there was a little fox named", False), ("One sunny morning, Mia", False),
    ("The opposite of hot is", False), ("12 + 30 =", False), ("\"Hello,\" said the", False),
    ("What is 27 + 45?", True), ("What is the opposite of big?", True), ("Tell me a story about a fox who finds a key.", True),
    ("Tom has a red ball and a blue kite. What colour is the kite?", True), ("Hello!", True)]

TEXTS = ["", " ", "a", "Hello", "Hello, world!", "hello world", " leading", "trailing ", "two  blanks", "three   blanks   here",
    "\n", "\n\n", " \n", "\n ", "a\nb", "a\n\nb", "a \n b", "line\r\nline", "\r\n\r\n", "tab\there", "\t\tx", " \t mixed \n\t x",
    "it's", "IT'S", "don't we've they're I'm you'll he'd", "'s", "'tis", "''", "'", "x'", "x 's", "'S'T'RE", "12345", "3.14", "12 + 30 = 42.",
    "a1b2", " 7", "  7", "1,000,000", "C++", "snake_case_name", "f(x) = y;", "...", "!?!?\n\n", " !!!\nnext", "a-b", "(paren)", " (paren)",
    "e-mail@example.org", "https://example.org/a?b=c&d=e", "Once upon a time, there was a little fox named Pip.",
    "\"Hello,\" said the fox.", "The opposite of hot is cold.", "\u00e9t\u00e9", "na\u00efve caf\u00e9", "stra\u00dfe", "\u00dcber allem",
    "\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440", "\u4f60\u597d\uff0c\u4e16\u754c", "\u3053\u3093\u306b\u3061\u306f",
    "\ud55c\uad6d\uc5b4", "\u0645\u0631\u062d\u0628\u0627", "\u0663\u0664", "x\u00b2", "\u2167 \u00bd", "e\u0301", "\U0001f642", "a \U0001f642 b",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u00a0nbsp", "a\u00a0b", "\u3000wide", "zero\u200bwidth", "\u2014dash\u2014", "\u201cquoted\u201d", "\u20ac5",
    "\u0928\u092e\u0938\u094d\u0924\u0947", "\x00", "\x7f", "<|im_start|>", "<|endoftext|>x"]
SPECIAL_TEXTS = ["<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|endoftext|>", "a<|im_end|>b", "<|im_end|><|im_end|>",
    "<|im_start|> <|im_end|>", "x <|endoftext|> y", "<|im_start|", "<|im_start|>user"]


def rms(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def turn(x, base):
    """x [heads, t, dim]: pairs (i, i + dim/2) rotate by position * base^(-2i/dim)."""
    half = x.shape[2] // 2
    angle = np.arange(x.shape[1])[:, None] * base ** (-np.arange(half) / half)
    a, b, c, s = x[..., :half], x[..., half:], np.cos(angle), np.sin(angle)
    return np.concatenate([a * c - b * s, b * c + a * s], -1)


def forward(f, ids):
    """Logits [t, n_vocab] in float64 from a gguf_file.File."""
    w, k = {n: t.astype(np.float64) for n, t in f.tensors.items()}, lambda s: f.kv["qwen3." + s]
    eps, heads, kv_heads = k("attention.layer_norm_rms_epsilon"), k("attention.head_count"), k("attention.head_count_kv")
    dim, t = k("attention.key_length"), len(ids)
    x = w["token_embd.weight"][ids]
    mask = np.triu(np.full((t, t), -np.inf), 1)
    split = lambda y, n: y.reshape(t, n, dim).transpose(1, 0, 2)
    for i in range(k("block_count")):
        p = lambda s: w["blk.%d.%s.weight" % (i, s)]
        y = rms(x, p("attn_norm"), eps)
        q = turn(rms(split(y @ p("attn_q").T, heads), p("attn_q_norm"), eps), k("rope.freq_base"))
        key = turn(rms(split(y @ p("attn_k").T, kv_heads), p("attn_k_norm"), eps), k("rope.freq_base"))
        v = split(y @ p("attn_v").T, kv_heads)
        out = np.empty((t, heads, dim))
        for h in range(heads):
            g = h // (heads // kv_heads)
            s = q[h] @ key[g].T / np.sqrt(dim) + mask
            s = np.exp(s - s.max(1, keepdims=True))
            out[:, h] = s / s.sum(1, keepdims=True) @ v[g]
        x = x + out.reshape(t, -1) @ p("attn_output").T
        y = rms(x, p("ffn_norm"), eps)
        gate = y @ p("ffn_gate").T
        x = x + (gate / (1 + np.exp(-gate)) * (y @ p("ffn_up").T)) @ p("ffn_down").T
    return rms(x, w["output_norm.weight"], eps) @ w["token_embd.weight"].T


def compare(f, model, ids):
    """Largest difference between PyTorch's f32 logits and the float64 ones; a wrong layout would be of order one."""
    import torch
    with torch.no_grad():
        diff = float(np.abs(model(torch.tensor([ids]))[0].numpy() - forward(f, ids)).max())
    assert diff < 1e-2, diff
    return diff


def greedy(f, ids, n, stop):
    """n greedy tokens (fewer when `stop` comes, which is included) with the lead of the first choice over the second."""
    out, margins, first = [], [], None
    for _ in range(n):
        logits = forward(f, ids + out)[-1]
        first = logits if first is None else first
        top = np.sort(logits)[-2:]
        out.append(int(logits.argmax()))
        margins.append(round(float(top[1] - top[0]), 6))
        if out[-1] in stop:
            break
    return out, margins, first


def write_vectors(out, files):
    tok = files["demo"].tokenizer()
    data = {"about": "float64 forward pass of the files beside this one. ids: the prompt (chat: after the chat template). "
        "greedy: up to 32 tokens, an end token ends it and is included; margins: first less second choice's logit. "
        "logits: the first 16 at the prompt's last position. tokenizer: text to ids; special: names of special tokens count.",
        "models": {}}
    for name, f in files.items():
        rows = data["models"][name + ".gguf"] = []
        for text, chat in PROMPTS:
            ids = tok.encode_special(corpus.chat_prompt(text)) if chat else tok.encode(text)
            got, margins, first = greedy(f, ids, 32, (tok.im_end, tok.endoftext))
            rows.append({"text": text, "chat": chat, "ids": ids, "greedy": got, "continuation": tok.decode(got),
                         "margins": margins, "logits": [round(float(v), 6) for v in first[:16]]})
    ids = tok.encode("Once upon a time, there was a little fox named Mia who lived near the quiet river. One sunny morning, "
                     "Mia walked slowly to the old mill and found a red key.")[:24]
    data["full_logits"] = {"file": "vectors-logits.f32", "model": "demo.gguf", "ids": ids, "shape": [len(ids), len(tok.tokens)]}
    forward(files["demo"], ids).astype("<f4").tofile(os.path.join(out, "vectors-logits.f32"))
    data["tokenizer"] = ([{"text": t, "ids": tok.encode(t), "special": False} for t in TEXTS]
                         + [{"text": t, "ids": tok.encode_special(t), "special": True} for t in SPECIAL_TEXTS])
    body = json.dumps(data, indent=1)
    # Lists of numbers on one line each.
    import re
    body = re.sub(r"\[\s+([-\d][^\[\]{}\"]*?)\s+\]", lambda m: "[" + " ".join(m.group(1).split()) + "]", body)
    with open(os.path.join(out, "vectors.json"), "w") as f:
        f.write(body + "\n")

"""GGUF v3: writes the demo model with its tokenizer, and reads such a file back with dequantised weights.

Layout: header, key-value pairs, tensor table, padding to 32, then every tensor padded to 32. Matrices are Q8_0 (blocks of
32 along a row: one f16 scale, 32 int8), norms F32. ggml writes a shape with the fastest dimension first.
"""
import struct
import numpy as np
from bpe import SPECIAL, Tokenizer

U32, I32, F32, BOOL, STR, ARR, U64 = 4, 5, 6, 7, 8, 9, 10
FORMAT = {0: "<B", 1: "<b", 2: "<H", 3: "<h", U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q", 11: "<q", 12: "<d"}
TYPE_F32, TYPE_Q8_0 = 0, 8
ALIGN = 32

CHAT_TEMPLATE = ("{%- for message in messages %}{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>' + '\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}")


def quantize_q8_0(x):
    """[rows, n] f32 to bytes; the stored (rounded) scale is the one that the integers are made with."""
    b = np.ascontiguousarray(x, np.float32).reshape(-1, 32)
    d = (np.abs(b).max(1) / 127).astype(np.float16)
    safe = np.where(d == 0, 1, d).astype(np.float32)
    q = np.clip(np.rint(b / safe[:, None]), -127, 127).astype(np.int8)
    out = np.empty(len(b), dtype=[("d", "<f2"), ("q", "i1", 32)])
    out["d"], out["q"] = d, q
    return out.tobytes()


def dequantize_q8_0(raw, shape):
    b = np.frombuffer(raw, dtype=[("d", "<f2"), ("q", "i1", 32)])
    return (b["d"].astype(np.float32)[:, None] * b["q"].astype(np.float32)).reshape(shape)


def _string(s):
    raw = s.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(kind, v):
    return _string(v) if kind == STR else struct.pack(FORMAT[kind], v)


def metadata(cfg, tok, name, n_params):
    n_special = len(SPECIAL)
    kv = [("general.architecture", STR, "qwen3"), ("general.type", STR, "model"), ("general.name", STR, name),
        ("general.license", STR, "apache-2.0"), ("general.size_label", STR, "%.1fM" % (n_params / 1e6)),
        ("general.languages", (ARR, STR), ["en"]), ("general.file_type", U32, 7), ("general.quantization_version", U32, 2),
        ("general.alignment", U32, ALIGN)]
    dims = [("block_count", U32, cfg.n_layer), ("context_length", U32, cfg.n_ctx), ("embedding_length", U32, cfg.n_embd),
        ("feed_forward_length", U32, cfg.n_ff), ("attention.head_count", U32, cfg.n_head),
        ("attention.head_count_kv", U32, cfg.n_head_kv), ("attention.key_length", U32, cfg.head_dim),
        ("attention.value_length", U32, cfg.head_dim), ("attention.layer_norm_rms_epsilon", F32, cfg.eps),
        ("rope.freq_base", F32, cfg.rope_base), ("vocab_size", U32, cfg.n_vocab)]
    kv += [("qwen3." + k, t, v) for k, t, v in dims]
    n_plain = len(tok.tokens) - n_special
    kv += [("tokenizer.ggml.model", STR, "gpt2"), ("tokenizer.ggml.pre", STR, "qwen2"),
        ("tokenizer.ggml.tokens", (ARR, STR), tok.tokens),
        ("tokenizer.ggml.token_type", (ARR, I32), [1] * n_plain + [3] * n_special),
        ("tokenizer.ggml.merges", (ARR, STR), [a + " " + b for a, b in tok.merges]),
        ("tokenizer.ggml.bos_token_id", U32, tok.endoftext), ("tokenizer.ggml.eos_token_id", U32, tok.im_end),
        ("tokenizer.ggml.eot_token_id", U32, tok.im_end), ("tokenizer.ggml.padding_token_id", U32, tok.endoftext),
        ("tokenizer.ggml.add_bos_token", BOOL, False), ("tokenizer.ggml.add_eos_token", BOOL, False),
        ("tokenizer.chat_template", STR, CHAT_TEMPLATE)]
    return kv


def write(path, model, tok, name):
    """model: model.Model; its state names are GGUF's once ".blk." prefixes are in place."""
    state = {k: v.detach().float().numpy() for k, v in model.state_dict().items()}
    kv = metadata(model.cfg, tok, name, sum(v.size for v in state.values()))
    head = [b"GGUF", struct.pack("<IQQ", 3, len(state), len(kv))]
    for key, kind, v in kv:
        if isinstance(kind, tuple):
            head.append(_string(key) + struct.pack("<IIQ", ARR, kind[1], len(v)) + b"".join(_value(kind[1], x) for x in v))
        else:
            head.append(_string(key) + struct.pack("<I", kind) + _value(kind, v))
    body, at = [], 0
    for key, x in state.items():
        kind, raw = (TYPE_F32, x.astype("<f4").tobytes()) if x.ndim == 1 else (TYPE_Q8_0, quantize_q8_0(x))
        head.append(_string(key) + struct.pack("<I", x.ndim) + struct.pack("<%dQ" % x.ndim, *x.shape[::-1])
                    + struct.pack("<IQ", kind, at))
        raw += b"\0" * (-len(raw) % ALIGN)
        body.append(raw)
        at += len(raw)
    head = b"".join(head)
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % ALIGN) + b"".join(body))


class File:
    """kv: dict of metadata; tensors: dict of f32 arrays [rows, n] or [n]."""

    def __init__(self, path):
        self.raw, self.at = open(path, "rb").read(), 4
        assert self.raw[:4] == b"GGUF"
        version, n_tensors, n_kv = self._take("<I"), self._take("<Q"), self._take("<Q")
        assert version == 3
        self.kv = {}
        for _ in range(n_kv):
            key = self._string()
            self.kv[key] = self._value(self._take("<I"))
        table = []
        for _ in range(n_tensors):
            name = self._string()
            shape = [self._take("<Q") for _ in range(self._take("<I"))][::-1]
            table.append((name, shape, self._take("<I"), self._take("<Q")))
        base = -(-self.at // ALIGN) * ALIGN
        self.tensors = {}
        for name, shape, kind, offset in table:
            n = int(np.prod(shape))
            size = 4 * n if kind == TYPE_F32 else n // 32 * 34
            part = self.raw[base + offset:base + offset + size]
            self.tensors[name] = (np.frombuffer(part, "<f4").reshape(shape) if kind == TYPE_F32
                                  else dequantize_q8_0(part, shape))

    def _take(self, fmt):
        v = struct.unpack_from(fmt, self.raw, self.at)[0]
        self.at += struct.calcsize(fmt)
        return v

    def _string(self):
        n = self._take("<Q")
        self.at += n
        return self.raw[self.at - n:self.at].decode()

    def _value(self, kind):
        if kind == STR:
            return self._string()
        if kind == ARR:
            inner, n = self._take("<I"), self._take("<Q")
            return [self._value(inner) for _ in range(n)]
        return self._take(FORMAT[kind])

    def tokenizer(self):
        return Tokenizer([m.split(" ") for m in self.kv["tokenizer.ggml.merges"]])

    def config(self):
        from model import Config
        k = lambda s: self.kv["qwen3." + s]
        return Config(k("vocab_size"), k("embedding_length"), k("block_count"), k("attention.head_count"),
                      k("attention.head_count_kv"), k("attention.key_length"), k("feed_forward_length"),
                      k("context_length"), k("attention.layer_norm_rms_epsilon"), k("rope.freq_base"))

    def model(self):
        import torch
        from model import Model
        m = Model(self.config())
        m.load_state_dict({k: torch.tensor(v) for k, v in self.tensors.items()})
        return m.eval()

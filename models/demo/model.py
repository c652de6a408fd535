"""The Qwen3 architecture in PyTorch, small enough for a CPU.

    ids [b, t] --> embedding --> n_layer x ( x += attention(norm x);  x += swiglu(norm x) ) --> norm --> embedding^T

Queries and keys are RMS-normalised per head before the rotary embedding turns their halves; there are no biases, and
the output shares the embedding's weights.
"""
from dataclasses import dataclass
import math
import torch
from torch import nn
import torch.nn.functional as F


@dataclass
class Config:
    n_vocab: int
    n_embd: int
    n_layer: int
    n_head: int
    n_head_kv: int
    head_dim: int
    n_ff: int
    n_ctx: int
    eps: float = 1e-6
    rope_base: float = 10000.0


def rms(x, weight, eps):
    return x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + eps) * weight


class Norm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        return rms(x, self.weight, self.eps)


def rope_tables(cfg):
    """cos and sin [n_ctx, head_dim], each half the same."""
    inv = cfg.rope_base ** (-torch.arange(0, cfg.head_dim, 2).double() / cfg.head_dim)
    angle = torch.outer(torch.arange(cfg.n_ctx).double(), inv)
    angle = torch.cat([angle, angle], 1)
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def linear(n_in, n_out, scale=1.0):
    m = nn.Linear(n_in, n_out, bias=False)
    nn.init.normal_(m.weight, std=scale / math.sqrt(n_in))
    return m


class Block(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        c, self.cfg = cfg, cfg
        small = 1 / math.sqrt(2 * c.n_layer)
        self.attn_norm, self.ffn_norm = Norm(c.n_embd, c.eps), Norm(c.n_embd, c.eps)
        self.attn_q = linear(c.n_embd, c.n_head * c.head_dim)
        self.attn_k = linear(c.n_embd, c.n_head_kv * c.head_dim)
        self.attn_v = linear(c.n_embd, c.n_head_kv * c.head_dim)
        self.attn_q_norm, self.attn_k_norm = Norm(c.head_dim, c.eps), Norm(c.head_dim, c.eps)
        self.attn_output = linear(c.n_head * c.head_dim, c.n_embd, small)
        self.ffn_gate, self.ffn_up = linear(c.n_embd, c.n_ff), linear(c.n_embd, c.n_ff)
        self.ffn_down = linear(c.n_ff, c.n_embd, small)

    def forward(self, x, cos, sin, mask, cache=None):
        c = self.cfg
        b, t, _ = x.shape
        y = self.attn_norm(x)
        q = self.attn_q(y).view(b, t, c.n_head, c.head_dim)
        k = self.attn_k(y).view(b, t, c.n_head_kv, c.head_dim)
        v = self.attn_v(y).view(b, t, c.n_head_kv, c.head_dim).transpose(1, 2)
        q = rotate(self.attn_q_norm(q).transpose(1, 2), cos, sin) * (c.head_dim ** -0.5)
        k = rotate(self.attn_k_norm(k).transpose(1, 2), cos, sin)
        if cache is not None:
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            cache[:] = [k, v]
        # The query heads of one key head stand in one matrix, so that nothing is repeated.
        g = c.n_head // c.n_head_kv
        n = k.shape[2]
        s = torch.matmul(q.reshape(b, c.n_head_kv, g * t, c.head_dim), k.transpose(2, 3)).view(b, c.n_head_kv, g, t, n)
        p = torch.softmax(s + mask, -1).view(b, c.n_head_kv, g * t, n)
        y = torch.matmul(p, v).view(b, c.n_head, t, c.head_dim).transpose(1, 2).reshape(b, t, -1)
        x = x + self.attn_output(y)
        y = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(y)) * self.ffn_up(y))


class Model(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.token_embd = nn.Embedding(cfg.n_vocab, cfg.n_embd)
        nn.init.normal_(self.token_embd.weight, std=1 / math.sqrt(cfg.n_embd))
        self.blk = nn.ModuleList(Block(cfg) for _ in range(cfg.n_layer))
        self.output_norm = Norm(cfg.n_embd, cfg.eps)
        self.cos, self.sin = rope_tables(cfg)

    def forward(self, ids, caches=None, valid=None):
        """Logits [b, t, n_vocab]."""
        return self.logits(self.hidden(ids, caches, valid))

    def logits(self, x):
        return F.linear(x, self.token_embd.weight)

    def hidden(self, ids, caches=None, valid=None, document=None):
        """Normalised states [b, t, n_embd]. caches: one list per layer, filled and extended here.
        valid [b, past + t]: which cached positions count, for batches of prompts padded on the left.
        document [b, t]: a token sees only those with the same number, for rows of several documents."""
        past = caches[0][0].shape[2] if caches and caches[0] else 0
        b, t = ids.shape
        n = past + t
        mask = torch.full((t, n), float("-inf")).triu(past + 1)
        if valid is None:
            cos, sin = self.cos[past:n], self.sin[past:n]
        else:
            pos = (valid.cumsum(1) - 1).clamp(min=0)[:, past:]
            cos, sin = self.cos[pos][:, None], self.sin[pos][:, None]
            # A padded row sees itself, so that its softmax stays finite; nothing reads it.
            dead = (valid[:, None, :] == 0) & ~torch.eye(n, dtype=torch.bool)[past:][None]
            mask = (mask[None] + torch.zeros(b, 1, 1)).masked_fill(dead, float("-inf"))[:, None, None]
        if document is not None:
            apart = document[:, :, None] != document[:, None, :]
            mask = mask.expand(b, t, n).masked_fill(apart, float("-inf"))[:, None, None]
        x = self.token_embd(ids)
        for i, blk in enumerate(self.blk):
            x = blk(x, cos, sin, mask, caches[i] if caches is not None else None)
        return self.output_norm(x)


@torch.no_grad()
def generate(model, prompts, n_max, stop, temperature=0.0, seed=0, batch=64):
    """Continues each prompt (a list of ids) until `stop` or n_max tokens; batched, prompts padded on the left."""
    gen = torch.Generator().manual_seed(seed)
    out = []
    for at in range(0, len(prompts), batch):
        part = prompts[at:at + batch]
        n = max(map(len, part))
        ids = torch.tensor([[0] * (n - len(p)) + p for p in part])
        valid = torch.tensor([[0] * (n - len(p)) + [1] * len(p) for p in part])
        caches = [[] for _ in model.blk]
        done, rows = torch.zeros(len(part), dtype=torch.bool), [[] for _ in part]
        step = ids
        for _ in range(min(n_max, model.cfg.n_ctx - n)):
            logits = model(step, caches, valid)[:, -1].float()
            if temperature > 0:
                nxt = torch.multinomial(torch.softmax(logits / temperature, -1), 1, generator=gen)[:, 0]
            else:
                nxt = logits.argmax(-1)
            for i, tkn in enumerate(nxt.tolist()):
                done[i] |= tkn == stop
                if not done[i]:
                    rows[i].append(tkn)
            if done.all():
                break
            step = nxt[:, None]
            valid = torch.cat([valid, torch.ones(len(part), 1, dtype=valid.dtype)], 1)
        out += rows
    return out

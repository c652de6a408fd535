"""The training loop and its optimiser: Muon for the blocks' matrices, Adam for the embedding and the norms.

Muon (K. Jordan, 2024): momentum, then the update is replaced by its nearest orthogonal matrix (Newton-Schulz), so that every
direction of a matrix learns at the same pace. At this size it needs clearly fewer tokens than Adam alone.
"""
import math
import time
import numpy as np
import torch
import torch.nn.functional as F


def orthogonal(g, steps=5):
    """g [n, rows, cols]: pushes all singular values towards 1. The quintic's constants are Muon's published ones."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    # Rows are the shorter side, so that the square products are the smaller ones.
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2).contiguous()
    x = x / (x.float().flatten(1).norm(dim=1)[:, None, None] + 1e-7).bfloat16()
    for _ in range(steps):
        s = x @ x.transpose(1, 2)
        x = a * x + (b * s + c * (s @ s)) @ x
    return (x.transpose(1, 2) if tall else x).float()


class Muon:
    def __init__(self, params, momentum=0.95):
        self.momentum, self.groups = momentum, {}
        for p in params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.buf = {s: torch.zeros(len(ps), *s) for s, ps in self.groups.items()}

    @torch.no_grad()
    def step(self, lr, decay):
        for shape, ps in self.groups.items():
            g = torch.stack([p.grad for p in ps])
            buf = self.buf[shape].lerp_(g, 1 - self.momentum)
            update = orthogonal(g.lerp(buf, self.momentum))
            scale = max(1, shape[0] / shape[1]) ** 0.5
            for p, u in zip(ps, update):
                p.mul_(1 - lr * decay).add_(u, alpha=-lr * scale)
                p.grad = None


def loss_of(model, ids, weight, end):
    """Weighted mean loss over the tokens that count; the others' logits are not computed. Documents end with the token
    `end`, and none sees another: what an answer rests on stands in its own."""
    ended = (ids[:, :-1] == end).int()
    x = model.hidden(ids[:, :-1], document=ended.cumsum(1) - ended)
    keep = weight[:, 1:] > 0
    w = weight[:, 1:][keep]
    return (F.cross_entropy(model.logits(x[keep]).float(), ids[:, 1:][keep], reduction="none") * w).sum() / w.sum()


@torch.no_grad()
def held_loss(model, rows, end, batch=16, fast=False):
    """(sum of losses, number of tokens) over packed rows."""
    total = n = 0
    for i in range(0, len(rows[0]), batch):
        ids = torch.from_numpy(rows[0][i:i + batch].astype(np.int64))
        w = (torch.from_numpy(rows[1][i:i + batch]) > 0).float()
        k = int((w[:, 1:] > 0).sum())
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
            total += float(loss_of(model, ids, w, end)) * k
        n += k
    return total, n


def train(model, phases, end, n_steps, seconds, lr, seed, report, every, begin=0.0):
    """phases: list of (until, rows, weights, batch): up to the share `until` of the training, batches come from these rows.
    It ends after n_steps or after `seconds`, and the schedule follows whichever is nearer: the rate is constant after a
    short warm-up and falls linearly to zero over the last 45 %. begin: the share of the training that is already done."""
    blocks = [p for p in model.blk.parameters() if p.ndim == 2]
    muon = Muon(blocks)
    ids_of = {id(p) for p in blocks}
    adam = torch.optim.Adam([p for p in model.parameters() if id(p) not in ids_of], lr=1, betas=(0.9, 0.95))
    step, seen, start, mean, done, phase = 0, 0, time.time(), None, begin, None
    rng = np.random.default_rng(seed)
    while done < 1:
        now = next(p for p in phases if done < p[0])
        if now is not phase:
            phase, order = now, np.zeros(0, np.int64)
        _, rows, weights, batch = phase
        if len(order) < batch:
            order = np.concatenate([order, rng.permutation(len(rows))])
        at, order = order[:batch], order[batch:]
        rate = min(1, (step + 1) / 40, (1 - done) / 0.45)
        ids, w = torch.from_numpy(rows[at].astype(np.int64)), torch.from_numpy(weights[at])
        # bf16 products, f32 sums and weights: on CPUs with bf16 instructions three times as fast.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(model, ids, w, end)
        loss.backward()
        for group in adam.param_groups:
            group["lr"] = lr * 0.25 * rate
        muon.step(lr * rate, 0.01)
        adam.step()
        adam.zero_grad()
        step, seen = step + 1, seen + ids.numel()
        mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if not math.isfinite(mean):
            raise SystemExit("the loss is not finite at step %d" % step)
        spent = time.time() - start
        done = begin + max(step / n_steps, (1 - begin) * spent / seconds)
        if step % every == 0 or done >= 1:
            report("step %d (%.0f %%)  loss %.4f  %.0f tokens/s" % (step, 100 * done, mean, seen / spent))

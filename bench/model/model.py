#!/usr/bin/env python3
"""Predicts tokens/s of decode and prefill for cards that nobody here owns, so that an owner can prove it wrong.

README.md beside this file derives every formula and says what would refute which number. In short:

  decode   sum over groups of dispatches between barriers of
             max(bytes / memory rate, instructions / issue rate, cache lines / lookup rate, trips * latency) + gap
  prefill  sum over matrices of max(flops / rate, instructions / issue rate, bytes / memory rate) + gaps

Reads bench/compilers/*.csv (registers, occupancy, instructions) and loops.csv (instructions of inner loops).

usage: model.py [--gap US,...] [--dram-share X] [--card NAME] [TABLE ...]
tables: decode prefill gains bounds access peers aims (default: all)
"""
import argparse
import csv
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from pathlib import Path

import access
import shapes
from cards import CARDS, architecture, clocks_per_s, fp32_tflops, issue_per_s, matrix_tflops

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Assumed:
    """Every number that is neither specified nor counted. README.md says why each, and what would refute it."""
    gap_us: float = 5.0         # from the last byte of a group of dispatches to the first byte of the next
    dram_share: float = 0.92    # of the specified bandwidth, for a long read
    latency_us: float = 0.5     # of a read from memory on a busy card
    issue_share: float = 0.8    # of the issue slots that a streaming kernel fills
    tile_share: float = 0.7     # the same for a tile kernel, with barriers and shared memory
    matrix_share: float = 0.5   # of the matrix rate that a cooperative-matrix kernel reaches
    attention_share: float = 0.2 # of the FP32 rate that attention over a prompt reaches
    idle_latency_us: float = 0.25 # the same where a tail reads alone what has just been written, or attention a short context
    small_trips: float = 2.0    # dependent reads in a dispatch of one workgroup per row (RoPE), or in a merge of few pieces
    host_us: float = 0.0        # between two steps; 0: they are queued, as strato run and strato bench do
    overlap: float = float("inf") # how bounds join: (sum of t^p)^(1/p); infinite: the largest alone counts
    unpack: int = 4             # instructions per word to put high bits to low ones, when each has its plane


@dataclass(frozen=True)
class Plan:
    """How a decode step is recorded. A group is what lies between two barriers: the roles of its matrices, or a small
    dispatch (norm, rope, attention, merge, activation) without any. "+" is a tail: what the group's last workgroup does
    alone, without a gap before it."""
    name: str
    groups: tuple
    family: str = "matvec" # of kernels
    x: str = "f32"         # how activations lie in memory (access.x_loads)
    layout: str = "packed" # of weights


TODAY = Plan("today", ("q k v", "rope", "attention +merge", "o +norm", "gate up", "down +norm"))
APART = Plan("10 groups", ("norm", "q k v", "rope", "attention", "merge", "o", "norm", "gate up", "act", "down"))
FREE_TAILS = Plan("tails for nothing", ("q k v", "rope", "attention", "o", "gate up", "down"))
LANE_ORDER = replace(TODAY, name="x in lane order", x="f32 in lane order")
INT8 = replace(TODAY, name="int8", family="matvec_q8", x="q8",
               groups=("q k v", "rope", "attention +merge", "o +norm", "gate up +quantise", "down +norm"))
REPACKED = replace(INT8, name="int8, planes", x="q8 in lane order", layout="planes")
REPACKED_FLOAT = replace(LANE_ORDER, name="x in lane order, planes", layout="planes")
HEAD = 4 # small groups around the layers: step, embedding, norm, arg-max

ROWS = 4 # of a matrix-vector workgroup with one column (runtime/vk/tuning.c, runtime/ops/matmul.c)
NORM_WORKGROUP = 128 # of a norm's own dispatch
KV_PAGE = 128 # tokens of a piece of context (shaders/shared/step.h)
ROLES = {"q", "k", "v", "o", "gate", "up", "down"}


# ---- what the compilers say ----

@lru_cache(maxsize=None)
def compiler_table(name):
    with open(HERE.parent / f"compilers/{name}.csv", encoding="utf-8", newline="") as f:
        return {row["kernel"]: row for row in csv.DictReader(f)}


@lru_cache(maxsize=None)
def loop_table():
    with open(HERE / "loops.csv", encoding="utf-8", newline="") as f:
        return {(r["target"], r["kernel"]): tuple(int(r[c]) for c in ("instructions", "loop", "inner", "tail"))
                for r in csv.DictReader(f)}


def table_row(arch, kernel):
    """The compiler's row of a kernel, for matrix-vector kernels that of one column; {} when the table has none."""
    table = compiler_table(arch.compilers)
    return table.get(f"{kernel} columns=1" if kernel.startswith("matvec") else kernel, {})


def loop_of(arch, kernel):
    """(instructions outside the loop, of the loop without its inner loop, of the inner loop). The tail, which one
    workgroup of a dispatch runs, counts for none: it waits for memory, and norm_trips says how often."""
    whole, loop, inner, tail = loop_table()[arch.loops, kernel]
    return whole - loop - tail, loop - inner, inner


def kernel_loop(arch, plan, fmt, assumed):
    """(outside, loop) of a matrix-vector kernel. No kernel reads planes yet: theirs is Q4_K's loop, which loads aligned
    vectors already, plus what puts the high bits of Q6_K in place."""
    outside, loop, _ = loop_of(arch, f"{plan.family}_{fmt.lower()}")
    if plan.layout == "planes" and fmt in ("Q4_0", "Q6_K"):
        aligned = loop_of(arch, f"{plan.family}_q4_k")[1]
        loop = min(loop, aligned + (ROWS * 8 * assumed.unpack if fmt == "Q6_K" else 0))
    return outside, loop


def resident(card, kernel):
    """Subgroups that the card holds at once when a workgroup is one subgroup."""
    arch = architecture(card)
    occupancy = table_row(arch, kernel).get("occupancy")
    by_registers = int(occupancy) * arch.per_core if occupancy else arch.max_subgroups
    return card.cores * min(by_registers, arch.slots, arch.max_subgroups)


# ---- decode ----

def product_terms(card, matrices, plan, assumed):
    """Seconds of each bound for matrices that run side by side."""
    arch = architecture(card)
    t = dict.fromkeys(("memory", "instructions", "cache", "latency"), 0.0)
    rounds = 0.0
    for m in matrices:
        groups, trips = ceil(m.rows / ROWS), ceil(m.cols / 32 / arch.subgroup)
        outside, loop = kernel_loop(arch, plan, m.format, assumed)
        lookups = (arch.line, arch.lines_per_clock, arch.bytes_per_clock)
        clocks = ROWS * access.trip(m.format, plan.layout, arch.subgroup, *lookups)[0]
        clocks += access.x_trip(plan.x, arch.subgroup, *lookups)
        t["memory"] += m.bytes / (card.gb_per_s * 1e9 * assumed.dram_share)
        t["instructions"] += groups * (outside + trips * loop) / (issue_per_s(card) * assumed.issue_share)
        t["cache"] += groups * trips * clocks / clocks_per_s(card)
        rounds += groups / resident(card, f"{plan.family}_{m.format.lower()}") * trips
    t["latency"] = max(rounds, max(ceil(m.cols / 32 / arch.subgroup) for m in matrices)) * assumed.latency_us * 1e-6
    return t


def joined(times, p):
    """The time of bounds that overlap: the largest, or a little more where others come near it."""
    longest = max(times)
    return longest if p == float("inf") else longest * sum((t / longest) ** p for t in times) ** (1 / p)


def norm_trips(n, lanes, workgroup):
    """How often a norm of n elements waits for memory (shaders/lib/rms.glsl): sums of squares, 8 vectors of four in
    flight where one subgroup takes all four chains, one where each has a chain; then 4 in flight; and its result is read."""
    quads, subgroups = n / 4, workgroup // lanes
    sums = ceil(quads / lanes / 8) if subgroups == 1 else ceil(quads / lanes / min(subgroups, 4))
    return sums + ceil(quads / workgroup / 4) + 1


def attention_trips(shape, depth):
    """The same for decode attention over one piece (shaders/attn_decode.comp; a workgroup of 128): 32 tokens a round
    with 64 elements of K on their way, 128 / (head_dim / 4) tokens of V side by side, 2 on their way; q and the page."""
    tokens = min(depth, KV_PAGE)
    return ceil(tokens / 32) * ceil(shape.head_dim / 64) + ceil(tokens * shape.head_dim / 4 / 128 / 2) + 2


@lru_cache(maxsize=None)
def decode(card, shape, plan, assumed, depth=64):
    """{part: seconds of a token}. A group's time goes to the bound that is the largest there; `depth` tokens of context
    (64: the average of tg128)."""
    lanes = architecture(card).subgroup
    parts = dict.fromkeys(("memory", "instructions", "cache", "latency", "small", "gaps", "host"), 0.0)
    small = assumed.small_trips * assumed.latency_us * 1e-6
    idle = assumed.idle_latency_us * 1e-6
    kv = shapes.kv_bytes(shape, depth) / shape.layers / (card.gb_per_s * 1e9 * assumed.dram_share)

    def run(matrices):
        terms = product_terms(card, matrices, plan, assumed)
        binding = max(terms, key=terms.get)
        parts[binding] += joined(terms.values(), assumed.overlap)

    for layer in range(shape.layers):
        at = {m.role: m for m in shapes.layer_matrices(shape, layer)}
        for group in plan.groups:
            matrices = [at[role] for role in group.split() if role in ROLES]
            if matrices:
                run(matrices)
            elif group.startswith("attention"):
                parts["small"] += attention_trips(shape, depth) * idle
                parts["memory"] += kv
            elif group == "norm":
                parts["small"] += norm_trips(shape.embd, lanes, NORM_WORKGROUP) * idle
            else:
                parts["small"] += small
            if "+norm" in group: # the count, then the norm by a workgroup of one subgroup
                parts["small"] += (1 + norm_trips(shape.embd, lanes, lanes)) * idle
            elif "+quantise" in group or ("+merge" in group and depth > KV_PAGE):
                parts["small"] += small
    run([shapes.output_matrix(shape)])
    parts["small"] += HEAD * small
    parts["gaps"] = (shape.layers * len(plan.groups) + HEAD + 1) * assumed.gap_us * 1e-6
    parts["host"] = assumed.host_us * 1e-6
    return parts


def decode_rate(card, shape, plan, assumed):
    return 1.0 / sum(decode(card, shape, plan, assumed).values())


def share(card, shape, rate):
    """Of the specified bandwidth: bytes of a token's weights times tokens/s over GB/s."""
    return rate * shapes.read_bytes(shape) / (card.gb_per_s * 1e9)


def peer_rate(card):
    """llama.cpp's tokens/s on Llama-2-7B Q4_0, recomputed from its published share with the bytes counted here."""
    return card.peer_share * card.gb_per_s * 1e9 / shapes.read_bytes(shapes.SHAPES[0])


def peer_gap_us(card, assumed):
    """The gap that would explain the peer's share alone, if it too had 10 groups a layer."""
    shape = shapes.SHAPES[0]
    seconds = 1 / peer_rate(card) - shapes.read_bytes(shape) / (card.gb_per_s * 1e9 * assumed.dram_share)
    return seconds / (shape.layers * len(APART.groups) + HEAD + 1) * 1e6


# ---- prefill ----

def tile(arch, kernel):
    """(rows, columns, subgroups) of a workgroup (runtime/vk/tuning.c): 64 invocations, 8 side by side over columns; on
    matrix units four subgroups, two by two."""
    wide = arch.subgroup == 32 # registers for large tiles
    if kernel.startswith("matmul_coopmat"):
        rows, columns = (128, 128) if wide else (32, 64) if arch.subgroup == 16 else (32, 32)
        return rows, columns, 4
    if kernel.startswith("matmul_q8"):
        return 32, 32, 64 // arch.subgroup
    return 64 if wide else 32, 64, 64 // arch.subgroup


def tile_loop(arch, kernel):
    """Instructions of a tile kernel: (outside the loop, in one trip, which is 32 elements of a row: decoding and
    copying into shared memory, and the products). Of a kernel on matrix units all counts as decoding."""
    outside, load, inner = loop_of(arch, kernel)
    return outside, load, 32 * inner


def matmul_terms(card, m, columns, family, assumed, decodes=1.0):
    """Seconds of each bound for one matrix over many columns. `decodes`: how often weights are decoded, against now."""
    arch, kernel = architecture(card), f"{family}_{m.format.lower()}"
    rows, cols, subgroups = tile(arch, kernel)
    outside, load, products = tile_loop(arch, kernel)
    waves = ceil(m.rows / rows) * ceil(columns / cols) * subgroups
    flops, trip = 2 * m.elements * columns, decodes * load + products
    t = {"bytes": (m.bytes + 4 * columns * (m.rows + m.cols)) / (card.gb_per_s * 1e9 * assumed.dram_share),
         "instructions": waves * (outside + m.cols / 32 * trip) / (issue_per_s(card) * assumed.tile_share)}
    if family == "matmul_coopmat":
        t["matrix rate"] = flops / (matrix_tflops(card) * 1e12 * assumed.matrix_share)
    elif family == "matmul_f16":
        t["FP32 rate"] = flops / (fp32_tflops(card) * 1e12)
    return t


def prefill(card, shape, family, assumed, columns=512, decodes=1.0):
    """{part: seconds of a prompt}; logits of its last token only."""
    parts = {}
    for layer in range(shape.layers):
        for m in shapes.layer_matrices(shape, layer):
            terms = matmul_terms(card, m, columns, family, assumed, decodes)
            binding = max(terms, key=terms.get)
            parts[binding] = parts.get(binding, 0.0) + terms[binding]
    pairs = columns * columns / 2 * shape.layers * shape.heads
    parts["attention"] = 4 * pairs * shape.head_dim / (fp32_tflops(card) * 1e12 * assumed.attention_share)
    parts["output"] = max(product_terms(card, [shapes.output_matrix(shape)], TODAY, assumed).values())
    parts["gaps"] = (shape.layers * len(APART.groups) + HEAD + 1) * assumed.gap_us * 1e-6
    return parts


def prefill_rate(card, shape, family, assumed, columns=512, decodes=1.0):
    return columns / sum(prefill(card, shape, family, assumed, columns, decodes).values())


def prefill_family(card):
    """What the device plan takes for many columns: matrix units where there are any."""
    return "matmul_coopmat" if architecture(card).matrix_flops else "matmul_f16"


# ---- tables ----

def largest(parts, n=2):
    total = sum(parts.values())
    named = sorted(((s / total, part) for part, s in parts.items()), reverse=True)[:n]
    return ", ".join(f"{part} {100 * s:.0f} %" for s, part in named)


def print_table(title, head, rows):
    print(f"\n{title}\n\n| " + " | ".join(head) + " |\n|" + " --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def decode_table(cards, gaps, assumed):
    for shape in shapes.SHAPES:
        head = ["card"] + [f"{p.name}, {g:g} us" for p in (APART, TODAY) for g in gaps]
        head += [f"share in 10, {gaps[0]:g} us", f"share today, {gaps[0]:g} us",
                 f"where today's time goes, {gaps[-1]:g} us", f"and {gaps[0]:g} us"]
        peer = shape is shapes.SHAPES[0]
        head += ["llama.cpp", "its share"] if peer else []
        rows = []
        for card in cards:
            at = [replace(assumed, gap_us=g) for g in gaps]
            row = [card.name] + [f"{decode_rate(card, shape, p, a):.1f}" for p in (APART, TODAY) for a in at]
            row += [f"{100 * share(card, shape, decode_rate(card, shape, p, at[0])):.0f} %" for p in (APART, TODAY)]
            row += [largest(decode(card, shape, TODAY, at[-1])), largest(decode(card, shape, TODAY, at[0]))]
            rows.append(row + ([f"{peer_rate(card):.1f}", f"{100 * card.peer_share:.0f} %"] if peer else []))
        print_table(f"{shape.name}, tg128: {shapes.read_bytes(shape) / 1e9:.2f} GB per token; tokens/s by assumed gap",
                    head, rows)


def prefill_table(cards, gaps, assumed):
    for shape in shapes.SHAPES:
        rows = []
        for card in cards:
            family = prefill_family(card)
            rate = lambda f, **more: f"{prefill_rate(card, shape, f, assumed, **more):.0f}"
            useful = prefill_rate(card, shape, family, assumed) * 2 * shapes.layer_elements(shape) / 1e12
            rows.append([card.name, family, rate(family), f"{useful:.1f}", rate(family, decodes=0.5),
                         rate("matmul_f16"), rate("matmul_q8"), f"{fp32_tflops(card):.1f}",
                         f"{matrix_tflops(card):.0f}", largest(prefill(card, shape, family, assumed))])
        print_table(f"{shape.name}, pp512, tokens/s (gap {assumed.gap_us:g} us)",
                    ["card", "kernel today", "today", "TFLOP/s", "half the decoding", "f16 tiles", "int8 tiles",
                     "FP32 TFLOP/s", "matrix TFLOP/s", "where today's time goes"], rows)


def gains_table(cards, gaps, assumed):
    steps = [TODAY, APART, FREE_TAILS, LANE_ORDER, REPACKED_FLOAT, INT8, REPACKED]
    for overlap in (assumed.overlap, 4.0):
        at = replace(assumed, gap_us=gaps[len(gaps) // 2], overlap=overlap)
        for shape in shapes.SHAPES[:2]:
            rows = [[card.name, f"{decode_rate(card, shape, TODAY, at):.1f}"]
                    + [f"{100 * (decode_rate(card, shape, p, at) / decode_rate(card, shape, TODAY, at) - 1):+.0f} %"
                       for p in steps[1:]] for card in cards]
            how = "fully" if overlap == float("inf") else f"with p = {overlap:g}"
            print_table(f"{shape.name}, decode against today, gap {at.gap_us:g} us, bounds overlap {how}",
                        ["card", "today, tokens/s"] + [p.name for p in steps[1:]], rows)


def access_table(cards, gaps, assumed):
    rows = []
    for fmt in ("Q4_0", "Q8_0", "Q4_K", "Q6_K"):
        row = [fmt, str(shapes.FORMATS[fmt][1])]
        for layout in ("packed", "planes"):
            asked, read = access.sectors_per_useful(fmt, layout)
            row += [f"{asked:.2f}", f"{read:.2f}"]
            row += [f"{1000 * access.trip(fmt, layout, *w)[0] / access.trip(fmt, layout, *w)[3]:.0f}"
                    for w in ((32, 128, 4, 128), (32, 128, 1, 64), (16, 64, 1, 64), (8, 64, 1, 64))]
        rows.append(row)
    columns = ["sectors asked", "sectors read", "NVIDIA", "AMD", "Xe2", "Xe"]
    print_table("Sectors of 32 bytes per useful byte, and clocks of a core's cache per KB of weights",
                ["format", "block bytes"] + columns + [f"planes: {c}" for c in columns], rows)
    rows = [[kind] + [f"{1000 * access.x_trip(kind, *w) / (ROWS * w[0] * 18):.0f}"
                      for w in ((32, 128, 4, 128), (32, 128, 1, 64), (16, 64, 1, 64), (8, 64, 1, 64))]
            for kind in ("f32", "f32 in lane order", "q8", "q8 in lane order")]
    print_table(f"The same for the activations of a trip, spread over {ROWS} rows of Q4_0",
                ["activations", "NVIDIA", "AMD", "Xe2", "Xe"], rows)


def bounds_table(cards, gaps, assumed):
    for plan in (TODAY, INT8):
        rows = []
        for card in cards:
            row = [card.name]
            for fmt in ("Q4_0", "Q4_K", "Q6_K", "Q8_0"):
                t = product_terms(card, [shapes.Matrix("o", 12288, 4096, fmt)], plan, assumed)
                row += [f"{t[bound] / t['memory']:.2f}" for bound in ("instructions", "cache", "latency")]
            rows.append(row)
        formats, bounds = ("Q4_0", "Q4_K", "Q6_K", "Q8_0"), ("instr.", "cache", "latency")
        head = [f"{fmt} {bound}" for fmt in formats for bound in bounds]
        print_table(f"Each bound of {plan.family} on 12288 x 4096, over the time that memory takes (above 1 it binds)",
                    ["card"] + head, rows)


def largest_gap_us(card, shape, plan, assumed, wanted):
    """The largest gap at which decode still reaches `wanted` of the specified bandwidth; below 0: there is none."""
    without = sum(decode(card, shape, plan, replace(assumed, gap_us=0.0)).values())
    allowed = shapes.read_bytes(shape) / (card.gb_per_s * 1e9 * wanted)
    return (allowed - without) / (shape.layers * len(plan.groups) + HEAD + 1) * 1e6


def aims_table(cards, gaps, assumed):
    rows = []
    for card in cards:
        found = [largest_gap_us(card, shape, plan, assumed, 0.85) for shape in shapes.SHAPES for plan in (APART, TODAY)]
        rows.append([card.name, f"{card.gb_per_s:g}"] + [f"{g:.1f}" if g > 0 else "none" for g in found])
    print_table("The largest gap, in us, at which decode reaches 85 % of the specified bandwidth", ["card", "GB/s"]
                + [f"{s.name}, {p.name}" for s in shapes.SHAPES for p in (APART, TODAY)], rows)


def peers_table(cards, gaps, assumed):
    rows = [[c.name, f"{c.gb_per_s:g}", f"{100 * c.peer_share:.0f} %", f"{peer_rate(c):.1f}",
             f"{peer_gap_us(c, assumed):.1f}"] for c in cards]
    print_table("llama.cpp on Llama-2-7B Q4_0: share, tokens/s, and the gap that would explain it alone",
                ["card", "GB/s", "share", "tokens/s", "gap, us"], rows)


TABLES = {"decode": decode_table, "prefill": prefill_table, "gains": gains_table, "bounds": bounds_table,
          "access": access_table, "peers": peers_table, "aims": aims_table}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=" ".join(TABLES) + " (default: all)")
    parser.add_argument("--gap", default="2,5,10", help="assumed or measured gaps, microseconds (default: %(default)s)")
    parser.add_argument("--dram-share", type=float, default=Assumed.dram_share,
                        help="measured read bandwidth over specified (default: %(default)s)")
    parser.add_argument("--card", help="only cards with this in their name")
    arguments = parser.parse_args()
    for name in arguments.tables:
        if name not in TABLES:
            parser.error(f"there is no table '{name}'")
    cards = [c for c in CARDS if not arguments.card or arguments.card.lower() in c.name.lower()]
    if not cards:
        parser.error(f"no card has '{arguments.card}' in its name")
    gaps = [float(g) for g in arguments.gap.split(",")]
    for name in arguments.tables or TABLES:
        TABLES[name](cards, gaps, Assumed(dram_share=arguments.dram_share))


if __name__ == "__main__":
    main()

"""Cache lines and sectors that the matrix-vector kernels touch, from the addresses that shaders/matvec*.comp compute.

A subgroup's lanes take neighbouring blocks of 32 elements of a row. For one trip of the loop this file lists the loads
of a lane, each as (address, bytes), exactly as the format's block_part makes them (that the compilers keep them as they
are was read in the disassembly), and counts per load instruction the cache lines of all lanes together.

Layouts: "packed" is the file's; "planes" is what repacking would give: per row the quants of all blocks as 16-byte
aligned vectors, next to them the high bits, then the scales, in as many bytes as before.
"""
from functools import lru_cache

from shapes import FORMATS


def words(first, n):
    return [(first + 4 * i, 4) for i in range(n)]


def packed_loads(fmt, b):
    """Loads for block b of a row (32 elements) as the file has it."""
    if fmt == "Q4_0":
        return words((18 * b + 1) & ~3, 5)
    if fmt == "Q8_0":
        return words((34 * b + 1) & ~3, 9)
    at, s = FORMATS[fmt][1] * (b // 8), b % 8
    if fmt == "Q4_K":
        return [(at, 16), (at + 16 + 32 * (s // 2), 16), (at + 32 + 32 * (s // 2), 16)]
    h, j = s // 4, s % 4
    return (words((at + 64 * h + 32 * (j % 2)) & ~3, 9) + words((at + 128 + 32 * h) & ~3, 9) +
            [(at + 192 + 2 * s, 2), (at + 208, 2)])


def plane_loads(fmt, b, blocks):
    """Loads for block b of a row of `blocks`, when each kind of bits has a plane of its own."""
    if fmt == "Q4_0":
        return [(16 * b, 16), (16 * blocks + 2 * b, 2)]
    if fmt == "Q8_0": # the halves of all blocks apart, so that lanes read consecutive vectors
        return [(16 * b, 16), (16 * (blocks + b), 16), (32 * blocks + 2 * b, 2)]
    if fmt == "Q4_K":
        return [(16 * b, 16), (16 * blocks + 16 * (b // 8), 16)]
    return [(16 * b, 16), (16 * blocks + 8 * b, 8), (24 * blocks + 2 * b, 2), (26 * blocks + 2 * (b // 8), 2)]


def x_loads(kind, b):
    """Loads of the activations that belong to block b: f32 as matvec.comp has it, int8 as matvec_q8.comp, or either
    with the vectors of all lanes next to each other (a column stored in that order)."""
    if kind == "f32":
        return [(128 * b + 16 * i, 16) for i in range(8)]
    if kind == "f32 in lane order":
        return [(16 * b + 65536 * i, 16) for i in range(8)]
    if kind == "q8":
        return [(32 * b, 16), (32 * b + 16, 16), (1 << 20 | 8 * b, 8)]
    return [(16 * b, 16), (65536 + 16 * b, 16), (1 << 20 | 8 * b, 8)]


def lines(loads, base, size):
    """Distinct lines of `size` bytes in one load instruction: [(address, bytes)] of all lanes."""
    touched = set()
    for at, n in loads:
        touched.update(range((base + at) // size, (base + at + n - 1) // size + 1))
    return len(touched)


@lru_cache(maxsize=None)
def trip(fmt, layout, lanes, line, lines_per_clock, bytes_per_clock, n_in=4096):
    """What a subgroup's loads of one row cost in one trip, averaged over rows and trips:
    (clocks of the cache, lines touched over load instructions, distinct lines, useful bytes)."""
    blocks = n_in // 32
    row_bytes = n_in // FORMATS[fmt][0] * FORMATS[fmt][1]
    useful = lanes * row_bytes / blocks
    clocks = touched = distinct = n = 0
    for row in range(8):
        for first in range(0, blocks - lanes + 1, lanes):
            per_lane = [packed_loads(fmt, b) if layout == "packed" else plane_loads(fmt, b, blocks)
                        for b in range(first, first + lanes)]
            instructions = list(zip(*per_lane))
            for loads in instructions:
                k = lines(loads, row * row_bytes, line)
                touched += k
                clocks += max(k / lines_per_clock, sum(size for _, size in loads) / bytes_per_clock)
            distinct += lines([load for lane in per_lane for load in lane], row * row_bytes, line)
            n += 1
    return clocks / n, touched / n, distinct / n, useful


@lru_cache(maxsize=None)
def x_trip(kind, lanes, line, lines_per_clock, bytes_per_clock):
    """Clocks of the cache for a subgroup's activations in one trip, whatever the number of rows that use them."""
    clocks = 0.0
    for loads in zip(*[x_loads(kind, b) for b in range(lanes)]):
        clocks += max(lines(loads, 0, line) / lines_per_clock, sum(size for _, size in loads) / bytes_per_clock)
    return clocks


def sectors_per_useful(fmt, layout, lanes=32, sector=32):
    """(bytes of sectors asked of the cache, bytes of sectors asked of memory) per useful byte. The first counts a
    sector once per load instruction that touches it, the second once per trip."""
    _, touched, distinct, useful = trip(fmt, layout, lanes, sector, 1, 1 << 30)
    return touched * sector / useful, distinct * sector / useful

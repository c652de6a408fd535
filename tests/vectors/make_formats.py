#!/usr/bin/env python3
"""Writes formats.txt: random blocks of every packed weight format and the floats they stand for.

The blocks are ours (a seeded generator below); the floats come from gguf.quants, the dequantiser of the gguf package
for Python (Debian: python3-gguf), so they are independent of every decoder in this repository. Only needed to make the
file again: python3 make_formats.py > formats.txt

A line is: type, the block's bytes in hex, the bits of each element as an f32 in hex."""
import random
import numpy as np
from gguf import GGMLQuantizationType as T, quants

# type: (bytes, byte offsets of its f16 fields, how many blocks)
TYPES = {
    "Q4_0": (18, [0], 2), "Q4_1": (20, [0, 2], 2), "Q5_0": (22, [0], 2), "Q5_1": (24, [0, 2], 2), "Q8_0": (34, [0], 2),
    "Q2_K": (84, [80, 82], 1), "Q3_K": (110, [108], 1), "Q4_K": (144, [0, 2], 1), "Q5_K": (176, [0, 2], 1),
    "Q6_K": (210, [208], 1), "IQ4_NL": (18, [0], 2), "IQ4_XS": (136, [0], 1), "MXFP4": (17, [], 3),
}


def block(rng, size, f16_at):
    b = bytearray(rng.randrange(256) for _ in range(size))
    for at in f16_at:  # finite, of the size that scales have, either sign
        b[at:at + 2] = np.float16(rng.choice([-1, 1]) * 2.0 ** rng.uniform(-14, 1)).tobytes()
    return bytes(b)


def main():
    rng = random.Random(20240607)
    for name, (size, f16_at, count) in TYPES.items():
        for i in range(count):
            b = bytearray(block(rng, size, f16_at))
            if name == "MXFP4":  # the lowest exponents are subnormal powers of two; a middle one
                b[0] = [0, 1, 123][i]
            y = quants.dequantize(np.frombuffer(bytes(b), dtype=np.uint8), T[name]).astype(np.float32)
            print(name, b.hex(), y.view(np.uint32).astype(">u4").tobytes().hex())


main()

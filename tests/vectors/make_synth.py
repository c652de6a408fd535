#!/usr/bin/env python3
"""Writes synth.json and synth.f32: logits of the small invented models (tests/support/synth_cases.c) by llama.cpp.

First make the models: for n in $(build/tests/make_case list); do build/tests/make_case DIR/$n.gguf $n; done
Then, where llama-quantize and libllama-dev are (Debian sid: llama.cpp-tools 0.7.0):
    cc peer_logits.c -o DIR/peer_logits -lllama -lggml -lggml-base
    python3 make_synth.py DIR

llama-quantize expands each file's weights to F32, so no decoder of ours takes part, and the logits are float32
arithmetic throughout. crc32 is that of the model file: a test notices when its models are no longer these."""
import json
import os
import struct
import subprocess
import sys
import zlib

N_VOCAB, ROWS = 304, [11, 23]
TOKENS = [1] + [(37 * i + 11) % N_VOCAB for i in range(1, 24)]


def main(folder):
    cases, rows = [], b""
    for file in sorted(f for f in os.listdir(folder) if f.endswith(".gguf") and not f.startswith("f32")):
        path, expanded, out = (os.path.join(folder, f) for f in (file, "f32.gguf", "logits.f32"))
        subprocess.run(["llama-quantize", "--allow-requantize", path, expanded, "F32"], check=True, capture_output=True)
        subprocess.run([os.path.join(folder, "peer_logits"), expanded, out, *map(str, TOKENS)], check=True,
                       capture_output=True)
        logits = open(out, "rb").read()
        assert len(logits) == len(TOKENS) * N_VOCAB * 4
        rows += b"".join(logits[4 * N_VOCAB * r:4 * N_VOCAB * (r + 1)] for r in ROWS)
        cases.append({"name": file[:-5], "crc32": zlib.crc32(open(path, "rb").read())})
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "synth.f32"), "wb") as f:
        f.write(rows)
    with open(os.path.join(here, "synth.json"), "w") as f:
        f.write(json.dumps({"n_vocab": N_VOCAB, "tokens": TOKENS, "rows": ROWS})[:-1] + ', "cases": [\n')
        f.write(",\n".join("  " + json.dumps(c) for c in cases) + "\n]}\n")


main(sys.argv[1])

#!/usr/bin/env python3
"""Instructions in the inner loops of the matrix kernels, from the disassembly that Mesa's compilers print.

The tables of bench/compilers count a whole kernel; what a kernel costs at run time is how often it goes round its loop.
This program has the compilers for AMD and NVIDIA print the kernels that the model asks about, finds the loops in the
control flow and writes loops.csv. Nothing executes: the drivers sit on the stand-ins that scripts/compilers unpacks
(run it once before). Intel's compiler is not asked; the model says what it assumes there.

usage: loops.py BUILD [--lib DIR]     BUILD has bench/kernels in it; DIR has the drivers and their stand-ins
"""
import argparse
import csv
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIB = HERE.parent.parent / ".deps/drivers/root/usr/lib/x86_64-linux-gnu"
# name in bench/compilers, driver, stand-in, environment that names the chip and asks for disassembly
TARGETS = [(f"radv-{chip}", "radeon", "amdgpu", {"AMDGPU_GPU_ID": chip, "RADV_DEBUG": "asm,nocache"})
           for chip in ("navi21", "navi31", "gfx1201")]
TARGETS += [(f"nvk-{name}", "nouveau", "nouveau", {"NOUVEAU_CHIPSET": chip, "NAK_DEBUG": "print"})
            for name, chip in (("ampere", "172"), ("ada", "192"), ("blackwell", "1b2"))]
KERNELS = [f"{operation}_{weight}" for operation in ("matvec", "matvec_q8", "matmul_f16", "matmul_q8", "matmul_coopmat")
           for weight in ("q4_0", "q4_k", "q6_k", "q8_0")]
COLUMNS = ["target", "kernel", "instructions", "loop", "inner"]


def disassembly(target, build, lib, kernel):
    """What the target's compiler prints while it makes one kernel, for 1 column (matvec) or 512 (matmul)."""
    _, driver, shim, env = target
    with tempfile.TemporaryDirectory() as folder: # also where pipelines are cached, so that none is
        icd = Path(folder) / "icd.json"
        icd.write_text(json.dumps({"file_format_version": "1.0.0", "ICD": {
            "api_version": "1.3.0", "library_path": str(lib / f"libvulkan_{driver}.so")}}), encoding="utf-8")
        columns = "512" if kernel.startswith("matmul") else "1"
        done = subprocess.run(
            [lib / "ld-linux-x86-64.so.2", "--library-path", lib, "--preload", lib / f"lib{shim}_noop_drm_shim.so",
             build / "bench/kernels", kernel, "--no-verify", "--columns", columns, "--shape", "4096x4096"],
            env={**os.environ, **env, "VK_DRIVER_FILES": str(icd), "VK_ICD_FILENAMES": str(icd),
                 "XDG_CACHE_HOME": folder, "MESA_SHADER_CACHE_DISABLE": "true"},
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
    return done.stdout


def shaders(text):
    """Every shader in a dump, as a list of basic blocks: (label, [instruction]). A dump of NAK has each shader at
    several stages; only the last has delays."""
    found = []
    for line in text.split("\n"):
        block = re.match(r"block(?:\.u)? (\d+) (L\d+) ", line) or re.match(r"BB(\d+)(:)$", line)
        if block:
            label = block.group(2) if block.group(2) != ":" else f"BB{block.group(1)}"
            if block.group(1) == "0":
                found.append([])
            if found:
                found[-1].append((label, []))
        elif found and "// delay=" in line:
            found[-1][-1][1].append(line.split("//")[0].strip())
        elif found and re.match(r"\t[a-z]", line):
            found[-1][-1][1].append(line.split(";")[0].strip())
    return [s for s in found if any(body for _, body in s)]


def successors(blocks):
    """Which blocks follow a block: those it branches to, and the next one unless it leaves for good."""
    at = {label: i for i, (label, _) in enumerate(blocks)}
    out = []
    for i, (_, body) in enumerate(blocks):
        to, falls = set(), True
        for text in body:
            branch = re.search(r"(?:\bbra\b.*?|\bs_c?branch\S*\s+)\b(L\d+|BB\d+)\b", text)
            if branch and branch.group(1) in at:
                to.add(at[branch.group(1)])
                falls = falls and not re.match(r"(s_branch|bra pT)\b", text)
            elif re.match(r"(s_endpgm|exit)\b", text):
                falls = False
        if falls and i + 1 < len(blocks):
            to.add(i + 1)
        out.append(to)
    return out


def natural_loops(blocks):
    """{header: set of blocks} of every loop: an edge back to a block that all ways to the edge lead through."""
    to = successors(blocks)
    came = [{i for i, out in enumerate(to) if b in out} for b in range(len(blocks))]
    dominators = [set(range(len(blocks))) for _ in blocks]
    dominators[0] = {0}
    changed = True
    while changed:
        changed = False
        for b in range(1, len(blocks)):
            before = [dominators[p] for p in came[b]]
            new = {b} | (set.intersection(*before) if before else set())
            changed, dominators[b] = changed or new != dominators[b], new
    loops = {}
    for b, out in enumerate(to):
        for header in out & dominators[b]:
            body, todo = loops.setdefault(header, {header}), [b]
            while todo:
                x = todo.pop()
                if x not in body:
                    body.add(x)
                    todo.extend(came[x])
    return loops


def count(blocks):
    """(all instructions, those of the largest loop, those of the largest loop inside it or 0)."""
    size = [len(body) for _, body in blocks]
    weigh = lambda loop: sum(size[b] for b in loop)
    ordered = sorted(natural_loops(blocks).values(), key=weigh, reverse=True)
    outer = ordered[0] if ordered else set()
    inner = [loop for loop in ordered[1:] if loop < outer]
    return sum(size), weigh(outer), weigh(inner[0]) if inner else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--lib", type=Path, default=LIB)
    arguments = parser.parse_args()
    with open(HERE / "loops.csv", "w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(COLUMNS)
        for target in TARGETS:
            for kernel in KERNELS:
                text = disassembly(target, arguments.build.resolve(), arguments.lib.resolve(), kernel)
                counts = max((count(blocks) for blocks in shaders(text)), default=None)
                if counts is None and kernel.startswith("matmul_coopmat"):
                    continue # no matrix unit, or no size that strato can use
                if counts is None:
                    raise SystemExit(f"{target[0]}: no disassembly of {kernel}: {text.strip()[-200:]}")
                writer.writerow([target[0], kernel, *counts])


if __name__ == "__main__":
    main()

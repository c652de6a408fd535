#!/usr/bin/env python3
"""Instructions in the inner loops of the matrix kernels, from the disassembly that Mesa's compilers print.

The tables of bench/compilers count a whole kernel; what a kernel costs at run time is how often it goes round its loop.
This program has the compilers for AMD, NVIDIA and Intel print the kernels that the model asks about, finds the loops in
the control flow and writes loops.csv. Nothing executes: the drivers sit on the stand-ins that scripts/compilers --intel
unpacks and builds (run it once before).

A kernel that counts its workgroups goes on in the one that is done last (shaders/lib/last.glsl). What lies behind the
count is the tail: one workgroup of a dispatch runs it, so its loops are not the kernel's.

usage: loops.py BUILD [--deps DIR] [--target NAME] [--kernel NAME]
  BUILD has bench/kernels in it; DIR (.deps) has the drivers and their stand-ins; rows of other targets and kernels stay
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
DEPS = HERE.parent.parent / ".deps"
LIB = "drivers/root/usr/lib/x86_64-linux-gnu"
# name in bench/compilers, driver, stand-in, environment that names the chip and asks for disassembly
TARGETS = [(f"radv-{chip}", "radeon", "amdgpu", {"AMDGPU_GPU_ID": chip, "RADV_DEBUG": "asm,nocache"})
           for chip in ("navi21", "navi31", "gfx1201")]
TARGETS += [(f"nvk-{name}", "nouveau", "nouveau", {"NOUVEAU_CHIPSET": chip, "NAK_DEBUG": "print"})
            for name, chip in (("ampere", "172"), ("ada", "192"), ("blackwell", "1b2"))]
TARGETS += [(f"anv-{chip}", "intel", "intel", {"INTEL_STUB_GPU_PLATFORM": chip, "INTEL_DEBUG": "cs"}) for chip in ("dg2", "bmg")]
KERNELS = [f"{operation}_{weight}" for operation in ("matvec", "matvec_q8", "matmul_f16", "matmul_q8", "matmul_coopmat")
           for weight in ("q4_0", "q4_k", "q6_k", "q8_0")]
COLUMNS = ["target", "kernel", "instructions", "loop", "inner", "tail"]


def disassembly(target, build, deps, kernel):
    """What the target's compiler prints while it makes one kernel, for 1 column (matvec) or 512 (matmul)."""
    _, driver, shim, env = target
    lib = deps / LIB
    preload = (deps / "intel" if shim == "intel" else lib) / f"lib{shim}_noop_drm_shim.so"
    with tempfile.TemporaryDirectory() as folder: # also where pipelines are cached, so that none is
        icd = Path(folder) / "icd.json"
        icd.write_text(json.dumps({"file_format_version": "1.0.0", "ICD": {
            "api_version": "1.3.0", "library_path": str(lib / f"libvulkan_{driver}.so")}}), encoding="utf-8")
        columns = "512" if kernel.startswith("matmul") else "1"
        done = subprocess.run(
            [lib / "ld-linux-x86-64.so.2", "--library-path", lib, "--preload", preload, build / "bench/kernels", kernel,
             "--no-verify", "--columns", columns, "--shape", "4096x4096"],
            env={**os.environ, **env, "VK_DRIVER_FILES": str(icd), "VK_ICD_FILENAMES": str(icd),
                 "XDG_CACHE_HOME": folder, "MESA_SHADER_CACHE_DISABLE": "true"},
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900, check=False)
    return done.stdout


def shaders(text):
    """Every shader in a dump, as a list of basic blocks: (label, [instruction]). A dump of NAK has each shader at
    several stages; only the last has delays. Intel's has shaders in NIR between the native ones."""
    found, native = [], False
    for line in text.split("\n"):
        block = re.match(r"block(?:\.u)? (\d+) (L\d+) ", line) or re.match(r"BB(\d+)(:)$", line)
        if block:
            label = block.group(2) if block.group(2) != ":" else f"BB{block.group(1)}"
            if block.group(1) == "0":
                found.append([])
            if found:
                found[-1].append((label, []))
        elif line.startswith("Native code for"):
            native = True
            found.append([("start", [])])
        elif line.startswith("NIR "):
            native = False
        elif native and re.match(r"L\d+:$", line):
            found[-1].append((line[:-1], []))
        elif native and re.match(r"(\(.*?\))?\s+[a-z][\w.]* \(", line):
            found[-1][-1][1].append(line.strip())
            if " while (" in line: # what follows has no label when nothing else jumps there
                found[-1].append(("behind a loop", []))
        elif found and not native and "// delay=" in line:
            found[-1][-1][1].append(line.split("//")[0].strip())
        elif found and not native and re.match(r"\t[a-z]", line):
            found[-1][-1][1].append(line.split(";")[0].strip())
    return [s for s in found if any(body for _, body in s)]


BRANCH = re.compile(r"(?:\bbra\b.*?|\bs_c?branch\S*\s+|\bwhile \(.*?|\b(?:if|else|break) \(.*?jip:)\b(L\d+|BB\d+)\b")


def successors(blocks):
    """Which blocks follow a block: those it branches to, and the next one unless it leaves for good."""
    at = {label: i for i, (label, _) in enumerate(blocks)}
    out = []
    for i, (_, body) in enumerate(blocks):
        to, falls = set(), True
        for text in body:
            branch = BRANCH.search(text)
            if branch and branch.group(1) in at:
                to.add(at[branch.group(1)])
                falls = falls and not re.match(r"(s_branch|bra pT|else)\b", text)
            elif re.match(r"(s_endpgm|exit)\b", text):
                falls = False
        if falls and i + 1 < len(blocks):
            to.add(i + 1)
        out.append(to)
    return out


def dominators_of(to):
    """Per block the set of blocks that every way to it leads through, itself included."""
    came = [{i for i, out in enumerate(to) if b in out} for b in range(len(to))]
    dominators = [set(range(len(to))) for _ in to]
    dominators[0] = {0}
    changed = True
    while changed:
        changed = False
        for b in range(1, len(to)):
            before = [dominators[p] for p in came[b]]
            new = {b} | (set.intersection(*before) if before else set())
            changed, dominators[b] = changed or new != dominators[b], new
    return dominators


def natural_loops(to, dominators):
    """The set of blocks of every loop: an edge back to a block that all ways to the edge lead through."""
    came = [{i for i, out in enumerate(to) if b in out} for b in range(len(to))]
    loops = {}
    for b, out in enumerate(to):
        for header in out & dominators[b]:
            body, todo = loops.setdefault(header, {header}), [b]
            while todo:
                x = todo.pop()
                if x not in body:
                    body.add(x)
                    todo.extend(came[x])
    return list(loops.values())


def after(to, block):
    """Blocks that can follow this one."""
    reached, todo = set(), [block]
    while todo:
        more = to[todo.pop()] - reached
        reached |= more
        todo.extend(more)
    return reached


def count(blocks):
    """(all instructions, those of the largest loop outside the tail, those of the largest loop inside that one or 0,
    those of the tail)."""
    to = successors(blocks)
    dominators = dominators_of(to)
    counting = [b for b, (_, body) in enumerate(blocks) if any("atom" in text for text in body)]
    tail = set().union(*(after(to, b) for b in counting))
    size = [len(body) for _, body in blocks]
    weigh = lambda some: sum(size[b] for b in some)
    ordered = sorted((loop for loop in natural_loops(to, dominators) if not loop & tail), key=weigh, reverse=True)
    outer = ordered[0] if ordered else set()
    inner = [loop for loop in ordered[1:] if loop < outer]
    return sum(size), weigh(outer), weigh(inner[0]) if inner else 0, weigh(tail)


def kept_rows(targets, kernels):
    """Rows of the table that are not made now."""
    with open(HERE / "loops.csv", encoding="utf-8", newline="") as f:
        return {(row["target"], row["kernel"]): [row[c] for c in COLUMNS[2:]] for row in csv.DictReader(f)
                if row["target"] not in targets or row["kernel"] not in kernels}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--deps", type=Path, default=DEPS)
    parser.add_argument("--target", default="", help="only targets with this in their name")
    parser.add_argument("--kernel", default="", help="only kernels whose names begin so")
    arguments = parser.parse_args()
    targets = [t for t in TARGETS if arguments.target in t[0]]
    kernels = [k for k in KERNELS if k.startswith(arguments.kernel)]
    rows = kept_rows([t[0] for t in targets], kernels)
    for target in targets:
        for kernel in kernels:
            text = disassembly(target, arguments.build.resolve(), arguments.deps.resolve(), kernel)
            counts = max((count(blocks) for blocks in shaders(text)), default=None)
            if counts is None and kernel.startswith("matmul_coopmat"):
                continue # no matrix unit, or no size that strato can use
            if counts is None:
                raise SystemExit(f"{target[0]}: no disassembly of {kernel}: {text.strip()[-200:]}")
            rows[target[0], kernel] = counts
    with open(HERE / "loops.csv", "w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([t[0], k, *rows[t[0], k]] for t in TARGETS for k in KERNELS if (t[0], k) in rows)


if __name__ == "__main__":
    main()

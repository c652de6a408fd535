#!/usr/bin/env python3
"""bench/compare and bench/plot on made-up results, of strato's kind and of llama-bench's.

usage: test_bench_results.py SOURCE_DIR
"""
import importlib.machinery
import importlib.util
import json
import sys
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

from checks import command, run

TOP = Path(sys.argv[1])
sys.dont_write_bytecode = True

# As llama-bench's documentation shows it, shortened.
LLAMA_BENCH = [{"build_commit": "8cf427ff", "cpu_info": "AMD Ryzen 7 7800X3D 8-Core Processor",
                "gpu_info": "NVIDIA GeForce RTX 4080", "backends": "CUDA", "model_size": 4677120000,
                "model_n_params": 7615616512, "n_batch": 2048, "n_ubatch": 512, "type_k": "f16", "type_v": "f16",
                "n_prompt": 512, "n_gen": 0, "n_depth": 0, "avg_ts": 7100.002165, "stddev_ts": 140.341520,
                "samples_ns": [74601900, 71632900, 71745200, 71952700, 70745500],
                "samples_ts": [6863.1, 7147.55, 7136.37, 7115.79, 7237.21]},
               {"build_commit": "8cf427ff", "cpu_info": "AMD Ryzen 7 7800X3D 8-Core Processor",
                "gpu_info": "NVIDIA GeForce RTX 4080", "backends": "CUDA", "model_size": 4677120000,
                "model_n_params": 7615616512, "n_batch": 2048, "n_ubatch": 512, "type_k": "f16", "type_v": "f16",
                "n_prompt": 0, "n_gen": 128, "n_depth": 0, "avg_ts": 118.881588, "stddev_ts": 1.041811,
                "samples_ns": [1075361300, 1065089400, 1071761200, 1081934900, 1089692600],
                "samples_ts": [119.03, 120.178, 119.43, 118.307, 117.464]}]


def row(samples, n_prompt=0, n_gen=128, **more):
    out = {"n_prompt": n_prompt, "n_gen": n_gen, "n_depth": 0, "n_ubatch": 512, "type_k": "f16",
           "model_n_params": 7615616512, "samples_ts": samples, "gpu_info": "a card", "backends": "Vulkan"}
    out.update(more)
    return out


def script(name):
    loader = importlib.machinery.SourceFileLoader(name, str(TOP / "bench" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def compare(sides, *options, code=0):
    """Output of bench/compare on lists of rows: [[rows, ...], [rows, ...]]."""
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for s, files in enumerate(sides):
            names.append([])
            for i, rows in enumerate(files):
                path = Path(folder) / ("%d-%d.json" % (s, i))
                path.write_text(rows if isinstance(rows, str) else json.dumps(rows), encoding="utf-8")
                names[s].append(path)
        done = command(TOP / "bench/compare", *options, *names[0], "--", *names[1], code=code)
        return done.stdout + done.stderr


PROGRAM = """#!/usr/bin/env python3
import json, sys
with open(%(log)r, "a") as f:
    f.write(" ".join(["%(name)s"] + sys.argv[1:]) + "\\n")
turn = sum(line.startswith("%(name)s") for line in open(%(log)r)) - 1
print(json.dumps([{"n_prompt": 64, "n_gen": 0, "samples_ts": [%(prompt)s[turn]]},
                  {"n_prompt": 0, "n_gen": 16, "samples_ts": [%(gen)s[turn]]}]))
"""


def a_peer_is_measured_in_turns():
    with tempfile.TemporaryDirectory() as folder:
        log = str(Path(folder) / "log")
        sides = {"strato": {"prompt": [40, 60, 50], "gen": [8, 9, 30]},
                 "llama-bench": {"prompt": [4, 4, 5], "gen": [2, 3, 3]}}
        for name, rates in sides.items():
            path = Path(folder) / name
            path.write_text(PROGRAM % {"log": log, "name": name, **rates}, encoding="utf-8")
            path.chmod(0o755)
        programs = ["--ours", Path(folder) / "strato", "--peer", "%s -ngl 99" % (Path(folder) / "llama-bench")]
        out = Path(folder) / "out"
        done = command(TOP / "bench/peer", *programs, "--rounds", "2", "-o", out, "a/model.gguf")
        # ratios by round: 10 and 15, 4 and 3
        assert "| model | pp64 | 2 | 50 | 4 | 12.50 | 10.00 | 15.00 |" in done.stdout, done.stdout
        assert "| model | tg16 | 2 | 8.5 | 2.5 | 3.50 | 3.00 | 4.00 |" in done.stdout, done.stdout
        lines = Path(log).read_text(encoding="utf-8").splitlines()
        assert [line.split()[0] for line in lines] == ["strato", "llama-bench", "llama-bench", "strato"], lines
        assert lines[0].startswith("strato bench a/model.gguf --no-hash --device best -p 64 -n 16 -r 1"), lines
        assert lines[1].startswith("llama-bench -ngl 99 -m a/model.gguf -p 64 -n 16 -r 1"), lines
        # a third round is added to what the folder holds: a median of three
        command(TOP / "bench/peer", *programs, "--rounds", "1", "-o", out, "a/model.gguf")
        done = command(TOP / "bench/peer", "--report", out)
        assert "| model | tg16 | 3 | 9 | 3 | 4.00 | 3.00 | 10.00 |" in done.stdout, done.stdout
        done = command(TOP / "bench/peer", "--ours", "false", "--peer", "false", "--rounds", "1", "-o", out, "a/model.gguf", code=1)
        assert "ended with exit code 1" in done.stderr, done.stderr


def the_test_is_mann_whitneys():
    m = script("compare")
    # Published tables (Mann and Whitney 1947): P(U <= 3) = 0.100 for 4 and 4; complete separation: 2 of all arrangements.
    assert abs(m.mann_whitney([1, 2, 3, 4], [2.5, 3.5, 4.5, 5.5]) - 0.2) < 1e-12
    assert abs(m.mann_whitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) - 2 / 252) < 1e-12
    assert abs(m.mann_whitney([6, 7, 8, 9, 10], [1, 2, 3, 4, 5]) - 2 / 252) < 1e-12
    assert m.mann_whitney([1, 1, 1, 1], [1, 1, 1, 1]) == 1.0
    assert m.ranks([5, 1, 5, 3]) == [3.5, 1, 3.5, 2]
    # Large samples: z = (|R - n (n + m + 1) / 2| - 1/2) / sqrt(n m (n + m + 1) / 12) = 449.5 / 36.969 for 30 and 30
    # that do not overlap: p is of the order of 1e-11 (2 (1 - Phi(6.645)) = 3.0e-11)
    p = m.mann_whitney(list(range(30)), list(range(100, 130)))
    assert 2e-11 < p < 4e-11, p


def a_change_is_told_from_noise():
    slow, fast = [100, 101, 102, 103, 104], [110, 111, 112, 113, 114]
    out = compare([[[row(slow)]], [[row(fast)]]])
    assert "faster" in out and "tg128" in out and "1.098" in out and "0.0079" in out, out
    assert "slower" in compare([[[row(fast)]], [[row(slow)]]], "--fail-if-slower", code=1)
    assert "no change beyond noise" in compare([[[row(slow)]], [[row([99, 105, 101.5, 103.5, 100.5])]]])
    # unlikely to be noise, and yet less than 1 %
    assert "no change beyond noise" in compare([[[row([1000, 1001, 1002, 1003])]], [[row([1004, 1005, 1006, 1007])]]])
    assert "faster" in compare([[[row([1000, 1001, 1002, 1003])]], [[row([1004, 1005, 1006, 1007])]]], "--least", "0.1")
    assert "too few samples" in compare([[[row(slow[:3])]], [[row(fast[:3])]]])
    # several files of each side are taken together
    assert "faster" in compare([[[row(slow[:2])], [row(slow[2:])]], [[row(fast[:3])], [row(fast[3:])]]])


def a_throttled_run_is_not_compared():
    out = compare([[[row([100] * 5)]], [[row([50] * 5, throttled="slowed down by temperature", avg_ts=None)]]])
    assert "B was slowed down by temperature" in out and "slower" not in out.replace("slowed", ""), out


def the_peer_stands_in_the_same_table():
    ours = [row([130, 131, 132, 133, 134]), row([7000, 7010, 7020, 7030, 7040], 512, 0), row([9.0] * 5, 0, 32)]
    out = compare([[LLAMA_BENCH], [ours]])
    assert "pp512" in out and "only in B: tg32" in out and "backends: CUDA -> Vulkan" in out, out
    line = next(x for x in out.splitlines() if x.startswith("tg128"))
    assert "119.03" in line and "132.00" in line and "faster" in line, line
    lines = "\n".join(json.dumps(r) for r in ours)
    assert "faster" in compare([[LLAMA_BENCH], [lines]])
    table = "n_prompt,n_gen,n_depth,n_ubatch,type_k,model_n_params,avg_ts,samples_ts\n" \
            '"0","128","0","512","f16","7615616512","132","130;131;132;133;134"\n'
    assert "faster" in compare([[LLAMA_BENCH], [table]])
    no_samples = table.replace(",samples_ts", "").replace(',"130;131;132;133;134"', "")
    assert "no samples" in compare([[LLAMA_BENCH], [no_samples]])


def prompts_are_paired_by_ubatch():
    a = [row([1.0] * 5, 512, 0, n_ubatch=64), row([2.0] * 5, 512, 0, n_ubatch=128)]
    b = [row([1.0] * 5, 512, 0, n_ubatch=128)]
    out = compare([[a], [b]])
    assert "0.500" in out and "only in A: pp512, ubatch 64" in out, out
    # generation does not depend on it
    assert "faster" in compare([[[row([1.0, 1.1, 1.2, 1.3], n_ubatch=64)]], [[row([2.0, 2.1, 2.2, 2.3], n_ubatch=8)]]])


def simulated_and_measured_results_do_not_meet():
    simulated = row([100.0] * 5, simulated=True)
    assert "no change" in compare([[[simulated]], [[simulated]]])
    done = compare([[[simulated]], [[row([100.0] * 5)]]], code=2)
    assert "tg128" not in done, done


def what_differs_is_said_and_does_not_hinder():
    a, b = [row([1.0, 1.1, 1.2, 1.3])], [row([2.0, 2.1, 2.2, 2.3], type_k="q8_0", gpu_info="another card")]
    out = compare([[a], [b]])
    assert "type_k: f16 -> q8_0" in out and "gpu_info: a card -> another card" in out and "faster" in out, out
    out = compare([[a + b], [b]])
    assert "only in A: tg128, KV f16" in out and "1.000" in out, out


def rubbish_is_one_line():
    with tempfile.TemporaryDirectory() as folder:
        for i, text in enumerate(("", "[]", "[1]", "{", "a,b\n1,2\n", '[{"n_prompt": 1}]', "\xff")):
            path = Path(folder) / ("%d.json" % i)
            path.write_text(text, encoding="latin-1")
            for name, args in (("compare", [path, path]), ("plot", [path, "-o", Path(folder) / "x.svg"])):
                done = command(TOP / "bench" / name, *args, code=2)
                assert len(done.stderr.strip().splitlines()) == 1 and str(path) in done.stderr, done.stderr
        for args in ([], ["x"], ["--alpha"], ["--alpha", "x", "a", "b"], ["--nonsense"], ["a", "b", "c"], ["--", "a"]):
            assert len(command(TOP / "bench/compare", *args, code=2).stderr.strip().splitlines()) == 1, args
        for args in ([], ["-o"], ["--nonsense"]):
            assert len(command(TOP / "bench/plot", *args, code=2).stderr.strip().splitlines()) == 1, args
        assert "usage" in command(TOP / "bench/plot", "--help", code=0).stdout
        assert "usage" in command(TOP / "bench/compare", "--help", code=0).stdout


def plot(rows, *options):
    """The SVG of a result, as a tree without namespaces."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "a<b.json", Path(folder) / "x.svg"
        path.write_text(json.dumps(rows), encoding="utf-8")
        command(TOP / "bench/plot", path, "-o", out, *options, code=0)
        text = out.read_text(encoding="utf-8")
    return xml.fromstring(text.replace(" xmlns='http://www.w3.org/2000/svg'", ""))


def a_sweep_becomes_a_drawing():
    depths = [0, 512, 1024, 2048, 4096]
    rows = [row([50.0, 40.0 - i, 45.0], n_depth=d) for i, d in enumerate(depths)]
    tree = plot(rows, "--title", "one <two>")
    circles, lines = tree.findall("circle"), tree.findall("polyline")
    assert len(circles) == 5 and len(lines) == 1 and len(tree.findall("polygon")) == 1
    texts = [t.text for t in tree.findall("text")]
    assert "one <two>" in texts and "generation, tokens/s" in texts and "tg128" in texts and "4k" in texts, texts
    # equal values are drawn at equal heights, doublings at equal distances, and 0 before them
    assert len({c.get("cy") for c in circles}) == 1
    xs = [float(c.get("cx")) for c in circles]
    assert all(abs((b - a) - (xs[2] - xs[1])) < 0.2 for a, b in zip(xs, xs[1:])), xs
    # half of the value stands half as high above the axis
    tree = plot([row([100.0] * 3, n_depth=0), row([50.0] * 3, n_depth=512)])
    axis = max(float(x.get("y1")) for x in tree.findall("line") if x.get("stroke") == "#444444")
    low, high = sorted(axis - float(c.get("cy")) for c in tree.findall("circle"))
    assert abs(high / low - 2) < 0.01, (low, high)
    # batches: the x axis is the ubatch; prompts and generation have a panel each
    tree = plot([row([10.0 * u] * 2, 512, 0, n_ubatch=u) for u in (1, 2, 4, 8, 16)] + [row([5.0])])
    texts = [t.text for t in tree.findall("text")]
    assert "prompt, tokens/s" in texts and "generation, tokens/s" in texts
    assert "prompt tokens at once (ubatch)" in texts and "16" in texts, texts


def budgets_are_drawn_beside_their_bounds():
    tree = plot([row([10.0 * gib] * 2, vram_budget_bytes=gib << 30, predicted_ts=11.0 * gib, roofline_ts=20.0 * gib,
                     streaming_ts=15.0 * gib, simulated=True) for gib in (2, 3, 4)])
    texts = [t.text for t in tree.findall("text")]
    assert "device memory, GiB" in texts and "tg128, simulated" in texts and "cpu lane alone" not in texts, texts
    assert all(x in texts for x in ("predicted", "roofline", "streaming alone", "2", "3", "4")), texts
    assert len(tree.findall("circle")) == 12 and len(tree.findall("polyline")) == 4
    heights = sorted({float(c.get("cy")) for c in tree.findall("circle") if c.get("fill") == "#1f6fb2"})
    assert abs((heights[2] - heights[1]) - (heights[1] - heights[0])) < 0.2, heights


def a_throttled_run_is_not_drawn():
    tree = plot([row([10.0] * 2), row([5.0] * 2, n_depth=512, throttled="slowed down by temperature")])
    assert len(tree.findall("circle")) == 1


run(the_test_is_mann_whitneys, a_change_is_told_from_noise, a_throttled_run_is_not_compared,
    the_peer_stands_in_the_same_table, a_peer_is_measured_in_turns, prompts_are_paired_by_ubatch,
    simulated_and_measured_results_do_not_meet,
    what_differs_is_said_and_does_not_hinder, rubbish_is_one_line, a_sweep_becomes_a_drawing,
    budgets_are_drawn_beside_their_bounds, a_throttled_run_is_not_drawn)

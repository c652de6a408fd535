"""The program against the reference data: logits, costs per token, and what info says of every file there."""
import glob
import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import REFERENCE, check, good, in_parallel, main, path, reference, strato, test, write
from model_file import ModelFile

BOUND_EXACT, BOUND_8_BITS = 6e-3, 3e-2  # relative error; float products with a f16 KV cache, and 8-bit activations


def relative_error(expected, got):
    expected, got = expected.astype(np.float64), got.astype(np.float64)
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


@test
def logits_of_one_model_are_within_the_bound():
    for name in ("llama-pure-q6_k", "qwen3-q3_k_m"):
        model = reference("formats", name + ".gguf")
        with open(reference("formats", "expected", name + ".json")) as f:
            row = json.load(f)
        expected = np.fromfile(reference("formats", "expected", name + ".f32"), "<f4")
        n = len(row["prompt"])  # the prompt's rows: what greedy tokens follow may depend on near-ties
        expected = expected.reshape(-1, row["n_vocab"])[:n]
        tokens = ",".join(str(t) for t in row["prompt"])
        for more, bound in ((["--math", "exact"], BOUND_EXACT), (["--math", "exact", "--batch", "1"], BOUND_EXACT),
                            (["--math", "exact", "--batch", "7"], BOUND_EXACT), ([], BOUND_8_BITS)):
            out = path("logits.f32")
            good("logits", model, "--tokens", tokens, "--all", "-o", out, *more)
            got = np.fromfile(out, "<f4").reshape(-1, row["n_vocab"])
            check(got.shape == expected.shape, "shape %s" % (got.shape,))
            rel = relative_error(expected, got)
            check(rel <= bound, "%s %s: relative error %.2e, bound %.1e" % (name, more, rel, bound))
        good("logits", model, "--tokens", tokens, "-o", out, "--math", "exact")
        last = np.fromfile(out, "<f4")
        check(last.shape == (row["n_vocab"],) and relative_error(expected[-1], last) <= BOUND_EXACT, "the last row")


@test
def costs_per_token_are_the_reference_s():
    with open(reference("models", "nll.json")) as f:
        golden = json.load(f)
    compared = 0
    for text, data in golden.items():
        file = reference("models", text)
        for model in sorted(glob.glob(os.path.join(REFERENCE, "models", "*.gguf"))):
            name = os.path.splitext(os.path.basename(model))[0]
            results = data["results"]
            exact = results.get(name + ".deq") or (results.get(name + ".cpu") if name.endswith("f32") else None)
            if exact is None or not name.endswith(("f32", "q80", "q4km")):
                continue
            got = json.loads(good("ppl", model, "-f", file, "--json", "--math", "exact", "--kv", "f32").out)
            family = next(k for k in data["tokens"] if name.startswith(k))
            check(got["tokens"] == data["tokens"][family], "%s: other tokens" % name)
            worst = float(np.abs(np.array(got["nll"]) - np.array(exact["nll"])).max())
            check(len(got["nll"]) == len(exact["nll"]) and worst < 0.02, "%s: a cost is off by %.3g" % (name, worst))
            check(abs(got["mean_nll"] - exact["mean_nll"]) < 1e-3, "%s: mean" % name)
            check(abs(got["perplexity"] - exact["perplexity"]) < 1e-3 * exact["perplexity"], "%s: perplexity" % name)
            compared += 1
    check(compared >= 3, "only %d files compared" % compared)


@test
def info_describes_every_file_whole_and_cut_after_the_header():
    folders = [os.path.join(REFERENCE, d, "*.gguf") for d in ("models", "formats", "tokenizers")]
    files = [f for pattern in folders for f in sorted(glob.glob(pattern))]
    if not files:
        reference("formats")

    def one(file):
        whole = strato("info", file, "--json")
        check(whole.code == 0, "%s: exit code %d" % (file, whole.code), whole)
        json.loads(whole.out)
        plain = good("info", file)
        check(len(plain.out) > 200, "%s: hardly anything is said" % file, plain)
        with open(file, "rb") as f:
            data = f.read()
        header = len(ModelFile.read(file).header()) if "/tokenizers/" not in file else len(data)
        name = os.path.basename(file)
        cut = good("info", write("cut-" + name, data[:header]), "--json")
        whole_value, cut_value = json.loads(whole.out), json.loads(cut.out)
        for key in ("architecture", "tensors", "n_tensors"):
            check(whole_value.get(key) == cut_value.get(key), "%s: %s differs in the cut file" % (name, key))
        os.remove(path("cut-" + name))

    in_parallel(one, files)


sys.exit(main())

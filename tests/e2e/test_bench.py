"""strato bench from outside: every format, llama-bench's field names, figures that agree with each other, wrong usage."""
import csv
import hashlib
import io
import json
import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import DEMO, check, environment, expect_error, good, main, path, skip, strato, test, write

QUICK = ["-p", "24", "-n", "3", "-r", "2", "--seed", "1"]
LLAMA_BENCH = ["build_commit", "cpu_info", "gpu_info", "backends", "model_filename", "model_type", "model_size",
               "model_n_params", "n_batch", "n_ubatch", "n_threads", "type_k", "type_v", "n_prompt", "n_gen", "n_depth",
               "test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ns", "samples_ts"]


def close(a, b, what):
    check(abs(a - b) <= 1e-6 * abs(b) + 1e-9, "%s: %r is not %r" % (what, a, b))


@test
def json_is_an_array_with_llama_benchs_fields():
    rows = json.loads(good("bench", DEMO, *QUICK, "-o", "json").out)
    check([(r["n_prompt"], r["n_gen"], r["n_depth"]) for r in rows] == [(24, 0, 0), (0, 3, 0)], "the tests: %r" % rows)
    for row in rows:
        check([f for f in LLAMA_BENCH if f not in row] == [], "fields are missing")
        check(len(row["samples_ns"]) == len(row["samples_ts"]) == 2, "a sample per repetition")
        tokens = row["n_prompt"] + row["n_gen"]
        for ns, ts in zip(row["samples_ns"], row["samples_ts"]):
            close(ts, tokens * 1e9 / ns, "a sample's rate")
        close(row["avg_ts"], statistics.mean(row["samples_ts"]), "avg_ts")
        close(row["stddev_ts"], statistics.stdev(row["samples_ts"]), "stddev_ts")
        close(row["avg_ns"], statistics.mean(row["samples_ns"]), "avg_ns")
        close(row["median_ts"], statistics.median(row["samples_ts"]), "median_ts")
        check(row["model_filename"] == DEMO and row["n_batch"] == 2048 and row["n_ubatch"] == 512, "what was measured")
    prompt, generation = rows
    check(prompt["first_token_ns"] >= statistics.median(prompt["samples_ns"]), "the first token is known after the prompt")
    check(generation["first_token_ns"] is None, "generation has no first token")


@test
def bytes_per_second_are_bytes_times_tokens_per_second():
    row = json.loads(good("bench", DEMO, "-p", "0", "-n", "4", "-d", "40", "-r", "3", "-o", "jsonl").out)
    kv = sum(row["kv_bytes_per_token"] * (40 + i) for i in (1, 2, 3, 4))
    check(row["read_bytes"] == 4 * row["read_bytes_per_token"] + kv, "the bytes of 4 tokens behind 40")
    close(row["gb_per_s"], row["read_bytes"] / statistics.median(row["samples_ns"]), "gb_per_s")
    size = os.path.getsize(DEMO)
    check(0.5 * size < row["model_size"] < size, "the size of all tensors")


@test
def generation_can_evaluate_given_tokens_instead_of_drawing():
    for how in ("draw", "eval"):
        row = json.loads(good("bench", DEMO, "-p", "0", "-n", "5", "-r", "2", "--decode", how, "-o", "jsonl").out)
        check(row["decode"] == how and row["n_gen"] == 5 and row["avg_ts"] > 0, "--decode %s: %r" % (how, row))


@test
def lists_make_every_combination_in_order():
    out = good("bench", DEMO, "-p", "8-16*2", "-n", "0", "-d", "0,32", "-ub", "4,16", "-r", "1", "-o", "jsonl").out
    rows = [json.loads(line) for line in out.splitlines()]
    check([(r["n_depth"], r["n_ubatch"], r["n_prompt"]) for r in rows]
          == [(d, u, p) for d in (0, 32) for u in (4, 16) for p in (8, 16)], "%r" % rows)


@test
def csv_says_the_same_in_columns():
    out = good("bench", DEMO, *QUICK, "-o", "csv").out.decode()
    rows = list(csv.DictReader(io.StringIO(out)))
    check(len(rows) == 2 and all(None not in r and None not in r.values() for r in rows), "ragged columns")
    check([f for f in LLAMA_BENCH if f not in rows[0]] == [], "fields are missing")
    check(rows[0]["model_filename"] == DEMO and rows[0]["backends"] == "Vulkan", "texts: %r" % rows[0])
    samples = [float(x) for x in rows[1]["samples_ts"].split(";")]
    check(abs(statistics.mean(samples) - float(rows[1]["avg_ts"])) < 1e-3 * samples[0], "avg_ts")


@test
def markdown_is_a_table():
    lines = good("bench", DEMO, *QUICK).out.decode().splitlines()
    table = [line for line in lines if line.startswith("|")]
    check(len(table) == 4 and len({line.count("|") for line in table}) == 1, "a table of 2 rows: %r" % table)
    check("pp24" in table[2] and "tg3" in table[3], "the tests' names")


@test
def rubbish_is_wrong_usage_and_is_named():
    for args, *parts in ((["-p", "x"], "-p", "x"), (["-p", "1-"], "-p", "1-"), (["-p", ""], "-p"), (["-n", "-5"], "-n", "-5"),
                         (["-n", "4-1"], "-n", "4-1"), (["-n", "1,,2"], "-n"), (["-d", "1e3"], "-d", "1e3"),
                         (["-d", "1-9+0"], "-d"), (["-b", "0"], "-b", "0"), (["-b", "x"], "-b"), (["-ub", "0"], "-ub"),
                         (["-ub", "70000"], "-ub", "70000"), (["-r", "0"], "-r", "0"), (["-r", "x"], "-r"),
                         (["-r", "1001"], "-r", "1001"), (["-o", "xml"], "-o", "xml"), (["--sweep", "all"], "--sweep", "all"),
                         (["--budgets", "2G"], "--budgets", "--sweep vram"), (["--sweep", "vram", "--vram", "1G"], "--sweep vram", "--budgets"),
                         (["--sweep", "vram", "--budgets", "1G,x"], "--budgets", "'x'"), (["-p"], "-p"), (["-zz"], "-zz"), (["--decode", "x"], "--decode", "x"),
                         (["-p", "0", "-n", "0"], "-p 0", "-n 0"), (["-p", "600"], "600", "512"),
                         (["-d", "500"], "1012", "512"), (["--ctx", "100", "-p", "101", "-n", "1"], "--ctx", "101"),
                         (["-p", "1-9999"], "-p", "64")):
        expect_error(strato("bench", DEMO, *args), 2, *parts)
    expect_error(strato("bench", path("missing.gguf")), 1, "missing.gguf")


@test
def the_models_hash_is_that_of_its_file_and_is_kept():
    quick = ["-p", "0", "-n", "1", "-r", "1", "-o", "json"]
    own = environment(XDG_CACHE_HOME=path("own"))
    copy = write("copy.gguf", open(DEMO, "rb").read())
    expected = hashlib.sha256(open(DEMO, "rb").read()).hexdigest()
    row = json.loads(good("bench", copy, *quick, env=own).out)[0]
    if row["model_sha256"] is None:
        skip("this build has no SHA-256")
    check(row["model_sha256"] == expected, "the first time")
    kept = path("own", "strato", "sha256")
    check(len(os.listdir(kept)) == 1, "nothing was kept")
    check(json.loads(good("bench", copy, *quick, env=own).out)[0]["model_sha256"] == expected, "the second time")
    check(json.loads(good("bench", copy, *quick, "--no-hash", env=own).out)[0]["model_sha256"] is None, "--no-hash")
    with open(os.path.join(kept, os.listdir(kept)[0]), "r+b") as record:  # what is kept is what is said
        record.seek(-64, os.SEEK_END)
        record.write(b"0" * 64)
    check(json.loads(good("bench", copy, *quick, env=own).out)[0]["model_sha256"] == "0" * 64, "what was kept is not used")
    os.utime(copy, ns=(0, 12345))  # a changed file is hashed again
    check(json.loads(good("bench", copy, *quick, env=own).out)[0]["model_sha256"] == expected, "a changed file")


@test
def shapes_need_no_file():
    run = ["bench", "--shape", "tiny:q4_k_m", "-p", "16", "-n", "2", "-d", "0,1000", "-r", "1", "--synthetic", "-o",
           "jsonl"]
    rows = [json.loads(line) for line in good(*run).out.splitlines()]
    check([(r["n_depth"], r["depth_kv"]) for r in rows] == [(0, ""), (0, ""), (1000, "synthetic"), (1000, "synthetic")],
          "depths: %r" % rows)
    # 2 layers of 256 x 256 (q, o), 128 x 256 (k, v), 3 x 512 x 256, norms; embedding and output of 512 x 256
    layer = 2 * 256 * 256 + 2 * 128 * 256 + 3 * 512 * 256 + 2 * 256 + 2 * 64
    check(rows[0]["model_n_params"] == 2 * layer + 2 * 512 * 256 + 256, "parameters: %r" % rows[0]["model_n_params"])
    check(rows[0]["model_sha256"] is None and rows[0]["model_type"] == "tiny:Q4_K_M", "what it is")
    for bad in ("tiny", "tiny:", ":q4_0", "9b:q4_0", "tiny:q9", ""):
        expect_error(strato("bench", "--shape", bad), 2, "--shape", "qwen3-8b", "Q4_K_M")
    expect_error(strato("bench", DEMO, "--shape", "tiny:q4_0"), 2, "--shape", DEMO)
    expect_error(strato("bench", "--shape", "32b:f32", "--vram", "100M"), 5, "qwen3-32b")


@test
def sweeps_are_csv():
    out = good("bench", "--shape", "tiny:q8_0", "--sweep", "context", "-p", "0", "-n", "1", "-r", "1", "--synthetic").out
    rows = list(csv.DictReader(io.StringIO(out.decode())))
    check([int(r["n_depth"]) for r in rows] == [0, 512, 1024, 2048], "depths that fit in 4096: %r" % rows)
    out = good("bench", DEMO, "--sweep", "batch", "-p", "16", "-r", "1").out
    rows = list(csv.DictReader(io.StringIO(out.decode())))
    check([int(r["n_ubatch"]) for r in rows] == [1, 2, 4, 8, 16], "batches: %r" % rows)
    check(all(r["n_gen"] == "0" for r in rows), "generation does not depend on the batch")
    expect_error(strato("bench", DEMO, "--sweep", "context"), 2, "--sweep context", "-d")


@test
def a_sweep_over_memory_is_within_it_and_never_falls():
    write("card.txt", b"vram=300, link=13 # a card\ncompute=20, dram=65, crossing=20, submit=3, latency=2\n")
    run = ["bench", "--shape", "0.6b:q4_k_m", "--sim", path("card.txt"), "--sweep", "vram", "-p", "256", "-n", "8", "-r",
           "1", "--ctx", "512"]
    rows = list(csv.DictReader(io.StringIO(good(*run, "--budgets", "450M,500M,400M", "--budgets", "600M").out.decode())))
    check([int(r["vram_budget_bytes"]) >> 20 for r in rows] == [n for n in (400, 450, 500, 600) for _ in (0, 1)],
          "budgets: %r" % [r["vram_budget_bytes"] for r in rows])
    for r in rows:
        check(0 < int(r["device_peak_bytes"]) <= int(r["vram_budget_bytes"]), "more than the budget: %r" % r)
        check(r["simulated"] == "true" and r["backends"] == "simulated" and "13 GB/s" in r["gpu_info"], "not marked")
        predicted, got = float(r["predicted_ts"]), float(r["avg_ts"])
        least = 0.8 if r["n_gen"] != "0" else 0.75  # so small a model does much beside its products
        check(least < got / predicted < 1.1, "%s simulated, %s predicted" % (got, predicted))
    speeds = [float(r["avg_ts"]) for r in rows if r["n_gen"] != "0"]  # what plans are chosen by
    check(all(b >= a * 0.999 for a, b in zip(speeds, speeds[1:])), "slower with more memory: %r" % speeds)
    again = list(csv.DictReader(io.StringIO(good(*run, "--budgets", "400M").out.decode())))
    check([r["samples_ns"] for r in again] == [r["samples_ns"] for r in rows[:2]], "not the same times again")
    out = strato(*run, "--budgets", "10M,600M")
    check(out.code == 0 and len(out.out.splitlines()) == 3 and b"needs" in out.err, "what does not fit", out)
    expect_error(strato(*run, "--budgets", "10M"), 5, "qwen3-0.6b")
    expect_error(strato("bench", "--shape", "tiny:q4_0", "--sim", "vram=1,links=3"), 2, "--sim", "'links'")
    md = good("bench", "--shape", "tiny:q4_0", "--sim", "vram=1,link=3", "-p", "8", "-n", "2", "-r", "1").out.decode()
    check("**simulated**" in md, "not marked: " + md)


@test
def the_bandwidth_is_measured_and_bounds_what_is_read():
    row = json.loads(good("bench", DEMO, "-p", "0", "-n", "8", "-r", "3", "-o", "jsonl").out)
    best = max(row["bandwidth_%s_gb_per_s" % k] for k in ("read", "copy", "fill"))
    close(row["bandwidth_gb_per_s"], best, "the best of three")
    check(best > 0 and row["bandwidth_buffer_bytes"] >= 1 << 20, "bandwidth")
    close(row["share_of_bandwidth"], row["gb_per_s"] / best, "the share")


@test
def without_a_driver_there_is_no_device():
    nowhere = environment(VK_DRIVER_FILES="/nonexistent/icd.json", VK_ICD_FILENAMES="/nonexistent/icd.json",
                          VK_LOADER_DEBUG=None)
    expect_error(strato("bench", DEMO, env=nowhere), 4, "Vulkan")


sys.exit(main())

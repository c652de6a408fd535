"""strato bench from outside: every format, llama-bench's field names, figures that agree with each other, wrong usage."""
import csv
import io
import json
import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import DEMO, check, environment, expect_error, good, main, path, strato, test

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
                         (["--sweep", "vram"], "--sweep", "not in this version"), (["-p"], "-p"), (["-zz"], "-zz"),
                         (["-p", "0", "-n", "0"], "-p 0", "-n 0"), (["-p", "600"], "600", "512"),
                         (["-d", "500"], "1012", "512"), (["--ctx", "100", "-p", "101", "-n", "1"], "--ctx", "101"),
                         (["-p", "1-9999"], "-p", "64")):
        expect_error(strato("bench", DEMO, *args), 2, *parts)
    expect_error(strato("bench", path("missing.gguf")), 1, "missing.gguf")


@test
def without_a_driver_there_is_no_device():
    nowhere = environment(VK_DRIVER_FILES="/nonexistent/icd.json", VK_ICD_FILENAMES="/nonexistent/icd.json",
                          VK_LOADER_DEBUG=None)
    expect_error(strato("bench", DEMO, env=nowhere), 4, "Vulkan")


sys.exit(main())

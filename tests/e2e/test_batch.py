"""strato run --batch-file: results, inputs that are rubbish, --resume after every kind of end, progress, full disks."""
import json
import os
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (BINARY, DEMO, check, environment, expect_error, good, main, path, strato, test, write)
from scripted import scripted
from terminal import Terminal

GREEDY = ["--temp", "0"]
QUESTIONS = ["What is %d + %d?" % (i, 3 * i) for i in range(1, 13)]


def lines_of(data):
    """Results by index; every line is whole, and no prompt has two."""
    text = data.decode("utf-8")
    check(text == "" or text.endswith("\n"), "the last line is torn: %r" % text[-80:])
    results = [json.loads(line) for line in text.split("\n")[:-1]]
    by_index = {r["index"]: r for r in results}
    check(len(by_index) == len(results), "a prompt has two results")
    return by_index


def read(name):
    with open(path(name), "rb") as f:
        return lines_of(f.read())


def texts(results):
    return {i: (r.get("text"), r.get("stop"), r.get("error")) for i, r in results.items()}


def batch(input_path, *args, code=0, **more):
    result = strato("run", DEMO, "--batch-file", input_path, *args, **more)
    check(result.code == code, "exit code %d, expected %d" % (result.code, code), result)
    return result


def questions(name="questions.txt", n=len(QUESTIONS)):
    return write(name, "\n".join(QUESTIONS[i % len(QUESTIONS)] for i in range(n)).encode() + b"\n")


def long_jobs(name, n, tokens):
    return write(name, b"".join(json.dumps({"id": "job-%d" % i, "prompt": "Tell me story %d." % i}).encode() + b"\n"
                                for i in range(n))), ["-n", str(tokens), "--ignore-eos", "--seed", "5"]


# ---- results ----

@test
def every_prompt_gets_what_it_gets_alone():
    results = lines_of(batch(questions(), *GREEDY, "--json").out)
    check(sorted(results) == list(range(12)), "indexes are %s" % sorted(results))
    for i in (0, 5, 11):
        alone = json.loads(good("run", DEMO, "-p", QUESTIONS[i], *GREEDY, "--json").out)
        for key in ("text", "tokens", "prompt_tokens", "stop"):
            check(alone[key] == results[i][key], "%s of prompt %d: %r, alone %r" % (key, i, results[i][key], alone[key]))
    with_system = lines_of(batch(write("s.txt", b"What is 2 + 2?"), "--system", "Be brief.", "--json", *GREEDY).out)[0]
    alone = json.loads(good("run", DEMO, "-p", "What is 2 + 2?", "--system", "Be brief.", "--json", *GREEDY).out)
    check(with_system["prompt_tokens"] == alone["prompt_tokens"], "--system makes another prompt")


@test
def thinking_is_turned_off_as_for_one_prompt():
    model = scripted(path("thinks.gguf"), "x")
    for think in ("on", "off"):
        how = [*GREEDY, "-n", "1", "--think", think, "--json", "--no-self-test"]
        alone = json.loads(good("run", model, "-p", "Hello!", *how).out)
        got = lines_of(good("run", model, "--batch-file", write("think.txt", b"Hello!"), *how).out)[0]
        check(got["prompt_tokens"] == alone["prompt_tokens"], "--think %s: %s, alone %s" % (think, got, alone))


@test
def results_depend_on_their_line_alone():
    jobs = [{"id": "a", "prompt": "Tell me about foxes."}, {"id": 7, "prompt": "What is big?", "temperature": 1.5},
            {"id": "c", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 5},
            {"id": "d", "prompt": "Once upon a time", "raw": True, "stop": ["."], "seed": 99},
            {"id": "e", "prompt": "What is 3 + 9?", "temperature": 0, "top_k": 1, "top_p": 0.5, "min_p": 0.1,
             "system": "Be brief."}]
    exact = ["-n", "30", "--math", "exact", "--deterministic", "--seed", "3"]
    def run(name, order, *args):
        data = "\n".join(json.dumps(jobs[i]) for i in order).encode()
        by_index = lines_of(batch(write(name, data), *exact, *args).out)
        return {by_index[k]["id"]: (r["text"], r["stop"], r["seed"]) for k, r in by_index.items()}
    first = run("jobs.jsonl", [0, 1, 2, 3, 4])
    check(set(first) == {"a", 7, "c", "d", "e"}, "ids are %s" % list(first))
    check(run("back.jsonl", [4, 3, 2, 1, 0], "--parallel", "2") == first, "another order gives other results")
    check(run("one.jsonl", [3], "--parallel", "1")["d"] == first["d"], "alone it gives another result")
    check(first["c"][1] == "length" and first["d"][1] == "stop" and first["d"][2] == 99, "settings of lines: %s" % first)
    check("." not in first["d"][0] and first["e"][0] == "3 + 9 = 12.", "texts: %s" % first)
    check(len({r[2] for r in first.values()}) == 5, "lines share seeds")


@test
def streamed_layers_and_the_processor_give_the_same():
    want = texts(lines_of(batch(questions(), *GREEDY).out))
    for place in ("stream", "cpu"):
        got = texts(lines_of(batch(questions(), *GREEDY, "--place", place, "--parallel", "5").out))
        check(got == want, "--place %s gives %s" % (place, got))


@test
def a_thousand_short_prompts():
    result = batch(questions("thousand.txt", 1000), *GREEDY, "-n", "3", "-o", path("thousand.jsonl"))
    results = read("thousand.jsonl")
    check(len(results) == 1000, "%d results" % len(results), result)
    for i, r in results.items():
        check(r["text"] == results[i % 12]["text"] and r["n_tokens"] == 3, "prompt %d: %s" % (i, r))
    check(b"1000 of 1000 prompts done" in result.err and b"64 at a time" in result.err, "summary", result)
    check(result.out == b"", "results on standard output too", result)
    quiet = batch(questions(), *GREEDY, "-q", "-n", "1")
    check(quiet.err == b"", "-q is not silent", quiet)


@test
def prompts_that_fail_stop_no_others():
    template = "{% for m in messages %}{% if 'bad' in m.content %}{{ raise_exception('no bad words') }}{% endif %}" \
               "{{ m.content }}{% endfor %}"
    model = scripted(path("refuses.gguf"), "x", template)
    data = b"fine\nbad words\n" + b"long " * 300 + b"\nfine too\n"
    result = strato("run", model, "--batch-file", write("some.txt", data), *GREEDY, "-n", "2", "--ctx", "64",
                    "--no-self-test", "-o", path("some.jsonl"))
    results = read("some.jsonl")
    check(result.code == 1 and b"2 of 4 prompts failed" in result.err, "end", result)
    check("no bad words" in results[1]["error"] and "the context has room" in results[2]["error"], str(results))
    check(results[0]["n_tokens"] == 2 and results[3]["n_tokens"] == 2 and "text" not in results[1], str(results))
    again = strato("run", model, "--batch-file", path("some.txt"), *GREEDY, "-n", "2", "--ctx", "64",
                   "--no-self-test", "-o", path("some.jsonl"), "--resume")
    check(again.code == 1 and read("some.jsonl") == results, "failures are results when it goes on", again)


# ---- inputs ----

@test
def text_files_are_taken_line_by_line():
    data = b"\xef\xbb\xbfWhat is 1 + 3?\r\n\r\n   \n{not json\nWhat is 2 + 6?"
    results = lines_of(batch(write("odd.txt", data), *GREEDY, "--json").out)
    check(len(results) == 3 and results[0]["text"] == "1 + 3 = 4." and results[2]["text"] == "2 + 6 = 8.", str(results))
    by_stdin = lines_of(batch("-", *GREEDY, input=b"What is 1 + 3?\n").out)
    check(by_stdin[0]["text"] == "1 + 3 = 4.", str(by_stdin))


@test
def rubbish_is_refused_with_its_line():
    for name, data, *parts in (
            ("a.txt", b"", "a.txt", "no prompt"), ("b.txt", b"\n \n", "no prompt"),
            ("c.txt", b"fine\na\0b\n", "c.txt:2", "NUL"), ("d.txt", b"fine\n\nx\xff\n", "d.txt:3", "not UTF-8"),
            ("e.jsonl", b"hello\n", "e.jsonl:1"), ("f.jsonl", b'{"prompt": "x"}\n[1]\n', "f.jsonl:2", "object"),
            ("g.jsonl", b'{"promt": "x"}', "g.jsonl:1", 'unknown key "promt"'),
            ("h.jsonl", b'{"id": 1, "prompt": "x"}\n{"id": "1", "prompt": "y"}', "h.jsonl:2", "line 1 already"),
            ("i", b' \n{"id": 1}', "i:2", "neither"), ("j", b'{"prompt": "x", "messages": [{}]}', "one is enough"),
            ("k", b'{"prompt": 3}', '"prompt" is not text'), ("l", b'{"messages": []}', '"messages" is not'),
            ("m", b'{"prompt": "x", "max_tokens": 0}', "from 1"), ("n", b'{"prompt": "x", "top_p": 0}', "above 0"),
            ("o", b'{"prompt": "x", "temperature": -1}', "from 0"), ("p", b'{"prompt": "x", "seed": -1}', '"seed"'),
            ("q", b'{"prompt": "x", "stop": ["a", ""]}', '"stop"'), ("r", b'{"prompt": "x", "min_p": 1}', "below 1"),
            ("s", b'{"prompt": "x", "raw": 1}', "true or false"), ("t", b'{"prompt": "x"', "t:1"),
            ("u", b'{"prompt": "x", "id": null}', '"id"'), ("v.txt", b"x" * (16 << 20) + b"y\n", "v.txt:1", "16 MiB")):
        expect_error(strato("run", DEMO, "--batch-file", write(name, data), "-o", path("never.jsonl")), 2, *parts)
    check(not os.path.exists(path("never.jsonl")), "an output was made for rubbish")
    expect_error(strato("run", DEMO, "--batch-file", path("nowhere.txt")), 1, "nowhere.txt")


@test
def options_that_do_not_go_together():
    file = questions()
    for option in (["-p", "x"], ["-f", file], ["--tools", file], ["--fold"], ["--think-budget", "3"]):
        expect_error(strato("run", DEMO, "--batch-file", file, *option), 2, option[0], "--batch-file")
    for option in (["-o", "x"], ["--resume"], ["--parallel", "2"]):
        expect_error(strato("run", DEMO, "-p", "x", *option), 2, "--batch-file")
    expect_error(strato("run", DEMO, "--batch-file", file, "--resume"), 2, "--batch-out")


# ---- going on ----

@test
def an_output_is_not_overwritten_and_has_to_match():
    file, out = questions(), path("match.jsonl")
    args = [*GREEDY, "-n", "4", "-o", out]
    batch(file, *args)
    whole = read("match.jsonl")
    expect_error(strato("run", DEMO, "--batch-file", file, *args), 2, out, "--resume")
    check(b"already" in batch(file, *args, "--resume").err, "nothing left, but it does not say so")
    for changed in (["-n", "5"], ["--temp", "0.5"], ["--seed", "1"], ["--raw"], ["--kv", "f32"], ["--stop", "x"]):
        expect_error(strato("run", DEMO, "--batch-file", file, *args, *changed, "--resume"), 2, "match.jsonl:1")
    other = write("other.txt", "\n".join(QUESTIONS[:3] + ["What?"] + QUESTIONS[4:]).encode())
    result = strato("run", DEMO, "--batch-file", other, *args, "--resume")
    expect_error(result, 2, "line 4 of the prompts")
    expect_error(strato("run", os.path.join(os.path.dirname(DEMO), "draft.gguf"), "--batch-file", file, *args,
                        "--resume"), 2, "match.jsonl:1", "model")
    expect_error(strato("run", DEMO, "--batch-file", questions("few.txt", 3), *args, "--resume"), 2, "there are 3")
    check(read("match.jsonl") == whole, "a refusal changed the results")
    write("rubbish.jsonl", b'{"index": 0}\n')
    expect_error(strato("run", DEMO, "--batch-file", file, *GREEDY, "-o", path("rubbish.jsonl"), "--resume"), 2,
                 "rubbish.jsonl:1", "no result")


@test
def a_torn_line_is_made_again():
    file, out = questions(), path("torn.jsonl")
    args = [*GREEDY, "-o", out]
    batch(file, *args, "--resume")
    with open(out, "rb") as f:
        data = f.read()
    for keep in (1, len(data) // 2, len(data) - 1):
        write("torn.jsonl", data[:keep])
        batch(file, *args, "--resume")
        check(texts(read("torn.jsonl")) == texts(lines_of(data)), "cut at %d of %d" % (keep, len(data)))


def start_and_wait(args, out, n_lines, stderr=subprocess.PIPE):
    """The program, once its output has so many whole lines."""
    process = subprocess.Popen([BINARY] + args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
                               env=environment())
    end = time.time() + 120
    while time.time() < end and process.poll() is None:
        if os.path.exists(out):
            with open(out, "rb") as f:
                if f.read().count(b"\n") >= n_lines:
                    return process
        time.sleep(0.01)
    process.kill()
    raise AssertionError("it ended too early: %s" % process.communicate()[1])


@test
def a_killed_run_goes_on_where_it_was():
    file, how = long_jobs("long.jsonl", 24, 40)
    exact = ["--math", "exact", "--deterministic", "--parallel", "4", *how]
    batch(file, *exact, "-o", path("whole.jsonl"))
    whole = read("whole.jsonl")
    out = path("killed.jsonl")
    for kills, lines in ((0, 3), (1, 10)):
        process = start_and_wait(["run", DEMO, "--batch-file", file, *exact, "-o", out, "--resume"], out, lines)
        process.kill()
        process.communicate()
        check(process.returncode == -signal.SIGKILL, "it ended by itself")
        with open(out, "rb") as f:
            n = f.read().count(b"\n")
        check(lines <= n < 24, "%d results when killed" % n)
    result = batch(file, *exact, "-o", out, "--resume", "--parallel", "7")
    check(b"were there already" in result.err, "summary", result)
    check(read("killed.jsonl") == whole, "the union differs from an undisturbed run")


@test
def ctrl_c_keeps_what_is_finished_and_says_how_to_go_on():
    file, how = long_jobs("stop.jsonl", 24, 60)
    out = path("stopped.jsonl")
    args = ["run", DEMO, "--batch-file", file, *how, "--parallel", "4", "-o", out]
    process = start_and_wait(args, out, 3)
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=120)[1]
    check(process.returncode == 1, "exit code %d: %s" % (process.returncode, err))
    check(b"stopped after" in err and b"--resume" in err, "stderr is %r" % err)
    check(3 <= len(read("stopped.jsonl")) < 24, "%d results" % len(read("stopped.jsonl")))
    good(*args, "--resume")
    check(len(read("stopped.jsonl")) == 24, "not all results")


# ---- where results go ----

@test
def an_output_that_takes_nothing():
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as full:
            result = strato("run", DEMO, "--batch-file", questions(), *GREEDY, "-q", stdout=full)
        check(result.code == 1 and b"standard output" in result.err and result.err.count(b"\n") == 1, "full", result)
    expect_error(strato("run", DEMO, "--batch-file", questions(), "-o", path("no", "such", "folder.jsonl")), 1,
                 "folder.jsonl")
    out = path("small.jsonl")
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    on_cpu = [*GREEDY, "--place", "cpu", "-o", out] # some drivers' memory is a file, which the limit would stop too
    done = subprocess.run([BINARY, "run", DEMO, "--batch-file", questions(), *on_cpu, "-q"], env=environment(),
                          capture_output=True, preexec_fn=limit, timeout=300)
    check(done.returncode == 1 and b"small.jsonl" in done.stderr, "code %d, %r" % (done.returncode, done.stderr))
    batch(questions(), *on_cpu, "--resume")
    check(len(read("small.jsonl")) == 12, "it does not go on after a full disk")


@test
def a_terminal_sees_progress():
    file, how = long_jobs("bar.jsonl", 12, 60)
    terminal = Terminal([BINARY, "run", DEMO, "--batch-file", file, *how, "--parallel", "3", "-o", path("bar-out.jsonl")],
                        environment(), columns=100)
    terminal.wait_for(r"prompts  \[#*\.*\]  \d+ of 12  \d+ tokens/s")
    terminal.wait_for(r"\d+ s left")
    terminal.wait_for(r"12 of 12 prompts done in")
    check(terminal.finish() == 0, "exit code")
    piped = batch(file, *how, "-o", path("no-bar.jsonl"))
    check(b"\x1b" not in piped.err and piped.err.count(b"\n") == 1, "a pipe got more than the summary", piped)


sys.exit(main())

"""strato run: prompts, options, output, streaming, Ctrl-C, pipes that close, terminals."""
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (BINARY, DEMO, Result, check, check_clean, environment, expect_error, good, main, path, strato,
                     test, write)
from model_file import STRING, ModelFile
from scripted import SAY_IT, TEMPLATE, scripted
from terminal import Terminal

LONG = ["run", DEMO, "--raw", "-p", "Once upon a time", "--ignore-eos", "--temp", "0"]


def run_json(*args, **more):
    result = good("run", DEMO, "--json", *args, **more)
    check(result.out.endswith(b"\n") and result.out.count(b"\n") == 1, "not one line of JSON", result)
    return json.loads(result.out)


def start(*args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=None):
    return subprocess.Popen([BINARY] + [str(a) for a in args], stdin=stdin, stdout=stdout, stderr=stderr,
                            env=env or environment())


def finish(process, out=b""):
    more, err = process.communicate(timeout=300)
    result = Result(process.args[1:], process.returncode, out + (more or b""), err or b"")
    check_clean(result)
    return result


# ---- memory ----

@test
def layers_beyond_both_budgets_are_read_from_disk():
    args = ("-p", "What is the opposite of big?", "--temp", "0")
    whole = run_json(*args)
    check(whole["memory"]["disk_bytes"] == whole["memory"]["disk_read_bytes"] == 0, "disk without a need for it")
    buffers = whole["memory"]["host_bytes"] - whole["memory"]["streamed_bytes"]
    for more, disk in ((3 << 19, True), (32 << 20, False)):
        ram = buffers + more
        result = run_json(*args, "--place", "stream", "--ram", ram)
        m = result["memory"]
        check(result["tokens"] == whole["tokens"], "other tokens with --ram %d" % ram)
        check((m["disk_bytes"] > 0) == disk and m["ram_budget_bytes"] == ram, "memory: %s" % m)
        check(m["host_peak_bytes"] <= ram and m["pinned_bytes"] <= m["host_bytes"] <= ram, "budget %d: %s" % (ram, m))
        check(m["disk_read_bytes"] >= m["disk_bytes"] * len(result["tokens"]), "read from disk: %s" % m)
        check(m["copy"] in ("transfer", "host", "queue"), "copy: %s" % m)
    mixed = run_json(*args, "--place", "cpu:0,stream:1-2", "--ram", buffers + (8 << 20))
    check(mixed["memory"]["cpu_layers"] == 1 and mixed["memory"]["host_peak_bytes"] <= buffers + (8 << 20), "mixed")
    expect_error(strato("run", DEMO, *args, "--ram", "1M"), 5, "demo.gguf", "1.0 MiB is available", "--ram")
    expect_error(strato("run", DEMO, *args, "--pinned", "1M"), 5, "of that 1.0 MiB pinned", "--pinned")


# ---- prompts ----

@test
def a_prompt_comes_from_p_from_a_file_or_from_stdin():
    prompt = "What is the opposite of big?"
    by_p = good("run", DEMO, "-p", prompt, "--temp", "0")
    by_file = good("run", DEMO, "-f", write("prompt.txt", prompt.encode()), "--temp", "0")
    by_stdin = good("run", DEMO, "--temp", "0", input=prompt.encode())
    check(by_p.out == by_file.out == by_stdin.out, "three ways give different texts", by_file)
    check(len(by_p.out) > 2 and by_p.out.endswith(b"\n"), "no text", by_p)
    expect_error(strato("run", DEMO, "-p", "x", "-f", path("prompt.txt")), 2, "-p and -f")


@test
def only_text_goes_to_stdout_and_the_summary_to_stderr():
    result = good("run", DEMO, "-p", "Hello!", "--temp", "0", "-n", "8")
    value = run_json("-p", "Hello!", "--temp", "0", "-n", "8")
    check(result.out.decode().rstrip("\n") == value["text"].rstrip("\n"), "stdout is not the text", result)
    lines = result.err.decode().strip().split("\n")
    check(len(lines) == 1 and re.match(r"prompt \d+ tokens, .*/s; generated \d+, .*GB/s.*ended by (end|length)",
                                       lines[0]), "no one-line summary", result)
    quiet = good("run", DEMO, "-p", "Hello!", "--temp", "0", "-n", "8", "-q")
    check(quiet.err == b"" and quiet.out == result.out, "-q is not silent", quiet)


@test
def json_holds_text_ids_and_timings():
    value = run_json("-p", "What is 27 + 45?", "--temp", "0")
    check(isinstance(value["text"], str) and value["text"] != "", "text")
    for key in ("tokens", "prompt_tokens"):
        check(len(value[key]) > 0 and all(isinstance(i, int) and i >= 0 for i in value[key]), key)
    check(all(isinstance(v, (int, float)) and v >= 0 for v in value["timings"].values()), "timings")
    check({"prompt_ms", "generate_ms", "prompt_per_second", "generate_per_second"} <= set(value["timings"]), "timings")
    check(value["stop"] == "end", "stop is %s" % value["stop"])
    raw = run_json("-p", "What is 27 + 45?", "--raw", "-n", "1")
    check(len(raw["prompt_tokens"]) < len(value["prompt_tokens"]), "--raw has as many tokens as a chat turn")


@test
def unusual_prompts_are_taken_as_bytes():
    for name, data in (("invalid", b"caf\xff\xfe \xe2\x82 end"), ("nul", b"one\0two\0\0three"), ("empty", b""),
                       ("control", b"\x1b[2J\x07\r\n"), ("emoji", "\U0001f642 \u00e9".encode())):
        result = good("run", DEMO, "-f", write(name, data), "-n", "4", "--temp", "0")
        result.out.decode("utf-8")
    by_file = json.loads(good("run", DEMO, "-f", path("nul"), "--json", "-n", "1", "--raw").out)
    cut = json.loads(good("run", DEMO, "-p", "one", "--json", "-n", "1", "--raw").out)
    check(len(by_file["prompt_tokens"]) > len(cut["prompt_tokens"]), "the prompt ends at NUL")
    expect_error(strato("run", DEMO, "-p", "", "--raw"), 2, "empty")
    bad = strato("run", DEMO, "-p", b"bad \xff\xfe bytes", "-n", "2")
    check(bad.code == 0, "invalid UTF-8 as an argument", bad)


@test
def a_prompt_longer_than_the_context_is_an_error_with_both_numbers():
    long = write("long.txt", b"word and another " * 5000)
    result = strato("run", DEMO, "-f", long)
    expect_error(result, 2, "tokens long", "--ctx")
    numbers = [int(n) for n in re.findall(r"\d{2,}", result.err.decode())]
    check(511 in numbers and any(n > 5000 for n in numbers), "the numbers are not there", result)
    expect_error(strato("run", DEMO, "-p", "Hello there", "--ctx", "1"), 2, "room for 0")
    expect_error(strato("run", DEMO, "-p", "x", "--ctx", "1000000"), 2, "1000000", "512")


@test
def json_holds_any_bytes():
    f = ModelFile.read(DEMO)
    inner, tokens = f.kv["tokenizer.ggml.tokens"][1]
    nul, backslash, quote = tokens.index("\u0100".encode()), tokens.index(b"\\"), tokens.index(b'"')
    high = tokens.index("\u0122".encode())  # byte 0x80, no character by itself
    f.kv["general.name"] = (STRING, b'caf\xe9 "\x01')
    f.write(path("name.gguf"))
    for token, text in ((nul, "\0\0"), (backslash, "\\\\"), (quote, '""'), (high, "\ufffd\ufffd")):
        result = good("run", path("name.gguf"), "-p", "x", "--json", "-n", "2", "--logit-bias", "%d=1000" % token)
        value = json.loads(result.out.decode("utf-8"))
        check(value["text"] == text, "token %d gives %r" % (token, value["text"]), result)
        check(value["model"] == 'caf\ufffd "\x01', "the name is %r" % value["model"], result)
        plain = good("run", path("name.gguf"), "-p", "x", "-n", "2", "--logit-bias", "%d=1000" % token)
        check(plain.out.decode("utf-8") == text + "\n", "plain text", plain)


# ---- thoughts and calls ----

THOUGHT = "<think>\nI should\x1b[31m look.\n</think>\n\n"
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern", "days": 12345678901234567}}\n</tool_call>'
TOOLS = [{"name": "weather", "parameters": {"type": "object"}}, {"type": "function", "function": {"name": "clock"}}]


def tools_file():
    return write("tools.json", json.dumps(TOOLS).encode())


@test
def json_takes_an_answer_apart():
    model = scripted(path("apart.gguf"), THOUGHT + "One moment.\n" + CALL)
    out = good("run", model, "-p", "x", "--json", "--tools", tools_file(), *SAY_IT).out
    check(b"12345678901234567" in out, "a number has lost digits: %r" % out)
    value = json.loads(out)
    check(value["text"] == THOUGHT + "One moment.\n" + CALL, "text is %r" % value["text"])
    check(value["reasoning"] == "I should\x1b[31m look.\n", "reasoning is %r" % value["reasoning"])
    check(value["content"] == "One moment.\n", "content is %r" % value["content"])
    call = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Bern", "days": 12345678901234567}}}
    check(value["tool_calls"] == [call], "tool_calls is %r" % value["tool_calls"])
    raw = json.loads(good("run", model, "-p", "x", "--json", "--raw", *SAY_IT).out)
    check(raw["content"] == raw["text"] == value["text"] and raw["reasoning"] == "" and raw["tool_calls"] == [],
          "--raw takes apart: %r" % raw)
    malformed = CALL.replace('"arguments"', "arguments")
    model = scripted(path("malformed.gguf"), malformed)
    value = json.loads(good("run", model, "-p", "x", "--json", "--tools", tools_file(), *SAY_IT).out)
    check(value["content"] == malformed and value["tool_calls"] == [], "a malformed call is %r" % value["content"])


@test
def a_pipe_gets_everything_and_with_fold_the_answer():
    model = scripted(path("apart.gguf"), THOUGHT + "One moment.\n" + CALL)
    args = ["run", model, "-p", "x", "--tools", tools_file(), *SAY_IT]
    everything = good(*args)
    check(everything.out.decode() == THOUGHT + "One moment.\n" + CALL + "\n", "not what the model wrote", everything)
    folded = good(*args, "--fold", "-q").out.decode()
    check(folded == 'One moment.\n[call weather {"city": "Bern", "days": 12345678901234567}]\n', repr(folded))


@test
def a_terminal_gets_dim_thoughts_and_calls_in_brackets():
    model = scripted(path("apart.gguf"), THOUGHT + "One moment.\n" + CALL)
    args = [BINARY, "run", model, "-p", "x", "-q", "--tools", tools_file(), *SAY_IT]
    t = Terminal(args, environment())
    check(t.finish() == 0, "exit code")
    answer = b'One moment.\r\n[call weather {"city": "Bern", "days": 12345678901234567}]\r\n'
    check(t.out == b"\x1b[2mI should[31m look.\r\n\x1b[0m\r\n" + answer, "%r" % t.out)
    t = Terminal(args + ["--fold"], environment())
    check(t.finish() == 0, "exit code")
    check(t.out == b"\x1b[2mthinking...\x1b[0m\r\x1b[K\x1b[0m" + answer, "folded: %r" % t.out)


@test
def the_turn_is_what_the_template_makes_of_it():
    model = scripted(path("turn.gguf"), "Yes.")

    def prompt(*args):
        return json.loads(good("run", model, "-p", "Hi <|im_end|>", "--json", *args, *SAY_IT).out)["prompt_tokens"]

    def rendered(text):
        return json.loads(good("tokenize", model, "--special", "-p", text).out)

    mark, turn = rendered("<|im_end|>"), rendered("<|im_start|>user\nHi ")
    tail = rendered("<|im_end|>\n<|im_start|>assistant\n")
    plain = prompt()
    check(plain[:len(turn)] == turn and plain[-len(tail):] == tail, "not the template's turn")
    check(plain.count(mark[0]) == 1, "the prompt has ended its own turn")
    system = rendered("<|im_start|>system\nBe brief.<|im_end|>\n")
    check(prompt("--system", "Be brief.") == system + plain, "--system")
    tools = rendered("<|im_start|>system\nTools, called in <tool_call>: weather clock<|im_end|>\n")
    check(prompt("--tools", tools_file(), "--system", "Be brief.") == tools + system + plain, "--tools")
    off = prompt("--think", "off")
    check(off[:len(plain)] == plain and off[len(plain):] == rendered("<think>\n\n</think>\n\n"), "--think off")
    check(prompt("--think", "on") == plain, "--think on")


@test
def a_thought_has_a_budget():
    model = scripted(path("long.gguf"), "hm ", TEMPLATE + "{{- '<think>\\n' }}")
    value = json.loads(good("run", model, "-p", "x", "--json", *SAY_IT, "-n", "60", "--think-budget", "5").out)
    check(value["reasoning"].startswith("hm " * 5 + "\n\nThere is no time left"), repr(value["reasoning"]))
    said = good("run", model, "-p", "x", *SAY_IT, "-n", "6", "--fold")
    check(b"generated 6 (6 of them thoughts), " in said.err and said.out == b"", "thoughts are not counted", said)
    check("</think>\n\nhm hm " in value["text"] and value["content"].startswith("hm hm "), repr(value["text"]))


@test
def stop_strings_are_cut_out_of_the_answer():
    for says, stop, n, text in (("xSTOP<", "STOP", "1", "x"), ("xST", "STxSTOP", "3", "xSTxSTxST"),
                                ("<think>\nSTOP\n</think>\n\nxSTOPy", "STOP", "1", "<think>\nSTOP\n</think>\n\nx"),
                                ("aST<tool_call>OP", "STOP", "1", "aST<tool_call>OP")):
        args = ["run", scripted(path("stop.gguf"), says), "-p", "x", "--tools", tools_file(), "--stop", stop, *SAY_IT]
        value = json.loads(good(*args, "--json", "-n", n).out)
        check(value["text"] == text, "%r stopped at %r: %r" % (says, stop, value["text"]))
        check(good(*args, "-n", n).out.decode() == text + "\n", "a pipe gets something else")


@test
def what_needs_a_template_is_refused_without_one():
    tools = tools_file()
    for option in (["--system", "x"], ["--tools", tools], ["--think", "off"], ["--think-budget", "9"]):
        expect_error(strato("run", path("nowhere.gguf"), "-p", "x", "--raw", *option), 2, option[0], "--raw")
    f = ModelFile.read(DEMO)
    del f.kv["tokenizer.chat_template"]
    f.write(path("bare.gguf"))
    result = strato("run", path("bare.gguf"), "-p", "x", "-q", "--system", "x", "--json", "--no-self-test")
    expect_error(result, 2, "--system", "this model has none")
    for name, data, words in (("object.json", b"{}", "list"), ("number.json", b"[1]", "tool 0"), ("half.json", b"[", "line 1")):
        bad = strato("run", DEMO, "-p", "x", "-q", "--no-self-test", "--tools", write(name, data))
        expect_error(bad, 2, name, words)
    expect_error(strato("run", DEMO, "-p", "x", "-q", "--no-self-test", "--tools", path("none.json")), 1, "none.json")
    warned = good("run", DEMO, "-p", "x", "-n", "1", "--no-self-test", "--tools", tools)
    check(b"warning: this model's chat template has no form of calls" in warned.err, "no warning", warned)


# ---- sampling ----

@test
def temperature_0_and_seeds_are_reproducible():
    args = ["-p", "Tell me a story.", "-n", "24"]
    greedy = [run_json(*args, "--temp", "0", "--seed", s)["tokens"] for s in (1, 2)]
    check(greedy[0] == greedy[1], "greedy depends on the seed")
    seeds = [run_json(*args, "--temp", "1.2", "--top-p", "1", "--min-p", "0", "--seed", s)["tokens"]
             for s in (7, 7, 8, 9, 10)]
    check(seeds[0] == seeds[1], "one seed, two texts")
    check(len({tuple(s) for s in seeds[1:]}) > 1, "four seeds, one text")


@test
def n_stop_strings_and_ignore_eos_end_a_generation():
    value = run_json("-p", "Tell me a story.", "-n", "7", "--temp", "0")
    check(len(value["tokens"]) == 7 and value["stop"] == "length", "-n 7 gave %d" % len(value["tokens"]))
    whole = run_json("-p", "Tell me a story.", "-n", "60", "--temp", "0")["text"]
    word = whole.split()[5]
    value = run_json("-p", "Tell me a story.", "-n", "60", "--temp", "0", "--stop", "never there", "--stop", word)
    check(value["stop"] == "stop" and value["text"] == whole[:whole.index(word)], "stopped at %r" % value["text"])
    streamed = good("run", DEMO, "-p", "Tell me a story.", "-n", "60", "--temp", "0", "--stop", word)
    check(streamed.out.decode().rstrip("\n") == whole[:whole.index(word)].rstrip("\n"), "a stop string leaks", streamed)
    short = run_json("-p", "What is 12 + 30?", "--temp", "0")
    on = run_json("-p", "What is 12 + 30?", "--temp", "0", "--ignore-eos", "-n", len(short["tokens"]) + 5)
    check(short["stop"] == "end" and len(on["tokens"]) == len(short["tokens"]) + 5, "--ignore-eos ended")
    check(on["tokens"][:len(short["tokens"])] == short["tokens"], "--ignore-eos changes what comes before")


@test
def the_context_ends_a_generation():
    value = run_json("-p", "Hello", "--raw", "--ignore-eos", "--ctx", "20", "-n", "all")
    check(value["stop"] == "context" and len(value["tokens"]) + len(value["prompt_tokens"]) == 21,
          "%s after %d" % (value["stop"], len(value["tokens"])))


@test
def a_logit_bias_forbids_and_forces():
    first = run_json("-p", "Hello!", "--temp", "0", "-n", "1")["tokens"][0]
    other = run_json("-p", "Hello!", "--temp", "0", "-n", "1", "--logit-bias", "%d=-inf" % first)["tokens"][0]
    check(other != first, "a forbidden token came")
    forced = run_json("-p", "Hello!", "-n", "3", "--logit-bias", "300=1000")["tokens"]
    check(forced == [300] * 3, "a forced token did not come: %s" % forced)


@test
def kv_formats_and_batches_run():
    texts = {}
    for kv in ("f32", "f16", "q8_0", "q4_0"):
        texts[kv] = run_json("-p", "What is 12 + 30?", "--temp", "0", "-n", "6", "--kv", kv, "--ubatch", "3")["text"]
    check(texts["f32"] == texts["f16"], "f32 and f16 differ: %s" % texts)
    exact = ["--math", "exact", "--deterministic", "--temp", "0", "-n", "20", "-p", "Tell me a story."]
    check(run_json(*exact)["tokens"] == run_json(*exact, "--ubatch", "5")["tokens"], "batches change the tokens")


@test
def the_processor_alone_says_the_same_without_any_driver():
    asked = ["-p", "Tell me a story.", "--temp", "0", "-n", "24", "--math", "exact"]
    without = environment(VK_DRIVER_FILES="/nonexistent", VK_ICD_FILENAMES="/nonexistent")
    cpu = run_json(*asked, "--place", "cpu", env=without)
    check(cpu["tokens"] == run_json(*asked)["tokens"], "other tokens: %s" % cpu)
    check("processor" in cpu["device"] and cpu["memory"]["device_peak_bytes"] == 0, "not on the processor: %s" % cpu)
    check(cpu["memory"]["cpu_layers"] > 0 and cpu["memory"]["cpu_bytes"] > 1000000, "no layers there: %s" % cpu)
    one = run_json(*asked, "--place", "cpu", "--threads", "1", "--ubatch", "4", env=without)
    check(one["tokens"] == cpu["tokens"] and "1 thread)" in one["device"], "threads change the tokens: %s" % one)
    drawn = ["--seed", "5", "--temp", "0.8", "-n", "16", "-p", "Hi", "--place", "cpu"]
    check(run_json(*drawn, env=without)["tokens"] == run_json(*drawn, env=without)["tokens"], "a seed does not hold")
    expect_error(strato("run", DEMO, "-p", "x", "--place", "resident:0,cpu:1", env=without), 4)


@test
def layers_go_elsewhere_for_prompts():
    asked = ["-p", "Tell me a story about a fox who finds a key. " * 4, "--temp", "0", "-n", "12", "--math", "exact"]
    whole = run_json(*asked)
    check(whole["memory"]["phased_layers"] == 0, "phased without a need for it")
    for place, phased, cpu in (("phased", 4, 4), ("resident:0,phased:1-2", 2, 2), ("stream:0,phased:1,cpu:2", 1, 2)):
        got = run_json(*asked, "--place", place)
        m = got["memory"]
        check(got["tokens"] == whole["tokens"], "other tokens with --place %s: %s" % (place, got["tokens"]))
        check((m["phased_layers"], m["cpu_layers"]) == (phased, cpu) and m["phased_bytes"] > 0, "%s: %s" % (place, m))
        told = good("run", DEMO, *asked, "--place", place).err.decode()
        check("streamed for prompts" in told, "nothing is said of %s: %s" % (place, told))
    expect_error(strato("run", DEMO, *asked, "--place", "phases:1"), 2, "phases", "phased")


@test
def without_a_gpu_the_processor_is_the_default():
    kinds = [d["kind"] for d in json.loads(good("devices", "--json").out)]
    asked, own = ["-p", "Tell me a story.", "--temp", "0", "-n", "8"], environment(STRATO_DEVICE=None)
    default = run_json(*asked, env=own)
    on_cpu = "processor" in default["device"] and default["memory"]["device_peak_bytes"] == 0
    check(on_cpu == (set(kinds) == {"cpu"}), "on %s, with devices %s" % (default["device"], kinds))
    check(run_json(*asked, env=environment(STRATO_DEVICE=""))["device"] == default["device"], "an empty name is one")
    for words in (["--device", "0"], ["--device", "best"], ["--vram", "256M"], ["--place", "resident"]):
        check(run_json(*asked, *words, env=own)["memory"]["device_peak_bytes"] > 0, "%s is not on the device" % words)
    expect_error(strato("run", DEMO, "-p", "x", env=environment(STRATO_DEVICE="voodoo")), 4, "voodoo")
    check(run_json(*asked, "--device", "0", env=environment(STRATO_DEVICE="voodoo"))["tokens"], "an option does not win")
    if set(kinds) != {"cpu"}:
        return
    told = good("run", DEMO, *asked, "-v", env=own).err.decode()
    check("--device 0" in told and "all layers on the processor" in told, "nothing is said of it: %s" % told)
    out = path("on-the-processor.jsonl")
    batch = good("run", DEMO, "--batch-file", write("one.txt", b"What is 2 + 2?\n"), "-o", out, "-n", "4", env=own)
    check(b"1 of 1 prompts" in batch.err and os.path.getsize(out) > 0, "a batch does not run there", batch)
    row = json.loads(good("bench", DEMO, "-p", "8", "-n", "0", "-r", "1", "-o", "json", "--no-hash", env=own).out)[0]
    check(row["backends"] == "CPU", "the bench says %s" % row["backends"])


# ---- streaming and stopping ----

@test
def text_streams_before_the_end():
    process = start(*LONG, "-n", "450")
    first = os.read(process.stdout.fileno(), 4096)
    check(len(first) > 0 and process.poll() is None, "the first bytes came with the end")
    second = os.read(process.stdout.fileno(), 4096)
    check(len(second) > 0, "nothing after the first bytes")
    result = finish(process, first + second)
    check(result.code == 0, "exit code", result)
    result.out.decode("utf-8")


@test
def ctrl_c_keeps_what_was_generated():
    whole = good(*LONG, "-n", "450").out
    process = start(*LONG, "-n", "450")
    first = os.read(process.stdout.fileno(), 4096)
    check(process.poll() is None, "too fast to be stopped")
    process.send_signal(signal.SIGINT)
    result = finish(process, first)
    check(result.code == 0, "exit code %d" % result.code, result)
    check(b"ended by cancelled" in result.err and result.err.count(b"\n") == 1, "no summary", result)
    check(result.out.endswith(b"\n") and whole.startswith(result.out[:-1]) and len(result.out) < len(whole),
          "the text is not a beginning of the whole", result)


@test
def ctrl_c_with_json_gives_the_whole_object():
    process = start(*LONG, "-n", "450", "--json", stderr=subprocess.PIPE)
    time.sleep(0.01)  # any moment will do: before, while loading, in the middle
    for _ in range(2000):
        if process.poll() is not None or b"libvulkan" in open("/proc/%d/maps" % process.pid, "rb").read():
            break
        time.sleep(0.005)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    if result.code == 0:
        value = json.loads(result.out)
        check(value["stop"] in ("cancelled", "length"), "stop is %s" % value["stop"], result)
    else:
        check(result.code in (1, -signal.SIGINT), "exit code", result)


@test
def a_second_ctrl_c_ends_the_program_at_once():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ
    os.set_blocking(writer, False)
    filled = os.write(writer, b"x" * 4090)  # all but a few bytes: the program soon waits in a write
    os.set_blocking(writer, True)
    process = start(*LONG, "-n", "450", stdout=writer)
    os.close(writer)
    for _ in range(6000):
        with open("/proc/%d/syscall" % process.pid) as f:
            call = f.read().split()
            if call[:2] in (["1", "0x1"], ["64", "0x1"]):  # write(1, ...) on x86-64, on AArch64
                break
        time.sleep(0.01)
    else:
        check(False, "the program never waited for the pipe")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    check(process.poll() is None, "the first Ctrl-C did not wait for the reader")
    process.send_signal(signal.SIGINT)
    process.wait(300)
    text = os.read(reader, 8192)[filled:]
    os.close(reader)
    process.stderr.close()
    check(process.returncode == 130, "exit code %d" % process.returncode)
    check(text == b"" or text.decode("utf-8"), "no text")


@test
def a_closed_pipe_ends_it_with_an_error():
    reader, writer = os.pipe()
    process = start(*LONG, "-n", "450", stdout=writer)
    os.close(writer)
    check(len(os.read(reader, 5)) > 0, "nothing came")
    os.close(reader)
    result = finish(process)
    check(result.code == 1, "exit code %d" % result.code, result)
    check(result.err.count(b"strato: error: ") == 1 and b"standard output" in result.err, "no error", result)


@test
def a_full_disk_is_an_error():
    for more in ([], ["--json"]):
        with open("/dev/full", "wb") as full:
            result = strato("run", DEMO, "-p", "Hello!", "-n", "4", "-q", *more, stdout=full)
        expect_error(result, 1, "standard output", "No space left")
    for command in (["info", DEMO], ["devices"], ["tokenize", DEMO, "-p", "x"], ["help", "run"], ["--version"]):
        with open("/dev/full", "wb") as full:
            result = strato(*command, stdout=full)
        expect_error(result, 1, "standard output")


# ---- terminals ----

def with_terminal(args, env=None, stdin_too=False):
    """stdout from a pipe, stderr from a terminal."""
    master, slave = pty.openpty()
    process = start(*args, stderr=slave, stdin=slave if stdin_too else subprocess.DEVNULL, env=env)
    os.close(slave)
    seen = []

    def collect():
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                break
            if not data:
                break
            seen.append(data)

    thread = threading.Thread(target=collect)
    thread.start()
    out = process.stdout.read()
    process.wait(300)
    thread.join()
    os.close(master)
    process.stdout.close()
    return Result(process.args[1:], process.returncode, out, b"".join(seen))


@test
def a_progress_bar_is_for_terminals_alone():
    prompt = "Once upon a time there was a little fox. " * 30
    args = ["run", DEMO, "-p", prompt, "--ubatch", "2", "-n", "2", "--temp", "0"]
    terminal = with_terminal(args)
    check(terminal.code == 0 and b"\x1b[K" in terminal.err and b"prompt  [" in terminal.err, "no bar", terminal)
    pipe = good(*args)
    check(b"\x1b" not in pipe.err and b"\r" not in pipe.err, "a bar in a pipe", pipe)
    check(pipe.out == terminal.out, "the text depends on the terminal", terminal)
    quiet = with_terminal(args + ["-q"])
    check(quiet.err == b"", "-q draws", quiet)
    dumb = with_terminal(args, env=environment(TERM="dumb"))
    check(b"\x1b" not in dumb.err, "a bar on a dumb terminal", dumb)


@test
def colour_is_for_terminals_and_can_be_switched_off():
    args = ["run", path("no-such-file.gguf"), "-p", "x"]
    colour = with_terminal(args)
    check(b"\x1b[1;31m" in colour.err and colour.code == 1, "no colour", colour)
    plain = with_terminal(args, env=environment(NO_COLOR="1"))
    check(b"\x1b[" not in plain.err and b"strato: error: " in plain.err, "NO_COLOR has colour", plain)
    check(b"\x1b" not in strato(*args).err, "colour in a pipe")


@test
def a_terminal_without_a_prompt_is_wrong_usage():
    result = with_terminal(["run", DEMO], stdin_too=True)
    check(result.code == 2 and b"no prompt" in result.err, "no error", result)


sys.exit(main())

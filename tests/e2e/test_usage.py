"""Wrong usage (2), no device (4), too little memory (5), and cache folders that cannot be used: said in one line."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import DEMO, check, environment, expect_error, good, main, path, strato, test, write


@test
def every_bad_option_is_wrong_usage_and_is_named():
    bad = [(["--temp", "hot"], "--temp", "hot"), (["--temp", "-1"], "--temp", "-1"), (["--temp", "nan"], "--temp"),
           (["--top-p", "0"], "--top-p"), (["--top-p", "1.5"], "--top-p", "1.5"), (["--min-p", "1"], "--min-p"),
           (["--top-k", "-3"], "--top-k", "-3"), (["-n", "0"], "-n", "0"), (["-n", "many"], "-n", "many"),
           (["-n", "99999999999"], "-n", "99999999999"), (["--ctx", "0"], "--ctx"), (["--ctx", "1e3"], "--ctx"),
           (["--ubatch", "0"], "--ubatch"), (["--ubatch", "65537"], "--ubatch", "65537"),
           (["--kv", "q2"], "--kv", "q2"),
           (["--math", "fast"], "--math", "fast"), (["--vram", "lots"], "--vram", "lots"), (["--vram", "0"], "--vram"),
           (["--seed", "x"], "--seed"), (["--repeat-penalty", "0"], "--repeat-penalty"),
           (["--logit-bias", "5"], "--logit-bias"), (["--logit-bias", "x=1"], "--logit-bias"),
           (["--stop", ""], "--stop"), (["--mirostat", "1"], "--mirostat"), (["--no-such-option"], "--no-such-option"),
           (["-Z"], "-Z"), (["--temp"], "--temp"), (["-n"], "-n"), (["--xtc-threshold", "0.9"], "--xtc-threshold"),
           (["--batch-file", "x"], "--batch-file"), (["second.gguf"], "second.gguf")]
    for args, *parts in bad:
        expect_error(strato("run", DEMO, "-p", "x", *args), 2, *parts)
    expect_error(strato("run", ""), 2, "MODEL")
    expect_error(strato("run", DEMO, "-p", "x", "--logit-bias", "999999=1"), 2, "999999")
    expect_error(strato("run", DEMO, "-p", "x", "--dry-multiplier", "1", "--dry-breaker", "no such token"), 2,
                 "no such token")


@test
def commands_that_are_not_there_are_named():
    for args, part in ((["rnu"], "run"), (["frobnicate"], "frobnicate"), (["serve"], "serve"),
                       (["--nonsense"], "--nonsense")):
        result = strato(*args)
        check(result.code == 2 and part in result.err.decode(), "exit code or text", result)
    for args in ([], ["--help"], ["help"], ["help", "run"], ["run", "--help"], ["--version"]):
        result = good(*args)
        check(len(result.out) > 6 and result.err == b"", "help", result)


@test
def other_commands_check_their_arguments():
    expect_error(strato("logits", DEMO), 2, "--tokens")
    expect_error(strato("logits", DEMO, "--tokens", "1,2", ), 2, "-o")
    for tokens in ("", "a", "1,,2", "1,-2", "99999999999"):
        expect_error(strato("logits", DEMO, "--tokens", tokens, "-o", path("x.f32")), 2, "--tokens")
    expect_error(strato("logits", DEMO, "--tokens", "1,999999", "-o", path("x.f32")), 2, "999999")
    expect_error(strato("logits", DEMO, "--tokens", ",".join(["1"] * 600), "-o", path("x.f32")), 2, "600", "512")
    expect_error(strato("logits", DEMO, "--tokens", "1", "-o", path("no", "such", "folder")), 1,
                 path("no", "such", "folder"))
    expect_error(strato("logits", DEMO, "--tokens", "1,2,3", "-o", "/dev/full"), 1, "/dev/full")
    expect_error(strato("ppl", DEMO, "-f", write("short.txt", b"")), 2, "tokens long")
    expect_error(strato("ppl", DEMO, "-f", write("text.txt", b"one two three"), "--ctx", "1"), 2, "--ctx")
    expect_error(strato("ppl", DEMO, "-f", path("missing.txt")), 1, path("missing.txt"))
    expect_error(strato("run", DEMO, "-f", path("missing.txt")), 1, path("missing.txt"))
    expect_error(strato("run", DEMO, "-f", "/"), 1, "directory")


@test
def without_a_driver_there_is_no_device():
    nowhere = environment(VK_DRIVER_FILES="/nonexistent/icd.json", VK_ICD_FILENAMES="/nonexistent/icd.json",
                          VK_LOADER_DEBUG=None)
    for args in (["run", DEMO, "-p", "x"], ["devices"], ["logits", DEMO, "--tokens", "1", "-o", path("x")],
                 ["verify", "--kernel", "probe"], ["ppl", DEMO, "-f", write("text.txt", b"one two three")]):
        expect_error(strato(*args, env=nowhere), 4, "Vulkan")
    good("info", DEMO, env=nowhere)
    good("tokenize", DEMO, "-p", "Hello", env=nowhere)
    missing = strato("run", path("missing.gguf"), "-p", "x", env=nowhere)
    expect_error(missing, 1, "missing.gguf")  # the file is looked at first


@test
def a_device_that_is_not_there_is_named():
    for name in ("77", "Voodoo Banshee"):
        result = strato("run", DEMO, "-p", "x", "--device", name)
        check(result.code in (2, 4), "exit code", result)
        expect_error(result, result.code, name)
    listed = json.loads(good("devices", "--json").out)
    check(len(json.dumps(listed)) > 100, "devices --json says little")
    check(good("devices").out.startswith(b"device 0: "), "devices")
    good("run", DEMO, "-p", "x", "-n", "1", "--device", "0")


@test
def too_little_memory_says_what_is_needed():
    for size in ("1M", "1", "3000000"):
        expect_error(strato("run", DEMO, "-p", "x", "--vram", size), 5, DEMO, "weights", "available")
    good("run", DEMO, "-p", "x", "-n", "1", "--vram", "1G")


def works_without_cache(cache, env=None):
    result = strato("run", DEMO, "-p", "Hello!", "--temp", "0", "-n", "4", env=env or environment(XDG_CACHE_HOME=cache))
    check(result.code == 0 and len(result.out) > 1, "does not run without its cache", result)
    errors = [line for line in result.err.decode().split("\n") if line.startswith("strato: ")]
    check(all(line.startswith("strato: warning: ") for line in errors) and len(errors) <= 2, "more than a warning",
          result)
    return errors


@test
def a_cache_that_cannot_be_used_is_a_warning():
    write("a-file", b"")
    warned = works_without_cache(path("a-file"))
    check(len(warned) >= 1, "no warning of a file in place of a folder")
    check(len(works_without_cache("/proc/nowhere")) >= 1, "no warning of a folder that cannot be made")
    works_without_cache(None, environment(XDG_CACHE_HOME=None, HOME=None))
    works_without_cache("relative/folder")


@test
def a_damaged_cache_is_made_again():
    cache = path("damaged")
    first = good("run", DEMO, "-p", "Hello!", "--temp", "0", "-n", "4", env=environment(XDG_CACHE_HOME=cache))
    files = [os.path.join(d, f) for d, _, names in os.walk(os.path.join(cache, "strato")) for f in names]
    check(files != [], "nothing was cached")
    for damage in (b"", b"garbage", None):
        for name in files:
            if damage is None:
                data = bytearray(open(name, "rb").read())
                data[len(data) // 2] ^= 0xff
            else:
                data = damage
            with open(name, "wb") as f:
                f.write(data)
        again = strato("run", DEMO, "-p", "Hello!", "--temp", "0", "-n", "4", env=environment(XDG_CACHE_HOME=cache))
        check(again.code == 0 and again.out == first.out, "a damaged cache changes the answer", again)


@test
def a_full_disk_under_the_cache_is_a_warning():
    small = path("small")
    os.mkdir(small)
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "none", small], stderr=subprocess.DEVNULL).returncode == 0
    if not mounted:  # no tmpfs for this user: a limit on the size of files does the same
        command = ["sh", "-c", 'ulimit -f 0; trap "" XFSZ; exec "$0" "$@"', os.environ["STRATO_BINARY"]]
        done = subprocess.run(command + ["run", DEMO, "-p", "x", "-n", "1"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=environment(XDG_CACHE_HOME=small))
        check(done.returncode == 0, "exit code %d: %r" % (done.returncode, done.stderr))
        return
    try:
        works_without_cache(small)
        left = [f for _, _, names in os.walk(small) for f in names]
        check(all("tmp" not in f for f in left), "half a file was left: %s" % left)
    finally:
        subprocess.run(["umount", small])


@test
def figures_of_a_simulation_are_checked():
    expect_error(strato("run", DEMO, "-p", "x", "--sim", "vram=3"), 2, "--sim", "'link'")
    expect_error(strato("run", DEMO, "-p", "x", "--sim", "nowhere.txt"), 1, "--sim", "nowhere.txt")


sys.exit(main())

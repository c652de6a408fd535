"""What the program finds out about a device: the self-test at first use, tune, and what devices says of both."""
import glob
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import DEMO, check, environment, expect_error, good, main, path, strato, test

RUN = ("run", DEMO, "-p", "Hello!", "--temp", "0", "-n", "4")


def cache(name):
    return environment(XDG_CACHE_HOME=path(name))


def findings_of(env):
    """`strato devices --json` of the device that is used, and the file it comes from."""
    device = next(d for d in json.loads(good("devices", "--json", env=env).out) if d["best"])
    return device, glob.glob(os.path.join(env["XDG_CACHE_HOME"], "strato", "findings-*.txt"))


def run_until_tested(env):
    """Starts the program until a start has nothing left to test: on a slow machine, several times."""
    before = None
    for _ in range(30):
        result = good(*RUN, env=env)
        after = findings_of(env)[0]["findings"]["kernels"]
        if after == before:
            return result
        before = after
    check(False, "30 starts, and there is still something to test")


def edit(file, change):
    with open(file, encoding="utf-8") as f:
        lines = f.read().split("\n")
    with open(file, "w", encoding="utf-8") as f:
        f.write("\n".join(change(lines)))


@test
def kernels_are_tested_when_a_model_first_uses_the_device():
    env = cache("first")
    device, files = findings_of(env)
    check(files == [] and device["findings"]["tested_at"] is None, "tested before any model came")
    check("not yet" in good("devices", env=env).out.decode(), "devices does not say that nothing was tested")
    good(*RUN, env=env)
    device, files = findings_of(env)
    check(len(files) == 1 and device["findings"]["tested_at"] > 1700000000, "not tested")
    kernels = device["findings"]["kernels"]
    check("step_begin" in kernels and all(k["verdict"] == "right" and k["set_aside"] is None for k in kernels.values()),
          "a kernel is not right: %s" % kernels)
    check("answered rightly" in good("devices", env=env).out.decode(), "devices does not say what was tested")


@test
def no_self_test_leaves_no_trace():
    env = cache("without")
    good(*RUN, "--no-self-test", env=env)
    check(findings_of(env)[1] == [], "a file of findings, without a self-test")


@test
def what_was_found_is_heeded():
    env = cache("heeded")
    first = run_until_tested(env)
    device, (file,) = findings_of(env)
    chosen = device["plan"]["formats"]["Q8_0"]["matvec"]
    edit(file, lambda lines: [line.replace(" right ", " wrong ") + " it was seen to be wrong"
                              if line.startswith("kernel %s " % chosen) else line for line in lines])
    again = good(*RUN, env=env)
    check(again.out == first.out, "another answer without %s" % chosen, again)
    device, _ = findings_of(env)
    check(device["plan"]["formats"]["Q8_0"]["matvec"] not in (None, chosen), "%s is still in use" % chosen)
    check(device["findings"]["kernels"][chosen]["set_aside"] == "wrong", "not set aside")
    text = good("devices", env=env).out.decode()
    check("%s answers wrongly" % chosen in text and "it was seen to be wrong" in text, "devices does not say it")
    good("verify", "--kernel", "step_begin", env=env)  # verify checks all, whatever was found out

    edit(file, lambda lines: [line.replace(" right ", " wrong ") if line.startswith("kernel rmsnorm ") else line
                              for line in lines])
    expect_error(strato(*RUN, env=env), 4, "rmsnorm", "nothing can take its place")
    good(*RUN, "--no-self-test", env=env)
    check("forgotten" in good("tune", "--reset", env=env).out.decode(), "reset says nothing")
    check(findings_of(env)[0]["findings"]["tested_at"] is None, "not forgotten")
    check(good(*RUN, env=env).out == first.out, "another answer after reset")


@test
def a_stale_or_damaged_file_is_one_warning():
    env = cache("stale")
    first = good(*RUN, env=env)
    _, (file,) = findings_of(env)
    with open(file, "rb") as f:
        data = f.read()
    for damaged in (data[:26] + b"0000" + data[30:], data[:len(data) // 2], b"x" * (1 << 20)):
        with open(file, "wb") as f:
            f.write(damaged)
        listed = strato("devices", env=env)
        check(listed.code == 0 and listed.err.startswith(b"strato: warning: ") and listed.err.count(b"\n") == 1 and
              file.encode() in listed.err, "devices: not one warning", listed)
        again = strato(*RUN, env=env)
        check(again.code == 0 and again.out == first.out and again.err.count(b"strato: warning: ") == 1,
              "run: not one warning, or another answer", again)
        check(b"warning" not in good(*RUN, env=env).err, "it is not made anew")


@test
def tune_checks_its_arguments():
    env = cache("arguments")
    expect_error(strato("tune", "--kernel", "no_such_kernel", "--json", env=env), 2, "no_such_kernel")
    expect_error(strato("tune", "--race", "0", env=env), 2, "--race")
    expect_error(strato("tune", "model.gguf", env=env), 2, "model.gguf")
    expect_error(strato("tune", "--device", "77", "--json", env=env), 4, "77")
    expect_error(strato("tune", "--device", "77", "--reset", env=env), 4, "77")
    nowhere = environment(XDG_CACHE_HOME=None, HOME=None)
    expect_error(strato("tune", "--reset", env=nowhere), 1, "cache folder")
    expect_error(strato("tune", "--json", env=nowhere), 1, "cache folder")
    reset = json.loads(good("tune", "--reset", "--json", env=env).out)
    check(reset["reset"] is True, "reset --json")
    check(b"--reset" in good("help", "tune").out, "help")



sys.exit(main())

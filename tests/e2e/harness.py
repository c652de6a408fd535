"""Runs tests and the program: every test is a function decorated with @test, every test_*.py ends with main().

A line per test in cmocka's form, so that scripts/count-tests counts them. The program gets an environment of its own:
a cache folder below the temporary one, no colour, no debugging variables, and Vulkan even where only the processor has a
driver for it.
"""
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
import traceback

BINARY = os.environ.get("STRATO_BINARY", "")
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEMO = os.path.join(TOP, "models", "demo", "demo.gguf")
REFERENCE = os.environ.get("STRATO_REFERENCE", "")
TIMEOUT = 300  # seconds after which a run counts as hanging, on the slowest machine and with sanitizers

_tests = []
_folder = None


class Skip(Exception):
    pass


def test(function):
    _tests.append(function)
    return function


def skip(why):
    raise Skip(why)


def folder():
    return _folder


def path(*names):
    """A path in the program's temporary folder."""
    return os.path.join(_folder, *names)


def write(name, data):
    with open(path(name), "wb") as f:
        f.write(data)
    return path(name)


def reference(*names):
    """A file of the reference data; the test is skipped where it is absent."""
    found = os.path.join(REFERENCE, *names)
    if REFERENCE == "" or not os.path.exists(found):
        skip("no %s" % os.path.join(*names))
    return found


def environment(**changes):
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    env["XDG_CACHE_HOME"] = path("cache")
    env["TERM"] = "xterm"
    env.setdefault("STRATO_DEVICE", "best")
    for key, value in changes.items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value
    return env


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __repr__(self):
        return "strato %s\n  exit code %s\n  stdout %r\n  stderr %r" % (
            " ".join(repr(a) for a in self.args), self.code, self.out[-400:], self.err[-1500:])


def check(condition, what, result=None):
    if not condition:
        raise AssertionError("%s%s" % (what, "\n" + repr(result) if result is not None else ""))


def check_clean(result):
    """No crash and no sanitizer's report, whatever else a test expects."""
    check(result.code >= 0, "ended by signal %d" % -result.code, result)
    for mark in (b"Sanitizer", b"runtime error:", b"Assertion"):
        check(mark not in result.err, "a report on stderr", result)


def strato(*args, input=b"", env=None, timeout=TIMEOUT, stdout=subprocess.PIPE, cwd=None):
    """Runs the program to its end. input None: stdin is closed at once."""
    args = [a if isinstance(a, bytes) else str(a) for a in args]
    done = subprocess.run([BINARY] + args, input=input, stdout=stdout, stderr=subprocess.PIPE, timeout=timeout,
                          env=env or environment(), cwd=cwd)
    result = Result(args, done.returncode, done.stdout or b"", done.stderr)
    check_clean(result)
    return result


def good(*args, **more):
    result = strato(*args, **more)
    check(result.code == 0, "exit code %d" % result.code, result)
    return result


def expect_error(result, code, *parts):
    """One line on stderr, which begins as errors do and holds every part; nothing on stdout."""
    lines = result.err.decode("utf-8").split("\n")
    errors = [line for line in lines if line.startswith("strato: error: ")]
    check(result.code == code, "exit code %d, expected %d" % (result.code, code), result)
    check(len(errors) == 1, "%d error lines" % len(errors), result)
    check(lines == [errors[0], ""], "more than the error", result)
    check(result.out == b"", "output beside the error", result)
    for part in parts:
        check(str(part) in errors[0], "the error does not say '%s'" % part, result)


def in_parallel(function, items, workers=2):
    """All results, in order; the first exception is raised."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))


def main():
    global _folder
    if BINARY == "" or not os.path.exists(BINARY):
        print("STRATO_BINARY does not name the program")
        return 1
    wanted = sys.argv[1:]
    failed = 0
    _folder = tempfile.mkdtemp(prefix="strato-e2e-")
    try:
        for t in _tests:
            name = t.__name__
            if wanted and not any(w in name for w in wanted):
                continue
            print("[ RUN      ] %s" % name, flush=True)
            try:
                t()
                print("[       OK ] %s" % name, flush=True)
            except Skip as why:
                print("%s: %s" % (name, why))
                print("[  SKIPPED ] %s" % name, flush=True)
            except Exception as e:  # an AssertionError, or a mistake in a test: both are failures
                if isinstance(e, AssertionError):
                    where = traceback.extract_tb(e.__traceback__)
                    print("%s:%d: %s" % (name, next(f.lineno for f in where if f.name == name or f is where[-1]), e))
                else:
                    traceback.print_exc(file=sys.stdout)
                print("[  FAILED  ] %s" % name, flush=True)
                failed += 1
    finally:
        shutil.rmtree(_folder, ignore_errors=True)
    return 1 if failed else 0

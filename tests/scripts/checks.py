"""Runs the functions of a test script and prints a line per test in cmocka's form, which scripts/count-tests adds up."""
import os
import subprocess
import sys
import traceback


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


def command(*words, cwd=None, env=None, code=0, timeout=900):
    """Runs a program. Its exit code must be `code` (None: any). Returns the finished process, with texts."""
    words = [str(w) for w in words]
    done = subprocess.run(words, cwd=cwd, env=env and {**os.environ, **env}, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{' '.join(words)}: exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
    return done


def run(*tests):
    """Runs the tests in order and ends the program: 0 when none failed."""
    failed = 0
    for test in tests:
        print(f"[ RUN      ] {test.__name__}", flush=True)
        try:
            test()
            result = "       OK "
        except Skip as why:
            print(why)
            result = "  SKIPPED "
        except Exception:
            traceback.print_exc(file=sys.stdout)
            result = "  FAILED  "
            failed += 1
        print(f"[{result}] {test.__name__}", flush=True)
    sys.exit(failed > 0)

#!/usr/bin/env python3
"""strato verify on the first device, as one test; skipped where there is no device (exit code 4).

usage: verify_kernels.py STRATO
"""
import sys

from checks import Skip, command, run


def every_kernel_agrees_with_its_reference():
    done = command(sys.argv[1], "verify", code=None)
    print(done.stdout, done.stderr, sep="")
    if done.returncode == 4:
        raise Skip(done.stderr.strip())
    assert done.returncode == 0, f"exit code {done.returncode}"


run(every_kernel_agrees_with_its_reference)

#!/usr/bin/env python3
"""scripts/count-tests on ctest logs as ctest 3.25 writes them: every way in which a test program can end.

usage: test_count_tests.py SOURCE_DIR
"""
import sys
import tempfile
from pathlib import Path

from checks import command, run

TOP = Path(sys.argv[1])


def program(output, passed, found=True):
    """A test program's part of the log."""
    return (("" if found else "Unable to find executable: /nowhere\n")
            + "1/9 Testing: name\n1/9 Test: name\nCommand: " + ('"/build/name" "0"' if found else '""') + "\n"
            "Directory: /build\n\"name\" start time: Nov 23 15:56 UTC\nOutput:\n" + 58 * "-" + "\n"
            + output + "<end of output>\nTest time =   0.01 sec\n" + 58 * "-" + "\n"
            + ("Test Passed.\n" if passed else "Test Failed.\n")
            + '"name" end time: Nov 23 15:56 UTC\n"name" time elapsed: 00:00:00\n' + 58 * "-" + "\n\n")


def began(name):
    return f"[ RUN      ] {name}\n"


def ok(name):
    return f"{began(name)}[       OK ] {name}\n"


def skipped(name):
    return f"{began(name)}[  SKIPPED ] {name}\n"


def failed(name):
    return f"{began(name)}ERROR: because\n[  FAILED  ] {name}\n"


def group(results, summary=""):
    return f"[==========] Running 3 test(s).\n{results}[==========] 3 test(s) run.\n[  PASSED  ] 1 test(s).\n{summary}"


def count(*logs):
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for i, log in enumerate(logs):
            files.append(Path(folder) / f"{i}.log")
            files[-1].write_text("Start testing: Nov 23 15:56 UTC\n" + 58 * "-" + "\n" + log, encoding="utf-8")
        done = command(TOP / "scripts/count-tests", *files, code=None)
        return done.stdout.splitlines()[-1], done.returncode


def expect(got, line, code):
    assert got == (line, code), f"got {got}"


def results_are_counted_once():
    summary = "[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] c\n\n 1 SKIPPED TEST(S)\n"
    expect(count(program(group(ok("a") + ok("b") + skipped("c"), summary), True)), "2 passed, 0 failed, 1 skipped", 0)
    summary = "[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] b\n\n 1 FAILED TEST(S)\n"
    expect(count(program(group(ok("a") + failed("b") + ok("c"), summary), False)), "2 passed, 1 failed, 0 skipped", 1)


def the_same_name_counts_in_every_group_and_log():
    twice = program(group(ok("a") + failed("b")) + group(ok("a") + failed("b")), False)
    expect(count(twice), "2 passed, 2 failed, 0 skipped", 1)
    expect(count(twice, twice), "4 passed, 4 failed, 0 skipped", 1)


def python_programs_have_no_summary():
    expect(count(program("[       OK ] a\n[       OK ] b\n", True)), "2 passed, 0 failed, 0 skipped", 0)
    expect(count(program("[       OK ] a\n[  FAILED  ] b\n", False)), "1 passed, 1 failed, 0 skipped", 1)


def a_crash_or_a_time_limit_is_a_failure():
    begun = "[==========] Running 3 test(s).\n"
    expect(count(program(begun + ok("a") + began("b"), False)), "1 passed, 1 failed, 0 skipped", 1)
    expect(count(program(begun + failed("a") + began("b"), False)), "0 passed, 2 failed, 0 skipped", 1)
    expect(count(program(begun, False)), "0 passed, 1 failed, 0 skipped", 1)


def a_failing_group_is_a_failure_though_the_program_exits_with_0():
    teardown = "[  FAILED  ] GROUP TEARDOWN\n[  ERROR   ] tests\n"
    expect(count(program(group(ok("a") + teardown), True)), "1 passed, 1 failed, 0 skipped", 1)


def a_program_that_fails_after_its_tests_is_a_failure():
    expect(count(program(group(ok("a")) + "==7==ERROR: LeakSanitizer: detected memory leaks\n", False)),
           "1 passed, 1 failed, 0 skipped", 1)


def a_program_that_was_not_run_is_a_failure():
    expect(count(program("", True, found=False)), "0 passed, 1 failed, 0 skipped", 1)


def a_program_without_lines_is_one_test():
    expect(count(program("hello\n", True)), "1 passed, 0 failed, 0 skipped", 0)
    expect(count(program("hello\n", False)), "0 passed, 1 failed, 0 skipped", 1)


def a_log_that_ends_early_is_a_failure():
    cut = program(ok("a") + began("b"), True).split("<end of output>")[0]
    whole = program(ok("a"), True)
    expect(count(cut), "1 passed, 1 failed, 0 skipped", 1)
    expect(count(cut, whole), "2 passed, 1 failed, 0 skipped", 1)


def nothing_passed_is_a_failure():
    expect(count(""), "0 passed, 0 failed, 0 skipped", 1)
    expect(count(program(skipped("a"), True)), "0 passed, 0 failed, 1 skipped", 1)


def text_of_a_test_is_not_taken_for_ctests_own():
    expect(count(program(began("a") + "Test Failed.\n2/9 Testing: x\nprogress 50%[       OK ] a\n", True)),
           "1 passed, 0 failed, 0 skipped", 0)


run(results_are_counted_once, the_same_name_counts_in_every_group_and_log, python_programs_have_no_summary,
    a_crash_or_a_time_limit_is_a_failure, a_failing_group_is_a_failure_though_the_program_exits_with_0,
    a_program_that_fails_after_its_tests_is_a_failure, a_program_that_was_not_run_is_a_failure,
    a_program_without_lines_is_one_test, a_log_that_ends_early_is_a_failure, nothing_passed_is_a_failure,
    text_of_a_test_is_not_taken_for_ctests_own)

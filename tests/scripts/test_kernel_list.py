#!/usr/bin/env python3
"""cmake/Kernels.cmake on made-up lists of kernels: what a compiler without cooperative matrix leaves out and says, and
what is wrong with a line.

usage: test_kernel_list.py SOURCE_DIR CMAKE GLSLANG
"""
import shutil
import sys
import tempfile
from pathlib import Path

from checks import command, run

TOP, CMAKE, GLSLANG = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
PROJECT = """cmake_minimum_required(VERSION 3.25)
project(made_up LANGUAGES C)
set(GLSLANG {glslang})
set(STRATO_GLSL_COOPMAT {coopmat})
include(cmake/Kernels.cmake)
"""


def configure(lines, coopmat, code):
    """Configures a project with this list. Returns what CMake printed, on one line, and kernel_list.h."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        (top / "shaders/shared").mkdir(parents=True)
        (top / "shaders/shared/args.h").touch()
        (top / "shaders/empty.comp").write_text("#version 460\nvoid main() {}\n", encoding="utf-8")
        (top / "shaders/kernels.txt").write_text("# a comment\n" + lines, encoding="utf-8")
        shutil.copytree(TOP / "cmake", top / "cmake")
        (top / "CMakeLists.txt").write_text(PROJECT.format(glslang=GLSLANG, coopmat=coopmat), encoding="utf-8")
        done = command(CMAKE, "-S", top, "-B", top / "build", code=code)
        header = top / "build/generated/kernel_list.h"
        return " ".join((done.stdout + done.stderr).split()), header.read_text(encoding="utf-8") if header.exists() else ""


TWO = "plain empty.comp - - -\ntiles empty.comp Q4_K - f16,coopmat SIZE=16\nwhole empty.comp - - coopmat_i8_k16\n"


def an_old_compiler_leaves_out_what_needs_cooperative_matrix_and_says_so():
    text, header = configure(TWO, "FALSE", 0)
    assert "strato: left out, because the shader compiler is too old for cooperative matrix: tiles whole" in text, text
    assert 'X(plain, "empty.comp", COUNT, 0, STO_NEEDS_NONE, 1)' in header, header
    assert 'X(tiles, "empty.comp", Q4_K, 0, STO_NEEDS_NONE | STO_NEEDS_F16 | STO_NEEDS_COOPMAT, 0)' in header, header
    assert 'X(whole, "empty.comp", COUNT, 0, STO_NEEDS_NONE | STO_NEEDS_COOPMAT_I8_K16, 0)' in header, header


def a_new_compiler_leaves_out_nothing_and_says_nothing():
    text, header = configure(TWO, "TRUE", 0)
    assert "left out" not in text, text
    assert "STO_NEEDS_COOPMAT, 1)" in header, header


def an_old_compiler_says_nothing_when_no_kernel_needs_it():
    text, _ = configure("plain empty.comp - - -\n", "FALSE", 0)
    assert "left out" not in text, text


def a_wrong_line_names_the_kernel_and_the_word():
    for line, message in (
            ("plain empty.comp - -\n", "a line has 4 of 5 columns"),
            ("Plain empty.comp - - -\n", "'Plain' is not a kernel's name"),
            ("plain empty.comp - - -\nplain empty.comp - - -\n", "there are two kernels called plain"),
            ("plain nowhere.comp - - -\n", "plain: there is no shaders/nowhere.comp"),
            ("plain empty.comp Q9_9 - -\n", "plain: there is no weight format 'Q9_9'"),
            ("plain empty.comp - - f16,rays\n", "plain: needs 'rays', which is not one of"),
            ("plain empty.comp - - - SIZE\n", "plain: 'SIZE' is not NAME=VALUE")):
        text, _ = configure(line, "TRUE", 1)
        assert message in text, f"{message!r} is not in: {text}"


run(an_old_compiler_leaves_out_what_needs_cooperative_matrix_and_says_so,
    a_new_compiler_leaves_out_nothing_and_says_nothing, an_old_compiler_says_nothing_when_no_kernel_needs_it,
    a_wrong_line_names_the_kernel_and_the_word)

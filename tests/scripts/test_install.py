#!/usr/bin/env python3
"""cmake --install, and a program built against what it installs: with pkg-config, nothing of the source tree in reach.

usage: test_install.py SOURCE_DIR BUILD_DIR CMAKE
"""
import os
import shutil
import sys
import tempfile
from pathlib import Path

from checks import Skip, command, run

TOP, BUILD, CMAKE = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
HEADERS = ("strato.h", "generate.h", "conversation.h", "batch.h", "sampler.h")
WARNINGS = ("-Wall", "-Wextra", "-pedantic", "-Werror")
folder = tempfile.TemporaryDirectory()
work = Path(folder.name)
prefix = work / "prefix"
example = work / "generate"


def flags(*words):
    """What pkg-config says of the installed library; nothing else is looked at for strato.pc."""
    (pc,) = prefix.rglob("strato.pc")
    return command("pkg-config", *words, "strato", env={"PKG_CONFIG_PATH": str(pc.parent)}).stdout.split()


def everything_is_installed():
    command(CMAKE, "--install", BUILD, "--prefix", prefix)
    for name in ("bin/strato", "share/strato/demo.gguf", "share/strato/draft.gguf", *(f"include/strato/{h}" for h in HEADERS)):
        assert (prefix / name).is_file(), f"{name} was not installed"
    assert list(prefix.rglob("libstrato.*")) and list(prefix.rglob("LICENSE")), "libstrato or LICENSE was not installed"
    for header in HEADERS:
        text = (prefix / "include/strato" / header).read_text(encoding="utf-8")
        assert '#include "' not in text, f"{header} includes a file of the source tree"


def headers_compile_alone_as_c_and_as_cpp():
    cpp = shutil.which("c++")
    if cpp is None:
        raise Skip("there is no C++ compiler")
    for header in HEADERS:
        for compiler, language, standard in (("cc", "c", "c17"), (cpp, "c++", "c++17")):
            source = work / f"alone.{'c' if language == 'c' else 'cc'}"
            source.write_text(f"#include <strato/{header}>\nint main() {{ return 0; }}\n".replace(
                "main()", "main(void)" if language == "c" else "main()"), encoding="utf-8")
            command(compiler, f"-std={standard}", *WARNINGS, "-fsyntax-only", *flags("--cflags"), source)


def the_example_is_short_and_builds():
    source = TOP / "examples/generate.c"
    assert len(source.read_text(encoding="utf-8").splitlines()) < 60, "examples/generate.c has 60 lines or more"
    static = () if list(prefix.rglob("libstrato.so")) else ("--static",)
    command("cc", "-std=c17", *WARNINGS, shutil.copy(source, work), "-o", example, *flags("--cflags", "--libs", *static))


def run_example(*arguments, code):
    """The example in an empty folder. Its text, and what it says on stderr."""
    (lib,) = {p.parent for p in prefix.rglob("libstrato.*")}
    done = command(example, *arguments, cwd=work, env={"LD_LIBRARY_PATH": str(lib), "XDG_CACHE_HOME": str(work)}, code=code)
    return done.stdout, done.stderr


def the_example_writes_text():
    out, err = run_example(prefix / "share/strato/demo.gguf", "What is the opposite of hot?", code=0)
    assert err == "", err
    assert any(c.isalpha() for c in out) and "\ufffd" not in out, f"not text: {out!r}"


def the_example_reports_errors_in_one_line_and_its_exit_code():
    damaged = work / "damaged.gguf"
    damaged.write_bytes(b"no model at all, " * 10)
    for arguments, code, word in (((work / "nowhere.gguf", "hello"), 1, "nowhere.gguf"), ((damaged, "hello"), 3, "damaged.gguf"),
                                  ((), 2, "usage")):
        out, err = run_example(*arguments, code=code)
        assert out == "" and err.count("\n") == 1 and word in err, f"{arguments}: {out!r} {err!r}"


def the_installed_program_runs():
    version = command(prefix / "bin/strato", "--version", cwd=work).stdout
    assert version.startswith("strato "), version
    text = command(prefix / "bin/strato", "run", "-q", "-n", "20", "-p", "What is the opposite of hot?", cwd=work,
                   env={"XDG_CACHE_HOME": str(work)}).stdout
    assert any(c.isalpha() for c in text), f"the installed program does not find its demo model: {text!r}"


os.chdir(work)
run(everything_is_installed, headers_compile_alone_as_c_and_as_cpp, the_example_is_short_and_builds,
    the_example_writes_text, the_example_reports_errors_in_one_line_and_its_exit_code, the_installed_program_runs)

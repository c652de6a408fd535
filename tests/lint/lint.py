#!/usr/bin/env python3
"""Rules that a compiler does not check: where includes may point, which functions are banned, how long a file may be.

usage: lint.py SOURCE_DIR        prints one line per rule in cmocka's form; exit 1 when a rule is broken
"""
import re
import sys
from pathlib import Path

TOP = Path(sys.argv[1]).resolve()
SOURCES = [p for d in ("runtime", "models", "host", "tests", "bench", "examples") for p in sorted((TOP / d).rglob("*.[ch]"))]
SHADERS = [p for p in sorted((TOP / "shaders").rglob("*")) if p.suffix in (".comp", ".glsl", ".h")]

# An include only ever points left: shaders/shared <- runtime <- models <- host.
MAY_INCLUDE = {
    "runtime": {"runtime", "shaders"},
    "models": {"runtime", "shaders", "models"},
    "host": {"runtime", "shaders", "models", "host"},
}
# Tables that a script writes: they may be as long as they need to be.
GENERATED = {"host/unicode_data.c"}
# What overflows, what hides errors, what goes round runtime/base.
BANNED = {
    r"\b(strcpy|sprintf|vsprintf|gets|atol|atof|alloca|rand|srand)\s*\(": (),
    r"\b(strcat|strtok|atoi|system)\s*\(": ("tests/",),
    r"\b(malloc|calloc|realloc|free|strdup)\s*\(": ("runtime/base/", "tests/", "examples/"),
    r"\b(fopen|open|mmap|pthread_\w+|nanosleep|usleep|fork|CreateFile\w*)\s*\(":
        ("runtime/base/", "tests/", "examples/"),
    r"\bgetenv\s*\(": ("runtime/base/", "host/cli/term.c", "host/cli/options.c", "tests/"),
    r"\b(abort|exit|_Exit|signal|sigaction)\s*\(": ("runtime/base/", "host/cli/", "tests/", "examples/"),
    r"\b(printf|puts|putchar|fprintf|perror)\s*\(": ("host/cli/", "tests/", "bench/", "examples/"),
    r"^\s*typedef\s+(struct|enum|union)\b[^(]*$": ("runtime/base/os_",),
}


def relative(path):
    return path.relative_to(TOP).as_posix()


def code(path):
    """The file's lines with comments and the insides of strings blanked out."""
    text = path.read_text(encoding="utf-8")
    blank = lambda m: re.sub(r"[^\n]", " ", m.group(0))
    text = re.sub(r"/\*.*?\*/|//[^\n]*", blank, text, flags=re.S)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text).split("\n")


def includes_point_left():
    for path in SOURCES:
        layer = relative(path).split("/")[0]
        for i, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            m = re.match(r'\s*#\s*include\s+"([^"/]+)/', line)
            if m and layer in MAY_INCLUDE and m.group(1) not in MAY_INCLUDE[layer]:
                yield f"{relative(path)}:{i}: {layer}/ includes {m.group(1)}/"


def only_vk_includes_vulkan():
    for path in SOURCES:
        if not relative(path).startswith("runtime/vk/"):
            for i, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
                if re.match(r"\s*#\s*include\s*[<\"](volk|vulkan)", line):
                    yield f"{relative(path)}:{i}: only runtime/vk may include Vulkan"


def no_banned_functions():
    for path in SOURCES:
        name = relative(path)
        lines = code(path)
        for pattern, allowed in BANNED.items():
            if any(name.startswith(a) for a in allowed):
                continue
            for i, line in enumerate(lines, 1):
                m = re.search(pattern, line)
                if m:
                    yield f"{name}:{i}: {m.group(0).strip()}"


def files_are_one_noun():
    for path in SOURCES + SHADERS:
        n = len(path.read_text(encoding="utf-8").split("\n"))
        if n > 801 and relative(path) not in GENERATED:
            yield f"{relative(path)}: {n} lines, at most 800"


def lines_fit():
    for path in SOURCES + SHADERS:
        for i, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if len(line) > 120 or line != line.rstrip() or "\t" in line:
                yield f"{relative(path)}:{i}: longer than 120 columns, a tab, or blanks at the end"


def files_say_what_they_are():
    for path in SOURCES + [s for s in SHADERS if s.suffix == ".comp"]:
        if not re.match(r"(/\*|//)", path.read_text(encoding="utf-8").replace("#version 460\n", "", 1).lstrip()):
            yield f"{relative(path)}: does not open with a comment that says what it is for"


def folders_have_a_readme():
    for folder in ("runtime/base", "runtime/cpu", "runtime/formats", "runtime/ops", "runtime/vk", "runtime/verify",
                   "runtime/measure", "shaders", "models",
                   "models/demo", "host", "tests", "tests/reference", "bench"):
        if (TOP / folder).is_dir() and not (TOP / folder / "README.md").exists():
            yield f"{folder}/ has no README.md"


def nothing_is_left_undone():
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")))
    for path in SOURCES + SHADERS:
        for i, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if marks.search(line):
                yield f"{relative(path)}:{i}: {line.strip()}"


RULES = [includes_point_left, only_vk_includes_vulkan, no_banned_functions, files_are_one_noun, lines_fit,
         files_say_what_they_are, folders_have_a_readme, nothing_is_left_undone]


def main():
    failed = 0
    for rule in RULES:
        found = list(rule())
        for line in found:
            print(f"  {line}")
        print(("[  FAILED  ] " if found else "[       OK ] ") + rule.__name__)
        failed += bool(found)
    return 1 if failed else 0


sys.exit(main())

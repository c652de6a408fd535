"""Bits of a model file turned over: whatever happens is a clean end. The flips are the same in every run."""
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BINARY, DEMO, check, expect_error, in_parallel, main, path, strato, test
from model_file import ModelFile

HEADER_FLIPS, DATA_FLIPS = 300, 50


def flipped(data, begin, end, seed):
    """One to four bits; half of the time in the first kilobytes, where the numbers are."""
    chance = random.Random(seed)
    out = bytearray(data)
    last = min(end, begin + 1500) if chance.random() < 0.5 else end
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        out[chance.randrange(begin, last)] ^= 1 << chance.randrange(8)
    return bytes(out)


def run_flipped(name, data, command):
    file = path(name)
    with open(file, "wb") as f:
        f.write(data)
    try:
        result = strato(*(a if a != "MODEL" else file for a in command))
        check(result.code in (0, 1, 2, 3, 5), "%s: exit code %d" % (name, result.code), result)
        if result.code != 0:
            result.out = b""  # text may have been streamed before the error
            lines = [line for line in result.err.split(b"\n") if line.startswith(b"strato: error: ")]
            check(len(lines) == 1 and result.err.endswith(b"\n"), "%s: not one error" % name, result)
            if result.code == 3:
                expect_error(result, 3, file)
        return result.code
    finally:
        os.remove(file)


@test
def flips_in_the_header_end_cleanly():
    data = open(DEMO, "rb").read()
    header = len(ModelFile.read(DEMO).header())
    run = ["run", "MODEL", "-p", "Hello!", "-n", "1", "--ctx", "64", "-q"]
    codes = in_parallel(lambda i: run_flipped("header%d.gguf" % i, flipped(data, 0, header, i), run),
                        range(HEADER_FLIPS))
    print("exit codes: %s" % {c: codes.count(c) for c in sorted(set(codes))})
    check(codes.count(3) > HEADER_FLIPS // 20, "hardly anything was refused")


@test
def flips_in_the_weights_end_cleanly():
    data = open(DEMO, "rb").read()
    header = len(ModelFile.read(DEMO).header())
    run = ["run", "MODEL", "-p", "Hello!", "-n", "1", "--ctx", "64", "-q"]
    codes = in_parallel(lambda i: run_flipped("data%d.gguf" % i, flipped(data, header, len(data), 1000 + i), run),
                        range(DATA_FLIPS))
    check(set(codes) <= {0, 1}, "exit codes %s" % sorted(set(codes)))


@test
def info_and_tokenize_survive_the_same():
    data = open(DEMO, "rb").read()
    header = len(ModelFile.read(DEMO).header())
    for command in (["info", "MODEL"], ["info", "MODEL", "--json"],
                    ["tokenize", "MODEL", "-p", "Hello <|im_end|> you"]):
        in_parallel(lambda i: run_flipped("%s%d.gguf" % (command[0], i), flipped(data, 0, header, i), command),
                    range(100))


@test
def zeros_and_noise_in_place_of_a_stretch_end_cleanly():
    data = open(DEMO, "rb").read()
    header = len(ModelFile.read(DEMO).header())

    def one(i):
        chance = random.Random(5000 + i)
        n = chance.choice((4, 8, 64, 1024))
        at = chance.randrange(8, header - n)
        patch = bytes(n) if i % 2 else bytes(chance.randrange(256) for _ in range(n))
        run_flipped("patch%d.gguf" % i, data[:at] + patch + data[at + n:],
                    ["run", "MODEL", "-p", "Hello!", "-n", "1", "--ctx", "64", "-q"])

    in_parallel(one, range(40))


sys.exit(main())

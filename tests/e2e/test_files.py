"""Model files that are damaged, unsupported, missing or strange: one line that names file, key and value, exit code 3
(1 where the file cannot be read at all), and no crash."""
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (DEMO, check, expect_error, good, in_parallel, main, path, skip, strato, test, write)
from model_file import ARRAY, BOOL, F32, I32, STRING, U32, U64, U8, ModelFile, Tensor


def demo():
    return ModelFile.read(DEMO)


def run(name, *more):
    return strato("run", path(name), "-p", "Hello!", "-n", "1", *more)


def refused(name, f, *parts, code=3):
    f.write(path(name))
    expect_error(run(name), code, path(name), *parts)


def kv(kind, value, key):
    f = demo()
    f.kv[key] = (kind, value)
    return f


def without(key):
    f = demo()
    del f.kv[key]
    return f


@test
def writing_the_demo_model_again_changes_nothing():
    demo().write(path("same.gguf"))
    a, b = (good("run", m, "-p", "Hello!", "--temp", "0") for m in (DEMO, path("same.gguf")))
    check(a.out == b.out, "the copy answers differently", b)


@test
def what_is_no_file_is_said():
    expect_error(run("missing.gguf"), 1, path("missing.gguf"))
    os.mkdir(path("folder.gguf"))
    result = run("folder.gguf")
    check(result.code in (1, 3), "exit code", result)
    expect_error(result, result.code, path("folder.gguf"), "directory")
    write("empty.gguf", b"")
    expect_error(run("empty.gguf"), 3, path("empty.gguf"))
    write("three.gguf", b"GGU")
    expect_error(run("three.gguf"), 3, path("three.gguf"))
    os.symlink(path("loop.gguf"), path("loop.gguf"))
    expect_error(run("loop.gguf"), 1, path("loop.gguf"))
    expect_error(run("x" * 300 + ".gguf"), 1, "x" * 300)
    expect_error(run("x/" * 1000 + ".gguf"), 2, "longer than")


@test
def a_file_without_permission_is_said():
    if os.geteuid() == 0:  # root may read everything; but not this
        result = strato("run", "/proc/self/mem", "-p", "x")
        check(result.code in (1, 3), "exit code", result)
        expect_error(result, result.code, "/proc/self/mem")
        return
    write("secret.gguf", b"GGUF")
    os.chmod(path("secret.gguf"), 0)
    expect_error(run("secret.gguf"), 1, path("secret.gguf"))


@test
def magic_and_version_are_checked():
    for magic in (b"GGML", b"FUGG", b"\0\0\0\0", b"ggjt"):
        f = demo()
        f.magic = magic
        f.write(path("magic.gguf"))
        expect_error(run("magic.gguf"), 3, path("magic.gguf"))
    for version in (0, 1, 4, 0x03000000, 0xffffffff):
        f = demo()
        f.version = version
        refused("version.gguf", f, "version")


@test
def truncated_anywhere_is_one_line():
    data = open(DEMO, "rb").read()
    header = len(demo().header())
    places = sorted({4, 7, 8, 12, 16, 20, 23, 24, 25, 32, 40, 100, 500, 1000, header - 33, header - 1, header,
                     header + 1, (header + len(data)) // 2, len(data) - 4096, len(data) - 40, len(data) - 33}
                    | {header * i // 23 for i in range(1, 23)})

    def one(size):
        name = "cut%d.gguf" % size
        write(name, data[:size])
        expect_error(run(name), 3, path(name))
        info = strato("info", path(name))
        right = info.code == 0 if size >= header else info.code == 3 or size > header - 32  # padding may be missing
        check(right, "strato info of %d bytes of a header of %d" % (size, header), info)
        os.remove(path(name))

    in_parallel(one, [p for p in places if 4 <= p < len(data) - 32])


@test
def architectures_that_are_not_there_are_named():
    for arch in ("mamba", "", "qwen3\n\x1b[31mred", "x" * 5000):
        f = kv(STRING, arch, "general.architecture")
        f.write(path("arch.gguf"))
        result = run("arch.gguf")
        expect_error(result, 3, path("arch.gguf"), "architecture")
        check(b"\x1b" not in result.err and len(result.err) < 1200, "control characters, or too long", result)
    refused("arch.gguf", without("general.architecture"), "general.architecture")
    refused("arch.gguf", kv(U32, 7, "general.architecture"), "general.architecture")
    info = good("info", write("arch.gguf", kv(STRING, "mamba", "general.architecture").bytes()))
    check(b"mamba" in info.out, "info does not name it", info)


@test
def every_needed_key_is_missed():
    for key in ("block_count", "embedding_length", "feed_forward_length", "attention.head_count", "context_length"):
        refused("key.gguf", without("qwen3." + key), "qwen3." + key)


@test
def absurd_numbers_are_refused_with_key_and_value():
    for key, value in (("block_count", 0), ("block_count", 0xffffffff), ("block_count", 5), ("embedding_length", 0),
                       ("embedding_length", 2 ** 31), ("attention.head_count", 0), ("attention.head_count", 2 ** 31),
                       ("attention.head_count_kv", 0), ("attention.key_length", 0), ("attention.key_length", 2 ** 30),
                       ("attention.head_count_kv", 4096), ("context_length", 0), ("feed_forward_length", 0),
                       ("rope.dimension_count", 4096), ("rope.dimension_count", 0)):
        f = kv(U32, value, "qwen3." + key)
        f.write(path("absurd.gguf"))
        result = run("absurd.gguf")
        expect_error(result, 3, path("absurd.gguf"))
        told = str(value) in result.err.decode() or "tensor" in result.err.decode()
        check(told, "%s = %d is not named" % (key, value), result)
    for key, value in (("rope.freq_base", float("nan")), ("rope.freq_base", 0.0), ("rope.freq_base", -1.0),
                       ("rope.freq_base", float("inf")), ("attention.layer_norm_rms_epsilon", -1.0),
                       ("attention.layer_norm_rms_epsilon", float("nan"))):
        refused("absurd.gguf", kv(F32, value, "qwen3." + key), "qwen3." + key)


@test
def values_of_the_wrong_kind_are_refused():
    for kind, value in ((STRING, "four"), (F32, 4.0), (ARRAY, (U32, [4])), (BOOL, 1)):
        refused("kind.gguf", kv(kind, value, "qwen3.block_count"), "qwen3.block_count")
    layers = demo().kv["qwen3.block_count"][1]
    for kind in (U8, I32, U64):  # any integer that fits will do
        kv(kind, layers, "qwen3.block_count").write(path("kind.gguf"))
        check(run("kind.gguf").code == 0, "an integer of kind %d" % kind)
    refused("kind.gguf", kv(I32, -4, "qwen3.block_count"), "qwen3.block_count", "-4")
    refused("kind.gguf", kv(U64, 2 ** 40, "qwen3.block_count"), "qwen3.block_count", 2 ** 40)


@test
def tensors_are_checked_by_name_shape_and_format():
    f = demo()
    f.tensors.remove(f.tensor("blk.1.ffn_up.weight"))
    refused("tensor.gguf", f, "blk.1.ffn_up.weight", "missing")
    f = demo()
    t = f.tensor("blk.2.attn_q.weight")
    t.dims = [t.dims[0], t.dims[1] // 2]
    refused("tensor.gguf", f, "blk.2.attn_q.weight", "shape")
    f = demo()
    t = f.tensor("blk.0.attn_norm.weight")
    t.dims = t.dims + [1]
    f.write(path("tensor.gguf"))
    check(run("tensor.gguf").code in (0, 3), "a vector with a dimension more")
    f = demo()
    f.tensor("blk.0.ffn_gate.weight").kind = 4
    refused("tensor.gguf", f, "blk.0.ffn_gate.weight")
    for kind in (9, 33, 1000, 0xffffffff):
        f = demo()
        f.tensor("blk.0.ffn_gate.weight").kind = kind
        refused("tensor.gguf", f, "blk.0.ffn_gate.weight")
    f = demo()
    f.tensors.append(Tensor("blk.0.ffn_extra.weight", [32], 0, bytes(128)))
    refused("tensor.gguf", f, "blk.0.ffn_extra.weight")
    f = demo()
    f.tensors.append(f.tensor("output_norm.weight"))
    refused("tensor.gguf", f, "output_norm.weight")
    f = demo()
    f.tensor("token_embd.weight").dims = [2 ** 62, 8]
    refused("tensor.gguf", f, "token_embd.weight")


@test
def offsets_outside_the_file_and_on_each_other_are_refused():
    for offset in (2 ** 40, 2 ** 63, 2 ** 64 - 32, 1, 0):
        f = demo()
        f.tensors[-1].offset = offset
        refused("offset.gguf", f, f.tensors[-1].name)
    for n in (0, 1, 10 ** 6, 2 ** 63):
        f = demo()
        f.n_tensors = n
        f.write(path("offset.gguf"))
        expect_error(run("offset.gguf"), 3, path("offset.gguf"))
    for value in (0, 3, 2 ** 31):
        refused("offset.gguf", kv(U32, value, "general.alignment"), "general.alignment", value)


@test
def lengths_beyond_the_file_are_refused():
    for raw in (struct.pack("<Q", 2 ** 63), struct.pack("<Q", 2 ** 64 - 1), struct.pack("<Q", 10 ** 9) + b"x"):
        f = demo()
        f.extra_kv, f.extra_n = raw, 1
        f.write(path("length.gguf"))
        expect_error(run("length.gguf"), 3, path("length.gguf"))
    name = struct.pack("<Q", 1) + b"k"
    for value in (struct.pack("<IQ", STRING, 2 ** 63), struct.pack("<IIQ", ARRAY, U32, 2 ** 62),
                  struct.pack("<IIQ", ARRAY, STRING, 2 ** 40), struct.pack("<I", 77),
                  struct.pack("<IIQ", ARRAY, ARRAY, 1) * 1 + struct.pack("<IQ", ARRAY, 1) * 100):
        f = demo()
        f.extra_kv, f.extra_n = name + value, 1
        f.write(path("length.gguf"))
        expect_error(run("length.gguf"), 3, path("length.gguf"))
    f = demo()
    f.extra_kv, f.extra_n = name + struct.pack("<II", U32, 1) + name + struct.pack("<II", U32, 2), 2
    refused("length.gguf", f, "'k'")


# ---- vocabularies ----

@test
def a_model_without_a_tokenizer_runs_no_text_but_gives_logits():
    f = demo()
    for key in [k for k in f.kv if k.startswith("tokenizer.")]:
        del f.kv[key]
    refused("plain.gguf", f, "tokenizer")
    out = path("plain.f32")
    good("logits", path("plain.gguf"), "--tokens", "1,2,3", "-o", out)
    check(os.path.getsize(out) == f.tensor("token_embd.weight").dims[1] * 4, "no logits")


@test
def vocabularies_are_checked():
    f = demo()
    inner, tokens = f.kv["tokenizer.ggml.tokens"][1]
    kinds = f.kv["tokenizer.ggml.token_type"][1][1]
    f.kv["tokenizer.ggml.tokens"] = (ARRAY, (inner, tokens + [b"one more"] * 64))
    f.kv["tokenizer.ggml.token_type"] = (ARRAY, (I32, kinds + [1] * 64))
    refused("vocab.gguf", f, "tokenizer.ggml.tokens", len(tokens) + 64)
    f = demo()
    f.kv["tokenizer.ggml.tokens"] = (ARRAY, (inner, tokens[:-3]))
    f.kv["tokenizer.ggml.token_type"] = (ARRAY, (I32, kinds[:-3]))
    f.write(path("vocab.gguf"))
    check(run("vocab.gguf").code in (0, 3), "fewer tokens than rows")
    refused("vocab.gguf", kv(STRING, "unigram-of-mars", "tokenizer.ggml.model"), "unigram-of-mars")
    refused("vocab.gguf", kv(STRING, "no-such-pre", "tokenizer.ggml.pre"), "no-such-pre")
    refused("vocab.gguf", kv(U32, 10 ** 6, "tokenizer.ggml.eos_token_id"), "eos_token_id", 10 ** 6)
    refused("vocab.gguf", kv(ARRAY, (STRING, []), "tokenizer.ggml.tokens"), "tokenizer.ggml.tokens")
    refused("vocab.gguf", kv(ARRAY, (I32, [1, 2]), "tokenizer.ggml.token_type"), "token_type")


@test
def weights_that_are_not_numbers_give_an_error_and_no_nonsense():
    f = demo()
    t = f.tensor("output_norm.weight")
    t.data = struct.pack("<f", float("nan")) * (len(t.data) // 4)
    f.write(path("nan.gguf"))
    result = run("nan.gguf")
    expect_error(result, 1)


@test
def a_model_larger_than_any_memory_does_not_fit():
    f = ModelFile()
    width, ff, layers = 16384, 65536, 120
    shape = {"block_count": layers, "context_length": 4096, "embedding_length": width, "feed_forward_length": ff,
             "attention.head_count": 128, "attention.head_count_kv": 128}
    f.kv["general.architecture"] = (STRING, "llama")
    for key, value in shape.items():
        f.kv["llama." + key] = (U32, value)
    tensors = [("token_embd.weight", [width, 32000]), ("output_norm.weight", [width])]
    for i in range(layers):
        p = "blk.%d." % i
        tensors += [(p + "attn_norm.weight", [width]), (p + "ffn_norm.weight", [width])]
        tensors += [(p + "attn_%s.weight" % n, [width, width]) for n in ("q", "k", "v", "output")]
        tensors += [(p + "ffn_gate.weight", [width, ff]), (p + "ffn_up.weight", [width, ff]),
                    (p + "ffn_down.weight", [ff, width])]
    at = 0
    for name, dims in tensors:
        t = Tensor(name, dims, 0, b"")
        t.offset = at
        at += 4 * dims[0] * (dims[1] if len(dims) > 1 else 1)
        f.tensors.append(t)
    f.write(path("huge.gguf"))
    header = os.path.getsize(path("huge.gguf"))
    check(strato("info", path("huge.gguf")).code == 0, "info of a header alone")
    expect_error(strato("logits", path("huge.gguf"), "--tokens", "1", "-o", path("huge.f32")), 3, path("huge.gguf"))
    try:
        os.truncate(path("huge.gguf"), header + at)  # a hole: it takes no room on the disk
    except OSError:
        skip("no files of %d GB here" % (at >> 30))
    expect_error(strato("logits", path("huge.gguf"), "--tokens", "1", "-o", path("huge.f32")), 5, path("huge.gguf"),
                 "GiB")
    check(not os.path.exists(path("huge.f32")), "an output was left behind")
    os.remove(path("huge.gguf"))


sys.exit(main())

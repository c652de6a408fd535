"""Model files (GGUF 3) read, changed and written, well-formed or not.

    f = ModelFile.read(path);  f.kv["qwen3.block_count"] = (U32, 5);  f.write(path)

Nothing is checked when writing: what is put is written.
"""
import struct

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_FORMATS = {U8: "<B", I8: "<b", U16: "<H", I16: "<h", U32: "<I", I32: "<i", F32: "<f", BOOL: "<B", U64: "<Q",
            I64: "<q", F64: "<d"}


class Tensor:
    def __init__(self, name, dims, kind, data):
        self.name, self.dims, self.kind, self.data = name, list(dims), kind, data
        self.offset = None  # None: where it belongs


class _Reader:
    def __init__(self, data):
        self.data, self.pos = data, 0

    def take(self, form):
        value = struct.unpack_from(form, self.data, self.pos)[0]
        self.pos += struct.calcsize(form)
        return value

    def string(self):
        n = self.take("<Q")
        self.pos += n
        return self.data[self.pos - n:self.pos]

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            inner, n = self.take("<I"), self.take("<Q")
            return inner, [self.value(inner) for _ in range(n)]
        return self.take(_FORMATS[kind])


def _string(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(kind, value):
    if kind == STRING:
        return _string(value)
    if kind == ARRAY:
        inner, items = value
        return struct.pack("<IQ", inner, len(items)) + b"".join(_value(inner, i) for i in items)
    return struct.pack(_FORMATS.get(kind, "<I"), value)


class ModelFile:
    def __init__(self):
        self.magic, self.version = b"GGUF", 3
        self.kv = {}       # name -> (kind, value), in order
        self.tensors = []
        self.extra_kv = b""  # raw bytes behind the keys, counted as extra_n keys
        self.extra_n = 0
        self.n_tensors = None  # what the header claims, None: the truth

    @classmethod
    def read(cls, path):
        with open(path, "rb") as f:
            r = _Reader(f.read())
        out = cls()
        out.magic, out.version = r.data[:4], struct.unpack_from("<I", r.data, 4)[0]
        r.pos = 8
        n_tensors, n_kv = r.take("<Q"), r.take("<Q")
        for _ in range(n_kv):
            name = r.string().decode()
            kind = r.take("<I")
            out.kv[name] = (kind, r.value(kind))
        table = []
        for _ in range(n_tensors):
            name = r.string().decode()
            dims = [r.take("<Q") for _ in range(r.take("<I"))]
            table.append((name, dims, r.take("<I"), r.take("<Q")))
        start = (r.pos + 31) // 32 * 32
        ends = [t[3] for t in sorted(table, key=lambda t: t[3])] + [len(r.data) - start]
        for name, dims, kind, offset in table:
            end = next(e for e in ends if e > offset)
            out.tensors.append(Tensor(name, dims, kind, r.data[start + offset:start + end]))
        return out

    def tensor(self, name):
        return next(t for t in self.tensors if t.name == name)

    def header(self):
        n = len(self.tensors) if self.n_tensors is None else self.n_tensors
        out = [self.magic, struct.pack("<IQQ", self.version, n, len(self.kv) + self.extra_n)]
        for name, (kind, value) in self.kv.items():
            out += [_string(name), struct.pack("<I", kind), _value(kind, value)]
        out.append(self.extra_kv)
        at = 0
        for t in self.tensors:
            out += [_string(t.name), struct.pack("<I", len(t.dims)), struct.pack("<%dQ" % len(t.dims), *t.dims),
                    struct.pack("<IQ", t.kind, at if t.offset is None else t.offset)]
            at += (len(t.data) + 31) // 32 * 32
        raw = b"".join(out)
        return raw + bytes(-len(raw) % 32)

    def bytes(self):
        return self.header() + b"".join(t.data + bytes(-len(t.data) % 32) for t in self.tensors)

    def write(self, path):
        with open(path, "wb") as f:
            f.write(self.bytes())
        return path

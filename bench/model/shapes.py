"""The models: shapes, the format of every matrix, and from these the bytes of a token. Nothing is typed in as bytes.

Shapes are those of models/shape.c; which matrix has which format follows the rules of models/mixture.c.
"""
from typing import NamedTuple

# Format: elements in a block, bytes of a block.
FORMATS = {"Q4_0": (32, 18), "Q8_0": (32, 34), "Q4_K": (256, 144), "Q6_K": (256, 210), "F16": (1, 2), "F32": (1, 4)}


class Shape(NamedTuple):
    name: str
    mixture: str # Q4_0 or Q4_K_M
    layers: int
    embd: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    qk_norm: bool
    qkv_bias: bool


class Matrix(NamedTuple):
    role: str
    rows: int
    cols: int
    format: str

    @property
    def elements(self):
        return self.rows * self.cols

    @property
    def bytes(self):
        elements, size = FORMATS[self.format]
        assert self.cols % elements == 0
        return self.elements // elements * size


SHAPES = [
    Shape("Llama-2-7B Q4_0", "Q4_0", 32, 4096, 32, 32, 128, 11008, 32000, False, False),
    Shape("Qwen3-8B Q4_K_M", "Q4_K_M", 36, 4096, 32, 8, 128, 12288, 151936, True, False),
    Shape("Qwen2-7B Q4_K_M", "Q4_K_M", 28, 3584, 28, 4, 128, 18944, 152064, False, True),
]


def more_bits(layer, layers):
    """Q4_K_M's layers with V and down in Q6_K: the first and last eighth, and every third between."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def layer_matrices(shape, layer):
    """The matrices of one layer, in the order in which they are read."""
    q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    base = "Q4_0" if shape.mixture == "Q4_0" else "Q4_K"
    wide = "Q6_K" if shape.mixture == "Q4_K_M" and more_bits(layer, shape.layers) else base
    return [Matrix("q", q, shape.embd, base), Matrix("k", kv, shape.embd, base), Matrix("v", kv, shape.embd, wide),
            Matrix("o", shape.embd, q, base), Matrix("gate", shape.ffn, shape.embd, base),
            Matrix("up", shape.ffn, shape.embd, base), Matrix("down", shape.embd, shape.ffn, wide)]


def output_matrix(shape):
    return Matrix("output", shape.vocab, shape.embd, "Q6_K")


def embedding_matrix(shape):
    return Matrix("embedding", shape.vocab, shape.embd, "Q4_0" if shape.mixture == "Q4_0" else "Q4_K")


def vector_bytes(shape):
    """Norms and biases, f32."""
    kv = shape.kv_heads * shape.head_dim
    layer = 2 * shape.embd
    layer += 2 * shape.head_dim if shape.qk_norm else 0
    layer += shape.heads * shape.head_dim + 2 * kv if shape.qkv_bias else 0
    return 4 * (shape.layers * layer + shape.embd)


def layer_bytes(shape):
    """Matrices of all layers."""
    return sum(m.bytes for layer in range(shape.layers) for m in layer_matrices(shape, layer))


def read_bytes(shape):
    """Weights read for a token: all but the embedding, of which it is one row."""
    row = embedding_matrix(shape)._replace(rows=1).bytes
    return layer_bytes(shape) + output_matrix(shape).bytes + vector_bytes(shape) + row


def file_bytes(shape):
    """All tensors of the file; its metadata (vocabulary and so on) come on top."""
    return layer_bytes(shape) + output_matrix(shape).bytes + vector_bytes(shape) + embedding_matrix(shape).bytes


def kv_bytes(shape, depth):
    """K and V of `depth` tokens in f16, all layers."""
    return shape.layers * 2 * shape.kv_heads * shape.head_dim * 2 * depth


def layer_elements(shape):
    return sum(m.elements for m in layer_matrices(shape, 0)) * shape.layers

#!/usr/bin/env python3
"""Golden data for the block formats, by another implementation: the `gguf` package from PyPI.

Usage: quant-golden.py > core/compute/tests/golden/quant.txt      (needs numpy and gguf; made with gguf 0.19.0)

A line per format: its name, one block in hex, the bits of its decoded elements in hex, and the FNV-1a digest of the
bits of BLOCKS decoded blocks. Blocks are bytes of a splitmix64 generator whose seed is the format's number, with the
top exponent bit of every float field cleared, so that scales are finite; the test makes the same bytes.
"""
import numpy as np
from gguf import GGMLQuantizationType as T, quants
from gguf.constants import GGML_QUANT_SIZES

BLOCKS = 512
# format: offsets of the high bytes of its float fields
FLOATS = {
    "F32": [3], "F16": [1], "BF16": [1], "Q4_0": [1], "Q4_1": [1, 3], "Q5_0": [1], "Q5_1": [1, 3], "Q8_0": [1],
    "Q2_K": [81, 83], "Q3_K": [109], "Q4_K": [1, 3], "Q5_K": [1, 3], "Q6_K": [209], "IQ4_NL": [1], "IQ4_XS": [1],
}
MASK = (1 << 64) - 1


def splitmix(seed):
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def fnv(data):
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = ((digest ^ byte) * 0x100000001B3) & MASK
    return digest


for name, floats in FLOATS.items():
    kind = T[name]
    elements, size = GGML_QUANT_SIZES[kind]
    words = splitmix(int(kind))
    data = b"".join(next(words).to_bytes(8, "little") for _ in range(-(-BLOCKS * size // 8)))
    blocks = np.frombuffer(data[: BLOCKS * size], np.uint8).reshape(BLOCKS, size).copy()
    blocks[:, floats] &= 0xBF
    if kind == T.F32:
        values = blocks.view(np.float32)
    elif kind == T.F16:
        values = blocks.view(np.float16).astype(np.float32)
    else:
        values = quants.dequantize(blocks, kind)
    bits = np.ascontiguousarray(values, dtype="<f4").tobytes()
    assert len(bits) == BLOCKS * elements * 4
    print(name, blocks[0].tobytes().hex(), bits[: elements * 4].hex(), f"{fnv(bits):016x}")

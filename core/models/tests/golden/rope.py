#!/usr/bin/env python3
"""Prints the numbers of rope.txt: rope frequencies by the formulas of Hugging Face transformers' modeling_rope_utils,
written here independently of the engine, in Python's doubles. Usage: rope.py > rope.txt"""
import math

DIM, CONTEXT = 16, 131072


def plain(base, dim=DIM):
    return [1.0 / base ** (2 * i / dim) for i in range(dim // 2)]


def llama3(base, factor, low, high, original):
    out = []
    for f in plain(base):
        wave = 2 * math.pi / f
        if wave < original / high:
            out.append(f)
        elif wave > original / low:
            out.append(f / factor)
        else:
            smooth = (original / wave - low) / (high - low)
            out.append((1 - smooth) * f / factor + smooth * f)
    return out


def yarn(base, factor, original, fast=32.0, slow=1.0):
    def dimension(turns):
        return DIM * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))

    low, high = max(math.floor(dimension(fast)), 0), min(math.ceil(dimension(slow)), DIM - 1)
    out = []
    for i, f in enumerate(plain(base)):
        keep = 1 - min(max((i - low) / (high - low if high != low else 0.001), 0), 1)
        out.append(f / factor * (1 - keep) + f * keep)
    return out


LONG = [1.0 + 5 * i for i in range(6)]
SHORT = [1.0 + 0.125 * i for i in range(6)]
CASES = {
    "plain": (plain(10000.0), 1.0),
    "linear": ([f / 8 for f in plain(1e6)], 1.0),
    "llama3": (llama3(5e5, 32.0, 1.0, 4.0, 8192), 1.0),
    "yarn": (yarn(1e6, 4.0, 32768), 0.1 * math.log(4.0) + 1.0),
    "yarn-betas": (yarn(1e4, 8.0, 4096, 16.0, 2.0), 0.1 * math.log(8.0) + 1.0),
    "long": ([f / d for f, d in zip(plain(1e4, 12), LONG)], math.sqrt(1 + math.log(CONTEXT / 4096) / math.log(4096))),
    "short": ([f / d for f, d in zip(plain(1e4, 12), SHORT)], math.sqrt(1 + math.log(CONTEXT / 4096) / math.log(4096))),
}
# The factors that the converter stores for llama3: what the plain frequencies are divided by.
factors = [a / b for a, b in zip(plain(5e5), llama3(5e5, 32.0, 1.0, 4.0, 8192))]
print("llama3-factors", 1.0, *map(repr, factors))
for name, (frequencies, magnitude) in CASES.items():
    print(name, repr(magnitude), *map(repr, frequencies))

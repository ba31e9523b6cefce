"""What is measured: the models, where they lie, and what can be asked for on the command line."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "inkling"
PEERS = CACHE / "peers"
INKLING = ROOT / "target" / "release" / "inkling"
EXAMPLES = ROOT / "target" / "release" / "examples"
RESULTS = ROOT / "target" / "bench" / "results.json"

QUANTS = ["Q4_0", "Q4_K_M", "Q8_0"]
SHAPES = ["qwen3-0.6b", "gemma3-270m", "smollm2-1.7b"]
REAL = "SmolLM2-135M-Instruct"
REAL_QUANTS = ["Q4_1", "Q4_0", "Q8_0"]

#: How the shapes are called in tables.
TITLES = {
    "qwen3-0.6b": "Qwen3-0.6B",
    "gemma3-270m": "Gemma3-270M",
    "smollm2-1.7b": "SmolLM2-1.7B",
    REAL: "SmolLM2-135M-Instruct, real weights",
}

PROMPT = 512
ANSWER = 64
DEPTH = 8192


class Model:
    """A GGUF file of a shape in a quantisation."""

    def __init__(self, shape, quant):
        self.shape, self.quant, self.name = shape, quant, f"{shape}.{quant}"
        folder = CACHE / ("models" if shape == REAL else "synth")
        self.file = folder / f"{self.name}.gguf"

    def title(self):
        return f"{TITLES[self.shape]} {self.quant}"


#: All models of the tables, in their order.
MODELS = [Model(shape, quant) for shape in SHAPES for quant in QUANTS] + [Model(REAL, quant) for quant in REAL_QUANTS]


def chosen(only, quick):
    """The models whose names hold one of `only`; a few if `quick` and nothing was chosen."""
    if quick and not only:
        only = ["qwen3-0.6b.Q4_0", f"{REAL}.Q4_1"]
    return [model for model in MODELS if not only or any(part in model.name for part in only)]


def peer(name, tool="llama-bench"):
    """A tool of another engine's build, or `None`."""
    path = PEERS / name / "bin" / tool
    return path if path.is_file() else None


def has_isa(flag):
    """Whether the processor says that it has an instruction set. Only Linux is asked."""
    info = pathlib.Path("/proc/cpuinfo")
    return info.exists() and f" {flag}" in info.read_text()

"""The sections of a run: which jobs measure what."""

import json

import engines
from catalogue import DEPTH, EXAMPLES, INKLING, has_isa, peer
from runner import Job


def speed(runner, models):
    """Prefill and decode with 2 threads, decode with 1, and prefill without AVX-512 where the machine has it."""
    for model in models:
        jobs = [engines.limits(), engines.inkling(model, 2), *engines.llama(model, 2)]
        jobs += [engines.inkling(model, 1, prompt=0), *engines.llama(model, 1, prompt=0)]
        runner.plan(model.name, jobs)


def avx2(runner, models):
    """Prefill without AVX-512, on both sides."""
    if not has_isa("avx2"):
        return
    for model in models:
        jobs = [engines.inkling(model, 2, answer=0, isa="avx2")]
        runner.plan(model.name, jobs + engines.llama(model, 2, build="llama.cpp-avx2", answer=0))


def others(runner, models):
    """Engines from PyPI on one model; a build of ik_llama.cpp on all, if somebody has put one into the cache folder."""
    for model in models:
        jobs = []
        if model.name == "qwen3-0.6b.Q4_0":
            jobs += [engines.from_pypi(model, name) for name in ("openvino-genai", "mistralrs")]
        jobs += engines.llama(model, 2, build="ik_llama.cpp")
        if jobs:
            runner.plan(model.name, [*jobs, engines.inkling(model, 2), *engines.llama(model, 2)])


def depth(runner, models):
    """Decode behind nothing and behind a long text."""
    for model in models:
        if model.shape != "qwen3-0.6b" or model.quant == "Q8_0":
            continue
        jobs = []
        for kv in ("f16", "q8_0"):
            for at in (0, DEPTH):
                jobs.append(engines.inkling_depth(model, kv, at, runner.rounds))
                jobs += engines.llama_depth(model, kv, at, runner.rounds)
        for job in jobs:
            job.rounds = 1  # The repetitions are inside: the long text is read once.
        runner.plan(model.name, jobs)


def batches(runner, models):
    """Several tokens of one sequence in a pass; several conversations in a pass."""
    for model in models:
        if model.quant not in ("Q4_0", "Q4_K_M", "Q4_1") or model.shape == "gemma3-270m":
            continue
        jobs = [engines.inkling_batches(model, runner.rounds), *engines.llama_batches(model, runner.rounds)]
        for job in jobs:
            job.rounds = min(2, runner.rounds)  # The repetitions are inside.
        runner.plan(model.name, jobs)


def load(runner, models):
    """Loads, and what they leave in memory."""
    for model in models:
        if model.quant == "Q8_0" or model.shape == "gemma3-270m":
            continue
        runner.plan(model.name, [cold_load(model), warm_load(model), first_token(model), *llama_first_token(model)])


def cold_load(model):
    """From the disk, nothing prepared."""
    argv = [INKLING, "bench", "--model", model.file, "-p", 0, "-n", 0, "-r", 1, "--threads", 2, "--json"]

    def samples(out, _wall):
        found = json.loads(out)
        yield "load", "first load", "ms", found["load_cold_ms"]
        yield "load", "first load, peak memory", "B", found["peak_rss_bytes"]

    return Job("inkling, first load", argv, samples)


def warm_load(model):
    """With everything in the page cache, then a prompt."""
    argv = [INKLING, "bench", "--model", model.file, "-n", 1, "-r", 1, "--threads", 2, "--skip-cold", "--json"]

    def samples(out, _wall):
        found = json.loads(out)
        yield "load", "warm load", "ms", found["load_warm_ms"]
        yield "load", "warm load to first token", "ms", found["load_warm_to_token_ms"]
        yield "load", "anonymous memory", "B", found["peak_anon_bytes"]
        yield "load", "keys and values", "B", found["kv_bytes"]

    return Job("inkling, warm load", argv, samples)


def first_token(model):
    """A whole process that makes one token."""
    argv = [INKLING, "complete", "--model", model.file, "--tokens", 1, "--max-tokens", 1, "--temp", 0]
    argv += ["--threads", 2, "--json"]
    return Job("inkling, one token", argv, lambda _out, wall: [("load", "process, inkling", "ms", 1e3 * wall)])


def llama_first_token(model):
    """The same in llama.cpp."""
    tool = peer("llama.cpp")
    if not tool:
        return []
    argv = [tool, "-m", model.file, "-p", 1, "-n", 0, "-r", 1, "-t", 2, "--no-warmup", "-o", "json"]
    return [Job("llama.cpp, one token", argv, lambda _out, wall: [("load", "process, llama.cpp", "ms", 1e3 * wall)])]


def kernels(runner, models):
    """The matrix kernels alone, each beside the limits that it measures itself."""
    if models:
        for isa in ["best"] + (["avx2"] if has_isa("avx512_vnni") else []):
            argv = [EXAMPLES / "roofline", isa, 2]
            keep = lambda out, _wall, isa=isa: [("text", f"kernels {isa}", "", out)]
            runner.plan("kernels", [Job(f"the matrix kernels, {isa}", argv, keep, rounds=1)])


def overhead(runner, models):
    """What a token costs besides the model: sampling, detokenising, events."""
    for model in models:
        if model.name == "qwen3-0.6b.Q4_0":
            argv = [EXAMPLES / "overhead", model.file]
            keep = lambda out, _wall: [("text", "overhead", "", out)]
            runner.plan("overhead", [Job("everything besides the model", argv, keep, rounds=1)])


#: In the order in which they are run.
SECTIONS = {"speed": speed, "avx2": avx2, "depth": depth, "batches": batches, "load": load, "kernels": kernels,
            "overhead": overhead, "others": others}

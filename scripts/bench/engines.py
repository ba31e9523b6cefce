"""Commands of the engines, and how to read what they print."""

import json

from catalogue import ANSWER, EXAMPLES, INKLING, PEERS, PROMPT, ROOT, peer
from runner import Job

#: Facts about a model and a machine are samples too, without a unit that is compared.
FACTS = {
    "layer_macs": "layer_macs_per_token",
    "head_macs": "head_macs_per_token",
    "weight_bytes": "weight_bytes_per_token",
}


def limits():
    """The machine's limits, taken next to what is held against them."""

    def samples(out, _wall):
        found = json.loads(out)
        for isa, gmacs in found["dot_gmacs"].items():
            yield "limits", f"dot {isa}", "GMAC/s", gmacs
        for threads, speed in found["read_gb_s"].items():
            yield "limits", f"read {threads}", "GB/s", speed
        for threads, speed in found["read_gb_s_small_pages"].items():
            yield "limits", f"read {threads}, small pages", "GB/s", speed

    return Job("the machine's limits", [EXAMPLES / "limits"], samples, rounds=2)


def inkling(model, threads, prompt=PROMPT, answer=ANSWER, isa=None):
    """Prefill and decode of ours."""
    argv = [INKLING, "bench", "--model", model.file, "-p", prompt, "-n", answer, "-r", 1]
    argv += ["--threads", threads, "--skip-cold", "--json"] + (["--isa", isa] if isa else [])
    series = f"inkling {isa}" if isa else "inkling"

    def samples(out, _wall):
        found = json.loads(out)
        if prompt:
            yield f"prefill {threads}", series, "tok/s", found["prefill_tok_s"]["median"]
        if answer:
            yield f"decode {threads}", series, "tok/s", found["decode_tok_s"]["median"]
        if not isa and prompt:
            for name, key in FACTS.items():
                yield "facts", name, "", found[key]

    return Job(f"{series}, threads {threads}", argv, samples)


def llama(model, threads, build="llama.cpp", prompt=PROMPT, answer=ANSWER):
    """Prefill and decode of a llama-bench; none if it was not built."""
    tool = peer(build)
    if not tool:
        return []
    argv = [tool, "-m", model.file, "-p", prompt, "-n", answer, "-r", 1, "-t", threads, "-o", "json"]

    def samples(out, _wall):
        for test in json.loads(out):
            kind = "prefill" if test["n_prompt"] else "decode"
            yield f"{kind} {threads}", build, "tok/s", test["avg_ts"]

    return [Job(f"{build}, threads {threads}", argv, samples)]


def inkling_depth(model, kv, depth, repetitions):
    """Decode behind `depth` tokens."""
    argv = [INKLING, "bench", "--model", model.file, "-p", 0, "-n", ANSWER, "-d", depth, "-r", repetitions]
    argv += ["--threads", 2, "--kv", kv, "--skip-cold", "--json"]

    def samples(out, _wall):
        yield "depth", f"inkling {kv} {depth}", "tok/s", json.loads(out)["decode_tok_s"]["median"]

    return Job(f"inkling, {kv} keys and values, depth {depth}", argv, samples)


def llama_depth(model, kv, depth, repetitions):
    """Decode of llama.cpp behind `depth` tokens; quantised values need its flash attention."""
    tool = peer("llama.cpp")
    if not tool:
        return []
    argv = [tool, "-m", model.file, "-p", 0, "-n", ANSWER, "-d", depth, "-r", repetitions, "-t", 2, "-o", "json"]
    argv += ["-ctk", kv, "-ctv", kv, "-fa", "on"]

    def samples(out, _wall):
        yield "depth", f"llama.cpp {kv} {depth}", "tok/s", json.loads(out)[0]["avg_ts"]

    return [Job(f"llama.cpp, {kv} keys and values, depth {depth}", argv, samples)]


def inkling_batches(model, repetitions):
    """Passes that check 4 and 8 tokens beside passes of one; four conversations beside one."""
    argv = [INKLING, "bench", "--model", model.file, "-p", 0, "-n", ANSWER, "-r", repetitions, "--threads", 2]
    argv += ["--batches", "4,8", "--sessions", 4, "--skip-cold", "--json"]

    def samples(out, _wall):
        found = json.loads(out)
        for count in ("1", "4", "8"):
            yield "batches", f"inkling {count}", "ms", found["check_ms"][count]["median"]
        yield "batches", "inkling one conversation", "tok/s", found["sessions"]["one_tok_s"]["median"]
        yield "batches", "inkling four conversations", "tok/s", found["sessions"]["all_tok_s"]["median"]

    return Job("inkling, batches", argv, samples)


def llama_batches(model, repetitions):
    """Prompts of 1, 4 and 8 tokens in llama.cpp: only the last token's logits are computed there."""
    tool = peer("llama.cpp")
    if not tool:
        return []
    argv = [tool, "-m", model.file, "-p", "1,4,8", "-n", 0, "-r", 4 * repetitions, "-t", 2, "-o", "json"]

    def samples(out, _wall):
        for test in json.loads(out):
            yield "batches", f"llama.cpp {test['n_prompt']}", "ms", 1e3 * test["n_prompt"] / test["avg_ts"]

    return [Job("llama.cpp, batches", argv, samples)]


def from_pypi(model, name):
    """Prefill and decode of a Python package; fails with a clear line where it is not installed."""
    argv = [PEERS / "venv" / "bin" / "python", ROOT / "scripts" / "bench" / "other_engines.py", name, model.file]

    def samples(out, _wall):
        found = json.loads(out.strip().splitlines()[-1])
        yield "prefill 2", f"peer {name} {found['version']}", "tok/s", found["prefill_tok_s"]
        yield "decode 2", f"peer {name} {found['version']}", "tok/s", found["decode_tok_s"]

    return Job(name, argv, samples, rounds=2)

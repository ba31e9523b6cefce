"""Prefill and decode of engines from PyPI, run in a process of their own: `python other_engines.py ENGINE MODEL.gguf`.

Prints one line of JSON: `{"version", "prompt_tokens", "prefill_tok_s", "decode_tok_s"}`. The engines count for
themselves; their first answer is not counted.
"""

import importlib.metadata
import json
import os
import pathlib
import sys

PROMPT, ANSWER, THREADS = 512, 64, 2


def openvino(model):
    import numpy
    import openvino
    import openvino_genai

    pipe = openvino_genai.LLMPipeline(str(model), "CPU", INFERENCE_NUM_THREADS=THREADS)
    config = openvino_genai.GenerationConfig(max_new_tokens=ANSWER, ignore_eos=True, do_sample=False)
    for first in (1000, 2000):  # Another prompt each time: the engine keeps what it has read.
        ids = numpy.array([[first + 97 * i % 20000 for i in range(PROMPT)]], dtype="int64")
        mask = numpy.ones_like(ids)
        inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(mask))
        metrics = pipe.generate(inputs, config).perf_metrics
    # The time to the first token is that of the prompt; the time per output token is that of the others.
    return PROMPT, 1e3 * PROMPT / metrics.get_ttft().mean, 1e3 / metrics.get_tpot().mean


def mistralrs(model):
    import mistralrs

    which = mistralrs.Which.GGUF(quantized_model_id=str(model.parent), quantized_filename=model.name)
    runner = mistralrs.Runner(which=which, no_paged_attn=True, prefix_cache_n=0)
    usage = None
    # The made-up vocabularies of synthetic models have two tokens for such a word.
    for word in ("one ", "two "):
        request = mistralrs.CompletionRequest(model="default", prompt=word * (PROMPT // 2), max_tokens=ANSWER, temperature=0.0)
        usage = runner.send_completion_request(request).usage
    return usage.prompt_tokens, usage.avg_prompt_tok_per_sec, usage.avg_compl_tok_per_sec


#: Engine: its package and how it is measured.
ENGINES = {"openvino-genai": openvino, "mistralrs": mistralrs}


def main():
    engine, model = sys.argv[1], pathlib.Path(sys.argv[2])
    for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(THREADS)
    tokens, prefill, decode = ENGINES[engine](model)
    found = {"version": importlib.metadata.version(engine), "prompt_tokens": tokens, "prefill_tok_s": prefill,
             "decode_tok_s": decode}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

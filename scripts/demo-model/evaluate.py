"""Exact match of the exported file on the held-out set, greedy, in f32 from the de-quantised weights; writes a report.

Beside the test set of corpus/build.py it measures two things that a chat does: the same translations late in a long
conversation, and small talk.
"""

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import file
import model
import tokenizer as vocabulary
from corpus import smalltalk
from corpus.build import Corpus
from corpus.grammar import LANGS

LONGEST = 96


def greedy(shape, params, tokenizer, conversations, rows_at_once=96):
    """The answer to each conversation, as text."""
    batch = rows_at_once
    end = tokenizer.token_to_id("<|im_end|>")
    prompts = [vocabulary.encode_chat(tokenizer, c, open_answer=True)[0] for c in conversations]
    answers = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for at in range(0, len(order), batch):
        chosen = order[at : at + batch]
        length = -(-max(len(prompts[i]) for i in chosen) // 32) * 32
        tokens = np.full((batch, length), end, np.int32)
        lengths = np.ones(batch, np.int32)
        for row, i in enumerate(chosen):
            tokens[row, : len(prompts[i])] = prompts[i]
            lengths[row] = len(prompts[i])
        logits, keys, values = model.prefill(shape, params, jnp.asarray(tokens), jnp.asarray(lengths), length + LONGEST)
        written, done, position = [], np.zeros(batch, bool), lengths.copy()
        for _ in range(LONGEST):
            token = np.asarray(jnp.argmax(logits, axis=-1), np.int32)
            written.append(token)
            done |= token == end
            if done[: len(chosen)].all():
                break
            logits, keys, values = model.step(shape, params, jnp.asarray(token), jnp.asarray(position), keys, values)
            position = position + 1
        rows = np.stack(written, axis=1)
        for row, i in enumerate(chosen):
            ids = rows[row].tolist()
            answers[i] = tokenizer.decode(ids[: ids.index(end)] if end in ids else ids)
    return answers


def _late(corpus, rng, cases, tokenizer, wanted):
    """Each case's conversation behind some exchanges of the training kind, to about `wanted` tokens."""
    made = []
    for case in cases:
        messages = []
        while True:
            more = [m for m in corpus.conversation(rng) if m["role"] != "system"]
            if len(vocabulary.encode_chat(tokenizer, messages + more)[0]) > wanted:
                break
            messages += more
        made.append(messages + case["messages"])
    return made


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--model", type=Path, required=True)
    args.add_argument("--report", type=Path, required=True, help="JSON: the figures and the wrong answers")
    args.add_argument("--seed", type=int, default=20)
    args.add_argument("--limit", type=int, default=0, help="a sample of so many cases instead of all")
    args = args.parse_args()

    shape, weights, tokenizer, _ = file.read(args.model)
    params = {k: jnp.asarray(v) for k, v in weights.items()}
    corpus = Corpus(args.seed)
    cases = corpus.test
    if args.limit:
        cases = random.Random(1).sample(cases, args.limit)
    answers = greedy(shape, params, tokenizer, [c["messages"] for c in cases])

    tally, wrong = defaultdict(lambda: [0, 0]), []
    for case, answer in zip(cases, answers):
        right = answer == case["answer"]
        keys = [case["task"], f"{case['task']}/{case['split']}"]
        if case["task"] == "translate":
            keys.append(f"pair/{case['source']}-{case['target']}")
        if case["task"] == "todo":
            lines, expected = set(answer.split("\n")), set(case["answer"].split("\n"))
            tally["todo/lines-found"][0] += len(lines & expected)
            tally["todo/lines-found"][1] += len(expected)
        for key in keys:
            tally[key][0] += right
            tally[key][1] += 1
        if not right:
            wrong.append({"asked": case["messages"][-1]["content"], "expected": case["answer"], "got": answer})

    rng = random.Random(5)
    some = rng.sample([c for c in cases if c["task"] == "translate"], min(64, len(cases) // 4))
    for wanted in (300, 600, 900):
        got = greedy(shape, params, tokenizer, _late(corpus, rng, some, tokenizer, wanted), 8)
        tally[f"late/{wanted}"] = [sum(a == c["answer"] for a, c in zip(got, some)), len(some)]
    talk = [(way, answer) for ways, answer in smalltalk.TALK for way in ways]
    got = greedy(shape, params, tokenizer, [[{"role": "user", "content": way}] for way, _ in talk])
    tally["small-talk (seen)"] = [sum(a == b for a, (_, b) in zip(got, talk)), len(talk)]

    figures = {k: {"right": v[0], "of": v[1], "percent": round(100 * v[0] / v[1], 1)} for k, v in sorted(tally.items())}
    args.report.write_text(json.dumps({"figures": figures, "wrong": wrong}, ensure_ascii=False, indent=1))
    for key, f in figures.items():
        if not key.startswith("pair/"):
            print(f"{key:24} {f['right']:5} of {f['of']:5}  {f['percent']:5.1f} %")
    print("from \\ to " + "".join(f"{t:>7}" for t in LANGS))
    for a in LANGS:
        cells = [figures.get(f"pair/{a}-{b}", {}).get("percent", "") for b in LANGS]
        print(f"{a:>9} " + "".join(f"{c:>7}" for c in cells))


if __name__ == "__main__":
    main()

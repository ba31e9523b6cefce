"""Trains the demo model: packs seeded conversations into rows, takes optimiser steps, logs and checkpoints.

Matrices are updated by Muon (momentum, made orthogonal by five Newton-Schulz steps), embedding and norms by Adam. The
learning rate warms up, stays, and falls linearly to zero over the last part. Batches depend on the seed and the step
alone, so an interrupted run goes on from its checkpoint: start the same command again.
"""

import argparse
import os
import random
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer

import model
import tokenizer as vocabulary
from corpus.build import Corpus, stage

TOKENS = 3072  # a step's tokens: 24 rows of 128, and 12 of 256 for the last part
PICKS = 1024  # of which so many answer tokens, at most
MUON_RATE, ADAM_RATE, DECAY = 0.02, 3e-3, 0.02


def batch(corpus, tokenizer, context, seed, step, length, part):
    """Packed rows of `length` tokens; conversations never straddle a row, what does not fit loses its last exchanges."""
    rng = random.Random(seed * 1_000_003 + step)
    rows = TOKENS // length
    end = tokenizer.token_to_id("<|endoftext|>")
    tokens = np.full((rows, length), end, np.int32)
    segments = np.full((rows, length), -1, np.int32)
    positions = np.zeros((rows, length), np.int32)
    used, picks, targets = [0] * rows, [], []
    misses = 0
    while misses < 12 and len(picks) < PICKS:
        messages = corpus.conversation(rng, part)
        ids, learn = vocabulary.encode_chat(tokenizer, messages)
        while len(ids) > length and len(messages) > 3:
            messages = messages[:-2]
            ids, learn = vocabulary.encode_chat(tokenizer, messages)
        fits = [r for r in range(rows) if used[r] + len(ids) <= length]
        if not fits:
            misses += 1
            continue
        row = max(fits, key=lambda r: used[r])
        at = used[row]
        span = slice(at, at + len(ids))
        tokens[row, span], segments[row, span] = ids, at
        positions[row, span] = _positions(rng, len(ids), [i for i in range(1, len(ids)) if learn[i] and not learn[i - 1]], context)
        for i in range(1, len(ids)):
            if learn[i]:
                picks.append(row * length + at + i - 1)
                targets.append(ids[i])
        used[row] += len(ids)
    picks, targets = picks[:PICKS], targets[:PICKS]
    missing = PICKS - len(picks)
    return {
        "tokens": tokens, "segments": segments, "positions": positions,
        "picks": np.array(picks + [0] * missing, np.int32), "targets": np.array(targets + [-1] * missing, np.int32),
    }, sum(used)


def _positions(rng, length, answers, context):
    """Mostly 0, 1, 2, …; else with a late start or gaps after answers, so that the whole context's distances are learned."""
    positions = np.arange(length)
    roll = rng.random()
    if roll < 0.25:
        spare = context - length
        gaps = sorted(rng.randint(0, spare) for _ in range(max(1, len(answers))))
        shift = np.zeros(length, int)
        for i, gap in enumerate(gaps):
            shift[0 if i == 0 else answers[i - 1] + 1 :] = gap
        positions = positions + shift
    return positions


def _orthogonal(x):
    """The nearest half-orthogonal matrix of x, roughly: Newton-Schulz, quintic, five steps, in bf16 with f32 sums."""
    tall = x.shape[0] > x.shape[1]
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(5):
        (low,) = model.bf16(x)
        square = model.dot(low, low, 0, 0) if tall else model.dot(low, low, 1, 1)
        (a,) = model.bf16(square)
        (a,) = model.bf16(-4.7750 * square + 2.0315 * model.dot(a, a, 1, 0))
        x = 3.4445 * x + (model.dot(low, a, 1, 0) if tall else model.dot(a, low, 1, 0))
    return x


def _is_matrix(name):
    return name.startswith("blk.") and not name.endswith("_norm")


def update(params, grads, state, rate):
    """One optimiser step; `rate` scales both learning rates (warm-up, decay)."""
    t = state["t"] + 1
    new, first, second = {}, {}, {}
    for name, g in grads.items():
        if _is_matrix(name):
            first[name] = 0.95 * state["first"][name] + 0.05 * g
            turned = _orthogonal(0.95 * first[name] + 0.05 * g)
            scale = MUON_RATE * max(1.0, g.shape[0] / g.shape[1]) ** 0.5
            new[name] = params[name] * (1 - rate * MUON_RATE * DECAY) - rate * scale * turned
            continue
        first[name] = 0.9 * state["first"][name] + 0.1 * g
        second[name] = 0.98 * state["second"][name] + 0.02 * g * g
        step = first[name] / (1 - 0.9**t) / (jnp.sqrt(second[name] / (1 - 0.98**t)) + 1e-8)
        new[name] = params[name] - rate * ADAM_RATE * step
    return new, {"t": t, "first": first, "second": second}


def schedule(step, steps):
    """Warm-up over 60 steps, then level, then linear to zero over the last 40 %."""
    return min(1.0, (step + 1) / 60, (steps - step) / (0.4 * steps))


def save(path, step, params, state):
    arrays = {f"p/{k}": v for k, v in params.items()} | {f"f/{k}": v for k, v in state["first"].items()}
    arrays |= {f"s/{k}": v for k, v in state["second"].items()} | {"step": step, "t": state["t"]}
    np.savez(path.with_suffix(".tmp.npz"), **{k: np.asarray(v) for k, v in arrays.items()})
    os.replace(path.with_suffix(".tmp.npz"), path)


def load(path):
    with np.load(path) as f:
        part = lambda p: {k[2:]: jnp.asarray(f[k]) for k in f.files if k.startswith(p)}
        return int(f["step"]), part("p/"), {"t": jnp.asarray(f["t"]), "first": part("f/"), "second": part("s/")}


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--out", type=Path, required=True, help="folder for the tokenizer, checkpoint, log")
    args.add_argument("--steps", type=int, default=4500)
    args.add_argument("--seed", type=int, default=20)
    args.add_argument("--every", type=float, default=30, help="seconds between log lines")
    args = args.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    shape = model.Shape()
    corpus = Corpus(args.seed)
    words = args.out / "tokenizer.json"
    if not words.exists():
        vocabulary.train(corpus, shape.vocab, args.seed).save(str(words))
    tokenizer = Tokenizer.from_file(str(words))

    checkpoint, log = args.out / "checkpoint.npz", args.out / "log.tsv"
    if checkpoint.exists():
        step, params, state = load(checkpoint)
    else:
        step, params = 0, jax.tree.map(jnp.asarray, model.init(shape, args.seed))
        zeros = lambda keep: {k: jnp.zeros_like(v) for k, v in params.items() if keep(k)}
        state = {"t": jnp.zeros((), jnp.int32), "first": zeros(lambda _: True), "second": zeros(lambda k: not _is_matrix(k))}
        log.write_text("step\tseconds\tloss\trate\ttokens_per_second\n")

    def one(params, state, b, rate):
        value, grads = jax.value_and_grad(lambda p: model.loss(shape, p, b))(params)
        params, state = update(params, grads, state, rate)
        return params, state, value

    one = jax.jit(one, donate_argnums=(0, 1))
    print(f"{shape.parameters()} weights, from step {step} to {args.steps}", flush=True)
    start = told = saved = time.time()
    losses, tokens, since, value = [], 0, step, None
    while step < args.steps:
        length = 128 if step < 0.93 * args.steps else 256
        b, used = batch(corpus, tokenizer, shape.context, args.seed, step, length, stage(step))
        if value is not None:
            losses.append(float(value))  # waits for the step before, which ran while this batch was made
        params, state, value = one(params, state, b, jnp.float32(schedule(step, args.steps)))
        tokens += used
        step += 1
        if step == args.steps:
            losses.append(float(value))
        now = time.time()
        if losses and now - told >= args.every or step == args.steps:
            left = (now - start) / (step - since) * (args.steps - step) / 60
            rate = schedule(step - 1, args.steps)
            with log.open("a") as f:
                f.write(f"{step}\t{now - start:.0f}\t{np.mean(losses):.4f}\t{rate:.3f}\t{tokens / (now - told):.0f}\n")
            print(f"step {step} loss {np.mean(losses):.4f} rate {rate:.2f} {tokens / (now - told):.0f} tok/s, {left:.1f} min left", flush=True)
            losses, tokens, told = [], 0, now
        if now - saved > 180 or step == args.steps:
            save(checkpoint, step, params, state)
            saved = now


if __name__ == "__main__":
    main()

"""Plays the whole training stream again and asserts that it holds no sentence of the test set, in any language."""

import argparse
import random

from corpus.build import Corpus, stage
from corpus.grammar import LANGS


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--steps", type=int, default=4500)
    args.add_argument("--seed", type=int, default=20)
    args = args.parse_args()
    corpus = Corpus(args.seed)
    answers = {c["answer"] for c in corpus.test if c["task"] == "translate"}
    sources = {c["sentence"] for c in corpus.test if c["task"] == "translate"}
    prompts = {c["messages"][-1]["content"] for c in corpus.test}
    tested = prompts | answers | sources
    conversations, leaked = 0, set()
    for step in range(args.steps):
        rng = random.Random(args.seed * 1_000_003 + step)  # as train.batch does
        for _ in range(80):  # a step packs fewer
            conversations += 1
            said = corpus.conversation(rng, stage(step))
            leaked |= {m["content"] for m in said if m["content"] in tested}
    leaked |= {text for _, text in corpus.trained & corpus.test_sentences}
    assert not leaked, sorted(leaked)[:5]
    per = {lang: sum(1 for l, _ in corpus.trained if l == lang) for lang in (*LANGS, "note")}
    print(f"{conversations} conversations, {len(corpus.trained)} different sentences {per}: none of the {len(corpus.test_sentences)} of the test")


if __name__ == "__main__":
    main()

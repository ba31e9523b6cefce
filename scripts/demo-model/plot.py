"""Draws the loss curve and the learning rate from train.py's log."""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--log", type=Path, required=True)
    args.add_argument("--png", type=Path, required=True)
    args = args.parse_args()
    step, _, loss, rate, _ = np.loadtxt(args.log, skiprows=1, unpack=True)
    step, first = np.unique(step, return_index=True)
    figure, axes = plt.subplots(figsize=(7, 3.6), dpi=110)
    axes.semilogy(step, loss[first], color="tab:blue")
    axes.set_xlabel("step (3,072 tokens each)")
    axes.set_ylabel("training loss, nats per answer token", color="tab:blue")
    axes.grid(alpha=0.3, which="both")
    other = axes.twinx()
    other.plot(step, rate[first], color="tab:orange", linewidth=1)
    other.set_ylabel("learning rate, share of its peak", color="tab:orange")
    other.set_ylim(0, 1.08)
    figure.suptitle("Training of inkling-demo.gguf")
    figure.tight_layout()
    figure.savefig(args.png)


if __name__ == "__main__":
    main()

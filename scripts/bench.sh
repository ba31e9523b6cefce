#!/usr/bin/env bash
# Load, prefill and decode on this machine: the real model, and random weights in the shape of a real 0.6B model.
source "$(dirname "$0")/prepare.sh"

scripts/model.sh >/dev/null
cargo build --release --quiet -p inkling-cli
synth="$INKLING_CACHE/synth/qwen3-0.6b.Q4_K_M.gguf"
if [ ! -f "$synth" ]; then
    mkdir -p "$(dirname "$synth")"
    target/release/inkling synth qwen3-0.6b --quant Q4_K_M "$synth"
fi
for model in "$MODEL_FILE" "$synth"; do
    target/release/inkling bench --model "$model" "$@"
done

#!/usr/bin/env bash
# bench-bindings.sh [kotlin|swift]...: what reading an answer costs in each language, beside a decode step of a 0.6B, and how
# long the first event takes. The model is synthetic and lies in the cache folder.
source "$(dirname "$0")/prepare.sh"

model="$INKLING_CACHE/synth/qwen3-0.6b.Q4_0.gguf"
if [ ! -f "$model" ]; then
    say "making $model"
    mkdir -p "$(dirname "$model")"
    cargo run --quiet --release -p inkling-cli -- synth qwen3-0.6b --quant Q4_0 "$model" >&2
fi
[ $# -gt 0 ] || set -- kotlin swift
for language in "$@"; do scripts/"$language"/bench.sh "$model"; done

#!/usr/bin/env bash
# Makes the models of the benchmark in the cache folder: random weights in the shapes of real models, and the real
# SmolLM2-135M-Instruct in the quantisations that llama-quantize makes of it. What is there is not made again.
# usage: scripts/bench/models.sh [real]    real: only SmolLM2
source "$(dirname "$0")/../prepare.sh"

mkdir -p "$INKLING_CACHE/synth"
shapes="qwen3-0.6b gemma3-270m smollm2-1.7b"
[ "${1:-}" != real ] || shapes=
for shape in $shapes; do
    for quant in Q4_0 Q4_K_M Q8_0; do
        file="$INKLING_CACHE/synth/$shape.$quant.gguf"
        [ -f "$file" ] && continue
        say "making $shape $quant"
        target/release/inkling synth "$shape" --quant "$quant" "$file.part" >/dev/null
        mv "$file.part" "$file"
    done
done

scripts/model.sh >/dev/null
quantize="$INKLING_CACHE/peers/llama.cpp/bin/llama-quantize"
for quant in Q4_0 Q8_0; do
    file="${MODEL_FILE%.Q4_1.gguf}.$quant.gguf"
    [ -f "$file" ] && continue
    [ -x "$quantize" ] || { echo "no llama-quantize: $(basename "$file") is not made" >&2; continue; }
    say "making $(basename "$file")"
    "$quantize" --allow-requantize "$MODEL_FILE" "$file.part" "$quant" >/dev/null 2>&1
    mv "$file.part" "$file"
done

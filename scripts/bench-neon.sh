#!/usr/bin/env bash
# Counts the AArch64 instructions that a token takes, ours and llama.cpp's, compiled for the same extensions: a
# substitute for a phone's speed where there is no phone. Runs under qemu with a plugin that counts
# (scripts/instructions.c); one thread, so that counts are exact. Gets and builds all it needs.
# usage: scripts/bench-neon.sh [--sets "dotprod i8mm neon"] [--quants "Q4_0 Q8_0"] [--prompt 64] [--answer 8]
source "$(dirname "$0")/prepare.sh"
source scripts/aarch64.sh

sets="dotprod i8mm neon" quants="Q4_0 Q8_0" prompt=64 answer=8
while [ $# -gt 0 ]; do
    case "$1" in
        --sets) sets=$2 ;;
        --quants) quants=$2 ;;
        --prompt) prompt=$2 ;;
        --answer) answer=$2 ;;
        *) echo "unknown option $1" >&2; exit 2 ;;
    esac
    shift 2
done

[ "$(uname -s)" = Linux ] || { echo "qemu's user mode needs Linux" >&2; exit 1; }
need_aarch64 gcc || { echo "$missing" >&2; exit 1; }
need gcc gcc
say "building Inkling for AArch64"
"${cargo[@]}" build --release --quiet --target "$target" -p inkling-compute-cpu --example passes
ours="$CARGO_TARGET_DIR/$target/release/examples/passes"
scripts/bench/peers.sh native
scripts/bench/models.sh real

# The plugin must say the version of the interface that this qemu speaks: the first that it takes.
plugin="$CARGO_TARGET_DIR/instructions.so"
for version in 1 2 3 4 5 6; do
    gcc -O2 -shared -fPIC -DPLUGIN_ABI=$version scripts/instructions.c -o "$plugin"
    # Without arguments the program fails; that it was counted is what matters.
    counted=$("${qemu[@]}" -cpu max -plugin "file=$plugin" -d plugin "$ours" 2>&1 || true)
    [[ $counted != *$'\n'instructions\ * ]] || break
    [ $version != 6 ] || { echo "this qemu takes no plugins" >&2; exit 1; }
done

# count PROGRAM ARGUMENT...: instructions of a run.
count() {
    local all
    all=$("${qemu[@]}" -cpu max -plugin "file=$plugin" -d plugin "$@" 2>&1) || { echo "$all" >&2; return 1; }
    awk '/^instructions/ { print $2 }' <<<"$all"
}

# Each run does its work once, then twice: the difference is the work without loading and packing.
# inkling SET FILE PROMPT ANSWER
inkling() {
    local isa=neon-$1 once twice
    [ "$1" != neon ] || isa=neon
    once=$(count "$ours" "$2" "$isa" "$3" "$4" 1)
    twice=$(count "$ours" "$2" "$isa" "$3" "$4" 2)
    echo $(((twice - once) / ($3 + $4)))
}
# llama SET FILE PROMPT ANSWER
llama() {
    local once twice bench=("$INKLING_CACHE/peers/llama.cpp-aarch64-$1/bin/llama-bench" -t 1 --no-warmup -m "$2" -p "$3" -n "$4")
    once=$(count "${bench[@]}" -r 1)
    twice=$(count "${bench[@]}" -r 2)
    echo $(((twice - once) / ($3 + $4)))
}

say "counting (some minutes: qemu is slow)"
row='| %-7s | %-6s | %-7s | %8s | %9s | %5s |\n'
# shellcheck disable=SC2059 # The format is ours.
{
    echo "SmolLM2-135M-Instruct, million instructions a token; prefill of $prompt, decode of $answer, one thread"
    printf "$row" set quant work Inkling llama.cpp ratio
    printf "$row" --- --- --- --- --- ---
    for set in $sets; do
        scripts/bench/peers.sh "aarch64-$set"
        for quant in $quants; do
            file="${MODEL_FILE%.Q4_1.gguf}.$quant.gguf"
            for work in prefill decode; do
                sizes=("$prompt" 0)
                [ $work = prefill ] || sizes=(0 "$answer")
                us=$(inkling "$set" "$file" "${sizes[@]}") them=$(llama "$set" "$file" "${sizes[@]}")
                printf "$row" "$set" "$quant" "$work" "$(awk "BEGIN { printf \"%.2f\", $us / 1e6 }")" \
                    "$(awk "BEGIN { printf \"%.2f\", $them / 1e6 }")" "$(awk "BEGIN { printf \"%.2f\", $us / $them }")"
            done
        done
    done
}

#!/usr/bin/env bash
# Fuzzes the GGUF reader and says how many inputs it tried.
#
#   scripts/fuzz.sh [TARGET] [AMOUNT]
#
# TARGET: parse (any bytes), edit (sound files with damaged numbers) or all (the default).
# AMOUNT: seconds per target, like 60s (the default), or a number of executions, like 10000000; the environment's RUNS
# (make fuzz RUNS=10000000) says the same. With "all", edit gets a tenth of the executions, because each builds a file.
#
# Limits: no single allocation above 64 MiB, 512 MiB of memory in all, 10 s for one input. Inputs that break something
# are kept in core/gguf/fuzz/artifacts/TARGET.
set -euo pipefail
cd "$(dirname "$0")/../core/gguf/fuzz"

target=${1:-all}
amount=${2:-${RUNS:-60s}}
case $target in
    all) targets=(parse edit) ;;
    parse | edit) targets=("$target") ;;
    *) echo "fuzz.sh: no target $target: parse, edit or all" >&2; exit 2 ;;
esac
case $amount in
    *[!0-9s]* | s | *s?* | "") echo "fuzz.sh: cannot read $amount: 60s or 10000000" >&2; exit 2 ;;
    *s) limit=(-max_total_time="${amount%s}") ;;
    *) limit=(-runs="$amount") ;;
esac

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "fuzz.sh: fuzzing needs a nightly toolchain: rustup toolchain install nightly" >&2
    exit 1
fi
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "fuzz.sh: installing cargo-fuzz"
    cargo install --locked cargo-fuzz
fi

for target in "${targets[@]}"; do
    if [[ ${#targets[@]} -gt 1 && $target = edit && $amount != *s ]]; then
        limit=(-runs="$((amount / 10 + 1))")
    fi
    corpus=corpus/$target
    mkdir -p "$corpus"
    seeds=()
    if [ "$target" = parse ]; then
        cargo +nightly run --quiet --release --bin seeds -- seeds
        seeds=(seeds)
    fi
    log=$(mktemp)
    status=0
    cargo +nightly fuzz run "$target" "$corpus" "${seeds[@]}" -- "${limit[@]}" \
        -malloc_limit_mb=64 -rss_limit_mb=512 -timeout=10 -max_len=4096 -print_final_stats=1 2>"$log" || status=$?
    if [ $status != 0 ]; then
        tail -n 60 "$log" >&2
        rm -f "$log"
        echo "fuzz.sh: $target failed, see core/gguf/fuzz/artifacts/$target" >&2
        exit 1
    fi
    tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    rss=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
    rm -f "$log"
    echo "$target: $tried executions, $rate per second, $rss MB at most, no panic, no allocation above 64 MiB"
done

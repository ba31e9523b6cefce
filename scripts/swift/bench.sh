#!/usr/bin/env bash
# bench.sh MODEL: what reading an answer costs in Swift, beside a decode step of MODEL, which lies in the cache folder;
# ios/Bench/main.swift says how. A part of scripts/bench-bindings.sh. Linux only: it reads /proc.
source "$(dirname "$0")/../prepare.sh"
source scripts/swift/toolchain.sh

find_swift || exit 0
model=$(realpath "$1")
mkdir -p target/swift
scripts/bindings.sh swift
cargo build --quiet --release -p inkling-uniffi
bench() { with_swift env INKLING_BENCH=1 INKLING_LIBRARY=target/release/libinkling_ffi.a "$@"; }
bench swift build -c release --scratch-path target/swift/bench --product InklingBench >target/swift/bench.log 2>&1 ||
    { cat target/swift/bench.log >&2; exit 1; }
bench target/swift/bench/release/InklingBench "$(swift_path "$model")" core/cli/assets/inkling-demo.gguf

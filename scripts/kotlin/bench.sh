#!/usr/bin/env bash
# bench.sh MODEL: what reading an answer costs in Kotlin, beside a decode step of MODEL, and that step when Rust reads. A
# part of scripts/bench-bindings.sh.
source "$(dirname "$0")/../prepare.sh"
model=$(realpath "$1")
cargo build --quiet --release -p inkling-uniffi -p inkling-cli
scripts/bindings.sh kotlin
for page in docs/kotlin.md README.md; do python3 scripts/doc-code.py "$page" target/docs/kotlin; done
log=target/kotlin-bench.log
maven() { mvn --batch-mode -f android/jvm/pom.xml "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }; }
maven test-compile
step() { target/release/inkling bench --model "$model" -p 16 -n 64 -r 5 --json | python3 -c 'import json, sys; print("rust: a step of %.2f ms" % (1000 / json.load(sys.stdin)["decode_tok_s"]["median"]))'; }
step
maven surefire:test -Dtest=CrossingBench -Dlibrary="$PWD/target/release" \
    -Djvm.check="-XX:TieredStopAtLevel=4 -Dbench.model=$model"
grep '^kotlin:' "$log"
step

#!/usr/bin/env bash
# bench.sh MODEL: what reading an answer costs in Kotlin, beside a decode step of MODEL. Called by scripts/bench-bindings.sh.
source "$(dirname "$0")/../prepare.sh"
model=$(realpath "$1")
cargo build --quiet --release -p inkling-uniffi
scripts/bindings.sh kotlin
python3 scripts/doc-code.py docs/kotlin.md target/docs/kotlin
mvn --batch-mode -f android/jvm/pom.xml test -Dtest=CrossingBench -Dlibrary="$PWD/target/release" -Dbench.model="$model" \
    -Djvm.check="-XX:TieredStopAtLevel=4 -Dbench.model=$model" 2>&1 | tee target/kotlin-bench.log | grep '^kotlin:' || { tail -40 target/kotlin-bench.log; exit 1; }

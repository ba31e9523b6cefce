#!/usr/bin/env bash
# The Swift package: builds the engine's library, writes the code that calls it, runs XCTest and Swift Testing, the code of
# the pages among them, and builds the API's documentation. Uses the Swift that is installed (6 or newer), on Linux
# otherwise a Debian trixie with Swift in the cache folder, made on first use (5 minutes, 3.5 GB, needs root). Where neither
# can be had it says so and ends well.
source "$(dirname "$0")/prepare.sh"
source scripts/swift/toolchain.sh

mkdir -p target/swift
find_swift || exit 0
scripts/bindings.sh swift
# The tests of the store fetch from a server that does wrong what it is told to, what the command line has published.
cargo build --quiet -p inkling-store-chaos --bin chaos-server -p inkling-cli --bin inkling
for page in docs/swift.md README.md ios/Sources/Inkling/Inkling.docc/Inkling.md; do
    python3 scripts/doc-code.py "$page" target/docs/swift swift
done
[ "$(uname)" != Darwin ] || scripts/ios.sh

say "Swift ($swift_is)"
# Tests leave the models that they fetched: half a gigabyte a run.
rm -rf target/swift/tmp
trap 'rm -rf target/swift/tmp' EXIT
log=target/swift/test.log
# A warning in code of ours is an error here, and only here: an app's other compiler may know more warnings.
# Swift's own account of a crash takes ten minutes here, for the engine's symbols.
if ! with_swift env INKLING_TESTING=1 INKLING_CHAOS_SERVER=target/debug/chaos-server INKLING_CLI=target/debug/inkling SWIFT_BACKTRACE=enable=no swift test --scratch-path target/swift/build >"$log" 2>&1; then
    cat "$log"
    exit 1
fi
grep -aE "^\s*Executed|resident memory|Test run with" "$log" | sort -u
# A run that finds no tests ends well, too: each of the two runners must have found its own.
ran() { grep -aoE "$1 [0-9]+ test" "$log" | grep -oE "[0-9]+" | sort -n | tail -1; }
for least in "Executed:3" "Test run with:80"; do
    tests=$(ran "${least%:*}" || true)
    [ "${tests:-0}" -ge "${least#*:}" ] || { echo "only ${tests:-0} tests ran (${least%:*}): $log" >&2; exit 1; }
done

say "documentation of the Swift API"
with_swift scripts/swift/api-docs.sh

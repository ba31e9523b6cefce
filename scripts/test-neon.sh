#!/usr/bin/env bash
# Tests the CPU back end's NEON kernels on a machine that has none: builds for AArch64 and runs under qemu, once for
# each kind of core (without dot products, with them, with everything). With INKLING_NEON_CONFORMANCE (`make
# conformance` sets it) it compares the small models with the reference folder's exact logits instead; if that is `all`,
# on one more kind of core and with the whole suite of back ends, which takes a quarter of an hour or more.
#
# Needs a compiler with AArch64's standard library, a cross linker and qemu-user; see scripts/aarch64.sh. What is
# missing is said, and is an error only with INKLING_REQUIRE_NEON.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/aarch64.sh

skip() {
    echo "NEON tests skipped: $1" >&2
    if [ -n "${INKLING_REQUIRE_NEON:-}" ]; then exit 1; fi
    exit 0
}

if [ "$(uname -s)" != Linux ]; then skip "qemu's user mode needs Linux"; fi
if [ "$(uname -m)" = aarch64 ]; then
    # The ordinary tests have run these kernels already.
    echo "This machine is AArch64: the NEON kernels are covered by the ordinary tests."
    exit 0
fi
need_aarch64 || skip "${missing:-something is still missing after installing}"

tests=(-p inkling-compute-cpu --target "$target")
if [ -n "${INKLING_NEON_CONFORMANCE:-}" ]; then
    export INKLING_REFERENCE="${INKLING_REFERENCE:-$PWD/../shared/reference}" INKLING_REQUIRE_REFERENCE=1
    cores=(max)
    tests+=(--test conformance_models)
    if [ "$INKLING_NEON_CONFORMANCE" = all ]; then
        cores=(cortex-a76 max)
        tests+=(--test conformance_backend)
    fi
    # Of the models those of the reference folder: a whole SmolLM2 takes an hour here.
    arguments=(-- --skip smollm2)
else
    cores=(cortex-a53 cortex-a76 max)
    # What the kernels are made of, and a whole model by every instruction set. Tests of the format are not repeated.
    tests+=(--lib --test same_bits)
    arguments=()
fi

"${cargo[@]}" --version
"${cargo[@]}" test "${tests[@]}" --no-run
for core in "${cores[@]}"; do
    echo "== qemu, $core"
    more=()
    # A model by every instruction set, all weights, threads and chunks: once, on the core that has all of them. The
    # others run each kernel against its twin, and a model with the set that they detect.
    [ "$core" = max ] || [ -n "${INKLING_NEON_CONFORMANCE:-}" ] ||
        more=(-- --skip instruction_sets_threads_and_chunks_do_not_show)
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="${qemu[*]} -cpu $core" \
        "${cargo[@]}" test -q "${tests[@]}" "${arguments[@]}" "${more[@]}"
done

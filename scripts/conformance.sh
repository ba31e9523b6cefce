#!/usr/bin/env bash
# Compares with the exact results of other implementations. The reference folder is ../shared/reference or
# $INKLING_REFERENCE; without it there is nothing to compare with, and this fails.
source "$(dirname "$0")/prepare.sh"

export INKLING_REFERENCE="${INKLING_REFERENCE:-$PWD/../shared/reference}"
[ -d "$INKLING_REFERENCE" ] || { echo "no reference folder at $INKLING_REFERENCE: set INKLING_REFERENCE" >&2; exit 1; }
scripts/model.sh
export INKLING_REQUIRE_REFERENCE=1 INKLING_REQUIRE_MODEL=1
say "conformance"
cargo test --workspace --test 'conformance_*' -- --nocapture --test-threads 1
say "conformance of the NEON kernels under qemu"
INKLING_NEON_CONFORMANCE=1 scripts/test-neon.sh
